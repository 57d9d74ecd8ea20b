"""Copies are found whatever was changed on them, and strangers are not."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grading import handins, results
from grading.chapters import Chapter
from grading.handins import Handin
from grading.similarity import LEAST_SHARE, canonical, similar
from tests.grading.course import filled, made, ours

# Two right ways, each longer than ours.
BY_HAND = {
    "ordered": '''def ordered(numbers: list) -> list:
    """Insertion sort."""
    result = []
    for number in numbers:
        place = 0
        while place < len(result) and result[place] < number:
            place += 1
        result.insert(place, number)
    return result''',
    "Drawer": """class Drawer:
    def __init__(self, most):
        self.highest = most

    def draw(self, generator, out):
        drawn = int(generator.random() * self.highest) + 1
        out += [drawn]
        return drawn""",
}
BY_LIBRARY = {
    "ordered": """import heapq

def ordered(numbers):
    heap = list(numbers)
    heapq.heapify(heap)
    return [heapq.heappop(heap) for _ in range(len(heap))]""",
    "Drawer": """class Drawer:
    def __init__(self, most):
        self.choices = range(1, 1 + most)

    def draw(self, generator, out):
        out.append(generator.choice(self.choices))
        return out[-1]""",
}
NAMES = {"result": "found", "number": "n", "place": "i", "highest": "m", "drawn": "it"}


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return made(tmp_path_factory.mktemp("course"))


def handin(chapter: Chapter, folder: Path, name: str, cells: list[str]) -> Handin:
    path = folder / f"{name}.ipynb"
    copy = filled(chapter, {})  # what the chapter gives is in all of them
    copy.cells += new_notebook(cells=[new_code_cell(each) for each in cells]).cells
    nbformat.write(copy, path)
    return handins.read(path, folder, {chapter.name: chapter})


def renamed(source: str) -> str:
    """With other names, comments and annotations, and no docstring."""
    source = re.sub(r'\n    """.*?"""', "", source)
    for old, new in NAMES.items():
        source = re.sub(rf"\b{old}\b", new, source)
    source = source.replace("numbers: list) -> list", "xs)").replace("numbers", "xs")
    return "# my own idea\n" + source.replace(" = ", "  =  ")


def test_copies_are_found_and_strangers_are_not(
    chapter: Chapter, tmp_path: Path
) -> None:
    hand, library = list(BY_HAND.values()), list(BY_LIBRARY.values())
    copied = [renamed(source) for source in reversed(hand)]
    assert "result" not in "".join(copied) and copied != hand[::-1]
    found = [
        handin(chapter, tmp_path, "ann", hand),
        handin(chapter, tmp_path, "bob", copied),
        handin(chapter, tmp_path, "cat", library),
        handin(chapter, tmp_path, "dan", [hand[0], library[1]]),
        *(handin(chapter, tmp_path, f"book{n}", [*ours(chapter).values()])
          for n in (1, 2)),
        handin(chapter, tmp_path, "blank", []),
    ]  # fmt: skip
    pairs = similar(found, chapter)
    assert pairs[0][:4] == ("ann", "bob", 1.0, 1.0)
    assert pairs[0].exercises == ["ordered", "Drawer"]
    others = {pair[:2]: pair.exercises for pair in pairs[1:]}
    assert others == {("ann", "dan"): ["ordered"], ("bob", "dan"): ["ordered"],
                      ("cat", "dan"): ["Drawer"]}  # fmt: skip
    table = results.write_similar(tmp_path, {chapter.name: pairs})
    head, first, *_ = table.read_text().splitlines()
    assert head == "chapter,first,second,first in second,second in first,exercises"
    assert first == "00-mini,ann,bob,1.00,1.00,ordered Drawer"


def test_what_most_of_a_class_shares_does_not_count(
    chapter: Chapter, tmp_path: Path
) -> None:
    """Three who share one way are told; in a class that goes that way nobody is."""
    same = [handin(chapter, tmp_path, f"s{n}", [*BY_HAND.values()]) for n in range(6)]
    assert len(similar(same[:3], chapter)) == 3
    assert not similar(same, chapter)


def test_the_canonical_form() -> None:
    one = canonical("def f(a: int, b=2) -> int:\n    'x'\n    c: int = a.d\n", {"f"})
    assert one == "def f(v, v=2):\n    v = v.d"
    assert canonical("def f():\n    'x'", {"f"}) == "def f():\n    pass"
    assert canonical("x: int\ny = f'{x} a'", set()) == "v = f'{v}s'"
    assert canonical("torch.softmax(q, dim=-1)", set()) == "torch.softmax(q, dim=-1)"
    assert 0 < LEAST_SHARE < 1


def test_code_that_is_nested_too_deep_stops_nothing(
    chapter: Chapter, tmp_path: Path
) -> None:
    deep = "def double(values):\n    return values" + ".a" * 900
    found = [handin(chapter, tmp_path, name, [deep]) for name in "ab"]
    assert all(each.sources for each in found)
    similar(found, chapter)
