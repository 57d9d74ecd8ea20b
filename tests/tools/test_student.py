"""Students' copies: nothing of a solution is left, and nobody's work is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.student import YOUR_TURN, blanked

CHAPTER = ROOT / "chapters" / "00-map.ipynb"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "def f(x):\n    # the trick\n    return x  # is this",
            f"def f(x):\n    {YOUR_TURN}",
        ),
        (
            "def f(\n    x: int,\n) -> int:\n    'Doc.'\n    return x\n    # end",
            f"def f(\n    x: int,\n) -> int:\n    'Doc.'\n    {YOUR_TURN}",
        ),
        (
            "def f(x):\n    'One; two.'\n    return x",
            f"def f(x):\n    'One; two.'\n    {YOUR_TURN}",
        ),
        ("async def f(x):\n    return x", f"async def f(x):\n    {YOUR_TURN}"),
        ("@cache\ndef f():\n    return 1", f"@cache\ndef f():\n    {YOUR_TURN}"),
        (
            "class A:\n    'Doc.'\n\n    def f(self):\n        return 1\n\n"
            "    @property\n    def g(self):\n        'G.'\n        return 2",
            f"class A:\n    'Doc.'\n\n    def f(self):\n        {YOUR_TURN}\n\n"
            f"    @property\n    def g(self):\n        'G.'\n        {YOUR_TURN}",
        ),
    ],
)
def test_bodies_go_and_signatures_stay(source: str, expected: str) -> None:
    assert blanked(source) == expected
    compile(blanked(source), "<copy>", "exec")


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return x * 2",
        "def f(x):\n    '''Doc.'''; return x",
        "f = lambda x: x",
        "SOLUTION = 42\n\ndef f():\n    return SOLUTION",
    ],
)
def test_what_cannot_be_blanked_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="exactly one function|lines of its own"):
        blanked(source)


def test_existing_work_is_never_overwritten(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "tools" / "student.py", CHAPTER, tmp_path]
    subprocess.run(command, check=True)
    mine = tmp_path / CHAPTER.name
    mine.write_text("my work")
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2 and "may hold somebody's work" in again.stderr
    subprocess.run([*command, "--skip-existing"], check=True)
    assert mine.read_text() == "my work"
