"""What grading leaves: a file for each hand-in, tables, and feedback for students.

A hand-in's file is whole or not there, and says what it was made from. So grading that
was interrupted goes on where it stopped, and what has changed is graded anew.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from bertcore.files import write_json, write_text
from grading.chapters import Chapter
from grading.examiner import Outcome
from grading.handins import Handin
from grading.similarity import Pair

FOLDER, FEEDBACK = "results", "feedback"
SAME = "the same"  # how notes about copies begin: they name others, so no student's


def key_of(handin: Handin, *about: str) -> str:
    """A digest of all that a result depends on: file, set, seed and box."""
    return sha256("\n".join([handin.digest, *about]).encode()).hexdigest()


def file_of(folder: Path, handin: Handin, kind: str = FOLDER) -> Path:
    """Where a hand-in's file is; names that differ have files that differ."""
    safe = re.sub(r"[^\w.-]+", "_", handin.name)
    if safe != handin.name:
        safe += "-" + sha256(handin.name.encode()).hexdigest()[:6]
    return folder / kind / f"{safe}.{'json' if kind == FOLDER else 'md'}"


def done(folder: Path, handin: Handin, key: str) -> dict[str, Any] | None:
    """The result that is there, if it was made from the same."""
    try:
        result = json.loads(file_of(folder, handin).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return result if result.get("key") == key else None


def result_of(
    handin: Handin,
    outcomes: dict[str, Outcome],
    box: str,
    key: str,
    partial: bool = False,
) -> dict[str, Any]:
    """A hand-in's result as plain values."""
    exercises = {}
    for name, outcome in outcomes.items():
        exercises[name] = {
            "number": outcome.task.number,
            "of": outcome.task.points,
            "optional": outcome.task.optional,
            "cases": outcome.cases,
            "right": outcome.right,
            "seconds": outcome.seconds,
            "faults": outcome.faults,
            "resembles": outcome.resembles,
        }
    result = {
        "handin": handin.name,
        "chapter": handin.chapter,
        "points": 0,
        "of": 0,
        "optional points": 0,
        "box": box,
        "notes": list(handin.notes),
        "exercises": exercises,
        "sha256": handin.digest,
        "key": key,
    }
    return rated(result, partial)


def rated(result: dict[str, Any], partial: bool) -> dict[str, Any]:
    """A result with its points: all of an exercise's if every case is right.

    With `partial`, the share of right cases gives that share of the points, rounded
    down to a tenth, so that whoever has all points has all cases right.
    """
    exercises = {
        name: {**each, "points": _points(each, partial)}
        for name, each in result["exercises"].items()
    }
    required = [each for each in exercises.values() if not each["optional"]]
    optional = [each for each in exercises.values() if each["optional"]]
    return {
        **result,
        "points": round(sum(each["points"] for each in required), 1),
        "of": sum(each["of"] for each in required),
        "optional points": round(sum(each["points"] for each in optional), 1),
        "exercises": exercises,
    }


def _points(each: dict[str, Any], partial: bool) -> int | float:
    if is_solved(each):
        return each["of"]
    if not partial or not each["cases"]:
        return 0
    tenths = 10 * each["of"] * each["right"] // each["cases"]
    return tenths / 10 if tenths % 10 else tenths // 10


def write_result(folder: Path, handin: Handin, result: dict[str, Any]) -> None:
    """Write a hand-in's result, whole or not at all."""
    write_json(file_of(folder, handin), result)


# Tables -------------------------------------------------------------------------------


def write_tables(folder: Path, results: list[dict[str, Any]]) -> list[Path]:
    """Write the points by exercise, how common each wrong idea is; say where."""
    files = []
    for chapter, its in sorted(_by_chapter(results).items()):
        names = list(its[0]["exercises"])
        rows = [["handin", "points", "of", *names, "optional points", "box", "notes"]]
        for each in its:
            points = [each["exercises"][name]["points"] for name in names]
            rows.append([
                each["handin"], each["points"], each["of"], *points,
                each["optional points"], each["box"], "; ".join(each["notes"]),
            ])  # fmt: skip
        files.append(_table(folder / f"{chapter}.csv", rows))
    unread = [each for each in results if not each["chapter"]]
    if unread:
        rows = [["handin", "notes"]]
        rows += [[each["handin"], "; ".join(each["notes"])] for each in unread]
        files.append(_table(folder / "not-graded.csv", rows))
    files.append(folder / "class.md")
    write_text(files[-1], class_report(results))
    return files


def write_similar(folder: Path, pairs: dict[str, list[Pair]]) -> Path:
    """Write the pairs of hand-ins that are alike, by chapter."""
    rows = [["chapter", "first", "second", "first in second", "second in first",
             "exercises"]]  # fmt: skip
    for chapter, its in pairs.items():
        for pair in its:
            shares = f"{pair.first_in_second:.2f}", f"{pair.second_in_first:.2f}"
            names = " ".join(pair.exercises)
            rows.append([chapter, pair.first, pair.second, *shares, names])
    return _table(folder / "similar.csv", rows)


def _by_chapter(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for each in results:
        if each["chapter"]:
            found[each["chapter"]].append(each)
    return found


def _table(path: Path, rows: Iterable[Iterable[Any]]) -> Path:
    """Cells that a spreadsheet would take for formulas are made texts."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(
            f"'{cell}"
            if isinstance(cell, str) and cell[:1] in "=+-@" and cell
            else cell
            for cell in row
        )
    write_text(path, text.getvalue())
    return path


def class_report(results: list[dict[str, Any]]) -> str:
    """How many solved each exercise, and which wrong ideas were how common."""
    lines = ["# The class", ""]
    for chapter, its in sorted(_by_chapter(results).items()):
        lines += [f"## {chapter}: {_counted(len(its), 'hand-in')}", ""]
        for name in its[0]["exercises"]:
            each = [result["exercises"][name] for result in its]
            solved = sum(one["right"] == one["cases"] for one in each)
            lines.append(
                f"- {each[0]['number']} `{name}`: {solved} of {len(each)} solved"
            )
            ideas = defaultdict(int)
            for one in each:
                ideas[one["resembles"]] += bool(one["resembles"])
            common = sorted(ideas.items(), key=lambda pair: -pair[1])
            lines += [f"    - {n} ×: {idea}" for idea, n in common if n]
        lines.append("")
    return "\n".join(lines)


def canvas(table: Path, results: list[dict[str, Any]], column: str) -> tuple[str, int]:
    """An export of Canvas's gradebook with the points filled in, and for how many.

    A student's row takes the result of the hand-in whose name holds the student's ID
    or SIS login between other characters: Canvas names downloads in that way. Where
    hand-ins of several chapters are that student's, the chapters' points are added.

    Args:
        table: as Canvas exports it; its identifying columns are kept.
        column: the assignment's, as it stands there or begins.

    Raises:
        ValueError: if the table has no such column.
    """
    with table.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = list(csv.reader(file))
    places = [n for n, name in enumerate(head) if name.startswith(column)]
    known = [n for n, name in enumerate(head) if name in ("ID", "SIS Login ID")]
    if len(places) != 1 or not known:
        raise ValueError(
            f"{table} has {len(places)} columns that begin with {column!r} and "
            f"{len(known)} of ID and SIS Login ID; give the assignment's whole name, "
            f"one of: {', '.join(head)}"
        )
    filled = 0
    for row in rows:
        names = {row[n].strip() for n in known if n < len(row) and row[n].strip()}
        points: dict[str, int] = {}  # of a chapter: the first hand-in's
        for result in results:
            parts = set(re.split(r"[^\w.@+-]|_", result["handin"]))
            if names & parts and result["chapter"]:
                points.setdefault(result["chapter"], result["points"])
        if points:
            row[places[0]] = str(sum(points.values()))
            filled += 1
    text = io.StringIO(newline="")
    csv.writer(text).writerows([head, *rows])
    return text.getvalue(), filled


# Feedback -----------------------------------------------------------------------------


def write_feedback(
    folder: Path, handin: Handin, result: dict, chapter: Chapter
) -> None:
    """Write what a student can learn from."""
    write_text(file_of(folder, handin, FEEDBACK), feedback(result, chapter))


def feedback(result: dict[str, Any], chapter: Chapter) -> str:
    """Points, what went wrong and the hints; no case but the first that failed."""
    points = f"{result['points']} of {result['of']} points in code"
    lines = [f"# {chapter.name}: {points}", ""]
    if said := in_general(result, chapter):
        lines += [said, ""]
    for name, each in result["exercises"].items():
        task = chapter.tasks[name]
        optional = ", optional" if task.optional else ""
        lines += [
            f"## {task.number} `{name}`: {each['points']} of {each['of']}{optional}",
            "",
            of_exercise(name, each),
            "",
        ]
        if task.hints and not is_solved(each):
            lines += ["The hints of the chapter:", "", *task.hints, ""]
    return "\n".join(lines)


def in_general(result: dict[str, Any], chapter: Chapter | None) -> str:
    """What a student should know of the whole hand-in, in Markdown; '' if nothing."""
    notes = "\n".join(f"- {note}" for note in _for_the_student(result))
    if chapter is None:
        again = "Open it in Jupyter or Colab, save it as .ipynb, and hand it in again."
        return f"Your file was not graded.\n\n{notes}\n\n{again}"
    parts = [f"What the grader noticed in your notebook:\n\n{notes}"] if notes else []
    if chapter.words:
        answers = "answer" if chapter.words == 1 else f"{chapter.words} answers"
        parts.append(f"A person reads and marks your {answers} in words.")
    return "\n\n".join(parts)


def of_exercise(name: str, each: dict[str, Any]) -> str:
    """What a student should know of an exercise, in Markdown: the first fault alone."""
    if is_solved(each):
        return f"All {each['cases']} cases are right."
    first = (each["faults"] or [""])[0]
    if first == f"{name} is not begun":
        return "You have not begun this exercise."
    if first.startswith(f"{name} is missing"):
        return (
            f"The grader found no `{name}` in your notebook. Is it called so, and is "
            "its cell free of syntax errors? Restart the kernel, run all cells, and "
            "hand it in when none of them fails."
        )
    parts = []
    if each["right"]:
        right = f"{each['right']} of {each['cases']} cases are right"
        parts.append(
            f"{right}." if each["points"] else f"{right}; all must be, for the points."
        )
    if first:
        parts.append(f"What went wrong first: {first}.")
    if each["resembles"]:
        idea = each["resembles"].rstrip(".")
        parts.append(f"Your code does what a common mistake does: {idea}.")
    parts.append(
        "Correct it and run the check under the exercise. If that passes already, "
        "think of a case that it does not try."
    )
    return "\n\n".join(parts)


def is_solved(each: dict[str, Any]) -> bool:
    """Whether every case of an exercise is right."""
    return each["cases"] > 0 and each["right"] == each["cases"]


def write_unread(folder: Path, handin: Handin, result: dict[str, Any]) -> None:
    """Tell the author of a file that could not be graded why, and what to do."""
    write_text(file_of(folder, handin, FEEDBACK), f"# {in_general(result, None)}\n")


def _for_the_student(result: dict[str, Any]) -> list[str]:
    """The notes without what names other students, or repeats an exercise's line."""
    known = {fault for each in result["exercises"].values() for fault in each["faults"]}
    return [
        note
        for note in result["notes"]
        if not note.startswith(f"{SAME} ") and note not in known
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
