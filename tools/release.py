"""Make a release: python -m tools.release, or make release

    make release                  all that a release consists of, in _build/release
    make release TO=REPOSITORY    the same; then push its tag and students' notebooks

What is made stands in `FILES` and comes from the commit that is checked out, never
from files that are not committed. The wheel is tried in an environment that has nothing
else. The site and the notebooks are built in a clone, in which the notebooks' first
cells install this very release. `REPOSITORY` is an address that git can push to.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertcore import __version__
from bertcore.files import digest
from bertcore.sources import OUR_MODEL
from tools.sync import repository

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "release"
FILES = """\
bertcore-{0}-py3-none-any.whl  the package, with its model and the recorded runs
bertcore-{0}.tar.gz            the same as source
bertcore-{0}.cdx.json          bill of materials: what the package was tried with
site-{0}.zip                   the book
notebooks-{0}.zip              the students' copies, as on the branch colab
release-notes.md               this version's part of CHANGELOG.md
SHA256SUMS                     of all these: sha256sum --check SHA256SUMS"""
# Each in an environment of its own: nothing else here needs what they bring.
TOOLS = {"build": "build==1.6.1 twine==7.0.0", "bill": "cyclonedx-bom==7.5.0"}
WHEEL_BYTES = 2**20  # of code and tables: the model and the recorded runs not counted
COMMANDS = (
    ["--help"],
    ["info", OUR_MODEL],
    ["pieces", "past the headland", "--model", OUR_MODEL],
    ["fill-mask", "The river flows into the [MASK].", "--top", "3"],
)


class Unfit(Exception):
    """Why this cannot be released, and what to do."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and then how long it took."""
    print(f"{what} …", flush=True)
    began = time.monotonic()
    yield
    print(f"    {time.monotonic() - began:.0f} s", flush=True)


def run(*command: str | Path, cwd: Path = OUT, **variables: str) -> str:
    """What a command prints.

    Raises:
        Unfit: with the end of what it printed, if its exit status is not 0.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        shown = " ".join(map(str, command))
        raise Unfit(f"{shown} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def environment(folder: Path, *packages: str | Path) -> Path:
    """A new environment with these packages; its Python."""
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check"]
        constraints = ["--constraint", ROOT / "constraints.txt"]
        ours = any(isinstance(package, Path) for package in packages)
        run(*pip, *(constraints if ours else []), *packages, cwd=folder)
        (folder / ".ready").touch()
    return folder / "bin" / "python"


def notes() -> str:
    """This version's part of CHANGELOG.md.

    Raises:
        Unfit: if there is none, or no date in its heading, or another version is cited.
    """
    parts = re.split(r"(?m)^(?=## )", (ROOT / "CHANGELOG.md").read_text("utf8"))
    heading = re.compile(rf"## {re.escape(__version__)}, (.+)")
    found = [(match[1], part) for part in parts if (match := heading.match(part))]
    if not found:
        raise Unfit(f"CHANGELOG.md has no part for {__version__}: write one")
    date, text = found[0]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise Unfit(
            f"CHANGELOG.md says {__version__}, {date}: give the day as 2026-01-31"
        )
    cited = f"\nversion: {__version__}\n"
    if cited not in (ROOT / "CITATION.cff").read_text("utf8"):
        raise Unfit(f"CITATION.cff does not say version: {__version__}")
    # On the page of a release there is nothing beside it that a link could lead to.
    place = f"{repository()}/blob/v{__version__}/"
    return re.sub(r"\]\((?!https?:|#)", f"]({place}", text)


def reference() -> str:
    """What the notebooks install: the tag of this version if it is here, or the commit.

    Raises:
        Unfit: if something is not committed, or the tag is on another commit.
    """
    if changed := run("git", "status", "--porcelain", cwd=ROOT).strip():
        raise Unfit(f"not committed:\n{changed}\nCommit it, or put it away")
    commit, tag = run("git", "rev-parse", "HEAD", cwd=ROOT).strip(), f"v{__version__}"
    if not run("git", "tag", "--list", tag, cwd=ROOT).strip():
        return commit
    tagged = run("git", "rev-parse", f"{tag}^{{commit}}", cwd=ROOT).strip()
    if tagged != commit:
        raise Unfit(
            f"{tag} is {tagged[:12]}, and here is {commit[:12]}: what was released "
            "stays as it is, so take the next version"
        )
    return tag


def build(source: Path) -> Path:
    """Wheel and source archive, their metadata checked; the wheel's path.

    Raises:
        Unfit: if the wheel is larger than it should be.
    """
    python = environment(
        OUT.parent / "release-tools" / "build", *TOOLS["build"].split()
    )
    run(python, "-m", "build", "--outdir", OUT, source)
    (wheel,) = OUT.glob("*.whl")
    run(python, "-m", "twine", "check", "--strict", wheel, *OUT.glob("*.tar.gz"))
    sizes = {"code": 0, "models": 0, "runs": 0}
    with zipfile.ZipFile(wheel) as archive:
        for each in archive.infolist():
            part = each.filename.split("/")[1]
            sizes[part if part in sizes else "code"] += each.compress_size
    told = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items())
    print(f"    {wheel.name}: {told}")
    if sizes["code"] > WHEEL_BYTES:
        raise Unfit(f"the wheel's code has {sizes['code']:,} bytes: what came into it?")
    return wheel


def try_wheel(wheel: Path, source: Path) -> None:
    """In an empty environment: its commands, its bill of materials, then the map.

    The bill is made before the map's needs are installed, which are not the package's.
    """
    bare = OUT.parent / "release-tools" / "bare"
    shutil.rmtree(bare, ignore_errors=True)
    python = environment(bare, wheel)
    run(python, "-m", "pip", "check")
    for command in COMMANDS:
        run(bare / "bin" / "bertcore", *command)
    seconds = run(python, "-X", "importtime", "-c", "import bertcore")
    (last,) = re.findall(r"\|\s+(\d+) \| bertcore\n", seconds)
    print(f"    import bertcore: {int(last) / 1000:.1f} ms, torch left for later")
    maker = environment(OUT.parent / "release-tools" / "bill", TOOLS["bill"])
    bill = OUT / f"bertcore-{__version__}.cdx.json"
    options = "--output-reproducible", "--pyproject", ROOT / "pyproject.toml"
    run(maker, "-m", "cyclonedx_py", "environment", *options, "-o", bill, python)
    print(f"    {len(json.loads(bill.read_text())['components'])} packages in the bill")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    wanted = extras["project"]["optional-dependencies"]
    needed = [*wanted["plot"], *wanted["weights"], "ipykernel", "nbclient"]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--constraint", ROOT / "constraints.txt", *needed)
    alone = OUT / "map"
    alone.mkdir()
    shutil.copy(source / "chapters" / "00-map.ipynb", alone)
    execute = [python, "-m", "jupyter", "execute", "00-map.ipynb"]
    run(*execute, cwd=alone, OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    shutil.rmtree(alone)


def build_site(source: Path, ref: str) -> None:
    """The site, and the students' notebooks with its outputs, all installing `ref`."""
    run(sys.executable, "tools/sync.py", "--ref", ref, cwd=source)
    # The environment is this one's, and it is ready, whatever the clone's files' dates.
    tree = Path(sys.executable).parent.parent
    run("make", "book", "colab", f"VENV={tree}", "-o", tree / ".ready", cwd=source)
    built = source / "_build"
    for folder, kept in ((built / "html", "site"), (built / "colab", "notebooks")):
        folder.rename(OUT / kept)
        shutil.make_archive(str(OUT / f"{kept}-{__version__}"), "zip", OUT / kept)
    check_links(OUT / "site", OUT / "notebooks")


def check_links(site: Path, notebooks: Path) -> None:
    """Every link to Colab leads to a notebook that is on the branch.

    Raises:
        Unfit: naming those that lead nowhere.
    """
    pages = [path.read_text("utf8") for path in site.rglob("*.html")]
    linked = set(re.findall(r"/blob/colab/([^\"#?]+)", "\n".join(pages)))
    lost = sorted(name for name in linked if not (notebooks / name).is_file())
    if lost or not linked:
        raise Unfit(f"Colab links lead to {', '.join(lost) or 'nothing at all'}")


def push(repository: str, ref: str) -> None:
    """The tag, and the students' notebooks as the branch colab."""
    if ref != (tag := f"v{__version__}"):
        run("git", "tag", "--annotate", tag, "--message", f"bertcore {__version__}",
            cwd=ROOT)  # fmt: skip
    run("git", "push", "--quiet", repository, tag, cwd=ROOT)
    run(ROOT / "tools" / "publish_colab", OUT / "notebooks", repository, cwd=ROOT)


def release(repository: str | None) -> None:
    """Make everything, and push it if there is where to.

    Raises:
        Unfit: if something is not as a release should be; nothing was pushed then.
    """
    shutil.rmtree(OUT, ignore_errors=True)
    source = OUT / "source"
    OUT.mkdir(parents=True)
    text, ref = notes(), reference()
    if repository:  # the tag comes last, and the notebooks name it
        ref = f"v{__version__}"
    with step(f"bertcore {__version__} of {ref}: build it"):
        run("git", "clone", "--quiet", ROOT, source)
        wheel = build(source)
    with step("try it in an empty environment"):
        try_wheel(wheel, source)
    with step("build the site and the notebooks, some minutes"):
        build_site(source, ref)
    shutil.rmtree(source)
    (OUT / "release-notes.md").write_text(text, encoding="utf8")
    files = sorted(path for path in OUT.iterdir() if path.is_file())
    sums = "".join(f"{digest(path)}  {path.name}\n" for path in files)
    (OUT / "SHA256SUMS").write_text(sums, encoding="utf8")
    print(FILES.format(__version__))
    if repository:
        with step(f"push to {repository}"):
            push(repository, reference())
    else:
        print("Nothing was pushed; make release TO=REPOSITORY does.")


def main() -> int:
    """Make a release; the exit status is 1 if something is not fit for one."""
    parser = argparse.ArgumentParser(description="Make a release.")
    parser.add_argument("--to", metavar="REPOSITORY", help="push to this address, too")
    try:
        release(parser.parse_args().to)
    except Unfit as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
