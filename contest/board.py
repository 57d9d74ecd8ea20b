"""Board: a class's pretraining cards in one table, as a leaderboard of a course.

    python -m contest board hand-ins

The folder has a folder for each team, and in it the cards of its runs: `card.json` of
`bertcore pretrain`, or a list of cards as chapter 9's exercise saves it. Runs that
differ in their seed alone are one entry. Only what ran for the same time on the same
kind of device, with the same texts and pieces, stands in one table.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any, NamedTuple

import typer

from bertcore.command import say

SEEDS = 3  # fewer do not make an entry: chance has a say
HEAD = (
    "| | team | bits per character | seeds | updates | ahead of the next |\n"
    "| ---: | --- | ---: | ---: | ---: | --- |"
)


class Entry(NamedTuple):
    """A team's runs of one recipe: bits per character by seed, and updates."""

    team: str
    bits: dict[int, float]
    updates: list[int]

    @property
    def counts(self) -> bool:
        """Whether it has enough seeds for a place."""
        return len(self.bits) >= SEEDS

    @property
    def shown(self) -> str:
        """Lowest, median and highest."""
        values = sorted(self.bits.values())
        return f"{values[0]:.3f} {median(values):.3f} {values[-1]:.3f}"


def cards(file: Path) -> list[dict[str, Any]]:
    """The cards of pretraining runs in a file, which holds one or a list.

    Raises:
        ValueError: naming the file, if it is no JSON, or has a card without what the
            board compares.
    """
    try:
        found = json.loads(file.read_text(encoding="utf8"))
    except ValueError as error:  # of the text, or of its letters
        raise ValueError(f"{file}: no JSON that can be read ({error})") from None
    found = found if isinstance(found, list) else [found]
    for card in found:
        try:
            bits = card["results"]["held_out"]["bits_per_character"]
            _ = card["setting"]["recipe"]["seed"], card["results"]["steps"]
            _ = card["setting"]["digests"], card["setting"]["model"], card["device"]
            sound = math.isfinite(bits) and bits > 0
        except (KeyError, TypeError):
            sound = False
        if not sound:
            raise ValueError(
                f"{file}: no card of a pretraining run with held-out texts; the board "
                "takes what `bertcore pretrain` or chapter 9 writes"
            )
    return found


def entries(folder: Path) -> tuple[dict[str, list[Entry]], list[str]]:
    """The entries by what they may be compared in, the best first; and the faults.

    Raises:
        ValueError: if there is no folder of a team.
    """
    teams = sorted(path for path in folder.glob("*") if path.is_dir())
    if not teams:
        raise ValueError(f"{folder} has no folders: make one for each team's cards")
    groups: dict[str, dict[tuple, Entry]] = defaultdict(dict)
    faults = []
    for team in teams:
        files = sorted(team.rglob("*.json"))
        faults += (
            [] if files else [f"{team}: no cards, that is, no files ending in .json"]
        )
        for file in files:
            try:
                found = cards(file)
            except ValueError as error:
                faults.append(str(error))
                continue
            for card in found:
                _add(groups[_class_of(card)], team.name, card)
    ranked = {
        name: sorted(
            own.values(), key=lambda e: (not e.counts, median(e.bits.values()))
        )
        for name, own in sorted(groups.items())
    }
    return ranked, faults


def _class_of(card: dict[str, Any]) -> str:
    """What has to be the same in all runs of a table, in words."""
    recipe, digests = card["setting"]["recipe"], card["setting"]["digests"]
    seconds = recipe.get("seconds")
    length = f"{seconds:g} seconds" if seconds else f"{recipe.get('steps')} updates"
    parts = (f"{name} {digests.get(name, '?')[:8]}" for name in ("data", "vocabulary"))
    return f"{length} on {card['device']}, {', '.join(parts)}"


def _add(own: dict[tuple, Entry], team: str, card: dict[str, Any]) -> None:
    """Put a run with those that differ in the seed alone; a seed counts once."""
    setting, results = card["setting"], card["results"]
    recipe = {
        name: value for name, value in setting["recipe"].items() if name != "seed"
    }
    what = json.dumps([recipe, setting["model"]], sort_keys=True)
    entry = own.setdefault((team, what), Entry(team, {}, []))
    seed = setting["recipe"]["seed"]
    if seed not in entry.bits:
        entry.bits[seed] = results["held_out"]["bits_per_character"]
        entry.updates.append(results["steps"])


def rows(ranked: list[Entry]) -> Iterator[str]:
    """The lines of a table; "yes" only where the ranges of two entries come apart."""
    for place, entry in enumerate(ranked, start=1):
        following = ranked[place : place + 1]
        ahead = ""
        if entry.counts and following and following[0].counts:
            apart = max(entry.bits.values()) < min(following[0].bits.values())
            ahead = "yes" if apart else "undecided"
        number = place if entry.counts else "–"
        updates = f"{median(entry.updates):,.0f}"
        cells = number, entry.team, entry.shown, len(entry.bits), updates, ahead
        yield f"| {' | '.join(map(str, cells))} |"


def board(
    folder: Annotated[Path, typer.Argument(help="With a folder of cards per team.")],
) -> None:
    """A class's cards as a leaderboard: bits per character of held-out texts.

    \b
      python -m contest board hand-ins

    Cards are what teams say of their runs. Before you announce a winner, ask its models
    again: python -m contest leaderboard --model MODEL
    """
    ranked, faults = entries(folder.expanduser())
    for name, own in ranked.items():
        say(f"{name}\n")
        say("\n".join([HEAD, *rows(own)]) + "\n")
    say(f"Lowest, median and highest over seeds; a place takes {SEEDS} seeds or more.")
    for fault in faults:
        say(f"not read: {fault}")
