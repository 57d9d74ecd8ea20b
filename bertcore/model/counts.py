"""Counts: parameters and operations of any model (chapters 8 and 9).

Operations are counted by PyTorch's `FlopCounterMode`, or by a formula where it holds.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Self

import torch
from einops import repeat
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bertcore.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertcore.model.config import BertConfig
from bertcore.model.encoder import EncoderLayer

_SHORT, _LONG, _LONGEST = 4, 8, 16  # tokens of the texts that are counted
_SIZES = (_SHORT, _LONG, _LONGEST)
# What was counted, so that many models of one kind are counted once.
_COUNTED: dict[tuple[Any, ...], tuple[int, ...]] = {}


def parameters(model: nn.Module) -> dict[str, int]:
    """Parameters of each part of a model; what two parts share counts for the first.

    >>> from bertcore.model.bert import Bert
    >>> parameters(Bert(BertConfig.preset("tiny", vocab_size=100)))
    {'embeddings': 78848, 'encoder': 396544, 'pooler': 16512}
    """
    body = getattr(model, "bert", model)
    found: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        own = name.removeprefix("bert.") if body is not model else name
        part = own.partition(".")[0]
        found[part] = found.get(part, 0) + parameter.numel()
    return found


def operations(
    kind: Callable[[BertConfig], nn.Module], config: BertConfig, length: int
) -> int:
    """Operations of a forward pass over one text, by PyTorch's `FlopCounterMode`.

    A multiplication and the addition behind it are two; only products of matrices
    count. No number is computed, so a large model costs nothing.

    Args:
        kind: a class, such as `Bert`.
        config: of a model of it.
        length: tokens of the text.
    """
    with torch.device("meta"):
        model = kind(config).eval()
        ids = torch.zeros(1, length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids)
    return counter.get_total_flops()


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


def costs(objective: nn.Module) -> BertConfig | Costs:
    """What `useful_operations` takes: a config if its formula holds, or measured ones.

    Args:
        objective: of a model for pretraining.
    """
    model = objective.model
    if type(model) in (BertForMaskedLM, BertForPreTraining) and _is_plain(model.bert):
        return model.config
    return Costs.of(objective)


def body_costs(model: nn.Module) -> BertConfig | Costs:
    """As `costs`, of the body of a model alone."""
    return model.config if _is_plain(model.bert) else Costs.of(model.bert)


def _is_plain(body: nn.Module) -> bool:
    """Whether it is BERT's own."""
    return type(body) is Bert and all(
        type(layer) is EncoderLayer for layer in body.encoder.layers
    )


def useful_operations(
    shape: BertConfig | Costs, sizes: list[int], predictions: int
) -> float:
    """Operations of a forward and backward pass over texts of these sizes.

    Three times those of the forward pass: a backward pass takes twice as many.

    Args:
        shape: the config of a BERT, whose operations a formula knows; or measured ones.
        sizes: of the texts, in tokens.
        predictions: masked pieces that are asked for.
    """
    if isinstance(shape, Costs):
        return shape.useful(sizes, predictions)
    width, layers = shape.hidden_size, shape.layers
    tokens, squares = sum(sizes), sum(size * size for size in sizes)
    matrices = (8 * width + 4 * shape.feedforward_size) * width * layers * tokens
    mixing = 4 * width * layers * squares
    head = 2 * predictions * width * (width + shape.vocab_size)
    return 3.0 * (matrices + mixing + head)
