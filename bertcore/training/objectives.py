"""Objectives: the two losses of pretraining (chapter 6).

The reference is google-research/bert run_pretraining.py, `get_masked_lm_output`,
`get_next_sentence_output` and `model_fn_builder`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.tasks import BertForPreTraining
from bertcore.text.batch import NOT_ASKED


class Losses(NamedTuple):
    """The mean loss of the masked pieces and that of the pairs, in nats."""

    masked_lm: Tensor
    next_sentence: Tensor

    def total(self) -> Tensor:
        """Their sum, unweighted: what is trained on."""
        return self.masked_lm + self.next_sentence


def masked_lm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over all places where something is asked, in the whole batch.

    The sum is divided by the number of these places, and so are its gradients; all
    other places get none.

    Args:
        logits: `… v`.
        labels: the true pieces, `…`; -100 where nothing is asked.

    Raises:
        ValueError: if nothing is asked anywhere.
    """
    asked = labels != NOT_ASKED
    if not asked.any():
        raise ValueError(
            "no place has a label, so there is nothing to predict; hide some tokens "
            "first, as bertcore.text.masking.Masker does"
        )
    return F.cross_entropy(logits[asked].float(), labels[asked])


def next_sentence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the pairs.

    Args:
        logits: `b 2`.
        labels: `b`, 0 if the second text follows the first, 1 if it is random. Every
            label counts: 0 is a class here, not padding.
    """
    return F.cross_entropy(logits.float(), labels)


def pretraining_losses(
    model: BertForPreTraining, batch: Mapping[str, Tensor]
) -> Losses:
    """Both losses of a batch, padded or packed.

    The vocabulary is scored at the masked places only. That is the same loss, and at
    15 % it saves most of the work of the head.

    Args:
        model: its parts are used, not its `forward`.
        batch: with `labels`, `b s`, and `next_sentence_label`, one for each text, in
            packed rows in reading order.

    Raises:
        ValueError: if nothing is asked anywhere, or there is not one label a text.
    """
    targets = ("labels", "next_sentence_label")
    inputs = {name: value for name, value in batch.items() if name not in targets}
    hidden = model.bert(**inputs)  # b s w
    asked = batch["labels"] != NOT_ASKED
    table = model.bert.embeddings.token.weight
    pieces = model.mlm_head(hidden[asked], table)
    first = hidden[begins(batch)]
    labels = batch["next_sentence_label"]
    if len(first) != len(labels):
        raise ValueError(
            f"{len(first)} texts, but next_sentence_label has {len(labels)}; give "
            "each text one, in packed rows in reading order"
        )
    pooled = model.bert.pooler(rearrange(first, "b w -> b 1 w"))
    return Losses(
        masked_lm_loss(pieces, batch["labels"][asked]),
        next_sentence_loss(model.nsp_head(pooled), labels),
    )


def pair_head(model: nn.Module) -> nn.Module | None:
    """What judges pairs: the next sentence (BERT), or their order (ALBERT).

    Args:
        model: for pretraining.

    Returns:
        A module from pooled vectors, `b w`, to two scores, `b 2`; or None.
    """
    return getattr(model, "nsp_head", getattr(model, "sop_head", None))


def begins(batch: Mapping[str, Tensor]) -> Tensor:
    """Where a text begins, `b s`: in packed rows, where its positions start again."""
    if "position_ids" in batch:
        return (batch["position_ids"] == 0) & (batch["attention_mask"] > 0)
    begins = batch["input_ids"].new_zeros(batch["input_ids"].shape).bool()
    begins[:, 0] = True
    return begins
