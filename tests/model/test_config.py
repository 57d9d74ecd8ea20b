"""Configs: the published counts, the published keys, and what is refused."""

import pytest
import transformers

from bertcore import (
    Bert,
    BertConfig,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertcore.model.config import PRESETS
from tests.conftest import tiny_config

# Turc et al. 2019, table 1, millions with both heads; large: Devlin et al. 2019,
# section 3, which rounds to 340.
PUBLISHED_MILLIONS = {"tiny": 4.4, "mini": 11.3, "small": 29.1, "medium": 41.7,
                      "base": 110.1}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED_MILLIONS)
def test_preset_has_the_published_count(name: str) -> None:
    counts = BertConfig.preset(name).parameter_counts()
    with_heads = sum(counts.values())
    without = with_heads - counts["mlm_head"] - counts["nsp_head"]
    published = PUBLISHED_MILLIONS[name]
    assert published in (round(with_heads / 1e6, 1), round(without / 1e6, 1))


def test_base_and_large_to_the_last_parameter() -> None:
    base = BertConfig.preset("base").parameter_counts()
    assert sum(base.values()) == 110_106_428
    assert base["embeddings"] + base["encoder"] + base["pooler"] == 109_482_240
    large = BertConfig.preset("large").parameter_counts()
    assert round(sum(large.values()) / 1e7) * 10 == 340


@pytest.mark.parametrize("name", ["tiny", "mini", "base"])
def test_formula_equals_the_model_and_the_library(name: str) -> None:
    import torch

    config = BertConfig.preset(name)
    with torch.device("meta"):
        ours = BertForPreTraining(config)
        theirs = transformers.BertForPreTraining(
            transformers.BertConfig(**config.to_dict())
        )
    expected = sum(config.parameter_counts().values())
    assert sum(p.numel() for p in ours.parameters()) == expected
    assert sum(p.numel() for p in theirs.parameters()) == expected
    parts = config.parameter_counts()
    for part in ("embeddings", "encoder", "pooler"):
        module = getattr(ours.bert, part)
        assert sum(p.numel() for p in module.parameters()) == parts[part]


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize(("length", "predictions"), [(1, 1), (7, 0), (128, 20)])
def test_operations_equal_what_pytorch_counts(
    name: str, length: int, predictions: int
) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    config = BertConfig.preset(name)
    with torch.device("meta"):
        model = BertForPreTraining(config)
        ids = torch.zeros(1, length, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        states = model.bert(ids)
        pooled = model.bert.pooler(states)
        if predictions:
            table = model.bert.embeddings.token.weight
            model.mlm_head(states[:, :predictions], table)
            model.nsp_head(pooled)
    found = config.operation_counts(length, predictions)
    assert counter.get_total_flops() == sum(found.values())


@pytest.mark.parametrize(
    "given", [(-1, 0), (4, 5), (4, -1), (513, 0), (1.5, 0), ("8", 0)]
)
def test_impossible_operations_are_refused(given: tuple) -> None:
    with pytest.raises(ValueError, match="predictions 0 to length, length up to 512"):
        BertConfig.preset("tiny").operation_counts(*given)


def test_presets_are_googles_sizes() -> None:
    shapes = {
        name: (c.layers, c.hidden_size, c.heads, c.feedforward_size)
        for name in PRESETS
        for c in [BertConfig.preset(name)]
    }
    assert shapes == {
        "tiny": (2, 128, 2, 512),
        "mini": (4, 256, 4, 1024),
        "small": (4, 512, 8, 2048),
        "medium": (8, 512, 8, 2048),
        "base": (12, 768, 12, 3072),
        "large": (24, 1024, 16, 4096),
    }
    assert BertConfig() == BertConfig.preset("base")


def test_published_keys_survive_the_round_trip() -> None:
    config = tiny_config(
        gelu="tanh", num_labels=2, label_names=("no", "yes"), dropout=0.2
    )
    assert BertConfig.from_dict(config.to_dict()) == config
    theirs = transformers.BertConfig(**config.to_dict())
    assert theirs.id2label == {0: "no", 1: "yes"}
    assert theirs.label2id == {"no": 0, "yes": 1}
    assert theirs.hidden_act == "gelu_new"
    assert BertConfig.from_dict(theirs.to_dict()) == config


def test_many_labels_keep_their_order() -> None:
    names = tuple(f"class {letter}" for letter in "kjihgfedcba")
    published = tiny_config(num_labels=11, label_names=names).to_dict()
    assert BertConfig.from_dict(published).label_names == names


@pytest.mark.parametrize(
    "broken",
    [
        {"id2label": {"neg": 0, "pos": 1}},
        {"id2label": {"1": "neg", "2": "pos"}},
        {"id2label": {"0": "neg", "1": "neg"}},
        {"id2label": ["neg", "pos"]},
        {"label2id": {"neg": 0, "pos": 2}},
        {"id2label": {"0": "a", "1": "b", "2": "c"}, "num_labels": 2},
    ],
)
def test_labels_that_do_not_say_what_scores_mean(broken: dict) -> None:
    """A head is refused, with advice that works; a body has no use for them."""
    for head in ("", "ForMaskedLM", "ForQuestionAnswering"):
        assert BertConfig.from_dict(broken, head).label_names is None
    for head in ("ForSequenceClassification", "ForTokenClassification"):
        with pytest.raises(ValueError, match=r"2?label.*write id2label as in.*num_lab"):
            BertConfig.from_dict(broken, head)
        assert BertConfig.from_dict(broken, head, num_labels=2).num_labels == 2
        names = ("neg", "pos")
        assert BertConfig.from_dict(broken, head, label_names=names).num_labels == 2


def test_labels_may_stand_in_label2id_alone() -> None:
    config = BertConfig.from_dict({"label2id": {"b": 1, "c": 2, "a": 0}})
    assert config.label_names == ("a", "b", "c") and config.num_labels == 3


@pytest.mark.parametrize(
    ("published", "ours"),
    [("gelu", "none"), ("gelu_new", "tanh"), ("gelu_pytorch_tanh", "tanh")],
)
def test_activations(published: str, ours: str) -> None:
    assert BertConfig.from_dict({"hidden_act": published}).gelu == ours


def test_changes_of_labels_stay_consistent() -> None:
    published = tiny_config(num_labels=2, label_names=("no", "yes")).to_dict()
    assert BertConfig.from_dict(published, num_labels=7).label_names is None
    three = BertConfig.from_dict(published, label_names=("a", "b", "c"))
    assert three.num_labels == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 7}, "hidden_size=768 does not split into heads=7.*such as heads=6"),
        ({"layers": 0}, "layers=0 must be an integer of 1 or more, below 2 billion"),
        ({"hidden_size": 76.8}, "hidden_size=76.8 must be an integer"),
        ({"dropout": 1.0}, r"dropout=1.0 must be a number in \[0, 1\)"),
        ({"gelu": "relu"}, "gelu='relu' must be"),
        ({"label_names": ("one",)}, "a name of its own"),
        ({"label_names": ("a", "a")}, "a name of its own"),
        ({"dropout": "0.1"}, "dropout='0.1' must be a number"),
        ({"layer_norm_eps": -1e-12}, "layer_norm_eps=-1e-12 must be"),
        ({"initializer_range": 0.0}, "initializer_range=0.0 must be"),
    ],
)
def test_wrong_sizes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BertConfig(**change)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({"model_type": "roberta"}, "model_type='roberta'; .* needs 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act='relu'; .*'gelu' or 'gelu_new'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder=True"),
        ({"num_hidden_layers": "2"}, "^config.json: num_hidden_layers='2' must be an"),
        (
            {"num_attention_heads": 7},
            "^config.json: hidden_size=768 .* num_attention_heads=7 .*_heads=6$",
        ),
        ({"hidden_dropout_prob": 2}, "^config.json: hidden_dropout_prob=2 must be a n"),
    ],
)
def test_other_architectures_are_refused(published: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BertConfig.from_dict(published)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no preset 'huge'; there are tiny, mini"):
        BertConfig.preset("huge")
    with pytest.raises(ValueError, match="BertConfig has no hiden_size; it has"):
        BertConfig.from_dict({}, hiden_size=3)
    with pytest.raises(ValueError, match="BertConfig has no n_layers"):
        BertConfig.preset("tiny", n_layers=3)
    with pytest.raises(ValueError, match="Bert is built from a BertConfig, not 'tiny'"):
        Bert("tiny")


def test_starting_weights_are_cut_at_two_sigma() -> None:
    """create_initializer redraws beyond two sigma: the real spread is 0.88 sigma."""
    model = Bert(BertConfig.preset("tiny"))
    table = model.embeddings.token.weight
    assert table.abs().max() <= 0.04
    assert abs(table.std().item() - 0.0176) < 2e-4
    assert model.encoder.layers[0].feedforward.widen.bias.abs().max() == 0
    assert (model.embeddings.norm.weight == 1).all()


def test_heads_start_like_the_body() -> None:
    config = BertConfig.preset("tiny", initializer_range=0.1, num_labels=99)
    for model in (
        BertForPreTraining(config),
        BertForSequenceClassification(config),
        BertForTokenClassification(config),
        BertForQuestionAnswering(config),
    ):
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and parameter.dim() == 2:
                assert parameter.abs().max() <= 0.2, name
                assert 0.07 < parameter.std() < 0.1, name
