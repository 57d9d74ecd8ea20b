"""Distillation: a small model learns from the outputs of a large one (chapter 8).

`MaskedLMDistillation` is DistilBERT's objective; `make_student` gives what learns.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.bert import BertForMaskedLM
from bertcore.model.inference import evaluation
from bertcore.model.variants.families import masked_lm_of
from bertcore.model.weights import Pretrained
from bertcore.training.objectives import (
    OBJECTIVE_CLASSES,
    Objective,
    objective_class,
    states_and_logits,
)


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts beside the others.

    Args:
        hard: the loss against the labels, where they are known.
        soft: that against the teacher's scores.
        states: that against the teacher's states.
        temperature: by which the scores of both are divided; the higher it is, the more
            the unlikely answers matter.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    hard: float = 1.0
    soft: float = 1.0
    states: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        weights = {f.name: getattr(self, f.name) for f in fields(self)[:3]}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name}={weight!r}; give 0, or a finite number above")
        if not any(weights.values()):
            raise ValueError(
                f"{', '.join(weights)} are all 0, so nothing is learnt; give one of "
                "them more"
            )


def check_temperature(temperature: float) -> None:
    """ValueError unless it is above 0 and finite."""
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature={temperature!r}; give a finite number above 0, such as 2"
        )


TRIPLE = LossWeights(hard=2.0, soft=5.0, states=1.0, temperature=2.0)


class MaskedLMDistillation(Objective):
    """A student and the sum of DistilBERT's three losses, in one module.

    Sanh et al. 2019, section 3: against the hidden pieces, the teacher's distribution
    over them, and the direction of its last states. The default mix is that of the
    README of its training script.

    The teacher is asked in each pass, as each masks other pieces. It is no part of the
    module: it does not learn, and stays as it is, also its mode.
    """

    def __init__(
        self, model: BertForMaskedLM, teacher: nn.Module, mix: LossWeights = TRIPLE
    ) -> None:
        """
        Args:
            teacher: with a head for masked pieces, the same pieces, on the same device.

        Raises:
            ValueError: if the teacher has no such head, or other pieces.
        """
        super().__init__(model)
        objective_class(teacher)  # which refuses what predicts no pieces
        teacher = masked_lm_of(teacher)
        if teacher.config.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"the teacher knows {teacher.config.vocab_size} pieces and the student "
                f"{model.config.vocab_size}; give both the same vocabulary"
            )
        self.mix = mix
        self.fit = width_projection(
            model.config.hidden_size, teacher.config.hidden_size
        )
        self._teacher = (teacher,)  # in a tuple, or it would become a part

    def forward(
        self, masked_positions: Tensor, labels: Tensor, **inputs: Tensor
    ) -> Tensor:
        """The sum over the masked pieces, as `1`.

        The states of all tokens count, as their mean for each masked piece.
        """
        (teacher,), mix = self._teacher, self.mix
        hidden, logits = states_and_logits(self.model, masked_positions, inputs)
        with evaluation(teacher), torch.no_grad():
            states, teacher_logits = states_and_logits(
                teacher, masked_positions, inputs
            )
        real = inputs["attention_mask"].flatten() > 0
        angles = hidden_state_loss(self.fit(hidden[real]).float(), states[real].float())
        # The other two losses are sums over masked pieces, so this becomes one, too.
        loss = mix.states * angles * len(masked_positions) / real.sum()
        loss += mix.hard * F.cross_entropy(logits, labels, reduction="sum")
        loss += mix.soft * soft_target_loss(logits, teacher_logits, mix.temperature)
        return loss[None]


def soft_target_loss(
    student: Tensor, teacher: Tensor, temperature: float = 1.0
) -> Tensor:
    """The sum over rows of KL(teacher || student) of softened scores, times T squared.

    Hinton et al. 2015, section 2: gradients of softened scores shrink as 1/T², so the
    factor keeps them as large as those of the labels. Of one column, which is a number
    and no class, it is the squared difference.

    Args:
        student: scores, `p c`.
        teacher: as many; they get no gradient.
        temperature: T, by which both are divided.

    Raises:
        ValueError: if the shapes differ, or the temperature is not above 0.
    """
    check_temperature(temperature)
    if student.shape != teacher.shape:
        raise ValueError(
            f"scores of the student {tuple(student.shape)}, of the teacher "
            f"{tuple(teacher.shape)}; give the same places and the same classes"
        )
    teacher = teacher.detach()
    if student.shape[-1] == 1:
        return (student - teacher).square().sum()
    guess = F.log_softmax(student / temperature, dim=-1)
    target = F.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(guess, target, reduction="sum", log_target=True)


def hidden_state_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The sum over places of 1 - cos of the angle between the states.

    Sanh et al. 2019 (DistilBERT), section 3: it aligns directions, and leaves lengths
    free, which the norm of the last layer sets anyway.

    Args:
        student: states, `p w`.
        teacher: as many; they get no gradient.

    Raises:
        ValueError: if the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"states of the student {tuple(student.shape)}, of the teacher "
            f"{tuple(teacher.shape)}; give the same places, and bring other widths to "
            "the teacher's with a linear map that learns, as width_projection has it"
        )
    return (1 - F.cosine_similarity(student, teacher.detach(), dim=-1)).sum()


def width_projection(student: int, teacher: int) -> nn.Module:
    """From the student's width to the teacher's: a map that learns, if they differ.

    As in FitNets (Romero et al. 2015) and TinyBERT (Jiao et al. 2020): it belongs to
    the training alone.
    """
    if student == teacher:
        return nn.Identity()
    return nn.Linear(student, teacher, bias=False)


def make_student(
    teacher: Pretrained,
    layers: int | Sequence[int],
    pieces: Sequence[int] | None = None,
) -> Pretrained:
    """A copy of a teacher, head included, with some of its layers.

    Args:
        teacher: a `Bert`, or a model with one and a head; it stays as it is.
        layers: how many, which are those of `layer_numbers`; or their numbers, from 0.
        pieces: ids of the pieces that it knows, in the order of their new ids, as
            `reduced_vocabulary` gives them; by default all.

    Raises:
        ValueError: if the teacher has not so many layers, or is no such model.
    """
    body = getattr(teacher, "bert", teacher)
    if not hasattr(getattr(body, "encoder", None), "layers"):
        raise ValueError(
            f"{type(teacher).__name__} has no encoder with layers; give a Bert, or a "
            "model with one"
        )
    count = len(body.encoder.layers)
    if isinstance(layers, int):
        layers = layer_numbers(count, layers)
    elif not layers or not set(layers) <= set(range(count)):
        raise ValueError(
            f"layers={list(layers)} of a teacher that has {count}; give numbers from 0 "
            f"to {count - 1}"
        )
    student = deepcopy(teacher).requires_grad_(True)  # perhaps it was frozen
    body = getattr(student, "bert", student)
    body.encoder.layers = nn.ModuleList(body.encoder.layers[n] for n in layers)
    changes = {"layers": len(layers)}
    if pieces is not None:
        changes["vocab_size"] = len(pieces)
        ids, table = torch.tensor(pieces), body.embeddings.token
        table.weight = nn.Parameter(table.weight.detach()[ids])
        table.num_embeddings = len(ids)
        if isinstance(student, tuple(OBJECTIVE_CLASSES)):  # a bias for each piece
            student.mlm_head.bias = nn.Parameter(student.mlm_head.bias.detach()[ids])
    for part in {student, body}:
        part.config = part.config.replace(**changes)
    return student


def layer_numbers(count: int, layers: int) -> list[int]:
    """The layers of a teacher that its student begins with: evenly, first and last.

    From 12 to 6 they are those of the script `extract_distilbert.py` of DistilBERT.

    Raises:
        ValueError: if there are not so many.

    >>> layer_numbers(12, 6)
    [0, 2, 4, 7, 9, 11]
    """
    if not 1 <= layers <= count:
        raise ValueError(
            f"layers={layers} of a teacher that has {count}; give 1 to {count}"
        )
    return [round(n * (count - 1) / max(1, layers - 1)) for n in range(layers)]
