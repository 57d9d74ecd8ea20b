"""Examples: which stretches of a store go into the model together (chapter 6).

Nothing is copied here. An example is four places in the store's array of ids, where two
stretches begin and end, and `assembled` fetches a whole batch of them at once.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bertcore.text.pairs import training_pairs
from bertcore.text.store import Store

if TYPE_CHECKING:
    from bertcore.text.library_tokenizer import AnyTokenizer


class Examples(NamedTuple):
    """A table of examples.

    `spans`, four places each: the first stretch from the first to before the second,
    the second stretch from the third to before the fourth; it may be empty. `labels`:
    0 if the second follows, 1 if it is random, or in `order_examples` swapped; None if
    nothing is asked of it.
    """

    spans: np.ndarray
    labels: np.ndarray | None

    @property
    def longest(self) -> int:
        """Tokens of the longest example, special ones included."""
        sizes = self.spans[:, 1::2] - self.spans[:, ::2]
        return int((sizes.sum(axis=1) + 2 + (sizes[:, 1] > 0)).max())


def pair_examples(
    store: Store, length: int = 128, repeats: int = 1, seed: int = 0, short: float = 0.1
) -> Examples:
    """Pairs for next-sentence prediction, as `pairs.training_pairs` makes them.

    Args:
        store: the documents.
        length: of a pair with its three special tokens, in tokens.
        repeats: how many times to go through all documents; 10 as released.
        seed: of the random numbers.
        short: the share of documents that are cut to a random shorter length.

    Raises:
        ValueError: if there is nothing to pair, or a number makes no sense.
    """
    pairs = training_pairs(store, length, repeats, Random(seed), short)
    rows = [
        (first.start, first.stop, second.start, second.stop, label)
        for first, second, label in pairs
    ]
    table = np.array(rows, dtype=np.int64)
    return Examples(table[:, :4], table[:, 4])


def window_examples(store: Store, length: int = 128) -> Examples:
    """Each document cut into stretches of full length, the last one shorter.

    For masked pieces alone, as in RoBERTa (Liu et al. 2019, section 4.2, DOC-SENTENCES,
    without its filling up), except that a cut may fall inside a sentence.

    Args:
        store: the documents.
        length: of a stretch with its two special tokens, in tokens.

    Raises:
        ValueError: if the special tokens leave no room.
    """
    if length < 3:
        raise ValueError(
            f"length={length}; give 3 or more: two special tokens, and one"
        )
    ends = np.asarray(store.sentences[store.documents])  # of documents, in tokens
    rows = [
        (begin, min(begin + length - 2, end))
        for first, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        for begin in range(first, end, length - 2)
    ]
    spans = np.zeros((len(rows), 4), dtype=np.int64)
    spans[:, :2] = rows
    return Examples(spans, None)


def assembled(
    ids: np.ndarray, spans: np.ndarray, tokenizer: AnyTokenizer
) -> dict[str, Tensor]:
    """A padded batch: `[CLS] first [SEP] second [SEP]`, for each row of `spans`.

    Args:
        ids: the array of a store.
        spans: some rows of `Examples.spans`.
        tokenizer: knows the special tokens.

    Returns:
        `input_ids`, `token_type_ids` and `attention_mask`, `b s` each, as `padded`
        makes them.
    """
    begin_a, end_a, begin_b, end_b = (column[:, None] for column in spans.T)
    size_b = end_b - begin_b
    sep_a = end_a - begin_a + 1  # the place of the first [SEP] in its row
    sep_b = sep_a + size_b + (size_b > 0)
    place = np.arange(int(sep_b.max()) + 1)
    second, inside = place > sep_a, place <= sep_b
    source = place + (begin_a - 1) + second * (begin_b - begin_a - sep_a)
    found = ids.take(source, mode="clip").astype(np.int64)
    rows = np.arange(len(spans))
    found[:, 0] = tokenizer.cls_id
    found[rows, sep_a[:, 0]] = found[rows, sep_b[:, 0]] = tokenizer.sep_id
    found[~inside] = tokenizer.pad_id
    second &= inside
    return {
        "input_ids": torch.from_numpy(found),
        "token_type_ids": torch.from_numpy(second.astype(np.int64)),
        "attention_mask": torch.from_numpy(inside.astype(np.int64)),
    }
