"""Evaluate: how well a model predicts texts that it has not seen (chapter 9).

The masks are the same each time, at 15 %, whatever the run was trained with: so that
two runs, and two moments of one, can be compared.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bertcore.model.inference import evaluation
from bertcore.text.batch import TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.masking import Masker, mark_of
from bertcore.text.pairs import Examples
from bertcore.text.store import Store
from bertcore.training.objectives import PretrainingBatches, pair_head

RATE = 0.15
SEED = 15
# How byte-level BPE writes the bytes 0x80 to 0xbf (openai/gpt-2 encoder.py,
# `bytes_to_unicode`): in UTF-8 these go on with a character, and all others begin one.
_GOES_ON = {*map(chr, range(0x122, 0x144)), *map(chr, range(0xA1, 0xC0))} - {"\xad"}
_SLICE = 10_000_000


class HeldOutScores(NamedTuple):
    """What a model knows of held-out texts.

    `masked_lm` is the mean loss of the masked pieces in nats, `accuracy` the share of
    them whose best guess is right. `bits_per_character` is the same loss for each
    character of those pieces, the space before a word counted, so vocabularies can be
    compared. `next_sentence` and `pairs_right` say the same of pairs; None if they are
    not asked for. `pieces` and `pairs` were asked for.
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
    """Held-out texts with fixed masks, ready to be asked about again and again."""

    def __init__(
        self,
        store: Store,
        examples: Examples,
        tokenizer: AnyTokenizer,
        most: int = 2048,
        size: int = 64,
    ) -> None:
        """
        Args:
            store: of texts that the model is not trained on.
            examples: of the store.
            tokenizer: that of the store.
            most: examples that are used at most, drawn at random once.
            size: examples in a pass.

        Raises:
            ValueError: if there is no example.
        """
        found = len(examples.spans)
        if not found:
            raise ValueError("no examples to ask about; give texts that are not empty")
        size = min(size, most, found)
        row = examples.longest
        steps = Batches(
            store, examples, tokenizer, Masker(tokenizer, RATE), size, SEED, row
        )
        works = PretrainingBatches(steps)
        self.works = [works[n] for n in range(max(1, min(most, found) // size))]
        self.characters = _characters(tokenizer)

    def labels(self) -> np.ndarray:
        """All pieces that are asked for."""
        return np.concatenate([work.arguments["labels"].numpy() for work in self.works])

    def unigram(self, store: Store) -> float:
        """The loss of one who knows only how frequent each piece is in a store."""
        return unigram_loss(np.asarray(store.ids), self.labels(), len(self.characters))

    def bits(self, loss: float) -> float:
        """Bits per character, of a mean loss in nats of what is asked."""
        labels = self.labels()
        return loss * len(labels) / math.log(2) / self.characters[labels].sum().item()

    @torch.no_grad()
    def ask(
        self, model: nn.Module, device: torch.device | str = "cpu"
    ) -> HeldOutScores:
        """How well a model does; it is left as it was.

        Args:
            model: one with a head for masked pieces; of an ElectraPair the generator
                is asked, which is the smaller part.
            device: where it is.
        """
        model = getattr(model, "generator", model)
        device, sums = torch.device(device), np.zeros(5)
        with evaluation(model):
            for work in self.works:
                sums += _asked(model, work.to(device))
        loss, right, pair_loss, pairs_right, pairs = sums.tolist()
        asked = len(self.labels())
        mean = loss / asked
        quality = HeldOutScores(mean, right / asked, self.bits(mean), asked)
        if not pairs:
            return quality
        return quality._replace(
            next_sentence=pair_loss / pairs,
            pairs_right=pairs_right / pairs,
            pairs=int(pairs),
        )


def _asked(model: nn.Module, work: TrainingBatch) -> np.ndarray:
    """Sums over one pass: losses and right answers, of pieces and of pairs."""
    targets = ("asked", "labels", "first", "follows")
    given = {k: v for k, v in work.arguments.items() if k not in targets}
    asked, labels = work.arguments["asked"], work.arguments["labels"]
    hidden = model.bert(**given).flatten(0, 1)
    table = model.bert.embeddings.token.weight
    sums = _score(model.mlm_head(hidden[asked], table), labels)
    head = pair_head(model)
    if "first" not in work.arguments or head is None:
        return np.array([*sums, 0, 0, 0])
    follows = work.arguments["follows"]
    pooled = model.bert.pooler(hidden[work.arguments["first"]][:, None])
    return np.array([*sums, *_score(head(pooled), follows), len(follows)])


def _score(logits: Tensor, labels: Tensor) -> Iterable[float]:
    loss = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
    return loss.item(), (logits.argmax(-1) == labels).sum().item()


def _characters(tokenizer: AnyTokenizer) -> np.ndarray:
    """Of each piece: its characters, and one for the space if it begins a word."""
    pieces = tokenizer.vocabulary
    mark = mark_of(pieces)
    if mark == "##":
        return np.array(
            [len(p) - 2 if p.startswith(mark) else len(p) + 1 for p in pieces]
        )
    # The other two marks stand for the space themselves. Of the bytes of é, which Ġ's
    # vocabulary has as two letters, one counts.
    inside = _GOES_ON if mark == "Ġ" else set()
    return np.array([sum(letter not in inside for letter in p) for p in pieces])


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
