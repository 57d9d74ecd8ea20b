"""Rows: labelled examples, and the check of each row (chapter 10).

A row is a text or a pair with its class or its number, a sentence with a tag for each
word, a question with a context that answers it, or a text with another to be written
for it. In files a row is a line, a JSON object in the format of the Hugging Face hub;
as SQuAD's for questions.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bertcore.text.characters import HALF

KINDS = ("classification", "regression", "tagging", "answers", "writing")
OUTSIDE = "O"
ON_FAULT = ("stop", "skip")
_SHOWN = 5


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


def sound_rows(
    rows: Sequence[Row],
    kind: str,
    labels: Sequence[str] | None = None,
    on_fault: str = "stop",
    labelled: bool = True,
) -> tuple[list[Row], list[str]]:
    """The rows in which nothing is wrong, and a sentence on each fault of the others.

    A sentence begins "row 17: …"; rows are counted from 0, as in a list, so rows[17]
    is the one. Wrong are texts, words, contexts and targets that are empty or hold half
    a character, labels and targets that are missing, labels that are unknown, numbers
    that are not finite, tags that are not as many as the words or not of the form O,
    B-x, I-x, and answers that do not stand where they should.

    An I-x that follows no B-x or I-x is no fault: it begins a span, as in conlleval,
    the script of CoNLL-2000 that scored the shared tasks on named entities.

    Args:
        rows: of one kind.
        kind: one of `KINDS`.
        labels: the classes or tags that are allowed; by default any.
        on_fault: "stop" raises, "skip" leaves such rows out.
        labelled: whether labels, tags, answers and targets are wanted. If not, they
            are not looked at.

    Raises:
        ValueError: if on_fault is "stop", with the first faults and their number; if
            `kind` or `on_fault` is unknown.
    """
    if on_fault not in ON_FAULT:
        raise ValueError(f"on_fault={on_fault!r}; give {' or '.join(ON_FAULT)}")
    check = _CHECKS[checked_kind(kind)]
    sound: list[Row] = []
    faults: list[str] = []
    for number, row in enumerate(rows):
        before = len(faults)
        if isinstance(row, ROW_OF[kind]):
            found = check(row, labels, labelled)
        else:
            found = iter([_no_row(row, kind)])
        faults += [f"row {number}: {fault}" for fault in found]
        if len(faults) == before:
            sound.append(row)
    if faults and on_fault == "stop":
        wrong, more = len(rows) - len(sound), len(faults) - _SHOWN
        shown = "\n".join(faults[:_SHOWN]) + (
            f"\nand {more:,} more" if more > 0 else ""
        )
        raise ValueError(
            f"{wrong:,} of {len(rows):,} rows cannot be used; mend them, or leave them "
            f'out with on_fault="skip"\n{shown}'
        )
    return sound, faults


def _class_faults(
    row: Text, labels: Sequence[str] | None, labelled: bool
) -> Iterator[str]:
    yield from _pair_faults(row)
    if not labelled:
        return
    if row.label is None or row.label == "":
        yield "no label; give one, or leave the row out"
    elif not isinstance(row.label, str):
        yield (
            f"the label {row.label!r} is of type {type(row.label).__name__}; "
            f"a class is text: {str(row.label)!r}"
        )
    elif labels is not None and row.label not in labels:
        yield f"the label {row.label!r} is unknown; {_allowed(labels)}"


def _number_faults(
    row: Text, labels: Sequence[str] | None, labelled: bool
) -> Iterator[str]:
    yield from _pair_faults(row)
    if not labelled:
        return
    if row.label is None:
        yield "no label; give a number, or leave the row out"
    elif isinstance(row.label, bool) or not isinstance(row.label, int | float):
        yield (
            f"the label {row.label!r} is of type {type(row.label).__name__}; "
            "give a number, such as 0.5"
        )
    elif not math.isfinite(row.label):
        yield f"the label {row.label} is not finite; give a number, such as 0.5"


def _word_faults(
    row: Words, labels: Sequence[str] | None, labelled: bool
) -> Iterator[str]:
    if not isinstance(row.words, tuple | list):
        yield f"words are of type {type(row.words).__name__}; give a tuple of words"
        return
    if not row.words:
        yield "no words; leave the row out"
    for place, word in enumerate(row.words):
        yield from _text_faults(word, f"word {place}")
    if not labelled:
        return
    if row.tags is None:
        yield "no tags; give one for each word, or leave the row out"
    elif not isinstance(row.tags, tuple | list):
        yield f"tags are of type {type(row.tags).__name__}; give a tuple of tags"
    elif len(row.tags) != len(row.words):
        yield (
            f"{len(row.words)} words and {len(row.tags)} tags; give one for each word"
        )
    else:
        yield from _tag_faults(row.tags, labels)


def _tag_faults(tags: Sequence[Any], labels: Sequence[str] | None) -> Iterator[str]:
    for place, tag in enumerate(tags):
        if not isinstance(tag, str):
            yield (
                f"tag {place} is {tag!r}, of type {type(tag).__name__}; "
                "give text: O, B-x or I-x"
            )
        elif tag != OUTSIDE and not (tag[:2] in ("B-", "I-") and tag[2:]):
            yield f"tag {place} is {tag!r}; give O, or B-x or I-x with the type for x"
        elif labels is not None and tag not in labels:
            yield f"tag {place}, {tag!r}, is unknown; {_allowed(labels)}"


def _question_faults(
    row: Question, labels: Sequence[str] | None, labelled: bool
) -> Iterator[str]:
    yield from _text_faults(row.question, "the question")
    context = list(_text_faults(row.context, "the context"))
    yield from context
    if not labelled:
        return
    if row.answers is None:
        yield "no answers; give them, with () if the context has none"
    elif not isinstance(row.answers, tuple | list):
        given = type(row.answers).__name__
        yield f"answers are of type {given}; give a tuple of Answer"
    elif not context:
        for answer in row.answers:
            yield from _answer_faults(answer, row.context)


def _answer_faults(answer: Any, context: str) -> Iterator[str]:
    if not isinstance(answer, Answer) or type(answer.start) is not int:
        yield (
            f"the answer {answer!r:.80} is none; give Answer(text, start), "
            "text and a whole number"
        )
        return
    faults = list(_text_faults(answer.text, "an answer"))
    yield from faults
    text, start = answer
    if faults or (start >= 0 and context.startswith(text, start)):
        return
    where = context.find(text)
    remedy = f"it stands at {where}" if where >= 0 else "it stands nowhere in it"
    yield f"the answer {text!r:.60} is not at {start} of the context; {remedy}"


def _source_faults(
    row: Source, labels: Sequence[str] | None, labelled: bool
) -> Iterator[str]:
    yield from _text_faults(row.text, "the text")
    if not labelled:
        return
    if row.target is None:
        yield "no target; give what is to be written, or leave the row out"
    else:
        yield from _text_faults(row.target, "the target")


def _pair_faults(row: Text) -> Iterator[str]:
    yield from _text_faults(row.text, "the text")
    if row.pair is not None:
        yield from _text_faults(row.pair, "the second text")


def _text_faults(text: Any, name: str) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{name} is {text!r:.60}, of type {type(text).__name__}; give text"
    elif not text.strip():
        yield f"{name} is empty; give some, or leave the row out"
    elif half := HALF.search(text):
        yield f"{name} holds half a character, \\u{ord(half[0]):x}; mend it"


def _no_row(row: Any, kind: str) -> str:
    wanted = ROW_OF[kind].__name__
    return (
        f"of type {type(row).__name__}, where {kind} takes {wanted}; "
        f'give {wanted}(…), or row_from("{kind}", …) of a dict'
    )


def _allowed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    return f"give one of {shown}"


_CHECKS: dict[str, Callable[..., Iterator[str]]] = {
    "classification": _class_faults,
    "regression": _number_faults,
    "tagging": _word_faults,
    "answers": _question_faults,
    "writing": _source_faults,
}


def ready(data: TaskSet, on_fault: str) -> tuple[TaskSet, list[str]]:
    """The set with its labels, without rows that are not sound, and their faults.

    Args:
        data: if it names no labels, they are those of its sound rows to train on.
        on_fault: see `sound_rows`.

    Raises:
        ValueError: naming the part and the rows, if `on_fault` is "stop".
    """
    if not data.labels and data.kind in ("classification", "tagging"):
        sound, _ = sound_rows(data.train, data.kind, None, "skip")
        data = data._replace(labels=labels_of(sound, data.kind))
    parts, faults = {}, []
    for name in ("train", "valid", "test"):
        rows = getattr(data, name)
        try:
            kept, found = sound_rows(rows, data.kind, data.labels or None, on_fault)
        except ValueError as error:
            raise ValueError(f"{data.name}, {name}: {error}") from error
        parts[name] = kept
        faults += [f"{name}, {fault}" for fault in found]
    return data._replace(**parts), faults


def are_pairs(data: TaskSet) -> bool | None:
    """Whether all texts are pairs, or none; None if some are, or there are no texts."""
    if data.kind not in ("classification", "regression"):
        return None
    found = {row.pair is not None for row in data.train}
    return found.pop() if len(found) == 1 else None
