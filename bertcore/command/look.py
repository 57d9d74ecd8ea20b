"""Look: the commands that use a model, and count and time things."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bertcore import __version__
from bertcore.command.log import say
from bertcore.sources import ENCODER, OUR_MODEL, describe, find_file, read_json

if TYPE_CHECKING:
    from bertcore import BertConfig
    from bertcore.model.variants.families import Family

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

    hidden = list(guesses(text, model, top))
    for number, found in enumerate(hidden, 1):
        if len(hidden) > 1:
            typer.echo(f"{MASK} {number}")
        for piece, share in found:
            typer.echo(f"{share:>7.1%}  {piece}")


def parameters(
    model: Annotated[
        str, typer.Argument(help="A preset (tiny … large), a folder or a hub name.")
    ],
) -> None:
    """Count parameters, part by part; of a variant, those of its masked LM.

    \b
      bertcore parameters base
    """
    from bertcore import BertConfig
    from bertcore.model.config import PRESETS
    from bertcore.model.variants.families import family_of

    if model in PRESETS:
        rows = _all_of_bert(BertConfig.preset(model))
    else:
        published = read_json(find_file(model, "config.json"))
        family = family_of(published)
        config = family.config.from_dict(published)
        rows = (
            _all_of_bert(config) if family.name == "bert" else _counted(family, config)
        )
    for name, count in rows.items():
        typer.echo(f"{name:<22}{count:>14,}")


def _all_of_bert(config: "BertConfig") -> dict[str, int]:
    counts = config.parameter_counts()
    body = sum(counts[part] for part in ("embeddings", "encoder", "pooler"))
    return {**counts, "Bert": body, "BertForPreTraining": sum(counts.values())}


def _counted(family: "Family", config: "BertConfig") -> dict[str, int]:
    import torch

    from bertcore.model import counts

    with torch.device("meta"):
        model = family.masked_lm(config)
    found = counts.parameters(model)
    return {**found, family.masked_lm.__name__: sum(found.values())}


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
