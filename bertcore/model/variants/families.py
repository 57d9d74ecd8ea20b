"""Families: each variant's classes under its name in config.json (chapter 8)."""

from typing import Any, NamedTuple

from bertcore.model import tasks
from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.variants import (
    albert,
    deberta,
    distilbert,
    electra,
    modernbert,
    roberta,
)
from bertcore.model.weights import Pretrained


class Family(NamedTuple):
    """The classes of a family: its config, its body, and the body with each head."""

    name: str
    config: type[BertConfig]
    body: type[Pretrained]
    masked_lm: type[Pretrained]
    classification: type[Pretrained]
    tagging: type[Pretrained]
    answers: type[Pretrained]


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "bert",
            BertConfig,
            Bert,
            tasks.BertForMaskedLM,
            tasks.BertForSequenceClassification,
            tasks.BertForTokenClassification,
            tasks.BertForQuestionAnswering,
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
