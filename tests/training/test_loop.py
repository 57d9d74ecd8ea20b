"""Loop: an update, however it is cut, its record, and what never reaches weights."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import islice, pairwise

import pytest
import torch
from torch import Tensor, nn

from bertcore import Tokenizer
from bertcore.model.variants.families import FAMILIES, config_like
from bertcore.text.batch import TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.store import Store
from bertcore.text.vocabulary import SPECIAL
from bertcore.training.loop import (
    FAULTS,
    FIRST_SCALE,
    Diverged,
    Record,
    TrainingState,
    checkpoint_layers,
    train,
)
from bertcore.training.objectives import (
    pretraining_batch,
    pretraining_costs,
    pretraining_losses,
    pretraining_objective,
    sample_batch,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.pretraining import Pretraining, make_examples
from bertcore.training.recipe import Recipe
from tests.training.small import (
    CPU,
    after,
    digest,
    distance,
    model,
    recipe,
    run,
    store,
    tokenizer,
    weights,
)
from tests.training.small import config as small_config

DROPOUT = {"dropout": 0.1, "attention_dropout": 0.1}
NEVER = math.inf  # seconds between two checkpoints


# How an update is cut ----------------------------------------------------------------


class Parts:
    """Batches of 16 examples, each of them in some passes."""

    def __init__(self, recipe: Recipe) -> None:
        masker = Masker(tokenizer())
        examples = make_examples(store(), recipe)
        self.steps = Batches(store(), examples, tokenizer(), masker, 16, recipe.seed)
        self.passes = recipe.passes

    def __getitem__(self, number: int) -> TrainingBatch:
        step, part = divmod(number, self.passes)
        size = 16 // self.passes
        rows = slice(part * size, (part + 1) * size)
        batch = {name: value[rows] for name, value in self.steps[step].items()}
        return pretraining_batch(batch)

    def name(self, number: int) -> str:
        return f"pass {number}"


def cut(how: Recipe) -> tuple[list[Record], list[dict[str, Tensor]]]:
    """Records of six updates, and the weights after each."""
    network, progress = model(how), TrainingState()
    objective = pretraining_objective(network)
    optimisers = make_optimisers(objective, how)
    records = train(objective, Parts(how), optimisers, how, CPU, progress)
    made = [(record, weights(network)) for record in records]
    return [record for record, _ in made], [after for _, after in made]


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("passes", [2, 4])
def test_the_number_of_passes_changes_nothing(passes: int, pairs: bool) -> None:
    """Each mean is over all answers of the update, though passes differ in theirs."""
    found = []
    for number in (1, passes):
        how = recipe(pass_size=16 // number, pairs=pairs, clip=0.0)
        counts = [Parts(how)[n].counts.tolist() for n in range(number)]
        found.append((cut(how), counts))
    (one, _), (several, counts) = found
    assert len({tuple(count) for count in counts}) > 1, "passes of different counts"
    for ours, theirs in zip(several[0], one[0], strict=True):
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-5)
        assert ours.gradient == pytest.approx(theirs.gradient, rel=1e-5)
        assert (ours.tokens, ours.step) == (theirs.tokens, theirs.step)
    for ours, theirs in zip(several[1], one[1], strict=True):
        assert distance(ours, theirs) < 1e-5


def gradients(how: Recipe) -> dict[str, Tensor]:
    """Those of the first update."""
    network, seen = model(how), {}
    objective = pretraining_objective(network)
    optimisers = make_optimisers(objective, how)

    def look(*_: object) -> None:
        seen.update({n: p.grad.clone() for n, p in network.named_parameters()})

    optimisers.parts[0][0].register_step_pre_hook(look)
    next(train(objective, Parts(how), optimisers, how, CPU, TrainingState()))
    return seen


@pytest.mark.parametrize("pairs", [True, False])
def test_gradients_of_four_passes_are_those_of_one(pairs: bool) -> None:
    one, four = (
        gradients(recipe(pass_size=size, pairs=pairs, clip=0.0)) for size in (16, 4)
    )
    assert distance(four, one) < 1e-6
    for name, gradient in one.items():
        if ".key.bias" not in name:  # 0 in theory
            torch.testing.assert_close(four[name], gradient, rtol=1e-3, atol=1e-6)


def test_losses_and_gradients_are_those_of_pretraining_losses() -> None:
    how = recipe(clip=0.0, pass_size=16)
    network = model(how)
    losses = pretraining_losses(network, Parts(how).steps[0])
    losses.total().backward()
    expected = {name: p.grad for name, p in network.named_parameters()}
    assert distance(gradients(how), expected) < 1e-6
    record = cut(how)[0][0]
    wanted = losses.masked_lm.item(), losses.next_sentence.item()
    assert record.losses == pytest.approx(wanted, rel=1e-6)
    length = torch.cat([g.flatten() for g in expected.values()]).norm().item()
    assert record.gradient == pytest.approx(length, rel=1e-5)


def test_an_update_without_a_label() -> None:
    """Of texts of long words alone none is hidden, if words are hidden whole."""
    pieces = Tokenizer([*SPECIAL, "x", "##y"])
    texts = Store.of([["xyyyyyyy"], ["xyyyyyyyyy"]] * 20, pieces)
    how = recipe(pairs=False, whole_words=True, steps=3)
    here = Pretraining(model(how, vocab_size=7), pieces, texts, how, settings=CPU)
    with (
        pytest.warns(UserWarning, match="left out: it has no label; it read pass"),
        pytest.raises(Diverged, match="No update was made: look at these"),
    ):
        list(here.records())


@pytest.mark.filterwarnings("ignore:update .* left out")
def test_a_run_without_any_update_is_no_success(tmp_path) -> None:
    """Not if there are fewer than ten to leave out, either."""
    here = run(recipe(steps=3), tmp_path, save_every=NEVER)
    with torch.no_grad():
        next(here.objective.parameters()).fill_(math.nan)
    with pytest.raises(Diverged, match=r"update 2 left out.*\. No update was made: "):
        list(here.records())
    assert here.progress.skipped == 3
    assert not list(tmp_path.glob("*")), "nothing of it is kept"


# Records -----------------------------------------------------------------------------


def test_what_a_record_says() -> None:
    how = recipe(warmup=0.5)
    here = run(how)
    records = after(here, 9)
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6]
    assert [r.progress for r in records] == pytest.approx([n / 6 for n in range(1, 7)])
    rates = [how.learning_rate * how.rate_at(n / 6) for n in range(6)]
    assert [record.learning_rate for record in records] == rates
    assert rates[0] == 0 < rates[1]
    batches = [here.batches.steps[n]["attention_mask"] > 0 for n in range(24)]
    totals = torch.tensor([mask.sum() for mask in batches]).cumsum(0)[3::4].tolist()
    assert [record.tokens for record in records] == totals
    for before, record in pairwise(records):
        tokens, seconds = record.tokens - before.tokens, record.seconds - before.seconds
        assert record.tokens_per_second == pytest.approx(tokens / seconds)
        assert record.fault is None and record.utilisation is None
    assert here.progress.batches == 24
    assert str(records[2]).startswith(" 50% step 3: loss ")


def test_what_is_used_of_the_machine() -> None:
    """Useful operations a second, over those that the machine can do."""
    here = run(recipe(), settings=replace(CPU, operations=1e9))
    _, record = after(here, 2)
    costs = pretraining_costs(here.objective)
    useful = sum(costs.useful(here.batches[n]) for n in range(4, 8))
    assert record.utilisation == pytest.approx(useful / record.seconds / 1e9)


def test_break_ends_it(tmp_path) -> None:
    here = run(recipe(), tmp_path, save_every=NEVER)
    for record in here.records():
        if record.step == 2:
            break
    before = digest(here.model)
    assert here.progress.step == 2
    resumed = run(recipe(), tmp_path)
    assert resumed.progress == here.progress and digest(resumed.model) == before
    assert [record.step for record in here.records()] == [3, 4, 5, 6]
    assert [record.step for record in resumed.records()] == [3, 4, 5, 6]
    assert digest(here.model) == digest(resumed.model) != before


def test_gradients_of_an_interrupted_update_are_gone() -> None:
    """The stop button of a notebook may fall between two halves of an update."""
    here, other = run(recipe()), run(recipe())
    for parameter in here.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    list(here.records())
    list(other.records())
    assert digest(here.model) == digest(other.model)


class Clock:
    """A second passes at each look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_schedule_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm-up and decay are shares of the time.

    The first update, which waits for workers and the compiler, counts nothing, and
    pauses between updates neither.
    """
    clock = Clock()
    monkeypatch.setattr("bertcore.training.loop.time.perf_counter", clock)
    how = recipe(steps=None, seconds=4.5, warmup=0.5)
    records = []
    for record in run(how).records():
        records.append(record)
        clock.now += 1000
    assert [record.seconds for record in records] == [0, 1, 2, 3, 4, 5]
    # In warm-up the update itself counts: as much as those before it, on average.
    shares = [0.002, 0.002, 2 / 2.25, 1, 1.5 / 2.25, 0.5 / 2.25]
    rates = [how.learning_rate * share for share in shares]
    assert [record.learning_rate for record in records] == pytest.approx(rates)
    assert [record.progress for record in records][-2:] == [4 / 4.5, 1]


# The same, whoever makes the batches --------------------------------------------------


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_change_no_bit() -> None:
    found = []
    for workers in (0, 2):
        how = recipe(steps=4)
        here = run(how, sizes=DROPOUT, settings=replace(CPU, workers=workers))
        after(here, 9)
        found.append(digest(here.model))
    assert found[0] == found[1]


@pytest.mark.parametrize("optimiser", ["adamw", "released", "muon"])
def test_two_runs_with_dropout_are_equal_to_the_bit(optimiser: str) -> None:
    """Whatever others have drawn from torch's random numbers in between."""
    found = []
    for run_number in range(2):
        here = run(recipe(optimiser=optimiser), sizes=DROPOUT)
        for _ in here.records():
            torch.rand(run_number + 1)
        found.append(digest(here.model))
    assert found[0] == found[1]


def test_dropout_differs_from_update_to_update() -> None:
    """Each update reads the same, and the weights do not move."""
    here = run(recipe(learning_rate=1e-12, batch=4), sizes=DROPOUT)
    work = here.batches[0]
    here.batches = Same(work)
    losses = [record.losses for record in after(here, 3)]
    assert len(set(losses)) == 3


class Same(list):
    """The same pass, whichever is asked for."""

    def __init__(self, work: TrainingBatch) -> None:
        self.work = work

    def __getitem__(self, number: int) -> TrainingBatch:
        return self.work


# Faults ------------------------------------------------------------------------------


def spoil(
    here: Pretraining, at: Callable[[int], bool], value: float
) -> Iterator[Record]:
    """The run's records; in the updates that `at` picks, a gradient has the value."""
    table = here.model.bert.embeddings.token.weight
    spoilt = table.register_hook(
        lambda grad: grad + value if at(here.progress.step) else grad
    )
    try:
        yield from here.records()
    finally:
        spoilt.remove()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_an_infinite_gradient_changes_no_bit(value: float) -> None:
    here = run(recipe())
    records = spoil(here, lambda step: step == 2, value)
    list(islice(records, 2))
    before, means = digest(here.model), here.optimisers.state()
    means = {name: value.clone() for name, value in means.items()}
    examples = ", ".join(map(str, here.batches.steps.example_numbers(8).tolist()))
    wanted = (
        r"update 2 left out: the length of its gradient is (inf|nan), its losses are "
        rf"\d\.\d+, 0\.\d+; it read pass 8 \(examples {examples}\), pass 9 \(ex.*\), "
        r"pass 10 \(examples .*\), pass 11 \(examples "
    )
    with pytest.warns(UserWarning, match=wanted):
        record = next(records)
    assert digest(here.model) == before
    for name, mean in here.optimisers.state().items():
        assert torch.equal(mean, means[name]), name
    assert record.step == 3 and not math.isfinite(record.gradient)
    progress = here.progress
    assert (progress.skipped, progress.faults, progress.batches) == (1, 1, 12)
    assert next(records).fault is None
    assert (progress.skipped, progress.faults, progress.step) == (1, 0, 4)
    assert digest(here.model) != before and list(records)[-1].step == 6


def test_a_loss_that_is_no_number_changes_no_bit() -> None:
    """Though its gradient is finite: a sum that overflows, say."""
    here = run(recipe())
    forward = here.objective.forward

    def broken(**arguments: Tensor) -> Tensor:
        losses = forward(**arguments)
        return losses + math.nan if here.progress.step == 1 else losses

    here.objective.forward = broken
    records = here.records()
    next(records)
    before = digest(here.model)
    with pytest.warns(UserWarning, match="update 1 left out.*its losses are nan, nan"):
        record = next(records)
    assert all(map(math.isnan, record.losses)) and record.fault is not None
    assert math.isfinite(record.gradient)
    assert digest(here.model) == before and next(records).fault is None


@pytest.mark.filterwarnings("ignore:update .* left out")
def test_ten_in_a_row_end_the_run(tmp_path) -> None:
    here = run(recipe(steps=20), tmp_path, save_every=NEVER)
    records = spoil(here, lambda step: step >= 1, math.inf)
    next(records)
    before = digest(here.model)
    with pytest.raises(Diverged, match="update 10 left out.*These were 10 in a row"):
        list(records)
    assert FAULTS == 10 == here.progress.skipped
    assert digest(here.model) == before


@pytest.mark.filterwarnings("ignore:update .* left out")
def test_nine_in_a_row_do_not() -> None:
    here = run(recipe(steps=20))
    assert len(list(spoil(here, lambda step: step % 10 != 9, math.inf))) == 20
    assert here.progress.skipped == 18


# Half precision ----------------------------------------------------------------------


def test_fp16_learns_what_float32_learns() -> None:
    """The loss is multiplied, the gradients are divided: the rounding is left."""
    found = []
    for precision in (torch.float32, torch.float16):
        here = run(recipe(), settings=replace(CPU, precision=precision))
        records = after(here, 9)
        found.append((records, weights(here.model)))
    for single, half in zip(found[0][0], found[1][0], strict=True):
        assert half.losses == pytest.approx(single.losses, rel=1e-2)
        assert half.gradient == pytest.approx(single.gradient, rel=2e-2)
    moved = distance(found[0][1], weights(model(recipe())))
    assert distance(found[1][1], found[0][1]) < 0.2 * moved
    assert here.progress.loss_scale["scale"] == FIRST_SCALE
    assert here.progress.loss_scale["_growth_tracker"] == 6


@pytest.mark.filterwarnings("ignore:update .* left out")
def test_fp16_halves_its_scale_until_nothing_overflows() -> None:
    """A scale that is far too high costs some updates, and no bit of the weights."""
    here = run(recipe(steps=12), settings=replace(CPU, precision=torch.float16))
    high = torch.amp.GradScaler("cpu", init_scale=2.0**26)
    here.progress.loss_scale = high.state_dict()
    before, records = digest(here.model), here.records()
    while (record := next(records)).fault is not None:
        assert digest(here.model) == before
        halved = 2.0 ** (26 - record.step)
        assert record.fault.endswith(f"; the loss's scale is now {halved:g}")
    assert 1 < record.step <= FAULTS and digest(here.model) != before
    list(records)
    reached = here.progress.loss_scale["scale"]
    assert reached == 2.0 ** (26 - here.progress.skipped)


def test_the_scale_goes_on_with_the_run(tmp_path) -> None:
    """And is left behind where the run goes on in another precision."""
    half = replace(CPU, precision=torch.float16)
    after(run(recipe(), tmp_path, settings=half), 3)
    resumed = run(recipe(), tmp_path, settings=half)
    assert resumed.progress.loss_scale["_growth_tracker"] == 3
    after(resumed, 2)
    assert resumed.progress.loss_scale["_growth_tracker"] == 5
    single = run(recipe(), tmp_path)
    assert list(single.records())[-1].step == 6


@pytest.mark.filterwarnings("ignore:update .* left out")
def test_without_fp16_there_is_no_scale() -> None:
    here = run(recipe())
    records = spoil(here, lambda step: step == 1, math.inf)
    assert "scale" not in list(records)[1].fault
    assert here.progress.loss_scale == {}


def test_bf16_learns_what_float32_learns() -> None:
    losses = []
    for precision in (torch.float32, torch.bfloat16):
        here = run(recipe(), settings=replace(CPU, precision=precision))
        assert all(p.dtype == torch.float32 for p in here.model.parameters())
        losses.append([record.losses for record in after(here, 9)])
    for single, half in zip(*losses, strict=True):
        assert half == pytest.approx(single, rel=2e-2)


@pytest.mark.parametrize("pairs", [True, False])
def test_activation_checkpoints_change_no_bit(pairs: bool) -> None:
    """Dropout draws the same numbers when a layer is computed again."""
    how = recipe(pairs=pairs)
    again = replace(CPU, checkpoint_activations=True)
    trained = [run(how, sizes=DROPOUT, settings=each) for each in (CPU, again)]
    for each in trained:
        after(each, 99)
    assert digest(trained[0].model) == digest(trained[1].model)
    checkpoint_layers(trained[1].objective)  # once more: nothing happens
    layer = deepcopy(trained[1].model).bert.encoder.layers[0]
    assert layer.forward.args[0].__self__ is layer  # a copy computes its own weights


@pytest.mark.parametrize("name", list(FAMILIES))
def test_layers_of_all_families_are_computed_again(name: str) -> None:
    """Gradients are the same to the bit; each layer is called twice, in eval once."""
    config = config_like(name, small_config(**DROPOUT))
    torch.manual_seed(0)
    objective = pretraining_objective(FAMILIES[name].masked_lm(config))
    batch = sample_batch(objective, texts=2, size=16, masked=3)
    calls: list[int] = []
    for layer in dict.fromkeys(objective.model.bert.encoder.layers):
        layer.feedforward.register_forward_pre_hook(lambda *_: calls.append(1))
    found = []
    for again in (False, True):
        if again:
            checkpoint_layers(objective)
        torch.manual_seed(1)
        objective(**batch.arguments).sum().backward()
        found.append([p.grad.clone() for p in objective.parameters()])
        objective.zero_grad(set_to_none=True)
    assert all(map(torch.equal, *found))
    assert len(calls) == 3 * config.layers
    objective.eval()(**batch.arguments).sum().backward()
    assert len(calls) == 4 * config.layers


def test_what_is_computed_again_is_not_counted_as_useful() -> None:
    objective = pretraining_objective(model(recipe()))
    once = pretraining_costs(objective).weights
    checkpoint_layers(objective)
    assert torch.equal(pretraining_costs(objective).weights, once)
    assert objective.training


def test_compile_on_a_cpu_is_refused() -> None:
    here = run(recipe(), settings=replace(CPU, compile=True))
    with pytest.raises(ValueError, match="compile=True on cpu: nothing is gained"):
        next(here.records())


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no head for masked pieces; give"):
        pretraining_objective(nn.Linear(2, 2))
