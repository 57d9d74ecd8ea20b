"""Vocabulary: the pieces in a `vocab.txt` or `tokenizer.json`, and their rules.

A line of `vocab.txt` is a piece and its number the id; a `tokenizer.json` of the
tokenizers library holds the same pieces and settings (chapter 1). What stands beside
them, `tokenizer_config.json` and its like, says how a text is cut: each key that
changes ids is obeyed or refused, because a wrong id shows itself nowhere.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from bertcore.files import read_json, read_text, write_text
from bertcore.sources import find_file, find_optional

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROLES = ("pad", "unk", "cls", "sep", "mask")  # of these five
# google-research/bert tokenization.py, `WordpieceTokenizer`. The first release had 100,
# and so has the transformers library to this day.
LONGEST_WORD = 200
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")  # of an added token
# Keys of tokenizer_config.json that are refused unless at these values: others would
# cut some texts otherwise, or lay out a batch otherwise.
FIXED = {
    "do_basic_tokenize": True,
    "never_split": [],
    "clean_text": True,
    "wordpieces_prefix": "##",
    "remove_space": True,
    "sp_model_kwargs": {},
    "split_special_tokens": False,
    "add_bos_token": False,
    "add_eos_token": False,
    "padding_side": "right",
    "truncation_side": "right",
    "pad_token_type_id": 0,
    "fast_tokenizer_files": ["tokenizer.json"],
    "init_inputs": [],
}
SWITCHES = (  # keys that are obeyed; beside a tokenizer.json both must say the same
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "keep_accents",
    "split_by_punct",
    "add_prefix_space",
)
_BERT = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
# A tokenizer_class that says no more than that there is a tokenizer.json.
_ANY = ("PreTrained", "TokenizersBackend", "")
# What the others mean where tokenizer_config.json is silent (transformers 5.23),
SILENT: dict[str, dict[str, Any]] = {
    "Bert": _BERT,
    "DistilBert": _BERT,
    "Electra": _BERT,
    "MobileBert": _BERT,
    "Roberta": {"add_prefix_space": False},
    "Albert": {"do_lower_case": True, "keep_accents": False, "add_prefix_space": True},
    "DebertaV2": {
        "do_lower_case": False,
        "split_by_punct": False,
        "add_prefix_space": True,
    },
}
# and the kind of model in their tokenizer.json.
_KINDS = {name: "WordPiece" for name in SILENT} | {
    "Roberta": "BPE",
    "Albert": "Unigram",
    "DebertaV2": "Unigram",
}


class Vocabulary(NamedTuple):
    """All that a WordPiece tokenizer has learned or been told.

    `strip_accents` is None for "if lowercase". `special` has the names of the five by
    their `ROLES`. `added` are the tokens found in a text before it is cut, as a
    `tokenizer.json` lists them; those that are no pieces have the ids after these.
    """

    pieces: list[str]
    lowercase: bool
    max_word_characters: int
    strip_accents: bool | None = None
    chinese: bool = True
    special: Mapping[str, str] = dict(zip(ROLES, SPECIAL, strict=True))
    added: Iterable[Mapping[str, Any]] = ()

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
        if not self.chinese:
            asked.append("tokenize_chinese_chars=False")
        asked += [
            f"the added token {token['content']!r}"
            for token in self.added
            if token["content"] not in SPECIAL or any(token[flag] for flag in _FLAGS)
        ]
        return ", ".join(asked[:3]) + (" and more" if len(asked) > 3 else "")


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
        folder = not Path(folder_or_file).expanduser().is_file()
        lines = find_optional(folder_or_file, "vocab.txt") if folder else None
        if lines is not None:  # Google's file, so Google's limit
            _check_same(path, pieces, lines)
            del settings["max_word_characters"]
        # Classes of BERT's own obey the configuration where it says anything.
        told = {} if class_name(config) in _ANY else config
        if lowercase is None:
            silent = {k: v for k, v in settings.items() if k not in told}
            check_agreement(path, config, silent)
    else:
        pieces = _read_lines(path)
    config = settings | config
    ids = {piece: id for id, piece in enumerate(pieces)}
    added = added_tokens(config, special, listed, ids)
    while pieces and not pieces[-1]:  # a blank line at the end is no piece
        ids.pop(pieces.pop(), None)
    every = ids | {token["content"]: token["id"] for token in added}
    check_vocabulary(pieces, ids, [s for s in special.values() if s not in every])
    pieces_by_id(every, path)
    if lowercase is None:
        lowercase = config.get("do_lower_case")
    if lowercase is None:  # a capital outside [UNK] and its like shows a cased one
        lowercase = all(p == p.lower() for p in pieces if not p.startswith("["))
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
    )


# What stands beside a vocabulary -----------------------------------------------------


def find_vocabulary(
    folder_or_file: str | Path, *others: str
) -> tuple[Path, dict[str, Any]]:
    """The file of a vocabulary, and what the files beside it say.

    Newer versions of transformers write all into `tokenizer_config.json`, with a table
    `added_tokens_decoder`. Where that is missing, they read the older
    `special_tokens_map.json` and `added_tokens.json`, and so do we. Beside a
    `tokenizer.json` that is named itself, nothing is read.

    Args:
        folder_or_file: a folder, a hub name or a file.
        others: names of files that will do, too, where there is no `tokenizer.json` and
            no `vocab.txt`.

    Raises:
        FileNotFoundError: if there is no such file, or if the hub cannot be reached to
            say what it has.
        ValueError: naming the key that asks for what is not to be had.
    """
    path, folder = Path(folder_or_file).expanduser(), folder_or_file
    if path.is_file():
        folder = path.parent
    else:
        names = ("tokenizer.json", "vocab.txt", *others)
        path = find_optional(folder, names[0]) or find_file(folder, *names)
    config: dict[str, Any] = {}

    def read(name: str) -> dict[str, Any]:
        found = find_optional(folder, name)
        values = {} if found is None else read_json(found)
        return {key: value for key, value in values.items() if value is not None}

    if path.suffix != ".json" or folder is folder_or_file:
        config = read("tokenizer_config.json")
        if "added_tokens_decoder" not in config:
            older = read("special_tokens_map.json")
            if config.get("extra_special_tokens") or "additional_special_tokens" in config:
                older.pop("additional_special_tokens", None)  # as in transformers
            config |= older
            config["added_tokens"] = read("added_tokens.json")
        if "tokenizer_class" not in config and path.suffix == ".json":
            kind = str(read("config.json").get("model_type")).replace("-", "")
            config |= {"tokenizer_class": c for c in SILENT if c.lower() == kind}
    for key, value in FIXED.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"the tokenizer's files say {key}={config[key]!r}; we read tokenizers "
                f"with {key}={value!r} alone"
            )
    check_switches(config)
    return path, config


def check_switches(config: Mapping[str, Any]) -> None:
    """ValueError if a setting that is on or off is something else."""
    for key in SWITCHES:
        if config.get(key) not in (None, True, False):
            raise ValueError(
                f"the tokenizer's files say {key}={config[key]!r}; it must be true or "
                "false"
            )


def class_name(config: Mapping[str, Any]) -> str:
    """`tokenizer_class` without "Tokenizer" and "Fast"; "" if the files do not say.

    >>> class_name({"tokenizer_class": "BertTokenizerFast"})
    'Bert'
    """
    name = str(config.get("tokenizer_class", ""))
    return name.removesuffix("Fast").removesuffix("Tokenizer")


def check_class(path: Path, config: Mapping[str, Any], kind: str) -> None:
    """ValueError if a vocabulary is not what `tokenizer_class` makes of it."""
    name = class_name(config)
    right = _KINDS.get(name)
    if name not in _ANY and right != kind and (right or kind == "WordPiece"):
        raise ValueError(
            f"the tokenizer's files say tokenizer_class={config['tokenizer_class']!r}, "
            f"and {path} holds {kind}, which such a tokenizer does not read; name the "
            "class that the model was trained with"
        )


def check_agreement(
    path: Path, config: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """ValueError if a `tokenizer.json` does not do what the files beside it say.

    Args:
        path: of the file.
        config: what the files beside it say.
        found: what it does, by the keys of `tokenizer_config.json`.
    """
    said = SILENT.get(class_name(config), {}) | config
    for key in SWITCHES:
        if key in said and key in found and said[key] != found[key]:
            how = "says" if key in config else "is silent, which means"
            raise ValueError(
                f"{path} has {key}={found[key]}, and tokenizer_config.json {how} "
                f"{key}={said[key]}; write there what the model was trained with, and "
                "delete the file that is wrong"
            )


def role_names(config: Mapping[str, Any]) -> dict[str, str]:
    """The names of special tokens by their `ROLES`, as far as the files say them."""
    keys = {role: f"{role}_token" for role in ROLES}
    return {
        role: _added_token(None, config[key], key)["content"]
        for role, key in keys.items()
        if key in config
    }


def added_tokens(
    config: Mapping[str, Any],
    special: Mapping[str, str],
    listed: Iterable[Mapping[str, Any]],
    ids: Mapping[str, int],
) -> list[dict[str, Any]]:
    """The tokens that are found in a text before it is cut, in the order of their ids.

    As in transformers: those that the files give an id, then special tokens that have
    none yet. One that is no piece of the vocabulary has an id after the pieces.

    Args:
        config: what the files beside the vocabulary say.
        special: the names of special tokens by their roles.
        listed: the `added_tokens` of a `tokenizer.json`, if there is one.
        ids: of the pieces in the vocabulary.

    Raises:
        ValueError: if the files disagree about a token.
    """
    named, stated = _named_tokens(config, special), {}
    for key in ("added_tokens_decoder", "added_tokens"):
        table = config.get(key) or {}
        if not isinstance(table, dict):
            raise ValueError(f"{key} of the tokenizer's files must be a table")
        for id, token in table.items():
            if key == "added_tokens":  # ids by tokens; those with a name are special
                id, token = token, {"content": id, "special": id in named}
            token = _added_token(id, token, key)
            stated[token["content"]] = token
    found = {
        token["content"]: token
        for given in listed
        for token in [_added_token(given.get("id", ""), given, "added_tokens")]
    }
    for name in stated.keys() | found.keys() if found else ():
        one, other = stated.get(name), found.get(name)
        apart = one and other and one["id"] != other["id"]
        if apart or ("added_tokens_decoder" in config and one != other):
            raise ValueError(
                f"tokenizer.json and the files beside it disagree about the added token "
                f"{name!r}; save the tokenizer again, or delete the file that is wrong"
            )
    found = stated | found
    following = 1 + max([*ids.values(), *(token["id"] for token in found.values())])
    for name, token in named.items():
        role = name in special.values()
        if name in found or name in ids or not role:  # else it is missing
            token = found.setdefault(name, token)
            token["special"] |= role
        if token["id"] is None:
            token["id"] = ids.get(name, following)
            following += name not in ids
    for name, token in found.items():
        if ids.get(name, token["id"]) != token["id"]:
            raise ValueError(
                f"the added token {name!r} has the id {token['id']}, and as a piece of "
                f"the vocabulary {ids[name]}; save the tokenizer again"
            )
    return sorted(found.values(), key=lambda token: token["id"])


def _named_tokens(
    config: Mapping[str, Any], special: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Special tokens that have a name in the files, in the order of transformers."""
    tokens = {f"{role}_token": name for role, name in special.items()}
    tokens |= {key: config[key] for key in ("bos_token", "eos_token") if key in config}
    tokens |= {
        key: value
        for key, value in config.items()
        if key.endswith("_token") and isinstance(value, str | dict)
    }
    extra = config.get("extra_special_tokens") or config.get(
        "additional_special_tokens"
    )
    if isinstance(extra, dict):
        tokens |= extra
    elif isinstance(extra, list):
        tokens |= {f"extra_special_tokens[{n}]": token for n, token in enumerate(extra)}
    found: dict[str, dict[str, Any]] = {}
    for key, value in tokens.items():
        token = _added_token(None, value, key, special=True)
        found.setdefault(token["content"], token)
    return found


def _added_token(
    id: Any, token: Any, key: str, special: bool = False
) -> dict[str, Any]:
    """A token as a `tokenizer.json` lists it, of its text or of a table with flags."""
    table = {"content": token} if isinstance(token, str) else token
    if (
        not isinstance(table, dict)
        or not isinstance(table.get("content"), str)
        or not (id is None or str(id).isdecimal())
    ):
        raise ValueError(
            f"the tokenizer's files say {key}: {token!r:.80} with the id {id}; a token "
            'is a text, or a table with a text as "content", and an id a whole number'
        )
    special = table.get("special", special) is True
    flags = {flag: table.get(flag, False) is True for flag in _FLAGS}
    flags["normalized"] = table.get("normalized", not special) is True
    number = None if id is None else int(id)
    return {"id": number, "content": table["content"], **flags, "special": special}


# Files of one's own ------------------------------------------------------------------


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
    """The pieces by id, settings by their names in `tokenizer_config.json`, added tokens.

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
            raise ValueError(
                f"{path}: {part} is {value!r}, where BERT has {expected!r}"
            )
    lowercase = normalizer.get("lowercase", True)
    accents = normalizer.get("strip_accents")
    settings = {
        "do_lower_case": lowercase,
        "strip_accents": None if accents == lowercase else accents,
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
    }
    check_switches(settings)
    ids = _table(path, model, "vocab")
    return pieces_by_id(ids, path), settings, content.get("added_tokens") or []


def _frame_names(frame: Any) -> Any:
    """[CLS] and [SEP] of a post-processor that is BERT's; else the post-processor."""
    try:
        if frame["type"] == "BertProcessing":
            return [frame["cls"][0], frame["sep"][0]]
        cls, _, sep = frame["single"]
        names = [part["SpecialToken"]["id"] for part in (cls, sep)]
        if frame == _template(*names, frame["special_tokens"]):
            return names
    except (KeyError, TypeError, ValueError):
        pass
    return frame


def _template(cls: str, sep: str, tokens: Any) -> dict[str, Any]:
    """`[CLS] text [SEP]`, and `[CLS] text [SEP] pair [SEP]`, as the library writes it."""
    first, last = ({"SpecialToken": {"id": t, "type_id": 0}} for t in (cls, sep))
    single = [first, {"Sequence": {"id": "A", "type_id": 0}}, last]
    end = {"SpecialToken": {"id": sep, "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, end],
        "special_tokens": tokens,
    }


def check_sides(path: Path, content: Mapping[str, Any]) -> None:
    """ValueError if a `tokenizer.json` pads or cuts texts at their beginning."""
    for part in ("padding", "truncation"):
        side = (content.get(part) or {}).get("direction", "Right")
        if side != "Right":
            raise ValueError(f"{path}: {part} at the {side.lower()}; ours is at the right")


def tokenizer_json_text(vocabulary: Vocabulary) -> str:
    """The `tokenizer.json` of such a tokenizer, as the library writes it."""
    ids = {piece: id for id, piece in enumerate(vocabulary.pieces)}
    # The library reads such tokens out of the text itself, as they stand.
    added = vocabulary.added or added_tokens({}, vocabulary.special, [], ids)
    every = ids | {token["content"]: token["id"] for token in added}
    cls, sep = (vocabulary.special[role] for role in ("cls", "sep"))
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
        "post_processor": {
            "type": "BertProcessing",
            "sep": [sep, every[sep]],
            "cls": [cls, every[cls]],
        },
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
