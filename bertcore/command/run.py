"""Run: the folder of a run, and `run.json`, which says all that it takes to go on.

run.json      what was asked for, and the config and recipe that came of it
texts/        the packaged texts, prepared; absent if --data was given
vocabulary/   the tokenizer
checkpoints/  the newest two
tensorboard/  curves, with --tensorboard
card.json     what came out, when the run has ended or was stopped
model/        the model as `transformers` loads it, when the run has ended
"""

import json
from collections.abc import Mapping
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple, Self

from bertcore.model.config import BertConfig
from bertcore.sources import read_json
from bertcore.training.families import config_from
from bertcore.training.identity import data_digest
from bertcore.training.plans import PLANS, Plan
from bertcore.training.prepared import Prepared, open_prepared, packaged
from bertcore.training.recipes import RECIPES, Recipe

FORMAT = "bertcore run 1"
RUN, TEXTS, VOCABULARY, MODEL, CURVES = (
    "run.json", "texts", "vocabulary", "model", "tensorboard"
)  # fmt: skip
# What a run learns depends on these; they stay as they were.
FIXED = (
    "plan", "preset", "recipe", "seconds", "steps", "batch", "pass_size", "length",
    "learning_rate", "matrix_rate", "optimiser", "mask_rate", "pairs", "seed",
)  # fmt: skip
# Only where and how fast; each session may choose anew.
FREE = (
    "precision",
    "compile",
    "shard",
    "workers",
    "save_every",
    "looks",
    "tensorboard",
)


class Run(NamedTuple):
    """What `run.json` says.

    `asked` are the options of `FIXED` and `FREE` that were given; `data` is the folder
    of prepared texts, None if they are in the run's own; `digest` that of the texts.
    """

    asked: dict[str, Any]
    plan: str
    data: str | None
    digest: str
    config: BertConfig
    recipe: Recipe

    @classmethod
    def read(cls, folder: Path) -> Self:
        """That of a folder.

        Raises:
            FileNotFoundError: if the folder is not that of a run.
            ValueError: if another version wrote it.
        """
        path = folder / RUN
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} is no run: it has no {RUN}; begin one with bertcore "
                f"pretrain --out {folder}"
            )
        found = read_json(path)
        if found.get("format") != FORMAT:
            raise ValueError(
                f"{path} says format={found.get('format')!r}; this version of bertcore "
                f"reads {FORMAT!r}"
            )
        config = config_from(found["config"])
        recipe = Recipe(**found["recipe"])
        named = [found[name] for name in ("asked", "plan", "data", "digest")]
        return cls(*named, config, recipe)

    def write(self, folder: Path) -> None:
        """Into a folder; an older `run.json` stays until the new one is whole."""
        about = self._asdict() | {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
        }
        partial = folder / f"{RUN}.part"
        text = json.dumps({"format": FORMAT, **about}, indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf8", newline="\n")
        partial.replace(folder / RUN)

    def texts(self, folder: Path) -> Prepared:
        """The prepared texts of the run in a folder."""
        return open_prepared(self.data or folder / TEXTS)


def begin(
    folder: Path, given: Mapping[str, Any], plan: Plan, processes: int, progress: bool
) -> Run:
    """Prepare what a new run takes, and write `run.json` last."""
    asked = {key: given[key] for key in (*FIXED, *FREE) if key in given}
    recipe = recipe_for(plan, asked, processes)
    sizes = config_for(plan, asked, plan.pieces)  # faults show before the long work
    if recipe.length > sizes.max_positions:
        raise ValueError(
            f"length={recipe.length}, but the model has {sizes.max_positions} "
            "positions; give --length that many at most"
        )
    _check_place(folder)
    data = given.get("data")
    if data is not None:
        prepared = open_prepared(data)
    else:
        prepared = _packaged(folder, plan, progress)
    folder.mkdir(parents=True, exist_ok=True)
    prepared.tokenizer.save_pretrained(folder / VOCABULARY)
    config = config_for(plan, asked, len(prepared.tokenizer))
    digest = data_digest(prepared.train)
    run = Run(asked, plan.name, _path(data), digest, config, recipe)
    run.write(folder)
    return run


def go_on(folder: Path, given: Mapping[str, Any]) -> Run:
    """The run in a folder, with what this session asks for anew.

    Raises:
        ValueError: naming each option with which it would be another run.
    """
    run = Run.read(folder)
    fixed = {key: given[key] for key in FIXED if key in given}
    asked = {**run.asked, **fixed}
    for one, other in (("steps", "seconds"), ("seconds", "steps")):
        if one in fixed and other not in fixed:
            asked.pop(other, None)
    plan = PLANS[asked.get("plan", run.plan)]
    wanted = {
        "plan": plan.name,
        **recipe_for(plan, asked).to_dict(),
        **config_for(plan, asked, run.config.vocab_size).to_dict(),
    }
    there = {"plan": run.plan, **run.recipe.to_dict(), **run.config.to_dict()}
    if "pass_size" not in fixed:  # it may have been fitted to a number of processes
        wanted["pass_size"] = there["pass_size"]
    apart = [f"{k}={there[k]}, not {v}" for k, v in wanted.items() if v != there[k]]
    if apart:
        raise ValueError(
            f"the run in {folder} has {'; '.join(apart)}. To go on with it as it is: "
            f"bertcore resume {folder}; for another run give another --out"
        )
    data = _moved(given["data"], run, folder) if "data" in given else run.data
    free = {key: given[key] for key in FREE if key in given}
    run = run._replace(asked={**run.asked, **free}, data=data)
    run.write(folder)
    return run


def recipe_for(plan: Plan, asked: Mapping[str, Any], processes: int = 1) -> Recipe:
    """The plan's recipe, or the one asked for, with what else was asked for.

    A recipe by name keeps the plan's length of texts, and its time.
    """
    recipe = plan.recipe
    if "recipe" in asked:
        named = RECIPES[asked["recipe"]]
        recipe = named.replace(length=recipe.length, seconds=recipe.seconds)
    fields = {key: asked[key] for key in FIXED if key in Recipe.__dataclass_fields__
              and key in asked}  # fmt: skip
    if "steps" in fields and "seconds" in fields:
        raise ValueError("--steps and --seconds; give one of the two")
    if "pass_size" not in asked:
        batch = fields.get("batch", recipe.batch)
        share = batch // processes if batch % processes == 0 else batch
        fields["pass_size"] = gcd(share, plan.recipe.pass_size or share)
    return recipe.replace(**fields)


def config_for(plan: Plan, asked: Mapping[str, Any], pieces: int) -> BertConfig:
    """The plan's sizes, or those of a preset; dropout as the faithful recipe has it."""
    if "preset" not in asked:
        return plan.config(pieces)
    dropout = 0.1 if asked.get("recipe") == "faithful" else 0.0
    return BertConfig.preset(
        asked["preset"], vocab_size=pieces, dropout=dropout, attention_dropout=dropout
    )


def _check_place(folder: Path) -> None:
    """A new folder, or one with what is left of a start that was cut off."""
    ours = {TEXTS, VOCABULARY, f"{TEXTS}.unfinished", f".{TEXTS}.lock", f"{RUN}.part"}
    others = {p.name for p in folder.iterdir()} - ours if folder.is_dir() else set()
    if folder.is_file() or others:
        raise ValueError(
            f"{folder} is no run, and there is something in it; give a new --out"
        )


def _packaged(folder: Path, plan: Plan, progress: bool) -> Prepared:
    """The plan's texts in the run's folder, perhaps from a start that was cut off."""
    texts = folder / TEXTS
    if not texts.is_dir():
        return packaged(plan.texts, texts, plan.pieces, progress=progress)
    prepared = open_prepared(texts)
    if len(prepared.tokenizer) != plan.pieces:
        raise ValueError(
            f"{texts} is of another plan than {plan.name}; remove it, or give another "
            "--out"
        )
    return prepared


def _moved(data: Path, run: Run, folder: Path) -> str | None:
    """The texts may be elsewhere now; they must be the same."""
    if data_digest(open_prepared(data).train) != run.digest:
        raise ValueError(
            f"the run in {folder} began with other texts than those in {data}: leave "
            "--data out, or give the texts that it began with"
        )
    return _path(data)


def _path(data: str | Path | None) -> str | None:
    return None if data is None else str(Path(data).expanduser().resolve())
