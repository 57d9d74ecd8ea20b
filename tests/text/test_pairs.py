"""Pairs and masks as Google's own code makes them, draw by draw."""

from collections.abc import Sequence
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore import Tokenizer
from bertcore.text.corpora import introductions
from bertcore.text.masking import Masker
from bertcore.text.pairs import (
    FOLLOWS,
    RANDOM,
    cut,
    document_pairs,
    pair_examples,
    training_pairs,
)
from bertcore.text.store import Store
from bertcore.text.vocabulary import SPECIAL
from tests.google import creation

# A store's documents, and every sentence as a list of strings for Google's code.
Documents = Sequence[Sequence[range]]


def made(sizes: Sequence[Sequence[int]]) -> Documents:
    """Documents of sentences of these sizes, one after the other in one array."""
    place, documents = 0, []
    for document in sizes:
        sentences = []
        for size in document:
            sentences.append(range(place, place + size))
            place += size
        documents.append(sentences)
    return documents


def google_instances(
    documents: list[list[list[str]]],
    vocabulary: list[str],
    length: int,
    repeats: int,
    limit: int,
    rng: Random,
) -> list:
    """`create_training_instances` from its shuffle to before the last one."""
    module, instances = creation(), []
    rng.shuffle(documents)
    for _ in range(repeats):
        for index in range(len(documents)):
            instances += module.create_instances_from_document(
                documents, index, length, 0.1, 0.15, limit, vocabulary, rng
            )
    return instances


def our_instances(
    store: Store, tokenizer: Tokenizer, length: int, repeats: int, limit: int, rng
) -> list:
    """The same fields; masks are drawn between two pairs."""
    masker, found = Masker(tokenizer, limit=limit), []
    for first, second, label in training_pairs(store, length, repeats, rng):
        a, b = (store.ids[stretch].tolist() for stretch in (first, second))
        ids = [tokenizer.cls_id, *a, tokenizer.sep_id, *b, tokenizer.sep_id]
        hidden, places, labels = masker.text(ids, rng)
        words = tokenizer.vocabulary
        found.append(
            SimpleNamespace(
                tokens=[words[id] for id in hidden],
                segment_ids=[0] * (len(a) + 2) + [1] * (len(b) + 1),
                is_random_next=label == RANDOM,
                masked_lm_positions=places,
                masked_lm_labels=[words[id] for id in labels],
            )
        )
    return found


def assert_equal(ours: list, theirs: list) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert vars(mine) == vars(other)


@pytest.mark.parametrize(
    ("length", "repeats", "limit", "seed"),
    [(128, 2, 20, 0), (512, 1, 77, 1), (64, 1, 5, 2), (16, 1, 1, 3)],
)
def test_pairs_labels_and_masks_are_googles(
    real_tokenizer: Tokenizer, length: int, repeats: int, limit: int, seed: int
) -> None:
    """On 1,500 articles: every token, segment, label, masked place and true piece."""
    texts = [document.text for document in introductions().documents[::7]]
    store = Store.of(texts, real_tokenizer)
    words = real_tokenizer.vocabulary
    documents = [
        [[words[id] for id in store.ids[sentence].tolist()] for sentence in document]
        for document in store
    ]
    theirs = google_instances(documents, words, length, repeats, limit, Random(seed))
    ours = our_instances(store, real_tokenizer, length, repeats, limit, Random(seed))
    assert len(ours) > 1000
    assert_equal(ours, theirs)


def test_from_a_file_to_shuffled_instances(real_tokenizer: Tokenizer, tmp_path) -> None:
    """Google's whole function, from its own file format and by its own tokenizer."""
    module = creation()
    documents = introductions().documents[:300]
    texts = [" ".join(document.text.split()).split(". ") for document in documents]
    file, vocabulary = tmp_path / "corpus.txt", tmp_path / "vocab.txt"
    file.write_text("\n\n".join("\n".join(text) for text in texts), encoding="utf8")
    vocabulary.write_text("\n".join(real_tokenizer.vocabulary), encoding="utf8")
    tokenizer = module.tokenization.FullTokenizer(str(vocabulary))
    theirs = module.create_training_instances(
        [str(file)], tokenizer, 128, 2, 0.1, 0.15, 20, Random(5)
    )
    rng = Random(5)
    store = Store.of(texts, real_tokenizer)
    ours = our_instances(store, real_tokenizer, 128, 2, 20, rng)
    rng.shuffle(ours)
    assert_equal(ours, theirs)


sizes = st.lists(
    st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=5
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sizes, st.integers(5, 60), st.integers(0, 99))
def test_on_any_documents(sizes: list[list[int]], length: int, seed: int) -> None:
    """One document, lone sentences, sentences longer than the pair: as Google's."""
    documents = made(sizes)
    strings = [[[str(place) for place in s] for s in d] for d in documents]
    rng = Random(seed)
    theirs = google_instances(strings, ["[MASK]"], length, 2, 20, rng)
    masked = Random(seed)
    masker = Masker(Tokenizer([*SPECIAL]), limit=20)
    for (first, second, label), instance in zip(
        training_pairs(documents, length, 2, masked), theirs, strict=True
    ):
        tokens = ["[CLS]", *map(str, first), "[SEP]", *map(str, second), "[SEP]"]
        ids = [2, *[1] * len(first), 3, *[1] * len(second), 3]
        places = masker.text(ids, _OneWord(masked)).places
        assert label == int(instance.is_random_next)
        assert places == instance.masked_lm_positions
        assert [tokens[place] for place in places] == instance.masked_lm_labels
        kept = [t for i, t in enumerate(tokens) if i not in places]
        assert kept == [t for i, t in enumerate(instance.tokens) if i not in places]
        assert len(tokens) <= length and len(first) and len(second)


class _OneWord:
    """Draws as Google's code does from a vocabulary of one word."""

    def __init__(self, rng: Random) -> None:
        self.random, self.shuffle = rng.random, rng.shuffle
        self.inner = rng

    def randint(self, low: int, high: int) -> int:
        return self.inner.randint(0, 0)


def random_share(sizes: list[list[int]], length: int = 128, seed: int = 0) -> float:
    pairs = list(training_pairs(made(sizes), length, 3, Random(seed)))
    return sum(pair.label for pair in pairs) / len(pairs)


def test_random_is_more_than_half_and_depends_on_the_documents() -> None:
    """The rest goes back, so a random pair uses up less text; lone sentences have no
    other choice."""
    rng = Random(0)

    def documents(sentences: int) -> list[list[int]]:
        return [[rng.randint(10, 30) for _ in range(sentences)] for _ in range(800)]

    assert 0.53 < random_share(documents(40)) < 0.56
    shares = [random_share(documents(n)) for n in (5, 4, 3, 2, 1)]
    assert shares == sorted(shares), "shorter documents, more random pairs"
    assert 0.55 < shares[0] < 0.65 and 0.63 < shares[3] < 0.70 and shares[4] == 1
    longer_than_the_pair = [[200] * 8 for _ in range(300)]
    assert random_share(longer_than_the_pair) == 1
    half = [[rng.choice([20, 160]) for _ in range(8)] for _ in range(800)]
    assert 0.7 < random_share(half) < 0.9


def test_the_labels_mean_what_they_say() -> None:
    """0: the second stretch begins where the first ends, but for what was cut off."""
    documents = made([[6] * 30 for _ in range(50)])
    for index in range(50):
        for first, second, label in document_pairs(
            documents, index, 400, Random(index)
        ):
            home = range(180 * index, 180 * (index + 1))
            assert first.start in home
            if label == FOLLOWS:
                assert second.start == first.stop
            else:
                assert second.start not in home


def test_the_rest_of_a_random_pair_is_used_again() -> None:
    documents = made([[5] * 40, [5] * 40, [5] * 40])
    firsts, used = [], 0
    for first, second, label in document_pairs(documents, 0, 63, Random(3), short=0):
        firsts.append((first, label))
        assert first.start == used
        used = first.stop if label == RANDOM else second.stop
    assert used == 200 and {label for _, label in firsts} == {FOLLOWS, RANDOM}


def test_both_ends_are_cut_equally_often_and_the_longer_stretch_first() -> None:
    fronts = 0
    for seed in range(400):
        first, second = cut(range(100), range(100, 140), 80, Random(seed))
        assert len(first) == 40 and second == range(100, 140)
        fronts += first.start
    assert abs(fronts / 400 - 30) < 1
    for seed in range(50):
        first, second = cut(range(50), range(50, 100), 21, Random(seed))
        assert len(first) == 11 and len(second) == 10  # the second on a tie


def test_a_single_document_is_its_own_partner() -> None:
    documents = made([[5, 5, 5]])
    labels = [p.label for p in training_pairs(documents, 128, 20, Random(0))]
    assert RANDOM in labels  # though what it names random is not


def test_the_table_holds_the_pairs(real_tokenizer: Tokenizer) -> None:
    store = Store.of([d.text for d in introductions().documents[:50]], real_tokenizer)
    examples = pair_examples(store, 64, repeats=2, seed=4)
    pairs = list(training_pairs(store, 64, 2, Random(4)))
    assert examples.labels.tolist() == [pair.label for pair in pairs]
    rows = [[p.first.start, p.first.stop, p.second.start, p.second.stop] for p in pairs]
    assert examples.spans.tolist() == rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"documents": []}, "no documents; pairs need at least one"),
        ({"length": 4}, "length=4; give 5 or more: three special tokens"),
        ({"repeats": 0}, "repeats=0; give 1 or more"),
        ({"short": 1.5}, "short=1.5; it is a share, so give 0 to 1"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    given = {"documents": made([[3]]), "length": 10, "repeats": 1, "rng": Random(0)}
    with pytest.raises(ValueError, match=message):
        list(training_pairs(**{**given, **change}))
