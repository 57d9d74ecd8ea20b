"""The import graph: one direction, no circle, and a light `import bertcore`."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "bertcore"
# Part -> the parts that it may import. What is missing may import everything.
ALLOWED = {
    "sources": set(),
    "files": {"sources"},
    "cards": {"files"},
    "text": {"sources", "files"},
    "model": {"sources", "files"},
    "sentences": {"sources", "files", "text", "model"},
    "tasks": {"sources", "files", "text", "model"},
    "training": {"sources", "files", "cards", "text", "model", "sentences", "tasks"},
    "book": {"sources", "files", "cards", "text", "model", "tasks", "training"},
}


@cache  # each parameter of a test asks for it again
def modules() -> dict[str, set[str]]:
    """Every module of the package and the modules of the package that it imports."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    names = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: imported(path) & set(names) for name, path in names.items()}


@cache
def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def part(module: str) -> str:
    return [*module.split("."), ""][1]


def test_no_circle() -> None:
    graph = {name: found - {"bertcore"} for name, found in modules().items()}
    list(TopologicalSorter(graph).static_order())


def test_the_package_needs_nothing_that_stands_beside_it() -> None:
    beside = {"benchmarks", "contest", "grading", "instructors", "tests", "tools"}
    for path in PACKAGE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & beside, path


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_follow_the_direction(name: str) -> None:
    allowed = ALLOWED.get(part(name))
    if allowed is not None:
        used = {part(other) for other in modules()[name]} - {part(name), ""}
        assert used <= allowed, f"{name} imports {used - allowed}"


def test_nothing_imports_the_command() -> None:
    """But the command itself, and `python -m bertcore`."""
    for name, found in modules().items():
        assert "bertcore.__main__" not in found, name
        if part(name) not in ("command", "__main__"):
            assert "command" not in {part(other) for other in found}, name


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import bertcore", {"torch", "numpy", "matplotlib", "transformers"}),
        ("from bertcore import Tokenizer", {"torch", "matplotlib", "transformers"}),
        ("from bertcore import Bert", {"matplotlib", "transformers", "tokenizers"}),
        ("from bertcore import encode", {"matplotlib", "transformers", "tokenizers"}),
        ("import bertcore.book.diagram", {"torch", "transformers"}),
        ("import bertcore.__main__", {"torch", "numpy", "typer", "transformers"}),
    ],
)
def test_imports_are_light(statement: str, heavy: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*(set(sys.modules) & {heavy!r}))"
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert not output.split()


def test_public_names() -> None:
    import bertcore

    for name in bertcore.__all__:
        assert getattr(bertcore, name), name
    assert set(bertcore.__all__) <= set(dir(bertcore))
    with pytest.raises(AttributeError, match="bertcore has no 'Brt'; it has .*Bert"):
        _ = bertcore.Brt
