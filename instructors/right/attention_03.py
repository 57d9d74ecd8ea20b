"""Chapter 3: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "better_share": [
        # the softmax of two scores is a sigmoid of their difference
        """
import math


def better_share(gap, width):
    return 1 / (1 + math.exp(-gap / math.sqrt(width)))
""",
        # torch's sigmoid in single precision, as a tensor
        """
def better_share(gap, width):
    return torch.sigmoid(torch.tensor(gap / width**0.5))
""",
        # a query and two keys, and what the chapter's formula makes of them
        """
def better_share(gap: float, width: int) -> float:
    query = torch.zeros(1, width)
    query[0, 0] = 1.0
    keys = torch.zeros(2, width)
    keys[0, 0] = gap
    shares = F.softmax(query @ keys.T / width**0.5, dim=1)
    return float(shares[0][0])
""",
    ],
    "attend": [
        # a query without a key may use all of them, and gets zeros afterwards
        """
def attend(query, key, value, allowed):
    some = allowed.any(dim=-1, keepdim=True)
    scores = torch.einsum("...qd,...kd->...qk", query, key) / query.size(-1) ** 0.5
    scores = torch.where(allowed | ~some, scores, float("-inf"))
    mixed = torch.einsum("...qk,...kd->...qd", scores.softmax(-1), value)
    return torch.where(some, mixed, 0.0)
""",
        # the softmax written out: the largest allowed score is subtracted
        """
def attend(query, key, value, allowed):
    d = query.shape[-1]
    scores = (query / d**0.5) @ key.mT
    lowest = torch.finfo(scores.dtype).min
    largest = scores.masked_fill(~allowed, lowest).amax(dim=-1, keepdim=True).detach()
    weights = torch.where(allowed, scores - largest, 0.0).exp() * allowed
    total = weights.sum(dim=-1, keepdim=True)
    return (weights / total.clamp(min=1e-30)) @ value
""",
        # query by query, with the keys that it may use and no mask
        """
def attend(query, key, value, allowed):
    if query.dim() > 2:
        rows = zip(query, key, value, allowed)
        return torch.stack([attend(*each) for each in rows])
    results = []
    for q, may in zip(query, allowed):
        if may.any():
            scores = key[may] @ q / len(q) ** 0.5
            results.append(torch.softmax(scores, dim=0) @ value[may])
        else:
            results.append(torch.zeros_like(value[0]))
    return torch.stack(results)
""",
        # one more key, which everybody may use in need and whose value is zero
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-2, -1) * key.shape[-1] ** -0.5
    scores = scores.masked_fill(~allowed, -torch.inf)
    nothing = torch.full_like(scores[..., :1], -torch.inf)
    nothing = nothing.masked_fill(~allowed.any(-1, keepdim=True), 0.0)
    shares = torch.cat([scores, nothing], dim=-1).softmax(dim=-1)
    return shares[..., :-1] @ value
""",
    ],
    "HeadByHead": [
        # one sum over axes by name
        """
class HeadByHead(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.inner = attention

    def contributions(self, hidden, allowed):
        mixed = mixtures(self.inner, hidden, allowed)
        w = self.inner.output.weight
        return torch.einsum(
            "bhsd,whd->hbsw", mixed, w.reshape(len(w), self.inner.heads, -1)
        )

    def forward(self, hidden, allowed, source=None):
        return self.contributions(hidden, allowed).sum(0) + self.inner.output.bias
""",
        # a loop over slices of the output matrix
        """
class HeadByHead(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def contributions(self, hidden: Tensor, allowed: Tensor) -> Tensor:
        by_head = mixtures(self.attention, hidden, allowed).unbind(dim=1)
        slices = self.attention.output.weight.chunk(self.attention.heads, dim=1)
        return torch.stack([F.linear(m, w) for m, w in zip(by_head, slices)])

    def forward(self, hidden, allowed, source=None):
        result = self.attention.output.bias
        for added in self.contributions(hidden, allowed):
            result = result + added
        return result
""",
        # all heads but one are zero when the output layer runs; its bias is taken away
        """
class HeadByHead(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def contributions(self, hidden, allowed):
        mixed = mixtures(self.attention, hidden, allowed)
        results = []
        for head in range(self.attention.heads):
            alone = torch.zeros_like(mixed)
            alone[:, head] = mixed[:, head]
            joined = rearrange(alone, "b h s d -> b s (h d)")
            results.append(self.attention.output(joined) - self.attention.output.bias)
        return torch.stack(results, dim=0)

    def forward(self, hidden, allowed, *others):
        mixed = mixtures(self.attention, hidden, allowed)
        return self.attention.output(mixed.transpose(1, 2).flatten(2))
""",
        # keeps the four layers themselves, and computes the attention weights
        """
class HeadByHead(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.q, self.k, self.v = attention.query, attention.key, attention.value
        self.o, self.heads = attention.output, attention.heads

    def contributions(self, hidden, allowed):
        b, s, w = hidden.shape
        d = w // self.heads

        def split(layer):
            return layer(hidden).view(b, s, self.heads, d).permute(2, 0, 1, 3)

        q, k, v = split(self.q), split(self.k), split(self.v)  # h b s d
        scores = q @ k.transpose(-1, -2) / d**0.5
        scores = scores.masked_fill(~allowed[:, 0], -1e9)
        out = self.o.weight.T.view(self.heads, 1, d, -1)
        return scores.softmax(dim=-1) @ v @ out

    def forward(self, hidden, allowed, source=None):
        return self.contributions(hidden, allowed).sum(dim=0) + self.o.bias
""",
    ],
    "test_attention": [
        # gradients are compared with those of what is right, and not only looked for
        """
def test_attention(attention, width):
    draw = torch.Generator().manual_seed(1)
    states = torch.randn(3, 6, width, generator=draw)
    allowed = torch.rand(3, 1, 6, 6, generator=draw) > 0.3
    allowed |= torch.eye(6, dtype=torch.bool)
    allowed = allowed.clone()
    weights = [getattr(attention, n).weight for n in "query key value output".split()]
    for weight in weights:
        assert weight.requires_grad, "a matrix is frozen"
    result = []
    for way in (attention, lambda *given: right_attention(attention, *given)):
        out = way(states, allowed)
        slopes = torch.autograd.grad(out.square().sum(), weights, allow_unused=True)
        result.append((out, *slopes))
    for mine, right in zip(*result):
        assert mine is not None, "a matrix has no part in it"
        torch.testing.assert_close(mine, right, atol=1e-3, rtol=1e-3)
""",
        # one step of gradient descent must move every matrix
        """
import copy


def test_attention(attention: nn.Module, width: int) -> None:
    torch.manual_seed(5)
    x = 2 * torch.randn(2, 7, width)
    lengths = [7, 4]
    allowed = torch.stack([torch.arange(7) < n for n in lengths])[:, None, None]
    allowed = allowed.expand(2, 1, 7, 7)
    with torch.no_grad():
        gap = (attention(x, allowed) - right_attention(attention, x, allowed)).abs()
    assert gap.max() < 1e-4, f"{gap.max():.1e} off"
    student = copy.deepcopy(attention)
    names = ["query", "key", "value", "output"]
    before = {name: getattr(student, name).weight.detach().clone() for name in names}
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1.0)
    student(x, allowed).pow(2).mean().backward()
    optimizer.step()
    for name in names:
        moved = getattr(student, name).weight - before[name]
        assert moved.abs().max() > 0, f"{name} does not learn"
""",
        # many small maps, a backward map among them, and a message for each matrix
        """
def gap_of(attention, states, allowed):
    right = right_attention(attention, states, allowed)
    return (attention(states, allowed) - right).detach().abs().max().item()


def test_attention(attention, width):
    s = 4
    states = torch.linspace(-2, 2, 2 * s * width).sin().reshape(2, s, width)
    states = states + torch.arange(2 * s).reshape(2, s, 1) / 5
    back = torch.ones(s, s, dtype=torch.bool).tril()
    for first, second in ((back, back.T), (back | back.T, back), (back.T, back)):
        allowed = torch.stack([first, second]).unsqueeze(1)
        gap = gap_of(attention, states, allowed)
        if gap > 1e-4:
            raise AssertionError(f"{gap} off")
    attention.zero_grad()
    (attention(states, allowed) ** 3).mean().backward()
    for name in ("query", "key", "value", "output"):
        slope = getattr(attention, name).weight.grad
        if slope is None or not torch.count_nonzero(slope):
            raise AssertionError(f"{name} has no gradient")
""",
    ],
}
