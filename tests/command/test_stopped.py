"""Runs in processes of their own: stopped by a signal, and shared by two."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from bertcore.__main__ import main
from bertcore.command.session import stoppable
from tests.conftest import ROOT

RUN = ["pretrain", "--plan", "minute", "--steps", "40", "--looks", "1"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def started(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    )


def test_ctrl_c_saves_and_resume_goes_on(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    with started("bertcore", *RUN, "--out", str(out)) as run:
        while not run.stdout.readline().startswith("step 0, "):
            assert run.poll() is None, run.stderr.read()
        run.send_signal(signal.SIGINT)
        _, error = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in error
    (found,) = (out / "checkpoints").iterdir()
    assert f"go on from the checkpoint {found.name} with: bertcore resume" in error
    assert 1 <= int(found.name[5:]) < 40
    assert main(["resume", str(out)]) == 0
    printed, error = capsys.readouterr()
    assert f"goes on from step {int(found.name[5:])}," in printed
    assert "finished: 40 updates" in printed and not error


def test_the_first_signal_counts_and_handlers_are_put_back() -> None:
    usual = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable() as stop:
        assert stop() == 0
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert stop() == signal.SIGTERM
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == usual


def test_two_processes_share_a_run(tmp_path: Path, capsys) -> None:
    """Under torchrun; only the leading one speaks. One goes on alone."""
    out = str(tmp_path / "run")
    two = ("torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    with started(*two, "-m", "bertcore", *RUN, "--steps", "3", "--out", out) as run:
        printed, error = run.communicate(timeout=90)
    assert run.returncode == 0, error
    assert printed.count("finished: 3 updates") == 1
    assert printed.count("step 0, 0 s, held out") == 1
    assert main(["resume", out]) == 0
    assert "goes on from step 3" in capsys.readouterr().out
