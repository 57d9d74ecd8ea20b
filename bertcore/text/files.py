"""Files: documents from text files of your own (chapter 6).

The ending of a name says the format: .txt, a document after a blank line, as Google's
create_pretraining_data.py reads it; .jsonl or .json, a line a JSON object. Each may be
compressed: .gz, .bz2 or .xz.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bertcore.text.characters import HALF
from bertcore.text.corpus import Document
from bertcore.text.findings import LONGEST_DOCUMENT, Findings
from bertcore.text.lines import BAD_BYTES, OPENERS, cut_lines, read_lines, read_text

FORMATS = (".txt", ".jsonl", ".json")


def read_documents(
    paths: str | Path | Iterable[str | Path],
    field: str = "text",
    title: str | None = None,
    bad_bytes: str = "refuse",
    findings: Findings | None = None,
) -> Iterator[Document]:
    """The documents of text files, one after the other, in little memory.

    The text of a document is its lines, stripped, none of them blank. Where a line
    ends is for `str.splitlines` to say. A line of more than a million characters is
    cut at white space, a document of more than ten million between two lines.

    Args:
        paths: of a file or of files.
        field: of a JSON object, that holds the text.
        title: of a JSON object, the field that holds the title. Without it, a title
            is the file's name with the number of the document or of the JSON line.
        bad_bytes: "refuse" what is not UTF-8, or "replace" it by U+FFFD.
        findings: counts what was unusual.

    Raises:
        FileNotFoundError: at once, if one of the files is not there.
        ValueError: at once, if a file's ending or an argument is unknown; later, naming
            the file and the place, if its content is not what its ending says.
    """
    if bad_bytes not in BAD_BYTES:
        raise ValueError(f"bad_bytes={bad_bytes!r}; give {' or '.join(BAD_BYTES)}")
    found = [Path(paths)] if isinstance(paths, str | Path) else [*map(Path, paths)]
    formats = [_format(path) for path in found]
    findings = Findings() if findings is None else findings
    return _read_all(
        zip(found, formats, strict=True), field, title, bad_bytes, findings
    )


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects of a file, a line each, and the place of each for a message.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if its ending is not .jsonl or .json, perhaps compressed; later,
            naming the place of what is not a JSON object.
    """
    if _format(path) == ".txt":
        raise ValueError(f"{path} is plain text; give .jsonl, a JSON object a line")
    for number, line in _json_lines(path, Findings(), "refuse"):
        place = f"{path}, line {number},"
        yield place, _record(line, place)


def text_documents(text: str, title: str, findings: Findings) -> Iterator[Document]:
    """A text as a document: none if there is no text, several if it is enormous."""
    before = findings.documents
    lines = cut_lines(text.splitlines(), findings)
    for group in _groups((line for line in lines if line.strip()), findings):
        yield _document(group, title, findings)
    findings.empty_documents += findings.documents == before


def _read_all(
    files: Iterable[tuple[Path, str]],
    field: str,
    title: str | None,
    bad_bytes: str,
    findings: Findings,
) -> Iterator[Document]:
    for path, format in files:
        findings.files += 1
        before = findings.documents
        if format == ".txt":
            groups = _groups(read_lines(path, findings, bad_bytes), findings)
            for number, group in enumerate(groups, 1):
                yield _document(group, f"{path.name}, {number}", findings)
        else:
            for number, line in _json_lines(path, findings, bad_bytes):
                place = f"{path}, line {number},"
                record = _record(line, place)
                text = _value(record, "field", field, place)
                name = f"{path.name}, {number}"
                if title is not None:
                    name = _value(record, "title", title, place)
                text = _whole_characters(text, place, bad_bytes, findings)
                yield from text_documents(text, name, findings)
        findings.empty_files += findings.documents == before


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


def _groups(lines: Iterable[str], findings: Findings) -> Iterator[list[str]]:
    """Lines that belong together: blank ones, or too many, end a document."""
    group: list[str] = []
    size = 0
    for line in map(str.strip, lines):
        if group and (not line or size + len(line) > LONGEST_DOCUMENT):
            findings.long_documents += bool(line)
            yield group
            group, size = [], 0
        if line:
            group.append(line)
            size += len(line) + 1
    if group:
        yield group


def _document(lines: list[str], title: str, findings: Findings) -> Document:
    findings.documents += 1
    findings.one_line_documents += len(lines) == 1
    return Document(title, "\n".join(lines), "")


def _json_lines(
    path: Path, findings: Findings, bad_bytes: str
) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1; a line feed ends one."""
    number, parts = 1, []
    for text in read_text(path, findings, bad_bytes):
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


def _value(record: dict[str, Any], argument: str, name: str, place: str) -> str:
    if name not in record:
        raise ValueError(
            f"{place} has no {name!r}; it has {', '.join(record) or 'nothing'}; "
            f"name one of them with {argument}="
        )
    value = record[name]
    if value is not None and not isinstance(value, str):
        raise ValueError(
            f"{place} has a {type(value).__name__} in {name!r}; text is wanted; name "
            f"another with {argument}="
        )
    return value or ""


def _whole_characters(text: str, place: str, bad_bytes: str, findings: Findings) -> str:
    """The text without halves of characters, which JSON can spell and UTF-8 cannot."""
    if not (half := HALF.search(text)):
        return text
    if bad_bytes == "refuse":
        raise ValueError(
            f"{place} spells half a character, \\u{ord(half[0]):x}; mend it, or read "
            'it with bad_bytes="replace"'
        )
    text, count = HALF.subn("\ufffd", text)
    findings.bad_bytes += count
    return text
