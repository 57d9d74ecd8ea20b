"""Counts: parameters and operations of any model (chapters 8 and 9).

Operations are counted by PyTorch's `FlopCounterMode`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bertcore.model.config import BertConfig
from bertcore.model.inference import evaluation


def parameters(model: nn.Module) -> dict[str, int]:
    """Parameters of each part of a model; what two parts share counts for the first.

    >>> from bertcore.model.bert import Bert
    >>> parameters(Bert(BertConfig.preset("tiny", vocab_size=100)))
    {'embeddings': 78848, 'encoder': 396544, 'pooler': 16512}
    """
    body = getattr(model, "bert", model)
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        name = name.removeprefix("bert.") if body is not model else name
        counts[name.partition(".")[0]] += parameter.numel()
    return dict(counts)


def operations(
    kind: Callable[[BertConfig], nn.Module], config: BertConfig, length: int
) -> int:
    """Operations of a forward pass over one text, by PyTorch's `FlopCounterMode`.

    A multiplication and the addition after it are two; only products of matrices
    count. No number is computed, so a large model costs nothing. `kind` is a class,
    such as `Bert`; `length` counts tokens.
    """
    with torch.device("meta"):
        model = kind(config).eval()
        ids = torch.zeros(1, length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids)
    return counter.get_total_flops()


class Countable(Protocol):
    """A batch: arguments of an objective, and what its operations grow with."""

    arguments: Mapping[str, Tensor]

    @property
    def amounts(self) -> Tensor:
        """Numbers such as texts, tokens, squares of lengths, and answers."""

    def to(self, device: torch.device) -> Self:
        """On the device."""


class Costs(NamedTuple):
    """Operations of a forward and backward pass for one of each of a batch's amounts.

    They are what an objective needs, so padding is free, and so is what attention
    computes between two texts of one packed row. Attention within a window is counted
    as it is computed, which is over the whole text.
    """

    weights: Tensor

    @classmethod
    def of(cls, objective: nn.Module, batches: Iterable[Countable]) -> Self:
        """The costs of an objective; its gradients are gone afterwards.

        Args:
            objective: one that `train` takes. On the meta device no number is computed,
                so a large model costs nothing; elsewhere each batch is a pass.
            batches: small ones without padding, in which the amounts differ.
        """
        # A text of n tokens takes a + b n + c n² operations: a table of distances is
        # multiplied once, weights meet each token, and in attention each token meets
        # each. So three lengths are enough to know the parabola; a batch with more
        # texts and one with more answers tell what these take. A sum of such terms is
        # linear in the amounts. Amounts that always grow together, as texts and pairs
        # do, share the cost between them, which the pseudo-inverse allows.
        amounts, operations = [], []
        device = next(objective.parameters()).device
        for batch in batches:
            amounts.append(batch.amounts)
            operations.append(_counted(objective, batch.to(device).arguments))
        inverse = torch.linalg.pinv(torch.stack(amounts))
        return cls(inverse @ torch.tensor(operations, dtype=torch.float64))

    def useful(self, batch: Countable) -> float:
        """Operations of a forward and backward pass over a batch."""
        return (self.weights @ batch.amounts).item()


def _counted(objective: nn.Module, arguments: Mapping[str, Tensor]) -> int:
    """Operations of one pass; frozen parameters get no gradient, so they cost less."""
    # PyTorch counts attention on a CPU only where it is two products, and those once:
    # other kernels multiply again in the backward pass, which saves memory alone.
    kernel, counter = sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False)
    # In training a layer may be computed twice to save memory: useful it is once.
    with evaluation(objective), kernel, counter:
        objective(**arguments).sum().backward()
    objective.zero_grad(set_to_none=True)
    return counter.get_total_flops()
