"""What the benchmarks share: one core, fair rounds, a table, a card."""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bertcore.cards import make_card, write_card

_PINS = hasattr(os, "sched_setaffinity")
_CORES = os.sched_getaffinity(0) if _PINS else set(range(os.cpu_count() or 1))


def options(description: str) -> argparse.Namespace:
    """The command line; and from here on the process keeps to one core."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--card", help="a JSON file to record the run in")
    given = parser.parse_args()
    if _PINS:
        os.sched_setaffinity(0, {min(_CORES)})
    return given


@contextmanager
def all_cores() -> Iterator[int]:
    """Every core again, for a while, and for the processes started then: how many."""
    before = os.sched_getaffinity(0) if _PINS else _CORES
    if _PINS:
        os.sched_setaffinity(0, _CORES)
    try:
        yield len(_CORES)
    finally:
        if _PINS:
            os.sched_setaffinity(0, before)


def timed(
    work: Callable[[], Any], clock: Callable[[], float] = time.process_time
) -> tuple[float, Any]:
    """Seconds, of this process's processor time by default, and what came out."""
    gc.collect()
    start = clock()
    result = work()
    return clock() - start, result


def peak(seconds: Callable[[], float], operations: float) -> float:
    """Operations a second of the fastest of ten products of matrices.

    The fastest, because whatever else the machine does slows a product down, and a
    rate that was measured in such a moment would be exceeded by honest work.

    Args:
        seconds: multiplies once, and says how long it took.
        operations: of that product.
    """
    seconds()  # the first one prepares what the others use
    return operations / min(seconds() for _ in range(10))


def spread(rounds: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Minimum, median and maximum of each quantity, printed and returned."""
    print(f"{'':46}{'min':>8}{'median':>8}{'max':>8}")
    results = {}
    for name, values in rounds.items():
        found = [min(values), statistics.median(values), max(values)]
        print(f"{name:46}" + "".join(f"{value:8.2f}" for value in found))
        results[name] = [round(value, 3) for value in found]
    return results


def record(path: str | None, *card: Any, **setting: Any) -> None:
    """Write the card of this run, if a file was named."""
    if path:
        write_card(path, make_card(*card, **setting))
