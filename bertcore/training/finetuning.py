"""Fine-tuning: from labelled rows and a pretrained model to a predictor (chapter 10).

run = FineTuning(sentiment(), "sentence-transformers/all-MiniLM-L6-v2")
for record in run.records():
    print(record)
run.score(run.data.test)
"""

import copy
import math
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.counts import Costs
from bertcore.model.lowrank import add_low_rank, merge_low_rank
from bertcore.model.weights import Pretrained
from bertcore.tasks import checked, find_task, plain
from bertcore.tasks.rows import CheckedSet, TaskSet
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Settings,
    Task,
    Weights,
    an,
)
from bertcore.text.batch import TrainingBatch
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.store import vocabulary_digest
from bertcore.text.wordpiece import check_rows
from bertcore.training.engine import Run, rows_digest, weights_digest
from bertcore.training.loop import (
    ComputeSettings,
    Record,
    default_compute_settings,
    seed_for,
)
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning

LENGTH = 128  # tokens of a text, if nothing else is said
TARGET = 64  # of what is written
COUNTED = 12  # features at most whose operations are counted
BEST = "best."  # before the names of the best weights so far, in a checkpoint


class TaskEvaluation(NamedTuple):
    """The scores on the validation rows after so many epochs.

    `always` is the answer that all of them got, if it was one where several are right.
    """

    epoch: float
    step: int
    seconds: float
    scores: dict[str, float]
    always: str = ""

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:.3g}, step {self.step:,}, {self.seconds:,.0f} s, "
            f"validation: {scores_in_words(self.scores)}"
        )


def scores_in_words(scores: Mapping[str, float]) -> str:
    """Scores in words: "accuracy 0.871, macro f1 0.868"."""
    return ", ".join(f"{n.replace('_', ' ')} {v:.3f}" for n, v in scores.items())


class FineTuning(Run):
    """A run that learns a task from labelled rows.

    `for record in run.records(): …` trains, and `break` stops it. `evaluations` holds
    those on the validation rows, `faults` the rows that were left out. It ends at the
    last epoch or when patience is over. Then the model has the weights of the best
    evaluation: also after `break`, though the run goes on with those that it had. Of
    several processes, only the first evaluates, and has the best weights in the end.
    """

    def __init__(
        self,
        data: TaskSet | CheckedSet,
        weights: Weights,
        tuning: Tuning | None = None,
        folder: str | Path | None = None,
        settings: ComputeSettings | None = None,
        tokenizer: AnyTokenizer | None = None,
        on_fault: str = "stop",
        save_every: float = 300.0,
        checkpoints: Path | None = None,
    ) -> None:
        """
        Args:
            data: the rows, and what kind of task they are; a `CheckedSet` is not
                checked again.
            weights: a folder or a name on the hub; or the config of a model that
                starts from random weights; or a model, which is trained itself. The
                last two need a `tokenizer`.
            folder: where the best model is written, and the card. A run that was
                stopped goes on from the checkpoints there; they are gone at its end.
            on_fault: "stop" at rows that are not sound, or "skip" them: `faults` lists
                each of them.
            save_every: seconds of training between two checkpoints; one is also written
                when the loop is left before its end.

        Raises:
            ValueError: if rows, weights and tuning do not fit together, or there are
                checkpoints of another run, or damaged ones only.
            FileNotFoundError: if there are no such weights.
        """
        self.tuning, self.start_weights = tuning or Tuning(), weights
        sound = data if isinstance(data, CheckedSet) else checked(data, on_fault)
        self.data, self.faults, _ = sound
        self.evaluated = bool(self.data.valid)
        self.predictor = _new_predictor(self.data, weights, self.tuning, tokenizer)
        self.model = self.predictor.model
        self._losses: list[tuple[float, ...]] = []
        self._best: dict[str, Tensor] = {}
        self._best_settings: Settings = self.predictor.settings
        self._stopped: dict[str, Tensor] = {}  # weights to go on with, after a `break`
        self._patience_over = False
        objective, batches = self.objective_and_batches()
        super().__init__(
            objective,
            batches,
            self.tuning.recipe(len(batches.features)),
            settings or default_compute_settings(),
            Path(folder).expanduser() if folder is not None else None,
            save_every,
            checkpoints,
        )

    def objective_and_batches(self) -> "tuple[nn.Module, TaskBatches]":
        """The task's own loss on the rows to train on."""
        return self.predictor.objective, self.task_batches(self.data.train)

    def task_batches(self, rows: Sequence[Any]) -> "TaskBatches":
        """Micro-batches of rows to train on, in the order of the seed."""
        data, task, reading = self.data, self.predictor.task, self.predictor.reading
        try:
            features = task.features_of(rows, reading, data.labels)
        except ValueError as error:
            raise ValueError(f"{data.name}, train: {error}") from error
        return TaskBatches(
            task,
            features,
            self.tuning.recipe(len(features)).one_pass,
            self.tuning.seed,
            reading.tokenizer.pad_id,
        )

    def score(
        self, rows: Sequence[Any], guesses: Sequence[Any] | None = None
    ) -> dict[str, float]:
        """The scores of the model, as it is, on rows that say what is right.

        Args:
            guesses: what it says of them, if it was asked already.
        """
        guesses = plain(self.predictor.predict(rows)) if guesses is None else guesses
        return self.predictor.task.score(rows, guesses)

    @property
    def best(self) -> TaskEvaluation | None:
        """The evaluation whose weights are kept; None without validation rows."""
        main = self.predictor.task.decides(self.predictor)
        return max(self.evaluations, key=lambda at: at.scores[main], default=None)

    @property
    def ended(self) -> bool:
        """Whether the last epoch or patience is over."""
        return self._patience_over or super().ended

    def save(self, folder: str | Path) -> None:
        """Write a folder that `Predictor` loads, and transformers, too."""
        merged = copy.copy(self.predictor)
        if self.tuning.rank is not None:  # low-rank changes go into the weights
            merged.model = copy.deepcopy(self.model)
            merge_low_rank(merged.model)
        merged.save_pretrained(folder)

    def identity(self) -> dict[str, Any]:
        # Not the rows to test: nothing is learnt from them.
        kind, labels, data = self.data.kind, self.data.labels, self.data
        return {
            "rows": rows_digest([kind, labels, *data.train, *data.valid]),
            "vocabulary": vocabulary_digest(self.predictor.reading.tokenizer),
            "model": {"class": type(self.model).__name__} | self.model.config.to_dict(),
            "tuning": self.tuning.to_dict()
            | {"pass_size": self.tuning.recipe(self.tuning.batch).one_pass},
            "weights": weights_digest(self.model),
        }

    def start(self) -> None:
        """Back to the weights at which the run was stopped."""
        _copy_into(self.model, self._stopped)
        self._stopped = {}

    def is_due(self, record: Record) -> bool:
        """So many times in an epoch, and at the end."""
        epoch = len(self.batches.features) / self.recipe.batch
        due = math.ceil((len(self.evaluations) + 1) * (epoch / self.tuning.looks))
        return record.step >= due or record.step == self.recipe.steps

    def evaluate(self) -> None:
        """Evaluate on the validation rows; keep the weights if they are the best."""
        world, progress, over = self.settings.world, self.progress, 0.0
        # The other processes only count; the first says whether patience is over.
        none = {self.predictor.task.decides(self.predictor): 0.0}
        scores, always, valid = none, "", self.data.valid
        if world.leads:
            self.predictor.choose(valid)
            guesses = plain(self.predictor.predict(valid))
            scores = self.score(valid, guesses)
            always = _always(map(self.predictor.task.truth, valid), guesses)
        epoch = progress.step * self.recipe.batch / len(self.batches.features)
        at = TaskEvaluation(epoch, progress.step, progress.seconds, scores, always)
        self.evaluations.append(at)
        if world.leads:
            if self.best is at:
                self._best = _learnt(self.model)
                self._best_settings = self.predictor.settings
            since = len(self.evaluations) - 1 - self.evaluations.index(self.best)
            over = float(since >= (self.tuning.patience or len(self.evaluations)))
        self._patience_over = bool(world.first(over, self.settings.device))

    @property
    def losses(self) -> list[float]:
        """The mean loss of each update."""
        return [loss for loss, *_ in self._losses]

    def add(self, record: Record) -> None:
        super().add(record)
        self._losses.append(record.losses)

    def weights(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint: those of now, and the best so far."""
        best = {BEST + name: value for name, value in self._best.items()}
        return super().weights() | best

    def state(self) -> dict[str, Any]:
        """Evaluations and losses; the settings that belong to the best weights."""
        return {
            "evaluations": self.evaluations,
            "losses": self._losses,
            "settings": self.predictor.task.to_json(self._best_settings),
        }

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.evaluations = [TaskEvaluation(*each) for each in state["evaluations"]]
        self._losses = [tuple(losses) for losses in state["losses"]]
        task, reading = self.predictor.task, self.predictor.reading
        settings = task.from_json(state["settings"])
        self._best_settings = task.complete(settings, reading, self.data.labels)
        self._best = {
            name.removeprefix(BEST): value.to(self.settings.device)
            for name, value in weights.items()
            if name.startswith(BEST)
        }

    def close(self, sound: bool) -> None:
        """Save, if it can go on; then back to the best weights, and into the folder."""
        try:
            if sound and not self.ended:
                self.checkpoint()
        finally:  # the best model is kept also where a checkpoint finds no room
            if not self.ended:
                self._stopped = _learnt(self.model)
            _copy_into(self.model, self._best)
            self.predictor.settings = self._best_settings
            self.model.eval()
            if self.folder and self.progress.step and self.settings.world.leads:
                self.save(self.folder)
                self.write_card()
                if self.ended:  # nothing is to go on, and it is a model's folder now
                    shutil.rmtree(self.checkpoints, ignore_errors=True)

    def about(self) -> dict[str, Any]:
        return _about(self)


def _about(run: FineTuning) -> dict[str, Any]:
    """What the card says: also what the best model must beat on the same rows."""
    start, data, task = run.start_weights, run.data, run.predictor.task
    if not isinstance(start, str | Path):
        random = isinstance(start, BertConfig)
        start = "random" if random else "of a model that was given"
    features, balanced = run.batches.features, run.tuning.class_weights is not None
    unknown = run.predictor.reading.tokenizer.unk_id
    pieces = [id for f in features for id in (*f.first, *f.second)]
    results: dict[str, Any] = {
        "rows_left_out": len(run.faults),
        "constant_loss": constant_loss(task.targets(features), balanced),
        "unknown_pieces": round(pieces.count(unknown) / len(pieces), 4),
    }
    if run.best:
        simplest = task.majority(data, data.valid)
        results |= {"validation": run.best.scores, "epochs": run.best.epoch}
        results["majority"] = task.score(data.valid, simplest)
    return {
        "what": f"Fine-tuning of {an(type(run.model))}",
        "data": f"{data.name}: {data.source}",
        "results": results,
        "weights": str(start),
        "tuning": run.tuning.to_dict(),
        "rows": [len(part) for part in (data.train, data.valid, data.test)],
        "curve": [list(at) for at in run.evaluations],
    }


def constant_loss(targets: Tensor, balanced: bool = False) -> float | None:
    """The least loss of a model that gives all rows the same scores, in nats.

    Args:
        targets: of classes or tags their numbers, `t`, whose entropy it is; of labels
            0 or 1 for each, `t c`; of numbers these, `t`, whose variance it is.
        balanced: whether each class counts the same in the loss, however rare it is.

    Returns:
        None for other targets, such as the two ends of an answer.

    >>> round(constant_loss(torch.tensor([0, 1, 1, 0])), 3)
    0.693
    """
    if targets.is_floating_point() and targets.dim() == 1:
        return targets.var(correction=0).item()
    if targets.is_floating_point():
        share = targets.mean(0)
        return F.binary_cross_entropy(share, share).item()
    if targets.dim() > 1:
        return None
    counts = targets.bincount()
    share = counts / counts.sum()
    # If all count the same, the best guess is that all are as likely.
    if balanced:
        return math.log((counts > 0).sum())
    return torch.special.entr(share).sum().item()


def _always(truth: Iterable[Any], guesses: Iterable[Any]) -> str:
    """The one answer that was given where several are right; "" if there were more."""
    several, given = len(_different(truth)) > 1, _different(guesses)
    return "".join(given) or "nothing" if several and len(given) < 2 else ""


def _different(answers: Iterable[Any]) -> set[str]:
    """Different answers in words; of tags each counts, of numbers three digits."""
    found: set[str] = set()
    for answer in answers:
        each = answer if isinstance(answer, tuple | list) else [answer]
        found |= {f"{n:.3g}" if isinstance(n, float) else str(n) for n in each}
    return found


def _learnt(model: nn.Module) -> dict[str, Tensor]:
    learnt = ((n, p) for n, p in model.named_parameters() if p.requires_grad)
    return {name: value.detach().clone() for name, value in learnt}


@torch.no_grad()
def _copy_into(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    for name, value in weights.items():
        model.get_parameter(name).copy_(value)


def _new_predictor(
    data: TaskSet, weights: Weights, tuning: Tuning, tokenizer: AnyTokenizer | None
) -> Predictor:
    """What a run begins with: the model, ready to learn, and how it reads."""
    task = find_task(data.kind)
    task.check_tuning(tuning)
    if tokenizer is None and isinstance(weights, BertConfig | Pretrained):
        what = "random weights" if isinstance(weights, BertConfig) else "a built model"
        raise ValueError(f"{what} came with no tokenizer; give tokenizer=…")
    tokenizer = tokenizer or load_tokenizer(weights)
    model = task_model(data.kind, weights, data.labels, tuning.seed, tuning.tied)
    check_rows(tokenizer, model.config.vocab_size)
    read, written = task.positions(model)
    reading = FeatureSettings(
        tokenizer,
        length=tuning.length or min(LENGTH, read),
        stride=tuning.stride,
        target=tuning.target_length or min(TARGET, written),
        windows=tuning.windows,
    )
    # What does not learn: a frozen body, or all of it but its low-rank changes.
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
    objective = task.objective(model, tuning.label_smoothing, tuning.windows or "")
    if tuning.class_weights:
        task.weigh(objective, data.train, data.labels)
    settings = {"columns": dict(data.columns), **task.fit(data.train, tuning)}
    return Predictor(model, data.kind, reading, data.labels, objective, **settings)


def task_model(
    kind: str,
    weights: Weights,
    labels: Sequence[str],
    seed: int,
    tied: bool = False,
) -> Pretrained:
    """A model with a new head, at the starting weights of the seed.

    A head that the checkpoint brings is kept if it is of the same kind and has the
    same labels in the same order, or as many without names; otherwise its last layer
    is new, and what the file has no weights for. For writing, a BERT becomes encoder
    and decoder.

    Args:
        weights: a folder or a hub name, of a BERT, of another family of `FAMILIES`, or
            of an encoder-decoder; a config for random weights; or a model, which is
            taken as it is.
        labels: the classes or tags; none means one number.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if their files are damaged, or they are not what the kind takes.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*start from random weights")
        seed_for(seed, 0)
        return find_task(kind).build(weights, labels, tied)


class TaskBatches:
    """`batches[n]` is the n-th micro-batch, a function of seed and n.

    All features in an order of the epoch's own, then all in another: a micro-batch at
    the border reads the last of one epoch and the first of the next, so none is left
    out.
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
        Raises:
            ValueError: if there are no features.
        """
        if not features:
            raise ValueError("no rows to learn from; give one at least")
        self.task, self.features, self.size, self.seed = task, features, size, seed
        self.pad_id = pad_id
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Micro-batches in an epoch."""
        return -(-len(self.features) // self.size)

    def __getitem__(self, number: int) -> TrainingBatch:
        return self.holding(self.numbers(number))

    def holding(self, numbers: Sequence[int]) -> TrainingBatch:
        """The batch of these features."""
        return self.task.batch([self.features[n] for n in numbers], self.pad_id)

    def costs(self, objective: nn.Module) -> Costs:
        """What a micro-batch of the objective costs."""
        # Single features of different sizes, evenly chosen. The shortest one twice
        # tells what belongs to a text and what to the batch; two of one size fill two
        # rows, so there is no padding.
        differ = {(f.size, len(f.targets)): n for n, f in enumerate(self.features)}
        numbers = [differ[key] for key in sorted(differ)]
        stride = max(1, -(-len(numbers) // COUNTED))
        counted = [[numbers[0]] * 2] + [[n] for n in numbers[::-stride]]
        return Costs.of(objective, map(self.holding, counted))

    def numbers(self, number: int) -> list[int]:
        """Which features the n-th micro-batch holds."""
        count = len(self.features)
        first = number * self.size
        return [self._at(*divmod(n, count)) for n in range(first, first + self.size)]

    def name(self, number: int) -> str:
        """The n-th micro-batch in words: which rows of the data it holds."""
        rows = [self.features[n].row for n in self.numbers(number)]
        named = ", ".join(map(str, rows[:8])) + (", …" if rows[8:] else "")
        return f"pass {number} (rows {named})"

    def _at(self, epoch: int, place: int) -> int:
        if epoch not in self._orders:
            rng = np.random.default_rng([self.seed, epoch])
            # At a border two orders are read in turn; earlier ones are not again.
            last = {n: order for n, order in self._orders.items() if n == epoch - 1}
            self._orders = {**last, epoch: rng.permutation(len(self.features))}
        return int(self._orders[epoch][place])
