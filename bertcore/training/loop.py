"""Loop: update after update, one record each (chapter 9).

`train` is a generator. A notebook plots its records, a command logs them, and `break`
stops it. All that is random in an update is a function of the seed and of its number.
So a run that stops and goes on has the same weights in the end as one that does not, if
its end is given in updates; in time, the rate follows the clock.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from bertcore.training.distributed import World
from bertcore.training.guard import Guard
from bertcore.training.objective import PretrainingWorks, Work
from bertcore.training.optim import Optimisers
from bertcore.training.progress import Progress, Record
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import compiled, find_device, precision_for


@dataclass
class Setting:
    """Where a run is computed, and how; it changes the speed, not what is learnt.

    Args:
        device: where the model is.
        precision: of the products of matrices; weights stay in float32.
        world: the processes that share the work.
        compile: compile the objective; CUDA only.
        workers: processes beside this one that make batches.
        operations: products a second, as `runtime.measure` finds them.
    """

    device: torch.device
    precision: torch.dtype = torch.float32
    world: World = field(default_factory=World)
    compile: bool = False
    workers: int = 0
    operations: float | None = None


def default_setting() -> Setting:
    """The GPU if there is one, in the precision that suits it; or the CPU."""
    device = find_device()
    workers = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
    return Setting(device, precision_for(device), workers=workers)


def train(
    objective: nn.Module,
    works: PretrainingWorks,
    optimisers: Optimisers,
    recipe: Recipe,
    setting: Setting,
    progress: Progress,
) -> Iterator[Record]:
    """Train until the recipe's end; yield a record after every update.

    Args:
        objective: gives the sums of the losses of a pass; its parameters are changed.
        works: the passes.
        optimisers: of the objective's parameters.
        recipe: how to train.
        setting: where.
        progress: where to go on from; it is kept up to date.

    Raises:
        Diverged: if too many updates in a row had to be left out.
        ValueError: if the passes of an update cannot be shared among the processes.
    """
    world, device = setting.world, setting.device
    module = _wrapped(objective, recipe, setting)
    guard = Guard(progress, half=setting.precision == torch.float16)
    passes = _passes(works, progress.passes, setting)
    warm = False  # the first update waits for workers and compilation: not counted
    while (done := progress.share(recipe)) < 1:
        start, rate = time.perf_counter(), recipe.rate_at(done)
        number = max(world.size, recipe.passes_at(done) // world.size * world.size)
        mine = [next(passes).to(device) for _ in range(number // world.size)]
        seed_for(recipe.seed, progress.step, world.rank)
        objective.train()
        found = _gradients(module, mine, guard.scale, setting)
        numbers = range(progress.passes, progress.passes + number)
        read = (works.name(each) for each in numbers)
        length, losses, fault = _updated(
            objective, found.losses, guard, optimisers, rate, recipe.clip, read
        )
        seconds = world.first(time.perf_counter() - start, device)
        progress.advance(number, found.tokens, seconds if warm else 0.0)
        warm = True
        yield Record(
            progress.step,
            min(1.0, progress.share(recipe)),
            losses,
            recipe.learning_rate * rate,
            length,
            progress.tokens,
            progress.seconds,
            found.tokens / seconds,
            setting.operations and found.operations / seconds / setting.operations,
            fault,
        )


def _wrapped(objective: nn.Module, recipe: Recipe, setting: Setting) -> nn.Module:
    """Compiled, and shared among the processes, as the setting says."""
    _check_shares(recipe, setting.world)
    module = compiled(objective, setting.device) if setting.compile else objective
    return setting.world.shared(module, setting.device)


class _Found(NamedTuple):
    """Mean losses and tokens of an update, useful operations of this process."""

    losses: Tensor
    tokens: int
    operations: float


def _gradients(
    module: nn.Module, mine: list[Work], scale: float, setting: Setting
) -> _Found:
    """Sum the gradients over all passes of an update.

    Each loss is divided by the number of its answers in the whole update, so it does
    not matter how the update is cut into passes, and among processes.
    """
    world, device = setting.world, setting.device
    module.zero_grad(set_to_none=True)  # of an update that was interrupted
    facts = torch.stack([work.facts() for work in mine]).sum(0)
    if world.size > 1:
        facts = world.sum(facts.to(device))
    tokens, *counts = facts.tolist()
    answers = torch.tensor(counts, device=device).clamp(min=1)
    losses = torch.zeros(len(counts), device=device)
    for work in mine:
        with _exchange(module, work is mine[-1]), _products(setting):
            means = module(**_marked(work.arguments, setting)) / answers
        # DDP takes the mean over the processes; the sum is wanted.
        (means.sum() * (scale * world.size)).backward()
        losses += means.detach()
    operations = sum(work.operations for work in mine)
    return _Found(world.sum(losses), tokens, operations)


def _updated(
    objective: nn.Module,
    losses: Tensor,
    guard: Guard,
    optimisers: Optimisers,
    rate: float,
    longest: float,
    read: Iterable[str],
) -> tuple[float, tuple[float, ...], str | None]:
    """Look at the gradients, then use them or leave them out; then they are gone.

    Returns the length of the gradient, the losses, and why it was left out, if it was.
    """
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    length, values = _looked_at(gradients, losses)
    fault = None
    if guard.is_sound(length, values):
        length = guard.clip(gradients, length, longest)
        optimisers.step(rate)
        guard.passed()
    else:
        fault = guard.failed(length, values, ", ".join(read))
    objective.zero_grad(set_to_none=True)
    return length, values, fault


def _looked_at(
    gradients: list[Tensor], losses: Tensor
) -> tuple[float, tuple[float, ...]]:
    """The length of the gradient and the losses, in one look at the device."""
    length = torch.nn.utils.get_total_norm(gradients).reshape(1)
    found, *values = torch.cat([length.to(losses), losses]).tolist()
    return found, tuple(values)


def _exchange(module: nn.Module, last: bool) -> AbstractContextManager:
    """Processes exchange gradients in the last pass of an update only."""
    if last or not hasattr(module, "no_sync"):
        return nullcontext()
    return module.no_sync()


def _products(setting: Setting) -> AbstractContextManager:
    """Products in the setting's numbers; norms, softmax and losses in float32."""
    if setting.precision == torch.float32:
        return nullcontext()
    return torch.autocast(setting.device.type, setting.precision)


def _marked(arguments: dict[str, Tensor], setting: Setting) -> dict[str, Tensor]:
    """What is compiled must not be compiled again for each number of rows."""
    if setting.compile:
        for value in arguments.values():
            torch._dynamo.maybe_mark_dynamic(value, 0)
    return arguments


def seed_for(seed: int, step: int, rank: int = 0) -> None:
    """Set torch's random numbers: dropout, too, is a function of seed and step."""
    torch.manual_seed(((seed * 1_000_003 + step) * 1_009 + rank) % 2**63)


def _check_shares(recipe: Recipe, world: World) -> None:
    if recipe.passes % world.size:
        share = recipe.batch // world.size
        raise ValueError(
            f"{recipe.passes} passes in an update (batch={recipe.batch}, pass_size="
            f"{recipe.one_pass}) cannot be shared among {world.size} processes; give a "
            f"batch that {world.size} divides and pass_size={max(1, share)}, or a "
            "divisor of it"
        )


def _passes(works: PretrainingWorks, first: int, setting: Setting) -> Iterator[Work]:
    """Those of this process, from the first one on, without end."""
    numbers = _Numbers(first + setting.world.rank, setting.world.size)
    if not setting.workers:
        return (works[number] for number in numbers)
    loader = DataLoader(
        works,
        batch_size=None,
        sampler=numbers,
        num_workers=setting.workers,
        pin_memory=setting.device.type == "cuda",
        prefetch_factor=4,
        worker_init_fn=_outlive_ctrl_c,
    )
    return iter(loader)


def _outlive_ctrl_c(_: int) -> None:
    """Ctrl-C reaches all processes, and the main one saves first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Numbers(Sampler[int]):
    """first, first + stride, … without end."""

    def __init__(self, first: int, stride: int) -> None:
        self.first, self.stride = first, stride

    def __iter__(self) -> Iterator[int]:
        return count(self.first, self.stride)
