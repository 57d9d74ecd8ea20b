"""The names that chapters, README and instructors take from the package, as a file.

Run it by hand, from the root of the repository, when a name is meant to come or go:

    python -m tests.golden.names

tests/test_public_names.py reads the file. What counts there are the names and their
kinds; the module that each comes from is a remark, of the day it was written.
"""

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import nbformat

from tests.conftest import ROOT

FILE = Path(__file__).parent / "public_names.json"
PACKAGE = "bertcore"


class Import(NamedTuple):
    """`from module import name`, and the file that says so."""

    file: str
    module: str
    name: str


def sources() -> Iterator[tuple[str, str]]:
    """Python that people read and run: the file's name, and the code in it."""
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        yield path.name, "\n".join(code)  # what one cell imports, others use
    for path in (ROOT / "README.md", ROOT / "bertcore" / "README.md"):
        text = path.read_text(encoding="utf8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        yield path.relative_to(ROOT).as_posix(), "\n".join(blocks)
    for path in sorted((ROOT / "instructors").rglob("*.py")):
        yield path.name, path.read_text(encoding="utf8")


def imports() -> list[Import]:
    """All that is imported from the package."""
    return [
        Import(file, node.module, alias.name)
        for file, source in sources()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and _ours(node.module)
        for alias in node.names
    ]


def used() -> dict[str, dict[str, str]]:
    """Each name with its kind and the module that it is imported from.

    Of a module that is imported itself, as `plots` is, the names that are used: to
    whoever reads `plots.show`, `show` is the name.
    """
    found: dict[str, dict[str, str]] = {}

    def add(module: str, name: str) -> None:
        value = getattr(importlib.import_module(module), name)
        found.setdefault(name, {"kind": kind_of(value), "from": module})

    for _, source in sources():
        tree, modules = ast.parse(source), {PACKAGE: PACKAGE}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and _ours(node.module):
                for alias in node.names:
                    if _is_module(node.module, alias.name):
                        modules[alias.name] = f"{node.module}.{alias.name}"
                    else:
                        add(node.module, alias.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = modules.get(node.value.id)
                if module and hasattr(importlib.import_module(module), node.attr):
                    add(module, node.attr)
    return dict(sorted(found.items()))


def kind_of(value: object) -> str:
    """A class, a function, or a constant."""
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) and hasattr(value, "__code__") else "constant"


def defined() -> dict[str, set[str]]:
    """Every name at the top of a module of the package, with the kinds it is there."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf8")).body:
            for name, kind in _definitions(node):
                found.setdefault(name, set()).add(kind)
    return found


def _definitions(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ClassDef):
        yield node.name, "class"
    elif isinstance(node, ast.FunctionDef):
        yield node.name, "function"
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (n for target in targets for n in ast.walk(target)):
            if isinstance(name, ast.Name):
                yield name.id, "constant"


def _ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == PACKAGE


def _is_module(module: str, name: str) -> bool:
    value = getattr(importlib.import_module(module), name, None)
    if value is None:  # a part that nobody has imported yet
        value = importlib.import_module(f"{module}.{name}")
    return isinstance(value, ModuleType)


if __name__ == "__main__":
    text = json.dumps(used(), indent=1)
    FILE.write_text(text + "\n", encoding="utf8", newline="\n")
