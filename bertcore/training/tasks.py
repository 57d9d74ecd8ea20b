"""Tasks: what each kind of head is asked, and the sum of its loss (chapter 10).

Features stand packed in rows, so each objective is told the places that it reads. A
head is one linear layer: there is no decoder.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.readout import states_at
from bertcore.model.tasks import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertcore.model.weights import Pretrained
from bertcore.text.batch import Place, least_padding, packed
from bertcore.text.features import Feature
from bertcore.training.objective import Work, useful_operations

ROW = 128  # tokens of a packed row at most, if no feature is longer

Loss = Callable[[Tensor, Tensor], Tensor]


class TextObjective(nn.Module):
    """One answer a text, and the sum of its loss."""

    def __init__(self, model: BertForSequenceClassification, loss: Loss) -> None:
        """
        Args:
            model: with its head.
            loss: scores `p c` and targets `p` to a sum.
        """
        super().__init__()
        self.model, self.loss = model, loss

    def scores(self, columns: Tensor, taken: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `p c`.

        Args:
            columns: where texts begin in each row, `b m`; a row with fewer is filled
                up with 0.
            taken: which of the `b m` are texts, in the order of the features, `p`.
            inputs: those of `Bert.forward`.
        """
        first = rearrange(
            states_at(self.model.bert, columns, **inputs), "b m w -> (b m) w"
        )
        pooled = self.model.bert.pooler(rearrange(first[taken], "p w -> p 1 w"))
        return self.model.classifier(self.model.dropout(pooled))

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the texts, as `1`."""
        return self.loss(self.scores(**given).float(), targets)[None]


class TokenObjective(nn.Module):
    """One answer a word, from the state of its first piece, and the sum of its loss."""

    def __init__(self, model: BertForTokenClassification) -> None:
        super().__init__()
        self.model = model

    def scores(self, asked: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `t c`.

        Args:
            asked: places in the batch, read row by row, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        return self.model.classifier(self.model.dropout(hidden[asked]))

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the words, as `1`."""
        return class_loss(self.scores(**given).float(), targets)[None]


class SpanObjective(nn.Module):
    """Where an answer starts and ends in each window, and the sum of the loss."""

    def __init__(self, model: BertForQuestionAnswering) -> None:
        super().__init__()
        self.model = model

    def scores(self, asked: Tensor, inside: Tensor, **inputs: Tensor) -> Tensor:
        """Logits of start and end, `p s 2`, -inf after a window's end.

        Args:
            asked: places in the batch, read row by row, of each window's tokens, `p s`.
            inside: which of them are its own, `p s`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        scores = self.model.spans(hidden)[asked]
        return scores.masked_fill(~rearrange(inside, "p s -> p s 1"), -torch.inf)

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the windows of the mean of both ends' losses, as `1`.

        Args:
            targets: first and last place of the answer, `p 2`.
            given: as for `scores`.
        """
        scores = self.scores(**given).float()
        return (
            class_loss(rearrange(scores, "p s e -> (p e) s"), targets.flatten())[None]
            / 2
        )


def class_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum of the cross-entropies, in nats."""
    return F.cross_entropy(scores, targets, reduction="sum")


def number_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum of the squares of the differences; scores are `p 1`."""
    return F.mse_loss(scores[:, 0], targets, reduction="sum")


def text_places(
    places: Sequence[Place], _: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TextObjective.scores`, besides the batch."""
    rows: list[list[int]] = [[] for _ in range(1 + max(place.row for place in places))]
    for place in places:
        rows[place.row].append(place.start)
    columns = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, starts in enumerate(rows):
        columns[row, : len(starts)] = torch.tensor(starts)
    seen = [0] * len(rows)
    taken = []
    for place in places:
        taken.append(place.row * columns.shape[1] + seen[place.row])
        seen[place.row] += 1
    return {"columns": columns, "taken": torch.tensor(taken)}


def token_places(
    places: Sequence[Place], features: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TokenObjective.scores`, besides the batch."""
    asked = [
        place.row * length + place.start + each
        for place, feature in zip(places, features, strict=True)
        for each in feature.asked
    ]
    return {"asked": torch.tensor(asked)}


def span_places(
    places: Sequence[Place], features: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `SpanObjective.scores`, besides the batch."""
    sizes = torch.tensor([place.end - place.start for place in places])
    starts = torch.tensor([place.row * length + place.start for place in places])
    steps = torch.arange(int(sizes.max()))[None]
    inside = steps < sizes[:, None]
    return {
        "asked": (starts[:, None] + steps).where(inside, starts[:, None]),
        "inside": inside,
    }


class Kind(NamedTuple):
    """What a kind of task takes: the model, its objective, the places that it reads."""

    model: type[Pretrained]
    objective: Callable[[Pretrained], nn.Module]
    places: Callable[[Sequence[Place], Sequence[Feature], int], dict[str, Tensor]]
    target: torch.dtype = torch.long


TASK_KINDS = {
    "classification": Kind(
        BertForSequenceClassification,
        lambda model: TextObjective(model, class_loss),
        text_places,
    ),
    "regression": Kind(
        BertForSequenceClassification,
        lambda model: TextObjective(model, number_loss),
        text_places,
        torch.float32,
    ),
    "tagging": Kind(BertForTokenClassification, TokenObjective, token_places),
    "answers": Kind(BertForQuestionAnswering, SpanObjective, span_places),
}


def task_kind(kind: str) -> Kind:
    """That of a name.

    Raises:
        ValueError: if there is none.
    """
    if kind not in TASK_KINDS:
        raise ValueError(f"no kind of task {kind!r}; there are {', '.join(TASK_KINDS)}")
    return TASK_KINDS[kind]


def asked_of(kind: str, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
    """Features, packed: what the `scores` of an objective takes.

    Args:
        kind: of the task.
        features: one at least.
        pad_id: fills up the rows.
    """
    row = least_padding([feature.size for feature in features], ROW)
    batch, places = packed([(f.first, f.second) for f in features], pad_id, row)
    return {**batch, **task_kind(kind).places(places, features, row)}


def task_work(
    kind: str, features: Sequence[Feature], pad_id: int, config: BertConfig
) -> Work:
    """Features with their targets, as the engine takes them; else as `asked_of`."""
    values = [target for feature in features for target in feature.targets]
    targets = torch.tensor(values, dtype=task_kind(kind).target)
    count = len(values)
    if kind == "answers":
        targets, count = rearrange(targets, "(p e) -> p e", e=2), len(features)
    sizes = [feature.size for feature in features]
    return Work(
        {**asked_of(kind, features, pad_id), "targets": targets},
        torch.tensor([count]),
        sum(sizes),
        useful_operations(config, sizes, 0),
    )
