"""Attention: every token asks all tokens at once (chapter 3)."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig


def attention_map(attention_mask: Tensor | None) -> Tensor | None:
    """Which position may look at which, ready to broadcast over the heads.

    Args:
        attention_mask: `b s`, 1 for a token and 0 for padding; or `b q k`, 1 where
            query q may look at key k. None allows everything.

    Returns:
        A boolean map, `b 1 1 k` or `b 1 q k`, or None.
    """
    if attention_mask is None:
        return None
    allowed = attention_mask.bool()
    if allowed.dim() == 2:
        return rearrange(allowed, "b k -> b 1 1 k")  # b 1 1 k
    return rearrange(allowed, "b q k -> b 1 q k")  # b 1 q k


class SelfAttention(nn.Module):
    """Multi-head self-attention: query, key and value are three views of one state.

    google-research/bert modeling.py, `attention_layer` and the projection after it.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = config.attention_dropout

    def forward(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Each token's mixture of the values, through torch's fused kernel."""
        query = self._split(self.query(hidden))  # b h s d
        key = self._split(self.key(hidden))  # b h s d
        value = self._split(self.value(hidden))  # b h s d
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout
        )  # b h s d
        return self.output(rearrange(mixed, "b h s d -> b s (h d)"))  # b s w

    def weights(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        query = self._split(self.query(hidden))  # b h s d
        key = self._split(self.key(hidden))  # b h s d
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # b h s s
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))  # b h s s
        return scores.softmax(dim=-1)  # b h s s

    def _split(self, projected: Tensor) -> Tensor:
        return rearrange(projected, "b s (h d) -> b h s d", h=self.heads)  # b h s d
