"""WordPiece: raw text to pieces and ids, as BERT's own tokenizer does (chapter 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from bertcore.text.match import Matcher
from bertcore.text.segments import check_id, check_text, framed, matched
from bertcore.text.trainer import learn
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


class Piece(NamedTuple):
    """A piece, its id, the characters of the text it stands for, and its segment.

    A special token that was added, not written in the text, has the empty place 0, 0.
    """

    piece: str
    id: int
    start: int
    end: int
    segment: int = 0


class Tokenizer:
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

    separators = 1  # between the two texts of a pair

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
            ValueError: if the file is not a WordPiece vocabulary.
        """
        found = load_vocabulary(folder_or_vocab_file, lowercase, max_word_characters)
        return cls(*found)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `vocab.txt`, `tokenizer_config.json` and `tokenizer.json`.

        The tokenizers library reads the last, transformers the last two. They cut text
        as we do, but for what `bertcore.text.disagreements` lists; transformers has
        its own limit of 100 characters a word.
        """
        settings = self.vocabulary, self.lowercase, self.max_word_characters
        save_vocabulary(folder, Vocabulary(*settings))

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

    def pieces(self, text: str, parse_special: bool = False) -> list[Piece]:
        """The pieces of a text with their place in it: `text[start:end]`."""
        return list(self._places(text, parse_special))

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
        first, second = framed(first, second, cls, sep, max_length)
        return first + [piece._replace(segment=1) for piece in second]

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
        parse_special: bool = False,
    ) -> dict[str, Tensor]:
        """A padded batch, ready for `Bert`: three tensors, `b s` each.

        Returns:
            `input_ids`; `token_type_ids`, 0 for the first segment and for padding,
            1 for the second; `attention_mask`, 1 for a token and 0 for padding.
        """
        from bertcore.text.batch import padded  # the only use of torch in here

        rows = [
            self._segments(text, pair, max_length, parse_special)
            for text, pair in matched(texts, pairs)
        ]
        return padded(rows, self.pad_id)

    def _segments(
        self, text: str, pair: str | None, max_length: int | None, parse_special: bool
    ) -> tuple[list[int], list[int]]:
        """The two segments with their special tokens; the second may be empty."""
        first = self._text_ids(text, parse_special)
        second = [] if pair is None else self._text_ids(pair, parse_special)
        return framed(first, second, self.cls_id, self.sep_id, max_length)

    def _text_ids(self, text: str, parse_special: bool) -> list[int]:
        ids: list[int] = []
        for _, part in _parts(text, parse_special):
            special = parse_special and part in SPECIAL
            ids += [self.ids[part]] if special else self._matcher.text_ids(part)
        return ids

    def _places(self, text: str, parse_special: bool) -> Iterator[Piece]:
        for begin, part in _parts(text, parse_special):
            if parse_special and part in SPECIAL:
                yield Piece(part, self.ids[part], begin, begin + len(part))
                continue
            for id, start, end in self._matcher.text_places(part):
                yield Piece(self.vocabulary[id], id, begin + start, begin + end)

    def _piece(self, id: int) -> str:
        check_id(id, len(self))
        return self.vocabulary[id]


def train(
    texts: Iterable[str],
    size: int,
    criterion: str = "likelihood",
    *,
    lowercase: bool = True,
    min_frequency: int = 2,
    alphabet_limit: int = 1000,
) -> Tokenizer:
    """A tokenizer with a vocabulary learned from these texts.

    The arguments, and the errors, are those of `bertcore.text.trainer.learn`.

    >>> train(["hug hugs hugging", "bug bugs"], 22, "count").tokenize("bugs")
    ['bug', '##s']
    """
    pieces = learn(
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
