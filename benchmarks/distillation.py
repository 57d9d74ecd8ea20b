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
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
from measure import record, spread

from bertcore import BertConfig, Tokenizer
from bertcore.model.weights import Pretrained
from bertcore.sources import ENCODER
from bertcore.tasks.rows import TaskSet
from bertcore.tasks.sets import NAMED_TASKS
from bertcore.text.wordpiece import reduced_vocabulary
from bertcore.training.devices import device_name
from bertcore.training.distillation import (
    Distillation,
    LossWeights,
    TeacherOutput,
    make_student,
    teacher_outputs,
)
from bertcore.training.finetuning import FineTuning, TaskRun
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
    lessons = teacher_outputs(run.predictor, plain, data)
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
        unlabelled=more,
        tokenizer=school.tokenizer,
    )
    run.run()
    return found_by(run, start)


def found_by(run: TaskRun, start: float) -> dict[str, Any]:
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
