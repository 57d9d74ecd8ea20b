"""The instructors' guide and page: each command in them can be typed as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from grading.chapters import chapters_of
from grading.command import app
from tests.conftest import ROOT

GUIDE, PAGE = ROOT / "instructors" / "README.md", ROOT / "teach.md"
COURSE = ".venv/bin/bertcore-course"
# What else they tell an instructor to type: a clone that is set up, an image.
SETUP = ("git clone https://", "cd bert-from-scratch", "make student", "docker ")


def lines(path: Path) -> list[str]:
    """What stands in blocks of the shell, also where a list indents them."""
    text = path.read_text(encoding="utf8")
    found = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL))
    return [line.strip() for line in found.splitlines() if line.strip()]


@pytest.mark.parametrize("path", [GUIDE, PAGE], ids=lambda path: path.stem)
def test_the_commands_can_be_typed(path: Path) -> None:
    commands = typer.main.get_command(app).commands
    for line in lines(path):
        if line.startswith(SETUP):
            continue
        program, name, *rest = shlex.split(line)
        assert program == COURSE, line
        context = commands[name].make_context(name, rest)
        for chapter in re.findall(r"\b\d\d[bc]?-[\w-]+", line):
            assert chapter in chapters_of(), line
        if "seed_file" in context.params:
            assert context.params["seed_file"].name in ("course.seed", "autumn.seed")


def test_the_guide_names_every_command() -> None:
    typed = {shlex.split(line)[1] for line in lines(GUIDE) if line.startswith(COURSE)}
    commands = typer.main.get_command(app).commands
    assert typed == {name for name, each in commands.items() if not each.hidden}


def test_what_the_guide_grades_was_released_before() -> None:
    """Folders and seeds are those that an earlier line has made."""
    made, seeds = set(), {"course.seed"}
    for line in lines(GUIDE):
        _, name, *rest = shlex.split(line)
        seed = re.findall(r"--seed-file (\S+)", line)
        if name == "release":
            made.add(next(each for each in rest if each.startswith("week")))
            seeds |= set(seed)
        for folder in re.findall(r"--set (\S+)/grading-set", line):
            assert folder in made, line
        assert set(seed) <= seeds, line
