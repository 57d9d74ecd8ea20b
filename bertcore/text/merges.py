"""Merges: a vocabulary learned from words, one piece at a time (chapter 1b).

Every word starts as single characters, all but the first marked `##`. Then, again and
again, the best pair of neighbours is glued into a new piece wherever it stands. What
"best" means is the criterion:

- `count`: the most frequent pair, as in byte-pair encoding (Sennrich et al. 2016) and
  in the WordPiece trainer of the tokenizers library.
- `likelihood`: the pair whose merge makes the texts most probable, if each piece is
  drawn on its own. The WordPiece papers speak of the likelihood under a language model
  and give no formula (Schuster and Nakajima 2012; Wu et al. 2016, section 4.1). BERT's
  own list was not made by merges (chapter 1b).
- `ratio`: count of the pair over the product of the counts of its parts. Many
  tutorials give it as WordPiece's rule. It is neither of the two.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import groupby, pairwise
from math import log
from typing import NamedTuple

from bertcore.text.characters import HALF, split_words
from bertcore.text.vocabulary import LONGEST_WORD, SPECIAL

Pair = tuple[int, int]
_MOST_CHUNKS = 1 << 20  # that are counted before they are split into words


class Merge(NamedTuple):
    """Two pieces that became one, how often they stood side by side, and the score."""

    left: str
    right: str
    piece: str
    count: int
    score: float


def pair_count(pair: int, left: int, right: int, total: int, same: bool) -> float:
    """How often the two pieces can be merged."""
    return pair


def likelihood_gain(pair: int, left: int, right: int, total: int, same: bool) -> float:
    """What the merge adds to the log-likelihood of the texts, in nats.

    The texts' probability is the product of the frequencies of their pieces, so that
    with counts c and their sum N its logarithm is Σ c log c - N log N. The merge turns
    `pair` occurrences of each part into `pair` of the new piece. (`same`: both parts
    are one piece, of which a merge takes two.)

    >>> round(likelihood_gain(pair=3, left=3, right=5, total=20, same=False), 3)
    5.089
    """
    if same:
        parts = _xlogx(left - 2 * pair) - _xlogx(left)
    else:
        parts = _xlogx(left - pair) - _xlogx(left)
        parts += _xlogx(right - pair) - _xlogx(right)
    return _xlogx(pair) + parts + _xlogx(total) - _xlogx(total - pair)


def ratio(pair: int, left: int, right: int, total: int, same: bool) -> float:
    """Count of the pair over the product of the counts of its parts."""
    return pair / (left * right)


CRITERIA: dict[str, Callable[[int, int, int, int, bool], float]] = {
    "count": pair_count,
    "likelihood": likelihood_gain,
    "ratio": ratio,
}


class WordSplits:
    """How each distinct word is cut at present, with an index from pairs to words.

    `pieces` lists the pieces by id; `counts` says how often each one stands in the
    texts, and `pairs` each two neighbours.
    """

    def __init__(self, words: Mapping[str, int]) -> None:
        self.pieces = alphabet(words)
        self.ids = {piece: id for id, piece in enumerate(self.pieces)}
        self.counts = [0] * len(self.pieces)
        self.pairs: dict[Pair, int] = defaultdict(int)
        self.found_in: dict[Pair, list[int]] = defaultdict(list)
        self.frequencies = list(words.values())
        inner = {piece[2:]: id for piece, id in self.ids.items()}  # "##x" by "x"
        self.words = [
            [self.ids[word[0]], *(inner[character] for character in word[1:])]
            for word in words
        ]
        for index, (word, frequency) in enumerate(
            zip(self.words, self.frequencies, strict=True)
        ):
            for id in word:
                self.counts[id] += frequency
            for pair in pairwise(word):
                self.pairs[pair] += frequency
                self.found_in[pair].append(index)
        self.total = sum(self.counts)

    def count(self, pair: Pair) -> int:
        """How often the pair can be merged: of three equal pieces in a row, once."""
        if pair[0] != pair[1] or pair not in self.pairs:
            return self.pairs.get(pair, 0)
        return sum(
            self.frequencies[index] * (len(list(run)) // 2)
            for index in set(self.found_in[pair])
            for id, run in groupby(self.words[index])
            if id == pair[0]
        )

    def merge(self, pair: Pair) -> tuple[int, set[Pair]]:
        """Glue the pair wherever it stands; the piece's id and its new neighbours."""
        left, right = pair
        piece = self.pieces[left] + self.pieces[right].removeprefix("##")
        if piece not in self.ids:  # "ab" + "##c" may have come before "a" + "##bc"
            self.ids[piece] = len(self.pieces)
            self.pieces.append(piece)
            self.counts.append(0)
        new = self.ids[piece]
        before: dict[int, list[int]] = defaultdict(list)
        after: dict[int, list[int]] = defaultdict(list)
        merged = 0
        for index in self.found_in.pop(pair):
            word = self.words[index]
            at, last = 0, len(word) - 1
            while at < last:
                if word[at] == left and word[at + 1] == right:
                    word[at : at + 2] = [new]
                    last -= 1
                    merged += self.frequencies[index]
                    if at:
                        before[word[at - 1]].append(index)
                    if at < last:
                        after[word[at + 1]].append(index)
                at += 1
        self.counts[left] -= merged
        self.counts[right] -= merged
        self.counts[new] += merged
        self.total -= merged
        risen = set()
        for other, words in before.items():
            risen.add(self._move((other, left), (other, new), words))
        for other, words in after.items():
            risen.add(self._move((right, other), (new, other), words))
        del self.pairs[pair]
        return new, risen

    def _move(self, old: Pair, new: Pair, words: list[int]) -> Pair:
        """In these words the neighbours `old` are now `new`."""
        moved = sum([self.frequencies[index] for index in words])
        self.pairs[old] -= moved
        self.pairs[new] += moved
        self.found_in[new] += words
        return new


def merges(
    words: Mapping[str, int], criterion: str = "likelihood", min_frequency: int = 2
) -> Iterator[Merge]:
    """The merges in the order in which they are made, until no pair is left.

    A heap holds every pair with the score it had when it was put there. A score that
    has fallen since is noticed when the pair comes up, and put back. One that has
    risen is pushed again at once: that can happen to pairs with the new piece, and, if
    the criterion looks at the parts, to pairs with a part that has become rarer.

    Args:
        words: how often each word occurs.
        criterion: "count", "likelihood" or "ratio".
        min_frequency: rarer pairs are left alone; 1 or more.

    Raises:
        ValueError: if there is no such criterion, or no such frequency.
    """
    score = score_of(criterion)
    check_whole_number("min_frequency", min_frequency, 1)
    cuts = WordSplits(words)
    pairs_with: dict[int, set[Pair]] = defaultdict(set)

    def worth(pair: Pair) -> float | None:
        """Minus the score, as the smallest entry of a heap comes first."""
        left, right = pair
        n, a, b = cuts.count(pair), cuts.counts[left], cuts.counts[right]
        enough = n >= min_frequency
        return -score(n, a, b, cuts.total, left == right) if enough else None

    def note(pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            pairs_with[pair[0]].add(pair)
            pairs_with[pair[1]].add(pair)

    if score is not pair_count:  # then it looks at the parts
        note(cuts.pairs)
    heap = [(now, pair) for pair in cuts.pairs if (now := worth(pair)) is not None]
    heapify(heap)
    while heap:
        stored, pair = heappop(heap)
        now = worth(pair)
        if now is None:
            continue
        if now > stored:
            heappush(heap, (now, pair))
            continue
        (left, right), count = pair, cuts.count(pair)
        new, risen = cuts.merge(pair)
        yield Merge(*(cuts.pieces[id] for id in (left, right, new)), count, -stored)
        if score is not pair_count:
            note(risen)
            risen = risen | pairs_with[left] | pairs_with[right]
        for pair in risen:
            if (now := worth(pair)) is not None:
                heappush(heap, (now, pair))


def alphabet(words: Iterable[str]) -> list[str]:
    """The pieces that training starts from: each character, bare and with `##`.

    Both forms of each, as in BERT's own vocabulary, although not every character
    begins a word here and goes on in one: so no word spelt with them is ever [UNK].

    >>> alphabet(["hug", "gun"])
    ['g', 'h', 'n', 'u', '##g', '##h', '##n', '##u']
    """
    characters = sorted(set("".join(words)))
    return [*characters, *("##" + character for character in characters)]


def score_of(criterion: str) -> Callable[[int, int, int, int, bool], float]:
    """The function of a criterion's name; ValueError if there is none."""
    if criterion not in CRITERIA:
        raise ValueError(
            f"criterion={criterion!r} is not known; give one of {', '.join(CRITERIA)}"
        )
    return CRITERIA[criterion]


def check_whole_number(name: str, value: object, least: int) -> None:
    """ValueError, with the argument's name, unless it is an int of `least` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}; give a whole number from {least}")


def _xlogx(x: int) -> float:
    return x * log(x) if x else 0.0


def learn_vocabulary(
    texts: Iterable[str],
    size: int,
    criterion: str = "likelihood",
    *,
    lowercase: bool = True,
    min_frequency: int = 2,
    alphabet_limit: int = 1000,
) -> Iterator[str]:
    """Yield a vocabulary for these texts: special tokens, characters, merged pieces.

    The same texts give the same vocabulary, always: ties go to the pair whose pieces
    came first. Words of more than 200 characters are left out.

    Args:
        texts: as many as you like; they are read once, one after the other.
        size: how many pieces the vocabulary shall have.
        criterion: "likelihood", as in the WordPiece papers; "count", as in byte-pair
            encoding; or "ratio".
        min_frequency: pairs seen less often are not merged.
        alphabet_limit: only words spelt with this many most frequent characters count.

    Raises:
        ValueError: if the size is too small for the characters, or too large for the
            texts, or if there is no such criterion.

    >>> list(learn_vocabulary(["hug hugs hugging", "bug bugs"], 22, "count"))[-3:]
    ['##ug', 'hug', 'bug']
    """
    score_of(criterion)
    check_whole_number("size", size, 1)
    check_whole_number("min_frequency", min_frequency, 1)
    check_whole_number("alphabet_limit", alphabet_limit, 1)
    words = _learnable(count_words(texts, lowercase), alphabet_limit)
    start = [*SPECIAL, *alphabet(words)]
    if size < len(start):
        raise ValueError(
            f"size={size} has no room for the {len(SPECIAL)} special tokens and the "
            f"{(len(start) - len(SPECIAL)) // 2} characters of these texts, each bare "
            f"and with ##; give size={len(start)} or more"
        )
    yield from start
    pieces = set(start)
    for merge in merges(words, criterion, min_frequency):
        if len(pieces) == size:
            return
        if merge.piece not in pieces:  # it may come up again, from other parts
            pieces.add(merge.piece)
            yield merge.piece
    if len(pieces) < size:
        raise ValueError(
            f"these texts give {len(pieces)} pieces, not size={size}: no other pair "
            f"of pieces occurs {min_frequency} times; give more text, "
            f"or size={len(pieces)}"
        )


def checked_texts(texts: Iterable[str]) -> Iterator[str]:
    """Each of the texts; ValueError if they are a single one, or something else."""
    if isinstance(texts, str):
        raise ValueError("texts is a single str; give a list of texts: [text]")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text is a str, not {type(text).__name__}")
        yield text


def count_words(texts: Iterable[str], lowercase: bool = True) -> Counter[str]:
    """How often each word occurs.

    Texts are first counted by what stands between spaces, because most of that
    repeats and is then split only once.

    Raises:
        ValueError: if `texts` is a single text, or holds something else than texts.
    """
    chunks: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for text in checked_texts(texts):
        chunks.update(text.split(" "))
        if len(chunks) > _MOST_CHUNKS:  # text without spaces, say: nothing repeats
            _count_split(chunks, words, lowercase)
            chunks.clear()
    _count_split(chunks, words, lowercase)
    return words


def _count_split(chunks: Counter[str], words: Counter[str], lowercase: bool) -> None:
    for chunk, count in chunks.items():
        for word in split_words(chunk, lowercase):
            words[word] += count


def _learnable(words: Mapping[str, int], alphabet_limit: int) -> dict[str, int]:
    """The words that are not too long and hold no rare character and no half of one."""
    kept = set("".join(words))
    if len(kept) > alphabet_limit:
        counts: Counter[str] = Counter()
        for word, count in words.items():
            for character in word:
                counts[character] += count
        # Ties go by the character, so that the same texts give the same alphabet.
        ranked = sorted(counts, key=lambda character: (-counts[character], character))
        kept = set(ranked[:alphabet_limit])
    kept = {character for character in kept if not HALF.match(character)}
    return {
        word: count
        for word, count in words.items()
        if len(word) <= LONGEST_WORD and kept.issuperset(word)
    }
