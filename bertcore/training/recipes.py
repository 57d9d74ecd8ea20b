"""Recipes: the numbers of a training run, and two sets of them (chapter 9).

A recipe says how a model is trained; its architecture is in `BertConfig`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

from bertcore.model.fields import changed

SCHEDULES = ("linear", "released", "constant")
OPTIMISERS = ("adamw", "released", "muon")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    The end of a run is given in updates (`steps`) or in time (`seconds`), and warm-up
    and decay are shares of it. With `seconds` the same recipe fits any machine.

    Args:
        steps: updates in all.
        seconds: of training in all, pauses not counted.
        batch: examples in an update.
        pass_size: examples that are in memory at once; gradients are summed over as
            many passes as an update takes. Default: all.
        length: tokens in an example with its special tokens, and in a packed row.
        pairs: ask for the next sentence, too, as BERT does.
        order: ask whether two stretches of text were swapped, as ALBERT does.
        mask_rate: the share of a text's tokens that is hidden.
        mask_limit: the most that are hidden in a text.
        whole_words: hide whole words.
        spans: hide spans of words, as SpanBERT does.
        learning_rate: at its highest; for `muon` that of the parameters that are not
            matrices.
        matrix_rate: with `muon`, that of the matrices of the layers.
        optimiser: "adamw"; "released", as Google's code has it, without bias
            correction; "muon" for the matrices of the layers and AdamW for the rest.
        betas, epsilon: of Adam.
        weight_decay: of matrices and tables, decoupled; biases and norms have none.
        clip: the longest that the gradient may be, over all parameters; 0 is no limit.
        schedule: "linear", up and down in straight lines; "released", where the decay
            counts from the first step, so the rate drops when warm-up ends;
            "constant" after warm-up.
        warmup: the share of the run in which the rate rises.
        ramp: the share of the run in which the batch grows from one pass to all.
        seed: of order, masks, dropout and starting weights.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    steps: int | None = None
    seconds: float | None = None
    batch: int = 256
    pass_size: int | None = None
    length: int = 128
    pairs: bool = True
    mask_rate: float = 0.15
    mask_limit: int | None = None
    whole_words: bool = False
    order: bool = False
    spans: bool = False
    learning_rate: float = 1e-4
    matrix_rate: float = 0.02
    optimiser: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 1.0
    schedule: str = "linear"
    warmup: float = 0.01
    ramp: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if (self.steps is None) == (self.seconds is None):
            raise ValueError(
                f"steps={self.steps} and seconds={self.seconds}; give one of the two"
            )
        for one, other in (("pairs", "order"), ("spans", "whole_words")):
            if getattr(self, one) and getattr(self, other):
                raise ValueError(f"{one}=True and {other}=True; give one of the two")
        for name in ("steps", "seconds", "batch", "length", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r} must be more than 0")
        for name in ("weight_decay", "clip", "epsilon", "matrix_rate"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be 0 or more")
        if self.pass_size is not None and self.pass_size < 1:
            raise ValueError(f"pass_size={self.pass_size} must be 1 or more")
        for name in ("warmup", "ramp", "mask_rate"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share!r} is a share; give 0 to 1")
        for name, known in (("schedule", SCHEDULES), ("optimiser", OPTIMISERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"no {name} {getattr(self, name)!r}; there are {', '.join(known)}"
                )
        if self.batch % self.one_pass:
            raise ValueError(
                f"batch={self.batch} is no multiple of pass_size={self.pass_size}; "
                f"give {self.batch // self.one_pass * self.one_pass or self.one_pass}"
            )

    @property
    def one_pass(self) -> int:
        """Examples in one pass."""
        return self.pass_size or self.batch

    @property
    def passes(self) -> int:
        """Passes in an update, when the batch has grown to its full size."""
        return self.batch // self.one_pass

    def passes_at(self, progress: float) -> int:
        """Passes in an update after this share of the run."""
        if progress >= self.ramp:
            return self.passes
        return max(1, round(self.passes * progress / self.ramp))

    def rate_at(self, progress: float) -> float:
        """The share of the highest learning rate, after this share of the run."""
        rising = min(1.0, progress / self.warmup) if self.warmup else 1.0
        if rising < 1 or self.schedule == "constant":
            return rising
        if self.schedule == "released":
            return max(0.0, 1 - progress)
        return max(0.0, (1 - progress) / max(1e-12, 1 - self.warmup))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; `steps` and `seconds` oust each other."""
        for one, other in (("steps", "seconds"), ("seconds", "steps")):
            if changes.get(one) is not None and one in changes:
                changes.setdefault(other, None)
        return changed(self, changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "betas": list(self.betas)}


# Devlin et al. 2019, A.2, and google-research/bert run_pretraining.py: 1,000,000
# steps, of which 10,000 to warm up.
FAITHFUL = Recipe(
    steps=1_000_000,
    batch=256,
    learning_rate=1e-4,
    mask_limit=20,
    optimiser="released",
    schedule="released",
    warmup=0.01,
)

# What one can do better in a short run; chapter 9 measures each change by itself.
FAST = Recipe(
    seconds=1800,
    batch=256,
    pairs=False,
    mask_rate=0.3,
    learning_rate=1e-3,
    betas=(0.9, 0.98),
    clip=1.0,
    warmup=0.06,
)

RECIPES = {"faithful": FAITHFUL, "fast": FAST}
