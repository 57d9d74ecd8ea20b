"""`bertcore race`, `speedrun` and `leaderboard`, as a user would, on tales."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from bertcore.__main__ import main
from bertcore.command import racing
from bertcore.training.contest import quiz, race, speedrun
from bertcore.training.contest.entries import ENTRIES
from bertcore.training.plans import PLANS
from bertcore.training.prepared import packaged
from bertcore.training.runtime import Machine, measure

measured = cache(measure)
RACE = ["--plan", "minute", "--seconds", "0.3", "--rows", "16"]


def quick(*given: object) -> Machine:
    """Measured once."""
    return measured(torch.device("cpu"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A race of little models, asked little."""
    for module in (racing, speedrun):
        monkeypatch.setattr(module, "measure", quick)
    monkeypatch.setattr(race, "WINDOWS", 32)
    monkeypatch.setattr("bertcore.training.contest.probe.SCORED", 40)
    sizes = {"hidden_size": 24, "heads": 3, "feedforward_size": 48}
    minute = PLANS["minute"]
    monkeypatch.setitem(
        PLANS, "minute", minute._replace(sizes={**minute.sizes, **sizes})
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "texts"
    packaged("tales", folder, 300, workers=1)
    return folder


@pytest.fixture(scope="module")
def raced(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of all entries that is over."""
    out = tmp_path_factory.mktemp("race") / "out"
    with pytest.MonkeyPatch.context() as patch:
        small.__wrapped__(patch)
        assert main(["race", "--out", str(out), "--data", str(texts), "--task",
                     "colours", *RACE]) == 0  # fmt: skip
    return out


def again(raced: Path, texts: Path) -> list[str]:
    return ["race", "--out", str(raced), "--data", str(texts), "--task", "colours"]


# Race --------------------------------------------------------------------------------


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
    assert "Who knows only how frequent each piece is has" in table
    svg = (raced / "curves.svg").read_text()
    assert svg.startswith("<svg") and "modernbert" in svg and 'role="img"' in svg


def test_what_is_finished_is_not_run_again(raced: Path, texts: Path, capsys) -> None:
    turns = {p.name: p.stat().st_mtime_ns for p in (raced / "turns").iterdir()}
    assert len(turns) == len(ENTRIES)
    given = ["--entries", "bert,none", *RACE]
    assert main([*again(raced, texts), *given]) == 0
    assert "seed 0, bert:" in capsys.readouterr().out
    for path in (raced / "turns").iterdir():
        assert path.stat().st_mtime_ns == turns[path.name]


def test_a_model_that_diverges_is_shown(
    texts: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    from bertcore.training.guard import Diverged

    def fail(*_: object) -> None:
        raise Diverged("no number is left")

    monkeypatch.setattr(race.Race, "_pretrained", fail)
    given = ["--entries", "bert", *RACE]
    assert main([*again(tmp_path / "out", texts), *given]) == 0
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
        (["--seconds", "9"], "began with seconds=0.3, not 9.0"),
        (["--rows", "17"], "began with task="),
    ],
)
def test_wrong_races(raced, texts, given: list[str], message: str, capsys) -> None:
    assert main([*again(raced, texts), *RACE, *given]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_with_something_else(tmp_path: Path, texts: Path, capsys) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main([*again(tmp_path, texts), *RACE]) == 1
    assert "holds something else: it has no race.json" in capsys.readouterr().err


def test_texts_without_held_out_ones(tmp_path: Path, capsys) -> None:
    packaged("tales", tmp_path / "texts", 300, workers=1)
    (tmp_path / "texts" / "held-out").rename(tmp_path / "apart")
    assert main([*again(tmp_path / "out", tmp_path / "texts"), *RACE]) == 1
    assert "no text is held out, so there is nothing to ask" in capsys.readouterr().err


def test_without_matplotlib(raced: Path, texts: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(racing, "find_spec", lambda name: None)
    assert main([*again(raced, texts), *RACE, "--entries", "bert"]) == 0
    assert "curves.svg needs matplotlib; run: pip install" in capsys.readouterr().err


# Speedrun ----------------------------------------------------------------------------

BAR = 2.2
RUN = ["--layers", "1", "--width", "64", "--batch", "16", "--length", "64",
       "--learning-rate", "4e-3", "--name", "small", "--by", "Ada", "--looks", "30",
       "--seconds", "9", "--bar", str(BAR)]  # fmt: skip


@pytest.fixture
def own_quiz(texts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tales' held-out texts, as if they were those of the quiz."""
    monkeypatch.setattr(quiz, "WINDOWS", 16)
    from bertcore.training.prepared import open_prepared

    found = quiz.digests(open_prepared(texts))
    for name in quiz.DIGESTS:
        monkeypatch.setitem(quiz.DIGESTS, name, found[name])
    return texts


def entered(texts: Path, out: Path, *more: str) -> list[str]:
    return ["speedrun", "--data", str(texts), "--out", str(out), *RUN, *more]


def test_a_speedrun_and_its_check(
    own_quiz: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    out = tmp_path / "entry"
    assert main(entered(own_quiz, out)) == 0
    printed = capsys.readouterr()
    assert "seed 0: " in printed.out and "seed 2: " in printed.out
    assert f"{out / 'entry.json'}: 2.2 bits per character in a median" in printed.out
    card = json.loads((out / "entry.json").read_text())
    card["revision"] = "0123456789ab"
    (out / "entry.json").write_text(json.dumps(card))
    assert main(["leaderboard", "--check", str(out / "entry.json")]) == 0
    assert "valid" in capsys.readouterr().out
    asked = ["leaderboard", "--model", str(out), "--data", str(own_quiz)]
    assert main(asked) == 0
    assert "model-2: " in capsys.readouterr().out
    card["results"]["runs"][1]["curve"][-1][3] = 1.0
    card["results"]["seconds"] = 0.1
    (out / "entry.json").write_text(json.dumps(card))
    assert main(asked) == 1
    assert "but the entry says 1.000" in capsys.readouterr().err
    assert main(["leaderboard", "--check", str(out / "entry.json")]) == 1
    assert "the median of the runs is" in capsys.readouterr().err
    times = {path: path.stat().st_mtime_ns for path in out.glob("seed-*.json")}
    assert len(times) == 3
    (out / "seed-1.json").unlink()
    assert main(entered(own_quiz, out)) == 0  # goes on with the one that is missing
    for path, then in times.items():
        assert (path.stat().st_mtime_ns == then) == ("seed-1" not in path.name)
    assert main(entered(own_quiz, out, "--batch", "8")) == 1
    assert "began with batch=16, not 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--bar", "3"], "no bar at 3.0 bits per character; there are 2.2, 1.4, 0.85"),
        (["--bar", "0.85", "--seconds", "0.5"], "seed 0 reached "),
        (["--width", "65"], "--width 65; a head is 64 wide, so give a multiple"),
        (["--by", " "], "name='small', by=' '; give an entry both"),
        (["--entry", "none"], "none is not pretrained, so it has no recipe"),
        (["--entry", "all"], "no entry all; there are none, bert"),
    ],
)
def test_wrong_speedruns(own_quiz, tmp_path, more, message, capsys) -> None:
    assert main(entered(own_quiz, tmp_path / "out", *more)) == 1
    assert message in capsys.readouterr().err


def test_the_quiz_is_about_these_texts_alone(texts: Path, tmp_path, capsys) -> None:
    assert main(entered(texts, tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert "another vocabulary and held_out and questions than the quiz" in error
    assert "bertcore prepare --texts english --out english" in error


def test_the_leaderboard(tmp_path: Path, capsys) -> None:
    assert main(["leaderboard"]) == 0
    assert "| 2.2 |" in capsys.readouterr().out
    assert main(["leaderboard", "--model", str(tmp_path)]) == 1
    assert "--model needs the texts" in capsys.readouterr().err
    page = tmp_path / "README.md"
    page.write_text("<!-- table begins --> old <!-- table ends -->")
    assert main(["leaderboard", "--write", str(page)]) == 0
    assert "| 2.2 |" in page.read_text() and "old" not in page.read_text()
