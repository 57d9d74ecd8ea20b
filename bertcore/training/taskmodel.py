"""Task model: a pretrained body with a new head, and what of it learns (chapter 10)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.lowrank import add_low_rank
from bertcore.model.tasks import BertForQuestionAnswering
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file, read_json
from bertcore.text.features import Reading
from bertcore.text.rows import TaskSet
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.loop import seed_for
from bertcore.training.predict import Predictor
from bertcore.training.taskdata import are_pairs
from bertcore.training.tasks import checked_model, task_kind
from bertcore.training.tuning import Tuning
from bertcore.training.writing import WritingObjective

LENGTH = 128  # tokens of a text, if nothing else is said
TARGET = 64  # of what is written

Weights = str | Path | BertConfig | Pretrained


def task_predictor(
    data: TaskSet, weights: Weights, tuning: Tuning, tokenizer: Tokenizer | None
) -> Predictor:
    """What a run begins with: the model, ready to learn, and how it reads.

    Args:
        data: its kind, labels and rows to train on.
        weights: as for `task_model`.
        tuning: how it will be trained.
        tokenizer: by default the one that the weights came with.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if data, weights and tuning do not fit together.
    """
    tuning.check_kind(data.kind)
    if tokenizer is None and isinstance(weights, BertConfig | Pretrained):
        what = "random weights" if isinstance(weights, BertConfig) else "a built model"
        raise ValueError(f"{what} came with no tokenizer; give tokenizer=…")
    tokenizer = tokenizer or Tokenizer.from_pretrained(weights)
    model = task_model(data.kind, weights, data.labels, tuning.seed, tuning.tied)
    length = tuning.length or min(LENGTH, model.config.max_positions)
    reading, objective = Reading(tokenizer, length, tuning.stride), None
    if isinstance(model, EncoderDecoder):
        target = min(TARGET, model.decoder.config.max_positions)
        reading = reading._replace(target=tuning.target_length or target)
        objective = WritingObjective(model, tuning.label_smoothing)
    restrict(model, tuning)
    pairs = are_pairs(data)
    return Predictor(model, data.kind, reading, data.labels, pairs, objective)


def task_model(
    kind: str,
    weights: Weights,
    labels: Sequence[str],
    seed: int,
    tied: bool = False,
) -> Pretrained:
    """A model with a new head, at the starting weights of the seed.

    A head that the checkpoint brings is kept if it is of the same kind and has the
    same labels in the same order, or as many without names; otherwise only the body
    is taken. For writing, a BERT becomes encoder and decoder.

    Args:
        kind: of the task.
        weights: a folder or a hub name, of a BERT or an encoder-decoder; a config for
            random weights; or a model, which is taken as it is.
        labels: the classes or tags; none means one number.
        seed: of what starts from random weights.
        tied: whether encoder and decoder share their weights.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if their files are damaged, or they are not what the kind takes.
    """
    if isinstance(weights, Pretrained):
        made = checked_model(kind, weights)
    else:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*start from random weights")
            seed_for(seed, 0)
            if kind == "writing":
                made = _writer(weights, tied)
            else:
                made = _reader(kind, weights, labels)
    if tied and not made.tied:
        raise ValueError(
            "tied=True, but these are the weights of an encoder-decoder whose parts "
            "share nothing; leave tied out, or start from a BERT"
        )
    return made


def _writer(weights: str | Path | BertConfig, tied: bool) -> EncoderDecoder:
    if isinstance(weights, BertConfig):
        return EncoderDecoder(weights, tied=tied)
    published = read_json(find_file(weights, "config.json"))
    if published.get("model_type") == "encoder-decoder":
        return EncoderDecoder.from_pretrained(weights)
    return EncoderDecoder.from_bert(weights, tied=tied)


def _reader(
    kind: str, weights: str | Path | BertConfig, labels: Sequence[str]
) -> Pretrained:
    model = task_kind(kind).model
    changes: dict[str, Any] = {}
    if kind != "answers":
        names = tuple(labels) if len(labels) > 1 else None
        changes = {"num_labels": len(labels) or 1, "label_names": names}
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
    """What does not learn: a frozen body, or all of it but its low-rank changes.

    Of an encoder-decoder it is a frozen encoder, or one that nobody looks at.
    """
    if isinstance(model, EncoderDecoder):
        written = set() if tuning.frozen else set(model.decoder.parameters())
        if tuning.frozen or not model.decoder.cross:
            for parameter in set(model.encoder.parameters()) - written:
                parameter.requires_grad_(False)
        return
    if tuning.rank is not None:
        add_low_rank(model, tuning.rank, seed=tuning.seed)
    if tuning.frozen:
        for part in (model.bert.embeddings, model.bert.encoder):
            part.requires_grad_(False)
