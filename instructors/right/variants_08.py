"""Chapter 8: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "widest_table": [
        # narrower and narrower, until it pays
        """
def widest_table(vocab_size, width):
    columns = width
    while columns * (vocab_size + width) >= vocab_size * width:
        columns -= 1
    return columns
""",
        # bisection over all widths
        """
from bisect import bisect_left


def widest_table(vocab_size: int, width: int) -> int:
    full = vocab_size * width
    cost = lambda e: e * vocab_size + e * width
    return bisect_left(range(width + 1), full, key=cost) - 1
""",
        # the break-even point as an exact fraction
        """
import math
from fractions import Fraction


def widest_table(v, w):
    even = Fraction(v * w, v + w)
    return math.ceil(even) - 1
""",
    ],
    "distilled": [
        # the library's divergence
        """
def distilled(student, teacher, labels, temperature, share):
    with torch.no_grad():
        p = F.log_softmax(teacher / temperature, dim=1)
    q = F.log_softmax(student / temperature, dim=1)
    soft = F.kl_div(q, p, reduction="batchmean", log_target=True)
    hard = F.nll_loss(F.log_softmax(student, dim=1), labels)
    return share * temperature * temperature * soft + (1 - share) * hard
""",
        # a cross-entropy with soft labels, less the teacher's own entropy
        """
def distilled(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, share: float
) -> Tensor:
    p = (teacher.detach() / temperature).softmax(-1)
    entropy = torch.special.entr(p).sum(-1).mean()
    kl = F.cross_entropy(student / temperature, p) - entropy
    return torch.lerp(F.cross_entropy(student, labels), temperature**2 * kl, share)
""",
        # row by row, with log-sum-exp
        """
def distilled(student, teacher, labels, temperature, share):
    teacher = teacher.clone().detach()
    total = 0
    for own, other, label in zip(student, teacher, labels):
        hard = own.logsumexp(0) - own[label]
        a, b = own / temperature, other / temperature
        log_q, log_p = a - torch.logsumexp(a, 0), b - torch.logsumexp(b, 0)
        soft = torch.dot(log_p.exp(), log_p - log_q)
        total = total + share * temperature**2 * soft + (1 - share) * hard
    return total / len(labels)
""",
    ],
    "replaced_loss": [
        # the gaps are filled where they are; the logistic loss by softplus
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    scores = generator(gaps)
    at = asked.nonzero(as_tuple=True)
    with torch.no_grad():
        pieces = torch.multinomial(F.softmax(scores[at], -1), num_samples=1)
        filled = gaps.clone()
        filled[at] = pieces.squeeze(1)
        replaced = filled.ne(true)
    logits = discriminator(filled)
    right_way = torch.where(replaced, -logits, logits)
    return F.cross_entropy(scores[at], true[at]), F.softplus(right_way).mean()
""",
        # drawn at every place, used at the hidden ones; labels of -100 elsewhere
        """
def replaced_loss(
    generator: nn.Module, discriminator: nn.Module, gaps: Tensor, asked: Tensor,
    true: Tensor,
) -> tuple[Tensor, Tensor]:
    scores = generator(gaps)
    b, s, v = scores.shape
    chances = scores.detach().view(b * s, v).softmax(dim=1)
    drawn = torch.multinomial(chances, 1).view(b, s)
    shown = torch.where(asked, drawn, true)
    labels = true.masked_fill(~asked, -100)
    first = F.cross_entropy(scores.transpose(1, 2), labels, ignore_index=-100)
    lost = nn.BCEWithLogitsLoss()
    return first, lost(discriminator(shown), (shown != true).to(scores.dtype))
""",
        # text by text, and the means by hand
        """
def replaced_loss(generator, discriminator, gaps, asked, true):
    log_p = generator(gaps).log_softmax(dim=-1)
    shown, nats = [], []
    for row, hidden, ids in zip(log_p, asked, true):
        text = ids.clone()
        for place in hidden.nonzero().flatten().tolist():
            text[place] = torch.multinomial(row[place].detach().exp(), 1).item()
            nats.append(-row[place, ids[place]])
        shown.append(text)
    shown = torch.stack(shown)
    p = discriminator(shown).sigmoid()
    found = F.binary_cross_entropy(p, (shown != true).float())
    return torch.stack(nats).mean(), found
""",
    ],
}
