"""Chapter 7: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "weighed_pairs": [
        # counted one by one
        """
def weighed_pairs(source, target):
    pairs = 0
    for query in range(target):
        for key in range(target):
            if key <= query:
                pairs += 1
        for key in range(source):
            pairs += 1
    return pairs
""",
        # the sum of two maps
        """
def weighed_pairs(source: int, target: int) -> int:
    own = torch.ones(target, target).tril()
    across = torch.ones(target, source)
    return int(own.sum() + across.sum())
""",
        # one more piece is written at a time
        """
def weighed_pairs(source, target):
    if target == 0:
        return 0
    return weighed_pairs(source, target - 1) + target + source
""",
    ],
    "prefix_maps": [
        # place by place
        """
def prefix_maps(prefix, mask):
    b, s = mask.shape
    maps = torch.zeros(b, 1, s, s, dtype=torch.bool)
    for n in range(b):
        for q in range(s):
            for k in range(s):
                seen = k <= q or k < int(prefix[n])
                maps[n, 0, q, k] = q == k or (seen and bool(mask[n, k]))
    return maps
""",
        # text by text, and padding attends to everything
        """
def prefix_maps(prefix: Tensor, mask: Tensor) -> Tensor:
    s = mask.size(1)
    maps = []
    for end, keep in zip(prefix.tolist(), mask.bool()):
        one = torch.ones(s, s, dtype=torch.bool).tril()
        one[:, :end] = True
        one[:, ~keep] = False
        one[~keep] = True
        maps.append(one[None])
    return torch.stack(maps)
""",
        # one comparison: a key is seen by all from the end of the prefix backwards
        """
from einops import rearrange


def prefix_maps(prefix, mask):
    s = mask.shape[-1]
    query = torch.arange(s).view(1, 1, s, 1)
    key = torch.arange(s).view(1, 1, 1, s)
    last = torch.maximum(query, prefix.view(-1, 1, 1, 1) - 1)
    real = rearrange(mask, "b k -> b 1 1 k").bool()
    return torch.logical_or(key.le(last).logical_and(real), query.eq(key))
""",
    ],
    "exposure": [
        # text by text and place by place, with a loop of its own that writes
        """
def exposure(model, source, target):
    with torch.no_grad():
        told = model(source, target[:, :-1]).argmax(-1).tolist()
        reads = target[:, :1]
        for _ in range(target.shape[1] - 1):
            best = model(source, reads)[:, -1].argmax(-1)
            reads = torch.cat([reads, best.unsqueeze(1)], 1)
    labels, alone = target[:, 1:].tolist(), reads[:, 1:].tolist()

    def share(said, place):
        rows = [n for n, label in enumerate(labels) if label[place] != 0]
        right = [n for n in rows if said[n][place] == labels[n][place]]
        return len(right) / len(rows) if rows else math.nan

    places = range(target.shape[1] - 1)
    shares = [[share(said, n) for n in places] for said in (told, alone)]
    return torch.tensor(shares[0]), torch.tensor(shares[1])
""",
        # padding becomes nan, which a mean leaves out
        """
def exposure(model, source: Tensor, target: Tensor):
    labels = target[:, 1:]
    hidden = torch.where(labels == 0, torch.nan, 0.0)
    read = model(source, target[:, :-1]).detach().argmax(dim=2)
    wrote = write(model, source, most=labels.size(1)).detach()
    return tuple(((x == labels) + hidden).nanmean(dim=0) for x in (read, wrote))
""",
        # a weighted mean by einsum
        """
@torch.inference_mode()
def exposure(model, source, target):
    wanted = target[:, 1:]
    weight = wanted.ne(0).float()
    weight = weight / weight.sum(0, keepdim=True)
    results = []
    for pieces in [
        torch.max(model(source, target[:, :-1]), dim=-1).indices,
        write(model, source, wanted.shape[1]),
    ]:
        results.append(torch.einsum("bs,bs->s", weight, pieces.eq(wanted).float()))
    return results[0], results[1]
""",
    ],
    "learn_in_one_stack": [
        # labels for the whole row, none for the source; Adam, which is the same here
        """
def learn_in_one_stack(model, batches, rate):
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for source, target in batches:
        reads, labels = target[:, :-1], target[:, 1:]
        row = torch.hstack([source, reads])
        segments = torch.hstack([torch.zeros_like(source), torch.ones_like(reads)])
        b, s = row.shape
        seen = torch.ones(s, s, dtype=torch.long).tril()
        seen[:, : source.shape[1]] = 1
        logits = model(row, segments, seen.repeat(b, 1, 1))
        asked = torch.hstack([torch.full_like(source, -100), labels])
        loss = F.cross_entropy(logits.reshape(b * s, -1), asked.reshape(-1))
        adam.zero_grad(set_to_none=False)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
        adam.step()
        losses.append(float(loss))
    return losses
""",
        # the loss and the clipping by hand
        """
def learn_in_one_stack(model: nn.Module, batches, rate: float) -> list[float]:
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, rate, weight_decay=0)

    def loss_of(source, target):
        n, m = source.size(1), target.size(1) - 1
        ids = torch.cat((source, target[:, :m]), -1)
        segments = torch.tensor([[0] * n + [1] * m] * len(ids))
        places = torch.arange(n + m)
        allowed = (places[None] <= places[:, None]) | (places[None] < n)
        mask = allowed.int().unsqueeze(0).repeat(len(ids), 1, 1)
        scores = model(ids, segments, mask)[:, n:].log_softmax(-1)
        return -scores.gather(-1, target[:, 1:, None]).mean()

    history = []
    for pair in batches:
        loss = loss_of(*pair)
        history.append(loss.item())
        model.zero_grad()
        loss.backward()
        slopes = [p.grad for p in weights if p.grad is not None]
        norm = torch.stack([g.pow(2).sum() for g in slopes]).sum().sqrt()
        if norm > 1:
            for g in slopes:
                g /= norm
        optimiser.step()
    return history
""",
        # a generator of losses; the sum of all labels' losses, divided by their number
        """
def steps(model, batches, rate):
    groups = [{"params": list(model.parameters()), "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate, foreach=True)
    for source, target in batches:
        optimiser.zero_grad()
        first = source.shape[-1]
        row = torch.cat([source, target], dim=1)[:, :-1]
        kinds = torch.zeros_like(row)
        kinds[:, first:] = 1
        mask = prefix_map(first, row.shape[1]).long().repeat(len(row), 1, 1)
        logits = model(row, token_type_ids=kinds, attention_mask=mask)
        labels = target[:, 1:].flatten()
        guesses = logits[:, first:].flatten(0, 1)
        loss = F.cross_entropy(guesses, labels, reduction="sum") / labels.numel()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        yield loss.item()


def learn_in_one_stack(model, batches, rate):
    return list(steps(model, batches, rate))
""",
    ],
}
