"""Chapters as an instructor assigns them: their exercises, their cells, a release.

Everything is read from the tagged notebooks and from `instructors`: in the repository,
or in the grading set of a release, which has the same folders and does not change
while a course runs.
"""

import ast
import importlib.util
import json
import shutil
import tokenize
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat

import bertcore
from bertcore.files import digest, new_file, write_json
from grading.box import ROOT
from tools.student import student_copy, tags
from tools.tested_copy import (
    exercise_names,
    instructors_file,
    right_solutions,
    wrong_solutions,
)

# Cells that nobody needs in order to grade.
_NOT_RUN = {"bootstrap", "check", "hidden-check", "points"}
# What files of solutions call their lists.
LISTS = {"WRONG", "RIGHT"}


@dataclass(frozen=True)
class Task:
    """One coded exercise: its number in the chapter, as in "3.4", points and cells."""

    name: str
    number: str
    points: int
    optional: bool
    hints: tuple[str, ...]


class Chapter:
    """A chapter of a course, read from its notebook.

    Args:
        notebook: the one with the solutions; `instructors` stands beside its folder.
    """

    def __init__(self, notebook: Path) -> None:
        self.path, self.name = notebook, notebook.stem
        self.notebook = nbformat.read(notebook, as_version=4)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The coded exercises by name, in the chapter's order."""
        found: dict[str, Task] = {}
        hints: list[str] = []
        for cell in self.notebook.cells:
            if "hint" in tags(cell):
                hints.append(cell.source)
            if "answer" in tags(cell):
                hints = []
            if "exercise" in tags(cell):
                (name,) = exercise_names(cell)
                about = cell.metadata
                optional = about.get("optional", False)
                found[name] = Task(name, "", about["points"], optional, tuple(hints))
                hints = []
            if "check" in tags(cell):
                found[name] = Task(**{**vars(found[name]), "number": _number(cell)})
        return found

    @cached_property
    def checks(self) -> dict[str, str]:
        """The visible check of each exercise, by its name."""
        found: dict[str, str] = {}
        name = ""
        for cell in self.notebook.cells:
            if "exercise" in tags(cell):
                (name,) = exercise_names(cell)
            if "check" in tags(cell):
                found[name] = f"{found.get(name, '')}\n{cell.source}".strip()
        return found

    @cached_property
    def words(self) -> int:
        """How many questions are answered in words, which the grader leaves to you."""
        return sum("answer" in tags(cell) for cell in self.notebook.cells)

    def cells(self, solved: bool) -> list[tuple[str, str]]:
        """The cells to run, with labels: with our solutions, or without exercises."""
        skipped = _NOT_RUN if solved else {*_NOT_RUN, "exercise"}
        return [
            (f"cell {number}", cell.source)
            for number, cell in enumerate(self.notebook.cells, start=1)
            if cell.cell_type == "code" and not skipped & set(tags(cell))
        ]

    @cached_property
    def blanks(self) -> dict[str, str]:
        """What stands in a student's copy for each exercise."""
        return {
            exercise_names(cell)[0]: cell.source
            for cell in student_copy(self.notebook).cells
            if "exercise" in tags(cell)
        }

    @property
    def is_graded(self) -> bool:
        """Whether `instructors/exercises` has a file for it."""
        return instructors_file("exercises", self.path).is_file()

    @cached_property
    def generators(self) -> ModuleType:
        """The chapter's module of `instructors/exercises`.

        Raises:
            ValueError: if it has none: then the chapter is graded by hand.
        """
        path = instructors_file("exercises", self.path)
        if not self.is_graded:
            raise ValueError(
                f"{self.name} has no file {path.name} in instructors/exercises, so its "
                "exercises are graded by hand"
            )
        name = f"instructors.exercises.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @cached_property
    def wrong(self) -> dict[str, list[tuple[str, str]]]:
        """The wrong solutions of each exercise: what is wrong, and the source.

        What is wrong stands in a comment above; it is empty where there is none.
        """
        path = instructors_file("wrong", self.path)
        return _explained(path, wrong_solutions(self.path)) if path.is_file() else {}

    @cached_property
    def right(self) -> dict[str, list[tuple[str, str]]]:
        """Further right solutions of each exercise: how they differ, and the source.

        How they differ stands in a comment above; it is empty where there is none.
        """
        path = instructors_file("right", self.path)
        return _explained(path, right_solutions(self.path)) if path.is_file() else {}

    @property
    def wrong_ideas(self) -> set[str]:
        """All comments of the file of wrong solutions, whatever they belong to."""
        return set(_comments(instructors_file("wrong", self.path)).values())


def _number(check: nbformat.NotebookNode) -> str:
    """The exercise's number, from the last line of its check: passed("3.4", 3)."""
    last = ast.parse(check.source).body[-1]
    is_call = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
    return str(ast.literal_eval(last.value.args[0])) if is_call else ""


def _explained(
    path: Path, solutions: dict[str, list[str]]
) -> dict[str, list[tuple[str, str]]]:
    """The solutions of a file, each with the comment that stands above it."""
    comments, places, found = _comments(path), _places(path), {}
    for name, sources in solutions.items():
        said = [comments.get(line - 1, "") for line in places.get(name, [])]
        said += [""] * (len(sources) - len(said))  # those made by a loop
        found[name] = list(zip(said, sources, strict=False))
    return found


def _comments(path: Path) -> dict[int, str]:
    """The comments of a file by the line on which they end; adjoining lines joined."""
    found: dict[int, str] = {}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                line, text = token.start[0], token.string.lstrip("# ")
                found[line] = f"{found.pop(line - 1, '')} {text}".strip()
    return found


def _places(path: Path) -> dict[str, list[int]]:
    """The lines on which the solutions of a file begin, by exercise."""
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        is_list = isinstance(node, ast.Assign) and node.targets[0].id in LISTS
        if is_list and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {
                key.value: [each.lineno for each in value.elts] for key, value in pairs
            }
    return {}


# A course -----------------------------------------------------------------------------


def chapters_of(folder: Path = ROOT) -> dict[str, Chapter]:
    """The chapters of the repository, or of a grading set, by name.

    Raises:
        ValueError: if the folder has none.
    """
    paths = sorted((folder / "chapters").glob("*.ipynb"))
    if not paths:
        raise ValueError(
            f"{folder} has no folder chapters with notebooks: give the folder "
            "grading-set of a release, or run this in a clone of the course"
        )
    return {path.stem: Chapter(path) for path in paths}


def secret_of(file: Path, make: bool = False) -> str:
    """The course's seed, any text; with `make` a file that is not there gets one.

    Raises:
        ValueError: if there is none, or it is too short to be kept.
    """
    if make and not file.exists():
        import secrets

        with new_file(file) as partial:
            partial.touch(mode=0o600)
            partial.write_text(secrets.token_hex(16) + "\n")
    if not file.is_file():
        raise ValueError(f"there is no seed in {file}; release makes one there")
    secret = file.read_text(encoding="utf8").strip()
    if len(secret) < 8:
        raise ValueError(
            f"{file} holds {len(secret)} characters; a seed that nobody tries out has "
            "8 or more. Remove the file, and release makes a new one"
        )
    return secret


def seed_of(secret: str, chapter: str, exercise: str) -> int:
    """The number from which an exercise's cases are drawn; nothing leads back."""
    text = f"{secret}\n{chapter}\n{exercise}".encode()
    return int.from_bytes(sha256(text).digest()[:4], "big") % 1_000_000_000


def release(chapters: list[Chapter], folder: Path) -> dict[str, Any]:
    """Write students' notebooks, solutions and the grading set; say what was written.

    Raises:
        ValueError: if the folder has something in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: a release goes into a new folder")
    about: dict[str, Any] = {"bertcore": bertcore.__version__, "chapters": {}}
    for chapter in chapters:
        file = chapter.path.name
        copies = {"student": student_copy(chapter.notebook), "solutions": None}
        for kind, copy in copies.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            if copy is None:
                shutil.copyfile(chapter.path, folder / kind / file)
            else:
                nbformat.write(copy, folder / kind / file)
        copy_to_set(chapter, folder / "grading-set")
        about["chapters"][chapter.name] = {
            "sha256": digest(chapter.path),
            "exercises": {
                task.name: {"number": task.number, "points": task.points}
                for task in chapter.tasks.values()
            },
            "in words": chapter.words,
        }
    write_json(folder / "grading-set" / "release.json", about)
    return about


def copy_to_set(chapter: Chapter, folder: Path) -> None:
    """Copy a chapter with its cases into a folder that `chapters_of` reads."""
    copied = {chapter.path: folder / "chapters"}
    for kind in ("exercises", "wrong", "right"):
        source = instructors_file(kind, chapter.path)
        if source.is_file():
            copied[source] = folder / "instructors" / kind
    for source, target in copied.items():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / source.name)


def digest_of(chapter: Chapter) -> str:
    """A digest of all that decides about a hand-in, besides the seed and bertcore."""
    sources = [json.dumps(chapter.notebook.cells, sort_keys=True)]
    for kind in ("exercises", "wrong"):
        path = instructors_file(kind, chapter.path)
        sources += [path.read_text(encoding="utf8")] if path.is_file() else []
    return sha256("\n".join(sources).encode()).hexdigest()
