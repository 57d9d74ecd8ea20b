"""Pairs: two stretches of text for next-sentence prediction, as released (chapter 6).

The reference is google-research/bert create_pretraining_data.py,
`create_instances_from_document` and `truncate_seq_pair`. The same documents and the
same random numbers give the same pairs.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

FOLLOWS, RANDOM = 0, 1  # run_pretraining.py, `get_next_sentence_output`

# A sentence is the range of the places of its tokens in one long array, and a document
# its sentences. A stretch of text is a range again, and no token is copied.
Documents = Sequence[Sequence[range]]


class Pair(NamedTuple):
    """Two stretches, and whether the second is random: the next-sentence label."""

    first: range
    second: range
    label: int


def training_pairs(
    documents: Documents,
    length: int,
    repeats: int,
    rng: Random,
    short: float = 0.1,
) -> Iterator[Pair]:
    """Pairs of all documents in random order, `repeats` times over.

    Each time the documents are cut anew, and get new random partners: Google's
    `dupe_factor`, 10 as released.

    Args:
        documents: of sentences, each with one token at least; none is empty.
        length: of a pair with its three special tokens, in tokens.
        repeats: how many times to go through all documents.
        rng: where the random numbers come from.
        short: as for `document_pairs`.

    Raises:
        ValueError: if there is nothing to pair, or a number makes no sense.
    """
    check_pairing(documents, length, short)
    if repeats < 1:
        raise ValueError(f"repeats={repeats}; give 1 or more")
    shuffled = _Shuffled(documents, rng)
    for _ in range(repeats):
        for index in range(len(shuffled)):
            yield from document_pairs(shuffled, index, length, rng, short)


def document_pairs(
    documents: Documents, index: int, length: int, rng: Random, short: float = 0.1
) -> Iterator[Pair]:
    """The pairs that one document gives.

    Sentences are collected until they fill the length. A random number of them, one
    at least, is the first stretch. The second is the rest, or in half of the cases a
    stretch of another document; then the rest goes back and is used again. A lone
    sentence has no rest, so its partner is always random.

    Args:
        documents: as for `training_pairs`; random partners come from them.
        index: the document to cut up.
        length: of a pair with its three special tokens, in tokens.
        rng: where the random numbers come from. Between two pairs the caller may
            draw from it, too: Google's code masks a pair before it makes the next.
        short: the share of documents that are cut to a random shorter length.
    """
    document, room = documents[index], length - 3
    target = rng.randint(2, room) if rng.random() < short else room
    begin = 0
    while begin < len(document):
        end, size = begin + 1, len(document[begin])
        while end < len(document) and size < target:
            size += len(document[end])
            end += 1
        middle = begin + (rng.randint(1, end - begin - 1) if end - begin > 1 else 1)
        first, label = joined(document[begin:middle]), FOLLOWS
        if middle == end or rng.random() < 0.5:
            label, end = RANDOM, middle  # the rest is put back
            second = elsewhere(documents, index, target - len(first), rng)
        else:
            second = joined(document[middle:end])
        yield Pair(*cut(first, second, room, rng), label)
        begin = end


def cut(first: range, second: range, room: int, rng: Random) -> tuple[range, range]:
    """Shorten the longer one, at a random end, token by token, until both fit."""
    while len(first) + len(second) > room:
        kept = slice(1, None) if rng.random() < 0.5 else slice(-1)
        if len(first) > len(second):
            first = first[kept]
        else:
            second = second[kept]
    return first, second


def joined(sentences: Sequence[range]) -> range:
    """Neighbouring sentences as one range."""
    return range(sentences[0].start, sentences[-1].stop)


def elsewhere(documents: Documents, index: int, size: int, rng: Random) -> range:
    """Sentences of another document, from a random one on, up to a size.

    With ten tries: a small corpus may give the document itself after all.
    """
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != index:
            break
    document = documents[other]
    start = rng.randint(0, len(document) - 1)
    found = 0
    for end in range(start, len(document)):
        found += len(document[end])
        if found >= size:
            break
    return joined(document[start : end + 1])


class _Shuffled(Sequence):
    """The documents in a random order."""

    def __init__(self, documents: Documents, rng: Random) -> None:
        self.documents, self.order = documents, list(range(len(documents)))
        rng.shuffle(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Sequence[range]:
        return self.documents[self.order[index]]


def check_pairing(documents: Documents, length: int, short: float) -> None:
    """ValueError if there is nothing to pair, or a number makes no sense."""
    if not len(documents):
        raise ValueError("no documents; pairs need at least one, better thousands")
    if length < 5:
        raise ValueError(
            f"length={length}; give 5 or more: three special tokens, and a token for "
            "each of the two stretches"
        )
    if not 0 <= short <= 1:
        raise ValueError(f"short={short}; it is a share, so give 0 to 1")
