"""One sheet for each chapter, for whoever teaches it: python -m tools.sheets

    python -m tools.sheets                       write instructors/sheets/*.md
    python -m tools.sheets --print sheets.pdf    print them, an A4 page each

What a notebook knows (points, minutes, kinds, objectives) is taken from the notebook,
and what was measured from tools/costs.json. The author wrote only what to say about
wrong answers, what to discuss, and where a GPU helps: instructors/sheets/NAME.yml.
"""

import argparse
import ast
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import yaml
from markdown_it import MarkdownIt

from bertcore.files import write_text
from grading.chapters import Chapter, chapters_of
from tools.student import tags
from tools.sync import ROOT, TIME, costs

FOLDER = ROOT / "instructors" / "sheets"
# How an exercise begins: **1.4 Title**
HEADING = re.compile(r"^\*\*(\d+[a-z]?\.\d+) (.+?)\*\*", re.MULTILINE)
NO_GPU = "None."


@dataclass(frozen=True)
class Item:
    """One exercise: its number and title, its metadata, and how it is answered.

    `kind` is "words", or of code "test", "class" or "function"; `name` is that of the
    function or class, empty for an answer in words.
    """

    number: str
    title: str
    kind: str
    name: str
    points: int
    minutes: int
    difficulty: int
    optional: bool


@dataclass(frozen=True)
class Facts:
    """What a chapter's notebook says of itself, and what it cost when it was run."""

    chapter: Chapter

    @property
    def name(self) -> str:
        """Such as "03-attention"."""
        return self.chapter.name

    @property
    def number(self) -> str:
        """As readers say it: "3", "3b"."""
        return self.title.partition(" ")[0]

    @property
    def title(self) -> str:
        """With its number: "3 · Attention: …"."""
        first = self.chapter.notebook.cells[0].source.splitlines()[0]
        return first.removeprefix("# ")

    @cached_property
    def opening(self) -> str:
        """The cell with objectives, needs and minutes.

        Raises:
            ValueError: if there is none.
        """
        for cell in self.chapter.notebook.cells:
            if cell.cell_type == "markdown" and "**You need**" in cell.source:
                return cell.source
        raise ValueError(f"{self.name} does not say what a reader needs")

    @property
    def objectives(self) -> list[str]:
        """What readers can do after it."""
        return re.findall(r"^- (.+?)[;.]$", self.opening, re.MULTILINE)

    @property
    def needs(self) -> str:
        """What it builds on, in the chapter's words, without links."""
        found = re.search(r"\*\*You need\*\* (.+?)\. \*\*Time", self.opening, re.DOTALL)
        return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", found[1])

    @property
    def reading(self) -> int:
        """Minutes, as the author estimates them."""
        return int(TIME.search(self.opening)[1])

    @property
    def cost(self) -> dict[str, float]:
        """Seconds of one core and gigabytes of memory, measured."""
        return costs()[self.name]

    @cached_property
    def items(self) -> list[Item]:
        """All exercises, in order."""
        found, number, title = [], "", ""
        for cell in self.chapter.notebook.cells:
            number, title = [(number, title), *HEADING.findall(cell.source)][-1]
            if not {"exercise", "answer"} & set(tags(cell)):
                continue
            about = cell.metadata
            kind, name = ("words", "") if "answer" in tags(cell) else _kind(cell)
            found.append(
                Item(
                    *(number, title, kind, name),
                    *(about["points"], about["minutes"], about["difficulty"]),
                    about.get("optional", False),
                )
            )
        return found

    def total(self, field: str, *kinds: str, optional: bool = False) -> int:
        """The sum of points or minutes, over exercises of some kinds, or of all."""
        return sum(
            getattr(item, field)
            for item in self.items
            if item.optional == optional and (not kinds or item.kind in kinds)
        )


def _kind(cell: nbformat.NotebookNode) -> tuple[str, str]:
    """What an exercise asks for: a test, a class or a function; and its name."""
    (node,) = ast.parse(cell.source).body
    if isinstance(node, ast.ClassDef):
        return "class", node.name
    return ("test" if node.name.startswith("test_") else "function"), node.name


CODE = "function", "class", "test"


def written(facts: Facts) -> dict[str, Any]:
    """What the author wrote about a chapter, checked against the chapter.

    Raises:
        ValueError: if the file names an exercise or a wrong idea that is not there, or
            says nothing about an exercise in code.
    """
    path = FOLDER / f"{facts.name}.yml"
    found = yaml.safe_load(path.read_text(encoding="utf8"))
    names = [item.name for item in facts.items if item.kind in CODE]
    if list(found["say"]) != names:
        raise ValueError(
            f"{path.name} speaks of {', '.join(found['say'])}; the exercises in code "
            f"are, in order, {', '.join(names)}"
        )
    for name, ideas in found["say"].items():
        known = [idea for idea, _ in facts.chapter.wrong[name]]
        # Where a loop makes the solutions, their comments are known to the file alone.
        known = known if any(known) else facts.chapter.wrong_ideas
        for idea in ideas:
            if idea not in known:
                raise ValueError(
                    f"{path.name}: {name} has no wrong solution {idea!r}; there are: "
                    + "; ".join(filter(None, known))
                )
    return found


def sheet(facts: Facts) -> str:
    """The sheet of a chapter in Markdown."""
    own, name = written(facts), facts.name
    exercises = facts.total("minutes")
    beyond = facts.total("points", optional=True)
    points = (
        f"{facts.total('points', *CODE)} by the grader, "
        f"{facts.total('points', 'words')} by you"
    )
    if beyond:
        points += f"; {beyond} optional"
    levels = [item.difficulty for item in facts.items]
    cost = facts.cost
    parts = [
        f"# {facts.title}",
        f"Written by `make sync` from [the chapter](../../chapters/{name}.ipynb), in "
        "which a rubric is folded under each question in words, the [wrong solutions]"
        f"(../wrong/) and [{name}.yml]({name}.yml).",
        f"**Minutes** (the author's estimate): {facts.reading} of reading, {exercises} "
        f"of exercises. **Points**: {points}. **Difficulty**: {min(levels)} to "
        f"{max(levels)} of 5. **Cells** (measured on one core): {cost['seconds']} s, "
        f"{cost['gigabytes']} GB. **GPU**: {own.get('gpu', NO_GPU).strip()}",
        "**Students need** " + facts.needs + ". **Afterwards they can**",
        "\n".join(f"- {each}" for each in facts.objectives),
        "## Exercises",
        _table(facts.items),
        "## Wrong answers, and what to say",
        "\n".join(_said(facts.items, own["say"])),
        "## To discuss",
        "\n\n".join(
            f"**{e['ask'].strip()}** {e['good'].strip()}" for e in own["discuss"]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _table(items: Sequence[Item]) -> str:
    rows = [
        "| | Exercise | Kind | Points | Minutes | Difficulty |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for item in items:
        title = item.title + (" (optional)" if item.optional else "")
        kind = "words, with a rubric" if item.kind == "words" else f"a {item.kind}"
        cells = item.number, title, kind, item.points, item.minutes, item.difficulty
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _said(items: Sequence[Item], say: dict[str, dict[str, str]]) -> list[str]:
    """A list: of each exercise in code the wrong ideas, with what to say."""
    number = {item.name: item.number for item in items}
    return [
        f"- **{number[name]}** *{idea[0].upper()}{idea[1:]}.* {words.strip()}"
        for name, ideas in say.items()
        for idea, words in ideas.items()
    ]


def all_facts() -> list[Facts]:
    """The chapters, in order."""
    return [Facts(chapter) for chapter in chapters_of().values()]


def wanted_files() -> dict[Path, str]:
    """Each sheet's file, with the text it should have."""
    return {FOLDER / f"{facts.name}.md": sheet(facts) for facts in all_facts()}


# On paper -----------------------------------------------------------------------------

PAPER = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
@page {{ size: A4; margin: 11mm 12mm }}
body {{ font: 8.8pt/1.3 "DejaVu Sans", Arial, sans-serif; margin: 0 }}
h1 {{ font-size: 14pt; margin: 0 0 1mm }} h2 {{ font-size: 9.5pt; margin: 2mm 0 1mm }}
p, ul {{ margin: 0 0 1.2mm }} ul {{ padding-left: 4mm }} li {{ margin: 0 0 .5mm }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: .2mm solid #999; padding: .3mm 1.5mm; text-align: left }}
a {{ color: inherit; text-decoration: none }}
</style>{body}</html>"""


def on_paper(markdown: str) -> str:
    """A sheet as an HTML page for A4."""
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    return PAPER.format(title=markdown.splitlines()[0].removeprefix("# "), body=body)


def printed(sheets: Sequence[str]) -> bytes:
    """The sheets as a PDF, a page each.

    Raises:
        ValueError: if one does not fit on its page.
    """
    from pypdf import PdfReader, PdfWriter

    from tools.quality import chromium

    book = PdfWriter()
    with chromium() as browser:
        page = browser.new_page()
        for text in sheets:
            page.set_content(on_paper(text))
            leaves = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
            if (count := len(leaves.pages)) > 1:
                title = text.splitlines()[0].removeprefix("# ")
                raise ValueError(f"{title}: {count} pages; shorten its file to fit one")
            book.append(leaves)
    made = io.BytesIO()
    book.write(made)
    return made.getvalue()


def main() -> None:
    """Write the sheets, or print them."""
    parser = argparse.ArgumentParser(description="A sheet for each chapter.")
    parser.add_argument("--print", type=Path, metavar="FILE", help="a PDF to write")
    options = parser.parse_args()
    if options.print:
        options.print.parent.mkdir(parents=True, exist_ok=True)
        options.print.write_bytes(printed(list(wanted_files().values())))
        print(options.print)
        return
    for path, text in wanted_files().items():
        if not path.exists() or path.read_text(encoding="utf8") != text:
            write_text(path, text)
            print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
