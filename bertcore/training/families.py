"""Families: which class a config, a recipe or a file stands for (chapters 9 and 10)."""

from typing import Any

import torch
from torch import nn

from bertcore.model.config import BertConfig
from bertcore.model.tasks import BertForMaskedLM, BertForPreTraining
from bertcore.model.variants.albert import AlbertForPreTraining
from bertcore.model.variants.electra_pair import ElectraPair
from bertcore.model.variants.families import FAMILIES, Family, family_of
from bertcore.model.variants.spanbert import SpanBertForMaskedLM
from bertcore.model.weights import Pretrained, published_class
from bertcore.training.recipes import Recipe

_OF_PAIRS = BertForPreTraining, AlbertForPreTraining  # asked for pairs, for order


def family_with(config: BertConfig) -> Family:
    """The family whose models are built from a config of this class.

    Raises:
        ValueError: if there is none.
    """
    for family in FAMILIES.values():
        if type(config) is family.config:
            return family
    raise ValueError(
        f"no family has a {type(config).__name__}; there are {', '.join(FAMILIES)}"
    )


def config_from(published: dict[str, Any]) -> BertConfig:
    """The config of any family from the keys of a published `config.json`."""
    return family_of(published).config.from_dict(published)


def pretraining_class(config: BertConfig, recipe: Recipe) -> type[nn.Module]:
    """The class of the model that a recipe trains.

    Of ELECTRA it is generator and discriminator; of BERT with hidden spans, SpanBERT.

    Raises:
        ValueError: if no model of the family can be asked what the recipe asks.
    """
    family = family_with(config)
    if recipe.pairs or recipe.order:
        asked, fitting = ("pairs", "order")[recipe.order], _OF_PAIRS[recipe.order]
        if family.config is not fitting.config_class:
            raise ValueError(
                f"{asked}=True is asked of {fitting.__name__}, and the config is a "
                f"{type(config).__name__}; give {asked}=False"
            )
        return fitting
    if family.name == "electra":
        return ElectraPair
    if family.name == "bert" and recipe.spans:
        return SpanBertForMaskedLM
    return family.masked_lm


def masked_lm_classes(family: Family) -> dict[str, type[Pretrained]]:
    """Those with a head for masked pieces, by their names in `config.json`."""
    both = [k for k in _OF_PAIRS if k.config_class is family.config]
    return {published_class(kind): kind for kind in (*both, family.masked_lm)}


def masked_lm_of(model: nn.Module) -> Pretrained:
    """The part of a trained model that says which pieces belong where, to be saved.

    Of generator and discriminator it is the generator; of SpanBERT a BertForMaskedLM,
    since files keep no second head. Weights are shared with the model.
    """
    if hasattr(model, "generator"):
        return model.generator
    if not hasattr(model, "boundary_head"):
        return model
    plain = BertForMaskedLM(model.config)
    plain.bert, plain.mlm_head = model.bert, model.mlm_head
    return plain.train(model.training)


def new_model(config: BertConfig, recipe: Recipe) -> nn.Module:
    """The model that a recipe trains, with the starting weights of its seed."""
    kind = pretraining_class(config, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return kind(config)
