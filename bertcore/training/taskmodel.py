"""Task model: a pretrained body with a new head, and what of it learns (chapter 10)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bertcore.model.config import BertConfig
from bertcore.model.lowrank import add_low_rank
from bertcore.model.weights import Pretrained
from bertcore.training.loop import seed_for
from bertcore.training.tasks import task_kind
from bertcore.training.tuning import Tuning


def task_model(
    kind: str, weights: str | Path | BertConfig, labels: Sequence[str], seed: int
) -> Pretrained:
    """A model with a new head, at the starting weights of the seed.

    A head that the checkpoint brings, of the same kind and size, is kept.

    Args:
        kind: of the task.
        weights: a folder, a hub name, or a config for random weights.
        labels: the classes or tags; none means one number.
        seed: of what starts from random weights.
    """
    model = task_kind(kind).model
    changes: dict[str, Any] = {}
    if kind != "answers":
        names = tuple(labels) if len(labels) > 1 else None
        changes = {"num_labels": len(labels) or 1, "label_names": names}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*start from random weights")
        seed_for(seed, 0)
        if isinstance(weights, BertConfig):
            return model(weights.replace(**changes))
        return model.from_pretrained(weights, **changes)


def restrict(model: Pretrained, tuning: Tuning) -> None:
    """What does not learn: a frozen body, or all of it but its low-rank changes."""
    if tuning.rank is not None:
        add_low_rank(model, tuning.rank)
    if tuning.frozen:
        for part in (model.bert.embeddings, model.bert.encoder):
            part.requires_grad_(False)
