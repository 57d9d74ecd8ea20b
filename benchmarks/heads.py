"""Do the heads for tags and for answers work, beside what they must beat?

    python benchmarks/heads.py names                      print a table
    python benchmarks/heads.py answers --card FILE.json   and record the run

`names`: sentences of Wikipedia in small letters; which words began with a capital?
`answers`: a question on a country, and four short facts of the World Factbook. Both are
in benchmarks/sets.py. Ways that train no encoder: nothing found; for names a dictionary
of the words to train on; logistic regression on words, or for answers on a word of the
question beside a word of a sentence. Ways that do: BERT-mini from random weights and
from our packaged ones, and the published MiniLM. Where a way has several
learning rates, it takes the one with the best validation score of seed 0; the best
epoch is chosen likewise. The test rows are scored once, with what was chosen. The seed
is that of the head, the order and dropout.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
from sets import dictionary, names, short_facts

from bertcore import BertConfig, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.tasks import plain, score
from bertcore.tasks.baselines import bag_of_words, majority
from bertcore.tasks.rows import TaskSet
from bertcore.training.devices import device_name
from bertcore.training.finetuning import FineTuning
from bertcore.training.recipe import Tuning

SHOWN = 12  # test rows that a card keeps with what was guessed


class Way(NamedTuple):
    """Starting weights, the learning rates tried, the epochs, and the seeds."""

    weights: Any
    rates: tuple[float, ...]
    epochs: float
    seeds: int


class Plan(NamedTuple):
    """A set, the form of its batches, and the ways to learn it."""

    load: Any
    length: int
    batch: int
    ways: dict[str, Way]


def plans() -> dict[str, Plan]:
    """What is run; MiniLM costs three times as much, so it gets less."""
    config = BertConfig.from_pretrained(OUR_MODEL)
    return {
        "names": Plan(
            names,
            64,
            16,
            {
                "random weights": Way(config, (1e-3,), 3, 3),
                "ours": Way(OUR_MODEL, (3e-4, 1e-3), 3, 3),
                "published": Way(ENCODER, (3e-4,), 2, 1),
            },
        ),
        "answers": Plan(
            short_facts,
            128,
            8,
            {
                "random weights": Way(config, (5e-4, 1e-3), 5, 3),
                "ours": Way(OUR_MODEL, (3e-4, 5e-4, 1e-3), 5, 3),
                "published": Way(ENCODER, (3e-4,), 2, 1),
            },
        ),
    }


def scored(data: TaskSet, rows: Sequence[Any], guesses: Sequence[Any]) -> dict:
    """The scores of the kind, in percent."""
    found = score(data.kind, rows, guesses)
    return {name: round(100 * value, 2) for name, value in found.items()}


def cheap_ways(data: TaskSet) -> dict[str, Any]:
    """Guesses of the ways that train no encoder, by their names."""
    found = {"nothing": majority(data, data.test)}
    if data.kind == "tagging":
        found["dictionary"] = dictionary(data, data.test)
    return {**found, "counted words": bag_of_words(data, data.test)}


def tuned(data: TaskSet, way: Way, tuning: Tuning) -> FineTuning:
    """One run to its end, with the weights of its best epoch."""
    own = isinstance(way.weights, BertConfig)
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL if own else way.weights)
    run = FineTuning(data, way.weights, tuning, tokenizer=tokenizer)
    return run.run()


def learned_ways(data: TaskSet, plan: Plan, name: str, way: Way) -> list[dict]:
    """What each seed came to, at the learning rate that validation prefers."""
    base = Tuning(epochs=way.epochs, length=plan.length, batch=plan.batch)
    tried, results = {}, []
    for rate in way.rates:
        start = time.process_time()
        run = tuned(data, way, base.replace(learning_rate=rate))
        tried[rate] = run, time.process_time() - start
        print(f"  {name} {rate:g}: {run.best.scores}", flush=True)
    chosen = max(tried, key=lambda rate: tried[rate][0].best.scores["f1"])
    for seed in range(way.seeds):
        start = time.process_time()
        run, seconds = tried[chosen]
        if seed:
            run = tuned(data, way, base.replace(learning_rate=chosen, seed=seed))
            seconds = time.process_time() - start
        guesses = plain(run.predictor.predict(data.test))
        result = {
            "test": scored(data, data.test, guesses),
            "learning rate": chosen,
            "validation": [[round(e.epoch, 1), e.scores] for e in run.evaluations],
            "tried": {f"{r:g}": one.best.scores for r, (one, _) in tried.items()},
            "processor seconds": round(seconds, 1),
        }
        if seed == 0:
            result["shown"] = shown(data, guesses)
        print(name, seed, json.dumps(result["test"]), round(seconds), flush=True)
        results.append(result)
    return results


def shown(data: TaskSet, guesses: Sequence[Any]) -> list[Any]:
    """A few test rows: what is read, what is right, what was guessed."""
    some = list(zip(data.test, guesses, strict=True))[:SHOWN]
    if data.kind == "tagging":
        return [[row.words, row.tags, guess] for row, guess in some]
    return [[r.question, r.context, r.answers[0].text, guess] for r, guess in some]


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(plans()))
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = plans()[given.task]
    data = plan.load()
    runs: dict[str, list[dict]] = {}
    for name, guesses in cheap_ways(data).items():
        runs[name] = [{"test": scored(data, data.test, guesses)}]
        print(name, runs[name][0]["test"], flush=True)
    for name, way in plan.ways.items():
        runs[name] = learned_ways(data, plan, name, way)
    results = {}
    for name, each in runs.items():
        values = {
            metric: [run["test"][metric] for run in each] for metric in each[0]["test"]
        }
        results[name] = {
            metric: [min(found), statistics.median(found), max(found)]
            for metric, found in values.items()
        }
    if given.card:
        card = make_card(
            f"The task {given.task}: scores on the test rows in percent by way; "
            "minimum, median and maximum over seeds",
            data.source,
            results,
            ("torch", "scikit-learn"),
            device_name(torch.device("cpu")),
            kind=data.kind,
            rows=[len(part) for part in (data.train, data.valid, data.test)],
            length=plan.length,
            batch=plan.batch,
            ways={
                name: {"rates": way.rates, "epochs": way.epochs, "seeds": way.seeds}
                for name, way in plan.ways.items()
            },
            weights={"ours": OUR_MODEL, "published": ENCODER},
            runs=runs,
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
