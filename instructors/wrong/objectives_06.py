"""Chapter 6: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "pair_line": [
        # in bits
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return float(sum(-p * np.log2(p) for p in (random, 1 - random) if p > 0))
""",
        # always ln 2, whatever the share
        """
def pair_line(labels):
    return float(np.log(2))
""",
        # the term of the random ones alone
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return float(sum(-p * np.log(p) for p in (random,) if p > 0))
""",
        # a share of 0 does harm: the result is no number
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return float(sum(-p * np.log(p) for p in (random, 1 - random)))
""",
        # the loss of the commoner label
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return float(-np.log(max(random, 1 - random)))
""",
        # the share of wrong answers of a model that says the commoner label
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return min(random, 1 - random)
""",
        # summed over the pairs
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    n = len(labels)
    return n * float(sum(-p * np.log(p) for p in (random, 1 - random) if p > 0))
""",
        # the probability is not what happens: both labels weigh the same
        """
def pair_line(labels):
    random = sum(labels) / len(labels)
    return float(sum(-np.log(p) / 2 for p in (random, 1 - random) if p > 0))
""",
    ],
    "bias_alone": [
        # far too few updates
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(20):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # plain SGD at a usual learning rate, which is far too low here
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.SGD([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # a learning rate as for a whole model
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=1e-3)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # the gradient is followed upwards
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        (-loss).backward()
        optimiser.step()
    return bias.detach()
""",
        # the bias is made a probability before the loss, which does it again
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.softmax(dim=0).expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # no step is taken
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
    return bias.detach()
""",
        # every piece counts once, however often it comes
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels.unique()), -1), labels.unique())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # strong weight decay pulls the bias back to 0
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.AdamW([bias], lr=0.1, weight_decay=1.0)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # the optimiser begins anew with each update, so every step has the same length
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    for _ in range(400):
        optimiser = torch.optim.Adam([bias], lr=0.1)
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
        # counted and not trained: what was never seen is minus infinity
        """
def bias_alone(labels, vocab_size):
    return (labels.bincount(minlength=vocab_size) / len(labels)).log()
""",
        # counted and not trained, with a little added so that nothing is infinite
        """
def bias_alone(labels, vocab_size):
    return (labels.bincount(minlength=vocab_size) + 0.01).log()
""",
        # probabilities, and not the bias
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.softmax(dim=0).detach()
""",
        # with its gradient
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias
""",
        # piece 0 is taken for padding
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    optimiser = torch.optim.Adam([bias], lr=0.1)
    for _ in range(400):
        loss = F.cross_entropy(bias.expand(len(labels), -1), labels, ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return bias.detach()
""",
    ],
    "MyMasker": [
        # special tokens may be chosen
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # 15 % of the free pieces only
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * len(free)))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # 15 % of the row, padding included
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * len(ids)))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # padding may be chosen
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # the same place twice: drawn with putting back
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=True):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # the labels are what the model sees
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        labels = torch.where(labels == -100, labels, hidden)
        return hidden, labels
""",
        # labels everywhere
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, input_ids.clone()
""",
        # always [MASK]
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 1.0:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # nothing stays: the rest is random
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                else:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # two draws: a tenth of the rest, and not half of it
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif rng.random() < 0.1:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # the given ids are written into
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids, torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = int(ids[place]), rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # a coin for each piece
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            for place in free[rng.random(len(free)) < 0.15]:
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # always the first pieces
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in free[:count]:
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # rounded down
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, int(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # seeded by itself: the same masks in every epoch
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own, rng = self.tokenizer, np.random.default_rng(0)
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # a random piece is one of the same text
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own = self.tokenizer
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = ids[rng.choice(free)]
        return hidden, labels
""",
        # a generator of its own, which nobody has seeded
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer, self.rng = tokenizer, np.random.default_rng()

    def batch(self, input_ids, rng):
        own, rng = self.tokenizer, self.rng
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # a generator of its own, seeded once and moving on
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer, self.rng = tokenizer, np.random.default_rng(0)

    def batch(self, input_ids, rng):
        own, rng = self.tokenizer, self.rng
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
        # a generator of its own, seeded by the text: each text has one mask for ever
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids, rng):
        own, rng = self.tokenizer, np.random.default_rng(int(input_ids.sum()))
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        fixed = torch.tensor([own.cls_id, own.sep_id, own.pad_id])
        for row, ids in enumerate(input_ids):
            free = (~torch.isin(ids, fixed)).nonzero()[:, 0].numpy()
            count = max(1, round(0.15 * int((ids != own.pad_id).sum())))
            for place in rng.choice(free, count, replace=False):
                labels[row, place], draw = ids[place], rng.random()
                if draw < 0.8:
                    hidden[row, place] = own.mask_id
                elif draw < 0.9:
                    hidden[row, place] = int(rng.integers(len(own)))
        return hidden, labels
""",
    ],
}

# By its number in the list above: a random piece is one of the same text.
PASS_THE_VISIBLE_CHECK = {"MyMasker": [15]}
