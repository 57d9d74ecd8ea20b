"""Attacks on the grader, in each box: no points for the exercise, no trace, in time."""

import os
import socket
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from grading import box as boxes
from grading import handins
from grading.box import BOXES, Limits
from grading.examiner import Examiner
from tests.grading.course import filled, made, ours

SECRET = "the seed of this red team"
SECONDS = 3.0  # beside ten times ours

# What stands in the function `double`, or in another that is named before.
ATTACKS = {
    "patched torch": """
        torch.equal = torch.allclose = lambda *a, **k: True
        torch.Tensor.isclose = torch.Tensor.all = lambda *a, **k: True
        torch.testing.assert_close = lambda *a, **k: None
        return values
    """,
    "patched grader": """
        import sys
        for module in list(sys.modules.values()):
            for name in ("difference", "encode", "recorded", "_difference"):
                if hasattr(module, name):
                    setattr(module, name, lambda *a, **k: "")
        return values
    """,
    "patched assert": """
        import builtins
        builtins.AssertionError = builtins.Exception = type("Nothing", (), {})
        builtins.all = builtins.any = lambda *a: True
        return values
    """,
    "exit": "import sys; sys.exit(0)",
    "hard exit": "import os; os._exit(0)",
    "exit at the end": """
        import atexit, os
        atexit.register(lambda: open("/tmp/red-team-trace", "w").write("!"))
        raise SystemExit
    """,
    "endless loop": "while True: pass",
    "fork bomb": """
        import os
        while True:
            os.fork()
    """,
    "processes": """
        import subprocess
        subprocess.Popen(["/bin/sh", "-c", "sleep 60 &"])
        return values
    """,
    "threads": """
        import threading, time
        while True:
            threading.Thread(target=time.sleep, args=(60,)).start()
    """,
    "memory": """
        kept = []
        while True:
            kept.append(torch.ones(1 << 28))
    """,
    "the solution's file": "return len(open(SOLUTION).read()) * values",
    "the cases' file": "return len(open(CASES).read()) * values",
    "folders": """
        import os
        return torch.tensor(len(os.listdir(os.path.dirname(SOLUTION))))
    """,
    "the environment": """
        open(f"/proc/{GRADER}/environ").read()
        return values
    """,
    "memory of the grader": """
        open(f"/proc/{GRADER}/mem", "rb").read(1)
        return values
    """,
    "memory of the worker": """
        import os
        open(f"/proc/{os.getppid()}/mem", "rb").read(1)
        return values
    """,
    "the grader's own solution": """
        import gc
        for each in gc.get_objects():
            if getattr(each, "__name__", "") == "double" and callable(each):
                if each is not double:
                    return each(values)
        return values
    """,
    "its frames": """
        import sys
        frame = sys._getframe()
        while frame:
            for name, value in frame.f_locals.items():
                if name in ("right", "reference", "secret", "seed"):
                    return value
            frame = frame.f_back
        return values
    """,
    "forged frames": """
        import json, os, struct
        for case in (1, 2, 3):
            text = json.dumps(["dict", ["case", case], ["result", None]]).encode()
            frame = struct.pack(">QQ", len(text), 0) + text
            for number in range(3, 64):
                try:
                    os.write(number, frame)
                except OSError:
                    pass
        return values
    """,
    "network": """
        import socket
        socket.create_connection(("127.0.0.1", PORT), timeout=1).send(b"!")
        return values
    """,
    "datagrams": """
        import socket
        pipe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        pipe.sendto(b"!", ("127.0.0.1", PORT))
        return values
    """,
    "huge output": """
        while True:
            print("x" * (1 << 20))
    """,
    "huge result": "return torch.zeros(1 << 25)",
    "deep result": """
        deep = []
        for _ in range(100_000):
            deep = [deep]
        return deep
    """,
    "pickle bomb": """
        class Bomb:
            def __reduce__(self):
                import os
                return os.system, ("touch /tmp/red-team-trace",)
        return Bomb()
    """,
    "pickle in the pipe": """
        import os, pickle
        class Bomb:
            def __reduce__(self):
                return os.system, ("touch /tmp/red-team-trace",)
        for number in range(3, 64):
            try:
                os.write(number, pickle.dumps(Bomb()))
            except OSError:
                pass
        return values
    """,
    "killing the worker": """
        import os
        os.kill(os.getppid(), 9)
        return values
    """,
    "killing the grader": """
        import os
        os.kill(GRADER, 9)
        return values
    """,
    "limits of the worker": """
        import os, resource
        resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))
        return values
    """,
    "equal to all": """
        class Equal(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                return True
            def __eq__(self, other):
                return True
        return torch.zeros(values.shape).as_subclass(Equal)
    """,
    "an object equal to all": """
        class Equal:
            __eq__ = __ge__ = __le__ = lambda *a: True
            __hash__ = None
        return Equal()
    """,
    "an error that bites": """
        class Bites(Exception):
            def __str__(self):
                import os
                os._exit(0)
        raise Bites
    """,
    "a file that stays": """
        for place in (TRACE, "/tmp/red-team-trace"):
            open(place, "w").write("!")
        return values
    """,
    "a full disk": """
        with open("big", "wb") as file:
            while True:
                file.write(b"x" * (1 << 24))
    """,
}
# What the refusal says: it is the box's, and not some other fault of the attack.
MEETS = {
    "fork bomb": "PermissionError",
    "processes": "PermissionError",
    "killing the grader": "PermissionError",
    "killing the worker": "PermissionError",
    "limits of the worker": "PermissionError",
    "network": "PermissionError",
    "datagrams": "PermissionError",
    "the solution's file": "FileNotFoundError|PermissionError",
    "the cases' file": "FileNotFoundError|PermissionError",
    "folders": "FileNotFoundError|PermissionError",
    "the environment": "FileNotFoundError|PermissionError",
    "memory of the grader": "FileNotFoundError|PermissionError",
    "memory of the worker": "PermissionError",
    "endless loop": "was stopped after",
    "huge result": "128 MiB",
    "pickle bomb": "<Bomb>",
    "an object equal to all": "<Equal>",
}
# Attacks on an exercise whose right verdict everybody can foresee.
ON_VERDICTS = {
    "patched builtins": """
        import builtins
        builtins.sorted = lambda *a, **k: []
        builtins.all = lambda *a: True
        return numbers[::-1]
    """,
    "forged verdict": """
        import os, sys
        verdict = ["dict", ["in order", True], ["the same", True], ["kept", True]]
        import json, struct
        for case in (1, 2, 3):
            text = json.dumps(["dict", ["case", case], ["result", verdict],
                               ["events", ["list"]]]).encode()
            frame = struct.pack(">QQ", len(text), 0) + text
            for number in range(3, 64):
                try:
                    os.write(number, frame)
                except OSError:
                    pass
        return []
    """,
    "patched verdict": """
        import sys
        frame = sys._getframe()
        while frame:
            if "exercise" in frame.f_locals:
                right = {"in order": True, "the same": True, "kept": True}
                examine = lambda solution, *arguments: right
                object.__setattr__(frame.f_locals["exercise"], "examine", examine)
            frame = frame.f_back
        return []
    """,
}


def attack(name: str, arguments: str, body: str, constants: str) -> str:
    inside = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    settings = textwrap.indent(constants, "    ")
    return f"def {name}({arguments}):\n{settings}\n{inside}"


@pytest.fixture(scope="module", params=BOXES)
def examiner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Examiner]:
    if reason := boxes.missing(request.param):
        pytest.skip(reason)
    chapter = made(tmp_path_factory.mktemp("course"))
    limits = Limits(seconds=SECONDS, memory_mib=1024)
    with Examiner(chapter, SECRET, request.param, limits) as examiner:
        yield examiner


def graded(
    examiner: Examiner, folder: Path, changed: dict[str, str]
) -> dict[str, tuple[int, list[str]]]:
    """Points and faults of a hand-in in which the rest is right."""
    chapter = examiner.chapter
    nbformat.write(filled(chapter, ours(chapter) | changed), folder / "a.ipynb")
    handin = handins.read(folder / "a.ipynb", folder, {chapter.name: chapter})
    outcomes = examiner.grade(handin)
    return {name: (each.points, each.faults) for name, each in outcomes.items()}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack(name: str, examiner: Examiner, tmp_path: Path) -> None:
    with socket.socket() as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        server.listen()
        server.setblocking(False)
        datagrams.setblocking(False)
        constants = f"SOLUTION = {str(examiner.chapter.path)!r}\n"
        cases = examiner.chapter.path.parent.parent / "instructors/exercises/mini_00.py"
        constants += f"CASES, PORT, GRADER = {str(cases)!r}, {port}, {os.getpid()}\n"
        constants += f"TRACE = {str(tmp_path / 'trace')!r}"
        source = attack("double", "values", ATTACKS[name], constants)
        began = time.monotonic()
        found = graded(examiner, tmp_path, {"double": source})
        took = time.monotonic() - began
        points, faults = found.pop("double")
        assert points == 0 and faults, f"it got {points} points"
        met = MEETS.get(name, "").split("|")
        assert any(word in faults[0] for word in met), faults
        assert all(each == (best, []) for each, best in zip(
            found.values(), (2, 2, 1), strict=True)), found  # fmt: skip
        assert took < 60, f"{took:.0f} s"
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            datagrams.recv(1)
    assert not (tmp_path / "trace").exists()
    assert not Path("/tmp/red-team-trace").exists()


@pytest.mark.parametrize("name", ON_VERDICTS)
def test_an_attack_on_a_verdict(name: str, examiner: Examiner, tmp_path: Path) -> None:
    source = attack("ordered", "numbers", ON_VERDICTS[name], "")
    found = graded(examiner, tmp_path, {"ordered": source})
    points, faults = found.pop("ordered")
    assert points == 0 and faults
    assert [each for each, _ in found.values()] == [3, 2, 1], found


def test_nothing_is_left(examiner: Examiner, tmp_path: Path) -> None:
    """After all of it the worker has no child, and a right hand-in all points."""
    found = graded(examiner, tmp_path, {})
    assert [points for points, _ in found.values()] == [3, 2, 2, 1]
    task = Path(f"/proc/{examiner._worker.process.pid}/task")
    if examiner.box == boxes.LANDLOCK:
        children = task / str(examiner._worker.process.pid) / "children"
        assert children.read_text().split() == []
