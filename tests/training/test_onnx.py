"""ONNX: graphs give what the models give, without PyTorch, also in whole numbers."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from bertcore import EncoderDecoder, SentenceEncoder
from bertcore.__main__ import main
from bertcore.model.variants.families import FAMILIES, config_like
from bertcore.sources import OUR_MODEL
from bertcore.tasks import plain
from bertcore.tasks.loading import first_rows
from bertcore.tasks.sets import questions
from bertcore.text.batch import padded
from bertcore.training.export import export_onnx
from bertcore.training.finetuning import FineTuning
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning
from tests.conftest import ROOT, fill_with_large_weights
from tests.training.small import CPU, config, tokenizer

HEADS = [
    ("bert", "body", "last_hidden_state sentence_embedding"),
    ("bert", "masked_lm", "logits"),
    ("bert", "pretraining", "prediction_logits seq_relationship_logits"),
    ("bert", "tagging", "logits"),
    ("bert", "answers", "start_logits end_logits"),
    *((name, "classification", "logits") for name in FAMILIES if name != "bert"),
    ("albert", "pretraining", "prediction_logits sop_logits"),
    ("electra", "pretraining", "logits"),
]
TEXTS = ["Where is Porto?", "Who wrote the first book that was ever printed in Spain?"]
# Before anything else in a program that must not use them.
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(['torch', 'bertcore', {}]));"
BLOCKED = BLOCKED.format("'transformers'")


def session(folder: Path, name: str = "model.onnx") -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        folder / name, providers=["CPUExecutionProvider"]
    )


def batches() -> list[dict[str, Tensor]]:
    """Of one piece, of one text, and of as long a text as there may be."""
    rows = [[([5], [])], [([5, 9, 7], [8, 6])]]
    rows.append([([3] * 20, [4] * 12), ([7, 8], [9]), ([5], [])])
    return [padded(each, 0) for each in rows]


@pytest.mark.parametrize(("family", "part", "outputs"), HEADS)
def test_a_graph_gives_what_the_model_gives(family, part, outputs, tmp_path) -> None:
    kind = getattr(FAMILIES[family], part)
    # Of two layers one of ModernBERT's attends to neighbours alone.
    layers = 2 if family == "modernbert" else 1
    model = kind(config_like(family, config(num_labels=5, layers=layers))).eval()
    fill_with_large_weights(model)
    folder, out = tmp_path / "model", tmp_path / "graph"
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    found = export_onnx(folder, out)
    graph = session(out)
    names = [each.name for each in graph.get_inputs()]
    segments = family in ("bert", "albert", "electra")
    assert names == ["input_ids", "attention_mask", "token_type_ids"][: 2 + segments]
    assert (*found.inputs, found.outputs) == (*names, tuple(outputs.split()))
    for each in graph.get_inputs():
        assert each.shape == ["batch", "sequence"]
    for batch in batches():
        with torch.no_grad():
            wanted = model(**batch)
        if part == "body":
            vectors = SentenceEncoder(tokenizer(), model).pool(
                wanted, batch["attention_mask"]
            )
            wanted = wanted, torch.nn.functional.normalize(vectors, dim=-1)
        elif part == "answers":
            wanted = wanted.unbind(-1)
        elif isinstance(wanted, Tensor):
            wanted = (wanted,)
        given = {name: batch[name].numpy() for name in names}
        for one, other in zip(wanted, graph.run(None, given), strict=True):
            assert one.shape == other.shape
            assert torch.allclose(one, torch.from_numpy(other), rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    """The model of the course, fitted to questions for a moment, and its graphs."""
    folder = tmp_path_factory.mktemp("onnx")
    data = first_rows(questions(), 2400)
    tuning = Tuning(epochs=1, batch=16, learning_rate=5e-4)
    run = FineTuning(data._replace(valid=[]), OUR_MODEL, tuning, settings=CPU)
    run.run().save(folder / "model")
    given = [str(folder / "model"), str(folder / "graph"), "--onnx", "--int8"]
    assert main(["export", *given]) == 0
    return folder


def test_whole_numbers_cost_less_than_a_point(tuned: Path) -> None:
    predictor = Predictor.from_pretrained(tuned / "model")
    rows, pieces = questions().test, predictor.reading.tokenizer
    scores, guesses = {}, {}
    guesses["torch"] = plain(predictor.predict(rows))
    for name in ("model.onnx", "model-int8.onnx"):
        graph, found = session(tuned / "graph", name), []
        for start in range(0, len(rows), 50):
            texts = [(pieces.encode(r.text), []) for r in rows[start : start + 50]]
            given = {k: v.numpy() for k, v in padded(texts, pieces.pad_id).items()}
            (logits,) = graph.run(None, given)
            found += [predictor.labels[n] for n in logits.argmax(1)]
        guesses[name] = found
    for name, found in guesses.items():
        scores[name] = predictor.task.score(rows, found)["accuracy"]
    assert guesses["model.onnx"] == guesses["torch"]
    assert scores["torch"] > 0.5  # the most frequent class is right for 0.276
    assert abs(scores["model-int8.onnx"] - scores["torch"]) <= 0.01


ALONE = """
import json, sys
from pathlib import Path
import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer
folder = Path(sys.argv[1])
assert not list(Path().iterdir())
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_padding()
rows = tokenizer.encode_batch(json.loads(sys.argv[2]))
given = {
    "input_ids": np.array([row.ids for row in rows]),
    "attention_mask": np.array([row.attention_mask for row in rows]),
    "token_type_ids": np.array([row.type_ids for row in rows]),
}
(logits,) = InferenceSession(folder / "model.onnx").run(None, given)
assert not [name for name, found in sys.modules.items() if found and "torch" in name]
print(json.dumps(logits.tolist()))
"""


def test_it_runs_from_an_empty_folder_without_torch(tuned: Path, tmp_path) -> None:
    held = {each.name for each in (tuned / "graph").iterdir()}
    assert held == {
        *("model.onnx", "model-int8.onnx", "config.json", "task.json"),
        *("tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    }
    ran = subprocess.run(
        [
            *(sys.executable, "-I", "-c", BLOCKED + ALONE),
            *(str(tuned / "graph"), json.dumps(TEXTS)),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    predictor = Predictor.from_pretrained(tuned / "model")
    with torch.no_grad():
        wanted = predictor.model(**predictor.reading.tokenizer(TEXTS))
    assert torch.allclose(torch.tensor(json.loads(ran.stdout)), wanted, atol=1e-4)


@pytest.fixture
def address(tuned: Path, tmp_path):
    """Of the example, which serves without torch until the test is over."""
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    code = (
        f"{BLOCKED} import runpy; runpy.run_path({str(ROOT / 'examples/serve.py')!r})"
    )
    server = subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(tuned / "graph"), str(port)],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        try:
            socket.create_connection(("localhost", port)).close()
            break
        except OSError:
            assert server.poll() is None
            time.sleep(0.1)
    yield f"http://localhost:{port}"
    server.terminate()
    server.wait()


def asked(address: str, sent: bytes) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(address, sent, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_example_serves(tuned: Path, address: str) -> None:
    """A batch, and what is none: it says so, and goes on."""
    wanted = Predictor.from_pretrained(tuned / "model").predict(TEXTS)
    for sent in (b"no JSON", b"", b"[]", b'"text"', b"[1]", b'["a", null]', b"{}"):
        status, found = asked(address, sent)
        assert status == 400 and set(found) == {"error"}, sent
    status, found = asked(address, json.dumps([*TEXTS, "long " * 999]).encode())
    assert status == 200 and len(found) == 3
    for one, other in zip(wanted, found[:2], strict=True):
        assert other == pytest.approx(one.probabilities, abs=1e-4)


def test_what_is_refused(tuned: Path, tmp_path, capsys, monkeypatch) -> None:
    out = str(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("It was")
    tiny = config()
    EncoderDecoder(tiny).save_pretrained(tmp_path / "writer")
    other = {**json.loads((tuned / "model/config.json").read_text())}
    other["architectures"] = ["BertForNextSentencePrediction"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps(other))
    for given, status, message in (
        ([OUR_MODEL, str(tmp_path / "mine"), "--onnx"], 1, "something else than an"),
        ([str(tmp_path / "writer"), out, "--onnx"], 1, "give a model that reads"),
        (["none", out, "--onnx"], 1, "no folder 'none'"),
        ([str(tmp_path / "other"), out, "--onnx"], 1,
         "BertForNextSentencePrediction, which is not exported to ONNX; give"),
        ([OUR_MODEL, out, "--int8"], 2, "--int8 is for --onnx; give both"),
        ([OUR_MODEL, out, "--onnx", "--half"], 2, "--half and --onnx; give one"),
    ):  # fmt: skip
        assert main(["export", *given]) == status
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
        assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", OUR_MODEL, out, "--onnx"]) == 1
    assert capsys.readouterr().err == (
        "bertcore: an export to ONNX needs the library onnxscript, which is not "
        "installed; run: pip install onnxscript\n"
    )
