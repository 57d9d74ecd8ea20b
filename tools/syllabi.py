"""Plans of a course for 4, 8 and 12 weeks: python -m tools.syllabi

Writes the tables of teach.md, between two marks, from instructors/syllabi.yml. Hours
and points are added up from the chapters, so they cannot drift from them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from bertcore.files import write_text
from tools.sheets import CODE, Facts, all_facts
from tools.sync import ROOT

FILE, PAGE = ROOT / "instructors" / "syllabi.yml", ROOT / "teach.md"
BEGIN, END = "<!-- syllabi: written by make sync -->", "<!-- end of syllabi -->"


class Load(NamedTuple):
    """What some chapters ask for: minutes, and points by who gives them."""

    reading: int
    exercises: int
    by_grader: int
    by_hand: int

    @property
    def hours(self) -> str:
        """Reading and exercises, to a tenth."""
        return f"{(self.reading + self.exercises) / 60:.1f}"


def load_of(chapters: Sequence[Facts]) -> Load:
    """The sums over chapters, without what is optional."""
    return Load(
        sum(each.reading for each in chapters),
        sum(each.total("minutes") for each in chapters),
        sum(each.total("points", *CODE) for each in chapters),
        sum(each.total("points", "words") for each in chapters),
    )


def syllabi() -> list[dict[str, Any]]:
    """The plans as the file has them.

    Raises:
        ValueError: if a plan has not as many weeks as it says.
    """
    found = yaml.safe_load(FILE.read_text(encoding="utf8"))
    for each in found:
        if len(each["plan"]) != each["weeks"]:
            raise ValueError(
                f"the plan of {each['weeks']} weeks has {len(each['plan'])}: {FILE}"
            )
    return found


def table(syllabus: Mapping[str, Any], facts: Mapping[str, Facts]) -> str:
    """A syllabus in Markdown: a row for each week, and the sums."""
    rows = [
        "| Week | Chapters | Hours | Points: grader | you | Hand in | Project |",
        "| ---: | --- | ---: | ---: | ---: | --- | --- |",
    ]
    weeks, taken = syllabus["weeks"], []
    for week, plan in enumerate(syllabus["plan"], start=1):
        chapters = [facts[name] for name in plan["chapters"]]
        taken += chapters
        links = ", ".join(
            f"[{each.title.partition(':')[0]}](chapters/{each.name}.ipynb)"
            for each in chapters
        )
        load = load_of(chapters)
        due = f"before week {week + 1}" if week < weeks else "a week later"
        numbers = load.hours, load.by_grader, load.by_hand
        cells = week, links, *numbers, due, plan.get("project", "")
        rows.append(f"| {' | '.join(map(str, cells))} |")
    load = load_of(taken)
    rows.append(f"| | all | {load.hours} | {load.by_grader} | {load.by_hand} | | |")
    left = [f.number for f in facts.values() if f not in taken and f.number.isdigit()]
    text = syllabus["about"].strip()
    if left:
        text += f" It leaves out chapters {' and '.join(left)}, which it does not need."
    return f"### In {weeks} weeks\n\n{text}\n\n" + "\n".join(rows)


def page() -> str:
    """teach.md, with its tables as they should be."""
    facts = {each.name: each for each in all_facts()}
    before, _, rest = PAGE.read_text(encoding="utf8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = [table(each, facts) for each in syllabi()]
    return before + "\n\n".join([BEGIN, *tables, END]) + after


def main() -> None:
    """Write the page if it is out of date."""
    text = page()
    if PAGE.read_text(encoding="utf8") != text:
        write_text(PAGE, text)
        print(f"{PAGE.name}: written")


if __name__ == "__main__":
    main()
