"""Tokenizer files: what stands beside a vocabulary, and how it changes ids (chapter 1).

`tokenizer_config.json` and its like say how a text is cut, and which tokens are found
in it before. Each key that changes ids is obeyed or refused, because a wrong id shows
itself nowhere.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bertcore.files import read_json
from bertcore.sources import find_file, find_optional

ROLES = ("pad", "unk", "cls", "sep", "mask")  # of the special tokens
FLAGS = ("single_word", "lstrip", "rstrip", "normalized")  # of an added token
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
TABLES = ("added_tokens_decoder", "model_specific_special_tokens")
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
ANY_CLASS = ("PreTrained", "TokenizersBackend", "")
# What the others mean where tokenizer_config.json is silent (transformers 5.23) …
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
# … and the kind of model in their tokenizer.json.
_KINDS = {name: "WordPiece" for name in SILENT} | {
    "Roberta": "BPE",
    "Albert": "Unigram",
    "DebertaV2": "Unigram",
}


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
            if (
                config.get("extra_special_tokens")
                or "additional_special_tokens" in config
            ):
                older.pop("additional_special_tokens", None)  # as in transformers
            config |= older
            config["added_tokens"] = read("added_tokens.json")
        if "tokenizer_class" not in config and path.suffix == ".json":
            kind = str(read("config.json").get("model_type")).replace("-", "")
            names = (name for name in SILENT if name.lower() == kind)
            config["tokenizer_class"] = next(names, "")
    _check_keys(config)
    return path, config


def _check_keys(config: Mapping[str, Any]) -> None:
    """ValueError if a key has a value that is not obeyed."""
    for key, value in FIXED.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"the tokenizer's files say {key}={config[key]!r}; we read tokenizers "
                f"with {key}={value!r} alone"
            )
    for key in TABLES:
        if not isinstance(config.get(key, {}), dict):
            raise ValueError(f"{key} of the tokenizer's files must be a table")
    for key in SWITCHES:
        if not isinstance(config.get(key), bool | None):  # 0 and 1 are none
            raise ValueError(
                f"the tokenizer's files say {key}={config[key]!r}; it must be true or "
                "false"
            )


def has_segments(config: Mapping[str, Any]) -> bool:
    """Whether a model is told which text of a pair a piece is of.

    DistilBERT's files say no, and its model has no table of segments in any case.
    """
    names = config.get("model_input_names", ["token_type_ids"])
    return "token_type_ids" in names or class_name(config) == "DistilBert"


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
    if name not in ANY_CLASS and right != kind and (right or kind == "WordPiece"):
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
    named = _named_tokens(config, special)
    found = _numbered_tokens(config, named, listed)
    following = 1 + max([-1, *ids.values(), *(token["id"] for token in found.values())])
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


def _numbered_tokens(
    config: Mapping[str, Any],
    named: Mapping[str, Mapping[str, Any]],
    listed: Iterable[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The added tokens that the files give an id, by their texts."""
    stated = {}
    for key in ("added_tokens_decoder", "added_tokens"):
        for id, token in config.get(key, {}).items():
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
                "tokenizer.json and the files beside it disagree about the added "
                f"token {name!r}; save the tokenizer again, or delete what is wrong"
            )
    return stated | found


def _named_tokens(
    config: Mapping[str, Any], special: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Special tokens that have a name in the files, in the order of transformers."""
    tokens = {f"{role}_token": name for role, name in special.items()}
    tokens |= {key: config[key] for key in ("bos_token", "eos_token") if key in config}
    more = {
        key: value
        for key, value in config.items()
        if key.endswith("_token") and isinstance(value, str | dict)
    }
    extra = config.get("extra_special_tokens") or config.get(
        "additional_special_tokens"
    )
    if isinstance(extra, dict):
        more |= extra
    # transformers writes such tokens twice, and reads the table if that is all.
    if more.keys() <= tokens.keys():
        more |= config.get("model_specific_special_tokens", {})
    tokens |= more
    if isinstance(extra, list):
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
    flags = {flag: table.get(flag, False) is True for flag in FLAGS}
    flags["normalized"] = table.get("normalized", not special) is True
    number = None if id is None else int(id)
    return {"id": number, "content": table["content"], **flags, "special": special}


def check_sides(path: Path, content: Mapping[str, Any]) -> None:
    """ValueError if a `tokenizer.json` pads or cuts texts at their beginning."""
    for part in ("padding", "truncation"):
        side = (content.get(part) or {}).get("direction", "Right")
        if side != "Right":
            raise ValueError(
                f"{path}: {part} at the {side.lower()}; ours is at the right"
            )
