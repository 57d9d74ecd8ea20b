"""Texts in one long row have the states that each has alone."""

import pytest
import torch

from bertcore import Bert
from bertcore.model.inference import fits_in_rows, row_states
from bertcore.model.variants.families import FAMILIES
from bertcore.model.variants.parts import PreNormLayer, with_layers
from tests.conftest import fill_with_large_weights, tiny_config

TEXTS = [[5, 6, 7, 8, 9, 10], [11, 12, 13], [5, 14, 7], [3, 4, 5], [6]]


def body(**changes: object) -> Bert:
    model = Bert(tiny_config(**changes), pooler=False).eval()
    fill_with_large_weights(model)
    return model


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("gelu", ["none", "tanh"])
@torch.inference_mode()
def test_a_row_gives_each_text_the_states_it_has_alone(layers: int, gelu: str) -> None:
    model = body(layers=layers, gelu=gelu)
    runs = row_states(model, TEXTS)
    assert [run.shape for run in runs] == [(1, 6, 24), (3, 3, 24), (1, 1, 24)]
    found = [states for run in runs for states in run]
    for text, states in zip(TEXTS, found, strict=True):
        alone = model(torch.tensor([text]))[0]
        assert torch.allclose(states, alone, atol=1e-5)


def test_only_layers_that_it_computes_itself() -> None:
    assert fits_in_rows(body())
    assert not fits_in_rows(with_layers(tiny_config(), PreNormLayer).bert)
    others = [family for name, family in FAMILIES.items() if name != "bert"]
    for family in others:
        config = family.config(vocab_size=53, hidden_size=24, layers=1, heads=3)
        assert not fits_in_rows(family.body(config))


@pytest.mark.parametrize(
    ("texts", "named"),
    [([[5] * 17], "position_ids holds 16"), ([[5, 53]], "input_ids holds 53")],
)
def test_ids_that_the_tables_do_not_have(texts: list[list[int]], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        row_states(body(), texts)
