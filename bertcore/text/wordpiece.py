"""WordPiece: raw text to pieces and ids, as BERT's own tokenizer does (chapter 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from bertcore.text.characters import split_words, split_words_with_origins
from bertcore.text.vocabulary import (
    SPECIAL,
    check_vocabulary,
    load_vocabulary,
    save_vocabulary,
)

if TYPE_CHECKING:
    from torch import Tensor

_REMEMBERED_WORDS = 1 << 18  # about 50 MB; English prose needs a tenth of it


class Piece(NamedTuple):
    """A piece, its id, and the characters of the text it stands for."""

    piece: str
    id: int
    start: int
    end: int


class Tokenizer:
    """Raw text to ids with a given vocabulary, and back.

    The reference is google-research/bert tokenization.py. A word longer than
    `max_word_characters` becomes [UNK]: 200 there, 100 in the transformers library.
    Text that looks like a special token, such as "[SEP]", is read as plain text.

    >>> pieces = [*SPECIAL, "un", "##believ", "##able", "!"]
    >>> tokenizer = Tokenizer(pieces)
    >>> tokenizer.tokenize("Unbelievable!")
    ['un', '##believ', '##able', '!']
    >>> tokenizer.encode("Unbelievable!")
    [2, 5, 6, 7, 8, 3]
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        lowercase: bool = True,
        max_word_characters: int = 200,
    ) -> None:
        self.vocabulary = list(vocabulary)
        self.lowercase = lowercase
        self.max_word_characters = max_word_characters
        self.ids = {piece: id for id, piece in enumerate(self.vocabulary)}
        check_vocabulary(self.vocabulary, self.ids)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self.ids[piece] for piece in SPECIAL
        )
        self._known: dict[str, list[int]] = {}

    @classmethod
    def from_pretrained(
        cls,
        folder_or_vocab_file: str | Path,
        lowercase: bool | None = None,
        max_word_characters: int = 200,
    ) -> Self:
        """The tokenizer of a checkpoint (a folder or a hub name) or of a `vocab.txt`.

        Args:
            folder_or_vocab_file: where the vocabulary is, one piece a line.
            lowercase: True for an uncased model. By default what
                `tokenizer_config.json` says; without one, True unless the
                vocabulary itself holds upper-case letters.
            max_word_characters: longer words become [UNK].

        Raises:
            FileNotFoundError: if there is no such checkpoint or file.
            ValueError: if the file is not a WordPiece vocabulary.
        """
        pieces, lowercase = load_vocabulary(folder_or_vocab_file, lowercase)
        return cls(pieces, lowercase, max_word_characters)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `vocab.txt` and `tokenizer_config.json`, as transformers reads them."""
        save_vocabulary(folder, self.vocabulary, self.lowercase)

    def __repr__(self) -> str:
        case = "uncased" if self.lowercase else "cased"
        return f"Tokenizer({len(self)} pieces, {case})"

    def __len__(self) -> int:
        return len(self.vocabulary)

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text, without special tokens."""
        return [self.vocabulary[id] for id in self._text_ids(text)]

    def encode(
        self, text: str, pair: str | None = None, max_length: int | None = None
    ) -> list[int]:
        """`[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`, as ids.

        Special tokens written in a text are cut like any text; to mask a piece, put
        `mask_id` into the ids. A pair without pieces counts as none. With `max_length`
        the longer of the two loses its last pieces first, the pair on a tie
        (google-research/bert run_classifier.py, `convert_single_example` and
        `_truncate_seq_pair`).
        """
        first, second = self._segments(text, pair, max_length)
        return first + second

    def pieces(self, text: str) -> list[Piece]:
        """The pieces of a text with their place in it: `text[start:end]`."""
        _check_text(text)
        return [
            Piece(self.vocabulary[id], id, min(covered), max(covered) + 1)
            for word, origins in split_words_with_origins(text, self.lowercase)
            for id, covered in self._cover(word, origins)
        ]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Ids back to text: continuation pieces glued on, words apart by a space.

        Case, accents and spacing that encoding dropped do not come back; `pieces`
        knows where in the original each piece stood.

        Raises:
            ValueError: if an id is not in the vocabulary.
        """
        pieces = [self._piece(int(id)) for id in ids]
        if skip_special_tokens:
            pieces = [piece for piece in pieces if piece not in SPECIAL]
        return " ".join(pieces).replace(" ##", "")

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        max_length: int | None = None,
    ) -> dict[str, Tensor]:
        """A padded batch, ready for `Bert`: three tensors, `b s` each.

        Returns:
            `input_ids`; `token_type_ids`, 0 for the first segment and for padding,
            1 for the second; `attention_mask`, 1 for a token and 0 for padding.
        """
        from bertcore.text.batch import padded  # the only use of torch in here

        texts = [texts] if isinstance(texts, str) else list(texts or [])
        pairs = [pairs] if isinstance(pairs, str) else pairs
        if not texts:
            raise ValueError("no texts: an empty batch; give at least one text")
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(
                f"{len(texts)} texts but {len(pairs)} pairs; give each text its pair"
            )
        rows = [
            self._segments(text, pair, max_length)
            for text, pair in zip(texts, pairs or [None] * len(texts), strict=True)
        ]
        return padded(rows, self.pad_id)

    def _cover(self, word: str, origins: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Each id of a word with the characters it stands for."""
        begin = 0
        for id in self._word_ids(word):
            length = len(self.vocabulary[id]) - (2 if begin else 0)  # less its "##"
            if id == self.unk_id:
                length = len(word)
            yield id, origins[begin : begin + length]
            begin += length

    def _piece(self, id: int) -> str:
        if not 0 <= id < len(self):
            raise ValueError(
                f"id {id} is not in this vocabulary of {len(self)} pieces "
                f"(0 to {len(self) - 1}); decode with the tokenizer that encoded"
            )
        return self.vocabulary[id]

    def _segments(
        self, text: str, pair: str | None, max_length: int | None
    ) -> tuple[list[int], list[int]]:
        """The two segments with their special tokens; the second may be empty."""
        first = self._text_ids(text)
        second = [] if pair is None else self._text_ids(pair)
        special = 3 if second else 2
        if max_length is not None:
            if max_length < special + 1:
                raise ValueError(
                    f"max_length={max_length} leaves no room for a piece beside the "
                    f"{special} special tokens; give {special + 1} or more"
                )
            _truncate(first, second, max_length - special)
        first = [self.cls_id, *first, self.sep_id]
        return first, [*second, self.sep_id] if second else []

    def _text_ids(self, text: str) -> list[int]:
        _check_text(text)
        ids: list[int] = []
        for word in split_words(text, self.lowercase):
            known = self._known.get(word)
            ids += self._word_ids(word) if known is None else known
        return ids

    def _word_ids(self, word: str) -> list[int]:
        """The ids of a word; one with any part unknown is [UNK] as a whole."""
        if len(word) > self.max_word_characters:
            return [self.unk_id]
        if len(self._known) >= _REMEMBERED_WORDS:
            self._known.clear()
        self._known[word] = ids = longest_match(word, self.ids) or [self.unk_id]
        return ids


def longest_match(word: str, ids: Mapping[str, int]) -> list[int] | None:
    """From the left, always the longest piece in the vocabulary; None if none fits.

    >>> longest_match("headland", {"he": 0, "head": 1, "##land": 2, "##l": 3})
    [1, 2]
    """
    found = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            id = ids.get(prefix + word[start:end])
            if id is not None:
                break
        else:
            return None
        found.append(id)
        start = end
    return found


def _truncate(first: list[int], second: list[int], room: int) -> None:
    """Shorten in place, the longer one first, the second on a tie."""
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise ValueError(
            f"a text is a str, not {type(text).__name__}; "
            "for several texts call the tokenizer itself: tokenizer(texts)"
        )
