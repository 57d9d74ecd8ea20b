"""Cards: one JSON file for each recorded run; numbers in prose come from them."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bertcore.files import read_json, write_json


def make_card(
    what: str,
    data: str,
    results: Mapping[str, Any],
    packages: Sequence[str] = ("torch",),
    device: str | None = None,
    **setting: Any,
) -> dict[str, Any]:
    """What ran, on what, and what came out.

    Args:
        what: one sentence.
        data: the texts or weights, and where they come from.
        results: numbers by name; say the unit in the name.
        packages: those whose versions matter, besides Python.
        device: its name; by default the processor's.
        setting: anything else that the result depends on, such as a seed.
    """
    return {
        "what": what,
        "data": data,
        "setting": setting,
        "results": dict(results),
        "device": device or processor_name(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "revision": revision(),
    }


def write_card(path: str | Path, card: Mapping[str, Any]) -> None:
    """Write a card as a JSON file that is easy to compare line by line."""
    write_json(Path(path), card)


def read_card(name: str) -> dict[str, Any]:
    """A recorded run, from the package or from `data/runs` of the checkout.

    Raises:
        FileNotFoundError: naming the cards that there are.
    """
    package = Path(__file__).parent
    folders = (package / "runs", package.parent / "data" / "runs")
    for folder in folders:
        if (folder / f"{name}.json").is_file():
            return read_json(folder / f"{name}.json")
    names = sorted({path.stem for folder in folders for path in folder.glob("*.json")})
    raise FileNotFoundError(f"no card {name!r}; there are {', '.join(names)}")


def processor_name() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def revision() -> str | None:
    """The commit of this checkout, marked if something has changed since.

    A copy without its repository takes it from the variable BERTCORE_REVISION.
    """
    file = Path(__file__)
    git = ["git", "-C", str(file.parent)]
    try:  # a copy inside another project must not take that project's commit
        tracked = [*git, "ls-files", "--error-unmatch", file.name]
        subprocess.run(tracked, capture_output=True, check=True)
        run = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("BERTCORE_REVISION")
    return run.stdout.strip()
