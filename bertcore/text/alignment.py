"""Alignment: words with tags become pieces with labels (chapter 10).

A tag belongs to a word, and a word may become several pieces. The first piece stands
for the word: its state is read, and the others are asked nothing (Devlin et al. 2019,
5.3).
"""

from collections.abc import Sequence
from typing import NamedTuple

from bertcore.text.wordpiece import Tokenizer


class Aligned(NamedTuple):
    """Pieces of some words in a row, between [CLS] and [SEP].

    `firsts` are the places in `ids` of each word's first piece; `start` is the number
    of the first word.
    """

    ids: list[int]
    firsts: list[int]
    start: int = 0


def align(words: Sequence[str], tokenizer: Tokenizer, length: int) -> list[Aligned]:
    """The pieces of words, in as many parts as their number needs.

    A part ends between two words, so no word is lost, however many there are. A word
    with more pieces than a part has room for loses its last ones. A word without
    pieces, such as a control character, becomes [UNK]: it has a tag as any other.

    Args:
        words: of a sentence.
        tokenizer: that of the model.
        length: the most pieces of a part, [CLS] and [SEP] included.

    Raises:
        ValueError: if there are no words, or no room for a piece.

    >>> from bertcore.text.vocabulary import SPECIAL
    >>> tokenizer = Tokenizer([*SPECIAL, "un", "##believ", "##able", "!"])
    >>> align(["unbelievable", "!"], tokenizer, length=8)
    [Aligned(ids=[2, 5, 6, 7, 8, 3], firsts=[1, 4], start=0)]
    """
    if not words:
        raise ValueError("no words; give a list of one word at least")
    if length < 3:
        raise ValueError(f"length={length} leaves no room for a piece; give 3 or more")
    parts: list[Aligned] = []
    for number, word in enumerate(words):
        pieces = tokenizer.encode(word)[1:-1] or [tokenizer.unk_id]
        pieces = pieces[: length - 2]
        if not parts or len(parts[-1].ids) + len(pieces) + 1 > length:
            parts.append(Aligned([tokenizer.cls_id], [], number))
        ids, firsts, _ = parts[-1]
        firsts.append(len(ids))
        ids += pieces
    for part in parts:
        part.ids.append(tokenizer.sep_id)
    return parts
