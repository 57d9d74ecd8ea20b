"""Files: written whole or not at all, and read in whatever form people have them.

What is written gets its name last. So a file or folder that has its name is whole, at
whatever moment a process was killed; `NAME.partial` beside it is what a killed process
left, and the next one that writes NAME replaces it. A folder is whole even after a
power cut, because it waits until the disk has all of it.

Texts are UTF-8, perhaps compressed. Rows come from JSON, tables, Parquet, or columns of
words with blank lines between sentences, each with its place in the file.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import re
import shutil
import warnings
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, lookup
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from hashlib import file_digest
from io import BufferedReader, StringIO, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from bertcore.sources import beside, many, needs

MANIFEST = "manifest.json"
COMPRESSED: dict[str, Callable] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
TABLES = (".csv", ".tsv", ".parquet")
ROWS = (".jsonl", ".json", *TABLES)
# Words with their tags in columns, as the shared tasks of CoNLL have them.
SENTENCES = (".conll", ".conllu", ".bio", ".iob", ".txt")
# universaldependencies.org/format.html
_UNIVERSAL = "id form lemma upos xpos feats head deprel deps misc".split()
_REMARK = re.compile(r"#\s*(id\b|[\w:. ]+ = )")  # before a sentence
_LONGEST_CELL = 10_000_000  # characters; a quotation mark too many ends there
_STEP = 1 << 18  # bytes
_POINTER = b"version https://git-lfs.github.com/"
_AT_ONCE = 1000  # rows of a Parquet file that are in memory together
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r"))

# Writing -----------------------------------------------------------------------------


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that is there only when all in it is written and on disk.

    The `with` block writes into the folder that it is given, which then gets the name
    `path`; an older one of that name is removed. An error leaves what was there.
    """
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # by a process that was killed
    partial.mkdir(parents=True)
    try:
        yield partial
        for written in [*partial.rglob("*"), partial]:
            _flush(written)
        if path.exists():  # a folder, unlike a file, cannot be replaced in one step
            shutil.rmtree(path)
        partial.rename(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file that is replaced only when the new one is whole.

    The `with` block writes to the path that it is given, in the same folder, which is
    made if it is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, its line ends as they are, whole or not at all."""
    with new_file(path) as partial:
        partial.write_text(text, encoding="utf8", newline="")


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Write plain values as JSON; without `indent` it is shorter, and much faster."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def _flush(path: Path) -> None:
    """Make sure that a file, or a folder's list of names, is on disk."""
    # Windows flushes only what one may write to, and opens no folder; some network
    # folders cannot be opened either.
    is_folder = path.is_dir()
    with suppress(OSError) if is_folder else nullcontext():
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# Manifests ---------------------------------------------------------------------------


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, about: Mapping[str, Any]) -> None:
    """Write what a folder is, with the size and the digest of each file in it."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(folder.iterdir())
    }
    write_json(folder / MANIFEST, {**about, "files": files})


def read_manifest(
    folder: Path, format: str, remedy: str = "", digests: bool = True
) -> dict[str, Any]:
    """The manifest of a folder, if the files beside it are as they were written.

    Args:
        format: what the manifest must say in "format".
        remedy: what to do otherwise, to end the messages with.
        digests: whether files are read and compared, or only their sizes are.

    Raises:
        ValueError: naming what is missing or has changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} has no {MANIFEST}, which is written last{remedy}")
    manifest = read_json(path)
    if manifest.get("format") != format:
        raise ValueError(
            f"{path} says format={manifest.get('format')!r}; this version of bertcore "
            f"reads {format!r}{remedy}"
        )
    try:
        for name, about in manifest["files"].items():
            file = beside(path, name)
            size = file.stat().st_size if file.is_file() else None
            if size is None:
                fault = "is missing"
            elif size != about["bytes"]:  # a copy that was cut short
                fault = f"has {size:,} bytes, and was written with {about['bytes']:,}"
            elif digests and (sha256 := digest(file)) != about["sha256"]:
                fault = "has changed since it was written: its SHA-256 is "
                fault += f"{sha256}, it was {about['sha256']}"
            else:
                continue
            raise ValueError(f"{file} {fault}{remedy}")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}{remedy}") from error
    return manifest


# Reading -----------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """The text of a file, its line ends as they are."""
    with open_text(path, newline="") as file:
        return file.read()


def read_any_json(path: Path) -> Any:
    """The content of a JSON file; ValueError names the file."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The table of names and values in a JSON file; ValueError names the file."""
    content = read_any_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no table of names and values")
    return content


@contextmanager
def open_text(
    path: Path,
    newline: str | None = None,
    encoding: str | None = None,
    errors: str = "strict",
) -> Iterator[TextIO]:
    """A text file, perhaps compressed, open for reading.

    A byte order mark is dropped; that of UTF-16 or UTF-32 says that the file is in it.

    Args:
        path: of the file; the ending .gz, .bz2 or .xz says how it is compressed.
        newline: "" keeps line ends; by default each becomes a line feed.
        encoding: as Python names it, such as "latin-1"; None is UTF-8. Where a user
            may choose, give "utf-8": errors then say that there is a choice.
        errors: "replace" makes U+FFFD of bytes that are not in the encoding.

    Raises:
        ValueError: if Python has no such encoding; where the file is read, naming it
            and the first byte that is not in the encoding, or that the compressed data
            are damaged, or that it seems to be UTF-16 without a mark.
    """
    try:
        "".encode(encoding or "utf-8")  # knows of texts only; not of zip, say
    except LookupError as error:
        raise ValueError(
            f"no encoding={encoding!r}; give one that Python knows, such as 'utf-16', "
            "'cp1252' or 'latin-1'"
        ) from error
    codec = lookup(encoding or "utf-8").name
    opener = COMPRESSED.get(path.suffix.lower(), open)
    # In large steps: Python's own, of 8 KB, take gzip twice as long.
    with opener(path, "rb") as data, BufferedReader(data, _STEP) as steps:
        try:
            check_no_pointer(path, steps.peek())
            if codec == "utf-8":
                codec = _unicode_codec(path, steps.peek(), encoding)
            yield TextIOWrapper(steps, codec, errors, newline)  # closed with `steps`
        except UnicodeError as error:
            if codec == "utf-8-sig":
                _check_utf8(path, encoding)  # Python counts from where it read last
            raise ValueError(
                f"{path} is not {codec} ({error}); give the encoding=… that it is in"
            ) from error
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the disk's fault, not the data's
            raise ValueError(
                f"{path} is damaged or cut short after about {data.tell():,} "
                f"bytes of text ({error}); fetch the file again"
            ) from error


def check_no_pointer(path: Path, start: bytes | None = None) -> None:
    """ValueError if a file, that starts so, only says where Git LFS has its content."""
    if start is None:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    if start.startswith(_POINTER):
        raise ValueError(
            f"{path} is a pointer of Git LFS and not the file itself; run: git lfs "
            "pull, or fetch the file again"
        )


def _unicode_codec(path: Path, start: bytes, encoding: str | None) -> str:
    """The codec of a file that should be UTF-8, by the bytes that it begins with.

    Raises:
        ValueError: if it seems to be UTF-16 and has no mark that says so.
    """
    if start.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    # Every other byte says which alphabet it is, and is small: for Latin letters 0.
    for name, half in (("utf-16-be", start[:4096:2]), ("utf-16-le", start[1:4096:2])):
        if half[1:] and 4 * len(half.translate(None, _CONTROL)) < len(half):
            choice = f", or give encoding={name!r}" if encoding else ""
            raise ValueError(
                f"{path} seems to be UTF-16 without a byte order mark; save the file "
                f"as UTF-8{choice}"
            )
    return "utf-8-sig"  # which drops a mark


def _check_utf8(path: Path, encoding: str | None) -> None:
    """ValueError if a byte is not UTF-8, by its place in the whole file."""
    position = 0
    with COMPRESSED.get(path.suffix.lower(), open)(path, "rb") as file:
        for line in file:  # no character of several bytes has a line feed in it
            try:
                line.decode("utf8")
            except UnicodeDecodeError as error:
                # What Windows wrote in Western Europe; Latin-1 is a part of it.
                choice = ", or give encoding='cp1252', if it is" if encoding else ""
                raise ValueError(
                    f"{path} is not UTF-8: byte {position + error.start} is "
                    f"0x{line[error.start]:02x}; save the file as UTF-8{choice}"
                ) from error
            position += len(line)


def ending_of(path: Path) -> str:
    """The ending of a file's name, in small letters, without that of a compression.

    >>> ending_of(Path("my.rows.JSONL.gz"))
    '.jsonl'
    """
    compressed = path.suffix.lower() in COMPRESSED
    return (Path(path.stem) if compressed else path).suffix.lower()


def check_ending(path: Path, endings: Iterable[str]) -> str:
    """The ending of a file that is there, if it is one of these.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if its name ends otherwise.
    """
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder; give the files in it")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}; check the path")
    ending = ending_of(path)
    if ending not in endings:
        raise ValueError(
            f"{path} should end with {', '.join(endings)}, each perhaps followed by "
            f"{', '.join(COMPRESSED)}; save it in one of these forms, and name it so"
        )
    return ending


def read_records(
    path: Path, encoding: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, each with its place, such as "my.csv, line 17".

    .jsonl: a JSON object in each line. .json: the same, or a list of objects, perhaps
    as "data" of one object. .csv and .tsv: a table whose first line names the columns;
    its cells are texts. .parquet: its columns are the fields.

    In .csv commas, semicolons or TABs stand between cells, as the first two rows say. A
    cell with one of them, a quotation mark or a line end in it stands in quotation
    marks, as spreadsheets write it. In .tsv a quotation mark is a character like
    others, as in the files of GLUE, unless the file is what pandas and the csv module
    would write. Where it could be either, a warning says so.

    Args:
        encoding: as for `open_text`.

    Raises:
        FileNotFoundError: if there is no such file, or the library for it is missing.
        ValueError: if its ending is another; later, naming the place of what is wrong.
    """
    ending = check_ending(path, ROWS)
    if ending == ".parquet":
        return _parquet_rows(path)
    if ending in TABLES:
        return _table_rows(path, ending, encoding)
    return _json_rows(path, ending, encoding)


def _json_rows(
    path: Path, ending: str, encoding: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    with open_text(path, None, encoding) as file:
        first = True
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            is_first = first and ending == ".json"
            if (whole := _whole(line, file, path) if is_first else None) is not None:
                for item, value in enumerate(whole, 1):
                    yield _object(value, f"{path}, item {item}")
                return
            first, place = False, f"{path}, line {number}"
            yield _object(_json_value(line, place), place)


def _whole(line: str, file: TextIO, path: Path) -> list[Any] | None:
    """The rows of a file that is one value; None if its first line is a row of many."""
    try:
        value, more = json.loads(line), True
    except (ValueError, RecursionError):
        value, more = _json_value(line + file.read(), str(path)), False
    rows = value.get("data") if isinstance(value, dict) else value
    if isinstance(rows, list):
        return rows
    columns = list(value.values()) if isinstance(value, dict) else []
    if columns[1:] and all(isinstance(each, dict) for each in columns):
        raise ValueError(
            f"{path}: a table by its columns; give a list of rows, as pandas writes it "
            'with to_json(path, orient="records")'
        )
    return None if more else [value]


def _json_value(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{place}: not JSON ({error}); a line is one object, {{"text": "…"}}'
        ) from error


def _object(value: Any, place: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(
            f'{place}: a {type(value).__name__}; a row is one object, {{"text": "…"}}'
        )
    return place, value


def _table_rows(
    path: Path, ending: str, encoding: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(_LONGEST_CELL)  # by default 131,072: not enough for a book
    form: dict[str, Any] = {"delimiter": "\t", "strict": True}
    advice = "a cell with a comma or a quotation mark stands in quotation marks"
    if ending == ".csv":
        form["delimiter"] = _delimiter(path, encoding)
    elif not _quotes(path, encoding):
        form["quoting"] = csv.QUOTE_NONE
        advice = "a cell holds no TAB and no line end"
    with open_text(path, "", encoding) as file:
        rows, line = csv.reader(file, **form), 1
        try:
            names = [name.strip() for name in next(_cells(rows), [])]
            _check_columns(path, names)
            line = rows.line_num + 1  # where a row begins; it may hold line ends
            for cells in rows:
                place = f"{path}, line {line}"
                if cells and len(cells) != len(names):
                    raise csv.Error(
                        f"{many(len(cells), 'cell')}, and the first line names "
                        f"{many(len(names), 'column')}"
                    )
                if cells:  # the line is not blank
                    yield place, dict(zip(names, cells, strict=True))
                line = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {line}: {error}; in a {ending} file {advice}"
            ) from error


def _cells(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Rows that are neither blank nor the line "sep=;", which Excel may begin with."""
    return (row for row in rows if row and not row[0].startswith("sep="))


def _delimiter(path: Path, encoding: str | None) -> str:
    """What stands between cells: it parts the first row, and the second as often."""
    counts: dict[str, list[int]] = {}
    for mark in ",;\t":
        with (
            open_text(path, "", encoding) as file,
            suppress(csv.Error),
        ):
            rows = _cells(csv.reader(file, delimiter=mark, strict=True))
            counts[mark] = [len(row) for row in islice(rows, 2)]
    parting = {mark: found for mark, found in counts.items() if found[:1] > [1]}
    fit = [mark for mark, found in parting.items() if len({*found}) == 1]
    if len(fit) > 1:
        raise ValueError(
            f"{path}: {' or '.join(map(repr, fit))} may stand between its cells; put "
            "cells that hold one of them in quotation marks"
        )
    return next(chain(fit, parting, ","))


def _quotes(path: Path, encoding: str | None) -> bool:
    """Whether quotation marks enclose cells in a .tsv file, or are characters."""
    with open_text(path, "", encoding) as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        names, marks, literal = next(filter(None, rows), []), False, True
        for cells in rows:
            literal = literal and len(cells) in (0, len(names))
            marks = marks or any('"' in cell for cell in cells)
    if any('"' in name for name in names) or not marks:
        return any('"' in name for name in names)
    # As pandas writes it? Then written again, each row is the same.
    taken: list[str] = []
    written = quoted = same = True
    with open_text(path, "", encoding) as file:
        lines = (taken.append(line) or line for line in file)
        try:
            for cells in csv.reader(lines, delimiter="\t", strict=True):
                raw, again = "".join(taken).rstrip("\r\n"), StringIO()
                taken.clear()
                csv.writer(again, delimiter="\t", lineterminator="").writerow(cells)
                written = written and again.getvalue() == raw
                quoted = quoted and len(cells) in (0, len(names))
                same = same and (not cells or cells == raw.split("\t"))
        except csv.Error:
            quoted = False
    if literal and quoted and not (written or same):
        warnings.warn(
            f"{path}: quotation marks are read as characters; if they enclose cells, "
            "save the file as .csv",
            stacklevel=2,
        )
    return quoted and (written or not literal)


def read_sentences(
    path: Path, encoding: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sentences with a word in each line, and its tags in columns after it.

    White space, or TABs if there are any, stand between columns, and blank lines
    between sentences. Lines that begin with -DOCSTART- are passed over, and remarks
    before a sentence, such as "# text = …".

    Args:
        encoding: as for `open_text`.

    Yields:
        The place, and a list for each column: "words", the first; "tags", the last; and
        "2", "3", … between. Of Universal Dependencies, ten columns whose first are
        numbers, they are those of its documentation: "form", "upos", ….

    Raises:
        ValueError: if a line has more or fewer columns than the first.
    """
    with open_text(path, encoding=encoding) as file:
        first = ""
        for line in map(str.strip, file):
            if line and not line.startswith("-DOCSTART-"):
                first = line if first[:1] in ("", "#") else first
            if first and first[0] != "#":
                break
    apart = "\t" if "\t" in first else None
    count = len(first.split(apart))
    names = ["words", *map(str, range(2, count)), "tags"]
    if count == len(_UNIVERSAL) and re.match(r"\d+(-\d+)?\s", first):
        names = _UNIVERSAL
    sentence, place = [], ""
    with open_text(path, encoding=encoding) as file:
        for number, line in enumerate(chain(file, ["\n"]), 1):
            cells = [cell.strip() for cell in line.strip().split(apart)]
            if not line.strip():
                if sentence:
                    columns = map(list, zip(*sentence, strict=True))
                    yield place, dict(zip(names, columns, strict=True))
                sentence = []
                continue
            if line.startswith("-DOCSTART-"):
                continue
            if line[0] == "#" and (len(cells) != count or _REMARK.match(line)):
                continue
            if not 1 < len(cells) == count:
                raise ValueError(
                    f"{path}, line {number}: {len(cells)} columns, and the first line "
                    f"with a word has {count}; a line is a word and its tag, and a "
                    "blank one ends a sentence"
                )
            place = place if sentence else f"{path}, line {number}"
            # Universal Dependencies: 3-4 is a word of two, and 8.1 none that is seen.
            if names is not _UNIVERSAL or cells[0].isdecimal():
                sentence.append(cells)


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    arrow = needs("pyarrow", f"reading {path.name}")
    parquet = needs("pyarrow.parquet", f"reading {path.name}")
    check_no_pointer(path)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (arrow.ArrowException, OSError, UnicodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's fault, not the data's
        raise ValueError(
            f"{path} is damaged or no Parquet file ({error}); fetch it again"
        ) from error


def _check_columns(path: Path, names: list[str]) -> None:
    """A table without a first line of names may show itself here, once for all rows."""
    if len(set(names)) < len(names):
        listed = ", ".join(f"{name:.40}" for name in names)
        raise ValueError(
            f"{path} has the columns {listed}; give each a name of its own"
            f"{heading(path)}"
        )


def heading(path: str | Path) -> str:
    """Where a table has the names of its columns, to end a message with.

    >>> heading("my.csv"), heading("my.jsonl")
    ('; the first line names the columns', '')
    """
    named = re.search(r"\.[ct]sv\b", str(path))
    return "; the first line names the columns" if named else ""
