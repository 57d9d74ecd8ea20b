"""BERT: embeddings and encoder, with the heads of the paper (chapters 0 and 5).

`Bert` gives states; each `BertFor…` adds one head, and its `forward` returns logits.
"""

from typing import Any

from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.embeddings import Embeddings
from bertcore.model.encoder import Encoder
from bertcore.model.heads import MaskedLMHead, NextSentenceHead
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import Pooler
from bertcore.model.weights import Pretrained, initialise


class Bert(Pretrained):
    """Ids to states. The pooler, if there is one, makes them one vector per text."""

    def __init__(self, config: BertConfig, pooler: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if pooler else None
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`.

        Args:
            input_ids: piece ids, `b s`.
            token_type_ids: 0 for the first segment, 1 for the second; default 0.
            attention_mask: `b s`, 1 for a token and 0 for padding, in a packed row
                the number of the token's text; or `b q k`, 1 where query q may look
                at key k. Default: everything.
            position_ids: rows of the position table; default 0, 1, 2, …

        Raises:
            ValueError: if a shape, a type or an id is not one the tables can take.
        """
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


class BertForPreTraining(Pretrained):
    """Both objectives of the paper: hidden pieces and next sentence."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config)
        self.mlm_head = MaskedLMHead(config)
        self.nsp_head = NextSentenceHead(config)
        self.mlm_head.apply(initialise(config.initializer_range))
        self.nsp_head.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> tuple[Tensor, Tensor]:
        """Masked-LM logits `b s v` and next-sentence logits `b 2`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        pieces = self.mlm_head(hidden, self.bert.embeddings.token.weight)  # b s v
        return pieces, self.nsp_head(self.bert.pooler(hidden))


class BertForMaskedLM(Pretrained):
    """Which piece belongs at each position."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config, pooler=False)
        self.mlm_head = MaskedLMHead(config)
        self.mlm_head.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Logits over the vocabulary, `b s v`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        return self.mlm_head(hidden, self.bert.embeddings.token.weight)  # b s v


class BertForSequenceClassification(Pretrained):
    """One answer per text, from the pooled vector: dropout, then one linear layer."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.classifier.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Logits, `b num_labels`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        return self.head(hidden)

    def head(self, hidden: Tensor) -> Tensor:
        """From states `b s w`, of which the pooler reads the first, to logits."""
        return self.classifier(self.dropout(self.bert.pooler(hidden)))


class BertForTokenClassification(Pretrained):
    """One answer per token: dropout, then the same linear layer at every position."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config, pooler=False)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.classifier.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Logits, `b s num_labels`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        return self.head(hidden)

    def head(self, hidden: Tensor) -> Tensor:
        """From states, `… w`, to logits."""
        return self.classifier(self.dropout(hidden))


class BertForQuestionAnswering(Pretrained):
    """Where an answer starts and ends: two scores per token from one linear layer."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config, pooler=False)
        self.spans = nn.Linear(config.hidden_size, 2)
        self.spans.apply(initialise(config.initializer_range))

    def published_config(self) -> dict[str, Any]:
        """Start and end are the two labels, whatever `num_labels` says."""
        return self.config.replace(num_labels=2, label_names=None).to_dict()

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Logits, `b s 2`; `start, end = logits.unbind(dim=-1)`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        return self.head(hidden)

    def head(self, hidden: Tensor) -> Tensor:
        """From states, `… w`, to two scores for each."""
        return self.spans(hidden)
