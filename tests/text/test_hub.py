"""Streams of documents, from folders in the hub's format; no network is used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bertcore.text.documents import Document, stream

ROWS = {
    "text": ["One.\n\nTwo.", " ", None, "Three."],
    "title": ["a", "b", "c", "d"],
    "size": [1, 2, 3, 4],
}
EXPECTED = ["One.\nTwo.", "Three."]


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """A folder as the hub keeps it, with two splits."""
    import pyarrow
    from pyarrow.parquet import write_table

    data = tmp_path / "parquet" / "data"
    data.mkdir(parents=True)
    for split in ("train", "test"):
        write_table(pyarrow.table(ROWS), data / f"{split}-00000-of-00001.parquet")
    return data.parent


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    folder = tmp_path / "jsonl"
    folder.mkdir()
    rows = [
        dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)
    ]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_folders_in_the_hubs_format(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    with pytest.warns(UserWarning, match="2 of 4 rows have no text in 'text': left"):
        assert list(stream(folder)) == [
            Document(f"{folder}, row {number}", text, "")
            for number, text in zip((1, 4), EXPECTED, strict=True)
        ]


@pytest.mark.filterwarnings("ignore:.*rows have no text")
def test_splits_and_columns(parquet: Path) -> None:
    assert [d.text for d in stream(parquet, split="test")] == EXPECTED
    assert [d.text for d in stream(parquet, field="title")] == ROWS["title"]
    with pytest.raises(ValueError, match="1: no 'body'; there is text in text, title"):
        list(stream(parquet, field="body"))
    with pytest.raises(ValueError, match="'size' is of type int; .*give field="):
        list(stream(parquet, field="size"))
    with pytest.raises(
        ValueError, match=r"split='valid': .*valid.*\['train', 'test'\]"
    ):
        stream(parquet, split="valid")
    with pytest.raises(ValueError, match="config='20231101.en' and .*default"):
        stream(parquet, "20231101.en")


def test_no_such_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        with pytest.raises(
            FileNotFoundError, match=f"no data set .*{folder}.*jsonl files"
        ):
            stream(tmp_path / folder)


def test_no_network(monkeypatch: pytest.MonkeyPatch, parquet: Path) -> None:
    import datasets

    def unreachable(*args: object, **options: object) -> None:
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    def broken() -> object:
        yield {"text": "One."}
        raise ConnectionError("reset")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(FileNotFoundError, match="hub cannot be reached for owner/name"):
        stream("owner/name")
    with pytest.raises(FileNotFoundError, match="connect to a network, give a folder"):
        stream("owner/name")
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **options: broken())
    with pytest.raises(FileNotFoundError, match=r"owner/name broke off after 1 row "):
        list(stream("owner/name"))


def test_no_library(monkeypatch: pytest.MonkeyPatch, parquet: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(FileNotFoundError, match="run: pip install datasets"):
        stream(parquet)


def test_importing_is_light() -> None:
    heavy = {"datasets", "pyarrow", "pandas", "sentencex", "torch", "huggingface_hub"}
    names = ("corpora", "documents")
    code = "; ".join(f"import bertcore.text.{name}" for name in names)
    code += f"; import sys; print(*(set(sys.modules) & {heavy!r}))"
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert not output.split()
