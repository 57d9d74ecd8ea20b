"""Speed: how fast this machine trains the model of a plan."""

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from operator import mul

from bertcore.model.config import BertConfig
from bertcore.training.loop import Setting
from bertcore.training.plans import PLANS, Plan
from bertcore.training.prepared import packaged
from bertcore.training.pretrain import Pretraining
from bertcore.training.progress import Record
from bertcore.training.runtime import Machine, measure
from bertcore.training.start import start

WARM_UP = 2  # updates that are not counted: memory is found, kernels are chosen


def speed(
    name: str, seconds: float, pass_size: int | None, compile: bool
) -> Iterator[str]:
    """What the machine does, in lines.

    Args:
        name: of the plan.
        seconds: to train for, in all.
        pass_size: texts in an update, which is one pass.
        compile: compile the objective first.
    """
    machine = measure()
    yield str(machine)
    plan, cuda = PLANS[name], machine.device.type == "cuda"
    pass_size = pass_size or (256 if cuda else 4)
    config = plan.config(plan.pieces)
    run = _run(plan, config, pass_size, machine, compile)
    kind = str(machine.precision).removeprefix("torch.")
    count = sum(p.numel() for p in run.model.parameters())
    yield (
        f"{name}, {count / 1e6:.1f} million parameters, in {kind}, {pass_size} texts "
        f"of up to {run.recipe.length} tokens in an update:"
    )
    records = _timed(run, seconds)
    spent = [after.seconds - one.seconds for one, after in pairwise(records)]
    tokens = records[-1].tokens - records[0].tokens
    used = sum(map(mul, spent, [record.utilisation for record in records[1:]]))
    yield (
        f"{tokens / sum(spent):,.0f} tokens/s, {used / sum(spent):.0%} of peak "
        f"({len(spent)} updates)"
    )


def _timed(run: Pretraining, seconds: float) -> list[Record]:
    """The records of some seconds, from the last of warm-up on."""
    found: list[Record] = []
    with closing(run.records()) as records:
        for record in records:
            found.append(record)
            if len(found) > WARM_UP and record.seconds >= seconds:
                break
    return found[WARM_UP - 1 :]


def _run(
    plan: Plan, config: BertConfig, pass_size: int, machine: Machine, compile: bool
) -> Pretraining:
    cuda = machine.device.type == "cuda"
    setting = Setting(
        machine.device,
        machine.precision,
        compile=compile,
        workers=min(4, os.cpu_count() or 1) if cuda else 0,
        operations=machine.operations,
    )
    recipe = plan.recipe.replace(batch=pass_size, pass_size=None, steps=10**6)
    texts = packaged("tales")._replace(held_out=None)
    return start(texts, recipe, config, setting=setting)
