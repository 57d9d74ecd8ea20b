"""Files by others: no code in them runs, none leads elsewhere, all damage is told."""

import ast
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from bertcore import Bert, BertConfig, BertForMaskedLM, Tokenizer
from bertcore.files import MANIFEST, read_manifest
from bertcore.model.weights import read_tensors
from bertcore.sources import beside
from bertcore.text.documents import read_documents
from bertcore.text.fast_tokenizer import load_tokenizer
from bertcore.text.store import Store
from bertcore.training.checkpoint import load_checkpoint, save_checkpoint
from bertcore.training.predictor import read_task
from grading import handins
from tests.conftest import ROOT, WHOLE, tiny_config
from tools.fuzz import READERS, _Chapter, fuzz

# Code that a pickle, or a name in a file, could make run ------------------------------


class Planted:
    """Unpickled, it makes a folder: so whoever ran it is found out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def planted(folder: Path, trace: Path) -> list:
    """Files with a payload, each with the reader that a user would call."""
    payload = pickle.dumps(Planted(trace))
    weights = folder / "weights"
    Bert(tiny_config()).save_pretrained(weights)
    (weights / "model.safetensors").unlink()
    evil = {"a": torch.zeros(1), "b": Planted(trace)}
    torch.save(evil, weights / "pytorch_model.bin")

    plain = folder / "plain"  # a pickle without torch's archive round it
    Bert(tiny_config()).save_pretrained(plain)
    (plain / "model.safetensors").rename(plain / "model.safetensors.was")
    (plain / "pytorch_model.bin").write_bytes(payload)

    named = folder / "named"  # what transformers' trust_remote_code would import
    Bert(tiny_config()).save_pretrained(named)
    config = json.loads((named / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil"}
    (named / "config.json").write_text(json.dumps(config))
    (named / "evil.py").write_text(f"import os; os.mkdir({str(trace)!r})")

    run = folder / "run"
    step = save_checkpoint(run, 1, {"a": torch.zeros(1)}, {}, {})
    (step / "model.safetensors").write_bytes(payload)

    array = folder / "rows.npy"
    np.save(array, np.array([Planted(trace)], dtype=object), allow_pickle=True)
    text = folder / "my.jsonl"
    text.write_bytes(payload)
    tokens = folder / "tokens"
    tokens.mkdir()
    (tokens / "vocab.txt").write_bytes(payload)
    (tokens / "tokenizer.json").write_bytes(payload)
    task = folder / "task"
    task.mkdir()
    (task / "task.json").write_bytes(payload)
    hand_in = folder / "hand-in.ipynb"
    hand_in.write_bytes(payload)

    def read_hand_in() -> None:
        found = handins.read(hand_in, folder, {"fuzz": _Chapter()})
        raise ValueError(found.notes[0])

    return [
        lambda: Bert.from_pretrained(weights),
        lambda: Bert.from_pretrained(plain),
        lambda: Bert.from_pretrained(named),
        lambda: load_checkpoint(step),
        lambda: read_tensors(array),
        lambda: list(read_documents([text])),
        lambda: Tokenizer.from_pretrained(tokens),
        lambda: load_tokenizer(tokens),
        lambda: read_task(task),
        read_hand_in,
    ]


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    for read in planted(tmp_path, trace):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except ValueError as error:
            assert len(str(error)) > 20
        assert not trace.exists()
    pickle.loads(pickle.dumps(Planted(trace)))  # it would have been found out
    assert trace.exists()


# What may be called in our own code, by file: students' and authors' own code runs in
# the worker's box, and in copies of chapters; the examiner's pickles go to the worker.
ALLOWED = {
    "grading/worker.py": {"exec", "pickle.loads"},
    "tools/tested_copy.py": {"exec"},
}
RUNS_CODE = {
    "eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "cloudpickle.load", "cloudpickle.loads", "marshal.loads", "yaml.load",
    "yaml.unsafe_load", "os.system", "joblib.load",
}  # fmt: skip


def dangerous(source: str) -> set[str]:
    """The calls in a source that could run what a file, or a user's text, says."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        unsafe = (
            name in RUNS_CODE
            or (name == "torch.load" and given.get("weights_only") != "True")
            or given.get("allow_pickle", "False") != "False"
            or given.get("shell", "False") != "False"
            or given.get("trust_remote_code", "False") != "False"
            or (name.endswith((".extractall", ".extract")) and "filter" not in given)
        )
        found |= {name} if unsafe else set()
    return found


def test_our_code_calls_nothing_that_runs_a_file() -> None:
    folders = ("bertcore", "grading", "tools", "contest", "benchmarks", "instructors")
    found = {}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            calls = dangerous(path.read_text(encoding="utf8"))
            if calls - ALLOWED.get(name, set()):
                found[name] = calls
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)", "subprocess.run(x, shell=True)",
        "archive.extractall(folder)", "AutoModel.of(name, trust_remote_code=True)",
    ],
)  # fmt: skip
def test_the_rule_finds(source: str) -> None:
    assert dangerous(source)
    assert not dangerous("torch.load(path, weights_only=True); model.eval()")


# Names in files -----------------------------------------------------------------------

OUTSIDE = [
    "../secret", "/etc/passwd", "a/b", "a\\b", "C:x", "..", ".", "", "a\0b", None, 3, []
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_in_a_file_stays_beside_it(tmp_path: Path, name: object) -> None:
    with pytest.raises(ValueError, match="names the file .* and not one beside it"):
        beside(tmp_path / "index.json", name)
    assert beside(tmp_path / "index.json", "a b.txt") == tmp_path / "a b.txt"


def test_an_index_of_weights_reads_no_file_elsewhere(tmp_path: Path) -> None:
    BertForMaskedLM(tiny_config()).save_pretrained(tmp_path / "secret")
    folder = tmp_path / "model"
    BertForMaskedLM(tiny_config()).save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    where = {"embeddings.word_embeddings.weight": "../secret/model.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ValueError, match=r"names the file '../secret"):
        BertForMaskedLM.from_pretrained(folder)


def test_a_manifest_reads_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "store"
    folder.mkdir()
    files = {"../secret": {"bytes": 1, "sha256": "0"}}
    (folder / MANIFEST).write_text(json.dumps({"format": "f", "files": files}))
    with pytest.raises(ValueError, match="names the file"):
        read_manifest(folder, "f")


def test_a_hand_in_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "course.ipynb"
    secret.write_text("{}")
    folder = tmp_path / "handed-in"
    folder.mkdir()
    (folder / "mine.ipynb").symlink_to(secret)
    found = handins.read(folder / "mine.ipynb", folder, {"fuzz": _Chapter()})
    assert "it is a link" in found.notes[0]


# Damage -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    report = fuzz(name, seconds=60, seed=1, most=2000 if WHOLE else 50)
    assert not report.crashes
    assert report.read + report.refused == report.tried
    assert report.refused or name == "hand-in"  # whose reader notes all


@pytest.mark.parametrize(
    ("write", "read", "said"),
    [
        ({"kind": ["a"]}, read_task, "is damaged, or of a program that writes"),
        ({"kind": "classification"}, read_task, "has no labels"),
    ],
)
def test_a_value_of_another_kind_names_the_file(
    tmp_path: Path, write: dict, read: object, said: str
) -> None:
    (tmp_path / "task.json").write_text(json.dumps(write))
    with pytest.raises(ValueError, match=said) as raised:
        read(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_bytes_of_a_store_are_never_taken_for_addresses(tmp_path: Path) -> None:
    READERS["store of texts"].make(tmp_path)
    path = tmp_path / "s" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "id_type": "O"}))
    with pytest.raises(ValueError, match="id_type='O', not '<u2'"):
        Store.open(tmp_path / "s")


def test_a_size_beyond_all_memory_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="below 2 billion"):
        BertConfig(hidden_size=10**30, heads=1)
