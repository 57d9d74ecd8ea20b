"""Chapter 0: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "embedding_parameters": [
        # multiplied out, a term for each tensor
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    tokens = vocab_size * hidden_size
    positions = max_positions * hidden_size
    types = segments * hidden_size
    gain = hidden_size
    bias = hidden_size
    return tokens + positions + types + gain + bias
""",
        # builds the five tensors, without memory for them, and lets torch count
        """
from torch import nn


def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    with torch.device("meta"):
        parts = nn.ModuleList(
            nn.Embedding(rows, hidden_size)
            for rows in (vocab_size, max_positions, segments)
        )
        parts.append(nn.LayerNorm(hidden_size))
    return sum(parameter.numel() for parameter in parts.parameters())
""",
        # one sum of products, as a lambda
        """
import math

shapes = lambda v, p, s, h: [(v, h), (p, h), (s, h), (h,), (h,)]


def embedding_parameters(*sizes: int) -> int:
    return sum(map(math.prod, shapes(*sizes)))
""",
    ],
    "sizes_of": [
        # a regular expression, and the highest number of a layer plus one
        """
import re


def sizes_of(weights):
    layers = -1
    for name in weights:
        if match := re.match(r"encoder[.]layer[.]([0-9]+)[.]", name):
            layers = max(layers, int(match.group(1)))
    tokens = weights["embeddings.word_embeddings.weight"]
    positions = weights["embeddings.position_embeddings.weight"]
    up = weights["encoder.layer.0.intermediate.dense.bias"]
    return dict(
        layers=layers + 1,
        hidden_size=tokens.size(1),
        vocab_size=tokens.size(0),
        max_positions=positions.size(0),
        feedforward_size=up.numel(),
    )
""",
        # counts up as long as there is such a layer
        """
def sizes_of(weights: dict) -> dict:
    number = 0
    while f"encoder.layer.{number}.output.dense.weight" in weights:
        number += 1
    hidden, feedforward = weights["encoder.layer.0.output.dense.weight"].shape
    return {
        "feedforward_size": feedforward,
        "hidden_size": hidden,
        "layers": number,
        "max_positions": weights["embeddings.position_embeddings.weight"].shape[0],
        "vocab_size": weights["embeddings.word_embeddings.weight"].shape[0],
    }
""",
        # counts the tensors of one kind, and reads the width off a LayerNorm
        """
def sizes_of(weights):
    ending = "intermediate.dense.weight"
    inner = [tensor for name, tensor in weights.items() if name.endswith(ending)]
    count = lambda part: weights[f"embeddings.{part}_embeddings.weight"].shape[0]
    sizes = {"vocab_size": count("word"), "max_positions": count("position")}
    sizes["layers"] = len(inner)
    sizes["hidden_size"] = len(weights["embeddings.LayerNorm.bias"])
    sizes["feedforward_size"] = len(inner[0])
    return sizes
""",
    ],
    "confused": [
        # exact fractions of counts
        """
from collections import Counter
from fractions import Fraction


def confused(first, second):
    def shares(text):
        return {id: Fraction(n, len(text)) for id, n in Counter(text).items()}

    return shares(first) == shares(second)
""",
        # repeats each text as often as the other is long, and sorts
        """
def confused(first, second):
    return sorted(first * len(second)) == sorted(second * len(first))
""",
        # counts divided by their greatest common divisor
        """
import math


def lowest_terms(ids):
    found = {}
    for id in ids:
        found[id] = found.get(id, 0) + 1
    divisor = math.gcd(*found.values())
    return {(id, count // divisor) for id, count in found.items()}


def confused(a: list[int], b: list[int]) -> bool:
    if lowest_terms(a) != lowest_terms(b):
        return False
    return True
""",
        # a dictionary of shares in floating point, compared with a small tolerance
        """
def confused(first, second):
    ids = set(first) | set(second)
    gaps = [
        abs(first.count(id) / len(first) - second.count(id) / len(second))
        for id in ids
    ]
    return max(gaps) < 1e-9
""",
    ],
    "dependence": [
        # fills a table of False, number by number
        """
def dependence(model, input_ids, mask_id):
    _, s = input_ids.shape
    table = torch.zeros(s, s, dtype=torch.bool)
    with torch.inference_mode():
        plain = model(input_ids)
        for j in range(s):
            tried = input_ids.clone()
            tried[:, j] = mask_id
            changed = model(tried)
            for i in range(s):
                if not torch.equal(changed[0, i], plain[0, i]):
                    table[i, j] = True
    return table
""",
        # a diagonal of masks, and the largest absolute difference
        """
def dependence(model, input_ids, mask_id):
    length = input_ids.size(-1)
    here = torch.eye(length, dtype=torch.bool)
    rows = torch.where(here, mask_id, input_ids)
    with torch.no_grad():
        after = torch.cat([model(row.unsqueeze(0)) for row in rows])
        moved = (after - model(input_ids)).abs().amax(-1) > 0
    return moved.transpose(0, 1)
""",
        # changes the ids in place and puts them back
        """
@torch.no_grad()
def dependence(model, input_ids, mask_id):
    before = model(input_ids).clone()
    columns = []
    for j in range(input_ids.shape[1]):
        old = input_ids[0, j].item()
        input_ids[0, j] = mask_id
        states = model(input_ids)
        input_ids[0, j] = old
        columns.append([not one.equal(two) for one, two in zip(before[0], states[0])])
    return torch.tensor(columns).T
""",
    ],
    "test_states": [
        # torch's own comparison of two tensors, whose message says how far off it was
        """
def test_states(candidate):
    short = tokenizer.encode("The dog bit the man.")
    long = tokenizer.encode("the price of oil fell while the dog bit the man " * 3)
    for ids in [short, long]:
        with torch.no_grad():
            wanted = bert(torch.tensor([ids])).squeeze(0)
            found = candidate(weights, ids, config)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
""",
        # compares with the chapter's sketch instead of with the class, at random ids
        """
def test_states(candidate) -> None:
    generator = torch.Generator().manual_seed(3)
    for length in (1, 5, 40):
        ids = torch.randint(1000, 20000, (length,), generator=generator).tolist()
        right = states_by_hand(weights, ids, config)[-1]
        gap = float(torch.max(torch.abs(candidate(weights, ids, config) - right)))
        if gap > 1e-4:
            raise AssertionError(f"{length} random ids: {gap:.2e} off")
""",
        # collects all that is wrong first, and fails at the end
        """
TEXTS = {
    "short": "The man bit the dog.",
    "long": "Whoever reads this sentence to its end has read more than eight pieces.",
    "a single piece": "dog",
}


def largest_gap(candidate, ids):
    with torch.no_grad():
        theirs = candidate(weights, ids, config)
        ours = bert(torch.as_tensor(ids)[None])[0]
    assert theirs.shape == ours.shape, f"{tuple(theirs.shape)}: not the right shape"
    return (theirs - ours).abs().max().item()


def test_states(candidate):
    wrong = []
    for name, text in TEXTS.items():
        gap = largest_gap(candidate, tokenizer.encode(text))
        if not gap <= 1e-4:
            wrong.append(f"{name}: {gap}")
    assert not wrong, "; ".join(wrong)
""",
    ],
}
