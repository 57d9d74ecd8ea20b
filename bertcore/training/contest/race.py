"""Race: several models, the same time on the same texts and machine (chapter 9).

Seed by seed each entry has its turn. Every model is asked the same afterwards: about
held-out texts at 15 % masks, if it has a head for them, and by a labelled task that its
body learns from a few rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from bertcore.model.config import BertConfig
from bertcore.sources import read_json
from bertcore.text.examples import window_examples
from bertcore.text.rows import TaskSet
from bertcore.training.contest.entries import Entry
from bertcore.training.contest.kept import check_same, write_json
from bertcore.training.evaluate import HeldOut
from bertcore.training.finetune import FineTuning
from bertcore.training.guard import Diverged
from bertcore.training.identity import data_digest
from bertcore.training.loop import Setting
from bertcore.training.operations import Costs
from bertcore.training.prepared import Prepared
from bertcore.training.pretrain import Pretraining
from bertcore.training.progress import Record
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import device_name
from bertcore.training.scores import MAIN
from bertcore.training.taskmodel import headed
from bertcore.training.tuning import Tuning

RACE, TURNS, TEXTS = "race.json", "turns", "texts"
LOOKS, APART = 10, 3.0  # at held-out texts in a turn at most; seconds between two
WINDOWS = 512  # of held-out texts


class Turn(NamedTuple):
    """What came of one entry with one seed.

    `parameters` are those that were trained, with the parts that are left behind later;
    `operations` those of a token, forward and backward; `score` is that of the labelled
    task. `masked_lm` and `bits` are None without a trained head, `small` says that it
    is another model's, ELECTRA's generator. `curve` has seconds and bits per character.
    `fault` says why training had to be given up.
    """

    entry: str
    seed: int
    parameters: int
    updates: int = 0
    tokens: int = 0
    seconds: float = 0.0
    operations: float = 0.0
    masked_lm: float | None = None
    bits: float | None = None
    small: bool = False
    score: float | None = None
    curve: Sequence[tuple[float, float]] = ()
    fault: str | None = None

    def __str__(self) -> str:
        if self.fault is not None:
            return f"seed {self.seed}, {self.entry}: {self.fault}"
        asked = "" if self.bits is None else f", {self.bits:.3f} bits per character"
        asked += " (its small generator)" if self.small else ""
        return (
            f"seed {self.seed}, {self.entry}: {self.updates:,} updates, "
            f"{self.tokens:,} tokens{asked}, task {self.score:.1%}"
        )


class Plan(NamedTuple):
    """What is the same for all entries.

    `sizes` of a BERT; `recipe` before each entry's changes; `task` and `tuning` of what
    is learnt from labelled rows.
    """

    prepared: Prepared
    sizes: BertConfig
    recipe: Recipe
    task: TaskSet
    tuning: Tuning

    def described(self, setting: Setting) -> dict[str, Any]:
        """In plain values: what must be the same for turns to be compared."""
        return {
            "digest": data_digest(self.prepared.train),
            "model": self.sizes.to_dict(),
            "recipe": self.recipe.to_dict(),
            "task": [self.task.name, len(self.task.train), len(self.task.test)],
            "tuning": self.tuning.to_dict(),
            "device": device_name(setting.device),
            "precision": str(setting.precision).removeprefix("torch."),
        }


Watch = Callable[[Entry, Pretraining, Record], None]


class Race:
    """`for turn in race.turns(entries, seeds): …`; with a folder, none is run twice."""

    def __init__(
        self, plan: Plan, setting: Setting, folder: str | Path | None = None
    ) -> None:
        """
        Args:
            plan: what is the same for all.
            setting: where to compute.
            folder: of the race; turns that stand there are not run again.

        Raises:
            ValueError: if no text is held out, or the folder is of another race.
        """
        if plan.prepared.held_out is None:
            raise ValueError(
                "no text is held out, so there is nothing to ask; prepare the texts "
                "without --hold-out 0"
            )
        self.plan, self.setting = plan, setting
        self.folder = None if folder is None else Path(folder).expanduser()
        tokenizer, _, apart = plan.prepared
        windows = window_examples(apart, plan.recipe.length)
        self.held_out = HeldOut(apart, windows, tokenizer, plan.sizes, most=WINDOWS)
        if self.folder is not None:
            check_same(self.folder, RACE, plan.described(setting), {TEXTS})

    def unigram(self) -> float:
        """The loss of one who knows only how frequent each piece is, in nats."""
        return self.held_out.unigram(self.plan.prepared.train)

    def turns(
        self, entries: Sequence[Entry], seeds: int, watch: Watch | None = None
    ) -> Iterator[Turn]:
        """Each entry's turn, seed by seed; those of before as they came out then.

        Args:
            entries: who takes part.
            seeds: how many, from 0 on.
            watch: is called after each update of pretraining.

        Raises:
            ValueError: if there is no entry or no seed.
        """
        if not entries or seeds < 1:
            raise ValueError(
                f"{len(entries)} entries and seeds={seeds}; give one of each, or more"
            )
        for seed in range(seeds):
            for entry in entries:
                path = self._path(entry, seed)
                if path is not None and path.is_file():
                    yield Turn(**read_json(path))
                    continue
                turn = self._turn(entry, seed, watch)
                if path is not None:
                    write_json(path, turn._asdict())
                yield turn

    def _path(self, entry: Entry, seed: int) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / TURNS / f"{entry.name}-{seed}.json"

    def _turn(self, entry: Entry, seed: int, watch: Watch | None) -> Turn:
        recipe = self.plan.recipe.replace(seed=seed)
        model = entry.model(self.plan.sizes, recipe)
        parameters = sum(p.numel() for p in model.parameters())
        turn = Turn(entry.name, seed, parameters)
        if entry.changes is not None:
            try:
                turn = self._pretrained(turn, entry, model, recipe, watch)
            except Diverged as error:
                return turn._replace(fault=f"training diverged: {error}")
        return turn._replace(score=self._score(model, seed))

    def _pretrained(
        self,
        turn: Turn,
        entry: Entry,
        model: nn.Module,
        recipe: Recipe,
        watch: Watch | None,
    ) -> Turn:
        tokenizer, store, _ = self.plan.prepared
        run = Pretraining(
            model,
            tokenizer,
            store,
            entry.recipe(recipe),
            held_out=self.held_out,
            setting=replace(self.setting),
            looks=min(LOOKS, max(1, int(recipe.seconds / APART))),
        )
        for record in run.records():
            if watch is not None:
                watch(entry, run, record)
        last, length = run.looks[-1].quality, recipe.length
        asked = round(run.recipe.mask_rate * length)
        costs, texts = Costs.of(run.objective), recipe.one_pass
        return turn._replace(
            updates=run.progress.step,
            tokens=run.progress.tokens,
            seconds=round(run.progress.seconds, 2),
            operations=costs.useful([length] * texts, asked * texts) / length / texts,
            masked_lm=last.masked_lm,
            bits=last.bits_per_character,
            small=hasattr(model, "generator"),
            curve=[
                (round(look.seconds, 2), round(look.quality.bits_per_character, 4))
                for look in run.looks
            ],
        )

    def _score(self, model: nn.Module, seed: int) -> float:
        """That of the labelled task, learnt by the model's body with a new head."""
        task, tuning = self.plan.task, self.plan.tuning.replace(seed=seed)
        learner = headed(task.kind, model.bert, task.labels, seed)
        setting = replace(self.setting, workers=0)
        tokenizer = self.plan.prepared.tokenizer
        run = FineTuning(task, learner, tuning, setting=setting, tokenizer=tokenizer)
        return run.run().score(task.test)[MAIN[task.kind]]
