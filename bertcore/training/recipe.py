"""Recipe: the numbers of a training run, and plans that name all of it (chapter 9).

`Recipe` says how a model is pretrained, `Tuning` how it is fine-tuned; a `Plan` adds a
size and texts. The architecture is in `BertConfig`. Their fields, with the first
sentence that the docstring says of each, are options of the command line: so nothing
here may import torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

from bertcore.model.config import BertConfig, changed

if TYPE_CHECKING:
    from bertcore.training.devices import Machine

Schedule = Literal["linear", "released", "constant"]
Optimiser = Literal["adamw", "released", "muon"]
Precision = Literal["float32", "bfloat16", "float16"]
SCHEDULES, OPTIMISERS = get_args(Schedule), get_args(Optimiser)


@dataclass(frozen=True)
class Recipe:
    """How to train.

    The end of a run is given in updates (`steps`) or in time (`seconds`), and warm-up
    and decay are shares of it. With `seconds` the same recipe fits any machine.

    Args:
        steps: updates in all.
        seconds: of training in all, pauses not counted.
        batch: examples in an update.
        pass_size: examples in memory at once; divides the batch. Gradients are summed
            over as many passes as an update takes. Default: all.
        length: tokens in an example, special ones included, and in a packed row.
        pairs: predict the next sentence, too, as BERT does.
        order: predict whether two stretches of text were swapped, as ALBERT does.
        mask_rate: share of a text's tokens that is hidden.
        mask_limit: the most tokens that are hidden in a text.
        whole_words: hide whole words.
        spans: hide spans of words, as SpanBERT does.
        learning_rate: the highest one, at the end of warm-up. With `muon` it is for
            everything but the layers' matrices.
        matrix_rate: the learning rate of the layers' matrices, with `muon`.
        optimiser: "released" is AdamW as in Google's code, without bias correction;
            "muon" updates the layers' matrices, and AdamW the rest.
        betas: how slowly Adam's first and second moments change.
        epsilon: what Adam adds to the root of the second moments.
        weight_decay: decoupled weight decay of matrices and tables; biases and norms
            have none.
        clip: the largest norm of the gradient over all parameters; 0 is no limit.
        schedule: after warm-up "linear" falls to 0; "released" does, too, but counts
            from the first step, so it drops when warm-up ends; "constant" stays.
        warmup: share of the run in which the learning rate rises.
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
    optimiser: Optimiser = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 1.0
    schedule: Schedule = "linear"
    warmup: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if (self.steps is None) == (self.seconds is None):
            raise ValueError(
                f"steps={self.steps} and seconds={self.seconds}; give one of the two"
            )
        # Each is one way to do the same thing: an objective has one, so would drop one.
        for one, other in (("pairs", "order"), ("spans", "whole_words")):
            if getattr(self, one) and getattr(self, other):
                raise ValueError(f"{one}=True and {other}=True; give one of the two")
        for name in ("steps", "seconds", "batch", "length", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}={value!r} must be more than 0, and finite")
        for name in ("weight_decay", "clip", "epsilon", "matrix_rate"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be 0 or more")
        if self.pass_size is not None and self.pass_size < 1:
            raise ValueError(f"pass_size={self.pass_size} must be 1 or more")
        for name in ("warmup", "mask_rate"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share!r} is a share; give 0 to 1")
        if self.steps == 1 == self.warmup:
            raise ValueError(
                f"warmup={self.warmup} of steps=1: its learning rate would be 0; give "
                "warmup=0"
            )
        for name, choices in (("schedule", SCHEDULES), ("optimiser", OPTIMISERS)):
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"no {name} {value!r}; there are {', '.join(choices)}")
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
        """Passes in an update."""
        return self.batch // self.one_pass

    def check_length(self, positions: int) -> None:
        """ValueError if a model of so many positions cannot take an example."""
        if self.length > positions:
            raise ValueError(
                f"length={self.length}, but the model has {positions} positions; give "
                f"length={positions} or less"
            )

    def rate_at(self, progress: float, update: float = 0.0) -> float:
        """The share of the highest learning rate, after this share of the run.

        Warm-up counts the updates before, as Google's optimization.py and transformers'
        get_linear_schedule_with_warmup do: so the first update of a warm-up changes no
        weight. A warm-up shorter than an update is none, as in Google's code. In time,
        which neither of them knows, the update itself counts, too: a run may be over
        after the first.

        Args:
            progress: the share of the run that is done.
            update: the share that the next update takes.
        """
        counted = self.seconds is not None or update > self.warmup
        done = progress + update if counted else progress
        rising = min(1.0, done / self.warmup) if self.warmup else 1.0
        if rising < 1 or self.schedule == "constant":
            return rising
        if self.schedule == "released":
            return max(0.0, 1 - progress)
        return min(1.0, max(0.0, (1 - progress) / max(1e-12, 1 - self.warmup)))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; `steps` and `seconds` oust each other."""
        for one, other in (("steps", "seconds"), ("seconds", "steps")):
            if changes.get(one) is not None:
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


# What `--family` names beside the families' own names, and what their papers change
# in a recipe. All others predict masked pieces alone.
ALIASES = {"spanbert": "bert", "deberta": "deberta-v2"}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "bert": {},
    "albert": {"pairs": False, "order": True},
    "spanbert": {"pairs": False, "spans": True},
    "modernbert": {"pairs": False, "mask_rate": 0.3},
}
ALONE = {"pairs": False}


@dataclass(frozen=True)
class SessionSettings:
    """How one session of a run computes; the next may choose anew.

    Args:
        precision: of products of matrices (the device's fastest).
        compile: compile the model first, on a GPU, for long runs.
        checkpoint_activations: keep a layer's input alone, and compute the layer again
            in the backward pass. It takes less memory and more time.
        workers: processes that make batches (GPU: 4, CPU: 0).
        save_every: seconds between two checkpoints.
        looks: evaluations on held-out texts.
        tensorboard: write curves to OUT.
        keep_at: moments at which a copy of the model stays in OUT/kept, such as
            10,30,60: in seconds of training, or in updates if the run's end is given so
            (--steps).
        blimp: BLiMP's files, of whose pairs the card tells how many the model gets
            right.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    precision: Precision | None = None
    compile: bool = False
    checkpoint_activations: bool = False
    workers: int | None = None
    save_every: float = 300.0
    looks: int = 20
    tensorboard: bool = False
    keep_at: str | None = None
    blimp: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("save_every", 0), ("looks", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"{name}={value!r} must be {least} or more")
        try:
            sound = all(0 < moment < math.inf for moment in self.moments)
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(
                f"keep_at={self.keep_at!r} is no list of moments; give numbers above 0 "
                "with commas between, such as 10,30,60"
            )

    @property
    def moments(self) -> tuple[float, ...]:
        """What `keep_at` says, in order."""
        parts = [] if self.keep_at is None else self.keep_at.split(",")
        return tuple(sorted(map(float, parts)))


@dataclass(frozen=True)
class Adaptation:
    """From which trained model a run goes on, if it does, with the texts of --data.

    Args:
        from_: a run, a model's folder or a hub name, with whose vocabulary the texts
            were prepared.
        new_pieces: words of the texts that become pieces: those that save most tokens,
            by how often they come and into how many pieces they are cut.
        old_texts: what may be forgotten: prepared texts, a file, or tales, english or
            novels (held-out texts of the model, if they are known).

    Raises:
        ValueError: if there is no model to go on from.
    """

    from_: str | None = None
    new_pieces: int | None = None
    old_texts: str | None = None

    def __post_init__(self) -> None:
        for name in ("new_pieces", "old_texts"):
            value = getattr(self, name)
            if self.from_ is None and value is not None:
                raise ValueError(
                    f"{name}={value} is for a run that goes on from a trained model; "
                    "give --from, too, or leave it out"
                )


_COUNTS = ("batch pass_size length stride patience looks rank target_length").split()


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune. The defaults suit small models and sets of thousands.

    Devlin et al. 2019, A.3, tuned BERT-base and -large with batches of 16 and 32,
    learning rates of 2e-5 to 5e-5 and 2 to 4 epochs; a smaller model takes a higher
    learning rate, such as 1e-4 for MiniLM.

    Args:
        epochs: how often each row is read.
        batch: rows in an update; of long ones, their parts.
        pass_size: rows in memory at once; divides the batch. Default: all.
        learning_rate: at its highest.
        warmup: share of the run in which the learning rate rises.
        weight_decay: of matrices, decoupled.
        optimiser: "released" is AdamW as in Google's code, without bias correction.
        clip: the longest that the gradient may be; 0 is no limit.
        length: the most tokens of a text, pair or window (what the model can take, up
            to 128).
        stride: how many pieces after a window the next one begins, in a context or,
            with `windows`, in a text (half of what fits in).
        windows: for classification, regression and multilabel, read a text that is
            longer than `length` in windows, and take the "mean" or the "max" of their
            scores (it is cut off).
        target_length: for writing, the most tokens of what is written (what the
            decoder can take, up to 64).
        label_smoothing: for writing, the share of each token's truth that is spread
            over the whole vocabulary.
        class_weights: for classification, "balanced" makes all classes count the same
            in the loss, however rare they are.
        choose_threshold: for two classes, choose on the validation rows from which
            probability on the rarer one is given, where its F1 is best.
        unanswerable: for answers, whether a context may have none (as the rows to train
            on have it).
        patience: evaluations on the validation rows without a better one before the
            run ends. None goes on to the end; the best weights are kept in any case.
        looks: evaluations on the validation rows in an epoch.
        frozen: only the head learns; for writing, the decoder.
        rank: of low-rank changes (LoRA) in place of full ones. None is full, the only
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
    optimiser: Literal["adamw", "released"] = "adamw"
    clip: float = 1.0
    length: int | None = None
    stride: int | None = None
    windows: Literal["mean", "max"] | None = None
    target_length: int | None = None
    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | None = None
    choose_threshold: bool = False
    unanswerable: bool | None = None
    patience: int | None = None
    looks: int = 1
    frozen: bool = False
    rank: int | None = None
    tied: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"epochs={self.epochs!r} must be more than 0, and finite")
        for name in _COUNTS:
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
        if self.class_weights not in (None, "balanced"):
            raise ValueError(
                f"class_weights={self.class_weights!r}; give 'balanced', or leave it "
                "out"
            )
        if self.windows not in (None, "mean", "max"):
            raise ValueError(
                f"windows={self.windows!r}; give 'mean' or 'max', or leave it out"
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
        self.recipe(self.batch)  # it refuses what no recipe may have

    def recipe(self, features: int) -> Recipe:
        """What the engine takes, for so many features.

        An update reads each of them once at most: of fewer than a batch, all.
        """
        batch, size = self.batch, self.pass_size
        if features < batch:  # in as many passes, so that processes can share them
            passes = max(1, min(batch // (size or batch), features))
            size = max(1, min(size or batch, features // passes))
            batch = passes * size
        return Recipe(
            steps=max(1, round(self.epochs * features / batch)),
            batch=batch,
            pass_size=size,
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


class Plan(NamedTuple):
    """A size of model, the texts for it, and a recipe.

    `sizes` are fields of `BertConfig`; `texts` a name that `find_texts` knows; `pieces`
    the size of the vocabulary; `rate` the products a second from which on a machine can
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
            name="minute",
            about="1 layer of 96 on made-up tales: a minute on a CPU",
            # A narrow layer learns slowly from starting weights as small as BERT's.
            sizes=_sizes(
                layers=1, width=96, heads=3, positions=64, initializer_range=0.05
            ),
            texts="tales",
            pieces=560,
            recipe=FAST.replace(
                seconds=20, batch=16, length=48, pairs=True, learning_rate=4e-3
            ),
            rate=0.0,
        ),
        Plan(
            name="laptop",
            about="1 layer of 128 on Wikipedia's introductions: minutes on a CPU",
            sizes=_sizes(
                layers=1, width=128, heads=4, positions=128, initializer_range=0.05
            ),
            texts="introductions",
            pieces=8192,
            recipe=FAST.replace(
                seconds=120, batch=16, length=64, learning_rate=4e-3, optimiser="muon"
            ),
            rate=0.0,
        ),
        Plan(
            name="mini",
            about="BERT-mini, 4 layers of 256, on all packaged texts: minutes on a GPU",
            sizes=_sizes(layers=4, width=256, heads=4, positions=256),
            texts="english",
            pieces=8192,
            recipe=FAST.replace(
                seconds=600, batch=512, pass_size=512, length=256, optimiser="muon"
            ),
            rate=2e12,
        ),
        Plan(
            name="base",
            about="BERT-base, 12 layers of 768: hours on a large GPU; bring more text",
            sizes=_sizes(layers=12, width=768, heads=12, positions=512),
            texts="english",
            pieces=30_000,
            recipe=FAST.replace(
                seconds=3600, batch=256, pass_size=64, length=512, optimiser="muon"
            ),
            rate=2e14,
        ),
    )
}

# What `--from` does: a model that has learnt goes on in its own sizes, with texts that
# are given. At a third of the usual learning rate our small one learnt as much of a
# hundred novels in as many updates as at the usual one, and forgot less than half.
GOING_ON = Plan(
    name="from",
    about="a trained model goes on with other texts",
    sizes={},
    texts="",
    pieces=0,
    recipe=FAST.replace(seconds=300, batch=32, learning_rate=3e-4),
    rate=0.0,
)


def seconds_of(minutes: float) -> float:
    """Seconds for a recipe, from minutes that a person has typed.

    Raises:
        ValueError: if it is no number above 0.
    """
    number = isinstance(minutes, int | float) and not isinstance(minutes, bool)
    if not number or not 0 < minutes < math.inf:
        raise ValueError(
            f"minutes = {minutes!r} is no time to train for; give a number above 0, "
            "such as 0.5 or 10"
        )
    return 60.0 * minutes


def choose_plan(machine: Machine) -> Plan:
    """The plan that this machine can afford: "minute" on a CPU, "mini" on a GPU.

    "base" is left to those who bring more text: the packaged ones are few for it.
    """
    fast = machine.operations >= PLANS["mini"].rate
    return PLANS["mini" if fast and machine.device.type == "cuda" else "minute"]
