"""Guard: no infinite number reaches the weights; the loss's scale in fp16 (chapter 9).

Half precision (fp16) has no number below 6e-8, and many gradients are smaller. So the
loss is multiplied by a scale, and the gradients divided by it before they are used.
When a gradient overflows, the update is left out and the scale halved; after many good
ones it is doubled (Micikevicius et al. 2018, Mixed Precision Training, 3.2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bertcore.training.progress import Progress

FAULTS = 10  # updates in a row that may be left out before a run ends
RISES = 1000  # good updates before the scale is doubled


class Diverged(ArithmeticError):
    """Losses or gradients were infinite, or no numbers, in ten updates in a row.

    The weights are those before the first of them.
    """


class Guard:
    """Looks at each update before it is made."""

    def __init__(self, progress: Progress, half: bool) -> None:
        """
        Args:
            progress: keeps the scale and the counts.
            half: whether the products are in fp16; only then is the loss scaled.
        """
        self.progress, self.half = progress, half

    @property
    def scale(self) -> float:
        """By what the loss is multiplied."""
        return self.progress.scale if self.half else 1.0

    def is_sound(self, gradient: float, losses: Sequence[float]) -> bool:
        """Whether the gradient's length and the losses are numbers, and finite."""
        return all(map(math.isfinite, (gradient, *losses)))

    def clip(self, gradients: list[Tensor], length: float, longest: float) -> float:
        """Undo the scale; shorten the gradient if it is longer than `longest`.

        Google's code clips before Adam sees the gradient, by the length over all
        parameters together (optimization.py).

        Args:
            gradients: of all parameters; they are changed.
            length: over all of them, still scaled.
            longest: 0 is no limit.

        Returns:
            The length without the scale, before clipping.
        """
        true = length / self.scale
        factor = longest / true if longest and true > longest else 1.0
        if factor != self.scale:
            torch._foreach_mul_(gradients, factor / self.scale)
        return true

    def passed(self) -> None:
        """An update was made."""
        self.progress.faults = 0
        self.progress.good += 1
        if self.half and self.progress.good >= RISES:
            self.progress.scale, self.progress.good = self.progress.scale * 2, 0

    def failed(self, gradient: float, losses: Sequence[float], names: str) -> str:
        """An update is left out: count it, and say so.

        Args:
            gradient: its length.
            losses: those of the update.
            names: the passes that it read.

        Raises:
            Diverged: if it is one too many.
        """
        progress = self.progress
        progress.skipped += 1
        progress.faults += 1
        progress.good = 0
        losses = ", ".join(f"{loss:.4g}" for loss in losses)
        fault = (
            f"update {progress.step} left out: the length of its gradient is "
            f"{gradient}, its losses are {losses}; it read {names}"
        )
        if self.half:
            progress.scale /= 2
            fault += f"; the loss's scale is now {progress.scale:g}"
        if progress.faults >= FAULTS:
            raise Diverged(
                f"{fault}. These were {FAULTS} in a row: look at these examples, or "
                "begin anew in another folder with a lower learning rate"
            )
        return fault
