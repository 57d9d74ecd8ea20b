"""Does Muon bring something over AdamW, on the same texts in as many updates?

    python benchmarks/muon.py                    print a table
    python benchmarks/muon.py --card FILE.json   and record it

The small BERT of `benchmarks/faults.py` learns tales for 240 updates, three seeds each:
with AdamW for everything, and with Muon for the layers' matrices and AdamW for the
rest, at three learning rates of AdamW each. Recorded is the held-out loss, in nats.
"""

import argparse
from pathlib import Path

import torch
from faults import CPU, SEEDS, WIDTH

from bertcore.cards import make_card, write_card
from bertcore.text.prepare import packaged
from bertcore.text.store import Store
from bertcore.text.tales import tales
from bertcore.training.devices import device_name
from bertcore.training.recipe import PLANS
from bertcore.training.run import start_run

UPDATES, RATES = 240, (1e-3, 4e-3, 1.2e-2)


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the runs in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = PLANS["minute"]
    texts = packaged(plan.texts, pieces=plan.pieces)
    config = plan.config(len(texts.tokenizer)).replace(**WIDTH)
    texts = texts._replace(held_out=Store.of(tales(60, seed=2026), texts.tokenizer))
    how = plan.recipe.replace(steps=UPDATES, pairs=False)
    results: dict[str, dict[str, list[float]]] = {}
    for optimiser in ("adamw", "muon"):
        for rate in RATES:
            changes = {"optimiser": optimiser, "learning_rate": rate}
            found = []
            for seed in range(SEEDS):
                recipe = how.replace(**changes, seed=seed)
                options = {"settings": CPU, "evaluations": 1}
                run = start_run(texts, recipe, config, None, **options).run()
                found.append(round(run.evaluations[-1].quality.masked_lm, 3))
            results.setdefault(optimiser, {})[f"{rate:g}"] = found
            print(optimiser, rate, found, flush=True)
    if given.card:
        card = make_card(
            "Held-out loss with AdamW, and with Muon for the layers' matrices, at "
            "three learning rates of AdamW; seed by seed",
            "tales made by rules",
            results,
            device=device_name(CPU.device),
            updates=UPDATES, seeds=SEEDS, width=WIDTH["hidden_size"],
            recipe=how.to_dict(), unigram=round(run.held_out.unigram(run.store), 3),
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
