"""Log: a run as its user sees it, in lines, in a bar and in TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from bertcore.training.pretrain import Look, Pretraining
    from bertcore.training.progress import Record


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(line, sys.stderr if error else sys.stdout)
    else:
        typer.echo(line, err=error)


def shown_bar(**settings: Any) -> AbstractContextManager[Any]:
    """A bar where a terminal looks on and tqdm is installed, or None."""
    from bertcore.text.progress import bar

    wanted = find_spec("tqdm") is not None
    return bar(wanted, disable=None, leave=False, **settings)


def check_tensorboard() -> None:
    """ValueError if TensorBoard's package is not there."""
    if find_spec("tensorboard") is None:
        raise ValueError(
            "--tensorboard needs a package that is not installed; run: pip install "
            "tensorboard, or leave --tensorboard out"
        )


class Log:
    """Shows the records of a run, and its looks at held-out texts."""

    def __init__(self, run: Pretraining, bar: Any, writer: Any) -> None:
        self.run, self.bar, self.writer = run, bar, writer
        self.looks = len(run.looks)
        self.lines = int(run.progress.share(run.recipe) * run.number_of_looks)

    def add(self, record: Record) -> None:
        """Show one update, and the looks since the last one."""
        if self.bar is not None:
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
    layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    done = min(1.0, run.progress.share(run.recipe))
    with ExitStack() as stack:
        bar = stack.enter_context(shown_bar(total=1.0, initial=done, bar_format=layout))
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


def _held_out(look: Look) -> str:
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
