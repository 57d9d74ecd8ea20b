"""Fast tokenizer: byte-level BPE and SentencePiece for BERT's variants (chapter 8).

RoBERTa and ModernBERT cut text into bytes and merges of them, ALBERT and DeBERTa into
the likeliest pieces. Both are in the tokenizers library of Hugging Face; this module
gives them the interface of `bertcore.text.wordpiece.Tokenizer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bertcore.sources import find_file, read_json
from bertcore.text.merges import check_whole_number
from bertcore.text.wordpiece import (
    BaseTokenizer,
    Piece,
    Tokenizer,
    check_id,
    check_text,
)

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Library

# What its special tokens are called; the frame is what the file says.
_NAMES = (("[PAD]", "<pad>"), ("[UNK]", "<unk>"), ("[MASK]", "<mask>"))
BYTES_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # as in roberta-base


class FastTokenizer(BaseTokenizer):
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
        # How it cuts and pads is left out: both are ours.
        content = json.loads(library.to_str())
        self._content = content | {"truncation": None, "padding": None}
        self._parsing = library_of(self._content)
        self._plain = without_special(self._content)
        self.vocabulary = pieces_of(self._parsing)
        self.pad_id, self.unk_id, self.mask_id = special_ids(self._parsing)
        frame = frame_of(self._parsing)
        self.cls_id, self.sep_id, self.separators, self.second = frame

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
        return cls(read_fast_tokenizer(folder_or_file))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads."""
        names = {
            f"{role}_token": self.vocabulary[getattr(self, f"{role}_id")]
            for role in ("pad", "unk", "cls", "sep", "mask")
        }
        kinds = ["token_type_ids"] if self.second else []
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", *kinds, "attention_mask"],
            "clean_up_tokenization_spaces": False,
            **names,
        }
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        files = {"tokenizer.json": self._content, "tokenizer_config.json": config}
        for name, table in files.items():
            text = json.dumps(table, indent=2, ensure_ascii=False) + "\n"
            (folder / name).write_text(text, encoding="utf8", newline="")

    @property
    def definition(self) -> str:
        """All that decides which ids a text gets, in words."""
        return json.dumps(self._content, sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own."""
        return _made, (self._content,)

    def __repr__(self) -> str:
        kind = self._content["model"]["type"]
        return f"FastTokenizer({len(self)} pieces, {kind})"

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

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Ids back to text. From byte-level BPE any text comes back as it was.

        Raises:
            ValueError: if an id is not in the vocabulary.
        """
        ids = [int(id) for id in ids]
        for id in ids:
            check_id(id, len(self))
        return self._parsing.decode(ids, skip_special_tokens=skip_special_tokens)

    def _text_ids(self, text: str, parse_special: bool) -> list[int]:
        return self._cut(text, parse_special).ids

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


AnyTokenizer = Tokenizer | FastTokenizer


def train_byte_bpe(
    texts: Iterable[str],
    size: int,
    *,
    min_frequency: int = 2,
    prefix_space: bool = False,
) -> FastTokenizer:
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

    >>> train_byte_bpe(["hug hugs hugging"] * 2, 265).tokenize("hugs hug")
    ['hug', 's', 'Ġhug']
    """
    check_whole_number("size", size, 1)
    check_whole_number("min_frequency", min_frequency, 1)
    least = len(BYTES_SPECIAL) + 256
    if size < least:
        raise ValueError(
            f"size={size} has no room for the {len(BYTES_SPECIAL)} special tokens and "
            f"the 256 bytes; give {least} or more"
        )
    library = import_tokenizers()
    learner = bytes_library(library.models.BPE(), prefix_space)
    learner.train_from_iterator(
        _checked(texts),
        library.trainers.BpeTrainer(
            vocab_size=size - 1,  # the last is <mask>
            min_frequency=min_frequency,
            show_progress=False,
            special_tokens=list(BYTES_SPECIAL[:-1]),
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    model = json.loads(learner.to_str())["model"]
    ids = model["vocab"]
    if len(ids) < size - 1:
        raise ValueError(
            f"these texts give {len(ids) + 1} pieces, not size={size}: no other pair "
            f"of pieces occurs min_frequency={min_frequency} times; give more text, a "
            "lower min_frequency, or a smaller size"
        )
    ids[BYTES_SPECIAL[-1]] = len(ids)
    merges = [tuple(pair) for pair in model["merges"]]
    model = library.models.BPE(vocab=ids, merges=merges)
    return FastTokenizer(bytes_library(model, prefix_space))


def load_tokenizer(folder_or_file: str | Path) -> AnyTokenizer:
    """Whatever tokenizer a checkpoint has: ours for WordPiece, or the library's.

    BERT, DistilBERT and ELECTRA have WordPiece, in a `vocab.txt` or a
    `tokenizer.json`; all else is read by `FastTokenizer`.

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
            return FastTokenizer.from_pretrained(folder_or_file)
    return Tokenizer.from_pretrained(folder_or_file)


def _made(content: Mapping[str, Any]) -> FastTokenizer:
    return FastTokenizer(library_of(content))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A place without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def import_tokenizers() -> Any:
    """The module `tokenizers`.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError(
            "byte-level BPE and SentencePiece need the tokenizers library: run pip "
            "install tokenizers"
        ) from error
    return tokenizers


def read_fast_tokenizer(folder_or_file: str | Path) -> Library:
    """From a `tokenizer.json`, or from the `vocab.json` and `merges.txt` of RoBERTa.

    Raises:
        FileNotFoundError: if there is no such checkpoint or file.
        ValueError: if a file is not what its name says.
    """
    path = Path(folder_or_file).expanduser()
    if not path.is_file():
        path = find_file(folder_or_file, "tokenizer.json", "vocab.json")
    if path.name != "vocab.json":
        return library_of(read_json(path), path)
    vocabulary = read_json(path)
    merges = find_file(folder_or_file, "merges.txt")
    missing = [token for token in BYTES_SPECIAL if token not in vocabulary]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}; is this the vocab.json of a RoBERTa?"
        )
    try:
        model = import_tokenizers().models.BPE.from_file(str(path), str(merges))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{path} and {merges} do not fit: {error}") from error
    return bytes_library(model)


def library_of(content: Mapping[str, Any], path: Path | None = None) -> Library:
    """The library's tokenizer from the content of a `tokenizer.json`.

    Raises:
        ValueError: if it is none.
    """
    library = import_tokenizers()
    try:
        return library.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(
            f"{path or 'this'} is no tokenizer.json that the tokenizers library "
            f"{library.__version__} reads: {error}"
        ) from error


def bytes_library(model: Any, prefix_space: bool = False) -> Library:
    """Byte-level BPE round a model, as in RoBERTa: GPT-2's parts, RoBERTa's frame."""
    library = import_tokenizers()
    found = library.Tokenizer(model)
    parts = library.pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    found.pre_tokenizer, found.decoder = parts, library.decoders.ByteLevel()
    added = library.AddedToken
    found.add_special_tokens(
        [added(token, normalized=False) for token in BYTES_SPECIAL[:-1]]
        + [added("<mask>", normalized=False, lstrip=True)]  # takes the space before it
    )
    ends = [(token, found.token_to_id(token)) for token in ("</s>", "<s>")]
    found.post_processor = library.processors.RobertaProcessing(
        *ends, add_prefix_space=prefix_space
    )
    return found


def without_special(content: Mapping[str, Any]) -> Library:
    """The same tokenizer, but to it "[SEP]" in a text is text like any other.

    That the library does not cut special tokens out of the text is a setting of its.
    But SentencePiece's vocabulary holds them as pieces, too, and would find them: here
    their names there get spaces, which no text has when it comes so far.
    """
    content = deepcopy(dict(content))
    added, model = content["added_tokens"], content["model"]
    if model["type"] == "Unigram":
        special = {token["content"] for token in added if token["special"]}
        renamed = {entry[0] for entry in model["vocab"]} & special
        for entry in model["vocab"]:
            if entry[0] in renamed:
                entry[0] = " ".join(entry[0])
        content["added_tokens"] = [t for t in added if t["content"] not in renamed]
    found = library_of(content | {"post_processor": None})
    found.encode_special_tokens = True
    return found


def pieces_of(library: Library) -> list[str]:
    """The pieces by id.

    Raises:
        ValueError: if an id is missing.
    """
    ids = library.get_vocab(with_added_tokens=True)
    pieces = sorted(ids, key=ids.__getitem__)
    for place, piece in enumerate(pieces):
        if ids[piece] != place:
            raise ValueError(
                f"the vocabulary of {len(ids)} pieces has no id {place}, but {piece!r} "
                f"has {ids[piece]}; ids must be 0 to {len(ids) - 1}"
            )
    return pieces


def special_ids(library: Library) -> list[int]:
    """The ids of padding, of the unknown, and of the mask.

    Raises:
        ValueError: if it has no such token.
    """
    found = []
    for names in _NAMES:
        ids = [library.token_to_id(name) for name in names]
        if ids == [None, None]:
            raise ValueError(
                f"the vocabulary of {library.get_vocab_size()} pieces has no "
                f"{names[0]} and no {names[1]}; is this the tokenizer of a BERT or "
                "of one of its variants?"
            )
        found.append(ids[0] if ids[0] is not None else ids[1])
    return found


def frame_of(library: Library) -> tuple[int, int, int, int]:
    """What the library puts round no text, and round two of them.

    Returns:
        The ids of [CLS] and [SEP]; how many [SEP] stand between two texts, in RoBERTa
        two; the segment of the second, 0 if the model tells none apart.

    Raises:
        ValueError: if that is not one token before and the same one after each text.
    """
    one, two = library.encode(""), library.encode("", "")
    if len(one.ids) == 2:
        cls, sep = one.ids
        for separators in (1, 2):
            if two.ids == [cls, *[sep] * separators, sep]:
                return cls, sep, separators, two.type_ids[-1]
    raise ValueError(
        f"the tokenizer puts {one.tokens} round a text and {two.tokens} round a pair; "
        "BERT's heirs have [CLS] text [SEP] and [CLS] text [SEP] pair [SEP], with one "
        "or two [SEP] between"
    )


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """Each text, if it is one and has bytes in UTF-8."""
    if isinstance(texts, str):
        raise ValueError("texts is a single str; give a list of texts: [text]")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text is a str, not {type(text).__name__}")
        yield text.encode("utf8", "replace").decode("utf8")
