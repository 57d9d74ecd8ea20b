"""Task: what all kinds of task share: features, their settings, losses (chapter 10)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bertcore.sources import needs
from bertcore.text.batch import ROW, Slot, least_padding, packed
from bertcore.text.fast_tokenizer import AnyTokenizer

Loss = Callable[[Tensor, Tensor], Tensor]


def an(model: type) -> str:
    """The name of a class with its article.

    >>> an(type("EncoderDecoder", (), {})), an(bool)
    ('an EncoderDecoder', 'a bool')
    """
    name = model.__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def class_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum of the cross-entropies, in nats."""
    return F.cross_entropy(scores, targets, reduction="sum")


def number_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum of the squares of the differences; scores are `p 1`."""
    return F.mse_loss(scores[:, 0], targets, reduction="sum")


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


Places = Callable[[Sequence[Slot], Sequence[Feature], int], dict[str, Tensor]]


def reading_at(places: Places) -> Callable[[Sequence[Feature], int], dict[str, Tensor]]:
    """A function from features and the id of padding to the arguments of `scores`."""

    def asked(features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        row = least_padding([feature.size for feature in features], ROW)
        batch, found = packed([(f.first, f.second) for f in features], pad_id, row)
        return {**batch, **places(found, features, row)}

    return asked


def text_sizes(features: Sequence[Feature]) -> Tensor:
    """The tokens of each, `n 1`."""
    return torch.tensor([[feature.size] for feature in features])


class FeatureSettings(NamedTuple):
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


def are_texts(row: Any, count: int | None = None) -> bool:
    if not isinstance(row, Sequence) or isinstance(row, (str, bytes)):
        return False
    return all(isinstance(each, str) for each in row) and count in (None, len(row))


def row_error(number: int, row: Any, wanted: str) -> ValueError:
    return ValueError(f"row {number} is {row!r:.60}; give {wanted}")


Scored = Sequence[tuple[Feature, Tensor]]


def metrics_library(name: str) -> Any:
    return needs(name, "counting scores")
