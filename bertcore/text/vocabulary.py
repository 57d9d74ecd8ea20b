"""Vocabulary: the pieces in a `vocab.txt` or `tokenizer.json`, and their rules.

A line of `vocab.txt` is a piece and its number the id; a `tokenizer.json` of the
tokenizers library holds the same pieces and settings (chapter 1).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import read_json, read_text, write_text
from bertcore.sources import find_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# google-research/bert tokenization.py, `WordpieceTokenizer`. The first release had 100,
# and so has the transformers library to this day.
LONGEST_WORD = 200


class Vocabulary(NamedTuple):
    """All that a tokenizer has learned or been told."""

    pieces: list[str]
    lowercase: bool
    max_word_characters: int


def load_vocabulary(
    folder_or_file: str | Path, lowercase: bool | None, max_word_characters: int | None
) -> Vocabulary:
    """A vocabulary from a folder, a hub name, a `vocab.txt` or a `tokenizer.json`.

    What is None is decided by the files: `tokenizer_config.json` beside a `vocab.txt`,
    or the `tokenizer.json` itself. If they are silent, text is lower-cased unless the
    pieces hold capitals, and a word may have 200 characters.
    """
    path = Path(folder_or_file).expanduser()
    if path.is_file():
        config = _read_config(path.parent) if path.suffix != ".json" else {}
    else:
        path = find_file(folder_or_file, "vocab.txt", "tokenizer.json")
        config = _read_config(folder_or_file)
    if path.suffix == ".json":
        pieces, settings = read_tokenizer_json(path)
        config = settings | config
    else:
        lines = read_text(path).removesuffix("\n").split("\n")
        pieces = [_from_line(line) for line in lines]
    _check_config(config)
    if lowercase is None:
        lowercase = config.get("do_lower_case")
    if lowercase is None:  # a capital outside [UNK] and its like shows a cased one
        lowercase = all(p == p.lower() for p in pieces if not p.startswith("["))
    if max_word_characters is None:
        max_word_characters = config.get("max_word_characters", LONGEST_WORD)
    check_settings(lowercase, max_word_characters)
    # The libraries can do one without the other; read so, words would become [UNK].
    if config.get("strip_accents") not in (None, lowercase):
        raise ValueError(
            f"the tokenizer's files say strip_accents={config['strip_accents']}, but "
            f"lowercase={lowercase}; BERT's tokenizer does both or neither"
        )
    return Vocabulary(pieces, lowercase, max_word_characters)


def save_vocabulary(folder: str | Path, vocabulary: Vocabulary) -> None:
    """Write `vocab.txt`, `tokenizer_config.json` and `tokenizer.json`.

    Raises:
        ValueError: if a piece cannot stand in such a file.
    """
    for id, piece in enumerate(vocabulary.pieces):
        surrogate = any("\ud800" <= character <= "\udfff" for character in piece)
        mark = id == 0 and piece[:1] == "\ufeff"  # would be read as a byte order mark
        if surrogate or mark or "\n" in piece or piece != _from_line(piece):
            raise ValueError(
                f"piece {id}, {piece!r}, cannot stand on a line of vocab.txt: it has "
                "white space at an end, a line break, half of a surrogate pair, or a "
                "byte order mark"
            )
    folder = Path(folder).expanduser()
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": vocabulary.lowercase,
        "max_word_characters": vocabulary.max_word_characters,
    }
    files = {
        "vocab.txt": "".join(f"{piece}\n" for piece in vocabulary.pieces),
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "tokenizer.json": tokenizer_json_text(vocabulary),
    }
    for name, text in files.items():
        write_text(folder / name, text)


def check_vocabulary(pieces: list[str], ids: Mapping[str, int]) -> None:
    """Every special token there, no piece empty or twice; ValueError says which."""
    if "" in ids:
        raise ValueError(
            f"piece {pieces.index('')} of the vocabulary is empty (line "
            f"{pieces.index('') + 1} of a vocab.txt); a piece's id is its place, so "
            "put a placeholder there, such as [unused0], or restore the file"
        )
    missing = [piece for piece in SPECIAL if piece not in ids]
    if missing:
        raise ValueError(
            f"the vocabulary of {len(pieces)} pieces lacks {', '.join(missing)}; "
            "is this the vocab.txt of a BERT?"
        )
    if len(ids) != len(pieces):
        line = next(i for i, piece in enumerate(pieces) if ids[piece] != i)
        raise ValueError(
            f"the vocabulary holds {pieces[line]!r} twice, as ids {line} and "
            f"{ids[pieces[line]]}; each piece has one id, so remove one"
        )


def _from_line(line: str) -> str:
    """As in Google's `load_vocab`, but a line of exotic spaces is a piece."""
    return line.strip() or line.strip("\r")


def _read_config(folder_or_name: str | Path) -> dict[str, Any]:
    """What the checkpoint's `tokenizer_config.json` says; empty if it has none."""
    try:
        path = find_file(folder_or_name, "tokenizer_config.json")
    except FileNotFoundError:
        return {}
    return {key: value for key, value in read_json(path).items() if value is not None}


def check_settings(lowercase: object, max_word_characters: object) -> None:
    """ValueError unless they are True or False, and a whole number from 1."""
    if not isinstance(lowercase, bool):
        raise ValueError(f"lowercase={lowercase!r}; give True (uncased) or False")
    longest = max_word_characters
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
        raise ValueError(
            f"max_word_characters={longest!r}; give a whole number from 1, such as "
            f"{LONGEST_WORD} (google-research/bert) or 100 (transformers)"
        )


def _check_config(config: Mapping[str, Any]) -> None:
    """Options of other tokenizers that this one does not have must not be ignored."""
    if config.get("do_lower_case") not in (None, True, False):
        raise ValueError(
            f"the tokenizer's files say do_lower_case={config['do_lower_case']!r}; "
            "it must be true or false"
        )
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(
            "the tokenizer's files say tokenize_chinese_chars=False; BERT's "
            "tokenizer always separates Chinese characters"
        )
    # Other values would cut some texts otherwise, and nothing would show it.
    fixed = {"do_basic_tokenize": True, "never_split": [], "unk_token": "[UNK]"}
    for key, value in fixed.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"the tokenizer's files say {key}={config[key]!r}; BERT's tokenizer, "
                f"and so ours, has {value!r}"
            )


def read_tokenizer_json(path: Path) -> tuple[list[str], dict[str, Any]]:
    """The pieces by id, and the settings by their names in `tokenizer_config.json`.

    Raises:
        ValueError: if the file holds another kind of tokenizer than BERT's.
    """
    content = read_json(path)
    model = _table(path, content, "model")
    if model.get("type") != "WordPiece":
        raise ValueError(
            f"{path} holds a {model.get('type')} tokenizer; BERT's is WordPiece"
        )
    normalizer = _table(path, content, "normalizer")
    pre_tokenizer = _table(path, content, "pre_tokenizer")
    # Another rule would cut some texts otherwise, and nothing would show it.
    for part, value, expected in (
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("clean_text", normalizer.get("clean_text", True), True),
        ("pre_tokenizer", pre_tokenizer.get("type"), "BertPreTokenizer"),
        ("unk_token", model.get("unk_token"), "[UNK]"),
        ("continuing_subword_prefix", model.get("continuing_subword_prefix"), "##"),
    ):  # fmt: skip
        if value != expected:
            raise ValueError(
                f"{path}: {part} is {value!r}, where BERT has {expected!r}"
            )
    settings = {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
    }
    for token in content.get("added_tokens") or []:
        if token.get("content") not in SPECIAL:
            raise ValueError(
                f"{path} adds the token {token.get('content')!r}, which is read out of "
                f"the text as it stands; ours does so with {', '.join(SPECIAL)} only"
            )
    return pieces_by_id(_table(path, model, "vocab"), path), settings


def tokenizer_json_text(vocabulary: Vocabulary) -> str:
    """The `tokenizer.json` of such a tokenizer, as the library writes it."""
    ids = {piece: id for id, piece in enumerate(vocabulary.pieces)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            # The library reads such tokens out of the text itself, as they stand.
            {"id": ids[token], "content": token, **flags, "special": True}
            for token in SPECIAL
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,  # the library's word for "if lowercase"
            "lowercase": vocabulary.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", ids["[SEP]"]],
            "cls": ["[CLS]", ids["[CLS]"]],
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": vocabulary.max_word_characters,
            "vocab": ids,
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _table(path: Path, content: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of the file that holds names and values; empty if it is null."""
    part = content.get(name) or {}
    if not isinstance(part, dict):
        raise ValueError(f"{path}: {name} must hold names and values, not {part!r:.40}")
    return part


def pieces_by_id(ids: Mapping[str, int], place: str | Path) -> list[str]:
    """The pieces in the order of their ids, which must be 0, 1, 2, …

    Args:
        ids: of each piece.
        place: where they were found, for the message.

    Raises:
        ValueError: if an id is missing, or no number.
    """
    for piece, id in ids.items():
        if type(id) is not int:
            raise ValueError(f"{place}: the id of {piece!r} is {id!r}, no whole number")
    pieces = sorted(ids, key=ids.__getitem__)
    for number, piece in enumerate(pieces):
        if ids[piece] != number:
            raise ValueError(
                f"{place}: the vocabulary of {len(ids)} pieces has no id {number}, but "
                f"{piece!r} has {ids[piece]}; ids must be 0 to {len(ids) - 1}"
            )
    return pieces
