"""Hub: documents streamed from a data set on the Hugging Face hub (chapter 6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertcore.text.corpus import Document
from bertcore.text.files import text_documents
from bertcore.text.findings import Findings

if TYPE_CHECKING:
    from datasets import IterableDataset

_REMEDY = (
    "connect to a network, give a folder of parquet or jsonl files, or take a corpus "
    "that a package carries (bertcore.text.library)"
)


def stream(
    name_or_folder: str | Path,
    config: str | None = None,
    split: str = "train",
    field: str = "text",
    title: str | None = None,
    findings: Findings | None = None,
) -> Iterator[Document]:
    """The documents of a data set, row by row; nothing is downloaded ahead.

    Args:
        name_or_folder: on the hub, such as "wikimedia/wikipedia", or a folder of files
            as the hub keeps them.
        config: which of the data set's parts, such as "20231101.en".
        split: "train", or what else it has.
        field: the column of the text.
        title: the column of the title. Without it, a title is the name with the number
            of the row.
        findings: counts what was unusual.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config, split or column, or if the column holds
            something else than text.
    """
    rows = load(str(name_or_folder), config, split, streaming=True)
    findings = Findings() if findings is None else findings
    return _documents(rows, str(name_or_folder), field, title, findings)


def _documents(
    rows: IterableDataset,
    name: str,
    field: str,
    title: str | None,
    findings: Findings,
) -> Iterator[Document]:
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            text = _value(row, "field", field, name)
            called = f"{name}, {number}"
            if title is not None:
                called = _value(row, "title", title, name)
            yield from text_documents(text, called, findings)
    except OSError as error:
        raise FileNotFoundError(
            f"the stream of {name} broke off after {number:,} rows "
            f"({_first_line(error)}); {_REMEDY}"
        ) from error


def load(name: str, config: str | None, split: str | None, streaming: bool) -> Any:
    """What `datasets.load_dataset` gives, or one clear sentence on why it does not.

    Raises:
        FileNotFoundError: if the library datasets is missing, if there is no such data
            set, or if the hub cannot be reached.
        ValueError: if it has no such config or split.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise FileNotFoundError(
            f"{name} is read with a library that is not installed; "
            "run: pip install datasets"
        ) from error
    try:
        return load_dataset(name, config, split=split, streaming=streaming)
    except FileNotFoundError as error:  # and the library's own, which are such ones
        raise FileNotFoundError(
            f"no data set {name!r} ({_first_line(error)}); give owner/name as on the "
            "hub, or a folder of parquet or jsonl files"
        ) from error
    except OSError as error:
        raise FileNotFoundError(
            f"the hub cannot be reached for {name} ({_first_line(error)}); {_REMEDY}"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name} with config={config!r} and split={split!r}: {_first_line(error)}"
        ) from error


def _value(row: dict[str, Any], argument: str, column: str, name: str) -> str:
    value = row.get(column, 0)
    if value is not None and not isinstance(value, str):
        columns = [key for key, value in row.items() if isinstance(value, str)]
        raise ValueError(
            f"{name} has no text in a column {column!r}; there is text in "
            f"{', '.join(columns) or 'none'}: name one with {argument}="
        )
    return value or ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
