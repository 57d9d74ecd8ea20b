"""Pretrain: the smallest plan learns; what fits together; cards, recipes, plans."""

import json
import math
import re
from dataclasses import asdict

import pytest
import torch

from bertcore import BertForMaskedLM, BertForPreTraining
from bertcore.cards import read_card
from bertcore.model.variants.parts import FinalNorm, PreNormLayer, with_layers
from bertcore.text.documents import Document
from bertcore.text.prepare import find_texts
from bertcore.text.store import Store
from bertcore.text.tales import tales
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.devices import (
    Machine,
    device_name,
    measure,
    precision_for,
    precision_of,
)
from bertcore.training.engine import CARD
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import (
    MOST,
    History,
    Record,
    TrainingState,
    default_compute_settings,
)
from bertcore.training.pretraining import Pretraining, make_examples
from bertcore.training.recipe import (
    FAITHFUL,
    FAST,
    PLANS,
    Recipe,
    choose_plan,
    seconds_of,
)
from tests.training import small
from tests.training.small import CPU, after, config, digest, recipe, run, store

# It learns ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minute() -> tuple:
    """The smallest plan on tales, with its vocabulary."""
    plan, texts = PLANS["minute"], tales(2000)
    sentences = (sentence for tale in texts[:500] for sentence in tale)
    tokenizer = train_tokenizer(sentences, plan.pieces)
    apart = Store.of(tales(200, seed=1), tokenizer)
    return plan, tokenizer, Store.of(texts, tokenizer), apart


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_smallest_plan_learns_more_than_frequencies(minute, seed: int) -> None:
    """In updates, not seconds, so that a busy machine changes nothing."""
    plan, tokenizer, texts, apart = minute
    how = plan.recipe.replace(steps=160, seed=seed)
    sizes = plan.config(len(tokenizer))
    held_out = HeldOut(apart, make_examples(apart, how), tokenizer, most=400)
    torch.manual_seed(seed)
    here = Pretraining(
        BertForPreTraining(sizes),
        tokenizer,
        texts,
        how,
        held_out=held_out,
        settings=CPU,
        evaluations=2,
    )
    for _ in here.records():
        pass
    first, last = here.evaluations[0].quality, here.evaluations[-1].quality
    unigram = held_out.unigram(texts)
    assert math.log(560) - 0.2 < first.masked_lm < math.log(560) + 0.4
    assert 4.2 < unigram < 4.7
    assert last.masked_lm < unigram - 0.2
    assert last.accuracy > 0.15 > first.accuracy
    assert last.bits_per_character < 0.8 * first.bits_per_character


# Looks and cards ---------------------------------------------------------------------


def held_out(how: Recipe) -> HeldOut:
    apart = small.store(seed=1, count=20)
    examples = make_examples(apart, how)
    return HeldOut(apart, examples, small.tokenizer(), most=32)


def test_looks_are_even(tmp_path) -> None:
    """One before the first update, then at equal shares, also after a break."""
    how = recipe(steps=12)
    here = run(how, held_out=held_out(how), evaluations=4)
    after(here, 99)
    assert [look.step for look in here.evaluations] == [0, 3, 6, 9, 12]
    kept = {"held_out": held_out(how), "evaluations": 4}
    after(run(how, tmp_path, **kept), 6)
    resumed = run(how, tmp_path, **kept)
    after(resumed, 99)
    assert [look[:2] for look in resumed.evaluations] == [
        look[:2] for look in here.evaluations
    ]
    assert resumed.evaluations[-1].quality == here.evaluations[-1].quality
    assert resumed.history.column("masked_lm") == here.history.column("masked_lm")


def test_looks_change_no_bit_of_the_weights() -> None:
    how, sizes = recipe(), {"dropout": 0.1}
    one, other = run(how, sizes=sizes), run(how, sizes=sizes, held_out=held_out(how))
    after(one, 9)
    after(other, 9)
    assert len(other.evaluations) == 7 and digest(one.model) == digest(other.model)


def test_card(tmp_path) -> None:
    how = recipe()
    here = run(how, tmp_path, held_out=held_out(how), evaluations=2)
    records = after(here, 9)
    card = json.loads((tmp_path / CARD).read_text())
    assert card == json.loads(json.dumps(here.card()))
    assert card["what"] == "Pretraining of a BertForPreTraining"
    assert card["data"] == "texts in memory" and card["device"] == device_name(
        CPU.device
    )
    results, setting = card["results"], card["setting"]
    counted = {name: results[name] for name in ("steps", "steps_left_out", "tokens")}
    assert counted == {"steps": 6, "steps_left_out": 0, "tokens": records[-1].tokens}
    assert results["progress"] == 1.0
    assert results["held_out"] == here.evaluations[-1].quality._asdict()
    assert results["unigram_loss"] == held_out(how).unigram(store())
    assert Recipe(**setting["recipe"]) == how
    assert setting["parameters"] == sum(p.numel() for p in here.model.parameters())
    assert (setting["precision"], setting["processes"]) == ("float32", 1)
    assert setting["digests"]["vocabulary"] == store().manifest["vocabulary"]
    assert [point[0] for point in setting["curve"]] == [0, 3, 6]
    assert card["versions"]["torch"]


def test_a_run_without_folder_keeps_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = run(recipe())
    after(here, 9)
    here.write_card()
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_finished(tmp_path) -> None:
    after(run(recipe(), tmp_path), 9)
    again = run(recipe(), tmp_path)
    before = digest(again.model)
    assert after(again, 9) == [] and digest(again.model) == before


def test_a_run_is_saved_every_so_many_seconds(tmp_path, monkeypatch) -> None:
    here, saved = run(recipe(steps=9), tmp_path, save_every=2.5), []
    clock = iter(range(10**6))
    monkeypatch.setattr("bertcore.training.loop.time.perf_counter", lambda: next(clock))
    save = here.checkpoint
    monkeypatch.setattr(
        here, "checkpoint", lambda: (saved.append(here.progress.step), save())
    )
    after(here, 99)
    assert saved == [4, 7, 9]  # the first update is not counted in the time


# What fits together ------------------------------------------------------------------


def refused(message: str, **changes) -> None:
    how = changes.pop("recipe", recipe())
    with pytest.raises(ValueError, match=message):
        run(how, **changes)


def test_a_model_that_does_not_fit_the_recipe() -> None:
    masked, both = BertForMaskedLM(config()), BertForPreTraining(config())
    refused("BertForMaskedLM for a recipe with pairs=True; give a Bert", model=masked)
    refused(
        "BertForPreTraining for a recipe with pairs=False; give a BertForMaskedLM, or",
        model=both,
        recipe=recipe(pairs=False),
    )
    refused("length=48, but the model has 32 positions", recipe=recipe(length=48))
    refused("250 pieces, but the model has a table of 249", sizes={"vocab_size": 249})


def test_a_store_of_another_vocabulary() -> None:
    sentences = [sentence for tale in tales(80) for sentence in tale]
    other = Store.of(tales(9), train_tokenizer(sentences, 260))
    one, two = other.manifest["vocabulary"], store().manifest["vocabulary"]
    refused(f"digest is {one}, that of this tokenizer {two}; load the tok", store=other)


def test_other_layers_are_another_model(tmp_path) -> None:
    """Though the parameters' names and shapes, and the config, are the same."""
    how = recipe(pairs=False)
    after(run(how, tmp_path), 2)
    wanted = (
        r"its model is {'layers': None}.*{'layers': \['PreNormLayer', 'PreNormLayer"
    )
    for last in (None, FinalNorm):
        with pytest.raises(ValueError, match=wanted):
            run(how, tmp_path, model=with_layers(config(), PreNormLayer, last))


def test_other_layers_train_and_go_on(tmp_path) -> None:
    how = recipe(pairs=False, optimiser="muon")
    found = []
    for folder, parts in ((None, [9]), (tmp_path, [3, 9])):
        for updates in parts:
            torch.manual_seed(0)
            model = with_layers(config(), PreNormLayer, FinalNorm)
            here = run(how, folder, model=model)
            after(here, updates)
        found.append(digest(here.model))
    assert found[0] == found[1]


# Recipes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "steps=None and seconds=None; give one of the two"),
        ({"steps": 5, "seconds": 5}, "steps=5 and seconds=5; give one of the two"),
        ({"steps": 0}, "steps=0 must be more than 0"),
        ({"seconds": -1.5}, "seconds=-1.5 must be more than 0"),
        ({"seconds": math.nan}, "seconds=nan must be more than 0"),
        ({"steps": 5, "batch": 0}, "batch=0 must be more than 0"),
        ({"steps": 5, "length": -3}, "length=-3 must be more than 0"),
        ({"steps": 5, "learning_rate": 0.0}, "learning_rate=0.0 must be more than 0"),
        ({"steps": 5, "warmup": 1.01}, "warmup=1.01 is a share; give 0 to 1"),
        ({"steps": 5, "mask_rate": 15}, "mask_rate=15 is a share; give 0 to 1"),
        (
            {"steps": 5, "schedule": "cosine"},
            "no schedule 'cosine'; there are linear, released, constant",
        ),
        (
            {"steps": 5, "optimiser": "sgd"},
            "no optimiser 'sgd'; there are adamw, released, muon",
        ),
        (
            {"steps": 5, "batch": 100, "pass_size": 32},
            "batch=100 is no multiple of pass_size=32; give 96",
        ),
        (
            {"steps": 5, "batch": 16, "pass_size": 32},
            "batch=16 is no multiple of pass_size=32; give 32",
        ),
    ],
)
def test_recipes_that_make_no_sense(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**fields)


def test_a_changed_recipe() -> None:
    timed = FAITHFUL.replace(seconds=60)
    assert (timed.steps, timed.seconds) == (None, 60)
    assert timed.replace(steps=9).seconds is None
    with pytest.raises(ValueError, match="Recipe has no lr; it has steps, seconds, "):
        FAST.replace(lr=1)
    assert Recipe(**json.loads(json.dumps(FAST.to_dict()))) == FAST


def test_texts_that_are_too_few() -> None:
    """Said before a run begins; one text, with windows, is enough to learn from."""
    one, single = small.store(count=1), [[tale[0]] for tale in tales(40)]
    long = Store.of([tale * 9 for tale in tales(1)], small.tokenizer())
    with pytest.warns(UserWarning, match=r"one document.*blank line.*or pairs=False"):
        run(recipe(batch=4), store=long)
    run(recipe(batch=4, pairs=False), store=long)
    alone = Store.of(single, small.tokenizer())
    with pytest.warns(UserWarning, match="no document has two sentences, so the seco"):
        run(recipe(), store=alone)
    windows = recipe(pairs=False, pass_size=1)
    count = len(make_examples(one, windows).spans)
    with pytest.warns(UserWarning, match=f"of batch=16 reads the {count} examples mor"):
        run(windows, store=one)
    with pytest.raises(ValueError, match=f"pass_size=16, and .* give batch={count} or"):
        run(windows.replace(pass_size=16), store=one)
    with pytest.raises(
        ValueError, match="learning_rate=inf must be more than 0, and f"
    ):
        recipe(learning_rate=math.inf)


def test_a_constant_rate() -> None:
    how = recipe(schedule="constant", warmup=0.1)
    assert [how.rate_at(p) for p in (0, 0.05, 0.1, 0.9)] == [0, 0.5, 1, 1]


# Histories ---------------------------------------------------------------------------


def record(step: int) -> Record:
    return Record(step, 0.0, (1.0 / step, 0.5), 0.1, 2.0, 10 * step, 0.1 * step, 9.0)


def test_a_history_is_thinned_evenly() -> None:
    history = History()
    for step in range(1, 3 * MOST):
        history.add(record(step))
        assert len(history.rows) <= MOST
    assert history.every == 4
    assert history.column("step") == list(range(4, 3 * MOST, 4))
    assert history.column("tokens")[:2] == [40, 80]
    assert history.column("masked_lm")[0] == 0.25


def test_a_history_goes_on_after_json() -> None:
    whole, first = History(), History()
    for step in range(1, 5000):
        whole.add(record(step))
        if step < 2500:
            first.add(record(step))
    second = History(**json.loads(json.dumps(asdict(first))))
    for step in range(2500, 5000):
        second.add(record(step))
    rows = [tuple(row) for row in second.rows]
    assert (second.every, rows) == (whole.every, whole.rows)


def test_progress_is_the_share_that_is_done() -> None:
    progress = TrainingState(step=3, seconds=5.0)
    assert progress.share(recipe(steps=12)) == 0.25
    assert progress.share(FAST.replace(seconds=20)) == 0.25


# Plans and machines ------------------------------------------------------------------


def machine(operations: float, device: str) -> Machine:
    on = torch.device(device)
    return Machine(on, "some machine", torch.float32, operations, 1e10, None)


@pytest.mark.parametrize(
    ("operations", "device", "name"),
    [
        (2e10, "cpu", "minute"),
        (5e12, "cpu", "minute"),  # a server of many cores is no GPU
        (1.9e12, "cuda", "minute"),
        (2e12, "cuda", "mini"),
        (7e14, "cuda", "mini"),
    ],
)
def test_a_plan_for_the_machine(operations: float, device: str, name: str) -> None:
    assert choose_plan(machine(operations, device)) is PLANS[name]


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_each_plan_can_be_built(plan) -> None:
    sizes = plan.config(plan.pieces)
    assert plan.recipe.length <= sizes.max_positions
    with torch.device("meta"):
        kind = BertForPreTraining if plan.recipe.pairs else BertForMaskedLM
        count = sum(p.numel() for p in kind(sizes).parameters())
    assert 1e5 < count < 1.2e8


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((6, 1), torch.float32),
        ((7, 0), torch.float16),
        ((7, 5), torch.float16),  # though torch says that bfloat16 is supported
        ((8, 0), torch.bfloat16),
        ((8, 9), torch.bfloat16),
        ((9, 0), torch.bfloat16),
    ],
)
def test_precision_by_the_capability(capability, precision) -> None:
    assert precision_of(capability) == precision
    assert precision_for("cpu") == torch.float32


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((7, 5), torch.float16),  # T4
        ((8, 0), torch.bfloat16),  # A100
        ((8, 9), torch.bfloat16),  # L4
        ((9, 0), torch.bfloat16),  # H100, H200
    ],
)
def test_a_gpu_takes_the_plan_and_its_precision(
    capability, precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that is not there: what a notebook and a command would choose on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    settings = default_compute_settings()
    assert settings.device.type == "cuda" and settings.precision == precision
    assert choose_plan(machine(1e13, "cuda")) is PLANS["mini"]


def test_plans_are_what_the_cards_ran() -> None:
    """But for the time, which is the reader's, and fields of an older version."""
    english = read_card("pretraining-mini-english")["setting"]
    minutes = read_card("pretraining-minutes")["setting"]
    for plan, ran, model in (
        ("mini", english["recipe"], english["model"]),
        ("laptop", minutes["recipe"], minutes["model"]),
    ):
        ours = PLANS[plan].recipe.to_dict()
        for name in ours.keys() & ran.keys() - {"seconds", "seed"}:
            assert ran[name] == ours[name], f"{plan}: {name}"
        config = PLANS[plan].config(model["vocab_size"]).to_dict()
        for name in config.keys() & model.keys():
            assert model[name] == config[name], f"{plan}: {name}"
    assert english["compiled"] and not minutes["compiled"]


@pytest.mark.parametrize("minutes", [0, -1, math.inf, math.nan, True, "ten", None, "5"])
def test_minutes_that_are_none(minutes) -> None:
    """One sentence that says what was given, and what would do."""
    with pytest.raises(ValueError, match="no time to train for; give a number") as said:
        seconds_of(minutes)
    assert str(said.value).startswith(f"minutes = {minutes!r} is ")
    assert "\n" not in str(said.value)


def test_minutes_are_60_seconds() -> None:
    assert seconds_of(0.5) == 30 and seconds_of(10) == 600


def test_measuring() -> None:
    found = measure("cpu")
    assert 1e8 < found.operations < 1e14 and 1e7 < found.bytes < 1e13
    wanted = r".+: [\d.e-]+ TFLOP/s in float32 products .*, [\d.]+ GB/s in a copy"
    assert re.fullmatch(wanted, str(found)) and found.memory is None


def test_texts_of_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_texts("tales")
    assert (len(found.train), len(found.held_out)) == (4000, 300)
    shared = {" ".join(t) for t in found.train} & {" ".join(t) for t in found.held_out}
    assert not shared, "no story is in both"
    with pytest.raises(ValueError, match="no texts 'prose'; there are tales, int"):
        find_texts("prose")
    page = {True: "held out", False: "to train on"}
    monkeypatch.setattr(
        "bertcore.text.prepare.english",
        lambda held_out=False: [Document("", page[held_out], "")],
    )
    found = find_texts("english")
    assert (found.train, found.held_out) == (["to train on"], ["held out"])
    articles = find_texts("introductions")
    assert len(articles.train) + len(articles.held_out) == 10_033
    assert not {*articles.train} & {*articles.held_out} and articles.licence


def test_texts_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertcore.text.corpora.module_folder", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install"):
        find_texts("english")
