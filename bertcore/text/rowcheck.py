"""Rowcheck: what is wrong with labelled rows, row by row (chapter 10)."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bertcore.text.characters import HALF
from bertcore.text.rows import (
    OUTSIDE,
    ROW_OF,
    Answer,
    Question,
    Row,
    Source,
    Text,
    Words,
    checked_kind,
)

ON_FAULT = ("stop", "skip")
_SHOWN = 5


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
