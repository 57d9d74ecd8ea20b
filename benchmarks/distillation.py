"""How good is a small student of a large teacher, beside the same model alone?

    python benchmarks/distillation.py                       print a table
    python benchmarks/distillation.py --card FILE.json      and record the run

The task "sentiment" of `bertcore.tasks.sets`, with 2,000 of its rows to train on.
The teacher is the published MiniLM, fine-tuned on these. The student has two layers of
its width and the 9,000 pieces that the texts to train on use most, so that it is
smaller than a third. Each way with three seeds:

alone             random weights and labels, at the better one of two rates, and with
                  no fewer updates than any other way
soft targets      random weights, labels and the teacher's scores
teacher's layers  its tables, its first two layers and its head, and labels
distilled         the same, with the teacher's scores and its states
with more texts   the same, and what the teacher says of the other texts to train on,
                  whose labels nobody sees

The seed is that of fresh weights, order and dropout; the teacher is the same. The best
epoch, and with seed 0 the rate, is chosen on validation rows. The scores are those of
the test rows, read with the student's own pieces. On one core.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
import torch.nn.functional as F
from einops import rearrange
from measure import record, spread
from torch import Tensor, nn

from bertcore import BertConfig, Tokenizer
from bertcore.model.inference import evaluation, text_states
from bertcore.model.weights import Pretrained
from bertcore.sources import ENCODER
from bertcore.tasks.rows import TaskSet
from bertcore.tasks.sets import NAMED_TASKS
from bertcore.tasks.task import batches
from bertcore.text.batch import TrainingBatch
from bertcore.text.vocabulary import SPECIAL
from bertcore.training.devices import device_name
from bertcore.training.distillation import (
    LossWeights,
    hidden_state_loss,
    make_student,
    soft_target_loss,
    width_projection,
)
from bertcore.training.finetuning import FineTuning, TaskBatches
from bertcore.training.loop import seed_for
from bertcore.training.predictor import Predictor, unlabelled_rows
from bertcore.training.recipe import Tuning

TASK, ROWS, VALID, LENGTH = "sentiment", 2000, 300, 48
LAYERS, PIECES = [0, 1], 9000
TEACHING = Tuning(epochs=2, batch=32, learning_rate=1e-4, length=LENGTH)
ALONE = Tuning(epochs=5, batch=32, length=LENGTH)
RATES = (3e-4, 1e-4)  # alone
LEARNING = ALONE.replace(learning_rate=3e-4)
MORE = LEARNING.replace(epochs=1)  # of many more texts
LABELS = LossWeights(hard=1.0, soft=0.0, states=0.0)
SOFT = LossWeights(hard=1.0, soft=1.0, states=0.0)
ALL = LossWeights(hard=1.0, soft=1.0, states=1.0)


# Distillation on texts ---------------------------------------------------------------


class TeacherOutput(NamedTuple):
    """What a teacher says of a text: scores `1 c`, and the state behind them, `1 w`."""

    scores: Tensor
    state: Tensor


def scores_and_states(
    model: nn.Module, columns: Tensor, taken: Tensor, **inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """The scores of a classifier, `p c`, and the states that it reads, `p w`.

    Args:
        model: with its head.
        columns: where the texts begin in each row, `b m`, filled up at the end.
        taken: which of the `b m` are texts, `p`.
        inputs: those of `Bert.forward`.
    """
    first = text_states(model.bert, columns, **inputs)
    states = rearrange(first, "b m w -> (b m) w")[taken]
    return model.head(rearrange(states, "p w -> p 1 w")), states


def teacher_outputs(teacher: Predictor, rows: Sequence[Any]) -> list[TeacherOutput]:
    """What a teacher says of rows, without dropout and without gradients."""
    task, reading = teacher.task, teacher.reading
    features = task.features_of(rows, reading, teacher.labels)
    outputs: dict[int, TeacherOutput] = {}
    with evaluation(teacher.model), torch.no_grad():
        for numbers in batches([feature.size for feature in features]):
            inputs = task.inputs(
                [features[n] for n in numbers], reading.tokenizer.pad_id
            )
            scores, states = scores_and_states(teacher.model, **inputs)
            for place, number in enumerate(numbers):
                part = slice(place, place + 1)
                outputs[number] = TeacherOutput(scores[part].float(), states[part])
    return [outputs[number] for number in range(len(features))]


class TaughtBatches(TaskBatches):
    """Micro-batches with the teacher's output for each of their texts."""

    outputs: Sequence[TeacherOutput]

    def holding(self, numbers: Sequence[int]) -> TrainingBatch:
        batch, features = super().holding(numbers), [self.features[n] for n in numbers]
        labelled = [bool(feature.targets) for feature in features]
        outputs = [self.outputs[feature.row] for feature in features]
        added = {
            "labelled": torch.tensor(labelled),
            "teacher_scores": torch.cat([output.scores for output in outputs]),
            "states": torch.cat([output.state for output in outputs]),
        }
        counts = torch.tensor([sum(labelled), len(labelled), len(labelled)])
        return batch._replace(arguments=batch.arguments | added, counts=counts)


class TaughtObjective(nn.Module):
    """A student and the sums of three losses: labels, teacher's scores, its states."""

    def __init__(self, model: nn.Module, mix: LossWeights, width: int) -> None:
        super().__init__()
        self.model, self.mix = model, mix
        self.fit = width_projection(model.config.hidden_size, width)

    def forward(
        self,
        targets: Tensor,
        labelled: Tensor,
        teacher_scores: Tensor,
        states: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums of the losses, each times what it counts, as `3`."""
        scores, hidden = scores_and_states(self.model, **inputs)
        scores, mix = scores.float(), self.mix
        hard = F.cross_entropy(scores[labelled], targets, reduction="sum")
        soft = soft_target_loss(scores, teacher_scores, mix.temperature)
        angles = hidden_state_loss(self.fit(hidden).float(), states)
        return torch.stack([mix.hard * hard, mix.soft * soft, mix.states * angles])


class Distillation(FineTuning):
    """A run on what a teacher says of the rows to train on, and of more texts."""

    def __init__(
        self,
        data: TaskSet,
        outputs: Sequence[TeacherOutput],
        student: BertConfig | Pretrained,
        tuning: Tuning,
        mix: LossWeights,
        more: Sequence[str],
        tokenizer: Tokenizer,
    ) -> None:
        self.outputs, self.mix, self.more = outputs, mix, more
        super().__init__(data, student, tuning, tokenizer=tokenizer)

    def objective_and_batches(self) -> tuple[nn.Module, TaskBatches]:
        rows = [*self.data.train, *unlabelled_rows(self.predictor, self.more)]
        batches = self.task_batches(rows)
        taught = TaughtBatches(
            batches.task, batches.features, batches.size, batches.seed, batches.pad_id
        )
        taught.outputs = self.outputs
        with torch.random.fork_rng(devices=[]):
            seed_for(self.tuning.seed, 0)
            width = self.outputs[0].state.shape[1]
            return TaughtObjective(self.model, self.mix, width), taught


def reduced_vocabulary(
    tokenizer: Tokenizer, texts: Iterable[str], size: int
) -> tuple[Tokenizer, list[int]]:
    """A tokenizer with the pieces that texts use most, and their ids in the old one.

    Special tokens and single characters stay, so that a word whose piece is gone is cut
    into smaller ones, and no text becomes unknown that was known.
    """
    pieces = tokenizer.vocabulary
    kept = {
        id
        for id, piece in enumerate(pieces)
        if piece in SPECIAL or len(piece.removeprefix("##")) == 1
    }
    counts = Counter(id for text in texts for id in tokenizer.encode(text))
    # Among pieces used equally often the earlier goes first: training put it earlier.
    by_use = sorted(set(range(len(pieces))) - kept, key=lambda id: (-counts[id], id))
    ids = sorted([*kept, *by_use[: size - len(kept)]])
    reduced = Tokenizer(
        [pieces[id] for id in ids], tokenizer.lowercase, tokenizer.max_word_characters
    )
    return reduced, ids


# The ways ----------------------------------------------------------------------------


class Way(NamedTuple):
    """How a student learns."""

    layers: bool
    mix: LossWeights
    tuning: Tuning
    more: bool = False


WAYS = {
    "alone": Way(False, LABELS, ALONE),
    "soft targets": Way(False, SOFT, LEARNING),
    "teacher's layers": Way(True, LABELS, LEARNING),
    "distilled": Way(True, ALL, LEARNING),
    "with more texts": Way(True, ALL, MORE, more=True),
}


class School(NamedTuple):
    """What all students have in common; lessons are on the rows, then on `more`."""

    data: TaskSet
    more: list[str]
    tokenizer: Tokenizer
    lessons: list[TeacherOutput]
    student: Pretrained
    teacher: dict[str, Any]


def school(count: int, more: int) -> School:
    """Fine-tune the teacher, ask it about the texts, and make a part of it."""
    whole = NAMED_TASKS[TASK].load()
    data = whole._replace(train=whole.train[:count], valid=whole.valid[:VALID])
    start = time.perf_counter()
    run = FineTuning(data, ENCODER, TEACHING).run()
    found = found_by(run, start)
    start = time.perf_counter()
    texts = [row.text for row in whole.train[: count + more]]
    plain = [row._replace(label=None) for row in whole.train[: count + more]]
    lessons = teacher_outputs(run.predictor, plain)
    found["seconds to ask it"] = round(time.perf_counter() - start, 1)
    tokenizer, ids = reduced_vocabulary(run.predictor.reading.tokenizer, texts, PIECES)
    student = make_student(run.model, LAYERS, ids)
    return School(data, texts[count:], tokenizer, lessons, student, found)


def learnt(school: School, name: str, seed: int, rate: float) -> dict[str, Any]:
    """A student of one way and seed: its scores, and what it took."""
    start, way = time.perf_counter(), WAYS[name]
    weights: BertConfig | Pretrained = school.student.config
    if way.layers:
        weights = make_student(school.student, len(LAYERS))
    more: Sequence[str] = school.more if way.more else ()
    run = Distillation(
        school.data,
        school.lessons[: len(school.data.train) + len(more)],
        weights,
        way.tuning.replace(seed=seed, learning_rate=rate),
        way.mix,
        more,
        school.tokenizer,
    )
    run.run()
    return found_by(run, start)


def found_by(run: FineTuning, start: float) -> dict[str, Any]:
    """What came out of a run that is over."""
    return {
        "test": run.score(run.data.test),
        "validation": run.best.scores,
        "best epoch": round(run.best.epoch, 2),
        "updates": run.progress.step,
        "learning rate": run.tuning.learning_rate,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "training seconds": round(run.progress.seconds, 1),
        "seconds": round(time.perf_counter() - start, 1),
    }


def students(school: School, seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Every way with every seed; those alone with the better rate."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    tried = [shown("alone", 0, learnt(school, "alone", 0, rate)) for rate in RATES]
    tried.sort(key=lambda run: -run["validation"]["accuracy"])
    found["alone"].append(tried[0])
    for seed in range(seeds):
        for name, runs in found.items():
            if len(runs) == seed:
                rate = WAYS[name].tuning.learning_rate
                rate = tried[0]["learning rate"] if name == "alone" else rate
                runs.append(shown(name, seed, learnt(school, name, seed, rate)))
    return {**found, "alone, at the other rate": tried[1:]}


def shown(name: str, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    """The same, printed."""
    print(name, seed, json.dumps(found), flush=True)
    return {"seed": seed, **found}


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS, help="to try it: so many")
    parser.add_argument("--more", type=int, default=10**6, help="at most, of texts")
    parser.add_argument("--card", help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    here = school(given.rows, given.more)
    shown("teacher", 0, here.teacher)
    runs = {"teacher": [here.teacher], **students(here, given.seeds)}
    results = spread(
        {
            name: [100 * run["test"]["accuracy"] for run in found]
            for name, found in runs.items()
        }
    )
    size, whole = runs["distilled"][0]["parameters"], here.teacher["parameters"]
    print(f"parameters: {size:,} of {whole:,}, {size / whole:.1%}")
    record(
        given.card,
        f"Distillation on the task {TASK}: accuracy on test rows in percent, of the "
        "teacher and of students; minimum, median and maximum over seeds",
        here.data.source,
        results,
        ("torch",),
        device_name(torch.device("cpu")),
        seeds=given.seeds,
        rows=[len(part) for part in here.data[3:6]],
        more_texts=len(here.more),
        parameters={"teacher": whole, "student": size},
        layers=LAYERS,
        pieces=PIECES,
        weights=ENCODER,
        ways={
            name: {"mix": asdict(way.mix), "tuning": way.tuning.to_dict()}
            for name, way in WAYS.items()
        },
        teaching=TEACHING.to_dict(),
        rates_alone=RATES,
        runs=runs,
    )


if __name__ == "__main__":
    main()
