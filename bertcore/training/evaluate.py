"""Evaluate: how well a model predicts texts that it has not seen (chapter 9).

The masks are the same in each evaluation, at 15 %, whatever the run was trained with,
because only then can two runs, or two moments of one run, be compared.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bertcore.model.inference import evaluation
from bertcore.model.variants.families import masked_lm_of
from bertcore.text.batch import IGNORE_INDEX, TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.masking import Masker
from bertcore.text.pairs import Examples
from bertcore.text.store import Store
from bertcore.training.objectives import (
    objective_class,
    pretraining_batch,
    states_and_logits,
)

RATE, SEED = 0.15, 15  # the share of tokens that is masked; of the draw
_SLICE = 10_000_000  # ids that are counted at once


class HeldOutScores(NamedTuple):
    """What a model knows of held-out texts.

    `masked_lm` is the mean loss of the masked pieces in nats, `accuracy` the share of
    them whose likeliest prediction is right. `bits_per_character` is the same loss per
    character of the texts, of which a piece has so many on average: so vocabularies can
    be compared. `next_sentence` and `pairs_right` are the loss and the accuracy of
    pairs, or None for a model without a head for them. `pieces` and `pairs` are how
    many there were.
    """

    masked_lm: float
    accuracy: float
    bits_per_character: float
    pieces: int
    next_sentence: float | None = None
    pairs_right: float | None = None
    pairs: int = 0

    def __str__(self) -> str:
        text = (
            f"masked pieces: loss {self.masked_lm:.3f} nats, "
            f"{self.bits_per_character:.3f} bits per character, {self.accuracy:.1%} of "
            f"{self.pieces:,} right"
        )
        if self.next_sentence is not None:
            text += (
                f"; pairs: loss {self.next_sentence:.3f}, {self.pairs_right:.1%} of "
                f"{self.pairs:,} right"
            )
        return text


class HeldOut:
    """Held-out texts with fixed masks, to evaluate a model on again and again."""

    def __init__(
        self,
        store: Store,
        examples: Examples,
        tokenizer: AnyTokenizer,
        most: int = 2048,
        size: int = 64,
        whole_words: bool = False,
    ) -> None:
        """
        Args:
            store: of texts that the model is not trained on.
            most: the most examples that are used; they are drawn at random once.
            whole_words: hide whole words, always behind [MASK], and predict the pieces
                of each in turn, so that models with different vocabularies can be
                compared. For examples without pairs.

        Raises:
            ValueError: if there is no example, or whole words are hidden in pairs.
        """
        count = len(examples.spans)
        if not count:
            raise ValueError("no examples to ask about; give texts that are not empty")
        if whole_words and examples.labels is not None:
            raise ValueError("whole_words=True, and there are pairs; give windows")
        size = min(size, most, count)
        masker = Masker(tokenizer, RATE)
        if whole_words:  # a piece that stays would give away those after it
            masker = Masker(tokenizer, RATE, whole_words=True, masked=1, random=0)
        steps = Batches(
            store, examples, tokenizer, masker, size, SEED, row=examples.longest
        )
        batches = (steps[n] for n in range(max(1, min(most, count) // size)))
        if whole_words:
            goes_on = torch.from_numpy(masker.continues)
            batches = (each for batch in batches for each in in_turn(batch, goes_on))
        self.batches = [pretraining_batch(each) for each in batches]
        # Of the texts themselves, with a space between two sentences: pieces may hold
        # white space or leave it out, and a byte may be a part of a character.
        counts = store.manifest["counts"]
        characters = counts["characters"] + counts["sentences"] - counts["documents"]
        self.piece_size = characters / counts["tokens"]  # characters, on average
        self.vocabulary_size = len(tokenizer)

    def labels(self) -> np.ndarray:
        """The ids of all masked pieces."""
        return np.concatenate([b.arguments["labels"].numpy() for b in self.batches])

    def unigram(self, store: Store) -> float:
        """The loss of a model that knows only how frequent each piece is in a store."""
        return unigram_loss(np.asarray(store.ids), self.labels(), self.vocabulary_size)

    def bits(self, loss: float) -> float:
        """Bits per character, from a mean loss of the masked pieces in nats."""
        return loss / math.log(2) / self.piece_size

    @torch.no_grad()
    def ask(
        self, model: nn.Module, device: torch.device | str = "cpu"
    ) -> HeldOutScores:
        """The scores of a model, which is left as it was.

        Args:
            model: one with a head for masked pieces. Of an ElectraPair it is the
                generator that is evaluated, the smaller part.

        Raises:
            ValueError: if the model has no such head.
        """
        head, model = objective_class(model).pair_head(model), masked_lm_of(model)
        device, sums = torch.device(device), np.zeros(5)
        with evaluation(model):
            for batch in self.batches:
                sums += _sums(model, head, batch.to(device))
        # Sums are divided here, once: batches differ in how many pieces they mask.
        loss, right, pair_loss, pairs_right, pairs = sums.tolist()
        pieces = len(self.labels())
        return HeldOutScores(
            masked_lm=loss / pieces,
            accuracy=right / pieces,
            bits_per_character=self.bits(loss / pieces),
            pieces=pieces,
            next_sentence=pair_loss / pairs if pairs else None,
            pairs_right=pairs_right / pairs if pairs else None,
            pairs=int(pairs),
        )


def in_turn(
    batch: Mapping[str, Tensor], continues: Tensor
) -> Iterator[dict[str, Tensor]]:
    """Ask for the first pieces of hidden words, then for the second ones, and so on.

    Each time the pieces before are seen, so the probabilities of a word's pieces
    multiply to that of the word. If all were hidden at once, the model would have to
    guess the second piece without the first, and a vocabulary that cuts fewer words
    would look better than it is.

    Args:
        batch: `input_ids`, `labels` and others, `b s` each; whole words are hidden.
        continues: for each id of the vocabulary whether it goes on with a word, `v`.

    Yields:
        The rows in which a word has so many pieces.
    """
    labels, ids = batch["labels"], batch["input_ids"]
    hidden = labels != IGNORE_INDEX
    goes_on = hidden & continues[labels.clamp(min=0)] & hidden.roll(1, dims=1)
    goes_on[:, 0] = False  # what is rolled in there comes from the end of the row
    now = hidden & ~goes_on
    while now.any():
        asked = {"input_ids": ids, "labels": labels.masked_fill(~now, IGNORE_INDEX)}
        rows = now.any(dim=1)
        yield {name: value[rows] for name, value in {**batch, **asked}.items()}
        ids = torch.where(now, labels, ids)
        now = goes_on & now.roll(1, dims=1)


def _sums(model: nn.Module, head: nn.Module | None, batch: TrainingBatch) -> np.ndarray:
    """Losses and right predictions of pieces, the same of pairs, number of pairs."""
    inputs = dict(batch.arguments)
    positions, labels = inputs.pop("masked_positions"), inputs.pop("labels")
    first, follows = inputs.pop("first", None), inputs.pop("follows", None)
    hidden, logits = states_and_logits(model, positions, inputs)
    loss, right = _loss_and_right(logits, labels)
    if first is None or head is None:
        return np.array([loss, right, 0, 0, 0])
    pooled = model.bert.pooler(hidden[first][:, None])
    pair_loss, pairs_right = _loss_and_right(head(pooled), follows)
    return np.array([loss, right, pair_loss, pairs_right, len(follows)])


def _loss_and_right(logits: Tensor, labels: Tensor) -> tuple[float, int]:
    loss = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
    return loss.item(), (logits.argmax(-1) == labels).sum().item()


def unigram_loss(train: np.ndarray, held_out: np.ndarray, pieces: int) -> float:
    """The cross-entropy of held-out ids under the frequencies of others, in nats.

    Each piece counts once more than it was seen, so that none has probability 0.

    Args:
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
