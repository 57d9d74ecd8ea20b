"""Probe: a small labelled task, the same for every body of a race (chapter 10).

A body that knows more learns it from fewer rows. For texts made by rules the task is
made by rules, too: whether a tale stays true to its colours.
"""

import re
from itertools import islice
from random import Random

from bertcore.text.labelled import TASKS
from bertcore.text.rows import TaskSet, Text
from bertcore.text.tales import LICENCE, SOURCE, tales

COLOURS = "colours"
SCORED = 500  # rows at most
_NAMES = "red blue green yellow white black brown grey".split()
_THING = re.compile(
    rf"\b({'|'.join(_NAMES)})(?= (?:lantern|basket|coat|hat|boat|cart|kite|bag)\b)"
)


def probe(name: str, rows: int) -> TaskSet:
    """So many rows to train on, and up to 500 others to score on.

    Args:
        name: "colours", or one of `TASKS` that is a classification.
        rows: to train on.

    Raises:
        FileNotFoundError: naming a package that is not installed.
        ValueError: if there is no such task, or its rows are too few.
    """
    able = [each for each, task in TASKS.items() if task.kind == "classification"]
    if name != COLOURS and name not in able:
        raise ValueError(
            f"no task {name!r} for a race; there are {', '.join([COLOURS, *able])}"
        )
    if rows < 1:
        raise ValueError(f"rows={rows}; give 1 or more")
    if name == COLOURS:
        return colours(rows)
    data = TASKS[name].load()
    if rows > len(data.train):
        raise ValueError(
            f"rows={rows}, and {name} has {len(data.train):,} to train on; give that "
            "many at most"
        )
    scored = [*data.test, *data.valid][:SCORED]
    return data._replace(train=data.train[:rows], valid=[], test=scored)


def colours(rows: int, seed: int = 0) -> TaskSet:
    """Three sentences of a tale that name the colour of a thing; the last may lie.

    >>> print(colours(1).train[0].label)
    false
    """
    rng = Random(seed)
    made = list(islice(_colour_rows(rng), rows + SCORED))
    about = COLOURS, "classification", ("true", "false")
    return TaskSet(*about, made[:rows], [], made[rows:], SOURCE, LICENCE)


def _colour_rows(rng: Random):
    while True:
        (tale,) = tales(1, rng.randrange(2**31))
        named = [sentence for sentence in tale if _THING.search(sentence)]
        first, second, *_, last = named
        true = _THING.search(last)[1]
        label = rng.choice(("true", "false"))
        if label == "false":
            other = rng.choice([name for name in _NAMES if name != true])
            last = _THING.sub(other, last)
        yield Text(" ".join((first, second, last)), label)
