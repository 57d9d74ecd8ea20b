"""The command `bertcore`: may import everything, and nothing imports it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# The exit statuses.
FINE, FAULT, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
MASK = "[MASK]"  # as one types it, whatever a model calls its own
SILENCE = 30.0  # seconds; then a line says that a command is still at work


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    import typer
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr if error else sys.stdout):
        typer.echo(line, err=error)
    PULSE.said = PULSE.clock()


class Pulse:
    """Says that a command is at work, after every 30 seconds without a line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begin()

    def begin(self) -> None:
        """A command begins."""
        self.began = self.said = self.clock()
        self.what = "at work"

    def beat(self) -> None:
        """Say what is done and for how long, if nothing was said for a while."""
        if self.what and self.clock() - self.said >= SILENCE:
            seconds = self.clock() - self.began
            say(f"bertcore: {self.what}, {seconds:,.0f} s so far", error=True)


PULSE = Pulse()


def at_work(what: str) -> None:
    """What the next line about a command that is at work tells; "": there is none."""
    PULSE.what = what


def counted(items: Iterable[Any], what: str) -> Iterator[Any]:
    """The items; a line about a command that is at work says how many there were."""
    for number, item in enumerate(items, 1):
        at_work(what and f"{number:,} {what}")
        yield item


@contextmanager
def never_silent() -> Iterator[None]:
    """A line every 30 seconds at least, if there is no terminal, which shows bars."""
    PULSE.begin()
    end = threading.Event()

    def beat() -> None:
        while not end.wait(1):
            PULSE.beat()

    # Of several processes the first speaks. A thread, as one call may take minutes.
    if not sys.stderr.isatty() and os.environ.get("RANK", "0") == "0":
        threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        end.set()
