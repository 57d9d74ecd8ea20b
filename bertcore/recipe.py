"""Recipe: how a checkpoint makes one vector of a text (chapter 5).

The weights do not say it. The sentence-transformers library writes it into files of
its own, beside them: `modules.json` names the steps, each with a folder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.sources import find_file, find_optional, read_any_json, read_json

Pool = Callable[[Tensor, Tensor], Tensor]

_POOLS: dict[str, Pool] = {"cls": cls_pool, "mean": mean_pool, "max": max_pool}
_STEPS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
# Older files of sentence-transformers have a switch for each kind of pooling.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
_REMEDY = "give the parts yourself: SentenceEncoder(tokenizer, bert, pool=…)"


class Recipe(NamedTuple):
    """How states become a vector, whether its length is 1, and where texts are cut.

    `max_length` counts tokens; None is as many as the model has positions.
    """

    pool: Pool = mean_pool
    normalise: bool = True
    max_length: int | None = None


def read_recipe(folder_or_name: str | Path) -> Recipe:
    """What the files of sentence-transformers say; the defaults if there are none.

    Raises:
        FileNotFoundError: if there is no such checkpoint, or if the hub cannot be
            reached to say whether it has the files.
        ValueError: if they ask for a step or a kind of pooling that we do not have.
    """
    path = find_optional(folder_or_name, "modules.json")
    if path is None:
        return Recipe()
    steps = _read_steps(path)
    names = list(steps)
    if names not in _STEPS:
        raise ValueError(
            f"{path} asks for the steps {', '.join(names) or '(none)'}; we have "
            f"Transformer, Pooling and, after them, Normalize: {_REMEDY}"
        )
    _check_prompt(folder_or_name)
    pool = _read_pool(find_file(folder_or_name, f"{steps['Pooling']}/config.json"))
    return Recipe(pool, "Normalize" in steps, _read_length(folder_or_name))


def _read_steps(path: Path) -> dict[str, str]:
    """The steps of a `modules.json` in their order, each with its folder."""
    steps = read_any_json(path)
    try:
        return {step["type"].rpartition(".")[2]: step["path"] for step in steps}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} holds no list of steps, each with a type and a path"
        ) from error


def _read_pool(path: Path) -> Pool:
    config = read_json(path)
    kinds = config.get("pooling_mode")
    if kinds is None:
        on = [key for key, value in config.items() if value is True]
        kinds = [
            _SWITCHES.get(key, key) for key in on if key.startswith("pooling_mode")
        ]
    kinds = (kinds if isinstance(kinds, list) else [kinds]) or ["mean"]
    if len(kinds) != 1 or kinds[0] not in _POOLS:
        raise ValueError(
            f"{path} asks for pooling by {' and '.join(map(str, kinds))}; we have one "
            f"of {', '.join(_POOLS)}: {_REMEDY}"
        )
    return _POOLS[kinds[0]]


def _read_length(folder_or_name: str | Path) -> int | None:
    """`max_seq_length`; where it is not said, the tokenizer's `model_max_length`."""
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        length = _optional(folder_or_name, name).get(key)
        if length is not None:
            return int(length)
    return None


def _check_prompt(folder_or_name: str | Path) -> None:
    """Words that are put before every text would have to be put there by us."""
    config = _optional(folder_or_name, "config_sentence_transformers.json")
    name = config.get("default_prompt_name")
    prompt = (config.get("prompts") or {}).get(name)
    if prompt:
        raise ValueError(
            f"the checkpoint puts {prompt!r} before every text, and we do not; put it "
            f"there yourself, and {_REMEDY}"
        )


def _optional(folder_or_name: str | Path, name: str) -> dict[str, Any]:
    """The table in a file of the checkpoint; empty if it has no such file."""
    path = find_optional(folder_or_name, name)
    return {} if path is None else read_json(path)
