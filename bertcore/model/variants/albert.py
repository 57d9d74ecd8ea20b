"""ALBERT: one layer used again and again, narrow tables, sentence order (chapter 8).

Lan et al. 2019 (arXiv:1909.11942): section 3.1 the factorised embedding, the shared
parameters and the objective of sentence order.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.encoder import Encoder
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import Pooler
from bertcore.model.variants import names, parts
from bertcore.model.weights import Pretrained


@dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """The numbers of one ALBERT; the defaults are albert-base-v2.

    `embedding_size` is the width of the tables, `head_dropout` is before a classifier.
    """

    vocab_size: int = 30000
    dropout: float = 0.0
    attention_dropout: float = 0.0
    gelu: str = "tanh"
    embedding_size: int = 128
    head_dropout: float = 0.1

    published = names.ALBERT


class Albert(Pretrained, config=AlbertConfig):
    """Ids to states: as many layers as BERT, and the weights of one."""

    def __init__(self, config: AlbertConfig, pooler: bool = True) -> None:
        super().__init__(config)
        self.embeddings = parts.NarrowEmbeddings(config, config.embedding_size)
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
        """As `Bert.forward`: the states after the last layer, `b s w`."""
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


def _masked_lm_head(config: AlbertConfig) -> nn.Module:
    return parts.NarrowMaskedLMHead(config, config.embedding_size)


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
