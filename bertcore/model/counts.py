"""Counts: parameters and operations of any model, without a formula (chapter 8)."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bertcore.model.config import BertConfig


def parameters(model: nn.Module) -> dict[str, int]:
    """Parameters of each part of a model; what two parts share counts for the first.

    >>> from bertcore.model.bert import Bert
    >>> parameters(Bert(BertConfig.preset("tiny", vocab_size=100)))
    {'embeddings': 78848, 'encoder': 396544, 'pooler': 16512}
    """
    body = getattr(model, "bert", model)
    found: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        own = name.removeprefix("bert.") if body is not model else name
        part = own.partition(".")[0]
        found[part] = found.get(part, 0) + parameter.numel()
    return found


def operations(
    kind: Callable[[BertConfig], nn.Module], config: BertConfig, length: int
) -> int:
    """Operations of a forward pass over one text, by PyTorch's `FlopCounterMode`.

    A multiplication and the addition behind it are two; only products of matrices
    count. No number is computed, so a large model costs nothing.

    Args:
        kind: a class, such as `Bert`.
        config: of a model of it.
        length: tokens of the text.
    """
    with torch.device("meta"):
        model = kind(config).eval()
        ids = torch.zeros(1, length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids)
    return counter.get_total_flops()
