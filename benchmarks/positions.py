"""Does a masked language model learn less without positions? Not soon.

    python benchmarks/positions.py                    print a table
    python benchmarks/positions.py --card FILE.json   and record the run

A small BERT learns to fill gaps in the introductions of Wikipedia articles, once with
its position table and once with the table at zero for good, three seeds each, on one
core. Both see the same texts and the same masks. Loss on held-out texts, in nats for
each masked piece, after more and more updates; beside it, the loss of a model that
knows only how frequent each piece is.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

import bertcore
from bertcore.cards import make_card, write_card
from bertcore.model.config import BertConfig
from bertcore.text.corpora import introductions
from bertcore.text.masking import Masker
from bertcore.text.wordpiece import train_tokenizer

PIECES, LENGTH, BATCH, RATE, SEEDS = 2000, 24, 32, 3e-3, 3
EVALUATE_AT = (100, 200, 400, 800, 1600)
KINDS = ("with positions", "without")


def windows(texts: list[str], tokenizer: bertcore.Tokenizer) -> tuple[Tensor, Tensor]:
    """Rows of one length to learn from, and those of every twentieth text, held out."""
    rows: list[list[list[int]]] = [[], []]
    for index, text in enumerate(texts):
        ids = tokenizer.encode(text)
        whole = range(0, len(ids) - LENGTH + 1, LENGTH)
        rows[index % 20 == 0] += [ids[start : start + LENGTH] for start in whole]
    return torch.tensor(rows[0]), torch.tensor(rows[1])


def unigram_loss(learnt: Tensor, labels: Tensor, pieces: int) -> float:
    """What knowing the frequencies alone gives; each piece is counted once more."""
    counts = learnt.flatten().bincount(minlength=pieces) + 1.0
    return -(counts / counts.sum()).log()[labels[labels >= 0]].mean().item()


def new_model(kind: str) -> bertcore.BertForMaskedLM:
    """A small BERT, its position table at zero for good if it is to be without."""
    config = BertConfig(
        vocab_size=PIECES, hidden_size=64, layers=2, heads=4, feedforward_size=128,
        max_positions=LENGTH, dropout=0.0, attention_dropout=0.0,
        initializer_range=0.05,
    )  # fmt: skip
    model = bertcore.BertForMaskedLM(config)
    if kind == "without":
        table = model.bert.embeddings.position.weight
        with torch.no_grad():
            table.zero_()
        table.requires_grad_(False)
    return model


def train(
    model: nn.Module,
    seed: int,
    learnt: Tensor,
    held_out: tuple[Tensor, Tensor],
    masker: Masker,
    evaluate_at: Sequence[int] = EVALUATE_AT,
) -> list[float]:
    """Train a model; its held-out losses at these updates, of which one is the last."""
    optimiser = torch.optim.AdamW(
        (p for p in model.parameters() if p.requires_grad), lr=RATE
    )
    # The same texts and masks for every model.
    rng, losses = np.random.default_rng(seed), []
    for step in tqdm(range(1, max(evaluate_at) + 1), leave=False, disable=None):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, step / 100)
        rows = learnt[rng.integers(len(learnt), size=BATCH)]
        loss = masked_loss(model, *masker.batch(rows, rng))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step in evaluate_at:
            with torch.no_grad():
                losses.append(masked_loss(model, *held_out).item())
    return losses


def masked_loss(model: nn.Module, masked: Tensor, labels: Tensor) -> Tensor:
    """The mean over all masked pieces; only these are scored."""
    hidden = model.bert(masked)[labels >= 0]
    logits = model.mlm_head(hidden, model.bert.embeddings.token.weight)
    return F.cross_entropy(logits, labels[labels >= 0])


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    texts = [document.text for document in introductions().documents]
    tokenizer = train_tokenizer(texts, PIECES)
    masker = Masker(tokenizer)
    learnt, kept = windows(texts, tokenizer)
    held_out = masker.batch(kept, np.random.default_rng(0))
    found: dict[str, list] = {kind: [] for kind in KINDS}
    for seed in range(SEEDS):
        for kind in KINDS:
            torch.manual_seed(seed)
            model = new_model(kind)
            found[kind].append(train(model, seed, learnt, held_out, masker))
            print(kind, seed, found[kind][-1], flush=True)
    results = {"unigram": round(unigram_loss(learnt, held_out[1], PIECES), 2)}
    for kind, runs in found.items():
        results[kind] = {
            step: [round(loss, 2) for loss in losses]
            for step, losses in zip(EVALUATE_AT, zip(*runs, strict=True), strict=True)
        }
        print(kind, results[kind])
    if given.card:
        card = make_card(
            "A masked language model with and without a position table: held-out loss "
            "in nats for each masked piece, seed by seed",
            introductions().source,
            results,
            pieces=PIECES, length=LENGTH, batch=BATCH, learning_rate=RATE, seeds=SEEDS,
            model="2 layers of 64, 4 heads", evaluated_after=EVALUATE_AT,
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
