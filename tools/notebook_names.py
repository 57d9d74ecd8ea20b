"""Names that several cells of a notebook assign, and who reads them all the same.

A notebook has one scope. A loop variable in one cell silently becomes the `ids` of
another, which then runs without an error and decides something about other ids. So the
cells that matter must not read a name that several cells assign.

The rule, in plain words:

- A cell *matters* if it decides a claim or belongs to an exercise. It decides a claim
  if it is tagged `claim:N`, or if it is one of the code cells right before or right
  after a text that has the word "claim", "claims" or "decided" in it. It belongs to an
  exercise if it is tagged `exercise`, `check` or `hidden-check`.
- A cell *assigns* whatever it binds in the notebook's scope: by `=`, `+=`, `:=`, `for`,
  `with`, `except`, `match`, `import`, `def`, `class` or `global`. Names local to a
  function, a class or a comprehension do not count. Importing the same thing again is
  no second assignment; importing another thing under the same name is one.
- A cell *reads* a name where it asks for the value. A function or class reads all
  global names in its body, at the place where it is defined; a cell that uses one of
  another cell reads them too.
- What a cell has assigned itself, at its top level, is its own, and it may read that.
  After an `if` or a `try`, each branch that goes on must have assigned it; a loop is
  taken to run at least once, and one case of a `match` to fit.

What the rule does not see: objects that are changed in place, and what the methods of
an object read if the cell names the object alone, not its class.
"""

import ast
import re
import symtable
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby

from nbformat import NotebookNode

from tools.student import tags
from tools.sync import COMPARED

EXERCISE = {"exercise", "check", "hidden-check"}
DECIDES = re.compile(r"\b(claims?|decided)\b", re.IGNORECASE)
BOOLEAN = re.compile(r"\b(True|False)\b")
LEAVES = (ast.Raise, ast.Return, ast.Continue, ast.Break)


@dataclass
class Names:
    """What one cell does with the notebook's names."""

    # Name -> what it is bound to: the dotted name of an import, or "" for anything new.
    assigned: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    # Read before the cell has assigned them itself.
    read: set[str] = field(default_factory=set)
    # Function or class -> the global names in its body.
    bodies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def names(source: str) -> Names:
    """The names of a cell.

    >>> cell = names("total = 0\\nfor row in rows:\\n    total += row")
    >>> sorted(cell.assigned), sorted(cell.read)
    (['row', 'total'], ['rows'])

    Raises:
        ValueError: if the cell imports `*`, because then nobody can tell its names.
    """
    walker = _Walker()
    walker.block(ast.parse(source).body, set())
    return walker.names


class _Walker(ast.NodeVisitor):
    """Goes through a cell in the order in which it runs; `own` is assigned so far."""

    def __init__(self) -> None:
        self.names = Names()
        self.own: set[str] = set()
        self.later: set[str] = set()  # what lambdas of this statement will read

    def block(self, statements: list[ast.stmt], own: set[str]) -> set[str] | None:
        """What is assigned after these; nothing if the run goes on elsewhere."""
        self.own = set(own)
        for statement in statements:
            self.visit(statement)
        leaves = bool(statements) and isinstance(statements[-1], LEAVES)
        return None if leaves else self.own

    def join(self, ends: list[set[str] | None], before: set[str]) -> None:
        """After branches: what every one that goes on from here has assigned."""
        going_on = [end for end in ends if end is not None]
        self.own = set.intersection(*going_on) if going_on else set(before)

    def assign(self, name: str, thing: str = "") -> None:
        self.names.assigned[name].add(thing)
        self.own.add(name)

    def use(self, name: str) -> None:
        if name not in self.own:
            self.names.read.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.use(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.assign(node.id)
        else:
            self.own.discard(node.id)

    # Where the fields of the syntax tree are not in the order of the run --------------

    def visit_Assign(self, node: ast.Assign) -> None:
        self.later = set()
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            if self.later:  # a lambda, alone, in a list or into one
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        self.names.bodies[part.id] |= self.later

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.use(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        for statement in [*node.body, *node.orelse]:
            self.visit(statement)

    visit_AsyncFor = visit_For

    # Branches -------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        before = self.own
        ends = [self.block(part, before) for part in (node.body, node.orelse)]
        self.join(ends, before)

    def visit_Try(self, node: ast.Try) -> None:
        before = self.own
        ends = [self.block([*node.body, *node.orelse], before)]
        for handler in node.handlers:
            self.own = set(before)
            if handler.type is not None:
                self.visit(handler.type)
            if handler.name is not None:
                self.assign(handler.name)
            end = self.block(handler.body, self.own)
            ends.append(end and end - {handler.name})  # Python deletes that name
        self.join(ends, before)
        after = self.own
        self.own = after | (self.block(node.finalbody, before) or set())

    visit_TryStar = visit_Try

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name is not None:
            self.assign(node.name)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest is not None:
            self.assign(node.rest)

    # Imports --------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            self.assign(alias.asname or top, alias.name if alias.asname else top)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                raise ValueError(f"from {node.module} import *: name what you want")
            module = "." * node.level + (node.module or "")
            self.assign(alias.asname or alias.name, f"{module}.{alias.name}")

    # Scopes of their own --------------------------------------------------------------

    def inner(self, node: ast.AST) -> set[str]:
        """Report a function, class or comprehension; the global names of its body."""
        top = symtable.symtable(ast.unparse(node), "cell", "exec")
        body: set[str] = set()
        tables = list(top.get_children())
        while tables:
            table = tables.pop()
            tables += table.get_children()
            for symbol in table.get_symbols():
                if symbol.is_global() and symbol.is_referenced():
                    body.add(symbol.get_name())
                if symbol.is_global() and symbol.is_assigned():  # `global`, or `:=`
                    self.names.assigned[symbol.get_name()].add("")
        body.discard(getattr(node, "name", ""))  # it may call itself
        outside = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
        for name in sorted(outside | body):  # outside: decorators, defaults, bases
            self.use(name)
        return body

    def visit_FunctionDef(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> None:
        body = self.inner(node)
        self.assign(node.name)
        self.names.bodies[node.name] |= body

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.later |= self.inner(node)

    visit_GeneratorExp = visit_Lambda

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> None:
        body = self.inner(node)
        for part in ast.walk(node):
            if isinstance(part, ast.NamedExpr):
                self.own.add(part.target.id)
            elif isinstance(part, ast.Lambda):
                self.later |= body

    visit_SetComp = visit_DictComp = visit_ListComp


@dataclass(frozen=True)
class Fault:
    """A cell that matters reads a name that several cells assign."""

    cell: int
    name: str
    assigned: tuple[int, ...]
    through: str = ""

    def __str__(self) -> str:
        through = f" through {self.through!r}" if self.through else ""
        cells = ", ".join(map(str, self.assigned))
        return f"cell {self.cell} reads {self.name!r}{through} of cells {cells}"


def mattering(notebook: NotebookNode) -> list[int]:
    """The numbers of the code cells that decide a claim or belong to an exercise."""
    found: set[int] = set()
    runs = [
        (kind, [index for index, _ in run])
        for kind, run in groupby(
            enumerate(notebook.cells), key=lambda pair: pair[1].cell_type
        )
    ]
    for place, (kind, run) in enumerate(runs):
        if kind == "markdown":
            for index in run:
                if DECIDES.search(notebook.cells[index].source):
                    for side in (runs[place - 1 : place], runs[place + 1 : place + 2]):
                        found |= {index for _, cells in side for index in cells}
    for index, cell in enumerate(notebook.cells):
        claim = any(tag.startswith("claim:") for tag in tags(cell))
        if claim or EXERCISE & set(tags(cell)):
            found.add(index)
    return sorted(i for i in found if notebook.cells[i].cell_type == "code")


def assigned_twice(cells: dict[int, Names]) -> dict[str, tuple[int, ...]]:
    """The names that several cells assign, and the numbers of those cells."""
    where: dict[str, list[int]] = defaultdict(list)
    things: dict[str, set[str]] = defaultdict(set)
    for index, cell in cells.items():
        for name, bound in cell.assigned.items():
            where[name].append(index)
            things[name] |= bound
    return {
        name: tuple(found)
        for name, found in where.items()
        if len(found) > 1 and (len(things[name]) > 1 or "" in things[name])
    }


def faults(notebook: NotebookNode) -> list[Fault]:
    """All faults of a notebook, in the order of its cells."""
    cells = {
        index: names(cell.source)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
    }
    twice = assigned_twice(cells)
    found = []
    for index in mattering(notebook):
        reads = dict.fromkeys(sorted(cells[index].read), "")
        # What functions of other cells read, and the functions that those call.
        queue = sorted(cells[index].read)
        known = set(queue)
        while queue:
            function = queue.pop(0)
            for other, cell in cells.items():
                if other != index and function in cell.bodies:
                    for name in sorted(cell.bodies[function]):
                        reads.setdefault(name, function)
                        if name not in known:
                            known.add(name)
                            queue.append(name)
        found += [
            Fault(index, name, twice[name], through)
            for name, through in reads.items()
            if name in twice
        ]
    return found


def bare_booleans(notebook: NotebookNode) -> list[int]:
    """The numbers of the cells with a `True` or `False` in a compared output.

    When a fault turns one into the other, it is recorded anew and nobody notices.
    """
    return [
        index
        for index, cell in enumerate(notebook.cells)
        if COMPARED in tags(cell)
        and any(BOOLEAN.search(_text(output)) for output in cell.outputs)
    ]


def _text(output: NotebookNode) -> str:
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")
