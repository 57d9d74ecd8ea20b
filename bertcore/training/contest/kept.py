"""Kept: the results of a long row of runs, a file each, so that none is run twice."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bertcore.sources import read_json


def write_json(path: Path, content: Any) -> None:
    """Write a file that is there only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    partial.write_text(text, encoding="utf8", newline="\n")
    partial.replace(path)


def check_same(
    folder: Path, name: str, now: dict[str, Any], beside: Collection[str] = ()
) -> None:
    """Begin a folder, or make sure that it goes on with what it began with.

    Args:
        folder: new, empty, or begun before.
        name: of the file that says what was asked for.
        now: what is asked for, in plain values.
        beside: names of what may be in it before it begins.

    Raises:
        ValueError: if something else is in it, or it began with another thing.
    """
    path = folder / name
    if not path.is_file():
        held = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
        if folder.is_file() or held - {*beside, f"{name}.part"}:
            raise ValueError(
                f"{folder} holds something else: it has no {name}; give a new folder"
            )
        write_json(path, now)
        return
    then, now = read_json(path), json.loads(json.dumps(now))
    apart = []
    for part in now:
        before, after = then.get(part), now[part]
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
            apart += [f"{k}={before.get(k)}, not {after.get(k)}" for k in keys]
        elif before != after:
            apart.append(f"{part}={before}, not {after}")
    if apart:
        raise ValueError(
            f"{folder} began with {'; '.join(apart)}. What is in it cannot be compared "
            "with that; give another folder"
        )
