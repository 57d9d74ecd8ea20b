"""Export: a folder that transformers opens, with the same answers."""

import json
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.model.variants.parts import (
    FinalNorm,
    PreNormLayer,
    with_layers,
)
from bertcore.training.evaluate import HeldOut
from bertcore.training.export import export
from bertcore.training.pretraining import Pretraining, make_examples
from tests.training.small import after, config, recipe, run, store, tokenizer

TEXTS = [
    "Anna is a [MASK].",
    "in the [MASK] it rains and the road is wet.",
    "she has a red [MASK] and a dog.",
]


@pytest.fixture(scope="module", params=[True, False], ids=["pairs", "pieces alone"])
def trained(request) -> Pretraining:
    how = recipe(steps=40, pairs=request.param)
    examples = make_examples(store(seed=1), how)
    held_out = HeldOut(store(seed=1), examples, tokenizer(), most=64)
    here = run(how, held_out=held_out, evaluations=1)
    after(here, 99)
    return here


@pytest.fixture(scope="module")
def folder(trained: Pretraining, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("exports") / "model"
    found = export(trained.model, trained.tokenizer, target, trained.card())
    assert found == target
    return found


def best(model: torch.nn.Module, text: str, count: int = 5) -> list[tuple[str, float]]:
    """The model's own most probable pieces for the mask."""
    ids = tokenizer()(text, parse_special=True)["input_ids"]
    with torch.no_grad():
        found = model.eval()(ids)
    logits = found if isinstance(found, torch.Tensor) else found[0]
    place = ids[0].tolist().index(tokenizer().mask_id)
    scores, pieces = logits[0, place].softmax(-1).topk(count)
    names = [tokenizer().vocabulary[piece] for piece in pieces]
    return list(zip(names, scores.tolist(), strict=True))


def test_fill_mask_of_transformers_gives_our_models_pieces(trained, folder) -> None:
    fill = pipeline("fill-mask", str(folder), top_k=5)
    for text in TEXTS:
        ours = best(trained.model, text)
        theirs = [(found["token_str"], found["score"]) for found in fill(text)]
        assert [name for name, _ in theirs] == [name for name, _ in ours]
        scores = [score for _, score in ours]
        assert [score for _, score in theirs] == pytest.approx(scores, rel=1e-4)
    assert len({best(trained.model, text)[0] for text in TEXTS}) > 1


def test_it_comes_back(trained, folder: Path) -> None:
    again = BertForMaskedLM.from_pretrained(folder)
    reader = Tokenizer.from_pretrained(folder)
    assert reader.vocabulary == tokenizer().vocabulary
    for text in TEXTS:
        assert best(again, text) == best(trained.model, text)


def test_half_precision_halves_it(trained, folder: Path, tmp_path: Path) -> None:
    half = export(
        trained.model, tokenizer(), tmp_path / "half", trained.card(), half=True
    )
    sizes = [(f / "model.safetensors").stat().st_size for f in (half, folder)]
    assert 0.5 <= sizes[0] / sizes[1] < 0.6
    assert not list(half.glob("*.partial"))
    again = BertForMaskedLM.from_pretrained(half)
    assert all(p.dtype == torch.float32 for p in again.parameters())
    for (name, score), (wanted, expected) in zip(
        best(again, TEXTS[0]), best(trained.model, TEXTS[0]), strict=True
    ):
        assert name == wanted and score == pytest.approx(expected, rel=2e-2)
    fill = pipeline("fill-mask", str(half))
    assert fill(TEXTS[0])[0]["token_str"] == best(trained.model, TEXTS[0])[0][0]


def test_a_weight_that_half_precision_cannot_hold(trained, tmp_path: Path) -> None:
    bias = trained.model.mlm_head.bias
    before = bias[7].item()
    try:
        bias.data[7] = 70_000
        with pytest.raises(ValueError, match="cls.predictions.bias has weights that"):
            export(trained.model, tokenizer(), tmp_path, trained.card(), half=True)
    finally:
        bias.data[7] = before


def test_the_model_card(trained, folder: Path) -> None:
    text, card = (folder / "README.md").read_text(), trained.card()
    results = card["results"]
    header = text.split("---")[1]
    assert (
        "pipeline_tag: fill-mask" in header and "library_name: transformers" in header
    )
    for wanted in (
        f"# {type(trained.model).__name__}, 0.0 million parameters",
        "2 layers of 24, 3 heads, 250 pieces, texts of up to 32 tokens",
        "- Texts: texts in memory.",
        f"- 40 updates, {results['tokens']:,} tokens, ",
        "`card.json` beside this page has the recipe",
        f"loss {results['held_out']['masked_lm']:.3f} nats",
        f"how frequent each is: {results['unigram_loss']:.3f}",
        f"- {results['held_out']['bits_per_character']:.3f} bits per character",
        f"of {results['held_out']['pieces']:,} pieces right",
        "## What it is not",
    ):
        assert wanted in text
    assert json.loads((folder / "card.json").read_text()) == json.loads(
        json.dumps(card)
    )


def test_without_held_out_texts_the_card_has_no_such_part(trained, tmp_path) -> None:
    card = trained.card()
    del card["results"]["held_out"]
    export(trained.model, tokenizer(), tmp_path, card)
    assert "Held-out" not in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("layer", "last", "names"),
    [
        (PreNormLayer, None, "PreNormLayer"),
        (PreNormLayer, FinalNorm, "FinalNorm and PreNormLayer"),
    ],
)
def test_a_model_that_is_no_bert(trained, tmp_path, layer, last, names) -> None:
    """Some have parameters of the same names, and would open as what they are not."""
    model, target = with_layers(config(), layer, last), tmp_path / "model"
    with pytest.raises(ValueError, match=f"a model with {names} is no BERT, so no pub"):
        export(model, tokenizer(), target, trained.card())
    assert not target.exists()
