"""Characters: what BERT's pre-tokeniser does to each one before it looks for pieces.

The reference is google-research/bert tokenization.py, `BasicTokenizer`: drop control
characters, put spaces around Chinese characters and punctuation, and in an uncased
model lower the case and drop accents.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import accumulate
from operator import itemgetter
from typing import TypeVar
from unicodedata import combining

# tokenization.py, `_is_chinese_char`: the CJK blocks, not kana and not Hangul.
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# All ASCII that is no letter, digit or space counts as punctuation, `$` and `^` too.
_ASCII_SYMBOLS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


HALF = re.compile("[\ud800-\udfff]")  # half of a surrogate pair: no file can hold it


T = TypeVar("T")


class _Table(dict[int, T]):
    """For `str.translate`: a rule's answer for each character, kept once known."""

    def __init__(self, rule: Callable[[str], T]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, code: int) -> T:
        self[code] = answer = self.rule(chr(code))
        return answer


def _clean(character: str) -> str:
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    if any(first <= ord(character) <= last for first, last in _CHINESE):
        return f" {character} "
    return character


def _separate(character: str) -> str:
    """Spaces around punctuation."""
    if character in _ASCII_SYMBOLS or unicodedata.category(character)[0] == "P":
        return f" {character} "
    return character


def _separate_unaccented(character: str) -> str:
    """The same, without accents: after NFD they are characters of their own (Mn)."""
    if unicodedata.category(character) == "Mn":
        return ""
    return _separate(character)


_CLEAN = _Table(_clean)
_SEPARATE = _Table(_separate)
_SEPARATE_UNACCENTED = _Table(_separate_unaccented)


def split_words(text: str, lowercase: bool) -> list[str]:
    """Words and punctuation marks, in order.

    >>> split_words("Déjà vu, isn't it?", lowercase=True)
    ['deja', 'vu', ',', 'isn', "'", 't', 'it', '?']
    """
    if text.isascii() and text.isprintable():  # nothing to clean, and no accents
        return (text.lower() if lowercase else text).translate(_SEPARATE).split()
    cleaned = text.translate(_CLEAN)
    if not lowercase:
        return cleaned.translate(_SEPARATE).split()
    decomposed = unicodedata.normalize("NFD", cleaned.lower())
    return decomposed.translate(_SEPARATE_UNACCENTED).split()


# What stays of a character in the words: nothing of a space or an accent, two or three
# characters of a syllable of Hangul.
_KEPT = {
    True: _Table(lambda character: "".join(split_words(character, lowercase=True))),
    False: _Table(lambda character: "".join(split_words(character, lowercase=False))),
}
_STAYS = {
    lowercase: _Table(lambda c, kept=kept: len(kept[ord(c)]) == 1 and not combining(c))
    for lowercase, kept in _KEPT.items()
}


def keeps_places(text: str, lowercase: bool) -> bool:
    """Whether the words of a text, side by side, are as the text is, one for one.

    >>> keeps_places("isn't", lowercase=True), keeps_places("a b", lowercase=True)
    (True, False)
    """
    if text.isascii() and text.isprintable():  # nearly always, so it costs no more
        return " " not in text
    return all(map(_STAYS[lowercase].__getitem__, map(ord, text)))


def origins(text: str, lowercase: bool) -> list[int]:
    """The place in `text` of each character of its words, side by side.

    >>> split_words("À la", lowercase=True), origins("À la", lowercase=True)
    (['a', 'la'], [0, 2, 3])
    """
    kept = [_KEPT[lowercase][ord(character)] for character in text]
    if not lowercase or not any(map(combining, "".join(kept))):
        return [i for i, characters in enumerate(kept) for _ in characters]
    # A few marks are no accents (Mn) and stay, but NFD puts a run of them in order.
    # Here it is done by its definition: decompose each character, then sort each run.
    apart = [
        (c, i)
        for i, before in enumerate(text)
        for c in unicodedata.normalize("NFD", _CLEAN[ord(before)].lower())
    ]
    classes = [combining(c) for c, _ in apart]
    runs = accumulate(rank == 0 for rank in classes)  # a letter begins one
    ordered = sorted(zip(runs, classes, apart, strict=True), key=itemgetter(0, 1))
    return [
        i
        for _, _, (c, i) in ordered
        for character in _SEPARATE_UNACCENTED[ord(c)]
        if not character.isspace()
    ]
