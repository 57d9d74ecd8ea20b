"""Calibration: whether probabilities hold, and how well they rank rows (chapter 10).

Where a class is rare, accuracy says little. Its average precision says how far up its
rows stand when all are sorted by its probability; the calibration error, how far
probabilities are from the share of rows in which they come true.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from bertcore.files import new_file
from bertcore.sources import needs
from bertcore.tasks.rows import Labels
from bertcore.tasks.task import Task, metrics_library

BINS = 10  # of equal width, from 0 to 1
FORMATS = (".png", ".svg", ".pdf")
# Told apart also by colour-blind readers.
_COLOURS = "#2f7fd0", "#c96a00", "#14946b", "#d1477a", "#a35bc7", "#7d7d7d"


class Probabilities(NamedTuple):
    """What a model gave each label of each row, and what is right, `n c` each.

    `stated` are the probabilities that are held against `right`: of classes those of
    the likeliest one, `n`, of labels that each stand alone all of them, `n c`.
    """

    labels: Labels
    shares: np.ndarray
    truth: np.ndarray
    stated: np.ndarray
    right: np.ndarray

    @classmethod
    def of(
        cls, task: Task, rows: Sequence[Any], answers: Sequence[Any], labels: Labels
    ) -> Self | None:
        """Those of a `Predictor`'s answers to rows that say what is right.

        None if the answers have no probability of each label.
        """
        if not isinstance(getattr(answers[0], "probabilities", None), dict):
            return None
        told = [[answer.probabilities[label] for label in labels] for answer in answers]
        held = [task.truth(row) for row in rows]
        several = isinstance(held[0], tuple)
        shares = np.array(told)
        truth = np.array(
            [[label in (h if several else (h,)) for label in labels] for h in held]
        )
        if several:
            return cls(labels, shares, truth, shares, truth)
        likeliest = shares.argmax(1)[:, None]
        stated = np.take_along_axis(shares, likeliest, 1)
        right = np.take_along_axis(truth, likeliest, 1)
        return cls(labels, shares, truth, stated[:, 0], right[:, 0])

    def average_precision(self) -> dict[str, float]:
        """By scikit-learn, for each label that a row has."""
        metrics = metrics_library("sklearn.metrics")
        return {
            label: float(metrics.average_precision_score(truth, shares))
            for label, truth, shares in self._columns()
        }

    def reliability(self) -> np.ndarray:
        """For each bin that is not empty: stated and right on average, how many, `k 3`.

        A probability on the border of two bins counts in the higher one.
        """
        stated, right = self.stated.ravel(), self.right.ravel()
        bins = np.minimum((stated * BINS).astype(int), BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        sums = [np.bincount(bins, each, minlength=BINS) for each in (stated, right)]
        used = counts > 0
        return np.stack(
            [*(each[used] / counts[used] for each in sums), counts[used]], 1
        )

    def error(self) -> float:
        """The expected calibration error: of all bins, weighed by their rows.

        Guo et al. 2017, equation 3.
        """
        stated, right, counts = self.reliability().T
        return float((counts * np.abs(stated - right)).sum() / counts.sum())

    def __str__(self) -> str:
        what = "each label is" if self.stated.ndim > 1 else "the likeliest class is"
        return (
            f"{what} given {self.stated.mean():.1%} on average, and it is right in "
            f"{self.right.mean():.1%}; expected calibration error {self.error():.3f} "
            f"({BINS} bins)"
        )

    def draw(self, path: Path) -> None:
        """A picture: precision and recall at each threshold, and the bins.

        Of more than six labels the rarest are drawn.

        Raises:
            FileNotFoundError: if matplotlib is not installed.
        """
        figures = needs("matplotlib.figure", "a picture")
        metrics = metrics_library("sklearn.metrics")
        figure = figures.Figure(figsize=(9, 4), layout="constrained", dpi=150)
        curves, bins = figure.subplots(1, 2)
        rarest = sorted(self._columns(), key=lambda each: each[1].sum())
        for colour, (label, truth, shares) in zip(_COLOURS, rarest, strict=False):
            precision, recall, _ = metrics.precision_recall_curve(truth, shares)
            name = f"{label} ({truth.mean():.1%} of rows)"
            curves.plot(recall, precision, color=colour, label=name)
        curves.set(xlabel="recall", ylabel="precision", title="At every threshold")
        curves.legend(frameon=False)
        stated, right, counts = self.reliability().T
        bins.plot([0, 1], [0, 1], color=_COLOURS[-1], linestyle=":", label="as stated")
        # The larger a point, the more rows stand behind it.
        sizes = 20 + 180 * counts / counts.max()
        bins.plot(stated, right, color=_COLOURS[0])
        bins.scatter(stated, right, s=sizes, color=_COLOURS[0], label="this model")
        bins.set(xlabel="stated probability", ylabel="share that is right")
        bins.set_title(f"Expected calibration error {self.error():.3f}")
        bins.legend(frameon=False)
        for axes in (curves, bins):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
            axes.spines[["top", "right"]].set_visible(False)
        with new_file(path) as partial:
            figure.savefig(partial, format=path.suffix[1:].lower())

    def _columns(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Label, truth and shares of each that a row has: others rank nothing."""
        columns = zip(self.labels, self.truth.T, self.shares.T, strict=True)
        return [each for each in columns if each[1].any()]


def check_picture(path: Path) -> None:
    """Before the long work: ValueError for a form that is not drawn.

    Raises:
        FileNotFoundError: if matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"{path} is no picture that can be drawn; give a name that ends in "
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    needs("matplotlib.figure", "a picture")
