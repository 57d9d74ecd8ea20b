"""The `tokenizer.json` of the tokenizers library: BERT's kind, read and written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertcore.sources import read_json


def read(path: Path, special: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
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
    for part, found, wanted in (
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("clean_text", normalizer.get("clean_text", True), True),
        ("pre_tokenizer", pre_tokenizer.get("type"), "BertPreTokenizer"),
        ("unk_token", model.get("unk_token"), "[UNK]"),
        ("continuing_subword_prefix", model.get("continuing_subword_prefix"), "##"),
    ):  # fmt: skip
        if found != wanted:
            raise ValueError(f"{path}: {part} is {found!r}, where BERT has {wanted!r}")
    settings = {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
    }
    for token in content.get("added_tokens") or []:
        if token.get("content") not in special:
            raise ValueError(
                f"{path} adds the token {token.get('content')!r}, which is read out of "
                f"the text as it stands; ours does so with {', '.join(special)} only"
            )
    return _by_id(path, _table(path, model, "vocab")), settings


def text(
    pieces: Sequence[str],
    lowercase: bool,
    max_word_characters: int,
    special: Sequence[str],
) -> str:
    """What the file says about such a tokenizer, as the library writes it."""
    ids = {piece: id for id, piece in enumerate(pieces)}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(ids[token], token) for token in special],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,  # the library's word for "if lowercase"
            "lowercase": lowercase,
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
            "max_input_chars_per_word": max_word_characters,
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


def _added(id: int, token: str) -> dict[str, Any]:
    """A token that the library reads out of the text itself, as it stands."""
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return {"id": id, "content": token, **dict.fromkeys(flags, False), "special": True}


def _by_id(path: Path, ids: dict[str, int]) -> list[str]:
    """The pieces in the order of their ids, which must be 0, 1, 2, …"""
    for piece, id in ids.items():
        if type(id) is not int:
            raise ValueError(f"{path}: the id of {piece!r} is {id!r}, no whole number")
    pieces = sorted(ids, key=ids.__getitem__)
    for place, piece in enumerate(pieces):
        if ids[piece] != place:
            raise ValueError(
                f"{path}: the vocabulary of {len(ids)} pieces has no id {place}, but "
                f"{piece!r} has {ids[piece]}; ids must be 0 to {len(ids) - 1}"
            )
    return pieces
