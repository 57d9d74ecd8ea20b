"""Standings: what came of a race over its seeds, as numbers, a table and a picture."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

Results = dict[str, dict[str, Any]]
_HEAD = (
    *("model", "million parameters", "MFLOP a token", "updates", "million tokens"),
    "bits per character",
)
_MEASURED = ("updates", "tokens", "seconds", "masked_lm", "bits", "score")


class Turn(NamedTuple):
    """What came of one entry with one seed.

    `parameters` are those that were trained, with the parts that are left behind later;
    `operations` those of a token, forward and backward; `score` is that of the labelled
    task. `masked_lm` and `bits` are None without a trained head, `small` says that it
    is another model's, ELECTRA's generator. `curve` has seconds and bits per character.
    `fault` says why training had to be given up.
    """

    entry: str
    seed: int
    parameters: int
    updates: int = 0
    tokens: int = 0
    seconds: float = 0.0
    operations: float = 0.0
    masked_lm: float | None = None
    bits: float | None = None
    small: bool = False
    score: float | None = None
    curve: Sequence[tuple[float, float]] = ()
    fault: str | None = None

    def __str__(self) -> str:
        if self.fault is not None:
            return f"seed {self.seed}, {self.entry}: {self.fault}"
        bits = "" if self.bits is None else f", {self.bits:.3f} bits per character"
        bits += " (its small generator)" if self.small else ""
        return (
            f"seed {self.seed}, {self.entry}: {self.updates:,} updates, "
            f"{self.tokens:,} tokens{bits}, task {self.score:.1%}"
        )


def summary(turns: Iterable[Turn]) -> Results:
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


def table(results: Results, task: str, unigram_bits: float) -> str:
    """A Markdown table, and how to read it.

    Args:
        results: of `summary`.
        task: the name of the labelled task.
        unigram_bits: of a model that knows only how frequent each piece is.
    """
    rows = [(*_HEAD, f"{task}, right"), ("---", *["---:"] * len(_HEAD))]
    notes = ["Minimum, median and maximum over the seeds; else medians."]
    if any(about["small_generator"] for about in results.values()):
        notes.append("¹ The bits are those of its generator, a quarter as wide.")
    notes.append(
        "A model that knows only how frequent each piece is has "
        f"{unigram_bits:.3f} bits per character."
    )
    for name, about in results.items():
        trained = ["–"] * 3
        if about["updates"] is not None and about["updates"][1] > 0:
            trained = [
                f"{about['operations_per_token'] / 1e6:.2f}",
                f"{about['updates'][1]:,.0f}",
                f"{about['tokens'][1] / 1e6:.2f}",
            ]
        name += " ¹" if about["small_generator"] else ""
        sizes, bits = about["parameters"], _spread(about["bits"], "{:.3f}")
        score = _spread(about["score"], "{:.1%}")
        rows.append((name, f"{sizes / 1e6:.2f}", *trained, bits, score))
        notes += [f"{name}, {fault}" for fault in about["faults"]]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, *[f"\n{note}" for note in notes]]) + "\n"


def _spread(values: Sequence[float] | None, form: str) -> str:
    return "–" if values is None else " ".join(form.format(value) for value in values)


def curves(turns: Sequence[Turn], unigram_bits: float) -> str:
    """Bits per character over the seconds of training, a line for each turn, as SVG.

    Args:
        turns: those without a curve are left out.
        unigram_bits: of a model that knows frequencies alone, a grey line.
    """
    from bertcore.book.plots import GREY, PALETTE, panels, show  # needs matplotlib

    shown = [turn for turn in turns if turn.curve]
    names = list(dict.fromkeys(turn.entry for turn in shown))
    colours = [colour for colour in PALETTE.values() if colour != GREY]
    figure, (axes,) = panels(6.0, 3.6)
    axes.axhline(unigram_bits, color=GREY, lw=1, label="frequencies alone")
    for name in names:
        own = [turn for turn in shown if turn.entry == name]
        # Nine entries and five colours: the second five are dashed.
        dashes, colour = divmod(names.index(name), len(colours))
        for turn in own:
            axes.plot(
                *zip(*turn.curve, strict=True),
                color=colours[colour],
                ls=("-", "--", ":")[dashes],
                lw=1.5,
                label=name if turn is own[0] else None,
            )
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("bits per character")
    axes.legend(fontsize=9, ncols=2)
    last = {turn.entry: turn.curve[-1][1] for turn in shown}
    ranked = ", ".join(f"{name} {bits:.2f}" for name, bits in last.items())
    alt = (
        f"Bits per character of held-out texts fall with training; at the end {ranked}"
    )
    return show(figure, alt).svg + "\n"
