"""Fine-tuning: from labelled rows and a pretrained model to a predictor (chapter 10).

run = FineTuning(sentiment(), "sentence-transformers/all-MiniLM-L6-v2")
for record in run.records():
    print(record)
run.score(run.data.test)
"""

import copy
import warnings
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bertcore.cards import make_card, write_card
from bertcore.model.config import BertConfig
from bertcore.model.counts import Costs
from bertcore.model.lowrank import add_low_rank, merge_low_rank
from bertcore.model.weights import Pretrained
from bertcore.tasks.kinds import checked, find_task, plain
from bertcore.tasks.rows import CheckedSet, TaskSet
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    HeadedTask,
    Settings,
    Task,
    Weights,
    an,
)
from bertcore.text.batch import TrainingBatch
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.training.devices import device_name
from bertcore.training.loop import (
    ComputeSettings,
    Record,
    TrainingState,
    default_compute_settings,
    follow,
    seed_for,
    train,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning

CARD = "card.json"
LENGTH = 128  # tokens of a text, if nothing else is said
TARGET = 64  # of what is written
COUNTED = 12  # features at most whose operations are counted


class TaskEvaluation(NamedTuple):
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
        data: TaskSet | CheckedSet,
        weights: Weights,
        tuning: Tuning | None = None,
        folder: str | Path | None = None,
        setting: ComputeSettings | None = None,
        tokenizer: AnyTokenizer | None = None,
        on_fault: str = "stop",
    ) -> None:
        """
        Args:
            data: the rows, and what kind of task they are; a `CheckedSet` is not
                checked again.
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
        self.setting = setting or default_compute_settings()
        sound = data if isinstance(data, CheckedSet) else checked(data, on_fault)
        self.data, self.faults, _ = sound
        data = self.data
        self.weights = weights
        self.folder = Path(folder).expanduser() if folder is not None else None
        self.predictor = task_predictor(data, weights, self.tuning, tokenizer)
        self.model, self.objective = self.predictor.model, self.predictor.objective
        self.model.to(self.setting.device)
        reading, task = self.predictor.reading, self.predictor.task
        try:
            features = task.features_of(data.train, reading, data.labels)
        except ValueError as error:
            raise ValueError(f"{data.name}, train: {error}") from error
        self.recipe = self.tuning.recipe(len(features))
        size, seed, pad = (
            self.recipe.one_pass,
            self.tuning.seed,
            reading.tokenizer.pad_id,
        )
        self.works = TaskBatches(task, features, size, seed, pad)
        self.progress = TrainingState()
        self.losses: list[float] = []
        self.looks: list[TaskEvaluation] = []
        self._best: dict[str, Tensor] = {}
        self._best_settings: Settings = self.predictor.settings

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
        """Train to the end; with `progress`, behind a bar."""
        follow(self.records(), self.recipe.steps, progress)
        return self

    @property
    def best(self) -> TaskEvaluation | None:
        """The look whose weights the model has; None without validation rows."""
        main = self.predictor.task.main
        return max(self.looks, key=lambda look: look.scores[main], default=None)

    def score(self, rows: Sequence[Any]) -> dict[str, float]:
        """The scores of the model, as it is, on rows that say what is right."""
        return self.predictor.task.score(rows, plain(self.predictor.predict(rows)))

    def save(self, folder: str | Path) -> None:
        """Write a folder that `Predictor` loads, and transformers, too."""
        predictor = self.predictor
        if self.tuning.rank is not None:
            model = copy.deepcopy(predictor.model)
            merge_low_rank(model)
            own = predictor.kind, predictor.reading, predictor.labels
            predictor = Predictor(model, *own, **predictor.settings)
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
            self.predictor.choose(self.data.valid)
            found = self.score(self.data.valid)
            self.looks.append(TaskEvaluation(epoch, record.step, record.seconds, found))
            if self.best is self.looks[-1]:
                self._best = _kept(self.model)
                self._best_settings = self.predictor.settings
            since = len(self.looks) - 1 - self.looks.index(self.best)
            over = float(since >= (self.tuning.patience or len(self.looks)))
        else:
            self.looks.append(
                TaskEvaluation(0.0, record.step, 0.0, {self.predictor.task.main: 0.0})
            )
        return bool(world.first(over, device))

    def _finish(self) -> None:
        """Back to the best weights; into the folder, if there is one."""
        self.model.eval()
        with torch.no_grad():
            own = dict(self.model.named_parameters())
            for name, value in self._best.items():
                own[name].copy_(value)
        self.predictor.settings = self._best_settings
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


def task_predictor(
    data: TaskSet, weights: Weights, tuning: Tuning, tokenizer: AnyTokenizer | None
) -> Predictor:
    """What a run begins with: the model, ready to learn, and how it reads.

    Args:
        data: its kind, labels and rows to train on.
        weights: as for `task_model`.
        tuning: how it will be trained.
        tokenizer: by default the one that the weights came with.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if data, weights and tuning do not fit together.
    """
    task = find_task(data.kind)
    task.check_tuning(tuning)
    if tokenizer is None and isinstance(weights, BertConfig | Pretrained):
        what = "random weights" if isinstance(weights, BertConfig) else "a built model"
        raise ValueError(f"{what} came with no tokenizer; give tokenizer=…")
    tokenizer = tokenizer or load_tokenizer(weights)
    model = task_model(data.kind, weights, data.labels, tuning.seed, tuning.tied)
    read, written = task.positions(model)
    reading = FeatureSettings(
        tokenizer,
        tuning.length or min(LENGTH, read),
        tuning.stride,
        tuning.target_length or min(TARGET, written),
    )
    restrict(model, tuning, task)
    return Predictor(
        model,
        data.kind,
        reading,
        data.labels,
        task.objective(model, tuning.label_smoothing),
        **task.fit(data.train),
    )


def task_model(
    kind: str,
    weights: Weights,
    labels: Sequence[str],
    seed: int,
    tied: bool = False,
) -> Pretrained:
    """A model with a new head, at the starting weights of the seed.

    A head that the checkpoint brings is kept if it is of the same kind and has the
    same labels in the same order, or as many without names; otherwise only the body
    is taken. For writing, a BERT becomes encoder and decoder.

    Args:
        kind: of the task.
        weights: a folder or a hub name, of a BERT, of another family of `FAMILIES`, or
            of an encoder-decoder; a config for random weights; or a model, which is
            taken as it is.
        labels: the classes or tags; none means one number.
        seed: of what starts from random weights.
        tied: whether encoder and decoder share their weights.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if their files are damaged, or they are not what the kind takes.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*start from random weights")
        seed_for(seed, 0)
        return find_task(kind).build(weights, labels, tied)


def headed(kind: str, body: Pretrained, labels: Sequence[str], seed: int) -> Pretrained:
    """A copy of a body, with a new head at the starting weights of the seed.

    Args:
        kind: of the task; writing has no head.
        body: of any family: a Bert, a Roberta, …
        labels: the classes or tags; none means one number.
        seed: of the head.

    Raises:
        ValueError: if there is no such kind of task, or it takes no body with a head.
    """
    task = find_task(kind)
    if not isinstance(task, HeadedTask):
        raise ValueError(f"{kind} takes no head, so give weights to task_model")
    with torch.random.fork_rng(devices=[]):
        seed_for(seed, 0)
        return task.over(body, labels)


def restrict(model: Pretrained, tuning: Tuning, task: Task) -> None:
    """What does not learn: a frozen body, or all of it but its low-rank changes.

    Raises:
        ValueError: if a model lacks the matrices that get low-rank changes.
    """
    if tuning.rank is not None:
        names = model.bert.encoder.named_modules()
        lacking = {"query", "value"} - {name.rpartition(".")[2] for name, _ in names}
        if lacking:
            raise ValueError(
                f"rank=…, but {type(model).__name__} has no matrix "
                f"{' and no '.join(sorted(lacking))} of its own; leave rank out, "
                "perhaps with frozen=True"
            )
        add_low_rank(model, tuning.rank, seed=tuning.seed)
    task.freeze(model, tuning.frozen)


class TaskBatches:
    """`works[n]` is the n-th pass, a function of seed and n.

    All features in an order of the epoch's own, then all in another: a pass at the
    border reads the last of one epoch and the first of the next, so none is left out.
    """

    def __init__(
        self,
        task: Task,
        features: Sequence[Feature],
        size: int,
        seed: int,
        pad_id: int,
    ) -> None:
        """
        Args:
            task: the kind.
            features: with their targets.
            size: features in a pass.
            seed: of the order.
            pad_id: fills up the rows.

        Raises:
            ValueError: if there are no features.
        """
        if not features:
            raise ValueError("no rows to learn from; give one at least")
        self.task, self.features, self.size, self.seed = task, features, size, seed
        self.pad_id = pad_id
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Passes in an epoch."""
        return -(-len(self.features) // self.size)

    def __getitem__(self, number: int) -> TrainingBatch:
        return self.holding(self.numbers(number))

    def holding(self, numbers: Sequence[int]) -> TrainingBatch:
        """The batch of these features."""
        some = [self.features[n] for n in numbers]
        return self.task.batch(some, self.pad_id)

    def costs(self, objective: nn.Module) -> Costs:
        """What a pass of the objective costs."""
        return task_costs(objective, self)

    def numbers(self, number: int) -> list[int]:
        """Which features the n-th pass holds."""
        count = len(self.features)
        first = number * self.size
        return [self._at(*divmod(n, count)) for n in range(first, first + self.size)]

    def name(self, number: int) -> str:
        """The n-th pass in words: which rows of the data it holds."""
        rows = [self.features[n].row for n in self.numbers(number)]
        some = ", ".join(map(str, rows[:8])) + (", …" if rows[8:] else "")
        return f"pass {number} (rows {some})"

    def _at(self, epoch: int, place: int) -> int:
        if epoch not in self._orders:
            rng = np.random.default_rng([self.seed, epoch])
            kept = (
                {epoch - 1: self._orders[epoch - 1]}
                if epoch - 1 in self._orders
                else {}
            )
            self._orders = {**kept, epoch: rng.permutation(len(self.features))}
        return int(self._orders[epoch][place])


def task_costs(objective: nn.Module, works: TaskBatches) -> Costs:
    """What a pass costs, from single features of different sizes, evenly chosen.

    Args:
        objective: of the task.
        works: that hold the features, perhaps with what a teacher says of them.
    """
    differ = {(f.size, len(f.targets)): n for n, f in enumerate(works.features)}
    numbers = [differ[key] for key in sorted(differ)]
    apart = max(1, -(-len(numbers) // COUNTED))
    # The shortest one twice tells what belongs to a text and what to the pass. Two of
    # one size fill two rows, so there is no padding.
    chosen = [[numbers[0]] * 2, *([n] for n in numbers[::-apart])]
    return Costs.of(objective, map(works.holding, chosen))
