"""Counted parameters and operations are those of BERT's formulas, and of others."""

import pytest
import torch

from bertcore import Bert, BertConfig, BertForPreTraining
from bertcore.model.counts import operations, parameters
from bertcore.model.variants.albert import Albert, AlbertConfig
from bertcore.model.variants.families import FAMILIES


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_counts_are_those_of_the_formulas(name: str) -> None:
    config = BertConfig.preset(name)
    with torch.device("meta"):
        found = parameters(BertForPreTraining(config))
    assert found == config.parameter_counts()
    expected = config.operation_counts(128)
    del expected["pooler"]  # Bert's forward leaves it out
    assert operations(Bert, config, 128) == sum(expected.values())


def test_a_shared_layer_counts_once_and_works_every_time() -> None:
    sizes = {"embedding_size": 32, "vocab_size": 100}
    counts, works = [], []
    for layers in (1, 4):
        config = AlbertConfig.preset("tiny", layers=layers, **sizes)
        counts.append(parameters(Albert(config)))
        works.append(operations(Albert, config, 64))
    assert counts[0] == counts[1]
    assert works[1] > 3.5 * works[0]


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_formulas_are_for_bert_only(name: str) -> None:
    config = FAMILIES[name].config()
    if name == "bert":
        assert config.parameter_counts()
        return
    for count in (config.parameter_counts, lambda: config.operation_counts(8)):
        with pytest.raises(ValueError, match="the formulas are BERT's, and this is a"):
            count()
