"""ModernBERT: what was learnt in six years, in one encoder (chapter 8).

Warner et al. 2024 (arXiv:2412.13663): rotary positions, norm first, gated units, no
biases, attention that is local in two layers of three. Padding is left out by packing,
as this course's engine does for every model. Its layers:
`bertcore.model.variants.modern_encoder`.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.variants import names, parts
from bertcore.model.variants.modern_encoder import ModernEncoder
from bertcore.model.variants.modern_heads import ModernHead, ModernMaskedLMHead
from bertcore.model.weights import Pretrained

PADDING = 50283  # its id in the published vocabulary


@dataclass(frozen=True)
class ModernBertConfig(BertConfig):
    """The numbers of one ModernBERT; the defaults are ModernBERT-base.

    One layer in `global_every` sees all, the first included; the others see `window` /
    2 tokens on either side. `global_base` and `local_base` are theirs for the rotary
    angles. `feedforward_size` is the width behind the gate.
    """

    vocab_size: int = 50368
    layers: int = 22
    feedforward_size: int = 1152
    max_positions: int = 8192
    segments: int = 1
    dropout: float = 0.0
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-5
    window: int = 128
    global_every: int = 3
    global_base: float = 160_000.0
    local_base: float = 10_000.0
    inner_dropout: float = 0.0
    head_dropout: float = 0.0

    published = names.MODERNBERT
    inner = 1.5  # ModernBERT-base: 1,152 of 768

    @classmethod
    def fields_of(cls, published: dict[str, Any]) -> dict[str, Any]:
        """As BERT's, and the kinds of layers."""
        return super().fields_of(published) | names.modern_layers(published)

    def to_dict(self) -> dict[str, Any]:
        """As BERT's, and the kinds of layers."""
        kinds = {
            "global_attn_every_n_layers": self.global_every,
            "global_rope_theta": self.global_base,
            "local_rope_theta": self.local_base,
        }
        own = {key: values[0] for key, values in self.published.allowed.items()}
        pad = PADDING if self.vocab_size > PADDING else 0  # of a vocabulary of its own
        return super().to_dict() | own | kinds | {"pad_token_id": pad}


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
