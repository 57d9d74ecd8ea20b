"""Documents from files: where one ends, and in which field it is."""

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import random
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.text.documents import Document, read_documents
from tests.conftest import WHOLE

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
    with pytest.warns(UserWarning, match="a.jsonl: 2 of 4 rows have no text in 'text'"):
        assert list(read_documents(path)) == [
            Document("a.jsonl, line 1", "One.\nTwo.", ""),
            Document("a.jsonl, line 4", "Line\nseparator 😀.", ""),
        ]
    with pytest.warns(UserWarning, match="1 of 4 rows have no text in 'title'"):
        named = list(read_documents(write("b.json", content), field="title"))
    assert [document.title for document in named] == [
        "b.json, line 1",
        "b.json, line 3",
        "b.json, line 7",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"body": "x", "id": 1}',
            "no 'text'; there is text in body: give field='body'",
        ),
        ("{}", "no 'text'; there is text in no field"),
        ('{"text": 3}', "'text' is of type int; there is text in no field"),
        ('{"text": "\\ud83d"}', r"half a character, \\ud83d; mend it"),
    ],
)
def test_json_lines_that_are_refused(write, line: str, message: str) -> None:
    path = write("a.jsonl", '{"text": "One."}\n' + line)
    with pytest.raises(ValueError, match="a.jsonl, line 2: " + message):
        texts(path)


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
    with pytest.warns(UserWarning) as told:
        assert texts(*paths, write("d.txt.gz", gzip.compress(b""))) == []
    said = [str(each.message).rpartition("/")[2] for each in told]
    empty = [f"{name} has no text" for name in ("a.txt", "b.txt", "d.txt.gz")]
    assert said == [*empty[:2], "c.jsonl: no rows", empty[2]]
    assert texts() == []


def test_other_encodings(write) -> None:
    latin = write("a.txt", "Schöne Tage.\n\nÉté.".encode("latin-1"))
    rows = write("a.jsonl", '{"text": "Été"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="encoding='cp1252', if it is"):
        texts(latin)
    for encoding in ("latin-1", "cp1252"):
        found = read_documents([latin, rows], "text", encoding)
        assert [each.text for each in found] == ["Schöne Tage.", "Été.", "Été"]


ANY_TEXT = st.text(st.sampled_from("ab. é東😀\x00\ufeff\n\r\t\u2028\x85\"',{}[]:"))


@settings(max_examples=5000 if WHOLE else 300, deadline=None)
@given(
    st.lists(ANY_TEXT, max_size=6),
    st.sampled_from([".txt", ".jsonl", ".csv", ".tsv", ".json"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "latin-1"]),
)
def test_no_row_is_lost_without_a_word(given_texts, ending: str, encoding: str) -> None:
    """Rows in are documents out and those told of; what is wrong is a ValueError."""
    rows = [{"text": text} for text in given_texts]
    if ending == ".jsonl":
        content = "\n".join(json.dumps(row) for row in rows)
    elif ending == ".json":
        content = json.dumps(rows)
    elif ending == ".csv":
        file = io.StringIO()
        writer = csv.DictWriter(file, ["text", "n"])
        writer.writeheader()
        writer.writerows({**row, "n": 1} for row in rows)
        content = file.getvalue()
    else:  # as it is, broken perhaps
        content = "text\n" + "\n\n".join(given_texts)
    with TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        path = Path(folder) / f"a{ending}"
        path.write_bytes(content.encode(encoding, "replace"))
        try:
            found = list(read_documents(path))
        except ValueError as error:
            assert str(path) in str(error)
            assert (
                encoding == "latin-1"
                or ending in (".tsv", ".txt")
                or content == "[]"
                or ("seems to be UTF-16" in str(error))
            )
            return
        if ending == ".txt":
            lost = set(content.split()) - set(" ".join(d.text for d in found).split())
            assert encoding == "latin-1" or not {w.strip("\ufeff") for w in lost} - {""}
        elif ending != ".tsv":
            blank = sum(
                int(re.search(r"(\d+) of", str(w.message) + "0 of")[1]) for w in told
            )
            assert len(found) + blank == len(rows)


def test_a_corpus_of_any_bytes(tmp_path: Path) -> None:
    """Whatever stands in a file: documents, or one sentence that names the file."""
    rng = random.Random(0)
    alphabet = [
        b"a",
        b"\n",
        b"\r",
        b'"',
        b",",
        b"\t",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"{}",
    ]
    for number in range(4000 if WHOLE else 400):
        ending = rng.choice([".txt", ".jsonl", ".csv", ".tsv", ".json", ".parquet"])
        path = tmp_path / f"a{ending}{rng.choice(['', '.gz'])}"
        content = b"".join(rng.choices(alphabet, k=rng.randrange(40)))
        gz = path.suffix == ".gz" and ending != ".parquet" and number % 3
        path.write_bytes(gzip.compress(content) if gz else content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(ValueError):
                list(read_documents(path))
        path.unlink()


def test_paths_are_checked_at_once(write, tmp_path: Path) -> None:
    good = write("a.txt", TEXT)
    with pytest.raises(FileNotFoundError, match="no file .*b.txt; check the path"):
        read_documents([good, tmp_path / "b.txt"])
    with pytest.raises(ValueError, match="a.zip should end with .txt, .jsonl, .json"):
        read_documents(write("a.zip", ""))


def test_tables(write) -> None:
    content = 'id,text\n1,"One.\nTwo."\n2,\n3,Three.\n'
    path = write("a.csv.gz", gzip.compress(content.encode()))
    with pytest.warns(UserWarning, match="1 of 3 rows have no text in 'text'"):
        assert list(read_documents(path)) == [
            Document("a.csv.gz, line 2", "One.\nTwo.", ""),
            Document("a.csv.gz, line 5", "Three.", ""),
        ]
    wanted = "no 'body'; there is text in id, text: give field='id'; the first line nam"
    with pytest.raises(ValueError, match=wanted):
        list(read_documents(path, field="body"))
    path = write("b.csv", "stars,Review\n5,One.\n")
    with pytest.warns(UserWarning, match="b.csv: its texts are in 'Review'"):
        assert [each.text for each in read_documents(path)] == ["One."]
    with pytest.raises(ValueError, match="no 'text'; there is text in stars, Review"):
        list(read_documents(path, field="text"))
    path = write("c.jsonl", '{"review": "One.", "comment": "Two."}')
    with pytest.raises(ValueError, match="text in review, comment: give field='rev"):
        list(read_documents(path))
