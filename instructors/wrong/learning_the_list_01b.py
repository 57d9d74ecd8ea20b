"""Chapter 1b: plausible wrong solutions. The checks must reject each of them."""

PARTS = """
def gain(cut, left, right):
    single, pairs = Counter(), Counter()
    for pieces, n in cut.items():
        for piece in pieces:
            single[piece] += n
        for pair in pairwise(pieces):
            pairs[pair] += n
    n, a, b, total = pairs[left, right], single[left], single[right], single.total()
    f = lambda c: c * log(c) if c > 0 else 0.0
"""
MERGED = """
def gain(cut, left, right):
    def log_likelihood(cut):
        counts = Counter()
        for pieces, n in cut.items():
            for piece in pieces:
                counts[piece] += n
        total = counts.total()
        return sum(n * log(n / total) for n in counts.values())
    def merge(pieces):
        new = []
        for piece in pieces:
            if new and (new[-1], piece) == (left, right):
                new[-1] = left + right.removeprefix("##")
            else:
                new.append(piece)
        return tuple(new)
"""

WRONG = {
    "two_pairs": [
        # the ratio prefers the frequent one, too
        """
def two_pairs(factor):
    return (factor, factor, factor + 1), (1, 2 * factor, 2 * factor)
""",
        # equal ratios
        """
def two_pairs(factor):
    return (factor, factor, factor), (1, 1, factor)
""",
        # a pair that is more frequent than its parts
        """
def two_pairs(factor):
    return (factor, factor, factor), (1, 0.5, 0.5)
""",
        # the two in the wrong order
        """
def two_pairs(factor):
    return (1, 1, 1), (factor, 2 * factor, 2 * factor)
""",
        # not so much more frequent
        """
def two_pairs(factor):
    return (2, 4, 4), (1, 1, 1)
""",
        # right for a factor of 2 only
        """
def two_pairs(factor):
    return (factor, 3 * factor, 3), (1, 2, 2)
""",
        # fractions of an occurrence
        """
def two_pairs(factor):
    return (1, 1, 1), (1 / factor, 1 / factor, 1 / factor)
""",
        # a part that does not occur
        """
def two_pairs(factor):
    return (factor, 2 * factor, 0), (1, 1, 1)
""",
    ],
    "gain": [
        # forgets that the sum of all counts falls
        f"{PARTS}    return f(n) + f(a - n) + f(b - n) - f(a) - f(b)\n",
        # bits instead of nats
        f"{MERGED}"
        """
    after = Counter()
    for pieces, n in cut.items():
        after[merge(pieces)] += n
    return (log_likelihood(after) - log_likelihood(cut)) / log(2)
""",
        # how much likelier than by chance, times n: the first-order estimate
        f"{PARTS}    return n * log(n * total / (a * b))\n",
        # the ratio
        f"{PARTS}    return n / (a * b)\n",
        # each word counts once
        f"{MERGED}"
        """
    cut = dict.fromkeys(cut, 1)
    after = Counter()
    for pieces, n in cut.items():
        after[merge(pieces)] += n
    return log_likelihood(after) - log_likelihood(cut)
""",
        # of two cuts that become one, only the last counts
        f"{MERGED}"
        """
    after = {merge(pieces): n for pieces, n in cut.items()}
    return log_likelihood(after) - log_likelihood(cut)
""",
        # the chapter's formula, which is for two different parts
        f"{PARTS}"
        """
    parts = f(a - n) - f(a) + f(b - n) - f(b)
    return f(n) + parts + f(total) - f(total - n)
""",
        # replaces in the spelling, and hits other pieces too
        f"{MERGED}"
        """
    after, glued = Counter(), left + right.removeprefix("##")
    for pieces, n in cut.items():
        after[tuple(" ".join(pieces).replace(f"{left} {right}", glued).split())] += n
    return log_likelihood(after) - log_likelihood(cut)
""",
        # of two pairs side by side, the second is overlooked
        f"{MERGED}"
        """
    after, glued = Counter(), left + right.removeprefix("##")
    for pieces, n in cut.items():
        text = f" {' '.join(pieces)} ".replace(f" {left} {right} ", f" {glued} ")
        after[tuple(text.split())] += n
    return log_likelihood(after) - log_likelihood(cut)
""",
        # glues the first pair of a word only
        f"{MERGED}"
        """
    after, glued = Counter(), left + right.removeprefix("##")
    for pieces, n in cut.items():
        new, pair_at = list(pieces), [*pairwise(pieces), (left, right)]
        i = pair_at.index((left, right))
        if i + 1 < len(pieces):
            new[i : i + 2] = [glued]
        after[tuple(new)] += n
    return log_likelihood(after) - log_likelihood(cut)
""",
        # the new piece loses the mark of its left part
        f"{MERGED}"
        """
    after, glued = Counter(), left + right.removeprefix("##")
    for pieces, n in cut.items():
        bare = [p.replace("##", "") if p == glued else p for p in merge(pieces)]
        after[tuple(bare)] += n
    return log_likelihood(after) - log_likelihood(cut)
""",
        # right, but the text that was given is merged, too
        f"{MERGED}"
        """
    before, after = log_likelihood(cut), Counter()
    for pieces, n in cut.items():
        after[merge(pieces)] += n
    cut.clear()
    cut.update(after)
    return log_likelihood(cut) - before
""",
        # before minus after
        f"{MERGED}"
        """
    after = Counter()
    for pieces, n in cut.items():
        after[merge(pieces)] += n
    return log_likelihood(cut) - log_likelihood(after)
""",
        # the new piece keeps the mark of its right part
        f"{PARTS}"
        """
    after = Counter()
    for pieces, n in cut.items():
        words = " ".join(pieces).split(f"{left} {right}")
        after[tuple(f"{left}{right}".join(words).split())] += n
    def log_likelihood(cut):
        counts = Counter()
        for pieces, n in cut.items():
            for piece in pieces:
                counts[piece] += n
        return sum(n * log(n / counts.total()) for n in counts.values())
    return log_likelihood(after) - log_likelihood(cut)
""",
    ],
}

# Which of them pass the visible check.
PASS_THE_VISIBLE_CHECK: dict[str, list[int]] = {}
