"""Chapter 1: how solutions are graded, on words and small vocabularies of a seed."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from instructors.grading import Exercise, accepts

MARKS = "", "##"


def hand_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    """One case: the three words stand in the task."""
    return [()]


def stuck_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    """Words of three or more letters, with and without repeated ones."""
    draw = Random(seed)
    drawn = ["".join(draw.choices("abcdefgh", k=k)) for k in (3, 4, 5, 9)]
    return [(word,) for word in ("aaa", "aba", "headland", *drawn)]


def stuck_verdict(stuck: Callable, word: str) -> dict[str, Any]:
    """Any vocabulary will do with which the word can be cut, but not greedily."""
    pieces = stuck(word)
    return {"can be cut": can_be_cut(word, pieces), "greedy": longest(word, pieces)}


def place_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    """Words of two letters, cut with vocabularies in which some pieces are missing."""
    draw = Random(seed)
    cases: list[tuple] = [
        ("abc", {"ab", "a", "##bc"}),  # the longest first piece leads nowhere
        ("aab", {"a", "aa", "##b", "b"}),
        ("ab", {"a", "b"}),
        ("a", {"##a", "b"}),
        ("abab", {"ab", "##ab", "abab", "##b"}),
        ("#", {"#", "###"}),  # a sign that looks like a mark
        ("abcdefghijkl", {"abcdefghij", "##kl"}),
    ]
    for _ in range(25):
        cases.append((word_of(draw), vocabulary_of(draw)))
    return cases


def test_cases(seed: int, given: Mapping[str, Any]) -> list[tuple]:
    """Right cuts, which a test must accept, and for each of many faults a wrong one."""
    draw = Random(seed)
    small = {"[UNK]", "a", "ab", "b", "##ab", "##b", "##bc", "##c", "##de", "x", "xy"}
    small |= {"##yz"}
    fixed = {
        word: longest(word, small) for word in "ab abc bbc ba ade xyz abab".split()
    }
    faults = [
        ("ab", "a ##b"), ("abc", "a ##bc"), ("abc", "ab"), ("ab", "##ab"),
        ("abc", "ab c"), ("ba", "b [UNK]"), ("ba", "b a"), ("ba", ""), ("ab", ""),
        ("ab", "ab ##b"), ("bbc", "b ##b ##c"), ("ab", "[UNK]"), ("ade", "[UNK]"),
        ("xyz", "x ##yz"), ("abc", "[UNK]"), ("abc", "abc"), ("abc", "ab [UNK]"),
        ("ba", "[UNK] ##a"), ("ba", "b ##a"), ("abab", "##ab ab"),
    ]  # fmt: skip
    cases: list[tuple] = [(fixed.get, small, list(fixed))]
    for word, wrong in faults:
        cases.append(((fixed | {word: wrong.split()}).get, small, list(fixed)))
    # A longer piece is listed, but none that is longer by one letter alone.
    gap = {"[UNK]", "a", "abc", "##b", "##c"}
    for cut in (["abc"], ["a", "##b", "##c"]):
        cases.append(({"abc": cut}.get, gap, ["abc"]))
    for _ in range(8):
        vocabulary = vocabulary_of(draw) | {"[UNK]"}
        words = [word_of(draw) for _ in range(6)]
        right = {word: longest(word, vocabulary) for word in words}
        cases.append((right.get, vocabulary, words))
        for word, pieces in right.items():
            for wrong in [*other_cuts(word, vocabulary), ["[UNK]"]]:
                if wrong != pieces:
                    cases.append(((right | {word: wrong}).get, vocabulary, words))
    return cases


def word_of(draw: Random) -> str:
    return "".join(draw.choices("abc", k=draw.randint(1, 7)))


def vocabulary_of(draw: Random) -> set[str]:
    """About half of all short pieces of three letters."""
    bodies = [a + b + c for a in "abc" for b in ("", *"abc") for c in ("", *"abc")]
    return {mark + b for mark in MARKS for b in bodies if draw.random() < 0.6}


def longest(word: str, vocabulary: set[str]) -> list[str]:
    """Greedy longest match."""
    pieces, start = [], 0
    while start < len(word):
        mark = MARKS[start > 0]
        ends = [e for e in range(start + 1, len(word) + 1)
                if mark + word[start:e] in vocabulary]  # fmt: skip
        if not ends:
            return ["[UNK]"]
        pieces.append(mark + word[start : ends[-1]])
        start = ends[-1]
    return pieces


def can_be_cut(rest: str, pieces: set[str], mark: str = "") -> bool:
    ends = [n for n in range(1, len(rest) + 1) if mark + rest[:n] in pieces]
    return not rest or any(can_be_cut(rest[n:], pieces, "##") for n in ends)


def other_cuts(word: str, vocabulary: set[str]) -> list[list[str]]:
    """Cuts into pieces of the vocabulary, the first few of all there are."""
    found: list[list[str]] = []

    def go_on(rest: str, pieces: list[str]) -> None:
        if not rest:
            found.append(pieces)
        for n in range(1, len(rest) + 1):
            piece = MARKS[bool(pieces)] + rest[:n]
            if piece in vocabulary and len(found) < 4:
                go_on(rest[n:], [*pieces, piece])

    go_on(word, [])
    return found


EXERCISES = {
    "by_hand": Exercise(hand_cases),
    "stuck": Exercise(stuck_cases, examine=stuck_verdict),
    "match_with_places": Exercise(place_cases),
    "test_cut": Exercise(test_cases, examine=accepts),
}
