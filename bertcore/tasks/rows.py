"""Rows: labelled examples, in three parts (chapter 10).

A row is a text or a pair with its class or its number, a sentence with a tag for each
word, a question with a context that answers it, or a text with another to be written
for it. A kind of task that has rows of its own defines them in its module.
"""

import ast
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from bertcore.sources import many
from bertcore.text.characters import HALF
from bertcore.text.documents import plain_names

OUTSIDE = "O"
ON_FAULT = ("stop", "skip")
PARTS = ("train", "valid", "test")
# What two texts are called that belong together.
_PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_a", "sentence_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("question", "sentence"),
    ("#1_string", "#2_string"),
)
# What `Columns` calls a field.
OPTIONS = {"words": "tokens", "labels": "label", "target": "output"}
_SHOWN = 5  # faults in a message
_WIDE = 60  # characters of a text beside its answer


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


Labels = Sequence[str]  # in the order of a model's scores
Settings = dict[str, Any]  # of a fitted model; see `Task`
Row = Any  # a NamedTuple; each kind of task says which


class TaskSet(NamedTuple):
    """The rows of a task in three parts; where they come from, and on which terms.

    `kind` is one of `bertcore.tasks.KINDS`; `labels` are () for kinds that have
    none, such as regression, answers and writing. `columns` says in which column of a
    file a field stood that has another name there, as `Columns` calls it.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    train: list
    valid: list
    test: list
    source: str
    licence: str
    columns: Mapping[str, str] = {}


class CheckedSet(NamedTuple):
    """A set in which all rows are sound, and a sentence on each fault of the others.

    `note` says in lines how the rows were read and split, if that was done here.
    """

    data: TaskSet
    faults: list[str]
    note: str = ""


@dataclass(frozen=True)
class Columns:
    """What the columns of rows are called; usual names need not be given.

    Args:
        text: the column of the text.
        pair: the column of a second text.
        label: the column of the class, the number or the labels.
        tokens: the column of a sentence's words.
        tags: the column of their tags.
        question: the column of the question.
        context: the column of the text that answers it.
        answers: the column of the answers.
        output: the column of what is to be written.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    tokens: str | None = None
    tags: str | None = None
    question: str | None = None
    context: str | None = None
    answers: str | None = None
    output: str | None = None


class RowKind(ABC):
    """The half of a `Task` that is about its rows.

    Attributes:
        name: of the kind, in files and on the command line.
        row: the type of its rows, a NamedTuple.
        right: the field of a row that says what is right; it has the same name in JSON.
        apart: what rows have in common that stay in one part of a set; see `key`.
        cells: the fields that a table's cell holds as a text, and what stands between
            the texts of such a list, as `cell` takes it.
        usual: what else the column of a field is often called, in small letters.
        beside: other fields that are read, if they are there.
        sentences: whether files may hold a word with its tags in each line.
        reads_context: whether a line may be about a text that is given apart.
        label_words: what its labels are called, one and several; "" if it has none.
    """

    name: ClassVar[str]
    row: ClassVar[type]
    right: ClassVar[str]
    apart: ClassVar[str] = "text"
    cells: ClassVar[tuple[tuple[str, str | None], ...]] = ()
    usual: ClassVar[Mapping[str, str]] = {}
    beside: ClassVar[tuple[str, ...]] = ()
    sentences: ClassVar[bool] = False
    reads_context: ClassVar[bool] = False
    label_words: ClassVar[tuple[str, str]] = ("", "")

    @abstractmethod
    def from_dict(self, mapping: Mapping[str, Any]) -> Row:
        """The row that a dict holds, in the format of the Hugging Face hub.

        Values are taken as they are; `faults` tells what is wrong with them. A field
        that is not asked for is ignored; what is right is None if it is missing.

        Raises:
            ValueError: if a field is missing, or a list is not one.
        """

    def records(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The records of rows in one of a file; most often it is that itself."""
        yield record

    def settled(self, rows: list[Row]) -> tuple[list[Row], str]:
        """Rows with labels in one form, where all of them tell which form they have.

        Also a sentence on what was changed, or "".

        Raises:
            ValueError: if the rows as a whole are something else.
        """
        return rows, ""

    def columns(
        self,
        names: Collection[str],
        given: Mapping[str, str],
        labelled: bool = True,
    ) -> dict[str, str]:
        """Which column holds each field of a row: given, of its name, or a usual one.

        Args:
            names: of the columns that there are.
            given: the columns of fields, by the names that `Columns` has for these.
            labelled: whether what is right is wanted.

        Raises:
            ValueError: if a column is missing, or if several might be it.
        """
        fields = {OPTIONS.get(name, name): name for name in self.row._fields}
        there = ", ".join(f"{name:.40}" for name in names)
        found: dict[str, str] = {}
        for option, column in given.items():
            if option not in fields:
                raise ValueError(f"{option}={column} is not for {self.name}; leave it")
            if column not in names:
                raise ValueError(f"no column {column!r} for {option}=…; it has {there}")
            found[fields[option]] = column
        own = (name for name in self.row._fields if name in names)
        found = {n: n for n in own if n not in found.values()} | found
        left = [name for name in names if name not in found.values()]
        plain = plain_names(left)
        pairs = [pair for pair in _PAIRS if plain.keys() >= {*pair}]
        if "pair" in self.row._fields and not {"text", "pair"} & found.keys():
            for one, other in pairs if len(pairs) == 1 else ():
                found |= {"text": plain.pop(one), "pair": plain.pop(other)}
        for option, name in fields.items():
            known = name, *self.usual.get(name, "").split()
            fit = [each for each in known if each in plain and name not in found]
            if len(fit) == 1:
                found[name] = plain.pop(fit[0])
            may = name in self.row._field_defaults
            if name not in found and (not may or (labelled and name == self.right)):
                fits = " and ".join(plain[each] for each in fit)
                fault = f"{fits} may be its {name!r}" if fit else f"it has no {name!r}"
                other = "" if fit else f", but {there or 'nothing'}"
                raise ValueError(f"{fault}{other}; say which it is with {option}=NAME")
        return {name: found[name] for name in self.row._fields if name in found}

    def renamed(
        self, record: Mapping[str, Any], columns: Mapping[str, str]
    ) -> dict[str, Any]:
        """A record with our names of fields, and its other fields as they are."""
        taken = {*columns.values()}
        rest = {name: value for name, value in record.items() if name not in taken}
        ours = {f: record[name] for f, name in columns.items() if name in record}
        return {**rest, **ours}

    def from_cells(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record in which the texts of a table's cells are what they stand for.

        Raises:
            ValueError: if a list or an object is not JSON.
        """
        lists = {
            name: cell(record, name, apart)
            for name, apart in self.cells
            if name in record
        }
        return {**record, **lists}

    @abstractmethod
    def from_line(self, line: str, context: str | None = None) -> Row:
        """The row in a line of plain text, as `KINDS.lines` describes it.

        `context` is a text that the line is about, if the kind `reads_context`.

        Raises:
            ValueError: if the line has another form.
        """

    @abstractmethod
    def example(self, settings: Settings) -> str:
        """A line that a model of these settings answers, as `from_line` reads it.

        If the kind `reads_context`, it is one that comes with a context.
        """

    @abstractmethod
    def faults(self, row: Row, labels: Labels | None, labelled: bool) -> Iterator[str]:
        """A sentence on each thing that is wrong with a row, and what to do about it.

        Args:
            row: of the right type, with anything in it.
            labels: those that are allowed; None allows any.
            labelled: whether what is right is wanted, and checked.
        """

    @abstractmethod
    def unlabelled(self, given: Any, settings: Settings) -> Row:
        """A row as a model reads it, without what is right.

        Raises:
            ValueError: beginning with what to give, if it is neither a row nor plain
                Python in its place, such as a text.
        """

    @abstractmethod
    def key(self, row: Row) -> str:
        """What must not be in two parts of a set: rows that share it stay together."""

    def truth(self, row: Row) -> Any:
        """What is right, as a guess would say it; None if the row does not tell."""
        return getattr(row, self.right)

    def sound_rows(
        self,
        rows: Sequence[Row],
        labels: Labels | None = None,
        on_fault: str = "stop",
        labelled: bool = True,
        places: Sequence[str] | None = None,
    ) -> tuple[list[Row], list[str]]:
        """The rows in which nothing is wrong, and the faults of the others.

        Args:
            rows: of this kind.
            labels: those that are allowed; by default any.
            on_fault: "stop" raises, "skip" leaves such rows out.
            labelled: whether what is right is wanted. If not, it is not looked at.
            places: what to call each row; by default "row 0", "row 1", …, so that
                rows[17] is the one.

        Raises:
            ValueError: if `on_fault` is "stop", with the first faults and how many
                there are; if it is unknown.
        """
        if on_fault not in ON_FAULT:
            raise ValueError(f"on_fault={on_fault!r}; give {' or '.join(ON_FAULT)}")
        # Not at the first fault: one message tells how many rows are wrong.
        sound: list[Row] = []
        faults: list[str] = []
        for number, row in enumerate(rows):
            if isinstance(row, self.row):
                wrong = list(self.faults(row, labels, labelled))
            else:
                wrong = [
                    f"of type {type(row).__name__}, where {self.name} takes "
                    f"{self.row.__name__}; give {self.row.__name__}(…), or "
                    f'KINDS["{self.name}"].from_dict(…) of a dict'
                ]
            if not wrong:
                sound.append(row)
            place = f"row {number}" if places is None else places[number]
            faults += [f"{place}: {fault}" for fault in wrong]
        if faults and on_fault == "stop":
            raise ValueError(
                f"{len(rows) - len(sound):,} of {many(len(rows), 'row')} cannot be "
                'used; mend them, or leave them out with on_fault="skip"\n'
                f"{first_faults(faults)}"
            )
        return sound, faults

    def labels_of(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The labels of rows, in the order of the model's scores; () if it has none."""
        return ()

    def labels_in_words(self, labels: Labels) -> str:
        """How many there are, and the first of them; "" if there are none."""
        one, several = self.label_words
        shown = ", ".join(labels[:12]) + (", …" if labels[12:] else "")
        return f"{len(labels)} {several if labels[1:] else one}: {shown}" if one else ""

    def check_labels(self, name: str, labels: Labels) -> None:
        """ValueError if the labels of the set of this name leave nothing to learn."""
        if self.label_words[0] and len(labels) < 2:
            raise ValueError(
                f"all rows of {name} have the {self.label_words[0]} {labels[0]!r}; "
                "there is nothing to tell apart: give rows of two at least"
            )


def first_faults(faults: Sequence[str]) -> str:
    """The first faults, a line each, and how many there are besides."""
    shown = list(faults[:_SHOWN])
    if more := len(faults) - len(shown):
        shown.append(f"and {more:,} more")
    return "\n".join(shown)


def field(mapping: Mapping[str, Any], name: str) -> Any:
    """A field of a dict, or ValueError if it has none of that name."""
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{mapping!r:.60} is no object with {name!r}")
    if name not in mapping:
        raise ValueError(f"it has no {name!r}, but {', '.join(mapping) or 'nothing'}")
    return mapping[name]


def listed(value: Any, name: str) -> tuple[Any, ...]:
    """A field that is a list, or ValueError if it is something else."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r:.60}; give a list")
    return tuple(value)


def cell(record: Mapping[str, Any], name: str, apart: str | None = None) -> Any:
    """The list or the object in a field, where a cell of a table holds it as a text.

    `apart` is what stands between the texts of a list that is not JSON; "" is any white
    space, and None allows JSON only.

    Raises:
        ValueError: if it is not JSON.
    """
    value = record.get(name)
    if not isinstance(value, str):
        return value
    listed = value.startswith("[") and value.endswith("]")
    if apart is None or listed:
        try:
            return json.loads(value) if value else None
        except (ValueError, RecursionError) as error:
            fault = error
        # As Python writes a list, and so pandas. Two texts without a comma between, as
        # numpy writes them, would be read as one, which is then written otherwise.
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            if repr(found := ast.literal_eval(value)) == value:
                return found
    if apart is not None and not value.startswith(('["', "['")):
        texts = value.split(apart or None)
        return [text.strip() for text in texts if text.strip()]
    raise ValueError(
        f"{name!r} is {value:.60}, which is not JSON ({fault}); give it as JSON "
        'has it, such as ["one", "two"]'
    ) from fault


def text_faults(text: Any, name: str) -> Iterator[str]:
    """What is wrong with a text of this name, such as "the second text"."""
    if not isinstance(text, str):
        yield f"{name} is {text!r:.60}, of type {type(text).__name__}; give text"
    elif not text.strip():
        yield f"{name} is empty; give some, or leave the row out"
    elif half := HALF.search(text):
        yield f"{name} holds half a character, \\u{ord(half[0]):x}; mend it"


def allowed(labels: Labels) -> str:
    """What one may give in place of an unknown label: the first of them."""
    shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    return f"give one of {shown}"


def are_texts(row: Any, count: int | None = None) -> bool:
    """Whether this is a list of texts, and of so many, if it matters."""
    if not isinstance(row, Sequence) or isinstance(row, (str, bytes)):
        return False
    return all(isinstance(each, str) for each in row) and count in (None, len(row))


def normal(text: str) -> str:
    """A text's words in small letters: what is the same for finding doubles.

    >>> normal("Who's there? -- ME!")
    'who s there me'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


def fields_of(line: str, least: int, most: int) -> list[str]:
    """The texts of a line with a TAB between, or ValueError if they are not so many."""
    texts = line.split("\t")
    if not least <= len(texts) <= most:
        raise ValueError(many(len(texts) - 1, "TAB") if texts[1:] else "no TAB")
    return texts


def brief(*texts: str | None) -> str:
    """The beginnings of texts, to stand beside an answer."""
    each = [" ".join(text.split()) for text in texts if text is not None]
    return " | ".join(t if len(t) <= _WIDE else f"{t[: _WIDE - 1]}…" for t in each)
