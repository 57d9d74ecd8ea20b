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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from bertcore.text.batch import TrainingBatch
from bertcore.training.devices import World, compiled, find_device, precision_for
from bertcore.training.objectives import PretrainingBatches
from bertcore.training.optim import Optimisers
from bertcore.training.recipe import Recipe

FAULTS = 10  # updates in a row that may be left out before a run ends
RISES = 1000  # good updates before the scale is doubled
FIRST_SCALE = 2.0**14
MOST = 2000


@dataclass
class ComputeSettings:
    """Where a run is computed, and how; it changes the speed, not what is learnt.

    Args:
        device: where the model is.
        precision: of the products of matrices; weights stay in float32.
        world: the processes that share the work.
        compile: compile the objective; CUDA only.
        workers: processes beside this one that make batches.
        operations: products a second, as `measure` finds them.
    """

    device: torch.device
    precision: torch.dtype = torch.float32
    world: World = field(default_factory=World)
    compile: bool = False
    workers: int = 0
    operations: float | None = None


def default_compute_settings() -> ComputeSettings:
    """The GPU if there is one, in the precision that suits it; or the CPU."""
    device = find_device()
    workers = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
    return ComputeSettings(device, precision_for(device), workers=workers)


@dataclass
class TrainingState:
    """How far a run is; with the weights and the optimisers' means, all its state.

    `step` counts updates, those left out (`skipped`) included; `passes` what was read
    for them; `tokens` real ones; `seconds` those of training. `faults` were left out
    just now, one after another. `scale` is the loss's in fp16, `good` the updates since
    it changed.
    """

    step: int = 0
    passes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: int = 0
    faults: int = 0
    scale: float = FIRST_SCALE
    good: int = 0

    def share(self, recipe: Recipe) -> float:
        """The share of the run that is done."""
        if recipe.steps is not None:
            return self.step / recipe.steps
        return self.seconds / recipe.seconds

    def advance(self, passes: int, tokens: int, seconds: float) -> None:
        """Count one update."""
        self.step += 1
        self.passes += passes
        self.tokens += tokens
        self.seconds += seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


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
            f"{self.progress:4.0%} step {self.step:,}: loss {losses}, rate "
            f"{self.learning_rate:.2g}, {self.tokens_per_second:,.0f} tokens/s{used}"
        )


def follow(records: Iterator[Record], steps: int, progress: bool) -> None:
    """Train to the end; with `progress`, behind a bar."""
    with tqdm(total=steps, unit=" updates", disable=not progress) as bar:
        for record in records:
            bar.set_postfix_str(f"loss {sum(record.losses):.3f}", refresh=False)
            bar.update()


def train(
    objective: nn.Module,
    works: PretrainingBatches,
    optimisers: Optimisers,
    recipe: Recipe,
    setting: ComputeSettings,
    progress: TrainingState,
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
    costs = works.costs(objective) if setting.operations else None
    warm = False  # the first update waits for workers and compilation: not counted
    while (done := progress.share(recipe)) < 1:
        start, rate = time.perf_counter(), recipe.rate_at(done)
        number = max(world.size, recipe.passes_at(done) // world.size * world.size)
        mine = [next(passes).to(device) for _ in range(number // world.size)]
        seed_for(recipe.seed, progress.step, world.rank)
        objective.train()
        found = _gradients(module, mine, guard.scale, setting)
        read = (works.name(progress.passes + n) for n in range(number))
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
            costs and sum(map(costs.useful, mine)) / seconds / setting.operations,
            fault,
        )


def _wrapped(
    objective: nn.Module, recipe: Recipe, setting: ComputeSettings
) -> nn.Module:
    """Compiled, and shared among the processes, as the setting says."""
    _check_shares(recipe, setting.world)
    module = compiled(objective, setting.device) if setting.compile else objective
    return setting.world.shared(module, setting.device)


class _Found(NamedTuple):
    """Mean losses and tokens of an update."""

    losses: Tensor
    tokens: int


def _gradients(
    module: nn.Module, mine: list[TrainingBatch], scale: float, setting: ComputeSettings
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
    return _Found(world.sum(losses), tokens)


class Guard:
    """Looks at each update before it is made."""

    def __init__(self, progress: TrainingState, half: bool) -> None:
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


def _products(setting: ComputeSettings) -> AbstractContextManager:
    """Products in the setting's numbers; norms, softmax and losses in float32."""
    if setting.precision == torch.float32:
        return nullcontext()
    return torch.autocast(setting.device.type, setting.precision)


def _marked(
    arguments: dict[str, Tensor], setting: ComputeSettings
) -> dict[str, Tensor]:
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


def _passes(
    works: PretrainingBatches, first: int, setting: ComputeSettings
) -> Iterator[TrainingBatch]:
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


class Diverged(ArithmeticError):
    """Losses or gradients were infinite, or no numbers, in ten updates in a row.

    The weights are those before the first of them.
    """


class History:
    """Every n-th record, n a power of two; never more than 2,000.

    `steps` and the other columns are lists of the same length.
    """

    COLUMNS = (
        "step",
        "tokens",
        "seconds",
        "masked_lm",
        "learning_rate",
        "gradient",
        "tokens_per_second",
        "utilisation",
    )

    def __init__(self) -> None:
        self.every = 1
        self.rows: list[tuple[float | None, ...]] = []

    def add(self, record: Record) -> None:
        """Keep the record if it is the n-th."""
        if record.step % self.every:
            return
        self.rows.append(
            (
                record.step,
                record.tokens,
                record.seconds,
                record.losses[0],
                record.learning_rate,
                record.gradient,
                record.tokens_per_second,
                record.utilisation,
            )
        )
        if len(self.rows) > MOST:
            self.every *= 2
            self.rows = [row for row in self.rows if row[0] % self.every == 0]

    def column(self, name: str) -> list[Any]:
        """One of `COLUMNS`, over all rows that were kept."""
        place = self.COLUMNS.index(name)
        return [row[place] for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"every": self.every, "rows": self.rows}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        history = cls()
        history.every = content["every"]
        history.rows = [tuple(row) for row in content["rows"]]
        return history
