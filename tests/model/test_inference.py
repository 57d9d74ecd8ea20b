"""Prepacked layers give the same, only in a hurry, and leave no trace."""

import pytest
import torch
from torch import nn

from bertcore import Bert
from bertcore.model.inference import prepacked
from tests.conftest import fill_with_large_weights, tiny_config

IDS = torch.arange(5, 26).reshape(3, 7)


def bert() -> Bert:
    model = Bert(tiny_config()).eval()
    fill_with_large_weights(model)
    return model


@torch.inference_mode()
def test_the_same_states() -> None:
    model = bert()
    expected = model(IDS)
    with prepacked(model) as ready:
        assert ready == torch.backends.mkldnn.is_available()
        found = model(IDS)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(model(IDS), expected)  # and nothing is left of it


@torch.inference_mode()
def test_without_bias_and_for_any_leading_axes() -> None:
    layer = nn.Linear(6, 4, bias=False)
    hidden = torch.randn(2, 3, 5, 6)
    expected = layer(hidden)
    with prepacked(layer):
        assert torch.allclose(layer(hidden), expected, atol=1e-6)
        assert layer(hidden[0, 0]).shape == (5, 4)


@torch.inference_mode()
def test_numbers_of_rows_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN keeps code for each; a stream of texts has hundreds."""
    layer, seen = nn.Linear(6, 4), set()
    with prepacked(layer) as ready:
        product = torch.ops.mkldnn._linear_pointwise

        def watched(hidden: torch.Tensor, *more: object) -> torch.Tensor:
            seen.add(len(hidden))
            return product(hidden, *more)

        monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", watched)
        for rows in range(1, 200):
            assert layer(torch.randn(rows, 6)).shape == (rows, 4)
    assert not ready or len(seen) == 7


def test_weights_that_change_later_are_used() -> None:
    layer = nn.Linear(6, 4)
    with prepacked(layer):
        pass
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        with prepacked(layer):
            assert not layer(torch.randn(2, 6)).any()


def test_layers_are_as_they_were_after_an_error() -> None:
    layer = nn.Linear(6, 4)
    with pytest.raises(RuntimeError, match="on the way"), prepacked(layer):
        raise RuntimeError("on the way")
    assert "forward" not in vars(layer)
    assert layer(torch.randn(2, 6)).requires_grad


@pytest.mark.parametrize("number", [torch.float64, torch.bfloat16])
def test_other_types_stay_as_they_are(number: torch.dtype) -> None:
    layer = nn.Linear(6, 4).to(number)
    with prepacked(layer) as ready:
        assert not ready
        assert layer(torch.randn(2, 6, dtype=number)).dtype == number


def test_a_pytorch_without_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    layer = nn.Linear(6, 4)
    with prepacked(layer) as ready:
        assert not ready
        assert layer(torch.randn(2, 6)).shape == (2, 4)
