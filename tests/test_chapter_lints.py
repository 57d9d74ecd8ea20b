"""Chapters are short, and every exercise has all that a reader or a teacher needs.

Bounds, the order of the parts, hints, checks and points; nothing is executed here.
Chapters that are still to be rewritten break some of this; they are listed, and the
list may only become shorter.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.conftest import ROOT
from tools.student import blanked, rubric, tags
from tools.sync import NUMBER
from tools.tested_copy import (
    exercise_names,
    instructors_file,
    right_solutions,
    wrong_solutions,
)

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))

# Before the exercises; a twin may be longer than other cells, because it is one thing.
CODE_CELLS, VISIBLE_LINES, CELL_LINES, TWIN_LINES = 20, 300, 20, 40
WORDS, LETTERED_WORDS = (2000, 3000), (1200, 3000)
# The last chapter has no new theory.
WORDS_OF = {"11-what-you-built": (1000, 2000)}
MODULES, CHECK_LINES, WRONG_SOLUTIONS, RIGHT_SOLUTIONS = 12, 12, 6, 3
PARTS = (
    "**Question.**", "> **Prediction.**", "**After this chapter**", "**You need**",
    "\n## What you have now\n", "\n## Exercises\n", "\n## Further reading\n",
)  # fmt: skip

# Chapter -> rules, by the names of the functions below, that it does not keep yet.
EXEMPT: dict[str, str] = {}
# How many there were when the list was made, or fewer. Lower it when you shorten it.
MOST_EXEMPT = 0


class Chapter:
    """A notebook, cut where its exercises begin."""

    def __init__(self, name: str, notebook: NotebookNode) -> None:
        self.name, self.cells = name, notebook.cells
        self.main: list[NotebookNode] = []
        for cell in self.cells:
            text, heading, _ = f"\n{cell.source}\n".partition("\n## Exercises\n")
            found = bool(heading) and cell.cell_type == "markdown"
            self.main.append(nbformat.from_dict({**cell, "source": text.strip("\n")}))
            if found:
                break

    def code(self, *folded: str) -> list[NotebookNode]:
        """The code cells before the exercises, but those with such a tag."""
        cells = [cell for cell in self.main if cell.cell_type == "code"]
        return [cell for cell in cells if not set(folded) & set(tags(cell))]

    def prose(self) -> list[NotebookNode]:
        """The text cells before the exercises."""
        return [cell for cell in self.main if cell.cell_type == "markdown"]

    def tagged(self, *wanted: str) -> list[tuple[int, NotebookNode]]:
        """Cells that have such a tag, with their places."""
        return [(i, c) for i, c in enumerate(self.cells) if set(wanted) & set(tags(c))]

    def number(self, index: int) -> str:
        """The number of the exercise that a cell belongs to."""
        texts = [c.source for c in self.cells[:index] if c.cell_type == "markdown"]
        return ["", *NUMBER.findall("\n".join(texts))][-1]

    def after(self, index: int) -> NotebookNode:
        return [*self.cells, new_markdown_cell("")][index + 1]


def lines(cell: NotebookNode) -> int:
    return len(cell.source.splitlines())


# The rules: each yields sentences -----------------------------------------------------

Rule = Callable[[Chapter], list[str]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    RULES[function.__name__] = function
    return function


@rule
def code_cells(chapter: Chapter) -> list[str]:
    count = len(chapter.code("bootstrap"))
    return [f"{count} code cells, at most {CODE_CELLS}"] * (count > CODE_CELLS)


@rule
def visible_lines(chapter: Chapter) -> list[str]:
    count = sum(map(lines, chapter.code("bootstrap", "figure")))
    return [f"{count} lines, at most {VISIBLE_LINES}"] * (count > VISIBLE_LINES)


@rule
def cell_lines(chapter: Chapter) -> list[str]:
    found = []
    for cell in chapter.code("bootstrap", "figure"):
        twin = any(tag.startswith("twin:") for tag in tags(cell))
        bound = TWIN_LINES if twin else CELL_LINES
        if lines(cell) > bound:
            found.append(f"cell {cell.id} has {lines(cell)} lines, at most {bound}")
    return found


@rule
def words(chapter: Chapter) -> list[str]:
    lettered = re.match(r"\d+[a-z]-", chapter.name)
    usual = LETTERED_WORDS if lettered else WORDS
    fewest, most = WORDS_OF.get(chapter.name, usual)
    written = {"links", "claims"}  # by make sync
    prose = (c.source for c in chapter.prose() if not written & set(tags(c)))
    text = " ".join(prose)
    count = sum(any(map(str.isalpha, word)) for word in text.split())
    return [f"{count} words, {fewest} to {most}"] * (not fewest <= count <= most)


@rule
def modules(chapter: Chapter) -> list[str]:
    cells = [c for c in chapter.cells if c.cell_type == "code"]
    code = "\n".join(c.source for c in cells if "bootstrap" not in tags(c))
    found = re.findall(r"^\s*(?:from|import) (bertcore[\w.]*)", code, re.MULTILINE)
    count = len(set(found))
    return [f"imports from {count} modules, at most {MODULES}"] * (count > MODULES)


@rule
def bootstrap(chapter: Chapter) -> list[str]:
    """The grader does not run that cell, so nothing else may live on its imports."""
    lent, own, used = set(), set(), set()
    for cell in (cell for cell in chapter.cells if cell.cell_type == "code"):
        imported = lent if "bootstrap" in tags(cell) else own
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.alias):
                imported.add((node.asname or node.name).split(".")[0])
            if isinstance(node, ast.Name) and imported is own:
                used.add(node.id)
    missing = sorted(used & lent - own)
    return [f"only the bootstrap cell imports {each}" for each in missing]


@rule
def order(chapter: Chapter) -> list[str]:
    text = "\n".join(f"\n{c.source}\n" for c in chapter.cells if "links" not in tags(c))
    places = [text.find(part) for part in PARTS]
    absent = [f"no {part.strip()}" for part in PARTS if part not in text]
    return absent or ["its parts are not in order"] * (places != sorted(places))


@rule
def predictions(chapter: Chapter) -> list[str]:
    cells = [c.source for c in chapter.cells if "> **Prediction.**" in c.source]
    found = [f"{len(cells)} predictions, 2 or 3"] * (len(cells) not in (2, 3))
    for index, cell in enumerate(chapter.cells):
        if "> **Prediction.**" in cell.source:
            following = chapter.after(index)
            if "predict" not in tags(following) or "*Your" not in following.source:
                found.append(f"after {cell.id} no cell for the prediction")
    return found


@rule
def next_chapter(chapter: Chapter) -> list[str]:
    *_, last = ["", *(cell.source for cell in chapter.prose() if cell.source)]
    link = re.search(r"\]\(\d+[a-z]?-[\w-]+\.ipynb\)", last)
    return ["the text before the exercises links to no chapter"] * (not link)


@rule
def hints(chapter: Chapter) -> list[str]:
    found = []
    for index, _ in chapter.tagged("exercise", "answer"):
        before, number = chapter.cells[index - 1], chapter.number(index)
        opened = re.findall(r"<details[^>]*>\s*<summary>Hint (\d): ", before.source)
        folds = before.source.count("<details"), before.source.count("</details>")
        if "hint" not in tags(before) or opened != [*"123"] or folds != (3, 3):
            found.append(f"{number} has no three folded hints right before its cell")
    return found


@rule
def hints_that_are_no_solution(chapter: Chapter) -> list[str]:
    found = []
    for index, cell in chapter.tagged("exercise"):
        given = {line.strip() for line in blanked(cell.source).splitlines()}
        hint = " ".join(chapter.cells[index - 1].source.split())
        for line in {line.strip() for line in cell.source.splitlines()} - given:
            code = " ".join(line.split("  # ")[0].removeprefix("return ").split())
            if len(code) >= 12 and not code.startswith("#") and code in hint:
                found.append(f"a hint of {chapter.number(index)} gives away: {code}")
    return found


@rule
def checks(chapter: Chapter) -> list[str]:
    found = [f"{c.id} is a hidden check" for _, c in chapter.tagged("hidden-check")]
    for index, cell in chapter.tagged("exercise"):
        check, number = chapter.after(index), chapter.number(index)
        wanted = f'passed("{number}", {cell.metadata["points"]})'
        if "check" not in tags(check):
            found.append(f"{number} has no check right after it")
        elif check.source.splitlines()[-1:] != [wanted]:
            found.append(f"the last line of the check of {number} is not {wanted}")
    for _, cell in chapter.tagged("check"):
        if lines(cell) > CHECK_LINES:
            at_most = f"{lines(cell)} lines, at most {CHECK_LINES}"
            found.append(f"check {cell.id} has {at_most}")
    if len(chapter.tagged("check")) != len(chapter.tagged("exercise")):
        found.append("not one check for each coded exercise")
    return found


@rule
def rubrics(chapter: Chapter) -> list[str]:
    cells = [
        (i, cell) for i, cell in chapter.tagged("answer") if not rubric(cell.source)
    ]
    return [f"the answer to {chapter.number(i)} has no rubric" for i, _ in cells]


@rule
def points(chapter: Chapter) -> list[str]:
    last = [cell for cell in chapter.cells if cell.cell_type == "code"][-1]
    good = "points" in tags(last) and len(chapter.tagged("points")) == 1
    return ["the last code cell, and it alone, is to be tagged `points`"] * (not good)


@rule
def grading(chapter: Chapter) -> list[str]:
    path = ROOT / "chapters" / f"{chapter.name}.ipynb"
    file = instructors_file("exercises", path)
    found = [f"there is no {file.relative_to(ROOT)}"] * (not file.is_file())
    wrong, right = wrong_solutions(path), right_solutions(path)
    for _, cell in chapter.tagged("exercise"):
        (name,) = exercise_names(cell)
        if (count := len(wrong.get(name, []))) < WRONG_SOLUTIONS:
            found.append(
                f"{count} wrong solutions of {name}, at least {WRONG_SOLUTIONS}"
            )
        count = len(set(right.get(name, [])))
        if right and count < RIGHT_SOLUTIONS:
            found.append(
                f"{count} right solutions of {name}, at least {RIGHT_SOLUTIONS}"
            )
    return found


# The chapters -------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_keep_the_rules(path: Path) -> None:
    chapter = Chapter(path.stem, nbformat.read(path, as_version=4))
    found = {name: faults for name, each in RULES.items() if (faults := each(chapter))}
    exempt = set(EXEMPT.get(path.stem, "").split())
    new = [f"{name}: {'; '.join(found[name])}" for name in found if name not in exempt]
    assert not new, "\n".join(new)
    mended = exempt - set(found)
    assert not mended, f"mended, so take it out of EXEMPT: {sorted(mended)}"


def test_the_list_only_becomes_shorter() -> None:
    gone = set(EXEMPT) - {path.stem for path in CHAPTERS}
    assert not gone, f"no such chapter, so take it out of EXEMPT: {sorted(gone)}"
    assert sum(len(names.split()) for names in EXEMPT.values()) <= MOST_EXEMPT


# The rules find what they are there for -----------------------------------------------


def sound() -> NotebookNode:
    """A chapter that keeps every rule that looks at the notebook alone."""
    text, code = new_markdown_cell, new_code_cell
    marked = {"points": 2, "minutes": 2, "difficulty": 1}
    folds = [
        f"<details><summary>Hint {n}: why?</summary>\nIt is {n}.</details>"
        for n in (1, 2, 3)
    ]
    cells = [
        (text("# 1 · A title"), ""),
        (code("import bertcore.b\n" * 60 + "import lent"), "bootstrap"),
        (text("**Question.** What?\n\n> **Prediction.** This?"), ""),
        (text("*Your prediction:*"), "predict"),
        (text("> **Prediction.** Or that?"), ""),
        (text("*Your prediction:*"), "predict"),
        (text("**After this chapter** you know. **You need** time."), ""),
        *((code(f"import bertcore.a{n}\nprint({n})"), "") for n in range(12)),
        (code("\n".join(["def double(x): return 2 * x"] * 40)), "twin:bertcore.x.y"),
        (code("\n" * 300), "figure"),
        (text("word " * 2000), ""),
        (text("## What you have now\n\nAll; go on to [2](02-embeddings.ipynb)."), ""),
        (text("## Exercises"), ""),
        (text("**1.1 Double it**"), ""),
        (text("\n".join(folds)), "hint"),
        (code("def double(x):\n    return [x, x, x] * 2", metadata=marked), "exercise"),
        (code('assert double(1) == 2\npassed("1.1", 2)'), "check"),
        (text("**1.2 In words**"), ""),
        (text("\n".join(folds)), "hint"),
        (
            text(
                "<details>\nYes.\n\n**Rubric.** It says yes.\n\n</details>",
                metadata=marked,
            ),
            "answer",
        ),
        (code("report()"), "points"),
        (text("## Further reading\n\n- This."), ""),
    ]
    for number, (cell, tag) in enumerate(cells):
        cell.id, cell.metadata["tags"] = f"c{number}", [tag] * bool(tag)
    return new_notebook(cells=[cell for cell, _ in cells])


def broken(notebook: NotebookNode) -> list[str]:
    found = {name: each(Chapter("01-x", notebook)) for name, each in RULES.items()
             if name != "grading"}  # fmt: skip
    return [name for name, faults in found.items() if faults]


def test_a_sound_chapter_breaks_no_rule() -> None:
    assert broken(sound()) == []


@pytest.mark.parametrize(
    ("tag", "old", "new", "name"),
    [
        ("", "print(3)", "print(3)" + "\n3" * 20, "cell_lines"),
        ("twin:bertcore.x.y", "def", "1\ndef", "cell_lines"),
        ("", "word ", "", "words"),
        ("", "word ", "word word ", "words"),
        ("", "print(3)", "from bertcore import b", "modules"),
        ("", "print(3)", "print(lent)", "bootstrap"),
        ("", "**You need**", "", "order"),
        ("", "## What you have now", "## Further reading", "order"),
        ("", "> **Prediction.** Or", "Or", "predictions"),
        ("predict", "*Your prediction:*", "", "predictions"),
        ("", "(02-embeddings.ipynb)", "", "next_chapter"),
        ("hint", "Hint 3", "Hint 2", "hints"),
        ("hint", "<details><summary>Hint 3: why?</summary>", "", "hints"),
        ("hint", "is 2", "is `[x, x, x] * 2`", "hints_that_are_no_solution"),
        ("hint", "is 2", "is `return [x,  x, x] * 2`", "hints_that_are_no_solution"),
        ("check", "1.1", "1.2", "checks"),
        ("check", ", 2)", ", 1)", "checks"),
        ("check", "2)", "2)\nprint()", "checks"),
        ("check", "assert", "1\n" * 11 + "assert", "checks"),
        ("answer", "**Rubric.**", "", "rubrics"),
    ],
)
def test_the_rules_find(tag: str, old: str, new: str, name: str) -> None:
    chapter = sound()
    for cell in chapter.cells:
        if cell.metadata["tags"] == [tag] * bool(tag):
            cell.source = cell.source.replace(old, new)
    assert name in broken(chapter)


def test_the_rules_find_cells_that_are_wrong() -> None:
    many = sound()
    many.cells[7:7] = [new_code_cell("1", metadata={"tags": ["figure"]})] * 7
    assert broken(many) == ["code_cells"]
    many.cells[7:14] = [new_code_cell("1\n" * 20, metadata={"tags": []})] * 6
    assert broken(many) == []
    many.cells[7:13] = [new_code_cell("1\n" * 20, metadata={"tags": []})] * 12
    assert "visible_lines" in broken(many)
    for tag, names in {
        "hint": ["hints"],
        "check": ["checks"],
        "predict": ["predictions"],
        "points": ["points"],
    }.items():
        less = sound()
        less.cells = [cell for cell in less.cells if tag not in cell.metadata["tags"]]
        assert broken(less) == names
    hidden = sound()
    hidden.cells[-2:-2] = [new_code_cell("1", metadata={"tags": ["hidden-check"]})]
    assert broken(hidden) == ["checks"]
