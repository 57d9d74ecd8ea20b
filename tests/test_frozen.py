"""What the package computes stays what it was, whatever is moved, renamed or tidied.

The goldens were written by tests/golden/make.py, which says when to write them anew.
"""

from typing import Any

import pytest

from bertcore.sources import ENCODER, OUR_MODEL
from tests.golden import make
from tests.golden.make import BLOCK, MADE_UP, UPDATES, read


def test_ids_of_a_thousand_texts() -> None:
    wanted, found = read("ids"), make.ids()
    assert len(make.texts()) == 1000
    assert found["texts"] == wanted["texts"], "the texts themselves have changed"
    for name in (ENCODER, OUR_MODEL):
        first = zip(MADE_UP, found[name]["first"], wanted[name]["first"], strict=True)
        for text, ours, theirs in first:
            assert ours == theirs, f"{name}: {text!r}"
        blocks = zip(found[name]["digests"], wanted[name]["digests"], strict=True)
        for block, (ours, theirs) in enumerate(blocks):
            places = f"texts()[{block * BLOCK}:{(block + 1) * BLOCK}]"
            assert ours == theirs, f"{name} gives other ids for some of {places}"


@pytest.fixture(scope="module")
def updates() -> dict[str, Any]:
    return make.updates()


def test_twenty_updates(updates: dict[str, Any]) -> None:
    """On any machine: another one adds in another order, and rounds otherwise."""
    wanted = read("updates")
    assert len(updates["losses"]) == UPDATES
    assert numbers(updates["losses"]) == pytest.approx(
        numbers(wanted["losses"]), rel=1e-4
    )
    assert len(updates["held out"]) == len(wanted["held out"])
    for ours, theirs in zip(updates["held out"], wanted["held out"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_twenty_updates_to_the_bit(updates: dict[str, Any]) -> None:
    """Where the goldens were written, or on a machine that is like it."""
    wanted = read("updates")
    if updates["machine"] != wanted["machine"]:
        pytest.skip(f"bits are those of {wanted['machine']}")
    assert updates["losses"] == wanted["losses"]
    assert updates["weights"] == wanted["weights"]


def numbers(losses: list[list[str]]) -> list[float]:
    return [float.fromhex(loss) for each in losses for loss in each]


def test_a_fine_tuning() -> None:
    wanted, found = read("finetuning"), make.finetuning()
    assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-3)
    assert found["scores"] == pytest.approx(wanted["scores"], abs=0.02)
    for ours, theirs in zip(found["predictions"], wanted["predictions"], strict=True):
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1], abs=1e-3)


@pytest.mark.parametrize("how", ["greedy", "beams"])
def test_what_is_written(how: str) -> None:
    wanted, found = read("writing")[how], make.writing()[how]
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])
        assert ours[1] == pytest.approx(theirs[1], rel=1e-5)
