"""Checkpoints: what is lost when a run is killed, a file damaged or the disk full."""

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from bertcore import Tokenizer
from bertcore.files import MANIFEST
from bertcore.text.store import Store
from bertcore.training.checkpoint import (
    OPTIMISER_STATE,
    STATE,
    WEIGHTS,
    checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from bertcore.training.engine import CHECKPOINTS
from bertcore.training.pretraining import Pretraining
from tests.conftest import ROOT, WHOLE
from tests.training.small import after, digest, model, recipe, run, store, tokenizer

RECIPE = recipe(steps=4)


def save(folder: Path, step: int, size: int = 2000, **changes) -> Path:
    values = torch.arange(size) + float(step)
    weights, moments = {"table": values}, {"table/exp_avg": -values}
    return save_checkpoint(folder, step, weights, moments, {"step": step}, **changes)


def test_round_trip(tmp_path: Path) -> None:
    """To the bit: odd shapes, single numbers, whole numbers, slices, no number."""
    weights = {
        "a": torch.tensor([float("nan"), -0.0, 1e-45]),
        "b": torch.arange(12.0).view(3, 4).T,
        "c": torch.tensor(7),
        "d": torch.zeros(0, 3),
        "e": torch.randn(5).bfloat16(),
    }
    state = {"progress": {"seconds": 0.1 + 0.2}, "text": "Straße"}
    found = load_checkpoint(save_checkpoint(tmp_path, 1, weights, {}, state))
    assert found.state == state and found.moments == {}
    assert found.weights.keys() == weights.keys()
    for name, value in weights.items():
        read = found.weights[name]
        assert (read.dtype, read.shape) == (value.dtype, value.shape)
        kept = value.contiguous().flatten().view(torch.uint8)
        assert torch.equal(read.flatten().view(torch.uint8), kept), name


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="not on this system")
def test_what_was_read_does_not_hold_the_file(tmp_path: Path) -> None:
    """A file that stays mapped into memory takes its space on disk though removed."""
    found = load_checkpoint(save(tmp_path, 1))
    assert str(found.folder) not in Path("/proc/self/maps").read_text()


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (2, 9, 10, 100_000_000):
        save(tmp_path, step, keep=3)
    assert [int(path.name[5:]) for path in checkpoints(tmp_path)] == [10**8, 10, 9]
    save(tmp_path, 10**8 + 1, keep=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-100000001"]
    with pytest.raises(ValueError, match="keep=0; give 1 or more"):
        save(tmp_path, 10**8 + 2, keep=0)


@pytest.mark.parametrize("keep", [1, 2])
def test_damaged_ones_ahead_take_no_place_of_sound_ones(tmp_path, keep: int) -> None:
    """A run that was taken back behind a damaged checkpoint keeps what it writes."""
    for step in (900, 1200):
        save(tmp_path, step)
    flip(tmp_path / "step-00001200" / "model.safetensors", -1)
    for step in (1000, 1100):
        save(tmp_path, step, keep=keep)
    steps = [path.name for path in checkpoints(tmp_path)]
    assert steps == ["step-00001100", "step-00001000"][:keep]
    found, faults = newest_checkpoint(tmp_path)
    assert found.folder.name == "step-00001100" and not faults


def test_no_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nowhere") == (None, [])


def test_one_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    save(tmp_path, 3, size=10)
    save(tmp_path, 3, size=20)
    assert len(load_checkpoint(checkpoints(tmp_path)[0]).weights["table"]) == 20


def test_what_a_killed_process_left_half_written_goes_with_the_next(tmp_path) -> None:
    for step in (5, 6):
        left = tmp_path / f"step-{step:08d}.partial"
        left.mkdir()
        (left / WEIGHTS).write_bytes(b"half")
    assert newest_checkpoint(tmp_path) == (None, [])
    save(tmp_path, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000006"]


# Killed ------------------------------------------------------------------------------


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.training.killed", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_one(lives: subprocess.Popen, rng: random.Random) -> None:
    """Start a life, and end it at some moment after its first few updates."""
    updates = rng.randint(1, 3)
    lives.stdin.write(f"{updates + 3}\n")
    lives.stdin.flush()
    life = int(lives.stdout.readline().removeprefix("life"))
    for _ in range(updates):
        lives.stdout.readline()
    time.sleep(rng.uniform(0, 0.05))
    os.kill(life, signal.SIGKILL)
    while "ended" not in (line := lives.stdout.readline()):
        assert line, "the processes are gone"
    assert line.split() == ["ended", "-9"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("kind", ["pretraining", "finetuning"])
def test_killed_often_the_weights_are_those_of_an_unbroken_run(kind, tmp_path) -> None:
    rng, often = random.Random(0), 10 if WHOLE else 4
    with (
        start(kind, tmp_path / "unbroken") as unbroken,
        start(kind, tmp_path / "killed", "lives") as lives,
    ):
        for _ in range(often):
            kill_one(lives, rng)
        reached = int(checkpoints(tmp_path / "killed" / CHECKPOINTS)[0].name[5:])
        output, _ = lives.communicate("1000\n")
        expected = unbroken.communicate()[0].split()[-1]
    *_, found, _, code = output.split()
    assert (code, len(expected)) == ("0", 64)
    assert often <= reached < 64, "the last life was killed at work"
    assert found == expected, f"killed: {found}, unbroken: {expected}"


# Damaged -----------------------------------------------------------------------------


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def flip_a_bit(folder: Path) -> None:
    flip(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2)


def zero_the_tail(folder: Path) -> None:
    """As after a power cut: the file has its size, its last page was never written."""
    with (folder / OPTIMISER_STATE).open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))


def cut_short(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(1000)


def change_the_state(folder: Path) -> None:
    path = folder / STATE
    path.write_text(path.read_text().replace('"step": 4', '"step": 3'))


def no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def no_means(folder: Path) -> None:
    (folder / OPTIMISER_STATE).unlink()


CHANGED = r"has changed since it was written: its SHA-256 is \w{64}, it was \w{64}"
DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (flip_a_bit, f"{WEIGHTS} {CHANGED}"),
    (zero_the_tail, f"{OPTIMISER_STATE} {CHANGED}"),
    (cut_short, rf"{WEIGHTS} has 1,000 bytes, and was written with \d+,\d+"),
    (change_the_state, f"{STATE} {CHANGED}"),
    (no_manifest, f"step-00000004 has no {MANIFEST}, which is written last"),
    (no_means, f"{OPTIMISER_STATE} is missing"),
]
each_damage = pytest.mark.parametrize(
    ("damage", "message"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES]
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    """A run of four updates, two checkpoints kept, and the digest of its weights."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    here = run(RECIPE, folder)
    assert len(after(here, 9)) == 4
    return folder, digest(here.model)


@pytest.fixture
def folder(finished, tmp_path: Path) -> Path:
    return shutil.copytree(finished[0], tmp_path / "run")


@each_damage
def test_a_damaged_checkpoint_is_passed_over_and_named(
    folder: Path, finished, damage, message
) -> None:
    """And the run ends with the weights that it would have had."""
    damage(checkpoints(folder / CHECKPOINTS)[0])
    with pytest.warns(UserWarning, match=f"an earlier checkpoint is used: .*{message}"):
        resumed = run(RECIPE, folder)
    assert resumed.progress.step == 3
    assert [record.step for record in after(resumed, 9)] == [4]
    assert digest(resumed.model) == finished[1]
    load_checkpoint(checkpoints(folder / CHECKPOINTS)[0])  # the damaged one is replaced


@each_damage
def test_if_all_are_damaged_it_is_an_error(folder: Path, damage, message) -> None:
    newest, older = checkpoints(folder / CHECKPOINTS)
    damage(newest)
    no_means(older)
    missing = f"{older.name}/{OPTIMISER_STATE} is missing. Restore one"
    wanted = f"can be used: .*{message}; .*{missing}"
    with pytest.raises(ValueError, match=wanted):
        run(RECIPE, folder)


def test_a_flipped_bit_anywhere_in_the_manifest_is_an_error(tmp_path: Path) -> None:
    """A ValueError, so that an older checkpoint is looked for."""
    folder = save(tmp_path, 1, size=4)
    manifest = folder / MANIFEST
    for place in range(manifest.stat().st_size):
        for bit in (0, 3, 6):
            flip(manifest, place, bit)
            with pytest.raises(ValueError):
                load_checkpoint(folder)
            flip(manifest, place, bit)
    load_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", '{"format": "bertcore checkpoint 2"}'])
def test_a_manifest_of_another_form_is_an_error(tmp_path: Path, content: str) -> None:
    folder = save(tmp_path, 1)
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ValueError, match=f"{MANIFEST} (holds no table|is damaged)"):
        load_checkpoint(folder)


@pytest.mark.parametrize("number", [1, 3])
def test_another_format_is_refused(tmp_path: Path, number: int) -> None:
    path = save(tmp_path, 1) / MANIFEST
    path.write_text(path.read_text().replace("checkpoint 2", f"checkpoint {number}"))
    message = f"says format='bertcore checkpoint {number}'; this v.* go on with the ver"
    with pytest.raises(ValueError, match=message):
        newest_checkpoint(tmp_path)


# A full disk -------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # whoever holds it


def test_a_full_disk(disk: Path) -> None:
    """The run learns what to do, and has what it had."""
    first = save(disk, 1, size=12_000)
    wanted = (
        r"step-00000002 could not be written \(.*No space left on device.*\): it needs "
        r"0.2 MB, and 0.2 MB are free there. Earlier checkpoints are as they were"
    )
    with pytest.raises(OSError, match=wanted) as error:
        save(disk, 2, size=30_000)
    assert error.value.errno == errno.ENOSPC
    assert [path.name for path in disk.iterdir()] == [first.name]
    found, faults = newest_checkpoint(disk)
    assert found.state == {"step": 1} and not faults
    save(disk, 3, size=12_000)


@pytest.mark.parametrize("room", range(100, 270, 17))
def test_wherever_the_disk_gets_full(disk: Path, room: int) -> None:
    """In the weights, the means, the state or the manifest."""
    first = save(disk, 1, size=1000)
    used = int(subprocess.check_output(["du", "-sk", disk]).split()[0])
    (disk / "other").write_bytes(bytes((256 - used) * 1024 - room * 512))
    try:
        save(disk, 2, size=12_000, keep=1)
    except OSError as error:
        assert "could not be written" in str(error)
        found = first
    else:
        found = disk / "step-00000002"
    assert [path.name for path in checkpoints(disk)] == [found.name]
    load_checkpoint(found)
    assert not list(disk.glob("*.partial"))


def test_safetensors_raises_on_a_full_disk(disk: Path) -> None:
    """It does not map the file into memory, where a full disk is a bus error."""
    for size in (66_000, 1_000_000):
        with pytest.raises(SafetensorError, match="No space left on device"):
            save_file({"x": torch.randn(size)}, disk / "x.safetensors")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The same by the system's limit of a file's size: no right to mount is needed."""
    first = save(tmp_path, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(
            OSError, match="File too large.*it needs 0.2 MB, and .* MB "
        ):
            save(tmp_path, 2, size=25_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    load_checkpoint(first)


def test_a_run_that_cannot_save_says_so(tmp_path: Path, disk: Path) -> None:
    """At the first checkpoint, not at the end of a night."""
    here = run(RECIPE, disk / "run", sizes={"hidden_size": 96, "layers": 4})
    with pytest.raises(OSError, match="step-00000001 could not be written"):
        next(here.records())


# Another run -------------------------------------------------------------------------


def permuted() -> Tokenizer:
    """The same pieces, in another order."""
    pieces = list(tokenizer().vocabulary)
    return Tokenizer([*pieces[:5], *reversed(pieces[5:])])


def refused(folder: Path, **changes) -> str:
    arguments = {"model": model(RECIPE), "tokenizer": tokenizer(), "store": store()}
    arguments = {**arguments, "recipe": RECIPE, "folder": folder, **changes}
    with pytest.raises(ValueError) as error:
        Pretraining(**arguments)
    return str(error.value)


def test_another_vocabulary_is_refused(folder: Path) -> None:
    """With both digests; also if its store fits it."""
    other = permuted()
    texts = Store.of([["Anna walks."] * 9] * 40, other)
    message = refused(folder, tokenizer=other, store=texts)
    digests = [t.manifest["vocabulary"] for t in (store(), texts)]
    assert digests[0] != digests[1]
    assert f"vocabulary is {digests[0]}, that of this run is {digests[1]}" in message
    assert "load the vocabulary that the run began with" in message


def test_other_texts_are_refused(folder: Path) -> None:
    before = load_checkpoint(checkpoints(folder / CHECKPOINTS)[0]).state["identity"]
    after_all = run(RECIPE, store=store(seed=1)).identity()["data"]
    message = refused(folder, store=store(seed=1))
    assert f"data is {before['data']}, that of this run is {after_all}" in message
    assert "give the texts that the run began with" in message


def test_another_recipe_is_refused(folder: Path) -> None:
    """Naming what differs and nothing else."""
    message = refused(folder, recipe=RECIPE.replace(learning_rate=0.5, seed=4))
    wanted = (
        "step-00000004 is of another run: its recipe is {'learning_rate': 0.003, "
        "'seed': 3}, that of this run is {'learning_rate': 0.5, 'seed': 4}; give the "
        "recipe that the run began with, or begin anew in another folder"
    )
    assert message.endswith(wanted)


def test_another_model_is_refused(folder: Path) -> None:
    message = refused(folder, model=model(RECIPE, feedforward_size=48))
    assert "model is {'intermediate_size': 40}, that of this run is" in message


def test_a_label_by_number_is_the_same_after_json(tmp_path: Path) -> None:
    for _ in range(2):
        assert len(after(run(RECIPE, tmp_path, {"num_labels": 3}), 1)) == 1
