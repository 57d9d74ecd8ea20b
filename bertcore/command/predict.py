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
Model = Annotated[str, typer.Argument(help="What bertcore finetune wrote.")]
Texts = Annotated[
    list[str] | None, typer.Argument(help="Each in quotes; else lines are read.")
]
File = Annotated[
    Path | None, typer.Option(help="Of lines, perhaps .gz; .jsonl: of objects.")
]
Context = Annotated[
    Path | None, typer.Option(help="A text of any length, for all questions.")
]
Json = Annotated[bool, typer.Option("--json", help="An object a line, in and out.")]
WhenFaulty = Annotated[OnFault, typer.Option(help="At a line that cannot be used.")]
# How a model writes: fields of `Search`. What is not given is as the folder says.
Beams = Annotated[
    int | None, typer.Option(help="Beginnings that are followed at once (1).", min=1)
]
LengthPenalty = Annotated[
    float | None, typer.Option(help="Of beams: more than 1 favours long texts (1).")
]
Temperature = Annotated[
    float | None, typer.Option(help="Above 0 each token is drawn (0).", min=0)
]
TopK = Annotated[
    int | None, typer.Option(help="Draw among so many likeliest only.", min=1)
]
TopP = Annotated[
    float | None, typer.Option(help="Draw among the likeliest of this share only.")
]
MaxTokens = Annotated[
    int | None, typer.Option(help="Written at most (as learnt).", min=1)
]
Seed = Annotated[int | None, typer.Option(help="Of what is drawn (0).")]
WISHES = tuple("beams length_penalty temperature top_k top_p max_tokens seed".split())


def predict(
    context_: typer.Context,
    model: Model,
    text: Texts = None,
    file: File = None,
    context: Context = None,
    json: Json = False,
    on_fault: WhenFaulty = "stop",
    beams: Beams = None,
    length_penalty: LengthPenalty = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
) -> None:
    """Ask a fine-tuned model.

    Of a text it tells the class, the number or the names; to a question, the answer; or
    it writes what it has learnt to write.

    Without TEXT and --file it reads lines from its input, and answers each as soon as
    it is there. Blank lines are passed over.

    \b
    A line is, as the model's task wants it:
      a text, or two with a TAB between               classes and numbers
      words with white space between                  names
      a question, a TAB and a context                 answers
      a question, with --context FILE                 answers from one text
      a text                                          to write from
      with --json also an object, as bertcore finetune reads them

    \b
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore predict my-topics --file texts.txt.gz --json > answers.jsonl
      printf 'One text.\\tAnother.\\n' | bertcore predict my-pairs
      bertcore predict my-answers "Who wrote it?" --context report.txt
      bertcore predict my-sounds "hello" --beams 4
      bertcore predict my-summaries --file texts.txt --temperature 0.7 --top-p 0.9

    The share before a class is its probability, as the model sees it. The options from
    --beams on are for models that write.
    """
    if text and file is not None:
        message = "TEXT and --file; give one of the two"
        raise typer.BadParameter(message, ctx=context_)
    given = context_.params
    wishes = {name: given[name] for name in WISHES if given[name] is not None}
    _ask(model, text, file, context, json, on_fault == "skip", wishes)


def _ask(
    model: str,
    texts: list[str] | None,
    file: Path | None,
    context: Path | None,
    json: bool,
    skip: bool,
    wishes: dict[str, Any],
) -> None:
    """Show the answers, one by one."""
    from bertcore.command import answering
    from bertcore.command.lines import Form, arriving, given, holds_objects, open_lines

    predictor = answering.predictor_of(model)
    answering.ask_to_write(predictor, wishes)
    always = file is not None and holds_objects(file)
    form = Form(
        predictor.kind,
        "always" if always else "perhaps" if json else "never",
        _text_of(context, predictor.kind),
    )
    show = answering.as_object if json else answering.shown
    with _quiet_pipe(), _source(file, bool(texts), open_lines) as stream:
        keyboard = not texts and stream.isatty()
        if keyboard:
            say("a text a line, please; Ctrl-D ends", error=True)
        groups: Iterable[list[Any]] = [given(texts)] if texts else arriving(stream)
        skip = skip or keyboard
        for row, answer in answering.answers(predictor, groups, form, skip):
            typer.echo(show(row, answer))


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
