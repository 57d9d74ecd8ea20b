"""What do the measurements say of a run that is broken in a known way?

    python benchmarks/faults.py                    seven faults and a sound run
    python benchmarks/faults.py --card FILE.json   and record them
    python benchmarks/faults.py --card FILE.json --only "padding in the loss"
                                                   keep what is recorded of the others

One small BERT learns made-up tales for 120 updates, three times each: as it should, and
with one fault that is planted. Recorded is what a reader of chapter 9b can measure: the
training loss in six stretches, the held-out loss, the longest gradient, how well the
model predicts the masked piece and the pieces beside it, and what the doctor says.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bertcore.cards import make_card, write_card
from bertcore.files import read_json
from bertcore.text.batch import TrainingBatch
from bertcore.text.prepare import packaged
from bertcore.text.store import Store
from bertcore.text.tales import tales
from bertcore.training.devices import device_name
from bertcore.training.doctor import diagnose, neighbours
from bertcore.training.loop import ComputeSettings, MicroBatches
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import PLANS
from bertcore.training.run import start_run

UPDATES, SEEDS, LAST = 120, 3, 20
WIDTH = {"hidden_size": 64, "heads": 2, "feedforward_size": 256}
CPU = ComputeSettings(torch.device("cpu"))

Arguments = dict[str, Tensor]


def true_ids(inputs: Arguments) -> Tensor:
    """The texts before they were masked, read row by row."""
    ids = inputs["input_ids"].flatten()
    return ids.index_copy(0, inputs["masked_positions"], inputs["labels"])


def shifted(inputs: Arguments) -> Arguments:
    """Each masked position has the label of the place before it."""
    return {**inputs, "labels": true_ids(inputs)[inputs["masked_positions"] - 1]}


def padding(inputs: Arguments) -> Arguments:
    """Padding counts as labels, too."""
    places = (inputs["attention_mask"].flatten() == 0).nonzero()[:, 0]
    labels = inputs["input_ids"].flatten()[places]
    extra = {"masked_positions": places, "labels": labels}
    return {**inputs, **{k: torch.cat([inputs[k], v]) for k, v in extra.items()}}


def in_sight(inputs: Arguments) -> Arguments:
    """Nothing was hidden: each label stands in the text, at its place."""
    return {**inputs, "input_ids": true_ids(inputs).view(inputs["input_ids"].shape)}


class Planted:
    """Micro-batches as they are, but with what `change` makes of their tensors."""

    def __init__(
        self, batches: MicroBatches, change: Callable[[Arguments], Arguments]
    ) -> None:
        self.batches, self.change = batches, change

    def __getitem__(self, number: int) -> TrainingBatch:
        batch = self.batches[number]
        inputs = self.change(batch.arguments)
        counts = torch.tensor([len(inputs["labels"])])
        return batch._replace(arguments=inputs, counts=counts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)


class Fault(NamedTuple):
    """What is wrong with a run."""

    learning_rate: float = 4e-3
    change: Callable[[Arguments], Arguments] | None = None
    tales: int | None = None  # to learn from


FAULTS = {
    "sound": Fault(),
    "learning rate too low": Fault(learning_rate=1e-4),
    "learning rate too high": Fault(learning_rate=0.3),
    "learning rate ten times too high": Fault(learning_rate=4e-2),
    "labels one place off": Fault(change=shifted),
    "padding in the loss": Fault(change=padding),
    "nothing hidden": Fault(change=in_sight),
    "six tales to learn from": Fault(tales=6),
}


def begin(fault: Fault, seed: int, folder: Path) -> Pretraining:
    """The run, ready to start."""
    plan = PLANS["minute"]
    texts = packaged(plan.texts, pieces=plan.pieces)
    config = plan.config(len(texts.tokenizer)).replace(**WIDTH)
    texts = texts._replace(held_out=Store.of(tales(60, seed=2026), texts.tokenizer))
    if fault.tales:
        texts = texts._replace(train=Store.of(tales(fault.tales), texts.tokenizer))
    recipe = plan.recipe.replace(
        steps=UPDATES, pairs=False, learning_rate=fault.learning_rate, seed=seed
    )
    options = {"settings": CPU, "evaluations": 6, "save_every": 1e9}
    run = start_run(texts, recipe, config, folder, **options)
    if fault.change:
        run.batches = Planted(run.batches, fault.change)
    return run


def measured(fault: Fault, seed: int) -> dict[str, Any]:
    """What can be measured of the run, and what the doctor says."""
    with TemporaryDirectory() as folder:
        run = begin(fault, seed, Path(folder))
        records = list(run.records())
        losses = [record.losses[0] for record in records]
        size = UPDATES // 6
        stretches = [losses[n : n + size] for n in range(0, UPDATES, size)]
        found = neighbours(run.model, run.held_out)
        return {
            "training": [round(fmean(stretch), 3) for stretch in stretches],
            "held out": {
                at.step: round(at.quality.masked_lm, 3) for at in run.evaluations
            },
            "longest gradient": float(f"{max(each.gradient for each in records):.3g}"),
            "predicts": {name: round(loss, 3) for name, loss in found.items()},
            "unigram": round(run.held_out.unigram(run.store), 3),
            "doctor": [each.what for each in diagnose(folder).findings],
        }


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the runs in")
    parser.add_argument("--only", action="append", choices=FAULTS, help="keep others")
    given = parser.parse_args()
    torch.set_num_threads(1)
    known = read_json(given.card)["results"] if given.only and given.card else {}
    results = {}
    for name, fault in FAULTS.items():
        if name in known and name not in given.only:
            results[name] = known[name]
            continue
        results[name] = [measured(fault, seed) for seed in range(SEEDS)]
        for each in results[name]:
            print(name, *each.values(), sep="\n    ", flush=True)
    if given.card:
        card = make_card(
            "Runs with a planted fault: losses, gradients, what is predicted at a mask "
            "and beside it, and what the doctor says; seed by seed",
            "tales made by rules",
            results,
            device=device_name(CPU.device),
            updates=UPDATES, seeds=SEEDS, width=WIDTH["hidden_size"],
            learning_rates={k: fault.learning_rate for k, fault in FAULTS.items()},
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
