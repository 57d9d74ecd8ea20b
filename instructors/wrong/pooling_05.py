"""Chapter 5: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "first_and_last": [
        # the embeddings for layer 1
        """
def first_and_last(levels, attention_mask):
    return mean_pool((levels[0] + levels[-1]) / 2, attention_mask)
""",
        # never halved
        """
def first_and_last(levels, attention_mask):
    return mean_pool(levels[1] + levels[-1], attention_mask)
""",
        # padding is averaged
        """
def first_and_last(levels, attention_mask):
    return ((levels[1] + levels[-1]) / 2).mean(dim=1)
""",
        # counted from the front
        """
def first_and_last(levels, attention_mask):
    return mean_pool((levels[1] + levels[6 % len(levels)]) / 2, attention_mask)
""",
    ],
    "mean_reciprocal_rank": [
        # ties count as won
        """
def mean_reciprocal_rank(scores):
    right = scores.diagonal()[:, None]
    return (1 / (1 + (scores > right).sum(dim=1))).mean().item()
""",
        # ties count as lost
        """
def mean_reciprocal_rank(scores):
    right = scores.diagonal()[:, None]
    return (1 / (scores >= right).sum(dim=1)).mean().item()
""",
        # the mean place, turned over
        """
def mean_reciprocal_rank(scores):
    right = scores.diagonal()[:, None]
    above, same = (scores > right).sum(1), (scores == right).sum(1)
    return (1 / (above + (1 + same) / 2).mean()).item()
""",
        # over the queries instead of the texts
        """
def mean_reciprocal_rank(scores):
    scores = scores.T
    right = scores.diagonal()[:, None]
    above, same = (scores > right).sum(1), (scores == right).sum(1)
    return (1 / (above + (1 + same) / 2)).mean().item()
""",
        # only whether it came first
        """
def mean_reciprocal_rank(scores):
    right = scores.diagonal()[:, None]
    return ((scores > right).sum(dim=1) == 0).float().mean().item()
""",
    ],
    "whitening": [
        # fits anew on what it changes
        """
def whitening(fitted, width):
    def change(vectors):
        centre = vectors.mean(dim=0)
        _, sizes, turn = torch.linalg.svd(vectors - centre, full_matrices=False)
        stretch = turn[:width].T / sizes[:width] * len(vectors) ** 0.5
        return (vectors - centre) @ stretch
    return change
""",
        # turned, not stretched
        """
def whitening(fitted, width):
    centre = fitted.mean(dim=0)
    _, _, turn = torch.linalg.svd(fitted - centre, full_matrices=False)
    return lambda vectors: (vectors - centre) @ turn[:width].T
""",
        # each feature on its own: still correlated
        """
def whitening(fitted, width):
    centre, spread = fitted.mean(dim=0), fitted.std(dim=0)
    return lambda vectors: ((vectors - centre) / spread)[..., :width]
""",
        # the directions of least variance
        """
def whitening(fitted, width):
    centre = fitted.mean(dim=0)
    _, sizes, turn = torch.linalg.svd(fitted - centre, full_matrices=False)
    stretch = turn[-width:].T / sizes[-width:] * len(fitted) ** 0.5
    return lambda vectors: (vectors - centre) @ stretch
""",
        # no centre
        """
def whitening(fitted, width):
    _, sizes, turn = torch.linalg.svd(fitted, full_matrices=False)
    stretch = turn[:width].T / sizes[:width] * len(fitted) ** 0.5
    return lambda vectors: vectors @ stretch
""",
        # lengths 1 instead of variances 1
        """
def whitening(fitted, width):
    centre = fitted.mean(dim=0)
    _, sizes, turn = torch.linalg.svd(fitted - centre, full_matrices=False)
    return lambda vectors: (vectors - centre) @ (turn[:width].T / sizes[:width])
""",
    ],
    "test_mean": [
        """
def test_mean(pool):
    assert pool(torch.zeros(2, 3, 4), torch.ones(2, 3)).shape == (2, 4)
""",
        # no padding: what is forgotten does not show
        """
def test_mean(pool):
    h = torch.randn(3, 6, 5)
    assert torch.allclose(pool(h, torch.ones(3, 6)), h.mean(dim=1), atol=1e-4)
""",
        # one text
        """
def test_mean(pool):
    h, m = torch.randn(1, 6, 5), torch.tensor([[1, 1, 1, 1, 0, 0]])
    assert torch.allclose(pool(h, m), h[:, :4].mean(dim=1), atol=1e-4)
""",
        # ones everywhere hide most faults
        """
def test_mean(pool):
    m = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    assert torch.allclose(pool(torch.ones(2, 4, 5), m), torch.ones(2, 5), atol=1e-4)
""",
        # padding on the right only
        """
def test_mean(pool):
    h, m = torch.randn(2, 4, 5), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    expected = torch.stack([h[0, :3].mean(dim=0), h[1, :2].mean(dim=0)])
    assert torch.allclose(pool(h, m), expected, atol=1e-4)
""",
        """
def test_mean(pool):
    raise AssertionError("wrong")
""",
    ],
    "backward_in_chunks": [
        # each chunk is a batch of its own
        """
def backward_in_chunks(embed, chunks, loss):
    total = 0.0
    for chunk in chunks:
        part = loss(embed(chunk))
        part.backward()
        total += part.item() / len(chunks)
    return total
""",
        # all graphs at once
        """
def backward_in_chunks(embed, chunks, loss):
    total = loss(torch.cat([embed(chunk) for chunk in chunks]))
    total.backward()
    return total.item()
""",
        # one large chunk
        """
def backward_in_chunks(embed, chunks, loss):
    total = loss(embed(torch.cat(chunks)))
    total.backward()
    return total.item()
""",
        # the slopes of all chunks go to the first
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    for chunk in chunks:
        embed(chunk).backward(slopes[: len(chunk)])
    return total.item()
""",
        # forgets what was there
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    parts = slopes.split([len(part) for part in vectors])
    made = [embed(chunk) for chunk in chunks]
    torch.autograd.backward(made, list(parts))
    return total.item()
""",
    ],
}
