"""Objective: a batch as the engine takes it, and a model with its loss (chapter 9).

What is asked stands in a batch as places, `t` of them, found before the device has it:
so the device need not look for them, which would make it wait.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.tasks import BertForMaskedLM, BertForPreTraining
from bertcore.text.batch import NOT_ASKED
from bertcore.text.steps import Steps
from bertcore.training.objectives import begins


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
    """A model for both objectives and the sums of the losses, in one module."""

    def __init__(self, model: BertForPreTraining) -> None:
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
        pairs = self.model.nsp_head(self.model.bert.pooler(starts))
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
    if hasattr(model, "nsp_head"):
        return PreTrainingObjective(model)
    if hasattr(model, "mlm_head"):
        return MaskedLMObjective(model)
    raise ValueError(
        f"{type(model).__name__} has no head for masked pieces; give a "
        "BertForPreTraining or a BertForMaskedLM"
    )


def pretraining_work(batch: Mapping[str, Tensor], config: BertConfig) -> Work:
    """A batch of `Steps`, with what is asked as places."""
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
    real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").cumsum(0)
    ends = torch.cat([starts[1:], torch.tensor([len(real)])]) - 1
    sizes = real[ends] - real[starts] + 1
    operations = useful_operations(config, sizes.tolist(), len(asked))
    return Work(arguments, torch.tensor(counts), int(sizes.sum()), operations)


class PretrainingWorks(Sequence):
    """`works[n]` is the n-th pass, a function of seed and n, as `Steps` is."""

    def __init__(self, steps: Steps, config: BertConfig) -> None:
        self.steps, self.config = steps, config

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, number: int) -> Work:
        return pretraining_work(self.steps[number], self.config)

    def name(self, number: int) -> str:
        """The n-th pass in words: which examples of the data it holds."""
        examples = self.steps.example_numbers(number).tolist()
        some = ", ".join(map(str, examples[:8])) + (", …" if examples[8:] else "")
        return f"pass {number} (examples {some})"


def useful_operations(config: BertConfig, sizes: list[int], predictions: int) -> float:
    """Operations of a forward and backward pass over texts of these sizes.

    Three times those of the forward pass: a backward pass takes twice as many.
    """
    width, layers = config.hidden_size, config.layers
    tokens, squares = sum(sizes), sum(size * size for size in sizes)
    matrices = (8 * width + 4 * config.feedforward_size) * width * layers * tokens
    mixing = 4 * width * layers * squares
    head = 2 * predictions * width * (width + config.vocab_size)
    return 3.0 * (matrices + mixing + head)
