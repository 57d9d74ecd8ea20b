"""What a page tells search engines, and those to whom somebody sends its address.

Each page gets a description, its one address, and a card: the picture that messengers
and social networks show beside a link. All of it is made when the book is built, from
the page's own title and first sentences, so nothing of it can go stale.
"""

import re
from functools import cache
from html import escape, unescape
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
from docutils import nodes
from PIL import Image, ImageDraw, ImageFont
from sphinx.application import Sphinx
from sphinx.config import Config

from tools.student import published
from tools.sync import repository

# Search engines show about so many characters; what is longer, they cut.
LONGEST, SHORTEST = 160, 60
# The size that all networks show whole, and the favicon's colours on the dark ground.
CARD = (1200, 630)
GROUND, INK, SOFT, BLUE, ORANGE = "#14181e", "#ffffff", "#b9c2cf", "#3987e5", "#d95926"
MARGIN = 80
QUESTION = "Question."  # how a chapter begins
SENTENCE = re.compile(r".+?[.?!](?=\s|$)|.+$", re.DOTALL)


# Words --------------------------------------------------------------------------------


def description(document: nodes.document) -> str:
    """The first sentences of a page, as many as a search engine shows.

    Lines of links and questions to the reader, such as a chapter's predictions, are
    passed over. A sentence that is too long alone is cut at a word.
    """
    for paragraph in document.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if text.startswith(QUESTION):
            return question(text.removeprefix(QUESTION).strip())
        if len(text) < SHORTEST or isinstance(paragraph.parent, nodes.block_quote):
            continue
        if paragraph.children and isinstance(paragraph.children[0], nodes.reference):
            continue
        return shortened(text)
    return ""


def question(text: str) -> str:
    """What a chapter asks, after as much of what leads to it as there is room for.

    >>> question("BERT reads numbers. Long " + "ago " * 40 + ". What do they mean?")
    'BERT reads numbers. What do they mean?'
    """
    first, *others = (each.strip() for each in SENTENCE.findall(text))
    asked = [each for each in others if each.endswith("?")]
    if not asked:
        return shortened(text)
    for said in (" ".join([first, asked[-1]]), asked[-1]):
        if len(said) <= LONGEST:
            return said
    return shortened(asked[-1])


def shortened(text: str) -> str:
    """As many whole sentences as fit, or the words of the first that do.

    >>> said = "It is short. A second sentence makes more than sixty signs of it. "
    >>> shortened(said + "Then a long one " * 9)
    'It is short. A second sentence makes more than sixty signs of it.'
    """
    kept = ""
    for sentence in SENTENCE.findall(text):
        longer = f"{kept} {sentence.strip()}".strip()
        if len(longer) > LONGEST:
            break
        kept = longer
    if len(kept) >= SHORTEST:
        return kept
    return text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:–") + "…"


# Pictures -----------------------------------------------------------------------------


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """A font that comes with matplotlib, so that every machine has it."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / name), size)


def draw_card(path: Path, book: str, title: str, text: str) -> None:
    """Write a page's card: the book, the page's title, and what it asks.

    Args:
        path: the PNG file.
        book: the book's title.
        title: the page's; a chapter's number is set apart.
        text: the description.
    """
    image = Image.new("RGB", CARD, GROUND)
    draw = ImageDraw.Draw(image)
    right = CARD[0] - MARGIN
    number, _, name = title.rpartition(" · ")
    draw_logo(draw, right - 240, MARGIN - 16)
    if name != book:
        label = f"{book}, chapter {number}" if number else book
        draw.text((MARGIN, MARGIN), label, SOFT, font(30))
    top = 190
    lines = wrap(name, 28)
    for line in lines[:3]:
        draw.text((MARGIN, top), line, INK, font(58, bold=True))
        top += 74
    top += 24
    for line in wrap(text, 56)[: 5 - len(lines[:3])]:
        draw.text((MARGIN, top), line, SOFT, font(32))
        top += 46
    draw.rectangle((0, CARD[1] - 12, CARD[0], CARD[1]), BLUE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(64).save(path, optimize=True)


def draw_logo(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """Draw the logo: four tokens attend to the masked one between them."""
    side, step = 40, 50
    for place in range(5):
        x = left + step * place
        box = (x, top + 74, x + side, top + 74 + side)
        if place == 2:
            draw.rounded_rectangle(box, 9, outline=ORANGE, width=6)
        else:
            draw.rounded_rectangle(box, 9, fill=BLUE)
            first, last = sorted((x + side // 2, left + 2 * step + side // 2))
            height = 58 if abs(place - 2) == 2 else 36
            arc = (first, top + 66 - height, last, top + 66 + height)
            draw.arc(arc, 180, 360, BLUE, 5)


# Sphinx -------------------------------------------------------------------------------


def set_address(app: Sphinx, config: Config) -> None:
    """Say where the book is published; it follows from the repository's address."""
    config.html_baseurl = published(repository(Path(app.confdir)))


def add_head(
    app: Sphinx, page: str, template: str, context: dict[str, Any], document: Any
) -> None:
    """Add description and card to a page; search engines skip the page of searches."""
    if document is None:  # the page of searches
        said = "Search the whole book: chapters, glossary, questions and answers."
        tags = [tag("name", "robots", "noindex"), tag("name", "description", said)]
        context["metatags"] = "".join(tags)
        return
    said = description(document)
    title = unescape(re.sub(r"<[^>]+>", "", context["title"]))
    book, address = app.config.html_title, app.config.html_baseurl
    card = f"_cards/{page}.png"
    draw_card(Path(app.outdir) / card, book, title, said)
    context["metatags"] += "".join(
        [
            tag("name", "description", said),
            tag("property", "og:type", "article"),
            tag("property", "og:site_name", book),
            tag("property", "og:title", title),
            tag("property", "og:description", said),
            tag("property", "og:url", f"{address}{app.builder.get_target_uri(page)}"),
            tag("property", "og:image", f"{address}{card}"),
            tag("property", "og:image:width", str(CARD[0])),
            tag("property", "og:image:height", str(CARD[1])),
            tag("property", "og:image:alt", title),
            tag("name", "twitter:card", "summary_large_image"),
        ]
    )


def tag(kind: str, name: str, content: str) -> str:
    """A meta element."""
    return f'\n    <meta {kind}="{name}" content="{escape(content)}" />'


def write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    """Write sitemap.xml, with all pages in reading order, and robots.txt."""
    if exception is not None:
        return
    address = app.config.html_baseurl
    pages = [page for page in app.env.found_docs if page != app.config.root_doc]
    targets = ["", *(app.builder.get_target_uri(page) for page in sorted(pages))]
    listed = "".join(f"  <url><loc>{address}{each}</loc></url>\n" for each in targets)
    (Path(app.outdir) / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{listed}</urlset>\n",
        encoding="utf8",
    )
    (Path(app.outdir) / "robots.txt").write_text(
        f"User-agent: *\nAllow: /\n\nSitemap: {address}sitemap.xml\n", encoding="utf8"
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it with Sphinx."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_head)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
