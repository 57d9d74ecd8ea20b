"""Chapter 3: how its exercises are graded."""

import torch
from torch import nn

from instructors.grading import Exercise, accepts


def share_cases(seed, given):
    generator = torch.Generator().manual_seed(seed)
    drawn = (6 * torch.randn(6, generator=generator)).tolist()
    widths = torch.randint(1, 100, (6,), generator=generator).tolist()
    edges = [(0.0, 5), (8.0, 64), (-9.0, 1), (1000.0, 4), (-40.0, 16)]
    return [*edges, *zip(drawn, widths, strict=True)]


def attend_cases(seed, given):
    """Leading axes of every kind, large and very low scores, rows without a key."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    cases = []
    for lead, size in (((), 1), ((3,), 6), ((2, 3), 1), ((1,), 40)):
        query, key = size * random(*lead, 7, 16), size * random(*lead, 5, 16)
        allowed = torch.rand(*lead, 7, 5, generator=generator) > 0.5
        allowed[..., 0, :] = False  # a query that may use no key
        allowed[..., 1, :] = True
        cases.append((query, key, random(*lead, 5, 16), allowed))
    some = torch.tensor([[True, True, False, False, True]])
    for size in (10, 1e6):  # scores of about -100, and of -10,000,000
        low, high = -size * (random(1, 9).abs() + 1), random(5, 9).abs() + 1
        cases.append((low, high, random(5, 9), some))
    query, key, value = random(2, 4), random(3, 4), random(3, 4)
    return [*cases, (query, key, value, torch.ones(2, 3, dtype=torch.bool))]


def with_gradients(solution, query, key, value, allowed):
    tensors = [tensor.requires_grad_() for tensor in (query, key, value)]
    found = solution(*tensors, allowed)
    return found, torch.autograd.grad(found.sin().sum(), tensors)


def head_cases(seed, given):
    """Attentions of several sizes with large weights, and masks that are not even."""
    cases = []
    for width, heads in ((16, 1), (24, 3), (32, 8)):
        torch.manual_seed(seed)
        config = given["BertConfig"](hidden_size=width, heads=heads)
        attention = given["bertcore"].model.attention.Attention(config).eval()
        for parameter in attention.parameters():
            nn.init.normal_(parameter, std=0.5)
        allowed = (torch.rand(2, 1, 5, 5) > 0.4) | torch.eye(5).bool()
        cases.append((attention, torch.randn(2, 5, width), allowed))
    return cases


def contributions_and_result(solution, attention, hidden, allowed):
    with torch.no_grad():
        module = solution(attention)
        parts = module.contributions(hidden, allowed)
        return parts, module(hidden, allowed, None)


class Off(nn.Module):
    """An attention whose result is changed a little, or is not what it should be."""

    def __init__(self, inner, change):
        super().__init__()
        self.query, self.key = inner.query, inner.key
        self.value, self.output = inner.value, inner.output
        self.heads, self.inner, self.change = inner.heads, [inner], change

    def forward(self, hidden, allowed):
        found = self.inner[0](hidden, allowed)
        if self.change == "noise":  # another device
            return found + 1e-6
        if self.change == "value detached":
            held = {"value.weight": self.value.weight.detach()}
            return torch.func.functional_call(self.inner[0], held, (hidden, allowed))
        if self.change == "one token":
            found = found.clone()
            found[1, 2, -1] += 0.01
        if self.change == "first text":
            found = found.clone()
            found[0, 1, 0] += 0.01
        if self.change == "texts mixed":
            found = found + 0.01 * (hidden - hidden.mean(dim=0, keepdim=True))
        if self.change == "tokens turned":
            found = found.flip(1)
        if self.change == "last token":
            found = torch.cat([found[:, :-1], 0 * found[:, -1:]], dim=1)
        return found


def attention_cases(seed, given):
    """Right ones, faults of the chapter and others, at several sizes."""
    listed = ("none", "division", "mask", "softmax", "view", "created", "first")
    frozen = ("query", "key", "value", "output")
    changes = ("noise", "value detached", "one token", "first text", "last token")
    changes += ("texts mixed", "tokens turned")
    cases = []
    for width, heads in ((16, 2), (32, 4)):
        for name in (*listed, *frozen, *changes):
            torch.manual_seed(seed)
            module = given["Faulty"](width, "none" if name in changes else name).eval()
            cases.append((Off(module, name) if name in changes else module, width))
        config = given["BertConfig"](hidden_size=width, heads=heads)
        cases.append((given["SelfAttention"](config).eval(), width))
    return cases


EXERCISES = {
    "better_share": Exercise(share_cases),
    "attend": Exercise(attend_cases, examine=with_gradients),
    "HeadByHead": Exercise(head_cases, examine=contributions_and_result),
    "test_attention": Exercise(attention_cases, examine=accepts),
}
