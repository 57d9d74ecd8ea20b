"""Classification and regression: a class or a number for a text or a pair.

From rows to features, the objective, answers and scores (chapter 10).
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForSequenceClassification
from bertcore.model.inference import states_at
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
)
from bertcore.text.batch import Slot

_WANTED = {
    None: "a text or a pair of texts",
    True: "a pair of texts: this task compares two",
    False: "one text: this task reads no pairs",
}


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
            states_at(self.model.bert, columns, **inputs), "b m w -> (b m) w"
        )
        return self.model.head(rearrange(first[taken], "p w -> p 1 w"))

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


class TextTask(HeadedTask):
    """A kind that reads a text or a pair, and answers once: to be filled in.

    A model that has learnt from pairs alone takes nothing else, and so for single
    texts: that is its setting `pairs`, which is None if it has learnt from both.
    """

    part = "classification"
    line = "a text, or two with a TAB between"
    settings = ("pairs",)
    loss: Loss
    whole: Callable[[int], Any] = int  # makes a label of a whole number in a file

    @abstractmethod
    def targets_of(self, row: Any, numbers: dict[str, int]) -> list[int] | list[float]:
        """What is right for a row, in numbers.

        Args:
            row: that says so.
            numbers: that of each label.
        """

    @abstractmethod
    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        """What is wrong with what a row says is right; see `faults`."""

    @abstractmethod
    def answer(self, scores: Tensor, fitted: Fitted) -> Any:
        """What a model answers that has these scores for a text, `c`."""

    def from_dict(self, mapping: Mapping[str, Any]) -> Row:
        label = mapping.get(self.right)
        if isinstance(label, int) and not isinstance(label, bool):
            label = self.whole(label)
        return self.row(field(mapping, "text"), label, mapping.get("pair"))

    def from_line(self, line: str, context: str | None = None) -> Row:
        text, *pair = fields_of(line, 1, 2, self.line)
        return self.row(text, None, *pair)

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
        """A text or a pair each; what is too long is cut as the tokenizer cuts it."""
        numbers = {name: number for number, name in enumerate(labels)}
        for number, row in enumerate(rows):
            pieces = reading.tokenizer.encode_pieces(row.text, row.pair, reading.length)
            first = [piece.id for piece in pieces if not piece.segment]
            second = [piece.id for piece in pieces if piece.segment]
            known = getattr(row, self.right) is not None
            targets = self.targets_of(row, numbers) if known else []
            yield Feature(number, first, second, [0], targets)

    def places(
        self, slots: Sequence[Slot], features: Sequence[Feature], length: int
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

    def objective(self, model: Any, smoothing: float = 0.0) -> nn.Module:
        return TextObjective(model, self.loss)

    def fit(self, rows: Sequence[Any]) -> Settings:
        pairs = {row.pair is not None for row in rows}
        return {"pairs": pairs.pop() if len(pairs) == 1 else None}

    def answers(self, rows: Sequence[Row], scored: Scored, fitted: Fitted) -> list[Any]:
        return [self.answer(scores[0], fitted) for _, scores in scored]

    def as_object(self, row: Any, answer: Any) -> dict[str, Any]:
        return {**_given(row), **answer._asdict()}


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
    """The class of a text or a pair."""

    name = "classification"
    row = Text
    right = "label"
    main = "accuracy"
    loss = distilled = staticmethod(class_loss)
    metrics = staticmethod(class_scores)
    majority = staticmethod(baselines.most_frequent)
    bag_of_words = staticmethod(baselines.classes)
    label_words = "class", "classes"
    whole = str  # a whole number is the class of that name
    from_types = (None, "single_label_classification")

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
        return tuple(sorted({row.label for row in rows if row.label is not None}))

    def targets_of(self, row: Text, numbers: dict[str, int]) -> list[int]:
        return [numbers[row.label]]

    def answer(self, scores: Tensor, fitted: Fitted) -> Prediction:
        shares = dict(zip(fitted.labels, scores.softmax(-1).tolist(), strict=True))
        best = max(shares, key=shares.__getitem__)
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
    loss = distilled = staticmethod(number_loss)
    metrics = staticmethod(number_scores)
    majority = staticmethod(baselines.mean_number)
    bag_of_words = staticmethod(baselines.numbers)
    whole = float
    target_type = torch.float
    problem_type = "regression"  # else transformers would give a probability
    from_types = (None, "regression")

    def from_cells(self, record: Mapping[str, Any]) -> dict[str, Any]:
        label = record.get("label")
        if isinstance(label, str):
            with suppress(ValueError):  # the check of the row will say what it is
                label = float(label) if label else None
        return {**record, "label": label}

    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        if label is None:
            yield "no label; give a number, or leave the row out"
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
