"""Packing loses no token, keeps order, and gives the same states as padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore import Bert
from bertcore.text.batch import packed, padded
from tests.conftest import tiny_config

texts = st.lists(
    st.tuples(
        st.lists(st.integers(1, 52), min_size=1, max_size=9),
        st.lists(st.integers(1, 52), max_size=5),
    ),
    min_size=1,
    max_size=9,
)
quickly = settings(max_examples=40, deadline=None, derandomize=True)

torch.manual_seed(0)
BERT = Bert(tiny_config()).eval()
with torch.no_grad():
    for parameter in BERT.parameters():
        parameter.mul_(5)


@quickly
@given(texts, st.integers(14, 16))
def test_packed_equals_padded(rows, length: int) -> None:
    """Whatever shares its row, a text gets the states that it has alone."""
    batch = padded(rows, pad_id=0)
    in_rows = packed(rows, pad_id=0, length=length)
    with torch.no_grad():
        expected = BERT(**batch)
        found = in_rows.unpack(BERT(**in_rows.batch))
    for states, (first, second), text in zip(found, rows, expected, strict=True):
        size = len(first) + len(second)
        assert states.shape == (size, 24)
        assert torch.allclose(states, text[:size], atol=1e-5)


@quickly
@given(texts)
def test_every_token_is_in_exactly_one_place(rows) -> None:
    batch, places = packed(rows, pad_id=0, length=16)
    for (first, second), (row, start, end) in zip(rows, places, strict=True):
        assert batch["input_ids"][row, start:end].tolist() == [*first, *second]
        segments = [0] * len(first) + [1] * len(second)
        assert batch["token_type_ids"][row, start:end].tolist() == segments
        assert batch["position_ids"][row, start:end].tolist() == [*range(end - start)]
        assert len(set(batch["attention_mask"][row, start:end].tolist())) == 1
    total = sum(len(first) + len(second) for first, second in rows)
    assert int((batch["attention_mask"] > 0).sum()) == total
    for numbers in batch["attention_mask"]:
        used = numbers[numbers > 0].unique().tolist()
        assert used == list(range(1, len(used) + 1))


def test_gradients_are_those_of_the_padded_batch() -> None:
    rows = [([5, 6, 7], [8]), ([9, 1], []), ([2, 3, 4, 5, 6, 7, 8], [1, 2]), ([4], [])]
    batch, in_rows = padded(rows, pad_id=0), packed(rows, pad_id=0, length=16)
    assert len(in_rows.batch["input_ids"]) == 1
    sizes = [len(first) + len(second) for first, second in rows]
    gradients = []
    for texts in (
        [text[:size] for text, size in zip(BERT(**batch), sizes, strict=True)],
        in_rows.unpack(BERT(**in_rows.batch)),
    ):
        loss = sum((text.cumsum(0).sin()).sum() for text in texts)
        parameters = [p for name, p in BERT.named_parameters() if "pooler" not in name]
        gradients.append(torch.autograd.grad(loss, parameters))
    largest = max(gradient.abs().max() for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        noise = 1e-6 * largest  # a key's bias has no gradient but rounding
        assert (one - other).abs().max() <= 1e-4 * one.abs().max() + noise


def test_little_is_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(5, 129, (64,), generator=generator).tolist()
    rows = [([7] * size, []) for size in sizes]
    fill = [
        (batch["attention_mask"] > 0).float().mean().item()
        for batch in (padded(rows, 0), packed(rows, 0, length=128).batch)
    ]
    assert fill[0] < 0.6 and fill[1] > 0.8


def test_a_text_longer_than_a_row() -> None:
    with pytest.raises(
        ValueError, match="text 1 has 5 tokens, but a packed row has room for 4"
    ):
        packed([([1], []), ([1, 2, 3], [4, 5])], pad_id=0, length=4)


def test_a_text_without_tokens() -> None:
    with pytest.raises(ValueError, match="text 1 has no tokens; leave it out"):
        packed([([1], []), ([], [])], pad_id=0, length=4)


def test_padding_has_its_id() -> None:
    assert padded([([7, 7], []), ([7], [])], 5)["input_ids"].tolist()[1] == [7, 5]
    assert packed([([7], [])], 5, length=3).batch["input_ids"].tolist() == [[7, 5, 5]]


def test_the_longest_first_and_numbers_by_place() -> None:
    rows = [([n] * n, []) for n in (2, 3, 3, 4)]
    batch, places = packed(rows, pad_id=0, length=6)
    assert batch["input_ids"].tolist() == [[4] * 4 + [2] * 2, [3] * 6]
    assert batch["attention_mask"].tolist() == [[1] * 4 + [2] * 2, [1] * 3 + [2] * 3]
    assert [place.row for place in places] == [0, 1, 1, 0]


def test_a_row_may_be_longer_than_the_table_of_positions() -> None:
    """Positions restart in each text, so 512 bounds the texts, not the row."""
    rows = [([n] * 9, []) for n in range(1, 5)]
    in_rows = packed(rows, pad_id=0, length=36)
    with torch.no_grad():
        found = in_rows.unpack(BERT(**in_rows.batch))
        for states, (ids, _) in zip(found, rows, strict=True):
            assert torch.allclose(states, BERT(torch.tensor([ids]))[0], atol=1e-5)


def test_nothing_to_pack() -> None:
    with pytest.raises(ValueError, match="no texts"):
        packed([], pad_id=0, length=4)
