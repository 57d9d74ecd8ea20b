"""Objective: a batch as the engine takes it, and a model with its loss (chapter 9).

What is asked stands in a batch as places, `t` of them, found before the device has it:
so the device need not look for them, which would make it wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.encoder import EncoderLayer
from bertcore.model.tasks import BertForMaskedLM, BertForPreTraining
from bertcore.text.batch import NOT_ASKED
from bertcore.text.steps import Steps
from bertcore.training.boundary import BoundaryObjective
from bertcore.training.objectives import begins, pair_head
from bertcore.training.operations import Costs
from bertcore.training.replaced import ReplacedTokenObjective

if TYPE_CHECKING:
    from bertcore.model.variants.albert import AlbertForPreTraining

# From a batch to more arguments of an objective, and the number of their answers.
Also = Callable[[Mapping[str, Tensor]], tuple[dict[str, Tensor], int]]


class Work(NamedTuple):
    """What one pass takes, and what it is worth.

    `arguments` go to the objective; `counts` says over how many answers each loss is
    summed; `tokens` are real ones; `operations` are those of the forward and backward
    pass that padding and needless scores do not count towards.
    """

    arguments: dict[str, Tensor]
    counts: Tensor
    tokens: int
    operations: float

    def facts(self) -> Tensor:
        """Tokens and counts, in one tensor."""
        return torch.cat([torch.tensor([self.tokens]), self.counts])

    def to(self, device: torch.device) -> Self:
        """On the device, without waiting for it."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in self.arguments.items()
        }
        return self._replace(arguments=moved)


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


def costs(objective: nn.Module) -> BertConfig | Costs:
    """What `useful_operations` takes: a config if its formula holds, or measured ones.

    Args:
        objective: of a model for pretraining.
    """
    model = objective.model
    if type(model) in (BertForMaskedLM, BertForPreTraining) and _is_plain(model.bert):
        return model.config
    return Costs.of(objective)


def body_costs(model: nn.Module) -> BertConfig | Costs:
    """As `costs`, of the body of a model alone."""
    return model.config if _is_plain(model.bert) else Costs.of(model.bert)


def _is_plain(body: nn.Module) -> bool:
    """Whether it is BERT's own."""
    return type(body) is Bert and all(
        type(layer) is EncoderLayer for layer in body.encoder.layers
    )


def pretraining_work(
    batch: Mapping[str, Tensor],
    shape: BertConfig | Costs,
    also: Also | None = None,
) -> Work:
    """A batch of `Steps`, with what is asked as places.

    Args:
        batch: with labels.
        shape: of the model, as `costs` finds it.
        also: more that the objective asks: its arguments, and how many answers.
    """
    targets = ("labels", "next_sentence_label")
    arguments = {name: value for name, value in batch.items() if name not in targets}
    labels = rearrange(batch["labels"], "b s -> (b s)")
    asked = (labels != NOT_ASKED).nonzero()[:, 0]
    starts = rearrange(begins(batch), "b s -> (b s)").nonzero()[:, 0]
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
    operations = useful_operations(shape, sizes.tolist(), len(asked))
    return Work(arguments, torch.tensor(counts), int(sizes.sum()), operations)


class PretrainingWorks(Sequence):
    """`works[n]` is the n-th pass, a function of seed and n, as `Steps` is."""

    def __init__(
        self, steps: Steps, shape: BertConfig | Costs, also: Also | None = None
    ) -> None:
        """
        Args:
            steps: the batches.
            shape, also: as for `pretraining_work`.
        """
        self.steps, self.shape, self.also = steps, shape, also

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, number: int) -> Work:
        return pretraining_work(self.steps[number], self.shape, self.also)

    def name(self, number: int) -> str:
        """The n-th pass in words: which examples of the data it holds."""
        examples = self.steps.example_numbers(number).tolist()
        some = ", ".join(map(str, examples[:8])) + (", …" if examples[8:] else "")
        return f"pass {number} (examples {some})"


def useful_operations(
    shape: BertConfig | Costs, sizes: list[int], predictions: int
) -> float:
    """Operations of a forward and backward pass over texts of these sizes.

    Three times those of the forward pass: a backward pass takes twice as many.

    Args:
        shape: the config of a BERT, whose operations a formula knows; or measured ones.
        sizes: of the texts, in tokens.
        predictions: masked pieces that are asked for.
    """
    if isinstance(shape, Costs):
        return shape.useful(sizes, predictions)
    width, layers = shape.hidden_size, shape.layers
    tokens, squares = sum(sizes), sum(size * size for size in sizes)
    matrices = (8 * width + 4 * shape.feedforward_size) * width * layers * tokens
    mixing = 4 * width * layers * squares
    head = 2 * predictions * width * (width + shape.vocab_size)
    return 3.0 * (matrices + mixing + head)
