"""Task file: what a fine-tuned model's folder says of its task (chapter 10)."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertcore.model.decoder import Search
from bertcore.sources import find_file, read_json
from bertcore.text.rows import KINDS
from bertcore.text.wordpiece import Tokenizer

TASK = "task.json"
_FIELDS = ("labels", "length", "stride")
_OF_WRITING = ("target", "search")
_IDS = ("start_id", "stop_id")  # those of the tokenizer


def read_task(folder: str | Path) -> dict[str, Any]:
    """What `write_task` wrote, the search as a `Search`.

    Raises:
        FileNotFoundError: if the folder has no task.
        ValueError: if the file is damaged.
    """
    about = read_json(find_file(folder, TASK))
    kind = about.get("kind")
    if kind not in KINDS:
        raise ValueError(
            f"{folder}/{TASK} says kind={kind!r}; there are {', '.join(KINDS)}"
        )
    wanted = (*_FIELDS, *(_OF_WRITING if kind == "writing" else ()))
    lacking = [name for name in wanted if name not in about]
    if lacking:
        raise ValueError(
            f"{folder}/{TASK} has no {', '.join(lacking)}; write the folder anew with "
            "save_pretrained"
        )
    if kind == "writing":
        try:
            about["search"] = Search().replace(**about["search"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder}/{TASK}, search: {error}") from error
    return about


def write_task(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the file."""
    about = dict(about)
    if "search" in about:
        found = asdict(about["search"])
        about["search"] = {n: v for n, v in found.items() if n not in _IDS}
    _write(folder / TASK, about)


def amend(folder: Path, **values: Any) -> None:
    """More values for the folder's `config.json`, which transformers reads."""
    path = folder / "config.json"
    _write(path, {**read_json(path), **values})


def write_generation(folder: Path, search: Search, tokenizer: Tokenizer) -> None:
    """What transformers writes with: `generation_config.json`, and ids in the config.

    Its `generate` then gives the same tokens as ours; but where they are drawn, it
    draws others.
    """
    ids = {
        "decoder_start_token_id": tokenizer.cls_id,
        "eos_token_id": tokenizer.sep_id,
        "pad_token_id": tokenizer.pad_id,
    }
    amend(folder, **ids)
    how: dict[str, Any] = {
        "max_new_tokens": search.max_tokens,
        "num_beams": search.beams,
        "length_penalty": search.length_penalty,
        "do_sample": search.temperature > 0,
    }
    if search.temperature:
        how["temperature"] = search.temperature
        how["top_k"] = search.top_k or 0
        how["top_p"] = 1.0 if search.top_p is None else search.top_p
    _write(folder / "generation_config.json", {**ids, **how})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf8", newline="\n")
