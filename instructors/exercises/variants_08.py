"""Chapter 8: how its exercises are graded."""

import torch
import torch.nn.functional as F
from torch import nn

from instructors.grading import Exercise


def table_cases(seed, given):
    """Sizes of real models, tiny ones, and some where the division leaves nothing."""
    generator = torch.Generator().manual_seed(seed)
    cases = [(30522, 768), (60, 768), (1, 1), (2, 2), (96, 96)]
    for _ in range(6):
        vocab_size, width = torch.randint(2, 9000, (2,), generator=generator).tolist()
        cases.append((vocab_size, width))
    half = int(torch.randint(2, 300, (1,), generator=generator))
    return [*cases, (2 * half, 2 * half), (3 * half, 6 * half)]


def distilled_cases(seed, given):
    """Cold and hot, mild and wild scores, one row and many, one loss and both."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for rows, classes, temperature, share, size in (
        (1, 2, 1.0, 0.5, 1), (6, 3, 0.5, 0.9, 2), (4, 50, 3.0, 0.1, 1),
        (3, 9, 20.0, 1.0, 3), (5, 4, 2.0, 0.0, 2), (2, 7, 1.5, 0.6, 900),
    ):  # fmt: skip
        student, teacher = size * torch.randn(2, rows, classes, generator=generator)
        labels = torch.randint(classes, (rows,), generator=generator)
        cases.append((student, teacher, labels, temperature, share))
    return cases


def with_gradients(solution, student, teacher, labels, temperature, share):
    """The loss, the student's gradient, whether the teacher has one; in double."""
    student = student.double().requires_grad_()
    teacher = teacher.double().requires_grad_()
    loss = solution(student, teacher, labels, temperature, share)
    options = {"allow_unused": True, "materialize_grads": True}
    mine, theirs = torch.autograd.grad(loss, (student, teacher), **options)
    return loss.dim(), loss.detach(), mine, bool(theirs.any())


class Pieces(nn.Module):
    """Scores of each token: `b s v`, or `b s` for one score, by the token alone.

    Those of pieces also depend on the token before: or all gaps would be alike, and
    it would not show where a piece was drawn for another gap.
    """

    def __init__(self, vocab_size, columns, generator):
        super().__init__()
        weight = 2 * torch.randn(vocab_size, columns, generator=generator)
        self.table = nn.Embedding(vocab_size, columns, _weight=weight)
        self.read = []

    def forward(self, ids):
        self.read.append(ids.clone())
        scores = self.table(ids)
        if scores.shape[-1] == 1:
            return scores[..., 0]
        return scores + self.table(ids.roll(1, dims=1))


def replaced_cases(seed, given):
    """Long texts, in which a share can be measured, and short ones."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for rows, length, pieces, rate in ((300, 30, 5, 0.4), (200, 40, 7, 0.2),
                                       (3, 6, 9, 0.5)):  # fmt: skip
        true = torch.randint(pieces - 1, (rows, length), generator=generator)
        asked = torch.rand(rows, length, generator=generator) < rate
        asked[0, 0] = True
        gaps = true.masked_fill(asked, pieces - 1)
        both = (Pieces(pieces, n, generator) for n in (pieces, 1))
        cases.append((*both, gaps, asked, true))
    return cases


def step_kept(solution, generator, discriminator, gaps, asked, true):
    """What has to hold whatever is drawn."""
    before = [each.clone() for each in (gaps, asked, true)]
    torch.manual_seed(3)
    guessed, found = solution(generator, discriminator, gaps, asked, true)
    (shown,), pieces = discriminator.read[-1:], generator.table.num_embeddings
    reads = torch.equal(generator.read[-1], before[0])
    scores = generator(before[0])[before[1]]
    likely = scores.detach().softmax(dim=-1)  # t v, each gap has its own
    picked = shown[asked]
    drawn = picked.bincount(minlength=pieces)[:pieces] / asked.sum()
    # If each is drawn for its own gap, it has this chance on the average.
    surplus = likely.gather(1, picked[:, None]).mean() - likely.square().sum(1).mean()
    marks = discriminator.table.weight[:, 0][shown]
    right = F.binary_cross_entropy_with_logits(marks, (shown != true).float())
    wanted = F.cross_entropy(scores, before[2][before[1]])
    options = {"allow_unused": True, "materialize_grads": True, "retain_graph": True}
    (leak,) = torch.autograd.grad(found, generator.table.weight, **options)
    (taught,) = torch.autograd.grad(found, discriminator.table.weight, **options)
    (right_taught,) = torch.autograd.grad(right, discriminator.table.weight, **options)
    (learns,) = torch.autograd.grad(guessed, generator.table.weight, **options)
    (right_learns,) = torch.autograd.grad(wanted, generator.table.weight, **options)
    few = asked.sum() < 500
    return {
        "what is given stays": all(map(torch.equal, before, (gaps, asked, true))),
        "the generator reads the gaps": reads,
        "what is not asked stays": torch.equal(
            shown[~before[1]], before[2][~before[1]]
        ),
        "drawn": bool(few or (drawn - likely.mean(dim=0)).abs().max() < 0.05),
        "drawn for its own gap": bool(few or surplus.abs() < 0.04),
        "numbers": (guessed.dim(), found.dim()),
        "generator's loss": torch.isclose(guessed, wanted, atol=1e-4).item(),
        "discriminator's loss": torch.isclose(found, right, atol=1e-5).item(),
        "no leak": not leak.any(),
        "what it teaches": torch.allclose(taught, right_taught, atol=1e-5),
        "the generator learns": torch.allclose(learns, right_learns, atol=1e-5),
    }


EXERCISES = {
    "widest_table": Exercise(table_cases),
    "distilled": Exercise(distilled_cases, examine=with_gradients),
    "replaced_loss": Exercise(replaced_cases, examine=step_kept),
}
