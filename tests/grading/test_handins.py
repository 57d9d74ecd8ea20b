"""Whatever students hand in is read, named and graded, and nothing stops the others."""

import json
import os
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from grading import box as boxes
from grading import command, examiner, handins, results
from grading.box import LANDLOCK, Limits
from grading.chapters import Chapter, chapters_of, release, secret_of, seed_of
from grading.command import app
from grading.examiner import Examiner
from tests.conftest import ROOT
from tests.grading.course import filled, made, ours

SECRET = "a seed for the hand-ins"


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return made(tmp_path_factory.mktemp("course"))


def read(chapter: Chapter, folder: Path, content: str | bytes) -> handins.Handin:
    path = folder / "her.ipynb"
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    return handins.read(path, folder, {chapter.name: chapter})


# Reading ------------------------------------------------------------------------------


def test_names_count_and_nothing_else(chapter: Chapter, tmp_path: Path) -> None:
    """No tags, another order, cells cut and added, another version of the format."""
    right = [new_code_cell(source) for source in reversed(ours(chapter).values())]
    magic = new_code_cell("!pip install torch\n%matplotlib inline\nscale")
    odd = new_notebook(cells=[magic, *right, new_code_cell("this is (no Python")])
    handin = read(chapter, tmp_path, nbformat.writes(odd))
    assert set(handin.sources) == set(chapter.tasks)
    assert [note for note in handin.notes if "is not Python" in note]
    old = nbformat.v4.downgrade(deepcopy(odd))
    handin = read(chapter, tmp_path, json.dumps(old))
    assert set(handin.sources) == set(chapter.tasks)
    future = json.loads(nbformat.writes(odd)) | {"nbformat": 6, "new": {"a": 1}}
    handin = read(chapter, tmp_path, "\ufeff" + json.dumps(future))
    assert set(handin.sources) == set(chapter.tasks)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "can be read"),
        (b"\xff\xfe\x00", "can be read"),
        ('{"cells": [', "can be read"),
        ("[1, 2]", "no notebook"),
        ('{"cells": 3}', "no cells"),
        ("[" * 100_000, "can be read"),
        (nbformat.writes(new_notebook()), "another chapter's?"),
        ('{"cells": [{"cell_type": "code", "source": 7}, null]}', "another chapter's?"),
    ],
)
def test_what_is_no_hand_in(
    content: str | bytes, said: str, chapter: Chapter, tmp_path: Path
) -> None:
    handin = read(chapter, tmp_path, content)
    assert handin.chapter is None and said in handin.notes[-1]


def test_only_what_an_exercise_needs_is_run(chapter: Chapter, tmp_path: Path) -> None:
    cells = [
        "import math\nfactor = helper(1)\nmodel = train_for_hours()",
        "def helper(x):\n    return 2 * x\nhelper(3)\ntorch.equal = None",
        "def double(values):\n    return values",
        "def double(values):\n    return factor * values",
        chapter.blanks["double"],
    ]
    notebook = new_notebook(cells=[new_code_cell(each) for each in cells])
    handin = read(chapter, tmp_path, nbformat.writes(notebook))
    (run,) = handin.sources.values()
    assert run == [
        ("cell 1", "factor = helper(1)"),
        ("cell 2", "def helper(x):\n    return 2 * x"),
        ("cell 4", "def double(values):\n    return factor * values"),
    ]
    assert "double is defined 2 times; the last one counts" in handin.notes
    assert "ordered is missing: no cell that is Python defines it" in handin.notes


def test_copies_are_noted(chapter: Chapter, tmp_path: Path) -> None:
    solved = ours(chapter)
    texts = {
        "ann": nbformat.writes(filled(chapter, solved)),
        "bob": nbformat.writes(filled(chapter, solved)),
        "cat": nbformat.writes(
            filled(chapter, {k: f"# mine\n{v}\n\n" for k, v in solved.items()})
        ),
        "dan": nbformat.writes(filled(chapter, {})),
        "eve": nbformat.writes(filled(chapter, {})),
    }
    for name, text in texts.items():
        text = json.dumps(json.loads(text), indent=len(name + text) % 7)
        (tmp_path / f"{name}.ipynb").write_text(text)
    (tmp_path / "bob.ipynb").write_bytes((tmp_path / "ann.ipynb").read_bytes())
    found = [
        handins.read(path, tmp_path, {chapter.name: chapter})
        for path in handins.find(tmp_path)
    ]
    command.note_copies(found)
    notes = {each.name: "; ".join(each.notes) for each in found}
    assert "the same file as bob" in notes["ann"]
    assert "the same code as ann, bob" in notes["cat"]
    assert "same code" not in notes["dan"], "two blank ones are no copies"


def test_feedback_names_no_other_student(chapter: Chapter) -> None:
    """Notes about copies are for the instructor; those about the code stay."""
    handin = handins.Handin("ann", chapter.path, chapter.name)
    handin.notes = ["the same code as bob", "cell 3 is not Python"]
    said = results.feedback(results.result_of(handin, {}, "", ""), chapter)
    assert "cell 3 is not Python" in said and "bob" not in said


def test_feedback_says_what_to_do() -> None:
    """For each way in which an exercise may fail."""

    def said(*faults: str, right: int = 0, resembles: str = "") -> str:
        each = {"of": 2, "points": 0, "cases": 3, "right": right}
        return results.of_exercise(
            "cut", each | {"faults": list(faults), "resembles": resembles}
        )

    assert said("cut is not begun") == "You have not begun this exercise."
    missing = said("cut is missing: no cell that is Python defines it")
    assert "found no `cut`" in missing and "Restart the kernel" in missing
    wrong = said("case 2 of 3: the result is 1", right=2, resembles="one too few.")
    assert "2 of 3 cases are right; all must be, for the points." in wrong
    assert "What went wrong first: case 2 of 3: the result is 1." in wrong
    assert "does what a common mistake does: one too few." in wrong
    assert "run the check under the exercise" in wrong
    assert said(right=3) == "All 3 cases are right."


def test_a_case_is_shown_where_it_is_short() -> None:
    assert examiner._shown((2.0, 8)) == ", given (2.0, 8)"
    assert examiner._shown(([2.0], 8)) == examiner._shown(("a" * 99,)) == ""
    assert examiner._shown(()) == ""


def test_canvas_adds_the_chapters_of_a_student(tmp_path: Path) -> None:
    """Of several hand-ins of one chapter the first counts, as in one chapter alone."""
    table = tmp_path / "book.csv"
    table.write_text("Student,ID,Week (1)\nA,77,\nB,78,\n")
    found = [
        {"handin": name, "chapter": chapter, "points": points}
        for name, chapter, points in (
            ("a_77_map", "00-map", 3), ("a_77_map-1", "00-map", 4),
            ("a_77_words", "01-words", 5), ("b_78_broken", None, 0),
        )
    ]  # fmt: skip
    text, filled = results.canvas(table, found, "Week")
    assert filled == 1 and text.splitlines() == [
        "Student,ID,Week (1)",
        "A,77,8",
        "B,78,",
    ]


# Seed and release ---------------------------------------------------------------------


def test_the_seed(tmp_path: Path) -> None:
    file = tmp_path / "course.seed"
    with pytest.raises(ValueError, match="there is no seed"):
        secret_of(file)
    secret = secret_of(file, make=True)
    assert secret == secret_of(file) and len(secret) == 32
    assert file.stat().st_mode & 0o077 == 0
    drawn = {seed_of(s, c, e) for s in (secret, "other") for c in "ab" for e in "cd"}
    assert len(drawn) == 8 and max(drawn) < 2**31
    file.write_text("short")
    with pytest.raises(ValueError, match="holds 5 characters"):
        secret_of(file)


def test_a_release(chapter: Chapter, tmp_path: Path) -> None:
    release([chapter], tmp_path / "out")
    student, solution = (
        nbformat.read(tmp_path / "out" / kind / "00-mini.ipynb", as_version=4)
        for kind in ("student", "solutions")
    )
    assert "sorted(numbers)" not in nbformat.writes(student)
    assert "sorted(numbers)" in nbformat.writes(solution)
    again = chapters_of(tmp_path / "out" / "grading-set")["00-mini"]
    assert again.tasks == chapter.tasks and again.wrong == chapter.wrong
    assert set(again.generators.EXERCISES) == set(chapter.tasks)
    with pytest.raises(ValueError, match="is not empty"):
        release([chapter], tmp_path / "out")


def test_every_chapter_can_be_released(tmp_path: Path) -> None:
    """Numbers, points and hints of every exercise are found, and every wrong idea."""
    chapters = list(chapters_of().values())
    about = release(chapters, tmp_path / "out")
    assert set(about["chapters"]) == {chapter.name for chapter in chapters}
    for chapter in chapters:
        for task in chapter.tasks.values() if chapter.is_graded else ():
            assert task.number and task.points and task.hints, (chapter.name, task)
        ideas = [idea for each in chapter.wrong.values() for idea, _ in each]
        assert sum(map(bool, ideas)) > 0.7 * len(ideas), chapter.name


# Grading ------------------------------------------------------------------------------


def a_box() -> str:
    for box in reversed(boxes.BOXES):
        if not boxes.missing(box):
            return box
    pytest.skip("no box works here")


def test_right_blank_and_wrong(chapter: Chapter, tmp_path: Path) -> None:
    """Every exercise: ours all points, a blank none, each wrong one none and named.

    Then a hand-in in several states: a crash in one exercise leaves the others.
    """
    with Examiner(chapter, SECRET, a_box(), Limits(seconds=5)) as examiner:

        def graded(solutions: dict[str, str]) -> dict:
            text = nbformat.writes(filled(chapter, solutions))
            handin = read(chapter, tmp_path, text)
            outcomes = examiner.grade(handin)
            return results.result_of(handin, outcomes, examiner.box, "")

        whole = graded(ours(chapter))
        assert (whole["points"], whole["of"]) == (8, 8)
        assert graded({})["points"] == 0
        for name, listed in chapter.wrong.items():
            for idea, source in listed:
                each = graded({name: source})["exercises"][name]
                assert each["points"] == 0 and each["resembles"] == idea, (name, idea)
        crashing = {"double": "import os\ndef double(values, x=os._exit(3)):\n    pass"}
        crashed = graded(ours(chapter) | crashing)
        assert crashed["points"] == 5
        assert "its process ended" in crashed["exercises"]["double"]["faults"][0]
        unknown = {"double": "def double(values):\n    return undefined * values"}
        said = graded(unknown)["exercises"]["double"]["faults"][0]
        assert "NameError: name 'undefined'" in said and "line 2" in said
        text = results.feedback(
            graded({"double": chapter.wrong["double"][0][1]}), chapter
        )
        lenient = "def test_doubler(candidate):\n    pass"
        tested = graded({"test_doubler": lenient})["exercises"]["test_doubler"]
        assert "your test lets something faulty pass" in tested["faults"][0]
        blank = results.feedback(graded({}), chapter)
    assert "You have not begun this exercise." in blank and "Correct it" not in blank
    assert "Your code does what a common mistake does: the square." in text
    assert "Think of 1." in text and "## 0.1 `double`: 0 of 3" in text


def test_a_class_is_graded_and_goes_on(chapter: Chapter, tmp_path: Path) -> None:
    """By the command alone; killed in the middle, it grades only what is missing."""
    box, folder, out = a_box(), tmp_path / "handed-in", tmp_path / "out"
    (folder / "late").mkdir(parents=True)
    for number in range(4):
        solved = dict(list(ours(chapter).items())[:number])
        nbformat.write(filled(chapter, solved), folder / f"s{number}_77{number}.ipynb")
    (folder / "late" / "broken.ipynb").write_text("{")
    slow = {"double": "import time\ndef double(v):\n    time.sleep(60)"}
    nbformat.write(filled(chapter, slow), folder / "z_slow.ipynb")
    seed = tmp_path / "course.seed"
    seed.write_text(SECRET)
    typed = ["grade", str(folder), str(out), "--seed-file", str(seed), "--workers=1"]
    typed += ["--set", str(chapter.path.parent.parent), "--box", box]
    running = subprocess.Popen(
        [sys.executable, "-m", "grading", *typed],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    first = out / "results" / "s3_773.json"
    deadline = time.monotonic() + 120
    while not first.exists() and time.monotonic() < deadline:
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = first.stat().st_mtime_ns
    (folder / "z_slow.ipynb").unlink()
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 0, result.output
    assert "4 of 5 hand-ins graded" in result.output
    assert first.stat().st_mtime_ns == before, "it was graded again"
    rows = (out / "00-mini.csv").read_text().splitlines()
    assert rows[0].startswith("handin,points,of,double,ordered,Drawer,test_doubler")
    points = [row.split(",")[1:3] for row in rows[1:]]
    assert points == [["0", "8"], ["3", "8"], ["5", "8"], ["7", "8"]]
    assert "late/broken" in (out / "not-graded.csv").read_text()
    broken = next((out / "feedback").glob("late_broken*.md")).read_text()
    assert "was not graded" in broken and "hand it in again" in broken
    assert "0.1 `double`: 3 of 4 solved" in (out / "class.md").read_text()
    assert (
        "## 0.4 `test_doubler`: 0 of 1" in (out / "feedback" / "s3_773.md").read_text()
    )
    book = tmp_path / "canvas-export.csv"
    book.write_text(
        "Student,ID,SIS Login ID,Section,00-mini (12),Total\n"
        "    Points Possible,,,,8,\nA,771,aaa,1,,\nB,999,bbb,1,,\n"
    )
    typed += ["--canvas", str(book), "--assignment", "00-mini"]
    result = CliRunner().invoke(app, typed)
    assert "1 rows filled in" in result.output, result.output
    assert "A,771,aaa,1,3," in (out / "canvas.csv").read_text()


def test_without_a_box_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "missing", lambda box: "not here")
    with pytest.raises(ValueError, match="with --trust it runs with no box"):
        boxes.strongest()
    with pytest.raises(ValueError, match="landlock: not here"):
        boxes.strongest(LANDLOCK)
    assert boxes.strongest(trust=True) == boxes.NONE
    with pytest.raises(ValueError, match="there is no box 'paper'"):
        boxes.strongest("paper")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's signal")
def test_a_process_ends_with_its_parent() -> None:
    """A loop that never ends is not left behind by a grader that was killed."""
    code = (
        "import os, time\nfrom grading import box\nparent = os.getpid()\n"
        "if os.fork() == 0:\n    box.end_with(parent)\n"
        "    print(os.getpid(), flush=True)\n    time.sleep(60)\nos.wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    # The child holds the pipe's other end, so its end is the pipe's.
    began = time.monotonic()
    assert parent.stdout.read() == "" and time.monotonic() - began < 30, child
    parent.stdout.close()
