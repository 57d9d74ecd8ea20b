"""Families: each variant's classes under its name in config.json (chapter 8)."""

from typing import Any, NamedTuple

import torch
from torch import nn

from bertcore.model import bert
from bertcore.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertcore.model.config import BertConfig
from bertcore.model.variants import (
    albert,
    deberta,
    distilbert,
    electra,
    modernbert,
    roberta,
)
from bertcore.model.variants.albert import AlbertForPreTraining
from bertcore.model.variants.electra import ElectraPair
from bertcore.model.variants.spanbert import SpanBertForMaskedLM
from bertcore.model.weights import Pretrained, published_class

OF_PAIRS = BertForPreTraining, AlbertForPreTraining  # with a second head, for pairs


class Family(NamedTuple):
    """The classes of a family: its config, its body, and the body with each head."""

    name: str
    config: type[BertConfig]
    body: type[Pretrained]
    masked_lm: type[Pretrained]
    classification: type[Pretrained]
    tagging: type[Pretrained]
    answers: type[Pretrained]


def family_with(config: BertConfig) -> Family:
    """The family whose models are built from a config of this class.

    Raises:
        ValueError: if there is none.
    """
    for family in FAMILIES.values():
        if type(config) is family.config:
            return family
    raise ValueError(
        f"no family has a {type(config).__name__}; there are {', '.join(FAMILIES)}"
    )


def config_from(published: dict[str, Any]) -> BertConfig:
    """The config of any family from the keys of a published `config.json`."""
    return family_of(published).config.from_dict(published)


def masked_lm_classes(family: Family) -> dict[str, type[Pretrained]]:
    """Those with a head for masked pieces, by their names in `config.json`."""
    both = [k for k in OF_PAIRS if k.config_class is family.config]
    return {published_class(kind): kind for kind in (*both, family.masked_lm)}


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


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "bert",
            BertConfig,
            Bert,
            bert.BertForMaskedLM,
            bert.BertForSequenceClassification,
            bert.BertForTokenClassification,
            bert.BertForQuestionAnswering,
        ),
        Family(
            "roberta",
            roberta.RobertaConfig,
            roberta.Roberta,
            roberta.RobertaForMaskedLM,
            roberta.RobertaForSequenceClassification,
            roberta.RobertaForTokenClassification,
            roberta.RobertaForQuestionAnswering,
        ),
        Family(
            "albert",
            albert.AlbertConfig,
            albert.Albert,
            albert.AlbertForMaskedLM,
            albert.AlbertForSequenceClassification,
            albert.AlbertForTokenClassification,
            albert.AlbertForQuestionAnswering,
        ),
        Family(
            "distilbert",
            distilbert.DistilBertConfig,
            distilbert.DistilBert,
            distilbert.DistilBertForMaskedLM,
            distilbert.DistilBertForSequenceClassification,
            distilbert.DistilBertForTokenClassification,
            distilbert.DistilBertForQuestionAnswering,
        ),
        Family(
            "electra",
            electra.ElectraConfig,
            electra.Electra,
            electra.ElectraForMaskedLM,
            electra.ElectraForSequenceClassification,
            electra.ElectraForTokenClassification,
            electra.ElectraForQuestionAnswering,
        ),
        Family(
            "deberta-v2",
            deberta.DebertaV2Config,
            deberta.DebertaV2,
            deberta.DebertaV2ForMaskedLM,
            deberta.DebertaV2ForSequenceClassification,
            deberta.DebertaV2ForTokenClassification,
            deberta.DebertaV2ForQuestionAnswering,
        ),
        Family(
            "modernbert",
            modernbert.ModernBertConfig,
            modernbert.ModernBert,
            modernbert.ModernBertForMaskedLM,
            modernbert.ModernBertForSequenceClassification,
            modernbert.ModernBertForTokenClassification,
            modernbert.ModernBertForQuestionAnswering,
        ),
    )
}


def family_of(published: dict[str, Any]) -> Family:
    """The family that a `config.json` names; a file that names none is BERT's.

    Raises:
        ValueError: if it is none of ours.
    """
    name = published.get("model_type", "bert")
    if name not in FAMILIES:
        raise ValueError(
            f"config.json says model_type={name!r}; bertcore reads "
            f"{', '.join(FAMILIES)}"
        )
    return FAMILIES[name]
