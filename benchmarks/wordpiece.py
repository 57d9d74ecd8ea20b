"""How fast are we beside the Rust library? On one core, in turn, in one process.

    python benchmarks/wordpiece.py                       print a table
    python benchmarks/wordpiece.py --card FILE.json      and record the run

The comparison only counts if the ids are the same, so that is checked first. A ratio
is the library's time over ours in the same round: above 1 we are faster. "Cold" is a
new tokenizer that has seen no text, "warm" the same one on the same texts again. French
is cut with the English vocabulary: many accents, and several pieces for each word.
"""

import os
from collections import defaultdict
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # before the library is loaded
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from measure import options, record, spread, timed
from tokenizers import BertWordPieceTokenizer
from tqdm import trange

from bertcore import Tokenizer
from bertcore.sources import ENCODER, find_file
from bertcore.text.corpora import introductions
from bertcore.text.wordpiece import train_tokenizer

SIZES = (8192, 30522)
LANGUAGES = {"en": "", "fr": ", French"}


def encoding_round(texts: list[str], mark: str, rounds: dict[str, list[float]]) -> None:
    """Both tokenizers cold and warm; the same ids, or no figure."""
    path = str(find_file(ENCODER, "vocab.txt"))
    library = BertWordPieceTokenizer(path, lowercase=True)
    # Two of ours: what one remembers must not help the other.
    ours, placing = Tokenizer.from_pretrained(path), Tokenizer.from_pretrained(path)
    ids_only = library._tokenizer.encode_batch_fast
    for state in (f"cold{mark}", f"warm{mark}"):
        mine, found = timed(lambda: [ours.encode(text) for text in texts])
        theirs_fast, same = timed(lambda: ids_only(texts))
        places, pieces = timed(lambda: [placing.encode_pieces(text) for text in texts])
        theirs, expected = timed(lambda: library.encode_batch(texts))
        check(found, pieces, expected, same)
        for what, seconds, reference in (
            ("ids", mine, theirs),
            ("ids, theirs without places", mine, theirs_fast),
            ("ids and places", places, theirs),
        ):
            rounds[f"{what}, {state}: library, s"].append(reference)
            rounds[f"{what}, {state}: ours, s"].append(seconds)
            rounds[f"{what}, {state}: ratio"].append(reference / seconds)


def check(found: list, pieces: list, expected: list, same: list) -> None:
    """The same ids from all, and the same places; or nothing is compared."""
    for ids, text, theirs, fast in zip(found, pieces, expected, same, strict=True):
        places = [(piece.start, piece.end) for piece in text]
        if not (ids == theirs.ids == fast.ids and places == theirs.offsets):
            raise SystemExit("ids or places differ: no comparison of speed makes sense")


def training_round(
    texts: list[str], size: int, rounds: dict[str, list[float]]
) -> float:
    """Both trainers; how much of the two vocabularies is the same."""
    library = BertWordPieceTokenizer(lowercase=True)
    theirs, _ = timed(
        lambda: library.train_from_iterator(texts, size, show_progress=False)
    )
    mine, ours = timed(lambda: train_tokenizer(texts, size, "count"))
    rounds[f"train {size}: library, s"].append(theirs)
    rounds[f"train {size}: ours, s"].append(mine)
    rounds[f"train {size}: ratio"].append(theirs / mine)
    return len(set(ours.vocabulary) & set(library.get_vocab())) / size


def main() -> None:
    """Run, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    corpus = introductions()
    by_language = {
        mark: [document.text for document in introductions(language).documents]
        for language, mark in LANGUAGES.items()
    }
    texts = by_language[""]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    rounds: dict[str, list[float]] = defaultdict(list)
    overlap = {}
    for _ in trange(given.rounds, leave=False):
        for mark, written in by_language.items():
            encoding_round(written, mark, rounds)
        for size in SIZES:
            overlap[f"train {size}: pieces in both, share"] = training_round(
                texts, size, rounds
            )
    print(f"{len(texts):,} texts, {megabytes:.2f} MB: {corpus.source}")
    results: dict[str, Any] = spread(rounds)
    for name, share in overlap.items():
        results[name] = round(share, 4)
        print(f"{name}: {share:.4f}")
    record(
        given.card,
        "WordPiece on one core, ours beside the tokenizers library, in turn; "
        "minimum, median and maximum of the rounds",
        f"{len(texts):,} texts, {megabytes:.2f} MB: {corpus.source}",
        results,
        packages=("tokenizers",),
        rounds=given.rounds,
        gate="all ids identical in every round",
    )


if __name__ == "__main__":
    main()
