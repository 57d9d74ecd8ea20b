"""A small run on tales, the same in every test and in every process that one starts."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bertcore import BertConfig, BertForMaskedLM, BertForPreTraining, Tokenizer
from bertcore.text.store import Store
from bertcore.text.tales import tales
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.loop import ComputeSettings, Record
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import Recipe

CPU = ComputeSettings(torch.device("cpu"))


@cache
def tokenizer() -> Tokenizer:
    return train_tokenizer([sentence for tale in tales(80) for sentence in tale], 250)


@cache
def store(seed: int = 0, count: int = 80) -> Store:
    return Store.of(tales(count, seed), tokenizer())


def config(**changes: Any) -> BertConfig:
    """Two narrow layers, without dropout."""
    sizes: dict[str, Any] = dict(
        vocab_size=len(tokenizer()),
        hidden_size=24,
        layers=2,
        heads=3,
        feedforward_size=40,
        max_positions=32,
        dropout=0.0,
        attention_dropout=0.0,
    )
    return BertConfig(**{**sizes, **changes})


def model(recipe: Recipe, **changes: Any) -> BertForPreTraining | BertForMaskedLM:
    torch.manual_seed(recipe.seed)
    kind = BertForPreTraining if recipe.pairs else BertForMaskedLM
    return kind(config(**changes))


def recipe(**changes: Any) -> Recipe:
    """Pairs in four passes an update, no warm-up: each update moves the weights."""
    values = dict(steps=6, batch=16, pass_size=4, length=32, warmup=0.0, seed=3)
    return Recipe(**{**values, "learning_rate": 3e-3, **changes})


def run(
    recipe: Recipe,
    folder: str | Path | None = None,
    sizes: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Pretraining:
    """A run of a new model, or what goes on from the folder's checkpoint."""
    arguments = {"settings": CPU, "save_every": 0.0, **changes}
    texts = arguments.pop("store", store())
    network = arguments.pop("model", None) or model(recipe, **(sizes or {}))
    return Pretraining(network, tokenizer(), texts, recipe, folder, **arguments)


def after(run: Pretraining, updates: int) -> list[Record]:
    """The records of so many updates; then the loop is left."""
    return list(islice(run.records(), updates))


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def digest(module: nn.Module) -> str:
    """One SHA-256 of all weights."""
    found = sha256()
    for name, value in module.named_parameters():
        found.update(name.encode() + value.detach().numpy().tobytes())
    return found.hexdigest()


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The length of the difference of all weights, relative to theirs."""
    assert one.keys() == other.keys()
    apart = sum((one[n].double() - other[n].double()).square().sum() for n in one)
    return (apart / sum(other[n].double().square().sum() for n in one)).sqrt().item()
