"""Serve a fine-tuned classifier without PyTorch: python examples/serve.py FOLDER PORT

The folder is from `bertcore export MODEL FOLDER --onnx`. Then, in another shell:

    curl localhost:PORT --json '["A fine film.", "Where is Porto?"]'
"""

import json
from argparse import ArgumentParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

parser = ArgumentParser(description="Answer texts over HTTP, without PyTorch.")
parser.add_argument("folder", type=Path, help="what bertcore export --onnx wrote")
parser.add_argument("port", type=int, help="such as 8000")
given = parser.parse_args()
folder = given.folder
files = folder / "config.json", folder / "task.json"
config, task = (json.loads(file.read_text(encoding="utf8")) for file in files)
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_padding(pad_id=config.get("pad_token_id", 0))
tokenizer.enable_truncation(task["length"])
session = InferenceSession(folder / "model.onnx")


def answers(texts: list[str]) -> list[dict[str, float]]:
    """The probability of each class, for each text."""
    if not isinstance(texts, list) or not texts or {*map(type, texts)} != {str}:
        raise ValueError("give a list of texts")
    rows = tokenizer.encode_batch(texts)
    columns = {
        "input_ids": [row.ids for row in rows],
        "attention_mask": [row.attention_mask for row in rows],
        "token_type_ids": [row.type_ids for row in rows],
    }
    inputs = {each.name: np.array(columns[each.name]) for each in session.get_inputs()}
    (logits,) = session.run(["logits"], inputs)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [dict(zip(task["labels"], row, strict=True)) for row in shares.tolist()]


class Handler(BaseHTTPRequestHandler):
    """A list of texts comes in, a list of answers goes out."""

    def do_POST(self) -> None:
        try:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = 200, answers(json.loads(sent))
        except ValueError as error:  # JSON's is one, too
            status, content = 400, {"error": str(error)}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())


ThreadingHTTPServer(("localhost", given.port), Handler).serve_forever()
