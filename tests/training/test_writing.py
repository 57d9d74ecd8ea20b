"""Writing: the loss is that of transformers, it is learnt, saved, and said again."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.book.checks import assert_same
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.generate import Search, generate
from bertcore.model.published import published_name
from bertcore.tasks import KINDS, writing
from bertcore.tasks.rows import Source, TaskSet, Text
from bertcore.tasks.task import Feature, FeatureSettings
from bertcore.tasks.writing import WritingObjective, WrittenTarget
from bertcore.text.batch import IGNORE_INDEX, padded
from bertcore.text.vocabulary import SPECIAL
from bertcore.training.finetuning import FineTuning, task_model
from bertcore.training.predictor import Predictor
from bertcore.training.recipe import Tuning
from tests.conftest import fill_with_large_weights, tiny_config
from tests.training.small import CPU, distance, weights

SIZES = [(9, 5), (3, 8), (11, 3), (2, 2), (7, 6)]  # of the source, of the target
LETTERS = "abcdefgh"
TOKENIZER = Tokenizer([*SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS)])
WORDS = "head bade cafe dabb fegh gace hebe acde".split()


def features() -> list[Feature]:
    """Five of random ids."""
    generator = torch.Generator().manual_seed(2)
    ids = [
        [torch.randint(1, 53, (n,), generator=generator).tolist() for n in pair]
        for pair in SIZES
    ]
    return [Feature(row, *pair[:1], [], [], pair[1]) for row, pair in enumerate(ids)]


def rows_of(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed rows of that many tokens, whatever leaves the least padding."""
    monkeypatch.setattr(writing, "least_padding", lambda sizes, longest: length)


def padded_pairs(some: list[Feature]) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The sources; what the decoder reads; and the labels, padded."""
    sources = padded([(f.first, f.second) for f in some], 0)
    read = padded([(f.targets[:-1], []) for f in some], 0)
    labels = padded([(f.targets[1:], []) for f in some], 0)["input_ids"]
    labels[read["attention_mask"] == 0] = IGNORE_INDEX
    targets = {f"decoder_{n}": v for n, v in read.items() if n != "token_type_ids"}
    return {**sources, **targets}, read["input_ids"], labels


class Ours(nn.Module):
    """The mean loss of packed features."""

    def __init__(self, some: list[Feature], smoothing: float) -> None:
        super().__init__()
        model = EncoderDecoder(tiny_config())
        self.objective = WritingObjective(model, smoothing)
        self.work = KINDS["writing"].batch(some, 0)

    def forward(self) -> Tensor:
        return self.objective(**self.work.arguments) / self.work.counts


class Theirs(nn.Module):
    """That of padded ones by transformers, which shifts the labels itself."""

    def __init__(self, some: list[Feature], smoothing: float) -> None:
        super().__init__()
        self.model, self.smoothing = reference(some[0].targets[0]), smoothing
        self.batch, _, self.labels = padded_pairs(some)

    def forward(self) -> Tensor:
        if self.smoothing:
            logits = self.model(**self.batch).logits.flatten(0, 1)
            return F.cross_entropy(
                logits, self.labels.flatten(), label_smoothing=self.smoothing
            )[None]
        given = {n: v for n, v in self.batch.items() if not n.startswith("decoder")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on who shifts the labels
            return self.model(**given, labels=self.labels).loss[None]


def reference(start: int) -> nn.Module:
    parts = [
        transformers.BertConfig(**tiny_config().to_dict(), **flags)
        for flags in ({}, {"is_decoder": True, "add_cross_attention": True})
    ]
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*parts)
    config.decoder_start_token_id, config.pad_token_id = start, 0
    model = transformers.EncoderDecoderModel(config)
    fill_with_large_weights(model)
    return model.eval()


def their_name(ours: str) -> str:
    return f"model.{published_name(ours.removeprefix('objective.model.'))}"


# The loss ----------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("row", [11, 30])
def test_loss_and_gradients_are_those_of_transformers(
    monkeypatch, row: int, smoothing: float
) -> None:
    """The same features, packed here and padded there; their [CLS] is any id."""
    rows_of(row, monkeypatch)
    some = features()
    start = some[0].targets[0]
    some = [f._replace(targets=[start, *f.targets[1:]]) for f in some]
    ours, other = Ours(some, smoothing), Theirs(some, smoothing)
    assert len(ours.work.arguments["input_ids"]) < len(some)
    same = assert_same(ours, other, names=their_name)
    assert same.gradients == 2 * 5 + 2 * 16 + 2 * 26 + 5


def test_a_fault_shows() -> None:
    """The comparison means something only if one wrong token is seen."""
    some = features()
    spoilt = [some[0]._replace(targets=[*some[0].targets[:-1], 7]), *some[1:]]
    with pytest.raises(AssertionError, match="output 0 differs"):
        assert_same(Ours(spoilt, 0.1), Theirs(some, 0.1), names=their_name)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("row", [11, 17, 60])
def test_packed_equals_padded(monkeypatch, row: int, cross: bool) -> None:
    rows_of(row, monkeypatch)
    model = EncoderDecoder(tiny_config(), tiny_config(layers=1), cross).eval()
    fill_with_large_weights(model)
    work = KINDS["writing"].batch(features(), 0)
    loss = WritingObjective(model, 0.1)(**work.arguments)[0]
    batch, _, labels = padded_pairs(features())
    expected = F.cross_entropy(
        model(**batch).transpose(1, 2), labels, reduction="sum", label_smoothing=0.1
    )
    assert abs(loss - expected) < 1e-5 * expected
    learnt = {n: p for n, p in model.named_parameters() if cross or "decoder" in n}
    found, wanted = (
        dict(zip(learnt, torch.autograd.grad(each, learnt.values()), strict=True))
        for each in (loss, expected)
    )
    largest = max(gradient.abs().max() for gradient in wanted.values())
    for name, gradient in wanted.items():
        noise = 1e-6 * largest  # a key's bias has no gradient but rounding
        apart = (found[name] - gradient).abs().max()
        assert apart <= 1e-4 * gradient.abs().max() + noise, name


def test_what_a_work_says() -> None:
    """Labels, and tokens of both parts."""
    work = KINDS["writing"].batch(features(), 0)
    labels = sum(target - 1 for _, target in SIZES)
    assert work.counts.tolist() == [labels] == [len(work.arguments["targets"])]
    assert work.tokens == sum(source for source, _ in SIZES) + labels


# The model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    BertForMaskedLM(config()).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def config(**changes: Any) -> Any:
    sizes = {"layers": 1, "hidden_size": 32, "heads": 2, "feedforward_size": 64}
    rates = {"dropout": 0.0, "attention_dropout": 0.0}
    return tiny_config(**{"vocab_size": len(TOKENIZER), **sizes, **rates, **changes})


def test_a_bert_becomes_both_parts(bert: Path) -> None:
    """What looks from one to the other is a function of the seed; no warning."""
    one, two, other = (task_model("writing", bert, (), seed) for seed in (3, 3, 4))
    assert distance(weights(one), weights(two)) == 0
    apart = {
        name
        for name, value in weights(one).items()
        if not torch.equal(value, weights(other)[name])
    }
    assert apart and all(".cross." in name for name in apart)
    own = BertForMaskedLM.from_pretrained(bert)
    head = weights(own.mlm_head)
    assert distance(weights(one.decoder.mlm_head), head) == 0
    table = own.bert.embeddings.token.weight
    for part in (one.encoder, one.decoder.bert):
        assert torch.equal(part.embeddings.token.weight, table)


def test_tied_parts(bert: Path, tmp_path: Path) -> None:
    tied = task_model("writing", bert, (), 0, tied=True)
    assert tied.decoder.bert.embeddings is tied.encoder.embeddings
    assert task_model("writing", config(), (), 0, tied=True).tied
    tied.save_pretrained(tmp_path)
    assert task_model("writing", tmp_path, (), 0).tied, "as it was"
    apart = EncoderDecoder(config())
    apart.save_pretrained(tmp_path)
    for start in (apart, tmp_path):
        with pytest.raises(ValueError, match="tied=True, but .* leave tied out, or"):
            task_model("writing", start, (), 0, tied=True)


# It learns ---------------------------------------------------------------------------

TUNING = Tuning(epochs=200, batch=8, learning_rate=2e-2, warmup=0.02, patience=20)


def data(**parts: list[Source]) -> TaskSet:
    rows = [Source(word, word[::-1]) for word in WORDS]
    found = {"train": rows, "valid": rows, "test": [], **parts}
    return TaskSet("backwards", "writing", (), **found, source="here", licence="CC0")


def run(how: Tuning = TUNING, weights: Any = None, **options: Any) -> FineTuning:
    options = {"settings": CPU, "tokenizer": TOKENIZER, **options}
    rows = options.pop("data", None) or data()
    return FineTuning(rows, weights or config(), how, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FineTuning:
    """Words, to be written backwards."""
    folder = tmp_path_factory.mktemp("trained")
    options = {"settings": CPU, "tokenizer": TOKENIZER, "folder": folder}
    return FineTuning(data(), config(), TUNING, **options).run()


def test_it_learns_to_write_backwards(trained: FineTuning) -> None:
    assert trained.best is not None and trained.best.scores["exact"] == 1
    assert len(trained.evaluations) < 200, "patience"
    assert [said.text for said in trained.predictor.predict(WORDS)] == [
        word[::-1] for word in WORDS
    ]


def test_what_is_saved_says_the_same(trained: FineTuning) -> None:
    """And it learns on, or is taken for weights."""
    saved, here = Predictor.from_pretrained(trained.folder), trained.predictor
    assert saved.predict(WORDS) == here.predict(WORDS)
    usual = {"search": Search(15, start_id=2, stop_id=3)}
    assert saved.settings == here.settings == usual
    assert saved.reading[1:] == here.reading[1:] == (16, None, 16, None)
    again = run(TUNING.replace(epochs=1), trained.folder, tokenizer=None)
    assert again.score(again.data.valid)["exact"] == 1
    assert json.loads((trained.folder / "card.json").read_text())["what"] == (
        "Fine-tuning of an EncoderDecoder"
    )


def test_frozen(bert: Path) -> None:
    here = run(TUNING.replace(frozen=True, epochs=2), bert)
    assert moved(here) == {"decoder"}
    tied = run(TUNING.replace(frozen=True, epochs=2, tied=True), bert)
    learnt = {n for n, p in tied.model.named_parameters() if p.requires_grad}
    assert all(".cross" in name or "mlm_head" in name for name in learnt)
    assert moved(tied) == {"decoder"} and learnt


def moved(here: FineTuning) -> set[str]:
    """The parts of the model that a run changes."""
    before = weights(here.model)
    after = weights(here.run().model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return {name.partition(".")[0] for name in changed}


@pytest.mark.parametrize("cross", [True, False])
def test_a_model_that_was_built_before(cross: bool, tmp_path: Path) -> None:
    """It is trained itself; without cross-attention its encoder learns nothing."""
    model = EncoderDecoder(config(), config(layers=2), cross)
    here = run(TUNING.replace(epochs=3), model, folder=tmp_path)
    assert here.model is model
    assert moved(here) == ({"encoder", "decoder"} if cross else {"decoder"})
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    card = here.card()["setting"]
    assert card["parameters_learnt"] == learnt
    assert (learnt == card["parameters"]) is cross
    assert card["weights"] == "of a model that was given"
    found = here.predictor.predict(WORDS)
    assert Predictor.from_pretrained(tmp_path).predict(WORDS) == found
    assert cross or len({said.text for said in found}) == 1, "it has read nothing"


def test_smoothing_is_what_the_tuning_says() -> None:
    losses = [
        next(run(TUNING.replace(label_smoothing=share)).records()).losses[0]
        for share in (0.0, 0.5)
    ]
    plain = run()
    with torch.no_grad():
        [work] = [plain.batches[n] for n in range(len(plain.batches))]
        scores = plain.objective.scores(
            **{n: v for n, v in work.arguments.items() if n != "targets"}
        ).log_softmax(-1)
    right = scores.gather(1, work.arguments["targets"][:, None]).mean()
    assert losses[0] == pytest.approx(-right.item(), rel=1e-5)
    mixed = -(right + scores.mean()).item() / 2
    assert losses[1] == pytest.approx(mixed, rel=1e-5)


# What is said ------------------------------------------------------------------------


def predictor(search: Search | None = None, **changes: Any) -> Predictor:
    """With large random weights."""
    model = EncoderDecoder(config(initializer_range=0.4, **changes))
    return Predictor(
        model, "writing", FeatureSettings(TOKENIZER, 16, target=12), search=search
    )


@pytest.mark.parametrize(
    "search", [None, Search(8, beams=3, length_penalty=0.6)], ids=["greedy", "beams"]
)
def test_transformers_writes_the_same(search: Search | None, tmp_path: Path) -> None:
    torch.manual_seed(1)
    here = predictor(search)
    here.save_pretrained(tmp_path)
    model = transformers.EncoderDecoderModel.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = [*WORDS, "a", "gh ab c"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    theirs = model.generate(**batch)
    ours = generate(here.model, TOKENIZER(texts), here.settings["search"])
    for row, written in zip(theirs.tolist(), ours, strict=True):
        assert row[1 : 1 + len(written.ids)] == written.ids
        assert set(row[1 + len(written.ids) :]) <= {TOKENIZER.sep_id, TOKENIZER.pad_id}
    found = here.predict(texts)
    said = tokenizer.batch_decode(theirs, skip_special_tokens=True)
    assert said == [each.text for each in found]
    assert len(set(said)) > 3, "not all alike"
    assert Predictor.from_pretrained(tmp_path).predict(texts) == found


def test_texts_and_rows(trained: FineTuning) -> None:
    """One by one, together, as a stream; a target is not looked at."""
    here = trained.predictor
    [said] = here.predict(["head"])
    assert isinstance(said, WrittenTarget) and said.text == "daeh" and said.score < 0
    rows = [Source("bade"), "head", "fegh cafe", Source("head", "nonsense"), ""]
    together = here.predict(rows)
    assert together[1].text == together[3].text == "daeh"
    for one, other in zip(here.stream(iter(rows), 1), together, strict=True):
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize("row", [3, Text("a"), ("a", "b"), None])
def test_rows_that_are_none(row: Any) -> None:
    with pytest.raises(ValueError, match="row 1 is .*; give a text"):
        predictor().predict(["a", row])


def test_how_it_searches(tmp_path: Path) -> None:
    """The tokenizer's own ids, whatever the search says; it is saved and restored."""
    search = Search(5, temperature=0.7, top_k=4, top_p=0.9, start_id=7, stop_id=8)
    here = predictor(search)
    assert here.settings == {"search": search.replace(start_id=2, stop_id=3)}
    here.save_pretrained(tmp_path)
    assert Predictor.from_pretrained(tmp_path).settings == here.settings
    how = json.loads((tmp_path / "generation_config.json").read_text())
    assert how["do_sample"] and (how["top_k"], how["top_p"]) == (4, 0.9)
    assert here.predict(WORDS) == here.predict(WORDS), "of the seed"
    here.settings["search"] = here.settings["search"].replace(seed=1)
    assert here.predict(WORDS) != predictor(search).predict(WORDS)


# What does not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"target_length": 2}, "target_length=2 leaves no room for a piece .* give 3"),
        ({"target_length": 8.0}, "target_length=8.0 must be an integer of 1 or more"),
        (
            {"label_smoothing": 1.0},
            "label_smoothing=1.0 is a share; give 0, or more but",
        ),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1 is a share; give 0, or more"),
    ],
)
def test_a_tuning_that_makes_no_sense(changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        TUNING.replace(**changes)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"target_length": 9}, "target_length=9 for classification: it is for writing"),
        ({"label_smoothing": 0.1}, "label_smoothing=0.1 for classification: it is for"),
        ({"tied": True}, "tied=True for classification: .* alone; leave it out"),
    ],
)
def test_what_is_for_writing_alone(changes: dict[str, Any], wanted: str) -> None:
    rows = [Text("a", "x"), Text("b", "y")]
    other = TaskSet("other", "classification", (), rows, [], [], "here", "CC0")
    with pytest.raises(ValueError, match=wanted):
        run(TUNING.replace(**changes), data=other)


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rank=2 for writing, but .*; leave rank out"):
        run(TUNING.replace(rank=2))
    with pytest.raises(ValueError, match="a built model came with no tokenizer; give"):
        run(weights=EncoderDecoder(config()), tokenizer=None)
    wanted = "a BertForMaskedLM cannot do 'writing'; give an EncoderDecoder"
    with pytest.raises(ValueError, match=wanted):
        run(weights=BertForMaskedLM(config()))
    wanted = "target=20, but the decoder has 16 positions; give at most as many"
    with pytest.raises(ValueError, match=wanted):
        run(TUNING.replace(target_length=20))
    tagger = task_model("tagging", config(), ("O", "B-x"), 0)
    with pytest.raises(ValueError, match="search=… for tagging, which has none; leave"):
        Predictor(
            tagger,
            "tagging",
            FeatureSettings(TOKENIZER, 16),
            ("O", "B-x"),
            search=Search(),
        )
    EncoderDecoder(config()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model_type='encoder-decoder'; bertcore"):
        task_model("tagging", tmp_path, ("O", "B-x"), 0)


def test_a_folder_that_is_damaged(tmp_path: Path) -> None:
    predictor().save_pretrained(tmp_path)
    path = tmp_path / "task.json"
    about = json.loads(path.read_text())
    for spoilt, wanted in (
        ({**about, "search": {"beam": 2}}, "task.json, search: Search has no beam; it"),
        ({**about, "search": 3}, "task.json, search: "),
        ({n: about[n] for n in about if n != "target"}, "task.json has no target; wr"),
    ):
        path.write_text(json.dumps(spoilt))
        with pytest.raises(ValueError, match=wanted):
            Predictor.from_pretrained(tmp_path)
