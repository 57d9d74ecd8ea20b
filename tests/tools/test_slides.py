"""Slides: the chapter's own words, pictures and findings, a screen each."""

from copy import deepcopy
from pathlib import Path

import pytest
from nbformat.v4 import new_output

from tests.browser import chromium
from tools import slides
from tools.sheets import Facts, all_facts

FIGURE = "<figure><svg viewBox='0 0 4 3'></svg></figure>"


@pytest.fixture(scope="module")
def facts() -> dict[str, Facts]:
    return {each.name: each for each in all_facts()}


def test_a_chapter_gives_its_question_predictions_code_and_findings(
    facts: dict[str, Facts],
) -> None:
    its = facts["03-attention"]
    notebook = deepcopy(its.chapter.notebook)
    for cell in notebook.cells:
        marks = cell.metadata.get("tags", [])
        if "figure" in marks:
            cell.outputs = [new_output("display_data", data={"text/html": FIGURE})]
        if "claim:15" in marks:
            cell.outputs = [new_output("stream", text=t) for t in ("moves <\n", "65\n")]
    found = slides.slides(notebook, its)
    whole = "\n".join(found)
    assert found[0] == f"<h1>{its.title}</h1>"
    assert "Why three\nvectors" in found[1] or "Why three vectors" in found[1]
    for number in (1, 2, 3):
        assert f"<h2>Prediction {number}</h2>" in whole
        assert f"<strong>Prediction {number}.</strong>" in whole  # its answer
    assert "<h2>Claim 15</h2><pre>moves &lt;\n65\n</pre>" in found
    assert "<h2>Verdict: right, but incomplete</h2>" in whole
    assert whole.count(FIGURE) == 2 and "SelfAttention" in whole
    assert "<math" in whole and "<h2>Exercises</h2>" in found[-1]
    assert "Further reading" not in whole and "def attend(query" not in whole
    assert all(objective in whole for objective in its.objectives[2:])


def test_long_code_is_cut_at_an_empty_line() -> None:
    method = "    def part(self):\n" + "        pass\n" * 12
    source = "class Long:\n" + "\n".join([method] * 3)
    parts = list(slides.cut(source))
    assert [part.count("def part") for part in parts] == [2, 1]
    assert all(part.count("\n") < slides.LINES for part in parts)
    assert list(slides.cut("one = 1")) == ["one = 1"]
    assert len(list(slides.cut("pass\n" * 70))) == 3


def test_a_full_list_is_cut_between_items() -> None:
    items = [f"- {'word ' * 30}{number}" for number in range(5)]
    parts = list(slides.in_parts("\n".join(items)))
    assert len(parts) == 3 and "\n".join(parts) == "\n".join(items)


def test_links_lead_into_the_published_book() -> None:
    found = slides.Writer().html("[4](04-encoder.ipynb) and $d$")
    assert '.github.io/bert-from-scratch/chapters/04-encoder.html"' in found
    assert "<math" in found


def test_every_slide_fits_a_screen_and_nothing_is_asked_for(
    facts: dict[str, Facts], tmp_path: Path
) -> None:
    """Of all chapters, without outputs; keys lead to the end and stay there."""
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.on("request", lambda request: asked.append(request.url))
        for name, its in facts.items():
            file = tmp_path / f"{name}.html"
            found = slides.slides(its.chapter.notebook, its)
            file.write_text(slides.page(found, its.title), "utf8")
            page.goto(file.as_uri())
            heights = page.evaluate(
                "[...document.querySelectorAll('section')].map((s) => s.offsetHeight)"
            )
            high = [n for n, height in enumerate(heights, 1) if height > 721]
            assert not high, f"{name}: slides {high} are higher than a screen"
            assert len(heights) > 15, name
        for key, count, place in (("ArrowRight", 2, 2), ("ArrowLeft", 9, 0)):
            for _ in range(count):
                page.keyboard.press(key)
            assert page.evaluate("scrollY") == place * 720
    assert asked == [(tmp_path / f"{name}.html").as_uri() for name in facts]


def test_an_unknown_chapter_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["slides", "03-atention"])
    with pytest.raises(SystemExit):
        slides.main()
    assert "no chapter 03-atention; there are 00-map, " in capsys.readouterr().err
