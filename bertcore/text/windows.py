"""Windows: a long context in overlapping parts, and an answer in it (chapter 10).

The reference is google-research/bert run_squad.py, `convert_examples_to_features`.
"""

from itertools import zip_longest
from typing import NamedTuple
from unicodedata import category

import torch
from torch import Tensor

from bertcore.text.library_tokenizer import AnyTokenizer
from bertcore.text.wordpiece import Piece

LONGEST_QUESTION = 64  # pieces; run_squad.py, `max_query_length`
LONGEST_ANSWER = 30  # pieces; run_squad.py, `max_answer_length`


class Window(NamedTuple):
    """`[CLS] question [SEP]` and a part of the context with its `[SEP]`.

    Between the two stand as many [SEP] as the tokenizer says: RoBERTa has two.

    `places` says of each piece of that part which characters of the context it is:
    `context[start:end]`. `reach` are the characters of which no other piece is needed:
    from the end of the piece before the part to the start of the one after it.
    """

    first: list[int]
    second: list[int]
    places: list[tuple[int, int]]
    reach: tuple[int, int]


def windows(
    question: str,
    context: str,
    tokenizer: AnyTokenizer,
    length: int,
    stride: int | None = None,
) -> list[Window]:
    """A question with each part of its context.

    Args:
        question: of more than 64 pieces, the first 64 are kept.
        context: of any length.
        tokenizer: that of the model.
        length: the most pieces of a window, special tokens included.
        stride: how many pieces further on the next part begins; None is half a part.

    Raises:
        ValueError: if the context has no pieces, or there is no room for it.
    """
    asked = tokenizer.encode(question)[1:-1][:LONGEST_QUESTION]
    first = [tokenizer.cls_id, *asked, *[tokenizer.sep_id] * tokenizer.separators]
    pieces = tokenizer.pieces(context)
    room = length - len(first) - 1
    if not pieces:
        raise ValueError(f"the context {context[:40]!r} has no pieces; give a text")
    if room < 1:
        raise ValueError(
            f"length={length} leaves no room for a context beside a question of "
            f"{len(asked)} pieces; give {len(first) + 2} or more"
        )
    stride = max(1, room // 2) if stride is None else stride
    if not 1 <= stride <= room:
        raise ValueError(
            f"stride={stride}, but length={length} leaves room for {room} pieces "
            f"beside a question of {len(asked)}; give a stride of 1 to {room}, or "
            "more length"
        )
    places = _places(pieces, context)
    borders = [(0, 0), *places, (len(context), len(context))]
    found, start = [], 0
    while True:
        end = min(start + room, len(pieces))
        ids = [piece.id for piece in pieces[start:end]] + [tokenizer.sep_id]
        reach = borders[start][1], borders[end + 1][0]
        found.append(Window(first, ids, places[start:end], reach))
        if end == len(pieces):
            return found
        start += stride


def _places(pieces: list[Piece], context: str) -> list[tuple[int, int]]:
    """What each piece stands for, with the accents behind it that encoding drops."""
    found = []
    for piece, after in zip_longest(pieces, pieces[1:]):
        end, most = piece.end, after.start if after else len(context)
        while end < most and category(context[end]) == "Mn":
            end += 1
        found.append((piece.start, end))
    return found


def answer_places(window: Window, start: int, end: int) -> tuple[int, int]:
    """Where an answer, `context[start:end]`, begins and ends in a window.

    Returns:
        The places of its first and last piece, or 0 and 0, which is [CLS], if the
        answer is not whole in this window.
    """
    if start < window.reach[0] or end > window.reach[1]:
        return 0, 0
    touched = [n for n, (a, b) in enumerate(window.places) if a < end and b > start]
    if not touched:
        return 0, 0
    return len(window.first) + touched[0], len(window.first) + touched[-1]


class Span(NamedTuple):
    """First and last piece of a part of the context, from 0, and its score."""

    first: int
    last: int
    score: float


def best_span(start: Tensor, end: Tensor, longest: int = LONGEST_ANSWER) -> Span:
    """The pair of places with the highest sum of scores, the end not before the start.

    Args:
        start, end: the scores of a window's part of the context, `s` each.
        longest: the most pieces of an answer.
    """
    scores = start[:, None] + end[None, :]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(longest - 1)
    best = int(scores.masked_fill(~allowed, -torch.inf).argmax())
    first, last = divmod(best, len(end))
    return Span(first, last, float(scores[first, last]))
