"""Low rank: nothing at first, a whole matrix at full rank, plain layers at the end."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import Bert, BertForMaskedLM, BertForSequenceClassification
from bertcore.model.lowrank import NAMES, LowRank, add_low_rank, merge_low_rank
from bertcore.model.variants.parts import PreNormLayer, with_layers
from bertcore.training.optim import make_optimisers
from bertcore.training.recipe import Recipe
from tests.conftest import fill_with_large_weights, tiny_config

LABELS = torch.tensor([4, 0, 2])
# Out and in of each matrix of `tiny_config`.
SIZES = {name: (24, 24) for name in NAMES} | {"widen": (40, 24), "narrow": (24, 40)}


def classifier(**changes: object) -> BertForSequenceClassification:
    changes = {"dropout": 0.0, "attention_dropout": 0.0, **changes}
    model = BertForSequenceClassification(tiny_config(**changes))
    fill_with_large_weights(model)
    return model


def low_rank(model: nn.Module) -> dict[str, LowRank]:
    named = model.named_modules()
    return {name: module for name, module in named if isinstance(module, LowRank)}


def move(model: nn.Module, seed: int = 1) -> None:
    """As if it had learnt."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in low_rank(model).values():
            for part in (layer.down, layer.up):
                noise = torch.randn(part.shape, generator=generator, dtype=part.dtype)
                part += 0.3 * noise


def learnt(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_it_starts_as_the_model_it_was(batch: dict[str, Tensor]) -> None:
    model = classifier()
    expected = model(**batch)
    add_low_rank(model, rank=4, names=NAMES)
    assert torch.equal(model(**batch), expected)
    move(model)
    assert (model(**batch) - expected).abs().max() > 0.1


def test_the_layer_is_its_equation() -> None:
    base = nn.Linear(6, 10).double()
    layer = LowRank(base, rank=3, alpha=12)
    move(layer)
    x = torch.randn(4, 5, 6, dtype=torch.float64)
    weight = base.weight + 12 / 3 * layer.up @ layer.down
    assert torch.allclose(layer(x), F.linear(x, weight, base.bias), atol=1e-12)


def test_starting_weights_are_the_papers_codes() -> None:
    layer = LowRank(nn.Linear(400, 50), rank=8, alpha=8)
    assert not layer.up.any()
    bound = 1 / 400**0.5
    assert 0.99 * bound < layer.down.abs().max() <= bound
    assert layer.down.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_the_seed_decides() -> None:
    found = [classifier() for _ in range(3)]
    for model, seed in zip(found, (0, 0, 1), strict=True):
        torch.randn(3)  # torch's own random numbers have no part in it
        add_low_rank(model, seed=seed)
    parts = [[layer.down for layer in low_rank(model).values()] for model in found]
    one, same, other = map(torch.cat, parts)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == len(one), "each layer its own"


def test_only_the_new_weights_the_pooler_and_the_head_learn(batch) -> None:
    model = classifier()
    add_low_rank(model, rank=4)
    move(model)
    F.cross_entropy(model(**batch), LABELS).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    met = {name for name, g in gradients.items() if g is not None and g.any()}
    attention = "bert.encoder.layers.{}.attention.{}.{}"
    expected = {
        attention.format(layer, name, part)
        for layer in (0, 1)
        for name in ("query", "value")
        for part in ("down", "up")
    }
    for part in ("bert.pooler.dense", "classifier"):
        expected |= {f"{part}.weight", f"{part}.bias"}
    assert met == expected == learnt(model)


@pytest.mark.parametrize("names", [("query", "value"), ("widen",), NAMES])
@pytest.mark.parametrize("rank", [1, 5, 24])
def test_count_of_what_learns(rank: int, names: tuple[str, ...]) -> None:
    """Each matrix, out x in, gets rank times (out + in)."""
    model = classifier()
    summands = 2 * sum(rank * sum(SIZES[name]) for name in names)
    rest = 24 * 24 + 24 + 5 * 24 + 5  # pooler, classifier
    assert add_low_rank(model, rank, names=names) == summands + rest


# Merged ------------------------------------------------------------------------------


def test_merged_it_computes_the_same(batch: dict[str, Tensor]) -> None:
    model = classifier().double()
    names, start = [n for n, _ in model.named_parameters()], copy.deepcopy(model)
    add_low_rank(model, rank=4, alpha=6, names=NAMES)
    move(model)
    single = copy.deepcopy(model).float()
    expected = model(**batch)
    merge_low_rank(model)
    assert (model(**batch) - expected).abs().max() < 1e-10
    assert [n for n, _ in model.named_parameters()] == names
    assert learnt(model) == set(names), "all of it learns again"
    assert {type(m) for m in model.modules()} == {type(m) for m in start.modules()}
    expected = single(**batch)
    merge_low_rank(single)
    assert (single(**batch) - expected).abs().max() < 1e-5


def test_saved_once_merged(batch: dict[str, Tensor], tmp_path: Path) -> None:
    model = classifier()
    add_low_rank(model)
    move(model)
    with pytest.raises(ValueError, match="query.base.weight has no name in pub"):
        model.save_pretrained(tmp_path)
    expected = model(**batch)
    merge_low_rank(model)
    model.save_pretrained(tmp_path)
    again = BertForSequenceClassification.from_pretrained(tmp_path)
    assert (again(**batch) - expected).abs().max() < 1e-5


def test_added_again_after_merging(batch: dict[str, Tensor]) -> None:
    model = classifier()
    add_low_rank(model, rank=2)
    move(model)
    merge_low_rank(model)
    expected = model(**batch)
    add_low_rank(model, rank=3, names=("key", "narrow"))
    assert torch.equal(model(**batch), expected)


# Learning ----------------------------------------------------------------------------


def updates(model: nn.Module, kind: type, batch: dict[str, Tensor]) -> Iterator[None]:
    values = {"lr": 1e-2} if kind is torch.optim.SGD else {"lr": 1e-3, "fused": True}
    optimiser = kind([p for p in model.parameters() if p.requires_grad], **values)
    for _ in range(10):
        optimiser.zero_grad()
        F.cross_entropy(model(**batch), LABELS).backward()
        optimiser.step()
        yield


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_at_full_rank_it_is_fine_tuning_of_the_matrices(kind: type, batch) -> None:
    """A is the identity and stays so: B is then what is added to W."""
    names = ("query", "key", "value", "output", "widen")  # `narrow` is longer than wide
    narrow, whole = classifier().double(), classifier().double()
    add_low_rank(narrow, rank=24, names=names)
    for layer in low_rank(narrow).values():
        with torch.no_grad():
            layer.down.copy_(torch.eye(24)).requires_grad_(False)
    pairs = [
        (layer, whole.get_submodule(name).weight)
        for name, layer in low_rank(narrow).items()
    ]
    assert len(pairs) == 2 * len(names)
    whole.bert.requires_grad_(False)
    whole.bert.pooler.requires_grad_(True)
    for _, weight in pairs:
        weight.requires_grad_(True)
    start = [weight.detach().clone() for _, weight in pairs]
    both = (updates(model, kind, batch) for model in (narrow, whole))
    for _ in zip(*both, strict=True):
        for layer, weight in pairs:
            effective = layer.base.weight + layer.scale * layer.up @ layer.down
            assert (effective - weight).abs().max() < 1e-9
    for (_, weight), first in zip(pairs, start, strict=True):
        assert (weight - first).abs().max() > 1e-4, "and it moved"
    heads = narrow.classifier.weight, whole.classifier.weight
    assert (heads[0] - heads[1]).abs().max() < 1e-9


@pytest.mark.parametrize("optimiser", ["adamw", "released", "muon"])
def test_the_engines_optimisers_leave_the_rest_alone(optimiser: str, batch) -> None:
    model = classifier()
    add_low_rank(model, rank=4)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    recipe = Recipe(steps=9, learning_rate=1e-2, optimiser=optimiser)
    optimisers = make_optimisers(model, recipe)
    losses = []
    for _ in range(9):
        loss = F.cross_entropy(model(**batch), LABELS)
        loss.backward()
        for each, rate in optimisers.parts:
            for group in each.param_groups:
                group["lr"] = rate
            each.step()
        model.zero_grad()
        losses.append(loss.item())
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == learnt(model)
    assert losses[-1] < losses[0] / 2
    remembered = {key.rpartition("/")[0] for key in optimisers.state()}
    assert remembered == learnt(model), "and no memory is kept for it"


def test_shared_among_processes(batch: dict[str, Tensor], tmp_path: Path) -> None:
    """One process is enough to meet what DDP demands of parameters."""
    model = classifier()
    add_low_rank(model)
    alone = copy.deepcopy(model)
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        shared = nn.parallel.DistributedDataParallel(model)
        for each in (shared, shared, alone, alone):  # twice: the gradients add up
            F.cross_entropy(each(**batch), LABELS).backward()
    finally:
        dist.destroy_process_group()
    for one, other in zip(model.parameters(), alone.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.allclose(one.grad, other.grad, atol=1e-6)


def test_other_heads_and_other_layers(batch: dict[str, Tensor]) -> None:
    """The masked-LM head shares the token table, which stays as it is."""
    for model in (
        BertForMaskedLM(tiny_config()),
        with_layers(tiny_config(), PreNormLayer),
    ):
        fill_with_large_weights(model.eval())
        expected = model(**batch)
        assert add_low_rank(model, rank=2) == 8 * 48 + 24 * 24 + 24 * 3 + 53
        assert "bert.embeddings.token.weight" not in learnt(model)
        assert torch.equal(model(**batch), expected)


# What makes no sense -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 0}, r"rank=0, but layers.0.attention.query is 24 x 24; .* 1 to 24"),
        ({"rank": 25}, r"rank=25, but layers.0.attention.query is 24 x 24"),
        (
            {"rank": 25, "names": ("widen",)},
            r"feedforward.widen is 40 x 24; .* 1 to 24",
        ),
        ({"rank": 2.0}, r"rank=2.0, .* give a whole number, 1 to 24"),
        ({"alpha": 0}, r"alpha=0 must be more than 0"),
        (
            {"names": ("query", "dense")},
            r"dense cannot be given .* query, key, value, ",
        ),
        (
            {"names": ()},
            r"names=\(\): nothing cannot be given .* give a tuple of query",
        ),
        (
            {"names": "query"},
            r"names='query': e, q, r, u, y cannot .* a tuple of query",
        ),
    ],
)
def test_what_cannot_be_added(given: dict[str, object], message: str) -> None:
    model = classifier()
    with pytest.raises(ValueError, match=message):
        add_low_rank(model, **given)
    assert not low_rank(model)
    assert learnt(model) == {name for name, _ in model.named_parameters()}


def test_added_twice_or_merged_without() -> None:
    model = classifier()
    with pytest.raises(ValueError, match=r"no low-rank layers; call add_low_rank"):
        merge_low_rank(model)
    add_low_rank(model)
    with pytest.raises(
        ValueError, match=r"already; call merge_low_rank\(model\) first"
    ):
        add_low_rank(model, names=("key",))


def test_without_a_head() -> None:
    with pytest.raises(
        ValueError, match="Bert has no part `bert`; give a model with a"
    ):
        add_low_rank(Bert(tiny_config()))
