"""Published checkpoints in and out, and what is said when they are damaged."""

import json
import pickle
import warnings
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import bertcore
from bertcore import Bert, BertForPreTraining, BertForSequenceClassification
from bertcore.model.published import published_name
from bertcore.model.weights import read_tensors
from tests.conftest import fill_with_large_weights, tiny_config

CLASSES = [
    "Bert",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
]


@pytest.mark.parametrize(
    ("name", "argument"),
    [("tf_model.h5", "from_tf"), ("flax_model.msgpack", "from_flax")],
)
def test_weights_of_other_frameworks(name: str, argument: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    wanted = f"its weights in {name} alone.* with transformers 4.*{argument}=True"
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=wanted):
        Bert.from_pretrained(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match="has no model.safetensors and no"):
        Bert.from_pretrained(tmp_path)


def first(output: object) -> torch.Tensor:
    """The main tensor of an output of ours or of transformers."""
    if isinstance(output, torch.Tensor):
        return output
    if hasattr(output, "start_logits"):
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output[0]


def their_class(name: str) -> type:
    return getattr(transformers, "BertModel" if name == "Bert" else name)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small pretraining checkpoint of ours."""
    model = BertForPreTraining(tiny_config())
    fill_with_large_weights(model)
    model.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", CLASSES)
def test_transformers_loads_what_we_save(name: str, tmp_path: Path, batch) -> None:
    ours = getattr(bertcore, name)(tiny_config(num_labels=5)).eval()
    fill_with_large_weights(ours)
    ours.save_pretrained(tmp_path)
    theirs, info = their_class(name).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys")), info
    with torch.no_grad():
        difference = first(ours(**batch)) - first(theirs(**batch))
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("name", CLASSES)
def test_we_load_what_transformers_saves(name: str, tmp_path: Path, batch) -> None:
    config = transformers.BertConfig(**tiny_config(num_labels=2).to_dict())
    theirs = their_class(name)(config).eval()
    fill_with_large_weights(theirs)
    theirs.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = getattr(bertcore, name).from_pretrained(tmp_path)
    with torch.no_grad():
        difference = first(ours(**batch)) - first(theirs(**batch))
    assert difference.abs().max() < 1e-5


def test_our_own_round_trip_is_exact(saved: Path, tmp_path: Path) -> None:
    model = BertForPreTraining.from_pretrained(saved)
    model.save_pretrained(tmp_path / "again")
    one, two = (load_file(f / "model.safetensors") for f in (saved, tmp_path / "again"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not list(saved.glob("*.partial"))


def test_legacy_file_with_the_names_of_the_first_release(saved: Path) -> None:
    """pytorch_model.bin, LayerNorm.gamma and beta, and copies of the tied matrix."""
    expected = BertForPreTraining.from_pretrained(saved)
    tensors = load_file(saved / "model.safetensors")
    legacy = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    table = legacy["bert.embeddings.word_embeddings.weight"]
    legacy["cls.predictions.decoder.weight"] = table.clone()
    legacy["bert.embeddings.position_ids"] = torch.arange(16)[None]
    (saved / "model.safetensors").unlink()
    torch.save(legacy, saved / "pytorch_model.bin")
    found = BertForPreTraining.from_pretrained(saved)
    for name, parameter in found.named_parameters():
        assert torch.equal(parameter, expected.get_parameter(name)), name


def test_a_pickle_is_never_run(saved: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (saved / "sprung",))

    (saved / "model.safetensors").unlink()
    torch.save({"bert.weight": Trap()}, saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match="something other than tensors"):
        Bert.from_pretrained(saved)
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(ValueError, match=r"something other|cannot be read"):
        Bert.from_pretrained(saved)
    assert not (saved / "sprung").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("left", [0, 7, 0.5, -1])
def test_truncated_files_are_named(saved: Path, file: str, left: float) -> None:
    path = saved / "model.safetensors"
    if file == "pytorch_model.bin":
        torch.save(load_file(path), saved / file)
        path.unlink()
    whole = (saved / file).read_bytes()
    keep = int(len(whole) * left) if 0 < left < 1 else int(left)
    (saved / file).write_bytes(whole[:keep])
    size = f"{len(whole[:keep]):,}"
    with pytest.raises(ValueError, match=rf"{file} \({size} bytes\).*cut short"):
        Bert.from_pretrained(saved)


def test_missing_pooler_and_heads_are_said(tmp_path: Path) -> None:
    body = Bert(tiny_config(), pooler=False)
    body.save_pretrained(tmp_path)
    with pytest.warns(
        UserWarning, match="has no pooler.dense.weight, .* Bert start from ran"
    ):
        Bert.from_pretrained(tmp_path)
    with pytest.warns(
        UserWarning, match=r"pooler.*cls.predictions.*cls.seq_relationship"
    ):
        BertForPreTraining.from_pretrained(tmp_path)


def test_missing_parts_start_as_in_a_new_model(tmp_path: Path) -> None:
    Bert(tiny_config(initializer_range=0.1), pooler=False).save_pretrained(tmp_path)
    torch.manual_seed(0)
    with pytest.warns(UserWarning):
        model = BertForPreTraining.from_pretrained(tmp_path)
    for weight in (model.bert.pooler.dense.weight, model.mlm_head.dense.weight):
        assert 0.06 < weight.std() < 0.1 and weight.abs().max() <= 0.2
    assert (model.mlm_head.norm.weight == 1).all()
    assert not model.mlm_head.bias.any() and not model.nsp_head.dense.bias.any()


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    before = torch.random.get_rng_state()
    BertForPreTraining.from_pretrained(saved)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_failed_save_leaves_the_old_checkpoint(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr("bertcore.model.weights.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        Bert(tiny_config(layers=1)).save_pretrained(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_config_names_the_class_that_reads_it(tmp_path: Path) -> None:
    for name in CLASSES:
        getattr(bertcore, name)(tiny_config()).save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        assert config["architectures"] == [name.replace("Bert", "BertModel", 1)
                                           if name == "Bert" else name]  # fmt: skip


def test_prefixes_of_wrapped_models(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"state_dict": wrapped}, saved / "pytorch_model.bin")
    found = BertForPreTraining.from_pretrained(saved)
    expected = tensors["cls.predictions.bias"]
    assert torch.equal(found.mlm_head.bias, expected)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_weights_in_several_files(kind: str, tmp_path: Path, batch) -> None:
    config = transformers.BertConfig(**tiny_config().to_dict())
    theirs = transformers.BertForMaskedLM(config).eval()
    fill_with_large_weights(theirs)
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    index = tmp_path / "model.safetensors.index.json"
    parts = json.loads(index.read_text())["weight_map"]
    if kind == "bin":
        for part in set(parts.values()):
            torch.save(load_file(tmp_path / part), tmp_path / f"{part[:-11]}bin")
            (tmp_path / part).unlink()
        renamed = {name: f"{part[:-11]}bin" for name, part in parts.items()}
        index.unlink()
        index = tmp_path / "pytorch_model.bin.index.json"
        index.write_text(json.dumps({"weight_map": renamed}))
    assert len(set(parts.values())) > 3
    ours = bertcore.BertForMaskedLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert (ours(**batch) - theirs(**batch).logits).abs().max() < 1e-4
    lost = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": lost | {"bert.x": lost.popitem()[1]}}))
    with pytest.raises(ValueError, match=r"promises 1 tensor that .* lack \(bert.x"):
        Bert.from_pretrained(tmp_path)
    next(tmp_path.glob(f"model-00002-*.{kind}")).unlink()
    with pytest.raises(FileNotFoundError, match="has no model-00002-of"):
        Bert.from_pretrained(tmp_path)


def test_of_two_kinds_of_files_safetensors_is_read(saved: Path) -> None:
    """As the library does, also where the safetensors are several."""
    tensors = load_file(saved / "model.safetensors")
    torch.save({n: t + 1 for n, t in tensors.items()}, saved / "pytorch_model.bin")
    (saved / "model.safetensors").rename(saved / "part.safetensors")
    parts = dict.fromkeys(tensors, "part.safetensors")
    index = {"metadata": {}, "weight_map": parts}
    (saved / "model.safetensors.index.json").write_text(json.dumps(index))
    found = Bert.from_pretrained(saved).embeddings.token.weight
    theirs = transformers.BertModel.from_pretrained(saved)
    assert torch.equal(found, theirs.embeddings.word_embeddings.weight)


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "model.", "bert.", "module._orig_mod.", "net.encoder."]
)
def test_what_stands_before_all_names_is_left_out(prefix: str, saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    expected = BertForPreTraining.from_pretrained(saved)
    (saved / "model.safetensors").unlink()
    wrapped = {prefix + name: tensor for name, tensor in tensors.items()}
    wrapped["loss.weight"] = torch.ones(2)
    torch.save({"state_dict": wrapped, "epoch": 3}, saved / "pytorch_model.bin")
    with pytest.warns(UserWarning, match=f"'{prefix}' before the names is left out"):
        found = BertForPreTraining.from_pretrained(saved)
    for name, parameter in found.named_parameters():
        assert torch.equal(parameter, expected.get_parameter(name)), name


def test_names_of_another_kind_are_shown(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    other = {f"{name}_x": tensor for name, tensor in tensors.items()}
    save_file(other, saved / "model.safetensors")
    message = r"lacks 37 .*\(embeddings.word_embeddings.weight, .*; it has .*_x; is con"
    with pytest.raises(ValueError, match=message):
        Bert.from_pretrained(saved)


@pytest.mark.parametrize("bias", [False, True])
def test_a_tied_tensor_may_stand_under_either_name(bias: bool, saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    own, other = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.wei"
    other += "ght"
    if bias:
        own, other = "cls.predictions.bias", "cls.predictions.decoder.bias"
    expected = tensors[own]
    save_file({**tensors, other: expected + 1}, saved / "model.safetensors")
    with pytest.raises(ValueError, match=f"{other} differs from .*tie_word_embeddings"):
        BertForPreTraining.from_pretrained(saved)
    del tensors[own]
    save_file({**tensors, other: expected}, saved / "model.safetensors")
    found = BertForPreTraining.from_pretrained(saved)
    part = found.mlm_head.bias if bias else found.bert.embeddings.token.weight
    assert torch.equal(part, expected)


def test_answers_with_three_labels(tmp_path: Path, batch) -> None:
    """A config that says three is no fault, weights for three are."""
    model = bertcore.BertForQuestionAnswering(tiny_config())
    model.save_pretrained(tmp_path)
    three = tiny_config(num_labels=3).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(three))
    found = bertcore.BertForQuestionAnswering.from_pretrained(tmp_path)
    assert torch.equal(found(**batch), model.eval()(**batch))
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["qa_outputs.weight"] = torch.ones(3, 24)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"qa_.* two scores.*model.bert = Bert.from_p"):
        bertcore.BertForQuestionAnswering.from_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="no pooler"):
        found.bert = Bert.from_pretrained(tmp_path)  # what it advises


def test_the_bias_under_its_other_name(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    bias = tensors.pop("cls.predictions.bias")
    tensors["cls.predictions.decoder.bias"] = bias
    save_file(tensors, saved / "model.safetensors")
    assert torch.equal(BertForPreTraining.from_pretrained(saved).mlm_head.bias, bias)


def test_the_body_of_an_untied_model_is_welcome(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = torch.zeros(53, 24)
    save_file(tensors, saved / "model.safetensors")
    Bert.from_pretrained(saved)


def test_what_is_no_floating_point_tensor_is_refused(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    name = "bert.pooler.dense.weight"
    save_file({**tensors, name: tensors[name].to(torch.int8)}, saved / "q.safetensors")
    (saved / "q.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(ValueError, match="pooler.dense.weight is torch.int8, a quant"):
        Bert.from_pretrained(saved)
    (saved / "model.safetensors").unlink()
    torch.save([torch.ones(2)], saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match="something other than tensors"):
        Bert.from_pretrained(saved)


def test_a_missing_layer_is_an_error_not_a_warning(saved: Path) -> None:
    with pytest.raises(ValueError, match="lacks 16 tensors of the embeddings and the"):
        Bert.from_pretrained(saved, layers=3)
    with pytest.raises(
        ValueError, match="the config has no place for what .* holds: 16 t"
    ):
        Bert.from_pretrained(saved, layers=1)


def test_wrong_shapes_are_named(saved: Path) -> None:
    with pytest.raises(ValueError, match=r"\(53, 24\), expected \(60, 24\)"):
        Bert.from_pretrained(saved, vocab_size=60)


def test_vocabulary_that_does_not_match_the_weights(saved: Path) -> None:
    (saved / "vocab.txt").write_text("piece\n" * 54)
    with pytest.raises(ValueError, match="54 pieces, but the weights.*table of 53"):
        Bert.from_pretrained(saved)


def test_another_number_of_labels_asks_for_it(tmp_path: Path) -> None:
    BertForSequenceClassification(tiny_config()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"classifier.*\(5.*give num_labels=5, or"):
        BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3)


def test_an_untied_output_matrix_is_refused(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = torch.zeros(53, 24)
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(ValueError, match="shares the token table"):
        BertForPreTraining.from_pretrained(saved)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config.json; it holds nothing"):
        Bert.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    with pytest.raises(
        FileNotFoundError, match="no model.safetensors and .* no pytorch_"
    ):
        Bert.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        Bert.from_pretrained(tmp_path)


def test_the_table_of_names_covers_every_parameter() -> None:
    for name in CLASSES:
        for parameter, _ in getattr(bertcore, name)(tiny_config()).named_parameters():
            assert published_name(parameter)


def test_a_part_without_a_published_name_is_said(tmp_path: Path) -> None:
    model = Bert(tiny_config())
    model.extra = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="extra.weight has no name in published files"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_half_precision_files_are_read(saved: Path) -> None:
    tensors = {k: t.half() for k, t in load_file(saved / "model.safetensors").items()}
    save_file(tensors, saved / "model.safetensors")
    model = Bert.from_pretrained(saved)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert read_tensors(saved / "model.safetensors").keys() == tensors.keys()
