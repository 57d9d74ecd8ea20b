"""Checkpoint: all that a run needs to go on, whole or not there at all (chapter 9).

A checkpoint is a new folder (see `bertcore.files`) with a manifest: the size and the
digest of each file. So a folder `step-00001200` is finished, and whoever reads it can
tell whether it is still as it was written. No checkpoint is changed later, because
network folders such as Google Drive's pass changes on late. `check_identity` refuses a
checkpoint that belongs to another run.
"""

import errno
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bertcore.files import (
    new_folder,
    read_json,
    read_manifest,
    write_json,
    write_manifest,
)
from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.variants.electra import ElectraPair
from bertcore.model.weights import Pretrained
from bertcore.text.store import Store, check_tokenizer, vocabulary_digest
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.objectives import models_for, objective_class
from bertcore.training.recipe import Recipe

FORMAT = "bertcore checkpoint 2"
STATE = "state.json"
WEIGHTS, OPTIMISER_STATE = "model.safetensors", "optimiser.safetensors"

# What to do about a part of a run's identity that differs; else "give" it.
_REMEDIES = {
    "vocabulary": ("load", "vocabulary"),
    "data": ("give", "texts"),
    "model": ("build", "model"),
    "weights": ("start from", "weights"),
}


class Checkpoint(NamedTuple):
    """Weights, the moments of the optimisers, and the rest as plain values."""

    folder: Path
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: str | Path,
    step: int,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, Tensor],
    state: Mapping[str, Any],
    keep: int = 2,
) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`.

    Args:
        folder: that of all checkpoints of a run.

    Raises:
        OSError: if it cannot be written, with the space that it needs; what was there
            before stays.
        ValueError: if `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}; give 1 or more, or there is nothing to resume")
    folder = Path(folder)
    target = folder / f"step-{step:08d}"
    needed = sum(t.nbytes for part in (weights, moments) for t in part.values())
    for left in folder.glob("step-*.partial"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        # One of this name is damaged, or of a run that was taken back to an older one.
        with new_folder(target) as partial:
            save_file(_plain(weights), partial / WEIGHTS, {"format": "pt"})
            save_file(_plain(moments), partial / OPTIMISER_STATE, {"format": "pt"})
            write_json(partial / STATE, state, indent=None)
            write_manifest(partial, {"format": FORMAT})
    except (OSError, SafetensorError) as error:
        raise _unwritten(target, needed, error) from error
    for later in checkpoints(folder):
        if _step(later) > step:  # damaged: the run was taken back behind it
            shutil.rmtree(later, ignore_errors=True)
    for old in checkpoints(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: str | Path) -> list[Path]:
    """All finished checkpoints in a folder, the newest first; not yet verified."""
    finished = [
        path
        for path in Path(folder).glob("step-*")
        if path.is_dir() and path.name.removeprefix("step-").isdecimal()
    ]
    return sorted(finished, key=_step, reverse=True)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read one checkpoint, if all of it is as it was written.

    Raises:
        ValueError: naming what is missing or has changed.
    """
    folder = Path(folder)
    read_manifest(folder, FORMAT)
    return Checkpoint(
        folder,
        _read(folder / WEIGHTS),
        _read(folder / OPTIMISER_STATE),
        read_json(folder / STATE),
    )


def newest_checkpoint(folder: str | Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is as it was written, and why newer ones are not used.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        ValueError: if there are some, and each of them is damaged.
    """
    faults: list[str] = []
    for path in checkpoints(folder):
        try:
            return load_checkpoint(path), faults
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(
            f"no checkpoint in {folder} can be used: {'; '.join(faults)}. Restore one "
            "from a copy, go on with the version of bertcore that wrote them, or begin "
            "anew in another folder"
        )
    return None, faults


def _read(path: Path) -> dict[str, Tensor]:
    """In memory: a file that stays mapped keeps its space after it is removed."""
    return {name: value.clone() for name, value in load_file(path).items()}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _unwritten(target: Path, needed: int, error: Exception) -> OSError:
    """What to say when a checkpoint could not be written."""
    free = ""
    with suppress(OSError):
        near = next(p for p in target.parents if p.exists())
        free = f", and {shutil.disk_usage(near).free / 1e6:,.1f} MB are free there"
    inside = re.search(r"os error (\d+)", str(error))  # safetensors has it in words
    number = getattr(error, "errno", None) or int(inside[1] if inside else errno.EIO)
    return OSError(
        number,
        f"the checkpoint {target} could not be written ({error}): it needs "
        f"{needed / 1e6:,.1f} MB{free}. Earlier checkpoints are as they were; make "
        "room and resume",
    )


def identity(
    model: Pretrained, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> dict[str, Any]:
    """Digests of vocabulary and data; model and recipe in plain values."""
    return {
        "vocabulary": vocabulary_digest(tokenizer),
        "data": data_digest(store),
        "model": {
            "class": type(model).__name__,
            **model.config.to_dict(),
            **_changes(model),
        },
        "recipe": recipe.to_dict(),
    }


def _changes(model: Pretrained) -> dict[str, Any]:
    """What the config does not say: a second one, or layers that are not BERT's.

    `bertcore.model.variants.parts` has such layers.
    """
    if isinstance(model, ElectraPair):
        return {"generator": model.generator.config.to_dict()}
    if type(model.bert) is not Bert:
        return {}
    layers = [type(layer).__name__ for layer in model.bert.encoder.layers]
    return {"layers": layers} if set(layers) - {EncoderLayer.__name__} else {}


def data_digest(store: Store) -> str:
    """One SHA-256 of all files of a store, or of its arrays if it is in memory."""
    files = store.manifest.get("files")
    if files:
        text = " ".join(f"{name} {files[name]['sha256']}" for name in sorted(files))
        return sha256(text.encode()).hexdigest()
    digest = sha256()
    for array in (store.ids, store.sentences, store.documents):
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_identity(then: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """ValueError if a checkpoint is of another run, naming what differs, both ways."""
    if "recipe" in then:  # of an earlier version it lacks the fields that are new
        then = {**then, "recipe": Recipe(**then["recipe"]).to_dict()}
    if "tuning" in then:  # where what is new is None if nobody asks for it
        new = dict.fromkeys(now.get("tuning", ()))
        then = {**then, "tuning": {**new, **then["tuning"]}}
    for part in now:
        if then.get(part) == now[part]:
            continue
        verb, what = _REMEDIES.get(part, ("give", part))
        before, after = then.get(part), now[part]
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
            before = {key: before.get(key) for key in keys}
            after = {key: after.get(key) for key in keys}
        raise ValueError(
            f"{folder} is of another run: its {part} is {before}, that of this run is "
            f"{after}; {verb} the {what} that the run began with, or begin anew in "
            "another folder"
        )


def check_fit(
    model: Pretrained, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> None:
    """ValueError if model, tokenizer, store and recipe do not fit together."""
    # The first of them is enough: with it changed, the others may be right.
    for field, needed in objective_class(model).needed_changes(recipe).items():
        raise ValueError(
            f"{type(model).__name__} for a recipe with {field}={not needed}; give a "
            f"{models_for(recipe)[0].__name__}, or {field}={needed}"
        )
    recipe.check_length(model.config.max_positions)
    if len(tokenizer) > model.config.vocab_size:
        raise ValueError(
            f"{len(tokenizer)} pieces, but the model has a table of "
            f"{model.config.vocab_size}; give vocab_size={len(tokenizer)} or more"
        )
    check_tokenizer(store.manifest, tokenizer, store.folder)
