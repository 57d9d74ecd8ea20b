"""The decoder equals the transformers library, and no token sees what comes later."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bertcore import BertConfig, BertForMaskedLM, Decoder, EncoderDecoder
from bertcore.book.checks import assert_same
from bertcore.model.attention import cross_map
from bertcore.model.decoder import DecoderLayer, KeyValueCache, back_map
from bertcore.model.encoder import EncoderLayer
from bertcore.model.published import published_name
from tests.conftest import fill_with_large_weights, tiny_config

# As unlike the encoder's as it may be: the hidden size alone must agree.
OTHER = tiny_config(
    vocab_size=47, layers=3, heads=4, feedforward_size=32, max_positions=13
)
quickly = settings(max_examples=25, deadline=None, derandomize=True)
KINDS = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def mask_of(*lengths: int, left: bool = False) -> Tensor:
    """1 for the first (or last) so many of each row."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return mask.flip(1) if left else mask


def ids_like(mask: Tensor, pieces: int = 47, seed: int = 0) -> Tensor:
    """Ids at random; 0, which only padding has in the transformers library, is 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, pieces, mask.shape, generator=generator) * (mask > 0)


def random_states(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def their_config(
    config: BertConfig, cross: bool | None = None, kind: str = "sdpa"
) -> transformers.BertConfig:
    """Of a decoder, unless `cross` is None."""
    flags = {} if cross is None else {"is_decoder": True, "add_cross_attention": cross}
    return transformers.BertConfig(
        **config.to_dict(), **flags, attn_implementation=kind
    )


def their_decoder(cross: bool, kind: str = "sdpa", **changes: object) -> nn.Module:
    config = their_config(tiny_config(**changes), cross, kind)
    model = transformers.BertLMHeadModel(config)
    fill_with_large_weights(model)
    return model


def their_pair(
    config: BertConfig, decoder_config: BertConfig, kind: str = "sdpa"
) -> nn.Module:
    both = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
        their_config(config), their_config(decoder_config, True)
    )
    model = transformers.EncoderDecoderModel(both)
    for part in (model.encoder, model.decoder):
        part.set_attn_implementation(kind)
    fill_with_large_weights(model)
    return model


def ours(model: nn.Module) -> nn.Module:
    fill_with_large_weights(model)
    return model.eval()


class Renamed(nn.Module):
    """A decoder that takes a source under the names of the transformers library."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor | None = None,
        **batch: Tensor,
    ) -> Tensor:
        return self.model(
            source=encoder_hidden_states, source_mask=encoder_attention_mask, **batch
        )


class WithLoss(nn.Module):
    """The mean loss of the next token, where labels are not -100."""

    def __init__(self, model: nn.Module, start_id: int | None = None) -> None:
        super().__init__()
        self.model, self.start_id = model, start_id

    def forward(self, labels: Tensor, **batch: Tensor) -> Tensor:
        if self.start_id is None:  # the labels are the input: look one ahead
            return F.cross_entropy(
                self.model(**batch)[:, :-1].transpose(1, 2), labels[:, 1:]
            )
        begun = labels.roll(1, dims=1).masked_fill(labels.roll(1, dims=1) == -100, 0)
        begun[:, 0] = self.start_id
        logits = self.model(
            decoder_input_ids=begun, decoder_attention_mask=(begun != 0).long(), **batch
        )
        return F.cross_entropy(logits.transpose(1, 2), labels)


def inner(name: str) -> str:
    """The published name of a parameter of a model in a wrapper."""
    return published_name(name.removeprefix("model.").removeprefix("model."))


# --- Equal to the transformers library -----------------------------------------------

TARGET = mask_of(7, 4, 1)
SOURCE = mask_of(3, 6, 2)


@KINDS
def test_decoder_equals_transformers(attention: str) -> None:
    ids = ids_like(TARGET)
    same = assert_same(
        Decoder(tiny_config(), cross=False),
        their_decoder(False, attention),
        names=published_name,
        pick=lambda out: out.logits,
        where=TARGET.bool(),
        input_ids=ids,
        token_type_ids=ids % 2,
        attention_mask=TARGET,
        position_ids=torch.arange(15, 8, -1).expand(3, 7).contiguous(),
    )
    assert same.gradients == len(list(Decoder(tiny_config(), False).parameters()))


@KINDS
@pytest.mark.parametrize("masked", [False, True])
def test_decoder_with_a_source_equals_transformers(
    attention: str, masked: bool
) -> None:
    batch = {"encoder_attention_mask": SOURCE, "attention_mask": TARGET}
    same = assert_same(
        Renamed(Decoder(tiny_config())),
        their_decoder(True, attention),
        names=inner,
        pick=lambda out: out.logits,
        where=TARGET.bool() if masked else None,
        input_ids=ids_like(TARGET if masked else torch.ones_like(TARGET)),
        encoder_hidden_states=random_states(3, 6, 24),
        **(batch if masked else {}),
    )
    # The source's states learn, too.
    assert same.gradients == len(list(Decoder(tiny_config()).parameters())) + 1


@pytest.mark.parametrize("cross", [False, True])
def test_loss_of_a_decoder_equals_transformers(cross: bool) -> None:
    """Theirs shifts the labels; where they are -100 nothing counts."""
    ids = ids_like(TARGET)
    batch = {"input_ids": ids, "attention_mask": TARGET}
    if cross:
        batch["encoder_hidden_states"] = random_states(3, 6, 24)
        batch["encoder_attention_mask"] = SOURCE
    model = Decoder(tiny_config(), cross)
    same = assert_same(
        WithLoss(Renamed(model) if cross else model),
        their_decoder(cross),
        names=inner,
        pick=lambda out: out.loss,
        labels=ids.masked_fill((TARGET == 0) | (ids % 5 == 0), -100),
        **batch,
    )
    assert same.outputs == 1


@KINDS
def test_encoder_decoder_equals_transformers(attention: str) -> None:
    source, target = ids_like(SOURCE, 53), ids_like(TARGET)
    same = assert_same(
        EncoderDecoder(tiny_config(), OTHER),
        their_pair(tiny_config(), OTHER, attention),
        names=published_name,
        pick=lambda out: out.logits,
        where=TARGET.bool(),
        input_ids=source,
        token_type_ids=source % 2,
        attention_mask=SOURCE,
        decoder_input_ids=target,
        decoder_attention_mask=TARGET,
        decoder_position_ids=torch.arange(2, 9).expand(3, 7).contiguous(),
    )
    parameters = EncoderDecoder(tiny_config(), OTHER).parameters()
    assert same.gradients == len(list(parameters))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_loss_of_an_encoder_decoder_equals_transformers() -> None:
    """Theirs makes the decoder's input of the labels: they follow the first token."""
    theirs = their_pair(tiny_config(), OTHER)
    theirs.config.decoder_start_token_id, theirs.config.pad_token_id = 2, 0
    labels = ids_like(TARGET)
    same = assert_same(
        WithLoss(EncoderDecoder(tiny_config(), OTHER), start_id=2),
        theirs,
        names=inner,
        pick=lambda out: out.loss,
        input_ids=ids_like(SOURCE, 53),
        attention_mask=SOURCE,
        labels=labels.masked_fill(TARGET == 0, -100),
    )
    assert same.outputs == 1


@pytest.mark.parametrize("gelu", ["none", "tanh"])
def test_float64_agrees_to_rounding(gelu: str) -> None:
    assert_same(
        EncoderDecoder(tiny_config(gelu=gelu), OTHER.replace(gelu=gelu)).double(),
        their_pair(tiny_config(gelu=gelu), OTHER.replace(gelu=gelu)).double(),
        names=published_name,
        pick=lambda out: out.logits,
        where=TARGET.bool(),
        forward=1e-11,
        backward=1e-9,
        input_ids=ids_like(SOURCE, 53),
        attention_mask=SOURCE,
        decoder_input_ids=ids_like(TARGET),
        decoder_attention_mask=TARGET,
    )


@pytest.mark.parametrize(
    "fault", [{"gelu": "tanh"}, {"layer_norm_eps": 1e-5}], ids=["gelu", "epsilon"]
)
def test_the_tolerance_sees_a_small_fault(fault: dict[str, object]) -> None:
    """The checks above mean something only if these two fail."""
    with pytest.raises(AssertionError, match="differs by up to"):
        assert_same(
            Renamed(Decoder(tiny_config(**fault))),
            their_decoder(True),
            names=inner,
            pick=lambda out: out.logits,
            where=TARGET.bool(),
            input_ids=ids_like(TARGET),
            attention_mask=TARGET,
            encoder_hidden_states=random_states(3, 6, 24),
        )


def test_dropout_falls_where_it_does_in_transformers() -> None:
    """When training, one seed gives the same logits: same places, same rates."""
    rates = {"dropout": 0.2, "attention_dropout": 0.3}
    theirs = their_pair(tiny_config(**rates), OTHER.replace(**rates)).train()
    model = EncoderDecoder(tiny_config(**rates), OTHER.replace(**rates)).train()
    copy_weights(theirs, model)
    batch = {"input_ids": ids_like(SOURCE, 53), "attention_mask": SOURCE}
    batch |= {"decoder_input_ids": ids_like(TARGET), "decoder_attention_mask": TARGET}
    found = []
    for run in (model, lambda **batch: theirs(**batch).logits, model):
        torch.manual_seed(len(found) // 2)
        found.append(run(**batch)[TARGET.bool()])
    assert (found[0] - found[1]).abs().max() < 1e-4
    assert (found[0] - found[2]).abs().max() > 1e-2


def copy_weights(theirs: nn.Module, model: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(theirs.get_parameter(published_name(name)))


def test_every_parameter_learns() -> None:
    """Also with the layers that both share, and no gradient is None."""
    for tied in (False, True):
        model = ours(EncoderDecoder(tiny_config(), tied=tied))
        source, target = ids_like(SOURCE, 53), ids_like(TARGET, 53)
        logits = model(source, target, attention_mask=SOURCE)
        (logits * random_states(*logits.shape)).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), name


# --- BERT's own parts, looking back --------------------------------------------------


def test_a_decoder_without_a_source_is_bert_under_the_same_names() -> None:
    decoder, bert = Decoder(tiny_config(), cross=False), BertForMaskedLM(tiny_config())
    shapes, wanted = (
        {name: parameter.shape for name, parameter in model.named_parameters()}
        for model in (decoder, bert)
    )
    assert list(shapes.items()) == list(wanted.items())
    assert decoder.state_dict().keys() == bert.state_dict().keys()


def test_with_berts_weights_it_says_what_bert_says_looking_back() -> None:
    bert, decoder = ours(BertForMaskedLM(tiny_config())), Decoder(tiny_config(), False)
    decoder.eval().load_state_dict(bert.state_dict())
    ids = ids_like(torch.ones(3, 7))
    back = torch.ones(3, 7, 7).tril().long()
    with torch.no_grad():
        found, expected = decoder(ids, ids % 2), bert(ids, ids % 2, back)
        first = bert(ids[:, :1], ids[:, :1] % 2)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(found[:, :1], first, atol=1e-6)
    assert not torch.allclose(found[:, :-1], bert(ids, ids % 2)[:, :-1], atol=1e-3)


def test_a_layer_without_a_source_is_berts_own() -> None:
    encoder_layer = EncoderLayer(tiny_config())
    fill_with_large_weights(encoder_layer)
    mask = torch.tensor([[1, 1, 1, 2, 2], [1, 1, 1, 0, 0]])
    same = assert_same(
        DecoderLayer(tiny_config(), cross=False),
        encoder_layer,
        random_states(2, 5, 24),
        back_map(mask, 5, mask.device),
        forward=1e-6,
    )
    assert same.gradients == len(list(encoder_layer.parameters())) + 1


def test_each_part_of_a_new_model_starts_as_bert_does() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(tiny_config(initializer_range=0.1))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.06 < parameter.std() < 0.12 and parameter.abs().max() <= 0.2, name
    assert model.training


# --- Maps: who may look at whom ------------------------------------------------------


def test_a_map_that_looks_back() -> None:
    found = back_map(torch.tensor([[1, 1, 2, 2, 0]]), 5, torch.device("cpu"))
    assert found.shape == (1, 1, 5, 5)
    assert found[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 1, 1, 1],  # padding: thrown away, and never looked at
    ]
    left = back_map(torch.tensor([[0, 0, 1, 1]]), 4, torch.device("cpu"))[0, 0]
    assert left.int().tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
    ]
    assert torch.equal(back_map(None, 3, torch.device("cpu"))[0, 0],
                       torch.ones(3, 3).tril().bool())  # fmt: skip


def test_a_map_between_target_and_source() -> None:
    source, target = torch.tensor([[1, 1, 2, 0]]), torch.tensor([[2, 1, 0]])
    found = cross_map(source, target)
    assert found.shape == (1, 1, 3, 4)
    assert found[0, 0].int().tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert cross_map(source.clamp(max=1))[0, 0].int().tolist() == [[1, 1, 1, 0]]


PACKED = torch.tensor([[1, 1, 1, 2, 3, 3, 3, 3, 0, 0]])
PACKED_SOURCE = torch.tensor([[2, 2, 1, 3, 3, 3, 0]])  # by number, not by place


def test_what_a_logit_depends_on_is_what_the_map_says() -> None:
    """Of each token's logits, the gradient at every vector that goes in, exactly."""
    model = ours(Decoder(tiny_config()))
    vectors = random_states(1, 10, 24).requires_grad_()
    source = random_states(1, 7, 24, seed=1).requires_grad_()
    model.bert.embeddings.forward = lambda *_: vectors
    logits = model(
        torch.ones(1, 10).long(),
        attention_mask=PACKED,
        source=source,
        source_mask=PACKED_SOURCE,
    )
    own = PACKED[0][:, None] == PACKED[0]
    for place in range(8):
        gradients = torch.autograd.grad(
            (logits[0, place] * random_states(53)).sum(),
            (vectors, source),
            retain_graph=True,
        )
        seen, seen_source = (gradient[0].any(-1) for gradient in gradients)
        assert seen.tolist() == (own[place] & (torch.arange(10) <= place)).tolist()
        assert torch.equal(seen_source, PACKED_SOURCE[0] == PACKED[0, place])


@quickly
@given(st.integers(1, 11), st.booleans(), st.data())
def test_the_future_never_matters(
    length: int, cross: bool, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, length - 1))
    ids = ids_like(torch.ones(2, length), seed=data.draw(st.integers(0, 99)))
    other = ids.clone()
    other[:, cut + 1 :] = ids_like(torch.ones(2, length - cut - 1), seed=100)
    more = {"source": random_states(2, 4, 24)} if cross else {}
    with torch.no_grad():
        one, two = (DECODERS[cross](each, **more) for each in (ids, other))
    assert torch.equal(one[:, : cut + 1], two[:, : cut + 1])
    if not torch.equal(ids, other):
        assert not torch.equal(one, two)


DECODERS = {cross: ours(Decoder(tiny_config(), cross)) for cross in (False, True)}
PAIR = ours(EncoderDecoder(tiny_config(), OTHER))


@quickly
@given(st.integers(1, 3), st.integers(0, 1000))
def test_other_texts_of_a_packed_row_never_matter(text: int, seed: int) -> None:
    """Neither of the target nor of the source; neither before nor behind."""
    target, source = (
        torch.where(mask == text, ids_like(mask, seed=0), ids_like(mask, seed=seed))
        for mask in (PACKED, PACKED_SOURCE)
    )
    masks = {"attention_mask": PACKED_SOURCE, "decoder_attention_mask": PACKED}
    with torch.no_grad():
        found = PAIR(source, target, **masks)
        plain = PAIR(ids_like(PACKED_SOURCE), ids_like(PACKED), **masks)
        alone = DECODERS[False](target, attention_mask=PACKED)
        plain_alone = DECODERS[False](ids_like(PACKED), attention_mask=PACKED)
    assert torch.equal(found[PACKED == text], plain[PACKED == text])
    assert torch.equal(alone[PACKED == text], plain_alone[PACKED == text])


@quickly
@given(st.integers(0, 1000), st.booleans())
def test_padding_never_matters(seed: int, left: bool) -> None:
    """What stands in it, in source and target, on either side: not even a rounding."""
    source_mask, mask = mask_of(3, 6, 1, left=left), mask_of(5, 2, 7, left=left)
    source, target = ids_like(source_mask), ids_like(mask)
    noise = ids_like(torch.ones(3, 7), seed=seed)
    other_source = torch.where(source_mask > 0, source, noise[:, :6])
    other = torch.where(mask > 0, target, noise)
    masks = {"attention_mask": source_mask, "decoder_attention_mask": mask}
    with torch.no_grad():
        one, two = PAIR(source, target, **masks), PAIR(other_source, other, **masks)
        three = DECODERS[False](target, attention_mask=mask)
        four = DECODERS[False](other, attention_mask=mask)
    assert torch.equal(one[mask > 0], two[mask > 0])
    assert torch.equal(three[mask > 0], four[mask > 0])


def test_padding_on_the_left_is_padding_on_the_right() -> None:
    """And nowhere NaN, nor in a gradient: padding looks at itself."""
    lengths, found, gradients = (5, 1, 7), [], []
    for left in (False, True):
        model = ours(EncoderDecoder(tiny_config(), OTHER).double())
        mask, source_mask = mask_of(*lengths, left=left), mask_of(2, 6, 1, left=left)
        ids, source = torch.zeros_like(mask), torch.zeros_like(source_mask)
        ids[mask > 0] = ids_like(torch.ones(13))
        source[source_mask > 0] = ids_like(torch.ones(9), seed=1)
        logits = model(
            source,
            ids,
            attention_mask=source_mask,
            position_ids=(source_mask.cumsum(1) - 1).clamp(min=0),
            decoder_attention_mask=mask,
            decoder_position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        )
        assert logits.isfinite().all()
        logits.square().sum().backward()  # also of what padding says
        assert all(p.grad.isfinite().all() for p in model.parameters())
        model.zero_grad()
        logits = model.decoder(
            ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            source=random_states(3, 1, 24).double(),
        )
        found.append(logits[mask > 0])
        (found[-1] * random_states(13, 47).double()).sum().backward()
        gradients.append([p.grad for p in model.decoder.parameters()])
    assert torch.allclose(*found, atol=1e-12)
    for one, two in zip(*gradients, strict=True):
        assert torch.allclose(one, two, atol=1e-10)


# --- Several pairs in a row ----------------------------------------------------------

PAIRS = [(4, 3), (1, 5), (3, 1), (6, 4), (2, 2)]  # tokens of source and target
ROWS = [[0, 1, 2], [3, 4]]


def padded(lengths: list[int], side: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, a row each; `side` is 0 for the sources, 1 for the targets."""
    mask = mask_of(*lengths)
    return ids_like(mask, seed=side), mask


def packed(
    ids: Tensor, lengths: list[int], backwards: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, numbers, positions, and each place's row and column in `ids`."""
    width = max(sum(lengths[n] for n in row) for row in ROWS) + 2
    rows, numbers, positions = (torch.zeros(2, width).long() for _ in range(3))
    origin = torch.full((2, width, 2), -1)
    for r, texts in enumerate(ROWS):
        order = [*enumerate(texts, 1)][:: -1 if backwards else 1]
        end = 1 if backwards else 0  # padding in front, too
        for number, text in order:
            begin, end = end, end + lengths[text]
            place = torch.arange(lengths[text])
            rows[r, begin:end] = ids[text, : lengths[text]]
            numbers[r, begin:end], positions[r, begin:end] = number, place
            origin[r, begin:end] = torch.stack(
                [torch.full_like(place, text), place], dim=1
            )
    return rows, numbers, positions, origin


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_packed_equals_padded(backwards: bool, cross: bool) -> None:
    """Texts belong together by number, wherever they stand in their rows."""
    model = EncoderDecoder(tiny_config(), OTHER, cross=cross).double()
    model = ours(model)
    source, source_mask = padded([pair[0] for pair in PAIRS], 0)
    target, mask = padded([pair[1] for pair in PAIRS], 1)
    weights = random_states(*target.shape, 47).double()
    expected = model(
        source, target, attention_mask=source_mask, decoder_attention_mask=mask
    )
    wanted = gradients_of(model, (expected * weights)[mask > 0].sum())
    rows, numbers, positions, _ = packed(source, [s for s, _ in PAIRS], backwards)
    ids, own, places, origin = packed(target, [t for _, t in PAIRS], False)
    found = model(
        rows,
        ids,
        attention_mask=numbers,
        position_ids=positions,
        decoder_attention_mask=own,
        decoder_position_ids=places,
    )
    text, place = origin[own > 0].unbind(-1)
    assert len(text) == mask.sum()
    assert (found[own > 0] - expected[text, place]).abs().max() < 1e-12
    gained = gradients_of(model, (found[own > 0] * weights[text, place]).sum())
    assert gained.keys() == wanted.keys() and len(gained) > 40
    for name, gradient in gained.items():
        assert (gradient - wanted[name]).abs().max() < 1e-10, name


def gradients_of(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Of the parameters that take part."""
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    names = [name for name, _ in model.named_parameters()]
    pairs = zip(names, found, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def test_packed_targets_of_one_source_each_see_all_of_it() -> None:
    model, source = DECODERS[True], random_states(1, 4, 24)
    ids = ids_like(torch.ones(1, 5))
    with torch.no_grad():
        found = model(
            ids,
            attention_mask=torch.tensor([[1, 1, 2, 2, 2]]),
            position_ids=torch.tensor([[0, 1, 0, 1, 2]]),
            source=source,
        )
        for begin, end in ((0, 2), (2, 5)):
            alone = model(ids[:, begin:end], source=source)
            assert torch.allclose(found[:, begin:end], alone, atol=1e-5)


def test_a_decoder_that_sees_no_source_is_the_same_for_all() -> None:
    model = ours(EncoderDecoder(tiny_config(), cross=False))
    ids = ids_like(torch.ones(2, 4))
    with torch.no_grad():
        found = model(ids, ids), model(ids.flip(1), ids), model.decoder(ids)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


# --- A piece at a time ---------------------------------------------------------------


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("steps", [[1] * 7, [3, 1, 3], [7]])
def test_caches_continue_what_was_there(cross: bool, steps: list[int]) -> None:
    """Positions, too, if none are given."""
    model, ids = deepcopy(DECODERS[cross]).double(), ids_like(torch.ones(2, 7))
    source = random_states(2, 4, 24).double() if cross else None
    caches = [KeyValueCache() for _ in range(2)]
    with torch.no_grad():
        expected = model.states(ids, source=source)
        parts = [
            model.states(part, source=source, caches=caches)
            for part in ids.split(steps, dim=1)
        ]
    assert caches[0].length == caches[1].length == 7
    assert (torch.cat(parts, dim=1) - expected).abs().max() < 1e-12


def test_caches_that_are_full_say_so() -> None:
    model, caches = DECODERS[False], [KeyValueCache() for _ in range(2)]
    ids = ids_like(torch.ones(1, 16))
    with torch.no_grad():
        model.states(ids, caches=caches)
        with pytest.raises(ValueError, match="16, but there are 16 positions"):
            model.states(ids[:, :1], caches=caches)


# --- What is refused -----------------------------------------------------------------

IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])
STATES = random_states(2, 4, 24)
REFUSED = [
    ({"source": None}, r"no source for a decoder with cross=True; .*give source="),
    ({"source": STATES[0]}, r"source has shape \(4, 24\); expected \(2, k, 24\)"),
    ({"source": STATES[:1]}, r"source has shape \(1, 4, 24\); expected \(2, k, 24\)"),
    ({"source": STATES[..., :8]}, r"shape \(2, 4, 8\); .*encoder of the same width"),
    (
        {"source_mask": torch.ones(2, 3).long()},
        r"source_mask has shape \(2, 3\); expected \(2, 4\), as the source has",
    ),
    (
        {"source_mask": torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])},
        "row 1 may look at nothing of the source",
    ),
    (
        {
            "source_mask": torch.tensor([[1, 1, 2, 2], [1, 1, 1, 1]]),
            "attention_mask": torch.tensor([[1, 1, 2], [1, 2, 2]]),
        },
        "row 1 may look at nothing of the source",
    ),
    (
        {"source_mask": torch.tensor([[1, 1, 2, 2], [1, 1, 1, 1]])},
        "several texts.*give attention_mask",
    ),
    (
        {"attention_mask": torch.ones(2, 4).long()},
        r"attention_mask has shape \(2, 4\); expected \(2, 3\)",
    ),
    (
        {"attention_mask": torch.ones(2, 3, 3).long()},
        r"attention_mask has shape \(2, 3, 3\); expected \(batch, 3\)",
    ),
    (
        {"attention_mask": torch.tensor([[1, 1, 1], [0, 0, 0]])},
        "lets text 1 look at nothing",
    ),
    ({"attention_mask": torch.tensor([[1, 3, 0]] * 2)}, "without gaps"),
    ({"attention_mask": torch.tensor([[0.0, 0, -1e4]] * 2)}, "other than 0 and 1"),
    ({"input_ids": IDS + 50}, "input_ids holds 56, but there are 53 pieces"),
    ({"input_ids": IDS[:, :0]}, "empty batch"),
    ({"input_ids": IDS[:0]}, "empty batch"),
    ({"input_ids": IDS.float()}, r"use input_ids.long\(\)"),
    ({"input_ids": IDS[0]}, r"input_ids\[None\]"),
    ({"input_ids": torch.ones(2, 17).long()}, "17 tokens, but the position table has"),
    ({"token_type_ids": IDS}, "there are 2 segments"),
    ({"position_ids": IDS + 14}, "there are 16 positions"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_refused(given: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        DECODERS[True](**{"input_ids": IDS, "source": STATES, **given})


def test_a_source_without_cross_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="a source for a decoder with cross=False"):
        DECODERS[False](IDS, source=STATES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_ids": IDS[:, :0]}, "empty batch"),
        ({"decoder_input_ids": IDS[:, :0]}, "empty batch"),
        ({"input_ids": IDS[:1]}, r"source has shape \(1, 3, 24\); expected \(2, k"),
        ({"input_ids": IDS + 48}, "54, but there are 53 pieces"),
        ({"decoder_input_ids": IDS + 42}, "48, but there are 47 pieces"),
        ({"input_ids": torch.ones(2, 17).long()}, "17 tokens.*16 rows"),
        ({"decoder_input_ids": torch.ones(2, 14).long()}, "14 tokens.*13 rows"),
        (
            {"attention_mask": torch.tensor([[1, 1, 1], [0, 0, 0]])},
            "lets text 1 look at nothing",
        ),
        (
            {"decoder_attention_mask": torch.tensor([[1, 1, 1], [0, 0, 0]])},
            "lets text 1 look at nothing",
        ),
        ({"attention_mask": torch.tensor([[1, 2, 2]] * 2)}, "several texts"),
        (
            {"attention_mask": torch.ones(2, 3, 3).long()},
            r"source_mask has shape \(2, 3, 3\); expected \(2, 3\)",
        ),
    ],
)
def test_an_encoder_decoder_refuses(given: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        PAIR(**{"input_ids": IDS, "decoder_input_ids": IDS, **given})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: EncoderDecoder(tiny_config(), tiny_config(hidden_size=48)),
            "hidden_size=24 of the encoder and 48 of the decoder; .*give both the same",
        ),
        (
            lambda: EncoderDecoder(tiny_config(), OTHER, tied=True),
            "tied=True, but the configs .*leave decoder_config out",
        ),
        (lambda: Decoder("tiny"), "Decoder is built from a BertConfig, not 'tiny'"),
        (lambda: EncoderDecoder({}), "EncoderDecoder is built from a BertConfig"),
        (lambda: EncoderDecoder(tiny_config(), {}), "is built from a BertConfig, not"),
    ],
)
def test_models_that_cannot_be(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()


def test_masks_of_other_types_and_int32_are_welcome() -> None:
    expected = PAIR(IDS, IDS, attention_mask=mask_of(3, 2),
                    decoder_attention_mask=mask_of(1, 3))  # fmt: skip
    for kind in (torch.bool, torch.int32, torch.float32):
        found = PAIR(
            IDS.int(),
            IDS.int(),
            attention_mask=mask_of(3, 2).to(kind),
            decoder_attention_mask=mask_of(1, 3).to(kind),
        )
        assert torch.equal(found, expected), kind


def test_on_any_device() -> None:
    """Maps and positions are made where the ids are; meta knows if they are not."""
    with torch.device("meta"):
        model = EncoderDecoder(tiny_config())
        ids, mask = torch.zeros(2, 5).long(), torch.ones(2, 5).long()
    for masks in ({}, {"attention_mask": mask, "decoder_attention_mask": mask}):
        assert model(ids, ids, **masks).device.type == "meta"
    assert back_map(None, 3, torch.device("meta")).device.type == "meta"


def test_compiles_without_a_graph_break() -> None:
    model = ours(EncoderDecoder(tiny_config(layers=1)))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    batch = {"input_ids": ids_like(SOURCE), "attention_mask": SOURCE}
    batch |= {"decoder_input_ids": ids_like(TARGET), "decoder_attention_mask": TARGET}
    with torch.no_grad():
        assert torch.allclose(compiled(**batch), model(**batch), atol=1e-6)
