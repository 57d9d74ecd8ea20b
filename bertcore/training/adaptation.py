"""Adaptation: a trained model goes on with other texts, perhaps with their words.

The field calls it domain-adaptive or continued pretraining (Gururangan et al. 2020,
"Don't Stop Pretraining"). What the model learnt of the new texts, and what it forgot of
the old ones, is measured on held-out texts of both, before and after.

Two vocabularies cut a text into different tokens, so a loss per token says nothing
about which model is better. The same loss per character of the text does, if as much of
it was hidden: so whole words are, and the pieces of each are predicted in turn. One
thing is left: as many [MASK] stand for a word as it has pieces, which tells a little of
its length.

New pieces are counted in a store, where a word that was cut is a run of ids, and the
store is then written anew with the longer pieces. All ids that were there stay.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from bertcore.files import new_folder, write_manifest
from bertcore.model.variants.electra import ElectraConfig
from bertcore.model.variants.families import load_model
from bertcore.model.weights import Pretrained
from bertcore.sources import OUR_MODEL
from bertcore.text.documents import read_documents
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.masking import continuations
from bertcore.text.pairs import window_examples
from bertcore.text.prepare import (
    HELD_OUT,
    TRAIN,
    find_texts,
    open_prepared,
    write_blocks,
)
from bertcore.text.prepare import PIECES as KINDS
from bertcore.text.prepare import VOCABULARY as PIECES
from bertcore.text.store import (
    Block,
    Store,
    id_type,
    token_counts,
    vocabulary_digest,
)
from bertcore.text.wordpiece import Tokenizer, check_rows, longest_match
from bertcore.training.checkpoint import data_digest
from bertcore.training.devices import find_device
from bertcore.training.evaluate import HeldOut
from bertcore.training.recipe import GOING_ON
from bertcore.training.run import (
    FIXED,
    FREE,
    OLD_TEXTS,
    RUN,
    START,
    TEXTS,
    VOCABULARY,
    RunDescription,
    check_place,
    held_out_store,
    masked_lm_at,
    model_files,
    path_of,
    recipe_for,
)

NEW, OLD = "new texts", "old texts"
_MOST = 1024  # examples of each; their mean is known to about a hundredth
LEAST_OFTEN = 5  # times; of a word that comes less often a model learns little
_SLICE = 1_000_000  # tokens that are in memory together


def grown(model: Pretrained, pieces: Sequence[Sequence[int]], first: int) -> Pretrained:
    """The model with rows for new pieces; all that it had stays as it was.

    A row starts as the mean of the rows of its old pieces (Gee et al. 2022, "Fast
    Vocabulary Transfer"), and its bias in the head as the mean of theirs. As the head
    shares the table, a new piece then scores the mean of what its old pieces score, at
    every place: never more than the best of them. A random row scores about 0, which
    may be more than all others (Hewitt 2021, "Initializing New Word Embeddings").

    Args:
        model: with a head for masked pieces; it is left as it is.
        pieces: the old pieces of each new one, as ids.
        first: the id of the first new piece. Rows from there on, with which a table may
            be padded, are written over.
    """
    rows = max(model.config.vocab_size, first + len(pieces))
    bigger = type(model)(model.config.replace(vocab_size=rows))
    weights = model.state_dict()
    for name in ("bert.embeddings.token.weight", "mlm_head.bias"):
        old = weights[name]
        means = [old[list(ids)].mean(0) for ids in pieces]
        weights[name] = torch.cat(
            [old[:first], torch.stack(means), old[first + len(pieces) :]]
        )
    bigger.load_state_dict(weights)
    return bigger.eval()


def begin_adaptation(
    folder: Path, options: Mapping[str, Any], processes: int
) -> RunDescription:
    """Make what such a run takes, and write `run.json` last.

    Beside what every run has, the folder gets the model to start from, with its new
    pieces, and the old texts that are held out. If there are new pieces, it also gets
    the texts, cut anew.

    Args:
        options: `from_` is a run, a model's folder or a hub name, `data` a folder of
            texts prepared with its vocabulary; `new_pieces` how many words to add,
            `old_texts` what to measure forgetting on.

    Raises:
        FileNotFoundError: if something is not there.
        ValueError: if the model has no head for masked pieces or is an ELECTRA; if the
            texts were prepared with another vocabulary; or if options do not fit.
    """
    asked = {key: options[key] for key in (*FIXED, *FREE) if key in options}
    check_place(folder)
    name, count = asked["from_"], asked.get("new_pieces")
    model, tokenizer = _origin(name)
    positions = model.config.max_positions
    asked.setdefault("length", min(GOING_ON.recipe.length, positions))
    recipe = recipe_for(GOING_ON, asked, processes)
    recipe.check_length(positions)
    train, apart = _prepared(name, options.get("data"), tokenizer)
    words = {} if count is None else choose_new_pieces(train, tokenizer, count)
    old = _old_texts(name, asked.get("old_texts"), tokenizer)
    before = scores(model, tokenizer, {NEW: apart, OLD: old}, recipe.length)
    if words:
        model = grown(model, list(words.values()), len(tokenizer))
    data = None if words else path_of(options["data"])
    texts = {TRAIN: train, HELD_OUT: apart} if words else {}
    _write_start(folder, model, tokenizer, list(words), texts, old)
    about = GOING_ON.name, data, data_digest(train), model.config, recipe, name, before
    run = RunDescription(asked, *about)
    run.write(folder)
    return run


def _write_start(
    folder: Path,
    model: Pretrained,
    old: AnyTokenizer,
    words: list[str],
    texts: Mapping[str, Store | None],
    old_texts: Store | None,
) -> None:
    """What a run starts from: model, tokenizer, and texts that are cut anew."""
    new = old
    if words:
        pieces = [*old.vocabulary, *words]
        new = Tokenizer(pieces, old.lowercase, old.max_word_characters)
        with new_folder(folder / TEXTS) as partial:
            new.save_pretrained(partial / PIECES)
            for name, store in texts.items():
                if store is not None:
                    cut_anew(store, old, new, partial / name)
    if old_texts is not None:
        cut_anew(old_texts, old, new, folder / OLD_TEXTS)
    for place in (folder / START, folder / VOCABULARY):
        new.save_pretrained(place)
    model.save_pretrained(folder / START)


def _origin(name: str) -> tuple[Pretrained, AnyTokenizer]:
    """The model with its head for masked pieces alone, and its tokenizer."""
    files = model_files(name)
    place, kind = masked_lm_at(files)
    if kind.config_class is ElectraConfig:
        raise ValueError(
            f"{name} is an ELECTRA, of two models that were trained as one, and its "
            "files hold them apart; give --from a model of another family"
        )
    # Of two heads the one for pairs is left: texts of one's own are seldom documents.
    model = load_model(place, lambda family: family.masked_lm)
    tokenizer = load_tokenizer(files)
    check_rows(tokenizer, model.config.vocab_size)
    return model, tokenizer


def _prepared(
    name: str, data: Any, tokenizer: AnyTokenizer
) -> tuple[Store, Store | None]:
    """Texts to train on and held out, if the model's vocabulary has cut them."""
    how = f"bertcore prepare FILES --vocabulary {name} --out FOLDER"
    if data is None or not Path(data).expanduser().is_dir():
        raise ValueError(
            f"--from {name} goes on with texts that its vocabulary has cut, and "
            f"{f'{data} is no folder of such' if data else 'there are none'}; make one "
            f"with {how}, and give it to --data"
        )
    prepared = open_prepared(data)
    if prepared.train.manifest["vocabulary"] != vocabulary_digest(tokenizer):
        raise ValueError(
            f"{data} was prepared with another vocabulary than that of {name}; prepare "
            f"the texts again: {how}"
        )
    return prepared.train, prepared.held_out


def _old_texts(name: str, given: str | None, tokenizer: AnyTokenizer) -> Store | None:
    """Held-out texts of the kind that the model learnt from; None if none are known."""
    folder = Path(name).expanduser()
    if given is None and (folder / RUN).is_file():
        return RunDescription.read(folder).texts(folder).held_out
    if given is None and name == OUR_MODEL:
        try:
            return Store.of(find_texts("english").held_out, tokenizer)
        except FileNotFoundError as error:  # nobody asked for them
            warnings.warn(f"what is forgotten stays unknown: {error}", stacklevel=3)
    if given is None:
        return None
    if given in KINDS:
        return Store.of(find_texts(given).held_out, tokenizer)
    if Path(given).expanduser().is_dir():
        return held_out_store(Path(given).expanduser(), tokenizer)
    documents = read_documents(Path(given).expanduser())
    return Store.of((document.text for document in documents), tokenizer)


# New pieces --------------------------------------------------------------------------


def choose_new_pieces(
    store: Store, tokenizer: AnyTokenizer, count: int
) -> dict[str, list[int]]:
    """The words that save most tokens if each becomes a piece, with their old pieces.

    What a word saves is how often it comes, times the pieces that it then takes fewer.
    That a new piece may also begin a longer word is not counted. A word that is [UNK]
    has no pieces, so it is none of them.

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
        if times >= LEAST_OFTEN:
            saved[_spelt(old, tokenizer)] = times * (len(old) - 1), old
    if not 0 < count <= len(saved):
        remedy = f"give 1 to {len(saved)}" if saved else "leave it out"
        raise ValueError(
            f"new_pieces={count}, and the words that are cut into pieces and come "
            f"{LEAST_OFTEN} times or more in the texts are {len(saved):,}; {remedy}"
        )
    # By the word where two save as much, so that the order of the texts is no matter.
    best = sorted(saved, key=lambda word: (-saved[word][0], word))[:count]
    return {word: saved[word][1] for word in best}


def cut_anew(store: Store, old: AnyTokenizer, new: AnyTokenizer, folder: Path) -> Store:
    """Write a store again, with the ids of a tokenizer that has more pieces.

    They are the ids that the texts would get: how a word is cut depends on its letters
    alone, and its old pieces spell them. [UNK] stays.

    Args:
        new: the same one with more pieces after the others, or with none.
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


# What it learnt, and what it forgot --------------------------------------------------


def scores(
    model: nn.Module,
    tokenizer: AnyTokenizer,
    texts: Mapping[str, Store | None],
    length: int,
) -> dict[str, dict[str, Any]]:
    """How well a model predicts whole words of held-out texts, by the texts' names.

    The pieces of a word are predicted in turn, each with those before it in sight.

    Args:
        length: tokens of a text that the model sees.
    """
    device, found = find_device(), {}
    model.to(device)
    for name, store in texts.items():
        if store is not None:
            examples = window_examples(store, length)
            held_out = HeldOut(store, examples, tokenizer, _MOST, whole_words=True)
            found[name] = held_out.ask(model, device)._asdict()
    return found


def before_and_after(
    folder: Path, run: RunDescription, model: nn.Module, tokenizer: AnyTokenizer
) -> dict[str, dict[str, dict[str, Any]]]:
    """The scores of a run's origin and of what it has become, by the texts' names."""
    old = folder / OLD_TEXTS
    texts = {
        NEW: run.texts(folder).held_out,
        OLD: Store.open(old, tokenizer) if old.is_dir() else None,
    }
    after = scores(model, tokenizer, texts, run.recipe.length)
    before = run.before or {}
    return {name: {"before": before[name], "after": after[name]} for name in after}


def table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Lines with what came out, in bits for each character of the texts."""
    if not found:
        return []
    lines = [f"{'bits per character, whole words hidden':<40}before   after"]
    for name, each in found.items():
        before, after = (each[w]["bits_per_character"] for w in ("before", "after"))
        told = f"{after / before - 1:+.1%}"
        lines.append(f"  {f'held-out {name}':<38}{before:>6.3f}  {after:>6.3f}  {told}")
    if OLD not in found:
        lines.append("  what it has forgotten is not known: give --old-texts to see it")
    return lines
