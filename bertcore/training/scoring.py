"""Scoring: how likely a masked language model finds a text; BLiMP by that score.

The pseudo-log-likelihood of Salazar et al. 2020 (arXiv:1910.14659): each piece is
masked in turn, and the log-probabilities of what stood there are added up. That is no
probability of the text, because the predictions belong to no joint distribution; but of
two texts that differ little, the more acceptable one usually has the higher sum.

BLiMP asks how often it has (Warstadt et al. 2020, arXiv:1912.00582): 67 paradigms of
1,000 pairs of sentences that differ minimally, in twelve categories of English grammar.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, tee
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from bertcore.files import ending_of, read_records
from bertcore.model.inference import evaluation, states_at
from bertcore.model.variants.families import masked_lm_of
from bertcore.model.weights import Pretrained
from bertcore.sources import needs
from bertcore.tasks.loading import ON_HUB
from bertcore.text.documents import load
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.wordpiece import Piece
from bertcore.training.objectives import objective_class

WINDOW = 1 << 18  # tokens of masked copies that are sorted at a time, about
ROOM = {"cpu": 4096, "accelerator": 32768}  # tokens of a batch
_LOGITS = 1 << 25  # of a batch at most: 128 MiB, whatever the size of the vocabulary

# Whether piece j is masked while piece i is predicted; `words` has the number of each
# piece's word. With "original" the rest of a rare word gives a piece away, so that such
# words score too high: hence the second, which Kauf and Ivanova 2023 (arXiv:2305.10588)
# call PLL-word-l2r, and which they found better than the third.
MASKINGS: dict[str, Callable[[int, int, Sequence[int]], bool]] = {
    "original": lambda i, j, words: i == j,
    "within_word_l2r": lambda i, j, words: i <= j and words[i] == words[j],
    "whole_word": lambda i, j, words: words[i] == words[j],
}


class ScoredPiece(NamedTuple):
    """A piece, its place in the text, its word's number, and its log-probability."""

    piece: str
    start: int
    end: int
    word: int
    log_probability: float  # in nats


class TextScore(NamedTuple):
    """A text and the scores of its pieces."""

    text: str
    pieces: list[ScoredPiece]

    @property
    def total(self) -> float:
        """The pseudo-log-likelihood of the text, in nats."""
        return sum(piece.log_probability for piece in self.pieces)

    @property
    def words(self) -> list[tuple[str, list[ScoredPiece]]]:
        """Each word as it stands in the text, with its pieces."""
        groups = (list(g) for _, g in groupby(self.pieces, lambda piece: piece.word))
        return [(self.text[g[0].start : g[-1].end], g) for g in groups]

    def as_object(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "text": self.text,
            "total": self.total,
            "words": [
                {"word": word, "log_probability": sum(p.log_probability for p in group)}
                for word, group in self.words
            ],
            "pieces": [piece._asdict() for piece in self.pieces],
        }


def score_texts(
    texts: Iterable[str],
    model: Pretrained,
    tokenizer: AnyTokenizer,
    masking: str = "original",
) -> Iterator[TextScore]:
    """The score of each text, in order, for more texts than fit into memory.

    Args:
        texts: any number; a list, or what yields them.
        model: of any family, with a head for masked pieces.
        masking: one of `MASKINGS`, which says what is masked with a piece.

    Raises:
        ValueError: at once, if the model has no such head, or there is no such masking;
            later, naming the text, if it is none, or too long for the model.
    """
    if isinstance(texts, (str, bytes, Mapping)):
        raise ValueError(
            f"texts is a {type(texts).__name__}; give a list, also for one: [text]"
        )
    placed = ((f"text {number}", text) for number, text in enumerate(texts, 1))
    return score_placed(placed, model, tokenizer, masking)


def score_placed(
    placed: Iterable[tuple[str, str]],
    model: Pretrained,
    tokenizer: AnyTokenizer,
    masking: str = "original",
) -> Iterator[TextScore]:
    """What `score_texts` gives, of texts with what a message calls each of them."""
    if masking not in MASKINGS:
        raise ValueError(f"masking={masking!r}; give {', '.join(MASKINGS)}")
    objective_class(model)  # or it says that there is no head
    return _scored(iter(placed), masked_lm_of(model), tokenizer, masking)


def _scored(
    placed: Iterator[tuple[str, str]],
    model: Pretrained,
    tokenizer: AnyTokenizer,
    masking: str,
) -> Iterator[TextScore]:
    hidden = MASKINGS[masking]
    for window in _windows(placed, tokenizer, model.config.max_positions):
        copies: dict[Copy, list[Target]] = {}
        count = 0
        for _, pieces, words in window:
            ids = [piece.id for piece in pieces]
            for i in range(len(ids)):
                shown = (
                    tokenizer.mask_id if hidden(i, j, words) else id
                    for j, id in enumerate(ids)
                )
                # Texts that differ in one word have a copy in common: it is run once.
                copy = Copy((tokenizer.cls_id, *shown, tokenizer.sep_id), i + 1)
                copies.setdefault(copy, []).append(Target(count + i, ids[i]))
            count += len(pieces)
        found = iter(_log_probabilities(model, copies, count))
        for text, pieces, words in window:
            scored = [
                ScoredPiece(piece.piece, piece.start, piece.end, word, next(found))
                for piece, word in zip(pieces, words, strict=True)
            ]
            yield TextScore(text, scored)


class Copy(NamedTuple):
    """A text with [MASK] in it, and the column that is predicted."""

    ids: tuple[int, ...]
    column: int


class Target(NamedTuple):
    """The number of a piece among those of all texts, and its id."""

    number: int
    id: int


def _windows(
    placed: Iterator[tuple[str, str]], tokenizer: AnyTokenizer, positions: int
) -> Iterator[list[tuple[str, list[Piece], list[int]]]]:
    """Texts with their pieces and words, as many as a window holds."""
    window, tokens = [], 0
    for place, text in placed:
        try:
            pieces = _pieces(text, tokenizer, positions)
        except ValueError as error:
            raise ValueError(f"{place} {error}") from error
        window.append((text, pieces, tokenizer.words(text)))
        tokens += len(pieces) ** 2
        if tokens > WINDOW:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _pieces(text: str, tokenizer: AnyTokenizer, positions: int) -> list[Piece]:
    """The pieces of a text; ValueError if it cannot be scored."""
    if not isinstance(text, str):
        raise ValueError(f"is a {type(text).__name__}; give a str")
    for mask in ("[MASK]", tokenizer.vocabulary[tokenizer.mask_id]):
        if mask in text:
            raise ValueError(
                f"holds {mask}; give whole sentences: each piece is masked in turn"
            )
    pieces = tokenizer.pieces(text)
    if not pieces:
        raise ValueError("is empty; give a sentence")
    if len(pieces) + 2 > positions:
        raise ValueError(
            f"has {len(pieces) + 2} tokens, and the model {positions} positions; give "
            "a shorter one"
        )
    return pieces


@torch.inference_mode()
def _log_probabilities(
    model: Pretrained, copies: Mapping[Copy, list[Target]], count: int
) -> list[float]:
    """Of each target, by its number: in batches of one length, so without padding."""
    device = next(model.parameters()).device
    room = ROOM["cpu" if device.type == "cpu" else "accelerator"]
    most = max(1, _LOGITS // model.config.vocab_size)
    found = [0.0] * count
    by_length = sorted(copies, key=lambda copy: len(copy.ids))
    with evaluation(model):
        for length, group in groupby(by_length, lambda copy: len(copy.ids)):
            same = list(group)
            size = min(most, max(1, room // length))
            for start in range(0, len(same), size):
                batch = same[start : start + size]
                logits = _logits(model, batch, device)
                asked = [(r, t) for r, copy in enumerate(batch) for t in copies[copy]]
                rows = torch.tensor([row for row, _ in asked], device=device)
                ids = torch.tensor([target.id for _, target in asked], device=device)
                values = logits[rows, ids] - logits.logsumexp(dim=-1)[rows]
                for (_, target), value in zip(asked, values.tolist(), strict=True):
                    found[target.number] = value
    return found


def _logits(model: Pretrained, batch: list[Copy], device: torch.device) -> Tensor:
    """Over the vocabulary, `b v`: the last layer and the head see one column a row."""
    ids = torch.tensor([copy.ids for copy in batch], device=device)
    columns = torch.tensor([[copy.column] for copy in batch], device=device)
    states = states_at(model.bert, columns, ids)[:, 0]
    return model.mlm_head(states, model.bert.embeddings.token.weight).float()


# BLiMP -------------------------------------------------------------------------------

BLIMP_ON_HUB = "nyu-mll/blimp"
FIELDS = "UID", "linguistics_term", "sentence_good", "sentence_bad"
SAMPLE = 20  # pairs of each paradigm for the card of a run
LEVEL = 0.95  # of the intervals
# The files have a thirteenth term; the paper's argument structure holds its paradigms.
_TERMS = {"s-selection": "argument_structure"}
_PAIRS_SEED = 0  # of the pairs that are drawn


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
    source: str | Path = BLIMP_ON_HUB, pairs_per_paradigm: int | None = None
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
            # Whatever other paradigms there are.
            draw = random.Random(f"{_PAIRS_SEED} {name}")
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
