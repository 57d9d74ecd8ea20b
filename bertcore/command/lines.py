"""Lines: texts and rows to answer, as soon as they are there."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bertcore.text.lines import OPENERS
from bertcore.text.rowcheck import sound_rows
from bertcore.text.rows import Question, Row, Source, Text, Words, row_from

GROUP = 256  # lines that are answered together, if so many are there
_CHUNK = 1 << 16  # bytes read at a time
_JSON = (".jsonl", ".json")
_FORM = {
    "classification": "a text, or two with a TAB between",
    "regression": "a text, or two with a TAB between",
    "tagging": "words with white space between",
    "answers": "a question, a TAB and its context; or a question, with --context FILE",
    "writing": "a text",
}


class Line(NamedTuple):
    """A line, and what to call it in a message: "line 17", "text 1"."""

    place: str
    content: bytes


class Form(NamedTuple):
    """How a line is read: for which kind of task; as an object, or if it is one.

    `json` is "always", "perhaps" (a line that begins with a brace) or "never";
    `context` is that of all questions, or None.
    """

    kind: str
    json: str
    context: str | None = None


def open_lines(path: Path) -> BinaryIO:
    """A file of lines, perhaps compressed.

    Raises:
        FileNotFoundError: if it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check the path")
    return OPENERS.get(path.suffix.lower(), open)(path, "rb")


def holds_objects(path: Path) -> bool:
    """Whether the ending of a file's name says JSON lines."""
    name = Path(path.stem) if path.suffix.lower() in OPENERS else path
    return name.suffix.lower() in _JSON


def arriving(stream: BinaryIO) -> Iterator[list[Line]]:
    """The lines of a stream in groups: those that are there, without waiting for more.

    A blank line is passed over, and counted.
    """
    before, rest, chunk = 0, b"", b"begin"
    while chunk:
        chunk = stream.read1(_CHUNK)
        *whole, rest = (rest + chunk).split(b"\n")
        if not chunk and rest:
            whole = [rest]
        group: list[Line] = []
        for number, content in enumerate(whole, before + 1):
            if number == 1:
                content = content.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
            if content.strip():
                group.append(Line(f"line {number}", content))
        before += len(whole)
        for start in range(0, len(group), GROUP):
            yield group[start : start + GROUP]


def given(texts: Iterable[str]) -> list[Line]:
    """The texts of a command line."""
    found = enumerate(texts, 1)
    return [
        Line(f"text {number}", text.encode("utf8", "surrogateescape"))
        for number, text in found
    ]


def row_of(line: Line, form: Form) -> Row:
    """The row that stands in a line.

    Raises:
        ValueError: naming the line, what is wrong with it, and what it should be.
    """
    try:
        text = line.content.decode("utf8").strip("\r\n")
    except UnicodeDecodeError as error:
        byte = line.content[error.start]
        raise ValueError(
            f"{line.place} is not UTF-8: its byte {error.start + 1} is 0x{byte:02x}"
        ) from error
    brace = text.lstrip().startswith("{")
    is_object = form.json == "always" or (form.json == "perhaps" and brace)
    try:
        row = _row_in_object(text, form) if is_object else _row_in_text(text, form)
    except ValueError as error:
        raise ValueError(f"{line.place}: {error}") from error
    _, faults = sound_rows([row], form.kind, on_fault="skip", labelled=False)
    if faults:
        raise ValueError(f"{line.place}: {faults[0].removeprefix('row 0: ')}")
    return row


def _row_in_object(text: str, form: Form) -> Row:
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error}); a line is one object") from error
    if not isinstance(record, dict):
        raise ValueError(f"a {type(record).__name__}; give an object")
    if form.context is not None:
        record = {**record, "context": form.context}
    for name in ("label", "tags", "answers", "target"):  # anything: nobody looks
        record.pop(name, None)
    return row_from(form.kind, record)


def _row_in_text(text: str, form: Form) -> Row:
    parts = text.split("\t")
    if form.kind == "tagging":
        return Words(tuple(text.split()))
    if form.kind == "answers" and form.context is not None:
        return Question(text, form.context)
    if form.kind == "answers" and len(parts) == 2:
        return Question(*parts)
    if form.kind == "writing" and len(parts) == 1:
        return Source(text)
    if form.kind in ("classification", "regression") and len(parts) < 3:
        return Text(parts[0], None, *parts[1:])
    count = len(parts) - 1
    raise ValueError(
        f"{count or 'no'} TAB{'s' if count > 1 else ''}; give {_FORM[form.kind]}"
    )
