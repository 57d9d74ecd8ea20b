"""Session: one stretch of pretraining, from its start or newest checkpoint on.

Signals are handled here, and `bertcore benchmark` is timed here.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import pairwise
from operator import mul
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import typer

from bertcore.command.log import check_tensorboard, logged, say
from bertcore.model.config import BertConfig
from bertcore.text.prepare import packaged
from bertcore.training.checkpoint import checkpoints
from bertcore.training.devices import Machine, World, join, leave, measure
from bertcore.training.export import export
from bertcore.training.loop import ComputeSettings, Diverged, Record
from bertcore.training.pretraining import CHECKPOINTS, Pretraining
from bertcore.training.recipe import PLANS, Plan, choose_plan
from bertcore.training.run import (
    CURVES,
    MODEL,
    RUN,
    RunDescription,
    begin_run,
    continue_run,
    start_run,
)

FAULT, DIVERGED = 1, 3
SAVE_EVERY, LOOKS = 300.0, 20
WARM_UP = 2  # updates that are not counted: memory is found, kernels are chosen


def session(folder: Path, given: Mapping[str, Any]) -> None:
    """Begin the run in a folder, or go on with it, to its end.

    Args:
        folder: of the run.
        given: the options that were given.

    Raises:
        typer.Exit: with status 3 if training diverged; with 128 and the number of the
            signal if it was stopped, after a checkpoint.
    """
    if given.get("tensorboard"):
        check_tensorboard()
    world, device = join()
    try:
        if given.get("compile") and device.type != "cuda":
            raise ValueError(
                "--compile gains nothing on a CPU, and it takes a minute; leave it out"
            )
        machine = measure(device, _precision(given, folder))
        if world.leads:
            say(str(machine))
        about = _described(folder, given, machine, world)
        run = _ready(folder, about, machine, world)
        ended = run.progress.share(run.recipe) >= 1 and (folder / MODEL).is_dir()
        stopped = 0 if ended else _trained(run, folder, about)
        if world.leads and not (stopped or ended):
            export(run.model, run.tokenizer, folder / MODEL, run.card())
        if world.leads:
            _report(run, folder, stopped)
    except Diverged as error:
        say(f"bertcore: {error}", error=True)
        raise typer.Exit(DIVERGED) from error
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "the device has too little memory for a pass; begin a run with a smaller "
            "--pass-size, which changes nothing of what is learnt in an update"
        ) from error
    finally:
        leave()
    if stopped:
        raise typer.Exit(128 + stopped)


def _precision(given: Mapping[str, Any], folder: Path) -> torch.dtype | None:
    """The one that was asked for, now or when the run began."""
    name = given.get("precision")
    if name is None and (folder / RUN).is_file():
        name = RunDescription.read(folder).asked.get("precision")
    return getattr(torch, name) if name else None


def _described(
    folder: Path, given: Mapping[str, Any], machine: Machine, world: World
) -> RunDescription:
    """What the run is; the leading process prepares it while the others wait."""
    fault: Exception | None = None
    if world.leads:
        try:
            _describe(folder, given, machine, world.size)
        except (ValueError, OSError) as error:
            fault = error
    failed = world.first(float(fault is not None), machine.device)
    if fault is not None:
        raise fault
    if failed:
        raise typer.Exit(FAULT)  # the leading process says why
    return RunDescription.read(folder)


def _describe(
    folder: Path, given: Mapping[str, Any], machine: Machine, processes: int
) -> None:
    if (folder / RUN).is_file():
        continue_run(folder, given)
        return
    plan = PLANS[given["plan"]] if "plan" in given else choose_plan(machine)
    own = [
        f"--{name}" for name in ("data", "family", "preset", "recipe") if name in given
    ]
    but = f"; but with what {' and '.join(own)} says" if own else ""
    say(f"plan {plan.name}: {plan.about}{but}")
    begin_run(folder, given, plan, processes, sys.stderr.isatty())


def _ready(
    folder: Path, about: RunDescription, machine: Machine, world: World
) -> Pretraining:
    cuda, asked = machine.device.type == "cuda", about.asked
    setting = ComputeSettings(
        machine.device,
        machine.precision,
        world,
        cuda and asked.get("compile", False),
        asked.get("workers", min(4, os.cpu_count() or 1) if cuda else 0),
        machine.operations,
    )
    run = start_run(
        about.texts(folder),
        about.recipe,
        about.config,
        folder,
        setting=setting,
        save_every=asked.get("save_every", SAVE_EVERY),
        looks=asked.get("looks", LOOKS),
        shard=asked.get("shard", False) and world.size > 1,
    )
    if world.leads:
        count = sum(p.numel() for p in run.model.parameters())
        at = f"goes on from step {run.progress.step:,}" if run.progress.step else "new"
        say(f"{folder}: {at}, {count:,} parameters, {run.store}")
    return run


def _trained(run: Pretraining, folder: Path, about: RunDescription) -> int:
    """Train; return the number of the signal that stopped it, or 0."""
    curves = folder / CURVES if about.asked.get("tensorboard") else None
    return followed(run, logged(run, curves))


def followed(run: Any, log: AbstractContextManager[Any]) -> int:
    """Read a run's records until its end, or until a signal.

    Args:
        run: has `records()`, a setting, a recipe and its progress.
        log: gives what takes the records, or None where another process shows them.

    Returns:
        The number of the signal that stopped it, or 0.
    """
    world, device = run.setting.world, run.setting.device
    with stoppable() as stop, log as shown:
        try:
            with closing(run.records()) as records:
                for record in records:
                    if shown is not None:
                        shown.add(record)
                    if world.first(float(stop()), device):
                        break
        except RuntimeError:
            if not stop():  # the signal may have ended a process that makes batches
                raise
        return stop() if run.progress.share(run.recipe) < 1 else 0


@contextmanager
def stoppable() -> Iterator[Callable[[], int]]:
    """Ctrl-C and SIGTERM wait for the end of an update, so that it can be saved.

    Yields:
        A function that says which signal came, or 0.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    usual = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _report(run: Pretraining, folder: Path, stopped: int) -> None:
    """Where the run stands, what it left, and what to do with it."""
    done = run.progress
    sums = f"{done.step:,} updates, {done.tokens:,} tokens, {done.seconds:,.0f} s"
    if stopped:
        found = checkpoints(folder / CHECKPOINTS)
        newest = f"the checkpoint {found[0].name}" if found else "the beginning"
        say(
            f"bertcore: stopped after {sums}; go on from {newest} with: bertcore "
            f"resume {folder}",
            error=True,
        )
        return
    say(f"finished: {sums}; {folder / MODEL} is the model")
    say(f'what next: bertcore fill-mask "Some [MASK] text." --model {folder}')


def speed(
    name: str, seconds: float, pass_size: int | None, compile: bool
) -> Iterator[str]:
    """What the machine does, in lines.

    Args:
        name: of the plan.
        seconds: to train for, in all.
        pass_size: texts in an update, which is one pass.
        compile: compile the objective first.
    """
    machine = measure()
    yield str(machine)
    plan, cuda = PLANS[name], machine.device.type == "cuda"
    pass_size = pass_size or (256 if cuda else 4)
    config = plan.config(plan.pieces)
    run = _run(plan, config, pass_size, machine, compile)
    kind = str(machine.precision).removeprefix("torch.")
    count = sum(p.numel() for p in run.model.parameters())
    yield (
        f"{name}, {count / 1e6:.1f} million parameters, in {kind}, {pass_size} texts "
        f"of up to {run.recipe.length} tokens in an update:"
    )
    records = _timed(run, seconds)
    spent = [after.seconds - one.seconds for one, after in pairwise(records)]
    tokens = records[-1].tokens - records[0].tokens
    used = sum(map(mul, spent, [record.utilisation for record in records[1:]]))
    yield (
        f"{tokens / sum(spent):,.0f} tokens/s, {used / sum(spent):.0%} of peak "
        f"({len(spent)} updates)"
    )


def _timed(run: Pretraining, seconds: float) -> list[Record]:
    """The records of some seconds, from the last of warm-up on."""
    found: list[Record] = []
    with closing(run.records()) as records:
        for record in records:
            found.append(record)
            if len(found) > WARM_UP and record.seconds >= seconds:
                break
    return found[WARM_UP - 1 :]


def _run(
    plan: Plan, config: BertConfig, pass_size: int, machine: Machine, compile: bool
) -> Pretraining:
    cuda = machine.device.type == "cuda"
    setting = ComputeSettings(
        machine.device,
        machine.precision,
        compile=compile,
        workers=min(4, os.cpu_count() or 1) if cuda else 0,
        operations=machine.operations,
    )
    recipe = plan.recipe.replace(batch=pass_size, pass_size=None, steps=10**6)
    texts = packaged("tales")._replace(held_out=None)
    return start_run(texts, recipe, config, setting=setting)
