"""Embeddings: what a piece is, where it stands, which segment it is in (chapter 2)."""

import torch
from torch import Tensor, nn

from bertcore.model.config import BertConfig


class Embeddings(nn.Module):
    """The sum of three learned tables, normalised, with dropout.

    google-research/bert modeling.py, `embedding_postprocessor`: the positions are
    a learned table of `max_positions` rows, not sinusoids.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_positions, config.hidden_size)
        self.segment = nn.Embedding(config.segments, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """Ids to vectors; segments default to 0, positions to 0, 1, 2, …"""
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)  # b s
        if position_ids is None:
            length = input_ids.shape[1]
            position_ids = torch.arange(length, device=input_ids.device)[None]
        summed = (  # each table is looked up on its own
            self.token(input_ids)
            + self.position(position_ids)
            + self.segment(token_type_ids)
        )  # b s w
        return self.dropout(self.norm(summed))  # b s w
