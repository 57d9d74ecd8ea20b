"""Paired: each target is where its source is, and neither knows its neighbours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.model.decoder import EncoderDecoder
from bertcore.text.batch import packed_pairs, padded
from tests.conftest import fill_with_large_weights, tiny_config

ids = st.lists(st.integers(1, 52), min_size=1, max_size=9)
pairs = st.lists(st.tuples(ids, ids), min_size=1, max_size=9)
quickly = settings(max_examples=25, deadline=None, derandomize=True)

MODEL = EncoderDecoder(tiny_config(), tiny_config(layers=1)).eval()
fill_with_large_weights(MODEL)


@quickly
@given(pairs, st.integers(9, 30))
def test_packed_equals_padded(texts, length: int) -> None:
    """Whatever shares its row, a target gets the logits that it has alone."""
    sources, targets = zip(*texts, strict=True)
    batch, read, written = packed_pairs(sources, targets, 0, length)
    with torch.no_grad():
        found = MODEL(**batch)
        for source, target, place in zip(sources, targets, written, strict=True):
            alone = MODEL(torch.tensor([source]), torch.tensor([target]))[0]
            row, start, end = place
            assert (found[row, start:end] - alone).abs().max() < 1e-4
    assert [place.row for place in read] == [place.row for place in written]


@quickly
@given(pairs, st.integers(9, 30))
def test_every_token_is_in_exactly_one_place(texts, length: int) -> None:
    sources, targets = zip(*texts, strict=True)
    batch, read, written = packed_pairs(sources, targets, 0, length)
    numbers = []
    for prefix, some, places in (("", sources, read), ("decoder_", targets, written)):
        own = {n: batch[f"{prefix}{n}"] for n in ("input_ids", "attention_mask")}
        positions, numbered = batch[f"{prefix}position_ids"], []
        for ids, (row, start, end) in zip(some, places, strict=True):
            assert own["input_ids"][row, start:end].tolist() == ids
            assert positions[row, start:end].tolist() == [*range(len(ids))]
            (number,) = set(own["attention_mask"][row, start:end].tolist())
            numbered.append((row, number))
        assert int((own["attention_mask"] > 0).sum()) == sum(map(len, some))
        assert (own["input_ids"][own["attention_mask"] == 0] == 0).all()
        assert own["input_ids"].shape[1] == max(p.end for p in places) <= length
        numbers.append(numbered)
    assert numbers[0] == numbers[1] and len(set(numbers[0])) == len(texts)


def test_gradients_are_those_of_the_padded_batch() -> None:
    sources = [[5, 6, 7, 8], [9, 1], [2, 3, 4, 5, 6, 7], [4]]
    targets = [[1, 2], [3, 4, 5], [6], [7, 8, 9, 1]]
    batch, _, places = packed_pairs(sources, targets, 0, length=17)
    assert len(batch["input_ids"]) == 1
    read, written = (
        padded([(t, []) for t in texts], 0) for texts in (sources, targets)
    )
    apart = MODEL(
        **read,
        decoder_input_ids=written["input_ids"],
        decoder_attention_mask=written["attention_mask"],
    )
    together = MODEL(**batch)
    gradients = []
    for texts in (
        [text[: len(target)] for text, target in zip(apart, targets, strict=True)],
        [together[row, start:end] for row, start, end in places],
    ):
        loss = sum(text.cumsum(0).sin().sum() for text in texts)
        parameters = list(MODEL.parameters())
        gradients.append(torch.autograd.grad(loss, parameters))
    largest = max(gradient.abs().max() for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        noise = 1e-6 * largest  # a key's bias has no gradient but rounding
        assert (one - other).abs().max() <= 1e-4 * one.abs().max() + noise


def test_the_larger_of_the_two_decides() -> None:
    """Long targets share no row, however short their sources are."""
    batch, read, written = packed_pairs([[1], [2]], [[3] * 6, [4] * 5], 0, length=8)
    assert batch["input_ids"].shape == (2, 1)
    assert batch["decoder_input_ids"].tolist() == [[3] * 6, [4] * 5 + [0]]
    assert read[1] == (1, 0, 1) and written[1] == (1, 0, 5)


@pytest.mark.parametrize(
    ("sources", "targets", "wanted"),
    [
        ([], [], "no texts: an empty batch; give at least one text"),
        ([[1]], [[1], [2]], "1 sources and 2 targets; give each source its target"),
        ([[1], []], [[1], [2]], "source 1 has no tokens; leave it out"),
        ([[1], [2]], [[], [2]], "target 0 has no tokens; leave it out"),
        ([[1], [2]], [[1], [2] * 9], "text 1 has 9 tokens, but a packed row has room"),
    ],
)
def test_what_cannot_be_packed(sources, targets, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        packed_pairs(sources, targets, 0, length=8)
