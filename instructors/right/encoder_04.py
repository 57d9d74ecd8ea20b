"""Chapter 4: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "same_after_norm": [
        # mean and spread by hand, and the largest difference
        """
def normed(state):
    state = state.to(torch.float64)
    centred = state - state.mean()
    return centred / centred.pow(2).mean().sqrt()


def same_after_norm(a, b):
    return (normed(a) - normed(b)).abs().max().item() <= 1e-6
""",
        # after centring, both must have the same direction
        """
def same_after_norm(a, b):
    u, v = a.double() - a.double().mean(), b.double() - b.double().mean()
    u, v = u / u.norm(), v / v.norm()
    return bool(((u - v) * len(a) ** 0.5).abs().max() < 1e-6)
""",
        # a straight line with a positive slope leads from the one to the other
        """
import numpy as np


def same_after_norm(a, b):
    x, y = a.double().numpy(), b.double().numpy()
    slope, level = np.polyfit(x - x.mean(), y - y.mean(), 1)
    if slope <= 0:
        return False
    rest = y - y.mean() - slope * (x - x.mean()) - level
    return bool(np.abs(rest).max() / y.std() < 1e-6)
""",
        # PyTorch's module without gain and bias
        """
def same_after_norm(a: Tensor, b: Tensor) -> Tensor:
    norm = nn.LayerNorm(
        len(a), eps=1e-20, elementwise_affine=False, dtype=torch.float64
    )
    one, two = norm(torch.stack([a.double(), b.double()]))
    return torch.all(torch.abs(one - two) < 1e-6)
""",
    ],
    "Detectors": [
        # GELU by the error function, and a sum by name over the chosen ones
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen = feedforward.widen
        self.narrow = feedforward.narrow

    def fires(self, hidden):
        x = hidden @ self.widen.weight.T + self.widen.bias
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))

    def part(self, hidden, chosen):
        strengths = self.fires(hidden)[:, :, chosen]
        columns = self.narrow.weight[:, chosen]
        return torch.einsum("bsc,wc->bsw", strengths, columns)

    def forward(self, hidden):
        everything = list(range(self.widen.out_features))
        return self.part(hidden, everything) + self.narrow.bias
""",
        # all detectors but the chosen ones are silenced
        """
class Detectors(nn.Module):
    def __init__(self, feedforward: nn.Module) -> None:
        super().__init__()
        self.widen, self.narrow, self.gelu = (
            feedforward.widen, feedforward.narrow, nn.GELU()
        )

    def fires(self, hidden: Tensor) -> Tensor:
        return self.gelu(self.widen(hidden))

    def part(self, hidden: Tensor, chosen: list[int]) -> Tensor:
        strengths = self.fires(hidden)
        loud = torch.zeros(strengths.shape[-1])
        loud[chosen] = 1
        return F.linear(strengths * loud, self.narrow.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(self.fires(hidden), self.narrow.weight, self.narrow.bias)
""",
        # one detector after the other, computed from its own row
        """
class Detectors(nn.Module):
    def __init__(self, feedforward):
        super().__init__()
        self.widen, self.narrow = feedforward.widen, feedforward.narrow

    def fires(self, hidden):
        return torch.nn.functional.gelu(self.widen(hidden), approximate="none")

    def part(self, hidden, chosen):
        added = torch.zeros_like(hidden)
        for i in chosen:
            strength = F.gelu(hidden @ self.widen.weight[i] + self.widen.bias[i])
            added = added + strength.unsqueeze(-1) * self.narrow.weight[:, i]
        return added

    def forward(self, hidden):
        return self.narrow(self.fires(hidden))
""",
    ],
    "test_layer": [
        # the whole matrix of derivatives instead of one gradient
        """
def test_layer(layer, width):
    torch.manual_seed(1)
    for scale in (2.0, 1e-2):
        x = scale * torch.randn(2, 3, width, dtype=torch.float64)
        right = lambda x: right_layer(layer, x)
        torch.testing.assert_close(layer(x), right(x), rtol=0, atol=1e-9)
        jacobian = torch.autograd.functional.jacobian
        torch.testing.assert_close(
            jacobian(layer, x), jacobian(right, x), rtol=1e-7, atol=1e-7
        )
""",
        # gradients are compared with finite differences of the right layer
        """
def test_layer(layer: nn.Module, width: int) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, 4, width, generator=generator, dtype=torch.float64)
    for size in (1, 0.02):
        states = (size * x).requires_grad_()
        gap = (layer(states) - right_layer(layer, states)).abs().max().item()
        assert gap < 1e-9, f"states of size {size}: the output is {gap:.1e} off"
        arriving = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        (layer(states) * arriving).sum().backward()
        for _ in range(12):
            step = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            step = 1e-5 * size * step / step.norm()
            with torch.no_grad():
                up, down = (right_layer(layer, states + s) for s in (step, -step))
            expected = ((up - down) * arriving).sum().item() / 2
            found = (states.grad * step).sum().item()
            assert abs(found - expected) < 1e-4 * step.norm() * states.grad.norm(), (
                f"gradient: {found} instead of {expected}"
            )
""",
        # vector-Jacobian products, for one output feature of each token at a time
        """
def test_layer(layer, width):
    x = torch.linspace(0, 40, 2 * 4 * width, dtype=torch.float64).cos()
    x = x.view(2, 4, width)
    for states in [x, x / 50]:
        found, its_pull = torch.func.vjp(layer, states)
        wanted, pull = torch.func.vjp(lambda y: right_layer(layer, y), states)
        if not torch.allclose(found, wanted, rtol=1e-10, atol=1e-9):
            raise AssertionError("other outputs")
        for text in range(2):
            for token in range(4):
                v = torch.zeros_like(x)
                v[text, token] = torch.arange(width).double().sin()
                (mine,), (right,) = its_pull(v), pull(v)
                if (mine - right).norm() > 1e-6 * (1 + right.norm()):
                    raise AssertionError(f"other gradients from token {text}, {token}")
""",
    ],
    "backward_by_hand": [
        # all leading axes become one first; the norm's gradient with sums
        """
def backward_by_hand(x, p, dy, eps):
    shape = x.shape
    x = x.reshape(-1, shape[-1])
    dy = dy.reshape(-1, shape[-1])
    before, after, normed, sigma = forwards(x, p, eps)
    w = shape[-1]
    dn = dy * p["gain"]
    dz = w * dn - dn.sum(1, keepdim=True) - normed * (dn * normed).sum(1, keepdim=True)
    dz = dz / (w * sigma)
    d_after = dz.mm(p["narrow"])
    d_before = d_after * gelu_slope(before)
    dx = dz + d_before.mm(p["widen"])
    grads = {"x": dx.reshape(shape)}
    grads["widen"] = d_before.t().mm(x)
    grads["narrow"] = dz.t().mm(after)
    grads["gain"] = (dy * normed).sum(0)
    return grads
""",
        # token by token, with the norm's matrix of derivatives written out
        """
def backward_by_hand(x, p, dy, eps):
    w = x.shape[-1]
    result = {name: torch.zeros_like(p[name]) for name in ("widen", "narrow", "gain")}
    rows = []
    for state, arriving in zip(x.reshape(-1, w), dy.reshape(-1, w)):
        before, after, n, sigma = forwards(state, p, eps)
        eye = torch.eye(w, dtype=x.dtype)
        jacobian = (eye - 1 / w - torch.outer(n, n) / w) / sigma
        d_sum = jacobian @ (p["gain"] * arriving)  # the matrix is symmetric
        d_inner = gelu_slope(before) * (p["narrow"].T @ d_sum)
        result["gain"] += arriving * n
        result["narrow"] += torch.outer(d_sum, after)
        result["widen"] += torch.outer(d_inner, state)
        rows.append(d_sum + p["widen"].T @ d_inner)
    result["x"] = torch.stack(rows).reshape(x.shape)
    return result
""",
        # sums by name over all leading axes, and the biases' gradients as well
        """
def backward_by_hand(x: Tensor, p: dict, dy: Tensor, eps: float) -> dict:
    before, after, normed, sigma = forwards(x, p, eps)

    def minus_mean(t):
        return t - t.mean(-1, keepdim=True)

    # LayerNorm: normed = c / sigma, with c the centred sum and sigma made from c
    d_normed = torch.einsum("...w,w->...w", dy, p["gain"])
    d_centred = d_normed / sigma
    d_sigma = -(d_normed * normed).sum(-1, keepdim=True) / sigma
    d_centred = d_centred + d_sigma * normed / x.size(-1)
    d_summed = minus_mean(d_centred)
    d_after = torch.einsum("...w,wf->...f", d_summed, p["narrow"])
    d_before = d_after * gelu_slope(before)
    back = torch.einsum("...f,fw->...w", d_before, p["widen"])
    axes = tuple(range(x.dim() - 1))
    return {
        "bias": dy.sum(axes),
        "gain": torch.einsum("...w,...w->w", dy, normed),
        "narrow_bias": d_summed.sum(axes),
        "narrow": torch.einsum("...w,...f->wf", d_summed, after),
        "widen_bias": d_before.sum(axes),
        "widen": torch.einsum("...f,...w->fw", d_before, x),
        "x": d_summed + back,
    }
""",
    ],
}
