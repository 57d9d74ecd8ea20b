"""Memory: what an update of pretraining takes, before a device is asked (chapter 9b).

A real update is run on PyTorch's fake tensors, which have shapes and types and no
values. So the largest model is tried within seconds, on any machine, and whatever a
family, an objective or an optimiser keeps is counted as it is.
"""

import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from bertcore.model.config import BertConfig
from bertcore.text.batch import TrainingBatch
from bertcore.training.loop import ComputeSettings, autocast, checkpoint_layers
from bertcore.training.objectives import Objective, pretraining_objective, sample_batch
from bertcore.training.optim import Optimisers, make_optimisers
from bertcore.training.pretraining import pretraining_class
from bertcore.training.recipe import Recipe

GB = 10**9
# In GB, as NVIDIA's data sheets of these devices have it.
DEVICES = ("T4", 16), ("L4", 24), ("A100", 40), ("A100", 80), ("H100", 80)
# The driver's own part of the memory, and what the allocator cannot use between two
# blocks, are not known beforehand. A tenth is kept for them.
USABLE = 0.9


class Memory(NamedTuple):
    """What an update takes, in bytes.

    `activations` are all that a pass keeps and makes, at their most. `total` is the
    most of everything together: less than the sum, because activations go as
    gradients come. `fixed` is the total without any text, `for_text` what each text
    of a pass adds to it, and `step` what the optimiser's step takes.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    total: int
    fixed: float
    for_text: float
    step: int

    @classmethod
    def of(
        cls,
        config: BertConfig,
        recipe: Recipe,
        precision: torch.dtype = torch.float32,
        checkpoint_activations: bool = False,
    ) -> Self:
        """The memory of an update whose rows are full, not compiled.

        Packed or padded makes no difference here: full rows are the most that there
        is, and packing needs fewer of them.

        Args:
            config: of the model, of any family.
            recipe: its pass says how many texts are in memory at once.
            precision: of the products.
            checkpoint_activations: see `checkpoint_layers`.

        Raises:
            ValueError: if the recipe asks the family for what it cannot do.
        """
        settings = ComputeSettings(
            torch.device("cpu"),
            precision,
            checkpoint_activations=checkpoint_activations,
        )
        # On a CPU, attention with dropout keeps a table of all pairs; the kernels of a
        # GPU do not, and without dropout neither has one.
        config = config.replace(attention_dropout=0.0)
        texts = recipe.one_pass
        whole, double = (
            _tried(config, recipe, settings, count) for count in (texts, 2 * texts)
        )
        for_text = (double.in_pass - whole.in_pass) / texts
        return cls(
            whole.weights,
            whole.gradients,
            whole.optimiser,
            whole.activations,
            max(whole.in_pass, whole.in_step),
            whole.in_pass - for_text * texts,
            for_text,
            whole.in_step,
        )

    def most(self, room: float) -> int:
        """The most texts of a pass for which so many bytes are enough."""
        if self.step > room:
            return 0
        return max(0, int((room - self.fixed) / self.for_text))

    def in_lines(self, recipe: Recipe, own: float | None = None) -> Iterator[str]:
        """Its parts, and which devices have it; `own` is one more, in GB."""
        texts = f"{recipe.one_pass:,} texts of {recipe.length:,} tokens"
        yield f"GB of memory for passes of {texts}:"
        for name in ("weights", "gradients", "optimiser", "activations"):
            yield f"  {name:<22}{getattr(self, name) / GB:>8.2f}"
        yield f"  {'most of all at once':<22}{self.total / GB:>8.2f}"
        yield f"with {1 - USABLE:.0%} left to the driver and the allocator, it fits on:"
        for name, size in (*DEVICES, *([("yours", own)] if own else [])):
            most = self.most(USABLE * size * GB)
            answer = "yes" if most >= recipe.one_pass else "no"
            passes = f"passes of up to {most:,} texts" if most else "not one text"
            yield f"  {name:<6}{size:>4g} GB  {answer:<5}{passes}"


class _Trial(NamedTuple):
    """What was counted in one update, in bytes."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    in_pass: int
    in_step: int


class Count(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and the most there were.

    `apart` are the bytes that are no activations: set it to those that stay; it grows
    with the gradients of the parameters that `watch` is given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.apart = 0
        self._known: dict[int, int] = {}
        self.restart()

    def restart(self) -> None:
        """Forget the most that there were."""
        self.most, self.activations = self.alive, self.alive - self.apart

    def watch(self, module: nn.Module) -> None:
        """Count the gradients of a module's parameters as such."""
        for parameter in module.parameters():
            parameter.register_post_accumulate_grad_hook(self._arrived)

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        made = function(*arguments, **(named or {}))
        for each in tree_iter(made):
            if isinstance(each, Tensor):
                self._add(each.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata  # the same for all tensors that share it
        if place not in self._known:
            self._known[place] = storage.nbytes()
            self.alive += storage.nbytes()
            weakref.finalize(storage, self._drop, place)
            self.most = max(self.most, self.alive)
            self.activations = max(self.activations, self.alive - self.apart)

    def _drop(self, place: int) -> None:
        self.alive -= self._known.pop(place)

    def _arrived(self, parameter: Tensor) -> None:
        self.apart += parameter.grad.nbytes


def _tried(
    config: BertConfig, recipe: Recipe, settings: ComputeSettings, texts: int
) -> _Trial:
    """One update with so many texts in a pass, after one that makes the moments."""
    with torch.device("meta"):
        objective = pretraining_objective(pretraining_class(config, recipe)(config))
    masked = max(1, round(recipe.mask_rate * recipe.length))
    batch = sample_batch(objective, texts, recipe.length, masked)
    with FakeTensorMode() as fake, Count() as count:
        _make_fake(objective.train())
        weights = count.alive
        arguments = {k: fake.from_tensor(v) for k, v in batch.arguments.items()}
        batch = batch._replace(arguments=arguments)
        if settings.checkpoint_activations:
            checkpoint_layers(objective)
        optimisers = make_optimisers(objective, recipe, shard=False)
        list(_update(objective, batch, optimisers, settings, passes=1))
        gradients = sum(p.grad.nbytes for p in objective.parameters())
        objective.zero_grad(set_to_none=True)
        optimiser = count.alive - weights
        count.watch(objective)
        count.apart = count.alive
        count.restart()
        # Gradients of the first pass are there in all others: two show what many need.
        update = _update(objective, batch, optimisers, settings, min(2, recipe.passes))
        next(update)
        in_pass, activations = count.most, count.activations
        count.restart()
        list(update)
        return _Trial(weights, gradients, optimiser, activations, in_pass, count.most)


def _update(
    objective: Objective,
    batch: TrainingBatch,
    optimisers: Optimisers,
    settings: ComputeSettings,
    passes: int,
) -> Iterator[None]:
    """What `train` does in an update, as far as it takes memory; stops at the step."""
    for _ in range(passes):
        with autocast(settings):
            losses = objective(**batch.arguments)
        losses.sum().backward()
        del losses
    gradients = [p.grad for p in objective.parameters()]
    torch.nn.utils.get_total_norm(gradients)
    yield
    for optimiser, _ in optimisers.parts:
        optimiser.step()


def _make_fake(module: nn.Module) -> None:
    """Fake parameters in place of those on the meta device, which no kernel takes."""
    made: dict[Tensor, nn.Parameter] = {}  # so what is shared stays shared
    for part in module.modules():
        for name, old in part.named_parameters(recurse=False):
            if old not in made:
                made[old] = nn.Parameter(torch.empty(old.shape))
            setattr(part, name, made[old])
