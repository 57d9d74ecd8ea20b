"""Multilabel: scores by hand, thresholds, and transformers says the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from bertcore.tasks import KINDS, score
from bertcore.tasks.multilabel import FoundLabels, LabelledText
from bertcore.tasks.task import Feature, FeatureSettings
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning
from tests.training.small import CPU
from tests.training.test_finetune import TOKENIZER, config, data

TASK = KINDS["multilabel"]
LABELS = ("blue", "green", "red")


def labelled(*labels: str) -> list[LabelledText]:
    """A row for each string, of which each letter is a label."""
    return [LabelledText("a", tuple(each)) for each in labels]


# Scores ------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    """x: 1 of 2 found, 1 of 1 right; y: 1 of 1, 1 of 2; z is never found."""
    rows, guesses = labelled("xy", "x", "", "z"), [("x", "y"), ("y",), (), ()]
    found = score("multilabel", rows, guesses)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found["exact"] == 2 / 4
    each = TASK.details(rows, guesses, ("x", "y", "z"))
    assert each["x"] == pytest.approx({"precision": 1, "recall": 1 / 2, "f1": 2 / 3})
    assert each["y"] == pytest.approx({"precision": 1 / 2, "recall": 1, "f1": 2 / 3})
    assert each["z"] == {"precision": 0, "recall": 0, "f1": 0}


def test_the_order_of_labels_does_not_count() -> None:
    rows = [LabelledText("a", ("y", "x"))]
    assert TASK.truth(rows[0]) == ("x", "y")
    assert score("multilabel", rows, [("x", "y")])["exact"] == 1


def test_no_labels_anywhere() -> None:
    found = score("multilabel", labelled("", ""), [(), ()])
    assert found == {"micro_f1": 0.0, "macro_f1": 0.0, "exact": 1.0}
    wanted = "no row of mine has a label, so there is nothing to learn; give some"
    with pytest.raises(ValueError, match=wanted):
        TASK.check_labels("mine", ())
    TASK.check_labels("mine", ("one",))


# Thresholds --------------------------------------------------------------------------


def predictor(**settings: Any) -> Predictor:
    model = task_model("multilabel", config(), LABELS, 0)
    reading = FeatureSettings(TOKENIZER, 32)
    return Predictor(model, "multilabel", reading, LABELS, **settings)


def scored(*shares: tuple[float, ...]) -> list[tuple[Feature, torch.Tensor]]:
    """Scores of which the probabilities are these."""
    empty = Feature(0, [], [], [0], [])
    return [(empty, torch.tensor([each]).logit()) for each in shares]


def test_each_label_has_the_threshold_that_is_best_for_it() -> None:
    """blue needs .15 to .3; green has none that is true; red is right at .5."""
    here = predictor()
    rows = [LabelledText("a", each) for each in (("blue", "red"), ("blue",), ())]
    said = scored((0.4, 0.9, 0.9), (0.32, 0.1, 0.2), (0.12, 0.6, 0.1))
    chosen = TASK.choose(rows, said, here)
    assert chosen["thresholds"] == {"blue": 0.3, "green": 0.5, "red": 0.5}
    here.settings = chosen
    found = TASK.answers(rows, said, here)
    assert [each.labels for each in found] == [
        *(("blue", "green", "red"), ("blue",), ("green",))
    ]
    assert found[1].probabilities == pytest.approx(
        {"blue": 0.32, "green": 0.1, "red": 0.2}
    )


def test_thresholds_are_chosen_in_validation_and_kept(tmp_path: Path) -> None:
    """Of the best evaluation, as the weights are; 0.5 without validation rows."""
    how = Tuning(epochs=3, batch=16, learning_rate=3e-3, length=32)
    for rows in (data("multilabel"), data("multilabel", valid=0)):
        run = FineTuning(rows, config(), how, settings=CPU, tokenizer=TOKENIZER).run()
        thresholds = run.predictor.settings["thresholds"]
        assert (set(thresholds.values()) == {0.5}) is (not rows.valid)
        if rows.valid:
            assert run.score(rows.valid) == run.best.scores
        run.save(tmp_path)
        again = Predictor.from_pretrained(tmp_path)
        assert again.settings == run.predictor.settings
        assert again.predict(rows.test) == run.predictor.predict(rows.test)


def test_thresholds_of_other_labels() -> None:
    assert predictor(thresholds={"red": 0.2}).settings["thresholds"] == {
        **{"blue": 0.5, "green": 0.5},
        "red": 0.2,
    }
    wanted = "a threshold for pink; give one of blue, green, red"
    with pytest.raises(ValueError, match=wanted):
        predictor(thresholds={"pink": 0.2})


def test_what_is_shown() -> None:
    row = LabelledText("A text", (), "another")
    shares = {"blue": 0.91, "green": 0.2, "red": 0.5}
    answer = FoundLabels(("blue", "red"), shares)
    assert TASK.shown(row, answer) == "blue 91.0%, red 50.0%  A text | another"
    assert TASK.shown(row, FoundLabels((), shares)).startswith("no label  A text")
    assert TASK.as_object(row, answer) == {
        **{"text": "A text", "pair": "another"},
        **{"labels": ("blue", "red"), "probabilities": shares},
    }


# transformers ------------------------------------------------------------------------


def test_transformers_gives_the_same_probabilities(tmp_path: Path) -> None:
    here = predictor()
    here.save_pretrained(tmp_path)
    classify = transformers.pipeline("text-classification", str(tmp_path))
    texts = ["a red tree", "the old house", "blue"]
    for found, ours in zip(
        classify(texts, top_k=None), here.predict(texts), strict=True
    ):
        theirs = {each["label"]: each["score"] for each in found}
        assert theirs == pytest.approx(ours.probabilities, abs=1e-5)
    assert sum(ours.probabilities.values()) != pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("problem", "kept"),
    [("multi_label_classification", True), ("single_label_classification", False)],
)
def test_a_checkpoint_of_transformers(problem: str, kept: bool, tmp_path: Path) -> None:
    """With its head, if that is for several labels."""
    given = transformers.BertConfig(
        **config().to_dict()
        | {"id2label": dict(enumerate(LABELS)), "problem_type": problem}
    )
    theirs = transformers.BertForSequenceClassification(given)
    theirs.save_pretrained(tmp_path)
    ours = task_model("multilabel", tmp_path, LABELS, 0)
    assert ours.config.label_names == LABELS
    assert torch.equal(ours.classifier.weight, theirs.classifier.weight) is kept
    classes = task_model("classification", tmp_path, LABELS, 0)
    assert torch.equal(classes.classifier.weight, theirs.classifier.weight) is not kept
