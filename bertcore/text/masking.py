"""Masking: which tokens are hidden, and what stands in their place (chapter 6).

The reference is google-research/bert create_pretraining_data.py,
`create_masked_lm_predictions`. `Masker.text` draws as it does, token by token from the
same random numbers; `Masker.batch` draws for a whole batch at once, at the same rates.
`SpanMasker` hides spans of words, as SpanBERT does (Joshi et al. 2020, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from bertcore.text.batch import IGNORE_INDEX

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

_NEVER = 2**32 - 1
# Section 3.1: the length of a span in words is drawn from Geo(p) and cut off here.
SPAN_CHANCE, LONGEST_SPAN = 0.2, 10


class MaskedText(NamedTuple):
    """A text with tokens hidden, the places that were chosen, and what stood there."""

    ids: list[int]
    places: list[int]
    labels: list[int]


class _Shares:
    """What both kinds of masker know: their shares, and which pieces are special."""

    def __init__(
        self,
        tokenizer: AnyTokenizer,
        rate: float,
        limit: int | None,
        masked: float,
        random: float,
    ) -> None:
        for name, share in (("rate", rate), ("masked", masked), ("random", random)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share}; it is a share, so give 0 to 1")
        if masked + random > 1 + 1e-9:
            raise ValueError(
                f"masked={masked} and random={random} are more than all together; what "
                "is left of 1 stays as it is"
            )
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit}; give 1 or more, or None for no limit")
        self.rate, self.limit, self.masked, self.random = rate, limit, masked, random
        self.mask_id, self.pad_id = tokenizer.mask_id, tokenizer.pad_id
        self.pieces = len(tokenizer)
        self.fixed = np.zeros(self.pieces, dtype=bool)
        self.fixed[[tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id]] = True
        self.continues = continuations(tokenizer.vocabulary)

    def count(self, tokens: int) -> int:
        """How many are chosen in a text of so many tokens, special ones included.

        The share, rounded half to even as Python does, at least 1.
        """
        wanted = max(1, round(self.rate * tokens))
        return wanted if self.limit is None else min(self.limit, wanted)


class Masker(_Shares):
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
        super().__init__(tokenizer, rate, limit, masked, random)
        self.whole_words = whole_words

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
            the chosen places, `IGNORE_INDEX` (-100) elsewhere.
        """
        ids = input_ids.numpy()
        chosen = self._chosen(ids, rng)
        places = np.flatnonzero(chosen)
        true = ids.ravel()[places]
        labels = np.full(ids.size, IGNORE_INDEX)
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


class SpanMasker(_Shares):
    """Chooses spans of whole words: 80 % become [MASK], 10 % random, 10 % stay.

    Which of the three is drawn for a whole span: all its tokens become [MASK], or each
    a random piece of its own, or all stay. A span begins at a word that is free, any as
    likely as any other, and ends early where its text ends, where another span begins,
    or before a word that is more than what is still to be chosen. The share is counted
    as `Masker` counts; [CLS], [SEP] and [PAD] are never chosen and end a span.
    """

    whole_words = True

    def __init__(
        self,
        tokenizer: AnyTokenizer,
        rate: float = 0.15,
        limit: int | None = None,
        masked: float = 0.8,
        random: float = 0.1,
        chance: float = SPAN_CHANCE,
        longest: int = LONGEST_SPAN,
    ) -> None:
        """
        Args:
            tokenizer: knows the special tokens and where words begin.
            rate: the share of a text's tokens that is chosen.
            limit: the most tokens that are chosen in a text.
            masked: the share of the spans that become [MASK].
            random: the share that become random pieces; the others stay.
            chance: that a span ends after a word; a larger one makes shorter spans.
            longest: the most words of a span; longer ones are drawn again.

        Raises:
            ValueError: if a number makes no sense.
        """
        super().__init__(tokenizer, rate, limit, masked, random)
        self.lengths = length_shares(chance, longest)

    def text(self, ids: list[int], rng: Random) -> MaskedText:
        """Hide spans of one text."""
        words, left = self._words(ids), self.count(len(ids))
        order, hidden, chosen = list(range(len(words))), list(ids), []
        rng.shuffle(order)
        taken: set[int] = set()
        for first in order:
            if left == 0:
                break
            (length,) = rng.choices(range(1, len(self.lengths) + 1), self.lengths)
            action, span = rng.random(), []
            for number in range(first, min(first + length, len(words))):
                word = words[number]
                apart = span and word[0] != span[-1] + 1  # a special token is between
                if number in taken or len(word) > left or apart:
                    break
                taken.add(number)
                span += word
                left -= len(word)
            for place in span:
                if action < self.masked:
                    hidden[place] = self.mask_id
                elif action < self.masked + self.random:
                    hidden[place] = rng.randrange(self.pieces)
            chosen += span
        chosen.sort()
        return MaskedText(hidden, chosen, [ids[place] for place in chosen])

    def _words(self, ids: list[int]) -> list[list[int]]:
        """The places of each word; behind a special token a new one begins."""
        words: list[list[int]] = []
        for place, id in enumerate(ids):
            if self.fixed[id]:
                continue
            if words and words[-1][-1] == place - 1 and self.continues[id]:
                words[-1].append(place)
            else:
                words.append([place])
        return words

    def batch(self, input_ids: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Hide spans of every text of a padded batch.

        Args:
            input_ids: `b s`, one text a row, padding as [PAD].
            rng: where the random numbers come from: the same state, the same masks.

        Returns:
            The ids with tokens hidden, and the labels, `b s` each: the true piece at
            the chosen places, `IGNORE_INDEX` (-100) elsewhere.
        """
        ids = input_ids.numpy()
        table = _Words.of(~self.fixed[ids], self.continues[ids])
        counts = np.array([self.count(n) for n in range(ids.shape[1] + 1)])
        wanted = counts[(ids != self.pad_id).sum(axis=1)]
        order = np.argsort(rng.random(table.sizes.shape, dtype=np.float32), axis=1)
        ends = np.cumsum(self.lengths)
        drawn = rng.random(table.sizes.shape) * ends[-1]
        lengths = 1 + np.searchsorted(ends[:-1], drawn, side="right")
        spans = _spans(table, order, lengths, wanted)
        of_token = np.where(table.free, np.take_along_axis(spans, table.word, 1), -1)
        rows, columns = np.nonzero(of_token >= 0)
        action = rng.random(spans.shape)[rows, of_token[rows, columns]]
        anything = rng.integers(0, self.pieces, len(rows), dtype=np.int64)
        true = ids[rows, columns]
        shown = np.where(action < self.masked + self.random, anything, true)
        hidden, labels = ids.copy(), np.full(ids.shape, IGNORE_INDEX)
        hidden[rows, columns] = np.where(action < self.masked, self.mask_id, shown)
        labels[rows, columns] = true
        return torch.from_numpy(hidden), torch.from_numpy(labels)


class _Words(NamedTuple):
    """The words of each text of a batch.

    `free`, `b s`: which tokens are part of a word; `word`, `b s`: the number of its
    word. `sizes`, `b s`: the tokens of each word by its number, 0 behind the last;
    `first`, `b s`: whether it is the first of its text or behind a special token.
    """

    free: np.ndarray
    word: np.ndarray
    sizes: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, free: np.ndarray, continues: np.ndarray) -> _Words:
        before = np.zeros_like(free)
        before[:, 1:] = free[:, :-1]
        starts = free & ~(continues & before)
        word = np.maximum(np.cumsum(starts, axis=1) - 1, 0)
        count, width = free.shape
        flat = (np.arange(count)[:, None] * width + word)[free]
        sizes = np.bincount(flat, minlength=free.size).reshape(free.shape)
        first = np.zeros_like(free)
        rows, columns = np.nonzero(starts & ~before)
        first[rows, word[rows, columns]] = True
        return cls(free, word, sizes, first)


def _spans(
    words: _Words, order: np.ndarray, lengths: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """The first word of the span that each word is in, `b s`; -1 if it is in none.

    In each turn every text that still wants tokens tries the next word of its order.
    """
    found = np.full(words.sizes.shape, -1)
    left, width = wanted.copy(), found.shape[1]
    for turn in order.T:
        rows = np.flatnonzero(left)
        if not len(rows):
            break
        first = number = turn[rows]
        length = lengths[rows, first]
        for step in range(int(lengths.max())):
            size = words.sizes[rows, number]
            fits = (size > 0) & (size <= left[rows]) & (found[rows, number] < 0)
            if step:
                fits &= ~words.first[rows, number] & (step < length)
            rows, first, number, length, size = (
                kept[fits] for kept in (rows, first, number, length, size)
            )
            found[rows, number] = first
            left[rows] -= size
            inside = number + 1 < width
            rows, first, length = rows[inside], first[inside], length[inside]
            number = number[inside] + 1
            if not len(rows):
                break
    return found


def length_shares(
    chance: float = SPAN_CHANCE, longest: int = LONGEST_SPAN
) -> np.ndarray:
    """How likely spans of 1, 2, … words are: geometric, cut off, together 1.

    >>> shares = length_shares()
    >>> round(float(shares @ range(1, 11)), 1)  # words on average
    3.8
    """
    if not 0 < chance <= 1:
        raise ValueError(f"chance={chance}; give more than 0, and 1 at most")
    if longest < 1:
        raise ValueError(f"longest={longest}; give 1 or more words")
    shares = chance * (1 - chance) ** np.arange(longest)
    return shares / shares.sum()


def span_bounds(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where each asked token's span has its two neighbours, and its place in the span.

    For the span boundary objective (section 3.2), which tells a token from the states
    at both neighbours and from its place. Two spans with nothing between them count as
    one: the labels do not tell them apart. In a packed row no span reaches into the
    next text, because special tokens are between.

    Args:
        labels: `b s`, -100 where nothing is asked, padded or packed.

    Returns:
        Three tensors of whole numbers, `t` each, for the asked tokens row by row: the
        places just left and just right of the span, as numbers in the batch read row by
        row, and the token's place in its span, from 0.

    Raises:
        ValueError: if a span has no neighbour, because it touches the end of a row.

    >>> span_bounds(torch.tensor([[-100, 7, 8, -100], [-100, -100, 9, -100]]))
    (tensor([0, 0, 5]), tensor([3, 3, 7]), tensor([0, 1, 0]))
    """
    asked = labels != IGNORE_INDEX
    edge = asked[:, [0, -1]].any(dim=1).nonzero()
    if len(edge):
        raise ValueError(
            f"row {int(edge[0])} of the labels asks for its first or its last token, "
            "which has no neighbour on one side; [CLS] and [SEP] are never asked"
        )
    places = asked.flatten().nonzero().squeeze(1)
    begins = torch.ones_like(places, dtype=torch.bool)
    begins[1:] = places.diff() > 1
    span = begins.cumsum(0) - 1
    starts, ends = places[begins], places[begins.roll(-1)]
    return starts[span] - 1, ends[span] + 1, places - starts[span]
