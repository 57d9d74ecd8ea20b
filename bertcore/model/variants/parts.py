"""Parts: embeddings, heads and layers that variants share (chapters 8 and 8b)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.attention import Attention
from bertcore.model.bert import BertForMaskedLM
from bertcore.model.config import BertConfig
from bertcore.model.embeddings import Embeddings
from bertcore.model.feedforward import FeedForward
from bertcore.model.weights import Pretrained, initialise


class FactorizedEmbeddings(nn.Module):
    """BERT's embeddings in narrow tables, then one matrix to the encoder's width.

    Lan et al. 2020, ALBERT (arXiv:1909.11942), section 3.1: v e + e w numbers for the
    tokens in place of v w.
    """

    def __init__(self, config: BertConfig, narrow: int) -> None:
        super().__init__()
        self.tables = Embeddings(config.replace(hidden_size=narrow, heads=1))
        self.widen = nn.Linear(narrow, config.hidden_size)

    @property
    def token(self) -> nn.Embedding:
        """The table of the tokens, `v e`."""
        return self.tables.token

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Ids to vectors, `b s w`."""
        return self.widen(self.tables(input_ids, token_type_ids, position_ids))  # b s w


class TokenTable(nn.Module):
    """What each piece is, normalised; where it stands comes later."""

    def __init__(self, config: BertConfig, bias: bool = True) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.token = nn.Embedding(config.vocab_size, width)
        self.norm = nn.LayerNorm(width, eps=eps, bias=bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids to vectors, `b s w`."""
        return self.dropout(self.norm(self.token(input_ids)))  # b s w


class FactorizedMaskedLMHead(nn.Module):
    """BERT's masked-LM head over a narrow token table, `v e`."""

    def __init__(self, config: BertConfig, narrow: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, narrow)
        self.norm = nn.LayerNorm(narrow, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.gelu = config.gelu

    def forward(self, hidden: Tensor, token_table: Tensor) -> Tensor:
        """Logits over the vocabulary: `… w` to `… v`."""
        changed = F.gelu(self.dense(hidden), approximate=self.gelu)
        return F.linear(self.norm(changed), token_table, self.bias)


class TextHead(nn.Module):
    """One answer a text, of its first state: linear, activation, linear."""

    def __init__(
        self,
        config: BertConfig,
        activation: nn.Module,
        dropout: float,
        first: float = 0.0,
    ) -> None:
        """
        Args:
            config: its width and labels.
            activation: between the two linear layers.
            dropout: before the second of them.
            first: dropout before the first.
        """
        super().__init__()
        self.first = nn.Dropout(first)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)
        self.text = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits, `b s w` to `b c`."""
        pooled = self.activation(self.dense(self.first(hidden[:, 0])))
        return self.text(self.dropout(pooled))


class TokenHead(nn.Module):
    """One answer a token: dropout, then one linear layer."""

    def __init__(self, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.token = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits, `… w` to `… c`."""
        return self.token(self.dropout(hidden))


class SpanHead(nn.Module):
    """Where an answer starts and ends: two scores a token."""

    def __init__(self, config: BertConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.spans = nn.Linear(config.hidden_size, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits, `… w` to `… 2`."""
        return self.spans(self.dropout(hidden))


class MaskedLM(Pretrained):
    """A body and a head that says which piece belongs at each place."""

    def __init__(self, config: BertConfig, bert: nn.Module, head: nn.Module) -> None:
        super().__init__(config)
        self.bert = bert
        self.mlm_head = head
        self.mlm_head.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits over the vocabulary, `b s v`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        return self.mlm_head(hidden, self.bert.embeddings.token.weight)


class Headed(Pretrained):
    """A body and a head that reads its states."""

    def __init__(self, config: BertConfig, bert: nn.Module, head: nn.Module) -> None:
        super().__init__(config)
        self.bert = bert
        self.head = head
        self.head.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """What the head says: logits of each text, or of each token."""
        return self.head(
            self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        )


class TextClassifier(Headed):
    """One answer a text: logits `b num_labels`."""


class TokenClassifier(Headed):
    """One answer a token: logits `b s num_labels`."""


class SpanReader(Headed):
    """Where an answer starts and ends: logits `b s 2`."""

    def published_config(self) -> dict[str, Any]:
        """Start and end are the two labels, whatever `num_labels` says."""
        return self.config.replace(num_labels=2, label_names=None).to_dict()


class PreNormLayer(nn.Module):
    """Pre-LN: x + F(LayerNorm(x)), so that the sum itself is never normalised.

    Xiong et al. 2020, On Layer Normalization in the Transformer Architecture.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        attended = self.attention(self.attention_norm(hidden), allowed)
        hidden = hidden + self.dropout(attended)
        changed = self.feedforward(self.feedforward_norm(hidden))
        return hidden + self.dropout(changed)


class FinalNorm(nn.Module):
    """What pre-LN layers need after the last of them."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        return self.norm(hidden)


def with_layers(
    config: BertConfig,
    layer: Callable[[BertConfig], nn.Module],
    last: Callable[[BertConfig], nn.Module] | None = None,
) -> BertForMaskedLM:
    """A new BertForMaskedLM with other layers, at their starting weights.

    Args:
        config: its sizes.
        layer: makes each layer.
        last: makes what comes after the last, such as `FinalNorm`.
    """
    model = BertForMaskedLM(config)
    layers = [layer(config) for _ in range(config.layers)]
    if last is not None:
        layers.append(last(config))
    model.bert.encoder.layers = nn.ModuleList(layers)
    model.bert.encoder.apply(initialise(config.initializer_range))
    return model
