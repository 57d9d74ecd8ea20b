"""DeBERTa's encoder: layers that are told the distances, and a convolution (chapter 8).

microsoft/DeBERTa, bert.py: `BertEncoder` and `ConvLayer`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.feedforward import FeedForward
from bertcore.model.variants.deberta_config import DebertaV2Config
from bertcore.model.variants.disentangled import DisentangledAttention, bucket


class DebertaLayer(nn.Module):
    """BERT's layer with disentangled attention."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = DisentangledAttention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = FeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Tensor, distances: Tensor, rows: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """States in, states out, `b s w`; else as `DisentangledAttention`."""
        attended = self.attention(hidden, distances, rows, allowed)  # b s w
        hidden = self.attention_norm(hidden + self.dropout(attended))  # b s w
        changed = self.dropout(self.feedforward(hidden))  # b s w
        return self.feedforward_norm(hidden + changed)  # b s w


class Neighbours(nn.Module):
    """A convolution over the embeddings, beside the first layer; version 2 has it."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, size = config.hidden_size, config.kernel_size
        self.conv = nn.Conv1d(width, width, size, padding=size // 2)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.bend = {"tanh": torch.tanh, "gelu": F.gelu}[config.kernel_activation]

    def forward(
        self, embedded: Tensor, hidden: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """The states of the first layer, `b s w`, and what the neighbours add.

        A neighbour that may not be looked at counts as 0, so packed texts stay apart.
        """
        length, half = embedded.shape[1], self.conv.kernel_size[0] // 2
        summed = self.conv.bias
        for step in range(-half, half + 1):
            matrix = self.conv.weight[:, :, step + half]
            moved = embedded.roll(-step, dims=1) @ matrix.T  # b s w
            summed = summed + moved * _sees(length, step, allowed, embedded)
        changed = self.bend(self.dropout(summed))  # b s w
        return self.norm(hidden + changed)  # b s w


def _sees(length: int, step: int, allowed: Tensor | None, like: Tensor) -> Tensor:
    """1 where a place may look so many steps further, 0 elsewhere, `b s 1`."""
    places = torch.arange(length, device=like.device)
    inside = (places + step >= 0) & (places + step < length)
    target = (places + step).clamp(0, length - 1)
    if allowed is None:
        return inside[None, :, None].to(like.dtype)
    seen = allowed[:, 0, places.expand(allowed.shape[2]), target] & inside
    return seen[:, :, None].to(like.dtype)


class DebertaEncoder(nn.Module):
    """The layers, and the table of distances that all of them use."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, self.buckets = config.hidden_size, config.position_buckets
        self.longest = config.max_positions
        self.distances = nn.Embedding(2 * self.buckets, width)
        self.distance_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(DebertaLayer(config) for _ in range(config.layers))
        self.local = Neighbours(config) if config.kernel_size else None

    def forward(self, embedded: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The states after the last layer, `b s w`."""
        places = torch.arange(embedded.shape[1], device=embedded.device)
        steps = bucket(places[:, None] - places, self.buckets, self.longest)
        rows = (steps + self.buckets).clamp(0, 2 * self.buckets - 1)
        distances = self.distance_norm(self.distances.weight)
        hidden = embedded
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, distances, rows, allowed)  # b s w
            if number == 0 and self.local is not None:
                hidden = self.local(embedded, hidden, allowed)  # b s w
        return hidden  # b s w
