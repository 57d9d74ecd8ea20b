"""Chapter 0: plausible wrong solutions. The checks must reject each of them."""

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
        # one gain and one bias instead of one for each feature
        """
def embedding_parameters(vocab_size, max_positions, segments, hidden_size):
    return (vocab_size + max_positions + segments) * hidden_size + 2
""",
    ],
    "nearest": [
        # a dot product: long vectors win
        """
def nearest(query, vectors, count):
    return (vectors @ query).topk(count).indices.tolist()
""",
        # the farthest instead of the nearest
        """
def nearest(query, vectors, count):
    similarity = F.normalize(vectors, dim=-1) @ query
    return similarity.argsort()[:count].tolist()
""",
        # Euclidean distance, which depends on length too
        """
def nearest(query, vectors, count):
    return (-(vectors - query).norm(dim=-1)).topk(count).indices.tolist()
""",
        # divides by the squared norm
        """
def nearest(query, vectors, count):
    similarity = (vectors @ query) / vectors.square().sum(dim=-1)
    return similarity.topk(count).indices.tolist()
""",
        # divides by the sum of absolute values
        """
def nearest(query, vectors, count):
    similarity = (vectors @ query) / vectors.abs().sum(dim=-1)
    return similarity.topk(count).indices.tolist()
""",
        # normalises over the wrong axis
        """
def nearest(query, vectors, count):
    similarity = F.normalize(vectors, dim=0) @ query
    return similarity.topk(count).indices.tolist()
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
    ],
    "test_layer": [
        # only the shape
        """
def test_layer(layer, reference, width):
    states = torch.randn(1, 7, width)
    assert layer(states).shape == reference(states).shape
""",
        # a tolerance that no fault exceeds
        """
def test_layer(layer, reference, width):
    for scale in (1e-3, 1.0):
        states = scale * torch.randn(1, 7, width)
        assert torch.allclose(layer(states), reference(states), atol=10.0)
""",
        # ordinary states only: a wrong epsilon stays below the tolerance
        """
def test_layer(layer, reference, width):
    states = torch.randn(1, 7, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (layer(states) - reference(states)).abs().max()
    assert difference <= 1e-4
""",
        # ordinary states and a tolerance that rejects a correct layer on another device
        """
def test_layer(layer, reference, width):
    states = torch.randn(1, 7, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (layer(states) - reference(states)).abs().max()
    assert difference <= 1e-5
""",
        # forgets the absolute value
        """
def test_layer(layer, reference, width):
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0):
        states = scale * torch.randn(1, 7, width, generator=generator)
        with torch.no_grad():
            assert (layer(states) - reference(states)).max() <= 1e-4
""",
        # looks at the first token only
        """
def test_layer(layer, reference, width):
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0):
        states = scale * torch.randn(1, 7, width, generator=generator)
        with torch.no_grad():
            difference = layer(states)[:, 0] - reference(states)[:, 0]
        assert difference.abs().max() <= 1e-4
""",
        # exact equality: rejects a correct layer for its rounding
        """
def test_layer(layer, reference, width):
    for scale in (1e-3, 1.0):
        states = scale * torch.randn(1, 7, width)
        assert torch.equal(layer(states), reference(states))
""",
    ],
}
