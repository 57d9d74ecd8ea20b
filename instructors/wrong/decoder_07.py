"""Chapter 7: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "shifted": [
        # not shifted: it learns to copy
        """
def shifted(target):
    return target[:-1], target[:-1]
""",
        # the whole target twice
        """
def shifted(target):
    return target, target
""",
        # the other way round: it learns to write backwards
        """
def shifted(target):
    return target[1:], target[:-1]
""",
        # the end is never learnt
        """
def shifted(target):
    return target[:-2], target[1:-1]
""",
    ],
    "back_mask": [
        # the new pieces are taken for the first
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril()
    allowed[:, :prefix] = True
    return allowed
""",
        # one place too far
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old + 1)
    allowed[:, :prefix] = True
    return allowed
""",
        # a piece does not see itself
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old - 1)
    allowed[:, :prefix] = True
    return allowed
""",
        # all rows, not the new ones alone
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(old + new, old + new, dtype=torch.bool).tril()
    allowed[:, :prefix] = True
    return allowed
""",
        # the prefix is counted from the first new piece
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old)
    allowed[:, old : old + prefix] = True
    return allowed
""",
    ],
    "step": [
        # not divided
        """
def step(attention, state, keys, values):
    split = lambda t: rearrange(t, "b q (h d) -> b h q d", h=attention.heads)
    old = keys.shape[2]
    keys = torch.cat([keys, split(attention.key(state))], 2)
    values = torch.cat([values, split(attention.value(state))], 2)
    scores = split(attention.query(state)) @ keys.mT
    back = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(old)
    shares = scores.masked_fill(~back, -torch.inf).softmax(-1)
    mixed = rearrange(shares @ values, "b h q d -> b q (h d)")
    return attention.output(mixed), keys, values
""",
        # no mask: right for one new piece, wrong for several
        """
def step(attention, state, keys, values):
    split = lambda t: rearrange(t, "b q (h d) -> b h q d", h=attention.heads)
    keys = torch.cat([keys, split(attention.key(state))], 2)
    values = torch.cat([values, split(attention.value(state))], 2)
    scores = split(attention.query(state)) @ keys.mT / keys.shape[-1] ** 0.5
    mixed = rearrange(scores.softmax(-1) @ values, "b h q d -> b q (h d)")
    return attention.output(mixed), keys, values
""",
        # the mask does not know of the cache
        """
def step(attention, state, keys, values):
    split = lambda t: rearrange(t, "b q (h d) -> b h q d", h=attention.heads)
    keys = torch.cat([keys, split(attention.key(state))], 2)
    values = torch.cat([values, split(attention.value(state))], 2)
    scores = split(attention.query(state)) @ keys.mT / keys.shape[-1] ** 0.5
    back = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    shares = scores.masked_fill(~back, -torch.inf).softmax(-1)
    mixed = rearrange(shares @ values, "b h q d -> b q (h d)")
    return attention.output(mixed), keys, values
""",
        # the new ones in front
        """
def step(attention, state, keys, values):
    split = lambda t: rearrange(t, "b q (h d) -> b h q d", h=attention.heads)
    new = state.shape[1]
    keys = torch.cat([split(attention.key(state)), keys], 2)
    values = torch.cat([split(attention.value(state)), values], 2)
    scores = split(attention.query(state)) @ keys.mT / keys.shape[-1] ** 0.5
    back = torch.ones(scores.shape[-2:], dtype=torch.bool)
    back[:, :new] = back[:, :new].tril()
    shares = scores.masked_fill(~back, -torch.inf).softmax(-1)
    mixed = rearrange(shares @ values, "b h q d -> b q (h d)")
    return attention.output(mixed), keys, values
""",
        # a new piece does not see itself
        """
def step(attention, state, keys, values):
    split = lambda t: rearrange(t, "b q (h d) -> b h q d", h=attention.heads)
    old = max(keys.shape[2], 1)
    keys = torch.cat([keys, split(attention.key(state))], 2)
    values = torch.cat([values, split(attention.value(state))], 2)
    scores = split(attention.query(state)) @ keys.mT / keys.shape[-1] ** 0.5
    back = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(old - 1)
    shares = scores.masked_fill(~back, -torch.inf).softmax(-1)
    mixed = rearrange(shares @ values, "b h q d -> b q (h d)")
    return attention.output(mixed), keys, values
""",
    ],
    "beam_search": [
        # greedy
        """
def beam_search(next_scores, stop, beams, most, penalty):
    text, total = (), 0.0
    for length in range(1, most + 1):
        score, piece = next_scores(text).max(-1)
        total += score.item()
        if piece.item() == stop:
            break
        text = (*text, piece.item())
    return text, total / length**penalty
""",
        # the length does not count the stop piece
        """
def beam_search(next_scores, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(next_scores(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / max(len(text), 1) ** penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # whatever ends among the 2 * beams is finished
        """
def beam_search(next_scores, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(next_scores(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # done as soon as enough have finished
        """
def beam_search(next_scores, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(next_scores(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) >= beams:
            break
    score, text = max(finished)
    return text, score
""",
        # done when the best finished text is not beaten
        """
def beam_search(next_scores, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(next_scores(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if finished and running[0][0] / length**penalty <= finished[0][0]:
            break
    return finished[0][1], finished[0][0]
""",
        # never done before the last step
        """
def beam_search(next_scores, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(next_scores(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
    return finished[0][1], finished[0][0]
""",
    ],
    "test_decoder": [
        # shapes only
        """
def test_decoder(model):
    source, mask = torch.randint(5, model.pieces, (2, 6)), torch.ones(2, 6).long()
    assert model.logits(source, mask, source).shape == (2, 6, model.pieces)
    assert model.loss(source, mask, source) > 0
    assert len(model.write(source, mask, 4)) == 2
""",
        # rejects everything
        """
def test_decoder(model):
    assert False, "wrong"
""",
        # the faults of the list, and only the last place of the target
        """
def test_decoder(model):
    torch.manual_seed(0)
    source, target = torch.randint(5, model.pieces, (2, 3, 8))
    mask = (torch.arange(8) < torch.tensor([[8], [5], [3]])).long()
    target[:, 0], target[:, -1] = 1, 2
    logits = model.logits(source, mask, target)
    changed = target.clone()
    changed[:, -1] = 3
    found = model.logits(source, mask, changed)
    assert torch.allclose(found[:, :-1], logits[:, :-1], atol=1e-4)
    other = model.logits(torch.where(mask == 0, 4, source), mask, target)
    assert torch.allclose(other, logits, atol=1e-4)
    right = F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())
    assert torch.allclose(model.loss(source, mask, target), right, atol=1e-4)
    written = torch.tensor(model.write(source, mask, 10))
    best = model.logits(source, mask, F.pad(written[:, :-1], (1, 0), value=1))
    assert torch.equal(best.argmax(-1), written)
""",
        # nothing has to look back, or at the source
        """
def test_decoder(model):
    torch.manual_seed(0)
    source, target = torch.randint(5, model.pieces, (2, 3, 8))
    mask = (torch.arange(8) < torch.tensor([[8], [5], [3]])).long()
    target[:, 0], target[:, -1] = 1, 2
    logits = model.logits(source, mask, target)
    for place in range(1, 8):
        changed = target.clone()
        changed[:, place] = 3
        found = model.logits(source, mask, changed)
        assert torch.allclose(found[:, :place], logits[:, :place], atol=1e-4)
    other = model.logits(torch.where(mask == 0, 4, source), mask, target)
    assert torch.allclose(other, logits, atol=1e-4)
    right = F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())
    assert torch.allclose(model.loss(source, mask, target), right, atol=1e-4)
    written = torch.tensor(model.write(source, mask, 10))
    best = model.logits(source, mask, F.pad(written[:, :-1], (1, 0), value=1))
    assert torch.equal(best.argmax(-1), written)
""",
        # one text, without padding
        """
def test_decoder(model):
    torch.manual_seed(0)
    source, target = torch.randint(5, model.pieces, (2, 1, 8))
    mask = torch.ones_like(source)
    target[:, 0], target[:, -1] = 1, 2
    logits = model.logits(source, mask, target)
    for place in range(1, 8):
        changed = target.clone()
        changed[:, place] = 3
        same = (model.logits(source, mask, changed) - logits).abs().amax(-1) < 1e-4
        assert same[:, :place].all() and not same[:, place:].any()
    right = F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())
    assert torch.allclose(model.loss(source, mask, target), right, atol=1e-4)
    written = torch.tensor(model.write(source, mask, 10))
    best = model.logits(source, mask, F.pad(written[:, :-1], (1, 0), value=1))
    assert torch.equal(best.argmax(-1), written)
""",
        # a low loss is taken for a leak: without training it is not low
        """
def test_decoder(model):
    torch.manual_seed(0)
    source, target = torch.randint(5, model.pieces, (2, 3, 8))
    mask = (torch.arange(8) < torch.tensor([[8], [5], [3]])).long()
    target[:, 0], target[:, -1] = 1, 2
    assert model.loss(source, mask, target) > 1
    logits = model.logits(source, mask, target)
    other = model.logits(torch.where(mask == 0, 4, source), mask, target)
    assert torch.allclose(other, logits, atol=1e-4)
    written = torch.tensor(model.write(source, mask, 10))
    best = model.logits(source, mask, F.pad(written[:, :-1], (1, 0), value=1))
    assert torch.equal(best.argmax(-1), written)
""",
    ],
}
