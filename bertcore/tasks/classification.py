"""Classification and regression: a class or a number for a text or a pair.

From rows to features, the objective, answers and scores (chapter 10).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForSequenceClassification
from bertcore.model.inference import states_at
from bertcore.tasks.rows import Text
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Loss,
    Scored,
    are_texts,
    metrics_library,
    row_error,
)
from bertcore.text.batch import Slot

_WANTED = {
    None: "a text or a pair of texts",
    True: "a pair of texts: this task compares two",
    False: "one text: this task reads no pairs",
}


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


def text_features(
    rows: Sequence[Text], reading: FeatureSettings, labels: Sequence[str] = ()
) -> Iterator[Feature]:
    """A text or a pair each; what is too long is cut as the tokenizer cuts it.

    Args:
        rows: with a class or, if there are no `labels`, a number.
        reading: how.
        labels: the classes, in the order of the model's scores.
    """
    tokenizer, numbers = reading.tokenizer, {name: n for n, name in enumerate(labels)}
    for row, (text, label, pair) in enumerate(rows):
        pieces = tokenizer.encode_pieces(text, pair, reading.length)
        first = [piece.id for piece in pieces if not piece.segment]
        second = [piece.id for piece in pieces if piece.segment]
        targets = []
        if label is not None:
            targets = [numbers[label] if numbers else float(label)]
        yield Feature(row, first, second, [0], targets)


class Prediction(NamedTuple):
    """A class, its probability, and that of each."""

    label: str
    probability: float
    probabilities: dict[str, float]


def text_of_row(number: int, row: Any, pairs: bool | None) -> Text:
    text = None
    if isinstance(row, str):
        text = Text(row)
    elif isinstance(row, Text):
        text = Text(row.text, None, row.pair)
    elif are_texts(row, 2):
        text = Text(row[0], None, row[1])
    if text is None or pairs not in (None, text.pair is not None):
        raise row_error(number, row, _WANTED[pairs])
    return text


def decode_classes(
    _: list[Text], scored: Scored, labels: tuple[str, ...]
) -> list[Prediction]:
    guesses = []
    for _, scores in scored:
        shares = scores[0].softmax(-1).tolist()
        best = max(range(len(shares)), key=shares.__getitem__)
        named = dict(zip(labels, shares, strict=True))
        guesses.append(Prediction(labels[best], shares[best], named))
    return guesses


def decode_numbers(_: list[Text], scored: Scored, __: tuple[str, ...]) -> list[float]:
    return [scores.item() for _, scores in scored]


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


def text_places(
    places: Sequence[Slot], _: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TextObjective.scores`, besides the batch."""
    rows: list[list[int]] = [[] for _ in range(1 + max(place.row for place in places))]
    for place in places:
        rows[place.row].append(place.start)
    columns = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, starts in enumerate(rows):
        columns[row, : len(starts)] = torch.tensor(starts)
    seen = [0] * len(rows)
    taken = []
    for place in places:
        taken.append(place.row * columns.shape[1] + seen[place.row])
        seen[place.row] += 1
    return {"columns": columns, "taken": torch.tensor(taken)}


def classes(features: Sequence[Feature]) -> Tensor:
    """The class at each place, feature by feature."""
    return torch.tensor([n for feature in features for n in feature.targets]).long()


def numbers(features: Sequence[Feature]) -> Tensor:
    """The number of each feature."""
    return torch.tensor([n for feature in features for n in feature.targets]).float()
