"""Board: a speedrun from its options to its entry, and the table of all entries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import typer

from bertcore.command.log import say, shown_bar
from bertcore.command.quality import trained
from bertcore.model.config import BertConfig
from bertcore.sources import read_json
from bertcore.training.contest.entries import Entry, chosen
from bertcore.training.contest.leaderboard import (
    BARS,
    ENTRY,
    MODELS,
    entries,
    faults,
    table,
    with_table,
)
from bertcore.training.contest.quiz import PREPARE, check_reads, quiz
from bertcore.training.contest.speedrun import Attempt, Speedrun
from bertcore.training.loop import default_setting
from bertcore.training.prepared import open_prepared
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import find_device

FAULT = 1
NEAR = 0.005  # bits per character between two devices


def attempt(given: Mapping[str, Any]) -> None:
    """Run three seeds, or those that are not done, and write the entry.

    Args:
        given: the options of the command.

    Raises:
        ValueError: if an option makes no sense, or a seed misses the bar.
    """
    (entry,) = chosen(given["entry"])[:1]
    setting = default_setting()
    setting.compile = given["compile"]
    prepared = open_prepared(given["data"])
    sizes = _sizes(given, len(prepared.tokenizer))
    recipe = entry.recipe(_recipe(given))
    tried = Attempt(
        given["name"],
        given["by"],
        given["bar"],
        lambda own: _model(entry, sizes, own),
        recipe,
        given["looks"],
    )
    run = Speedrun(prepared, tried, setting, given["out"])
    say(f"{run.about['parameters']:,} parameters, {run.about['rate']:.3g} operations/s")
    _followed(run)
    card = run.card()
    for fault in faults(card):
        say(f"bertcore: not valid yet: {fault}", error=True)
    results = card["results"]
    say(
        f"{run.folder / ENTRY}: {results['bar']} bits per character in a median of "
        f"{results['seconds']:.1f} s, {results['compute']:.3g} operations"
    )
    say(f"what next: bertcore leaderboard --model {run.folder} --data {given['data']}")


def _sizes(given: Mapping[str, Any], pieces: int) -> BertConfig:
    width = given["width"]
    if width % 64:
        raise ValueError(f"--width {width}; a head is 64 wide, so give a multiple")
    return BertConfig(
        vocab_size=pieces,
        layers=given["layers"],
        hidden_size=width,
        heads=width // 64,
        feedforward_size=4 * width,
        max_positions=max(128, given["length"]),
        dropout=0.0,
        attention_dropout=0.0,
    )


def _recipe(given: Mapping[str, Any]) -> Recipe:
    fields = (
        *("seconds", "batch", "pass_size", "length", "learning_rate", "matrix_rate"),
        *("optimiser", "mask_rate"),
    )
    own = {name: given[name] for name in fields}
    return Recipe(**own, pairs=False, betas=(0.9, 0.98), warmup=0.06)


def _model(entry: Entry, sizes: BertConfig, recipe: Recipe) -> torch.nn.Module:
    return entry.model(sizes, recipe)


def _followed(run: Speedrun) -> None:
    """All seeds, each in a line when it is done, and a bar while it is under way."""
    layout, told = "{desc} {percentage:3.0f}%|{bar}|{postfix}", len(run.runs())
    with shown_bar(total=1.0, bar_format=layout) as shown:
        for seed, record in run.records():
            if shown is not None:
                shown.set_description_str(f"seed {seed}")
                shown.set_postfix_str(f"loss {record.losses[0]:.3f}", refresh=False)
                shown.n = record.progress
                shown.refresh()
            done = run.runs()
            for each in done[told:]:
                say(f"seed {each.seed}: {each.seconds:.1f} s")
            told = len(done)
    for each in run.runs()[told:]:
        say(f"seed {each.seed}: {each.seconds:.1f} s")


def board(
    check: Sequence[Path], model: Path | None, data: Path | None, write: Path | None
) -> None:
    """The table; or check entries, or ask models.

    Raises:
        ValueError: if --model is given without --data.
        typer.Exit: with status 1 if something is wrong.
    """
    if check:
        _check(check)
    if model is not None:
        _ask(model, data)
    if check or model is not None:
        return
    shown = table(entries())
    if write is not None:
        text = write.read_text(encoding="utf8")
        write.write_text(with_table(text, shown), encoding="utf8", newline="\n")
    typer.echo(shown)


def _check(paths: Sequence[Path]) -> None:
    wrong = False
    for path in paths:
        found = faults(read_json(path))
        wrong |= bool(found)
        for fault in found:
            say(f"{path}: {fault}", error=True)
        if not found:
            say(f"{path}: valid")
    if wrong:
        raise typer.Exit(FAULT)


def _ask(folder: Path, data: Path | None) -> None:
    """The questions again: of one model, or of all of an entry, which are compared."""
    if data is None:
        raise ValueError(
            f"--model needs the texts, too; give --data, made by {PREPARE}"
        )
    prepared, device = open_prepared(data), find_device()
    held_out = quiz(prepared)
    known = held_out.bits(held_out.unigram(prepared.train))
    say(f"who knows only how frequent each piece is: {known:.3f} bits per character")
    claimed: dict[Path, float] = {}
    if (folder / ENTRY).is_file():
        for run in read_json(folder / ENTRY)["results"]["runs"]:
            claimed[folder / MODELS.format(seed=run["seed"])] = run["curve"][-1][3]
    wrong = False
    for path in claimed or [folder]:
        asked, tokenizer, *_ = trained(path)
        check_reads(asked)
        if len(tokenizer) != len(held_out.characters):
            raise ValueError(f"{path} has another vocabulary than the quiz")
        bits = held_out.ask(asked.to(device), device).bits_per_character
        met = ", ".join(str(bar) for bar in BARS if bits <= bar) or "none"
        line = f"{path}: {bits:.3f} bits per character; bars that it meets: {met}"
        if path in claimed and abs(claimed[path] - bits) > NEAR:
            line += f"; but the entry says {claimed[path]:.3f}"
            wrong = True
        say(line, error=wrong)
    if wrong:
        raise typer.Exit(FAULT)
