"""assert_same passes what is the same and names what is not; points add up."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import bertcore
from bertcore.book.checks import assert_same, changed_lines, found, passed, report


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


class Louder(Norm):
    def forward(self, x: Tensor) -> Tensor:
        """Another docstring does not count, and neither does layout."""
        x = self.first(x)
        mean = x.mean(-1, keepdim=True)
        return x - 2 * mean


def test_changed_lines_are_those_of_the_code() -> None:
    found = changed_lines(Norm, Louder)
    assert found[-1] == "+return x - 2 * mean"
    assert [line for line in found if line[0] == "+"] == found[-1:]
    assert len(found) == 4 and not any("first" in line for line in found)
    assert changed_lines(Norm, Norm) == []
    with pytest.raises(ValueError, match=r"Louder has no method '__init__' of its own"):
        changed_lines(Norm, Louder, "__init__")


X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def test_the_same_is_the_same_and_weights_are_copied() -> None:
    mine, theirs = Norm(), Norm()
    before = mine.first.weight.clone()
    same = assert_same(mine, theirs, X)
    assert (same.outputs, same.gradients) == (1, 4)  # three parameters, the input
    assert same.output_difference == 0
    assert str(same).startswith("same: 1 output within 0e+00, 4 gradients")
    assert torch.equal(mine.first.weight, before)  # the caller's model is untouched


def test_wrong_backwards_is_caught_though_right_forwards() -> None:
    with pytest.raises(AssertionError, match="gradient of first.* outputs agree"):
        assert_same(Norm(detached=True), Norm(), X)


class BareNorm(nn.LayerNorm):
    """The same bug with nothing before it: only the input's gradient shows it."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True).detach()
        spread = x.var(-1, keepdim=True, unbiased=False).detach()
        return (x - mean) / (spread + self.eps).sqrt() * self.weight + self.bias


def test_gradients_of_inputs_are_compared() -> None:
    with pytest.raises(AssertionError, match="gradient of input 0 differs"):
        assert_same(BareNorm(6), nn.LayerNorm(6), X)
    assert assert_same(nn.GELU(), nn.GELU(), X).gradients == 1
    with pytest.raises(AssertionError, match="gradient of input"):
        assert_same(lambda input: nn.GELU()(input.detach()), nn.GELU(), input=X)


def test_a_parameter_that_mine_lacks_is_noticed() -> None:
    reference = nn.Linear(6, 6)
    nn.init.zeros_(reference.bias)
    with pytest.raises(AssertionError, match="learns bias, which mine lacks"):
        assert_same(nn.Linear(6, 6, bias=False), reference, X)


def test_parameters_that_nothing_uses_are_not_counted() -> None:
    class Idle(nn.Linear):
        def __init__(self) -> None:
            super().__init__(6, 6)
            self.idle = nn.Linear(2, 2)

    assert assert_same(Idle(), Idle(), X).gradients == 3  # weight, bias and input


def test_a_small_gradient_counts_beside_a_large_one() -> None:
    class Two(nn.Module):
        def __init__(self, fault: float) -> None:
            super().__init__()
            self.large = nn.Parameter(torch.ones(6))
            self.small = nn.Parameter(torch.zeros(6))
            self.fault = fault

        def forward(self, x: Tensor) -> Tensor:
            return x * self.large + 1e-5 * self.fault * x * self.small

    with pytest.raises(AssertionError, match="gradient of small"):
        assert_same(Two(0.5), Two(1.0), X)


def test_type_and_emptiness() -> None:
    linear = nn.Linear(6, 6)
    with pytest.raises(AssertionError, match="torch.float64"):
        assert_same(lambda x: linear(x).double(), linear, X)
    with pytest.raises(ValueError, match="nothing to compare"):
        assert_same(linear, linear, X, where=torch.zeros(4).bool())


def test_where_leaves_axes_of_classes_alone() -> None:
    linear = nn.Linear(6, 4)
    where = torch.eye(4).bool()
    with pytest.raises(AssertionError, match="output 0 differs"):
        assert_same(lambda x: linear(x) + (~where).float(), linear, X, where=where)


def test_outputs_are_matched_by_name() -> None:
    class Named(nn.Linear):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = super().forward(x)
            return {"p": y, "q": 2 * y}

    named = Named(6, 6)
    with pytest.raises(AssertionError, match="output 0 differs"):
        assert_same(lambda x: {"q": named(x)["p"], "p": named(x)["q"]}, named, X)


def test_wrong_forwards_is_caught() -> None:
    with pytest.raises(AssertionError, match="output 0 differs by up to"):
        assert_same(Norm(eps=1e-3), Norm(), X)


def test_shapes_and_counts() -> None:
    linear = nn.Linear(6, 6)
    with pytest.raises(AssertionError, match="2 outputs, the reference has 1"):
        assert_same(lambda x: (x, x), linear, X)
    with pytest.raises(AssertionError, match=r"output 0 is \(4,\) .* \(4, 6\)"):
        assert_same(lambda x: linear(x).sum(-1), linear, X)


def test_parameters_that_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="gain .* which has nothing of that name"):
        assert_same(Norm(), nn.Linear(6, 6), X)


def test_a_function_shares_the_parameters_of_the_reference() -> None:
    linear = nn.Linear(6, 3)
    same = assert_same(lambda x: x @ linear.weight.T + linear.bias, linear, X)
    assert same.gradients == 3
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


def test_points_add_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bertcore.book.checks._EARNED", {})
    assert repr(passed("1.4", 3)) == "1.4 passed, 3 points"
    assert repr(passed("1.1", 1)) == "1.1 passed, 1 point"
    passed("1.4", 3)
    passed("2.1", 5)  # of another chapter
    said = report("01-x", {"1.1": 1, "1.2": 2, "1.4": 3}, {"1.3": 2})
    assert repr(said).splitlines() == [
        "1.1 passed, 1 point",
        "1.2 not yet, 2 points: run its check",
        "1.3 to be read by a person, 2 points",
        "1.4 passed, 3 points",
        "4 of 6 points in code; written to points-01-x.json",
    ]
    written = json.loads((tmp_path / "points-01-x.json").read_text("utf8"))
    assert written["chapter"] == "01-x" and written["earned"] == {"1.1": 1, "1.4": 3}
    assert written["bertcore"] == bertcore.__version__ and written["date"]
    said = report("01-x", {"1.1": 1}, {}, optional={"1.4": 3, "1.5": 2})
    assert repr(said).splitlines() == [
        "1.1 passed, 1 point",
        "1.4 passed, 3 points: optional",
        "1.5 not tried, 2 points: optional",
        "1 of 1 point in code; written to points-01-x.json",
    ]
    written = json.loads((tmp_path / "points-01-x.json").read_text("utf8"))
    assert written["optional"] == {"1.4": 3} and written["earned"] == {"1.1": 1}


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (1.0, 1.1), (1, 2), ("a", "b"), (None, 0), ([1, (2.0,)], [1, (2.1,)]),
        ({"a": 1}, {"a": 2}), (torch.ones(2), torch.ones(3)),
        (torch.ones(2), torch.tensor([1.0, 1.1])), (torch.ones(1), 1.0),
        (torch.ones(2), torch.ones(2).bool()), (float("nan"), 1.0),
        (ValueError("a"), 1), (ValueError("a"), TypeError("a")),
    ],
)  # fmt: skip
def test_found(mine: object, other: object) -> None:
    def giving(value: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    assert str(found("1.2", giving, mine, other)).startswith("1.2 found: yours gives")
    for each in (mine, other):
        with pytest.raises(AssertionError, match="both give .*; try another call"):
            found("1.2", giving, each, each)


def test_found_wants_the_same_twice() -> None:
    with pytest.raises(AssertionError, match="and then"):
        found("1.2", lambda solution: object(), 1, 2)
    draw = found("1.2", lambda size: torch.rand(size), 1, 2)
    assert "1.2 found" in str(draw), "random numbers are the same each time"
