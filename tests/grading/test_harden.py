"""Harden: one wrong change to a student's own code, with its layout, and a puzzle."""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from typer.testing import CliRunner

from grading import box as boxes
from grading import handins
from grading.chapters import Chapter, chapters_of
from grading.command import app
from grading.edits import ideas, mutants, renamed
from grading.harden import harden
from tests.conftest import WHOLE
from tests.grading.course import filled, made, ours

OWN = '''\
def mean(
    values,  # of any length
    skip=0,
):
    """The mean of what is above zero."""
    kept = [v for v in values[skip:] if v > 0]  # zeros are padding
    if not kept:
        return 0.0
    total = (sum(kept) - skip) * 1
    return total / len(kept)
'''


# Edits --------------------------------------------------------------------------------


def kinds(source: str) -> dict[str, set[str]]:
    """The last lines of all mutants, without white space around them, by kind."""
    result: dict[str, set[str]] = {}
    for edit in mutants(source):
        result.setdefault(edit.kind, set()).add(edit.source.splitlines()[-1].strip())
    return result


@pytest.mark.parametrize(
    ("line", "kind", "changed"),
    [
        ("return x < 1", "comparison", {"return x <= 1"}),
        ("return a is not b", "comparison", {"return a is b"}),
        ("return (a) not in b", "comparison", {"return (a) in b"}),
        ("return x.sum(dim=-1)", "constant", {"return x.sum(dim=-2)",
                                              "return x.sum(dim=-0)"}),
        ("return x.sum(dim=k)", "argument left out", {"return x.sum()"}),
        ("return f((a), keep=k, by=j)", "argument left out",
         {"return f((a), by=j)", "return f((a), keep=k)"}),
        ("return a * (b + c).detach()", "call left out", {"return a * (b + c)"}),
        ("return torch.abs(a + b) * c", "call left out", {"return (a + b) * c"}),
        ("return (a - b) @ c", "swapped operands",
         {"return c @ (a - b)", "return (b - a) @ c"}),
        ("return a * b ** c", "arithmetic",
         {"return a / b ** c", "return a * (b * c)"}),
        ("return f(a, g(b), c)", "swapped operands", {"return f(g(b), a, c)"}),
        ("return x[1:n]", "part left out", {"return x[:n]", "return x[1:]"}),
        ("return [i for i in x if i]", "part left out",
         {"return [i for i in x if True]"}),
        ("return not a and b", "logic", {"return (not a) or b"}),
        ("return rearrange(x, 'b s -> (b s)')", "constant",
         {'return rearrange(x, "s b -> (b s)")',
          'return rearrange(x, "b s -> (s b)")'}),
        ("return x.any(1)", "other function", {"return x.all(1)"}),
        ("return 'ä', a - b", "arithmetic", {"return 'ä', a + b"}),
    ],
)  # fmt: skip
def test_operators(line: str, kind: str, changed: set[str]) -> None:
    assert kinds(f"def f(a, b, c, x, n):\n    {line}")[kind] == changed


def test_an_edit_keeps_the_rest_of_the_text() -> None:
    lines, found = OWN.splitlines(), list(mutants(OWN))
    assert len(found) > 20
    for edit in found:
        its = edit.source.splitlines()
        assert its[: edit.line - 1] == lines[: edit.line - 1]
        rest = len(lines) - edit.line - 1  # the longest statement has two lines
        assert its[len(its) - rest :] == lines[len(lines) - rest :]
        assert ast.dump(ast.parse(edit.source)) != ast.dump(ast.parse(OWN))
    dumps = {ast.dump(ast.parse(edit.source)) for edit in found}
    assert len(dumps) == len(found), "each one once"
    without = [edit for edit in found if edit.kind == "statement left out"]
    assert {len(edit.source.splitlines()) for edit in without} == {8, 9}


def test_messages_and_docstrings_stay() -> None:
    source = (
        "def f(x: int = 1):\n    '''x -> y'''\n    assert x, 'at least 1'\n"
        "    if x:\n        raise ValueError(f'{x + 1}')"
    )
    for edit in mutants(source):
        assert "'''x -> y'''" in edit.source and "int = 1" in edit.source
        assert "f'{x + 1}'" in edit.source or "raise" not in edit.source


MINE = "def f(gap, width):\n    low = gap / width**0.5\n    return low.softmax(-1)"


@pytest.mark.parametrize(
    ("wrong", "own", "changed"),
    [  # in the same words; under other names; with a step less; with one more
        ("def f(g, w):\n    low = g / w\n    return low.softmax(-1)", MINE,
         MINE.replace("**0.5", "")),
        ("def f(g, w):\n    low = g / w\n    return low.softmax(-1)",
         "def f(a, b):\n    y = a / b**0.5\n    return y.softmax(-1)",
         "def f(a, b):\n    y = a / b\n    return y.softmax(-1)"),
        ("def f(g, w):\n    return (g / w).softmax(-1)", MINE,
         MINE.replace("**0.5", "")),
        ("def f(g, w):\n    return (g / w**0.5).softmax(0)",
         "def f(a, b):\n    root = b**0.5\n    y = a / root  # low\n"
         "    return y.softmax(-1)",
         "def f(a, b):\n    root = b**0.5\n    y = a / root  # low\n"
         "    return y.softmax(0)"),
    ],
)  # fmt: skip
def test_listed_ideas_are_done_to_other_code(
    wrong: str, own: str, changed: str
) -> None:
    assert [edit.source for edit in ideas(MINE, wrong, own)] == [changed]


def test_an_idea_that_has_no_place_is_left_out() -> None:
    wrong = MINE.replace("**0.5", "")
    assert not list(ideas(MINE, wrong, "def f(a, b):\n    return a.log() - b"))
    swapped = "def f(a, b):\n    return (b / a**0.5).softmax(-1)"
    assert not list(ideas(MINE, wrong, swapped)), "a and b are not gap and width"


def test_a_definition_is_renamed_where_it_names_itself() -> None:
    source = "@cache\ndef up(n):\n    '''up'''\n    return n and up(n - 1) + x.up"
    assert renamed(source, "up", "up_changed") == (
        "@cache\ndef up_changed(n):\n    '''up'''\n"
        "    return n and up_changed(n - 1) + x.up"
    )
    assert renamed("class A:\n    b = 'A'", "A", "B") == "class B:\n    b = 'A'"


# What has no arguments, and so no case to think of.
NOT_CHANGED = {"01-wordpiece": {"by_hand"}}


# Puzzles ------------------------------------------------------------------------------


def box() -> str:
    for each in reversed(boxes.BOXES):
        if not boxes.missing(each):
            return each
    pytest.skip("no box works here")


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Chapter]:
    """What the command says of three notebooks, and the folder with all of them."""
    folder = tmp_path_factory.mktemp("course")
    chapter, solved = made(folder), folder / "solved"
    (solved / "her").mkdir(parents=True)
    double = "def double(values):\n    # my own way\n    return scale * values"
    wrong = "def ordered(numbers):\n    return numbers"
    copy = filled(chapter, ours(chapter) | {"double": double, "ordered": wrong})
    copy.cells.append(new_code_cell("def show_Drawer(Drawer):\n    pass"))
    nbformat.write(copy, solved / "her" / "work.ipynb")
    (solved / "torn.ipynb").write_text("{")
    nbformat.write(filled(chapter, {}), solved / "blank.ipynb")
    out = folder / "out"
    line = ["harden", str(solved), str(out), "--set", str(folder), "--box", box()]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    return done.output, folder, chapter


def test_what_the_command_says(hardened: tuple[str, Path, Chapter]) -> None:
    said, folder, _ = hardened
    assert "0.1 double: changed, and its check passes\n" in said
    assert "0.2 ordered: it does not pass yet, case 2 of 3" in said
    assert "0.3" not in said, "it has a puzzle for this one already"
    assert "0.4 test_doubler: changed, and its check passes\n" in said
    assert "not a notebook that can be read" in said and "nothing to write" in said
    assert [path.name for path in (folder / "out").rglob("*.*")] == ["work.ipynb"]


def run(notebook: NotebookNode, show: str, call: str) -> str:
    """Run the notebook with a student's answer to one puzzle; what `found` says."""
    names: dict = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and show not in cell.source:
            if not {"found(", "passed("} & set(re.findall(r"\w+\(", cell.source)):
                exec(cell.source, names)
        elif cell.cell_type == "code":
            *definition, last = cell.source.splitlines()
            answer = "\n".join(definition).replace(
                'raise NotImplementedError("your turn")', call
            )
            exec(answer, names)
            return str(eval(last, names))
    raise AssertionError(f"no cell has {show}")


def test_a_puzzle_can_be_solved(hardened: tuple[str, Path, Chapter]) -> None:
    _, folder, chapter = hardened
    notebook = nbformat.read(folder / "out" / "her" / "work.ipynb", as_version=4)
    changed = next(c.source for c in notebook.cells if "double_changed" in c.source)
    assert "    # my own way\n" in changed
    blank = 'raise NotImplementedError("your turn")'
    with pytest.raises(NotImplementedError):
        run(notebook, "show_double(", blank)
    with pytest.raises(AssertionError, match="both give tensor"):
        run(notebook, "show_double(", "return double(torch.tensor([1.0]))")
    call = "return double(torch.tensor([3.0, -7.0]))"
    assert "0.1 found: yours gives tensor" in run(notebook, "show_double(", call)
    # Some candidate tells the two tests apart: the change was rejected for one.
    maker = (
        "lambda x: 2 * x.abs()",
        "lambda x: x",
        "lambda x: x + x + 1e-3",
        "Doubler()",
    )
    said = []
    for each in maker:
        try:
            said.append(run(notebook, "show_test_doubler(", f"test_doubler({each})"))
        except AssertionError as error:
            assert "both give" in str(error)
    assert said and "0.4 found" in said[0]
    before = filled(chapter, {}).cells
    assert len(notebook.cells) == len(before) + 1 + 2 + 2 * 3


@pytest.mark.skipif(not WHOLE, reason="minutes: BERTCORE_WHOLE=1 runs it, weekly")
@pytest.mark.parametrize("name", list(chapters_of()))
def test_our_own_solutions_get_a_change(name: str, tmp_path: Path) -> None:
    chapter = chapters_of()[name]
    handin = handins.read(chapter.path, chapter.path.parent, {name: chapter})
    workers = os.cpu_count() or 1
    ((_, said),) = harden([handin], {name: chapter}, tmp_path, box(), 30, workers)
    changed = {line.split()[1][:-1] for line in said if ": changed" in line}
    assert set(chapter.tasks) - changed == NOT_CHANGED.get(name, set()), said


def test_nothing_is_overwritten(hardened: tuple[str, Path, Chapter]) -> None:
    _, folder, _ = hardened
    notebook, out = folder / "solved" / "her" / "work.ipynb", folder / "out" / "her"
    before = (out / "work.ipynb").read_bytes()
    line = ["harden", str(notebook), str(out), "--set", str(folder), "--box", box()]
    done = CliRunner().invoke(app, line)
    assert "is there already, and stays as it is" in done.output
    assert (out / "work.ipynb").read_bytes() == before
