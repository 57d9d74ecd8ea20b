"""Standings: what came out of a race, over its seeds."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from bertcore.training.contest.race import Turn

_HEAD = (
    *("model", "million parameters", "MFLOP a token", "updates", "million tokens"),
    "bits per character",
)
_MEASURED = ("updates", "tokens", "seconds", "masked_lm", "bits", "score")


def summary(turns: Iterable[Turn]) -> dict[str, dict[str, Any]]:
    """Of each entry its sizes, and minimum, median and maximum of what was measured.

    What an entry does not have is None. `faults` are those of turns that gave up, which
    count in nothing else; `seeds` are the others.
    """
    found: dict[str, list[Turn]] = {}
    for turn in turns:
        found.setdefault(turn.entry, []).append(turn)
    return {name: _of_entry(own) for name, own in found.items()}


def _of_entry(turns: Sequence[Turn]) -> dict[str, Any]:
    sound = [turn for turn in turns if turn.fault is None]
    about: dict[str, Any] = {
        "seeds": [turn.seed for turn in sound],
        "faults": [f"seed {t.seed}: {t.fault}" for t in turns if t.fault is not None],
        "parameters": turns[0].parameters,
        "operations_per_token": max(turn.operations for turn in turns),
        "small_generator": turns[0].small,
    }
    for name in _MEASURED:
        values = [getattr(turn, name) for turn in sound]
        known = [value for value in values if value is not None]
        about[name] = [min(known), median(known), max(known)] if known else None
    return about


def table(results: dict[str, dict[str, Any]], task: str) -> str:
    """The standings as a Markdown table; the best of a column by its median is bold.

    Args:
        results: of `summary`.
        task: the name of the labelled task.
    """
    own = {name: row for name, row in results.items() if not row["small_generator"]}
    best_bits, best_score = _best(own, "bits", min), _best(results, "score", max)
    lines = [_row([*_HEAD, f"{task}, right"]), _row(["---", *["---:"] * len(_HEAD)])]
    for name, about in results.items():
        cells = [name + (" ¹" if about["small_generator"] else "")]
        trained = about["updates"] is not None and about["updates"][1] > 0
        cells.append(f"{about['parameters'] / 1e6:.2f}")
        cells.append(f"{about['operations_per_token'] / 1e6:.2f}" if trained else "–")
        cells.append(f"{about['updates'][1]:,.0f}" if trained else "–")
        cells.append(f"{about['tokens'][1] / 1e6:.2f}" if trained else "–")
        cells.append(_spread(about["bits"], "{:.3f}", name in best_bits))
        cells.append(_spread(about["score"], "{:.1%}", name in best_score))
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def notes(results: dict[str, dict[str, Any]], unigram_bits: float) -> list[str]:
    """What a reader of the table has to know, in sentences."""
    found = ["Minimum, median and maximum over the seeds; else medians."]
    if any(about["small_generator"] for about in results.values()):
        found.append("¹ The bits are those of its generator, a quarter as wide.")
    found.append(
        f"Who knows only how frequent each piece is has {unigram_bits:.3f} bits per "
        "character."
    )
    for name, about in results.items():
        found += [f"{name}, {fault}" for fault in about["faults"]]
    return found


def _best(results: dict[str, dict[str, Any]], column: str, best: Any) -> set[str]:
    """The names of those with the best median; several if they are equal."""
    medians = {name: row[column][1] for name, row in results.items() if row[column]}
    return {name for name, m in medians.items() if m == best(medians.values())}


def _spread(values: Sequence[float] | None, form: str, bold: bool) -> str:
    if values is None:
        return "–"
    low, middle, high = (form.format(value) for value in values)
    middle = f"**{middle}**" if bold else middle
    return f"{low} {middle} {high}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
