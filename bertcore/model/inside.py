"""Inside: the states and attention weights of every layer, to look at (chapter 3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bertcore.model.bert import Bert


def layer_states(bert: Bert, **batch: Tensor) -> list[Tensor]:
    """The states after the embeddings and after each layer, `b s w` each.

    Args:
        bert: in evaluation mode, or dropout is in what you see.
        batch: what `bert` is called with, by name.

    Returns:
        One tensor more than there are layers, without gradients.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        found.append(output)

    parts = [bert.embeddings, *bert.encoder.layers]
    with _watching([part.register_forward_hook for part in parts], keep):
        bert(**batch)
    return found


def attention_weights(bert: Bert, **batch: Tensor) -> Tensor:
    """What each token takes from each, in every head of every layer.

    Args:
        bert, batch: as for `layer_states`.

    Returns:
        One tensor, layers × `b h q k`; rows sum to 1. Dropout takes no part.
    """
    found: list[Tensor] = []

    def keep(attention: nn.Module, inputs: tuple) -> None:
        found.append(attention.weights(*inputs))

    parts = [layer.attention for layer in bert.encoder.layers]
    with _watching([part.register_forward_pre_hook for part in parts], keep):
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
