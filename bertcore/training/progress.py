"""Progress: how far a run is, and the record of an update (chapter 9)."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from bertcore.training.recipes import Recipe

FIRST_SCALE = 2.0**14


@dataclass
class Progress:
    """How far a run is; with the weights and the optimisers' means, all its state.

    `step` counts updates, those left out (`skipped`) included; `passes` what was read
    for them; `tokens` real ones; `seconds` those of training. `faults` were left out
    just now, one after another. `scale` is the loss's in fp16, `good` the updates since
    it changed.
    """

    step: int = 0
    passes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: int = 0
    faults: int = 0
    scale: float = FIRST_SCALE
    good: int = 0

    def share(self, recipe: Recipe) -> float:
        """The share of the run that is done."""
        if recipe.steps is not None:
            return self.step / recipe.steps
        return self.seconds / recipe.seconds

    def advance(self, passes: int, tokens: int, seconds: float) -> None:
        """Count one update."""
        self.step += 1
        self.passes += passes
        self.tokens += tokens
        self.seconds += seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Record(NamedTuple):
    """One update.

    `losses` are means in nats: of the masked pieces and, if they are asked for, of the
    pairs. `gradient` is the gradient's length before it is clipped. `tokens` and
    `seconds` are counted from the beginning of the run. `utilisation` is the share of
    the products of matrices which the machine could have done, in tests of its speed,
    that went into useful ones; None if it was not tested. `fault` says in words why the
    update was left out.
    """

    step: int
    progress: float
    losses: tuple[float, ...]
    learning_rate: float
    gradient: float
    tokens: int
    seconds: float
    tokens_per_second: float
    utilisation: float | None = None
    fault: str | None = None

    def __str__(self) -> str:
        losses = " + ".join(f"{loss:.3f}" for loss in self.losses)
        used = "" if self.utilisation is None else f", {self.utilisation:.0%} of peak"
        return (
            f"{self.progress:4.0%} step {self.step:,}: loss {losses}, rate "
            f"{self.learning_rate:.2g}, {self.tokens_per_second:,.0f} tokens/s{used}"
        )
