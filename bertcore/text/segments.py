"""Segments: one or two texts between special tokens, cut to length (chapter 1)."""

from typing import TypeVar

T = TypeVar("T")


def framed(
    first: list[T], second: list[T], cls: T, sep: T, max_length: int | None
) -> tuple[list[T], list[T]]:
    """`[CLS] first [SEP]` and `second [SEP]`; the second is empty if nothing is in it.

    With `max_length` the longer one loses its last items first, the second on a tie
    (google-research/bert run_classifier.py, `_truncate_seq_pair`).

    Args:
        first, second: ids, or anything else that stands for pieces.
        cls, sep: the special tokens, of the same kind.
        max_length: of both together, special tokens included.

    Raises:
        ValueError: if the special tokens leave no room for a piece.

    >>> framed(list("abc"), list("de"), "[", "]", max_length=6)
    (['[', 'a', 'b', ']'], ['d', ']'])
    """
    special = 3 if second else 2
    if max_length is not None:
        if max_length < special + 1:
            raise ValueError(
                f"max_length={max_length} leaves no room for a piece beside the "
                f"{special} special tokens; give {special + 1} or more"
            )
        while len(first) + len(second) > max_length - special:
            (first if len(first) > len(second) else second).pop()
    return [cls, *first, sep], [*second, sep] if second else []
