"""Spans: lengths as drawn, whole words, one fate for a span."""

from collections import Counter
from random import Random
from time import perf_counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from bertcore.text.batch import IGNORE_INDEX, pack
from bertcore.text.dataloader import Batches
from bertcore.text.fast_tokenizer import train_byte_bpe
from bertcore.text.masking import Masker, SpanMasker, length_shares, span_bounds
from bertcore.text.pairs import window_examples
from bertcore.text.store import Store
from tests.text.test_masking import (
    CLS,
    LIKELY,
    MASK,
    PAD,
    PIECES,
    SEP,
    TOKENIZER,
    texts,
    word_of,
)

WAYS = ("batch", "text")


def masked(
    way: str, ids: torch.Tensor, masker: SpanMasker, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden ids and labels, by either way."""
    if way == "batch":
        return masker.batch(ids, np.random.default_rng(seed))
    rng, hidden, labels = Random(seed), ids.clone(), torch.full_like(ids, IGNORE_INDEX)
    for row, text in enumerate(ids.tolist()):
        used = [id for id in text if id != PAD]
        found, places, true = masker.text(used, rng)
        hidden[row, : len(used)] = torch.tensor(found)
        labels[row, places] = torch.tensor(true)
    return hidden, labels


def runs(labels: torch.Tensor) -> list[tuple[int, int, int]]:
    """Row, start and end of each unbroken stretch of asked tokens."""
    found = []
    for row, asked in enumerate(labels.ne(IGNORE_INDEX).tolist()):
        start = None
        for place, flag in enumerate([*asked, False]):
            if flag and start is None:
                start = place
            if not flag and start is not None:
                found.append((row, start, place))
                start = None
    return found


def long_texts(count: int, words: int = 4000) -> torch.Tensor:
    """Long texts of words of one to three pieces."""
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(count):
        row: list[int] = [CLS]
        while len(row) < words:
            row += [int(rng.integers(5, 31)), *[31] * int(rng.integers(0, 3))]
        rows.append([*row[: words - 1], SEP])
    return torch.tensor(rows)


def test_lengths_are_drawn_as_the_paper_says() -> None:
    """So few are chosen in so long a text that spans hardly ever meet."""
    ids = long_texts(24, 20_000)
    _, labels = masked("batch", ids, SpanMasker(TOKENIZER, rate=0.02))
    found: Counter[int] = Counter()
    for row, start, end in runs(labels):
        found[sum(PIECES[id][:2] != "##" for id in ids[row, start:end].tolist())] += 1
    total, shares = sum(found.values()), length_shares()
    assert total > 1200
    mean = sum(length * count for length, count in found.items()) / total
    assert 3.5 < mean < 4.1
    for length, share in enumerate(shares, 1):
        assert abs(found[length] / total - share) < 0.045, length


def test_the_shares_of_the_paper() -> None:
    shares = length_shares()
    assert len(shares) == 10 and abs(shares.sum() - 1) < 1e-12
    assert np.allclose(shares[1:] / shares[:-1], 0.8)
    assert round(float(shares @ np.arange(1, 11)), 2) == 3.80  # section 3.1: 3.8
    assert length_shares(1.0, 3).tolist() == [1, 0, 0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 999),
    st.floats(0.05, 0.6),
    st.sampled_from([None, 3, 8]),
)
def test_whole_words_as_many_as_fit(seed: int, rate: float, limit: int | None) -> None:
    """Never a special token, never half a word, and no free word would still fit."""
    ids, masker = texts(8, 40, seed), SpanMasker(TOKENIZER, rate, limit)
    before = ids.clone()
    hidden, labels = masked("batch", ids, masker, seed)
    chosen = labels != IGNORE_INDEX
    assert torch.equal(ids, before)
    assert torch.equal(hidden[~chosen], ids[~chosen])
    assert torch.equal(labels[chosen], ids[chosen])
    for text, flags in zip(ids.tolist(), chosen.tolist(), strict=True):
        used = [id for id in text if id != PAD]
        middle = used.index(SEP) + 1  # behind a special token a new word begins
        words = [*word_of(used[:middle])]
        words += [w if w < 0 else w + 100 for w in word_of(used[middle:])]
        sizes = {w: words.count(w) for w in set(words) - {-1}}
        taken = {w for w, c in zip(words, flags, strict=False) if c}
        assert -1 not in taken and not any(flags[len(used) :])
        assert [w in taken for w in words] == flags[: len(used)]
        left = masker.count(len(used)) - sum(flags)
        assert left >= 0
        assert all(sizes[w] > left for w in set(sizes) - taken)


def test_the_share_chosen() -> None:
    ids = texts(400, 128)
    _, labels = masked("batch", ids, SpanMasker(TOKENIZER))
    share = labels.ne(IGNORE_INDEX).sum() / (ids != PAD).sum()
    assert 0.148 < share < 0.152


@pytest.mark.parametrize("way", WAYS)
def test_a_span_becomes_one_thing(way: str) -> None:
    """80 % of spans are masked, 10 % random, 10 % stay: counted where spans are apart.

    A random piece is sometimes the true one, or [MASK], so words of the text are
    of one kind, and the odd piece is forgiven.
    """
    ids = torch.full((60, 2000), 6)
    ids[:, 0], ids[:, -1] = CLS, SEP
    hidden, labels = masked(way, ids, SpanMasker(TOKENIZER, rate=0.02))
    fates: Counter[str] = Counter()
    for row, start, end in runs(labels):
        if end - start < 4:
            continue
        became = hidden[row, start:end].tolist()
        if became.count(MASK) == len(became):
            fates["masked"] += 1
        elif became.count(6) == len(became):
            fates["stays"] += 1
        elif became.count(MASK) < 2 and became.count(6) < 2:
            fates["random"] += 1
            assert len(set(became)) > 1, "each token its own random piece"
        else:
            fates["mixed"] += 1  # two spans that met
    total = sum(fates.values())
    assert total > 200 and fates["mixed"] < 0.06 * total
    pure = [fates["masked"], fates["random"], fates["stays"]]
    shares = np.array([0.8, 0.1, 0.1]) * sum(pure)
    assert chisquare(pure, shares).pvalue > LIKELY


@pytest.mark.parametrize("way", WAYS)
def test_other_shares(way: str) -> None:
    ids = texts(300, 64)
    for shares in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]:
        masker = SpanMasker(TOKENIZER, masked=shares[0], random=shares[1])
        hidden, labels = masked(way, ids, masker)
        chosen = labels != IGNORE_INDEX
        share = (hidden[chosen] == MASK).float().mean().item()
        assert abs(share - shares[0] - shares[1] / len(PIECES)) < 0.02
        same = (hidden[chosen] == ids[chosen]).float().mean().item()
        assert abs(same - (1 - sum(shares)) - shares[1] / len(PIECES)) < 0.02


def test_every_word_begins_a_span_as_often_as_any_other() -> None:
    """Spans of one word: each is chosen equally often, long or short."""
    ids = torch.tensor([[CLS, *[5, 31, 31, 6] * 12, SEP]] * 6000)
    masker = SpanMasker(TOKENIZER, chance=1.0, rate=0.3)
    _, labels = masked("batch", ids, masker)
    found = labels.ne(IGNORE_INDEX).sum(dim=0).numpy()
    for piece in (5, 6):
        assert chisquare(found[ids[0].numpy() == piece]).pvalue > LIKELY


def test_texts_without_words() -> None:
    ids = torch.tensor([[CLS, SEP, PAD, PAD], [PAD, PAD, PAD, PAD], [CLS, 9, SEP, PAD]])
    masker = SpanMasker(TOKENIZER)
    _, labels = masker.batch(ids, np.random.default_rng(0))
    assert labels.ne(IGNORE_INDEX).sum(dim=1).tolist() == [0, 0, 1]
    assert masker.text([CLS, SEP], Random(0)).places == []


def test_the_same_random_numbers_the_same_masks() -> None:
    ids, masker = texts(16, 64), SpanMasker(TOKENIZER)
    one, same, other = (
        masker.batch(ids, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert all(map(torch.equal, one, same))
    assert not torch.equal(one[1], other[1])
    text = ids[0].tolist()
    assert masker.text(text, Random(1)) == masker.text(text, Random(1))


def test_a_batch_takes_milliseconds() -> None:
    """About 80 ms for 256 texts of 128 tokens on one slow core."""
    ids, masker = texts(256, 128), SpanMasker(TOKENIZER)
    times = []
    for seed in range(5):
        begin = perf_counter()
        masker.batch(ids, np.random.default_rng(seed))
        times.append(perf_counter() - begin)
    assert min(times) < 0.5


def test_words_of_byte_level_pieces() -> None:
    """A word of RoBERTa's is what stands between two spaces."""
    tokenizer = train_byte_bpe(["the cat is unbelievable, it is"] * 2, 266)
    text = "the unbelievable cat, it is"
    ids = tokenizer.encode(text)
    words = [text.count(" ", 0, max(p.start, 1)) for p in tokenizer.pieces(text)]
    masker = SpanMasker(tokenizer, rate=0.4, chance=1.0)
    for seed in range(40):
        _, labels = masker.batch(torch.tensor([ids]), np.random.default_rng(seed))
        by_text = masker.text(ids, Random(seed)).places
        for places in (labels[0].ne(IGNORE_INDEX).nonzero()[:, 0].tolist(), by_text):
            taken = {words[place - 1] for place in places}
            assert [w in taken for w in words] == [
                n + 1 in places for n in range(len(words))
            ]


def test_steps_take_it() -> None:
    store = Store.of([["a b ab c", "b a"], ["c b a a b c"]], TOKENIZER)
    examples, masker = window_examples(store, 9), SpanMasker(TOKENIZER, rate=0.4)
    batch = Batches(store, examples, TOKENIZER, masker, size=2, row=18)[0]
    assert batch["labels"].ne(IGNORE_INDEX).any()
    assert set(vars(Masker(TOKENIZER))) - {"whole_words"} <= set(vars(masker))
    assert masker.whole_words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 1.2}, "rate=1.2; it is a share, so give 0 to 1"),
        ({"limit": 0}, "limit=0; give 1 or more, or None"),
        ({"chance": 0.0}, "chance=0.0; give more than 0, and 1 at most"),
        ({"longest": 0}, "longest=0; give 1 or more words"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpanMasker(TOKENIZER, **change)


# Bounds ------------------------------------------------------------------------------


def naive_bounds(labels: torch.Tensor) -> list[tuple[int, int, int]]:
    """Token by token: walk to the left and to the right until nothing is asked."""
    found, width = [], labels.shape[1]
    for row, column in (labels != IGNORE_INDEX).nonzero().tolist():
        left = right = column
        while labels[row, left] != IGNORE_INDEX:
            left -= 1
        while labels[row, right] != IGNORE_INDEX:
            right += 1
        found.append((row * width + left, row * width + right, column - left - 1))
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_bounds_are_the_neighbours_of_each_span(packed: bool) -> None:
    ids = texts(40, 48)
    masker = SpanMasker(TOKENIZER, rate=0.4)
    _, labels = masker.batch(ids, np.random.default_rng(0))
    batch = {
        "input_ids": ids,
        "token_type_ids": torch.zeros_like(ids),
        "attention_mask": (ids != PAD).long(),
        "labels": labels,
    }
    if packed:
        batch = pack(batch, 128, PAD).batch
    bounds = span_bounds(batch["labels"])
    assert all(part.dtype == torch.int64 for part in bounds)
    assert list(zip(*(part.tolist() for part in bounds), strict=True)) == naive_bounds(
        batch["labels"]
    )
    left, right, offset = bounds
    places = batch["labels"].flatten().ne(IGNORE_INDEX).nonzero()[:, 0]
    assert torch.equal(left + 1 + offset, places)
    flat = batch.get("position_ids", torch.arange(48).expand(40, 48)).flatten()
    assert torch.equal(flat[right] - flat[left], right - left), "both in one text"


def test_two_spans_side_by_side_count_as_one() -> None:
    labels = torch.full((2, 7), IGNORE_INDEX)
    labels[0, 1:3], labels[0, 3:5], labels[1, 5] = 7, 8, 9
    left, right, offset = span_bounds(labels)
    assert left.tolist() == [0, 0, 0, 0, 11]
    assert right.tolist() == [5, 5, 5, 5, 13]
    assert offset.tolist() == [0, 1, 2, 3, 0]


def test_bounds_of_nothing_and_of_what_has_no_neighbour() -> None:
    nothing = torch.full((2, 5), IGNORE_INDEX)
    assert [part.shape for part in span_bounds(nothing)] == [(0,)] * 3
    for column in (0, 4):
        labels = nothing.clone()
        labels[1, column] = 3
        with pytest.raises(ValueError, match="row 1 has a label at its first"):
            span_bounds(labels)
