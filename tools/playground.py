"""What the scripts that cut text need from Python, written when the book is built.

Browsers know another version of Unicode than Python does. So tools/wordpiece.js
asks no browser what is punctuation or a mark; it is given Python's answers.
"""

import json
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bertcore import Tokenizer
from bertcore.sources import ENCODER
from bertcore.text.characters import split_words

SCRIPT = Path(__file__).with_suffix(".js")
WORDPIECE = SCRIPT.with_name("wordpiece.js")  # cuts the text, as the live model's does
MARK = 'class="bertcore-playground"'


@cache  # a second of work, for two scripts
def tables() -> dict[str, list[list[int]]]:
    """For each kind of character its runs of code points, each as first and last."""
    runs: dict[str, list[list[int]]] = {}
    for code in range(sys.maxunicode + 1):
        for kind in kinds(chr(code)):
            of_kind = runs.setdefault(kind, [])
            if of_kind and code == of_kind[-1][1] + 1:
                of_kind[-1][1] = code
            else:
                of_kind.append([code, code])
    return runs


def kinds(character: str) -> Iterator[str]:
    """What `split_words` does with a character, in the script's words."""
    category = unicodedata.category(character)
    found = split_words(f"a{character}a", lowercase=False)
    if found == ["aa"]:
        yield "dropped"
    elif len(found) == 3:
        symbol = category[0] == "P" or character.isascii()
        yield "punctuation" if symbol else "chinese"
    if character in "\t\n\r" or category == "Zs":
        yield "spaces"
    if character.isspace():
        yield "separators"
    if category == "Mn":
        yield "marks"


def write_data(path: Path) -> None:
    """Write the script that hands vocabulary and tables to the playground."""
    vocabulary = Tokenizer.from_pretrained(ENCODER).vocabulary
    data = {"vocabulary": vocabulary, "tables": tables()}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"bertcorePlayground.receive({text});\n", encoding="utf8")
