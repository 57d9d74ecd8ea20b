"""`python -m contest race`, as a user would, on tales."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bertcore.text.prepare import packaged
from bertcore.training.loop import Diverged
from contest import race
from contest.__main__ import main
from contest.models import ENTRIES, chosen, colours
from tests.conftest import ROOT
from tests.contest.conftest import make_small
from tests.training.small import recipe

RACE = ["--plan", "minute", "--seconds", "0.3", "--rows", "16", "--task", "colours"]


@pytest.fixture(scope="module")
def raced(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of all entries that is over."""
    out = tmp_path_factory.mktemp("race") / "out"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        assert main(again(out, texts)) == 0
    return out


def again(out: Path, texts: Path, *more: str) -> list[str]:
    return ["race", "--out", str(out), "--data", str(texts), *RACE, *more]


def test_a_race_of_all(raced: Path) -> None:
    card = json.loads((raced / "card.json").read_text())
    results = card["results"]
    assert list(results) == [*ENTRIES, "unigram_bits", "unigram_loss"]
    for name, about in results.items():
        if name in ENTRIES:
            assert about["score"] and about["seeds"] == [0]
            assert (about["bits"] is None) == (name == "none")
    assert results["electra"]["small_generator"]
    assert results["none"]["updates"] == [0, 0, 0]
    assert results["albert"]["parameters"] < results["bert"]["parameters"]
    half = results["distilbert"]["operations_per_token"]
    assert half < 0.6 * results["roberta"]["operations_per_token"]
    table = (raced / "table.md").read_text()
    assert "| electra ¹ |" in table and "¹ The bits are those of its gen" in table
    assert "A model that knows only how frequent each piece is has" in table
    svg = (raced / "curves.svg").read_text()
    assert svg.startswith("<svg") and "modernbert" in svg and 'role="img"' in svg


def test_what_is_finished_is_not_run_again(raced: Path, texts: Path, capsys) -> None:
    turns = {p.name: p.stat().st_mtime_ns for p in (raced / "turns").iterdir()}
    assert len(turns) == len(ENTRIES)
    assert main(again(raced, texts, "--entries", "bert,none")) == 0
    assert "seed 0, bert:" in capsys.readouterr().out
    for path in (raced / "turns").iterdir():
        assert path.stat().st_mtime_ns == turns[path.name]


def test_a_model_that_diverges_is_shown(
    texts: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def fail(*_: object) -> None:
        raise Diverged("no number is left")

    monkeypatch.setattr(race.Race, "_pretrained", fail)
    assert main(again(tmp_path / "out", texts, "--entries", "bert")) == 0
    printed = capsys.readouterr().out
    assert "seed 0, bert: training diverged: no number is left" in printed
    assert "| bert | " in printed and "– | – |" in printed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--entries", "brt"], "no entry brt; there are none, bert, roberta"),
        (
            ["--task", "similarity"],
            "no task 'similarity' for a race; there are colours",
        ),
        (["--task", "nothing"], "no task 'nothing' for a race; there are colours, top"),
        (["--seconds", "0"], "seconds=0.0 must be more than 0"),
        (["--data", "nowhere"], "nowhere holds no prepared texts"),
        (["--seconds", "9"], "began with recipe.seconds=0.3, not 9.0"),
        (["--rows", "17"], "began with task="),
        (["--task", "topics", "--rows", "99999999"], "to train on; give that many at"),
    ],
)
def test_wrong_races(raced, texts, given: list[str], message: str, capsys) -> None:
    assert main(again(raced, texts, *given)) == 1
    assert message in capsys.readouterr().err


def test_a_folder_with_something_else(tmp_path: Path, texts: Path, capsys) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(again(tmp_path, texts)) == 1
    assert "holds something else: it has no race.json" in capsys.readouterr().err


def test_texts_without_held_out_ones(tmp_path: Path, capsys) -> None:
    packaged("tales", tmp_path / "texts", 300, workers=1)
    (tmp_path / "texts" / "held-out").rename(tmp_path / "apart")
    assert main(again(tmp_path / "out", tmp_path / "texts")) == 1
    assert (
        "no text is held out, so there is nothing to evaluate on"
        in capsys.readouterr().err
    )


def test_without_matplotlib(raced: Path, texts: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(race, "find_spec", lambda name: None)
    assert main(again(raced, texts, "--entries", "bert")) == 0
    assert "curves.svg needs matplotlib; run: pip install" in capsys.readouterr().err


def test_entries_by_name() -> None:
    assert [e.name for e in chosen("electra, bert,bert")] == ["electra", "bert"]
    assert len(chosen(None)) == len(ENTRIES)
    with pytest.raises(ValueError, match="no entry brt; there are none, bert, rob"):
        chosen("bert,brt")
    with pytest.raises(ValueError, match="none is not pretrained"):
        ENTRIES["none"].recipe(recipe())


def test_colours_are_true_half_of_the_time() -> None:
    rows = [*(found := colours(30)).train, *found.test]
    assert len(found.train) == 30
    assert {row.label for row in rows} == {"true", "false"}


def test_the_command_explains_itself(capsys) -> None:
    command = [sys.executable, "-m", "contest", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "race         Let BERT and its heirs train" in run.stdout
    assert main(["race", "--out", "x", "--texts", "talls"]) == 2
    assert "'talls' is not one of" in capsys.readouterr().err
    for command in ("race", "speedrun"):
        assert main([command]) == 2
        captured = capsys.readouterr()
        assert f"Usage: python -m contest {command}" in captured.out + captured.err
