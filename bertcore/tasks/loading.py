"""Loading: labelled rows by the name of a set, from files, or from the hub."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from bertcore.files import COMPRESSED, ROWS, read_records
from bertcore.tasks import KINDS, checked, find_task
from bertcore.tasks.rows import CheckedSet, Labels, Row, TaskSet, first_faults
from bertcore.tasks.sets import NAMED_TASKS, NamedTask, parts
from bertcore.text.documents import load

if TYPE_CHECKING:
    from bertcore.tasks.task import Task

OWN = "your own"
_UNLABELLED = -1  # what GLUE has for a label that it keeps to itself
_VALID_ONE_IN = 20
_PAIR = {"text": "sentence1", "pair": "sentence2"}
_WORDS = {"words": "tokens", "tags": "ner_tags"}
_CONLL = ("PER", "ORG", "LOC", "MISC")


def is_named(source: str) -> bool:
    """Whether this is the name of a set, and not the path of rows of one's own."""
    return source in NAMED_TASKS or source in HUB_TASKS


def read_set(source: str, kind: str | None, on_fault: str) -> CheckedSet:
    """A set by its name, or rows of one's own by their path.

    Args:
        source: a name of `NAMED_TASKS` or `HUB_TASKS`; a file of rows, which a digest
            of each row's text splits 8:1:1; or a folder of three such files, such as
            train.jsonl, valid.jsonl and test.jsonl.
        kind: of one's own rows.
        on_fault: "stop" at rows that are not sound, or "skip" them.

    Raises:
        FileNotFoundError: if there is no such set, file or folder.
        ValueError: if rows are not sound and on_fault is "stop"; if they are too few.
    """
    path = Path(source).expanduser()
    if is_named(source):
        rows = _named(source, kind)
    elif path.is_dir():
        rows = _folder(path, kind)
    elif path.is_file():
        rows = _file(path, kind)
    else:
        raise FileNotFoundError(
            f"no set {source!r}, and no such file or folder; give a name that bertcore "
            f"tasks lists, or a file of rows ({', '.join(ROWS)}), or a folder of "
            "train.jsonl, valid.jsonl and test.jsonl"
        )
    data, faults, _ = rows
    # Not at the first fault: one message tells those of all three parts.
    if faults and on_fault == "stop":
        raise ValueError(_stopped(source, faults))
    if not data.train:
        raise ValueError(
            f"{data.name} has no rows to train on; give more rows, or a folder of "
            "train.jsonl, valid.jsonl and test.jsonl"
        )
    KINDS[data.kind].check_labels(data.name, data.labels)
    return rows


def first_rows(data: TaskSet, count: int | None) -> TaskSet:
    """The set with so many rows to train on, always the same; with more, more of them.

    Sets in packages are shuffled already. Others may be sorted, so some are drawn.
    """
    if count is None:
        return data
    train = data.train
    if data.name not in NAMED_TASKS:
        train = random.Random(0).sample(train, len(train))
    return data._replace(train=train[:count])


def read_test(source: str, kind: str, labels: Labels, on_fault: str) -> CheckedSet:
    """Rows to score: the test rows of a set or folder, or all rows of a file.

    Raises:
        FileNotFoundError: if there is no such set, file or folder.
        ValueError: if the set is of another kind, or its rows are not sound.
    """
    path = Path(source).expanduser()
    if is_named(source) and _about(source).kind != kind:
        raise ValueError(
            f"{source} is a set for {_about(source).kind}, and the model is for "
            f"{kind}; bertcore tasks lists others"
        )
    task = find_task(kind)
    if is_named(source) or not path.is_file():
        data, faults, _ = read_set(source, kind, "skip")
        places = [f"{source}, test"] * len(data.test)
        # Once more, as the model may not know all labels that the set has.
        rows, more = task.sound_rows(data.test, labels or None, "skip", places=places)
        faults += more
    else:
        data = TaskSet(path.stem, kind, (), [], [], [], str(path), OWN)
        rows, faults = _read(path, task, labels)
    if faults and on_fault == "stop":
        raise ValueError(_stopped(source, faults))
    if not rows:
        raise ValueError(f"{source} has no rows to score; give one at least")
    return CheckedSet(data._replace(test=rows), faults)


def _about(name: str) -> NamedTask | HubTask:
    return NAMED_TASKS[name] if name in NAMED_TASKS else HUB_TASKS[name]


def _named(name: str, kind: str | None) -> CheckedSet:
    if kind not in (None, _about(name).kind):
        raise ValueError(
            f"{name} is a set for {_about(name).kind}, not {kind}; for rows of your "
            f"own of that name give ./{name}"
        )
    data = NAMED_TASKS[name].load() if name in NAMED_TASKS else hub_task(name)
    data, faults, _ = checked(data, "skip")
    return CheckedSet(data, [f"{name}, {fault}" for fault in faults])


def _folder(folder: Path, kind: str) -> CheckedSet:
    """Three files. What is a label is for the rows to train on to say."""
    task = find_task(kind)
    train, faults = _read(_part(folder, "train"), task)
    labels = task.labels_of(train)
    valid, more = _read(_part(folder, "valid"), task, labels)
    test, most = _read(_part(folder, "test"), task, labels)
    data = TaskSet(folder.name, kind, labels, train, valid, test, str(folder), OWN)
    return CheckedSet(data, faults + more + most)


def _part(folder: Path, part: str) -> Path:
    for ending in product(ROWS, ("", *COMPRESSED)):
        path = folder / f"{part}{''.join(ending)}"
        if path.is_file():
            return path
    held = sorted(path.name for path in folder.iterdir())[:8]
    raise FileNotFoundError(
        f"{folder} has no {part}.jsonl, nor one that ends with {', '.join(ROWS[1:])}; "
        f"it holds {', '.join(held) or 'nothing'}: give a folder of train.jsonl, "
        "valid.jsonl and test.jsonl, or one file, which is then split"
    )


def _file(path: Path, kind: str) -> CheckedSet:
    """One file, split by a digest: what has the same text or context stays together."""
    task = find_task(kind)
    rows, faults = _read(path, task)
    train, valid, test = parts(rows, task.key)
    name, labels = path.name.split(".")[0], task.labels_of(rows)
    data = TaskSet(name, kind, labels, train, valid, test, str(path), OWN)
    note = (
        f"{path} is split by a digest: 8 parts to train on, 1 to validate, 1 to test; "
        f"rows with the same {task.apart} stay together"
    )
    return CheckedSet(data, faults, note)


def _read(path: Path, task: Task, labels: Labels = ()) -> tuple[list[Row], list[str]]:
    """The rows of a file that are sound, and the faults of all that is not."""
    rows, places, faults = [], [], []
    defaults = task.row._field_defaults
    needed = [name for name in task.row._fields if name not in defaults]
    for place, record in read_records(path, needed):
        try:
            rows.append(task.from_dict(task.from_cells(record)))
            places.append(place)
        except ValueError as error:
            faults.append(f"{place}: no row for {task.name}: {error}")
    sound, more = task.sound_rows(rows, labels or None, "skip", places=places)
    return sound, faults + more


def _stopped(source: str, faults: list[str]) -> str:
    count = len(faults)
    return (
        f"{count:,} fault{'s' if count > 1 else ''} in the rows of {source}; mend "
        f"them, or leave these rows out with --on-fault skip\n{first_faults(faults)}"
    )


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
    feature = part.features[task.columns[kind.right]]
    # A column of lists has the names of its numbers one step further in.
    columns = feature, getattr(feature, "feature", None)
    names = next(filter(None, (getattr(c, "names", None) for c in columns)), task.names)

    def in_words(label: Any) -> Any:
        return names[label] if names and isinstance(label, int) else label

    order = list(range(len(part)))
    if rows is not None:
        random.Random(0).shuffle(order)
    chosen: list[Row] = []
    for number in order:
        values = part[number]
        mapping = {ours: values[theirs] for ours, theirs in task.columns.items()}
        truth = mapping[kind.right]
        several = isinstance(truth, list)
        mapping[kind.right] = [*map(in_words, truth)] if several else in_words(truth)
        if truth == _UNLABELLED:
            mapping[kind.right] = None
        row = kind.from_dict(mapping)
        if wanted(row):
            chosen.append(row)
        if len(chosen) == rows:
            break
    return chosen
