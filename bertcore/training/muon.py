"""Muon: the update of a matrix, made orthogonal before it is added (chapter 9).

Adam looks at each number of a gradient by itself. Muon takes the gradient of a matrix
as a whole, keeps its directions, and gives all of them the same length (Jordan et al.
2024, Muon: An optimizer for hidden layers in neural networks). Matrices of one shape go
through the iteration together, which on a GPU is what makes it fast.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bertcore.training.runtime import precision_for


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Matrices with the same directions, and singular values near 1.

    Computed in bfloat16 where the device multiplies it fast: that is enough.

    Args:
        matrices: `n r c`.
        rounds: of the iteration.

    Returns:
        `n r c`.
    """
    fast = precision_for(matrices.device) == torch.bfloat16
    found = matrices.bfloat16() if fast else matrices.float()
    # Of the polynomial a·x + b·x³ + c·x⁵ of each singular value, by Jordan et al.
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = found.shape[-2] > found.shape[-1]
    if tall:
        found = found.mT
    length = found.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    found = found / length
    for _ in range(rounds):
        square = found @ found.mT
        found = a * found + (b * square + c * square @ square) @ found
    return found.mT if tall else found


class Muon(Optimizer):
    """Momentum, then an orthogonal update; for the matrices of the layers only.

    Equal to `torch.optim.Muon`, which takes one matrix after another.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        """
        Args:
            parameters: matrices, `r c`.
            lr: of a square matrix; a taller one gets sqrt(r / c) times as much.
            momentum: of the gradient's running mean.
            weight_decay: decoupled.

        Raises:
            ValueError: if one is no matrix.
        """
        values = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, values)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(
                        f"Muon for a parameter of shape {tuple(parameter.shape)}; give "
                        "it matrices, and the rest to AdamW"
                    )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One update of every matrix that has a gradient."""
        if closure is not None:
            raise ValueError("no closure is called here; compute the gradients first")
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for (rows, columns), some in shapes.items():
                factor = max(1, rows / columns) ** 0.5
                updates = orthogonal(self._momentum(some, group["momentum"]))
                torch._foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(
                    some,
                    list(updates.to(some[0].dtype).unbind()),
                    alpha=-group["lr"] * factor,
                )

    def _momentum(self, some: list[Tensor], momentum: float) -> Tensor:
        """The gradients, with Nesterov's momentum, `n r c`."""
        means = []
        for parameter in some:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            means.append(state["momentum_buffer"])
        gradients = [parameter.grad for parameter in some]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        return torch.stack(torch._foreach_lerp(gradients, means, momentum))
