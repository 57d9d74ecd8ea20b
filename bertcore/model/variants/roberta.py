"""RoBERTa and SpanBERT: BERT's network, trained on other lessons (chapter 8).

RoBERTa (Liu et al. 2019, arXiv:1907.11692) has no pairs and segments, and counts its
positions from 2. What makes it better is how it is trained: masks drawn anew each time,
no next-sentence objective, ten times the text. Its tokenizer is byte-level BPE:
`bertcore.text.fast_tokenizer`. SpanBERT (Joshi et al. 2020, arXiv:1907.10529, section
3) hides spans and guesses them from their two ends, too; which spans:
`bertcore.text.masking`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.bert import Bert
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
    others=("xlm-roberta", "camembert"),
    body="roberta",
    keys={**BERT.keys, "pad_id": "pad_token_id", "model_type": "model_type"},
    defaults={
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    },
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


@dataclass(frozen=True)
class RobertaConfig(BertConfig):
    """The numbers of one RoBERTa; the defaults are roberta-base.

    fairseq counts positions from the padding's id + 1, so the rows of the table before
    it are never read: two, where `pad_id` is 1. `max_positions` is the longest text.
    XLM-RoBERTa and CamemBERT are the same function: their `model_type` is kept.
    """

    vocab_size: int = 50265
    segments: int = 1
    layer_norm_eps: float = 1e-5
    pad_id: int = 1
    model_type: str = "roberta"

    published = ROBERTA

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.pad_id) is not int or not 0 <= self.pad_id < self.vocab_size:
            raise ValueError(
                f"pad_id={self.pad_id!r} (pad_token_id in config.json) must be one of "
                f"the ids 0 to {self.vocab_size - 1}: positions count from the one "
                "after it"
            )

    @property
    def first(self) -> int:
        """The row of the position table that a text begins with."""
        return self.pad_id + 1

    @classmethod
    def fields_of(cls, published: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields; the rows that are never read are no positions."""
        fields = super().fields_of(published)
        pad = fields.get("pad_id", cls.pad_id)
        if isinstance(pad, int):  # if not, it is refused
            fields["max_positions"] -= pad + 1
        return fields

    def to_dict(self) -> dict[str, Any]:
        """The keys of a published `config.json`, which counts the rows never read."""
        rows = {"max_position_embeddings": self.max_positions + self.first}
        return super().to_dict() | rows | {"model_type": self.model_type}


class Roberta(Pretrained, config=RobertaConfig):
    """Ids to states."""

    def __init__(self, config: RobertaConfig, pooler: bool = True) -> None:
        super().__init__(config)
        rows = config.max_positions + config.first
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
        """The states after the last layer, `b s w`; positions count from 0.

        Padding has none, so it may stand on either side of a text.
        """
        if self.config.segments == 1:
            token_type_ids = None
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        if position_ids is None:
            real = input_ids != self.config.pad_id
            position_ids = real.cumsum(dim=1) * real - 1  # padding: the row before 0
        position_ids = position_ids + self.config.first
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


class RobertaForMaskedLM(parts.MaskedLM, config=RobertaConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: RobertaConfig) -> None:
        # The library's head has the exact form, whatever the layers have.
        head = MaskedLMHead(config.replace(gelu="none"))
        super().__init__(config, Roberta(config, pooler=False), head)


class RobertaForSequenceClassification(parts.TextClassifier, config=RobertaConfig):
    """One answer a text."""

    def __init__(self, config: RobertaConfig) -> None:
        rate = config.classifier_dropout
        head = parts.TextHead(config, nn.Tanh(), rate, first=rate)
        super().__init__(config, Roberta(config, pooler=False), head)


class RobertaForTokenClassification(parts.TokenClassifier, config=RobertaConfig):
    """One answer a token."""

    def __init__(self, config: RobertaConfig) -> None:
        head = parts.TokenHead(config, config.classifier_dropout)
        super().__init__(config, Roberta(config, pooler=False), head)


class RobertaForQuestionAnswering(parts.SpanReader, config=RobertaConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config, Roberta(config, pooler=False), parts.SpanHead(config))


LONGEST = 10  # tokens or words of a span


class SpanBoundaryHead(nn.Module):
    """A score for every piece, from the states at both ends and the place between.

    Section 3.2: two layers of dense, GELU, norm over the state before the span, the
    one after it, and a table of the places in it; then the token table.
    """

    def __init__(self, config: BertConfig, places: int = 512) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.place = nn.Embedding(places, width)
        self.first = nn.Linear(3 * width, width)
        self.first_norm = nn.LayerNorm(width, eps=eps)
        self.second = nn.Linear(width, width)
        self.second_norm = nn.LayerNorm(width, eps=eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.gelu = config.gelu

    def forward(
        self,
        left: Tensor,  # t w
        right: Tensor,  # t w
        offset: Tensor,
        token_table: Tensor,  # v w
    ) -> Tensor:
        """Logits, `t v`.

        Args:
            left, right: the states just before and just after the span, `t w`.
            offset: the place in the span, from 0, `t`.
            token_table: the encoder's own.
        """
        hidden = torch.cat([left, right, self.place(offset)], dim=-1)
        for layer, norm in (
            (self.first, self.first_norm),
            (self.second, self.second_norm),
        ):
            hidden = norm(F.gelu(layer(hidden), approximate=self.gelu))  # t w
        return F.linear(hidden, token_table, self.bias)


class SpanBertForMaskedLM(parts.MaskedLM):
    """BERT's masked LM, and a second guess from the ends of each span.

    A file keeps the first only: fine-tuning takes the body.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, Bert(config, pooler=False), MaskedLMHead(config))
        self.boundary_head = SpanBoundaryHead(config)
        self.boundary_head.apply(initialise(config.initializer_range))
