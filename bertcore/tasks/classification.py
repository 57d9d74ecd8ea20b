"""Classification and regression: a class or a number for a text or a pair.

From rows to features, the objective, answers and scores (chapter 10).
"""

import math
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForSequenceClassification
from bertcore.model.inference import text_states
from bertcore.tasks import baselines
from bertcore.tasks.rows import (
    Labels,
    Row,
    Settings,
    Text,
    allowed,
    are_texts,
    brief,
    field,
    fields_of,
    normal,
    text_faults,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Fitted,
    HeadedTask,
    Loss,
    Scored,
    class_loss,
    metrics_library,
    window_spans,
)
from bertcore.text.batch import Slot
from bertcore.text.documents import USUAL_TEXT

_WANTED = {
    None: "a text or a pair of texts",
    True: "a pair of texts: this task compares two",
    False: "one text: this task reads no pairs",
}


POOLS = {"mean": torch.mean, "max": torch.amax}  # of a long text's windows
USUAL = 0.5  # the threshold of a label about which validation rows say nothing
_TRIED = torch.arange(1, 20) / 20  # thresholds
_FIGURES = "precision", "recall", "f1"  # of a label
_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0)?")


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in alphabetical order, or by their value if all are whole numbers.

    >>> in_order(["10", "+9", "-1"]), in_order(["10", "9", "b"])
    (('-1', '+9', '10'), ('10', '9', 'b'))
    """
    names = sorted(labels)
    whole = all(re.fullmatch(r"[+-]?\d{1,18}", name) for name in names)
    return tuple(sorted(names, key=int) if whole else names)


def one_spelling(labels: set[str]) -> dict[str, str]:
    """Labels that are spelt in several ways, where all are of one kind, to one of them.

    Whole numbers as 1, also from 1.0, and +1 beside 1; truth values as True.

    >>> one_spelling({"true", "False", "True"}), one_spelling({"1.0", "2.0", "x"})
    ({'true': 'True'}, {})
    """
    if all(map(_WHOLE.fullmatch, labels)):
        new = {label: label.removesuffix(".0") for label in labels}
        plain = {label.removeprefix("+") for label in new.values()}
        if len(plain) < len({*new.values()}):
            new = {label: name.removeprefix("+") for label, name in new.items()}
    elif {label.lower() for label in labels} <= {"true", "false"}:
        new = {label: label.capitalize() for label in labels}
    else:
        return {}
    return {label: name for label, name in sorted(new.items()) if label != name}


def number_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum of the squares of the differences; scores are `p 1`."""
    return F.mse_loss(scores[:, 0], targets, reduction="sum")


class TextObjective(nn.Module):
    """One answer a text, and the sum of its loss."""

    def __init__(self, model: BertForSequenceClassification, loss: Loss) -> None:
        """
        Args:
            model: with its head, of any family.
            loss: scores `p c` and targets `p` to a sum.
        """
        super().__init__()
        self.model, self.loss = model, loss

    def scores(self, columns: Tensor, taken: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `p c`.

        Args:
            columns: where texts begin in each row, `b m`; a row with fewer is filled
                up with 0.
            taken: which of the `b m` are texts, in the order of the features, `p`.
            inputs: those of `Bert.forward`.
        """
        first = rearrange(
            text_states(self.model.bert, columns, **inputs), "b m w -> (b m) w"
        )
        return self.model.head(rearrange(first[taken], "p w -> p 1 w"))

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the texts, as `1`."""
        return self.loss(self.scores(**given).float(), targets)[None]


class WindowObjective(nn.Module):
    """One answer a text, also where it is read in windows, and the sum of its loss."""

    def __init__(
        self,
        model: BertForSequenceClassification,
        loss: Loss,
        pool: Callable[..., Tensor],
    ) -> None:
        """
        Args:
            model, loss: as for `TextObjective`.
            pool: makes one of the scores of several windows.
        """
        super().__init__()
        self.model, self.loss, self.pool = model, loss, pool
        self.of_windows = TextObjective(model, loss)

    def scores(self, windows: Tensor | None = None, **given: Tensor) -> Tensor:
        """Logits, `n c`.

        Args:
            windows: how many of what is scored belong to each text, `n`; None: one.
            given: what `TextObjective.scores` takes.
        """
        scores = self.of_windows.scores(**given)
        if windows is None:
            return scores
        # Scores and not states: the head judges each window as it would a short text.
        of_texts = scores.split(windows.tolist())
        return torch.stack([self.pool(each, dim=0) for each in of_texts])

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the texts, as `1`."""
        return self.loss(self.scores(**given).float(), targets)[None]


def class_scores(rows: Sequence[Text], guesses: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 as the mean over the classes, by scikit-learn."""
    metrics = metrics_library("sklearn.metrics")
    truth, guesses = [row.label for row in rows], list(guesses)
    return {
        "accuracy": float(metrics.accuracy_score(truth, guesses)),
        "macro_f1": float(
            metrics.f1_score(truth, guesses, average="macro", zero_division=0)
        ),
    }


def number_scores(rows: Sequence[Text], guesses: Sequence[float]) -> dict[str, float]:
    """Correlations by scipy: Spearman's of the ranks, Pearson's of the numbers.

    If all guesses are the same, nothing correlates: 0.
    """
    stats = metrics_library("scipy.stats")
    truth, guesses = [float(row.label) for row in rows], list(guesses)
    if len(set(guesses)) < 2 or len(set(truth)) < 2:
        return {"spearman": 0.0, "pearson": 0.0}
    return {
        "spearman": float(stats.spearmanr(truth, guesses).statistic),
        "pearson": float(stats.pearsonr(truth, guesses).statistic),
    }


def figures(
    names: Labels, metrics: Any, truth: Any, guesses: Any, **options: Any
) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each label apart, by scikit-learn's metrics."""
    found = metrics.precision_recall_fscore_support(
        truth, guesses, average=None, zero_division=0, **options
    )[:3]
    return {
        label: dict(zip(_FIGURES, map(float, each), strict=True))
        for label, *each in zip(names, *found, strict=True)
    }


def check_thresholds(thresholds: Mapping[str, float], labels: Labels) -> None:
    """ValueError if one is for a label that there is not."""
    if unknown := thresholds.keys() - set(labels):
        raise ValueError(
            f"a threshold for {', '.join(sorted(unknown))}; {allowed(labels)}"
        )


def best_thresholds(shares: Tensor, truth: Tensor) -> list[float]:
    """For each label the threshold of 0.05, 0.1, …, 0.95 whose F1 is best.

    `shares` are probabilities, `truth` says which rows have a label: rows by labels.
    """
    above = shares >= _TRIED[:, None, None]  # for each threshold, rows, labels
    right = 2 * (above & truth).sum(1) / (above.sum(1) + truth.sum(0)).clamp(min=1)
    nearest = (_TRIED - USUAL).abs()[:, None]
    best = (right - 1e-4 * nearest).argmax(0)  # of equal ones the nearest to usual
    return [round(_TRIED[place].item(), 2) for place in best.tolist()]


class TextTask(HeadedTask):
    """A kind that reads a text or a pair, and answers once: to be filled in.

    A model that has learnt from pairs alone takes nothing else, and so for single
    texts: that is its setting `pairs`, which is None if it has learnt from both.
    """

    part = "classification"
    settings = ("pairs",)
    usual: ClassVar[Mapping[str, str]] = {
        "text": USUAL_TEXT,
        "label": "labels target class category gold_label sentiment emotion intent "
        "topic stars rating score similarity similarity_score relatedness_score value "
        "is_duplicate quality",
        "labels": "label tags categories topics genres emotions",
    }
    loss: Loss

    @abstractmethod
    def targets_of(self, row: Any, numbers: dict[str, int]) -> list[int] | list[float]:
        """What is right for a row, in numbers; those of the labels are given."""

    @abstractmethod
    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        """What is wrong with what a row says is right; see `faults`."""

    @abstractmethod
    def answer(self, scores: Tensor, fitted: Fitted) -> Any:
        """What a model answers that has these scores for a text, `c`."""

    def in_form(self, label: Any) -> Any:
        """What a file says is right, in the type that rows have it in."""
        return label

    def from_dict(self, mapping: Mapping[str, Any]) -> Row:
        label = self.in_form(mapping.get(self.right))
        return self.row(field(mapping, "text"), label, mapping.get("pair"))

    def from_line(self, line: str, context: str | None = None) -> Row:
        text, *pair = fields_of(line, 1, 2)
        return self.row(text, None, *pair)

    def example(self, settings: Settings) -> str:
        return "One text.\tAnother." if settings.get("pairs") else "Some text."

    def faults(self, row: Any, labels: Labels | None, labelled: bool) -> Iterator[str]:
        yield from text_faults(row.text, "the text")
        if row.pair is not None:
            yield from text_faults(row.pair, "the second text")
        if labelled:
            yield from self.label_faults(getattr(row, self.right), labels)

    def unlabelled(self, given: Any, settings: Settings) -> Row:
        text, pairs = None, settings["pairs"]
        if isinstance(given, str):
            text = self.row(given)
        elif isinstance(given, self.row):
            text = given._replace(**{self.right: None})
        elif are_texts(given, 2):
            text = self.row(given[0], None, given[1])
        if text is None or pairs not in (None, text.pair is not None):
            raise ValueError(_WANTED[pairs])
        return text

    def key(self, row: Any) -> str:
        return normal(row.text)

    def features(
        self, rows: Sequence[Any], reading: FeatureSettings, labels: Labels = ()
    ) -> Iterator[Feature]:
        """A text or a pair each; what is too long is cut as the tokenizer cuts it.

        Or its windows stand one after another in one feature, each with the special
        tokens of a text of its own.
        """
        numbers = {name: number for number, name in enumerate(labels)}
        most = None if reading.windows else reading.length
        for number, row in enumerate(rows):
            pieces = reading.tokenizer.encode_pieces(row.text, row.pair, most)
            first = [piece.id for piece in pieces if not piece.segment]
            second = [piece.id for piece in pieces if piece.segment]
            known = getattr(row, self.right) is not None
            targets = self.targets_of(row, numbers) if known else []
            places: Sequence[tuple[int, int]] = ()
            if len(first) > reading.length:
                begin, *inner, end = first
                spans = window_spans(len(inner), reading.length - 2, reading.stride)
                parts = [[begin, *inner[start:stop], end] for start, stop in spans]
                edges = [0, *accumulate(map(len, parts))]
                first, places = [*chain(*parts)], [*pairwise(edges)]
            yield Feature(number, first, second, [0], targets, places)

    def inputs(self, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        counts = [len(feature.places) or 1 for feature in features]
        inputs = super().inputs(_texts_of(features), pad_id)
        if max(counts) == 1:
            return inputs
        return {**inputs, "windows": torch.tensor(counts)}

    def sizes(self, features: Sequence[Feature]) -> Tensor:
        return super().sizes(_texts_of(features))

    def check_fit(self, model: Any, reading: FeatureSettings, labels: Labels) -> None:
        super().check_fit(model, reading, labels)
        if reading.windows not in (None, *POOLS):
            raise ValueError(
                f"windows={reading.windows!r}; give {' or '.join(POOLS)}, or leave it "
                "out"
            )
        if reading.windows and reading.length < 3:
            raise ValueError(
                f"length={reading.length} leaves no room for a piece in a window, "
                "which has two special tokens; give 3 or more"
            )

    @staticmethod  # so that another kind can read the beginnings of texts, too
    def places(
        slots: Sequence[Slot], features: Sequence[Feature], length: int
    ) -> dict[str, Tensor]:
        rows: list[list[int]] = [[] for _ in range(1 + max(slot.row for slot in slots))]
        for slot in slots:
            rows[slot.row].append(slot.start)
        columns = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for row, starts in enumerate(rows):
            columns[row, : len(starts)] = torch.tensor(starts)
        seen = [0] * len(rows)
        taken = []
        for slot in slots:
            taken.append(slot.row * columns.shape[1] + seen[slot.row])
            seen[slot.row] += 1
        return {"columns": columns, "taken": torch.tensor(taken)}

    def objective(self, model: Any, smoothing: float = 0, pool: str = "") -> nn.Module:
        if pool:
            return WindowObjective(model, self.loss, POOLS[pool])
        return TextObjective(model, self.loss)

    def fit(self, rows: Sequence[Any], tuning: Any) -> Settings:
        pairs = {row.pair is not None for row in rows}
        if tuning.windows and True in pairs:
            raise ValueError(
                f"windows={tuning.windows!r} is for single texts, and there are pairs; "
                "leave it out"
            )
        return {"pairs": pairs.pop() if len(pairs) == 1 else None}

    def answers(self, rows: Sequence[Row], scored: Scored, fitted: Fitted) -> list[Any]:
        return [self.answer(scores[0], fitted) for _, scores in scored]

    def as_object(self, row: Any, answer: Any) -> dict[str, Any]:
        return {**_given(row), **answer._asdict()}


def _texts_of(features: Sequence[Feature]) -> list[Feature]:
    """The features, with each window of a long text apart."""
    return [
        feature._replace(first=feature.first[start:end])
        for feature in features
        for start, end in feature.places or [(0, None)]
    ]


def _given(row: Any) -> dict[str, str]:
    """The text, or the pair, for JSON."""
    pair = {"pair": row.pair} if row.pair is not None else {}
    return {"text": row.text, **pair}


class Prediction(NamedTuple):
    """A class, its probability, and that of each."""

    label: str
    probability: float
    probabilities: dict[str, float]

    @property
    def plain(self) -> str:
        """What scores compare."""
        return self.label


class Classification(TextTask):
    """The class of a text or a pair.

    It is the likeliest one; unless its setting `threshold` says from which probability
    on the rarer class of two is given. It is chosen on the validation rows, if the
    tuning says so, where the F1 of that class is best.
    """

    name = "classification"
    row = Text
    right = "label"
    main = "accuracy"
    loss = staticmethod(class_loss)
    metrics = staticmethod(class_scores)
    majority = staticmethod(baselines.most_frequent)
    bag_of_words = staticmethod(baselines.classes)
    label_words = "class", "classes"
    from_types = (None, "single_label_classification")
    settings = ("pairs", "threshold")
    chooses = "threshold"

    def in_form(self, label: Any) -> Any:
        """A whole number, also 1.0, or a truth value is the class of that name."""
        if isinstance(label, float) and label.is_integer():
            label = int(label)
        return str(label).strip() if isinstance(label, int | str) else label

    def settled(self, rows: list[Text]) -> tuple[list[Text], str]:
        """Classes of one value get one spelling, as True where a file has TRUE."""
        given = {str(row.label) for row in rows if row.label not in (None, "")}
        new = one_spelling(given)
        found = [row._replace(label=new.get(str(row.label), row.label)) for row in rows]
        told = (
            f"classes such as {old} are read as {name}" for old, name in new.items()
        )
        return found, next(told, "")

    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        if label is None or label == "":
            yield "no label; give one, or leave the row out"
        elif not isinstance(label, str):
            yield (
                f"the label {label!r} is of type {type(label).__name__}; a class is "
                f"text: {str(label)!r}"
            )
        elif labels is not None and label not in labels:
            yield f"the label {label!r} is unknown; {allowed(labels)}"

    def labels_of(self, rows: Sequence[Text]) -> tuple[str, ...]:
        """In alphabetical order; if all are whole numbers, by their value."""
        return in_order({row.label for row in rows if row.label is not None})

    def targets_of(self, row: Text, numbers: dict[str, int]) -> list[int]:
        return [numbers[row.label]]

    def weigh(self, objective: Any, rows: Sequence[Text], labels: Labels) -> None:
        """By its share, as scikit-learn's "balanced": the mean weight of a row is 1."""
        counts = Counter(row.label for row in rows)
        each = [len(rows) / len(labels) / max(1, counts[label]) for label in labels]
        objective.loss = partial(self.loss, weights=torch.tensor(each))

    def fit(self, rows: Sequence[Text], tuning: Any) -> Settings:
        settings = super().fit(rows, tuning)
        if not tuning.choose_threshold:
            return settings
        counts = Counter(row.label for row in rows)
        if len(counts) != 2:
            raise ValueError(
                f"choose_threshold=True is for two classes, and there are "
                f"{len(counts)}; leave it out"
            )
        return {**settings, "threshold": {min(counts, key=counts.__getitem__): USUAL}}

    def complete(
        self, given: Settings, reading: FeatureSettings, labels: Labels
    ) -> Settings:
        settings = super().complete(given, reading, labels)
        check_thresholds(settings["threshold"] or {}, labels)
        return settings

    def choose(self, rows: Sequence[Text], scored: Scored, fitted: Fitted) -> Settings:
        (label,) = fitted.settings["threshold"]
        place = fitted.labels.index(label)
        shares = torch.cat([scores for _, scores in scored]).softmax(-1)
        truth = torch.tensor([[row.label == label] for row in rows])
        (best,) = best_thresholds(shares[:, [place]], truth)
        return {**fitted.settings, "threshold": {label: best}}

    def decides(self, fitted: Fitted) -> str:
        """Where a class is rare, accuracy is that of never giving it."""
        return "macro_f1" if fitted.settings["threshold"] else self.main

    def details(
        self, rows: Sequence[Text], guesses: Sequence[str], labels: Labels
    ) -> dict[str, dict[str, float]]:
        metrics = metrics_library("sklearn.metrics")
        truth = [row.label for row in rows]
        return figures(labels, metrics, truth, list(guesses), labels=list(labels))

    def answer(self, scores: Tensor, fitted: Fitted) -> Prediction:
        shares = dict(zip(fitted.labels, scores.softmax(-1).tolist(), strict=True))
        best = max(shares, key=shares.__getitem__)
        for label, least in (fitted.settings["threshold"] or {}).items():
            (other,) = shares.keys() - {label}
            best = label if shares[label] >= least else other
        return Prediction(best, shares[best], shares)

    def shown(self, row: Text, answer: Prediction) -> str:
        about = brief(row.text, row.pair)
        return f"{answer.probability:>7.1%}  {answer.label}  {about}"


class Regression(TextTask):
    """A number for a text or a pair."""

    name = "regression"
    row = Text
    right = "label"
    main = "spearman"
    loss = staticmethod(number_loss)
    metrics = staticmethod(number_scores)
    majority = staticmethod(baselines.mean_number)
    bag_of_words = staticmethod(baselines.numbers)
    target_type = torch.float
    problem_type = "regression"  # else transformers would give a probability
    from_types = (None, "regression")

    def from_cells(self, record: Mapping[str, Any]) -> dict[str, Any]:
        label = record.get("label")
        if isinstance(label, str) and "_" not in label:  # Python reads 1_000 as 1000
            with suppress(ValueError):  # the check of the row will say what it is
                label = float(label) if label.strip() else None
        return {**record, "label": label}

    def in_form(self, label: Any) -> Any:
        return float(label) if type(label) is int else label

    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        if label is None:
            yield "no label; give a number, or leave the row out"
        elif isinstance(label, str) and "," in label:
            yield f"the label {label!r} is no number; write it with a point, as 3.5"
        elif isinstance(label, bool) or not isinstance(label, int | float):
            yield (
                f"the label {label!r} is of type {type(label).__name__}; give a "
                "number, such as 0.5"
            )
        elif not math.isfinite(label):
            yield f"the label {label} is not finite; give a number, such as 0.5"

    def targets_of(self, row: Text, numbers: dict[str, int]) -> list[float]:
        return [float(row.label)]

    def answer(self, scores: Tensor, fitted: Fitted) -> float:
        return scores.item()

    def as_object(self, row: Text, answer: float) -> dict[str, Any]:
        return {**_given(row), "label": answer}

    def shown(self, row: Text, answer: float) -> str:
        return f"{answer:>7.3f}  {brief(row.text, row.pair)}"
