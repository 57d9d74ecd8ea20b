"""Batch: texts of different lengths in one rectangle of ids (chapter 6)."""

from collections.abc import Sequence

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
