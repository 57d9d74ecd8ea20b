"""Task model: a pretrained body with a new head, and what of it learns (chapter 10)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.lowrank import add_low_rank
from bertcore.model.tasks import BertForQuestionAnswering
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file, read_json
from bertcore.training.loop import seed_for
from bertcore.training.tasks import task_kind
from bertcore.training.tuning import Tuning


def task_model(
    kind: str, weights: str | Path | BertConfig, labels: Sequence[str], seed: int
) -> Pretrained:
    """A model with a new head, at the starting weights of the seed.

    A head that the checkpoint brings is kept if it is of the same kind and has the
    same labels in the same order, or as many without names; otherwise only the body
    is taken.

    Args:
        kind: of the task.
        weights: a folder, a hub name, or a config for random weights.
        labels: the classes or tags; none means one number.
        seed: of what starts from random weights.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if their files are damaged.
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
        if _has_head(model, weights, changes):
            return model.from_pretrained(weights, **changes)
        body = Bert.from_pretrained(weights)
        made = model(body.config.replace(**changes))
    made.bert.load_state_dict(body.state_dict(), strict=False)  # perhaps no pooler
    return made.eval()


def _has_head(
    model: type[Pretrained], weights: str | Path, changes: dict[str, Any]
) -> bool:
    """Whether the checkpoint is of this class, with these labels."""
    published = read_json(find_file(weights, "config.json"))
    if published.get("architectures") != [model.__name__]:
        return False
    own = BertConfig.from_dict(published)
    names = changes.get("label_names")
    if own.label_names is not None and own.label_names != names:
        return False
    return model is BertForQuestionAnswering or own.num_labels == changes["num_labels"]


def restrict(model: Pretrained, tuning: Tuning) -> None:
    """What does not learn: a frozen body, or all of it but its low-rank changes."""
    if tuning.rank is not None:
        add_low_rank(model, tuning.rank, seed=tuning.seed)
    if tuning.frozen:
        for part in (model.bert.embeddings, model.bert.encoder):
            part.requires_grad_(False)
