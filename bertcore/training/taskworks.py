"""Task works: the passes of fine-tuning, one after another without end (chapter 10)."""

from collections.abc import Sequence

import numpy as np

from bertcore.model.config import BertConfig
from bertcore.text.features import Feature
from bertcore.training.objective import Work
from bertcore.training.tasks import task_work
from bertcore.training.writing import Shape


class TaskWorks:
    """`works[n]` is the n-th pass, a function of seed and n.

    All features in an order of the epoch's own, then all in another: a pass at the
    border reads the last of one epoch and the first of the next, so none is left out.
    """

    def __init__(
        self,
        kind: str,
        features: Sequence[Feature],
        size: int,
        seed: int,
        pad_id: int,
        shape: BertConfig | Shape,
    ) -> None:
        """
        Args:
            kind: of the task.
            features: with their targets.
            size: features in a pass.
            seed: of the order.
            pad_id: fills up the rows.
            shape: of the model, as for `task_work`.

        Raises:
            ValueError: if there are no features.
        """
        if not features:
            raise ValueError("no rows to learn from; give one at least")
        self.kind, self.features, self.size, self.seed = kind, features, size, seed
        self.pad_id, self.shape = pad_id, shape
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Passes in an epoch."""
        return -(-len(self.features) // self.size)

    def __getitem__(self, number: int) -> Work:
        some = [self.features[n] for n in self.numbers(number)]
        return task_work(self.kind, some, self.pad_id, self.shape)

    def numbers(self, number: int) -> list[int]:
        """Which features the n-th pass holds."""
        count = len(self.features)
        first = number * self.size
        return [self._at(*divmod(n, count)) for n in range(first, first + self.size)]

    def name(self, number: int) -> str:
        """The n-th pass in words: which rows of the data it holds."""
        rows = [self.features[n].row for n in self.numbers(number)]
        some = ", ".join(map(str, rows[:8])) + (", …" if rows[8:] else "")
        return f"pass {number} (rows {some})"

    def _at(self, epoch: int, place: int) -> int:
        if epoch not in self._orders:
            rng = np.random.default_rng([self.seed, epoch])
            kept = (
                {epoch - 1: self._orders[epoch - 1]}
                if epoch - 1 in self._orders
                else {}
            )
            self._orders = {**kept, epoch: rng.permutation(len(self.features))}
        return int(self._orders[epoch][place])
