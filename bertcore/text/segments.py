"""Segments: one or two texts between special tokens, cut to length (chapter 1)."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def framed(
    first: list[T],
    second: list[T],
    cls: T,
    sep: T,
    max_length: int | None,
    separators: int = 1,
) -> tuple[list[T], list[T]]:
    """`[CLS] first [SEP]` and `second [SEP]`; the second is empty if nothing is in it.

    With `max_length` the longer one loses its last items first, the second on a tie
    (google-research/bert run_classifier.py, `_truncate_seq_pair`).

    Args:
        first, second: ids, or anything else that stands for pieces.
        cls, sep: the special tokens, of the same kind.
        max_length: of both together, special tokens included.
        separators: between the two: BERT has one, RoBERTa two.

    Raises:
        ValueError: if the special tokens leave no room for a piece.

    >>> framed(list("abc"), list("de"), "[", "]", max_length=6)
    (['[', 'a', 'b', ']'], ['d', ']'])
    """
    special = 2 + separators if second else 2
    if max_length is not None:
        if max_length < special + 1:
            raise ValueError(
                f"max_length={max_length} leaves no room for a piece beside the "
                f"{special} special tokens; give {special + 1} or more"
            )
        while len(first) + len(second) > max_length - special:
            (first if len(first) > len(second) else second).pop()
    if not second:
        return [cls, *first, sep], []
    return [cls, *first, *[sep] * separators], [*second, sep]


def matched(
    texts: str | Sequence[str], pairs: str | Sequence[str] | None
) -> list[tuple[str, str | None]]:
    """Each text with its pair, or with None.

    Raises:
        ValueError: if there are no texts, or not as many pairs.
    """
    texts = [texts] if isinstance(texts, str) else list(texts or [])
    pairs = [pairs] if isinstance(pairs, str) else pairs
    if not texts:
        raise ValueError("no texts: an empty batch; give at least one text")
    if pairs is not None and len(pairs) != len(texts):
        raise ValueError(
            f"{len(texts)} texts but {len(pairs)} pairs; give each text its pair"
        )
    return list(zip(texts, pairs or [None] * len(texts), strict=True))


def check_text(text: object) -> None:
    """ValueError unless it is one text."""
    if not isinstance(text, str):
        raise ValueError(
            f"a text is a str, not {type(text).__name__}; "
            "for several texts call the tokenizer itself: tokenizer(texts)"
        )


def check_id(id: int, pieces: int) -> None:
    """ValueError unless a vocabulary of so many pieces has this id."""
    if not 0 <= id < pieces:
        raise ValueError(
            f"id {id} is not in this vocabulary of {pieces} pieces "
            f"(0 to {pieces - 1}); decode with the tokenizer that encoded"
        )
