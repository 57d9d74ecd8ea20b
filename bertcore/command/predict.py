"""Predict: the command that asks a fine-tuned model."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bertcore.command.log import say

OnFault = Literal["stop", "skip"]


def predict(
    context_: typer.Context,
    model: Annotated[str, typer.Argument(help="What bertcore finetune wrote.")],
    text: Annotated[
        list[str] | None, typer.Argument(help="Each in quotes; else lines are read.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Of lines, perhaps .gz; .jsonl: of objects.")
    ] = None,
    context: Annotated[
        Path | None, typer.Option(help="A text of any length, for all questions.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="An object a line, in and out.")
    ] = False,
    on_fault: Annotated[
        OnFault, typer.Option(help="At a line that cannot be used.")
    ] = "stop",
) -> None:
    """Ask a fine-tuned model.

    Of a text it tells the class, the number or the names; to a question, the answer.

    Without TEXT and --file it reads lines from its input, and answers each as soon as
    it is there. Blank lines are passed over.

    \b
    A line is, as the model's task wants it:
      a text, or two with a TAB between               classes and numbers
      words with white space between                  names
      a question, a TAB and a context                 answers
      a question, with --context FILE                 answers from one text
      with --json also an object, as bertcore finetune reads them

    \b
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore predict my-topics --file texts.txt.gz --json > answers.jsonl
      printf 'One text.\\tAnother.\\n' | bertcore predict my-pairs
      bertcore predict my-answers "Who wrote it?" --context report.txt

    The share before a class is its probability, as the model sees it.
    """
    if text and file is not None:
        message = "TEXT and --file; give one of the two"
        raise typer.BadParameter(message, ctx=context_)
    from bertcore.command.answering import answers, as_object, predictor_of, shown
    from bertcore.command.lines import Form, arriving, given, holds_objects, open_lines

    predictor = predictor_of(model)
    always = file is not None and holds_objects(file)
    form = Form(
        predictor.kind,
        "always" if always else "perhaps" if json else "never",
        _text_of(context, predictor.kind),
    )
    with _quiet_pipe(), _source(file, bool(text), open_lines) as stream:
        keyboard = not text and stream.isatty()
        if keyboard:
            say("a text a line, please; Ctrl-D ends", error=True)
        groups: Iterable[list[Any]] = [given(text)] if text else arriving(stream)
        skip = keyboard or on_fault == "skip"
        for row, answer in answers(predictor, groups, form, skip):
            typer.echo((as_object if json else shown)(row, answer))


def _text_of(context: Path | None, kind: str) -> str | None:
    """The context of all questions, if one was given."""
    from bertcore.sources import decoded

    if context is None:
        return None
    if kind != "answers":
        raise ValueError(f"a model for {kind} reads no context; leave --context out")
    path = context.expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file {context}; give --context a text in UTF-8")
    text = decoded(path.read_bytes(), path)
    if not text.strip():
        raise ValueError(f"{context} is empty; give --context a text")
    return text


@contextmanager
def _source(file: Path | None, given: bool, open_lines: Any) -> Iterator[Any]:
    """The file, or the command's own input."""
    if file is None or given:
        yield sys.stdin.buffer if not given else None
        return
    with open_lines(file.expanduser()) as stream:
        yield stream


@contextmanager
def _quiet_pipe() -> Iterator[None]:
    """Who reads the answers may have had enough, as `head` has: that is no fault."""
    try:
        yield
    except BrokenPipeError:
        # Python writes what is left when it ends, and must not complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


COMMANDS = {"predict": predict}
