"""Tuning log: a fine-tuning run as its user sees it, in lines, a bar and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bertcore.command.log import say, shown_bar

if TYPE_CHECKING:
    from bertcore.text.rows import TaskSet
    from bertcore.training.finetune import FineTuning, TaskLook
    from bertcore.training.progress import Record

LINES = 10  # of a run without rows to validate


class Outcome(NamedTuple):
    """What came of one seed: its best look, and the scores on the test rows."""

    seed: int
    look: TaskLook | None
    scores: dict[str, float]


class TuningLog:
    """Shows the records of a run, and its looks at the validation rows."""

    def __init__(self, run: FineTuning, bar: Any) -> None:
        self.run, self.bar = run, bar
        self.looks = self.lines = 0

    def add(self, record: Record) -> None:
        """Show one update, and the looks since the last one."""
        if self.bar is not None:
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
                f"validation: {told(look.scores)}{best}"
            )
        self.looks = len(self.run.looks)


@contextmanager
def logged_tuning(run: FineTuning) -> Iterator[TuningLog | None]:
    """A log of the run while it trains; None in processes that do not lead."""
    if not run.setting.world.leads:
        yield None
        return
    layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with shown_bar(total=1.0, bar_format=layout) as bar:
        log = TuningLog(run, bar)
        yield log
        log.add_looks()


def told(scores: Mapping[str, float]) -> str:
    """Scores in words: "accuracy 0.871, macro f1 0.868"."""
    return ", ".join(f"{n.replace('_', ' ')} {v:.3f}" for n, v in scores.items())


def told_rows(data: TaskSet) -> str:
    """How many rows, and of which classes."""
    train, valid, test = (f"{len(part):,}" for part in data[3:6])
    found = f"{train} rows to train on, {valid} to validate, {test} to test"
    if data.kind == "classification":
        some = ", ".join(data.labels[:12]) + (", …" if data.labels[12:] else "")
        found += f"; {len(data.labels)} classes: {some}"
    if data.kind == "tagging":
        types = dict.fromkeys(tag[2:] for tag in data.labels if tag != "O")
        found += (
            f"; {len(types)} type{'s' if len(types) > 1 else ''}: {', '.join(types)}"
        )
    return f"{data.name}, {data.kind}: {found}"


def table(
    count: int,
    name: str,
    outcomes: Sequence[Outcome],
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
        told = "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
        lines.append(f"{which:<{wide}}  {told}")
    return lines


def _cells(scores: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return [f"{scores[column]:.3f}" for column in columns]
