"""How well does a decoder write, beside what it must beat?

    python benchmarks/writing.py sounds                    print a table
    python benchmarks/writing.py sounds --card FILE.json   and record the run

Two tasks of `bertcore.tasks.sets`, each way with three seeds, on the GPU if there is
one. `sounds`: spelling to pronunciation, as in chapter 7, from random weights, with a
decoder that looks at all letters, at the state of [CLS] alone, or at nothing and has a
layer more instead, which makes it as large. `summaries`: introductions of Wikipedia to
the few words that describe their articles, from our packaged BERT-mini as encoder and
decoder, the same with shared weights, as encoder alone, and from random weights. The
seed is that of the fresh weights, the order and dropout. The rate of `sounds` was set
after a few trials, that of `summaries` without any, and is the same for all ways. Texts
are written greedily.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
from torch import Tensor

from bertcore import BertConfig, EncoderDecoder, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.sources import OUR_MODEL
from bertcore.tasks import plain, score
from bertcore.tasks.baselines import bag_of_words, majority
from bertcore.tasks.rows import Source, TaskSet
from bertcore.tasks.sets import NAMED_TASKS, sounds_tokenizer
from bertcore.training.devices import device_name
from bertcore.training.finetuning import FineTuning
from bertcore.training.recipe import Tuning

SHOWN = 12  # test rows that a card keeps, for the reader to look at


class First(EncoderDecoder):
    """Its decoder looks at the first state of each source alone."""

    def read(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The states, and a mask that leaves only position 0 of each text."""
        states, mask = super().read(
            input_ids, token_type_ids, attention_mask, position_ids
        )
        mask = torch.ones_like(input_ids) if mask is None else mask
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=mask.device)[None]
        return states, mask * (position_ids == 0)


class Plan(NamedTuple):
    """What of a task is used, and how each way is trained."""

    task: str
    rows: tuple[int, int, int]
    tuning: Tuning


SPELLING = Tuning(
    epochs=1, batch=64, learning_rate=3e-3, length=24, target_length=24, seed=0
)
PLANS = {
    "sounds": Plan("sounds", (32_000, 0, 1000), SPELLING),
    "summaries": Plan(
        "summaries",
        (8000, 200, 198),
        Tuning(
            epochs=12,
            batch=64,
            learning_rate=5e-4,
            length=128,
            target_length=24,
            looks=1,
        ),
    ),
}
Make = Callable[[], Any]


def ways(plan: Plan) -> dict[str, Make]:
    """Each way's model, or the weights that it starts from."""
    if plan.task == "sounds":
        config = BertConfig(
            vocab_size=len(sounds_tokenizer().vocabulary),
            hidden_size=96,
            layers=2,
            heads=3,
            feedforward_size=384,
            max_positions=48,
            dropout=0.0,
            attention_dropout=0.0,
        )
        deeper = config.replace(layers=config.layers + 1)
        return {
            "all letters": lambda: EncoderDecoder(config),
            "[CLS] only": lambda: First(config),
            "no cross-attention": lambda: EncoderDecoder(config, deeper, cross=False),
        }
    config = BertConfig.from_pretrained(OUR_MODEL)

    def encoder_only() -> EncoderDecoder:
        model = EncoderDecoder(config)
        warm = EncoderDecoder.from_bert(OUR_MODEL)
        model.encoder.load_state_dict(warm.encoder.state_dict())
        return model

    return {
        "both from BERT": lambda: EncoderDecoder.from_bert(OUR_MODEL),
        "both, tied": lambda: EncoderDecoder.from_bert(OUR_MODEL, tied=True),
        "encoder from BERT": encoder_only,
        "random weights": lambda: EncoderDecoder(config),
    }


def chosen(plan: Plan, most: int) -> TaskSet:
    """The rows that are used, at most so many of each part."""
    data = NAMED_TASKS[plan.task].load()
    train, valid, test = (min(most, rows) for rows in plan.rows)
    return data._replace(
        train=data.train[:train], valid=data.valid[:valid], test=data.test[:test]
    )


def one(name: str, most: int, way: str, seed: int) -> dict[str, Any]:
    """A run of one seed: its scores on the test rows, and some of what it wrote."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    plan = PLANS[name]
    data, start = chosen(plan, most), time.perf_counter()
    spelt = plan.task == "sounds"
    tokenizer = sounds_tokenizer() if spelt else Tokenizer.from_pretrained(OUR_MODEL)
    model, tuning = ways(plan)[way](), plan.tuning.replace(seed=seed)
    run = FineTuning(data, model, tuning, tokenizer=tokenizer).run()
    guesses = plain(run.predictor.predict([row.text for row in data.test]))
    pairs = list(zip(data.test, guesses, strict=True))[:SHOWN]
    return {
        "test": score("writing", data.test, guesses),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "best epoch": round(run.best.epoch, 2) if run.best else None,
        "tokens": run.progress.tokens,
        "last loss": round(statistics.fmean(run.losses[-20:]), 4),
        "training seconds": round(run.progress.seconds, 1),
        "seconds": round(time.perf_counter() - start, 1),
        "shown": [[row.text[:200], row.target, guess] for row, guess in pairs],
    }


def spread(values: list[float]) -> list[float]:
    """Minimum, median and maximum."""
    return [round(f(values), 4) for f in (min, statistics.median, max)]


def first_words(data: TaskSet, rows: Sequence[Source]) -> list[str]:
    """The first words of each text, as many as a target to train on has on average."""
    mean = statistics.mean(len(row.target.split()) for row in data.train)
    count = max(1, round(mean))
    return [" ".join(row.text.split()[:count]) for row in rows]


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", choices=sorted(PLANS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10**6, help="to try it: so many")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    plan = PLANS[given.plan]
    data = chosen(plan, given.rows)
    runs: dict[str, list[dict[str, Any]]] = {}
    guesses = {
        "most frequent": majority,
        "first words": first_words,
        "nearest": bag_of_words,
    }
    if plan.task == "sounds":
        del guesses["first words"]
    for way, guess in guesses.items():
        runs[way] = [{"test": score("writing", data.test, guess(data, data.test))}]
        print(way, json.dumps(runs[way][0]), flush=True)
    runs |= {way: [] for way in ways(plan)}
    asked = [(way, n) for n in range(given.seeds) for way in ways(plan)]
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        futures = {
            pool.submit(one, given.plan, given.rows, *each): each for each in asked
        }
        for future in as_completed(futures):
            way, seed = futures[future]
            found = {"seed": seed, **future.result()}
            runs[way].append(found)
            brief = {key: value for key, value in found.items() if key != "shown"}
            print(way, json.dumps(brief), flush=True)
    results = {
        way: {
            name: spread([run["test"][name] for run in found])
            for name in ("word_error_rate", "chrf", "exact")
        }
        for way, found in runs.items()
    }
    for way, scores in results.items():
        print(f"{way:20}", scores)
    if given.card:
        best = next(iter(ways(plan)))
        shown = next(run["shown"] for run in runs[best] if run["seed"] == 0)
        for found in runs.values():
            for run in found:
                run.pop("shown", None)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        card = make_card(
            f"Writing, task {plan.task}: scores on test rows, minimum, median and "
            "maximum over seeds",
            data.source,
            results,
            ("torch", "sacrebleu", "torchmetrics"),
            device_name(torch.device(device)),
            seeds=given.seeds,
            rows=len(data.train),
            test_rows=len(data.test),
            tuning=plan.tuning.to_dict(),
            weights=OUR_MODEL if plan.task == "summaries" else None,
            runs_at_once=given.jobs,
            shown=shown,
            runs=runs,
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
