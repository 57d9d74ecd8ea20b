"""ALBERT: one layer used again and again, narrow tables, sentence order (chapter 8).

Lan et al. 2019 (arXiv:1909.11942): section 3.1 the factorised embedding, the shared
parameters and the objective of sentence order.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.encoder import Encoder
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import Pooler
from bertcore.model.published import BERT, TABLE
from bertcore.model.variants import parts
from bertcore.model.weights import Pretrained, initialise

_GROUP = "encoder.albert_layer_groups.0.albert_layers.0"
ALBERT = BERT._replace(
    model_type="albert",
    title="ALBERT",
    body="albert",
    keys={**BERT.keys, "embedding_size": "embedding_size",
          "head_dropout": "classifier_dropout_prob"},
    defaults={"hidden_size": 4096, "num_attention_heads": 64,
              "intermediate_size": 16384},
    allowed={**BERT.allowed, "num_hidden_groups": (1,), "inner_group_num": (1,)},
    names={
        "embeddings.tables.token": "embeddings.word_embeddings",
        "embeddings.tables.position": "embeddings.position_embeddings",
        "embeddings.tables.segment": "embeddings.token_type_embeddings",
        "embeddings.tables.norm": "embeddings.LayerNorm",
        "embeddings.widen": "encoder.embedding_hidden_mapping_in",
        "encoder.layers.{n}.attention.query": f"{_GROUP}.attention.query",
        "encoder.layers.{n}.attention.key": f"{_GROUP}.attention.key",
        "encoder.layers.{n}.attention.value": f"{_GROUP}.attention.value",
        "encoder.layers.{n}.attention.output": f"{_GROUP}.attention.dense",
        "encoder.layers.{n}.attention_norm": f"{_GROUP}.attention.LayerNorm",
        "encoder.layers.{n}.feedforward.widen": f"{_GROUP}.ffn",
        "encoder.layers.{n}.feedforward.narrow": f"{_GROUP}.ffn_output",
        "encoder.layers.{n}.feedforward_norm": f"{_GROUP}.full_layer_layer_norm",
        "pooler.dense": "pooler",
        "mlm_head.dense": "predictions.dense",
        "mlm_head.norm": "predictions.LayerNorm",
        "mlm_head": "predictions",
        "sop_head": "sop_classifier.classifier",
        "head.dense": "albert.pooler",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"predictions.decoder.weight": TABLE,
           "predictions.decoder.bias": "predictions.bias"},
)  # fmt: skip


@dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """The numbers of one ALBERT; the defaults are albert-base-v2.

    `embedding_size` is the width of the tables.
    """

    vocab_size: int = 30000
    dropout: float = 0.0
    attention_dropout: float = 0.0
    gelu: str = "tanh"
    embedding_size: int = 128
    head_dropout: float = 0.1

    published = ALBERT


class Albert(Pretrained, config=AlbertConfig):
    """Ids to states: as many layers as BERT, and the weights of one."""

    def __init__(self, config: AlbertConfig, pooler: bool = True) -> None:
        super().__init__(config)
        self.embeddings = parts.FactorizedEmbeddings(config, config.embedding_size)
        self.encoder = Encoder(config.replace(layers=1))
        (layer,) = self.encoder.layers
        self.encoder.layers = nn.ModuleList([layer] * config.layers)
        self.pooler = Pooler(config) if pooler else None
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`."""
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


def _masked_lm_head(config: AlbertConfig) -> nn.Module:
    return parts.FactorizedMaskedLMHead(config, config.embedding_size)


class AlbertForMaskedLM(parts.MaskedLM, config=AlbertConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config, Albert(config, pooler=False), _masked_lm_head(config))


class AlbertForPreTraining(Pretrained, config=AlbertConfig):
    """Both objectives of the paper: hidden pieces and sentence order."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.bert = Albert(config)
        self.mlm_head = _masked_lm_head(config)
        self.sop_head = nn.Linear(config.hidden_size, 2)
        for head in (self.mlm_head, self.sop_head):
            head.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Masked-LM logits `b s v`; `b 2`: 0 = in order, 1 = the other way round."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        pieces = self.mlm_head(hidden, self.bert.embeddings.token.weight)
        return pieces, self.sop_head(self.bert.pooler(hidden))


class AlbertForSequenceClassification(parts.TextClassifier, config=AlbertConfig):
    """One answer a text; the head's first matrix is the pooler's."""

    def __init__(self, config: AlbertConfig) -> None:
        head = parts.TextHead(config, nn.Tanh(), config.head_dropout)
        super().__init__(config, Albert(config, pooler=False), head)


class AlbertForTokenClassification(parts.TokenClassifier, config=AlbertConfig):
    """One answer a token."""

    def __init__(self, config: AlbertConfig) -> None:
        head = parts.TokenHead(config, config.head_dropout)
        super().__init__(config, Albert(config, pooler=False), head)


class AlbertForQuestionAnswering(parts.SpanReader, config=AlbertConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config, Albert(config, pooler=False), parts.SpanHead(config))
