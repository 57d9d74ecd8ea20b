"""What is read from a last layer computed there alone is what all of it gives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bertcore import Bert
from bertcore.book.checks import Same, assert_same
from bertcore.model.inference import states_at
from bertcore.model.variants.parts import PreNormLayer, with_layers
from bertcore.text.batch import packed
from bertcore.training.objectives import text_starts
from tests.conftest import fill_with_large_weights, tiny_config

FIRST = torch.zeros(3, 1, dtype=torch.long)
SEVERAL = torch.tensor([[0, 5, 3, 5], [0, 6, 1, 0], [10, 0, 0, 2]])


class Read(nn.Module):
    """A body, and how some of its states are found."""

    def __init__(self, bert: Bert, how: Callable[..., Tensor]) -> None:
        super().__init__()
        self.bert, self.how = bert, how

    def forward(self, columns: Tensor, **inputs: Tensor) -> Tensor:
        return self.how(self.bert, columns, **inputs)


def gathered(bert: Bert, columns: Tensor, **inputs: Tensor) -> Tensor:
    """From all the states, one at a time."""
    rows = zip(bert(**inputs), columns.tolist(), strict=True)
    return torch.stack([torch.stack([row[c] for c in places]) for row, places in rows])


def compare(columns: Tensor, bert: Bert | None = None, **inputs: Any) -> Same:
    bert = bert or Bert(tiny_config(), pooler=False)
    fill_with_large_weights(bert)
    return assert_same(Read(bert, states_at), Read(bert, gathered), columns, **inputs)


@pytest.mark.parametrize("columns", [FIRST, SEVERAL], ids=["first", "several"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("mask", ["none", "padded", "each query its own"])
def test_states_and_gradients_are_those_of_the_whole(
    mask: str, layers: int, columns: Tensor, batch: dict[str, Tensor]
) -> None:
    if mask == "none":
        del batch["attention_mask"]
    elif mask != "padded":
        batch["attention_mask"] = torch.ones(3, 11, 11).tril().long()
    bert = Bert(tiny_config(layers=layers), pooler=False)
    same = compare(columns, bert, **batch)
    assert same.gradients == 5 + 16 * layers  # three tables, a norm; each layer's


def test_each_text_of_packed_rows() -> None:
    """Filled up with 0 where a row has fewer texts than others."""
    sizes = (5, 9, 3, 4, 2, 7, 6)
    rows = [([1, *range(10, 10 + size)], [2] * (size % 3)) for size in sizes]
    found = packed(rows, pad_id=0, length=16)
    starts = text_starts(found.batch)
    most = int(starts.sum(dim=1).max())
    columns = torch.zeros(len(starts), most, dtype=torch.long)
    read = torch.arange(most) < starts.sum(dim=1, keepdim=True)
    columns[read] = starts.nonzero()[:, 1]
    assert 1 < most, "several in a row"
    assert not read.all(), "and fewer in another"
    compare(columns, **found.batch)
    bert = Bert(tiny_config()).eval()
    first = torch.stack([s[0] for s in found.unpack(bert(**found.batch))])
    found_first = states_at(bert, columns, **found.batch)[read]
    order = sorted(range(len(rows)), key=lambda i: found.places[i][:2])
    assert (found_first - first[order]).abs().max() < 1e-5


def test_places_of_padding_are_places_too(batch: dict[str, Tensor]) -> None:
    compare(torch.tensor([[10, 9]] * 3), **batch)


def test_positions_are_passed_on(batch: dict[str, Tensor]) -> None:
    compare(SEVERAL, position_ids=torch.arange(15, 4, -1).expand(3, 11), **batch)


def test_a_layer_that_is_not_berts_is_computed_everywhere(
    batch: dict[str, Tensor],
) -> None:
    changed = with_layers(tiny_config(), PreNormLayer).bert
    compare(SEVERAL, changed, **batch)


def test_the_last_layer_works_for_what_is_read_only(batch: dict[str, Tensor]) -> None:
    bert, seen = Bert(tiny_config()), {}
    for name, module in bert.encoder.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(
                lambda _, inputs, out, name=name: seen.update({name: out.shape[1]})
            )
    states_at(bert, SEVERAL[:, :2], **batch)
    for part, places in (("query", 2), ("key", 11), ("value", 11), ("output", 2)):
        assert seen[f"layers.0.attention.{part}"] == 11
        assert seen[f"layers.1.attention.{part}"] == places
    assert seen["layers.1.feedforward.widen"] == 2


def test_compiled_without_a_break(batch: dict[str, Tensor]) -> None:
    bert = Bert(tiny_config()).eval()
    compiled = torch.compile(states_at, fullgraph=True, backend="eager")
    found = compiled(bert, SEVERAL, **batch)
    assert (found - states_at(bert, SEVERAL, **batch)).abs().max() < 1e-5


def test_inputs_are_checked_as_ever(batch: dict[str, Tensor]) -> None:
    batch["input_ids"] = batch["input_ids"] + 60
    with pytest.raises(ValueError, match="there are 53 pieces in the vocabulary"):
        states_at(Bert(tiny_config()), FIRST, **batch)
