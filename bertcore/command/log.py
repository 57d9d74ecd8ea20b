"""Log: a run as its user sees it, in lines, in a bar and in TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from tqdm import tqdm

from bertcore.tasks.kinds import find_task

if TYPE_CHECKING:
    from bertcore.tasks.rows import TaskSet
    from bertcore.training.finetuning import FineTuning, TaskEvaluation
    from bertcore.training.loop import Record
    from bertcore.training.pretraining import Evaluation, Pretraining

_BAR = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
LINES = 10  # of a run without rows to validate


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    with tqdm.external_write_mode(sys.stderr if error else sys.stdout):
        typer.echo(line, err=error)


def shown_bar(initial: float = 0.0) -> tqdm:
    """A bar for the share of a run that is done, where a terminal looks on."""
    settings: Any = dict(bar_format=_BAR, disable=None, leave=False)
    return tqdm(total=1.0, initial=initial, **settings)


def check_tensorboard() -> None:
    """ValueError if TensorBoard's package is not there."""
    if find_spec("tensorboard") is None:
        raise ValueError(
            "--tensorboard needs a package that is not installed; run: pip install "
            "tensorboard, or leave --tensorboard out"
        )


class Log:
    """Shows the records of a run, and its looks at held-out texts."""

    def __init__(self, run: Pretraining, bar: tqdm, writer: Any) -> None:
        self.run, self.bar, self.writer = run, bar, writer
        self.looks = len(run.looks)
        self.lines = int(run.progress.share(run.recipe) * run.number_of_looks)

    def add(self, record: Record) -> None:
        """Show one update, and the looks since the last one."""
        self.bar.set_postfix_str(_brief(record), refresh=False)
        self.bar.update(record.progress - self.bar.n)
        self._write(_scalars(record, self.run.objective.losses), record.step)
        due = int(record.progress * self.run.number_of_looks)
        if self.run.held_out is None and due > self.lines:
            self.lines = due
            say(str(record))
        self.add_looks()

    def add_looks(self) -> None:
        """Show the looks that are new."""
        for look in self.run.looks[self.looks :]:
            say(_held_out(look))
            found = look.quality._asdict().items()
            numbers = {f"held out/{k}": v for k, v in found if isinstance(v, float)}
            self._write(numbers, look.step)
        self.looks = len(self.run.looks)

    def _write(self, scalars: dict[str, float], step: int) -> None:
        if self.writer is not None:
            for name, value in scalars.items():
                self.writer.add_scalar(name, value, step)


@contextmanager
def logged(run: Pretraining, tensorboard: Path | None) -> Iterator[Log | None]:
    """A log of the run while it trains; None in processes that do not lead."""
    if not run.setting.world.leads:
        yield None
        return
    done = min(1.0, run.progress.share(run.recipe))
    with ExitStack() as stack:
        bar = stack.enter_context(shown_bar(initial=done))
        writer = stack.enter_context(_writer(tensorboard, run.progress.step))
        log = Log(run, bar, writer)
        yield log
        log.add_looks()


def _writer(folder: Path | None, step: int) -> AbstractContextManager[Any]:
    """What is after this step is of a run that was taken back, and not shown."""
    if folder is None:
        return nullcontext()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def _brief(record: Record) -> str:
    losses = " + ".join(f"{loss:.3f}" for loss in record.losses)
    used = "" if record.utilisation is None else f", {record.utilisation:.0%} of peak"
    return (
        f"step {record.step:,}, loss {losses}, {record.tokens_per_second:,.0f} "
        f"tokens/s{used}"
    )


def _held_out(look: Evaluation) -> str:
    return f"step {look.step:,}, {look.seconds:,.0f} s, held out: {look.quality}"


def _scalars(record: Record, names: Sequence[str]) -> dict[str, float]:
    losses = {f"loss/{n}": v for n, v in zip(names, record.losses, strict=True)}
    scalars = losses | {
        "update/learning rate": record.learning_rate,
        "update/gradient": record.gradient,
        "speed/tokens a second": record.tokens_per_second,
    }
    if record.utilisation is not None:
        scalars["speed/utilisation"] = record.utilisation
    return scalars


class SeedResult(NamedTuple):
    """What came of one seed: its best look, and the scores on the test rows."""

    seed: int
    look: TaskEvaluation | None
    scores: dict[str, float]


class TuningLog:
    """Shows the records of a run, and its looks at the validation rows."""

    def __init__(self, run: FineTuning, bar: tqdm) -> None:
        self.run, self.bar = run, bar
        self.looks = self.lines = 0

    def add(self, record: Record) -> None:
        """Show one update, and the looks since the last one."""
        loss, speed = record.losses[0], record.tokens_per_second
        brief = f"step {record.step:,}, loss {loss:.3f}, {speed:,.0f} tokens/s"
        self.bar.set_postfix_str(brief, refresh=False)
        self.bar.update(record.progress - self.bar.n)
        if record.fault is not None:
            say(f"bertcore: {record.fault}", error=True)
        due = int(record.progress * LINES)
        if not self.run.data.valid and due > self.lines:
            self.lines = due
            say(str(record))
        self.add_looks()

    def add_looks(self) -> None:
        """Show the looks that are new."""
        for look in self.run.looks[self.looks :]:
            best = ", the best so far" if look is self.run.best else ""
            say(
                f"epoch {look.epoch:.3g}, step {look.step:,}, {look.seconds:,.0f} s, "
                f"validation: {scores_in_words(look.scores)}{best}"
            )
        self.looks = len(self.run.looks)


@contextmanager
def logged_tuning(run: FineTuning) -> Iterator[TuningLog | None]:
    """A log of the run while it trains; None in processes that do not lead."""
    if not run.setting.world.leads:
        yield None
        return
    with shown_bar() as bar:
        log = TuningLog(run, bar)
        yield log
        log.add_looks()


def scores_in_words(scores: Mapping[str, float]) -> str:
    """Scores in words: "accuracy 0.871, macro f1 0.868"."""
    return ", ".join(f"{n.replace('_', ' ')} {v:.3f}" for n, v in scores.items())


def rows_in_words(data: TaskSet) -> str:
    """How many rows, and of which classes."""
    train, valid, test = (f"{len(part):,}" for part in data[3:6])
    found = f"{train} rows to train on, {valid} to validate, {test} to test"
    if labels := find_task(data.kind).labels_in_words(data.labels):
        found += f"; {labels}"
    return f"{data.name}, {data.kind}: {found}"


def table(
    count: int,
    name: str,
    outcomes: Sequence[SeedResult],
    baselines: Mapping[str, dict[str, float]],
) -> list[str]:
    """Scores on the test rows in lines, those of the model last.

    Args:
        count: of test rows.
        name: of the model.
        outcomes: one a seed, one at least.
        baselines: their scores by their names.
    """
    columns = list(outcomes[0].scores)
    rows = {which: _cells(found, columns) for which, found in baselines.items()}
    rows[name] = _cells(outcomes[0].scores, columns)
    if len(outcomes) > 1:
        each = {c: [outcome.scores[c] for outcome in outcomes] for c in columns}
        rows[name] = [f"{median(each[c]):.3f}" for c in columns]
        rows["  lowest"] = [f"{min(each[c]):.3f}" for c in columns]
        rows["  highest"] = [f"{max(each[c]):.3f}" for c in columns]
        rows = {f"{k}, median of {len(outcomes)}" if k == name else k: v
                for k, v in rows.items()}  # fmt: skip
    head = f"{count:,} test row{'s' if count > 1 else ''}"
    wide = max(map(len, (head, *rows)))
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(6, len(column)) for column in heads]
    lines = []
    for which, cells in ((head, heads), *rows.items()):
        shown = "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
        lines.append(f"{which:<{wide}}  {shown}")
    return lines


def _cells(scores: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return [f"{scores[column]:.3f}" for column in columns]
