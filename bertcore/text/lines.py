"""Lines: the lines of a text file, compressed or not, of any size (chapter 6).

A line ends where `str.splitlines` ends one: at a line feed, a carriage return, both
together, U+2028 and the rarer ones, in any mixture.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from bertcore.sources import decoded
from bertcore.text.findings import LONGEST_LINE, Findings

OPENERS: dict[str, Callable] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BAD_BYTES = ("refuse", "replace")
_CHUNK = 1 << 18  # bytes read at a time


def read_lines(
    path: Path, findings: Findings, bad_bytes: str = "refuse"
) -> Iterator[str]:
    """The lines of a file in UTF-8, without their ends; a byte order mark is dropped.

    A line of more than `LONGEST_LINE` characters comes in pieces, cut at white space
    where there is any; so a file of any size takes a few megabytes.

    Args:
        path: of the file; the ending .gz, .bz2 or .xz says how it is compressed.
        findings: counts the cuts and the bad bytes.
        bad_bytes: "refuse" them, or "replace" each by U+FFFD.

    Raises:
        ValueError: naming the file, where a byte is not UTF-8 or the compressed data
            are damaged.
    """
    rest = ""
    for text in read_text(path, findings, bad_bytes):
        *lines, rest = (rest + text).splitlines(keepends=True) or [""]
        yield from cut_lines(lines, findings)
        *pieces, rest = _pieces(rest, findings)  # the last line may go on
        yield from pieces
    yield from cut_lines([rest] if rest else [], findings)


def cut_lines(lines: Iterable[str], findings: Findings) -> Iterator[str]:
    """Lines without their ends, the enormous ones in pieces."""
    for line in lines:
        *pieces, last = _pieces(line, findings)
        yield from pieces
        yield last.rstrip()


def read_text(path: Path, findings: Findings, bad_bytes: str) -> Iterator[str]:
    """The text of a file in stretches of about 256 KB, as `read_lines` reads it."""
    position, rest = 0, b""
    for content in _read(path):
        content = rest + content
        end = _whole(content)
        yield _decoded(content[:end], path, position, findings, bad_bytes)
        position, rest = position + end, content[end:]
    if rest:
        yield _decoded(rest, path, position, findings, bad_bytes)


def fitting(text: str, size: int) -> str:
    """The beginning of a text, of `size` characters or less, that ends between words.

    >>> fitting("one two three", 9)
    'one two'
    """
    start = text[:size]
    if len(text) <= size or text[size].isspace():
        return start
    words = start.rsplit(None, 1)
    return words[0] if len(words) == 2 else start


def _pieces(line: str, findings: Findings) -> Iterator[str]:
    """An enormous line in pieces, other lines whole; only the last keeps its end."""
    while len(line.rstrip()) > LONGEST_LINE:
        piece = fitting(line, LONGEST_LINE)
        line = line[len(piece) :]
        findings.long_lines += 1
        if piece.strip():
            yield piece
    yield line


def _read(path: Path) -> Iterator[bytes]:
    """The bytes of a file, decompressed; ValueError where the data are damaged."""
    size = 0
    opener = OPENERS.get(path.suffix.lower())
    with opener(path) if opener else path.open("rb") as file:
        while content := _read_some(file, path, size):
            size += len(content)
            yield content


def _read_some(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return file.read(_CHUNK)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's fault, not the data's
        raise ValueError(
            f"{path} is damaged or cut short after about {size:,} bytes of text "
            f"({error}); fetch the file again"
        ) from error


def _whole(content: bytes) -> int:
    """How many bytes there are before a last character that is not all there."""
    for back in range(1, min(3, len(content)) + 1):
        byte = content[-back]
        if byte & 0b1100_0000 != 0b1000_0000:  # a character begins here
            needed = 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
            return len(content) - back if needed > back else len(content)
    return len(content)


def _decoded(
    content: bytes, path: Path, position: int, findings: Findings, bad_bytes: str
) -> str:
    if bad_bytes == "refuse":
        try:
            return decoded(content, path, position)
        except ValueError as error:
            raise ValueError(f'{error}, or read it with bad_bytes="replace"') from error
    text = content.decode("utf8", errors="replace")
    findings.bad_bytes += text.count("\ufffd") - content.count("\ufffd".encode())
    return text if position else text.removeprefix("\ufeff")
