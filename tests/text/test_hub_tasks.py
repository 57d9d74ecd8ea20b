"""Well-known sets in the hub's format, from folders; no network is used."""

import json
from pathlib import Path

import pytest

from bertcore.tasks import KINDS
from bertcore.tasks.loading import HUB_TASKS, hub_task
from bertcore.tasks.rows import Source, TaskSet, Text, Words

SPLITS = ("train", "validation", "test")


def three(task: TaskSet) -> tuple[list, list, list]:
    return task.train, task.valid, task.test


def folder_of(path: Path, found: dict[str, dict], features: dict | None = None) -> Path:
    """A folder of parquet files as the hub keeps them."""
    import datasets

    (path / "data").mkdir(parents=True)
    for split, columns in found.items():
        table = datasets.Dataset.from_dict(
            columns, features=datasets.Features(features) if features else None
        )
        table.to_parquet(path / "data" / f"{split}-00000-of-00001.parquet")
    return path


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def test_a_test_without_labels(tmp_path: Path) -> None:
    """As in GLUE: then validation tests, and some of the rows to train on validate."""
    from datasets import ClassLabel, Value

    texts = [f"text {number}" for number in range(200)]
    rows = {"sentence": texts, "label": [0, 1] * 100}
    hidden = {"sentence": texts[:5], "label": [-1] * 5}
    held = {"sentence": ["a", "b", "c"], "label": [1, 0, 1]}
    features = {
        "sentence": Value("string"),
        "label": ClassLabel(names=["negative", "positive"]),
    }
    found = {"train": rows, "validation": held, "test": hidden}
    folder = folder_of(tmp_path / "sst2", found, features)
    task = hub_task("sst2", folder=folder)
    assert task.labels == ("negative", "positive")
    assert task.test == [
        Text("a", "positive"),
        Text("b", "negative"),
        Text("c", "positive"),
    ]
    assert {row.text for row in task.train + task.valid} == set(texts)
    assert len(task.train) + len(task.valid) == 200
    assert 4 <= len(task.valid) <= 20
    some = hub_task("sst2", rows=2, folder=folder)
    assert tuple(map(len, three(some))) == (2, 2, 2)
    assert set(some.train) <= set(task.train)
    assert set(some.valid) <= set(task.valid)
    assert hub_task("sst2", rows=2, folder=folder) == some


def test_pairs_with_numbers(tmp_path: Path) -> None:
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [0.25, 1.0]}
    folder = folder_of(tmp_path / "stsb", dict.fromkeys(SPLITS, rows))
    task = hub_task("stsb", folder=folder)
    assert task.train == task.test == [Text("a", 0.25, "c"), Text("b", 1.0, "d")]
    assert (task.kind, task.labels, task.source) == ("regression", (), str(folder))


@pytest.mark.parametrize("name", ["wikiann", "conll2003"])
def test_tags_with_and_without_names(name: str, tmp_path: Path) -> None:
    from datasets import ClassLabel, Sequence, Value

    rows = {"tokens": [["Ada", "wrote"]], "ner_tags": [[1, 0]]}
    tags = Sequence(ClassLabel(names=["O", "B-PER", "I-PER"]))
    features = {"tokens": Sequence(Value("string")), "ner_tags": tags}
    folder = folder_of(
        tmp_path / name,
        dict.fromkeys(SPLITS, rows),
        features if name == "wikiann" else None,
    )
    task = hub_task(name, folder=folder)
    assert task.test == [Words(("Ada", "wrote"), ("B-PER", "O"))]
    assert task.labels == ("O", "B-PER", "I-PER")


def test_questions_in_squads_format(tmp_path: Path) -> None:
    """There is no test, and questions on one context stay in one part."""
    folder = tmp_path / "squad"
    folder.mkdir()
    rows = [
        {
            "id": str(number),
            "question": f"Which is number {number}?",
            "context": f"It is {number % 40}.",
            "answers": {"text": [str(number % 40)], "answer_start": [6]}
            if number % 3
            else {"text": [], "answer_start": []},
        }
        for number in range(120)
    ]
    for split in SPLITS[:2]:
        lines = "\n".join(map(json.dumps, rows))
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf8")
    task = hub_task("squad2", folder=folder)
    assert len(task.test) == 120
    assert task.test[0].answers == ()
    assert KINDS["answers"].sound_rows(task.test)[1] == []
    contexts = [{row.context for row in part} for part in (task.train, task.valid)]
    assert contexts[1]
    assert not contexts[0] & contexts[1]
    assert len(task.train) + len(task.valid) == 120


def test_texts_to_be_written(tmp_path: Path) -> None:
    """CNN and Daily Mail: a column more than we ask for, and a test with its own."""
    found = {
        split: {
            "article": [f"{split} {number}. It rained." for number in range(3)],
            "highlights": [f"Rain {number} .\nAll wet ." for number in range(3)],
            "id": list("abc"),
        }
        for split in SPLITS
    }
    folder = folder_of(tmp_path / "cnn", found)
    task = hub_task("cnn", folder=folder)
    assert (task.kind, task.labels) == ("writing", ())
    assert task.test[0] == Source("test 0. It rained.", "Rain 0 .\nAll wet .")
    assert tuple(map(len, three(task))) == (3, 3, 3)
    assert {row.text.split()[0] for row in task.valid} == {"validation"}
    assert KINDS["writing"].sound_rows(task.train) == (task.train, [])
    some = hub_task("cnn", rows=2, folder=folder)
    assert set(some.train) < set(task.train)


def test_what_the_hub_task_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"no hub task 'sst'; give sst2, mrpc, stsb"):
        hub_task("sst")
    with pytest.raises(ValueError, match="rows=0; give 1 or more, or None for all"):
        hub_task("sst2", rows=0)
    rows = {"text": ["a"], "label": [1]}
    folder = folder_of(tmp_path / "one", {"train": rows})
    with pytest.raises(ValueError, match="has no validation; it has train: name its"):
        hub_task("sst2", folder=folder)
    folder = folder_of(tmp_path / "two", dict.fromkeys(SPLITS, rows))
    with pytest.raises(ValueError, match="no column sentence; it has text, label"):
        hub_task("sst2", folder=folder)

    def unreachable(*args: object, **options: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    import datasets

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    for name, task in HUB_TASKS.items():
        with pytest.raises(
            FileNotFoundError, match=f"hub cannot be reached for {task.repository}"
        ):
            hub_task(name)
