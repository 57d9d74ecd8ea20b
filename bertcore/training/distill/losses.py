"""Losses: how far a student is from its teacher (chapter 8)."""

from dataclasses import dataclass, fields

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Mix:
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


def soft_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
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
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(own, wanted, reduction="sum", log_target=True)


def state_loss(student: Tensor, teacher: Tensor) -> Tensor:
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
            "the teacher's with a linear map that learns, as fitted(own, teachers)"
        )
    return (1 - F.cosine_similarity(student, teacher.detach(), dim=-1)).sum()


def fitted(own: int, teachers: int) -> nn.Module:
    """From the student's width to the teacher's: a map that learns, if they differ.

    As in FitNets (Romero et al. 2015) and TinyBERT (Jiao et al. 2020): it belongs to
    the training alone.
    """
    return nn.Identity() if own == teachers else nn.Linear(own, teachers, bias=False)
