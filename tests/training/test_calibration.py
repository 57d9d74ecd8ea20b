"""Calibration: the numbers are scikit-learn's and torchmetrics', the picture theirs."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from bertcore.command.answering import BINS, Probabilities
from bertcore.tasks import KINDS
from bertcore.tasks.classification import Prediction
from bertcore.tasks.multilabel import FoundLabels, LabelledText
from bertcore.tasks.rows import Text
from bertcore.tasks.tagging import TaggedWords

LABELS = ("common", "rare", "seldom", "never")


def classes(count: int = 500) -> tuple[Probabilities, np.ndarray, np.ndarray]:
    """Random ones, in which a class that no row has is given, too."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([3, 1, 0.5, 0.2], count)
    truth = rng.choice(3, count, p=[0.9, 0.07, 0.03])
    rows = [Text("a", LABELS[n]) for n in truth]
    answers = [
        Prediction("common", each[0], dict(zip(LABELS, each, strict=True)))
        for each in shares.tolist()
    ]
    found = Probabilities.of(KINDS["classification"], rows, answers, LABELS)
    return found, shares, truth


def several(count: int = 400) -> tuple[Probabilities, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    shares = rng.random((count, 2))
    truth = rng.random((count, 2)) < shares**2
    names = LABELS[:2]
    rows = [
        LabelledText("a", tuple(n for n, held in zip(names, each, strict=True) if held))
        for each in truth
    ]
    answers = [
        FoundLabels((), dict(zip(names, each, strict=True))) for each in shares.tolist()
    ]
    return Probabilities.of(KINDS["multilabel"], rows, answers, names), shares, truth


def test_classes_as_the_libraries_count_them() -> None:
    found, shares, truth = classes()
    expected = {
        label: average_precision_score(truth == n, shares[:, n])
        for n, label in enumerate(LABELS[:3])  # no row is of the fourth
    }
    assert found.average_precision() == pytest.approx(expected)
    theirs = multiclass_calibration_error(
        torch.tensor(shares), torch.tensor(truth), num_classes=4, n_bins=BINS
    )
    assert found.error() == pytest.approx(theirs.item()) and found.error() > 0.01
    right, stated = calibration_curve(
        shares.argmax(1) == truth, shares.max(1), n_bins=BINS
    )
    curve = found.reliability()
    np.testing.assert_allclose(curve[:, :2], np.stack([stated, right], 1))
    assert curve[:, 2].sum() == len(truth)


def test_labels_as_the_libraries_count_them() -> None:
    found, shares, truth = several()
    expected = average_precision_score(truth, shares, average=None)
    assert [*found.average_precision().values()] == pytest.approx(expected.tolist())
    theirs = binary_calibration_error(
        torch.tensor(shares).flatten(), torch.tensor(truth).flatten().int(), n_bins=BINS
    )
    assert found.error() == pytest.approx(theirs.item())
    said = str(found)
    assert f"each label is given {shares.mean():.1%} on average" in said
    assert f"right in {truth.mean():.1%}; expected calibration error 0." in said


def test_certain_and_right_has_no_error() -> None:
    """Probabilities of exactly 0 and 1, too, are in a bin."""
    rows = [Text("a", "x"), Text("a", "y")]
    told = [{"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 1.0}]
    answers = [Prediction(row.label, 1.0, t) for row, t in zip(rows, told, strict=True)]
    found = Probabilities.of(KINDS["classification"], rows, answers, ("x", "y"))
    assert found.error() == 0 and found.average_precision() == {"x": 1.0, "y": 1.0}
    wrong = Probabilities.of(KINDS["classification"], rows, answers[::-1], ("x", "y"))
    assert wrong.error() == 1


def test_other_answers_have_none() -> None:
    for kind, answer in (("regression", 0.5), ("tagging", TaggedWords((), (), (0.5,)))):
        assert Probabilities.of(KINDS[kind], [None], [answer], ()) is None


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_picture_of_it(tmp_path, ending: str) -> None:
    path = tmp_path / f"new/picture{ending}"
    found, _, _ = classes()
    found.draw(path)
    drawn = path.read_bytes()
    assert drawn.startswith(b"\x89PNG" if ending == ".png" else b"<?xml")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
