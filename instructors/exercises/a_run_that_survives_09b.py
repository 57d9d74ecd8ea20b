"""Chapter 9b: how its exercises are graded."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch

from instructors.grading import Exercise, accepts


def devices(seed, given):
    """Rooms that are ample, exactly enough, short by a byte, or too small."""
    drawn, found = random.Random(seed), []
    for batch in (256, 96, 60, 7, 1, 210):
        parameters, per_text = drawn.randint(10**5, 10**7), drawn.randint(10**5, 10**7)
        stays = 16 * parameters
        sizes = [n for n in range(1, batch + 1) if batch % n == 0]
        size = drawn.choice(sizes)
        for more in (0, -1, per_text // 2, 3 * per_text):
            found.append((batch, parameters, per_text, stays + size * per_text + more))
        found.append((batch, parameters, per_text, stays + per_text - 1))
        found.append((batch, parameters, per_text, stays // 2))
        found.append((batch, parameters, per_text, stays + 10**4 * per_text))
    return found


PARTS = "weights moment step order random".split()


def trains(seed, given):
    """What forgets nothing, one part or two, everywhere or after one update only."""
    toy, drawn = given["toy"], random.Random(seed)

    def changed(kind, *forgets, at=None, noise=0.0):
        def train(updates, state):
            goes_on = state is not None
            here = goes_on and (at is None or state["step"] == at)
            shift = noise if goes_on else 0.0
            kept = {**state, "weights": state["weights"] + shift} if goes_on else None
            return toy(*forgets if here else ())(updates, kept)

        train.__name__ = kind
        return train

    found = [changed("sound"), toy()]
    found += [toy(part) for part in PARTS]
    found += [toy(*drawn.sample(PARTS, 2)) for _ in range(2)]
    # Each stop that the exercise names is needed: after 1, 13, 5 and 10 updates.
    found += [changed(f"at_{n}", drawn.choice(PARTS[:3]), at=n) for n in (1, 13, 5, 10)]
    found += [changed("nearly", noise=1e-6), changed("rough", noise=1e-3)]
    found += [changed("one_weight", noise=torch.tensor([0.0, 1e-6, 0.0]))]
    found += [saves_less_later(toy, drawn.choice(PARTS)), far_only(toy), swapped(toy)]
    return [(train,) for train in found]


def saves_less_later(toy, part):
    """What it saves is whole only if it was not resumed itself."""

    def train(updates, state):
        weights, new = toy()(updates, state)
        return weights, {k: v for k, v in new.items() if state is None or k != part}

    return train


def far_only(toy):
    """It goes on as it should, but not beyond the order that was saved."""

    def train(updates, state):
        return toy(*["random"] * (updates > 8))(updates, state)

    return train


def swapped(toy):
    """Resumed, it returns the right numbers in other places: their mean is right."""

    def train(updates, state):
        weights, new = toy()(updates, state)
        return (weights if state is None else weights[[1, 0, 2]]), new

    return train


def contents(seed, given):
    """Contents, old and new, short and long."""
    drawn = random.Random(seed)
    return [(drawn.randbytes(n), drawn.randbytes(m)) for n, m in ((9, 7), (3, 70_000))]


def on_disk(solution, old, new):
    """What stands in the folder, at each call and after each fault."""
    import os

    found, real_sync, real_replace = {}, os.fsync, os.replace

    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "weights"

        def standing():
            return {each.name: each.read_bytes() for each in folder.iterdir()}

        solution(path, old)
        found["first"] = standing()
        order, names = [], []

        def sync(handle):  # a number, or an open file
            number = getattr(handle, "fileno", lambda: handle)()
            order.append(("fsync", os.fstat(number).st_size, path.read_bytes()))
            real_sync(handle)

        def replace(source, target, **how):
            names.append(Path(source).name)
            inside = Path(source).parent == folder
            content = Path(source).read_bytes(), path.read_bytes()
            order.append(("replace", inside, *content, Path(target).name))
            real_replace(source, target, **how)

        with patch("os.fsync", sync), patch("os.replace", replace):
            solution(path, new)
        # Whoever also flushes the list of names, after the rename, is right, too.
        found["order"], found["new"] = order[:2], standing()
        for call in ("fsync", "replace"):
            solution(path, old)
            try:
                with patch(f"os.{call}", side_effect=OSError("the disk is full")):
                    solution(path, new)
                found[call] = "nobody was told"
            except OSError:
                found[call] = "told"
            found[f"after {call}"] = standing()
        solution(path, old)
        try:
            solution(path, "no bytes")
            found["no bytes"] = "nobody was told"
        except TypeError:
            found["no bytes"] = standing()
        for other in names:  # a crash left it, and nobody could remove it
            (folder / other).write_bytes(b"a part of something")
        solution(path, new)
        found["after a crash"] = path.read_bytes()
    return found


EXERCISES = {
    "largest_micro_batch": Exercise(devices),
    "test_resume": Exercise(trains, accepts),
    "write_whole": Exercise(contents, on_disk),
}
