"""WordPiece: raw text to pieces and ids, as BERT's own tokenizer does (chapter 1)."""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from bertcore.text.characters import keeps_places, origins, split_words
from bertcore.text.merges import learn_vocabulary
from bertcore.text.vocabulary import (
    LONGEST_WORD,
    SPECIAL,
    Vocabulary,
    check_settings,
    check_vocabulary,
    load_vocabulary,
    save_vocabulary,
)

if TYPE_CHECKING:
    from torch import Tensor

_SPECIAL = re.compile(f"({'|'.join(map(re.escape, SPECIAL))})")
T = TypeVar("T")
_REMEMBERED = 1 << 17  # chunks, and as many words; English prose needs most of it
_LONGEST_REMEMBERED = 40  # characters; what is longer hardly comes again


class Piece(NamedTuple):
    """A piece, its id, the characters of the text it stands for, and its segment.

    A special token that was added, not written in the text, has the empty place 0, 0.
    """

    piece: str
    id: int
    start: int
    end: int
    segment: int = 0


class BaseTokenizer(ABC):
    """What a tokenizer makes of `pieces`: ids in their frame, and padded batches.

    A subclass has the attributes below, and says how a text is cut.
    """

    vocabulary: list[str]
    pad_id: int
    cls_id: int
    sep_id: int
    separators: int  # between the two texts of a pair
    second: int  # the segment of the second text: 0 if the model tells none apart

    @abstractmethod
    def pieces(self, text: str, parse_special: bool = False) -> list[Piece]:
        """The pieces of a text with their place in it: `text[start:end]`."""

    @abstractmethod
    def words(self, text: str) -> list[int]:
        """The number of each piece's word, from 0: what is cut into pieces alone."""

    @abstractmethod
    def _text_ids(self, text: str, parse_special: bool) -> list[int]:
        """The ids of the pieces alone, which is faster."""

    def __len__(self) -> int:
        return len(self.vocabulary)

    def tokenize(self, text: str, parse_special: bool = False) -> list[str]:
        """The pieces of a text, without special tokens added."""
        return [self.vocabulary[id] for id in self._text_ids(text, parse_special)]

    def encode(
        self,
        text: str,
        pair: str | None = None,
        max_length: int | None = None,
        parse_special: bool = False,
    ) -> list[int]:
        """`[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`, as ids.

        A pair without pieces counts as none. With `max_length` the longer of the two
        loses its last pieces first, the pair on a tie (google-research/bert
        run_classifier.py, `convert_single_example` and `_truncate_seq_pair`).
        """
        first, second = self._segments(text, pair, max_length, parse_special)
        return first + second

    def encode_pieces(
        self,
        text: str,
        pair: str | None = None,
        max_length: int | None = None,
        parse_special: bool = False,
    ) -> list[Piece]:
        """What `encode` gives, each id with its place in its own text, and segment."""
        first = self.pieces(text, parse_special)
        second = [] if pair is None else self.pieces(pair, parse_special)
        cls, sep = (
            Piece(self.vocabulary[i], i, 0, 0) for i in (self.cls_id, self.sep_id)
        )
        first, second = with_special_tokens(
            first, second, cls, sep, max_length, self.separators
        )
        return first + [piece._replace(segment=self.second) for piece in second]

    def __call__(
        self,
        texts: str | Iterable[str],
        pairs: str | Iterable[str] | None = None,
        max_length: int | None = None,
        parse_special: bool = False,
    ) -> dict[str, Tensor]:
        """A padded batch, ready for `Bert`: three tensors, `b s` each.

        Args:
            texts: one, or any number in order: a list, a column of a table, what yields
                them one after another.

        Returns:
            `input_ids`; `token_type_ids`, 0 for the first segment and for padding,
            1 for the second; `attention_mask`, 1 for a token and 0 for padding.

        Raises:
            ValueError: if there are no texts, or not as many pairs, or if they are no
                texts.
        """
        from bertcore.text.batch import padded  # the only use of torch in here

        texts = _listed("texts", () if texts is None else texts)
        pairs = None if pairs is None else _listed("pairs", pairs)
        if not texts:
            raise ValueError("no texts: an empty batch; give at least one text")
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(
                f"{len(texts)} texts but {len(pairs)} pairs; give each text its pair"
            )
        rows = [
            self._segments(text, pair, max_length, parse_special)
            for text, pair in zip(texts, pairs or [None] * len(texts), strict=True)
        ]
        if not self.second:
            rows = [(first + second, []) for first, second in rows]
        return padded(rows, self.pad_id)

    def _segments(
        self, text: str, pair: str | None, max_length: int | None, parse_special: bool
    ) -> tuple[list[int], list[int]]:
        """The two segments with their special tokens; the second may be empty."""
        first = self._text_ids(text, parse_special)
        second = [] if pair is None else self._text_ids(pair, parse_special)
        return with_special_tokens(
            first, second, self.cls_id, self.sep_id, max_length, self.separators
        )


class Tokenizer(BaseTokenizer):
    """Raw text to ids with a given vocabulary, and back.

    The reference is google-research/bert tokenization.py. A word longer than
    `max_word_characters` becomes [UNK]: 200 there, 100 in the transformers library.
    Text that looks like a special token, such as "[SEP]", is read as plain text,
    unless a method is told to `parse_special`: only for texts that you wrote yourself.

    >>> pieces = [*SPECIAL, "un", "##believ", "##able", "!"]
    >>> tokenizer = Tokenizer(pieces)
    >>> tokenizer.tokenize("Unbelievable!")
    ['un', '##believ', '##able', '!']
    >>> tokenizer.encode("Unbelievable!")
    [2, 5, 6, 7, 8, 3]
    """

    separators = second = 1

    def __init__(
        self,
        vocabulary: Sequence[str],
        lowercase: bool = True,
        max_word_characters: int = LONGEST_WORD,
    ) -> None:
        check_settings(lowercase, max_word_characters)
        self.vocabulary = list(vocabulary)
        self.lowercase = lowercase
        self.max_word_characters = max_word_characters
        self.ids = {piece: id for id, piece in enumerate(self.vocabulary)}
        check_vocabulary(self.vocabulary, self.ids)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self.ids[piece] for piece in SPECIAL
        )
        self._matcher = Matcher(self.ids, self.unk_id, lowercase, max_word_characters)

    @classmethod
    def from_pretrained(
        cls,
        folder_or_vocab_file: str | Path,
        lowercase: bool | None = None,
        max_word_characters: int | None = None,
    ) -> Self:
        """The tokenizer of a checkpoint, of a `vocab.txt` or of a `tokenizer.json`.

        Args:
            folder_or_vocab_file: a folder, a hub name or a file.
            lowercase: True for an uncased model. By default what the files say; if
                they say nothing, True unless the vocabulary itself holds capitals.
            max_word_characters: longer words become [UNK]. By default what was
                saved, or 200.

        Raises:
            FileNotFoundError: if there is no such checkpoint or file.
            ValueError: if the file is not a WordPiece vocabulary, or asks for more than
                this class has, such as added tokens.
        """
        read = load_vocabulary(folder_or_vocab_file, lowercase, max_word_characters)
        if read.beyond:
            raise ValueError(
                f"{folder_or_vocab_file} has {read.beyond}, which Tokenizer has not; "
                "read it with load_tokenizer of bertcore.text.fast_tokenizer"
            )
        return cls(read.pieces, read.lowercase, read.max_word_characters)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `vocab.txt`, `tokenizer_config.json` and `tokenizer.json`.

        The tokenizers library reads the last, transformers the last two. They cut text
        as we do, but for what `disagreements.json`, beside this file, lists;
        transformers has its own limit of 100 characters a word.
        """
        vocabulary = Vocabulary(
            pieces=self.vocabulary,
            lowercase=self.lowercase,
            max_word_characters=self.max_word_characters,
        )
        save_vocabulary(folder, vocabulary)

    @property
    def definition(self) -> str:
        """All that decides which ids a text gets, in words."""
        settings = f"{self.lowercase} {self.max_word_characters}"
        return "\n".join([settings, *self.vocabulary])

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own, without the words that this one remembers."""
        return Tokenizer, (self.vocabulary, self.lowercase, self.max_word_characters)

    def __repr__(self) -> str:
        case = "uncased" if self.lowercase else "cased"
        return f"Tokenizer({len(self)} pieces, {case})"

    def pieces(self, text: str, parse_special: bool = False) -> list[Piece]:
        pieces = []
        for begin, part in _parts(text, parse_special):
            if parse_special and part in SPECIAL:
                pieces.append(Piece(part, self.ids[part], begin, begin + len(part)))
            else:
                pieces += self._matcher.text_pieces(part, begin)
        return pieces

    def words(self, text: str) -> list[int]:
        begins = (not piece.startswith("##") for piece in self.tokenize(text))
        return [number - 1 for number in accumulate(begins)]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Ids back to text: continuation pieces glued on, words apart by a space.

        Case, accents and spacing that encoding dropped do not come back; `pieces`
        knows where in the original each piece stood.

        Raises:
            ValueError: if an id is not in the vocabulary.
        """
        ids = [int(id) for id in ids]
        for id in ids:
            check_id(id, len(self))
        pieces = [self.vocabulary[id] for id in ids]
        if skip_special_tokens:
            pieces = [piece for piece in pieces if piece not in SPECIAL]
        return " ".join(pieces).replace(" ##", "")

    def _text_ids(self, text: str, parse_special: bool) -> list[int]:
        ids: list[int] = []
        for _, part in _parts(text, parse_special):
            special = parse_special and part in SPECIAL
            ids += [self.ids[part]] if special else self._matcher.text_ids(part)
        return ids


def train_tokenizer(
    texts: Iterable[str],
    size: int,
    criterion: str = "likelihood",
    *,
    lowercase: bool = True,
    min_frequency: int = 2,
    alphabet_limit: int = 1000,
) -> Tokenizer:
    """A tokenizer with a vocabulary learned from these texts.

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

    >>> train_tokenizer(["hug hugs hugging", "bug bugs"], 22, "count").tokenize("bugs")
    ['bug', '##s']
    """
    pieces = learn_vocabulary(
        texts,
        size,
        criterion,
        lowercase=lowercase,
        min_frequency=min_frequency,
        alphabet_limit=alphabet_limit,
    )
    return Tokenizer(list(pieces), lowercase)


def _parts(text: str, parse_special: bool) -> list[tuple[int, str]]:
    """Where each part begins, and the part: all of it, or cut at special tokens."""
    check_text(text)
    parts, begin = [], 0
    for part in _SPECIAL.split(text) if parse_special else [text]:
        parts.append((begin, part))
        begin += len(part)
    return parts


def longest_match(word: str, ids: Mapping[str, int]) -> list[int] | None:
    """From the left, always the longest piece in the vocabulary; None if none fits.

    >>> longest_match("headland", {"he": 0, "head": 1, "##land": 2, "##l": 3})
    [1, 2]
    """
    matched = []
    rest, prefix = word, 0  # `prefix`: how many characters of `rest` are its "##"
    while len(rest) > prefix:
        for end in range(len(rest), prefix, -1):
            id = ids.get(rest[:end])
            if id is not None:
                break
        else:
            return None
        matched.append(id)
        rest, prefix = "##" + rest[end:], 2
    return matched


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
        self._pieces = list(ids)
        self._lengths = [len(piece.removeprefix("##")) for piece in ids]
        self._chunks = _Memory(self._chunk_ids)
        self._gapless = _Memory(self._gapless_ids)
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

    def text_pieces(self, text: str, begin: int) -> list[Piece]:
        """The pieces of a text, each with its place; the text stands at `begin`."""
        pieces = []
        # Most of the time goes into making pieces, and Piece(...) only calls this.
        make = tuple.__new__
        for chunk in text.split(" "):
            ids = self._gapless[chunk]
            if ids is None:
                for id, start, end in self._places[chunk]:
                    piece = self._pieces[id]
                    pieces.append(Piece(piece, id, begin + start, begin + end))
                begin += len(chunk)
            else:  # nearly always, and then an addition tells the place
                for id in ids:
                    end = begin + self._lengths[id]
                    pieces.append(make(Piece, (self._pieces[id], id, begin, end, 0)))
                    begin = end
            begin += 1  # the space
        return pieces

    # What is remembered are tuples: smaller than lists, and no work for the garbage
    # collector.

    def _chunk_ids(self, chunk: str) -> tuple[int, ...]:
        words = split_words(chunk, self.lowercase)
        if len(words) == 1:
            return self._words[words[0]]
        return tuple([id for word in words for id in self._words[word]])

    def _gapless_ids(self, chunk: str) -> tuple[int, ...] | None:
        """The ids of a chunk whose pieces cover it, side by side; else None."""
        if not keeps_places(chunk, self.lowercase):
            return None
        ids = self._chunk_ids(chunk)
        return None if self.unk_id in ids else ids  # [UNK] is as long as its word

    def _chunk_places(self, chunk: str) -> tuple[tuple[int, int, int], ...]:
        """The ids of any chunk, each with the place in it: id, start, end."""
        before = origins(chunk, self.lowercase)
        places, begin = [], 0
        for word in split_words(chunk, self.lowercase):
            for id in self._words[word]:
                unknown = id == self.unk_id  # stands for the whole word
                end = begin + (len(word) if unknown else self._lengths[id])
                covered = before[begin:end]
                places.append((id, min(covered), max(covered) + 1))
                begin = end
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


def with_special_tokens(
    first: list[T],
    second: list[T],
    cls: T,
    sep: T,
    max_length: int | None,
    separators: int = 1,
) -> tuple[list[T], list[T]]:
    """`[CLS] first [SEP]` and `second [SEP]`; the second is empty if nothing is in it.

    With `max_length` the longer one loses its last items first, the second on a tie
    (google-research/bert run_classifier.py, `_truncate_seq_pair`).

    Args:
        first, second: ids, or anything else that stands for pieces.
        cls, sep: the special tokens, of the same kind.
        max_length: of both together, special tokens included.
        separators: between the two: BERT has one, RoBERTa two.

    Raises:
        ValueError: if the special tokens leave no room for a piece.

    >>> with_special_tokens(list("abc"), list("de"), "[", "]", max_length=6)
    (['[', 'a', 'b', ']'], ['d', ']'])
    """
    special = 2 + separators if second else 2
    if max_length is not None:
        if max_length < special + 1:
            raise ValueError(
                f"max_length={max_length} leaves no room for a piece beside the "
                f"{special} special tokens; give {special + 1} or more"
            )
        while len(first) + len(second) > max_length - special:
            (first if len(first) > len(second) else second).pop()
    if not second:
        return [cls, *first, sep], []
    return [cls, *first, *[sep] * separators], [*second, sep]


def _listed(name: str, texts: str | Iterable[str]) -> list[str]:
    """Texts in whatever form they come, as a list; ValueError if they have no order."""
    if isinstance(texts, str):
        return [texts]
    unordered = isinstance(texts, (bytes, Set, Mapping))
    # A table would give the names of its columns.
    if unordered or getattr(texts, "ndim", 1) != 1 or not isinstance(texts, Iterable):
        raise ValueError(
            f"{name} is a {type(texts).__name__}; give one text, a list of texts, or a "
            'column of a table, such as table["text"]'
        )
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"{name}[{number}] is {text!r:.40}: a text is a str, not "
                f"{type(text).__name__}; leave it out, or give '' in its place"
            )
    return texts


def check_rows(tokenizer: BaseTokenizer, rows: int) -> None:
    """Whether a model's table of `rows` pieces can be this tokenizer's.

    A table may be longer than the vocabulary, padded to a multiple of 8 or 100. What is
    longer otherwise was made for more pieces, and there is a warning.

    Raises:
        ValueError: if there are more pieces than rows.
    """
    pieces = len(tokenizer)
    if pieces > rows:
        raise ValueError(
            f"the tokenizer has {pieces} pieces, and the weights have a table of {rows}"
            "; use the tokenizer that came with the weights, without tokens added later"
        )
    if pieces < rows and rows % 8 and rows % 100:
        warnings.warn(
            f"the weights have a table of {rows} pieces, and the tokenizer {pieces}: "
            "is a file missing beside the vocabulary, such as added_tokens.json or "
            "tokenizer.json?",
            stacklevel=3,
        )


def check_text(text: object) -> None:
    """ValueError unless it is one text."""
    if not isinstance(text, str):
        raise ValueError(
            f"a text is a str, not {type(text).__name__}; "
            "for several texts call the tokenizer itself: tokenizer(texts)"
        )


def check_id(id: int, pieces: int) -> None:
    """ValueError unless a vocabulary of so many pieces has this id."""
    if not 0 <= id < pieces:
        raise ValueError(
            f"id {id} is not in this vocabulary of {pieces} pieces "
            f"(0 to {pieces - 1}); decode with the tokenizer that encoded"
        )
