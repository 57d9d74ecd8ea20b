"""Chapter 3b: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "looked_at": [
        # the logarithm of a share of 0 is replaced
        """
def looked_at(shares):
    logarithms = torch.where(shares > 0, shares, 1.0).log()
    return torch.exp(-(shares * logarithms).sum(-1))
""",
        # torch's function for x log y
        """
def looked_at(shares):
    h = -torch.xlogy(shares, shares).sum(dim=-1)
    return torch.e**h
""",
        # the perplexity of a distribution, from torch's own class
        """
def looked_at(shares: Tensor) -> Tensor:
    return torch.distributions.Categorical(probs=shares).perplexity()
""",
        # row by row, with Python's numbers
        """
import math


def looked_at(shares):
    rows = shares.reshape(-1, shares.shape[-1]).tolist()
    numbers = [math.exp(-sum(p * math.log(p) for p in row if p > 0)) for row in rows]
    return torch.tensor(numbers).reshape(shares.shape[:-1])
""",
    ],
    "find_head": [
        # four loops, and the best so far
        """
def find_head(weights, offset):
    layers, heads, length, _ = weights.shape
    best, where = float("-inf"), None
    for layer in range(layers):
        for head in range(heads):
            given = []
            for query in range(1, length - 1):
                if 0 <= query + offset <= length - 1:
                    given.append(weights[layer, head, query, query + offset].item())
            mean = sum(given) / len(given)
            if mean > best:
                best, where = mean, (layer + 1, head + 1)
    return where
""",
        # a mask of the pairs that count, and a mean over it
        """
def find_head(weights, offset):
    n = weights.size(-1)
    q = torch.arange(n)[:, None]
    k = torch.arange(n)[None, :]
    counts = (k - q == offset) & (q > 0) & (q < n - 1)
    means = weights[:, :, counts].mean(dim=-1)
    at = (means == means.max()).nonzero()[0]
    return tuple((at + 1).tolist())
""",
        # a diagonal of the rows without the first and the last
        """
def find_head(weights: Tensor, offset: int) -> tuple[int, int]:
    inner = weights[:, :, 1:-1]  # row 0 is query 1, so the diagonal is one further
    diagonal = torch.diagonal(inner, offset=offset + 1, dim1=-2, dim2=-1)
    habit = diagonal.sum(dim=-1) / diagonal.shape[-1]
    layer = habit.amax(dim=1).argmax()
    head = habit[layer].argmax()
    return int(layer) + 1, int(head) + 1
""",
        # sums by einsum: the number of queries is the same for all heads
        """
import numpy as np


def find_head(weights, offset):
    length = weights.shape[-1]
    pattern = np.eye(length, k=offset)
    pattern[[0, -1]] = 0
    sums = np.einsum("lhqk,qk->lh", weights.detach().double().numpy(), pattern)
    layer, head = np.unravel_index(sums.argmax(), sums.shape)
    return int(layer + 1), int(head + 1)
""",
    ],
    "attend_in_blocks": [
        # attention of each block, and the logarithms of the sums to weigh them with
        """
def attend_in_blocks(query, blocks):
    result, log_total = None, None
    for key, value in blocks:
        scores = query @ key.transpose(0, 1) / query.shape[-1] ** 0.5
        own = scores.softmax(dim=-1) @ value
        log_own = scores.logsumexp(dim=-1, keepdim=True)
        if result is None:
            result, log_total = own, log_own
            continue
        together = torch.logaddexp(log_total, log_own)
        result = result * (log_total - together).exp()
        result = result + own * (log_own - together).exp()
        log_total = together
    return result
""",
        # key by key and query by query, as the formula says
        """
import math


def attend_in_blocks(query, blocks):
    rows, width = query.shape
    top = [-math.inf] * rows
    total = [0.0] * rows
    mixed = torch.zeros_like(query)
    for keys, values in blocks:
        if mixed.shape[1] != values.shape[1]:
            mixed = mixed.new_zeros(rows, values.shape[1])
        for key, value in zip(keys, values):
            for i in range(rows):
                score = float(query[i] @ key) / math.sqrt(width)
                if score > top[i]:
                    correction = math.exp(top[i] - score)
                    total[i] *= correction
                    mixed[i] *= correction
                    top[i] = score
                share = math.exp(score - top[i])
                total[i] += share
                mixed[i] += share * value
    return mixed / torch.tensor(total, dtype=query.dtype)[:, None]
""",
        # the sum is one more column of the mixture, changed in place
        """
def attend_in_blocks(query: Tensor, blocks) -> Tensor:
    query = query * query.size(1) ** -0.5
    kept = largest = None
    for k, v in blocks:
        scores = query @ k.T
        v = F.pad(v, (0, 1), value=1.0)
        if kept is None:
            largest = scores.max(dim=1).values
            kept = v.new_zeros(query.size(0), v.size(1))
        before = largest.clone()
        largest = torch.maximum(largest, scores.max(dim=1).values)
        kept.mul_((before - largest).exp().unsqueeze(1))
        kept.add_((scores - largest.unsqueeze(1)).exp() @ v)
    return kept[:, :-1] / kept[:, -1:]
""",
        # products by broadcasting, which take room for one block at a time
        """
def attend_in_blocks(query, blocks):
    state = None
    for key, value in blocks:
        scores = (query[:, None] * key[None]).sum(-1) / query.shape[1] ** 0.5
        peak = scores.max(1, keepdim=True)[0]
        if state is not None:
            peak = torch.max(peak, state["peak"])
        parts = torch.exp(scores - peak)
        new = {"peak": peak, "sum": parts.sum(1, keepdim=True)}
        new["mix"] = (parts[..., None] * value[None]).sum(1)
        if state is not None:
            factor = torch.exp(state["peak"] - peak)
            new["sum"] = new["sum"] + factor * state["sum"]
            new["mix"] = new["mix"] + factor * state["mix"]
        state = new
    return state["mix"] / state["sum"]
""",
    ],
}
