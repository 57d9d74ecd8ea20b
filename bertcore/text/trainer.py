"""Trainer: from texts to a vocabulary (chapter 1)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from bertcore.text.characters import split_words
from bertcore.text.merges import alphabet, check_whole_number, merges, score_of
from bertcore.text.vocabulary import LONGEST_WORD, SPECIAL

_MANY = 1 << 20  # chunks that are kept at a time


def learn(
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
        lowercase: True for an uncased vocabulary.
        min_frequency: pairs seen less often are not merged.
        alphabet_limit: only words spelt with this many most frequent characters count.

    Raises:
        ValueError: if the size is too small for the characters, or too large for the
            texts, or if there is no such criterion.

    >>> list(learn(["hug hugs hugging", "bug bugs"], 22, "count"))[-3:]
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
            f"and with ##; give {len(start)} or more, or a smaller alphabet_limit"
        )
    yield from start
    known = set(start)
    for merge in merges(words, criterion, min_frequency):
        if len(known) == size:
            return
        if merge.piece not in known:  # it may come up again, from other parts
            known.add(merge.piece)
            yield merge.piece
    if len(known) < size:
        raise ValueError(
            f"these texts give {len(known)} pieces, not size={size}: no other pair "
            f"of pieces occurs min_frequency={min_frequency} times; give more text, a "
            "lower min_frequency, or a smaller size"
        )


def count_words(texts: Iterable[str], lowercase: bool = True) -> Counter[str]:
    """How often each word occurs.

    Texts are first counted by what stands between spaces, because most of that
    repeats and is then split only once.

    Raises:
        ValueError: if `texts` is a single text, or holds something else than texts.
    """
    if isinstance(texts, str):
        raise ValueError("texts is a single str; give a list of texts: [text]")
    chunks: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text is a str, not {type(text).__name__}")
        chunks.update(text.split(" "))
        if len(chunks) > _MANY:  # text without spaces, say: nothing repeats
            _count_split(chunks, words, lowercase)
            chunks.clear()
    _count_split(chunks, words, lowercase)
    return words


def _count_split(chunks: Counter[str], words: Counter[str], lowercase: bool) -> None:
    for chunk, count in chunks.items():
        for word in split_words(chunk, lowercase):
            words[word] += count


def _learnable(words: Mapping[str, int], alphabet_limit: int) -> dict[str, int]:
    """Without the words that hold a rare character, half of one, or too many."""
    kept = set("".join(words))
    if len(kept) > alphabet_limit:
        seen: Counter[str] = Counter()
        for word, count in words.items():
            for character in word:
                seen[character] += count
        ranked = sorted(seen, key=lambda character: (-seen[character], character))
        kept = set(ranked[:alphabet_limit])
    kept = set(filter(_is_text, kept))
    return {
        word: count
        for word, count in words.items()
        if len(word) <= LONGEST_WORD and kept.issuperset(word)
    }


def _is_text(character: str) -> bool:
    """Not half of a surrogate pair, which no file in UTF-8 can hold."""
    return not "\ud800" <= character <= "\udfff"
