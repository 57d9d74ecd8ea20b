"""Entries: the models of a race, each with what it changes in the recipe (chapter 9).

All have the sizes of one BERT. What a paper changes is stated in its entry; optimiser,
learning rate, batch, length and time are the same for all.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from torch import nn

from bertcore.model.config import BertConfig
from bertcore.model.fields import check_fields
from bertcore.model.variants.families import FAMILIES
from bertcore.training.families import new_model
from bertcore.training.recipes import Recipe

_NARROW = 128  # the widest table of ALBERT: Lan et al. 2019, table 3


class Entry(NamedTuple):
    """A model of the sizes of a BERT, and what it changes in the recipe.

    `config` makes its config of that BERT's; None is no pretraining at all.
    """

    name: str
    about: str
    config: Callable[[BertConfig], BertConfig]
    changes: dict[str, Any] | None

    def recipe(self, recipe: Recipe) -> Recipe:
        """The one that it is trained with.

        Raises:
            ValueError: if it is not trained.
        """
        if self.changes is None:
            raise ValueError(f"{self.name} is not pretrained, so it has no recipe")
        return recipe.replace(**self.changes)

    def model(self, sizes: BertConfig, recipe: Recipe) -> nn.Module:
        """A new one, with the starting weights of the recipe's seed.

        Args:
            sizes: of a BERT.
            recipe: of all entries; its changes are made here.
        """
        changed = recipe.replace(**(self.changes or {}))
        return new_model(self.config(sizes), changed)


def of_family(name: str, sizes: BertConfig, **changes: Any) -> BertConfig:
    """The config of a family with the sizes of a BERT.

    >>> of_family("albert", BertConfig.preset("mini"), embedding_size=128).layers
    4
    """
    kind = FAMILIES[name].config
    check_fields(kind, changes)
    own = asdict(sizes)
    # What a family does not have keeps the family's own value.
    for field in ("segments", "gelu", "layer_norm_eps"):
        own.pop(field)
    return kind(**{**own, **changes})


def _bert(sizes: BertConfig) -> BertConfig:
    return sizes


def _half(sizes: BertConfig) -> BertConfig:
    layers = max(1, sizes.layers // 2)
    return of_family("distilbert", sizes, layers=layers, text_dropout=sizes.dropout)


def _albert(sizes: BertConfig) -> BertConfig:
    narrow = min(_NARROW, sizes.hidden_size // 2)
    rates = {"head_dropout": sizes.dropout, "segments": sizes.segments}
    return of_family("albert", sizes, embedding_size=narrow, **rates)


def _electra(sizes: BertConfig) -> BertConfig:
    return of_family("electra", sizes, embedding_size=sizes.hidden_size)


def _deberta(sizes: BertConfig) -> BertConfig:
    # As published: 256 buckets of distances for 512 positions.
    buckets = max(2, sizes.max_positions // 2)
    return of_family("deberta-v2", sizes, position_buckets=buckets)


def _modern(sizes: BertConfig) -> BertConfig:
    # A gated unit has three matrices where another has two: as many parameters.
    inner = 2 * sizes.feedforward_size // 3
    return of_family("modernbert", sizes, feedforward_size=inner)


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("none", "BERT's random weights, no pretraining", _bert, None),
        Entry("bert", "BERT: pairs of texts", _bert, {"pairs": True}),
        Entry(
            "roberta",
            "RoBERTa: no pairs",
            lambda sizes: of_family("roberta", sizes),
            {},
        ),
        Entry("spanbert", "SpanBERT: spans and their ends", _bert, {"spans": True}),
        Entry("albert", "ALBERT: one layer's weights, order", _albert, {"order": True}),
        Entry("distilbert", "DistilBERT's half of the layers", _half, {}),
        Entry(
            "electra",
            "ELECTRA: replaced pieces, a generator a quarter as wide",
            _electra,
            {},
        ),
        Entry(
            "deberta",
            "DeBERTa: content apart from positions",
            _deberta,
            {},
        ),
        Entry(
            "modernbert",
            "ModernBERT: rotary, gated, norm first, 30 % masks",
            _modern,
            {"mask_rate": 0.3},
        ),
    )
}


def chosen(names: str | None) -> list[Entry]:
    """The entries of names between commas; all of them by default.

    Raises:
        ValueError: naming those that there are not.
    """
    if names is None:
        return list(ENTRIES.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in ENTRIES]
    if unknown or not wanted:
        raise ValueError(
            f"no entry {', '.join(unknown) or repr(names)}; there are "
            f"{', '.join(ENTRIES)}"
        )
    return [ENTRIES[name] for name in dict.fromkeys(wanted)]
