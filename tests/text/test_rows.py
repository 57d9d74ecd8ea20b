"""Labelled rows: how they are read and written, and what is wrong with them."""

import pytest

from bertcore.tasks import KINDS
from bertcore.tasks.multilabel import LabelledText
from bertcore.tasks.rows import Answer, Question, Row, Source, TaskSet, Text, Words
from tests.conftest import Table

CONTEXT = "Ada Lovelace was born in London, and lived in London."
ANSWER = Answer("London", 25)
ROWS = Table(
    "ROWS",
    {
        "classification": [
            Text("A fine film.", "positive"),
            Text("Is it?", "negative", "It is \u2014 not."),
            Text("Unread."),
        ],
        "regression": [Text("A cat.", 0.5, "A dog."), Text("A.", 1.0), Text("B.")],
        "multilabel": [
            LabelledText("A fine film.", ("praise", "film")),
            LabelledText("A day.", (), "Another."),
            LabelledText("Unread."),
        ],
        "tagging": [
            Words(("Ada", "wrote", "it"), ("B-person", "O", "O")),
            Words(("Unread",)),
        ],
        "answers": [
            Question(
                "Where?", CONTEXT, (Answer("London", 25), Answer("London", 46)), "a"
            ),
            Question("When?", CONTEXT, ()),
            Question("Who?", CONTEXT, None, "c"),
        ],
        "writing": [Source("hello", "HH AH L OW"), Source("Unread.")],
    },
)


def test_the_hubs_format() -> None:
    squad = {
        "id": 7,
        "title": "Ada",
        "question": "Where?",
        "context": CONTEXT,
        "answers": {"text": ["London"], "answer_start": [25]},
    }
    row = KINDS["answers"].from_dict(squad)
    assert row == Question("Where?", CONTEXT, (Answer("London", 25),), "7")
    none = squad | {"answers": {"text": [], "answer_start": []}}
    assert KINDS["answers"].from_dict(none).answers == ()
    assert KINDS["answers"].from_dict({"question": "?", "context": "c"}).answers is None
    words = {"words": ["Ada"], "tags": ["B-person"], "lang": "en"}
    assert KINDS["tagging"].from_dict(words) == Words(("Ada",), ("B-person",))
    assert KINDS["classification"].from_dict({"text": "a", "label": 1}) == Text(
        "a", "1"
    )
    assert KINDS["regression"].from_dict({"text": "a", "label": 1}) == Text("a", 1.0)
    assert KINDS["regression"].from_dict({"text": "a", "label": None}) == Text("a")
    several = {"text": "a", "labels": ["x", 3]}
    assert KINDS["multilabel"].from_dict(several) == LabelledText("a", ("x", "3"))
    assert KINDS["multilabel"].from_dict({"text": "a"}).labels is None
    written = {"text": "a", "target": "b", "pair": "c"}
    assert KINDS["writing"].from_dict(written) == Source("a", "b")
    assert KINDS["writing"].from_dict({"text": "a", "target": None}) == Source("a")


@pytest.mark.parametrize(
    "told",
    [
        {"answers": "Paris"},
        {"answers": ["Paris"]},
        {"answers": [{"text": "Paris"}]},
        {"answers": {"text": "Paris", "answer_start": 7}},
        {"answers": {"text": ["Paris"]}},
        {"answers": "Paris", "answer_start": 7},
        {"answers": "Paris", "answer_start": "7.0", "is_impossible": "False"},
        {"answers": ["Paris"], "answer_start": [7]},
    ],
)
def test_answers_as_texts(told: dict) -> None:
    """Where they begin is told, or there is one place only."""
    asked = {"question": "Where?", "context": "I'm in Paris."}
    row = KINDS["answers"].from_dict(asked | told)
    assert row.answers == (Answer("Paris", 7),)
    again = asked | told | {"context": "I'm in Paris, in Paris."}
    if told.get("answer_start") or "7" in str(told):
        assert KINDS["answers"].from_dict(again).answers == row.answers
    else:
        with pytest.raises(ValueError, match="'Paris' stands at 7 and at 17 of"):
            KINDS["answers"].from_dict(again)


@pytest.mark.parametrize(
    ("given", "labels", "note"),
    [
        (["True", "true", "False"], ("False", "True"), "true are read as True"),
        (["TRUE", "FALSE"], ("False", "True"), "FALSE are read as False"),
        (["true", "false", "maybe"], ("false", "maybe", "true"), ""),
        (["+1", "-1", "0"], ("-1", "0", "+1"), ""),
        (["+1", "-1", "1", "1.0"], ("-1", "1"), "+1 are read as 1"),
        (["1.0", "10.0", "9", ""], ("1", "9", "10"), "1.0 are read as 1"),
        (["007", "7", "10"], ("007", "7", "10"), ""),  # codes
        ([["a"], "b"], None, ""),  # no classes at all
    ],
)
def test_a_class_has_one_spelling(given, labels, note: str) -> None:
    kind = KINDS["classification"]
    rows, told = kind.settled(
        [kind.from_dict({"text": "a", "label": g}) for g in given]
    )
    rows = [row for row in rows if row.label]
    if labels:
        assert kind.labels_of(rows) == labels
    assert told == (note and f"classes such as {note}")


def test_answers_that_are_not_there() -> None:
    """An empty text alone does not say that the context has no answer."""
    asked = {"question": "Where?", "context": "I'm in Paris.", "answers": ""}
    for more in ({"answer_start": -1}, {"is_impossible": True}, {"answers": []}):
        assert KINDS["answers"].from_dict(asked | more).answers == ()
    assert KINDS["answers"].from_dict(asked).answers is None
    (fault,) = KINDS["answers"].faults(
        KINDS["answers"].from_dict(asked | {"answers": "paris"}), None, True
    )
    assert (
        fault
        == "the answer 'paris' is not at 0 of the context; it stands nowhere in it"
    )


@pytest.mark.parametrize(
    ("kind", "mapping", "message"),
    [
        ("classification", {"sentence": "a"}, "no 'text', but sentence"),
        ("tagging", {}, "no 'words', but nothing"),
        ("tagging", {"words": "Ada wrote"}, "'words' is 'Ada wrote'; give a list"),
        ("tagging", {"words": ["a"], "tags": 3}, "'tags' is 3; give a list"),
        ("answers", {"question": "?"}, "no 'context', but question"),
        ("writing", {"target": "b"}, "no 'text', but target"),
        ("multilabel", {"text": "a", "labels": "b"}, "'labels' is 'b'; give a list"),
        (
            "answers",
            {"question": "?", "context": "c", "answers": 7},
            r"'answers' is 7; give a text, a list of texts, or {\"text\": .* for no",
        ),
        (
            "answers",
            {"question": "?", "context": "aba", "answers": {"text": ["a"]}},
            "'a' stands at 0 and at 2 of the context; say which it is with a field",
        ),
        (
            "answers",
            {"question": "?", "context": "c", "answers": [{"answer_start": 0}]},
            "no 'text', but answer_start",
        ),
        (
            "answers",
            {
                "question": "?",
                "context": "c",
                "answers": {"text": ["c"], "answer_start": []},
            },
            "1 texts and 0 starts; give one start for each text",
        ),
    ],
)
def test_a_dict_that_is_no_row(kind: str, mapping: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KINDS[kind].from_dict(mapping)


def test_labels() -> None:
    assert KINDS["classification"].labels_of(ROWS["classification"]) == (
        "negative",
        "positive",
    )
    rows = [Words(("a", "b"), ("I-x", "O")), Words(("c",), ("B-a-b",)), Words(("d",))]
    assert KINDS["tagging"].labels_of(rows) == ("O", "B-a-b", "B-x", "I-a-b", "I-x")
    assert KINDS["tagging"].labels_of([]) == ("O",)
    assert KINDS["multilabel"].labels_of(ROWS["multilabel"]) == ("film", "praise")
    assert KINDS["regression"].labels_of(ROWS["regression"]) == ()
    assert KINDS["answers"].labels_of(ROWS["answers"]) == ()
    assert KINDS["writing"].labels_of(ROWS["writing"]) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_sound_rows(kind: str) -> None:
    rows, task = ROWS[kind], KINDS[kind]
    assert task.sound_rows(rows, labelled=False) == (rows, [])
    labels = task.labels_of(rows) or None
    assert task.sound_rows(rows[:1], labels) == (rows[:1], [])
    kept, faults = task.sound_rows(rows, labels, on_fault="skip")
    assert kept == rows[:-1]
    assert len(faults) == 1
    assert faults[0].startswith(f"row {len(rows) - 1}: no ")
    assert task.sound_rows([]) == ([], [])


def fault(kind: str, row: Row, labels: tuple[str, ...] | None = None) -> list[str]:
    """The faults of a row that stands, as number 1, after a sound one."""
    kept, faults = KINDS[kind].sound_rows([ROWS[kind][0], row], labels, "skip")
    assert kept == ROWS[kind][:1]
    assert all(each.startswith("row 1: ") for each in faults)
    return [each.removeprefix("row 1: ") for each in faults]


LONDON = Answer("London", 25)
FAULTS = [
    ("classification", Text("a"), "no label; give one, or leave the row out"),
    ("classification", Text("a", ""), "no label; give one, or leave the row out"),
    (
        "classification",
        Text("a", 1),
        "the label 1 is of type int; a class is text: '1'",
    ),
    (
        "classification",
        Text("a", "neutral"),
        "the label 'neutral' is unknown; give one of negative, positive",
    ),
    (
        "classification",
        Text(" \n", "positive"),
        "the text is empty; give some, or leave the row out",
    ),
    (
        "classification",
        Text("a", "positive", ""),
        "the second text is empty; give some, or leave the row out",
    ),
    (
        "classification",
        Text(None, "positive"),
        "the text is None, of type NoneType; give text",
    ),
    (
        "classification",
        Text("a\ud800", "positive"),
        "the text holds half a character, \\ud800; mend it",
    ),
    (
        "classification",
        {"text": "a"},
        "of type dict, where classification takes Text; give Text(…), or "
        'KINDS["classification"].from_dict(…) of a dict',
    ),
    ("regression", Text("a"), "no label; give a number, or leave the row out"),
    (
        "regression",
        Text("a", "0.5"),
        "the label '0.5' is of type str; give a number, such as 0.5",
    ),
    (
        "regression",
        Text("a", True),
        "the label True is of type bool; give a number, such as 0.5",
    ),
    (
        "regression",
        Text("a", float("nan")),
        "the label nan is not finite; give a number, such as 0.5",
    ),
    (
        "regression",
        Text("a", float("-inf")),
        "the label -inf is not finite; give a number, such as 0.5",
    ),
    (
        "multilabel",
        LabelledText("a"),
        "no labels; give them, with () if the text has none",
    ),
    (
        "multilabel",
        LabelledText("a", "film"),
        "labels are of type str; give a tuple of texts",
    ),
    ("multilabel", LabelledText("a", ("",)), "the label '' is no name; give text"),
    (
        "multilabel",
        LabelledText("a", ("film", "film")),
        "the label 'film' stands there twice; give it once",
    ),
    (
        "multilabel",
        LabelledText("a", ("book",)),
        "the label 'book' is unknown; give one of film, praise",
    ),
    ("tagging", Words(()), "no words; leave the row out"),
    (
        "tagging",
        Words("Ada", ("O",)),
        "words are of type str; give a tuple of words",
    ),
    (
        "tagging",
        Words(("a", " "), ("O", "O")),
        "word 1 is empty; give some, or leave the row out",
    ),
    (
        "tagging",
        Words(("a",)),
        "no tags; give one for each word, or leave the row out",
    ),
    ("tagging", Words(("a",), "O"), "tags are of type str; give a tuple of tags"),
    (
        "tagging",
        Words(("a", "b"), ("O",)),
        "2 words and 1 tags; give one for each word",
    ),
    (
        "tagging",
        Words(("a",), (3,)),
        "tag 0 is 3, of type int; give text: O, B-x or I-x",
    ),
    (
        "tagging",
        Words(("a",), ("person",)),
        "tag 0 is 'person'; give O, or B-x or I-x with the type for x",
    ),
    (
        "tagging",
        Words(("a",), ("B-place",)),
        "tag 0, 'B-place', is unknown; give one of O, B-person, I-person",
    ),
    (
        "answers",
        Question("", CONTEXT, ()),
        "the question is empty; give some, or leave the row out",
    ),
    (
        "answers",
        Question("Where?", " ", (LONDON,)),
        "the context is empty; give some, or leave the row out",
    ),
    (
        "answers",
        Question("Where?", CONTEXT),
        "no answers; give them, with () if the context has none, or [] in a file",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, "London"),
        "answers are of type str; give a tuple of Answer",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, (("London", 25),)),
        "the answer ('London', 25) is none; give Answer(text, start), text and a whole "
        "number",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, (Answer("London", 26),)),
        "the answer 'London' is not at 26 of the context; it stands at 25",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, (Answer("London", -7),)),
        "the answer 'London' is not at -7 of the context; it stands at 25",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, (Answer("Paris", 25),)),
        "the answer 'Paris' is not at 25 of the context; it stands nowhere in it",
    ),
    (
        "answers",
        Question("Where?", CONTEXT, (Answer("", 25),)),
        "an answer is empty; give some, or leave the row out",
    ),
    (
        "writing",
        Source("a"),
        "no target; give what is to be written, or leave the row out",
    ),
    (
        "writing",
        Source("a", " \n"),
        "the target is empty; give some, or leave the row out",
    ),
    ("writing", Source("a", 3), "the target is 3, of type int; give text"),
    (
        "writing",
        Source("a", "b\udc00"),
        "the target holds half a character, \\udc00; mend it",
    ),
    ("writing", Source("", "b"), "the text is empty; give some, or leave the row out"),
    ("writing", Source(None, "b"), "the text is None, of type NoneType; give text"),
    (
        "writing",
        Source("a\ud800", "b"),
        "the text holds half a character, \\ud800; mend it",
    ),
    (
        "writing",
        Text("a", "b"),
        "of type Text, where writing takes Source; give Source(…), or "
        'KINDS["writing"].from_dict(…) of a dict',
    ),
]


@pytest.mark.parametrize(("kind", "row", "message"), FAULTS)
def test_every_fault(kind: str, row: Row, message: str) -> None:
    labels = KINDS[kind].labels_of(ROWS[kind]) or None
    assert message in fault(kind, row, labels)


def test_all_faults_are_said() -> None:
    row = Words(("", "b"), ("person", "B-place"))
    assert len(fault("tagging", row, ("O", "B-person", "I-person"))) == 3
    many = [str(number) for number in range(30)]
    assert fault("classification", Text("a", "x"), ("positive", *many))[0].endswith(
        ", 18, …"
    )


def test_an_inside_that_begins_a_span_is_accepted() -> None:
    rows = [Words(("a", "b", "c"), ("I-x", "O", "I-y"))]
    assert KINDS["tagging"].sound_rows(rows) == (rows, [])


def test_stop_shows_the_first_faults() -> None:
    rows = [Text("a", "x")] * 3 + [Text("", "x")] * 7
    with pytest.raises(ValueError, match=r"^7 of 10 rows cannot .*\nrow 3: ") as caught:
        KINDS["classification"].sound_rows(rows)
    assert str(caught.value).endswith("row 7: the text is empty; give some, or leave "
                                      "the row out\nand 2 more")  # fmt: skip
    with pytest.raises(ValueError, match="on_fault='warn'; give stop or skip"):
        KINDS["classification"].sound_rows(rows, on_fault="warn")


def test_a_task_set_names_its_parts() -> None:
    row = Text("a", "x")
    task = TaskSet("mine", "tagging", ("x",), [row], [], [], "me", "mine")
    assert (task.train, task.source) == ([row], "me")
