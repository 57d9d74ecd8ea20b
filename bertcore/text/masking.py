"""Masking: which tokens are hidden, and what stands in their place (chapter 6).

The reference is google-research/bert create_pretraining_data.py,
`create_masked_lm_predictions`. `Masker.text` draws as it does, token by token from the
same random numbers; `Masker.batch` draws for a whole batch at once, at the same rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from bertcore.text.batch import NOT_ASKED

if TYPE_CHECKING:
    from bertcore.text.library_tokenizer import AnyTokenizer

_NEVER = 2**32 - 1


class MaskedText(NamedTuple):
    """A text with tokens hidden, the places that were chosen, and what stood there."""

    ids: list[int]
    places: list[int]
    labels: list[int]


class Masker:
    """Chooses tokens to predict: 80 % become [MASK], 10 % random, 10 % stay.

    [CLS], [SEP] and [PAD] are never chosen, [UNK] is a piece like any other. A random
    piece may be any of the vocabulary. The share is of all tokens of the text, special
    ones included, rounded (half to even, as Python does), at least 1.
    """

    def __init__(
        self,
        tokenizer: AnyTokenizer,
        rate: float = 0.15,
        limit: int | None = None,
        whole_words: bool = False,
        masked: float = 0.8,
        random: float = 0.1,
    ) -> None:
        """
        Args:
            tokenizer: knows the special tokens and the continuations.
            rate: the share of a text's tokens that is chosen.
            limit: the most that are chosen in a text; as released 20, at 128 tokens.
            whole_words: choose all pieces of a word or none; a word that is more than
                what is still to be chosen is passed over.
            masked: the share of the chosen that become [MASK].
            random: the share that become a random piece; the others stay.

        Raises:
            ValueError: if a share or the limit makes no sense.
        """
        check_shares(rate, limit, masked, random)
        self.rate, self.limit, self.whole_words = rate, limit, whole_words
        self.masked, self.random = masked, random
        self.mask_id, self.pad_id = tokenizer.mask_id, tokenizer.pad_id
        self.pieces = len(tokenizer)
        self.fixed = np.zeros(self.pieces, dtype=bool)
        self.fixed[[tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id]] = True
        self.continues = continuations(tokenizer.vocabulary)

    def count(self, tokens: int) -> int:
        """How many are chosen in a text of so many tokens, special ones included."""
        return how_many(tokens, self.rate, self.limit)

    def text(self, ids: list[int], rng: Random) -> MaskedText:
        """Hide tokens of one text, by the random numbers that Google's code draws."""
        words, kept = self._words(ids), 1 - self.masked - self.random
        rng.shuffle(words)
        wanted, hidden, chosen = self.count(len(ids)), list(ids), []
        for word in words:
            if len(chosen) >= wanted:
                break
            if len(chosen) + len(word) > wanted:
                continue
            for place in word:
                if rng.random() < self.masked:
                    hidden[place] = self.mask_id
                elif rng.random() >= kept / (kept + self.random):
                    hidden[place] = rng.randint(0, self.pieces - 1)
                chosen.append(place)
        chosen.sort()
        return MaskedText(hidden, chosen, [ids[place] for place in chosen])

    def _words(self, ids: list[int]) -> list[list[int]]:
        """The places that may be chosen, together what is chosen together."""
        words: list[list[int]] = []
        for place, id in enumerate(ids):
            if self.fixed[id]:
                continue
            if self.whole_words and words and self.continues[id]:
                words[-1].append(place)
            else:
                words.append([place])
        return words

    def batch(self, input_ids: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Hide tokens of every text of a padded batch.

        Args:
            input_ids: `b s`, one text a row, padding as [PAD].
            rng: where the random numbers come from: the same state, the same masks.

        Returns:
            The ids with tokens hidden, and the labels, `b s` each: the true piece at
            the chosen places, `NOT_ASKED` (-100) elsewhere.
        """
        ids = input_ids.numpy()
        chosen = self._chosen(ids, rng)
        places = np.flatnonzero(chosen)
        true = ids.ravel()[places]
        labels = np.full(ids.size, NOT_ASKED)
        labels[places] = true
        action = rng.random(len(places), dtype=np.float32)
        anything = rng.integers(0, self.pieces, len(places), dtype=np.int64)
        shown = np.where(action < self.masked + self.random, anything, true)
        hidden = ids.ravel().copy()
        hidden[places] = np.where(action < self.masked, self.mask_id, shown)
        shape = ids.shape
        return (
            torch.from_numpy(hidden.reshape(shape)),
            torch.from_numpy(labels.reshape(shape)),
        )

    def _chosen(self, ids: np.ndarray, rng: Generator) -> np.ndarray:
        """Where, as booleans `b s`: in each text those of the smallest random keys."""
        rows, columns = ids.shape
        fixed = self.fixed[ids]
        counts = np.array([self.count(tokens) for tokens in range(columns + 1)])
        wanted = counts[(ids != self.pad_id).sum(axis=1)]
        keys = rng.integers(0, _NEVER, ids.shape, dtype=np.uint32)
        low = columns.bit_length()  # the lowest bits hold the column: no key twice
        keys = (keys >> low << low) | np.arange(columns, dtype=np.uint32)
        if self.whole_words:
            return _whole_words(~fixed, self.continues[ids], keys, wanted)
        keys[fixed] = _NEVER
        last = np.sort(keys, axis=1)[np.arange(rows), wanted - 1]
        return (keys <= last[:, None]) & ~fixed


def _whole_words(
    free: np.ndarray, continues: np.ndarray, keys: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Word after word in the order of the keys, while it fits in what is wanted."""
    first = np.cumsum(free, axis=1) == 1  # it may be the rest of a word, cut off
    starts = free & (first | ~continues)
    word = np.cumsum(starts, axis=1) - 1
    rows = np.arange(len(free))[:, None]
    sizes = np.zeros(free.shape, dtype=np.int64)
    np.add.at(sizes, (np.broadcast_to(rows, free.shape)[free], word[free]), 1)
    word_keys = np.full(free.shape, _NEVER, dtype=np.uint32)
    word_keys[np.nonzero(starts)[0], word[starts]] = keys[starts]
    order = np.argsort(word_keys, axis=1)
    taken, left = np.zeros(free.shape, dtype=bool), wanted.copy()
    for turn in order.T:
        size = sizes[rows[:, 0], turn]
        fits = (size > 0) & (size <= left)
        taken[rows[:, 0], turn] = fits
        left -= np.where(fits, size, 0)
        if not left.any():
            break
    return taken[rows, word] & free


def how_many(tokens: int, rate: float, limit: int | None) -> int:
    """The share of so many tokens, rounded half to even, at least 1."""
    wanted = max(1, round(rate * tokens))
    return wanted if limit is None else min(limit, wanted)


def continuations(vocabulary: Sequence[str]) -> np.ndarray:
    """Which pieces go on with a word, as booleans by id."""
    mark = mark_of(vocabulary)
    marked = np.array([piece.startswith(mark) for piece in vocabulary])
    return marked if mark == "##" else ~marked


def mark_of(vocabulary: Sequence[str]) -> str:
    """What pieces are marked with: the mark that most of the vocabulary have.

    WordPiece marks those that go on with a word, with ##; byte-level BPE and
    SentencePiece mark those that begin one, with Ġ and ▁ for the space before it.
    """
    return max(
        ("##", "Ġ", "▁"), key=lambda mark: sum(p.startswith(mark) for p in vocabulary)
    )


def check_shares(rate: float, limit: int | None, masked: float, random: float) -> None:
    """ValueError if a share is none, or the limit leaves nothing."""
    for name, share in (("rate", rate), ("masked", masked), ("random", random)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share}; it is a share, so give 0 to 1")
    if masked + random > 1 + 1e-9:
        raise ValueError(
            f"masked={masked} and random={random} are more than all together; what is "
            "left of 1 stays as it is"
        )
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}; give 1 or more, or None for no limit")
