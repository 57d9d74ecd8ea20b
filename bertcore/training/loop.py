"""Loop: update after update, one record each (chapter 9).

`train` is a generator. A notebook plots its records, a command logs them, and `break`
stops it. All that is random in an update is a function of the seed and of its number.
So a run that stops and goes on has the same weights in the end as one that does not, if
its end is given in updates; in time, the learning rate follows the clock.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from statistics import fmean
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Sampler

from bertcore.model.counts import Costs
from bertcore.text.batch import TrainingBatch
from bertcore.training.devices import World, compiled, find_device, precision_for
from bertcore.training.optim import Optimisers
from bertcore.training.recipe import Recipe

FAULTS = 10  # updates in a row that may be left out before a run ends
FIRST_SCALE = 2.0**14  # with torch's own 2^16 a first update overflows
MOST = 2000


@dataclass
class ComputeSettings:
    """Where a run is computed, and how; it changes the speed, not what is learnt.

    Args:
        precision: of the products of matrices; weights stay in float32.
        world: the processes that share the work.
        checkpoint_activations: compute layers again in the backward pass, to save
            memory; see `checkpoint_layers`.
        workers: processes beside this one that make batches.
        operations: products a second, as `measure` finds them.
    """

    device: torch.device
    precision: torch.dtype = torch.float32
    world: World = field(default_factory=World)
    compile: bool = False
    checkpoint_activations: bool = False
    workers: int = 0
    operations: float | None = None


def default_workers(device: torch.device) -> int:
    """Processes that make batches: a GPU must not wait for them, a CPU is busy."""
    return min(4, os.cpu_count() or 1) if device.type == "cuda" else 0


def default_compute_settings() -> ComputeSettings:
    """The GPU if there is one, in the precision that suits it; or the CPU."""
    device = find_device()
    return ComputeSettings(
        device, precision_for(device), workers=default_workers(device)
    )


@dataclass
class TrainingState:
    """How far a run is; with the weights and the optimisers' moments, all its state.

    `step` counts updates, those left out (`skipped`) included; `batches` the
    micro-batches that they read; `tokens` real ones; `seconds` those of training.
    `faults` were left out just now, one after another. `loss_scale` is what
    `torch.amp.GradScaler` remembers; empty unless products are in fp16.
    """

    step: int = 0
    batches: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: int = 0
    faults: int = 0
    loss_scale: dict[str, Any] = field(default_factory=dict)

    def share(self, recipe: Recipe) -> float:
        """The share of the run that is done."""
        if recipe.steps is not None:
            return self.step / recipe.steps
        return self.seconds / recipe.seconds

    def next_share(self, recipe: Recipe) -> float:
        """The share of the run that the next update takes.

        In time it is the mean of those before, a thousandth while none was timed.
        """
        if recipe.steps is not None:
            return 1 / recipe.steps
        return self.seconds / max(1, self.step - 1) / recipe.seconds or 0.001


class Record(NamedTuple):
    """One update.

    `losses` are means in nats: of the masked pieces and, if they are asked for, of the
    pairs. `gradient` is the gradient's length before it is clipped. `tokens` and
    `seconds` are counted from the beginning of the run. `utilisation` is the share of
    the products of matrices which the machine could have done, in tests of its speed,
    that went into useful ones; None if it was not tested. `fault` says in words why the
    update was left out.
    """

    step: int
    progress: float
    losses: tuple[float, ...]
    learning_rate: float
    gradient: float
    tokens: int
    seconds: float
    tokens_per_second: float
    utilisation: float | None = None
    fault: str | None = None

    def __str__(self) -> str:
        losses = " + ".join(f"{loss:.3f}" for loss in self.losses)
        used = "" if self.utilisation is None else f", {self.utilisation:.0%} of peak"
        return (
            f"{self.progress:4.0%} step {self.step:,}: loss {losses}, "
            f"learning rate {self.learning_rate:.2g}, "
            f"{self.tokens_per_second:,.0f} tokens/s{used}"
        )


class MicroBatches(Protocol):
    """What `train` reads: the n-th micro-batch, a function of n, and what it holds."""

    def __getitem__(self, number: int) -> TrainingBatch: ...

    def name(self, number: int) -> str:
        """In words, for the sentence about an update that is left out."""

    def costs(self, objective: nn.Module) -> Costs:
        """What an objective computes for them."""


class Diverged(ArithmeticError):
    """Ten updates in a row, or all of a run, had to be left out.

    Losses or gradients were infinite, or no numbers, or there was nothing to predict.
    The weights are those before the first of them.
    """


def train(
    objective: nn.Module,
    batches: MicroBatches,
    optimisers: Optimisers,
    recipe: Recipe,
    settings: ComputeSettings,
    progress: TrainingState,
) -> Iterator[Record]:
    """Train until the recipe's end; yield a record after every update.

    Args:
        objective: gives the sums of the losses of a micro-batch; its parameters are
            changed.
        progress: where to go on from; it is kept up to date.

    Raises:
        Diverged: if too many updates in a row had to be left out.
        ValueError: if the micro-batches of an update cannot be shared among the
            processes.
    """
    world, device = settings.world, settings.device
    _check_shares(recipe, world)
    module = compiled(objective, device) if settings.compile else objective
    module = world.shared(module, device)  # DistributedDataParallel, if there are more
    source = _own_batches(batches, progress.batches, settings)
    costs = batches.costs(objective) if settings.operations else None
    products, scaler = autocast(settings), _loss_scaler(settings, progress)
    warm = False  # the first update waits for workers and compilation: not timed
    while (done := progress.share(recipe)) < 1:
        start = time.perf_counter()
        share = recipe.rate_at(done, progress.next_share(recipe))
        mine = [next(source) for _ in range(recipe.passes // world.size)]
        seed_for(recipe.seed, progress.step, world.rank)
        objective.train()
        module.zero_grad(set_to_none=True)  # of an update that was interrupted

        # The sum of a loss is divided by its answers in the whole update, of all
        # processes: then it does not matter how the update is cut into micro-batches,
        # though one may hold more masked positions than another.
        facts = torch.stack([batch.facts() for batch in mine]).sum(0)
        if world.size > 1:
            facts = world.sum(facts.to(device))
        tokens, *counts = facts.tolist()
        answers = torch.tensor(counts, device=device).clamp(min=1)
        losses = torch.zeros(len(counts), device=device)
        for batch in mine:
            # Gradients add up; processes exchange them once, in the last backward.
            waits = world.size > 1 and batch is not mine[-1]
            with module.no_sync() if waits else nullcontext(), products:
                means = module(**batch.arguments) / answers
            # DDP takes the mean over the processes; the sum is wanted.
            scaler.scale(means.sum() * world.size).backward()
            losses += means.detach()

        if scaler.is_enabled():  # from here on the gradients have their true size
            for optimiser, _ in optimisers.parts:
                scaler.unscale_(optimiser)
            scaler.update()  # half as much after an overflow, now and then twice
            progress.loss_scale = scaler.state_dict()
        gradients = [p.grad for p in objective.parameters() if p.grad is not None]
        length = torch.nn.utils.get_total_norm(gradients).reshape(1)
        # The device is waited for once, and all numbers come in one transfer.
        gradient, *values = torch.cat([length.to(losses), world.sum(losses)]).tolist()
        fault = None
        if math.isfinite(gradient + sum(values)) and any(counts):
            # Clipped before Adam sees it, by its length over all parameters together,
            # as in Google's optimization.py.
            if 0 < recipe.clip < gradient:
                torch._foreach_mul_(gradients, recipe.clip / gradient)
            for optimiser, highest in optimisers.parts:
                for group in optimiser.param_groups:
                    group["lr"] = highest * share
                optimiser.step()
            progress.faults = 0
        else:
            names = [batches.name(progress.batches + n) for n in range(recipe.passes)]
            found = ", ".join(f"{loss:.4g}" for loss in values)
            why = f"the length of its gradient is {gradient}, its losses are {found}"
            why = why if any(counts) else "it has no label"
            fault = _left_out(progress, why, names)
        module.zero_grad(set_to_none=True)

        seconds = world.first(time.perf_counter() - start, device)
        useful = sum(map(costs.useful, mine)) if costs else 0.0
        progress.step += 1
        progress.batches += recipe.passes
        progress.tokens += tokens
        progress.seconds += seconds if warm else 0.0
        warm = True
        yield Record(
            step=progress.step,
            progress=min(1.0, progress.share(recipe)),
            losses=tuple(values),
            learning_rate=recipe.learning_rate * share,
            gradient=gradient,
            tokens=progress.tokens,
            seconds=progress.seconds,
            tokens_per_second=tokens / seconds,
            utilisation=costs and useful / seconds / settings.operations,
            fault=fault,
        )


def checkpoint_layers(module: nn.Module) -> None:
    """Let each layer keep its input alone, and compute the rest again when needed.

    The states inside a layer are most of what training remembers, so memory falls by
    much, for one more forward pass (Chen et al. 2016, arXiv:1604.06174). Dropout draws
    the same numbers again, so gradients are as they were.
    """
    for name, layers in module.named_modules():
        if isinstance(layers, nn.ModuleList) and name.endswith("layers"):
            for layer in dict.fromkeys(layers):  # ALBERT's are one
                if not isinstance(layer.forward, partial):  # of a run before
                    layer.forward = partial(_recomputed, layer.forward)


def _recomputed(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    # An evaluation keeps nothing, and whoever counts operations wants each once.
    if forward.__self__.training and torch.is_grad_enabled():
        return checkpoint(forward, *arguments, use_reentrant=False, **named)
    return forward(*arguments, **named)


def autocast(settings: ComputeSettings) -> AbstractContextManager[Any]:
    """Products in the settings' precision; norms, softmax and losses in float32."""
    if settings.precision == torch.float32:
        return nullcontext()
    return torch.autocast(settings.device.type, settings.precision)


def _loss_scaler(
    settings: ComputeSettings, progress: TrainingState
) -> torch.amp.GradScaler:
    """By what the loss is multiplied in fp16, where short gradients would be 0.

    In any other precision it does nothing.
    """
    half = settings.precision == torch.float16
    scaler = torch.amp.GradScaler(
        settings.device.type, init_scale=FIRST_SCALE, enabled=half
    )
    if half and progress.loss_scale:
        scaler.load_state_dict(progress.loss_scale)
    else:  # a run may go on in another precision than it began with
        progress.loss_scale = {}
    return scaler


def _left_out(progress: TrainingState, why: str, names: list[str]) -> str:
    """An update is left out: count it, and say why, and what it read.

    Raises:
        Diverged: if it is one too many.
    """
    progress.skipped += 1
    progress.faults += 1
    fault = f"update {progress.step} left out: {why}; it read {', '.join(names)}"
    if progress.loss_scale:
        fault += f"; the loss's scale is now {progress.loss_scale['scale']:g}"
    if progress.faults >= FAULTS:
        raise Diverged(
            f"{fault}. These were {FAULTS} in a row: look at these examples, or begin "
            "anew in another folder with a lower learning rate"
        )
    return fault


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


def _own_batches(
    batches: MicroBatches, first: int, settings: ComputeSettings
) -> Iterator[TrainingBatch]:
    """Those of this process on its device, from the first one on, without end."""
    numbers = _Numbers(first + settings.world.rank, settings.world.size)
    source = (batches[number] for number in numbers)
    if settings.workers:
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=settings.workers,
            pin_memory=settings.device.type == "cuda",
            prefetch_factor=4,
            worker_init_fn=_outlive_ctrl_c,
        )
        source = iter(loader)
    for batch in source:
        batch = batch.to(settings.device)
        if settings.compile:  # or it would compile again for each number of rows
            for value in batch.arguments.values():
                torch._dynamo.maybe_mark_dynamic(value, 0)
        yield batch


def _outlive_ctrl_c(_: int) -> None:
    """Ctrl-C reaches all processes, and the main one saves first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Numbers(Sampler[int]):
    """first, first + stride, … without end."""

    def __init__(self, first: int, stride: int) -> None:
        self.first, self.stride = first, stride

    def __iter__(self) -> Iterator[int]:
        return count(self.first, self.stride)


@dataclass
class History:
    """Every n-th record, n a power of two; never more than 2,000.

    Each row has the `COLUMNS`, in their order.
    """

    COLUMNS: ClassVar = (
        "step", "tokens", "seconds", "masked_lm", "learning_rate", "gradient",
        "tokens_per_second", "utilisation",
    )  # fmt: skip

    every: int = 1
    rows: list[tuple[float | None, ...]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Keep the record if it is the n-th."""
        if record.step % self.every:
            return
        kept = record._asdict() | {"masked_lm": record.losses[0]}
        self.rows.append(tuple(kept[name] for name in self.COLUMNS))
        if len(self.rows) > MOST:
            self.every *= 2
            self.rows = [row for row in self.rows if row[0] % self.every == 0]

    def stretches(self, most: int = 40) -> list[list[float | None]]:
        """The run in so many stretches: last step, loss, learning rate, gradient.

        The loss is the mean, the other two are the highest. Updates that were left out
        count in none of them; None where no other is in the stretch.
        """
        names = "masked_lm", "learning_rate", "gradient"
        columns = [self.COLUMNS.index(name) for name in names]
        size = -(-len(self.rows) // most) or 1
        found: list[list[float | None]] = []
        for start in range(0, len(self.rows), size):
            part = self.rows[start : start + size]
            kept = [[row[n] for n in columns] for row in part]
            sound = [row for row in kept if math.isfinite(row[0] + row[2])]
            found.append([part[-1][0], None, None, None])
            if sound:
                losses, rates, gradients = zip(*sound, strict=True)
                found[-1][1:] = fmean(losses), max(rates), max(gradients)
        return found

    def column(self, name: str) -> list[Any]:
        """One of `COLUMNS`, over all rows that were kept."""
        place = self.COLUMNS.index(name)
        return [row[place] for row in self.rows]
