"""Every axis comment in the package is met by a run and true."""

import re

import torch

from bertcore import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    Decoder,
    EncoderDecoder,
    Search,
    generate,
)
from bertcore.model.attention import attention_map, causal_map
from bertcore.model.inference import attention_weights
from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.model.variants.albert import AlbertForPreTraining
from bertcore.model.variants.families import FAMILIES
from bertcore.model.variants.roberta import SpanBertForMaskedLM
from bertcore.training.objectives import (
    pretraining_batch,
    pretraining_losses,
    pretraining_objective,
)
from tests.conftest import ROOT, tiny_config
from tools.axes import AXES, check_axes

WIDTHS = {"h": 3, "d": 8, "w": 24, "f": 40, "v": 53}
SIZES = {"b": 2, "s": 7, **WIDTHS}


def test_axis_comments_of_the_package() -> None:
    files = sorted((ROOT / "bertcore").rglob("*.py"))
    ids = torch.randint(0, 53, (2, 7))
    inputs = ids, ids % 2, torch.ones_like(ids), torch.arange(7).expand(2, 7)
    with check_axes(files, **SIZES) as claims:
        for model in (
            BertForPreTraining,
            BertForMaskedLM,
            BertForSequenceClassification,
            BertForTokenClassification,
            BertForQuestionAnswering,
        ):
            network = model(tiny_config())
            network(*inputs)
        network.bert(ids)
        hidden = network.bert(ids, attention_mask=torch.ones(2, 7, 7))
        attention = network.bert.encoder.layers[0].attention
        attention.weights(hidden, attention_map(inputs[2]))
        attention(hidden, source=hidden[:, :5])
        attention.weights(hidden, source=hidden[:, :5])
        causal_map(7)
        labels = {"labels": inputs[0], "next_sentence_label": torch.tensor([0, 1])}
        batch = {"input_ids": inputs[0], "token_type_ids": inputs[1], **labels}
        pretraining_losses(BertForPreTraining(tiny_config()), batch)
        batch["attention_mask"] = inputs[2]
        for model in (BertForPreTraining, BertForMaskedLM):
            network = model(tiny_config())
            work = pretraining_batch(batch)
            pretraining_objective(network)(**work.arguments)
            batch.pop("next_sentence_label", None)
        for pool in (cls_pool, mean_pool, max_pool):
            pool(hidden, inputs[2])
    with check_axes(files, **WIDTHS) as written:  # rows and lengths change meanwhile
        both = EncoderDecoder(tiny_config())
        target = inputs[2][:, :4], inputs[3][:, :4]
        both(ids, ids[:, :4], *inputs[1:], *target)
        both.states(ids, ids[:, :4], attention_mask=inputs[2])
        alone = Decoder(tiny_config(), cross=False)
        alone(*inputs)
        for how in ({}, {"beams": 3}, {"temperature": 1.0, "top_k": 3, "top_p": 0.9}):
            search = Search(max_tokens=3, start_id=1, stop_id=None, **how)
            generate(both, {"input_ids": ids}, search)
            generate(alone, {"input_ids": ids, "attention_mask": inputs[2]}, search)
        generate(alone, {"input_ids": ids}, search, cached=False)
    heads = {letter: WIDTHS[letter] for letter in "hdfv"}  # tables may be narrower
    with check_axes(files, **heads) as varied:
        run_variants(inputs)
    met = [*written.met, *varied.met]
    assert len(claims.all) > 50
    unmet = [str(claim) for claim in claims.unmet if claim not in met]
    assert not unmet, "\n".join(unmet)


def run_variants(inputs: tuple[torch.Tensor, ...]) -> None:
    """Every family with every head, and what looks into its layers."""
    names = ("input_ids", "token_type_ids", "attention_mask", "position_ids")
    batch = dict(zip(names, inputs, strict=True))
    sizes = {"vocab_size": 53, "hidden_size": 24, "heads": 3, "layers": 2}
    sizes |= {"feedforward_size": 40, "max_positions": 16}
    for family in FAMILIES.values():
        own = {"kernel_size": 3} if family.name == "deberta-v2" else {}
        config = family.config(**sizes, **own)
        for kind in filter(None, family[1:]):  # not all pretrain on pairs
            model = kind(config)
            model(inputs[0], inputs[1] * 0)
            model(inputs[0], None, *inputs[2:])
        attention_weights(model, **batch | {"token_type_ids": inputs[1] * 0})
    AlbertForPreTraining(FAMILIES["albert"].config(**sizes))(*inputs)
    spans = SpanBertForMaskedLM(tiny_config())
    hidden, places = spans.bert(*inputs)[0], torch.arange(3)
    table = spans.bert.embeddings.token.weight
    spans.boundary_head(hidden[:3], hidden[2:5], places, table)
    spans(*inputs)


def test_the_page_of_notation_has_every_axis() -> None:
    page = (ROOT / "notation.md").read_text("utf8")
    rows = re.findall(r"^\| `(\w)` \| (.+) \|$", page, re.MULTILINE)
    assert dict(rows) == AXES
