"""RoBERTa: BERT without pairs and segments, its positions counted from 2 (chapter 8).

Liu et al. 2019 (arXiv:1907.11692). What makes it better is how it is trained: masks
drawn anew each time, no next-sentence objective, ten times the text. Its tokenizer is
byte-level BPE: `bertcore.text.fast_tokenizer`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.embeddings import Embeddings
from bertcore.model.encoder import Encoder
from bertcore.model.heads import MaskedLMHead
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import Pooler
from bertcore.model.published import BERT, TABLE
from bertcore.model.variants import parts
from bertcore.model.weights import Pretrained, initialise

ROBERTA = BERT._replace(
    model_type="roberta",
    title="RoBERTa",
    body="roberta",
    names={
        **BERT.names,
        "mlm_head.dense": "lm_head.dense",
        "mlm_head.norm": "lm_head.layer_norm",
        "mlm_head": "lm_head",
        "head.dense": "classifier.dense",
        "head.text": "classifier.out_proj",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"lm_head.decoder.weight": TABLE, "lm_head.decoder.bias": "lm_head.bias"},
)
# fairseq counts from the padding's id + 1: rows 0 and 1 of the table are never read.
FIRST = 2


@dataclass(frozen=True)
class RobertaConfig(BertConfig):
    """The numbers of one RoBERTa; the defaults are roberta-base.

    `max_positions` is the longest text; the table has two rows more.
    """

    vocab_size: int = 50265
    segments: int = 1
    layer_norm_eps: float = 1e-5

    published = ROBERTA

    @classmethod
    def fields_of(cls, published: dict[str, Any]) -> dict[str, Any]:
        """Our fields; the rows that are never read are no positions."""
        fields = super().fields_of(published)
        if "max_positions" in fields:
            fields["max_positions"] -= FIRST
        return fields

    def to_dict(self) -> dict[str, Any]:
        """The keys of a published `config.json`, which counts the rows never read."""
        rows = {"max_position_embeddings": self.max_positions + FIRST}
        ids = {"bos_token_id": 0, "pad_token_id": FIRST - 1, "eos_token_id": 2}
        return super().to_dict() | rows | ids


class Roberta(Pretrained, config=RobertaConfig):
    """Ids to states."""

    def __init__(self, config: RobertaConfig, pooler: bool = True) -> None:
        super().__init__(config)
        rows = config.max_positions + FIRST
        self.embeddings = Embeddings(config.replace(max_positions=rows))
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if pooler else None
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`; positions count from 0."""
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        if position_ids is None:
            places = torch.arange(input_ids.shape[1], device=input_ids.device)
            position_ids = places.expand_as(input_ids)
        hidden = self.embeddings(input_ids, None, position_ids + FIRST)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


class RobertaForMaskedLM(parts.MaskedLM, config=RobertaConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config, Roberta(config, pooler=False), MaskedLMHead(config))


class RobertaForSequenceClassification(parts.TextClassifier, config=RobertaConfig):
    """One answer a text."""

    def __init__(self, config: RobertaConfig) -> None:
        head = parts.TextHead(config, nn.Tanh(), config.dropout, first=config.dropout)
        super().__init__(config, Roberta(config, pooler=False), head)


class RobertaForTokenClassification(parts.TokenClassifier, config=RobertaConfig):
    """One answer a token."""

    def __init__(self, config: RobertaConfig) -> None:
        head = parts.TokenHead(config, config.dropout)
        super().__init__(config, Roberta(config, pooler=False), head)


class RobertaForQuestionAnswering(parts.SpanReader, config=RobertaConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config, Roberta(config, pooler=False), parts.SpanHead(config))
