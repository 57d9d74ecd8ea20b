"""What the benchmarks share: one core, fair rounds, a table, a card."""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from bertcore.book.cards import make_card, write_card


def options(description: str) -> argparse.Namespace:
    """The command line; and from here on the process keeps to one core."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--card", help="a JSON file to record the run in")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return given


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, and what came out."""
    gc.collect()
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


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
