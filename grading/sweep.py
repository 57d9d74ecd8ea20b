"""Does a seed tell right from wrong? Ours, other right solutions, blanks, wrong ones.

They are graded as hand-ins are, in the box. A seed whose cases let a wrong solution
pass, or reject a right one, is found before a class meets it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from grading import handins
from grading.chapters import Chapter
from grading.examiner import Examiner, Outcome
from grading.handins import Handin
from tools.student import tags


@dataclass
class Swept:
    """What came out for a chapter.

    Attributes:
        right: how many right solutions there are, without our own.
        passed: how many of them got all points.
        wrong: how many wrong solutions there are.
        killed: how many of them got no points.
        named: how many of these the grader recognised by the very idea.
        faults: a sentence for all that is not as it should be.
    """

    chapter: str
    exercises: int = 0
    right: int = 0
    passed: int = 0
    wrong: int = 0
    killed: int = 0
    named: int = 0
    faults: list[str] = field(default_factory=list)


def sweep(chapter: Chapter, secret: str, box: str, workers: int) -> Swept:
    """Grade our solutions, blanks and every right and wrong solution of a chapter.

    Whatever stops this is a fault of the chapter, and not of those after it.
    """
    swept = Swept(chapter.name)
    try:
        with Examiner(chapter, secret, box) as examiner:
            swept.exercises = len(examiner.prepared)
            _try_ours(examiner, swept)
            with ThreadPoolExecutor(workers) as pool:
                _try_right(examiner, swept, pool)
                _try_wrong(examiner, swept, pool)
    except Exception as error:
        swept.faults.append(f"cannot be swept: {type(error).__name__}: {error}")
    return swept


def _try_ours(examiner: Examiner, swept: Swept) -> None:
    """Our solutions get all points, and what a student finds in their place none."""
    chapter = examiner.chapter
    cells = [
        (f"cell {number}", cell.source)
        for number, cell in enumerate(chapter.notebook.cells, start=1)
        if "exercise" in tags(cell)
    ]
    for name, outcome in examiner.grade(_handin(chapter, cells)).items():
        if outcome.points != outcome.task.points:
            swept.faults.append(f"our own {name} fails: {outcome.faults}")
    # A hand-in leaves blanks out. Here they are run, as one that a space was added to.
    begun = {name: [("cell 1", code)] for name, code in chapter.blanks.items()}
    blank = Handin("blanks", Path(), chapter.name, begun)
    for name, outcome in examiner.grade(blank).items():
        if outcome.points:
            swept.faults.append(f"a blank {name} gets {outcome.points} points")


def _try_right(examiner: Examiner, swept: Swept, pool: ThreadPoolExecutor) -> None:
    for name, how, outcome in _tried(examiner, examiner.chapter.right, pool):
        swept.right += 1
        if outcome.points == outcome.task.points:
            swept.passed += 1
        else:
            said = f"a right {name} loses its points, {how}: {outcome.faults}"
            swept.faults.append(said)


def _try_wrong(examiner: Examiner, swept: Swept, pool: ThreadPoolExecutor) -> None:
    for name, idea, outcome in _tried(examiner, examiner.chapter.wrong, pool):
        swept.wrong += 1
        if outcome.points:
            swept.faults.append(f"a wrong {name} gets all points: {idea}")
        else:
            swept.killed += 1
            swept.named += outcome.resembles == idea


def _tried(
    examiner: Examiner,
    solutions: dict[str, list[tuple[str, str]]],
    pool: ThreadPoolExecutor,
) -> list[tuple[str, str, Outcome]]:
    """Each solution's exercise, what is said about it, and how it went."""

    def outcome_of(one: tuple[str, str, str]) -> tuple[str, str, Outcome]:
        name, said, source = one
        handin = _handin(examiner.chapter, [("cell 1", source)])
        return name, said, examiner.grade(handin)[name]

    listed = [
        (name, said, source)
        for name, each in solutions.items()
        for said, source in each
        if name in examiner.prepared
    ]
    return list(pool.map(outcome_of, listed))


def _handin(chapter: Chapter, cells: list[tuple[str, str]]) -> Handin:
    """A hand-in of these cells, cut as students' are."""
    handin = Handin("a solution", Path())
    handins.take(handin, cells, {chapter.name: chapter})
    return handin
