"""Distill: the losses, what a student begins as, and that it learns of a teacher."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import Bert, BertForMaskedLM, BertForPreTraining, Tokenizer
from bertcore.model.variants.families import FAMILIES
from bertcore.tasks import KINDS
from bertcore.tasks.rows import Source, TaskSet
from bertcore.tasks.task import FeatureSettings
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import reduced_vocabulary
from bertcore.training.distillation import (
    Distillation,
    LossWeights,
    MaskedLMDistillation,
    TeacherOutput,
    hidden_state_loss,
    layer_numbers,
    make_student,
    soft_target_loss,
    teacher_outputs,
    width_projection,
)
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.loop import TrainingState, train
from bertcore.training.objectives import MaskedLMObjective
from bertcore.training.optim import make_optimisers
from bertcore.training.predictor import Predictor
from bertcore.training.pretraining import make_batches
from tests.training import small
from tests.training.small import CPU, digest, weights
from tests.training.test_finetune import (
    LABELS,
    PIECES,
    TOKENIZER,
    TUNING,
    config,
    data,
    distance,
)

SHORT = TUNING.replace(epochs=1)
WIDE = config(hidden_size=32, layers=3)  # the teacher


@cache
def teacher(kind: str = "classification") -> Predictor:
    """One that has learnt a little; another width than the student's."""
    return (
        FineTuning(data(kind), WIDE, SHORT, settings=CPU, tokenizer=TOKENIZER)
        .run()
        .predictor
    )


def run(kind: str = "classification", *given: Any, **options: Any) -> Distillation:
    """A run that has not begun: the teacher, if none is given, and a new student."""
    options = {"settings": CPU, "tokenizer": TOKENIZER, "tuning": SHORT, **options}
    rows, student = options.pop("data", data(kind)), options.pop("student", config())
    return Distillation(rows, *(given or [teacher(kind)]), student, **options)


# Losses ------------------------------------------------------------------------------


def scores(seed: int, *shape: int, size: float = 3.0) -> Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (size * made).double().requires_grad_()


def by_hand(student: Tensor, wanted: Tensor, t: float) -> Tensor:
    own, other = (student / t).softmax(-1), (wanted / t).softmax(-1)
    return t * t * (other * (other.log() - own.log())).sum()


def by_torch(student: Tensor, wanted: Tensor, t: float) -> Tensor:
    """As DistilBERT's script has it, but for the mean over the rows."""
    loss = nn.KLDivLoss(reduction="batchmean")
    found = loss(F.log_softmax(student / t, -1), F.softmax(wanted / t, -1))
    return found * t**2 * len(student)


@pytest.mark.parametrize("reference", [by_hand, by_torch])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_loss(reference: Callable[..., Tensor], temperature: float) -> None:
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    found = soft_target_loss(student, wanted, temperature)
    expected = reference(student, wanted.detach(), temperature)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found, student)
    torch.testing.assert_close(slope, *torch.autograd.grad(expected, student))
    assert (
        wanted.grad is None
        and not soft_target_loss(student.detach(), wanted).requires_grad
    )


def test_soft_loss_is_zero_where_both_say_the_same() -> None:
    student = scores(0, 7, 5)
    assert soft_target_loss(student, student + 3.0, 2.0).abs() < 1e-12


def test_the_gradient_is_about_as_large_at_each_temperature() -> None:
    """At high ones it is the difference of centred scores / classes: section 2.1."""
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    slopes = {
        t: torch.autograd.grad(soft_target_loss(student, wanted, t), student)[0]
        for t in (1.0, 10.0, 1000.0)
    }
    centred = [each - each.mean(-1, keepdim=True) for each in (student, wanted)]
    torch.testing.assert_close(
        slopes[1000.0], (centred[0] - centred[1]) / 5, rtol=0.02, atol=0.01
    )
    lengths = {t: slope.norm().item() for t, slope in slopes.items()}
    assert 0.3 < lengths[1.0] / lengths[1000.0] < 3
    assert 0.9 < lengths[10.0] / lengths[1000.0] < 1.1


def test_soft_loss_of_numbers_is_the_squared_difference() -> None:
    student, wanted = scores(0, 7, 1), scores(1, 7, 1)
    expected = F.mse_loss(student, wanted, reduction="sum")
    torch.testing.assert_close(soft_target_loss(student, wanted, 3.0), expected)


def test_state_loss() -> None:
    student, wanted = scores(0, 7, 5), scores(1, 7, 5)
    expected = nn.CosineEmbeddingLoss(reduction="sum")(student, wanted, torch.ones(7))
    found = hidden_state_loss(student, wanted)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found, student)
    torch.testing.assert_close(slope, *torch.autograd.grad(expected, student))
    assert hidden_state_loss(student, 2 * student) < 1e-9  # lengths are free
    assert not hidden_state_loss(student.detach(), wanted).requires_grad


def test_states_of_another_width_are_fitted() -> None:
    assert isinstance(width_projection(5, 5), nn.Identity)
    assert width_projection(5, 8)(torch.zeros(2, 5)).shape == (2, 8)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature=.*; give a finite number above"):
        soft_target_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature)
    with pytest.raises(ValueError, match="temperature=.*; give a finite number above"):
        LossWeights(temperature=temperature)


def test_losses_refuse_other_shapes() -> None:
    two, three = torch.zeros(4, 2), torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"student \(4, 2\), of the teacher \(4, 3\)"):
        soft_target_loss(two, three)
    with pytest.raises(ValueError, match="with a linear map that learns"):
        hidden_state_loss(two, three)


def test_a_mix_must_make_sense() -> None:
    with pytest.raises(ValueError, match="hard, soft, states are all 0, so nothing"):
        LossWeights(0.0, 0.0, 0.0)
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="soft=.*; give 0, or a finite number"):
            LossWeights(soft=wrong)


# Students ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made", [Bert, BertForPreTraining, BertForMaskedLM, lambda c: teacher().model]
)
def test_a_student_begins_with_layers_of_its_teacher(made: Any) -> None:
    one = made(WIDE).requires_grad_(False)
    before = digest(one)
    student = make_student(one, 2)
    body, own = getattr(one, "bert", one), getattr(student, "bert", student)
    assert type(student) is type(one) and student.config.layers == 2
    assert own.config == student.config == body.config.replace(layers=2)
    for n, layer in enumerate([0, 2]):
        pair = own.encoder.layers[n], body.encoder.layers[layer]
        assert distance(*map(weights, pair)) == 0
    assert distance(weights(own.embeddings), weights(body.embeddings)) == 0
    assert all(p.requires_grad for p in student.parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert digest(one) == before and body.config.layers == 3
    one.requires_grad_(True)


def test_a_student_with_all_layers_is_its_teacher() -> None:
    one, ids = BertForMaskedLM(config()).eval(), torch.tensor([[2, 7, 9, 3]])
    assert torch.equal(make_student(one, 2)(ids), one(ids))


def test_a_student_with_fewer_pieces() -> None:
    one, kept = BertForMaskedLM(config()).eval(), [0, 1, 2, 3, 4, 7, 9, 11]
    nn.init.normal_(one.mlm_head.bias)
    student = make_student(one, 2, kept)
    assert student.config.vocab_size == student.bert.config.vocab_size == 8
    found = student(torch.tensor([[2, 5, 7, 3]]))
    expected = one(torch.tensor([[2, 7, 11, 3]]))[..., kept]
    torch.testing.assert_close(found, expected)


def test_saved_and_loaded(tmp_path: Path) -> None:
    student = make_student(BertForMaskedLM(WIDE), 1, range(9)).eval()
    student.save_pretrained(tmp_path)
    again = BertForMaskedLM.from_pretrained(tmp_path)
    assert distance(weights(again), weights(student)) == 0


def test_the_layers_of_a_student() -> None:
    assert layer_numbers(12, 6) == [0, 2, 4, 7, 9, 11]
    assert layer_numbers(6, 2) == [0, 5] and layer_numbers(6, 1) == [0]
    assert layer_numbers(4, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("layers", [0, 4])
def test_a_student_has_no_more_layers_than_its_teacher(layers: int) -> None:
    with pytest.raises(ValueError, match=f"layers={layers} of a teacher that has 3"):
        make_student(Bert(WIDE), layers)


def test_a_student_with_chosen_layers() -> None:
    one = BertForMaskedLM(WIDE)
    layers = make_student(one, [2, 0]).bert.encoder.layers
    for own, number in zip(layers, [2, 0], strict=True):
        assert distance(weights(own), weights(one.bert.encoder.layers[number])) == 0
    for wrong in ([], [0, 3], [-1]):
        with pytest.raises(ValueError, match="of a teacher that has 3; give numbers"):
            make_student(one, wrong)


def test_a_teacher_has_layers() -> None:
    with pytest.raises(ValueError, match="Linear has no encoder with layers; give a B"):
        make_student(nn.Linear(1, 1), 1)


def test_fewer_pieces() -> None:
    pieces = [*SPECIAL, "un", "##a", "b", "good", "bad", "##s", "fine", "##d", "a"]
    pieces += ["g", "##o"]
    tokenizer = Tokenizer(pieces, max_word_characters=77)
    smaller, ids = reduced_vocabulary(
        tokenizer, ["a bad bad fine good", "fine bads"], 14
    )
    assert smaller.vocabulary == [pieces[n] for n in ids]
    assert set(pieces) - set(smaller.vocabulary) == {"un", "good"}
    assert smaller.max_word_characters == 77 and smaller.lowercase
    assert smaller.tokenize("Good bads") == ["g", "##o", "##o", "##d", "bad", "##s"]


@pytest.mark.parametrize("size", [4, 1000])
def test_pieces_that_stay(size: int) -> None:
    with pytest.raises(ValueError, match=f"size={size} of .* pieces, of which .* stay"):
        reduced_vocabulary(TOKENIZER, ["a"], size)


# Runs --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in KINDS if KINDS[k].distilled])
def test_a_student_learns(kind: str) -> None:
    before = digest(teacher(kind).model), teacher(kind).model.training
    made = run(kind, tuning=TUNING)
    records = list(made.records())
    first, last = records[0].losses, records[-1].losses
    assert len(first) == 3 and made.losses[0] == first
    assert all(b < a for a, b in zip(first, last, strict=True)), (first, last)
    assert (digest(teacher(kind).model), teacher(kind).model.training) == before
    assert all(p.grad is None for p in teacher(kind).model.parameters())
    assert made.best.scores == made.score(made.data.valid)
    learnt = {p for o in made.objective.parameters() for p in [o]}
    assert learnt.isdisjoint(teacher(kind).model.parameters())
    extra = learnt - set(made.model.parameters())
    assert [tuple(p.shape) for p in extra] == [(32, 24)]  # the map, which is no part


def test_the_losses_of_a_pass_by_hand() -> None:
    """Hard, soft and state loss, each from the models' public forward pass."""
    mix = LossWeights(hard=0.5, soft=2.0, states=3.0, temperature=4.0)
    made = run(student=config(hidden_size=32), mix=mix)
    work = made.batches[0]
    made.objective.eval()
    found = made.objective(**work.arguments)
    rows = [made.data.train[n] for n in made.batches.numbers(0)]
    student, other = made.model.eval(), teacher().model
    both, states = [], []
    for model in (student, other):
        texts = [row.text for row in rows], [row.pair for row in rows]
        singles = [
            TOKENIZER.encode_pieces(text, pair, 32)
            for text, pair in zip(*texts, strict=True)
        ]
        out, at = [], []
        for pieces in singles:
            ids = torch.tensor([[piece.id for piece in pieces]])
            segments = torch.tensor([[piece.segment for piece in pieces]])
            out.append(model(ids, segments))
            at.append(model.bert(ids, segments)[:, 0])
        both.append(torch.cat(out))
        states.append(torch.cat(at))
    names = LABELS["classification"]
    targets = torch.tensor([names.index(row.label) for row in rows])
    hard = 0.5 * F.cross_entropy(both[0], targets, reduction="sum")
    soft = 2.0 * soft_target_loss(both[0], both[1], 4.0)
    expected = torch.stack([hard, soft, 3.0 * hidden_state_loss(*states)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert work.counts.tolist() == [16, 16, 16]


def test_hard_alone_is_fine_tuning() -> None:
    made = run(mix=LossWeights(hard=1.0, soft=0.0, states=0.0))
    alone = FineTuning(data("classification"), config(), SHORT, settings=CPU,
                       tokenizer=TOKENIZER)  # fmt: skip
    made.run(), alone.run()
    assert distance(weights(made.model), weights(alone.model)) < 1e-5
    assert [losses[0] for losses in made.losses] == pytest.approx(alone.losses, 1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_teacher_and_a_student_of_any_family(name: str) -> None:
    family, sizes = FAMILIES[name], asdict(config(hidden_size=32))
    wanted = ("vocab_size", "hidden_size", "layers", "heads", "feedforward_size")
    other = family.config(**{key: sizes[key] for key in wanted}, max_positions=48)
    rows = data("classification", train=32, valid=0)
    model = task_model(rows.kind, other, rows.labels, seed=0)
    one = Predictor(model, rows.kind, FeatureSettings(TOKENIZER, 32), rows.labels)
    student = make_student(model, 1)
    assert type(student) is type(model) and len(student.bert.encoder.layers) == 1
    assert make_student(family.masked_lm(other), 1, range(9)).mlm_head.bias.shape == (
        9,
    )
    for learner in (student, config()):
        made = run(rows.kind, one, data=rows, student=learner).run()
        assert all(map(math.isfinite, made.losses[-1]))


def test_rows_without_labels() -> None:
    """They count for the teacher's losses only, and each is read once an epoch."""
    rows = data("classification")
    rows = rows._replace(train=rows.train[:8])
    more = [row._replace(label="never looked at") for row in data("regression").train]
    made = run(data=rows, unlabelled=[*more, "a good old house"])
    works = made.batches
    assert made.recipe.steps == round((8 + len(more) + 1) / 16)
    counts = sum(works[n].counts for n in range(len(works)))
    assert counts.tolist()[1:] == [16 * len(works)] * 2 and 8 <= counts[0] < 16
    given = works[0].arguments
    assert (
        len(given["targets"]) == given["labelled"].sum() < len(given["labelled"]) == 16
    )
    made.run()
    assert made.card()["setting"]["unlabelled"] == len(more) + 1
    with pytest.raises(ValueError, match="row 1 .*give"):
        run(unlabelled=["a", 7])


def test_a_run_does_not_depend_on_the_size_of_a_pass() -> None:
    """Also where some passes hold more labels than others."""
    rows = data("classification")
    options = {"data": rows._replace(train=rows.train[:30]), "unlabelled": rows.test}
    made = [
        run(tuning=SHORT.replace(pass_size=size, clip=0.0), **options).run()
        for size in (4, 16)
    ]
    assert distance(*(weights(each.model) for each in made)) < 1e-4
    assert torch.allclose(*(torch.tensor(each.losses) for each in made), rtol=1e-4)


def test_a_teacher_with_other_pieces() -> None:
    """It reads words in its own way; sentences are cut elsewhere, words are not."""
    for kind in ("classification", "tagging"):
        some = [p for p in PIECES if p not in ("house", "stone", "york")]
        other = Tokenizer([*some, "s", "##t", "##o", "##n", "##e"])
        how = SHORT.replace(length=9 if kind == "tagging" else None)
        apart = run(kind, tokenizer=other, tuning=how,
                    student=config(vocab_size=len(other)))  # fmt: skip
        assert all(map(torch.isfinite, map(torch.tensor, apart.run().losses[-1])))


def test_lessons_can_be_used_again() -> None:
    rows = data("classification")
    lessons = teacher_outputs(teacher(), rows.train, rows)
    assert lessons[0].scores.shape == (1, 3) and lessons[0].states.shape == (1, 32)
    one, again = run("classification", lessons), run()
    one.run(), again.run()
    assert distance(weights(one.model), weights(again.model)) < 1e-5


def test_a_folder_and_a_card(tmp_path: Path) -> None:
    made = run(folder=tmp_path, mix=LossWeights(temperature=3.0)).run()
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf8"))
    assert card["what"] == "Distillation into a BertForSequenceClassification"
    assert card["setting"]["mix"]["temperature"] == 3.0
    assert card["setting"]["teacher"] == "a BertForSequenceClassification"
    again = Predictor.from_pretrained(tmp_path)
    texts = [row for row in made.data.test if row.pair is None]
    assert again.predict(texts) == made.predictor.predict(texts)


def test_what_does_not_fit() -> None:
    two = data("classification")
    two = two._replace(labels=("is bad", "is good"), valid=[], test=[])
    two = two._replace(train=[row for row in two.train if row.label in two.labels])
    with pytest.raises(
        ValueError, match="labels: .'is bad', 'is fine', 'is good'.*giv"
    ):
        run(data=two)
    with pytest.raises(ValueError, match="row 0: 3 scores of the teacher for 2 labels"):
        run(
            "classification",
            [TeacherOutput(torch.zeros(1, 3))] * len(two.train),
            data=two,
            mix=LossWeights(states=0),
        )
    with pytest.raises(ValueError, match="teacher's kind: 'regression'"):
        run("classification", teacher("regression"))
    with pytest.raises(ValueError, match="no states; leave them out with states=0"):
        run("classification", [TeacherOutput(torch.zeros(1, 3))] * 96)
    with pytest.raises(ValueError, match="something of 5 rows, but there are 96"):
        run("classification", [TeacherOutput(torch.zeros(1, 3))] * 5)
    source = TaskSet("t", "writing", (), [Source("a", "b")], [], [], "", "")
    with pytest.raises(ValueError, match="no distillation for writing; there is class"):
        run(data=source)


def test_a_teacher_must_read_the_same_words() -> None:
    rows = data("tagging")
    lessons = teacher_outputs(teacher("tagging"), rows.train, rows)
    lessons[3] = type(lessons[3])(*(part[:-1] for part in lessons[3]))
    with pytest.raises(
        ValueError, match="row 3: the teacher answers at 3 places, and the student at"
    ):
        run("tagging", lessons)


# Pretraining -------------------------------------------------------------------------


def objective(teacher: nn.Module, **changes: Any) -> MaskedLMDistillation:
    return MaskedLMDistillation(BertForMaskedLM(small.config(layers=1)), teacher,
                                **changes)  # fmt: skip


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining])
def test_masked_pieces_are_learnt_from_a_teacher(kind: Any) -> None:
    torch.manual_seed(0)
    other = kind(small.config(hidden_size=36)).train()
    before = digest(other)
    made, recipe = objective(other), small.recipe(steps=12, pairs=False, pass_size=16)
    works = make_batches(made, small.tokenizer(), small.store(), recipe)
    optimisers = make_optimisers(made, recipe)
    records = list(train(made, works, optimisers, recipe, CPU, TrainingState()))
    losses = [record.losses[0] for record in records]
    assert len(losses) == 12 and losses[-1] < losses[0]
    assert digest(other) == before and other.training
    assert all(p.grad is None for p in other.parameters())
    assert set(made.parameters()).isdisjoint(other.parameters())


def test_the_triple_loss() -> None:
    """Its part against the labels is the usual one; a copy has no other loss."""
    torch.manual_seed(0)
    one = BertForMaskedLM(small.config())
    ids = torch.randint(5, len(small.tokenizer()), (2, 8))
    given = {
        "input_ids": ids,
        "attention_mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3]),
        "masked_positions": torch.tensor([1, 4, 9]),
        "labels": torch.tensor([7, 8, 9]),
    }
    usual = MaskedLMObjective(one)(**given)
    hard = MaskedLMDistillation(one, one, LossWeights(1.0, 0.0, 0.0))
    torch.testing.assert_close(hard(**given), usual)
    others = MaskedLMDistillation(one, one, LossWeights(0.0, 5.0, 5.0))
    assert others(**given).abs() < 1e-4
    student = BertForMaskedLM(small.config(layers=1))
    found = MaskedLMDistillation(student, one, LossWeights(2.0, 5.0, 1.0, 3.0))(**given)
    mask = {name: given[name] for name in ("input_ids", "attention_mask")}
    real = given["attention_mask"].bool()
    alike = (
        hidden_state_loss(student.bert(**mask)[real], one.bert(**mask)[real]) * 3 / 13
    )
    guesses = [
        model(**mask).flatten(0, 1)[given["masked_positions"]]
        for model in (student, one)
    ]
    hard = F.cross_entropy(guesses[0], given["labels"], reduction="sum")
    expected = 2 * hard + 5 * soft_target_loss(*guesses, 3.0) + alike
    torch.testing.assert_close(found, expected[None])


def test_a_teacher_of_pieces_must_fit() -> None:
    with pytest.raises(
        ValueError, match="Bert has no head for masked pieces; give a Bert"
    ):
        objective(Bert(small.config()))
    with pytest.raises(ValueError, match="teacher knows 99 pieces and the student"):
        objective(BertForMaskedLM(small.config(vocab_size=99)))
