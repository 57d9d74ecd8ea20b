"""DistilBERT: half the layers, taught by all of them (chapter 8).

Sanh et al. 2019 (arXiv:1910.01108). No segments and no pooler; each layer begins as
every second one of its teacher's. The teaching: `bertcore.training.distillation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.encoder import Encoder
from bertcore.model.heads import MaskedLMHead
from bertcore.model.inputs import check_inputs
from bertcore.model.published import BERT, KEYS, TABLE
from bertcore.model.variants import parts
from bertcore.model.weights import Pretrained, initialise

DISTILBERT = BERT._replace(
    model_type="distilbert",
    title="DistilBERT",
    body="distilbert",
    keys={
        "vocab_size": "vocab_size",
        "hidden_size": "dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "feedforward_size": "hidden_dim",
        "max_positions": "max_position_embeddings",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
        "text_dropout": "seq_classif_dropout",
        "span_dropout": "qa_dropout",
    },
    # With sinusoids the positions are a table, too, which files hold.
    allowed={},
    activation="activation",
    names={
        "embeddings.token": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "encoder.layers.{n}.attention.query": "transformer.layer.{n}.attention.q_lin",
        "encoder.layers.{n}.attention.key": "transformer.layer.{n}.attention.k_lin",
        "encoder.layers.{n}.attention.value": "transformer.layer.{n}.attention.v_lin",
        "encoder.layers.{n}.attention.output": (
            "transformer.layer.{n}.attention.out_lin"
        ),
        "encoder.layers.{n}.attention_norm": "transformer.layer.{n}.sa_layer_norm",
        "encoder.layers.{n}.feedforward.widen": "transformer.layer.{n}.ffn.lin1",
        "encoder.layers.{n}.feedforward.narrow": "transformer.layer.{n}.ffn.lin2",
        "encoder.layers.{n}.feedforward_norm": (
            "transformer.layer.{n}.output_layer_norm"
        ),
        "mlm_head.dense": "vocab_transform",
        "mlm_head.norm": "vocab_layer_norm",
        "mlm_head": "vocab_projector",
        "head.dense": "pre_classifier",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"vocab_projector.weight": TABLE},
    needed=("embeddings.", "transformer."),
)


@dataclass(frozen=True)
class DistilBertConfig(BertConfig):
    """The numbers of one DistilBERT; the defaults are distilbert-base-uncased.

    `text_dropout` and `span_dropout` are before the classifier of a text, and before
    the head that finds an answer.
    """

    layers: int = 6
    segments: int = 1
    text_dropout: float = 0.2
    span_dropout: float = 0.1

    published = DISTILBERT

    @classmethod
    def fields_of(cls, published: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields; as in the library, BERT's names of three sizes come first."""
        fields = super().fields_of(published)
        sizes = ("hidden_size", "layers", "heads")
        return fields | {f: published[KEYS[f]] for f in sizes if KEYS[f] in published}


class DistilBertEmbeddings(nn.Module):
    """BERT's embeddings without the table of segments."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_positions, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Ids to vectors, `b s w`; segments have no table here."""
        if position_ids is None:
            length = input_ids.shape[1]
            position_ids = torch.arange(length, device=input_ids.device)[None]
        summed = self.token(input_ids) + self.position(position_ids)  # b s w
        return self.dropout(self.norm(summed))  # b s w


class DistilBert(Pretrained, config=DistilBertConfig):
    """Ids to states."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.embeddings = DistilBertEmbeddings(config)
        self.encoder = Encoder(config)
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`; segments have no table here."""
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        hidden = self.embeddings(input_ids, None, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


class DistilBertForMaskedLM(parts.MaskedLM, config=DistilBertConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config, DistilBert(config), MaskedLMHead(config))


class DistilBertForSequenceClassification(
    parts.TextClassifier, config=DistilBertConfig
):
    """One answer a text."""

    def __init__(self, config: DistilBertConfig) -> None:
        head = parts.TextHead(config, nn.ReLU(), config.text_dropout)
        super().__init__(config, DistilBert(config), head)


class DistilBertForTokenClassification(parts.TokenClassifier, config=DistilBertConfig):
    """One answer a token."""

    def __init__(self, config: DistilBertConfig) -> None:
        head = parts.TokenHead(config, config.dropout)
        super().__init__(config, DistilBert(config), head)


class DistilBertForQuestionAnswering(parts.SpanReader, config=DistilBertConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: DistilBertConfig) -> None:
        head = parts.SpanHead(config, config.span_dropout)
        super().__init__(config, DistilBert(config), head)
