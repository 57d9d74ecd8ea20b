"""`bertcore pretrain --from`: a trained model goes on with other texts and words."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from bertcore import BertForMaskedLM, BertForPreTraining, Tokenizer
from bertcore.__main__ import main
from bertcore.command import session
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.text import corpora
from bertcore.text.fast_tokenizer import load_tokenizer
from bertcore.text.prepare import open_prepared, packaged
from bertcore.training.adaptation import NEW, OLD, _old_texts
from bertcore.training.run import load_trained
from tests.command.test_names import printed
from tests.command.test_train import quick

ANIMALS = "zebra giraffe elephant crocodile hippopotamus lemur".split()
ZOO = [
    f"The {one} sees the {other}. It eats {number} apples.\n\n"
    for one in ANIMALS
    for number, other in enumerate(ANIMALS, 2)
]
STEPS = ["--steps", "4", "--batch", "4", "--looks", "1", "--save-every", "0"]


@pytest.fixture(autouse=True)
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "measure", quick)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of tales with pairs, `old`; texts on a zoo, `zoo`; what came of them."""
    folder = tmp_path_factory.mktemp("going-on")
    packaged("tales", folder / "tales", 300, workers=1)
    (folder / "zoo.txt").write_text("".join(ZOO), encoding="utf8")
    given = ["--plan", "minute", "--data", folder / "tales", *STEPS]
    old = ["pretrain", "--out", folder / "old", *given]
    prepare = ["prepare", folder / "zoo.txt", "--out", folder / "zoo", "--workers", "1"]
    prepare += ["--vocabulary", folder / "old", "--hold-out", "6"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "measure", quick)
        for command in (old, prepare, going_on(folder, folder / "new")):
            assert main([str(each) for each in command]) == 0
    return folder


def going_on(place: Path, out: Path, *more: object) -> list[object]:
    command = ["pretrain", "--from", place / "old", "--data", place / "zoo"]
    return [*command, "--new-pieces", 5, "--out", out, *STEPS, "--keep-at", "2", *more]


def test_old_ids_stay_and_new_words_have_rows(place: Path) -> None:
    """Five of six animals; the texts are cut by them, and each row is a mean."""
    old, new = (load_tokenizer(place / run / "vocabulary") for run in ("old", "new"))
    assert new.vocabulary[: len(old)] == old.vocabulary and len(new) == len(old) + 5
    assert set(new.vocabulary[-5:]) < {*ANIMALS, "eats", "apples"}
    wanted = BertForPreTraining.from_pretrained(place / "old" / "model")
    start = BertForMaskedLM.from_pretrained(place / "new" / "start")
    table, bias = start.bert.embeddings.token.weight, start.mlm_head.bias
    before = wanted.bert.embeddings.token.weight
    assert torch.equal(table[: len(old)], before)
    for id in range(len(old), len(new)):
        ids = old.encode(new.vocabulary[id])[1:-1]
        assert torch.equal(table[id], before[ids].mean(0))
        assert torch.equal(bias[id], wanted.mlm_head.bias[ids].mean(0))
    given, texts = open_prepared(place / "zoo"), open_prepared(place / "new" / "texts")
    for one, other in zip(given[1:], texts[1:], strict=True):
        assert len(other.ids) < len(one.ids) and (other.ids >= len(old)).any()
    assert Tokenizer.from_pretrained(place / "new" / "model").ids == new.ids


def test_what_is_told(place: Path, tmp_path: Path, capsys) -> None:
    """The table, the card and the page say the same; old texts are the run's own."""
    out = tmp_path / "run"
    told = printed(capsys, *going_on(place, out))
    assert f"going on from {place / 'old'}; first, what it knows of" in told
    assert re.search(r": new, 5 more pieces \(\w+, .*, …\), \d+,\d+ para", told)
    card = json.loads((out / "card.json").read_text())
    found = card["results"]["before_and_after"]
    assert list(found) == [NEW, OLD] and card["setting"]["origin"] == str(place / "old")
    for name, each in found.items():
        bits = [each[when]["bits_per_character"] for when in ("before", "after")]
        line = f"held-out {name} +{bits[0]:.3f} +{bits[1]:.3f} +[+-]"
        assert re.search(line, told), name
        assert bits[0] != bits[1]
    page = (out / "model" / "README.md").read_text()
    assert f"Trained by `bertcore` from {place / 'old'}." in page
    assert page.count("whole words hidden") == 2
    assert json.loads((out / "model" / "card.json").read_text()) == card
    again = printed(capsys, *going_on(place, out))
    assert "goes on from step 4" in again and "held-out old texts" in again
    assert f"a run of bertcore pretrain, from {place / 'old'}" in (
        printed(capsys, "info", out)
    )


def test_each_command_opens_it(place: Path, capsys) -> None:
    """The run, its model, the model of the start and that of a moment."""
    for name in (".", "model", "start", "kept/2-updates"):
        model = place / "new" / name
        filled = printed(capsys, "fill-mask", "The [MASK] sees.", "--model", model)
        assert len(filled.splitlines()) == 5
        assert (
            len(load_tokenizer(model / "vocabulary" if name == "." else model)) == 305
        )
        data = ["--data", place / "new" / "texts", "--length", "24"]
        assert "masked pieces: loss" in printed(capsys, "evaluate", model, *data)
    assert "masked pieces: loss" in printed(capsys, "evaluate", place / "new")


def test_transformers_opens_it(place: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = place / "new" / "model"
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer, (ours, own, *_) = (
        AutoTokenizer.from_pretrained(folder),
        load_trained(place / "new"),
    )
    batch = own(ZOO[:9])
    assert tokenizer(ZOO[:9])["input_ids"] == [
        [id for id in row if id] for row in batch["input_ids"].tolist()
    ]
    with torch.no_grad():
        wanted = theirs(**batch).logits
        torch.testing.assert_close(ours(**batch), wanted, atol=1e-5, rtol=1e-5)


def test_it_goes_on_to_the_bit(place: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(place / "new", tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    shutil.rmtree(run / "model")
    assert "goes on from step 3" in printed(capsys, "resume", run)
    whole, again = (
        BertForMaskedLM.from_pretrained(folder / "model").state_dict()
        for folder in (place / "new", run)
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_another_run_is_refused(place: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(place / "new", tmp_path / "run")
    command = ["pretrain", "--out", run, "--from"]
    for given, message in (
        ([place / "old", "--new-pieces", 4], "has new_pieces=5, not 4"),
        ([OUR_MODEL], f"has from={place / 'old'}, not {OUR_MODEL}"),
        ([place / "old", "--old-texts", "tales"], "has old_texts=None, not tales"),
        ([place / "old", "--data", place / "tales"], "began with other texts than"),
    ):
        error = printed(capsys, *command, *given, status=1)
        assert message in error
    error = printed(
        capsys, "pretrain", "--out", place / "old", "--from", OUR_MODEL, status=1
    )
    assert f"from=None, not {OUR_MODEL}" in error


def test_without_new_pieces_the_texts_stay_where_they_are(place, tmp_path, capsys):
    """And without held-out texts there is nothing to compare."""
    out, texts = tmp_path / "run", tmp_path / "texts"
    prepare = ["prepare", place / "zoo.txt", "--out", texts, "--workers", "1"]
    model = place / "old" / "model"
    printed(capsys, *prepare, "--vocabulary", model, "--hold-out", "0")
    command = ["pretrain", "--from", model, "--data", texts, "--out", out, *STEPS]
    told = printed(capsys, *command)
    assert "bits per character, whole" not in told and not (out / "texts").exists()
    assert json.loads((out / "run.json").read_text())["data"] == str(texts)
    other = [*command[: -len(STEPS) - 1], tmp_path / "other", *STEPS, "--old-texts"]
    told = printed(capsys, *other, place / "tales")
    assert "held-out old texts" in told and "held-out new texts" not in told


def test_old_texts(place: Path, tmp_path, monkeypatch) -> None:
    """Of a run its own, of our model the corpora's; else what is named, or none."""
    tokenizer, folder = load_tokenizer(place / "old" / "vocabulary"), str(place / "old")
    own = open_prepared(place / "tales").held_out
    for name, given in (
        (folder, None),
        ("any", "tales"),
        ("any", str(place / "tales")),
    ):
        assert (_old_texts(name, given, tokenizer).ids == own.ids).all()
    assert len(_old_texts("any", str(place / "zoo.txt"), tokenizer)) == len(ZOO)
    assert _old_texts(str(place / "old" / "model"), None, tokenizer) is None
    with pytest.raises(FileNotFoundError, match="no file nowhere"):
        _old_texts("any", "nowhere", tokenizer)
    monkeypatch.setattr(corpora, "module_folder", lambda name: None)
    with pytest.warns(UserWarning, match="what is forgotten stays unknown: .* pip"):
        assert _old_texts(OUR_MODEL, None, tokenizer) is None


def test_faults_before_the_long_work(place: Path, tmp_path: Path, capsys) -> None:
    out, zoo, old = tmp_path / "run", place / "zoo", place / "old"
    for given, message in (
        (["--from", "nowhere", "--data", zoo], "no folder 'nowhere'"),
        (["--from", ENCODER, "--data", zoo], "finds no head for masked pieces"),
        (["--from", old], "there are none; make one with bertcore prepare FILES"),
        (["--from", old, "--data", place / "zoo.txt"], "zoo.txt is no folder of such"),
        (["--from", OUR_MODEL, "--data", zoo], "was prepared with another vocabulary"),
        (["--from", old, "--data", zoo, "--new-pieces", "0"], "--new-pieces 0, and"),
        (["--from", old, "--data", zoo, "--new-pieces", "99"], "; give 1 to "),
        (["--from", old, "--data", zoo, "--length", "99"], "--length 99, but"),
        (["--from", old, "--data", zoo, "--pairs"], "; leave --pairs out"),
        (["--from", old, "--data", zoo, "--plan", "mini"], "; leave --plan out"),
        (["--from", old, "--data", zoo, "--family", "bert"], "; leave --family out"),
        (["--from", old, "--data", zoo, "--preset", "tiny"], "; leave --preset out"),
        (["--from", old, "--data", zoo, "--keep-at", "9"], "ends at 4; give --keep"),
        (["--from", old, "--data", zoo, "--keep-at", "x"], "--keep-at x is no list of"),
        (["--new-pieces", "5"], "--new-pieces 5 is for a run that goes on"),
        (["--old-texts", "tales"], "--old-texts tales is for a run that"),
    ):  # fmt: skip
        error = printed(capsys, "pretrain", "--out", out, *given, *STEPS, status=1)
        assert message in error and "Traceback" not in error
        assert not (out / "run.json").exists()
