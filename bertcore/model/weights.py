"""Weights: those to start from, and published checkpoints in and out (chapter 0).

`initialise` draws starting weights (chapter 4). `Pretrained` gives every model
`from_pretrained` and `save_pretrained`.
"""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertcore.files import check_no_pointer, new_file, read_json, write_json
from bertcore.model.config import BertConfig
from bertcore.model.published import Published, bare, part_of
from bertcore.sources import (
    Absent,
    beside,
    find_file,
    find_optional,
    many,
    names_damage,
)

Model = TypeVar("Model", bound="Pretrained")
_CROSS_ATTENTION = ".crossattention."  # a decoder has it, and BERT's own files lack it
_LISTED = 12  # missing tensors that a warning names
# As the transformers library prefers them.
_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Weights that transformers could convert until its version 5, with this argument.
_OTHERS = {"tf_model.h5": "from_tf", "flax_model.msgpack": "from_flax"}
# Where the checkpoints of training programs keep the weights among other things.
_WRAPPED = "state_dict", "model_state_dict", "model", "module"
# Our class -> what the transformers library calls it, where that differs. A body's
# name there ends in "Model".
PUBLISHED_CLASSES = {
    "Decoder": "BertLMHeadModel",
    "EncoderDecoder": "EncoderDecoderModel",
}
# RoBERTa by another `model_type` -> the beginning of its classes' names.
_ROBERTAS = {"xlm-roberta": "XLMRoberta", "camembert": "Camembert"}


class Pretrained(nn.Module):
    """A model that reads and writes its family's published format.

    `class Albert(Pretrained, config=AlbertConfig)` is built from an AlbertConfig, which
    also knows the names in files; without `config`, from what its parent is built from.
    A new model is in training mode, as every torch module is; a loaded one is in
    evaluation mode.
    """

    config_class: ClassVar[type[BertConfig]] = BertConfig

    def __init_subclass__(cls, config: type[BertConfig] | None = None) -> None:
        super().__init_subclass__()
        cls.config_class = config or cls.config_class

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        expected = self.config_class.__name__
        if type(config) is not self.config_class:
            wrong = repr(config)
            if isinstance(config, BertConfig):
                wrong = f"that of {config.published.title}"
            raise ValueError(
                f"{type(self).__name__} is built from a {expected}, not {wrong}; try "
                f'{expected}.preset("tiny") or from_pretrained(folder_or_name)'
            )
        self.config = config

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path, **changes: Any) -> Self:
        """The model with a checkpoint's weights, float32, in evaluation mode.

        Args:
            folder_or_name: a folder, or a name on the Hugging Face hub, such as
                `google-bert/bert-base-uncased`.
            changes: fields of the config to change, such as `num_labels=3`.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            ValueError: if its files are damaged or do not fit the config.

        A pooler or a head that the file lacks starts from random weights, and one
        warning names it. Heads that this class does not have are left out.
        """
        _, found, head = published_class(cls).partition("For")
        config = cls.config_class.from_pretrained(
            folder_or_name, found + head, **changes
        )
        return loaded(folder_or_name, lambda: cls(config))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, as transformers reads them.

        What was in the folder stays until both new files are complete.
        """
        folder = Path(folder)
        config = self.published_config()
        architecture = published_class(type(self), config["model_type"])
        config = {"architectures": [architecture], **config}
        form = self.config.published
        tensors = {
            form.published_name(name): parameter.detach().cpu().clone().contiguous()
            for name, parameter in self.named_parameters(remove_duplicate=False)
        }
        with new_file(folder / "config.json") as described:
            write_json(described, config)  # it gets its name after the weights
            with new_file(folder / "model.safetensors") as partial:
                save_file(tensors, partial, metadata={"format": "pt"})

    def published_config(self) -> dict[str, Any]:
        """What `config.json` says of this model."""
        return self.config.to_dict()


def published_class(model: type, model_type: str | None = None) -> str:
    """What the transformers library calls a class of ours; a RoBERTa by its model_type.

    >>> published_class(type("Bert", (), {})), published_class(type("BertForX", (), {}))
    ('BertModel', 'BertForX')
    """
    name = model.__name__
    body = "" if "For" in name else "Model"
    published = PUBLISHED_CLASSES.get(name, name + body)
    return published.replace("Roberta", _ROBERTAS.get(model_type or "", "Roberta"))


def loaded(
    folder_or_name: str | Path,
    make: Callable[[], Model],
    rest: dict[str, Tensor] | None = None,
) -> Model:
    """A model with a checkpoint's weights, in evaluation mode.

    `make` makes it, with any weights. `rest` takes the tensors of heads that it does
    not have, under the names that `published_weights` would have for them.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if its files are damaged or do not fit the model.
    """
    path = weights_file(folder_or_name)
    for part in _parts(path):  # on the hub each is fetched by itself
        find_file(folder_or_name, part)
    with torch.device("meta"):  # no memory, no random numbers: all is overwritten
        model = make()
    _check_vocabulary(path.parent / "vocab.txt", model.config)
    spare = load_weights(model.to_empty(device="cpu"), path)
    if rest is not None:
        rest.update(spare)
    return model.eval()


def weights_file(folder_or_name: str | Path) -> Path:
    """The file that holds a checkpoint's weights, or lists those that do."""
    try:
        return find_file(folder_or_name, *_FILES)
    except Absent as error:
        for name in _OTHERS:
            if find_optional(folder_or_name, name) is None:
                continue
            raise Absent(
                f"{folder_or_name} has its weights in {name} alone, which is not read; "
                "convert them with transformers 4, by the class in config.json: "
                f"from_pretrained(folder, {_OTHERS[name]}=True), then save_pretrained"
            ) from error
        raise


def published_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's own parameters, under their published names without `bert.`"""
    form = model.config.published
    return {
        form.canonical(form.published_name(name)): parameter
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def load_weights(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Copy a file's tensors into the model's parameters, every one checked first.

    Parameters that the file lacks are set to their starting values. Returns what the
    file holds besides.
    """
    form = model.config.published
    parameters = published_weights(model)
    found = _unwrapped(form, read_tensors(path), parameters, path)
    _check_copies(form, found, parameters, path)
    tensors = {form.canonical(name): tensor for name, tensor in found.items()}
    # A parameter with two names, where two are tied, may stand in a file under either.
    loaded_ids = {id(parameters[name]) for name in tensors if name in parameters}
    missing = [name for name in parameters if id(parameters[name]) not in loaded_ids]
    spare = {n: tensor for n, tensor in tensors.items() if n not in parameters}
    unknown = [name for name in spare if bare(name) not in form.copies()]
    without_cross = not any(_CROSS_ATTENTION in name for name in tensors)
    needed = [n for n in missing if not (without_cross and _CROSS_ATTENTION in n)]
    common = [bare(name) for name in tensors if name in parameters]
    example = next((f"; it has {name}" for name in unknown), "")
    if any(name.startswith(form.needed) for name in common):
        example = ""  # the names are right, and fewer
    _check_body(form, needed, f"{path} lacks", example)
    _check_body(form, unknown, f"the config has no place for what {path} holds:")
    _check_tensors(tensors, parameters, path)
    with torch.no_grad():
        for name in parameters.keys() & tensors.keys():
            parameters[name].copy_(tensors[name])
    if missing:
        missing_ids = {id(parameters[name]) for name in missing}
        set_weights = initialise(model.config.initializer_range)
        for module in model.modules():
            if missing_ids & {id(p) for p in module.parameters(recurse=False)}:
                set_weights(module)
        listed = ", ".join(missing[:_LISTED])
        more = f" and {len(missing) - _LISTED} more" if missing[_LISTED:] else ""
        warnings.warn(
            f"{path} has no {listed}{more}: these parts of "
            f"{type(model).__name__} start from random weights; train them before "
            "you use what they give",
            stacklevel=4,
        )
    return spare


def _unwrapped(
    form: Published,
    tensors: dict[str, Tensor],
    parameters: dict[str, Tensor],
    path: Path,
) -> dict[str, Tensor]:
    """The tensors without what a program that wrapped the model put before its names.

    What stands before the name of the token table says it: `_orig_mod.` of a compiled
    model, or `model.` of a module that holds this one.
    """
    parts = {part_of(name) for name in parameters}
    found = set()
    for name in tensors:
        if f".{name}".endswith(f".{form.table}"):
            whole = name.removesuffix(form.table).removesuffix(f"{form.body}.")
            # An encoder-decoder's two tables have its own parts before their names.
            part = next((p for p in parts if p and whole.endswith(p)), "")
            found.add(whole.removesuffix(part))
    if len(found) != 1 or found <= {"", "module."}:
        return tensors
    (prefix,) = found
    warnings.warn(
        f"{path}: {prefix!r} before the names is left out; a program that wrapped the "
        "model put it there",
        stacklevel=5,
    )
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _check_body(
    form: Published, names: list[str], fault: str, example: str = ""
) -> None:
    """Embeddings and encoder must match to the last tensor; heads need not."""
    body = [n for n in names if bare(n).startswith(form.needed)]
    if body:
        raise ValueError(
            f"{fault} {many(len(body), 'tensor')} of the embeddings and the encoder "
            f"({', '.join(body[:3])}{', …' if len(body) > 3 else ''}){example}; is "
            "config.json the one that belongs to these weights?"
        )


def _check_tensors(
    tensors: dict[str, Tensor], parameters: dict[str, Tensor], path: Path
) -> None:
    """Each tensor must have its parameter's shape, and no second value."""
    names: dict[int, str] = {}  # the first, of a parameter that has two: tied weights
    for name in (name for name in parameters if name in tensors):
        tensor, parameter = tensors[name], parameters[name]
        shape, expected = tuple(tensor.shape), tuple(parameter.shape)
        if shape != expected:
            remedy = "is config.json the one that belongs to these weights?"
            new = "start a new head on the body: model.bert = Bert.from_pretrained(…)"
            if bare(name).startswith("qa_outputs"):
                remedy = f"an answer has two scores, its start and its end; {new}"
            elif bare(name).startswith("classifier") and shape[1:] == expected[1:]:
                remedy = f"give num_labels={shape[0]}, or {new}"
            raise ValueError(
                f"{path}: {name} is {shape}, expected {expected}; {remedy}"
            )
        if not tensor.is_floating_point():
            raise ValueError(
                f"{path}: {name} is {tensor.dtype}, a quantised checkpoint; "
                "give the original one with floating-point weights"
            )
        first = names.setdefault(id(parameter), name)
        if first != name and not torch.equal(tensor, tensors[first]):
            raise ValueError(
                f"{path}: {name} differs from {first}, but config.json says "
                "tie_encoder_decoder; is it the one that belongs to these weights?"
            )


def _check_copies(
    form: Published,
    tensors: dict[str, Tensor],
    parameters: dict[str, Tensor],
    path: Path,
) -> None:
    """What a file holds once more must be the same there; alone it is the original."""
    spelled = {form.spelled(name): name for name in tensors}
    for part in ("", "decoder."):
        has_head = f"{part}{form.names['mlm_head']}.bias" in parameters
        for name, original in form.again.items():
            copy, first = spelled.get(part + name), spelled.get(part + original)
            if copy is None:
                continue
            if first is None:
                tensors[part + original] = tensors[copy]
            elif has_head and not torch.equal(tensors[first], tensors[copy]):
                raise ValueError(
                    f"{path}: {name} differs from {original}, as it may with "
                    "tie_word_embeddings=False; bertcore's masked-LM head shares the "
                    "token table, as BERT's does, so it cannot hold this model"
                )


def _check_vocabulary(path: Path, config: BertConfig) -> None:
    """A vocabulary beside the weights may be padded in the table, never longer."""
    if not path.is_file():
        return
    pieces = len(path.read_bytes().rstrip(b"\r\n").split(b"\n"))
    if pieces > config.vocab_size:
        raise ValueError(
            f"{path} has {pieces} pieces, but the weights beside it have a table of "
            f"{config.vocab_size}; use the vocabulary that belongs to these weights"
        )


def _parts(path: Path) -> list[str]:
    """The files that an index of weights names, or none for other files."""
    if path.suffix != ".json":
        return []
    names = read_json(path).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{path} has no weight_map, which says where each tensor is")
    return sorted({beside(path, name).name for name in names.values()})


def _read_parts(path: Path, parts: list[str]) -> dict[str, Tensor]:
    """The tensors of the files that the index at `path` names."""
    tensors: dict[str, Tensor] = {}
    for part in parts:
        tensors |= read_tensors(path.parent / part)
    lost = sorted(read_json(path)["weight_map"].keys() - tensors.keys())
    if lost:
        raise ValueError(
            f"{path} promises {many(len(lost), 'tensor')} that its files lack "
            f"({', '.join(lost[:3])}{', …' if lost[3:] else ''}); fetch them again"
        )
    return tensors


@names_damage
def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, or of those that an index beside them lists.

    They are found by name; a pickle's code is never run.

    Raises:
        ValueError: if the file is cut short, damaged or holds more than tensors.
    """
    if parts := _parts(path):
        return _read_parts(path, parts)
    check_no_pointer(path)
    not_tensors = (
        f"{path} holds something other than tensors, and loading it would run its "
        "code or lose it; ask its author for a model.safetensors"
    )
    unreadable = (
        pickle.UnpicklingError,
        SafetensorError,
        RuntimeError,
        OSError,
        EOFError,
    )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except unreadable as error:
        # torch has one class for both, a file cut short and one that would run code.
        if isinstance(error, pickle.UnpicklingError) and "Unsupported" in str(error):
            raise ValueError(not_tensors) from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be read: {reason}. "
            "It is probably cut short; fetch it again"
        ) from error
    if isinstance(tensors, dict):
        inner = (tensors.get(key) for key in _WRAPPED)
        tensors = next((part for part in inner if isinstance(part, dict)), tensors)
    values = tensors.values() if isinstance(tensors, dict) else [None]
    if not all(isinstance(value, Tensor) for value in values):
        raise ValueError(not_tensors)
    return tensors


def initialise(sigma: float) -> Callable[[nn.Module], None]:
    """A function for `Module.apply` that sets a module's own starting weights.

    google-research/bert modeling.py, `create_initializer`: values beyond two sigma
    are drawn again, so the real standard deviation is 0.88 sigma. torch's own
    `trunc_normal_` takes its bounds in absolute units; its default of 2 cuts
    nothing. Biases start at 0, the gains of LayerNorm at 1.
    """

    def set_weights(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.trunc_normal_(module.weight, std=sigma, a=-2 * sigma, b=2 * sigma)
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(module.bias)

    return set_weights
