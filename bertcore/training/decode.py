"""Decode: what a model says: classes, numbers, tags, answers, texts (chapter 10)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bertcore.text.features import Feature
from bertcore.text.rows import Question, Source, Text, Words
from bertcore.text.windows import best_span


class Guess(NamedTuple):
    """A class, its probability, and that of each."""

    label: str
    probability: float
    probabilities: dict[str, float]


class Tagged(NamedTuple):
    """Words, and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    def entities(self) -> list[tuple[str, str]]:
        """Type and words of each entity.

        >>> Tagged(("In", "New", "York"), ("O", "B-place", "I-place")).entities()
        [('place', 'New York')]
        """
        found: list[tuple[str, list[str]]] = []
        before = "O"
        for word, tag in zip(self.words, self.tags, strict=True):
            if tag != "O":
                if tag[0] == "B" or before[2:] != tag[2:]:
                    found.append((tag[2:], []))
                found[-1][1].append(word)
            before = tag
        return [(kind, " ".join(words)) for kind, words in found]


class Found(NamedTuple):
    """An answer, `context[start:end]`, or "" if the context has none.

    `margin` is the score of the best answer less that of none.
    """

    text: str
    start: int
    end: int
    margin: float


class Said(NamedTuple):
    """What was written, and how likely: the score of `bertcore.model.decoder.Written`.

    That is the sum of the log-probabilities of its tokens, the one that ends it
    included; with beams divided by length ** length_penalty.
    """

    text: str
    score: float


def plain_row(kind: str, number: int, row: Any, pairs: bool | None = None) -> Any:
    """A row as the task reads it, without what is right.

    Args:
        kind: of the task.
        number: of the row, to name it.
        row: see `Predictor.predict`.
        pairs: whether texts must be pairs, or must not; None takes both.

    Raises:
        ValueError: naming the row and what it should be.
    """
    if kind in ("classification", "regression"):
        return _plain_text(number, row, pairs)
    if kind == "tagging":
        words = row.split() if isinstance(row, str) else row
        words = words.words if isinstance(words, Words) else words
        if _are_texts(words) and len(words):
            return Words(tuple(words))
        raise _refused(number, row, "a list of words, or a text with one word at least")
    if kind == "writing":
        text = row.text if isinstance(row, Source) else row
        if isinstance(text, str):
            return Source(text)
        raise _refused(number, row, "a text")
    if isinstance(row, Question):
        row = row.question, row.context
    if _are_texts(row, 2) and row[1].strip():
        return Question(*row)
    raise _refused(number, row, "a question and its context, which is not empty")


_WANTED = {
    None: "a text or a pair of texts",
    True: "a pair of texts: this task compares two",
    False: "one text: this task reads no pairs",
}


def _plain_text(number: int, row: Any, pairs: bool | None) -> Text:
    text = None
    if isinstance(row, str):
        text = Text(row)
    elif isinstance(row, Text):
        text = Text(row.text, None, row.pair)
    elif _are_texts(row, 2):
        text = Text(row[0], None, row[1])
    if text is None or pairs not in (None, text.pair is not None):
        raise _refused(number, row, _WANTED[pairs])
    return text


def _are_texts(row: Any, count: int | None = None) -> bool:
    if not isinstance(row, Sequence) or isinstance(row, (str, bytes)):
        return False
    return all(isinstance(each, str) for each in row) and count in (None, len(row))


def _refused(number: int, row: Any, wanted: str) -> ValueError:
    return ValueError(f"row {number} is {row!r:.60}; give {wanted}")


Scored = Sequence[tuple[Feature, Tensor]]


def _classes(_: list[Text], scored: Scored, labels: tuple[str, ...]) -> list[Guess]:
    guesses = []
    for _, scores in scored:
        shares = scores[0].softmax(-1).tolist()
        best = max(range(len(shares)), key=shares.__getitem__)
        named = dict(zip(labels, shares, strict=True))
        guesses.append(Guess(labels[best], shares[best], named))
    return guesses


def _numbers(_: list[Text], scored: Scored, __: tuple[str, ...]) -> list[float]:
    return [scores.item() for _, scores in scored]


def _tags(rows: list[Words], scored: Scored, labels: tuple[str, ...]) -> list[Tagged]:
    found: list[list[str]] = [[] for _ in rows]
    for feature, scores in scored:
        found[feature.row] += [labels[n] for n in scores.argmax(-1).tolist()]
    return [
        Tagged(row.words, tuple(tags)) for row, tags in zip(rows, found, strict=True)
    ]


def _spans(rows: list[Question], scored: Scored, _: tuple[str, ...]) -> list[Found]:
    """The best answer of all windows, or none.

    None if the lowest score of none, over all windows, is above the answer's
    (google-research/bert run_squad.py, `write_predictions`).
    """
    best: list[tuple[float, int, int]] = [(-torch.inf, 0, 0)] * len(rows)
    none = [torch.inf] * len(rows)
    for feature, scores in scored:
        begin = len(feature.first)
        part = scores[0, begin : begin + len(feature.places)]
        first, last, total = best_span(*part.unbind(-1))
        none[feature.row] = min(none[feature.row], scores[0, 0].sum().item())
        if total > best[feature.row][0]:
            start, end = feature.places[first][0], feature.places[last][1]
            best[feature.row] = total, start, end
    found = []
    for row, (total, start, end), empty in zip(rows, best, none, strict=True):
        margin = total - empty
        if margin < 0:
            start = end = 0
        found.append(Found(row.context[start:end], start, end, margin))
    return found


_DECODE: dict[str, Callable[..., list[Any]]] = {
    "classification": _classes,
    "regression": _numbers,
    "tagging": _tags,
    "answers": _spans,
}


def decoded(
    kind: str, rows: Sequence[Any], scored: Scored, labels: Sequence[str]
) -> list[Any]:
    """An answer for each row.

    Args:
        kind: of a task whose answers are read from scores: any but writing.
        rows: as `plain_row` gives them.
        scored: their features in order, each with its scores: `1 c` of a text, `t c` of
            words, `1 s 2` of a window.
        labels: in the order of the scores.
    """
    return _DECODE[kind](rows, scored, tuple(labels))


def plain(predictions: Sequence[Any]) -> list[Any]:
    """What scores compare: the label of a `Guess`, tags, the text of an answer."""
    shown = {Guess: "label", Tagged: "tags", Found: "text", Said: "text"}
    return [getattr(p, shown[type(p)]) if type(p) in shown else p for p in predictions]
