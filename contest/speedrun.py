"""Speedrun: how long until a model predicts held-out English so well (chapter 8b)?

The rules are in contest/README.md. A folder of an entry holds:

    entry.json      what ran, on what, and how long it took
    model-0, …      the model of each seed, which `contest.leaderboard` can ask again
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, NamedTuple

from torch import nn
from typer import Option

from bertcore.cards import make_card
from bertcore.command import say
from bertcore.files import read_json, write_json
from bertcore.model.config import BertConfig
from bertcore.model.variants.families import masked_lm_of
from bertcore.text.prepare import Prepared, open_prepared
from bertcore.training.checkpoint import data_digest
from bertcore.training.devices import device_name, measure
from bertcore.training.loop import ComputeSettings, Diverged, default_compute_settings
from bertcore.training.objectives import pretraining_objective
from bertcore.training.pretraining import Pretraining
from bertcore.training.recipe import Recipe
from contest.leaderboard import BARS, LENGTH, QUESTIONS, Quiz, quiz
from contest.models import chosen
from contest.race import begin, followed, operations_per_token

WANTED, ENTRY = "speedrun.json", "entry.json"
SEEDS = 3


class Run(NamedTuple):
    """One seed: when it was good enough, and updates, tokens, seconds and bits."""

    seed: int
    seconds: float
    curve: list[list[float]]


@dataclass(frozen=True)
class Speedrun:
    """Three seeds of an entry: `for run in speedrun.runs(): …`.

    Raises:
        ValueError: if there is no such bar, the pieces are not those of the quiz, or
            the folder is of another entry.
    """

    name: str  # of the entry, in a few words
    by: str
    bar: float  # bits per character to reach
    model: Callable[[Recipe], nn.Module]  # a new one, with the weights of its seed
    recipe: Recipe  # for how long at most, too
    prepared: Prepared  # to train on, in the pieces of the quiz
    setting: ComputeSettings
    folder: Path  # seeds that are done already are not run again
    evaluations: int = 50  # over that time; a run ends at the first good enough

    def __post_init__(self) -> None:
        if self.bar not in BARS:
            raise ValueError(
                f"no bar at {self.bar} bits per character; there are "
                f"{', '.join(map(str, BARS))}"
            )
        if not self.name.strip() or not self.by.strip():
            raise ValueError(f"name={self.name!r}, by={self.by!r}; give an entry both")
        self.quiz.check(self.model(self.recipe), self.prepared.tokenizer)
        # Who it is by may change, and how fast the machine is differs each time.
        free = ("name", "by", "rate")
        same = {k: v for k, v in self.about.items() if k not in free}
        same |= {"bar": self.bar, "device": device_name(self.setting.device)}
        begin(self.folder / WANTED, same)

    @cached_property
    def quiz(self) -> Quiz:
        return quiz()

    @cached_property
    def about(self) -> dict[str, Any]:
        """What runs, and how fast the machine multiplies, measured now."""
        model, setting = self.model(self.recipe), self.setting
        recipe = self.recipe.to_dict()
        recipe.pop("seed")
        data = data_digest(self.prepared.train)
        return {
            "name": self.name,
            "by": self.by,
            "digests": {"questions": QUESTIONS, "data": data},
            "model": {"class": type(model).__name__, **model.config.to_dict()},
            "recipe": recipe,
            "parameters": sum(p.numel() for p in model.parameters()),
            "operations": operations_per_token(
                pretraining_objective(model), self.recipe
            ),
            "precision": str(setting.precision).removeprefix("torch."),
            "compiled": setting.compile,
            "rate": measure(setting.device, setting.precision).operations,
        }

    def runs(self) -> Iterator[Run]:
        """All seeds, those of before as they came out then; then entry.json is written.

        Raises:
            ValueError: if a seed's time is over and its model not good enough.
        """
        done = []
        for seed in range(SEEDS):
            path = self.folder / f"seed-{seed}.json"
            if not path.is_file():
                write_json(path, self._run(seed)._asdict())
            done.append(Run(**read_json(path)))
            yield done[-1]
        write_json(self.folder / ENTRY, self._card(done))

    def _card(self, runs: list[Run]) -> dict[str, Any]:
        seconds = median(run.seconds for run in runs)
        results = {
            "bar": self.bar,
            "seconds": seconds,
            "compute": seconds * self.about["rate"],
            "runs": [run._asdict() for run in runs],
        }
        return make_card(
            f"Time to {self.bar} bits per character: {self.name}",
            self.prepared.train.manifest.get("source", "texts in memory"),
            results,
            device=device_name(self.setting.device),
            **self.about,
        )

    def _run(self, seed: int) -> Run:
        """Train until an evaluation is good enough; keep the model."""
        tokenizer, store, _ = self.prepared
        recipe = self.recipe.replace(seed=seed)
        run = Pretraining(
            self.model(recipe),
            tokenizer,
            store,
            recipe,
            held_out=self.quiz.questions,
            settings=self.setting,
            evaluations=self.evaluations,
        )
        try:
            with closing(followed(run, f"seed {seed}")) as records:
                for _ in records:
                    if run.evaluations[-1].quality.bits_per_character <= self.bar:
                        break
        except Diverged as error:
            raise ValueError(f"seed {seed}: training diverged: {error}") from error
        curve = [
            [*look[:3], look.quality.bits_per_character] for look in run.evaluations
        ]
        *_, seconds, bits = curve[-1]
        if bits > self.bar:
            raise ValueError(
                f"seed {seed} reached {bits:.3f} bits per character in {seconds:.0f} "
                f"s, and the bar is {self.bar}; give more --seconds, another recipe or "
                "another --bar"
            )
        for part in (masked_lm_of(run.model), tokenizer):
            part.save_pretrained(self.folder / f"model-{seed}")
        return Run(seed, seconds, curve)


def speedrun(
    out: Annotated[Path, Option(help="A new folder, or that of the speedrun.")],
    data: Annotated[Path, Option(help="What bertcore prepare wrote.")],
    bar: Annotated[float, Option(help="Bits per character: 2.2, 1.4 or 0.85.")],
    name: Annotated[str, Option(help="Of the entry, in a few words.")],
    by: Annotated[str, Option(help="Who enters it.")],
    seconds: Annotated[float, Option(help="At most; the schedule's length.")],
    entry: Annotated[str, Option(help="A model of the race.")] = "roberta",
    layers: Annotated[int, Option(min=1)] = 4,
    width: Annotated[int, Option(help="A multiple of 64.", min=64)] = 256,
    batch: Annotated[int, Option(help="Texts in an update.", min=1)] = 512,
    pass_size: Annotated[int | None, Option(help="Texts in memory at once.")] = None,
    length: Annotated[int, Option(help="Tokens in a text at most.")] = 128,
    learning_rate: Annotated[float, Option(help="At its highest.")] = 1e-3,
    matrix_rate: Annotated[float, Option(help="With muon.")] = 0.02,
    optimiser: Annotated[Literal["adamw", "released", "muon"], Option()] = "muon",
    mask_rate: Annotated[float, Option(help="Share of masked tokens.")] = 0.3,
    evaluations: Annotated[int, Option(help="Over that time.", min=1)] = 50,
    compile: Annotated[bool, Option("--compile", help="On a GPU.")] = False,
) -> None:
    """How long until a model predicts held-out English so well? Three seeds.

    A run ends at the first evaluation at which the bar is met; the time that these take
    is not counted. The rules, and how to enter with a model of your own:
    contest/README.md.

    \b
      bertcore prepare --texts english --out english
      python -m contest speedrun --data english --out my-entry --bar 1.4 \\
        --seconds 600 --name "BERT-mini, muon" --by "Ada"
      python -m contest leaderboard --model my-entry

    \b
    Ctrl-C stops it; the same command goes on with the seeds that are not done.
    """
    if width % 64:
        raise ValueError(f"--width {width}; a head is 64 wide, so give a multiple")
    (model,) = chosen(entry)[:1]
    setting, prepared = default_compute_settings(), open_prepared(data)
    setting.compile = compile
    sizes = BertConfig(
        vocab_size=len(prepared.tokenizer),
        layers=layers,
        hidden_size=width,
        heads=width // 64,
        feedforward_size=4 * width,
        max_positions=max(LENGTH, length),
        dropout=0.0,
        attention_dropout=0.0,
    )
    recipe = Recipe(
        seconds=seconds, batch=batch, pass_size=pass_size, length=length,
        learning_rate=learning_rate, matrix_rate=matrix_rate, optimiser=optimiser,
        mask_rate=mask_rate, pairs=False, betas=(0.9, 0.98), warmup=0.06,
    )  # fmt: skip
    tried = Speedrun(
        name, by, bar, lambda own: model.model(sizes, own), model.recipe(recipe),
        prepared, setting, out.expanduser(), evaluations,
    )  # fmt: skip
    about = tried.about
    say(f"{about['parameters']:,} parameters, {about['rate']:.3g} operations/s")
    for run in tried.runs():
        say(f"seed {run.seed}: {run.seconds:.1f} s")
    results = read_json(tried.folder / ENTRY)["results"]
    say(
        f"{tried.folder / ENTRY}: {bar} bits per character in a median of "
        f"{results['seconds']:.1f} s, {results['compute']:.3g} operations"
    )
    say(f"what next: python -m contest leaderboard --model {out}")
