"""Findings: what was unusual in texts that were read (chapter 6)."""

from dataclasses import dataclass

LONGEST_LINE = 1_000_000  # characters; a longer line is cut at white space
LONGEST_DOCUMENT = 10_000_000  # characters; a longer document is cut between lines


@dataclass
class Findings:
    """Counts of what was read and of what was unusual in it.

    Attributes:
        files: that were opened; none where the texts come from a hub.
        documents: that were handed on.
        one_line_documents: those of them that are a single line. Where a line is a
            sentence, as in Google's format, they have no next sentence.
        empty_documents: that have no text, and were left out.
        empty_files: that hold no document.
        bad_bytes: places that were not UTF-8 and became U+FFFD, the replacement
            character.
        long_lines: cuts in lines of more than `LONGEST_LINE` characters.
        long_documents: cuts in documents of more than `LONGEST_DOCUMENT` characters.

    >>> print(Findings(files=2, documents=1200, one_line_documents=1, bad_bytes=3))
    2 files, 1,200 documents, 1 document of one line, 3 bad bytes replaced
    """

    files: int = 0
    documents: int = 0
    one_line_documents: int = 0
    empty_documents: int = 0
    empty_files: int = 0
    bad_bytes: int = 0
    long_lines: int = 0
    long_documents: int = 0

    def __str__(self) -> str:
        parts = (
            (self.files, "file{s}"),
            (self.documents, "document{s}"),
            (self.one_line_documents, "document{s} of one line"),
            (self.empty_documents, "empty document{s} left out"),
            (self.empty_files, "empty file{s}"),
            (self.bad_bytes, "bad byte{s} replaced"),
            (self.long_lines, "cut{s} in enormous lines"),
            (self.long_documents, "cut{s} in enormous documents"),
        )
        said = [
            f"{count:,} {words.format(s='' if count == 1 else 's')}"
            for count, words in parts
            if count
        ]
        return ", ".join(said) or "nothing read"
