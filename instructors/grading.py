"""Grade a solution: on arguments drawn from a seed it must do what the chapter's does.

A chapter's file in `instructors/exercises` names each coded exercise:

    EXERCISES = {"gain": Exercise(gain_cases), "test_cut": Exercise(cuts, accepts)}

Nothing of the repository is needed here, so the tests can run all this in the kernel of
a chapter (tools/tested_copy.py). Whoever knows the seed knows the cases: keep it.
"""

import random
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from itertools import count
from math import isclose, isnan
from numbers import Integral, Number
from typing import Any

import torch
from torch import Tensor


def call(solution: Callable, *arguments: Any) -> Any:
    """What the solution returns."""
    return solution(*arguments)


def accepts(solution: Callable, *arguments: Any) -> bool:
    """For an exercise that is a test: does it let the candidate pass?

    Whatever it raises rejects the candidate, because a faulty one may well make a sound
    test stumble. One that stumbles over a right candidate has rejected it, too: every
    exercise of this kind has right candidates among its cases.
    """
    try:
        solution(*arguments)
    except Exception:
        return False
    return True


@dataclass(frozen=True)
class Exercise:
    """How one exercise is graded.

    Attributes:
        cases: from a seed and the chapter's global names to tuples of arguments.
        examine: from a solution and a case's arguments to what is compared.
        tolerance: of floating-point values, relative to their size.
    """

    cases: Callable[[int, Mapping[str, Any]], Sequence[tuple]]
    examine: Callable[..., Any] = call
    tolerance: float = 1e-5


def grade(
    solution: Callable,
    reference: Callable,
    exercise: Exercise,
    seed: int,
    given: Mapping[str, Any],
) -> list[str]:
    """A sentence for each case in which the solution differs from the reference.

    Args:
        solution: the function or class to grade.
        reference: the chapter's own.
        seed: whatever the cases draw, they draw from it.
        given: the chapter's global names, after all of its cells.
    """
    expected = right_results(reference, exercise, seed, given)
    return list(faults(solution, exercise, expected))


@dataclass(frozen=True)
class Expected:
    """One case: its number, the call in words, the arguments and the right result."""

    number: str
    call: str
    arguments: tuple
    right: Any


def right_results(
    reference: Callable, exercise: Exercise, seed: int, given: Mapping[str, Any]
) -> list[Expected]:
    """What the reference makes of the cases of a seed, for any number of solutions.

    Raises:
        ValueError: if the exercise has no case for the seed.
    """
    cases = exercise.cases(seed, given)
    if not cases:
        raise ValueError(f"there is no case of seed {seed}")
    name = getattr(reference, "__name__", "the solution")
    return [
        Expected(
            number=f"case {number} of {len(cases)}",
            call=f"{name}({', '.join(map(_short, arguments))})",
            arguments=arguments,
            right=examined(exercise, reference, arguments, number),
        )
        for number, arguments in enumerate(cases, start=1)
    ]


def faults(
    solution: Callable, exercise: Exercise, expected: Sequence[Expected]
) -> Iterator[str]:
    """As `grade`, one by one: who asks only whether there is any saves the others."""
    for number, case in enumerate(expected, start=1):
        try:
            found = examined(exercise, solution, case.arguments, number)
        except (Exception, SystemExit) as error:
            raised = f"raised {type(error).__name__}: {error}"
            fault = f"{raised}; {_short(case.right)} is right"
        else:
            fault = difference(found, case.right, exercise.tolerance)
        if fault:
            yield f"{case.number}, {case.call}: {fault}"


def examined(
    exercise: Exercise, solution: Callable, arguments: tuple, number: int
) -> Any:
    """What is compared, for copies of the arguments: a solution may change them.

    `number` is the case's, from which the global random state is made.

    Both solutions meet the same global random state. It is not that of the seed, or
    global numbers would pass for those of a generator that the case has seeded so.
    """
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        random.seed(-number)
        torch.manual_seed(2**31 + number)
        try:
            return exercise.examine(solution, *deepcopy(arguments))
        finally:
            random.setstate(state)


# Comparing ----------------------------------------------------------------------------


def difference(found: Any, right: Any, tolerance: float = 1e-5) -> str:
    """How a value differs from the right one; nothing if it does not.

    >>> difference({"loss": (1.0, 2.5)}, {"loss": (1.0, 2.0)})
    "['loss'][1] is 2.5, and 2.0 is right"
    """
    return next(_differences(found, right, tolerance, ""), "")


def _differences(found: Any, right: Any, tolerance: float, place: str) -> Iterator[str]:
    """Lists and tuples are alike, and so are a number and a tensor that holds one."""
    wrong = f"{place or 'the result'} is {_short(found)}, and {_short(right)} is right"
    if isinstance(right, Tensor):
        fault = _tensors_differ(found, right, tolerance)
        yield from [f"{place or 'the result'} {fault}"] if fault else []
    elif isinstance(right, Number):
        value = found.item() if getattr(found, "ndim", None) == 0 else found
        if not isinstance(value, Number) or not _close(value, right, tolerance):
            yield wrong
    elif isinstance(right, str | bytes | set | frozenset | None):
        if type(found) is not type(right) or found != right:
            yield wrong
    elif isinstance(right, Mapping):
        if not isinstance(found, Mapping) or found.keys() != right.keys():
            yield wrong
        else:
            for key in right:
                inside = f"{place}[{key!r}]"
                yield from _differences(found[key], right[key], tolerance, inside)
    elif isinstance(right, Sequence):
        if not isinstance(found, list | tuple) or len(found) != len(right):
            yield wrong
        else:
            for index, each, one in zip(count(), found, right, strict=False):
                yield from _differences(each, one, tolerance, f"{place}[{index}]")
    elif is_dataclass(right) and hasattr(found, "__dict__"):
        yield from _differences(vars(found), vars(right), tolerance, place)
    else:
        kind = type(right).__name__
        raise TypeError(
            f"{place or 'what is compared'} is a {kind}, and nobody knows when two of "
            "them are the same: let `examine` return its numbers"
        )


def _close(found: Any, right: Any, tolerance: float) -> bool:
    if isinstance(right, Integral):
        return found == right
    same = isclose(found, right, rel_tol=tolerance, abs_tol=tolerance / 1000)
    return same or (isnan(found) and isnan(right))


def _tensors_differ(found: Any, right: Tensor, tolerance: float) -> str:
    """Rounding goes with the larger of an entry and the middle one of all entries."""
    if not isinstance(found, Tensor):
        return f"is {_short(found)}, and a tensor is right"
    if (found.shape, found.dtype) != (right.shape, right.dtype):
        return f"is a {_kind(found)}, and a {_kind(right)} is right"
    found, right = found.detach().cpu(), right.detach().cpu()
    near = found == right
    if right.is_floating_point():
        sizes = right.abs()[right.isfinite() & (right != 0)]
        middle = sizes.median().item() if sizes.numel() else 0.0
        room = tolerance * max(middle, 0.01)
        near = found.isclose(right, rtol=tolerance, atol=room, equal_nan=True)
    if near.all():
        return ""
    first = tuple((~near).nonzero()[0].tolist())
    number = "{:.7g}" if right.is_floating_point() else "{}"
    is_, should = (number.format(each[first].item()) for each in (found, right))
    wrong = f"{(~near).sum()} of {near.numel()} differ"
    return f"at {first} is {is_}, and {should} is right; {wrong}"


# Saying -------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    """A value in a few words; small tensors with their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.maxother = self.maxstring = 60
        self.maxdict = self.maxlist = self.maxtuple = 8

    def repr_Tensor(self, tensor: Tensor, level: int) -> str:
        if tensor.numel() <= 12:
            return f"tensor({tensor.tolist()})"
        return _kind(tensor)

    def repr_function(self, function: Callable, level: int) -> str:
        return function.__name__


def _kind(tensor: Tensor) -> str:
    sizes = " × ".join(map(str, tensor.shape)) or "single number"
    return f"tensor of {sizes}, {str(tensor.dtype).removeprefix('torch.')}"


_short = _Short().repr
