"""Plans: what to train on which machine, and for how long (chapter 9)."""

from collections.abc import Sequence
from typing import NamedTuple

from bertcore.model.config import BertConfig
from bertcore.text.english import english
from bertcore.text.tales import LICENCE, SOURCE, tales
from bertcore.training.recipes import FAST, Recipe
from bertcore.training.runtime import Machine


class Texts(NamedTuple):
    """Documents to train on and others that are held out, and where they come from."""

    train: Sequence[str | list[str]]
    held_out: Sequence[str | list[str]]
    source: str
    licence: str


class Plan(NamedTuple):
    """A size of model, the texts for it, and a recipe.

    `sizes` are fields of `BertConfig`; `texts` is "tales" or "english"; `pieces` the
    size of the vocabulary; `rate` the products a second from which on a machine can
    afford it, in FLOP/s.
    """

    name: str
    about: str
    sizes: dict[str, float]
    texts: str
    pieces: int
    recipe: Recipe
    rate: float

    def config(self, pieces: int) -> BertConfig:
        """The model's config for a vocabulary of so many pieces."""
        return BertConfig(vocab_size=pieces, **self.sizes)


def _sizes(layers: int, width: int, heads: int, positions: int, **more: float) -> dict:
    return {
        "layers": layers,
        "hidden_size": width,
        "heads": heads,
        "feedforward_size": 4 * width,
        "max_positions": positions,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        **more,
    }


PLANS = {
    plan.name: plan
    for plan in (
        Plan(
            "minute",
            "1 layer of 96 on made-up tales: a minute on a CPU",
            # A narrow layer learns slowly from starting weights as small as BERT's.
            _sizes(1, 96, 3, 64, initializer_range=0.05),
            "tales",
            560,
            FAST.replace(
                seconds=20, batch=16, length=48, pairs=True, learning_rate=4e-3
            ),
            0.0,
        ),
        Plan(
            "mini",
            "BERT-mini, 4 layers of 256, on all packaged texts: half an hour on a T4",
            _sizes(4, 256, 4, 256),
            "english",
            8192,
            FAST.replace(
                seconds=1800, batch=512, pass_size=128, length=256, optimiser="muon"
            ),
            2e12,
        ),
        Plan(
            "base",
            "BERT-base, 12 layers of 768: an hour on an H100; bring more text",
            _sizes(12, 768, 12, 512),
            "english",
            30_000,
            FAST.replace(
                seconds=3600, batch=256, pass_size=64, length=512, optimiser="muon"
            ),
            2e14,
        ),
    )
}


def choose(machine: Machine) -> Plan:
    """The plan that this machine can afford: "minute" on a CPU, "mini" on a GPU.

    "base" is left to those who bring more text: the packaged ones are few for it.
    """
    fast = machine.operations >= PLANS["mini"].rate
    return PLANS["mini" if fast and machine.device.type == "cuda" else "minute"]


def find_texts(kind: str, seed: int = 0) -> Texts:
    """The texts of a plan.

    Args:
        kind: "tales" or "english".
        seed: of the tales.

    Raises:
        FileNotFoundError: naming a package that is not installed.
        ValueError: if there is no such kind.
    """
    if kind == "tales":
        return Texts(tales(4000, seed), tales(300, seed + 1), SOURCE, LICENCE)
    if kind == "english":
        train, held_out = (
            [document.text for document in english(apart)] for apart in (False, True)
        )
        source = "all corpora of bertcore.text.library, less what english() holds out"
        return Texts(train, held_out, source, "several; see data/README.md")
    raise ValueError(f'no texts {kind!r}; there are "tales" and "english"')
