"""assert_same passes what is the same and names what is not."""

import pytest
import torch
from torch import Tensor, nn

from bertcore.book.checks import assert_same


class Norm(nn.Module):
    """LayerNorm by hand; a detached mean is right forwards and wrong backwards."""

    def __init__(self, detached: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(6))
        self.first = nn.Linear(6, 6)
        self.detached, self.eps = detached, eps

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        mean = x.mean(-1, keepdim=True)
        mean = mean.detach() if self.detached else mean
        spread = ((x - mean).square().mean(-1, keepdim=True) + self.eps).sqrt()
        return (x - mean) / spread * self.gain


X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def test_the_same_is_the_same_and_weights_are_copied() -> None:
    mine, theirs = Norm(), Norm()
    before = mine.first.weight.clone()
    same = assert_same(mine, theirs, X)
    assert (same.outputs, same.gradients) == (1, 3)
    assert same.output_difference == 0
    assert str(same).startswith("same: 1 output within 0e+00, 3 gradients")
    assert torch.equal(mine.first.weight, before)  # the caller's model is untouched


def test_wrong_backwards_is_caught_though_right_forwards() -> None:
    with pytest.raises(AssertionError, match="gradient of first.* outputs agree"):
        assert_same(Norm(detached=True), Norm(), X)


def test_wrong_forwards_is_caught() -> None:
    with pytest.raises(AssertionError, match="output 0 differs by up to"):
        assert_same(Norm(eps=1e-3), Norm(), X)


def test_shapes_and_counts() -> None:
    linear = nn.Linear(6, 6)
    with pytest.raises(AssertionError, match="2 outputs, the reference has 1"):
        assert_same(lambda x: (x, x), linear, X)
    with pytest.raises(AssertionError, match=r"output 0 is \(4,\), .* \(4, 6\)"):
        assert_same(lambda x: linear(x).sum(-1), linear, X)


def test_parameters_that_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="gain .* which has nothing of that name"):
        assert_same(Norm(), nn.Linear(6, 6), X)


def test_a_function_shares_the_parameters_of_the_reference() -> None:
    linear = nn.Linear(6, 3)
    same = assert_same(lambda x: x @ linear.weight.T + linear.bias, linear, X)
    assert same.gradients == 2
    with pytest.raises(AssertionError, match="gradient of bias differs"):
        assert_same(lambda x: x @ linear.weight.T + linear.bias.detach(), linear, X)


def test_not_a_number_is_never_the_same() -> None:
    linear = nn.Linear(6, 6)
    with pytest.raises(AssertionError, match="nan"):
        assert_same(lambda x: linear(x) * float("nan"), linear, X)


def test_dropout_is_off_and_training_mode_is_kept() -> None:
    mine = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)).train()
    theirs = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)).train()
    assert_same(mine, theirs, X)
    assert mine.training and theirs.training


def test_only_what_counts_is_compared() -> None:
    linear = nn.Linear(6, 6)
    where = torch.tensor([True, True, False, False])
    assert_same(lambda x: linear(x) * where[:, None], linear, X, where=where)
