"""Objectives: the losses of pretraining, for BERT and its variants (chapters 6, 8).

The reference is google-research/bert run_pretraining.py, `get_masked_lm_output`,
`get_next_sentence_output` and `model_fn_builder`. Which model is trained with which
objective is in `OBJECTIVE_CLASSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForMaskedLM, BertForPreTraining
from bertcore.model.counts import Costs
from bertcore.model.variants.albert import AlbertForPreTraining
from bertcore.model.variants.electra import ElectraPair
from bertcore.model.variants.families import FAMILIES
from bertcore.model.variants.roberta import SpanBertForMaskedLM
from bertcore.text.batch import IGNORE_INDEX, TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.text.masking import span_bounds
from bertcore.text.pairs import Examples, order_examples, pair_examples, window_examples
from bertcore.text.store import Store

if TYPE_CHECKING:
    from bertcore.training.recipe import Recipe

# From a batch to further arguments of an objective, and to the number of terms in the
# sum of its second loss.
ExtraArguments = Callable[[Mapping[str, Tensor]], tuple[dict[str, Tensor], int]]
WEIGHT = 50.0  # of the second loss: Clark et al. 2020, table 6
# Objectives return sums: the mean of an update is known when it has all its batches.
_sum = partial(F.cross_entropy, reduction="sum")


class Losses(NamedTuple):
    """The mean loss of the masked pieces and that of the pairs, both in nats."""

    masked_lm: Tensor
    next_sentence: Tensor

    def total(self) -> Tensor:
        """Their unweighted sum, which is what the gradients are of."""
        return self.masked_lm + self.next_sentence


def masked_lm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over all masked positions of the whole batch.

    The sum is divided by the number of these positions, and so are its gradients; all
    other positions get none.

    Args:
        logits: `… v`.
        labels: the true pieces, `…`; -100 at positions that are not masked.

    Raises:
        ValueError: if there is no label.
    """
    masked = labels != IGNORE_INDEX
    if not masked.any():
        raise ValueError(
            "no place has a label, so there is nothing to predict; hide some tokens "
            "first, as bertcore.text.masking.Masker does"
        )
    return F.cross_entropy(logits[masked].float(), labels[masked])


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

    The vocabulary is scored at the masked positions only. That is the same loss, and
    at 15 % it saves most of the work of the head.

    Args:
        model: its parts are used, not its `forward`.
        batch: with `labels`, `b s`, and `next_sentence_label`, one for each text, in
            packed rows in reading order.

    Raises:
        ValueError: if no position has a label, or not every text has one.
    """
    targets = ("labels", "next_sentence_label")
    inputs = {name: value for name, value in batch.items() if name not in targets}
    hidden = model.bert(**inputs)  # b s w
    masked = batch["labels"] != IGNORE_INDEX
    table = model.bert.embeddings.token.weight
    pieces = model.mlm_head(hidden[masked], table)
    # A packed row holds several texts, so the pooler reads where each of them begins.
    first = hidden[text_starts(batch)]
    labels = batch["next_sentence_label"]
    if len(first) != len(labels):
        raise ValueError(
            f"{len(first)} texts, but next_sentence_label has {len(labels)}; give "
            "each text one, in packed rows in reading order"
        )
    pooled = model.bert.pooler(rearrange(first, "b w -> b 1 w"))
    return Losses(
        masked_lm_loss(pieces, batch["labels"][masked]),
        next_sentence_loss(model.nsp_head(pooled), labels),
    )


def text_starts(batch: Mapping[str, Tensor]) -> Tensor:
    """Where a text begins, `b s`: in packed rows, where its positions start again."""
    if "position_ids" in batch:
        return (batch["position_ids"] == 0) & (batch["attention_mask"] > 0)
    first = batch["input_ids"].new_zeros(batch["input_ids"].shape).bool()
    first[:, 0] = True
    return first


def states_and_logits(
    model: nn.Module, positions: Tensor, inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Last states, `(b s) w`, and logits of the vocabulary at some positions, `t v`.

    Args:
        positions: in the batch, read row by row, `t`.
    """
    hidden = rearrange(model.bert(**inputs), "b s w -> (b s) w")  # (b s) w
    table = model.bert.embeddings.token.weight
    return hidden, model.mlm_head(hidden[positions], table).float()


class Objective(nn.Module):
    """A model for pretraining and the sums of its losses, in one module.

    Its forward pass is what is compiled, and what is shared among processes. It takes
    `masked_positions`, in the batch read row by row, and their `labels`, `t` each, and
    what `Bert.forward` takes.

    A class built on this one is the only place that says what is special about its
    objective: the names of its losses, which of these fields of a recipe it needs, and
    the shares of the chosen pieces that become [MASK] or a random piece.
    """

    losses: tuple[str, ...] = ("masked pieces",)
    pairs = order = spans = False
    masked, random = 0.8, 0.1
    extra_arguments: ExtraArguments | None = None  # beside masked positions and pairs

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @staticmethod
    def examples(store: Store, recipe: Recipe) -> Examples:
        """Windows of text, as long as the recipe says."""
        return window_examples(store, recipe.length)

    @staticmethod
    def pair_head(model: nn.Module) -> nn.Module | None:
        """From pooled vectors `b w` to logits `b 2` of pairs; None without pairs."""
        return None

    @classmethod
    def needed_changes(cls, recipe: Recipe) -> dict[str, bool]:
        """The fields of a recipe that do not fit, with the values that would."""
        # Spans may be hidden from any model; only a boundary loss depends on them.
        spans = cls.spans or recipe.spans
        needed = {"pairs": cls.pairs, "order": cls.order, "spans": spans}
        return {k: v for k, v in needed.items() if v != getattr(recipe, k)}


class MaskedLMObjective(Objective):
    """A model for masked pieces and the sum of its loss, in one module."""

    def forward(
        self, masked_positions: Tensor, labels: Tensor, **inputs: Tensor
    ) -> Tensor:
        """The sum over the masked pieces, as `1`."""
        _, pieces = states_and_logits(self.model, masked_positions, inputs)
        return _sum(pieces, labels)[None]


class _PairObjective(Objective):
    """Masked pieces and a label for each pair of texts; subclasses say which."""

    losses = ("masked pieces", "pairs")

    def forward(
        self,
        masked_positions: Tensor,
        labels: Tensor,
        first: Tensor,
        follows: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces and over the pairs, as `2`.

        Args:
            first: positions where the texts begin, `p`.
            follows: the labels of the pairs, `p`, in the same order.
        """
        hidden, pieces = states_and_logits(self.model, masked_positions, inputs)
        starts = rearrange(hidden[first], "p w -> p 1 w")
        pairs = self.pair_head(self.model)(self.model.bert.pooler(starts))
        return torch.stack([_sum(pieces, labels), _sum(pairs.float(), follows)])


class PreTrainingObjective(_PairObjective):
    """BERT's two objectives: masked pieces, and whether the second text follows."""

    pairs = True

    @staticmethod
    def examples(store: Store, recipe: Recipe) -> Examples:
        """Pairs: the second text follows, or it is from elsewhere."""
        return pair_examples(store, recipe.length, seed=recipe.seed)

    @staticmethod
    def pair_head(model: BertForPreTraining) -> nn.Module:
        """The head for the next sentence."""
        return model.nsp_head


class SentenceOrderObjective(_PairObjective):
    """ALBERT's two objectives: masked pieces, and whether two texts were swapped."""

    order = True

    @staticmethod
    def examples(store: Store, recipe: Recipe) -> Examples:
        """Pairs of texts that follow each other, half of them swapped."""
        return order_examples(store, recipe.length, seed=recipe.seed)

    @staticmethod
    def pair_head(model: AlbertForPreTraining) -> nn.Module:
        """The head for sentence order."""
        return model.sop_head


class ReplacedTokenObjective(Objective):
    """A generator, a discriminator, and the sums of their losses, in one module.

    The generator predicts masked pieces as BERT does, and draws one for each. The
    discriminator reads the text with what was drawn and says of every token, not of the
    masked ones alone, whether it was replaced. A piece that was drawn right counts as
    the original. No gradient goes from the one to the other through what was drawn;
    they share their tables.
    """

    losses = ("masked pieces", "replaced tokens")
    masked, random = 1.0, 0.0  # random pieces come from the generator (section 3.1)

    def __init__(self, model: ElectraPair, weight: float = WEIGHT) -> None:
        """
        Args:
            model: both parts.
            weight: of the discriminator's loss; that of the generator has 1.

        Raises:
            ValueError: if the weight is not more than 0.
        """
        super().__init__(model)
        if not weight > 0:
            raise ValueError(
                f"weight={weight!r} of the second loss must be more than 0"
            )
        self.weight = weight

    @staticmethod
    def extra_arguments(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The positions of all tokens but padding, and how many there are."""
        real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").nonzero()[:, 0]
        return {"real": real}, len(real)

    def forward(
        self,
        masked_positions: Tensor,
        labels: Tensor,
        real: Tensor,
        input_ids: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces and, weighted, over all tokens, as `2`.

        Args:
            masked_positions: in the batch, read row by row, `t`.
            labels: the true pieces, `t`.
            real: positions of all tokens, padding left out.
            input_ids: with [MASK] at each masked position.
            inputs: the others of `Bert.forward`.
        """
        generator, discriminator = self.model.generator, self.model.discriminator
        states = rearrange(generator.bert(input_ids, **inputs), "b s w -> (b s) w")
        table = generator.bert.embeddings.token.weight
        pieces = generator.mlm_head(states[masked_positions], table).float()
        # Drawn by chance: the likeliest piece would too often be the true one.
        drawn = torch.multinomial(pieces.detach().softmax(-1), 1)[:, 0]
        shown = rearrange(input_ids, "b s -> (b s)").index_copy(
            0, masked_positions, drawn
        )
        replaced = torch.zeros_like(shown, dtype=torch.float32)
        replaced = replaced.index_copy(0, masked_positions, (drawn != labels).float())
        shown = rearrange(shown, "(b s) -> b s", s=input_ids.shape[1])
        scores = discriminator.head(discriminator.bert(shown, **inputs))
        scores = rearrange(scores, "b s -> (b s)")[real].float()
        discriminator_loss = F.binary_cross_entropy_with_logits(
            scores, replaced[real], reduction="sum"
        )
        generator_loss = F.cross_entropy(pieces, labels, reduction="sum")
        return torch.stack([generator_loss, self.weight * discriminator_loss])


class BoundaryObjective(Objective):
    """A model for hidden spans and the sums of its two losses, in one module.

    Each piece is predicted twice: from its own state, as BERT does, and from the states
    of the tokens left and right of its span and its place in it.
    """

    losses = ("masked pieces", "span boundaries")
    spans = True

    @staticmethod
    def extra_arguments(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The two ends of each piece's span, its place in it, and how many pieces."""
        left, right, offset = span_bounds(batch["labels"])
        return {"left": left, "right": right, "offset": offset}, len(left)

    def forward(
        self,
        masked_positions: Tensor,
        labels: Tensor,
        left: Tensor,
        right: Tensor,
        offset: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces of both losses, as `2`.

        Args:
            left: the position of the token before each piece's span, `t`.
            right: the position of the token after it, `t`.
            offset: the place of each piece in its span, `t`.
        """
        hidden, pieces = states_and_logits(self.model, masked_positions, inputs)
        table = self.model.bert.embeddings.token.weight
        # The head sees the span's ends and no state inside, so the ends must tell it.
        around = self.model.boundary_head(hidden[left], hidden[right], offset, table)
        return torch.stack([_sum(pieces, labels), _sum(around.float(), labels)])


# Which model is trained with which objective. Of a family, the first model whose
# objective fits a recipe is the one that the recipe trains.
OBJECTIVE_CLASSES: dict[type[nn.Module], type[Objective]] = {
    BertForPreTraining: PreTrainingObjective,
    AlbertForPreTraining: SentenceOrderObjective,
    SpanBertForMaskedLM: BoundaryObjective,
    BertForMaskedLM: MaskedLMObjective,
    ElectraPair: ReplacedTokenObjective,
    **{family.masked_lm: MaskedLMObjective for family in FAMILIES.values()},
}


def objective_class(model: nn.Module) -> type[Objective]:
    """The objective that a model is trained with.

    Raises:
        ValueError: if it is no model for pretraining.
    """
    for kind, objective in OBJECTIVE_CLASSES.items():
        if isinstance(model, kind):
            return objective
    raise ValueError(
        f"{type(model).__name__} has no head for masked pieces; give a "
        "BertForPreTraining or a BertForMaskedLM, or a model for the same of another "
        "family"
    )


def pretraining_objective(model: nn.Module) -> Objective:
    """A model with its losses; ValueError if it is no model for pretraining."""
    return objective_class(model)(model)


def models_for(recipe: Recipe) -> list[type[nn.Module]]:
    """The classes of models, of all families, that can be asked what a recipe asks."""
    return [
        kind
        for kind, each in OBJECTIVE_CLASSES.items()
        if not each.needed_changes(recipe)
    ]


def pretraining_batch(
    batch: Mapping[str, Tensor], extra: ExtraArguments | None = None
) -> TrainingBatch:
    """A batch of `Batches` as the arguments of an objective, and what they count."""
    # Masked positions are given by number, because the heads score these alone.
    targets = ("labels", "next_sentence_label")
    arguments = {name: value for name, value in batch.items() if name not in targets}
    labels = rearrange(batch["labels"], "b s -> (b s)")
    masked = (labels != IGNORE_INDEX).nonzero()[:, 0]
    starts = rearrange(text_starts(batch), "b s -> (b s)").nonzero()[:, 0]
    arguments |= {"masked_positions": masked, "labels": labels[masked]}
    counts = [len(masked)]
    if "next_sentence_label" in batch:
        arguments |= {"first": starts, "follows": batch["next_sentence_label"]}
        counts.append(len(starts))
    if extra is not None:
        more, count = extra(batch)
        arguments |= more
        counts.append(count)
    real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").cumsum(0)
    ends = torch.cat([starts[1:], torch.tensor([len(real)])]) - 1
    sizes = real[ends] - real[starts] + 1
    return TrainingBatch(arguments, torch.tensor(counts), sizes[:, None])


def sample_batch(
    objective: Objective, texts: int, size: int, masked: int
) -> TrainingBatch:
    """A batch without padding, on which an objective's operations can be counted."""
    labels = torch.full((texts, size), IGNORE_INDEX)
    first = min(1, size - masked)  # a span needs a token before it
    labels[:, first : first + masked] = 0
    batch = {
        "input_ids": torch.zeros_like(labels),
        "attention_mask": torch.ones_like(labels),
        "labels": labels,
    }
    if objective.pairs or objective.order:
        batch["next_sentence_label"] = torch.zeros(texts, dtype=torch.long)
    return pretraining_batch(batch, objective.extra_arguments)


def pretraining_costs(objective: Objective) -> Costs:
    """What a batch costs, from five small ones of other lengths, labels and texts."""
    shapes = (1, 4, 1), (1, 6, 1), (1, 8, 1), (1, 8, 2), (2, 8, 1)
    samples = (sample_batch(objective, *shape) for shape in shapes)
    return Costs.of(objective, samples)


class PretrainingBatches(Sequence):
    """`batches[n]` is the n-th batch, a function of seed and n, as `Batches` is."""

    def __init__(self, steps: Batches, extra: ExtraArguments | None = None) -> None:
        self.steps, self.extra = steps, extra

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, number: int) -> TrainingBatch:
        return pretraining_batch(self.steps[number], self.extra)

    def costs(self, objective: Objective) -> Costs:
        """What a batch of the objective costs."""
        return pretraining_costs(objective)

    def name(self, number: int) -> str:
        """The n-th batch in words: which examples of the data it holds."""
        examples = self.steps.example_numbers(number).tolist()
        some = ", ".join(map(str, examples[:8])) + (", …" if examples[8:] else "")
        return f"pass {number} (examples {some})"
