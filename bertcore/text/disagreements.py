"""Disagreements: where public versions of BERT's tokenizer differ (chapter 1).

`disagreements.json` lists every code point, put between "a" and "b", and some strings,
on which the tokenizers library or transformers' Python version (`BasicTokenizer` and
`WordpieceTokenizer`) differ from google-research/bert. tools/disagreements.py made it.
"""

import json
from importlib.resources import files
from typing import NamedTuple


class Cause(NamedTuple):
    """Code points that a library cuts otherwise than Google's code, for one reason."""

    library: str
    lowercase: bool
    cause: str
    count: int
    ranges: list[tuple[int, int]]


class Example(NamedTuple):
    """A string, and the pieces that each implementation cuts it into."""

    text: str
    cause: str
    google: list[str]
    tokenizers: list[str]
    transformers: list[str]


class Disagreements(NamedTuple):
    """The record: versions by name, code points by cause, and strings."""

    versions: dict[str, str]
    causes: list[Cause]
    examples: list[Example]


def disagreements() -> Disagreements:
    """The record that comes with the package."""
    file = files("bertcore.text").joinpath("disagreements.json")
    content = json.loads(file.read_text(encoding="utf8"))
    causes = [
        Cause(**{
            **entry,
            "ranges": [tuple(int(end, 16) for end in ends) for ends in entry["ranges"]],
        })
        for entry in content["causes"]
    ]  # fmt: skip
    examples = [Example(**entry) for entry in content["examples"]]
    return Disagreements(content["versions"], causes, examples)
