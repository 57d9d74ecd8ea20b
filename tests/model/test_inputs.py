"""Wrong input raises an error that names the numbers and the remedy."""

import pytest
import torch

from bertcore import Bert, BertForMaskedLM
from tests.conftest import tiny_config

IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.fixture(scope="module")
def bert() -> Bert:
    return Bert(tiny_config()).eval()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"input_ids": torch.ones(1, 17, dtype=torch.long)},
            r"17 tokens, but the position table has 16 rows.*max_length=16",
        ),
        (
            {"input_ids": IDS, "token_type_ids": torch.full_like(IDS, 2)},
            r"token_type_ids holds 2, but there are 2 segments \(0 to 1\); use 0 to 1",
        ),
        (
            {"input_ids": IDS + 50},
            r"input_ids holds 56, but there are 53 pieces in the vocabulary \(0 to 52\)"
            "; use the vocabulary that the weights came with",
        ),
        ({"input_ids": IDS - 2}, "input_ids holds -1"),
        (
            {"input_ids": torch.empty(0, 3, dtype=torch.long)},
            r"shape \(0, 3\): an empty batch; give at least one text",
        ),
        ({"input_ids": torch.empty(2, 0, dtype=torch.long)}, "an empty batch"),
        ({"input_ids": IDS.float()}, r"dtype torch.float32;.* use input_ids.long\(\)"),
        ({"input_ids": IDS[0]}, r"shape \(3,\).*input_ids\[None\]"),
        ({"input_ids": IDS.tolist()}, "input_ids is a list; give a tensor"),
        (
            {"input_ids": IDS, "token_type_ids": IDS[:, :2] * 0},
            r"token_type_ids has shape \(2, 2\), but input_ids has \(2, 3\)",
        ),
        (
            {"input_ids": IDS, "position_ids": IDS + 14},
            r"position_ids holds 20, but there are 16 positions",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.ones(2, 4)},
            r"attention_mask has shape \(2, 4\); expected \(2, 3\), or \(2, 3, 3\)",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.tensor([[0, 0, -10000]] * 2)},
            "values other than 0 and 1",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.full((2, 3), 0.5)},
            "1, 2, 3, … without gaps for the texts of a packed row",
        ),
        (  # ids by mistake, a gap, an extra text in one row only
            {"input_ids": IDS, "attention_mask": IDS},
            "not ids or the numbers that are added",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.tensor([[1, 1, 1], [1, 3, 0]])},
            "without gaps",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.full((2, 3, 3), 2)},
            "values other than 0 and 1",
        ),
        (
            {"input_ids": IDS, "attention_mask": torch.tensor([[1, 1, 1], [0, 0, 0]])},
            "lets text 1 look at nothing",
        ),
        (
            {
                "input_ids": IDS,
                "attention_mask": torch.eye(3).long().repeat(2, 1, 1)
                * torch.tensor([1, 0, 1])[:, None],
            },
            "lets query 1 of text 0 look at nothing; .* padding at itself",
        ),
        (
            {"input_ids": IDS, "attention_mask": [[1, 1, 1]] * 2},
            "attention_mask is a list; give a tensor",
        ),
    ],
)
def test_refused(bert: Bert, given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bert(**given)


def test_512_tokens_pass_and_513_do_not() -> None:
    model = Bert(tiny_config(max_positions=512)).eval()
    assert model(torch.ones(1, 512, dtype=torch.long)).shape == (1, 512, 24)
    with pytest.raises(ValueError, match="513 tokens.*512 rows"):
        model(torch.ones(1, 513, dtype=torch.long))


def test_int32_and_one_row_of_positions_are_welcome(bert: Bert) -> None:
    expected = bert(IDS)
    assert torch.equal(bert(IDS.int()), expected)
    assert torch.equal(bert(IDS, position_ids=torch.arange(3)[None]), expected)


def test_heads_check_their_input_too() -> None:
    with pytest.raises(ValueError, match="float"):
        BertForMaskedLM(tiny_config())(IDS.float())


def test_compiles_without_a_graph_break() -> None:
    """The checks of values are left out of a compiled model, the others stay."""
    model = Bert(tiny_config()).eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(IDS), model(IDS), atol=1e-6)


def test_where_values_are_not_looked_at_a_mask_must_be_of_integers() -> None:
    """Otherwise the numbers that are added to the scores would be taken for 1 and 0."""
    compiled = torch.compile(Bert(tiny_config()).eval(), backend="eager")
    with pytest.raises(Exception, match=r"dtype torch.float32.*attention_mask.long"):
        compiled(IDS, attention_mask=torch.zeros(2, 3))
