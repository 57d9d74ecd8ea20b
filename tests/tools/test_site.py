"""What is made beside the pages: heads, cards, links, spelling, and publishing.

The pages themselves are checked when the book is built (tools/check_site.py), and by
`make quality` in a browser (tools/quality.py), of which faults made here are tests.
"""

import io
import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from docutils.core import publish_doctree
from PIL import Image
from pypdf import PdfReader

from tests.browser import chromium
from tests.conftest import ROOT
from tools import head, links, spelling
from tools.check_site import head_faults, image_faults
from tools.pdf import printed
from tools.quality import AXE, MOST_BYTES, NODE, low_scores, served, visit
from tools.student import published
from tools.sync import repository

# Heads --------------------------------------------------------------------------------


def test_a_description_passes_over_links_and_predictions() -> None:
    text = """
Title
=====

`Open this chapter in Colab, which needs nothing but a browser and patience
<https://example.org>`_

    Prediction. What do you expect of a sentence that stands in a quotation?

Question. Attention mixes tokens. There is more to say here. Why three vectors?
"""
    document = publish_doctree(text)
    assert head.description(document) == "Attention mixes tokens. Why three vectors?"


def test_a_description_is_as_long_as_a_search_engine_shows() -> None:
    for text in ("word " * 100, "A sentence of some length, to be kept whole. " * 9):
        assert head.SHORTEST <= len(head.shortened(text)) <= head.LONGEST


def test_a_card_is_of_the_size_that_networks_show(tmp_path: Path) -> None:
    path = tmp_path / "cards" / "page.png"
    head.draw_card(path, "A Book", "3 · A title that is long " * 4, "Some text. " * 20)
    with Image.open(path) as image:
        assert image.size == head.CARD
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert path.stat().st_size < 100_000


def test_the_book_has_one_address() -> None:
    assert published(repository()).startswith("https://")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert citation.get("url", published(repository())) == published(repository())


HEAD = """<!doctype html><html lang="en"><head>
<meta name="description" content="A page with a description of some length.">
<meta property="og:url" content="https://a.org/b/about.html">
<meta property="og:image" content="https://a.org/b/_cards/about.png">
<link rel="canonical" href="https://a.org/b/about.html">
<script>DOCUMENTATION_OPTIONS.pagename = 'about';</script></head><body>
<a class="btn-source-edit-button" href="https://github.com/a/b/edit/main/about.md">E</a>
<img src="a.png" alt="A picture of two bars, the first higher.">
<svg role="img" aria-label="Twelve layers; the norm falls in each."></svg></body>"""


@pytest.mark.parametrize(
    "right, wrong, fault",
    [
        ("of some length.", "", ""),
        ("A page with a description of some length.", "Short.", "no description"),
        ('canonical" href="https://a', 'canonical" href="https://c', "no address"),
        ("_cards/about.png", "_cards/other.png", "a card that is not there"),
        ("edit/main/about.md", "edit/main/abut.md", "a link to edit what is not there"),
        ("A picture of two bars, the first higher.", "two bars", "no sentence"),
        ("Twelve layers; the norm falls in each.", "twelve layers fall", "no sentence"),
    ],
)
def test_what_a_head_or_a_picture_lacks_is_found(
    tmp_path: Path, right: str, wrong: str, fault: str
) -> None:
    (tmp_path / "_cards").mkdir()
    (tmp_path / "_cards" / "about.png").write_bytes(b"")
    assert right in HEAD
    page = BeautifulSoup(HEAD.replace(right, wrong), "html.parser")
    found = [*head_faults(tmp_path, page), *image_faults(page)]
    assert len(found) == bool(fault)
    assert not found or fault in found[0]


# Links --------------------------------------------------------------------------------


def test_the_list_of_links_is_that_of_the_pages() -> None:
    listed = links.LIST.read_text(encoding="utf8")
    assert listed == links.as_text(links.collected(repository())), "run make sync"


def test_links_are_found_in_text_and_not_in_code(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "[a](https://a.org/x_(y)), <https://b.org>. See https://c.org/d.\n"
        "[ours](https://github.com/we/it/blob/main/x)\n```\nhttps://code.org\n```\n",
        encoding="utf8",
    )
    found = links.collected("https://github.com/we/it", tmp_path)
    assert list(found) == ["https://a.org/x_(y)", "https://b.org", "https://c.org/d"]


# Spelling -----------------------------------------------------------------------------


def test_words_are_spelt_right() -> None:
    found = spelling.unknown()
    assert not found, (
        "mend them, or read them and run python -m tools.spelling --accept"
    )
    assert not spelling.american()


def test_a_wrong_word_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "We recieve `teh code` $teh$ from *teh* BERT's optimiser, and the color."
    monkeypatch.setattr(spelling, "texts", lambda: [("page", text)])
    assert spelling.unknown() == {"recieve": {"page"}}
    assert spelling.american() == {"color": {"page"}}


def test_the_list_of_words_is_in_order() -> None:
    words = spelling.LIST.read_text(encoding="utf8").split()
    assert words == sorted(set(words))


# In a browser -------------------------------------------------------------------------

FAULTS = f"""<!doctype html><html lang="en"><title>Faults</title><main>
<p style="color: #bbb; background: #fff">Hardly to be read.</p>
<p style="width: 900px">Wider than a phone.</p>
<div id="trap"><button id="first" style="outline: none">Leads back</button></div>
<a href="#">Never reached</a>
<script>
  trap.addEventListener("keydown", (event) => event.preventDefault());
  fetch("missing.txt"); fetch("http://foreign.invalid/x").catch(() => {{}});
</script>
<!-- {"heavy " * 20} --></main></html>
"""


def test_faults_of_a_page_are_found(tmp_path: Path) -> None:
    if not AXE.is_file():
        pytest.skip(f"axe is not installed: npm ci --prefix {NODE}")
    (tmp_path / "faults.html").write_text(FAULTS, encoding="utf8")
    (tmp_path / "sound.html").write_text(
        '<!doctype html><html lang="en"><title>Sound</title><main><h1>Sound</h1>'
        '<p><a href="#">A link</a> in a text.</p></main></html>',
        encoding="utf8",
    )
    with served(tmp_path) as base, chromium() as browser:
        sound = visit(browser, base, tmp_path, "sound")
        found = visit(browser, base, tmp_path, "faults")
    assert not sound.faults and sound.stops == 1 and 0 < sound.bytes < 300
    said = "\n".join(found.faults)
    for wanted in (
        "light: color-contrast", "phone: color-contrast", "phone: 9\\d\\d pixels wide",
        "Tab does not reach <a", "no mark of focus on <button",
        "missing.txt: status 404",
        "asks a foreign host for http://foreign.invalid/x",
    ):  # fmt: skip
        assert re.search(wanted, said), f"{wanted} not in {said}"


def test_the_style_sheet_is_closed() -> None:
    """A brace that a merge lost would silence all rules after it."""
    css = (ROOT / "_static" / "custom.css").read_text(encoding="utf8")
    depth = 0
    for brace in re.findall(r"[{}]", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        depth += 1 if brace == "{" else -1
        assert 0 <= depth <= 2
    assert depth == 0


def test_a_printed_page_is_whole_and_leads_on(tmp_path: Path) -> None:
    """What is folded on the screen is on the paper, long lines are whole."""
    css = (ROOT / "_static" / "custom.css").read_text(encoding="utf8")
    (tmp_path / "page.html").write_text(
        f'<!doctype html><html lang="en"><title>Page</title><style>{css}</style>'
        '<article class="bd-article"><a href="other.html">on</a><details><summary>S'
        '</summary>folded away</details><div class="highlight"><pre>'
        f"{'long ' * 60}end</pre></div></article></html>",
        encoding="utf8",
    )
    with chromium() as browser:
        body = printed(browser, tmp_path, "https://a.org/b/", "page")
    (page,) = PdfReader(io.BytesIO(body)).pages
    text = page.extract_text()
    assert "folded away" in text and text.count("long") == 60 and "end" in text
    links_out = [note.get_object()["/A"]["/URI"] for note in page["/Annots"]]
    assert links_out == ["https://a.org/b/other.html"]


def test_a_low_score_is_a_fault() -> None:
    scores = {"performance": 80, "accessibility": 100, "best-practices": 95, "seo": 94}
    found = {f"index {form}": {"scores": scores} for form in ("desktop", "mobile")}
    assert list(low_scores(found)) == [
        "Lighthouse: index desktop: performance 80",
        "Lighthouse: index desktop: seo 94",
        "Lighthouse: index mobile: seo 94",
    ]
    assert MOST_BYTES <= 1_000_000


# Workflows ----------------------------------------------------------------------------

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_make_and_may_do_little(path: Path) -> None:
    text = path.read_text(encoding="utf8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}, "what a job may do, the job says"
    for used in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE
    )
    for name, job in workflow["jobs"].items():
        assert job["permissions"] and job["timeout-minutes"], name
        writes = {each for each, may in job["permissions"].items() if may == "write"}
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        assert not writes or "make" not in commands, f"{name} builds and may write"
        assert "${{" not in commands, f"{name}: hand it over as a variable"
        for line in re.findall(r"make ([a-z -]+)(?: [A-Z]|$)", commands, re.MULTILINE):
            assert set(line.split()) <= set(targets), line


def test_publishing_waits_for_the_checks() -> None:
    """What goes out was built, tested and visited by the run that publishes it."""
    text = (ROOT / ".github/workflows/publish.yml").read_text(encoding="utf8")
    jobs = yaml.safe_load(text)["jobs"]
    others = [job["needs"] for name, job in jobs.items() if name != "build"]
    assert others == ["build"] * 3
    commands = [step.get("run", "") for step in jobs["build"]["steps"]]
    visited = "make visit SITE=_build/release/site"
    order = [commands.index(each) for each in ("make test", "make release", visited)]
    assert order == sorted(order)
