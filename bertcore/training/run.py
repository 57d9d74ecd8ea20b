"""Run: the folder of a run, from its description to its trained model (chapter 9).

`run.json` holds what was asked for, so that the same command goes on.
"""

import warnings
from collections.abc import Iterator, Mapping
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import nn

from bertcore.files import MANIFEST, read_json, write_json
from bertcore.model.config import PRESETS, BertConfig
from bertcore.model.variants.families import (
    config_from,
    config_like,
    describe_model,
    family_at,
    in_words,
    load_model,
    masked_lm_classes,
)
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file, find_optional, names_damage
from bertcore.tasks import find_task
from bertcore.tasks.task import an
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.prepare import HELD_OUT, TRAIN, Prepared, open_prepared, packaged
from bertcore.text.store import Store
from bertcore.text.wordpiece import check_rows
from bertcore.training.checkpoint import (
    Checkpoint,
    checkpoints,
    data_digest,
    newest_checkpoint,
)
from bertcore.training.devices import find_device
from bertcore.training.engine import CARD, CHECKPOINTS
from bertcore.training.evaluate import HeldOut, HeldOutScores
from bertcore.training.export import GENERATOR, export
from bertcore.training.objectives import objective_class
from bertcore.training.predictor import TASK, read_task
from bertcore.training.pretraining import Pretraining, make_examples, new_model
from bertcore.training.recipe import (
    ALIASES,
    ALONE,
    GOING_ON,
    OBJECTIVES,
    PLANS,
    RECIPES,
    Adaptation,
    Plan,
    Recipe,
    SessionSettings,
)

PREFIX = "model."  # the objective's name for the model, in front of each parameter's
FORMAT = "bertcore run 2"
RUN, TEXTS, VOCABULARY, MODEL, CURVES = (
    "run.json", "texts", "vocabulary", "model", "tensorboard"
)  # fmt: skip
# Of a run that goes on from a model: what it starts from, and texts of before.
START, OLD_TEXTS = "start", "old-texts"
_SIZES = ("plan", "preset", "family")  # what a run from random weights is asked for
# What a run learns depends on these; they stay as they were.
FIXED = (
    *_SIZES,
    "recipe",
    *Adaptation.__dataclass_fields__,
    *Recipe.__dataclass_fields__,
)
# Only where and how fast; each session may choose anew.
FREE = tuple(SessionSettings.__dataclass_fields__)


def start_run(
    prepared: Prepared,
    recipe: Recipe,
    config: BertConfig,
    folder: str | Path | None = None,
    **options: Any,
) -> Pretraining:
    """A run that is ready: `for record in start_run(…).records(): …`.

        plan = PLANS["minute"]
        texts = packaged(plan.texts)
        config = plan.config(len(texts.tokenizer))
        run = start_run(texts, plan.recipe, config, "my-run")

    Args:
        config: of the model, of any family; its `vocab_size` has room for the
            prepared vocabulary.
        folder: of the run, which goes on if it was begun before.
        options: of `Pretraining`, such as `settings` or `save_every`; `model` is the
            one to train, if not one of random weights.

    Raises:
        ValueError: as `Pretraining` does.
    """
    tokenizer, store, held_out_store = prepared
    settings = options.get("settings")
    held_out = None  # only the first process evaluates
    if held_out_store is not None and (settings is None or settings.world.leads):
        examples = make_examples(held_out_store, recipe)
        held_out = HeldOut(held_out_store, examples, tokenizer)
    model = options.pop("model", None) or new_model(config, recipe)
    return Pretraining(model, tokenizer, store, recipe, folder, held_out, **options)


class RunDescription(NamedTuple):
    """What `run.json` says.

    `asked` are the options of `FIXED` and `FREE` that were given; `data` is the folder
    of prepared texts, None if they are in the run's own; `digest` that of the texts as
    they were given. Of a run that goes on from a model, `origin` is its name, and
    `before` what it knew of held-out texts.
    """

    asked: dict[str, Any]
    plan: str
    data: str | None
    digest: str
    config: BertConfig
    recipe: Recipe
    origin: str | None = None
    before: dict[str, dict[str, Any]] | None = None

    @classmethod
    @names_damage
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
        values = read_json(path)
        if (format := values.pop("format", None)) != FORMAT:
            raise ValueError(
                f"{path} says format={format!r}; this version of bertcore reads "
                f"{FORMAT!r}"
            )
        values["config"] = config_from(values["config"])
        values["recipe"] = Recipe(**values["recipe"])
        return cls(**values)

    def write(self, folder: Path) -> None:
        """Into a folder; an older `run.json` stays until the new one is whole."""
        about = self._asdict() | {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
        }
        write_json(folder / RUN, {"format": FORMAT, **about})

    def texts(self, folder: Path) -> Prepared:
        """The prepared texts of the run in a folder."""
        return open_prepared(self.data or folder / TEXTS)

    def model(self, folder: Path) -> nn.Module:
        """With the weights that the run in a folder starts from."""
        if self.origin is None:
            return new_model(self.config, self.recipe)
        return load_model(folder / START, lambda family: family.masked_lm)

    def start(self, folder: Path, **options: Any) -> Pretraining:
        """The run in a folder, which is ready, as `start_run` gives it."""
        options |= {"model": self.model(folder), "origin": self.origin}
        texts = self.texts(folder)
        return start_run(texts, self.recipe, self.config, folder, **options)


def begin_run(
    folder: Path, options: Mapping[str, Any], plan: Plan, processes: int, progress: bool
) -> RunDescription:
    """Prepare what a new run takes, and write `run.json` last."""
    asked = {key: options[key] for key in (*FIXED, *FREE) if key in options}
    recipe = recipe_for(plan, asked, processes)
    SessionSettings(**{key: asked[key] for key in FREE if key in asked})
    sizes = config_for(plan, asked, plan.pieces)  # faults show before the long work
    recipe.check_length(sizes.max_positions)
    check_place(folder)
    data = options.get("data")
    prepared = open_prepared(data) if data else _packaged(folder, plan, progress)
    folder.mkdir(parents=True, exist_ok=True)
    prepared.tokenizer.save_pretrained(folder / VOCABULARY)
    config = config_for(plan, asked, len(prepared.tokenizer))
    digest = data_digest(prepared.train)
    run = RunDescription(asked, plan.name, path_of(data), digest, config, recipe)
    run.write(folder)
    return run


def continue_run(folder: Path, options: Mapping[str, Any]) -> RunDescription:
    """The run in a folder, with what this session asks for anew.

    Raises:
        ValueError: naming each option with which it would be another run.
    """
    run = RunDescription.read(folder)
    fixed = {key: options[key] for key in FIXED if key in options}
    asked = {**run.asked, **fixed}
    # The end is given in updates or in seconds: whichever is new replaces the other.
    for new, old in (("steps", "seconds"), ("seconds", "steps")):
        if new in fixed and old not in fixed:
            asked.pop(old, None)
    plan = GOING_ON if run.origin else PLANS[asked.get("plan", run.plan)]
    recipe, config = recipe_for(plan, asked), run.config
    if not run.origin:
        config = config_for(plan, asked, run.config.vocab_size)
    after = {"plan": plan.name, **recipe.to_dict(), **config.to_dict()}
    before = {"plan": run.plan, **run.recipe.to_dict(), **run.config.to_dict()}
    for key in Adaptation.__dataclass_fields__:
        name = key.rstrip("_")
        before[name], after[name] = run.asked.get(key), asked.get(key)
    if "pass_size" not in fixed:  # it may have been fitted to a number of processes
        after["pass_size"] = before["pass_size"]
    changes = [f"{k}={before[k]}, not {v}" for k, v in after.items() if v != before[k]]
    if changes:
        raise ValueError(
            f"the run in {folder} has {'; '.join(changes)}. To go on with it as it is: "
            f"bertcore resume {folder}; for another run give another --out"
        )
    if "data" in options:  # the texts may be elsewhere now; they must be the same
        if data_digest(open_prepared(options["data"]).train) != run.digest:
            raise ValueError(
                f"the run in {folder} began with other texts than those in "
                f"{options['data']}: leave --data out, or give the texts that it began "
                "with"
            )
        if run.data is not None:  # else the run has a copy, perhaps cut anew
            run = run._replace(data=path_of(options["data"]))
    free = {key: options[key] for key in FREE if key in options}
    run = run._replace(asked={**run.asked, **free})
    run.write(folder)
    return run


def recipe_for(plan: Plan, asked: Mapping[str, Any], processes: int = 1) -> Recipe:
    """The plan's recipe, or the one asked for, with what else was asked for.

    A recipe by name keeps the plan's length of texts, and its time. A family has
    objectives of its own, which an option may change again; to go on from a model there
    is one, as files of most families keep no other head.
    """
    recipe, goes_on = plan.recipe, plan is GOING_ON
    for name in filter(asked.get, (*_SIZES, "pairs", "order") if goes_on else ()):
        raise ValueError(
            f"--from {asked['from_']} has its sizes from that model and trains its "
            f"head for masked pieces; leave --{name} out"
        )
    if "recipe" in asked:
        named = RECIPES[asked["recipe"]]
        recipe = named.replace(length=recipe.length, seconds=recipe.seconds)
    family = asked.get("family", "bert")
    for objective, fitting in (("pairs", "bert"), ("order", "albert")):
        if asked.get(objective) and family != fitting:
            raise ValueError(
                f"--{objective} is an objective of --family {fitting}, and this is "
                f"--family {family}; leave --{objective} out"
            )
    # The family's own first, so that an option has the last word.
    recipe = recipe.replace(**ALONE if goes_on else OBJECTIVES.get(family, ALONE))
    fields = {key: asked[key] for key in Recipe.__dataclass_fields__ if key in asked}
    if "steps" in fields and "seconds" in fields:
        raise ValueError("--steps and --seconds; give one of the two")
    if "pass_size" not in asked:
        batch = fields.get("batch", recipe.batch)
        share = batch // processes if batch % processes == 0 else batch
        fields["pass_size"] = gcd(share, plan.recipe.pass_size or share)
    return recipe.replace(**fields)


def config_for(plan: Plan, asked: Mapping[str, Any], pieces: int) -> BertConfig:
    """The plan's sizes, or those of a preset, in the family that was asked for.

    Of a preset the dropout is that of the faithful recipe, if that was asked for.
    """
    sizes = plan.config(pieces)
    if "preset" in asked:
        rate = 0.1 if asked.get("recipe") == "faithful" else 0.0
        sizes = BertConfig.preset(
            asked["preset"], vocab_size=pieces, dropout=rate, attention_dropout=rate
        )
    family = asked.get("family", "bert")
    return config_like(ALIASES.get(family, family), sizes)


def check_place(folder: Path) -> None:
    """A new folder, or one with what is left of a start that was cut off."""
    ours = {TEXTS, VOCABULARY, RUN, START, OLD_TEXTS, f".{TEXTS}.lock"}
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    foreign = {name.removesuffix(".partial") for name in names} - ours
    if folder.is_file() or foreign:
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


def path_of(data: str | Path | None) -> str | None:
    return None if data is None else str(Path(data).expanduser().resolve())


class TrainedModel(NamedTuple):
    """A model, its tokenizer, and the run and the checkpoint that it comes from."""

    model: nn.Module
    tokenizer: AnyTokenizer
    run: RunDescription | None = None
    checkpoint: Checkpoint | None = None


def load_trained(name: str | Path) -> TrainedModel:
    """The model of a run's newest checkpoint, or of a folder or hub name.

    It has a head for masked pieces, or is an ElectraPair, whose generator has one.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if it has no trained head for masked pieces, or is damaged.
    """
    folder = Path(name).expanduser()
    if (folder / RUN).is_file():
        return _load_run(folder)
    place, kind = masked_lm_at(name)
    model = load_model(place, lambda _: kind)
    tokenizer = load_tokenizer(name)
    check_rows(tokenizer, model.config.vocab_size)
    return TrainedModel(model, tokenizer)


def masked_lm_at(name: str | Path) -> tuple[str | Path, type[Pretrained]]:
    """Where the files of a model with a head for masked pieces are, and its class.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if it has no trained head for masked pieces.
    """
    # What a file of published form lacks must not be made up from random weights. An
    # ELECTRA's own has no head for masked pieces; its generator stands beside it.
    folder = Path(name).expanduser()
    place = folder / GENERATOR if (folder / GENERATOR).is_dir() else name
    names = read_json(find_file(place, "config.json")).get("architectures")
    kinds = masked_lm_classes(family_at(place))
    if not names or names[0] not in kinds:
        raise ValueError(
            f"{name} is {an(names[0]) if names else 'a body alone'}, in which bertcore "
            f"finds no head for masked pieces; give {' or '.join(map(an, kinds))}"
        )
    return place, kinds[names[0]]


def _load_run(folder: Path) -> TrainedModel:
    run = RunDescription.read(folder)
    checkpoint, faults = newest_checkpoint(folder / CHECKPOINTS)
    if checkpoint is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint yet: one is written every five minutes, when "
            "the run is stopped, and at its end"
        )
    for fault in faults:
        warnings.warn(f"an earlier checkpoint is used: {fault}", stacklevel=3)
    model = run.model(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(checkpoint.weights[PREFIX + name])
    tokenizer = load_tokenizer(folder / VOCABULARY)
    return TrainedModel(model.eval(), tokenizer, run, checkpoint)


def evaluate_run(name: str, data: Path | None, length: int | None) -> HeldOutScores:
    """How well a model predicts held-out texts, those of its run if none are given."""
    model, tokenizer, run, _ = load_trained(name)
    if data is not None:
        store = held_out_store(data.expanduser(), tokenizer)
    elif run is None:
        raise ValueError(f"{name} is no run, so say on which texts: --data FOLDER")
    elif (store := run.texts(Path(name).expanduser()).held_out) is None:
        raise ValueError(f"{name} has no held-out texts; give some with --data")
    if run is not None:
        recipe = run.recipe
    else:  # what the model has heads for
        recipe = Recipe(steps=1, length=min(128, model.config.max_positions))
        recipe = recipe.replace(**objective_class(model).needed_changes(recipe))
    if length is not None:
        recipe = recipe.replace(length=length)
    recipe.check_length(model.config.max_positions)
    device = find_device()
    held_out = HeldOut(store, make_examples(store, recipe), tokenizer)
    return held_out.ask(model.to(device), device)


def held_out_store(data: Path, tokenizer: AnyTokenizer) -> Store:
    """The held-out store of prepared texts; or the folder is itself a store."""
    folder = data / HELD_OUT if (data / HELD_OUT).is_dir() else data
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{data} holds no held-out texts; write some with bertcore prepare, "
            "without --hold-out 0"
        )
    return Store.open(folder, tokenizer)


def export_run(folder: Path, out: Path, half: bool) -> int:
    """Write the model of a run's newest checkpoint; return the step it is of."""
    out = out.expanduser()
    RunDescription.read(folder.expanduser())  # or say that there is none
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_model(out)):
        raise ValueError(
            f"{out} holds something else than an earlier export; give a new folder"
        )
    return _write_model(folder.expanduser(), load_trained(folder), out, half)


def _write_model(folder: Path, trained: TrainedModel, out: Path, half: bool) -> int:
    run, step, card = trained.run, trained.checkpoint.state["progress"]["step"], None
    if (folder / CARD).is_file():
        card = read_json(folder / CARD)
    if card is None or card["results"]["steps"] != step:  # the run was killed since
        card = run.start(folder).card()
    export(trained.model, trained.tokenizer, out, card, half)
    return step


def model_files(name: str) -> str:
    """The folder or name under which the files of a model are.

    Of a run that has not ended the newest checkpoint is written out first, once, so
    that what starts from it can do so again.

    Raises:
        FileNotFoundError: if the run has no checkpoint.
    """
    folder = Path(name).expanduser()
    if not (folder / RUN).is_file():
        return name
    if (folder / MODEL).is_dir():
        return str(folder / MODEL)
    trained = load_trained(folder)
    out = folder / f"{MODEL}-{trained.checkpoint.state['progress']['step']}"
    if not _is_model(out):
        _write_model(folder, trained, out, half=False)
    return str(out)


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / CARD).is_file()


def describe_name(name: str) -> Iterator[str]:
    """What a preset, run, prepared texts, vocabulary or model is, and what to do next.

    Raises:
        FileNotFoundError: if there is nothing of that name.
        ValueError: if its files are damaged, or of no family of ours.
    """
    folder = Path(name).expanduser()  # which may hold a model, a vocabulary inside
    if (folder / RUN).is_file():
        run, steps = RunDescription.read(folder), checkpoints(folder / CHECKPOINTS)
        what = f"from {run.origin}" if run.origin else f"plan {run.plan}"
        yield f"{name}: a run of bertcore pretrain, {what}"
        yield in_words(run.config)
        ended, newest = (folder / MODEL).is_dir(), steps[0].name if steps else "none"
        yield "it has ended" if ended else f"its newest checkpoint: {newest}"
        next_step = f"fill-mask TEXT --model {name}" if ended else f"resume {name}"
    elif (folder / TRAIN).is_dir():
        yield f"{name}: prepared texts: {open_prepared(folder).train}"
        next_step = f"pretrain --data {name} --out FOLDER"
    elif name in PRESETS:
        yield f"{name}: a size without weights"
        yield in_words(BertConfig.preset(name))
        next_step = f"pretrain --preset {name} --out FOLDER"
    elif folder.is_file() or find_optional(name, "config.json") is None:
        yield f"{name}: a vocabulary: {load_tokenizer(name)}"
        next_step = f"pieces --model {name} TEXT"
    else:
        yield f"{name}: {describe_model(name)}"
        next_step = f"finetune TASK --model {name} --out FOLDER"
        if find_optional(name, TASK) is not None:
            task, settings = read_task(name)
            labels = f": {', '.join(task['labels'][:12])}" if task["labels"] else ""
            yield f"fine-tuned for {task['kind']}{labels}"
            if chosen := find_task(task["kind"]).chosen_in_words(settings):
                yield chosen
            yield f"what next: {asking(name)}"
            return
    yield f"what next: bertcore {next_step}"


def asking(name: str | Path) -> str:
    """A command that asks a fine-tuned model, in the form that its task.json says."""
    about, settings = read_task(name)
    task = find_task(about["kind"])
    line = task.example(settings)
    if "\t" in line:
        return rf"printf '{line}\n' | bertcore predict {name}".replace("\t", r"\t")
    context = " --context FILE" if task.reads_context else ""
    return f'bertcore predict {name} "{line}"{context}'
