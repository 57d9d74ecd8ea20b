"""Pretrain: the options of `bertcore pretrain`, `resume`, `evaluate`, `export`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bertcore.command.log import say

Run = Annotated[Path, typer.Argument(help="The folder of a run.")]
Out = Annotated[Path, typer.Option(help="The folder of the run.")]
Data = Annotated[
    Path | None, typer.Option(help="What bertcore prepare wrote, instead of --plan's.")
]
Plan = Annotated[
    Literal["minute", "mini", "base"] | None,
    typer.Option(help="Sizes, texts and recipe (what the machine can afford)."),
]
Preset = Annotated[
    Literal["tiny", "mini", "small", "medium", "base", "large"] | None,
    typer.Option(help="A published size of model, instead of --plan's."),
]
Recipe = Annotated[
    Literal["faithful", "fast"] | None,
    typer.Option(help="As BERT was trained, or with what is better in a short run."),
]
Seconds = Annotated[
    float | None, typer.Option(help="Of training in all, pauses not counted.")
]
Steps = Annotated[int | None, typer.Option(help="Updates in all, instead.")]
Batch = Annotated[int | None, typer.Option(help="Texts in an update.")]
PassSize = Annotated[
    int | None, typer.Option(help="Texts in memory at once; divides the batch.")
]
Length = Annotated[int | None, typer.Option(help="Tokens in a text at most.")]
LearningRate = Annotated[float | None, typer.Option(help="At its highest.")]
MatrixRate = Annotated[
    float | None, typer.Option(help="With muon: that of the layers' matrices.")
]
Optimiser = Annotated[
    Literal["adamw", "released", "muon"] | None,
    typer.Option(help="released: as Google's code has it."),
]
MaskRate = Annotated[
    float | None, typer.Option(help="Share of the tokens that is hidden.")
]
Pairs = Annotated[
    bool | None, typer.Option("--pairs/--no-pairs", help="Ask for the next sentence.")
]
Seed = Annotated[int | None, typer.Option(help="Of weights, order, masks, dropout.")]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(help="Of products of matrices (the device's fastest)."),
]
Compile = Annotated[
    bool | None, typer.Option("--compile/--no-compile", help="On a GPU, for long runs.")
]
Shard = Annotated[
    bool | None,
    typer.Option("--shard/--no-shard", help="Share the optimiser among processes."),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes that make batches (GPU: 4, CPU: 0).", min=0),
]
SaveEvery = Annotated[
    float | None, typer.Option(help="Seconds between two checkpoints (300).", min=0.0)
]
Evaluations = Annotated[
    int | None, typer.Option(help="Times to ask about held-out texts (20).", min=1)
]
TensorBoard = Annotated[
    bool | None,
    typer.Option("--tensorboard/--no-tensorboard", help="Write curves to OUT."),
]


def pretrain(
    context: typer.Context,
    out: Out,
    plan: Plan = None,
    data: Data = None,
    preset: Preset = None,
    recipe: Recipe = None,
    seconds: Seconds = None,
    steps: Steps = None,
    batch: Batch = None,
    pass_size: PassSize = None,
    length: Length = None,
    learning_rate: LearningRate = None,
    matrix_rate: MatrixRate = None,
    optimiser: Optimiser = None,
    mask_rate: MaskRate = None,
    pairs: Pairs = None,
    seed: Seed = None,
    precision: Precision = None,
    compile: Compile = None,
    shard: Shard = None,
    workers: Workers = None,
    save_every: SaveEvery = None,
    looks: Evaluations = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Train a BERT from random weights.

    A plan says everything: the sizes of the model, the texts, the recipe. Each other
    option changes one thing of it. --recipe keeps the plan's time and length of texts.

    \b
      minute  1 layer of 96 on made-up tales: a minute on a CPU
      mini    BERT-mini, 4 layers of 256, on all packaged texts: half an hour on a T4
      base    BERT-base, 12 layers of 768: an hour on an H100; bring more text

    \b
      bertcore pretrain --out my-run --plan minute
      bertcore pretrain --out my-run --data my-texts --preset tiny --seconds 600
      bertcore pretrain --out my-run --recipe faithful --steps 100000 --tensorboard
      torchrun --nproc-per-node 4 -m bertcore pretrain --out my-run --plan base

    \b
    Ctrl-C stops after the update and saves. The same command again goes on, also
    after a crash, from the newest sound checkpoint; so does
      bertcore resume my-run

    \b
    What next:
      bertcore fill-mask "The [MASK] barks." --model my-run
      bertcore evaluate my-run
      tensorboard --logdir my-run/tensorboard
    """
    given = _given(context)
    if "steps" in given and "seconds" in given:
        message = "--steps and --seconds; give one of the two"
        raise typer.BadParameter(message, ctx=context)
    _session(given.pop("out"), given)


def resume(
    context: typer.Context,
    run: Run,
    data: Data = None,
    precision: Precision = None,
    compile: Compile = None,
    shard: Shard = None,
    workers: Workers = None,
    save_every: SaveEvery = None,
    looks: Evaluations = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Go on with a run from its newest sound checkpoint.

    What is learnt stays as it was asked for when the run began; it may be computed
    elsewhere: on another device, in another precision, by another number of processes.
    If the prepared texts have moved, say where they are with --data.

    \b
      bertcore resume my-run
      torchrun --nproc-per-node 4 -m bertcore resume my-run
    """
    from bertcore.training.run import RunDescription as Described

    given = _given(context)
    folder = given.pop("run")
    Described.read(folder)  # or say that there is none
    _session(folder, given)


def evaluate(
    model: Annotated[str, typer.Argument(help="A run, a model's folder or hub name.")],
    data: Annotated[
        Path | None,
        typer.Option(help="What bertcore prepare wrote (a run: its own held-out)."),
    ] = None,
    length: Annotated[
        int | None, typer.Option(help="Tokens in a text (a run: its own; 128).")
    ] = None,
) -> None:
    """How well a model predicts texts that it has not seen.

    15 % of the pieces are hidden, the same each time. Loss in nats for a hidden piece,
    bits for a character of those pieces, and the share of right guesses.

    \b
      bertcore evaluate my-run
      bertcore evaluate my-model --data my-texts
    """
    from bertcore.training.run import evaluate_run

    typer.echo(str(evaluate_run(model, data, length)))


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(help="A new folder, or an earlier export.")],
    half: Annotated[
        bool, typer.Option("--half", help="Weights in fp16, in half the space.")
    ] = False,
) -> None:
    """Write the model of a run as a folder that other libraries load.

    It is that of the newest sound checkpoint: the run need not have ended.

    \b
      bertcore export my-run my-model --half
      bertcore fill-mask "The [MASK] barks." --model my-model

    \b
    And in Python:
      from transformers import pipeline
      pipeline("fill-mask", "my-model")("The [MASK] barks.")
    """
    from bertcore.training.run import export_run

    step = export_run(run, out, half)
    say(f"{out}: the model of step {step:,} of {run}")
    say(f'what next: bertcore fill-mask "Some [MASK] text." --model {out}')


def _given(context: typer.Context) -> dict[str, Any]:
    """The options that were given, or that have a value by default."""
    return {k: v for k, v in context.params.items() if v is not None}


def _session(folder: Path, given: dict[str, Any]) -> None:
    from bertcore.command.session import session

    session(folder.expanduser(), given)


COMMANDS = {
    "pretrain": pretrain,
    "resume": resume,
    "evaluate": evaluate,
    "export": export,
}
