"""Chapter 2: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "rows_that_learn": [
        # each occurrence counts
        """
def rows_that_learn(input_ids):
    return input_ids.numel()
""",
        # each text on its own
        """
def rows_that_learn(input_ids):
    return sum(len(row.unique()) for row in input_ids)
""",
        # special tokens left out: they learn, too
        """
def rows_that_learn(input_ids):
    return len(set(input_ids.unique().tolist()) - {101, 102})
""",
        # the first text only
        """
def rows_that_learn(input_ids):
    return len(input_ids[0].unique())
""",
    ],
    "same_initial": [
        # the piece itself is its own nearest
        """
def same_initial(piece, count, table, vocabulary):
    rows = F.normalize(table - table.mean(dim=0), dim=-1)
    similarity = rows @ rows[vocabulary.index(piece)]
    near = [vocabulary[i] for i in similarity.topk(count).indices.tolist()]
    letter = piece.removeprefix("##")[0]
    return sum(other.removeprefix("##")[0] == letter for other in near) / count
""",
        # every continuation begins with the same sign
        """
def same_initial(piece, count, table, vocabulary):
    rows = F.normalize(table - table.mean(dim=0), dim=-1)
    index = vocabulary.index(piece)
    similarity = rows @ rows[index]
    similarity[index] = -2
    near = [vocabulary[i] for i in similarity.topk(count).indices.tolist()]
    return sum(other[0] == piece[0] for other in near) / count
""",
        # not centred
        """
def same_initial(piece, count, table, vocabulary):
    rows = F.normalize(table, dim=-1)
    index = vocabulary.index(piece)
    similarity = rows @ rows[index]
    similarity[index] = -2
    near = [vocabulary[i] for i in similarity.topk(count).indices.tolist()]
    letter = piece.removeprefix("##")[0]
    return sum(other.removeprefix("##")[0] == letter for other in near) / count
""",
        # a dot product: long rows win
        """
def same_initial(piece, count, table, vocabulary):
    rows = table - table.mean(dim=0)
    index = vocabulary.index(piece)
    similarity = rows @ rows[index]
    similarity[index] = float("-inf")
    near = [vocabulary[i] for i in similarity.topk(count).indices.tolist()]
    letter = piece.removeprefix("##")[0]
    return sum(other.removeprefix("##")[0] == letter for other in near) / count
""",
        # distance instead of cosine
        """
def same_initial(piece, count, table, vocabulary):
    index = vocabulary.index(piece)
    distance = (table - table[index]).norm(dim=-1)
    distance[index] = float("inf")
    near = [vocabulary[i] for i in distance.argsort()[:count].tolist()]
    letter = piece.removeprefix("##")[0]
    return sum(other.removeprefix("##")[0] == letter for other in near) / count
""",
    ],
    "restarting_positions": [
        # counts through the whole row
        """
def restarting_positions(attention_mask):
    return (attention_mask > 0).long().cumsum(-1) - 1
""",
        # begins at 1
        """
def restarting_positions(attention_mask):
    same = attention_mask[:, :, None] == attention_mask[:, None, :]
    return same.tril().sum(-1) * (attention_mask > 0)
""",
        # padding is counted like a text
        """
def restarting_positions(attention_mask):
    same = attention_mask[:, :, None] == attention_mask[:, None, :]
    return same.tril().sum(-1) - 1
""",
        # the first row's positions for all
        """
def restarting_positions(attention_mask):
    same = attention_mask[:, :, None] == attention_mask[:, None, :]
    positions = (same.tril().sum(-1) - 1) * (attention_mask > 0)
    return positions[:1].expand_as(attention_mask)
""",
    ],
    "shift_matrix": [
        # turns the other way
        """
def shift_matrix(width, k):
    wavelengths = 10_000 ** (torch.arange(0, width, 2) / width)
    turns = []
    for angle in -k / wavelengths:
        sine, cosine = angle.sin(), angle.cos()
        turns.append(torch.stack([cosine, sine, -sine, cosine]).view(2, 2))
    return torch.block_diag(*turns)
""",
        # one angle for all pairs
        """
def shift_matrix(width, k):
    angle = torch.tensor(float(k))
    sine, cosine = angle.sin(), angle.cos()
    turn = torch.stack([cosine, sine, -sine, cosine]).view(2, 2)
    return torch.block_diag(*[turn] * (width // 2))
""",
        # right for a shift by one, wrong for more
        """
def shift_matrix(width, k):
    wavelengths = 10_000 ** (torch.arange(0, width, 2) / width)
    turns = []
    for angle in 1 / wavelengths:
        sine, cosine = angle.sin(), angle.cos()
        turns.append(torch.stack([cosine, sine, -sine, cosine]).view(2, 2))
    return k * torch.block_diag(*turns)
""",
        # sines in one half, cosines in the other: another layout of the waves
        """
def shift_matrix(width, k):
    angle = k / 10_000 ** (torch.arange(0, width, 2) / width)
    sine, cosine = angle.sin().diag(), angle.cos().diag()
    top, bottom = torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)
    return torch.cat([top, bottom], 0)
""",
        # a matrix fitted to the first places only
        """
def shift_matrix(width, k):
    table = sinusoids(width // 2 + abs(k), width)
    here, there = table[: width // 2], table[abs(k) :]
    return torch.linalg.lstsq(here, there).solution.T
""",
    ],
    "diagnose": [
        # whatever is not right has lost its norm
        """
def diagnose(embed, right):
    ids = torch.arange(15).view(3, 5)
    kinds = ids % 2
    expected = right.token(ids) + right.position.weight[:5] + right.segment(kinds)
    same = torch.allclose(embed(ids, kinds), right.norm(expected), atol=1e-5)
    return "none" if same else "no norm"
""",
        # one text: the axis of the batch is not seen
        """
def diagnose(embed, right, ids=torch.arange(5)[None]):
    kinds = ids % 2
    found = embed(ids, kinds)
    if not torch.equal(found, embed(ids, kinds)):
        return "dropout"
    for name, scale, place, segment, norm in (
        ("none", 1, ids, kinds, right.norm),
        ("no norm", 1, ids, kinds, lambda x: x),
        ("no segments", 1, ids, 0 * kinds, right.norm),
        ("batch", 1, 0 * ids, kinds, right.norm),
        ("from 1", 1, ids + 1, kinds, right.norm),
        ("scaled", right.token.embedding_dim**0.5, ids, kinds, right.norm),
    ):
        states = scale * right.token(ids) + right.position(place)
        if torch.allclose(found, norm(states + right.segment(segment)), atol=1e-5):
            return name
    return "something else"
""",
        # segments that are all 0: their loss is not seen
        """
def diagnose(embed, right):
    ids, place = torch.arange(15).view(3, 5), torch.arange(5)
    found = embed(ids, 0 * ids)
    if not torch.equal(found, embed(ids, 0 * ids)):
        return "dropout"
    for name, scale, place, norm in (
        ("none", 1, place, right.norm), ("no norm", 1, place, lambda x: x),
        ("batch", 1, torch.arange(3)[:, None], right.norm),
        ("from 1", 1, place + 1, right.norm),
        ("scaled", right.token.embedding_dim**0.5, place, right.norm),
    ):
        states = scale * right.token(ids) + right.position(place)
        if torch.allclose(found, norm(states + right.segment.weight[0]), atol=1e-5):
            return name
    return "no segments"
""",
        # equal to the last bit: another device is "something else"
        """
def diagnose(embed, right):
    ids = torch.arange(15).view(3, 5)
    kinds, place = ids % 2, torch.arange(5)
    found = embed(ids, kinds)
    if not torch.equal(found, embed(ids, kinds)):
        return "dropout"
    for name, scale, place, segment, norm in (
        ("none", 1, place, kinds, right.norm),
        ("no norm", 1, place, kinds, lambda x: x),
        ("no segments", 1, place, 0 * kinds, right.norm),
        ("batch", 1, torch.arange(3)[:, None], kinds, right.norm),
        ("from 1", 1, place + 1, kinds, right.norm),
        ("scaled", right.token.embedding_dim**0.5, place, kinds, right.norm),
    ):
        states = scale * right.token(ids) + right.position(place)
        if torch.equal(found, norm(states + right.segment(segment))):
            return name
    return "something else"
""",
        # the nearest of the known faults, however far
        """
def diagnose(embed, right):
    ids = torch.arange(15).view(3, 5)
    kinds, place = ids % 2, torch.arange(5)
    found = embed(ids, kinds)
    if not torch.equal(found, embed(ids, kinds)):
        return "dropout"
    distance = {}
    for name, scale, place, segment, norm in (
        ("none", 1, place, kinds, right.norm),
        ("no norm", 1, place, kinds, lambda x: x),
        ("no segments", 1, place, 0 * kinds, right.norm),
        ("batch", 1, torch.arange(3)[:, None], kinds, right.norm),
        ("from 1", 1, place + 1, kinds, right.norm),
        ("scaled", right.token.embedding_dim**0.5, place, kinds, right.norm),
    ):
        states = scale * right.token(ids) + right.position(place)
        states = norm(states + right.segment(segment))
        distance[name] = (found - states).abs().max().item()
    return min(distance, key=distance.get)
""",
    ],
}
