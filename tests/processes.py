"""Two processes of one run, as `torchrun` starts them, without a third that watches.

`torchrun` itself is in tests/command/test_stopped.py; it imports torch once more.
"""

import os
import socket
import subprocess
import sys

from tests.conftest import ROOT


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run_two(*command: str, timeout: float = 200) -> tuple[str, str]:
    """What `python -m COMMAND` prints and its errors, of both processes together.

    Fails if one of them does; the other waits for it in vain, so it is ended.
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    try:
        ended = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    printed, errors = ("".join(parts) for parts in zip(*ended, strict=True))
    assert not any(process.returncode for process in started), errors[-3000:]
    return printed, errors
