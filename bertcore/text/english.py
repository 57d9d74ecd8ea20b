"""English: all corpora of the library together, split once for all (chapter 9).

Held out are the 60 articles of WikiText's validation split and, by a digest of its
title, one in fifty of all other documents. So a chapter that is held out is so in both
versions of the Bible, and an article in both collections of Wikipedia.
"""

from collections.abc import Iterator
from zlib import crc32

from bertcore.text.corpus import Document
from bertcore.text.library import SHELF, wikitext

ONE_IN = 50
# One book under two names.
_SAME = {"Song of Songs": "Song of Solomon"}


def english(held_out: bool = False, corpora: tuple[str, ...] = ()) -> list[Document]:
    """The documents to train on, or those that are held out.

    Args:
        held_out: which of the two.
        corpora: names of `SHELF`; by default all.

    Raises:
        FileNotFoundError: naming a corpus whose package is not installed.
        ValueError: if there is no such corpus.
    """
    unknown = [name for name in corpora if name not in SHELF]
    if unknown:
        raise ValueError(
            f"no corpus {', '.join(unknown)}; the shelf has {', '.join(SHELF)}"
        )
    corpora = corpora or tuple(SHELF)
    apart = wikitext("valid").documents if "wikitext" in corpora else []
    titles = {document.title for document in apart}
    own = list(_documents(corpora))
    if not held_out:
        return [d for d in own if not is_held_out(d.title) and d.title not in titles]
    return apart + [d for d in own if is_held_out(d.title) and d.title not in titles]


def is_held_out(title: str) -> bool:
    """Whether a document of this title is one in fifty, by a digest of the title.

    >>> sum(is_held_out(str(number)) for number in range(5000))
    99
    """
    for name, other in _SAME.items():
        title = title.replace(name, other)
    return crc32(title.encode()) % ONE_IN == 0


def _documents(corpora: tuple[str, ...]) -> Iterator[Document]:
    for name in corpora:
        yield from SHELF[name].load().documents
