"""Documents: texts of your own, from files or the hub, and their sentences (chapter 6).

In a .txt file a blank line ends a document, as Google's create_pretraining_data.py
reads it. In other files, and in data sets of the hub, each row holds one in a field.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import (
    ROWS,
    check_ending,
    heading,
    open_text,
    read_records,
)
from bertcore.sources import many, needs
from bertcore.text.characters import HALF

_REMEDY = (
    "connect to a network, give a folder of parquet or jsonl files, or take a corpus "
    "that a package carries (bertcore.text.corpora)"
)
LONGEST = 4000  # characters of a sentence; BERT's 512 pieces are about half of that
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # sentencex 1.0.32 ends at "A\u00a0."
# What else the field or the column of a text is often called.
USUAL_TEXT = "sentence review comment tweet content document body message question"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-\w+)*")


class Document(NamedTuple):
    """One text with its title, its topic and what it is about in a few words."""

    title: str
    text: str
    topic: str
    description: str = ""


def read_documents(
    paths: str | Path | Iterable[str | Path],
    field: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[Document]:
    """The documents of files, one after the other, in little memory.

    The text of a document is its lines, stripped, none of them blank. Where a line
    ends is for `str.splitlines` to say. It warns of rows and files without text.

    Args:
        paths: of a file or of files: .txt, or what `bertcore.files.read_records` reads.
        field: of a row, that holds the text; by default "text", or the one that has a
            usual name. The title is the file's name with the number of the document,
            or the place of the row.
        encoding: as Python names it, such as "latin-1".

    Raises:
        FileNotFoundError: at once, if one of the files is not there.
        ValueError: at once, if a file's ending is unknown; later, naming the file and
            the place, if its content is not what its ending says.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    files = [(path, check_ending(path, (".txt", *ROWS))) for path in map(Path, paths)]
    return chain.from_iterable(_read(*file, field, encoding) for file in files)


def _read(
    path: Path, ending: str, field: str | None, encoding: str
) -> Iterator[Document]:
    if ending == ".txt":
        group = None
        with open_text(path, None, encoding) as file:
            lines = chain.from_iterable(map(str.splitlines, file))
            for number, group in enumerate(_groups(lines), 1):
                yield Document(f"{path.name}, {number}", "\n".join(group), "")
        if group is None:
            warnings.warn(f"{path} has no text", stacklevel=1)
    else:
        rows = read_records(path, encoding)
        for place, text in row_texts(rows, str(path), field):
            yield from text_documents(text, Path(place).name)


def text_documents(text: str, title: str) -> Iterator[Document]:
    """A text as a document; none if there is no text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines:
        yield Document(title, "\n".join(lines), "")


def _groups(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines that belong together: blank ones end a document."""
    for has_text, group in groupby(map(str.strip, lines), bool):
        if has_text:
            yield list(group)


def _text_in(row: dict[str, Any], field: str, place: str) -> str:
    """The text of a row; one that is null is empty."""
    value = row.get(field, 0)
    if value is not None and not isinstance(value, str):
        fault = f"no {field!r}"
        if field in row:
            fault = f"{field!r} is of type {type(value).__name__}"
        texts = [name for name, value in row.items() if isinstance(value, str)]
        raise ValueError(
            f"{place}: {fault}; there is text in {', '.join(texts) or 'no field'}: "
            f"give field={texts[0] if texts else 'NAME'!r}{heading(place)}"
        )
    # JSON can spell half a character, which UTF-8, and so a tokenizer, cannot.
    if half := HALF.search(value or ""):
        raise ValueError(f"{place}: half a character, \\u{ord(half[0]):x}; mend it")
    return value or ""


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Names of fields by what they are without capitals, blanks and hyphens.

    >>> plain_names(["Full text", "id"])
    {'full_text': 'Full text', 'id': 'id'}
    """
    return {re.sub(r"[\s-]+", "_", name.lower()): name for name in names}


def _usual_field(row: dict[str, Any], name: str) -> str:
    """The field that holds the text, if only one has a usual name; or "text"."""
    known, found = ("text", *USUAL_TEXT.split()), plain_names(row)
    fit = [found[each] for each in known if each in found]
    if len(fit) != 1 or "text" in row:
        return "text"
    if fit != ["text"]:
        warnings.warn(f"{name}: its texts are in {fit[0]!r}", stacklevel=1)
    return fit[0]


def stream(
    name_or_folder: str | Path,
    config: str | None = None,
    split: str = "train",
    field: str | None = None,
) -> Iterator[Document]:
    """The documents of a data set, row by row; nothing is downloaded ahead.

    Args:
        name_or_folder: on the hub, such as "wikimedia/wikipedia", or a folder of files
            as the hub keeps them.
        config: which of the data set's parts, such as "20231101.en".
        split: "train", or what else it has.
        field: the column of the text, as for `read_documents`. The title is the name
            with the number of the row, from 1.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config, split or column, or if the column holds
            something else than text.
    """
    name = str(name_or_folder)
    rows = _streamed(load(name, config, split, streaming=True), name)
    return (
        document
        for place, text in row_texts(rows, name, field)
        for document in text_documents(text, place)
    )


def _streamed(
    rows: Iterable[dict[str, Any]], name: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            yield f"{name}, row {number}", row
    except OSError as error:
        raise FileNotFoundError(
            f"the stream of {name} broke off after {many(number, 'row')} "
            f"({_first_line(error)}); {_REMEDY}"
        ) from error


def row_texts(
    rows: Iterable[tuple[str, dict[str, Any]]], name: str, field: str | None
) -> Iterator[tuple[str, str]]:
    """The texts of rows, with their places; at the end a warning of blank ones."""
    number = blank = 0
    for place, row in rows:
        field = field or _usual_field(row, name)
        text = _text_in(row, field, place)
        number += 1
        blank += not text or text.isspace()
        yield place, text
    if blank or not number:
        fault = f"{blank:,} of {number:,} rows have no text in {field!r}: left out"
        warnings.warn(f"{name}: {fault if number else 'no rows'}", stacklevel=1)


def load(name: str, config: str | None, split: str | None, streaming: bool) -> Any:
    """What `datasets.load_dataset` gives, or one clear sentence on why it does not.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config or split.
    """
    library = needs("datasets", f"reading {name}")
    try:
        return library.load_dataset(name, config, split=split, streaming=streaming)
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
        part = f"config={config!r} and " if config else ""
        raise ValueError(
            f"{name} with {part}split={split!r}: {_first_line(error)}"
        ) from error


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
    segment = needs("sentencex", "finding sentences").segment
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
