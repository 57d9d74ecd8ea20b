"""Every head equals the transformers library, forwards and backwards."""

import copy

import pytest
import torch
import transformers
from torch import nn

import bertcore
from bertcore.book.checks import assert_same
from bertcore.model.published import published_name
from tests.conftest import fill_with_large_weights, tiny_config

HEADS = {
    "BertForPreTraining": lambda out: (
        out.prediction_logits,
        out.seq_relationship_logits,
    ),
    "BertForMaskedLM": lambda out: out.logits,
    "BertForSequenceClassification": lambda out: out.logits,
    "BertForTokenClassification": lambda out: out.logits,
    "BertForQuestionAnswering": lambda out: torch.stack(
        [out.start_logits, out.end_logits], dim=-1
    ),
}


def theirs(name: str, attention: str = "eager", **changes: object) -> nn.Module:
    config = tiny_config(**changes)
    published = config.to_dict()
    if name == "BertForQuestionAnswering":
        published |= transformers.BertConfig(num_labels=2).to_dict() | {
            key: published[key] for key in published if "label" not in key
        }
    model = getattr(transformers, name)(
        transformers.BertConfig(**published, attn_implementation=attention)
    )
    fill_with_large_weights(model)
    return model


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", HEADS)
def test_head_equals_transformers(
    name: str, attention: str, batch: dict[str, torch.Tensor]
) -> None:
    assert_same(
        getattr(bertcore, name)(tiny_config()),
        theirs(name, attention),
        names=published_name,
        pick=HEADS[name],
        where=batch["attention_mask"].bool(),
        **batch,
    )


@pytest.mark.parametrize("name", HEADS)
def test_heads_pass_positions_on(name: str, batch: dict[str, torch.Tensor]) -> None:
    assert_same(
        getattr(bertcore, name)(tiny_config()),
        theirs(name),
        names=published_name,
        pick=HEADS[name],
        where=batch["attention_mask"].bool(),
        position_ids=torch.arange(15, 4, -1).expand(3, 11).contiguous(),
        **batch,
    )


@pytest.mark.parametrize("name", ["BertModel", *HEADS])
def test_dropout_falls_where_it_does_in_transformers(
    name: str, batch: dict[str, torch.Tensor]
) -> None:
    """When training, one seed gives the same outputs: same places, same rates."""
    rates = {"dropout": 0.2, "attention_dropout": 0.3, "head_dropout": 0.4}
    their_model = theirs(name, "sdpa", **rates).train()
    ours = getattr(bertcore, name.replace("BertModel", "Bert"))(tiny_config(**rates))
    with torch.no_grad():
        for parameter, value in ours.train().named_parameters():
            value.copy_(their_model.get_parameter(published_name(parameter)))
    torch.manual_seed(0)
    found = ours(**batch)
    torch.manual_seed(0)
    expected = their_model(**batch)
    expected = HEADS[name](expected) if name in HEADS else expected.last_hidden_state
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [
        (found, expected)
    ]  # fmt: skip
    for our, their in pairs:
        assert (our - their).abs().max() < 1e-4
    torch.manual_seed(1)
    assert not torch.equal(first(ours(**batch)), first(found))


def first(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("heads", [1, 2, 8])
@pytest.mark.parametrize("gelu", ["none", "tanh"])
def test_body_equals_transformers(
    heads: int, gelu: str, batch: dict[str, torch.Tensor]
) -> None:
    changes = {"heads": heads, "gelu": gelu}
    assert_same(
        bertcore.Bert(tiny_config(**changes)),
        theirs("BertModel", **changes),
        names=published_name,
        pick=lambda out: out.last_hidden_state,
        where=batch["attention_mask"].bool(),
        **batch,
    )


def test_pooler_equals_transformers(batch: dict[str, torch.Tensor]) -> None:
    class WithPooler(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bertcore.Bert(tiny_config())

        def forward(self, **batch: torch.Tensor) -> torch.Tensor:
            return self.bert.pooler(self.bert(**batch))

    assert_same(
        WithPooler(),
        theirs("BertModel"),
        names=lambda name: published_name(name).removeprefix("bert."),
        pick=lambda out: out.pooler_output,
        **batch,
    )


def test_float64_agrees_to_rounding(batch: dict[str, torch.Tensor]) -> None:
    assert_same(
        bertcore.Bert(tiny_config()).double(),
        theirs("BertModel").double(),
        names=published_name,
        pick=lambda out: out.last_hidden_state,
        where=batch["attention_mask"].bool(),
        forward=1e-10,
        backward=1e-10,
        **batch,
    )


@pytest.mark.parametrize(
    "fault", [{"gelu": "tanh"}, {"layer_norm_eps": 1e-5}], ids=["gelu", "epsilon"]
)
def test_the_tolerance_sees_a_small_fault(
    fault: dict[str, object], batch: dict[str, torch.Tensor]
) -> None:
    """The checks above mean something only if these two fail."""
    with pytest.raises(AssertionError, match="differs by up to"):
        assert_same(
            bertcore.Bert(tiny_config(**fault)),
            theirs("BertModel"),
            names=published_name,
            pick=lambda out: out.last_hidden_state,
            where=batch["attention_mask"].bool(),
            **batch,
        )


def test_losses_of_pretraining_agree(batch: dict[str, torch.Tensor]) -> None:
    """Labels go into theirs as they are: -100 is ignored, 1 is a random pair."""
    their_model = theirs("BertForPreTraining").eval()
    model = bertcore.BertForPreTraining(tiny_config()).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(their_model.get_parameter(published_name(name)))
    labels = torch.where(batch["input_ids"] % 3 == 0, batch["input_ids"], -100)
    labels[batch["attention_mask"] == 0] = -100
    next_sentence_label = torch.tensor([0, 1, 1])
    expected = their_model(
        **batch, labels=labels, next_sentence_label=next_sentence_label
    ).loss
    pieces, follows = model(**batch)
    loss = nn.functional.cross_entropy(pieces.transpose(1, 2), labels)
    loss = loss + nn.functional.cross_entropy(follows, next_sentence_label)
    assert abs(loss - expected) < 1e-5


def test_real_checkpoint_equals_transformers(encoder_folder, real_tokenizer) -> None:
    their_model = transformers.BertModel.from_pretrained(encoder_folder)
    batch = real_tokenizer(
        ["The dog bit the man.", "Naïve café, 東京!", "no"],
        ["It was an accident.", "x" * 300, "A longer second segment than the first."],
    )
    same = assert_same(
        bertcore.Bert.from_pretrained(encoder_folder),
        their_model,
        names=published_name,
        pick=lambda out: out.last_hidden_state,
        where=batch["attention_mask"].bool(),
        **batch,
    )
    assert same.gradients == 101  # 103 tensors; the pooler's two take no part


def test_every_parameter_of_pretraining_gets_a_gradient(
    batch: dict[str, torch.Tensor],
) -> None:
    model = bertcore.BertForPreTraining(tiny_config())
    pieces, follows = model(**batch)
    (pieces.square().mean() + follows.square().mean()).backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert not idle


def test_two_calls_agree_and_change_nothing(batch: dict[str, torch.Tensor]) -> None:
    model = bertcore.BertForMaskedLM(tiny_config()).eval()
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model(**batch), model(**batch))
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
