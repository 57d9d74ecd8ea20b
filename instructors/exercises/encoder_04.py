"""Chapter 4: how its exercises are graded."""

import torch
from torch import nn

from instructors.grading import Exercise, accepts


def norm_cases(seed, given):
    """States that a norm takes for the same, and others that are only near to it."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for width in (2, 3, 384):
        state = torch.randn(width, generator=generator, dtype=torch.float64)
        shift, stretch = (1 + 9 * torch.rand(2, generator=generator)).tolist()
        nudge = torch.zeros(width, dtype=torch.float64)
        nudge[0] = 0.01
        others = (state, state + shift, stretch * state, stretch * state - shift)
        others += (1e-3 * state, state + 1000, -state, -stretch * state + shift)
        others += (state + nudge, state.flip(0) + nudge, state**3, state.sort()[0])
        cases += [(state.float(), other.float()) for other in others]
    return cases


def said(solution, a, b):
    return bool(solution(a, b))


def detector_cases(seed, given):
    """Networks of several sizes with large weights, and detectors in any order."""
    cases = []
    for width, inner in ((4, 16), (8, 5), (6, 6)):
        torch.manual_seed(seed)
        config = given["BertConfig"](hidden_size=width, heads=2, feedforward_size=inner)
        network = given["FeedForward"](config).eval()
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.7)
        chosen = torch.randperm(inner)[: inner // 2].tolist()
        cases.append((network, torch.randn(2, 3, width), chosen))
    return [*cases, (network, torch.randn(1, 1, width), [inner - 1])]


def fires_part_and_result(solution, network, hidden, chosen):
    with torch.no_grad():
        module = solution(network)
        fires, part = module.fires(hidden), module.part(hidden, chosen)
        return fires, part, module(hidden)


class Odd(nn.Module):
    """A layer with a small difference that is not in the list of faults."""

    def __init__(self, inner, change):
        super().__init__()
        self.attention, self.feedforward = inner.attention, inner.feedforward
        self.attention_norm = inner.attention_norm
        self.feedforward_norm = inner.feedforward_norm
        self.inner, self.change = [inner], change

    def forward(self, x):
        y = self.inner[0](x)
        if self.change == "noise":  # another machine
            return y + 1e-13
        if self.change == "one token":
            spot = torch.zeros_like(y)
            spot[-1, 0, -1] = 1e-6
            return y + spot
        if self.change == "last text":
            return torch.cat([y[:-1], x[-1:]])
        if self.change == "tokens mixed":
            return y + 1e-3 * (x - x.mean(dim=1, keepdim=True))
        return y + 1e-3 * (y - y.mean())


def layer_cases(seed, given):
    """Right ones, faults of the chapter and others, with gains and biases drawn."""
    listed = "none detached mean spread residual epsilon tanh".split()
    changes = "noise", "one token", "last text", "tokens mixed", "mean zero"
    cases = []
    for width in (8, 24):
        for name in (*listed, "one less", "norm first", *changes):
            torch.manual_seed(seed)
            layer = given["Faulty"](width, "none" if name in changes else name)
            for norm in (layer.attention_norm, layer.feedforward_norm):
                nn.init.normal_(norm.weight, 1.0, 0.3)
                nn.init.normal_(norm.bias, 0.0, 0.3)
            cases.append((Odd(layer, name) if name in changes else layer, width))
    return cases


def backward_cases(seed, given):
    """Leading axes of every kind, an inner width below the outer, a large epsilon."""
    cases = []
    kinds = ((5,), 4, 3, 1e-12), ((1, 2, 3), 8, 16, 0.5), ((2, 1), 5, 5, 1e-3)
    for number, (lead, width, inner, eps) in enumerate(kinds):
        torch.manual_seed(10 * seed + number)
        cases.append((*given["sublayer_case"](lead, width, inner), eps))
    return cases


def without_autograd(solution, x, p, dy, eps):
    with torch.inference_mode():
        copies = {name: tensor.clone() for name, tensor in p.items()}
        return solution(x.clone(), copies, dy.clone(), eps)


EXERCISES = {
    "same_after_norm": Exercise(norm_cases, examine=said),
    "Detectors": Exercise(detector_cases, examine=fires_part_and_result),
    "test_layer": Exercise(layer_cases, examine=accepts),
    "backward_by_hand": Exercise(
        backward_cases, examine=without_autograd, tolerance=1e-8
    ),
}
