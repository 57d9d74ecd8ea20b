"""Documents from files: where one ends, in which field it is, and enormous ones."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.text import documents as documents_module
from bertcore.text.documents import Document, read_documents, text_documents

TEXT = "One.\nTwo.\n\n\n \nThree.\n\nFour.\nFive.\n"
DOCUMENTS = ["One.\nTwo.", "Three.", "Four.\nFive."]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def texts(*paths: Path) -> list[str]:
    return [document.text for document in read_documents(paths)]


def test_google_format(write) -> None:
    path = write("notes.txt", TEXT)
    documents = list(read_documents(path))
    assert documents == [
        Document(f"notes.txt, {number}", text, "")
        for number, text in enumerate(DOCUMENTS, 1)
    ]
    assert list(read_documents(str(path))) == documents
    assert list(read_documents([path, str(path)])) == 2 * documents


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_every_kind_of_line_end(write, end: str) -> None:
    assert texts(write("a.txt", TEXT.replace("\n", end))) == DOCUMENTS


def test_mixed_line_ends_and_a_byte_order_mark(write) -> None:
    content = "\ufeffOne.\r\nTwo.\r\n\rThree.\u2028\u2028Four.\n Five. "
    assert texts(write("a.txt", content)) == DOCUMENTS


@pytest.mark.parametrize(
    ("ending", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_compressed_files(write, ending: str, compress) -> None:
    assert texts(write(f"a.txt.{ending}", compress(TEXT.encode()))) == DOCUMENTS
    line = json.dumps({"text": TEXT}).encode()
    path = write(f"a.jsonl.{ending.upper()}", compress(line))
    assert texts(path) == ["One.\nTwo.\nThree.\nFour.\nFive."]


def test_json_lines(write) -> None:
    rows = [
        {"text": "One.\r\n\r\nTwo.", "title": "First"},
        {"text": " \n", "title": "Second"},
        {"text": None, "title": None},
        {"text": "Line\u2028separator 😀.", "title": "Fourth"},
    ]
    content = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = write("a.jsonl", "\ufeff" + content.replace("\n\n", "\r\n"))
    assert list(read_documents(path)) == [
        Document("a.jsonl, line 1", "One.\nTwo.", ""),
        Document("a.jsonl, line 4", "Line\nseparator 😀.", ""),
    ]
    named = list(read_documents(write("b.json", content), field="title"))
    assert [document.title for document in named] == [
        "b.json, line 1",
        "b.json, line 3",
        "b.json, line 7",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"body": "x", "id": 1}', "no 'text'; there is text in body: name the fie"),
        ("{}", "no 'text'; there is text in no field"),
        ('{"text": 3}', "'text' is of type int; there is text in no field"),
        ('{"text": "\\ud83d"}', r"half a character, \\ud83d; mend it"),
    ],
)
def test_json_lines_that_are_refused(write, line: str, message: str) -> None:
    path = write("a.jsonl", '{"text": "One."}\n' + line)
    with pytest.raises(ValueError, match="a.jsonl, line 2: " + message):
        texts(path)


@given(st.text(st.sampled_from("aé😀 \n\r\u2028")), st.integers(2, 9))
def test_wherever_a_line_is_cut_nothing_is_lost(text: str, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "LONGEST_LINE", longest)
        found = [document.text for document in text_documents(text, "")]
    assert "".join("".join(found).split()) == "".join(text.split())
    lines = [line for each in found for line in each.split("\n")]
    assert all(0 < len(line) <= longest for line in lines)


def test_enormous_lines_are_cut_and_not_lost(write) -> None:
    words, solid = "word " * 500_000, "x" * 2_500_000
    path = write("a.txt", f"{words}\nend\n\n{solid}\n\nafter\n")
    first, second, third = texts(path)
    assert first.split() == [*words.split(), "end"]
    assert second.replace("\n", "") == solid
    assert third == "after"
    assert max(map(len, first.split("\n"))) <= documents_module.LONGEST_LINE
    path = write("a.jsonl", json.dumps({"text": words}))
    assert texts(path)[0].split() == words.split()


def test_enormous_documents_are_cut_between_lines(write, monkeypatch) -> None:
    monkeypatch.setattr(documents_module, "LONGEST_DOCUMENT", 20)
    content = "".join(f"line {number}\n" for number in range(8))
    pieces = texts(write("a.txt", content))
    assert "\n".join(pieces) + "\n" == content
    assert len(pieces) == 3
    assert texts(write("a.jsonl", json.dumps({"text": content}))) == pieces


def test_little_memory(write) -> None:
    """A file of 20 MB, read with a few of them in memory at a time."""
    import tracemalloc

    path = write("a.txt", "one two three\nfour\n\n" * 1_000_000)
    tracemalloc.start()
    for number, _ in enumerate(read_documents(path)):
        if number == 50_000:
            break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6


def test_empty_files(write) -> None:
    paths = [write("a.txt", ""), write("b.txt", "\ufeff \n\n"), write("c.jsonl", "\n")]
    assert texts(*paths, write("d.txt.gz", gzip.compress(b""))) == []
    assert texts() == []


def test_paths_are_checked_at_once(write, tmp_path: Path) -> None:
    good = write("a.txt", TEXT)
    with pytest.raises(FileNotFoundError, match="no file .*b.txt; check the path"):
        read_documents([good, tmp_path / "b.txt"])
    with pytest.raises(ValueError, match="a.zip should end with .txt, .jsonl, .json"):
        read_documents(write("a.zip", ""))


def test_tables(write) -> None:
    content = 'id,text\n1,"One.\nTwo."\n2,\n3,Three.\n'
    path = write("a.csv.gz", gzip.compress(content.encode()))
    assert list(read_documents(path)) == [
        Document("a.csv.gz, line 2", "One.\nTwo.", ""),
        Document("a.csv.gz, line 5", "Three.", ""),
    ]
    with pytest.raises(ValueError, match="no column body; its columns are id, text"):
        list(read_documents(path, field="body"))
