"""`bertcore score-text`, `compare` and `blimp`, and BLiMP in the card of a run."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from bertcore.__main__ import main
from bertcore.cards import processor_name
from bertcore.command.text import Masking
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.training.run import load_trained
from bertcore.training.scoring import MASKINGS, score_texts
from tests.training.test_blimp import PARADIGMS, folder, rows, write

__all__ = ["folder"]  # a fixture
TEXT = "The headland is green."


def expected(text: str, masking: str = "original") -> dict:
    model, tokenizer, *_ = load_trained(OUR_MODEL)
    return next(score_texts([text], model, tokenizer, masking)).as_object()


def test_the_maskings_are_those_of_the_package() -> None:
    assert get_args(get_args(Masking)[0]) == tuple(MASKINGS)


@pytest.mark.parametrize("masking", MASKINGS)
def test_a_text_is_shown_word_by_word(masking: str, capsys) -> None:
    assert main(["score-text", TEXT, "--masking", masking]) == 0
    title, *lines, last = capsys.readouterr().out.splitlines()
    found = expected(TEXT, masking)
    assert title == TEXT and last.split() == [
        f"{found['total']:.2f}", *"in all, 6 pieces".split()
    ]  # fmt: skip
    assert [line.split()[:2] for line in lines] == [
        [f"{word['log_probability']:.2f}", word["word"]] for word in found["words"]
    ]
    head, land = found["pieces"][1:3]
    shown = f"head {head['log_probability']:.2f}, ##land {land['log_probability']:.2f}"
    assert lines[1].endswith(shown)
    assert main(["score-text", "A ☃ melts.", "--masking", masking]) == 0
    assert re.search(r" ☃ +\[UNK\] -\d", capsys.readouterr().out)


def test_files_of_lines_and_of_rows(tmp_path: Path, capsys) -> None:
    texts = [TEXT, "A dog barks."]
    lines = tmp_path / "texts.txt"
    lines.write_text(f"{TEXT}\n\n A dog barks. \n")
    table = tmp_path / "texts.csv"
    table.write_text("body,n\n" + "".join(f"{text},1\n" for text in texts))
    for given in (
        texts,
        ["--file", str(lines)],
        ["--file", str(table), "--field", "body"],
    ):
        assert main(["score-text", *given, "--json"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [each["text"] for each in found] == texts
        assert found[0]["total"] == pytest.approx(expected(TEXT)["total"], abs=1e-5)
        assert len(found[0]["pieces"]) == 6 and len(found[0]["words"]) == 5


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", [], "the file has no text; give one with a text in a line"),
        (f"{TEXT}\nA [MASK].\n", [], "texts.txt, line 2 holds [MASK]; give whole"),
        ("the " * 300, [], "texts.txt, line 1 has 302 tokens, and the model 256"),
    ],
)
def test_files_that_cannot_be_scored(
    content: str, options: list[str], message: str, tmp_path: Path, capsys
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(content)
    assert main(["score-text", "--file", str(file), *options]) == 1
    assert message in capsys.readouterr().err


def test_what_score_text_refuses(tmp_path: Path, capsys) -> None:
    assert main(["score-text", TEXT, "--file", "x.txt"]) == 2
    assert main(["score-text", "--json"]) == 2
    assert capsys.readouterr().err.count("give texts, or --file NAME: one of") == 2
    assert main(["score-text", "--file", str(tmp_path / "no.txt")]) == 1
    assert "no.txt; check the path" in capsys.readouterr().err
    file = write(tmp_path / "rows.jsonl", [{"remark": "A dog.", "n": 1}])
    assert main(["score-text", "--file", str(file)]) == 1
    error = capsys.readouterr().err
    assert "line 1: no 'text'; there is text in remark: give --field remark" in error
    assert main(["score-text", TEXT, "--model", ENCODER]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is a BertModel, in which bertcore finds no head for masked pieces" in error
    assert main(["score-text", " "]) == 1
    assert capsys.readouterr().err == "bertcore: text 1 is empty; give a sentence\n"


def test_compare_says_which_and_by_how_much(capsys) -> None:
    texts = "She runs every day.", "She run every day."
    totals = [expected(text)["total"] for text in texts]
    assert totals[0] > totals[1]
    for given in (texts, texts[::-1]):
        assert main(["compare", *given]) == 0
        shown = capsys.readouterr().out.splitlines()
        by = f"{totals[0] - totals[1]:.2f}"
        assert shown[-1] == f"preferred, by {by} nats: {texts[0]}"
        assert [line for line in shown if line in texts] == [*given]
    assert main(["compare", *texts, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["preferred"] == texts[0]
    assert found["by"] == pytest.approx(totals[0] - totals[1], abs=1e-4)
    assert [each["text"] for each in found["texts"]] == [*texts]


def test_equal_texts_are_not_compared(capsys) -> None:
    assert main(["compare", TEXT, TEXT]) == 1
    assert f"both texts are '{TEXT}'; give two that differ" in capsys.readouterr().err
    assert main(["compare", "She runs.", "she  runs."]) == 1
    error = capsys.readouterr().err
    assert "both texts are she run ##s . to" in error and "give two that" in error


def test_blimp_is_a_table_and_a_card(folder: Path, tmp_path: Path, capsys) -> None:
    card = tmp_path / "card.json"
    same = rows("reflexive")[0] | {
        "sentence_bad": rows("reflexive")[0]["sentence_good"]
    }
    write(folder / "more.jsonl", [same])
    given = ["blimp", "--data", str(folder), "--card", str(card)]
    assert main([*given, "--pairs-per-paradigm", "3"]) == 0
    shown = capsys.readouterr()
    assert "1 pair left out: both sentences are equal" in shown.err
    table, found = shown.out.splitlines(), json.loads(card.read_text())
    results = found["results"]
    low, percent, high = results["overall"]
    assert table[-1] == (
        f"{'all':<28}{percent:>5.1f} %  ({low:.1f} to {high:.1f})       9 pairs"
    )
    assert [line[:28].strip() for line in table[:-1]] == [
        "anaphor agreement", "argument structure", "subject verb agreement"
    ]  # fmt: skip
    assert results["pairs"] == 9 and results["equal sentences, left out"] == 1
    assert set(results["paradigms"]) == set(PARADIGMS)
    assert found["setting"] == {
        "model": OUR_MODEL, "masking": "original", "pairs_per_paradigm": 3
    }  # fmt: skip
    assert processor_name() in found["device"] and found["data"].endswith(", data")


def test_blimp_needs_its_files(tmp_path: Path, capsys) -> None:
    assert main(["blimp", "--data", str(tmp_path / "none")]) == 1
    assert "none; check the path" in capsys.readouterr().err
    assert main(["blimp", "--pairs-per-paradigm", "0"]) == 2


def test_the_card_of_a_run_holds_blimp(folder: Path, tmp_path: Path, capsys) -> None:
    """Also when the run goes on; a fault shows before anything is written."""
    out = tmp_path / "run"
    command = ["pretrain", "--out", str(out), "--plan", "minute", "--looks", "1"]
    assert main([*command, "--steps", "2", "--blimp", str(tmp_path / "none")]) == 1
    assert "none; check the path" in capsys.readouterr().err and not out.exists()
    assert main([*command, "--steps", "2", "--blimp", str(folder)]) == 0
    for card in (out / "card.json", out / "model" / "card.json"):
        found = json.loads(card.read_text())["results"]["blimp"]
        assert found["pairs"] == 12 and len(found["overall"]) == 3
    written = (out / "card.json").read_text()
    assert main(["resume", str(out)]) == 0  # it has ended: nothing is done again
    assert (out / "card.json").read_text() == written
    again = ["blimp", "--data", str(folder), "--model", str(out), "--card"]
    assert main([*again, str(tmp_path / "c.json")]) == 0
    same = json.loads((tmp_path / "c.json").read_text())["results"]
    assert same["overall"] == found["overall"]
