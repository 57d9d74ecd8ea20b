"""Fields: those of a dataclass, changed by name (chapter 0)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def check_fields(kind: type, names: Iterable[str]) -> None:
    """Refuse names that are no fields of a dataclass.

    Raises:
        ValueError: naming them, and the fields that there are.
    """
    fields = kind.__dataclass_fields__
    unknown = sorted(set(names) - set(fields))
    if unknown:
        raise ValueError(
            f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(fields)}"
        )


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """A copy of a dataclass with some fields changed.

    Raises:
        ValueError: if it has no such field, or the value makes no sense there.
    """
    check_fields(type(settings), changes)
    return replace(settings, **changes)
