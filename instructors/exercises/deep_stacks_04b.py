"""Chapter 4b: how its exercises are graded."""

import random

import torch
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
    """What all parameters are after the start: their sizes in units of sigma, whether
    they train, and whether no two matrices are alike."""
    layer_class, shaped = parts
    torch.manual_seed(seed)
    layers = nn.ModuleList(layer_class(shaped(64)) for _ in range(depth))
    solution(layers, sigma)
    found, signs = {}, []
    for name, parameter in layers.named_parameters():
        weights = parameter.detach()
        found[f"{name} trains"] = parameter.requires_grad
        if weights.ndim == 2:
            size = weights.std().item()
            found[name] = size / sigma, weights.abs().max().item() / size
            found[f"{name} is drawn anew"] = not any(
                torch.equal(weights.sign(), other) for other in signs
            )
            signs.append(weights.sign())
        else:
            found[name] = weights.min().item(), weights.max().item()
    return found


def stacks(seed, given):
    """Layers of several depths, and the sigma that they start with."""
    parts = given["EncoderLayer"], given["shaped"]
    return [(seed, *case, parts) for case in ((1, 0.02), (3, 0.1), (9, 0.3))]


def with_cosines(drawn, rows):
    """States made from `drawn`, with the cosines `rows` between the tokens."""
    q = torch.linalg.qr(drawn.mT.double()).Q.mT  # tokens at right angles to each other
    root = torch.linalg.cholesky(torch.as_tensor(rows, dtype=torch.float64))
    return (root @ q).float() * 5


def histories(seed, given):
    """States that become alike once, twice, never, at once, or nearly so.

    Some have a mean cosine on either side of the limit, some a text, a pair or
    neighbours that say something else than the mean.
    """
    generator = torch.Generator().manual_seed(seed)
    eye = torch.eye(6, dtype=torch.float64)

    def even(cosine):
        return cosine + (1 - cosine) * eye

    angle = 0.12 * torch.arange(6)  # along an arc: neighbours nearer than the mean
    arc = torch.cos(angle[:, None] - angle).double() * 0.9995 + 0.0005 * eye
    pair = even(0.6)
    pair[0, 1] = pair[1, 0] = 0.999
    stray = even(0.9975)  # one token apart from the rest, and the mean above 0.99
    stray[-1, :-1] = stray[:-1, -1] = 0.978
    kinds = {
        "apart": [even(0.05)] * 3,
        "same": [even(0.9995)] * 3,
        "near": [even(0.94)] * 3,
        "below": [even(0.9885)] * 3,
        "above": [even(0.9915)] * 3,
        "first": [even(0.9999), even(0.3), even(0.2)],
        "others": [even(0.9868), even(0.9995), even(0.9995)],
        "pair": [pair] * 3,
        "arc": [arc] * 3,
        "stray": [stray] * 3,
    }

    def state(kind):
        """Three texts of six tokens each."""
        drawn = torch.randn(3, 6, 24, generator=generator)
        return with_cosines(drawn, torch.stack(kinds[kind]))

    words = (
        "apart apart same same same", "same same", "same apart", "apart same",
        "same same near same", "apart near near", "same apart same apart",
        "near same near same same apart same same same", "apart",
        "apart below above above", "above below below", "apart first same same",
        "same first", "apart pair same", "apart pair pair", "apart arc same",
        "apart arc arc", "apart stray same", "apart near stray", "apart others same",
    )  # fmt: skip
    return [([state(kind) for kind in each.split()],) for each in words]


EXERCISES = {
    "kept_in_pre_ln": Exercise(sizes_of_changes),
    "scaled_start": Exercise(stacks, started, tolerance=0.05),
    "collapse": Exercise(histories),
}
