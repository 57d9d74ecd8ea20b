"""Chapter 4b: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "kept_in_pre_ln": [
        # the square of the part
        """
def kept_in_pre_ln(share, sublayers):
    return 1 / (1 + sublayers * share**2)
""",
        # lengths are added as if all vectors pointed the same way
        """
def kept_in_pre_ln(share, sublayers):
    return 1 / (1 + sublayers * share)
""",
        # what is added points the same way every time
        """
def kept_in_pre_ln(share, sublayers):
    return (1 + (sublayers * share) ** 2) ** -0.5
""",
        # post-LN: divided at every sub-layer
        """
def kept_in_pre_ln(share, sublayers):
    return (1 + share**2) ** (-sublayers / 2)
""",
        # what went in does not count for the length
        """
def kept_in_pre_ln(share, sublayers):
    return 1 / (sublayers**0.5 * share)
""",
        # two sub-layers in each of them
        """
def kept_in_pre_ln(share, sublayers):
    return (1 + 2 * sublayers * share**2) ** -0.5
""",
        # what is lost, not what is left
        """
def kept_in_pre_ln(share, sublayers):
    return 1 - (1 + sublayers * share**2) ** -0.5
""",
        # the part that was added
        """
def kept_in_pre_ln(share, sublayers):
    return (sublayers * share**2 / (1 + sublayers * share**2)) ** 0.5
""",
    ],
    "scaled_start": [
        # the number of layers, not of sub-layers
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    root = len(layers) ** 0.5
    with torch.no_grad():
        for layer in layers:
            layer.attention.output.weight /= root
            layer.feedforward.narrow.weight /= root
""",
        # no square root
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    with torch.no_grad():
        for layer in layers:
            layer.attention.output.weight /= 2 * len(layers)
            layer.feedforward.narrow.weight /= 2 * len(layers)
""",
        # all matrices
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma / (2 * len(layers)) ** 0.5))
""",
        # the feed-forward network alone
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    with torch.no_grad():
        for layer in layers:
            layer.feedforward.narrow.weight /= (2 * len(layers)) ** 0.5
""",
        # by the depth at which a layer stands
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    with torch.no_grad():
        for number, layer in enumerate(layers, start=1):
            layer.attention.output.weight /= (2 * number) ** 0.5
            layer.feedforward.narrow.weight /= (2 * number) ** 0.5
""",
        # a plain normal distribution, with its tails
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    small = sigma / (2 * len(layers)) ** 0.5
    for layer in layers:
        nn.init.normal_(layer.attention.output.weight, std=small)
        nn.init.normal_(layer.feedforward.narrow.weight, std=small)
""",
        # what PyTorch had put there is scaled: nothing is started anew
        """
def scaled_start(layers, sigma):
    root = (2 * len(layers)) ** 0.5
    with torch.no_grad():
        for layer in layers:
            layer.attention.output.weight /= root
            layer.feedforward.narrow.weight /= root
""",
        # scaled first, and then started over it
        """
def scaled_start(layers, sigma):
    root = (2 * len(layers)) ** 0.5
    with torch.no_grad():
        for layer in layers:
            layer.attention.output.weight /= root
            layer.feedforward.narrow.weight /= root
    layers.apply(initialise(sigma))
""",
        # the copy is scaled and dropped
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    root = (2 * len(layers)) ** 0.5
    for layer in layers:
        for weight in (layer.attention.output.weight, layer.feedforward.narrow.weight):
            weight = weight / root
""",
        # every layer draws the same numbers
        """
def scaled_start(layers, sigma):
    root = (2 * len(layers)) ** 0.5
    for layer in layers:
        torch.manual_seed(0)
        layer.apply(initialise(sigma))
        with torch.no_grad():
            layer.attention.output.weight /= root
            layer.feedforward.narrow.weight /= root
""",
        # the last matrices no longer train
        """
def scaled_start(layers, sigma):
    layers.apply(initialise(sigma))
    root = (2 * len(layers)) ** 0.5
    for layer in layers:
        for weight in (layer.attention.output.weight, layer.feedforward.narrow.weight):
            weight.requires_grad_(False)
            weight /= root
""",
    ],
    "collapse": [
        # the first one ever
        """
def collapse(states):
    for number, state in enumerate(states):
        if alike(state) > 0.99:
            return number
    return None
""",
        # counted from 1
        """
def collapse(states):
    first = None
    for number, state in enumerate(states, start=1):
        if alike(state) <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # the last layer before it
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state) <= 0.99:
            first = number
    return first
""",
        # any two tokens of the batch
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state.flatten(0, 1)) <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # layer 0 counts as none
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state) <= 0.99:
            first = None
        elif not first:
            first = number
    return first or None
""",
        # from the end, and one too far
        """
def collapse(states):
    number = len(states) - 1
    while number > 0 and alike(states[number]) > 0.99:
        number -= 1
    return number
""",
        # forgets nothing: alike at last and once before
        """
def collapse(states):
    found = [n for n, state in enumerate(states) if alike(state) > 0.99]
    return found[0] if found and found[-1] == len(states) - 1 else None
""",
        # a lower limit
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state) <= 0.8:
            first = None
        elif first is None:
            first = number
    return first
""",
        # always the last one that is alike
        """
def collapse(states):
    found = [n for n, state in enumerate(states) if alike(state) > 0.99]
    return found[-1] if found else None
""",
        # the first text of the batch
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state[0]) <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # the first two tokens of each text
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state[:, :2]) <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # neighbours alone
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if F.cosine_similarity(state[:, 1:], state[:, :-1], dim=-1).mean() <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # each token with itself as well
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if (F.normalize(state, dim=-1) @ F.normalize(state, dim=-1).mT).mean() <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # the smallest cosine
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if (F.normalize(state, dim=-1) @ F.normalize(state, dim=-1).mT).min() <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # beside the mean of the text
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        mean = state.mean(1, keepdim=True)
        if F.cosine_similarity(state, mean, dim=-1).mean() <= 0.99:
            first = None
        elif first is None:
            first = number
    return first
""",
        # a limit that is too high
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state) <= 0.999:
            first = None
        elif first is None:
            first = number
    return first
""",
        # a limit that is too low by little
        """
def collapse(states):
    first = None
    for number, state in enumerate(states):
        if alike(state) <= 0.95:
            first = None
        elif first is None:
            first = number
    return first
""",
    ],
}

# Neighbours say nearly what all pairs say, and equal layers have the right sizes.
PASS_THE_VISIBLE_CHECK = {"collapse": [11], "scaled_start": [9]}
