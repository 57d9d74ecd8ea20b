"""The live model computes in a real browser what Python does, and is easy to use."""

import hashlib
import http.server
import json
import re
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.model.inference import attention_weights
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions
from bertcore.training.scoring import score_texts
from tests.browser import chromium
from tests.text.test_reference import fuzz, translations
from tests.text.test_wordpiece import NASTY
from tools import live, pages
from tools.check_site import live_faults
from tools.serve import Quiet

GAP = "A sentence with a gap"
OWN = "A sentence of your own"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def model() -> BertForMaskedLM:
    """With the weights that the browser has."""
    return live.rounded_model()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained(OUR_MODEL)


class Site(NamedTuple):
    """A folder that is served, and where."""

    folder: Path
    url: str

    def file(self, ending: str) -> Path:
        """The manifest (json) or the weights (bin)."""
        (found,) = self.folder.glob(f"{live.NAME}-*.{ending}")
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page as the book has it, without the theme, served from this machine."""
    folder: Path = tmp_path_factory.mktemp("live")
    live.write_page(folder)
    handler = partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, f"http://localhost:{server.server_port}/index.html")
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def opened(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """The page in a browser that knows nothing; no script may fail in it."""
    context = browser.new_context(**options)
    context.set_default_timeout(90_000)  # a machine may have much else to do
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(site.url)
    yield page
    context.close()
    assert not faults


@pytest.fixture(scope="module")
def loaded(browser: Browser, site: Site) -> Iterator[Page]:
    with opened(browser, site) as page:
        page.get_by_role("button", name="Load the model").click()
        page.get_by_role("button", name="The model is loaded").wait_for()
        yield page


def part(page: Page, number: int) -> Locator:
    """Of the page: 0 to load, 1 to fill, 2 attention, 3 to compare."""
    return page.locator(".bertcore-live").nth(number)


def answer(page: Page, number: int, name: str, *texts: str) -> str:
    """What is said after the texts are typed and the button is pressed by keyboard."""
    status = part(page, number).get_by_role("status").first
    status.evaluate("status => (status.textContent = '')")
    fields = part(page, number).get_by_role("textbox").all()
    for field, text in zip(fields, texts, strict=True):
        field.fill(text)
    part(page, number).get_by_role("button", name=name).focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "status => status.textContent && !status.textContent.includes('first …')",
        arg=status.element_handle(),
    )
    return status.inner_text()


def guesses(page: Page) -> list[list[tuple[str, float]]]:
    """For each gap the pieces with their percentages, as the tables show them."""
    found = part(page, 1).locator("tbody").evaluate_all(
        "bodies => bodies.map((body) => [...body.rows].map((row) => "
        "[row.cells[0].innerText, parseFloat(row.cells[1].innerText)]))"
    )  # fmt: skip
    return [[(piece, share) for piece, share in gap] for gap in found]


# The weights ------------------------------------------------------------------------


def test_a_row_is_off_by_half_a_step_at_most() -> None:
    matrix = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    matrix[2] = 0
    values, scales = live.quantise(matrix)
    assert values.dtype == torch.int8 and values.abs().amax(1).tolist() == [
        *[127] * 2, 0, *[127] * 2
    ]  # fmt: skip
    error = (values * scales[:, None] - matrix).abs()
    assert (error <= scales[:, None] * 0.5001).all()


def test_what_is_exported_is_the_whole_model(
    site: Site, model: BertForMaskedLM
) -> None:
    manifest = json.loads(site.file("json").read_text(encoding="utf8"))
    weights = site.file("bin").read_bytes()
    assert len(weights) == manifest["bytes"] < 6e6
    assert hashlib.sha256(weights).hexdigest() == manifest["sha256"]
    assert site.file("bin").name == manifest["weights"]
    for name, parameter in model.named_parameters():
        entry = manifest["tensors"][name]
        kind = np.int8 if "scales" in entry else np.float32
        count = parameter.numel()
        found = np.frombuffer(weights, kind, count, entry["offset"])
        found = torch.tensor(found.reshape(entry["shape"]).copy())
        if "scales" in entry:
            scales = np.frombuffer(weights, np.float32, len(found), entry["scales"])
            found = found * torch.tensor(scales.copy())[:, None]
        assert torch.equal(found, parameter.detach()), name


# As Python --------------------------------------------------------------------------


def test_pieces_equal_python(loaded: Page, tokenizer: Tokenizer) -> None:
    texts = [
        *NASTY,
        *fuzz(tokenizer.vocabulary, 1500),
        *(text[:2000] for text in translations().values()),
        *(document.text for document in introductions().documents[::100]),
    ]
    texts = [t for t in texts if not any(unicodedata.category(c) == "Cn" for c in t)]
    assert len(texts) > 1100
    code = "(texts) => texts.map((t) => model.tokenizer.pieces(t, true))"
    found = loaded.workers[0].evaluate(code, texts)
    for text, pieces in zip(texts, found, strict=True):
        assert pieces == tokenizer.tokenize(text), ascii(text)


def test_logits_of_200_sentences_equal_python(
    loaded: Page, site: Site, model: BertForMaskedLM, tokenizer: Tokenizer
) -> None:
    """A masked piece in each, at another place each time; all 8,192 scores."""
    texts = (document.text for document in introductions().documents)
    cut = (each for text in texts for each in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text))
    rows, places, expected = [], [], []
    for sentence in cut:
        ids = tokenizer.encode(sentence)
        if not 6 <= len(ids) <= 16:
            continue
        place = 1 + 7 * len(rows) % (len(ids) - 2)
        ids[place] = tokenizer.mask_id
        with torch.no_grad():
            expected.append(model(torch.tensor([ids]))[0, place])
        rows.append(ids)
        places.append(place)
        if len(rows) == 200:
            break
    assert len(rows) == 200
    (site.folder / "logits").write_bytes(torch.stack(expected).numpy().tobytes())
    differences = loaded.workers[0].evaluate(
        "async ([url, rows, places]) => {"
        "  const response = await fetch(new URL('logits', url));"
        "  const expected = new Float32Array(await response.arrayBuffer());"
        "  return rows.map((ids, i) => {"
        "    const found = model.logits(ids, places[i]);"
        "    let most = 0;"
        "    for (let k = 0; k < found.length; k += 1)"
        "      most = Math.max(most, "
        "        Math.abs(found[k] - expected[i * found.length + k]));"
        "    return most;"
        "  });"
        "}",
        [site.url, rows, places],
    )
    print(f"logits: largest difference {max(differences):.1e} of {len(differences)}")
    assert len(differences) == 200 and max(differences) < 1e-3


def test_gaps_are_filled_as_by_python(
    loaded: Page, model: BertForMaskedLM, tokenizer: Tokenizer
) -> None:
    for text in ("The ___ of France is [MASK].", "[mask] sees a dog", *live.FILL):
        said = answer(loaded, 1, "Fill the gap", text)
        gaps = live.fill(text.replace("[mask]", "[MASK]"), model, tokenizer)["gaps"]
        assert "Computed in your browser in" in said
        assert f"“{gaps[0][0][0]}”" in said
        for found, expected in zip(guesses(loaded), gaps, strict=True):
            assert [piece for piece, _ in found] == [piece for piece, _ in expected]
            shares = [100 * share for _, share in expected]
            assert [share for _, share in found] == pytest.approx(shares, abs=0.06)


def test_a_comparison_is_that_of_the_command(
    loaded: Page, model: BertForMaskedLM, tokenizer: Tokenizer
) -> None:
    texts = "The keys are on the table.", "The keys is on the table."
    said = answer(loaded, 3, "Compare them", *texts)
    scores = list(score_texts(texts, model, tokenizer))
    by = abs(scores[0].total - scores[1].total)
    assert (
        f"Preferred, by {by:.2f} nats: “{max(scores, key=lambda s: s.total).text}”"
        in said
    )
    for box, score in zip(part(loaded, 3).locator("ul").all(), scores, strict=True):
        shown = [item.split("\n") for item in box.locator("li").all_inner_texts()]
        assert [piece for piece, _ in shown] == [p.piece for p in score.pieces]
        values = [float(value.replace("−", "-")) for _, value in shown]
        expected = [p.log_probability for p in score.pieces]
        assert values == pytest.approx(expected, abs=0.006)


def test_attention_is_that_of_python(
    loaded: Page, model: BertForMaskedLM, tokenizer: Tokenizer
) -> None:
    """Every weight of every head, to a per cent; all heads reached by keyboard."""
    text = "The dog saw the dog ___."
    ids = live.masked(text, tokenizer)
    said = answer(loaded, 2, "Show its attention", text)
    assert said.startswith(f"{len(ids)} tokens, 4 layers of 4 heads")
    weights = attention_weights(model, input_ids=torch.tensor([ids]))[:, 0]
    attend = part(loaded, 2)
    attend.get_by_role("button", name="Layer 1, head 1").focus()
    for layer in range(4):
        for head in range(4):
            chosen = attend.get_by_role("button", pressed=True)
            assert (
                chosen.get_attribute("aria-label")
                == f"Layer {layer + 1}, head {head + 1}"
            )
            shown = attend.locator(".head tbody tr").evaluate_all(
                "rows => rows.map((row) => [...row.cells].slice(1)"
                ".map((cell) => Number(cell.innerText)))"
            )
            expected = 100 * weights[layer, head]
            assert (torch.tensor(shown) - expected).abs().max() < 0.51
            loaded.keyboard.press("ArrowRight")
        loaded.keyboard.press("Home")
        loaded.keyboard.press("ArrowDown")
    heads = attend.locator(".head thead th").all_inner_texts()
    assert heads == [tokenizer.vocabulary[id] for id in ids]


def test_the_sum_behind_a_cell(
    loaded: Page, model: BertForMaskedLM, tokenizer: Tokenizer
) -> None:
    """Found by arrow keys: said in a sentence, and in numbers in a table."""
    example = live.attend("The dog saw a cat.", model, tokenizer)
    answer(loaded, 2, "Show its attention", "The dog saw a cat.")
    attend = part(loaded, 2)
    attend.get_by_role("button", name="Layer 2, head 3").click()
    attend.locator(".head [tabindex='0']").focus()
    loaded.keyboard.press("Home")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        loaded.keyboard.press(key)
    count = len(example["pieces"])
    query, key = (
        torch.frombuffer(
            bytearray(live.base64.b64decode(example[what])), dtype=torch.float32
        ).view(4, count, 4, -1)
        for what in ("query", "key")
    )  # l s h d
    products = query[1, 2, 2] * key[1, 3, 2]
    asks, asked = example["pieces"][2:4]
    said = attend.get_by_text(f"the query of “{asks}” and the key of “{asked}”")
    said.wait_for()
    total = f"{products.sum():.2f}".replace("-", "−")
    divided = f"{products.sum() / 8:.2f}".replace("-", "−")
    assert f"sum to {total}; divided by √64 = 8 that is {divided}" in said.inner_text()
    attend.get_by_text("The products as numbers").click()
    table = attend.get_by_role("table", name=f"“{asks}” and “{asked}”")
    table.wait_for()
    shown = table.locator("tbody tr td:last-child").all_inner_texts()
    values = [float(value.replace("−", "-")) for value in shown]
    assert values == pytest.approx(products.tolist(), abs=0.006)
    attend.get_by_text("The row: sums and weights").click()
    table = attend.get_by_role("table", name=f"The row of “{asks}”")
    table.wait_for()
    assert table.locator("tbody tr").count() == count


# How it is used ---------------------------------------------------------------------


def test_nothing_is_loaded_before_it_is_asked_for(browser: Browser, site: Site) -> None:
    """Examples stand there; a question loads the model, a second visit does not."""
    with opened(browser, site) as page:
        requests: list[str] = []
        page.context.on("request", lambda request: requests.append(request.url))
        page.reload()
        assert len(guesses(page)[0]) == live.TOP
        assert (
            "when the book was built"
            in part(page, 1).get_by_role("status").inner_text()
        )
        page.get_by_role("button", name=live.FILL[1]).click()
        assert page.get_by_label(GAP).input_value() == live.FILL[1]
        assert part(page, 2).locator(".head tbody td").count() == 81
        assert part(page, 3).locator("li").count() == 11
        assert not [url for url in requests if "english-mini" in url or "model" in url]
        answer(page, 1, "Fill the gap", "The ___ barks.")
        assert sum(".bin" in url for url in requests) == 1
        assert "downloaded in" in part(page, 0).get_by_role("status").inner_text()
        page.reload()
        page.get_by_role("button", name="Load the model").click()
        page.get_by_role("button", name="The model is loaded").wait_for()
        assert sum(".bin" in url for url in requests) == 1, "the browser's store has it"
        said = part(page, 0).get_by_role("status").inner_text()
        assert "from this browser's store" in said
        assert {url.split("/")[2] for url in requests} == {site.url.split("/")[2]}


@pytest.mark.parametrize(
    ("number", "name", "texts", "sentence"),
    [
        (1, "Fill the gap", ["  "], "There is no sentence yet"),
        (1, "Fill the gap", ["The dog barks."], "The sentence has no gap: write ___"),
        (1, "Fill the gap", ["___ " + "a " * 255], "A text has 258 tokens"),
        (2, "Show its attention", ["dog " * 31], "and 32 fit here"),
        (2, "Show its attention", [""], "There is no sentence yet"),
        (3, "Compare them", ["Dogs bark.", "dogs  bark."], "have the same pieces"),
        (3, "Compare them", ["A ___ barks.", "A dog barks."], "A sentence has a gap"),
        (3, "Compare them", ["dog " * 50, "A dog."], "and 40 fit here"),
        (3, "Compare them", ["A dog.", ""], "There is no sentence yet"),
    ],
)
def test_what_cannot_be_done_is_said(
    loaded: Page, number: int, name: str, texts: list[str], sentence: str
) -> None:
    before = part(loaded, number).locator(".output").inner_html()
    said = answer(loaded, number, name, *texts)
    assert sentence in said and said.count(".") <= 1 + texts[0].count(".")
    assert part(loaded, number).locator(".fault").count() == 1
    assert part(loaded, number).locator(".output").inner_html() == before
    assert answer(loaded, 1, "Fill the gap", "The ___ barks.").startswith("For the gap")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda route: route.abort(), "could not be downloaded"),
        (lambda route: route.fulfill(status=404), "could not be downloaded"),
        (lambda route: route.fulfill(body=b"x" * 5_537_288), "arrived damaged"),
    ],
)
def test_a_download_that_fails_can_be_tried_again(
    browser: Browser, site: Site, fault: Any, sentence: str
) -> None:
    with opened(browser, site) as page:
        context: BrowserContext = page.context
        context.route("**/*.bin", fault)
        page.get_by_role("button", name="Load the model").click()
        page.get_by_text(sentence).wait_for()
        assert sentence in answer(page, 1, "Fill the gap", "The ___ barks.")
        context.unroute("**/*.bin")
        page.get_by_role("button", name="Load the model").click()
        page.get_by_role("button", name="The model is loaded").wait_for()
        assert page.locator(".bertcore-live").first.locator(".fault").count() == 0


def test_a_browser_that_is_too_old_says_so(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        page.add_init_script("delete window.Worker")
        page.reload()
        page.get_by_role("button", name="Load the model").click()
        page.get_by_text("This browser is too old").wait_for()
        assert len(guesses(page)[0]) == live.TOP


def test_from_a_file_a_sentence_says_what_to_do(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    page.goto((site.folder / "index.html").as_uri())
    page.get_by_role("button", name="Load the model").click()
    page.get_by_text("use make serve").wait_for()
    page.close()


def test_without_the_script_tables_and_a_picture_stay(
    browser: Browser, site: Site
) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        assert page.locator("button, input").count() == 0
        assert page.get_by_text(live.FILL[0]).is_visible()
        picture = page.get_by_role("img")
        assert "Layer 1, head 1 is shown large" in picture.get_attribute("aria-label")
        assert page.locator("table").count() == 2


def test_a_finger_holds_a_cell_on_a_phone(browser: Browser, site: Site) -> None:
    with opened(browser, site, **PHONE) as page:
        cell = part(page, 2).locator(".head tbody td").nth(12)
        cell.tap()
        assert "held" in cell.get_attribute("class")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = cell.bounding_box()
        assert min(box["width"], box["height"]) >= 24
        for control in page.locator(".bertcore-live button").all():
            assert control.bounding_box()["height"] >= 24


def test_a_resting_mouse_is_told_and_a_click_holds(
    browser: Browser, site: Site
) -> None:
    with opened(browser, site) as page:
        cells = part(page, 2).locator(".head tbody td")
        cells.nth(10).hover()
        page.get_by_text("query of “the” and the key of “the”").wait_for()
        cells.nth(10).click()
        cells.nth(30).hover()
        assert "chosen" in cells.nth(10).get_attribute("class")
        cells.nth(10).focus()
        page.keyboard.press("Escape")
        cells.nth(31).hover()
        assert "chosen" in cells.nth(31).get_attribute("class")


# In the book ------------------------------------------------------------------------


def test_the_scripts_are_loaded_on_their_page_alone() -> None:
    found: list[str] = []
    app = SimpleNamespace(add_js_file=lambda name, loading_method: found.append(name))
    for body in ("<p>None</p>", f"<div {live.MARK}></div>"):
        pages.add_scripts(app, "page", "page.html", {"body": body}, None)
    assert found == [script.name for script in live.SCRIPTS]


def test_a_site_without_its_model_is_found_out(site: Site, tmp_path: Path) -> None:
    static = tmp_path / "_static"
    static.mkdir()
    page = BeautifulSoup((site.folder / "load.html").read_text("utf8"), "html.parser")
    (fault,) = live_faults(tmp_path, page)
    assert "is not there" in fault
    shutil.copy(site.file("json"), static)
    (fault,) = live_faults(tmp_path, page)
    assert site.file("bin").name in fault
    shutil.copy(site.file("bin"), static)
    assert not list(live_faults(tmp_path, page))
    (static / site.file("bin").name).write_bytes(b"damaged")
    (fault,) = live_faults(tmp_path, page)
    assert "digest" in fault
