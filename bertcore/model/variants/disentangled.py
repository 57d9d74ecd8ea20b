"""Disentangled attention: what a token is, and how far away it is (chapter 8).

He et al. 2021, DeBERTa (arXiv:2006.03654), section 3.1, with the buckets and the shared
matrices of version 2 (microsoft/DeBERTa, disentangled_attention.py).
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig


def bucket(distance: Tensor, buckets: int, longest: int) -> Tensor:
    """The bucket of each distance: near ones have their own, far ones share.

    Args:
        distance: whole numbers, query minus key.
        buckets: so many in each direction; half of them are for single distances, the
            others grow by a factor.
        longest: the distance that reaches the last bucket.

    >>> bucket(torch.tensor([0, 3, -3, 40, 400]), buckets=16, longest=512).tolist()
    [0, 3, -3, 11, 15]
    """
    half = buckets // 2
    size = distance.abs().float().clamp(min=half)
    steps = torch.log(size / half) / math.log((longest - 1) / half) * (half - 1)
    far = (torch.ceil(steps) + half).long() * distance.sign()
    return torch.where(distance.abs() <= half, distance, far)


class DisentangledAttention(nn.Module):
    """Three scores in one: content and content, content and place, place and content.

    The matrices that make queries and keys of states make them of distances, too.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = config.attention_dropout
        self.distance_dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,  # b s w
        distances: Tensor,
        rows: Tensor,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Each query's mixture of the values, `b s w`.

        Args:
            hidden: the states, `b s w`.
            distances: a vector for each bucket, `r w`.
            rows: which of them stands for the distance of query and key, `q k`.
            allowed: True where a query may look at a key, `b 1 q k`.
        """
        query, key, places = self._scores(hidden, distances, rows, allowed)
        value = self._split(self.value(hidden))  # b h s d
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=places,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self._scale(query),
        )  # b h s d
        return self.output(rearrange(mixed, "b h s d -> b s (h d)"))  # b s w

    def weights(
        self,
        hidden: Tensor,  # b s w
        distances: Tensor,
        rows: Tensor,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        query, key, places = self._scores(hidden, distances, rows, allowed)
        content = query @ key.transpose(-1, -2) * self._scale(query)  # b h q k
        return (content + places).softmax(dim=-1)  # b h q k

    def _scores(
        self, hidden: Tensor, distances: Tensor, rows: Tensor, allowed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, and the scores that have to do with places."""
        query, key = self._split(self.query(hidden)), self._split(self.key(hidden))
        distances = self.distance_dropout(distances)
        far_query = rearrange(self.query(distances), "r (h d) -> h d r", h=self.heads)
        far_key = rearrange(self.key(distances), "r (h d) -> h d r", h=self.heads)
        shape = (*query.shape[:2], -1, -1)
        to_place = (query @ far_key).gather(-1, rows.expand(shape))  # b h q k
        to_content = (key @ far_query).gather(-1, rows.T.expand(shape))
        places = to_place + to_content.transpose(-1, -2)  # b h q k
        places = places * self._scale(query)  # b h q k
        if allowed is not None:
            places = places.masked_fill(~allowed, -torch.inf)  # b h q k
        return query, key, places

    def _scale(self, query: Tensor) -> float:
        return (3 * query.shape[-1]) ** -0.5  # three scores, not one

    def _split(self, projected: Tensor) -> Tensor:
        return rearrange(projected, "b s (h d) -> b h s d", h=self.heads)
