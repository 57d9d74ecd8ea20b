"""Chapter 6: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "how_many": [
        # cut off instead of rounded
        """
def how_many(tokens, limit):
    return min(limit, max(1, int(0.15 * tokens)))
""",
        # special tokens are not counted
        """
def how_many(tokens, limit):
    return min(limit, max(1, round(0.15 * (tokens - 2))))
""",
        # none at all in a short text
        """
def how_many(tokens, limit):
    return min(limit, round(0.15 * tokens))
""",
        # half is rounded up
        """
def how_many(tokens, limit):
    return min(limit, max(1, math.floor(0.15 * tokens + 0.5)))
""",
    ],
    "unigram_line": [
        # nothing is added: a piece that was never seen is impossible
        """
def unigram_line(train, held_out, vocab_size):
    counts = torch.bincount(train, minlength=vocab_size).float()
    return -(counts / counts.sum()).log()[held_out].mean().item()
""",
        # 1 is added only to what was seen
        """
def unigram_line(train, held_out, vocab_size):
    counts = torch.bincount(train, minlength=vocab_size).float()
    counts[counts > 0] += 1
    return -(counts.clamp(min=1) / counts.sum()).log()[held_out].mean().item()
""",
        # the entropy of the training text
        """
def unigram_line(train, held_out, vocab_size):
    share = (torch.bincount(train, minlength=vocab_size) + 1.0)
    share = share / share.sum()
    return -(share * share.log()).sum().item()
""",
        # in bits
        """
def unigram_line(train, held_out, vocab_size):
    counts = torch.bincount(train, minlength=vocab_size) + 1.0
    return -(counts / counts.sum()).log2()[held_out].mean().item()
""",
        # divided by the number of tokens without the ones that were added
        """
def unigram_line(train, held_out, vocab_size):
    counts = torch.bincount(train, minlength=vocab_size) + 1.0
    return -(counts / len(train)).log()[held_out].mean().item()
""",
    ],
    "test_losses": [
        """
def test_losses(losses):
    x, y = torch.zeros(2, 3, 5), torch.full((2, 3), 1)
    pieces, pairs = losses(x, y, torch.zeros(2, 2), torch.tensor([0, 1]))
    assert abs(pieces - math.log(5)) < 1e-4 and abs(pairs - math.log(2)) < 1e-4
""",
        # every place is asked: what is forgotten does not show
        """
def test_losses(losses):
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5), torch.tensor([[1, 2, 3], [4, 1, 2]])
    p, q = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    pieces, pairs = losses(x, y, p, q)
    assert torch.isclose(pieces, F.cross_entropy(x.flatten(0, 1), y.flatten()))
    assert torch.isclose(pairs, F.cross_entropy(p, q))
""",
        # the same number of places in each text
        """
def test_losses(losses):
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5), torch.tensor([[1, -100, 0], [-100, 1, 2]])
    p, q = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    pieces, pairs = losses(x, y, p, q)
    assert torch.isclose(pieces, F.cross_entropy(x.flatten(0, 1), y.flatten()))
    assert torch.isclose(pairs, F.cross_entropy(p, q))
""",
        # only the pieces
        """
def test_losses(losses):
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5), torch.tensor([[1, -100, 0], [-100, -100, 2]])
    pieces, _ = losses(x, y, torch.zeros(2, 2), torch.tensor([0, 1]))
    assert torch.isclose(pieces, F.cross_entropy(x.flatten(0, 1), y.flatten()))
""",
        """
def test_losses(losses):
    raise AssertionError("wrong")
""",
    ],
    "test_pairs": [
        # labels are counted, and not looked at
        """
def test_pairs(make):
    labels = [label for *_, label in make(made(30, 10, 60), Random(0))]
    assert 0.4 < sum(labels) / len(labels) < 0.7
""",
        # random ones are not looked at
        """
def test_pairs(make):
    pairs = make(made(30, 10, 60), Random(0))
    for first, second, label in pairs:
        assert len(first) + len(second) <= 125 and len(first) and len(second)
        if label == 0:
            assert first.start // 300 == second.start // 300
            assert 0 <= second.start - first.stop <= 40
    assert 0.4 < sum(label for *_, label in pairs) / len(pairs) < 0.7
""",
        # the meaning of the label is turned round
        """
def test_pairs(make):
    for first, second, label in make(made(30, 10, 60), Random(0)):
        assert (first.start // 300 == second.start // 300) == (label == 1)
""",
        # lengths are not looked at
        """
def test_pairs(make):
    pairs = make(made(30, 10, 60), Random(0))
    for first, second, label in pairs:
        same = first.start // 300 == second.start // 300
        assert same == (label == 0)
    assert 0.4 < sum(label for *_, label in pairs) / len(pairs) < 0.7
""",
        """
def test_pairs(make):
    raise AssertionError("wrong")
""",
        # partners are not looked at
        """
def test_pairs(make):
    pairs = make(made(30, 10, 60), Random(0))
    for first, second, label in pairs:
        assert 0 < len(first) and 0 < len(second)
        assert len(first) + len(second) <= 125
        same = first.start // 300 == second.start // 300
        assert same == (label == 0)
        if same:
            full = len(first) + len(second) == 125
            assert 0 <= second.start - first.stop <= (40 if full else 0)
    assert 0.4 < sum(label for *_, label in pairs) / len(pairs) < 0.7
""",
    ],
    "test_masks": [
        # labels and places, no rates
        """
def test_masks(mask):
    ids = before[:100]
    seen_ids, labels = mask(ids, np.random.default_rng(0))
    asked = labels != -100
    assert torch.equal(labels[asked], ids[asked])
    assert torch.equal(seen_ids[~asked], ids[~asked])
    assert not (asked & (ids < 999)).any()
""",
        # too few texts and a wide tolerance
        """
def test_masks(mask):
    ids = before[:50]
    seen_ids, labels = mask(ids, np.random.default_rng(0))
    asked = labels != -100
    special = torch.tensor([tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id])
    assert not torch.isin(ids[asked], special).any()
    assert torch.equal(labels[asked], ids[asked])
    assert abs((seen_ids[asked] == tokenizer.mask_id).float().mean() - 0.8) < 0.05
""",
        # the mean number, not the number in each text
        """
def test_masks(mask):
    ids = before
    seen_ids, labels = mask(ids, np.random.default_rng(0))
    asked = labels != -100
    special = torch.tensor([tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id])
    assert not torch.isin(ids[asked], special).any()
    assert torch.equal(labels[asked], ids[asked])
    assert torch.equal(seen_ids[~asked], ids[~asked])
    assert 0.145 < asked.sum() / (ids != tokenizer.pad_id).sum() < 0.152
    masked, stays = seen_ids[asked] == tokenizer.mask_id, seen_ids[asked] == ids[asked]
    for kind, share in ((masked, 0.8), (stays, 0.1), (~masked & ~stays, 0.1)):
        assert abs(kind.float().mean() - share) < 0.005
""",
        # 15 % of the free places: rejects the released way
        """
def test_masks(mask):
    ids = before
    _, labels = mask(ids, np.random.default_rng(0))
    for row, asked in zip(ids, labels != -100, strict=True):
        assert asked.sum() == round(0.15 * ((row > 999).sum().item()))
""",
        """
def test_masks(mask):
    raise AssertionError("wrong")
""",
    ],
    "choose": [
        # a threshold: ties give too many
        """
def choose(free, wanted, generator):
    keys = torch.rand(free.shape, generator=generator).masked_fill(~free, 2.0)
    place = (wanted[:, None] - 1).clamp(0, free.shape[1] - 1)
    last = keys.sort(dim=1).values.gather(1, place)
    return free & (keys <= last) & (wanted[:, None] > 0)
""",
        # whole numbers as keys: the same threshold, more ties
        """
def choose(free, wanted, generator):
    keys = torch.randint(0, 2**20, free.shape, generator=generator)
    keys = keys.masked_fill(~free, 2**20)
    place = (wanted[:, None] - 1).clamp(0, free.shape[1] - 1)
    last = keys.sort(dim=1).values.gather(1, place)
    return free & (keys <= last) & (wanted[:, None] > 0)
""",
        # a coin for each
        """
def choose(free, wanted, generator):
    share = wanted / free.sum(dim=1).clamp(min=1)
    return free & (torch.rand(free.shape, generator=generator) < share[:, None])
""",
        # the first ones
        """
def choose(free, wanted, generator):
    return free & (free.cumsum(dim=1) <= wanted[:, None])
""",
        # one order for all rows
        """
def choose(free, wanted, generator):
    keys = torch.rand(free.shape[1], generator=generator).expand(free.shape)
    keys = keys.masked_fill(~free, 2.0)
    return free & (keys.argsort(dim=1).argsort(dim=1) < wanted[:, None])
""",
        # sorted once: places are taken for ranks
        """
def choose(free, wanted, generator):
    keys = torch.rand(free.shape, generator=generator).masked_fill(~free, 2.0)
    return free & (keys.argsort(dim=1) < wanted[:, None])
""",
        # what is not free takes a place
        """
def choose(free, wanted, generator):
    keys = torch.rand(free.shape, generator=generator)
    return free & (keys.argsort(dim=1).argsort(dim=1) < wanted[:, None])
""",
    ],
}
