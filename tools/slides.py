"""Slides of a chapter, for a lecture: python -m tools.slides 03-attention

Writes _build/slides/03-attention.html, one file that needs no network. Arrow keys,
space, or scrolling go from slide to slide; printed, each slide is a page. Nothing is
written for the slides alone: they are the chapter's question, predictions, headings
with the sentences after them, definitions, pictures, claims, verdicts and answers.
The outputs are those of the book; a chapter that it has not run yet is run first.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bertcore.files import write_text
from tools.head import SENTENCE
from tools.mathml import to_mathml
from tools.run_chapters import cache_folder, fill_cache
from tools.sheets import HEADING, Facts, all_facts
from tools.student import published, tags
from tools.sync import ROOT, repository

FOLDER = ROOT / "_build" / "slides"
MOST = 340  # letters of a paragraph: what can be read while somebody speaks
LINES = 30  # of code or of what a cell prints
# What begins a slide of its own: a heading, or a paragraph that opens in bold.
LEAD = re.compile(r"\*\*([A-Z][^*]+?)[.:]?\*\* ?(.*)", re.DOTALL)
QUOTED = re.compile(r"^> ?", re.MULTILINE)
QUESTION = "Question"
NOT_SHOWN = {"Exercises", "Further reading"}

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; --blue: #2f6db5; --soft: #667 }}
html {{ scroll-snap-type: y mandatory; background: #fff; color: #14181e }}
body {{ margin: 0; font: 2.3vw/1.4 "DejaVu Sans", Verdana, Arial, sans-serif }}
section {{ box-sizing: border-box; min-height: 100vh; padding: 4vw 6vw 3vw;
  scroll-snap-align: start; display: flex; flex-direction: column;
  justify-content: center; position: relative; break-after: page }}
section::after {{ content: attr(data-place); position: absolute; right: 2vw;
  bottom: 1.2vw; font-size: 1.2vw; color: var(--soft) }}
h1 {{ font-size: 4.2vw; line-height: 1.15; margin: 0 }}
h2 {{ font-size: 3.2vw; line-height: 1.2; margin: 0 0 2vw; color: var(--blue) }}
p, ul {{ margin: 0 0 1.4vw }} li {{ margin: 0 0 .8vw }}
a {{ color: var(--blue) }}
pre {{ margin: 0; font: 1.45vw/1.35 "DejaVu Sans Mono", Consolas, monospace;
  overflow-x: auto }}
pre.long {{ font-size: 1.15vw }} code {{ font-size: .92em }}
figure {{ margin: 0 !important }}
figure svg {{ width: 100% !important; max-width: none !important;
  height: 62vh !important }}
figcaption {{ font-size: 1.6vw; color: var(--soft) }}
table {{ border-collapse: collapse; font-size: 1.9vw }}
td, th {{ padding: .4vw 1.6vw .4vw 0; text-align: left }}
math[display="block"] {{ font-size: 1.3em }}
@page {{ size: 297mm 167mm; margin: 0 }}
{code}
</style></head><body>
{slides}
<script>
const slides = [...document.querySelectorAll("section")];
const ahead = ["ArrowRight", "ArrowDown", "PageDown", " "];
const back = ["ArrowLeft", "ArrowUp", "PageUp"];
addEventListener("keydown", (event) => {{
  const step = ahead.includes(event.key) - back.includes(event.key);
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const here = slides.findIndex((each) => each.getBoundingClientRect().bottom > 9);
  slides[Math.max(0, Math.min(slides.length - 1, here + step))].scrollIntoView();
}});
</script></body></html>
"""


def executed(chapter: Path) -> NotebookNode:
    """The chapter with its outputs, from the book's cache.

    Raises:
        ValueError: if it fails when it is run, which is done if the book has not.
    """
    from jupyter_cache import get_cache

    folder = cache_folder()
    if fill_cache([chapter], folder, workers=1):
        raise ValueError(f"{chapter.stem} cannot be run; what it says stands above")
    cache = get_cache(folder)
    record = cache.match_cache_notebook(nbformat.read(chapter, as_version=4))
    found = cache.get_cache_bundle(record.pk).nb
    # The cache keeps code and outputs; texts are those of the chapter.
    whole = nbformat.read(chapter, as_version=4)
    ran = iter(cell for cell in found.cells if cell.cell_type == "code")
    for cell in whole.cells:
        if cell.cell_type == "code":
            cell.outputs = next(ran).outputs
    return whole


# What is shown ------------------------------------------------------------------------


def shortened(text: str) -> str:
    """As many sentences of a paragraph as a slide holds, one at least.

    >>> shortened("One. " + "A longer sentence. " * 40).count(".")
    18
    """
    kept = ""
    for sentence in SENTENCE.findall(text.strip()):
        longer = f"{kept} {sentence.strip()}".strip()
        if kept and len(longer) > MOST:
            break
        kept = longer
    return kept


def of_text(source: str, title: str) -> Iterator[tuple[str, str]]:
    """The slides of a text cell: titles with Markdown.

    Of a section the first paragraph counts, and then what opens in bold, what is
    quoted, lists and formulas; what lies between is what the lecturer says.

    Args:
        title: the heading above the cell.
    """
    fresh = False
    for block in re.split(r"\n{2,}", source.strip()):
        if block.startswith("## "):
            title, fresh = block.removeprefix("## ").strip(), True
            continue
        if title in NOT_SHOWN:
            continue
        quoted = block.startswith(">")
        lead = LEAD.match(QUOTED.sub("", block))
        if lead:
            number, text = re.match(r"(?:(\d)\. )?(.*)", lead[2], re.DOTALL).groups()
            name = f"{lead[1]} {number}" if number else lead[1]
            yield name, text if quoted or name == QUESTION else shortened(text)
        elif block.startswith("- "):
            yield from ((title, each) for each in in_parts(block))
        elif block.startswith("$$"):
            yield title, block
        elif fresh:
            yield title, shortened(block)
        fresh = False


def in_parts(items: str) -> Iterator[str]:
    """A list, cut where a slide is full."""
    part = ""
    for item in re.split(r"\n(?=- )", items):
        if part and len(part) + len(item) > MOST:
            yield part
            part = ""
        part = f"{part}\n{item}".strip()
    yield part


def is_definition(source: str) -> bool:
    """Whether a cell holds functions and classes, and nothing else."""
    kinds = ast.FunctionDef, ast.ClassDef
    return all(isinstance(node, kinds) for node in ast.parse(source).body)


def of_code(cell: NotebookNode, title: str) -> Iterator[tuple[str, str]]:
    """The slides of a code cell: what it defines, its pictures, what a claim's prints.

    Titles with HTML; `title` is the heading above the cell.
    """
    marks = tags(cell)
    if {"bootstrap", "points"} & set(marks):
        return
    if is_definition(cell.source):
        yield from ((title, _code(part)) for part in cut(cell.source))
    outputs = cell.get("outputs", [])
    for output in outputs:
        shown = output.get("data", {}).get("text/html", "")
        if "<figure" in shown:
            yield title, shown
    claims = [tag.partition(":")[2] for tag in marks if tag.startswith("claim:")]
    printed = "".join(output.get("text", "") for output in outputs)
    if claims and printed and printed.count("\n") < LINES:
        yield f"Claim {' and '.join(claims)}", f"<pre>{escape(printed)}</pre>"


def cut(source: str) -> Iterator[str]:
    """Code in parts that fit on a slide, each up to the last empty line that does."""
    lines = source.splitlines()
    while len(lines) > LINES:
        empty = [at for at, line in enumerate(lines[:LINES]) if not line and at]
        at = empty[-1] if empty else LINES
        yield "\n".join(lines[:at]).rstrip()
        lines = lines[at:]
        while lines and not lines[0]:
            lines = lines[1:]
    yield "\n".join(lines)


def _code(source: str) -> str:
    kind = "long" if source.count("\n") > 18 else "code"
    shown = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
    return f'<pre class="{kind}">{shown}</pre>'


class Writer:
    """Markdown to HTML, with formulas in MathML, and links into the published book."""

    def __init__(self) -> None:
        self.markdown = MarkdownIt("commonmark").enable("table")
        self.markdown.use(
            dollarmath_plugin,
            renderer=lambda tex, options: to_mathml(tex, options["display_mode"]),
        )
        self.book = published(repository())

    def html(self, text: str) -> str:
        """A text's HTML."""
        linked = re.sub(
            r"\]\(((?:\d\d[a-z]?)-[\w-]+)\.ipynb",
            rf"]({self.book}chapters/\1.html",
            text,
        )
        return self.markdown.render(linked)


def slides(notebook: NotebookNode, facts: Facts) -> list[str]:
    """The slides of a chapter with outputs, each as HTML."""
    writer, last = Writer(), facts.title
    found = [f"<h1>{escape(facts.title)}</h1>"]

    def add(title: str, body: str) -> None:
        found.append(f"<h2>{writer.markdown.renderInline(title)}</h2>{body}")

    for cell in notebook.cells[2:]:
        if cell.cell_type == "code":
            for title, body in of_code(cell, last):
                add(title, body)
        elif HEADING.search(cell.source):
            break
        elif cell.source == facts.opening:
            listed = "\n".join(f"- {each}" for each in facts.objectives)
            add("After this chapter you can", writer.html(listed))
        else:
            for title, text in of_text(cell.source, last):
                add(title, writer.html(text))
            headings = re.findall(r"^## (.+)$", cell.source, re.MULTILINE)
            last = [last, *headings][-1]
    rows = [
        "| | | Points | Minutes |",
        "| --- | --- | --- | --- |",
        *(
            f"| {i.number} | {i.title} | {i.points} | {i.minutes} |"
            for i in facts.items
        ),
    ]
    add("Exercises", writer.html("\n".join(rows)))
    return found


def page(found: Sequence[str], title: str) -> str:
    """The slides as one HTML file."""
    sections = [
        f'<section data-place="{place} / {len(found)}">{body}</section>'
        for place, body in enumerate(found, start=1)
    ]
    style = HtmlFormatter(style="default").get_style_defs("pre")
    return PAGE.format(title=escape(title), code=style, slides="\n".join(sections))


def main() -> int:
    """Write the slides of one chapter; the exit status is 1 if it is not there."""
    parser = argparse.ArgumentParser(description="Slides of a chapter.")
    parser.add_argument("name", help="such as 03-attention")
    options = parser.parse_args()
    known = {each.name: each for each in all_facts()}
    if options.name not in known:
        parser.error(f"no chapter {options.name}; there are {', '.join(known)}")
    facts = known[options.name]
    try:
        found = slides(executed(facts.chapter.path), facts)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{facts.name}.html"
    write_text(path, page(found, facts.title))
    print(f"{path.relative_to(ROOT)}: {len(found)} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
