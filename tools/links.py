"""Collect the links that lead out of the book: python tools/links.py

    python tools/links.py            write tools/links.txt, all of them with their pages
    python tools/links.py --online   ask each whether it is still there; exit 1 if not

A test keeps the list in step with the pages, so that a change of the list shows what
the book has come to rely on. Links inside the book are checked when it is built.
"""

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_suffix(".txt")
# An address in Markdown: in brackets, between < and >, or bare.
ADDRESS = re.compile(r"https?://(?:[^\s<>\"'`()\[\]{}\\]|\([^\s()]*\))+")
# Addresses of a machine of one's own are no links.
OWN = ("http://localhost", "http://127.0.0.1")
# Servers that refuse programs, but not readers, answer with one of these.
REFUSED = {401, 403, 405, 406, 429}
TRIES, SECONDS = 3, 20


def texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Each page's name and its Markdown, without code: of notebooks, the text cells."""
    patterns = "*.md", "*/*.md", "instructors/*/*.md", "chapters/*.ipynb"
    for path in sorted(file for each in patterns for file in root.glob(each)):
        name = path.relative_to(root).as_posix()
        if name.startswith((".", "_", "student/")):
            continue
        text = path.read_text(encoding="utf8")
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            shown = (c["source"] for c in cells if c["cell_type"] == "markdown")
            text = "\n\n".join("".join(source) for source in shown)
        yield name, without_code(text)


def without_code(markdown: str) -> str:
    """Markdown without its blocks of code; a directive's text, such as a card's, stays.

    >>> without_code("a\\n```python\\nb\\n```\\n```{note}\\nc\\n```")
    'a\\nc'
    """
    kept, fences = [], []
    for line in markdown.splitlines():
        mark = re.match(r"\s*(`{3,}|:{3,})(.*)", line)
        if mark and not mark[2].strip() and fences:
            fences.pop()
        elif mark:
            fences.append(not mark[2].startswith("{") or mark[2].startswith("{code"))
        elif not any(fences):
            kept.append(line)
    return "\n".join(kept)


def collected(repository: str, root: Path = ROOT) -> dict[str, list[str]]:
    """The addresses out of the book, each with the pages that have it.

    Args:
        repository: the project's own address, whose files other tests look for.
        root: the project's folder.
    """
    found = defaultdict(set)
    owner = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner}"
    for name, text in texts(root):
        for address in ADDRESS.findall(text):
            address = address.rstrip(".,;:!?*")
            if not address.startswith((repository, colab, *OWN)):
                found[address].add(name)
    return {address: sorted(found[address]) for address in sorted(found)}


def as_text(links: dict[str, list[str]]) -> str:
    """The list as a file: a line for each address, with the pages after it."""
    return "".join(
        f"{address}  {' '.join(pages)}\n" for address, pages in links.items()
    )


def fault(address: str) -> str | None:
    """Why a page is not there any more; None if it answers."""
    said = ""
    for attempt in range(TRIES):
        request = Request(
            address, headers={"User-Agent": "Mozilla/5.0 (links of a book)"}
        )
        try:
            with urlopen(request, timeout=SECONDS):
                return None
        except HTTPError as error:
            if error.code in REFUSED:
                return None
            said = f"status {error.code}"
            if error.code in {404, 410}:
                return said
        except (URLError, OSError) as error:
            said = str(error)
        time.sleep(2**attempt)
    return said


def main() -> int:
    """Write the list, or ask for each of its addresses; return the exit status."""
    parser = argparse.ArgumentParser(description="Links that lead out of the book.")
    parser.add_argument("--online", action="store_true", help="ask whether they answer")
    options = parser.parse_args()
    if not options.online:
        sys.path.insert(0, str(ROOT))
        from tools.sync import repository

        LIST.write_text(as_text(collected(repository())), encoding="utf8")
        return 0
    lost = 0
    for line in LIST.read_text(encoding="utf8").splitlines():
        address, _, pages = line.partition("  ")
        if said := fault(address):
            lost += 1
            print(f"{address}: {said} ({pages})", flush=True)
    print(f"{lost or 'no'} link(s) lead nowhere")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
