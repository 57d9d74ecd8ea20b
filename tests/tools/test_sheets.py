"""The sheets for teachers: in step with the chapters, and a page each on paper."""

import io
import json
from pathlib import Path

import pytest

from tests.browser import installed
from tests.conftest import ROOT
from tools import sheets

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


@pytest.fixture(scope="module")
def facts() -> dict[str, sheets.Facts]:
    return {each.name: each for each in sheets.all_facts()}


def test_each_chapter_has_its_sheet_and_it_is_in_step() -> None:
    wanted = sheets.wanted_files()
    assert [path.stem for path in wanted] == [path.stem for path in CHAPTERS]
    assert set(wanted) == set(sheets.FOLDER.glob("*.md"))
    assert len(list(sheets.FOLDER.glob("*.yml"))) == len(wanted)
    for path, text in wanted.items():
        assert path.read_text(encoding="utf8") == text, f"{path.name}: run make sync"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_totals_are_those_of_the_metadata(
    path: Path, facts: dict[str, sheets.Facts]
) -> None:
    """Added up from the file itself, and beside what the chapter tells its readers."""
    marked = [
        cell["metadata"]
        for cell in json.loads(path.read_text(encoding="utf8"))["cells"]
        if {"exercise", "answer"} & set(cell["metadata"].get("tags", []))
    ]
    its = facts[path.stem]
    for field in ("points", "minutes"):
        for optional in (False, True):
            wanted = sum(
                m[field] for m in marked if m.get("optional", False) == optional
            )
            assert its.total(field, optional=optional) == wanted
    assert its.total("points", *sheets.CODE) + its.total("points", "words") == (
        its.total("points")
    )
    said = f"{its.total('minutes')} for the exercises ({its.total('points')} points)"
    assert said in its.opening
    assert len({item.number for item in its.items}) == len(marked)


def test_a_sheet_says_what_to_say_and_what_to_discuss(
    facts: dict[str, sheets.Facts],
) -> None:
    for its in facts.values():
        own = sheets.written(its)
        assert set(own) <= {"say", "discuss", "gpu"}
        assert all(1 <= len(ideas) <= 3 for ideas in own["say"].values()), its.name
        assert len(own["discuss"]) >= 2, its.name
        assert all(set(each) == {"ask", "good"} for each in own["discuss"])
        assert len(its.objectives) >= 4 and its.needs


def test_kinds_follow_from_how_an_exercise_is_graded(
    facts: dict[str, sheets.Facts],
) -> None:
    """What is called a test is graded by candidates that it accepts or rejects."""
    its = facts["03-attention"]
    examine = its.chapter.generators.EXERCISES
    kinds = {item.name: item.kind for item in its.items if item.name}
    assert kinds == {
        "better_share": "function",
        "attend": "function",
        "HeadByHead": "class",
        "test_attention": "test",
    }
    assert examine["test_attention"].examine is not examine["attend"].examine


def test_what_is_not_in_the_chapter_is_refused(
    facts: dict[str, sheets.Facts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = facts["03-attention"]
    text = (sheets.FOLDER / "03-attention.yml").read_text(encoding="utf8")
    monkeypatch.setattr(sheets, "FOLDER", tmp_path)
    file = tmp_path / "03-attention.yml"
    file.write_text(text.replace("an empty row is NaN", "an empty row"), "utf8")
    with pytest.raises(ValueError, match="attend has no wrong solution 'an empty row'"):
        sheets.written(its)
    file.write_text(text.replace("  HeadByHead:", "  Heads:"), "utf8")
    with pytest.raises(
        ValueError, match=r"Heads.*in order, better_share, attend, Head"
    ):
        sheets.written(its)


def test_each_sheet_is_one_page_of_paper(facts: dict[str, sheets.Facts]) -> None:
    from pypdf import PdfReader

    installed()
    texts = list(sheets.wanted_files().values())
    assert len(PdfReader(io.BytesIO(sheets.printed(texts))).pages) == len(texts)
    with pytest.raises(ValueError, match=r"^3 · Attention.*2 pages; shorten its file"):
        sheets.printed([texts[4] + texts[4]])
