"""DeBERTa, versions 2 and 3: distances in place of positions (chapter 8).

He et al. 2021 (arXiv:2006.03654) and, for version 3, arXiv:2111.09543, which is trained
as ELECTRA is. The attention: `bertcore.model.variants.disentangled`.
"""

from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.heads import MaskedLMHead
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.variants import parts
from bertcore.model.variants.deberta_config import DebertaV2Config
from bertcore.model.variants.deberta_encoder import DebertaEncoder
from bertcore.model.weights import Pretrained


class DebertaV2(Pretrained, config=DebertaV2Config):
    """Ids to states; there is no pooler."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config)
        self.embeddings = parts.OneTable(config)
        self.encoder = DebertaEncoder(config)
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """As `Bert.forward`; segments and positions are not looked at.

        A text of a packed row stands in one piece, so its distances are right.
        """
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        return self.encoder(self.embeddings(input_ids), attention_map(attention_mask))


class DebertaV2ForMaskedLM(parts.MaskedLM, config=DebertaV2Config):
    """Which piece belongs at each place."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config, DebertaV2(config), MaskedLMHead(config))


class DebertaV2ForSequenceClassification(parts.TextClassifier, config=DebertaV2Config):
    """One answer a text."""

    def __init__(self, config: DebertaV2Config) -> None:
        rate = config.dropout
        head = parts.TextHead(config, nn.GELU(), rate, first=config.text_dropout)
        super().__init__(config, DebertaV2(config), head)


class DebertaV2ForTokenClassification(parts.TokenClassifier, config=DebertaV2Config):
    """One answer a token."""

    def __init__(self, config: DebertaV2Config) -> None:
        head = parts.TokenHead(config, config.dropout)
        super().__init__(config, DebertaV2(config), head)


class DebertaV2ForQuestionAnswering(parts.SpanReader, config=DebertaV2Config):
    """Where an answer starts and ends."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config, DebertaV2(config), parts.SpanHead(config))
