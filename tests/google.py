"""Google's own tokenizer: google-research/bert as the package bert-tensorflow."""

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType

from absl import flags


@cache
def tokenization() -> ModuleType:
    """The module bert/tokenization.py, with a stand-in for TensorFlow.

    It uses TensorFlow to open files only. The stand-in stays no longer than the import,
    because other libraries look whether TensorFlow is there.
    """
    names = ("tensorflow", "tensorflow.compat", "tensorflow.compat.v1")
    sys.modules.update({name: ModuleType(name) for name in names})
    try:
        module = importlib.import_module("bert.tokenization")
    finally:
        for name in names:
            del sys.modules[name]
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return module


def words(text: str, lowercase: bool) -> list[str]:
    """What Google's code makes of a text before it looks for pieces."""
    return tokenization().BasicTokenizer(do_lower_case=lowercase).tokenize(text)


class GoogleTokenizer:
    """`FullTokenizer` with a vocabulary from memory instead of a file."""

    def __init__(self, vocabulary: Sequence[str], lowercase: bool = True) -> None:
        self.vocabulary = {piece: id for id, piece in enumerate(vocabulary)}
        module = tokenization()
        self.basic = module.BasicTokenizer(do_lower_case=lowercase)
        self.wordpiece = module.WordpieceTokenizer(vocab=self.vocabulary)

    def ids(self, text: str) -> list[int]:
        return [
            self.vocabulary[piece]
            for word in self.basic.tokenize(text)
            for piece in self.wordpiece.tokenize(word)
        ]
