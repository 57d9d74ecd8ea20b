"""Hub tasks: well-known sets of labelled rows, from the hub (chapter 10)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from bertcore.text.hub import load
from bertcore.text.rows import Row, TaskSet, labels_of, row_from

_UNLABELLED = -1  # what GLUE has for a label that it keeps to itself
_VALID_ONE_IN = 20


class HubTask(NamedTuple):
    """A set on the hub, and which of its columns hold what.

    Attributes:
        title: what it asks, in a few words.
        kind: of its rows, as in `rows.KINDS`.
        repository: owner/name on the hub.
        config: which of its parts, or None.
        columns: its column for each field of our rows.
        names: of its labels, if its columns do not say them.
        licence: as far as its card says.
        apart: the field whose equal values stay in one part, where we split.
    """

    title: str
    kind: str
    repository: str
    config: str | None
    columns: dict[str, str]
    licence: str
    names: tuple[str, ...] = ()
    apart: str = "text"


_PAIR = {"text": "sentence1", "pair": "sentence2"}
_WORDS = {"words": "tokens", "tags": "ner_tags"}
_SQUAD = {name: name for name in ("id", "question", "context", "answers")}
_CONLL = ("PER", "ORG", "LOC", "MISC")

HUB_TASKS = {
    "sst2": HubTask(
        "whether a phrase praises a film (Socher et al. 2013; GLUE)",
        *("classification", "stanfordnlp/sst2", None),
        {"text": "sentence", "label": "label"},
        "unknown",
    ),
    "mrpc": HubTask(
        "whether two sentences say the same (Dolan and Brockett 2005; GLUE)",
        *("classification", "nyu-mll/glue", "mrpc"),
        _PAIR | {"label": "label"},
        "of each set in GLUE, see its card",
    ),
    "stsb": HubTask(
        "how alike two sentences are (Cer et al. 2017), from 0 to 1",
        *("regression", "sentence-transformers/stsb", None),
        _PAIR | {"label": "score"},
        "unknown",
    ),
    "wikiann": HubTask(
        "persons, organisations and places in Wikipedia, tagged by its links "
        "(Pan et al. 2017; Rahimi et al. 2019)",
        *("tagging", "unimelb-nlp/wikiann", "en"),
        _WORDS,
        "unknown; the texts are Wikipedia's",
    ),
    "conll2003": HubTask(
        "persons, organisations, places and others in news (Tjong Kim Sang and De "
        "Meulder 2003)",
        *("tagging", "lhoestq/conll2003", None),
        _WORDS,
        "for research alone, as Reuters allows",
        ("O", *(f"{b}-{name}" for name in _CONLL for b in "BI")),
    ),
    "squad2": HubTask(
        "questions on Wikipedia, a third without an answer (Rajpurkar et al. 2018)",
        *("answers", "rajpurkar/squad_v2", None),
        _SQUAD,
        "CC BY-SA 4.0",
        apart="context",
    ),
    "cnn": HubTask(
        "a news article in three or four sentences (Hermann et al. 2015; See et al. "
        "2017)",
        *("writing", "abisee/cnn_dailymail", "3.0.0"),
        {"text": "article", "target": "highlights"},
        "Apache 2.0; the articles are those of CNN and the Daily Mail",
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
    found = load(where, config, None, streaming=False)
    missing = {"train", "validation"} - set(found)
    if missing:
        raise ValueError(
            f"{where} has no {' and no '.join(sorted(missing))}; it has "
            f"{', '.join(found)}: name its files train, validation and test"
        )
    train, valid, test = _parts(found, task, where, rows)
    return TaskSet(
        name,
        task.kind,
        labels_of(train, task.kind),
        *(train, valid, test),
        where if folder is not None else f"{where} on the Hugging Face hub",
        task.licence,
    )


def _parts(
    found: Any, task: HubTask, where: str, rows: int | None
) -> tuple[list[Row], list[Row], list[Row]]:
    test = list(_rows(found["test"], task, where, rows)) if "test" in found else []
    if any(map(_is_labelled, test)):
        return (
            list(_rows(found["train"], task, where, rows)),
            list(_rows(found["validation"], task, where, rows)),
            test,
        )

    def in_valid(row: Row) -> bool:
        return crc32(getattr(row, task.apart).encode()) % _VALID_ONE_IN == 0

    return (
        list(_rows(found["train"], task, where, rows, lambda row: not in_valid(row))),
        list(_rows(found["train"], task, where, rows, in_valid)),
        list(_rows(found["validation"], task, where, rows)),
    )


def _rows(
    part: Any,
    task: HubTask,
    where: str,
    rows: int | None,
    wanted: Callable[[Row], bool] = lambda row: True,
) -> Iterator[Row]:
    """The rows of a part that are wanted: all in their order, or some at random."""
    lacking = [name for name in task.columns.values() if name not in part.features]
    if lacking:
        raise ValueError(
            f"{where} has no column {', '.join(lacking)}; it has "
            f"{', '.join(part.features)}"
        )
    order = list(range(len(part)))
    if rows is not None:
        random.Random(0).shuffle(order)
    taken = 0
    for number in order:
        row = row_from(task.kind, _mapping(part[number], part.features, task))
        if wanted(row):
            yield row
            taken += 1
        if taken == rows:
            return


def _mapping(values: dict[str, Any], features: Any, task: HubTask) -> dict[str, Any]:
    """The dict of a row with our names of fields, and names for numbered labels."""
    mapping = {ours: values[theirs] for ours, theirs in task.columns.items()}
    if "tags" in mapping:
        names = _names(features[task.columns["tags"]]) or task.names
        mapping["tags"] = [_named(tag, names) for tag in mapping["tags"]]
    elif "label" in mapping and task.kind == "classification":
        label = mapping["label"]
        names = _names(features[task.columns["label"]]) or task.names
        mapping["label"] = None if label == _UNLABELLED else _named(label, names)
    elif "label" in mapping:
        number = mapping["label"]
        hidden = number is None or number == _UNLABELLED
        mapping["label"] = None if hidden else float(number)
    return mapping


def _names(feature: Any) -> list[str]:
    """The names of a column of numbered labels, or of a column of lists of them."""
    return getattr(feature, "names", None) or getattr(
        getattr(feature, "feature", None), "names", []
    )


def _named(label: Any, names: list[str] | tuple[str, ...]) -> Any:
    return names[label] if names and isinstance(label, int) else label


def _is_labelled(row: Any) -> bool:
    for name in ("label", "tags", "answers", "target"):
        if hasattr(row, name):
            return getattr(row, name) is not None
    return False
