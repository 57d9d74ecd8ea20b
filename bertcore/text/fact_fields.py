"""Fact fields: what is asked about a country, and in which words (chapter 10).

The table is `fact_fields.json`. A field without questions only fills long contexts.
"""

import json
from importlib.resources import files
from typing import NamedTuple


class Field(NamedTuple):
    """A field of the World Factbook.

    Attributes:
        name: ours.
        paths: to the field in a country's file; the first that is there counts.
        questions: about it, with {} for the country; none for a filler.
        tells: the names of the fields whose questions this one might answer, too.
        first: whether the answer ends before the first semicolon.
    """

    name: str
    paths: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]
    tells: tuple[str, ...]
    first: bool = False


def _read() -> tuple[Field, ...]:
    table = files("bertcore.text").joinpath("fact_fields.json").read_text("utf8")
    return tuple(
        Field(
            entry["name"],
            tuple(map(tuple, entry["paths"])),
            tuple(entry["questions"]),
            tuple(entry["tells"]),
            entry.get("first", False),
        )
        for entry in json.loads(table)
    )


ALL_FIELDS = _read()
FIELDS = tuple(field for field in ALL_FIELDS if field.questions)
