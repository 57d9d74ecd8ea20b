"""Files: whole or not there, and read in the forms that people have them in."""

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.files import (
    MANIFEST,
    digest,
    new_file,
    new_folder,
    open_text,
    read_json,
    read_manifest,
    read_records,
    read_text,
    write_json,
    write_manifest,
    write_text,
)
from bertcore.model.weights import read_tensors
from bertcore.text.fast_tokenizer import load_tokenizer

# Written whole -----------------------------------------------------------------------


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"name": "Straße"})
    assert path.read_bytes() == '{\n  "name": "Straße"\n}\n'.encode()
    with pytest.raises(OSError, match="full"), new_file(path) as partial:
        partial.write_text("half")
        raise OSError("full")
    assert read_json(path) == {"name": "Straße"}
    write_text(path, "a\r\nb")
    assert path.read_bytes() == b"a\r\nb"
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_folder_is_there_when_all_in_it_is(tmp_path: Path) -> None:
    """What is of its name is replaced; what a killed process left is not read."""
    path, left = tmp_path / "step", tmp_path / "step.partial"
    left.mkdir()
    (left / "old").write_text("half")
    for word in ("one", "two"):
        with new_folder(path) as partial:
            assert not list(partial.iterdir())
            (partial / "a").write_text(word)
            assert word == "two" or not path.exists()
    with pytest.raises(OSError, match="full"), new_folder(path) as partial:
        (partial / "a").write_text("three")
        raise OSError("full")
    assert [each.name for each in tmp_path.iterdir()] == ["step"]
    assert [each.read_text() for each in path.iterdir()] == ["two"]


def test_a_manifest_finds_what_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    write_manifest(tmp_path, {"format": "letters 1"})
    manifest = read_manifest(tmp_path, "letters 1")
    assert manifest["files"] == {"a": {"bytes": 3, "sha256": digest(tmp_path / "a")}}
    (tmp_path / "a").write_text("two")
    read_manifest(tmp_path, "letters 1", digests=False)

    def refused(message: str, format: str = "letters 1") -> None:
        with pytest.raises(ValueError, match=f"{message}.*; write it again"):
            read_manifest(tmp_path, format, "; write it again")

    refused(r"a has changed since it was written: its SHA-256 is \w{64}, it was \w{64}")
    (tmp_path / "a").write_text("three")
    refused("a has 5 bytes, and was written with 3")
    (tmp_path / "a").unlink()
    refused("a is missing")
    refused("says format='letters 1'; this version .* reads 'letters 2'", "letters 2")
    (tmp_path / MANIFEST).write_text('{"format": "letters 1"}')
    refused("manifest.json is damaged")
    (tmp_path / MANIFEST).unlink()
    refused("has no manifest.json, which is written last")


# Texts -------------------------------------------------------------------------------

COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_text_as_it_is(write) -> None:
    path = write("a.txt", "\ufeffone\r\n\u2028two\r")
    assert read_text(path) == "one\r\n\u2028two\r"
    with open_text(path) as file:
        assert list(file) == ["one\n", "\u2028two\n"]


def test_bad_bytes(write) -> None:
    """The place is that in the file, wherever Python has read to."""
    path = write("a.txt", "Café\n\n".encode() + b"Caf\xe9 \xff\xfe!\n\xe2\x82")
    with pytest.raises(ValueError, match="a.txt .* byte 10 is 0xe9; save the file as"):
        read_text(path)
    content = "é€😀\n".encode() * 5000 + b"\x80"
    with pytest.raises(ValueError, match="byte 50000 is 0x80"):
        read_text(write("a.txt.gz", gzip.compress(content)))
    with pytest.raises(ValueError, match="is not utf-16 .*truncated data"):
        read_text(write("excel.csv", "text,label".encode("utf-16") + b"!"))


TEXTS = [
    "text\nschön\n",
    "text\nслово и дело\n",
    "text\na\nb\n",
    "東京は日本の首都である。\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_unicode_of_every_kind(write, text: str) -> None:
    """A mark says which it is; without one UTF-16 is told by its small bytes."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert read_text(write("a.txt", text.encode(encoding))) == text
    for encoding in ("utf-16-le", "utf-16-be"):
        path = write("a.txt", (text * 9).encode(encoding))
        with open_text(path, encoding=encoding) as file:
            assert file.read() == text * 9
        # Chinese characters have no small bytes, and are no UTF-8 either.
        guess = "cp1252" if "東" in text else encoding
        with pytest.raises(ValueError, match=f"or give encoding='{guess}'"):
            list(read_records(path.rename(path.with_suffix(".csv")), "utf-8"))
        with pytest.raises(ValueError, match="save the file as UTF-8$"):
            read_text(path.with_suffix(".csv"))
    with open_text(write("a.txt", b"a\xff\xe9"), errors="replace") as file:
        assert file.read() == "a\ufffd\ufffd"
    assert read_text(write("a.txt", b"one\0two\0six\0")) == "one\0two\0six\0"


def test_other_encodings(write) -> None:
    """As Python reads them; where one may choose, the error says so."""
    for encoding in ("latin-1", "cp1252"):
        path = write("a.csv", "text\nschön\n".encode(encoding))
        assert [row for _, row in read_records(path, encoding=encoding)] == [
            {"text": "schön"}
        ]
        with pytest.raises(ValueError, match="as UTF-8, or give encoding='cp1252'"):
            list(read_records(path, encoding="utf-8"))
        with pytest.raises(ValueError, match=r"is not ascii \(.*encoding=… that it"):
            list(read_records(path, encoding="ascii"))
    with pytest.raises(ValueError, match="no encoding='zip'; give one that Python"):
        list(read_records(path, encoding="zip"))


@pytest.mark.parametrize("ending", COMPRESS)
def test_compressed_data_that_are_damaged(write, ending: str) -> None:
    content = COMPRESS[ending]("".join(map(str, range(100_000))).encode())
    for damaged in (content[:-20], content[:40] + b"!" * 99):
        path = write(f"a.txt.{ending}", damaged)
        with pytest.raises(ValueError, match=rf"a.txt.{ending} is damaged .*again"):
            read_text(path)
    with pytest.raises(ValueError, match="or cut short after about 0 bytes"):
        read_text(write(f"a.txt.{ending}", "plain"))


def test_a_fault_of_the_disk_is_not_the_datas(write) -> None:
    path = write("a.txt.gz", gzip.compress(b"one"))
    with pytest.raises(OSError, match="Input/output error"), open_text(path):
        raise OSError(5, "Input/output error")


# Rows --------------------------------------------------------------------------------

ROWS = [
    {"text": 'One, "two"\nthree', "label": "a"},
    {"text": "Vier \u2028 😀", "label": ""},
]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]


def test_json(write) -> None:
    """Lines, whatever ends them; or, in .json, a list."""
    path = write("a.jsonl", "\ufeff\r\n" + "\r\n\r\n".join(LINES))
    assert list(read_records(path)) == [
        (f"{path}, line 2", ROWS[0]),
        (f"{path}, line 4", ROWS[1]),
    ]
    path = write("b.JSON.gz", gzip.compress("\n".join(LINES).encode()))
    assert [row for _, row in read_records(path)] == ROWS
    for content in ("[]", "[\n]", '{"data": []}'):
        assert not list(read_records(write("a.json", content)))
    path = write("c.json", json.dumps(ROWS, indent=2))
    assert list(read_records(path)) == [
        (f"{path}, item {number}", row) for number, row in enumerate(ROWS, 1)
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{}\n["One."]', "line 2: a list; a row is one object"),
        ("a.jsonl", "{}\n[", r"line 2: not JSON \(.*; a line is one object"),
        ("a.jsonl", "{}\n" + "[" * 100_000, "line 2: not JSON"),
        ("a.json", '[{}, "One."]', "item 2: a str; a row is one object"),
        ("a.csv", 'text,label\n"One,a\n', "line 2: unexpected end of data; .* quot"),
        ("a.csv", 'text\n"One"s,a\n', "line 2: .*; in a .csv file a cell with"),
        ("a.csv", 'text,label\n\n"One,\ntwo",b\nOne, two,a\n',
         "line 5: 3 cells, and the first line names 2 columns; in a .csv file"),
        ("a.tsv", "text\tlabel\nOne.\n", "line 2: 1 cell, .* 2 columns; .* no TAB"),
        ("a.csv", "text,text\n",
         "a.csv has the columns text, text; give each a name of its own; the first li"),
        ("a.parquet", "text,label\n", "a.parquet is damaged or no Parquet file"),
        ("a.xlsx", "", r"a.xlsx should end with .jsonl, .json, .csv, .tsv, .parquet, "),
        ("a.gz", "", "save it in one of these forms, and name it so"),
    ],
)  # fmt: skip
def test_what_is_refused(write, name: str, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(read_records(write(name, content)))


def test_a_pointer_of_git_lfs(write) -> None:
    content = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    for name in ("a.csv", "a.jsonl", "a.json", "a.tsv", "a.parquet"):
        with pytest.raises(ValueError, match=f"{name} is a pointer of Git LFS .* pull"):
            list(read_records(write(name, content)))
    for name in ("vocab.txt", "tokenizer.json"):
        with pytest.raises(ValueError, match=f"{name} is a pointer of Git LFS"):
            load_tokenizer(write(name, content))
    for name in ("model.safetensors", "pytorch_model.bin"):
        with pytest.raises(ValueError, match=f"{name} is a pointer of Git LFS"):
            read_tensors(write(name, content))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file .*b.csv; check the path"):
        read_records(tmp_path / "b.csv")
    with pytest.raises(FileNotFoundError, match="is a folder; give the files in it"):
        read_records(tmp_path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path: Path, end: str) -> None:
    """As the csv module and spreadsheets write it, a byte order mark included."""
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"], lineterminator=end)
        writer.writeheader()
        writer.writerows([*ROWS, {"text": "x" * 200_000, "label": "long"}])
    (first, one), (second, two), (third, long) = read_records(path)
    assert [one, two] == ROWS and len(long["text"]) == 200_000
    assert [first, second, third] == [f"{path}, line {n}" for n in (2, 4, 5)]


def test_tsv_takes_quotation_marks_as_they_are(write) -> None:
    path = write("a.tsv", 'text\tlabel\n"One" two\ta\n"Three\tb\n')
    assert [row["text"] for _, row in read_records(path)] == ['"One" two', '"Three']


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    rows = [{"words": ["a", "b"], "n": n, "text": None} for n in range(2500)]
    path = tmp_path / "a.parquet"
    write_table(pyarrow.Table.from_pylist(rows), path)
    found = list(read_records(path))
    assert [row for _, row in found] == rows
    assert found[2000][0] == f"{path}, row 2001"


def test_a_library_that_is_missing(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    wanted = "reading a.parquet needs the library pyarrow, .* run: pip install pyarrow"
    with pytest.raises(FileNotFoundError, match=wanted):
        list(read_records(write("a.parquet", "")))


def test_empty_files(write) -> None:
    for name in ("a.jsonl", "a.json", "a.csv", "a.tsv"):
        assert list(read_records(write(name, ""))) == []
        assert list(read_records(write(name, "\ufeff\r\n\n"))) == []
