"""Chapter 5: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "cosines_kept": [
        # pair by pair, and done at the first that differs
        """
def cosines_kept(before, after):
    for i in range(len(before)):
        for j in range(i):
            old = F.cosine_similarity(before[i], before[j], dim=0)
            new = F.cosine_similarity(after[i], after[j], dim=0)
            if abs(old - new) > 1e-5:
                return False
    return True
""",
        # the Gram matrix, divided by the lengths on both sides
        """
def cosines_kept(before: Tensor, after: Tensor) -> bool:
    def angles(rows):
        gram = torch.einsum("i w, j w -> i j", rows, rows)
        lengths = gram.diagonal().sqrt()
        return gram / torch.outer(lengths, lengths)

    return bool((angles(before) - angles(after)).abs().max() <= 1e-5)
""",
        # another library's cosines, compared by NumPy
        """
import numpy as np
from sklearn.metrics.pairwise import cosine_similarity


def cosines_kept(before, after):
    return np.allclose(
        cosine_similarity(before), cosine_similarity(after), rtol=0, atol=1e-5
    )
""",
    ],
    "weighted_mean": [
        # token by token, with plain numbers as weights
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    total, vectors = float(counts.sum()), []
    for states, ids, mask in zip(hidden, input_ids, attention_mask):
        weights_sum, vector = 0.0, torch.zeros(hidden.shape[-1])
        for state, piece, keep in zip(states, ids.tolist(), mask.tolist()):
            if not keep:
                continue
            weight = 0.0001 / (0.0001 + float(counts[piece]) / total)
            weights_sum += weight
            vector = vector + weight * state
        vectors.append(vector / weights_sum)
    return torch.stack(vectors)
""",
        # the softmax of the weights' logarithms makes them sum to 1
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts.double() / counts.sum()
    scores = -torch.log(1e-4 + share)[input_ids]
    scores = scores.masked_fill(attention_mask == 0, -torch.inf)
    weights = scores.softmax(dim=1).to(hidden.dtype)
    return torch.einsum("b s, b s w -> b w", weights, hidden)
""",
        # looked up as an embedding, normalised by hand, multiplied as matrices
        """
def weighted_mean(hidden, input_ids, attention_mask, counts, a=0.0001):
    table = (a / (a + counts / counts.sum())).unsqueeze(1)
    w = F.embedding(input_ids, table).squeeze(-1)
    w = torch.where(attention_mask.bool(), w, torch.zeros_like(w))
    w = F.normalize(w, p=1, dim=-1)
    return torch.bmm(w.unsqueeze(1), hidden).squeeze(1)
""",
    ],
    "test_mean": [
        # the page's own function is the reference, for many random batches
        """
def test_mean(pool):
    torch.manual_seed(1)
    for texts, places in ((1, 1), (2, 5), (5, 9)):
        for left in (False, True):
            hidden = torch.randn(texts, places, 7)
            sizes = torch.randint(1, places + 1, (texts,))
            mask = (torch.arange(places) < sizes[:, None]).long()
            if left:
                mask = mask.flip(1)
            wanted = mean_pool(hidden, mask)
            torch.testing.assert_close(pool(hidden, mask), wanted, rtol=0, atol=1.1e-4)
""",
        # each place has a feature of its own, so the right vectors are known by heart
        """
def test_mean(pool):
    hidden = -4 * torch.eye(4).repeat(3, 1, 1)
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]])
    third = -4 / 3
    wanted = [[-2, -2, 0, 0], [0, third, third, third], [0, 0, 0, -4]]
    found = pool(hidden, mask).tolist()
    assert len(found) == len(wanted)
    for mine, right in zip(found, wanted):
        assert len(mine) == len(right)
        for x, y in zip(mine, right):
            assert math.isclose(x, y, rel_tol=0, abs_tol=1.01e-4), f"{x} is not {y}"


import math
""",
        # sums in plain Python, and a batch of whole numbers
        """
def test_mean(pool) -> None:
    h = torch.tensor([
        [[1.0, -20.0], [3.0, 8.0], [-77.0, 5.0]],
        [[40.0, 1.0], [5.0, 6.0], [-9.0, 2.0]],
        [[4.0, 9.0], [5.0, -6.0], [9.0, 12.0]],
    ])
    masks = [1, 1, 0], [0, 1, 1], [1, 1, 1]
    got = pool(h, torch.tensor(masks))
    assert tuple(got.shape) == (3, 2)
    for n, keep in enumerate(masks):
        for f in range(2):
            kept = [h[n, s, f].item() for s in range(3) if keep[s]]
            if abs(got[n, f].item() - sum(kept) / sum(keep)) > 1e-4:
                raise AssertionError(f"text {n}, feature {f}")
""",
    ],
    "backward_in_chunks": [
        # a made-up loss whose gradient for the vectors is the one that is wanted
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        everything = torch.cat([embed(c) for c in chunks])
    everything.requires_grad_(True)
    value = loss(everything)
    value.backward()
    begin = 0
    for c in chunks:
        out = embed(c)
        surrogate = (out * everything.grad[begin : begin + len(out)]).sum()
        surrogate.backward()
        begin += len(out)
    return float(value)
""",
        # the gradient of a function, and the chunks with a generator
        """
from torch.func import grad_and_value


def backward_in_chunks(embed, chunks: list, loss) -> float:
    vectors = torch.cat([embed(chunk).detach() for chunk in without_graph(chunks)])
    slope, value = grad_and_value(loss)(vectors)
    rows = iter(slope)
    for chunk in chunks:
        part = torch.stack([next(rows) for _ in chunk])
        torch.autograd.backward([embed(chunk)], [part])
    return value.item()


def without_graph(chunks):
    for chunk in chunks:
        with torch.no_grad():
            yield chunk
""",
        # the last chunk first, each taken off its end of the vectors
        """
def backward_in_chunks(embed, chunks: list, loss) -> float:
    leaves = []
    with torch.no_grad():
        for chunk in chunks:
            leaves.append(embed(chunk))
    for leaf in leaves:
        leaf.requires_grad = True
    total = loss(torch.cat(leaves))
    total.backward()
    for chunk, leaf in zip(reversed(chunks), reversed(leaves)):
        embed(chunk).backward(gradient=leaf.grad)
    return total.detach().item()
""",
    ],
}
