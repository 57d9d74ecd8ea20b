"""Prepared: texts ready for a run, a vocabulary and two stores in a folder (chapter 9).

folder/vocabulary   vocab.txt and what else a tokenizer is saved as
folder/train        the store of the texts to train on
folder/held-out     the store of those that are held out; may be absent
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.text.blocks import Text
from bertcore.text.preparing import prepare
from bertcore.text.store import Store
from bertcore.text.wordpiece import Tokenizer, train
from bertcore.training.plans import Texts, find_texts

VOCABULARY, TRAIN, HELD_OUT = "vocabulary", "train", "held-out"
PIECES = {"tales": 560, "english": 8192}  # of a vocabulary for the packaged texts
MOST_HELD_OUT = 5000  # documents; evaluation looks at 2,048 examples
LEARN_FROM = 100_000_000  # characters, for a vocabulary


class Prepared(NamedTuple):
    """A tokenizer, the store to train on, and the one that is held out, if any is."""

    tokenizer: Tokenizer
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
    tokenizer = Tokenizer.from_pretrained(folder / VOCABULARY)
    apart = folder / HELD_OUT
    held_out = Store.open(apart, tokenizer) if apart.is_dir() else None
    return Prepared(tokenizer, Store.open(folder / TRAIN, tokenizer), held_out)


def prepare_texts(
    texts: Texts,
    tokenizer: Tokenizer,
    folder: str | Path,
    workers: int | None = None,
    progress: bool = False,
) -> Prepared:
    """Tokenise texts into a new folder; it appears only when all of it is written.

    Args:
        texts: to train on, and held out. Those held out are read last, so the first may
            fill the list of the others while they are read, as `holding_out` does.
        tokenizer: makes the ids.
        folder: a new one.
        workers, progress: as in `preparing.prepare`.

    Raises:
        FileExistsError: if the folder is there already.
        ValueError: if there is no text.
    """
    folder = check_new(folder)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    about: dict[str, Any] = dict(
        source=texts.source, licence=texts.licence, workers=workers, progress=progress
    )
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        tokenizer.save_pretrained(unfinished / VOCABULARY)
        prepare(texts.train, tokenizer, unfinished / TRAIN, **about)
        if texts.held_out:
            prepare(texts.held_out, tokenizer, unfinished / HELD_OUT, **about)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return open_prepared(folder)


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
) -> Prepared:
    """The texts that a plan takes, with a vocabulary learnt from them.

    Args:
        kind: "tales" or "english".
        folder: a new one; None keeps all in memory, which suits tales.
        pieces: of the vocabulary; by default 560 for tales, 8,192 for English.
        workers, progress: as in `preparing.prepare`.

    Raises:
        FileExistsError: if the folder is there already.
        FileNotFoundError: naming a package that is not installed.
        ValueError: if there is no such kind, or not that many pieces in it.
    """
    if folder is not None:
        check_new(folder)
    texts = find_texts(kind)
    tokenizer = train(learnable(texts.train), pieces or PIECES[kind])
    if folder is not None:
        return prepare_texts(texts, tokenizer, folder, workers, progress)
    stores = [Store.of(part, tokenizer) for part in (texts.train, texts.held_out)]
    stores[0].manifest.update(source=texts.source, licence=texts.licence)
    return Prepared(tokenizer, *stores)


def learnable(documents: Iterable[Text], most: int = LEARN_FROM) -> Iterator[str]:
    """Documents as plain texts, up to so many characters in all."""
    for document in documents:
        if most <= 0:
            return
        text = document if isinstance(document, str) else " ".join(document)
        most -= len(text)
        yield text


def holding_out(
    documents: Iterable[Text], one_in: int, apart: list[Text]
) -> Iterator[Text]:
    """The documents to train on; one in so many goes into the list `apart`.

    It is the last of each `one_in`, and 5,000 at most, so that a stream of any length
    is read once and in little memory.

    Args:
        documents: all of them.
        one_in: 2 or more; 0 holds none out.
        apart: is filled while the documents are read.

    Raises:
        ValueError: if `one_in` makes no sense; at the end, if nothing was held out.
    """
    if one_in < 0 or one_in == 1:
        raise ValueError(f"hold_out={one_in}; give 2 or more, or 0 to hold none out")
    number = 0
    for number, document in enumerate(documents, 1):
        if one_in and number % one_in == 0 and len(apart) < MOST_HELD_OUT:
            apart.append(document)
        else:
            yield document
    if one_in and not apart:
        raise ValueError(
            f"hold_out={one_in} takes one document in {one_in}, and there are "
            f"{number}; give {max(2, number // 4)}, or 0 to hold none out. In a .txt "
            "file a blank line ends a document"
        )
