"""What a BERT can be fine-tuned for, a module for each kind of task (chapter 10).

`KINDS` is the table of all kinds, read where a name comes in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bertcore.tasks.rows import PARTS, CheckedSet, TaskSet

if TYPE_CHECKING:
    from bertcore.tasks.task import Task


class _Kinds(Mapping[str, "Task"]):
    """A name and its kind, whose module is imported when it is first asked for.

    So a list of the names costs no torch, and a classifier needs no decoder. `lines`
    says what a line of plain text holds, `examples` has a row as a line of JSON, and
    what other files hold.
    """

    def __init__(self, table: dict[str, tuple[str, str, str]]) -> None:
        """`table` has the name, its module here with its class, line and example."""
        self.classes = {name: place for name, (place, _, _) in table.items()}
        self.lines = {name: line for name, (_, line, _) in table.items()}
        self.examples = {name: example for name, (_, _, example) in table.items()}
        self.made: dict[str, Task] = {}

    def __getitem__(self, name: str) -> Task:
        if name not in self.made:
            module, kind = self.classes[name].split(".")
            self.made[name] = getattr(import_module(f"bertcore.tasks.{module}"), kind)()
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)


KINDS = _Kinds(
    {
        "classification": (
            "classification.Classification",
            "a text, or two with a TAB between",
            '{"text": "A fine film.", "label": "good"}, perhaps "pair", too',
        ),
        "regression": (
            "classification.Regression",
            "a text, or two with a TAB between",
            '{"text": "One text.", "pair": "Another.", "label": 0.5}',
        ),
        "multilabel": (
            "multilabel.MultiLabel",
            "a text, or two with a TAB between",
            '{"text": "A fine film.", "labels": ["film", "praise"]}\n'
            "in a cell: film, praise",
        ),
        "tagging": (
            "tagging.Tagging",
            "words with white space between",
            '{"words": ["Ada", "wrote"], "tags": ["B-person", "O"]}\n'
            "in cells: Ada wrote, and B-person O\n"
            "in .conll, .bio and .txt: a word and its tag in a line,\n"
            "and blank lines between sentences",
        ),
        "answers": (
            "answers.Answers",
            "a question, a TAB and its context\nor a question, with --context FILE",
            '{"question": "Who wrote?", "context": "Ada wrote.",\n'
            ' "answers": {"text": ["Ada"], "answer_start": [0]}}\n'
            'or "answer": "Ada", if that stands once in the context\n'
            "in a cell: the same JSON, or Ada; and SQuAD's own files",
        ),
        "writing": (
            "writing.Writing",
            "a text",
            '{"text": "A long text.", "target": "What is to be written."}',
        ),
    }
)


def find_task(kind: str) -> Task:
    """The kind of a name.

    Raises:
        ValueError: if there is none.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; give {', '.join(KINDS)}")
    return KINDS[kind]


def checked(data: TaskSet, on_fault: str = "stop") -> CheckedSet:
    """The set without rows that are not sound, and with its labels.

    Args:
        data: if it names no labels, they are those of its sound rows to train on.
        on_fault: "stop" raises, "skip" leaves such rows out.

    Raises:
        ValueError: naming the part and the rows, if `on_fault` is "stop".
    """
    task = find_task(data.kind)
    if not data.labels:
        sound, _ = task.sound_rows(data.train, on_fault="skip")
        data = data._replace(labels=task.labels_of(sound))
    parts, faults = {}, []
    for name in PARTS:
        rows = getattr(data, name)
        try:
            sound, more = task.sound_rows(rows, data.labels or None, on_fault)
        except ValueError as error:
            raise ValueError(f"{data.name}, {name}: {error}") from error
        parts[name] = sound
        faults += [f"{name}, {fault}" for fault in more]
    return CheckedSet(data._replace(**parts), faults)


def score(kind: str, rows: Sequence[Any], guesses: Sequence[Any]) -> dict[str, float]:
    """The scores of guesses, as `Task.score` gives them, with its errors."""
    return find_task(kind).score(rows, guesses)


def plain(answers: Sequence[Any]) -> list[Any]:
    """What scores compare: the class of an answer, its tags, its text; numbers stay."""
    return [getattr(answer, "plain", answer) for answer in answers]
