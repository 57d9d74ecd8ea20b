"""The board of a class: what is compared, in which order, and what is not read."""

import json
from pathlib import Path

import pytest

from bertcore.cards import read_card
from contest.__main__ import main
from contest.board import cards, entries


def card(bits: float, seed: int, **recipe) -> dict:
    """A real card with other bits and another seed."""
    made = read_card("pretraining-mini-english")
    made["results"]["held_out"]["bits_per_character"] = bits
    made["setting"]["recipe"] |= {"seed": seed, "seconds": 300.0} | recipe
    made["device"] = "a laptop"
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ada is ahead of the reference, Ben is not; Cleo has two seeds, Dan a ruin."""

    def write(team: str, *found: dict, name: str = "cards.json") -> None:
        (tmp_path / team).mkdir(exist_ok=True)
        (tmp_path / team / name).write_text(json.dumps(found), "utf8")

    write("reference", *(card(b, s) for s, b in enumerate((1.31, 1.30, 1.32))))
    write("ada", *(card(b, s, mask_rate=0.2) for s, b in enumerate((1.2, 1.25, 1.22))))
    write("ben", *(card(b, s, batch=64) for s, b in enumerate((1.29, 1.315, 1.3))))
    write("cleo", *(card(b, s, batch=8) for s, b in enumerate((0.9, 0.95))))
    for seed in range(3):  # single files, and another time
        one = card(1.0 + seed / 100, seed, seconds=600.0)
        (tmp_path / "ada" / f"card-{seed}.json").write_text(json.dumps(one), "utf8")
    (tmp_path / "dan").mkdir()
    (tmp_path / "dan" / "card.json").write_text('{"results": ', "utf8")
    return tmp_path


def test_entries_are_ranked_among_their_equals(folder: Path) -> None:
    ranked, faults = entries(folder)
    long, short = sorted(ranked, key=lambda name: "300 seconds" in name)
    assert short.startswith("300 seconds on a laptop, data fb94c17e")
    assert [each.team for each in ranked[short]] == ["ada", "ben", "reference", "cleo"]
    assert [each.team for each in ranked[long]] == ["ada"]
    assert ranked[short][0].shown == "1.200 1.220 1.250"
    assert len(faults) == 1 and "dan/card.json: no JSON" in faults[0]


def test_the_board_says_where_ranges_come_apart(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["board", str(folder)]) == 0
    said = capsys.readouterr().out
    (ada, _), (ben,), (reference,), (cleo,) = (
        [line for line in said.splitlines() if f"| {team} |" in line]
        for team in ("ada", "ben", "reference", "cleo")
    )
    assert ada.startswith("| 1 | ada | 1.200 1.220 1.250 | 3 |")
    assert ada.endswith("| yes |") and ben.endswith("| undecided |")
    assert reference.endswith("|  |") and cleo.startswith("| – | cleo |")
    assert "not read: " in said


@pytest.mark.parametrize(
    "text",
    ["[]x", "[1]", "{}", json.dumps(card(float("nan"), 0)), json.dumps(card(-1.0, 0))],
)
def test_what_is_no_card_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    file.write_text(text, "utf8")
    with pytest.raises(ValueError, match=r"card\.json: no (JSON|card)"):
        cards(file)


def test_a_seed_counts_once_and_no_team_is_told(tmp_path: Path) -> None:
    (tmp_path / "eve").mkdir()
    again = [card(1.3, 0), card(1.1, 0), card(1.2, 0)]
    (tmp_path / "eve" / "cards.json").write_text(json.dumps(again), "utf8")
    ((entry,),) = entries(tmp_path)[0].values()
    assert entry.bits == {0: 1.3} and not entry.counts
    (tmp_path / "empty").mkdir()
    assert entries(tmp_path)[1] == [
        f"{tmp_path / 'empty'}: no cards, that is, no files ending in .json"
    ]
    with pytest.raises(ValueError, match="has no folders: make one for each team"):
        entries(tmp_path / "empty")
