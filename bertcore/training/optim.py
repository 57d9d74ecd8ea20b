"""Optim: AdamW with BERT's groups, as released or corrected, and Muon (chapter 9).

The reference is google-research/bert optimization.py, `AdamWeightDecayOptimizer`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bertcore.training.devices import precision_for
from bertcore.training.recipe import Recipe


def is_decayed(model: nn.Module) -> dict[str, bool]:
    """Whether each parameter, by its name, is pulled towards 0: biases and norms not.

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
        ([(n, p) for n, p in parameters if decayed[n] is with_decay], rate)
        for with_decay, rate in ((True, decay), (False, 0.0))
    ]
    return [
        {"params": [p for _, p in named], "weight_decay": rate}
        for named, rate in groups
        if named
    ]


class ReleasedAdamW(Optimizer):
    """Adam with decoupled weight decay and without bias correction, as released.

    The running means start at 0 and nothing makes up for it, so the first updates are
    longer than AdamW's: by (1 - beta1^t) / sqrt(1 - beta2^t), 3.2 times at step 1.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        values = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, values)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("no closure is called here; compute the gradients first")
        for group in self.param_groups:
            learnt = [p for p in group["params"] if p.grad is not None]
            if not learnt:
                continue
            gradients = [p.grad for p in learnt]
            means, squares = zip(*map(self._means, learnt), strict=True)
            first, second = group["betas"]
            torch._foreach_lerp_(means, gradients, 1 - first)
            torch._foreach_mul_(squares, second)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
            lengths = torch._foreach_sqrt(squares)
            torch._foreach_add_(lengths, group["eps"])
            updates = torch._foreach_div(means, lengths)
            torch._foreach_add_(updates, learnt, alpha=group["weight_decay"])
            torch._foreach_add_(learnt, updates, alpha=-group["lr"])

    def _means(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
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
            names: of all parameters.
        """
        self.parts, self.names = parts, names

    def step(self, share: float) -> None:
        """One update, at this share of the highest learning rates."""
        for optimiser, highest in self.parts:
            for group in optimiser.param_groups:
                group["lr"] = highest * share
            optimiser.step()

    def state(self) -> dict[str, Tensor]:
        """What the optimisers remember, as `parameter name/kind`."""
        return {
            f"{self.names[parameter]}/{kind}": value
            for optimiser, _ in self.parts
            for parameter, values in _states(optimiser)
            for kind, value in values.items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Remember it again."""
        found: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            name, _, kind = key.rpartition("/")
            found.setdefault(name, {})[kind] = value
        for optimiser, _ in self.parts:
            _restore(optimiser, self.names, found)


def make_optimisers(model: nn.Module, recipe: Recipe, shard: bool) -> Optimisers:
    """The optimisers of a recipe.

    Args:
        model: to train.
        recipe: says which.
        shard: each process keeps the running means of a part of the parameters only;
            needs `torch.distributed`.

    Raises:
        ValueError: if Muon is to be sharded.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, rest = is_decayed(model), list(model.named_parameters())
    parts: list[tuple[Optimizer, float]] = []
    if recipe.optimiser == "muon":
        if shard:
            raise ValueError('optimiser="muon" cannot be sharded; take "adamw"')
        matrices = [(n, p) for n, p in rest if _is_hidden_matrix(n, p)]
        rest = [(n, p) for n, p in rest if not _is_hidden_matrix(n, p)]
        muon = Muon(p for _, p in matrices)
        parts.append((muon, recipe.matrix_rate))
    groups = decay_groups(rest, decayed, recipe.weight_decay)
    released = recipe.optimiser == "released"
    kind = ReleasedAdamW if released else torch.optim.AdamW
    settings: dict[str, Any] = {"betas": recipe.betas, "eps": recipe.epsilon}
    if not released:
        settings["fused"] = True
    optimiser: Optimizer
    if shard:
        from torch.distributed.optim import ZeroRedundancyOptimizer

        optimiser = ZeroRedundancyOptimizer(groups, kind, **settings)
    else:
        optimiser = kind(groups, **settings)
    return Optimisers([*parts, (optimiser, recipe.learning_rate)], names)


def _is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.dim() == 2 and ".layers." in name


def _states(optimiser: Optimizer) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """The state of each parameter; a sharded one comes together in process 0."""
    if not hasattr(optimiser, "consolidate_state_dict"):
        yield from optimiser.state.items()
        return
    optimiser.consolidate_state_dict(to=0)
    if torch.distributed.get_rank() == 0:
        gathered = optimiser.state_dict()["state"]
        for number, parameter in enumerate(_parameters(optimiser)):
            yield parameter, gathered.get(number, {})


def _restore(
    optimiser: Optimizer,
    names: dict[Tensor, str],
    found: dict[str, dict[str, Tensor]],
) -> None:
    own = getattr(optimiser, "optim", optimiser)  # a sharded one's part of this process
    whole = own.state_dict()
    whole["state"] = {
        number: found[names[parameter]]
        for number, parameter in enumerate(_parameters(own))
        if names[parameter] in found
    }
    own.load_state_dict(whole)


def _parameters(optimiser: Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


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
