"""Memory: a layer's keys and values, kept while a text is written (chapter 7)."""

import torch
from torch import Tensor

from bertcore.model.attention import Attention

Offer = tuple[Tensor, Tensor]


class Memory:
    """The keys and values that one layer of a decoder need not compute again.

    `own` are those of the target so far, `source` those of the encoder's states, as
    `Attention.offer` gives them, `b h k d` each.
    """

    def __init__(self) -> None:
        self.own: Offer | None = None
        self.source: Offer | None = None

    @property
    def length(self) -> int:
        """Tokens of the target so far."""
        return 0 if self.own is None else self.own[0].shape[2]

    def extend(
        self,
        key: Tensor,  # b h q d
        value: Tensor,  # b h q d
    ) -> Offer:
        """Add what is new behind what was there, keep it, and give it back."""
        if self.own is not None:
            key = torch.cat([self.own[0], key], dim=2)  # b h k d
            value = torch.cat([self.own[1], value], dim=2)  # b h k d
        self.own = key, value
        return self.own

    def of_source(self, attention: Attention, source: Tensor) -> Offer:
        """The source's; computed the first time, and kept."""
        if self.source is None:
            self.source = attention.offer(source)
        return self.source

    def follow(self, rows: Tensor) -> None:
        """Go on from these rows of the batch, in this order, with the same sources."""
        if self.own is not None:
            self.own = self.own[0][rows], self.own[1][rows]

    def choose(self, rows: Tensor) -> None:
        """Keep these rows with their sources, in this order; one may be kept twice."""
        self.follow(rows)
        if self.source is not None:
            self.source = self.source[0][rows], self.source[1][rows]
