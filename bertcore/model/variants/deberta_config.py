"""DeBERTa's numbers: buckets, and the convolution of version 2 (chapter 8)."""

from dataclasses import dataclass
from typing import Any

from bertcore.model.config import BertConfig
from bertcore.model.variants import names


@dataclass(frozen=True)
class DebertaV2Config(BertConfig):
    """The numbers of one DeBERTa; the defaults are deberta-v3-base.

    `position_buckets` in each direction; `kernel_size` of the convolution beside the
    first layer, which version 2 has, or 0, and its activation, "tanh" or "gelu".
    """

    vocab_size: int = 128100
    segments: int = 1
    layer_norm_eps: float = 1e-7
    position_buckets: int = 256
    kernel_size: int = 0
    kernel_activation: str = "tanh"
    text_dropout: float = 0.0

    published = names.DEBERTA

    def to_dict(self) -> dict[str, Any]:
        """As BERT's, with what all of version 2 and 3 have in common."""
        own = {key: values[0] for key, values in self.published.allowed.items()}
        return super().to_dict() | own | {"pos_att_type": ["p2c", "c2p"]}
