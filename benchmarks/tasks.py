"""How good is a fine-tuned model, beside what it must beat?

    python benchmarks/tasks.py sentiment                  print a table
    python benchmarks/tasks.py sentiment --card FILE.json and record the run

One task of `bertcore.tasks.sets` or of `sets.py` here, each way with five seeds:
nothing learnt (majority), counted words with logistic regression, and with the same
rows our packaged model (BERT-mini, pretrained in chapter 9) fine-tuned, with a frozen
encoder, and the same architecture from random weights; then the published MiniLM. The
seed is that of the head, the order and dropout; of the task "similarity" also that of
the split. Epochs and rates were set after a few trials, and are the same for all seeds.
The best epoch is chosen on validation rows. On one core.
"""

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
from sets import descriptions, facts, similarity

from bertcore import BertConfig, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.tasks import plain, score
from bertcore.tasks.baselines import bag_of_words, majority
from bertcore.tasks.rows import TaskSet, Text
from bertcore.tasks.sets import NAMED_TASKS
from bertcore.training.devices import device_name
from bertcore.training.finetuning import FineTuning
from bertcore.training.recipe import Tuning


class Plan(NamedTuple):
    """What of a task is used: rows of each part, tokens of a text, epochs."""

    rows: tuple[int, int, int]
    length: int
    epochs: float
    published_epochs: float
    batch: int = 16
    published_rate: float = 1e-4


PLANS = {
    "sentiment": Plan((500, 150, 500), 48, 4, 3),
    "questions": Plan((500, 150, 500), 32, 6, 4),
    "descriptions": Plan((300, 150, 300), 48, 4, 3),
    "entities": Plan((500, 100, 212), 64, 3, 3, batch=4),
    "similarity": Plan((435, 28, 66), 56, 2, 1),
    "facts": Plan((300, 24, 80), 256, 1, 2, batch=4, published_rate=2e-4),
}
OURS = 3e-4  # highest rate
SHOWN = 12  # predictions that a card keeps, for the reader to look at


def ways(plan: Plan) -> dict[str, tuple[Any, Tuning]]:
    """Each way's starting weights and how it is tuned."""
    config = BertConfig.from_pretrained(OUR_MODEL)
    ours = Tuning(
        epochs=plan.epochs, learning_rate=OURS, length=plan.length, batch=plan.batch
    )
    published = ours.replace(
        epochs=plan.published_epochs, learning_rate=plan.published_rate
    )
    return {
        "random weights": (config, ours),
        "frozen": (OUR_MODEL, ours.replace(frozen=True, learning_rate=1e-3)),
        "ours": (OUR_MODEL, ours),
        "published": (ENCODER, published),
    }


def task(name: str, plan: Plan, seed: int) -> TaskSet:
    """The rows that are used."""
    others = {"descriptions": descriptions, "facts": facts}
    others["similarity"] = partial(similarity, seed)
    data = others[name]() if name in others else NAMED_TASKS[name].load()
    train, valid, test = plan.rows
    return data._replace(
        train=data.train[:train], valid=data.valid[:valid], test=data.test[:test]
    )


def by_cosine(data: TaskSet, rows: Sequence[Text]) -> list[float]:
    """Numbers by ridge regression on the cosine of two texts' tf-idf vectors."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    texts = sorted({text for row in data.train for text in (row.text, row.pair or "")})
    vectors = TfidfVectorizer(
        analyzer=lambda text: re.findall(r"\w+", text.lower())
    ).fit(texts)

    def cosines(some: Sequence[Text]) -> Any:
        first = vectors.transform([row.text for row in some])
        second = vectors.transform([row.pair or "" for row in some])
        return np.asarray(first.multiply(second).sum(axis=1)).reshape(-1, 1)

    truth = [float(row.label) for row in data.train]
    model = Ridge(alpha=1e-3).fit(cosines(data.train), truth)
    return model.predict(cosines(rows)).tolist()


def runs(name: str, seeds: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Way, seed, and what came out, one after another."""
    plan = PLANS[name]
    for seed in range(seeds):
        data = task(name, plan, seed)
        counted = by_cosine if name == "similarity" else bag_of_words
        for way, guess in (("majority", majority), ("bag of words", counted)):
            if seed == 0 or name == "similarity":
                yield (
                    way,
                    seed,
                    {"test": score(data.kind, data.test, guess(data, data.test))},
                )
        for way, (weights, tuning) in ways(plan).items():
            start = time.perf_counter()
            tokenizer = Tokenizer.from_pretrained(
                OUR_MODEL if isinstance(weights, BertConfig) else weights
            )
            run = FineTuning(
                data, weights, tuning.replace(seed=seed), tokenizer=tokenizer
            )
            run.run()
            guesses = run.predictor.predict(data.test)
            found: dict[str, Any] = {
                "test": score(data.kind, data.test, plain(guesses)),
                "best epoch": round(run.best.epoch, 2),
                "tokens": run.progress.tokens,
                "learnt": sum(
                    p.numel() for p in run.model.parameters() if p.requires_grad
                ),
                "seconds": round(time.perf_counter() - start, 1),
            }
            if seed == 0 and way == "published":
                found["shown"] = shown(data, guesses)
            yield way, seed, found


def shown(data: TaskSet, guesses: list[Any]) -> list[Any]:
    """A few test rows with their guesses, as plain values."""
    if data.kind == "tagging":
        pairs = zip(data.test, guesses, strict=True)
        return [[list(r.words), list(r.tags), list(g.tags)] for r, g in pairs][:SHOWN]
    if data.kind == "answers":
        pairs = zip(data.test, guesses, strict=True)
        return [[r.question, [a.text for a in r.answers], g.text] for r, g in pairs][
            :SHOWN
        ]
    return []


def spread(values: list[float]) -> list[float]:
    """Minimum, median and maximum."""
    return [round(f(values), 4) for f in (min, statistics.median, max)]


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(PLANS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, Any]]] = {}
    for way, seed, result in runs(given.task, given.seeds):
        found.setdefault(way, []).append(result)
        print(
            way,
            seed,
            json.dumps({k: v for k, v in result.items() if k != "shown"}),
            flush=True,
        )
    names = list(found["majority"][0]["test"])
    results: dict[str, Any] = {
        way: {name: spread([run["test"][name] for run in all_runs]) for name in names}
        for way, all_runs in found.items()
    }
    for way, scores in results.items():
        print(f"{way:16}", scores)
    if given.card:
        plan = PLANS[given.task]
        own = NAMED_TASKS[given.task]
        card = make_card(
            f"Fine-tuning on the task {given.task}: the scores on test rows, minimum, "
            "median and maximum over seeds",
            task(given.task, plan, 0).source,
            results,
            ("torch", "scikit-learn"),
            device_name(torch.device("cpu")),
            kind=own.kind,
            seeds=given.seeds,
            plan=plan._asdict(),
            tunings={way: tuning.to_dict() for way, (_, tuning) in ways(plan).items()},
            weights={"ours": OUR_MODEL, "published": ENCODER},
            runs=found,
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
