"""How good is a fine-tuned model, beside what it must beat?

    python benchmarks/tasks.py questions                       print a table
    python benchmarks/tasks.py questions --card FILE.json      and record the run
    python benchmarks/tasks.py questions --rows 100,300,1000   with so many rows each
    python benchmarks/tasks.py questions --rows 1000 --models FOLDER FOLDER …

One task of `bertcore.tasks.sets`, with all its rows. Ways that train no encoder: the
most frequent class; TF-IDF with logistic regression; logistic regression on the mean of
the last states of our packaged model, and of the published MiniLM. Ways that do:
BERT-mini fine-tuned from random weights, from our packaged ones, and MiniLM; or, with
`--models`, the models of those folders, each named by its folder (as
`benchmarks/minutes.py --keep` writes them), beside the first one's random weights.

What a way may choose (the learning rate; the strength of logistic regression), it
chooses for itself, by its score on the validation rows, with seed 0; the best epoch
likewise. The test rows are scored once, with what was chosen. The seed is that of the
head, the order and dropout, and with `--rows` also of the rows that are drawn.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bertcore import BertConfig, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.sentences import SentenceEncoder
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.tasks import plain, score
from bertcore.tasks.baselines import counted, majority
from bertcore.tasks.rows import TaskSet
from bertcore.tasks.sets import NAMED_TASKS
from bertcore.training.devices import device_name
from bertcore.training.finetuning import FineTuning
from bertcore.training.recipe import Tuning

LENGTHS = {"questions": 32, "sentiment": 48, "topics": 40}
# Of logistic regression: small is strict.
STRENGTHS = 0.1, 1.0, 10.0, 100.0
SHOWN = 30  # wrong answers that a card keeps, for the reader to look at


class Way(NamedTuple):
    """Starting weights, the learning rates tried, the epochs, and how many seeds."""

    weights: Any
    rates: tuple[float, ...]
    epochs: float
    seeds: int


def ways(seeds: int, epochs: float, published: bool) -> dict[str, Way]:
    """The ways that are fine-tuned. MiniLM is larger, so it gets fewer trials."""
    config = BertConfig.from_pretrained(OUR_MODEL)
    found = {
        "random weights": Way(config, (1e-4, 3e-4, 1e-3), epochs, seeds),
        "ours": Way(OUR_MODEL, (1e-4, 3e-4, 1e-3), epochs, seeds),
    }
    if published:
        found["published"] = Way(ENCODER, (1e-4, 3e-4), min(3, epochs), min(3, seeds))
    return found


def ways_of_models(
    folders: Sequence[Path], seeds: int, epochs: float
) -> dict[str, Way]:
    """The same for each folder; and what the first of these models is untrained.

    The models may be narrow, and such are happy with higher learning rates.
    """
    rates = 1e-4, 3e-4, 1e-3, 3e-3
    untrained = BertConfig.from_pretrained(folders[0])
    found = {f"{folders[0].name}, untrained": Way(untrained, rates, epochs, seeds)}
    for folder in folders:
        found[folder.name] = Way(str(folder), rates, epochs, seeds)
    return found


def tuned(data: TaskSet, way: Way, tuning: Tuning) -> tuple[FineTuning, float]:
    """One run to its end, and its score on the validation rows."""
    own = isinstance(way.weights, BertConfig)
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL if own else way.weights)
    run = FineTuning(data, way.weights, tuning, tokenizer=tokenizer)
    run.run()
    return run, main_score(data, data.valid, plain(run.predictor.predict(data.valid)))


def main_score(data: TaskSet, rows: Sequence[Any], guesses: Sequence[Any]) -> float:
    """The share of right answers."""
    return score(data.kind, rows, guesses)["accuracy"]


def best_line(data: TaskSet, features: Sequence[Any]) -> dict[str, Any]:
    """Logistic regression on features of the three parts; strength by validation."""
    train, valid, test = features
    labels = [row.label for row in data.train]
    tried = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=3000).fit(train, labels)
        tried[strength] = (
            main_score(data, data.valid, model.predict(valid).tolist()),
            model,
        )
    chosen = max(tried, key=lambda strength: tried[strength][0])
    valid_score, model = tried[chosen]
    guesses = model.predict(test).tolist()
    return {
        "validation": valid_score,
        "test": main_score(data, data.test, guesses),
        "chosen": chosen,
        "tried": {str(strength): found for strength, (found, _) in tried.items()},
    }


def counted_words(data: TaskSet) -> list[Any]:
    """TF-IDF of words and neighbours, for each of the three parts."""
    vectors = TfidfVectorizer(analyzer=counted, sublinear_tf=True)
    train = vectors.fit_transform(data.train)
    return [train, vectors.transform(data.valid), vectors.transform(data.test)]


def frozen(data: TaskSet, name: str) -> list[Any]:
    """The mean of the last states, standardised, for each of the three parts."""
    encoder = SentenceEncoder.from_pretrained(name)
    parts = [
        encoder.encode([row.text for row in part]).numpy()
        for part in (data.train, data.valid, data.test)
    ]
    mean, deviation = parts[0].mean(axis=0), parts[0].std(axis=0) + 1e-6
    return [(part - mean) / deviation for part in parts]


def drawn(data: TaskSet, rows: int | None, seed: int) -> TaskSet:
    """So many rows to train on, and as few for validation in proportion."""
    if rows is None:
        return data
    rng = np.random.default_rng([seed, rows])
    train = [data.train[n] for n in rng.permutation(len(data.train))[:rows]]
    valid = [data.valid[n] for n in rng.permutation(len(data.valid))]
    return data._replace(train=train, valid=valid[: max(50, rows // 5)])


def runs(
    data: TaskSet, given: argparse.Namespace, rows: int | None
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Way, seed, and what came out, one after another."""
    draws = range(given.seeds if rows else 1)  # all rows are the same for every seed
    for seed in draws:
        part = drawn(data, rows, seed)
        guess = majority(part, part.test)
        yield "majority", seed, {"test": main_score(part, part.test, guess)}
        yield "TF-IDF", seed, best_line(part, counted_words(part))
        for name, weights in {"ours": OUR_MODEL, "published": ENCODER}.items():
            if not given.models:
                yield f"{name}, frozen", seed, best_line(part, frozen(part, weights))
    # A few rows are read more often, so that there are updates enough.
    epochs = given.epochs if rows is None else max(given.epochs, min(20, 4000 / rows))
    if given.models:
        chosen_ways = ways_of_models(given.models, given.seeds, epochs)
    else:
        chosen_ways = ways(given.seeds, epochs, rows is None)
    for name, way in chosen_ways.items():
        tuning = Tuning(
            epochs=way.epochs, length=LENGTHS[given.task], batch=given.batch
        )
        tried: dict[float, tuple[float, FineTuning]] = {}
        first = drawn(data, rows, 0)
        for rate in way.rates:
            run, found = tuned(first, way, tuning.replace(learning_rate=rate))
            tried[rate] = found, run
            print(f"  {name}, learning rate {rate:g}: {found}", flush=True)
        chosen = max(tried, key=lambda rate: tried[rate][0])
        for seed in range(way.seeds):
            start, part = time.process_time(), drawn(data, rows, seed)
            if seed == 0:
                valid_score, run = tried[chosen]
            else:
                change = {"learning_rate": chosen, "seed": seed}
                run, valid_score = tuned(part, way, tuning.replace(**change))
            guesses = plain(run.predictor.predict(part.test))
            result = {
                "validation": valid_score,
                "test": main_score(part, part.test, guesses),
                "chosen": chosen,
                "tried": {f"{rate:g}": found for rate, (found, _) in tried.items()},
                "best epoch": round(run.best.epoch, 2),
                "epochs": way.epochs,
                "processor seconds": round(time.process_time() - start, 1),
            }
            if seed == 0 and rows is None:
                result["wrong"] = wrong(part, guesses)
            yield name, seed, result


def wrong(data: TaskSet, guesses: list[Any]) -> list[Any]:
    """A few test rows that were answered wrongly: text, label, guess."""
    pairs = zip(data.test, guesses, strict=True)
    return [[r.text, r.label, g] for r, g in pairs if r.label != g][:SHOWN]


def spread(values: list[float]) -> list[float]:
    """Minimum, median and maximum."""
    return [round(f(values), 4) for f in (min, statistics.median, max)]


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(LENGTHS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rows", help="numbers of rows to train on, such as 100,300")
    parser.add_argument("--models", nargs="*", type=Path, help="folders of models")
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = NAMED_TASKS[given.task].load()
    numbers = [int(n) for n in given.rows.split(",")] if given.rows else [None]
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for rows in numbers:
        of_rows = found.setdefault(str(rows or len(data.train)), {})
        for way, seed, result in runs(data, given, rows):
            of_rows.setdefault(way, []).append(result)
            shown = {k: v for k, v in result.items() if k != "wrong"}
            print(rows or "all", way, seed, json.dumps(shown), flush=True)
    results: dict[str, Any] = {
        rows: {way: spread([run["test"] for run in each]) for way, each in ways.items()}
        for rows, ways in found.items()
    }
    for rows, scores in results.items():
        for way, values in scores.items():
            print(f"{rows:>6} rows  {way:18}", values)
    if given.card:
        card = make_card(
            f"The task {given.task}: share of right answers on the test rows by "
            "number of rows to train on and way; minimum, median and maximum",
            data.source,
            results,
            ("torch", "scikit-learn"),
            device_name(torch.device("cpu")),
            kind=data.kind,
            rows={"train": len(data.train), "valid": len(data.valid)}
            | {"test": len(data.test)},
            seeds=given.seeds,
            epochs=given.epochs,
            batch=given.batch,
            length=LENGTHS[given.task],
            weights={"ours": OUR_MODEL, "published": ENCODER}
            if not given.models
            else [folder.name for folder in given.models],
            runs=found,
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
