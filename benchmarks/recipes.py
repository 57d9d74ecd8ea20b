"""What does each change to BERT's recipe bring, in the same time on the same machine?

    python benchmarks/recipes.py                          tales, on this machine
    python benchmarks/recipes.py --data FOLDER            what `bertcore prepare` made
    python benchmarks/recipes.py --seconds 60 --seeds 3   longer, and more often
    python benchmarks/recipes.py --card FILE.json         and record the run

The first run is BERT's own recipe, with its schedule tied to the time. The second is
the reference: the same without pairs. Each of the others changes one thing in the
reference; Muon brings corrected AdamW with it, for what is no matrix of a layer. The
last takes everything that `FAST` takes, and Muon. All are asked the
same, at 15 % masks: the loss is that of held-out texts at the end of the time, in nats.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from measure import record, spread
from torch import Tensor, nn

from bertcore import BertConfig, BertForMaskedLM, BertForPreTraining, Tokenizer
from bertcore.model.attention import Attention
from bertcore.model.variants.parts import FinalNorm, PreNormLayer, with_layers
from bertcore.model.weights import Pretrained
from bertcore.text.pairs import window_examples
from bertcore.text.prepare import find_texts
from bertcore.text.store import Store
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.devices import device_name, find_device, precision_for
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import ComputeSettings, seed_for
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import FAITHFUL, FAST, PLANS, Recipe


class Version(NamedTuple):
    """A recipe, and the model that it trains."""

    recipe: Recipe
    model: Callable[[BertConfig], Pretrained] = BertForMaskedLM
    dropout: float = 0.1


def versions(faithful: Recipe, fast: Recipe) -> dict[str, Version]:
    """One change each."""
    alone = faithful.replace(pairs=False)
    return {
        "BERT's recipe": Version(faithful, BertForPreTraining),
        "without pairs (the reference)": Version(alone),
        "no dropout": Version(alone, dropout=0.0),
        "30 % masks": Version(alone.replace(mask_rate=0.3)),
        "AdamW, corrected": Version(alone.replace(optimiser="adamw")),
        "learning rate x 10": Version(
            alone.replace(learning_rate=alone.learning_rate * 10)
        ),
        "norm first": Version(alone, pre_norm),
        "gated feed-forward": Version(alone, gated),
        "Muon for the matrices": Version(alone.replace(optimiser="muon")),
        "the fast recipe": Version(fast, dropout=0.0),
    }


class GatedFeedForward(nn.Module):
    """Up-projection twice, one as a gate for the other, down-projection (GEGLU).

    Shazeer 2020 (arXiv:2002.05202), equation 6. The inner width is two thirds, so there
    are as many parameters.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        inner = config.feedforward_size * 2 // 3 // 8 * 8
        self.widen = nn.Linear(config.hidden_size, inner)
        self.gate = nn.Linear(config.hidden_size, inner)
        self.narrow = nn.Linear(inner, config.hidden_size)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b s w`."""
        gate = F.gelu(self.gate(hidden), approximate=self.gelu)
        return self.narrow(gate * self.widen(hidden))


class GatedLayer(nn.Module):
    """BERT's layer with a gated feed-forward part."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = GatedFeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        attended = self.dropout(self.attention(hidden, allowed))
        hidden = self.attention_norm(hidden + attended)
        changed = self.dropout(self.feedforward(hidden))
        return self.feedforward_norm(hidden + changed)


def pre_norm(config: BertConfig) -> BertForMaskedLM:
    """BERT with its norms first."""
    return with_layers(config, PreNormLayer, FinalNorm)


def gated(config: BertConfig) -> BertForMaskedLM:
    """BERT with gates."""
    return with_layers(config, GatedLayer)


class Texts:
    """Vocabulary and stores: prepared ones, or tales."""

    def __init__(self, folder: str | None) -> None:
        self.plan = PLANS["mini" if folder else "minute"]
        if folder:
            base = Path(folder)
            self.tokenizer = Tokenizer.from_pretrained(base / "vocabulary")
            self.train = Store.open(base / "train", self.tokenizer)
            self.held_out = Store.open(base / "held-out", self.tokenizer)
        else:
            texts = find_texts(self.plan.texts)
            lines = [sentence for tale in texts.train for sentence in tale]
            self.tokenizer = train_tokenizer(lines, self.plan.pieces)
            self.train = Store.of(texts.train, self.tokenizer)
            self.held_out = Store.of(texts.held_out, self.tokenizer)

    def source(self) -> str:
        """Where they are from."""
        return self.train.manifest.get("source", "tales made by rules")


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a folder that `bertcore prepare` has written")
    parser.add_argument("--seconds", type=float, default=20.0, help="(%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--batch", type=int, help="examples in an update")
    parser.add_argument("--card", help="a JSON file to record the run in")
    given = parser.parse_args()
    texts, device = Texts(given.data), find_device()
    settings = ComputeSettings(
        device, precision_for(device), workers=8 if device.type == "cuda" else 0
    )
    own = texts.plan.recipe
    size = given.batch or own.batch
    common = {"seconds": given.seconds, "length": own.length, "batch": size}
    rate = own.learning_rate if own.optimiser == "adamw" else FAST.learning_rate
    faithful = FAITHFUL.replace(**common, learning_rate=rate / 10, warmup=own.warmup)
    fast = FAST.replace(**common, optimiser="muon", learning_rate=rate)
    config = texts.plan.config(len(texts.tokenizer))
    asked = HeldOut(
        texts.held_out,
        window_examples(texts.held_out, own.length),
        texts.tokenizer,
    )
    rounds, updates = defaultdict(list), {}
    for seed in range(given.seeds):
        for name, version in versions(faithful, fast).items():
            seed_for(seed, 0)
            rates = {"dropout": version.dropout, "attention_dropout": version.dropout}
            run = Pretraining(
                version.model(config.replace(**rates)),
                texts.tokenizer,
                texts.train,
                version.recipe.replace(seed=seed),
                settings=replace(settings),
            )
            for _ in run.records():
                pass
            quality = asked.ask(run.model, device)
            rounds[name].append(quality.masked_lm)
            updates[name] = run.progress.step
            print(f"{name}: {quality.masked_lm:.3f}, {run.progress.step:,} updates")
    results = spread(rounds)
    print(f"{'unigram':46}{'':8}{asked.unigram(texts.train):8.2f}")
    record(
        given.card,
        "Held-out loss after the same time, one change to BERT's recipe at a time; "
        "minimum, median and maximum over the seeds",
        texts.source(),
        results | {"unigram": round(asked.unigram(texts.train), 3)},
        ("torch",),
        device_name(device),
        seconds=given.seconds,
        seeds=given.seeds,
        updates=updates,
        model=config.to_dict(),
        faithful=faithful.to_dict(),
        fast=fast.to_dict(),
        precision=str(settings.precision).removeprefix("torch."),
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
