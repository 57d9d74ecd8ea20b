"""`python -m contest speedrun` and `leaderboard`, as a user would, on tales."""

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from bertcore import BertConfig, BertForMaskedLM
from bertcore.sources import OUR_MODEL
from contest import leaderboard, speedrun
from contest.__main__ import main
from tests.conftest import ROOT, WHOLE

PAGE = ROOT / "contest" / "README.md"
RUN = ["--layers", "1", "--width", "64", "--batch", "16", "--length", "64",
       "--learning-rate", "4e-3", "--name", "small", "--by", "Ada", "--seconds", "9",
       "--evaluations", "30", "--bar", "2.2"]  # fmt: skip


def entered(texts: Path, out: Path, *more: str) -> list[str]:
    return ["speedrun", "--data", str(texts), "--out", str(out), *RUN, *more]


def test_an_entry_is_made_asked_again_and_continued(
    own_quiz: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "entry"
    assert main(entered(own_quiz, out)) == 0
    printed = capsys.readouterr().out
    assert "seed 0: " in printed and "seed 2: " in printed
    assert f"{out / 'entry.json'}: 2.2 bits per character in a median" in printed
    assert f"python -m contest leaderboard --model {out}" in printed
    card = json.loads((out / "entry.json").read_text())
    results, setting = card["results"], card["setting"]
    assert results["compute"] == results["seconds"] * setting["rate"]
    times = sorted(run["seconds"] for run in results["runs"])
    assert len(times) == 3 and results["seconds"] == times[1]
    assert setting["by"] == "Ada" and set(setting["digests"]) == {"questions", "data"}

    assert main(["leaderboard", "--model", str(out)]) == 0
    asked = capsys.readouterr().out
    assert "frequencies alone: " in asked
    for run in results["runs"]:
        bits = run["curve"][-1][3]
        assert f"{out}, seed {run['seed']}: {bits:.3f} bits per character" in asked

    written = {path: path.stat().st_mtime_ns for path in out.glob("seed-*.json")}
    (out / "seed-1.json").unlink()
    assert main(entered(own_quiz, out)) == 0  # goes on with the one that is missing
    for path, then in written.items():
        assert (path.stat().st_mtime_ns == then) == ("seed-1" not in path.name)
    assert main(entered(own_quiz, out, "--batch", "8")) == 1
    assert "began with recipe.batch=16, not 8" in capsys.readouterr().err


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
    error = capsys.readouterr().err
    assert error.startswith("python -m contest: ") and message in error


def test_training_that_diverges_is_a_sentence(
    own_quiz, tmp_path, monkeypatch, capsys
) -> None:
    from bertcore.training.loop import Diverged

    def fail(*_: object) -> None:
        raise Diverged("no number is left")

    monkeypatch.setattr(speedrun, "followed", fail)
    assert main(entered(own_quiz, tmp_path / "out")) == 1
    assert "seed 0: training diverged: no number is" in capsys.readouterr().err


@pytest.mark.skipif(not WHOLE, reason="reads all packaged texts; BERTCORE_WHOLE=1")
def test_the_quiz_is_the_same_everywhere() -> None:
    """The real one, of all packaged texts."""
    found = leaderboard.quiz()
    assert leaderboard.digest(found.questions) == leaderboard.QUESTIONS
    assert 2.2 < found.unigram_bits < 2.5


def test_other_pieces_are_other_questions(
    own_quiz: Path, texts: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(leaderboard, "OUR_MODEL", OUR_MODEL)
    assert main(entered(texts, tmp_path / "out")) == 1
    assert "another vocabulary, of 300 pieces; the quiz is" in capsys.readouterr().err


def test_other_texts_are_no_quiz(own_quiz: Path, monkeypatch) -> None:
    monkeypatch.setattr(leaderboard, "digest", lambda asked: "other")
    with pytest.raises(ValueError, match="held-out texts are not those of the quiz"):
        leaderboard.quiz()


def test_a_saved_model_is_asked(own_quiz: Path, tmp_path: Path, capsys) -> None:
    config = BertConfig.preset("tiny", vocab_size=300)
    folder = tmp_path / "mine"
    shutil.copytree(own_quiz / "vocabulary", folder)
    BertForMaskedLM(config).save_pretrained(folder)
    assert main(["leaderboard", "--model", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"{folder}: \d\.\d+ bits per character; bars that it", printed)
    BertForMaskedLM(config.replace(max_positions=64)).save_pretrained(folder)
    assert main(["leaderboard", "--model", str(folder)]) == 1
    assert "64 positions, and the questions 128 tokens" in capsys.readouterr().err
    assert main(["leaderboard", "--model", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("python -m contest: ")


def test_the_table_is_the_page_s(capsys) -> None:
    """Kept by hand: a row for each file of entries/, and each bar is explained."""
    assert main(["leaderboard"]) == 0
    printed, page = capsys.readouterr().out, PAGE.read_text(encoding="utf8")
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert all(row in page for row in rows) and "| 2.2 | 1 |" in printed
    for path in (PAGE.parent / "entries").glob("*.json"):
        (row,) = [row for row in rows if f"(entries/{path.name})" in row]
        card = json.loads(path.read_text(encoding="utf8"))
        compute, seconds = card["results"]["compute"], card["results"]["seconds"]
        assert f"| {compute / 1e15:.3g} | {seconds:,.1f} | {card['device']} |" in row
        assert f"`{card['revision']}`" in row
    for bar in leaderboard.BARS:
        assert f"**{bar}**" in page and any(f"| {bar} |" in row for row in rows)


def test_the_page_s_commands_and_code_are_real(capsys) -> None:
    page = PAGE.read_text(encoding="utf8")
    for command in ("race", "speedrun", "leaderboard"):
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        for line in (page.replace("\\\n", " ") + shown).splitlines():
            if f"python -m contest {command} " in line:
                used = line.split(f"python -m contest {command} ")[1]
                for option in re.findall(r"--[a-z-]+", used):
                    assert option in shown, f"{command} has no {option}"
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    given = set(re.findall(r"^    (\w+)=", code, re.MULTILINE))
    assert given == {each.name for each in fields(speedrun.Speedrun)} - {"evaluations"}
