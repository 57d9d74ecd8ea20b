"""New pieces: a field's own words, added to a vocabulary that cuts them up.

The words are counted in a store, where a word that was cut is a run of ids, and the
store is then written anew with the longer pieces. All ids that were there stay.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bertcore.files import new_folder, write_manifest
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.masking import continuations
from bertcore.text.prepare import write_blocks
from bertcore.text.store import Block, Store, id_type, token_counts
from bertcore.text.wordpiece import Tokenizer, longest_match

LEAST = 5  # times; of a word that comes less often a model learns little
_SLICE = 1_000_000  # tokens that are in memory together


def choose_new_pieces(
    store: Store, tokenizer: AnyTokenizer, count: int
) -> dict[str, list[int]]:
    """The words that save most tokens if each becomes a piece, with their old pieces.

    What a word saves is how often it comes, times the pieces that it then takes fewer.
    That a new piece may also begin a longer word is not counted. A word that is [UNK]
    has no pieces, so it is none of them.

    Args:
        store: the texts to train on.
        tokenizer: that of the store.
        count: how many words.

    Returns:
        Words as the tokenizer spells them, the one that saves most first.

    Raises:
        ValueError: if the tokenizer is not WordPiece, or if not so many words are cut
            and come 5 times.
    """
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(
            f"new_pieces={count} is for the WordPiece of a BERT without added tokens, "
            f"and this is {tokenizer}; leave it out"
        )
    counts: Counter[bytes] = Counter()
    for ids, *_ in _slices(store):
        for begin, end in _cut_words(ids, tokenizer):
            counts[ids[begin:end].tobytes()] += 1
    saved = {}
    for word, times in counts.items():
        old = np.frombuffer(word, store.ids.dtype).tolist()
        if times >= LEAST:
            saved[_spelt(old, tokenizer)] = times * (len(old) - 1), old
    if not 0 < count <= len(saved):
        remedy = f"give 1 to {len(saved)}" if saved else "leave it out"
        raise ValueError(
            f"new_pieces={count}, and the words that are cut into pieces and come "
            f"{LEAST} times or more in the texts are {len(saved):,}; {remedy}"
        )
    # By the word where two save as much, so that the order of the texts is no matter.
    best = sorted(saved, key=lambda word: (-saved[word][0], word))[:count]
    return {word: saved[word][1] for word in best}


def cut_anew(store: Store, old: AnyTokenizer, new: AnyTokenizer, folder: Path) -> Store:
    """Write a store again, with the ids of a tokenizer that has more pieces.

    They are the ids that the texts would get: how a word is cut depends on its letters
    alone, and its old pieces spell them. [UNK] stays.

    Args:
        store: on disk or in memory.
        old: its tokenizer.
        new: the same one with more pieces after the others, or with none.
        folder: a new one.
    """
    known: dict[bytes, list[int]] = {}
    about = {name: store.manifest.get(name, "") for name in ("source", "licence")}
    with new_folder(folder) as partial, tqdm(disable=True) as bar:
        blocks = (_anew(*part, old, new, known) for part in _slices(store))
        found = write_blocks(partial, blocks, new, bar)
        found["counts"] = store.manifest["counts"] | found["counts"]
        write_manifest(partial, about | found)
    return Store.open(folder, new)


def _slices(store: Store) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The ids of whole documents, the sizes of their sentences, and those of each."""
    starts = np.asarray(store.sentences)[np.asarray(store.documents)]
    first = 0
    while first < len(store):
        last = int(np.searchsorted(starts, starts[first] + _SLICE, "right")) - 1
        last = max(first + 1, last)
        documents = np.asarray(store.documents[first : last + 1])
        sentences = np.asarray(store.sentences[documents[0] : documents[-1] + 1])
        ids = np.asarray(store.ids[sentences[0] : sentences[-1]])
        yield ids, np.diff(sentences), np.diff(documents)
        first = last


def _cut_words(ids: np.ndarray, tokenizer: AnyTokenizer) -> Iterator[tuple[int, int]]:
    """Where each word of several pieces begins and ends.

    No piece that begins a sentence goes on with a word, so none reaches into the next.
    """
    begins = np.flatnonzero(~continuations(tokenizer.vocabulary)[ids])
    ends = np.append(begins[1:], len(ids))
    cut = ends - begins > 1
    return zip(begins[cut].tolist(), ends[cut].tolist(), strict=True)


def _spelt(ids: list[int], tokenizer: AnyTokenizer) -> str:
    return "".join(tokenizer.vocabulary[id].removeprefix("##") for id in ids)


def _anew(
    ids: np.ndarray,
    sentence_sizes: np.ndarray,
    document_sizes: np.ndarray,
    old: AnyTokenizer,
    new: AnyTokenizer,
    known: dict[bytes, list[int]],
) -> Block:
    """A slice with the ids of the new tokenizer; `known` remembers words."""
    stays = np.ones(len(ids), dtype=bool)
    places: list[int] = []  # of the new ids: where their word began
    put: list[int] = []
    for begin, end in _cut_words(ids, old) if len(new) > len(old) else ():
        word = ids[begin:end]
        key = word.tobytes()
        if key not in known:
            spelt = _spelt(word.tolist(), old)
            known[key] = longest_match(spelt, new.ids) or [new.unk_id]
        if known[key] != word.tolist():
            stays[begin:end] = False
            places += [begin] * len(known[key])
            put += known[key]
    # A stable order keeps the ids of one word, which have one place, in theirs.
    places = np.concatenate([np.flatnonzero(stays), np.array(places, dtype=np.int64)])
    order = np.argsort(places, kind="stable")
    ids = np.concatenate([ids[stays], np.array(put, dtype=np.int64)])[order]
    sentence = np.searchsorted(np.cumsum(sentence_sizes), places[order], "right")
    sizes = np.bincount(sentence, minlength=len(sentence_sizes))
    counts = token_counts(ids, sizes, new)
    return Block(ids.astype(id_type(len(new))), sizes, document_sizes, counts)
