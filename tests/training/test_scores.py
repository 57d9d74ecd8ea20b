"""Scores: small cases by hand, and what counted words are worth."""

import random
import re
import string
import sys
from collections import Counter
from functools import cache
from math import sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.tasks import KINDS, score
from bertcore.tasks.baselines import bag_of_words, majority, sentences
from bertcore.tasks.multilabel import LabelledText
from bertcore.tasks.rows import Answer, Question, Source, TaskSet, Text, Words
from bertcore.tasks.tagging import TaggedWords
from tests.conftest import Table


def texts(*labels: Any) -> list[Text]:
    return [Text("a", label) for label in labels]


def tags(*sentences: str) -> list[tuple[str, ...]]:
    return [tuple(sentence.split()) for sentence in sentences]


def tagged(*sentences: str) -> list[Words]:
    return [Words(("w",) * len(each), each) for each in tags(*sentences)]


# Classes and numbers -----------------------------------------------------------------


def test_accuracy_and_f1() -> None:
    """x: 2 of 3 guesses right and 2 of 2 found; y: 1 of 1 and 1 of 2; z: never."""
    found = score("classification", texts("x", "x", "y", "y"), ["x", "x", "x", "y"])
    assert found["accuracy"] == 3 / 4
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    found = score("classification", texts("x", "z"), ["x", "x"])
    assert found == {"accuracy": 0.5, "macro_f1": pytest.approx((2 / 3 + 0) / 2)}


@pytest.mark.parametrize(
    ("truth", "guesses", "spearman"),
    [
        ([1, 2, 3], [0.1, 5, 90], 1),
        ([1, 2, 3], [9, 8, -7], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 1 - 6 * 2 / (4 * 15)),
        ([1, 2, 3, 4, 5], [5, 1, 2, 3, 4], 1 - 6 * 20 / (5 * 24)),
        ([1, 1, 2], [1, 2, 3], sqrt(3) / 2),  # ranks 1.5, 1.5, 3 and 1, 2, 3
    ],
)
def test_spearman(truth: list[float], guesses: list[float], spearman: float) -> None:
    found = score("regression", texts(*truth), guesses)
    assert found["spearman"] == pytest.approx(spearman)


def test_pearson() -> None:
    """Of the numbers: a straight line is 1, whatever its slope."""
    assert score("regression", texts(1, 2, 4), [10, 20, 40])["pearson"] == (
        pytest.approx(1)
    )
    found = score("regression", texts(0, 1, 2), [0, 0, 3])
    assert found["pearson"] == pytest.approx(3 / sqrt(2 * 6))


def test_nothing_correlates_with_a_constant() -> None:
    zeros = {"spearman": 0.0, "pearson": 0.0}
    assert score("regression", texts(1, 2), [3.0, 3.0]) == zeros
    assert score("regression", texts(1, 1), [3.0, 4.0]) == zeros


# Entities ----------------------------------------------------------------------------


def spans(tags: tuple[str, ...]) -> set[tuple[int, int, str]]:
    """First and last word and type, as conlleval reads tags."""
    found, start = set(), None
    for n, tag in enumerate([*tags, "O"]):
        before = tags[n - 1] if n else "O"
        goes_on = tag[0] == "I" and before != "O" and before[2:] == tag[2:]
        if start is not None and not goes_on:
            found.add((start, n - 1, before[2:]))
            start = None
        if tag != "O" and not goes_on:
            start = n
    return found


def strict_f1(truth: list[tuple[str, ...]], guesses: list[tuple[str, ...]]):
    """Precision, recall and F1 of entities of which all is right."""
    pairs = [(spans(t), spans(g)) for t, g in zip(truth, guesses, strict=True)]
    right = sum(len(true & guess) for true, guess in pairs)
    told, there = (sum(len(pair[n]) for pair in pairs) for n in (1, 0))
    precision, recall = right / max(1, told), right / max(1, there)
    return precision, recall, 2 * right / max(1, told + there)


@pytest.mark.parametrize(
    ("truth", "guess", "precision", "recall"),
    [
        ("B-x I-x O", "B-x I-x O", 1, 1),
        ("B-x I-x O", "B-x O O", 0, 0),  # its end is wrong
        ("B-x I-x O", "B-y I-y O", 0, 0),  # its type is wrong
        ("B-x I-x O", "B-x I-x B-x", 1 / 2, 1),
        ("B-x O B-y", "B-x O O", 1, 1 / 2),
        ("B-x B-x", "B-x I-x", 0, 0),  # two neighbours, not one
        ("B-x I-x", "I-x I-x", 1, 1),  # as conlleval, I- may begin one
        ("B-x B-y", "I-x I-y", 1, 1),
        ("O O", "O B-x", 0, 0),
        ("B-x O", "O O", 0, 0),
        ("O O", "O O", 0, 0),
    ],
)
def test_entities(truth: str, guess: str, precision: float, recall: float) -> None:
    found = score("tagging", tagged(truth), tags(guess))
    assert (found["precision"], found["recall"]) == (precision, recall)
    both = precision + recall
    assert found["f1"] == pytest.approx(2 * precision * recall / both if both else 0)
    pairs = list(zip(truth.split(), guess.split(), strict=True))
    assert found["accuracy"] == sum(a == b for a, b in pairs) / len(pairs)


TAGS = st.sampled_from(["O", "O", "B-x", "I-x", "B-y", "I-y"])


@given(
    st.lists(
        st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=9), min_size=1, max_size=4
    )
)
@settings(max_examples=200, deadline=None)
def test_entities_are_counted_as_conlleval_does(pairs: list[list[tuple]]) -> None:
    truth, guesses = ([tuple(p[n] for p in row) for row in pairs] for n in (0, 1))
    rows = [Words(("w",) * len(each), each) for each in truth]
    found = score("tagging", rows, guesses)
    wanted = strict_f1(truth, guesses)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx(wanted)


@given(st.lists(TAGS, min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_entities_that_are_shown_are_those_that_count(tags: list[str]) -> None:
    words = tuple(f"w{n}" for n in range(len(tags)))
    shown = TaggedWords(words, tuple(tags)).entities()
    assert shown == [
        (kind, " ".join(words[first : last + 1]))
        for first, last, kind in sorted(spans(tuple(tags)))
    ]


# Answers -----------------------------------------------------------------------------


def asked(*answers: str) -> Question:
    return Question("?", "…", tuple(Answer(text, 0) for text in answers))


@pytest.mark.parametrize(
    ("answers", "guess", "exact", "f1"),
    [
        (["Denver Broncos"], "the Denver  broncos!", 1, 1),  # articles, case, marks
        (["a U.S. state"], "us state", 1, 1),
        (["Denver Broncos"], "Denver", 0, 2 / 3),
        (["Denver Broncos"], "New York", 0, 0),
        (["Denver", "the Denver Broncos team"], "Denver Broncos", 0, 4 / 5),
        (["the cat the cat"], "cat", 0, 2 / 3),  # words count as often as they stand
        ([], "", 1, 1),
        ([], "Denver", 0, 0),
        (["Denver"], "", 0, 0),
        (["Café"], "Cafe", 0, 0),  # accents are kept
    ],
)
def test_answers(answers: list[str], guess: str, exact: float, f1: float) -> None:
    found = score("answers", [asked(*answers)], [guess])
    assert found == {"exact": exact, "f1": pytest.approx(f1)}


def test_the_mean_over_questions() -> None:
    rows = [asked("k b c d"), asked(), asked("x"), asked("y")]
    found = score("answers", rows, ["b c d e", "", "x", "z"])
    assert found == {"exact": 0.5, "f1": pytest.approx((3 / 4 + 1 + 1 + 0) / 4)}


def squad_f1(truth: str, guess: str) -> float:
    """As the official script of SQuAD 2.0 (`normalize_answer`, `compute_f1`)."""

    def plain(text: str) -> list[str]:
        kept = "".join(c for c in text.lower() if c not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", kept).split()

    one, other = plain(truth), plain(guess)
    if not one or not other:
        return float(one == other)
    common = (Counter(one) & Counter(other)).total()
    return 2 * common / (len(one) + len(other))


@given(*[st.lists(st.sampled_from("the An x y. z- , X a-b".split()), max_size=6)] * 2)
@settings(max_examples=100, deadline=None)
def test_answers_count_as_in_the_script_of_squad(one: list, other: list) -> None:
    truth, guess = " ".join(one), " ".join(other)
    found = score("answers", [asked(truth) if truth else asked()], [guess])
    assert found["f1"] == pytest.approx(squad_f1(truth, guess), abs=1e-6)


# Writing -----------------------------------------------------------------------------


def wanted(*targets: str) -> list[Source]:
    return [Source("a", target) for target in targets]


@pytest.mark.parametrize(
    ("truth", "guess", "exact", "errors"),
    [
        ("HH AH L OW", "HH AH L OW", 1, 0),
        ("HH AH L OW", "HH EH L OW", 0, 1 / 4),
        ("HH AH L OW", "HH L OW", 0, 1 / 4),
        ("HH AH L OW", "HH AH L OW Z", 0, 1 / 4),
        ("HH AH L OW", "", 0, 1),
        ("a b", "c d e f", 0, 2),  # more faults than words
        ("Café (1844–1908).", "cafe ( 1844 – 1908 ) .", 1, 0),  # as uncased BERT has it
        ("a\nb", "a b", 1, 0),
    ],
)
def test_what_was_written(truth: str, guess: str, exact: int, errors: float) -> None:
    found = score("writing", wanted(truth), [guess])
    assert found["exact"] == exact
    assert found["word_error_rate"] == pytest.approx(errors)
    assert (found["chrf"] == pytest.approx(1)) == bool(exact)


def test_errors_of_all_rows_by_all_words() -> None:
    found = score("writing", wanted("a b c", "d"), ["a b c", "x"])
    assert found["word_error_rate"] == 1 / 4 and found["exact"] == 1 / 2


# What `CHRF().corpus_score` of sacrebleu 2.6.0 gives, by 100.
SACREBLEU = [
    (["hh ah l ow"], ["hh ah l ow"], 1),
    (["hh ah l ow"], ["hh eh ow"], 0.18002476999292283),
    (["ab"], ["ab"], 1),
    (["ab"], ["ab cd ef"], 0.6451612903225807),
    (["aaaa"], ["aa"], 0.47169811320754707),
    (["a", "river in asia"], ["river", "river in asia, in asia"], 0.8365353387458537),
    (
        ["country in europe", "hh ah l ow", "a genus of plants", "river"],
        ["country in asia", "hh ah", "genus of a plant", ""],
        0.4951449436341969,
    ),
    (["river"], ["pond"], 0),
    (["river", "lake"], ["", ""], 0),
]


@pytest.mark.parametrize(("truth", "guesses", "expected"), SACREBLEU)
def test_chrf_is_that_of_sacrebleu(truth: list, guesses: list, expected: float) -> None:
    assert score("writing", wanted(*truth), guesses)["chrf"] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_has_the_best_score(kind: str) -> None:
    rows = [row for row in data(kind).test if KINDS[kind].truth(row) is not None]
    found = score(kind, rows, [KINDS[kind].truth(row) for row in rows])
    assert found[KINDS[kind].main] == pytest.approx(1)
    assert all(type(value) is float for value in found.values())


def test_guesses_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="1 guesses for 2 rows; give each row its gue"):
        score("classification", texts("x", "y"), ["x"])
    with pytest.raises(ValueError, match="0 guesses for 0 rows.*and one row at least"):
        score("tagging", [], [])
    with pytest.raises(ValueError, match="row 1: 1 tags guessed for 2 words; give eac"):
        score("tagging", tagged("O", "O O"), tags("O", "O"))
    with pytest.raises(ValueError, match="kind='parsing'; give classification, regres"):
        score("parsing", texts("x"), ["x"])


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("classification", Text("a")),
        ("regression", Text("a")),
        ("multilabel", LabelledText("a")),
        ("tagging", Words(("a",))),
        ("answers", Question("?", "a")),
        ("writing", Source("a")),
    ],
)
def test_rows_that_do_not_say_what_is_right(kind: str, row: Any) -> None:
    with pytest.raises(ValueError, match="row 0 does not say what is right; leave it"):
        score(kind, [row], ["x"])


@pytest.mark.parametrize(
    ("kind", "rows", "module", "wanted"),
    [
        ("classification", texts("x"), "sklearn", "run: pip install scikit-learn"),
        ("regression", texts(1), "scipy", "scores needs .* pip install scipy"),
        ("tagging", tagged("O"), "nervaluate", "run: pip install nervaluate"),
        ("answers", [asked("x")], "torchmetrics", "run: pip install torchmetrics"),
        ("writing", wanted("x"), "torchmetrics", "run: pip install torchmetrics"),
    ],
)
def test_a_library_that_is_not_there(monkeypatch, kind, rows, module, wanted) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == module:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    guesses = [("O",)] if kind == "tagging" else ["x"]
    with pytest.raises(FileNotFoundError, match=wanted):
        score(kind, rows, guesses)


# Baselines ---------------------------------------------------------------------------

FILLERS = "the a is on of with old new tree house river stone".split()


def sentence(rng: random.Random, *added: str) -> list[str]:
    words = [rng.choice(FILLERS) for _ in range(rng.randrange(3, 7))]
    at = rng.randrange(len(words) + 1)
    return [*words[:at], *added, *words[at:]]


def a_class(rng: random.Random) -> Text:
    word = rng.choice(["good", "bad", "bad"])
    return Text(" ".join(sentence(rng, word)), word)


def a_number(rng: random.Random) -> Text:
    """The share of the words that both texts have."""
    first = rng.sample(FILLERS, 4)
    kept = rng.randrange(5)
    second = first[:kept] + rng.sample([w for w in FILLERS if w not in first], 4 - kept)
    return Text(" ".join(first), kept / 4, " ".join(second))


def several(rng: random.Random) -> LabelledText:
    labels = {"red": ("red",), "blue": ("blue",), "violet": ("blue", "red")}
    word = rng.choice([*labels])
    return LabelledText(" ".join(sentence(rng, word)), labels[word])


def names(rng: random.Random) -> Words:
    words = sentence(rng, rng.choice(["Ada", "Bob", "Eve"]))
    return Words(tuple(words), tuple("B-x" if w[0] in "ABE" else "O" for w in words))


def fact(rng: random.Random) -> Question:
    colour, size = rng.choice(["red", "blue"]), rng.choice(["large", "small"])
    parts = [f"its colour is {colour}", f"its size is {size}"]
    rng.shuffle(parts)
    context = ". ".join(parts) + "."
    at = rng.randrange(3)
    if at == 2:
        return Question("what age?", context, ())
    text = f"its {('colour', 'size')[at]} is {(colour, size)[at]}"
    answers = (Answer(text, context.index(text)),)
    return Question(f"what {('colour', 'size')[at]}?", context, answers)


def a_target(rng: random.Random) -> Source:
    word = rng.choice(["chrysanthemum", "photograph", "kilometres", "understanding"])
    return Source(" ".join(sentence(rng, word)), f"it is about {word}")


MAKE = Table(
    "MAKE",
    {
        "classification": a_class,
        "regression": a_number,
        "multilabel": several,
        "tagging": names,
        "answers": fact,
        "writing": a_target,
    },
)


def data(kind: str) -> TaskSet:
    rng = random.Random(0)
    rows = [MAKE[kind](rng) for _ in range(110)]
    parts = rows[:60], rows[60:80], rows[80:]
    return TaskSet("tiny", kind, (), *parts, "made here", "MIT")


@cache
def counted(kind: str) -> list[Any]:
    """What counted words say of the test rows."""
    return bag_of_words(data(kind), data(kind).test)


@pytest.mark.parametrize("kind", KINDS)
def test_counted_words_beat_the_majority(kind: str) -> None:
    """Where words decide; both say something of the right form for each row."""
    given = data(kind)
    none, words = (
        score(kind, given.test, guesses)[KINDS[kind].main]
        for guesses in (majority(given, given.test), counted(kind))
    )
    assert words > 0.9 > none


@pytest.mark.parametrize("kind", KINDS)
def test_baselines_do_not_look_at_what_is_right(kind: str) -> None:
    given = data(kind)
    blind = [row._replace(**{KINDS[kind].right: None}) for row in given.test]
    assert majority(given, blind) == majority(given, given.test)
    assert bag_of_words(given, blind) == counted(kind)


def test_the_majority() -> None:
    assert majority(data("classification"), texts("x", "y")) == ["bad", "bad"]
    numbers = data("regression")._replace(train=texts(1.0, 2.0, 6.0))
    assert majority(numbers, texts(0.0)) == [3.0]
    assert majority(data("tagging"), tagged("B-x O")) == [("O", "O")]
    assert majority(data("answers"), [asked("x")]) == [""]
    given = data("writing")._replace(train=wanted("x", "y", "y"))
    assert majority(given, wanted("x", "z")) == ["y", "y"]


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"regression"}))
def test_rows_of_one_class(kind: str) -> None:
    """Nothing to tell apart: the guess is that class."""
    given, guess = Table("given", {
        "classification": (texts("x", "x"), "x"),
        "multilabel": ([LabelledText("a", ("x",))] * 2, ("x",)),
        "tagging": (tagged("O O", "O"), ["O"]),
        "answers": ([asked("…")], "…"),
        "writing": (wanted("x", "x"), "x"),
    })[kind]  # fmt: skip
    rows = data(kind)._replace(train=given)
    assert bag_of_words(rows, given[-1:]) == [guess]
    if kind == "answers":
        rows = rows._replace(train=[Question("?", "…", ())])
        assert bag_of_words(rows, [asked("…")]) == [""]


def test_pairs_are_compared() -> None:
    """Whether two texts are the same: no word alone decides that."""
    rng = random.Random(1)
    rows = []
    for _ in range(120):
        first, other = (" ".join(rng.sample(FILLERS, 4)) for _ in range(2))
        same = rng.random() < 0.5
        rows.append(Text(first, "same" if same else "other", first if same else other))
    given = data("classification")._replace(train=rows[:80])
    guesses = bag_of_words(given, rows[80:])
    assert score("classification", rows[80:], guesses)["accuracy"] > 0.9


def test_a_sentence_is_an_answer() -> None:
    given = data("answers")
    pairs = list(zip(given.test, counted("answers"), strict=True))
    assert all(guess in row.context for row, guess in pairs)
    assert sentences("Hot. Dry!\n\nIt is 3.5 … no") == [(0, 4), (5, 9), (11, 25)]


def test_the_nearest_text() -> None:
    """Of a row to train on, by the characters within its words; ends count."""
    train = [Source("nation", "1"), Source("walked", "2"), Source("the " * 200, "3")]
    given = data("writing")._replace(train=train)
    rows = [Source("nations"), Source("talked"), Source("the"), Source("ed")] * 60
    assert bag_of_words(given, rows) == ["1", "2", "3", "2"] * 60
    far = Source("the " * 150 + "walked " * 900)  # only its beginning is read
    assert bag_of_words(given, [far]) == ["3"]
