"""Chapter 3b: how its exercises are graded."""

import torch

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
    return cases


def blocks_of_keys(seed, given):
    """Blocks of many lengths; large, very negative and growing scores."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for length, stretch in ((1, 1), (3, 1), (7, 40), (64, 200)):
        query = stretch * torch.randn(5, 16, generator=generator)
        key = torch.randn(50, 16, generator=generator).sort(dim=0).values
        value = torch.randn(50, 16, generator=generator)
        for keys in (key, key.flip(0)):
            cases.append((query, keys, value, length))
        cases.append((-query.abs() - 1, 9 * key.abs() + 9, value, length))
    return cases


def fed_block_by_block(solution, query, key, value, length):
    """No block is there any more when the next one is asked for."""

    def blocks():
        for k, v in zip(key.split(length), value.split(length), strict=True):
            k, v = k.clone(), v.clone()
            yield k, v
            k.zero_(), v.zero_()

    return solution(query, blocks())


EXERCISES = {
    "looked_at": Exercise(rows_of_shares),
    "find_head": Exercise(heads_with_habits),
    "attend_in_blocks": Exercise(blocks_of_keys, fed_block_by_block, tolerance=1e-4),
}
