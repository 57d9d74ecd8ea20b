"""Tasks: what each kind of head is asked, and the sum of its loss (chapter 10).

Features stand packed in rows, so each objective is told the places that it reads. A
head is one linear layer; only for writing there is a decoder.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.readout import states_at
from bertcore.model.tasks import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertcore.model.variants.families import FAMILIES, Family
from bertcore.model.weights import Pretrained
from bertcore.text.batch import ROW, Place, least_padding, packed
from bertcore.text.features import Feature
from bertcore.training.objective import Work, body_costs, useful_operations
from bertcore.training.operations import Costs
from bertcore.training.places import (
    classes,
    ends,
    numbers,
    span_places,
    text_places,
    token_places,
)
from bertcore.training.words import an
from bertcore.training.writing import (
    Shape,
    WritingObjective,
    asked_tokens,
    next_tokens,
)

Loss = Callable[[Tensor, Tensor], Tensor]


class TextObjective(nn.Module):
    """One answer a text, and the sum of its loss."""

    def __init__(self, model: BertForSequenceClassification, loss: Loss) -> None:
        """
        Args:
            model: with its head, of any family.
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
        return self.model.head(rearrange(first[taken], "p w -> p 1 w"))

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
        return self.model.head(hidden[asked])

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
        scores = self.model.head(hidden)[asked]
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


Places = Callable[[Sequence[Place], Sequence[Feature], int], dict[str, Tensor]]


def _read_at(places: Places) -> Callable[[Sequence[Feature], int], dict[str, Tensor]]:
    """A function from features and the id of padding to the arguments of `scores`."""

    def asked(features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        row = least_padding([feature.size for feature in features], ROW)
        batch, found = packed([(f.first, f.second) for f in features], pad_id, row)
        return {**batch, **places(found, features, row)}

    return asked


def worth_reading(
    shape: BertConfig | Costs, features: Sequence[Feature]
) -> tuple[int, float]:
    """Tokens, and operations without those of the heads, which are small."""
    sizes = [feature.size for feature in features]
    return sum(sizes), useful_operations(shape, sizes, 0)


class Kind(NamedTuple):
    """What a kind of task takes: a model, its objective, and what that is given.

    `model` is BERT's, and `part` names that of other families in `Family`; "" if there
    is none. `asked` makes the arguments of its `scores` of features and the id of
    padding, `targets` what is right there. `worth` are the tokens and operations of
    features, by the `shape` of a model.
    """

    model: type[Pretrained]
    part: str
    objective: Callable[[Any], nn.Module]
    asked: Callable[[Sequence[Feature], int], dict[str, Tensor]]
    targets: Callable[[Sequence[Feature]], Tensor] = classes
    shape: Callable[[Any], Any] = body_costs
    worth: Callable[[Any, Sequence[Feature]], tuple[int, float]] = worth_reading

    def model_of(self, family: Family) -> type[Pretrained]:
        """The class of a family that does this; of a kind without any, BERT's."""
        return getattr(family, self.part) if self.part else self.model


TASK_KINDS = {
    "classification": Kind(
        BertForSequenceClassification,
        "classification",
        lambda model: TextObjective(model, class_loss),
        _read_at(text_places),
    ),
    "regression": Kind(
        BertForSequenceClassification,
        "classification",
        lambda model: TextObjective(model, number_loss),
        _read_at(text_places),
        numbers,
    ),
    "tagging": Kind(
        BertForTokenClassification, "tagging", TokenObjective, _read_at(token_places)
    ),
    "answers": Kind(
        BertForQuestionAnswering, "answers", SpanObjective, _read_at(span_places), ends
    ),
    "writing": Kind(
        *(EncoderDecoder, "", WritingObjective, asked_tokens, next_tokens),
        *(Shape.of, Shape.worth),
    ),
}


def task_kind(kind: str) -> Kind:
    """That of a name.

    Raises:
        ValueError: if there is none.
    """
    if kind not in TASK_KINDS:
        raise ValueError(f"no kind of task {kind!r}; there are {', '.join(TASK_KINDS)}")
    return TASK_KINDS[kind]


def checked_model(kind: str, model: Pretrained) -> Pretrained:
    """The model itself.

    Raises:
        ValueError: if there is no such kind, or it takes another model.
    """
    found = task_kind(kind)
    wanted, family = found.model, FAMILIES.get(model.config.published.model_type)
    fitting = wanted if family is None else found.model_of(family)
    if not isinstance(model, wanted | fitting):
        wanted = fitting
        raise ValueError(f"{an(type(model))} cannot do {kind!r}; give {an(wanted)}")
    return model


def asked_of(kind: str, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
    """Features, packed: what the `scores` of an objective takes.

    Args:
        kind: of the task.
        features: one at least; for writing, with their targets.
        pad_id: fills up the rows.
    """
    return task_kind(kind).asked(features, pad_id)


def task_work(
    kind: str,
    features: Sequence[Feature],
    pad_id: int,
    shape: BertConfig | Costs | Shape,
) -> Work:
    """Features with their targets, as the engine takes them; else as `asked_of`.

    Args:
        shape: of the model, as the `shape` of its kind finds it.
    """
    found = task_kind(kind)
    targets = found.targets(features)
    return Work(
        {**found.asked(features, pad_id), "targets": targets},
        torch.tensor([len(targets)]),
        *found.worth(shape, features),
    )
