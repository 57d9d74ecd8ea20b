"""Objectives: the losses of pretraining, for BERT and its variants (chapters 6, 8).

The reference is google-research/bert run_pretraining.py, `get_masked_lm_output`,
`get_next_sentence_output` and `model_fn_builder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForMaskedLM, BertForPreTraining
from bertcore.model.counts import Costs
from bertcore.text.batch import IGNORE_INDEX, TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.text.masking import span_bounds

if TYPE_CHECKING:
    from bertcore.model.variants.albert import AlbertForPreTraining
    from bertcore.model.variants.electra import ElectraPair
    from bertcore.model.variants.spanbert import SpanBertForMaskedLM

# From a batch to more arguments of an objective, and the number of their answers.
Also = Callable[[Mapping[str, Tensor]], tuple[dict[str, Tensor], int]]
WEIGHT = 50.0  # of the second loss: Clark et al. 2020, table 6


class Losses(NamedTuple):
    """The mean loss of the masked pieces and that of the pairs, in nats."""

    masked_lm: Tensor
    next_sentence: Tensor

    def total(self) -> Tensor:
        """Their sum, unweighted: what is trained on."""
        return self.masked_lm + self.next_sentence


def masked_lm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over all places where something is asked, in the whole batch.

    The sum is divided by the number of these places, and so are its gradients; all
    other places get none.

    Args:
        logits: `… v`.
        labels: the true pieces, `…`; -100 where nothing is asked.

    Raises:
        ValueError: if nothing is asked anywhere.
    """
    asked = labels != IGNORE_INDEX
    if not asked.any():
        raise ValueError(
            "no place has a label, so there is nothing to predict; hide some tokens "
            "first, as bertcore.text.masking.Masker does"
        )
    return F.cross_entropy(logits[asked].float(), labels[asked])


def next_sentence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the pairs.

    Args:
        logits: `b 2`.
        labels: `b`, 0 if the second text follows the first, 1 if it is random. Every
            label counts: 0 is a class here, not padding.
    """
    return F.cross_entropy(logits.float(), labels)


def pretraining_losses(
    model: BertForPreTraining, batch: Mapping[str, Tensor]
) -> Losses:
    """Both losses of a batch, padded or packed.

    The vocabulary is scored at the masked places only. That is the same loss, and at
    15 % it saves most of the work of the head.

    Args:
        model: its parts are used, not its `forward`.
        batch: with `labels`, `b s`, and `next_sentence_label`, one for each text, in
            packed rows in reading order.

    Raises:
        ValueError: if nothing is asked anywhere, or there is not one label a text.
    """
    targets = ("labels", "next_sentence_label")
    inputs = {name: value for name, value in batch.items() if name not in targets}
    hidden = model.bert(**inputs)  # b s w
    asked = batch["labels"] != IGNORE_INDEX
    table = model.bert.embeddings.token.weight
    pieces = model.mlm_head(hidden[asked], table)
    first = hidden[text_starts(batch)]
    labels = batch["next_sentence_label"]
    if len(first) != len(labels):
        raise ValueError(
            f"{len(first)} texts, but next_sentence_label has {len(labels)}; give "
            "each text one, in packed rows in reading order"
        )
    pooled = model.bert.pooler(rearrange(first, "b w -> b 1 w"))
    return Losses(
        masked_lm_loss(pieces, batch["labels"][asked]),
        next_sentence_loss(model.nsp_head(pooled), labels),
    )


def pair_head(model: nn.Module) -> nn.Module | None:
    """What judges pairs: the next sentence (BERT), or their order (ALBERT).

    Args:
        model: for pretraining.

    Returns:
        A module from pooled vectors, `b w`, to two scores, `b 2`; or None.
    """
    return getattr(model, "nsp_head", getattr(model, "sop_head", None))


def text_starts(batch: Mapping[str, Tensor]) -> Tensor:
    """Where a text begins, `b s`: in packed rows, where its positions start again."""
    if "position_ids" in batch:
        return (batch["position_ids"] == 0) & (batch["attention_mask"] > 0)
    first = batch["input_ids"].new_zeros(batch["input_ids"].shape).bool()
    first[:, 0] = True
    return first


class MaskedLMObjective(nn.Module):
    """A model for masked pieces and the sum of its loss, in one module.

    Its forward pass is what is compiled, and what is shared among processes.
    """

    losses = ("masked pieces",)

    def __init__(self, model: BertForMaskedLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, asked: Tensor, labels: Tensor, **inputs: Tensor) -> Tensor:
        """The sum over the masked pieces, as `1`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")  # (b s) w
        table = self.model.bert.embeddings.token.weight
        pieces = self.model.mlm_head(hidden[asked], table)
        return F.cross_entropy(pieces.float(), labels, reduction="sum")[None]


class PreTrainingObjective(nn.Module):
    """A model for both objectives and the sums of the losses, in one module.

    What it says of pairs is whether the second text follows (BERT), or whether the two
    were swapped (ALBERT).
    """

    losses = ("masked pieces", "pairs")

    def __init__(self, model: BertForPreTraining | AlbertForPreTraining) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        asked: Tensor,
        labels: Tensor,
        first: Tensor,
        follows: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces and over the pairs, as `2`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            first: places where the texts begin.
            follows: the labels of the pairs, in the same order.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")  # (b s) w
        table = self.model.bert.embeddings.token.weight
        pieces = self.model.mlm_head(hidden[asked], table)
        starts = rearrange(hidden[first], "p w -> p 1 w")
        pairs = pair_head(self.model)(self.model.bert.pooler(starts))
        return torch.stack(
            [
                F.cross_entropy(pieces.float(), labels, reduction="sum"),
                F.cross_entropy(pairs.float(), follows, reduction="sum"),
            ]
        )


def pretraining_objective(model: nn.Module) -> nn.Module:
    """The objective that belongs to a model.

    Raises:
        ValueError: if it is no model for pretraining.
    """
    if hasattr(model, "discriminator"):
        return ReplacedTokenObjective(model)
    if hasattr(model, "boundary_head"):
        return BoundaryObjective(model)
    if pair_head(model) is not None:
        return PreTrainingObjective(model)
    if hasattr(model, "mlm_head"):
        return MaskedLMObjective(model)
    raise ValueError(
        f"{type(model).__name__} has no head for masked pieces; give a "
        "BertForPreTraining or a BertForMaskedLM, or a model for the same of another "
        "family"
    )


def pretraining_batch(
    batch: Mapping[str, Tensor], also: Also | None = None
) -> TrainingBatch:
    """A batch of `Batches`, with what is asked as places.

    Args:
        batch: with labels.
        also: more that the objective asks: its arguments, and how many answers.
    """
    targets = ("labels", "next_sentence_label")
    arguments = {name: value for name, value in batch.items() if name not in targets}
    labels = rearrange(batch["labels"], "b s -> (b s)")
    asked = (labels != IGNORE_INDEX).nonzero()[:, 0]
    starts = rearrange(text_starts(batch), "b s -> (b s)").nonzero()[:, 0]
    arguments |= {"asked": asked, "labels": labels[asked]}
    counts = [len(asked)]
    if "next_sentence_label" in batch:
        arguments |= {"first": starts, "follows": batch["next_sentence_label"]}
        counts.append(len(starts))
    if also is not None:
        more, count = also(batch)
        arguments |= more
        counts.append(count)
    real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").cumsum(0)
    ends = torch.cat([starts[1:], torch.tensor([len(real)])]) - 1
    sizes = real[ends] - real[starts] + 1
    return TrainingBatch(arguments, torch.tensor(counts), sizes[:, None])


def sample_batch(
    objective: nn.Module, texts: int, size: int, masked: int
) -> TrainingBatch:
    """A batch without padding, on which an objective's operations can be counted.

    Args:
        objective: of a model for pretraining.
        texts: how many.
        size: tokens of each text.
        masked: masked pieces of each text.
    """
    labels = torch.full((texts, size), IGNORE_INDEX)
    first = min(1, size - masked)  # a span needs a token before it
    labels[:, first : first + masked] = 0
    batch = {
        "input_ids": torch.zeros_like(labels),
        "attention_mask": torch.ones_like(labels),
        "labels": labels,
    }
    if isinstance(objective, PreTrainingObjective):
        batch["next_sentence_label"] = torch.zeros(texts, dtype=torch.long)
    return pretraining_batch(batch, getattr(objective, "also", None))


def pretraining_costs(objective: nn.Module) -> Costs:
    """What a pass costs, from five short ones: lengths, masked pieces, texts differ."""
    shapes = (1, 4, 1), (1, 6, 1), (1, 8, 1), (1, 8, 2), (2, 8, 1)
    samples = (sample_batch(objective, *shape) for shape in shapes)
    return Costs.of(objective, samples)


class PretrainingBatches(Sequence):
    """`works[n]` is the n-th pass, a function of seed and n, as `Batches` is."""

    def __init__(self, steps: Batches, also: Also | None = None) -> None:
        """
        Args:
            steps: the batches.
            also: more that the objective asks: its arguments, and how many answers.
        """
        self.steps, self.also = steps, also

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, number: int) -> TrainingBatch:
        return pretraining_batch(self.steps[number], self.also)

    def costs(self, objective: nn.Module) -> Costs:
        """What a pass of the objective costs."""
        return pretraining_costs(objective)

    def name(self, number: int) -> str:
        """The n-th pass in words: which examples of the data it holds."""
        examples = self.steps.example_numbers(number).tolist()
        some = ", ".join(map(str, examples[:8])) + (", …" if examples[8:] else "")
        return f"pass {number} (examples {some})"


class ReplacedTokenObjective(nn.Module):
    """A generator, a discriminator, and the sums of their losses, in one module.

    The generator predicts masked pieces as BERT does, and draws one for each. The
    discriminator reads the text with what was drawn and says of every token, not of the
    masked ones alone, whether it was replaced. A piece that was drawn right counts as
    the original. No gradient goes from the one to the other through what was drawn;
    they share their tables.
    """

    losses = ("masked pieces", "replaced tokens")

    def __init__(self, model: ElectraPair, weight: float = WEIGHT) -> None:
        """
        Args:
            model: both parts.
            weight: of the discriminator's loss; that of the generator has 1.

        Raises:
            ValueError: if the weight is not more than 0.
        """
        super().__init__()
        if not weight > 0:
            raise ValueError(
                f"weight={weight!r} of the second loss must be more than 0"
            )
        self.model, self.weight = model, weight

    @staticmethod
    def also(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The places of real tokens as `real`, and how many there are."""
        real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").nonzero()[:, 0]
        return {"real": real}, len(real)

    def forward(
        self,
        asked: Tensor,
        labels: Tensor,
        real: Tensor,
        input_ids: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces and, weighted, over all tokens, as `2`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            real: places of all tokens, padding left out.
            input_ids: with [MASK] at each place that is asked.
            inputs: the others of `Bert.forward`.
        """
        generator, discriminator = self.model.generator, self.model.discriminator
        states = rearrange(generator.bert(input_ids, **inputs), "b s w -> (b s) w")
        table = generator.bert.embeddings.token.weight
        pieces = generator.mlm_head(states[asked], table).float()
        drawn = torch.multinomial(pieces.detach().softmax(-1), 1)[:, 0]
        shown = rearrange(input_ids, "b s -> (b s)").index_copy(0, asked, drawn)
        replaced = torch.zeros_like(shown, dtype=torch.float32)
        replaced = replaced.index_copy(0, asked, (drawn != labels).float())
        shown = rearrange(shown, "(b s) -> b s", s=input_ids.shape[1])
        scores = discriminator.head(discriminator.bert(shown, **inputs))
        found = rearrange(scores, "b s -> (b s)")[real].float()
        seen = F.binary_cross_entropy_with_logits(
            found, replaced[real], reduction="sum"
        )
        guessed = F.cross_entropy(pieces, labels, reduction="sum")
        return torch.stack([guessed, self.weight * seen])


class BoundaryObjective(nn.Module):
    """A model for hidden spans and the sums of its two losses, in one module.

    Each piece is predicted twice: from its own state, as BERT does, and from the states
    of the tokens left and right of its span and its place in it.
    """

    losses = ("masked pieces", "span boundaries")

    def __init__(self, model: SpanBertForMaskedLM) -> None:
        super().__init__()
        self.model = model

    @staticmethod
    def also(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The places around each piece's span, its place in it, and how many."""
        labels = batch["labels"]
        left, right, offset = span_bounds(labels)
        return {"left": left, "right": right, "offset": offset}, len(left)

    def forward(
        self,
        asked: Tensor,
        labels: Tensor,
        left: Tensor,
        right: Tensor,
        offset: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces of both losses, as `2`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            left, right: places of the tokens before and after each piece's span, `t`.
            offset: the place of each piece in its span, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        table = self.model.bert.embeddings.token.weight
        pieces = self.model.mlm_head(hidden[asked], table)
        around = self.model.boundary_head(hidden[left], hidden[right], offset, table)
        return torch.stack(
            [
                F.cross_entropy(pieces.float(), labels, reduction="sum"),
                F.cross_entropy(around.float(), labels, reduction="sum"),
            ]
        )
