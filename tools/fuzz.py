"""Damage files in many ways, and see what the readers do: python -m tools.fuzz

People have cut downloads, half-edited tables and files by other programs, and a
notebook that is handed in may be made to break the grader. So each reader gets sound
files of which one is damaged: bytes flipped, cut, doubled or exchanged, or one value of
its JSON replaced. It may read them, or refuse them with an error that says so. What
else it raises, more than two seconds and more than a gigabyte are crashes.
"""

import argparse
import copy
import gzip
import json
import os
import random
import resource
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import torch
from safetensors.torch import load_file, save_file

from bertcore import BertConfig, BertForMaskedLM, Tokenizer
from bertcore.text.documents import read_documents
from bertcore.text.store import Store
from bertcore.training.checkpoint import load_checkpoint, save_checkpoint
from grading import handins, wire
from grading.chapters import Chapter

SECONDS = 2.0  # that a reader may take for files of a few kilobytes
MEMORY = 1 << 30  # bytes
# What a reader may raise: each must say something, and OSError is the disk's word.
CLEAR = (ValueError, FileNotFoundError, OSError, wire.Garbled, wire.Gone)
UNCLEAR = (UnicodeError, json.JSONDecodeError)  # of ValueError: they name no file

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "ab"]
# Values that somebody's program might write, or somebody who means harm.
ODD: list[Any] = [
    None, True, False, 0, -1, 3, 2**31, 10**30, 0.5, float("nan"), float("inf"), "",
    "a", "../a", "/etc/passwd", "\0", "x" * 5000, [], [None], [[[]]], {}, {"a": {}},
    "[MASK]", "nan", "\ud800",
]  # fmt: skip


class Slow(BaseException):
    """A reader took too long; no reader catches this."""


@dataclass
class Reader:
    """One way to read files.

    Attributes:
        make: writes sound files into a folder.
        read: reads what is in the folder.
        damaged: which of the files are damaged; all if there is none.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    damaged: tuple[str, ...] = ()


@dataclass
class Report:
    """What became of the inputs of one reader."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    crashes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


# Damage -------------------------------------------------------------------------------


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A file's content with one to three faults."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.randrange(len(content) + 1)
        end = min(len(content), at + draw.choice((1, 1, 2, 8, 64, 1000)))
        part = content[at:end]
        if draw.random() < 0.4 and (changed := _other_value(content, draw)):
            content = changed
            continue
        kind = draw.randrange(7)
        if kind == 0:  # a bit, or a byte
            flipped = bytes(byte ^ (1 << draw.randrange(8)) for byte in part[:1])
            content = content[:at] + flipped + content[at + 1 :]
        elif kind == 1:
            content = content[:at]
        elif kind == 2:
            content = content[:at] + content[end:]
        elif kind == 3:
            content = content[:at] + part * draw.choice((2, 3, 50)) + content[end:]
        elif kind == 4:
            some = draw.choice((
                b"\0", b"\xff", b"\xef\xbb\xbf", b"\r\n", b'"', b"\t", b",", b"{", b"[",
                "\u2028".encode(), b"\xed\xa0\x80", b"\n\n\n", b"9" * 30, b"-1",
            ))  # fmt: skip
            content = content[:at] + some + content[at:]
        elif kind == 5 and content:  # sizes stand in the first eight bytes of tensors
            size = struct.pack("<Q", draw.choice((0, 1, 2**31, 2**63, 2**64 - 1)))
            content = size + content[8:]
        else:
            other = draw.randrange(len(content) + 1)
            content = content[:at] + content[other : other + len(part)] + content[end:]
    return content


def _other_value(content: bytes, draw: random.Random) -> bytes | None:
    """The file with one of its JSON's values replaced, removed or nested deeply."""
    begin, end, head = 0, len(content), b""
    if content[8:9] == b"{":  # a file of tensors: its head is JSON
        begin, end = 8, 8 + struct.unpack("<Q", content[:8])[0]
    try:
        value = json.loads(content[begin:end])
    except (ValueError, RecursionError):
        return None
    places = list(_places(value))
    if not places:
        return None
    holder, key = draw.choice(places)
    kind = draw.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1:  # a value from somewhere else
        other, name = draw.choice(places)
        holder[key] = copy.deepcopy(other[name])
    elif kind == 2:
        deep: Any = 1
        for _ in range(draw.choice((5, 100))):
            deep = [deep]
        holder[key] = deep
    else:
        holder[key] = copy.deepcopy(draw.choice(ODD))
    text = json.dumps(value).encode()
    if kind == 2 and draw.random() < 0.3:
        text = text.replace(b"[1]", b"[" * 5000 + b"]" * 5000, 1)
    if begin:
        head = struct.pack("<Q", len(text))
    return head + text + content[end:]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder in a JSON value, with each of its keys."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in list(items):
            yield value, key
            yield from _places(each)


# Readers ------------------------------------------------------------------------------


def _config() -> BertConfig:
    return BertConfig(
        vocab_size=len(PIECES), hidden_size=8, layers=1, heads=2,
        feedforward_size=8, max_positions=16,
    )  # fmt: skip


def _model(folder: Path, name: str) -> None:
    BertForMaskedLM(_config()).save_pretrained(folder)
    if name == "pytorch_model.bin":
        torch.save(load_file(folder / "model.safetensors"), folder / name)
        (folder / "model.safetensors").unlink()
    if name.endswith(".index.json"):
        (folder / "model.safetensors").rename(folder / "part.safetensors")
        from safetensors import safe_open

        with safe_open(folder / "part.safetensors", "pt") as tensors:
            where = dict.fromkeys(tensors.keys(), "part.safetensors")
        (folder / name).write_text(json.dumps({"weight_map": where}))


def _vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf8")
    config = {"do_lower_case": True, "cls_token": "[CLS]", "model_max_length": 16,
              "tokenizer_class": "BertTokenizer"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "added_tokens.json").write_text(json.dumps({"[MASK]": 4}))


def _tokenizer_json(folder: Path) -> None:
    _vocabulary(folder)
    (folder / "added_tokens.json").unlink()
    Tokenizer.from_pretrained(folder).save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)


def _tokenize(folder: Path) -> None:
    Tokenizer.from_pretrained(folder)(["ab a b", "[MASK] \u4e00 b"])


def _byte_level(folder: Path) -> None:
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers, processors

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "ab", "Ġ", "Ġa"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    made = Library(models.BPE(ids, [("a", "b"), ("Ġ", "a")], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(pieces[:5])
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    made.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "RobertaTokenizer", "cls_token": "<s>",
              "sep_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>",
              "unk_token": "<unk>"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _load_library(folder: Path) -> None:
    from bertcore.text.fast_tokenizer import load_tokenizer

    load_tokenizer(folder)(["ab a"])


def _checkpoint(folder: Path) -> None:
    some = {"weight": torch.arange(12.0).view(3, 4)}
    save_checkpoint(folder, 7, some, {"weight.first": some["weight"]}, {"step": 7})


def _store(folder: Path) -> None:
    from bertcore.text.prepare import prepare

    made = folder / "v"
    made.mkdir()
    _vocabulary(made)
    (made / "added_tokens.json").unlink()
    prepare(["a b. ab a.", "b b a."], Tokenizer.from_pretrained(made), folder / "s")
    shutil.rmtree(made)


def _open_store(folder: Path) -> None:
    store = Store.open(folder / "s")
    for number in range(min(len(store), 10)):
        list(store[number])


def _rows(name: str) -> Callable[[Path], None]:
    rows = [{"text": f"a b {n}, ab", "label": "no" if n % 3 else "yes"}
            for n in range(30)]  # fmt: skip

    def make(folder: Path) -> None:
        path = folder / name
        if name.endswith((".csv", ".tsv")):
            mark = "," if name.endswith(".csv") else "\t"
            lines = [f'"{row["text"]}"{mark}{row["label"]}' for row in rows]
            path.write_text("\n".join([f"text{mark}label", *lines]) + "\n")
        elif name.endswith(".parquet"):
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        elif name.endswith(".conll"):
            path.write_text("a O\nab B-PER\n\nb O\nab B-LOC\nb I-LOC\n\n" * 20)
        elif name == "squad.json":
            text = "ab a b. The a is b."
            asked = [{"id": str(n), "question": f"a {n}?",
                      "answers": [{"text": "ab", "answer_start": 0}]}
                     for n in range(20)]  # fmt: skip
            paragraphs = [{"context": text, "qas": asked}]
            data = [{"title": "a", "paragraphs": paragraphs}]
            path.write_text(json.dumps({"version": "1.1", "data": data}))
        elif name.endswith(".json"):
            path.write_text(json.dumps(rows))
        else:
            text = "".join(json.dumps(row) + "\n" for row in rows).encode()
            path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)

    return make


def _read_rows(kind: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from bertcore.tasks.loading import read_set

        (path,) = (each for each in folder.iterdir() if each.is_file())
        read_set(str(path), kind, "skip")

    return read


def _texts(name: str) -> Callable[[Path], None]:
    text = b"Title.\nA line. Another one.\n\nThe next document.\n" * 5

    def make(folder: Path) -> None:
        packed = gzip.compress(text) if name.endswith(".gz") else text
        (folder / name).write_bytes(packed)

    return make


def _read_texts(folder: Path) -> None:
    list(read_documents(list(folder.iterdir())))


def _notebook(folder: Path) -> None:
    cells = [
        nbformat.v4.new_markdown_cell("# A hand-in"),
        nbformat.v4.new_code_cell("import math\n%matplotlib inline"),
        nbformat.v4.new_code_cell("LIMIT = 3\n\ndef double(x):\n    return LIMIT * x"),
        nbformat.v4.new_code_cell("@property\ndef triple(x):\n    return 3 * x"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "hand-in.ipynb")


class _Chapter(Chapter):
    """A chapter with two exercises, for which no notebook is read."""

    def __init__(self) -> None:
        self.name = "fuzz"
        self.tasks = {"double": None, "triple": None}
        self.notebook = nbformat.v4.new_notebook()


def _read_notebook(folder: Path) -> None:
    (path,) = folder.iterdir()
    handins.fingerprint(handins.read(path, folder, {"fuzz": _Chapter()}))


def _frame(folder: Path) -> None:
    value = {"right": [1.5, None, {"a": (1, 2)}], "tensor": torch.arange(4.0)}
    here, there = socket.socketpair()
    wire.send(here, value)
    here.close()
    (folder / "frame").write_bytes(b"".join(iter(lambda: there.recv(1 << 16), b"")))
    there.close()


def _receive(folder: Path) -> None:
    here, there = socket.socketpair()
    here.sendall((folder / "frame").read_bytes()[: 1 << 16])
    here.close()
    try:
        wire.receive(there, 1)
    finally:
        there.close()


def _task(folder: Path) -> None:
    from bertcore.tasks import KINDS

    about = {"kind": "classification", "labels": ["no", "yes"], "length": 16,
             "stride": 0}  # fmt: skip
    about |= {name: None for name in KINDS["classification"].needed}
    (folder / "task.json").write_text(json.dumps(about))


def _read_task(folder: Path) -> None:
    from bertcore.training.predictor import read_task

    read_task(folder)


def _load_model(folder: Path) -> None:
    BertForMaskedLM.from_pretrained(folder)


def _read_checkpoint(folder: Path) -> None:
    load_checkpoint(folder / "step-00000007")


def _tensors(folder: Path) -> None:
    save_file({"a": torch.arange(6.0).view(2, 3)}, folder / "model.safetensors")


def _read_tensors(folder: Path) -> None:
    from bertcore.model.weights import read_tensors

    (path,) = folder.iterdir()
    read_tensors(path)


BIN, INDEX = "pytorch_model.bin", "model.safetensors.index.json"
READERS: dict[str, Reader] = {
    "vocabulary": Reader(_vocabulary, _tokenize),
    "tokenizer.json": Reader(_tokenizer_json, _tokenize),
    "byte-level BPE": Reader(_byte_level, _load_library),
    "config.json": Reader(lambda f: _model(f, ""), _load_model, ("config.json",)),
    "safetensors": Reader(_tensors, _read_tensors),
    "weights, pickled": Reader(lambda f: _model(f, BIN), _load_model, (BIN,)),
    "weights in parts": Reader(lambda f: _model(f, INDEX), _load_model, (INDEX,)),
    "checkpoint": Reader(_checkpoint, _read_checkpoint),
    "store of texts": Reader(_store, _open_store),
    "task.json": Reader(_task, _read_task),
    **{
        f"rows, {name}": Reader(_rows(name), _read_rows(kind))
        for name, kind in {
            "my.csv": "classification",
            "my.tsv": "classification",
            "my.jsonl": "classification",
            "my.jsonl.gz": "classification",
            "my.json": "classification",
            "my.parquet": "classification",
            "my.conll": "tagging",
            "squad.json": "answers",
        }.items()
    },
    "texts": Reader(_texts("my.txt"), _read_texts),
    "texts, gzip": Reader(_texts("my.txt.gz"), _read_texts),
    "hand-in": Reader(_notebook, _read_notebook),
    "worker's answer": Reader(_frame, _receive),
}


# Running ------------------------------------------------------------------------------


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `Slow` in the block after so many seconds."""

    def stop(*_: Any) -> None:
        raise Slow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(name: str, seconds: float, seed: int = 0, most: int = 10**9) -> Report:
    """Damage the files of a reader for so many seconds, or so many times."""
    reader, report, draw = READERS[name], Report(), random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        sound = Path(place, "sound")
        sound.mkdir()
        reader.make(sound)
        reader.read(sound)  # what is sound must be read
        files = [
            path.relative_to(sound)
            for path in sorted(sound.rglob("*"))
            if path.is_file() and (not reader.damaged or path.name in reader.damaged)
        ]
        start = time.perf_counter()
        while report.tried < most and time.perf_counter() - start < seconds:
            trial = Path(place, "trial")
            shutil.rmtree(trial, ignore_errors=True)
            shutil.copytree(sound, trial)
            file = trial / draw.choice(files)
            content = damaged(file.read_bytes(), draw)
            file.write_bytes(content)
            _count(report, reader, trial, content)
        report.seconds = time.perf_counter() - start
    return report


def _count(report: Report, reader: Reader, folder: Path, content: bytes) -> None:
    report.tried += 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        with _limited(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder)
        report.read += 1
        fault = ""
    except CLEAR as error:
        said = str(error) or isinstance(error, wire.Gone)
        unclear = isinstance(error, UNCLEAR) or not said
        fault = _where(error) if unclear else ""
        report.refused += not unclear
    except Slow:
        fault = f"more than {SECONDS} seconds"
    except Exception as error:
        fault = _where(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    if grown > MEMORY:
        fault = fault or f"{grown / 2**30:.1f} GiB of memory"
    if fault:
        report.crashes[fault] += 1
        report.examples.setdefault(fault, repr(content[:4000]))


def _where(error: BaseException) -> str:
    """What was raised, and by which line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "bertcore/" in f.filename or "grading/" in f.filename]
    last = (ours or frames)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__} in {place}: {str(error)[:80]}"


def main() -> int:
    """Fuzz each reader; 1 if any crashed."""
    parser = argparse.ArgumentParser(description="Damage files and read them.")
    parser.add_argument("readers", nargs="*", help=f"of {', '.join(READERS)}; else all")
    parser.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="what crashed each reader")
    options = parser.parse_args()
    names = options.readers or list(READERS)
    if unknown := set(names) - set(READERS):
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(READERS)}")
    crashed = tried = 0
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries' panics are told
    print(f"{'reader':22} tried   read refused crashes seconds")
    for name in names:
        report = fuzz(name, options.seconds / len(names), options.seed)
        crashes = sum(report.crashes.values())
        print(
            f"{name:22} {report.tried:5} {report.read:6} {report.refused:7} "
            f"{crashes:7} {report.seconds:7.1f}",
            flush=True,
        )
        for fault, times in report.crashes.most_common():
            print(f"    {times} × {fault}")
            if options.show:
                print(f"        {report.examples[fault]}")
        crashed, tried = crashed + crashes, tried + report.tried
    print(f"{tried} inputs, {crashed} crashes")
    return int(crashed > 0)


if __name__ == "__main__":
    sys.exit(main())
