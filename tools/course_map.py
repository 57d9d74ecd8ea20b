"""The course on one picture: the main line, what goes deeper, and where you are.

The picture is drawn from the table of contents and the chapters' own titles when the
book is built, so it cannot show a chapter that is not there. Every station is a link,
which the keyboard reaches in reading order.
"""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml

from tools.check_site import toc_files

ROOT = Path(__file__).resolve().parent.parent
TITLE = re.compile(r"# (?P<number>\d+[a-z]?) · (?P<name>[^:\n]+)(?:: (?P<rest>.+))?")
RADIUS = 12.5  # a target of 25 pixels: WCAG 2.2 asks 24
STRIP_STEP = 29.5  # twelve stations fit into a phone's 360 pixels
# The whole map: the two columns of circles, the gap from circle to name, and a row.
MAIN_X, DEEPER_X, NAME, ROW = 16, 160, 20, 42
MAP_WIDTH = 360
LONGEST_NAME = 25  # of a deeper chapter, in characters; a longer one leaves the map


class Chapter(NamedTuple):
    """A chapter as the table of contents has it.

    Attributes:
        page: its address without suffix, such as "chapters/03b-attention-pictures".
        number: "3b"; `name`: "Attention pictures"; `title`: both, and what follows.
    """

    page: str
    number: str
    name: str
    title: str

    @property
    def is_deeper(self) -> bool:
        """Whether it is optional, and has a letter for it."""
        return not self.number.isdigit()

    @property
    def main(self) -> int:
        """The number of the main line's chapter, its own or the one it deepens."""
        return int(self.number.rstrip("abcdefgh"))


def chapters(root: Path = ROOT) -> list[Chapter]:
    """All chapters, in reading order.

    Raises:
        ValueError: if a chapter's first line is no title with number and name.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    found = []
    for page in toc_files(toc):
        if page.startswith("chapters/"):
            cells = nbformat.read(root / f"{page}.ipynb", as_version=4).cells
            line = cells[0].source.splitlines()[0]
            if (match := TITLE.fullmatch(line)) is None:
                raise ValueError(
                    f"{page} begins with {line!r}; write '# 3b · Name: what it does'"
                )
            title = line.removeprefix("# ")
            found.append(Chapter(page, match["number"], match["name"], title))
    return found


def neighbours(here: Chapter, course: Sequence[Chapter]) -> list[tuple[str, Chapter]]:
    """Where a reader may go on: what it leads to in words, with the chapter."""
    deeper = [
        ("Deeper, if you like", chapter)
        for chapter in course
        if chapter.is_deeper
        and chapter.main == here.main
        and course.index(chapter) > course.index(here)
    ]
    following = [c for c in course if not c.is_deeper and c.main == here.main + 1]
    return [*(("Next", chapter) for chapter in following), *deeper]


# The whole map ------------------------------------------------------------------------


def whole_map(course: Sequence[Chapter], prefix: str = "") -> str:
    """The map of the front page: every station with its name.

    Args:
        course: from `chapters`.
        prefix: what leads from the page to the book's root, such as "../".

    Raises:
        ValueError: if a name is too long for its place.
    """
    parts, lines, heights = [], [], []
    y = RADIUS + 2  # of the next station of the main line
    branched = False
    for chapter in course:
        if not chapter.is_deeper:
            parts.append(_station(chapter, MAIN_X, y, prefix, named=True))
            heights.append(y)
            y += ROW
            branched = False
            continue
        if len(chapter.name) > LONGEST_NAME:
            raise ValueError(
                f"chapter {chapter.number} is called {chapter.name!r}; the map has "
                f"room for {LONGEST_NAME} characters before the colon"
            )
        if branched:  # a second one needs a row of its own
            y += ROW
        branched = True
        # It branches off half a row below its station, under that one's name.
        side = y - ROW / 2
        path = f"M{MAIN_X} {side - 10} q0 10 10 10 H{DEEPER_X}"
        lines.append(f'<path d="{path}" class="deeper"/>')
        parts.append(_station(chapter, DEEPER_X, side, prefix, named=True))
    lines.append(f'<path d="M{MAIN_X} {heights[0]} V{heights[-1]}" class="main"/>')
    height = y - ROW / 2 + RADIUS + 4
    return _picture("whole", MAP_WIDTH, height, lines, parts, _alt(course))


def _alt(course: Sequence[Chapter]) -> str:
    """The map in a sentence."""
    main = [chapter for chapter in course if not chapter.is_deeper]
    deeper = [chapter for chapter in course if chapter.is_deeper]
    listed = ", ".join(f"{chapter.number} from {chapter.main}" for chapter in deeper)
    return (
        f"Map of the course: a line from chapter {main[0].number}, {main[0].name}, to "
        f"chapter {main[-1].number}, {main[-1].name}, and {len(deeper)} optional "
        f"chapters that branch off from it: {listed}."
    )


# The strip ----------------------------------------------------------------------------


def strip(course: Sequence[Chapter], here: Chapter) -> str:
    """The small map on top of a chapter: numbers alone, and where you are.

    The links suppose that all chapters lie in one folder.
    """
    parts, lines, below, width = [], [], {}, 0.0
    main = [chapter for chapter in course if not chapter.is_deeper]
    for chapter in course:
        x = RADIUS + 2 + STRIP_STEP * chapter.main
        row = below[chapter.main] = below.get(chapter.main, -1) + 1
        y = RADIUS + 2 + STRIP_STEP * row
        if row:
            path = f'<path d="M{x} {y - STRIP_STEP} V{y}" class="deeper"/>'
            lines.append(path)
        parts.append(_station(chapter, x, y, "", named=False, here=chapter is here))
        width = max(width, x + RADIUS + 2)
    start, end = (RADIUS + 2 + STRIP_STEP * c.main for c in (main[0], main[-1]))
    lines.append(f'<path d="M{start} {RADIUS + 2} H{end}" class="main"/>')
    height = 2 * RADIUS + 4 + STRIP_STEP * max(below.values())
    alt = f"Small map of the course; you are at chapter {here.number}, {here.name}."
    return _picture("strip", width, height, lines, parts, alt)


# Parts of both ------------------------------------------------------------------------


def _station(
    chapter: Chapter,
    x: float,
    y: float,
    prefix: str,
    named: bool,
    here: bool = False,
) -> str:
    """A circle with its number, beside its name if it has room, and both a link."""
    address = f"{prefix}{chapter.page}" if named else Path(chapter.page).name
    optional = " (optional)" if chapter.is_deeper else ""
    kind = " ".join(["deeper" if chapter.is_deeper else "main", *["here"] * here])
    number = "number long" if len(chapter.number) > 2 else "number"
    words = [f'<text x="{x}" y="{y + 4.5}" class="{number}">{chapter.number}</text>']
    if named:
        place = f'x="{x + NAME}" y="{y + 5}"'
        words.append(f'<text {place} class="name">{escape(chapter.name)}</text>')
    return (
        f'<a href="{address}.html" class="{kind}"{" aria-current=page" * here}>'
        f"<title>{chapter.number} {escape(chapter.title.partition(' · ')[2])}"
        f'{optional}</title><circle cx="{x}" cy="{y}" r="{RADIUS}"/>'
        f"{' '.join(words)}</a>"
    )


def _picture(
    kind: str,
    width: float,
    height: float,
    lines: Sequence[str],
    stations: Sequence[str],
    alt: str,
) -> str:
    """The SVG, in a landmark that can be skipped."""
    return (
        f'<nav class="course-map {kind}" aria-label="Map of the course">'
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="group" aria-label="{escape(alt)}">'
        f"{''.join(lines)}{''.join(stations)}</svg></nav>"
    )
