"""Configs that people have: each key of the library is read, refused, or known to say
nothing, and a model with any of them is equal or refused by the key's name."""

import json
import random
import warnings
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from bertcore.model.published import _ALLOWED
from bertcore.model.variants.families import FAMILIES, family_of
from bertcore.model.weights import published_class
from tests.conftest import ROOT, WHOLE, fill_with_large_weights

# What these say changes none of a checkpoint's outputs: how it is trained; how text is
# generated; what is returned beside the outputs; who made the file. Of ids of special
# tokens, that of the padding matters to RoBERTa alone, which reads it.
# `tie_word_embeddings`: the weights say it, and a masked-LM head that is not tied is
# refused; `add_cross_attention`, too: an encoder has no place for its weights.
# ELECTRA's `summary_…` are for multiple choice.
NEUTRAL = {
    *"add_cross_attention architectures bos_token_id chunk_size_feed_forward".split(),
    *"cls_token_id deterministic_flash_attn dtype eos_token_id problem_type".split(),
    *"initializer_cutoff_factor output_attentions output_hidden_states".split(),
    *"pad_token_id return_dict sep_token_id sinusoidal_pos_embds".split(),
    *"sparse_pred_ignore_index sparse_prediction summary_activation".split(),
    *"summary_last_dropout summary_type summary_use_proj use_cache".split(),
    *"tie_last_hidden_states tie_word_embeddings transformers_version".split(),
}
# Keys that are read outside the tables, by `labels_of` and by ModernBERT.
LABELS = {"id2label", "label2id", "num_labels"}
OWN = {"modernbert": {"layer_types", "rope_parameters"}}
NAMES = [*FAMILIES, "xlm-roberta", "camembert"]
PINNED = f"transformers=={transformers.__version__}"


def library_config(name: str) -> type:
    return transformers.models.auto.configuration_auto.CONFIG_MAPPING[name]


def known(name: str) -> set[str]:
    """The keys of which our code says what they do."""
    form = family_of({"model_type": name}).config.published
    of_heads = (key for head in form.heads.values() for key in head)
    read = {*form.keys.values(), form.activation, "model_type", *LABELS}
    return read | {*_ALLOWED, *form.allowed, *of_heads} | OWN.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_the_library_is_known(name: str) -> None:
    theirs = library_config(name)
    keys = {*theirs().to_dict(), *(field.name for field in fields(theirs))}
    unknown = {key for key in keys if key[0] != "_"} - known(name) - NEUTRAL
    if PINNED in (ROOT / "constraints.txt").read_text("utf8"):
        assert not unknown
    elif unknown:  # a later library has more: whoever pins it says what they do
        pytest.skip(f"{PINNED} has {unknown}")


@pytest.mark.parametrize("name", NAMES)
def test_a_key_left_out_means_what_it_means_in_the_library(name: str) -> None:
    config, whole = family_of({"model_type": name}).config, library_config(name)()
    if name == "deberta-v2":  # the library's default has no distances at all
        with pytest.raises(ValueError, match="has no relative_attention, so it is Fal"):
            config.from_dict({})
        return
    saved = json.loads(whole.to_json_string(use_diff=False))
    if name in ("xlm-roberta", "camembert"):  # theirs is none of a real checkpoint's
        saved["vocab_size"] = config.vocab_size
    assert config.from_dict({"model_type": name}) == config.from_dict(saved)


# Mutations ---------------------------------------------------------------------------

RATES = [0.0, 0.1, 0.35]
ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_python", "gelu_fast",
               "relu", "silu", "tanh", "quick_gelu"]  # fmt: skip
BOTH = {
    "full_attention": {"rope_type": "default", "rope_theta": 500.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
}
FULL, NEAR = "full_attention", "sliding_attention"
VALUES: dict[str, list[Any]] = {
    "layer_norm_eps": [1e-12, 1e-5, 1e-2],
    "norm_eps": [1e-6, 1e-2],
    "pad_token_id": [0, 1, 2, 4, None],
    "type_vocab_size": [0, 1, 2, 3],
    "max_position_embeddings": [16, 18, 24],
    "num_hidden_layers": [1, 3],
    "num_attention_heads": [1, 4, 6, 5],
    "hidden_size": [24, 36],
    "sliding_window": [2, 4, 64],
    "n_layers": [1, 3],
    "n_heads": [1, 4, 5],
    "intermediate_size": [24, 41],
    "hidden_dim": [24, 41],
    "embedding_size": [12, 24, 30],
    "hidden_act": ACTIVATIONS,
    "activation": ACTIVATIONS,
    "hidden_activation": ACTIVATIONS,
    "classifier_activation": ["gelu", "relu", "gelu_new"],
    "classifier_pooling": ["cls", "mean"],
    "pooler_hidden_act": ["gelu", "tanh", "relu"],
    "pooler_hidden_size": [24, 12],
    "pooler_dropout": RATES,
    "classifier_dropout": [None, *RATES],
    "cls_dropout": [None, *RATES],
    "summary_type": ["first", "mean", "last"],
    "summary_activation": ["gelu", None],
    "problem_type": ["regression", "multi_label_classification"],
    "chunk_size_feed_forward": [1, 11],
    "num_hidden_groups": [1, 2],
    "inner_group_num": [1, 2],
    "position_embedding_type": ["absolute"],
    "initializer_range": [0.02, 0.5],
    "pos_att_type": [None, [], ["c2p"], ["p2c"], ["c2p", "p2c"], "c2p|p2c", "p2c"],
    "position_buckets": [-1, 0, 2, 3, 6],
    "max_relative_positions": [-1, 0, 8, 16, 40],
    "norm_rel_ebd": ["none", "layer_norm"],
    "conv_kernel_size": [0, 1, 2, 3, 5],
    "conv_act": ["tanh", "gelu", "relu"],
    "conv_groups": [1, 2],
    "attention_head_size": [8, 4],
    "local_attention": [2, 5, 128],
    "global_attn_every_n_layers": [1, 2],
    "global_rope_theta": [100.0],
    "local_rope_theta": [100.0],
    "rope_parameters": [
        BOTH,
        {FULL: {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}},
        {NEAR: BOTH[NEAR]},
    ],
    "rope_scaling": [{"rope_type": "linear", "factor": 3.0}],
    "layer_types": [[FULL, FULL, FULL], [NEAR, FULL, NEAR], [FULL, NEAR, FULL]],
    "head_dim": [8, 4],
    "id2label": [{"0": "a", "1": "b", "2": "c"}, {"0": "x"}, {"1": "p", "0": "q"}],
    "pruned_heads": [{}, {"0": [1]}],
}
# Read by the library with `getattr`, so that its classes do not list them.
HIDDEN = {
    "deberta-v2": "conv_kernel_size conv_act conv_groups position_buckets cls_dropout "
    "share_att_key norm_rel_ebd attention_head_size embedding_size pooler_hidden_size",
    "modernbert": "global_attn_every_n_layers global_rope_theta local_rope_theta "
    "rope_scaling head_dim sliding_window",
    "distilbert": "hidden_size num_hidden_layers num_attention_heads",
}
# What the library writes in the place of a key of the first releases.
RENAMED = {
    "rope_scaling": "rope_parameters",
    "global_attn_every_n_layers": "layer_types",
}
BASE = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
}
BASES = {
    "distilbert": {"vocab_size": 53, "dim": 24, "n_layers": 3, "n_heads": 3,
                   "hidden_dim": 40, "max_position_embeddings": 20},
    "albert": {**BASE, "embedding_size": 14},
    "electra": {**BASE, "embedding_size": 14},
    "modernbert": {**BASE, "local_attention": 4, "pad_token_id": 0},
    "deberta-v2": {**BASE, "relative_attention": True, "position_buckets": 4,
                   "norm_rel_ebd": "layer_norm", "share_att_key": True,
                   "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
}  # fmt: skip
HEADS = ("body", "masked_lm", "classification", "tagging", "answers")


def mutated(name: str, draw: random.Random) -> tuple[dict[str, Any], set[str]]:
    """A config.json, and the keys in which it is none of the usual."""
    published = {"model_type": name, **BASES.get(name, BASE)}
    sizes = {*BASE, "dim", "n_layers", "n_heads", "hidden_dim"}
    keys = [*library_config(name)().to_dict(), *HIDDEN.get(name, "").split()]
    keys += ["pruned_heads", "position_embedding_type"]
    chosen = draw.sample(sorted(set(keys) - {"model_type", "vocab_size"}), 3)
    for key in chosen[: draw.choice((1, 1, 2, 3))]:
        default = getattr(library_config(name)(), key, True)
        if key in VALUES:
            published[key] = draw.choice(VALUES[key])
        elif isinstance(published.get(key, default), bool):
            published[key] = not published.get(key, default)
        elif "dropout" in key:
            published[key] = draw.choice(RATES)
    others = sorted(published.keys() - sizes - {"model_type"})
    if others and draw.random() < 0.1:
        del published[draw.choice(others)]
    usual = {"model_type": name, **BASES.get(name, BASE)}
    every = published.keys() | usual.keys()
    return published, {k for k in every if published.get(k) != usual.get(k)}


def batch_for(published: dict[str, Any], pad: int | None) -> dict[str, Tensor]:
    """Two texts, the second shorter; their tokens are never the padding's."""
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(6, 53, (2, 11), generator=draw)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    ids = torch.where(mask == 0, pad or 0, ids)
    batch = {"input_ids": ids, "attention_mask": mask}
    usual = 1 if published["model_type"] in ("deberta-v2", "distilbert", "modernbert") \
        else 2  # fmt: skip
    if published.get("type_vocab_size", usual) > 1 and usual > 1:
        batch["token_type_ids"] = (torch.arange(11) > 4).long() * mask
    return batch


def pick(out: Any) -> Tensor:
    if hasattr(out, "start_logits"):
        return torch.stack([out.start_logits, out.end_logits], dim=-1)
    return out.logits if hasattr(out, "logits") else out.last_hidden_state


def same(found: Tensor, expected: Tensor, mask: Tensor) -> bool:
    where = mask.bool() if expected.shape[:2] == mask.shape else slice(None)
    found, expected = found[where], expected[where]
    if found.shape != expected.shape:
        return False
    limit = 1e-4 * max(1.0, float(expected.abs().max()))
    return bool((found - expected).abs().max() <= limit)


def outcome(
    published: dict[str, Any], changed: set[str], head: str, folder: Path
) -> str:
    """What comes of the library's own model with this config: a word, or a fault."""
    name = published["model_type"]
    family = family_of(published)
    ours = getattr(family, head)
    their_class = getattr(transformers, published_class(ours, name))
    torch.manual_seed(0)
    try:
        config = library_config(name).from_dict(dict(published))
        theirs = their_class(config).eval()
        fill_with_large_weights(theirs)
        batch = batch_for(published, config.pad_token_id)
        with torch.no_grad():
            expected = pick(theirs(**batch))
        assert expected.isfinite().all()
        theirs.save_pretrained(folder)
    except Exception:
        return "the library refuses"
    if len(changed) % 2:  # the user's own file, or what the library makes of it
        (folder / "config.json").write_text(json.dumps(published))
    try:
        model = ours.from_pretrained(folder)
    except ValueError as error:
        fields = {key: field for field, key in family.config.published.keys.items()}
        names = changed | {fields[key] for key in changed if key in fields}
        names |= {RENAMED[key] for key in changed if key in RENAMED}
        return "refused" if any(n in str(error) for n in names) else f"no key: {error}"
    with torch.no_grad():
        if not same(model(**batch), expected, batch["attention_mask"]):
            return "differs"
        if head not in ("body", "classification"):
            return "equal"  # the config is written alike for all heads
        model.save_pretrained(folder / "again")
        again = their_class.from_pretrained(folder / "again").eval()
        if again.config.model_type != name:
            return "another type"
        same_again = same(pick(again(**batch)), expected, batch["attention_mask"])
    same_config = ours.from_pretrained(folder / "again").config == model.config
    return "equal" if same_again and same_config else "not kept"


@pytest.mark.parametrize("name", NAMES)
def test_any_config_is_equal_or_refused_by_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    draw, outcomes = random.Random(f"configs of {name}"), Counter()
    faults = []
    count = 300 if name in FAMILIES else 50  # the others are RoBERTa
    for number in range(count if WHOLE else 8):
        published, changed = mutated(name, draw)
        for head in draw.sample(HEADS, 2 if WHOLE else 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library's, of unused keys
                found = outcome(published, changed, head, tmp_path / f"{number}")
            outcomes[found.partition(":")[0]] += 1
            if found not in ("equal", "refused", "the library refuses"):
                changes = {key: published.get(key, "left out") for key in changed}
                faults.append(f"{head} with {changes}: {found}")
    if WHOLE:
        with capsys.disabled():
            print(f"\n{name}: {dict(outcomes)}", *faults[:9], sep="\n")
    assert not faults


def test_padding_may_stand_before_a_roberta_text(tmp_path: Path) -> None:
    """Positions count from the first piece that is none, as in the library."""
    theirs = transformers.RobertaModel(
        transformers.RobertaConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=20, pad_token_id=3,
        )
    ).eval()  # fmt: skip
    fill_with_large_weights(theirs)
    theirs.save_pretrained(tmp_path)
    ours = FAMILIES["roberta"].body.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[3, 3, 5, 7, 9, 2], [5, 8, 9, 7, 2, 3]])
    batch = {"input_ids": ids, "attention_mask": (ids != 3).long()}
    with torch.no_grad():
        difference = (theirs(**batch).last_hidden_state - ours(**batch)).abs()
    assert difference[ids != 3].max() < 1e-5


def test_a_window_below_0_is_refused() -> None:
    config = FAMILIES["modernbert"].config
    with pytest.raises(ValueError, match="local_attention in config.json. must be 0"):
        config.from_dict({"model_type": "modernbert", "local_attention": -1})
