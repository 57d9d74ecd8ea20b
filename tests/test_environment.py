"""The files that install things agree with one another."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

from tests.conftest import ROOT

REQUIRED = {"jupyter-book", "jupyterlab", "torch", "matplotlib", "nbval", "einops"}

KINDS = ("data", "corpora", "tasks", "tests")
DATA = [f"requirements-{kind}.txt" for kind in KINDS]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): pinned for name, pinned in pins}


def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def data_pins() -> dict[str, str]:
    """The packages that are installed for their files alone."""
    text = "\n".join((ROOT / name).read_text() for name in DATA)
    found = re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)
    return {normal(name): pinned for name, pinned in found}


def test_conda_and_constraints_agree() -> None:
    (pip,) = (d["pip"] for d in conda()["dependencies"] if isinstance(d, dict))
    assert "--constraint constraints.txt" in pip
    pins = dict(line.split("==") for line in pip if "==" in line)
    assert set(pins) == REQUIRED
    for name, pinned in pins.items():
        assert constraints()[name] == pinned, f"{name} in environment.yml"


def test_every_requirement_is_pinned_and_satisfied_by_its_pin() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for group in project["optional-dependencies"].values():
        wanted += group
    pins = constraints() | data_pins()
    for requirement in map(Requirement, wanted):
        if normal(requirement.name) != "bertcore":
            assert requirement.specifier.contains(pins[normal(requirement.name)])
    assert REQUIRED <= set(pins)


def test_data_packages_are_installed_and_locked() -> None:
    """In every set-up, with a checksum each, and as the versions that stand there."""
    make = (ROOT / "Makefile").read_text()
    (ready,) = re.findall(r"^\$\(READY\): (.+)$", make, re.MULTILINE)
    for name in DATA:
        text = (ROOT / name).read_text()
        assert 0 < text.count("==") <= text.count("--hash=sha256:")
        assert name in ready.split()
        assert f"--requirement {name}" in make
        for guide in ("README.md", "environment.yml"):
            assert f"-r {name}" in (ROOT / guide).read_text()
    for name, pinned in data_pins().items():
        assert version(name) == pinned


def test_torch_is_pinned_exactly() -> None:
    assert constraints()["torch"] == "2.13.0"
    assert constraints()["jupyter-book"] == "1.0.4.post1"


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    """What tools/oldest.txt and the weekly run take is what pyproject.toml admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["plot"], *extras["variants"]]
    asked += [each for each in extras["test"] if each.startswith("transformers")]
    bounds = dict(each.split(">=") for each in asked if ">=" in each)
    torch = bounds.pop("torch")
    text = (ROOT / "tools" / "oldest.txt").read_text()
    oldest = dict(re.findall(r"(?m)^([\w-]+)==(\d+\.\d+\.\d+)$", text))
    assert oldest.pop("huggingface-hub"), "which the oldest transformers needs"
    for name, bound in bounds.items():
        assert (oldest.pop(name) + ".").startswith(bound + "."), name
    assert not oldest
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    assert f"torch=={torch}.0\n" in workflow


def test_colab_satisfies_the_bounds() -> None:
    """Of Colab's own versions bertcore must move none, whatever is asked for."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    text = (ROOT / "tools" / "colab.txt").read_text()
    colab = dict(re.findall(r"(?m)^([\w-]+)==(.+)$", text))
    colab["torch"] = re.search(r"torch is ([\d.]+) for", text)[1]
    python = re.search(r"Python ([\d.]+)\n", text)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(python)
    extras = project["optional-dependencies"]
    users = [*project["dependencies"], *extras["plot"], *extras["variants"]]
    asked = [Requirement(each) for each in (*users, *extras["tasks"], *extras["hub"])]
    admitted = {each.name for each in asked if each.name in colab}
    for each in asked:
        assert each.specifier.contains(colab.get(each.name, "99")), each
    needed = {Requirement(each).name for each in project["dependencies"]}
    assert needed <= admitted, "Colab's versions of these are not in tools/colab.txt"


def test_workflows_are_pinned_and_have_few_rights() -> None:
    """Actions by digest, the least permissions, nothing of a stranger in a script."""
    zizmor = Path(sys.executable).parent / "zizmor"
    options = "--offline", "--no-progress", "--persona=pedantic", "--min-severity=low"
    told = subprocess.run(
        [zizmor, *options, ROOT / ".github" / "workflows"],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout


def test_what_needs_no_torch_runs_without_it() -> None:
    """As `make without-torch` tries it with a Python for which there is no torch."""
    tried = [sys.executable, "-m", "tools.without_torch"]
    told = subprocess.run(tried, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "24 modules pass" in told.stdout
