"""The playground's script cuts as Python does, in a real browser, and by keyboard."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from bertcore import Tokenizer
from bertcore.book.diagram import Walk, steps
from bertcore.text.characters import split_words
from bertcore.text.corpora import introductions
from tests.browser import chromium
from tests.conftest import WHOLE, sample
from tests.text.test_reference import fuzz, translations
from tests.text.test_wordpiece import NASTY
from tools import playground

SENTENCE = "Unbelievable headlands!"


@pytest.fixture(scope="module")
def page(tmp_path_factory, encoder_folder) -> Iterator[Page]:
    """A page with the picture and the script, from files, without a network."""
    folder: Path = tmp_path_factory.mktemp("page")
    playground.write_data(folder / "playground-data.js")
    for script in (playground.WORDPIECE, playground.SCRIPT):
        shutil.copy(script, folder)
    tokenizer = Tokenizer.from_pretrained(encoder_folder)
    picture = Walk(tokenizer, SENTENCE, playground=True)._repr_html_()
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf8"><title>Playground</title>'
        '<script defer src="wordpiece.js"></script>'
        f'<script defer src="playground.js?v=1"></script><body>{picture}</body></html>',
        encoding="utf8",
    )
    with chromium() as browser:
        opened = browser.new_page()
        opened.goto((folder / "index.html").as_uri())
        opened.evaluate("bertcorePlayground.load()")
        yield opened


def cut(page: Page, what: str, texts: list[str], lowercase: bool) -> list[list[str]]:
    code = (
        "([what, texts, low]) => texts.map((t) => bertcorePlayground.cut(what, t, low))"
    )
    return page.evaluate(code, [what, texts, lowercase])


@pytest.mark.parametrize("lowercase", [True, False])
def test_pieces_equal_python(page: Page, real_tokenizer, lowercase: bool) -> None:
    """Some thousand strings: nasty, fuzzed, Wikipedia, and more than twenty scripts."""
    tokenizer = Tokenizer(real_tokenizer.vocabulary, lowercase)
    texts = [
        *NASTY,
        *fuzz(tokenizer.vocabulary, 4000),
        *(document.text for document in introductions().documents[::20]),
        *(text[:5000] for text in translations().values()),
    ]
    assert len(texts) > 4500
    texts = [t for t in texts if not any(unicodedata.category(c) == "Cn" for c in t)]
    for text, found in zip(texts, cut(page, "pieces", texts, lowercase), strict=True):
        assert found == tokenizer.tokenize(text), ascii(text)


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_that_python_knows(page: Page, lowercase: bool) -> None:
    texts = [
        f"a{chr(code)}b"
        for code in [*range(0x3000), *sample(range(0x3000, sys.maxunicode + 1), 20_000)]
        if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")
    ]
    assert len(texts) > (140_000 if WHOLE else 10_000)
    for text, found in zip(texts, cut(page, "words", texts, lowercase), strict=True):
        assert found == split_words(text, lowercase), ascii(text)


def test_steps_equal_python(page: Page, real_tokenizer) -> None:
    words = ["headland", "ab☃c", "x" * 200, "x" * 201, "é", "👍👍", "the"]
    code = "(words) => words.map((word) => bertcorePlayground.cut('steps', word))"
    found = page.evaluate(code, words)
    expected = [[step._asdict() for step in steps(w, real_tokenizer)] for w in words]
    assert found == json.loads(json.dumps(expected))


def test_by_keyboard(page: Page) -> None:
    """Tab reaches the box; typing redraws boxes and table as Python draws them."""
    before = page.inner_html("tbody"), boxes(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.press("Control+A")
    page.keyboard.type("Café ☃☃ Déjà")
    page.wait_for_function("document.querySelector('ul').innerText.includes('cafe')")
    assert page.inner_text("ul").split("\n")[0] == "cafe"
    assert "nothing: the whole word is [UNK]" in page.inner_text("tbody")
    assert page.inner_text("[role=status]") == "3 words, 4 pieces"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # cased: this vocabulary has no capitals
    page.wait_for_function("document.querySelector('ul').innerText.includes('[UNK]')")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type(SENTENCE)
    page.wait_for_function("document.querySelector('ul').innerText.includes('##land')")
    after = page.inner_html("tbody"), boxes(page)
    assert after == before, "the script draws another picture than Python"


def boxes(page: Page) -> list[list[str]]:
    """Text and colours of each box, as the browser computes them."""
    return page.eval_on_selector_all(
        "ul li",
        "items => items.map((item) => [item.innerText, "
        "getComputedStyle(item).borderColor, getComputedStyle(item).backgroundColor])",
    )


def test_the_worst_text_that_fits_takes_no_time(page: Page) -> None:
    """It once took ten seconds a key."""
    box = page.get_by_role("textbox")
    assert box.get_attribute("maxlength") == "1000"
    start = page.evaluate("performance.now()")
    box.fill(("qzxj" * 50 + " ") * 5)
    page.wait_for_function("document.querySelector('[role=status]').innerText[0] == 5")
    assert page.evaluate("performance.now()") - start < 5000


def test_a_vocabulary_that_comes_late_is_used(page: Page, tmp_path: Path) -> None:
    """Without its file a sentence says so; when it is there, the next key works."""
    folder = Path(page.url.removeprefix("file://")).parent
    shutil.copytree(folder, tmp_path / "copy")
    data = tmp_path / "copy" / "playground-data.js"
    data.rename(tmp_path / "away.js")
    faults: list[str] = []
    other = page.context.browser.new_page()
    other.on("pageerror", lambda error: faults.append(str(error)))
    other.goto((tmp_path / "copy" / "index.html").as_uri())
    other.get_by_role("textbox").focus()
    other.keyboard.type("x")
    status = "document.querySelector('[role=status]').innerText"
    other.wait_for_function(f"{status}.includes('could not be loaded')")
    (tmp_path / "away.js").rename(data)
    other.keyboard.type("y")
    other.wait_for_function(f"{status}.includes('piece')")
    assert not faults
    other.close()


def test_every_control_has_a_name(page: Page) -> None:
    assert page.get_by_role("textbox", name="Type a text").count() == 1
    assert page.get_by_role("checkbox", name="lower case").count() == 1
    assert page.get_by_role("table").count() == 1


def test_without_the_script_the_picture_stays(real_tokenizer) -> None:
    picture = Walk(real_tokenizer, SENTENCE, playground=True)._repr_html_()
    assert "##land" in picture and "<textarea" not in picture
    assert playground.MARK in picture
    assert playground.MARK not in Walk(real_tokenizer, SENTENCE)._repr_html_()
    assert repr(Walk(real_tokenizer, SENTENCE)).endswith("##lands !")
