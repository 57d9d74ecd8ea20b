"""Chapter 5: what hand-ins are tried on."""

import torch
from torch import Tensor, nn

from instructors.grading import Exercise


def generator_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 + seed)


def change_cases(seed: int, given: dict) -> list[tuple]:
    """Changes that leave all cosines, and others that spoil few of them or all."""
    g = generator_of(seed)
    cases = []
    for count, width in ((3, 4), (5, 8), (20, 16)):
        some = torch.randn(count, width, generator=g)
        own = 0.2 + 3 * torch.rand(count, 1, generator=g)
        turn = torch.linalg.qr(torch.randn(width, width, generator=g)).Q
        feature = torch.ones(width)
        feature[seed % width] = 2.5
        one = torch.ones(count, 1)
        one[-1] = -1
        last = some.clone()
        last[-1] = torch.randn(width, generator=g)
        order = torch.randperm(width, generator=g)
        about = [some.clone(), some.clone()]  # half a turn about one of the first two
        for axis, turned in zip(some, about, strict=False):
            along = (some[2:] @ axis)[:, None] * axis / axis.square().sum()
            turned[2:] = 2 * along - some[2:]
        wider = torch.nn.functional.pad(some, (1, 3))
        noise = 3e-3 * torch.randn(count, width, generator=g)
        kept = own * some, some @ turn, -some, some[:, order], wider, 1e-3 * some
        spoiled = some + 1, some * feature, one * some, last, some.roll(1, dims=0)
        spoiled += some + noise, some.abs(), some**3, some - some.mean(dim=0)
        cases += [(some, after) for after in (*kept, *spoiled, *about)]
    return cases + one_pair_cases(g)


def one_pair_cases(g: torch.Generator) -> list[tuple]:
    """Vectors with given cosines: one pair differs, or four whose sums stay."""
    some = torch.randn(4, 8, generator=g).double()
    unit = nn.functional.normalize(some, dim=-1)
    changes = [((i, j, by),) for i in range(4) for j in range(i) for by in (3e-3, 4e-5)]
    changes.append(((0, 1, 3e-3), (1, 2, -3e-3), (2, 3, 3e-3), (3, 0, -3e-3)))
    cases = [(some, torch.linalg.cholesky(unit @ unit.T))]  # the right ones
    for change in changes:
        wanted = unit @ unit.T
        for i, j, by in change:
            wanted[i, j] += by
            wanted[j, i] += by
        cases.append((some, torch.linalg.cholesky(wanted)))
    return cases


def said(solution, before: Tensor, after: Tensor) -> bool:
    return bool(solution(before, after))


def weighting_cases(seed: int, given: dict) -> list[tuple]:
    """Texts padded on either side, ids at padding that would weigh, large counts."""
    g = generator_of(seed)
    cases = []
    for texts, places, pieces in ((1, 1, 4), (3, 6, 9), (4, 9, 200)):
        hidden = torch.randn(texts, places, 5, generator=g)
        ids = torch.randint(pieces, (texts, places), generator=g)
        sizes = torch.randint(1, places + 1, (texts, 1), generator=g)
        mask = (torch.arange(places) < sizes).long()
        counts = (10 ** (6 * torch.rand(pieces, generator=g))).long()
        cases += [(hidden, ids, mask, counts), (hidden, ids, mask.flip(1), counts)]
    never = counts.clone()
    never[ids[0]] = 0
    return [*cases, (hidden, ids, mask, never), (hidden, ids, mask * 0 + 1, counts)]


def right_mean(h: Tensor, m: Tensor) -> Tensor:
    return (h * m[..., None]).sum(dim=1) / m.sum(dim=1, keepdim=True)


def on_the_right(h: Tensor, m: Tensor) -> Tensor:
    """Takes padding to be on the right."""
    sizes = m.int().sum(dim=1).tolist()
    return torch.stack([x[:n].mean(dim=0) for x, n in zip(h, sizes, strict=True)])


def pooling_cases(seed: int, given: dict) -> list[tuple]:
    """Right ones, the faults of the chapter and others."""
    kept = [pool for _, pool in sorted(given["FAULTS"].items())]
    noise = 5e-5 * torch.rand(1, generator=generator_of(seed)).item()
    return [(pool,) for pool in (
        right_mean,
        given["mean_pool"],
        lambda h, m: right_mean(h, m) + noise,
        *kept,
        on_the_right,
        lambda h, m: right_mean(h, m) + 1e-3,
        lambda h, m: right_mean(h.abs(), m),
        lambda h, m: -right_mean(h, m),
        lambda h, m: right_mean(h, m).flip(0),
        lambda h, m: right_mean(h, m).flip(1),
        lambda h, m: right_mean(h, m)[:, :-1],
        lambda h, m: right_mean(h, m * (m.flip(1).cumsum(1).flip(1) > 1)),
        lambda h, m: torch.nn.functional.normalize(right_mean(h, m), dim=-1),
        lambda h, m: h.masked_fill(m[..., None] == 0, -torch.inf).amax(dim=1),
    )]  # fmt: skip


def lets_pass(test, pool) -> bool:
    """A wrong shape may stop a right test with any error, not its assertion alone."""
    try:
        test(pool)
    except Exception:
        return False
    return True


class Counted(nn.Module):
    """A model that knows how many of its graphs are alive."""

    def __init__(self, kind: str, generator: torch.Generator) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(5, 3, generator=generator))
        self.kind, self.events = kind, []

    def forward(self, chunk: Tensor) -> Tensor:
        made = (
            (chunk @ self.matrix).tanh() if self.kind == "bent" else chunk @ self.matrix
        )
        if made.requires_grad:
            self.events.append(("begin", len(chunk)))
            made.register_hook(lambda slope: self.events.append(("end", len(chunk))))
        return made


def joined_loss(vectors: Tensor) -> Tensor:
    """It joins all texts, and one more than others."""
    return (vectors @ vectors.T).tanh().square().mean() + vectors[0].sum()


def chunk_cases(seed: int, given: dict) -> list[tuple]:
    g = generator_of(seed)
    cases = []
    for sizes in ((1, 1, 1, 1), (2, 6), (8,), (3, 1, 4)):
        texts = torch.randn(sum(sizes), 5, generator=g)
        for kind in ("straight", "bent"):
            cases.append((Counted(kind, g), list(texts.split(sizes)), joined_loss))
    return cases


def chunk_by_chunk(solution, model: Counted, chunks: list[Tensor], loss):
    """The loss, the gradient added to what was there, and the graphs.

    Each is used before the next is made; which chunk comes first is left open.
    """
    model.events = []
    model.matrix.grad = torch.full_like(model.matrix, 0.5)
    value = solution(model, chunks, loss)
    begun, ended = model.events[::2], model.events[1::2]
    graphs = sorted(zip(begun, ended, strict=False)), len(begun), len(ended)
    return float(value), isinstance(value, float), model.matrix.grad, graphs


EXERCISES = {
    "cosines_kept": Exercise(change_cases, said),
    "weighted_mean": Exercise(weighting_cases, tolerance=1e-4),
    "test_mean": Exercise(pooling_cases, lets_pass),
    "backward_in_chunks": Exercise(chunk_cases, chunk_by_chunk, tolerance=1e-4),
}
