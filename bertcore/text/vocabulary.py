"""Vocabulary: the pieces in a `vocab.txt` or `tokenizer.json`, and their rules.

A line of `vocab.txt` is a piece and its number the id; a `tokenizer.json` of the
tokenizers library holds the same pieces and settings (chapter 1). What stands beside
them is read by `bertcore.text.tokenizer_files`.
"""

import json
import warnings
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import read_json, read_text, write_text
from bertcore.sources import find_optional, names_damage
from bertcore.text.tokenizer_files import (
    ANY_CLASS,
    FLAGS,
    ROLES,
    added_tokens,
    check_agreement,
    check_class,
    check_sides,
    class_name,
    find_vocabulary,
    has_segments,
    role_names,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# google-research/bert tokenization.py, `WordpieceTokenizer`. The first release had 100,
# and so has the transformers library to this day.
LONGEST_WORD = 200


class Vocabulary(NamedTuple):
    """All that a WordPiece tokenizer has learned or been told.

    `strip_accents` is None for "if lowercase". `special` has the names of the five by
    their `ROLES`. `added` are the tokens found in a text before it is cut, as a
    `tokenizer.json` lists them; those that are no pieces have the ids after these.
    Without `segments` the model is not told which text of a pair a piece is of.
    """

    pieces: list[str]
    lowercase: bool
    max_word_characters: int
    strip_accents: bool | None = None
    chinese: bool = True
    special: Mapping[str, str] = dict(zip(ROLES, SPECIAL, strict=True))
    added: Iterable[Mapping[str, Any]] = ()
    segments: bool = True

    @property
    def beyond(self) -> str:
        """What the files ask for that `Tokenizer` does not have; "" if nothing."""
        asked = [
            f"{role}_token={name!r}"
            for (role, name), usual in zip(self.special.items(), SPECIAL, strict=True)
            if name != usual
        ]
        if self.strip_accents not in (None, self.lowercase):
            asked.append(f"strip_accents={self.strip_accents}")
        if not self.segments:
            asked.append("model_input_names without token_type_ids")
        if not self.chinese:
            asked.append("tokenize_chinese_chars=False")
        asked += [
            f"the added token {token['content']!r}"
            for token in self.added
            if token["content"] not in SPECIAL or any(token[flag] for flag in FLAGS)
        ]
        return ", ".join(asked[:3]) + (" and more" if len(asked) > 3 else "")


@names_damage
def load_vocabulary(
    folder_or_file: str | Path,
    lowercase: bool | None = None,
    max_word_characters: int | None = None,
) -> Vocabulary:
    """A vocabulary from a folder, a hub name, a `vocab.txt` or a `tokenizer.json`.

    What is None is decided by the files: `tokenizer_config.json` and its like beside a
    `vocab.txt`, or the `tokenizer.json` itself. If they are silent, text is lower-cased
    unless the pieces hold capitals, and a word may have 200 characters.

    Raises:
        FileNotFoundError: if there is no such checkpoint or file.
        ValueError: naming what the files ask for that is not to be had, or where they
            disagree.
    """
    path, config = find_vocabulary(folder_or_file)
    check_class(path, config, "WordPiece")
    special = dict(zip(ROLES, SPECIAL, strict=True)) | role_names(config)
    settings, listed = {}, []
    if path.suffix == ".json":
        pieces, settings, listed = read_tokenizer_json(path, special)
        # Classes of BERT's own obey the configuration where it says anything.
        told = {} if class_name(config) in ANY_CLASS else config
        if lowercase is None:
            silent = {k: v for k, v in settings.items() if k not in told}
            check_agreement(path, config, silent)
        if path != Path(folder_or_file).expanduser():
            lines = find_optional(folder_or_file, "vocab.txt")
            if lines is not None:  # Google's file, so Google's limit
                _check_same(path, pieces, lines)
                del settings["max_word_characters"]
    else:
        pieces = _read_lines(path)
    return _vocabulary(
        path, pieces, special, listed, settings | config, lowercase, max_word_characters
    )


def _vocabulary(
    path: Path,
    pieces: list[str],
    special: Mapping[str, str],
    listed: Iterable[Mapping[str, Any]],
    config: Mapping[str, Any],
    lowercase: bool | None,
    max_word_characters: int | None,
) -> Vocabulary:
    """What the files say, put together and checked; see `load_vocabulary`."""
    ids = {piece: id for id, piece in enumerate(pieces)}
    added = added_tokens(config, special, listed, ids)
    while pieces and not pieces[-1]:  # a blank line at the end is no piece
        ids.pop(pieces.pop(), None)
    every = ids | {token["content"]: token["id"] for token in added}
    lacking = (
        name if name in SPECIAL else f"{name} ({role}_token)"
        for role, name in special.items()
        if name not in every
    )
    check_vocabulary(pieces, ids, lacking)
    pieces_by_id(every, path)
    if lowercase is None:
        lowercase = config.get("do_lower_case")
    if lowercase is None:
        lowercase = _has_no_capitals(path, pieces, config)
    if max_word_characters is None:
        max_word_characters = config.get("max_word_characters", LONGEST_WORD)
    check_settings(lowercase, max_word_characters)
    return Vocabulary(
        pieces,
        lowercase,
        max_word_characters,
        config.get("strip_accents"),
        config.get("tokenize_chinese_chars", True),
        special,
        added,
        config.get("segments", True) and has_segments(config),
    )


def _has_no_capitals(path: Path, pieces: list[str], config: Mapping[str, Any]) -> bool:
    """Whether texts are to be lower-cased, where the files do not say so."""
    # A capital outside [UNK] and its like shows a cased vocabulary.
    lowercase = all(p == p.lower() for p in pieces if not p.startswith("["))
    if not lowercase and config.keys() - {"added_tokens"}:
        warnings.warn(
            f"tokenizer_config.json beside {path} does not say do_lower_case: its "
            "pieces hold capitals, so texts keep theirs; transformers would not",
            stacklevel=2,
        )
    return lowercase


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


def check_vocabulary(
    pieces: list[str], ids: Mapping[str, int], special: Iterable[str] = SPECIAL
) -> None:
    """Every special token there, no piece empty or twice; ValueError says which."""
    if "" in ids:
        raise ValueError(
            f"piece {pieces.index('')} of the vocabulary is empty (line "
            f"{pieces.index('') + 1} of a vocab.txt); a piece's id is its place, so "
            "put a placeholder there, such as [unused0], or restore the file"
        )
    missing = [piece for piece in special if piece not in ids]
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


def _read_lines(path: Path) -> list[str]:
    lines = read_text(path).removesuffix("\n").split("\n")
    return [_from_line(line) for line in lines]


def _check_same(path: Path, pieces: list[str], beside: Path) -> None:
    """ValueError if `vocab.txt` has other pieces than the `tokenizer.json`."""
    lines = _read_lines(beside)
    for id, (one, other) in enumerate(zip_longest(pieces, lines)):
        if one != other and (one is None or other is None or one.strip() != other):
            raise ValueError(
                f"{path} and {beside.name} beside it differ: piece {id} is {one!r} and "
                f"{other!r}; delete the one that is out of date"
            )


def _from_line(line: str) -> str:
    """As in Google's `load_vocab`, but a line of exotic spaces is a piece."""
    return line.strip() or line.strip("\r")


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


def read_tokenizer_json(
    path: Path, special: Mapping[str, str]
) -> tuple[list[str], dict[str, Any], list[dict[str, Any]]]:
    """Pieces by id, settings by their names in `tokenizer_config.json`, added tokens.

    Raises:
        ValueError: if the file holds another kind of tokenizer than BERT's.
    """
    content = read_json(path)
    check_sides(path, content)
    model = _table(path, content, "model")
    if model.get("type") != "WordPiece":
        raise ValueError(
            f"{path} holds a {model.get('type')} tokenizer; BERT's is WordPiece"
        )
    normalizer = _table(path, content, "normalizer")
    pre_tokenizer = _table(path, content, "pre_tokenizer")
    frame = content.get("post_processor")
    # Another rule would cut some texts otherwise, and nothing would show it.
    for part, value, expected in (
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("clean_text", normalizer.get("clean_text", True), True),
        ("pre_tokenizer", pre_tokenizer.get("type"), "BertPreTokenizer"),
        ("unk_token", model.get("unk_token"), special["unk"]),
        ("continuing_subword_prefix", model.get("continuing_subword_prefix"), "##"),
        ("post_processor", _frame_names(frame), [special["cls"], special["sep"]]),
    ):  # fmt: skip
        if value != expected:
            framed = part == "post_processor" and expected != [SPECIAL[2], SPECIAL[3]]
            whose = "cls_token and sep_token are" if framed else "BERT has"
            raise ValueError(f"{path}: {part} is {value!r}, where {whose} {expected!r}")
    settings = _settings_in(path, normalizer, model)
    if isinstance(frame.get("pair"), list):  # 0 where a model tells no texts apart
        settings["segments"] = frame["pair"][-1]["SpecialToken"]["type_id"] != 0
    ids = _table(path, model, "vocab")
    return pieces_by_id(ids, path), settings, content.get("added_tokens") or []


def _settings_in(
    path: Path, normalizer: Mapping[str, Any], model: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings by their names in `tokenizer_config.json`; ValueError names the key."""
    lowercase = normalizer.get("lowercase", True)
    accents = normalizer.get("strip_accents")
    chinese = normalizer.get("handle_chinese_chars", True)
    longest = model.get("max_input_chars_per_word", 100)
    for key, value, is_right in (
        ("lowercase", lowercase, isinstance(lowercase, bool)),
        ("strip_accents", accents, isinstance(accents, bool | None)),
        ("handle_chinese_chars", chinese, isinstance(chinese, bool)),
        ("max_input_chars_per_word", longest, type(longest) is int and longest > 0),
    ):
        if not is_right:
            kind = "a whole number from 1" if value is longest else "true or false"
            raise ValueError(f"{path}: {key} is {value!r}; it must be {kind}")
    return {
        "do_lower_case": lowercase,
        "strip_accents": None if accents == lowercase else accents,
        "tokenize_chinese_chars": chinese,
        "max_word_characters": longest,
    }


def _frame_names(frame: Any) -> Any:
    """[CLS] and [SEP] of a post-processor that is BERT's; else the post-processor."""
    try:
        if frame["type"] == "BertProcessing":
            return [frame["cls"][0], frame["sep"][0]]
        cls, _, sep = frame["single"]
        names = [part["SpecialToken"]["id"] for part in (cls, sep)]
        if any(frame == _template(*names, frame["special_tokens"], n) for n in (0, 1)):
            return names
    except (KeyError, TypeError, ValueError):
        pass
    return frame


def _template(cls: str, sep: str, tokens: Any, second: int) -> dict[str, Any]:
    """`[CLS] text [SEP]`, `[CLS] text [SEP] pair [SEP]`, as the library writes them.

    `second` is the segment of the pair: 1, or 0 if the model tells none apart.
    """
    first, last = ({"SpecialToken": {"id": t, "type_id": 0}} for t in (cls, sep))
    single = [first, {"Sequence": {"id": "A", "type_id": 0}}, last]
    end = {"SpecialToken": {"id": sep, "type_id": second}}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": second}}, end],
        "special_tokens": tokens,
    }


def tokenizer_json_text(vocabulary: Vocabulary) -> str:
    """The `tokenizer.json` of such a tokenizer, as the library writes it."""
    ids = {piece: id for id, piece in enumerate(vocabulary.pieces)}
    # The library reads such tokens out of the text itself, as they stand.
    added = vocabulary.added or added_tokens({}, vocabulary.special, [], ids)
    every = ids | {token["content"]: token["id"] for token in added}
    cls, sep = (vocabulary.special[role] for role in ("cls", "sep"))
    frame = {"type": "BertProcessing"}
    frame |= {"sep": [sep, every[sep]], "cls": [cls, every[cls]]}
    if not vocabulary.segments:
        tokens = {s: {"id": s, "ids": [every[s]], "tokens": [s]} for s in (cls, sep)}
        frame = _template(cls, sep, tokens, 0)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": vocabulary.chinese,
            "strip_accents": vocabulary.strip_accents,  # None is "if lowercase"
            "lowercase": vocabulary.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": frame,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": vocabulary.special["unk"],
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
