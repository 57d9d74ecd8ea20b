"""Decoders and encoder-decoders in published files, and made of BERT's own."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertcore import (
    Bert,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    Decoder,
    EncoderDecoder,
    Search,
    Tokenizer,
    generate,
)
from bertcore.model.published import BERT, bare, published_name
from bertcore.model.weights import published_weights
from bertcore.sources import OUR_MODEL
from tests.conftest import fill_with_large_weights, tiny_config

# As unlike the encoder's as it may be: the hidden size alone must agree.
OTHER = tiny_config(
    vocab_size=47, layers=3, heads=4, feedforward_size=32, max_positions=13
)
POOLER = {"encoder.pooler.dense.weight", "encoder.pooler.dense.bias"}


def large(model: nn.Module, seed: int = 0) -> nn.Module:
    fill_with_large_weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + seed)
    return model.eval()


def pair_of(**changes: object) -> EncoderDecoder:
    return large(EncoderDecoder(tiny_config(**changes), OTHER))


def batch_of() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = (torch.arange(6) < torch.tensor([[6], [2], [4]])).long()
    ids = torch.randint(1, 47, (3, 6), generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids.flip(1)}


def logits(model: nn.Module) -> Tensor:
    """Of ours or theirs: of an encoder-decoder, a decoder with a source or without."""
    batch = batch_of()
    if isinstance(model, (Decoder, transformers.BertLMHeadModel)):
        ids = batch["decoder_input_ids"]
        source = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(0))
        theirs = isinstance(model, transformers.BertLMHeadModel)
        cross = model.config.add_cross_attention if theirs else model.cross
        name = "encoder_hidden_states" if theirs else "source"
        batch = {"input_ids": ids} | ({name: source} if cross else {})
    with torch.no_grad():
        found = model(**batch)
    return found if isinstance(found, Tensor) else found.logits


def assert_equal(one: nn.Module, two: nn.Module) -> None:
    """The same parameters, bit by bit."""
    first, second = (dict(model.named_parameters()) for model in (one, two))
    assert first.keys() == second.keys()
    assert not [name for name in first if not torch.equal(first[name], second[name])]


@pytest.fixture
def silent() -> object:
    """No warning at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- In and out ----------------------------------------------------------------------


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_loads_an_encoder_decoder_of_ours(
    tied: bool, tmp_path: Path
) -> None:
    ours = large(EncoderDecoder(tiny_config(), None if tied else OTHER, tied=tied))
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.EncoderDecoderModel.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert set(info["missing_keys"]) <= POOLER, info
    assert not info["unexpected_keys"] and not info["mismatched_keys"], info
    assert (logits(theirs.eval()) - logits(ours)).abs().max() < 1e-5


@pytest.mark.usefixtures("silent")
def test_we_load_an_encoder_decoder_of_transformers(tmp_path: Path) -> None:
    """Its encoder has a pooler, which no decoder looks at."""
    configs = [transformers.BertConfig(**c.to_dict()) for c in (tiny_config(), OTHER)]
    both = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*configs)
    theirs = large(transformers.EncoderDecoderModel(both))
    theirs.save_pretrained(tmp_path)
    assert "encoder.pooler.dense.weight" in load_file(tmp_path / "model.safetensors")
    ours = EncoderDecoder.from_pretrained(tmp_path)
    assert not ours.training and ours.decoder.config.layers == 3
    assert ours.config.replace(num_labels=2) == tiny_config(num_labels=2)
    assert (logits(theirs) - logits(ours)).abs().max() < 1e-5


@pytest.mark.usefixtures("silent")
def test_we_load_what_transformers_makes_of_two_berts(tmp_path: Path) -> None:
    large(BertForPreTraining(tiny_config())).save_pretrained(tmp_path / "bert")
    theirs = transformers.EncoderDecoderModel.from_encoder_decoder_pretrained(
        str(tmp_path / "bert"), str(tmp_path / "bert")
    )
    theirs.save_pretrained(tmp_path / "both")
    ours = EncoderDecoder.from_pretrained(tmp_path / "both")
    assert (logits(theirs.eval()) - logits(ours)).abs().max() < 1e-5
    ours.save_pretrained(tmp_path / "again")
    again = transformers.EncoderDecoderModel.from_pretrained(tmp_path / "again")
    assert (logits(theirs) - logits(again)).abs().max() < 1e-6


@pytest.mark.parametrize("cross", [False, True])
def test_decoders_go_to_transformers_and_back(cross: bool, tmp_path: Path) -> None:
    ours = large(Decoder(tiny_config(gelu="tanh"), cross))
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.BertLMHeadModel.from_pretrained(
        tmp_path, output_loading_info=True
    )
    keys = "missing_keys", "unexpected_keys", "mismatched_keys"
    assert not any(info[key] for key in keys), info
    assert theirs.config.is_decoder and theirs.config.add_cross_attention == cross
    assert (logits(theirs.eval()) - logits(ours)).abs().max() < 1e-5
    theirs.save_pretrained(tmp_path / "theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = Decoder.from_pretrained(tmp_path / "theirs")
    assert back.cross == cross and not back.training
    assert_equal(ours, back)


MODELS = {
    "pair": pair_of,
    "tied": lambda: large(EncoderDecoder(tiny_config(), tied=True)),
    "blind": lambda: large(EncoderDecoder(tiny_config(), OTHER, cross=False)),
    "decoder": lambda: large(Decoder(tiny_config())),
    "alone": lambda: large(Decoder(tiny_config(), cross=False)),
}


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_our_own_round_trip_is_exact(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    model = make().train()
    model.save_pretrained(tmp_path / "one")
    before = torch.random.get_rng_state()
    found = type(model).from_pretrained(tmp_path / "one")
    assert torch.equal(torch.random.get_rng_state(), before), "drew random numbers"
    assert_equal(model, found)
    assert torch.equal(logits(model.eval()), logits(found))
    assert found.published_config() == model.published_config()
    found.save_pretrained(tmp_path / "two")
    one, two = (load_file(tmp_path / n / "model.safetensors") for n in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    files = {path.name for path in (tmp_path / "two").iterdir()}
    assert files == {"config.json", "model.safetensors"}


def test_config_says_what_it_is(tmp_path: Path) -> None:
    pair_of().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["EncoderDecoderModel"]
    assert config["model_type"] == "encoder-decoder" and config["is_encoder_decoder"]
    assert config["tie_encoder_decoder"] is False
    assert config["encoder"]["vocab_size"] == 53
    assert config["decoder"]["vocab_size"] == 47
    assert config["decoder"]["is_decoder"] and config["decoder"]["add_cross_attention"]
    assert "is_decoder" not in config["encoder"]
    Decoder(tiny_config(), cross=False).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertLMHeadModel"]
    assert config["is_decoder"] and config["add_cross_attention"] is False


def test_the_table_of_names_covers_every_parameter() -> None:
    for name, make in MODELS.items():
        model = make()
        count = len(list(model.named_parameters(remove_duplicate=False)))
        assert len(published_weights(model)) == count, name
        for parameter, _ in model.named_parameters():
            theirs = published_name(parameter)
            assert BERT.canonical(f"module.{theirs}") == BERT.canonical(theirs)
            part = parameter.split(".")[0]
            if isinstance(model, EncoderDecoder):
                assert BERT.canonical(theirs).startswith(f"{part}."), parameter
            assert not bare(BERT.canonical(theirs)).startswith(("bert.", "decoder."))


def test_files_of_the_first_release_and_of_wrapped_models(tmp_path: Path) -> None:
    model = pair_of()
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    table = tensors["decoder.bert.embeddings.word_embeddings.weight"]
    tensors["decoder.cls.predictions.decoder.weight"] = table.clone()
    bias = tensors.pop("decoder.cls.predictions.bias")
    tensors["decoder.cls.predictions.decoder.bias"] = bias
    tensors["encoder.embeddings.position_ids"] = torch.arange(16)[None]
    tensors["decoder.bert.embeddings.position_ids"] = torch.arange(13)[None]
    old = {
        "module."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    (tmp_path / "model.safetensors").unlink()
    torch.save(old, tmp_path / "pytorch_model.bin")
    assert_equal(EncoderDecoder.from_pretrained(tmp_path), model)


def test_changes_are_for_both(tmp_path: Path) -> None:
    pair_of().save_pretrained(tmp_path)
    model = EncoderDecoder.from_pretrained(tmp_path, dropout=0.25, gelu="tanh")
    for config in (model.config, model.decoder.config, model.encoder.config):
        assert (config.dropout, config.gelu) == (0.25, "tanh")
    rates = {part.p for part in model.modules() if isinstance(part, nn.Dropout)}
    assert rates == {0.25}
    large(Decoder(tiny_config())).save_pretrained(tmp_path / "decoder")
    decoder = Decoder.from_pretrained(tmp_path / "decoder", attention_dropout=0.5)
    assert decoder.bert.encoder.layers[0].cross.dropout == 0.5


# --- Tied ----------------------------------------------------------------------------


def test_tied_has_one_of_each_part_they_share(tmp_path: Path) -> None:
    """BERTShare of Rothe et al.: only cross-attention and the head are its own."""
    config = tiny_config()
    model = EncoderDecoder(config, tied=True)
    found = sum(parameter.numel() for parameter in model.parameters())
    counts, width = config.parameter_counts(), config.hidden_size
    cross = config.layers * (4 * (width * width + width) + 2 * width)
    shared = counts["embeddings"] + counts["encoder"]
    assert found == shared + counts["mlm_head"] + cross
    apart = sum(parameter.numel() for parameter in EncoderDecoder(config).parameters())
    assert apart - found == shared
    large(model).save_pretrained(tmp_path)
    again = EncoderDecoder.from_pretrained(tmp_path)
    assert sum(parameter.numel() for parameter in again.parameters()) == found
    layers = again.decoder.bert.encoder.layers, again.encoder.encoder.layers
    for ours, theirs in zip(*layers, strict=True):
        assert ours.attention is theirs.attention
        assert ours.feedforward_norm is theirs.feedforward_norm
    assert again.decoder.bert.embeddings is again.encoder.embeddings


def test_gradients_of_what_is_shared_are_sums() -> None:
    tied = large(EncoderDecoder(tiny_config(), tied=True)).double()
    apart = EncoderDecoder(tiny_config()).double().eval()
    apart.load_state_dict(tied.state_dict())
    weights = torch.randn(3, 6, 53, generator=torch.Generator().manual_seed(1)).double()
    for model in (tied, apart):
        (model(**batch_of()) * weights).sum().backward()
    encoder = dict(apart.encoder.named_parameters())
    decoder = dict(apart.decoder.bert.named_parameters())
    own = 0
    for name, parameter in tied.encoder.named_parameters():
        expected = encoder[name].grad + decoder[name].grad
        assert torch.allclose(parameter.grad, expected, atol=1e-10), name
    for name, parameter in tied.decoder.named_parameters():
        if "cross" in name or "mlm_head" in name:
            expected = apart.decoder.get_parameter(name).grad
            assert torch.allclose(parameter.grad, expected, atol=1e-10), name
            own += 1
    assert own == 2 * 10 + 5


def test_a_tied_file_may_hold_what_is_shared_once(tmp_path: Path) -> None:
    """As safetensors asks for: transformers 4 leaves copies out."""
    model = large(EncoderDecoder(tiny_config(), tied=True))
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    once = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder.") or "crossattention" in name or ".cls." in name
    }
    assert len(once) < len(tensors) - 30
    save_file(once, path)
    assert_equal(EncoderDecoder.from_pretrained(tmp_path), model)
    once.pop("encoder.encoder.layer.1.output.dense.bias")
    save_file(once, path)
    with pytest.raises(ValueError, match="lacks 2 tensors.*layer.1.output.dense.bias"):
        EncoderDecoder.from_pretrained(tmp_path)


def test_a_tied_file_with_two_sets_of_weights_is_refused(tmp_path: Path) -> None:
    EncoderDecoder(tiny_config()).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | {"tie_encoder_decoder": True}
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"(?s)differs from .*tie_encoder_decoder"):
        EncoderDecoder.from_pretrained(tmp_path)


# --- From BERT -----------------------------------------------------------------------


@pytest.fixture
def bert_folder(tmp_path: Path) -> Path:
    large(BertForMaskedLM(tiny_config())).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("tied", [False, True])
def test_from_bert_takes_all_that_bert_has(bert_folder: Path, tied: bool) -> None:
    bert = BertForMaskedLM.from_pretrained(bert_folder)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = EncoderDecoder.from_bert(bert_folder, tied=tied)
        assert not model.training and model.tied == tied
        found.append(dict(model.named_parameters(remove_duplicate=False)))
    new = {name for name in found[0] if ".cross" in name}
    assert len(new) == 2 * 10
    for name, parameter in found[0].items():
        assert torch.equal(parameter, found[1][name]), name
        if name in new:
            matrix = parameter.dim() == 2
            assert matrix != torch.equal(parameter, found[2][name]), name
            assert not matrix or 0.01 < parameter.std() < 0.025, "starts as BERT does"
            continue
        source = name.removeprefix("encoder.").removeprefix("decoder.")
        source = source if source.startswith(("bert.", "mlm")) else f"bert.{source}"
        assert torch.equal(parameter, bert.get_parameter(source)), name
        assert torch.equal(parameter, found[2][name]), name


@pytest.mark.usefixtures("silent")
def test_from_two_berts(bert_folder: Path, tmp_path: Path) -> None:
    other = large(BertForPreTraining(OTHER), seed=1)
    other.save_pretrained(tmp_path / "other")
    model = EncoderDecoder.from_bert(bert_folder, tmp_path / "other", dropout=0.0)
    assert model.decoder.config == OTHER.replace(dropout=0.0)
    assert model.config == tiny_config(dropout=0.0)
    assert torch.equal(model.decoder.mlm_head.bias, other.mlm_head.bias)
    assert_equal(model.encoder, BertForMaskedLM.from_pretrained(bert_folder).bert)


@pytest.mark.parametrize("kind", [Bert, lambda config: Bert(config, pooler=False)])
def test_from_a_bert_without_a_head_says_so(
    kind: Callable[[BertConfig], Bert], tmp_path: Path
) -> None:
    """Once, and of the head alone: cross-attention is new in any case."""
    large(kind(tiny_config())).save_pretrained(tmp_path)
    with pytest.warns(UserWarning) as caught:
        model = EncoderDecoder.from_bert(tmp_path)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "cls.predictions.transform.dense.weight" in message
    assert "start from random weights" in message
    assert "pooler" not in message and "crossattention" not in message
    assert (model.decoder.mlm_head.norm.weight == 1).all()
    assert 0.01 < model.decoder.mlm_head.dense.weight.std() < 0.025
    assert not model.decoder.mlm_head.bias.any()


def test_from_bert_and_a_decoder_that_has_cross_attention(
    bert_folder: Path, tmp_path: Path
) -> None:
    decoder = large(Decoder(OTHER), seed=1)
    decoder.save_pretrained(tmp_path / "decoder")
    model = EncoderDecoder.from_bert(bert_folder, tmp_path / "decoder")
    assert_equal(model.decoder, decoder)


def test_a_decoder_from_bert_names_what_is_new(bert_folder: Path) -> None:
    bert = BertForMaskedLM.from_pretrained(bert_folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equal(Decoder.from_pretrained(bert_folder), bert)
    with pytest.warns(
        UserWarning, match=r"has no encoder.layer.0.crossattention.*and 8 more: these"
    ) as caught:
        decoder = Decoder.from_pretrained(bert_folder, cross=True)
    assert Path(caught[0].filename) == Path(__file__), "points at who asked"
    assert decoder.cross and len(list(decoder.parameters())) == 20 + len(
        list(bert.parameters())
    )
    query = decoder.bert.encoder.layers[1].cross.query
    assert 0.01 < query.weight.std() < 0.025 and not query.bias.any()


@pytest.mark.usefixtures("silent")
def test_our_own_model_learns_to_write(tmp_path: Path) -> None:
    """A warm start of the packaged model: it reads, writes, learns and is saved."""
    torch.manual_seed(0)
    model = EncoderDecoder.from_bert(OUR_MODEL)
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL)
    bert = BertForMaskedLM.from_pretrained(OUR_MODEL)
    assert_equal(model.encoder, bert.bert)
    assert torch.equal(model.decoder.mlm_head.bias, bert.mlm_head.bias)
    batch = tokenizer(["the dog bit the man .", "a longer sentence of words"])
    start, stop = batch["input_ids"][0, 0].item(), batch["input_ids"][0, -3].item()
    search = Search(max_tokens=4, start_id=start, stop_id=stop)
    texts = generate(model, batch, search)
    assert len(texts) == 2 and all(len(text.ids) <= 4 for text in texts)
    ids = batch["input_ids"]
    weight = model.decoder.bert.encoder.layers[3].cross.value.weight
    before = weight.clone()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(6):
        scores = model(decoder_input_ids=ids[:, :-1], **batch)
        loss = nn.functional.cross_entropy(scores.transpose(1, 2), ids[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(before, weight)


# --- What is refused -----------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Path]:
    """A folder of each kind."""
    makes = {**MODELS, "bert": lambda: large(BertForMaskedLM(tiny_config()))}
    for name in ("pair", "decoder", "bert"):
        makes[name]().save_pretrained(tmp_path / name)
    return {name: tmp_path / name for name in ("pair", "decoder", "bert")}


def test_a_compiled_pair_is_read(saved: dict[str, Path]) -> None:
    file = saved["pair"] / "model.safetensors"
    expected = EncoderDecoder.from_pretrained(saved["pair"])
    save_file({f"_orig_mod.{n}": t for n, t in load_file(file).items()}, file)
    with pytest.warns(UserWarning, match="'_orig_mod.' before the names is left out"):
        found = EncoderDecoder.from_pretrained(saved["pair"])
    for name, parameter in found.named_parameters():
        assert torch.equal(parameter, expected.get_parameter(name)), name


@pytest.mark.parametrize(
    ("reader", "kind", "message"),
    [
        (EncoderDecoder, "bert", r"type 'bert', .*EncoderDecoder.from_bert\(…\) makes"),
        (EncoderDecoder, "decoder", "type 'bert', and this class reads 'encoder-dec"),
        *(
            (reader, "pair", r"model_type='encoder-decoder'.*EncoderDecoder.from_pretr")
            for reader in (Bert, BertForMaskedLM, Decoder)
        ),
        (Bert, "decoder", r"is_decoder=True; .*Decoder.from_pretrained"),
        (BertForMaskedLM, "decoder", r"is_decoder=True; .*Decoder.from_pretrained"),
    ],
)
def test_the_wrong_class_names_the_right_one(
    reader: type, kind: str, message: str, saved: dict[str, Path]
) -> None:
    with pytest.raises(ValueError, match=message):
        reader.from_pretrained(saved[kind])


def test_from_bert_refuses_what_does_not_fit(
    saved: dict[str, Path], tmp_path: Path
) -> None:
    large(BertForMaskedLM(tiny_config(hidden_size=48))).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="hidden_size=24 of the encoder and 48 of the"):
        EncoderDecoder.from_bert(saved["bert"], tmp_path)
    with pytest.raises(
        ValueError, match="tied=True and decoder=.*leave one of the two"
    ):
        EncoderDecoder.from_bert(saved["bert"], tmp_path, tied=True)
    for kind in ("pair", "decoder"):
        with pytest.raises(ValueError, match="from_pretrained reads it"):
            EncoderDecoder.from_bert(saved[kind])
    with pytest.raises(FileNotFoundError):
        EncoderDecoder.from_bert(tmp_path / "nothing")
    with pytest.raises(ValueError, match="BertConfig has no depth"):
        EncoderDecoder.from_bert(saved["bert"], depth=3)


def test_a_decoder_with_cross_attention_is_not_read_without(
    saved: dict[str, Path],
) -> None:
    with pytest.raises(ValueError, match="no place for .* 20 tensors.*crossattention"):
        Decoder.from_pretrained(saved["decoder"], cross=False)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("value", [None, "bert", []])
def test_a_config_that_lacks_a_part(
    part: str, value: object, saved: dict[str, Path]
) -> None:
    path = saved["pair"] / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, part: value}))
    with pytest.raises(ValueError, match=f"has no table of the {part}"):
        EncoderDecoder.from_pretrained(saved["pair"])
    del config[part]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"has no table of the {part}"):
        EncoderDecoder.from_pretrained(saved["pair"])


def edited(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


CROSS = "decoder.bert.encoder.layer.1.crossattention.self.key.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("decoder.bert.encoder.layer.2.output.dense.weight"),
            "lacks 1 tensor of the embeddings and the enc.* .decoder.encoder.layer.2",
        ),
        (
            lambda t: t.pop("encoder.embeddings.LayerNorm.bias"),
            "lacks 1 tensor .*encoder.embeddings.LayerNorm.bias",
        ),
        # One of many is damage; all of them would be a BERT.
        (lambda t: t.pop(CROSS), "lacks 1 tensor .*layer.1.crossattention.self.key"),
        (
            lambda t: t.update({CROSS: torch.zeros(24, 16)}),
            r"crossattention.self.key.weight is \(24, 16\), expected \(24, 24\)",
        ),
        (
            lambda t: t.update({CROSS: t[CROSS].to(torch.int8)}),
            "key.weight is torch.int8, a quantised",
        ),
        (
            lambda t: t.update({CROSS.replace("layer.1", "layer.3"): t[CROSS] * 1}),
            "no place for what .* holds: 1 tensor",
        ),
        (
            lambda t: t.update(
                {"decoder.cls.predictions.decoder.weight": torch.zeros(47, 24)}
            ),
            "shares the token table",
        ),
    ],
)
def test_damaged_files(
    change: Callable[[dict[str, Tensor]], object],
    message: str,
    saved: dict[str, Path],
) -> None:
    edited(saved["pair"], change)
    with pytest.raises(ValueError, match=message):
        EncoderDecoder.from_pretrained(saved["pair"])


def test_a_missing_head_is_said_with_its_part(saved: dict[str, Path]) -> None:
    edited(saved["pair"], lambda t: t.pop("decoder.cls.predictions.bias"))
    with pytest.warns(UserWarning, match="has no decoder.cls.predictions.bias: these"):
        EncoderDecoder.from_pretrained(saved["pair"])


def test_another_size_names_the_tensor(saved: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"embeddings.weight is \(.*expected \(60, 24"):
        EncoderDecoder.from_pretrained(saved["pair"], vocab_size=60)
