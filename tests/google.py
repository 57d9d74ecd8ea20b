"""Google's own code: google-research/bert as the package bert-tensorflow."""

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType, SimpleNamespace

from absl import flags


@cache
def load(name: str) -> ModuleType:
    """A module of the package `bert`, with a stand-in for TensorFlow.

    The stand-in opens files and defines options. It stays no longer than the import,
    because other libraries look whether TensorFlow is there.
    """
    stand_in = ModuleType("tensorflow.compat.v1")
    stand_in.flags, stand_in.gfile = flags, SimpleNamespace(GFile=open)
    compat, top = ModuleType("tensorflow.compat"), ModuleType("tensorflow")
    top.compat, compat.v1 = compat, stand_in
    modules = {module.__name__: module for module in (top, compat, stand_in)}
    sys.modules.update(modules)
    try:
        module = importlib.import_module(f"bert.{name}")
    finally:
        for each in modules:
            del sys.modules[each]
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return module


def tokenization() -> ModuleType:
    """The module bert/tokenization.py."""
    return load("tokenization")


def creation() -> ModuleType:
    """The module bert/create_pretraining_data.py."""
    return load("create_pretraining_data")


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
