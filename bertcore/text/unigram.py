"""Unigram: what can be known of a hidden piece without looking at its text (chapter 6).

A model that has learned how frequent each piece is, and nothing else, has this loss.
Masked-LM training reaches it soon and stays there for a while.
"""

import math

import numpy as np

_SLICE = 10_000_000


def unigram_loss(train: np.ndarray, held_out: np.ndarray, pieces: int) -> float:
    """The cross-entropy of held-out ids under the frequencies of others, in nats.

    Each piece counts once more than it was seen, so that none is impossible.

    Args:
        train: ids to count, in one row.
        held_out: ids to predict.
        pieces: the size of the vocabulary; `math.log(pieces)` is the loss of a model
            that knows nothing at all.

    Raises:
        ValueError: if there are no ids to predict.

    >>> round(unigram_loss(np.array([1, 1, 2]), np.array([1, 2]), 3), 3)
    0.896
    """
    if not len(held_out):
        raise ValueError("no held-out ids; give some that were not counted")
    counts = np.ones(pieces)
    for first in range(0, len(train), _SLICE):  # NumPy widens what it counts
        counts += np.bincount(train[first : first + _SLICE], minlength=pieces)
    frequency = counts / counts.sum()
    return float(-np.log(frequency[held_out]).mean())


def most_frequent_accuracy(train: np.ndarray, held_out: np.ndarray) -> float:
    """How often the most frequent of the counted ids is right."""
    return float((held_out == np.bincount(train).argmax()).mean())


def uniform_loss(pieces: int) -> float:
    """ln V: the loss of a model that finds every piece equally likely, in nats."""
    return math.log(pieces)
