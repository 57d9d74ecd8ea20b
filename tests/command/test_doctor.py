"""`bertcore doctor`: each fault is found in a run that has it, none in a sound one."""

import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bertcore.__main__ import main
from bertcore.cards import read_card
from bertcore.command import session
from bertcore.tasks import KINDS
from bertcore.tasks.rows import TaskSet, Text
from bertcore.text.batch import TrainingBatch
from bertcore.text.prepare import packaged
from bertcore.training import pretraining
from bertcore.training.devices import measure
from bertcore.training.doctor import Course, _losses, diagnose
from bertcore.training.evaluate import HeldOut
from bertcore.training.loop import Diverged
from bertcore.training.objectives import PretrainingBatches
from bertcore.training.pretraining import make_examples
from bertcore.training.recipe import Tuning
from tests.training import small
from tests.training.test_families import TRAINED, begun
from tests.training.test_finetune import (
    CPU,
    EPOCHS,
    FILLERS,
    TOKENIZER,
    TUNING,
    config,
    data,
    run,
    scripted,
    task_model,
)

measured = cache(measure)


@pytest.fixture(autouse=True, scope="module")
def measured_once() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            session,
            "measure",
            lambda device, precision: measured(device),
        )
        yield


def found(folder: Path) -> str:
    """What is wrong, in one text."""
    return "\n".join(diagnose(str(folder)).lines())


def tuned(folder: Path, kind: str = "classification", **given: Any) -> str:
    """What is found after fine-tuning into a folder."""
    changes = {"epochs": EPOCHS[kind], "learning_rate": 1e-2, "warmup": 0.1}
    how = given.pop("how", TUNING.replace(**changes))
    run(kind, how, folder=folder, **given).run()
    return found(folder)


def classes(count: int, right: Any, seed: int = 0) -> TaskSet:
    """Rows of "good" and "bad", labelled as `right` says of random and word."""
    rng, rows = random.Random(seed), []
    for number in range(count + 40):
        word = rng.choice(["good", "bad"])
        text = " ".join([*rng.choices(FILLERS, k=5), word, f"{number}"])
        rows.append(Text(text, right(rng, word)))
    parts = rows[:count], rows[count:], []
    return TaskSet("made", "classification", ("bad", "good"), *parts, "here", "MIT")


def shuffled(rng: random.Random, word: str) -> str:
    return rng.choice(["good", "bad"])


# Fine-tuning --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_run(kind: str, tmp_path: Path) -> None:
    said = tuned(tmp_path, kind, data=data(kind, 160))
    assert re.match(r"nothing found in \d+ updates\b", said)
    unseen = "\nnot looked at: whether the loss is that of a model that does not look"
    assert (unseen in said) is (kind == "answers")


def test_one_class_is_always_given(tmp_path: Path) -> None:
    rare = classes(120, lambda rng, word: "good" if rng.random() < 0.1 else "bad")
    said = tuned(tmp_path, data=rare, how=Tuning(epochs=3, batch=16, length=32))
    assert ". the answer to each validation row is the same: bad." in said
    assert "--class-weights balanced" in said


def test_a_learning_rate_that_is_too_low(tmp_path: Path) -> None:
    how = TUNING.replace(epochs=4, learning_rate=1e-7)
    said = tuned(tmp_path, how=how)
    level, line = map(float, re.findall(r"loss is (\S+), and (\S+) is", said)[0])
    # Three classes, about as frequent as each other.
    assert line == pytest.approx(1.07, abs=0.03) and level > 0.97 * line
    assert "only knows how frequent each answer is" in said
    assert "--learning-rate" in said and "--rows 32 --epochs 100" in said


def test_a_learning_rate_that_is_too_high(tmp_path: Path) -> None:
    said = tuned(tmp_path, how=TUNING.replace(epochs=10, learning_rate=0.5))
    assert "1. the training loss rises from " in said
    assert "--learning-rate 0.17 or lower (it was 0.5)" in said


def test_a_learning_rate_that_did_not_rise(tmp_path: Path) -> None:
    """The run was stopped in its warm-up; at first it is 0."""
    here = run("classification", TUNING.replace(warmup=1.0), folder=tmp_path)
    for updates, highest, done in ((1, "0", "8%"), (3, "0.00075", "33%")):
        small.after(here, updates)
        said = found(tmp_path)
        assert f"1. the learning rate was {highest} at most, and 0.003 was" in said
        assert f"{done} of the run is done, and warm-up takes 100% of it" in said
        assert "--epochs, or let the run go on with bertcore resume" in said


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """Whether the run ended, diverged, or its weights were damaged later."""
    here = run("classification", TUNING.replace(learning_rate=1e30), folder=tmp_path)
    with pytest.raises(Diverged), pytest.warns(UserWarning, match="left out"):
        here.run()
    said = found(tmp_path)
    assert re.search(r"1. \d+ of \d+ updates were left out", said)
    assert "begin anew with a lower --learning-rate (it was 1e+30)" in said
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"][0] = torch.nan
    save_file(tensors, path)
    assert "1 tensors hold numbers that are infinite, or none: classifier" in found(
        tmp_path
    )


def test_shuffled_labels_are_learnt_by_heart(tmp_path: Path) -> None:
    """Each row has a word of its own, so it can be."""
    how = Tuning(epochs=60, batch=16, learning_rate=3e-3, length=32)
    pieces = [*TOKENIZER.vocabulary, *map(str, range(200))]
    more = type(TOKENIZER)(pieces)
    said = tuned(
        tmp_path,
        data=classes(48, shuffled, seed=3),
        how=how,
        tokenizer=more,
        sizes={"vocab_size": len(pieces)},
    )
    assert "it learns its rows by heart (loss 0." in said
    assert "their labels may have been shuffled" in said


def test_shuffled_labels_that_cannot_be_learnt(tmp_path: Path) -> None:
    how = Tuning(epochs=6, batch=16, learning_rate=1e-3, length=32)
    said = tuned(tmp_path, data=classes(300, shuffled), how=how)
    assert "is that of a model that does not look at the text" in said
    assert "their labels may have been shuffled" in said


def test_scores_that_fall(tmp_path: Path, monkeypatch) -> None:
    how = TUNING.replace(epochs=4, learning_rate=1e-2)
    here = run("classification", how, folder=tmp_path)
    scripted(here, monkeypatch, [0.8, 0.9, 0.7, 0.6])
    here.run()
    said = found(tmp_path)
    assert "falls from 0.900 after update 12 to 0.600 after update 24" in said
    assert "it overfits" in said and "--patience 1" in said


def test_parameters_that_do_not_learn(tmp_path: Path) -> None:
    """Frozen by hand, or cut off from the loss; not so if it was asked for."""
    labels = data("classification").labels
    for number, option in enumerate(({}, {"frozen": True})):
        model = task_model("classification", config(), labels, 0)
        model.bert.requires_grad_(bool(option))
        how = TUNING.replace(**option)
        said = tuned(tmp_path / str(number), how=how, weights=model)
        assert ("parameters learn, and neither --frozen nor" in said) is not option
    model = task_model("classification", config(), labels, 0)
    first = model.bert.encoder.layers[0]
    first.register_forward_hook(lambda module, given, states: states.detach())
    said = tuned(tmp_path / "cut", weights=model)
    assert re.search(r"no gradient has reached \d+ parameters: model.bert.emb", said)


def test_texts_in_which_nothing_stands(tmp_path: Path) -> None:
    rows = data("classification")
    rows = rows._replace(valid=[], test=[])
    empty = [row._replace(text="\u200b", pair=None) for row in rows.train]
    said = tuned(tmp_path / "empty", data=rows._replace(train=empty))
    assert "the texts are nearly empty: 2.0 tokens each" in said
    foreign = [row._replace(text="мама мыла раму", pair=None) for row in rows.train]
    said = tuned(tmp_path / "foreign", data=rows._replace(train=foreign))
    assert "60% of all pieces are unknown to the vocabulary" in said


# Pretraining --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "texts"
    packaged("tales", folder, 300, workers=1)
    return folder


def pretrained(texts: Path, out: Path, steps: int, *more: str) -> int:
    given = ["--data", str(texts), "--steps", str(steps), "--looks", "2"]
    return main(["pretrain", "--out", str(out), "--plan", "minute", *given, *more])


def test_a_sound_run_and_its_model(texts: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert pretrained(texts, out, 300) == 0
    capsys.readouterr()
    for name in (out, out / "model"):
        assert main(["doctor", str(name)]) == 0
        assert capsys.readouterr().out == "nothing found in 300 updates\n"
    (out / "card.json").unlink()  # as after a crash
    assert found(out) == "nothing found in 300 updates"
    (out / "model" / "card.json").unlink()
    said = found(out / "model")
    assert said.startswith("nothing found\nnot looked at: how it was trained")


def test_labels_one_place_off(texts: Path, tmp_path: Path, monkeypatch) -> None:
    """While it learns, each masked place has the label of the one before it."""

    class Shifted(PretrainingBatches):
        def __getitem__(self, number: int) -> TrainingBatch:
            batch = super().__getitem__(number)
            inputs = batch.arguments
            places, ids = inputs["masked_positions"], inputs["input_ids"].flatten()
            whole = ids.index_copy(0, places, inputs["labels"])
            arguments = {**inputs, "labels": whole[places - 1]}
            return batch._replace(arguments=arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "PretrainingBatches", Shifted)
        assert pretrained(texts, tmp_path / "run", 200) == 0
    said = found(tmp_path / "run")
    assert "at a mask the model predicts the piece before it (loss" in said
    assert "its labels were shifted by one place" in said


def test_stuck_at_the_unigram_line(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert pretrained(texts, out, 30, "--learning-rate", "1e-6") == 0
    said = found(out)
    assert "only knows how frequent each piece is" in said
    assert "train longer, or begin anew with --learning-rate 3e-06 or higher" in said


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("learning rate too low", "--learning-rate 0.0003 or higher (it was 0.0001)"),
        ("learning rate too high", "--learning-rate 0.1 or lower (it was 0.3)"),
        ("learning rate ten times too high", "--learning-rate 0.013 or lower"),
        ("labels one place off", "labels in their places"),
    ],
)
def test_recorded_faults_are_told_apart(fault: str, advice: str) -> None:
    card = read_card("faults")
    rate, ends = card["setting"]["learning_rates"][fault], [*range(20, 121, 20)]
    for chart in card["results"][fault]:
        course = Course(
            results={"steps": 120, "steps_left_out": 0, "progress": 1.0},
            setting={"recipe": {}},
            asked={"learning_rate": rate, "warmup": 0.1},
            ends=ends,
            losses=chart["training"],
            rates=[rate] * len(ends),
            gradients=[chart["longest gradient"]] * len(ends),
            line=chart["unigram"],
            level=chart["held out"]["120"],
        )
        (finding,) = _losses(course)
        assert [finding.what] == chart["doctor"][:1] and advice in finding.remedy


def test_too_few_updates_tell_nothing(texts: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert pretrained(texts, out, 3) == 0
    said = found(out)
    assert said.endswith("not looked at: the loss, because 3 updates are too few")
    assert pretrained(texts, tmp_path / "far", 40, "--learning-rate", "1e30") == 3
    assert "1. 10 of 11 updates were left out" in found(tmp_path / "far")
    capsys.readouterr()
    for name, message in (("none", "none"), (str(tmp_path), "holds no card.json")):
        assert main(["doctor", name]) == 1
        assert message in capsys.readouterr().err


def test_held_out_texts_that_get_worse(tmp_path: Path) -> None:
    """Six tales are soon known by heart."""
    recipe = small.recipe(
        steps=160, batch=16, pass_size=16, pairs=False, learning_rate=1e-2
    )
    others, few = small.store(1, 30), small.store(0, 6)
    held_out = HeldOut(others, make_examples(others, recipe), small.tokenizer())
    sizes = {"initializer_range": 0.1, "hidden_size": 48, "layers": 1}
    here = small.run(recipe, tmp_path, sizes, held_out=held_out, store=few)
    small.after(here, 160)
    said = found(tmp_path)
    assert "the loss on held-out texts rises from " in said and "it overfits" in said


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_of_every_family_learns(name: str) -> None:
    here = begun(name)
    small.after(here, 3)
    card = here.card()["setting"]
    assert card["without_gradient"] == []
    assert card["parameters"] == card["parameters_learnt"]
    assert CPU is here.settings
