"""Sentence order: neighbours of one document, half of them swapped, nothing lost."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.pairs import (
    IN_ORDER,
    SWAPPED,
    Examples,
    document_orders,
    order_examples,
)
from bertcore.text.store import Store
from tests.text.test_masking import TOKENIZER
from tests.text.test_pairs import made

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=20)


def store_of(documents: int, seed: int = 0) -> Store:
    rng = Random(seed)
    return Store.of(
        [
            [" ".join(rng.choices(LETTERS, k=rng.randint(1, 12))) for _ in range(size)]
            for size in (rng.randint(1, 15) for _ in range(documents))
        ],
        TOKENIZER,
    )


def straight(row: np.ndarray, label: int) -> tuple[int, int, int, int]:
    """The two stretches as they stand in the text."""
    begin_a, end_a, begin_b, end_b = row.tolist()
    if label == SWAPPED:
        return begin_b, end_b, begin_a, end_a
    return begin_a, end_a, begin_b, end_b


def test_neighbours_of_one_document_and_nothing_lost() -> None:
    store = store_of(300)
    examples = order_examples(store, length=64)
    assert isinstance(examples, Examples) and examples.longest <= 64
    assert examples.spans.dtype == examples.labels.dtype == np.int64
    ends = store.sentences[store.documents]
    bounds, seen = set(store.sentences.tolist()), np.zeros(len(store.ids), dtype=int)
    for row, label in zip(examples.spans, examples.labels, strict=True):
        begin, middle, other, end = straight(row, label)
        assert begin < middle == other < end
        assert {begin, middle, end} <= bounds, "between sentences, if they fit"
        assert np.searchsorted(ends, begin, "right") == np.searchsorted(
            ends, end - 1, "right"
        )
        seen[begin:end] += 1
    for first, last in pairwise(store.documents.tolist()):
        own = seen[store.sentences[first] : store.sentences[last]]
        assert own.min() >= 1 if last - first > 1 else not own.any()
    assert seen.max() <= 2, "a sentence twice, if the last is left alone"


def test_half_are_swapped() -> None:
    labels = order_examples(store_of(2000), length=64).labels
    assert set(labels.tolist()) == {IN_ORDER, SWAPPED} == {0, 1}
    assert len(labels) > 2500 and abs(labels.mean() - 0.5) < 0.03


@settings(max_examples=100, deadline=None, derandomize=True)
@given(SIZES, st.integers(5, 80), st.integers(0, 99), st.sampled_from([0.0, 0.1, 1.0]))
def test_any_document(sizes: list[int], length: int, seed: int, short: float) -> None:
    """Each pair fits, and only two neighbours that do not fit lose outer tokens."""
    (document,) = made([sizes])
    pairs = list(document_orders(document, length, Random(seed), short))
    if len(sizes) == 1:
        assert not pairs
        return
    covered: set[int] = set()
    for pair in pairs:
        first, second = pair[:2] if pair.label == IN_ORDER else pair[1::-1]
        assert first.stop == second.start and len(first) and len(second)
        assert len(first) + len(second) <= length - 3
        covered |= {*first, *second}
    if all(a + b <= length - 3 for a, b in pairwise(sizes)):
        assert covered == set(range(sum(sizes)))
    else:
        assert all(covered & set(sentence) for sentence in document)


def test_a_long_one_is_cut_at_its_outer_end() -> None:
    def cuts(sizes: list[int], length: int) -> tuple[range, range]:
        (document,) = made([sizes])
        (pair,) = document_orders(document, length, Random(0), 0.0)
        return tuple(sorted(pair[:2], key=lambda stretch: stretch.start))

    assert cuts([20, 20], 13) == (range(15, 20), range(20, 25))
    assert cuts([20, 20], 14) == (range(14, 20), range(20, 25))
    assert cuts([3, 20], 13) == (range(0, 3), range(3, 10))
    assert cuts([20, 3], 13) == (range(13, 20), range(20, 23))


def test_the_same_seed_the_same_pairs() -> None:
    store = store_of(50)
    one, same, other = (order_examples(store, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.spans, same.spans)
    assert np.array_equal(one.labels, same.labels)
    assert not np.array_equal(one.spans, other.spans)


def test_steps_take_them() -> None:
    store = store_of(40)
    examples = order_examples(store, length=48)
    steps = Batches(store, examples, TOKENIZER, Masker(TOKENIZER), size=8, row=96)
    batch = steps[0]
    assert batch["next_sentence_label"].shape == (8,)
    assert batch["token_type_ids"].any()


def test_a_length_without_room() -> None:
    with pytest.raises(ValueError, match="length=4; give 5 or more"):
        order_examples(store_of(3), length=4)


def test_no_document_has_two_sentences() -> None:
    store = Store.of([["a b"], ["c"]], TOKENIZER)
    with pytest.raises(ValueError, match="no document has two sentences"):
        order_examples(store)
