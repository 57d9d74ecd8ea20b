"""Task data: a set of rows made ready to be learnt (chapter 10)."""

from bertcore.text.rowcheck import sound_rows
from bertcore.text.rows import TaskSet, labels_of


def ready(data: TaskSet, on_fault: str) -> tuple[TaskSet, list[str]]:
    """The set with its labels, without rows that are not sound, and their faults.

    Args:
        data: if it names no labels, they are those of its sound rows to train on.
        on_fault: see `sound_rows`.

    Raises:
        ValueError: naming the part and the rows, if `on_fault` is "stop".
    """
    if not data.labels and data.kind in ("classification", "tagging"):
        sound, _ = sound_rows(data.train, data.kind, None, "skip")
        data = data._replace(labels=labels_of(sound, data.kind))
    parts, faults = {}, []
    for name in ("train", "valid", "test"):
        rows = getattr(data, name)
        try:
            kept, found = sound_rows(rows, data.kind, data.labels or None, on_fault)
        except ValueError as error:
            raise ValueError(f"{data.name}, {name}: {error}") from error
        parts[name] = kept
        faults += [f"{name}, {fault}" for fault in found]
    return data._replace(**parts), faults


def are_pairs(data: TaskSet) -> bool | None:
    """Whether all texts are pairs, or none; None if some are, or there are no texts."""
    if data.kind not in ("classification", "regression"):
        return None
    found = {row.pair is not None for row in data.train}
    return found.pop() if len(found) == 1 else None
