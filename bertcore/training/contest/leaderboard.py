"""Leaderboard: what an entry must hold, and the table of those that do (chapter 9).

Whatever can be computed from other numbers of an entry is computed again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bertcore.sources import read_json
from bertcore.training.contest.quiz import DIGESTS, PACKAGED

FORMAT = "bertcore speedrun 1"
ENTRY, MODELS = "entry.json", "model-{seed}"
BARS = (2.2, 1.4, 0.85)  # bits per character
SEEDS = 3
NEAR = 1e-6  # relative: two ways to compute one number
MARKS = "<!-- table begins -->", "<!-- table ends -->"
# What an entry must have, and of which type.
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "what": str,
    "data": str,
    "device": str,
    "versions": dict,
    "revision": str,
    "setting.format": str,
    "setting.name": str,
    "setting.by": str,
    "setting.digests": dict,
    "setting.model": dict,
    "setting.recipe": dict,
    "setting.parameters": int,
    "setting.operations": (int, float),
    "setting.precision": str,
    "setting.rate": (int, float),
    "results.bar": (int, float),
    "results.seconds": (int, float),
    "results.compute": (int, float),
    "results.runs": list,
}


def bar_of(bits: float) -> float:
    """The bar itself.

    Raises:
        ValueError: if there is no such bar.
    """
    if bits not in BARS:
        raise ValueError(
            f"no bar at {bits} bits per character; there are "
            f"{', '.join(map(str, BARS))}"
        )
    return bits


def faults(entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with an entry, in sentences; nothing if it is valid."""
    found = list(_missing(entry)) or list(_not_finite(entry))
    if found:
        return found
    parts = (_bar, _digests, _runs, _sums, _revision)
    return [fault for part in parts for fault in part(entry)]


def _missing(entry: Mapping[str, Any]) -> Iterator[str]:
    for path, kind in _FIELDS.items():
        value: Any = entry
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or value == "":
            yield f"{path} is missing"
        elif not isinstance(value, kind) or isinstance(value, bool):
            yield f"{path} is {value!r}, which is no {_called(kind)}"


def _called(kind: type | tuple[type, ...]) -> str:
    names = {str: "text", dict: "object", int: "whole number", list: "list"}
    return names.get(kind, "number")


def _not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Numbers that are none, such as NaN, wherever they stand."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}"
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, part in items:
        yield from _not_finite(part, f"{path}.{name}".removeprefix("."))


def _bar(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["setting"]["format"] != FORMAT:
        yield f"format is {entry['setting']['format']!r}; it must be {FORMAT!r}"
    try:
        bar_of(entry["results"]["bar"])
    except ValueError as error:
        yield str(error)


def _digests(entry: Mapping[str, Any]) -> Iterator[str]:
    found = entry["setting"]["digests"]
    for name, wanted in DIGESTS.items():
        if found.get(name) != wanted:
            yield (
                f"digest of {name} is {found.get(name)}, that of the quiz is {wanted}: "
                "it was asked something else"
            )


def _runs(entry: Mapping[str, Any]) -> Iterator[str]:
    results = entry["results"]
    runs = [run for run in results["runs"] if _is_run(run)]
    if len(runs) < len(results["runs"]):
        yield "a run lacks seed, seconds or a curve of four numbers a look"
        return
    seeds = {run["seed"] for run in runs}
    if len(seeds) < SEEDS or len(seeds) < len(runs):
        yield (
            f"{len(seeds)} different seeds in {len(runs)} runs; {SEEDS} are asked for"
        )
    for run in runs:
        yield from _curve(run, results["bar"], entry["setting"])


def _is_run(run: Any) -> bool:
    """Whether it has its parts, and numbers in them."""
    if not isinstance(run, Mapping) or not isinstance(run.get("curve"), list):
        return False
    rows = [[run.get("seed"), run.get("seconds"), 0, 0], *run["curve"]]
    return all(
        isinstance(row, list)
        and len(row) == 4
        and all(isinstance(value, int | float) for value in row)
        for row in rows
    )


def _curve(
    run: Mapping[str, Any], bar: float, setting: Mapping[str, Any]
) -> Iterator[str]:
    seed, curve = f"seed {run['seed']}", run["curve"]
    for name, column in (("updates", 0), ("tokens", 1), ("seconds", 2)):
        values = [look[column] for look in curve]
        if values != sorted(values) or (values and values[0] < 0):
            yield f"{seed}: {name} of the curve do not rise"
    met = [look for look in curve if look[3] <= bar]
    if not met:
        best = min((look[3] for look in curve), default=math.inf)
        yield f"{seed}: the curve never meets the bar {bar}; its best is {best:.4f}"
        return
    _, tokens, seconds, _ = met[0]
    if not math.isclose(seconds, run["seconds"], rel_tol=NEAR):
        when = "earlier" if seconds < run["seconds"] else "later"
        yield (
            f"{seed}: the curve meets the bar after {seconds} s, {when} than the "
            f"{run['seconds']} s that are claimed"
        )
    possible = seconds * setting["rate"]
    if tokens * setting["operations"] > possible:
        yield (
            f"{seed}: {tokens:,} tokens of {setting['operations']:.3g} operations are "
            f"more than the machine can do in {seconds:.1f} s at "
            f"{setting['rate']:.3g} a second"
        )


def _sums(entry: Mapping[str, Any]) -> Iterator[str]:
    results, rate = entry["results"], entry["setting"]["rate"]
    times = [run["seconds"] for run in results["runs"] if _is_run(run)]
    if times and not math.isclose(median(times), results["seconds"], rel_tol=NEAR):
        yield (
            f"seconds is {results['seconds']}, and the median of the runs is "
            f"{median(times)}"
        )
    product = results["seconds"] * rate
    if not product > 0 or not math.isclose(product, results["compute"], rel_tol=NEAR):
        yield (
            f"compute is {results['compute']}, and {results['seconds']} s at {rate} "
            f"operations a second are {product}"
        )


def _revision(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["revision"].endswith("-dirty"):
        yield (
            f"revision {entry['revision']}: something differs from that commit; "
            "run it from a clean checkout"
        )


def entries() -> list[dict[str, Any]]:
    """Those that are recorded, in the package or in the checkout."""
    package = Path(__file__).parents[2]
    for folder in (package / "leaderboard", package.parent / "data" / "leaderboard"):
        found = sorted(folder.glob("*.json"))
        if found:
            return [read_json(path) for path in found]
    return []


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """All entries as a Markdown table: bar by bar, the least compute first."""
    head = "bar | | entry | by | 10¹⁵ operations | seconds | machine | texts | revision"
    lines = [
        f"| {head} |",
        "| ---: | ---: | --- | --- | ---: | ---: | --- | --- | --- |",
    ]
    for bar in BARS:
        own = [entry for entry in entries if entry["results"]["bar"] == bar]
        own.sort(key=lambda entry: entry["results"]["compute"])
        for place, entry in enumerate(own, 1):
            lines.append(_row(bar, place, entry))
        if not own:
            lines.append(f"| {bar} | | *none yet* | | | | | | |")
    return "\n".join(lines)


def _row(bar: float, place: int, entry: Mapping[str, Any]) -> str:
    setting, results = entry["setting"], entry["results"]
    packaged = setting["digests"].get("data") == PACKAGED
    cells = [
        *(str(bar), str(place), setting["name"], setting["by"]),
        f"{results['compute'] / 1e15:.3g}",
        f"{results['seconds']:,.1f}",
        entry["device"],
        "packaged" if packaged else "own",
        f"`{entry['revision']}`",
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def with_table(text: str, shown: str) -> str:
    """A page with its table replaced: what stands between the two marks.

    Raises:
        ValueError: if the page has no marks.
    """
    begin, end = MARKS
    before, found, rest = text.partition(begin)
    _, also, after = rest.partition(end)
    if not found or not also:
        raise ValueError(f"the page has no marks {begin} and {end}; add them")
    return f"{before}{begin}\n\n{shown}\n\n{end}{after}"
