"""Pooling: one vector for a whole text (chapter 5)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.inputs import readable


class Pooler(nn.Module):
    """BERT's own: a dense layer and tanh on the first position.

    google-research/bert modeling.py, `BertModel`, scope "pooler".
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b w`."""
        return torch.tanh(self.dense(hidden[:, 0]))  # b w


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean over the tokens of each text, padding left out.

    Args:
        hidden: states, `b s w`.
        attention_mask: `b s`, 1 for a token and 0 for padding.

    Returns:
        One vector a text, `b w`.

    Raises:
        ValueError: if the mask numbers the texts of packed rows.
    """
    if readable(attention_mask) and bool((attention_mask > 1).any()):
        raise ValueError(
            "attention_mask numbers several texts in a row, and their mean would mix "
            "them; unpack the states first, and take the mean of each text's"
        )
    keep = rearrange(attention_mask, "b s -> b s 1").to(hidden.dtype)
    return (hidden * keep).sum(dim=1) / keep.sum(dim=1)  # b w
