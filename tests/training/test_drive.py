"""On a machine that goes away: runs kept in a Drive, and memory that is too small."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch

from bertcore import sources
from bertcore.training import devices
from bertcore.training.checkpoint import OPTIMISER_STATE, STATE, WEIGHTS, checkpoints
from bertcore.training.engine import CHECKPOINTS, Run
from bertcore.training.recipe import PLANS
from tests.training.small import after, digest, recipe, run
from tests.training.test_resume import tuned

CHAPTER = Path(__file__).parents[2] / "chapters" / "09-pretraining.ipynb"


def half_copied(folder: Path) -> None:
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[: len(weights) // 2])


def without_its_end(folder: Path) -> None:
    """As a file looks whose size has come before its content."""
    moments = (folder / OPTIMISER_STATE).read_bytes()
    half = len(moments) // 2
    (folder / OPTIMISER_STATE).write_bytes(moments[:half] + bytes(len(moments) - half))


def still_coming(folder: Path) -> None:
    """The folder and a first file are there; the others have not come yet."""
    for file in folder.iterdir():
        if file.name != STATE:
            file.unlink()


def unfinished(folder: Path) -> None:
    """The last step, giving the folder its name, has not come."""
    folder.rename(folder.with_name(f"{folder.name}.partial"))


RUNS: dict[str, Callable[..., Run]] = {
    "pretraining": lambda folder=None: run(recipe(), folder),
    "fine-tuning": lambda folder=None: tuned(folder),
}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize(
    "state", [half_copied, without_its_end, still_coming, unfinished]
)
@pytest.mark.filterwarnings("ignore:an earlier checkpoint is used")
def test_a_drive_that_had_not_got_everything(kind, state, tmp_path: Path) -> None:
    """The machine went away while its newest checkpoint was on its way."""
    whole, machine, drive = RUNS[kind]().run(), tmp_path / "machine", tmp_path / "drive"
    after(RUNS[kind](machine), 3)
    shutil.copytree(machine, drive)
    newest, older = checkpoints(drive / CHECKPOINTS)
    state(newest)
    again = RUNS[kind](drive)
    assert again.progress.step == int(older.name.removeprefix("step-")) == 2
    again.run()
    assert digest(again.model) == digest(whole.model)


# Colab -------------------------------------------------------------------------------


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Colab's modules; `wants` is whether the reader agrees, `asked` how often."""
    told = SimpleNamespace(wants=True, asked=[], drive=tmp_path / "drive" / "MyDrive")

    def mount(place: str) -> None:
        told.asked.append(place)
        if not told.wants:
            raise ValueError("mount failed")
        told.drive.mkdir(parents=True)

    module = ModuleType("google.colab.drive")
    module.mount = mount
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.drive", module)
    monkeypatch.setattr(sources, "DRIVE", told.drive)
    monkeypatch.chdir(tmp_path)
    sources._offer_drive.cache_clear()
    yield told
    sources._offer_drive.cache_clear()


def test_colab_asks_for_a_drive(colab: SimpleNamespace) -> None:
    said = sources.keep_runs()
    assert colab.asked == [str(colab.drive.parent)]
    assert f"kept in {colab.drive / sources.OWN}, and outlive this machine" in said
    assert sources.keep_runs() == said and len(colab.asked) == 1, "it is there already"


def test_colab_asks_once_and_takes_no(colab: SimpleNamespace, tmp_path: Path) -> None:
    colab.wants = False
    for _ in range(2):
        said = sources.keep_runs()
        assert "goes away with this machine (Google Drive: mount failed)" in said
        assert f'drive.mount("{colab.drive.parent}")' in said
    assert len(colab.asked) == 1 and sources.own_folder() == tmp_path / sources.OWN


def test_elsewhere_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DRIVE", tmp_path / "none")
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    said = sources.keep_runs()
    assert said == "Your runs are kept in the folder my-bert beside this notebook."


# Memory ------------------------------------------------------------------------------


def test_too_little_memory_is_told(monkeypatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    monkeypatch.setattr(devices, "CONTAINER_LIMITS", (tmp_path / "none", limit))
    everything = devices.processor_memory()
    assert everything > 2**30 and "needs" not in devices.describe_machine(0.5)
    limit.write_text(f"{2**29}\n")
    assert devices.processor_memory() == 2**29
    said = devices.describe_machine(1.4).splitlines()
    assert len(said) == 2 and "has 0.5 GB of memory, and this needs 1.4:" in said[1]
    assert "needs" not in devices.describe_machine(0.5)


def trial_of_chapter_9(room: int) -> dict[str, Any]:
    """The names that its trial cell leaves, where so many texts fit into memory."""

    def start_run(_, how, config, settings) -> SimpleNamespace:
        def records():
            if how.one_pass > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            for step in range(1, how.steps + 1):
                yield SimpleNamespace(step=step, tokens=step * 1000, seconds=step * 0.1)

        return SimpleNamespace(records=records)

    (cell,) = (
        cell.source
        for cell in nbformat.read(CHAPTER, as_version=4).cells
        if "OutOfMemoryError" in cell.source
    )
    names = {
        "plan": PLANS["mini"],
        "tokenizer": range(8192),
        "texts": SimpleNamespace(_replace=lambda **_: None),
        "settings": SimpleNamespace(precision=torch.float16),
        "run": SimpleNamespace(start_run=start_run),
        "store": SimpleNamespace(ids=range(10**6)),
        "seconds": 600,
        "minutes": 10,
        "torch": torch,
    }
    exec(cell, names)
    return names


@pytest.mark.parametrize(("room", "size"), [(600, 512), (100, 64)])
def test_chapter_9_halves_a_pass_that_does_not_fit(room, size, capsys) -> None:
    how = trial_of_chapter_9(room)["how"]
    assert (how.batch, how.one_pass, how.seconds) == (512, size, 600)
    told = capsys.readouterr().out
    for smaller in (256, 128, 64):
        assert (f"now {smaller} texts in a pass" in told) is (size < 512)


def test_chapter_9_gives_up_where_not_even_one_text_fits() -> None:
    with pytest.raises(ValueError, match="pass_size=0 must be 1 or more"):
        trial_of_chapter_9(0)
