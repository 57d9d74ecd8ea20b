"""Does a seed tell right from wrong? Our solutions, blanks and all listed wrong ones.

They are graded as hand-ins are, in the box. A seed whose cases let a wrong solution
pass, or reject our own, is found before a class meets it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from grading.chapters import Chapter
from grading.examiner import Examiner, Outcome
from grading.handins import Handin
from tools.student import tags
from tools.tested_copy import exercise_names


@dataclass
class Swept:
    """What came out for a chapter.

    Attributes:
        wrong: how many wrong solutions there are.
        killed: how many of them got no points.
        named: how many of these the grader recognised by the very idea.
        faults: a sentence for all that is not as it should be.
    """

    chapter: str
    exercises: int = 0
    wrong: int = 0
    killed: int = 0
    named: int = 0
    faults: list[str] = field(default_factory=list)


def sweep(chapter: Chapter, secret: str, box: str, workers: int) -> Swept:
    """Grade our solutions, a blank hand-in and every wrong solution of a chapter."""
    swept = Swept(chapter.name)
    ours = {
        exercise_names(cell)[0]: [("cell 1", cell.source)]
        for cell in chapter.notebook.cells
        if "exercise" in tags(cell)
    }
    with Examiner(chapter, secret, box) as examiner:

        def outcome_of(wrong: tuple[str, str, str]) -> Outcome:
            name, _, source = wrong
            return examiner.grade(_handin(chapter, {name: [("cell 1", source)]}))[name]

        swept.exercises = len(examiner.prepared)
        for name, outcome in examiner.grade(_handin(chapter, ours)).items():
            if outcome.points != outcome.task.points:
                swept.faults.append(f"our own {name} fails: {outcome.faults}")
        for name, outcome in examiner.grade(_handin(chapter, {})).items():
            if outcome.points:
                swept.faults.append(f"a blank {name} gets {outcome.points} points")
        listed = [
            (name, idea, source)
            for name, each in chapter.wrong.items()
            for idea, source in each
            if name in examiner.prepared
        ]
        with ThreadPoolExecutor(workers) as pool:
            outcomes = pool.map(outcome_of, listed)
            for (name, idea, _), outcome in zip(listed, outcomes, strict=True):
                swept.wrong += 1
                swept.killed += outcome.points == 0
                swept.named += outcome.points == 0 and outcome.resembles == idea
                if outcome.points:
                    swept.faults.append(f"a wrong {name} gets all points: {idea}")
    return swept


def _handin(chapter: Chapter, sources: dict[str, list[tuple[str, str]]]) -> Handin:
    return Handin("a solution", Path(), chapter.name, sources)
