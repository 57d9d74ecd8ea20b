"""Tuning: how a pretrained model is fine-tuned (chapter 10)."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from bertcore.model.fields import changed
from bertcore.training.recipes import OPTIMISERS, Recipe

_WHOLE = (
    *("batch", "pass_size", "length", "stride", "patience", "looks", "rank"),
    "target_length",
)
_OF_WRITING = {"target_length": None, "label_smoothing": 0.0, "tied": False}


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
        target_length: for writing, the most tokens of what is written; None is what
            the decoder can take, up to 64.
        label_smoothing: for writing, the share of each token's truth that is spread
            over the whole vocabulary.
        patience: looks at the validation rows without a better one before the run
            ends; None goes on to the end. The best weights are kept in any case.
        looks: looks at the validation rows in an epoch.
        frozen: embeddings and encoder stay as they are; only the head learns, for
            writing the decoder.
        rank: of low-rank changes (LoRA) in place of full ones; None is full, the only
            choice for writing.
        tied: for writing, encoder and decoder share their weights.
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
    target_length: int | None = None
    label_smoothing: float = 0.0
    patience: int | None = None
    looks: int = 1
    frozen: bool = False
    rank: int | None = None
    tied: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"epochs={self.epochs!r} must be more than 0, and finite")
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name}={value!r} must be an integer of 1 or more")
        if self.target_length is not None and self.target_length < 3:
            raise ValueError(
                f"target_length={self.target_length} leaves no room for a piece beside "
                "[CLS] and [SEP]; give 3 or more"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={self.label_smoothing!r} is a share; give 0, or more "
                "but less than 1"
            )
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

    def check_kind(self, kind: str) -> None:
        """ValueError if the kind of task leaves a field that is set without a sense."""
        if kind == "writing" and self.rank is not None:
            raise ValueError(
                f"rank={self.rank} for writing, but low-rank changes are for models "
                "with one body; leave rank out, perhaps with frozen=True, where only "
                "the decoder learns"
            )
        if kind == "writing":
            return
        for name, usual in _OF_WRITING.items():
            value = getattr(self, name)
            if value != usual:
                raise ValueError(
                    f"{name}={value!r} for {kind}: it is for writing alone; leave it "
                    "out"
                )

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
        return changed(self, changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
