"""Characters: what BERT's pre-tokeniser does to each one before it looks for pieces.

The reference is google-research/bert tokenization.py, `BasicTokenizer`: drop control
characters, put spaces around Chinese characters and punctuation, and in an uncased
model lower the case and drop accents.
"""

import re
import unicodedata
from collections.abc import Callable

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


class _Table(dict[int, str]):
    """For `str.translate`: a rule's answer for each character, kept once known."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, code: int) -> str:
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


def split_words_with_origins(text: str, lowercase: bool) -> list[tuple[str, list[int]]]:
    """The words of `split_words`, each with the place in `text` of each character.

    The same rules once more, character by character: remembering where each came from
    is several times slower, so the two are apart, and a test holds them equal.

    >>> split_words_with_origins("À la", lowercase=True)
    [('a', [0]), ('la', [2, 3])]
    """
    traced = [(c, i) for i, before in enumerate(text) for c in _CLEAN[ord(before)]]
    if lowercase:
        traced = _decompose(_lower(traced))
    table = _SEPARATE_UNACCENTED if lowercase else _SEPARATE
    words: list[list[tuple[str, int]]] = [[]]
    for character, origin in traced:
        for c in table[ord(character)]:
            if c.isspace():
                words.append([])
            else:
                words[-1].append((c, origin))
    return [("".join(c for c, _ in w), [i for _, i in w]) for w in words if w]


def _lower(traced: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Lower case may lengthen a character (İ); a sigma depends on its neighbours."""
    lowered = "".join(character for character, _ in traced).lower()
    origins = [i for character, i in traced for _ in character.lower()]
    return list(zip(lowered, origins, strict=True))


def _decompose(traced: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """NFD by its definition: decompose each character, then order runs of marks."""
    apart = [
        (c, i) for before, i in traced for c in unicodedata.normalize("NFD", before)
    ]
    run_start = 0
    for index in range(len(apart) + 1):
        if index == len(apart) or not unicodedata.combining(apart[index][0]):
            marks = apart[run_start:index]
            apart[run_start:index] = sorted(
                marks, key=lambda mark: unicodedata.combining(mark[0])
            )
            run_start = index + 1
    return apart
