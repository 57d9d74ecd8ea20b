"""Tagging: a tag for each word, as in finding names (chapter 10).

A tag belongs to a word, and a word may become several pieces. The first piece stands
for the word: its state is read, and the others have no label (Devlin et al. 2019, 5.3).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForTokenClassification
from bertcore.tasks.rows import Words
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Scored,
    class_loss,
    metrics_library,
)
from bertcore.text.batch import Slot
from bertcore.text.wordpiece import Tokenizer


class TokenObjective(nn.Module):
    """One answer a word, from the state of its first piece, and the sum of its loss."""

    def __init__(self, model: BertForTokenClassification) -> None:
        super().__init__()
        self.model = model

    def scores(self, asked: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `t c`.

        Args:
            asked: places in the batch, read row by row, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        return self.model.head(hidden[asked])

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the words, as `1`."""
        return class_loss(self.scores(**given).float(), targets)[None]


def word_features(
    rows: Sequence[Words], reading: FeatureSettings, labels: Sequence[str]
) -> Iterator[Feature]:
    """A sentence each, or its parts if it is long: asked is each word's first piece."""
    numbers = {name: n for n, name in enumerate(labels)}
    for row, (words, tags) in enumerate(rows):
        # As they stand in a sentence: RoBERTa has pieces that begin with a space.
        spaced = [f" {word}" if n and word else word for n, word in enumerate(words)]
        for ids, firsts, start in align(spaced, reading.tokenizer, reading.length):
            own = (tags or ())[start : start + len(firsts)]
            yield Feature(row, ids, [], firsts, [numbers[tag] for tag in own])


class TaggedWords(NamedTuple):
    """Words, and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    def entities(self) -> list[tuple[str, str]]:
        """Type and words of each entity.

        >>> TaggedWords(("In", "New", "York"), ("O", "B-place", "I-place")).entities()
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


def decode_tags(
    rows: list[Words], scored: Scored, labels: tuple[str, ...]
) -> list[TaggedWords]:
    found: list[list[str]] = [[] for _ in rows]
    for feature, scores in scored:
        found[feature.row] += [labels[n] for n in scores.argmax(-1).tolist()]
    return [
        TaggedWords(row.words, tuple(tags))
        for row, tags in zip(rows, found, strict=True)
    ]


def tag_scores(
    rows: Sequence[Words], guesses: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of whole entities, by nervaluate; accuracy of tags.

    An entity counts if its first word, its last and its type are right: nervaluate's
    "strict", which is how CoNLL's shared tasks count.
    """
    evaluator = metrics_library("nervaluate.evaluator").Evaluator
    truth, found = [list(row.tags) for row in rows], [list(each) for each in guesses]
    types = sorted({tag[2:] for tags in truth + found for tag in tags if tag != "O"})
    for number, (tags, row) in enumerate(zip(found, rows, strict=True)):
        if len(tags) != len(row.words):
            raise ValueError(
                f"row {number}: {len(tags)} tags guessed for {len(row.words)} words; "
                "give each word its tag"
            )
    pairs = [
        p for t, f in zip(truth, found, strict=True) for p in zip(t, f, strict=True)
    ]
    accuracy = sum(t == f for t, f in pairs) / max(1, len(pairs))
    if not types:
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": accuracy}
    result = evaluator(truth, found, types, loader="list").evaluate()
    strict = result["overall"]["strict"]
    return {
        "f1": float(strict.f1),
        "precision": float(strict.precision),
        "recall": float(strict.recall),
        "accuracy": accuracy,
    }


def token_places(
    places: Sequence[Slot], features: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TokenObjective.scores`, besides the batch."""
    asked = [
        place.row * length + place.start + each
        for place, feature in zip(places, features, strict=True)
        for each in feature.asked
    ]
    return {"asked": torch.tensor(asked)}


class Aligned(NamedTuple):
    """Pieces of some words in a row, between [CLS] and [SEP].

    `firsts` are the places in `ids` of each word's first piece; `start` is the number
    of the first word.
    """

    ids: list[int]
    firsts: list[int]
    start: int = 0


def align(words: Sequence[str], tokenizer: Tokenizer, length: int) -> list[Aligned]:
    """The pieces of words, in as many parts as their number needs.

    A part ends between two words, so no word is lost, however many there are. A word
    with more pieces than a part has room for loses its last ones. A word without
    pieces, such as a control character, becomes [UNK]: it has a tag as any other.

    Args:
        words: of a sentence.
        tokenizer: that of the model.
        length: the most pieces of a part, [CLS] and [SEP] included.

    Raises:
        ValueError: if there are no words, or no room for a piece.

    >>> from bertcore.text.vocabulary import SPECIAL
    >>> tokenizer = Tokenizer([*SPECIAL, "un", "##believ", "##able", "!"])
    >>> align(["unbelievable", "!"], tokenizer, length=8)
    [Aligned(ids=[2, 5, 6, 7, 8, 3], firsts=[1, 4], start=0)]
    """
    if not words:
        raise ValueError("no words; give a list of one word at least")
    if length < 3:
        raise ValueError(f"length={length} leaves no room for a piece; give 3 or more")
    parts: list[Aligned] = []
    for number, word in enumerate(words):
        pieces = tokenizer.encode(word)[1:-1] or [tokenizer.unk_id]
        pieces = pieces[: length - 2]
        if not parts or len(parts[-1].ids) + len(pieces) + 1 > length:
            parts.append(Aligned([tokenizer.cls_id], [], number))
        ids, firsts, _ = parts[-1]
        firsts.append(len(ids))
        ids += pieces
    for part in parts:
        part.ids.append(tokenizer.sep_id)
    return parts
