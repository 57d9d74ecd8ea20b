"""Attention equals the official ones; its maps let through what they should."""

import math

import pytest
import torch
import torch.nn.functional as F
import transformers
from einops import rearrange
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertAttention

from bertcore import Bert, BertForMaskedLM
from bertcore.book.checks import assert_same
from bertcore.model.attention import Attention, attention_map, causal_map
from bertcore.model.embeddings import Embeddings
from bertcore.model.inference import attention_weights, layer_states
from bertcore.model.published import published_name
from tests.conftest import fill_with_large_weights, tiny_config

HEADS = pytest.mark.parametrize("heads", [1, 2, 3, 4, 8, 24])
LENGTHS = torch.tensor([7, 4, 1])
MASK = (torch.arange(7) < LENGTHS[:, None]).long()


def states(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Projected(nn.Module):
    """The library's attention up to its output matrix, as ours ends there."""

    def __init__(self, heads: int, kind: str) -> None:
        super().__init__()
        config = transformers.BertConfig(
            **tiny_config(heads=heads).to_dict(), attn_implementation=kind
        )
        self.kind, self.attention = kind, BertAttention(config)
        fill_with_large_weights(self)

    def forward(self, hidden: Tensor, allowed: Tensor | None) -> Tensor:
        mask = allowed
        if allowed is not None and self.kind == "eager":
            lowest = torch.finfo(hidden.dtype).min
            mask = torch.zeros_like(allowed, dtype=hidden.dtype)
            mask = mask.masked_fill(~allowed, lowest)
        mixed = self.attention.self(hidden, attention_mask=mask)[0]
        return self.attention.output.dense(mixed)


def their_name(ours: str) -> str:
    part, kind = ours.split(".")
    where = "output.dense" if part == "output" else f"self.{part}"
    return f"attention.{where}.{kind}"


@HEADS
@pytest.mark.parametrize("kind", ["eager", "sdpa"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("kind_of_number", "forward", "backward"),
    [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-10, 1e-10)],
    ids=["float32", "float64"],
)
def test_equals_transformers(
    heads: int,
    kind: str,
    masked: bool,
    kind_of_number: torch.dtype,
    forward: float,
    backward: float,
) -> None:
    same = assert_same(
        Attention(tiny_config(heads=heads)).to(kind_of_number),
        Projected(heads, kind).to(kind_of_number),
        states(3, 7, 24).to(kind_of_number),
        attention_map(MASK) if masked else None,
        names=their_name,
        forward=forward,
        backward=backward,
    )
    assert same.gradients == 9  # four matrices, four biases, the input


@HEADS
def test_cross_attention_equals_torch(heads: int) -> None:
    """Ours against nn.MultiheadAttention, which packs its three matrices into one."""
    ours = Attention(tiny_config(heads=heads)).double().eval()
    theirs = nn.MultiheadAttention(24, heads, batch_first=True).double()
    parts = [ours.query, ours.key, ours.value]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    asking, asked = states(3, 5, 24).double(), states(3, 7, 24, seed=1).double()
    allowed = rearrange(MASK.bool(), "b k -> b 1 1 k")
    output, weights = theirs(
        asking, asked, asked, key_padding_mask=MASK == 0, average_attn_weights=False
    )
    assert torch.allclose(ours(asking, allowed, asked), output, atol=1e-12)
    assert torch.allclose(ours.weights(asking, allowed, asked), weights, atol=1e-12)
    assert torch.equal(ours(asking), ours(asking, source=asking))


@pytest.mark.parametrize("number", [torch.float32, torch.float64])
def test_embeddings_equal_transformers(number: torch.dtype) -> None:
    config = tiny_config()
    theirs = transformers.BertModel(transformers.BertConfig(**config.to_dict()))
    fill_with_large_weights(theirs)
    ids = torch.randint(1, 53, (3, 7), generator=torch.Generator().manual_seed(0))
    small = number == torch.float64
    same = assert_same(
        Embeddings(config).to(number),
        theirs.embeddings.to(number),
        ids,
        (ids % 2),
        torch.arange(7).flip(0).expand(3, 7),
        names=lambda name: published_name(f"bert.embeddings.{name}").removeprefix(
            "bert.embeddings."
        ),
        forward=1e-10 if small else 1e-5,
        backward=1e-10 if small else 1e-4,
    )
    assert same.gradients == 5


def test_a_map_of_padding() -> None:
    found = attention_map(torch.tensor([[1, 1, 0]]))
    assert found.shape == (1, 1, 3, 3)
    assert found[0, 0].tolist() == [[True, True, False]] * 3


def test_a_map_of_a_packed_row() -> None:
    found = attention_map(torch.tensor([[1, 1, 2, 0]]))[0, 0].int().tolist()
    assert found == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0]]


def test_a_map_given_and_none() -> None:
    given = torch.eye(3)[None].repeat(2, 1, 1)
    assert torch.equal(attention_map(given)[:, 0], given.bool())
    assert attention_map(None) is None


def test_a_causal_map_combines() -> None:
    assert causal_map(3)[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    both = attention_map(torch.tensor([[1, 1, 2, 2]])) & causal_map(4)
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    assert both[0, 0].int().tolist() == expected


@pytest.mark.parametrize("mask", [[[1, 0, 0], [1, 1, 1]], [[1, 2, 0], [1, 1, 2]]])
def test_no_query_is_left_without_a_key(mask: list[list[int]]) -> None:
    found = attention_map(torch.tensor(mask))
    assert found.any(dim=-1).all()


def test_weights_fall_where_transformers_has_them(real_bert, real_tokenizer) -> None:
    batch = real_tokenizer(["The dog bit the man.", "It slept."])
    folder = real_bert.config.to_dict()
    theirs = transformers.BertModel(
        transformers.BertConfig(**folder, attn_implementation="eager")
    ).eval()
    theirs.load_state_dict(
        {
            published_name(n).removeprefix("bert."): p
            for n, p in real_bert.named_parameters()
        }
    )
    with torch.no_grad():
        expected = theirs(**batch, output_attentions=True, output_hidden_states=True)
    found = attention_weights(real_bert, **batch)
    assert found.shape == (6, 2, 12, 8, 8)
    assert not found.requires_grad
    keep = batch["attention_mask"].bool()
    for ours, their in zip(found, expected.attentions, strict=True):
        ours, their = (rearrange(x, "b h q k -> b q h k")[keep] for x in (ours, their))
        assert torch.allclose(ours, their, atol=1e-5)
    layers = layer_states(real_bert, **batch)
    assert len(layers) == 7
    for ours, their in zip(layers, expected.hidden_states, strict=True):
        assert torch.allclose(ours[keep], their[keep], atol=1e-4)


def test_looking_inside_a_model_with_a_head() -> None:
    model = BertForMaskedLM(tiny_config()).eval()
    ids = torch.arange(6)[None]
    assert attention_weights(model, input_ids=ids).shape == (2, 1, 3, 6, 6)
    assert torch.equal(layer_states(model, input_ids=ids)[-1], model.bert(ids))
    model.train()
    layer_states(model, input_ids=ids)
    assert model.training, "looking must not change the mode"


def test_weights_keep_a_map_given_by_name() -> None:
    """Not that Bert does; but a layer of the reader's own may."""
    model = Bert(tiny_config()).eval()
    layer = model.encoder.layers[0]
    layer.forward = lambda hidden, allowed: layer.attention(hidden, allowed=allowed)
    weights = attention_weights(model, input_ids=torch.ones(1, 3).long(),
                                attention_mask=torch.tensor([[1, 1, 0]]))  # fmt: skip
    assert (weights[0, ..., 2] == 0).all()


def test_weights_of_hidden_keys_are_zero_whatever_the_scores() -> None:
    attention = Attention(tiny_config()).eval()
    with torch.no_grad():
        attention.query.bias.fill_(300.0)
        attention.key.bias.fill_(-300.0)  # every score is below -100,000
    allowed = attention_map(torch.tensor([[1, 1, 0]]))
    hidden = states(1, 3, 24)
    weights = attention.weights(hidden, allowed)
    assert (weights[..., 2] == 0).all() and torch.isfinite(weights).all()


def test_weights_in_half_precision_are_finite_where_their_scores_are() -> None:
    attention = Attention(tiny_config()).eval()
    with torch.no_grad():
        attention.query.bias.fill_(120.0)  # a product of 115,200, a score of 40,729
        attention.key.bias.fill_(120.0)
    assert torch.isfinite(attention.half().weights(states(1, 3, 24).half())).all()


def test_on_any_device() -> None:
    """Maps and positions are made where the ids are; meta knows if they are not."""
    assert causal_map(3, device="meta").device.type == "meta"
    with torch.device("meta"):
        model = Bert(tiny_config())
        ids, mask = torch.zeros(2, 5).long(), torch.ones(2, 5).long()
    assert model(ids, attention_mask=mask).device.type == "meta"


def test_segments_default_to_the_first() -> None:
    embeddings = Embeddings(tiny_config()).eval()
    ids = torch.arange(6)[None]
    assert torch.equal(embeddings(ids), embeddings(ids, torch.zeros_like(ids)))
    assert not torch.equal(embeddings(ids), embeddings(ids, torch.ones_like(ids)))


def test_looking_inside_leaves_nothing_behind(real_bert, real_tokenizer) -> None:
    batch = real_tokenizer(["one", "two three"])
    before = real_bert(**batch)
    attention_weights(real_bert, **batch)
    layer_states(real_bert, **batch)
    with pytest.raises(ValueError, match="input_ids has dtype"):
        layer_states(real_bert, input_ids=torch.zeros(1, 3))
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in real_bert.modules()]
    assert not any(hooks)
    assert torch.equal(real_bert(**batch), before)


def test_dropout_falls_on_the_weights() -> None:
    """Training drops whole tokens from a mixture, and scales up what stays."""
    config = tiny_config(heads=1, attention_dropout=0.5)
    attention = Attention(config).train()
    nn.init.eye_(attention.value.weight)
    nn.init.eye_(attention.output.weight)
    nn.init.zeros_(attention.value.bias)
    nn.init.zeros_(attention.output.bias)
    hidden = torch.eye(24)[None]  # each token hands over a feature of its own
    torch.manual_seed(0)
    kept = attention(hidden)[0]
    weights = attention.weights(hidden)[0, 0]
    dropped = kept == 0
    assert 0.4 < dropped.float().mean() < 0.6
    assert torch.allclose(kept[~dropped], 2 * weights[~dropped], atol=1e-6)


def test_a_wrong_scale_or_axis_is_seen() -> None:
    """The checks above mean something only if these two fail."""
    reference = Projected(3, "eager")

    class Wrong(Attention):
        scale, axis = 1.0, -1

        def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
            query, key, value = (
                self._split(part(hidden)) for part in (self.query, self.key, self.value)
            )
            scores = query @ key.transpose(-1, -2) / (self.scale * math.sqrt(8))
            if allowed is not None:
                scores = scores.masked_fill(~allowed, float("-inf"))
            mixed = F.softmax(scores, dim=self.axis) @ value
            return self.output(rearrange(mixed, "b h s d -> b s (h d)"))

    given = states(3, 7, 24), attention_map(MASK)
    right = Wrong(tiny_config())
    assert_same(right, reference, *given, names=their_name)
    for name, value in (("scale", 1.001), ("axis", -2)):
        wrong = Wrong(tiny_config())
        setattr(wrong, name, value)
        with pytest.raises(AssertionError, match="differs by up to"):
            assert_same(wrong, reference, *given, names=their_name)


def test_every_parameter_learns() -> None:
    """None is made inside `forward`, as in a much copied BERT."""
    bert = Bert(tiny_config(), pooler=False)
    ids = torch.arange(6)[None]
    attention = bert.encoder.layers[0].attention
    (bert(ids) * states(1, 6, 24)).sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad.any(), name
