"""Operations: what a pass takes, counted on a model that holds no numbers (chapter 9).

A formula knows one architecture. Torch's `FlopCounterMode` counts the products of
matrices of any, also on its "meta" device, where tensors have shapes alone.
"""

import copy
import inspect
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Self

import torch
from einops import repeat
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_SHORT, _LONG, _LONGEST = 4, 8, 16  # tokens of the texts that are counted
_SIZES = (_SHORT, _LONG, _LONGEST)


class Costs(NamedTuple):
    """Operations of a forward pass: those of any, and of what it holds.

    `each` is for the pass itself, as for a table that is multiplied once, however much
    it is used; `token` for a token, `square` for two tokens of one text that meet, and
    `answer` for a masked piece.
    """

    each: float
    token: float
    square: float
    answer: float = 0.0

    @classmethod
    def of(cls, module: nn.Module) -> Self:
        """Those of a body, or of a body with its objective; it is not changed.

        Args:
            module: its forward pass takes what `Bert.forward` does and, of an
                objective, the places that are asked.
        """
        key = _key(module)
        if key not in _COUNTED:
            names = set(inspect.signature(module.forward).parameters)
            empty = _without_numbers(module)
            once = [_counted(empty, names, tokens, 1) for tokens in _SIZES]
            _COUNTED[key] = (*once, _counted(empty, names, _LONG, 2))
        short, long, longest, twice = _COUNTED[key]
        answer = twice - long
        flat = (long - short) / (_LONG - _SHORT)
        steep = (longest - long) / (_LONGEST - _LONG)
        square = (steep - flat) / (_LONGEST - _SHORT)
        token = flat - square * (_LONG + _SHORT)
        each = short - token * _SHORT - square * _SHORT**2 - answer
        return cls(each, token, square, answer)

    def useful(self, sizes: Sequence[int], answers: int) -> float:
        """Operations of a forward and backward pass over texts of these sizes.

        Three times those of the forward pass: a backward pass takes twice as many.
        """
        tokens, squares = sum(sizes), sum(size * size for size in sizes)
        found = self.each + self.token * tokens + self.square * squares
        return 3.0 * (found + self.answer * answers)


# What was counted, so that many models of one kind are counted once.
_COUNTED: dict[tuple[Any, ...], tuple[int, ...]] = {}


def _key(module: nn.Module) -> tuple[Any, ...]:
    """Which classes of parts, and which shapes: what the operations depend on."""
    kinds = tuple(type(part) for part in module.modules())
    return kinds, tuple(parameter.shape for parameter in module.parameters())


def _counted(
    module: nn.Module, names: Collection[str], tokens: int, answers: int
) -> int:
    """Of one pass over one text, on tensors without numbers."""
    given = _arguments(names, tokens, answers)
    given = {name: value.to("meta") for name, value in given.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(**given)
    return counter.get_total_flops()


def _without_numbers(module: nn.Module) -> nn.Module:
    """A copy of shapes alone, so that nothing large is copied."""
    known: dict[int, Tensor] = {}
    for parameter in module.parameters():
        known[id(parameter)] = nn.Parameter(parameter.detach().to("meta"))
    for buffer in module.buffers():
        known[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(module, known)


def _arguments(names: Collection[str], tokens: int, answers: int) -> dict[str, Tensor]:
    """One text, and as many masked pieces, for those who ask for them."""
    row = repeat(torch.arange(tokens), "s -> 1 s")
    asked, one = torch.arange(1, 1 + answers), torch.zeros(1, dtype=torch.long)
    known = {
        "asked": asked,
        "labels": asked,
        "left": asked - 1,
        "right": asked + 1,
        "offset": torch.zeros_like(asked),
        "real": torch.arange(tokens),
        "first": one,
        "follows": one,
    }
    return {"input_ids": row} | {name: known[name] for name in known if name in names}
