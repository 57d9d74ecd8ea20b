"""Checks: is what we built the same as the official one, forwards and backwards?

And what a reader has earned with the exercises: `passed` stands in their checks.
"""

import ast
import inspect
import math
import random
import reprlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from difflib import unified_diff
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import bertcore
from bertcore.files import write_json
from bertcore.model.inference import evaluation

# Exercise -> its points, once its check has passed in this process.
_EARNED: dict[str, int] = {}


@dataclass(frozen=True)
class Same:
    """What `assert_same` compared and the largest differences it found."""

    outputs: int
    gradients: int
    output_difference: float
    gradient_difference: float

    def __repr__(self) -> str:
        return (
            f"same: {self.outputs} output{'s' * (self.outputs != 1)} within "
            f"{self.output_difference:.0e}, {self.gradients} "
            f"gradient{'s' * (self.gradients != 1)} within "
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
    They are compared for every parameter and for every floating-point input.

    Args:
        mine: the model or function to check.
        theirs: the reference.
        inputs, keyword_inputs: given to both.
        names: from a parameter's name in `mine` to its name in `theirs`.
        pick: what to take from the reference's output, if it returns more.
        where: which positions of an output count, `b s`, such as
            `attention_mask.bool()` to leave padding out; transformers gives the
            padding piece no gradient, BERT's own code does.
        forward: largest allowed absolute difference of an output.
        backward: largest allowed difference of a gradient, relative to its size.

    Raises:
        AssertionError: naming the first output or gradient that differs.
        ValueError: if the parameters cannot be matched, or nothing is compared.
    """
    # Copies, because the caller's models must not change.
    if isinstance(mine, nn.Module):
        mine, theirs = deepcopy(mine).eval(), deepcopy(theirs).eval()
        parameters = _copy_weights(mine, theirs, names or (lambda name: name))
    else:
        parameters = {name: (p, p) for name, p in theirs.named_parameters()}
    our_run = _Run(mine, inputs, keyword_inputs)
    with evaluation(theirs):
        their_run = _Run(theirs, inputs, keyword_inputs, pick)
    outputs = our_run.counted(where)
    worst_output = _compare_outputs(outputs, their_run.counted(where), forward)
    leaves = {name: (x, their_run.leaves[name]) for name, x in our_run.leaves.items()}
    pairs = {**parameters, **leaves}
    paired = {id(their) for _, their in parameters.values()}
    unpaired = {n: p for n, p in theirs.named_parameters() if id(p) not in paired}
    our_gradients = our_run.gradients([our for our, _ in pairs.values()], where)
    # All in one call, because the first one frees the graph.
    variables = [*(their for _, their in pairs.values()), *unpaired.values()]
    their_gradients = their_run.gradients(variables, where)
    for name, gradient in zip(unpaired, their_gradients[len(pairs) :], strict=True):
        if gradient is not None:
            raise AssertionError(f"the reference learns {name}, which mine lacks")
    gradients = {
        name: (our, their)
        for name, our, their in zip(pairs, our_gradients, their_gradients, strict=False)
        if our is not None or their is not None
    }
    worst_gradient = _compare_gradients(gradients, backward)
    return Same(len(outputs), len(gradients), worst_output, worst_gradient)


def changed_lines(before: type, after: type, method: str = "forward") -> list[str]:
    """What a method of one class lacks beside another's, and what it has instead.

    Docstrings, comments and layout do not count, and neither does a line that both
    have. Lines of `before` begin with `-`, those of `after` with `+`.

    Raises:
        ValueError: if one of the two has no such method.
    """
    both = _code_of(before, method), _code_of(after, method)
    lines = unified_diff(*both, n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _code_of(kind: type, method: str) -> list[str]:
    """The lines of a method, one statement each."""
    if method not in vars(kind):
        raise ValueError(f"{kind.__name__} has no method {method!r} of its own")
    source = textwrap.dedent(inspect.getsource(vars(kind)[method]))
    (tree,) = ast.parse(source).body
    if ast.get_docstring(tree):
        tree.body = tree.body[1:]
    return ast.unparse(tree.body).splitlines()


class _Run:
    """One call of a model, on its own copies of the inputs that have gradients."""

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Sequence[Any],
        keyword_inputs: Mapping[str, Any],
        pick: Callable[[Any], Any] | None = None,
    ) -> None:
        arguments = [_leaf(value) for value in inputs]
        keywords = {name: _leaf(value) for name, value in keyword_inputs.items()}
        output = model(*arguments, **keywords)
        self.outputs = list(_walk(pick(output) if pick else output))
        named = [
            *((f"input {i}", x) for i, x in enumerate(arguments)),
            *keywords.items(),
        ]
        self.leaves = {
            name: x for name, x in named if getattr(x, "requires_grad", False)
        }

    def counted(self, where: Tensor | None) -> list[Tensor]:
        """The outputs, only where they count."""
        return [
            tensor[where]
            if where is not None
            and tensor.dim() > where.dim()
            and tensor.shape[: where.dim()] == where.shape
            else tensor
            for tensor in self.outputs
        ]

    def gradients(
        self, variables: Sequence[Tensor], where: Tensor | None
    ) -> list[Tensor | None]:
        """Gradients of a random weighted sum of the outputs; None where none comes."""
        generator = torch.Generator().manual_seed(0)
        total: Tensor | float = 0.0
        for output in self.counted(where):
            weights = torch.randn(output.shape, generator=generator)
            total = total + (output * weights.to(output)).sum()
        if not variables or not getattr(total, "requires_grad", False):
            return [None] * len(variables)
        return list(torch.autograd.grad(total, variables, allow_unused=True))


def _leaf(value: Any) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().clone().requires_grad_() if floating else value


def _copy_weights(
    mine: nn.Module, theirs: nn.Module, names: Callable[[str], str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Copy by name, and pair the parameters."""
    available = dict(theirs.named_parameters())
    pairs = {}
    for name, parameter in mine.named_parameters():
        source = available.get(names(name))
        if source is None or source.shape != parameter.shape:
            there = "nothing of that name" if source is None else tuple(source.shape)
            raise ValueError(
                f"{name} {tuple(parameter.shape)} needs {names(name)!r} of the same "
                f"shape in {type(theirs).__name__}, which has {there}; pass `names` "
                "to translate"
            )
        with torch.no_grad():
            parameter.copy_(source)
        pairs[name] = (parameter, source)
    return pairs


def _walk(output: Any) -> Iterator[Tensor]:
    """All tensors of an output, in order; those of a mapping by sorted name."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for name in sorted(output):
            yield from _walk(output[name])
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _walk(value)


def _compare_outputs(ours: list[Tensor], theirs: list[Tensor], limit: float) -> float:
    if len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} outputs, the reference has {len(theirs)}")
    if not any(their.numel() for their in theirs):
        raise ValueError(
            "no output counts, so there is nothing to compare; see `where`"
        )
    worst = 0.0
    for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if (our.shape, our.dtype) != (their.shape, their.dtype):
            raise AssertionError(
                f"output {index} is {tuple(our.shape)} {our.dtype}, "
                f"the reference's is {tuple(their.shape)} {their.dtype}"
            )
        difference = _largest(our - their)
        if not difference <= limit:  # not ">", which lets NaN pass
            raise AssertionError(
                f"output {index} differs by up to {difference:.1e}, allowed {limit:.0e}"
            )
        worst = max(worst, difference)
    return worst


def _compare_gradients(
    pairs: Mapping[str, tuple[Tensor | None, Tensor | None]], limit: float
) -> float:
    """The size of a gradient is its largest entry.

    A gradient that is zero in theory (a key's bias) is rounding noise in practice, so
    a difference is measured against the largest gradient of all where it is below a
    hundredth of `limit` of that.
    """
    largest = max((_largest(their) for _, their in pairs.values()), default=0.0)
    worst = 0.0
    for name, (our, their) in pairs.items():
        their = torch.zeros_like(our) if their is None else their
        our = torch.zeros_like(their) if our is None else our
        difference = _largest(our - their)
        if difference == 0:  # also where both are 0, which has no size to divide by
            continue
        noise = difference <= 0.01 * limit * largest
        size = largest if noise else _largest(their)
        relative = difference / size if size else float("inf")
        if not relative <= limit:
            raise AssertionError(
                f"the gradient of {name} differs by {relative:.1e} of its size, "
                f"allowed {limit:.0e}, though the outputs agree"
            )
        worst = max(worst, relative)
    return worst


def _largest(tensor: Tensor | None) -> float:
    if tensor is None or not tensor.numel():
        return 0.0
    return tensor.detach().abs().max().item()


# Points -------------------------------------------------------------------------------


class _Shown(str):
    """A text that a notebook shows as it is, without quotation marks."""

    __repr__ = str.__str__


def passed(exercise: str, points: int) -> str:
    """Note that an exercise's check has passed; passing again adds nothing.

    >>> passed("1.4", 3)
    1.4 passed, 3 points
    """
    _EARNED[exercise] = points
    return _Shown(f"{exercise} passed, {_points(points)}")


def found(exercise: str, call: Callable[[Any], Any], yours: Any, changed: Any) -> str:
    """Check that a call tells a solution from the same with a change.

    Args:
        exercise: its number.
        call: gets a solution, and returns what is compared. An error is a result, too,
            because a test speaks by raising one.
        yours, changed: the two solutions.

    Raises:
        AssertionError: if both do the same, or one does not do the same twice.
    """
    mine, again, other = (_done(call, each) for each in (yours, yours, changed))
    told = [reprlib.repr(each) for each in (mine, again, other)]
    if not _alike(mine, again):
        raise AssertionError(
            f"yours gives {told[0]} and then {told[1]}: let the call make its "
            "arguments itself, and return numbers, texts or tensors"
        )
    if _alike(mine, other):
        raise AssertionError(f"both give {told[0]}; try another call")
    return _Shown(f"{exercise} found: yours gives {told[0]}, the changed one {told[2]}")


def _done(call: Callable[[Any], Any], solution: Any) -> Any:
    """What a call returns, or the error that it raises, from the same random state."""
    torch.manual_seed(0)
    random.seed(0)
    try:
        return call(solution)
    except NotImplementedError:
        raise
    except Exception as error:
        return error


def _alike(one: Any, other: Any) -> bool:
    """Whether two results are the same, but for rounding."""
    match one, other:
        case Exception(), Exception():
            return type(one) is type(other)
        case Tensor(), Tensor():
            if (one.shape, one.dtype) != (other.shape, other.dtype):
                return False
            return torch.allclose(one, other, rtol=1e-5, atol=1e-7, equal_nan=True)
        case float(), float():
            same = math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-8)
            return same or (math.isnan(one) and math.isnan(other))
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(
                _alike(one[key], other[key]) for key in one
            )
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(map(_alike, one, other))
    return type(one) is type(other) and bool(one == other)


def report(
    chapter: str,
    coded: Mapping[str, int],
    in_words: Mapping[str, int],
    optional: Mapping[str, int] | None = None,
) -> str:
    """Add up a chapter's points, and write `points-CHAPTER.json` into this folder.

    Args:
        chapter: such as "01-wordpiece".
        coded: the points of each exercise that has a check.
        in_words: the points of each answer in words, which a person has to read.
        optional: the points of exercises with a check that nobody has to do. They
            are told apart from the others, and are in no total.
    """
    optional = optional or {}
    earned = {name: _EARNED[name] for name in coded if name in _EARNED}
    beyond = {name: _EARNED[name] for name in optional if name in _EARNED}
    lines = [f"{name} passed, {_points(points)}" for name, points in earned.items()]
    for name in coded.keys() - earned:
        lines.append(f"{name} not yet, {_points(coded[name])}: run its check")
    for name, points in optional.items():
        done = "passed" if name in beyond else "not tried"
        lines.append(f"{name} {done}, {_points(points)}: optional")
    for name, points in in_words.items():
        lines.append(f"{name} to be read by a person, {_points(points)}")
    file = Path(f"points-{chapter}.json")
    about = {"chapter": chapter, "date": date.today().isoformat()}
    points = {"earned": earned, "coded": dict(coded), "in_words": dict(in_words)}
    points["optional"] = beyond
    write_json(file, {**about, "bertcore": bertcore.__version__, **points})
    total = f"{sum(earned.values())} of {_points(sum(coded.values()))} in code"
    return _Shown("\n".join([*sorted(lines), f"{total}; written to {file}"]))


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"
