"""Hub: labelled rows of the Hugging Face hub, by the library datasets."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from bertcore.files import ending_of, read_records
from bertcore.sources import needs
from bertcore.tasks import KINDS
from bertcore.tasks.rows import Row, TaskSet
from bertcore.text.documents import load

Record = tuple[str, dict[str, Any]]  # with its place before it
ON_HUB = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?")
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})(\.\w+)")
NAMES = {  # of the parts of a set
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
_UNLABELLED = -1  # what GLUE has for a label that it keeps to itself
_VALID_ONE_IN = 20
_PAIR = {"text": "sentence1", "pair": "sentence2"}
_WORDS = {"words": "tokens", "tags": "ner_tags"}
_CONLL = ("PER", "ORG", "LOC", "MISC")


class HubTask(NamedTuple):
    """A set on the hub, and which of its columns hold what.

    Attributes:
        title: what it asks, in a few words.
        kind: of its rows, one of `KINDS`.
        repository: owner/name on the hub.
        columns: its column for each field of our rows.
        licence: as far as its card says.
        config: which of its parts, or None.
        names: of its labels, if its columns do not say them.
        apart: the field whose equal values stay in one part, where we split.
    """

    title: str
    kind: str
    repository: str
    columns: dict[str, str]
    licence: str
    config: str | None = None
    names: tuple[str, ...] = ()
    apart: str = "text"


HUB_TASKS = {
    "sst2": HubTask(
        title="whether a phrase praises a film (Socher et al. 2013; GLUE)",
        kind="classification",
        repository="stanfordnlp/sst2",
        columns={"text": "sentence", "label": "label"},
        licence="unknown",
    ),
    "mrpc": HubTask(
        title="whether two sentences say the same (Dolan and Brockett 2005; GLUE)",
        kind="classification",
        repository="nyu-mll/glue",
        config="mrpc",
        columns=_PAIR | {"label": "label"},
        licence="of each set in GLUE, see its card",
    ),
    "stsb": HubTask(
        title="how alike two sentences are (Cer et al. 2017), from 0 to 1",
        kind="regression",
        repository="sentence-transformers/stsb",
        columns=_PAIR | {"label": "score"},
        licence="unknown",
    ),
    "wikiann": HubTask(
        title="persons, organisations and places in Wikipedia, tagged by its links "
        "(Pan et al. 2017; Rahimi et al. 2019)",
        kind="tagging",
        repository="unimelb-nlp/wikiann",
        config="en",
        columns=_WORDS,
        licence="unknown; the texts are Wikipedia's",
    ),
    "conll2003": HubTask(
        title="persons, organisations, places and others in news (Tjong Kim Sang and "
        "De Meulder 2003)",
        kind="tagging",
        repository="lhoestq/conll2003",
        columns=_WORDS,
        licence="for research alone, as Reuters allows",
        names=("O", *(f"{b}-{name}" for name in _CONLL for b in "BI")),
    ),
    "squad2": HubTask(
        title="questions on Wikipedia, a third without an answer (Rajpurkar et al. "
        "2018)",
        kind="answers",
        repository="rajpurkar/squad_v2",
        columns={name: name for name in ("id", "question", "context", "answers")},
        licence="CC BY-SA 4.0",
        apart="context",
    ),
    "cnn": HubTask(
        title="a news article in three or four sentences (Hermann et al. 2015; See et "
        "al. 2017)",
        kind="writing",
        repository="abisee/cnn_dailymail",
        config="3.0.0",
        columns={"text": "article", "target": "highlights"},
        licence="Apache 2.0; the articles are those of CNN and the Daily Mail",
    ),
}


def hub_task(
    name: str, rows: int | None = None, folder: str | Path | None = None
) -> TaskSet:
    """A well-known set of labelled rows, by the library datasets.

    It is fetched whole, once, and kept in the library's cache. Where the test has no
    labels (GLUE keeps them), or there is none (SQuAD), the set's validation is our
    test, and one in twenty rows to train on, by a digest of its text or context,
    validates. SST-2 trains on phrases of its sentences, so there some of a sentence may
    be in both of these.

    None of these sets needs a script of its own, which datasets 4 no longer runs. For
    names in text that rules out the hub's first copies of CoNLL-2003 and WNUT 2017:
    "conll2003" is a copy in parquet, and "wikiann" is parquet at its source.

    Args:
        name: one of `HUB_TASKS`.
        rows: how many of each part, drawn with seed 0; by default all.
        folder: of parquet or jsonl files as the hub keeps them, to read instead.

    Raises:
        FileNotFoundError: if the library datasets is missing, if the hub cannot be
            reached, or if there is no such folder.
        ValueError: if there is no such set, or it lacks a part or a column.
    """
    if name not in HUB_TASKS:
        raise ValueError(f"no hub task {name!r}; give {', '.join(HUB_TASKS)}")
    if rows is not None and rows < 1:
        raise ValueError(f"rows={rows}; give 1 or more, or None for all")
    task = HUB_TASKS[name]
    where = task.repository if folder is None else str(folder)
    config = task.config if folder is None else None
    splits = load(where, config, None, streaming=False)
    if missing := sorted({"train", "validation"} - set(splits)):
        raise ValueError(
            f"{where} has no {' and no '.join(missing)}; it has {', '.join(splits)}: "
            "name its files train, validation and test"
        )

    def read(split: str, wanted: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        return _rows(splits[split], task, where, rows, wanted)

    def validates(row: Row) -> bool:
        return crc32(getattr(row, task.apart).encode()) % _VALID_ONE_IN == 0

    kind = KINDS[task.kind]
    test = read("test") if "test" in splits else []
    if any(kind.truth(row) is not None for row in test):
        train, valid = read("train"), read("validation")
    else:  # nobody may score such a test
        train = read("train", lambda row: not validates(row))
        valid, test = read("train", validates), read("validation")
    source = where if folder is not None else f"{where} on the Hugging Face hub"
    labels = kind.labels_of(train)
    return TaskSet(name, kind.name, labels, train, valid, test, source, task.licence)


def _rows(
    part: Any,
    task: HubTask,
    where: str,
    rows: int | None,
    wanted: Callable[[Row], bool],
) -> list[Row]:
    """The rows of a part that are wanted: all in their order, or some at random."""
    lacking = [name for name in task.columns.values() if name not in part.features]
    if lacking:
        raise ValueError(
            f"{where} has no column {', '.join(lacking)}; it has "
            f"{', '.join(part.features)}"
        )
    kind = KINDS[task.kind]
    names = names_in(part.features[task.columns[kind.right]]) or task.names
    order = list(range(len(part)))
    if rows is not None:
        random.Random(0).shuffle(order)
    chosen: list[Row] = []
    for number in order:
        values = part[number]
        mapping = {ours: values[theirs] for ours, theirs in task.columns.items()}
        mapping[kind.right] = in_words(mapping[kind.right], names)
        if mapping[kind.right] == _UNLABELLED:
            mapping[kind.right] = None
        row = kind.from_dict(mapping)
        if wanted(row):
            chosen.append(row)
        if len(chosen) == rows:
            break
    return chosen


def names_in(feature: Any) -> Sequence[str]:
    """The names of a feature's numbers, perhaps those in its lists; () if it has none.

    Args:
        feature: of the library datasets.
    """
    inner = feature, getattr(feature, "feature", None)
    return next(filter(None, (getattr(each, "names", None) for each in inner)), ())


def in_words(value: Any, names: Sequence[str]) -> Any:
    """A number, or those in a list, by its name, if it has one; -1 stands for None."""
    if isinstance(value, list):
        return [in_words(each, names) for each in value]
    if not names or type(value) is not int:
        return value
    return None if value == _UNLABELLED else names[value]


def file_records(path: Path, encoding: str | None) -> Iterator[Record]:
    """The records of a file; errors are those of `read_records`.

    In Parquet numbers that the library datasets has noted names for are these names.
    """
    names: dict[str, list[str]] = {}
    for number, (place, record) in enumerate(read_records(path, encoding)):
        if not number and ending_of(path) == ".parquet":
            names = _noted_names(path)
        named = {name: in_words(record[name], each) for name, each in names.items()}
        yield place, {**record, **named}


def _noted_names(path: Path) -> dict[str, list[str]]:
    """The names of the numbers in columns that stand in a Parquet file's metadata."""
    schema = needs("pyarrow.parquet", f"reading {path}").read_schema(path)
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    found = {}
    for column, feature in ((about.get("info") or {}).get("features") or {}).items():
        while isinstance(feature, list) or "feature" in feature:  # of a list's items
            feature = feature[0] if isinstance(feature, list) else feature["feature"]
        if column in schema.names and feature.get("_type") == "ClassLabel":
            found[column] = feature.get("names") or []
    return found


def library_records(source: str, path: Path) -> dict[str, Iterator[Record]]:
    """The records of each part of a data set on the hub, or in a folder as it has it.

    Args:
        source: owner/name or owner/name:config, if there is no such folder.
        path: of the folder.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config, or none of the parts.
    """
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        splits = needs("datasets", f"reading {source}").load_from_disk(str(path))
    else:
        _check_shards(path)
        on_hub = None if path.is_dir() else ON_HUB.fullmatch(source)
        name, config = on_hub.groups() if on_hub else (str(path), None)
        try:
            splits = load(name, config, None, streaming=False)
        except FileNotFoundError as error:
            here = f"no file or folder {source}; and " if on_hub else ""
            raise FileNotFoundError(f"{here}{error}") from error
    if not isinstance(splits, dict):
        splits = {"train": splits}
    found = {}
    for part, names in NAMES.items():
        fit = [name for name in names if name in splits]
        if fit:
            found[part] = _records_of(splits[fit[0]], f"{source}, {fit[0]}")
    if not found:
        raise ValueError(
            f"{source} has no train, validation or test; it has {', '.join(splits)}"
        )
    return found


def _check_shards(folder: Path) -> None:
    """ValueError if a file of several, `train-00001-of-00003.parquet`, is missing."""
    for path in sorted(folder.rglob("*-of-*")) if folder.is_dir() else ():
        if shard := _SHARD.fullmatch(path.name):
            stem, count, ending = shard.groups()
            for number in range(int(count)):
                name = f"{stem}-{number:05}-of-{count}{ending}"
                if not path.with_name(name).is_file():
                    raise ValueError(
                        f"{folder} has {path.name}, one of {int(count)} files, and no "
                        f"{name}; fetch that, too"
                    )


def _records_of(part: Any, place: str) -> Iterator[Record]:
    """Rows of the library datasets, with the names of numbers that have some."""
    names = {name: names_in(feature) for name, feature in part.features.items()}
    for number, row in enumerate(part, 1):
        yield (
            f"{place}, row {number}",
            {n: in_words(v, names[n]) for n, v in row.items()},
        )
