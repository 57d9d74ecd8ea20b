"""ModernBERT's numbers: two kinds of layers, and angles for each (chapter 8)."""

from dataclasses import dataclass
from typing import Any

from bertcore.model.config import BertConfig
from bertcore.model.variants import names

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
