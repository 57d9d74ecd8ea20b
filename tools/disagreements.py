"""Record where the public versions of BERT's tokenizer differ: a few minutes.

    python -m tools.disagreements        rewrite bertcore/text/disagreements.json

The record lists every code point, put between "a" and "b", and some strings.
The reference is Google's own code. Compared with it are the Rust library `tokenizers`
and the Python version in `transformers`. The record depends on the Unicode version of
Python and on both libraries, so it names them.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import BertWordPieceTokenizer
from transformers.models.bert.tokenization_bert_legacy import (
    BasicTokenizer,
    WordpieceTokenizer,
)

from bertcore import Tokenizer
from bertcore.sources import ENCODER
from tests.google import GoogleTokenizer

RECORD = Path(__file__).parent.parent / "bertcore" / "text" / "disagreements.json"
PRIVATE = "private use: dropped, where Google keeps them"
UNASSIGNED = "not assigned in this Unicode version: dropped, where Google keeps them"
COMPOSED = "composed with the letter before, or replaced by its canonical form (NFC)"
EXTENSION_E = "the first 256 of CJK extension E: not set apart as Chinese characters"
TABLES = "tables of another Unicode version: marks, punctuation, case"
EXAMPLES = {
    "[CLS] is no word": "a special token in the text: the libraries let it through",
    "x" * 101: "a word of 101 to 200 characters: [UNK] in both libraries",
    "ΟΔΥΣΣΕΥΣ": "a capital sigma at the end of a word: ς in Python, σ in the library",
    "a\ue000b": PRIVATE,
    "a\U0002b820b": EXTENSION_E,
    "what\u061dnow": TABLES,
}

Cut = Callable[[str], list[str]]


def every_code_point() -> Iterable[int]:
    """All of Unicode but the halves of surrogate pairs, which are no characters."""
    return chain(range(0xD800), range(0xE000, 0x110000))


def pre_tokenizers(lowercase: bool) -> dict[str, Cut]:
    """What cuts a text into words: Google's, the library's, transformers'."""
    library = BertWordPieceTokenizer(lowercase=lowercase, strip_accents=lowercase)
    google = GoogleTokenizer([], lowercase).basic

    def rust(text: str) -> list[str]:
        normal = library.normalizer.normalize_str(text)
        return [word for word, _ in library.pre_tokenizer.pre_tokenize_str(normal)]

    return {
        "google": google.tokenize,
        "tokenizers": rust,
        "transformers": BasicTokenizer(do_lower_case=lowercase).tokenize,
    }


def differing_code_points(
    lowercase: bool, others: Mapping[str, Cut] | None = None
) -> dict[tuple[str, str], list[int]]:
    """Code points by library and cause; `others` are compared with Google's too."""
    cuts = pre_tokenizers(lowercase) | dict(others or {})
    google = cuts.pop("google")
    found = defaultdict(list)
    for code in every_code_point():
        text = f"a{chr(code)}b"
        expected = google(text)
        for library, cut in cuts.items():
            words = cut(text)
            if words != expected:
                found[library, cause(library, code, words, google)].append(code)
    return found


def cause(library: str, code: int, words: list[str], google: Cut) -> str:
    """Why a library cuts otherwise than Google's code, as far as we know."""
    category = unicodedata.category(chr(code))
    if category == "Co":
        return PRIVATE
    if library == "transformers":
        if category == "Cn":
            return UNASSIGNED
        composed = unicodedata.normalize("NFC", f"a{chr(code)}b")
        return COMPOSED if google(composed) == words else "unknown"
    if category == "Lo" and 0x2B820 <= code < 0x2B920:
        return EXTENSION_E
    return TABLES


def ranges(codes: Iterable[int]) -> list[tuple[str, str]]:
    """Runs of code points, each as its first and last in hexadecimal."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return [(f"{first:04x}", f"{last:04x}") for first, last in runs]


def examples() -> list[dict[str, Any]]:
    """The strings of EXAMPLES, cut by all three with BERT's vocabulary."""
    vocabulary = Tokenizer.from_pretrained(ENCODER).vocabulary
    ids = {piece: id for id, piece in enumerate(vocabulary)}
    google = GoogleTokenizer(vocabulary)
    library = BertWordPieceTokenizer(ids)
    basic = BasicTokenizer(never_split=["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"])
    wordpiece = WordpieceTokenizer(ids, unk_token="[UNK]")
    found = []
    for text, why in EXAMPLES.items():
        cut = {
            "google": [vocabulary[id] for id in google.ids(text)],
            "tokenizers": library.encode(text, add_special_tokens=False).tokens,
            "transformers": [
                piece for word in basic.tokenize(text)
                for piece in ([word] if word in basic.never_split
                              else wordpiece.tokenize(word))
            ],
        }  # fmt: skip
        found.append({"text": text, "cause": why, **cut})
    return found


def record() -> dict[str, Any]:
    """The whole record, as it stands in the file."""
    causes = [
        {"library": library, "lowercase": lowercase, "cause": why,
         "count": len(codes), "ranges": ranges(codes)}
        for lowercase in (True, False)
        for (library, why), codes in sorted(differing_code_points(lowercase).items())
    ]  # fmt: skip
    return {"versions": versions(), "causes": causes, "examples": examples()}


def versions() -> dict[str, str]:
    """What the record depends on."""
    names = ("bert-tensorflow", "tokenizers", "transformers")
    return {"unicode": unicodedata.unidata_version, **{n: version(n) for n in names}}


def as_text(content: dict[str, Any]) -> str:
    """JSON with one entry a line."""
    parts = [f' "versions": {json.dumps(content["versions"])}']
    for name in ("causes", "examples"):
        lines = ",\n".join(f"  {json.dumps(entry)}" for entry in content[name])
        parts.append(f' "{name}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    RECORD.write_text(as_text(record()), encoding="utf8")
    print(f"{RECORD}: written")
