"""Loading: labelled rows by the name of a set, from files, or from the hub."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import normalize

from bertcore.files import (
    ROWS,
    SENTENCES,
    ending_of,
    heading,
    open_text,
    read_records,
    read_sentences,
)
from bertcore.sources import many, needs
from bertcore.tasks import KINDS, checked, find_task
from bertcore.tasks.rows import (
    OPTIONS,
    PARTS,
    CheckedSet,
    Labels,
    Row,
    TaskSet,
    first_faults,
)
from bertcore.tasks.sets import HUB_TASKS, NAMED_TASKS, HubTask, NamedTask, parts
from bertcore.text.documents import load

if TYPE_CHECKING:
    from bertcore.tasks.task import Task

OWN = "your own"
Record = tuple[str, dict[str, Any]]  # with its place before it
ON_HUB = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?")
NAMES = {  # of the parts of a set
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
_UNLABELLED = -1  # what GLUE has for a label that it keeps to itself
_RIGHT = ("label", "tags", "answers", "output")  # options for what is right
_UNREAD = 8  # columns that are named


def is_named(source: str) -> bool:
    """Whether this is the name of a set, and not the path of rows of one's own."""
    return source in NAMED_TASKS or source in HUB_TASKS


def is_own(source: str) -> bool:
    """Whether there are rows of one's own, or of the hub, whose kind must be said."""
    path = Path(source).expanduser()
    looks = ON_HUB.fullmatch(source) is not None
    on_hub = looks and ending_of(path) not in (*ROWS, *SENTENCES)
    return not is_named(source) and (path.exists() or on_hub)


def read_set(
    source: str,
    kind: str | None,
    on_fault: str,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> CheckedSet:
    """A set by its name, or rows of one's own by their path.

    Args:
        source: a name of `NAMED_TASKS` or `HUB_TASKS`; a file of rows, which a digest
            of each row's text splits 8:1:1; a folder of such files named train, valid
            (or validation, val, dev) and test, or of Parquet files as the hub keeps
            them; or a data set of the hub, as owner/name or owner/name:config. If there
            are no rows to validate or to test, one in ten to train on are.
        kind: of one's own rows.
        on_fault: "stop" at rows that are not sound, or "skip" them.
        columns: what columns are called, as the fields of `Columns`; by default their
            own names or usual ones.
        encoding: of files that are not UTF-8, as for `bertcore.files.open_text`.

    Raises:
        FileNotFoundError: if there is no such set, file or folder.
        ValueError: if rows are not sound and on_fault is "stop"; if they are too few;
            if a column is missing, or if several might be it.
    """
    if is_named(source):
        _no_columns(source, columns, encoding)
        rows = _named(source, kind)
    else:
        rows = _split(_raw(source, kind, columns or {}, encoding))
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


def read_test(
    source: str,
    kind: str,
    labels: Labels,
    on_fault: str,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    known: Mapping[str, str] | None = None,
) -> CheckedSet:
    """Rows to score: the test rows of a set or folder, or all rows of a file.

    Args:
        source, on_fault, columns, encoding: as for `read_set`.
        kind, labels: those of the model.
        known: columns that are taken if they are there.

    Raises:
        FileNotFoundError, ValueError: as `read_set`, and if the set is of another kind.
    """
    if is_named(source) and _about(source).kind != kind:
        raise ValueError(
            f"{source} is a set for {_about(source).kind}, and the model is for "
            f"{kind}; bertcore tasks lists others"
        )
    task = find_task(kind)
    if is_named(source):
        data, faults, note = read_set(source, kind, "skip", columns, encoding)
        places = [f"{source}, test"] * len(data.test)
        # Once more, as the model may not know all labels that the set has.
        rows, more = task.sound_rows(data.test, labels or None, "skip", places=places)
        faults += more
    else:
        raw = _raw(source, kind, columns or {}, encoding, known or {})
        placed = raw.parts["train" if raw.whole else "test"]
        data, faults, note = _split(raw)
        if placed:
            rows, more = _sound(task, placed, labels)
            faults, note = raw.faults + more, "\n".join(raw.notes)
        else:
            rows, more = task.sound_rows(data.test, labels or None, "skip")
            faults += more
    if faults and on_fault == "stop":
        raise ValueError(_stopped(source, faults))
    if not rows:
        raise ValueError(f"{source} has no rows to score; give one at least")
    return CheckedSet(data._replace(test=rows), faults, note)


def _no_columns(name: str, columns: Mapping[str, str] | None, encoding: Any) -> None:
    """ValueError if a set by its name, which is known, shall have other columns."""
    given = {**(columns or {}), **({"encoding": encoding} if encoding else {})}
    for option, value in given.items():
        raise ValueError(
            f"{option}={value} is for files, and {name} is a set by its name; leave it "
            "out"
        )


def _about(name: str) -> NamedTask | HubTask:
    return NAMED_TASKS[name] if name in NAMED_TASKS else HUB_TASKS[name]


def _named(name: str, kind: str | None) -> CheckedSet:
    if kind not in (None, _about(name).kind):
        raise ValueError(
            f"{name} is a set for {_about(name).kind}, not {kind}; for rows of your "
            f"own of that name give ./{name}"
        )
    if name in NAMED_TASKS:
        data, faults, _ = checked(NAMED_TASKS[name].load(), "skip")
        return CheckedSet(data, [f"{name}, {fault}" for fault in faults])
    about = HUB_TASKS[name]
    raw = _raw(about.source, about.kind, about.columns, None, names=about.names)
    if not raw.parts["test"]:  # its owners keep it: validation tests, as in papers
        raw.parts["test"], raw.parts["valid"] = raw.parts["valid"], []
    data, faults, note = _split(raw)
    return CheckedSet(data._replace(name=name, licence=about.licence), faults, note)


# Rows of one's own -------------------------------------------------------------------

PlacedRow = tuple[str, Row]


class _Raw(NamedTuple):
    """Rows as they were read, whatever is wrong with them, in parts.

    `whole` says that there is one file, which has no parts; they are in "train".
    `columns` are those of the first part.
    """

    name: str
    task: Task
    source: str
    whole: bool
    parts: dict[str, list[PlacedRow]]
    faults: list[str]
    notes: list[str]
    columns: dict[str, str]


def _raw(
    source: str,
    kind: str | None,
    given: Mapping[str, str],
    encoding: str | None,
    known: Mapping[str, str] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> _Raw:
    """The rows of a file, a folder or a set on the hub, with labels in one form.

    Args:
        source, encoding: as for `read_set`.
        kind: of the rows.
        given: columns, as `Columns` calls them.
        known: columns that are taken if they are there.
        names: of the numbers in columns that do not say them.
    """
    path = Path(source).expanduser()
    if not is_own(source):
        raise FileNotFoundError(
            f"no set {source!r}, and no such file or folder; give a name that bertcore "
            f"tasks lists, or a file of rows ({', '.join(ROWS)}), or a folder of "
            "train.jsonl, valid.jsonl and test.jsonl"
        )
    task, whole, found = find_task(kind), path.is_file(), str(path)
    name = path.name.split(".")[0] if whole else path.name
    files = _files(path, task) if path.is_dir() else {}
    if whole:
        files = {"train": path}
    if files:
        records = {
            part: records_in(each, task, encoding) for part, each in files.items()
        }
    else:
        records = library_records(source, path, names or {})
        found = found if path.is_dir() else f"{source} on the Hugging Face hub"
    raw = _Raw(name, task, found, whole, {}, [], [], {})
    for part in PARTS:
        _add(raw, part, list(records.get(part, ())), given, known or {})
    _settle(raw)
    return raw


def records_in(path: Path, task: Task, encoding: str | None) -> Iterator[Record]:
    """The records of a file: sentences in columns, if they are for tags, or others.

    Errors are those of `read_records` and `read_sentences`.
    """
    encoding, ending = encoding or "utf-8", ending_of(path)
    if task.sentences:
        sentences = ending in SENTENCES
        if ending == ".tsv":  # whose first line names no columns
            usual = {"words", *task.usual["words"].split()}
            with open_text(path, encoding=encoding) as file:
                sentences = not usual & {*next(file, "").lower().split()} and any(
                    not line.strip() for line in file
                )
        if sentences:
            return read_sentences(path, encoding)
    return file_records(path, encoding)


def _files(folder: Path, task: Task) -> dict[str, Path]:
    """The file of each part; none if the folder is for the library datasets to read."""
    endings = (*ROWS, *SENTENCES) if task.sentences else ROWS
    there = [each for each in sorted(folder.iterdir()) if ending_of(each) in endings]
    found: dict[str, Path] = {}
    for part, names in NAMES.items():
        fit = [each for each in there if each.name.lower().split(".")[0] in names]
        # Such as train-v1.1.json or dev_matched.tsv.
        words = re.compile(rf"(?:.*[._-])?(?:{'|'.join(names)})(?:[._-].*)?")
        fit = fit or [each for each in there if words.fullmatch(each.name.lower())]
        if any("-of-" in each.name for each in fit):  # the hub's, of several files
            return {}
        if len(fit) > 1:
            raise ValueError(
                f"{folder} has {' and '.join(each.name for each in fit)}, and one file "
                f"is its part {part!r}; move the others away"
            )
        found.update((part, each) for each in fit)
    state = [folder / "dataset_dict.json", folder / "dataset_info.json"]
    if not found and not any(
        each.is_file() for each in (*state, *folder.rglob("*.parquet"))
    ):
        held = sorted(path.name for path in folder.iterdir())[:8]
        raise FileNotFoundError(
            f"{folder} has no train.jsonl, nor one that ends with "
            f"{', '.join(ROWS[1:])}; it holds {', '.join(held) or 'nothing'}: give a "
            "folder of train.jsonl, valid.jsonl and test.jsonl, or one file, which is "
            "then split"
        )
    return found


def _add(
    raw: _Raw,
    part: str,
    records: list[Record],
    given: Mapping[str, str],
    known: Mapping[str, str],
) -> None:
    """Make rows of a part's records."""
    task, placed = raw.task, []
    for place, record in records:
        try:
            placed += [(place, each) for each in task.records(record)]
        except ValueError as error:
            raw.faults.append(f"{place}: no row for {task.name}: {error}")
    names = list(dict.fromkeys(name for _, record in placed for name in record))
    rows = raw.parts[part] = []
    if not names:
        return
    # What was so called in an earlier part, or when the model learnt, if it is there.
    earlier = {**known, **raw.columns}
    hints = {option: name for option, name in earlier.items() if name in names}
    if part == "test":  # which may have no labels, and then no column for them
        given = {o: n for o, n in given.items() if n in names or o not in _RIGHT}
    try:
        columns = task.columns(names, {**hints, **given}, labelled=part != "test")
    except ValueError as error:
        place = placed[0][0].rpartition(", ")[0]
        raise ValueError(f"{place}: {error}{heading(place)}") from error
    if not raw.columns:
        others = {OPTIONS.get(field, field): name for field, name in columns.items()}
        raw.columns.update({o: n for o, n in others.items() if n not in columns})
        left = [name for name in names if name not in task.beside]
        raw.notes.extend(filter(None, [_read_in_words(columns, left)]))
    for place, record in placed:
        try:
            mapping = task.from_cells(task.renamed(record, columns))
            rows.append((place, task.from_dict(mapping)))
        except ValueError as error:
            raw.faults.append(f"{place}: no row for {task.name}: {error}")


def _read_in_words(columns: Mapping[str, str], names: list[str]) -> str:
    """Which columns were read, if that is not plain to see."""
    unread = [name for name in names if name and name not in columns.values()]
    others = [
        f"{field} from {name}" for field, name in columns.items() if field != name
    ]
    if not others:
        return ""
    more = ", …" if unread[_UNREAD:] else ""
    left = f"; not read: {', '.join(unread[:_UNREAD])}{more}" if unread else ""
    return f"columns: {', '.join(others)}{left}"


def _settle(raw: _Raw) -> None:
    """Labels in one form, and no part to test that has none, as GLUE keeps its own."""
    every = [row for rows in raw.parts.values() for _, row in rows]
    new, note = raw.task.settled(every)
    raw.notes.extend(filter(None, [note]))
    left = iter(new)
    for part, rows in raw.parts.items():
        raw.parts[part] = [(place, next(left)) for place, _ in rows]
    right = raw.task.right
    told = {str(getattr(row, right)) for _, row in raw.parts["test"]}
    known = {str(getattr(row, right)) for _, row in raw.parts["train"]}
    if len(told) == 1 and told <= {"None", "", "-1", "-1.0"} - known:
        raw.parts["test"] = []
        raw.notes.append("its test rows have no labels, so they are left out")


def _sound(
    task: Task, rows: list[PlacedRow], labels: Labels = ()
) -> tuple[list[Row], list[str]]:
    places = [place for place, _ in rows]
    return task.sound_rows([r for _, r in rows], labels or None, "skip", places=places)


def _split(raw: _Raw) -> CheckedSet:
    """The sound rows in three parts. What is a label, those to train on say."""
    task, faults, notes = raw.task, list(raw.faults), list(raw.notes)
    labels = task.labels_of(_sound(task, raw.parts["train"])[0])
    found: dict[str, list[Row]] = {}
    for part in PARTS:
        found[part], more = _sound(task, raw.parts[part], labels)
        faults += more
    if raw.whole:
        found = dict(zip(PARTS, parts(found["train"], task.key), strict=True))
        notes.append(
            f"{raw.source} is split by a digest: 8 parts to train on, 1 to validate, "
            f"1 to test; rows with the same {task.apart} stay together"
        )
    train = {_content(row, task) for row in found["train"]}
    again = sum(_content(row, task) in train for row in found["test"])
    if again and not raw.whole:
        notes.append(
            f"{again:,} of {many(len(found['test']), 'row')} to test are also among "
            "those to train on, so scores will be too good"
        )
    for place, part in enumerate(PARTS):
        if raw.parts[part] or raw.whole or part == "train":
            continue
        found[part] = parts(found["train"], task.key)[place]
        keys = {task.key(row) for row in found[part]}
        count = len(found["train"])
        found["train"] = [row for row in found["train"] if task.key(row) not in keys]
        word = {"valid": "validate", "test": "test"}[part]
        notes.append(
            f"{raw.source} has no rows to {word}; so {len(found[part]):,} of {count:,} "
            f"to train on do, by a digest: rows with the same {task.apart} stay "
            "together"
        )
    notes += _doubts(labels, len(raw.parts["train"]))
    data = TaskSet(raw.name, task.name, labels, *found.values(), raw.source, OWN)
    return CheckedSet(data._replace(columns=raw.columns), faults, "\n".join(notes))


def _doubts(labels: Labels, count: int) -> Iterator[str]:
    """What is strange in the labels of so many rows to train on."""
    spelt: dict[str, str] = {}
    for label in labels:
        first = spelt.setdefault(normalize("NFKC", label).casefold(), label)
        if first != label:
            yield f"labels {first!r} and {label!r}: are they one, spelt twice?"
    if labels[9:] and len(labels) > count / 2:
        yield f"{len(labels)} labels for so few rows: is it the right column?"


def _content(row: Row, task: Task) -> str:
    """What a model reads of a row."""
    fields = row._asdict()
    return str([v for name, v in fields.items() if name not in (task.right, "id")])


def _stopped(source: str, faults: list[str]) -> str:
    return (
        f"{many(len(faults), 'fault')} in the rows of {source}; mend "
        f"them, or leave these rows out with --on-fault skip\n{first_faults(faults)}"
    )


# Files, and the library datasets ------------------------------------------------------


def names_in(feature: Any) -> Sequence[str]:
    """The names of a feature's numbers, or of those in its lists; () if it has none."""
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
    names: dict[str, Sequence[str]] = {}
    for number, (place, record) in enumerate(read_records(path, encoding)):
        if not number and ending_of(path) == ".parquet":
            names = _noted_names(path)
        named = {name: in_words(record[name], each) for name, each in names.items()}
        yield place, {**record, **named}


def _noted_names(path: Path) -> dict[str, Sequence[str]]:
    """The names of the numbers in columns that stand in a Parquet file's metadata."""
    schema = needs("pyarrow.parquet", f"reading {path}").read_schema(path)
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    library = needs("datasets", f"reading {path}")
    features = library.Features.from_arrow_schema(schema)
    return {column: names_in(feature) for column, feature in features.items()}


def library_records(
    source: str, path: Path, known: Mapping[str, Sequence[str]]
) -> dict[str, Iterator[Record]]:
    """The records of each part of a data set on the hub, or in a folder as it has it.

    Args:
        source: owner/name or owner/name:config, if there is no such folder.
        path: of the folder.
        known: names of the numbers in columns that do not say them.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config, or none of the parts.
    """
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        splits = needs("datasets", f"reading {source}").load_from_disk(str(path))
    else:
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
            found[part] = _records_of(splits[fit[0]], f"{source}, {fit[0]}", known)
    if not found:
        raise ValueError(
            f"{source} has no train, validation or test; it has {', '.join(splits)}"
        )
    return found


def _records_of(
    part: Any, place: str, known: Mapping[str, Sequence[str]]
) -> Iterator[Record]:
    """Rows of the library datasets, with the names of numbers that have some."""
    names = {name: names_in(each) for name, each in part.features.items()} | known
    for number, row in enumerate(part, 1):
        named = {name: in_words(value, names[name]) for name, value in row.items()}
        yield f"{place}, row {number}", named
