"""A course of one small chapter, which takes no time, and hand-ins for it."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.chapters import Chapter
from tools.student import student_copy, tags
from tools.tested_copy import exercise_names

GIVEN = """\
import random
import torch
from torch import nn
from bertcore.book.checks import passed

scale = torch.tensor(2.0)


class Doubler(nn.Module):
    def forward(self, x):
        return scale * x
"""
SOLUTIONS = {
    "double": (
        "def double(values: torch.Tensor) -> torch.Tensor:\n"
        "    '''Twice the values.'''\n    return scale * values",
        "assert double(torch.ones(1)) == 2\npassed('0.1', 3)",
    ),
    "ordered": (
        "def ordered(numbers: list) -> list:\n    '''Sort, and keep the given.'''\n"
        "    return sorted(numbers)",
        "assert ordered([2, 1]) == [1, 2]\npassed('0.2', 2)",
    ),
    "Drawer": (
        "class Drawer:\n    def __init__(self, most):\n        self.most = most\n\n"
        "    def draw(self, generator, out):\n"
        "        out.append(generator.randint(1, self.most))\n"
        "        return out[-1]",
        "assert Drawer(1).draw(random.Random(), []) == 1\npassed('0.3', 2)",
    ),
    "test_doubler": (
        "def test_doubler(candidate) -> None:\n    x = torch.tensor([1.5, -3.0])\n"
        "    assert torch.equal(candidate(x), 2 * x)",
        "test_doubler(Doubler())\npassed('0.4', 1)",
    ),
}
EXERCISES = """\
import random
import torch
from instructors.grading import Exercise, accepts


def values(seed, given):
    numbers = torch.Generator().manual_seed(seed)
    return [(torch.randn(n, 3, generator=numbers),) for n in (1, 2, 5)]


def lists(seed, given):
    draw = random.Random(seed)
    return [([draw.randint(1, 99) for _ in range(n)],) for n in (0, 4, 9)]


def verdict(solution, numbers):
    before = list(numbers)
    found = solution(numbers)
    return {"in order": all(a <= b for a, b in zip(found, found[1:])),
            "the same": sorted(found) == sorted(before),
            "kept": numbers == before}


def drawn(seed, given):
    return [(random.Random(seed), most) for most in (6, 100)]


def fair(solution, generator, most):
    drawer, before, out = solution(most), generator.getstate(), []
    found = [drawer.draw(generator, out) for _ in range(9)]
    return {"in range": all(1 <= n <= most for n in found),
            "noted": found == out, "drew": generator.getstate() != before}


def candidates(seed, given):
    faulty = [lambda x: x + x + 1e-3, lambda x: 2 * x.abs(), lambda x: x]
    random.Random(seed).shuffle(faulty)
    return [(each,) for each in (given["Doubler"](), *faulty)]


EXERCISES = {
    "double": Exercise(values),
    "ordered": Exercise(lists, verdict),
    "Drawer": Exercise(drawn, fair),
    "test_doubler": Exercise(candidates, accepts),
}
"""
WRONG = '''\
WRONG = {
    "double": [
        # the square
        """
def double(values):
    return values**2
""",
        # one is added
        """
def double(values):
    return 1 + values
""",
    ],
    "ordered": [
        # the given list is sorted itself
        """
def ordered(numbers):
    numbers.sort()
    return numbers
""",
        # from the largest down
        """
def ordered(numbers):
    return sorted(numbers, reverse=True)
""",
    ],
    "Drawer": [
        # always the same
        """
class Drawer:
    def __init__(self, most):
        pass

    def draw(self, generator, out):
        out.append(1)
        return 1
""",
    ],
    "test_doubler": [
        # negative numbers are forgotten
        """
def test_doubler(candidate):
    assert candidate(torch.tensor(2.0)) == 4
""",
    ],
}
'''

RIGHT = '''\
RIGHT = {
    "double": [
        # a sum
        """
def double(values):
    return values + values
""",
        # a function of its own, and an import
        """
from operator import mul as product


def times(number, values):
    return product(number, values)


def double(values):
    return times(2, values)
""",
    ],
    "ordered": [
        # a copy is sorted in place
        """
def ordered(numbers):
    copy = list(numbers)
    copy.sort()
    return copy
""",
    ],
}
'''


def made(folder: Path) -> Chapter:
    """The chapter 00-mini in a folder that looks like the repository."""
    cells = [new_code_cell(GIVEN)]
    for number, (solution, check) in enumerate(SOLUTIONS.values(), start=1):
        hint = f"<details><summary>Hint</summary>\n\nThink of {number}.\n\n</details>"
        cells.append(new_markdown_cell(hint, metadata={"tags": ["hint"]}))
        about = {"tags": ["exercise"], "points": (3, 2, 2, 1)[number - 1]}
        cells.append(new_code_cell(solution, metadata=about))
        cells.append(new_code_cell(check, metadata={"tags": ["check"]}))
    files = {"exercises": EXERCISES, "wrong": WRONG, "right": RIGHT}
    for kind, source in files.items():
        file = folder / "instructors" / kind / "mini_00.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf8")
    path = folder / "chapters" / "00-mini.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return Chapter(path)


def filled(chapter: Chapter, solutions: dict[str, str]) -> NotebookNode:
    """A student's copy in which some exercises are done."""
    copy = student_copy(chapter.notebook)
    for cell in copy.cells:
        if "exercise" in tags(cell):
            (name,) = exercise_names(cell)
            cell.source = solutions.get(name, cell.source)
    return copy


def ours(chapter: Chapter) -> dict[str, str]:
    """Our solutions by name."""
    return {
        exercise_names(cell)[0]: cell.source
        for cell in chapter.notebook.cells
        if "exercise" in tags(cell)
    }
