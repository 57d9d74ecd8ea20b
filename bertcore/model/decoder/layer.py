"""Decoder layer: BERT's own layer, which looks back and at a source (chapter 7)."""

from torch import Tensor, nn

from bertcore.model.attention import Attention
from bertcore.model.config import BertConfig
from bertcore.model.decoder.memory import Memory
from bertcore.model.feedforward import FeedForward


class DecoderLayer(nn.Module):
    """One layer: attention backwards, attention to a source, feed-forward; norms last.

    Vaswani et al. 2017, 3.1. Without `cross` it is BERT's own layer.
    """

    def __init__(self, config: BertConfig, cross: bool = True) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.cross = Attention(config) if cross else None
        self.cross_norm = nn.LayerNorm(width, eps=eps) if cross else None
        self.feedforward = FeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,  # b q w
        allowed: Tensor | None = None,
        source: Tensor | None = None,
        source_allowed: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """States in, states out: `b q w` to `b q w`.

        Args:
            hidden: the states of the target.
            allowed: which of them may look at which, `b 1 q k`.
            source: the states of the encoder, `b k w`.
            source_allowed: which token may look at which of these, `b 1 q k`.
            memory: keys and values of the tokens before; these are added to it.
        """
        memory = Memory() if memory is None else memory
        own = memory.extend(*self.attention.offer(hidden))
        attended = self.dropout(self.attention.ask(hidden, *own, allowed))  # b q w
        hidden = self.attention_norm(hidden + attended)  # b q w
        if self.cross is not None:
            theirs = memory.of_source(self.cross, source)
            looked = self.dropout(self.cross.ask(hidden, *theirs, source_allowed))
            hidden = self.cross_norm(hidden + looked)  # b q w
        changed = self.dropout(self.feedforward(hidden))  # b q w
        return self.feedforward_norm(hidden + changed)  # b q w
