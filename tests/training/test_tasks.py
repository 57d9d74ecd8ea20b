"""Tasks: losses, logits and gradients are those of transformers, however packed."""

from collections import Counter
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.book.checks import assert_same
from bertcore.model.published import published_name
from bertcore.model.variants.families import FAMILIES
from bertcore.tasks import KINDS, find_task, task
from bertcore.tasks.task import Feature
from bertcore.text.batch import IGNORE_INDEX, ROW, padded
from bertcore.training.finetuning import TaskBatches, task_model
from tests.conftest import Table, fill_with_large_weights, tiny_config
from tests.model.test_parity import theirs

LABELS = Table(
    "LABELS",
    {
        "classification": 3,
        "regression": 1,
        "multilabel": 3,
        "tagging": 3,
        "answers": 2,
    },
)
PROBLEMS = {
    "regression": "regression",
    "multilabel": "multi_label_classification",
}
SIZES = [(9, 6), (4, 3), (11, 0), (2, 2), (7, 5)]
EQUAL = [(5, 9), (8, 6), (3, 11), (10, 4), (7, 7)]
each_kind = pytest.mark.parametrize("kind", [k for k in KINDS if k != "writing"])


def features(kind: str) -> list[Feature]:
    """Five of random ids; for answers of the same length, since theirs reads padding.

    Each is asked what the kind asks: for tagging some places, neither the first nor
    the last nor some in the middle, as [CLS], [SEP] and ##pieces.
    """
    generator = torch.Generator().manual_seed(2)
    made = []
    for row, sizes in enumerate(EQUAL if kind == "answers" else SIZES):
        first, second = (
            torch.randint(1, 53, (size,), generator=generator).tolist()
            for size in sizes
        )
        total = sum(sizes)
        if kind == "tagging":
            asked = [n for n in range(1, total - 1) if (n + row) % 3]
            targets = [n % 3 for n in asked]
        elif kind == "answers":
            asked, targets = list(range(total)), [[0, 0], [9, 12], [5, 5]][row % 3]
        elif kind == "multilabel":
            asked, targets = [0], [float(n in (row % 3, row)) for n in range(3)]
        elif kind == "classification":
            asked, targets = [0], [row % 3]
        elif kind == "regression":
            asked, targets = [0], [row / 2 - 1]
        else:
            pytest.fail(f"features of this test has nothing for {kind!r}: add it there")
        made.append(Feature(row, first, second, asked, targets))
    return made


def model_class(kind: str) -> type[nn.Module]:
    """That of BERT itself."""
    return KINDS[kind].model_of(FAMILIES["bert"])


def rows_of(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed rows of that many tokens, whatever leaves the least padding."""
    monkeypatch.setattr(task, "least_padding", lambda sizes, longest: length)


def reference(kind: str) -> nn.Module:
    model = theirs(model_class(kind).__name__, num_labels=LABELS[kind]).eval()
    if kind in PROBLEMS:
        model.config.problem_type = PROBLEMS[kind]
    return model


def their_batch(kind: str, some: list[Feature]) -> dict[str, Tensor]:
    """Padded, with labels as transformers takes them."""
    batch = padded([(f.first, f.second) for f in some], 0)
    targets = [f.targets for f in some]
    if kind == "answers":
        start, end = torch.tensor(targets).unbind(1)
        return {**batch, "start_positions": start, "end_positions": end}
    if kind == "multilabel":
        return {**batch, "labels": torch.tensor(targets)}
    if kind != "tagging":
        return {**batch, "labels": torch.tensor(targets)[:, 0]}
    labels = torch.full_like(batch["input_ids"], IGNORE_INDEX)
    for row, feature in enumerate(some):
        labels[row, feature.asked] = torch.tensor(feature.targets)
    return {**batch, "labels": labels}


class Ours(nn.Module):
    """An objective on packed features: its mean loss, or what it scores."""

    def __init__(self, kind: str, some: list[Feature], of: str) -> None:
        super().__init__()
        config = tiny_config(num_labels=LABELS[kind])
        self.objective = KINDS[kind].objective(model_class(kind)(config))
        self.work, self.of = KINDS[kind].batch(some, 0), of

    def forward(self) -> Tensor:
        if self.of == "loss":
            return self.objective(**self.work.arguments) / self.work.counts
        given = {n: v for n, v in self.work.arguments.items() if n != "targets"}
        return self.objective.scores(**given)


class Theirs(nn.Module):
    """A model of transformers on the padded batch: the same two."""

    def __init__(self, kind: str, some: list[Feature], of: str) -> None:
        super().__init__()
        self.model, self.kind, self.of = reference(kind), kind, of
        self.batch = their_batch(kind, some)

    def forward(self) -> Tensor:
        found = self.model(**self.batch)
        if self.of == "loss":
            return found.loss[None]
        return their_logits(self.kind, found, self.batch)


def their_logits(kind: str, found: object, batch: dict[str, Tensor]) -> Tensor:
    if kind == "answers":
        return torch.stack([found.start_logits, found.end_logits], dim=-1)
    if kind == "tagging":
        return found.logits[batch["labels"] != IGNORE_INDEX]
    return found.logits


def their_name(ours: str) -> str:
    return f"model.{published_name(ours.removeprefix('objective.model.'))}"


@each_kind
@pytest.mark.parametrize("of", ["loss", "scores"])
@pytest.mark.parametrize("row", [16, 30, 128])
def test_loss_scores_and_gradients_are_those_of_transformers(
    monkeypatch, kind: str, of: str, row: int
) -> None:
    """The same features, packed here and padded there; the mean, and all gradients."""
    rows_of(row, monkeypatch)
    some = features(kind)
    ours, other = Ours(kind, some, of), Theirs(kind, some, of)
    rows = len(ours.work.arguments["input_ids"])
    assert rows < len(some) or row == 16, "some share a row"
    same = assert_same(ours, other, names=their_name)
    body, pooler = 5 + 16 * 2, 2 * (kind not in ("tagging", "answers"))
    assert same.gradients == body + pooler + 2


@each_kind
def test_a_fault_shows(kind: str) -> None:
    """The comparison means something only if one wrong target is seen."""
    some = features(kind)
    wrong = [(some[0].targets[0] + 1) % 3, *some[0].targets[1:]]
    spoilt = [some[0]._replace(targets=wrong), *some[1:]]
    with pytest.raises(AssertionError, match="output 0 differs"):
        assert_same(
            Ours(kind, spoilt, "loss"),
            Theirs(kind, some, "loss"),
            names=their_name,
        )


@each_kind
def test_a_published_checkpoint_gives_the_same(kind: str, tmp_path: Path) -> None:
    """Its head is kept; loss and logits are those of who wrote it."""
    some, reader = features(kind), reference(kind)
    reader.save_pretrained(tmp_path)
    batch = their_batch(kind, some)
    with torch.no_grad():
        expected = reader(**batch)
    labels = () if LABELS[kind] < 2 or kind == "answers" else ("a", "b", "c")
    loaded = model_class(kind).from_pretrained(tmp_path)
    for model in (loaded, task_model(kind, tmp_path, labels, seed=1).eval()):
        objective = KINDS[kind].objective(model)
        work = KINDS[kind].batch(some, 0)
        given = {n: v for n, v in work.arguments.items() if n != "targets"}
        with torch.no_grad():
            loss, scores = objective(**work.arguments), objective.scores(**given)
        assert abs(loss / work.counts - expected.loss) < 1e-5 * max(1, expected.loss)
        assert (scores - their_logits(kind, expected, batch)).abs().max() < 1e-5
        assert model.config.num_labels == LABELS[kind]


def test_answers_do_not_depend_on_padding_or_on_neighbours(monkeypatch) -> None:
    """Of windows of different lengths, each softmax is over the window's own tokens."""
    sizes = [(6, 9), (3, 4), (5, 8), (2, 3)]
    torch.manual_seed(0)
    some = [
        Feature(
            row,
            *(torch.randint(1, 53, (size,)).tolist() for size in pair),
            list(range(sum(pair))),
            [pair[0], sum(pair) - 1],
        )
        for row, pair in enumerate(sizes)
    ]
    model = model_class("answers")(tiny_config()).eval()
    fill_with_large_weights(model)
    objective = KINDS["answers"].objective(model)

    def loss(part: list[Feature], row: int) -> Tensor:
        rows_of(row, monkeypatch)
        return objective(**KINDS["answers"].batch(part, 0).arguments)

    with torch.no_grad():
        alone = sum(loss([feature], feature.size) for feature in some)
        for row in (15, 22, 60):
            assert abs(loss(some, row) - alone) < 1e-4
        by_hand = torch.zeros(())
        for feature in some:
            logits = model(**padded([(feature.first, feature.second)], 0))[0]
            for end, target in zip(logits.T, feature.targets, strict=True):
                by_hand += F.cross_entropy(end, torch.tensor(target)) / 2
        assert abs(alone - by_hand) < 1e-4
        scores = objective.scores(**KINDS["answers"].inputs(some, 0))
    finite = scores.isfinite().all(-1)
    assert finite.sum(-1).tolist() == [feature.size for feature in some]


@each_kind
def test_the_order_of_features_is_kept(monkeypatch, kind: str) -> None:
    """Rows of a packed batch are in another order, answers are not."""
    rows_of(24, monkeypatch)
    some = features(kind)
    model = model_class(kind)(tiny_config(num_labels=LABELS[kind])).eval()
    fill_with_large_weights(model)
    objective = KINDS[kind].objective(model)

    def scores(part: list[Feature]) -> list[Tensor]:
        sizes = [len(f.asked) if kind == "tagging" else 1 for f in part]
        return list(objective.scores(**KINDS[kind].inputs(part, 0)).split(sizes))

    with torch.no_grad():
        together = scores(some)
        for feature, found in zip(some, together, strict=True):
            assert (scores([feature])[0] - found).abs().max() < 1e-5
        for found, again in zip(together, scores(some[::-1])[::-1], strict=True):
            assert (found - again).abs().max() < 1e-5


# The work, and the order -------------------------------------------------------------


def test_what_a_work_says() -> None:
    tagging = KINDS["tagging"].batch(features("tagging"), 0)
    asked = sum(len(f.asked) for f in features("tagging"))
    assert tagging.counts.tolist() == [asked] and tagging.tokens == 49
    assert KINDS["answers"].batch(features("answers"), 0).counts == 5
    assert KINDS["regression"].batch(features("regression"), 0).counts == 5
    targets = tagging.arguments["targets"]
    assert len(targets) == asked and targets.dtype == torch.long


def test_rows_leave_little_padding() -> None:
    """They are 128 tokens at most; or as long as the longest text."""
    some = features("classification")
    rows, length = KINDS["classification"].inputs(some, 0)["input_ids"].shape
    assert length <= ROW and rows * length < 1.1 * sum(f.size for f in some)
    longer = [*some, some[0]._replace(first=[1] * 300)]
    assert KINDS["classification"].inputs(longer, 0)["input_ids"].shape[1] == 306


def test_an_unknown_kind() -> None:
    wanted = "kind='parsing'; give classification, regression, multil"
    with pytest.raises(ValueError, match=wanted):
        find_task("parsing")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 12])
def test_each_feature_is_read_once_an_epoch(size: int) -> None:
    """Whatever the size of a pass; and in another order in another epoch."""
    some = features("regression")
    works = TaskBatches(KINDS["regression"], some, size, 7, 0)
    read = [n for number in range(30) for n in works.numbers(number)]
    epochs = [read[at : at + 5] for at in range(0, len(read) - 4, 5)]
    assert all(Counter(epoch) == Counter(range(5)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > len(epochs) / 4
    assert len(works) == -(-5 // size)
    other = TaskBatches(KINDS["regression"], some, size, 7, 0)
    assert [other.numbers(n) for n in (9, 2)] == [works.numbers(n) for n in (9, 2)]
    other = TaskBatches(KINDS["regression"], some, size, 8, 0)
    assert [other.numbers(n) for n in range(9)] != [works.numbers(n) for n in range(9)]
    numbers = works.numbers(1)
    assert works[1].arguments["targets"].tolist() == [
        some[n].targets[0] for n in numbers
    ]


def test_a_pass_names_the_rows_of_the_data() -> None:
    some = [f._replace(row=10 + f.row) for f in features("tagging")]
    works = TaskBatches(KINDS["tagging"], some, 2, 0, 0)
    first, second = (10 + n for n in works.numbers(3))
    assert works.name(3) == f"pass 3 (rows {first}, {second})"
    assert TaskBatches(KINDS["tagging"], some, 9, 0, 0).name(0).endswith(", …)")


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="no rows to learn from; give one at least"):
        TaskBatches(KINDS["tagging"], [], 2, 0, 0)


# The model ---------------------------------------------------------------------------


def test_a_new_head_is_a_function_of_the_seed(encoder_folder: Path) -> None:
    """Of nothing else: not of what torch has drawn before; and it draws nothing."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = task_model("classification", encoder_folder, ("no", "yes"), seed=3)
    assert torch.equal(torch.rand(1), expected)
    two = task_model("classification", encoder_folder, ("no", "yes"), seed=3)
    other = task_model("classification", encoder_folder, ("no", "yes"), seed=4)
    assert torch.equal(one.classifier.weight, two.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    assert one.config.label_names == ("no", "yes")


@each_kind
def test_random_weights(kind: str) -> None:
    labels = ("a", "b", "c") if LABELS[kind] == 3 else ()
    one, two, other = (
        task_model(kind, tiny_config(), labels, seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
