"""Chapter 9b: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "largest_micro_batch": [
        # the weights alone
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 4 * parameters
    for size in range(batch, 0, -1):
        if batch % size == 0 and size * per_text <= left:
            return size
    return 0
""",
        # it need not divide the batch
        """
def largest_micro_batch(batch, parameters, per_text, room):
    return max(0, min(batch, (room - 16 * parameters) // per_text))
""",
        # a byte must stay free
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 16 * parameters
    for size in range(batch, 0, -1):
        if batch % size == 0 and size * per_text < left:
            return size
    return 0
""",
        # without the gradients
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 12 * parameters
    for size in range(batch, 0, -1):
        if batch % size == 0 and size * per_text <= left:
            return size
    return 0
""",
        # halves only
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left, size = room - 16 * parameters, batch
    while size * per_text > left and size:
        size //= 2
    return size
""",
        # one text always fits
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 16 * parameters
    for size in range(batch, 1, -1):
        if batch % size == 0 and size * per_text <= left:
            return size
    return 1
""",
        # as few parts as possible, the last one smaller
        """
def largest_micro_batch(batch, parameters, per_text, room):
    fits = (room - 16 * parameters) // per_text
    if fits < 1:
        return 0
    parts = -(-batch // fits)
    return -(-batch // parts)
""",
        # the smallest that fits
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 16 * parameters
    for size in range(1, batch + 1):
        if batch % size == 0 and size * per_text <= left:
            return size
    return 0
""",
        # a divisor of what fits, not of the batch
        """
def largest_micro_batch(batch, parameters, per_text, room):
    fits = max(0, (room - 16 * parameters) // per_text)
    for size in range(min(batch, fits), 0, -1):
        if fits % size == 0:
            return size
    return 0
""",
        # the number of micro-batches
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 16 * parameters
    for parts in range(1, batch + 1):
        if batch % parts == 0 and batch // parts * per_text <= left:
            return parts
    return 0
""",
        # powers of two only
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left, size, found = room - 16 * parameters, 1, 0
    while size <= batch and size * per_text <= left:
        found = size if batch % size == 0 else found
        size *= 2
    return found
""",
        # what the batch and what fits have in common
        """
def largest_micro_batch(batch, parameters, per_text, room):
    from math import gcd
    fits = (room - 16 * parameters) // per_text
    return gcd(batch, fits) if fits > 0 else 0
""",
        # the parts are rounded, and need not divide
        """
def largest_micro_batch(batch, parameters, per_text, room):
    left = room - 16 * parameters
    if left < per_text:
        return 0
    return batch // -(-batch * per_text // left)
""",
    ],
    "test_resume": [
        # one place only
        """
def test_resume(train):
    whole, _ = train(20, None)
    _, state = train(13, None)
    weights, _ = train(7, state)
    assert torch.equal(weights, whole)
""",
        # close is not equal
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert torch.allclose(weights, whole)
""",
        # not even close
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert torch.allclose(weights, whole, atol=0.5)
""",
        # only that it runs, and moves
        """
def test_resume(train):
    first, state = train(5, None)
    second, _ = train(5, state)
    assert not torch.equal(first, second)
""",
        # never goes on from a state
        """
def test_resume(train):
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        one, _ = train(sum(stretches), None)
        two, _ = train(sum(stretches), None)
        assert torch.equal(one, two)
""",
        # each stretch begins with the first state
        """
def test_resume(train):
    whole, _ = train(20, None)
    for first, *stretches in ([1, 19], [13, 7], [5, 5, 10]):
        _, state = train(first, None)
        for updates in stretches:
            weights, _ = train(updates, state)
        assert torch.equal(weights, whole)
""",
        # the number of updates, not the weights
        """
def test_resume(train):
    _, whole = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            _, state = train(updates, state)
        assert state["step"] == whole["step"]
""",
        # never stopped twice
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 15]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert torch.equal(weights, whole)
""",
        # only the last way of stopping is compared
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
    assert torch.equal(weights, whole)
""",
        # it says so, and nobody hears
        """
def test_resume(train):
    whole, _ = train(20, None)
    good = True
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        good = good and torch.equal(weights, whole)
    return good
""",
        # one of the weights is enough
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert round(weights.sum().item(), 4) == round(whole.sum().item(), 4)
""",
        # one equal weight is enough
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 19], [13, 7], [5, 5, 10]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert (weights == whole).any()
""",
        # all stops in one run
        """
def test_resume(train):
    whole, _ = train(20, None)
    state = None
    for updates in (1, 4, 5, 3, 7):
        weights, state = train(updates, state)
    assert torch.equal(weights, whole)
""",
        # nobody is stopped twice
        """
def test_resume(train):
    whole, _ = train(20, None)
    for first in (1, 5, 10, 13):
        _, state = train(first, None)
        weights, _ = train(20 - first, state)
        assert torch.equal(weights, whole)
""",
        # stretches read as the updates at which they end
        """
def test_resume(train):
    whole, _ = train(20, None)
    for stretches in ([1, 20], [13, 20], [5, 10, 20]):
        state = None
        for updates in stretches:
            weights, state = train(updates, state)
        assert torch.equal(weights, whole)
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
            file.write(content)
            os.fsync(file.fileno())
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
        # in another folder, from which a rename may be a copy
        """
def write_whole(path, content):
    partial = Path(tempfile.mkdtemp()) / path.name
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
""",
        # the name first, the content afterwards
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            os.replace(partial, path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    finally:
        partial.unlink(missing_ok=True)
""",
        # what a crash left behind comes first
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
""",
        # in place, and put right from memory
        """
def write_whole(path, content):
    old = path.read_bytes() if path.exists() else b""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path, path)
    except BaseException:
        path.write_bytes(old)
        raise
""",
        # the old one steps aside
        """
def write_whole(path, content):
    aside = path.with_name(path.name + ".old")
    if path.exists():
        os.replace(path, aside)
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.unlink(missing_ok=True)
    except BaseException:
        os.replace(aside, path)
        raise
""",
        # renamed before it is on the disk
        """
def write_whole(path, content):
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    finally:
        partial.unlink(missing_ok=True)
""",
        # only a disk can fail
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
        raise
""",
    ],
}

# What is not on the disk yet reads as if it were, and so does a rename across folders.
# The check leaves no file as a crash would, and no fault but a full disk.
PASS_THE_VISIBLE_CHECK = {"write_whole": [4, 6, 8, 12]}
