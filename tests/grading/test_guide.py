"""The instructors' guide: each command in it can be typed as it stands."""

import re
import shlex

import typer

from grading.chapters import chapters_of
from grading.command import app
from tests.conftest import ROOT


def test_the_commands_of_the_guide() -> None:
    guide = (ROOT / "instructors" / "README.md").read_text(encoding="utf8")
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", guide, flags=re.S)).splitlines()
    commands, typed = typer.main.get_command(app).commands, set()
    for line in filter(None, lines):
        program, name, *rest = shlex.split(line)
        assert program == ".venv/bin/bertcore-course"
        context = commands[name].make_context(name, rest)
        typed.add(name)
        for chapter in re.findall(r"\b\d\d[bc]?-[\w-]+", line):
            assert chapter in chapters_of(), line
        assert context.params["seed_file"].name == "course.seed"
    assert typed == set(commands), "the guide names every command"
