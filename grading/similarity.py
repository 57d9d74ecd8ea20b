"""Which hand-ins share more code than chance explains, by winnowing.

Winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003) is what MOSS does: of all runs
of some tokens it keeps a few as fingerprints, so that two texts that share a long
enough run share a fingerprint, wherever it stands. Before, code is brought into one
form: no comments, docstrings and annotations, and one name for all that its author
could have called otherwise.

What the chapter gives, its solution, and what many hand-ins share is nobody's own, and
does not count.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple
from zlib import crc32

from grading.chapters import Chapter
from grading.handins import Handin

RUN = 8  # tokens of which a fingerprint is made: shorter ones are shared by chance
WINDOW = 4  # of so many adjacent runs one is kept, so 11 shared tokens are always found
# A pair is listed from these on. Of chapters 0 to 4, right solutions that were written
# apart share at most 0.06 of their fingerprints; a copy with other names shares all.
LEAST_SHARE, LEAST_PRINTS = 0.4, 8
MANY = 5  # hand-ins, and half of them, make a fingerprint common


class Pair(NamedTuple):
    """Two hand-ins that are alike.

    Attributes:
        first_in_second: which share of the first one's own fingerprints the second has.
        exercises: in which fingerprints are shared.
    """

    first: str
    second: str
    first_in_second: float
    second_in_first: float
    exercises: list[str]


def similar(found: Iterable[Handin], chapter: Chapter) -> list[Pair]:
    """The pairs of a chapter's hand-ins that are alike, the most alike first."""
    public = {
        each
        for _, source in chapter.cells(solved=True)
        for each in fingerprints(source, chapter)
    }
    own: dict[str, set[tuple[str, int]]] = {}
    for handin in found:
        if handin.chapter == chapter.name:
            own[handin.name] = {
                (name, each)
                for name, sources in handin.sources.items()
                for _, source in sources
                for each in _readable(source, chapter) - public
            }
    counts = Counter(each for prints in own.values() for each in prints)
    most = max(MANY - 1, len(own) / 2)
    common = {each for each, times in counts.items() if times > most}
    own = {name: prints - common for name, prints in own.items()}
    pairs = []
    for (first, a), (second, b) in combinations(own.items(), 2):
        shared = a & b
        if len(shared) < LEAST_PRINTS:
            continue
        shares = len(shared) / len(a), len(shared) / len(b)
        if max(shares) >= LEAST_SHARE:
            names = {name for name, _ in shared}
            exercises = [name for name in chapter.tasks if name in names]
            pairs.append(Pair(first, second, *shares, exercises))
    return sorted(pairs, key=lambda pair: -max(pair[2:4]))


def fingerprints(source: str, chapter: Chapter) -> set[int]:
    """The fingerprints of some code; the chapter's own names stay as they are."""
    tokens = re.findall(r"\w+|[^\w\s]", canonical(source, set(chapter.tasks)))
    runs = [
        crc32(" ".join(tokens[at : at + RUN]).encode())
        for at in range(len(tokens) - RUN + 1)
    ]
    windows = range(max(len(runs) - WINDOW + 1, min(len(runs), 1)))
    return {min(runs[at : at + WINDOW]) for at in windows}


def _readable(source: str, chapter: Chapter) -> set[int]:
    """A stranger's code may be nested deeper than Python can walk."""
    try:
        return fingerprints(source, chapter)
    except RecursionError:
        return set()


def canonical(source: str, kept: set[str]) -> str:
    """Code without what an author may change and still copy.

    >>> canonical("def f(x: int, eps=1e-5):  # !\\n    y = x.size(0); return y", {"f"})
    'def f(v, v=1e-05):\\n    v = v.size(0)\\n    return v'
    """
    tree = ast.parse(source)
    return ast.unparse(_Canonical(_chosen(tree) - kept).visit(tree))


def _chosen(tree: ast.AST) -> set[str]:
    """The names that the code itself gives to something."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
            case ast.Attribute(ctx=ast.Store()):
                found.add(node.attr)
            case ast.arg():
                found.add(node.arg)
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.alias(asname=str()):
                found.add(node.asname)
    return {name for name in found if not name.startswith("__")}


class _Canonical(ast.NodeTransformer):
    """Renames what is chosen, and drops docstrings and annotations."""

    def __init__(self, chosen: set[str]) -> None:
        self.chosen = chosen

    def _name(self, name: str) -> str:
        return "v" if name in self.chosen else name

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("name", "id", "attr", "arg", "asname"):
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, self._name(getattr(node, field)))
        for field in ("annotation", "returns"):
            if hasattr(node, field) and not isinstance(node, ast.AnnAssign):
                setattr(node, field, None)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # where there was a docstring alone
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        plain = ast.Assign([node.target], node.value, lineno=node.lineno)
        return self.generic_visit(plain)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant)
        return None if is_text else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("s") if isinstance(node.value, str) else node
