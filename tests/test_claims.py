"""What people say about BERT: each claim is decided once, where it belongs, by asserts.

Which are decided so far the page says; which are not yet, `undecided` says. It becomes
shorter by itself: once all chapters of a claim are rewritten, one of them decides it.
"""

import ast
from collections import Counter
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.conftest import ROOT
from tools.sync import Claim, claims_cell, claims_of, claims_page, group_of
from tools.tested_copy import instructors_file

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
# Numbers of chapters -> the claims that one of them decides.
PLACES = {
    "00": (1, 2, 3, 4, 25),
    "01": (18,),
    "02": (17,),
    "03 03b": (13, 14, 15, 16),
    "04": (10, 11, 12),
    "04b": (29,),
    "05": (23, 24),
    "06": (19, 20, 21, 22, 28),
    "07": (7, 8),
    "07b": (27,),
    "08": (9,),
    "09": (6,),
    "10": (5,),
    "10b": (26,),
}
# How many claims were undecided when this was last looked at. Lower it.
MOST_UNDECIDED = 0


def decided() -> list[Claim]:
    read = [(nbformat.read(path, as_version=4), path.stem) for path in CHAPTERS]
    return [claim for each in read for claim in claims_of(*each)]


def undecided() -> set[int]:
    """The claims of chapters that have not all been rewritten."""
    new = [path for path in CHAPTERS if instructors_file("exercises", path).is_file()]
    done = {path.stem.split("-")[0] for path in new}
    return {n for at, ns in PLACES.items() if set(at.split()) - done for n in ns}


def test_the_29_claims_have_a_place_each() -> None:
    assert sorted(n for ns in PLACES.values() for n in ns) == [*range(1, 30)]
    assert len(undecided()) <= MOST_UNDECIDED


def test_each_claim_is_decided_once_and_where_it_belongs() -> None:
    found = decided()
    twice = {n for n, times in Counter(c.number for c in found).items() if times > 1}
    assert not twice, f"decided more than once: {sorted(twice)}"
    for claim in found:
        (places,) = (at for at, numbers in PLACES.items() if claim.number in numbers)
        at = claim.chapter.split("-")[0]
        assert at in places.split(), f"claim {claim.number} belongs into {places}"
    missing = set(range(1, 30)) - {claim.number for claim in found} - undecided()
    assert not missing, f"in rewritten chapters, but not decided: {sorted(missing)}"


def test_claims_are_decided_by_asserts() -> None:
    for claim in decided():
        nodes = ast.walk(ast.parse(claim.source))
        asserts = any(isinstance(node, ast.Assert) for node in nodes)
        assert asserts, f"{claim.chapter}, claim {claim.number}: assert the verdict"


def chapter(before: str, after: str) -> nbformat.NotebookNode:
    cell = new_code_cell("assert 1", id="decides", metadata={"tags": ["claim:7"]})
    texts = [new_markdown_cell(text) for text in ("# 9 · A title", before, after)]
    return new_notebook(cells=[*texts[:2], cell, new_code_cell("2"), texts[2]])


def test_claims_are_read_and_shown() -> None:
    before = (
        "Hm.\n\n> **Claim 7.** Heads are\n> *all* right.\n>\n> No more.\n\nWe look."
    )
    after = "> **Verdict: false as said.** With 6 layers it is 3.5 %.\n\nSo there."
    (claim,) = claims_of(chapter(before, after), "09-x")
    assert (claim.number, claim.text) == (7, "Heads are *all* right.")
    assert claim.verdict == "false as said"
    assert claim.condition == "With 6 layers it is 3.5 %."
    page = claims_page([claim])
    for part in (
        "## Claim 7\n\n> Heads are *all* right.\n\n**False as said.** With 6 layers",
        "Decided in [9 · A title](chapters/09-x.ipynb); [run its cell](https://colab.",
        "/blob/colab/chapters/09-x.ipynb#scrollTo=decides).",
    ):
        assert part in page
    cell = claims_cell([claim])
    for part in (
        "| false, or the other way round | 1 | 7 |",
        "| right, with something to add | 0 |  |",
        "All 1 claims",
        "> **7.** Heads are *all* right.\n\n**False as said.** With 6 layers",
        "([chapter 9](09-x.ipynb); [run its cell](https://colab.",
    ):
        assert part in cell
    with pytest.raises(ValueError, match=r"claim 7 is 'so-so'; let it begin .*false"):
        group_of(replace(claim, verdict="so-so"))
    with pytest.raises(ValueError, match=r"decides.*no > \*\*Claim 7.* right before"):
        claims_of(chapter(before.replace("7", "8"), after), "09-x")
    with pytest.raises(ValueError, match=r"no > \*\*Verdict.* right after"):
        claims_of(chapter(before, after.replace("> ", "")), "09-x")
