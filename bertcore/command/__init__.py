"""The command `bertcore`: may import everything, and nothing imports it."""

import sys

# The exit statuses.
FINE, FAULT, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    import typer
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr if error else sys.stdout):
        typer.echo(line, err=error)
