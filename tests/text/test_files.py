"""Documents from files: formats, compression, and everything that can be wrong."""

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
from bertcore.text.documents import Document, read_documents

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
    content = compress("".join(map(str, range(100_000))).encode())
    for name, damaged in (("cut", content[:-20]), ("wrong", content[:40] + b"!" * 99)):
        path = write(f"{name}.txt.{ending}", damaged)
        with pytest.raises(
            ValueError, match=rf"{name}.txt.{ending} is damaged .*again"
        ):
            texts(path)
    with pytest.raises(
        ValueError, match=r"is damaged or cut short after about 0 bytes"
    ):
        texts(write(f"plain.txt.{ending}", TEXT))


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
        Document("a.jsonl, 1", "One.\nTwo.", ""),
        Document("a.jsonl, 4", "Line\nseparator 😀.", ""),
    ]
    named = list(read_documents(write("b.json", content), field="title"))
    assert [document.title for document in named] == [
        "b.json, 1",
        "b.json, 3",
        "b.json, 7",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"body": "x", "id": 1}', "line 2, has no 'text'; it has body, id; .*field="),
        ("{}", "line 2, has no 'text'; it has nothing"),
        ('{"text": 3}', "line 2, has a int in 'text'; text is wanted; .*field="),
        ('["One."]', "line 2, holds a list; a line is one object"),
        ("[", "line 2, is not JSON .*; a line is one object"),
        ("[" * 100_000, "line 2, is not JSON"),
        ('{"text": "\\ud83d"}', r"line 2, spells half a character, \\ud83d; mend it"),
    ],
)
def test_json_lines_that_are_refused(write, line: str, message: str) -> None:
    path = write("a.jsonl", '{"text": "One."}\n' + line)
    with pytest.raises(ValueError, match="a.jsonl, " + message):
        texts(path)


def test_bad_bytes(write) -> None:
    path = write("a.txt", "Café\n\n".encode() + b"Caf\xe9 \xff\xfe!\n\xe2\x82")
    with pytest.raises(ValueError, match="a.txt .* byte 10 is 0xe9; save the file as"):
        texts(path)


def test_the_place_of_a_bad_byte_after_many_chunks(write, monkeypatch) -> None:
    monkeypatch.setattr(documents_module, "_CHUNK", 7)
    path = write("a.txt", "é€😀\n".encode() * 50 + b"\x80")
    with pytest.raises(ValueError, match="byte 500 is 0x80"):
        texts(path)


@given(st.text(st.sampled_from("aé€😀 \n\r\u2028")), st.integers(1, 9))
def test_chunks_change_nothing(tmp_path_factory, text: str, size: int) -> None:
    path = tmp_path_factory.mktemp("chunks") / "a.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "_CHUNK", size)
        found = list(documents_module.read_lines(path))
    assert [line.rstrip() for line in text.splitlines()] == found


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
    with pytest.raises(FileNotFoundError, match="no text file .*b.txt; check the path"):
        read_documents([good, tmp_path / "b.txt"])
    with pytest.raises(FileNotFoundError, match="is a folder; give the files in it"):
        read_documents(tmp_path)
    with pytest.raises(
        ValueError, match=r"a.zip should end with .txt, .jsonl, .json, .*"
    ):
        read_documents(write("a.zip", ""))
    with pytest.raises(ValueError, match=r"rename it to what it is"):
        read_documents(write("b.gz", ""))


def test_a_fault_of_the_disk_is_not_the_datas(write, monkeypatch) -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        documents_module._read_some(Broken(), Path("a.txt"), 0)
