"""Wrong solutions for chapter 4, each plausible; the checks must reject them."""

WRONG = {
    "feedforward_parameters": [
        """
def feedforward_parameters(width, inner):
    return 2 * width * inner
""",
        """
def feedforward_parameters(width, inner):
    return width * inner + inner
""",
        """
def feedforward_parameters(width, inner):
    return 2 * width * inner + 2 * width
""",
        """
def feedforward_parameters(width, inner):
    return 2 * width * 4 * width + 5 * width
""",
    ],
    "gelu_slope": [
        """
def gelu_slope(x):
    return (1 + torch.erf(x / 2**0.5)) / 2
""",
        """
def gelu_slope(x):
    density = torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5
    return density + x * (1 + torch.erf(x / 2**0.5)) / 2
""",
        """
def gelu_slope(x):
    return torch.sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - torch.sigmoid(1.702 * x)))
""",
        """
def gelu_slope(x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.gelu(x).sum(), x)[0]
""",
        """
def gelu_slope(x):
    return (F.gelu(x + 1e-3) - F.gelu(x - 1e-3)) / 2e-3
""",
    ],
    "rms_norm_backward": [
        """
def rms_norm_backward(x, g, eps):
    r = ((x**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    return g / r
""",
        """
def rms_norm_backward(x, g, eps):
    r = ((x**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = x / r
    return (g - g.mean(dim=-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / r
""",
        """
def rms_norm_backward(x, g, eps):
    r = ((x**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = x / r
    return (g - n * (g * n).sum(dim=-1, keepdim=True)) / r
""",
        """
def rms_norm_backward(x, g, eps):
    r = (x**2).mean(dim=-1, keepdim=True).sqrt()
    n = x / r
    return (g - n * (g * n).mean(dim=-1, keepdim=True)) / r
""",
        """
def rms_norm_backward(x, g, eps):
    x = x.clone().requires_grad_()
    n = x / ((x**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    return torch.autograd.grad(n, x, g)[0]
""",
        """
def rms_norm_backward(x, g, eps):
    r = ((x**2).mean(dim=-1, keepdim=True) + eps).sqrt()
    n = x / r
    return g - n * (g * n).mean(dim=-1, keepdim=True)
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
        # gradients of a plain sum: after a LayerNorm they are nearly zero anyway
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
    expected.sum().backward()
    assert (x.grad - y.grad).abs().max() < 0.3
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
    ],
}
