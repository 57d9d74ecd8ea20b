"""A layer equals the official ones; its norm and its feed-forward keep their word."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import grad, gradcheck
from torch.func import functional_call
from transformers.models.bert.modeling_bert import BertEncoder, BertLayer

from bertcore.book.checks import assert_same
from bertcore.model.attention import attention_map, causal_map
from bertcore.model.config import BertConfig
from bertcore.model.encoder import Encoder, EncoderLayer
from bertcore.model.feedforward import FeedForward
from bertcore.model.published import published_name
from tests.conftest import fill_with_large_weights, tiny_config

MASK = (torch.arange(7) < torch.tensor([7, 4, 1])[:, None]).long()
NUMBERS = pytest.mark.parametrize(
    ("number", "forward", "backward"),
    [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-10, 1e-10)],
    ids=["float32", "float64"],
)
KINDS = pytest.mark.parametrize("kind", ["eager", "sdpa"])
GELUS = pytest.mark.parametrize("gelu", ["none", "tanh"])
quickly = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
orders = st.permutations(range(7))


def states(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(part: nn.Module) -> Any:
    """With large weights, in double precision, ready to be asked."""
    fill_with_large_weights(part)
    return part.double().eval()


class Library(nn.Module):
    """One layer or all of the library's; it wants the map in a form of its own."""

    def __init__(self, config: BertConfig, kind: str, whole: bool = False) -> None:
        super().__init__()
        published = transformers.BertConfig(
            **config.to_dict(), attn_implementation=kind
        )
        self.kind = kind
        self.part = (BertEncoder if whole else BertLayer)(published)
        fill_with_large_weights(self)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        if allowed is not None and self.kind == "eager":
            lowest = torch.finfo(hidden.dtype).min
            allowed = torch.zeros_like(allowed, dtype=hidden.dtype).masked_fill(
                ~allowed, lowest
            )
        found = self.part(hidden, allowed)
        return found if isinstance(found, Tensor) else found.last_hidden_state


def of_a_layer(ours: str) -> str:
    theirs = published_name(f"encoder.layers.0.{ours}")
    return "part." + theirs.removeprefix("encoder.layer.0.")


def of_the_encoder(ours: str) -> str:
    return "part." + published_name(f"encoder.{ours}").removeprefix("encoder.")


@NUMBERS
@KINDS
@GELUS
@pytest.mark.parametrize("heads", [1, 2, 3, 8])
@pytest.mark.parametrize("masked", [False, True])
def test_layer_equals_transformers(
    heads: int,
    gelu: str,
    kind: str,
    masked: bool,
    number: torch.dtype,
    forward: float,
    backward: float,
) -> None:
    """At every position, padding too: both let it look at the text."""
    config = tiny_config(heads=heads, gelu=gelu)
    same = assert_same(
        EncoderLayer(config).to(number),
        Library(config, kind).to(number),
        states(3, 7, 24).to(number),
        attention_map(MASK) if masked else None,
        names=of_a_layer,
        forward=forward,
        backward=backward,
    )
    assert same.gradients == 17  # six matrices with biases, two norms, the input


@NUMBERS
@KINDS
@pytest.mark.parametrize("looking", ["padded", "packed", "back"])
def test_encoder_equals_transformers(
    looking: str, kind: str, number: torch.dtype, forward: float, backward: float
) -> None:
    """The library's encoder takes our maps of packed rows and of looking back."""
    allowed = {
        "padded": attention_map(MASK),
        "packed": attention_map(torch.tensor([[1, 1, 1, 2, 2, 3, 0]] * 3)),
        "back": causal_map(7).expand(3, 1, 7, 7),
    }[looking]
    config = tiny_config(layers=3)
    same = assert_same(
        Encoder(config).to(number),
        Library(config, kind, whole=True).to(number),
        states(3, 7, 24).to(number),
        allowed,
        names=of_the_encoder,
        forward=forward,
        backward=backward,
    )
    assert same.gradients == 3 * 16 + 1


class Torch(nn.Module):
    """torch's own layers, norm last; padding is True in their mask."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        tanh = partial(F.gelu, approximate="tanh")
        activation = "gelu" if config.gelu == "none" else tanh
        layer = nn.TransformerEncoderLayer(
            config.hidden_size,
            config.heads,
            config.feedforward_size,
            activation=activation,
            layer_norm_eps=config.layer_norm_eps,
            batch_first=True,
            norm_first=False,
        )
        self.encoder = nn.TransformerEncoder(
            layer, config.layers, enable_nested_tensor=False
        )
        fill_with_large_weights(self)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return self.encoder(hidden, src_key_padding_mask=mask == 0)

    def in_our_names(self) -> Iterator[tuple[str, Tensor]]:
        """Their parameters; queries', keys' and values' are one matrix there."""
        for number, layer in enumerate(self.encoder.layers):
            for kind in ("weight", "bias"):
                packed = getattr(layer.self_attn, f"in_proj_{kind}").chunk(3)
                parts = dict(zip(("query", "key", "value"), packed, strict=True))
                parts["output"] = getattr(layer.self_attn.out_proj, kind)
                named = {f"attention.{part}": value for part, value in parts.items()}
                named["attention_norm"] = getattr(layer.norm1, kind)
                named["feedforward.widen"] = getattr(layer.linear1, kind)
                named["feedforward.narrow"] = getattr(layer.linear2, kind)
                named["feedforward_norm"] = getattr(layer.norm2, kind)
                for part, value in named.items():
                    yield f"layers.{number}.{part}.{kind}", value


@GELUS
@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (1, 3), (2, 8), (12, 2)])
@NUMBERS
def test_equals_torch(
    layers: int,
    heads: int,
    gelu: str,
    number: torch.dtype,
    forward: float,
    backward: float,
) -> None:
    config = tiny_config(layers=layers, heads=heads, gelu=gelu)
    theirs, ours = Torch(config).to(number), Encoder(config).to(number).eval()

    def mine(hidden: Tensor, mask: Tensor) -> Tensor:
        weights = dict(theirs.in_our_names())
        assert weights.keys() == dict(ours.named_parameters()).keys()
        return functional_call(ours, weights, (hidden, attention_map(mask)))

    same = assert_same(
        mine,
        theirs,
        states(3, 7, 24).to(number),
        MASK,
        forward=forward,
        backward=backward,
    )
    assert same.gradients == 12 * layers + 1


# Gradients against finite differences, which know no rule of derivation.

SMALL = tiny_config(hidden_size=6, heads=2, feedforward_size=10)


def slopes(function: Callable[..., Tensor], *given: Tensor) -> bool:
    return gradcheck(function, [x.double().requires_grad_() for x in given])


def slopes_of_module(module: nn.Module, *given: Tensor) -> bool:
    """The derivative by every parameter and by the states."""
    names, values = zip(*filled(module).named_parameters(), strict=True)

    def run(hidden: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        return functional_call(module, named, (hidden, *given[1:]))

    return slopes(run, given[0], *(value.detach() for value in values))


@GELUS
def test_slope_of_gelu(gelu: str) -> None:
    """Far out on both sides, at 0, and at its lowest point, about -0.75."""
    places = torch.cat([torch.linspace(-9, 9, 73), torch.tensor([-0.7518, 0.0])])
    assert slopes(lambda x: F.gelu(x, approximate=gelu), places)


@GELUS
def test_slopes_of_feedforward(gelu: str) -> None:
    assert slopes_of_module(FeedForward(SMALL.replace(gelu=gelu)), states(2, 4, 6))


@GELUS
def test_slopes_of_a_layer(gelu: str) -> None:
    allowed = attention_map(torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]))
    layer = EncoderLayer(SMALL.replace(gelu=gelu))
    assert slopes_of_module(layer, states(2, 4, 6), allowed)


def layer_norm(x: Tensor, gain: Tensor, bias: Tensor, fixed: str = "") -> Tensor:
    """By its formula; statistics named in `fixed` are taken for constants."""
    mean = x.mean(dim=-1, keepdim=True)
    mean = mean.detach() if "mean" in fixed else mean
    sigma = ((x - mean).square().mean(dim=-1, keepdim=True) + 1e-12).sqrt()
    sigma = sigma.detach() if "sigma" in fixed else sigma
    return (x - mean) / sigma * gain + bias


def layer_norm_backward(x: Tensor, gain: Tensor, outer: Tensor) -> Tensor:
    """Derived by hand: what is left of g without its mean and its part along x̂."""
    sigma = (x.var(dim=-1, keepdim=True, correction=0) + 1e-12).sqrt()
    normed = (x - x.mean(dim=-1, keepdim=True)) / sigma
    g = outer * gain
    along = normed * (g * normed).mean(dim=-1, keepdim=True)
    return (g - g.mean(dim=-1, keepdim=True) - along) / sigma


def central_differences(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The derivative of a number by each entry of x, one at a time."""
    steps = 1e-5 * torch.eye(x.numel(), dtype=x.dtype).unflatten(1, x.shape)
    return torch.stack(
        [(function(x + step) - function(x - step)) / 2e-5 for step in steps]
    ).view_as(x)


def norm_at_a_place() -> tuple[nn.LayerNorm, Tensor, Tensor]:
    norm = filled(nn.Sequential(nn.LayerNorm(6, eps=1e-12)))[0]
    norm.weight.data += 1
    return norm, 3 * states(4, 6).double() + 1, states(4, 6, seed=1).double()


def test_slope_of_layer_norm_by_hand_by_torch_and_by_differences() -> None:
    norm, x, outer = norm_at_a_place()
    x.requires_grad_()
    by_torch = grad((norm(x) * outer).sum(), x)[0]
    by_formula = grad((layer_norm(x, norm.weight, norm.bias) * outer).sum(), x)[0]
    by_hand = layer_norm_backward(x, norm.weight, outer)
    with torch.no_grad():
        measured = central_differences(lambda x: (norm(x) * outer).sum(), x)
    for found in (by_torch, by_formula, by_hand):
        assert torch.allclose(found, measured, atol=1e-8)
    assert slopes(lambda *given: F.layer_norm(given[0], (6,), *given[1:]), x.detach(),
                  norm.weight.detach(), norm.bias.detach())  # fmt: skip


@pytest.mark.parametrize("fixed", ["mean sigma", "mean", "sigma"])
def test_fixed_statistics_show_in_the_slope_alone(fixed: str) -> None:
    """A norm whose mean or deviation is detached is right forwards, to the last bit."""
    norm, x, _ = norm_at_a_place()

    def detached(x: Tensor) -> Tensor:
        return layer_norm(x, norm.weight, norm.bias, fixed)

    assert torch.equal(detached(x), layer_norm(x, norm.weight, norm.bias))
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        slopes(detached, x)
    with pytest.raises(AssertionError, match="input 0 differs.*the outputs agree"):
        assert_same(detached, norm, x)


def test_slope_of_layer_norm_has_no_part_along_a_shift_or_a_scale() -> None:
    norm, x, outer = norm_at_a_place()
    slope = layer_norm_backward(x, norm.weight, outer)
    centred = x - x.mean(dim=-1, keepdim=True)
    assert slope.sum(dim=-1).abs().max() < 1e-12
    assert (slope * centred).sum(dim=-1).abs().max() < 1e-9


# What must hold on any states.

FEEDFORWARD = filled(FeedForward(tiny_config()))
LAYER = filled(EncoderLayer(tiny_config()))
NORM = LAYER.attention_norm
for parameter in (*FEEDFORWARD.parameters(), *LAYER.parameters()):
    parameter.requires_grad_(False)


def doubles(*shape: int, seed: int) -> Tensor:
    return states(*shape, seed=seed).double()


def near(found: Tensor, expected: Tensor, limit: float = 1e-9) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=limit)


@quickly
@given(seeds, orders, st.permutations(range(3)))
def test_feedforward_commutes_with_shuffles(seed: int, order, texts) -> None:
    hidden = doubles(3, 7, 24, seed=seed)
    expected = FEEDFORWARD(hidden)
    assert near(FEEDFORWARD(hidden[:, order]), expected[:, order])
    assert near(FEEDFORWARD(hidden[texts]), expected[texts])


@quickly
@given(seeds, st.integers(0, 2), st.integers(0, 6))
def test_feedforward_sees_one_token(seed: int, text: int, place: int) -> None:
    hidden = doubles(3, 7, 24, seed=seed)
    others = doubles(3, 7, 24, seed=seed + 1)
    others[text, place] = hidden[text, place]
    found, expected = FEEDFORWARD(others), FEEDFORWARD(hidden)
    same = (found - expected).abs().amax(dim=-1) < 1e-9
    assert same.nonzero().tolist() == [[text, place]]
    alone = FEEDFORWARD(hidden[text, place][None, None])
    assert near(alone[0, 0], expected[text, place])


@quickly
@given(seeds, st.floats(-50, 50), st.floats(0.1, 50))
def test_layer_norm_forgets_shift_and_scale(
    seed: int, shift: float, scale: float
) -> None:
    """Of one token, whatever the others are."""
    hidden = doubles(2, 7, 24, seed=seed)
    changed = hidden.clone()
    changed[1, 3] = scale * hidden[1, 3] + shift
    assert near(NORM(changed), NORM(hidden))


@quickly
@given(seeds, st.floats(-50, 50), st.floats(0.1, 50))
def test_mean_and_variance_of_each_token(seed: int, shift: float, scale: float) -> None:
    fresh = EncoderLayer(tiny_config()).double().feedforward_norm
    normed = fresh(scale * doubles(2, 7, 24, seed=seed) + shift)
    assert near(normed.mean(dim=-1), torch.zeros(2, 7).double())
    assert near(normed.var(dim=-1, correction=0), torch.ones(2, 7).double())


@quickly
@given(seeds, st.integers(0, 6), st.integers(0, 23))
def test_a_bumped_feature_moves_all_of_its_token(
    seed: int, place: int, feature: int
) -> None:
    hidden = doubles(2, 7, 24, seed=seed)
    bumped = hidden.clone()
    bumped[1, place, feature] += 0.5
    moved = NORM(bumped) != NORM(hidden)
    assert moved[1, place].all()
    assert moved.sum() == 24


@quickly
@given(seeds, orders)
def test_a_layer_commutes_with_a_shuffle(seed: int, order) -> None:
    hidden, mask = doubles(3, 7, 24, seed=seed), MASK[:, order]
    shuffled = LAYER(hidden[:, order], attention_map(mask))
    assert near(shuffled, LAYER(hidden, attention_map(MASK))[:, order])


@quickly
@given(seeds, st.integers(1, 6), st.integers(1, 4), st.floats(-1e3, 1e3))
def test_padding_changes_nothing(
    seed: int, length: int, padding: int, filler: float
) -> None:
    hidden = doubles(1, length, 24, seed=seed)
    padded = F.pad(hidden, (0, 0, 0, padding), value=filler)
    mask = torch.tensor([[1] * length + [0] * padding])
    assert near(LAYER(padded, attention_map(mask))[:, :length], LAYER(hidden))


@quickly
@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_packed_equals_padded(seed: int, lengths: list[int]) -> None:
    texts = [doubles(size, 24, seed=seed + i) for i, size in enumerate(lengths)]
    numbers = torch.arange(len(texts)) + 1
    row_mask = numbers.repeat_interleave(torch.tensor(lengths))
    row = LAYER(torch.cat(texts)[None], attention_map(row_mask[None]))
    in_rows = nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    assert near(row[0], LAYER(in_rows, attention_map(mask.long()))[mask])


def silent(*parts: str) -> EncoderLayer:
    """A layer in which these parts add nothing."""
    layer = filled(EncoderLayer(tiny_config(dropout=0.5)))
    with torch.no_grad():
        for part in parts:
            for parameter in layer.get_submodule(part).parameters():
                parameter.zero_()
    return layer


def test_without_its_parts_a_layer_is_two_norms() -> None:
    layer = silent("attention.output", "feedforward.narrow")
    hidden = doubles(3, 7, 24, seed=0)
    expected = layer.feedforward_norm(layer.attention_norm(hidden))
    assert torch.equal(layer(hidden), expected)
    assert torch.equal(layer.train()(hidden), expected), "nothing added, none dropped"


def test_with_all_dropped_a_layer_is_two_norms() -> None:
    layer = filled(EncoderLayer(tiny_config(dropout=1 - 1e-12))).train()
    hidden = doubles(3, 7, 24, seed=0)
    expected = layer.feedforward_norm(layer.attention_norm(hidden))
    assert torch.equal(layer(hidden), expected)
    assert not near(layer.eval()(hidden), expected, 0.1)


@pytest.mark.parametrize(
    ("silenced", "speaking"),
    [("feedforward.narrow", "attention"), ("attention.output", "feedforward")],
)
def test_dropout_falls_on_what_is_added(silenced: str, speaking: str) -> None:
    """When training, each feature that a part adds is dropped or doubled."""
    layer = silent(silenced).train()
    layer.attention_norm, layer.feedforward_norm = nn.Identity(), nn.Identity()
    layer.attention.dropout = 0.0
    hidden = doubles(8, 7, 24, seed=0)
    added = layer(hidden) - hidden
    whole = layer.get_submodule(speaking)(hidden)
    dropped = added.abs() < 1e-12
    assert 0.4 < dropped.double().mean() < 0.6
    assert near(added[~dropped], 2 * whole[~dropped])
    assert near(layer.eval()(hidden), hidden + whole)


# The comparisons above mean something only if they reject these.


class Wrong(EncoderLayer):
    """A layer that computes something else with the same parts."""

    def __init__(self, config: BertConfig, change: Callable[..., Tensor]) -> None:
        super().__init__(config)
        self.change = change

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        return self.change(self, hidden, allowed)


def with_norm(norm: Callable[[nn.LayerNorm, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The layer with another norm after the second sum."""

    def change(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
        hidden = layer.attention_norm(hidden + layer.attention(hidden, allowed))
        return norm(layer.feedforward_norm, hidden + layer.feedforward(hidden))

    return change


def by_statistics(dim: int = -1, correction: int = 0, detach: bool = False):
    def norm(own: nn.LayerNorm, x: Tensor) -> Tensor:
        mean = x.mean(dim=dim, keepdim=True)
        sigma = (x.var(dim=dim, keepdim=True, correction=correction) + own.eps).sqrt()
        mean, sigma = (mean.detach(), sigma.detach()) if detach else (mean, sigma)
        return (x - mean) / sigma * own.weight + own.bias

    return with_norm(norm)


def relu(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
    hidden = layer.attention_norm(hidden + layer.attention(hidden, allowed))
    inner = F.relu(layer.feedforward.widen(hidden))
    return layer.feedforward_norm(hidden + layer.feedforward.narrow(inner))


def no_residual(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
    hidden = layer.attention_norm(hidden + layer.attention(hidden, allowed))
    return layer.feedforward_norm(layer.feedforward(hidden))


def old_residual(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
    normed = layer.attention_norm(hidden + layer.attention(hidden, allowed))
    return layer.feedforward_norm(hidden + layer.feedforward(normed))


def pre_norm(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
    hidden = hidden + layer.attention(layer.attention_norm(hidden), allowed)
    return hidden + layer.feedforward(layer.feedforward_norm(hidden))


def one_norm(layer: EncoderLayer, hidden: Tensor, allowed: Tensor | None) -> Tensor:
    hidden = layer.attention_norm(hidden + layer.attention(hidden, allowed))
    return layer.attention_norm(hidden + layer.feedforward(hidden))


FAULTS = {
    "relu": relu,
    "no residual": no_residual,
    "residual from before the first norm": old_residual,
    "norm first": pre_norm,
    "one norm for both": one_norm,
    "a norm more": with_norm(lambda norm, x: F.layer_norm(norm(x), (24,), eps=1e-12)),
    "n - 1": by_statistics(correction=1),
    "norm over the sequence": by_statistics(dim=1),
    "norm over sequence and features": by_statistics(dim=(1, 2)),
}


def compare(layer: EncoderLayer, scale: float = 1.0) -> None:
    """With the library's layer, as above; both matrices and states times `scale`."""
    theirs = Library(tiny_config(), "eager")
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.mul_(1.0 if "LayerNorm" in name else scale)
    given = scale * states(3, 7, 24), attention_map(MASK)
    assert_same(layer, theirs, *given, names=of_a_layer)


def test_the_layer_written_out_is_right() -> None:
    compare(Wrong(tiny_config(), with_norm(lambda norm, x: norm(x))))
    compare(Wrong(tiny_config(), by_statistics()))


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen(change: Callable[..., Tensor]) -> None:
    with pytest.raises(AssertionError, match="output 0 differs by up to"):
        compare(Wrong(tiny_config(), change))


def test_the_other_gelu_is_seen() -> None:
    with pytest.raises(AssertionError, match="output 0 differs by up to"):
        compare(EncoderLayer(tiny_config(gelu="tanh")))


def test_a_wrong_epsilon_is_seen_where_states_are_small() -> None:
    compare(EncoderLayer(tiny_config()), scale=0.1)
    with pytest.raises(AssertionError, match="output 0 differs by up to"):
        compare(EncoderLayer(tiny_config(layer_norm_eps=1e-5)), scale=0.1)


def test_fixed_statistics_are_seen_by_the_gradient() -> None:
    with pytest.raises(AssertionError, match="gradient of .*though the outputs agree"):
        compare(Wrong(tiny_config(), by_statistics(detach=True)))


def test_a_norm_more_shows_only_on_weights_that_have_learned() -> None:
    """A norm of what is normed changes nothing while gains are 1 and biases 0."""
    norm = nn.LayerNorm(24, eps=1e-12).double()
    normed = norm(doubles(3, 7, 24, seed=0))
    assert near(norm(normed), normed)
    assert not near(NORM(NORM(normed)), NORM(normed), 0.1)


def test_gelu_forms_differ_by_less_than_a_thousandth() -> None:
    """So little that outputs of one small layer hardly show it; see conftest."""
    places = torch.linspace(-6, 6, 100_001).double()
    exact = places * (1 + torch.erf(places / math.sqrt(2))) / 2
    curved = math.sqrt(2 / math.pi) * (places + 0.044715 * places**3)
    approximate = places * (1 + torch.tanh(curved)) / 2
    assert near(F.gelu(places), exact, 1e-14)
    assert near(F.gelu(places, approximate="tanh"), approximate, 1e-14)
    assert 4.7e-4 < (exact - approximate).abs().max() < 4.8e-4
