"""Predictor: from texts to answers with a fine-tuned model (chapter 10)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

from torch import nn

from bertcore.files import read_json, write_json
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file, names_damage
from bertcore.tasks import KINDS, find_task
from bertcore.tasks.task import FeatureSettings, Settings
from bertcore.text.fast_tokenizer import load_tokenizer

WINDOW = 256  # rows that are read, and held, at a time
TASK = "task.json"


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
        objective: nn.Module | None = None,
        **settings: Any,
    ) -> None:
        """
        Args:
            kind: of the task, one of `bertcore.tasks.KINDS`.
            reading: how rows become ids.
            labels: the classes or tags, in the order of the model's scores.
            settings: those of the kind: for texts `pairs`, whether they were pairs
                when it learnt; for writing `search`, how to write. The others are as
                the kind has them.

        Raises:
            ValueError: if these do not fit together.
        """
        self.task = find_task(kind)
        self.task.check_model(model)
        self.task.check_fit(model, reading, labels)
        self.model, self.reading, self.labels = model, reading, tuple(labels)
        self.objective = objective or self.task.objective(
            model, pool=reading.windows or ""
        )
        self.settings = self.task.complete(settings, reading, self.labels)

    @property
    def kind(self) -> str:
        """The name of the kind of task."""
        return self.task.name

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """What `save_pretrained` wrote.

        Raises:
            FileNotFoundError: if the folder has no task.
            ValueError: if its files are damaged.
        """
        about, settings = read_task(folder)
        task = find_task(about["kind"])
        how = {name: about[name] for name in FeatureSettings._fields if name in about}
        reading = FeatureSettings(load_tokenizer(folder), **how)
        model = task.load(folder)
        return cls(model, task.name, reading, about["labels"], **settings)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model, tokenizer and task, as transformers loads them, too."""
        folder = Path(folder)
        self.model.save_pretrained(folder)
        self.reading.tokenizer.save_pretrained(folder)
        self.task.publish(folder, self)
        about = {
            "kind": self.kind,
            "labels": list(self.labels),
            "length": self.reading.length,
            "stride": self.reading.stride,
            "target": self.reading.target,
            "windows": self.reading.windows,
        }
        write_json(folder / TASK, {**about, **self.task.to_json(self.settings)})

    def predict(self, rows: Iterable[Any]) -> list[Any]:
        """An answer for each row, in order.

        Args:
            rows: for classes and numbers texts, or pairs of texts; for tagging lists
                of words, or texts whose words stand between white space; for answers
                pairs of a question and a context; for writing texts. Rows of the kind
                fit, too; what they say is right is not looked at.

        Returns:
            `Prediction`, a number, `TaggedWords`, `FoundAnswer`, `WrittenTarget` or
            what else the kind of task answers.

        Raises:
            ValueError: if `rows` is one text, or a row is not what the task reads.
        """
        return list(self.stream(rows))

    def stream(self, rows: Iterable[Any], window: int = WINDOW) -> Iterator[Any]:
        """What `predict` gives, one by one, for more rows than fit into memory.

        Args:
            window: rows that are read before the first of them is answered.
        """
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise ValueError(
                f"rows is a {type(rows).__name__}; give a list, also for one row: [row]"
            )
        if window < 1:
            raise ValueError(f"window={window} rows; give 1 or more")
        return self._stream(iter(rows), window)

    def choose(self, rows: Sequence[Any]) -> None:
        """Choose settings, such as thresholds, on rows to validate.

        Nothing happens if the kind has none to choose, or if there are no rows.
        """
        if rows and self.settings.get(self.task.chooses):
            self.settings = self.task.choose(rows, self._scored(rows, 0), self)

    def _stream(self, rows: Iterator[Any], window: int) -> Iterator[Any]:
        number = 0
        while read := unlabelled_rows(self, islice(rows, window), number):
            yield from self.task.answers(read, self._scored(read, number), self)
            number += len(read)

    def _scored(self, rows: Sequence[Any], number: int) -> list[tuple[Any, Any]]:
        """Features of rows, of which the first has this number, and what they gave."""
        features = self.task.features_of(rows, self.reading, self.labels, number)
        return list(zip(features, self.task.outputs(self, features), strict=True))


def unlabelled_rows(
    predictor: Predictor, rows: Iterable[Any], number: int = 0
) -> list[Any]:
    """Rows as a model reads them, without what is right.

    Args:
        number: of the first, for errors.

    Raises:
        ValueError: naming the row and what it should be.
    """
    unlabelled = []
    for place, row in enumerate(rows, number):
        try:
            unlabelled.append(predictor.task.unlabelled(row, predictor.settings))
        except ValueError as error:
            raise ValueError(f"row {place} is {row!r:.60}; give {error}") from error
    return unlabelled


@names_damage
def read_task(folder: str | Path) -> tuple[dict[str, Any], Settings]:
    """What a folder's task.json says, and the settings of the task.

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
    needed = ("labels", "length", "stride", *KINDS[kind].needed)
    if lacking := [name for name in needed if name not in about]:
        raise ValueError(
            f"{folder}/{TASK} has no {', '.join(lacking)}; write the folder anew with "
            "save_pretrained"
        )
    try:
        return about, KINDS[kind].from_json(about)
    except ValueError as error:
        raise ValueError(f"{folder}/{TASK}, {error}") from error
