"""Axes: comments such as `# b h s d` are claims, and a run decides them.

A comment made only of axis letters at the end of an assignment, a `return` or a
parameter names the axes of that value. `check_axes` watches a real run and compares
each claim with the shape it meets: the number of axes, one size for one letter
within a call, and the sizes that the caller knows.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

AXES = {
    "b": "batch: the texts",
    "s": "sequence: the positions of a text",
    "q": "query positions, where they differ from the keys'",
    "k": "key positions, where they differ from the queries'",
    "t": "tokens of all texts in one row",
    "h": "heads",
    "d": "width of a head",
    "w": "width of a state: h times d",
    "f": "width inside the feed-forward layer",
    "v": "vocabulary",
}
_CLAIM = re.compile(r"#\s*([a-z](?: [a-z1])*)\s*")


@dataclass(frozen=True)
class Claim:
    """The axes that one line claims for one value; no name means the return value."""

    file: str
    line: int
    first_line: int
    name: str | None
    axes: tuple[str, ...]
    parameter: bool = False

    def __str__(self) -> str:
        what = self.name or "the return value"
        return f"{self.file}:{self.line}: {what} claims `{' '.join(self.axes)}`"


@dataclass
class Claims:
    """The claims under watch and those a run has met."""

    all: list[Claim]
    met: set[Claim] = field(default_factory=set)

    @property
    def unmet(self) -> list[Claim]:
        """Claims whose line the run never reached: nothing decided them."""
        return [claim for claim in self.all if claim not in self.met]


def read_claims(source: str, file: str) -> list[Claim]:
    """The axis claims of a piece of source code.

    Raises:
        ValueError: if a claim stands on a line that assigns and returns nothing, or
            names an axis that does not exist.
    """
    comments, lines = _comments(source), source.splitlines()
    claims = []
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "end_lineno", None)
        if line not in comments or not isinstance(node, (ast.stmt, ast.arg)):
            continue
        parameter = isinstance(node, ast.arg)
        if parameter and not lines[line - 1].strip().startswith(node.arg):
            continue  # the comment of a line with several parameters is of none
        axes = tuple(comments[line].split())
        for name in _assigned(node):
            claims.append(Claim(file, line, node.lineno, name, axes, parameter))
    undecidable = set(comments) - {claim.line for claim in claims}
    if undecidable:
        raise ValueError(
            f"{file}: the axes in line {min(undecidable)} belong to no assignment to "
            "a name, no return and no parameter, so no run can decide them"
        )
    return sorted(claims, key=lambda claim: claim.line)


@contextmanager
def check_axes(
    sources: Mapping[str, str] | list[Path], **sizes: int
) -> Iterator[Claims]:
    """Check every axis claim of the given code that runs inside the block.

    Args:
        sources: files, or source text by the file name that it was compiled under.
        sizes: what a letter must be everywhere, such as `h=3`; give each letter
            another size, or a swapped axis goes unseen.

    Raises:
        AssertionError: at the end of the block, with every claim that was wrong.
    """
    if not isinstance(sources, Mapping):
        sources = {str(path): path.read_text(encoding="utf8") for path in sources}
    by_file = {file: read_claims(text, file) for file, text in sources.items()}
    claims = Claims([claim for in_file in by_file.values() for claim in in_file])
    wrong: list[str] = []
    # A notebook runs each statement of a cell as a module of its own, so the sizes of
    # top-level letters are kept for the whole file.
    at_top = {file: dict(sizes) for file in by_file}

    def on_call(frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        if not by_file.get(file):
            return None
        top = frame.f_code.co_name == "<module>"
        known = at_top[file] if top else dict(sizes)
        return _Watch(frame, by_file[file], known, claims, wrong)

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield claims
    finally:
        sys.settrace(before)
    if wrong:
        raise AssertionError("\n".join(dict.fromkeys(wrong)))


class _Watch:
    """Follows one call of one function and checks each claim when its line is done."""

    def __init__(
        self,
        frame: FrameType,
        in_file: list[Claim],
        sizes: dict[str, int],
        claims: Claims,
        wrong: list[str],
    ) -> None:
        first = frame.f_code.co_firstlineno
        last = max((line or 0 for *_, line in frame.f_code.co_lines()), default=0)
        self.own = [claim for claim in in_file if first <= claim.line <= last]
        self.sizes, self.claims, self.wrong = sizes, claims, wrong
        self.pending: list[Claim] = []
        self.raised = False
        for claim in self.own:
            if claim.parameter:
                self._decide(claim, frame.f_locals.get(claim.name))

    def __call__(self, frame: FrameType, event: str, arg: Any) -> "_Watch":
        # Python reports a line before it runs. A claim is pending while its statement
        # runs, and is decided when the next event comes from elsewhere.
        self.raised = event == "exception" or (self.raised and event != "line")
        here = frame.f_lineno
        left = [c for c in self.pending if not c.first_line <= here <= c.line]
        if event == "return" and not self.raised:
            left = self.pending
            named = not frame.f_code.co_name.startswith("<")
            for claim in self.own if named else ():  # a lambda returns for itself
                if claim.name is None and claim.first_line <= here <= claim.line:
                    self._decide(claim, arg)
        for claim in left:
            self._decide(claim, frame.f_locals.get(claim.name))
        self.pending = [c for c in self.pending if c not in left]
        if event == "line":
            self.pending += [
                c
                for c in self.own
                if c.name and not c.parameter and c not in self.pending
                if c.first_line <= here <= c.line
            ]
        return self

    def _decide(self, claim: Claim, value: Any) -> None:
        shape = getattr(value, "shape", None)
        if shape is None:
            return
        self.claims.met.add(claim)
        if len(shape) != len(claim.axes):
            self.wrong.append(f"{claim}, but its shape is {tuple(shape)}")
            return
        for letter, size in zip(claim.axes, shape, strict=True):
            known = 1 if letter == "1" else self.sizes.setdefault(letter, size)
            if size != known:
                self.wrong.append(
                    f"{claim}, but its shape is {tuple(shape)} and {letter} is {known}"
                )
                return


def _comments(source: str) -> dict[int, str]:
    """Axis comments by line, found by the tokenizer so that strings do not count."""
    comments = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line, column = token.start
        if token.type != tokenize.COMMENT or not token.line[:column].strip():
            continue  # a comment on a line of its own claims nothing
        if match := _CLAIM.fullmatch(token.string):
            if unknown := set(match[1].split()) - set(AXES) - {"1"}:
                raise ValueError(
                    f"line {line}: `{match[1]}` looks like an axis comment, but there "
                    f"is no axis {', '.join(sorted(unknown))}; the axes are "
                    f"{' '.join(AXES)}"
                )
            comments[line] = match[1]
    return comments


def _assigned(node: ast.AST) -> list[str | None]:
    """The names that a node gives a value to; None stands for the return value."""
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Return):
        return [None]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return []
