"""Block: some documents as ids, and a count of what was odd in them (chapter 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bertcore.text.characters import HALF
from bertcore.text.splitting import split_sentences

if TYPE_CHECKING:
    from bertcore.text.library_tokenizer import AnyTokenizer

# A document: a text, which is split into sentences, or its sentences.
Text = str | Sequence[str]

LONG = 512  # tokens; a longer sentence is cut wherever it is used

# What is counted, and what it means.
COUNTS = {
    "documents": "documents with a token",
    "empty documents": "documents without one: left out",
    "documents of one sentence": "their partner in a pair is always random",
    "sentences": "sentences with a token",
    "empty sentences": "sentences without one: left out",
    f"sentences of more than {LONG} tokens": "they are cut wherever they are used",
    "tokens": "all of them",
    "unknown": "tokens that are [UNK]",
    "half characters": "halves of surrogate pairs: become U+FFFD, which gives no token",
    "characters": "of the sentences, spaces between sentences not counted",
}


class Block(NamedTuple):
    """Documents as ids.

    `ids` of all tokens; `sentence_sizes`, tokens of each sentence; `document_sizes`,
    sentences of each document; `counts`, by the names in `COUNTS`.
    """

    ids: np.ndarray
    sentence_sizes: np.ndarray
    document_sizes: np.ndarray
    counts: dict[str, int]


def tokenise(documents: Iterable[Text], tokenizer: AnyTokenizer) -> Block:
    """The documents as ids; what has no token is left out, and counted.

    Raises:
        ValueError: if a document is neither a text nor a list of texts.
    """
    ids: list[int] = []
    sentence_sizes: list[int] = []
    document_sizes: list[int] = []
    counts = dict.fromkeys(COUNTS, 0)
    for document in documents:
        before = len(sentence_sizes)
        parts = [HALF.subn("\ufffd", part) for part in checked(document)]
        counts["half characters"] += sum(number for _, number in parts)
        sentences = [part for part, _ in parts]
        if isinstance(document, str):
            sentences = split_sentences(*sentences)
        for number, sentence in enumerate(sentences):
            # RoBERTa has pieces that begin with a space; BERT's tokenizer drops it.
            spaced = f" {sentence}" if number and sentence else sentence
            found = tokenizer.encode(spaced)[1:-1]  # without [CLS] and [SEP]
            if found:
                ids += found
                sentence_sizes.append(len(found))
                counts["characters"] += len(sentence)
            else:
                counts["empty sentences"] += 1
        if size := len(sentence_sizes) - before:
            document_sizes.append(size)
        else:
            counts["empty documents"] += 1
    sizes = np.array(sentence_sizes, dtype=np.int64)
    array = np.array(ids, dtype=id_type(len(tokenizer)))
    counts["documents"] = len(document_sizes)
    counts["documents of one sentence"] = document_sizes.count(1)
    counts["sentences"] = len(sizes)
    counts[f"sentences of more than {LONG} tokens"] = int((sizes > LONG).sum())
    counts["tokens"] = len(array)
    counts["unknown"] = int((array == tokenizer.unk_id).sum())
    return Block(array, sizes, np.array(document_sizes, dtype=np.int64), counts)


def checked(document: Text) -> Sequence[str]:
    """Its parts: the text itself in a list, or the sentences.

    Raises:
        ValueError: if it is neither a text nor a list of texts.
    """
    if isinstance(document, str):
        return [document]
    if isinstance(document, Sequence) and all(isinstance(s, str) for s in document):
        return document
    raise ValueError(
        f"a document is a {type(document).__name__}; give its text, or a list of its "
        "sentences"
    )


def chunks(documents: Iterable[Text], characters: int) -> Iterator[list[Text]]:
    """The documents in lists of about so many characters."""
    chunk: list[Text] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += sum(map(len, checked(document)))
        if size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def id_type(pieces: int) -> str:
    """The smallest type of number that holds every id, lowest byte first."""
    return "<u2" if pieces <= 2**16 else "<u4"
