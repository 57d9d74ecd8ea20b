"""`bertcore finetune` and `predict` of models that write, as a user would."""

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bertcore import BertForMaskedLM
from bertcore.__main__ import main
from bertcore.command import answering, tuning
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.generate import Search
from bertcore.sources import OUR_MODEL
from bertcore.tasks.rows import CheckedSet, Source, TaskSet
from bertcore.tasks.sets import own_sounds, sounds_tokenizer
from bertcore.training.predictor import Predictor
from tests.training import small


def rows(count: int) -> list[dict[str, str]]:
    """A sentence, and who sees in it."""
    names = ("Anna", "Ben", "Clara")
    found = [(names[n % 3], n) for n in range(count)]
    return [
        {"text": f"{name} sees {n} dogs", "target": name.upper()} for name, n in found
    ]


def write(path: Path, some: list) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in some), encoding="utf8")
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny BERT of random weights, with its vocabulary."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    BertForMaskedLM(small.config(layers=1)).save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return str(folder)


def tune(data: str, out: Path, model: str, *options: str) -> list[str]:
    return [
        *("finetune", data, "--out", str(out), "--kind", "writing", "--model", model),
        *("--batch", "8", "--learning-rate", "0.01", "--warmup", "0", *options),
    ]


@pytest.fixture(scope="module")
def done(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writing")
    for part, count in (("train", 48), ("valid", 6), ("test", 9)):
        write(folder / f"{part}.jsonl", rows(count))
    out = folder / "out"
    options = ["--target-length", "16", "--label-smoothing", "0.05", "--epochs", "16"]
    assert main(tune(str(folder), out, model, *options)) == 0
    return out


def test_a_folder_that_writes(done: Path, capsys) -> None:
    """Task, card, table and score; `score` repeats what the card says."""
    card = json.loads((done / "card.json").read_text())
    test, tuning = card["results"]["test"], card["setting"]["tuning"]
    assert (tuning["target_length"], tuning["label_smoothing"]) == (16, 0.05)
    assert set(card["results"]["baselines"]) == {"majority", "nearest row"}
    assert test["exact"] > 0.8
    predictor = Predictor.from_pretrained(done)
    assert (
        predictor.settings["search"].max_tokens == 15 and predictor.reading.target == 16
    )
    assert main(["score", str(done), str(done.parent)]) == 0
    printed = capsys.readouterr().out
    for name, value in test.items():
        assert f"{name.replace('_', ' ')} {value:.3f}" in printed


def test_a_file_from_a_writer_in_the_course(done, tmp_path, capsys) -> None:
    """It goes on from an encoder-decoder; the lines say what is learnt and next."""
    data, out = write(tmp_path / "my.jsonl", rows(60)), tmp_path / "out"
    options = ["--epochs", "0.2", "--frozen", "--length", "20"]
    assert main(tune(data, out, str(done), *options)) == 0
    printed, error = capsys.readouterr()
    assert "my, writing: " in printed and "rows with the same text stay" in error
    assert f"{done}: " in printed and " of " in printed
    assert "up to 20 tokens at once, 32 to write" in printed
    assert "validation: chrf " in printed and ", word error rate " in printed
    assert "\nnearest row " in printed and "\nmajority " in printed
    assert f'what next: bertcore predict {out} "Some text."' in printed
    before, after = (load_file(folder / "model.safetensors") for folder in (done, out))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)


def test_what_is_in_the_way_of_weights(done, model, tmp_path, capsys) -> None:
    data, out = write(tmp_path / "my.jsonl", rows(30)), tmp_path / "out"
    for start, options, message in (
        (str(done), ["--tied"], "--tied, but these are the weights of an encoder-d"),
        (model, ["--rank", "2"], "--rank 2 for writing, but low-rank changes are for"),
        (model, ["--target-length", "40"], "target=40, but the decoder has 32 posit"),
    ):
        assert main(tune(data, out, start, *options)) == 1
        assert message in capsys.readouterr().err
    given = ["--kind", "classification", "--model", model, "--label-smoothing", "0.1"]
    some = [{"text": f"dog {n}", "label": "ab"[n % 2]} for n in range(20)]
    data = write(tmp_path / "other.jsonl", some)
    assert main(["finetune", data, "--out", str(out), *given]) == 1
    assert "--label-smoothing 0.1 for classification: it is" in capsys.readouterr().err
    spoilt = write(tmp_path / "spoilt.jsonl", [{"text": "a"}, {"target": "b"}])
    assert main(tune(spoilt, out, model)) == 1
    error = capsys.readouterr().err
    assert "line 1: no target; give what is to be written" in error
    assert "line 2: no row for writing: it has no 'text', but target" in error


# What a run starts from --------------------------------------------------------------


def test_sounds_start_from_random_weights(monkeypatch, tmp_path, capsys) -> None:
    """Of a small model, with their own pieces; it is said."""
    few = own_sounds()[:12]
    data = TaskSet("sounds", "writing", (), few, few[:2], few[:2], "here", "CC0")
    found = CheckedSet(data, [])
    monkeypatch.setattr("bertcore.command.tuning.read_set", lambda *_: found)
    out = tmp_path / "out"
    given = ["--out", str(out), "--epochs", "0.1", "--no-baselines"]
    assert main(["finetune", "sounds", *given]) == 0
    printed, error = capsys.readouterr()
    note = "sounds has 97 pieces of its own, which no published model knows; so this"
    assert f"bertcore: {note} starts from random weights, 2 layers to read" in error
    assert "\nrandom weights: all " in printed and "64 tokens at once, 64 to" in printed
    predictor = Predictor.from_pretrained(out)
    assert predictor.reading.tokenizer.vocabulary == sounds_tokenizer().vocabulary
    sizes = predictor.model.config
    assert (sizes.hidden_size, sizes.layers, sizes.max_positions) == (128, 2, 64)
    assert main(["predict", str(out), "hello"]) == 0


def test_what_a_run_starts_from(model: str, done: Path) -> None:
    own = sounds_tokenizer().vocabulary
    start = tuning.starting_model("sounds", None)
    assert start.weights.vocab_size == len(own) == 97 and start.weights.layers == 2
    assert start.name == "random weights" and "97 pieces" in start.note
    start = tuning.starting_model("sounds", model)
    assert (start.weights, start.name, start.note) == (model, model, "")
    assert start.tokenizer.vocabulary == small.tokenizer().vocabulary
    start = tuning.starting_model("summaries", None)
    assert start.weights == start.name == OUR_MODEL
    start = tuning.starting_model("summaries", str(done))
    assert (start.weights, start.family) == (str(done), "encoder-decoder")


# Predict -----------------------------------------------------------------------------


def test_texts_are_written(done, monkeypatch, tmp_path, capsys) -> None:
    """A line each, or an object; of arguments, lines and a file of objects."""
    assert main(["predict", str(done), "Ben sees 3 dogs", "Anna sees 0 dogs"]) == 0
    assert capsys.readouterr().out == "ben\nanna\n"
    stream = io.TextIOWrapper(io.BytesIO(b"Ben sees 3 dogs\n\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["predict", str(done), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["text", "written", "score"]
    assert (found["text"], found["written"]) == ("Ben sees 3 dogs", "ben")
    assert found["score"] < 0
    file = write(tmp_path / "a.jsonl", [{"text": "Ben sees 3 dogs", "target": 7}])
    assert main(["predict", str(done), "--file", file]) == 0
    assert capsys.readouterr().out == "ben\n"


def test_how_it_writes(done, monkeypatch, capsys) -> None:
    """Each option reaches the search, and what is not given stays."""
    seen: list[Search] = []
    own, usual = (
        Predictor.from_pretrained(done).settings["search"],
        answering.ask_to_write,
    )

    def ask(predictor: Predictor, wishes: dict) -> None:
        usual(predictor, wishes)
        seen.append(predictor.settings["search"])

    monkeypatch.setattr(answering, "ask_to_write", ask)
    for options, changes in (
        ("--beams 4 --length-penalty 0.5", {"beams": 4, "length_penalty": 0.5}),
        ("--max-tokens 3", {"max_tokens": 3}),
        (
            "--temperature 0.5 --top-k 3 --top-p 0.9 --seed 7",
            {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 7},
        ),
    ):
        given = ["predict", str(done), "Ben sees 3 dogs", *options.split()]
        assert main(given) == 0
        assert seen[-1] == own.replace(**changes)
        assert capsys.readouterr().out in ("anna\n", "ben\n", "clara\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top-k", "3"], "top_k and top_p say among which tokens one is drawn"),
        (
            ["--beams", "2", "--temperature", "1"],
            "--beams 2 and --temperature 1.0: beams",
        ),
        (
            ["--max-tokens", "99"],
            "--max-tokens 99 after 1 token, but the decoder's posit",
        ),
        (["a\tb"], "text 2: 1 TAB; give a text"),
        ([" "], "text 2: the text is empty"),
        (["--context", "b"], "a model for writing reads no context; leave --context"),
    ],
)
def test_faults_end_with_a_sentence(options, message: str, done, capsys) -> None:
    assert main(["predict", str(done), "Ben sees 3 dogs", *options]) == 1
    assert message in capsys.readouterr().err


def test_other_models_do_not_write(tmp_path, capsys) -> None:
    from tests.training.test_finetune import predictor

    predictor("classification").save_pretrained(tmp_path)
    given = ["--beams", "3", "--max-tokens", "9"]
    assert main(["predict", str(tmp_path), "a tree", *given]) == 1
    error = capsys.readouterr().err
    wanted = (
        "a model for classification writes nothing; leave --max-tokens, --beams out"
    )
    assert error == f"bertcore: {wanted}\n"


def test_a_tied_model(model, tmp_path, capsys) -> None:
    data, out = write(tmp_path / "my.jsonl", rows(30)), tmp_path / "out"
    options = ["--tied", "--epochs", "0.3", "--no-baselines"]
    assert main(tune(data, out, model, *options)) == 0
    found = EncoderDecoder.from_pretrained(out)
    assert found.tied and found.decoder.bert.embeddings is found.encoder.embeddings
    assert Predictor.from_pretrained(out).predict([Source("Ben sees 3 dogs")])
