"""Chapter 0: what each exercise is graded on, drawn from a seed."""

import random

import torch

from instructors.grading import Exercise, accepts


def embedding_cases(seed, given):
    """Sizes of a BERT; tables of one row and vectors of one number among them."""
    draw = random.Random(seed)
    sizes = [[draw.randint(1, 999) for _ in range(4)] for _ in range(3)]
    return [(30522, 512, 2, 768), (1, 1, 1, 1), (7, 5, 2, 1), *map(tuple, sizes)]


def size_cases(seed, given):
    """Weights of small BERTs, also of over ten layers, their names in any order."""
    draw = random.Random(seed)
    cases = []
    for layers in (1, 2, draw.randint(11, 12)):
        width = draw.choice([2, 4, 6])
        config = given["BertConfig"](
            layers=layers,
            hidden_size=width,
            heads=draw.choice([1, 2]),
            vocab_size=draw.randint(7, 30),
            max_positions=draw.randint(31, 60),
            segments=draw.randint(1, 3),
            feedforward_size=4 * width if layers > 2 else draw.choice([3, 5]),
        )
        bert = given["Bert"](config, pooler=layers != 2)
        weights = given["published_weights"](bert)
        names = list(weights)
        draw.shuffle(names)
        cases.append(({name: weights[name].detach() for name in names},))
    return cases


def confused_cases(seed, given):
    """Pairs of texts: shuffled, doubled, tripled, with other counts, with other ids."""
    draw = random.Random(seed)
    text = [draw.randint(1, 9) for _ in range(draw.randint(3, 6))]
    others = [
        draw.sample(text, len(text)),
        text * 2,
        draw.sample(text * 3, 3 * len(text)),
        [*text, text[0]],
        [*text, 99],
        [*text[:-1], 99],
    ]
    fixed = [
        ([7, 8], [7, 8, 8]),
        ([7, 7, 8, 8], [7, 8]),
        ([7, 7, 8], [7, 8, 8]),
        ([7], [7, 7, 7]),
        ([7, 8], [8]),
        ([1, 4], [2, 3]),
        ([7, 7, 8, 8, 9, 9], [9, 8, 7]),
        ([7, 7, 8, 8, 8, 8], [8, 7, 8]),
        ([7, 7, 8, 8], [7, 7, 7, 8, 8, 8]),
        ([7, 8, 9, 9], [7, 8, 8, 9]),
        ([7, 9], [8, 8]),
        ([8], [7, 8]),
        ([7, 8], [7] * 10 + [8] * 11),
        ([7] * 50 + [8] * 51, [7] * 51 + [8] * 50),
        ([7, 8, 9], [7, 7, 8, 9, 9]),
    ]
    return [*fixed, *((text, other) for other in others)]


def dependence_cases(seed, given):
    """Models that look both ways, back, ahead or nowhere, and move by very little."""
    numbers = torch.Generator().manual_seed(seed)
    ids = torch.randperm(40, generator=numbers)[None, :6]
    rows = torch.rand(60, 3, generator=numbers) + 0.1
    down = -(2.0**-33) * torch.arange(60.0)
    balanced = torch.stack([down, -down, torch.ones(60)], dim=1)  # sums stay
    models = [
        lambda ids: rows[ids].cumsum(dim=1),
        lambda ids: rows[ids].flip(1).cumsum(dim=1).flip(1),
        lambda ids: balanced[ids.roll(-1, 1)],
        lambda ids: down[ids.roll(1, 1)][..., None],
        lambda ids: -down[ids.roll(1, 1)][..., None],
        lambda ids: torch.ones(1, ids.shape[1], 2),
        lambda ids: rows[ids[:, ::2].repeat_interleave(2, dim=1)],
    ]
    return [(model, ids, 59) for model in models]


def table_and_ids(solution, model, ids, mask_id):
    """The table, and the ids that were given, which must be as they were."""
    return solution(model, ids, mask_id), ids


# One number of the states is off: which one, and by how much.
OFF = {"too large": ((-1, -1), 3e-4), "too small": ((0, 0), -3e-4)}
OFF |= {"in the middle": ((2, 5), 3e-4)}


def _candidate(given, fault):
    """The chapter's sketch with a fault, as a function of its own.

    It holds the chapter's functions that it calls and not `given`, in which there are
    the exercises, too: a student's process, to which it is sent, has no solutions.
    """
    linear, layer_norm = given["linear"], given["layer_norm"]
    look_up, attend = given["look_up"], given["attend"]
    feed_forward = given["feed_forward"]
    table = "embeddings.position_embeddings.weight"

    def norm_of_pieces(weights, name, x):
        centred = x - x.mean(dim=0, keepdim=True)
        normed = centred / (centred.square().mean(dim=0, keepdim=True) + 1e-12).sqrt()
        return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def wrong_axis(weights, layer, x, heads):
        part = f"{layer}.attention.self"
        query, key, value = (
            linear(weights, f"{part}.{name}", x) for name in ("query", "key", "value")
        )
        width = x.shape[-1] // heads
        collected = []
        for head in range(heads):
            mine = slice(head * width, (head + 1) * width)
            scores = query[:, mine] @ key[:, mine].T / width**0.5
            collected.append(scores.softmax(dim=0) @ value[:, mine])
        joined = torch.cat(collected, dim=-1)
        return linear(weights, f"{layer}.attention.output.dense", joined)

    def candidate(weights, ids, config):
        its = {**weights}
        if fault == "begin again":
            its[table] = weights[table][:8].repeat(64, 1)
        norm = norm_of_pieces if fault == "norm" else layer_norm
        collect = wrong_axis if fault == "softmax" else attend
        x = look_up(its, ids)
        for n in range(config.layers - (fault == "too few")):
            layer = f"encoder.layer.{n}"
            attended = collect(its, layer, x, config.heads)
            x = norm(its, f"{layer}.attention.output.LayerNorm", x + attended)
            changed = feed_forward(its, layer, x)
            added = changed if fault == "no addition" else x + changed
            x = norm(its, f"{layer}.output.LayerNorm", added)
        if fault == "another device":
            x = x + 5e-5
        if fault in OFF:
            x = x.clone()
            place, by = OFF[fault]
            x[place] += by
        return x

    return candidate


def state_cases(seed, given):
    """A right one, a right one on another device, and each of the faults."""
    faults = ["none", "another device", "too few", "begin again", "no addition"]
    faults += ["norm", "softmax", *OFF]
    random.Random(seed).shuffle(faults)
    return [(_candidate(given, fault),) for fault in faults]


EXERCISES = {
    "embedding_parameters": Exercise(embedding_cases),
    "sizes_of": Exercise(size_cases),
    "confused": Exercise(confused_cases),
    "dependence": Exercise(dependence_cases, examine=table_and_ids),
    "test_states": Exercise(state_cases, examine=accepts),
}
