"""Bytes trainer: byte-level BPE, learned by the tokenizers library (chapter 8)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bertcore.text.library_files import BYTES_SPECIAL, bytes_library, import_library
from bertcore.text.merges import check_whole_number

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library


def learn_bytes(
    texts: Iterable[str], size: int, min_frequency: int, prefix_space: bool
) -> Library:
    """A tokenizer of the library with a vocabulary learned from these texts.

    Raises:
        ValueError: if the size is too small for the bytes, or too large for the texts,
            or the texts are none.
    """
    check_whole_number("size", size, 1)
    check_whole_number("min_frequency", min_frequency, 1)
    least = len(BYTES_SPECIAL) + 256
    if size < least:
        raise ValueError(
            f"size={size} has no room for the {len(BYTES_SPECIAL)} special tokens and "
            f"the 256 bytes; give {least} or more"
        )
    library = import_library()
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
    return bytes_library(library.models.BPE(vocab=ids, merges=merges), prefix_space)


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """Each text, if it is one and has bytes in UTF-8."""
    if isinstance(texts, str):
        raise ValueError("texts is a single str; give a list of texts: [text]")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text is a str, not {type(text).__name__}")
        yield text.encode("utf8", "replace").decode("utf8")
