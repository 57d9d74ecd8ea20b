"""Compete: the commands that let models run against each other."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Plan = Annotated[
    Literal["minute", "mini", "base"] | None,
    typer.Option(help="Sizes and recipe (what the machine can afford)."),
]
Entries = Annotated[
    str | None, typer.Option(help="Names between commas (all of them).")
]


def race(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="A new folder, or that of the race.")],
    seconds: Annotated[
        float, typer.Option(help="Of training for each model, looks not counted.")
    ] = 60.0,
    seeds: Annotated[int, typer.Option(help="How often each one runs.", min=1)] = 1,
    entries: Entries = None,
    texts: Annotated[
        Literal["english", "tales"], typer.Option(help="Packaged ones, without --data.")
    ] = "english",
    data: Annotated[
        Path | None, typer.Option(help="What bertcore prepare wrote.")
    ] = None,
    plan: Plan = None,
    task: Annotated[
        str | None, typer.Option(help="Labelled task (tales: colours; else topics).")
    ] = None,
    rows: Annotated[int, typer.Option(help="To learn that task from.", min=1)] = 500,
) -> None:
    """Let BERT and its heirs train for the same time, and compare.

    Same texts, same machine, same sizes, optimiser, learning rate, batch and length; no
    dropout. Each entry changes what its paper changes:

    \b
      none        no pretraining
      bert        masked pieces, and pairs of texts
      roberta     masked pieces alone
      spanbert    spans of words, guessed from their two ends, too
      albert      one layer's weights for all layers; swapped stretches of text
      distilbert  half of the layers, so more updates
      electra     a generator a quarter as wide; which pieces did it replace?
      deberta     attention to distances, apart from content
      modernbert  rotary positions, gated units, norm first; 30 % masks

    Then all are asked the same: bits per character of held-out texts, 15 % masked, and
    a labelled task that each body learns from the same few rows.

    \b
      bertcore race --out my-race --seconds 30
      bertcore race --out my-race --seconds 600 --seeds 3 --plan mini
      bertcore race --out my-race --entries bert,electra --task sentiment

    \b
    Ctrl-C stops it; the same command goes on, and what is finished is not run again:
      OUT/turns        what came of each entry and seed
      OUT/card.json    all of it
      OUT/table.md     the table
      OUT/curves.svg   how each one learnt (needs matplotlib)
    """
    from bertcore.command.racing import race as run

    run(context.params)


def speedrun(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="A new folder, or that of the speedrun.")],
    data: Annotated[Path, typer.Option(help="What bertcore prepare wrote.")],
    bar: Annotated[float, typer.Option(help="Bits per character: 2.2, 1.4 or 0.85.")],
    name: Annotated[str, typer.Option(help="Of the entry, in a few words.")],
    by: Annotated[str, typer.Option(help="Who enters it.")],
    seconds: Annotated[
        float, typer.Option(help="Of training at most; the schedule's length.")
    ],
    entry: Annotated[str, typer.Option(help="A model of bertcore race.")] = "roberta",
    layers: Annotated[int, typer.Option(min=1)] = 4,
    width: Annotated[int, typer.Option(help="A multiple of 64.", min=64)] = 256,
    batch: Annotated[int, typer.Option(help="Texts in an update.", min=1)] = 512,
    pass_size: Annotated[
        int | None, typer.Option(help="Texts in memory at once; divides the batch.")
    ] = None,
    length: Annotated[int, typer.Option(help="Tokens in a text at most.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 1e-3,
    matrix_rate: Annotated[float, typer.Option(help="With muon.")] = 0.02,
    optimiser: Annotated[Literal["adamw", "released", "muon"], typer.Option()] = "muon",
    mask_rate: Annotated[float, typer.Option(help="Share of hidden tokens.")] = 0.3,
    looks: Annotated[int, typer.Option(help="Over that time.", min=1)] = 50,
    compile: Annotated[bool, typer.Option("--compile", help="On a GPU.")] = False,
) -> None:
    """How long until a model predicts held-out English so well? Three seeds.

    A run ends at the first look at which the bar is met; the looks are not counted.
    The rules, and how to enter with a model of your own: data/leaderboard/README.md.

    \b
      bertcore prepare --texts english --out english
      bertcore speedrun --data english --out my-entry --bar 1.4 --seconds 600 \\
        --name "BERT-mini, muon" --by "Ada"
      bertcore leaderboard --check my-entry/entry.json

    \b
    Ctrl-C stops it; the same command goes on with the seeds that are not done.
    """
    from bertcore.command.board import attempt

    attempt(context.params)


def leaderboard(
    check: Annotated[
        list[Path] | None, typer.Option(help="An entry; again for more of them.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Ask a saved model, or those of an entry.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Prepared texts, for --model.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Put the table into this file, too.")
    ] = None,
) -> None:
    """Time to BERT-mini: who reaches a bar with the least compute?

    \b
      bertcore leaderboard
      bertcore leaderboard --check my-entry/entry.json
      bertcore leaderboard --model my-entry --data english

    \b
    --check computes all derived numbers again, and says what is wrong.
    --model asks the saved models the questions again, and compares.
    """
    from bertcore.command.board import board

    board(check or [], model, data, write)


COMMANDS = {"race": race, "speedrun": speedrun, "leaderboard": leaderboard}
