"""Google's own code: google-research/bert as the package bert-tensorflow."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType, SimpleNamespace

import numpy as np
from absl import flags
from numpy.lib.mixins import NDArrayOperatorsMixin


class Variable(NDArrayOperatorsMixin):
    """An array that can be assigned to; like any array of numpy in a formula."""

    class Shape(tuple):
        def as_list(self) -> list[int]:
            return list(self)

    def __init__(self, name: str, value: np.ndarray) -> None:
        self.name, self.value = name, value

    @property
    def shape(self) -> Shape:
        return self.Shape(self.value.shape)

    def assign(self, value: np.ndarray) -> None:
        self.value = np.asarray(value).astype(self.value.dtype)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.value if dtype is None else self.value.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object):
        plain = [x.value if isinstance(x, Variable) else x for x in inputs]
        return getattr(ufunc, method)(*plain)


class Optimizer:
    """The base class of Google's optimiser; the newest one can be looked at."""

    newest: "Optimizer"

    def __init__(self, use_locking: bool, name: str) -> None:
        Optimizer.newest = self


def _decayed(rate, step, decay_steps, end_learning_rate, power, cycle) -> np.float32:
    """As TensorFlow's reference says of `polynomial_decay`, for one without cycles."""
    assert not cycle
    step = np.float32(min(int(step.value), decay_steps))
    left = (np.float32(1) - step / np.float32(decay_steps)) ** np.float32(power)
    return (rate - np.float32(end_learning_rate)) * left + np.float32(end_learning_rate)


def _clipped(gradients: list[np.ndarray], clip_norm: float):
    """As TensorFlow's reference says of `clip_by_global_norm`."""
    length = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))
    return [g * clip_norm / max(length, clip_norm) for g in gradients], length


ARITHMETIC = {
    "float32": np.float32,
    "int32": np.int32,
    "multiply": np.multiply,
    "square": np.square,
    "sqrt": np.sqrt,
    "cast": lambda value, dtype: np.asarray(value).astype(dtype)[()],
    "constant": lambda value, dtype, shape=(): dtype(value),
    "zeros_initializer": lambda: None,
    "group": lambda *done, name=None: done,
    "clip_by_global_norm": _clipped,
    "train": SimpleNamespace(Optimizer=Optimizer, polynomial_decay=_decayed),
}


class GoogleTraining:
    """A model's weights, trained by bert/optimization.py, `create_optimizer`."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        """
        Args:
            weights: float32, by the names of published files.
        """
        self.weights = {n: Variable(f"{n}:0", value) for n, value in weights.items()}
        self.step_number = Variable("global_step:0", np.array(0))
        self.means: dict[str, Variable] = {}

    def step(
        self, gradients: Mapping[str, np.ndarray], rate: float, steps: int, warmup: int
    ) -> float:
        """One update; the learning rate that it used.

        Args:
            gradients: by the same names.
            rate: the highest learning rate.
            steps: of the run.
            warmup: steps of it in which the rate rises.
        """
        module = optimization()
        tf = module.tf
        tf.train.get_or_create_global_step = lambda: self.step_number
        tf.trainable_variables = lambda: list(self.weights.values())
        tf.gradients = lambda loss, variables: [gradients[n] for n in self.weights]
        tf.get_variable = self._mean
        module.create_optimizer(None, rate, steps, warmup, use_tpu=False)
        return float(Optimizer.newest.learning_rate)

    def _mean(self, name: str, shape, dtype, trainable, initializer) -> Variable:
        return self.means.setdefault(name, Variable(name, np.zeros(shape, dtype)))


@cache
def load(name: str) -> ModuleType:
    """A module of the package `bert`, with a stand-in for TensorFlow.

    The stand-in opens files, defines options and computes with numpy. It stays no
    longer than the import, because other libraries look whether TensorFlow is there.
    """
    stand_in = ModuleType("tensorflow.compat.v1")
    stand_in.flags, stand_in.gfile = flags, SimpleNamespace(GFile=open)
    vars(stand_in).update(ARITHMETIC)
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


def optimization() -> ModuleType:
    """The module bert/optimization.py."""
    return load("optimization")


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
