"""Autograders for platforms that grade by themselves: Gradescope and two others.

Each is a folder with the grader, one chapter, a seed, and a script that installs what
these need. The platform starts it for every hand-in; it grades as `bertcore-course
grade` does, and writes the file that the platform reads.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from bertcore.files import new_file, new_folder, write_json, write_text
from grading import handins
from grading.box import ROOT
from grading.chapters import Chapter, copy_to_set
from grading.handins import Handin
from grading.results import feedback, in_general, is_solved, of_exercise
from tools.sync import needs, pins

VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")
# What grading takes of the clone; the notebook and its cases come from the set.
_PARTS = (
    "bertcore/**/*", "grading/*.py", "instructors/grading.py", "tools/*.py",
    "data/models/**/*", "data/runs/*.json", "constraints.txt", "pyproject.toml",
)  # fmt: skip
# What chapters import beside bertcore's own dependencies and its extra for plots.
IMPORTED = ("scikit-learn", "tokenizers", "transformers")

# The platforms' scripts. uv brings a Python where the machine's is too old, and finds
# torch's CPU build, which is a tenth of the usual one.
SETUP = """\
#!/usr/bin/env bash
# Runs once, with a network: installs Python and what the chapter needs, in the versions
# that the course is tested with.
set -eu
cd "$(dirname "$0")"
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -qq
  apt-get install -y -qq python3-venv
fi
python3 -m venv uv
uv/bin/python -m pip install --quiet "uv>=0.8,<1"
export UV_PYTHON_INSTALL_DIR="$PWD/python" UV_TORCH_BACKEND=cpu
uv/bin/uv venv --quiet --clear --python 3.12 venv
uv/bin/uv pip install --quiet --python venv/bin/python \\
  --constraint course/constraints.txt \\
  --requirement course/pyproject.toml --extra grading --extra plot \\
  {imported}
# Of these only files are read.
uv/bin/uv pip install --quiet --python venv/bin/python --no-deps{needs}
"""
RUN = """\
#!/usr/bin/env bash
# Runs for each hand-in. One that cannot be read gets a result that says so. Where no
# box works, no code is run and no result written: the message is for the instructor.
set -eu
root="${{AUTOGRADER:-{root}}}"
cd "$root/{course}"
exec "${{AUTOGRADER_PYTHON:-{python}}}" -m grading autograde {platform} \\
  "$root/{submission}" "$root/results"{options} 2>&1
"""
DOCKERFILE = """\
# Everything but the course and its seed, so the image may be public.
FROM python:3.12-slim
COPY tests/setup.sh /opt/grader/
COPY tests/course/constraints.txt tests/course/pyproject.toml /opt/grader/course/
RUN bash /opt/grader/setup.sh
"""
QUESTION = """\
<pl-question-panel>
  <p>Hand in your notebook of the chapter {chapter}.</p>
  <pl-file-upload file-names="{chapter}.ipynb"></pl-file-upload>
</pl-question-panel>
<pl-submission-panel>
  <pl-external-grader-results></pl-external-grader-results>
  <pl-file-preview></pl-file-preview>
</pl-submission-panel>
"""
CLASSROOM = '''\
"""Grades a hand-in for Classroom 50. Its cases are no secret: GitHub publishes this."""

import subprocess
from pathlib import Path

here, student = Path(__file__).resolve().parent, Path.cwd()
subprocess.run(["bash", here / "setup.sh"], check=True)
grade = [here / "venv/bin/python", "-m", "grading", "autograde", "classroom50"]
subprocess.run([*grade, student, student], cwd=here / "course", check=True)
'''

# What is uploaded ---------------------------------------------------------------------


def gradescope(chapter: Chapter, secret: str, file: Path, options: list[str]) -> None:
    """Write the zip that Gradescope takes as an autograder; it holds the seed.

    Args:
        options: of the command `autograde`, which grades there.

    Raises:
        ValueError: if the file is not called .zip, or the chapter has no cases.
    """
    if file.suffix != ".zip":
        raise ValueError(f"{file}: Gradescope takes a zip, so let its name end in .zip")
    with TemporaryDirectory() as folder, new_file(file) as partial:
        source = Path(folder)
        _write_grader(chapter, secret, source)
        run = RUN.format(
            root="/autograder", course="source/course", submission="submission",
            python="../venv/bin/python", platform="gradescope",
            options="".join(f" {each}" for each in options),
        )  # fmt: skip
        _write_script(source / "run_autograder", run)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(source.rglob("*")):
                archive.write(path, path.relative_to(source))


def prairielearn(
    chapter: Chapter, secret: str, folder: Path, image: str, options: list[str]
) -> None:
    """Write a question's folder; its tests, which no student sees, hold the seed.

    Args:
        image: the name under which the instructor pushes what Dockerfile builds.
        options: as for `gradescope`.
    """
    about = {
        "uuid": str(uuid4()),
        "title": chapter.name,
        "topic": "BERT from Scratch",
        "type": "v3",
        "singleVariant": True,
        "gradingMethod": "External",
        "externalGradingOptions": {
            "enabled": True,
            "image": image,
            "entrypoint": "/grade/tests/run.sh",
            "timeout": 600,  # the most that the platform gives
        },
    }
    run = RUN.format(
        root="/grade", course="tests/course", submission="student",
        python="/opt/grader/venv/bin/python", platform="prairielearn",
        options="".join(f" {each}" for each in options),
    )  # fmt: skip
    with _empty(folder) as partial:
        _write_grader(chapter, secret, partial / "tests")
        _write_script(partial / "tests" / "run.sh", run)
        write_json(partial / "info.json", about)
        write_text(partial / "question.html", QUESTION.format(chapter=chapter.name))
        write_text(partial / "Dockerfile", DOCKERFILE)


def classroom50(chapter: Chapter, folder: Path) -> None:
    """Write the folder of an assignment's autograder, with a seed that is no secret."""
    with _empty(folder) as partial:
        _write_grader(chapter, f"not secret: {chapter.name}", partial)
        write_text(partial / "autograder.py", CLASSROOM)


def _empty(folder: Path) -> AbstractContextManager[Path]:
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: an autograder goes into a new folder")
    return new_folder(folder)


def _write_grader(chapter: Chapter, secret: str, folder: Path) -> None:
    """What all platforms have: the course with one chapter, its seed, the set-up."""
    if not chapter.is_graded:
        raise ValueError(f"{chapter.name} has no cases yet: it is graded by hand")
    course = folder / "course"
    for part in _PARTS:
        for path in ROOT.glob(part):
            if path.is_file() and "__pycache__" not in path.parts:
                target = course / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    copy_to_set(chapter, course)
    write_text(course / "course.seed", f"{secret}\n")
    found = pins()
    pinned = "".join(f" \\\n  {found[name]}" for name in needs(chapter.name))
    setup = SETUP.format(imported=" ".join(IMPORTED), needs=pinned)
    if not pinned:
        setup = setup[: setup.index("# Of these")]
    _write_script(folder / "setup.sh", setup)


def _write_script(path: Path, text: str) -> None:
    write_text(path, text)
    path.chmod(0o755)


# What is read -------------------------------------------------------------------------


def handed_in(submission: Path, chapters: Mapping[str, Chapter]) -> Handin:
    """The hand-in of a platform's folder: the first notebook that can be graded."""
    try:
        paths = handins.find(submission)
    except ValueError:
        return Handin("nothing", submission, notes=["there is no notebook (.ipynb)"])
    found = [handins.read(path, submission, dict(chapters)) for path in paths]
    chosen = next((each for each in found if each.chapter), found[0])
    if len(found) > 1:
        chosen.notes.append(f"of {len(found)} notebooks this one counts: {chosen.name}")
    return chosen


# What is written for each hand-in -----------------------------------------------------


def for_gradescope(
    result: dict[str, Any], chapter: Chapter | None, visibility: str
) -> dict[str, Any]:
    """Gradescope's results.json, as gradescope-autograders.readthedocs.io has it.

    The score is that of the exercises that count; optional ones are shown beside it.
    """
    tests = [
        {
            "name": _title(name, each),
            "number": each["number"],
            "score": each["points"],
            "max_score": each["of"],
            "output": _said(name, each),
            "output_format": "md",
            "visibility": visibility,
        }
        for name, each in result["exercises"].items()
    ]
    about = {
        "score": result["points"],
        "output": in_general(result, chapter),
        "output_format": "md",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return {"results.json": about}


def for_prairielearn(
    result: dict[str, Any], chapter: Chapter | None, visibility: str
) -> dict[str, Any]:
    """PrairieLearn's results.json, as its page on external grading has it.

    What cannot be read is not gradable there, and costs no attempt.
    """
    said = in_general(result, chapter)
    if chapter is None:
        return {"results.json": {"gradable": False, "format_errors": [said]}}
    tests = [
        {
            "name": f"{each['number']} {_title(name, each)}",
            "points": each["points"],
            "max_points": each["of"],
            "message": _said(name, each),
        }
        for name, each in result["exercises"].items()
    ]
    score = result["points"] / result["of"] if result["of"] else 0.0
    about = {"gradable": True, "score": score, "message": said, "tests": tests}
    return {"results.json": about}


def for_classroom50(
    result: dict[str, Any], chapter: Chapter | None, visibility: str
) -> dict[str, Any]:
    """Classroom 50's result.json, as its "Advanced Autograding" has it, and a text.

    Scores are whole numbers there, and the sums of those of the tests, so optional
    exercises have none.
    """
    tests = [
        {
            "test-name": f"{each['number']} {_title(name, each)}",
            "passed": each["points"] == each["of"],
            "score": 0 if each["optional"] else int(each["points"]),
            "max-score": 0 if each["optional"] else each["of"],
            "output": _said(name, each),
        }
        for name, each in result["exercises"].items()
    ]
    environment = os.environ
    about = {
        "schema": "classroom50/result/v1",
        "classroom": environment["CLASSROOM"],
        "assignment": environment["ASSIGNMENT"],
        "submission": environment["SUBMISSION_TAG"],
        "commit": environment["COMMIT_URL"],
        "release": environment["RELEASE_URL"],
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": sum(each["score"] for each in tests),
        "max-score": sum(each["max-score"] for each in tests),
        "tests": tests,
    }
    body = feedback(result, chapter) if chapter else in_general(result, None)
    return {"result.json": about, "release-body.md": body}


def _said(name: str, each: dict[str, Any]) -> str:
    """Feedback without the hints, which a platform would show unfolded."""
    said = of_exercise(name, each)
    if is_solved(each):
        return said
    return f"{said}\n\nThe chapter's hints are folded above the exercise."


def _title(name: str, each: dict[str, Any]) -> str:
    return f"{name} (optional)" if each["optional"] else name


# A platform's name -> what its files hold, by name: JSON, or a text.
PLATFORMS: dict[str, Callable[..., dict[str, Any]]] = {
    "gradescope": for_gradescope,
    "prairielearn": for_prairielearn,
    "classroom50": for_classroom50,
}


def write(folder: Path, files: Mapping[str, Any]) -> None:
    """Write what a platform reads."""
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_json(folder / name, content)
