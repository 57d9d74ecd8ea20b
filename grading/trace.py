"""What a solution did, written down in the student's process and played in ours.

Some exercises are judged by a function that calls the solution and returns a verdict,
such as "as many places masked as were asked for". In the student's process that verdict
could be forged: torch may be patched there. So each call is written down, what it
returned and which arguments it changed, and the examiner plays it to the same function
in its own process. To forge what is played is to compute the right thing.
"""

import builtins
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grading.wire import Other, decode, encode

OBJECT = "an object"


def plain(value: Any) -> Any:
    """A copy of a value as it would arrive at the examiner's.

    >>> plain((1, {2: None}))
    [1, {2: None}]
    """
    return decode(*encode(value))


# Of what an argument may change -------------------------------------------------------


def state(argument: Any) -> Any:
    """What a call can change in an argument; None where nothing is watched."""
    match argument:
        case nn.Module():
            parts = dict(argument.named_parameters())
            return {"weights": parts, "slopes": {k: p.grad for k, p in parts.items()}}
        case torch.Generator():
            return argument.get_state()
        case np.random.Generator():
            return argument.bit_generator.state
        case random.Random():
            return argument.getstate()
        case Tensor() | list() | dict():
            return argument
    return None


def restore(argument: Any, content: Any) -> None:
    """Give an argument the state that a call left."""
    match argument:
        case nn.Module():
            for name, part in argument.named_parameters():
                part.data.copy_(content["weights"][name].detach())
                part.requires_grad_(content["weights"][name].requires_grad)
                part.grad = content["slopes"][name]
        case torch.Generator():
            argument.set_state(content)
        case np.random.Generator():
            argument.bit_generator.state = content
        case random.Random():
            version, numbers, last = content
            argument.setstate((version, tuple(numbers), last))
        case Tensor():
            argument.data.copy_(content.detach())
        case list():
            argument[:] = content
        case dict():
            argument.clear()
            argument.update(content)


def _differ(before: tuple, after: tuple) -> bool:
    (tree, tensors), (later, others) = before, after
    if tree != later:
        return True
    return any(not torch.equal(tensors[name], others[name]) for name in tensors)


# Writing down -------------------------------------------------------------------------


def recorded(solution: Callable, events: list[dict[str, Any]]) -> Callable:
    """The solution; what its calls do is appended to `events`.

    A class of modules stays itself, because whoever examines it looks at its insides:
    of such a one numbers are compared, which nobody can guess.
    """
    if isinstance(solution, type) and issubclass(solution, nn.Module):
        return solution

    @functools.wraps(solution, updated=())
    def record(*arguments: Any, **named: Any) -> Any:
        given = [*arguments, *named.values()]
        before = [encode(state(each)) for each in given]
        event: dict[str, Any] = {}
        try:
            value = solution(*arguments, **named)
            event["value"] = OBJECT if isinstance(solution, type) else plain(value)
        except BaseException as error:
            event["raised"] = type(error).__name__
            raise
        finally:
            after = [encode(state(each)) for each in given]
            event["changed"] = {
                place: decode(*new)
                for place, (old, new) in enumerate(zip(before, after, strict=True))
                if _differ(old, new)
            }
            events.append(event)
        return Recorded(value, events) if isinstance(solution, type) else value

    return record


class Recorded:
    """An object of the student's class, whose methods are written down."""

    def __init__(self, inner: Any, events: list[dict[str, Any]]) -> None:
        self._inner, self._events = inner, events

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return recorded(found, self._events) if callable(found) else found


# Playing ------------------------------------------------------------------------------


class Played:
    """Does what was written down, in the same order.

    Raises:
        ValueError: when called, if there is nothing more.
    """

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = iter(events)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        event = next(self._events, None)
        if not isinstance(event, dict):
            raise ValueError("the solution was not called so often")
        given = [*arguments, *named.values()]
        for place, content in event.get("changed", {}).items():
            restore(given[place], content)
        if "raised" in event:
            kind = getattr(builtins, str(event["raised"]), None)
            is_error = isinstance(kind, type) and issubclass(kind, Exception)
            raise (kind if is_error else RuntimeError)("as the solution did")
        value = event.get("value")
        if isinstance(value, Other):
            raise ValueError(f"it returned {value}, which cannot be played")
        return self if value == OBJECT and isinstance(value, str) else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self
