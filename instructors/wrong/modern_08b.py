"""Chapter 8b: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "reached": [
        # the whole window on either side
        """
def reached(place, length, layers, window):
    far = layers * window
    return min(place + far, length - 1) - max(place - far, 0) + 1
""",
        # a text without ends
        """
def reached(place, length, layers, window):
    return 2 * layers * (window // 2) + 1
""",
        # the token itself is not counted
        """
def reached(place, length, layers, window):
    far = layers * (window // 2)
    return min(place + far, length - 1) - max(place - far, 0)
""",
        # each layer is taken to see twice as far as the one before
        """
def reached(place, length, layers, window):
    far = (2**layers - 1) * (window // 2)
    return min(place + far, length - 1) - max(place - far, 0) + 1
""",
    ],
    "rotate_at": [
        # neighbours are paired, as the paper does
        """
def rotate_at(heads, places, base):
    half = heads.shape[-1] // 2
    turned = places[:, None, :, None] * base ** (-torch.arange(half) / half)
    cosine, sine = turned.cos(), turned.sin()
    x, y = heads[..., ::2], heads[..., 1::2]
    both = torch.stack([x * cosine - y * sine, x * sine + y * cosine], dim=-1)
    return both.flatten(-2).to(heads.dtype)
""",
        # the other way round
        """
def rotate_at(heads, places, base):
    half = heads.shape[-1] // 2
    turned = places[:, None, :, None] * base ** (-torch.arange(half) / half)
    cosine, sine = turned.cos(), turned.sin()
    x, y = heads.chunk(2, dim=-1)
    both = torch.cat([x * cosine + y * sine, y * cosine - x * sine], dim=-1)
    return both.to(heads.dtype)
""",
        # the exponent without its 2: all pairs turn too fast
        """
def rotate_at(heads, places, base):
    half = heads.shape[-1] // 2
    speeds = base ** (-torch.arange(half) / heads.shape[-1])
    turned = places[:, None, :, None] * speeds
    cosine, sine = turned.cos(), turned.sin()
    x, y = heads.chunk(2, dim=-1)
    both = torch.cat([x * cosine - y * sine, x * sine + y * cosine], dim=-1)
    return both.to(heads.dtype)
""",
        # the places are not looked at: each row is taken to begin at 0
        """
def rotate_at(heads, places, base):
    half = heads.shape[-1] // 2
    count = torch.arange(heads.shape[2])[:, None]
    turned = count * base ** (-torch.arange(half) / half)
    cosine, sine = turned.cos(), turned.sin()
    x, y = heads.chunk(2, dim=-1)
    both = torch.cat([x * cosine - y * sine, x * sine + y * cosine], dim=-1)
    return both.to(heads.dtype)
""",
    ],
    "scalar_product": [
        # one unit a product: right only where the gate is open
        """
def scalar_product(width):
    config = ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width)
    layer = ModernFeedForward(config)
    first, second = torch.eye(width).chunk(2)
    nothing = torch.zeros_like(first)
    layer.widen.weight.data = torch.cat([first, nothing, second, nothing])
    layer.narrow.weight.data = torch.zeros(width, width)
    layer.narrow.weight.data[0] = 1
    return layer
""",
        # the second unit has the wrong sign: |u| · v, more or less
        """
def scalar_product(width):
    config = ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width)
    layer = ModernFeedForward(config)
    first, second = torch.eye(width).chunk(2)
    layer.widen.weight.data = torch.cat([first, -first, second, second])
    layer.narrow.weight.data = torch.zeros(width, width)
    layer.narrow.weight.data[0] = 1
    return layer
""",
        # the gates are pushed open: nearly right, for numbers of the size of 1
        """
def scalar_product(width):
    config = ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width)
    layer = ModernFeedForward(config)
    first, second = torch.eye(width).chunk(2)
    layer.widen.weight.data = torch.cat([9 * first, -9 * first, second, -second])
    layer.narrow.weight.data = torch.zeros(width, width)
    layer.narrow.weight.data[0] = 1 / 8
    return layer
""",
        # in every output
        """
def scalar_product(width):
    config = ModernBertConfig(hidden_size=width, heads=1, feedforward_size=width)
    layer = ModernFeedForward(config)
    first, second = torch.eye(width).chunk(2)
    layer.widen.weight.data = torch.cat([first, -first, second, -second])
    layer.narrow.weight.data = torch.ones(width, width)
    return layer
""",
    ],
    "attend_near": [
        # a mask: right, and nothing is saved
        """
def attend_near(query, key, value, near):
    allowed = local_map(query.shape[-2], 2 * near)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
""",
        # all scores, some queries at a time: memory is saved, work is not
        """
def attend_near(query, key, value, near):
    length, results = query.shape[-2], []
    for start in range(0, length, near):
        asks = torch.arange(start, min(start + near, length))
        scores = query[..., asks, :] @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        seen = (asks[:, None] - torch.arange(length)).abs() <= near
        results.append(scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value)
    return torch.cat(results, dim=-2)
""",
        # the blocks are not cut to the window: the edges see too much
        """
def attend_near(query, key, value, near):
    length, results = query.shape[-2], []
    for start in range(0, length, near):
        part = slice(max(start - near, 0), start + 2 * near)
        asks = query[..., start : start + near, :]
        results.append(
            F.scaled_dot_product_attention(asks, key[..., part, :], value[..., part, :])
        )
    return torch.cat(results, dim=-2)
""",
        # the padding of the last block is seen
        """
def attend_near(query, key, value, near):
    length, width = query.shape[-2:]
    extra = -length % near
    query = F.pad(query, (0, 0, 0, extra)).unflatten(-2, (-1, near))
    key, value = (
        F.pad(each, (0, 0, near, near + extra)).unfold(-2, 3 * near, near)
        for each in (key, value)
    )
    asks, seen = torch.arange(near)[:, None], torch.arange(3 * near) - near
    scores = query @ key / width**0.5
    scores = scores.masked_fill((asks - seen).abs() > near, -torch.inf)
    mixed = scores.softmax(dim=-1) @ value.transpose(-1, -2)
    return mixed.flatten(-3, -2)[..., :length, :]
""",
    ],
    "test_local": [
        # shapes only
        """
def test_local(attend):
    states = torch.randn(2, 20, attend.width)
    assert attend(states, torch.ones(2, 20).long()).shape == states.shape
""",
        # nothing has to be seen: one too few passes
        """
def test_local(attend):
    torch.manual_seed(0)
    states, places = torch.randn(3, 40, attend.width), torch.arange(40)
    texts = torch.tensor([[1] * 40, [1] * 17 + [2] * 20 + [0] * 3, [0] * 5 + [1] * 35])
    before, real = attend(states, texts), texts > 0
    assert before.isfinite().all()
    seen = (places[:, None] - places).abs() <= attend.window // 2
    seen = seen & (texts[:, :, None] == texts[:, None]) & real[:, None]
    for place in range(40):
        changed = states.clone()
        changed[:, place] = torch.randn(3, attend.width)
        moved = (attend(changed, texts) - before).abs().amax(-1) > 1e-4
        assert not (moved & ~seen[:, :, place] & real).any()
""",
        # one text without padding
        """
def test_local(attend):
    torch.manual_seed(0)
    states, places = torch.randn(1, 40, attend.width), torch.arange(40)
    texts = torch.ones(1, 40).long()
    before = attend(states, texts)
    seen = (places[:, None] - places).abs() <= attend.window // 2
    for place in range(40):
        changed = states.clone()
        changed[:, place] = torch.randn(1, attend.width)
        moved = (attend(changed, texts) - before).abs().amax(-1) > 1e-4
        assert torch.equal(moved[0], seen[:, place])
""",
        # one place only is changed
        """
def test_local(attend):
    torch.manual_seed(0)
    states, places = torch.randn(2, 40, attend.width), torch.arange(40)
    texts = torch.tensor([[1] * 40, [1] * 17 + [2] * 20 + [0] * 3])
    before, real = attend(states, texts), texts > 0
    seen = (places[:, None] - places).abs() <= attend.window // 2
    seen = seen & (texts[:, :, None] == texts[:, None]) & real[:, None]
    for place in (16, 37):
        changed = states.clone()
        changed[:, place] = torch.randn(2, attend.width)
        moved = (attend(changed, texts) - before).abs().amax(-1) > 1e-4
        assert torch.equal(moved[real], seen[:, :, place][real])
    for where in (slice(17), slice(17, 37)):
        alone = attend(states[1:, where], torch.ones_like(texts[1:, where]))
        assert torch.allclose(alone, before[1:, where], atol=1e-4)
    assert before.isfinite().all()
""",
    ],
}
