"""Chapter 9c: how its exercises are graded."""

from random import Random

import torch

from bertcore import Tokenizer
from bertcore.text.vocabulary import SPECIAL
from instructors.grading import Exercise

LETTERS = "abcdefgh"


def drawn_word(rng, longest=7):
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, longest)))


def drawn_list(rng, longer, letters=LETTERS):
    """A list that can spell every word of the letters, with some longer pieces."""
    pieces = {*letters, *(f"##{letter}" for letter in letters)}
    while len(pieces) < 2 * len(letters) + longer:
        piece = "".join(rng.choice(letters) for _ in range(rng.randint(2, 4)))
        pieces.add(rng.choice(("", "##")) + piece)
    order = sorted(pieces)
    rng.shuffle(order)
    return Tokenizer([*SPECIAL, *order])


def counted_words(seed, given):
    """Frequent and rare words, one alone, and one that is listed but never comes."""
    rng = Random(seed)
    cases = []
    for longer, many in ((0, 1), (6, 5), (30, 40), (60, 9)):
        words = {drawn_word(rng): rng.choice((1, 2, 7, 90)) for _ in range(many)}
        cases.append((words, drawn_list(rng, longer)))
    some = {"abcdefg": 3, "h": 500, "gfedcbaab": 0}
    return [*cases, (some, drawn_list(rng, 10))]


def losses_of_words(seed, given):
    """Words of one piece and of many, likely and unlikely; one word alone."""
    rng = Random(seed)
    cases = []
    for many in (1, 2, 8, 60):
        words = [drawn_word(rng, 12) for _ in range(many)]
        sizes = [rng.randint(1, min(5, len(word))) for word in words]
        cases.append((words, [[12 * rng.random() for _ in range(n)] for n in sizes]))
    return [*cases, (["été", "zoë"], [[1.0, 0.5], [2.0]]), (["a"], [[0.0]])]


def tables_and_lists(seed, given):
    """Lists with much and little in common; a letter that is unknown; greedy cuts."""
    generator, rng = torch.Generator().manual_seed(seed), Random(seed)
    cases = []
    for old_pieces, new_pieces in ((0, 20), (30, 30), (60, 10)):
        old, new = drawn_list(rng, old_pieces), drawn_list(rng, new_pieces)
        # A table may be padded: rows at its end that belong to no entry.
        rows = len(old) + rng.choice((0, 3))
        cases.append((torch.randn(rows, 6, generator=generator), old, new))
    old = drawn_list(rng, 12)
    new = drawn_list(rng, 25, letters=f"{LETTERS}z")
    cases.append((torch.randn(len(old), 4, generator=generator), old, new))
    # Longest first from the left, which is not longest first from the right, nor the
    # fewest pieces; and a piece that comes twice.
    shorter = [*LETTERS[:3], "##a", "##b", "##c", "ab", "##bc", "##ab", "##bca"]
    longer = ["abc", "##abc", "##abca", "abab", "cabab", "##cbbc", "##b", "a"]
    old, new = (Tokenizer([*SPECIAL, *each]) for each in (shorter, longer))
    return [*cases, (torch.randn(len(old), 5, generator=generator), old, new)]


EXERCISES = {
    "pieces_per_word_of": Exercise(counted_words),
    "bits_per_character": Exercise(losses_of_words),
    "carried_over": Exercise(tables_and_lists),
}
