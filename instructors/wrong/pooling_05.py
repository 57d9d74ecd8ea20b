"""Chapter 5: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "cosines_kept": [
        # the vectors themselves
        """
def cosines_kept(before, after):
    return before.shape == after.shape and torch.allclose(before, after, atol=1e-5)
""",
        # each vector with what became of it
        """
def cosines_kept(before, after):
    if before.shape != after.shape:
        return False
    return bool((F.cosine_similarity(before, after) > 1 - 1e-5).all())
""",
        # distances, which a factor changes and a constant does not
        """
def cosines_kept(before, after):
    old, new = torch.cdist(before, before), torch.cdist(after, after)
    return torch.allclose(old, new, atol=1e-4)
""",
        # dot products
        """
def cosines_kept(before, after):
    return torch.allclose(before @ before.T, after @ after.T, rtol=0, atol=1e-4)
""",
        # on average only
        """
def cosines_kept(before, after):
    old, new = cosines(before, before), cosines(after, after)
    return abs(old.mean() - new.mean()).item() < 1e-5
""",
        # of neighbours only
        """
def cosines_kept(before, after):
    old = F.cosine_similarity(before[:-1], before[1:])
    new = F.cosine_similarity(after[:-1], after[1:])
    return torch.allclose(old, new, rtol=0, atol=1e-5)
""",
        # to the first only
        """
def cosines_kept(before, after):
    old = F.cosine_similarity(before[:1], before)
    new = F.cosine_similarity(after[:1], after)
    return torch.allclose(old, new, rtol=0, atol=1e-5)
""",
        # their order only
        """
def cosines_kept(before, after):
    old, new = cosines(before, before), cosines(after, after)
    return torch.equal(old.argsort(dim=1), new.argsort(dim=1))
""",
        # their size only
        """
def cosines_kept(before, after):
    old, new = cosines(before, before).abs(), cosines(after, after).abs()
    return torch.allclose(old, new, rtol=0, atol=1e-5)
""",
        # of features, and not of vectors
        """
def cosines_kept(before, after):
    if before.shape != after.shape:
        return False
    old, new = cosines(before.T, before.T), cosines(after.T, after.T)
    return torch.allclose(old, new, rtol=0, atol=1e-5)
""",
    ],
    "weighted_mean": [
        # padding weighs as its id does
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (1e-4 / (1e-4 + share))[input_ids]
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
""",
        # divided by the number of tokens
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (1e-4 / (1e-4 + share))[input_ids] * attention_mask
    summed = (hidden * weights[..., None]).sum(dim=1)
    return summed / attention_mask.sum(dim=1, keepdim=True)
""",
        # counts are no shares
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    weights = (1e-4 / (1e-4 + counts))[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
""",
        # the common pieces count more
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (share / (1e-4 + share))[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
""",
        # how often a piece occurs in this batch
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    here = torch.bincount(input_ids[attention_mask > 0], minlength=len(counts))
    weights = (1e-4 / (1e-4 + here / here.sum()))[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
""",
        # weights of all texts together sum to 1
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (1e-4 / (1e-4 + share))[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum()
""",
        # a softmax makes any numbers sum to 1
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (1e-4 / (1e-4 + share))[input_ids]
    weights = weights.masked_fill(attention_mask == 0, -torch.inf).softmax(dim=1)
    return (hidden * weights[..., None]).sum(dim=1)
""",
        # never divided
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    share = counts / counts.sum()
    weights = (1e-4 / (1e-4 + share))[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1)
""",
        # the logarithm of TF-IDF
        """
def weighted_mean(hidden, input_ids, attention_mask, counts):
    weights = (counts.sum() / counts.clamp(min=1)).log()[input_ids] * attention_mask
    return (hidden * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
""",
    ],
    "test_mean": [
        # the shape alone
        """
def test_mean(pool):
    assert pool(torch.zeros(2, 3, 4), torch.ones(2, 3)).shape == (2, 4), "shape"
""",
        # no padding: what is forgotten does not show
        """
def test_mean(pool):
    h = torch.randn(3, 6, 5)
    found = pool(h, torch.ones(3, 6))
    assert torch.allclose(found, h.mean(dim=1), atol=1e-4), "the mean"
""",
        # one text
        """
def test_mean(pool):
    h, m = torch.randn(1, 6, 5), torch.tensor([[1, 1, 1, 1, 0, 0]])
    assert torch.allclose(pool(h, m), h[:, :4].mean(dim=1), atol=1e-4), "the mean"
""",
        # ones everywhere hide most faults
        """
def test_mean(pool):
    m = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    found = pool(torch.ones(2, 4, 5), m)
    assert torch.allclose(found, torch.ones(2, 5), atol=1e-4), "the mean of ones"
""",
        # padding on the right only
        """
def test_mean(pool):
    h, m = torch.randn(2, 4, 5), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    wanted = torch.stack([h[0, :3].mean(dim=0), h[1, :2].mean(dim=0)])
    assert torch.allclose(pool(h, m), wanted, atol=1e-4), "the mean"
""",
        # a cosine does not notice what it is divided by
        """
def test_mean(pool):
    h, m = torch.randn(2, 6, 5), torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]])
    wanted = torch.stack([h[0, :3].mean(dim=0), h[1, 2:].mean(dim=0)])
    assert (F.cosine_similarity(pool(h, m), wanted) > 0.9999).all(), "the direction"
""",
        # too strict for another device
        """
def test_mean(pool):
    h, m = torch.randn(2, 6, 5), torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]])
    wanted = torch.stack([h[0, :3].mean(dim=0), h[1, 2:].mean(dim=0)])
    assert torch.equal(pool(h, m), wanted), "the mean"
""",
        # texts of one length
        """
def test_mean(pool):
    h, m = torch.randn(2, 6, 5), torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]])
    assert torch.allclose(pool(h, m), h[:, :3].mean(dim=1), atol=1e-4), "the mean"
""",
        # nothing is good enough
        """
def test_mean(pool):
    raise AssertionError("wrong")
""",
    ],
    "backward_in_chunks": [
        # each chunk is a batch of its own
        """
def backward_in_chunks(embed, chunks, loss):
    total = 0.0
    for chunk in chunks:
        part = loss(embed(chunk))
        part.backward()
        total += part.item() / len(chunks)
    return total
""",
        # all graphs at once
        """
def backward_in_chunks(embed, chunks, loss):
    total = loss(torch.cat([embed(chunk) for chunk in chunks]))
    total.backward()
    return total.item()
""",
        # one large chunk
        """
def backward_in_chunks(embed, chunks, loss):
    total = loss(embed(torch.cat(chunks)))
    total.backward()
    return total.item()
""",
        # the slopes of the first chunk for all
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    for chunk in chunks:
        embed(chunk).backward(slopes[: len(chunk)])
    return total.item()
""",
        # the graphs are built one by one, and kept until the end
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    parts = slopes.split([len(part) for part in vectors])
    made = [embed(chunk) for chunk in chunks]
    torch.autograd.backward(made, list(parts))
    return total.item()
""",
        # each chunk's loss among the others without their graphs, each chunk anew
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    for index, chunk in enumerate(chunks):
        with_one = [*vectors[:index], embed(chunk), *vectors[index + 1 :]]
        total = loss(torch.cat(with_one)) / len(chunks)
        total.backward()
    return total.item() * len(chunks)
""",
        # what was there is lost
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    for parameter in embed.parameters():
        parameter.grad = None
    for chunk, part in zip(chunks, slopes.split([len(p) for p in vectors])):
        embed(chunk).backward(part)
    return total.item()
""",
        # the sum of the vectors instead of their gradients
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        total = loss(torch.cat([embed(chunk) for chunk in chunks]))
    for chunk in chunks:
        embed(chunk).sum().backward()
    return total.item()
""",
        # averaged over chunks, as with accumulated gradients
        """
def backward_in_chunks(embed, chunks, loss):
    with torch.no_grad():
        vectors = [embed(chunk) for chunk in chunks]
    joined = torch.cat(vectors).requires_grad_()
    total = loss(joined)
    (slopes,) = torch.autograd.grad(total, joined)
    for chunk, part in zip(chunks, slopes.split([len(p) for p in vectors])):
        embed(chunk).backward(part / len(chunks))
    return total.item()
""",
    ],
}
# Only some pairs of vectors are compared, and in the visible check all pairs change.
PASS_THE_VISIBLE_CHECK = {"cosines_kept": [5, 6]}
