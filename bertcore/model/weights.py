"""Weights: published checkpoints in and out, through one table of names (chapter 0)."""

import json
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.sources import find_file

# Our module -> the module's name in published files. `{n}` is the layer's number.
NAMES = {
    "embeddings.token": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.segment": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "encoder.layers.{n}.attention.query": "encoder.layer.{n}.attention.self.query",
    "encoder.layers.{n}.attention.key": "encoder.layer.{n}.attention.self.key",
    "encoder.layers.{n}.attention.value": "encoder.layer.{n}.attention.self.value",
    "encoder.layers.{n}.attention.output": "encoder.layer.{n}.attention.output.dense",
    "encoder.layers.{n}.attention_norm": "encoder.layer.{n}.attention.output.LayerNorm",
    "encoder.layers.{n}.feedforward.widen": "encoder.layer.{n}.intermediate.dense",
    "encoder.layers.{n}.feedforward.narrow": "encoder.layer.{n}.output.dense",
    "encoder.layers.{n}.feedforward_norm": "encoder.layer.{n}.output.LayerNorm",
    "pooler.dense": "pooler.dense",
    "mlm_head.dense": "cls.predictions.transform.dense",
    "mlm_head.norm": "cls.predictions.transform.LayerNorm",
    "mlm_head": "cls.predictions",
    "nsp_head.dense": "cls.seq_relationship",
    "classifier": "classifier",
    "spans": "qa_outputs",
}

# In published files, but copies of something else.
_TOKEN_TABLE = "embeddings.word_embeddings.weight"
_TIED = "cls.predictions.decoder.weight"
_COPIES = {"embeddings.position_ids", "cls.predictions.decoder.bias", _TIED}


class Pretrained(nn.Module):
    """A model that reads and writes the published BERT format."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path, **changes: Any) -> Self:
        """The model with a checkpoint's weights, in evaluation mode.

        Args:
            folder_or_name: a folder, or a name on the Hugging Face hub, such as
                `google-bert/bert-base-uncased`.
            changes: fields of the config to change, such as `num_labels=3`.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            ValueError: if its files are damaged or do not fit the config.

        A pooler or a head that the file lacks keeps its random start, and one
        warning names it. Heads that this class does not have are left out.
        """
        config = BertConfig.from_pretrained(str(folder_or_name), **changes)
        path = find_file(folder_or_name, "model.safetensors", "pytorch_model.bin")
        _check_vocabulary(path.parent / "vocab.txt", config)
        model = cls(config)
        load_weights(model, path)
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, as transformers reads them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"architectures": [_architecture(self)], **self.config.to_dict()}
        text = json.dumps(config, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf8")
        tensors = {
            published_name(name): parameter.detach().cpu().contiguous()
            for name, parameter in self.named_parameters()
        }
        unfinished = folder / "model.safetensors.part"
        save_file(tensors, unfinished, metadata={"format": "pt"})
        os.replace(unfinished, folder / "model.safetensors")


def published_name(ours: str) -> str:
    """The name that a parameter of ours has in a published file.

    >>> published_name("bert.encoder.layers.3.attention.query.bias")
    'bert.encoder.layer.3.attention.self.query.bias'
    """
    body = ours.removeprefix("bert.")
    prefix = ours[: len(ours) - len(body)]
    module, _, kind = body.rpartition(".")
    number = re.search(r"\.(\d+)\.", module)
    template = re.sub(r"\.\d+\.", ".{n}.", module)
    theirs = NAMES[template].format(n=number and number[1])
    return f"{prefix}{theirs}.{kind}"


def published_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's own parameters, under their published names without `bert.`"""
    return {
        _canonical(published_name(name)): parameter
        for name, parameter in model.named_parameters()
    }


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, by name; a pickle's code is never run.

    Raises:
        ValueError: if the file is cut short, damaged or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise ValueError(
                f"{path} holds something other than tensors, and loading it would run "
                "its code; ask its author for a model.safetensors"
            ) from error
        raise _unreadable(path, error) from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ValueError(
        f"{path} ({path.stat().st_size:,} bytes) cannot be read: {reason}. "
        "It is probably cut short; fetch it again"
    )


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy a file's tensors into the model's parameters, every one checked first."""
    found = {_canonical(name): tensor for name, tensor in read_tensors(path).items()}
    wanted = published_weights(model)
    _check_tied(found, path)
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted and name not in _COPIES]
    _check_body(missing, "lacks", path)
    _check_body(unknown, "holds, but the config has no place for,", path)
    _check_shapes(found, wanted, path)
    with torch.no_grad():
        for name in wanted.keys() & found.keys():
            wanted[name].copy_(found[name])
    if missing:
        parts = sorted({name.rsplit(".", 1)[0] for name in missing})
        warnings.warn(
            f"{path} has no {', '.join(parts)}: these parts of "
            f"{type(model).__name__} start from random weights; train them before "
            "you use what they give",
            stacklevel=3,
        )


def _canonical(name: str) -> str:
    """One spelling: no `bert.` prefix, and not the names of the first release."""
    name = name.removeprefix("bert.")
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def _check_body(names: list[str], verb: str, path: Path) -> None:
    """Embeddings and encoder must match to the last tensor; heads need not."""
    body = [name for name in names if name.startswith(("embeddings.", "encoder."))]
    if body:
        raise ValueError(
            f"{path} {verb} {len(body)} tensors of the embeddings and the encoder "
            f"({', '.join(body[:3])}{', …' if len(body) > 3 else ''}); is config.json "
            "the one that belongs to these weights?"
        )


def _check_shapes(
    found: dict[str, Tensor], wanted: dict[str, Tensor], path: Path
) -> None:
    for name in wanted.keys() & found.keys():
        theirs, ours = tuple(found[name].shape), tuple(wanted[name].shape)
        if theirs != ours:
            remedy = "is config.json the one that belongs to these weights?"
            if name.startswith(("classifier", "qa_outputs")):
                remedy = f"give num_labels={theirs[0]}"
            raise ValueError(f"{path}: {name} is {theirs}, expected {ours}; {remedy}")


def _check_tied(found: dict[str, Tensor], path: Path) -> None:
    table, copy = found.get(_TOKEN_TABLE), found.get(_TIED)
    if table is not None and copy is not None and not torch.equal(table, copy):
        raise ValueError(
            f"{path}: {_TIED} differs from {_TOKEN_TABLE}; bertcore's masked-LM head "
            "shares the token table, as BERT's does, so it cannot hold this model"
        )


def _check_vocabulary(path: Path, config: BertConfig) -> None:
    """A vocabulary beside the weights may be padded in the table, never longer."""
    if not path.is_file():
        return
    pieces = len(path.read_text(encoding="utf8").rstrip("\n").split("\n"))
    if pieces > config.vocab_size:
        raise ValueError(
            f"{path} has {pieces} pieces, but the weights beside it have a table of "
            f"{config.vocab_size}; use the vocabulary that belongs to these weights"
        )


def _architecture(model: nn.Module) -> str:
    """The class of the transformers library that reads this model."""
    name = type(model).__name__
    return "BertModel" if name == "Bert" else name
