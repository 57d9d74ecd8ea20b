"""Chapter 4b: how its exercises are graded."""

import random

import torch
import torch.nn.functional as F
from torch import nn

from instructors.grading import Exercise


def sizes_of_changes(seed, given):
    """Small and large changes, in shallow and in deep stacks."""
    drawn = random.Random(seed)
    return [
        (drawn.uniform(low, 3 * low), drawn.randint(fewest, 4 * fewest))
        for low in (0.05, 0.3, 1.5)
        for fewest in (2, 12)
    ]


def started(solution, seed, depth, sigma, parts):
    """The sizes of all parameters after the start, in units of sigma."""
    layer_class, shaped = parts
    torch.manual_seed(seed)
    layers = nn.ModuleList(layer_class(shaped(64)) for _ in range(depth))
    solution(layers, sigma)
    found = {}
    for name, parameter in layers.named_parameters():
        weights = parameter.detach()
        if weights.ndim == 2:
            size = weights.std().item()
            found[name] = size / sigma, weights.abs().max().item() / size
        else:
            found[name] = weights.min().item(), weights.max().item()
    return found


def stacks(seed, given):
    """Layers of several depths, and the sigma that they start with."""
    parts = given["EncoderLayer"], given["shaped"]
    return [(seed, *case, parts) for case in ((1, 0.02), (3, 0.1), (9, 0.3))]


def histories(seed, given):
    """States that become alike once, twice, never, at once, or only near the limit."""
    generator = torch.Generator().manual_seed(seed)

    def state(kind):
        """`apart`, `same` within each of three texts, or `near` to it."""
        drawn = torch.randn(3, 6, 24, generator=generator)
        noise = {"apart": 100.0, "same": 0.02, "near": 0.25}[kind]
        return F.normalize(drawn[:, :1], dim=-1) * 5 + noise * drawn.flip(2)

    words = (
        "apart apart same same same", "same same", "same apart", "apart same",
        "same same near same", "apart near near", "same apart same apart",
        "near same near same same apart same same same", "apart",
    )  # fmt: skip
    return [([state(kind) for kind in each.split()],) for each in words]


EXERCISES = {
    "kept_in_pre_ln": Exercise(sizes_of_changes),
    "scaled_start": Exercise(stacks, started, tolerance=0.05),
    "collapse": Exercise(histories),
}
