"""Windows over long texts: they read the end, and change nothing for short texts."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from bertcore.tasks.rows import TaskSet, Text
from bertcore.tasks.task import FeatureSettings
from bertcore.training.checkpoint import check_identity
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning
from tests.training.small import CPU, digest
from tests.training.test_finetune import (
    FILLERS,
    LABELS,
    TOKENIZER,
    config,
    data,
    run,
)

LENGTH = 48  # of a window
READ = pytest.mark.parametrize("kind", ["classification", "regression", "multilabel"])
each_pool = pytest.mark.parametrize("pool", ["mean", "max"])


def reader(kind: str, windows: str | None, stride: int | None = 9) -> Predictor:
    """Random weights, the same for all."""
    labels = LABELS.get(kind, ())
    model = task_model(kind, config(initializer_range=0.5), labels, 0)
    reading = FeatureSettings(TOKENIZER, LENGTH, stride, windows=windows)
    return Predictor(model, kind, reading, labels, pairs=False)


def text(count: int, seed: int = 0) -> str:
    return " ".join(random.Random(seed).choices(FILLERS, k=count))


def scores(here: Predictor, *texts: str) -> torch.Tensor:
    rows = [here.task.unlabelled(each, here.settings) for each in texts]
    features = here.task.features_of(rows, here.reading, here.labels)
    return torch.cat(here.task.outputs(here, features))


@READ
@each_pool
def test_windows_are_scored_as_short_texts(kind: str, pool: str) -> None:
    """Their mean or highest scores are the text's; nothing leaks between two texts."""
    here = reader(kind, pool)
    words = text(101).split()
    # 46 words fit beside two special tokens, and each window begins 9 later.
    spans = [" ".join(words[start : start + 46]) for start in range(0, 64, 9)]
    apart = scores(here, *spans)
    expected = apart.mean(0) if pool == "mean" else apart.amax(0)
    short = text(5, seed=1)
    found = scores(here, " ".join(words), short)
    torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1:], scores(here, short), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found[0], scores(reader(kind, None), " ".join(words))[0])


@READ
def test_short_texts_are_as_before(kind: str) -> None:
    """To the bit, up to the last text that fits: scores, batches, and a training."""
    texts = [text(count, count) for count in (1, 3, 40, 45, 46)]
    assert torch.equal(
        scores(reader(kind, "max"), *texts), scores(reader(kind, None), *texts)
    )
    how = Tuning(epochs=1, batch=16, learning_rate=3e-3, length=32, stride=8)
    rows = data(kind)
    single = [row._replace(pair=None) for row in rows.train]
    rows = rows._replace(train=single, valid=[], test=[])
    digests = {
        digest(run(kind, how.replace(windows=windows), data=rows).run().model)
        for windows in (None, "mean", "max")
    }
    assert len(digests) == 1


def marked(before: int, after: int, count: int = 110) -> TaskSet:
    """Rows whose class stands only after so many words that say nothing."""
    rng = random.Random(0)
    rows = []
    for number in range(count):
        word = ("good", "bad")[number % 2]
        words = [*rng.choices(FILLERS, k=before), *[word] * after]
        rows.append(Text(" ".join(words), word))
    parts = rows[:48], rows[48:70], rows[70:]
    return TaskSet("ends", "classification", ("bad", "good"), *parts, "here", "MIT")


@pytest.mark.parametrize(
    ("pool", "rows"),
    [("max", marked(520, 12)), ("mean", marked(60, 120))],  # a mean thins one window
    ids=["max", "mean"],
)
def test_the_end_of_a_long_text_is_read(tmp_path: Path, pool: str, rows) -> None:
    """Cut off, it is chance; in windows, all is right, also after saving."""
    how = Tuning(epochs=10, batch=8, learning_rate=5e-3, length=LENGTH, stride=46)
    cut = run("classification", how, data=rows).run()
    assert cut.score(rows.test)["accuracy"] == 0.5  # both classes are as frequent
    here = run("classification", how.replace(windows=pool), data=rows).run()
    assert here.score(rows.test)["accuracy"] == 1
    here.save(tmp_path)
    again = Predictor.from_pretrained(tmp_path)
    assert again.reading.windows == pool
    assert again.predict(rows.test) == here.predictor.predict(rows.test)


def test_faults_say_what_to_do(tmp_path: Path) -> None:
    def refused(match: str, **changes: Any) -> None:
        given = {"data": marked(4, 1), **changes.pop("options", {})}
        with pytest.raises(ValueError, match=match):
            run(changes.pop("kind", "classification"), Tuning(**changes), **given)

    with pytest.raises(ValueError, match="windows='median'; give 'mean' or 'max', or"):
        Tuning(windows="median")
    refused(
        "windows='max' for tagging: it is for classification, regression, multilabel "
        "alone; leave it out",
        kind="tagging", windows="max", options={"data": data("tagging")},
    )  # fmt: skip
    refused(
        "windows='max' is for single texts, and there are pairs; leave it out",
        windows="max", options={"data": data("classification")},
    )  # fmt: skip
    refused("length=2 leaves no room for a piece in a win", windows="max", length=2)
    long = {"data": marked(60, 1)}
    refused(
        "row 0: stride=47, but a window has room for 46 pieces; give a stride of 1 to",
        windows="max", length=48, stride=47, options=long,
    )  # fmt: skip
    reader("classification", "mean").save_pretrained(tmp_path)
    about = tmp_path / "task.json"
    about.write_text(about.read_text().replace('"mean"', '"sum"'))
    with pytest.raises(ValueError, match="windows='sum'; give mean or max, or leave"):
        Predictor.from_pretrained(tmp_path)


def test_a_run_of_before_goes_on(tmp_path: Path) -> None:
    """What its checkpoint does not know of, nobody had asked for."""
    here = run("classification", settings=CPU)
    now = here.identity()
    then = {**now, "tuning": {n: v for n, v in now["tuning"].items() if n != "windows"}}
    check_identity(then, now, tmp_path)
    asked: FineTuning = run("regression", Tuning(windows="max"))
    with pytest.raises(ValueError, match="is of another run: its .*windows"):
        tuning = {**then, "rows": "", "tuning": then["tuning"]}
        check_identity(tuning, {"tuning": asked.identity()["tuning"]}, tmp_path)
