"""The command `bertcore`: may import everything, and nothing imports it."""

import sys
from collections.abc import Iterable
from typing import Any

# The exit statuses.
FINE, FAULT, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
MASK = "[MASK]"  # as one types it, whatever a model calls its own
SILENCE = 30.0  # seconds, where no terminal shows a bar


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    import typer
    from tqdm import tqdm

    if sys.stderr.isatty():
        with tqdm.external_write_mode(sys.stderr if error else sys.stdout):
            typer.echo(line, err=error)
    else:  # where a bar would be drawn anew after each line
        typer.echo(line, err=error)


def progress(items: Iterable[Any] | None = None, **how: Any) -> Any:
    """A bar of tqdm; where no terminal looks on, a line of it every 30 seconds."""
    from tqdm import tqdm

    if not sys.stderr.isatty():
        how |= {"delay": SILENCE, "mininterval": SILENCE, "maxinterval": 2 * SILENCE}
    return tqdm(items, leave=False, **how)
