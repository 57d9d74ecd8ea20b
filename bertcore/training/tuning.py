"""Tuning: how a pretrained model is fine-tuned (chapter 10)."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from bertcore.training.recipes import OPTIMISERS, Recipe

_WHOLE = ("batch", "pass_size", "length", "stride", "patience", "looks", "rank")


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune. The defaults suit small models and sets of thousands.

    Devlin et al. 2019, A.3, tuned BERT-base and -large with batches of 16 and 32, rates
    of 2e-5 to 5e-5 and 2 to 4 epochs; a smaller model takes a higher rate, 1e-4 for
    MiniLM, say.

    Args:
        epochs: how often each row is read.
        batch: rows in an update; of long ones, their parts.
        pass_size: rows in memory at once; divides the batch. Default: all.
        learning_rate: at its highest.
        warmup: the share of the run in which the rate rises.
        weight_decay: of matrices, decoupled.
        optimiser: "adamw", or "released" without bias correction, as Google's.
        clip: the longest that the gradient may be.
        length: the most tokens of a text, pair or window; None is what the model can
            take, up to 128.
        stride: of windows, for answers; None is half of what fits beside a question.
        patience: looks at the validation rows without a better one before the run
            ends; None goes on to the end. The best weights are kept in any case.
        looks: looks at the validation rows in an epoch.
        frozen: embeddings and encoder stay as they are; only the head learns.
        rank: of low-rank changes (LoRA) in place of full ones; None is full.
        seed: of the head's starting weights, order and dropout.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    epochs: float = 3.0
    batch: int = 32
    pass_size: int | None = None
    learning_rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    optimiser: str = "adamw"
    clip: float = 1.0
    length: int | None = None
    stride: int | None = None
    patience: int | None = None
    looks: int = 1
    frozen: bool = False
    rank: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"epochs={self.epochs!r} must be more than 0, and finite")
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name}={value!r} must be an integer of 1 or more")
        if self.frozen and self.rank is not None:
            raise ValueError(
                f"frozen=True and rank={self.rank}: the encoder stays or it learns; "
                "give one of the two"
            )
        if self.optimiser == "muon" or self.optimiser not in OPTIMISERS:
            raise ValueError(
                f"no optimiser {self.optimiser!r} here; there are adamw, released"
            )
        self.recipe(1)

    def recipe(self, features: int) -> Recipe:
        """What the engine takes, for so many features."""
        return Recipe(
            steps=max(1, round(self.epochs * features / self.batch)),
            batch=self.batch,
            pass_size=self.pass_size,
            pairs=False,
            learning_rate=self.learning_rate,
            optimiser=self.optimiser,
            weight_decay=self.weight_decay,
            clip=self.clip,
            warmup=self.warmup,
            seed=self.seed,
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        unknown = set(changes) - set(self.__dataclass_fields__)
        if unknown:
            raise ValueError(
                f"Tuning has no {', '.join(sorted(unknown))}; "
                f"it has {', '.join(self.__dataclass_fields__)}"
            )
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
