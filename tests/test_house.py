"""The house stays small: how many modules, how long, each name once, README's tree.

A bound is the end and not the aim: a module has 100 to 500 lines, a function about 25,
a class about 60. Whoever meets a bound takes something away first. The training loop
alone may be longer: forward, backward, clip and step are to be seen at once.
"""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path, PurePosixPath

from bertcore.model.bert import Bert
from bertcore.model.variants.families import FAMILIES
from bertcore.tasks import KINDS
from tests.conftest import ROOT

PACKAGE = ROOT / "bertcore"
# Without the modules of single kinds of tasks and of variants' families: one more of
# these is a module of its own, and each is bounded as every module is.
MODULES = 79
LINES = 23_100
# Of one module, with its docstrings; of a function or a class, without them.
MODULE, FUNCTION, CLASS = 620, 40, 175
LOOP = {"train": 90}


@cache
def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf8") for path in PACKAGE.rglob("*.py")}


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(source) for path, source in sources().items()}


def code_lines(node: ast.AST) -> int:
    """Lines of a function or class without the docstrings in it."""
    lines = node.end_lineno - node.lineno + 1
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
            first = inner.body[0]
            if ast.get_docstring(inner) is not None:
                lines -= first.end_lineno - first.lineno + 1
    return lines


# Sizes -------------------------------------------------------------------------------


def test_the_package_is_small() -> None:
    apart = {type(task).__module__ for task in KINDS.values()}
    apart |= {family.body.__module__ for family in FAMILIES.values()}
    apart -= {Bert.__module__}
    counted = [
        source.count("\n")
        for path, source in sources().items()
        if ".".join(path.relative_to(ROOT).with_suffix("").parts) not in apart
    ]
    assert len(counted) <= MODULES
    assert sum(counted) <= LINES


def test_modules_functions_and_classes_are_short() -> None:
    limits = {ast.FunctionDef: FUNCTION, ast.ClassDef: CLASS}
    long = {}
    for path, source in sources().items():
        if (lines := source.count("\n")) > MODULE:
            long[str(path.relative_to(ROOT))] = lines
    for path, tree in trees().items():
        for node in ast.walk(tree):
            limit = limits.get(type(node))
            if path.stem == "loop":
                limit = LOOP.get(getattr(node, "name", ""), limit)
            if limit and (lines := code_lines(node)) > limit:
                long[f"{path.relative_to(ROOT)}: {node.name}"] = lines
    assert not long


def test_no_bare_assert_and_no_print_in_the_package() -> None:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Assert), path
            call = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            assert call != "print" or path.name == "__main__.py", path


# Names -------------------------------------------------------------------------------


def test_each_name_stands_for_one_module() -> None:
    places = defaultdict(list)
    for path in sources():
        if path.name != "__init__.py":
            places[path.stem].append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_each_name_stands_for_one_public_class() -> None:
    places = defaultdict(list)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}


# The README's tree -------------------------------------------------------------------


def parse_tree(block: str) -> list[PurePosixPath]:
    """The paths of a drawn tree, where a name's indentation says what it is in.

    >>> parse_tree('''
    ... bertcore/
    ...   text/             text -> ids
    ...     wordpiece.py    a word's pieces,
    ...                     with their places
    ... index.md notation.md    two pages
    ... ''')[2:]
    [PurePosixPath('bertcore/text/wordpiece.py'), PurePosixPath('index.md'), \
PurePosixPath('notation.md')]
    """
    found, above = [], []  # above: the folders that the line may be in, and how deep
    for line in block.splitlines():
        depth = len(line) - len(line.lstrip())
        if not line.strip() or depth > 8:  # a remark that goes on
            continue
        while above and above[-1][0] >= depth:
            above.pop()
        folder = above[-1][1] if above else PurePosixPath()
        names, *_ = line.strip().split("  ")
        found += [folder / name for name in names.split()]
        if names.endswith("/"):
            above.append((depth, found[-1]))
    return found


def test_the_readme_shows_every_module_once() -> None:
    readme = (ROOT / "bertcore" / "README.md").read_text(encoding="utf8")
    _, rest = readme.split("## What is where", 1)
    shown = [str(path) for path in parse_tree(rest.split("```")[1])]
    assert not [path for path in shown if not (ROOT / path).exists()]
    assert len(shown) == len(set(shown)), "a path stands there twice"
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if path.name not in ("__init__.py", "__main__.py")
    }
    named = {path for path in shown if path.startswith("bertcore/")}
    named = {path for path in named if path.endswith(".py")}
    named -= {"bertcore/__init__.py", "bertcore/__main__.py"}
    assert named == modules
