"""Attention: every token asks all tokens at once (chapter 3)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig


def attention_map(attention_mask: Tensor | None) -> Tensor | None:
    """Which query may look at which key, ready to broadcast over the heads.

    A token looks at the tokens of its own text, and nothing looks at padding. Padding
    looks at every token: its outputs are thrown away, and a row of the map with
    nothing to look at would have no softmax.

    Args:
        attention_mask: `b s`, 1 for a token and 0 for padding; in a packed row, where
            several texts share it, the number of the token's text, 1, 2, 3, …
            Or `b q k`, 1 where query q may look at key k. None allows everything.

    Returns:
        A boolean map, `b 1 q k`, or None.
    """
    if attention_mask is None:
        return None
    if attention_mask.dim() == 3:
        return rearrange(attention_mask.bool(), "b q k -> b 1 q k")  # b 1 q k
    query_text = rearrange(attention_mask, "b q -> b 1 q 1")  # b 1 q 1
    key_text = rearrange(attention_mask, "b k -> b 1 1 k")  # b 1 1 k
    own_text = (query_text == key_text) | (query_text == 0)
    return own_text & (key_text > 0)  # b 1 q k


def causal_map(length: int, device: torch.device | str | None = None) -> Tensor:
    """A map in which every token looks at itself and back, `1 1 q k`.

    Combine it with another map by `&`.
    """
    ones = torch.ones(1, 1, length, length, dtype=torch.bool, device=device)
    return ones.tril()  # 1 1 q k


def cross_map(source_mask: Tensor, target_mask: Tensor | None = None) -> Tensor:
    """Which token of a target may look at which state of its source.

    Args:
        source_mask: `b k`, 1 for a token of the source and 0 for padding; in a packed
            row the number of the token's text.
        target_mask: `b q`, the same of the target. Default: one text, all of whose
            tokens may look at all of the source.

    Returns:
        A boolean map, `b 1 q k`; padding looks at all tokens.
    """
    key_text = rearrange(source_mask, "b k -> b 1 1 k")  # b 1 1 k
    if target_mask is None:
        return key_text > 0  # b 1 1 k
    query_text = rearrange(target_mask, "b q -> b 1 q 1")  # b 1 q 1
    own_text = (query_text == key_text) | (query_text == 0)
    return own_text & (key_text > 0)  # b 1 q k


class Attention(nn.Module):
    """Multi-head attention: queries ask, keys are matched, values are handed over.

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
        hidden: Tensor,  # b q w
        allowed: Tensor | None = None,
        source: Tensor | None = None,  # b k w
    ) -> Tensor:
        """Each query's mixture of the values, by torch's own function.

        Args:
            hidden: the states that ask, `b q w`.
            allowed: True where a query may look at a key, `b 1 q k`; see
                `attention_map`. Every query needs one key at least.
            source: the states that are asked, `b k w`. Default: `hidden` itself,
                which is self-attention; any other states make it cross-attention.
        """
        source = hidden if source is None else source
        return self.ask(hidden, *self.offer(source), allowed)  # b q w

    def offer(
        self,
        source: Tensor,  # b k w
    ) -> tuple[Tensor, Tensor]:
        """The keys and values of states that are asked, `b h k d` each."""
        key = self._split(self.key(source))  # b h k d
        value = self._split(self.value(source))  # b h k d
        return key, value

    def ask(
        self,
        hidden: Tensor,  # b q w
        key: Tensor,  # b h k d
        value: Tensor,  # b h k d
        allowed: Tensor | None = None,
    ) -> Tensor:
        """`forward`, of keys and values that are there already (chapter 7)."""
        query = self._split(self.query(hidden))  # b h q d
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout
        )  # b h q d
        return self.output(rearrange(mixed, "b h q d -> b q (h d)"))  # b q w

    def weights(
        self,
        hidden: Tensor,  # b q w
        allowed: Tensor | None = None,
        source: Tensor | None = None,  # b k w
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        source = hidden if source is None else source
        query = self._split(self.query(hidden))  # b h q d
        key = self._split(self.key(source))  # b h k d
        query = query / query.shape[-1] ** 0.5  # before the product: half precision
        scores = query @ key.transpose(-1, -2)  # b h q k
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))  # b h q k
        return scores.softmax(dim=-1)  # b h q k

    def _split(self, projected: Tensor) -> Tensor:
        return rearrange(projected, "b s (h d) -> b h s d", h=self.heads)
