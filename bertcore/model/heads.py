"""Heads: from states to the answers that pretraining asks for (chapter 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.config import BertConfig


class MaskedLMHead(nn.Module):
    """A score for every piece of the vocabulary: dense, GELU, norm, tied matrix, bias.

    google-research/bert run_pretraining.py, `get_masked_lm_output`. The output
    matrix is the token table itself, so it comes in as an argument; the bias is
    the head's own. Leading axes are free: pass only the masked positions, `t w`,
    and only those are scored.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.gelu = config.gelu

    def forward(
        self,
        hidden: Tensor,
        token_table: Tensor,  # v w
    ) -> Tensor:
        """Logits over the vocabulary: `… w` to `… v`."""
        changed = F.gelu(self.dense(hidden), approximate=self.gelu)
        return F.linear(self.norm(changed), token_table, self.bias)


class NextSentenceHead(nn.Module):
    """Two scores from the pooled vector: 0 = B follows A, 1 = B is random.

    google-research/bert run_pretraining.py, `get_next_sentence_output`.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, 2)

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits, `b w` to `b 2`."""
        return self.dense(pooled)
