"""Sentences: where they end, in several languages, and in text that is no prose."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.text import documents
from bertcore.text.corpora import introductions
from bertcore.text.documents import split_sentences


@pytest.mark.parametrize(
    ("text", "last_words"),
    [
        ("Dr. Smith met Mr. J. R. Jones on Jan. 5. They spoke.", ["5.", "spoke."]),
        ("The U.S. Senate met. He lives in the U.S. She left.",
         ["met.", "U.S.", "left."]),
        ("Some, e.g. cats, cost 3.50 dollars. Yes.", ["dollars.", "Yes."]),
        ('He said, "Come in. Sit down." Then he left.', ['down."', "left."]),
        ('"Why?" she asked. "Because!" he cried.', ["asked.", "cried."]),
        ("Yahoo! is a company. Apple Inc. grew.", ["company.", "grew."]),
        ("E. coli is a bacterium. C. elegans is not.", ["bacterium.", "not."]),
        ("Wait... what? Really?! OK.", ["what?", "Really?!", "OK."]),
        ("He is known . It is spaced .", [".", "."]),
        ("No full stop here", ["here"]),
    ],
)  # fmt: skip
def test_where_sentences_end(text: str, last_words: list[str]) -> None:
    sentences = split_sentences(text)
    assert [sentence.split()[-1] for sentence in sentences] == last_words
    assert " ".join(sentences) == text


def test_other_languages() -> None:
    assert split_sentences("他来了。我走了！你呢？", "zh") == [
        "他来了。",
        "我走了！",
        "你呢？",
    ]
    assert split_sentences("वह आया। मैं गया।", "hi") == ["वह आया।", "मैं गया।"]
    assert split_sentences("هل جاء؟ نعم.", "ar") == ["هل جاء؟", "نعم."]
    german = "Dr. Müller wohnt z. B. in Ulm. Am 5. Mai kam Prof. Schmidt."
    assert len(split_sentences(german, "de")) == 2
    assert len(split_sentences("El Sr. García llegó. La Sra. Pérez no.", "es")) == 2
    assert (
        len(split_sentences("А. С. Пушкин родился в 1799 г. в Москве. Он умер.", "ru"))
        == 2
    )


def test_french_titles_are_not_known() -> None:
    """A limit of the library: if this fails, it has learned them."""
    assert split_sentences("M. Dupont est parti.", "fr") == ["M.", "Dupont est parti."]


def test_a_line_break_ends_a_sentence() -> None:
    text = "\ufeffa\nb. c\r\nd\re\u2028f\u2029g\n \n\n h \x0bi"
    assert split_sentences(text.lstrip("\ufeff")) == [*"a", "b. c", *"defghi"]


def test_empty_texts() -> None:
    assert split_sentences("") == split_sentences(" \n\u00a0\r\n\t") == []


def test_white_space_that_stops_the_library() -> None:
    """sentencex 1.0.32 panics at a capital, a wide space and a full stop."""
    assert split_sentences("Étape B\u00a0. Puis\u3000C\u2009.", "fr")
    assert split_sentences("10\u00a0km are 6\u202fmi.") == ["10 km are 6 mi."]


def test_an_enormous_line_takes_linear_time_and_loses_nothing() -> None:
    """The library alone takes 50 seconds for 320,000 characters of the third."""
    for text in ("word " * 200_000, "x" * 1_000_000, "他来了。" * 100_000):
        begin = time.perf_counter()
        sentences = split_sentences(text)
        assert time.perf_counter() - begin < 15
        assert "".join(sentences).replace(" ", "") == text.replace(" ", "")
        assert max(map(len, sentences)) <= documents.LONGEST
    assert split_sentences("word " * 2000)[0].endswith("word word")


def test_windows_change_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [document.text for document in introductions().documents[:300]]
    line = " ".join(texts).replace("\n", " ")
    windows = split_sentences(line)
    monkeypatch.setattr(documents, "LONGEST", 30_000)
    assert split_sentences(line) == windows


@given(st.text(st.sampled_from(" .?!\"'()[]…“”aBÉZ\u00a0\u2009。1,-\u200b\u0301😀\n")))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="language='english' is no code .* two or thr"):
        split_sentences("One.", "english")
    with pytest.raises(ValueError, match="half a character, U\\+D83D; mend the text"):
        split_sentences("One \ud83d two.")
    monkeypatch.setitem(sys.modules, "sentencex", None)
    with pytest.raises(FileNotFoundError, match="run: pip install sentencex"):
        split_sentences("One.")
