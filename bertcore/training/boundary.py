"""Boundary: a hidden span's pieces, from the two tokens around it (chapter 9).

Joshi et al. 2020, SpanBERT (arXiv:1907.10529), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.text.spans import span_bounds

if TYPE_CHECKING:
    from bertcore.model.variants.spanbert import SpanBertForMaskedLM


class BoundaryObjective(nn.Module):
    """A model for hidden spans and the sums of its two losses, in one module.

    Each piece is predicted twice: from its own state, as BERT does, and from the states
    of the tokens left and right of its span and its place in it.
    """

    losses = ("masked pieces", "span boundaries")

    def __init__(self, model: SpanBertForMaskedLM) -> None:
        super().__init__()
        self.model = model

    @staticmethod
    def also(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The places around each piece's span, its place in it, and how many."""
        labels = batch["labels"]
        left, right, offset = span_bounds(labels)
        return {"left": left, "right": right, "offset": offset}, len(left)

    def forward(
        self,
        asked: Tensor,
        labels: Tensor,
        left: Tensor,
        right: Tensor,
        offset: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces of both losses, as `2`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            left, right: places of the tokens before and after each piece's span, `t`.
            offset: the place of each piece in its span, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        table = self.model.bert.embeddings.token.weight
        pieces = self.model.mlm_head(hidden[asked], table)
        around = self.model.boundary_head(hidden[left], hidden[right], offset, table)
        return torch.stack(
            [
                F.cross_entropy(pieces.float(), labels, reduction="sum"),
                F.cross_entropy(around.float(), labels, reduction="sum"),
            ]
        )
