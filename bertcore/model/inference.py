"""Inference: a model that is only used for a while, and faster for it (chapter 5).

A product of matrices begins with copying both into an order that suits the processor.
PyTorch does so anew in each call. oneDNN, the library that it brings for Intel's and
AMD's processors, can keep the copy, and its products on it are faster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 32  # oneDNN makes and keeps half a megabyte of code for each number of rows


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then each part is as it was, also after an error."""
    learning = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in learning:
            part.training = True


@contextmanager
def prepacked(model: nn.Module) -> Iterator[bool]:
    """Faster linear layers for a while, for inference on the CPU in single precision.

    Where that is not the case, or PyTorch has not got the means, nothing changes. The
    copies are thrown away at the end, so weights that change later are no danger.

    Yields:
        Whether the layers are prepacked.
    """
    layers = [part for part in model.modules() if isinstance(part, nn.Linear)]
    packed = [_packed(layer.weight) for layer in layers]
    ready = bool(layers) and all(weight is not None for weight in packed)
    try:
        if ready:
            for layer, weight in zip(layers, packed, strict=True):
                layer.forward = partial(_product, weight, layer.bias)
        yield ready
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _packed(weight: Tensor) -> Tensor | None:
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    if not torch.backends.mkldnn.is_available():
        return None
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
    except (AttributeError, RuntimeError):  # a PyTorch without this function
        return None


def _product(weight: Tensor, bias: Tensor | None, hidden: Tensor) -> Tensor:
    """The layer's result; rows are filled up, or oneDNN keeps code for each number."""
    rows = hidden.flatten(0, -2)
    filled = F.pad(rows, (0, 0, 0, -len(rows) % ROWS))
    found = torch.ops.mkldnn._linear_pointwise(filled, weight, bias, "none", [], "")
    return found[: len(rows)].unflatten(0, hidden.shape[:-1])
