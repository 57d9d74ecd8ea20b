"""What is written equals the transformers library, and the cache changes no bit."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from bertcore import (
    Bert,
    BertConfig,
    BertForMaskedLM,
    Decoder,
    EncoderDecoder,
    Search,
    generate,
)
from bertcore.model.decoder import KeyValueCache
from bertcore.model.generate import Generated, filtered_logits, pick_tokens
from bertcore.model.published import published_name

CONFIG = BertConfig(
    vocab_size=23,
    hidden_size=32,
    layers=2,
    heads=4,
    feedforward_size=48,
    max_positions=40,
    dropout=0.0,
    attention_dropout=0.0,
)
DECODER_CONFIG = CONFIG.replace(vocab_size=19, layers=3, heads=2, max_positions=24)
LENGTHS = torch.tensor([9, 3, 6, 1, 9, 5, 2, 8])
MASK = (torch.arange(9) < LENGTHS[:, None]).long()
# Of the beams that follow more than one beginning.
KINDS = [(beams, power) for beams in (2, 3, 5) for power in (0.0, 1.0, 2.0, -1.0)]


def search_for(**changes: Any) -> Search:
    return Search(**{"max_tokens": 12, "start_id": 2, "stop_id": 3, **changes})


def lively(model: nn.Module, seed: int) -> nn.Module:
    """Weights under which texts differ, end early or late, and beams disagree.

    With weights of one size a model says the same piece for ever: here what it says
    depends on the position, the piece before and the source.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = {"position": 2.0, "embeddings": 1.0, ".cross.": 0.15, "mlm_head": 0.15}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            size = next((sizes[part] for part in sizes if part in name), 0.1)
            size = 0.1 if parameter.dim() == 1 else size
            parameter.normal_(std=size, generator=generator)
            if "norm.weight" in name:
                parameter.fill_(0.4 if "mlm_head" in name else 1.0)
            if name.endswith("mlm_head.bias"):
                parameter[3] += 0.5  # ends more often
    return model.eval().double()


def pair(seed: int = 0) -> EncoderDecoder:
    return lively(EncoderDecoder(CONFIG, DECODER_CONFIG), seed)


def alone(seed: int = 0) -> Decoder:
    return lively(Decoder(CONFIG, cross=False), seed)


def theirs(ours: EncoderDecoder | Decoder) -> nn.Module:
    """The same model in the transformers library, with the same weights."""
    config = ours.published_config()
    if isinstance(ours, Decoder):
        model = transformers.BertLMHeadModel(transformers.BertConfig(**config))
    else:
        parts = (transformers.BertConfig(**config[k]) for k in ("encoder", "decoder"))
        model = transformers.EncoderDecoderModel(
            transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*parts)
        )
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            model.get_parameter(published_name(name)).copy_(parameter)
    return model.eval().double()


def batch_of(seed: int = 0, mask: Tensor = MASK) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 19, mask.shape, generator=generator)
    return {"input_ids": ids * mask, "attention_mask": mask}


def left(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with the padding on the left."""
    moved = {name: torch.zeros_like(tensor) for name, tensor in batch.items()}
    place = batch["attention_mask"].bool()
    moved["attention_mask"] = batch["attention_mask"].flip(1)
    moved["input_ids"][place.flip(1)] = batch["input_ids"][place]
    return moved


def their_words(
    model: nn.Module, batch: dict[str, Tensor], search: Search, **more: Any
) -> list[Generated]:
    """What the transformers library writes."""
    torch.manual_seed(search.seed)
    found = model.generate(
        **batch,
        max_new_tokens=search.max_tokens,
        num_beams=search.beams,
        length_penalty=search.length_penalty,
        do_sample=search.temperature > 0,
        early_stopping=False,
        decoder_start_token_id=search.start_id,
        eos_token_id=search.stop_id,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        **more,
    )
    begun = 1 if model.config.is_encoder_decoder else batch["input_ids"].shape[1]
    texts = found.sequences[:, begun:]
    if search.beams > 1:
        scores = found.sequences_scores
    else:
        steps = model.compute_transition_scores(
            found.sequences, found.scores, normalize_logits=True
        )
        steps = steps.masked_fill(~steps.isfinite(), 0.0)
        stops = -1 if search.stop_id is None else search.stop_id
        counted = (texts == stops).int().cumsum(1).roll(1, dims=1)
        counted[:, 0] = 0
        scores = (steps * (counted == 0)).sum(1)
    return [
        Generated(text[: text.index(search.stop_id)], score, True)
        if search.stop_id in text
        else Generated(text, score, False)
        for text, score in zip(texts.tolist(), scores.tolist(), strict=True)
    ]


def assert_same_words(found: list[Generated], expected: list[Generated]) -> None:
    assert [(ours.ids, ours.ended) for ours in found] == [
        (their.ids, their.ended) for their in expected
    ]
    for ours, their in zip(found, expected, strict=True):
        assert abs(ours.score - their.score) < 1e-5


def assert_varied(greedy: list[Generated], beams: list[Generated]) -> None:
    """The comparisons mean something only if the texts are not all of a kind."""
    lengths = Counter(len(text.ids) for text in [*greedy, *beams])
    assert len(lengths) > 8 and max(lengths.values()) < 0.8 * lengths.total()
    for texts in (greedy, beams):
        ended = sum(text.ended for text in texts)
        assert 0.1 * len(texts) < ended < 0.9 * len(texts)
        assert any(len(set(text.ids)) > 4 for text in texts)
    times = len(beams) // len(greedy)
    pairs = zip([text for text in greedy for _ in range(times)], beams, strict=True)
    other = sum(one.ids != two.ids for one, two in pairs)
    assert 0.3 * len(beams) < other < len(beams)


# --- Equal to the transformers library -----------------------------------------------


def compare(
    make: Callable[[int], nn.Module], for_them: Callable[[dict], dict], seeds: int
) -> tuple[list[Generated], list[Generated]]:
    """Greedy, and of each seed a third of the kinds of beams, row by row."""
    greedy, beams = [], []
    for seed in range(seeds):
        ours, batch = make(seed), batch_of(seed)
        their_model, their_batch = theirs(ours), for_them(batch)
        found = []
        for count, power in [(1, 1.0), *KINDS[seed % 3 :: 3]]:
            search = search_for(beams=count, length_penalty=power)
            found.append(generate(ours, batch, search))
            assert_same_words(found[-1], their_words(their_model, their_batch, search))
        greedy += found[0]
        beams += [text for row in zip(*found[1:], strict=True) for text in row]
    return greedy, beams


def test_an_encoder_decoder_writes_what_transformers_writes() -> None:
    assert_varied(*compare(pair, lambda batch: batch, 4))


def test_a_decoder_goes_on_as_transformers_does() -> None:
    """From beginnings of unequal length, which must stand on the right for theirs."""
    assert_varied(*compare(alone, left, 4))


@pytest.mark.parametrize("beams", [1, 4])
def test_without_an_end_all_are_written_to_the_limit(beams: int) -> None:
    for ours, batch in ((pair(), batch_of()), (alone(), left(batch_of()))):
        search = search_for(beams=beams, stop_id=None, max_tokens=9)
        found = generate(ours, batch, search)
        assert all(len(text.ids) == 9 and not text.ended for text in found)
        assert any(3 in text.ids for text in found)
        assert_same_words(found, their_words(theirs(ours), batch, search))


def test_more_beams_than_pieces_are_followed_as_in_transformers() -> None:
    config = CONFIG.replace(vocab_size=4)
    ours = lively(EncoderDecoder(CONFIG, config), 1)
    for beams in (3, 6):
        search = search_for(beams=beams, max_tokens=5)
        found = generate(ours, batch_of(), search)
        assert_same_words(found, their_words(theirs(ours), batch_of(), search))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, -1.0])
def test_enough_beams_find_the_best_text_there_is(power: float) -> None:
    """All texts of three pieces at most, 40 of them, one by one."""
    ours = lively(EncoderDecoder(CONFIG, CONFIG.replace(vocab_size=4)), 2)
    batch = batch_of(mask=MASK[:3])
    search = search_for(max_tokens=3, beams=64, length_penalty=power)
    found = generate(ours, batch, search)
    pieces = [0, 1, 2]
    texts = [[*t, 3] for n in range(3) for t in itertools.product(pieces, repeat=n)]
    texts += [list(text) for text in itertools.product(pieces, repeat=3)]
    assert len(texts) == 40
    for row in range(3):
        source = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        scores = [log_probability(ours, source, t) / len(t) ** power for t in texts]
        best = max(range(40), key=scores.__getitem__)
        assert found[row].ids == [piece for piece in texts[best] if piece != 3]
        assert abs(found[row].score - scores[best]) < 1e-5


def log_probability(
    model: nn.Module, batch: dict[str, Tensor], text: list[int], start_id: int = 2
) -> float:
    """Of a text after one source or beginning, read all at once."""
    with torch.no_grad():
        if isinstance(model, EncoderDecoder):
            target = torch.tensor([[start_id, *text[:-1]]])
            logits = model(decoder_input_ids=target, **batch)[0]
        else:
            begun = batch["input_ids"][:, batch["attention_mask"][0].bool()]
            logits = model(torch.cat([begun, torch.tensor([text[:-1]]).long()], 1))
            logits = logits[0, begun.shape[1] - 1 :]
    return logits.log_softmax(-1)[range(len(text)), text].sum().item()


@pytest.mark.parametrize("make", [pair, alone])
@pytest.mark.parametrize(("beams", "power"), [(1, 1.0), (4, 1.0), (4, 0.5)])
def test_scores_are_what_the_model_says_of_the_whole_text(
    make: Callable[[], nn.Module], beams: int, power: float
) -> None:
    model, batch = make(), batch_of()
    search = search_for(beams=beams, length_penalty=power)
    for row, text in enumerate(generate(model, batch, search)):
        whole = [*text.ids, 3] if text.ended else text.ids
        own = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        score = log_probability(model, own, whole)
        score /= len(whole) ** power if beams > 1 else 1
        assert abs(text.score - score) < 1e-4


@pytest.mark.parametrize("make", [pair, alone])
@pytest.mark.parametrize("beams", [1, 3])
def test_a_row_is_written_as_it_is_alone(
    make: Callable[[], nn.Module], beams: int
) -> None:
    """Whatever stands beside it, in whatever order, with however much padding."""
    model, batch, search = make(), batch_of(), search_for(beams=beams)
    found = [text.ids for text in generate(model, batch, search)]
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    shuffled = {name: tensor[order] for name, tensor in batch.items()}
    assert [text.ids for text in generate(model, shuffled, search)] == [
        found[row] for row in order
    ]
    moved = left(batch)
    if make is pair:  # an encoder is told where the tokens stand
        moved["position_ids"] = (moved["attention_mask"].cumsum(1) - 1).clamp(min=0)
    assert [text.ids for text in generate(model, moved, search)] == found
    for row in (0, 3, 5):
        ids = batch["input_ids"][row : row + 1, : LENGTHS[row]]
        assert generate(model, {"input_ids": ids}, search)[0].ids == found[row]


def test_the_source_and_the_beginning_matter() -> None:
    for make in (pair, alone):
        texts = {tuple(text.ids) for text in generate(make(), batch_of(), search_for())}
        assert len(texts) > 4
    blind = lively(EncoderDecoder(CONFIG, DECODER_CONFIG, cross=False), 0)
    found = generate(blind, batch_of(), search_for())
    assert len({tuple(text.ids) for text in found}) == 1
    begun = {tuple(generate(blind, batch_of(), search_for(start_id=each))[0].ids)
             for each in range(5, 9)}  # fmt: skip
    assert len(begun) > 2


# --- Drawn ---------------------------------------------------------------------------

DRAWN = [
    {"temperature": 1.0},
    {"temperature": 0.3},
    {"temperature": 2.5},
    {"temperature": 0.7, "top_k": 1},
    {"temperature": 0.7, "top_k": 5},
    {"temperature": 1.0, "top_k": 1000},
    {"temperature": 1.0, "top_p": 1e-9},
    {"temperature": 1.0, "top_p": 0.51},
    {"temperature": 1.7, "top_p": 0.93},
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 1.3, "top_k": 7, "top_p": 0.77},
]


def their_chances(logits: Tensor, search: Search) -> Tensor:
    logits = transformers.TemperatureLogitsWarper(float(search.temperature))(
        None, logits
    )
    if search.top_k is not None:
        logits = transformers.TopKLogitsWarper(search.top_k)(None, logits)
    if search.top_p is not None and search.top_p < 1:  # as their generate does
        logits = transformers.TopPLogitsWarper(search.top_p)(None, logits)
    return logits.softmax(-1)


@pytest.mark.parametrize("how", DRAWN)
def test_chances_are_those_of_transformers(how: dict[str, Any]) -> None:
    search = search_for(**how)
    for size in (0.1, 1.0, 10.0):
        generator = torch.Generator().manual_seed(int(size * 10))
        logits = size * torch.randn(50, 30, generator=generator)
        found = filtered_logits(logits, search).softmax(-1)
        expected = their_chances(logits, search)
        assert torch.equal(found > 0, expected > 0)
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("how", DRAWN)
def test_chances_of_logits_that_tie(how: dict[str, Any]) -> None:
    """As many of them as in transformers; which ones of equals is free."""
    search = search_for(**how)
    logits = torch.randint(0, 4, (50, 30), generator=torch.Generator().manual_seed(0))
    logits = torch.cat([logits.float(), torch.zeros(1, 30)])
    found = filtered_logits(logits, search).softmax(-1)
    expected = their_chances(logits, search)
    ordered, wanted = found.sort(-1).values, expected.sort(-1).values
    assert torch.allclose(ordered, wanted, atol=1e-6)
    kept = (found > 0).float()
    least = logits.masked_fill(kept == 0, torch.inf).min(-1, keepdim=True).values
    assert (kept[logits > least] == 1).all(), "a likelier one was dropped"


def test_no_narrowing_drops_nothing() -> None:
    """However small its chance: a sum in single precision reaches 1 before the end."""
    logits = torch.tensor([[20.0, 10.0, 0.0, -10.0]]).repeat(1, 50)
    found = filtered_logits(logits, search_for(temperature=1.0, top_p=1.0))
    assert found.isfinite().all()


def test_drawn_texts_are_those_of_transformers() -> None:
    """One seed, one order of draws: theirs draws on for what has ended, so none may."""
    for ours, batch in ((pair(), batch_of()), (alone(), left(batch_of()))):
        for seed, top_k in ((0, 0), (1, 6)):
            search = search_for(
                stop_id=None, temperature=1.3, top_k=top_k or None, top_p=0.9, seed=seed
            )
            how = {"temperature": 1.3, "top_k": top_k, "top_p": 0.9}
            found = generate(ours, batch, search)
            assert_same_ids(found, their_words(theirs(ours), batch, search, **how))


def assert_same_ids(found: list[Generated], expected: list[Generated]) -> None:
    assert [text.ids for text in found] == [text.ids for text in expected]


def test_a_seed_is_a_text() -> None:
    model, batch = pair(), batch_of()
    search = search_for(temperature=1.0)
    texts = [generate(model, batch, search.replace(seed=seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] and texts[0] != texts[2]
    before = torch.random.get_rng_state()
    generate(model, batch, search)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert generate(model, batch, search, cached=False) == texts[0]


@pytest.mark.parametrize("how", [DRAWN[i] for i in (0, 2, 4, 8)])
def test_first_tokens_are_drawn_as_often_as_they_should_be(how: dict[str, Any]) -> None:
    """Chi-square of 3,000 draws: below what one of ten thousand exceeds."""
    model = pair()
    batch = {name: tensor[:1].expand(3000, -1) for name, tensor in batch_of().items()}
    texts = generate(model, batch, search_for(max_tokens=1, stop_id=None, **how))
    counts = torch.bincount(torch.tensor([t.ids[0] for t in texts]), minlength=19)
    with torch.no_grad():
        one = {name: tensor[:1] for name, tensor in batch.items()}
        logits = model(decoder_input_ids=torch.tensor([[2]]), **one)
    expected = 3000 * their_chances(logits[0].float(), search_for(**how))[0]
    assert not counts[expected == 0].any()
    kept = expected > 5
    rest = torch.stack([counts[~kept].sum(), expected[~kept].sum()])
    observed = torch.cat([counts[kept], rest[:1]])[: kept.sum() + (rest[1] > 5)]
    wanted = torch.cat([expected[kept], rest[1:]])[: len(observed)]
    free = len(observed) - 1
    assert free > 1
    square = ((observed - wanted) ** 2 / wanted).sum().item()
    # Wilson and Hilferty 1931: the cube root of a chi-square is nearly normal.
    limit = free * (1 - 2 / (9 * free) + 3.72 * (2 / (9 * free)) ** 0.5) ** 3
    assert square < limit


def test_a_cold_draw_is_the_likeliest() -> None:
    logits = torch.randn(200, 19, generator=torch.Generator().manual_seed(0))
    cold = pick_tokens(logits, search_for(temperature=0.001), torch.Generator())
    assert torch.equal(cold, logits.argmax(-1))
    one = pick_tokens(logits, search_for(temperature=5.0, top_k=1), torch.Generator())
    assert torch.equal(one, logits.argmax(-1))
    assert torch.equal(pick_tokens(logits, search_for()), logits.argmax(-1))


# --- What is kept, and what is not: the cache ----------------------------------------


def logits_of(
    model: nn.Module, batch: dict[str, Tensor], search: Search, cached: bool
) -> tuple[list[Tensor], list[Generated]]:
    """Those of each step, before they are rounded to single precision."""
    decoder, found = getattr(model, "decoder", model), []
    scores = decoder.scores

    def watched(hidden: Tensor) -> Tensor:
        found.append(scores(hidden))
        return found[-1]

    decoder.scores = watched
    try:
        return found, generate(model, batch, search, cached)
    finally:
        del decoder.scores


CACHED = pytest.mark.parametrize(
    ("make", "how"),
    [
        (make, how)
        for make in (pair, alone)
        for how in ({}, {"beams": 3}, {"stop_id": None}, {"temperature": 1.0})
    ],
)


@CACHED
def test_the_cache_changes_nothing(
    make: Callable[[], nn.Module], how: dict[str, Any]
) -> None:
    """With the usual kernels, which add up one row in another order than twelve."""
    model, batch, search = make(), batch_of(), search_for(**how)
    (one, words), (two, same) = (
        logits_of(model, batch, search, cached) for cached in (True, False)
    )
    assert len(one) == len(two) == 12
    for with_cache, without in zip(one, two, strict=True):
        assert (with_cache - without).abs().max() < 1e-11
    assert [text.ids for text in words] == [text.ids for text in same]


@contextmanager
def one_row_at_a_time() -> Iterator[None]:
    """Each row's arithmetic alone, so that a row's sum has one order, always.

    A product with a matrix takes one row at a time; attention one query at a time, and
    of the keys only those that it may see: with and without a cache that is the same
    sum of the same numbers. Copies, because the order may depend on the address.
    """
    linear, attend = F.linear, F.scaled_dot_product_attention

    def each_row(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rows = hidden.reshape(-1, hidden.shape[-1])
        found = [linear(row[None].clone(), weight, bias) for row in rows]
        return torch.cat(found).view(*hidden.shape[:-1], -1)

    def each_query(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
    ) -> Tensor:
        assert dropout_p == 0.0
        shape = len(query), 1, query.shape[2], key.shape[2]
        seen = torch.ones(shape).bool() if attn_mask is None else attn_mask
        seen, found = seen.expand(shape), torch.empty_like(query)
        for text, place in itertools.product(range(shape[0]), range(shape[2])):
            own = seen[text, 0, place]
            found[text : text + 1, :, place : place + 1] = attend(
                query[text : text + 1, :, place : place + 1].clone(),
                key[text : text + 1, :, own].clone(),
                value[text : text + 1, :, own].clone(),
            )
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "linear", each_row)
        patch.setattr(F, "scaled_dot_product_attention", each_query)
        yield


def differing_steps(
    make: Callable[[], nn.Module], how: dict[str, Any]
) -> tuple[int, int]:
    """Steps whose logits are not the same to the last bit, and all steps."""
    model, search = make(), search_for(**how)
    batch = {name: tensor[3:6, :6] for name, tensor in batch_of().items()}
    batch["attention_mask"] = (torch.arange(6) < torch.tensor([[1], [6], [4]])).long()
    with one_row_at_a_time():
        one, two = (logits_of(model, batch, search, c)[0] for c in (True, False))
    same = [
        a.shape == b.shape and a.dtype == torch.float64 and torch.equal(a, b)
        for a, b in zip(one, two, strict=True)
    ]
    return same.count(False), len(same)


EXACT = pytest.mark.parametrize(
    ("make", "how"),
    [
        (make, how)
        for make in (pair, alone)
        for how in ({"stop_id": None}, {"stop_id": None, "beams": 2})
    ],
)


@EXACT
def test_the_cache_changes_no_bit(
    make: Callable[[], nn.Module], how: dict[str, Any]
) -> None:
    assert differing_steps(make, how) == (0, 12)


Patch = pytest.MonkeyPatch


def forgets_positions(patch: Patch) -> None:
    states = Decoder.states

    def forgetful(self: Decoder, ids: Tensor, **more: Any) -> Tensor:
        if more["caches"] is not None and more["caches"][0].length:
            more["position_ids"] = torch.zeros_like(ids)
        return states(self, ids, **more)

    patch.setattr(Decoder, "states", forgetful)


def forgets_a_token(patch: Patch) -> None:
    extend = KeyValueCache.extend

    def forgetful(
        self: KeyValueCache, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.length == 8:
            self.target[0][:, :, -1] = 0
        return extend(self, key, value)

    patch.setattr(KeyValueCache, "extend", forgetful)


def forgets_the_last_bit(patch: Patch) -> None:
    extend = KeyValueCache.extend

    def forgetful(
        self: KeyValueCache, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.target is not None:
            self.target = self.target[0], self.target[1] * (1 + 2.0**-52)
        return extend(self, key, value)

    patch.setattr(KeyValueCache, "extend", forgetful)


def forgets_whose_it_is(patch: Patch) -> None:
    follow = KeyValueCache.follow
    patch.setattr(
        KeyValueCache, "follow", lambda self, rows: follow(self, rows.sort()[0])
    )


@pytest.mark.parametrize("make", [pair, alone])
@pytest.mark.parametrize(
    ("fault", "beams"),
    [
        (forgets_positions, 1),
        (forgets_a_token, 1),
        (forgets_the_last_bit, 1),
        (forgets_whose_it_is, 2),
    ],
)
def test_the_check_sees_a_cache_that_forgets(
    make: Callable[[], nn.Module],
    fault: Callable[[Patch], None],
    beams: int,
    monkeypatch: Patch,
) -> None:
    """The check above means something only if these fail."""
    fault(monkeypatch)
    differing, steps = differing_steps(make, {"stop_id": None, "beams": beams})
    assert 0 < differing < steps == 12


# --- What it leaves as it was --------------------------------------------------------


def dropping(model: nn.Module) -> nn.Module:
    """Half of everything is dropped when training, but in one part that does not."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
        if hasattr(part, "offer"):
            part.dropout = 0.5
    model.train()
    getattr(model, "decoder", model).mlm_head.eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [part.training for part in model.modules()]


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("make", [pair, alone])
def test_a_model_in_training_writes_the_same_and_stays_as_it_is(
    make: Callable[[], nn.Module], beams: int
) -> None:
    search = search_for(beams=beams)
    expected = generate(make(), batch_of(), search)
    model = dropping(make())
    before, weights = modes(model), deepcopy(model.state_dict())
    assert generate(model, batch_of(), search) == expected
    assert modes(model) == before and True in before and False in before
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(weights[k], v) for k, v in model.state_dict().items())
    with pytest.raises(ValueError):
        generate(model, batch_of(), search.replace(max_tokens=40))
    assert modes(model) == before
    # What was kept does not keep training from going on.
    make_loss(model).backward()


def make_loss(model: nn.Module) -> Tensor:
    batch = batch_of()
    if isinstance(model, EncoderDecoder):
        batch["decoder_input_ids"] = batch["input_ids"]
    return model(**batch).square().mean()


def test_all_is_made_where_the_batch_is() -> None:
    """Whatever does not say where it is made would be made on another device here."""
    for model in (pair(), alone()):
        for how in ({}, {"beams": 3}, {"temperature": 1.0, "top_k": 3, "top_p": 0.9}):
            for cached in (True, False):
                search = search_for(**how)
                expected = generate(model, batch_of(), search)
                with torch.device("meta"):
                    found = generate(model, batch_of_cpu(), search, cached)
                assert_same_ids(found, expected)


def batch_of_cpu() -> dict[str, Tensor]:
    with torch.device("cpu"):
        return batch_of()


@pytest.mark.parametrize("beams", [1, 2])
def test_other_types_are_welcome(beams: int) -> None:
    search = search_for(beams=beams)
    for make in (pair, alone):
        expected = generate(make(), batch_of(), search)
        for kind in (torch.int32, torch.bool, torch.float32):
            batch = {
                "input_ids": batch_of()["input_ids"].int(),
                "attention_mask": MASK.to(kind),
                "token_type_ids": torch.zeros_like(MASK),
            }
            assert generate(make(), batch, search) == expected
        half = generate(make().bfloat16(), batch_of(), search)
        assert len(half) == 8 and all(text.score < 0 for text in half)


def test_segments_and_positions_of_a_source_matter() -> None:
    model, batch = pair(), batch_of()
    expected = generate(model, batch, search_for())
    for name in ("token_type_ids", "position_ids"):
        more = {**batch, name: 1 - MASK if name == "token_type_ids" else MASK + 7}
        more[name] = more[name].flip(1).contiguous()
        assert generate(model, more, search_for()) != expected


def test_a_text_may_end_at_once() -> None:
    model = pair()
    with torch.no_grad():
        model.decoder.mlm_head.bias[3] = 100.0
    for beams in (1, 3):
        found = generate(model, batch_of(), search_for(beams=beams))
        assert all(text.ids == [] and text.ended for text in found)
        assert all(abs(text.score) < 1e-5 for text in found)


@pytest.mark.parametrize("beams", [1, 3])
def test_it_writes_to_the_last_row_of_the_position_table(beams: int) -> None:
    """The last token of all is not read, so it needs no row."""
    full = search_for(beams=beams, stop_id=None, max_tokens=24)
    for cached in (True, False):
        found = generate(pair(), batch_of(mask=MASK[:2]), full, cached)
        assert [len(text.ids) for text in found] == [24, 24]
        search = full.replace(max_tokens=40 - 9 + 1)
        found = generate(alone(), batch_of(mask=MASK[:2]), search, cached)
        assert [len(text.ids) for text in found] == [32, 32]
    with pytest.raises(
        ValueError,
        match="max_tokens=25 after 1 token, but the decoder's position table has 24 "
        "rows; give max_tokens=24 at most, or begin with less",
    ):
        generate(pair(), batch_of(), full.replace(max_tokens=25))
    with pytest.raises(ValueError, match="max_tokens=33 after 9 tokens.*max_tokens=32"):
        generate(alone(), batch_of(), full.replace(max_tokens=33))


def test_padding_that_all_rows_have_takes_no_room() -> None:
    """As of a tokenizer that pads to the model's longest."""
    model, wide = alone(), nn.functional.pad(MASK, (0, 40 - 9))
    batch = {"input_ids": nn.functional.pad(batch_of()["input_ids"], (0, 31))}
    batch["attention_mask"] = wide
    for beams in (1, 3):
        search = search_for(beams=beams)
        expected = generate(model, batch_of(), search)
        assert_same_ids(generate(model, batch, search), expected)
        assert_same_ids(generate(model, left(batch), search), expected)


# --- What is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        *(
            ({name: value}, f"{name}={value!r} must be an integer of {least} or more")
            for name, least, values in (
                ("max_tokens", 1, (0, -1, 2.5, True, None, "3")),
                ("beams", 1, (0, -3, 1.0, False)),
                ("top_k", 1, (0, -1, 2.0, True)),
                ("start_id", 0, (-1, 2.0, None, True)),
                ("stop_id", 0, (-1, 2.0, "3")),
                ("seed", 0, (-1, 2.0, None)),
            )
            for value in values
        ),
        *(
            ({name: value}, f"{name}={value!r} must be a finite number")
            for name in ("temperature", "length_penalty")
            for value in (float("nan"), float("inf"), None, "1", True)
        ),
        ({"temperature": -0.5}, "temperature=-0.5 must be 0, which draws nothing, or"),
        ({"temperature": 1e-30}, "temperature=1e-30 must be 0.*or 0.001 or more"),
        *(
            ({"temperature": 1.0, "top_p": value}, "must be above 0, and at most 1")
            for value in (0, 0.0, -1.0, 1.5, float("nan"), "0.9", True)
        ),
        ({"top_k": 3}, "top_k and top_p say among which .*give temperature=1.0"),
        ({"top_p": 0.9}, "top_k and top_p say among which .*give temperature=1.0"),
        ({"beams": 2, "temperature": 0.7}, "beams=2 and temperature=0.7.*one of the"),
    ],
)
def test_searches_that_make_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Search(**fields)
    with pytest.raises(ValueError, match=message):
        Search().replace(**fields)


def test_a_search_names_its_fields() -> None:
    with pytest.raises(ValueError, match="Search has no num_beams; it has max_tokens"):
        Search().replace(num_beams=3)
    assert Search().replace(beams=3) == Search(beams=3)
    assert Search().start_id == 101 and Search().stop_id == 102


IDS = batch_of()["input_ids"]
REFUSED = [
    ({"input_ids": IDS[:, :0]}, r"shape \(8, 0\): an empty batch"),
    ({"input_ids": IDS[:0]}, r"shape \(0, 9\): an empty batch"),
    ({"input_ids": IDS[0]}, r"add the batch axis: input_ids\[None\]"),
    ({"input_ids": IDS.tolist()}, "input_ids is a list; give a tensor"),
    ({"input_ids": IDS.float()}, r"use input_ids.long\(\)"),
    ({"input_ids": IDS + 10}, "input_ids holds 28, but there are 23 pieces"),
    (
        {"input_ids": torch.ones(2, 41).long()},
        "41 tokens, but the position table has 40 rows",
    ),
    ({}, "the batch has no input_ids"),
    ({"attention_mask": MASK}, "no input_ids; it has attention_mask"),
    (
        {"input_ids": IDS, "labels": IDS, "decoder_input_ids": IDS},
        "decoder_input_ids, labels.*writing takes input_ids.* leave the rest out",
    ),
    (
        {
            "input_ids": IDS,
            "attention_mask": MASK * MASK[:, :1] * (LENGTHS != 6)[:, None],
        },
        "lets text 2 look at nothing",
    ),
    (
        {"input_ids": IDS, "attention_mask": torch.tensor([[1] * 5 + [2] * 4] * 8)},
        "several texts.*a row of its own",
    ),
    ({"input_ids": IDS, "attention_mask": (MASK - 1) * 1e4}, "other than 0 and 1"),
    ({"input_ids": IDS, "attention_mask": MASK[:, :8]}, "attention_mask has shape"),
    (
        {"input_ids": IDS, "attention_mask": MASK.tolist()},
        "attention_mask is a list; give a tensor",
    ),
    (
        {"input_ids": IDS, "attention_mask": torch.ones(8, 9, 9).long()},
        r"mask has shape \(8, 9, 9\); expected \(8, 9\)",
    ),
    ({"input_ids": IDS, "token_type_ids": MASK + 1}, "token_type_ids holds 2"),
]


@pytest.mark.parametrize(("batch", "message"), REFUSED)
@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("cached", [True, False])
def test_refused(batch: dict[str, Any], message: str, beams: int, cached: bool) -> None:
    for model in REFUSING:
        with pytest.raises(ValueError, match=message):
            generate(model, batch, search_for(beams=beams), cached)


REFUSING = (
    pair(),
    alone(),
    lively(EncoderDecoder(CONFIG, DECODER_CONFIG, cross=False), 0),
)


def test_a_beginning_has_one_segment_and_its_own_positions() -> None:
    model = alone()
    with pytest.raises(ValueError, match="token_type_ids.*first segment.*leave"):
        generate(model, {**batch_of(), "token_type_ids": MASK}, search_for())
    with pytest.raises(ValueError, match="position_ids.*writing takes input_ids"):
        generate(model, {**batch_of(), "position_ids": MASK}, search_for())


def test_ids_that_the_decoder_has_not_got() -> None:
    """Not the encoder's: it is the decoder that reads the first, and says the last."""
    with pytest.raises(ValueError, match="start_id=19, but .* 19 pieces.*0 to 18"):
        generate(pair(), batch_of(), search_for(start_id=19))
    with pytest.raises(ValueError, match="stop_id=22, but .* 19 pieces.*0 to 18.*None"):
        generate(pair(), batch_of(), search_for(stop_id=22))
    with pytest.raises(ValueError, match="stop_id=102, but"):
        generate(alone(), batch_of(), Search(max_tokens=4))
    generate(alone(), batch_of(), search_for(start_id=500))  # begins with the batch


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: BertForMaskedLM(CONFIG), "BertForMaskedLM"),
        (lambda: Bert(CONFIG), "Bert"),
        (lambda: Decoder(CONFIG), "Decoder"),
        (lambda: nn.Linear(2, 2), "Linear"),
    ],
)
def test_models_that_do_not_write(make: Callable[[], nn.Module], name: str) -> None:
    message = f"a {name} alone does not write; give an EncoderDecoder, or a Decoder wi"
    for beams in (1, 2):
        with pytest.raises(ValueError, match=message):
            generate(make(), batch_of(), search_for(beams=beams))
