"""Search: how the next token is chosen, and when a text ends (chapter 7)."""

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from bertcore.model.fields import changed

# Of BERT's published vocabularies.
CLS_ID, SEP_ID = 101, 102

# The fields that count, or are an id, and the least that they may be.
_WHOLE = {"max_tokens": 1, "beams": 1, "top_k": 1}
_WHOLE |= {"start_id": 0, "stop_id": 0, "seed": 0}
# Logits divided by less may be more than single precision holds.
_COLDEST = 0.001


@dataclass(frozen=True)
class Search:
    """How a text is written, token by token.

    The default takes the likeliest token each time (greedy). More `beams` follow as
    many beginnings at once. A `temperature` above 0 draws.

    Args:
        max_tokens: the most that are written; the one that ends counts.
        beams: beginnings that are followed at once.
        length_penalty: a finished beam's score is the sum of its log-probabilities
            divided by length ** length_penalty: 0 favours short texts, 1 compares
            means, more favours long ones.
        temperature: the logits are divided by it, and a token is drawn; 0 draws none.
        top_k: draw among so many likeliest only (Fan et al. 2018).
        top_p: draw among the fewest likeliest that have this probability together
            (Holtzman et al. 2020).
        start_id: what a target begins with: [CLS].
        stop_id: what ends it: [SEP]. None: all texts have `max_tokens`.
        seed: of what is drawn.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    max_tokens: int = 64
    beams: int = 1
    length_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    start_id: int = CLS_ID
    stop_id: int | None = SEP_ID
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if value is None and name in ("top_k", "stop_id"):
                continue
            if type(value) is not int or value < least:
                raise ValueError(
                    f"{name}={value!r} must be an integer of {least} or more"
                )
        for name in ("temperature", "length_penalty"):
            if not _is_number(getattr(self, name)):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} must be a finite number"
                )
        if self.temperature and self.temperature < _COLDEST:
            raise ValueError(
                f"temperature={self.temperature!r} must be 0, which draws nothing, or "
                f"{_COLDEST} or more"
            )
        if self.top_p is not None and not (
            _is_number(self.top_p) and 0 < self.top_p <= 1
        ):
            raise ValueError(f"top_p={self.top_p!r} must be above 0, and at most 1")
        narrowed = self.top_k is not None or self.top_p is not None
        if narrowed and not self.temperature:
            raise ValueError(
                "top_k and top_p say among which tokens one is drawn, and with "
                "temperature=0 none is; give temperature=1.0, or leave them out"
            )
        if self.beams > 1 and self.temperature:
            raise ValueError(
                f"beams={self.beams} and temperature={self.temperature}: beams follow "
                "the likeliest, a temperature draws; give one of the two"
            )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return changed(self, changes)


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def narrowed(
    logits: Tensor,  # b v
    search: Search,
) -> Tensor:
    """Logits as the search draws from them: divided, and -inf where it never does."""
    logits = logits / search.temperature  # b v
    if search.top_k is not None:
        count = min(search.top_k, logits.shape[-1])
        least = logits.topk(count).values[:, -1:]  # b 1
        logits = logits.masked_fill(logits < least, -torch.inf)  # b v
    if search.top_p is not None and search.top_p < 1:
        ordered, order = logits.sort(descending=True)
        chances = ordered.softmax(-1)  # b v
        before = chances.cumsum(-1) - chances  # b v
        dropped = before >= search.top_p  # b v
        logits = logits.masked_fill(
            torch.zeros_like(dropped).scatter(-1, order, dropped), -torch.inf
        )  # b v
    return logits


def chosen(
    logits: Tensor,  # b v
    search: Search,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The next token of each text, `b`: the likeliest, or one that is drawn."""
    if not search.temperature:
        return logits.argmax(-1)  # b
    chances = narrowed(logits, search).softmax(-1)  # b v
    return torch.multinomial(chances, 1, generator=generator)[:, 0]  # b
