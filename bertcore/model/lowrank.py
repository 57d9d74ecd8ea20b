"""Low rank: few new weights learn beside many that stay as they are (chapter 10).

Hu et al. 2021, LoRA (arXiv:2106.09685). A matrix W gets a summand of rank r, the
product of two thin matrices. After training the summand is added to W, so the model is
as large and as fast as before.
"""

import math
from collections.abc import Collection
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAMES = ("query", "key", "value", "output", "widen", "narrow")


class LowRank(nn.Module):
    """A frozen linear layer, and the low-rank matrices that are learnt beside it.

    base(x) + scale · (x Aᵀ) Bᵀ, with scale = alpha / rank (section 4.1). `down` is the
    paper's A, `up` is B. B starts at 0, so the layer starts as `base` alone. A is
    uniform within ± 1 / √in: the paper says "random Gaussian", its code this
    (microsoft/LoRA, loralib/layers.py).
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        down = torch.empty(rank, base.in_features)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        self.down = nn.Parameter(down.to(base.weight))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """`… in` to `… out`."""
        return self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """`base` itself, with W + scale · B A for its weights."""
        self.base.weight += self.scale * (self.up @ self.down)
        return self.base


def add_low_rank(
    model: nn.Module,
    rank: int = 8,
    alpha: float | None = None,
    names: Collection[str] = ("query", "value"),
    seed: int = 0,
) -> int:
    """Freeze the embeddings and the encoder, and give its matrices low-rank summands.

    The pooler and the heads learn as before. Call `merge_low_rank` before you save.

    Args:
        model: with a head, such as `BertForSequenceClassification`; changed in place.
        rank: of the summands.
        alpha: their scale is alpha / rank. Default: the rank, so the scale is 1. The
            paper takes the first rank that it tries and keeps it: under Adam another
            alpha is hardly more than another learning rate (section 4.1).
        names: of the linear layers; by default the two of the paper's experiments.
        seed: of the starting weights.

    Returns:
        How many parameters learn now, pooler and heads included.

    Raises:
        ValueError: if a name, the rank or alpha makes no sense, or the model has
            low-rank layers already.
    """
    body = _body(model)
    if _low_rank_layers(model):
        raise ValueError(
            "the model has low-rank layers already; call merge_low_rank(model) first"
        )
    unknown = sorted(set(names) - set(NAMES))
    if unknown or not names:
        raise ValueError(
            f"names={names!r}: {', '.join(unknown) or 'nothing'} cannot be given a "
            f"low-rank summand; give a tuple of {', '.join(NAMES)}"
        )
    linears = {
        path: module
        for path, module in body.encoder.named_modules()
        if isinstance(module, nn.Linear) and path.rpartition(".")[2] in names
    }
    _check_rank(rank, linears)
    alpha = rank if alpha is None else alpha
    if not alpha > 0:
        raise ValueError(f"alpha={alpha!r} must be more than 0, such as the rank")
    # Frozen first: the matrices of the new layers are parameters that must learn.
    for parameter in _frozen(body):
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for path, linear in linears.items():
        body.encoder.set_submodule(path, LowRank(linear, rank, alpha, generator))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def merge_low_rank(model: nn.Module) -> None:
    """Add the low-rank matrices to the frozen ones, which are plain layers again.

    The model is changed in place; it computes the same as before, can be saved, and all
    of it learns again.
    An optimiser made before does not update the merged matrices; make a new one.

    Raises:
        ValueError: if there is nothing to merge.
    """
    body, layers = _body(model), _low_rank_layers(model)
    if not layers:
        raise ValueError(
            "the model has no low-rank layers; call add_low_rank(model) and train first"
        )
    for path, layer in layers.items():
        model.set_submodule(path, layer.merged())
    for parameter in _frozen(body):
        parameter.requires_grad_(True)


def _body(model: nn.Module) -> nn.Module:
    if not hasattr(model, "bert"):
        raise ValueError(
            f"{type(model).__name__} has no part `bert`; give a model with a head, "
            "such as BertForSequenceClassification"
        )
    return model.bert


def _low_rank_layers(model: nn.Module) -> dict[str, LowRank]:
    """By the path of each in the model."""
    named = model.named_modules()
    return {path: module for path, module in named if isinstance(module, LowRank)}


def _frozen(body: nn.Module) -> chain[nn.Parameter]:
    """The parameters that stay as they are: those of all but the pooler."""
    return chain(body.embeddings.parameters(), body.encoder.parameters())


def _check_rank(rank: int, linears: dict[str, nn.Linear]) -> None:
    for path, linear in linears.items():
        most = min(linear.in_features, linear.out_features)
        if not isinstance(rank, int) or not 1 <= rank <= most:
            raise ValueError(
                f"rank={rank!r}, but {path} is {linear.out_features} x "
                f"{linear.in_features}; give a whole number, 1 to {most}"
            )
