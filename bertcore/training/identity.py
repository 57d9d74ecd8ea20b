"""Identity: what must be the same for a run to go on (chapter 9)."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.weights import Pretrained
from bertcore.text.store import Store, vocabulary_digest
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.recipes import Recipe


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

    `bertcore.model.changes` has such layers.
    """
    if hasattr(model, "generator"):
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
    found = sha256()
    for array in (store.ids, store.sentences, store.documents):
        found.update(array.tobytes())
    return found.hexdigest()


def check_identity(then: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """ValueError if a checkpoint is of another run, naming what differs, both ways."""
    remedies = {
        "vocabulary": "load the vocabulary that the run began with",
        "data": "give the texts that the run began with",
        "model": "build the model that the run began with",
        "recipe": "give the recipe that the run began with",
    }
    # Of an earlier version it lacks the fields that are new.
    then = {**then, "recipe": Recipe(**then["recipe"]).to_dict()}
    for part, remedy in remedies.items():
        if then[part] == now[part]:
            continue
        before, after = then[part], now[part]
        if isinstance(before, dict):
            keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
            before = {key: before.get(key) for key in keys}
            after = {key: after.get(key) for key in keys}
        raise ValueError(
            f"{folder} is of another run: its {part} is {before}, that of this run is "
            f"{after}; {remedy}, or begin anew in another folder"
        )


def check_fit(
    model: Pretrained, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> None:
    """ValueError if model, tokenizer, store and recipe do not fit together."""
    _check_questions(model, recipe)
    if recipe.length > model.config.max_positions:
        raise ValueError(
            f"length={recipe.length}, but the model has {model.config.max_positions} "
            "positions; give that many at most"
        )
    if len(tokenizer) > model.config.vocab_size:
        raise ValueError(
            f"{len(tokenizer)} pieces, but the model has a table of "
            f"{model.config.vocab_size}; give vocab_size={len(tokenizer)} or more"
        )
    expected, found = store.manifest.get("vocabulary"), vocabulary_digest(tokenizer)
    if expected != found:
        raise ValueError(
            f"the store was made with another vocabulary: its digest is {expected}, "
            f"that of this tokenizer {found}; load the tokenizer that made it"
        )


def _check_questions(model: Pretrained, recipe: Recipe) -> None:
    """A model has the heads for what a recipe asks, and no others."""
    name = type(model).__name__
    for part, head, fitting in (
        ("pairs", "nsp_head", "BertForPreTraining"),
        ("order", "sop_head", "AlbertForPreTraining"),
    ):
        asks, wanted = hasattr(model, head), getattr(recipe, part)
        if wanted != asks:
            other = fitting if wanted else "BertForMaskedLM"
            raise ValueError(
                f"{name} for a recipe with {part}={wanted}; give a {other}, or "
                f"{part}={asks}"
            )
    if hasattr(model, "boundary_head") and not recipe.spans:
        raise ValueError(
            f"{name} for a recipe with spans=False; give a BertForMaskedLM, or "
            "spans=True"
        )
