"""Memory: what is forecast is what PyTorch and the operating system count."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.profiler import profile

from bertcore import BertConfig
from bertcore.__main__ import main
from bertcore.model.variants.families import FAMILIES, config_like
from bertcore.training.loop import autocast, checkpoint_layers
from bertcore.training.memory import GB, USABLE, Memory
from bertcore.training.objectives import pretraining_objective, sample_batch
from bertcore.training.optim import make_optimisers
from bertcore.training.pretraining import new_model
from bertcore.training.recipe import ALONE, OBJECTIVES, PLANS, Recipe
from tests.conftest import ROOT
from tests.training.small import CPU

CLOSE = 0.15  # of what is measured
TINY = BertConfig.preset(
    "tiny", vocab_size=1000, dropout=0.0, attention_dropout=0.0, hidden_size=64, heads=2
)


def recipe(**changes) -> Recipe:
    return Recipe(**{"steps": 1, "batch": 16, "length": 64, "pairs": False, **changes})


def measured(
    config: BertConfig, how: Recipe, precision: torch.dtype, again: bool
) -> int:
    """The most bytes that real updates hold, as PyTorch's profiler counts them."""
    objective = pretraining_objective(new_model(config, how)).train()
    if again:
        checkpoint_layers(objective)
    optimisers = make_optimisers(objective, how)
    masked = round(how.mask_rate * how.length)
    batch = sample_batch(objective, how.one_pass, how.length, masked)

    def update() -> None:
        for _ in range(how.passes):
            with autocast(replace(CPU, precision=precision)):
                losses = objective(**batch.arguments)
            losses.sum().backward()
            del losses
        for optimiser, _ in optimisers.parts:
            optimiser.step()
        objective.zero_grad(set_to_none=True)

    update()
    stays = list(optimisers.state().values()) + list(objective.parameters())
    with profile(profile_memory=True) as seen:
        update()
    events = seen.profiler.kineto_results.events()
    events = [each for each in events if each.name() == "[memory]"]
    now = most = sum(each.nbytes for each in stays)
    for each in sorted(events, key=lambda each: each.start_ns()):
        now += each.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("sizes", "changes", "precision", "again"),
    [
        ({}, {}, torch.float32, False),
        ({}, {"length": 256, "batch": 4}, torch.float32, False),
        ({"layers": 6}, {}, torch.float32, True),
        ({"dropout": 0.1}, {"pairs": True}, torch.float32, False),
        ({}, {"optimiser": "muon"}, torch.bfloat16, False),
        ({}, {"batch": 2, "optimiser": "released"}, torch.float32, False),
        ({}, {"batch": 16, "pass_size": 8}, torch.float32, False),
        ({"vocab_size": 20_000}, {"mask_rate": 0.3}, torch.float32, False),
    ],
)  # fmt: skip
def test_the_forecast_is_what_a_cpu_takes(sizes, changes, precision, again) -> None:
    config, how = TINY.replace(**sizes), recipe(**changes)
    found = measured(config, how, precision, again)
    forecast = Memory.of(config, how, precision, again)
    assert forecast.total == pytest.approx(found, rel=CLOSE)
    assert forecast.weights == forecast.gradients
    assert forecast.total > forecast.weights + forecast.optimiser


MEASURE = """
import torch
from tests.training.test_memory import *

def now(name):
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith(name)]
    return int(line.split()[1]) * 1024

torch.set_num_threads(1)
how = recipe(batch=8, length=128)
measured(TINY, how.replace(batch=1, length=8), torch.float32, False)
before = now("VmRSS")
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # the peak so far is forgotten
objective = pretraining_objective(new_model(BertConfig.preset("mini"), how)).train()
optimisers = make_optimisers(objective, how)
for _ in range(2):
    batch = sample_batch(objective, 8, 128, 19)
    objective(**batch.arguments).sum().backward()
    for optimiser, _ in optimisers.parts:
        optimiser.step()
    objective.zero_grad(set_to_none=True)
print("TAKEN", now("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux")
def test_the_forecast_is_what_the_operating_system_counts() -> None:
    """BERT-mini, of which the system lends every block apart, and takes it back."""
    limits = {f"MALLOC_{name}_THRESHOLD_": "65536" for name in ("MMAP", "TRIM")}
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **limits, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0, ran.stderr
    taken = int(ran.stdout.split("TAKEN")[1])
    config = BertConfig.preset("mini", dropout=0.1, attention_dropout=0.1)
    forecast = Memory.of(config, recipe(batch=8, length=128))
    assert forecast.total == pytest.approx(taken, rel=CLOSE)


def test_the_forecast_is_what_a_recorded_run_took_on_a_gpu() -> None:
    card = json.loads((ROOT / "data/runs/pretraining-mini-fp16.json").read_text())
    config = BertConfig.from_dict(card["setting"]["model"])
    fields = Recipe.__dataclass_fields__  # of a recipe of before it has more
    asked = card["setting"]["recipe"]
    how = Recipe(**{name: asked[name] for name in fields if name in asked})
    forecast = Memory.of(config, how, torch.float16)
    peak = card["results"]["peak_memory_bytes"]
    assert forecast.total == pytest.approx(peak, rel=CLOSE)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_takes_less_where_layers_are_computed_again(name: str) -> None:
    config = config_like(name, TINY.replace(layers=4))
    how = recipe(**OBJECTIVES.get(name, ALONE))
    kept, again = (
        Memory.of(config, how, checkpoint_activations=each) for each in (False, True)
    )
    assert again.activations < 0.7 * kept.activations
    assert again[:4] == kept[:4]
    assert again.total < kept.total


def test_the_most_texts_that_fit() -> None:
    forecast, other = (Memory.of(TINY, recipe(batch=texts)) for texts in (16, 32))
    for texts in (8, 16, 64):
        room = Memory.of(TINY, recipe(batch=texts)).total
        assert forecast.most_texts(other, room) == texts
        assert forecast.most_texts(other, room - 10) == texts - 1
    for room in (forecast.in_step - 1, 1):
        assert forecast.most_texts(other, room) == 0


def test_fits(capsys) -> None:
    given = ["--plan", "minute", "--batch", "64", "--memory", "0.1"]
    assert main(["fits", *given, "--precision", "float32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    plan = PLANS["minute"]
    config = plan.config(plan.pieces)
    forecast, other = (
        Memory.of(config, plan.recipe.replace(batch=batch)) for batch in (64, 128)
    )
    assert lines[0].endswith("560 pieces, texts of up to 64 tokens, in float32")
    assert lines[1] == "GB of memory for passes of 64 texts of 48 tokens:"
    found = dict(line.rsplit(maxsplit=1) for line in lines[2:7])
    named = {name.strip(): float(value) for name, value in found.items()}
    assert named["most of all at once"] == round(forecast.total / GB, 2) > 0
    most = forecast.most_texts(other, USABLE * 0.1 * GB)
    assert (
        lines[-1].split()
        == (
            f"yours 0.1 GB {'yes' if most >= 64 else 'no'} passes of up to {most} texts"
        ).split()
    )
    assert [line.split()[0] for line in lines[8:-1]] == "T4 L4 A100 A100 H100".split()
    assert main(["fits", "--preset", "mini", "--memory", "0.2", "--batch", "4"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no   not one text")
    for given, message in (
        (["--length", "999"], "--length 999, but the model has 512 positions; give"),
        (["--family", "bort"], "no family 'bort'; there are bert"),
        (["--batch", "0"], "--batch 0 must be more than 0"),
    ):
        assert main(["fits", *given]) == 1
        assert message in capsys.readouterr().err
