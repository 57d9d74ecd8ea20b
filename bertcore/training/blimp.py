"""BLiMP: how often a model prefers the acceptable sentence of two.

Warstadt et al. 2020 (arXiv:1912.00582): 67 paradigms of 1,000 pairs of sentences that
differ minimally, in twelve categories of English grammar. Nothing is fine-tuned.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import tee
from pathlib import Path
from typing import Any, NamedTuple, Self

from bertcore.files import ending_of, read_records
from bertcore.model.weights import Pretrained
from bertcore.sources import needs
from bertcore.tasks.loading import ON_HUB
from bertcore.text.documents import load
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.training.scoring import score_placed

HUB = "nyu-mll/blimp"
FIELDS = "UID", "linguistics_term", "sentence_good", "sentence_bad"
SAMPLE = 20  # pairs of each paradigm for the card of a run
LEVEL = 0.95  # of the intervals
# The files have a thirteenth term; the paper's argument structure holds its paradigms.
_TERMS = {"s-selection": "argument_structure"}
_SEED = 0  # of the pairs that are drawn


class MinimalPair(NamedTuple):
    """Two sentences of a paradigm, and the place where they were read."""

    paradigm: str
    term: str
    good: str
    bad: str
    place: str


class MinimalPairs(NamedTuple):
    """Pairs, how many were left out as their sentences are equal, and their source."""

    pairs: list[MinimalPair]
    equal: int
    source: str


class Share(NamedTuple):
    """How many pairs there are, and in how many the better sentence is preferred."""

    right: int
    pairs: int

    @property
    def percent(self) -> list[float]:
        """The lower end of Wilson's 95 % interval, the share, and the upper end."""
        test = needs("scipy.stats", "an interval").binomtest(self.right, self.pairs)
        low, high = test.proportion_ci(LEVEL, method="wilson")
        return [round(100 * float(x), 2) for x in (low, self.right / self.pairs, high)]


class BlimpScores(NamedTuple):
    """The shares of paradigms and of categories, and the number of ties.

    A tie is a pair whose sentences have the same score, such as those that are the same
    pieces to the model. It counts as wrong.
    """

    paradigms: dict[str, Share]
    terms: dict[str, Share]
    ties: int

    @classmethod
    def of(cls, judged: Iterable[tuple[MinimalPair, float]]) -> Self:
        """What comes out of pairs that `judge` has judged."""
        paradigms: dict[str, list[float]] = {}
        terms: dict[str, list[float]] = {}
        for pair, margin in judged:
            paradigms.setdefault(pair.paradigm, []).append(margin)
            terms.setdefault(pair.term, []).append(margin)
        ties = sum(margins.count(0.0) for margins in terms.values())
        return cls(*(_shares(margins) for margins in (paradigms, terms)), ties)

    @property
    def overall(self) -> Share:
        """Of all pairs, each of which counts the same."""
        return Share(*map(sum, zip(*self.terms.values(), strict=True)))

    def results(self) -> dict[str, Any]:
        """For a card: in percent, with the ends of the intervals round each share."""
        return {
            "overall": self.overall.percent,
            "pairs": self.overall.pairs,
            "ties": self.ties,
            **{term: share.percent for term, share in self.terms.items()},
            "paradigms": {
                name: round(100 * share.right / share.pairs, 1)
                for name, share in self.paradigms.items()
            },
        }


def _shares(margins: Mapping[str, list[float]]) -> dict[str, Share]:
    return {
        name: Share(sum(margin > 0 for margin in found), len(found))
        for name, found in sorted(margins.items())
    }


def read_pairs(
    source: str | Path = HUB, pairs_per_paradigm: int | None = None
) -> MinimalPairs:
    """Minimal pairs, paradigm after paradigm.

    Args:
        source: a file of rows, as `bertcore.files.read_records` reads them, such as
            .jsonl.xz; a folder of .jsonl or .parquet files, perhaps in folders; or a
            data set of the hub in the form of BLiMP's.
        pairs_per_paradigm: drawn at random, always the same; by default all.

    Raises:
        FileNotFoundError: if there is no such source, or the hub cannot be reached.
        ValueError: if a pair lacks a field or a sentence, or there are no pairs.
    """
    if pairs_per_paradigm is not None and pairs_per_paradigm < 1:
        raise ValueError(f"pairs_per_paradigm={pairs_per_paradigm}; give 1 or more")
    path = Path(source).expanduser()
    records = _in_files(path) if path.exists() else _on_hub(str(source))
    paradigms: dict[str, list[MinimalPair]] = {}
    equal = 0
    for place, record in records:
        pair = _pair(place, record)
        if pair.good == pair.bad:  # as in 7 of BLiMP's own: nothing can be preferred
            equal += 1
        else:
            paradigms.setdefault(pair.paradigm, []).append(pair)
    if not paradigms:
        raise ValueError(f"{source} holds no minimal pairs; give BLiMP's files")
    for name, pairs in paradigms.items():
        if pairs_per_paradigm is not None and pairs_per_paradigm < len(pairs):
            draw = random.Random(
                f"{_SEED} {name}"
            )  # whatever other paradigms there are
            paradigms[name] = draw.sample(pairs, pairs_per_paradigm)
    kept = [pair for pairs in paradigms.values() for pair in pairs]
    return MinimalPairs(kept, equal, f"BLiMP (Warstadt et al. 2020), {path.name}")


def _in_files(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    files = [path]
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        files = [each for each in inside if ending_of(each) in (".jsonl", ".parquet")]
    for file in files:
        yield from read_records(file)


def _on_hub(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A config of the data set is a paradigm."""
    if not ON_HUB.fullmatch(name):
        raise FileNotFoundError(f"no file or folder {name}; check the path")
    library = needs("datasets", f"reading {name}")
    try:
        configs = library.get_dataset_config_names(name)
    except OSError as error:  # and the library's own, which are such ones
        raise FileNotFoundError(
            f"no file or folder {name}, and the hub does not give it "
            f"({str(error).splitlines()[0]}); give a folder of BLiMP's .jsonl files"
        ) from error
    for config in configs:
        rows = load(name, config, "train", streaming=False)
        for number, row in enumerate(rows, 1):
            yield f"{name}, {config}, row {number}", row


def _pair(place: str, record: dict[str, Any]) -> MinimalPair:
    """ValueError if it lacks a field, or a sentence is blank."""
    for name in FIELDS:
        value = record.get(name) or ""
        if isinstance(value, str) and value.strip():
            continue
        fault = f"no {name!r}"
        if name in record:
            fault = f"{name!r} {'is empty' if isinstance(value, str) else 'is no text'}"
        raise ValueError(f"{place}: {fault}; a pair has the texts {', '.join(FIELDS)}")
    paradigm, term, good, bad = (record[name] for name in FIELDS)
    term = _TERMS.get(term, term).lower().replace("_", " ")
    return MinimalPair(paradigm, term, good, bad, place)


def judge(
    pairs: Iterable[MinimalPair],
    model: Pretrained,
    tokenizer: AnyTokenizer,
    masking: str = "original",
) -> Iterator[tuple[MinimalPair, float]]:
    """Each pair with how much higher the better sentence scores, in nats; 0 is a tie.

    Args:
        pairs: those of `read_pairs`.
        model: of any family, with a head for masked pieces.
        tokenizer: that of the model.
        masking: as for `score_texts`.

    Raises:
        ValueError: as `score_texts` does, naming the place of the pair.
    """
    pairs, kept = tee(pairs)
    sentences = ((p.place, text) for p in pairs for text in (p.good, p.bad))
    scores = score_placed(sentences, model, tokenizer, masking)
    for good, bad in zip(scores, scores, strict=True):
        # The same pieces in batches of two sizes may differ by rounding.
        same = [p.piece for p in good.pieces] == [p.piece for p in bad.pieces]
        yield next(kept), 0.0 if same else good.total - bad.total
