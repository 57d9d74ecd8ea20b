"""Racing: a race from its options to its card, its table and its curves."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bertcore.cards import make_card, write_card
from bertcore.command.log import say, shown_bar
from bertcore.model.config import BertConfig
from bertcore.training.contest.entries import Entry, chosen
from bertcore.training.contest.probe import COLOURS, probe
from bertcore.training.contest.race import TEXTS, Plan, Race, Turn
from bertcore.training.contest.standings import notes, summary, table
from bertcore.training.loop import default_setting
from bertcore.training.plans import PLANS, choose
from bertcore.training.plans import Plan as Size
from bertcore.training.prepared import Prepared, open_prepared, packaged
from bertcore.training.pretrain import CARD, Pretraining
from bertcore.training.progress import Record
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import Machine, measure
from bertcore.training.tuning import Tuning

TABLE, CURVES = "table.md", "curves.svg"
_LAYERS = 2  # at least, so that there are half of them
# Of the labelled task: small models and few rows take high rates and many epochs.
_TUNING = {"epochs": 8.0, "batch": 16, "learning_rate": 1e-3, "warmup": 0.1}


def race(given: Mapping[str, Any]) -> None:
    """Run a race, or go on with one, and write what came out.

    Args:
        given: the options of the command.

    Raises:
        ValueError: if an option makes no sense.
    """
    out, entries = given["out"].expanduser(), chosen(given["entries"])
    machine = measure()
    say(str(machine))
    size = PLANS[given["plan"]] if given["plan"] else choose(machine)
    made_up = given["texts"] == "tales" and given["data"] is None
    name = given["task"] or (COLOURS if made_up else "topics")
    task = probe(name, given["rows"])
    prepared = _texts(given["data"], given["texts"], out)
    recipe = _recipe(size, given["seconds"])
    tuning = Tuning(**_TUNING, length=recipe.length)
    sizes = _sizes(size, len(prepared.tokenizer))
    plan = Plan(prepared, sizes, recipe, task, tuning)
    setting = default_setting()
    setting.operations = machine.operations
    contest = Race(plan, setting, out)
    say(
        f"{len(entries)} entries, {given['seeds']} seeds, {given['seconds']:g} s each, "
        f"{sizes.layers} layers of {sizes.hidden_size}; then {name} from "
        f"{len(task.train)} rows"
    )
    turns = _followed(contest, entries, given["seeds"])
    _report(contest, entries, turns, out, machine)


def _texts(data: Path | None, texts: str, out: Path) -> Prepared:
    """Those that were given, or packaged ones."""
    if data is not None:
        return open_prepared(data)
    if texts == "tales":
        return packaged("tales")
    if not (out / TEXTS).is_dir():
        say(f"preparing {texts} …", error=True)
        return packaged(texts, out / TEXTS)
    return open_prepared(out / TEXTS)


def _recipe(size: Size, seconds: float) -> Recipe:
    """The plan's, with what papers differ in left to the entries."""
    return size.recipe.replace(
        seconds=seconds, pairs=False, mask_rate=0.15, optimiser="muon"
    )


def _sizes(size: Size, pieces: int) -> BertConfig:
    config = size.config(pieces)
    return config.replace(layers=max(_LAYERS, config.layers))


def _followed(contest: Race, entries: list[Entry], seeds: int) -> list[Turn]:
    """All turns, each in a line, and a bar while one is under way."""
    layout, found = "{desc} {percentage:3.0f}%|{bar}|{postfix}", []
    with shown_bar(total=1.0, bar_format=layout) as shown:

        def watch(entry: Entry, run: Pretraining, record: Record) -> None:
            if shown is not None:
                shown.set_description_str(f"seed {run.recipe.seed}, {entry.name}")
                shown.set_postfix_str(f"loss {record.losses[0]:.3f}", refresh=False)
                shown.n = record.progress
                shown.refresh()

        for turn in contest.turns(entries, seeds, watch):
            say(str(turn))
            found.append(turn)
    return found


def _report(
    contest: Race, entries: list[Entry], turns: list[Turn], out: Path, machine: Machine
) -> None:
    """Card, table and curves into the folder; the table on the screen, too."""
    results, plan = summary(turns), contest.plan
    same = plan.described(contest.setting)
    unigram = contest.unigram()
    bits = contest.held_out.bits(unigram)
    shown = table(results, plan.task.name)
    below = notes(results, bits)
    write_card(
        out / CARD,
        make_card(
            "Several models, the same time on the same texts and machine: held-out "
            f"bits per character, and {plan.task.name} learnt from few rows; minimum, "
            "median and maximum over the seeds",
            plan.prepared.train.manifest.get("source", "texts in memory"),
            {**results, "unigram_bits": bits, "unigram_loss": unigram},
            device=same.pop("device"),
            seconds=plan.recipe.seconds,
            seeds=len({turn.seed for turn in turns}),
            entries={
                entry.name: {"about": entry.about, "changes": entry.changes}
                for entry in entries
            },
            operations_per_second=machine.operations,
            task_source=plan.task.source,
            **same,
        ),
    )
    text = "\n".join([shown, *[f"{note}\n" for note in below]])
    (out / TABLE).write_text(text, encoding="utf8", newline="\n")
    say(f"\n{text}")
    _draw(turns, bits, out / CURVES)
    say(f"{out}: {CARD}, {TABLE}" + (f", {CURVES}" if (out / CURVES).is_file() else ""))


def _draw(turns: list[Turn], unigram: float, path: Path) -> None:
    """The curves of all turns, if matplotlib is there."""
    if find_spec("matplotlib") is None:
        say(f"{path.name} needs matplotlib; run: pip install matplotlib", error=True)
        return
    from bertcore.command.curves import curves

    path.write_text(curves(turns, unigram), encoding="utf8", newline="\n")
