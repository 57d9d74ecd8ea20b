"""Two processes: what one learns, to rounding; each goes on where the other ended."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bertcore.training.checkpoint import newest_checkpoint
from bertcore.training.devices import World, join
from bertcore.training.engine import CHECKPOINTS
from tests.processes import run_two
from tests.training.shared import PLANS, kept
from tests.training.small import after, distance, run

each_plan = pytest.mark.parametrize("name", PLANS)
CLOSE = 1e-5


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Path:
    """The same runs by this process alone: whole, and three updates of six."""
    folder = tmp_path_factory.mktemp("single")
    for name, how in PLANS.items():
        after(kept(how, folder / f"{name}-whole"), 9)
        after(kept(how, folder / f"{name}-half"), 3)
    return folder


@pytest.fixture(scope="module")
def double(single: Path, tmp_path_factory) -> Path:
    """By two processes; they also go on with the halves of the single one."""
    folder = tmp_path_factory.mktemp("double")
    for name in PLANS:
        (folder / f"{name}-single").symlink_to(single / f"{name}-half")
    run_two("tests.training.shared", str(folder))
    return folder


@pytest.fixture(scope="module")
def seen(double: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each of the two saw."""
    names = "seen.json", "seen-1.json"
    one, other = (json.loads((double / name).read_text()) for name in names)
    return one, other


def last(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a run that is at its end."""
    found, faults = newest_checkpoint(folder / CHECKPOINTS)
    assert found.state["progress"]["step"] == 6 and not faults
    return found.weights


@each_plan
def test_losses_and_weights_are_those_of_one_process(single, double, seen, name):
    records = after(run(PLANS[name]), 9)
    mine = seen[0][f"{name}-whole"]
    for losses, record in zip(mine["losses"], records, strict=True):
        assert losses == pytest.approx(record.losses, rel=CLOSE)
    assert mine["gradients"] == pytest.approx([r.gradient for r in records], rel=1e-4)
    assert distance(last(double / f"{name}-whole"), last(single / f"{name}-whole")) < (
        CLOSE
    )


@each_plan
def test_both_processes_see_the_same(seen, name: str) -> None:
    one, other = (each[f"{name}-whole"] for each in seen)
    assert one == other


@each_plan
def test_one_goes_on_with_what_two_began(single, double, name: str) -> None:
    how = PLANS[name]
    resumed = run(how, double / f"{name}-half")
    assert resumed.progress.step == 3
    assert [record.step for record in after(resumed, 9)] == [4, 5, 6]
    found = last(double / f"{name}-half")
    assert distance(found, last(single / f"{name}-whole")) < CLOSE


@each_plan
def test_two_go_on_with_what_one_began(single, double, seen, name: str) -> None:
    assert seen[0][f"{name}-single"] == {"step": 6}
    found = last(double / f"{name}-single")
    assert distance(found, last(single / f"{name}-whole")) < CLOSE


def test_rates_agree_though_clocks_differ(seen) -> None:
    """In a run that ends by time, both follow the clock of process 0."""
    assert len(seen[0]["rates"]) > 3
    assert seen[0]["rates"] == seen[1]["rates"]


def test_passes_that_cannot_be_shared(seen) -> None:
    wanted = (
        "3 passes in an update (batch=12, pass_size=4) cannot be shared among 2 "
        "processes; give a batch that 2 divides and pass_size=6, or a divisor of it"
    )
    assert seen[0]["error"] == seen[1]["error"] == wanted


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world, _ = join()
    assert world == World(0, 1) and world.leads
    assert world.sum(torch.ones(2)).tolist() == [1, 1]
    world.wait()


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    wanted = "process 2 on a host with 2 GPUs; start torchrun with --nproc-per-node 2"
    with pytest.raises(ValueError, match=wanted):
        join()
