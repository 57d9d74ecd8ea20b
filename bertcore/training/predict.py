"""Predict: from texts to answers with a fine-tuned model (chapter 10)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from bertcore.model.inference import evaluation
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file, read_json
from bertcore.text.features import Feature, Reading, features_of
from bertcore.text.rows import KINDS
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.decode import decoded, plain_row
from bertcore.training.tasks import asked_of, task_kind

TASK = "task.json"
WINDOW = 256  # rows that are read, and held, at a time
ROOM = 4096  # tokens that are computed at once


class Predictor:
    """A fine-tuned model with all that it takes to use it.

    predictor = Predictor.from_pretrained("my-task")
    predictor.predict(["What a film!"])
    """

    def __init__(
        self,
        model: Pretrained,
        kind: str,
        reading: Reading,
        labels: Sequence[str] = (),
        pairs: bool | None = None,
        objective: nn.Module | None = None,
    ) -> None:
        """
        Args:
            model: with its head.
            kind: of the task; see `bertcore.text.rows.KINDS`.
            reading: how rows become ids.
            labels: the classes or tags, in the order of the model's scores.
            pairs: whether the texts were pairs when it learnt; the others are refused.
            objective: that of the model, if it has one already.

        Raises:
            ValueError: if these do not fit together.
        """
        found = task_kind(kind)
        if not isinstance(model, found.model):
            raise ValueError(
                f"a {type(model).__name__} cannot do {kind!r}; give a "
                f"{found.model.__name__}"
            )
        wanted = len(labels) or 1
        if kind != "answers" and model.config.num_labels != wanted:
            raise ValueError(
                f"the model has {model.config.num_labels} scores for {wanted} labels; "
                f"give num_labels={wanted}"
            )
        if reading.length > model.config.max_positions:
            raise ValueError(
                f"length={reading.length}, but the model has "
                f"{model.config.max_positions} positions; give at most as many"
            )
        self.model, self.kind, self.reading = model, kind, reading
        self.labels, self.pairs = tuple(labels), pairs
        self.objective = objective or found.objective(model)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """What `save_pretrained` wrote.

        Raises:
            FileNotFoundError: if the folder has no task.
            ValueError: if its files are damaged.
        """
        about = read_json(find_file(folder, TASK))
        if about.get("kind") not in KINDS:
            raise ValueError(
                f"{folder}/{TASK} says kind={about.get('kind')!r}; "
                f"there are {', '.join(KINDS)}"
            )
        lacking = [name for name in ("labels", "length", "stride") if name not in about]
        if lacking:
            raise ValueError(
                f"{folder}/{TASK} has no {', '.join(lacking)}; write the folder anew "
                "with save_pretrained"
            )
        model = task_kind(about["kind"]).model.from_pretrained(folder)
        tokenizer = Tokenizer.from_pretrained(folder)
        reading = Reading(tokenizer, about["length"], about["stride"])
        return cls(model, about["kind"], reading, about["labels"], about.get("pairs"))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model, tokenizer and task, as transformers loads them, too."""
        folder = Path(folder)
        self.model.save_pretrained(folder)
        self.reading.tokenizer.save_pretrained(folder)
        if self.kind == "regression":  # transformers would give a probability
            path = folder / "config.json"
            config = {**read_json(path), "problem_type": "regression"}
            path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
        about = {
            "kind": self.kind,
            "labels": list(self.labels),
            "pairs": self.pairs,
            "length": self.reading.length,
            "stride": self.reading.stride,
        }
        text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
        (folder / TASK).write_text(text, encoding="utf8", newline="\n")

    def predict(self, rows: Iterable[Any]) -> list[Any]:
        """An answer for each row, in order.

        Args:
            rows: for classification and regression texts, or pairs of texts; for
                tagging lists of words, or texts whose words stand between white space;
                for answers pairs of a question and a context. Rows of
                `bertcore.text.rows` fit, too; what they say is right is not looked at.

        Returns:
            `Guess`, a number, `Tagged` or `Found`, as the kind of task is.

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
        with evaluation(self.objective), torch.inference_mode():
            scored = list(self._scored(features))
        return decoded(self.kind, rows, scored, self.labels)

    def _scored(self, features: list[Feature]) -> Iterator[tuple[Feature, Tensor]]:
        """Each feature with its scores: short ones together."""
        device = next(self.model.parameters()).device
        found: dict[int, Tensor] = {}
        for numbers in batches([feature.size for feature in features]):
            some = [features[n] for n in numbers]
            pad = self.reading.tokenizer.pad_id
            asked = asked_of(self.kind, some, pad)
            moved = {name: value.to(device) for name, value in asked.items()}
            scores = self.objective.scores(**moved).float().cpu()
            sizes = [len(f.asked) if self.kind == "tagging" else 1 for f in some]
            for n, part in zip(numbers, scores.split(sizes), strict=True):
                found[n] = part
        return ((feature, found[n]) for n, feature in enumerate(features))


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
