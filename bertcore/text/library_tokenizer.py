"""Library tokenizer: byte-level BPE and SentencePiece for BERT's heirs (chapter 8).

RoBERTa and ModernBERT cut text into bytes and merges of them, ALBERT and DeBERTa into
the likeliest pieces. Both are in the tokenizers library of Hugging Face; this module
gives them the face of `bertcore.text.wordpiece.Tokenizer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bertcore.sources import find_file, read_json
from bertcore.text.bytes_trainer import learn_bytes
from bertcore.text.library_files import (
    content_of,
    frame_of,
    library_of,
    pieces_of,
    read_library,
    special_ids,
    without_special,
    write_library,
)
from bertcore.text.segments import check_id, check_text, framed, matched
from bertcore.text.wordpiece import Piece, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Library
    from torch import Tensor


class LibraryTokenizer:
    """Raw text to ids and back, by a tokenizer of the tokenizers library.

    It is used as `Tokenizer` is. Special tokens and their order are what its file says:
    `[CLS] text [SEP] pair [SEP]` or, in RoBERTa, `<s> text </s></s> pair </s>`.
    Segments are, too: RoBERTa has none, so all are 0. Pairs are cut as ours are; text
    that looks like a special token is text, unless a method is told to
    `parse_special`. Tokens that a file adds without calling them special, as ModernBERT
    does for runs of spaces, are always read as such.

    A text must be valid: half of a surrogate pair has no bytes in UTF-8.
    """

    def __init__(self, library: Library) -> None:
        """
        Args:
            library: is copied; how it cuts or pads is left out.

        Raises:
            ValueError: if it is not framed as BERT's heirs are, or has no token for
                padding, masking or the unknown.
        """
        self._content = content_of(library)
        self._parsing = library_of(self._content)
        self._plain = without_special(self._content)
        self.vocabulary = pieces_of(self._parsing)
        self.pad_id, self.unk_id, self.mask_id = special_ids(self._parsing)
        frame = frame_of(self._parsing)
        self.cls_id, self.sep_id, self.separators, self._segment = frame

    @classmethod
    def from_pretrained(cls, folder_or_file: str | Path) -> Self:
        """The tokenizer of a checkpoint, or of a `tokenizer.json`.

        Args:
            folder_or_file: a folder, a hub name or a file. Without a
                `tokenizer.json` it holds RoBERTa's `vocab.json` and `merges.txt`.

        Raises:
            FileNotFoundError: if there is no such checkpoint or file.
            ValueError: if the file is no tokenizer of this kind.
        """
        return cls(read_library(folder_or_file))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads."""
        names = {
            f"{role}_token": self.vocabulary[getattr(self, f"{role}_id")]
            for role in ("pad", "unk", "cls", "sep", "mask")
        }
        write_library(folder, self._content, names, bool(self._segment))

    @property
    def definition(self) -> str:
        """All that decides which ids a text gets, in words."""
        return json.dumps(self._content, sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own."""
        return _made, (self._content,)

    def __repr__(self) -> str:
        kind = self._content["model"]["type"]
        return f"LibraryTokenizer({len(self)} pieces, {kind})"

    def __len__(self) -> int:
        return len(self.vocabulary)

    def tokenize(self, text: str, parse_special: bool = False) -> list[str]:
        """The pieces of a text, without special tokens added."""
        return [self.vocabulary[id] for id in self._cut(text, parse_special).ids]

    def encode(
        self,
        text: str,
        pair: str | None = None,
        max_length: int | None = None,
        parse_special: bool = False,
    ) -> list[int]:
        """A text or two as ids, with special tokens; cut as `Tokenizer.encode` cuts."""
        first, second = self._segments(text, pair, max_length, parse_special)
        return first + second

    def pieces(self, text: str, parse_special: bool = False) -> list[Piece]:
        """The pieces of a text with their place in it: `text[start:end]`.

        The space at an end of a piece is not part of its place. Of a character that is
        several pieces, each has the place of all of it.
        """
        found = self._cut(text, parse_special)
        return [
            Piece(self.vocabulary[id], id, *_trimmed(text, *place))
            for id, place in zip(found.ids, found.offsets, strict=True)
        ]

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
        first, second = framed(first, second, cls, sep, max_length, self.separators)
        return first + [piece._replace(segment=self._segment) for piece in second]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Ids back to text. From byte-level BPE any text comes back as it was.

        Raises:
            ValueError: if an id is not in the vocabulary.
        """
        ids = [int(id) for id in ids]
        for id in ids:
            check_id(id, len(self))
        return self._parsing.decode(ids, skip_special_tokens=skip_special_tokens)

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        max_length: int | None = None,
        parse_special: bool = False,
    ) -> dict[str, Tensor]:
        """A padded batch, as `Tokenizer` makes it: three tensors, `b s` each."""
        from bertcore.text.batch import padded  # the only use of torch in here

        rows = [
            self._segments(text, pair, max_length, parse_special)
            for text, pair in matched(texts, pairs)
        ]
        if not self._segment:
            rows = [(first + second, []) for first, second in rows]
        return padded(rows, self.pad_id)

    def _segments(
        self, text: str, pair: str | None, max_length: int | None, parse_special: bool
    ) -> tuple[list[int], list[int]]:
        """The two segments with their special tokens; the second may be empty."""
        first = self._cut(text, parse_special).ids
        second = [] if pair is None else self._cut(pair, parse_special).ids
        ends = self.cls_id, self.sep_id
        return framed(first, second, *ends, max_length, self.separators)

    def _cut(self, text: str, parse_special: bool) -> Encoding:
        check_text(text)
        library = self._parsing if parse_special else self._plain
        try:
            return library.encode(text, add_special_tokens=False)
        except TypeError as error:
            raise ValueError(
                f"the text {text[:40]!r} holds half of a surrogate pair, which has no "
                'bytes in UTF-8; replace it, such as by "\\ufffd"'
            ) from error


AnyTokenizer = Tokenizer | LibraryTokenizer


def train_bytes(
    texts: Iterable[str],
    size: int,
    *,
    min_frequency: int = 2,
    prefix_space: bool = False,
) -> LibraryTokenizer:
    """Byte-level BPE as RoBERTa's, learned from these texts by the library.

    The ids are ordered as in roberta-base: <s>, <pad>, </s>, <unk>, the 256 bytes, what
    they are merged to, and <mask> as the last.

    Args:
        texts: as many as you like.
        size: how many pieces the vocabulary shall have.
        min_frequency: pairs seen less often are not merged.
        prefix_space: read a text as if a space stood before it; roberta-base does not.

    Raises:
        ValueError: if the size is too small for the bytes, or too large for the texts.

    >>> train_bytes(["hug hugs hugging"] * 2, 265).tokenize("hugs hug")
    ['hug', 's', 'Ġhug']
    """
    return LibraryTokenizer(learn_bytes(texts, size, min_frequency, prefix_space))


def load_tokenizer(folder_or_file: str | Path) -> AnyTokenizer:
    """Whatever tokenizer a checkpoint has: ours for WordPiece, or the library's.

    BERT, DistilBERT and ELECTRA have WordPiece, in a `vocab.txt` or a
    `tokenizer.json`; all else is read by `LibraryTokenizer`.

    Raises:
        FileNotFoundError: if there is no such checkpoint or file.
        ValueError: if its files cannot be read.
    """
    path = Path(folder_or_file).expanduser()
    if not path.is_file():
        names = "tokenizer.json", "vocab.txt", "vocab.json"
        path = find_file(folder_or_file, *names)
    if path.suffix == ".json":
        model = read_json(path).get("model")
        if not isinstance(model, dict) or model.get("type") != "WordPiece":
            return LibraryTokenizer.from_pretrained(folder_or_file)
    return Tokenizer.from_pretrained(folder_or_file)


def _made(content: Mapping[str, Any]) -> LibraryTokenizer:
    return LibraryTokenizer(library_of(content))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A place without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
