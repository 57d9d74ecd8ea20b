"""Chapter 3b: how its exercises are graded."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from instructors.grading import Exercise


def rows_of_shares(seed, given):
    """Shares of several shapes; zeros, tiny shares and long rows among them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(2, 3, 4, 7, generator=generator).mul(4).softmax(dim=-1)
    sharp = torch.tensor([[1.0, 1e-30, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0]])
    return [(drawn,), (drawn[0, 0, 0],), (sharp,), (torch.full((2000,), 1 / 2000),)]


def heads_with_habits(seed, given):
    """Weights at random, in which the head to find is a little ahead of others."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for offset in (-3, -2, -1, 0, 1, 2, 3):
        weights = torch.rand(3, 5, 9, 9, generator=generator).softmax(dim=-1)
        layer, head = (
            int(torch.randint(n, (), generator=generator)) for n in weights.shape[:2]
        )
        ahead = torch.arange(9)[None] - torch.arange(9)[:, None] == offset
        weights[layer, head] += 0.1 * ahead
        # What does not count: first and last queries, other offsets, one large weight.
        other = weights[(layer + 1) % 3, (head + 2) % 5]
        other[[0, -1]] += 9.0
        other += 0.5 * (ahead.T & ~ahead)
        alone = weights[(layer + 2) % 3, (head + 1) % 5]
        alone[4, 4 + offset] += 0.3
        for query in range(1, max(1, -offset)):  # places below 0 count from the end
            weights[(layer + 1) % 3, (head + 3) % 5, query, query + offset] += 0.9
        cases.append((weights, offset))
    large = heads_with_one_large_weight(generator)
    return [*cases, *large, *heads_with_rivals(generator)]


def heads_with_one_large_weight(generator):
    """The head to find owes its mean to one query, whose key is a first or last one."""
    cases = []
    for offset in (-3, -2, -1, 0, 1, 2, 3):
        weights = torch.rand(3, 5, 9, 9, generator=generator).softmax(dim=-1)
        layer, head = (int(torch.randint(n, (), generator=generator)) for n in (3, 5))
        queries = range(max(1, -offset), min(7, 8 - offset) + 1)
        edge = queries[-1] if offset > 0 else queries[0]
        weights[layer, head, edge, edge + offset] += 1.2  # more than the rivals' sums
        for query in queries:
            if query != edge:
                weights[(layer + 1) % 3, (head + 2) % 5, query, query + offset] += 0.13
                weights[(layer + 2) % 3, :, query, query + offset] += 0.1
        cases.append((weights, offset))
    return cases


def heads_with_rivals(generator):
    """Rows that sum to 1, where a nearly right rule finds another head: see each."""
    cases = []
    for offset in (-3, -2, -1, 0, 1, 2, 3):
        queries = [q for q in range(1, 8) if 0 <= q + offset < 9]
        beyond = [q for q in range(1, 8) if q not in queries]
        weights = torch.rand(3, 5, 9, 9, generator=generator).mul(0.02).softmax(dim=-1)
        layer, head = (int(torch.randint(n, (), generator=generator)) for n in (3, 5))

        def give(down, along, query, key, share, start=(layer, head), to=weights):
            """This share to one key, and the rest to the others, as it was."""
            row = to[(start[0] + down) % 3, (start[1] + along) % 5, query]
            row *= (1 - share) / (1 - row[key])
            row[key] = share

        for query in queries:
            key = query + offset
            # The head to find; what it leaves goes to one other key.
            give(0, 0, query, (key + 4) % 9, 0.9)
            give(0, 0, query, key, 0.3)
            # Ahead where shares are sharpened or go through another softmax.
            give(1, 1, query, key, 0.29)
            # Ahead by squares, although the mean is lower.
            give(1, 2, query, key, 0.95 if query == queries[0] else 0.11)
            for down in range(3):  # ahead where first a head is chosen, over layers
                give(down, 3, query, key, 0.2)
            give(2, 1, query, key, 0.2)
        for query in beyond:  # ahead where a key beyond the text is the last or first
            give(2, 1, query, 8 if offset > 0 else 0, 0.97)
        cases.append((weights, offset))
    return cases


def blocks_of_keys(seed, given):
    """Blocks of many lengths; large, very negative and growing scores."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):  # in double precision, because huge scores lose digits
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    cases = []
    for length, stretch in ((1, 1), (3, 1), (7, 40), (64, 2000)):
        query, value = stretch * random(5, 16), random(50, 16)
        key = random(50, 16).sort(dim=0).values
        for keys in (key, key.flip(0)):
            cases.append((query, keys, value, length))
        cases.append((-query.abs() - 1, 9 * key.abs() + 9, value, length))
    return cases


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made meanwhile."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return found


def fed_block_by_block(solution, query, key, value, length):
    """The result, and whether what is kept stays small.

    No block is there any more when the next one is asked for. What there is room for is
    twice the products of all queries with one block, whose length is given.
    """

    def blocks():
        for k, v in zip(key.split(length), value.split(length), strict=True):
            k, v = k.clone(), v.clone()
            yield k, v
            k.zero_(), v.zero_()

    room = 2 * query.numel() * min(length, len(key))
    with Largest() as watch:
        found = solution(query, blocks())
    return found, watch.numbers <= room


EXERCISES = {
    "looked_at": Exercise(rows_of_shares),
    "find_head": Exercise(heads_with_habits),
    "attend_in_blocks": Exercise(blocks_of_keys, fed_block_by_block, tolerance=1e-6),
}
