"""Fine-tune: it learns, stops at its best, and what it writes predicts the same."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from bertcore import Bert, BertConfig, Tokenizer
from bertcore.tasks import KINDS, plain
from bertcore.tasks.answers import FoundAnswer, best_span
from bertcore.tasks.classification import Prediction
from bertcore.tasks.multilabel import FoundLabels, LabelledText
from bertcore.tasks.rows import Answer, Question, Source, TaskSet, Text, Words
from bertcore.tasks.tagging import TaggedWords
from bertcore.tasks.task import FeatureSettings, batches
from bertcore.tasks.writing import WrittenTarget
from bertcore.text.vocabulary import SPECIAL
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning
from tests.conftest import Table
from tests.training.small import CPU, digest, distance, weights

FILLERS = "the a is on of and with old new tree house river stone walks sings".split()
PEOPLE, PLACES = ("Ada", "Émilie", "Bob"), ("Paris", "Zürich", "東")
COLOURS = ("red", "green", "blue")
PIECES = [
    *SPECIAL,
    *FILLERS,
    *"good bad fine one two three four ada emilie bob paris zurich 東 york what colour "
    "red green blue deep du chatelet , . ? un ##believ ##able".split(),
]
TOKENIZER = Tokenizer(PIECES)
each_kind = pytest.mark.parametrize("kind", KINDS)
each_body = pytest.mark.parametrize("kind", [k for k in KINDS if k != "writing"])


def config(**changes: Any) -> BertConfig:
    sizes: dict[str, Any] = dict(
        vocab_size=len(PIECES),
        hidden_size=24,
        layers=2,
        heads=2,
        feedforward_size=48,
        max_positions=48,
        dropout=0.0,
        attention_dropout=0.0,
    )
    return BertConfig(**{**sizes, **changes})


# Rows: a rule of one word ------------------------------------------------------------


def phrase(rng: random.Random, count: int = 5) -> list[str]:
    return [rng.choice(FILLERS) for _ in range(count)]


def with_word(rng: random.Random, *added: str) -> list[str]:
    """Some fillers, and the words somewhere between them, beside each other."""
    words = phrase(rng, rng.randrange(2, 7))
    at = rng.randrange(len(words) + 1)
    return [*words[:at], *added, *words[at:]]


def a_class(rng: random.Random) -> Text:
    word = rng.choice(["good", "bad", "fine"])
    pair = " ".join(phrase(rng)) if rng.random() < 0.3 else None
    return Text(" ".join(with_word(rng, word)), f"is {word}", pair)


def a_number(rng: random.Random) -> Text:
    value = rng.randrange(4)
    word = ["one", "two", "three", "four"][value]
    return Text(" ".join(with_word(rng, word)), value / 2)


def several(rng: random.Random) -> LabelledText:
    """One label, two or none, by a word."""
    labels = {"good": ("good",), "bad": ("bad", "good"), "fine": ()}
    word = rng.choice([*labels])
    return LabelledText(" ".join(with_word(rng, word)), labels[word])


def tagged(rng: random.Random) -> Words:
    kind = rng.choice(["person", "place", "town"])
    names = {"person": (rng.choice(PEOPLE),), "place": (rng.choice(PLACES),)}
    name = names.get(kind, ("new", "York"))
    words = with_word(rng, *name)
    at = words.index(name[-1]) - len(name) + 1
    tags = ["O"] * len(words)
    tags[at : at + len(name)] = [f"B-{kind}", f"I-{kind}"][: len(name)]
    return Words(tuple(words), tuple(tags))


def asked(rng: random.Random) -> Question:
    """Which colour? A quarter of the contexts has none."""
    colour = rng.choice(COLOURS).capitalize()
    answer = [colour] if rng.random() < 0.5 else ["deep", colour]
    if rng.random() < 0.25:
        return Question("what colour?", " ".join(phrase(rng, 7)), ())
    context = " ".join(with_word(rng, *answer))
    text = " ".join(answer)
    return Question("what colour?", context, (Answer(text, context.index(text)),))


def written(rng: random.Random) -> Source:
    """Whether it is good, and what it is."""
    word, what = rng.choice(["good", "bad", "fine"]), rng.choice(COLOURS)
    return Source(" ".join(with_word(rng, word, what)), f"{what} is {word}")


MAKE = Table(
    "MAKE",
    {
        "classification": a_class,
        "regression": a_number,
        "multilabel": several,
        "tagging": tagged,
        "answers": asked,
        "writing": written,
    },
)
LABELS = {
    "classification": ("is bad", "is fine", "is good"),
    "multilabel": ("bad", "good"),
    "tagging": ("O", *(f"{b}-{t}" for t in ("person", "place", "town") for b in "BI")),
}


def data(kind: str, train: int = 96, valid: int = 24, test: int = 60) -> TaskSet:
    rng = random.Random(5)
    rows = [MAKE[kind](rng) for _ in range(train + valid + test)]
    parts = rows[:train], rows[train : train + valid], rows[train + valid :]
    return TaskSet("tiny", kind, LABELS.get(kind, ()), *parts, "made here", "MIT")


TUNING = Tuning(epochs=2, batch=16, learning_rate=3e-3, warmup=0.0, length=32, seed=3)


def run(kind: str, how: Tuning = TUNING, **options: Any) -> FineTuning:
    """A run that has not begun."""
    start = options.pop("weights", None) or config(**options.pop("sizes", {}))
    given = options.pop("data", None) or data(kind)
    options = {"settings": CPU, "tokenizer": TOKENIZER, **options}
    return FineTuning(given, start, how, **options)


EPOCHS = Table(
    "EPOCHS",
    {
        "classification": 12,
        "regression": 16,
        "multilabel": 16,
        "tagging": 8,
        "answers": 10,
        "writing": 12,
    },
)


class Runs(dict[str, FineTuning]):
    """A run of each kind to its end, with a folder, made when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, kind: str) -> FineTuning:
        how = TUNING.replace(epochs=EPOCHS[kind], learning_rate=1e-2, warmup=0.1)
        self[kind] = FineTuning(
            data(kind, 160),
            config(),
            how,
            settings=CPU,
            tokenizer=TOKENIZER,
            folder=self.folder / kind,
        ).run()
        return self[kind]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("models"))


# It learns ---------------------------------------------------------------------------


@each_kind
def test_it_learns_a_rule(trained, kind: str) -> None:
    """Rows that it has not seen, nearly all right; the loss falls."""
    here = trained[kind]
    assert here.score(here.data.test)[KINDS[kind].main] > 0.9
    assert here.losses[-1] < here.losses[0] / 3
    assert len(here.losses) == here.recipe.steps == here.progress.step
    rows = {row for part in (here.data.train, here.data.valid) for row in part}
    assert len(set(here.data.test) - rows) > 40, "unseen"


@each_kind
def test_the_model_is_that_of_the_best_look(trained, kind: str) -> None:
    here = trained[kind]
    again = here.score(here.data.valid)
    assert here.best is not None and again == here.best.scores
    assert here.best.scores[KINDS[kind].main] == max(
        look.scores[KINDS[kind].main] for look in here.evaluations
    )


@each_kind
def test_the_same_seed_gives_the_same_bits(kind: str) -> None:
    """Whatever else draws random numbers in between."""
    found = []
    for number in range(2):
        here = run(kind, sizes={"dropout": 0.1, "attention_dropout": 0.1})
        for _ in here.records():
            torch.rand(number + 1)
        found.append((digest(here.model), here.evaluations[-1].scores, here.losses))
    assert found[0] == found[1]
    other = run(kind, TUNING.replace(seed=4, epochs=0.4)).run()
    first = run(kind, TUNING.replace(epochs=0.4)).run()
    assert digest(other.model) != digest(first.model)
    assert other.losses != first.losses


def test_the_seed_orders_the_rows(tmp_path: Path) -> None:
    """Also where the head was there before."""
    task_model("regression", config(), (), 0).save_pretrained(tmp_path)
    one, other = (
        run("regression", TUNING.replace(seed=seed), weights=tmp_path)
        for seed in (0, 1)
    )
    assert digest(one.model) == digest(other.model)
    assert one.batches.numbers(0) != other.batches.numbers(0)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_change_no_bit() -> None:
    settings = replace(CPU, workers=2)
    one, other = run("tagging").run(), run("tagging", settings=settings).run()
    assert digest(one.model) == digest(other.model)


@each_kind
def test_gradients_do_not_depend_on_the_size_of_a_pass(kind: str) -> None:
    """Each mean is over the whole update, though passes differ in what they ask."""
    found = []
    for size in (16, 4, 1):
        here = run(kind, TUNING.replace(pass_size=size))
        works = [here.batches[n] for n in range(16 // size)]
        count = sum(work.counts for work in works)
        for work in works:
            (here.objective(**work.arguments) / count).sum().backward()
        found.append({n: p.grad for n, p in here.model.named_parameters()})
    assert distance(found[1], found[0]) < 1e-6
    assert distance(found[2], found[0]) < 1e-6


@each_kind
def test_a_run_does_not_depend_on_the_size_of_a_pass(kind: str) -> None:
    one, other = (
        run(kind, TUNING.replace(pass_size=size, epochs=0.5, clip=0.0)).run()
        for size in (16, 4)
    )
    assert other.losses == pytest.approx(one.losses, rel=1e-5)
    assert distance(weights(other.model), weights(one.model)) < 1e-4


def test_the_loss_is_the_mean_of_all_that_is_asked() -> None:
    here = run("tagging")
    work = here.batches[0]
    with torch.no_grad():
        expected = (here.objective(**work.arguments) / work.counts).item()
    record = next(here.records())
    assert record.losses == pytest.approx((expected,), rel=1e-5)
    assert work.counts == sum(len(here.batches.features[n].targets)
                              for n in here.batches.numbers(0))  # fmt: skip


# Looks, patience, break --------------------------------------------------------------


def scripted(
    here: FineTuning, monkeypatch: pytest.MonkeyPatch, values: list[float]
) -> list[str]:
    """Validation scores as given; returns what the weights were at each look."""
    seen: list[str] = []

    def score(rows: list[Any], guesses: list[Any]) -> dict[str, float]:
        assert rows is here.data.valid and len(guesses) == len(rows)
        seen.append(digest(here.model))
        return {"accuracy": values[len(seen) - 1]}

    monkeypatch.setattr(here, "score", score)
    return seen


def test_patience_ends_it_at_the_best_weights(monkeypatch, tmp_path: Path) -> None:
    how = TUNING.replace(epochs=9, patience=2)
    here = run("classification", how, folder=tmp_path)
    seen = scripted(here, monkeypatch, [0.5, 0.6, 0.9, 0.9, 0.7, 1.0])
    assert [record.step for record in here.records()] == list(range(1, 31))
    assert len(seen) == 5, "two looks that are no better; as good is not better"
    assert digest(here.model) == seen[2] and len(set(seen)) == 5
    assert here.best == here.evaluations[2] and here.best.scores == {"accuracy": 0.9}
    assert [(look.epoch, look.step) for look in here.evaluations] == [
        (n, 6 * n) for n in range(1, 6)
    ]
    saved = Predictor.from_pretrained(tmp_path)
    assert digest(saved.model) == seen[2]


def test_without_patience_the_best_weights_are_kept(monkeypatch) -> None:
    here = run("classification", TUNING.replace(epochs=4))
    seen = scripted(here, monkeypatch, [0.5, 0.9, 0.1, 0.2])
    here.run()
    assert len(seen) == 4 and digest(here.model) == seen[1] != seen[3]


@pytest.mark.parametrize(
    ("epochs", "looks", "steps"),
    [(2, 1, [6, 12]), (1, 3, [2, 4, 6]), (1.5, 1, [6, 9]), (0.2, 1, [1])],
)
def test_when_it_looks(monkeypatch, epochs: float, looks: int, steps) -> None:
    """So many times in an epoch, and at the end."""
    here = run("classification", TUNING.replace(epochs=epochs, looks=looks))
    scripted(here, monkeypatch, [0.5] * 9)
    here.run()
    assert [look.step for look in here.evaluations] == steps
    assert [look.epoch for look in here.evaluations] == [step / 6 for step in steps]


def test_break_leaves_the_best_weights(monkeypatch, tmp_path: Path) -> None:
    here = run("classification", TUNING.replace(epochs=9), folder=tmp_path)
    seen = scripted(here, monkeypatch, [0.9, 0.5, 0.4])
    for record in here.records():
        if record.step == 15:
            break
    assert len(seen) == 2 and digest(here.model) == seen[0]
    assert digest(Predictor.from_pretrained(tmp_path).model) == seen[0]
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["results"]["steps"] == 15
    assert card["results"]["validation"] == {"accuracy": 0.9}


def test_break_before_a_look_leaves_the_weights_as_they_are() -> None:
    here = run("tagging")
    start = digest(here.model)
    for record in here.records():
        if record.step == 2:
            break
    assert not here.evaluations and here.best is None and digest(here.model) != start


def test_without_validation_rows(tmp_path: Path) -> None:
    given = data("tagging", valid=0)
    here = run("tagging", data=given, folder=tmp_path).run()
    assert here.best is None and not here.evaluations
    assert digest(Predictor.from_pretrained(tmp_path).model) == digest(here.model)
    assert (
        "validation" not in json.loads((tmp_path / "card.json").read_text())["results"]
    )


def test_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("regression", TUNING.replace(epochs=0.5)).run(progress=True).losses
    assert "updates" in capfd.readouterr().err


class Poisoned(Text):
    """A row that cannot be read any more once `armed`."""

    armed = False

    def __getattribute__(self, name: str) -> Any:
        if Poisoned.armed:
            raise RuntimeError("a test row was read")
        return super().__getattribute__(name)

    def __iter__(self) -> Iterator[Any]:
        self.__getattribute__("text")
        return super().__iter__()

    def __getitem__(self, place: Any) -> Any:
        self.__getattribute__("text")
        return super().__getitem__(place)


def test_training_reads_no_test_row(monkeypatch, tmp_path: Path) -> None:
    """They are checked for faults at the beginning, and then left alone."""
    whole = data("classification")
    poisoned = [Poisoned(*row) for row in whole.test]
    here = run("classification", data=whole._replace(test=poisoned), folder=tmp_path)
    monkeypatch.setattr(Poisoned, "armed", True)
    here.run()
    with pytest.raises(RuntimeError, match="a test row was read"):
        here.score(here.data.test)
    without = run("classification", data=whole._replace(test=[])).run()
    assert digest(without.model) == digest(here.model)


# What learns -------------------------------------------------------------------------


def moved(here: FineTuning) -> set[str]:
    """The parameters that a run changes."""
    before = weights(here.model)
    here.run()
    after = weights(here.model)
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("classification", {"classifier.", "bert.pooler."}),
        ("multilabel", {"classifier.", "bert.pooler."}),
        ("tagging", {"classifier."}),
        ("answers", {"spans."}),
    ],
)
def test_frozen(kind: str, head: set[str]) -> None:
    here = run(kind, TUNING.replace(frozen=True))
    ends = ("weight", "bias")
    dense = {name: "dense." if "pooler" in name else "" for name in head}
    assert moved(here) == {f"{n}{dense[n]}{end}" for n in head for end in ends}


@each_body
def test_low_rank(kind: str) -> None:
    here = run(kind, TUNING.replace(rank=2))
    changed = moved(here)
    heads = ("classifier.", "spans.", "bert.pooler.")
    inside = {name for name in changed if not name.startswith(heads)}
    assert inside == {
        f"bert.encoder.layers.{n}.attention.{name}.{part}"
        for n in range(2)
        for name in ("query", "value")
        for part in ("up", "down")
    }
    assert changed - inside
    assert here.card()["setting"]["parameters_learnt"] == sum(
        dict(here.model.named_parameters())[name].numel() for name in changed
    )


@each_body
def test_a_low_rank_model_is_saved_merged(kind: str, tmp_path: Path) -> None:
    here = run(kind, TUNING.replace(rank=2, learning_rate=2e-2), folder=tmp_path).run()
    rows = here.data.test[:12]
    expected = here.predictor.predict(rows)
    saved = Predictor.from_pretrained(tmp_path)
    assert set(weights(saved.model)) == set(weights(run(kind).model))
    same(saved.predict(rows), expected)
    assert any("up" in name for name in weights(here.model)), "goes on as it is"
    same(here.predictor.predict(rows), expected)


# What it writes ----------------------------------------------------------------------


def same(found: list[Any], expected: list[Any], limit: float = 1e-5) -> None:
    """The same answers, and their numbers within the limit."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        if isinstance(one, float):
            assert one == pytest.approx(other, abs=limit)
        elif isinstance(one, Prediction):
            assert one.label == other.label
            assert one.probability == pytest.approx(other.probability, abs=limit)
            assert one.probabilities == pytest.approx(other.probabilities, abs=limit)
        elif isinstance(one, FoundLabels):
            assert one.labels == other.labels
            assert one.probabilities == pytest.approx(other.probabilities, abs=limit)
        elif isinstance(one, FoundAnswer):
            assert one[:3] == other[:3]
            assert one.margin == pytest.approx(other.margin, abs=10 * limit)
        elif isinstance(one, WrittenTarget):
            assert one.text == other.text
            assert one.score == pytest.approx(other.score, abs=10 * limit)
        else:
            assert one == other


@each_kind
def test_what_is_saved_predicts_the_same(trained, kind: str) -> None:
    here = trained[kind]
    saved = Predictor.from_pretrained(here.folder)
    same(saved.predict(here.data.test), here.predictor.predict(here.data.test), 0)
    assert saved.labels == here.data.labels and saved.reading.length == 32
    assert plain(saved.predict(here.data.test)) == plain(
        here.predictor.predict(here.data.test)
    )


def test_text_classification_of_transformers(trained) -> None:
    here = trained["classification"]
    classify = transformers.pipeline("text-classification", str(here.folder))
    for row, guess in zip(
        here.data.test, here.predictor.predict(here.data.test), strict=True
    ):
        given = {"text": row.text} if row.pair is None else {
            "text": row.text, "text_pair": row.pair
        }  # fmt: skip
        found = {each["label"]: each["score"] for each in classify(given, top_k=None)}
        assert found == pytest.approx(guess.probabilities, abs=1e-5)
        assert max(found, key=found.__getitem__) == guess.label


def test_a_number_by_transformers(trained) -> None:
    here = trained["regression"]
    read = transformers.pipeline("text-classification", str(here.folder))
    texts = [row.text for row in here.data.test]
    expected = here.predictor.predict(texts)
    assert [each["score"] for each in read(texts)] == pytest.approx(expected, abs=1e-5)
    assert max(expected) > 1.1, "no probability"


def test_token_classification_of_transformers(trained) -> None:
    here = trained["tagging"]
    tag = transformers.pipeline(
        "token-classification", str(here.folder), ignore_labels=[]
    )
    rows = [*here.data.test, Words(("unbelievable", "Émilie", "walks", "on"))]
    for row, ours in zip(rows, here.predictor.predict(rows), strict=True):
        found = {each["start"]: each["entity"] for each in tag(" ".join(row.words))}
        starts = [len(" ".join([*row.words[:n], ""])) for n in range(len(row.words))]
        assert tuple(found[start] for start in starts) == ours.tags


def test_question_answering_of_transformers(trained) -> None:
    """Its pipeline for that has been taken out; its model and tokenizer are there."""
    here = trained["answers"]
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(here.folder)
    read = transformers.AutoTokenizer.from_pretrained(here.folder)
    texts = []
    for row in here.data.test:
        batch = read(
            row.question, row.context, return_tensors="pt", return_offsets_mapping=True
        )
        places = batch.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            logits = model(**batch)
        start, end = logits.start_logits[0], logits.end_logits[0]
        begin = batch.sequence_ids(0).index(1)
        first, last, total = best_span(start[begin:-1], end[begin:-1])
        text = row.context[places[begin + first][0] : places[begin + last][1]]
        texts.append(text if total > start[0] + end[0] else "")
    ours = here.predictor.predict(here.data.test)
    assert texts == [found.text for found in ours]
    assert len(set(texts)) > 4 and "" in texts


def test_it_goes_on_from_what_another_run_wrote(trained) -> None:
    """Weights, tokenizer and head come from the folder."""
    before = trained["classification"]
    given = data("classification")
    here = FineTuning(given, before.folder, TUNING.replace(epochs=0.1), settings=CPU)
    assert here.predictor.reading.tokenizer.vocabulary == PIECES
    assert here.score(given.test) == before.score(given.test)
    here.run()


def test_a_new_head_on_a_body(tmp_path: Path) -> None:
    """Without a warning: it is what one came for."""
    body = Bert(config())
    body.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    here = FineTuning(data("tagging"), str(tmp_path), TUNING, settings=CPU)
    found = weights(here.model.bert)
    assert all(torch.equal(found[n], v) for n, v in weights(body).items() if n in found)
    assert here.model.config.label_names == LABELS["tagging"]
    assert here.run().losses


def test_the_card(trained) -> None:
    here = trained["tagging"]
    card = json.loads((here.folder / "card.json").read_text())
    assert card == json.loads(json.dumps(here.card()))
    assert card["what"] == "Fine-tuning of a BertForTokenClassification"
    assert card["data"] == "tiny: made here"
    setting, results = card["setting"], card["results"]
    assert setting["tuning"] == here.tuning.to_dict()
    assert setting["rows"] == [160, 24, 60] and setting["weights"] == "random"
    assert setting["parameters"] == setting["parameters_learnt"] > 5000
    assert len(setting["curve"]) == 8 == len(here.evaluations)
    assert results["validation"] == here.best.scores
    assert results["steps"] == 80 and results["rows_left_out"] == 0
    assert results["tokens"] == here.progress.tokens
    more = here.card(test=here.score(here.data.test))
    assert more["results"]["test"]["f1"] > 0.9


# Faults ------------------------------------------------------------------------------

FAULTY = {
    "classification": (Text("", "is bad"), "the text is empty"),
    "multilabel": (LabelledText("a", ("pink",)), "the label 'pink' is unknown"),
    "regression": (Text("a", float("nan")), "the label nan is not finite"),
    "tagging": (Words(("a", "b"), ("O",)), "2 words and 1 tags"),
    "answers": (Question("a", "b c", (Answer("c", 0),)), "the answer 'c' is not at 0"),
    "writing": (Source("a", " "), "the target is empty"),
}


@each_kind
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_fault_stops_it(kind: str, part: str) -> None:
    whole = data(kind, 20, 20, 20)
    row, fault = FAULTY[kind]
    rows = [*getattr(whole, part)]
    rows[3] = row
    wanted = rf"tiny, {part}: 1 of 20 rows cannot be used(?s:.*)\nrow 3: {fault}"
    with pytest.raises(ValueError, match=wanted):
        run(kind, data=whole._replace(**{part: rows}))


@each_kind
def test_faults_are_listed_and_left_out(kind: str) -> None:
    whole, (row, fault) = data(kind, 32, 8, 8), FAULTY[kind]
    spoilt = whole._replace(
        train=[row, *whole.train], valid=[*whole.valid, row], test=[row, row]
    )
    here = run(kind, data=spoilt, on_fault="skip").run()
    places = ["train, row 0", "valid, row 8", "test, row 0", "test, row 1"]
    assert [each.partition(": ")[0] for each in here.faults] == places
    assert all(each.partition(": ")[2].startswith(fault) for each in here.faults)
    assert here.data.train == whole.train and here.data.test == []
    assert here.card()["results"]["rows_left_out"] == 4
    assert digest(here.model) == digest(run(kind, data=whole).run().model)


def test_rows_and_weights_that_do_not_fit() -> None:
    whole = data("classification")
    with pytest.raises(ValueError, match="random weights came with no tokenizer; give"):
        FineTuning(whole, config(), TUNING, settings=CPU)
    with pytest.raises(
        ValueError, match="the label 'is fine' is unknown; give one of x"
    ):
        run("", data=whole._replace(labels=("x", "y")))
    with pytest.raises(ValueError, match="no rows to learn from; give one at least"):
        run("", data=whole._replace(train=[]))
    with pytest.raises(ValueError, match="length=49, but the model has 48 positions"):
        run("classification", TUNING.replace(length=49))
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere', and it is not a"):
        FineTuning(whole, "nowhere", TUNING, settings=CPU)
    with pytest.raises(ValueError, match="kind='parsing'; give classification, regr"):
        run("", data=whole._replace(kind="parsing"))
    with pytest.raises(ValueError, match="on_fault='go'; give stop or skip"):
        run("classification", on_fault="go")


def test_a_row_that_cannot_be_read() -> None:
    """Sound, but nothing is left of it, or nothing fits beside it."""
    whole = data("answers", 4)
    rows = [*whole.train, Question("what?", "\u200b", ())]
    with pytest.raises(
        ValueError, match="tiny, train: row 4: the context .* no pieces"
    ):
        run("answers", data=whole._replace(train=rows))
    pair = Text("a", "is bad", "b")
    spoilt = data("classification")._replace(train=[pair])
    wanted = "tiny, train: row 0: max_length=3 leaves no room for a piece beside the 3"
    with pytest.raises(ValueError, match=wanted):
        run("", TUNING.replace(length=3), data=spoilt)
    here = predictor("answers")
    rows = [("what?", "a b")] * 5 + [("what " * 64, "a b")]
    wanted = "row 5: length=32 leaves no room for a context beside a question of 64"
    with pytest.raises(ValueError, match=wanted):
        list(here.stream(rows, window=2))


def test_the_longest_text_is_what_the_model_takes() -> None:
    assert run("tagging", TUNING.replace(length=None)).predictor.reading.length == 48
    sizes = {"max_positions": 512}
    here = run("tagging", TUNING.replace(length=None), sizes=sizes)
    assert here.predictor.reading.length == 128


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"epochs": 0}, "epochs=0 must be more than 0, and finite"),
        ({"epochs": float("inf")}, "epochs=inf must be more than 0, and finite"),
        ({"batch": 0}, "batch=0 must be an integer of 1 or more"),
        ({"batch": 16.0}, "batch=16.0 must be an integer of 1 or more"),
        ({"pass_size": 5}, "batch=16 is no multiple of pass_size=5; give 15"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be more than 0"),
        ({"warmup": 2}, "warmup=2 is a share; give 0 to 1"),
        ({"length": 0}, "length=0 must be an integer of 1 or more"),
        ({"stride": 1.5}, "stride=1.5 must be an integer of 1 or more"),
        ({"patience": True}, "patience=True must be an integer of 1 or more"),
        ({"looks": 0}, "looks=0 must be an integer of 1 or more"),
        ({"rank": -1}, "rank=-1 must be an integer of 1 or more"),
        ({"rank": 2, "frozen": True}, "frozen=True and rank=2: the encoder stays or"),
        ({"optimiser": "muon"}, "no optimiser 'muon' here; there are adamw, released"),
        ({"optimiser": "sgd"}, "no optimiser 'sgd' here; there are adamw, released"),
        ({"epoch": 3}, "Tuning has no epoch; it has epochs, batch"),
    ],
)
def test_a_tuning_that_makes_no_sense(changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        TUNING.replace(**changes)


def test_what_a_tuning_makes_of_features() -> None:
    assert Tuning(epochs=3, batch=32).recipe(1000).steps == 94
    found = Tuning(epochs=2, batch=32).recipe(5)
    assert (found.steps, found.batch, found.one_pass) == (2, 5, 5), "each row once"
    for features, size in product((1, 2, 3, 5, 7, 31, 32, 33), (1, 2, 4, 16, 32)):
        found = Tuning(epochs=1, batch=32, pass_size=size).recipe(features)
        assert found.batch <= features and found.one_pass <= size
        assert abs(found.steps * found.batch - features) <= found.batch / 2
    how = Tuning(batch=8, pass_size=2, warmup=0.2, seed=9, optimiser="released")
    found = how.recipe(80)
    assert (found.steps, found.passes, found.warmup, found.seed) == (30, 4, 0.2, 9)
    assert found.optimiser == "released" and how == Tuning(**how.to_dict())


def test_four_rows_and_the_defaults() -> None:
    """An epoch is an update of all rows, and the first one moves the body."""
    whole = data("classification")
    few = whole._replace(train=whole.train[:4])
    here = run("classification", Tuning(length=32, epochs=1), data=few)
    before = digest(here.model.bert)
    (record,) = here.records()
    assert record.learning_rate == here.tuning.learning_rate
    assert [at[:2] for at in here.evaluations] == [(1.0, 1)]
    assert digest(here.model.bert) != before
    frozen = here.model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing can be learnt: requires_grad is Fal"):
        run("classification", weights=frozen)


# Predictor ---------------------------------------------------------------------------


def predictor(kind: str, **changes: Any) -> Predictor:
    """With random weights."""
    labels = LABELS.get(kind, ())
    model = task_model(kind, config(**changes), labels, 0)
    return Predictor(model, kind, FeatureSettings(TOKENIZER, 32, target=8), labels)


def test_parts_that_do_not_fit() -> None:
    reading = FeatureSettings(TOKENIZER, 32)
    tagger = task_model("tagging", config(), LABELS["tagging"], 0)
    wanted = "a BertForTokenClassification cannot do 'answers'; give a BertForQuestionA"
    with pytest.raises(ValueError, match=wanted):
        Predictor(tagger, "answers", reading)
    wanted = "the model has 7 scores for 2 labels; give num_labels=2"
    with pytest.raises(ValueError, match=wanted):
        Predictor(tagger, "tagging", reading, ("O", "B-x"))
    wanted = "length=64, but the model has 48 positions; give at most as many"
    with pytest.raises(ValueError, match=wanted):
        Predictor(tagger, "tagging", FeatureSettings(TOKENIZER, 64), LABELS["tagging"])
    with pytest.raises(ValueError, match="kind='parsing'; give classification, regr"):
        Predictor(tagger, "parsing", reading)


def test_a_folder_that_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no task.json; it holds nothing"):
        Predictor.from_pretrained(tmp_path)
    predictor("tagging").save_pretrained(tmp_path)
    path = tmp_path / "task.json"
    about = json.loads(path.read_text())
    wanted = "task.json says kind='parsing'; there are classification, regression"
    path.write_text(json.dumps({**about, "kind": "parsing"}))
    with pytest.raises(ValueError, match=wanted):
        Predictor.from_pretrained(tmp_path)
    path.write_text('{"kind": "tagging", "length": 8}')
    with pytest.raises(
        ValueError, match="task.json has no labels, stride; write the f"
    ):
        Predictor.from_pretrained(tmp_path)
    path.write_text(json.dumps({**about, "labels": ["O"]}))
    with pytest.raises(ValueError, match="the model has 7 scores for 1 labels; give"):
        Predictor.from_pretrained(tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match="task.json is not valid JSON"):
        Predictor.from_pretrained(tmp_path)


@each_kind
@pytest.mark.parametrize("window", [1, 7, 256])
def test_a_stream_is_lazy(kind: str, window: int) -> None:
    """It reads at most `window` rows before it answers the first of them."""
    here, read = predictor(kind), []

    def rows() -> Iterator[Any]:
        rng = random.Random(1)
        while True:
            read.append(MAKE[kind](rng))
            yield read[-1]

    stream = here.stream(rows(), window)
    assert not read
    found = []
    for number, answer in enumerate(islice(stream, window + 9), 1):
        found.append(answer)
        assert number <= len(read) < number + window
    same(found[:20], here.predict(read[:20])[: len(found)])


@each_kind
def test_the_order_is_kept_and_batches_change_nothing(trained, kind: str) -> None:
    """Texts of very different lengths, alone and together."""
    here = trained[kind].predictor
    rng = random.Random(2)
    rows = [MAKE[kind](rng) for _ in range(30)]
    long = " ".join(phrase(rng, 200))
    rows[4:4] = {
        "tagging": [Words((*long.split(), "Ada")), Words(("a",))],
        "answers": [Question("what colour?", f"{long} Red."), Question("what", "a")],
        "writing": [Source(long), Source("good")],
        "multilabel": [LabelledText(long), LabelledText("fine")],
    }.get(kind, [Text(long), Text("good")])
    if kind == "classification":  # it learnt from both, so it takes both
        rows.append(Text("a", None, long))
    together = here.predict(rows)
    same(together, [here.predict([row])[0] for row in rows])
    same(here.predict(rows[::-1]), together[::-1])
    same(list(here.stream(iter(rows), 3)), together)
    if kind == "tagging":
        assert [len(found.tags) for found in together] == [len(r.words) for r in rows]
    assert here.predict([]) == []


def test_what_rows_may_be(trained) -> None:
    """Plain Python, or rows; what they say is right is not looked at."""
    classify = trained["classification"].predictor
    same(
        classify.predict(["a good tree", ("a bad tree", "the river"), ["a", "b"]]),
        classify.predict(
            [
                Text("a good tree", "nonsense"),
                Text("a bad tree", None, "the river"),
                Text("a", "x", "b"),
            ]
        ),
    )
    tag = trained["tagging"].predictor
    words = ("Ada", "walks", "on", "Zürich")
    expected = TaggedWords(words, ("B-person", "O", "O", "B-place"))
    for row in (" Ada walks on\nZürich ", list(words), Words(words, ("O",))):
        assert tag.predict([row]) == [expected]
    assert expected.entities() == [("person", "Ada"), ("place", "Zürich")]
    answer = trained["answers"].predictor
    context = "the old river is Green and the tree sings"
    found = answer.predict(
        [
            ("what colour?", context),
            Question("what colour?", context, (Answer("x", 0),)),
        ]
    )
    assert found[0] == found[1] and found[0].text == "Green"
    assert context[found[0].start : found[0].end] == "Green" and found[0].margin > 0


@pytest.mark.parametrize(
    ("kind", "good", "bad", "wanted"),
    [
        ("classification", "a", 3, "row 2 is 3; give a text or a pair of texts"),
        (
            "classification",
            "a",
            ("a", "b", "c"),
            "row 2 is .'a', 'b', 'c'.; give a tex",
        ),
        ("regression", "a", None, "row 2 is None; give a text or a pair of texts"),
        ("regression", "a", b"x", "row 2 is b'x'; give a text or a pair of texts"),
        (
            "tagging",
            "a b",
            "  ",
            r"row 2 is '  '; give a list of words, or a text with",
        ),
        ("tagging", "a b", ["a", 1], r"row 2 is \['a', 1\]; give a list of words, or"),
        ("answers", ("a", "b"), "why?", "row 2 is 'why.'; give a question and its c"),
        (
            "answers",
            ("a", "b"),
            ("a", " "),
            "row 2 is .*; give a .* which is not empty",
        ),
    ],
)
def test_rows_that_are_none(kind: str, good: Any, bad: Any, wanted: str) -> None:
    here = predictor(kind)
    stream = here.stream([good, good, bad, good], window=2)
    assert len(list(islice(stream, 2))) == 2, "those before it are answered"
    with pytest.raises(ValueError, match=wanted):
        next(stream)
    with pytest.raises(ValueError, match=wanted):
        here.predict([good, good, bad])


@pytest.mark.parametrize(
    ("rows", "name"), [("a text", "str"), ({"text": "a"}, "dict"), (7, "int")]
)
def test_rows_that_are_no_list(rows: Any, name: str) -> None:
    wanted = rf"rows is a {name}; give a list, also for one row: \[row\]"
    with pytest.raises(ValueError, match=wanted):
        predictor("regression").predict(rows)


def test_a_window_without_rows() -> None:
    with pytest.raises(ValueError, match="window=0 rows; give 1 or more"):
        predictor("regression").stream(["a"], 0)


def test_predicting_leaves_the_mode_as_it_was() -> None:
    here = predictor("classification", dropout=0.5)
    here.model.train()
    assert here.predict(["a good tree"]) == here.predict(["a good tree"])
    assert here.model.training and here.model.classifier.weight.requires_grad


def test_batches() -> None:
    rng = random.Random(0)
    sizes = [rng.randrange(1, 40) for _ in range(200)]
    found = batches(sizes, room=100)
    assert sorted(n for some in found for n in some) == list(range(200))
    assert all(sum(sizes[n] for n in some) <= 100 for some in found)
    assert batches([300, 5], room=100) == [[0], [1]]
    assert batches([]) == []


def test_class_probabilities(trained) -> None:
    guess = trained["classification"].predictor.predict(["a good tree"])[0]
    assert guess.label == "is good" and list(guess.probabilities) == list(
        LABELS["classification"]
    )
    assert sum(guess.probabilities.values()) == pytest.approx(1)
    assert guess.probability == max(guess.probabilities.values()) > 0.5


# Answers in long contexts ------------------------------------------------------------


def points_at(
    here: Predictor, monkeypatch, first: str, last: str, elsewhere: float = 1.0
) -> None:
    """Scores of a model that knows the two pieces.

    It prefers [CLS] a little, and by `elsewhere` in windows without the two.
    """

    def scores(asked: Tensor, inside: Tensor, **inputs: Tensor) -> Tensor:
        ids = inputs["input_ids"].flatten()[asked]
        found = torch.zeros(*asked.shape, 2)
        for end, piece in enumerate((first, last)):
            found[..., end] += 9.0 * (ids == TOKENIZER.ids[piece])
        both = (found > 0).any(1).all(1)
        none = torch.where(both, 1.0, elsewhere)
        found += (none[:, None] * (ids == TOKENIZER.cls_id))[..., None]
        return found.masked_fill(~inside[..., None], -torch.inf)

    monkeypatch.setattr(here.objective, "scores", scores)


@pytest.mark.parametrize("place", [0, 0.1, 0.33, 0.5, 0.72, 0.9, 1])
@pytest.mark.parametrize("stride", [None, 3, 12])
def test_an_answer_anywhere_in_a_long_context(
    monkeypatch, place: float, stride: int | None
) -> None:
    """The windows' parts differ, what comes out is the context's own text."""
    here = predictor("answers")
    here.reading = here.reading._replace(stride=stride)
    points_at(here, monkeypatch, "emilie", "chatelet", elsewhere=20.0)
    words = phrase(random.Random(1), 700)
    answer = "ÉMILIE du Cha\u0302telet"
    words.insert(round(place * len(words)), answer)
    context = "  ".join(words)
    assert len(TOKENIZER.pieces(context)) > 700
    empty = " ".join(words[:40]).replace(answer, "a")
    found, none = here.predict([("what?", context), ("what?", empty)])
    assert found.text == answer == context[found.start : found.end]
    assert found.margin == 9 + 9 - 2
    assert none == ("", 0, 0, -40)


def test_the_best_of_all_windows(monkeypatch) -> None:
    """An end without its start wins nowhere, and no answer is longer than 30."""
    here = predictor("answers")
    points_at(here, monkeypatch, "emilie", "chatelet")
    context = "chatelet " + "tree " * 200 + "emilie " + "tree " * 40 + "Châtelet"
    [found] = here.predict([("what?", context)])
    assert found.margin == 9 - 2 and found.text.startswith(("emilie", "chatelet"))
    assert len(found.text.split()) == 1


def test_pairs_and_single_texts_are_not_confused(trained) -> None:
    """A task that learnt from single texts alone refuses pairs, by number."""
    number = trained["regression"].predictor
    assert number.settings == {"pairs": False}
    with pytest.raises(ValueError, match="row 1 is .*; give one text: this task reads"):
        number.predict(["a", ("a", "b")])
    number = Predictor(
        number.model, number.kind, number.reading, number.labels, pairs=True
    )
    with pytest.raises(ValueError, match="row 0 is .*; give a pair of texts"):
        number.predict(["a"])
    assert len(number.predict([("a", "b")])) == 1


def test_a_head_is_kept_only_with_the_same_labels(trained, tmp_path: Path) -> None:
    """Another order, another number or another kind of labels: only the body."""
    here = trained["classification"]
    here.save(tmp_path)
    labels, own = here.data.labels, here.model.classifier.weight
    again = task_model("classification", tmp_path, labels, 0)
    assert torch.equal(again.classifier.weight, own)
    for kind, other in (
        ("classification", labels[::-1]),
        ("classification", (*labels, "third")),
        ("tagging", labels),
        ("regression", ()),
    ):
        fresh = task_model(kind, tmp_path, other, 0)
        assert fresh.classifier.weight.shape == ((len(other) or 1), own.shape[1])
        assert not torch.equal(fresh.classifier.weight[:1], own[:1])
        table = fresh.bert.embeddings.token.weight
        assert torch.equal(table, here.model.bert.embeddings.token.weight)


def test_labels_that_are_not_given_are_those_of_the_rows() -> None:
    rows = [Text("a good tree", "good"), Text("a bad tree", "bad")]
    data = TaskSet("tiny", "classification", (), rows, [], [], "here", "CC0")
    run = FineTuning(data, config(), Tuning(epochs=1, batch=2), tokenizer=TOKENIZER)
    assert run.data.labels == ("bad", "good")
