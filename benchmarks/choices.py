"""Which choices of fine-tuning matter, and does a second phase help?

    python benchmarks/choices.py                    print a table
    python benchmarks/choices.py --card FILE.json   and record the run

The task "topics", the opening words of 400 texts to learn from, our packaged BERT-mini;
one thing is changed at a time, five seeds each. "two phases" first fine-tunes body and
head on another task, "sentiment", and then the body with a new head on this one. Test
accuracy, and how far the seeds are apart. On one core.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch

from bertcore.cards import make_card, write_card
from bertcore.sources import OUR_MODEL
from bertcore.tasks.rows import TaskSet, Text
from bertcore.tasks.sets import sentiment, topics
from bertcore.training.devices import device_name
from bertcore.training.finetuning import FineTuning
from bertcore.training.recipe import Tuning

ROWS, VALID, TEST, SEEDS = 400, 150, 500, 5
WORDS = 20
BASE = Tuning(epochs=4, learning_rate=5e-4, length=40)
CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no warm-up": {"warmup": 0.0},
    "no bias correction": {"optimiser": "released"},
    "neither": {"warmup": 0.0, "optimiser": "released"},
    "a fifth of the rate": {"learning_rate": 1e-4},
    "five times the rate": {"learning_rate": 2.5e-3},
    "one epoch": {"epochs": 1},
    "twelve epochs": {"epochs": 12},
}


def opening(rows: list[Text]) -> list[Text]:
    """Only the first words of each text."""
    return [row._replace(text=" ".join(row.text.split()[:WORDS])) for row in rows]


def first_phase(seed: int, folder: Path) -> str:
    """A body that was fine-tuned on sentiment, as a folder."""
    data = sentiment()
    data = data._replace(train=data.train[:600], valid=data.valid[:VALID])
    run = FineTuning(data, OUR_MODEL, BASE.replace(epochs=2, seed=seed)).run()
    run.model.bert.save_pretrained(folder / str(seed))
    run.predictor.reading.tokenizer.save_pretrained(folder / str(seed))
    return str(folder / str(seed))


def tested(data: TaskSet, weights: str, tuning: Tuning) -> float:
    """Test accuracy in percent."""
    run = FineTuning(data, weights, tuning).run()
    return 100 * run.score(data.test)["accuracy"]


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = topics()
    data = data._replace(
        train=opening(data.train[:ROWS]),
        valid=opening(data.valid[:VALID]),
        test=opening(data.test[:TEST]),
    )
    found: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        for name, changes in CHANGES.items():
            tuning = BASE.replace(seed=seed, **changes)
            found.setdefault(name, []).append(tested(data, OUR_MODEL, tuning))
        with tempfile.TemporaryDirectory() as folder:
            body = first_phase(seed, Path(folder))
            value = tested(data, body, BASE.replace(seed=seed))
        found.setdefault("two phases", []).append(value)
        print(
            seed,
            {name: round(values[-1], 1) for name, values in found.items()},
            flush=True,
        )
    results = {
        name: [round(f(values), 1) for f in (min, statistics.median, max)]
        for name, values in found.items()
    }
    for name, values in results.items():
        print(f"{name:24} {values}")
    if given.card:
        card = make_card(
            "Fine-tuning on 400 texts with one thing changed at a time: accuracy "
            "on test rows in percent, minimum, median and maximum over seeds",
            data.source,
            results,
            ("torch", "scikit-learn"),
            device_name(torch.device("cpu")),
            seeds=given.seeds,
            tuning=BASE.to_dict(),
            weights=OUR_MODEL,
            values={n: [round(v, 2) for v in values] for n, values in found.items()},
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
