"""The map of the course, and what links to the glossary, on small made-up courses."""

from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.core import publish_doctree

from tests.conftest import ROOT
from tools.course_map import (
    LONGEST_NAME,
    MAP_WIDTH,
    Chapter,
    chapters,
    neighbours,
    strip,
    whole_map,
)
from tools.glossary_links import EVERYDAY, first_use, pattern, searched, terms


def course(*numbers: str) -> list[Chapter]:
    return [
        Chapter(f"chapters/{n}-x", n, f"Name {n}", f"{n} · Name {n}: more")
        for n in numbers
    ]


def circles(svg: str) -> list[tuple[float, float]]:
    found = BeautifulSoup(svg, "html.parser").find_all("circle")
    return [(float(each["cx"]), float(each["cy"])) for each in found]


# The map -----------------------------------------------------------------------------


def test_every_notebook_is_a_chapter_of_the_course_in_the_order_of_numbers() -> None:
    found = chapters()
    files = {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}
    assert {Path(chapter.page).name for chapter in found} == files
    order = [(chapter.main, chapter.number) for chapter in found]
    assert order == sorted(order)


@pytest.mark.parametrize("draw", [whole_map, lambda c: strip(c, c[0])])
def test_stations_are_links_in_reading_order_and_none_lies_on_another(draw) -> None:
    listed = course("0", "1", "1b", "2", "3", "3b", "3c", "3d", "4", "4b")
    page = BeautifulSoup(draw(listed), "html.parser")
    links = page.find_all("a")
    assert [Path(link["href"]).stem for link in links] == [
        Path(chapter.page).name for chapter in listed
    ]
    assert all(link.title.get_text().startswith("0 Name") for link in links[:1])
    places = circles(draw(listed))
    assert len(places) == len(listed)
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[:i]:
            assert max(abs(x - other_x), abs(y - other_y)) >= 20
    width, height = map(float, page.svg["viewbox"].split()[2:])
    assert all(10 < x < width - 10 and 10 < y < height - 10 for x, y in places)


def test_the_strip_fits_on_a_phone_and_says_where_you_are() -> None:
    found = chapters()
    page = BeautifulSoup(strip(found, found[3]), "html.parser")
    assert float(page.svg["width"]) <= 358
    (here,) = page.select("[aria-current=page]")
    assert Path(here["href"]).stem == Path(found[3].page).name


def test_a_name_that_leaves_the_map_is_refused() -> None:
    long = Chapter("chapters/0b-x", "0b", "x" * (LONGEST_NAME + 1), "0b · x")
    with pytest.raises(ValueError, match="room for"):
        whole_map([*course("0"), long])
    assert MAP_WIDTH <= 360


def test_a_chapter_without_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chapters").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Map")])
    nbformat.write(notebook, tmp_path / "chapters" / "00-map.ipynb")
    toc = "root: index\nchapters: [{file: chapters/00-map}]"
    (tmp_path / "_toc.yml").write_text(toc)
    with pytest.raises(ValueError, match="write '# 3b"):
        chapters(tmp_path)


def test_the_way_on_is_the_next_number_and_what_goes_deeper() -> None:
    listed = course("0", "1", "1b", "1c", "2")
    ways = {c.number: [w.number for _, w in neighbours(c, listed)] for c in listed}
    assert ways == {"0": ["1"], "1": ["2", "1b", "1c"], "1b": ["2", "1c"],
                    "1c": ["2"], "2": []}  # fmt: skip


# The glossary -------------------------------------------------------------------------


def test_everyday_words_are_terms_of_the_glossary() -> None:
    names = {name for term in terms(ROOT / "glossary.md") for name in term.names}
    assert EVERYDAY <= names


TEXT = """
Attention
=========

*Attention* has ``attention`` and self-attention. `Attention`_ is linked,
but attention is not; **keys** are, and a key is not. Attentions again.

.. _Attention: https://example.org
"""


def test_the_first_use_in_prose_is_found() -> None:
    texts = searched(publish_doctree(TEXT))
    by_name = {term.names[0]: term for term in terms(ROOT / "glossary.md")}
    text, match = first_use(texts, by_name["attention"])
    assert text[match.start() :].startswith("attention is not")
    text, match = first_use(texts, by_name["key"])
    assert isinstance(text.parent, nodes.strong) and match[0] == "keys"
    assert first_use(texts, by_name["value"]) is None
    assert not pattern("attention").search("self-attention")
