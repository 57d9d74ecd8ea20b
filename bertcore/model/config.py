"""Config: the numbers that make one BERT different from another (chapter 0).

`BertConfig` are its sizes, `Search` is how it writes (chapter 7). Nothing here needs
torch, so that the command line can show their fields as options.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from bertcore.files import read_json
from bertcore.model.published import BERT, GELU_FORMS, Published, labels_of
from bertcore.sources import find_file, names_damage

# The miniatures of Turc et al. 2019 (arXiv:1908.08962, table 1) and the two models
# of Devlin et al. 2019 (section 3). A head is always 64 wide, the feed-forward
# layer four times the hidden state.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"layers": 2, "hidden_size": 128},
    "mini": {"layers": 4, "hidden_size": 256},
    "small": {"layers": 4, "hidden_size": 512},
    "medium": {"layers": 8, "hidden_size": 512},
    "base": {"layers": 12, "hidden_size": 768},
    "large": {"layers": 24, "hidden_size": 1024},
}
_SIZES = (
    "vocab_size hidden_size layers heads feedforward_size max_positions segments "
    "num_labels"
).split()
_RANGES = {
    "dropout": (0, 1),
    "attention_dropout": (0, 1),
    "layer_norm_eps": (1e-30, 1),
    "initializer_range": (1e-30, 10),
    "head_dropout": (0, 1),
}
_LABELLED = "ForSequenceClassification", "ForTokenClassification"
Settings = TypeVar("Settings")
CLS_ID, SEP_ID = 101, 102  # of BERT's published vocabularies
# The fields of a search that count, or are an id, and the least that they may be.
_LEAST = dict(max_tokens=1, beams=1, top_k=1, start_id=0, stop_id=0, seed=0)
# Logits divided by less may be more than single precision holds.
_COLDEST = 0.001


@dataclass(frozen=True)
class BertConfig:
    """The architecture numbers of one BERT; the defaults are BERT-base, uncased.

    `gelu` is "none" for the exact form (erf) or "tanh" for Google's approximation.
    `num_labels` is the width of a classification head, `label_names` what its
    columns mean, `head_dropout` the rate before it, by default `dropout`.

    Raises:
        ValueError: if a size is not a positive integer, the heads do not divide
            the hidden size, or a rate is out of range.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    layers: int = 12
    heads: int = 12
    feedforward_size: int = 3072
    max_positions: int = 512
    segments: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    gelu: str = "none"
    num_labels: int = 2
    label_names: tuple[str, ...] | None = None
    head_dropout: float | None = None

    published: ClassVar[Published] = BERT  # how files say all this
    inner: ClassVar[float] = 4  # feed-forward size of a preset, in hidden sizes

    def __post_init__(self) -> None:
        for name in _SIZES:
            size = getattr(self, name)
            whole = isinstance(size, int) and not isinstance(size, bool)
            if not whole or not 1 <= size < 2_000_000_000:
                raise ValueError(
                    f"{name}={size!r} must be an integer of 1 or more, below 2 billion"
                )
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} does not split into "
                f"heads={self.heads} equal parts; choose a divisor of "
                f"{self.hidden_size}, such as heads={_divisor(self)}"
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and getattr(type(self), name) is None:
                continue
            if not isinstance(value, (int, float)) or not low <= value < high:
                raise ValueError(
                    f"{name}={value!r} must be a number in [{low}, {high})"
                )
        if self.gelu not in ("none", "tanh"):
            raise ValueError(f'gelu={self.gelu!r} must be "none" (exact) or "tanh"')
        if self.label_names is not None:
            # JSON gives a list, and a frozen dataclass is hashed.
            object.__setattr__(self, "label_names", tuple(self.label_names))
            if len(set(self.label_names)) != self.num_labels:
                raise ValueError(
                    f"label_names={self.label_names} for num_labels={self.num_labels}; "
                    "give each label a name of its own"
                )

    @property
    def classifier_dropout(self) -> float:
        """The rate before a classification head."""
        return self.dropout if self.head_dropout is None else self.head_dropout

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """A published size by name: tiny, mini, small, medium, base or large.

        >>> BertConfig.preset("mini").hidden_size
        256
        """
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        check_fields(cls, changes)
        sizes = PRESETS[name]
        width = sizes["hidden_size"]
        inner = int(cls.inner * width)
        shape = {"heads": width // 64, "feedforward_size": inner}
        return cls(**{**sizes, **shape, **changes})

    @classmethod
    @names_damage
    def from_pretrained(
        cls, folder_or_name: str | Path, head: str = "", **changes: Any
    ) -> Self:
        """Read `config.json` of a published checkpoint, then apply `changes`."""
        published = read_json(find_file(folder_or_name, "config.json"))
        return cls.from_dict(published, head, **changes)

    @classmethod
    def from_dict(
        cls, published: Mapping[str, Any], head: str = "", **changes: Any
    ) -> Self:
        """A config from the keys of a published `config.json`.

        Args:
            published: its keys. One that is not there means what it means in the
                transformers library.
            head: the end of the name of the class that is to be built, such as
                "ForMaskedLM": what its head reads is then checked, too.
            changes: fields to change.

        Raises:
            ValueError: if the file describes a model that is not BERT's.
        """
        cls.published.check(published, head)
        named = head in _LABELLED and not {"num_labels", "label_names"} & changes.keys()
        fields = cls.fields_of({**cls.published.defaults, **published})
        fields |= labels_of(published, strict=named)
        check_fields(cls, changes)
        if "num_labels" in changes and "label_names" not in changes:
            fields.pop("label_names", None)
        if changes.get("label_names") and "num_labels" not in changes:
            changes["num_labels"] = len(changes["label_names"])
        try:
            return cls(**{**fields, **changes})
        except ValueError as error:  # by the keys that its author can see there
            keys = {f: k for f, k in cls.published.keys.items() if f not in changes}
            name, *_ = str(error).split("=")
            if name not in keys:
                raise
            told = re.sub(r"\w+(?==)", lambda m: keys.get(m[0], m[0]), str(error))
            raise ValueError(f"config.json: {told}") from error

    @classmethod
    def fields_of(cls, published: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields, as far as a published config has them."""
        fields = {
            field: published[key]
            for field, key in cls.published.keys.items()
            if key in published
        }
        if cls.published.activation in published:
            fields["gelu"] = GELU_FORMS[published[cls.published.activation]]
        return fields

    def to_dict(self) -> dict[str, Any]:
        """The keys of a published `config.json`, as the transformers library reads."""
        fields, form = asdict(self), self.published
        names = self.label_names or [f"LABEL_{i}" for i in range(self.num_labels)]
        return {
            **{key: fields[field] for field, key in form.keys.items()},
            "model_type": form.model_type,
            form.activation: "gelu" if self.gelu == "none" else "gelu_new",
            "id2label": {str(i): name for i, name in enumerate(names)},
            "label2id": {name: i for i, name in enumerate(names)},
        }

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return changed(self, changes)

    def parameter_counts(self) -> dict[str, int]:
        """Number of parameters of each part, by formula.

        The first three parts are `Bert`; all five are `BertForPreTraining`, whose
        masked-LM head shares the token table and so counts only what it adds.

        >>> sum(BertConfig.preset("base").parameter_counts().values())
        110106428
        """
        _check_formulas(self)
        width, inner = self.hidden_size, self.feedforward_size
        norm = 2 * width
        tables = self.vocab_size + self.max_positions + self.segments
        attention = 4 * (width * width + width)
        feedforward = (width * inner + inner) + (inner * width + width)
        return {
            "embeddings": tables * width + norm,
            "encoder": self.layers * (attention + feedforward + 2 * norm),
            "pooler": width * width + width,
            "mlm_head": width * width + width + norm + self.vocab_size,
            "nsp_head": 2 * width + 2,
        }

    def operation_counts(self, length: int, predictions: int = 0) -> dict[str, int]:
        """Operations of each part in a forward pass of one text, by formula.

        A multiplication and the addition after it count as two, as in PyTorch's
        `FlopCounterMode`, and only matrix products count. A backward pass takes
        twice as many again.

        Args:
            length: tokens of the text, all of which attend to all.
            predictions: positions at which the masked-LM head predicts; with 0 neither
                that head nor the next-sentence head is counted.

        Raises:
            ValueError: if a number is not a whole one or out of range.

        >>> f"{sum(BertConfig.preset('base').operation_counts(128).values()):,}"
        '22,348,431,360'
        """
        _check_formulas(self)
        integers = isinstance(length, int) and isinstance(predictions, int)
        if not integers or not 0 <= predictions <= length <= self.max_positions:
            raise ValueError(
                f"length={length!r} and predictions={predictions!r}; both are whole "
                f"numbers, predictions 0 to length, length up to {self.max_positions}"
            )
        width, inner = self.hidden_size, self.feedforward_size
        nsp = 4 * width if predictions else 0
        return {
            "attention_matrices": 8 * self.layers * length * width**2,
            "attention_mixing": 4 * self.layers * length**2 * width,
            "feedforward": 4 * self.layers * length * width * inner,
            "pooler": 2 * width**2,
            "mlm_head": 2 * predictions * width * (width + self.vocab_size),
            "nsp_head": nsp,
        }


def _divisor(config: BertConfig) -> int:
    """The divisor of the hidden size that is nearest to the number of heads given."""
    divisors = [
        n for n in range(1, config.hidden_size + 1) if config.hidden_size % n == 0
    ]
    return min(divisors, key=lambda n: abs(n - config.heads))


def _check_formulas(config: BertConfig) -> None:
    if type(config) is not BertConfig:
        raise ValueError(
            f"the formulas are BERT's, and this is a {type(config).__name__}; count "
            "its model: bertcore.model.counts"
        )


def check_fields(kind: type, names: Iterable[str]) -> None:
    """Refuse names that are no fields of a dataclass.

    Raises:
        ValueError: naming them, and the fields that there are.
    """
    fields = kind.__dataclass_fields__
    unknown = sorted(set(names) - set(fields))
    if unknown:
        raise ValueError(
            f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(fields)}"
        )


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """A copy of a dataclass with some fields changed.

    Raises:
        ValueError: if it has no such field, or the value makes no sense there.
    """
    check_fields(type(settings), changes)
    return replace(settings, **changes)


@dataclass(frozen=True)
class Search:
    """How a text is written, token by token.

    The default takes the likeliest token each time (greedy). More `beams` follow as
    many beginnings at once. A `temperature` above 0 draws.

    Args:
        max_tokens: the most tokens to write, the one that ends the text included.
        beams: how many beginnings are followed at once.
        length_penalty: for beams: 0 favours short texts, 1 compares means, more favours
            long ones. A finished beam's score is the sum of its log-probabilities
            divided by length ** length_penalty.
        temperature: above 0 each token is drawn, after the logits are divided by it.
        top_k: draw from this many of the likeliest tokens only. Fan et al. 2018.
        top_p: draw from the likeliest tokens that reach this probability together.
            Holtzman et al. 2020.
        start_id: what a target begins with: [CLS].
        stop_id: what ends it: [SEP]. None: all texts have `max_tokens`.
        seed: of the tokens that are drawn.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    max_tokens: int = 64
    beams: int = 1
    length_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    start_id: int = CLS_ID
    stop_id: int | None = SEP_ID
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is None and name in ("top_k", "stop_id"):
                continue
            if type(value) is not int or value < least:
                raise ValueError(
                    f"{name}={value!r} must be an integer of {least} or more"
                )
        for name in ("temperature", "length_penalty"):
            if not _is_number(getattr(self, name)):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} must be a finite number"
                )
        if self.temperature and self.temperature < _COLDEST:
            raise ValueError(
                f"temperature={self.temperature!r} must be 0, which draws nothing, or "
                f"{_COLDEST} or more"
            )
        if self.top_p is not None and not (
            _is_number(self.top_p) and 0 < self.top_p <= 1
        ):
            raise ValueError(f"top_p={self.top_p!r} must be above 0, and at most 1")
        # A setting that changes nothing would pass unnoticed, so it is refused.
        narrows = self.top_k is not None or self.top_p is not None
        if narrows and not self.temperature:
            raise ValueError(
                "top_k and top_p say among which tokens one is drawn, and with "
                "temperature=0 none is; give temperature=1.0, or leave them out"
            )
        if self.beams > 1 and self.temperature:
            raise ValueError(
                f"beams={self.beams} and temperature={self.temperature}: beams follow "
                "the likeliest, a temperature draws; give one of the two"
            )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return changed(self, changes)


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)
