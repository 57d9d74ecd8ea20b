"""Leaderboard: a valid entry is let in, and every fault is named."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from bertcore.training.contest.leaderboard import (
    BARS,
    FORMAT,
    MARKS,
    bar_of,
    entries,
    faults,
    table,
    with_table,
)
from bertcore.training.contest.quiz import DIGESTS, PACKAGED
from tests.conftest import ROOT

Entry = dict[str, Any]
PAGE = ROOT / "data" / "leaderboard" / "README.md"


def run(seed: int, seconds: float) -> Entry:
    curve = [[0, 0, 0.0, 3.1], [10, 900, seconds / 2, 2.3], [20, 1800, seconds, 2.15]]
    return {"seed": seed, "seconds": seconds, "curve": curve}


def entry() -> Entry:
    """A valid one: a median of 20 s at 1e9 operations a second."""
    setting = {
        "format": FORMAT,
        "name": "small",
        "by": "Ada",
        "digests": {**DIGESTS, "data": PACKAGED},
        "model": {"class": "BertForMaskedLM"},
        "recipe": {"batch": 16},
        "parameters": 1000,
        "operations": 6000.0,
        "precision": "float32",
        "rate": 1e9,
    }
    results = {
        "bar": 2.2,
        "seconds": 20.0,
        "compute": 2e10,
        "runs": [run(0, 10.0), run(1, 20.0), run(2, 30.0)],
    }
    return {
        "what": "Time to 2.2 bits per character: small",
        "data": "some texts",
        "setting": setting,
        "results": results,
        "device": "a machine",
        "versions": {"python": "3.11"},
        "revision": "0123456789ab",
    }


def changed(path: str, value: Any) -> Callable[[Entry], None]:
    def change(card: Entry) -> None:
        *way, last = path.split(".")
        part: Any = card
        for name in way:
            part = part[int(name) if name.isdigit() else name]
        part[int(last) if last.isdigit() else last] = value

    return change


def without(path: str) -> Callable[[Entry], None]:
    def change(card: Entry) -> None:
        *way, last = path.split(".")
        part: Any = card
        for name in way:
            part = part[name]
        del part[last]

    return change


def test_a_valid_entry() -> None:
    assert faults(entry()) == []
    assert faults(json.loads(json.dumps(entry()))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("setting.recipe"), "setting.recipe is missing"),
        (without("results"), "results.bar is missing"),
        (changed("revision", None), "revision is missing"),
        (changed("setting.by", ""), "setting.by is missing"),
        (changed("setting.rate", "fast"), "setting.rate is 'fast', which is no number"),
        (
            changed("setting.model", "BERT"),
            "setting.model is 'BERT', which is no object",
        ),
        (changed("results.seconds", float("nan")), "results.seconds is nan"),
        (changed("results.runs.1.curve.2.3", float("nan")), "runs.1.curve.2.3 is nan"),
        (changed("setting.rate", float("inf")), "setting.rate is inf"),
        (changed("setting.format", "mine"), "format is 'mine'; it must be 'bertcore s"),
        (
            changed("results.bar", 2.5),
            "no bar at 2.5 bits per character; there are 2.2",
        ),
        (changed("setting.digests.held_out", "0"), "digest of held_out is 0, that of"),
        (without("setting.digests.questions"), "digest of questions is None, that of"),
        (changed("setting.digests.vocabulary", "0"), "it was asked something else"),
        (lambda e: e["results"]["runs"].pop(), "2 different seeds in 2 runs; 3 are as"),
        (changed("results.runs.2.seed", 1), "2 different seeds in 3 runs; 3 are asked"),
        (changed("results.runs.2", "fast"), "a run lacks seed, seconds or a curve of"),
        (
            changed("results.runs.2.curve", [[0, 1]]),
            "a run lacks seed, seconds or a cu",
        ),
        (
            changed("results.runs.0.curve.2.3", 2.25),
            "seed 0: the curve never meets the bar 2.2; its best is 2.2500",
        ),
        (changed("results.runs.0.curve", []), "seed 0: the curve never meets the bar"),
        (
            changed("results.runs.0.curve.1.3", 2.1),
            "meets the bar after 5.0 s, earlier than the 10.0 s that are claimed",
        ),
        (
            changed("results.runs.0.seconds", 9.0),
            "meets the bar after 10.0 s, later than the 9.0 s that are claimed",
        ),
        (
            changed("results.runs.0.curve.1.2", 11.0),
            "seed 0: seconds of the curve do not rise",
        ),
        (changed("results.runs.0.curve.0.1", 1000), "tokens of the curve do not rise"),
        (
            changed("setting.operations", 6e9),
            "1,800 tokens of 6e\\+09 operations are more than the machine can do",
        ),
        (changed("results.seconds", 10.0), "seconds is 10.0, and the median of the ru"),
        (
            changed("results.compute", 1e10),
            "compute is 1.*20.0 s at 1.* operations a s",
        ),
        (changed("revision", "0123-dirty"), "revision 0123-dirty: something differs"),
    ],
)
def test_faults_are_named(change: Callable[[Entry], None], message: str) -> None:
    card = deepcopy(entry())
    change(card)
    found = faults(card)
    assert found
    with pytest.raises(ValueError, match=message):
        raise ValueError("; ".join(found))


def test_what_is_no_entry_at_all() -> None:
    assert "what is missing" in faults({})
    with pytest.raises(ValueError, match="no bar at 1 bits per character; there are 2"):
        bar_of(1)


def test_the_table_ranks_by_compute() -> None:
    slow, fast = entry(), entry()
    fast["results"]["compute"], fast["setting"]["name"] = 1e10, "fast | new"
    fast["setting"]["digests"]["data"] = "other"
    lines = table([slow, fast]).splitlines()
    assert "| 2.2 | 1 | fast / new | Ada | 1e-05 | 20.0 | a machine | own |" in lines[2]
    assert "| 2.2 | 2 | small | Ada | 2e-05 | 20.0 | a machine | packaged |" in lines[3]
    assert lines[4].startswith("| 1.4 | | *none yet*") and len(lines) == 6


def test_the_page_has_the_table_and_the_recorded_entries_are_valid() -> None:
    page = PAGE.read_text(encoding="utf8")
    recorded = entries()
    assert recorded, "the checkout has entries of its own"
    assert with_table(page, table(recorded)) == page
    for card in recorded:
        assert faults(card) == [], card["setting"]["name"]
    for bar in BARS:
        assert f"**{bar}**" in page
    with pytest.raises(ValueError, match=f"no marks {MARKS[0]}"):
        with_table("a page", "a table")
