"""Files of the tokenizers library: read, checked, and made safe (chapter 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bertcore.sources import find_file, read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

# What its special tokens are called; the frame is what the file says.
_NAMES = (("[PAD]", "<pad>"), ("[UNK]", "<unk>"), ("[MASK]", "<mask>"))
BYTES_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # as in roberta-base


class Frame(NamedTuple):
    """What stands round one text or two.

    `separators` stand between the two: one [SEP], in RoBERTa two. `segment` is the
    number of the second segment: 1, or 0 if the model tells no segments apart.
    """

    cls_id: int
    sep_id: int
    separators: int
    segment: int


def import_library() -> Any:
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


def read_library(folder_or_file: str | Path) -> Library:
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
        model = import_library().models.BPE.from_file(str(path), str(merges))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{path} and {merges} do not fit: {error}") from error
    return bytes_library(model)


def library_of(content: Mapping[str, Any], path: Path | None = None) -> Library:
    """The library's tokenizer from the content of a `tokenizer.json`.

    Raises:
        ValueError: if it is none.
    """
    library = import_library()
    try:
        return library.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(
            f"{path or 'this'} is no tokenizer.json that the tokenizers library "
            f"{library.__version__} reads: {error}"
        ) from error


def bytes_library(model: Any, prefix_space: bool = False) -> Library:
    """Byte-level BPE round a model, as in RoBERTa: GPT-2's parts, RoBERTa's frame."""
    library = import_library()
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


def content_of(library: Library) -> dict[str, Any]:
    """What its `tokenizer.json` says, but for cutting and padding, which are ours."""
    return json.loads(library.to_str()) | {"truncation": None, "padding": None}


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
                f"{names[0]} and no {names[1]}; is this the tokenizer of a BERT, or of "
                "an heir of its?"
            )
        found.append(ids[0] if ids[0] is not None else ids[1])
    return found


def frame_of(library: Library) -> Frame:
    """What the library puts round no text, and round two of them.

    Raises:
        ValueError: if that is not one token before and the same one after each text.
    """
    one, two = library.encode(""), library.encode("", "")
    if len(one.ids) == 2:
        cls, sep = one.ids
        for separators in (1, 2):
            if two.ids == [cls, *[sep] * separators, sep]:
                return Frame(cls, sep, separators, two.type_ids[-1])
    raise ValueError(
        f"the tokenizer puts {one.tokens} round a text and {two.tokens} round a pair; "
        "BERT's heirs have [CLS] text [SEP] and [CLS] text [SEP] pair [SEP], with one "
        "or two [SEP] between"
    )


def write_library(
    folder: str | Path,
    content: Mapping[str, Any],
    names: dict[str, str],
    segments: bool,
) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads them.

    Args:
        folder: is made if it is not there.
        content: of the first.
        names: of the special tokens.
        segments: whether the model is given `token_type_ids`.
    """
    kinds = ["token_type_ids"] if segments else []
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *kinds, "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **names,
    }
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    files = {"tokenizer.json": content, "tokenizer_config.json": config}
    for name, table in files.items():
        text = json.dumps(table, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf8", newline="")
