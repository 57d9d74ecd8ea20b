"""New pieces: which words, with which ids, and the texts cut anew by them."""

from pathlib import Path

import numpy as np
import pytest

from bertcore import Tokenizer
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions
from bertcore.text.fast_tokenizer import load_tokenizer, train_byte_bpe
from bertcore.text.store import Store
from bertcore.text.vocabulary import SPECIAL
from bertcore.training import adaptation
from bertcore.training.adaptation import choose_new_pieces, cut_anew

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "##ing"]
TEXTS = [text.text for text in introductions().documents[:400]]
ODD = ["Ünïcode ಠ_ಠ, naïve 中文 foo-bar's e\u0301t\u00ad", "x" * 300, "[MASK] ## ##ing"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(PIECES)


def test_which_words_save_most(tokenizer: Tokenizer) -> None:
    """By hand: times × (pieces − 1), 5 times at least, then the alphabet."""
    words = {"king": 5, "sing": 9, "wing": 9, "at": 12, "the": 99, "zebra": 4}
    texts = [" ".join([word] * count) for word, count in words.items()]
    store = Store.of(texts, tokenizer)
    found = choose_new_pieces(store, tokenizer, 4)
    assert list(found) == ["at", "sing", "wing", "king"]  # 12, 9, 9, 5
    assert [tokenizer.vocabulary[id] for id in found["sing"]] == ["s", "##ing"]
    assert list(choose_new_pieces(store, tokenizer, 2)) == ["at", "sing"]


def test_a_longer_word_counts_all_that_it_saves(tokenizer: Tokenizer) -> None:
    store = Store.of(["marvel " * 5 + "at " * 20], tokenizer)
    assert list(choose_new_pieces(store, tokenizer, 2)) == ["marvel", "at"]  # 25, 20


def larger(tokenizer: Tokenizer, store: Store, count: int) -> Tokenizer:
    words = choose_new_pieces(store, tokenizer, count)
    pieces = [*tokenizer.vocabulary, *words]
    return Tokenizer(pieces, tokenizer.lowercase, tokenizer.max_word_characters)


@pytest.mark.parametrize("slice", [50, 1_000_000])
def test_a_store_cut_anew_is_that_of_the_texts(slice, tmp_path, monkeypatch) -> None:
    """Ids, sentences, documents and counts, whatever is in memory together."""
    monkeypatch.setattr(adaptation, "_SLICE", slice)
    old = load_tokenizer(OUR_MODEL)
    texts = [*TEXTS, *ODD]
    store = Store.of(texts, old)
    new = larger(old, store, 200)
    assert new.vocabulary[: len(old)] == old.vocabulary
    found, wanted = cut_anew(store, old, new, tmp_path / "new"), Store.of(texts, new)
    assert len(found.ids) < len(store.ids)
    for name in ("ids", "sentences", "documents"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    assert found.manifest["counts"] == wanted.manifest["counts"]
    same = cut_anew(store, old, old, tmp_path / "same")
    assert np.array_equal(same.ids, store.ids)


def test_ids_are_those_of_transformers(tmp_path: Path) -> None:
    """Of 200 texts, from vocab.txt and from tokenizer.json."""
    from transformers import BertTokenizer, BertTokenizerFast

    old = load_tokenizer(OUR_MODEL)
    new = larger(old, Store.of(TEXTS, old), 200)
    new.save_pretrained(tmp_path / "both")
    new.save_pretrained(tmp_path / "lines")
    (tmp_path / "lines" / "tokenizer.json").unlink()
    theirs = [
        BertTokenizerFast.from_pretrained(tmp_path / "both"),
        BertTokenizer.from_pretrained(tmp_path / "lines"),
    ]
    used: set[int] = set()
    for text in TEXTS[:200]:
        ids = new.encode(text)
        used.update(ids)
        for each in theirs:
            assert each(text)["input_ids"] == ids
    assert len([id for id in used if id >= len(old)]) > 100
    again = load_tokenizer(tmp_path / "both")
    assert again.encode(TEXTS[0]) == new.encode(TEXTS[0])


def test_a_rest_that_no_piece_spells_is_unknown_in_both(tmp_path: Path) -> None:
    """A new piece takes the beginning of a longer word; the count says so."""
    old = Tokenizer([*SPECIAL, "f", "##o", "##oz"])
    texts = ["foo " * 6 + "fooz"]  # f ##o ##oz, but foo ##z
    store = Store.of(texts, old)
    assert store.manifest["counts"]["unknown"] == 0
    new = Tokenizer([*old.vocabulary, *choose_new_pieces(store, old, 1)])
    assert new.vocabulary[-1] == "foo"
    found = cut_anew(store, old, new, tmp_path / "new")
    assert found.ids.tolist() == new.encode(texts[0])[1:-1]
    assert found.manifest["counts"]["unknown"] == 1


def test_what_cannot_be_added(tokenizer: Tokenizer) -> None:
    store = Store.of(["sing " * 5 + "at " * 4], tokenizer)
    for count in (0, 2, -1):
        message = f"new_pieces={count}, and the words that are cut into pieces and come"
        with pytest.raises(ValueError, match=f"{message} 5 .* are 1; give 1 to 1"):
            choose_new_pieces(store, tokenizer, count)
    with pytest.raises(ValueError, match="are 0; leave it out"):
        choose_new_pieces(Store.of(["the the"], tokenizer), tokenizer, 1)
    bytes_ = train_byte_bpe(["hug hugs hugging"] * 2, 265)
    with pytest.raises(ValueError, match="is for the WordPiece of a BERT without"):
        choose_new_pieces(Store.of(["hug"], bytes_), bytes_, 1)
