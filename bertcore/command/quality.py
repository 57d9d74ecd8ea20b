"""Quality: a trained model, from its run or from a folder, and how good it is."""

import json
from pathlib import Path
from typing import NamedTuple

from torch import nn

from bertcore.command.log import say
from bertcore.command.run import RUN, VOCABULARY, Run
from bertcore.model.config import BertConfig
from bertcore.model.variants.families import family_of
from bertcore.sources import find_file, read_json
from bertcore.text.library_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.store import MANIFEST, Store
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.checkpoint import Checkpoint
from bertcore.training.evaluate import HeldOut, Quality
from bertcore.training.export import export
from bertcore.training.families import masked_lm_classes
from bertcore.training.prepared import HELD_OUT
from bertcore.training.pretrain import CARD, make_examples
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import find_device
from bertcore.training.start import newest, start, trained_model


class Trained(NamedTuple):
    """A model, its tokenizer, and the run and the checkpoint that it comes from."""

    model: nn.Module
    tokenizer: AnyTokenizer
    run: Run | None = None
    found: Checkpoint | None = None


def trained(name: str | Path) -> Trained:
    """The model of a run's newest checkpoint, or of a folder or hub name.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if it has no trained head for masked pieces, or is damaged.
    """
    folder = Path(name).expanduser()
    if not (folder / RUN).is_file():
        return _from_folder(name)
    run = Run.read(folder)
    found, faults = newest(folder)
    for fault in faults:
        say(f"bertcore: an earlier checkpoint is used: {fault}", error=True)
    model = trained_model(found, run.config, run.recipe)
    tokenizer = Tokenizer.from_pretrained(folder / VOCABULARY)
    return Trained(model, tokenizer, run, found)


def _from_folder(name: str | Path) -> Trained:
    """Of published form; what it lacks must not be made up from random weights."""
    config = read_json(find_file(name, "config.json"))
    classes = config.get("architectures") or ["BertModel"]
    kinds = masked_lm_classes(family_of(config))
    if classes[0] not in kinds:
        raise ValueError(
            f"{name} is a {classes[0]}, which has no head for masked pieces; give a "
            f"{' or a '.join(kinds)}"
        )
    model = kinds[classes[0]].from_pretrained(name)
    return Trained(model, load_tokenizer(name))


def quality(name: str, data: Path | None, length: int | None) -> Quality:
    """How well a model predicts held-out texts, those of its run if none are given."""
    model, tokenizer, run, _ = trained(name)
    if data is not None:
        store = _held_out(data.expanduser(), tokenizer)
    elif run is None:
        raise ValueError(f"{name} is no run, so say on which texts: --data FOLDER")
    else:
        store = _own(run, Path(name).expanduser())
    recipe = run.recipe if run else _recipe(model, model.config)
    if length is not None:
        recipe = recipe.replace(length=length)
    if recipe.length > model.config.max_positions:
        raise ValueError(
            f"--length {recipe.length}, but the model has {model.config.max_positions} "
            "positions; give that many at most"
        )
    device = find_device()
    asked = HeldOut(store, make_examples(store, recipe), tokenizer, model.config)
    return asked.ask(model.to(device), device)


def _recipe(model: nn.Module, config: BertConfig) -> Recipe:
    """That which asks what the model has heads for."""
    pairs, order = hasattr(model, "nsp_head"), hasattr(model, "sop_head")
    length = min(128, config.max_positions)
    return Recipe(steps=1, pairs=pairs, order=order, length=length)


def _held_out(data: Path, tokenizer: AnyTokenizer) -> Store:
    """The held-out store of prepared texts; or the folder is itself a store."""
    apart = data / HELD_OUT
    folder = apart if apart.is_dir() else data
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{data} holds no held-out texts; write some with bertcore prepare, "
            "without --hold-out 0"
        )
    return Store.open(folder, tokenizer)


def _own(run: Run, folder: Path) -> Store:
    held_out = run.texts(folder).held_out
    if held_out is None:
        raise ValueError(f"{folder} has no held-out texts; give some with --data")
    return held_out


def exported(folder: Path, out: Path, half: bool) -> int:
    """Write the model of a run's newest checkpoint; return the step it is of."""
    out = out.expanduser()
    Run.read(folder.expanduser())  # or say that there is none
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_model(out)):
        raise ValueError(
            f"{out} holds something else than an earlier export; give a new folder"
        )
    model, tokenizer, run, found = trained(folder)
    step = found.state["progress"]["step"]
    card = _card(folder.expanduser(), run, step)
    export(model, tokenizer, out, card, half)
    return step


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / CARD).is_file()


def _card(folder: Path, run: Run, step: int) -> dict:
    """The run's card, if it is of this step; a new one, if the run was killed."""
    if (folder / CARD).is_file():
        card = json.loads((folder / CARD).read_text(encoding="utf8"))
        if card["results"]["steps"] == step:
            return card
    return start(run.texts(folder), run.recipe, run.config, folder).card()
