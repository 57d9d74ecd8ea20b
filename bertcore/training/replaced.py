"""Replaced: a small model puts pieces into a text, a large one finds them (chapter 9).

Clark et al. 2020, ELECTRA (arXiv:2003.10555), section 3; google-research/electra,
run_pretraining.py, `PretrainingModel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

if TYPE_CHECKING:
    from bertcore.model.variants.electra import ElectraPair

WEIGHT = 50.0  # of the second loss: Clark et al. 2020, table 6


class ReplacedTokenObjective(nn.Module):
    """A generator, a discriminator, and the sums of their losses, in one module.

    The generator predicts masked pieces as BERT does, and draws one for each. The
    discriminator reads the text with what was drawn and says of every token, not of the
    masked ones alone, whether it was replaced. A piece that was drawn right counts as
    the original. No gradient goes from the one to the other through what was drawn;
    they share their tables.
    """

    losses = ("masked pieces", "replaced tokens")

    def __init__(self, model: ElectraPair, weight: float = WEIGHT) -> None:
        """
        Args:
            model: both parts.
            weight: of the discriminator's loss; that of the generator has 1.

        Raises:
            ValueError: if the weight is not more than 0.
        """
        super().__init__()
        if not weight > 0:
            raise ValueError(
                f"weight={weight!r} of the second loss must be more than 0"
            )
        self.model, self.weight = model, weight

    @staticmethod
    def also(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """The places of real tokens as `real`, and how many there are."""
        real = rearrange(batch["attention_mask"] > 0, "b s -> (b s)").nonzero()[:, 0]
        return {"real": real}, len(real)

    def forward(
        self,
        asked: Tensor,
        labels: Tensor,
        real: Tensor,
        input_ids: Tensor,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums over the masked pieces and, weighted, over all tokens, as `2`.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            real: places of all tokens, padding left out.
            input_ids: with [MASK] at each place that is asked.
            inputs: the others of `Bert.forward`.
        """
        generator, discriminator = self.model.generator, self.model.discriminator
        states = rearrange(generator.bert(input_ids, **inputs), "b s w -> (b s) w")
        table = generator.bert.embeddings.token.weight
        pieces = generator.mlm_head(states[asked], table).float()
        drawn = torch.multinomial(pieces.detach().softmax(-1), 1)[:, 0]
        shown = rearrange(input_ids, "b s -> (b s)").index_copy(0, asked, drawn)
        replaced = torch.zeros_like(shown, dtype=torch.float32)
        replaced = replaced.index_copy(0, asked, (drawn != labels).float())
        shown = rearrange(shown, "(b s) -> b s", s=input_ids.shape[1])
        scores = discriminator.head(discriminator.bert(shown, **inputs))
        found = rearrange(scores, "b s -> (b s)")[real].float()
        seen = F.binary_cross_entropy_with_logits(
            found, replaced[real], reduction="sum"
        )
        guessed = F.cross_entropy(pieces, labels, reduction="sum")
        return torch.stack([guessed, self.weight * seen])
