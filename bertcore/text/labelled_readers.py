"""Labelled readers: the files in packages become labelled rows (chapter 10).

A package's code never runs; its files are read as text.
"""

import csv
import random
import re
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from bertcore.text.corpus import Document
from bertcore.text.english import is_held_out
from bertcore.text.rows import Text, Words

Item = TypeVar("Item")

# By the numbers in trec.csv; after the dash, the names in question_labels.txt.
QUESTION_CLASSES = (
    "description",  # DESC
    "entity",  # ENTY
    "abbreviation",  # ABBR
    "human",  # HUM
    "number",  # NUM
    "location",  # LOC
)
_SHORT_NAMES = ("DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC")
NEAR = (1, 2)  # verses away


def normal(text: str) -> str:
    """A text's words in small letters: what is the same for finding doubles.

    >>> normal("Who's there? -- ME!")
    'who s there me'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


def parts(
    items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items to train on, eight in ten, to validate and to test, by a digest of a key.

    So what has the same key is in the same part, today and tomorrow.
    """
    train: list[Item] = []
    valid: list[Item] = []
    test: list[Item] = []
    for item in items:
        tenth = crc32(key(item).encode()) % 10
        (test if tenth == 0 else valid if tenth == 1 else train).append(item)
    return train, valid, test


def unique(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    seen: Iterable[Hashable] = (),
) -> list[Item]:
    """The items whose key has not come before, and is not among those seen."""
    known = set(seen)
    kept = []
    for item in items:
        if (found := key(item)) not in known:
            known.add(found)
            kept.append(item)
    return kept


def read_ratings(path: Path) -> list[tuple[str, float]]:
    """Texts and their mean ratings from a table of number, rating and text."""
    lines = path.read_text("utf8").splitlines()[1:]
    cells = (line.split("\t") for line in lines)
    return [(text.strip(), float(rating)) for _, rating, text in cells]


def read_trec(path: Path) -> list[Text]:
    """The questions of TREC with the names of their six classes."""
    with path.open(encoding="utf8", newline="") as file:
        return [
            Text(row["text"], QUESTION_CLASSES[int(row["label-coarse"])])
            for row in csv.DictReader(file)
        ]


def read_question_lines(path: Path) -> list[Text]:
    """The questions in a file of lines such as "NUM:date When was … ?"."""
    names = dict(zip(_SHORT_NAMES, QUESTION_CLASSES, strict=True))
    rows = []
    for line in path.read_text("utf8").splitlines():
        label, _, text = line.partition(" ")
        rows.append(Text(text, names[label.partition(":")[0]]))
    return rows


def read_tagged(path: Path) -> list[Words]:
    """Sentences with a tag for each word; a line without a word ends a sentence."""
    rows: list[Words] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text("utf8").split("\n"), "\t"]:
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag)
        elif words:
            rows.append(Words(tuple(words), tuple(tags)))
            words, tags = [], []
    return rows


def read_similarities(folder: Path) -> tuple[list[str], list[list[float]]]:
    """Lee's documents, and how alike each is to each later one, from 0 to 1.

    The documents are in Latin-1, a line each. Below its diagonal the matrix is 0.
    """
    documents = (folder / "lee.cor").read_text("latin-1").strip().split("\n")
    lines = (folder / "similarities0-1.txt").read_text("utf8").splitlines()
    return documents, [[float(cell) for cell in line.split()] for line in lines]


def pair_verses(old: list[Document], new: list[Document]) -> list[tuple[str, Text]]:
    """A pair for each verse of the first version, with the book that it is from.

    A digest of the place decides whether the second text is the same verse or one that
    stands one or two before or after it in the chapter. Left out are verses whose
    wording is the same in both versions, and those with no counterpart.
    """
    pairs = []
    for chapter, other in zip(old, new, strict=True):
        ours, theirs = chapter.text.split("\n"), other.text.split("\n")
        count = min(len(ours), len(theirs))
        for number in range(count):
            if normal(ours[number]) == normal(theirs[number]):
                continue
            digest = crc32(f"{chapter.title}:{number + 1}".encode())
            label, place = "same", number
            if digest % 2:
                near = [number + step * side for step in NEAR for side in (1, -1)]
                near = [place for place in near if 0 <= place < count]
                label, place = "other", near[digest // 2 % len(near)]
            pairs.append((chapter.topic, Text(ours[number], label, theirs[place])))
    return pairs


def unread(
    split: tuple[list[Item], ...], title: Callable[[Item], str]
) -> tuple[list[Item], ...]:
    """Only what our packaged model was not pretrained on tests; the rest validates."""
    train, valid, test = split
    read = [item for item in test if not is_held_out(title(item))]
    return train, valid + read, [item for item in test if is_held_out(title(item))]


def pair_descriptions(documents: Iterable[Document], seed: int = 0) -> list[Text]:
    """Each description with its own text, "fits", or with another's, "other".

    Half and half by chance. The other text is of the same topic and has another
    description; a text whose topic is alone keeps its own.
    """
    documents, rng = list(documents), random.Random(seed)
    by_topic: dict[str, list[Document]] = {}
    for document in documents:
        by_topic.setdefault(document.topic, []).append(document)
    rows = []
    for own in documents:
        others = [d for d in by_topic[own.topic] if d.description != own.description]
        if others and rng.random() < 0.5:
            rows.append(Text(own.description, "other", rng.choice(others).text))
        else:
            rows.append(Text(own.description, "fits", own.text))
    return rows
