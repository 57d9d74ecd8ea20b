"""Splitting: a text becomes its sentences (chapter 6).

Wikimedia's library sentencex finds where they end. Of three libraries it was as good as
the best on abbreviations, quotations and other scripts, and a hundred times as fast as
the second fastest.
"""

import re
from collections.abc import Callable, Iterator

from bertcore.text.lines import fitting

LONGEST = 4000  # characters of a sentence; BERT's 512 pieces are about half of that
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # sentencex 1.0.32 ends at "A\u00a0."
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-\w+)*")


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, in order, stripped, none of them empty.

    The end of a line ends a sentence. A sentence of more than 4,000 characters is cut
    at white space where there is any. Nothing is lost; white space outside ASCII
    becomes a space.

    Args:
        text: of any length; the time grows with it and no faster.
        language: its code, for the abbreviations: "en", "de", "pt-br". The library
            takes a code that it does not know for a language close to it, in the end
            for English. Of French it knows few: "M." ends a sentence there.

    Raises:
        ValueError: if `language` has not the form of a code, or if the text holds half
            a character.
        FileNotFoundError: if the library is not installed.

    >>> split_sentences("Dr. Smith paid 3.50 dollars. She left.")
    ['Dr. Smith paid 3.50 dollars.', 'She left.']
    """
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(
            f"language={language!r} is no code of a language; give two or three "
            'letters, as "en" or "de"'
        )
    segment = _library()
    try:
        return [
            stripped
            for line in text.splitlines()
            for sentence in _sentences(_WIDE_SPACE.sub(" ", line), language, segment)
            if (stripped := sentence.strip())
        ]
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has half a character, U+{ord(error.object[error.start]):04X}; "
            'read it anew with bad_bytes="replace"'
        ) from error


def _sentences(
    line: str, language: str, segment: Callable[[str, str], list[str]]
) -> Iterator[str]:
    """The sentences of a line, which are the line when they are joined.

    The library's time grows with the square of the length of a line, in some scripts.
    So it sees a window at a time, and the last sentence in it is seen again whole.
    """
    start = 0
    while len(line) - start > LONGEST:
        window = line[start : start + LONGEST]
        *done, _ = segment(language, window)
        done = done or [fitting(line[start : start + LONGEST + 1], LONGEST)]
        yield from done
        start += sum(map(len, done))
    yield from segment(language, line[start:])


def _library() -> Callable[[str, str], list[str]]:
    try:
        from sentencex import segment
    except ImportError as error:
        raise FileNotFoundError(
            "sentences are found by a library that is not installed; "
            "run: pip install sentencex"
        ) from error
    return segment
