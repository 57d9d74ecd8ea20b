"""Tuning results: the best model of a session in its folder, and how good it is."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.cards import write_card
from bertcore.command.log import say
from bertcore.command.place import Start
from bertcore.command.rowset import Rows
from bertcore.command.tuning_log import Outcome, table
from bertcore.text.rows import TaskSet
from bertcore.training.baselines import bag_of_words, majority
from bertcore.training.finetune import CARD, FineTuning
from bertcore.training.scores import MAIN, score
from bertcore.training.tuning import Tuning


class Job(NamedTuple):
    """What was asked for, checked: all that a run of one seed takes."""

    rows: Rows
    start: Start
    tuning: Tuning
    seeds: range
    folder: Path
    compared: bool

    @property
    def data(self) -> TaskSet:
        """The rows that are sound."""
        return self.rows.data


class Results:
    """What came of the seeds so far; the folder holds the best of them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcomes: list[Outcome] = []
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
        self.outcomes.append(Outcome(run.tuning.seed, run.best, scores))

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
        main = MAIN[self.job.data.kind]
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
        data = self.job.data
        ways = {"majority": majority}
        if find_spec("sklearn") is not None:
            named = "nearest row" if data.kind == "writing" else "bag of words"
            ways[named] = bag_of_words
            say("counting words, to compare …", error=True)
        found = {}
        for name, way in ways.items():
            try:
                found[name] = score(data.kind, data.test, way(data, data.test))
            except ValueError as error:  # too few rows, or all alike
                fault = str(error).splitlines()[0]
                say(f"bertcore: no {name} to compare: {fault}", error=True)
        return found

    def _next(self) -> str:
        folder, data = self.job.folder, self.job.data
        if data.kind == "answers":
            return f'bertcore predict {folder} "Some question?" --context FILE'
        if getattr(data.train[0], "pair", None) is not None:
            return rf"printf 'One text.\tAnother.\n' | bertcore predict {folder}"
        return f'bertcore predict {folder} "Some text."'
