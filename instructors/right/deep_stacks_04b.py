"""Chapter 4b: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "kept_in_pre_ln": [
        # the length grows sub-layer by sub-layer, by Pythagoras
        """
import math


def kept_in_pre_ln(share, sublayers):
    length = 1.0
    for _ in range(sublayers):
        length = math.hypot(length, share)
    return 1 / length
""",
        # a vector with a feature for what went in and one for each sub-layer
        """
def kept_in_pre_ln(share, sublayers):
    state = torch.full((1 + sublayers,), float(share))
    state[0] = 1.0
    return F.normalize(state, dim=0)[0].item()
""",
        # the angle between the state and what went in
        """
from math import atan, cos, sqrt


def kept_in_pre_ln(share: float, sublayers: int) -> float:
    added = share * sqrt(sublayers)
    return cos(atan(added))
""",
    ],
    "collapse": [
        # backwards from the last state, as long as they are alike
        """
def collapse(states):
    answer = None
    for number in reversed(range(len(states))):
        if not alike(states[number]) > 0.99:
            break
        answer = number
    return answer
""",
        # the number after the last one that is not alike
        """
def collapse(states):
    apart = [number for number, state in enumerate(states) if alike(state) <= 0.99]
    first = max(apart, default=-1) + 1
    return first if first < len(states) else None
""",
        # asks of every number whether all states from there on are alike
        """
def collapse(states: list[Tensor]) -> int | None:
    likeness = torch.tensor([float(alike(state)) for state in states])
    for n in range(len(likeness)):
        if bool((likeness[n:] > 0.99).all()):
            return n
""",
        # recursion: the answer for all states but the first, one later
        """
def collapse(states):
    if not states:
        return None
    rest = collapse(states[1:])
    if rest is not None and rest > 0:
        return rest + 1
    if alike(states[0]) > 0.99 and (rest == 0 or len(states) == 1):
        return 0
    return 1 if rest == 0 else None
""",
    ],
    "scaled_start": [
        # the last matrices are drawn from a smaller start of their own
        """
import math


def scaled_start(layers, sigma):
    smaller = sigma / math.sqrt(2 * len(layers))
    for layer in layers:
        layer.apply(initialise(sigma))
        layer.attention.output.apply(initialise(smaller))
        layer.feedforward.narrow.apply(initialise(smaller))
""",
        # by the names of the parameters
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    factor = (2 * len(layers)) ** -0.5
    for name, parameter in layers.named_parameters():
        if name.endswith(("attention.output.weight", "feedforward.narrow.weight")):
            parameter.data *= factor
""",
        # counts the matrices first, and puts new parameters in their place
        """
def scaled_start(layers: nn.ModuleList, sigma: float) -> None:
    layers.apply(initialise(sigma))
    last = []
    for layer in layers:
        last += [layer.attention.output, layer.feedforward.narrow]
    for linear in last:
        scaled = linear.weight.detach() / len(last) ** 0.5
        linear.weight = nn.Parameter(scaled)
""",
    ],
}
