"""The process that runs students' code: python -m grading.worker CONTROL

It runs the cells of a chapter that every student has, without exercises; then it waits.
For each exercise of a hand-in it forks a process that is boxed, has its own pipe to the
examiner, and gets the student's functions and cases to run them on. It knows neither
seed nor solutions, so there is nothing to find in its memory.
"""

import contextlib
import io
import linecache
import math
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from grading.box import Limits, end_with, enter, hide
from grading.trace import recorded
from grading.wire import Gone, receive_bytes, send
from instructors.grading import examined

CHAPTER, HANDIN = "chapter", "handin"  # the modules in which cells are run


def run_cells(cells: list[tuple[str, str]], name: str = CHAPTER) -> ModuleType:
    """Run cells, each with its label, as a module of that name, and show nothing.

    Raises:
        ValueError: if one fails: the chapters of the course do not.
    """
    module = sys.modules[name] = ModuleType(name)
    os.environ["MPLBACKEND"] = "Agg"
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for label, source in cells:
            try:
                execute(source, label, vars(module))
            except Exception as error:
                raise ValueError(f"{label} of the chapter fails: {error!r}") from error
    return module


def execute(source: str, label: str, names: dict[str, Any]) -> None:
    """Run a source that `inspect` finds again."""
    file = f"<{label}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), names)


# The one that waits -------------------------------------------------------------------


def main() -> None:
    """Serve the examiner until it closes the socket whose number is given."""
    control = socket.socket(fileno=int(sys.argv[1]))
    setup = pickle.loads(receive_bytes(control))
    try:
        run_cells(setup["cells"])
    except ValueError as error:
        send(control, {"fault": str(error)})
        return
    hide()
    send(control, {"ready": time.process_time()})
    folders: dict[int, Path] = {}
    with contextlib.suppress(Gone):
        while True:
            command, pid = pickle.loads(receive_bytes(control))
            if command == "begin":
                folder = Path(tempfile.mkdtemp())
                ours, theirs = socket.socketpair()
                parent = os.getpid()
                pid = os.fork()
                if pid == 0:
                    end_with(parent)
                    control.close()
                    ours.close()
                    one_handin(theirs, folder, **setup["how"])
                theirs.close()
                folders[pid] = folder
                send(control, {"pid": pid})
                socket.send_fds(control, [b"."], [ours.fileno()])
                ours.close()
            elif command == "used":
                send(control, {"used": _used(pid)})
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                shutil.rmtree(folders.pop(pid), ignore_errors=True)
                send(control, {"status": status})


def _used(pid: int) -> float:
    """Seconds that a process has had of the processor, in all of its threads."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")
    return math.inf


# The one for a hand-in ----------------------------------------------------------------


def one_handin(
    pipe: socket.socket, folder: Path, box: str, paths: list[str], limits: Limits
) -> None:
    """Shut in, run what the examiner asks for; never return."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        enter(box, folder, paths, limits)
        names = vars(sys.modules[CHAPTER]).copy()
        module = sys.modules[HANDIN] = ModuleType(HANDIN)
        names["__name__"] = HANDIN
        vars(module).update(names)
        send(pipe, {"boxed": box})
        while True:
            answer(pipe, vars(module), **pickle.loads(receive_bytes(pipe)))
    except BaseException as error:
        with contextlib.suppress(BaseException):
            send(pipe, {"fault": _said(error), "fatal": True})
    finally:
        os._exit(1)


def answer(
    pipe: socket.socket,
    names: dict[str, Any],
    name: str,
    sources: list[tuple[str, str]],
    examine: bytes,
    trace: bool,
) -> None:
    """Run one exercise on all of its cases, and send what came out of each."""
    faults = []
    for label, source in sources:  # what fails may not be needed after all
        try:
            execute(source, label, names)
        except BaseException as error:
            faults.append(f"{label} raised {_said(error)}")
    exercise, cases = pickle.loads(examine)
    for number, arguments in enumerate(cases, start=1):
        found: dict[str, Any] = {"case": number}
        events: list[dict[str, Any]] = []
        try:
            if name not in names:
                raise NameError(f"there is no {name}: {'; '.join(faults)}")
            solution = names[name]
            tried = recorded(solution, events) if trace else solution
            found["result"] = examined(exercise, tried, arguments, number)
        except BaseException as error:
            found |= {"fault": _said(error), "where": _line(error)}
        if trace:
            found["events"] = events
        send(pipe, found)


def passes(solution: Any, name: str, check: str) -> bool:
    """Whether a visible check passes where the solution has that name: an `examine`."""
    names = dict(vars(sys.modules[HANDIN]))
    names[name] = solution
    execute(check, "check", names)
    return True


def _said(error: BaseException) -> str:
    with contextlib.suppress(BaseException):
        return f"{type(error).__name__}: {error}"[:500]
    return "an error that cannot be printed"


def _line(error: BaseException) -> str:
    """Where in the student's own code it happened."""
    with contextlib.suppress(BaseException):
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith("<cell"):
                return f"{frame.filename[1:-1]}, line {frame.lineno}: {frame.line}"[
                    :200
                ]
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
