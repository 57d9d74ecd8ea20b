"""Speedrun: how long until a model predicts held-out English so well (chapter 9).

The rules are in data/leaderboard/README.md; `leaderboard` checks what is written here.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from torch import nn

from bertcore.cards import make_card
from bertcore.sources import read_json
from bertcore.training.contest.kept import check_same, write_json
from bertcore.training.contest.leaderboard import ENTRY, FORMAT, MODELS, SEEDS, bar_of
from bertcore.training.contest.quiz import check_reads, digests, quiz
from bertcore.training.families import masked_lm_of
from bertcore.training.loop import Setting
from bertcore.training.objective import pretraining_objective
from bertcore.training.operations import Costs
from bertcore.training.prepared import Prepared
from bertcore.training.pretrain import Pretraining
from bertcore.training.progress import Record
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import device_name, measure

ASKED = "speedrun.json"
LOOKS = 50  # in the time of a recipe; a run ends at the first that is good enough


class Run(NamedTuple):
    """One seed: when it was good enough, and updates, tokens, seconds and bits."""

    seed: int
    seconds: float
    curve: list[list[float]]


@dataclass(frozen=True)
class Attempt:
    """What is tried.

    Args:
        name: of the entry, in a few words.
        by: who enters it.
        bar: bits per character to reach.
        model: makes a new model for a recipe, with the starting weights of its seed.
        recipe: how to train it, for how long at most.
        looks: at the questions, evenly over that time; it is the entry's to choose.
    """

    name: str
    by: str
    bar: float
    model: Callable[[Recipe], nn.Module]
    recipe: Recipe
    looks: int = LOOKS


class Speedrun:
    """Three seeds of an attempt; `for seed, record in run.records(): …` runs them."""

    def __init__(
        self,
        prepared: Prepared,
        attempt: Attempt,
        setting: Setting,
        folder: str | Path,
    ) -> None:
        """
        Args:
            prepared: the texts of the quiz, and those to train on.
            attempt: what is tried.
            setting: where to compute, in one process.
            folder: of the entry. Seeds that are done already are not run again.

        Raises:
            ValueError: if there is no such bar, the texts are not those of the quiz,
                or the folder is of another attempt.
        """
        self.prepared, self.attempt, self.setting = prepared, attempt, setting
        self.folder = Path(folder).expanduser()
        bar_of(attempt.bar)
        if not attempt.name.strip() or not attempt.by.strip():
            raise ValueError(
                f"name={attempt.name!r}, by={attempt.by!r}; give an entry both"
            )
        self.held_out = quiz(prepared)
        model = attempt.model(attempt.recipe)
        check_reads(model)
        self.about = self._about(model)
        same = {k: v for k, v in self.about.items() if k not in ("rate", "by", "name")}
        asked = {"bar": attempt.bar, **same}
        check_same(self.folder, ASKED, {**asked, "device": self._device()})

    def records(self) -> Iterator[tuple[int, Record]]:
        """The updates of all seeds that are not done; then the entry is written.

        Raises:
            ValueError: if a seed's time is over and its model not good enough.
        """
        for seed in range(SEEDS):
            if not self._path(seed).is_file():
                for record in self._seed(seed):
                    yield seed, record
        write_json(self.folder / ENTRY, self.card())

    def runs(self) -> list[Run]:
        """The seeds that are done."""
        paths = [self._path(seed) for seed in range(SEEDS)]
        return [Run(**read_json(path)) for path in paths if path.is_file()]

    def card(self) -> dict[str, Any]:
        """The entry."""
        runs, attempt = self.runs(), self.attempt
        seconds = median(run.seconds for run in runs)
        results = {
            "bar": attempt.bar,
            "seconds": seconds,
            "compute": seconds * self.about["rate"],
            "runs": [run._asdict() for run in runs],
        }
        source = self.prepared.train.manifest.get("source", "texts in memory")
        what = f"Time to {attempt.bar} bits per character: {attempt.name}"
        device = self._device()
        return make_card(
            what, source, results, device=device, format=FORMAT, **self.about
        )

    def _about(self, model: nn.Module) -> dict[str, Any]:
        """What ran, and how fast the machine multiplies, measured now."""
        attempt, setting = self.attempt, self.setting
        recipe = attempt.recipe.to_dict()
        recipe.pop("seed")
        length, texts = attempt.recipe.length, attempt.recipe.one_pass
        asked = round(attempt.recipe.mask_rate * length)
        costs = Costs.of(pretraining_objective(model))
        operations = costs.useful([length] * texts, asked * texts) / length / texts
        machine = measure(setting.device, setting.precision)
        return {
            "name": attempt.name,
            "by": attempt.by,
            "digests": digests(self.prepared),
            "model": {"class": type(model).__name__, **model.config.to_dict()},
            "recipe": recipe,
            "parameters": sum(p.numel() for p in model.parameters()),
            "operations": operations,
            "precision": str(setting.precision).removeprefix("torch."),
            "compiled": setting.compile,
            "rate": machine.operations,
        }

    def _device(self) -> str:
        return device_name(self.setting.device)

    def _path(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}.json"

    def _seed(self, seed: int) -> Iterator[Record]:
        """Train until a look is good enough; keep the model, then what it took."""
        tokenizer, store, _ = self.prepared
        recipe, bar = self.attempt.recipe.replace(seed=seed), self.attempt.bar
        run = Pretraining(
            self.attempt.model(recipe),
            tokenizer,
            store,
            recipe,
            held_out=self.held_out,
            setting=self.setting,
            looks=self.attempt.looks,
        )
        with closing(run.records()) as records:
            for record in records:
                yield record
                if run.looks[-1].quality.bits_per_character <= bar:
                    break
        last = run.looks[-1]
        bits = last.quality.bits_per_character
        if bits > bar:
            raise ValueError(
                f"seed {seed} reached {bits:.3f} bits per character in "
                f"{last.seconds:.0f} s, and the bar is {bar}; give more --seconds, "
                "another recipe or another --bar"
            )
        model = masked_lm_of(run.model)
        model.save_pretrained(self.folder / MODELS.format(seed=seed))
        tokenizer.save_pretrained(self.folder / MODELS.format(seed=seed))
        curve = [[*look[:3], look.quality.bits_per_character] for look in run.looks]
        done = Run(seed, last.seconds, curve)
        write_json(self._path(seed), done._asdict())
