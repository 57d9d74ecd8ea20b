"""Families: each variant's classes under its name in config.json (chapter 8)."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from bertcore.files import read_json
from bertcore.model import bert
from bertcore.model.bert import BertForMaskedLM
from bertcore.model.config import BertConfig
from bertcore.model.variants import (
    albert,
    deberta,
    distilbert,
    electra,
    modernbert,
    parts,
    roberta,
)
from bertcore.model.variants.electra import ElectraPair
from bertcore.model.variants.roberta import SpanBertForMaskedLM
from bertcore.model.weights import Pretrained, published_class
from bertcore.sources import describe, find_file, many


class Family(NamedTuple):
    """The classes of a family: its config, its body, and the body with each head.

    `pretraining` is the one with all that the family was trained with, if there is one.
    """

    config: type[BertConfig]
    body: type[Pretrained]
    masked_lm: type[Pretrained]
    classification: type[Pretrained]
    tagging: type[Pretrained]
    answers: type[Pretrained]
    pretraining: type[Pretrained] | None = None

    @property
    def name(self) -> str:
        """What `model_type` in a config.json calls it."""
        return self.config.published.model_type

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.config.published.title


def family_with(config: BertConfig) -> Family:
    """The family whose models are built from a config of this class, or ValueError."""
    for family in FAMILIES.values():
        if type(config) is family.config:
            return family
    raise ValueError(
        f"no family has a {type(config).__name__}; there are {', '.join(FAMILIES)}"
    )


def config_from(published: dict[str, Any]) -> BertConfig:
    """The config of any family from the keys of a published `config.json`."""
    return family_of(published).config.from_dict(published)


def config_like(name: str, bert: BertConfig) -> BertConfig:
    """The config of a family with the sizes of a BERT.

    What the family does not share keeps its own value, or one that is to its sizes as
    the published model's is.

    Raises:
        ValueError: if there is no such family.

    >>> config_like("albert", BertConfig.preset("mini")).embedding_size
    128
    """
    if name not in FAMILIES:
        raise ValueError(f"no family {name!r}; there are {', '.join(FAMILIES)}")
    if name == "bert":
        return bert
    fields = asdict(bert)
    for field in ("segments", "gelu", "layer_norm_eps", "head_dropout"):
        fields.pop(field)
    dropout, width = bert.dropout, bert.hidden_size
    # Lan et al. 2019, table 3: tables of 128 at most. DeBERTa has 256 buckets of
    # distances for 512 positions. A gated unit has three matrices where another has
    # two: at two thirds of the width there are as many parameters.
    fields |= {
        "distilbert": {"layers": max(1, bert.layers // 2), "text_dropout": dropout},
        "albert": {
            "embedding_size": min(128, width // 2),
            "head_dropout": dropout,
            "segments": bert.segments,
        },
        "electra": {"embedding_size": width},
        "deberta-v2": {"position_buckets": max(2, bert.max_positions // 2)},
        "modernbert": {"feedforward_size": 2 * bert.feedforward_size // 3},
    }.get(name, {})
    return FAMILIES[name].config(**fields)


def masked_lm_classes(family: Family) -> dict[str, type[Pretrained]]:
    """Those with a head for masked pieces, by their names in `config.json`."""
    kinds = family.pretraining, family.masked_lm
    return {
        published_class(k, name): k
        for name in (family.name, *family.config.published.others)
        # ELECTRA's own model is a discriminator: it has one head, of another kind.
        for k in kinds
        if k is not None and not issubclass(k, parts.Headed)
    }


def masked_lm_of(model: nn.Module) -> Pretrained:
    """The part of a trained model that says which pieces belong where, to be saved.

    Of generator and discriminator it is the generator; of SpanBERT a BertForMaskedLM,
    since files keep no second head. Weights are shared with the model.
    """
    if isinstance(model, ElectraPair):
        return model.generator
    if not isinstance(model, SpanBertForMaskedLM):
        return model
    with torch.device("meta"):  # both parts are replaced: draw no starting weights
        plain = BertForMaskedLM(model.config)
    plain.bert, plain.mlm_head = model.bert, model.mlm_head
    plain.training = model.training
    return plain


def _in_module(module: ModuleType, prefix: str) -> Family:
    """The classes of a module, whose names begin alike."""
    return Family(
        config=getattr(module, f"{prefix}Config"),
        body=getattr(module, prefix),
        masked_lm=getattr(module, f"{prefix}ForMaskedLM"),
        classification=getattr(module, f"{prefix}ForSequenceClassification"),
        tagging=getattr(module, f"{prefix}ForTokenClassification"),
        answers=getattr(module, f"{prefix}ForQuestionAnswering"),
        pretraining=getattr(module, f"{prefix}ForPreTraining", None),
    )


FAMILIES = {
    family.name: family
    for family in (
        _in_module(bert, "Bert"),
        _in_module(roberta, "Roberta"),
        _in_module(albert, "Albert"),
        _in_module(distilbert, "DistilBert"),
        _in_module(electra, "Electra"),
        _in_module(deberta, "DebertaV2"),
        _in_module(modernbert, "ModernBert"),
    )
}


def family_of(published: dict[str, Any]) -> Family:
    """The family that a `config.json` names, or ValueError; without a name, BERT."""
    name = published.get("model_type", "bert")
    known = {
        other: family
        for family in FAMILIES.values()
        for other in (family.name, *family.config.published.others)
    }
    if name not in known:
        raise ValueError(
            f"config.json says model_type={name!r}; bertcore reads {', '.join(known)}"
        )
    return known[name]


def family_at(folder_or_name: str | Path) -> Family:
    """The family of a checkpoint.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it is of none of ours.
    """
    published = read_json(find_file(folder_or_name, "config.json"))
    try:
        return family_of(published)
    except ValueError as error:
        raise ValueError(f"{folder_or_name}: {error}") from error


def load_model(
    folder_or_name: str | Path,
    head: Callable[[Family], type[Pretrained]],
    **changes: Any,
) -> Pretrained:
    """The model of a checkpoint, of whatever family.

    Args:
        folder_or_name: a folder, or a name in a package or on the hub.
        head: picks the class of a family, as `lambda family: family.body` does.
        changes: fields of the config to change.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it is of none of our families, or its files are damaged.
    """
    return head(family_at(folder_or_name)).from_pretrained(folder_or_name, **changes)


def in_words(config: BertConfig) -> str:
    """The family and the sizes of a model.

    >>> in_words(BertConfig.preset("mini"))
    'BERT: 4 layers of 256, 4 heads, 30,522 pieces, texts of up to 512 tokens'
    """
    return (
        f"{config.published.title}: {many(config.layers, 'layer')} of "
        f"{config.hidden_size}, {many(config.heads, 'head')}, "
        f"{config.vocab_size:,} pieces, texts of up to {config.max_positions:,} tokens"
    )


def describe_model(folder_or_name: str | Path) -> str:
    """What a checkpoint holds, where from, and its sizes; no weights are read."""
    published = read_json(find_file(folder_or_name, "config.json"))
    kind = (published.get("architectures") or ["a model"])[0]
    source = f"{kind}, from {describe(folder_or_name)}"
    if "encoder" in published:  # of an encoder-decoder, whose parts are BERTs
        sizes = in_words(BertConfig.from_dict(published["encoder"]))
        return f"{source}; each of its two parts is a {sizes}"
    return f"{source}; {in_words(config_from(published))}"
