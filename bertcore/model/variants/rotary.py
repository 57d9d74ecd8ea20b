"""Rotary positions: turn queries and keys, and only distances are left (chapter 8).

Su et al. 2021, RoFormer (arXiv:2104.09864), section 3.2; as ModernBERT pairs them, the
first half of a head with the second.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.variants.modern_config import ModernBertConfig


def angles(places: Tensor, width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which each pair of numbers is turned.

    Args:
        places: whole numbers, `… s`.
        width: of a head, d; there are d / 2 pairs, the first turns by 1 a place, each
            next one slower, the last by about 1 / base.
        base: theta of the paper, 10,000 there.

    Returns:
        Two tensors, `… s d`.
    """
    pairs = torch.arange(0, width, 2, device=places.device, dtype=torch.float32)
    turned = places[..., None].float() * base ** (-pairs / width)
    both = torch.cat([turned, turned], dim=-1)
    return both.cos(), both.sin()


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Queries or keys, `b h s d`, each pair turned by the angle of its place."""
    first, second = heads.chunk(2, dim=-1)
    across = torch.cat([-second, first], dim=-1)
    return (heads * cosine + across * sine).to(heads.dtype)  # b h s d


class RotaryAttention(nn.Module):
    """Attention that turns queries and keys by the angles of their places."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.dropout = config.attention_dropout

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """Each query's mixture of the values, `b s w`.

        Args:
            hidden: the states, `b s w`.
            turns: cosine and sine, `b 1 s d` each.
            allowed: True where a query may look at a key, `b 1 q k`.
        """
        query, key, value = self._parts(hidden, turns)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )  # b h s d
        output = self.output(rearrange(mixed, "b h s d -> b s (h d)"))  # b s w
        return F.dropout(output, self.dropout, self.training)  # b s w

    def weights(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        query, key, _ = self._parts(hidden, turns)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # b h q k
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)  # b h q k
        return scores.softmax(dim=-1)  # b h q k

    def _parts(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = rearrange(
            self.qkv(hidden), "b s (three h d) -> three b h s d", three=3, h=self.heads
        )
        return rotate(query, *turns), rotate(key, *turns), value
