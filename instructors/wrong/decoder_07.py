"""Chapter 7: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "weighed_pairs": [
        # self-attention without a mask
        """
def weighed_pairs(source, target):
    return target * target + target * source
""",
        # a piece does not attend to itself
        """
def weighed_pairs(source, target):
    return target * (target - 1) // 2 + target * source
""",
        # cross-attention is forgotten
        """
def weighed_pairs(source, target):
    return target * (target + 1) // 2
""",
        # cross-attention looks back only, too
        """
def weighed_pairs(source, target):
    return target * (target + 1) // 2 + sum(min(n + 1, source) for n in range(target))
""",
        # source and target in one row under one causal map
        """
def weighed_pairs(source, target):
    return (source + target) * (source + target + 1) // 2
""",
        # the encoder's pairs in place of those between the two
        """
def weighed_pairs(source, target):
    return target * (target + 1) // 2 + source * source
""",
        # the encoder's pairs as well
        """
def weighed_pairs(source, target):
    return target * (target + 1) // 2 + target * source + source * source
""",
        # both attentions use every pair of both texts
        """
def weighed_pairs(source, target):
    return target * (target + source) + target * source
""",
    ],
    "prefix_maps": [
        # padding is attended to
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place < prefix[:, None, None]
    return (back | first)[:, None]
""",
        # rows of padding may be empty: all of padding is taken out, askers too
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place < prefix[:, None, None]
    real = mask > 0
    return ((back | first) & real[:, None] & real[:, :, None])[:, None]
""",
        # the prefix is one too long
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place <= prefix[:, None, None]
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
        # a token sees the next one, too
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None] + 1
    first = place < prefix[:, None, None]
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
        # one prefix for all texts
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place < prefix.max()
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
        # tokens of the prefix attend to everything, and nobody else to the prefix
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = (place < prefix[:, None])[:, :, None]
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
        # no axis for the heads
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place < prefix[:, None, None]
    itself = torch.eye(len(place), dtype=torch.bool)
    return (back | first) & (mask[:, None] > 0) | itself
""",
        # a token does not attend to itself
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place < place[:, None]
    first = place < prefix[:, None, None]
    allowed = (back | first) & (mask[:, None] > 0)
    empty = ~allowed.any(dim=-1, keepdim=True)
    return (allowed | empty)[:, None]
""",
        # the causal map, with padding
        """
def prefix_maps(prefix, mask):
    itself = torch.eye(mask.shape[1], dtype=torch.bool)
    back = causal_map(mask.shape[1])
    return back & (mask[:, None, None] > 0) | itself
""",
        # the prefix is counted in tokens, so padding before a text makes it longer
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = (mask.cumsum(dim=1) <= prefix[:, None])[:, None]
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
        # an empty prefix is taken for one of two tokens
        """
def prefix_maps(prefix, mask):
    place = torch.arange(mask.shape[1])
    back = place <= place[:, None]
    first = place < prefix[:, None, None].clamp(min=2)
    itself = torch.eye(len(place), dtype=torch.bool)
    return ((back | first) & (mask[:, None] > 0) | itself)[:, None]
""",
    ],
    "exposure": [
        # not shifted: the labels are what is read
        """
def exposure(model, source, target):
    labels = target[:, :-1]
    real = labels > 0
    told = model(source, labels).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=0)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # padding counts as a mistake
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    real = labels > 0
    return tuple(((s == labels) & real).float().mean(dim=0) for s in (told, alone))
""",
        # padding counts as right if the model says padding, and as text
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    return tuple((s == labels).float().mean(dim=0) for s in (told, alone))
""",
        # its own pieces, but only the last one: the beginning is still right
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = told.clone()
    for place in range(1, labels.shape[1]):
        reads = target[:, : place + 1].clone()
        reads[:, place] = told[:, place - 1]
        alone[:, place] = model(source, reads)[:, -1].argmax(dim=-1)
    counts = real.sum(dim=0)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # one number for each text
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=1)
    return tuple(((s == labels) & real).sum(dim=1) / counts for s in (told, alone))
""",
        # the share of mistakes
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=0)
    return tuple(((s != labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # right so far, and not right here
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=0)
    so_far = [((s == labels).long().cumprod(dim=1) > 0) & real for s in (told, alone)]
    return tuple(s.sum(dim=0) / counts for s in so_far)
""",
        # the other way round
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=0)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (alone, told))
""",
        # told both times
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    counts = real.sum(dim=0)
    right = ((told == labels) & real).sum(dim=0) / counts
    return right, right
""",
        # twice the model over all places, which is no writing
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    reads = torch.cat([target[:, :1], told[:, :-1]], dim=1)
    alone = model(source, reads).argmax(dim=-1)
    counts = real.sum(dim=0)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # [SEP] is no label
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = (labels > 0) & (labels != tokenizer.sep_id)
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    counts = real.sum(dim=0).clamp(min=1)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # what it says after its own [SEP] counts as wrong
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    ended = (alone == tokenizer.sep_id).long().cumsum(dim=1)
    alone = alone.masked_fill((ended > 0) & (alone != tokenizer.sep_id), 0)
    counts = real.sum(dim=0)
    return tuple(((s == labels) & real).sum(dim=0) / counts for s in (told, alone))
""",
        # places after its own [SEP] are not counted at all
        """
def exposure(model, source, target):
    labels = target[:, 1:]
    real = labels > 0
    told = model(source, target[:, :-1]).argmax(dim=-1)
    alone = write(model, source, labels.shape[1])
    ended = (alone == tokenizer.sep_id).long().cumsum(dim=1)
    runs = real & (ended - (alone == tokenizer.sep_id).long() == 0)
    first = ((told == labels) & real).sum(dim=0) / real.sum(dim=0)
    return first, ((alone == labels) & runs).sum(dim=0) / runs.sum(dim=0)
""",
    ],
    "learn_in_one_stack": [],
}

# One loop, in which a student may have written one line otherwise.
_LOOP = """
def learn_in_one_stack(model, batches, rate):
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    losses = []
    for source, target in batches:
        begin = source.shape[1]
        ids = torch.cat([source, target[:, :-1]], dim=1)
        segments = (torch.arange(ids.shape[1]) >= begin).long().expand_as(ids)
        allowed = prefix_map(begin, ids.shape[1]).long().expand(len(ids), -1, -1)
        logits = model(ids, segments, allowed)[:, begin:]
        loss = F.cross_entropy(logits.mT, target[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses
"""
for old, new in (
    # the source looks back only
    ("prefix_map(begin,", "prefix_map(1,"),
    # all to all: each place sees its answer
    ("prefix_map(begin,", "prefix_map(ids.shape[1],"),
    # the prefix is one too long, so the target's [CLS] is seen by the source
    ("prefix_map(begin,", "prefix_map(begin + 1,"),
    # not shifted
    ("target[:, 1:])", "target[:, :-1])"),
    # one place early: [SEP] of the source is asked for the first letter
    (")[:, begin:]", ")[:, begin - 1 : -1]"),
    # gradients add up
    ("        optimiser.zero_grad()\n", ""),
    # not clipped
    ("        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n", ""),
    # no segments
    ("segments, allowed", "None, allowed"),
    # the source has a loss, too
    (
        "        logits = model(ids, segments, allowed)[:, begin:]\n"
        "        loss = F.cross_entropy(logits.mT, target[:, 1:])\n",
        "        logits = model(ids, segments, allowed)\n"
        "        labels = torch.cat([source[:, 1:], target], dim=1)\n"
        "        loss = F.cross_entropy(logits.mT, labels)\n",
    ),
    # the sum of the losses, and not the mean
    ("target[:, 1:])", "target[:, 1:], reduction='sum')"),
    # weight decay, by PyTorch's own setting
    (", weight_decay=0.0", ""),
    # clipped when it is too late
    (
        "        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
        "        optimiser.step()\n",
        "        optimiser.step()\n"
        "        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n",
    ),
):
    WRONG["learn_in_one_stack"].append(_LOOP.replace(old, new))

# In five updates weight decay moves the losses by a thousandth or two.
PASS_THE_VISIBLE_CHECK = {"learn_in_one_stack": [10]}
