"""Every axis comment in the package is met by a run and true."""

import torch

from bertcore import (
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertcore.book.axes import check_axes
from bertcore.model.attention import attention_map, causal_map
from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.training.objective import pretraining_objective, pretraining_work
from bertcore.training.objectives import pretraining_losses
from tests.conftest import ROOT, tiny_config

SIZES = {"b": 2, "s": 7, "h": 3, "d": 8, "w": 24, "f": 40, "v": 53}


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
            work = pretraining_work(batch, network.config)
            pretraining_objective(network)(**work.arguments)
            batch.pop("next_sentence_label", None)
        for pool in (cls_pool, mean_pool, max_pool):
            pool(hidden, inputs[2])
    assert len(claims.all) > 50
    assert not claims.unmet, "\n".join(map(str, claims.unmet))
