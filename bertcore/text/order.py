"""Order: two neighbouring stretches of text, half of them swapped (chapter 8).

The reference is Lan et al. 2020, ALBERT (arXiv:1909.11942), section 3.1,
"Inter-sentence coherence loss". Both stretches have the same topic, so it does not give
the answer away, as it does in next-sentence prediction.
"""

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np

from bertcore.text.examples import Examples
from bertcore.text.pairs import Pair, check_pairing, joined
from bertcore.text.store import Store

IN_ORDER, SWAPPED = 0, 1


def order_examples(
    store: Store, length: int = 128, repeats: int = 1, seed: int = 0, short: float = 0.1
) -> Examples:
    """Pairs for sentence-order prediction, of all documents in random order.

    A document of one sentence is left out: there is nothing to swap.

    Args:
        store: the documents.
        length: of a pair with its three special tokens, in tokens.
        repeats: how many times to go through all documents, each time cut anew.
        seed: of the random numbers.
        short: the share of documents that are cut to a random shorter length.

    Returns:
        As `pair_examples`; the label is 0 if the stretches are in order, 1 if swapped.

    Raises:
        ValueError: if no document has two sentences, or a number makes no sense.
    """
    check_pairing(store, length, short)
    if repeats < 1:
        raise ValueError(f"repeats={repeats}; give 1 or more")
    rng, numbers, rows = Random(seed), list(range(len(store))), []
    rng.shuffle(numbers)
    for number in numbers * repeats:
        for first, second, label in document_orders(store[number], length, rng, short):
            rows.append((first.start, first.stop, second.start, second.stop, label))
    if not rows:
        raise ValueError(
            "no document has two sentences; sentence order needs some that have"
        )
    table = np.array(rows, dtype=np.int64)
    return Examples(table[:, :4], table[:, 4])


def document_orders(
    document: Sequence[range], length: int, rng: Random, short: float = 0.1
) -> Iterator[Pair]:
    """The pairs that one document gives.

    Sentences are collected while they fit, two at least, and cut in two between two of
    them. A last one that is left alone gets the one before it again. Only two sentences
    that are too long by themselves lose tokens: the longer its outer ones.

    Args:
        document: its sentences, one after the other.
        length: of a pair with its three special tokens, in tokens.
        rng: where the random numbers come from.
        short: the share of documents that are cut to a random shorter length.
    """
    room = length - 3
    target = rng.randint(2, room) if rng.random() < short else room
    begin = 0
    while begin < len(document) and len(document) > 1:
        begin = min(begin, len(document) - 2)
        end = begin + 2
        while end < len(document) and _size(document[begin : end + 1]) <= target:
            end += 1
        middle = rng.randint(begin + 1, end - 1)
        first, second = joined(document[begin:middle]), joined(document[middle:end])
        first, second = _fitted(first, second, room)
        if rng.random() < 0.5:
            yield Pair(second, first, SWAPPED)
        else:
            yield Pair(first, second, IN_ORDER)
        begin = end


def _size(sentences: Sequence[range]) -> int:
    return len(joined(sentences))


def _fitted(first: range, second: range, room: int) -> tuple[range, range]:
    """The longer one shorter at its outer end, until both fit."""
    keep = min(len(second), max(room - len(first), room // 2))
    return first[-min(len(first), room - keep) :], second[:keep]
