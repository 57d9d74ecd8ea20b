"""Harden: a student's own solution with one change that is wrong, for them to find.

An exercise that passes is not yet understood. So its solution is changed in one place
(`edits`), and the student looks for a call on which the two differ. The changes that
teach most are those that the visible check does not notice: then the student has to
think of a case. Whether a change is wrong is decided as in grading, by the exercise's
cases in the box. All of this may be public, because nothing here is graded.
"""

import ast
import difflib
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from bertcore.files import new_file
from grading.chapters import Chapter, Task
from grading.edits import Edit, ideas, mutants, renamed
from grading.examiner import Examiner, Outcome, Prepared
from grading.handins import Handin, Source, parsed
from grading.worker import passes
from instructors.grading import Exercise, accepts
from tools.student import YOUR_TURN, tags
from tools.tested_copy import exercise_names

SEED = "harden"  # of the cases; anybody may know it
_CHECK_SECONDS = 60  # for the visible check of a solution that is right


@dataclass(frozen=True)
class Changed:
    """A solution with a change that is wrong.

    Attributes:
        own: the definition as the student wrote it.
        idea: which listed wrong solution does the same; empty if none.
        passes_check: whether the visible check does not notice.
        is_test: whether the exercise asks for a test, which speaks by raising.
    """

    task: Task
    own: str
    edit: Edit
    idea: str
    passes_check: bool
    is_test: bool


def harden(
    found: list[Handin],
    chapters: dict[str, Chapter],
    out: Path,
    box: str,
    seconds: float,
    workers: int,
) -> Iterator[tuple[Handin, list[str]]]:
    """Write a notebook with puzzles for each hand-in; say what came of it, in lines.

    What is in `out` already stays as it is, because somebody may be working in it.

    Args:
        seconds: how long to look for a better change to an exercise, at most.
        workers: exercises at once.
    """
    for handin in found:
        if handin.chapter is None:
            yield handin, handin.notes
    for name, chapter in chapters.items():
        todo = []
        for handin in (each for each in found if each.chapter == name):
            target = out / f"{handin.name}.ipynb"
            if target.exists():
                yield handin, [f"{target} is there already, and stays as it is"]
            elif not chapter.is_graded:
                yield handin, [f"{name} has no cases yet, so nothing can be tried"]
            else:
                todo.append((handin, target))
        if todo:
            with (
                Examiner(chapter, SEED, box) as examiner,
                ThreadPoolExecutor(workers) as pool,
            ):
                for handin, target in todo:
                    yield handin, _one(examiner, pool, handin, target, seconds)


def _one(
    examiner: Examiner,
    pool: ThreadPoolExecutor,
    handin: Handin,
    target: Path,
    seconds: float,
) -> list[str]:
    """Harden one hand-in."""
    try:
        notebook = nbformat.read(handin.path, as_version=4)
    except Exception as error:  # newer than nbformat, though the grader can read it
        return [f"it cannot be read as a notebook: {str(error)[:200]}"]
    done, search = _begun(notebook), _Search(examiner, handin, seconds)
    names = [n for n in examiner.prepared if n in handin.sources and n not in done]
    lines, puzzles = [], []
    for name, change in zip(names, pool.map(search.of, names), strict=True):
        about = change if isinstance(change, str) else "changed"
        if isinstance(change, Changed):
            puzzles.append(change)
            about += ", and its check passes" * change.passes_check
        lines.append(f"{examiner.chapter.tasks[name].number} {name}: {about}")
    if puzzles:
        add_cells(notebook, puzzles)
        target.parent.mkdir(parents=True, exist_ok=True)
        with new_file(target) as partial:
            nbformat.write(notebook, partial)
    return [*lines, f"written to {target}" if puzzles else "nothing to write"]


class _Search:
    """Looks for changes to the exercises of one hand-in."""

    def __init__(self, examiner: Examiner, handin: Handin, seconds: float) -> None:
        self.examiner, self.handin, self.seconds = examiner, handin, seconds
        chapter = examiner.chapter
        self.ours = {
            exercise_names(cell)[0]: cell.source
            for cell in chapter.notebook.cells
            if "exercise" in tags(cell)
        }

    def of(self, name: str) -> Changed | str:
        """The best change to an exercise that is found in time, or why there is none.

        One that the visible check notices is taken only where there is no other.
        """
        prepared, sources = self.examiner.prepared[name], self.handin.sources[name]
        place = _definition(sources, name)
        label, own = sources[place]
        if not _takes_arguments(own):
            return "it takes no arguments, so there is no case to think of"
        first = self.examiner.outcome(prepared, sources)
        if first.right < first.cases:
            return f"it does not pass yet, {(first.faults or ['it has no cases'])[0]}"
        task, is_test = prepared.task, prepared.exercise.examine is accepts
        check, noticed, crashed = self._check(name, sources), [], []

        def with_change(edit: Edit) -> list[Source]:
            return [*sources[:place], (label, edit.source), *sources[place + 1 :]]

        def is_unnoticed(edit: Edit) -> bool:
            if check is None:
                noticed.append(edit)
                return False
            outcome = self._checked(check, with_change(edit))
            if any("it raised" in fault for fault in outcome.faults):
                is_said = "it raised AssertionError" in outcome.faults[0]
                (noticed if is_said else crashed).append(edit)
            return outcome.right == 1

        def best(edits: Iterable[Edit], unnoticed: bool) -> Changed | None:
            """The first that does what a listed one does, else the first wrong one."""
            found = []
            for edit in edits:
                seconds = _seconds(first)
                outcome = self.examiner.outcome(prepared, with_change(edit), seconds)
                if _is_wrong(outcome):
                    idea = outcome.resembles
                    found.append(Changed(task, own, edit, idea, unnoticed, is_test))
                    if idea:
                        return found[-1]
            return found[0] if found else None

        edits = _in_time(self._candidates(name, own), self.seconds)
        return (
            best(filter(is_unnoticed, edits), True)
            or best(_in_time([*noticed, *crashed], self.seconds), False)
            or "no change was found that its cases reject"
        )

    def _candidates(self, name: str, own: str) -> Iterator[Edit]:
        """The listed ideas, then all other edits in an order that the code decides."""
        for _, wrong in self.examiner.chapter.wrong.get(name, []):
            yield from ideas(self.ours[name], wrong, own)
        others = list(mutants(own))
        random.Random(own).shuffle(others)
        yield from others

    def _check(self, name: str, sources: list[Source]) -> Prepared | None:
        """The visible check as a case; None where it does not pass anyway.

        A check may call what the student wrote for other exercises.
        """
        task, check = self.examiner.prepared[name].task, self.examiner.chapter.checks
        exercise, case = Exercise(list, examine=passes), (name, check[name])
        prepared = Prepared(task, exercise, [case], [True], None, _CHECK_SECONDS)
        prepared.packed = cloudpickle.dumps((exercise, [case]))
        outcome = self._checked(prepared, sources)
        prepared.seconds = _seconds(outcome)
        return prepared if outcome.right else None

    def _checked(self, check: Prepared, sources: list[Source]) -> Outcome:
        every = (each for its in self.handin.sources.values() for each in its)
        before = [each for each in dict.fromkeys(every) if each not in sources]
        return self.examiner.outcome(check, [*before, *sources])


def _seconds(right: Outcome) -> float:
    """How long a change may take: one that makes a loop endless is of no use."""
    return 1 + 3 * right.seconds


def _takes_arguments(source: str) -> bool:
    (node,) = parsed(source).body
    return isinstance(node, ast.ClassDef) or ast.unparse(node.args) != ""


def _in_time(edits: Iterable[Edit], seconds: float) -> Iterator[Edit]:
    """One edit at least, and others until the seconds are over."""
    deadline = time.monotonic() + seconds
    for edit in edits:
        yield edit
        if time.monotonic() > deadline:
            return


def _definition(sources: list[Source], name: str) -> int:
    """Where a hand-in's sources define the exercise."""
    return next(
        place
        for place in reversed(range(len(sources)))
        if name in exercise_names(NotebookNode(source=sources[place][1]))
    )


def _is_wrong(outcome: Outcome) -> bool:
    """Whether the cases reject it for what it returns; a crash is no puzzle."""
    crashed = all("it raised" in fault for fault in outcome.faults)
    ended = any("process ended" in f or "was stopped" in f for f in outcome.faults)
    return (
        outcome.right < outcome.cases
        and not ended
        and (outcome.right > 0 or not crashed)
    )


# The notebook -------------------------------------------------------------------------

_OPENING = """\
## Harder

Each cell that follows holds a solution of yours with one change, and with the change \
it is wrong. Complete the function under it: it is given your solution or the changed \
one under the same name, and returns what a call gives. On your call the two must \
differ. Look at the results before you compare the two texts.\
"""
_UNNOTICED = (
    "The check under the exercise passes all the same, so your call has to try "
    "something that the check does not try."
)
_NOTICED = "The check under the exercise notices it. Show it by a call of your own."
_TEST = (
    "Here it is a test: call it with something that one of the two accepts and the "
    "other rejects. To raise an error is to reject, and `found` counts it as a result."
)


def add_cells(notebook: NotebookNode, found: list[Changed]) -> None:
    """Add a puzzle for each change to the end of a notebook."""
    cells = [
        new_markdown_cell(_OPENING),
        new_code_cell("from bertcore.book.checks import found"),
    ]
    for each in found:
        cells += _puzzle(each)
    notebook.cells += cells


def _puzzle(changed: Changed) -> list[NotebookNode]:
    name, number = changed.task.name, changed.task.number
    lines = [f"### {number} `{name}`, changed", ""]
    lines += [_UNNOTICED if changed.passes_check else _NOTICED]
    lines += ["", _TEST] if changed.is_test else []
    lines += ["", _answer(changed)]
    other, show = f"{name}_changed", f"show_{name}"
    blank = (
        f"def {show}({name}):\n"
        f'    """Call `{name}` so that yours and the changed one differ."""\n'
        f"    {YOUR_TURN}\n\n\n"
        f'found("{number}", {show}, {name}, {other})'
    )
    return [
        new_markdown_cell("\n".join(lines)),
        new_code_cell(renamed(changed.edit.source, name, other)),
        new_code_cell(blank),
    ]


def _answer(changed: Changed) -> str:
    """What was changed, folded."""
    both = changed.own.splitlines(), changed.edit.source.splitlines()
    lines = [
        line
        for line in difflib.unified_diff(*both, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    idea = f"A common mistake: {changed.idea}.\n\n" if changed.idea else ""
    code = "```diff\n" + "\n".join(lines) + "\n```"
    summary = "<details><summary>What was changed</summary>"
    return f"{summary}\n\n{idea}{code}\n\n</details>"


def _begun(notebook: NotebookNode) -> set[str]:
    """The exercises for which a notebook has a puzzle already."""
    defined = (name for cell in notebook.cells for name in exercise_names(cell))
    return {name.removeprefix("show_") for name in defined if name.startswith("show_")}
