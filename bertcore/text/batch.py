"""Batch: texts of different lengths in one rectangle of ids (chapter 6)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def padded(
    rows: Sequence[tuple[list[int], list[int]]], pad_id: int
) -> dict[str, Tensor]:
    """Pad every row to the longest one.

    Args:
        rows: the ids of the first and of the second segment of each text, special
            tokens included; the second may be empty.
        pad_id: the id that fills up.

    Returns:
        Three tensors, `b s` each: `input_ids`; `token_type_ids`, 0 for the first
        segment and for padding, 1 for the second; `attention_mask`, 1 for a token
        and 0 for padding.

    >>> batch = padded([([7, 8], [9]), ([5], [])], pad_id=0)
    >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist()
    ([[7, 8, 9], [5, 0, 0]], [[1, 1, 1], [1, 0, 0]])
    """
    length = max(len(first) + len(second) for first, second in rows)
    input_ids, token_type_ids, attention_mask = [], [], []
    for first, second in rows:
        used = len(first) + len(second)
        empty = length - used
        input_ids.append([*first, *second] + [pad_id] * empty)
        token_type_ids.append([0] * len(first) + [1] * len(second) + [0] * empty)
        attention_mask.append([1] * used + [0] * empty)
    return {
        "input_ids": torch.tensor(input_ids),
        "token_type_ids": torch.tensor(token_type_ids),
        "attention_mask": torch.tensor(attention_mask),
    }


class Place(NamedTuple):
    """Where a text stands in a packed batch: `input_ids[row, start:end]`."""

    row: int
    start: int
    end: int


class Packed(NamedTuple):
    """A packed batch, and the place of each text in it, in the order they came."""

    batch: dict[str, Tensor]
    places: list[Place]

    def unpack(self, states: Tensor) -> list[Tensor]:
        """What belongs to each text, `s w` each, of the states `b s w` of the batch."""
        return [states[row, start:end] for row, start, end in self.places]


def packed(
    rows: Sequence[tuple[list[int], list[int]]], pad_id: int, length: int
) -> Packed:
    """Put several texts in a row, so that little of the rectangle is padding.

    The longest text is placed first, each in the first row that has room for it.

    Args:
        rows: as for `padded`.
        pad_id: the id that fills up.
        length: the length of a packed row, in tokens.

    Returns:
        Four tensors, `b s` each: `input_ids` and `token_type_ids`; `attention_mask`,
        the number of the token's text in its row (1, 2, 3, …) and 0 for padding;
        `position_ids`, which begin at 0 in each text.

    Pool what `unpack` gives: each text's states, apart from its neighbours'.

    Raises:
        ValueError: if there is no text, or one is empty or longer than a row.

    >>> batch, places = packed([([7, 8], [9]), ([5], []), ([6, 6], [])], 0, length=4)
    >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist()
    ([[7, 8, 9, 5], [6, 6, 0, 0]], [[1, 1, 1, 2], [1, 1, 0, 0]])
    >>> places[1]
    Place(row=0, start=3, end=4)
    """
    if not rows:
        raise ValueError("no texts: an empty batch; give at least one text")
    sizes = [len(first) + len(second) for first, second in rows]
    places = _first_fit(sizes, length)
    shape = 1 + max(place.row for place in places), length
    input_ids = torch.full(shape, pad_id)
    token_type_ids, attention_mask, position_ids = torch.zeros(3, *shape).long()
    for index in sorted(range(len(rows)), key=places.__getitem__):
        (first, second), (row, start, end) = rows[index], places[index]
        here = row, slice(start, end)
        input_ids[here] = torch.tensor([*first, *second])
        token_type_ids[row, start + len(first) : end] = 1
        attention_mask[here] = attention_mask[row].max() + 1
        position_ids[here] = torch.arange(end - start)
    batch = {
        "input_ids": input_ids,
        "token_type_ids": token_type_ids,
        "attention_mask": attention_mask,
        "position_ids": position_ids,
    }
    return Packed(batch, places)


def _first_fit(sizes: list[int], length: int) -> list[Place]:
    places: dict[int, Place] = {}
    used: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        size = sizes[index]
        if size == 0:
            raise ValueError(f"text {index} has no tokens; leave it out")
        if size > length:
            raise ValueError(
                f"text {index} has {size} tokens, but a packed row has room for "
                f"{length}; cut it with max_length={length}, or use longer rows"
            )
        row = next((r for r, n in enumerate(used) if n + size <= length), len(used))
        if row == len(used):
            used.append(0)
        places[index] = Place(row, used[row], used[row] + size)
        used[row] += size
    return [places[index] for index in range(len(sizes))]
