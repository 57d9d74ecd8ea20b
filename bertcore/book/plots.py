"""Plots: one palette and one way to show a figure, in light and in dark, with words.

A figure becomes an inline SVG whose text and axes take the colour of the page, so one
picture serves both themes, and whose alternative text is a required argument.
"""

import html
import io
import re
from collections.abc import Sequence
from hashlib import sha256

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Each colour has a contrast of 3.5 or more on white and on the dark page (WCAG asks 3
# of graphics); the order keeps neighbours apart for colour-blind readers.
PALETTE = {
    "blue": "#2f7fd0",
    "orange": "#c96a00",
    "green": "#14946b",
    "pink": "#d1477a",
    "purple": "#a35bc7",
    "grey": "#7d7d7d",
}
BLUE, ORANGE, GREEN, PINK, PURPLE, GREY = PALETTE.values()

# In inches. A wider figure is not shrunk to a phone's width but scrolls there.
WIDE = 6.0

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=list(PALETTE.values())),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
}


class Picture:
    """A figure as a notebook shows it: inline SVG with its alternative text."""

    def __init__(self, svg: str, alt: str, caption: str, wide: bool) -> None:
        self.svg, self.alt, self.caption, self.wide = svg, alt, caption, wide

    def _repr_html_(self) -> str:
        words = f"<figcaption>{html.escape(self.caption)}</figcaption>"
        kind = "bertcore-figure wide" if self.wide else "bertcore-figure"
        return (
            f'<figure class="{kind}" style="margin: 1em 0">{self.svg}'
            f"{words if self.caption else ''}</figure>"
        )

    def __repr__(self) -> str:
        return f"[picture: {self.alt}]"


def panels(
    width: float = 7.0, height: float = 3.0, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, and its axes in reading order."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def show(figure: Figure, alt: str, caption: str = "") -> Picture:
    """The figure as a picture; make it the last line of a cell.

    Args:
        figure: from `panels`; up to 6 inches wide it is legible on a phone.
        alt: what the picture shows, for those who cannot see it: the finding, not
            the file.
        caption: a line below, for everyone.

    Raises:
        ValueError: if the alternative text is too short to say anything.
    """
    if len(alt.split()) < 5:
        raise ValueError(
            f"alt={alt!r} tells a reader who cannot see the picture too little; "
            "say in a sentence what it shows"
        )
    for axes in figure.axes:
        if axes.get_legend():
            axes.get_legend().set_frame_on(False)
    text = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": alt}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    wide = figure.get_figwidth() > WIDE
    return Picture(_inline(text.getvalue(), alt), alt, caption, wide)


class Strip:
    """Boxes in a row that wraps on a narrow page: real text, no picture."""

    def __init__(
        self, labels: Sequence[str], notes: Sequence[str], colours: Sequence[str]
    ):
        self.boxes = list(zip(labels, notes, colours, strict=True))

    def _repr_html_(self) -> str:
        items = "".join(
            f'<li style="display: inline-block; margin: 2px; padding: 2px 7px; '
            f"border: 1.5px solid {colour}; border-radius: 4px; text-align: center; "
            f'background: {colour}22"><code style="background: none; border: 0; '
            f'color: inherit; padding: 0">{html.escape(label)}</code><br>'
            f"<small>{html.escape(note)}</small></li>"
            for label, note, colour in self.boxes
        )
        return f'<ul style="list-style: none; padding: 0; margin: 1em 0">{items}</ul>'

    def __repr__(self) -> str:
        return " ".join(f"{label}/{note}" for label, note, _ in self.boxes)


def strip(labels: Sequence[str], notes: Sequence[object]) -> Strip:
    """Pieces in a row, each over a note such as its id.

    Special tokens are grey, and a continuation (`##`) takes the colour of the piece
    that it continues.
    """
    colours: list[str] = []
    words = 0
    for label in labels:
        if label.startswith("##") and colours:
            colours.append(colours[-1])
            continue
        words += 1
        special = label.startswith("[") and label.endswith("]")
        colours.append(GREY if special else (BLUE, GREEN)[words % 2])
    return Strip(labels, [str(note) for note in notes], colours)


def heatmap(
    axes: Axes,
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float] | None = None,
    numbers: str | None = None,
) -> None:
    """A matrix as coloured cells with named rows and columns.

    `numbers` is a format such as ".2f" to write each value into its cell, which is
    done only where there is room for it, up to 16 columns.

    Raises:
        ValueError: if there is not one name for each row and each column.
    """
    shape = len(values), len(values[0])
    if shape != (len(rows), len(columns)):
        raise ValueError(
            f"{len(rows)} row names and {len(columns)} column names for a matrix of "
            f"{shape[0]} × {shape[1]}; give each row and each column its name"
        )
    low, high = limits or (min(map(min, values)), max(map(max, values)))
    # Cells with edges rather than an image: they stay sharp in SVG at any size.
    axes.pcolormesh(values, cmap="cividis", vmin=low, vmax=high, ec=GREY, lw=0.5)
    axes.set_xticks(
        [j + 0.5 for j in range(shape[1])], columns, rotation=45, ha="right"
    )
    axes.set_yticks([i + 0.5 for i in range(shape[0])], rows)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if numbers is None or shape[1] > 16:
        return
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            bright = value - low > 0.55 * (high - low)
            colour = "#111111" if bright else "#f2f2f2"
            centred = {"ha": "center", "va": "center"}
            axes.text(j + 0.5, i + 0.5, format(value, numbers), c=colour, **centred)


def image(
    axes: Axes,
    values: Sequence[Sequence[float]],
    limits: tuple[float, float] | None = None,
) -> None:
    """A large matrix as a picture, one dot per value, in the colours of `heatmap`."""
    low, high = limits or (None, None)
    axes.imshow(values, cmap="cividis", vmin=low, vmax=high, interpolation="none")
    axes.spines[:].set(visible=True, color=GREY)  # its dark dots end on a dark page
    axes.tick_params(length=0)


def bars(
    axes: Axes,
    labels: Sequence[str],
    values: Sequence[float],
    colours: str | Sequence[str] = BLUE,
    numbers: str = ".2f",
) -> None:
    """Horizontal bars, first label on top, each with its value written beside it."""
    axes.barh(range(len(values)), values, color=colours, height=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks([])
    reach = max(max(values), 0) or 1
    axes.set_xlim(min(0, min(values)), reach * 1.12)
    for i, value in enumerate(values):
        axes.text(max(value, 0) + reach * 0.01, i, format(value, numbers), va="center")


def _inline(svg: str, alt: str) -> str:
    """An SVG file's text made fit to stand inside a page.

    matplotlib writes black lines as #000000 and leaves black fills out, so black
    becomes the colour of the page's text.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = svg.replace("#000000", "currentColor")
    width = re.search(r'width="([\d.]+)pt"', svg)[1]
    # Names are page-wide in HTML: two pictures must not share them.
    prefix = "p" + sha256((svg + alt).encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|xlink:href=")#', rf"\g<1>#{prefix}-", svg)
    label = html.escape(alt, quote=True)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    style = (
        f"max-width: 100%; height: auto; width: {float(width) * 4 / 3:.0f}px; "
        "stroke-linejoin: round"
    )
    opening = (
        f'<svg role="img" aria-label="{label}" fill="currentColor" style="{style}" '
    )
    return svg.replace("<svg ", opening, 1)
