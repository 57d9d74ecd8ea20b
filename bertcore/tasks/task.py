"""Task: what a kind of task says of itself, a class to be filled in (chapter 10)."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.files import read_json, write_json
from bertcore.model.config import BertConfig
from bertcore.model.inference import evaluation
from bertcore.model.variants.families import FAMILIES, Family, family_of, family_with
from bertcore.model.weights import (
    Pretrained,
    loaded,
    published_class,
    published_weights,
)
from bertcore.sources import find_file, needs
from bertcore.tasks.rows import Labels, Row, RowKind, Settings, TaskSet
from bertcore.text.batch import ROW, Slot, TrainingBatch, least_padding, packed
from bertcore.text.fast_tokenizer import AnyTokenizer

Loss = Callable[[Tensor, Tensor], Tensor]
Weights = str | Path | BertConfig | Pretrained
ROOM = 4096  # tokens that are computed at once
# Fields of a `Tuning` that are for one kind alone, as they are if nobody sets them.
_ALONE = {
    "target_length": (None, "writing"),
    "label_smoothing": (0.0, "writing"),
    "tied": (False, "writing"),
    "class_weights": (None, "classification"),
    "choose_threshold": (False, "classification"),
    "windows": (None, "classification, regression, multilabel"),
    "unanswerable": (None, "answers"),
}


class Feature(NamedTuple):
    """What a model reads at once.

    `row` is the number of the row it was made of, `first` and `second` are the ids of
    its segments. `asked` are the places whose states are read; for writing none is
    named, as all are read. `targets` is what is right there: a class or a number for
    each place, or for each label 0 or 1; of an answer, its first and last place; the
    ids of what is to be written. It is empty if that is not known. `places` are those
    of `Window`; of a long text that is read in windows, they say where in `first` each
    window begins and ends.
    """

    row: int
    first: list[int]
    second: list[int]
    asked: list[int]
    targets: list[int] | list[float]
    places: Sequence[tuple[int, int]] = ()

    @property
    def size(self) -> int:
        """Tokens that are read."""
        return len(self.first) + len(self.second)


class FeatureSettings(NamedTuple):
    """How rows become features: with which pieces, and in how many tokens.

    `length` is the most tokens that are read at once. `stride` is for windows: how many
    pieces further on the next one begins; None is half of what fits in. `target` is for
    writing: the most tokens of what is written, [CLS] and [SEP] included. `windows`
    says what the scores of a long text's windows become: their "mean" or their "max";
    None cuts the text off.
    """

    tokenizer: AnyTokenizer
    length: int
    stride: int | None = None
    target: int = 64
    windows: str | None = None


Scored = Sequence[tuple[Feature, Any]]


class Fitted(Protocol):
    """A model that has learnt a task, with what it takes to use it: a `Predictor`.

    `labels` are in the order of the objective's scores; `settings` are those of the
    kind, as `Task.complete` gives them.
    """

    objective: Any
    reading: FeatureSettings
    labels: tuple[str, ...]
    settings: Settings


class Task(RowKind):
    """A kind of task: what its rows are, what a model reads of them, what it answers.

    A kind is a subclass in a module of its own, with a line in the table
    `bertcore.tasks.KINDS`. An instance holds nothing of a run or a model. What a
    fitted model needs besides its weights are its *settings*, a dict that task.json
    keeps.

    Attributes:
        families: of the checkpoints that its models can start from, as the `model_type`
            of a config.json names them.
        main: the score that says which of two models is the better one.
        settings: the names of its settings.
        needed: what task.json must hold besides what all kinds have there.
        chooses: the setting that `choose` chooses on the validation rows; "" if none.
        counted: what the baseline `bag_of_words` is called.
        target_type: of the numbers that say what is right.
        metrics: the scores of one guess for each row, by their names.
        majority, bag_of_words: guesses for rows from a set; see
            `bertcore.tasks.baselines`.
    """

    families: ClassVar[tuple[str, ...]]
    main: ClassVar[str]
    settings: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()
    chooses: ClassVar[str] = ""
    counted: ClassVar[str] = "bag of words"
    target_type: ClassVar[torch.dtype] = torch.long
    metrics: ClassVar[Callable[[Sequence[Row], Sequence[Any]], dict[str, float]]]
    majority: ClassVar[Callable[[TaskSet, Sequence[Row]], list[Any]]]
    bag_of_words: ClassVar[Callable[[TaskSet, Sequence[Row]], list[Any]]]

    # What a model reads, and how it learns

    @abstractmethod
    def features(
        self, rows: Sequence[Row], reading: FeatureSettings, labels: Labels = ()
    ) -> Iterator[Feature]:
        """What a model reads of each row: one feature or more, in order."""

    @abstractmethod
    def inputs(self, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        """Features, packed: what the `scores` of the objective takes."""

    def targets(self, features: Sequence[Feature]) -> Tensor:
        """What is right at the places that are asked, in the order of the scores."""
        targets = [n for feature in features for n in feature.targets]
        # With a type of its own also where there are none.
        return torch.tensor(targets, dtype=self.target_type)

    @abstractmethod
    def objective(self, model: Any, smoothing: float = 0, pool: str = "") -> nn.Module:
        """The module that gives a model's loss, and in `scores` what it answers.

        Args:
            model: one of this kind.
            smoothing: of labels, for writing.
            pool: "mean" or "max", of the scores of a long text's windows.
        """

    @abstractmethod
    def build(self, weights: Weights, labels: Labels, tied: bool = False) -> Pretrained:
        """A model that can learn this; what is new starts from random weights.

        Args:
            weights: a folder or a hub name; a config for random weights; or a model,
                which is taken as it is.
            labels: in the order of its scores.
            tied: whether the two parts of an encoder-decoder share their weights.

        Raises:
            FileNotFoundError: if there are no such weights.
            ValueError: if they are damaged, or not what the kind takes.
        """

    @abstractmethod
    def load(self, folder: str | Path) -> Pretrained:
        """The model that was fine-tuned and saved in a folder."""

    @abstractmethod
    def check_model(self, model: Pretrained) -> None:
        """ValueError if the kind takes another class of models."""

    @abstractmethod
    def freeze(self, model: Any, frozen: bool) -> None:
        """What does not learn: the body, if it is frozen, or a part nobody reads."""

    def check_tuning(self, tuning: Any) -> None:
        """ValueError if a field of a `Tuning` is set that makes no sense here."""
        for name, (usual, kind) in _ALONE.items():
            value = getattr(tuning, name)
            if value != usual and self.name not in kind.split(", "):
                raise ValueError(
                    f"{name}={value!r} for {self.name}: it is for {kind} alone; leave "
                    "it out"
                )

    def positions(self, model: Any) -> tuple[int, int]:
        """How many tokens a model can read, and how many it can write, if it writes."""
        return model.config.max_positions, model.config.max_positions

    def check_fit(self, model: Any, reading: FeatureSettings, labels: Labels) -> None:
        """ValueError if a model cannot read so much, or has scores for other labels."""
        check_length("length", reading.length, "model", self.positions(model)[0])

    def features_of(
        self,
        rows: Sequence[Row],
        reading: FeatureSettings,
        labels: Labels = (),
        number: int = 0,
    ) -> list[Feature]:
        """`features` in a list; a ValueError names the row that cannot be read.

        Rows are counted from `number`.
        """
        read: list[Feature] = []
        try:
            read.extend(self.features(rows, reading, labels))
        except ValueError as error:
            place = number + (read[-1].row + 1 if read else 0)  # each row has one
            raise ValueError(f"row {place}: {error}") from error
        return read

    def sizes(self, features: Sequence[Feature]) -> Tensor:
        """The tokens of each, without padding, `n 1`; see `TrainingBatch`."""
        return torch.tensor([[feature.size] for feature in features])

    def batch(self, features: Sequence[Feature], pad_id: int) -> TrainingBatch:
        """Features with their targets, as the training loop takes them."""
        targets = self.targets(features)
        arguments = {**self.inputs(features, pad_id), "targets": targets}
        counts = torch.tensor([len(targets)])
        return TrainingBatch(arguments, counts, self.sizes(features))

    # Settings of a fitted model

    def fit(self, rows: Sequence[Row], tuning: Any) -> Settings:
        """Settings that the rows to train on decide, and a `Tuning`."""
        return {}

    def weigh(self, objective: Any, rows: Sequence[Row], labels: Labels) -> None:
        """Make all classes count the same in a loss, however rare they are in rows."""
        raise NotImplementedError

    def decides(self, fitted: Fitted) -> str:
        """The score that says which of two models of these settings is the better."""
        return self.main

    def complete(
        self, given: Settings, reading: FeatureSettings, labels: Labels
    ) -> Settings:
        """All settings, given or usual; ValueError if one is unknown."""
        for name in given:
            if name not in (*self.settings, "columns"):
                raise ValueError(
                    f"{name}=… for {self.name}, which has none; leave it out"
                )
        # The columns of a file whose rows were learnt from are a setting of all kinds.
        columns = {"columns": given["columns"]} if given.get("columns") else {}
        return {name: given.get(name) for name in self.settings} | columns

    def choose(self, rows: Sequence[Row], scored: Scored, fitted: Fitted) -> Settings:
        """The settings with which the answers to validation rows are best.

        `scored` are their features, each with what `outputs` gave for it.
        """
        return fitted.settings

    def chosen_in_words(self, settings: Settings) -> str:
        """From which probabilities labels are given, if that was chosen; else ""."""
        least = (settings.get(self.chooses) or {}).items()
        each = ", ".join(f"{label} {value:g}" for label, value in [*least][:12])
        more = ", …" if len(least) > 12 else ""
        return each and f"{self.chooses}, where transformers has 0.5: {each}{more}"

    def to_json(self, settings: Settings) -> dict[str, Any]:
        """The settings as task.json keeps them."""
        return settings

    def from_json(self, about: Mapping[str, Any]) -> Settings:
        """The settings in a task.json; ValueError if one makes no sense."""
        names = *self.settings, "columns"
        return {name: about[name] for name in names if name in about}

    def publish(self, folder: Path, fitted: Fitted) -> None:
        """Write what transformers reads in a folder besides the model's own files."""
        return

    # Answers and scores

    @abstractmethod
    def outputs(self, fitted: Fitted, features: Sequence[Feature]) -> list[Any]:
        """What a model makes of each feature: its scores, or what it writes."""

    @abstractmethod
    def answers(self, rows: Sequence[Row], scored: Scored, fitted: Fitted) -> list[Any]:
        """An answer for each row, from features and what `outputs` gave for each."""

    @abstractmethod
    def shown(self, row: Row, answer: Any) -> str:
        """An answer as a line to read."""

    @abstractmethod
    def as_object(self, row: Row, answer: Any) -> dict[str, Any]:
        """An answer with what was asked, for JSON."""

    def details(
        self, rows: Sequence[Row], guesses: Sequence[Any], labels: Labels
    ) -> dict[str, dict[str, float]]:
        """The scores of each label apart, where they say more than those of all."""
        return {}

    def score(self, rows: Sequence[Row], guesses: Sequence[Any]) -> dict[str, float]:
        """The scores of guesses: plain answers, as `truth` is one.

        They are 0 to 1, but correlations -1 to 1, and a rate of errors 0 or more.

        Raises:
            ValueError: if there is not one guess for each row, or a row lacks what is
                right.
            FileNotFoundError: if the library that counts is not installed.
        """
        if len(rows) != len(guesses) or not rows:
            raise ValueError(
                f"{len(guesses)} guesses for {len(rows)} rows; give each row its "
                "guess, and one row at least"
            )
        for number, row in enumerate(rows):
            if self.truth(row) is None:
                raise ValueError(
                    f"row {number} does not say what is right; leave it out"
                )
        return self.metrics(rows, guesses)

    def check_scores(self, rows: Sequence[Row]) -> None:
        """Score a row before the long work, so that a missing library shows at once."""
        for row in rows[:1]:
            self.score([row], [self.truth(row)])


class HeadedTask(Task):
    """A kind whose models are the body of any family with one linear layer on it.

    Features stand packed in rows, so the objective is told the positions that it reads.

    Attributes:
        part: the field of `Family` that holds the class of its models.
        problem_type: what config.json must say for transformers to give the same.
        from_types: what the config.json of a checkpoint may say whose head is kept.
    """

    families = tuple(FAMILIES)
    part: ClassVar[str]
    problem_type: ClassVar[str | None] = None
    from_types: ClassVar[tuple[str | None, ...]] = (None,)

    @abstractmethod
    def places(
        self, slots: Sequence[Slot], features: Sequence[Feature], length: int
    ) -> dict[str, Tensor]:
        """Which positions the objective reads, as it takes them.

        `slots` say where each feature stands in packed rows of this length.
        """

    def scores_in(self, feature: Feature) -> int:
        """How many rows of the objective's scores belong to a feature."""
        return 1

    def inputs(self, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        row = least_padding([feature.size for feature in features], ROW)
        batch, slots = packed([(f.first, f.second) for f in features], pad_id, row)
        return {**batch, **self.places(slots, features, row)}

    def outputs(self, fitted: Fitted, features: Sequence[Feature]) -> list[Tensor]:
        objective, pad_id = fitted.objective, fitted.reading.tokenizer.pad_id
        outputs: dict[int, Tensor] = {}
        with evaluation(objective), torch.inference_mode():
            for numbers in batches([feature.size for feature in features]):
                some = [features[n] for n in numbers]
                batch = on_device(self.inputs(some, pad_id), objective)
                scores = objective.scores(**batch).float().cpu()
                parts = scores.split([self.scores_in(feature) for feature in some])
                outputs.update(zip(numbers, parts, strict=True))
        return [outputs[n] for n in range(len(features))]

    # The model

    def model_of(self, family: Family) -> type[Pretrained]:
        """The class of a family that does this."""
        return getattr(family, self.part)

    def head(self, labels: Labels) -> dict[str, Any]:
        """The fields of a config that say what the head is for."""
        return {"num_labels": len(labels) or 1, "label_names": tuple(labels) or None}

    def check_model(self, model: Pretrained) -> None:
        # A class of BERT's own may stand in for that of a family that we do not know.
        bert = self.model_of(FAMILIES["bert"])
        family = FAMILIES.get(model.config.published.model_type)
        wanted = bert if family is None else self.model_of(family)
        if not isinstance(model, bert | wanted):
            raise ValueError(
                f"{an(type(model))} cannot do {self.name!r}; give {an(wanted)}"
            )

    def check_fit(self, model: Any, reading: FeatureSettings, labels: Labels) -> None:
        wanted = self.head(labels).get("num_labels")
        if wanted not in (None, model.config.num_labels):
            raise ValueError(
                f"the model has {model.config.num_labels} scores for {wanted} labels; "
                f"give num_labels={wanted}"
            )
        super().check_fit(model, reading, labels)

    def build(self, weights: Weights, labels: Labels, tied: bool = False) -> Pretrained:
        if isinstance(weights, Pretrained):
            self.check_model(weights)
            return weights
        changes = self.head(labels)
        if isinstance(weights, BertConfig):
            return self.model_of(family_with(weights))(weights.replace(**changes))
        published = read_json(find_file(weights, "config.json"))
        family = family_of(published)
        if self.keeps_head(family, published, changes):
            return self.model_of(family).from_pretrained(weights, **changes)
        config, rest = family.config.from_dict(published), {}
        body = loaded(weights, lambda: family.body(config), rest)
        return self.over(body, labels, rest)

    def keeps_head(
        self, family: Family, published: dict[str, Any], changes: dict[str, Any]
    ) -> bool:
        """Whether a checkpoint's head is for this kind, and for these labels.

        `published` are the keys of its config.json, `changes` the fields that `head`
        gives for the labels.
        """
        model = self.model_of(family)
        name = published_class(model, published.get("model_type"))
        if published.get("architectures") != [name]:
            return False
        if published.get("problem_type") not in self.from_types:
            return False
        config = family.config.from_dict(published)
        if config.label_names not in (None, changes.get("label_names")):
            return False
        return not changes or config.num_labels == changes["num_labels"]

    def over(
        self, body: Pretrained, labels: Labels, rest: Mapping[str, Tensor] = {}
    ) -> Pretrained:
        """A new model over a copy of a body, perhaps with or without its pooler.

        `rest` are tensors that a file has besides the body's, by their names in it.

        Raises:
            ValueError: if the body has other parts than its family.
        """
        model = self.model_of(family_with(body.config))
        made = model(body.config.replace(**self.head(labels)))
        states = body.state_dict()
        apart = made.bert.state_dict().keys() ^ states.keys()
        if any(not name.startswith("pooler.") for name in apart):
            raise ValueError(
                f"{type(body).__name__} has other parts than the body of "
                f"{model.__name__}; give one whose layers are its family's own"
            )
        made.bert.load_state_dict(states, strict=False)
        # What a head has before its last layer may have been pretrained: ALBERT's is
        # the body's pooler, ModernBERT's is that of its masked LM.
        found, form = {**rest, **published_weights(body)}, made.config.published
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if name.startswith(("head.dense.", "head.norm.")):
                    tensor = found.get(form.canonical(form.published_name(name)))
                    if tensor is not None and tensor.shape == parameter.shape:
                        parameter.copy_(tensor)
        return made.eval()

    def load(self, folder: str | Path) -> Pretrained:
        family = family_of(read_json(find_file(folder, "config.json")))
        return self.model_of(family).from_pretrained(folder)

    def freeze(self, model: Any, frozen: bool) -> None:
        if frozen:
            for name, parameter in model.bert.named_parameters():
                parameter.requires_grad_(name.startswith("pooler."))

    def publish(self, folder: Path, fitted: Fitted) -> None:
        if self.problem_type is not None:
            update_config(folder, problem_type=self.problem_type)


def on_device(batch: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A batch where a module computes."""
    device = next(module.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}


def window_spans(count: int, room: int, stride: int | None) -> list[tuple[int, int]]:
    """Where overlapping windows over so many pieces begin and end.

    Args:
        count: of the pieces.
        room: the most pieces of a window.
        stride: from the beginning of one to the next; None is half of the room.

    Raises:
        ValueError: if pieces would stand between two windows.

    >>> window_spans(7, room=4, stride=2)
    [(0, 4), (2, 6), (4, 7)]
    """
    stride = max(1, room // 2) if stride is None else stride
    if not 1 <= stride <= room:
        raise ValueError(
            f"stride={stride}, but a window has room for {room} pieces; give a stride "
            f"of 1 to {room}, or more length"
        )
    starts = range(0, max(0, count - room) + stride, stride)
    return [(start, min(start + room, count)) for start in starts]


def check_length(name: str, length: int, part: str, positions: int) -> None:
    """ValueError if a part of a model has fewer positions than it shall read."""
    if length > positions:
        raise ValueError(
            f"{name}={length}, but the {part} has {positions} positions; give at most "
            "as many"
        )


def class_loss(
    scores: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Tensor:
    """The sum of the cross-entropies, in nats, each times the weight of its class."""
    weights = None if weights is None else weights.to(scores)
    return F.cross_entropy(scores, targets, weights, reduction="sum")


def an(model: type | str) -> str:
    """The name of a class with its article.

    >>> an(type("EncoderDecoder", (), {})), an(bool)
    ('an EncoderDecoder', 'a bool')
    """
    name = model if isinstance(model, str) else model.__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def batches(sizes: Sequence[int], room: int = ROOM) -> list[list[int]]:
    """Which to compute together, as numbers: the longest first, `room` tokens at most.

    >>> batches([3, 8, 5], room=10)
    [[1], [2, 0]]
    """
    groups: list[list[int]] = []
    used = room
    for number in sorted(range(len(sizes)), key=lambda n: -sizes[n]):
        if not groups or used + sizes[number] > room:
            groups.append([])
            used = 0
        groups[-1].append(number)
        used += sizes[number]
    return groups


def metrics_library(name: str) -> Any:
    """A module of a library that counts; FileNotFoundError says how to get it."""
    return needs(name, "counting scores")


def update_config(folder: Path, **values: Any) -> None:
    """More values for the folder's `config.json`, which transformers reads."""
    path = folder / "config.json"
    write_json(path, {**read_json(path), **values})
