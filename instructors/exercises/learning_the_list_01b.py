"""Chapter 1b: how solutions are graded, on small cut texts of a seed."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random
from typing import Any

from instructors.grading import Exercise

Cut = dict[tuple[str, ...], int]


def factor_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    draw = Random(seed)
    return [(factor,) for factor in (2, 3, 1000, draw.randint(4, 99), 10**6)]


def fooled(two_pairs: Callable, factor: int) -> dict[str, bool]:
    """Any counts will do that can occur, and that the two rules judge differently."""
    (n, a, b), (m, c, d) = two_pairs(factor)
    return {
        "whole numbers": all(isinstance(x, int) for x in (n, a, b, m, c, d)),
        "so much more frequent": n == factor * m,
        "no part rarer than its pair": 0 < n <= min(a, b) and 0 < m <= min(c, d),
        "the ratio prefers the second": n / (a * b) < m / (c * d),
    }


def gain_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    """Texts in which cuts collide, parts are equal, and pieces look alike."""
    draw = Random(seed)
    cases: list[tuple] = [
        ({("a", "##b"): 2, ("a",): 1}, "a", "##b"),
        ({("a", "##b"): 1, ("ab",): 1, ("c",): 1}, "a", "##b"),
        ({("1", "##0", "##0", "##0"): 2, ("1", "##0", "##0"): 3}, "##0", "##0"),
        ({("a", "##b", "##c"): 2, ("a", "##bc"): 1, ("b",): 1}, "a", "##b"),
        ({("a", "##b", "##a", "##b"): 3, ("a", "##b"): 4, ("b", "##a"): 1}, "a", "##b"),
        ({("aa", "##b"): 2, ("a", "##b"): 3, ("b", "##ab"): 5}, "a", "##b"),
        ({("a", *["##b"] * 4): 1}, "##b", "##b"),  # twice in one word, side by side
        ({("a", "##b", "##c"): 1, ("bc",): 1}, "##b", "##c"),  # which is no bc
        ({("b", "##a", "##b"): 1, ("a", "##b"): 1}, "a", "##b"),
    ]
    while len(cases) < 20:
        cut: Cut = {}
        for _ in range(draw.randint(3, 8)):
            letters = draw.choices("abc", k=draw.randint(1, 6))
            pieces = letters[0], *("##" + letter for letter in letters[1:])
            cut[pieces] = draw.randint(1, 9)
        pairs = sorted({pair for each in cut for pair in pairwise(each)})
        if pairs:
            cases.append((cut, *draw.choice(pairs)))
    return cases


def gain_and_text(gain: Callable, cut: Cut, left: str, right: str) -> tuple:
    """The gain, and the text as it is left: it must not change."""
    return gain(cut, left, right), cut


EXERCISES = {
    "two_pairs": Exercise(factor_cases, examine=fooled),
    # The difference of two large sums: single precision gives four digits of it.
    "gain": Exercise(gain_cases, examine=gain_and_text, tolerance=1e-3),
}
