"""Print the built book: python -m tools.pdf FOLDER FILE

An installed Chromium prints each page with the book's style sheet for paper, and the
pages are joined in reading order, with an outline. Addresses in it are those of the
published book, because paper has no folder that a link could lead to.
"""

import argparse
import io
import mimetypes
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from playwright.sync_api import Browser, Route
from pypdf import PdfReader, PdfWriter

from tools.check_site import toc_files
from tools.quality import chromium
from tools.student import published
from tools.sync import ROOT, repository

MARGINS = {"top": "16mm", "bottom": "16mm", "left": "16mm", "right": "16mm"}
FOOTER = (
    '<div style="width: 100%; font: 8px sans-serif; text-align: center; color: #555">'
    '<span class="title"></span> · <span class="pageNumber"></span></div>'
)


def printed(browser: Browser, site: Path, address: str, name: str) -> bytes:
    """One page as a PDF; whatever the page asks for comes from `site`."""

    def answer(route: Route) -> None:
        path = unquote(urlsplit(route.request.url).path)
        file = site / path.removeprefix(urlsplit(address).path)
        if not route.request.url.startswith(address) or not file.is_file():
            return route.abort()
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        route.fulfill(body=file.read_bytes(), content_type=kind)

    page = browser.new_page(color_scheme="light")
    page.set_default_timeout(120_000)
    page.route("**/*", answer)
    page.goto(f"{address}{name}.html")
    page.wait_for_load_state("networkidle")
    body = page.pdf(
        format="A4",
        margin=MARGINS,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        tagged=True,
        outline=True,
    )
    page.close()
    return body


def main() -> int:
    """Print all pages of the table of contents into one file."""
    parser = argparse.ArgumentParser(description="Print the built book.")
    parser.add_argument("site", type=Path, help="the folder with index.html")
    parser.add_argument("file", type=Path, help="the PDF to write")
    parser.add_argument("--pages", nargs="+", metavar="NAME", help="these alone")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        parser.error(f"no book in {options.site}; make book writes one")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    address, book = published(repository()), PdfWriter()
    with chromium() as browser:
        for name in options.pages or toc_files(toc):
            body = printed(browser, options.site.resolve(), address, name)
            book.append(PdfReader(io.BytesIO(body)))
            print(f"{name}: {len(book.pages)} pages so far", flush=True)
    book.add_metadata({"/Title": "BERT from Scratch"})
    book.compress_identical_objects()
    book.write(options.file)
    print(f"{options.file}: {options.file.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
