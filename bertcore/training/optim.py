"""Optim: AdamW with BERT's groups, as released or corrected, and Muon (chapter 9).

The reference is google-research/bert optimization.py, `AdamWeightDecayOptimizer`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bertcore.training.devices import precision_for
from bertcore.training.recipe import Recipe


def is_decayed(model: nn.Module) -> dict[str, bool]:
    """Which parameters, by name, have weight decay: all but biases and norms.

    Tables of embeddings are, as in the released code.
    """
    norms = {
        f"{name}.{kind}".removeprefix(".")
        for name, module in model.named_modules()
        if isinstance(module, (nn.LayerNorm, nn.RMSNorm))
        for kind in ("weight", "bias")
    }
    return {
        name: name not in norms and name.rpartition(".")[2] != "bias"
        for name, _ in model.named_parameters()
    }


def decay_groups(
    parameters: Iterable[tuple[str, Tensor]], decayed: dict[str, bool], decay: float
) -> list[dict[str, Any]]:
    """Two groups for an optimiser: with weight decay and without; none is empty."""
    parameters = list(parameters)
    groups = [
        {"params": [p for n, p in parameters if decayed[n] is with_decay]}
        | {"weight_decay": decay if with_decay else 0.0}
        for with_decay in (True, False)
    ]
    return [group for group in groups if group["params"]]


class ReleasedAdamW(Optimizer):
    """Adam with decoupled weight decay and without bias correction, as released.

    Both moments start at 0 and nothing makes up for it, so the first updates are longer
    than AdamW's: by (1 - beta1^t) / sqrt(1 - beta2^t), 3.2 times at step 1.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("no closure is called here; compute the gradients first")
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            gradients = [p.grad for p in parameters]
            first, second = zip(*map(self._moments, parameters), strict=True)
            beta1, beta2 = group["betas"]
            # `_foreach_` takes all parameters in one call: a few kernels, not hundreds.
            torch._foreach_lerp_(first, gradients, 1 - beta1)
            torch._foreach_mul_(second, beta2)
            torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
            lengths = torch._foreach_sqrt(second)
            torch._foreach_add_(lengths, group["eps"])
            updates = torch._foreach_div(first, lengths)
            torch._foreach_add_(updates, parameters, alpha=group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _moments(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state["exp_avg"], state["exp_avg_sq"]


class Optimisers:
    """One or several optimisers that share out the parameters of a model."""

    def __init__(
        self, parts: list[tuple[Optimizer, float]], names: dict[Tensor, str]
    ) -> None:
        """
        Args:
            parts: each optimiser, with its highest learning rate.
        """
        self.parts, self.names = parts, names

    def state(self) -> dict[str, Tensor]:
        """The state of all parameters, such as moments, as `parameter name/kind`."""
        return {
            f"{self.names[parameter]}/{kind}": value
            for optimiser, _ in self.parts
            for parameter, values in optimiser.state.items()
            for kind, value in values.items()
        }

    def without_gradient(self) -> list[str]:
        """The parameters that no gradient has reached, when updates have been made."""
        found = []
        for optimiser, _ in self.parts:
            for parameter in _parameters(optimiser):
                moments = optimiser.state.get(parameter, {})
                # Both moments are 0 to the bit if every gradient was.
                if not any(v.any() for kind, v in moments.items() if kind != "step"):
                    found.append(self.names[parameter])
        return found

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        by_name: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            name, _, kind = key.rpartition("/")
            by_name.setdefault(name, {})[kind] = value
        for optimiser, _ in self.parts:
            state_dict = optimiser.state_dict()
            state_dict["state"] = {
                number: by_name[self.names[parameter]]
                for number, parameter in enumerate(_parameters(optimiser))
                if self.names[parameter] in by_name
            }
            optimiser.load_state_dict(state_dict)


def make_optimisers(model: nn.Module, recipe: Recipe) -> Optimisers:
    """The optimisers of a recipe, for all parameters of a model."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, rest = is_decayed(model), list(model.named_parameters())
    parts: list[tuple[Optimizer, float]] = []
    if recipe.optimiser == "muon":
        # Muon updates the layers' matrices; everything else (embeddings, biases, norms)
        # uses AdamW.
        muon = Muon(p for n, p in rest if _is_hidden_matrix(n, p))
        rest = [(n, p) for n, p in rest if not _is_hidden_matrix(n, p)]
        parts.append((muon, recipe.matrix_rate))
    groups = decay_groups(rest, decayed, recipe.weight_decay)
    released = recipe.optimiser == "released"
    kind = ReleasedAdamW if released else torch.optim.AdamW
    settings: dict[str, Any] = {"betas": recipe.betas, "eps": recipe.epsilon}
    if not released:
        settings["fused"] = True  # one kernel for a whole update
    parts.append((kind(groups, **settings), recipe.learning_rate))
    return Optimisers(parts, names)


def _is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.dim() == 2 and ".layers." in name


def _parameters(optimiser: Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Matrices with the same singular vectors, and singular values near 1.

    In bfloat16 where the device multiplies that fast: it is exact enough.

    Args:
        matrices: `n r c`.
        rounds: of the Newton–Schulz iteration.

    Returns:
        `n r c`.
    """
    fast = precision_for(matrices.device) == torch.bfloat16
    x = matrices.bfloat16() if fast else matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:  # then the product below has the smaller of the two sizes
        x = x.mT
    # The norm is at least the largest singular value, so all are 1 or less.
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    # Each round turns every singular value x into a·x + b·x³ + c·x⁵ (Jordan et al.).
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(rounds):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


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
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)
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
            # All matrices of one shape are made orthogonal in one batch.
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for (rows, columns), matrices in by_shape.items():
                factor = max(1, rows / columns) ** 0.5
                updates = orthogonal(self._momentum(matrices, group["momentum"]))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(
                    matrices,
                    list(updates.to(matrices[0].dtype).unbind()),
                    alpha=-group["lr"] * factor,
                )

    def _momentum(self, matrices: list[Tensor], momentum: float) -> Tensor:
        """The gradients, with Nesterov's momentum, `n r c`."""
        buffers = []
        for parameter in matrices:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffers.append(state["momentum_buffer"])
        gradients = [parameter.grad for parameter in matrices]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        return torch.stack(torch._foreach_lerp(gradients, buffers, momentum))
