"""Rowset: the labelled rows that `bertcore finetune` and `bertcore score` ask for."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.text.files import read_records
from bertcore.text.hub_tasks import HUB_TASKS, HubTask, hub_task
from bertcore.text.labelled import TASKS, Task
from bertcore.text.labelled_readers import normal, parts
from bertcore.text.lines import OPENERS
from bertcore.text.rowcheck import sound_rows
from bertcore.text.rows import Question, Row, TaskSet, Words, labels_of, row_from

PARTS = ("train", "valid", "test")
OWN = "your own"
_SHOWN = 5


class Rows(NamedTuple):
    """Sound rows, a sentence on each fault of the others, and how they were split."""

    data: TaskSet
    faults: list[str]
    note: str = ""


def is_named(asked: str) -> bool:
    """Whether this is the name of a set, and not the path of rows of one's own."""
    return asked in TASKS or asked in HUB_TASKS


def read_set(asked: str, kind: str | None, on_fault: str) -> Rows:
    """A set by its name, or rows of one's own by their path.

    Args:
        asked: a name of `TASKS` or `HUB_TASKS`; a JSON-lines file, which a digest of
            each row's text splits 8:1:1; or a folder of train.jsonl, valid.jsonl and
            test.jsonl.
        kind: of one's own rows.
        on_fault: "stop" at rows that are not sound, or "skip" them.

    Raises:
        FileNotFoundError: if there is no such set, file or folder.
        ValueError: if rows are not sound and on_fault is "stop"; if they are too few.
    """
    path = Path(asked).expanduser()
    if is_named(asked):
        found = _named(asked, kind)
    elif path.is_dir():
        found = _folder(path, kind)
    elif path.is_file():
        found = _file(path, kind)
    else:
        raise FileNotFoundError(
            f"no set {asked!r}, and no such file or folder; give a name that bertcore "
            "tasks lists, or a .jsonl file, or a folder of train.jsonl, valid.jsonl "
            "and test.jsonl"
        )
    data, faults, _ = found
    if faults and on_fault == "stop":
        raise ValueError(_stopped(asked, faults))
    _check_labels(data)
    return found


def first_rows(data: TaskSet, count: int | None) -> TaskSet:
    """The set with so many rows to train on, always the same; with more, more of them.

    Sets in packages are shuffled already. Others may be sorted, so some are drawn.
    """
    if count is None:
        return data
    train = data.train
    if data.name not in TASKS:
        train = random.Random(0).sample(train, len(train))
    return data._replace(train=train[:count])


def read_test(asked: str, kind: str, labels: Sequence[str], on_fault: str) -> Rows:
    """Rows to score: the test rows of a set or folder, or all rows of a file.

    Raises:
        FileNotFoundError: if there is no such set, file or folder.
        ValueError: if the set is of another kind, or its rows are not sound.
    """
    path = Path(asked).expanduser()
    if is_named(asked) and _about(asked).kind != kind:
        raise ValueError(
            f"{asked} is a set for {_about(asked).kind}, and the model is for {kind}; "
            "bertcore tasks lists others"
        )
    if is_named(asked) or not path.is_file():
        found = read_set(asked, kind, "skip")
        rows, places = found.data.test, [f"{asked}, test"] * len(found.data.test)
        data, faults, _ = found
    else:
        rows, places, faults = _read(path, kind)
        data = TaskSet(path.stem, kind, (), [], [], [], str(path), OWN)
    rows, more = _sift(rows, places, kind, labels)
    faults = faults + more
    if faults and on_fault == "stop":
        raise ValueError(_stopped(asked, faults))
    if not rows:
        raise ValueError(f"{asked} has no rows to score; give one at least")
    return Rows(data._replace(test=rows), faults)


def _about(name: str) -> Task | HubTask:
    return TASKS[name] if name in TASKS else HUB_TASKS[name]


def _named(name: str, kind: str | None) -> Rows:
    if kind not in (None, _about(name).kind):
        raise ValueError(
            f"{name} is a set for {_about(name).kind}, not {kind}; for rows of your "
            f"own of that name give ./{name}"
        )
    data = TASKS[name].load() if name in TASKS else hub_task(name)
    kept: dict[str, list[Row]] = {}
    faults: list[str] = []
    for part in PARTS:
        rows = getattr(data, part)
        places = [f"{name}, {part}, row {number}" for number in range(len(rows))]
        kept[part], found = _sift(rows, places, data.kind, data.labels)
        faults += found
    return Rows(data._replace(**kept), faults)


def _folder(folder: Path, kind: str) -> Rows:
    """Three files. What is a label is for the rows to train on to say."""
    kept: dict[str, list[Row]] = {}
    faults: list[str] = []
    labels: tuple[str, ...] = ()
    for part in PARTS:
        rows, places, found = _read(_part(folder, part), kind)
        kept[part], more = _sift(rows, places, kind, labels)
        faults += found + more
        if part == "train":
            labels = labels_of(kept[part], kind)
    data = TaskSet(folder.name, kind, labels, **kept, source=str(folder), licence=OWN)
    return Rows(data, faults)


def _part(folder: Path, part: str) -> Path:
    names = [f"{part}.jsonl{ending}" for ending in ("", *OPENERS)]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    held = sorted(path.name for path in folder.iterdir())[:8]
    raise FileNotFoundError(
        f"{folder} has no {part}.jsonl; it holds {', '.join(held) or 'nothing'}: give "
        "a folder of train.jsonl, valid.jsonl and test.jsonl, or one .jsonl file, "
        "which is then split"
    )


def _file(path: Path, kind: str) -> Rows:
    """One file, split by a digest: what has the same text or context stays together."""
    rows, places, faults = _read(path, kind)
    rows, more = _sift(rows, places, kind, ())
    split = dict(zip(PARTS, parts(rows, _key), strict=True))
    data = TaskSet(
        path.name.split(".")[0],
        kind,
        labels_of(rows, kind),
        **split,
        source=str(path),
        licence=OWN,
    )
    note = (
        f"{path} is split by a digest: 8 parts to train on, 1 to validate, 1 to test; "
        f"rows with the same {'context' if kind == 'answers' else 'text'} stay together"
    )
    return Rows(data, faults + more, note)


def _key(row: Row) -> str:
    if isinstance(row, Question):
        return row.context
    return normal(" ".join(row.words) if isinstance(row, Words) else row.text)


def _read(path: Path, kind: str) -> tuple[list[Row], list[str], list[str]]:
    """Rows, the place of each, and the faults of what is no row."""
    rows, places, faults = [], [], []
    for place, record in read_records(path):
        place = place.removesuffix(",")
        try:
            rows.append(row_from(kind, record))
            places.append(place)
        except ValueError as error:
            faults.append(f"{place}: no row for {kind}: {error}")
    return rows, places, faults


def _sift(
    rows: Iterable[Row], places: Iterable[str], kind: str, labels: Sequence[str]
) -> tuple[list[Row], list[str]]:
    """Sound rows, and the faults of the others under their places in the file."""
    sound: list[Row] = []
    faults: list[str] = []
    for row, place in zip(rows, places, strict=True):
        kept, found = sound_rows([row], kind, labels or None, "skip")
        sound += kept
        faults += [f"{place}: {fault.removeprefix('row 0: ')}" for fault in found]
    return sound, faults


def _stopped(asked: str, faults: list[str]) -> str:
    count, more = len(faults), len(faults) - _SHOWN
    shown = faults[:_SHOWN] + ([f"and {more:,} more"] if more > 0 else [])
    return (
        f"{count:,} fault{'s' if count > 1 else ''} in the rows of {asked}; mend them, "
        "or leave these rows out with --on-fault skip\n" + "\n".join(shown)
    )


def _check_labels(data: TaskSet) -> None:
    """Enough to learn from."""
    if not data.train:
        raise ValueError(
            f"{data.name} has no rows to train on; give more rows, or a folder of "
            "train.jsonl, valid.jsonl and test.jsonl"
        )
    if data.kind in ("classification", "tagging") and len(data.labels) < 2:
        what: Any = "tag" if data.kind == "tagging" else "class"
        raise ValueError(
            f"all rows of {data.name} have the {what} {data.labels[0]!r}; there is "
            "nothing to tell apart: give rows of two at least"
        )
