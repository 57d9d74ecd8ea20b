"""`bertcore prepare`: from files, a folder as the hub keeps it, and packaged texts."""

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from bertcore.__main__ import main
from bertcore.text.prepare import holding_out, open_prepared, packaged
from bertcore.text.tales import tales
from bertcore.text.wordpiece import Tokenizer, train_tokenizer

TALES = [" ".join(tale) for tale in tales(60)]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Thirty documents as plain text, thirty as compressed JSON lines."""
    plain, packed = tmp_path / "plain.txt", tmp_path / "packed.jsonl.gz"
    plain.write_text("\n\n".join(TALES[:30]), encoding="utf8")
    with gzip.open(packed, "wt", encoding="utf8") as file:
        file.writelines(json.dumps({"body": text}) + "\n" for text in TALES[30:])
    return [str(plain), str(packed)]


def test_files_become_a_vocabulary_and_two_stores(files, tmp_path, capsys) -> None:
    plain, _ = files
    out = tmp_path / "texts"
    arguments = ["--out", str(out), "--size", "250", "--hold-out", "10"]
    assert main(["prepare", plain, *arguments, "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert f"{out / 'vocabulary'}: Tokenizer(250 pieces, uncased)" in printed
    assert f"{out / 'train'}: Store(27 documents" in printed
    assert f"{out / 'held-out'}: Store(3 documents" in printed
    assert f"what next: bertcore pretrain --data {out} --out RUN" in printed
    kept = [text for n, text in enumerate(TALES[:30], 1) if n % 10]
    found = open_prepared(out)
    assert found.tokenizer.vocabulary == train_tokenizer(kept, 250).vocabulary
    assert found.train.manifest["source"] == "plain.txt"
    assert sorted(p.name for p in tmp_path.iterdir() if "texts" in p.name) == ["texts"]
    assert main(["prepare", plain, *arguments]) == 1
    assert f"{out} exists; give another name" in capsys.readouterr().err


def test_with_a_vocabulary_a_field_and_a_limit(files, tmp_path, capsys) -> None:
    train_tokenizer(TALES, 250).save_pretrained(tmp_path / "pieces")
    out = tmp_path / "texts"
    arguments = ["prepare", files[1], "--out", str(out), "--hold-out", "0"]
    arguments += ["--vocabulary", str(tmp_path / "pieces"), "--limit", "7"]
    assert main([*arguments, "--field", "text"]) == 1
    assert "no 'text'; there is text in body: give --field body" in (
        capsys.readouterr().err
    )
    assert not out.exists() and not out.with_name("texts.partial").exists()
    assert main([*arguments, "--field", "body"]) == 0
    found = open_prepared(out)
    assert len(found.train) == 7 and found.held_out is None
    assert "held-out" not in capsys.readouterr().out
    pieces = Tokenizer.from_pretrained(tmp_path / "pieces").vocabulary
    assert found.tokenizer.vocabulary == pieces


def test_a_folder_in_the_hubs_format(tmp_path, monkeypatch, capsys) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder, out = tmp_path / "hub", tmp_path / "texts"
    folder.mkdir()
    rows = "\n".join(json.dumps({"text": text}) for text in TALES)
    (folder / "train.jsonl").write_text(rows)
    arguments = ["prepare", "--hub", str(folder), "--out", str(out), "--size", "250"]
    assert main(arguments) == 0
    found = open_prepared(out)
    assert (len(found.train), len(found.held_out)) == (59, 1)
    assert found.train.manifest["source"] == str(folder)


def test_packaged_texts(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "tales"
    arguments = ["--texts", "tales", "--size", "300", "--workers", "1"]
    assert main(["prepare", *arguments, "--out", str(out)]) == 0
    on_disk, in_memory = open_prepared(out), packaged("tales", pieces=300)
    assert on_disk.tokenizer.vocabulary == in_memory.tokenizer.vocabulary
    for one, other in zip(on_disk[1:], in_memory[1:], strict=True):
        assert (one.ids == other.ids).all() and len(one) == len(other)
    assert on_disk.train.manifest["licence"] == "CC BY 4.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "no file none.txt"),
        (["README.md"], "should end with .txt"),
        (["FILE", "--hold-out", "9"], "no other pair of pieces occurs 2 times; "
         "give more text, or --size"),
        (["FILE", "--size", "250", "--hold-out", "40"],
         "--hold-out 40 takes one document in 40, and there are 30; give 7, or 0"),
        (["FILE", "--size", "250", "--hold-out", "1"], "give 2 or more, or 0"),
        (["FILE", "--size", "250", "--hold-out", "9", "--workers", "0"],
         "--workers 0; give 1 or more"),
        (["FILE", "--vocabulary", "none"], "no folder 'none'"),
    ],
)  # fmt: skip
def test_faults_leave_nothing(arguments, message, files, tmp_path, capsys) -> None:
    out = tmp_path / "texts"
    given = [files[0] if argument == "FILE" else argument for argument in arguments]
    assert main(["prepare", *given, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "bertcore: " in error and message in error and "Traceback" not in error
    assert not out.exists() and not out.with_name("texts.partial").exists()


def test_what_is_no_prepared_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no prepared texts.*bertcore prepare"):
        open_prepared(tmp_path)


def test_equal_documents_are_on_one_side() -> None:
    """All are trained on, held out, or told of; white space makes no difference."""
    rng = random.Random(0)
    for one_in in (2, 3, 10):
        given = [f"text {rng.randrange(40)}{' ' * (n % 3)}\n" for n in range(200)]
        apart: list[str] = []
        with pytest.warns(UserWarning) as told:
            kept = list(holding_out(iter(given), one_in, apart))
        trained, held = ({each.strip() for each in part} for part in (kept, apart))
        different = {each.strip() for each in given}
        assert trained | held == different and not trained & held
        assert len(held) == len(apart) == len(different) // one_in
        again, total, left_out = map(int, re.findall(r"\d+", str(told[0].message))[:3])
        assert (again, total) == (200 - len(different), 200)
        assert len(kept) + len(apart) + left_out == 200
    with pytest.raises(ValueError, match="no documents: no text was found"):
        list(holding_out([], 0, []))
    with pytest.raises(ValueError, match="and there are 1; give 0 to hold none out"):
        list(holding_out(["one"], 2, []))


def test_what_is_told_of_texts(files, tmp_path: Path, capsys) -> None:
    """By the same reader for both commands: a file twice, equal ones, short ones."""
    plain, copy = Path(files[0]), tmp_path / "copy.txt"
    copy.write_bytes(plain.read_bytes())
    latin = tmp_path / "latin.txt"
    latin.write_text("Schöne Tage. Été.\n\n" * 9 + "Solo.", encoding="latin-1")
    for command in ("prepare", "vocabulary"):
        given = [command, "--out", str(tmp_path / command), "--size", "60"]
        given += ["--hold-out", "2", "--workers", "1"] * (command == "prepare")
        assert main([*given, str(latin)]) == 1
        error = capsys.readouterr().err
        assert "or give --encoding cp1252, if it is" in error
        assert main([*given, str(latin), "--encoding", "nonsense"]) == 1
        assert "no --encoding nonsense; give one" in capsys.readouterr().err
    out = str(tmp_path / "both")
    given = ["--size", "250", "--hold-out", "10", "--workers", "1", "--out", out]
    assert main(["prepare", str(plain), str(copy), str(latin), "--encoding", "latin-1",
                 *given]) == 0  # fmt: skip
    error = capsys.readouterr().err
    assert error.count("38 of 70 documents came before, ") == 1
    assert "bertcore: documents of one sentence: 1 (their partner in a pair" in error
    found = open_prepared(out)
    assert len(found.held_out) == 3
    assert (
        main(["prepare", "--texts", "tales", "--encoding", "ascii", "--out", out]) == 2
    )
    assert "--encoding is of files" in capsys.readouterr().err


def test_held_out_documents_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a stream is, what is kept of it in memory is not."""
    monkeypatch.setattr("bertcore.text.prepare.MOST_HELD_OUT", 3)
    apart: list[str] = []
    kept = list(holding_out((str(n) for n in range(1, 13)), 2, apart))
    assert apart == ["2", "4", "6"]
    assert kept == "1 3 5 7 8 9 10 11 12".split()
