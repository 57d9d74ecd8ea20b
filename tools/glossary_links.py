"""In each chapter the first use of a term links to the glossary.

Only prose is searched: no heading, code, link, output or title of a work. A term that
is also an everyday word, such as "key", is linked where it stands in bold, because that
is how a chapter introduces a term, and otherwise not at all.
"""

import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from markdown_it import MarkdownIt
from sphinx.application import Sphinx

PAGE = "glossary"
EVERYDAY = {
    *("block", "gain", "id", "key", "labels", "mask", "moments", "objective", "piece"),
    *("score", "state", "value", "warm"),
}
# Where no term is linked.
PASSED_OVER = (
    nodes.title,
    nodes.emphasis,  # titles of papers, and claims
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.table,
    nodes.figure,
)


class Term(NamedTuple):
    """A term as the glossary has it, with the names it goes by and what it means."""

    entry: str
    names: tuple[str, ...]
    meaning: str


def terms(path: Path) -> list[Term]:
    """The terms of the glossary's page, without those that are code.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
    ...     _ = file.write("```{glossary}\\nblock (layer)\\n  A *part*.\\n\\n```\\n")
    ...     file.flush()
    ...     terms(Path(file.name))
    [Term(entry='block (layer)', names=('block', 'layer'), meaning='A part.')]
    """
    text = path.read_text(encoding="utf8")
    (entries,) = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.M | re.S)
    found = []
    for entry in entries.strip().split("\n\n"):
        term, *said = entry.splitlines()
        if term.startswith("["):
            continue
        first, _, other = term.partition(" (")
        names = tuple(name.rstrip(")") for name in (first, other) if name)
        meaning = plain(" ".join(line.strip() for line in said))
        found.append(Term(term, names, meaning))
    return found


def plain(markdown: str) -> str:
    """What it means, without marks and without the link to the chapter.

    >>> plain("Not `[PAD]`. [Chapter 0](chapters/00-map.ipynb).")
    'Not [PAD].'
    """
    text = re.sub(r"\s*\[Chapter \w+\]\([^)]*\)\.?", "", markdown)
    html = MarkdownIt().renderInline(text)
    return unescape(re.sub(r"<[^>]+>", "", html))


@cache
def pattern(name: str) -> re.Pattern[str]:
    """Finds a name as a whole word, also in the plural.

    >>> [bool(pattern("query").search(s)) for s in ("Two queries", "requery", "QUERY")]
    [True, False, True]
    >>> [bool(pattern("GELU").search(s)) for s in ("GELUs", "gelu")]
    [True, False]
    """
    words = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]", name)))
    plural = f"{words[:-1]}(?:y|ies)" if re.search("[^aeiou]y$", name) else f"{words}s?"
    # An abbreviation is written in one way; a word may begin a sentence.
    flags = re.NOFLAG if re.search("[A-Z]{2}|[A-Z].*[A-Z]|[0-9]", name) else re.I
    return re.compile(rf"(?<![\w-]){plural}(?![\w-])", flags)


def first_use(
    texts: list[nodes.Text], term: Term
) -> tuple[nodes.Text, re.Match] | None:
    """The text in which the term is used first, and where in it."""
    for text in texts:
        bold = isinstance(text.parent, nodes.strong)
        for name in term.names:
            if name in EVERYDAY and not bold:
                continue
            if match := pattern(name).search(text.astext()):
                return text, match
    return None


def searched(document: nodes.document) -> list[nodes.Text]:
    """The texts of the prose, in order."""

    def is_passed_over(node: nodes.Node | None) -> bool:
        while node is not None:
            output = isinstance(node, nodes.container) and "nb_element" in node
            if isinstance(node, PASSED_OVER) or (
                output and node["nb_element"] != "cell_markdown"
            ):
                return True
            node = node.parent
        return False

    return [text for text in document.findall(nodes.Text) if not is_passed_over(text)]


def link_terms(app: Sphinx, document: nodes.document, page: str) -> None:
    """Make a link of each term's first use in a chapter."""
    if not page.startswith("chapters/") or app.builder.format != "html":
        return
    address = app.builder.get_relative_uri(page, PAGE)
    places = app.env.domaindata["std"]["terms"]  # by the entry in small letters
    # Long names first: "attention head" is not a use of "attention".
    listed = terms(Path(app.srcdir) / f"{PAGE}.md")
    for term in sorted(listed, key=lambda term: -max(map(len, term.names))):
        if (found := first_use(searched(document), term)) is None:
            continue
        text, match = found
        _, anchor = places[term.entry.lower()]
        link = nodes.reference(
            "",
            match[0],
            internal=True,
            refuri=f"{address}#{anchor}",
            reftitle=term.meaning,
            classes=["term"],
        )
        parts = text[: match.start()], link, text[match.end() :]
        place = text.parent.index(text)
        text.parent[place : place + 1] = [
            nodes.Text(part) if isinstance(part, str) else part
            for part in parts
            if part
        ]
