"""Memory: what an update of pretraining takes, before a device is asked (chapter 9b).

A real update is run on PyTorch's fake tensors, which have shapes and types and no
values. So the largest model is tried within seconds, on any machine, and whatever a
family, an objective or an optimiser keeps is counted as it is.
"""

import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from bertcore.model.config import BertConfig
from bertcore.model.variants.families import in_words
from bertcore.training.loop import ComputeSettings, autocast, checkpoint_layers
from bertcore.training.objectives import Objective, pretraining_objective, sample_batch
from bertcore.training.optim import Optimisers, make_optimisers
from bertcore.training.pretraining import pretraining_class
from bertcore.training.recipe import PLANS, Recipe
from bertcore.training.run import FIXED, config_for, recipe_for

GB = 10**9
# In GB, as NVIDIA's data sheets of these devices have it.
DEVICES = ("T4", 16), ("L4", 24), ("A100", 40), ("A100", 80), ("H100", 80)
# The driver's own part of the memory, and what the allocator cannot use between two
# blocks, are not known beforehand. A tenth is kept for them.
USABLE = 0.9


class Memory(NamedTuple):
    """What an update takes, in bytes, with so many `texts` in a pass.

    `activations` are all that a pass keeps and makes, at their most. `in_pass` is the
    most of everything together before the optimiser's step: less than the sum, because
    activations go as gradients come. `in_step` is the most during the step.
    """

    texts: int
    weights: int
    gradients: int
    optimiser: int
    activations: int
    in_pass: int
    in_step: int

    @property
    def total(self) -> int:
        """The most at any time."""
        return max(self.in_pass, self.in_step)

    @classmethod
    def of(
        cls,
        config: BertConfig,
        recipe: Recipe,
        precision: torch.dtype = torch.float32,
        checkpoint_activations: bool = False,
    ) -> Self:
        """The memory of an update whose rows are full, not compiled.

        Packed or padded makes no difference: full rows are the most that there is.

        Args:
            recipe: its pass says how many texts are in memory at once.

        Raises:
            ValueError: if the recipe asks the family for what it cannot do.
        """
        # On a CPU, attention with dropout keeps a table of all pairs; the kernels of a
        # GPU do not, and without dropout neither has one.
        config = config.replace(attention_dropout=0.0)
        with torch.device("meta"):
            objective = pretraining_objective(pretraining_class(config, recipe)(config))
        masked = max(1, round(recipe.mask_rate * recipe.length))
        batch = sample_batch(objective, recipe.one_pass, recipe.length, masked)
        settings = ComputeSettings(torch.device("cpu"), precision)
        with FakeTensorMode() as fake, Count() as count:
            _make_fake(objective.train())
            weights = count.alive
            arguments = {k: fake.from_tensor(v) for k, v in batch.arguments.items()}
            if checkpoint_activations:
                checkpoint_layers(objective)
            optimisers = make_optimisers(objective, recipe)
            update = partial(_update, objective, arguments, optimisers, settings)
            list(update(passes=1))  # it makes the moments
            gradients = sum(p.grad.nbytes for p in objective.parameters())
            objective.zero_grad(set_to_none=True)
            optimiser = count.alive - weights
            count.watch(objective)
            # Gradients of the first pass are there in all others: two are enough.
            stages = update(passes=min(2, recipe.passes))
            next(stages)
            in_pass, activations = count.most, count.activations
            count.restart()
            list(stages)
            found = optimiser, activations, in_pass, count.most
        return cls(recipe.one_pass, weights, gradients, *found)

    def most_texts(self, other: Self, room: float) -> int:
        """The most texts of a pass for which so many bytes are enough.

        Args:
            other: of another number of texts. A pass takes so much, and as much again
                for each text, which two of them tell.
            room: in bytes.
        """
        each = (other.in_pass - self.in_pass) / (other.texts - self.texts)
        most = self.texts + int((room - self.in_pass) // each)
        return max(0, most) if self.in_step <= room else 0


def in_a_table(
    config: BertConfig, recipe: Recipe, own: float | None = None, **how: Any
) -> Iterator[str]:
    """What an update takes, and which devices have it, in lines.

    Args:
        own: one device more, in GB.
    """
    texts = recipe.one_pass
    memory = Memory.of(config, recipe, **how)
    double = recipe.replace(batch=2 * recipe.batch, pass_size=2 * texts)
    other = Memory.of(config, double, **how)
    yield f"GB of memory for passes of {texts:,} texts of {recipe.length:,} tokens:"
    for name in ("weights", "gradients", "optimiser", "activations"):
        yield f"  {name:<22}{getattr(memory, name) / GB:>8.2f}"
    yield f"  {'most of all at once':<22}{memory.total / GB:>8.2f}"
    yield f"with {1 - USABLE:.0%} left to the driver and the allocator, it fits on:"
    for name, size in (*DEVICES, *([("yours", own)] if own else [])):
        most = memory.most_texts(other, USABLE * size * GB)
        answer = "yes" if most >= texts else "no"
        passes = f"passes of up to {most:,} texts" if most else "not one text"
        yield f"  {name:<6}{size:>4g} GB  {answer:<5}{passes}"


def memory_in_lines(options: Mapping[str, Any]) -> Iterator[str]:
    """What an update of a run with such options takes, and which devices have it."""
    plan = PLANS[options["plan"]]
    asked = {key: options[key] for key in FIXED if key in options}
    recipe = recipe_for(plan, asked)
    pieces = BertConfig.vocab_size if "preset" in asked else plan.pieces
    config = config_for(plan, asked, pieces)
    recipe.check_length(config.max_positions)
    yield f"{in_words(config)}, in {options['precision']}"
    yield from in_a_table(
        config,
        recipe,
        options.get("memory"),
        precision=getattr(torch, options["precision"]),
        checkpoint_activations=options["checkpoint_activations"],
    )


class Count(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and the most there were.

    From `watch` on, `activations` are the most beside what was there by then, and
    beside the gradients that come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.most = self.activations = self._apart = 0
        self._known: dict[int, int] = {}
        self._gradients: set[Tensor] = set()

    def restart(self) -> None:
        """Forget the most that there were."""
        self.most, self.activations = self.alive, 0

    def watch(self, module: nn.Module) -> None:
        """Tell activations from what there is, and from gradients of parameters."""
        self._apart = self.alive
        self.restart()
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
            self.activations = max(self.activations, self.alive - self._apart)

    def _drop(self, place: int) -> None:
        self.alive -= self._known.pop(place)

    def _arrived(self, parameter: Tensor) -> None:
        if parameter not in self._gradients:  # the next pass adds to the same
            self._gradients.add(parameter)
            self._apart += parameter.grad.nbytes


def _update(
    objective: Objective,
    arguments: Mapping[str, Tensor],
    optimisers: Optimisers,
    settings: ComputeSettings,
    passes: int,
) -> Iterator[None]:
    """What `train` does in an update, as far as it takes memory; stops at the step."""
    for _ in range(passes):
        with autocast(settings):
            losses = objective(**arguments)
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
