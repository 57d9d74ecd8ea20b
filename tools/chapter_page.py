"""What the page of a chapter has and its notebook has not: all added by the build.

On top a small map that says where you are; at the end a quiz, the way on, and when and
on what machine the outputs of the page were computed. Colab's copies stay as they are.
"""

from datetime import date
from html import escape
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from sphinx.transforms import SphinxTransform

from tools.course_map import Chapter, chapters, neighbours, strip
from tools.quizzes import as_html, file_of, read
from tools.run_chapters import cache_folder

LEGEND = "Numbers are the main line, and letters go deeper and are optional."


class ChapterPage(SphinxTransform):
    """Add map, quiz, way on and date to a chapter, before its contents are listed."""

    default_priority = 90  # sphinx-external-toc puts its own node last, at 100

    def apply(self, **kwargs: object) -> None:
        """Change the document if it is a chapter."""
        page = self.env.docname
        if not page.startswith("chapters/"):
            return
        root = Path(self.app.confdir)
        course = chapters(root)
        (here,) = [chapter for chapter in course if chapter.page == page]
        top = next(self.document.findall(nodes.section))
        mark_cells(top, root / f"{page}.ipynb")
        # Below the line of links to Colab, which is the first paragraph.
        place = next(i for i, n in enumerate(top) if isinstance(n, nodes.paragraph)) + 1
        legend = f"<p>You are at chapter {here.number}. {LEGEND}</p>"
        top.insert(place, raw(f"{strip(course, here)}{legend}", "course-place"))
        quiz = file_of(Path(page).name, root)
        self.env.note_dependency(str(quiz))
        if quiz.is_file():
            section = nodes.section("", nodes.title("", "Quiz"), ids=["quiz"])
            section += raw(as_html(read(quiz)))
            top += section
        top += raw(way_on(here, course) + verified(page, root), "chapter-end")


def raw(html: str, kind: str = "") -> nodes.raw:
    """HTML as a part of the document, in a box of its own if that has a class."""
    html = f'<div class="{kind}">{html}</div>' if kind else html
    return nodes.raw("", html, format="html")


def mark_cells(top: nodes.section, path: Path) -> None:
    """Give every visible code cell an anchor, `cell-` and its id in the notebook."""
    cells = nbformat.read(path, as_version=4).cells
    for node in top.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            node["ids"].append(f"cell-{cells[node['cell_index']].id}")


def way_on(here: Chapter, course: list[Chapter]) -> str:
    """Links to the next chapter and to those that go deeper."""
    lines = [
        f'<li>{words}: <a href="{Path(chapter.page).name}.html">'
        f"{escape(chapter.title)}</a></li>"
        for words, chapter in neighbours(here, course)
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def verified(page: str, root: Path) -> str:
    """When, with what and how long the cells of the page ran; nothing if they did not.

    tools/run_chapters.py keeps that beside the outputs.
    """
    folder = cache_folder(root)
    if not folder.is_dir():
        return ""
    notebook = nbformat.read(root / f"{page}.ipynb", as_version=4)
    try:
        ran = get_cache(folder).match_cache_notebook(notebook).data
    except KeyError:
        return ""
    if "date" not in ran:
        return ""
    day = date.fromisoformat(ran["date"])
    versions = ", ".join(f"{name} {version}" for name, version in ran["versions"])
    return (
        f'<p class="verified">Last verified: all cells of this page ran on '
        f'<time datetime="{day}">{day.day} {day:%B %Y}</time> in '
        f"{ran['execution_seconds']:.0f} seconds on {escape(ran['machine'])}, "
        f"with {escape(versions)}.</p>"
    )
