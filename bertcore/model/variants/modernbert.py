"""ModernBERT: what was learnt in six years, in one encoder (chapter 8).

Warner et al. 2024 (arXiv:2412.13663): rotary positions, norm first, gated units, no
biases, attention that is local in two layers of three. Padding is left out by packing,
as this course's engine does for every model. Its layers:
`bertcore.model.variants.modern_encoder`.
"""

from torch import Tensor

from bertcore.model.attention import attention_map
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.variants import parts
from bertcore.model.variants.modern_config import ModernBertConfig
from bertcore.model.variants.modern_encoder import ModernEncoder
from bertcore.model.variants.modern_heads import ModernHead, ModernMaskedLMHead
from bertcore.model.weights import Pretrained


class ModernBert(Pretrained, config=ModernBertConfig):
    """Ids to states."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config)
        self.embeddings = parts.OneTable(config, bias=False)
        self.encoder = ModernEncoder(config)
        self.apply(initialise(config.initializer_range))
        self.encoder.shrink_outputs()

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """As `Bert.forward`; `token_type_ids` is not looked at."""
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        allowed = attention_map(attention_mask)
        return self.encoder(self.embeddings(input_ids), allowed, position_ids)


class ModernBertForMaskedLM(parts.MaskedLM, config=ModernBertConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config, ModernBert(config), ModernMaskedLMHead(config))


class ModernBertForSequenceClassification(
    parts.TextClassifier, config=ModernBertConfig
):
    """One answer a text."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, config.num_labels, first=True)
        super().__init__(config, ModernBert(config), head)


class ModernBertForTokenClassification(parts.TokenClassifier, config=ModernBertConfig):
    """One answer a token."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, config.num_labels, first=False)
        super().__init__(config, ModernBert(config), head)


class ModernBertForQuestionAnswering(parts.SpanReader, config=ModernBertConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, 2, first=False)
        super().__init__(config, ModernBert(config), head)
