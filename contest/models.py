"""Models: those of a race, and the labelled task that their bodies learn (chapter 8b).

All have the sizes of one BERT. What a paper changes is stated in its entry; optimiser,
learning rate, batch, length and time are the same for all.
"""

import re
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from torch import nn

from bertcore.model.config import BertConfig
from bertcore.model.variants.families import config_like
from bertcore.tasks.rows import TaskSet, Text
from bertcore.tasks.sets import NAMED_TASKS
from bertcore.text.tales import LICENCE, SOURCE, tales
from bertcore.training.pretraining import new_model
from bertcore.training.recipe import Recipe


class Entry(NamedTuple):
    """A model of the sizes of a BERT, and what it changes in the recipe.

    Without `changes`, not even {}, it is not pretrained.
    """

    name: str
    family: str
    about: str
    changes: dict[str, Any] | None

    def recipe(self, recipe: Recipe) -> Recipe:
        """The one that it is trained with; ValueError if it is not trained."""
        if self.changes is None:
            raise ValueError(f"{self.name} is not pretrained, so it has no recipe")
        return recipe.replace(**self.changes)

    def model(self, sizes: BertConfig, recipe: Recipe) -> nn.Module:
        """A new one of these sizes, with the starting weights of the recipe's seed."""
        config = config_like(self.family, sizes)
        return new_model(config, recipe.replace(**(self.changes or {})))


_REPLACED = "ELECTRA: replaced pieces, a generator a quarter as wide"
_MODERN = "ModernBERT: rotary, gated, norm first, 30 % masks"
_ENTRIES = (
    Entry("none", "bert", "BERT's random weights, no pretraining", None),
    Entry("bert", "bert", "BERT: pairs of texts", {"pairs": True}),
    Entry("roberta", "roberta", "RoBERTa: no pairs", {}),
    Entry("spanbert", "bert", "SpanBERT: spans and their ends", {"spans": True}),
    Entry("albert", "albert", "ALBERT: one layer's weights, order", {"order": True}),
    Entry("distilbert", "distilbert", "DistilBERT's half of the layers", {}),
    Entry("electra", "electra", _REPLACED, {}),
    Entry("deberta", "deberta-v2", "DeBERTa: content apart from positions", {}),
    Entry("modernbert", "modernbert", _MODERN, {"mask_rate": 0.3}),
)
ENTRIES = {entry.name: entry for entry in _ENTRIES}


def chosen(names: str | None) -> list[Entry]:
    """The entries of names between commas; all of them by default.

    Raises:
        ValueError: naming those that there are not.
    """
    if names is None:
        return list(ENTRIES.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = ", ".join(name for name in wanted if name not in ENTRIES)
    if unknown or not wanted:
        raise ValueError(
            f"no entry {unknown or repr(names)}; there are {', '.join(ENTRIES)}"
        )
    return [ENTRIES[name] for name in dict.fromkeys(wanted)]


# The labelled task -------------------------------------------------------------------

COLOURS = "colours"
SCORED = 500  # rows at most
_NAMES = "red blue green yellow white black brown grey".split()
_THING = re.compile(
    rf"\b({'|'.join(_NAMES)})(?= (?:lantern|basket|coat|hat|boat|cart|kite|bag)\b)"
)


def probe(name: str, rows: int) -> TaskSet:
    """The first rows of a task to train on, and up to 500 others to score on.

    Args:
        name: "colours", or one of `NAMED_TASKS` that is a classification.
        rows: to train on.

    Raises:
        FileNotFoundError: naming a package that is not installed.
        ValueError: if there is no such task, or its rows are too few.
    """
    if name == COLOURS:
        return colours(rows)
    able = [each for each, task in NAMED_TASKS.items() if task.kind == "classification"]
    if name not in able:
        raise ValueError(
            f"no task {name!r} for a race; there are {', '.join([COLOURS, *able])}"
        )
    data = NAMED_TASKS[name].load()
    if rows > len(data.train):
        raise ValueError(
            f"--rows {rows}, and {name} has {len(data.train):,} to train on; give that "
            "many at most"
        )
    scored = [*data.test, *data.valid][:SCORED]
    return data._replace(train=data.train[:rows], valid=[], test=scored)


def colours(rows: int, seed: int = 0) -> TaskSet:
    """Does a tale stay true to its colours? A task by rules, for texts made by rules.

    Three sentences name the colour of a thing; the last of them may lie.

    >>> print(colours(1).train[0].label)
    false
    """
    made = list(islice(_colour_rows(Random(seed)), rows + SCORED))
    about = COLOURS, "classification", ("true", "false")
    return TaskSet(*about, made[:rows], [], made[rows:], SOURCE, LICENCE)


def _colour_rows(rng: Random) -> Iterator[Text]:
    while True:
        (tale,) = tales(1, rng.randrange(2**31))
        first, second, *_, last = [line for line in tale if _THING.search(line)]
        true = _THING.search(last)[1]
        label = rng.choice(("true", "false"))
        if label == "false":
            other = rng.choice([name for name in _NAMES if name != true])
            last = _THING.sub(other, last)
        yield Text(" ".join((first, second, last)), label)
