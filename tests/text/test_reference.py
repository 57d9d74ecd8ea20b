"""The tokenizer equals Google's own code, id for id; where libraries do not is listed.

Every code point between letters, 20,000 fuzzed strings, and megabytes of real text in
more than twenty scripts, cased and uncased: all of it with BERTCORE_WHOLE=1, which CI
sets weekly. Else every character outside the large blocks that one rule covers, with a
sample of those, and a part of the texts.
"""

import json
import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from tokenizers import BertWordPieceTokenizer

from bertcore import Tokenizer
from bertcore.text.characters import split_words
from bertcore.text.corpora import introductions
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import WHOLE, sample
from tests.google import GoogleTokenizer
from tests.google import words as google_words
from tools import disagreements as record

# Blocks that the fuzz draws from: ASCII often, then what has rules of its own.
BLOCKS = [
    *[(0x20, 0x7F)] * 6, (0, 0x20), (0x80, 0x250), (0x300, 0x370), (0x370, 0x400),
    (0x400, 0x530), (0x590, 0x700), (0x900, 0xD80), (0xE00, 0xE80), (0x1100, 0x1200),
    (0x1E00, 0x2070), (0x2100, 0x2200), (0x2600, 0x2800), (0x3000, 0x3100),
    (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xF900, 0xFB50), (0xFE00, 0x10100),
    (0x1D400, 0x1D500), (0x1F300, 0x1F700), (0x20000, 0x20100), (0xE0000, 0xE0080),
]  # fmt: skip


# Han, Hangul, private use: what holds of one character there holds of all.
REGULAR = [
    (0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0x20000, 0x110000),
]  # fmt: skip


def code_points() -> list[int]:
    """All; or those of irregular blocks that are assigned, and a sample of the rest."""
    everything = list(record.every_code_point())
    if WHOLE:
        return everything
    regular = {code for block in REGULAR for code in range(*block)}
    irregular = {c for c in everything if unicodedata.category(chr(c)) != "Cn"}
    ends = {code for first, end in REGULAR for code in (first, end - 1)}
    return sorted((irregular - regular) | ends | {*sample(everything, 5000)})


def fuzz(vocabulary: list[str], count: int) -> Iterator[str]:
    """Words, capitals, special tokens, very long words and characters of all kinds."""
    draw = random.Random(0)
    words = [piece.removeprefix("##") for piece in vocabulary[2000:20000]]
    for _ in range(count):
        parts = []
        for _ in range(draw.randint(1, 12)):
            kind = draw.random()
            if kind < 0.35:
                parts.append(draw.choice(words))
            elif kind < 0.40:
                parts.append(draw.choice([*SPECIAL, "[unused1]", "##ing"]))
            elif kind < 0.42:
                parts.append(draw.choice("abxyΣ") * draw.randint(90, 210))
            elif kind < 0.60:
                parts.append(draw.choice(words).title())
            else:
                block = range(*draw.choice(BLOCKS))
                drawn = draw.choices(block, k=draw.randint(1, 6))
                parts.append("".join(map(chr, drawn)))
            parts.append(draw.choice([*"     \t\n.,-'", "", "", "", ""]))
        text = "".join(parts)
        yield "".join(c for c in text if unicodedata.category(c) != "Cs")


@cache  # two classes and the playground read them
def translations() -> dict[str, str]:
    """The interface of Django in each language that it speaks."""
    folder = Path(find_spec("django").submodule_search_locations[0])
    texts: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.mo")):
        with path.open("rb") as file:
            for message in read_mo(file):
                found = message.string
                strings = [found] if isinstance(found, str) else found
                texts.setdefault(path.parts[-3], []).extend(filter(None, strings))
    return {language: "\n".join(found) for language, found in texts.items()}


def recorded_disagreements() -> dict[str, Any]:
    """What tools/disagreements.py wrote, and chapter 1 reads."""
    return json.loads(record.RECORD.read_text(encoding="utf8"))


class Reference:
    """All that is compared, for one case; the two run side by side."""

    lowercase: bool

    @pytest.fixture
    def ours(self, real_tokenizer: Tokenizer) -> Tokenizer:
        return Tokenizer(real_tokenizer.vocabulary, self.lowercase)

    @pytest.fixture
    def google(self, real_tokenizer: Tokenizer) -> GoogleTokenizer:
        return GoogleTokenizer(real_tokenizer.vocabulary, self.lowercase)

    def test_ids_of_every_code_point(
        self, ours: Tokenizer, google: GoogleTokenizer
    ) -> None:
        codes = code_points()
        assert len(codes) == 1_112_064 if WHOLE else len(codes) > 40_000
        for start in range(0, len(codes), 1000):
            text = " ".join(f"a{chr(c)}b" for c in codes[start : start + 1000])
            assert ours.encode(text)[1:-1] == google.ids(text), hex(codes[start])

    def test_words_of_every_code_point_and_the_record(self, monkeypatch) -> None:
        """No word differs from Google's; the libraries differ exactly as recorded."""
        mine = {"bertcore": lambda text: split_words(text, self.lowercase)}
        codes = code_points()
        monkeypatch.setattr(record, "every_code_point", lambda: codes)
        found = record.differing_code_points(self.lowercase, mine)
        assert not [library for library, _ in found if library == "bertcore"]
        assert not [why for _, why in found if why == "unknown"]
        recorded = recorded_disagreements()
        if record.versions() != recorded["versions"]:
            assert sys.version_info[:2] != (3, 11), "run python -m tools.disagreements"
            return  # another Unicode version: other tables, other numbers
        wanted = {
            (entry["library"], entry["cause"]): {
                code
                for first, last in entry["ranges"]
                for code in range(int(first, 16), int(last, 16) + 1)
            }.intersection(codes)
            for entry in recorded["causes"]
            if entry["lowercase"] == self.lowercase
        }
        assert {key: set(differing) for key, differing in found.items()} == {
            key: expected for key, expected in wanted.items() if expected
        }

    def test_fuzz(
        self, ours: Tokenizer, google: GoogleTokenizer, encoder_folder: Path
    ) -> None:
        """No difference from Google; four causes for each one from the Rust library."""
        library = BertWordPieceTokenizer(
            str(encoder_folder / "vocab.txt"),
            lowercase=self.lowercase,
            strip_accents=self.lowercase,
        )
        listed = {
            code
            for entry in recorded_disagreements()["causes"]
            if entry["library"] == "tokenizers"
            if entry["lowercase"] == self.lowercase
            for first, last in entry["ranges"]
            for code in range(int(first, 16), int(last, 16) + 1)
        }
        causes: Counter[str] = Counter()
        count = 20_000 if WHOLE else 4000
        for text in fuzz(ours.vocabulary, count):
            ids = google.ids(text)
            assert ours.encode(text)[1:-1] == ids, ascii(text)
            if library.encode(text, add_special_tokens=False).ids == ids:
                causes["none"] += 1
            elif any(token in text for token in SPECIAL):
                causes["special token in the text"] += 1
            elif listed & set(map(ord, text)):
                causes["code point in the record"] += 1
            elif any(len(word) > 100 for word in google_words(text, self.lowercase)):
                causes["word of more than 100 characters"] += 1
            else:
                assert self.lowercase and "Σ" in text, ascii(text)
                causes["final sigma"] += 1
        assert causes["none"] > count / 2

    @pytest.mark.parametrize("language", ["en", "es", "fr"])
    def test_wikipedia(
        self, language: str, ours: Tokenizer, google: GoogleTokenizer
    ) -> None:
        texts = [document.text for document in introductions(language).documents][::2]
        assert sum(len(text.encode()) for text in texts) > 1_000_000
        texts = sample(texts, 600)
        wrong = [t for t in texts if ours.encode(t)[1:-1] != google.ids(t)]
        assert not wrong

    def test_more_than_twenty_scripts(
        self, ours: Tokenizer, google: GoogleTokenizer
    ) -> None:
        texts = translations()
        letters = Counter(
            unicodedata.name(character).split()[0]
            for character in "".join(texts.values())
            if character.isalpha()
        )
        assert len([script for script, n in letters.items() if n > 500]) >= 20
        assert sum(len(text.encode()) for text in texts.values()) > 2_000_000
        for language, text in texts.items():
            text = text if WHOLE else text[:8000]
            assert ours.encode(text)[1:-1] == google.ids(text), language


class TestUncased(Reference):
    lowercase = True


class TestCased(Reference):
    lowercase = False


def test_examples_of_the_record_are_still_so() -> None:
    assert record.examples() == recorded_disagreements()["examples"]


def test_special_tokens_in_a_text_are_text(real_tokenizer: Tokenizer) -> None:
    """As in Google's code, and unlike the libraries."""
    google = GoogleTokenizer(real_tokenizer.vocabulary)
    for token in SPECIAL:
        text = f"say {token}, please{token}"
        ids = real_tokenizer.encode(text)[1:-1]
        assert ids == google.ids(text)
        assert real_tokenizer.ids[token] not in ids
