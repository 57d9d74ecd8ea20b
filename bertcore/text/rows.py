"""Rows: labelled examples of the tasks to fine-tune for (chapter 10).

A row is a text or a pair with its class or its number, a sentence with a tag for each
word, a question with a context that answers it, or a text with another to be written
for it. In files a row is a line, a JSON object in the format of the Hugging Face hub;
as SQuAD's for questions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.text.files import read_records
from bertcore.text.lines import OPENERS

KINDS = ("classification", "regression", "tagging", "answers", "writing")
OUTSIDE = "O"


class Text(NamedTuple):
    """A text, or a pair of texts, with its class (text) or its number (float)."""

    text: str
    label: str | float | None = None
    pair: str | None = None


class Words(NamedTuple):
    """The words of a sentence, and the tag of each: "O", "B-person", "I-person"."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None


class Answer(NamedTuple):
    """An answer and where it begins: `context[start : start + len(text)] == text`."""

    text: str
    start: int


class Question(NamedTuple):
    """A question, a context, and the answers that stand in the context.

    `answers` is () if the context has no answer, and None if nobody has said so yet.
    """

    question: str
    context: str
    answers: tuple[Answer, ...] | None = None
    id: str = ""


class Source(NamedTuple):
    """A text, and what is to be written for it."""

    text: str
    target: str | None = None


Row = Text | Words | Question | Source
ROW_OF = {
    "classification": Text,
    "regression": Text,
    "tagging": Words,
    "answers": Question,
    "writing": Source,
}


class TaskSet(NamedTuple):
    """The rows of a task in three parts; where they come from, and on which terms.

    `kind` is one of `KINDS`; `labels` are () for regression, answers and writing.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    train: list
    valid: list
    test: list
    source: str
    licence: str


def checked_kind(kind: str) -> str:
    """The kind itself, or ValueError if there is no such kind of row."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; give {', '.join(KINDS)}")
    return kind


def row_from(kind: str, mapping: Mapping[str, Any]) -> Row:
    """The row that a dict holds, in the format of the hub.

    Values are taken as they are; `sound_rows` checks them. A whole number becomes the
    class of that name, or for regression a float. A field that is not asked for is
    ignored, and a label that is missing or null is None.

    Args:
        kind: "classification" or "regression": {"text", "label"} and perhaps "pair";
            "tagging": {"words", "tags"}; "answers": {"id", "question", "context",
            "answers": {"text": [...], "answer_start": [...]}}; "writing": {"text",
            "target"}.
        mapping: the dict.

    Raises:
        ValueError: if there is no such kind, a field is missing, or a list is not one.

    >>> row_from("classification", {"text": "A fine film.", "label": "positive"})
    Text(text='A fine film.', label='positive', pair=None)
    """
    if checked_kind(kind) == "tagging":
        words, tags = _field(mapping, "words"), mapping.get("tags")
        return Words(
            tuple(_list(words, "words")),
            None if tags is None else tuple(_list(tags, "tags")),
        )
    if kind == "answers":
        question, context = _field(mapping, "question"), _field(mapping, "context")
        answers, name = mapping.get("answers"), mapping.get("id")
        return Question(
            question,
            context,
            None if answers is None else tuple(_answers(answers)),
            "" if name is None else str(name),
        )
    if kind == "writing":
        return Source(_field(mapping, "text"), mapping.get("target"))
    label = mapping.get("label")
    if isinstance(label, int) and not isinstance(label, bool):
        label = float(label) if kind == "regression" else str(label)
    return Text(_field(mapping, "text"), label, mapping.get("pair"))


def mapping_from(row: Row) -> dict[str, Any]:
    """The dict of a row, as `row_from` reads it; what is None is left out."""
    if not isinstance(row, Question):
        return {
            name: value for name, value in row._asdict().items() if value is not None
        }
    mapping: dict[str, Any] = {"id": row.id} if row.id else {}
    mapping |= {"question": row.question, "context": row.context}
    if row.answers is not None:
        mapping["answers"] = {
            "text": [answer.text for answer in row.answers],
            "answer_start": [answer.start for answer in row.answers],
        }
    return mapping


def read_rows(path: str | Path, kind: str) -> list[Row]:
    """The rows of a file, a JSON object a line, perhaps compressed.

    Args:
        path: of a .jsonl or .json file, or one of these with .gz, .bz2 or .xz after it.
        kind: one of `KINDS`.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if there is no such kind; or naming the file and the line, if it is
            not a row of this kind.
    """
    checked_kind(kind)
    rows = []
    for place, record in read_records(Path(path)):
        try:
            rows.append(row_from(kind, record))
        except ValueError as error:
            raise ValueError(f"{place} is no row for {kind}: {error}") from error
    return rows


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Writes rows into a file for `read_rows`; its ending says how to compress it."""
    path = Path(path)
    opener = OPENERS.get(path.suffix.lower(), open)
    with opener(path, "wt", encoding="utf8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(mapping_from(row), ensure_ascii=False) + "\n")


def labels_of(rows: Iterable[Row], kind: str) -> tuple[str, ...]:
    """The labels of rows in alphabetical order; () for the kinds without.

    For tagging "O" comes first, and each type that occurs has both of its tags, so that
    an I- that is rare does not surprise in another part.

    Raises:
        ValueError: if there is no such kind of row.

    >>> labels_of([Words(("Ada", "wrote"), ("B-person", "O"))], "tagging")
    ('O', 'B-person', 'I-person')
    """
    if checked_kind(kind) == "classification":
        return tuple(sorted({row.label for row in rows if row.label is not None}))
    if kind != "tagging":
        return ()
    tags = {tag for row in rows for tag in row.tags or ()} - {OUTSIDE}
    return OUTSIDE, *sorted({f"{b}{tag[1:]}" for tag in tags for b in "BI"})


def _field(mapping: Mapping[str, Any], name: str) -> Any:
    if name not in mapping:
        raise ValueError(f"it has no {name!r}, but {', '.join(mapping) or 'nothing'}")
    return mapping[name]


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r:.60}; give a list")
    return value


def _answers(answers: Any) -> Iterator[Answer]:
    if not isinstance(answers, Mapping):
        raise ValueError(
            f"'answers' is {answers!r:.60}; give "
            '{"text": [...], "answer_start": [...]}, with [] twice for no answer'
        )
    texts = _list(_field(answers, "text"), "text")
    starts = _list(_field(answers, "answer_start"), "answer_start")
    if len(texts) != len(starts):
        raise ValueError(
            f"its answers have {len(texts)} texts and {len(starts)} starts; "
            "give one start for each text"
        )
    return map(Answer, texts, starts)
