"""Families: one engine pretrains, resumes, fine-tunes and saves them all."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bertcore import BertConfig, BertForMaskedLM
from bertcore.model.counts import Costs
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.variants.families import (
    FAMILIES,
    config_like,
    family_with,
    masked_lm_classes,
    masked_lm_of,
)
from bertcore.model.variants.roberta import SpanBertForMaskedLM
from bertcore.model.weights import Pretrained, published_class
from bertcore.tasks import KINDS
from bertcore.tasks.rows import Answer, Question, Source, TaskSet, Text, Words
from bertcore.text.batch import TrainingBatch
from bertcore.text.dataloader import Batches
from bertcore.training.checkpoint import check_identity
from bertcore.training.distillation import MaskedLMDistillation
from bertcore.training.evaluate import HeldOut
from bertcore.training.export import export
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.loop import seed_for
from bertcore.training.objectives import (
    BoundaryObjective,
    ReplacedTokenObjective,
    pretraining_costs,
    pretraining_objective,
    sample_batch,
)
from bertcore.training.predictor import Predictor
from bertcore.training.pretraining import (
    Pretraining,
    make_batches,
    make_examples,
    make_masker,
    pretraining_class,
)
from bertcore.training.recipe import Recipe, Tuning
from bertcore.training.run import load_trained
from contest.models import ENTRIES
from tests.conftest import fill_with_large_weights
from tests.training.small import (
    CPU,
    after,
    config,
    recipe,
    run,
    store,
    tokenizer,
    weights,
)

TRAINED = [name for name, entry in ENTRIES.items() if entry.changes is not None]
each_entry = pytest.mark.parametrize("name", TRAINED)
each_family = pytest.mark.parametrize("name", FAMILIES)


def made(name: str, **changes: object) -> tuple[nn.Module, Recipe]:
    """A small model of an entry, and its recipe."""
    own = recipe(pairs=False, pass_size=16, **{"steps": 4, **changes})
    entry = ENTRIES[name]
    return entry.model(config(), own), entry.recipe(own)


def begun(name: str, folder: Path | None = None) -> Pretraining:
    model, own = made(name)
    return run(own, folder, model=model)


# Pretraining -------------------------------------------------------------------------


@each_entry
def test_a_run_that_stops_goes_on_to_the_same_weights(name: str, tmp_path) -> None:
    whole = begun(name)
    first = next(records := whole.records())
    rest = list(records)
    assert len(first.losses) == len(whole.objective.losses)
    assert rest[-1].losses[0] < first.losses[0]
    after(begun(name, tmp_path), 2)
    again = begun(name, tmp_path)
    assert again.progress.step == 2
    after(again, 9)
    ours = weights(again.model)
    for parameter, value in weights(whole.model).items():
        torch.testing.assert_close(ours[parameter], value, atol=0, rtol=0)


def test_replaced_tokens_are_those_that_differ_from_what_stood_there() -> None:
    """The losses of the objective, computed again token by token."""
    pair, own = made("electra")
    objective = pretraining_objective(pair)
    assert isinstance(objective, ReplacedTokenObjective) and objective.weight == 50
    work = make_batches(objective, tokenizer(), store(), own)[0]
    given = work.arguments
    ids = given["input_ids"].flatten()
    assert (ids[given["masked_positions"]] == tokenizer().mask_id).all()
    assert work.counts.tolist() == [len(given["masked_positions"]), work.tokens]
    pair.eval()
    seed_for(1, 1)
    found = objective(**given)
    inputs = {k: given[k] for k in ("token_type_ids", "attention_mask", "position_ids")}
    logits = pair.generator(given["input_ids"], **inputs).flatten(0, 1)[
        given["masked_positions"]
    ]
    seed_for(1, 1)
    drawn = torch.multinomial(logits.softmax(-1), 1)[:, 0]
    shown, seen = ids.clone(), 0.0
    shown[given["masked_positions"]] = drawn
    true = ids.clone()
    true[given["masked_positions"]] = given["labels"]
    shaped = shown.view_as(given["input_ids"])
    scores = pair.discriminator(shaped, **inputs).flatten()
    for place in given["real"].tolist():
        chance = torch.sigmoid(scores[place])
        seen -= torch.log(chance if shown[place] != true[place] else 1 - chance)
    assert (shown != true).sum() <= len(drawn)
    wanted = torch.stack([F.cross_entropy(logits, given["labels"], reduction="sum"),
                          50 * seen])  # fmt: skip
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-5)


def test_no_gradient_goes_through_what_was_drawn() -> None:
    pair, own = made("electra")
    objective = pretraining_objective(pair)
    given = make_batches(objective, tokenizer(), store(), own)[0].arguments
    objective(**given)[1].backward()
    own = pair.generator.bert.encoder.parameters()
    assert all(not parameter.grad.any() for parameter in own)
    assert pair.bert.embeddings.token.weight.grad.any()
    with pytest.raises(ValueError, match="weight=0 of the second loss"):
        ReplacedTokenObjective(pair, 0)


def test_each_end_of_a_span_tells_of_its_pieces() -> None:
    model, own = made("spanbert")
    work = make_batches(pretraining_objective(model), tokenizer(), store(), own)[0]
    given = work.arguments
    asked = set(given["masked_positions"].tolist())
    names = "masked_positions", "left", "right", "offset"
    rows = zip(*(given[name].tolist() for name in names), strict=True)
    for place, left, right, offset in rows:
        assert left not in asked and right not in asked
        assert place - offset == left + 1
        assert asked >= set(range(left + 1, right))
    assert work.counts.tolist() == [len(asked)] * 2


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("albert", {"order": False}, "AlbertForPreTraining for a recipe with order=Fa"),
        ("roberta", {"order": True}, "RobertaForMaskedLM for a recipe with order=True"),
        ("spanbert", {"spans": False}, "SpanBertForMaskedLM for a recipe with spans=F"),
        ("electra", {"pairs": True}, "ElectraPair for a recipe with pairs=True; give"),
    ],
)
def test_a_model_that_cannot_be_asked_that(name, changes, message) -> None:
    model, own = made(name)
    with pytest.raises(ValueError, match=message):
        run(own.replace(**changes), model=model)


@pytest.mark.parametrize("name", ["electra", "spanbert"])
def test_what_is_evaluated_is_the_part_that_predicts_pieces(name: str) -> None:
    model, own = made(name)
    held_out = HeldOut(store(), make_examples(store(), own), tokenizer(), most=32)
    before = torch.get_rng_state()
    part = masked_lm_of(model)
    assert held_out.ask(model) == held_out.ask(part)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(each.training for each in part.modules())


def test_a_class_built_on_a_model_is_trained_as_that_model_is() -> None:
    class Own(SpanBertForMaskedLM):
        pass

    assert isinstance(pretraining_objective(Own(config())), BoundaryObjective)


def test_recipes_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="pairs=True and order=True; give one"):
        recipe(order=True)
    with pytest.raises(ValueError, match="spans=True and whole_words=True; give one"):
        recipe(spans=True, whole_words=True)


def test_the_class_for_a_recipe() -> None:
    sizes = config_like("roberta", config())
    assert (
        pretraining_class(sizes, recipe(pairs=False)).__name__ == "RobertaForMaskedLM"
    )
    with pytest.raises(ValueError, match="pairs=True is asked of BertForPreTraining"):
        pretraining_class(sizes, recipe())
    with pytest.raises(ValueError, match="order=True is asked of AlbertForPreTraining"):
        pretraining_class(config(), recipe(pairs=False, order=True))

    class Other(BertConfig):
        pass

    with pytest.raises(ValueError, match="no family has a Other; there are bert, rob"):
        family_with(Other())


# Fine-tuning -------------------------------------------------------------------------

WORDS = ("Anna", "has", "a", "dog")
CONTEXT = "Anna has a dog and a red kite."
ROWS = {
    "classification": [Text("Anna has a dog.", "a"), Text("It snows.", "b", None)] * 4,
    "regression": [Text("Anna has a dog.", 0.5), Text("It snows.", 0.1)] * 4,
    "tagging": [Words(WORDS, ("B-x", "O", "O", "B-x"))] * 8,
    "answers": [Question("What has she?", CONTEXT, (Answer("a dog", 9),))] * 8,
}
LABELS = {"classification": ("a", "b"), "tagging": ("O", "B-x")}


def task(kind: str) -> TaskSet:
    rows = ROWS[kind]
    return TaskSet(kind, kind, LABELS.get(kind, ()), rows, rows, [], "made up", "CC0")


def sized(name: str, **changes: object) -> BertConfig:
    return config_like(name, config(**changes))


@each_family
@pytest.mark.parametrize("kind", ROWS)
def test_fine_tuning_saving_and_loading(name: str, kind: str, tmp_path: Path) -> None:
    tuning = Tuning(epochs=2, batch=8, length=30)
    learner = FineTuning(task(kind), sized(name), tuning, settings=CPU,
                         tokenizer=tokenizer(), folder=tmp_path)  # fmt: skip
    learner.run()
    assert len(learner.losses) == 2
    loaded = Predictor.from_pretrained(tmp_path)
    assert type(loaded.model) is type(learner.model)
    said, again = (p.predict(ROWS[kind]) for p in (learner.predictor, loaded))
    assert str(said) == str(again)


@each_family
def test_a_body_from_a_folder_gets_a_new_head(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    body = FAMILIES[name].body(sized(name)).eval()
    body.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    learner = FineTuning(task("classification"), tmp_path, Tuning(length=30))
    with torch.random.fork_rng(devices=[]):
        seed_for(0, 0)
        model = KINDS["classification"].over(body, ("a", "b"))
    assert type(model) is type(learner.model)
    batch = tokenizer()(["Anna has a dog.", "It snows."])
    torch.testing.assert_close(learner.model.bert(**batch), body(**batch))
    torch.testing.assert_close(model(**batch), learner.model(**batch))


@each_family
def test_classes_for_masked_pieces_are_those_with_such_a_head(name: str) -> None:
    family = FAMILIES[name]
    kinds = {family.masked_lm, family.pretraining} - {None}
    with_head = {kind for kind in kinds if hasattr(kind(sized(name)), "mlm_head")}
    assert {*masked_lm_classes(family).values()} == with_head


@each_family
@pytest.mark.parametrize("start", ["body", "masked_lm", "classification"])
def test_what_transformers_keeps_of_a_checkpoint_is_kept(
    name: str, start: str, tmp_path: Path
) -> None:
    """All but the last layer, if the file has it: a pooler, a dense layer, a norm."""
    family = FAMILIES[name]
    begun = getattr(family, start)(sized(name, num_labels=3))
    fill_with_large_weights(begun)
    begun.save_pretrained(tmp_path)
    for kind in ("classification", "tagging", "answers"):
        ours = task_model(kind, tmp_path, LABELS.get(kind, ()), seed=0)
        named = published_class(type(ours))
        theirs, info = getattr(transformers, named).from_pretrained(
            tmp_path,
            num_labels=2,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        new = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
        form, found = ours.config.published, dict(theirs.named_parameters())
        names = {form.published_name(n): p for n, p in ours.named_parameters()}
        kept = found.keys() - new
        assert kept and kept <= names.keys()
        for each in kept:
            assert torch.equal(names[each], found[each]), (kind, each)


@each_family
def test_frozen_bodies_and_low_rank(name: str, tmp_path: Path) -> None:
    data, tuning = task("classification"), Tuning(epochs=1, batch=8, length=30)
    frozen = FineTuning(data, sized(name), tuning.replace(frozen=True), settings=CPU,
                        tokenizer=tokenizer())  # fmt: skip
    before = weights(frozen.model.bert)
    frozen.run()
    for parameter, value in weights(frozen.model.bert).items():
        if not parameter.startswith("pooler."):
            assert torch.equal(value, before[parameter])
    given = data, sized(name), tuning.replace(rank=2)
    if name == "modernbert":
        with pytest.raises(ValueError, match="ModernBert.* has no matrix query and no"):
            FineTuning(*given, settings=CPU, tokenizer=tokenizer())
        return
    low = FineTuning(*given, settings=CPU, tokenizer=tokenizer(), folder=tmp_path).run()
    loaded = Predictor.from_pretrained(tmp_path)
    rows = ROWS["classification"]
    assert [a.label for a in low.predictor.predict(rows)] == [
        a.label for a in loaded.predict(rows)
    ]


def test_models_that_do_something_else_are_refused() -> None:
    other = FAMILIES["roberta"].tagging(sized("roberta"))
    with pytest.raises(
        ValueError, match="RobertaForTokenClassification cannot do 'cla"
    ):
        task_model("classification", other, ("a", "b"), 0)
    with pytest.raises(ValueError, match="BertForMaskedLM cannot do 'answers'; give a"):
        task_model("answers", BertForMaskedLM(config()), (), 0)


# Operations --------------------------------------------------------------------------

# All of the first are used to find what a pass costs, none of the others.
LENGTHS, OTHERS = (1, 2, 3, 5, 8, 13), (4, 11)
SENTENCE = "Anna has a dog and a red kite . It snows and the dog runs home .".split()


def row(kind: str, size: int) -> Text | Words | Question | Source:
    """A row of so many words."""
    words = SENTENCE[:size]
    text = " ".join(words)
    return {
        "classification": Text(text, "a"),
        "regression": Text(text, 0.5),
        "tagging": Words(tuple(words), tuple("O" for _ in words)),
        "answers": Question("Who?", text, (Answer("Anna", 0),)),
        "writing": Source(text, " ".join(SENTENCE[: 1 + size % 4])),
    }[kind]


def check_costs(objective: nn.Module, costs: Costs, batch: TrainingBatch) -> None:
    """A batch without padding takes what PyTorch counts, forward and backward."""
    # It counts no other way to attend on a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objective(**batch.arguments).sum().backward()
    assert costs.useful(batch) == pytest.approx(counter.get_total_flops(), rel=1e-6)


@each_entry
def test_operations_of_pretraining_are_those_that_pytorch_counts(name: str) -> None:
    model, own = made(name)
    objective = pretraining_objective(model)
    works = make_batches(objective, tokenizer(), store(), own)
    examples = make_examples(store(), own)
    masker = make_masker(objective, tokenizer(), own)
    alone = Batches(store(), examples, tokenizer(), masker, size=1, seed=0)
    works.steps = alone  # each text by itself needs no padding
    costs = works.costs(objective)
    assert all(parameter.grad is None for parameter in model.parameters())
    for number in range(3):
        check_costs(objective, costs, works[number])
    check_costs(objective, costs, sample_batch(objective, texts=3, size=21, masked=4))


@each_family
@pytest.mark.parametrize("kind", ["classification", "tagging", "answers"])
def test_operations_of_a_task_are_those_that_pytorch_counts(
    name: str, kind: str
) -> None:
    check_task(kind, sized(name), Tuning(length=30))


@pytest.mark.parametrize("changes", [{"frozen": True}, {"rank": 2}])
def test_what_is_frozen_takes_fewer_operations(changes: dict) -> None:
    whole = check_task("regression", config(), Tuning(length=30))
    assert check_task("regression", config(), Tuning(length=30, **changes)) < whole


@pytest.mark.parametrize("cross", [True, False])
def test_operations_of_writing_are_those_that_pytorch_counts(cross: bool) -> None:
    model = EncoderDecoder(config(), config(layers=1), cross)
    check_task("writing", model, Tuning(length=30))


def test_operations_of_distillation_are_those_that_pytorch_counts() -> None:
    """A teacher of masked pieces is asked in each pass, and that counts."""
    teacher, student = BertForMaskedLM(config()), BertForMaskedLM(config(layers=1))
    objective = MaskedLMDistillation(student, teacher)
    batch = sample_batch(objective, texts=3, size=21, masked=4)
    check_costs(objective, pretraining_costs(objective), batch)


def check_task(kind: str, weights: BertConfig | Pretrained, tuning: Tuning) -> float:
    """The operations of a batch of a task."""
    rows = [row(kind, size) for size in LENGTHS]
    data = TaskSet(kind, kind, LABELS.get(kind, ()), rows, [], [], "made up", "CC0")
    learner = FineTuning(data, weights, tuning, settings=CPU, tokenizer=tokenizer())
    costs = learner.batches.costs(learner.objective)
    other = [row(kind, size) for size in OTHERS]
    for feature in KINDS[kind].features_of(
        other, learner.predictor.reading, data.labels
    ):
        batch = KINDS[kind].batch([feature] * 2, 0)  # of one size: no padding
        check_costs(learner.objective, costs, batch)
    return costs.useful(batch)


# Saving ------------------------------------------------------------------------------


@each_entry
def test_the_trained_model_is_exported_and_loaded(name: str, tmp_path: Path) -> None:
    done = begun(name)
    after(done, 9)
    card = done.card()
    export(done.model, tokenizer(), tmp_path, card)
    loaded, *_ = load_trained(tmp_path)
    batch = tokenizer()(["Anna has a [MASK].", "It snows."], parse_special=True)
    found, wanted = loaded(**batch), masked_lm_of(done.model).eval()(**batch)
    if isinstance(found, tuple):
        found, wanted = found[0], wanted[0]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert "masked" in (tmp_path / "README.md").read_text()


def test_a_run_of_an_earlier_version_goes_on() -> None:
    """Its recipe lacks the fields that are new."""
    now = begun("roberta").identity()
    then = {**now, "recipe": dict(now["recipe"])}
    del then["recipe"]["order"], then["recipe"]["spans"]
    check_identity(then, now, Path("run"))
    with pytest.raises(
        ValueError, match="its recipe is {'spans': False}, that of this"
    ):
        check_identity(
            then, {**now, "recipe": {**now["recipe"], "spans": True}}, Path()
        )
