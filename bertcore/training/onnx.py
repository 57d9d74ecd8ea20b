"""ONNX: a model as a graph that runs without PyTorch (chapter 10).

`export_onnx` writes a folder for onnxruntime, with the files of the tokenizer. A graph
is compared with its model first, so a folder that is there is right.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bertcore.files import new_folder, read_json
from bertcore.model.config import BertConfig
from bertcore.model.variants.families import family_at
from bertcore.model.weights import Pretrained, published_class
from bertcore.sentences import SentenceEncoder
from bertcore.sources import find_file, find_optional, needs
from bertcore.tasks.task import an
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.training.predictor import TASK

GRAPH, INT8 = "model.onnx", "model-int8.onnx"
APART = 1e-4  # of a graph's outputs from the model's, at most
_ONE_FILE = 2**31 - 2**20  # bytes of weights: protobuf ends at 2 GB
# A batch to trace, whose axes must not be 1 or they would be fixed, and two to compare.
_SHAPES = (2, 6), (1, 3), (5, 11)
Outputs = tuple[Tensor, ...]


class Graph(NamedTuple):
    """A graph that was written: its inputs and outputs, and how exact it is.

    `apart` is the largest difference between its outputs and the model's.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    apart: float


def export_onnx(name: str | Path, folder: Path, int8: bool = False) -> Graph:
    """Write a published model as `model.onnx`, with the files that it takes to run.

    They are those of the tokenizer, config.json with the names of the classes, and
    task.json, if it is fine-tuned. Batches and texts of any length go in, with plain
    padding masks. A head gives logits, a body states and sentence vectors.

    Args:
        name: a folder or a name on the hub.
        folder: new, or of an earlier export.
        int8: also write `model-int8.onnx`, with matrices in whole numbers.

    Raises:
        FileNotFoundError: if there is no such model, or a library is missing.
        ValueError: if there is something else in the folder, the model is of no kind
            that is exported, or the graph does not compute the same.
    """
    for library in ("onnx", "onnxscript", "onnxruntime"):
        needs(library, "an export to ONNX")
    held = list(folder.iterdir()) if folder.is_dir() else []
    if folder.is_file() or (held and not (folder / GRAPH).is_file()):
        raise ValueError(
            f"{folder} holds something else than an earlier export to ONNX; give a "
            "new folder"
        )
    module, tokenizer = _traceable(name)
    with new_folder(folder) as partial:
        graph = _write(module.eval(), tokenizer.pad_id, partial / GRAPH)
        if int8:
            _write_int8(partial / GRAPH, partial / INT8)
        tokenizer.save_pretrained(partial)
        for about in ("config.json", TASK):
            if (file := find_optional(name, about)) is not None:
                shutil.copyfile(file, partial / about)
    return graph


class Traceable(nn.Module):
    """A model with the inputs and outputs of its graph, in their order and by name."""

    def __init__(
        self,
        model: Pretrained,
        outputs: tuple[str, ...],
        finish: Callable[[Tensor, Tensor], Outputs] | None = None,
    ) -> None:
        """
        Args:
            model: with its head, or a body.
            outputs: what they are called.
            finish: makes them of what the model gives, and the mask.
        """
        super().__init__()
        self.model, self.outputs, self.finish = model, outputs, finish

    @property
    def config(self) -> BertConfig:
        """That of the model."""
        return self.model.config

    @property
    def inputs(self) -> tuple[str, ...]:
        """Without segments, where the model has no table of them."""
        names = "input_ids", "attention_mask", "token_type_ids"
        return names if self.config.segments > 1 else names[:2]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Outputs:
        """The outputs."""
        given = self.model(input_ids, token_type_ids, attention_mask)
        if self.finish is not None:
            return self.finish(given, attention_mask)
        return given if isinstance(given, tuple) else (given,)


def _traceable(name: str | Path) -> tuple[Traceable, AnyTokenizer]:
    """The model that a checkpoint says it is, and its tokenizer.

    Outputs have the names that transformers gives them.
    """
    published = read_json(find_file(name, "config.json"))
    model_type = published.get("model_type")
    if model_type == "encoder-decoder":
        raise ValueError(
            f"{name} writes piece by piece, which takes a loop around the model, and "
            "ONNX has one pass; give a model that reads"
        )
    family = family_at(name)
    kinds = {
        published_class(kind, model_type): (part, kind)
        for part, kind in family._asdict().items()
        if part != "config" and kind is not None
    }
    body = published_class(family.body, model_type)
    architecture = (published.get("architectures") or [body])[0]
    if architecture not in kinds:
        raise ValueError(
            f"{name} is {an(architecture)}, which is not exported to ONNX; give "
            f"{' or '.join(map(an, kinds))}"
        )
    part, kind = kinds[architecture]
    if part == "body":
        encoder = SentenceEncoder.from_pretrained(name)
        outputs = "last_hidden_state", "sentence_embedding"
        module = Traceable(encoder.bert, outputs, _with_vectors(encoder))
        return module, encoder.tokenizer
    model, tokenizer = kind.from_pretrained(name), load_tokenizer(name)
    if part == "answers":
        ends = "start_logits", "end_logits"
        return Traceable(model, ends, lambda logits, _: logits.unbind(-1)), tokenizer
    outputs = ("logits",)
    if part == "pretraining" and family.name != "electra":  # a pair of logits
        order = "sop_logits" if family.name == "albert" else "seq_relationship_logits"
        outputs = "prediction_logits", order
    return Traceable(model, outputs), tokenizer


def _with_vectors(encoder: SentenceEncoder) -> Callable[[Tensor, Tensor], Outputs]:
    """From states and mask to both the states and one vector for each text."""

    def finish(hidden: Tensor, mask: Tensor) -> Outputs:
        pooled = encoder.pool(hidden, mask)
        if encoder.normalise:
            pooled = nn.functional.normalize(pooled, dim=-1)
        return hidden, pooled

    return finish


def _write(module: Traceable, pad_id: int, path: Path) -> Graph:
    """Trace a model, write its graph, and compare the two.

    Raises:
        ValueError: if they differ.
    """
    first, *others = (_example(module, pad_id, *shape) for shape in _SHAPES)
    axes = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("sequence", max=module.config.max_positions),
    }
    size = sum(p.nbytes for p in module.parameters())
    # Fused attention leaves its axes in an order that does not survive the conversion.
    with _quiet(), sdpa_kernel(SDPBackend.MATH):
        torch.onnx.export(
            module,
            first,
            path,
            input_names=module.inputs,
            output_names=module.outputs,
            dynamic_shapes=[axes] * len(first),
            dynamo=True,
            external_data=size > _ONE_FILE,
            verbose=False,
        )
    runtime = needs("onnxruntime", "a graph of ONNX")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    apart = 0.0
    for batch in (first, *others):
        with torch.no_grad():
            wanted = module(*batch)
        named = zip(module.inputs, (each.numpy() for each in batch), strict=True)
        found = map(torch.from_numpy, session.run(None, dict(named)))
        for one, other in zip(wanted, found, strict=True):
            scale = max(1.0, one.abs().max().item())
            apart = max(apart, (one - other).abs().max().item() / scale)
    if not apart <= APART:
        raise ValueError(
            f"the graph of {type(module.model).__name__} is {apart:.1g} apart from the "
            f"model, more than {APART:g}; it was not written"
        )
    return Graph(module.inputs, module.outputs, apart)


def _example(
    module: Traceable, pad_id: int, texts: int, length: int
) -> tuple[Tensor, ...]:
    """Pieces by chance, of which the last text has some less, and padding."""
    length = min(length, module.config.max_positions)
    ids = torch.arange(texts * length).view(texts, length)
    ids = ids * 7919 % module.config.vocab_size  # a prime, so ids are far apart
    mask = torch.ones_like(ids)
    mask[-1, length // 2 + 1 :] = 0
    ids = ids.masked_fill(mask == 0, pad_id)
    segments = torch.zeros_like(ids)
    segments[:, 1:] = mask[:, 1:]
    return (ids, mask, segments)[: len(module.inputs)]


def _write_int8(source: Path, target: Path) -> None:
    """The graph with its matrices in whole numbers, one scale for each column."""
    tools = needs("onnxruntime.quantization", "a graph in whole numbers")
    with _quiet():
        tools.quantize_dynamic(
            source,
            target,
            per_channel=True,
            # Without it, sums of products overflow on processors that lack VNNI.
            reduce_range=True,
            use_external_data_format=source.with_name(f"{GRAPH}.data").exists(),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of exporters on their own work: the graph is compared."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
