"""ModernBERT's heads: dense, GELU, norm, and what is asked for (chapter 8)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.variants.modern_config import ModernBertConfig


class ModernHead(nn.Module):
    """Dense, GELU, norm; then what is asked for."""

    def __init__(self, config: ModernBertConfig, outputs: int, first: bool) -> None:
        """
        Args:
            config: its width.
            outputs: scores.
            first: read the first state of each text, or else every state.
        """
        super().__init__()
        width = config.hidden_size
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, bias=False)
        self.dropout = nn.Dropout(config.head_dropout)
        self.output = nn.Linear(width, outputs)
        self.first = first

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits."""
        hidden = hidden[:, 0] if self.first else hidden
        return self.output(self.dropout(self.norm(F.gelu(self.dense(hidden)))))


class ModernMaskedLMHead(nn.Module):
    """Dense, GELU, norm, the token table, a bias."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor, token_table: Tensor) -> Tensor:
        """Logits over the vocabulary: `… w` to `… v`."""
        changed = self.norm(F.gelu(self.dense(hidden)))
        return F.linear(changed, token_table, self.bias)
