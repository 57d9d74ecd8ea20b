"""The batch of a step: a function of seed and step, whoever asks for it."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bertcore import Tokenizer
from bertcore.text.batch import IGNORE_INDEX, padded
from bertcore.text.corpora import introductions
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.pairs import assembled, pair_examples, window_examples
from bertcore.text.prepare import prepare
from bertcore.text.store import Store


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in introductions().documents[:400]]


@pytest.fixture(scope="module")
def store(texts, real_tokenizer: Tokenizer, tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("stores") / "store"
    return prepare(texts, real_tokenizer, folder, workers=1)


def steps(store: Store, tokenizer: Tokenizer, **changes) -> Batches:
    settings = {"examples": pair_examples(store, 64), "size": 16, **changes}
    return Batches(store, tokenizer=tokenizer, masker=Masker(tokenizer), **settings)


def assert_same_batch(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_assembled_is_what_padded_makes(store: Store, real_tokenizer) -> None:
    examples = pair_examples(store, 64)
    cls, sep, pad = real_tokenizer.cls_id, real_tokenizer.sep_id, real_tokenizer.pad_id
    for spans in (examples.spans[:40], window_examples(store, 50).spans[:40]):
        rows = []
        for a, b, c, d in spans.tolist():
            first, second = store.ids[a:b].tolist(), store.ids[c:d].tolist()
            rows.append(([cls, *first, sep], [*second, sep] if second else []))
        assert_same_batch(
            assembled(store.ids, spans, real_tokenizer), padded(rows, pad)
        )


def test_windows_hold_every_token_once(store: Store) -> None:
    spans = window_examples(store, 50).spans
    assert (spans[:, 2:] == 0).all() and window_examples(store, 50).labels is None
    places = np.concatenate([np.arange(begin, end) for begin, end in spans[:, :2]])
    assert np.array_equal(places, np.arange(len(store.ids)))
    bounds = set(store.sentences[store.documents].tolist())
    for begin, end in spans[:, :2].tolist():
        assert 1 <= end - begin <= 48
        assert end - begin == 48 or end in bounds, "only a document's last is shorter"
    with pytest.raises(ValueError, match="length=2; give 3 or more"):
        window_examples(store, 2)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("row", [None, 128])
def test_whatever_the_number_of_workers(store, real_tokenizer, row) -> None:
    """And wherever one begins: no step depends on another."""
    made = steps(store, real_tokenizer, row=row)
    order = range(3, 11)
    expected = [made[step] for step in order]
    for workers in (0, 1, 2):
        fresh = steps(store, real_tokenizer, row=row)
        loader = DataLoader(fresh, batch_size=None, sampler=order, num_workers=workers)
        for batch, wanted in zip(loader, expected, strict=True):
            assert_same_batch(batch, wanted)
    for step in reversed(order):
        assert_same_batch(steps(store, real_tokenizer, row=row)[step], made[step])


def test_each_epoch_takes_every_example_once_in_a_new_order(store, real_tokenizer):
    made = steps(store, real_tokenizer, seed=3)
    count = len(made.examples.spans)
    epochs = []
    for epoch in range(2):
        numbers = [
            made.example_numbers(epoch * len(made) + n) for n in range(len(made))
        ]
        epochs.append(np.concatenate(numbers).tolist())
        assert len(set(epochs[-1])) == len(made) * 16 > count - 16
    assert epochs[0] != epochs[1]
    other = steps(store, real_tokenizer, seed=4)
    assert not np.array_equal(other.example_numbers(0), made.example_numbers(0))


def test_masks_differ_from_epoch_to_epoch(store, real_tokenizer) -> None:
    """The same example, hidden elsewhere: dynamic masks."""
    examples = pair_examples(store, 64)
    few = type(examples)(examples.spans[:16], examples.labels[:16])
    made = steps(store, real_tokenizer, examples=few)
    assert len(made) == 1
    labels = []
    for step in (0, 1):
        order = made.example_numbers(step).argsort()
        labels.append(made[step]["labels"][torch.from_numpy(order)] != IGNORE_INDEX)
    assert not torch.equal(*labels)


def test_a_packed_batch_holds_the_same(store, real_tokenizer) -> None:
    """Text by text the same ids, segments and labels; pair labels in reading order."""
    flat, rows = (steps(store, real_tokenizer, row=row) for row in (None, 128))
    one, other = flat[5], rows[5]
    assert len(other["input_ids"]) < 16
    found = {}
    begins = ((other["position_ids"] == 0) & (other["attention_mask"] > 0)).nonzero()
    for (row, start), label in zip(
        begins.tolist(), other["next_sentence_label"].tolist(), strict=True
    ):
        number = other["attention_mask"][row, start]
        here = other["attention_mask"][row] == number
        fields = ("input_ids", "token_type_ids", "labels")
        parts = [other[name][row, here].tolist() for name in fields]
        found[tuple(parts[0])] = (*map(tuple, parts), label)
    for index, mask in enumerate(one["attention_mask"].bool()):
        parts = [
            one[n][index, mask].tolist()
            for n in ("input_ids", "token_type_ids", "labels")
        ]
        label = one["next_sentence_label"][index].item()
        assert found[tuple(parts[0])] == (*map(tuple, parts), label)
    assert (other["labels"][other["attention_mask"] == 0] == IGNORE_INDEX).all()


def test_windows_have_no_pair_labels(store, real_tokenizer) -> None:
    batch = steps(store, real_tokenizer, examples=window_examples(store, 64))[0]
    assert "next_sentence_label" not in batch and not batch["token_type_ids"].any()


def test_refusals(store, real_tokenizer) -> None:
    count = len(pair_examples(store, 64).spans)
    for size in (0, count + 1):
        with pytest.raises(ValueError, match=f"size={size}, and there are {count} ex"):
            steps(store, real_tokenizer, size=size)
    with pytest.raises(ValueError, match="row=63, but an example has 64 tokens"):
        steps(store, real_tokenizer, row=63)
    with pytest.raises(ValueError, match="step -1; steps are counted from 0"):
        steps(store, real_tokenizer)[-1]


# The collator: for a data set and a loader of one's own -------------------------------
