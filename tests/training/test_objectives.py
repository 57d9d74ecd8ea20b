"""Both losses: equal to transformers, padded or packed, and blind to empty slots."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bertcore import BertForPreTraining
from bertcore.book.checks import assert_same
from bertcore.model.published import published_name
from bertcore.text.batch import IGNORE_INDEX, pack
from bertcore.training.objectives import (
    Losses,
    masked_lm_loss,
    next_sentence_loss,
    pretraining_losses,
)
from tests.conftest import fill_with_large_weights, tiny_config
from tests.model.test_parity import theirs

Batch = dict[str, torch.Tensor]


@pytest.fixture
def asked(batch: Batch) -> Batch:
    """With labels at a few places of each text, and a label for each pair."""
    labels = torch.full_like(batch["input_ids"], IGNORE_INDEX)
    for row, places in enumerate(([1, 4, 9], [2], [1, 2])):
        labels[row, places] = torch.tensor([7, 50, 3][: len(places)])
    return {**batch, "labels": labels, "next_sentence_label": torch.tensor([0, 1, 1])}


@pytest.fixture
def model() -> BertForPreTraining:
    model = BertForPreTraining(tiny_config())
    fill_with_large_weights(model)
    return model.eval()


class Loss(nn.Module):
    """A model and its total loss, so that `assert_same` can compare gradients."""

    def __init__(self, model: nn.Module, loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.loss(self.model, batch)


def total(model: nn.Module, batch: Batch) -> torch.Tensor:
    return pretraining_losses(model, batch).total()


def full_head(model: BertForPreTraining, batch: Batch) -> torch.Tensor:
    """The textbook way: score every place, skip what is not asked."""
    inputs = {k: batch[k] for k in ("input_ids", "token_type_ids", "attention_mask")}
    pieces, follows = model(**inputs)
    masked_lm = F.cross_entropy(
        pieces.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE_INDEX
    )
    return masked_lm + F.cross_entropy(follows, batch["next_sentence_label"])


def test_loss_and_gradients_equal_transformers(asked: Batch) -> None:
    result = assert_same(
        Loss(BertForPreTraining(tiny_config()), total),
        Loss(theirs("BertForPreTraining"), lambda m, batch: m(**batch).loss),
        names=lambda name: f"model.{published_name(name.removeprefix('model.'))}",
        **asked,
    )
    # All parameters: the pooler learns through the pairs, the table through the head.
    assert result.gradients == len(list(BertForPreTraining(tiny_config()).parameters()))


def test_only_the_masked_places_give_what_the_full_head_gives(model, asked) -> None:
    assert_same(Loss(model, total), Loss(model, full_head), **asked)


@pytest.mark.parametrize("row", [11, 16, 22])
def test_packed_equals_padded(model, asked: Batch, row: int) -> None:
    packed = pack(asked, row, pad_id=0).batch
    assert len(packed["input_ids"]) == {11: 2, 16: 2, 22: 1}[row]
    one, other = Loss(model, total), Loss(model, lambda m, _: total(m, packed))
    assert_same(one, other, **asked)


def test_labels_stay_with_their_texts(model, asked: Batch) -> None:
    """Pair by pair, whatever the order in which texts are packed."""
    for wrong in range(3):
        labels = asked["next_sentence_label"].clone()
        labels[wrong] = 1 - labels[wrong]
        changed = {**asked, "next_sentence_label": labels}
        losses = [
            pretraining_losses(model, batch).next_sentence.item()
            for batch in (changed, pack(changed, 22, pad_id=0).batch)
        ]
        assert math.isclose(*losses, rel_tol=1e-4), wrong


def test_where_nothing_is_asked_there_is_no_gradient() -> None:
    """Exactly zero, padding included; and what stands there does not matter."""
    logits = torch.randn(4, 9, 53, requires_grad=True)
    labels = torch.randint(0, 53, (4, 9))
    empty = torch.rand(4, 9) < 0.7
    labels[empty] = IGNORE_INDEX
    loss = masked_lm_loss(logits, labels)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[empty] == 0).all() and (gradient[~empty] != 0).any(dim=-1).all()
    moved = logits.detach().clone()
    moved[empty] += 100
    assert torch.equal(masked_lm_loss(moved, labels), loss.detach())


def test_padded_slots_of_googles_form() -> None:
    """Slots with weights, as in run_pretraining.py: the same loss and gradients."""
    logits = torch.randn(3, 5, 53, requires_grad=True)
    slots = torch.randint(0, 53, (3, 5))
    weights = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1.0]])
    each = -logits.log_softmax(-1).gather(-1, slots[..., None])[..., 0]
    google = (weights * each).sum() / (weights.sum() + 1e-5)
    ours = masked_lm_loss(logits, slots.masked_fill(weights == 0, IGNORE_INDEX))
    assert torch.allclose(ours, google, atol=1e-5)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, google)]
    assert torch.allclose(*gradients, atol=1e-6)
    assert (gradients[0][weights == 0] == 0).all()
    wrong = (weights * each.mean()).mean()  # the mask after the mean
    assert abs(wrong.item() - google.item()) > 0.5


def test_the_mean_is_over_the_places_of_the_whole_batch() -> None:
    """Not over texts: a text with many places weighs more."""
    logits = torch.randn(2, 4, 9)
    labels = torch.tensor([[1, 2, 3, IGNORE_INDEX], [4, *[IGNORE_INDEX] * 3]])
    asked = labels != IGNORE_INDEX
    each = F.cross_entropy(logits[asked], labels[asked], reduction="none")
    assert torch.isclose(masked_lm_loss(logits, labels), each.sum() / 4)


def test_label_zero_counts() -> None:
    """0 is a class here: a constant head is right in half of the cases, at ln 2."""
    labels = torch.tensor([0, 1, 0, 1])
    assert math.isclose(
        next_sentence_loss(torch.zeros(4, 2), labels), math.log(2), rel_tol=1e-6
    )
    sure = torch.tensor([[-9.0, 9.0]]).expand(4, 2)
    assert next_sentence_loss(sure, labels) > 8


def test_first_losses_of_a_fresh_model() -> None:
    torch.manual_seed(0)
    model = BertForPreTraining(tiny_config(vocab_size=5000, hidden_size=96)).eval()
    ids = torch.randint(5, 5000, (32, 16))
    batch = {"input_ids": ids, "labels": ids, "next_sentence_label": ids[:, 0] % 2}
    losses = pretraining_losses(model, batch)
    assert abs(losses.masked_lm.item() - math.log(5000)) < 0.1
    assert abs(losses.next_sentence.item() - math.log(2)) < 0.05
    assert isinstance(losses, Losses)


def test_half_precision_is_summed_in_single() -> None:
    logits = torch.randn(6, 53).half()
    labels = torch.arange(6)
    assert masked_lm_loss(logits, labels).dtype == torch.float32


def test_refusals(model, asked: Batch) -> None:
    nothing = {**asked, "labels": torch.full_like(asked["labels"], IGNORE_INDEX)}
    with pytest.raises(ValueError, match="no place has a label, so there is nothing"):
        pretraining_losses(model, nothing)
    two = {**asked, "next_sentence_label": torch.tensor([0, 1])}
    with pytest.raises(ValueError, match="3 texts, but next_sentence_label has 2"):
        pretraining_losses(model, two)
