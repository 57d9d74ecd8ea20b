"""Masking: which tokens are hidden, and what stands in their place (chapter 6).

The reference is google-research/bert create_pretraining_data.py,
`create_masked_lm_predictions`. `Masker.text` draws as it does, token by token from the
same random numbers; `Masker.batch` draws for a whole batch at once, at the same rates.
`SpanMasker` hides spans of words, as SpanBERT does (Joshi et al. 2020, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from bertcore.text.batch import IGNORE_INDEX

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

_NEVER = 2**32 - 1  # the key of what is not to be chosen: no draw reaches it
# Section 3.1: the length of a span in words is drawn from Geo(p) and cut off here.
SPAN_CHANCE, LONGEST_SPAN = 0.2, 10


class MaskedText(NamedTuple):
    """A text with tokens hidden, the places that were chosen, and what stood there."""

    ids: list[int]
    places: list[int]
    labels: list[int]


@dataclass(eq=False)
class _AnyMasker:
    """What all maskers share: how many tokens are chosen, and what becomes of them."""

    tokenizer: AnyTokenizer = field(repr=False)
    rate: float = 0.15
    limit: int | None = None
    masked: float = field(default=0.8, kw_only=True)
    random: float = field(default=0.1, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("rate", "masked", "random"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name}={share}; it is a share, so give 0 to 1")
        if self.masked + self.random > 1 + 1e-9:  # forgives rounding
            raise ValueError(
                f"masked={self.masked} and random={self.random} are more than all "
                "together; what is left of 1 stays as it is"
            )
        if self.limit is not None and self.limit < 1:
            raise ValueError(
                f"limit={self.limit}; give 1 or more, or None for no limit"
            )
        tokenizer = self.tokenizer
        self.mask_id, self.pad_id = tokenizer.mask_id, tokenizer.pad_id
        self.pieces = len(tokenizer)
        # Tables by id: one look-up answers for all tokens of a batch at once.
        self.fixed = np.zeros(self.pieces, dtype=bool)
        self.fixed[[tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id]] = True
        self.continues = continuations(tokenizer.vocabulary)

    def count(self, tokens: int) -> int:
        """How many are chosen in a text of so many tokens, special ones included.

        The share, rounded half to even as Python does, at least 1.
        """
        share = max(1, round(self.rate * tokens))
        return share if self.limit is None else min(self.limit, share)

    def batch(self, input_ids: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Hide tokens of every text of a padded batch.

        Args:
            input_ids: `b s`, one text a row, padding as [PAD].
            rng: where the random numbers come from: the same state, the same masks.

        Returns:
            The ids with tokens hidden, and the labels, `b s` each: the true piece at
            the masked positions, `IGNORE_INDEX` (-100) elsewhere.
        """
        ids = input_ids.numpy()
        positions, draws = self._choose(ids, rng)
        true = ids.ravel()[positions]
        labels = np.full(ids.size, IGNORE_INDEX)
        labels[positions] = true
        # One for each masked position, though only one in ten takes it: `where` needs
        # arrays of one length.
        random_pieces = rng.integers(0, self.pieces, len(positions), dtype=np.int64)
        unmasked = np.where(draws < self.masked + self.random, random_pieces, true)
        hidden = ids.ravel().copy()
        hidden[positions] = np.where(draws < self.masked, self.mask_id, unmasked)
        return (
            torch.from_numpy(hidden.reshape(ids.shape)),
            torch.from_numpy(labels.reshape(ids.shape)),
        )

    def _choose(self, ids: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """The masked positions, as numbers in the batch read row by row, and for each
        a draw from 0 to 1: below `masked` it becomes [MASK], then a random piece."""
        raise NotImplementedError

    def _counts(self, ids: np.ndarray) -> np.ndarray:
        """How many tokens are to be chosen in each text, `b`."""
        by_size = np.array([self.count(tokens) for tokens in range(ids.shape[1] + 1)])
        return by_size[(ids != self.pad_id).sum(axis=1)]


@dataclass(eq=False)
class Masker(_AnyMasker):
    """Chooses tokens to predict: 80 % become [MASK], 10 % random, 10 % stay.

    [CLS], [SEP] and [PAD] are never chosen, [UNK] is a piece like any other. A random
    piece may be any of the vocabulary. The share is of all tokens of the text, special
    ones included, rounded (half to even, as Python does), at least 1.

    Args:
        tokenizer: knows the special tokens and the continuations.
        rate: the share of a text's tokens that is chosen.
        limit: the most that are chosen in a text; as released 20, at 128 tokens.
        whole_words: choose all pieces of a word or none; a word that is more than what
            is still to be chosen is passed over.
        masked: the share of the chosen that become [MASK].
        random: the share that become a random piece; the others stay.

    Raises:
        ValueError: if a share or the limit makes no sense.
    """

    whole_words: bool = False

    def text(self, ids: list[int], rng: Random) -> MaskedText:
        """Hide tokens of one text, by the random numbers that Google's code draws."""
        words, kept = self._words(ids), 1 - self.masked - self.random
        rng.shuffle(words)
        count, hidden, positions = self.count(len(ids)), list(ids), []
        for word in words:
            if len(positions) >= count:
                break
            if len(positions) + len(word) > count:
                continue  # a shorter word may still fit
            for position in word:
                # Two draws, as in Google's code: one number would give other masks.
                if rng.random() < self.masked:
                    hidden[position] = self.mask_id
                elif rng.random() >= kept / (kept + self.random):
                    hidden[position] = rng.randint(0, self.pieces - 1)
                positions.append(position)
        positions.sort()
        return MaskedText(hidden, positions, [ids[position] for position in positions])

    def _words(self, ids: list[int]) -> list[list[int]]:
        """The positions that may be chosen, together what is chosen together."""
        words: list[list[int]] = []
        for position, id in enumerate(ids):
            if self.fixed[id]:
                continue
            if self.whole_words and words and self.continues[id]:
                words[-1].append(position)
            else:
                words.append([position])
        return words

    def _choose(self, ids: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every token draws a random key, and in each text the smallest are chosen."""
        rows, columns = ids.shape
        fixed, counts = self.fixed[ids], self._counts(ids)
        keys = rng.integers(0, _NEVER, ids.shape, dtype=np.uint32)
        low = columns.bit_length()  # the lowest bits hold the column: no key twice
        keys = (keys >> low << low) | np.arange(columns, dtype=np.uint32)
        if self.whole_words:
            chosen = _whole_words(~fixed, self.continues[ids], keys, counts)
        else:
            # Where fewer tokens are free than are to be chosen, the last key is _NEVER
            # and all of them are taken.
            keys[fixed] = _NEVER
            last = np.sort(keys, axis=1)[np.arange(rows), counts - 1]
            chosen = (keys <= last[:, None]) & ~fixed
        positions = np.flatnonzero(chosen)
        return positions, rng.random(len(positions), dtype=np.float32)


def _whole_words(
    free: np.ndarray, continues: np.ndarray, keys: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Which tokens are chosen, `b s`: word after word in the order of the keys.

    A word is passed over if it is more than what is still to be chosen.
    """
    # The first free token begins a word even if it is the rest of one that was cut off.
    first = np.cumsum(free, axis=1) == 1
    starts = free & (first | ~continues)
    word = np.cumsum(starts, axis=1) - 1  # the number of each token's word in its text
    rows = np.arange(len(free))[:, None]
    sizes = np.zeros(free.shape, dtype=np.int64)  # by the number of the word
    np.add.at(sizes, (np.broadcast_to(rows, free.shape)[free], word[free]), 1)
    # A word has the key of its first token; numbers that no word has come last.
    word_keys = np.full(free.shape, _NEVER, dtype=np.uint32)
    word_keys[np.nonzero(starts)[0], word[starts]] = keys[starts]
    order = np.argsort(word_keys, axis=1)
    taken, left = np.zeros(free.shape, dtype=bool), counts.copy()
    for number in order.T:  # in each round all texts try their next word
        size = sizes[rows[:, 0], number]
        fits = (size > 0) & (size <= left)
        taken[rows[:, 0], number] = fits
        left -= np.where(fits, size, 0)
        if not left.any():
            break
    return taken[rows, word] & free


def continuations(vocabulary: Sequence[str]) -> np.ndarray:
    """Which pieces go on with a word, as booleans by id.

    WordPiece marks those, with ##; byte-level BPE and SentencePiece mark those that
    begin a word, with Ġ and ▁ for the space before it. Most of a vocabulary are marked.
    """
    marked = {
        mark: np.array([piece.startswith(mark) for piece in vocabulary])
        for mark in ("##", "Ġ", "▁")
    }
    mark = max(marked, key=lambda mark: marked[mark].sum())
    return marked[mark] if mark == "##" else ~marked[mark]


@dataclass(eq=False)
class SpanMasker(_AnyMasker):
    """Chooses spans of whole words: 80 % become [MASK], 10 % random, 10 % stay.

    Which of the three is drawn for a whole span: all its tokens become [MASK], or each
    a random piece of its own, or all stay. A span begins at a word that is free, any as
    likely as any other, and ends early where its text ends, where another span begins,
    or before a word that is more than what is still to be chosen. The share is of all
    tokens of the text, special ones included, rounded half to even, at least 1; [CLS],
    [SEP] and [PAD] are never chosen and end a span.

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

    chance: float = field(default=SPAN_CHANCE, kw_only=True)
    longest: int = field(default=LONGEST_SPAN, kw_only=True)
    whole_words: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lengths = length_shares(self.chance, self.longest)

    def text(self, ids: list[int], rng: Random) -> MaskedText:
        """Hide spans of one text."""
        hidden, positions = list(ids), []
        for span, draw in self._spans(ids, self.count(len(ids)), rng):
            for position in span:  # one draw for the whole span
                if draw < self.masked:
                    hidden[position] = self.mask_id
                elif draw < self.masked + self.random:
                    hidden[position] = rng.randrange(self.pieces)
            positions += span
        positions.sort()
        return MaskedText(hidden, positions, [ids[position] for position in positions])

    def _spans(
        self, ids: list[int], left: int, rng: Random
    ) -> Iterator[tuple[list[int], float]]:
        """The positions of each span, `left` tokens in all, and what it draws."""
        words = self._words(ids)
        order = list(range(len(words)))
        rng.shuffle(order)
        taken: set[int] = set()
        for first in order:
            if left == 0:
                break
            (length,) = rng.choices(range(1, len(self.lengths) + 1), self.lengths)
            draw, span = rng.random(), []
            for number in range(first, min(first + length, len(words))):
                word = words[number]
                gap = span and word[0] != span[-1] + 1  # a special token is between
                if number in taken or len(word) > left or gap:
                    break
                taken.add(number)
                span += word
                left -= len(word)
            yield span, draw

    def _words(self, ids: list[int]) -> list[list[int]]:
        """The positions of each word; after a special token a new one begins."""
        words: list[list[int]] = []
        for position, id in enumerate(ids):
            if self.fixed[id]:
                continue
            if words and words[-1][-1] == position - 1 and self.continues[id]:
                words[-1].append(position)
            else:
                words.append([position])
        return words

    def _choose(self, ids: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """Text after text, as `text` does."""
        counts, python_rng = self._counts(ids), Random(int(rng.integers(2**63)))
        positions: list[int] = []
        draws: list[float] = []
        for row, text in enumerate(ids.tolist()):
            for span, draw in self._spans(text, counts[row], python_rng):
                positions += [row * len(text) + position for position in span]
                draws += [draw] * len(span)
        return np.array(positions, dtype=np.int64), np.array(draws)


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
    """The two neighbours of each masked position's span, and its place in the span.

    For the span boundary objective (section 3.2), which predicts a token from the
    states at both neighbours and from its place. Two spans with nothing between them
    count as one: the labels do not tell them apart. In a packed row no span reaches
    into the next text, because special tokens are between.

    Args:
        labels: `b s`, -100 where nothing is masked, padded or packed.

    Returns:
        Three tensors of whole numbers, `t` each, for the masked positions row by row:
        the positions just left and just right of the span, as numbers in the batch read
        row by row, and the token's place in its span, from 0.

    Raises:
        ValueError: if a span has no neighbour, because it touches the end of a row.

    >>> span_bounds(torch.tensor([[-100, 7, 8, -100], [-100, -100, 9, -100]]))
    (tensor([0, 0, 5]), tensor([3, 3, 7]), tensor([0, 1, 0]))
    """
    masked = labels != IGNORE_INDEX
    at_edge = masked[:, [0, -1]].any(dim=1).nonzero()
    if len(at_edge):
        raise ValueError(
            f"row {int(at_edge[0])} has a label at its first or its last token, which "
            "has no neighbour on one side; [CLS] and [SEP] never have a label"
        )
    positions = masked.flatten().nonzero().squeeze(1)
    begins = torch.ones_like(positions, dtype=torch.bool)
    begins[1:] = positions.diff() > 1  # a gap before it: a new span
    span = begins.cumsum(0) - 1
    # A span ends where the next begins: the flags rolled back by one mark the ends.
    starts, ends = positions[begins], positions[begins.roll(-1)]
    return starts[span] - 1, ends[span] + 1, positions - starts[span]
