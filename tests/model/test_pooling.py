"""One vector a text: what it is made of, what it leaves out, what it refuses."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn
from torch.autograd import grad
from transformers.models.bert.modeling_bert import BertPooler

from bertcore import BertForPreTraining
from bertcore.book.checks import assert_same
from bertcore.model.pooling import Pooler, cls_pool, max_pool, mean_pool
from tests.conftest import fill_with_large_weights, tiny_config

Pool = Callable[[Tensor, Tensor], Tensor]
POOLS = {"cls": cls_pool, "mean": mean_pool, "max": max_pool}
EACH = pytest.mark.parametrize("name", POOLS)
MASK = (torch.arange(7) < torch.tensor([7, 4, 1])[:, None]).long()
NUMBERS = pytest.mark.parametrize("number", [torch.float32, torch.float64])
quickly = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def states(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Theirs(nn.Module):
    """The pooling that sentence embeddings are published with."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pooling = Pooling(24, name)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        features = {"token_embeddings": hidden, "attention_mask": mask}
        return self.pooling(features)["sentence_embedding"]


def in_loops(name: str, hidden: Tensor, mask: Tensor) -> list[list[float]]:
    """Feature by feature, token by token."""
    vectors = []
    for text, kept in zip(hidden.tolist(), mask.tolist(), strict=True):
        tokens = [state for state, keep in zip(text, kept, strict=True) if keep]
        columns = list(zip(*tokens, strict=True))
        vector = {
            "cls": tokens[0],
            "mean": [sum(column) / len(tokens) for column in columns],
            "max": [max(column) for column in columns],
        }
        vectors.append(vector[name])
    return vectors


@EACH
def test_equals_loops(name: str) -> None:
    hidden = states(3, 7, 24).double()
    expected = torch.tensor(in_loops(name, hidden, MASK)).double()
    assert torch.allclose(POOLS[name](hidden, MASK), expected, atol=1e-6)


@EACH
@NUMBERS
def test_equals_sentence_transformers(name: str, number: torch.dtype) -> None:
    given = states(3, 7, 24).to(number), MASK
    small = number == torch.float64
    limits = dict(forward=1e-14, backward=1e-14) if small else {}
    assert assert_same(POOLS[name], Theirs(name), *given, **limits).gradients == 1


@pytest.mark.parametrize("pool", [mean_pool, cls_pool])
def test_another_pooling_is_seen(pool: Pool) -> None:
    with pytest.raises(AssertionError, match="differs by up to"):
        assert_same(pool, Theirs("max"), states(3, 7, 24), MASK)


def test_a_mean_over_padding_is_seen() -> None:
    def careless(hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden.mean(dim=1)

    assert_same(careless, Theirs("mean"), states(3, 7, 24), torch.ones_like(MASK))
    with pytest.raises(AssertionError, match="differs by up to"):
        assert_same(careless, Theirs("mean"), states(3, 7, 24), MASK)


def test_mean_pool_leaves_padding_out() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [99.0, 99.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert mean_pool(hidden, mask).tolist() == [[2.0, 4.0]]
    assert max_pool(hidden, mask).tolist() == [[3.0, 6.0]]
    assert cls_pool(hidden, mask).tolist() == [[1.0, 2.0]]


@EACH
@quickly
@given(seeds, st.integers(1, 6), st.integers(1, 4), st.floats(-1e3, 1e3))
def test_padding_changes_nothing(
    name: str, seed: int, length: int, padding: int, filler: float
) -> None:
    hidden = states(1, length, 24, seed=seed).double()
    padded = F.pad(hidden, (0, 0, 0, padding), value=filler)
    mask = torch.tensor([[1] * length + [0] * padding])
    expected = POOLS[name](hidden, mask[:, :length])
    assert torch.allclose(POOLS[name](padded, mask), expected, atol=1e-12)


@EACH
@quickly
@given(seeds, st.permutations(range(7)))
def test_order_of_the_tokens(name: str, seed: int, order: list[int]) -> None:
    """Mean and maximum cannot see it; the first token is another one."""
    hidden = states(3, 7, 24, seed=seed).double()
    whole, shuffled = torch.ones_like(MASK), hidden[:, order]
    if name != "cls":
        pairs = [(shuffled, whole, hidden, whole)]
        pairs += [(shuffled, MASK[:, order], hidden, MASK)]
        for new, new_mask, old, old_mask in pairs:
            found, expected = POOLS[name](new, new_mask), POOLS[name](old, old_mask)
            assert torch.allclose(found, expected, atol=1e-12)
    else:
        same = torch.equal(cls_pool(shuffled, whole), cls_pool(hidden, whole))
        assert same == (order[0] == 0)


@EACH
def test_padding_learns_nothing(name: str) -> None:
    hidden = states(3, 7, 24).requires_grad_()
    slope = grad(POOLS[name](hidden, MASK).square().sum(), hidden)[0]
    assert (slope[MASK == 0] == 0).all()
    if name == "mean":
        assert (slope[MASK == 1] != 0).all()
    if name == "max":
        assert ((slope != 0).sum(dim=1) == 1).all(), "one token a feature"
    if name == "cls":
        assert (slope[:, 0] != 0).all() and (slope[:, 1:] == 0).all()


def test_texts_do_not_mix() -> None:
    """The derivative of one text's vector by another's states is zero."""
    for pool in POOLS.values():
        hidden = states(3, 7, 24).requires_grad_()
        slope = grad(pool(hidden, MASK)[1].sum(), hidden)[0]
        assert (slope[[0, 2]] == 0).all() and slope[1].any()


@EACH
@pytest.mark.parametrize("number", [torch.float16, torch.bfloat16])
def test_half_precision(name: str, number: torch.dtype) -> None:
    hidden = states(3, 7, 24).to(number)
    found = POOLS[name](hidden, MASK)
    expected = POOLS[name](hidden.double(), MASK)
    assert found.dtype == number and torch.isfinite(found).all()
    if name == "mean":
        assert torch.allclose(found.double(), expected, rtol=0.02, atol=0.01)
    else:
        assert torch.equal(found.double(), expected)


@EACH
@pytest.mark.parametrize("kind", [torch.bool, torch.int32, torch.float32])
def test_a_mask_of_any_type(name: str, kind: torch.dtype) -> None:
    hidden = states(3, 7, 24)
    found = POOLS[name](hidden, MASK.to(kind))
    assert torch.equal(found, POOLS[name](hidden, MASK))


@EACH
@pytest.mark.parametrize(
    ("hidden", "mask", "message"),
    [
        (
            torch.zeros(2, 3, 4),
            torch.ones(2, 4),
            r"shape \(2, 4\) for states of \(2, 3, 4\); give states b s w and the mask",
        ),
        (torch.zeros(2, 3, 4), torch.ones(2, 3, 3), r"shape \(2, 3, 3\) for states"),
        (torch.zeros(2, 3, 4), torch.ones(1, 3), r"shape \(1, 3\) for states"),
        (torch.zeros(3, 4), torch.ones(3, 4), r"for states of \(3, 4\); give states b"),
        (
            torch.zeros(1, 3, 2),
            torch.tensor([[1, 1, 2]]),
            "several texts in a row.*unpack the states",
        ),
        (
            torch.zeros(2, 3, 4),
            torch.tensor([[1, 1, 0], [0, 0, 0]]),
            "text 1 has no token, so there is nothing to pool; leave it out",
        ),
        (torch.zeros(1, 0, 4), torch.ones(1, 0), "text 0 has no token"),
    ],
    ids=["length", "map", "batch", "one text", "packed", "only padding", "empty"],
)
def test_refused(name: str, hidden: Tensor, mask: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        POOLS[name](hidden, mask)


@EACH
def test_compiles_and_runs_where_values_are_not_looked_at(name: str) -> None:
    compiled = torch.compile(POOLS[name], fullgraph=True, backend="eager")
    hidden = states(3, 7, 24)
    assert torch.equal(compiled(hidden, MASK), POOLS[name](hidden, MASK))
    with torch.device("meta"):
        given = torch.zeros(3, 7, 24), torch.ones(3, 7)
    assert POOLS[name](*given).device.type == "meta"


@EACH
def test_what_stands_in_padding_does_not_count(name: str) -> None:
    hidden = states(3, 7, 24)
    expected = POOLS[name](hidden, MASK)
    hidden[MASK == 0] = torch.nan
    assert torch.equal(POOLS[name](hidden, MASK), expected)


@EACH
def test_padding_on_the_left(name: str) -> None:
    assert_same(POOLS[name], Theirs(name), states(3, 7, 24), MASK.flip(1))


@pytest.mark.parametrize(
    ("number", "size", "limit"),
    [(torch.float16, 200, 0.125), (torch.bfloat16, 1, 0.004)],
)
def test_mean_in_half_precision_of_long_texts(
    number: torch.dtype, size: float, limit: float
) -> None:
    """Within a rounding of the result, though float16 ends before 509 times 200."""
    hidden = (size * (states(1, 509, 24) / 9 + 1)).to(number)
    found = mean_pool(hidden, torch.ones(1, 509).long())
    expected = hidden.double().mean(dim=1)
    assert (found.double() - expected).abs().max() <= limit


@EACH
@pytest.mark.parametrize(
    "mask",
    [
        torch.tensor([[0, 0, -10000]]),  # the numbers that are added to the scores
        torch.tensor([[1, 1, -1]]),
        torch.tensor([[1, 0.5, 0]]),
        [[1, 1, 0]],
    ],
    ids=["added", "negative", "fraction", "list"],
)
def test_refused_as_bert_refuses_it(name: str, mask: Tensor) -> None:
    with pytest.raises(ValueError, match="attention_mask"):
        POOLS[name](states(1, 3, 24), mask)


# BERT's own pooler.


@NUMBERS
def test_pooler_equals_transformers(number: torch.dtype) -> None:
    config = tiny_config()
    theirs = BertPooler(transformers.BertConfig(**config.to_dict()))
    fill_with_large_weights(theirs)
    small = number == torch.float64
    same = assert_same(
        Pooler(config).to(number),
        theirs.to(number),
        states(3, 7, 24).to(number),
        forward=1e-10 if small else 1e-5,
        backward=1e-10 if small else 1e-4,
    )
    assert same.gradients == 3  # matrix, bias, states


@quickly
@given(seeds, st.floats(0, 3))
def test_pooler_is_bounded_and_sees_the_first_position(seed: int, size: float) -> None:
    pooler = Pooler(tiny_config()).double()
    fill_with_large_weights(pooler)
    hidden = size * states(3, 7, 24, seed=seed).double()
    others = size * states(3, 7, 24, seed=seed + 1).double()
    others[:, 0] = hidden[:, 0]
    pooled = pooler(hidden)
    assert pooled.shape == (3, 24) and (pooled.abs() < 1).all()
    assert torch.equal(pooler(others), pooled)


def test_pooler_sends_no_gradient_to_other_positions() -> None:
    hidden = states(3, 7, 24).requires_grad_()
    slope = grad(Pooler(tiny_config())(hidden).sum(), hidden)[0]
    assert slope[:, 0].any() and not slope[:, 1:].any()


@pytest.mark.parametrize("both", [False, True])
def test_only_next_sentence_trains_the_pooler(
    both: bool, batch: dict[str, Tensor]
) -> None:
    model = BertForPreTraining(tiny_config())
    pieces, follows = model(**batch)
    loss = F.cross_entropy(pieces.transpose(1, 2), batch["input_ids"])
    if both:
        loss = loss + F.cross_entropy(follows, torch.tensor([0, 1, 1]))
    loss.backward()
    assert all(
        bool(parameter.grad is not None and parameter.grad.any()) == both
        for part in (model.bert.pooler, model.nsp_head)
        for parameter in part.parameters()
    )
