"""Chapter 4: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "same_after_norm": [
        # the states themselves
        """
def same_after_norm(a, b):
    return torch.allclose(a, b)
""",
        # the mean is taken away, the stretch is not
        """
def same_after_norm(a, b):
    return torch.allclose(a - a.mean(), b - b.mean(), rtol=0, atol=1e-6)
""",
        # the stretch is divided out, the mean stays
        """
def same_after_norm(a, b):
    return torch.allclose(a / a.std(), b / b.std(), rtol=0, atol=1e-4)
""",
        # the direction: a cosine, which a constant changes
        """
def same_after_norm(a, b):
    return F.cosine_similarity(a, b, dim=0) > 1 - 1e-6
""",
        # turned signs are taken for a stretch
        """
def same_after_norm(a, b):
    a, b = F.layer_norm(a, a.shape), F.layer_norm(b, b.shape)
    return torch.allclose(a, b, atol=1e-3) or torch.allclose(a, -b, atol=1e-3)
""",
        # the order of the features alone
        """
def same_after_norm(a, b):
    return torch.equal(a.argsort(), b.argsort())
""",
        # features are put in order first
        """
def same_after_norm(a, b):
    a, b = a.sort()[0].double(), b.sort()[0].double()
    a, b = F.layer_norm(a, a.shape, eps=1e-12), F.layer_norm(b, b.shape, eps=1e-12)
    return torch.allclose(a, b, rtol=0, atol=1e-6)
""",
        # epsilon's usual value, which small states do not bear
        """
def same_after_norm(a, b):
    a, b = F.layer_norm(a, a.shape), F.layer_norm(b, b.shape)
    return torch.allclose(a, b, rtol=0, atol=1e-6)
""",
    ],
    "Detectors": [
        # before the activation
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return self.widen(hidden)

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., chosen] @ self.narrow.weight[:, chosen].T

    def forward(self, hidden):
        return self.narrow(F.gelu(self.fires(hidden)))
""",
        # ReLU
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.relu(self.widen(hidden))

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., chosen] @ self.narrow.weight[:, chosen].T

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # the bias is given to the part
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        columns = self.narrow.weight[:, chosen].T
        found = self.fires(hidden)[..., chosen] @ columns
        return found + self.narrow.bias

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # the bias is forgotten
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., chosen] @ self.narrow.weight[:, chosen].T

    def forward(self, hidden):
        return self.fires(hidden) @ self.narrow.weight.T
""",
        # the first detectors, whatever was chosen
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        n = len(chosen)
        return self.fires(hidden)[..., :n] @ self.narrow.weight[:, :n].T

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # columns of the first matrix in place of the second's
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., chosen] @ self.widen.weight[chosen]

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # all but the chosen ones
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        columns = self.narrow.weight[:, chosen].T
        found = self.fires(hidden)[..., chosen] @ columns
        return self.fires(hidden) @ self.narrow.weight.T - found

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # the mean of what they add
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        columns = self.narrow.weight[:, chosen].T
        found = self.fires(hidden)[..., chosen] @ columns
        return found / len(chosen)

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # the tanh form
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden), approximate="tanh")

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., chosen] @ self.narrow.weight[:, chosen].T

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
        # the chosen ones in order, their columns not
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return F.gelu(self.widen(hidden))

    def part(self, hidden, chosen):
        return self.fires(hidden)[..., sorted(chosen)] @ self.narrow.weight[:, chosen].T

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
    ],
    "test_layer": [
        """
def test_layer(layer, width):
    states = torch.randn(2, 5, width).double()
    assert layer(states).shape == states.shape
""",
        # outputs only: no detached statistics are caught
        """
def test_layer(layer, width):
    x = torch.randn(2, 5, width).double()
    y = x + layer.attention(x)
    norm = layer.attention_norm
    y = F.layer_norm(y, (width,), norm.weight, norm.bias, 1e-12)
    inner = F.gelu(layer.feedforward.widen(y))
    norm = layer.feedforward_norm
    z = y + layer.feedforward.narrow(inner)
    z = F.layer_norm(z, (width,), norm.weight, norm.bias, 1e-12)
    assert torch.allclose(layer(x), z, rtol=0, atol=1e-9)
""",
        # that there is a gradient is taken for the right one
        """
def test_layer(layer, width):
    def right(x):
        for part, norm in (
            (layer.attention, layer.attention_norm),
            (lambda y: layer.feedforward.narrow(F.gelu(layer.feedforward.widen(y))),
             layer.feedforward_norm),
        ):
            x = F.layer_norm(x + part(x), (width,), norm.weight, norm.bias, 1e-12)
        return x
    x = torch.randn(2, 5, width).double().requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, expected = layer(x), right(y)
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    found.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
""",
        # a tolerance that lets the epsilon pass
        """
def test_layer(layer, width):
    def right(x):
        for part, norm in (
            (layer.attention, layer.attention_norm),
            (lambda y: layer.feedforward.narrow(F.gelu(layer.feedforward.widen(y))),
             layer.feedforward_norm),
        ):
            x = F.layer_norm(x + part(x), (width,), norm.weight, norm.bias, 1e-12)
        return x
    x = torch.randn(2, 5, width).double().requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, expected = layer(x), right(y)
    assert torch.allclose(found, expected, atol=1e-2)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-2)
""",
        # one text only
        """
def test_layer(layer, width):
    def right(x):
        for part, norm in (
            (layer.attention, layer.attention_norm),
            (lambda y: layer.feedforward.narrow(F.gelu(layer.feedforward.widen(y))),
             layer.feedforward_norm),
        ):
            x = F.layer_norm(x + part(x), (width,), norm.weight, norm.bias, 1e-12)
        return x
    x = torch.randn(1, 1, width).double().requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, expected = layer(x), right(y)
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-7)
""",
        # rejects everything
        """
def test_layer(layer, width):
    assert False, "wrong"
""",
    ],
    "backward_by_hand": [
        # the residual is forgotten on the way back
        """
def backward_by_hand(x, p, dy, eps):
    before = x @ p["widen"].T + p["widen_bias"]
    inner = F.gelu(before)
    summed = x + inner @ p["narrow"].T + p["narrow_bias"]
    centred = summed - summed.mean(dim=-1, keepdim=True)
    sigma = ((centred**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = centred / sigma
    g = dy * p["gain"]
    d = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / sigma
    e = (d @ p["narrow"]) * gelu_slope(before)
    flat = lambda t: t.flatten(0, -2)
    return {"x": e @ p["widen"], "widen": flat(e).T @ flat(x),
            "widen_bias": flat(e).sum(0), "narrow": flat(d).T @ flat(inner),
            "narrow_bias": flat(d).sum(0), "gain": flat(dy * n).sum(0),
            "bias": flat(dy).sum(0)}
""",
        # the gain is forgotten on the way through the norm
        """
def backward_by_hand(x, p, dy, eps):
    before = x @ p["widen"].T + p["widen_bias"]
    inner = F.gelu(before)
    summed = x + inner @ p["narrow"].T + p["narrow_bias"]
    centred = summed - summed.mean(dim=-1, keepdim=True)
    sigma = ((centred**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = centred / sigma
    g = dy
    d = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / sigma
    e = (d @ p["narrow"]) * gelu_slope(before)
    flat = lambda t: t.flatten(0, -2)
    return {"x": d + e @ p["widen"], "widen": flat(e).T @ flat(x),
            "widen_bias": flat(e).sum(0), "narrow": flat(d).T @ flat(inner),
            "narrow_bias": flat(d).sum(0), "gain": flat(dy * n).sum(0),
            "bias": flat(dy).sum(0)}
""",
        # the slope of GELU at its output
        """
def backward_by_hand(x, p, dy, eps):
    before = x @ p["widen"].T + p["widen_bias"]
    inner = F.gelu(before)
    summed = x + inner @ p["narrow"].T + p["narrow_bias"]
    centred = summed - summed.mean(dim=-1, keepdim=True)
    sigma = ((centred**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = centred / sigma
    g = dy * p["gain"]
    d = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / sigma
    e = (d @ p["narrow"]) * gelu_slope(inner)
    flat = lambda t: t.flatten(0, -2)
    return {"x": d + e @ p["widen"], "widen": flat(e).T @ flat(x),
            "widen_bias": flat(e).sum(0), "narrow": flat(d).T @ flat(inner),
            "narrow_bias": flat(d).sum(0), "gain": flat(dy * n).sum(0),
            "bias": flat(dy).sum(0)}
""",
        # parameters collect from one leading axis only
        """
def backward_by_hand(x, p, dy, eps):
    before = x @ p["widen"].T + p["widen_bias"]
    inner = F.gelu(before)
    summed = x + inner @ p["narrow"].T + p["narrow_bias"]
    centred = summed - summed.mean(dim=-1, keepdim=True)
    sigma = ((centred**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = centred / sigma
    g = dy * p["gain"]
    d = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / sigma
    e = (d @ p["narrow"]) * gelu_slope(before)
    return {"x": d + e @ p["widen"], "widen": e.mT @ x, "widen_bias": e.sum(0),
            "narrow": d.mT @ inner, "narrow_bias": d.sum(0),
            "gain": (dy * n).sum(0), "bias": dy.sum(0)}
""",
        # autograd after all
        """
def backward_by_hand(x, p, dy, eps):
    return by_autograd(x, p, dy, eps)
""",
        # the norm lets the gradient through: both subtracted terms are forgotten
        """
def backward_by_hand(x, p, dy, eps):
    before = x @ p["widen"].T + p["widen_bias"]
    inner = F.gelu(before)
    summed = x + inner @ p["narrow"].T + p["narrow_bias"]
    centred = summed - summed.mean(dim=-1, keepdim=True)
    sigma = ((centred**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = centred / sigma
    d = dy * p["gain"] / sigma
    e = (d @ p["narrow"]) * gelu_slope(before)
    flat = lambda t: t.flatten(0, -2)
    return {"x": d + e @ p["widen"], "widen": flat(e).T @ flat(x),
            "widen_bias": flat(e).sum(0), "narrow": flat(d).T @ flat(inner),
            "narrow_bias": flat(d).sum(0), "gain": flat(dy * n).sum(0),
            "bias": flat(dy).sum(0)}
""",
    ],
}

# Exercise -> wrong solutions, counted from 0, that its visible check lets pass.
PASS_THE_VISIBLE_CHECK = {"Detectors": [0], "test_layer": [4]}
