"""Pretrain: train a model, evaluate and export it, ask it, and say what it is."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bertcore import __version__
from bertcore.command import MASK, say
from bertcore.command.options import field_options, given_options, with_options
from bertcore.model.config import PRESETS
from bertcore.sources import ENCODER, OUR_MODEL, describe
from bertcore.training.recipe import (
    PLANS,
    RECIPES,
    Adaptation,
    Precision,
    Recipe,
    SessionSettings,
)

Run = Annotated[Path, typer.Argument(help="The folder of a run.")]
Data = Annotated[
    Path | None,
    typer.Option(help="A folder that bertcore prepare wrote, not the plan's texts."),
]
ANY_MODEL = "A run, a model's folder or a hub name."
PlanName = Literal[tuple(PLANS)]
EVERYDAY = (
    *("seconds", "steps", "batch", "pass_size", "length", "learning_rate"),
    *("optimiser", "mask_rate", "pairs", "seed"),
)
# What of a recipe changes how much memory an update takes.
TAKES = (
    *("batch", "pass_size", "length", "optimiser", "mask_rate"),
    *("pairs", "order", "spans"),
)
SESSION = field_options(SessionSettings, "The session: where and how fast")
GOING_ON = field_options(Adaptation, "Going on from a trained model")


@with_options(
    field_options(Recipe, "The recipe, in detail", first=EVERYDAY, usual=False),
    SESSION,
    GOING_ON,
)
def pretrain(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    plan: Annotated[
        PlanName | None,
        typer.Option(help="Sizes, texts, recipe: as above (what the machine affords)."),
    ] = None,
    data: Data = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="The kind of model, with its objectives: bert, roberta, albert, "
            "distilbert, electra, spanbert, deberta, modernbert (bert)."
        ),
    ] = None,
    preset: Annotated[
        Literal[tuple(PRESETS)] | None,
        typer.Option(help="A published size of model, not the plan's."),
    ] = None,
    recipe: Annotated[
        Literal[tuple(RECIPES)] | None,
        typer.Option(help='"faithful": as BERT was trained; "fast": for short runs.'),
    ] = None,
    **others: Any,
) -> None:
    """Train a BERT, or another of its family, from random weights or from a model.

    A plan says everything: the sizes of the model, the texts, the recipe. Each other
    option changes one thing of it. --recipe keeps the plan's time and length of texts;
    --family has objectives of its own, such as ALBERT's order of texts.

    \b
      minute  1 layer of 96 on made-up tales: a minute on a CPU
      laptop  1 layer of 128 on Wikipedia's introductions: minutes on a CPU
      mini    BERT-mini, 4 layers of 256, on all packaged texts: minutes on a GPU
      base    BERT-base, 12 layers of 768: hours on a large GPU; bring more text

    \b
      bertcore pretrain --out my-run --plan minute
      bertcore pretrain --out my-run --data my-texts --preset tiny --seconds 600
      bertcore pretrain --out my-run --family electra --steps 1000
      bertcore pretrain --out my-run --recipe faithful --steps 100000 --tensorboard
      torchrun --nproc-per-node 4 -m bertcore pretrain --out my-run --plan base

    \b
    To go on from a trained model with texts of your own, and with words of
    theirs as new pieces; at the end a table shows what was learnt and forgotten:
      bertcore prepare my.txt --vocabulary my-model --out my-texts
      bertcore pretrain --from my-model --data my-texts --new-pieces 200 --out my-run

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
    given = given_options(context)
    if "steps" in given and "seconds" in given:
        message = "--steps and --seconds; give one of the two"
        raise typer.BadParameter(message, ctx=context)
    from bertcore.command.session import PretrainingJob, session

    session(PretrainingJob(given.pop("out").expanduser(), given))


@with_options(SESSION)
def resume(context: typer.Context, run: Run, data: Data = None, **others: Any) -> None:
    """Go on with a run of pretrain, or of finetune, from its newest sound checkpoint.

    What is learnt stays as it was asked for when the run began; it may be computed
    elsewhere: on another device, in another precision, by another number of processes.
    If the prepared texts have moved, say where they are with --data.

    \b
      bertcore resume my-run
      torchrun --nproc-per-node 4 -m bertcore resume my-run
    """
    from bertcore.command.session import session
    from bertcore.command.tuning import resumed

    given = given_options(context)
    session(resumed(given.pop("run").expanduser(), given))


def evaluate(
    model: Annotated[str, typer.Argument(help=ANY_MODEL)],
    data: Annotated[
        Path | None,
        typer.Option(help="What bertcore prepare wrote (a run: its own held-out)."),
    ] = None,
    length: Annotated[
        int | None, typer.Option(help="Tokens in a text (a run: its own; 128).")
    ] = None,
) -> None:
    """How well a model predicts texts that it has not seen.

    15 % of the pieces are hidden, the same each time. Loss in nats per hidden piece and
    in bits per character of the texts, and the share of right guesses.

    \b
      bertcore evaluate my-run
      bertcore evaluate my-model --data my-texts
    """
    from bertcore.training.run import evaluate_run

    typer.echo(str(evaluate_run(model, data, length)))


def export(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A run; with --onnx any model's folder or hub name.")
    ],
    out: Annotated[Path, typer.Argument(help="A new folder, or an earlier export.")],
    half: Annotated[
        bool, typer.Option("--half", help="Weights in fp16, in half the space.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="A graph that runs without PyTorch.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="With --onnx: a second one, in int8.")
    ] = False,
) -> None:
    """Write a model as a folder that other libraries load.

    Of a run it is that of the newest sound checkpoint: the run need not have ended.

    \b
      bertcore export my-run my-model --half
      bertcore fill-mask "The [MASK] barks." --model my-model

    With --onnx it may be any model: fine-tuned, of sentence vectors, published. The
    folder then needs only onnxruntime, and tokenizers for the texts.

    \b
      bertcore export my-topics my-graph --onnx --int8

    \b
    And in Python:
      from transformers import pipeline
      pipeline("fill-mask", "my-model")("The [MASK] barks.")
    """
    if int8 and not onnx:
        raise typer.BadParameter("--int8 is for --onnx; give both", ctx=context)
    if half and onnx:
        raise typer.BadParameter("--half and --onnx; give one of the two", ctx=context)
    if onnx:
        from bertcore.training.export import export_onnx
        from bertcore.training.run import model_files

        graph = export_onnx(model_files(model), out.expanduser(), int8)
        say(f"{out}: from {', '.join(graph.inputs)} to {', '.join(graph.outputs)}")
        say(f"its outputs are at most {graph.apart:.0e} apart from the model's")
        return
    from bertcore.training.run import export_run

    step = export_run(Path(model), out, half)
    say(f"{out}: the model of step {step:,} of {model}")
    say(f'what next: bertcore fill-mask "Some [MASK] text." --model {out}')


def fill_mask(
    text: Annotated[str, typer.Argument(help=f"With {MASK}, once or more often.")],
    model: Annotated[str, typer.Option(help=ANY_MODEL)] = OUR_MODEL,
    top: Annotated[int, typer.Option(help="How many guesses.", min=1)] = 5,
) -> None:
    """Which pieces a model expects where the text says [MASK].

    Without --model a small English one guesses, which comes with the course.

    \b
      bertcore fill-mask "The capital of France is [MASK]."
      bertcore fill-mask "The [MASK] barks." --model my-run
      bertcore fill-mask "Paris is the [MASK] of [MASK]." --top 3 --model my-model
    """
    from bertcore.command.answering import guesses

    hidden = list(guesses(text, model, top))
    for number, found in enumerate(hidden, 1):
        if len(hidden) > 1:
            typer.echo(f"{MASK} {number}")
        for piece, share in found:
            typer.echo(f"{share:>7.1%}  {piece}")


def info(
    name: Annotated[
        str | None, typer.Argument(help="What you want to know of: a path or a name.")
    ] = None,
) -> None:
    """What something is: a run, a model, prepared texts, a vocabulary.

    Without a NAME: versions, device, and where weights are.

    \b
      bertcore info my-run
      bertcore info my-model
    """
    if name is not None:
        from bertcore.training.run import describe_name

        for line in describe_name(name):
            typer.echo(line)
        return
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    typer.echo(f"bertcore {__version__}, torch {torch.__version__}, {device}")
    typer.echo(f"{ENCODER}, from {describe(ENCODER)}")


def doctor(
    name: Annotated[str, typer.Argument(help=f"A run of finetune, too. {ANY_MODEL}")],
) -> None:
    """Why a run does not learn, and what to do about it.

    It reads what the folder of a run holds, finished or not: losses, learning rates,
    gradients, evaluations and weights. It finds a loss that stays or rises, a learning
    rate that is too low or too high, answers that are always the same, labels that
    were shifted or shuffled, parameters that no gradient reaches, and texts that say
    nothing.

    \b
      bertcore doctor my-run
      bertcore doctor my-topics
    """
    from bertcore.training.doctor import diagnose

    for line in diagnose(name).lines():
        typer.echo(line)


@with_options(
    field_options(
        Recipe,
        first=TAKES,
        leave_out=[name for name in Recipe.__dataclass_fields__ if name not in TAKES],
        usual=False,
    )
)
def fits(
    context: typer.Context,
    plan: Annotated[PlanName, typer.Option(help="Sizes and recipe.")] = "base",
    family: Annotated[
        str | None, typer.Option(help="The kind of model, as for pretrain (bert).")
    ] = None,
    preset: Annotated[
        Literal[tuple(PRESETS)] | None,
        typer.Option(help="A published size of model, with 30,522 pieces."),
    ] = None,
    recipe: Annotated[
        Literal[tuple(RECIPES)] | None, typer.Option(help="As for pretrain.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of products of matrices.")
    ] = "bfloat16",
    checkpoint_activations: Annotated[
        bool,
        typer.Option("--checkpoint-activations", help="Compute each layer twice."),
    ] = False,
    memory: Annotated[
        float | None, typer.Option(help="Of your own device, in GB.", min=0.1)
    ] = None,
    **others: Any,
) -> None:
    """How much memory pretraining takes, and which GPUs have it.

    An update is tried without computing a number, so no GPU is needed to ask. Its rows
    are full, packed or padded; --compile takes less. --pass-size, if it is too much,
    changes nothing of what is learnt.

    \b
      bertcore fits --plan base
      bertcore fits --preset base --length 512 --batch 32 --memory 16
      bertcore fits --preset large --batch 8 --checkpoint-activations
    """
    from bertcore.training.memory import memory_in_lines

    for line in memory_in_lines(given_options(context)):
        typer.echo(line)


COMMANDS = {
    "pretrain": pretrain,
    "resume": resume,
    "evaluate": evaluate,
    "export": export,
    "fill-mask": fill_mask,
    "info": info,
    "fits": fits,
    "doctor": doctor,
}
