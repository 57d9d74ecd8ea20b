"""English: what is held out stays out, under whatever name it comes again."""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from bertcore.text.corpora import (
    CORPORA,
    ONE_IN,
    PackagedCorpus,
    english,
    is_held_out,
    wikitext,
)
from bertcore.text.documents import Document


@pytest.fixture(scope="module", autouse=True)
def shelf() -> Iterator[dict[str, PackagedCorpus]]:
    """Each corpus is read once."""
    kept = {
        name: each._replace(load=cache(each.load)) for name, each in CORPORA.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bertcore.text.corpora.CORPORA", kept)
        yield kept


@pytest.fixture(scope="module")
def train(shelf) -> list[Document]:
    return english()


@pytest.fixture(scope="module")
def apart(shelf) -> list[Document]:
    return english(held_out=True)


def test_no_title_is_in_both(train, apart) -> None:
    """Also where the two Bibles call a book by two names."""
    titles = [
        {d.title.replace("Song of Songs", "Song of Solomon") for d in documents}
        for documents in (train, apart)
    ]
    assert not titles[0] & titles[1]


def test_no_document_is_lost(shelf, train, apart) -> None:
    """All of the shelf, and WikiText's validation split; twins of its titles not."""
    valid = wikitext("valid").documents
    titles = {document.title for document in valid}
    whole = [d for shelved in shelf.values() for d in shelved.load().documents]
    kept = [document for document in whole if document.title not in titles]
    assert Counter([*train, *apart]) == Counter([*valid, *kept])
    assert apart[: len(valid)] == valid and len(valid) == 60


def test_about_one_in_fifty_is_held_out(train, apart) -> None:
    share = (len(apart) - 60) / (len(apart) - 60 + len(train))
    assert ONE_IN == 50 and 0.015 < share < 0.025


def test_both_bibles_hold_out_the_same_chapters(shelf) -> None:
    """One of them calls a book Song of Songs, the other Song of Solomon."""
    held_out = [
        {
            d.title.replace("Song of Songs", "Song of Solomon")
            for d in shelf[f"bible-{version}"].load().documents
            if is_held_out(d.title)
        }
        for version in ("web", "kjv")
    ]
    assert held_out[0] == held_out[1] and len(held_out[0]) > 10
    assert is_held_out("Song of Songs 4") == is_held_out("Song of Solomon 4")


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertcore.text.corpora.CORPORA", CORPORA)
    monkeypatch.setattr("bertcore.text.corpora.module_folder", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install"):
        english()
