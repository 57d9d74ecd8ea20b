"""The syllabi of teach.md: in step with the chapters, in an order that works."""

import json
import re

import pytest

from tests.conftest import ROOT
from tools import syllabi
from tools.sheets import Facts, all_facts


@pytest.fixture(scope="module")
def facts() -> dict[str, Facts]:
    return {each.name: each for each in all_facts()}


def needed(its: Facts) -> set[str]:
    """The numbers of the chapters that one says it needs."""
    found = set()
    for said in re.findall(r"chapters? (\d+b?(?:(?:, | and | to )\d+b?)*)", its.needs):
        if "to" in said:
            first, last = map(int, said.split(" to "))
            found |= {str(number) for number in range(first, last + 1)}
        found |= set(re.findall(r"\d+b?", said))
    return found


def points_and_minutes(name: str) -> tuple[list[int], int]:
    """From the file itself: points for code and for words, and minutes."""
    path = ROOT / "chapters" / f"{name}.ipynb"
    points, minutes = [0, 0], 0
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        marks, about = cell["metadata"].get("tags", []), cell["metadata"]
        if {"exercise", "answer"} & set(marks) and not about.get("optional"):
            points["answer" in marks] += about["points"]
            minutes += about["minutes"]
    return points, minutes


def test_the_page_is_in_step() -> None:
    assert syllabi.PAGE.read_text(encoding="utf8") == syllabi.page(), "run make sync"


def test_there_are_three_of_the_right_lengths() -> None:
    found = syllabi.syllabi()
    assert [each["weeks"] for each in found] == [4, 8, 12]
    for each in found:
        assert any("project" in week for week in each["plan"])
        assert "hand in cards and report" in each["plan"][-1]["project"]


@pytest.mark.parametrize("weeks", [4, 8, 12])
def test_its_sums_are_those_of_the_metadata(
    weeks: int, facts: dict[str, Facts]
) -> None:
    (plan,) = (each for each in syllabi.syllabi() if each["weeks"] == weeks)
    names = [name for week in plan["plan"] for name in week["chapters"]]
    assert len(names) == len(set(names)), "a chapter is assigned twice"
    total, hours = [0, 0], 0
    for name in names:
        points, minutes = points_and_minutes(name)
        total = [a + b for a, b in zip(total, points, strict=True)]
        hours += minutes + facts[name].reading
    row = f"| | all | {hours / 60:.1f} | {total[0]} | {total[1]} | | |"
    page = syllabi.PAGE.read_text(encoding="utf8")
    part = page.partition(f"### In {weeks} weeks")[2].partition("### ")[0]
    assert row in part
    assert part.count("| before week ") == weeks - 1


def test_no_chapter_comes_before_one_that_it_needs(facts: dict[str, Facts]) -> None:
    assert needed(facts["08b-modern"]) == {"2", "3", "4"}
    assert needed(facts["05-pooling"]) == {"3", "4"}
    for plan in syllabi.syllabi():
        taken: set[str] = set()
        for week in plan["plan"]:
            for name in week["chapters"]:
                missing = needed(facts[name]) - taken
                assert not missing, f"{plan['weeks']} weeks: {name} needs {missing}"
                taken.add(facts[name].number)


def test_a_plan_with_a_week_missing_is_refused(tmp_path, monkeypatch) -> None:
    file = tmp_path / "syllabi.yml"
    file.write_text("- weeks: 2\n  plan:\n  - chapters: [00-map]\n", "utf8")
    monkeypatch.setattr(syllabi, "FILE", file)
    with pytest.raises(ValueError, match="the plan of 2 weeks has 1"):
        syllabi.syllabi()
