"""Predictor: from texts to answers with a fine-tuned model (chapter 10)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from bertcore.files import read_json, write_json
from bertcore.model.generate import Search, generate
from bertcore.model.inference import evaluation
from bertcore.model.variants.families import load_model
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file
from bertcore.tasks.kinds import (
    checked_model,
    decoded,
    features_of,
    objective_inputs,
    plain_row,
    task_kind,
)
from bertcore.tasks.rows import KINDS
from bertcore.tasks.task import Feature, FeatureSettings
from bertcore.tasks.writing import WrittenTarget
from bertcore.text.batch import padded
from bertcore.text.fast_tokenizer import load_tokenizer
from bertcore.text.wordpiece import Tokenizer

WINDOW = 256  # rows that are read, and held, at a time
ROOM = 4096  # tokens that are computed at once
WRITING_ROOM = 16384  # of sources and of what is written, which comes one by one
TASK = "task.json"
_FIELDS = ("labels", "length", "stride")
_OF_WRITING = ("target", "search")
_IDS = ("start_id", "stop_id")  # those of the tokenizer


class Predictor:
    """A fine-tuned model with all that it takes to use it.

    predictor = Predictor.from_pretrained("my-task")
    predictor.predict(["What a film!"])
    """

    def __init__(
        self,
        model: Pretrained,
        kind: str,
        reading: FeatureSettings,
        labels: Sequence[str] = (),
        pairs: bool | None = None,
        objective: nn.Module | None = None,
        search: Search | None = None,
    ) -> None:
        """
        Args:
            model: with its head.
            kind: of the task; see `bertcore.tasks.rows.KINDS`.
            reading: how rows become ids.
            labels: the classes or tags, in the order of the model's scores.
            pairs: whether the texts were pairs when it learnt; the others are refused.
            objective: that of the model, if it has one already.
            search: how to write, for writing; its first and last token become those
                of the tokenizer. By default the likeliest token each time, and as many
                as `reading` has for a target.

        Raises:
            ValueError: if these do not fit together.
        """
        checked_model(kind, model)
        _check_sizes(kind, model, reading, len(labels) or 1)
        self.model, self.kind, self.reading = model, kind, reading
        self.labels, self.pairs = tuple(labels), pairs
        self.objective = objective or task_kind(kind).objective(model)
        self.search = _search(kind, reading, search)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """What `save_pretrained` wrote.

        Raises:
            FileNotFoundError: if the folder has no task.
            ValueError: if its files are damaged.
        """
        about = read_task(folder)
        kind, how = about["kind"], (about["length"], about["stride"])
        if kind == "writing":
            how = (*how, about["target"])
        return cls(
            _model(kind, folder),
            kind,
            FeatureSettings(load_tokenizer(folder), *how),
            about["labels"],
            about.get("pairs"),
            search=about.get("search"),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model, tokenizer and task, as transformers loads them, too."""
        folder = Path(folder)
        self.model.save_pretrained(folder)
        self.reading.tokenizer.save_pretrained(folder)
        about = {
            "kind": self.kind,
            "labels": list(self.labels),
            "pairs": self.pairs,
            "length": self.reading.length,
            "stride": self.reading.stride,
        }
        if self.kind == "regression":  # transformers would give a probability
            update_config(folder, problem_type="regression")
        if self.search is not None:
            about |= {"target": self.reading.target, "search": self.search}
            write_generation(folder, self.search, self.reading.tokenizer)
        write_task(folder, about)

    def predict(self, rows: Iterable[Any]) -> list[Any]:
        """An answer for each row, in order.

        Args:
            rows: for classification and regression texts, or pairs of texts; for
                tagging lists of words, or texts whose words stand between white space;
                for answers pairs of a question and a context; for writing texts. Rows
                of `bertcore.tasks.rows` fit, too; what they say is right is not looked
                at.

        Returns:
            `Prediction`, a number, `TaggedWords`, `FoundAnswer` or `WrittenTarget`, as
            the kind of task is.

        Raises:
            ValueError: if `rows` is one text, or a row is not what the task reads.
        """
        return list(self.stream(rows))

    def stream(self, rows: Iterable[Any], window: int = WINDOW) -> Iterator[Any]:
        """What `predict` gives, one by one, for more rows than fit into memory.

        Args:
            rows: as for `predict`.
            window: rows that are read before the first of them is answered.
        """
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise ValueError(
                f"rows is a {type(rows).__name__}; give a list, also for one row: [row]"
            )
        if window < 1:
            raise ValueError(f"window={window} rows; give 1 or more")
        return self._stream(iter(rows), window)

    def _stream(self, rows: Iterator[Any], window: int) -> Iterator[Any]:
        number = 0
        while some := list(islice(rows, window)):
            made = [
                plain_row(self.kind, number + n, row, self.pairs)
                for n, row in enumerate(some)
            ]
            yield from self._answers(made, number)
            number += len(some)

    def _answers(self, rows: list[Any], number: int) -> list[Any]:
        features = features_of(self.kind, rows, self.reading, self.labels, number)
        if self.search is not None:
            return self._said(features, self.search)
        with evaluation(self.objective), torch.inference_mode():
            scored = list(self._scored(features))
        return decoded(self.kind, rows, scored, self.labels)

    def _scored(self, features: list[Feature]) -> Iterator[tuple[Feature, Tensor]]:
        """Each feature with its scores: short ones together."""
        found: dict[int, Tensor] = {}
        for numbers in batches([feature.size for feature in features]):
            some = [features[n] for n in numbers]
            pad = self.reading.tokenizer.pad_id
            asked = objective_inputs(self.kind, some, pad)
            scores = self.objective.scores(**self._moved(asked)).float().cpu()
            sizes = [len(f.asked) if self.kind == "tagging" else 1 for f in some]
            for n, part in zip(numbers, scores.split(sizes), strict=True):
                found[n] = part
        return ((feature, found[n]) for n, feature in enumerate(features))

    def _said(self, features: list[Feature], search: Search) -> list[WrittenTarget]:
        """What is written for each: sources of about the same length together."""
        tokenizer = self.reading.tokenizer
        found: dict[int, WrittenTarget] = {}
        sizes = [(f.size + search.max_tokens) * search.beams for f in features]
        for numbers in batches(sizes, WRITING_ROOM):
            some = [(features[n].first, features[n].second) for n in numbers]
            batch = self._moved(padded(some, tokenizer.pad_id))
            written = generate(self.model, batch, search)
            for n, (ids, score, _) in zip(numbers, written, strict=True):
                found[n] = WrittenTarget(
                    tokenizer.decode(ids, skip_special_tokens=True), score
                )
        return [found[n] for n in range(len(features))]

    def _moved(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        device = next(self.model.parameters()).device
        return {name: value.to(device) for name, value in batch.items()}


def _model(kind: str, folder: str | Path) -> Pretrained:
    """That of the folder, of whatever family; what writes is of none."""
    how = task_kind(kind)
    if not how.part:
        return how.model.from_pretrained(folder)
    return load_model(folder, how.model_of)


def _check_sizes(
    kind: str, model: Pretrained, reading: FeatureSettings, wanted: int
) -> None:
    if kind not in ("answers", "writing") and model.config.num_labels != wanted:
        raise ValueError(
            f"the model has {model.config.num_labels} scores for {wanted} labels; "
            f"give num_labels={wanted}"
        )
    sizes = [("length", reading.length, "model", model.config)]
    if kind == "writing":
        sizes.append(("target", reading.target, "decoder", model.decoder.config))
    for name, length, part, config in sizes:
        if length > config.max_positions:
            raise ValueError(
                f"{name}={length}, but the {part} has {config.max_positions} "
                "positions; give at most as many"
            )


def _search(
    kind: str, reading: FeatureSettings, search: Search | None
) -> Search | None:
    """The search with the tokenizer's own ids; None for kinds that do not write."""
    if kind != "writing":
        if search is not None:
            raise ValueError(f"a search for {kind}, which writes nothing; leave it out")
        return None
    search = search or Search(max_tokens=reading.target - 1)  # [CLS] is there already
    tokenizer = reading.tokenizer
    return search.replace(start_id=tokenizer.cls_id, stop_id=tokenizer.sep_id)


def batches(sizes: Sequence[int], room: int = ROOM) -> list[list[int]]:
    """Which to compute together, as numbers: the longest first, `room` tokens at most.

    >>> batches([3, 8, 5], room=10)
    [[1], [2, 0]]
    """
    found: list[list[int]] = []
    used = room
    for number in sorted(range(len(sizes)), key=lambda n: -sizes[n]):
        if not found or used + sizes[number] > room:
            found.append([])
            used = 0
        found[-1].append(number)
        used += sizes[number]
    return found


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
    write_json(folder / TASK, about)


def update_config(folder: Path, **values: Any) -> None:
    """More values for the folder's `config.json`, which transformers reads."""
    path = folder / "config.json"
    write_json(path, {**read_json(path), **values})


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
    update_config(folder, **ids)
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
    write_json(folder / "generation_config.json", {**ids, **how})
