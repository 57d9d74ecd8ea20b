"""Tuning: `bertcore finetune` from its options to a folder and a table."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import typer

from bertcore.cards import write_card
from bertcore.command.log import SeedResult, logged_tuning, rows_in_words, say, table
from bertcore.command.session import DIVERGED, FAULT, followed
from bertcore.tasks.kinds import find_task
from bertcore.tasks.loading import first_rows, read_set
from bertcore.tasks.rows import CheckedSet, TaskSet
from bertcore.training.devices import World, device_name, join, leave, precision_for
from bertcore.training.finetuning import CARD, FineTuning
from bertcore.training.loop import ComputeSettings, Diverged
from bertcore.training.recipe import Tuning
from bertcore.training.run import (
    FAULTS,
    StartingModel,
    check_out_folder,
    starting_model,
    write_faults,
)

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
    results, stopped = TuningResults(job), 0
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


class TuningJob(NamedTuple):
    """What was asked for, checked: all that a run of one seed takes."""

    rows: CheckedSet
    start: StartingModel
    tuning: Tuning
    seeds: range
    folder: Path
    compared: bool

    @property
    def data(self) -> TaskSet:
        """The rows that are sound."""
        return self.rows.data


def _job(given: Mapping[str, Any], world: World) -> TuningJob:
    folder = Path(given["out"]).expanduser()
    start = starting_model(given["task"], given.get("model"), given["random"])
    check_out_folder(folder, given.get("model"))
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
    start.check_kind(rows.data.kind)
    task = find_task(rows.data.kind)
    task.check_tuning(tuning)
    task.check_scores([*rows.data.valid[:1], *rows.data.test[:1]])
    seeds = range(tuning.seed, tuning.seed + given["seeds"])
    return TuningJob(rows, start, tuning, seeds, folder, given["baselines"])


def _setting(
    given: Mapping[str, Any], world: World, device: torch.device
) -> ComputeSettings:
    asked = given.get("precision")
    precision = getattr(torch, asked) if asked else precision_for(device)
    workers = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
    return ComputeSettings(device, precision, world, workers=workers)


def _announce(job: TuningJob, device: torch.device) -> None:
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
    say(rows_in_words(data))
    say(f"{data.source}; licence: {data.licence}")


def _run(job: TuningJob, seed: int, setting: ComputeSettings) -> FineTuning:
    run = FineTuning(
        job.rows,
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
        written = (
            f", {reading.target} to write" if "search" in run.predictor.settings else ""
        )
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


class TuningResults:
    """What came of the seeds so far; the folder holds the best of them."""

    def __init__(self, job: TuningJob) -> None:
        self.job = job
        self.outcomes: list[SeedResult] = []
        self.card: dict[str, Any] | None = None
        self.kept: FineTuning | None = None

    def keep(self, run: FineTuning) -> None:
        """Write a run into the folder if none before did better in validation."""
        if not run.progress.step or (self.kept and not self._better(run)):
            return
        run.save(self.job.folder)
        left_out = len(self.job.rows.faults)
        self.kept, self.card = run, run.card(row_faults=left_out)
        write_card(self.job.folder / CARD, self.card)

    def count(self, run: FineTuning) -> None:
        """Score a run that has ended on the test rows."""
        test = self.job.data.test
        scores = run.score(test) if test else {}
        self.outcomes.append(SeedResult(run.tuning.seed, run.best, scores))

    def tell(self, stopped: int) -> None:
        """Where the run stands, what it left, and what to do with it."""
        folder = self.job.folder
        if self.kept is None:
            if not any(folder.iterdir()):
                folder.rmdir()
            say("bertcore: stopped before the first update; nothing is kept", True)
            return
        where = f"{folder} is the model{self._which()}"
        if stopped:
            done = f"{self.kept.progress.step:,} of {self.kept.recipe.steps:,} updates"
            say(f"bertcore: stopped; {where}, after {done} of its run", True)
            return
        baselines = self._baselines() if self.outcomes[0].scores else {}
        self._complete_card(baselines)
        if self.outcomes[0].scores:
            count = len(self.job.data.test)
            for line in table(count, self.job.start.name, self.outcomes, baselines):
                say(line)
        done = self.kept.progress
        sums = f"{done.step:,} updates, {done.tokens:,} tokens, {done.seconds:,.0f} s"
        say(f"finished: {sums}; {where}")
        say(f"what next: {self._next()}")

    def _better(self, run: FineTuning) -> bool:
        if run.best is None or self.kept.best is None:
            return False
        main = self.kept.predictor.task.main
        return run.best.scores[main] > self.kept.best.scores[main]

    def _which(self) -> str:
        """Of which seed and epoch the kept model is."""
        found = []
        if len(self.job.seeds) > 1:
            found.append(f"seed {self.kept.tuning.seed}")
        if self.kept.best:
            found.append(f"epoch {self.kept.best.epoch:.3g}")
        return f" of {', '.join(found)}" if found else ""

    def _complete_card(self, baselines: dict[str, dict[str, float]]) -> None:
        kept = self.kept.tuning.seed
        found = {outcome.seed: outcome.scores for outcome in self.outcomes}
        self.card["results"] |= {"test": found[kept], "baselines": baselines}
        if len(found) > 1:
            self.card["results"]["seeds"] = {str(seed): s for seed, s in found.items()}
        write_card(self.job.folder / CARD, self.card)

    def _baselines(self) -> dict[str, dict[str, float]]:
        if not self.job.compared:
            return {}
        data, task = self.job.data, self.kept.predictor.task
        ways = {"majority": task.majority}
        if find_spec("sklearn") is not None:
            ways[task.counted] = task.bag_of_words
            say("counting words, to compare …", error=True)
        found = {}
        for name, way in ways.items():
            try:
                found[name] = task.score(data.test, way(data, data.test))
            except ValueError as error:  # too few rows, or all alike
                fault = str(error).splitlines()[0]
                say(f"bertcore: no {name} to compare: {fault}", error=True)
        return found

    def _next(self) -> str:
        folder, data = self.job.folder, self.job.data
        if self.kept.predictor.task.reads_context:
            return f'bertcore predict {folder} "Some question?" --context FILE'
        if getattr(data.train[0], "pair", None) is not None:
            return rf"printf 'One text.\tAnother.\n' | bertcore predict {folder}"
        return f'bertcore predict {folder} "Some text."'
