"""Chapter 9: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "epochs": [
        # the other way round
        """
def epochs(updates, batch, examples):
    return examples / (updates * batch)
""",
        # whole epochs only
        """
def epochs(updates, batch, examples):
    return updates * batch // examples
""",
        # an update is one example
        """
def epochs(updates, batch, examples):
    return updates / examples
""",
    ],
    "released_rate": [
        # the decay begins when the warm-up ends: no drop
        """
def released_rate(step, steps, warmup, highest):
    if step < warmup:
        return highest * step / warmup
    return highest * (steps - step) / (steps - warmup)
""",
        # the warm-up counts from 1
        """
def released_rate(step, steps, warmup, highest):
    if step < warmup:
        return highest * (step + 1) / warmup
    return highest * (1 - step / steps)
""",
        # the smaller of both lines
        """
def released_rate(step, steps, warmup, highest):
    return highest * min(step / max(1, warmup), 1 - step / steps)
""",
        # the warm-up lasts one update longer
        """
def released_rate(step, steps, warmup, highest):
    if step <= warmup and warmup:
        return highest * step / warmup
    return highest * (1 - step / steps)
""",
    ],
    "adam_corrected": [
        # no correction: as released
        """
def adam_corrected(weight, gradients, rate, decay, epsilon=1e-8):
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for gradient in gradients:
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        weight = weight * (1 - rate * decay)
        weight = weight - rate * mean / (square.sqrt() + epsilon)
    return weight
""",
        # counted from 0, and the first update guarded by hand
        """
def adam_corrected(weight, gradients, rate, decay, epsilon=1e-8):
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, gradient in enumerate(gradients):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        step = max(step, 1)
        root = (square / (1 - 0.999**step)).sqrt() + epsilon
        weight = weight * (1 - rate * decay)
        weight = weight - rate * mean / (1 - 0.9**step) / root
    return weight
""",
        # epsilon is added before the correction
        """
def adam_corrected(weight, gradients, rate, decay, epsilon=1e-8):
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        root = (square.sqrt() + epsilon) / (1 - 0.999**step) ** 0.5
        weight = weight * (1 - rate * decay)
        weight = weight - rate * mean / (1 - 0.9**step) / root
    return weight
""",
        # the decay goes through Adam: not decoupled
        """
def adam_corrected(weight, gradients, rate, decay, epsilon=1e-8):
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient + decay * weight
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        root = (square / (1 - 0.999**step)).sqrt() + epsilon
        weight = weight - rate * mean / (1 - 0.9**step) / root
    return weight
""",
        # the caller's weight is changed
        """
def adam_corrected(weight, gradients, rate, decay, epsilon=1e-8):
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        root = (square / (1 - 0.999**step)).sqrt() + epsilon
        weight *= 1 - rate * decay
        weight -= rate * mean / (1 - 0.9**step) / root
    return weight
""",
    ],
    "accumulate": [
        # the mean of means
        """
def accumulate(objective, passes, parameters):
    for parameter in parameters:
        parameter.grad = None
    full = [one for one in passes if len(one)]
    for one in full:
        (objective(one) / len(one) / len(full)).backward()
""",
        # old gradients stay
        """
def accumulate(objective, passes, parameters):
    count = sum(len(one) for one in passes)
    for one in passes:
        if len(one):
            (objective(one) / count).backward()
""",
        # the sum, not the mean
        """
def accumulate(objective, passes, parameters):
    for parameter in parameters:
        parameter.grad = None
    for one in passes:
        if len(one):
            objective(one).backward()
""",
        # only the last pass is left
        """
def accumulate(objective, passes, parameters):
    count = sum(len(one) for one in passes)
    for one in passes:
        for parameter in parameters:
            parameter.grad = None
        if len(one):
            (objective(one) / count).backward()
""",
        # one pass after another, and all of them kept for one way back
        """
def accumulate(objective, passes, parameters):
    for parameter in parameters:
        parameter.grad = None
    full = [one for one in passes if len(one)]
    (sum(objective(one) for one in full) / sum(map(len, full))).backward()
""",
        # all at once: the memory that there is not
        """
def accumulate(objective, passes, parameters):
    for parameter in parameters:
        parameter.grad = None
    whole = torch.cat(passes)
    (objective(whole) / len(whole)).backward()
""",
    ],
    "test_resume": [
        # one place only
        """
def test_resume(train_toy):
    whole, _ = train_toy(10, None)
    _, state = train_toy(5, None)
    weights, _ = train_toy(5, state)
    assert torch.equal(weights, whole)
""",
        # too generous
        """
def test_resume(train_toy):
    for stops in ([7, 13], [1, 19], [5, 5, 10]):
        whole, _ = train_toy(sum(stops), None)
        state = None
        for updates in stops:
            weights, state = train_toy(updates, state)
        assert torch.allclose(weights, whole, atol=0.5)
""",
        # only that it runs, and moves
        """
def test_resume(train_toy):
    first, state = train_toy(5, None)
    second, _ = train_toy(5, state)
    assert not torch.equal(first, second)
""",
        # never goes on from a state
        """
def test_resume(train_toy):
    one, _ = train_toy(20, None)
    two, _ = train_toy(20, None)
    assert torch.equal(one, two)
""",
    ],
    "write_whole": [
        # written in place
        """
def write_whole(path, content):
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
""",
        # not on the disk before it gets its name
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
""",
        # the other file stays after an error
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
""",
        # nobody is told
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
""",
        # synced before what Python holds back is written
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content[:10])
            os.fsync(file.fileno())
            file.write(content[10:])
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
""",
        # the old one is removed first
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.unlink(missing_ok=True)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
""",
    ],
}
