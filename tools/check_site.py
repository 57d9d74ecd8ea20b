"""Check the built book: python tools/check_site.py _build/html

Sphinx says what is wrong with the sources; this says what is wrong with the pages: one
line for each fault, and exit code 1 if there is any.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

# What a browser loads without a click. <link> also names pages, so it has a list.
LOADING = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
NAMING_LINKS = {"canonical", "alternate", "license", "author", "next", "prev", "search"}
CSS_ADDRESS = re.compile(r"(?:@import\s+|url\()\s*[\"']?([^\"')\s;]+)", re.IGNORECASE)
# Begins like one, has some words, and ends like one.
SENTENCE = re.compile(r"(?=(?:\S+\s+){3})[^a-z].*[.?!][”\")]?", re.DOTALL)
FILE_NAME = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)", re.IGNORECASE)

ROOT = Path(__file__).resolve().parent.parent


def faults(site: Path, toc: Path) -> list[str]:
    """Return one line for each fault of the pages under `site`.

    Args:
        site: the folder of HTML that Jupyter Book wrote.
        toc: the book's _toc.yml; each page that it names must be there.
    """
    site = site.resolve()
    pages = {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
    }
    found = list(missing_pages(site, toc, pages))
    anchors = {path: names(page) for path, page in pages.items()}
    for path, page in pages.items():
        where = path.relative_to(site).as_posix()
        for fault in (
            *page_faults(page),
            *head_faults(site, page),
            *image_faults(page),
            *foreign_loads(page),
            *live_faults(site, page),
            *link_faults(site, path, page, anchors),
            *(chapter_faults(page) if path.parent.name == "chapters" else ()),
        ):
            found.append(f"{where}: {fault}")
    for path in sorted(site.rglob("*.css")):
        where = path.relative_to(site).as_posix()
        for address in CSS_ADDRESS.findall(path.read_text(encoding="utf-8")):
            if is_foreign(address):
                found.append(f"{where}: loads {address} from a foreign host")
    return found


def missing_pages(
    site: Path, toc: Path, pages: dict[Path, BeautifulSoup]
) -> Iterator[str]:
    """Yield the pages of the table of contents that are absent or have no text."""
    for name in toc_files(yaml.safe_load(toc.read_text(encoding="utf-8"))):
        page = pages.get(site / f"{name}.html")
        if page is None:
            yield f"{name}.html: in {toc.name}, but not in the site"
        elif not (article := page.find("article")) or not article.get_text(strip=True):
            yield f"{name}.html: empty"


def toc_files(part: object) -> Iterator[str]:
    """Yield the pages, without suffix, that a part of the table of contents names."""
    if isinstance(part, list):
        for entry in part:
            yield from toc_files(entry)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in {"root", "file"}:
                yield str(value).removesuffix(".ipynb").removesuffix(".md")
            else:
                yield from toc_files(value)


def page_faults(page: BeautifulSoup) -> Iterator[str]:
    """Yield what is wrong with a page as a whole."""
    if not page.title or not page.title.get_text(strip=True):
        yield "no title"
    if not page.html or not page.html.get("lang"):
        yield "no language"
    if not page.find("link", rel="icon"):
        yield "no icon, so that every visit asks for a file that is not there"
    if page.select(".output.traceback") or "Traceback (most recent" in page.get_text():
        yield "shows a Python traceback"
    for mark in page.select(".problematic, .system-message, merror"):
        yield f"shows source that was not understood: {mark.get_text()[:60]}"
    for text in page.select("article p"):
        if re.match(r"\|.*\| [-–—]+ \|", text.get_text(" ", strip=True)):
            yield f"a table left as text: {text.get_text()[:60]}"
    for maths in page.select("span.math"):
        yield f"maths left as TeX, as the theme does to headings: {maths.get_text()}"


def head_faults(site: Path, page: BeautifulSoup) -> Iterator[str]:
    """Yield what search engines and messengers miss, and links that edit nothing."""
    said = {
        str(tag.get("name") or tag.get("property")): str(tag.get("content", ""))
        for tag in page.find_all("meta")
    }
    if not 20 < len(said.get("description", "")) <= 200:
        yield f"no description of a fitting length: {said.get('description')!r}"
    if "noindex" in said.get("robots", ""):
        return
    address = page.find("link", rel="canonical")
    if not address or address.get("href") != said.get("og:url"):
        yield "no address of its own, or another than its card says"
        return
    base = str(address["href"]).removesuffix(where_of(page))
    card = said.get("og:image", "")
    if not card.startswith(base) or not (site / card.removeprefix(base)).is_file():
        yield f"a card that is not there: {card}"
    edit = page.find("a", class_="btn-source-edit-button")
    file = re.sub(r".*?/edit/[^/]+/", "", str(edit["href"])) if edit else ""
    if not (ROOT / file).is_file():
        yield f"a link to edit what is not there: {file or 'none'}"


def where_of(page: BeautifulSoup) -> str:
    """The page's own path, as the theme's script is told."""
    found = re.search(r"pagename = '([^']+)'", str(page.head))
    return f"{found[1]}.html" if found else ""


def image_faults(page: BeautifulSoup) -> Iterator[str]:
    """Yield the pictures that a screen reader cannot name, or names by no sentence."""
    for image in page.find_all("img"):
        source, alt = str(image.get("src", "")), image.get("alt")
        if alt is None:
            yield f"image without alt text: {source}"
        elif FILE_NAME.fullmatch(str(alt).strip()) or alt == Path(source).stem:
            yield f"image whose alt text is its file name: {alt}"
        elif alt and not SENTENCE.fullmatch(str(alt).strip()):
            yield f"image whose alt text is no sentence: {alt}"
    for picture in page.find_all("svg", role="img"):
        title = picture.find("title")
        said = str(picture.get("aria-label") or (title.get_text() if title else ""))
        if not SENTENCE.fullmatch(said.strip()):
            yield f"svg whose label is no sentence: {said or str(picture)[:60]}"


def foreign_loads(page: BeautifulSoup) -> Iterator[str]:
    """Yield what a browser would load from a foreign host."""
    for tag in page.find_all([*LOADING, "link"]):
        if tag.name == "link":
            names_page = NAMING_LINKS & set(tag.get("rel", []))
            addresses = [] if names_page else [str(tag.get("href", ""))]
        else:
            values = [str(tag.get(name, "")) for name in LOADING[tag.name]]
            addresses = re.split(r",\s+|\s+", " ".join(values))
        for address in filter(is_foreign, addresses):
            yield f"<{tag.name}> loads {address} from a foreign host"
    styles = [tag.get_text() for tag in page.find_all("style")]
    styles += [str(tag["style"]) for tag in page.find_all(style=True)]
    for address in filter(is_foreign, CSS_ADDRESS.findall("\n".join(styles))):
        yield f"style loads {address} from a foreign host"


def live_faults(site: Path, page: BeautifulSoup) -> Iterator[str]:
    """Yield what is wrong with the model that a page loads when it is asked to."""
    for name in sorted(
        {str(tag["data-manifest"]) for tag in page.select("[data-manifest]")}
    ):
        manifest = site / "_static" / name
        if not manifest.is_file():
            yield f"a manifest that is not there: {name}"
            continue
        described = json.loads(manifest.read_text(encoding="utf-8"))
        weights = manifest.with_name(described["weights"])
        if not weights.is_file():
            yield f"weights that are not there: {weights.name}"
        elif hashlib.sha256(weights.read_bytes()).hexdigest() != described["sha256"]:
            yield f"weights of another digest than the manifest's: {weights.name}"


def link_faults(
    site: Path, path: Path, page: BeautifulSoup, anchors: dict[Path, set[str]]
) -> Iterator[str]:
    """Yield the links to files and anchors that do not exist."""
    for tag in page.find_all(["a", "link", "script", "img"]):
        address = str(tag.get("href") or tag.get("src") or "")
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not address:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        anchor = unquote(parts.fragment)
        if not target.is_relative_to(site):
            yield f"link out of the site: {address}"
        elif not target.exists():
            yield f"link to nothing: {address}"
        elif anchor and target in anchors and anchor not in anchors[target]:
            yield f"link to an anchor that is not there: {address}"


def chapter_faults(page: BeautifulSoup) -> Iterator[str]:
    """Yield what the build should have added to a chapter and has not."""
    wanted = {
        ".course-map.strip [aria-current=page]": "map that says where you are",
        "#quiz .quiz": "quiz",
        ".chapter-end .verified": "date on which its cells ran",
    }
    for selector, what in wanted.items():
        if not page.select(selector):
            yield f"no {what}"


def names(page: BeautifulSoup) -> set[str]:
    """Return all names that a link into the page may use."""
    tags: list[Tag] = page.find_all(lambda tag: tag.get("id") or tag.get("name"))
    return {str(tag[key]) for tag in tags for key in ("id", "name") if tag.get(key)}


def is_foreign(address: str) -> bool:
    """Whether an address names a host (data and relative addresses do not)."""
    return bool(urlsplit(address).netloc)


def digest(site: Path, *others: Path) -> str:
    """Return a digest of all that a check depends on: names and bytes."""
    found = hashlib.sha256()
    for path in [*others, *sorted(site.rglob("*"))]:
        if path.is_file():
            found.update(f"{path}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def main() -> int:
    """Print the faults and a summary; return the exit code."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    site, toc = Path(sys.argv[1]), ROOT / "_toc.yml"
    # To read the pages takes ten seconds, so what was found sound is not read again.
    sound, now = site.parent / "sound", digest(site, toc, Path(__file__))
    unchanged = sound.is_file() and sound.read_text(encoding="utf-8") == now
    found = [] if unchanged else faults(site, toc)
    if not found:
        sound.write_text(now, encoding="utf-8")
    for fault in found:
        print(fault)
    pages = sum("_static" not in path.parts for path in site.rglob("*.html"))
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    print(f"{pages} pages, {size:.1f} MB, {len(found) or 'no'} fault(s)")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
