"""Well-known sets of the hub by their names; no network is used."""

from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from bertcore.tasks.loading import read_set
from bertcore.tasks.rows import Source, Text, Words
from bertcore.tasks.sets import HUB_TASKS

TEXTS = [f"It is number {number}." for number in range(200)]
WORDS = List(Value("string"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[tuple, dict[str, Dataset]]:
    """The sets that the hub has here, by name and config."""
    there: dict[tuple, dict[str, Dataset]] = {}

    def load(name: str, config: str | None, **_: Any) -> dict[str, Dataset]:
        return there[name, config]

    monkeypatch.setattr(datasets, "load_dataset", load)
    return there


def test_a_test_without_labels(hub: dict) -> None:
    """As in GLUE: then validation tests, and some of the rows to train on validate."""
    labels = ClassLabel(names=["negative", "positive"])
    features = Features({"sentence": Value("string"), "label": labels})
    found = {
        "train": {"sentence": TEXTS, "label": [0, 1] * 100},
        "validation": {"sentence": ["a", "b", "c"], "label": [1, 0, 1]},
        "test": {"sentence": TEXTS[:5], "label": [-1] * 5},
    }
    hub["stanfordnlp/sst2", None] = {
        part: Dataset.from_dict(rows, features=features) for part, rows in found.items()
    }
    data, faults, _ = read_set("sst2", None, "stop")
    assert (data.name, data.labels, faults) == ("sst2", ("negative", "positive"), [])
    assert data.test == [Text("a", labels.names[1]), *data.test[1:]]
    assert len(data.test) == 3 and len(data.train) + len(data.valid) == 200
    assert 10 <= len(data.valid) <= 30
    assert data.source == "stanfordnlp/sst2 on the Hugging Face hub"


@pytest.mark.parametrize("name", ["wikiann", "conll2003"])
def test_tags_with_and_without_names(name: str, hub: dict) -> None:
    features = {"tokens": WORDS, "ner_tags": List(Value("int64")), "pos_tags": WORDS}
    place = "lhoestq/conll2003", None
    if name == "wikiann":
        tags = ClassLabel(names=["O", "B-PER", "I-PER"])
        features = {"tokens": WORDS, "ner_tags": List(tags)}
        place = "unimelb-nlp/wikiann", "en"
    rows = {
        "tokens": [["Ada", "wrote"]],
        "ner_tags": [[1, 0]],
        "pos_tags": [["N", "V"]],
    }
    table = Dataset.from_dict(
        {column: rows[column] for column in features}, features=Features(features)
    )
    hub[place] = dict.fromkeys(("train", "validation", "test"), table)
    data = read_set(name, "tagging", "stop").data
    assert data.test == [Words(("Ada", "wrote"), ("B-PER", "O"))]
    assert data.labels == ("O", "B-PER", "I-PER")


def test_columns_that_need_no_option(hub: dict) -> None:
    """The usual names of columns are enough for pairs, questions and texts to write."""
    pairs = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    answers = {"text": ["number"], "answer_start": [6]}
    asked = {"id": TEXTS, "title": TEXTS, "question": TEXTS, "context": TEXTS}
    article = {"article": ["It rained."], "highlights": ["Rain."], "id": ["x"]}
    for place, rows in {
        ("sentence-transformers/stsb", None): {**pairs, "score": [0.25, 1.0]},
        ("nyu-mll/glue", "mrpc"): {**pairs, "label": ["no", "yes"], "idx": [0, 1]},
        ("rajpurkar/squad_v2", None): {**asked, "answers": [answers] * len(TEXTS)},
        ("abisee/cnn_dailymail", "3.0.0"): article,
    }.items():
        hub[place] = dict.fromkeys(("train", "validation"), Dataset.from_dict(rows))
    hub["abisee/cnn_dailymail", "3.0.0"]["test"] = Dataset.from_dict(article)
    stsb, mrpc, squad, cnn = (
        read_set(name, None, "stop").data for name in ("stsb", "mrpc", "squad2", "cnn")
    )
    assert stsb.test == [Text("a", 0.25, "c"), Text("b", 1.0, "d")]
    assert mrpc.test[1] == Text("b", "yes", "d")
    assert squad.test[7].answers[0].text == "number" and len(squad.test) == len(TEXTS)
    contexts = [{row.context for row in part} for part in (squad.train, squad.valid)]
    assert contexts[1] and not contexts[0] & contexts[1]
    assert cnn.valid == cnn.test == [Source("It rained.", "Rain.")]


def test_the_hub_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **options: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    for name, task in HUB_TASKS.items():
        where = task.source.partition(":")[0]
        with pytest.raises(FileNotFoundError, match=f"cannot be reached for {where}"):
            read_set(name, None, "stop")
