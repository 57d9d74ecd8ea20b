"""The examiner: knows seed, cases and what is right, and runs no student's code.

It asks a worker, which is boxed, to run each exercise of a hand-in on cases of the
seed, and compares what comes back. A hand-in that crashes, hangs or sends rubbish has
faults of its own; each of its exercises has a process of its own.
"""

import contextlib
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle

from grading import box as boxes
from grading.box import ROOT, Limits
from grading.chapters import Chapter, Task, seed_of
from grading.handins import Handin, Source
from grading.trace import Played, plain, recorded
from grading.wire import Garbled, Gone, Late, receive, send_bytes
from grading.worker import execute, run_cells
from instructors.grading import Exercise, accepts, call, difference, examined

_READY_SECONDS = 900  # for the longest chapter on a busy machine
_SLOWER = 10  # how much longer than ours an exercise may take
_BUSY = 4  # how much longer still where the machine has no time for it


@dataclass
class Prepared:
    """One exercise, ready to be asked: what is right for each case of the seed.

    Attributes:
        events: what our solution's calls did, where those can be played.
        played: what the exercise's own function makes of them, case by case.
        seconds: that a hand-in may take for all cases.
        packed: the cases and how they are examined, for the worker.
        listed: wrong solutions, each with what is wrong.
        wrong: what each of the wrong solutions gives, once somebody has asked.
    """

    task: Task
    exercise: Exercise
    cases: list[tuple]
    right: list[Any]
    played: list[Any] | None
    seconds: float
    packed: bytes = b""
    listed: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[list[Any]] | None = None

    @property
    def traced(self) -> bool:
        """Whether calls are written down, because a function examines them."""
        return self.exercise.examine not in (call, accepts)


@dataclass
class Outcome:
    """How one exercise of a hand-in went.

    Attributes:
        right: how many cases are right.
        faults: a sentence for each other case, or for what ended it all.
        resembles: what is wrong with the listed wrong solution that does the same.
    """

    task: Task
    cases: int = 0
    right: int = 0
    faults: list[str] = field(default_factory=list)
    resembles: str = ""
    seconds: float = 0.0

    @property
    def points(self) -> int:
        """All of them if every case is right, and none otherwise."""
        return self.task.points if self.cases and self.right == self.cases else 0


class BoxFailure(RuntimeError):
    """The box could not be closed, so nothing was run in it."""


class Examiner:
    """Grades hand-ins of one chapter; several threads may do so at once.

    Use it in a `with`, which starts the worker and runs the chapter, and ends it.

    Args:
        secret: the course's seed, from which cases are drawn.
        box: the name of a box that works here.
    """

    def __init__(
        self, chapter: Chapter, secret: str, box: str, limits: Limits | None = None
    ) -> None:
        self.chapter, self.box, self.limits = chapter, box, limits or Limits()
        self._secret = secret
        self._control_lock, self._compare_lock = threading.Lock(), threading.Lock()
        self._worker = _Worker(self)
        self.prepared: dict[str, Prepared] = {}

    def __enter__(self) -> "Examiner":
        self._worker.start()
        try:
            names = vars(run_cells(self.chapter.cells(solved=True)))
            self._names = names
            module = self.chapter.generators
            cloudpickle.register_pickle_by_value(sys.modules.setdefault(
                module.__name__, module))  # fmt: skip
            for name, exercise in module.EXERCISES.items():
                if name in self.chapter.tasks:
                    try:
                        self.prepared[name] = self._prepare(name, exercise)
                    except Exception as error:
                        said = f"{type(error).__name__}: {error}"
                        raise ValueError(f"{name} is not graded, {said}") from error
            self._worker.wait()
        except BaseException:
            self._worker.end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._worker.end()

    def _prepare(self, name: str, exercise: Exercise) -> Prepared:
        """Draw the cases, and note what our own solution gives for them."""
        seed = seed_of(self._secret, self.chapter.name, name)
        cases = list(exercise.cases(seed, self._names))
        if not cases:
            raise ValueError("there is no case for this seed")
        solution, task = self._names[name], self.chapter.tasks[name]
        prepared = Prepared(task, exercise, cases, [], None, 0.0)
        prepared.listed = self.chapter.wrong.get(name, [])
        began = time.thread_time()
        for number, arguments in enumerate(cases, start=1):
            right = examined(exercise, solution, arguments, number)
            if fault := difference(plain(right), right, exercise.tolerance):
                raise ValueError(f"what is compared does not travel: {fault}")
            prepared.right.append(right)
        without_generator = replace(exercise, cases=list)
        prepared.packed = cloudpickle.dumps((without_generator, cases))
        ours = time.thread_time() - began
        prepared.seconds = self.limits.seconds + _SLOWER * ours
        if prepared.traced:
            prepared.played = self._play_ours(prepared, solution)
        return prepared

    def _play_ours(self, prepared: Prepared, solution: Any) -> list[Any] | None:
        """What is right when played; None where gradients or files are looked at."""
        found = []
        for number, arguments in enumerate(prepared.cases, start=1):
            events: list[dict[str, Any]] = []
            try:
                examined(
                    prepared.exercise, recorded(solution, events), arguments, number
                )
                player = Played(plain(events))
                found.append(examined(prepared.exercise, player, arguments, number))
            except Exception:
                return None
        return found

    # One hand-in ----------------------------------------------------------------------

    def grade(self, handin: Handin) -> dict[str, Outcome]:
        """The outcome of each exercise of the chapter that can be graded.

        Raises:
            BoxFailure: if no box could be closed around it.
        """
        outcomes = {}
        for name, prepared in self.prepared.items():
            if name not in handin.sources:
                outcomes[name] = Outcome(prepared.task, len(prepared.cases))
                outcomes[name].faults = [next(
                    (n for n in handin.notes if n.startswith(f"{name} is ")),
                    f"{name} is missing",
                )]  # fmt: skip
                continue
            outcomes[name] = self.outcome(prepared, handin.sources[name])
        return outcomes

    def outcome(
        self, prepared: Prepared, sources: list[Source], seconds: float | None = None
    ) -> Outcome:
        """How one exercise goes, given its definition and what that needs.

        Args:
            seconds: how long it may take, if not as long as a hand-in may.

        Raises:
            BoxFailure: if no box could be closed around it.
        """
        outcome = Outcome(prepared.task, len(prepared.cases))
        began = time.perf_counter()
        # A process of its own: what one exercise breaks, none of the others meets.
        session = _Session(self._worker)
        try:
            asked = replace(prepared, seconds=seconds or prepared.seconds)
            found = self._ask(session, outcome, sources, asked)
        finally:
            session.end()
        outcome.seconds = round(time.perf_counter() - began, 2)
        if found and outcome.right < outcome.cases:
            outcome.resembles = self._resembling(prepared, found)
        return outcome

    def _ask(
        self,
        session: "_Session",
        outcome: Outcome,
        sources: list[Source],
        prepared: Prepared,
    ) -> list[Any]:
        """Let one exercise run on all cases and note its faults; what it returned."""
        cases, found = len(prepared.cases), []
        try:
            session.ask(sources, prepared)
            for number in range(1, cases + 1):
                frame = session.hear()
                if frame.get("case") != number:
                    raise Garbled(str(frame.get("fault", "it is no case's answer")))
                with self._compare_lock:
                    fault = self._fault(prepared, number, frame)
                outcome.right += not fault
                found.append(frame.get("result", _RAISED))
                if fault and len(outcome.faults) < 3:
                    given = _shown(prepared.cases[number - 1])
                    outcome.faults.append(f"case {number} of {cases}{given}: {fault}")
        except Late:
            ours = (prepared.seconds - self.limits.seconds) / _SLOWER
            outcome.faults.append(
                f"it was stopped after {prepared.seconds:.0f} seconds, where our "
                f"solution takes {f'{ours:.1f}' if ours >= 0.1 else 'less than 0.1'}; "
                "look for a loop that never ends"
            )
        except Gone:
            outcome.faults.append(f"its process ended: {session.end()}")
        except Garbled as error:
            outcome.faults.append(f"its answer could not be read: {error}"[:300])
        return found

    def _fault(self, prepared: Prepared, number: int, frame: dict[str, Any]) -> str:
        """What is wrong with the answer to a case, as a sentence; nothing if right."""
        right, tolerance = prepared.right[number - 1], prepared.exercise.tolerance
        if "result" not in frame:
            where = f" ({frame['where']})" if frame.get("where") else ""
            return f"it raised {str(frame.get('fault', 'something'))[:300]}{where}"
        fault = self._difference(frame["result"], right, tolerance)
        if fault and prepared.exercise.examine is accepts:
            return (
                "your test rejects what is right, by a check that fails or an error"
                if right
                else "your test lets something faulty pass"
            )
        if fault.startswith("["):
            fault = f"of what is compared, {fault}"
        if fault or prepared.played is None:
            return fault
        player = Played(frame.get("events") or [])
        arguments = prepared.cases[number - 1]
        try:
            played = examined(prepared.exercise, player, arguments, number)
        except Exception as error:
            return f"its calls do not lead to what it says: {error}"[:300]
        return self._difference(played, prepared.played[number - 1], tolerance)

    def _difference(self, found: Any, right: Any, tolerance: float) -> str:
        """As `difference`; a stranger's value may be of any size and kind."""
        try:
            return difference(found, right, tolerance)
        except Exception as error:
            return f"the result cannot be compared ({type(error).__name__})"

    # Wrong ideas ----------------------------------------------------------------------

    def _resembling(self, prepared: Prepared, found: list[Any]) -> str:
        """Which of the wrong solutions does the same where the hand-in is wrong."""
        listed = prepared.listed
        with self._compare_lock:
            if prepared.wrong is None:
                prepared.wrong = [self._run_wrong(prepared, each) for _, each in listed]
            best, most = "", 0.0
            for (idea, _), theirs in zip(listed, prepared.wrong, strict=True):
                cases = zip(found, theirs, prepared.right, strict=False)
                same = [
                    self._same(one, other, prepared)
                    for one, other, right in cases
                    if not self._same(one, right, prepared)
                    or not self._same(other, right, prepared)
                ]
                share = sum(same) / len(same) if same else 0.0
                if share > max(most, 0.79):
                    best, most = idea, share
        return best

    def _same(self, one: Any, other: Any, prepared: Prepared) -> bool:
        if one is _RAISED or other is _RAISED:
            return one is other
        return not self._difference(plain(one), other, prepared.exercise.tolerance)

    def _run_wrong(self, prepared: Prepared, source: str) -> list[Any]:
        """What a listed wrong solution gives for each case."""
        names, results = dict(self._names), []
        with contextlib.redirect_stdout(None):
            execute(source, "a wrong solution", names)
            for number, arguments in enumerate(prepared.cases, start=1):
                solution = names[prepared.task.name]
                try:
                    result = examined(prepared.exercise, solution, arguments, number)
                except (Exception, SystemExit):
                    result = _RAISED
                results.append(result)
        return results


_RAISED = object()


def _shown(arguments: tuple) -> str:
    """What a case gives to the function, where that is short; else nothing.

    Numbers and texts say at once what a student should try; tensors do not.
    """
    plain_ones = (isinstance(each, int | float | str | None) for each in arguments)
    if not arguments or not all(plain_ones):
        return ""
    text = ", ".join(map(repr, arguments))
    return f", given ({text})" if len(text) <= 80 else ""


# The process that is boxed ------------------------------------------------------------


class _Worker:
    """The worker of a chapter, from the examiner's side."""

    def __init__(self, examiner: Examiner) -> None:
        self.examiner, self.lock = examiner, threading.Lock()
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it; it runs the chapter while the examiner does."""
        its = self.examiner
        self.said = tempfile.TemporaryFile()  # a pipe that nobody reads fills up
        self.control, theirs = socket.socketpair()
        inside = [sys.executable, "-m", "grading.worker", str(theirs.fileno())]
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nowhere"}
        environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"MPLCONFIGDIR": "/nowhere", "MPLBACKEND": "Agg"}
        self.process = subprocess.Popen(
            boxes.command(its.box, inside, its.limits),
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.said,
        )
        theirs.close()
        how = {"box": its.box, "paths": boxes.readable(), "limits": its.limits}
        setup = {"cells": its.chapter.cells(solved=False), "how": how}
        with contextlib.suppress(OSError):  # `wait` says what it died of
            send_bytes(self.control, pickle.dumps(setup))

    def wait(self) -> None:
        """Wait until it has run the chapter.

        Raises:
            BoxFailure: if it could not.
        """
        try:
            frame = receive(self.control, _READY_SECONDS)
        except (Gone, Late, Garbled):
            self.said.seek(0)
            said = self.said.read().decode(errors="replace")[-500:]
            self.end()
            raise BoxFailure(f"the box {self.examiner.box} failed: {said}") from None
        if "fault" in frame:
            raise BoxFailure(str(frame["fault"]))
        self.control.settimeout(60)

    def begin(self) -> tuple[int, socket.socket]:
        """A new process for a hand-in, and the pipe to it."""
        for _ in range(2):
            try:
                with self.lock:
                    send_bytes(self.control, pickle.dumps(("begin", 0)))
                    pid = int(receive(self.control, 60)["pid"])
                    _, (handle,), _, _ = socket.recv_fds(self.control, 1, 1)
                return pid, socket.socket(fileno=handle)
            except (OSError, Gone, Late, Garbled, KeyError, ValueError):
                with self.lock:
                    if self.process.poll() is not None:
                        self.start()
                        self.wait()
        raise BoxFailure("the worker ends again and again")

    def used(self, pid: int) -> float:
        """Seconds of the processor that a hand-in's process has had."""
        try:
            with self.lock:
                send_bytes(self.control, pickle.dumps(("used", pid)))
                return float(receive(self.control, 60)["used"])
        except (OSError, Gone, Late, Garbled, KeyError):
            return math.inf

    def finish(self, pid: int) -> int:
        """End a hand-in's process; its exit status."""
        try:
            with self.lock:
                send_bytes(self.control, pickle.dumps(("end", pid)))
                return int(receive(self.control, 60)["status"])
        except (OSError, Gone, Late, Garbled, KeyError):
            return 0

    def end(self) -> None:
        """End the worker and all that it began."""
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()


class _Session:
    """One process of a hand-in.

    Raises:
        BoxFailure: if it did not say that its box is closed.
    """

    def __init__(self, worker: _Worker) -> None:
        self.worker = worker
        self.status: int | None = None
        self.pid, self.pipe = worker.begin()
        try:
            frame = receive(self.pipe, 60)
        except (Late, Gone, Garbled) as error:
            frame = {"fault": f"it said nothing ({type(error).__name__})"}
        if frame.get("boxed") != worker.examiner.box:
            self.end()
            raise BoxFailure(f"no box could be closed: {frame.get('fault')}")

    def ask(self, sources: list, prepared: Prepared) -> None:
        """Send an exercise.

        Raises:
            Gone, Late: as when one listens.
        """
        self.seconds, self.used = prepared.seconds, self.worker.used(self.pid)
        self.began = time.monotonic()
        request = {"sources": sources, "name": prepared.task.name}
        request |= {"examine": prepared.packed, "trace": prepared.played is not None}
        try:
            self.pipe.settimeout(60)
            send_bytes(self.pipe, pickle.dumps(request))
        except TimeoutError:
            raise Late from None
        except OSError:
            raise Gone from None

    def hear(self) -> dict[str, Any]:
        """The next frame.

        Time is the processor's, so that a busy machine harms nobody; one that waits
        and does nothing is stopped all the same.

        Raises:
            Late: if the time for the exercise is over.
        """
        waited = time.monotonic() - self.began
        return receive(self.pipe, self.seconds - waited, self._more)

    def _more(self) -> float:
        used = self.worker.used(self.pid)
        if used == math.inf or time.monotonic() - self.began > _BUSY * self.seconds:
            return 0.0
        return self.seconds - (used - self.used)

    def end(self) -> str:
        """End it, once; how it ended if it had already."""
        if self.status is None:
            self.pipe.close()
            self.status = self.worker.finish(self.pid)
        return _how_it_ended(self.status)


def _how_it_ended(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    if number == -signal.SIGKILL:
        return "it closed its pipe, or used too much memory"
    if number == -signal.SIGXCPU:
        return "it used too much of the processor"
    return f"signal {signal.Signals(-number).name}" if number < 0 else "it left Python"
