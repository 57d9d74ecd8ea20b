"""Distill: the losses, what a student begins as, and that it learns of a teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import (
    Bert,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
)
from bertcore.training.distillation import (
    LossWeights,
    MaskedLMDistillation,
    hidden_state_loss,
    layer_numbers,
    make_student,
    soft_target_loss,
    width_projection,
)
from bertcore.training.loop import TrainingState, train
from bertcore.training.objectives import MaskedLMObjective
from bertcore.training.optim import make_optimisers
from bertcore.training.pretraining import make_batches
from tests.training import small
from tests.training.small import CPU, digest, weights
from tests.training.test_finetune import (
    config,
    distance,
)

WIDE = config(hidden_size=32, layers=3)  # the teacher


# Losses ------------------------------------------------------------------------------


def scores(seed: int, *shape: int, size: float = 3.0) -> Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (size * made).double().requires_grad_()


def by_hand(student: Tensor, wanted: Tensor, t: float) -> Tensor:
    own, other = (student / t).softmax(-1), (wanted / t).softmax(-1)
    return t * t * (other * (other.log() - own.log())).sum()


def by_torch(student: Tensor, wanted: Tensor, t: float) -> Tensor:
    """As DistilBERT's script has it, but for the mean over the rows."""
    loss = nn.KLDivLoss(reduction="batchmean")
    found = loss(F.log_softmax(student / t, -1), F.softmax(wanted / t, -1))
    return found * t**2 * len(student)


@pytest.mark.parametrize("reference", [by_hand, by_torch])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_loss(reference: Callable[..., Tensor], temperature: float) -> None:
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    found = soft_target_loss(student, wanted, temperature)
    expected = reference(student, wanted.detach(), temperature)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found, student)
    torch.testing.assert_close(slope, *torch.autograd.grad(expected, student))
    assert (
        wanted.grad is None
        and not soft_target_loss(student.detach(), wanted).requires_grad
    )


def test_soft_loss_is_zero_where_both_say_the_same() -> None:
    student = scores(0, 7, 5)
    assert soft_target_loss(student, student + 3.0, 2.0).abs() < 1e-12


def test_the_gradient_is_about_as_large_at_each_temperature() -> None:
    """At high ones it is the difference of centred scores / classes: section 2.1."""
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    slopes = {
        t: torch.autograd.grad(soft_target_loss(student, wanted, t), student)[0]
        for t in (1.0, 10.0, 1000.0)
    }
    centred = [each - each.mean(-1, keepdim=True) for each in (student, wanted)]
    torch.testing.assert_close(
        slopes[1000.0], (centred[0] - centred[1]) / 5, rtol=0.02, atol=0.01
    )
    lengths = {t: slope.norm().item() for t, slope in slopes.items()}
    assert 0.3 < lengths[1.0] / lengths[1000.0] < 3
    assert 0.9 < lengths[10.0] / lengths[1000.0] < 1.1


def test_soft_loss_of_numbers_is_the_squared_difference() -> None:
    student, wanted = scores(0, 7, 1), scores(1, 7, 1)
    expected = F.mse_loss(student, wanted, reduction="sum")
    torch.testing.assert_close(soft_target_loss(student, wanted, 3.0), expected)


def test_state_loss() -> None:
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    expected = nn.CosineEmbeddingLoss(reduction="sum")(student, wanted, torch.ones(7))
    found = hidden_state_loss(student, wanted)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found, student)
    torch.testing.assert_close(slope, *torch.autograd.grad(expected, student))
    assert hidden_state_loss(student, 2 * student) < 1e-9  # lengths are free
    assert not hidden_state_loss(student.detach(), wanted).requires_grad


def test_states_of_another_width_are_fitted() -> None:
    assert isinstance(width_projection(5, 5), nn.Identity)
    assert width_projection(5, 8)(torch.zeros(2, 5)).shape == (2, 8)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature=.*; give a finite number above"):
        soft_target_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature)
    with pytest.raises(ValueError, match="temperature=.*; give a finite number above"):
        LossWeights(temperature=temperature)


def test_losses_refuse_other_shapes() -> None:
    two, three = torch.zeros(4, 2), torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"student \(4, 2\), of the teacher \(4, 3\)"):
        soft_target_loss(two, three)
    with pytest.raises(ValueError, match="with a linear map that learns"):
        hidden_state_loss(two, three)


def test_a_mix_must_make_sense() -> None:
    with pytest.raises(ValueError, match="hard, soft, states are all 0, so nothing"):
        LossWeights(0.0, 0.0, 0.0)
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="soft=.*; give 0, or a finite number"):
            LossWeights(soft=wrong)


# Students ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made", [Bert, BertForPreTraining, BertForMaskedLM, BertForSequenceClassification]
)
def test_a_student_begins_with_layers_of_its_teacher(made: Any) -> None:
    one = made(WIDE).requires_grad_(False)
    before = digest(one)
    student = make_student(one, 2)
    body, own = getattr(one, "bert", one), getattr(student, "bert", student)
    assert type(student) is type(one) and student.config.layers == 2
    assert own.config == student.config == body.config.replace(layers=2)
    for n, layer in enumerate([0, 2]):
        pair = own.encoder.layers[n], body.encoder.layers[layer]
        assert distance(*map(weights, pair)) == 0
    assert distance(weights(own.embeddings), weights(body.embeddings)) == 0
    assert all(p.requires_grad for p in student.parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert digest(one) == before and body.config.layers == 3
    one.requires_grad_(True)


def test_a_student_with_all_layers_is_its_teacher() -> None:
    one, ids = BertForMaskedLM(config()).eval(), torch.tensor([[2, 7, 9, 3]])
    assert torch.equal(make_student(one, 2)(ids), one(ids))


def test_a_student_with_fewer_pieces() -> None:
    one, kept = BertForMaskedLM(config()).eval(), [0, 1, 2, 3, 4, 7, 9, 11]
    nn.init.normal_(one.mlm_head.bias)
    student = make_student(one, 2, kept)
    assert student.config.vocab_size == student.bert.config.vocab_size == 8
    found = student(torch.tensor([[2, 5, 7, 3]]))
    expected = one(torch.tensor([[2, 7, 11, 3]]))[..., kept]
    torch.testing.assert_close(found, expected)


def test_saved_and_loaded(tmp_path: Path) -> None:
    student = make_student(BertForMaskedLM(WIDE), 1, range(9)).eval()
    student.save_pretrained(tmp_path)
    again = BertForMaskedLM.from_pretrained(tmp_path)
    assert distance(weights(again), weights(student)) == 0


def test_the_layers_of_a_student() -> None:
    assert layer_numbers(12, 6) == [0, 2, 4, 7, 9, 11]
    assert layer_numbers(6, 2) == [0, 5] and layer_numbers(6, 1) == [0]
    assert layer_numbers(4, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("layers", [0, 4])
def test_a_student_has_no_more_layers_than_its_teacher(layers: int) -> None:
    with pytest.raises(ValueError, match=f"layers={layers} of a teacher that has 3"):
        make_student(Bert(WIDE), layers)


def test_a_student_with_chosen_layers() -> None:
    one = BertForMaskedLM(WIDE)
    layers = make_student(one, [2, 0]).bert.encoder.layers
    for own, number in zip(layers, [2, 0], strict=True):
        assert distance(weights(own), weights(one.bert.encoder.layers[number])) == 0
    for wrong in ([], [0, 3], [-1]):
        with pytest.raises(ValueError, match="of a teacher that has 3; give numbers"):
            make_student(one, wrong)


def test_a_teacher_has_layers() -> None:
    with pytest.raises(ValueError, match="Linear has no encoder with layers; give a B"):
        make_student(nn.Linear(1, 1), 1)


# Pretraining -------------------------------------------------------------------------


def objective(teacher: nn.Module, **changes: Any) -> MaskedLMDistillation:
    return MaskedLMDistillation(BertForMaskedLM(small.config(layers=1)), teacher,
                                **changes)  # fmt: skip


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining])
def test_masked_pieces_are_learnt_from_a_teacher(kind: Any) -> None:
    torch.manual_seed(0)
    other = kind(small.config(hidden_size=36)).train()
    before = digest(other)
    made, recipe = objective(other), small.recipe(steps=12, pairs=False, pass_size=16)
    works = make_batches(made, small.tokenizer(), small.store(), recipe)
    optimisers = make_optimisers(made, recipe)
    records = list(train(made, works, optimisers, recipe, CPU, TrainingState()))
    losses = [record.losses[0] for record in records]
    assert len(losses) == 12 and losses[-1] < losses[0]
    assert digest(other) == before and other.training
    assert all(p.grad is None for p in other.parameters())
    assert set(made.parameters()).isdisjoint(other.parameters())


def test_the_triple_loss() -> None:
    """Its part against the labels is the usual one; a copy has no other loss."""
    torch.manual_seed(0)
    one = BertForMaskedLM(small.config())
    ids = torch.randint(5, len(small.tokenizer()), (2, 8))
    given = {
        "input_ids": ids,
        "attention_mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3]),
        "masked_positions": torch.tensor([1, 4, 9]),
        "labels": torch.tensor([7, 8, 9]),
    }
    usual = MaskedLMObjective(one)(**given)
    hard = MaskedLMDistillation(one, one, LossWeights(1.0, 0.0, 0.0))
    torch.testing.assert_close(hard(**given), usual)
    others = MaskedLMDistillation(one, one, LossWeights(0.0, 5.0, 5.0))
    assert others(**given).abs() < 1e-4
    student = BertForMaskedLM(small.config(layers=1))
    found = MaskedLMDistillation(student, one, LossWeights(2.0, 5.0, 1.0, 3.0))(**given)
    mask = {name: given[name] for name in ("input_ids", "attention_mask")}
    real = given["attention_mask"].bool()
    alike = (
        hidden_state_loss(student.bert(**mask)[real], one.bert(**mask)[real]) * 3 / 13
    )
    guesses = [
        model(**mask).flatten(0, 1)[given["masked_positions"]]
        for model in (student, one)
    ]
    hard = F.cross_entropy(guesses[0], given["labels"], reduction="sum")
    expected = 2 * hard + 5 * soft_target_loss(*guesses, 3.0) + alike
    torch.testing.assert_close(found, expected[None])


def test_a_teacher_of_pieces_must_fit() -> None:
    with pytest.raises(
        ValueError, match="Bert has no head for masked pieces; give a Bert"
    ):
        objective(Bert(small.config()))
    with pytest.raises(ValueError, match="teacher knows 99 pieces and the student"):
        objective(BertForMaskedLM(small.config(vocab_size=99)))
