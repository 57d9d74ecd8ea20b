"""Chapter 9b: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "largest_micro_batch": [
        # the largest of all divisors that fit
        """
def largest_micro_batch(batch, parameters, per_text, room):
    fits = (room - 16 * parameters) // per_text
    divisors = [n for n in range(1, batch + 1) if batch % n == 0]
    return max([n for n in divisors if n <= fits], default=0)
""",
        # more and more parts, until one of them fits
        """
def largest_micro_batch(batch: int, parameters: int, per_text: int, room: int) -> int:
    weights = gradients = first_moment = second_moment = 4 * parameters
    fixed = weights + gradients + first_moment + second_moment
    parts = 1
    while parts <= batch:
        size, rest = divmod(batch, parts)
        if not rest and fixed + size * per_text <= room:
            return size
        parts += 1
    return 0
""",
        # a greatest common divisor that grows
        """
import math


def largest_micro_batch(batch, parameters, per_text, room):
    best = 0
    most = min(batch, (room - parameters * 4 * 4) // per_text)
    for size in range(1, most + 1):
        best = max(best, math.gcd(size, batch))
    return best
""",
    ],
    "test_resume": [
        # compared by the library; the state is copied, as a file would be
        """
def test_resume(train):
    def trained(*stops):
        state, before = None, 0
        for stop in (*stops, 20):
            weights, state = train(stop - before, deepcopy(state))
            before = stop
        return weights

    for stops in ((1,), (13,), (5, 10)):
        torch.testing.assert_close(trained(*stops), trained(), rtol=0, atol=0)
""",
        # every single stop, and every pair of stops
        """
from itertools import combinations, pairwise


def test_resume(train) -> None:
    wanted = train(20, None)[0].tolist()
    for many in (1, 2):
        for stops in combinations(range(1, 20), many):
            state = None
            for begin, end in pairwise((0, *stops, 20)):
                weights, state = train(end - begin, state)
            assert weights.tolist() == wanted, f"stopped after {stops}"
""",
        # the bytes of the weights, spelt out
        """
def test_resume(train):
    w, _ = train(20, None)
    raw = w.numpy().tobytes()

    _, s = train(1, None)
    w1, _ = train(19, s)
    if w1.numpy().tobytes() != raw:
        raise AssertionError("after 1")
    _, s = train(13, None)
    w13, _ = train(7, s)
    if w13.numpy().tobytes() != raw:
        raise AssertionError("after 13")
    _, s = train(5, None)
    _, s = train(5, s)
    w510, _ = train(10, s)
    if w510.numpy().tobytes() != raw:
        raise AssertionError("after 5 and 10")
""",
    ],
    "write_whole": [
        # a temporary file with a name that nobody else has
        """
import os


def write_whole(path, content):
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
""",
        # a file without a buffer, and the folder's list of names flushed, too
        """
import os


def write_whole(path: Path, content: bytes) -> None:
    other = path.parent / f".{path.name}.new"
    file = open(other, "wb", buffering=0)
    try:
        file.write(content)
        os.fsync(file)
        file.close()
        os.replace(str(other), str(path))
    except Exception:
        file.close()
        other.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
""",
        # a context manager that cleans up
        """
import os
from contextlib import contextmanager, suppress


@contextmanager
def beside(path):
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)


def write_whole(path, content):
    with beside(path) as temporary:
        with open(temporary, mode="wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
""",
    ],
}
