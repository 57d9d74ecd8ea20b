"""A store is whole or not there; odd texts are defined and counted."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bertcore import Tokenizer
from bertcore.text import prepare as prepare_module
from bertcore.text.corpora import introductions
from bertcore.text.prepare import prepare
from bertcore.text.store import COUNTS, Store, read_store_manifest, tokenise
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import ROOT

TOKENIZER = Tokenizer([*SPECIAL, "lamp", "light", "!", "sea"])
DOCUMENTS = [["Lamp light!", "Light!"], ["Sea!"], ["Lamp.", "Sea sea sea"]]


def content(store: Store) -> list[list[list[int]]]:
    return [[store.ids[s].tolist() for s in document] for document in store]


def test_documents_come_back(tmp_path) -> None:
    store = prepare(DOCUMENTS, TOKENIZER, tmp_path / "new" / "store", workers=1)
    expected = [[TOKENIZER.encode(s)[1:-1] for s in document] for document in DOCUMENTS]
    for found in (store, Store.open(store.ids.filename and tmp_path / "new" / "store"),
                  Store.of(DOCUMENTS, TOKENIZER)):  # fmt: skip
        assert content(found) == expected
        assert len(found) == 3 and found[-1] == found[2]
        assert repr(found) == "Store(3 documents, 5 sentences, 12 tokens)"
    with pytest.raises(IndexError, match="document 3 of 3"):
        store[3]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["store"]


def test_another_process_opens_the_files_itself(tmp_path) -> None:
    texts = [["lamp " * 100_000]]
    small = Store.of(texts, TOKENIZER)
    large = prepare(texts, TOKENIZER, tmp_path / "store", workers=1)
    assert len(pickle.dumps(large)) < 1000 < 100_000 < len(pickle.dumps(small))
    for store in (small, large):
        assert content(pickle.loads(pickle.dumps(store))) == content(small)


def test_the_manifest_says_what_is_in_it(tmp_path) -> None:
    folder = tmp_path / "store"
    prepare(DOCUMENTS, TOKENIZER, folder, source="three", licence="CC0", workers=1)
    manifest = read_store_manifest(folder, digests=True)
    assert manifest["source"] == "three" and manifest["licence"] == "CC0"
    assert manifest["pieces"] == 9 and manifest["id_type"] == "<u2"
    assert set(manifest["counts"]) == set(COUNTS)
    assert manifest["counts"] == {
        "documents": 3, "empty documents": 0, "documents of one sentence": 1,
        "sentences": 5, "empty sentences": 0,
        "sentences of more than 512 tokens": 0,
        "tokens": 12, "unknown": 1, "half characters": 0, "characters": 37,
    }  # fmt: skip


def test_odd_documents_are_defined_and_counted() -> None:
    """No sentence, no token, one sentence, an enormous line, every kind of newline."""
    enormous = "lamp light " * 100_000
    documents = ["", [], ["", " \t\n"], "\u200b", ["Lamp!", ""], [enormous],
                 "Lamp!\r\nLight!\rSea!\nLamp sea.", "\ud800 sea \ufffd\0"]  # fmt: skip
    block = tokenise(documents, TOKENIZER)
    assert block.document_sizes.tolist() == [1, 1, 4, 1]
    assert block.counts["empty documents"] == 4
    assert block.counts["empty sentences"] >= 3
    assert block.counts["documents of one sentence"] == 3
    assert block.counts["sentences of more than 512 tokens"] == 1
    assert block.sentence_sizes.max() == 200_000
    assert block.counts["tokens"] == block.sentence_sizes.sum() == len(block.ids)


def test_nothing_but_empty_documents(tmp_path) -> None:
    for documents in ([], [""], [["", " "]]):
        with pytest.raises(ValueError, match="no document has a token"):
            Store.of(documents, TOKENIZER)
        with pytest.raises(ValueError, match="no document has a token"):
            prepare(documents, TOKENIZER, tmp_path / "store", workers=1)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_document_of_another_kind(tmp_path) -> None:
    for wrong in (7, [7], b"lamp", {"text": "lamp"}):
        with pytest.raises(ValueError, match="a document is a .*; give its text, or a"):
            prepare([wrong], TOKENIZER, tmp_path / "store", workers=1)


def test_all_cores_give_the_same_files(
    real_tokenizer: Tokenizer, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(prepare_module, "_CHUNK", 20_000)
    texts = [document.text for document in introductions().documents[:600]]
    digests = []
    for workers in (1, 2, 3):
        folder = tmp_path / str(workers)
        prepare(iter(texts), real_tokenizer, folder, workers=workers)
        digests.append(read_store_manifest(folder, digests=True))
    assert digests[0] == digests[1] == digests[2]
    assert content(Store.open(tmp_path / "2")) == content(
        Store.of(texts, real_tokenizer)
    )


def test_a_large_vocabulary_needs_wider_ids(tmp_path) -> None:
    words = Tokenizer([*SPECIAL, *(f"w{n}" for n in range(70_000))])
    store = prepare([["w69999 w1"]], words, tmp_path / "store", workers=1)
    assert store.ids.dtype == np.uint32 and store.ids.tolist() == [70_004, 6]


# What is damaged or half there is never opened ----------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    prepare(DOCUMENTS, TOKENIZER, tmp_path / "store", workers=1)
    return tmp_path / "store"


def test_another_tokenizer_is_refused_with_both_digests(folder: Path) -> None:
    made = json.loads((folder / "manifest.json").read_text())["vocabulary"]
    for other in (
        Tokenizer([*SPECIAL, "light", "lamp", "!", "sea"]),
        Tokenizer(TOKENIZER.vocabulary, lowercase=False),
        Tokenizer(TOKENIZER.vocabulary, max_word_characters=100),
    ):
        with pytest.raises(ValueError, match=f"its digest is {made}, that of this"):
            Store.open(folder, other)
    Store.open(folder, TOKENIZER)


def test_a_file_cut_short_or_missing(folder: Path) -> None:
    file = folder / "ids.bin"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(ValueError, match="ids.bin has 22 bytes, and was written .* 24"):
        Store.open(folder)
    file.unlink()
    with pytest.raises(ValueError, match="ids.bin is missing; copy the store again"):
        Store.open(folder)


def test_a_flipped_bit_is_found_by_the_digest(folder: Path) -> None:
    file = folder / "sentences.bin"
    content = bytearray(file.read_bytes())
    content[9] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="sentences.bin has changed since it was"):
        read_store_manifest(folder, digests=True)


def test_no_manifest_or_another_format(folder: Path, tmp_path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text('{"format": "bertcore store 9"}')
    with pytest.raises(ValueError, match="reads 'bertcore store 1'; .* prepare"):
        Store.open(folder)
    manifest.unlink()
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="holds no finished store"):
            Store.open(place)


def test_what_exists_is_not_overwritten(folder: Path) -> None:
    before = (folder / "ids.bin").read_bytes()
    with pytest.raises(FileExistsError, match="exists; Store.open"):
        prepare([["sea"]], TOKENIZER, folder, workers=1)
    assert (folder / "ids.bin").read_bytes() == before


def test_an_error_halfway_leaves_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(prepare_module, "_CHUNK", 10)

    def broken():
        yield ["Lamp light!"]
        yield ["Sea!", "Sea!"]
        raise OSError("the disk is gone")

    for workers in (1, 2):
        with pytest.raises(OSError, match="the disk is gone"):
            prepare(broken(), TOKENIZER, tmp_path / "store", workers=workers)
        assert not list(tmp_path.iterdir())


RUN = """
import sys
from bertcore import Tokenizer
from bertcore.text.prepare import prepare
from bertcore.text.vocabulary import SPECIAL

def documents():
    number = 0
    while True:
        number += 1
        if number == 3000:
            print("half", flush=True)
        yield ["lamp light " * 30] * 5

if __name__ == "__main__":
    tokenizer = Tokenizer([*SPECIAL, "lamp", "light"])
    prepare(documents(), tokenizer, sys.argv[1], workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_leaves_nothing_that_opens(tmp_path, workers: int) -> None:
    """SIGKILL in the middle; the next run starts clean and ends well."""
    folder = tmp_path / "store"
    script = tmp_path / "run.py"
    script.write_text(RUN)
    process = subprocess.Popen(
        [sys.executable, script, folder, str(workers)],
        stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == b"half\n"
    time.sleep(0.3)
    with pytest.raises(FileExistsError, match="another process prepares"):
        prepare(DOCUMENTS, TOKENIZER, folder, workers=1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    partial = tmp_path / "store.partial"
    assert partial.is_dir() and (partial / "ids.bin").stat().st_size > 0
    for place in (folder, partial):
        with pytest.raises(FileNotFoundError, match="holds no finished store"):
            Store.open(place)
    assert content(prepare(DOCUMENTS, TOKENIZER, folder, workers=1)) == content(
        Store.of(DOCUMENTS, TOKENIZER)
    )
    assert not partial.exists()


def test_a_script_without_a_guard_gets_a_sentence(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        RUN.replace('if __name__ == "__main__":', "if True:").replace(
            "while True", "while number < 20_000"
        )
    )
    command = [sys.executable, script, tmp_path / "store", "2"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert "a script without" in result.stderr
    assert not (tmp_path / "store").exists()


def test_workers_and_progress(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match="workers=0; give 1 or more"):
        prepare(DOCUMENTS, TOKENIZER, tmp_path / "store", workers=0)
    prepare(DOCUMENTS, TOKENIZER, tmp_path / "store", workers=1, progress=True)
    assert "12.0 tokens" in capsys.readouterr().err


def test_little_text_starts_no_process(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(prepare_module, "ProcessPoolExecutor", None)
    prepare(DOCUMENTS, TOKENIZER, tmp_path / "store", workers=2)
