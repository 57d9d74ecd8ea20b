"""Session: one stretch of training on the command line, from its start to its report.

Signals, faults and the log are here for every command that trains. What is trained is a
`Job`: `PretrainingJob` stands here, `TuningJob` in `bertcore.command.tuning`.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

import torch
import typer

from bertcore.cards import write_card
from bertcore.command import DIVERGED, FAULT, progress, say
from bertcore.files import read_json
from bertcore.sources import many, needs
from bertcore.training.adaptation import before_and_after, begin_adaptation, table
from bertcore.training.checkpoint import checkpoints
from bertcore.training.devices import Machine, World, join, leave, measure
from bertcore.training.engine import CARD, CHECKPOINTS, Run
from bertcore.training.export import export
from bertcore.training.loop import ComputeSettings, Diverged, Record, default_workers
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import (
    PLANS,
    Adaptation,
    SessionSettings,
    choose_plan,
)
from bertcore.training.run import (
    CURVES,
    MODEL,
    RUN,
    RunDescription,
    begin_run,
    continue_run,
)
from bertcore.training.scoring import (
    SAMPLE,
    BlimpScores,
    MinimalPair,
    judge,
    read_pairs,
)

LINES = 20  # of a run that is not evaluated
FEW = 10  # updates that are hardly worth the name of a run
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
Made = TypeVar("Made")


class Job:
    """What a command asks for: runs, one after another, and what becomes of them."""

    remedy: str  # if the device has too little memory
    curves: Path | None = None  # for TensorBoard

    def runs(self, world: World, device: torch.device) -> Iterator[Run]:
        """Prepare; then each run, when the one before it has ended."""
        raise NotImplementedError

    def keep(self, run: Run) -> None:
        """Write what a run has learnt; it has ended, or it was stopped."""
        raise NotImplementedError

    def report(self, stopped: bool) -> None:
        """Say where things stand, and what can be done next."""
        raise NotImplementedError


def session(job: Job) -> None:
    """Train what a job asks for, to its end or until a signal.

    Raises:
        typer.Exit: with status 3 if training diverged; with 128 and the number of the
            signal if it was stopped, after a checkpoint.
    """
    world, device = join()
    run, stopped = None, 0
    try:
        for run in job.runs(world, device):
            with stoppable() as stop, Log(run, job.curves) as log:
                try:
                    with closing(run.records()) as records:
                        for record in records:
                            log.add(record)
                            # All processes leave the loop after the same update.
                            if stopped := int(world.first(float(stop()), device)):
                                break
                except RuntimeError:
                    # The signal may have ended a process that makes batches.
                    if not (stopped := stop()):
                        raise
            stopped = 0 if run.ended else stopped
            if world.leads:
                job.keep(run)
            if stopped:
                break
        if world.leads:
            job.report(bool(stopped))
    except Diverged as error:
        if world.leads and run is not None:
            run.write_card()
            job.keep(run)
        say(f"bertcore: {error}", error=True)
        raise typer.Exit(DIVERGED) from error
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"the device has too little memory for a pass; {job.remedy}"
        ) from error
    finally:
        leave()
    if stopped:
        raise typer.Exit(128 + stopped)


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


def together(make: Callable[[], Made], world: World, device: torch.device) -> Made:
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


class Log:
    """Shows the records of a run and its evaluations, while it trains.

    Only in the process that leads; in the others it says nothing.
    """

    def __init__(self, run: Run, curves: Path | None = None) -> None:
        """`curves` is a folder for TensorBoard; None writes none."""
        self.run, self.leads = run, run.settings.world.leads
        done = min(1.0, run.progress.share(run.recipe))
        self.evaluations, self.lines = len(run.evaluations), int(done * LINES)
        self.bar = progress(
            total=1.0, initial=done, bar_format=_BAR, disable=not self.leads
        )
        self.writer: Any = None
        if curves is not None and self.leads:
            from torch.utils.tensorboard import SummaryWriter

            # What is after this step is of a run that was taken back: not shown.
            step = run.progress.step
            purge = step + 1 if step else None
            self.writer = SummaryWriter(str(curves), purge_step=purge)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: Any) -> None:
        if fault is None:
            self._add_evaluations()
        self.bar.close()
        if self.writer is not None:
            self.writer.close()

    def add(self, record: Record) -> None:
        """Show one update, and the evaluations since the last one."""
        if not self.leads:
            return
        _, _, brief = str(record).partition("% ")  # the bar has a percentage itself
        self.bar.set_postfix_str(brief, refresh=False)
        self.bar.update(record.progress - self.bar.n)
        if self.writer is not None:
            losses = zip(self.run.objective.losses, record.losses, strict=True)
            scalars = {f"loss/{name}": loss for name, loss in losses} | {
                "update/learning rate": record.learning_rate,
                "update/gradient": record.gradient,
                "speed/tokens a second": record.tokens_per_second,
            }
            if record.utilisation is not None:
                scalars["speed/utilisation"] = record.utilisation
            self._write(scalars, record.step)
        due = int(record.progress * LINES)
        if not self.run.evaluated and due > self.lines:
            self.lines = due
            say(str(record))
        self._add_evaluations()

    def _add_evaluations(self) -> None:
        """Show the evaluations that are new."""
        if not self.leads:
            return
        for evaluation in self.run.evaluations[self.evaluations :]:
            best = ", the best so far" if evaluation is self.run.best else ""
            say(f"{evaluation}{best}")
            if self.writer is not None:
                self._write(evaluation.figures(), evaluation.step)
        self.evaluations = len(self.run.evaluations)

    def _write(self, scalars: dict[str, float], step: int) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)


class PretrainingJob(Job):
    """The run in a folder, which begins or goes on."""

    remedy = (
        "give --checkpoint-activations; or begin a run with a smaller --pass-size, "
        "which changes nothing of what is learnt in an update"
    )
    pairs: Sequence[MinimalPair] = ()  # of BLiMP, for the card

    def __init__(self, folder: Path, given: Mapping[str, Any]) -> None:
        """`given` are the options that were given."""
        self.folder, self.given = folder, given
        # Faults show before anything is written.
        _fields_of(Adaptation, given)
        wanted = _fields_of(SessionSettings, given)
        if wanted.tensorboard and find_spec("tensorboard") is None:
            raise ValueError(
                "--tensorboard needs a package that is not installed; run: pip install "
                "tensorboard, or leave --tensorboard out"
            )
        asked = self._before().get("blimp") if wanted.blimp is None else wanted.blimp
        if asked is not None:
            needs("scipy.stats", "--blimp")
            self.pairs = read_pairs(asked, SAMPLE).pairs

    def runs(self, world: World, device: torch.device) -> Iterator[Pretraining]:
        """The run, unless it has ended."""
        folder, given = self.folder, self.given
        if given.get("compile") and device.type != "cuda":
            raise ValueError(
                "--compile gains nothing on a CPU, and it takes a minute; leave it out"
            )
        name = given.get("precision") or self._before().get("precision")
        machine = measure(device, getattr(torch, name) if name else None)
        if world.leads:
            say(str(machine))
        is_new = not (folder / RUN).is_file()
        about = together(lambda: self._described(machine, world), world, device)
        wanted = _fields_of(SessionSettings, about.asked)
        if wanted.tensorboard:
            self.curves = folder / CURVES
        try:
            self.run = run = about.start(
                folder,
                settings=_compute_settings(machine, world, wanted),
                save_every=wanted.save_every,
                evaluations=wanted.looks,
                keep_at=wanted.moments,
            )
            self.about = about
        except ValueError:
            if is_new and world.leads:  # so that the folder takes other options
                (folder / RUN).unlink()
            raise
        if world.leads:
            say(f"{folder}: {_standing(run, about)}, {run.store}")
        if not (run.ended and (folder / MODEL).is_dir()):
            yield run

    def _described(self, machine: Machine, world: World) -> RunDescription:
        """What the run is; the leading process prepares it while the others wait."""
        folder, given = self.folder, self.given
        if not world.leads:
            return RunDescription.read(folder)
        if (folder / RUN).is_file():
            return continue_run(folder, given)
        if "from_" in given:
            say(f"going on from {given['from_']}; first, what it knows of the texts …")
            return begin_adaptation(folder, given, world.size)
        plan = PLANS[given["plan"]] if "plan" in given else choose_plan(machine)
        own = [
            f"--{name}"
            for name in ("data", "family", "preset", "recipe")
            if name in given
        ]
        but = f"; but with what {' and '.join(own)} says" if own else ""
        say(f"plan {plan.name}: {plan.about}{but}")
        return begin_run(folder, given, plan, world.size, sys.stderr.isatty())

    def _before(self) -> dict[str, Any]:
        """The options with which a run that goes on began."""
        if not (self.folder / RUN).is_file():
            return {}
        return RunDescription.read(self.folder).asked

    def keep(self, run: Pretraining) -> None:
        """The model of a run that has ended; one that was stopped has a checkpoint."""
        if not run.ended:
            return
        card = run.card()
        if self.pairs:
            judged = judge(self.pairs, run.model, run.tokenizer)
            scores = BlimpScores.of(progress(judged, desc="pairs of BLiMP"))
            card["results"]["blimp"] = scores.results()
        if self.about.origin is not None:
            found = before_and_after(self.folder, self.about, run.model, run.tokenizer)
            card["results"]["before_and_after"] = found
        write_card(self.folder / CARD, card)
        export(run.model, run.tokenizer, self.folder / MODEL, card)

    def report(self, stopped: bool) -> None:
        """Where the run stands, what it left, and what to do with it."""
        done, folder = self.run.progress, self.folder
        updates = many(done.step, "update")
        sums = f"{updates}, {done.tokens:,} tokens, {done.seconds:,.0f} s"
        if stopped:
            found = checkpoints(folder / CHECKPOINTS)
            newest = f"the checkpoint {found[0].name}" if found else "the beginning"
            say(
                f"bertcore: stopped after {sums}; go on from {newest} with: bertcore "
                f"resume {folder}",
                error=True,
            )
            return
        if done.step < FEW and self.run.recipe.seconds is not None:
            say(
                f"bertcore: {self.run.recipe.seconds:g} seconds were enough for so few "
                "updates that little is learnt; give more --seconds, or a smaller "
                "--batch",
                error=True,
            )
        for line in table(
            read_json(folder / CARD)["results"].get("before_and_after", {})
        ):
            say(line)
        say(f"finished: {sums}; {folder / MODEL} is the model")
        say(f'what next: bertcore fill-mask "Some [MASK] text." --model {folder}')


def _standing(run: Pretraining, about: RunDescription) -> str:
    """Whether a run is new, with which pieces, and how many parameters it has."""
    at = f"goes on from step {run.progress.step:,}" if run.progress.step else "new"
    if (added := about.asked.get("new_pieces")) and not run.progress.step:
        at += f", {many(added, 'more piece')} ("
        at += f"{', '.join(run.tokenizer.vocabulary[-added:][:5])}, …)"
    return f"{at}, {sum(p.numel() for p in run.model.parameters()):,} parameters"


def _fields_of(kind: type[Made], asked: Mapping[str, Any]) -> Made:
    """A dataclass with those of its fields that were asked for."""
    fields = kind.__dataclass_fields__
    return kind(**{key: asked[key] for key in fields if key in asked})


def _compute_settings(
    machine: Machine, world: World, wanted: SessionSettings
) -> ComputeSettings:
    workers = wanted.workers
    return ComputeSettings(
        device=machine.device,
        precision=machine.precision,
        world=world,
        # A run that began on a GPU may go on elsewhere.
        compile=wanted.compile and machine.device.type == "cuda",
        checkpoint_activations=wanted.checkpoint_activations,
        workers=default_workers(machine.device) if workers is None else workers,
        operations=machine.operations,
    )
