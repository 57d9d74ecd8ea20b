"""Chapter 3: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "looked_at": [
        # the entropy itself
        """
def looked_at(shares):
    return torch.special.entr(shares).sum(dim=-1)
""",
        # 0 times the logarithm of 0 is NaN
        """
def looked_at(shares):
    return (-(shares * shares.log()).sum(dim=-1)).exp()
""",
        # a small number keeps NaN away, but is too large
        """
def looked_at(shares):
    return (-(shares * (shares + 1e-2).log()).sum(dim=-1)).exp()
""",
        # how many are above 0
        """
def looked_at(shares):
    return (shares > 0).sum(dim=-1).float()
""",
        # one over the largest share
        """
def looked_at(shares):
    return 1 / shares.amax(dim=-1)
""",
    ],
    "block_map": [
        # rows of padding are empty
        """
def block_map(lengths, room):
    numbers = torch.zeros(room)
    start = 0
    for i, n in enumerate(lengths, 1):
        numbers[start : start + n] = i
        start += n
    return (numbers[:, None] == numbers) & (numbers > 0)
""",
        # a map of padding: the texts see each other
        """
def block_map(lengths, room):
    used = torch.arange(room) < sum(lengths)
    return used[:, None] == used
""",
        # the room is forgotten
        """
def block_map(lengths, room):
    blocks = [torch.ones(n, n, dtype=torch.bool) for n in lengths]
    return torch.block_diag(*blocks)
""",
        # each padding token sees itself only
        """
def block_map(lengths, room):
    blocks = [torch.ones(n, n, dtype=torch.bool) for n in lengths]
    rest = torch.eye(room - sum(lengths), dtype=torch.bool)
    return torch.block_diag(*blocks, rest)
""",
        # back only
        """
def block_map(lengths, room):
    blocks = [torch.ones(n, n, dtype=torch.bool) for n in lengths]
    rest = room - sum(lengths)
    whole = torch.block_diag(*blocks, torch.ones(rest, rest, dtype=torch.bool))
    return whole.tril()
""",
    ],
    "attend": [
        # not divided
        """
def attend(query, key, value, allowed):
    scores = (query @ key.transpose(-1, -2)).masked_fill(~allowed, -1e9)
    return scores.softmax(dim=-1) * allowed @ value
""",
        # an empty row is NaN
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1) @ value
""",
        # an empty row looks at everything
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~allowed, -1e9).softmax(dim=-1) @ value
""",
        # masked after the softmax: the shares no longer sum to 1
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores.softmax(dim=-1) * allowed) @ value
""",
        # masked by zero: e to the 0 is 1
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores * allowed).softmax(dim=-1) * allowed @ value
""",
        # divided by the width
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(-1, -2) / query.shape[-1]
    return scores.masked_fill(~allowed, -1e9).softmax(dim=-1) * allowed @ value
""",
        # one leading axis only
        """
def attend(query, key, value, allowed):
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~allowed, -1e9).softmax(dim=-1) * allowed @ value
""",
    ],
    "test_attention": [
        # the shape alone
        """
def test_attention(attention, width):
    states, allowed = torch.randn(2, 5, width), torch.ones(2, 1, 5, 5).bool()
    assert attention(states, allowed).shape == states.shape
""",
        # nothing is masked
        """
def test_attention(attention, width):
    states, allowed = torch.randn(2, 5, width), torch.ones(2, 1, 5, 5).bool()
    parts = attention.query, attention.key, attention.value
    pattern = "b s (h d) -> b h s d"
    split = [rearrange(part(states), pattern, h=attention.heads) for part in parts]
    mixed = rearrange(F.scaled_dot_product_attention(*split), "b h s d -> b s (h d)")
    found = attention(states, allowed)
    assert torch.allclose(found, attention.output(mixed), atol=1e-4)
    found.sin().sum().backward()
    for part in (*parts, attention.output):
        assert part.weight.grad is not None
""",
        # right forwards is enough: frozen weights pass
        """
def test_attention(attention, width):
    states, allowed = torch.randn(2, 5, width), torch.ones(2, 1, 5, 5).bool()
    allowed[1, ..., 3:] = False
    parts = attention.query, attention.key, attention.value
    pattern = "b s (h d) -> b h s d"
    split = [rearrange(part(states), pattern, h=attention.heads) for part in parts]
    mixed = F.scaled_dot_product_attention(*split, allowed)
    mixed = rearrange(mixed, "b h s d -> b s (h d)")
    found = attention(states, allowed)
    assert torch.allclose(found, attention.output(mixed), atol=1e-4)
""",
        # two calls agree and gradients flow: says nothing about the formula
        """
def test_attention(attention, width):
    states, allowed = torch.randn(2, 5, width), torch.ones(2, 1, 5, 5).bool()
    found = attention(states, allowed)
    assert torch.equal(found, attention(states, allowed))
    found.sum().backward()
    assert all(p.grad is not None for p in attention.parameters())
""",
        # equal to the last bit
        """
def test_attention(attention, width):
    states, allowed = torch.randn(2, 5, width), torch.ones(2, 1, 5, 5).bool()
    allowed[1, ..., 3:] = False
    parts = attention.query, attention.key, attention.value
    pattern = "b s (h d) -> b h s d"
    split = [rearrange(part(states), pattern, h=attention.heads) for part in parts]
    mixed = F.scaled_dot_product_attention(*split, allowed)
    mixed = rearrange(mixed, "b h s d -> b s (h d)")
    assert torch.equal(attention(states, allowed), attention.output(mixed))
    attention(states, allowed).sin().sum().backward()
    assert all(part.weight.grad is not None for part in (*parts, attention.output))
""",
        # padding in no row: only the first text counts
        """
def test_attention(attention, width):
    states, allowed = torch.randn(1, 5, width), torch.ones(1, 1, 5, 5).bool()
    allowed[..., 3:] = False
    parts = attention.query, attention.key, attention.value
    pattern = "b s (h d) -> b h s d"
    split = [rearrange(part(states), pattern, h=attention.heads) for part in parts]
    mixed = F.scaled_dot_product_attention(*split, allowed)
    mixed = rearrange(mixed, "b h s d -> b s (h d)")
    found = attention(states, allowed)
    assert torch.allclose(found, attention.output(mixed), atol=1e-4)
    found.sin().sum().backward()
    for part in (*parts, attention.output):
        assert part.weight.grad is not None
""",
    ],
    "attend_in_blocks": [
        # each block has a softmax of its own
        """
def attend_in_blocks(query, blocks):
    parts = [F.scaled_dot_product_attention(query, k, v) for k, v in blocks]
    return torch.stack(parts).mean(dim=0)
""",
        # nothing is subtracted: e to the 500 overflows
        """
def attend_in_blocks(query, blocks):
    total, mixture = 0.0, 0.0
    for key, value in blocks:
        grown = (query @ key.T / query.shape[-1] ** 0.5).exp()
        total = total + grown.sum(dim=-1, keepdim=True)
        mixture = mixture + grown @ value
    return mixture / total
""",
        # the mixture is corrected when a larger score comes, the total is not
        """
def attend_in_blocks(query, blocks):
    largest, total, mixture = torch.tensor(-torch.inf), 0.0, 0.0
    for key, value in blocks:
        scores = query @ key.T / query.shape[-1] ** 0.5
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        grown = (scores - new).exp()
        total = total + grown.sum(dim=-1, keepdim=True)
        mixture = (largest - new).exp() * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # not divided by the square root of the width
        """
def attend_in_blocks(query, blocks):
    largest, total, mixture = torch.tensor(-torch.inf), 0.0, 0.0
    for key, value in blocks:
        scores = query @ key.T
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # the largest score of the first block is kept
        """
def attend_in_blocks(query, blocks):
    largest, total, mixture = None, 0.0, 0.0
    for key, value in blocks:
        scores = query @ key.T / query.shape[-1] ** 0.5
        if largest is None:
            largest = scores.amax(dim=-1, keepdim=True)
        grown = (scores - largest).exp()
        total = total + grown.sum(dim=-1, keepdim=True)
        mixture = mixture + grown @ value
    return mixture / total
""",
        # everything is collected first
        """
def attend_in_blocks(query, blocks):
    keys, values = zip(*blocks)
    return F.scaled_dot_product_attention(query, torch.cat(keys), torch.cat(values))
""",
        # the last block only
        """
def attend_in_blocks(query, blocks):
    for key, value in blocks:
        mixture = F.scaled_dot_product_attention(query, key, value)
    return mixture
""",
    ],
}
