"""What the files of sentence-transformers say, in their older form and their newer."""

import json
from pathlib import Path

import pytest

from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.sentences import PoolingSettings, read_pooling_settings

STEPS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
MEAN = {"pooling_mode": "mean"}


def write(folder: Path, *steps: str, pooling: object = MEAN, **files: object) -> Path:
    modules = [{"type": f"any.where.{s}", "path": STEPS.get(s, s)} for s in steps]
    contents = {"modules": modules, "1_Pooling/config": pooling, **files}
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ({"pooling_mode": "cls"}, cls_pool),
        ({"pooling_mode": ["max"]}, max_pool),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, cls_pool),
        ({"pooling_mode_max_tokens": True, "word_embedding_dimension": 1}, max_pool),
        ({"pooling_mode_mean_tokens": True, "include_prompt": True}, mean_pool),
        ({"word_embedding_dimension": 384}, mean_pool),  # the library's default
    ],
)
def test_pooling(tmp_path, pooling, pool) -> None:
    folder = write(tmp_path, "Transformer", "Pooling", pooling=pooling)
    assert read_pooling_settings(folder) == PoolingSettings(pool, normalise=False)


def test_the_length(tmp_path) -> None:
    steps = "Transformer", "Pooling", "Normalize"
    write(tmp_path, *steps, tokenizer_config={"model_max_length": 77})
    assert read_pooling_settings(tmp_path) == PoolingSettings(mean_pool, True, 77)
    write(tmp_path, *steps, sentence_bert_config={"max_seq_length": 55})
    assert read_pooling_settings(tmp_path) == PoolingSettings(mean_pool, True, 55)


def test_no_files(tmp_path) -> None:
    assert read_pooling_settings(tmp_path) == PoolingSettings(
        mean_pool, normalise=True, max_length=None
    )


@pytest.mark.parametrize(
    ("pooling", "asked"),
    [
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": ["cls", "mean"]}, "cls and mean"),
        ({"pooling_mode": 7}, "7"),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
            "mean and max",
        ),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "pooling_mode_mean_sqrt_len"),
    ],
)
def test_other_pooling(tmp_path, pooling, asked) -> None:
    folder = write(tmp_path, "Transformer", "Pooling", pooling=pooling)
    with pytest.raises(
        ValueError, match=f"asks for pooling by {asked}.*one of cls, mean, max: give"
    ):
        read_pooling_settings(folder)


@pytest.mark.parametrize(
    "steps", [("Transformer", "Pooling", "Dense"), ("Pooling",) * 2, ("Normalize",), ()]
)
def test_other_steps(tmp_path, steps) -> None:
    asked = ", ".join(steps) or r"\(none\)"
    with pytest.raises(ValueError, match=f"asks for the steps {asked}; we have"):
        read_pooling_settings(write(tmp_path, *steps))


@pytest.mark.parametrize("modules", [7, [7], [{"type": "a"}], {"a": 1}])
def test_not_a_list_of_steps(tmp_path, modules) -> None:
    with pytest.raises(ValueError, match="modules.json holds no list of steps"):
        read_pooling_settings(write(tmp_path, modules=modules))


@pytest.mark.parametrize(
    ("file", "about"),
    [
        ("sentence_bert_config", {"query_expansion": {"length": 32}}),
        ("sentence_bert_config", {"transformer_task": "fill-mask"}),
        ("sentence_bert_config", {"tokenizer_args": {"do_lower_case": True}}),
        ("sentence_roberta_config", {"processing_kwargs": {"text": {}}}),
        ("config_sentence_transformers", {"truncate_dim": 8}),
        ("config_sentence_transformers", {"model_type": "SparseEncoder"}),
        ("2_Normalize/config", {"module_input_name": "token_embeddings"}),
    ],
)
def test_settings_that_would_change_vectors(tmp_path, file, about) -> None:
    steps = "Transformer", "Pooling", "Normalize"
    (key,) = about
    with pytest.raises(ValueError, match=f"sentence-transformers say {key}="):
        read_pooling_settings(write(tmp_path, *steps, **{file: about}))


def test_a_length_that_is_none(tmp_path) -> None:
    about = {"max_seq_length": "long"}
    write(tmp_path, "Transformer", "Pooling", sentence_bert_config=about)
    with pytest.raises(ValueError, match="max_seq_length .* is 'long'; it counts"):
        read_pooling_settings(tmp_path)


def test_a_prompt(tmp_path) -> None:
    prompts = {"default_prompt_name": "query", "prompts": {"query": "Find: "}}
    folder = write(
        tmp_path, "Transformer", "Pooling", config_sentence_transformers=prompts
    )
    with pytest.raises(ValueError, match="puts 'Find: ' before every text"):
        read_pooling_settings(folder)
