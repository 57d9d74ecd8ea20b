"""What has a model learned when its loss lies on the unigram line, and does it leave?

    python benchmarks/plateau.py                    print a table
    python benchmarks/plateau.py --card FILE.json   and record the run

A small BERT is pretrained on the introductions of Wikipedia articles, three seeds each,
on one core. Three learning rates and nothing else differ; the highest is lowered after
300 updates to the middle one. Beside the held-out losses stand two numbers in nats
which together are the mean KL divergence of the predictions from the frequencies of the
pieces: how far the mean prediction is from these frequencies, and how far the single
predictions are from the mean one. The second is 0 if the model ignores the context.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
from torch import Tensor

from bertcore import BertForPreTraining, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.model.config import BertConfig
from bertcore.model.inference import evaluation
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.pairs import pair_examples
from bertcore.text.store import Store
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import ComputeSettings, TrainingState, train
from bertcore.training.objectives import (
    PretrainingBatches,
    PreTrainingObjective,
    states_and_logits,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.recipe import Recipe

LENGTH, BATCH, WARMUP, SEEDS = 64, 16, 40, 3
# Name -> learning rate, updates in all; the high one is lowered on the way.
RUNS = {"usual": (1e-3, 1600), "low": (3e-4, 800), "high": (1e-2, 600)}
LOWERED_AFTER, LOWERED_TO = 300, 1e-3
EVALUATE_AT = (0, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1200, 1400, 1600)
SHOWN_AT = (0, 200, 1600)  # of the first seed of "usual": what it would fill in
GAPS = (
    "He was born [MASK] 1879 and died in 1955.",
    "It is the capital [MASK] France.",
    "The Moon is [MASK] by the Sun.",
)


@torch.no_grad()
def looked_at(model: BertForPreTraining, held_out: HeldOut, frequency: Tensor) -> dict:
    """Losses of held-out texts, and how predictions differ from the frequencies."""
    scores, predictions = held_out.ask(model), []
    with evaluation(model):
        for batch in held_out.batches:
            inputs = dict(batch.arguments)
            places = inputs.pop("masked_positions")
            for name in ("labels", "first", "follows"):
                inputs.pop(name)
            predictions.append(states_and_logits(model, places, inputs)[1])
    logs = torch.cat(predictions).log_softmax(dim=-1).double()
    mean = logs.exp().mean(dim=0)
    context = (logs.exp() * (logs - mean.log())).sum(dim=-1).mean()
    return {
        "pieces": scores.masked_lm, "accuracy": scores.accuracy,
        "pairs": scores.next_sentence, "context": context.item(),
        "frequencies": (mean * (mean / frequency).log()).sum().item(),
    }  # fmt: skip


@torch.no_grad()
def filled(model: BertForPreTraining, tokenizer: Tokenizer, text: str) -> dict:
    """The three likeliest pieces for the gap in a text, with their probabilities."""
    batch = tokenizer([text], parse_special=True)
    place = batch["input_ids"][0].tolist().index(tokenizer.mask_id)
    with evaluation(model):
        best = model(**batch)[0][0, place].softmax(dim=-1).topk(3)
    pieces = [tokenizer.vocabulary[id] for id in best.indices.tolist()]
    shares = [round(share, 3) for share in best.values.tolist()]
    return dict(zip(pieces, shares, strict=True))


def run(name: str, seed: int, store: Store, held_out: HeldOut, tokenizer: Tokenizer):
    """Train one model; yield it with the number of updates where it is looked at."""
    rate, steps = RUNS[name]
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=48, layers=2, heads=3,
        feedforward_size=192, max_positions=LENGTH, dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    objective = PreTrainingObjective(BertForPreTraining(config))
    examples = pair_examples(store, LENGTH, repeats=2)
    batches = Batches(store, examples, tokenizer, Masker(tokenizer), BATCH, seed)
    recipe = Recipe(
        steps=steps, batch=BATCH, length=LENGTH, learning_rate=rate, seed=seed,
        schedule="constant", warmup=WARMUP / steps,
    )  # fmt: skip
    optimisers = make_optimisers(objective, recipe)
    settings = ComputeSettings(torch.device("cpu"))
    yield 0, objective.model
    for record in train(
        objective, PretrainingBatches(batches), optimisers, recipe, settings,
        TrainingState(),
    ):  # fmt: skip
        if name == "high" and record.step == LOWERED_AFTER:
            optimisers.parts = [(each, LOWERED_TO) for each, _ in optimisers.parts]
        if record.step in EVALUATE_AT:
            yield record.step, objective.model


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    corpus, tokenizer = introductions(), Tokenizer.from_pretrained(OUR_MODEL)
    texts = [document.text for document in corpus.documents]
    kept = [text for number, text in enumerate(texts) if number % 10]
    store, others = Store.of(kept, tokenizer), Store.of(texts[::10], tokenizer)
    held_out = HeldOut(others, pair_examples(others, LENGTH), tokenizer, most=256)
    counts = np.bincount(store.ids, minlength=len(tokenizer)) + 1.0
    frequency = torch.from_numpy(counts / counts.sum())
    found: dict[str, dict] = {name: {} for name in RUNS}
    shown: dict[str, dict] = {}
    for seed in range(SEEDS):
        for name in RUNS:
            for step, model in run(name, seed, store, held_out, tokenizer):
                numbers = looked_at(model, held_out, frequency)
                rows = found[name].setdefault(str(step), {})
                for what, value in numbers.items():
                    # Four significant digits: a context dependence may be 1e-8 and
                    # rising, and four decimal places would call it 0.
                    rows.setdefault(what, []).append(float(f"{value:.4g}"))
                print(name, seed, step, {k: v[-1] for k, v in rows.items()}, flush=True)
                if name == "usual" and seed == 0 and step in SHOWN_AT:
                    gaps = {gap: filled(model, tokenizer, gap) for gap in GAPS}
                    shown[str(step)] = gaps
                    print(gaps)
    results = {"unigram": round(held_out.unigram(store), 4), **found, "filled": shown}
    if given.card:
        card = make_card(
            "A small BERT reaches the unigram line, at three learning rates: held-out "
            "losses and the context dependence of its predictions in nats, by update, "
            "seed by seed",
            corpus.source,
            results,
            pieces=len(tokenizer), length=LENGTH, batch=BATCH, warm_up=WARMUP,
            seeds=SEEDS, model="2 layers of 48, 3 heads", learning_rates=RUNS,
            high_lowered_after=LOWERED_AFTER, high_lowered_to=LOWERED_TO,
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
