"""Chapter 6: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "pair_line": [
        # counts, and the logarithm of the standard library
        """
import math
from collections import Counter


def pair_line(labels):
    n = len(labels)
    return math.fsum(k * math.log(n / k) for k in Counter(labels).values()) / n
""",
        # the cross-entropy of the labels against their own share
        """
def pair_line(labels: list[int]) -> float:
    wanted = torch.tensor(labels, dtype=torch.double)
    share = wanted.mean().expand_as(wanted)
    return F.binary_cross_entropy(share, wanted).item()
""",
        # a distribution that knows its own entropy
        """
def pair_line(labels):
    share = torch.tensor(labels).float().mean()
    return torch.distributions.Bernoulli(share).entropy().item()
""",
        # 0 log 0 is 0 by scipy's convention
        """
from scipy.special import entr


def pair_line(labels):
    p = np.mean(labels)
    return entr(p) + entr(1 - p)
""",
    ],
    "bias_alone": [
        # L-BFGS, which finds the length of its steps itself
        """
def bias_alone(labels, vocab_size):
    b = nn.Parameter(torch.zeros(vocab_size))
    optimiser = torch.optim.LBFGS([b], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = F.cross_entropy(b.repeat(labels.numel(), 1), labels)
        loss.backward()
        return loss

    optimiser.step(closure)
    return b.data
""",
        # gradient descent by hand with a long step
        """
def bias_alone(labels, vocab_size):
    bias = torch.zeros(vocab_size, requires_grad=True)
    for _ in range(3000):
        loss = -bias.log_softmax(0)[labels].mean()
        (gradient,) = torch.autograd.grad(loss, bias)
        with torch.no_grad():
            bias -= 3.0 * gradient
    return bias.detach()
""",
        # a module, trained with momentum and a falling learning rate
        """
class OnlyBias(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, positions):
        return self.bias[None, :].expand(positions, len(self.bias))


def bias_alone(labels: Tensor, vocab_size: int) -> Tensor:
    model = OnlyBias(vocab_size)
    sgd = torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 800)
    for step in range(800):
        sgd.zero_grad()
        nn.functional.nll_loss(model(len(labels)).log_softmax(-1), labels).backward()
        sgd.step()
        plan.step()
    return model.bias.detach().clone()
""",
    ],
    "MyMasker": [
        # all texts at once: the places with the smallest random numbers are chosen
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.t = tokenizer

    def batch(self, input_ids, rng):
        ids = input_ids.numpy()
        special = np.isin(ids, [self.t.cls_id, self.t.sep_id, self.t.pad_id])
        lengths = (ids != self.t.pad_id).sum(axis=1)
        wanted = np.maximum(1, np.rint(0.15 * lengths).astype(int))
        order = np.where(special, 2.0, rng.random(ids.shape)).argsort(axis=1)
        ranks = order.argsort(axis=1)
        chosen = ranks < wanted[:, None]
        lot = rng.random(ids.shape)
        any_piece = rng.integers(0, len(self.t.vocabulary), ids.shape)
        out = np.where(chosen & (lot < 0.8), self.t.mask_id, ids)
        out = np.where(chosen & (lot >= 0.9), any_piece, out)
        labels = np.where(chosen, ids, -100)
        return torch.from_numpy(out), torch.from_numpy(labels)
""",
        # plain lists, shuffled; the three fates are drawn by name
        """
class MyMasker:
    fates = ("mask", "other", "same")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.size = len(tokenizer)
        self.mask, self.padding = tokenizer.mask_id, tokenizer.pad_id
        self.never = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id}

    def batch(self, input_ids, rng):
        hidden, labels = [], []
        for row in input_ids.tolist():
            mine, asked = list(row), [-100] * len(row)
            places = [i for i, piece in enumerate(row) if piece not in self.never]
            rng.shuffle(places)
            tokens = len(row) - row.count(self.padding)
            for i in places[: max(round(tokens * 0.15), 1)]:
                asked[i] = row[i]
                fate = rng.choice(self.fates, p=[0.8, 0.1, 0.1])
                if fate == "mask":
                    mine[i] = self.mask
                elif fate == "other":
                    mine[i] = int(rng.integers(0, self.size))
            hidden.append(mine)
            labels.append(asked)
        return torch.tensor(hidden), torch.tensor(labels)
""",
        # torch draws, from a generator that the given one seeds
        """
class MyMasker:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch(self, input_ids: Tensor, rng: np.random.Generator):
        dice = torch.Generator().manual_seed(int(rng.integers(2**62)))
        tok = self.tokenizer
        real = input_ids.ne(tok.pad_id)
        free = real & input_ids.ne(tok.cls_id) & input_ids.ne(tok.sep_id)
        labels = torch.full_like(input_ids, -100)
        for row in range(input_ids.size(0)):
            k = max(1, round(0.15 * real[row].sum().item()))
            at = torch.multinomial(free[row].float(), k, generator=dice)
            labels[row].scatter_(0, at, input_ids[row, at])
        draw = torch.rand(input_ids.shape, generator=dice)
        asked = labels.ne(-100)
        noise = torch.randint(len(tok), input_ids.shape, generator=dice)
        hidden = input_ids.masked_fill(asked & (draw < 0.8), tok.mask_id)
        return torch.where(asked & (draw > 0.9), noise, hidden), labels
""",
    ],
}
