"""Grading: what is right passes, each kind of fault is named, by what it is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from instructors.grading import Exercise, accepts, difference, grade

NAN = float("nan")
T = torch.tensor


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (1.000001, 1.0),
        (NAN, NAN),
        (1, True),
        (T(2.0), 2.0),
        ([1, (2.0, "a")], (1, [2.0000001, "a"])),
        ({"a": T([1.0, NAN]), "b": None}, {"b": None, "a": T([1.0, NAN])}),
        (T([1e-9, 1.0]), T([0.0, 1.0])),
        (T([-1e4, 1.000001]), T([-1e4, 1.0])),
        (T([True, False]), T([True, False])),
        (float("-inf"), float("-inf")),
        ({1, 2}, {2, 1}),
    ],
)
def test_the_same(found: object, right: object) -> None:
    assert difference(found, right) == ""


@pytest.mark.parametrize(
    ("found", "right", "said"),
    [
        (9.98, 8.58, "the result is 9.98, and 8.58 is right"),
        (1.0, NAN, "and nan is right"),
        (NAN, 1.0, "is nan"),
        (1e-6, 3e-6, "is 1e-06, and 3e-06"),
        (3, 4, "is 3, and 4"),
        (None, 0.0, "is None"),
        ("1", 1, "is '1', and 1"),
        (b"a", "a", "is b'a'"),
        ([1, 2], [1, 2, 3], r"is \[1, 2\], and \[1, 2, 3\]"),
        ("ab", ["a", "b"], "is 'ab'"),
        ([("a", 0), ("b", 1)], [("a", 0), ("b", 2)], r"\[1\]\[1\] is 1, and 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "is {'a': 1}"),
        ({"a": 1}, {"a": 2}, r"\['a'\] is 1"),
        ([1.0, 2.0], T([1.0, 2.0]), "and a tensor is right"),
        (torch.ones(2, 3), torch.ones(3, 2), "tensor of 2 × 3, float32, and a tensor"),
        (T([1]), T([1.0]), "int64, and a tensor of 1, float32"),
        (T([1.0, 2.0]), T([1.0, NAN]), r"at \(1,\) is 2, and nan"),
        (T([NAN, 2.0]), T([1.0, 2.0]), r"at \(0,\) is nan"),
        (T([[1.0, 2.0]]), T([[1.0, 2.1]]), r"at \(0, 1\) is 2, and 2.1.*1 of 2 differ"),
        (T([-1e4, 1.001, 1.0]), T([-1e4, 1.0, 1.0]), "is 1.001"),
        (T([2e-5, 3e-5]), T([3e-5, 3e-5]), "is 2e-05"),
        (T([True, False]), T([True, True]), "is False, and True"),
        (T([1, 2]), T([1, 3]), "is 2, and 3"),
        ({1, 2}, {1}, "is {1, 2}"),
    ],
)
def test_differences(found: object, right: object, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(difference(found, right))


def test_what_nobody_can_compare_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\[0\] is a Linear.* `examine` return"):
        difference([nn.Linear(1, 1)], [nn.Linear(1, 1)])


def doubled(values: list[int], scale: Tensor) -> Tensor:
    values.append(1)  # nobody else may see it
    return scale * sum(values)


def cases(seed: int, given: dict) -> list[tuple]:
    scale = torch.rand(3, generator=torch.Generator().manual_seed(seed))
    return [([], scale), ([given["one"], seed], scale)]


def with_values(solution: Callable, values: list[int], scale: Tensor) -> tuple:
    return solution(values, scale), values


def test_faults_are_sentences() -> None:
    exercise, given = Exercise(cases), {"one": 1}
    assert grade(doubled, doubled, exercise, 5, given) == []
    wrong = grade(lambda v, s: s * (1 + len(v)), doubled, exercise, 5, given)
    (said,) = wrong
    assert said.startswith("case 2 of 2, doubled([1, 5], tensor([0.8")
    assert "3 of 3 differ" in said
    with_crash = grade(lambda v, s: s * v[0], doubled, exercise, 5, given)
    assert "raised IndexError: list index out of range; tensor([" in with_crash[0]
    assert len(grade(lambda v, s: exit(), doubled, exercise, 5, given)) == 2
    pure = grade(lambda v, s: s * (sum(v) + 1), doubled, exercise, 5, given)
    assert not pure
    changed = Exercise(cases, examine=with_values)
    assert not grade(doubled, doubled, changed, 5, given)
    said = grade(lambda v, s: s * (sum(v) + 1), doubled, changed, 5, given)
    assert "[1] is [], and [1] is right" in said[0]
    rough = Exercise(cases, tolerance=0.1)
    assert not grade(lambda v, s: s * (sum(v) + 1.01), doubled, rough, 5, given)
    with pytest.raises(ValueError, match="no case of seed 3"):
        grade(doubled, doubled, Exercise(lambda seed, given: []), 3, given)


def test_a_test_may_reject_by_any_exception() -> None:
    """On a faulty candidate that is right, on a right one it is a fault."""

    def positive(x: int) -> None:
        assert x > 0

    def examined(solution: Callable) -> list[str]:
        return grade(solution, positive, exercise, 0, {})

    exercise = Exercise(lambda seed, given: [(1,), (0,)], examine=accepts)
    assert not examined(positive)
    assert not examined(lambda x: 1 / x), "it stumbles over the faulty one only"
    (said,) = examined(lambda x: None)
    assert "positive(0): the result is True, and False is right" in said
    (said,) = examined(lambda x: [][0])
    assert "positive(1): the result is False, and True is right" in said
    assert len(examined(lambda x: 1 / (x - 1))) == 2, "the wrong way round"
    (said, _) = examined(lambda x: exit())
    assert "raised SystemExit" in said


def test_global_random_numbers_are_no_generator() -> None:
    def draw(generator: torch.Generator) -> Tensor:
        return torch.rand(4, generator=generator)

    def seeded(seed: int, given: dict) -> list[tuple]:
        return [(torch.Generator().manual_seed(seed),)]

    before = torch.random.get_rng_state()
    assert not grade(draw, draw, Exercise(seeded), 1, {})
    anyhow = lambda generator: torch.rand(4)  # noqa: E731
    assert grade(anyhow, draw, Exercise(seeded), 1, {})
    assert not grade(anyhow, anyhow, Exercise(seeded), 1, {})
    assert torch.equal(before, torch.random.get_rng_state())
