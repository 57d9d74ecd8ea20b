"""The run of the chapters: each kind of fault in a tiny chapter, and what is said."""

import re
import sys
from pathlib import Path
from unittest.mock import patch

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.run_chapters import (
    Failed,
    Machine,
    build_wheel,
    fill_cache,
    in_a_row,
    side_by_side,
)
from tools.sync import NEEDS
from tools.tested_copy import (
    _decide_graded,
    case_modules,
    exercises_of,
    passing_solutions,
    right_solutions,
)

Wrong = dict[str, list[str]]

EXERCISES = [
    ("import numpy as np", "bootstrap"),
    ("def double(x):\n    return 2 * x", "exercise"),
    ("assert double(5) == 10", "check"),
    ("def half(x):\n    return x / 2", "exercise"),
    ("assert half(6) == 3", "check"),
]
WRONG = {
    "double": ["def double(x):\n    return x + 3", "def double(x):\n    return x * 3"],
    "half": ["def half(x):\n    return x // 4"],
}
RIGHT = {"double": ["def double(x):\n    return x + x"]}
DRAWN = """
from instructors.grading import Exercise, accepts, call

EXERCISES = {
    "double": Exercise(lambda seed, given: [(given["np"].float64(seed),), (4.5,)]),
    "half": Exercise(lambda seed, given: [(seed - 1.5,)]),
}
"""
CLAIMS = "x = np.ones((2, 3))  # b s\ny = x.T  # s b"


def tiny(
    folder: Path,
    *given: str,
    wrong: Wrong = WRONG,
    right: Wrong = RIGHT,
    kept: str = "4\n",
    drawn: str = "",
    passing: str = "{}",
    **new: str,
) -> Path:
    """A chapter with two exercises, with more cells, and with other checks."""
    cells = []
    for source, tag in EXERCISES:
        cell = new_code_cell(new.get(source.split("(")[0], source))
        cell.metadata["tags"] = [tag]
        cells.append(cell)
    cells[1:1] = map(new_code_cell, given)
    printed = new_code_cell("print(2 + 2)", execution_count=1)
    printed.metadata["tags"] = ["nbval-check-output"]
    printed.outputs = [new_output("stream", name="stdout", text=kept)]
    path = folder / "chapters" / "00-tiny.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=[*cells, printed]), path)
    listed = f"PASS_THE_VISIBLE_CHECK = {passing}"
    files = {"wrong": f"WRONG = {wrong!r}\n{listed}", "right": f"RIGHT = {right!r}"}
    for kind, text in (files | ({"exercises": drawn} if drawn else {})).items():
        file = folder / "instructors" / kind / "tiny_00.py"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf8")
    return path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    home = tmp_path_factory.mktemp("run")
    (home / "source").mkdir()
    return Machine(home / "machine", wheel=build_wheel(home / "source"))


def said_of(machine: Machine, chapter: Path) -> str:
    """What the test of a chapter says; nothing if it passes."""
    machine.home = chapter.parent
    try:
        with patch.dict(NEEDS, {chapter.stem: ""}):
            machine.test(chapter)
    except Failed as error:
        return str(error)
    return ""


def test_a_sound_chapter_passes(machine: Machine, tmp_path: Path) -> None:
    assert said_of(machine, tiny(tmp_path, CLAIMS)) == ""


def test_faults_of_cells_are_caught(machine: Machine, tmp_path: Path) -> None:
    outside = "from tests.conftest import ROOT", "import tools.sync", "assert 1 == 2"
    claims = f"{CLAIMS}\nif y is x:\n    z = x  # b s"
    said = said_of(machine, tiny(tmp_path, claims.replace("s b", "b s"), *outside,
                                 kept="5\n"))  # fmt: skip
    for wanted in (
        "No module named 'tests'",
        "No module named 'tools'",
        "assert 1 == 2",
        "cell 1:2: y claims `b s`, but its shape is (3, 2) and b is 2",
        "cell 1:4: z claims `b s`, but no run met it",
        r"'5\n' == '4\n'",
        "5 failed",
    ):
        assert wanted in said


def test_faults_of_checks_are_caught(machine: Machine, tmp_path: Path) -> None:
    """Checks that let a wrong solution pass, or depend on another exercise."""
    checks = {"assert double": "double", "assert half": "assert half(double(4)) == 4"}
    right = {"half": ["def half(x):\n    return x + 1"]}
    said = said_of(machine, tiny(tmp_path, right=right, **checks))
    for wanted in (
        "the checks of double let this pass:def double(x):\n    return x + 3",
        "the checks of double let this pass:def double(x):\n    return x * 3",
        "the checks of half fail for this double:def double(x):\n    return x + 3",
        "the checks of double pass in a student's copy",
        "the checks of half reject what is right:def half(x):\n    return x + 1",
    ):
        assert re.sub(r"\s+", " ", wanted) in re.sub(r"\s+", " ", said)


# Ten wrong solutions, of which one may pass the check; double(5) and seeds are drawn.
TEN = {**WRONG, "double": [f"def double(x): return x + {n}" for n in range(10)]}


def test_cases_decide_in_the_kernel(machine: Machine, tmp_path: Path) -> None:
    path = tiny(tmp_path, wrong=TEN, passing="{'double': [5]}", drawn=DRAWN)
    assert said_of(machine, path) == ""


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"passing": "{'double': [5]}"}, []),
        (
            {"drawn": DRAWN.replace(", (4.5,)", ""), "assert double": "double"},
            [
                "the cases of double of seed 0 let pass:def double(x): return x + 0",
                "the cases of double of seed 1 let pass:def double(x): return x + 1",
                "the check of double passes in a student's copy",
                "wrong solutions [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] of double pass its "
                "check, and PASS_THE_VISIBLE_CHECK lists []",
                "checks let 10 of 11 pass: at most one in ten may",
            ],
        ),
        (
            {
                "def half": "def half(x):\n    return double(x) / 4",
                "passing": "{'double': [5], 'half': [0]}",
            },
            [
                "the check of half rejects our solution, others being blank",
                "wrong solutions [] of half pass its check, and "
                "PASS_THE_VISIBLE_CHECK lists [0]",
            ],
        ),
        (
            {
                "drawn": DRAWN.replace('"half"', '"third"'),
                "def double": "def double(x):\n    return 2 * x + np.random.rand()",
            },
            [
                "EXERCISES and the chapter's coded exercises differ in {'",
                "our double differs from itself with seed 2: case 1 of 2, double(",
            ],
        ),
        (
            {
                "passing": "{'double': [5]}",
                "right": {
                    "double": [
                        "def double(x): return 2 * x",
                        "def double(x): return 2 * int(x)",
                    ],
                    "half": ["def half(x): return double(x) / 4"],
                },
            },
            [
                "the cases of double of seed 1 reject what is right, case 2 of 2, "
                "double(4.5): the result is 8, and 9.0 is right:def double(x): return",
                "the check of half rejects what is right:def half(x): return double(x)",
            ],
        ),
    ],
)
def test_what_cases_and_checks_decide(
    tmp_path: Path, changes: dict, wanted: list[str]
) -> None:
    path = tiny(tmp_path, wrong=TEN, **{"drawn": DRAWN, **changes})
    notebook, scope = nbformat.read(path, as_version=4), {}
    for cell in notebook.cells:
        if "check" not in cell.metadata["tags"]:
            exec(cell.source, scope)
    solutions = TEN, right_solutions(path), passing_solutions(path)
    exercises = exercises_of(notebook, *solutions)
    with patch.dict(sys.modules):
        try:
            _decide_graded(exercises, case_modules(path), scope)
        except AssertionError as error:
            said = re.sub(r"\s+", " ", str(error))
            assert wanted and not [each for each in wanted if each not in said], said
        else:
            assert not wanted


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({**WRONG, "half": []}, r"no solution for \['half'\]"),
        ({**WRONG, "third": ["x = 3"]}, r"some for \['third'\]"),
    ],
)
def test_wrong_solutions_are_complete(tmp_path: Path, wrong: Wrong, said: str) -> None:
    notebook = nbformat.read(tiny(tmp_path), as_version=4)
    with pytest.raises(ValueError, match=said):
        exercises_of(notebook, wrong)


def test_right_solutions_are_of_exercises(tmp_path: Path) -> None:
    notebook = nbformat.read(tiny(tmp_path), as_version=4)
    with pytest.raises(ValueError, match=r"instructors/right .* of \['third'\]"):
        exercises_of(notebook, WRONG, {"third": ["x = 3"]})


def test_a_line_as_each_ends_and_a_count(capsys: pytest.CaptureFixture) -> None:
    def fail() -> None:
        raise Failed("what it printed")

    assert side_by_side({"00-map": lambda: None, "01-sad": fail}, workers=1) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "00-map 0 s",
        "01-sad FAILED",
        "what it printed",
    ]


def test_the_cache_is_filled_with_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    left = "from pathlib import Path\nPath('left').write_text('something')"
    chapter, cache = tiny(tmp_path, left), tmp_path / "cache"
    assert fill_cache([chapter], cache, workers=1) == 0
    assert "1 passed, 0 failed\n" in capsys.readouterr().out
    assert fill_cache([chapter], cache, workers=1) == 0
    assert capsys.readouterr().out == "", "run again, though nothing has changed"
    assert [*chapter.parent.iterdir()] == [chapter], "another chapter would find it"
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[1].source = "1 / 0"
    nbformat.write(notebook, chapter)
    assert fill_cache([chapter], cache, workers=1) == 1
    said = capsys.readouterr().out
    assert "00-tiny FAILED" in said and "ZeroDivisionError" in said
    assert "0 passed, 1 failed" in said.splitlines()


def test_a_row_finds_what_was_left(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    paths = []
    for number, source in enumerate(("open('left', 'w')", "open('left')")):
        paths.append(tmp_path / f"0{number}-part.ipynb")
        nbformat.write(new_notebook(cells=[new_code_cell(source)]), paths[-1])
    folders = [tmp_path / name / "folder" for name in ("one", "other")]
    for folder in folders:
        folder.mkdir(parents=True)
    assert in_a_row(paths, machine, folders[0]) == 0
    assert capsys.readouterr().out.endswith("left there: left\n")
    assert in_a_row(paths[1:], machine, folders[1]) == 1
    assert "FileNotFoundError" in capsys.readouterr().out
