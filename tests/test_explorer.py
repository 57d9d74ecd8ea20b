"""The explorer shows the weights that Python computed: by keyboard, mouse and touch."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page
from torch import Tensor

from bertcore.book import plots
from bertcore.book.diagram import Explorer
from tests.book.test_plots import luminance
from tests.browser import chromium
from tests.conftest import ROOT
from tools import pages

LAYERS, HEADS = 2, 3
PIECES = [
    ["[CLS]", "the", "dog", "bit", "the", "man", "[SEP]"],
    ["[CLS]", "head", "##land", "[SEP]"],
]
NASTY = ["</script>", "<b>", "&amp;", '"', "<!--", "é", "[SEP]"]
CONTROLS = [
    ("combobox", "Sentence"),
    ("combobox", "Layer"),
    ("combobox", "Head"),
    ("radio", "takes from"),
    ("radio", "is asked by"),
]

Example = tuple[list[str], Tensor]


def example(
    pieces: list[str], layers: int = LAYERS, heads: int = HEADS, seed: int = 0
) -> Example:
    """The pieces with random weights, some large and most small."""
    generator = torch.Generator().manual_seed(seed)
    size = layers, heads, len(pieces), len(pieces)
    return pieces, torch.randn(size, generator=generator).mul(2).softmax(-1)


EXAMPLES = [example(pieces, seed=seed) for seed, pieces in enumerate(PIECES)]


# A page with explorers -------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def opened(
    browser: Browser, folder: Path, *explorers: Explorer, **options: object
) -> Iterator[Page]:
    """A page from files; nothing may fail in it, and it may fetch only its files.

    Its clock stands still: `run_for` lets it go.
    """
    shutil.copy(pages.EXPLORER, folder)
    shutil.copy(ROOT / "_static" / "custom.css", folder)
    pictures = "".join(explorer._repr_html_() for explorer in explorers)
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf8"><title>Explorer</title>'
        '<link rel="stylesheet" href="custom.css">'
        f'<script defer src="explorer.js?v=1"></script><body>{pictures}</body></html>',
        encoding="utf8",
    )
    context = browser.new_context(**options)
    page = context.new_page()
    faults: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.clock.install(time=0)
    page.goto((folder / "index.html").as_uri())
    page.clock.pause_at(10_000)
    yield page
    context.close()
    assert not faults
    names = {"index.html", "custom.css", "explorer.js?v=1"}
    assert {url.removeprefix(folder.as_uri() + "/") for url in requests} <= names


def boxes(page: Page) -> list[tuple[str, str, int]]:
    """Each box: the mark, the piece, the percentage."""
    found = page.eval_on_selector_all(
        ".tokens button, ul li",
        "boxes => boxes.map((box) => [...box.children].map((part) => "
        "part.textContent.trim()))",
    )
    return [(mark, piece, int(share.removesuffix("%"))) for mark, piece, share in found]


def asking(page: Page) -> int:
    """The place of the one box that is marked."""
    (place,) = [place for place, (mark, _, _) in enumerate(boxes(page)) if mark]
    return place


def sentence(page: Page) -> str:
    page.clock.run_for(200)
    return page.get_by_role("status").inner_text()


def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until the focus is there."""
    page.evaluate("document.activeElement.blur()")
    for _ in range(8):
        page.keyboard.press("Tab")
        if control.evaluate("control => control === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {control}")


def select(page: Page, name: str, number: int) -> None:
    """Choose an option by keyboard; they count from 1."""
    tab_to(page, page.get_by_role("combobox", name=name))
    page.keyboard.press("Home")
    for _ in range(number - 1):
        page.keyboard.press("ArrowDown")


# What it shows ---------------------------------------------------------------------


def check_shares(page: Page, pieces: list[str], weights: Tensor, token: int) -> None:
    """The boxes hold these weights in percent, to a byte's precision, and in order."""
    marks, shown, shares = zip(*boxes(page), strict=True)
    assert list(shown) == pieces
    assert [bool(mark) for mark in marks] == [i == token for i in range(len(pieces))]
    assert all(
        abs(share - 100 * weight) <= 1
        for share, weight in zip(shares, weights.tolist(), strict=True)
    )
    order = weights.argsort(descending=True).tolist()
    assert [shares[place] for place in order] == sorted(shares, reverse=True)


def check_every_choice(page: Page, examples: list[Example], column: bool) -> None:
    """Each sentence, layer, head and token, all by keyboard."""
    if column:
        tab_to(page, page.get_by_role("radio", checked=True))
        page.keyboard.press("ArrowRight")
    layers, heads = examples[0][1].shape[:2]
    for number, (pieces, weights) in enumerate(examples, 1):
        select(page, "Sentence", number)
        for layer, head in itertools.product(range(layers), range(heads)):
            if head == 0:
                select(page, "Layer", layer + 1)
            select(page, "Head", head + 1)
            tab_to(page, page.locator(".tokens [tabindex='0']"))
            page.keyboard.press("Home")
            for token in range(len(pieces)):
                shares = weights[layer, head].T if column else weights[layer, head]
                check_shares(page, pieces, shares[token], token)
                page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("column", [False, True])
def test_every_choice(browser: Browser, tmp_path: Path, column: bool) -> None:
    with opened(browser, tmp_path, Explorer(EXAMPLES)) as page:
        check_every_choice(page, EXAMPLES, column)


def test_every_choice_in_a_real_model(
    browser: Browser, tmp_path: Path, real_bert, real_tokenizer
) -> None:
    pieces = ["[CLS]", *real_tokenizer.tokenize("Dogs bark."), "[SEP]"]
    ids = torch.tensor([[real_tokenizer.ids[piece] for piece in pieces]])
    found = []
    with torch.no_grad():
        hidden = real_bert.embeddings(ids)
        for layer in real_bert.encoder.layers:
            found.append(layer.attention.weights(hidden, None)[0])
            hidden = layer(hidden)
    examples = [(pieces, torch.stack(found[::3]))]
    assert examples[0][1].shape == (2, 12, 5, 5)
    with opened(browser, tmp_path, Explorer(examples)) as page:
        check_every_choice(page, examples, column=False)


def test_the_sentence_is_that_of_python(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, tmp_path, Explorer(EXAMPLES)) as page:
        for layer, head in itertools.product(range(LAYERS), range(HEADS)):
            select(page, "Layer", layer + 1)
            select(page, "Head", head + 1)
            tab_to(page, page.locator(".tokens [tabindex='0']"))
            page.keyboard.press("Home")
            for token in range(7):
                choice = {"layer": layer + 1, "head": head + 1, "token": token + 1}
                assert sentence(page) == repr(Explorer(EXAMPLES, **choice))
                page.keyboard.press("ArrowRight")


def test_the_sentence_of_a_column(browser: Browser, tmp_path: Path) -> None:
    """Who asks stands first, a piece that is there twice has a number, and 0% goes."""
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.25, 0.75, 0.0], [0.0, 1.0, 0.0]])
    examples = [(["the", "the", "dog"], weights[None, None])]
    with opened(browser, tmp_path, Explorer(examples)) as page:
        assert sentence(page) == (
            "Layer 1, head 1: “the” no. 1 takes 90% from “the” no. 1 and 10% from "
            "“the” no. 2."
        )
        page.get_by_role("radio", name="is asked by").check()
        assert sentence(page) == (
            "Layer 1, head 1: “the” no. 1 takes 90% from “the” no. 1 and “the” no. 2 "
            "25%. Each is a share of another row, so a column does not sum to 100%."
        )
        assert boxes(page)[0] == ("asked", "the", 90)
        page.get_by_role("button", name="dog").click()
        nothing = "every token takes less than 1% from “dog”."
        assert sentence(page) == f"Layer 1, head 1: {nothing}"


def test_many_small_shares() -> None:
    weights = torch.full((1, 1, 300, 300), 1 / 300)
    explorer = Explorer([(list(map(str, range(300))), weights)])
    assert repr(explorer).endswith("“0” takes less than 1% from every token.")


# How it is used --------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    with opened(browser, tmp_path, Explorer(EXAMPLES)) as found:
        yield found


def hover(page: Page, place: int) -> None:
    page.locator(".tokens button").nth(place).hover()


def test_arrow_keys_go_from_end_to_end(page: Page) -> None:
    tab_to(page, page.locator(".tokens [tabindex='0']"))
    for key, place in [
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("End", 6),
        ("ArrowRight", 6),
        ("ArrowLeft", 5),
        ("Control+Home", 5),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert asking(page) == place, key
    assert page.locator(".tokens [tabindex='0']").count() == 1


def test_the_mouse_asks_and_a_resting_mouse_is_told(page: Page) -> None:
    sentence(page)
    before = page.get_by_role("status").inner_text()
    for place in (2, 3, 5):
        hover(page, place)
        assert asking(page) == place
        page.clock.run_for(100)
        assert page.get_by_role("status").inner_text() == before
    assert "“man” takes" in sentence(page)


def test_a_click_holds(page: Page) -> None:
    button = page.locator(".tokens button")
    hint = page.locator(".hint")
    button.nth(2).click()
    assert button.nth(2).get_attribute("aria-pressed") == "true"
    assert hint.inner_text().startswith("“dog” is held.")
    hover(page, 4)
    assert asking(page) == 2
    button.nth(3).click()  # another takes its place
    hover(page, 4)
    assert asking(page) == 3
    button.nth(3).click()  # and is let go
    assert page.locator("[aria-pressed=true]").count() == 0
    hover(page, 4)
    assert asking(page) == 4
    page.keyboard.press("Space")  # the focus is still on the third
    page.keyboard.press("ArrowRight")  # which takes the hold along
    hover(page, 1)
    assert asking(page) == 4
    assert button.nth(4).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    hover(page, 0)
    assert asking(page) == 0
    assert hint.inner_text().startswith("Point at a token")


def test_a_tap_holds(browser: Browser, tmp_path: Path) -> None:
    phone = {"has_touch": True, "viewport": {"width": 390, "height": 844}}
    with opened(browser, tmp_path, Explorer(EXAMPLES), **phone) as page:
        page.locator(".tokens button").nth(5).tap()
        assert asking(page) == 5
        assert page.locator("[aria-pressed=true]").count() == 1
        page.get_by_role("combobox", name="Head").select_option("3")
        check_shares(page, PIECES[0], EXAMPLES[0][1][0, 2, 5], 5)
        page.get_by_role("combobox", name="Sentence").select_option(index=1)
        assert asking(page) == 3, "a shorter sentence"
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390


def test_every_control_has_a_name_and_room(page: Page) -> None:
    for role, name in CONTROLS:
        assert page.get_by_role(role, name=name, exact=True).count() == 1, name
    assert page.get_by_role("group", name="The token").count() == 1
    toolbar = page.get_by_role("toolbar", name="Tokens")
    assert toolbar.get_by_role("button").count() == 7
    assert toolbar.get_by_role("button", name="asks [CLS]").count() == 1
    assert page.locator("select, input, button").count() == len(CONTROLS) + 7
    options = page.get_by_role("option").all_inner_texts()
    assert options[:2] == ["the dog bit the man", "headland"]
    for box in page.locator("select, label, button").all():
        assert min(box.bounding_box()["height"], box.bounding_box()["width"]) >= 24


def test_two_on_one_page_do_not_mix(browser: Browser, tmp_path: Path) -> None:
    two = Explorer(EXAMPLES), Explorer(EXAMPLES, token=3)
    with opened(browser, tmp_path, *two) as page:
        page.get_by_role("radio", name="is asked by").first.check()
        assert page.get_by_role("radio", name="takes from").last.is_checked()
        assert page.locator("[id]").count() == 0
        marks = [mark for mark, _, _ in boxes(page) if mark]
        assert marks == ["asked", "asks"]


# The picture in the page -----------------------------------------------------------


def test_without_the_script_the_picture_stays(browser: Browser, tmp_path: Path) -> None:
    explorer = Explorer(EXAMPLES, layer=2, head=3, token=6)
    with opened(browser, tmp_path, explorer, java_script_enabled=False) as page:
        texts = page.locator("li").all_inner_texts()
        assert page.locator("select, input, button, canvas").count() == 0
        assert page.locator("p").inner_text() == repr(explorer)
        assert [text.split("\n")[0].strip() for text in texts] == [
            *[""] * 5,
            "asks",
            "",
        ]
        shares = [int(text.split("\n")[-1].removesuffix("%")) for text in texts]
        expected = (EXAMPLES[0][1][1, 2, 5] * 100).tolist()
        assert shares == pytest.approx(expected, abs=1)


def test_script_and_python_draw_the_same_boxes(
    browser: Browser, tmp_path: Path
) -> None:
    looks = "boxes => boxes.map((box) => { const s = getComputedStyle(box); return ["
    looks += "box.innerText.trim(), s.borderTopColor, s.boxShadow, s.padding, s.margin,"
    looks += "s.borderTopWidth, s.backgroundImage, box.offsetHeight, box.offsetWidth,"
    looks += "s.backgroundSize.split(' ')[1]] })"
    tints = "boxes => boxes.map((box) => Number(getComputedStyle(box).backgroundColor"
    tints += ".match(/[\\d.]+(?=\\))/)[0]))"
    explorer = Explorer(EXAMPLES, sentence=2, token=3)
    found = []
    for script in (True, False):
        with opened(browser, tmp_path, explorer, java_script_enabled=script) as page:
            place = ".tokens button, li"
            found.append(page.eval_on_selector_all(place, looks))
            found.append(page.eval_on_selector_all(place, tints))
    assert found[0] == found[2]
    assert found[1] == pytest.approx(found[3], abs=0.01)


def test_print_leaves_the_controls_out(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".choices").is_visible()
    assert not page.locator(".hint").is_visible()
    assert page.locator(".tokens").is_visible() and sentence(page)


@pytest.mark.parametrize(
    ("text", "background"), [("#222832", "#ffffff"), ("#ced6dd", "#121212")]
)
def test_text_is_legible_on_the_full_tint(text: str, background: str) -> None:
    """WCAG 1.4.3 asks a contrast of 4.5; the theme's text, in light and dark."""
    certain = Explorer([(["a"], torch.ones(1, 1, 1, 1))])._repr_html_()
    assert f"{plots.BLUE}7f" in certain, "half of the colour"
    colours = [bytes.fromhex(colour[1:]) for colour in (plots.BLUE, background)]
    mixed = bytes((one + other) // 2 for one, other in zip(*colours, strict=True))
    low, high = sorted((luminance(text), luminance(f"#{mixed.hex()}")))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_pieces_are_text(browser: Browser, tmp_path: Path) -> None:
    explorer = Explorer([example(NASTY)])
    assert explorer._repr_html_().count("</script>") == 1
    for script in (True, False):
        with opened(browser, tmp_path, explorer, java_script_enabled=script) as page:
            assert page.locator(".tokens button code, li code").all_inner_texts() == (
                NASTY
            )
            assert page.locator("b").count() == 0


def test_the_script_is_loaded_where_it_is_needed() -> None:
    loaded: list[str] = []
    app = SimpleNamespace(add_js_file=lambda name, loading_method: loaded.append(name))
    for body in ("<p>None</p>", Explorer(EXAMPLES)._repr_html_()):
        pages.add_scripts(app, "page", "page.html", {"body": body}, None)
    assert loaded == ["explorer.js"]
    assert pages.EXPLORER.exists()


# What it takes ---------------------------------------------------------------------


def test_a_page_takes_five_sentences_of_a_small_model() -> None:
    """In 300,000 bytes; more would be felt on a slow line."""
    pieces = ["representation", *["##ational"] * 19]
    fits = [example(pieces, 6, 12)] * 5
    assert len(Explorer(fits)._repr_html_().encode()) < 300_000


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([(PIECES[0], EXAMPLES[1][1])], r"shape \(2, 3, 4, 4\) for 7 pieces"),
        ([(PIECES[0], EXAMPLES[0][1][0])], r"give `layers heads q k`, here"),
        ([([], torch.ones(1, 1, 0, 0))], r"shape \(1, 1, 0, 0\) for 0 pieces"),
        (
            [EXAMPLES[0], (["a"], torch.full((2, 3, 1, 1), 0.9))],
            "sentence 2: .*0.1",
        ),
        ([(["a"], torch.full((1, 1, 1, 1), torch.nan))], "not shares .* nan"),
        (
            [(["a", "b"], torch.tensor([[[[2.0, -1], [1, 0]]]]))],
            "smallest .* is -1",
        ),
    ],
)
def test_bad_input_is_named(examples: list[Example], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Explorer(examples)
