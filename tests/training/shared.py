"""Runs by several processes: `torchrun -m tests.training.shared FOLDER`.

Each is left in a folder of its own, with a checkpoint; what process 0 saw of it goes
into `seen.json`, and what the others saw into `seen-1.json`.
"""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import torch

from bertcore.training.devices import join, leave
from bertcore.training.pretraining import Pretraining
from tests.training.small import CPU, after, digest, recipe, run

PLANS = {
    "adamw": recipe(learning_rate=1e-3),
    "muon": recipe(optimiser="muon", pairs=False),
}
SECONDS = recipe(steps=None, seconds=0.3, warmup=0.5)
UNSHARED = recipe(batch=12)  # three passes


def kept(*arguments: object, **changes: object) -> Pretraining:
    """A run that saves when it is left."""
    return run(*arguments, save_every=math.inf, **changes)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    world, device = join()
    settings, seen = replace(CPU, world=world, device=device), {}
    for name, how in PLANS.items():
        for end, updates in (("whole", 9), ("half", 3)):
            here = kept(how, folder / f"{name}-{end}", settings=settings)
            records = after(here, updates)
            seen[f"{name}-{end}"] = {
                "losses": [record.losses for record in records],
                "tokens": [record.tokens for record in records],
                "gradients": [record.gradient for record in records],
                "digest": digest(here.model),
            }
        resumed = kept(how, folder / f"{name}-single", settings=settings)
        after(resumed, 9)
        seen[f"{name}-single"] = {"step": resumed.progress.step}
    timed = after(run(SECONDS, settings=settings), 10**6)
    seen["rates"] = [record.learning_rate for record in timed]
    try:
        after(run(UNSHARED, settings=settings), 1)
    except ValueError as error:
        seen["error"] = str(error)
    name = f"seen-{world.rank}.json" if world.rank else "seen.json"
    (folder / name).write_text(json.dumps(seen))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
