"""What students hand in: found, read whatever became of it, and cut to what is graded.

A hand-in is known by the names of its functions. Tags, order, further cells, outputs
and the version of the format do not matter, because Colab and editors change them.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from grading.chapters import Chapter

MOST_BYTES = 50 << 20  # of a notebook; with pictures it has one or two million
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Source = tuple[str, str]  # a label, such as "cell 3", and code
_PARSING = Lock()


def parsed(source: str) -> ast.Module:
    """The syntax tree of a source.

    One at a time: threads that make trees at once disturb Python's count of how deep
    each is, and then it raises a SystemError (python/cpython, issue 106905).
    """
    with _PARSING:
        return ast.parse(source)


@dataclass
class Handin:
    """One notebook that somebody handed in.

    Attributes:
        name: its place in the folder, without the ending.
        chapter: whose exercises it has; None if none.
        sources: for each exercise that is begun what is run, in order: its
            definition, and what that needs.
        notes: what an instructor should know.
        digest: of the file.
    """

    name: str
    path: Path
    chapter: str | None = None
    sources: dict[str, list[Source]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digest: str = ""


def find(folder: Path) -> list[Path]:
    """The notebooks in a folder, at any depth, but for what an editor keeps.

    Raises:
        ValueError: if there is none.
    """
    hidden = re.compile(r"(^|/)(\.|__MACOSX)")
    found = [
        path
        for path in sorted(folder.rglob("*.ipynb"))
        if not hidden.search(path.relative_to(folder).as_posix())
    ]
    if not found:
        raise ValueError(f"there is no notebook (.ipynb) in {folder}")
    return found


def read(path: Path, folder: Path, chapters: dict[str, Chapter]) -> Handin:
    """A hand-in; what cannot be read is noted, and never raises."""
    name = path.relative_to(folder).with_suffix("").as_posix()
    handin = Handin(name, path)
    try:
        if path.is_symlink() or path.stat().st_size > MOST_BYTES:
            handin.notes.append("it is a link, or larger than 50 MB, and was not read")
            return handin
        content = path.read_bytes()
        handin.digest = sha256(content).hexdigest()
        cells = list(_cells(content))
    except Exception as error:
        handin.notes.append(f"not a notebook that can be read: {str(error)[:200]}")
        return handin
    take(handin, cells, chapters)
    return handin


def take(handin: Handin, cells: list[Source], chapters: dict[str, Chapter]) -> None:
    """Find out which chapter's exercises cells do; keep these and what they need."""
    statements = list(_statements(cells, handin.notes))
    defined = {node.name for _, node, _ in statements if isinstance(node, Definition)}
    best = max(chapters.values(), key=lambda c: len(defined & set(c.tasks)))
    if not defined & set(best.tasks):
        handin.notes.append(
            "no exercise of " + ", ".join(chapters) + " is in it: another chapter's?"
        )
        return
    handin.chapter = best.name
    _cut(handin, statements, best)


def _cells(content: bytes) -> Iterator[Source]:
    """The code cells of a notebook of any version, with labels.

    Raises:
        ValueError: if it is no notebook.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is missing in old files
        document = json.loads(content.decode("utf-8-sig"))
        if not isinstance(document, dict):
            raise ValueError("it is JSON, but no notebook")
        try:
            cells = nbformat.reads(json.dumps(document), as_version=4).cells
        except Exception:  # damaged, or newer than nbformat knows: the cells may do
            cells = document.get("cells")
            if not isinstance(cells, list):
                raise ValueError("it has no cells") from None
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            text = "".join(source) if isinstance(source, list) else str(source)
            yield f"cell {number}", text


def _statements(
    cells: list[Source], notes: list[str]
) -> Iterator[tuple[str, ast.stmt, str]]:
    """All statements at the top of cells: label, tree and source.

    A cell that is no Python is left out and noted.
    """
    magics = TransformerManager()
    for label, source in cells:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source = magics.transform_cell(source)
                body = parsed(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = str(error)
            if isinstance(error, SyntaxError):
                said = f"{error.msg}, in its line {error.lineno}"
            notes.append(f"{label} is not Python, and was left out: {said[:120]}")
            continue
        lines = source.splitlines()
        for node in body:
            first = min([node.lineno, *(d.lineno for d in _decorators(node))])
            yield label, node, "\n".join(lines[first - 1 : node.end_lineno])


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


def _cut(
    handin: Handin, statements: list[tuple[str, ast.stmt, str]], chapter: Chapter
) -> None:
    """Keep the last version of each exercise, and what it needs of the student's own.

    Training loops and experiments at the top of cells are not run, because no exercise
    needs what they leave; nor is what the chapter itself gives, which is there already.
    """
    given = {ast.dump(node) for node in _given(chapter)}
    blanks = {
        name: ast.dump(parsed(code).body[0]) for name, code in chapter.blanks.items()
    }
    own = [each for each in statements if ast.dump(each[1]) not in given]
    last: dict[str, int] = {}  # where the version of an exercise is that counts
    for name in chapter.tasks:
        versions = [
            (at, node)
            for at, (_, node, _) in enumerate(own)
            if isinstance(node, Definition) and node.name == name
        ]
        begun = [at for at, node in versions if ast.dump(node) != blanks.get(name)]
        if begun:
            last[name] = begun[-1]
            if len(begun) > 1:
                times = f"{len(begun)} times"
                handin.notes.append(f"{name} is defined {times}; the last one counts")
        else:
            what = (
                "not begun"
                if versions
                else "missing: no cell that is Python defines it"
            )
            handin.notes.append(f"{name} is {what}")
    for name, at in last.items():
        needed = _needed(at, own, last)
        handin.sources[name] = [(own[n][0], own[n][2]) for n in sorted(needed)]


def _needed(
    start: int, own: list[tuple[str, ast.stmt, str]], last: dict[str, int]
) -> set[int]:
    """Which statements a definition needs, directly or not, and its own number."""
    needed, todo = {start}, [start]
    while todo:
        wanted = _names(own[todo.pop()][1])
        for at, (_, node, _) in enumerate(own):
            binds = _binds(node) & wanted
            if at in needed or any(at != last.get(name, at) for name in binds):
                continue
            if binds:
                needed.add(at)
                todo.append(at)
    return needed


def _given(chapter: Chapter) -> Iterator[ast.stmt]:
    for _, source in chapter.cells(solved=False):
        yield from parsed(source).body


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _binds(node: ast.stmt) -> set[str]:
    """The names that a statement at the top defines, if it is one that is run."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {(each.asname or each.name).split(".")[0] for each in node.names}
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return {name for each in targets for name in _names(each)}
    return set()


def fingerprint(handin: Handin) -> str:
    """A digest of the code that is graded, without comments and layout; '' if none."""
    if not handin.sources:
        return ""
    sources = {each for sources in handin.sources.values() for each in sources}
    trees = sorted(ast.dump(parsed(source)) for _, source in sources)
    return sha256("\n".join(trees).encode()).hexdigest()
