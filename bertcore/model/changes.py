"""Changes: layers that can stand in the place of BERT's (chapter 9).

Each is `EncoderLayer` with one thing done otherwise. A model with such layers is no
longer BERT, so it is trained and kept here, and not saved as a published checkpoint.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.attention import Attention
from bertcore.model.config import BertConfig
from bertcore.model.feedforward import FeedForward
from bertcore.model.initialise import initialise
from bertcore.model.tasks import BertForMaskedLM


class GatedFeedForward(nn.Module):
    """Widen twice, one as a gate for the other, narrow (Shazeer 2020, GEGLU).

    The inner width is two thirds, so that there are as many parameters.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        inner = config.feedforward_size * 2 // 3 // 8 * 8
        self.widen = nn.Linear(config.hidden_size, inner)
        self.gate = nn.Linear(config.hidden_size, inner)
        self.narrow = nn.Linear(inner, config.hidden_size)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b s w`."""
        gate = F.gelu(self.gate(hidden), approximate=self.gelu)
        return self.narrow(gate * self.widen(hidden))


class GatedLayer(nn.Module):
    """BERT's layer with a gated feed-forward part."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = GatedFeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        attended = self.dropout(self.attention(hidden, allowed))
        hidden = self.attention_norm(hidden + attended)
        changed = self.dropout(self.feedforward(hidden))
        return self.feedforward_norm(hidden + changed)


class PreNormLayer(nn.Module):
    """Norm first: x + F(LayerNorm(x)), so that the sum itself is never normalised.

    Xiong et al. 2020, On Layer Normalization in the Transformer Architecture.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        attended = self.attention(self.attention_norm(hidden), allowed)
        hidden = hidden + self.dropout(attended)
        changed = self.feedforward(self.feedforward_norm(hidden))
        return hidden + self.dropout(changed)


class FinalNorm(nn.Module):
    """What norm-first layers need after the last of them."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States in, states out, `b s w`."""
        return self.norm(hidden)


def with_layers(
    config: BertConfig,
    layer: Callable[[BertConfig], nn.Module],
    last: Callable[[BertConfig], nn.Module] | None = None,
) -> BertForMaskedLM:
    """A new BertForMaskedLM with other layers, at their starting weights.

    Args:
        config: its sizes.
        layer: makes each layer.
        last: makes what comes after the last, such as `FinalNorm`.
    """
    model = BertForMaskedLM(config)
    layers = [layer(config) for _ in range(config.layers)]
    if last is not None:
        layers.append(last(config))
    model.bert.encoder.layers = nn.ModuleList(layers)
    model.bert.encoder.apply(initialise(config.initializer_range))
    return model
