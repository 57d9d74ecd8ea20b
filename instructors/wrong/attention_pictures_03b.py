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
    ],
}

# Exercise -> wrong solutions, counted from 0, that its visible check lets pass.
PASS_THE_VISIBLE_CHECK = {"find_head": [7], "attend_in_blocks": [5]}
