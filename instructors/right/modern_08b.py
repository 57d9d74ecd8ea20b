"""Chapter 8b: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "reached": [
        # layer by layer, as a set of places
        """
def reached(place, length, layers, window):
    half, seen = window // 2, {place}
    for _ in range(layers):
        seen = {
            other
            for one in seen
            for other in range(max(0, one - half), min(length, one + half + 1))
        }
    return len(seen)
""",
        # each place of the text is asked
        """
def reached(place: int, length: int, layers: int, window: int) -> int:
    return sum(abs(other - place) <= layers * (window // 2) for other in range(length))
""",
        # two ranges, cut off by the ends of the text
        """
def reached(place, length, layers, window):
    if layers == 0:
        return 1
    far = layers * (window // 2)
    left = min(far, place)
    right = min(far, length - 1 - place)
    return left + 1 + right
""",
    ],
    "scalar_product": [
        # the same values for both gates, and the difference behind them
        """
def scalar_product(width):
    layer = ModernFeedForward(
        ModernBertConfig(hidden_size=width, feedforward_size=width, heads=1)
    )
    half = width // 2
    widen, narrow = torch.zeros(2 * width, width), torch.zeros(width, width)
    for n in range(half):
        widen[n, n] = 1  # gates: u, and minus u
        widen[half + n, n] = -1
        widen[width + n, half + n] = 1  # values: v, twice
        widen[width + half + n, half + n] = 1
        narrow[0, n] = 1
        narrow[0, half + n] = -1
    layer.load_state_dict({"widen.weight": widen, "narrow.weight": narrow})
    return layer
""",
        # v is the gate; the units of a pair stand side by side
        """
def scalar_product(width: int) -> ModernFeedForward:
    config = ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width)
    made, half = ModernFeedForward(config), width // 2
    u = F.pad(torch.eye(half), (0, half))
    v = F.pad(torch.eye(half), (half, 0))
    sign = torch.tensor([1.0, -1.0])
    gates = torch.einsum("n w, s -> n s w", v, sign).reshape(width, width)
    values = torch.einsum("n w, s -> n s w", u, sign).reshape(width, width)
    made.widen.weight = nn.Parameter(torch.vstack([gates, values]))
    made.narrow.weight = nn.Parameter(torch.eye(width)[0][:, None] * torch.ones(width))
    return made
""",
        # larger values, and what is summed is halved
        """
def scalar_product(width):
    layer = ModernFeedForward(
        ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width, layers=1)
    )
    one = torch.eye(width // 2)
    none = torch.zeros_like(one)
    blocks = [[one, none], [-one, none], [none, 2 * one], [none, -2 * one]]
    with torch.no_grad():
        nn.init.zeros_(layer.narrow.weight)
        nn.init.constant_(layer.narrow.weight[0], 0.5)
        layer.widen.weight[:] = torch.cat([torch.cat(row, dim=1) for row in blocks])
    return layer
""",
    ],
    "attend_near": [
        # the neighbours of each place are gathered by their numbers
        """
def attend_near(query, key, value, near, texts):
    s, d = query.shape[-2:]
    near = min(near, s)
    where = torch.arange(s)[:, None] + torch.arange(-near, near + 1)  # s n
    inside = (where >= 0) & (where < s)
    where = where.clamp(0, s - 1)
    scores = torch.einsum("bhsd,bhsnd->bhsn", query, key[:, :, where]) / math.sqrt(d)
    same = (texts[:, where] == texts[:, :, None]) & inside
    scores = scores.masked_fill(~same[:, None], float("-inf"))
    return torch.einsum("bhsn,bhsnd->bhsd", scores.softmax(-1), value[:, :, where])
""",
        # blocks of queries, each with the slice of keys that it can see
        """
def attend_near(
    query: Tensor, key: Tensor, value: Tensor, near: int, texts: Tensor
) -> Tensor:
    length, made = query.shape[2], []
    for begin in range(0, length, near):
        end = min(begin + near, length)
        low, high = max(0, begin - near), min(length, end + near)
        q_places = torch.arange(begin, end)[:, None]
        k_places = torch.arange(low, high)[None]
        mask = (q_places - k_places).abs() <= near
        mask = mask & (texts[:, begin:end, None] == texts[:, None, low:high])
        made.append(F.scaled_dot_product_attention(
            query[:, :, begin:end], key[:, :, low:high], value[:, :, low:high],
            attn_mask=mask[:, None],
        ))
    return torch.cat(made, dim=2)
""",
        # a diagonal at a time: all keys that stand so many places further
        """
def attend_near(query, key, value, near, texts):
    s = query.shape[-2]
    near = min(near, s - 1)

    def shifted(x, by, axis):
        return x.roll(-by, dims=axis)

    places, rows = torch.arange(s), []
    for by in range(-near, near + 1):
        there = (places + by >= 0) & (places + by < s)
        allowed = there & (shifted(texts, by, 1) == texts)
        score = (query * shifted(key, by, 2)).sum(-1) * query.shape[-1] ** -0.5
        rows.append(score.masked_fill(~allowed[:, None], -torch.inf))
    weights = torch.stack(rows, dim=-1).softmax(dim=-1)
    result = torch.zeros_like(value)
    for n, by in enumerate(range(-near, near + 1)):
        result = result + weights[..., n : n + 1] * shifted(value, by, 2)
    return result
""",
    ],
}
