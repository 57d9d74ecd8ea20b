"""Export: a model as a folder for transformers, or for onnxruntime (chapters 9, 10).

`export_onnx` writes a graph that runs without PyTorch, with the files of the tokenizer.
It is compared with its model first, so a folder that is there is right.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bertcore.cards import write_card
from bertcore.files import new_file, new_folder, read_json, write_text
from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.encoder import EncoderLayer
from bertcore.model.variants.electra import ElectraForPreTraining, ElectraPair
from bertcore.model.variants.families import family_at, masked_lm_of
from bertcore.model.weights import Pretrained, published_class
from bertcore.sentences import SentenceEncoder
from bertcore.sources import find_file, find_optional, many, needs
from bertcore.tasks.task import an
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.objectives import OBJECTIVE_CLASSES
from bertcore.training.predictor import TASK

GENERATOR = "generator"  # the folder of an ELECTRA's, beside the discriminator's files
GRAPH, INT8 = "model.onnx", "model-int8.onnx"
APART = 1e-4  # of a graph's outputs from the model's, at most
_ONE_FILE = 2**31 - 2**20  # bytes of weights: protobuf ends at 2 GB
# A batch to trace, whose axes must not be 1 or they would be fixed, and two to compare.
_SHAPES = (2, 6), (1, 3), (5, 11)
Outputs = tuple[Tensor, ...]


def export(
    model: Pretrained,
    tokenizer: Tokenizer,
    folder: str | Path,
    card: Mapping[str, Any],
    half: bool = False,
) -> Path:
    """Write weights, config, vocabulary and a model card into a folder.

    `transformers` opens it: `pipeline("fill-mask", folder)`; so does
    `BertForMaskedLM.from_pretrained(folder)` here. Of an ELECTRA the folder holds the
    discriminator, which is fine-tuned, and a folder in it the generator, which says
    what is masked.

    Args:
        folder: new, or of an earlier export.
        card: of the run, as `Pretraining.card` makes it.
        half: keep the weights in fp16, in half the space.

    Raises:
        ValueError: if the model has parts that no published format knows.
    """
    folder = Path(folder).expanduser()
    if isinstance(model, ElectraPair):
        parts = {folder: model.discriminator, folder / GENERATOR: model.generator}
    else:
        _check_layers(model)
        parts = {folder: masked_lm_of(model)}
    for place, part in parts.items():
        part.save_pretrained(place)
        tokenizer.save_pretrained(place)
        if half:
            _halve(place / "model.safetensors")
    # Last, so that a folder with a page is one whose weights are all there.
    write_text(folder / "README.md", model_card(parts[folder], tokenizer, card))
    write_card(folder / "card.json", card)
    return folder


def _check_layers(model: Pretrained) -> None:
    """Layers may differ from BERT's though their parameters have the same names."""
    kinds = tuple(kind for kind in OBJECTIVE_CLASSES if issubclass(kind, Pretrained))
    if not isinstance(model, kinds):
        raise ValueError(
            f"{type(model).__name__} is no one model with a head for masked pieces; "
            "save its parts with save_pretrained"
        )
    if type(model.bert) is not Bert:
        return
    names = {type(layer).__name__ for layer in model.bert.encoder.layers}
    names -= {EncoderLayer.__name__}
    if names:
        raise ValueError(
            f"a model with {' and '.join(sorted(names))} is no BERT, so no published "
            "format knows it; keep the run's checkpoint instead"
        )


def _halve(path: Path) -> None:
    tensors = {name: value.half() for name, value in load_file(path).items()}
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{name} has weights that fp16 cannot hold; export with half=False"
            )
    with new_file(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})


_PAGE = """\
---
library_name: transformers
pipeline_tag: fill-mask
tags: [{family}, masked-lm]
---

# {name}, {millions:.1f} million parameters

{layers} of {width}, {heads}, {pieces:,} pieces, texts of up to \
{positions} tokens. Trained by `bertcore` from {origin}.

## Use

```python
from transformers import pipeline

fill = pipeline("fill-mask", "{filled}")
fill("The capital of France is [MASK].")
```

## Training

- Texts: {texts}.
- {updates}, {tokens:,} tokens, {seconds:,.0f} s on {device} in {precision}; \
`card.json` beside this page has the recipe.
{quality}
## What it is not

It repeats what its texts say and how they say it, their age and their bias included. \
It is made to learn with, not to rely on.
"""

_QUALITY = """
## Held-out texts, 15 % masked

- loss {masked_lm:.3f} nats a masked piece (knowing only how frequent each is: \
{unigram:.3f})
- {bits_per_character:.3f} bits per character
- {accuracy:.1%} of {pieces:,} pieces right
"""

_CHANGE = """\
- {name}, whole words hidden: {before:.3f} bits per character before this training, \
{after:.3f} after it
"""


def model_card(model: Pretrained, tokenizer: Tokenizer, card: Mapping[str, Any]) -> str:
    """A page about the model, in the form that hubs of models show."""
    results, setting, config = card["results"], card["setting"], model.config
    # A discriminator fills no gaps, so what the page shows is its generator.
    electra = isinstance(model, ElectraForPreTraining)
    quality = ""
    if "held_out" in results:
        unigram = results.get("unigram_loss", float("nan"))
        quality = _QUALITY.format(unigram=unigram, **results["held_out"])
    for name, scores in results.get("before_and_after", {}).items():
        before, after = (each["bits_per_character"] for each in scores.values())
        quality += _CHANGE.format(name=name, before=before, after=after)
    return _PAGE.format(
        name=type(model).__name__,
        family=config.published.model_type,
        filled=f"this-folder/{GENERATOR}" if electra else "this-folder",
        millions=sum(p.numel() for p in model.parameters()) / 1e6,
        layers=many(config.layers, "layer"),
        width=config.hidden_size,
        heads=many(config.heads, "head"),
        pieces=len(tokenizer),
        positions=config.max_positions,
        origin=setting.get("origin", "random weights"),
        texts=card["data"],
        updates=many(results["steps"], "update"),
        tokens=results["tokens"],
        seconds=results["training_seconds"],
        device=card["device"],
        precision=setting["precision"],
        quality=quality,
    )


# ONNX --------------------------------------------------------------------------------


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
