"""Changes: layers in the place of BERT's, against torch's own and a formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import BertForMaskedLM
from bertcore.book.checks import assert_same
from bertcore.model.encoder import EncoderLayer
from bertcore.model.variants.parts import (
    FinalNorm,
    PreNormLayer,
    with_layers,
)
from tests.conftest import fill_with_large_weights, tiny_config

CONFIG = tiny_config()


class Masked(nn.Module):
    """Our layer, told as torch's is: what is missing, not what may be seen."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, missing: Tensor) -> Tensor:
        return self.layer(hidden, ~missing[:, None, None])


def torchs(layer: PreNormLayer, hidden: Tensor, missing: Tensor) -> Tensor:
    """torch's layer, norm first, with our layer's weights."""
    parts = layer.attention
    projections = parts.query, parts.key, parts.value
    weights = {
        "self_attn.in_proj_weight": torch.cat([part.weight for part in projections]),
        "self_attn.in_proj_bias": torch.cat([part.bias for part in projections]),
    }
    for theirs, module in (
        ("self_attn.out_proj", parts.output),
        ("linear1", layer.feedforward.widen),
        ("linear2", layer.feedforward.narrow),
        ("norm1", layer.attention_norm),
        ("norm2", layer.feedforward_norm),
    ):
        weights |= {f"{theirs}.{name}": p for name, p in module.named_parameters()}
    torch_layer = nn.TransformerEncoderLayer(
        CONFIG.hidden_size,
        CONFIG.heads,
        CONFIG.feedforward_size,
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=CONFIG.layer_norm_eps,
        batch_first=True,
        norm_first=True,
    )
    arguments = {"src_key_padding_mask": missing}
    return torch.func.functional_call(torch_layer, weights, (hidden,), arguments)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(2, 7, CONFIG.hidden_size)


@pytest.fixture
def missing() -> Tensor:
    """The second text is two tokens shorter."""
    return torch.tensor([[False] * 7, [False] * 5 + [True] * 2])


def test_norm_first_is_torchs(hidden: Tensor, missing: Tensor) -> None:
    """In outputs and in the gradients of every parameter and of the input."""
    layer = PreNormLayer(CONFIG)
    fill_with_large_weights(layer)
    same = assert_same(
        lambda hidden, missing: torchs(layer, hidden, missing),
        Masked(layer),
        hidden,
        missing,
        where=~missing,
    )
    assert same.gradients == len(list(layer.parameters())) + 1


def test_norm_last_is_another_function(hidden: Tensor, missing: Tensor) -> None:
    """Though it has the same parameters."""
    last, first = EncoderLayer(CONFIG).eval(), PreNormLayer(CONFIG).eval()
    first.load_state_dict(last.state_dict())
    allowed = ~missing[:, None, None]
    assert (first(hidden, allowed) - last(hidden, allowed)).abs().max() > 0.1


@pytest.mark.parametrize("layer", [PreNormLayer, FinalNorm])
def test_shapes_and_what_may_be_seen(layer, hidden: Tensor, missing: Tensor) -> None:
    """What is hidden changes nothing in what is not."""
    network = Masked(layer(CONFIG)).eval()
    found = network(hidden, missing)
    assert found.shape == hidden.shape
    changed = hidden + 5.0 * missing[..., None]
    torch.testing.assert_close(network(changed, missing)[~missing], found[~missing])
    assert network.layer(hidden).shape == hidden.shape


def test_dropout_is_off_in_evaluation_and_on_in_training(hidden: Tensor) -> None:
    layer = PreNormLayer(tiny_config(dropout=0.5, attention_dropout=0.0))
    assert not torch.equal(layer(hidden), layer(hidden))
    layer.eval()
    assert torch.equal(layer(hidden), layer(hidden))


def test_other_layers_in_a_model() -> None:
    """Their starting weights are BERT's, and every parameter learns."""
    config = tiny_config(initializer_range=0.05, dropout=0.0)
    model = with_layers(config, PreNormLayer, FinalNorm)
    assert isinstance(model, BertForMaskedLM)
    encoder = model.bert.encoder
    kinds = [type(layer) for layer in encoder.layers]
    assert kinds == [PreNormLayer, PreNormLayer, FinalNorm]
    linear = [p for n, p in encoder.named_parameters() if p.dim() == 2]
    spread = torch.cat([weight.flatten() for weight in linear]).std()
    assert spread.item() == pytest.approx(0.05 * 0.88, rel=0.15)
    assert not any(p.any() for n, p in encoder.named_parameters() if "bias" in n)
    ids = torch.randint(5, 53, (2, 7))
    mask = torch.ones_like(ids)
    F.cross_entropy(model(ids, None, mask).flatten(0, 1), ids.flatten()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_last_norm_is_a_norm(hidden: Tensor) -> None:
    found = FinalNorm(CONFIG)(7 * hidden + 3)
    width = CONFIG.hidden_size
    expected = F.layer_norm(7 * hidden + 3, (width,), eps=CONFIG.layer_norm_eps)
    assert torch.equal(found, expected)
