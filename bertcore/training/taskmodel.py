"""Task model: a pretrained body with a new head, and what of it learns (chapter 10)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bertcore.model.config import BertConfig
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.lowrank import add_low_rank
from bertcore.model.variants.families import family_of
from bertcore.model.weights import Pretrained, published_class
from bertcore.sources import find_file, read_json
from bertcore.text.features import Reading
from bertcore.text.library_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.rows import TaskSet
from bertcore.training.families import family_with
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
    data: TaskSet, weights: Weights, tuning: Tuning, tokenizer: AnyTokenizer | None
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
    tokenizer = tokenizer or load_tokenizer(weights)
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
        weights: a folder or a hub name, of a BERT, of another family of `FAMILIES`, or
            of an encoder-decoder; a config for random weights; or a model, which is
            taken as it is.
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
        if type(weights) is not BertConfig:
            raise ValueError(
                f"a {type(weights).__name__} is not a BERT's, and for writing only a "
                "BERT becomes encoder and decoder; give a BERT"
            )
        return EncoderDecoder(weights, tied=tied)
    published = read_json(find_file(weights, "config.json"))
    if published.get("model_type") == "encoder-decoder":
        return EncoderDecoder.from_pretrained(weights)
    return EncoderDecoder.from_bert(weights, tied=tied)


def _reader(
    kind: str, weights: str | Path | BertConfig, labels: Sequence[str]
) -> Pretrained:
    changes = _labelled(kind, labels)
    if isinstance(weights, BertConfig):
        model = task_kind(kind).model_of(family_with(weights))
        return model(weights.replace(**changes))
    family = family_of(read_json(find_file(weights, "config.json")))
    model = task_kind(kind).model_of(family)
    if _has_head(model, weights, changes):
        return model.from_pretrained(weights, **changes)
    return _over(model, family.body.from_pretrained(weights), changes)


def headed(kind: str, body: Pretrained, labels: Sequence[str], seed: int) -> Pretrained:
    """A copy of a body, with a new head at the starting weights of the seed.

    Args:
        kind: of the task; writing has no head.
        body: of any family: a Bert, a Roberta, …
        labels, seed: as for `task_model`.

    Raises:
        ValueError: if there is no such kind of task, or it takes no body with a head.
    """
    found = task_kind(kind)
    if not found.part:
        raise ValueError(f"{kind} takes no head, so give weights to task_model")
    with torch.random.fork_rng(devices=[]):
        seed_for(seed, 0)
        model = found.model_of(family_with(body.config))
        return _over(model, body, _labelled(kind, labels))


def _labelled(kind: str, labels: Sequence[str]) -> dict[str, Any]:
    """The fields of a config that say what a head is for."""
    if kind == "answers":
        return {}
    names = tuple(labels) if len(labels) > 1 else None
    return {"num_labels": len(labels) or 1, "label_names": names}


def _over(
    model: type[Pretrained], body: Pretrained, changes: dict[str, Any]
) -> Pretrained:
    """A new model over the weights of a body, perhaps with or without its pooler."""
    made = model(body.config.replace(**changes))
    given = body.state_dict()
    apart = made.bert.state_dict().keys() ^ given.keys()
    if any(not name.startswith("pooler.") for name in apart):
        raise ValueError(
            f"{type(body).__name__} has other parts than the body of {model.__name__}; "
            "give one whose layers are its family's own"
        )
    made.bert.load_state_dict(given, strict=False)
    return made.eval()


def _has_head(
    model: type[Pretrained], weights: str | Path, changes: dict[str, Any]
) -> bool:
    """Whether the checkpoint is of this class, with these labels."""
    published = read_json(find_file(weights, "config.json"))
    if published.get("architectures") != [published_class(model)]:
        return False
    own = model.config_class.from_dict(published)
    names = changes.get("label_names")
    if own.label_names is not None and own.label_names != names:
        return False
    return not changes or own.num_labels == changes["num_labels"]


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
        _check_parts(model)
        add_low_rank(model, tuning.rank, seed=tuning.seed)
    if tuning.frozen:
        for name, parameter in model.bert.named_parameters():
            parameter.requires_grad_(name.startswith("pooler."))


def _check_parts(model: Pretrained) -> None:
    """ValueError if a model has not the matrices that get low-rank changes."""
    parts = {name.rpartition(".")[2] for name, _ in model.bert.encoder.named_modules()}
    lacking = {"query", "value"} - parts
    if lacking:
        raise ValueError(
            f"rank=…, but {type(model).__name__} has no matrix "
            f"{' and no '.join(sorted(lacking))} of its own; leave rank out, perhaps "
            "with frozen=True"
        )
