"""Multilabel: several labels for a text or a pair, or none (chapter 10).

Each label is a question of its own, whose answer is a probability by itself; they do
not sum to 1. From which probability on a label is given is its *threshold*: rare labels
often need a lower one than 0.5.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bertcore.tasks import baselines
from bertcore.tasks.classification import (
    USUAL,
    TextTask,
    best_thresholds,
    check_thresholds,
    figures,
    in_order,
)
from bertcore.tasks.rows import (
    Labels,
    Settings,
    TaskSet,
    allowed,
    brief,
    field,
    listed,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Fitted,
    Scored,
    metrics_library,
)


class LabelledText(NamedTuple):
    """A text, or a pair of texts, with all its labels: () if it has none."""

    text: str
    labels: tuple[str, ...] | None = None
    pair: str | None = None


class FoundLabels(NamedTuple):
    """The labels that reach their thresholds, and the probability of each of all."""

    labels: tuple[str, ...]
    probabilities: dict[str, float]

    @property
    def plain(self) -> tuple[str, ...]:
        """What scores compare."""
        return self.labels


def label_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The sum over texts of the mean of the labels' cross-entropies; `p c` each."""
    losses = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    return losses.mean(-1).sum()


def label_scores(
    rows: Sequence[LabelledText], guesses: Sequence[Sequence[str]]
) -> dict[str, float]:
    """F1 by scikit-learn, and the share of rows of which all labels are right.

    `micro_f1` counts all labels of all rows together; `macro_f1` is the mean over the
    labels that occur, so a rare one counts as much as a frequent one.
    """
    metrics = metrics_library("sklearn.metrics")
    names, truth, guessed = _columns(rows, guesses)
    if not names:
        return {"micro_f1": 0.0, "macro_f1": 0.0, "exact": 1.0}

    def f1(average: str) -> float:
        return float(metrics.f1_score(truth, guessed, average=average, zero_division=0))

    exact = float((truth == guessed).all(axis=1).mean())
    return {"micro_f1": f1("micro"), "macro_f1": f1("macro"), "exact": exact}


def one_against_rest(data: TaskSet, rows: Sequence[Any]) -> list[tuple[str, ...]]:
    """For each label logistic regression on words and neighbours, weighed by tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer=baselines.counted, sublinear_tf=True)
    train, test = vectors.fit_transform(data.train), vectors.transform(rows)
    guesses: list[list[str]] = [[] for _ in rows]
    for label in MultiLabel().labels_of(data.train):
        right = [label in row.labels for row in data.train]
        # Rare labels would else hardly ever be given.
        model = baselines.logistic(right, 10, class_weight="balanced")
        model.fit(train, right)
        for labels, predicted in zip(guesses, model.predict(test), strict=True):
            labels += [label] if predicted else []
    return [tuple(labels) for labels in guesses]


class MultiLabel(TextTask):
    """The labels of a text or a pair.

    Its setting `thresholds` has one for each label, chosen on the validation rows at
    each evaluation: the one of 0.05, 0.1, …, 0.95 whose F1 is best there, of equal ones
    the nearest to 0.5. Without such rows, or a row with the label, it is 0.5.
    """

    name = "multilabel"
    row = LabelledText
    right = "labels"
    main = "micro_f1"
    cells = (("labels", ","),)  # an empty cell has none
    label_words = "label", "labels"
    settings = ("pairs", "thresholds")
    needed = ("thresholds",)
    chooses = "thresholds"
    problem_type = "multi_label_classification"
    from_types = ("multi_label_classification",)
    loss = staticmethod(label_loss)
    metrics = staticmethod(label_scores)
    majority = staticmethod(baselines.most_frequent)
    bag_of_words = staticmethod(one_against_rest)

    def from_dict(self, mapping: Mapping[str, Any]) -> LabelledText:
        labels = mapping.get("labels")
        if labels is not None:  # a whole number is the label of that name
            labels = tuple(
                str(label) if type(label) is int else label
                for label in listed(labels, "labels")
            )
        return LabelledText(field(mapping, "text"), labels, mapping.get("pair"))

    def label_faults(self, label: Any, labels: Labels | None) -> Iterator[str]:
        if label is None:
            yield "no labels; give them, with () if the text has none"
        elif not isinstance(label, tuple | list):
            yield f"labels are of type {type(label).__name__}; give a tuple of texts"
        else:
            for number, each in enumerate(label):
                if not isinstance(each, str) or not each:
                    yield f"the label {each!r} is no name; give text"
                elif each in label[:number]:
                    yield f"the label {each!r} stands there twice; give it once"
                elif labels is not None and each not in labels:
                    yield f"the label {each!r} is unknown; {allowed(labels)}"

    def truth(self, row: LabelledText) -> tuple[str, ...] | None:
        return None if row.labels is None else tuple(sorted(row.labels))

    def labels_of(self, rows: Sequence[LabelledText]) -> tuple[str, ...]:
        return in_order({label for row in rows for label in row.labels or ()})

    def check_labels(self, name: str, labels: Labels) -> None:
        if not labels:
            raise ValueError(
                f"no row of {name} has a label, so there is nothing to learn; give "
                "some rows labels"
            )

    def targets_of(self, row: LabelledText, numbers: dict[str, int]) -> list[float]:
        return [float(label in row.labels) for label in numbers]

    def targets(self, features: Sequence[Feature]) -> Tensor:
        """1 for each label that a text has, 0 for the others, `p c`."""
        return torch.tensor([feature.targets for feature in features])

    def complete(
        self, given: Settings, reading: FeatureSettings, labels: Labels
    ) -> Settings:
        settings = super().complete(given, reading, labels)
        known = settings["thresholds"] or {}
        check_thresholds(known, labels)
        thresholds = {label: known.get(label, USUAL) for label in labels}
        return {**settings, "thresholds": thresholds}

    def choose(
        self, rows: Sequence[LabelledText], scored: Scored, fitted: Fitted
    ) -> Settings:
        shares = torch.cat([scores for _, scores in scored]).sigmoid()  # rows, labels
        truth = torch.tensor(
            [[label in row.labels for label in fitted.labels] for row in rows]
        )
        found = best_thresholds(shares, truth)
        return {
            **fitted.settings,
            "thresholds": dict(zip(fitted.labels, found, strict=True)),
        }

    def answer(self, scores: Tensor, fitted: Fitted) -> FoundLabels:
        thresholds = fitted.settings["thresholds"]
        shares = dict(zip(fitted.labels, scores.sigmoid().tolist(), strict=True))
        labels = [label for label in shares if shares[label] >= thresholds[label]]
        return FoundLabels(tuple(labels), shares)

    def details(
        self,
        rows: Sequence[LabelledText],
        guesses: Sequence[Sequence[str]],
        labels: Labels,
    ) -> dict[str, dict[str, float]]:
        metrics = metrics_library("sklearn.metrics")
        _, truth, guessed = _columns(rows, guesses, labels)
        return figures(labels, metrics, truth, guessed)

    def shown(self, row: LabelledText, answer: FoundLabels) -> str:
        each = [f"{name} {answer.probabilities[name]:.1%}" for name in answer.labels]
        return f"{', '.join(each) or 'no label'}  {brief(row.text, row.pair)}"


def _columns(
    rows: Sequence[LabelledText],
    guesses: Sequence[Sequence[str]],
    labels: Labels = (),
) -> tuple[list[str], Any, Any]:
    """Labels, and for each a column of 0 and 1: what is right, what was guessed."""
    import numpy as np

    both = [row.labels for row in rows], guesses
    found = {label for side in both for each in side for label in each}
    names = list(labels) or sorted(found)
    truth, guessed = (
        np.array([[label in each for label in names] for each in side], dtype=int)
        for side in both
    )
    return names, truth, guessed
