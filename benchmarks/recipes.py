"""What does each change to BERT's recipe bring, in as many updates of a small model?

    python benchmarks/recipes.py                     print a table
    python benchmarks/recipes.py --card FILE.json    and record the run
    python benchmarks/recipes.py --part 1/3 --card FILE.json    a third of the runs
    python benchmarks/recipes.py --part 0/0 --also FILES --card FILE.json    join cards

The model of the plan `minute` learns tales, three seeds each, on one core. The first
run is the fast recipe. Each of the next ones takes one of its changes back. Then BERT's
two moments, which the released code does not correct, meet three learning rates, with
the correction and without it. The last is BERT's own recipe with a learning rate for
this size. All are evaluated alike, at 15 % masks: the loss is that of held-out texts
after the last update, in nats.
"""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
from measure import record

from bertcore.files import read_json
from bertcore.text.pairs import window_examples
from bertcore.text.prepare import packaged
from bertcore.training.devices import device_name
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import ComputeSettings
from bertcore.training.recipe import FAITHFUL, PLANS, Recipe
from bertcore.training.run import start_run

FAST_NAME, BERT_NAME = "the fast recipe", "BERT's recipe"
SHARES = {"": 1.0, ", a third of the rate": 1 / 3, ", a tenth of the rate": 0.1}


class Version(NamedTuple):
    """A recipe, and the dropout of the model that it trains."""

    recipe: Recipe
    dropout: float = 0.0


def versions(fast: Recipe) -> dict[str, Version]:
    """The fast recipe, each of its changes taken back, and a grid."""
    rate, moments = fast.learning_rate, FAITHFUL.betas
    found = {
        FAST_NAME: Version(fast),
        "with pairs": Version(fast.replace(pairs=True)),
        "with dropout 0.1": Version(fast, dropout=0.1),
        "15 % masks": Version(fast.replace(mask_rate=0.15)),
        "without bias correction": Version(fast.replace(optimiser="released")),
        "a tenth of the rate": Version(fast.replace(learning_rate=rate / 10)),
        "with Muon": Version(fast.replace(optimiser="muon")),
    }
    for way, optimiser in (("corrected", "adamw"), ("uncorrected", "released")):
        for name, share in SHARES.items():
            changed = fast.replace(
                betas=moments, optimiser=optimiser, learning_rate=rate * share
            )
            found[f"BERT's moments, {way}{name}"] = Version(changed)
    own = FAITHFUL.replace(
        steps=fast.steps, batch=fast.batch, length=fast.length,
        learning_rate=rate / 10, warmup=fast.warmup,
    )  # fmt: skip
    return found | {BERT_NAME: Version(own, dropout=0.1)}


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="updates (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--card", help="a JSON file to record the run in")
    parser.add_argument("--part", default="0/1", help="of the runs (%(default)s)")
    parser.add_argument("--also", nargs="*", default=[], help="cards of other parts")
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan, cpu = PLANS["minute"], torch.device("cpu")
    texts = packaged(plan.texts, pieces=plan.pieces)
    fast = plan.recipe.replace(steps=given.steps, pairs=False)
    config = plan.config(len(texts.tokenizer))
    windows = window_examples(texts.held_out, fast.length)
    held_out = HeldOut(texts.held_out, windows, texts.tokenizer)
    found: dict[str, dict[str, float]] = {name: {} for name in versions(fast)}
    for path in given.also:
        for name in found:
            found[name] |= read_json(Path(path))["results"][name]
    first, every = map(int, given.part.split("/"))
    number = 0
    for seed in range(given.seeds):
        for name, version in versions(fast).items():
            number += 1
            if not every or number % every != first:
                continue
            rates = {"dropout": version.dropout, "attention_dropout": version.dropout}
            run = start_run(
                texts._replace(held_out=None), version.recipe.replace(seed=seed),
                config.replace(**rates), settings=ComputeSettings(cpu),
            ).run()  # fmt: skip
            loss = held_out.ask(run.model).masked_lm
            found[name][str(seed)] = round(loss, 3)
            print(f"{seed} {name:48}{loss:8.3f}", flush=True)
    ordered = {name: dict(sorted(each.items())) for name, each in found.items()}
    record(
        given.card,
        "Held-out loss of a small BERT after the same number of updates: the fast "
        "recipe, each of its changes taken back, and learning rates with and without "
        "bias correction; seed by seed",
        texts.train.manifest["source"],
        {**ordered, "unigram": round(held_out.unigram(texts.train), 3)},
        ("torch",),
        device_name(cpu),
        updates=given.steps,
        seeds=given.seeds,
        model=config.to_dict(),
        recipes={
            name: each.recipe.to_dict() | {"dropout": each.dropout}
            for name, each in versions(fast).items()
        },
    )


if __name__ == "__main__":
    main()
