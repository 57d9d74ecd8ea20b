"""Files of rows in any form: what was written is read, and nothing is lost unsaid."""

import csv
import io
import json
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcore.files import read_records, read_sentences
from bertcore.tasks import KINDS, score
from bertcore.tasks.loading import read_set
from bertcore.tasks.rows import Text, Words

MANY = 20 if os.environ.get("BERTCORE_WHOLE") else 1
trials = settings(
    max_examples=60 * MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CELLS = st.text(alphabet='ab"\t\n,; é', max_size=8)
TABLE = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6)


@trials
@given(TABLE, st.sampled_from([",csv", ";csv", "\tcsv", "\ttsv"]), st.booleans())
def test_a_table_of_pandas_is_read_back(tmp_path: Path, rows, form, index) -> None:
    path = tmp_path / f"a.{form[1:]}"
    table = pandas.DataFrame(rows, columns=["text", "label"])
    table.to_csv(path, sep=form[0], index=index)
    found = [(row["text"], row["label"]) for _, row in read_records(path)]
    # Where both cells are empty pandas writes a line with the delimiter alone.
    assert found == rows


@trials
@given(st.lists(st.text(alphabet='a" ', max_size=6), min_size=1, max_size=6))
def test_a_quotation_mark_in_glue_is_a_character(tmp_path: Path, cells) -> None:
    """Of two readings the one that pandas could not have written it for."""
    path = tmp_path / "a.tsv"
    lines = [f"{cell}\t1\n" for cell in (*cells, 'a "b')]
    path.write_text("text\tlabel\n" + "".join(lines))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [row["text"] for _, row in read_records(path)]
    wanted = pandas.read_csv(
        path, sep="\t", quoting=csv.QUOTE_NONE, keep_default_na=False
    )
    assert found == [str(text) for text in wanted.text]


def test_a_doubt_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Good"\t1\n')
    with pytest.warns(UserWarning, match="marks are read as characters; if they encl"):
        assert next(read_records(path))[1]["text"] == '"Good"'


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("sep=;\ntext;label\na,b;c\n", [{"text": "a,b", "label": "c"}]),
        ("text,label;x\na,b\n", [{"text": "a", "label;x": "b"}]),
        ("text\none two\n", [{"text": "one two"}]),
    ],
)
def test_what_stands_between_cells(tmp_path: Path, content: str, found: list) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert [row for _, row in read_records(path)] == found
    path.write_text("a,b;c\n1,2;3\n")
    with pytest.raises(ValueError, match="',' or ';' may stand between its cells; put"):
        list(read_records(path))


WORD = st.text(alphabet='ab#-"é', min_size=1, max_size=4)
SENTENCES = st.lists(
    st.lists(st.tuples(WORD, WORD, WORD), min_size=1, max_size=4), max_size=5
)


@trials
@given(SENTENCES, st.sampled_from(["\t", " "]))
def test_sentences_are_read_back(tmp_path: Path, sentences, apart) -> None:
    path = tmp_path / "a.conll"
    blocks = ("".join(f"{apart.join(row)}\n" for row in each) for each in sentences)
    path.write_text("-DOCSTART- O O\n\n\n" + "\n".join(blocks), encoding="utf8")
    found = [
        [*zip(row["words"], row["2"], row["tags"], strict=True)]
        for _, row in read_sentences(path)
    ]
    assert found == sentences


def test_universal_dependencies(tmp_path: Path) -> None:
    """Remarks, a word of two, and one that nobody says."""
    path = tmp_path / "a.conllu"
    rows = ["1 Vamos ir VERB", "2-3 al _ _", "2 a a ADP", "3 el el DET"]
    rows += ["3.1 ir ir VERB", "4 # # SYM"]
    lines = ("\t".join([*row.split(), *"______"]) + "\n" for row in rows)
    path.write_text("# sent_id = 1\n# text = Vamos al #\n" + "".join(lines))
    ((place, row),) = read_sentences(path)
    assert place == f"{path}, line 3"
    assert row["form"] == ["Vamos", "a", "el", "#"]
    data = read_set(str(path), "tagging", "stop").data
    assert [*data.train, *data.valid, *data.test] == [
        Words(("Vamos", "a", "el", "#"), ("VERB", "ADP", "DET", "SYM"))
    ]


# Tags --------------------------------------------------------------------------------

SPANS = st.lists(
    st.tuples(st.sampled_from([None, "PER", "LOC-x"]), st.integers(1, 3)),
    min_size=1,
    max_size=6,
)


def written(spans: list, scheme: str) -> list[str]:
    """The tags of spans in a scheme, a type of None being outside."""
    tags: list[str] = []
    before = None
    for kind, size in spans:
        if kind is None:
            tags += ["O"] * size
        elif scheme == "IOB1":
            tags += [("B-" if before == kind else "I-") + kind] + [f"I-{kind}"] * (
                size - 1
            )
        else:
            begin, inside, end, single = scheme
            marks = [begin, *[inside] * (size - 2), end] if size > 1 else [single]
            tags += [f"{mark}-{kind}" for mark in marks]
        before = kind
    return tags


@trials
@given(
    st.lists(SPANS, min_size=1, max_size=3),
    st.sampled_from(["IOB1", *("BIES", "BILU", "BMES", "BIIB")]),
)
def test_schemes_say_the_same(sentences: list, scheme: str) -> None:
    """In every scheme the same spans, as nervaluate counts those of BIO."""
    bio = [tuple(written(spans, "BIIB")) for spans in sentences]
    rows = [Words(("w",) * len(tags), tags) for tags in bio]
    other = [
        row._replace(tags=tuple(written(spans, scheme)))
        for row, spans in zip(rows, sentences, strict=True)
    ]
    found, note = KINDS["tagging"].settled(other)
    assert [row.tags for row in found] == bio and bool(note) == (other != found)
    if any(tag != "O" for tags in bio for tag in tags):
        assert score("tagging", rows, [row.tags for row in found])["f1"] == 1


def test_tags_without_types_and_without_spans() -> None:
    settled = KINDS["tagging"].settled
    rows = [Words(("a", "b", "c"), ("B", "I", "O"))]
    assert settled(rows)[0][0].tags == ("B-span", "I-span", "O")
    plain = [Words(("a", "b"), ("NN", "S")), Words(("O",), ("SYM",))]
    assert settled(plain) == (plain, "")
    assert KINDS["tagging"].labels_of(plain) == ("NN", "S", "SYM")
    assert score("tagging", plain, [("NN", "NN"), ("SYM",)]) == {"accuracy": 2 / 3}
    mixed = [Words(("a", "b"), ("B-x", "NN"))]
    labels = KINDS["tagging"].labels_of(mixed)
    assert labels == ("O", "B-x", "I-x")
    (fault,) = KINDS["tagging"].sound_rows(mixed, labels, "skip")[1]
    assert "tag 1 is 'NN'; give O, or B-x or I-x" in fault


# Classes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_labels", "labels", "read"),
    [
        ([0, 1, 10, 11, 2], ("0", "1", "2", "10", "11"), "0 1 10 11 2"),
        ([True, False], ("False", "True"), "True False"),
        ([1.0, 0.0], ("0", "1"), "1 0"),
        (["1.0", "-2.0"], ("-2", "1"), "1 -2"),
        (["1.0", "1.5"], ("1.0", "1.5"), "1.0 1.5"),
        ([" good", "bad "], ("bad", "good"), "good bad"),
        (["10", "9", "b"], ("10", "9", "b"), "10 9 b"),
    ],
)
def test_classes(given_labels: list, labels: tuple, read: str) -> None:
    task = KINDS["classification"]
    rows = [task.from_dict({"text": "a", "label": label}) for label in given_labels]
    rows, _ = task.settled(rows)
    assert rows == [Text("a", label) for label in read.split()]
    assert task.labels_of(rows) == labels


def test_class_weights_are_those_of_scikit_learn() -> None:
    import numpy
    import torch
    from sklearn.utils.class_weight import compute_class_weight

    from bertcore.tasks.classification import TextObjective

    task, names = KINDS["classification"], ("a", "b", "c")
    rows = [Text("x", label) for label in "aaaaabbc"]
    objective = TextObjective(torch.nn.Identity(), task.loss)
    task.weigh(objective, rows, names)
    truth = numpy.array([row.label for row in rows])
    wanted = compute_class_weight("balanced", classes=numpy.array(names), y=truth)
    scores, targets = torch.randn(8, 3), torch.tensor([0] * 5 + [1] * 2 + [2])
    each = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
    total = (each * torch.tensor(wanted)[targets]).sum()
    assert objective.loss(scores, targets).item() == pytest.approx(total.item())


# Nothing is lost ---------------------------------------------------------------------

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.text(max_size=4),
    st.lists(st.one_of(st.text(max_size=2), st.integers(0, 2)), max_size=3),
)  # fmt: skip
FIELDS = "text pair label labels words tags question context answers target".split()
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6), min_size=1, max_size=8
)


def tried(path: Path, kind: str) -> Any:
    """The set in a file, or None where it is refused, in one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_set(str(path), kind, "skip")
        except ValueError as error:
            assert str(error)
            return None


@trials
@given(RECORDS, st.sampled_from([*KINDS]))
def test_each_record_is_a_row_or_a_fault(tmp_path: Path, records, kind: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf8")
    if found := tried(path, kind):
        data, faults, _ = found
        rows = len(data.train) + len(data.valid) + len(data.test)
        faulty = {fault.split(": ")[0] for fault in faults}
        assert rows + len(faulty) == len(records)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """With a few bytes lost, doubled or changed."""
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(content) + 1)
        new = rng.choice([b"", b'"', b"\t", b"\n", b",", b"{", b"[", b"\xff", b"\x00"])
        content = content[:at] + new + content[at + rng.randrange(3) :]
    return content


def forms() -> dict[str, Callable[[], bytes]]:
    rows = [{"text": f"a {n}, b", "label": f"{n % 2}"} for n in range(9)]
    table = pandas.DataFrame(rows)
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    squad = {"data": [{"paragraphs": [{"context": "a b", "qas": [
        {"id": "1", "question": "?", "answers": [{"text": "a", "answer_start": 0}]}
    ]}]}]}  # fmt: skip
    return {
        "classification a.csv": table.to_csv().encode(),
        "classification a.tsv": table.to_csv(sep="\t").encode(),
        "classification a.json": table.to_json(orient="records").encode(),
        "classification a.jsonl": table.to_json(orient="records", lines=True).encode(),
        "classification a.parquet": parquet.getvalue(),
        "answers a.json": json.dumps(squad).encode(),
        "tagging a.conll": b"-DOCSTART- O\n\na B-x\nb I-x\n\nc O\nd B-y\n",
        "tagging a.conllu": "".join(
            f"# text = {n}\n1\ta{n}\ta\tX{n % 2}\t_\t_\t0\tr\t_\t_\n\n"
            for n in range(9)
        ).encode(),
    }


@pytest.mark.parametrize("form", forms())
def test_damaged_files_are_refused_or_read(form: str, tmp_path: Path) -> None:
    kind, name = form.split()
    rng, content = random.Random(0), forms()[form]
    assert tried_bytes(tmp_path / name, kind, content)
    for _ in range(40 * MANY):
        tried_bytes(tmp_path / name, kind, damaged(rng, content))


def tried_bytes(path: Path, kind: str, content: bytes) -> Any:
    path.write_bytes(content)
    return tried(path, kind)
