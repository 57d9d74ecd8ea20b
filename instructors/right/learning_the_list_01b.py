"""Chapter 1b: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "two_pairs": [
        # parts that stand nowhere else, in both pairs
        """
def two_pairs(factor):
    rare = (10, 10, 10)
    frequent = tuple(factor * count for count in rare)
    return frequent, rare
""",
        # one frequent part is enough
        """
def two_pairs(factor):
    return [[factor, factor, factor**2], [1, 1, 1]]
""",
        # the second part becomes more frequent until the ratio is low enough
        """
from collections import namedtuple

Pair = namedtuple("Pair", "n a b")


def two_pairs(factor):
    second = Pair(3, 4, 4)
    n = factor * second.n
    part = n
    while n / part**2 >= second.n / (second.a * second.b):
        part += 1
    return Pair(n, part, part), second
""",
    ],
    "gain": [
        # the merge is carried out on text, by a regular expression
        """
import re


def log_likelihood(lines):
    counts = Counter()
    for line, n in lines.items():
        for piece in line.split():
            counts[piece] += n
    total = sum(counts.values())
    return sum(n * log(n) for n in counts.values()) - total * log(total)


def gain(cut, left, right):
    pair = re.escape(f"{left} {right}")
    glued = left + right[2:]
    before, after = Counter(), Counter()
    for pieces, n in cut.items():
        line = " ".join(pieces)
        before[line] += n
        after[re.sub(rf"(?<!\\S){pair}(?!\\S)", glued, line)] += n
    return log_likelihood(after) - log_likelihood(before)
""",
        # by index through each word, with the text as a list of words
        """
def gain(cut, left, right):
    def L(words):
        pieces = [piece for word in words for piece in word]
        return sum(log(pieces.count(p) / len(pieces)) for p in pieces)

    text = []
    for word, times in cut.items():
        text.extend([list(word)] * times)
    merged_text = []
    for word in text:
        new, i = [], 0
        while i < len(word):
            if i + 1 < len(word) and word[i] == left and word[i + 1] == right:
                new.append(left + right[2:])
                i += 2
            else:
                new.append(word[i])
                i += 1
        merged_text.append(new)
    return L(merged_text) - L(text)
""",
        # the chapter's own merged(), and NumPy for the sums
        """
import numpy as np


def entropy_term(cut):
    counts = {}
    for pieces, n in cut:
        for piece in pieces:
            counts[piece] = counts.get(piece, 0) + n
    counts = np.array(list(counts.values()))
    return float((counts * np.log(counts / counts.sum())).sum())


def gain(cut, left, right):
    after = [(merged(pieces, left, right), n) for pieces, n in cut.items()]
    return entropy_term(after) - entropy_term(cut.items())
""",
        # recursion on a word, and torch in single precision
        """
import torch


def glue(pieces, left, right):
    if len(pieces) < 2:
        return tuple(pieces)
    first, second, *rest = pieces
    if first == left and second == right:
        return (left + right.removeprefix("##"), *glue(rest, left, right))
    return (first, *glue([second, *rest], left, right))


def gain(cut, left, right):
    both = []
    for change in (False, True):
        counts = Counter()
        for pieces, n in cut.items():
            for piece in glue(pieces, left, right) if change else pieces:
                counts[piece] += n
        n = torch.tensor(list(counts.values()), dtype=torch.float32)
        both.append((n * (n / n.sum()).log()).sum().item())
    return both[1] - both[0]
""",
    ],
}
