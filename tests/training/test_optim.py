"""Optimisers, schedule and clipping: as Google, torch and transformers have them."""

import copy
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup
from transformers.trainer import Trainer

from bertcore import BertForMaskedLM, BertForPreTraining, BertForSequenceClassification
from bertcore.model.published import published_name
from bertcore.model.variants.parts import FinalNorm, PreNormLayer, with_layers
from bertcore.text.batch import TrainingBatch
from bertcore.training.loop import Record, TrainingState, train
from bertcore.training.optim import (
    Muon,
    ReleasedAdamW,
    is_decayed,
    make_optimisers,
    orthogonal,
)
from bertcore.training.recipe import FAITHFUL, Recipe
from tests.conftest import fill_with_large_weights, tiny_config
from tests.google import GoogleTraining, optimization
from tests.training.small import CPU, digest, distance, recipe, run, weights

STEPS, WARMUP = 60, 12
RELEASED = FAITHFUL.replace(steps=STEPS, warmup=WARMUP / STEPS, learning_rate=1e-2)


@pytest.fixture
def model() -> BertForPreTraining:
    model = BertForPreTraining(tiny_config())
    fill_with_large_weights(model)
    return model


def gradients(model: nn.Module, step: int) -> dict[str, Tensor]:
    """Of very different sizes, from parameter to parameter and from step to step."""
    generator = torch.Generator().manual_seed(step)
    size = 100.0 ** (step % 3) / 1e5
    return {
        name: torch.randn(parameter.shape, generator=generator) * size * 4 ** (-n % 5)
        for n, (name, parameter) in enumerate(model.named_parameters())
    }


def give(model: nn.Module, gradients: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name].clone()


class Given(nn.Module):
    """An objective with the gradients that a batch holds."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **gradients: Tensor) -> Tensor:
        named = self.model.named_parameters()
        return sum((p * gradients[name]).sum() for name, p in named)[None]


class Gradients:
    """The n-th batch holds the gradients of step n."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __getitem__(self, number: int) -> TrainingBatch:
        one = torch.tensor([1])
        return TrainingBatch(gradients(self.model, number), one, one[None])


def trained(model: nn.Module, how: Recipe) -> Iterator[Record]:
    """The engine's updates with these gradients."""
    objective, how = Given(model), how.replace(batch=1, pass_size=None)
    optimisers = make_optimisers(objective, how)
    parts = objective, Gradients(model), optimisers
    return train(*parts, how, CPU, TrainingState())


def published(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Under the names that Google's rule for weight decay looks at."""
    return {published_name(n): t.detach().numpy().copy() for n, t in tensors.items()}


# Google ------------------------------------------------------------------------------


def test_released_is_googles_own_training(model) -> None:
    """Its create_optimizer in full: schedule, clipping, groups, uncorrected Adam.

    Sixty updates, warm-up and the drop at its end included.
    """
    google = GoogleTraining(published(weights(model)))
    start, clipped = weights(model), []
    for step, record in enumerate(trained(model, RELEASED)):
        found = published(gradients(model, step))
        rate = google.step(found, RELEASED.learning_rate, STEPS, WARMUP)
        assert record.learning_rate == pytest.approx(rate, rel=1e-6, abs=1e-9)
        length = np.sqrt(sum((values**2).sum() for values in found.values()))
        assert record.gradient == pytest.approx(length, rel=1e-5)
        clipped.append(record.gradient > RELEASED.clip)
    assert {True, False} == set(clipped), "some are clipped, some not"
    assert distance(weights(model), start) > 0.1
    for name, value in model.named_parameters():
        theirs = torch.from_numpy(google.weights[published_name(name)].value)
        apart = (value - theirs).norm() / (theirs - start[name]).norm()
        assert apart < 2e-6, name


def test_the_means_are_googles(model) -> None:
    """Of gradients so short that nothing is clipped."""
    google = GoogleTraining(published(weights(model)))
    optimiser = ReleasedAdamW(model.parameters(), lr=1e-3)
    for step in range(20):
        found = {name: g * 1e-5 for name, g in gradients(model, step).items()}
        google.step(published(found), 1e-3, 10**9, 0)
        give(model, found)
        optimiser.step()
    for name, parameter in model.named_parameters():
        for ours, theirs in (("exp_avg", "adam_m"), ("exp_avg_sq", "adam_v")):
            expected = google.means[f"{published_name(name)}/{theirs}"].value
            found = optimiser.state[parameter][ours].numpy()
            apart = np.linalg.norm(found - expected)
            assert apart < 1e-6 * np.linalg.norm(expected), name


def test_bias_correction_is_what_released_lacks() -> None:
    """The first update is 0.1 / sqrt(0.001) = 3.16 times AdamW's."""
    ours, theirs = (nn.Parameter(torch.zeros(3)) for _ in range(2))
    one = ReleasedAdamW([ours], lr=1e-3, weight_decay=0.0)
    other = torch.optim.AdamW([theirs], lr=1e-3, eps=1e-6, weight_decay=0.0)
    for parameter in (ours, theirs):
        parameter.grad = torch.ones(3)
    one.step()
    other.step()
    assert (ours / theirs).mean().item() == pytest.approx(10**0.5, rel=1e-4)


@pytest.mark.parametrize("steps", [100, 1000])
@pytest.mark.parametrize("warmup", [0, 1, 10, 37, 99])
def test_the_released_schedule_is_googles(steps: int, warmup: int) -> None:
    how = Recipe(steps=steps, schedule="released", warmup=warmup / steps)
    google = GoogleTraining({"x": np.zeros(1, np.float32)})
    still = {"x": np.zeros(1, np.float32)}
    theirs = [google.step(still, 1.0, steps, warmup) for _ in range(steps)]
    ours = [how.rate_at(step / steps) for step in range(steps)]
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)


def test_the_released_rate_drops_when_warm_up_ends() -> None:
    """From almost 1 to 1 - warmup; the linear schedule goes on from 1."""
    how = RELEASED.replace(steps=1000, warmup=0.1)
    assert how.rate_at(0.0999) == pytest.approx(0.999)
    assert how.rate_at(0.1) == pytest.approx(0.9)
    assert how.replace(schedule="linear").rate_at(0.1) == pytest.approx(1.0)


def test_a_warm_up_shorter_than_an_update_is_none() -> None:
    """As in Google's code, which rounds it down: then the first update learns, too."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    for steps in (1, 2, 3, 9, 10, 11, 40):
        how = Recipe(steps=steps, warmup=0.1)
        rates = [how.rate_at(n / steps, 1 / steps) for n in range(steps)]
        assert (rates[0] > 0) == (steps < 10) and all(rates[1:])
        schedule = get_linear_schedule_with_warmup(
            torch.optim.SGD([parameter], 1.0), steps // 10, steps
        )
        if steps % 10 == 0:
            assert rates == pytest.approx(
                [schedule.lr_lambdas[0](n) for n in range(steps)]
            )
        google = GoogleTraining({"x": np.zeros(1, np.float32)})
        still = {"x": np.zeros(1, np.float32)}
        theirs = [google.step(still, 1.0, steps, steps // 10) for _ in range(steps)]
        how = how.replace(schedule="released", warmup=steps // 10 / steps)
        ours = [how.rate_at(n / steps, 1 / steps) for n in range(steps)]
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)
    with pytest.raises(ValueError, match="warmup=1 of steps=1.*give warmup=0"):
        Recipe(steps=1, warmup=1)


def test_no_limit_is_no_clipping() -> None:
    found = []
    for clip in (0.0, 1e9, 1e-9):
        model = nn.Linear(3, 4, bias=False)
        nn.init.ones_(model.weight)
        how = recipe(optimiser="released", clip=clip, steps=3)
        list(trained(model, how))
        found.append(digest(model))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "kind", [BertForPreTraining, BertForMaskedLM, BertForSequenceClassification]
)
def test_what_is_decayed_is_what_google_decays(kind) -> None:
    module = optimization()
    rule = module.AdamWeightDecayOptimizer(
        1.0, 0.01, exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"]
    )
    found = is_decayed(kind(tiny_config()))
    theirs = {name: rule._do_use_weight_decay(published_name(name)) for name in found}
    assert found == theirs and {True, False} == set(found.values())
    assert found["bert.embeddings.position.weight"]


def test_what_is_decayed_is_what_transformers_decays() -> None:
    """Also in a model of other layers."""
    for model in (
        BertForPreTraining(tiny_config()),
        with_layers(tiny_config(), PreNormLayer, FinalNorm),
    ):
        names = Trainer.get_decay_parameter_names(None, model)
        assert {n for n, decayed in is_decayed(model).items() if decayed} == set(names)


# AdamW -------------------------------------------------------------------------------


def test_adamw_is_torchs_with_the_groups_and_the_schedule_of_transformers(model):
    how = recipe(steps=STEPS, warmup=WARMUP / STEPS, learning_rate=1e-2, clip=0.0)
    theirs = copy.deepcopy(model)
    decayed = Trainer.get_decay_parameter_names(None, theirs)
    groups = [
        {
            "params": [
                p for n, p in theirs.named_parameters() if (n in decayed) is yes
            ],
            "weight_decay": how.weight_decay if yes else 0.0,
        }
        for yes in (True, False)
    ]
    torchs = torch.optim.AdamW(
        groups, lr=1e-2, betas=how.betas, eps=how.epsilon, foreach=False, fused=False
    )
    schedule = get_linear_schedule_with_warmup(torchs, WARMUP, STEPS)
    start = weights(model)
    for step, record in enumerate(trained(model, how)):
        give(theirs, gradients(model, step))
        assert record.learning_rate == pytest.approx(schedule.get_last_lr()[0])
        torchs.step()
        schedule.step()
    moved = distance(weights(theirs), start)
    assert distance(weights(model), weights(theirs)) < 1e-5 * moved


# Muon --------------------------------------------------------------------------------

SHAPES = [(24, 24), (40, 24), (24, 40), (96, 8), (1, 5)]


def exact(matrix: Tensor, rounds: int = 5) -> Tensor:
    """The same polynomial, of the singular values, in float64."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    for _ in range(rounds):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left * values @ right


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_is_the_polynomial_of_the_singular_values(shape) -> None:
    matrices = torch.randn(3, *shape) * torch.tensor([1e-6, 1.0, 1e6])[:, None, None]
    found = orthogonal(matrices)
    for ours, given in zip(found, matrices, strict=True):
        expected = exact(given)
        assert (ours - expected).norm() < 1e-5 * expected.norm()


def test_the_update_keeps_directions_and_evens_their_lengths() -> None:
    matrix = torch.randn(40, 24) @ torch.diag(torch.logspace(0, -1, 24))
    before, after = (
        torch.linalg.svdvals(matrix),
        torch.linalg.svdvals(orthogonal(matrix[None])[0]),
    )
    assert before.max() / before.min() > 10
    assert 0.6 < after.min() and after.max() < 1.25


def test_muon_is_torchs_muon() -> None:
    """Within what bfloat16, in which torch computes, leaves of an update."""
    ours = [nn.Parameter(torch.randn(shape)) for shape in [*SHAPES, *SHAPES[:2]]]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    one = Muon(ours, lr=0.05, momentum=0.95, weight_decay=0.1)
    other = torch.optim.Muon(theirs, lr=0.05, momentum=0.95, weight_decay=0.1)
    for step in range(12):
        before = [parameter.detach().clone() for parameter in ours]
        for mine, their in zip(ours, theirs, strict=True):
            with torch.no_grad():
                their.copy_(mine)  # each update by itself
            mine.grad = torch.randn(mine.shape) * 10.0 ** (step % 3 - 1)
            their.grad = mine.grad.clone()
        one.step()
        other.step()
        for mine, their, old in zip(ours, theirs, before, strict=True):
            assert (mine - their).norm() < 3e-2 * (their - old).norm(), mine.shape


def test_muons_momentum_is_nesterovs() -> None:
    """In float64: the running mean, looked ahead, then made orthogonal."""
    parameter = nn.Parameter(torch.zeros(40, 24))
    optimiser, mean = Muon([parameter], lr=0.1), torch.zeros(40, 24).double()
    expected = torch.zeros(40, 24).double()
    for _ in range(8):
        parameter.grad = torch.randn(40, 24)
        optimiser.step()
        gradient = parameter.grad.double()
        mean = 0.95 * mean + 0.05 * gradient
        expected -= 0.1 * (40 / 24) ** 0.5 * exact(0.95 * mean + 0.05 * gradient)
    assert (parameter - expected).norm() < 1e-5 * expected.norm()


def test_muon_has_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    model = BertForPreTraining(tiny_config())
    how = recipe(optimiser="muon", matrix_rate=0.3, learning_rate=0.7)
    muon, adamw = make_optimisers(model, how).parts
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = [
        {names[p] for group in part.param_groups for p in group["params"]}
        for part, _ in (muon, adamw)
    ]
    assert (muon[1], adamw[1]) == (0.3, 0.7)
    kinds = "query key value output widen narrow".split()
    assert {name.rsplit(".", 2)[1] for name in found[0]} == set(kinds)
    assert len(found[0]) == 12 and found[0] | found[1] == set(names.values())
    assert not found[0] & found[1]


def test_refusals() -> None:
    vector = nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match=r"Muon for a parameter of shape \(3,\); give"):
        Muon([nn.Parameter(torch.zeros(3, 3)), vector])
    for optimiser in (ReleasedAdamW([vector]), Muon([nn.Parameter(torch.ones(2, 2))])):
        with pytest.raises(ValueError, match="no closure is called here"):
            optimiser.step(lambda: 0.0)


def test_a_parameter_without_gradient_stays(model) -> None:
    for optimiser in ("released", "adamw", "muon"):
        optimisers = make_optimisers(model, recipe(optimiser=optimiser))
        before = digest(model)
        for each, _ in optimisers.parts:
            each.step()
        assert digest(model) == before


# State -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adamw", "released", "muon"])
def test_what_is_remembered_and_loaded_changes_no_bit(optimiser: str) -> None:
    """Three updates, a new optimiser with the old one's memory, three more."""
    how = recipe(optimiser=optimiser)
    unbroken, first = run(how), run(how)
    list(unbroken.records())
    list(islice(first.records(), 3))
    second = run(how, model=first.model)
    state = {name: value.clone() for name, value in first.optimisers.state().items()}
    second.progress = first.progress
    forgetful = copy.deepcopy(first.model)
    second.optimisers.load(state)
    list(second.records())
    assert digest(second.model) == digest(unbroken.model)
    third = run(how, model=forgetful)
    third.progress = TrainingState(step=3, batches=12)
    list(third.records())
    assert digest(third.model) != digest(unbroken.model), "it matters"


def test_the_names_of_what_is_remembered() -> None:
    here = run(recipe(optimiser="muon"))
    next(here.records())
    names = here.optimisers.state()
    layer = "model.bert.encoder.layers.0.attention"
    assert f"{layer}.query.weight/momentum_buffer" in names
    kinds = {n.rpartition("/")[2] for n in names if n.startswith(f"{layer}.query.bias")}
    assert kinds == {"step", "exp_avg", "exp_avg_sq"}
