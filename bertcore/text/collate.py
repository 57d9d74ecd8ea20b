"""Collator: a list of tokenised texts becomes a masked batch (chapter 6).

For those who have a data set and a `DataLoader` of their own; our engine reads `Steps`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from bertcore.text.batch import pack, padded
from bertcore.text.masking import Masker


class Collator:
    """Pad or pack, then hide tokens; for `DataLoader(..., collate_fn=Collator(...))`.

    It takes what the tokenizers of the transformers library give for a text, and makes
    what the models of that library take, and ours. It also fits the `data_collator` of
    the library's `Trainer`.

    The masks depend on the seed, on the worker, and on how many batches it has made:
    the same loader, the same masks. If they must not depend on the number of workers,
    use `Steps`.
    """

    def __init__(self, masker: Masker, seed: int = 0, row: int | None = None) -> None:
        """
        Args:
            masker: hides tokens; it knows the tokenizer's special ones.
            seed: of the masks, 0 or more.
            row: pack into rows of so many tokens; by default pad.
        """
        self.masker, self.seed, self.row = masker, seed, row
        self.made = 0

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The batch of some texts.

        Args:
            features: for each text its `input_ids`, special tokens included, and if it
                has them `token_type_ids`, `attention_mask` (0 is left out) and
                `next_sentence_label`.

        Returns:
            As `Steps` gives it.

        Raises:
            ValueError: if there is no text, or one has no `input_ids`.
        """
        if not features:
            raise ValueError("no texts: an empty batch; give at least one text")
        rows = [_segments(number, text) for number, text in enumerate(features)]
        batch = padded(rows, self.masker.pad_id)
        worker = get_worker_info()
        where = worker.id + 1 if worker else 0
        rng = np.random.default_rng([self.seed, where, self.made])
        self.made += 1
        batch["input_ids"], batch["labels"] = self.masker.batch(batch["input_ids"], rng)
        if "next_sentence_label" in features[0]:
            labels = [int(text["next_sentence_label"]) for text in features]
            batch["next_sentence_label"] = torch.tensor(labels)
        if self.row is None:
            return batch
        return pack(batch, self.row, self.masker.pad_id).batch


def _segments(number: int, text: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """The ids of the first and of the second segment, padding left out."""
    if "input_ids" not in text:
        raise ValueError(
            f"text {number} has no input_ids, but {', '.join(text) or 'nothing'}; "
            "tokenise first"
        )
    ids = _list(text["input_ids"])
    types = _list(text.get("token_type_ids", [0] * len(ids)))
    mask = _list(text.get("attention_mask", [1] * len(ids)))
    both = [(id, kind) for id, kind, keep in zip(ids, types, mask, strict=True) if keep]
    return [id for id, kind in both if not kind], [id for id, kind in both if kind]


def _list(values: Any) -> list[int]:
    return values.tolist() if hasattr(values, "tolist") else list(values)
