"""Novels: fetched once from a server of our own, or read from a folder."""

import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from bertcore.__main__ import main
from bertcore.text import corpora as module
from bertcore.text.corpora import is_held_out, novels, novels_digest
from bertcore.text.prepare import find_texts, open_prepared

# Not by others; the last is held out by its name.
TEXTS = {
    "Alder_Brook_1901.txt": "BROOK\nby A. Alder\n\nIt ran\nand ran.\n \nIt fell.\n",
    "Birch_Hill_1887.txt": "One line.\nAnother of the same paragraph.",
    "Gissing_Women_1893.txt": "A women's tale of our own.",
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; `asked` holds what was asked for, of all requests."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As the repository is: a folder with the texts, and other files."""
    folder = tmp_path / "checkout"
    (folder / "corpus").mkdir(parents=True)
    for name, text in TEXTS.items():  # as Windows writes them, with a mark
        data = ("\ufeff" + text).replace("\n", "\r\n").encode("utf8")
        (folder / "corpus" / name).write_bytes(data)
    (folder / "notes.txt").write_text("no novel")
    (folder / "README.md").write_text("100 English Novels")
    return folder


@pytest.fixture
def server(checkout, tmp_path, monkeypatch) -> Iterator[str]:
    """An archive of these at an address; the cache is empty."""
    with tarfile.open(tmp_path / "novels.tar.gz", "w:gz") as archive:
        archive.add(checkout, "100_english_novels-b94dc51")
    Quiet.asked.clear()
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{here.server_address[1]}/novels.tar.gz"
        monkeypatch.setattr(module, "NOVELS_ARCHIVE", address)
        yield address
        here.shutdown()


@pytest.fixture(autouse=True)
def ours(tmp_path, monkeypatch) -> Path:
    """The cache, which is of the test alone; the digest is that of our texts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "NOVELS_DIGEST", novels_digest(TEXTS))
    return tmp_path / "cache" / "bertcore"


def test_they_are_fetched_once(server: str, ours: Path, capsys) -> None:
    first, again = novels(), novels()
    assert first == again and len(Quiet.asked) == 1
    assert [path.name for path in ours.iterdir()] == ["novels-b94dc51e0ffc.tar.gz"]
    assert "100%" in capsys.readouterr().err  # the bar of the download
    assert [each.title for each in first.documents] == [
        *("Alder_Brook_1901", "Birch_Hill_1887", "Gissing_Women_1893")
    ]
    assert first.documents[0].text == "BROOK by A. Alder\nIt ran and ran.\nIt fell."
    assert first.documents[1].text == "One line. Another of the same paragraph."


def test_a_checkout_is_as_good(checkout: Path, server: str) -> None:
    assert novels(checkout) == novels() == novels(checkout / "corpus")


def test_without_a_network(monkeypatch, ours: Path) -> None:
    for address in ("http://127.0.0.1:9/novels.tar.gz", "file:///none/novels.tar.gz"):
        monkeypatch.setattr(module, "NOVELS_ARCHIVE", address)
        with pytest.raises(FileNotFoundError) as error:
            novels()
        assert f"the novels cannot be fetched from {address} (" in str(error.value)
        assert "connect to a network, or give --novels a folder" in str(error.value)
        assert not list(ours.iterdir())


def test_an_archive_that_is_cut_short(server: str, tmp_path, ours: Path) -> None:
    """It is not kept; in the cache it is named."""
    whole = (tmp_path / "novels.tar.gz").read_bytes()
    (tmp_path / "novels.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged or cut short"):
        novels()
    assert not list(ours.iterdir())
    (tmp_path / "novels.tar.gz").write_bytes(whole)
    assert len(novels().documents) == 3
    (cached,) = ours.iterdir()
    cached.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=rf"{cached} is damaged .*; remove it to fetch"
    ):
        novels()


def test_other_texts_are_refused(checkout: Path, tmp_path, server, ours, monkeypatch):
    """A word changed, a novel less, another digest: none is trained on unseen."""
    other = shutil.copytree(checkout, tmp_path / "other")
    (other / "corpus" / "Birch_Hill_1887.txt").write_text("One line. Another.")
    message = "the 3 novels of .* are not those of version 1.4: the SHA-256 of their"
    with pytest.raises(ValueError, match=f"{message} .*; remove them to fetch"):
        novels(other)
    (other / "corpus" / "Birch_Hill_1887.txt").unlink()
    with pytest.raises(ValueError, match="the 2 novels of"):
        novels(other)
    with pytest.raises(FileNotFoundError, match="holds no novels, in files such as"):
        novels(tmp_path / "nowhere")
    monkeypatch.setattr(module, "NOVELS_DIGEST", "0" * 64)
    with pytest.raises(ValueError, match=f"{message} .* not {'0' * 64}"):
        novels()
    assert not list(ours.iterdir())


def test_one_is_held_out_by_its_title(checkout: Path) -> None:
    texts = find_texts("novels", checkout)
    assert [is_held_out(name.removesuffix(".txt")) for name in TEXTS] == [0, 0, 1]
    assert (len(texts.train), len(texts.held_out)) == (2, 1)
    assert "our own" in texts.held_out[0]
    with pytest.raises(ValueError, match="no texts 'plays'; there are tales, intro"):
        find_texts("plays")


def test_prepare_by_name(checkout: Path, tmp_path: Path, capsys) -> None:
    out, given = tmp_path / "out", ["--novels", str(checkout), "--workers", "1"]
    model = ["--vocabulary", "bert-from-scratch/english-mini"]
    command = ["prepare", "--texts", "novels", "--out", str(out)]
    assert main([*command, *given, *model]) == 0
    found = open_prepared(out)
    assert (len(found.train), len(found.held_out), len(found.tokenizer)) == (2, 1, 8192)
    assert found.train.manifest["source"].startswith("100 English Novels 1.4, github")
    capsys.readouterr()
    assert main(["prepare", "--texts", "tales", "--out", "x", *given]) == 2
    assert "--novels says where --texts novels are" in capsys.readouterr().err
