"""Pairs: two stretches of text for next-sentence prediction (chapter 6).

The reference is google-research/bert create_pretraining_data.py,
`create_instances_from_document` and `truncate_seq_pair`. The same documents and the
same random numbers give the same pairs. For ALBERT's objective the order of two
neighbouring stretches is kept or swapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bertcore.text.store import Store

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

FOLLOWS, RANDOM = 0, 1  # run_pretraining.py, `get_next_sentence_output`
# A sentence is the range of its tokens in one long array of ids, and a document is the
# list of its sentences. A stretch of text is a range again, so no token is copied.
Documents = Sequence[Sequence[range]]
IN_ORDER, SWAPPED = 0, 1


class Pair(NamedTuple):
    """Two stretches, and whether the second is random: the next-sentence label."""

    first: range
    second: range
    label: int


def training_pairs(
    documents: Documents,
    length: int,
    repeats: int,
    rng: Random,
    short: float = 0.1,
) -> Iterator[Pair]:
    """Pairs of all documents in random order, `repeats` times over.

    Each time the documents are cut anew and get new random partners (Google's
    `dupe_factor`, 10 as released).

    Args:
        documents: of sentences, each with one token at least; none is empty.
        length: of a pair with its three special tokens, in tokens.
        repeats: how many times to go through all documents.
        rng: where the random numbers come from.
        short: the share of documents that are cut to a random shorter length.

    Raises:
        ValueError: if there is nothing to pair, or a number makes no sense.
    """
    check_pairing(documents, length, short)
    if repeats < 1:
        raise ValueError(f"repeats={repeats}; give 1 or more")
    shuffled = _Shuffled(documents, rng)
    for _ in range(repeats):
        for index in range(len(shuffled)):
            yield from document_pairs(shuffled, index, length, rng, short)


def document_pairs(
    documents: Documents, index: int, length: int, rng: Random, short: float = 0.1
) -> Iterator[Pair]:
    """The pairs that one document gives.

    Sentences are collected until they fill the length. A random number of them, one
    at least, is the first stretch. The second is the rest, or in half of the cases a
    stretch of another document; then the rest goes back and is used again. A lone
    sentence has no rest, so its partner is always random.

    Args:
        documents: of sentences, each with one token at least; random partners come
            from them, too.
        index: the document to cut up.
        length: of a pair with its three special tokens, in tokens.
        rng: where the random numbers come from. Between two pairs the caller may
            draw from it, too: Google's code masks a pair before it makes the next.
        short: the share of documents that are cut to a random shorter length.
    """
    document, room = documents[index], length - 3
    target = rng.randint(2, room) if rng.random() < short else room
    begin = 0
    while begin < len(document):
        end, size = begin + 1, len(document[begin])
        while end < len(document) and size < target:
            size += len(document[end])
            end += 1
        middle = begin + (rng.randint(1, end - begin - 1) if end - begin > 1 else 1)
        first, label = joined(document[begin:middle]), FOLLOWS
        if middle == end or rng.random() < 0.5:
            label, end = RANDOM, middle  # the rest is put back
            second = elsewhere(documents, index, target - len(first), rng)
        else:
            second = joined(document[middle:end])
        yield Pair(*cut(first, second, room, rng), label)
        begin = end


def cut(first: range, second: range, room: int, rng: Random) -> tuple[range, range]:
    """Shorten the longer one, at a random end, token by token, until both fit."""
    while len(first) + len(second) > room:
        kept = slice(1, None) if rng.random() < 0.5 else slice(-1)
        if len(first) > len(second):
            first = first[kept]
        else:
            second = second[kept]
    return first, second


def joined(sentences: Sequence[range]) -> range:
    """Neighbouring sentences as one range."""
    return range(sentences[0].start, sentences[-1].stop)


def elsewhere(documents: Documents, index: int, size: int, rng: Random) -> range:
    """Sentences of another document, from a random one on, up to a size.

    After ten tries it is the document itself after all, as in Google's code.
    """
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != index:
            break
    document = documents[other]
    start = rng.randint(0, len(document) - 1)
    tokens = 0
    for end in range(start, len(document)):
        tokens += len(document[end])
        if tokens >= size:
            break
    return joined(document[start : end + 1])


class _Shuffled(Sequence):
    """The documents in a random order."""

    def __init__(self, documents: Documents, rng: Random) -> None:
        self.documents, self.order = documents, list(range(len(documents)))
        rng.shuffle(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Sequence[range]:
        return self.documents[self.order[index]]


def check_pairing(documents: Documents, length: int, short: float = 0) -> None:
    """ValueError if there is nothing to pair, or a number makes no sense."""
    if not len(documents):
        raise ValueError("no documents; pairs need at least one, better thousands")
    if length < 5:
        raise ValueError(
            f"length={length}; give 5 or more: three special tokens, and a token for "
            "each of the two stretches"
        )
    if not 0 <= short <= 1:
        raise ValueError(f"short={short}; it is a share, so give 0 to 1")


class Examples(NamedTuple):
    """A table of examples, one per row.

    Attributes:
        spans: start and end of the first stretch, then start and end of the second,
            which may be empty, as positions in the store.
        labels: 0 if the second follows, 1 if it is random, or in `order_examples`
            swapped. None without such an objective.
    """

    spans: np.ndarray
    labels: np.ndarray | None

    @property
    def longest(self) -> int:
        """Tokens of the longest example, special ones included."""
        sizes = self.spans[:, 1::2] - self.spans[:, ::2]
        return int((sizes.sum(axis=1) + 2 + (sizes[:, 1] > 0)).max())


def pair_examples(
    store: Store, length: int = 128, repeats: int = 1, seed: int = 0
) -> Examples:
    """Pairs for next-sentence prediction, of all documents in random order.

    Args:
        length: of a pair with its three special tokens, in tokens.
        repeats: how many times to go through all documents; 10 as released.

    Raises:
        ValueError: if there is nothing to pair, or a number makes no sense.
    """
    return _table(training_pairs(store, length, repeats, Random(seed)))


def window_examples(store: Store, length: int = 128) -> Examples:
    """Each document cut into stretches of full length, the last one shorter.

    For masked pieces alone, as in RoBERTa (Liu et al. 2019, section 4.2, DOC-SENTENCES,
    without its filling up), except that a cut may fall inside a sentence.

    Args:
        length: of a stretch with its two special tokens, in tokens.

    Raises:
        ValueError: if the special tokens leave no room.
    """
    if length < 3:
        raise ValueError(
            f"length={length}; give 3 or more: two special tokens, and one"
        )
    bounds = np.asarray(store.sentences[store.documents]).tolist()  # of documents
    rows = [
        (begin, min(begin + length - 2, end))
        for start, end in pairwise(bounds)
        for begin in range(start, end, length - 2)
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

    Returns:
        Three tensors, `b s` each: `input_ids`; `token_type_ids`, 1 for the second
        stretch and its [SEP], else 0; `attention_mask`, 1 for a token and 0 for
        padding.
    """
    begin_a, end_a, begin_b, end_b = (column[:, None] for column in spans.T)
    size_b = end_b - begin_b
    sep_a = end_a - begin_a + 1  # the position of the first [SEP] in its row
    sep_b = sep_a + size_b + (size_b > 0)  # the same one if there is no second
    position = np.arange(int(sep_b.max()) + 1)
    second, inside = position > sep_a, position <= sep_b
    # Where in the store each position's token is. The special tokens and the padding
    # take some token, too, which is overwritten; "clip" keeps them inside the array.
    source = position + (begin_a - 1) + second * (begin_b - begin_a - sep_a)
    input_ids = ids.take(source, mode="clip").astype(np.int64)
    rows = np.arange(len(spans))
    input_ids[:, 0] = tokenizer.cls_id
    input_ids[rows, sep_a[:, 0]] = input_ids[rows, sep_b[:, 0]] = tokenizer.sep_id
    input_ids[~inside] = tokenizer.pad_id
    second &= inside
    return {
        "input_ids": torch.from_numpy(input_ids),
        "token_type_ids": torch.from_numpy(second.astype(np.int64)),
        "attention_mask": torch.from_numpy(inside.astype(np.int64)),
    }


def order_examples(store: Store, length: int = 128, seed: int = 0) -> Examples:
    """Pairs for sentence-order prediction (ALBERT), of all documents in random order.

    A document of one sentence is left out, because there is nothing to swap.

    Args:
        length: of a pair with its three special tokens, in tokens.

    Returns:
        The examples; the label is 0 if the stretches are in order, 1 if swapped.

    Raises:
        ValueError: if no document has two sentences, or a number makes no sense.
    """
    check_pairing(store, length)
    rng, order = Random(seed), list(range(len(store)))
    rng.shuffle(order)
    pairs = [
        pair for index in order for pair in document_orders(store[index], length, rng)
    ]
    if not pairs:
        raise ValueError(
            "no document has two sentences; sentence order needs some that have"
        )
    return _table(pairs)


def _table(pairs: Iterable[Pair]) -> Examples:
    rows = [
        (first.start, first.stop, second.start, second.stop, label)
        for first, second, label in pairs
    ]
    table = np.array(rows, dtype=np.int64)
    return Examples(spans=table[:, :4], labels=table[:, 4])


def document_orders(
    document: Sequence[range], length: int, rng: Random, short: float = 0.1
) -> Iterator[Pair]:
    """The pairs that one document gives for sentence-order prediction.

    Sentences are collected while they fit, two at least, and cut in two between two of
    them. A last one that is left alone gets the one before it again. Two sentences lose
    tokens only if they are too long by themselves: the longer one those at its outer
    end, because the border between the two is what the objective is about.

    Args:
        length: of a pair with its three special tokens, in tokens.
    """
    room = length - 3
    target = rng.randint(2, room) if rng.random() < short else room
    begin = 0
    while begin < len(document) and len(document) > 1:
        begin = min(begin, len(document) - 2)  # a lone last one: with its neighbour
        end = begin + 2
        while end < len(document) and len(joined(document[begin : end + 1])) <= target:
            end += 1
        middle = rng.randint(begin + 1, end - 1)
        first, second = joined(document[begin:middle]), joined(document[middle:end])
        first, second = _fitted(first, second, room)
        if rng.random() < 0.5:
            yield Pair(second, first, SWAPPED)
        else:
            yield Pair(first, second, IN_ORDER)
        begin = end


def _fitted(first: range, second: range, room: int) -> tuple[range, range]:
    """Both, the longer one shortened at its outer end until they fit."""
    # Half of the room is the second's in any case, more if the first leaves it.
    kept = min(len(second), max(room - len(first), room // 2))
    return first[-min(len(first), room - kept) :], second[:kept]
