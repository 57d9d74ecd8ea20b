"""The quizzes: their form, what they point to, and what a reader can do with them."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Page

from tests.browser import chromium
from tests.conftest import ROOT
from tools.course_map import chapters
from tools.quizzes import SCRIPT, Question, as_html, file_of, plain, read

FILES = sorted((ROOT / "quizzes").glob("*.yml"))
each_quiz = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
# If right choices were as long as others, the longest would be right as often as a
# guess is: a third, with three choices. So would the first, the second and the third.
BY_CHANCE = (0.2, 0.45)


@cache
def cells(chapter: str) -> dict[str, nbformat.NotebookNode]:
    """The chapter's cells by their ids."""
    notebook = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", as_version=4)
    return {cell.id: cell for cell in notebook.cells}


def all_questions() -> Iterator[Question]:
    for path in FILES:
        yield from read(path)


# Form --------------------------------------------------------------------------------


def test_every_chapter_has_a_quiz() -> None:
    expected = {Path(chapter.page).name for chapter in chapters()}
    assert {path.stem for path in FILES} == expected


@each_quiz
def test_five_questions_with_one_right_choice_and_a_reason_for_each(path: Path) -> None:
    questions = read(path)
    assert len(questions) == 5
    for question in questions:
        assert question.text.endswith("?"), question.text
        assert 3 <= len(question.choices) <= 5, question.text
        assert sum(choice.right for choice in question.choices) == 1, question.text
        said = [choice.says for choice in question.choices]
        assert len(set(said)) == len(said), question.text
        for choice in question.choices:
            assert 6 <= len(choice.why.split()) <= 70, choice.why


@each_quiz
def test_what_decides_is_a_cell_that_the_page_shows(path: Path) -> None:
    """Not an exercise: a reader has to be able to do the quiz without them."""
    for question in read(path):
        cell = cells(path.stem)[question.cell]
        tags = set(cell.metadata.get("tags", []))
        assert cell.cell_type == "code", question.cell
        hidden = {"remove-cell", "hidden-check", "exercise", "check", "bootstrap"}
        assert not tags & hidden, f"{question.cell}: {tags & hidden}"


def test_the_right_choice_is_not_known_by_its_length_or_place() -> None:
    """Printed with -s: how often the right choice is the longest, and its places."""
    least, most = BY_CHANCE
    questions = list(all_questions())
    longest, places = 0, Counter()
    for question in questions:
        lengths = [len(plain(choice.says)) for choice in question.choices]
        (right,) = [i for i, choice in enumerate(question.choices) if choice.right]
        longest += lengths[right] == max(lengths)
        places[right] += 1
    share = longest / len(questions)
    print(
        f"{len(questions)} questions; right is longest: {share:.0%}; by place:", places
    )
    assert least <= share <= most
    assert all(least <= places[n] / len(questions) <= most for n in range(3))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("- {question: q, cell: c}", "give question, cell"),
        ("- {question: q, cell: c, choices: [{right: a, wrong: b, why: w}]}", "either"),
        ("- {question: q, cell: c, choices: [{right: a}]}", "either"),
        ("- {question: q, cell: c, choices: [{right: yes, why: w}]}", "quotes"),
    ],
)
def test_a_question_in_another_form_is_refused(
    tmp_path: Path, entry: str, message: str
) -> None:
    path = tmp_path / "quiz.yml"
    path.write_text(entry, encoding="utf8")
    with pytest.raises(ValueError, match=message):
        read(path)


# As HTML ------------------------------------------------------------------------------


@each_quiz
def test_without_a_script_every_reason_can_be_unfolded(path: Path) -> None:
    questions = read(path)
    page = BeautifulSoup(as_html(questions), "html.parser")
    assert len(page.find_all("fieldset")) == len(page.find_all("legend")) == 5
    for question, item in zip(questions, page.select(".quiz > ol > li"), strict=True):
        fields, answers = item.select("input[type=radio]"), item.select("details ol li")
        labels = {label["for"] for label in item.find_all("label")}
        assert len({field["name"] for field in fields}) == 1
        assert labels == {field["id"] for field in fields}
        assert len(fields) == len(answers) == len(question.choices)
        assert item.select_one("details a")["href"] == f"#cell-{question.cell}"
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A quiz of a chapter in a browser, with its script."""
    quiz = as_html(read(file_of("03-attention")))
    with chromium() as browser:
        page = browser.new_page()
        page.set_content(f"<html lang=en><body>{quiz}</body></html>")
        page.add_script_tag(content=SCRIPT.read_text(encoding="utf8"))
        page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
        yield page


def test_the_keyboard_alone_answers_a_question(page: Page) -> None:
    """A choice is answered when it is checked, not while arrows pass over it."""
    first = read(file_of("03-attention"))[0]
    item = page.locator(".quiz > ol > li").first
    status = item.locator("[role=status]")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    right = [choice.right for choice in first.choices].index(True)
    for _ in range(right):
        page.keyboard.press("ArrowDown")
    assert status.inner_text() == ""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert status.inner_text().startswith("Right. ")
    assert status.get_attribute("data-right") == "true"
    page.keyboard.press("Tab")  # the link to the cell, in the answer
    assert page.evaluate("document.activeElement.hash") == f"#cell-{first.cell}"


def test_first_answers_are_counted_and_later_ones_are_not(page: Page) -> None:
    questions = read(file_of("03-attention"))
    result = page.locator(".result")
    for place, question in list(enumerate(questions))[1:]:
        item = page.locator(".quiz > ol > li").nth(place)
        item.locator("button").click()
        assert item.locator("[role=status]").inner_text() == "Choose an answer first."
        assert result.inner_text() == ""
        right = [choice.right for choice in question.choices].index(True)
        item.locator("input").nth((right + 1) % len(question.choices)).check()
        item.locator("button").click()
        assert item.locator("[role=status]").inner_text().startswith("No. ")
        item.locator("input").nth(right).check()
        item.locator("button").click()
        assert item.locator("[role=status]").inner_text().startswith("Right. ")
    assert result.inner_text() == "1 of 5 right at the first try."
