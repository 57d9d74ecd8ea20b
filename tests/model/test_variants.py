"""Every variant equals the transformers library, with every head, and its files."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn

from bertcore import BertConfig
from bertcore.book.checks import assert_same
from bertcore.model.inference import text_states
from bertcore.model.variants.albert import ALBERT, AlbertConfig, AlbertForPreTraining
from bertcore.model.variants.deberta import (
    DEBERTA,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
)
from bertcore.model.variants.electra import (
    ELECTRA,
    ElectraConfig,
    ElectraForPreTraining,
    ElectraPair,
)
from bertcore.model.variants.families import FAMILIES, Family, family_of
from bertcore.model.variants.modernbert import ModernBert, ModernBertConfig, local_map
from bertcore.model.variants.parts import SpanReader
from bertcore.model.variants.roberta import Roberta, RobertaConfig
from bertcore.model.weights import Pretrained, published_class
from bertcore.tasks import KINDS
from tests.conftest import Table, fill_with_large_weights, tiny_config

# Sizes that all differ, as in `tiny_config`, and more of what is a variant's own.
OWN = Table(
    "OWN",
    {
        "roberta": {},
        "albert": {"embedding_size": 14, "layers": 3},
        "distilbert": {},
        "electra": {"embedding_size": 14},
        "deberta-v2": {"position_buckets": 4},
        "modernbert": {"layers": 5, "window": 4},
    },
)
VARIANTS = [name for name in FAMILIES if name != "bert"]
HEADS = ("body", "masked_lm", "classification", "tagging", "answers")


def config_of(name: str, **changes: object) -> BertConfig:
    family = FAMILIES[name]
    sizes = dict(
        vocab_size=53,
        hidden_size=24,
        layers=2,
        heads=3,
        feedforward_size=40,
        max_positions=16,
        num_labels=5,
        dropout=0.1,
    )
    return family.config(**{**sizes, **OWN[name], **changes})


def ours_of(name: str, head: str, **changes: object) -> Pretrained:
    return getattr(FAMILIES[name], head)(config_of(name, **changes))


def theirs_of(model: Pretrained, attention: str = "eager") -> nn.Module:
    """The same in the transformers library, from the config.json that ours writes."""
    published = json.loads(json.dumps(model.published_config()))
    pad = published.setdefault("pad_token_id", 0)
    config = transformers.AutoConfig.for_model(
        **published, attn_implementation=attention
    )
    assert config.pad_token_id == pad
    theirs = getattr(transformers, published_class(type(model)))(config)
    fill_with_large_weights(theirs)
    return theirs.eval()


def pick(out: object) -> Tensor:
    if hasattr(out, "start_logits"):
        return torch.stack([out.start_logits, out.end_logits], dim=-1)
    if hasattr(out, "logits"):
        return out.logits
    return out.last_hidden_state


def batch_of(name: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Padding is 1 in RoBERTa; who has no segments is given none."""
    batch = dict(batch)
    if name == "roberta":
        ids, mask = batch["input_ids"], batch["attention_mask"]
        batch["input_ids"] = ids.clamp(min=2) * mask + (1 - mask)
    if name not in ("albert", "electra"):
        del batch["token_type_ids"]
    return batch


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", VARIANTS)
def test_variant_equals_transformers(
    name: str, head: str, batch: dict[str, Tensor]
) -> None:
    ours = ours_of(name, head)
    given = batch_of(name, batch)
    assert_same(
        ours,
        theirs_of(ours),
        names=ours.config.published.published_name,
        pick=pick,
        where=given["attention_mask"].bool(),
        # ModernBERT: 1.4e-5 on some processors, of numbers near 3
        forward=2e-5 if name == "modernbert" else 1e-5,
        **given,
    )


def test_albert_for_pretraining(batch: dict[str, Tensor]) -> None:
    ours = AlbertForPreTraining(config_of("albert", num_labels=2))
    assert_same(
        ours,
        theirs_of(ours),
        names=ALBERT.published_name,
        pick=lambda out: (out.prediction_logits, out.sop_logits),
        where=batch["attention_mask"].bool(),
        **batch,
    )


def test_the_discriminator() -> None:
    ours = ElectraForPreTraining(config_of("electra"))
    ids = torch.arange(1, 31).reshape(2, 15)
    names = ELECTRA.published_name
    assert_same(ours, theirs_of(ours), names=names, pick=pick, input_ids=ids)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_version_2_with_its_convolution(
    activation: str, batch: dict[str, Tensor]
) -> None:
    given = batch_of("deberta-v2", batch)
    config = config_of("deberta-v2", kernel_size=3, kernel_activation=activation)
    ours = DebertaV2ForMaskedLM(config)
    assert_same(
        ours,
        theirs_of(ours),
        names=DEBERTA.published_name,
        pick=pick,
        where=given["attention_mask"].bool(),
        **given,
    )


@pytest.mark.parametrize("name", ["albert", "electra"])
def test_tables_as_wide_as_the_encoder(name: str, batch: dict[str, Tensor]) -> None:
    ours = ours_of(name, "masked_lm", embedding_size=24)
    assert_same(
        ours,
        theirs_of(ours),
        names=ours.config.published.published_name,
        pick=pick,
        where=batch["attention_mask"].bool(),
        **batch,
    )


def test_long_texts_reach_the_far_buckets() -> None:
    config = config_of("deberta-v2", max_positions=128, position_buckets=8)
    ours = FAMILIES["deberta-v2"].body(config)
    ids = torch.arange(96)[None] % 52 + 1
    names = ours.config.published.published_name
    assert_same(ours, theirs_of(ours), names=names, pick=pick, input_ids=ids)


def test_local_layers_of_modernbert_on_a_long_text() -> None:
    """At window 4 a token sees 2 on either side: one more or less would show."""
    ours = ours_of("modernbert", "body", max_positions=64)
    ids = torch.arange(1, 51)[None]
    names = ours.config.published.published_name
    assert_same(ours, theirs_of(ours, "sdpa"), names=names, pick=pick, input_ids=ids)
    assert local_map(5, 4)[0, 0, 0].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", VARIANTS)
def test_files_go_both_ways(
    name: str, head: str, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    given = batch_of(name, batch)
    ours = ours_of(name, head).eval()
    fill_with_large_weights(ours)
    ours.save_pretrained(tmp_path / "ours")
    theirs = getattr(transformers, published_class(type(ours))).from_pretrained(
        tmp_path / "ours"
    )
    real = given["attention_mask"].bool()
    expected = ours(**given)
    found = pick(theirs.eval()(**given))
    where = real if expected.shape[:2] == real.shape else slice(None)
    assert (found[where] - expected[where]).abs().max() < 1e-4
    theirs.save_pretrained(tmp_path / "theirs")
    again = type(ours).from_pretrained(tmp_path / "theirs")
    assert torch.equal(again(**given)[where], expected[where])
    assert again.config == ours.config or head == "answers"
    assert (
        family_of(json.loads((tmp_path / "theirs/config.json").read_text()))
        == (FAMILIES[name])
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_packed_texts_are_as_if_alone(name: str) -> None:
    """Every variant, DeBERTa also with its convolution, keeps packed texts apart."""
    changes = {"kernel_size": 3} if name == "deberta-v2" else {}
    body = ours_of(name, "body", **changes).eval()
    fill_with_large_weights(body)
    first, second = torch.arange(5, 11)[None], torch.arange(20, 27)[None]
    packed = body(
        torch.cat([first, second, torch.zeros(1, 2, dtype=torch.long)], dim=1),
        attention_mask=torch.tensor([[1] * 6 + [2] * 7 + [0] * 2]),
        position_ids=torch.tensor([[*range(6), *range(7), 0, 1]]),
    )
    assert packed.isfinite().all()
    assert (packed[:, :6] - body(first)).abs().max() < 1e-4
    assert (packed[:, 6:13] - body(second)).abs().max() < 1e-4


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_on_either_side_changes_nothing(name: str) -> None:
    body = ours_of(name, "body").eval()
    fill_with_large_weights(body)
    ids, empty = torch.arange(5, 10)[None], torch.zeros(1, 6, dtype=torch.long)
    mask = torch.tensor([[1] * 5 + [0] * 6])
    right = body(torch.cat([ids, empty], 1), attention_mask=mask)
    left = body(
        torch.cat([empty, ids], 1),
        attention_mask=mask.flip(1),
        position_ids=torch.tensor([[0] * 6 + [*range(5)]]),
    )
    for found in (right[:, :5], left[:, 6:]):
        assert (found - body(ids)).abs().max() < 1e-4
    assert left.isfinite().all() and right.isfinite().all()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_learns(name: str, batch: dict[str, Tensor]) -> None:
    for head in HEADS[1:]:
        model = ours_of(name, head)
        model(**batch_of(name, batch)).square().sum().backward()
        for parameter, value in model.named_parameters():
            assert value.grad is not None, f"{head}: {parameter}"


@pytest.mark.parametrize("name", VARIANTS)
def test_presets_and_defaults(name: str) -> None:
    family = FAMILIES[name]
    assert family.config.preset("mini").hidden_size == 256
    published = family.config().to_dict()
    assert family.config.from_dict(published) == family.config()
    assert published["model_type"] == name


# What the transformers library counts in models of the published sizes.
@pytest.mark.parametrize("name", VARIANTS)
def test_published_sizes(name: str) -> None:
    with torch.device("meta"):
        ours = FAMILIES[name].masked_lm(FAMILIES[name].config())
        published = ours.published_config()
        config = transformers.AutoConfig.for_model(**published)
        theirs = getattr(transformers, published_class(type(ours)))(config)
    assert count(ours) == count(theirs)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_roberta_counts_from_two() -> None:
    config = config_of("roberta")
    assert config.to_dict()["max_position_embeddings"] == 18
    body = Roberta(config).eval()
    assert len(body.embeddings.position.weight) == 18
    ids = torch.arange(2, 18)[None]  # 1 is padding, which has no place
    body(ids).sum().backward()
    used = body.embeddings.position.weight.grad.abs().sum(1) > 0
    assert used.tolist() == [False, False] + [True] * 16
    with pytest.raises(ValueError, match="17 tokens, but the position table has 16"):
        body(torch.arange(17)[None])


def test_albert_has_the_weights_of_one_layer() -> None:
    one, twelve = (
        FAMILIES["albert"].body(config_of("albert", layers=n)) for n in (1, 12)
    )
    assert count(one) == count(twelve)
    assert len(twelve.encoder.layers) == 12


def test_generator_and_discriminator_share_their_tables() -> None:
    pair = ElectraPair(config_of("electra", hidden_size=24, heads=3))
    tables = pair.generator.bert.embeddings.tables
    assert tables is pair.discriminator.bert.embeddings.tables
    assert pair.generator.config.hidden_size == 6
    assert pair.bert is pair.discriminator.bert


def test_modernbert_reads_both_ways_to_name_its_layers() -> None:
    old = {"global_attn_every_n_layers": 2, "local_rope_theta": 5.0}
    new = {
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {"sliding_attention": {"rope_theta": 5.0}},
    }
    for published in (old, new):
        config = ModernBertConfig.from_dict(published)
        assert config.global_every == 2 and config.local_base == 5.0
    with pytest.raises(ValueError, match="full_attention in the first layer"):
        ModernBertConfig.from_dict({"layer_types": ["sliding_attention"] * 2})


def test_an_option_of_a_head_is_read_where_that_head_is(
    batch: dict[str, Tensor], tmp_path: Path
) -> None:
    """Published ModernBERTs say "mean", which is a classifier's business alone."""
    given = batch_of("modernbert", batch)
    for head in HEADS:
        ours = ours_of("modernbert", head, pooling="mean").eval()
        fill_with_large_weights(ours)
        ours.save_pretrained(tmp_path)
        kept = json.loads((tmp_path / "config.json").read_text())
        assert kept["classifier_pooling"] == "mean"
        theirs = getattr(transformers, published_class(type(ours)))
        expected = pick(theirs.from_pretrained(tmp_path).eval()(**given))
        found = type(ours).from_pretrained(tmp_path)(**given)
        real = given["attention_mask"].bool()
        where = real if found.shape[:2] == real.shape else slice(None)
        assert (found[where] - expected[where]).abs().max() < 1e-4
        (tmp_path / "config.json").write_text(
            json.dumps({**kept, "classifier_activation": "relu"})
        )
        if head == "body":
            type(ours).from_pretrained(tmp_path)
            continue
        with pytest.raises(ValueError, match="activation='relu'.* reads its body, for"):
            type(ours).from_pretrained(tmp_path)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_classifier_reads_packed_texts_as_if_alone(pooling: str) -> None:
    ours = ours_of("modernbert", "classification", pooling=pooling).eval()
    fill_with_large_weights(ours)
    first, second = torch.arange(5, 11)[None], torch.arange(20, 27)[None]
    states = text_states(
        ours.bert,
        torch.tensor([[0, 6]]),
        torch.cat([first, second, torch.zeros(1, 2, dtype=torch.long)], dim=1),
        attention_mask=torch.tensor([[1] * 6 + [2] * 7 + [0] * 2]),
        position_ids=torch.tensor([[*range(6), *range(7), 0, 1]]),
    )
    found = ours.head(states[0, :, None])
    expected = torch.cat([ours(first), ours(second)])
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("name", "head", "changes"),
    [
        ("roberta", "body", {"pad_id": 0}),  # positions count from 1
        ("roberta", "body", {"pad_id": 4}),
        ("roberta", "body", {"segments": 2}),
        ("roberta", "masked_lm", {"gelu": "tanh"}),  # of the layers, not of the head
        ("electra", "masked_lm", {"gelu": "tanh"}),
    ],
)
def test_what_few_checkpoints_say(
    name: str, head: str, changes: dict, batch: dict[str, Tensor]
) -> None:
    ours = ours_of(name, head, **changes)
    if "pad_id" in changes:  # a token of a text is never the padding
        batch["input_ids"] = batch["input_ids"].clamp(min=5)
    if ours.config.segments == 1:
        del batch["token_type_ids"]
    assert_same(
        ours,
        theirs_of(ours),
        names=ours.config.published.published_name,
        pick=pick,
        where=batch["attention_mask"].bool(),
        **batch,
    )


@pytest.mark.parametrize("head", ["classification", "tagging"])
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "distilbert"])
def test_the_dropout_of_a_head_is_read_and_kept(name: str, head: str) -> None:
    """When training, one seed gives the same outputs: same places, same rate."""
    rates = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.5}
    ours = ours_of(name, head, **rates)
    assert type(ours.config).from_dict(ours.config.to_dict()) == ours.config
    theirs = theirs_of(ours).train()
    with torch.no_grad():
        for parameter, value in ours.train().named_parameters():
            published = ours.config.published.published_name(parameter)
            value.copy_(theirs.get_parameter(published))
    ids = torch.arange(4, 15)[None]
    torch.manual_seed(0)
    found = ours(ids)
    torch.manual_seed(0)
    assert (found - theirs(ids).logits).abs().max() < 1e-4
    dropped = (found - ours.eval()(ids)).abs().max() > 1e-2
    # The library's DeBERTa tags behind the dropout of its layers.
    assert dropped == ((name, head) != ("deberta-v2", "tagging"))


@pytest.mark.parametrize("name", ["xlm-roberta", "camembert"])
def test_roberta_by_another_name_keeps_it(name: str, tmp_path: Path) -> None:
    config = config_of("roberta", model_type=name, pad_id=3)
    ours = family_of({"model_type": name}).classification(config).eval()
    fill_with_large_weights(ours)
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert theirs.config.model_type == name
    assert theirs.config.architectures == [type(theirs).__name__]
    ids = torch.arange(4, 20)[None]
    assert (ours(ids) - theirs.eval()(ids).logits).abs().max() < 1e-4
    found = KINDS["classification"].build(tmp_path, ours.config.label_names or "abcde")
    assert type(found) is type(ours) and torch.equal(found(ids), ours(ids))


def test_what_a_variant_does_not_do_is_refused() -> None:
    for config, published, message in (
        (AlbertConfig, {"num_hidden_groups": 2}, "ALBERT needs 1"),
        (DebertaV2Config, {"share_att_key": False}, "DeBERTa needs True"),
        (ModernBertConfig, {"norm_bias": True}, "ModernBERT needs False"),
        (ElectraConfig, {"hidden_act": "relu"}, "ELECTRA needs 'gelu'"),
        (RobertaConfig, {"model_type": "bert"}, "RoBERTa needs 'roberta'"),
        (BertConfig, {"model_type": "albert"}, "variants has the classes of others"),
    ):
        with pytest.raises(ValueError, match=message):
            config.from_dict(published)
    with pytest.raises(ValueError, match="Roberta is built from a RobertaConfig, not"):
        Roberta(tiny_config())
    with pytest.raises(ValueError, match="reads bert, roberta"):
        family_of({"model_type": "gpt2"})


def test_span_readers_write_two_labels() -> None:
    for family in FAMILIES.values():
        if isinstance(family, Family) and issubclass(family.answers, SpanReader):
            model = family.answers(config_of(family.name))
            assert len(model.published_config()["id2label"]) == 2


def test_the_far_end_of_modernbert_is_reached_by_global_layers() -> None:
    body = ModernBert(config_of("modernbert", max_positions=40)).eval()
    fill_with_large_weights(body)
    ids = torch.arange(40)[None]
    other = ids.clone()
    other[0, -1] = 50
    assert not torch.allclose(body(ids)[0, 0], body(other)[0, 0])
    local = ModernBert(config_of("modernbert", layers=1, max_positions=40)).eval()
    local.encoder.layers[0].is_global = False
    assert torch.equal(local(ids)[0, :37], local(other)[0, :37])
