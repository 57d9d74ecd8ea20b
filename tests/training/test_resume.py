"""Fine-tuning goes on where it stopped, to the bit."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from bertcore.tasks import KINDS
from bertcore.training.checkpoint import checkpoints
from bertcore.training.engine import CHECKPOINTS
from bertcore.training.finetuning import FineTuning
from bertcore.training.predictor import Predictor
from tests.training.small import CPU, digest
from tests.training.test_finetune import TOKENIZER, TUNING, config, data, scripted

DROPOUT = config(dropout=0.1, attention_dropout=0.1)
HOW = TUNING.replace(epochs=3, looks=2, learning_rate=1e-2)  # 18 updates, 6 looks


def tuned(
    folder: Path | None = None, kind: str = "tagging", **given: Any
) -> FineTuning:
    how = given.pop("tuning", HOW)
    rows, weights = given.pop("data", data(kind)), given.pop("weights", DROPOUT)
    options = {"settings": CPU, "tokenizer": TOKENIZER, "save_every": 0.0, **given}
    return FineTuning(rows, weights, how, folder, **options)


WAYS: dict[str, Callable[..., FineTuning]] = {
    **{kind: lambda folder=None, k=kind: tuned(folder, k) for kind in KINDS},
    "rank": lambda folder=None: tuned(folder, tuning=HOW.replace(rank=2)),
    "frozen": lambda folder=None: tuned(folder, tuning=HOW.replace(frozen=True)),
}


def outcome(run: FineTuning) -> tuple[Any, ...]:
    return digest(run.model), run.losses, [at.scores for at in run.evaluations]


def stopped(run: FineTuning, updates: int) -> FineTuning:
    """Left after so many updates of this session."""
    for _ in islice(run.records(), updates):
        pass
    return run


@pytest.mark.parametrize("way", WAYS)
def test_it_goes_on_to_the_bit(way: str, tmp_path: Path) -> None:
    """Stopped in an epoch, and after an evaluation; the folder is a model's at last."""
    make = WAYS[way]
    whole = make().run()
    for updates in (4, 5):
        here = stopped(make(tmp_path), updates)
        assert checkpoints(tmp_path / CHECKPOINTS)
        saved = Predictor.from_pretrained(tmp_path).model
        assert (digest(saved) == digest(here.model)) is (way != "rank")  # merged
    last = make(tmp_path)
    assert last.progress.step == 9
    last.run()
    assert outcome(last) == outcome(whole)
    assert not (tmp_path / CHECKPOINTS).exists()
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["results"]["validation"] == whole.best.scores
    curve = [list(at) for at in whole.evaluations]
    assert [at[:2] for at in card["setting"]["curve"]] == [at[:2] for at in curve]
    assert make(tmp_path).progress.step == 0, "it has ended, so it begins anew"


@pytest.mark.parametrize("way", ["tagging", "writing"])
def test_the_same_object_goes_on(way: str) -> None:
    """Between two of its updates its model has the best weights."""
    whole, here = WAYS[way]().run(), WAYS[way]()
    for updates in (4, 4, 99):
        stopped(here, updates)
    assert outcome(here) == outcome(whole)
    assert list(here.records()) == []


def test_best_weights_and_patience_are_kept(monkeypatch, tmp_path: Path) -> None:
    how = TUNING.replace(epochs=9, patience=3)
    here = tuned(tmp_path, "classification", tuning=how)
    seen = scripted(here, monkeypatch, [0.5, 0.9, 0.7, 0.6])
    stopped(here, 19)  # the third evaluation was after 18
    assert digest(here.model) == seen[1]
    assert digest(Predictor.from_pretrained(tmp_path).model) == seen[1]
    here = tuned(tmp_path, "classification", tuning=how)
    assert [at.step for at in here.evaluations] == [6, 12, 18]
    again = scripted(here, monkeypatch, [0.1, 0.2, 1.0])
    here.run()
    assert here.progress.step == 30, "three evaluations that are no better"
    assert len(again) == 2 and digest(here.model) == seen[1]
    assert here.best.step == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": data("tagging", train=90)}, "its rows is .*; give the rows that"),
        ({"tuning": HOW.replace(epochs=4)}, "tuning is {'epochs': 3}.*{'epochs': 4};"),
        ({"tuning": HOW.replace(seed=4)}, "tuning is {'seed': 3}, .*{'seed': 4}; give"),
        (
            {"weights": DROPOUT.replace(layers=1)},
            "model is {'num_hidden_layers': 2}.*build the",
        ),
    ],
)
def test_another_run_is_refused_by_what_differs(changes, message, tmp_path) -> None:
    stopped(tuned(tmp_path), 2)
    with pytest.raises(ValueError, match=f"00002 is of another run: .*{message}"):
        tuned(tmp_path, **changes)
    tuned(tmp_path).run()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    first, folders = tuned(), [tmp_path / name for name in ("one", "other")]
    first.save(folders[0])
    with torch.no_grad():
        first.model.bert.embeddings.token.weight[7] += 1
    first.save(folders[1])
    out = tmp_path / "out"
    stopped(tuned(out, weights=folders[0]), 2)
    with pytest.raises(ValueError, match="its weights is .*; start from the weights"):
        tuned(out, weights=folders[1])
