"""The grader on real chapters: what is right gets all points, what is wrong none."""

import ast
import os
from pathlib import Path

import nbformat
import pytest

from grading import box as boxes
from grading.chapters import Chapter, chapters_of, release
from grading.sweep import sweep
from tests.conftest import WHOLE
from tools.student import tags

SECRET = "the seed of a test"
PLAIN = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
# What these exercises need is imported or defined; nothing has to be trained for them.
QUICK = ["01-wordpiece", "09c-your-own-words"]


def without_runs(chapter: Chapter, folder: Path) -> Chapter:
    """The chapter in a grading set, with nothing but definitions in given cells."""
    release([chapter], folder)
    path = folder / "grading-set" / "chapters" / chapter.path.name
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and not {"exercise", "check"} & set(tags(cell)):
            kept = [n for n in ast.parse(cell.source).body if isinstance(n, PLAIN)]
            cell.source = "\n\n".join(map(ast.unparse, kept))
    nbformat.write(notebook, path)
    return Chapter(path)


def box() -> str:
    for each in reversed(boxes.BOXES):
        if not boxes.missing(each):
            return each
    pytest.skip("no box works here")


@pytest.mark.parametrize("name", QUICK)
def test_right_and_wrong_solutions(name: str, tmp_path: Path) -> None:
    chapter = without_runs(chapters_of()[name], tmp_path / "out")
    swept = sweep(chapter, SECRET, box(), workers=2)
    assert swept.faults == []
    assert swept.exercises == len(chapter.tasks) and swept.wrong > 30
    assert swept.killed == swept.wrong and swept.passed == swept.right
    assert swept.named > 0.8 * swept.wrong, "their ideas are recognised"


@pytest.mark.skipif(not WHOLE, reason="minutes: BERTCORE_WHOLE=1 runs it, weekly")
@pytest.mark.parametrize("name", list(chapters_of()))
def test_whole_chapters(name: str) -> None:
    chapter = chapters_of()[name]
    if chapter.is_graded:
        swept = sweep(chapter, SECRET, box(), os.cpu_count() or 1)
        assert swept.faults == [] and swept.killed == swept.wrong
