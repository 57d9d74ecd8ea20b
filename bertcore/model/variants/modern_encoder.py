"""ModernBERT's encoder: layers that see near or far, and gated units (chapter 8).

Warner et al. 2024 (arXiv:2412.13663), section 2.1.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.variants.modern_config import ModernBertConfig
from bertcore.model.variants.rotary import RotaryAttention, angles


def local_map(length: int, window: int, device: torch.device | None = None) -> Tensor:
    """Which query may look at which key, if it sees window / 2 on either side.

    Returns:
        A boolean map, `1 1 q k`; combine it with another by `&`.

    >>> local_map(4, window=2)[0, 0].int().tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    """
    places = torch.arange(length, device=device)
    near = (places[:, None] - places).abs() <= window // 2
    return rearrange(near, "q k -> 1 1 q k")


class GatedFeedForward(nn.Module):
    """Widen twice, bend one half to gate the other, narrow (Shazeer 2020, GEGLU)."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.feedforward_size
        self.widen = nn.Linear(width, 2 * inner, bias=False)
        self.narrow = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(config.inner_dropout)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b s w`."""
        gate, value = self.widen(hidden).chunk(2, dim=-1)
        bent = F.gelu(gate, approximate=self.gelu)  # b s f
        return self.narrow(self.dropout(bent * value))  # b s w


class ModernLayer(nn.Module):
    """One layer, norm first: x + F(LayerNorm(x)), twice."""

    def __init__(self, config: ModernBertConfig, number: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        norm = nn.LayerNorm(width, eps=eps, bias=False)
        # The embeddings come out of a norm, so the first layer needs none.
        self.attention_norm = norm if number else nn.Identity()
        self.attention = RotaryAttention(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps, bias=False)
        self.feedforward = GatedFeedForward(config)
        self.is_global = number % config.global_every == 0

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """States in, states out, `b s w`; else as `RotaryAttention`."""
        normed = self.attention_norm(hidden)  # b s w
        hidden = hidden + self.attention(normed, turns, allowed)  # b s w
        return hidden + self.feedforward(self.feedforward_norm(hidden))  # b s w


class ModernEncoder(nn.Module):
    """The layers, each with the map and the angles of its kind, and a last norm."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ModernLayer(config, number) for number in range(config.layers)
        )
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm = nn.LayerNorm(width, eps=eps, bias=False)
        self.window, self.head = config.window, width // config.heads
        self.bases = {True: config.global_base, False: config.local_base}

    def forward(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`."""
        length, device = hidden.shape[1], hidden.device
        if position_ids is None:
            position_ids = torch.arange(length, device=device)[None]
        places = rearrange(position_ids, "b s -> b 1 s")
        turns = {kind: angles(places, self.head, base) for kind, base in
                 self.bases.items()}  # fmt: skip
        near = local_map(length, self.window, device)
        maps = {True: allowed, False: near if allowed is None else _both(near, allowed)}
        for layer in self.layers:
            kind = layer.is_global
            hidden = layer(hidden, turns[kind], maps[kind])  # b s w
        return self.norm(hidden)  # b s w

    @torch.no_grad()
    def shrink_outputs(self) -> None:
        """Starting weights of what is added to the states, by 1 / sqrt(2 layers)."""
        for layer in self.layers:
            for linear in (layer.attention.output, layer.feedforward.narrow):
                linear.weight *= (2 * len(self.layers)) ** -0.5


def _both(near: Tensor, allowed: Tensor) -> Tensor:
    """What is near and allowed; where there is none, as for padding, the place itself.

    A row of a map with nothing to look at would have no softmax.
    """
    both = near & allowed  # b 1 q k
    own = torch.eye(near.shape[-1], dtype=torch.bool, device=near.device)
    return both | (~both.any(dim=-1, keepdim=True) & own)  # b 1 q k
