"""Chapter 3b: plausible wrong solutions. The cases of any seed reject each of them."""

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
        # 2 to the entropy in nats
        """
def looked_at(shares):
    return 2 ** torch.special.entr(shares).sum(dim=-1)
""",
        # one over the sum of squares: another measure
        """
def looked_at(shares):
    return 1 / shares.square().sum(dim=-1)
""",
        # the entropy of all rows together
        """
def looked_at(shares):
    return torch.special.entr(shares).sum().exp()
""",
        # e to the entropy in bits
        """
def looked_at(shares):
    return (-(shares * shares.clamp(min=1e-12).log2()).sum(dim=-1)).exp()
""",
        # shares above 0 are picked out, and rows run together
        """
def looked_at(shares):
    kept = shares[shares > 0]
    return (-(kept * kept.log()).sum()).exp()
""",
        # the mean for the sum
        """
def looked_at(shares):
    return torch.special.entr(shares).mean(dim=-1).exp()
""",
        # shares are taken for scores: a second softmax
        """
def looked_at(shares):
    return torch.special.entr(shares.softmax(dim=-1)).sum(dim=-1).exp()
""",
        # the last axis is kept
        """
def looked_at(shares):
    return torch.special.entr(shares).sum(dim=-1, keepdim=True).exp()
""",
    ],
    "find_head": [
        # counted from 0
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer, head
""",
        # head and layer exchanged
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return head + 1, layer + 1
""",
        # [CLS] and [SEP] count as well
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(length) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # rows and columns exchanged: who is asked, not who asks
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q + offset, q] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # the sign of the offset is wrong
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    queries = [q for q in queries if 0 <= q - offset < length]
    habit = torch.stack([weights[:, :, q, q - offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # the largest single weight, not the mean
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).amax(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # taken apart by the number of layers
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[0])
    return layer + 1, head + 1
""",
        # a negative place counts from the end
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # the first query only is left out
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # first and last keys are left out as well
        """
def find_head(weights, offset):
    inner = weights[:, :, 1:-1, 1:-1]
    habit = inner.diagonal(offset, dim1=-2, dim2=-1).mean(dim=-1)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # the ends of the diagonal are left out, whoever they belong to
        """
def find_head(weights, offset):
    line = weights.diagonal(offset, dim1=-2, dim2=-1)[..., 1:-1]
    layer, head = divmod(line.mean(dim=-1).argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # how often the key at the offset is the first choice, not how much it gets
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    chosen = weights.argmax(dim=-1)
    queries = torch.arange(1, length - 1)
    habit = (chosen[:, :, 1:-1] == queries + offset).float().sum(dim=-1)
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # first the best layer on average, then its best head
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    habit = torch.stack([weights[:, :, q, q + offset] for q in queries]).mean(dim=0)
    layer = habit.mean(dim=1).argmax().item()
    return layer + 1, habit[layer].argmax().item() + 1
""",
        # the median for the mean
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    kept = torch.stack([weights[:, :, q, q + offset] for q in queries])
    habit = kept.median(dim=0).values
    layer, head = divmod(habit.argmax().item(), weights.shape[1])
    return layer + 1, head + 1
""",
        # the mean of the squares: large weights count for more
        """
def find_head(weights, offset):
    length = weights.shape[-1]
    queries = [q for q in range(1, length - 1) if 0 <= q + offset < length]
    kept = torch.stack([weights[:, :, q, q + offset] for q in queries])
    layer, head = divmod((kept**2).mean(dim=0).argmax().item(), weights.shape[1])
    return layer + 1, head + 1
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
        # everything is collected first, though no block is kept
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
        # the largest score starts at 0: all exponentials of very negative scores are 0
        """
def attend_in_blocks(query, blocks):
    largest, total, mixture = torch.zeros(len(query), 1), 0.0, 0.0
    for key, value in blocks:
        scores = query @ key.T / query.shape[-1] ** 0.5
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # one largest score for all queries: the sums of others become 0
        """
def attend_in_blocks(query, blocks):
    largest, total, mixture = torch.tensor(-torch.inf), 0.0, 0.0
    for key, value in blocks:
        scores = query @ key.T / query.shape[-1] ** 0.5
        new = torch.maximum(largest, scores.max())
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # every block subtracts its own largest, which may be lower than before
        """
def attend_in_blocks(query, blocks):
    scale = query.shape[-1] ** 0.5
    largest = query.new_full((len(query), 1), -torch.inf)
    total, mixture = query.new_zeros(len(query), 1), 0.0
    for key, value in blocks:
        scores = query @ key.T / scale
        new = scores.amax(dim=-1, keepdim=True)
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # the factor is upside down
        """
def attend_in_blocks(query, blocks):
    scale = query.shape[-1] ** 0.5
    largest = query.new_full((len(query), 1), -torch.inf)
    total, mixture = query.new_zeros(len(query), 1), 0.0
    for key, value in blocks:
        scores = query @ key.T / scale
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (new - largest).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # the factor falls on the block, too
        """
def attend_in_blocks(query, blocks):
    scale = query.shape[-1] ** 0.5
    largest = query.new_full((len(query), 1), -torch.inf)
    total, mixture = query.new_zeros(len(query), 1), 0.0
    for key, value in blocks:
        scores = query @ key.T / scale
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * (total + grown.sum(dim=-1, keepdim=True))
        mixture = shrink * (mixture + grown @ value)
        largest = new
    return mixture / total
""",
        # all keys are kept after all, in a growing copy
        """
def attend_in_blocks(query, blocks):
    keys, values = query[:0], query[:0]
    for key, value in blocks:
        keys, values = torch.cat([keys, key]), torch.cat([values, value])
    return F.scaled_dot_product_attention(query, keys, values)
""",
        # all scores and values are kept, the softmax comes at the end
        """
def attend_in_blocks(query, blocks):
    scores, values = [], []
    for key, value in blocks:
        scores.append(query @ key.T / query.shape[-1] ** 0.5)
        values.append(value.clone())
    return torch.cat(scores, dim=-1).softmax(dim=-1) @ torch.cat(values)
""",
        # the largest score starts at -10,000, which is not low enough
        """
def attend_in_blocks(query, blocks):
    scale = query.shape[-1] ** 0.5
    largest = query.new_full((len(query), 1), -1e4)
    total, mixture = query.new_zeros(len(query), 1), 0.0
    for key, value in blocks:
        scores = query @ key.T / scale
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        largest = new
    return mixture / total
""",
        # the mixture is divided in every block
        """
def attend_in_blocks(query, blocks):
    scale = query.shape[-1] ** 0.5
    largest = query.new_full((len(query), 1), -torch.inf)
    total, mixture = query.new_zeros(len(query), 1), 0.0
    for key, value in blocks:
        scores = query @ key.T / scale
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, grown = (largest - new).exp(), (scores - new).exp()
        total = shrink * total + grown.sum(dim=-1, keepdim=True)
        mixture = shrink * mixture + grown @ value
        mixture = mixture / total
        largest = new
    return mixture
""",
    ],
}

# Exercise -> wrong solutions, counted from 0, that its visible check lets pass.
PASS_THE_VISIBLE_CHECK = {"find_head": [7], "attend_in_blocks": [5, 12, 13]}
