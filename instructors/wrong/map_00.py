"""Chapter 0: plausible wrong solutions. The checks must reject each of them."""

# Right; each wrong solution below spoils one of the sizes.
_SIZES = """
def sizes(weights):
    inner = weights["encoder.layer.0.intermediate.dense.weight"]
    numbers = {name.split(".")[2] for name in weights if "encoder.layer." in name}
    return {
        "layers": len(numbers),
        "hidden_size": inner.shape[1],
        "vocab_size": len(weights["embeddings.word_embeddings.weight"]),
        "max_positions": len(weights["embeddings.position_embeddings.weight"]),
        "feedforward_size": inner.shape[0],
    }

"""

WRONG = {
    "embedding_parameters": [
        # forgets the gain and bias of LayerNorm
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments) * hidden_size
""",
        # believes that positions are computed, not learned
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + segments) * hidden_size + 2 * hidden_size
""",
        # one gain and one bias instead of one for each number
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments) * hidden_size + 2
""",
        # a gain, but no bias
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments + 1) * hidden_size
""",
        # a LayerNorm for each table
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments + 6) * hidden_size
""",
        # tables side by side instead of added
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return vocab_size * max_positions * segments * hidden_size + 2 * hidden_size
""",
        # two segments whatever it was told
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + 4) * hidden_size
""",
        # counts the chapter's own tensors
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return sum(t.numel() for n, t in weights.items() if n.startswith("embeddings"))
""",
        # gain and bias of the width of this model
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments) * hidden_size + 2 * 384
""",
    ],
    "sizes_of": [
        # the highest number of a layer, not how many there are
        _SIZES
        + """
def sizes_of(weights):
    found = sizes(weights)
    return found | {"layers": found["layers"] - 1}
""",
        # counts only one digit of a layer's number
        _SIZES
        + """
def sizes_of(weights):
    numbers = {n.split("layer.")[1][0] for n in weights if "encoder.layer." in n}
    return sizes(weights) | {"layers": len(numbers)}
""",
        # counts tensors, not layers
        _SIZES
        + """
def sizes_of(weights):
    names = [n for n in weights if "encoder.layer." in n]
    return sizes(weights) | {"layers": len(names)}
""",
        # the two axes of the intermediate matrix the wrong way round
        _SIZES
        + """
def sizes_of(weights):
    inner = weights["encoder.layer.0.intermediate.dense.weight"]
    return sizes(weights) | {"feedforward_size": inner.shape[1]}
""",
        # believes that the inner width is always four times the width
        _SIZES
        + """
def sizes_of(weights):
    found = sizes(weights)
    return found | {"feedforward_size": 4 * found["hidden_size"]}
""",
        # believes that every BERT has 512 positions
        _SIZES
        + """
def sizes_of(weights):
    return sizes(weights) | {"max_positions": 512}
""",
        # the two axes of the token table the wrong way round
        _SIZES
        + """
def sizes_of(weights):
    width, pieces = weights["embeddings.word_embeddings.weight"].shape
    return sizes(weights) | {"vocab_size": pieces, "hidden_size": width}
""",
        # asks the model that the chapter has loaded
        """
def sizes_of(weights):
    names = "layers hidden_size vocab_size max_positions feedforward_size".split()
    return {name: getattr(config, name) for name in names}
""",
        # counts on sixteen tensors a layer and seven others
        _SIZES
        + """
def sizes_of(weights):
    return sizes(weights) | {"layers": (len(weights) - 7) // 16}
""",
        # counts on the order of the names
        _SIZES
        + """
def sizes_of(weights):
    first = next(iter(weights.values()))
    return sizes(weights) | {"vocab_size": len(first)}
""",
    ],
    "confused": [
        # the same pieces, however often
        """
def confused(first, second):
    return set(first) == set(second)
""",
        # the same pieces, just as often
        """
def confused(first, second):
    return sorted(first) == sorted(second)
""",
        # only doubling
        """
def confused(first, second):
    return sorted(first) in (sorted(second), sorted(second * 2))
""",
        # the same mean of the ids
        """
def confused(first, second):
    return sum(first) * len(second) == sum(second) * len(first)
""",
        # looks at the pieces of the first text only
        """
def confused(first, second):
    return all(
        first.count(id) * len(second) == second.count(id) * len(first)
        for id in first[:1]
    )
""",
        # compares with the order
        """
def confused(first, second):
    return first == second
""",
        # one text must be as often the other as their lengths say, rounded down
        """
def confused(first, second):
    short, long = sorted([first, second], key=len)
    return sorted(short * (len(long) // len(short))) == sorted(long)
""",
        # everything is confused
        """
def confused(first, second):
    return True
""",
        # shares rounded to a tenth
        """
def confused(first, second):
    shares = [
        {id: round(text.count(id) / len(text), 1) for id in text}
        for text in (first, second)
    ]
    return shares[0] == shares[1]
""",
        # compares only pieces that both have
        """
def confused(first, second):
    both = set(first) & set(second)
    return len({first.count(id) / second.count(id) for id in both}) == 1
""",
        # counts divided by the smallest, rounded down
        """
def confused(first, second):
    ours = {id: first.count(id) for id in first}
    theirs = {id: second.count(id) for id in second}
    return {k: n // min(ours.values()) for k, n in ours.items()} == {
        k: n // min(theirs.values()) for k, n in theirs.items()
    }
""",
        # the same pieces and the same mean of the ids
        """
def confused(first, second):
    same = sum(first) * len(second) == sum(second) * len(first)
    return same and set(first) == set(second)
""",
    ],
    "dependence": [
        # rows and columns swapped: right for BERT, wrong for what only looks back
        """
def dependence(model, input_ids, mask_id):
    length = input_ids.shape[1]
    masked = input_ids.repeat(length, 1).fill_diagonal_(mask_id)
    with torch.no_grad():
        before = model(input_ids)[0]
        after = [model(row[None])[0] for row in masked]
    return torch.stack([(before != one).any(dim=-1) for one in after])
""",
        # masks everything up to j instead of j alone
        """
def dependence(model, input_ids, mask_id):
    masked, columns = input_ids.clone(), []
    for j in range(input_ids.shape[1]):
        masked[0, j] = mask_id
        with torch.no_grad():
            moved = (model(masked)[0] != model(input_ids)[0]).any(dim=-1)
        columns.append(moved)
    return torch.stack(columns, dim=1)
""",
        # a difference in one direction only
        """
def dependence(model, input_ids, mask_id):
    masked = input_ids.repeat(input_ids.shape[1], 1).fill_diagonal_(mask_id)
    with torch.no_grad():
        before = model(input_ids)[0]
        after = [model(row[None])[0] for row in masked]
    return torch.stack([(before > one).any(dim=-1) for one in after], dim=1)
""",
        # every feature has to move
        """
def dependence(model, input_ids, mask_id):
    masked = input_ids.repeat(input_ids.shape[1], 1).fill_diagonal_(mask_id)
    with torch.no_grad():
        before = model(input_ids)[0]
        after = [model(row[None])[0] for row in masked]
    return torch.stack([(before != one).all(dim=-1) for one in after], dim=1)
""",
        # small moves do not count
        """
def dependence(model, input_ids, mask_id):
    masked = input_ids.repeat(input_ids.shape[1], 1).fill_diagonal_(mask_id)
    with torch.no_grad():
        before = model(input_ids)[0]
        after = [model(row[None])[0] for row in masked]
    moved = [(before - one).abs().amax(dim=-1) > 0.1 for one in after]
    return torch.stack(moved, dim=1)
""",
        # says that everything depends on everything
        """
def dependence(model, input_ids, mask_id):
    length = input_ids.shape[1]
    return torch.ones(length, length).bool()
""",
        # looks at the first feature only
        """
def dependence(model, input_ids, mask_id):
    length, columns = input_ids.shape[1], []
    for j in range(length):
        masked = input_ids.clone()
        masked[0, j] = mask_id
        columns.append((model(masked)[0] != model(input_ids)[0])[0])
    return torch.stack(columns, dim=1)[:length]
""",
        # compares sums of features
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        a = model(input_ids)[0]
        for place in range(input_ids.shape[1]):
            masked = input_ids.clone()
            masked[0, place] = mask_id
            b = model(masked)[0]
            columns.append(a.sum(dim=-1) != b.sum(dim=-1))
    return torch.stack(columns, dim=1)
""",
        # moves of less than a thousandth do not count
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        a = model(input_ids)[0]
        for place in range(input_ids.shape[1]):
            masked = input_ids.clone()
            masked[0, place] = mask_id
            b = model(masked)[0]
            columns.append(((a - b).abs() > 1e-3).any(dim=-1))
    return torch.stack(columns, dim=1)
""",
        # close is the same
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        a = model(input_ids)[0]
        for place in range(input_ids.shape[1]):
            masked = input_ids.clone()
            masked[0, place] = mask_id
            b = model(masked)[0]
            columns.append(~torch.isclose(a, b).all(dim=-1))
    return torch.stack(columns, dim=1)
""",
        # compares the last feature
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        a = model(input_ids)[0]
        for place in range(input_ids.shape[1]):
            masked = input_ids.clone()
            masked[0, place] = mask_id
            b = model(masked)[0]
            columns.append(a[:, -1] != b[:, -1])
    return torch.stack(columns, dim=1)
""",
        # numbers, not booleans
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        a = model(input_ids)[0]
        for place in range(input_ids.shape[1]):
            masked = input_ids.clone()
            masked[0, place] = mask_id
            b = model(masked)[0]
            columns.append((a != b).any(dim=-1).int())
    return torch.stack(columns, dim=1)
""",
        # changes the ids it was given
        """
def dependence(model, input_ids, mask_id):
    columns = []
    with torch.no_grad():
        for place in range(input_ids.shape[1]):
            before = model(input_ids)[0]
            input_ids[0, place] = mask_id
            columns.append((model(input_ids)[0] != before).any(dim=-1))
    return torch.stack(columns, dim=1)
""",
    ],
    "test_states": [
        # only the shape
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    assert candidate(weights, ids, config).shape == (len(ids), config.hidden_size)
""",
        # one short text
        """
def test_states(candidate):
    with torch.no_grad():
        right = bert(torch.tensor([dog_bites]))[0]
        found = candidate(weights, dog_bites, config)
    assert (found - right).abs().max() <= 1e-4
""",
        # a tolerance that rejects another device
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert (found - right).abs().max() <= 1e-5
""",
        # a tolerance that no fault exceeds
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert torch.allclose(found, right, atol=20.0)
""",
        # a difference in one direction only
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert (right - found).max() <= 1e-4
""",
        # the mean of all states, in which faults cancel
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert (found.mean() - right.mean()).abs() <= 1e-4
""",
        # [CLS] alone
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert (found[0] - right[0]).abs().max() <= 1e-4
""",
        # compares a candidate with itself
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    first = candidate(weights, ids, config)
    assert (candidate(weights, ids, config) - first).abs().max() <= 1e-4
""",
        # accepts whoever is near by cosine
        """
def test_states(candidate):
    ids = tokenizer.encode("The dog bit the man. " * 3)
    with torch.no_grad():
        right = bert(torch.tensor([ids]))[0]
        found = candidate(weights, ids, config)
    assert F.cosine_similarity(found, right, dim=-1).min() > 0.99
""",
        # the size of the difference forgotten
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert (found - right).max() <= 1e-4
""",
        # the last state alone
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert (found[-1] - right[-1]).abs().max() <= 1e-4
""",
        # the last column alone
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert (found[:, -1] - right[:, -1]).abs().max() <= 1e-4
""",
        # the mean state, as in the chapter
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert (found.mean(0) - right.mean(0)).abs().max() <= 1e-4
""",
        # ten times the tolerance
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert (found - right).abs().max() <= 1e-3
""",
        # a tolerance that grows with the number
        """
def test_states(candidate):
    for ids in (dog_bites, tokenizer.encode("The dog bit the man. " * 3)):
        with torch.no_grad():
            right = bert(torch.tensor([ids]))[0]
            found = candidate(weights, ids, config)
        assert torch.allclose(found, right, rtol=1e-2, atol=1e-4)
""",
    ],
}

# Only the cases of a seed reject these; numbers are places in the lists above.
PASS_THE_VISIBLE_CHECK = {"dependence": [11], "test_states": [14]}
