"""Novels: 100 English novels of 1839 to 1937, fetched once (chapter 9).

A benchmark corpus of stylometry, version 1.4. GitHub packs the archive anew for whoever
asks, so that its digest may change; what is checked are the texts, against the digest
of a copy of them.
"""

import os
import re
import tarfile
import zlib
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.error import URLError

from bertcore.files import new_file
from bertcore.text.corpora import Corpus
from bertcore.text.documents import Document

REPOSITORY = "github.com/computationalstylistics/100_english_novels"
COMMIT = "b94dc51e0ffcfce4e902d65b56492cf0eaaaf332"  # its README says version 1.4
ARCHIVE = f"https://{REPOSITORY}/archive/{COMMIT}.tar.gz"
DIGEST = "76b43458576a1e45ed6c1cecdf8affd290a9ce46ad58e11aa817843c4e63467b"
LICENCE = (
    "none is stated; in the public domain are in the USA novels of more than 95 years "
    "ago, and where copyright ends 70 years after death all but Forster's"
)
_NAME = re.compile(r"[A-Z]\w+_[A-Z]\w+_\d{4}\.txt")  # Dickens_Bleak_1853.txt
_REMEDY = f"give --novels a folder with them, such as a checkout of {REPOSITORY}"


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
        found = {p.name: p.read_bytes() for p in paths if _NAME.fullmatch(p.name)}
        texts = _checked(found, str(folder))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        archive = cache / "bertcore" / f"novels-{COMMIT[:12]}.tar.gz"
        texts = _unpacked(archive) if archive.is_file() else _fetched(archive)
    documents = [
        Document(name.removesuffix(".txt"), _paragraphs(text), "")
        for name, text in texts.items()
    ]
    return Corpus(documents, f"100 English Novels 1.4, {REPOSITORY}", LICENCE)


def texts_digest(texts: dict[str, str]) -> str:
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
            f"{_REMEDY}"
        )
    texts = {name: found[name].decode("utf-8-sig", "replace") for name in sorted(found)}
    if (digest := texts_digest(texts)) != DIGEST:
        raise ValueError(
            f"the {len(texts)} novels of {place} are not those of version 1.4: the "
            f"SHA-256 of their names and words is {digest}, not {DIGEST}; remove them "
            f"to fetch them again, or {_REMEDY}"
        )
    return texts


def _unpacked(archive: Path) -> dict[str, str]:
    """The texts in an archive; nothing is written to disk."""
    try:
        with tarfile.open(archive) as members:
            found = {
                PurePosixPath(member.name).name: members.extractfile(member).read()
                for member in members
                if member.isfile() and _NAME.fullmatch(PurePosixPath(member.name).name)
            }
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{archive} is damaged or cut short ({error}); remove it to fetch it "
            f"again, or {_REMEDY}"
        ) from error
    return _checked(found, str(archive))


def _fetched(archive: Path) -> dict[str, str]:
    """The texts, downloaded; the archive is kept only if they are the right ones."""
    from torch.hub import download_url_to_file  # which shows a bar

    with new_file(archive) as partial:
        try:
            download_url_to_file(ARCHIVE, str(partial))
        except (URLError, OSError) as error:
            raise FileNotFoundError(
                f"the novels cannot be fetched from {ARCHIVE} ({error}); connect to a "
                f"network, or {_REMEDY}"
            ) from error
        return _unpacked(partial)


def _paragraphs(text: str) -> str:
    """One paragraph a line; a blank line ends one."""
    parts = re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(" ".join(part.split()) for part in parts if part.split())
