"""What do minutes of one core buy, and are they better spent on text, passes or size?

    python benchmarks/minutes.py --card FILE.json                 run, and record
    python benchmarks/minutes.py --card FILE.json --blimp FILE    and judge pairs, too
    python benchmarks/minutes.py --card FILE.json --keep FOLDER   and keep the models

BERTs learn the introductions of Wikipedia articles in the pieces of `english-mini`, by
the plan `laptop`. The seconds of a run are those of the processor, because others work
on the machine, too. Beside the plan's own model there is one of two layers, and runs
that have but a part of the texts. All are evaluated on the same introductions, held out
of all runs and of `english-mini`, in windows of 64 pieces at 15 % masks. For some of
them, for random weights and for `english-mini` the card also tells how often a linear
classifier on the frozen vectors finds an article's topic, and what they make of pairs
of BLiMP.

A run that stands in the card already is not made again, so an interrupted session can
go on.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
from measure import record
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bertcore import BertForMaskedLM
from bertcore.files import read_json
from bertcore.model.inference import evaluation
from bertcore.model.pooling import mean_pool
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions, is_held_out
from bertcore.text.pairs import window_examples
from bertcore.text.prepare import Prepared, find_texts, packaged
from bertcore.text.store import Store
from bertcore.training import loop
from bertcore.training.devices import device_name
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import ComputeSettings
from bertcore.training.pretraining import new_model
from bertcore.training.recipe import PLANS, Recipe
from bertcore.training.run import start_run
from bertcore.training.scoring import BlimpScores, judge, read_pairs

PLAN, CPU = PLANS["laptop"], torch.device("cpu")
OWN = "1 layer of 128"
PROBED, PAIRS, CURVE_POINTS = 1000, 20, 5


class Kind(NamedTuple):
    """What is changed in the plan: sizes, one document in so many."""

    sizes: Mapping[str, int] = MappingProxyType({})
    one_in: int = 1


KINDS = {
    OWN: Kind(),
    "one text in 64": Kind(one_in=64),
    "2 layers of 128": Kind({"layers": 2}),
}
# Kind, minutes, seeds; those that the chapter needs most come first.
RUNS = [
    (OWN, 0.5, 3),
    (OWN, 2, 1),
    (OWN, 8, 1),
    ("one text in 64", 0.5, 3),
    ("2 layers of 128", 8, 1),
]


class Questions:
    """What all models are asked: held-out pieces, topics, perhaps pairs."""

    def __init__(self, texts: Prepared, blimp: str | None) -> None:
        self.texts = texts
        windows = window_examples(texts.held_out, PLAN.recipe.length)
        self.held_out = HeldOut(texts.held_out, windows, texts.tokenizer)
        self.pairs = read_pairs(blimp, PAIRS).pairs if blimp else []
        documents = introductions().documents
        apart = [each for each in documents if is_held_out(each.title)]
        rest = [each for each in documents if not is_held_out(each.title)]
        step = len(rest) // PROBED  # they are in order of their topics
        self.probed = rest[::step][:PROBED], apart

    def scores(self, model: BertForMaskedLM, pairs: bool) -> dict[str, Any]:
        """Of a model: loss and accuracy, topics found, perhaps pairs preferred."""
        found: dict[str, Any] = self.held_out.ask(model)._asdict()
        found["topics"] = self.topics(*(self.vectors(model, d) for d in self.probed))
        if pairs and self.pairs:
            judged = judge(self.pairs, model, self.texts.tokenizer)
            found["blimp"] = BlimpScores.of(judged).overall.percent
        return found

    @torch.no_grad()
    def vectors(self, model: BertForMaskedLM, documents: list) -> np.ndarray:
        """One vector for each document: the mean of its last states."""
        found = []
        with evaluation(model):
            for n in range(0, len(documents), 64):
                texts = [each.text for each in documents[n : n + 64]]
                batch = self.texts.tokenizer(texts, max_length=PLAN.recipe.length)
                states = model.bert(**batch)
                found.append(mean_pool(states, batch["attention_mask"]))
        return torch.cat(found).numpy()

    def topics(self, learnt: Any, asked: Any) -> float:
        """The share of held-out articles whose topic a classifier finds."""
        labels = [[each.topic for each in part] for part in self.probed]
        probe = LogisticRegression(max_iter=2000).fit(learnt, labels[0])
        return round(probe.score(asked, labels[1]), 4)

    def baselines(self) -> dict[str, float]:
        """What needs no network: frequencies of pieces, the commonest topic, TF-IDF."""
        counts = np.bincount(self.texts.train.ids)
        share = float((self.held_out.labels() == counts.argmax()).mean())
        topics = [each.topic for each in self.probed[1]]
        words = TfidfVectorizer(sublinear_tf=True)
        learnt, asked = ([each.text for each in part] for part in self.probed)
        return {
            "unigram": round(self.held_out.unigram(self.texts.train), 4),
            "commonest piece": round(share, 4),
            "commonest topic": round(max(map(topics.count, topics)) / len(topics), 4),
            "tf-idf": self.topics(words.fit_transform(learnt), words.transform(asked)),
        }


def run(
    kind: Kind, minutes: float, seed: int, questions: Questions, keep: Path | None
) -> dict[str, Any]:
    """Train one; what it is after that, and its curve."""
    texts = questions.texts
    kept = [d.text for d in introductions().documents if not is_held_out(d.title)]
    store = Store.of(kept[:: kind.one_in], texts.tokenizer)
    windows = window_examples(store, PLAN.recipe.length)
    asked = questions.held_out, HeldOut(store, windows, texts.tokenizer, most=256)
    recipe = PLAN.recipe.replace(seconds=60.0 * minutes, seed=seed)
    config = PLAN.config(len(texts.tokenizer)).replace(**kind.sizes)
    training = start_run(
        Prepared(texts.tokenizer, store, None), recipe, config,
        settings=ComputeSettings(CPU),
    )  # fmt: skip
    if seed == 0:  # a curve is for looking at; one will do
        curve = list(followed(training, asked, len(store.ids)))
    else:
        curve = training.run() and []
    progress = training.progress
    if keep:
        training.model.save_pretrained(keep)
        texts.tokenizer.save_pretrained(keep)
    return {
        "updates": progress.step, "tokens": progress.tokens,
        "passes": round(progress.tokens / len(store.ids), 3),
        "seconds": round(progress.seconds, 1),
        "parameters": sum(p.numel() for p in training.model.parameters()),
        "curve": curve,
        **questions.scores(training.model, pairs=kind == KINDS[OWN] and seed == 0),
    }  # fmt: skip


def followed(
    training: Any, asked: tuple[HeldOut, HeldOut], size: int
) -> Iterator[list[float]]:
    """Passes, loss of held-out texts, and loss of texts that it learns from."""

    def point(passes: float) -> list[float]:
        losses = (each.ask(training.model).masked_lm for each in asked)
        return [round(passes, 3), *(round(loss, 3) for loss in losses)]

    done, _ = 0, (yield point(0.0))
    for update in training.records():
        if int(update.progress * CURVE_POINTS) > done:
            done = int(update.progress * CURVE_POINTS)
            yield point(update.tokens / size)


def main() -> None:
    """Run what is not in the card yet; write the card after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, required=True, help="a JSON file")
    parser.add_argument("--blimp", help="BLiMP's pairs: a file or a folder")
    parser.add_argument("--keep", type=Path, help="a folder for the models of seed 0")
    given = parser.parse_args()
    torch.set_num_threads(1)
    # The clock of the engine's runs, from here on: the processor's.
    loop.time = SimpleNamespace(perf_counter=time.process_time)
    texts = packaged(PLAN.texts, vocabulary=OUR_MODEL)
    questions = Questions(texts, given.blimp)
    results: dict[str, Any] = {}
    if given.card.is_file():
        results = read_json(given.card)["results"]
    if not results:
        config = PLAN.config(len(texts.tokenizer))
        fixed = {
            "random weights": new_model(config, PLAN.recipe),
            "english-mini": BertForMaskedLM.from_pretrained(OUR_MODEL),
        }
        # What english-mini makes of more pairs stands in a card of its own.
        scores = {
            name: questions.scores(model, pairs=name == "random weights")
            for name, model in fixed.items()
        }
        results = {"baselines": questions.baselines(), **scores, "runs": []}
    done = {(r["kind"], r["minutes"], r["seed"]) for r in results["runs"]}
    if "texts" not in results:  # how many tokens a pass is
        others = find_texts("english").train
        counted = len(Store.of(others, texts.tokenizer).ids)
        results["texts"] = {PLAN.texts: len(texts.train.ids), "english": counted}
    write(given.card, results, texts, bool(given.blimp))
    for name, minutes, seeds in RUNS:
        for seed in range(seeds):
            if (name, minutes, seed) in done:
                continue
            keep = None
            if given.keep and seed == 0:
                keep = given.keep / f"{name}, {minutes:g} minutes".replace(" ", "-")
            made = run(KINDS[name], minutes, seed, questions, keep)
            about = {"kind": name, "minutes": minutes, "seed": seed}
            results["runs"].append(about | made)
            print(about, {k: v for k, v in made.items() if k != "curve"}, flush=True)
            write(given.card, results, texts, bool(given.blimp))


def write(path: Path, results: dict[str, Any], texts: Prepared, pairs: bool) -> None:
    """The card, as far as it is."""
    record(
        str(path),
        "What minutes of one core buy: held-out loss, topics and pairs of sentences of "
        "small BERTs, by size, part of the texts and time",
        texts.train.manifest["source"],
        results,
        ("torch", "scikit-learn"),
        device_name(CPU),
        clock="seconds of the processor",
        recipe=recipe_of(PLAN.recipe),
        model=PLAN.config(len(texts.tokenizer)).to_dict(),
        kinds={
            name: {"sizes": dict(kind.sizes), "one_in": kind.one_in}
            for name, kind in KINDS.items()
        },
        vocabulary=OUR_MODEL,
        tokens=len(texts.train.ids),
        evaluation=f"windows of {PLAN.recipe.length} pieces, 15 % masked",
        probe=f"{PROBED} articles to learn from, logistic regression",
        pairs_per_paradigm=PAIRS if pairs else 0,
        compiled=False,
    )


def recipe_of(recipe: Recipe) -> dict[str, Any]:
    """Its fields, but for the time and the seed, which the runs say."""
    without = ("seconds", "steps", "seed")
    return {k: v for k, v in recipe.to_dict().items() if k not in without}


if __name__ == "__main__":
    main()
