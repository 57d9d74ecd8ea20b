"""Documents: texts of your own, from files or the hub, and their sentences.

The ending of a file's name says the format: .txt, a document after a blank line, as
Google's create_pretraining_data.py reads it; .jsonl or .json, a JSON object in each
line. Each may be compressed: .gz, .bz2 or .xz (chapter 6).
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from bertcore.sources import decoded
from bertcore.text.characters import HALF

if TYPE_CHECKING:
    from datasets import IterableDataset

FORMATS = (".txt", ".jsonl", ".json")
OPENERS: dict[str, Callable] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_CHUNK = 1 << 18  # bytes read at a time
LONGEST_LINE = 1_000_000  # characters; a longer line is cut at white space
LONGEST_DOCUMENT = 10_000_000  # characters; a longer document is cut between lines
_REMEDY = (
    "connect to a network, give a folder of parquet or jsonl files, or take a corpus "
    "that a package carries (bertcore.text.corpora)"
)
LONGEST = 4000  # characters of a sentence; BERT's 512 pieces are about half of that
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # sentencex 1.0.32 ends at "A\u00a0."
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-\w+)*")


def read_documents(
    paths: str | Path | Iterable[str | Path],
    field: str = "text",
) -> Iterator[Document]:
    """The documents of text files, one after the other, in little memory.

    The text of a document is its lines, stripped, none of them blank. Where a line
    ends is for `str.splitlines` to say. A line of more than a million characters is
    cut at white space, a document of more than ten million between two lines.

    Args:
        paths: of a file or of files.
        field: of a JSON object, that holds the text. The title is the file's name
            with the number of the document or of the JSON line.

    Raises:
        FileNotFoundError: at once, if one of the files is not there.
        ValueError: at once, if a file's ending is unknown; later, naming the file and
            the place, if its content is not what its ending says.
    """
    found = [Path(paths)] if isinstance(paths, str | Path) else [*map(Path, paths)]
    formats = [_format(path) for path in found]
    return _read_all(zip(found, formats, strict=True), field)


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects of a file, a line each, and the place of each for a message.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if its ending is not .jsonl or .json, perhaps compressed; later,
            naming the place of what is not a JSON object.
    """
    if _format(path) == ".txt":
        raise ValueError(f"{path} is plain text; give .jsonl, a JSON object a line")
    for number, line in _json_lines(path):
        place = f"{path}, line {number},"
        yield place, _record(line, place)


def text_documents(text: str, title: str) -> Iterator[Document]:
    """A text as a document: none if there is no text, several if it is enormous."""
    lines = cut_lines(text.splitlines())
    for group in _groups(line for line in lines if line.strip()):
        yield Document(title, "\n".join(group), "")


def _read_all(files: Iterable[tuple[Path, str]], field: str) -> Iterator[Document]:
    for path, format in files:
        if format == ".txt":
            for number, group in enumerate(_groups(read_lines(path)), 1):
                yield Document(f"{path.name}, {number}", "\n".join(group), "")
        else:
            for number, line in _json_lines(path):
                place = f"{path}, line {number},"
                text = _value(_record(line, place), field, place)
                yield from text_documents(text, f"{path.name}, {number}")


def _format(path: Path) -> str:
    """Which of the formats the name of a file says; the file must be there."""
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder; give the files in it")
    if not path.exists():
        raise FileNotFoundError(f"no text file {path}; check the path")
    name = Path(path.stem) if path.suffix.lower() in OPENERS else path
    format = name.suffix.lower()
    if format not in FORMATS:
        raise ValueError(
            f"{path} should end with {', '.join(FORMATS)}, each perhaps followed by "
            f"{', '.join(OPENERS)}; rename it to what it is"
        )
    return format


def _groups(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines that belong together: blank ones, or too many, end a document."""
    group: list[str] = []
    size = 0
    for line in map(str.strip, lines):
        if group and (not line or size + len(line) > LONGEST_DOCUMENT):
            yield group
            group, size = [], 0
        if line:
            group.append(line)
            size += len(line) + 1
    if group:
        yield group


def _json_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1; a line feed ends one."""
    number, parts = 1, []
    for text in read_text(path):
        first, *others = text.split("\n")
        parts.append(first)
        for other in others:
            if line := "".join(parts).strip():
                yield number, line
            number, parts = number + 1, [other]
    if line := "".join(parts).strip():
        yield number, line


def _record(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{place} is not JSON ({error}); a line is one object, {{"text": "…"}}'
        ) from error
    if not isinstance(record, dict):
        raise ValueError(
            f'{place} holds a {type(record).__name__}; a line is one object, {{"text": '
            '"…"}'
        )
    return record


def _value(record: dict[str, Any], field: str, place: str) -> str:
    if field not in record:
        raise ValueError(
            f"{place} has no {field!r}; it has {', '.join(record) or 'nothing'}; "
            "name one of them with field="
        )
    value = record[field]
    if value is not None and not isinstance(value, str):
        raise ValueError(
            f"{place} has a {type(value).__name__} in {field!r}; text is wanted; name "
            "another with field="
        )
    # JSON can spell half a character, which UTF-8, and so a tokenizer, cannot.
    if half := HALF.search(value or ""):
        raise ValueError(
            f"{place} spells half a character, \\u{ord(half[0]):x}; mend it"
        )
    return value or ""


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file in UTF-8, without their ends; a byte order mark is dropped.

    A line of more than `LONGEST_LINE` characters comes in pieces, cut at white space
    where there is any; so a file of any size takes a few megabytes.

    Args:
        path: of the file; the ending .gz, .bz2 or .xz says how it is compressed.

    Raises:
        ValueError: naming the file, where a byte is not UTF-8 or the compressed data
            are damaged.
    """
    rest = ""
    for text in read_text(path):
        *lines, rest = (rest + text).splitlines(keepends=True) or [""]
        yield from cut_lines(lines)
        *pieces, rest = _pieces(rest)  # the last line may go on
        yield from pieces
    yield from cut_lines([rest] if rest else [])


def cut_lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines without their ends, the enormous ones in pieces."""
    for line in lines:
        *pieces, last = _pieces(line)
        yield from pieces
        yield last.rstrip()


def read_text(path: Path) -> Iterator[str]:
    """The text of a file in stretches of about 256 KB, as `read_lines` reads it."""
    position, rest = 0, b""
    for content in _read(path):
        content = rest + content
        end = _whole(content)
        yield decoded(content[:end], path, position)
        position, rest = position + end, content[end:]
    if rest:
        yield decoded(rest, path, position)


def fitting(text: str, size: int) -> str:
    """The beginning of a text, of `size` characters or less, that ends between words.

    >>> fitting("one two three", 9)
    'one two'
    """
    start = text[:size]
    if len(text) <= size or text[size].isspace():
        return start
    words = start.rsplit(None, 1)
    return words[0] if len(words) == 2 else start


def _pieces(line: str) -> Iterator[str]:
    """An enormous line in pieces, other lines whole; only the last keeps its end."""
    while len(line.rstrip()) > LONGEST_LINE:
        piece = fitting(line, LONGEST_LINE)
        line = line[len(piece) :]
        if piece.strip():
            yield piece
    yield line


def _read(path: Path) -> Iterator[bytes]:
    """The bytes of a file, decompressed; ValueError where the data are damaged."""
    size = 0
    opener = OPENERS.get(path.suffix.lower())
    with opener(path) if opener else path.open("rb") as file:
        while content := _read_some(file, path, size):
            size += len(content)
            yield content


def _read_some(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return file.read(_CHUNK)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's fault, not the data's
        raise ValueError(
            f"{path} is damaged or cut short after about {size:,} bytes of text "
            f"({error}); fetch the file again"
        ) from error


def _whole(content: bytes) -> int:
    """How many bytes there are before a last character that is not all there."""
    for back in range(1, min(3, len(content)) + 1):
        byte = content[-back]
        if byte & 0b1100_0000 != 0b1000_0000:  # a character begins here
            needed = 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
            return len(content) - back if needed > back else len(content)
    return len(content)


def stream(
    name_or_folder: str | Path,
    config: str | None = None,
    split: str = "train",
    field: str = "text",
) -> Iterator[Document]:
    """The documents of a data set, row by row; nothing is downloaded ahead.

    Args:
        name_or_folder: on the hub, such as "wikimedia/wikipedia", or a folder of files
            as the hub keeps them.
        config: which of the data set's parts, such as "20231101.en".
        split: "train", or what else it has.
        field: the column of the text. The title is the name with the number of the row.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config, split or column, or if the column holds
            something else than text.
    """
    rows = load(str(name_or_folder), config, split, streaming=True)
    return _documents(rows, str(name_or_folder), field)


def _documents(rows: IterableDataset, name: str, field: str) -> Iterator[Document]:
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            text = _hub_value(row, field, name)
            yield from text_documents(text, f"{name}, {number}")
    except OSError as error:
        raise FileNotFoundError(
            f"the stream of {name} broke off after {number:,} rows "
            f"({_first_line(error)}); {_REMEDY}"
        ) from error


def load(name: str, config: str | None, split: str | None, streaming: bool) -> Any:
    """What `datasets.load_dataset` gives, or one clear sentence on why it does not.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config or split.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise FileNotFoundError(
            f"{name} is read with a library that is not installed; "
            "run: pip install datasets"
        ) from error
    try:
        return load_dataset(name, config, split=split, streaming=streaming)
    except FileNotFoundError as error:  # and the library's own, which are such ones
        raise FileNotFoundError(
            f"no data set {name!r} ({_first_line(error)}); give owner/name as on the "
            "hub, or a folder of parquet or jsonl files"
        ) from error
    except OSError as error:
        raise FileNotFoundError(
            f"the hub cannot be reached for {name} ({_first_line(error)}); {_REMEDY}"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name} with config={config!r} and split={split!r}: {_first_line(error)}"
        ) from error


def _hub_value(row: dict[str, Any], column: str, name: str) -> str:
    value = row.get(column, 0)
    if value is not None and not isinstance(value, str):
        columns = [key for key, value in row.items() if isinstance(value, str)]
        raise ValueError(
            f"{name} has no text in a column {column!r}; there is text in "
            f"{', '.join(columns) or 'none'}: name one with field="
        )
    return value or ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, in order, stripped, none of them empty.

    The end of a line ends a sentence. A sentence of more than 4,000 characters is cut
    at white space where there is any. Nothing is lost; white space outside ASCII
    becomes a space.

    Args:
        text: of any length; the time grows with it and no faster.
        language: its code, for the abbreviations: "en", "de", "pt-br". The library
            takes a code that it does not know for a language close to it, in the end
            for English. Of French it knows few: "M." ends a sentence there.

    Raises:
        ValueError: if `language` has not the form of a code, or if the text holds half
            a character.
        FileNotFoundError: if the library is not installed.

    >>> split_sentences("Dr. Smith paid 3.50 dollars. She left.")
    ['Dr. Smith paid 3.50 dollars.', 'She left.']
    """
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(
            f"language={language!r} is no code of a language; give two or three "
            'letters, as "en" or "de"'
        )
    segment = _library()
    try:
        return [
            stripped
            for line in text.splitlines()
            for sentence in _sentences(_WIDE_SPACE.sub(" ", line), language, segment)
            if (stripped := sentence.strip())
        ]
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has half a character, U+{ord(error.object[error.start]):04X}; "
            "mend the text"
        ) from error


def _sentences(
    line: str, language: str, segment: Callable[[str, str], list[str]]
) -> Iterator[str]:
    """The sentences of a line, which are the line when they are joined.

    The library's time grows with the square of the length of a line, in some scripts.
    So it sees a window at a time, and the last sentence in it is seen again whole.
    """
    start = 0
    while len(line) - start > LONGEST:
        window = line[start : start + LONGEST]
        *done, _ = segment(language, window)
        done = done or [fitting(line[start : start + LONGEST + 1], LONGEST)]
        yield from done
        start += sum(map(len, done))
    yield from segment(language, line[start:])


def _library() -> Callable[[str, str], list[str]]:
    try:
        from sentencex import segment
    except ImportError as error:
        raise FileNotFoundError(
            "sentences are found by a library that is not installed; "
            "run: pip install sentencex"
        ) from error
    return segment


class Document(NamedTuple):
    """One text with its title, its topic and what it is about in a few words."""

    title: str
    text: str
    topic: str
    description: str = ""


def read_texts(paths: Iterable[str | Path]) -> Iterator[str]:
    """The lines of text files in UTF-8, one file after the other.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: naming the file and the first byte that is not UTF-8.
    """
    for path in map(Path, paths):
        if path.is_dir() or not path.exists():
            raise FileNotFoundError(f"no text file {path}; check the path")
        position = 0
        with path.open("rb") as file:
            for line in file:
                yield decoded(line, path, position)
                position += len(line)
