"""The command `bertcore`: may import everything, and nothing imports it."""

import sys


def say(line: str, error: bool = False) -> None:
    """A line on stdout or stderr, above the bars that are on the screen."""
    import typer
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr if error else sys.stdout):
        typer.echo(line, err=error)
