"""Fine-tune: from labelled rows and a pretrained model to a predictor (chapter 10).

run = FineTuning(sentiment(), "sentence-transformers/all-MiniLM-L6-v2")
for record in run.records():
    print(record)
run.score(run.data.test)
"""

import copy
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bertcore.cards import make_card, write_card
from bertcore.model.lowrank import merge_low_rank
from bertcore.model.weights import Pretrained
from bertcore.text.features import features_of
from bertcore.text.library_tokenizer import AnyTokenizer
from bertcore.text.progress import bar
from bertcore.text.rows import TaskSet
from bertcore.training.decode import plain
from bertcore.training.loop import Setting, default_setting, train
from bertcore.training.optim import make_optimisers
from bertcore.training.predict import Predictor
from bertcore.training.progress import Progress, Record
from bertcore.training.runtime import device_name
from bertcore.training.scores import MAIN, score
from bertcore.training.taskdata import ready
from bertcore.training.taskmodel import Weights, task_predictor
from bertcore.training.tasks import task_kind
from bertcore.training.taskworks import TaskWorks
from bertcore.training.tuning import Tuning
from bertcore.training.words import an

CARD = "card.json"


class TaskLook(NamedTuple):
    """The scores on the validation rows after so many epochs."""

    epoch: float
    step: int
    seconds: float
    scores: dict[str, float]


class FineTuning:
    """A run: `for record in run.records(): …` trains, and `break` stops it.

    After each epoch it looks at the validation rows; at the end the model has the
    weights of the best look. `looks` holds all of them, `faults` the rows that were
    left out, `losses` the mean loss of each update. Of several processes, only the
    first looks, and has the best weights in the end.
    """

    def __init__(
        self,
        data: TaskSet,
        weights: Weights,
        tuning: Tuning | None = None,
        folder: str | Path | None = None,
        setting: Setting | None = None,
        tokenizer: AnyTokenizer | None = None,
        on_fault: str = "stop",
    ) -> None:
        """
        Args:
            data: the rows, and what kind of task they are.
            weights: a folder or a name on the hub; or the config of a model that
                starts from random weights; or a model, which is trained itself. The
                last two need a `tokenizer`.
            tuning: how to train.
            folder: where the best model is written, and the card.
            setting: where to compute; by default the GPU if there is one.
            tokenizer: by default the one that the weights came with.
            on_fault: "stop" at rows that are not sound, or "skip" them: `faults` lists
                each of them.

        Raises:
            ValueError: if rows, weights and tuning do not fit together.
            FileNotFoundError: if there are no such weights.
        """
        self.tuning = tuning or Tuning()
        self.setting = setting or default_setting()
        self.data, self.faults = ready(data, on_fault)
        data = self.data
        self.weights = weights
        self.folder = Path(folder).expanduser() if folder is not None else None
        self.predictor = task_predictor(data, weights, self.tuning, tokenizer)
        self.model, self.objective = self.predictor.model, self.predictor.objective
        self.model.to(self.setting.device)
        reading = self.predictor.reading
        try:
            features = features_of(data.kind, data.train, reading, data.labels)
        except ValueError as error:
            raise ValueError(f"{data.name}, train: {error}") from error
        self.recipe = self.tuning.recipe(len(features))
        size, seed, pad = (
            self.recipe.one_pass,
            self.tuning.seed,
            reading.tokenizer.pad_id,
        )
        shape = task_kind(data.kind).shape(self.model)
        self.works = TaskWorks(data.kind, features, size, seed, pad, shape)
        self.progress = Progress()
        self.losses: list[float] = []
        self.looks: list[TaskLook] = []
        self._best: dict[str, Tensor] = {}

    def records(self) -> Iterator[Record]:
        """Train to the end, or until patience is over; a record after each update.

        Raises:
            ValueError: if the run was stopped before its end: its optimiser is gone.
        """
        if 0 < self.progress.step < self.recipe.steps:
            raise ValueError(
                f"this run was stopped after {self.progress.step} updates and does not "
                "go on; make a new FineTuning, perhaps from the folder that it wrote"
            )
        optimisers = make_optimisers(self.objective, self.recipe, shard=False)
        parts = self.objective, self.works, optimisers
        each = len(self.works.features) / self.recipe.batch / self.tuning.looks
        try:
            for record in train(*parts, self.recipe, self.setting, self.progress):
                self.losses.append(record.losses[0])
                yield record
                due = ceil((len(self.looks) + 1) * each)
                last = record.step == self.recipe.steps
                if (record.step >= due or last) and self._look(record):
                    return
        finally:
            self._finish()

    def run(self, progress: bool = False) -> "FineTuning":
        """Train to the end; with `progress`, behind a bar, which needs tqdm."""
        with bar(progress, total=self.recipe.steps, unit=" updates") as shown:
            for record in self.records():
                if shown is not None:
                    shown.set_postfix_str(f"loss {record.losses[0]:.3f}", refresh=False)
                    shown.update()
        return self

    @property
    def best(self) -> TaskLook | None:
        """The look whose weights the model has; None without validation rows."""
        main = MAIN[self.data.kind]
        return max(self.looks, key=lambda look: look.scores[main], default=None)

    def score(self, rows: Sequence[Any]) -> dict[str, float]:
        """The scores of the model, as it is, on rows that say what is right."""
        return score(self.data.kind, rows, plain(self.predictor.predict(rows)))

    def save(self, folder: str | Path) -> None:
        """Write a folder that `Predictor` loads, and transformers, too."""
        predictor = self.predictor
        if self.tuning.rank is not None:
            model = copy.deepcopy(predictor.model)
            merge_low_rank(model)
            own = predictor.kind, predictor.reading, predictor.labels, predictor.pairs
            predictor = Predictor(model, *own)
        predictor.save_pretrained(folder)

    def card(self, **results: Any) -> dict[str, Any]:
        """What ran, on what, and what came out; `results` are added."""
        return _card(self, results)

    def _look(self, record: Record) -> bool:
        """Ask about the validation rows; whether patience is over."""
        if not self.data.valid:
            return False
        world, device = self.setting.world, self.setting.device
        over = 0.0
        if world.leads:
            epoch = record.step * self.recipe.batch / len(self.works.features)
            found = self.score(self.data.valid)
            self.looks.append(TaskLook(epoch, record.step, record.seconds, found))
            if self.best is self.looks[-1]:
                self._best = _kept(self.model)
            since = len(self.looks) - 1 - self.looks.index(self.best)
            over = float(since >= (self.tuning.patience or len(self.looks)))
        else:
            self.looks.append(
                TaskLook(0.0, record.step, 0.0, {MAIN[self.data.kind]: 0.0})
            )
        return bool(world.first(over, device))

    def _finish(self) -> None:
        """Back to the best weights; into the folder, if there is one."""
        self.model.eval()
        with torch.no_grad():
            own = dict(self.model.named_parameters())
            for name, value in self._best.items():
                own[name].copy_(value)
        if self.folder is not None and self.progress.step and self.setting.world.leads:
            self.save(self.folder)
            write_card(self.folder / CARD, self.card())


def finetune(
    data: TaskSet,
    weights: Weights,
    tuning: Tuning | None = None,
    **options: Any,
) -> FineTuning:
    """Fine-tune to the end; arguments and errors are those of `FineTuning`."""
    return FineTuning(data, weights, tuning, **options).run()


def _kept(model: Pretrained) -> dict[str, Tensor]:
    learnt = ((n, p) for n, p in model.named_parameters() if p.requires_grad)
    return {name: value.detach().clone() for name, value in learnt}


def _card(run: FineTuning, results: dict[str, Any]) -> dict[str, Any]:
    learnt = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    found: dict[str, Any] = {
        "updates": run.progress.step,
        "training_seconds": round(run.progress.seconds, 1),
        "tokens": run.progress.tokens,
        "rows_left_out": len(run.faults),
    }
    if run.best:
        found["validation"] = run.best.scores
        found["epochs"] = run.best.epoch
    device = device_name(run.setting.device)
    start = run.weights if isinstance(run.weights, str | Path) else "random"
    if isinstance(run.weights, Pretrained):
        start = "of a model that was given"
    return make_card(
        f"Fine-tuning of {an(type(run.model))}",
        f"{run.data.name}: {run.data.source}",
        {**found, **results},
        device=device,
        weights=str(start),
        tuning=run.tuning.to_dict(),
        rows=[len(part) for part in run.data[3:6]],
        parameters=sum(p.numel() for p in run.model.parameters()),
        parameters_learnt=learnt,
        precision=str(run.setting.precision).removeprefix("torch."),
        processes=run.setting.world.size,
        curve=[[*look[:3], look.scores] for look in run.looks],
    )
