"""Dataloader: the batch of a training step, a function of seed and step (chapter 6).

No state is kept between two steps, so a run that goes on at step 70,000 gets at once
the batches that an unbroken one gets, and so does every worker of a `DataLoader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bertcore.text.batch import pack
from bertcore.text.masking import Masker
from bertcore.text.pairs import Examples, assembled
from bertcore.text.store import Store

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

_ORDER, _MASKS = 0, 1  # apart, so that the two do not draw the same random numbers


class Batches(Sequence):
    """`batches[n]` is the batch of step n; there is one for every n from 0 on.

    In each epoch every example comes once, in a new order and with new masks, but for
    the last few that do not fill a batch. `len` is the steps of one epoch. In a
    `DataLoader`:

        DataLoader(batches, batch_size=None, sampler=range(first, last), num_workers=2)
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
            seed: of order and masks, 0 or more.
            row: pack the examples into rows of this many tokens. Default: one example
                per row, padded.

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
        # The order of the present epoch is kept, because to shuffle all examples again
        # for each batch would be slow.
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.examples.spans) // self.size

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step.

        Returns:
            `input_ids` with tokens hidden, `token_type_ids`, `attention_mask` and
            `labels`, `b s` each; with `row` also `position_ids`, and the mask numbers
            the texts of a row. For pairs `next_sentence_label`, one for each text, row
            by row.

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
