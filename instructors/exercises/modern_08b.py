"""Chapter 8b: how its exercises are graded."""

import random

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from instructors.grading import Exercise


def places(seed, given):
    """Places in short and long texts, at their ends, too; odd windows, no layers."""
    drawn = random.Random(seed)
    cases = [(0, 1, 3, 4), (0, 40, 2, 6), (39, 40, 2, 6), (20, 40, 0, 6), (7, 90, 3, 1)]
    for _ in range(8):
        length = drawn.randint(2, 400)
        place, layers = drawn.randrange(length), drawn.randint(1, 6)
        cases.append((place, length, layers, drawn.randint(2, 64)))
    # Python rounds halves to even numbers: of odd windows, 5 and 7 are not alike.
    odd = (4 * drawn.randint(1, 4) + rest for rest in (1, 3))
    return [*cases, *((300, 600, drawn.randint(2, 5), window) for window in odd)]


def widths(seed, given):
    """Narrow and wide layers, small and large numbers."""
    sizes = ((2, 0.01), (4, 1.0), (10, 30.0), (32, 5.0))
    forward = given["ModernFeedForward"].forward
    return [(seed + number, *case, forward) for number, case in enumerate(sizes)]


def products(solution, seed, width, size, forward):
    """Shapes, first output, whether all others are 0; in double precision.

    The layer's own way forward is taken, so that a class of one's own does not help.
    """
    layer = solution(width).double().eval()
    generator = torch.Generator().manual_seed(seed)
    states = size * torch.randn(3, 50, width, generator=generator).double()
    with torch.no_grad():
        found = forward(layer, states)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    return shapes, found[..., 0], bool((found[..., 1:] == 0).all())


def packed_rows(seed, given):
    """Rows of several lengths and texts, of which some are shorter than the reach."""
    generator = torch.Generator().manual_seed(seed)
    drawn, cases = random.Random(seed), []
    for length, near, size in (
        (40, 7, 1.0), (41, 1, 1.0), (64, 16, 30.0), (3, 2, 1.0), (30, 30, 1.0),
        (drawn.randint(20, 60), drawn.randint(2, 9), 2.0), (1, 4, 1.0),
    ):  # fmt: skip
        x = size * torch.randn(4, 2, 2, length, 6, generator=generator).double()
        numbers = torch.randint(4, (2, length), generator=generator).sort().values
        cases.append((*x, near, numbers, None))
    # Short texts have a large negative score as their largest: no finite number that
    # is put in place of a masked one may be larger.
    x = 30 * torch.randn(4, 2, 2, 20, 6, generator=generator).double()
    numbers = (torch.arange(20) // 2).repeat(2, 1)
    cases.append((*x, 3, numbers, None))
    # Numbers are names, and not in order. Costs do not depend on the case, and a loop
    # over all places takes seconds to be counted, so the last case alone counts.
    return [*cases, (*x, 2, 9 - numbers, given["operations_of"])]


class Largest(TorchDispatchMode):
    """The size of the largest tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple) else (made,):
            if isinstance(each, Tensor):
                self.numbers = max(self.numbers, each.numel())
        return made


def attended(solution, query, key, value, weights, near, numbers, operations_of):
    """The result, its gradients, and if asked, whether costs grow with the length."""
    leaves = [each.clone().requires_grad_() for each in (query, key, value)]
    found = solution(*leaves, near, numbers)
    slopes = torch.autograd.grad((found * weights).sum(), leaves)
    if operations_of is None:
        return found, slopes
    costs = []
    for length in (600, 1200):
        given = (*torch.randn(3, 1, 1, length, 4), 8, torch.zeros(1, length).long())
        with Largest() as largest:
            solution(*given)
        costs.append((operations_of(solution, *given), largest.numbers))
    pairs = zip(*costs, strict=True)
    linear = [large < 2.5 * small + 3000 for small, large in pairs]
    return found, slopes, linear


EXERCISES = {
    "reached": Exercise(places),
    "scalar_product": Exercise(widths, products),
    "attend_near": Exercise(packed_rows, attended),
}
