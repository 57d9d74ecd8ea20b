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


def cls_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The state of each text's first token, [CLS]: `b s w` and `b s` to `b w`."""
    check_places(hidden, attention_mask)
    first = attention_mask.int().argmax(dim=1)  # padding may stand on the left
    return hidden[torch.arange(len(hidden)), first]  # b w


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean over the tokens of each text, padding left out.

    Args:
        hidden: states, `b s w`; half precision is summed in single.
        attention_mask: `b s`, 1 for a token and 0 for padding.

    Returns:
        One vector per text, `b w`.

    Raises:
        ValueError: if the mask does not fit the states, numbers the texts of packed
            rows, or has a text without tokens.
    """
    check_places(hidden, attention_mask)
    keep = rearrange(attention_mask, "b s -> b s 1") != 0
    wide = torch.promote_types(hidden.dtype, torch.float32)
    total = hidden.masked_fill(~keep, 0).sum(dim=1, dtype=wide)
    return (total / keep.sum(dim=1)).to(hidden.dtype)  # b w


def max_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Each feature's largest value over the tokens: `b s w` and `b s` to `b w`."""
    check_places(hidden, attention_mask)
    padding = rearrange(attention_mask, "b s -> b s 1") == 0
    return hidden.masked_fill(padding, -torch.inf).amax(dim=1)  # b w


def check_places(hidden: Tensor, attention_mask: Tensor) -> None:
    """Refuse a mask that does not say which states belong to each text.

    Shapes are always checked, values on the CPU only.

    Raises:
        ValueError: naming what was given and what to do.
    """
    for name, value in (("hidden", hidden), ("attention_mask", attention_mask)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} is a {type(value).__name__}; give a tensor")
    if not hidden.is_floating_point():
        raise ValueError(
            f"hidden has dtype {hidden.dtype}; states are floating-point numbers"
        )
    if hidden.dim() != 3 or attention_mask.shape != hidden.shape[:2]:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)} for states of "
            f"{tuple(hidden.shape)}; give states b s w and the mask b s they came with"
        )
    if not readable(attention_mask):  # on a GPU to look at values would stop the queue
        return
    if bool((attention_mask > 1).any()):
        raise ValueError(
            "attention_mask numbers several texts in a row, and pooling would mix "
            "them; unpack the states first, and pool each text's"
        )
    if not bool(((attention_mask == 0) | (attention_mask == 1)).all()):
        # In a mask that is added to scores tokens have 0: just the wrong way round.
        raise ValueError(
            "attention_mask holds values other than 0 and 1; give 1 for a token and 0 "
            "for padding, not the numbers that are added to the scores"
        )
    empty = (attention_mask == 0).all(dim=1).nonzero()
    if len(empty):
        raise ValueError(
            f"attention_mask says that text {int(empty[0])} has no token, so there is "
            "nothing to pool; leave it out"
        )
