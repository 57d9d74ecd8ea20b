"""Chapter 4: how its exercises are graded."""

import torch
from torch import nn

from instructors.grading import Exercise, accepts


def norm_cases(seed, given):
    """States that a norm takes for the same, and others that clearly are not."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for width in (3, 5, 384):
        state = torch.randn(width, generator=generator, dtype=torch.float64)
        shift, stretch = (1 + 9 * torch.rand(2, generator=generator)).tolist()
        nudge = torch.zeros(width, dtype=torch.float64)
        nudge[0] = 1e-4
        others = (state, state + shift, stretch * state, stretch * state - shift)
        others += (0.1 * state, state + 1000, -state, -stretch * state + shift)
        others += (state + nudge, state.flip(0) + nudge, state**3, state.sort()[0])
        cases += [(state, other) for other in others]
    steps = torch.arange(5, dtype=torch.float64)  # whose middle feature is the mean
    return [*cases, (steps, 3 * steps + 1), (steps, steps.flip(0))]


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
        spot = torch.zeros_like(y)
        if self.change == "one token":
            spot[-1, 0, -1] = 1e-6
            return y + spot
        if self.change == "last gradient":
            spot[-1, -1] = 0.01
            return y + spot * (x - x.detach())
        if self.change == "turned round":  # a gradient of the right length
            return 2 * y.detach() - y
        if self.change == "too long":  # a gradient of the right direction
            return 1.5 * y - 0.5 * y.detach()
        if self.change == "last text":
            return torch.cat([y[:-1], x[-1:]])
        if self.change == "tokens mixed":
            return y + 1e-3 * (x - x.mean(dim=1, keepdim=True))
        if self.change == "texts mixed":  # as in a batch norm
            return y + 1e-3 * (x - x.mean(dim=0, keepdim=True))
        return y + 1e-3 * (y - y.mean())


def layer_cases(seed, given):
    """Right ones, faults of the chapter and others, with gains and biases drawn."""
    listed = "none detached mean spread residual epsilon tanh".split()
    changes = "noise", "one token", "last gradient", "last text", "tokens mixed"
    changes += "texts mixed", "mean zero", "turned round", "too long"
    cases = []
    for width in (8, 24):
        for name in (*listed, "one less", "norm first", *changes):
            torch.manual_seed(seed)
            layer = given["Faulty"](width, "none" if name in changes else name)
            for norm in (layer.attention_norm, layer.feedforward_norm):
                nn.init.normal_(norm.weight, 1.0, 0.3)
                nn.init.normal_(norm.bias, 0.0, 0.3)
            cases.append((Odd(layer, name) if name in changes else layer, width))
        config = given["BertConfig"](hidden_size=width, heads=2, feedforward_size=20)
        for eps in (1e-12, 1e-5):  # the usual epsilon comes with a module, too
            layer = given["EncoderLayer"](config).double().eval()
            layer.feedforward_norm.eps = eps
            cases.append((layer, width))
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
        found = solution(x.clone(), copies, dy.clone(), eps)
        return {name: found[name] for name in ("x", "widen", "narrow", "gain")}


EXERCISES = {
    "same_after_norm": Exercise(norm_cases, examine=said),
    "Detectors": Exercise(detector_cases, examine=fires_part_and_result),
    "test_layer": Exercise(layer_cases, examine=accepts),
    "backward_by_hand": Exercise(
        backward_cases, examine=without_autograd, tolerance=1e-8
    ),
}
