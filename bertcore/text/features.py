"""Features: a row of a task as ids, with what is asked of them (chapter 10)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bertcore.text.alignment import align
from bertcore.text.library_tokenizer import AnyTokenizer
from bertcore.text.rows import Question, Source, Text, Words
from bertcore.text.windows import answer_places, windows


class Feature(NamedTuple):
    """What a model reads at once.

    `row` is the number of the row it was made of, `first` and `second` are the ids of
    its segments. `asked` are the places whose states are read; for writing none is
    named, as all are read. `targets` is what is right there: a class or a number for
    each place; of an answer, its first and last place; the ids of what is to be
    written. It is empty if that is not known. `places` are those of `Window`.
    """

    row: int
    first: list[int]
    second: list[int]
    asked: list[int]
    targets: list[int] | list[float]
    places: Sequence[tuple[int, int]] = ()

    @property
    def size(self) -> int:
        """Tokens that are read."""
        return len(self.first) + len(self.second)


class Reading(NamedTuple):
    """How rows become features: with which pieces, and in how many tokens.

    `length` is the most tokens of a feature. `stride` is for answers: how many pieces
    further on in the context the next window begins; None is half of what fits in.
    `target` is for writing: the most tokens of what is written, [CLS] and [SEP]
    included.
    """

    tokenizer: AnyTokenizer
    length: int
    stride: int | None = None
    target: int = 64


def text_features(
    rows: Sequence[Text], reading: Reading, labels: Sequence[str] = ()
) -> Iterator[Feature]:
    """A text or a pair each; what is too long is cut as the tokenizer cuts it.

    Args:
        rows: with a class or, if there are no `labels`, a number.
        reading: how.
        labels: the classes, in the order of the model's scores.
    """
    tokenizer, numbers = reading.tokenizer, {name: n for n, name in enumerate(labels)}
    for row, (text, label, pair) in enumerate(rows):
        pieces = tokenizer.encode_pieces(text, pair, reading.length)
        first = [piece.id for piece in pieces if not piece.segment]
        second = [piece.id for piece in pieces if piece.segment]
        targets = []
        if label is not None:
            targets = [numbers[label] if numbers else float(label)]
        yield Feature(row, first, second, [0], targets)


def word_features(
    rows: Sequence[Words], reading: Reading, labels: Sequence[str]
) -> Iterator[Feature]:
    """A sentence each, or its parts if it is long: asked is each word's first piece."""
    numbers = {name: n for n, name in enumerate(labels)}
    for row, (words, tags) in enumerate(rows):
        # As they stand in a sentence: RoBERTa has pieces that begin with a space.
        spaced = [f" {word}" if n and word else word for n, word in enumerate(words)]
        for ids, firsts, start in align(spaced, reading.tokenizer, reading.length):
            own = (tags or ())[start : start + len(firsts)]
            yield Feature(row, ids, [], firsts, [numbers[tag] for tag in own])


def question_features(
    rows: Sequence[Question], reading: Reading, labels: Sequence[str] = ()
) -> Iterator[Feature]:
    """The windows of each question: asked is every place.

    Of several answers the first is taught. A window that does not hold it is taught to
    point to [CLS]: nothing is answered here.
    """
    length, stride = reading.length, reading.stride
    for row, (question, context, answers, _) in enumerate(rows):
        for window in windows(question, context, reading.tokenizer, length, stride):
            targets: list[int] = []
            if answers is not None:
                targets = [0, 0]
            if answers:
                start = answers[0].start
                targets = [*answer_places(window, start, start + len(answers[0].text))]
            everywhere = list(range(len(window.first) + len(window.second)))
            yield Feature(row, *window[:2], everywhere, targets, window.places)


def writing_features(
    rows: Sequence[Source], reading: Reading, labels: Sequence[str] = ()
) -> Iterator[Feature]:
    """A text each, and what is to be written for it; each is cut if it is too long.

    Raises:
        ValueError: if the special tokens leave no room for a piece of the target.
    """
    tokenizer, most = reading.tokenizer, reading.target
    if most < 3:
        raise ValueError(
            f"target={most} leaves no room for a piece beside [CLS] and [SEP]; give 3 "
            "or more"
        )
    for row, (text, target) in enumerate(rows):
        first = tokenizer.encode(text, max_length=reading.length)
        targets = [] if target is None else tokenizer.encode(target, max_length=most)
        yield Feature(row, first, [], [], targets)


FEATURES: dict[str, Callable[..., Iterator[Feature]]] = {
    "classification": text_features,
    "regression": text_features,
    "tagging": word_features,
    "answers": question_features,
    "writing": writing_features,
}


def features_of(
    kind: str,
    rows: Sequence[Any],
    reading: Reading,
    labels: Sequence[str] = (),
    number: int = 0,
) -> list[Feature]:
    """The features of rows, in order.

    Args:
        kind: of the task.
        rows: of this kind.
        reading: how.
        labels: the classes or tags, in the order of the model's scores.
        number: of the first row, for errors.

    Raises:
        ValueError: naming the row that cannot be read.
    """
    found: list[Feature] = []
    try:
        found.extend(FEATURES[kind](rows, reading, labels))
    except ValueError as error:
        place = number + (found[-1].row + 1 if found else 0)  # each row has one
        raise ValueError(f"row {place}: {error}") from error
    return found
