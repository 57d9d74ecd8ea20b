"""Store: a tokenised corpus, one long array of ids on disk (chapter 6).

A folder with three arrays and a manifest. `ids.bin` holds the ids of all sentences one
after the other, 16 bits each if the vocabulary allows; `sentences.bin` where each
sentence begins; `documents.bin` with which sentence each document begins. The files are
mapped into memory, not read: opening takes no time, whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from bertcore.files import MANIFEST, read_manifest
from bertcore.sources import many, names_damage
from bertcore.text.characters import HALF
from bertcore.text.documents import split_sentences

if TYPE_CHECKING:
    from bertcore.text.fast_tokenizer import AnyTokenizer

FORMAT = "bertcore store 1"
FILES = ("ids.bin", "sentences.bin", "documents.bin")
BOUNDS = "<i8"  # places and numbers of sentences, lowest byte first
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


class Store(Sequence):
    """The documents of a tokenised corpus: `store[i]` is a list of sentences.

    A sentence is the range of its places in `store.ids`, which is how `pairs` wants it.

    >>> from bertcore.text.vocabulary import SPECIAL
    >>> from bertcore.text.wordpiece import Tokenizer
    >>> tokenizer = Tokenizer([*SPECIAL, "lamp", "light", "!"])
    >>> store = Store.of([["Lamp light!", "Light!"], ["Lamp!"]], tokenizer)
    >>> store[0], store.ids[store[0][1]].tolist()
    ([range(0, 3), range(3, 5)], [6, 7])
    """

    def __init__(
        self,
        ids: np.ndarray,
        sentences: np.ndarray,
        documents: np.ndarray,
        manifest: dict[str, Any],
        folder: Path | None = None,
    ) -> None:
        """
        Args:
            ids: of all tokens, `t`.
            sentences: the place at which each sentence begins, and the end of all.
            documents: the number of the sentence with which each document begins, and
                the number of sentences.
            manifest: what else is known: counts, vocabulary, source, licence.
            folder: where the files are, if it is on disk.
        """
        self.ids, self.sentences, self.documents = ids, sentences, documents
        self.manifest, self.folder = manifest, folder

    @classmethod
    def of(cls, documents: Iterable[Text], tokenizer: AnyTokenizer) -> Self:
        """A small store in memory.

        Args:
            documents: texts, or lists of sentences; a text is split into sentences.

        Raises:
            ValueError: if nothing is left when empty sentences and documents are out.
        """
        block = tokenise(documents, tokenizer)
        if not len(block.ids):
            raise ValueError("no document has a token; give texts that are not empty")
        return cls(
            ids=block.ids,
            sentences=np.concatenate([[0], np.cumsum(block.sentence_sizes)]),
            documents=np.concatenate([[0], np.cumsum(block.document_sizes)]),
            manifest={
                "vocabulary": vocabulary_digest(tokenizer),
                "counts": block.counts,
            },
        )

    @classmethod
    @names_damage
    def open(cls, folder: str | Path, tokenizer: AnyTokenizer | None = None) -> Self:
        """A store that `prepare` has written, mapped into memory.

        Sizes are checked, digests are not.

        Args:
            tokenizer: refuse a store that another tokenizer made.

        Raises:
            FileNotFoundError: if the folder holds no finished store.
            ValueError: if a file has not the size that the manifest says, or the
                tokenizer is another one.
        """
        folder = Path(folder).expanduser()
        manifest = read_store_manifest(folder)
        if tokenizer is not None:
            check_tokenizer(manifest, tokenizer, folder)
        if manifest["id_type"] not in ("<u2", "<u4"):  # "O" would be addresses
            raise ValueError(
                f"{folder / MANIFEST}: id_type={manifest['id_type']!r}, not '<u2' or "
                "'<u4'; prepare the texts again"
            )
        types = manifest["id_type"], BOUNDS, BOUNDS
        arrays = [
            np.memmap(folder / name, dtype=kind, mode="r")
            for name, kind in zip(FILES, types, strict=True)
        ]
        return cls(*arrays, manifest, folder.absolute())

    def __len__(self) -> int:
        return len(self.documents) - 1

    def __getitem__(self, index: int) -> list[range]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        begin, end = self.documents[index % len(self)], self.documents[1:][index]
        bounds = self.sentences[begin : end + 1].tolist()
        return [range(*ends) for ends in pairwise(bounds)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the files itself: they are not sent to it."""
        if self.folder is not None:
            return Store.open, (self.folder,)
        return Store, (self.ids, self.sentences, self.documents, self.manifest)

    def __repr__(self) -> str:
        return (
            f"Store({many(len(self), 'document')}, "
            f"{many(len(self.sentences) - 1, 'sentence')}, "
            f"{many(len(self.ids), 'token')})"
        )


def vocabulary_digest(tokenizer: AnyTokenizer) -> str:
    """The SHA-256 of all that decides which ids a text gets."""
    return sha256(tokenizer.definition.encode("utf8", "surrogatepass")).hexdigest()


def check_tokenizer(
    manifest: dict[str, Any], tokenizer: AnyTokenizer, folder: Path | None
) -> None:
    """ValueError if the store was made with another vocabulary."""
    digest = vocabulary_digest(tokenizer)
    if manifest["vocabulary"] != digest:
        raise ValueError(
            f"{folder or 'the store'} was made with another vocabulary: its digest is "
            f"{manifest['vocabulary']}, that of this tokenizer {digest}; load the "
            "tokenizer that made it, or prepare the texts again"
        )


def read_store_manifest(folder: Path, digests: bool = False) -> dict[str, Any]:
    """The manifest, if the files beside it are there and have the right size.

    With `digests` every file is read, and compared with what was written.
    """
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{folder} holds no finished store: it has no {MANIFEST}, which is written "
            "last; prepare the texts (again) with bertcore.text.prepare.prepare"
        )
    remedy = "; copy the store again, or prepare the texts again"
    return read_manifest(folder, FORMAT, remedy, digests)


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
            sentence_ids = tokenizer.encode(spaced)[1:-1]  # without [CLS] and [SEP]
            if sentence_ids:
                ids += sentence_ids
                sentence_sizes.append(len(sentence_ids))
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
    counts |= token_counts(array, sizes, tokenizer)
    return Block(array, sizes, np.array(document_sizes, dtype=np.int64), counts)


def token_counts(
    ids: np.ndarray, sentence_sizes: np.ndarray, tokenizer: AnyTokenizer
) -> dict[str, int]:
    """Of `COUNTS` those that depend on how the sentences were cut into tokens."""
    return {
        f"sentences of more than {LONG} tokens": int((sentence_sizes > LONG).sum()),
        "tokens": len(ids),
        "unknown": int((ids == tokenizer.unk_id).sum()),
    }


def checked(document: Text) -> Sequence[str]:
    """The parts of a document: its text in a list, or its sentences.

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
