"""Feed-forward: the same two matrices at every position (chapter 4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.config import BertConfig


class FeedForward(nn.Module):
    """Up-projection, GELU, down-projection; no position sees another.

    google-research/bert modeling.py, `transformer_model`, "intermediate" and "output".
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.widen = nn.Linear(config.hidden_size, config.feedforward_size)
        self.narrow = nn.Linear(config.feedforward_size, config.hidden_size)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b s w`; `f` is the inner width."""
        inner = F.gelu(self.widen(hidden), approximate=self.gelu)  # b s f
        return self.narrow(inner)  # b s w
