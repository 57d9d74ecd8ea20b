"""The names that people type: none vanishes, and those of a stranger do what they say.

tests/golden/names.py wrote the list; modules may move, names may not.
"""

import importlib
import inspect
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bertcore import (
    Bert,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    Tokenizer,
)
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import fill_with_large_weights, tiny_config
from tests.golden.names import FILE, defined, imports

# A name that people typed -> the one that stands in its place.
RENAMED: dict[str, str] = {
    "Memory": "KeyValueCache",
    "NOT_ASKED": "IGNORE_INDEX",
    "NarrowEmbeddings": "FactorizedEmbeddings",
    "Offer": "KeysAndValues",
    "PretrainingWorks": "PretrainingBatches",
    "Progress": "TrainingState",
    "Reading": "FeatureSettings",
    "SHELF": "CORPORA",
    "Setting": "ComputeSettings",
    "Steps": "Batches",
    "begins": "text_starts",
    "choose": "choose_plan",
    "default_setting": "default_compute_settings",
    "pretraining_work": "pretraining_batch",
    "soft_loss": "soft_target_loss",
    "start": "start_run",
    "student_of": "make_student",
    "train_bytes": "train_byte_bpe",
    "useful_operations": "pretraining_costs",
}

NAMES = json.loads(FILE.read_text(encoding="utf8"))
there = cache(defined)


def test_what_is_imported_is_there() -> None:
    """By chapters, README and instructors, from where they take it today."""
    found = imports()
    assert {each.file for each in found} >= {"README.md", "00-map.ipynb"}
    for file, module, name in found:
        home = importlib.import_module(module)
        if not hasattr(home, name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                pytest.fail(f"{file} imports {name} from {module}, which has none")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_has_vanished(name: str) -> None:
    kind, home = NAMES[name]["kind"], NAMES[name]["from"]
    new = RENAMED.get(name, name)
    assert kind in there().get(new, set()), (
        f"no {kind} {new} any more; {home} had it. If another name stands in its "
        "place, say so in RENAMED; if it is meant to go, so does its line in the file"
    )


def test_renamed_names_are_in_the_list() -> None:
    assert set(RENAMED) <= set(NAMES)


# What a stranger relies on -----------------------------------------------------------

INPUTS = [("input_ids", ...), ("token_type_ids", None), ("attention_mask", None)]
PIECES = [*SPECIAL, "un", "##believ", "##able", "a", "film", "!"]
TEXTS = ["Unbelievable!", "A film"]

# Of 2 texts of 6 places; tiny_config has 24 numbers a state, 53 pieces, 5 labels.
SHAPES: dict[type[nn.Module], Any] = {
    Bert: (2, 6, 24),
    BertForPreTraining: [(2, 6, 53), (2, 2)],
    BertForMaskedLM: (2, 6, 53),
    BertForSequenceClassification: (2, 5),
    BertForTokenClassification: (2, 6, 5),
    BertForQuestionAnswering: (2, 6, 2),
}
each_model = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


def check_signature(function: Callable, wanted: list[tuple[str, Any]]) -> None:
    """These arguments first, by these names; what follows may be left out.

    Args:
        function: bound, so that it has no `self`.
        wanted: names with their defaults, `...` where there is none.
    """
    found = [
        (name, ... if each.default is each.empty else each.default)
        for name, each in inspect.signature(function).parameters.items()
        if each.kind is not each.VAR_KEYWORD
    ]
    assert found[: len(wanted)] == wanted
    assert ... not in [default for _, default in found[len(wanted) :]]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(PIECES)


@each_model
def test_a_model(kind: type[nn.Module], tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = kind(tiny_config())
    assert isinstance(model, nn.Module) and isinstance(model.config, BertConfig)
    check_signature(model.forward, INPUTS)
    check_signature(model.save_pretrained, [("folder", ...)])
    check_signature(kind.from_pretrained, [("folder_or_name", ...)])
    fill_with_large_weights(model)
    batch = tokenizer(TEXTS)
    with torch.no_grad():
        given = model.eval()(**batch)
        model.save_pretrained(tmp_path)
        again = kind.from_pretrained(tmp_path)(**batch)
        by_place = model(*(batch[name] for name, _ in INPUTS))
        alone = model(batch["input_ids"])
    assert shapes(given) == shapes(alone) == SHAPES[kind]
    for one, other, third in zip(*map(tensors, (given, again, by_place)), strict=True):
        assert torch.equal(one, other) and torch.equal(one, third)


def tensors(outputs: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    assert isinstance(outputs, Tensor | tuple), "tensors, and nothing round them"
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def shapes(outputs: Tensor | tuple[Tensor, ...]) -> Any:
    found = [tuple(each.shape) for each in tensors(outputs)]
    return found if isinstance(outputs, tuple) else found[0]


def test_signatures_of_a_tokenizer(tokenizer: Tokenizer) -> None:
    pair = [("pair", None), ("max_length", None)]
    check_signature(Tokenizer.from_pretrained, [("folder_or_vocab_file", ...)])
    check_signature(tokenizer.save_pretrained, [("folder", ...)])
    check_signature(tokenizer.tokenize, [("text", ...)])
    check_signature(tokenizer.encode, [("text", ...), *pair])
    check_signature(
        tokenizer.__call__, [("texts", ...), ("pairs", None), ("max_length", None)]
    )
    check_signature(tokenizer.decode, [("ids", ...)])


def test_a_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    for place in (tmp_path, tmp_path / "vocab.txt", str(tmp_path)):
        again = Tokenizer.from_pretrained(place)
        assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    assert tokenizer.tokenize(TEXTS[0]) == ["un", "##believ", "##able", "!"]
    ids = [2, 5, 6, 7, 10, 3]
    assert tokenizer.encode(TEXTS[0]) == ids
    assert tokenizer.encode(TEXTS[0], TEXTS[1]) == [*ids, 8, 9, 3]
    assert tokenizer.encode(TEXTS[0], max_length=4) == [2, 5, 6, 3]
    assert tokenizer.decode(ids) == "[CLS] unbelievable ! [SEP]"
    batch = tokenizer(TEXTS, TEXTS[::-1])
    assert list(batch) == [name for name, _ in INPUTS]
    for tensor in batch.values():
        assert tensor.shape == (2, 9) and tensor.dtype == torch.int64
    assert batch["token_type_ids"].tolist() == [[0] * 6 + [1] * 3, [0] * 4 + [1] * 5]
    assert tokenizer(TEXTS)["attention_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]
