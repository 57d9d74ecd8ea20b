"""Batch: texts of different lengths in one rectangle of ids (chapter 6).

Padded, one text a row, or packed, several in one row; for the engine, with labels.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

IGNORE_INDEX = -100  # the label where nothing is asked; torch's cross_entropy skips it
ROW = 128  # tokens of a packed row at most, if no text is longer
_STEP = 4  # tokens between two lengths of rows that are tried


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


class Slot(NamedTuple):
    """Where a text is in a packed batch: `input_ids[row, start:end]`."""

    row: int
    start: int
    end: int


class Packed(NamedTuple):
    """A packed batch, and the slot of each text in it, in the order they came."""

    batch: dict[str, Tensor]
    places: list[Slot]

    def unpack(self, states: Tensor) -> list[Tensor]:
        """The states of each text, `s w` each, from those of the batch, `b s w`."""
        return [states[row, start:end] for row, start, end in self.places]


def packed(
    rows: Sequence[tuple[list[int], list[int]]], pad_id: int, length: int
) -> Packed:
    """Put several texts in a row, so that little of the rectangle is padding.

    The longest text is placed first, each in the fullest row that has room for it.

    Args:
        rows: the ids of the first and of the second segment of each text, special
            tokens included; the second may be empty.

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
    Slot(row=0, start=3, end=4)
    """
    if not rows:
        raise ValueError("no texts: an empty batch; give at least one text")
    return pack(padded(rows, pad_id), length, pad_id)


def pack(batch: Mapping[str, Tensor], length: int, pad_id: int) -> Packed:
    """A padded batch, packed: several texts in a row.

    Args:
        batch: `input_ids`, `token_type_ids` and `attention_mask`, `b s` each; perhaps
            `labels`, `b s`, which are filled up with -100, and `next_sentence_label`,
            `b`, which comes out in the order of the texts in the rows.
        length: the length of a packed row, in tokens.
        pad_id: the id that fills up.

    Raises:
        ValueError: if a text is empty or longer than a row.
    """
    sizes = (batch["attention_mask"].numpy() > 0).sum(axis=1).tolist()
    return laid_out(batch, fullest_fit(sizes, length), length, pad_id)


def laid_out(
    batch: Mapping[str, Tensor], places: list[Slot], length: int, pad_id: int
) -> Packed:
    """A padded batch, packed, with each text in the slot that is given for it."""
    mask = batch["attention_mask"].numpy() > 0
    row, start, _ = np.array(places).T
    order = np.argsort(row * length + start)  # of the texts in the rows
    # A text's number in its row, from 1: its place in the order, less that of the first
    # of its row.
    number = np.empty_like(order)
    first = np.searchsorted(row[order], row[order])
    number[order] = np.arange(len(order)) - first + 1
    position = np.broadcast_to(np.arange(mask.shape[1]), mask.shape)
    filled = {
        "input_ids": (batch["input_ids"].numpy(), pad_id),
        "token_type_ids": (batch["token_type_ids"].numpy(), 0),
        "attention_mask": (np.broadcast_to(number[:, None], mask.shape), 0),
        "position_ids": (position, 0),
    }
    if "labels" in batch:
        filled["labels"] = batch["labels"].numpy(), IGNORE_INDEX
    # Where each token goes, as a number in the new rectangle read row by row: one index
    # moves all tokens of all tensors.
    target = ((row * length + start)[:, None] + position)[mask]
    result = {}
    for name, (values, fill) in filled.items():
        rows = np.full((row.max() + 1, length), fill)
        rows.ravel()[target] = values[mask]
        result[name] = torch.from_numpy(rows)
    if "next_sentence_label" in batch:
        labels = batch["next_sentence_label"]
        result["next_sentence_label"] = labels[torch.from_numpy(order)]
    return Packed(result, places)


def least_padding(sizes: Sequence[int], longest: int) -> int:
    """The length of packed rows, `longest` at most, that leaves the least padding.

    A text that is longer than `longest` makes the rows as long as itself.

    >>> least_padding([60, 58, 30, 30], 128)
    60
    """
    least = max(sizes)
    lengths = range(least, max(least, longest) + 1, _STEP)

    def tokens(length: int) -> int:
        return length * (1 + max(p.row for p in fullest_fit(list(sizes), length)))

    return min(lengths, key=tokens)


def fullest_fit(sizes: list[int], length: int) -> list[Slot]:
    """The slot of each text: the longest first, in the fullest row with room for it.

    Raises:
        ValueError: if a text is empty or longer than a row.
    """
    places: dict[int, Slot] = {}
    rooms: list[tuple[int, int]] = []  # free tokens and row, sorted
    rows = 0
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        size = sizes[index]
        if size == 0:
            raise ValueError(f"text {index} has no tokens; leave it out")
        if size > length:
            raise ValueError(
                f"text {index} has {size} tokens, but a packed row has room for "
                f"{length}; cut it with max_length={length}, or use longer rows"
            )
        # Sorted by what is free, so the first with room enough is the fullest.
        fullest = bisect_left(rooms, (size, 0))
        if fullest == len(rooms):
            free, row, rows = length, rows, rows + 1
        else:
            free, row = rooms.pop(fullest)
        places[index] = Slot(row, length - free, length - free + size)
        insort(rooms, (free - size, row))
    return [places[index] for index in range(len(sizes))]


class PackedPairs(NamedTuple):
    """A packed batch, and the slots of the sources and of the targets in it."""

    batch: dict[str, Tensor]
    sources: list[Slot]
    targets: list[Slot]


def packed_pairs(
    sources: Sequence[list[int]],
    targets: Sequence[list[int]],
    pad_id: int,
    length: int,
) -> PackedPairs:
    """Put several texts in a row of sources, and their targets in the same of targets.

    A text is as large as the larger of its source and its target; the largest is placed
    first, each in the fullest row that has room for it. Source and target have the same
    number in their rows, which tells the target where its source is. Rows of sources
    are as long as the fullest of them, and so are rows of targets.

    Args:
        sources: the ids of each, special tokens included.
        targets: the ids of each source's target, as the decoder reads them.
        pad_id: the id that fills up.
        length: the most tokens of a packed row.

    Returns:
        What `EncoderDecoder.forward` takes. Of the sources, `b k` each: `input_ids`,
        `token_type_ids`, `attention_mask` with the number of the token's text in its
        row, and `position_ids`. Of the targets, `b q` each: `decoder_input_ids`,
        `decoder_attention_mask` and `decoder_position_ids`.

    Raises:
        ValueError: if there is no text, there are not as many targets as sources, or
            one is empty or longer than a row.

    >>> batch, _, _ = packed_pairs([[7, 8, 9], [5]], [[1], [2, 3]], 0, length=5)
    >>> batch["input_ids"].tolist(), batch["decoder_input_ids"].tolist()
    ([[7, 8, 9, 5]], [[1, 2, 3]])
    >>> batch["attention_mask"].tolist(), batch["decoder_attention_mask"].tolist()
    ([[1, 1, 1, 2]], [[1, 2, 2]])
    """
    _check_pairs(sources, targets)
    sizes = [max(map(len, pair)) for pair in zip(sources, targets, strict=True)]
    shared = fullest_fit(sizes, length)
    encoder = _pack_side(sources, shared, pad_id)
    decoder = _pack_side(targets, shared, pad_id)
    del decoder.batch["token_type_ids"]  # a target has one segment
    renamed = {f"decoder_{name}": value for name, value in decoder.batch.items()}
    return PackedPairs({**encoder.batch, **renamed}, encoder.places, decoder.places)


def _pack_side(texts: Sequence[list[int]], shared: list[Slot], pad_id: int) -> Packed:
    """Sources or targets in the rows, and in the order, of the slots they share."""
    ends = [0] * (1 + max(place.row for place in shared))
    places: dict[int, Slot] = {}
    for number in sorted(range(len(texts)), key=shared.__getitem__):
        row = shared[number].row
        start, ends[row] = ends[row], ends[row] + len(texts[number])
        places[number] = Slot(row, start, ends[row])
    batch = padded([(ids, []) for ids in texts], pad_id)
    return laid_out(batch, [places[n] for n in range(len(texts))], max(ends), pad_id)


def _check_pairs(sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
    if not sources:
        raise ValueError("no texts: an empty batch; give at least one text")
    if len(sources) != len(targets):
        raise ValueError(
            f"{len(sources)} sources and {len(targets)} targets; give each source its "
            "target"
        )
    for name, texts in (("source", sources), ("target", targets)):
        for number, ids in enumerate(texts):
            if not ids:
                raise ValueError(f"{name} {number} has no tokens; leave it out")


class TrainingBatch(NamedTuple):
    """What one pass takes, and what it holds.

    `arguments` go to the objective; `counts` says over how many answers each loss is
    summed; `sizes` are the tokens of each text, `n 1`, or of its source and target,
    `n 2`, without padding.
    """

    arguments: dict[str, Tensor]
    counts: Tensor
    sizes: Tensor

    @property
    def tokens(self) -> int:
        """Those of all texts."""
        return int(self.sizes.sum())

    @property
    def amounts(self) -> Tensor:
        """What the operations of a pass grow with, in one row.

        1 for the pass itself, texts, tokens, pairs of tokens that meet in attention
        (of source and target also the one with the other), and answers.
        """
        sizes = self.sizes.double()
        meetings = sizes.T @ sizes
        once = sizes.new_tensor([1, len(sizes)])
        return torch.cat([once, sizes.sum(0), meetings.flatten(), self.counts])

    def facts(self) -> Tensor:
        """Tokens and counts, in one tensor."""
        return torch.cat([torch.tensor([self.tokens]), self.counts])

    def to(self, device: torch.device) -> Self:
        """On the device, without waiting for it."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in self.arguments.items()
        }
        return self._replace(arguments=moved)
