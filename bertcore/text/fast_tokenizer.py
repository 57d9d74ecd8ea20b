"""Fast tokenizer: byte-level BPE and SentencePiece for BERT's variants (chapter 8).

RoBERTa and ModernBERT cut text into bytes and merges of them, ALBERT and DeBERTa into
the likeliest pieces. Both are in the tokenizers library of Hugging Face; this module
gives them the interface of `bertcore.text.wordpiece.Tokenizer`. So are settings of
WordPiece that `Tokenizer` does not have, such as tokens that somebody has added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bertcore.files import new_file, read_json, write_json
from bertcore.sources import find_file, names_damage, needs
from bertcore.text.merges import check_whole_number, checked_texts
from bertcore.text.tokenizer_files import (
    ROLES,
    added_tokens,
    check_agreement,
    check_class,
    check_sides,
    find_vocabulary,
    has_segments,
    role_names,
)
from bertcore.text.vocabulary import load_vocabulary, pieces_by_id, tokenizer_json_text
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

# The special tokens that are not in the frame of a text, in BERT and in RoBERTa.
_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "mask": ("[MASK]", "<mask>"),
}
# What needs the library.
_WHAT = "byte-level BPE, SentencePiece or a token added to WordPiece"
BYTES_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # as in roberta-base


class FastTokenizer(BaseTokenizer):
    """Raw text to ids and back, by a tokenizer of the tokenizers library.

    It is used as `Tokenizer` is. Special tokens and their order are what its file says:
    `[CLS] text [SEP] pair [SEP]` or, in RoBERTa, `<s> text </s></s> pair </s>`.
    Segments are, too: RoBERTa has none, so all are 0. Pairs are cut as ours are; text
    that looks like one of the five special tokens is text, unless a method is told to
    `parse_special`. Other tokens that a file adds, as ModernBERT does for runs of
    spaces, and people do for marks in their texts, are always read as such.

    A text must be valid: half of a surrogate pair has no bytes in UTF-8.
    """

    def __init__(
        self, library: Library, special: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            library: is copied, without what it says about truncation and padding:
                both are done here.
            special: the names of special tokens, such as `{"mask": "<mask>"}`. By
                default those of BERT or of RoBERTa, whichever there is.

        Raises:
            ValueError: if it does not frame a text as BERT's variants do, or has no
                token for padding, masking or the unknown.
        """
        self._library = deepcopy(library)
        self._library.no_truncation()
        self._library.no_padding()
        if getattr(self._library.model, "dropout", None):
            self._library.model.dropout = None  # merges left out at random, to train
        self.special = dict(special or {})
        ids = library.get_vocab(with_added_tokens=True)
        self.vocabulary = pieces_by_id(ids, "the tokenizer")
        names = {role: (name,) for role, name in self.special.items()}
        self.pad_id, self.unk_id, self.mask_id = (
            _id_of(library, role, names.get(role, usual))
            for role, usual in _NAMES.items()
        )
        frame = _frame_of(self._library, self.special)
        self.cls_id, self.sep_id, self.separators, self.second = frame
        ids = self.pad_id, self.unk_id, self.mask_id, self.cls_id, self.sep_id
        self._plain = _without_special(
            self._library, {self.vocabulary[id] for id in ids}
        )

    @classmethod
    @names_damage
    def from_pretrained(cls, folder_or_file: str | Path) -> Self:
        """The tokenizer of a checkpoint, or of a `tokenizer.json`.

        Args:
            folder_or_file: a folder, a hub name or a file. Without a
                `tokenizer.json` it holds RoBERTa's `vocab.json` and `merges.txt`, or
                BERT's `vocab.txt`.

        Raises:
            FileNotFoundError: if there is no such checkpoint or file.
            ValueError: if the file is no tokenizer of this kind, or if the files
                disagree, or ask for what is not to be had.
        """
        path, config = find_vocabulary(folder_or_file, "vocab.json")
        if _is_wordpiece(path):
            read = load_vocabulary(folder_or_file)
            return cls(_from_json(path, tokenizer_json_text(read)), read.special)
        if path.name == "vocab.json":
            merges = find_file(folder_or_file, "merges.txt")
            space = config.get("add_prefix_space", False)
            content = json.loads(_read_roberta(path, merges, space).to_str())
            tables = [v.get("content") for v in config.values() if isinstance(v, dict)]
            content["added_tokens"] = [
                token
                for token in content["added_tokens"]
                if token["content"] not in tables
                and "added_tokens_decoder" not in config
            ]
        else:
            content = read_json(path)
            _from_json(
                path, json.dumps(content)
            )  # so its parts are what they should be
        special, ids = role_names(config), _vocabulary_ids(content)
        check_class(path, config, str((content.get("model") or {}).get("type")))
        check_sides(path, content)
        check_agreement(path, config, _what_it_does(content))
        added = added_tokens(config, special, content.get("added_tokens") or [], ids)
        pieces_by_id(ids | {token["content"]: token["id"] for token in added}, path)
        content["added_tokens"] = added
        if not has_segments(config):
            for part in (content.get("post_processor") or {}).get("pair", ()):
                next(iter(part.values()))["type_id"] = 0
        return cls(_from_json(path, json.dumps(content)), special)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads."""
        names = {
            f"{role}_token": self.vocabulary[getattr(self, f"{role}_id")]
            for role in ROLES
        }
        inputs = ["input_ids", "token_type_ids", "attention_mask"]
        if not self.second:
            inputs.remove("token_type_ids")
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": inputs,
            "clean_up_tokenization_spaces": False,
            **names,
        }
        folder = Path(folder).expanduser()
        with new_file(folder / "tokenizer.json") as partial:
            self._library.save(str(partial))
        write_json(folder / "tokenizer_config.json", config)

    @property
    def definition(self) -> str:
        """All that decides which ids a text gets, in words."""
        return json.dumps(json.loads(self._library.to_str()), sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own."""
        return FastTokenizer, (self._library, self.special)

    def __repr__(self) -> str:
        kind = type(self._library.model).__name__
        return f"FastTokenizer({len(self)} pieces, {kind})"

    def pieces(self, text: str, parse_special: bool = False) -> list[Piece]:
        """The pieces of a text with their place in it: `text[start:end]`.

        The space at an end of a piece is not part of its place. Of a character that is
        several pieces, each has the place of all of it.
        """
        encoding = self._cut(text, parse_special)
        pieces = []
        for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            covered = text[start:end]
            start += len(covered) - len(covered.lstrip())
            end = start + len(covered.strip())
            pieces.append(Piece(self.vocabulary[id], id, start, end))
        return pieces

    def words(self, text: str) -> list[int]:
        return self._cut(text, parse_special=False).word_ids

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Ids back to text. From byte-level BPE any text comes back as it was.

        Raises:
            ValueError: if an id is not in the vocabulary.
        """
        ids = [int(id) for id in ids]
        for id in ids:
            check_id(id, len(self))
        return self._library.decode(ids, skip_special_tokens=skip_special_tokens)

    def _text_ids(self, text: str, parse_special: bool) -> list[int]:
        return self._cut(text, parse_special).ids

    def _cut(self, text: str, parse_special: bool) -> Encoding:
        check_text(text)
        library = self._library if parse_special else self._plain
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
) -> FastTokenizer:
    """Byte-level BPE as RoBERTa's, learned from these texts by the library.

    The ids are ordered as in roberta-base: <s>, <pad>, </s>, <unk>, the 256 bytes, what
    they are merged to, and <mask> as the last.

    Args:
        texts: as many as you like.
        size: how many pieces the vocabulary shall have.
        min_frequency: pairs seen less often are not merged.

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
    library = needs("tokenizers", _WHAT)
    learner = _bytes_library(library.models.BPE())
    learner.train_from_iterator(
        # Half of a surrogate pair has no bytes in UTF-8.
        (t.encode("utf8", "replace").decode("utf8") for t in checked_texts(texts)),
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
    return FastTokenizer(_bytes_library(model))


@names_damage
def load_tokenizer(folder_or_file: str | Path) -> AnyTokenizer:
    """Whatever tokenizer a checkpoint has: ours for WordPiece, or the library's.

    BERT, DistilBERT and ELECTRA have WordPiece, in a `vocab.txt` or a
    `tokenizer.json`; all else, and WordPiece with more than `Tokenizer` has, such as
    added tokens, is read by `FastTokenizer`.

    Raises:
        FileNotFoundError: if there is no such checkpoint or file.
        ValueError: if its files cannot be read, disagree, or ask for what is not to be
            had.
    """
    path, _ = find_vocabulary(folder_or_file, "vocab.json")
    if not _is_wordpiece(path):
        return FastTokenizer.from_pretrained(folder_or_file)
    read = load_vocabulary(folder_or_file)
    if read.beyond:
        return FastTokenizer(_from_json(path, tokenizer_json_text(read)), read.special)
    return Tokenizer(read.pieces, read.lowercase, read.max_word_characters)


def _is_wordpiece(path: Path) -> bool:
    if path.name == "vocab.json":
        return False
    if path.suffix != ".json":
        return True
    model = read_json(path).get("model")
    return isinstance(model, dict) and model.get("type") == "WordPiece"


def _from_json(path: Path, content: str) -> Library:
    """The library's tokenizer of a `tokenizer.json`; ValueError if it reads none."""
    tokenizers = needs("tokenizers", _WHAT)
    try:
        return tokenizers.Tokenizer.from_str(content)
    except BaseException as error:  # it also panics, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ValueError(
            f"{path} is no tokenizer.json that the tokenizers library "
            f"{tokenizers.__version__} reads: {error}"
        ) from error


def _parts_of(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The normalizers, or the pre-tokenizers, of a `tokenizer.json` in their order."""
    part = content.get(name) or {}
    inner = part.get("normalizers", part.get("pretokenizers", [part]))
    return [one for one in inner if one]


def _what_it_does(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a `tokenizer.json` does, by the keys of `tokenizer_config.json`."""
    normalizers = {one.get("type") for one in _parts_of(content, "normalizer")}
    found = {
        "do_lower_case": "Lowercase" in normalizers,
        "keep_accents": "StripAccents" not in normalizers,
        "split_by_punct": False,
    }
    for one in _parts_of(content, "pre_tokenizer"):
        found["split_by_punct"] |= one.get("type") == "Punctuation"
        if one.get("type") in ("ByteLevel", "Metaspace"):
            always = one.get("prepend_scheme") == "always"
            found["add_prefix_space"] = one.get("add_prefix_space", always)
    return found


def _vocabulary_ids(content: Mapping[str, Any]) -> dict[str, int]:
    """The ids of the pieces of a `tokenizer.json`, in whatever form it has them."""
    vocabulary = (content.get("model") or {}).get("vocab") or {}
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: id for id, (piece, *_) in enumerate(vocabulary)}


def _read_roberta(vocab: Path, merges: Path, space: bool) -> Library:
    """The tokenizer in RoBERTa's own two files, perhaps with a space before a text.

    Raises:
        ValueError: if they are not RoBERTa's, or not of one model.
    """
    pieces = read_json(vocab)
    missing = [token for token in BYTES_SPECIAL if token not in pieces]
    if missing:
        raise ValueError(
            f"{vocab} lacks {', '.join(missing)}; is this the vocab.json of a RoBERTa?"
        )
    try:
        model = needs("tokenizers", _WHAT).models.BPE.from_file(str(vocab), str(merges))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{vocab} and {merges} do not fit: {error}") from error
    return _bytes_library(model, space)


def _bytes_library(model: Any, space: bool = False) -> Library:
    """Byte-level BPE round a model, as in RoBERTa: GPT-2's parts, RoBERTa's frame.

    roberta-base does not read a text as if a `space` stood before it; others do.
    """
    library = needs("tokenizers", _WHAT)
    wrapped = library.Tokenizer(model)
    byte_level = library.pre_tokenizers.ByteLevel(add_prefix_space=space)
    wrapped.pre_tokenizer, wrapped.decoder = byte_level, library.decoders.ByteLevel()
    added = library.AddedToken
    wrapped.add_special_tokens(
        [added(token, normalized=False) for token in BYTES_SPECIAL[:-1]]
        + [added("<mask>", normalized=False, lstrip=True)]  # takes the space before it
    )
    wrapped.post_processor = library.processors.RobertaProcessing(
        ("</s>", wrapped.token_to_id("</s>")),
        ("<s>", wrapped.token_to_id("<s>")),
        add_prefix_space=space,
    )
    return wrapped


def _without_special(library: Library, special: Set[str]) -> Library:
    """A copy, to which "[SEP]" in a text is text like any other.

    The library has a setting for that. But a vocabulary of SentencePiece holds special
    tokens as pieces, too, and would find them in the text: so their first character is
    cut off there before pieces are looked for.
    """
    parts = needs("tokenizers", _WHAT)
    content = json.loads(library.to_str())
    for token in content["added_tokens"]:
        token["special"] = token["content"] in special
    library = parts.Tokenizer.from_str(json.dumps(content))
    library.encode_special_tokens = True
    if isinstance(library.model, parts.models.Unigram):
        first = "|".join(f"(?={re.escape(name)})." for name in sorted(special))
        cut = parts.pre_tokenizers.Split(parts.Regex(first), "merged_with_previous")
        before = [library.pre_tokenizer] if library.pre_tokenizer else []
        library.pre_tokenizer = parts.pre_tokenizers.Sequence([*before, cut])
    return library


def _id_of(library: Library, role: str, names: Iterable[str]) -> int:
    """The id of the special token of a role, by the first of these names that it has.

    Raises:
        ValueError: if it has none.
    """
    for name in names:
        id = library.token_to_id(name)
        if id is not None:
            return id
    raise ValueError(
        f"the vocabulary of {library.get_vocab_size()} pieces has no {role}_token: no "
        f"{' and no '.join(names)}; is this the tokenizer of a BERT or of one of its "
        "variants?"
    )


def _frame_of(
    library: Library, special: Mapping[str, str]
) -> tuple[int, int, int, int]:
    """What the library puts round no text, and round two of them.

    Returns:
        The ids of [CLS] and [SEP]; how many [SEP] stand between two texts, in RoBERTa
        two; the segment of the second, 0 if the model tells none apart.

    Raises:
        ValueError: if that is not one token before and the same one after each text.
    """
    one, two = library.encode(""), library.encode("", "")
    told = [
        special.get(role, name)
        for role, name in zip(("cls", "sep"), one.tokens, strict=False)
    ]
    separators = len(two.ids) - 2
    if len(one.ids) == 2 and separators in (1, 2):
        cls, sep = one.ids
        if two.ids == [cls, *[sep] * separators, sep] and one.tokens == told:
            return cls, sep, separators, two.type_ids[-1]
    raise ValueError(
        f"the tokenizer puts {one.tokens} round a text and {two.tokens} round a pair"
        f"{f', and its files say cls_token and sep_token {told}' if special else ''}; "
        "BERT and its variants have [CLS] text [SEP] and [CLS] text [SEP] pair [SEP], "
        "with one or two [SEP] between"
    )
