"""Our model equals Google's own modeling.py, through a recorded run of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bertcore import BertConfig, BertForPreTraining
from bertcore.model.published import published_name

FIXTURE = Path(__file__).parent.parent / "fixtures" / "google_bert" / "google_bert.npz"


@pytest.fixture(scope="module")
def recorded() -> dict[str, torch.Tensor]:
    with np.load(FIXTURE) as arrays:
        return {
            name: torch.from_numpy(arrays[name]) for name in arrays if name != "meta"
        }


@pytest.fixture(scope="module")
def model(recorded: dict[str, torch.Tensor]) -> BertForPreTraining:
    with np.load(FIXTURE) as arrays:
        meta = json.loads(str(arrays["meta"]))
    config = BertConfig.from_dict(meta["config"] | {"hidden_act": "gelu_new"})
    model = BertForPreTraining(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(theirs(name, recorded, "weight"))
    return model


def theirs(name: str, recorded: dict[str, torch.Tensor], kind: str) -> torch.Tensor:
    """Google's array for a parameter of ours: other names, kernels transposed."""
    module, _, part = published_name(name).rpartition(".")
    path = module.replace("encoder.layer.", "encoder.layer_").replace(".", "/")
    if "embeddings" in path.rsplit("/", 1)[-1]:
        return recorded[f"{kind}/{path}"]
    if path == "cls/predictions":
        return recorded[f"{kind}/{path}/output_bias"]
    if path == "cls/seq_relationship":
        part = {"weight": "output_weights", "bias": "output_bias"}[part]
        return recorded[f"{kind}/{path}/{part}"]
    if "LayerNorm" in path:
        part = {"weight": "gamma", "bias": "beta"}[part]
        return recorded[f"{kind}/{path}/{part}"]
    array = recorded[f"{kind}/{path}/{'kernel' if part == 'weight' else 'bias'}"]
    return array.T if part == "weight" else array


def run(
    model: BertForPreTraining, recorded: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Everything that Google's run recorded, from our model."""
    inputs = {name: recorded[f"input/{name}"].long() for name in (
        "input_ids", "segment_ids", "input_mask", "masked_lm_positions",
        "masked_lm_ids", "next_sentence_labels",
    )}  # fmt: skip
    given = inputs["input_ids"], inputs["segment_ids"], inputs["input_mask"]
    hidden = model.bert(*given)
    pieces, follows = model(*given)
    rows = torch.arange(len(pieces))[:, None]
    at_masks = pieces[rows, inputs["masked_lm_positions"]].flatten(0, 1)
    losses = F.cross_entropy(
        at_masks, inputs["masked_lm_ids"].flatten(), reduction="none"
    )
    weights = recorded["input/masked_lm_weights"].flatten()
    masked_lm_loss = (losses * weights).sum() / (weights.sum() + 1e-5)
    next_sentence_loss = F.cross_entropy(follows, inputs["next_sentence_labels"])
    return {
        "embedding_output": model.bert.embeddings(*given[:2]),
        "sequence_output": hidden,
        "pooled_output": model.bert.pooler(hidden),
        "masked_lm_log_probs": at_masks.log_softmax(dim=-1),
        "next_sentence_log_probs": follows.log_softmax(dim=-1),
        "masked_lm_loss": masked_lm_loss,
        "next_sentence_loss": next_sentence_loss,
        "total_loss": masked_lm_loss + next_sentence_loss,
    }


def test_outputs_and_losses(model, recorded) -> None:
    for name, found in run(model, recorded).items():
        difference = (found - recorded[f"output/{name}"]).abs().max().item()
        assert difference < 1e-5, f"{name} differs by {difference:.1e}"


def test_every_layer(model, recorded) -> None:
    states: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda module, given, out: states.append(out))
        for layer in model.bert.encoder.layers
    ]
    run(model, recorded)
    for hook in hooks:
        hook.remove()
    expected = recorded["output/encoder_layers"]
    assert (torch.stack(states[: len(expected)]) - expected).abs().max() < 1e-5


def test_gradients_of_the_total_loss(model, recorded) -> None:
    model.zero_grad()
    run(model, recorded)["total_loss"].backward()
    for name, parameter in model.named_parameters():
        expected = theirs(name, recorded, "gradient")
        difference = (parameter.grad - expected).norm()
        if name.endswith("key.bias"):  # zero in theory: it moves all scores alike
            assert expected.norm() < 1e-6 and parameter.grad.norm() < 1e-6
        else:
            assert difference <= 1e-4 * expected.norm(), name


def test_epsilon_of_layer_norm(model, recorded) -> None:
    """With the tables divided by 128 a wrong epsilon moves this by 0.5."""
    embeddings = model.bert.embeddings
    tables = embeddings.token, embeddings.position, embeddings.segment
    ids, segments = recorded["input/input_ids"], recorded["input/segment_ids"]
    with torch.no_grad():
        for table in tables:
            table.weight /= 128
        found = embeddings(ids.long(), segments.long())
        for table in tables:
            table.weight *= 128
    expected = recorded["output/quiet_embedding_output"]
    assert (found - expected).abs().max() < 1e-5
