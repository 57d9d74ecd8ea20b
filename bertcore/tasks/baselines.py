"""Baselines: what a fine-tuned model must beat to be worth its price (chapter 10).

`majority` looks at no text. `bag_of_words`, by scikit-learn, counts words and knows
nothing of their order, beyond the words beside one.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

from bertcore.tasks import find_task
from bertcore.tasks.rows import OUTSIDE, Question, Source, TaskSet, Text, Words

_YEAR = re.compile(r"\s*\([^()]*\d{4}[^()]*\)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w+")
_READ = 500  # characters of a text; more of Wikipedia's introductions helps nothing
_AT_ONCE = 100  # rows that are compared with all others


def majority(data: TaskSet, rows: Sequence[Any]) -> list[Any]:
    """The same for all rows: the most frequent class or target, or the mean.

    For names all tags are "O"; for answers there is none.
    """
    return find_task(data.kind).majority(data, rows)


def bag_of_words(data: TaskSet, rows: Sequence[Any]) -> list[Any]:
    """What logistic regression makes of counted words.

    Texts: words and pairs of neighbours, weighed by tf-idf; of a pair of texts also
    which words they share and which not. A number: ridge regression on the same. A
    word's tag: from the word, its shape and those beside it. An answer: the whole
    sentence of the context whose words go best with the question's; or none, if that is
    likelier.

    For writing nothing is fitted, and characters are counted, not words: the target of
    the row to train on whose text is nearest, by the cosine of tf-idf of two to four
    characters in a row within a word. Of a text the first 500 characters are read.
    """
    return find_task(data.kind).bag_of_words(data, rows)


def most_frequent(data: TaskSet, rows: Sequence[Any]) -> list[Any]:
    """What is right most often."""
    truth = map(find_task(data.kind).truth, data.train)
    return [Counter(truth).most_common(1)[0][0]] * len(rows)


def mean_number(data: TaskSet, rows: Sequence[Text]) -> list[float]:
    """The mean of the numbers."""
    return [mean(row.label for row in data.train)] * len(rows)


def all_outside(data: TaskSet, rows: Sequence[Words]) -> list[tuple[str, ...]]:
    """All tags are "O", or the most frequent one where tags mark no spans."""
    tags = Counter(tag for row in data.train for tag in row.tags)
    tag = OUTSIDE if OUTSIDE in data.labels else tags.most_common(1)[0][0]
    return [(tag,) * len(row.words) for row in rows]


def no_answer(data: TaskSet, rows: Sequence[Question]) -> list[str]:
    """No question has an answer."""
    return [""] * len(rows)


def logistic(right: Sequence[Any], strength: float, **settings: Any) -> Any:
    """Logistic regression; where there is only one class, that class."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    if len(set(right)) == 1:
        return DummyClassifier(strategy="most_frequent")
    return LogisticRegression(C=strength, max_iter=2000, **settings)


def classes(data: TaskSet, rows: Sequence[Text]) -> list[str]:
    """Classes by logistic regression on words and neighbours."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    labels = [row.label for row in data.train]
    model = make_pipeline(
        TfidfVectorizer(analyzer=counted, sublinear_tf=True), logistic(labels, 10)
    )
    model.fit(data.train, labels)
    return model.predict(list(rows)).tolist()


def counted(row: Text) -> Iterator[str]:
    """What is counted of a text or a pair."""
    first = _words(row.text)
    if row.pair is None:
        yield from first
        yield from (f"{a} {b}" for a, b in pairwise(first))
        return
    second = _words(row.pair)
    yield from (f"first {word}" for word in first)
    yield from (f"second {word}" for word in second)
    one, other = set(first), set(second)
    yield from (f"shared {word}" for word in one & other)
    yield from (f"apart {word}" for word in one ^ other)
    yield f"share {round(10 * len(one & other) / max(1, len(one | other)))}"


def numbers(data: TaskSet, rows: Sequence[Text]) -> list[float]:
    """Numbers by ridge regression on words and neighbours."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(analyzer=counted, sublinear_tf=True), Ridge())
    model.fit(data.train, [float(row.label) for row in data.train])
    return model.predict(list(rows)).tolist()


def tags(data: TaskSet, rows: Sequence[Words]) -> list[list[str]]:
    """Tags by logistic regression on each word and those beside it."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline

    right = [tag for row in data.train for tag in row.tags]
    model = make_pipeline(DictVectorizer(), logistic(right, 10))
    model.fit([seen for row in data.train for seen in _around(row.words)], right)
    guesses = iter(model.predict([seen for r in rows for seen in _around(r.words)]))
    return [[str(next(guesses)) for _ in row.words] for row in rows]


def nearest(data: TaskSet, rows: Sequence[Source]) -> list[str]:
    """Targets of the nearest texts."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32
    )
    train = vectors.fit_transform([row.text[:_READ] for row in data.train]).T.tocsr()
    test = vectors.transform([row.text[:_READ] for row in rows])
    guesses = []
    for start in range(0, len(rows), _AT_ONCE):
        cosines = (test[start : start + _AT_ONCE] @ train).toarray()
        guesses += [data.train[number].target for number in cosines.argmax(axis=1)]
    return guesses


def _around(words: Sequence[str]) -> Iterator[dict[str, str]]:
    padded = ["", *words, ""]
    for before, word, after in zip(padded, padded[1:], padded[2:], strict=False):
        yield {
            "word": word.lower(),
            "shape": re.sub("[a-z]+", "a", re.sub("[A-Z]+", "A", word)),
            "end": word.lower()[-3:],
            "before": before.lower(),
            "after": after.lower(),
        }


def sentences_that_answer(data: TaskSet, rows: Sequence[Question]) -> list[str]:
    """Sentences whose words go best with the question's, or "" where none does.

    How likely an answer must be to be given is chosen on the validation rows.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectors = HashingVectorizer(
        analyzer=_crossed,
        n_features=2**20,
        norm=None,
        alternate_sign=False,
        binary=True,
    )
    pairs = [(q, place) for q in data.train for place in sentences(q.context)]
    right = [
        any(a.start < end and a.start + len(a.text) > start for a in q.answers)
        for q, (start, end) in pairs
    ]
    model = logistic(right, 1, class_weight="balanced")
    model.fit(vectors.transform(pairs), right)

    def best(question: Question) -> tuple[float, str]:
        spans = sentences(question.context)
        shares = model.predict_proba(vectors.transform([(question, s) for s in spans]))
        chances = shares @ model.classes_  # of the class True, if it is there
        chance, (start, end) = max(zip(chances, spans, strict=True))
        return chance, _YEAR.sub("", question.context[start:end].rstrip("."))

    def given(found: list[tuple[float, str]], least: float) -> list[str]:
        return [text if chance >= least else "" for chance, text in found]

    tried = [best(question) for question in data.valid]
    wanted = [q.answers[0].text if q.answers else "" for q in data.valid]

    def right_ones(least: float) -> int:
        return sum(a == b for a, b in zip(given(tried, least), wanted, strict=True))

    least = max((n / 20 for n in range(1, 20)), key=right_ones)
    return given([best(question) for question in rows], least)


def sentences(context: str) -> list[tuple[int, int]]:
    """Where a context's sentences, or its lines, begin and end.

    >>> sentences("Hot; dry. 3.5 million.")
    [(0, 9), (10, 22)]
    """
    ends = [*_SENTENCE_END.finditer(context)]
    starts = [0, *(end.end() for end in ends)]
    stops = [*(end.start() for end in ends), len(context)]
    return [(a, b) for a, b in zip(starts, stops, strict=True) if b > a]


def _crossed(pair: tuple[Question, tuple[int, int]]) -> Iterator[str]:
    """Each word of the question beside each of the sentence."""
    question, (start, end) = pair
    first, second = _words(question.question), _words(question.context[start:end])
    yield from (f"{one} {other}" for one in first for other in second)
    yield from ("shared" for word in second if word in first)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
