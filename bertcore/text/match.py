"""Match: from words to ids, the longest piece first (chapter 1)."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from bertcore.text.characters import split_words, split_words_with_origins

T = TypeVar("T")

_REMEMBERED = 1 << 17  # chunks, and as many words; English prose needs most of it
_LONGEST_REMEMBERED = 40  # characters; what is longer hardly comes again


def longest_match(word: str, ids: Mapping[str, int]) -> list[int] | None:
    """From the left, always the longest piece in the vocabulary; None if none fits.

    >>> longest_match("headland", {"he": 0, "head": 1, "##land": 2, "##l": 3})
    [1, 2]
    """
    found = []
    rest, prefix = word, 0  # `prefix`: how many characters of `rest` are its "##"
    while len(rest) > prefix:
        for end in range(len(rest), prefix, -1):
            id = ids.get(rest[:end])
            if id is not None:
                break
        else:
            return None
        found.append(id)
        rest, prefix = "##" + rest[end:], 2
    return found


class Matcher:
    """The ids of whole texts, with a memory for what comes again and again."""

    def __init__(
        self,
        ids: Mapping[str, int],
        unk_id: int,
        lowercase: bool,
        max_word_characters: int,
    ) -> None:
        self.ids = ids
        self.unk_id = unk_id
        self.lowercase = lowercase
        self.max_word_characters = max_word_characters
        self._pieces = {id: piece for piece, id in ids.items()}
        self._chunks = _Memory(self._chunk_ids)
        self._places = _Memory(self._chunk_places)
        self._words = _Memory(self._word_ids)

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text, chunk by chunk.

        What stands between two spaces is cut alike wherever it stands: no rule looks
        past a space. So its ids are remembered.
        """
        ids: list[int] = []
        for chunk in text.split(" "):
            ids += self._chunks[chunk]
        return ids

    def text_places(self, text: str) -> Iterator[tuple[int, int, int]]:
        """The ids of a text, each with the place it stands for: id, start, end."""
        begin = 0
        for chunk in text.split(" "):
            for id, start, end in self._places[chunk]:
                yield id, begin + start, begin + end
            begin += len(chunk) + 1

    # What is remembered are tuples: smaller than lists, and no work for the garbage
    # collector.

    def _chunk_ids(self, chunk: str) -> tuple[int, ...]:
        words = split_words(chunk, self.lowercase)
        return tuple([id for word in words for id in self._words[word]])

    def _chunk_places(self, chunk: str) -> tuple[tuple[int, int, int], ...]:
        places = []
        for word, origins in split_words_with_origins(chunk, self.lowercase):
            begin = 0
            for id in self._words[word]:
                length = len(self._pieces[id]) - (2 if begin else 0)  # without its ##
                if id == self.unk_id:
                    length = len(word)
                covered = origins[begin : begin + length]
                places.append((id, min(covered), max(covered) + 1))
                begin += length
        return tuple(places)

    def _word_ids(self, word: str) -> tuple[int, ...]:
        """A word with any part unknown is [UNK] as a whole, and so is a long one."""
        if len(word) > self.max_word_characters:
            return (self.unk_id,)
        return tuple(longest_match(word, self.ids) or [self.unk_id])


class _Memory(dict[str, T]):
    """The answers of a rule, each worked out once; a full memory starts afresh."""

    def __init__(self, rule: Callable[[str], T]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, text: str) -> T:
        if len(self) >= _REMEMBERED:
            self.clear()
        answer = self.rule(text)
        if len(text) <= _LONGEST_REMEMBERED:
            self[text] = answer
        return answer
