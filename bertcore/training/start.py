"""Start: from prepared texts, a config and a recipe to a run, and back from its folder
to the model (chapter 9).
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from bertcore.model.config import BertConfig
from bertcore.training.checkpoint import Checkpoint, newest_checkpoint
from bertcore.training.evaluate import HeldOut
from bertcore.training.families import new_model
from bertcore.training.prepared import Prepared
from bertcore.training.pretrain import CHECKPOINTS, Pretraining, make_examples
from bertcore.training.recipes import Recipe

PREFIX = "model."  # the objective's name for the model, in front of each parameter's


def start(
    prepared: Prepared,
    recipe: Recipe,
    config: BertConfig,
    folder: str | Path | None = None,
    **options: Any,
) -> Pretraining:
    """A run that is ready: `for record in start(…).records(): …`.

        plan = PLANS["minute"]
        texts = packaged(plan.texts)
        run = start(texts, plan.recipe, plan.config(len(texts.tokenizer)), "my-run")

    Args:
        prepared: the texts.
        recipe: how to train.
        config: of the model, of any family; its `vocab_size` has room for the
            prepared vocabulary.
        folder: of the run, which goes on if it was begun before.
        options: of `Pretraining`, such as `setting` or `save_every`.

    Raises:
        ValueError: as `Pretraining` does.
    """
    tokenizer, store, apart = prepared
    setting = options.get("setting")
    held_out = None
    if apart is not None and (setting is None or setting.world.leads):
        held_out = HeldOut(apart, make_examples(apart, recipe), tokenizer, config)
    model = new_model(config, recipe)
    return Pretraining(model, tokenizer, store, recipe, folder, held_out, **options)


def newest(folder: str | Path) -> tuple[Checkpoint, list[str]]:
    """The newest sound checkpoint of a run, and why newer ones are not used.

    Raises:
        FileNotFoundError: if the run has none.
        ValueError: if each of them is damaged.
    """
    found, faults = newest_checkpoint(Path(folder) / CHECKPOINTS)
    if found is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint yet: one is written every five minutes, when "
            "the run is stopped, and at its end"
        )
    return found, faults


def trained_model(found: Checkpoint, config: BertConfig, recipe: Recipe) -> nn.Module:
    """The model of a run with the weights of a checkpoint, in evaluation mode."""
    model = new_model(config, recipe)
    weights = {name.removeprefix(PREFIX): w for name, w in found.weights.items()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    return model.eval()
