"""The bands of the projects, from recorded runs: python -m tools.projects

Writes the tables of instructors/projects/*.md, between marks that name them, from the
cards in data/runs. A number that no card holds cannot get in.
"""

import re
from collections.abc import Callable, Sequence
from statistics import median

from bertcore.cards import read_card
from bertcore.files import write_text
from tools.sync import ROOT

FOLDER = ROOT / "instructors" / "projects"
BAND = re.compile(r"(<!-- band: (\w+) -->\n).*?(<!-- end of band -->)", re.DOTALL)
ONE_SEED = "one seed, spread unknown"
RANGE = ("lowest", "median", "highest")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], card: str) -> str:
    """A table in Markdown, and where its numbers come from."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    device = read_card(card)["device"]
    source = f"From the card [{card}](../../data/runs/{card}.json): {device}."
    return "\n".join([*(f"| {' | '.join(row)} |" for row in lines), "", source])


def spread(values: Sequence[float], form: str) -> list[str]:
    """Lowest, median and highest; of one value itself, and that it is alone."""
    if len(values) == 1:
        return [ONE_SEED, form.format(*values), ONE_SEED]
    return [form.format(each) for each in (min(values), median(values), max(values))]


def laptop() -> str:
    """What minutes buy, by size: bits per character."""
    card = "pretraining-minutes"
    found: dict[tuple[str, float], list[float]] = {}
    for run in read_card(card)["results"]["runs"]:
        if run["kind"] != "one text in 64":
            key = run["kind"], run["minutes"]
            found.setdefault(key, []).append(run["bits_per_character"])
    rows = [
        (f"{kind}, {minutes:g} min", *spread(values, "{:.3f}"), str(len(values)))
        for (kind, minutes), values in found.items()
    ]
    return table(("model and time", *RANGE, "seeds"), rows, card)


def recipes() -> str:
    """One change at a time, after the same number of updates: held-out loss."""
    card = "recipes-tales"
    results = read_card(card)["results"]
    names = ("the fast recipe", "15 % masks", "with dropout 0.1", "with pairs")
    names += ("without bias correction", "a tenth of the rate", "with Muon")
    rows = [(name, *spread([*results[name].values()], "{:.2f}")) for name in names]
    return table(("recipe", *RANGE), rows, card)


def questions() -> str:
    """The share of right answers by rows and way, over five draws of rows."""
    card = "questions-by-rows"
    ways = "majority", "TF-IDF", "random weights", "ours"
    rows = [
        (f"{number} rows, {way}", *(f"{100 * each:.1f} %" for each in found[way]))
        for number, found in read_card(card)["results"].items()
        for way in ways
    ]
    return table(("rows and way", *RANGE), rows, card)


def race() -> str:
    """Bits per character and the labelled task of a race of half a minute."""
    card = "race-english"
    recorded = read_card(card)
    results, rows = recorded["results"], []
    for name in recorded["setting"]["entries"]:
        about = results[name]
        low, middle, high = about["score"]
        bits = [f"{each:.3f}" for each in about["bits"] or ()] or ["–"] * 3
        bits = [f"{each} ¹" for each in bits] if about["small_generator"] else bits
        task = f"{100 * low:.1f}, {100 * middle:.1f}, {100 * high:.1f} %"
        rows.append((f"`{name}`", *bits, task))
    made = table(("model", *RANGE, "task: lowest, median, highest"), rows, card)
    return (
        f"{made} ¹ These are the bits of its generator, a quarter as wide. Frequencies "
        f"alone have {results['unigram_bits']:.3f} bits per character."
    )


BANDS: dict[str, Callable[[], str]] = {
    "laptop": laptop,
    "recipes": recipes,
    "questions": questions,
    "race": race,
}


def with_bands(text: str) -> str:
    """A project's text with its tables as the cards have them."""
    return BAND.sub(lambda m: f"{m[1]}\n{BANDS[m[2]]()}\n\n{m[3]}", text)


def main() -> None:
    """Write what is out of date."""
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf8")
        if (wanted := with_bands(text)) != text:
            write_text(path, wanted)
            print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
