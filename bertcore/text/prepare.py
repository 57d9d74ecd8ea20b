"""Prepare: tokenise texts once, with all cores, into stores on disk (chapter 6)."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from bertcore.files import new_folder, write_manifest
from bertcore.text.corpora import english, introductions, is_held_out, novels
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.store import (
    BOUNDS,
    FILES,
    FORMAT,
    Block,
    Store,
    Text,
    checked,
    chunks,
    id_type,
    tokenise,
    vocabulary_digest,
)
from bertcore.text.tales import LICENCE, SOURCE, tales
from bertcore.text.wordpiece import train_tokenizer

_CHUNK = 500_000  # characters that a worker gets at a time
_TOKENIZER: AnyTokenizer
VOCABULARY, TRAIN, HELD_OUT = "vocabulary", "train", "held-out"
# Texts by name, and the pieces of a vocabulary for them.
PIECES = {"tales": 560, "introductions": 8192, "english": 8192, "novels": 8192}
MOST_HELD_OUT = 5000  # documents; evaluation looks at 2,048 examples
REMEMBERED = 2_000_000  # different documents, to know one that comes again
LEARN_FROM = 100_000_000  # characters, for a vocabulary


def prepare(
    documents: Iterable[Text],
    tokenizer: AnyTokenizer,
    folder: str | Path,
    *,
    source: str = "",
    licence: str = "",
    workers: int | None = None,
    progress: bool = False,
) -> Store:
    """Tokenise documents into a new folder and open it as a store.

    The folder appears under its name only when all is written and on disk. What an
    interrupted run leaves, a folder beside it whose name ends in `.partial`, is never
    opened, and the next run starts clean. The result does not depend on the number of
    workers.

    Args:
        documents: texts, or lists of sentences; any number, read one after the other.
        tokenizer: makes the ids; its digest goes into the manifest.
        source, licence: where the texts come from and on which terms, for the manifest.
        workers: processes; by default as many as there are cores. With more than one,
            a script needs `if __name__ == "__main__":` around what it does.

    Raises:
        FileExistsError: if the folder is there already, or another process prepares it.
        ValueError: if no document has a token, or a document is no text.
    """
    folder = Path(folder).expanduser()
    if workers is None:
        affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
        workers = len(affinity(0)) if affinity else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"workers={workers}; give 1 or more, or None for all cores")
    about = {"source": source, "licence": licence}
    # Under the lock, or another process could make the folder after the question.
    with (
        _alone(folder),
        tqdm(unit=" tokens", unit_scale=True, disable=not progress) as bar,
    ):
        if folder.exists():
            raise FileExistsError(
                f"{folder} exists; Store.open({str(folder)!r}) reads it. To prepare "
                "anew, give another name or remove it first"
            )
        with new_folder(folder) as partial:
            blocks = _tokenised(documents, tokenizer, workers)
            write_manifest(
                partial, about | write_blocks(partial, blocks, tokenizer, bar)
            )
    return Store.open(folder, tokenizer)


def _tokenised(
    documents: Iterable[Text], tokenizer: AnyTokenizer, workers: int
) -> Iterator[Block]:
    """The blocks in the order of the documents, a few of them in work at a time."""
    parts = chunks(documents, _CHUNK)
    first = list(islice(parts, 2))
    if workers == 1 or len(first) < 2:  # for little text no process is started
        for part in chain(first, parts):
            yield tokenise(part, tokenizer)
        return
    if multiprocessing.parent_process() is not None:
        raise ValueError(
            "prepare is called in a worker process: the script that calls it runs "
            'again in each; put what it does under `if __name__ == "__main__":`, or '
            "give workers=1"
        )
    context = multiprocessing.get_context("spawn")  # a fork may copy a held lock
    pool = ProcessPoolExecutor(workers, context, _begin, (tokenizer,))
    pending: deque[Future[Block]] = deque()
    try:
        for part in chain(first, parts):
            pending.append(pool.submit(_work, part))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise ValueError(
            "a worker process died: too little memory, perhaps, or a script without "
            '`if __name__ == "__main__":`; workers=1 needs neither'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(tokenizer: AnyTokenizer) -> None:
    """In a new worker: its own tokenizer, with a memory of its own."""
    global _TOKENIZER
    _TOKENIZER = tokenizer


def _work(documents: list[Text]) -> Block:
    return tokenise(documents, _TOKENIZER)


def write_blocks(
    folder: Path, blocks: Iterator[Block], tokenizer: AnyTokenizer, bar: tqdm
) -> dict[str, Any]:
    """Write the three files, block by block; return what the manifest says."""
    counts: Counter[str] = Counter()
    first_token = first_sentence = 0  # of the next sentence, of the next document
    with ExitStack() as stack:
        paths = [folder / name for name in FILES]
        files = [stack.enter_context(path.open("xb")) for path in paths]
        ids, sentences, documents = files
        for block in blocks:
            ids.write(block.ids.tobytes())
            first_token = _write_starts(sentences, block.sentence_sizes, first_token)
            first_sentence = _write_starts(
                documents, block.document_sizes, first_sentence
            )
            counts.update(block.counts)
            bar.update(len(block.ids))
        sentences.write(np.array(first_token, dtype=BOUNDS).tobytes())
        documents.write(np.array(first_sentence, dtype=BOUNDS).tobytes())
    if not counts["tokens"]:
        raise ValueError("no document has a token; give texts that are not empty")
    return {
        "format": FORMAT,
        "vocabulary": vocabulary_digest(tokenizer),
        "pieces": len(tokenizer),
        "id_type": id_type(len(tokenizer)),
        "counts": dict(counts),
    }


def _write_starts(file: BinaryIO, sizes: np.ndarray, first: int) -> int:
    """Where each item begins, if the first begins at `first`; return where all end."""
    ends = first + np.cumsum(sizes)
    file.write((ends - sizes).astype(BOUNDS).tobytes())
    return int(ends[-1]) if len(ends) else first


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else prepares the same folder; the lock ends with its process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileExistsError(
            f"another process prepares {folder}; wait for it, or give another name"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
        lock.release()


class Prepared(NamedTuple):
    """A tokenizer, the store to train on, and the one that is held out, if any is."""

    tokenizer: AnyTokenizer
    train: Store
    held_out: Store | None


def open_prepared(folder: str | Path) -> Prepared:
    """What `prepare_texts` has written.

    Raises:
        FileNotFoundError: if the folder does not hold prepared texts.
        ValueError: if a store was made with another vocabulary.
    """
    folder = Path(folder).expanduser()
    if not (folder / VOCABULARY).is_dir():
        raise FileNotFoundError(
            f"{folder} holds no prepared texts: it has no folder {VOCABULARY}; write "
            f"it with bertcore prepare FILES --out {folder}"
        )
    tokenizer = load_tokenizer(folder / VOCABULARY)
    held_out = None
    if (folder / HELD_OUT).is_dir():
        held_out = Store.open(folder / HELD_OUT, tokenizer)
    return Prepared(tokenizer, Store.open(folder / TRAIN, tokenizer), held_out)


def prepare_texts(
    texts: Texts,
    tokenizer: AnyTokenizer,
    folder: str | Path,
    workers: int | None = None,
    progress: bool = False,
) -> Prepared:
    """Tokenise texts into a new folder; it appears only when all of it is written.

    Args:
        texts: to train on, and held out. Those held out are read last, so the first may
            fill the list of the others while they are read, as `holding_out` does.

    Raises:
        FileExistsError: if the folder is there already.
        ValueError: if there is no text.
    """
    folder = check_new(folder)
    about: dict[str, Any] = dict(
        source=texts.source, licence=texts.licence, workers=workers, progress=progress
    )
    with _alone(folder), new_folder(folder) as partial:
        tokenizer.save_pretrained(partial / VOCABULARY)
        prepare(texts.train, tokenizer, partial / TRAIN, **about)
        if texts.held_out:
            prepare(texts.held_out, tokenizer, partial / HELD_OUT, **about)
    return open_prepared(folder)


def prepare_corpus(
    documents: Callable[[], Iterator[str]],
    folder: str | Path,
    vocabulary: str | Path | None = None,
    *,
    pieces: int | None = None,
    hold_out: int = 50,
    source: str = "",
    workers: int | None = None,
    progress: bool = False,
) -> Prepared:
    """Tokenise documents into a new folder, some of them held out.

    Args:
        documents: gives all of them, from the first on, each time it is called.
        vocabulary: a folder or vocab.txt; None learns one first.
        pieces: of the vocabulary to learn; None are 8,192.
        hold_out: one document in so many is not trained on; 0 holds none out.
        source, workers, progress: as in `prepare`.

    Raises:
        FileExistsError: if the folder is there already.
        ValueError: as `prepare` and `holding_out` do.
    """
    folder = check_new(folder)
    if vocabulary is not None:
        tokenizer = load_tokenizer(vocabulary)
    else:
        # The held-out documents are not learnt from, either.
        learnt_from = holding_out(documents(), hold_out, [])
        tokenizer = train_tokenizer(learnable(learnt_from), pieces or PIECES["english"])
    apart: list[str] = []
    train = holding_out(documents(), hold_out, apart)
    texts = Texts(train, apart, source, "")
    return prepare_texts(texts, tokenizer, folder, workers, progress)


def check_new(folder: str | Path) -> Path:
    """The path of a folder that is not there yet.

    Raises:
        FileExistsError: if it is.
    """
    folder = Path(folder).expanduser()
    if folder.exists():
        raise FileExistsError(
            f"{folder} exists; give another name, or remove it to prepare anew"
        )
    return folder


def packaged(
    kind: str,
    folder: str | Path | None = None,
    pieces: int | None = None,
    workers: int | None = None,
    progress: bool = False,
    vocabulary: str | Path | None = None,
    novels_folder: Path | None = None,
) -> Prepared:
    """Texts by name, with a vocabulary learnt from them.

    Args:
        pieces: of the vocabulary; by default 560 for tales, 8,192 for English.
        vocabulary: a folder, hub name or vocab.txt, not to learn one.

    Raises:
        FileExistsError: if the folder is there already.
        FileNotFoundError: naming a package that is not installed.
        ValueError: if there is no such kind, or not that many pieces in it.
    """
    if folder is not None:
        check_new(folder)
    texts = find_texts(kind, novels_folder)
    if vocabulary is not None:
        tokenizer = load_tokenizer(vocabulary)
    else:
        tokenizer = train_tokenizer(learnable(texts.train), pieces or PIECES[kind])
    if folder is not None:
        return prepare_texts(texts, tokenizer, folder, workers, progress)
    train = Store.of(texts.train, tokenizer)
    train.manifest.update(source=texts.source, licence=texts.licence)
    return Prepared(tokenizer, train, held_out=Store.of(texts.held_out, tokenizer))


def learnable(documents: Iterable[Text]) -> Iterator[str]:
    """Documents as plain texts, up to 100 million characters: enough to learn from."""
    room = LEARN_FROM
    for document in documents:
        if room <= 0:
            return
        text = document if isinstance(document, str) else " ".join(document)
        room -= len(text)
        yield text


def holding_out(
    documents: Iterable[Text], one_in: int, held_out: list[Text]
) -> Iterator[Text]:
    """The documents to train on; one in so many goes into the list `held_out`.

    It is the last of each `one_in` different ones, and 5,000 at most, so that a stream
    of any length is read once and in little memory. What is held out is not trained on,
    however often it comes: documents are equal if they differ in white space alone. At
    the end it warns of those that came again.

    Args:
        one_in: 2 or more; 0 holds none out.

    Raises:
        ValueError: if `one_in` makes no sense; at the end, if there was no document, or
            nothing was held out.
    """
    if one_in < 0 or one_in == 1:
        raise ValueError(f"hold_out={one_in}; give 2 or more, or 0 to hold none out")
    seen: set[bytes] = set()
    apart: set[bytes] = set()
    number = again = left_out = 0
    for document in documents:
        number += 1
        key = _content_key(document)
        is_new, has_room = key not in seen, len(seen) < REMEMBERED
        again += not is_new
        if has_room:
            seen.add(key)
        # Later ones may have been read before, and forgotten: these are trained on.
        turn = one_in and is_new and has_room and len(seen) % one_in == 0
        if turn and len(held_out) < MOST_HELD_OUT:
            apart.add(key)
            held_out.append(document)
        elif key in apart:
            left_out += 1
        else:
            yield document
    if not number:
        raise ValueError("no documents: no text was found; give texts that have some")
    if one_in and not held_out:
        advice = f"{max(2, len(seen) // 4)}, or 0" if len(seen) > 1 else "0"
        raise ValueError(
            f"hold_out={one_in} takes one document in {one_in}, and there are "
            f"{len(seen)}; give {advice} to hold none out. In a .txt file a blank line "
            "ends a document"
        )
    if again:
        held = f", {left_out:,} of them equal to one held out: left out"
        held = held if left_out else ""
        warnings.warn(
            f"{again:,} of {number:,} documents came before{held}", stacklevel=1
        )


def _content_key(document: Text) -> bytes:
    """A digest of a document, whatever the white space between its words."""
    words = " ".join(checked(document)).split()
    content = " ".join(words).encode("utf8", "surrogatepass")
    return blake2b(content, digest_size=8).digest()


class Texts(NamedTuple):
    """Documents to train on and others that are held out, and where they come from."""

    train: Sequence[str | list[str]]
    held_out: Sequence[str | list[str]]
    source: str
    licence: str


def find_texts(kind: str, novels_folder: Path | None = None) -> Texts:
    """Texts by name. One document in fifty or so is held out, by a digest of its title.

    "introductions" are one of the corpora of "english", and the same are held out of
    both: a model of either can be evaluated on those of the other.

    Raises:
        FileNotFoundError: naming a package that is not installed, or if the novels are
            not to be had.
        ValueError: if there is no such kind.
    """
    if kind == "tales":
        train, held_out = tales(4000, seed=0), tales(300, seed=1)
        return Texts(train, held_out, SOURCE, LICENCE)
    if kind == "english":
        train = [document.text for document in english()]
        held_out = [document.text for document in english(held_out=True)]
        source = "all corpora of bertcore.text.corpora, less what english() holds out"
        return Texts(train, held_out, source, "several; see data/README.md")
    if kind in ("introductions", "novels"):
        corpus = introductions() if kind == "introductions" else novels(novels_folder)
        documents, source, licence = corpus
        parts = [
            [each.text for each in documents if is_held_out(each.title) is apart]
            for apart in (False, True)
        ]
        return Texts(*parts, source, licence)
    raise ValueError(f"no texts {kind!r}; there are {', '.join(PIECES)}")
