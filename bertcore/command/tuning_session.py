"""Tuning session: `bertcore finetune`, from its options to a folder and a table."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
import typer

from bertcore.command.log import say
from bertcore.command.place import (
    FAULTS,
    check_place,
    check_scores,
    start_of,
    write_faults,
)
from bertcore.command.rowset import first_rows, read_set
from bertcore.command.session import DIVERGED, FAULT, followed
from bertcore.command.tuning_log import logged_tuning, told_rows
from bertcore.command.tuning_results import Job, Results
from bertcore.training.distributed import World, join, leave
from bertcore.training.finetune import FineTuning
from bertcore.training.guard import Diverged
from bertcore.training.loop import Setting
from bertcore.training.runtime import device_name, precision_for
from bertcore.training.tuning import Tuning

Made = TypeVar("Made")
OF_TUNING = tuple(Tuning.__dataclass_fields__)


def tune(given: Mapping[str, Any]) -> None:
    """Fine-tune as the options say.

    Args:
        given: the options that were given, or that have a value by default.

    Raises:
        typer.Exit: with status 3 if training diverged; with 128 and the number of the
            signal if it was stopped, after the best weights so far were written.
    """
    world, device = join()
    try:
        stopped = _session(given, world, device)
    except Diverged as error:
        say(f"bertcore: {error}", error=True)
        raise typer.Exit(DIVERGED) from error
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "the device has too little memory for a pass; give a smaller --pass-size, "
            "which changes nothing of what is learnt in an update, or --length"
        ) from error
    finally:
        leave()
    if stopped:
        raise typer.Exit(128 + stopped)


def _session(given: Mapping[str, Any], world: World, device: torch.device) -> int:
    """All seeds; return the number of the signal that stopped them, or 0."""
    job = _together(lambda: _job(given, world), world, device)
    setting = _setting(given, world, device)
    if world.leads:
        _announce(job, device)
    results, stopped = Results(job), 0
    for seed in job.seeds:
        run = _together(lambda s=seed: _run(job, s, setting), world, device)
        try:
            stopped = _trained(run, len(job.seeds) > 1)
        except Diverged:
            if world.leads and run.best:
                results.keep(run)
            raise
        if world.leads:
            results.keep(run)
        if stopped:
            break
        if world.leads:
            results.count(run)
    if world.leads:
        results.tell(stopped)
    return stopped


def _together(make: Callable[[], Made], world: World, device: torch.device) -> Made:
    """What each process makes, the leading one first: it alone says what is wrong."""
    made: Any = None
    fault: Exception | None = None
    if world.leads:
        try:
            made = make()
        except (ValueError, OSError) as error:
            fault = error
    failed = world.first(float(fault is not None), device)
    if fault is not None:
        raise fault
    if failed:
        raise typer.Exit(FAULT)  # the leading process says why
    return made if world.leads else make()


def _job(given: Mapping[str, Any], world: World) -> Job:
    folder = Path(given["out"]).expanduser()
    start = start_of(given["task"], given.get("model"), given["random"])
    check_place(folder, given.get("model"))
    tuning = Tuning(**{key: given[key] for key in OF_TUNING if key in given})
    if world.size > 1 and tuning.pass_size is None and tuning.batch % world.size == 0:
        tuning = tuning.replace(pass_size=tuning.batch // world.size)
    recipe = tuning.recipe(1)
    if recipe.passes % world.size:
        raise ValueError(
            f"an update of {recipe.batch} rows in passes of {recipe.one_pass} "
            f"cannot be shared among {world.size} processes; give a --batch that "
            f"{world.size} divides, and no --pass-size"
        )
    rows = read_set(given["task"], given.get("kind"), given["on_fault"])
    rows = rows._replace(data=first_rows(rows.data, given.get("rows")))
    tuning.check_kind(rows.data.kind)
    check_scores(rows.data)
    seeds = range(tuning.seed, tuning.seed + given["seeds"])
    return Job(rows, start, tuning, seeds, folder, given["baselines"])


def _setting(given: Mapping[str, Any], world: World, device: torch.device) -> Setting:
    asked = given.get("precision")
    precision = getattr(torch, asked) if asked else precision_for(device)
    workers = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
    return Setting(device, precision, world, workers=workers)


def _announce(job: Job, device: torch.device) -> None:
    """What is trained on what; and, on stderr, what one should know before."""
    data, faults, note = job.rows
    write_faults(job.folder, faults)
    notes = [f"left out: {fault}" for fault in faults]
    if faults:
        many = f"{len(faults):,} fault{'s' if len(faults) > 1 else ''}"
        notes.append(f"{many}, listed in {job.folder / FAULTS}")
    notes += [each for each in (note, job.start.note) if each]
    if not data.valid:
        notes.append("no rows to validate, so the last weights are kept")
    if not data.test:
        notes.append("no rows to test, so there will be no scores")
    if job.compared and data.test and find_spec("sklearn") is None:
        notes.append(
            "to count words, for comparison, needs scikit-learn; run: pip install "
            "scikit-learn, or give --no-baselines"
        )
    for each in notes:
        say(f"bertcore: {each}", error=True)
    say(device_name(device))
    say(told_rows(data))
    say(f"{data.source}; licence: {data.licence}")


def _run(job: Job, seed: int, setting: Setting) -> FineTuning:
    run = FineTuning(
        job.data,
        job.start.weights,
        job.tuning.replace(seed=seed),
        setting=setting,
        tokenizer=job.start.tokenizer,
    )
    if setting.world.leads and seed == job.seeds[0]:
        sizes = [p.numel() for p in run.model.parameters()]
        count = sum(sizes)
        learnt = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
        learns = f"{learnt:,} of {count:,}" if learnt < count else f"all {count:,}"
        recipe, reading = run.recipe, run.predictor.reading
        written = f", {reading.target} to write" if job.data.kind == "writing" else ""
        say(
            f"{job.start.name}: {learns} parameters learn; {recipe.steps:,} updates of "
            f"{recipe.batch}, up to {reading.length} tokens at once{written}"
        )
    return run


def _trained(run: FineTuning, several: bool) -> int:
    """Train; return the number of the signal that stopped it, or 0."""
    if several and run.setting.world.leads:
        say(f"seed {run.tuning.seed}")
    return followed(run, logged_tuning(run))
