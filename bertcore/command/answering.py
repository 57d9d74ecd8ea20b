"""Answering: what a fine-tuned model says, as a user reads it, and how good it is."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bertcore.command.lines import Form, Line, row_of
from bertcore.command.log import say
from bertcore.command.place import check_scores
from bertcore.command.rowset import read_test
from bertcore.command.run import RUN
from bertcore.command.tuning_log import told
from bertcore.sources import Absent
from bertcore.text.rows import Question, Row, Source, Text
from bertcore.training.decode import Found, Guess, Said, Tagged, plain
from bertcore.training.predict import Predictor
from bertcore.training.runtime import find_device
from bertcore.training.scores import score
from bertcore.training.taskfile import TASK

Show = Callable[[Any, Any], str]
_WIDE = 60  # characters of a text beside its answer


def predictor_of(name: str) -> Predictor:
    """A fine-tuned model, where it is fastest.

    Raises:
        FileNotFoundError: if there is none of that name.
    """
    try:
        predictor = Predictor.from_pretrained(name)
    except Absent as error:
        start = f"--model {name} " if (Path(name).expanduser() / RUN).is_file() else ""
        raise FileNotFoundError(
            f"{name} is not fine-tuned: it has no {TASK}; make a model that is: "
            f"bertcore finetune TASK {start}--out FOLDER"
        ) from error
    predictor.model.to(find_device())
    return predictor


def ask_to_write(predictor: Predictor, wishes: Mapping[str, Any]) -> None:
    """Change how a model writes.

    Args:
        predictor: a fine-tuned model.
        wishes: values for fields of its `Search`.

    Raises:
        ValueError: if there are some, and the model does not write; or if they make no
            sense.
    """
    if not wishes:
        return
    if predictor.search is None:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in wishes)
        raise ValueError(
            f"a model for {predictor.kind} writes nothing; leave {options} out"
        )
    predictor.search = predictor.search.replace(**wishes)


def answers(
    predictor: Predictor, groups: Iterable[list[Line]], form: Form, skip: bool
) -> Iterator[tuple[Row, Any]]:
    """Each row with its answer; a group at a time.

    Args:
        predictor: a fine-tuned model.
        groups: of lines.
        form: how a line is read.
        skip: say on stderr what cannot be used, and go on.

    Raises:
        ValueError: at the first line that cannot be used, after the answers before it.
    """
    for group in groups:
        fault: ValueError | None = None
        rows: list[tuple[Row, Line]] = []
        for line in group:
            try:
                rows.append((row_of(line, form), line))
            except ValueError as error:
                if not skip:
                    fault = error
                    break
                say(f"bertcore: {error}", error=True)
        yield from _answered(predictor, rows, skip)
        if fault is not None:
            raise fault


def _answered(
    predictor: Predictor, rows: list[tuple[Row, Line]], skip: bool
) -> Iterator[tuple[Row, Any]]:
    """All at once; if the model cannot, one by one, to say of which."""
    try:
        found = predictor.predict([row for row, _ in rows])
    except ValueError:
        for row, line in rows:
            try:
                yield row, predictor.predict([row])[0]
            except ValueError as error:
                fault = ValueError(f"{line.place}: {error}")
                if not skip:
                    raise fault from error
                say(f"bertcore: {fault}", error=True)
        return
    yield from zip((row for row, _ in rows), found, strict=True)


def scored(name: str, task: str, on_fault: str) -> Iterator[str]:
    """The scores of a model on the test rows of a set, in lines."""
    predictor = predictor_of(name)
    data, faults, _ = read_test(task, predictor.kind, predictor.labels, on_fault)
    check_scores(data._replace(valid=[]))
    for fault in faults:
        say(f"bertcore: left out: {fault}", error=True)
    found = score(data.kind, data.test, plain(predictor.predict(data.test)))
    yield f"{name} on {len(data.test):,} test rows of {data.name}: {told(found)}"


def shown(row: Row, answer: Any) -> str:
    """An answer as a line to read."""
    if isinstance(answer, Guess):
        return f"{answer.probability:>7.1%}  {answer.label}  {_brief(row)}"
    if isinstance(answer, Tagged):
        return _marked(answer)
    if isinstance(answer, Found):
        place = f" ({answer.start}–{answer.end})" if answer.text else ""
        return f"{answer.text or 'no answer'}{place}  {_brief(row)}"
    if isinstance(answer, Said):
        return answer.text
    return f"{answer:>7.3f}  {_brief(row)}"


def as_object(row: Row, answer: Any) -> str:
    """An answer as a JSON object in a line, with what was asked.

    Of a question its context is left out.
    """
    if isinstance(row, Question):
        asked = {"id": row.id} if row.id else {}
        about = {**asked, "question": row.question, **answer._asdict()}
        about["answer"] = about.pop("text")
    elif isinstance(answer, Tagged):
        entities = [{"type": kind, "text": text} for kind, text in answer.entities()]
        about = {**answer._asdict(), "entities": entities}
    elif isinstance(row, Source):
        about = {"text": row.text, "written": answer.text, "score": answer.score}
    else:
        found = answer._asdict() if isinstance(answer, Guess) else {"label": answer}
        pair = {"pair": row.pair} if row.pair is not None else {}
        about = {"text": row.text, **pair, **found}
    return json.dumps(about, ensure_ascii=False)


def _brief(row: Text | Question) -> str:
    texts = [row.question] if isinstance(row, Question) else [row.text, row.pair]
    texts = [" ".join(text.split()) for text in texts if text is not None]
    return " | ".join(t if len(t) <= _WIDE else f"{t[: _WIDE - 1]}…" for t in texts)


def _marked(answer: Tagged) -> str:
    """Words in their order, entities in brackets after their type."""
    found: list[str] = []
    before = "O"
    for word, tag in zip(answer.words, answer.tags, strict=True):
        if before != "O" and (tag == "O" or _begins(tag, before)):
            found[-1] += "]"
        found.append(f"[{tag[2:]}: {word}" if _begins(tag, before) else word)
        before = tag
    return " ".join(found) + ("]" if before != "O" else "")


def _begins(tag: str, before: str) -> bool:
    """Whether an entity begins with this tag."""
    return tag != "O" and (tag[0] == "B" or before[2:] != tag[2:])
