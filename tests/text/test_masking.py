"""Masks: rates over a million tokens, counts as released, never a special token."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from bertcore import Tokenizer
from bertcore.text.batch import IGNORE_INDEX
from bertcore.text.masking import Masker
from bertcore.text.vocabulary import SPECIAL

PIECES = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghi")]
TOKENIZER = Tokenizer(PIECES)
CLS, SEP, PAD, MASK = (PIECES.index(f"[{n}]") for n in ("CLS", "SEP", "PAD", "MASK"))
LIKELY = 1e-4  # a chi-square test may fail by chance so often; seeds are fixed


def texts(count: int, length: int, seed: int = 0) -> torch.Tensor:
    """Padded texts of all lengths up to `length`, two segments each."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, len(PIECES), (count, length))
    sizes = rng.integers(length // 2, length + 1, count)
    place = np.arange(length)
    ids[:, 0] = CLS
    ids[np.arange(count), sizes // 2] = ids[np.arange(count), sizes - 1] = SEP
    ids[place >= sizes[:, None]] = PAD
    return torch.from_numpy(ids)


@pytest.fixture(scope="module", params=["batch", "text"])
def million(request) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Over a million tokens, what they became, and the labels; by either way."""
    ids, masker = texts(10_800, 128), Masker(TOKENIZER)
    assert (ids != PAD).sum() > 1_000_000
    if request.param == "batch":
        return ids, *masker.batch(ids, np.random.default_rng(1))
    rng, hidden, labels = Random(1), ids.clone(), torch.full_like(ids, IGNORE_INDEX)
    for row, text in enumerate(ids.tolist()):
        used = [id for id in text if id != PAD]
        found, places, true = masker.text(used, rng)
        hidden[row, : len(used)] = torch.tensor(found)
        labels[row, places] = torch.tensor(true)
    return ids, hidden, labels


def fits(found: list[int], shares: list[float]) -> bool:
    total = sum(found)
    return chisquare(found, [total * share for share in shares]).pvalue > LIKELY


def test_eighty_ten_ten(million) -> None:
    """A random piece is sometimes the true one, so "stays" has a little more."""
    ids, hidden, _ = million
    chosen = million[2] != IGNORE_INDEX
    became, true = hidden[chosen], ids[chosen]
    same = int((became == true).sum())
    masked = int((became == MASK).sum())
    other = len(true) - same - masked
    v = len(PIECES)
    shares = [0.8 + 0.1 / v, 0.1 + 0.1 / v, 0.1 * (v - 2) / v]
    assert len(true) > 140_000
    assert fits([masked, same, other], shares)
    assert not fits([masked, same, other], [0.81, 0.09, 0.10]), "it can tell"


def test_random_pieces_are_any_of_the_vocabulary(million) -> None:
    ids, hidden, labels = million
    chosen = labels != IGNORE_INDEX
    moved = hidden[chosen & (hidden != ids) & (hidden != MASK)]
    found = np.bincount(moved.numpy(), minlength=len(PIECES))
    assert found[MASK] == 0 and found[[0, 1, 2, 3]].min() > 0, "special ones, too"
    true = np.bincount(ids[chosen].numpy(), minlength=len(PIECES))
    wanted = np.delete(1 - true / true.sum(), MASK)  # one that is true does not show
    others = np.delete(found, MASK)
    assert others.sum() > 12_000
    assert fits(others.tolist(), (wanted / wanted.sum()).tolist())


def test_every_place_and_every_piece_is_chosen_equally_often(million) -> None:
    ids, _, labels = million
    chosen, free = labels != IGNORE_INDEX, ids > 4
    full = (ids != PAD).sum(dim=1) == 128  # texts of one length: places compare
    found, there = torch.bincount(ids[chosen])[5:], torch.bincount(ids[free])[5:]
    assert fits(found.tolist(), (there / there.sum()).tolist())
    by_place = chosen[full].sum(dim=0).numpy()
    there = free[full].sum(dim=0).numpy()
    used = there > 0
    assert used.sum() == 125
    assert fits(by_place[used].tolist(), (there[used] / there.sum()).tolist())


def test_never_a_special_token_and_the_rest_is_untouched(million) -> None:
    ids, hidden, labels = million
    chosen = labels != IGNORE_INDEX
    assert not (chosen & (ids < 5)).any()
    assert torch.equal(hidden[~chosen], ids[~chosen])
    assert torch.equal(labels[chosen], ids[chosen])


def test_counts_are_as_released(million) -> None:
    """15 % of all tokens, special ones included, rounded half to even, at least 1."""
    ids, _, labels = million
    for tokens, chosen in zip(
        (ids != PAD).sum(dim=1).tolist(),
        (labels != IGNORE_INDEX).sum(dim=1).tolist(),
        strict=True,
    ):
        assert chosen == max(1, round(tokens * 0.15))


@pytest.mark.parametrize(
    ("rate", "limit", "tokens", "count"),
    [
        (0.15, None, 128, 19),
        (0.15, None, 10, 2),  # 1.5, to even
        (0.15, None, 30, 4),  # 4.5, to even
        (0.15, None, 3, 1),  # 0.45, but at least 1
        (0.15, 20, 512, 20),
        (0.15, None, 512, 77),
        (0.30, None, 128, 38),
        (0.50, None, 5, 2),  # 2.5, to even
    ],
)
def test_how_many(rate: float, limit: int | None, tokens: int, count: int) -> None:
    masker = Masker(TOKENIZER, rate, limit)
    assert masker.count(tokens) == count
    ids = torch.full((3, tokens), 7)
    ids[:, 0], ids[:, -1] = CLS, SEP
    expected = min(count, tokens - 2)
    _, labels = masker.batch(ids, np.random.default_rng(0))
    assert (labels != IGNORE_INDEX).sum(dim=1).tolist() == [expected] * 3
    assert len(masker.text(ids[0].tolist(), Random(0)).places) == expected


def test_the_same_random_numbers_the_same_masks() -> None:
    ids, masker = texts(16, 64), Masker(TOKENIZER)
    one, same, other = (
        masker.batch(ids, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert all(map(torch.equal, one, same))
    assert not torch.equal(one[1], other[1])


def test_the_input_is_left_as_it_was() -> None:
    ids = texts(4, 32)
    before = ids.clone()
    Masker(TOKENIZER, rate=0.9).batch(ids, np.random.default_rng(0))
    assert torch.equal(ids, before)


def test_a_text_of_special_tokens_only_and_one_of_padding() -> None:
    ids = torch.tensor([[CLS, SEP, PAD, PAD], [PAD, PAD, PAD, PAD], [CLS, 9, SEP, PAD]])
    for whole_words in (False, True):
        masker = Masker(TOKENIZER, whole_words=whole_words)
        _, labels = masker.batch(ids, np.random.default_rng(0))
        assert labels.ne(IGNORE_INDEX).sum(dim=1).tolist() == [0, 0, 1]
        assert masker.text([CLS, SEP], Random(0)).places == []


def test_unk_is_a_piece_like_any_other() -> None:
    ids = torch.tensor([[CLS, 1, 1, 1, SEP]])
    _, labels = Masker(TOKENIZER).batch(ids, np.random.default_rng(0))
    assert labels.ne(IGNORE_INDEX).sum() == 1


def word_of(ids: list[int]) -> list[int]:
    """The number of each token's word; -1 for special ones."""
    words, last = [], -1
    for id in ids:
        if id in (CLS, SEP, PAD):
            words.append(-1)
            continue
        if last < 0 or not PIECES[id].startswith("##"):
            last += 1
        words.append(last)
    return words


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.floats(0.05, 0.6), st.sampled_from([None, 3, 8]))
def test_whole_words_are_chosen_whole(
    seed: int, rate: float, limit: int | None
) -> None:
    """All pieces of a word or none; never more than the count, and no word that would
    still have fitted is left out."""
    ids, masker = texts(8, 40, seed), Masker(TOKENIZER, rate, limit, whole_words=True)
    _, labels = masker.batch(ids, np.random.default_rng(seed))
    for text, chosen in zip(
        ids.tolist(), labels.ne(IGNORE_INDEX).tolist(), strict=True
    ):
        used = [id for id in text if id != PAD]
        by_text = masker.text(used, Random(seed)).places
        ways = chosen[: len(used)], [place in by_text for place in range(len(used))]
        for way in ways:
            words = word_of(used)
            sizes = {w: words.count(w) for w in set(words) - {-1}}
            taken = {w for w, c in zip(words, way, strict=True) if c}
            assert -1 not in taken
            assert [w in taken for w in words] == list(way)
            left = masker.count(len(used)) - sum(way)
            assert left >= 0
            assert all(sizes[w] > left for w in set(sizes) - taken)


def test_whole_words_reach_the_same_rate() -> None:
    ids = texts(400, 128)
    _, labels = Masker(TOKENIZER, whole_words=True).batch(ids, np.random.default_rng(2))
    share = labels.ne(IGNORE_INDEX).sum() / (ids != PAD).sum()
    assert 0.148 < share < 0.152


def test_every_word_is_chosen_equally_often_in_either_way() -> None:
    """Words of one piece and of three in one text: the two ways agree on each."""
    ids = [CLS, *[5, 31, 31, 6] * 12, SEP]
    masker = Masker(TOKENIZER, whole_words=True)
    rng, by_text = Random(0), np.zeros(len(ids))
    for _ in range(8000):
        by_text[masker.text(ids, rng).places] += 1
    _, labels = masker.batch(torch.tensor([ids] * 8000), np.random.default_rng(0))
    by_batch = labels.ne(IGNORE_INDEX).sum(dim=0).numpy()
    long = [place for place, id in enumerate(ids) if id == 5]
    short = [place for place, id in enumerate(ids) if id == 6]
    for group in (long, short):
        totals = by_text[group].sum(), by_batch[group].sum()
        assert chisquare(totals).pvalue > LIKELY
        assert chisquare(by_batch[group]).pvalue > LIKELY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 1.2}, "rate=1.2; it is a share, so give 0 to 1"),
        ({"masked": 0.95, "random": 0.1}, "masked=0.95 and random=0.1 are more than"),
        ({"limit": 0}, "limit=0; give 1 or more, or None"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Masker(TOKENIZER, **change)


@pytest.mark.parametrize(
    ("masked", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5)]
)
def test_other_shares(masked: float, random: float) -> None:
    """What ELECTRA's generator or an ablation wants."""
    masker = Masker(TOKENIZER, masked=masked, random=random)
    ids = texts(500, 64)
    hidden, labels = masker.batch(ids, np.random.default_rng(0))
    chosen = labels != IGNORE_INDEX
    share = (hidden[chosen] == MASK).float().mean().item()
    assert abs(share - masked - random / len(PIECES)) < 0.02
    same = (hidden[chosen] == ids[chosen]).float().mean().item()
    assert abs(same - (1 - masked - random) - random / len(PIECES)) < 0.02
    rng, found = Random(0), []
    for text in ids.tolist():
        used = [id for id in text if id != PAD]
        result = masker.text(used, rng)
        found += [result.ids[place] == MASK for place in result.places]
    assert abs(np.mean(found) - masked - random / len(PIECES)) < 0.02
