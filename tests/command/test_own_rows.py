"""Rows as people have them: from a file to a score in one command."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

from bertcore import BertForMaskedLM
from bertcore.__main__ import main
from bertcore.command import session
from bertcore.tasks.loading import file_records, read_set, read_test
from bertcore.tasks.rows import Question, Text, Words
from bertcore.training.predictor import Predictor
from tests.training import small

NAMES = ("Anna", "Ben", "Clara", "David")
TEXTS = [
    f'{NAMES[n % 4]} "sees" {n}, {"dogs" if n % 2 else "cats"} .' for n in range(80)
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    BertForMaskedLM(small.config()).save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def tune(model: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Fine-tunes; gives the folder, and what was said of the rows."""

    def run(data: Path, kind: str, *options: str, status: int = 0) -> tuple[Path, str]:
        out = tmp_path / "out"
        given = ["finetune", str(data), "--out", str(out), "--kind", kind]
        given += ["--model", model, "--length", "32", "--epochs", "1"]
        given += ["--stride", "8"] if kind == "answers" else []
        given += ["--replace"]
        assert main([*given, "--batch", "16", "--warmup", "0", *options]) == status
        printed, error = capsys.readouterr()
        assert (" test row" in printed) == (not status)
        assert ("\nthreshold, " in printed) == (
            "--choose-threshold" in options and not status
        )
        return out, error

    return run


def score(capsys: pytest.CaptureFixture, *given: Any) -> tuple[str, str]:
    assert main(["score", *map(str, given)]) == 0
    return capsys.readouterr()


def test_glue(tune, tmp_path, capsys) -> None:
    """SST-2's folder: quotation marks are characters, and the test has no labels."""
    folder = tmp_path / "SST-2"
    folder.mkdir()
    lines = [f"{text}\t{n % 2}\n" for n, text in enumerate(TEXTS)]
    (folder / "train.tsv").write_text("sentence\tlabel\n" + "".join(lines[:60]))
    (folder / "dev.tsv").write_text("sentence\tlabel\n" + "".join(lines[60:]))
    tests = "".join(f"{n}\t{text}\n" for n, text in enumerate(TEXTS))
    (folder / "test.tsv").write_text("index\tsentence\n" + tests)
    out, error = tune(folder, "classification")
    assert "columns: text from sentence" in error and "off by ± 0." in error
    assert "its test rows have no labels, so they are left out" in error
    data = read_set(str(folder), "classification", "stop").data
    tested = str(len(data.test))
    assert f"no rows to test; so {tested} of 60 to train on do, by a digest" in error
    wanted = pandas.read_csv(folder / "dev.tsv", sep="\t", quoting=csv.QUOTE_NONE)
    assert [row.text for row in data.valid] == list(wanted.sentence)
    assert len(data.train) + len(data.test) == 60
    printed, error = score(capsys, out, folder / "dev.tsv")
    assert "on 20 test rows of dev: accuracy" in printed and "  1: precision" in printed
    assert "only 20 test rows: a share of right answers may be off by ± 0.22" in error


def test_conll_2003(tune, tmp_path, capsys) -> None:
    """Four columns; I- begins a name, as in the first of the shared tasks."""
    file, sentences = tmp_path / "train.conll", []
    for n, name in enumerate(NAMES * 15):
        place = "New NNP I-NP I-LOC\nYork NNP I-NP I-LOC\n" if n % 2 else ""
        sentences.append(f"{name} NNP I-NP I-PER\nsees VBZ I-VP O\n{place}{n} CD O O\n")
    file.write_text("-DOCSTART- -X- O O\n\n" + "\n".join(sentences))
    out, error = tune(file, "tagging")
    assert "tags: I-PER is read as B-PER, I-LOC is read as B-LOC" in error
    printed, _ = score(capsys, out, file)
    assert "on 60 test rows of train: f1 " in printed
    data = read_set(str(file), "tagging", "stop").data
    words = "Anna", "sees", "New", "York"
    assert data.labels == ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
    rows = [*data.train, *data.valid, *data.test]
    assert Words((*words[:2], "0"), ("B-PER", "O", "O")) in rows
    out, error = tune(file, "tagging", "--tags", "2", "--no-baselines")
    assert "columns: tags from 2; not read: 3, tags" in error
    printed, error = score(capsys, out, file)
    assert ": accuracy " in printed and "tags from 2" in error  # as it has learnt
    assert main(["predict", str(out), "--file", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 60
    assert Predictor.from_pretrained(out).labels == ("CD", "NNP", "VBZ")


def squad(path: Path, count: int, impossible: bool) -> Path:
    """A file of SQuAD's own form; in version 2 every third has no answer."""
    paragraphs = []
    for n in range(count):
        context = f"{NAMES[n % 4]} sees {n} dogs ."
        answer = [{"text": NAMES[n % 4], "answer_start": 0}]
        asked: dict[str, Any] = {"id": f"q{n}", "question": "Who?", "answers": answer}
        if impossible:
            asked["is_impossible"] = n % 3 == 0
            if n % 3 == 0:
                asked |= {"answers": [], "plausible_answers": answer}
        paragraphs.append({"context": context, "qas": [asked]})
    articles = [{"title": "A", "paragraphs": paragraphs[:9]}]
    articles.append({"title": "B", "paragraphs": paragraphs[9:]})
    path.write_text(json.dumps({"version": "1.1", "data": articles}))
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_squad(version: int, tune, tmp_path, capsys) -> None:
    """Without a question that has no answer, the best span always is one."""
    file = squad(tmp_path / "train.json", 60, version == 2)
    out, _ = tune(file, "answers", "--no-baselines")
    task = json.loads((out / "task.json").read_text())
    assert task["unanswerable"] == (version == 2)
    printed, _ = score(capsys, out, file)
    assert "on 60 test rows of train: f1 " in printed
    assert main(["predict", str(out), "--file", str(file), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["id"] for each in found] == [f"q{n}" for n in range(60)]
    for each in found:
        assert each["answer"] or (version == 2 and each["margin"] < 0)
    data = read_test(str(file), "answers", (), "stop").data
    none = {row.id for row in data.test if row.answers == ()}
    assert none == ({f"q{n}" for n in range(0, 60, 3)} if version == 2 else set())
    assert all(isinstance(row, Question) for row in data.test)
    table = pandas.DataFrame({"q": ["Who?"] * 2, "on": ["Anna sees .", "Ben sees ."]})
    table.to_csv(tmp_path / "a.csv")
    asked = ["predict", str(out), "--file", str(tmp_path / "a.csv"), "--json"]
    assert main([*asked, "--question", "q", "--context", "on"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and all(json.loads(line)["question"] for line in printed)
    assert main([*asked, "--question", "q"]) == 1
    error = capsys.readouterr().err
    assert "it has no 'context', but , q, on; say which it is with --context" in error
    assert main(["predict", str(out), "Who?\tAnna.", "--question", "q"]) == 1
    assert "--question: lines have no columns; give --file" in capsys.readouterr().err
    switch = "--unanswerable" if version == 1 else "--no-unanswerable"
    out, _ = tune(file, "answers", switch, "--no-baselines")
    task = json.loads((out / "task.json").read_text())
    assert task["unanswerable"] == (version == 1)


def test_pandas(tune, tmp_path, capsys) -> None:
    """An index, semicolons, line ends in cells, and classes that became 1.0."""
    file = tmp_path / "reviews.csv"
    table = pandas.DataFrame(
        {
            "Review": [text.replace("sees", "sees\n;") for text in TEXTS],
            "mark": [float(n % 2 + 9) for n in range(80)],
        }
    )
    table.to_csv(file, sep=";")
    _, error = tune(file, "classification", status=1)
    assert (
        "it has no 'label', but , Review, mark; say which it is with --label" in error
    )
    out, error = tune(file, "classification", "--label", "mark")
    assert "columns: text from Review, label from mark" in error
    assert "classes such as 10.0 are read as 10" in error
    data, _, note = read_test(
        str(file), "classification", ("9", "10"), "stop", {"label": "mark"}
    )
    assert [row.text for row in data.test] == list(table.Review)
    printed, error = score(capsys, out, file)  # whose columns the model remembers
    assert "on 80 test rows of reviews: accuracy" in printed
    assert all(line in error for line in note.splitlines()) and note
    assert printed.splitlines()[1].startswith("  9: ")
    assert main(["predict", str(out), "--file", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 80
    for sep, encoding in (("\t", "utf-8"), ("\t", "utf-16")):
        file = file.with_suffix(".tsv")
        table.to_csv(file, sep=sep, encoding=encoding, index=False)
        options = [] if encoding == "utf-8" else ["--encoding", encoding]
        printed, _ = score(capsys, out, file, *options)
        assert "on 80 test rows" in printed
    printed, _ = score(capsys, out, file)  # its mark is enough
    assert "on 80 test rows" in printed


def test_columns_are_kept_when_it_goes_on(tune, tmp_path, monkeypatch, capsys) -> None:
    file = tmp_path / "a.csv"
    table = pandas.DataFrame({"a": TEXTS, "b": [n % 2 for n in range(80)]})
    table.to_csv(file, encoding="utf-16")
    usual = session.Log.add

    def add(log: session.Log, record: Any) -> None:
        usual(log, record)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(session.Log, "add", add)
    given = ["--text", "a", "--label", "b", "--encoding", "utf-16"]
    out, _ = tune(file, "classification", *given, status=143)
    monkeypatch.setattr(session.Log, "add", usual)
    assert main(["resume", str(out)]) == 0
    assert "columns: text from a, label from b" in capsys.readouterr().err
    printed, _ = score(capsys, out, file, "--encoding", "utf-16")
    assert "on 80 test rows of a: accuracy" in printed
    assert main(["score", str(out), "topics", "--text", "a"]) == 1
    assert (
        "--text a is for files, and topics is a set by its" in capsys.readouterr().err
    )


def test_json_of_pandas(tune, tmp_path, capsys) -> None:
    """One list, which predict reads, too; and a table by columns, which nobody does."""
    file = tmp_path / "a.json"
    table = pandas.DataFrame({"comment": TEXTS, "target": [n % 3 for n in range(80)]})
    table.to_json(file, orient="records", indent=1)
    out, _ = tune(file, "classification", "--no-baselines")
    assert Predictor.from_pretrained(out).labels == ("0", "1", "2")
    assert main(["predict", str(out), "--file", str(file), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["text"] for each in found] == TEXTS
    table.to_json(file)
    _, error = tune(file, "classification", status=1)
    assert "a table by its columns; give a list of rows, as pandas writes it" in error


def test_a_folder_of_parquet(tune, tmp_path, monkeypatch, capsys) -> None:
    """As the hub keeps sets: names of classes stand beside the table."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    names = datasets.ClassLabel(names=["bad", "good"])
    features = {n: datasets.Value("string") for n in ("premise", "hypothesis")}
    rows = {"premise": TEXTS, "hypothesis": TEXTS[::-1], "label": [0, 1] * 40}
    table = datasets.Dataset.from_dict(
        rows, features=datasets.Features({**features, "label": names})
    )
    shards = "train-00000-of-00002", "train-00001-of-00002"
    for part in (*shards, "validation-00000-of-00001"):
        table.to_parquet(folder / "data" / f"{part}.parquet")
    out, error = tune(folder, "classification", "--no-baselines")
    assert "columns: text from premise, pair from hypothesis" in error
    assert "has no rows to test; so " in error
    data = read_set(str(folder), "classification", "stop").data
    assert len(data.train) + len(data.test) == 160 and len(data.valid) == 80
    assert data.valid[1] == Text(TEXTS[1], "good", TEXTS[-2])
    assert data.labels == ("bad", "good")
    datasets.DatasetDict(train=table).save_to_disk(tmp_path / "saved")
    again = read_set(str(tmp_path / "saved"), "classification", "stop").data
    assert len(again.train) + len(again.valid) + len(again.test) == 80
    assert main(["finetune", "owner/name:config", "--out", str(out)]) == 2
    assert "say of which kind" in capsys.readouterr().err


def test_names_in_a_single_parquet_file(tmp_path: Path) -> None:
    """As the library datasets writes it: names of numbers are in its metadata."""
    import datasets

    tags = datasets.ClassLabel(names=["O", "B-PER"])
    features = {"tokens": datasets.List(datasets.Value("string"))}
    features |= {"ner_tags": datasets.List(tags), "label": tags}
    features |= {"text": datasets.Value("string")}
    rows = [
        {
            "tokens": text.split(),
            "ner_tags": [1, 0, 0, 0, 0],
            "label": n % 2,
            "text": text,
        }
        for n, text in enumerate(TEXTS)
    ]
    table = datasets.Dataset.from_list(
        [*rows, {**rows[0], "label": -1}], features=datasets.Features(features)
    )
    table.to_parquet(file := tmp_path / "a.parquet")
    found = [row for _, row in file_records(file, None)]
    for column, feature in (("label", tags), ("ner_tags", tags)):
        for row, other in zip(found, table, strict=True):
            numbers = other[column]
            if numbers != -1:
                assert row[column] == feature.int2str(numbers)
    assert found[-1]["label"] is None
    data = read_set(str(file), "tagging", "stop", {"tags": "ner_tags"}).data
    assert data.labels == ("O", "B-PER", "I-PER")
    data, faults, _ = read_set(str(file), "classification", "skip")
    assert data.labels == ("B-PER", "O") and "row 81: no label" in faults[0]


def test_a_class_that_looks_like_another(tmp_path: Path) -> None:
    """Capitals, or an accent that is a character of its own: told, and kept apart."""
    file = tmp_path / "a.csv"
    labels = ["café", "Café", "cafe\u0301", "no"] * 20
    pandas.DataFrame({"text": TEXTS, "label": labels}).to_csv(file)
    data, _, note = read_set(str(file), "classification", "stop")
    assert len(data.labels) == 4
    assert note.count("are they one, spelt twice?") == 2


def test_a_rare_class(tune, tmp_path, capsys) -> None:
    """A threshold from the validation rows, kept; transformers knows none."""
    file = tmp_path / "spam.csv"
    table = pandas.DataFrame({"text": TEXTS * 2, "label": ["ham", *["spam"] * 79] * 2})
    table["text"] += [f" {n}" for n in range(160)]
    table["label"] = ["spam" if n % 5 == 0 else "ham" for n in range(160)]
    table.to_csv(file, index=False)
    options = ["--class-weights", "balanced", "--choose-threshold", "--epochs", "4"]
    out, _ = tune(file, "classification", *options)
    (chosen,) = json.loads((out / "task.json").read_text())["threshold"].items()
    told = f"threshold, where transformers has 0.5: spam {chosen[1]:g}\n"
    capsys.readouterr()
    assert main(["info", str(out)]) == 0 and told in capsys.readouterr().out
    assert chosen[0] == "spam" and 0.05 <= chosen[1] <= 0.95
    predictor = Predictor.from_pretrained(out)
    for found in predictor.predict(TEXTS):
        assert (found.label == "spam") == (found.probabilities["spam"] >= chosen[1])
    printed, _ = score(capsys, out, file)
    assert printed.count("average precision ") == 2
    rows = pandas.DataFrame({"text": TEXTS, "label": [n % 3 for n in range(80)]})
    rows.to_csv(file, index=False)
    _, error = tune(file, "classification", "--choose-threshold", status=1)
    assert "--choose-threshold is for two classes, and there are 3; leave" in error
    _, error = tune(file, "regression", "--class-weights", "balanced", status=1)
    assert "for regression: it is for classification alone; leave it out" in error


def test_names_with_places(tune, tmp_path, capsys) -> None:
    """As the pipeline of transformers finds them: places of words, and their mean."""
    from transformers import pipeline

    file = tmp_path / "a.jsonl"
    rows = [
        {"tokens": text.split(), "ner": ["S-PER", "O", "B-X", "E-X", "O"]}
        for text in (f"{NAMES[n % 4]} sees two dogs {n}" for n in range(60))
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    out, error = tune(file, "tagging", "--epochs", "6", "--learning-rate", "0.003")
    assert "columns: words from tokens, tags from ner" in error
    assert "S-PER is read as B-PER, E-X is read as I-X" in error
    text = "Anna sees two dogs 8"
    assert main(["predict", str(out), text, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    words = text.split()
    theirs = pipeline("token-classification", str(out), aggregation_strategy="first")
    wanted = theirs(text)
    assert [each["type"] for each in found["entities"]] == ["PER", "X"]
    assert len(found["probabilities"]) == 5
    for ours, other in zip(found["entities"], wanted, strict=True):
        assert ours["type"] == other["entity_group"]
        assert " ".join(words[ours["start"] : ours["end"]]) == ours["text"]
        assert text[other["start"] : other["end"]] == ours["text"]
        assert ours["probability"] == pytest.approx(float(other["score"]), abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("classification", "a.csv", "review,comment,label\na,b,c\n",
         "review and comment may be its 'text'; say which it is with --text NAME"),
        ("tagging", "a.jsonl", '{"tokens": ["a"], "lemmas": ["b"]}',
         "it has no 'tags', but tokens, lemmas; say which it is with --tags NAME"),
        ("regression", "a.csv", 'text,score\na,"3,5"\n',
         "the label '3,5' is no number; write it with a point, as 3.5"),
        ("tagging", "a.csv", "Word,Tag\n" + "a,O\n" * 10,
         "each row holds one word, and a row is a sentence"),
        ("tagging", "a.txt", "a O\nb\n", "a.txt, line 2: 1 columns, and the first"),
        ("answers", "a.json", '{"data": [{"paragraphs": [{"context": "a"}]}]}',
         "item 1: no row for answers: it has no 'qas', but context"),
    ],
)  # fmt: skip
def test_what_a_file_lacks(kind, name, content, message, tune, tmp_path) -> None:
    (tmp_path / name).write_text(content)
    _, error = tune(tmp_path / name, kind, status=1)
    assert message in error and "Traceback" not in error


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    lines = "".join(f"{text!r},{n % 2}\n" for n, text in enumerate(["a", "b"] * 30))
    for name in ("train.csv", "dev_matched.csv", "dev_mismatched.csv"):
        (tmp_path / name).write_text(f"text,label\n{lines}")
    with pytest.raises(ValueError, match=r"has dev_matched.csv and dev_mismatched.csv"):
        read_set(str(tmp_path), "classification", "stop")
    (tmp_path / "dev_mismatched.csv").rename(tmp_path / "test.csv")
    _, _, note = read_set(str(tmp_path), "classification", "stop")
    assert "60 of 60 rows to test are also among those to train on" in note
