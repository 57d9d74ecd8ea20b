"""Baselines: what a fine-tuned model must beat to be worth its price (chapter 10).

`majority` looks at no text. `bag_of_words`, by scikit-learn, counts words and knows
nothing of their order, beyond the words beside one. `copied` writes what it has read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

from bertcore.tasks.rows import Question, Source, TaskSet, Text, Words

_YEAR = re.compile(r"\s*\([^()]*\d{4}[^()]*\)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w+")
_READ = 500  # characters of a text; more of Wikipedia's introductions helps nothing
_AT_ONCE = 100  # rows that are compared with all others


def majority(data: TaskSet, rows: Sequence[Any]) -> list[Any]:
    """The same for all rows: the most frequent class or target, or the mean.

    For tagging all tags are "O"; for answers there is none.
    """
    if data.kind == "tagging":
        return [("O",) * len(row.words) for row in rows]
    if data.kind == "answers":
        return [""] * len(rows)
    if data.kind == "writing":
        targets = Counter(row.target for row in data.train)
        return [targets.most_common(1)[0][0]] * len(rows)
    labels = [row.label for row in data.train]
    if data.kind == "regression":
        return [mean(labels)] * len(rows)
    return [Counter(labels).most_common(1)[0][0]] * len(rows)


def bag_of_words(data: TaskSet, rows: Sequence[Any]) -> list[Any]:
    """What logistic regression makes of counted words.

    Texts: words and pairs of neighbours, weighed by tf-idf; of a pair of texts also
    which words they share and which not. A number: ridge regression on the cosine of
    the two texts' tf-idf vectors. A word's tag: from the word, its shape and those
    beside it. An answer: the whole sentence of the context whose words go best with the
    question's; or none, if that is likelier.

    For writing nothing is fitted, and characters are counted, not words: the target of
    the row to train on whose text is nearest, by the cosine of tf-idf of two to four
    characters in a row within a word. Of a text the first 500 characters are read.
    """
    if data.kind == "answers":
        return _sentences(data, rows)
    kinds = {
        "classification": _classes,
        "regression": _numbers,
        "tagging": _tags,
        "writing": _nearest,
    }
    return kinds[data.kind](data.train, rows)


def copied(data: TaskSet, rows: Sequence[Source]) -> list[str]:
    """The first words of each text, as many as a target to train on has on average.

    Raises:
        ValueError: if the kind of the set is not writing.
    """
    if data.kind != "writing":
        raise ValueError(
            f"{data.name} is a set for {data.kind}, where nothing is copied; give one "
            "for writing"
        )
    count = max(1, round(mean(len(row.target.split()) for row in data.train)))
    return [" ".join(row.text.split()[:count]) for row in rows]


def _logistic(right: Sequence[Any], strength: float, **settings: Any) -> Any:
    """Logistic regression; where there is only one class, that class."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    if len(set(right)) == 1:
        return DummyClassifier(strategy="most_frequent")
    return LogisticRegression(C=strength, max_iter=2000, **settings)


def _classes(train: Sequence[Text], rows: Sequence[Text]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    labels = [row.label for row in train]
    model = make_pipeline(
        TfidfVectorizer(analyzer=_counted, sublinear_tf=True), _logistic(labels, 10)
    )
    model.fit(list(train), labels)
    return model.predict(list(rows)).tolist()


def _counted(row: Text) -> Iterator[str]:
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


def _numbers(train: Sequence[Text], rows: Sequence[Text]) -> list[float]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    texts = sorted({text for row in train for text in (row.text, row.pair or "")})
    vectors = TfidfVectorizer(analyzer=_words).fit(texts)

    def cosines(some: Sequence[Text]) -> Any:
        first = vectors.transform([row.text for row in some])
        second = vectors.transform([row.pair or "" for row in some])
        return first.multiply(second).sum(axis=1).reshape(-1, 1)

    model = Ridge(alpha=1e-3).fit(
        _array(cosines(train)), [float(row.label) for row in train]
    )
    return model.predict(_array(cosines(rows))).tolist()


def _array(matrix: Any) -> Any:
    import numpy as np

    return np.asarray(matrix)


def _tags(train: Sequence[Words], rows: Sequence[Words]) -> list[list[str]]:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline

    tags = [tag for row in train for tag in row.tags]
    model = make_pipeline(DictVectorizer(), _logistic(tags, 10))
    model.fit([seen for row in train for seen in _around(row.words)], tags)
    guesses = iter(model.predict([seen for r in rows for seen in _around(r.words)]))
    return [[str(next(guesses)) for _ in row.words] for row in rows]


def _nearest(train: Sequence[Source], rows: Sequence[Source]) -> list[str]:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32
    )
    seen = vectors.fit_transform([row.text[:_READ] for row in train]).T.tocsr()
    asked = vectors.transform([row.text[:_READ] for row in rows])
    guesses = []
    for start in range(0, len(rows), _AT_ONCE):
        cosines = (asked[start : start + _AT_ONCE] @ seen).toarray()
        guesses += [train[number].target for number in cosines.argmax(axis=1)]
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


def _sentences(data: TaskSet, rows: Sequence[Question]) -> list[str]:
    """How likely an answer must be to be given is chosen on the validation rows."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectors = HashingVectorizer(
        analyzer=_crossed,
        n_features=2**20,
        norm=None,
        alternate_sign=False,
        binary=True,
    )
    seen = [(q, place) for q in data.train for place in sentences(q.context)]
    right = [
        any(a.start < end and a.start + len(a.text) > start for a in q.answers)
        for q, (start, end) in seen
    ]
    model = _logistic(right, 1, class_weight="balanced")
    model.fit(vectors.transform(seen), right)

    def best(question: Question) -> tuple[float, str]:
        own = sentences(question.context)
        shares = model.predict_proba(vectors.transform([(question, s) for s in own]))
        chances = shares @ model.classes_  # of the class True, if it is there
        chance, (start, end) = max(zip(chances, own, strict=True))
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
    asked, told = _words(question.question), _words(question.context[start:end])
    yield from (f"{one} {other}" for one in asked for other in told)
    yield from ("shared" for word in told if word in asked)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
