"""Visit every page of the built book in a browser: python -m tools.quality FOLDER

    --pages NAME ...     these pages only, such as index or chapters/03-attention
    --lighthouse         also run Lighthouse on three pages, for a desktop and a phone
    --record FILE        write what was measured, with the date, as JSON

tools/check_site.py reads the files; this looks at what a reader's browser makes of
them: contrast in light and dark, the width on a phone, what the Tab key reaches, and
what is really loaded. It prints one line for each fault; exit code 1 if there is any.
"""

import argparse
import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

# Installed there by `npm ci`; no page loads anything of it.
NODE = Path(__file__).with_name("browser")
AXE = NODE / "node_modules/axe-core/axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Compressed, before anything is asked for: about three seconds on a slow phone line.
MOST_BYTES = 1_000_000
PHONE = 390  # CSS pixels: the width of most phones sold since 2020
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TEXT = {".html", ".css", ".js", ".svg", ".json", ".xml", ".txt", ".mjs"}

# Opens all that is folded, so that what it hides is checked too.
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
CHECK = """
async (levels) => {
  const found = await axe.run(document, {
    runOnly: levels, resultTypes: ["violations"],
  });
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.flat().join(" ")}: ` +
    (node.any[0] || node.all[0] || node.none[0] || rule).message));
}
"""
WIDER = """
(width) => {
  const wide = document.documentElement.scrollWidth;
  if (wide <= width) return [];
  const scrolls = (tag) => tag && tag !== document.body &&
    (getComputedStyle(tag).overflowX !== "visible" || scrolls(tag.parentElement));
  const guilty = [...document.querySelectorAll("body *")].find((tag) =>
    tag.getBoundingClientRect().right > width + 1 && !scrolls(tag.parentElement) &&
    tag.checkVisibility({ visibilityProperty: true }));
  return [`${wide} pixels wide` + (guilty
    ? `, because of <${guilty.localName} class="${guilty.className}">: ` +
      guilty.textContent.trim().slice(0, 40) : "")];
}
"""
# What the Tab key should reach: of radio buttons with one name, one.
STOPS = """
() => {
  const groups = new Set();
  const all = [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable]"
  )].filter((tag) => {
    if (tag.disabled || tag.tabIndex < 0 || tag.type === "hidden") return false;
    if (!tag.checkVisibility({ visibilityProperty: true })) return false;
    if (tag.closest("[inert]")) return false;
    if (tag.type === "radio") {
      const group = [...document.getElementsByName(tag.name)];
      const one = group.find((each) => each.checked);
      if (one ? one !== tag : groups.has(tag.name)) return false;
      groups.add(tag.name);
    }
    return true;
  });
  window.unreached = new Set(all);
  window.unmarked = new Set();
  document.addEventListener("focusin", ({ target }) => {
    window.unreached.delete(target);
    const marks = (tag) => { const style = getComputedStyle(tag);
      return style.outlineStyle !== "none" || style.boxShadow !== "none"; };
    const near = [target, target.parentElement, ...target.children];
    if (!near.some(marks)) window.unmarked.add(target);
  });
  return all.length;
}
"""
LEFT = """
() => {
  const name = (tag) => tag.outerHTML.replace(/\\s+/g, " ").slice(0, 90);
  return [...[...window.unreached].map((tag) => `Tab does not reach ${name(tag)}`),
    ...[...window.unmarked].map((tag) => `no mark of focus on ${name(tag)}`)];
}
"""


class View(NamedTuple):
    """How a reader looks at a page."""

    name: str
    width: int
    height: int
    scheme: str


DESK = View("light", 1280, 900, "light")
VIEWS = [DESK, View("dark", 1280, 900, "dark"), View("phone", PHONE, 844, "light")]


class Finding(NamedTuple):
    """What a visit found: faults, and what the first load weighs."""

    page: str
    faults: list[str]
    bytes: int
    stops: int


class Compressed(http.server.SimpleHTTPRequestHandler):
    """Serves files as the host of the published pages does: text compressed."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Send one file, compressed where that helps."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return self.send_error(404)
        body, packed = payload(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the browser went on to the next page


@cache
def payload(path: Path) -> tuple[bytes, bool]:
    """What goes over the line for a file, and whether that is compressed."""
    body = path.read_bytes()
    packed = path.suffix in TEXT
    return (gzip.compress(body, 6) if packed else body), packed


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of the site while the block runs."""
    handler = partial(Compressed, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def installed_browser() -> str | None:
    """The path of an installed Chromium, if there is one; none is downloaded."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def flags() -> list[str]:
    """What Chromium needs where it runs as root, as in containers."""
    return ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed Chromium, closed at the end of the block.

    Raises:
        FileNotFoundError: if none is installed.
    """
    path = installed_browser()
    if path is None:
        raise FileNotFoundError(
            f"none of {', '.join(BROWSERS)} is installed; "
            "on Debian and Ubuntu: apt-get install chromium"
        )
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=flags())
        yield started
        started.close()


def visit(browser: Browser, base: str, site: Path, name: str) -> Finding:
    """Look at one page in every view, and go through it by keyboard in the first."""
    faults, weight, stops = [], 0, 0
    for view in VIEWS:
        context = browser.new_context(
            viewport={"width": view.width, "height": view.height},
            color_scheme=view.scheme,
            reduced_motion="reduce",
        )
        page, asked = context.new_page(), []
        page.set_default_timeout(120_000)  # two cores may have other work
        page.on("request", lambda request, asked=asked: asked.append(request))
        said: list[str] = []
        page.on("pageerror", lambda error, said=said: said.append(f"script: {error}"))
        page.goto(f"{base}{name}.html", wait_until="load")
        page.wait_for_load_state("networkidle")
        if view is DESK:
            faults += load_faults(asked, base)
            weight = sum(weighed(site, base, request) for request in asked)
            if weight > MOST_BYTES:
                faults.append(f"{weight} bytes compressed; at most {MOST_BYTES}")
        said += page.evaluate(WIDER, view.width)
        page.evaluate(UNFOLD)
        said += page.evaluate(WIDER, view.width)
        page.add_script_tag(path=AXE)
        said += page.evaluate(CHECK, LEVELS)
        if view is DESK:
            stops, missed = by_keyboard(page)
            said += missed
        faults += [f"{view.name}: {each}" for each in dict.fromkeys(said)]
        context.close()
    return Finding(name, faults, weight, stops)


def load_faults(asked: list[Request], base: str) -> list[str]:
    """What the page asked other hosts for, or asked for in vain."""
    faults = []
    for request in asked:
        if not request.url.startswith((base, "data:", "blob:")):
            faults.append(f"asks a foreign host for {request.url}")
        elif request.failure:
            faults.append(f"{request.url.removeprefix(base)}: {request.failure}")
        elif (answer := request.response()) and answer.status >= 400:
            faults.append(f"{request.url.removeprefix(base)}: status {answer.status}")
    return faults


def weighed(site: Path, base: str, request: Request) -> int:
    """The bytes that a request costs, compressed, without the headers."""
    if not request.url.startswith(base):
        return 0
    path = site / unquote(urlsplit(request.url).path).lstrip("/")
    return len(payload(path)[0]) if path.is_file() else 0


def by_keyboard(page: Page) -> tuple[int, list[str]]:
    """Press Tab from top to bottom: the number of stops, and what was not reached."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    stops = page.evaluate(STOPS)
    for pressed in range(stops + 20):
        page.keyboard.press("Tab")
        if pressed % 20 == 0 and not page.evaluate("window.unreached.size"):
            break
    return stops, page.evaluate(LEFT)


# Lighthouse ---------------------------------------------------------------------------

SAMPLE = ["index", "chapters/03-attention", "glossary"]
LEAST = {
    "desktop": {
        "performance": 90,
        "accessibility": 95,
        "best-practices": 95,
        "seo": 95,
    },
    "mobile": {"performance": 75, "accessibility": 95, "best-practices": 95, "seo": 95},
}


def lighthouse(address: str, form: str) -> dict[str, Any]:
    """What Lighthouse says of a page: scores out of 100, and what lost points."""
    command = [
        *["node", NODE / "node_modules/lighthouse/cli/index.js", address, "--quiet"],
        *["--output=json", "--only-categories=" + ",".join(LEAST[form])],
        "--chrome-flags=" + " ".join(["--headless=new", *flags()]),
        *(["--preset=desktop"] if form == "desktop" else []),
    ]
    environment = {**os.environ, "CHROME_PATH": installed_browser() or ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"Lighthouse on {address}: {done.stderr.strip()[-400:]}")
    report = json.loads(done.stdout)
    scores = {
        name: round(100 * category["score"])
        for name, category in report["categories"].items()
    }
    lost = [
        f"{name}: {audit['title']} {audit.get('displayValue', '')}".strip()
        for name, audit in report["audits"].items()
        if audit["score"] is not None and audit["score"] < 0.9
    ]
    return {"scores": scores, "lost": lost, "version": report["lighthouseVersion"]}


# The search ---------------------------------------------------------------------------

TERMS = "[...document.querySelectorAll('dl.glossary dt')].map((t) => t.firstChild.data)"
SEARCH = """
(terms) => terms.filter((term) => {
  const [query, ...words] = Search._parseQuery(term);
  const best = Search._performSearch(query, ...words).reverse().slice(0, 10);
  return !best.some(([page]) => page === "glossary");
})
"""


def search_faults(browser: Browser, base: str) -> tuple[int, list[str]]:
    """How many terms the glossary has, and which of them the search does not find."""
    page = browser.new_page()
    page.goto(f"{base}glossary.html")
    terms = [term.strip() for term in page.evaluate(TERMS)]
    page.goto(f"{base}search.html")
    page.wait_for_function("Search.hasIndex()")
    missed = page.evaluate(SEARCH, terms)
    page.close()
    return len(terms), [
        f"search: {term!r} does not lead to the glossary" for term in missed
    ]


# The command --------------------------------------------------------------------------


def pages_of(site: Path) -> list[str]:
    """All pages of the site, without suffix."""
    found = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    return [str(path.with_suffix("")) for path in found if path.parts[0] != "_static"]


def low_scores(scores: dict[str, Any]) -> Iterator[str]:
    """What Lighthouse gives less than it should."""
    for name, found in scores.items():
        form = name.split()[-1]
        for category, least in LEAST[form].items():
            if found["scores"][category] < least:
                yield f"Lighthouse: {name}: {category} {found['scores'][category]}"


def version(package: str) -> str:
    """The version of an installed Node package."""
    file = NODE / "node_modules" / package / "package.json"
    return json.loads(file.read_text(encoding="utf8"))["version"]


def main() -> int:
    """Print the faults and a summary; return the exit code."""
    parser = argparse.ArgumentParser(description="Visit the built book in a browser.")
    parser.add_argument("site", type=Path, help="the folder with index.html")
    parser.add_argument("--pages", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--lighthouse", action="store_true", help="on three pages, too")
    parser.add_argument("--record", type=Path, help="a JSON file for what is measured")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        parser.error(f"no book in {options.site}; make book writes one")
    if not AXE.is_file():
        parser.error(f"the checks are not installed: npm ci --prefix {NODE}")
    site, findings, scores = options.site.resolve(), [], {}
    with served(site) as base:
        with chromium() as browser:
            record = {"date": f"{date.today()}", "chromium": browser.version}
            for name in options.pages or pages_of(site):
                finding = visit(browser, base, site, name)
                findings.append(finding)
                print(f"{name}: {finding.bytes / 1000:.0f} kB, {finding.stops} stops")
                for fault in finding.faults:
                    print(f"  {fault}", flush=True)
            terms, faults = search_faults(browser, base)
        for form in LEAST if options.lighthouse else ():
            for name in SAMPLE:
                found = lighthouse(f"{base}{name}.html", form)
                scores[f"{name} {form}"] = found
                print(f"{name} {form}: {found['scores']}", flush=True)
    faults += low_scores(scores)
    print(*faults, sep="\n")
    faults += [fault for finding in findings for fault in finding.faults]
    heaviest = sorted(findings, key=lambda finding: -finding.bytes)[:5]
    record |= {
        "axe": version("axe-core"),
        "lighthouse": version("lighthouse"),
        "pages": len(findings),
        "views": [view.name for view in VIEWS],
        "faults": len(faults),
        "stops of the Tab key": sum(finding.stops for finding in findings),
        "terms found by the search": terms,
        "heaviest pages in kB": {f.page: round(f.bytes / 1000) for f in heaviest},
        "scores": {name: found["scores"] for name, found in scores.items()},
    }
    if options.record:
        options.record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
    print(f"{len(findings)} pages, {len(VIEWS)} views, {len(faults) or 'no'} fault(s)")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
