"""Chapter 2: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "rows_that_learn": [
        # a set of Python numbers
        """
def rows_that_learn(input_ids):
    return len(set(input_ids.flatten().tolist()))
""",
        # marks the rows in a table of zeros
        """
def rows_that_learn(input_ids):
    seen = torch.zeros(int(input_ids.max()) + 1)
    seen[input_ids.reshape(-1)] = 1
    return seen.sum().int().item()
""",
        # runs a table of such ids and counts the rows that have a gradient
        """
def rows_that_learn(input_ids):
    table = nn.Embedding(int(input_ids.max()) + 1, 1)
    table(input_ids).sum().backward()
    return int((table.weight.grad != 0).any(dim=1).sum())
""",
        # sorts, and counts where a number is not the one before it; returns a tensor
        """
def rows_that_learn(input_ids):
    ordered, _ = input_ids.view(-1).sort()
    return 1 + (ordered[1:] != ordered[:-1]).sum()
""",
    ],
    "read_right": [
        # two loops, and one sum at a time
        """
def read_right(first, second):
    first = first - first.mean(0)
    second = second - second.mean(0)
    good = 0
    for i in range(len(first)):
        for j in range(len(second)):
            x = first[i] + second[j]
            a = int((first - x).norm(dim=1).argmin())
            b = int((second - x).norm(dim=1).argmin())
            good += a == i and b == j
    return good / (len(first) * len(second))
""",
        # squared distances by broadcasting, all sums at once
        """
def read_right(first, second):
    a = first - first.mean(dim=0, keepdim=True)
    b = second - second.mean(dim=0, keepdim=True)
    n, m = len(a), len(b)
    x = a.unsqueeze(1) + b.unsqueeze(0)
    to_a = (x.unsqueeze(2) - a).pow(2).sum(-1).argmin(-1)
    to_b = (x.unsqueeze(2) - b).pow(2).sum(-1).argmin(-1)
    rows, columns = torch.meshgrid(torch.arange(n), torch.arange(m), indexing="ij")
    return ((to_a == rows) * (to_b == columns)).float().mean()
""",
        # NumPy, and |x - t|² without |x|², which is the same for all rows
        """
import numpy as np


def read(sums, table):
    return np.argmin((table**2).sum(1) - 2 * sums @ table.T, axis=1)


def read_right(first, second):
    a, b = (t.double().numpy() for t in (first, second))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    sums = np.repeat(a, len(b), axis=0) + np.tile(b, (len(a), 1))
    i = np.repeat(np.arange(len(a)), len(b))
    j = np.tile(np.arange(len(b)), len(a))
    return float(np.mean((read(sums, a) == i) & (read(sums, b) == j)))
""",
        # the chapter's own nearest(), row by row of the first table
        """
def read_right(first, second):
    first, second = (table - table.mean(dim=0) for table in (first, second))
    right = 0
    for number, row in enumerate(first):
        sums = row + second
        ok = nearest(sums, first).eq(number)
        ok &= nearest(sums, second).eq(torch.arange(len(second)))
        right += ok.sum().item()
    return right / len(first) / len(second)
""",
    ],
    "OneTable": [
        # F.embedding on one matrix of ids, and einops for the sum
        """
from einops import reduce


class OneTable(nn.Module):
    def __init__(self, embeddings):
        super().__init__()
        t, p, s = embeddings.token, embeddings.position, embeddings.segment
        self.starts = [0, t.num_embeddings, t.num_embeddings + p.num_embeddings]
        rows = torch.cat([t.weight.data, p.weight.data, s.weight.data], dim=0)
        self.table = nn.Parameter(rows)
        self.gain = nn.Parameter(embeddings.norm.weight.data.clone())
        self.bias = nn.Parameter(embeddings.norm.bias.data.clone())
        self.eps = embeddings.norm.eps

    def forward(self, input_ids, token_type_ids=None, position_ids=None):
        b, s = input_ids.shape
        if position_ids is None:
            position_ids = torch.arange(s, device=input_ids.device)
        if token_type_ids is None:
            token_type_ids = torch.zeros(b, s, dtype=torch.long)
        numbers = [input_ids, position_ids.expand(b, s), token_type_ids]
        numbers = [each + start for each, start in zip(numbers, self.starts)]
        rows = F.embedding(torch.stack(numbers), self.table)
        x = reduce(rows, "part b s w -> b s w", "sum")
        mean = reduce(x, "b s w -> b s 1", "mean")
        variance = reduce((x - mean) ** 2, "b s w -> b s 1", "mean")
        return self.gain * (x - mean) * torch.rsqrt(variance + self.eps) + self.bias
""",
        # slices of the table, gain and bias made by copying into empty parameters
        """
class OneTable(nn.Module):
    def __init__(self, embeddings):
        super().__init__()
        self.n_tokens, width = embeddings.token.weight.shape
        self.n_positions = embeddings.position.weight.shape[0]
        total = self.n_tokens + self.n_positions + len(embeddings.segment.weight)
        self.table = nn.Parameter(torch.empty(total, width))
        self.gain = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))
        with torch.no_grad():
            a, b = self.n_tokens, self.n_tokens + self.n_positions
            self.table[:a] = embeddings.token.weight
            self.table[a:b] = embeddings.position.weight
            self.table[b:] = embeddings.segment.weight
            self.gain.copy_(embeddings.norm.weight)
            self.bias.copy_(embeddings.norm.bias)
        self.eps = embeddings.norm.eps

    def forward(self, input_ids, token_type_ids=None, position_ids=None):
        a, b = self.n_tokens, self.n_tokens + self.n_positions
        tokens, positions, segments = self.table[:a], self.table[a:b], self.table[b:]
        x = tokens[input_ids]
        if position_ids is None:
            x = x + positions[: input_ids.shape[1]]
        else:
            x = x + positions[position_ids]
        x = x + (segments[0] if token_type_ids is None else segments[token_type_ids])
        mean = x.mean(-1, keepdim=True)
        second_moment = (x - mean).square().mean(-1, keepdim=True)
        x = (x - mean) / torch.sqrt(second_moment + self.eps)
        return x * self.gain + self.bias
""",
        # an inner module for LayerNorm's arithmetic, deepcopy for the copies
        """
import copy


class Normalise(nn.Module):
    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        return (x - mean).div((variance + self.eps).sqrt())


class OneTable(nn.Module):
    def __init__(self, embeddings):
        super().__init__()
        its = copy.deepcopy(embeddings)
        self.sizes = [len(its.token.weight), len(its.position.weight)]
        parts = its.token, its.position, its.segment
        self.table = nn.Parameter(torch.vstack([p.weight for p in parts]).detach())
        self.gain, self.bias = its.norm.weight, its.norm.bias
        self.normalise = Normalise(its.norm.eps)

    def forward(self, input_ids, token_type_ids=None, position_ids=None):
        kinds = token_type_ids
        if kinds is None:
            kinds = torch.zeros_like(input_ids)
        places = position_ids
        if places is None:
            places = torch.arange(input_ids.size(1)).repeat(input_ids.size(0), 1)
        first, second = self.sizes
        at = torch.stack([input_ids, first + places.expand_as(input_ids),
                          first + second + kinds], dim=-1)
        summed = self.table.index_select(0, at.flatten()).view(*at.shape, -1).sum(-2)
        return torch.addcmul(self.bias, self.normalise(summed), self.gain)
""",
    ],
    "test_embeddings": [
        # torch's own comparison; all rows of all tables occur
        """
def test_embeddings(candidate, right):
    n, length = right.token.num_embeddings, right.position.num_embeddings
    texts = -(-n // length) + 1
    mixed = torch.randperm(texts * length, generator=torch.Generator().manual_seed(2))
    ids = mixed.remainder(n).view(texts, length)
    kinds = mixed.flip(0).view(texts, length) % right.segment.num_embeddings
    with torch.no_grad():
        torch.testing.assert_close(
            candidate(ids, kinds), right(ids, kinds), rtol=0, atol=1e-5
        )
""",
        # text by text, one seed after the other, with a message for each
        """
def test_embeddings(candidate, right) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        length = right.position.weight.shape[0]
        input_ids = torch.randint(0, right.token.weight.shape[0], (4, length))
        input_ids[:, -2:] = 0
        types = torch.randint(0, right.segment.weight.shape[0], (4, length))
        with torch.no_grad():
            found = candidate(input_ids.clone(), types.clone())
            wanted = right(input_ids, types)
        for number in range(4):
            gap = (found[number] - wanted[number]).abs().max()
            if not gap < 1e-5:
                raise AssertionError(f"text {number}, seed {seed}: {gap:.1e} off")
""",
        # computes the three sums itself instead of calling the class
        """
def expected(right, input_ids, kinds):
    places = torch.arange(input_ids.shape[1])
    summed = right.token.weight[input_ids] + right.position.weight[places]
    summed = summed + right.segment.weight[kinds]
    norm = right.norm
    return F.layer_norm(summed, summed.shape[-1:], norm.weight, norm.bias, norm.eps)


def test_embeddings(candidate, right):
    count, places, segments = (
        len(part.weight) for part in (right.token, right.position, right.segment)
    )
    draw = torch.Generator().manual_seed(7)
    ids = torch.randint(count, (5, places), generator=draw)
    ids[::2, 3] = 0
    kinds = (torch.arange(5 * places) % segments).reshape(5, places)
    error = (candidate(ids, kinds) - expected(right, ids, kinds)).detach().abs()
    assert torch.all(error <= 1e-5), f"{error.max().item()}"
""",
    ],
    "unmix": [
        # tries every position and segment for the best token, text by text
        """
def unmix(states, embeddings):
    with torch.no_grad():
        token = embeddings.token.weight - embeddings.token.weight.mean(1, keepdim=True)
        place = embeddings.position.weight
        place = place - place.mean(1, keepdim=True)
        kind = embeddings.segment.weight
        kind = kind - kind.mean(1, keepdim=True)
        normed = (states - embeddings.norm.bias) / embeddings.norm.weight
        # all sums of a place and a segment
        pairs = (place[:, None] + kind).flatten(0, 1)
        found = []
        mean_pair = pairs.mean(0)
        for vector in normed.flatten(0, 1):
            size = (token + mean_pair).std(-1, correction=0).mean()
            size = (size**2 + (pairs - mean_pair).square().sum(1).mean() / len(vector))
            rest = vector * size.sqrt()
            far = torch.cdist((rest - mean_pair)[None], token)[0]
            best = None
            for id in far.topk(5, largest=False).indices.tolist():
                distances = (rest - token[id] - pairs).norm(dim=1)
                value, at = distances.min(0)
                if best is None or value < best[0]:
                    best = value, id, int(at)
            found.append([best[1], *divmod(best[2], len(kind))])
        table = torch.tensor(found).view(*states.shape[:2], 3)
        return tuple(table.unbind(-1))
""",
        # a size from mean squares, and scalar products instead of distances
        """
@torch.no_grad()
def unmix(states, embeddings):
    def centred(table):
        return table - table.mean(dim=1, keepdim=True)

    parts = [embeddings.token, embeddings.position, embeddings.segment]
    tables = [centred(part.weight) for part in parts]
    around = [table.mean(dim=0) for table in tables]
    spread = sum((t - m).square().sum(1).mean() for t, m in zip(tables, around))
    size = ((sum(around).square().sum() + spread) / states.shape[-1]).sqrt()
    x = (states - embeddings.norm.bias) / embeddings.norm.weight * size - sum(around)

    def best(x, table):  # the same row as the smallest distance
        return (x @ table.T - table.square().sum(1) / 2).argmax(dim=-1)

    found = []
    for table, middle in zip(tables, around):
        chosen = best(x, table - middle)
        found.append(chosen)
        x = x - (table - middle)[chosen]
    return tuple(found)
""",
        # guesses, then improves each part while the others are held, a few times over
        """
def unmix(states: Tensor, embeddings: Embeddings):
    tables = []
    for part in (embeddings.token, embeddings.position, embeddings.segment):
        rows = part.weight.detach()
        tables.append(rows - rows.mean(dim=-1, keepdim=True))
    normed = (states - embeddings.norm.bias) / embeddings.norm.weight
    torch.manual_seed(1)
    drawn = [table[torch.randint(len(table), (999,))] for table in tables]
    size = torch.stack(drawn).sum(0).std(dim=-1, unbiased=False).mean()
    parts = [table.mean(dim=0).expand_as(states) for table in tables]
    found = [None, None, None]
    for _ in range(3):
        for i in range(3):
            others = sum(parts[j] for j in range(3) if j != i)
            found[i] = nearest(size * normed - others, tables[i])
            parts[i] = tables[i][found[i]]
        size = (sum(parts) * normed).sum(-1, keepdim=True) / normed.square().sum(
            -1, keepdim=True
        )
    return tuple(found)
""",
    ],
}
