"""Vocabulary: the pieces in a `vocab.txt`, one a line, and what must hold of them."""

import json
from pathlib import Path
from typing import Any

from bertcore.sources import find_file, read_json

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def load_vocabulary(
    folder_or_file: str | Path, lowercase: bool | None
) -> tuple[list[str], bool]:
    """The pieces, and whether text is lower-cased before it is cut.

    If `lowercase` is None, `tokenizer_config.json` decides; without one, the pieces.
    """
    if Path(folder_or_file).is_file():
        path, config = Path(folder_or_file), {}
    else:
        path = find_file(folder_or_file, "vocab.txt", "tokenizer.json")
        config = _read_config(folder_or_file)
    pieces = _read_json(path) if path.suffix == ".json" else _read_vocabulary(path)
    if lowercase is None:
        lowercase = config.get("do_lower_case")
    if lowercase is None:
        lowercase = not _has_upper_case(pieces)
    if not isinstance(lowercase, bool):
        raise ValueError(
            f"tokenizer_config.json says do_lower_case={lowercase!r}; "
            "it must be true or false"
        )
    _check_config(config, lowercase)
    return pieces, lowercase


def save_vocabulary(folder: str | Path, pieces: list[str], lowercase: bool) -> None:
    """Write `vocab.txt` and `tokenizer_config.json`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{piece}\n" for piece in pieces)
    (folder / "vocab.txt").write_text(lines, encoding="utf8", newline="")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase}
    text = json.dumps(config, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf8")


def check_vocabulary(pieces: list[str], ids: dict[str, int]) -> None:
    """Every special token there, no piece twice; ValueError names what is wrong."""
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


def _read_vocabulary(path: Path) -> list[str]:
    """The lines of the file; ValueError names the first byte that is not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: byte {error.start} is "
            f"0x{error.object[error.start]:02x}; save the vocabulary as UTF-8"
        ) from error
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


def _read_json(path: Path) -> list[str]:
    """The pieces of the `tokenizer.json` that the tokenizers library writes."""
    model = read_json(path).get("model", {})
    if model.get("type") != "WordPiece":
        raise ValueError(
            f"{path} holds a {model.get('type')} tokenizer; BERT's is WordPiece"
        )
    return sorted(model["vocab"], key=model["vocab"].get)


def _read_config(folder_or_name: str | Path) -> dict[str, Any]:
    """The checkpoint's `tokenizer_config.json`; empty if it has none."""
    try:
        path = find_file(folder_or_name, "tokenizer_config.json")
    except FileNotFoundError:
        return {}
    return read_json(path)


def _check_config(config: dict[str, Any], lowercase: bool) -> None:
    """Options of other tokenizers that this one does not have must not be ignored."""
    if config.get("strip_accents") not in (None, lowercase):
        raise ValueError(
            f"tokenizer_config.json says strip_accents={config['strip_accents']} and "
            f"do_lower_case={lowercase}; BERT's tokenizer does both or neither"
        )
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(
            "tokenizer_config.json says tokenize_chinese_chars=False; BERT's "
            "tokenizer always separates Chinese characters"
        )


def _has_upper_case(pieces: list[str]) -> bool:
    """Whether any piece but the special tokens holds a capital: a cased vocabulary."""
    return any(piece != piece.lower() for piece in pieces if piece[:1] != "[")
