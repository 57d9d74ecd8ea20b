"""What the contest's tests share: prepared tales, little models, a measured machine."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bertcore.text.prepare import packaged
from bertcore.text.tales import tales
from bertcore.training.devices import Machine, measure
from bertcore.training.recipe import PLANS
from contest import leaderboard, models, race, speedrun

measured = cache(measure)


def quick(*given: object) -> Machine:
    """Measured once."""
    return measured(torch.device("cpu"))


def make_small(patch: pytest.MonkeyPatch) -> None:
    for module in (race, speedrun):
        patch.setattr(module, "measure", quick)
    patch.setattr(race, "WINDOWS", 32)
    patch.setattr(models, "SCORED", 40)
    sizes = {"hidden_size": 24, "heads": 3, "feedforward_size": 48}
    minute = PLANS["minute"]
    patch.setitem(PLANS, "minute", minute._replace(sizes={**minute.sizes, **sizes}))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little models that are evaluated on little."""
    make_small(monkeypatch)


@pytest.fixture(scope="package")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "texts"
    packaged("tales", folder, 300, workers=1)
    return folder


@pytest.fixture
def own_quiz(texts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Held-out tales, as if they were the texts of the quiz."""
    held_out = [SimpleNamespace(text=tale) for tale in tales(300, 1)]
    monkeypatch.setattr(leaderboard, "WINDOWS", 16)
    monkeypatch.setattr(leaderboard, "OUR_MODEL", str(texts / "vocabulary"))
    monkeypatch.setattr(leaderboard, "english", lambda apart: held_out)
    monkeypatch.setattr(leaderboard, "digest", lambda asked: leaderboard.QUESTIONS)
    return texts
