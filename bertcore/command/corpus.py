"""Corpus: the texts that `bertcore prepare` was asked for, and who prepares them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertcore.command.log import say

if TYPE_CHECKING:
    from bertcore import Tokenizer
    from bertcore.training.prepared import Prepared

SIZE = 8192


def prepare_corpus(asked: Mapping[str, Any]) -> Prepared:
    """Prepare what the options of the command ask for."""
    from bertcore.training.plans import Texts
    from bertcore.training.prepared import check_new, packaged, prepare_texts

    out = check_new(asked["out"])
    seen = sys.stderr.isatty() and find_spec("tqdm") is not None
    if asked["texts"]:
        say(f"learning pieces from {asked['texts']}, then preparing it …", error=True)
        return packaged(asked["texts"], out, asked["size"], asked["workers"], seen)
    documents, apart = _documents(asked), []
    tokenizer = _tokenizer(asked, documents)
    train = _split(asked, documents(), apart)
    texts = Texts(train, apart, _source(asked), "")
    return prepare_texts(texts, tokenizer, out, asked["workers"], seen)


def _documents(asked: Mapping[str, Any]) -> Callable[[], Iterator[str]]:
    """A function that reads the texts from the first on, as often as it is called."""
    from bertcore.text.files import read_documents
    from bertcore.text.hub import stream

    def read() -> Iterator[str]:
        if asked["files"]:
            found = read_documents(asked["files"], asked["field"])
        else:
            found = stream(asked["hub"], asked["config"], field=asked["field"])
        for document in islice(found, asked["limit"]):
            yield document.text

    return read


def _split(
    asked: Mapping[str, Any], documents: Iterator[str], apart: list[str]
) -> Iterator[str]:
    from bertcore.training.prepared import holding_out

    return holding_out(documents, asked["hold_out"], apart)


def _tokenizer(
    asked: Mapping[str, Any], documents: Callable[[], Iterator[str]]
) -> Tokenizer:
    """The one that was given, or one learnt from the texts that are not held out."""
    from bertcore import Tokenizer
    from bertcore.text.wordpiece import train
    from bertcore.training.prepared import learnable

    if asked["vocabulary"] is not None:
        return Tokenizer.from_pretrained(asked["vocabulary"])
    size = asked["size"] or SIZE
    say(f"learning {size:,} pieces …", error=True)
    return train(learnable(_split(asked, documents(), [])), size)


def _source(asked: Mapping[str, Any]) -> str:
    if asked["files"]:
        names = [Path(file).name for file in asked["files"]]
        more = f" and {len(names) - 8} more" if names[8:] else ""
        return ", ".join(names[:8]) + more
    part = f", {asked['config']}" if asked["config"] else ""
    return f"{asked['hub']}{part}"
