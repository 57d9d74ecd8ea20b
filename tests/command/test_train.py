"""`bertcore pretrain` and what one does with a run, as a user would, on tales."""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest
import torch

from bertcore import BertForPreTraining
from bertcore.__main__ import main
from bertcore.command import session
from bertcore.model.variants.roberta import RobertaConfig, RobertaForMaskedLM
from bertcore.text.fast_tokenizer import load_tokenizer, train_byte_bpe
from bertcore.text.prepare import packaged
from bertcore.training.checkpoint import checkpoints
from bertcore.training.devices import Machine, measure
from bertcore.training.run import load_trained

SMALL = ["--plan", "minute", "--steps", "6", "--looks", "1"]
measured = cache(measure)


def quick(device: torch.device, precision: torch.dtype | None) -> Machine:
    """Measured once, whatever the precision."""
    return measured(device)._replace(precision=precision or torch.float32)


@pytest.fixture(autouse=True)
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "measure", quick)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "texts"
    packaged("tales", folder, 300, workers=1)
    return folder


@pytest.fixture(scope="module")
def done(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("runs") / "done"
    given = ["--data", str(texts), "--save-every", "0", "--tensorboard"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "measure", quick)
        assert main(["pretrain", "--out", str(folder), *SMALL, *given]) == 0
    return folder


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Path:
    return shutil.copytree(done, tmp_path / "run")


def damage(folder: Path, count: int) -> None:
    for path in checkpoints(folder / "checkpoints")[:count]:
        with (path / "model.safetensors").open("ab") as file:
            file.write(b"x")


def test_a_run_from_packaged_texts(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["pretrain", "--out", str(out), *SMALL]) == 0
    printed, error = capsys.readouterr()
    assert "products of matrices" in printed and "plan minute: 1 layer" in printed
    assert f"{out}: new, 191,698 parameters, Store(4,000 documents" in printed
    assert "step 0, 0 s, held out: masked pieces: loss" in printed
    assert "finished: 6 updates" in printed and not error
    assert f'bertcore fill-mask "Some [MASK] text." --model {out}' in printed
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("run.json", "card.json", "checkpoints", "texts", "vocabulary", "model")
    }
    card = json.loads((out / "card.json").read_text())
    assert card["results"]["steps"] == 6
    assert main(["pretrain", "--out", str(out), *SMALL]) == 0
    assert "goes on from step 6" in capsys.readouterr().out


def test_curves(done: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(done / "tensorboard")).Reload()
    losses = events.Scalars("loss/masked pieces")
    assert [loss.step for loss in losses] == [1, 2, 3, 4, 5, 6]
    assert [e.step for e in events.Scalars("held out/masked_lm")] == [0, 6]
    assert {"loss/pairs", "speed/utilisation"} <= set(events.Tags()["scalars"])


def test_the_model_is_one_for_transformers(done: Path) -> None:
    from transformers import AutoModelForPreTraining, AutoTokenizer

    text = "The [MASK] barks when Anna wakes up."
    tokenizer = AutoTokenizer.from_pretrained(done / "model")
    theirs = AutoModelForPreTraining.from_pretrained(done / "model").eval()
    ours, own, *_ = load_trained(done)
    batch = own(text, parse_special=True)
    assert tokenizer(text)["input_ids"] == batch["input_ids"][0].tolist()
    with torch.no_grad():
        wanted = theirs(**batch).prediction_logits
        torch.testing.assert_close(ours(**batch)[0], wanted, atol=1e-5, rtol=1e-5)


def test_another_run_is_refused_by_what_differs(run: Path, capsys) -> None:
    for given, message in (
        (["--learning-rate", "1"], "has learning_rate=0.004, not 1.0"),
        (["--no-pairs"], "has pairs=True, not False"),
        (["--seconds", "9"], "has steps=6, not None; seconds=None, not 9.0"),
        (["--preset", "tiny"], "hidden_size=96, not 128"),
        (["--plan", "mini"], "has plan=minute, not mini; "),
    ):
        assert main(["pretrain", "--out", str(run), *given]) == 1
        error = capsys.readouterr().err
        assert message in error and f"bertcore resume {run}" in error


def test_other_texts_are_refused_and_moved_ones_are_not(run, texts, tmp_path, capsys):
    packaged("tales", tmp_path / "others", 320, workers=1)
    moved = shutil.copytree(texts, tmp_path / "moved")
    others = ["--data", str(tmp_path / "others")]
    assert main(["resume", str(run), *others]) == 1
    assert "began with other texts than those in" in capsys.readouterr().err
    assert main(["resume", str(run), "--data", str(moved)]) == 0
    assert json.loads((run / "run.json").read_text())["data"] == str(moved)


def test_a_session_that_makes_no_sense_leaves_the_run_as_it_was(run, capsys) -> None:
    before = (run / "run.json").read_text()
    assert main(["resume", str(run), "--looks", "0"]) == 1
    assert "--looks 0 must be 1 or more" in capsys.readouterr().err
    assert (run / "run.json").read_text() == before


def test_it_goes_on_from_an_earlier_checkpoint(run: Path, capsys) -> None:
    """The weights at the end are those of the run that nothing befell."""
    whole = BertForPreTraining.from_pretrained(run / "model").state_dict()
    shutil.rmtree(run / "model")
    damage(run, 1)
    assert main(["resume", str(run), "--looks", "1", "--no-tensorboard"]) == 0
    printed, error = capsys.readouterr()
    assert "bertcore: an earlier checkpoint is used: " in error
    assert "model.safetensors has " in error and error.count("\n") == 1
    assert "goes on from step 5" in printed
    again = BertForPreTraining.from_pretrained(run / "model").state_dict()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


def test_all_checkpoints_damaged(run: Path, capsys) -> None:
    damage(run, 2)
    for command in (["resume", str(run)], ["export", str(run), str(run / "out")]):
        assert main(command) == 1
        assert "can be used: " in capsys.readouterr().err


def test_evaluate(done: Path, texts: Path, capsys) -> None:
    """A run, its export, and the log of training say the same."""
    printed = []
    model, data = str(done / "model"), ["--data", str(texts), "--length", "48"]
    for given in ([str(done)], [str(done), "--data", str(texts / "held-out")],
                  [model, *data]):  # fmt: skip
        assert main(["evaluate", *given]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("masked pieces: loss ")
    assert "; pairs: loss " in printed[0] and len(set(printed)) == 1
    for given, message in (
        ([model], "so say on which texts: --data FOLDER"),
        ([model, *data[:2], "--length", "99"], "--length 99, but the model has 64"),
        ([str(done), "--data", str(done)], "holds no held-out texts"),
        (["none", *data], "no folder 'none'"),
        (["sentence-transformers/all-MiniLM-L6-v2", *data], "no head for masked"),
    ):
        assert main(["evaluate", *given]) == 1
        assert message in capsys.readouterr().err


def test_export_and_fill_mask(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["export", str(run), str(out), "--half"]) == 0
    assert f"{out}: the model of step 6 of {run}" in capsys.readouterr().out
    text = "The [MASK] barks when [MASK] wakes up."
    assert main(["fill-mask", text, "--model", str(out), "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[MASK] 1" and lines[4] == "[MASK] 2" and len(lines) == 8
    shares = [float(line.split("%")[0]) for line in lines[1:4]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100
    assert main(["fill-mask", "The [MASK] barks.", "--model", str(run)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    for text, message in (
        ("The dog barks.", "no [MASK] in 'The dog barks.'; write [MASK] for"),
        ("The [MASK] barks." * 30, "tokens, and the model 64 positions"),
    ):
        assert main(["fill-mask", text, "--model", str(out)]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("It was")
    assert main(["export", str(run), str(tmp_path / "mine")]) == 1
    assert "something else than an earlier export" in capsys.readouterr().err


def test_fill_mask_with_the_model_of_the_course(capsys) -> None:
    assert main(["fill-mask", "The president of the United [MASK] spoke."]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 5 and rows[0][1] == "states"


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny one, of random weights, with its bytes; its mask is <mask>."""
    folder = tmp_path_factory.mktemp("rob")
    pieces = train_byte_bpe(["The dog barks. A film."] * 2, 270)
    pieces.save_pretrained(folder)
    sizes = {"hidden_size": 24, "layers": 1, "heads": 2, "feedforward_size": 32}
    config = RobertaConfig(vocab_size=len(pieces), max_positions=32, **sizes)
    torch.manual_seed(0)
    RobertaForMaskedLM(config).save_pretrained(folder)
    return str(folder)


def test_fill_mask_with_the_models_own_mask(roberta: str, capsys) -> None:
    """Under both names; the guesses are those of the model in Python."""
    printed = []
    for text in ("a [MASK] film", "a <mask> film"):
        assert main(["fill-mask", text, "--model", roberta]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    pieces = load_tokenizer(roberta)
    batch = pieces("a <mask> film", parse_special=True)
    (place,) = (batch["input_ids"][0] == pieces.mask_id).nonzero()[0].tolist()
    with torch.no_grad():
        logits = RobertaForMaskedLM.from_pretrained(roberta)(**batch)
    best = [pieces.vocabulary[id] for id in logits[0, place].topk(5).indices]
    assert [line.split("%  ")[1] for line in printed[0].splitlines()] == best
    assert main(["fill-mask", "a <mask> [MASK]", "--model", roberta]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[MASK] 1" and lines[6] == "[MASK] 2" and len(lines) == 12
    assert main(["fill-mask", "a film", "--model", roberta]) == 1
    assert "no [MASK] in 'a film'; write [MASK] for" in capsys.readouterr().err
    assert main(["fill-mask", "a <mask> film"]) == 1, "which is no mask of BERT's"
    assert "no [MASK] in 'a <mask> film'" in capsys.readouterr().err


def test_the_card_of_a_run_that_was_killed(run: Path, tmp_path: Path) -> None:
    """Its last card is of no checkpoint, so a new one is made."""
    damage(run, 1)
    assert main(["export", str(run), str(tmp_path / "out")]) == 0
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["results"]["steps"] == 5
    assert "5 updates" in (tmp_path / "out" / "README.md").read_text()


def test_divergence_ends_with_3(texts: Path, tmp_path: Path, capsys) -> None:
    given = ["--data", str(texts), "--steps", "40", "--learning-rate", "1e30"]
    out = ["--out", str(tmp_path / "run"), "--plan", "minute", "--looks", "1"]
    assert main(["pretrain", *out, *given]) == 3
    error = capsys.readouterr().err
    assert error.count("left out: the length of its gradient is") == 10
    assert "These were 10 in a row: " in error and "Traceback" not in error


def test_faults_before_the_long_work(tmp_path: Path, monkeypatch, capsys) -> None:
    out = tmp_path / "run"
    for given, message in (
        (["--data", "none"], "none holds no prepared texts"),
        (["--batch", "0"], "--batch 0 must be more than 0"),
        (["--length", "99"], "the model has 64 positions"),
        (["--mask-rate", "2"], "--mask-rate 2.0 is a share"),
        (["--pass-size", "5"], "--batch 16 is no multiple of --pass-size 5"),
        (["--compile"], "--compile gains nothing on a CPU"),
    ):
        assert main(["pretrain", "--plan", "minute", "--out", str(out), *given]) == 1
        assert message in capsys.readouterr().err
        assert not out.exists()
    for command in ("resume", "export"):
        more = [str(tmp_path / "x")] if command == "export" else []
        assert main([command, str(out), *more]) == 1
        assert f"{out} is no run: it has no run.json" in capsys.readouterr().err
    monkeypatch.setattr("bertcore.command.session.find_spec", lambda name: None)
    assert main(["pretrain", "--out", str(out), "--tensorboard"]) == 1
    assert "run: pip install tensorboard" in capsys.readouterr().err


def test_a_start_that_was_cut_off(run: Path, tmp_path: Path, capsys) -> None:
    """What it left is used; what others put there is not touched."""
    out = tmp_path / "new"
    packaged("tales", out / "texts", 560, workers=1)
    taken = {path: path.stat().st_mtime_ns for path in out.rglob("*.bin")}
    assert main(["pretrain", "--out", str(out), "--plan", "mini"]) == 1
    assert "is of another plan than mini; remove it" in capsys.readouterr().err
    assert main(["pretrain", "--out", str(out), *SMALL[:2], "--steps", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.bin")} == taken
    (run / "run.json").unlink()
    assert main(["pretrain", "--out", str(run), *SMALL]) == 1
    assert "is no run, and there is something in it" in capsys.readouterr().err


def test_recipes_presets_and_batches(texts: Path, tmp_path: Path, capsys) -> None:
    """The faithful recipe on a published size: dropout, Google's optimiser."""
    out = tmp_path / "run"
    given = ["--preset", "tiny", "--recipe", "faithful", "--steps", "1"]
    more = ["--batch", "6", "--plan", "mini", "--length", "32", "--looks", "1"]
    data = ["--data", str(texts)]
    assert main(["pretrain", "--out", str(out), *given, *more, *data]) == 0
    printed = capsys.readouterr().out
    assert "; but with what --data and --preset and --recipe says" in printed
    found = json.loads((out / "run.json").read_text())
    assert found["recipe"]["optimiser"] == "released"
    assert found["recipe"]["pass_size"] == 2  # divides 6 and the plan's
    assert found["config"]["hidden_dropout_prob"] == 0.1
    assert found["config"]["hidden_size"] == 128
    assert found["config"]["vocab_size"] == 300


def test_what_may_change_when_it_goes_on(run: Path, capsys) -> None:
    """Where and how fast; it is kept for the sessions that follow."""
    damage(run, 1)
    given = ["--precision", "bfloat16", "--save-every", "9", "--workers", "1"]
    assert main(["resume", str(run), *given, "--no-tensorboard"]) == 0
    assert "in bfloat16 products" in capsys.readouterr().out
    asked = json.loads((run / "run.json").read_text())["asked"]
    kept = ("precision", "save_every", "workers", "tensorboard", "steps")
    assert [asked[name] for name in kept] == ["bfloat16", 9.0, 1, False, 6]
    card = json.loads((run / "card.json").read_text())
    assert card["setting"]["precision"] == "bfloat16"


def test_a_start_that_fails_leaves_the_folder_free(tmp_path: Path, capsys) -> None:
    """Too few texts for a pass: the advice is an option, and it works."""
    file, data, out = (str(tmp_path / name) for name in ("a.txt", "texts", "run"))
    Path(file).write_text("The dog barks. It is red.\n\nA cat. It is blue. So it goes.")
    given = ["--size", "38", "--hold-out", "0", "--workers", "1"]
    assert main(["prepare", file, "--out", data, *given]) == 0
    begin = ["pretrain", "--out", out, "--data", data, "--plan", "minute"]
    assert main([*begin, "--steps", "2"]) == 1
    error = capsys.readouterr().err
    assert "--pass-size 16, and the texts give" in error and "give --batch " in error
    fitting = error.partition("give --batch ")[2].split()[0]
    assert main([*begin, "--seconds", "0.0001", "--batch", fitting]) == 0
    error = capsys.readouterr().err
    assert "bertcore: 0.0001 seconds were enough for so few updates" in error
