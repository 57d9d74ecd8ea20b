"""Race: several models, the same time on the same texts and machine (chapters 8, 8b).

    python -m contest race --out my-race --seconds 30

Seed by seed each entry has its turn. Every model is evaluated in the same way
afterwards: on masked pieces of held-out texts, 15 % of them, if it has a head for them,
and on a labelled task that its body learns from a few rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import nn
from tqdm import tqdm
from typer import Option

from bertcore.cards import make_card, write_card
from bertcore.command import say
from bertcore.files import read_json, write_json
from bertcore.model.config import BertConfig
from bertcore.tasks import KINDS
from bertcore.tasks.rows import TaskSet
from bertcore.text.pairs import window_examples
from bertcore.text.prepare import Prepared, open_prepared, packaged
from bertcore.training.checkpoint import data_digest
from bertcore.training.devices import device_name, measure
from bertcore.training.engine import CARD
from bertcore.training.evaluate import HeldOut
from bertcore.training.finetuning import FineTuning
from bertcore.training.loop import (
    ComputeSettings,
    Diverged,
    Record,
    default_compute_settings,
    seed_for,
)
from bertcore.training.objectives import pretraining_costs, sample_batch
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import PLANS, Recipe, Tuning, choose_plan
from contest.models import COLOURS, Entry, chosen, probe
from contest.standings import Turn, curves, summary, table

RACE, TURNS, TEXTS = "race.json", "turns", "texts"
TABLE, CURVES = "table.md", "curves.svg"
EVALUATIONS, APART = 10, 3.0  # on held-out texts in a turn at most; seconds between two
WINDOWS = 512  # of held-out texts


@dataclass(frozen=True)
class Race:
    """What is the same for all entries: `for turn in race.turns(entries, seeds): …`.

    Raises:
        ValueError: if no text is held out, or the folder is of another race.
    """

    prepared: Prepared
    sizes: BertConfig
    recipe: Recipe  # before each entry's changes
    task: TaskSet
    tuning: Tuning  # for the task
    setting: ComputeSettings
    folder: Path  # turns that stand there are not run again

    def __post_init__(self) -> None:
        if self.prepared.held_out is None:
            raise ValueError(
                "no text is held out, so there is nothing to evaluate on; prepare the "
                "texts without --hold-out 0"
            )
        begin(self.folder / RACE, self.described(), TEXTS)

    def described(self) -> dict[str, Any]:
        """In plain values: what must be the same for turns to be compared."""
        return {
            "digest": data_digest(self.prepared.train),
            "model": self.sizes.to_dict(),
            "recipe": self.recipe.to_dict(),
            "task": [self.task.name, len(self.task.train), len(self.task.test)],
            "tuning": self.tuning.to_dict(),
            "device": device_name(self.setting.device),
            "precision": str(self.setting.precision).removeprefix("torch."),
        }

    @cached_property
    def held_out(self) -> HeldOut:
        tokenizer, _, apart = self.prepared
        windows = window_examples(apart, self.recipe.length)
        return HeldOut(apart, windows, tokenizer, most=WINDOWS)

    def turns(self, entries: Sequence[Entry], seeds: int) -> Iterator[Turn]:
        """Each entry's turn, seed by seed; those of before as they came out then."""
        for seed in range(seeds):
            for entry in entries:
                path = self.folder / TURNS / f"{entry.name}-{seed}.json"
                if not path.is_file():
                    write_json(path, self._turn(entry, seed)._asdict())
                yield Turn(**read_json(path))

    def _turn(self, entry: Entry, seed: int) -> Turn:
        recipe = self.recipe.replace(seed=seed)
        model = entry.model(self.sizes, recipe)
        turn = Turn(entry.name, seed, sum(p.numel() for p in model.parameters()))
        if entry.changes is not None:
            try:
                turn = self._pretrained(turn, model, entry.recipe(recipe))
            except Diverged as error:
                return turn._replace(fault=f"training diverged: {error}")
        return turn._replace(score=self._score(model, seed))

    def _pretrained(self, turn: Turn, model: nn.Module, recipe: Recipe) -> Turn:
        tokenizer, store, _ = self.prepared
        run = Pretraining(
            model,
            tokenizer,
            store,
            recipe,
            held_out=self.held_out,
            settings=replace(self.setting),
            evaluations=min(EVALUATIONS, max(1, int(recipe.seconds / APART))),
        )
        for _ in followed(run, f"seed {turn.seed}, {turn.entry}"):
            pass
        last = run.evaluations[-1].quality
        return turn._replace(
            updates=run.progress.step,
            tokens=run.progress.tokens,
            seconds=round(run.progress.seconds, 2),
            operations=operations_per_token(run.objective, recipe),
            masked_lm=last.masked_lm,
            bits=last.bits_per_character,
            small=hasattr(model, "generator"),
            curve=[
                (round(look.seconds, 2), round(look.quality.bits_per_character, 4))
                for look in run.evaluations
            ],
        )

    def _score(self, model: nn.Module, seed: int) -> float:
        """That of the labelled task, learnt by the model's body with a new head."""
        with torch.random.fork_rng(devices=[]):
            seed_for(seed, 0)
            learner = KINDS[self.task.kind].over(model.bert, self.task.labels)
        run = FineTuning(
            self.task,
            learner,
            self.tuning.replace(seed=seed),
            settings=replace(self.setting, workers=0),
            tokenizer=self.prepared.tokenizer,
        )
        return run.run().score(self.task.test)[KINDS[self.task.kind].main]


def operations_per_token(objective: nn.Module, recipe: Recipe) -> float:
    """Forward and backward, in texts that fill their length."""
    length, texts = recipe.length, recipe.one_pass
    batch = sample_batch(objective, texts, length, round(recipe.mask_rate * length))
    return pretraining_costs(objective).useful(batch) / batch.tokens


def followed(run: Pretraining, name: str) -> Iterator[Record]:
    """The updates of a run, with a bar where a terminal looks on."""
    layout = "{desc}{percentage:3.0f}%|{bar}|{postfix}"
    with (
        tqdm(total=1.0, desc=name, bar_format=layout, disable=None, leave=False) as bar,
        closing(run.records()) as records,
    ):
        for record in records:
            bar.set_postfix_str(f"loss {record.losses[0]:.3f}", refresh=False)
            bar.update(record.progress - bar.n)
            yield record


# The folder --------------------------------------------------------------------------


def begin(path: Path, wanted: dict[str, Any], beside: str | None = None) -> None:
    """Begin a folder, or make sure that it goes on with what it began with.

    Args:
        path: of the file in the folder that says what was wanted.
        wanted: now, in plain values.
        beside: the name of what may be in the folder before it begins.

    Raises:
        ValueError: if something else is in it, or it began with another thing.
    """
    folder = path.parent
    if not path.is_file():
        held = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
        if folder.is_file() or held - {beside, f"{path.name}.partial"}:
            raise ValueError(
                f"{folder} holds something else: it has no {path.name}; give a new "
                "folder"
            )
        write_json(path, wanted)
        return
    # Once through JSON, so that a tuple equals the list that was read.
    then, now = _flat(read_json(path)), _flat(json.loads(json.dumps(wanted)))
    apart = [
        f"{name}={then.get(name)}, not {now.get(name)}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]
    if apart:
        raise ValueError(
            f"{folder} began with {'; '.join(apart)}. What is in it cannot be compared "
            "with that; give another folder"
        )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's seconds become recipe.seconds."""
    inner = {name: part for name, part in values.items() if isinstance(part, dict)}
    found = {f"{name}.{k}": v for name, part in inner.items() for k, v in part.items()}
    return found | {name: v for name, v in values.items() if name not in inner}


# The command -------------------------------------------------------------------------


def race(
    out: Annotated[Path, Option(help="A new folder, or that of the race.")],
    seconds: Annotated[float, Option(help="Of training for each model.")] = 60.0,
    seeds: Annotated[int, Option(help="How often each one runs.", min=1)] = 1,
    entries: Annotated[str | None, Option(help="Between commas (all of them).")] = None,
    texts: Annotated[
        Literal["english", "tales"], Option(help="Packaged ones, without --data.")
    ] = "english",
    data: Annotated[Path | None, Option(help="What bertcore prepare wrote.")] = None,
    plan: Annotated[
        Literal["minute", "mini", "base"] | None,
        Option(help="Sizes and recipe (what the machine can afford)."),
    ] = None,
    task: Annotated[
        str | None, Option(help="Labelled task (tales: colours; else topics).")
    ] = None,
    rows: Annotated[int, Option(help="To learn that task from.", min=1)] = 500,
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

    Then all are evaluated alike: bits per character of held-out texts, 15 % masked, and
    a labelled task that each body learns from the same few rows.

    \b
      python -m contest race --out my-race --seconds 30
      python -m contest race --out my-race --seconds 600 --seeds 3 --plan mini
      python -m contest race --out my-race --entries bert,electra --task sentiment

    \b
    Ctrl-C stops it; the same command goes on, and what is finished is not run again:
      OUT/turns        what came of each entry and seed
      OUT/card.json    all of it
      OUT/table.md     the table
      OUT/curves.svg   how each one learnt (needs matplotlib)
    """
    out, models, machine = out.expanduser(), chosen(entries), measure()
    say(str(machine))
    size = PLANS[plan] if plan else choose_plan(machine)
    made_up = texts == "tales" and data is None
    labelled = probe(task or (COLOURS if made_up else "topics"), rows)
    # What papers differ in is left to the entries.
    recipe = size.recipe.replace(
        seconds=seconds, pairs=False, mask_rate=0.15, optimiser="muon"
    )
    prepared = _texts(data, texts, out)
    sizes = size.config(len(prepared.tokenizer))
    sizes = sizes.replace(layers=max(2, sizes.layers))  # so that there are half of them
    setting = default_compute_settings()
    setting.operations = machine.operations
    # Small models and few rows take high rates and many epochs.
    tuning = Tuning(epochs=8.0, batch=16, learning_rate=1e-3, length=recipe.length)
    contest = Race(prepared, sizes, recipe, labelled, tuning, setting, out)
    say(
        f"{len(models)} entries, {seeds} seeds, {seconds:g} s each, {sizes.layers} "
        f"layers of {sizes.hidden_size}; then {labelled.name} from {rows} rows"
    )
    turns = []
    for turn in contest.turns(models, seeds):
        say(str(turn))
        turns.append(turn)
    _report(contest, models, turns)


def _texts(data: Path | None, texts: str, out: Path) -> Prepared:
    """Those that were given, or packaged ones."""
    if data is None and texts == "tales":
        return packaged("tales")
    if data is None and not (out / TEXTS).is_dir():
        say(f"preparing {texts} …", error=True)
        return packaged(texts, out / TEXTS)
    return open_prepared(data or out / TEXTS)


def _report(contest: Race, entries: Sequence[Entry], turns: Sequence[Turn]) -> None:
    """Card, table and curves into the folder; the table on the screen, too."""
    out, task, train = contest.folder, contest.task, contest.prepared.train
    results, same = summary(turns), contest.described()
    unigram = contest.held_out.unigram(train)
    bits = contest.held_out.bits(unigram)
    card = make_card(
        "Several models, the same time on the same texts and machine: held-out bits "
        f"per character, and {task.name} learnt from few rows; minimum, median and "
        "maximum over the seeds",
        train.manifest.get("source", "texts in memory"),
        {**results, "unigram_bits": bits, "unigram_loss": unigram},
        device=same.pop("device"),
        seconds=contest.recipe.seconds,
        seeds=len({turn.seed for turn in turns}),
        entries={e.name: {"about": e.about, "changes": e.changes} for e in entries},
        operations_per_second=contest.setting.operations,
        task_source=task.source,
        **same,
    )
    write_card(out / CARD, card)
    shown, written = table(results, task.name, bits), [CARD, TABLE]
    (out / TABLE).write_text(shown, encoding="utf8", newline="\n")
    say(f"\n{shown}")
    if find_spec("matplotlib") is None:
        say(f"{CURVES} needs matplotlib; run: pip install matplotlib", error=True)
    else:
        svg = curves(turns, bits)
        (out / CURVES).write_text(svg, encoding="utf8", newline="\n")
        written.append(CURVES)
    say(f"{out}: {', '.join(written)}")
