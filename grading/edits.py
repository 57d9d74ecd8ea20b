"""Small changes to a solution that stand for mistakes: each one edit of its own text.

The edits are of two kinds. A listed wrong solution differs from ours somewhere; where a
student's code has the like, under whatever names, it is changed in that way (`ideas`).
Others are the usual operators of mutation testing (`mutants`): a comparison with
another bound, an operand, call or statement left out, an axis off by one. Only the text
of the changed node is replaced, so that layout and comments stay.
"""

import ast
import copy
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from grading.handins import Definition, parsed

# Operators in place of others: what one writes for the other, or at the wrong edge.
_COMPARISONS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "is": "is not", "is not": "is", "in": "not in", "not in": "in",
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/",
    ast.Mod: "//", ast.Pow: "*", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip
# Functions and methods that are taken for each other.
_PAIRS = [
    ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("any", "all"),
    ("sum", "mean"), ("ceil", "floor"), ("softmax", "sigmoid"), ("log", "log2"),
    ("append", "extend"), ("split", "chunk"), ("startswith", "endswith"),
    ("zeros", "ones"), ("zeros_like", "ones_like"), ("triu", "tril"),
    ("union", "intersection"), ("update", "difference_update"), ("find", "rfind"),
    ("std", "var"), ("square", "abs"), ("repeat", "repeat_interleave"),
]  # fmt: skip
# Whose attributes are functions: of `torch.abs(x)` x is left, of `x.abs()` too.
_MODULES = {"torch", "F", "nn", "math", "np", "einops", "random"}
_NAMES = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}


@dataclass(frozen=True)
class Edit:
    """A changed solution.

    Attributes:
        source: all of it, with the change.
        line: on which it begins, from 1.
        kind: of edit, such as "comparison".
    """

    source: str
    line: int
    kind: str


class _Text:
    """A source and where its nodes stand in it, in characters: ast counts bytes."""

    def __init__(self, source: str) -> None:
        self.source, self.tree = source, parsed(source)
        self._lines = [f"{line}\n" for line in source.split("\n")]
        self._starts = list(itertools.accumulate(map(len, self._lines), initial=0))

    def _place(self, line: int, column: int) -> int:
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)

    def span(self, node: ast.AST) -> tuple[int, int]:
        start = self._place(node.lineno, node.col_offset)
        return start, self._place(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def operand(self, node: ast.expr) -> str:
        """As `of`, in brackets where it could fall apart beside an operator."""
        loose = ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp | ast.IfExp
        loose |= ast.Lambda | ast.NamedExpr
        return f"({self.of(node)})" if isinstance(node, loose) else self.of(node)

    def put(self, node: ast.AST, text: str) -> str:
        """The source with a text in place of a node."""
        start, end = self.span(node)
        plain = self.source[:start] + text + self.source[end:]
        if not text or not isinstance(node, ast.expr):
            return plain
        # Brackets mean nothing to the tree, so they tell whether they are needed.
        bracketed = f"{self.source[:start]}({text}){self.source[end:]}"
        same = _dump_of(plain) == _dump_of(bracketed)
        return plain if same or _dump_of(bracketed) is None else bracketed

    def without(self, node: ast.stmt) -> str:
        """The source without a statement; with its lines, where it has them alone."""
        start, end = self.span(node)
        first, last = self._starts[node.lineno - 1], self._starts[node.end_lineno]
        around = self.source[first:start], self.source[end:last]
        if around[0].strip() or re.sub("#.*", "", around[1]).strip():
            return self.put(node, "pass")
        rest = self.source[:first] + self.source[last:]
        return rest if _dump_of(rest) else self.put(node, "pass")


def _dump_of(source: str) -> str | None:
    """What a source says, without its layout; None if it is not Python."""
    try:
        return ast.dump(parsed(source))
    except SyntaxError:
        return None


def _distinct(text: _Text, found: Iterator[tuple[ast.AST, str, str]]) -> Iterator[Edit]:
    """Edits of (node, kind, changed source): those that are Python, each one once."""
    known = {_dump_of(text.source), None}
    for node, kind, source in found:
        dump = _dump_of(source)
        if dump not in known:
            known.add(dump)
            yield Edit(source, node.lineno, kind)


# Operators of mutation testing --------------------------------------------------------


def mutants(source: str) -> Iterator[Edit]:
    """What the usual operators make of a function or class, in the order of its text.

    >>> for edit in mutants("def over(x): return x > 1"): print(edit.kind, edit.source)
    comparison def over(x): return x >= 1
    constant def over(x): return x > 2
    constant def over(x): return x > 0
    """
    text = _Text(source)
    yield from _distinct(text, _mutants(text))


def _mutants(text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    for node in _inside(text.tree.body[0]):
        for operator in _OPERATORS:
            for changed in operator(text, node):
                yield node, operator.__name__.strip("_").replace("_", " "), changed


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """All that is computed: no docstrings, annotations, decorators or arguments.

    Messages are left out, too. Of an assertion the condition counts, because some
    exercises are tests.
    """
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            children = node.body
        case ast.Assert():
            children = [node.test]
        case ast.AnnAssign():
            children = [node.value] if node.value else []
        case ast.Raise() | ast.JoinedStr():
            children = []
        case _:
            children = ast.iter_child_nodes(node)
    if hasattr(node, "lineno"):
        yield node
    for child in children:
        yield from _inside(child)


def _comparison(text: _Text, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, (right,) = node.left, node.comparators
        start, end = text.span(left)[1], text.span(right)[0]
        gap = text.source[start:end]
        for sign in sorted(_COMPARISONS, key=len, reverse=True):
            if re.search(rf"(?<!\w){re.escape(sign)}(?![\w=])", gap):
                gap = gap.replace(sign, _COMPARISONS[sign], 1)
                break
        first, last = text.span(node)
        yield text.put(node, text.source[first:start] + gap + text.source[end:last])


def _arithmetic(text: _Text, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        first, last = text.span(node)
        start, end = text.span(node.left)[1], text.span(node.right)[0]
        sign = r"\*\*|//|[-+*/%&|]"
        gap = re.sub(sign, _ARITHMETIC[type(node.op)], text.source[start:end], count=1)
        yield text.put(node, text.source[first:start] + gap + text.source[end:last])


def _swapped_operands(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.MatMult() | ast.FloorDiv()):
            sign = {ast.Sub: "-", ast.Div: "/", ast.MatMult: "@", ast.FloorDiv: "//"}
            left, right = text.operand(node.left), text.operand(node.right)
            yield text.put(node, f"{right} {sign[type(node.op)]} {left}")
        case ast.Call(args=[one, other, *_]) if not isinstance(other, ast.Starred):
            first, last = text.span(node)
            (a, b), (c, d) = text.span(one), text.span(other)
            s = text.source
            swapped = s[first:a] + s[c:d] + s[b:c] + s[a:b] + s[d:last]
            yield text.put(node, swapped)


def _operand_left_out(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BinOp():
            yield text.put(node, text.of(node.left))
            yield text.put(node, text.of(node.right))
        case ast.BoolOp():
            for left in range(len(node.values)):
                rest = [v for n, v in enumerate(node.values) if n != left]
                sign = " and " if isinstance(node.op, ast.And) else " or "
                yield text.put(node, sign.join(map(text.operand, rest)))
        case ast.UnaryOp():
            yield text.put(node, text.of(node.operand))
        case ast.IfExp():
            yield text.put(node, text.of(node.body))
            yield text.put(node, text.of(node.orelse))


def _logic(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BoolOp():
            sign = " or " if isinstance(node.op, ast.And) else " and "
            yield text.put(node, sign.join(map(text.operand, node.values)))
        case ast.Constant(value=bool()):
            yield text.put(node, str(not node.value))
        case ast.If() | ast.While() if not isinstance(node.test, ast.Compare):
            yield text.put(node.test, f"not {text.operand(node.test)}")


def _constant(text: _Text, node: ast.AST) -> Iterator[str]:
    """Numbers, axes among them, off by one, and einops patterns with axes swapped."""
    match node:
        case ast.Constant(value=int()) if not isinstance(node.value, bool):
            yield text.put(node, str(node.value + 1))
            if node.value > 0:
                yield text.put(node, str(node.value - 1))
        case ast.Constant(value=float()):
            yield text.put(node, str(2 * node.value if node.value else 1.0))
        case ast.Constant(value=str()) if "->" in node.value:
            for one in re.finditer(r"\b(\w+) (\w+)\b", node.value):
                a, b = one.span()
                pattern = f"{node.value[:a]}{one[2]} {one[1]}{node.value[b:]}"
                yield text.put(node, f'"{pattern}"')


def _call_left_out(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(value=value)) if (
            text.of(value) not in _MODULES
        ):
            yield text.put(node, text.of(value))
        case ast.Call(args=[first, *_]) if not isinstance(first, ast.Starred):
            yield text.put(node, text.of(first))


def _other_function(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(attr=name) if name in _NAMES:
            yield text.put(node, text.of(node)[: -len(name)] + _NAMES[name])
        case ast.Name(id=name) if name in _NAMES:
            yield text.put(node, _NAMES[name])


def _argument_left_out(text: _Text, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        every = sorted([*node.args, *node.keywords], key=text.span)
        for place, each in enumerate(every):
            if isinstance(each, ast.keyword):
                first, last = text.span(node)
                start, end = text.span(each)
                if place:  # with the comma before it
                    start = text.span(every[place - 1])[1]
                    start += len(re.match(r"\s*\)*", text.source[start:])[0])
                yield text.put(node, text.source[first:start] + text.source[end:last])


def _part_left_out(text: _Text, node: ast.AST) -> Iterator[str]:
    """Of a slice a bound, of a comprehension a condition."""
    match node:
        case ast.Slice():
            for bound in filter(None, (node.lower, node.upper, node.step)):
                yield text.put(bound, "")
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for condition in (i for each in node.generators for i in each.ifs):
                yield text.put(condition, "True")


def _statement_left_out(text: _Text, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Assign() | ast.If() | ast.Assert():
            yield text.without(node)
        case ast.Break():
            yield text.put(node, "continue")
        case ast.Continue():
            yield text.put(node, "break")


_OPERATORS: list[Callable[[_Text, ast.AST], Iterator[str]]] = [
    _comparison, _call_left_out, _other_function, _constant, _part_left_out, _logic,
    _operand_left_out, _argument_left_out, _arithmetic, _swapped_operands,
    _statement_left_out,
]  # fmt: skip


# Listed wrong solutions ---------------------------------------------------------------


def ideas(ours: str, wrong: str, source: str) -> Iterator[Edit]:
    """What makes a wrong solution differ from ours, done to a third one.

    The place in ours where all of the difference lies is looked for in the source,
    where variables may have other names, and steps on the way may have none.

    >>> ours, wrong = "def f(a, b): return a / b**0.5", "def f(a, b): return a / b"
    >>> (edit,) = ideas(ours, wrong, "def f(gap, width): return 2 * gap / width**0.5")
    >>> edit.source
    'def f(gap, width): return 2 * gap / width'
    """
    text, ours_tree = _Text(source), _plain(ours)
    wrong_tree = _plain(wrong, _parameters(ours_tree))
    for like in (lambda tree: tree, _inlined):
        trees = (like(tree) for tree in (ours_tree, wrong_tree, _plain(source)))
        if found := list(_distinct(text, _ideas(text, *trees))):
            yield from found
            return


def _ideas(
    text: _Text, ours: ast.AST, wrong: ast.AST, theirs: ast.AST
) -> Iterator[tuple[ast.AST, str, str]]:
    known = dict(zip(_parameters(ours), _parameters(theirs), strict=False))
    own = _bound(ours)
    for pattern, other in _differences(ours, wrong):
        if isinstance(pattern, ast.Name | ast.Constant | ast.arguments | Definition):
            continue  # it would fit anywhere, or nowhere
        fits = False
        for node in _inside(theirs):
            names = {k: v for k, v in known.items() if k in own}
            if not _fits(pattern, node, own, names):
                continue
            unknown = (_names(other) & own) - names.keys() - _bound(other)
            if not unknown:
                changed = ast.unparse(_renamed(other, names))
                if isinstance(node, ast.stmt):
                    indent = "\n" + " " * node.col_offset
                    changed = changed.replace("\n", indent)
                fits = True
                yield node, "listed", text.put(node, changed)
        if fits:  # more of the code around it would say the same at greater length
            return


def _plain(source: str, called: list[str] | None = None) -> ast.AST:
    """A definition without docstrings and annotations; its parameters may be called."""
    (node, *_) = [n for n in parsed(source).body if isinstance(n, Definition)]
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            each.returns = None
        if isinstance(each, Definition) and ast.get_docstring(each) is not None:
            each.body = each.body[1:] or [ast.Pass()]
        if isinstance(each, ast.arg):
            each.annotation = None
    if called:
        names = dict(zip(_parameters(node), called, strict=False))
        node = _renamed(node, names)
    return node


def _inlined(node: ast.AST) -> ast.AST:
    """A copy in which a variable that is used once is replaced by its value.

    So it does not matter who gave a name to what on the way. The copy serves to find
    places alone: what it computes, and when, may be something else.
    """
    node = copy.deepcopy(node)
    blocks = [getattr(each, f, None) for each in ast.walk(node)
              for f in ("body", "orelse")]  # fmt: skip
    for block in filter(lambda each: isinstance(each, list), blocks):
        place = 0
        while place < len(block):
            match block[place]:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    use = _only_use(name, block[place + 1 :])
                case _:
                    use = None
            if use is None:
                place += 1
            else:
                _Put(use, value).visit(block[place + 1 + use.within])
                del block[place]
    return node


def _only_use(name: str, following: list[ast.stmt]) -> ast.Name | None:
    """Where a variable is read, if once and in a simple statement.

    The node's `within` says in which of the statements.
    """
    found = []
    for within, statement in enumerate(following):
        uses = [n for n in ast.walk(statement)
                if isinstance(n, ast.Name) and n.id == name]  # fmt: skip
        if uses and (
            hasattr(statement, "body") or isinstance(statement, ast.AugAssign)
        ):
            return None
        reads = [each for each in uses if isinstance(each.ctx, ast.Load)]
        for each in reads:
            each.within = within
        found += reads
        if len(uses) > len(reads):  # another value from here on
            break
    return found[0] if len(found) == 1 else None


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _parameters(node: ast.AST) -> list[str]:
    """Those of a function, or of all methods of a class, in order, each once."""
    found = [each.arg for each in ast.walk(node) if isinstance(each, ast.arg)]
    return list(dict.fromkeys(found))


def _bound(node: ast.AST) -> set[str]:
    stored = {n.id for n in ast.walk(node)
              if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return stored | set(_parameters(node))


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _renamed(node: ast.AST, names: dict[str, str]) -> ast.AST:
    node = copy.deepcopy(node)
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            each.id = names.get(each.id, each.id)
        elif isinstance(each, ast.arg):
            each.arg = names.get(each.arg, each.arg)
    return node


def _differences(one: ast.AST, other: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Pairs of nodes that hold all of the difference, from the smallest outwards."""
    if type(one) is type(other):
        parts = []
        for field in one._fields:
            ones, others = (getattr(each, field, None) for each in (one, other))
            ones, others = (v if isinstance(v, list) else [v] for v in (ones, others))
            if len(ones) != len(others):
                parts += [(None, None)] * 2  # not in one place
                continue
            parts += [(a, b) for a, b in zip(ones, others, strict=True)
                      if _said(a) != _said(b)]  # fmt: skip
        if len(parts) == 1 and all(isinstance(each, ast.AST) for each in parts[0]):
            yield from _differences(*parts[0])
    if isinstance(one, ast.expr | ast.stmt):
        yield one, other


def _said(value: object) -> str:
    return ast.dump(value) if isinstance(value, ast.AST) else repr(value)


def _fits(pattern: object, node: object, own: set[str], names: dict[str, str]) -> bool:
    """Whether a node is like a pattern; notes in `names` what stands for which name."""
    if isinstance(pattern, list):
        return (
            isinstance(node, list)
            and len(pattern) == len(node)
            and all(_fits(p, n, own, names) for p, n in zip(pattern, node, strict=True))
        )
    if not isinstance(pattern, ast.AST):
        return type(pattern) is type(node) and pattern == node
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.Name | ast.arg):
        mine, its = (getattr(each, "id", None) or each.arg for each in (pattern, node))
        if mine not in own:
            return mine == its
        if mine not in names and its in names.values():
            return False
        return names.setdefault(mine, its) == its
    fields = [f for f in pattern._fields if f not in ("ctx", "kind", "annotation")]
    return all(
        _fits(getattr(pattern, f, None), getattr(node, f, None), own, names)
        for f in fields
    )


# The definition -----------------------------------------------------------------------


def renamed(source: str, name: str, other: str) -> str:
    """A function or class under another name, also where it calls itself.

    >>> renamed("def up(n): return n and 1 + up(n - 1)", "up", "up_changed")
    'def up_changed(n): return n and 1 + up_changed(n - 1)'
    """
    text = _Text(source)
    (definition,) = text.tree.body
    start, _ = text.span(definition)
    at = re.compile(rf"\b{name}\b").search(source, start).start()
    uses = [node for node in ast.walk(definition) if isinstance(node, ast.Name)]
    places = {at, *(text.span(node)[0] for node in uses if node.id == name)}
    for place in sorted(places, reverse=True):
        if source[place:].startswith(name):  # Python 3.11 misplaces those in f-strings
            source = source[:place] + other + source[place + len(name) :]
    return source
