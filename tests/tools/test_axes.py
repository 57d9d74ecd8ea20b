"""The axis checker catches wrong claims and says where they stand."""

import pytest
import torch

from tools.axes import check_axes, read_claims

RIGHT = '''
import torch

def attend(query, key):  # query against key
    """A comment in a string is no claim: # b s"""
    scores = (
        query
        @ key.transpose(-1, -2)
    )  # b h q k
    for _ in range(2):
        scores = scores * 2  # b h q k
    return scores.sum(-1)  # b h q

def width(
    hidden,  # b s w
):
    return hidden.shape[-1]
'''


def run(source: str, call: str, **sizes: int) -> list[str]:
    scope: dict[str, object] = {"torch": torch}
    exec(compile(source, "<toy>", "exec"), scope)
    with check_axes({"<toy>": source}, **sizes) as claims:
        eval(call, scope)
    return [str(claim) for claim in claims.unmet]


def test_true_claims_pass_and_unmet_ones_are_listed() -> None:
    call = "attend(torch.ones(2, 3, 5, 4), torch.ones(2, 3, 7, 4))"
    assert run(RIGHT, call) == ["<toy>:15: hidden claims `b s w`"]
    assert len(read_claims(RIGHT, "<toy>")) == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x = torch.ones(2, 3)  # b s h", r"x claims `b s h`, but its shape is \(2, 3"),
        ("x = torch.ones(2, 3)  # b b", r"its shape is \(2, 3\) and b is 2"),
        ("x = torch.ones(2, 4)  # b s", r"<toy>:3: x .* and s is 3"),
        ("return torch.ones(3, 2)  # b s", r"the return value .* b is 2"),
    ],
)
def test_false_claims_are_caught(line: str, said: str) -> None:
    source = f"import torch\ndef f():\n    {line}\n    return 1"
    with pytest.raises(AssertionError, match=said):
        run(source, "f()", b=2, s=3)


def test_one_letter_has_one_size_within_a_call() -> None:
    source = (
        "import torch\ndef f(x):  # takes anything\n"
        "    y = x.T  # s b\n    z = torch.ones(9)  # b\n    return z"
    )
    with pytest.raises(AssertionError, match=r"z claims `b`.* b is 2"):
        run(source, "f(torch.ones(2, 3))")


def test_a_swapped_parameter_is_caught() -> None:
    source = "def f(\n    x,  # b s\n):\n    return x"
    with pytest.raises(AssertionError, match=r"<toy>:2: x claims"):
        run(source, "f(torch.ones(3, 2))", b=2, s=3)


def test_a_claim_that_nothing_can_decide_is_refused() -> None:
    with pytest.raises(ValueError, match="the axes in line 2 belong to no assignment"):
        read_claims("def f(x):\n    print(x)  # b s\n", "<toy>")


def test_a_letter_that_names_no_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no axis p; the axes are b s q"):
        read_claims("y = x.T  # b s p", "<toy>")


def test_axes_of_length_one_and_lambdas() -> None:
    source = (
        "import torch\ndef f(x):\n    y = x[:, None]  # b 1 s\n"
        "    return (lambda z: z.sum())(y) + x  # b s"
    )
    assert run(source, "f(torch.ones(2, 3))", b=2, s=3) == []
    with pytest.raises(AssertionError, match="y claims `b 1 s`"):
        run(source.replace("[:, None]", "[None]"), "f(torch.ones(2, 3))")


def test_a_call_that_fails_is_not_blamed_on_the_claim() -> None:
    source = "def f():\n    x = 1 / 0  # b s\n    return x  # b s"
    with pytest.raises(ZeroDivisionError):
        run(source, "f()")
