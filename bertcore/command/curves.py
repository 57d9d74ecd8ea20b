"""Curves: how the models of a race learn, as a picture."""

from collections.abc import Sequence

from bertcore.book.plots import GREY, PALETTE, panels, show
from bertcore.training.contest.race import Turn

_LINES = ("-", "--", ":")


def curves(turns: Sequence[Turn], unigram: float) -> str:
    """Bits per character over the seconds of training, a line for each turn, as SVG.

    Args:
        turns: those without a curve are left out.
        unigram: the bits of one who knows frequencies alone, a grey line.
    """
    shown = [turn for turn in turns if turn.curve]
    names = list(dict.fromkeys(turn.entry for turn in shown))
    colours = [colour for colour in PALETTE.values() if colour != GREY]
    figure, (axes,) = panels(6.0, 3.6)
    axes.axhline(unigram, color=GREY, lw=1, label="frequencies alone")
    for number, name in enumerate(names):
        repeat, colour = divmod(number, len(colours))
        for turn in shown:
            if turn.entry != name:
                continue
            first = turn is next(t for t in shown if t.entry == name)
            axes.plot(
                *zip(*turn.curve, strict=True),
                color=colours[colour],
                ls=_LINES[repeat % len(_LINES)],
                lw=1.5,
                label=name if first else None,
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
