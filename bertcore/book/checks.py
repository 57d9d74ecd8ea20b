"""Checks: is what we built the same as the official one, forwards and backwards?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Same:
    """What `assert_same` compared and the largest differences it found."""

    outputs: int
    gradients: int
    output_difference: float
    gradient_difference: float

    def __repr__(self) -> str:
        return (
            f"same: {self.outputs} output{'s' * (self.outputs > 1)} within "
            f"{self.output_difference:.0e}, {self.gradients} gradients within "
            f"{self.gradient_difference:.0e} of their size"
        )


def assert_same(
    mine: Callable[..., Any],
    theirs: nn.Module,
    *inputs: Any,
    names: Callable[[str], str] | None = None,
    pick: Callable[[Any], Any] | None = None,
    where: Tensor | None = None,
    forward: float = 1e-5,
    backward: float = 1e-4,
    **keyword_inputs: Any,
) -> Same:
    """Check that two models compute the same function and the same gradients.

    Modules are copied, put in evaluation mode, and `theirs` gives its weights to
    `mine`. If `mine` is a plain function it is taken to use the parameters of
    `theirs` itself. Gradients are those of a fixed random weighted sum of all
    outputs: a plain sum would hide errors that cancel, as it does after LayerNorm.

    Args:
        mine: the model or function to check.
        theirs: the reference.
        inputs, keyword_inputs: given to both.
        names: from a parameter's name in `mine` to its name in `theirs`.
        pick: what to take from the reference's output, if it returns more.
        where: which outputs count, such as `attention_mask.bool()` to leave padding
            out; transformers gives the padding piece no gradient, BERT's own code does.
        forward: largest allowed absolute difference of an output.
        backward: largest allowed difference of a gradient, relative to its size.

    Raises:
        AssertionError: naming the first output or gradient that differs.
        ValueError: if the parameters cannot be matched.
    """
    reference = theirs
    if isinstance(mine, nn.Module):
        mine, reference = deepcopy(mine).eval(), deepcopy(theirs).eval()
        pairs = _copy_weights(mine, reference, names or (lambda name: name))
    else:
        pairs = {name: (p, p) for name, p in theirs.named_parameters()}
    with _evaluating(reference):
        found = mine(*inputs, **keyword_inputs)
        expected = reference(*inputs, **keyword_inputs)
    our_outputs = _tensors(found, where)
    their_outputs = _tensors(pick(expected) if pick else expected, where)
    worst_output = _compare_outputs(our_outputs, their_outputs, forward)
    ours = _gradients(our_outputs, [our for our, _ in pairs.values()])
    expected_gradients = _gradients(
        their_outputs, [their for _, their in pairs.values()]
    )
    worst = _compare_gradients(list(pairs), ours, expected_gradients, backward)
    return Same(len(our_outputs), len(pairs), worst_output, worst)


def _copy_weights(
    mine: nn.Module, theirs: nn.Module, names: Callable[[str], str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Copy by name, and pair the parameters."""
    available = dict(theirs.named_parameters())
    pairs = {}
    for name, parameter in mine.named_parameters():
        source = available.get(names(name))
        if source is None or source.shape != parameter.shape:
            found = "nothing of that name" if source is None else tuple(source.shape)
            raise ValueError(
                f"{name} {tuple(parameter.shape)} needs {names(name)!r} of the same "
                f"shape in {type(theirs).__name__}, which has {found}; pass `names` "
                "to translate"
            )
        with torch.no_grad():
            parameter.copy_(source)
        pairs[name] = (parameter, source)
    return pairs


class _evaluating:
    """Evaluation mode for a while."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.training = module, module.training

    def __enter__(self) -> None:
        self.module.eval()

    def __exit__(self, *_: object) -> None:
        self.module.train(self.training)


def _tensors(output: Any, where: Tensor | None) -> list[Tensor]:
    """All tensors of an output in order, only where they count."""
    return [
        tensor[where]
        if where is not None and tensor.shape[: where.dim()] == where.shape
        else tensor
        for tensor in _walk(output)
    ]


def _walk(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _walk(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _walk(value)


def _compare_outputs(ours: list[Tensor], theirs: list[Tensor], limit: float) -> float:
    if len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} outputs, the reference has {len(theirs)}")
    worst = 0.0
    for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if our.shape != their.shape:
            raise AssertionError(
                f"output {index} is {tuple(our.shape)}, "
                f"the reference's is {tuple(their.shape)}"
            )
        difference = _largest(our - their)
        if not difference <= limit:
            raise AssertionError(
                f"output {index} differs by up to {difference:.1e}, allowed {limit:.0e}"
            )
        worst = max(worst, difference)
    return worst


def _gradients(outputs: list[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of a random weighted sum of the outputs; zeros where none arrives."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(())
    for output in outputs:
        weights = torch.randn(output.shape, generator=generator)
        total = total + (output * weights.to(output)).sum()
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def _compare_gradients(
    names: list[str], ours: list[Tensor], theirs: list[Tensor], limit: float
) -> float:
    """The size of a gradient is its largest entry.

    A gradient that is zero in theory (a key's bias) is rounding noise in practice,
    so sizes below a millionth of the largest gradient count as that much.
    """
    floor = 1e-6 / limit * max((_largest(their) for their in theirs), default=0.0)
    worst = 0.0
    for name, our, their in zip(names, ours, theirs, strict=True):
        size = max(_largest(their), floor)
        difference = _largest(our - their) / size if size else _largest(our)
        if not difference <= limit:
            raise AssertionError(
                f"the gradient of {name} differs by {difference:.1e} of its size, "
                f"allowed {limit:.0e}, though the outputs agree"
            )
        worst = max(worst, difference)
    return worst


def _largest(tensor: Tensor) -> float:
    return tensor.detach().abs().max().item() if tensor.numel() else 0.0
