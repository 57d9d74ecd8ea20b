"""Inside: the states and attention weights of every layer, to look at (chapter 3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn


def layer_states(bert: nn.Module, **batch: Tensor) -> list[Tensor]:
    """The states after the embeddings and after each layer, `b s w` each.

    Args:
        bert: a `Bert` or a model with a head; in evaluation mode, or dropout is in
            what you see.
        batch: what it is called with, by name.

    Returns:
        One tensor more than there are layers, without gradients.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        found.append(output)

    body = getattr(bert, "bert", bert)
    # A layer that is used several times (ALBERT) is watched once.
    parts = dict.fromkeys([body.embeddings, *body.encoder.layers])
    with _watching([part.register_forward_hook for part in parts], keep):
        bert(**batch)
    return found


def attention_weights(bert: nn.Module, **batch: Tensor) -> Tensor:
    """What each token takes from each, in every head of every layer.

    Args:
        bert, batch: as for `layer_states`.

    Returns:
        One tensor, layers × `b h q k`, without dropout on the weights; rows sum to 1.
    """
    found: list[Tensor] = []

    def keep(attention: nn.Module, inputs: tuple, named: dict) -> None:
        found.append(attention.weights(*inputs, **named))

    layers = dict.fromkeys(getattr(bert, "bert", bert).encoder.layers)
    registers = [
        partial(layer.attention.register_forward_pre_hook, with_kwargs=True)
        for layer in layers
    ]
    with _watching(registers, keep):
        bert(**batch)
    return torch.stack(found)


@contextmanager
def _watching(registers: list[Callable], keep: Callable) -> Iterator[None]:
    handles = [register(keep) for register in registers]
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
