"""Look: the commands that use a model, and count and time things."""

from typing import Annotated, Literal

import typer

from bertcore import __version__
from bertcore.command.log import say
from bertcore.sources import ENCODER, OUR_MODEL, describe

MASK = "[MASK]"


def fill_mask(
    text: Annotated[str, typer.Argument(help=f"With {MASK}, once or more often.")],
    model: Annotated[
        str, typer.Option(help="A run, a model's folder or a hub name.")
    ] = OUR_MODEL,
    top: Annotated[int, typer.Option(help="How many guesses.", min=1)] = 5,
) -> None:
    """Which pieces a model expects where the text says [MASK].

    Without --model a small English one guesses, which comes with the course.

    \b
      bertcore fill-mask "The capital of France is [MASK]."
      bertcore fill-mask "The [MASK] barks." --model my-run
      bertcore fill-mask "Paris is the [MASK] of [MASK]." --top 3 --model my-model
    """
    from bertcore.command.guesses import guesses

    for number, found in enumerate(guesses(text, model, top), 1):
        if text.count(MASK) > 1:
            typer.echo(f"{MASK} {number}")
        for piece, share in found:
            typer.echo(f"{share:>7.1%}  {piece}")


def parameters(
    model: Annotated[
        str, typer.Argument(help="A preset (tiny … large), a folder or a hub name.")
    ],
) -> None:
    """Count parameters, part by part.

    \b
      bertcore parameters base
    """
    from bertcore import BertConfig
    from bertcore.model.config import PRESETS

    known = model in PRESETS
    read = BertConfig.preset if known else BertConfig.from_pretrained
    counts = read(model).parameter_counts()
    body = sum(counts[part] for part in ("embeddings", "encoder", "pooler"))
    rows = {**counts, "Bert": body, "BertForPreTraining": sum(counts.values())}
    for name, count in rows.items():
        typer.echo(f"{name:<20}{count:>14,}")


def info() -> None:
    """Versions, device, and where weights are."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    typer.echo(f"bertcore {__version__}, torch {torch.__version__}, {device}")
    typer.echo(f"{ENCODER}, from {describe(ENCODER)}")


def benchmark(
    plan: Annotated[
        Literal["minute", "mini", "base"], typer.Option(help="Whose model to train.")
    ] = "mini",
    seconds: Annotated[float, typer.Option(help="Of training.", min=0.0)] = 10.0,
    pass_size: Annotated[
        int | None, typer.Option(help="Texts in an update (GPU: 256, CPU: 4).", min=1)
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile first, on a GPU.")
    ] = False,
) -> None:
    """How fast this machine multiplies, copies and trains.

    The share of peak is that of the products which the machine did in the test before
    that went into useful ones: padding is not. The texts are tales, the model has the
    size of a plan, and what it learnt is thrown away.

    \b
      bertcore benchmark
      bertcore benchmark --plan base --seconds 30 --compile

    \b
    Beside the transformers library, from a checkout of the course:
      python benchmarks/pretraining.py
    """
    from bertcore.command.speed import speed

    for line in speed(plan, seconds, pass_size, compile):
        say(line)


COMMANDS = {
    "fill-mask": fill_mask,
    "benchmark": benchmark,
    "parameters": parameters,
    "info": info,
}
