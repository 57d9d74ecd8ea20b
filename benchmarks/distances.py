"""Is it distances that help DeBERTa and ModernBERT? The same models without them.

    python benchmarks/distances.py                    print a table
    python benchmarks/distances.py --card FILE.json   and record the run

The run of `positions.py` with other models, from the same seeds, on one core: its card
has BERT with and without positions. DeBERTa and ModernBERT train as they are, and with
nothing changed but that they know no order: all distances of DeBERTa have the vector 0,
and ModernBERT turns no query and no key. One more ModernBERT hides 30 % of the pieces
while it trains, as published, which says what of its result the masks are. Texts, order
of the texts, optimiser and updates are the same for all; held-out losses are those of
15 % of the pieces.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from positions import (
    BATCH,
    LENGTH,
    PIECES,
    RATE,
    SEEDS,
    train,
    unigram_loss,
    windows,
)
from torch import nn

from bertcore.cards import make_card, write_card
from bertcore.model.variants.deberta import DebertaV2Config, DebertaV2ForMaskedLM
from bertcore.model.variants.modernbert import ModernBertConfig, ModernBertForMaskedLM
from bertcore.text.corpora import introductions
from bertcore.text.masking import Masker
from bertcore.text.wordpiece import train_tokenizer

EVALUATE_AT = (100, 200, 400, 800)
SIZES = {
    "vocab_size": PIECES, "hidden_size": 64, "layers": 2, "heads": 4,
    "max_positions": LENGTH, "dropout": 0.0, "attention_dropout": 0.0,
    "initializer_range": 0.05,
}  # fmt: skip


def deberta(order: bool) -> nn.Module:
    """A DeBERTa of BERT's sizes; every distance up to 11 has a bucket of its own."""
    config = DebertaV2Config(**SIZES, feedforward_size=128, position_buckets=22)
    model = DebertaV2ForMaskedLM(config)
    if not order:  # the norm of the table is what attention is given
        for parameter in model.bert.encoder.distance_norm.parameters():
            with torch.no_grad():
                parameter.zero_()
            parameter.requires_grad_(False)
    return model


def modernbert(order: bool) -> nn.Module:
    """A ModernBERT of BERT's width and layers; no text is longer than its window."""
    # Three matrices in the feed-forward network, so two thirds of BERT's 128.
    model = ModernBertForMaskedLM(ModernBertConfig(**SIZES, feedforward_size=85))
    if not order:  # every token at place 0 is every token unturned
        here = torch.zeros(1, LENGTH, dtype=torch.long)
        model.bert.register_forward_pre_hook(
            lambda _, args, rest: (args, {**rest, "position_ids": here}),
            with_kwargs=True,
        )
    return model


# Name -> a new model, and the share of pieces that it hides while it trains.
KINDS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "DeBERTa": (lambda: deberta(True), 0.15),
    "DeBERTa, distances 0": (lambda: deberta(False), 0.15),
    "ModernBERT": (lambda: modernbert(True), 0.15),
    "ModernBERT, not turned": (lambda: modernbert(False), 0.15),
    "ModernBERT, 30 % masked": (lambda: modernbert(True), 0.3),
}


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    texts = [document.text for document in introductions().documents]
    tokenizer = train_tokenizer(texts, PIECES)
    learnt, kept = windows(texts, tokenizer)
    held_out = Masker(tokenizer).batch(kept, np.random.default_rng(0))
    found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for seed in range(SEEDS):
        for kind, (make, rate) in KINDS.items():
            torch.manual_seed(seed)
            masker = Masker(tokenizer, rate)
            losses = train(make(), seed, learnt, held_out, masker, EVALUATE_AT)
            found[kind].append(losses)
            print(kind, seed, [round(n, 2) for n in losses], flush=True)
    results = {"unigram": round(unigram_loss(learnt, held_out[1], PIECES), 2)}
    for kind, runs in found.items():
        results[kind] = {
            step: [round(loss, 2) for loss in losses]
            for step, losses in zip(EVALUATE_AT, zip(*runs, strict=True), strict=True)
        }
        print(kind, results[kind])
    if given.card:
        card = make_card(
            "DeBERTa and ModernBERT as masked language models, each with and without "
            "what tells it the order: held-out loss in nats for each masked piece, "
            "seed by seed",
            introductions().source,
            results,
            pieces=PIECES, length=LENGTH, batch=BATCH, learning_rate=RATE, seeds=SEEDS,
            optimiser="AdamW", model="2 layers of 64, 4 heads",
            evaluated_after=EVALUATE_AT,
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
