"""Training a vocabulary: the same as counting afresh, always, and deterministic."""

import subprocess
import sys
from collections import Counter
from copy import deepcopy
from itertools import islice, pairwise
from math import isclose, log

import pytest
from tokenizers import BertWordPieceTokenizer

from bertcore.text.corpora import introductions
from bertcore.text.merges import (
    CRITERIA,
    WordSplits,
    alphabet,
    count_words,
    learn_vocabulary,
    likelihood_gain,
    merges,
)
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import Tokenizer, train_tokenizer
from tests.conftest import ROOT, WHOLE


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in introductions().documents[:400]]


def characters(word: str) -> list[str]:
    return [word[0], *("##" + character for character in word[1:])]


def glued(pieces: list[str], left: str, right: str) -> list[str]:
    """The pieces of a word with each `left right` made one."""
    out: list[str] = []
    for piece in pieces:
        if out and out[-1] == left and piece == right:
            out[-1] = left + right.removeprefix("##")
        else:
            out.append(piece)
    return out


def by_recounting(words: dict[str, int], criterion: str, count: int) -> list[tuple]:
    """The trainer of most tutorials: count every pair afresh for every merge."""
    cut = {word: characters(word) for word in words}
    order = {piece: place for place, piece in enumerate(alphabet(words))}
    made = []
    for _ in range(count):
        single: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        for word, frequency in words.items():
            for piece in cut[word]:
                single[piece] += frequency
            last = None
            for pair in pairwise(cut[word]):
                overlaps = pair == last and pair[0] == pair[1]
                last = None if overlaps else pair
                pairs[pair] += 0 if overlaps else frequency
        total = single.total()
        scores = {
            (a, b): CRITERIA[criterion](n, single[a], single[b], total, a == b)
            for (a, b), n in pairs.items()
            if n >= 2
        }
        left, right = min(
            scores, key=lambda p: (-scores[p], order[p[0]], order[p[1]])
        )  # fmt: skip
        piece = left + right.removeprefix("##")
        order.setdefault(piece, len(order))
        made.append((left, right, piece, pairs[left, right]))
        cut = {word: glued(pieces, left, right) for word, pieces in cut.items()}
    return made


@pytest.mark.parametrize("criterion", CRITERIA)
def test_merges_equal_counting_afresh(criterion: str, texts: list[str]) -> None:
    few, count = (40, 400) if WHOLE else (20, 100)
    words = dict(count_words(texts[:few]))
    expected = by_recounting(words, criterion, count)
    found = [merge[:4] for merge in islice(merges(words, criterion), count)]
    assert found == expected


@pytest.mark.parametrize("criterion", CRITERIA)
def test_words_full_of_repeats(criterion: str) -> None:
    """Runs and overlaps, where an index goes wrong first."""
    words = {"aaaa": 3, "ababab": 2, "aabaab": 5, "bbbbbbb": 2, "abcabcabc": 4}
    count = len(list(merges(words, criterion)))
    found = [merge[:4] for merge in merges(words, criterion)]
    assert found == by_recounting(words, criterion, count)


def log_likelihood(cuts: WordSplits) -> float:
    return sum(n * log(n / cuts.total) for n in cuts.counts if n)


def test_the_gain_is_the_gain(texts: list[str]) -> None:
    """Score of a merge = log-likelihood of the texts after it less that before it."""
    words = count_words(texts[:40])
    cuts = WordSplits(words)
    for merge in islice(merges(words, "likelihood"), 400):
        before = log_likelihood(cuts)
        cuts.merge((cuts.ids[merge.left], cuts.ids[merge.right]))
        gain = log_likelihood(cuts) - before
        assert isclose(gain, merge.score, rel_tol=1e-6, abs_tol=1e-6), merge


@pytest.mark.parametrize("words", [{"abbb": 2}, {"aaaa": 555}, {"00000": 3, "a000": 5}])
def test_the_gain_of_a_run_is_the_gain(words: dict[str, int]) -> None:
    """Of three equal pieces in a row one pair can be merged, not two."""
    cuts = WordSplits(words)
    for merge in merges(words, "likelihood", 1):
        before = log_likelihood(cuts)
        best = max(gains(cuts).values())
        cuts.merge((cuts.ids[merge.left], cuts.ids[merge.right]))
        assert isclose(log_likelihood(cuts) - before, merge.score, abs_tol=1e-9)
        assert isclose(best, merge.score, abs_tol=1e-9)


def gains(cuts: WordSplits) -> dict[tuple[int, int], float]:
    """Of every pair, from scratch: merge a copy and look."""
    before, found = log_likelihood(cuts), {}
    for pair, n in cuts.pairs.items():
        if n:
            after = deepcopy(cuts)
            after.merge(pair)
            found[pair] = log_likelihood(after) - before
    return found


def test_the_gain_of_a_pair_that_is_rare_beside_its_parts() -> None:
    """As chapter 1 says, it is close to n (log nN/ab - 1)."""
    for n, a, b, total in ((20, 5000, 4000, 10**6), (50, 9000, 2000, 10**5)):
        close = n * (log(n * total / (a * b)) - 1)
        assert isclose(likelihood_gain(n, a, b, total, False), close, rel_tol=0.03)


def test_no_other_pair_would_have_gained_more(texts: list[str]) -> None:
    words = count_words(texts[:40])
    cuts = WordSplits(words)
    for merge in islice(merges(words, "likelihood"), 100):
        best = max(
            likelihood_gain(n, cuts.counts[a], cuts.counts[b], cuts.total, a == b)
            for a, b in cuts.pairs
            if (n := cuts.count((a, b))) >= 2
        )
        assert isclose(best, merge.score, rel_tol=1e-9)
        cuts.merge((cuts.ids[merge.left], cuts.ids[merge.right]))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_same_file_whatever_the_hash_seed(criterion: str) -> None:
    """Three processes with three seeds, byte for byte."""
    code = (
        "import sys; from pathlib import Path; from tempfile import mkdtemp\n"
        "from bertcore.text.corpora import introductions\n"
        "from bertcore.text.wordpiece import train_tokenizer\n"
        "texts = [document.text for document in introductions().documents[:100]]\n"
        f"folder = Path(mkdtemp()); train_tokenizer(texts, 800, {criterion!r})"
        ".save_pretrained(folder)\n"
        "for path in sorted(folder.iterdir()):\n"
        "    sys.stdout.buffer.write(path.read_bytes())\n"
    )
    outputs = {
        subprocess.check_output(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=ROOT
        )
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1 and outputs.pop().count(b"\n") > 800


def test_the_order_of_texts_decides_nothing(texts: list[str]) -> None:
    few = texts[:150]
    assert list(learn_vocabulary(few, 800)) == list(learn_vocabulary(few[::-1], 800))


def test_count_learns_what_the_library_learns(texts: list[str]) -> None:
    """Where it breaks ties otherwise, the two part ways a little."""
    library = BertWordPieceTokenizer(lowercase=True)
    library.train_from_iterator(texts, 4000, show_progress=False)
    theirs = {piece for piece in library.get_vocab() if len(piece.lstrip("#")) > 1}
    ours = {
        piece
        for piece in learn_vocabulary(texts, 4000, "count")
        if len(piece.lstrip("#")) > 1
    }
    assert len(ours & theirs) / len(ours) > 0.97


def test_a_vocabulary_begins_with_special_tokens_and_characters() -> None:
    pieces = list(learn_vocabulary(["low lower lowest"] * 3, 24, "count"))
    assert pieces[:5] == list(SPECIAL)
    assert pieces[5:19] == [*"elorstw", *("##" + c for c in "elorstw")]
    assert len(pieces) == len(set(pieces)) == 24


def test_cased_and_uncased() -> None:
    cased = train_tokenizer(["Oslo Oslo oslo"] * 9, 17, "count", lowercase=False)
    assert not cased.lowercase and "Oslo" in cased.vocabulary
    uncased = train_tokenizer(["Oslo Oslo oslo"] * 9, 14, "count")
    assert uncased.lowercase and uncased.vocabulary[-1] == "oslo"


def test_trained_tokenizers_know_every_word_of_their_alphabet(texts) -> None:
    tokenizer = train_tokenizer(texts, 2000, alphabet_limit=60)
    assert "[UNK]" not in tokenizer.tokenize("zyxwv qqq 0918273645 kjhgf")
    assert tokenizer.decode(tokenizer.encode("a true word"), True) == "a true word"


def test_what_is_left_out() -> None:
    """Rare characters, very long words and halves of surrogate pairs."""
    texts = ["ab ab ab ab \U0001f600 " + "ab" * 101 + " a\ud800 \x00null\x07"]
    pieces = list(learn_vocabulary(texts, 5 + 2 * 5 + 1, "count", alphabet_limit=5))
    assert pieces[5:] == [*"ablnu", *("##" + c for c in "ablnu"), "ab"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 10}, "size=10 has no room for the 5 special tokens and the 3 char"),
        ({"size": 99}, "these texts give 13 pieces, not size=99: no other pair"),
        ({"size": 14}, "these texts give 13 pieces, not size=14"),
        ({"size": 22.5}, "size=22.5; give a whole number from 1"),
        ({"size": True}, "size=True; give a whole number from 1"),
        ({"size": 12, "min_frequency": 0}, "min_frequency=0; give a whole number"),
        ({"size": 12, "alphabet_limit": -1}, "alphabet_limit=-1; give a whole"),
        ({"size": 20, "criterion": "bpe"}, "criterion='bpe'.*count, likelihood, ratio"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_tokenizer(["abc abc", "abc"], **arguments)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("hug hugs", r"texts is a single str; give a list of texts: \[text\]"),
        (["a", None], "a text is a str, not NoneType"),
        ([b"a"], "a text is a str, not bytes"),
    ],
)
def test_wrong_texts(texts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_tokenizer(texts, 30)


def test_counting_forgets_what_does_not_repeat(monkeypatch, texts: list[str]) -> None:
    expected = count_words(texts)
    monkeypatch.setattr("bertcore.text.merges._MOST_CHUNKS", 50)
    assert count_words(texts) == expected


def test_no_text_at_all() -> None:
    with pytest.raises(ValueError, match="these texts give 5 pieces, not size=30"):
        train_tokenizer([], 30)


def test_a_tokenizer_can_be_trained_saved_and_loaded(tmp_path, texts) -> None:
    tokenizer = train_tokenizer(texts, 1500)
    tokenizer.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.vocabulary == tokenizer.vocabulary
    assert [again.encode(t) for t in texts] == [tokenizer.encode(t) for t in texts]
