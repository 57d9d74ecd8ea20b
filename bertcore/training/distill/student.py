"""Student: a smaller model that begins as part of a larger one (chapter 8).

tokenizer, ids = fewer_pieces(teacher.reading.tokenizer, texts, 9000)
student = student_of(teacher.model, layers=2, pieces=ids)
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy

import torch
from torch import nn

from bertcore.model.weights import Pretrained
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import Tokenizer


def student_of(
    teacher: Pretrained,
    layers: int | Sequence[int],
    pieces: Sequence[int] | None = None,
) -> Pretrained:
    """A copy of a teacher, head included, with some of its layers.

    Args:
        teacher: a `Bert`, or a model with one and a head; it stays as it is.
        layers: how many, which are those of `layer_numbers`; or their numbers, from 0.
        pieces: ids of the pieces that it knows, in the order of their new ids, as
            `fewer_pieces` gives them; by default all.

    Raises:
        ValueError: if the teacher has not so many layers, or is no such model.
    """
    body = getattr(teacher, "bert", teacher)
    if not hasattr(getattr(body, "encoder", None), "layers"):
        raise ValueError(
            f"{type(teacher).__name__} has no encoder with layers; give a Bert, or a "
            "model with one"
        )
    chosen = _chosen(len(body.encoder.layers), layers)
    student = deepcopy(teacher).requires_grad_(True)
    own = getattr(student, "bert", student)
    own.encoder.layers = nn.ModuleList(own.encoder.layers[n] for n in chosen)
    changes = {"layers": len(chosen)}
    if pieces is not None:
        changes["vocab_size"] = len(pieces)
        _keep_pieces(student, own, torch.tensor(pieces))
    for part in {student, own}:
        part.config = part.config.replace(**changes)
    return student


def layer_numbers(count: int, layers: int) -> list[int]:
    """The layers of a teacher that its student begins with: evenly, first and last.

    From 12 to 6 they are those of the script `extract_distilbert.py` of DistilBERT.

    Raises:
        ValueError: if there are not so many.

    >>> layer_numbers(12, 6)
    [0, 2, 4, 7, 9, 11]
    """
    if not 1 <= layers <= count:
        raise ValueError(
            f"layers={layers} of a teacher that has {count}; give 1 to {count}"
        )
    return [round(n * (count - 1) / max(1, layers - 1)) for n in range(layers)]


def fewer_pieces(
    tokenizer: Tokenizer, texts: Iterable[str], size: int
) -> tuple[Tokenizer, list[int]]:
    """A tokenizer with the pieces that texts use most, and their ids in the old one.

    Special tokens and single characters stay, so that a word whose piece is gone is cut
    into smaller ones, and no text becomes unknown that was known.

    Args:
        tokenizer: the teacher's.
        texts: of the task, those to train on.
        size: pieces that stay.

    Raises:
        ValueError: if the size has no room for the characters, or there are no more
            pieces.
    """
    known = tokenizer.vocabulary
    must = [n for n, piece in enumerate(known) if _stays(piece)]
    if not len(must) <= size <= len(known):
        raise ValueError(
            f"size={size} of {len(known)} pieces, of which {len(must)} stay: special "
            f"tokens and characters; give {len(must)} to {len(known)}"
        )
    used = Counter(id for text in texts for id in tokenizer.encode(text))
    others = sorted(set(range(len(known))) - set(must), key=lambda n: (-used[n], n))
    ids = sorted([*must, *others[: size - len(must)]])
    pieces = [known[n] for n in ids]
    settings = tokenizer.lowercase, tokenizer.max_word_characters
    return Tokenizer(pieces, *settings), ids


def _stays(piece: str) -> bool:
    return piece in SPECIAL or len(piece.removeprefix("##")) == 1


def _chosen(count: int, layers: int | Sequence[int]) -> list[int]:
    if isinstance(layers, int):
        return layer_numbers(count, layers)
    if not layers or not set(layers) <= set(range(count)):
        raise ValueError(
            f"layers={list(layers)} of a teacher that has {count}; give numbers from 0 "
            f"to {count - 1}"
        )
    return list(layers)


def _keep_pieces(student: Pretrained, body: Pretrained, ids: torch.Tensor) -> None:
    table = body.embeddings.token
    table.weight = nn.Parameter(table.weight.detach()[ids])
    table.num_embeddings = len(ids)
    if hasattr(student, "mlm_head"):
        student.mlm_head.bias = nn.Parameter(student.mlm_head.bias.detach()[ids])
