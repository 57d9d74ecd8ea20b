"""Starting weights: cut at two sigma, biases 0, gains 1, and a first loss of ln V."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import Bert, BertConfig, BertForPreTraining
from bertcore.model.weights import initialise
from tests.conftest import tiny_config

SIGMA = 0.02


def deviation_when_cut_at(bound: float) -> float:
    """Of a standard normal without its tails beyond ±bound."""
    density = math.exp(-(bound**2) / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * bound * density / math.erf(bound / math.sqrt(2)))


def share_below(x: Tensor) -> Tensor:
    """Of a standard normal cut at ±2, its distribution function."""
    low, high = (math.erf(bound / math.sqrt(2)) for bound in (-2, 2))
    return (torch.erf(x / math.sqrt(2)) - low) / (high - low)


@pytest.fixture(scope="module")
def weights() -> Tensor:
    """A million."""
    torch.manual_seed(0)
    table = nn.Embedding(1000, 1000).apply(initialise(SIGMA))
    return table.weight.detach().flatten()


def test_deviation_is_0_88_sigma(weights: Tensor) -> None:
    assert math.isclose(deviation_when_cut_at(2), 0.8796, abs_tol=5e-5)
    assert abs(weights.std() / SIGMA - deviation_when_cut_at(2)) < 0.002
    assert abs(weights.mean() / SIGMA) < 0.004


def test_all_within_two_sigma_and_up_to_it(weights: Tensor) -> None:
    largest = weights.abs().max() / SIGMA
    assert 1.999 < largest <= 2 + 1e-6


def test_drawn_again_not_pushed_to_the_bound(weights: Tensor) -> None:
    """The shape is the normal's: Kolmogorov's distance, 1.63/√n at 1 %."""
    ordered = (weights.double() / SIGMA).sort().values
    ranks = (torch.arange(len(ordered)) + 0.5) / len(ordered)
    limit = 1.63 / math.sqrt(len(ordered))
    assert (share_below(ordered) - ranks).abs().max() < limit
    pushed = torch.randn(len(ordered), generator=torch.Generator().manual_seed(0))
    pushed = pushed.clamp(-2, 2).double().sort().values
    assert (share_below(pushed) - ranks).abs().max() > 10 * limit


def test_default_of_torch_cuts_nothing() -> None:
    torch.manual_seed(0)
    plain = nn.init.trunc_normal_(torch.empty(1000, 1000), std=SIGMA)
    assert abs(plain.std() / SIGMA - 1) < 0.002
    assert plain.abs().max() > 4 * SIGMA
    assert abs((plain.abs() > 2 * SIGMA).float().mean() - 0.0455) < 0.001


@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_every_part_of_a_model_is_set(sigma: float) -> None:
    model = BertForPreTraining(tiny_config(initializer_range=sigma))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
    model.apply(initialise(sigma))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif re.search(r"norm\.weight$", name):
            assert (parameter == 1).all(), name
        else:
            assert 0 < parameter.abs().max() <= 2 * sigma + 1e-6, name
            expected = deviation_when_cut_at(2) * sigma
            assert abs(parameter.std() / expected - 1) < 0.2, name


def test_a_model_starts_so_by_itself() -> None:
    torch.manual_seed(0)
    model = BertForPreTraining(tiny_config())
    started = {name: p.clone() for name, p in model.named_parameters()}
    for name, parameter in started.items():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.dim() == 2:
            assert parameter.abs().max() <= 2 * SIGMA + 1e-6, name
    torch.manual_seed(0)
    again = dict(BertForPreTraining(tiny_config()).named_parameters())
    assert all(torch.equal(again[name], value) for name, value in started.items())


def test_a_layer_without_bias_is_welcome() -> None:
    linear = nn.Linear(50, 50, bias=False).apply(initialise(SIGMA))
    assert linear.weight.abs().max() <= 2 * SIGMA


@pytest.mark.parametrize(
    "config",
    [tiny_config(), BertConfig.preset("tiny")],
    ids=lambda config: f"{config.vocab_size} pieces",
)
def test_first_loss_is_that_of_a_guess(config: BertConfig) -> None:
    """ln V for a piece, ln 2 for the sentence: nothing is known yet."""
    torch.manual_seed(0)
    model = BertForPreTraining(config).eval()
    ids = torch.randint(config.vocab_size, (8, 16))
    pieces, follows = model(ids)
    labels = torch.randint(config.vocab_size, (8, 16))
    loss = F.cross_entropy(pieces.transpose(1, 2), labels)
    loss = loss + F.cross_entropy(follows, torch.tensor([0, 1] * 4))
    assert abs(loss - math.log(config.vocab_size) - math.log(2)) < 0.2


def test_states_start_at_the_size_of_a_norm() -> None:
    """The norms keep them there, however small the weights are."""
    torch.manual_seed(0)
    for sigma in (0.002, 0.02, 0.2):
        bert = Bert(tiny_config(initializer_range=sigma)).eval()
        with torch.no_grad():
            hidden = bert(torch.arange(10)[None])
        assert torch.allclose(hidden.mean(dim=-1), torch.zeros(1, 10), atol=1e-5)
        variance = hidden.var(dim=-1, correction=0)
        assert torch.allclose(variance, torch.ones(1, 10), atol=1e-4)
