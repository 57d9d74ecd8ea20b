"""The book's Sphinx extension: static maths, mended theme, outputs that are not stale.

What only a chapter has, and the map, are in tools/chapter_page.py and beside it.

Every page must work with no request to a foreign host and with no known fault for
people who use a keyboard or a screen reader. What the theme gets wrong is put right
here, where it arises; what is expected and not found is a warning, so that an upgrade
of the theme is noticed.
"""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from docutils.utils.math import MathError
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from tools import live, playground, quizzes
from tools.chapter_page import ChapterPage, raw
from tools.course_map import chapters, whole_map
from tools.glossary_links import link_terms
from tools.mathml import to_mathml
from tools.run_chapters import cache_folder
from tools.student import blanked

logger = logging.getLogger(__name__)

# Each script of our own, in the order of loading, and the mark of a page that needs it.
EXPLORER = Path(__file__).with_name("explorer.js")
SCRIPTS = {
    playground.WORDPIECE: playground.MARK,
    playground.SCRIPT: playground.MARK,
    EXPLORER: 'class="bertcore-explorer"',
    quizzes.SCRIPT: quizzes.MARK,
    **dict.fromkeys(live.SCRIPTS, live.MARK),
}


# Maths ------------------------------------------------------------------------------

PHONE_LINE = 25  # signs of maths, of which a phone 390 pixels wide shows some 30


def mathml_or_warning(node: nodes.Element, block: bool) -> str:
    """Return the node's MathML, or its TeX marked as a problem after a warning."""
    tex = node.astext()
    try:
        return to_mathml(tex, block)
    except MathError as error:
        logger.warning("maths: %s In: %s", error, " ".join(tex.split()), location=node)
        return f'<code class="problematic">{escape(tex)}</code>'


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write inline maths in a span that keeps it together with a comma after it.

    What may be wider than a phone gets the theme's class for what scrolls, as below.
    """
    maths = mathml_or_warning(node, block=False)
    shown = unescape(re.sub(r"<[^>]+>", "", maths))
    long = " pst-scrollable-table-container" if len(shown) > PHONE_LINE else ""
    self.body.append(f'<span class="inline-math{long}">{maths}</span>')
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write displayed maths, with number and link where it has a label.

    The inner class is the theme's own for wide tables: its script gives the element a
    tab stop exactly when it scrolls.
    """
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append('<div class="pst-scrollable-table-container">')
    self.body.append(mathml_or_warning(node, block=True) + "</div></div>\n")
    raise nodes.SkipNode


# Folded cells -----------------------------------------------------------------------


def visit_fold(self: HTML5Translator, node: HideCodeCellNode) -> None:
    """Open a folded part of a cell, named by what a click does.

    MyST-NB labels every fold "Toggle hidden content", which hides the visible words
    from a screen reader and from speech control. An exercise hides a solution, and
    shows above it what the reader has to fill in.
    """
    tags = node.parent["classes"] if node.parent else []
    source = "solution" if "tag_exercise" in tags else "code"
    if source == "solution":
        for block in node.findall(nodes.literal_block):
            task = blanked(block.astext())
            self.body.append('<div class="cell_input docutils container">')
            nodes.literal_block(task, task, **block.attributes).walkabout(self)
            self.body.append("</div>")
    show, hide = (
        escape(node[prompt].replace("source", source))
        for prompt in ("prompt_show", "prompt_hide")
    )
    classes = " ".join(["hide", *node["classes"]])
    self.body.append(
        f'<details class="{classes}">\n<summary><span class="collapsed">{show}</span>'
        f'<span class="expanded">{hide}</span></summary>\n'
    )


# The theme's pages ------------------------------------------------------------------


class Mend(NamedTuple):
    """One fault of the theme, and its remedy on every page."""

    what: str
    pattern: str
    replacement: str
    except_on: str = ""  # the page where it is no fault


MENDS = [
    Mend(
        "the 1.5 MB icon script (the icon fonts of the style sheet do its work)",
        r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>',
        "",
    ),
    Mend(
        "the index of the search (40 kB, before anything is shown) where nobody asked",
        r'\s*<script src="[^"]*(searchtools|language_data|searchindex)\.js"></script>',
        "",
        except_on="search",
    ),
    Mend(
        "scripts that the page can be shown without, and waits for all the same",
        r'<script ((?:data-[\w-]+="[^"]*" )?src="[^"]*/(?:doctools|sphinx_highlight|'
        r"clipboard\.min|copybutton|sphinx-book-theme|design-tabs)\.js)",
        r"<script defer \1",
        except_on="search",  # whose own script needs them at once
    ),
    Mend(
        "the label that hides the words on the search button",
        r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"',
        r"\1",
    ),
    Mend(
        "the empty default for the colour mode (the theme's own script warns of it)",
        r'(dataset\.mode = localStorage\.getItem\("mode"\) \|\| )""',
        r'\1"auto"',
    ),
    Mend(
        "arrows in the list of chapters that a screen reader cannot name",
        r'<summary>(<span class="toctree-toggle")',
        r'<summary aria-label="Chapters that go deeper">\1',
    ),
    Mend(
        "icons that a screen reader would try to read",
        r'<(i|span) (class="(?:[^"]* )?fa-)',
        r'<\1 aria-hidden="true" \2',
    ),
]


class Templates(BuiltinTemplateLoader):
    """Sphinx's template engine, with the theme's faults mended in what it renders."""

    def render(self, template: str, context: dict[str, Any]) -> str:
        """Return what the template gives, mended where that is a whole page."""
        html = super().render(template, context)
        if "</html>" not in html:  # the theme also renders single components
            return html
        page = context.get("pagename", template)
        for mend in MENDS:
            if page == mend.except_on:
                continue
            html, count = re.subn(mend.pattern, mend.replacement, html)
            if not count:
                logger.warning("theme: not found: %s", mend.what, location=page)
        return html


def prune(app: Sphinx, exception: Exception | None) -> None:
    """Delete the theme's files that no page loads: two thirds of the site."""
    for pattern in ("fontawesome.js*", "*.js.map", "*.css.map", "*-macros.html"):
        for file in (Path(app.outdir) / "_static").rglob(pattern):
            file.unlink()


# Our own parts ----------------------------------------------------------------------


class CourseMap(SphinxDirective):
    """`{course-map}`: the map of all chapters."""

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        depth = self.env.docname.count("/")
        return [raw(whole_map(chapters(Path(self.env.srcdir)), "../" * depth))]


class LiveModel(SphinxDirective):
    """A part of the live model's page: `load`, `fill`, `attend` or `compare`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What the part shows before the model is loaded, and without a script."""
        folder = live.folder_in(Path(self.config.nb_execution_cache_path))
        html = (folder / f"{self.arguments[0]}.html").read_text(encoding="utf8")
        return [raw(html)]


# Execution --------------------------------------------------------------------------


def name_cache(app: Sphinx, config: Config) -> None:
    """Take executed notebooks from where tools/run_chapters.py puts them."""
    cache = cache_folder(Path(app.confdir))
    config.nb_execution_cache_path = str(cache)
    data = cache / "playground-data.js"
    if not data.exists():
        playground.write_data(data)
    site = live.folder_in(cache) / "site"
    config.html_static_path += [*map(str, SCRIPTS), str(live.WORKER), str(data)]
    config.html_static_path.append(str(site))


def add_scripts(app: Sphinx, page: str, template: str, context: dict, _: Any) -> None:
    """Load each script on the pages that need it, and on no other."""
    for script, mark in SCRIPTS.items():
        if mark in context.get("body", ""):
            app.add_js_file(script.name, loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx (`template_bridge` is named in _config.yml)."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_node(
        HideCodeCellNode, override=True, html=(visit_fold, depart_HideCellInput)
    )
    app.add_transform(ChapterPage)
    app.add_directive("course-map", CourseMap)
    app.connect("doctree-resolved", link_terms)
    app.add_directive("live-model", LiveModel)
    app.connect("config-inited", name_cache)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", prune)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
