"""The command `python -m contest`."""

import sys
from collections.abc import Sequence

import typer

from bertcore import __main__ as command_line
from contest.board import board
from contest.leaderboard import leaderboard
from contest.race import race
from contest.speedrun import speedrun

NAME = "python -m contest"
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Models against each other, at the same cost.

    \b
      python -m contest race --out my-race --seconds 30   BERT against its heirs
      python -m contest leaderboard                       time to BERT-mini
      python -m contest board hand-ins                    a class's cards in a table

    The rules, and how to enter: contest/README.md.
    """,
)
for function in (race, speedrun, board):
    app.command(no_args_is_help=True)(function)
app.command()(leaderboard)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    return command_line.main(arguments, app, NAME)


if __name__ == "__main__":
    sys.exit(main())
