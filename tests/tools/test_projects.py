"""The projects: bands in step with cards, rubrics that add up, commands that exist."""

import json
import re
import shlex

import pytest
import typer

from contest.__main__ import app
from tests.conftest import ROOT
from tools import projects

PROJECTS = sorted(projects.FOLDER.glob("[0-9]-*.md"))
CONTEST = ".venv/bin/python -m contest "
each_project = pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.stem)


def results(card: str) -> dict:
    path = ROOT / "data" / "runs" / f"{card}.json"
    return json.loads(path.read_text(encoding="utf8"))["results"]


def test_the_bands_are_in_step_and_each_is_shown() -> None:
    shown = []
    for path in projects.FOLDER.glob("*.md"):
        text = path.read_text(encoding="utf8")
        assert projects.with_bands(text) == text, f"{path.name}: run make sync"
        shown += [name for _, name, _ in projects.BAND.findall(text)]
    assert sorted(shown) == sorted(projects.BANDS)


def test_a_band_says_where_its_spread_is_unknown() -> None:
    runs = [
        run
        for run in results("pretraining-minutes")["runs"]
        if (run["kind"], run["minutes"]) == ("1 layer of 128", 0.5)
    ]
    bits = sorted(run["bits_per_character"] for run in runs)
    made = projects.laptop()
    assert " | ".join(f"{each:.3f}" for each in bits) + " | 3 |" in made
    assert made.count(projects.ONE_SEED) == 2 * made.count("| 1 |") > 0


def test_bands_are_ranges() -> None:
    """Lowest, median and highest in this order, in whatever a card has them."""
    for make in projects.BANDS.values():
        for line in make().splitlines():
            found = re.findall(r"(?<=\| )\d+\.\d+(?= [%|¹])", line)
            if len(found) == 3:
                assert sorted(map(float, found)) == list(map(float, found)), line
    low, _, high = results("questions-by-rows")["300"]["ours"]
    assert f"| 300 rows, ours | {100 * low:.1f} % |" in projects.questions()
    assert f"{100 * high:.1f} % |" in projects.questions()
    assert f"{results('race-english')['deberta']['bits'][1]:.3f}" in projects.race()


@each_project
def test_a_rubric_adds_up(path) -> None:
    text = path.read_text(encoding="utf8")
    part = text.partition("## How it is graded")[2].partition("\n## ")[0]
    points = [int(n) for n in re.findall(r"^\| (\d+) \|", part, re.MULTILINE)]
    assert sum(points) == 20 and len(points) >= 5
    for heading in ("## What is handed in", "## The band"):
        assert heading in text
    assert text.split("\n\n")[1].startswith("**Question.** ")


def test_links_and_commands() -> None:
    commands = typer.main.get_command(app).commands
    typed = 0
    for path in projects.FOLDER.glob("*.md"):
        text = path.read_text(encoding="utf8")
        for address in re.findall(r"\]\(([^):#]+)\)", text):
            assert (path.parent / address).exists(), f"{path.name}: {address}"
        for named in re.findall(r"`(instructors/[\w/.]+)`", text):
            assert (ROOT / named).exists(), named
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                assert line.startswith(CONTEST), line
                name, *rest = shlex.split(line.removeprefix(CONTEST))
                commands[name].make_context(name, rest)
                typed += 1
    assert typed == 3
    assert len(PROJECTS) == 3
