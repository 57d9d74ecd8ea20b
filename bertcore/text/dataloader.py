"""Dataloader: the batch of a training step, a function of seed and step (chapter 6).

No state is kept between two steps, so a run that goes on at step 70,000 gets at once
the batches that an unbroken one gets, and so does every worker of a `DataLoader`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from bertcore.text.batch import pack, padded
from bertcore.text.masking import Masker
from bertcore.text.pairs import Examples, assembled
from bertcore.text.store import Store

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

_ORDER, _MASKS = 0, 1  # apart, so that the two do not draw the same random numbers


class Batches(Sequence):
    """`steps[n]` is the batch of step n; there is one for every n from 0 on.

    In each epoch every example comes once, in a new order and with new masks, but for
    the last few that do not fill a batch. `len` is the steps of one epoch. In a
    `DataLoader`:

        DataLoader(steps, batch_size=None, sampler=range(first, last), num_workers=2)
    """

    def __init__(
        self,
        store: Store,
        examples: Examples,
        tokenizer: AnyTokenizer,
        masker: Masker,
        size: int,
        seed: int = 0,
        row: int | None = None,
    ) -> None:
        """
        Args:
            store: where the ids are.
            examples: of this store.
            tokenizer: that of the store.
            masker: hides tokens.
            size: examples in a batch.
            seed: of order and masks, 0 or more.
            row: pack the examples into rows of so many tokens; by default they are
                padded, one in a row.

        Raises:
            ValueError: if there are fewer examples than a batch takes, or an example is
                longer than a row.
        """
        count = len(examples.spans)
        if not 1 <= size <= count:
            raise ValueError(
                f"size={size}, and there are {count} examples; give 1 to {count}, or "
                "make more examples"
            )
        if row is not None and row < examples.longest:
            raise ValueError(
                f"row={row}, but an example has {examples.longest} tokens; give "
                f"{examples.longest} or more"
            )
        self.store, self.examples, self.tokenizer = store, examples, tokenizer
        self.masker, self.size, self.seed, self.row = masker, size, seed, row
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.examples.spans) // self.size

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """The batch.

        Returns:
            As `padded` or, with `row`, as `packed` makes it; besides `labels`, `b s`,
            and for pairs `next_sentence_label`, one for each text in reading order.

        Raises:
            ValueError: if the step is below 0.
        """
        chosen = self.example_numbers(step)
        batch = assembled(self.store.ids, self.examples.spans[chosen], self.tokenizer)
        rng = np.random.default_rng([self.seed, _MASKS, step])
        batch["input_ids"], batch["labels"] = self.masker.batch(batch["input_ids"], rng)
        if self.examples.labels is not None:
            labels = self.examples.labels[chosen]
            batch["next_sentence_label"] = torch.from_numpy(labels)
        if self.row is None:
            return batch
        return pack(batch, self.row, self.tokenizer.pad_id).batch

    def example_numbers(self, step: int) -> np.ndarray:
        """Which examples the batch holds, as rows of the table."""
        if step < 0:
            raise ValueError(f"step {step}; steps are counted from 0")
        epoch, place = divmod(step, len(self))
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, _ORDER, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.examples.spans))
        return self._order[place * self.size :][: self.size]


class Collator:
    """Pad or pack, then hide tokens; for `DataLoader(..., collate_fn=Collator(...))`.

    It takes what the tokenizers of the transformers library give for a text, and makes
    what the models of that library take, and ours. It also fits the `data_collator` of
    the library's `Trainer`.

    The masks depend on the seed, on the worker, and on how many batches it has made:
    the same loader, the same masks. If they must not depend on the number of workers,
    use `Batches`.
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
            As `Batches` gives it.

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
