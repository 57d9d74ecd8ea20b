"""`python -m bertcore`: all commands together, and what a run of one ends with."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bertcore.command import FAULT, FINE, INTERRUPTED, USAGE, say

ALONE = ("info", "tasks")  # commands that need no arguments

ABOUT = """BERT from scratch, on the command line.

\b
From texts to a model of your own:
  bertcore pretrain --out my-run --plan minute       a minute on a CPU
  bertcore fill-mask "The [MASK] barks." --model my-run

\b
  bertcore prepare *.txt --out my-texts              texts of your own
  bertcore pretrain --out my-run --data my-texts     Ctrl-C stops it, and
  bertcore resume my-run                             nothing is lost
  bertcore info my-run                               what is that?
  bertcore evaluate my-run
  bertcore doctor my-run                             why does it not learn?
  bertcore export my-run my-model                    for transformers, too
  bertcore compare "She runs." "She run."            which does it prefer?

\b
  bertcore finetune topics --out my-topics           fit a model to a task
  bertcore predict my-topics "A river in Portugal."  (bertcore tasks: others)
  bertcore finetune summaries --out my-summaries     teach one to write

Each command explains itself: bertcore COMMAND --help.
"""

EXITS = """\b
Exit status: 0 fine; 1 a fault of the input, said in one sentence; 2 wrong usage;
3 training diverged; 130 stopped with Ctrl-C, 143 by SIGTERM: after a checkpoint.
"""


def main(
    arguments: Sequence[str] | None = None, app: Any = None, name: str = "bertcore"
) -> int:
    """Run one command, of bertcore or another typer application.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        import typer
    except ImportError:
        return _fault("the command line needs typer; run: pip install typer")
    usage_error = typer.BadParameter.__base__  # has moved from click into typer
    from bertcore.command.options import typed

    command = typer.main.get_command(_assembled() if app is None else app)
    chosen = getattr(command, "commands", {}).get(given[0] if given else "", command)
    names = [parameter.name for parameter in chosen.params] if app is None else []
    try:
        with _plain_warnings(lambda message: typed(message, names)):
            status = command.main(given, prog_name=name, standalone_mode=False)
    except usage_error as error:
        error.show()
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (ValueError, OSError) as error:
        return _fault(typed(str(error), names), name)
    return status if isinstance(status, int) else FINE


def _assembled() -> Any:
    import typer

    from bertcore import __version__
    from bertcore.command import finetune, pretrain, text
    from bertcore.command.options import PanelCommand

    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(__version__)
            raise typer.Exit

    @app.callback(help=ABOUT, epilog=EXITS)
    def everything(
        version: bool = typer.Option(
            False, "--version", callback=show_version, is_eager=True, help="and exit"
        ),
    ) -> None:
        pass

    for module in (text, pretrain, finetune):
        for name, function in module.COMMANDS.items():
            lonely = name not in ALONE
            app.command(name, cls=PanelCommand, no_args_is_help=lonely)(function)
    return app


def _fault(sentence: str, name: str = "bertcore") -> int:
    sys.stderr.write(f"{name}: {sentence}\n")
    return FAULT


@contextmanager
def _plain_warnings(said: Callable[[str], str]) -> Iterator[None]:
    """What bertcore warns of is a line on stderr, without a place in the code."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: Any, filename: str, *rest: Any) -> None:
            if issubclass(category, UserWarning) and "bertcore" in filename:
                say(f"bertcore: {said(str(message))}", error=True)
            else:
                usual(message, category, filename, *rest)

        warnings.filterwarnings("default", module=r"bertcore\b")
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
