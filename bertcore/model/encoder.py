"""Encoder: attention and feed-forward, each added to its input (chapter 4)."""

from torch import Tensor, nn

from bertcore.model.attention import Attention
from bertcore.model.config import BertConfig
from bertcore.model.feedforward import FeedForward


class EncoderLayer(nn.Module):
    """One layer, post-LN (norm last): LayerNorm(x + Dropout(F(x))), twice.

    google-research/bert modeling.py, `transformer_model`; Vaswani et al. 2017, 3.1.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = FeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        """States in, states out: `b s w` to `b s w`.

        `source`: the states that are attended to, `b k w`. Default: `hidden` itself.
        """
        attended = self.dropout(self.attention(hidden, allowed, source))  # b s w
        hidden = self.attention_norm(hidden + attended)  # b s w
        changed = self.dropout(self.feedforward(hidden))  # b s w
        return self.feedforward_norm(hidden + changed)  # b s w


class Encoder(nn.Module):
    """The layers, one after another; there is no norm after the last."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))

    def forward(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
    ) -> Tensor:
        """The states after the last layer, `b s w`."""
        for layer in self.layers:
            hidden = layer(hidden, allowed)  # b s w
        return hidden  # b s w
