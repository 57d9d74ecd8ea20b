"""What must hold for every BERT, on random shapes."""

import copy

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore import Bert
from bertcore.model.attention import Attention, attention_map
from tests.conftest import fill_with_large_weights, tiny_config

CONFIG = tiny_config()
BERT = Bert(CONFIG).eval()
with torch.no_grad():
    for parameter in BERT.parameters():
        parameter.mul_(5)

BLIND = copy.deepcopy(BERT)
with torch.no_grad():
    BLIND.embeddings.position.weight.zero_()

sequences = st.lists(st.integers(0, 52), min_size=1, max_size=12)
quickly = settings(max_examples=25, deadline=None, derandomize=True)


def run(ids: list[int], **more: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return BERT(torch.tensor([ids]), **more)[0]


@quickly
@given(sequences, st.integers(1, 4))
def test_padding_changes_nothing(ids: list[int], padding: int) -> None:
    mask = torch.tensor([[1] * len(ids) + [0] * padding])
    padded = run(ids + [0] * padding, attention_mask=mask)
    assert torch.allclose(padded[: len(ids)], run(ids), atol=1e-5)


@quickly
@given(st.lists(sequences.map(lambda ids: (ids * 5)[:5]), min_size=2, max_size=4))
def test_texts_of_a_batch_do_not_see_each_other(batch: list[list[int]]) -> None:
    with torch.no_grad():
        together = BERT(torch.tensor(batch))
    for text, states in zip(batch, together, strict=True):
        assert torch.allclose(run(text), states, atol=1e-5)


@quickly
@given(sequences, st.randoms(use_true_random=False))
def test_rows_may_be_shuffled_with_their_positions(ids: list[int], random) -> None:
    order = list(range(len(ids)))
    random.shuffle(order)
    shuffled = run([ids[i] for i in order], position_ids=torch.tensor([order]))
    assert torch.allclose(shuffled, run(ids)[order], atol=1e-5)


@quickly
@given(sequences.filter(lambda ids: len(ids) > 1))
def test_a_causal_map_hides_the_future(ids: list[int]) -> None:
    allowed = torch.ones(1, len(ids), len(ids)).tril()
    changed = [*ids[:-1], (ids[-1] + 1) % 53]
    before, after = (run(x, attention_mask=allowed) for x in (ids, changed))
    assert torch.equal(before[:-1], after[:-1])


@quickly
@given(st.integers(1, 3), st.integers(1, 9), st.data())
def test_weights_are_the_ones_that_forward_uses(batch: int, length: int, data) -> None:
    attention = Attention(CONFIG).eval()
    fill_with_large_weights(attention)
    hidden = torch.randn(batch, length, 24, generator=torch.Generator().manual_seed(2))
    lengths = data.draw(
        st.lists(st.integers(1, length), min_size=batch, max_size=batch)
    )
    mask = torch.arange(length) < torch.tensor(lengths)[:, None]
    allowed = attention_map(mask)
    weights = attention.weights(hidden, allowed)
    assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5)
    assert (weights.masked_select(~allowed.expand_as(weights)) == 0).all()
    values = attention.value(hidden).unflatten(-1, (3, 8)).transpose(1, 2)
    mixed = (weights @ values).transpose(1, 2).flatten(2)
    expected = attention.output(mixed)
    assert torch.allclose(attention(hidden, allowed), expected, atol=1e-4)


@quickly
@given(sequences, st.integers(1, 3), st.randoms(use_true_random=False))
def test_without_positions_order_is_lost(ids: list[int], texts: int, random) -> None:
    """Shuffled pieces give shuffled states; looking back only, they do not."""
    order = list(range(len(ids)))
    random.shuffle(order)
    batch = torch.tensor([ids] * texts)
    with torch.no_grad():
        shuffled, straight = BLIND(batch[:, order]), BLIND(batch)
    assert torch.allclose(shuffled, straight[:, order], atol=1e-5)


def test_looking_back_only_order_is_seen_without_positions() -> None:
    ids, back = torch.tensor([[5, 9, 2, 40]]), torch.ones(1, 4, 4).tril()
    with torch.no_grad():
        shuffled, straight = (
            BLIND(given, attention_mask=back) for given in (ids.flip(1), ids)
        )
    assert (shuffled.flip(1) - straight).abs().max() > 0.1


@quickly
@given(st.integers(1, 3), st.integers(1, 9), st.sampled_from([1, 2, 3, 4, 6, 8]))
def test_attention_commutes_with_a_shuffle(batch: int, length: int, heads: int) -> None:
    """Keys and map shuffled: the same mixture. Queries shuffled: shuffled outputs."""
    attention = Attention(tiny_config(heads=heads)).eval()
    fill_with_large_weights(attention)
    generator = torch.Generator().manual_seed(length)
    hidden = torch.randn(batch, length, 24, generator=generator)
    source = torch.randn(batch, length + 2, 24, generator=generator)
    allowed = torch.rand(batch, 1, length, length + 2, generator=generator) > 0.5
    allowed[..., 0] = True
    keys = torch.randperm(length + 2, generator=generator)
    queries = torch.randperm(length, generator=generator)
    with torch.no_grad():
        expected = attention(hidden, allowed, source)[:, queries]
        found = attention(
            hidden[:, queries], allowed[:, :, queries][..., keys], source[:, keys]
        )
    assert torch.allclose(found, expected, atol=1e-4)


def test_attention_dropout_only_when_training() -> None:
    torch.manual_seed(0)
    attention = Attention(tiny_config(attention_dropout=0.5))
    hidden = torch.randn(1, 6, 24)
    assert not torch.equal(attention(hidden), attention(hidden))
    attention.eval()
    assert torch.equal(attention(hidden), attention(hidden))
