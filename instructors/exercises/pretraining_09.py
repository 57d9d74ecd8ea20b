"""Chapter 9: how its exercises are graded, and how a hand-in of cards is read."""

import math
from random import Random

from instructors.grading import Exercise

SAME = ("model", "digests", "precision", "compiled", "processes")
MEASURED = ("steps", "tokens", "training_seconds")


def forecast_cases(seed, given):
    """Slow and fast machines, little and much text."""
    rng = Random(seed)
    drawn = [
        (
            rng.randint(500, 5_000_000),
            rng.choice((0.5, 2, 10, 180)),
            rng.randint(10_000, 10**9),
            rng.choice((0.15, 0.3, 0.4)),
        )
        for _ in range(6)
    ]
    return [(1000, 1, 60_000, 0.5), *drawn]


class ShortRuns:
    """Losses of short runs that never ran, and what was asked of them.

    The best learning rate lies at `best`; some way above it runs diverge. With `luck`
    one seed of three is lucky below the best rate, one is unlucky at it or diverges,
    and above it two diverge while the third is lucky. The median minds none of it.
    """

    def __init__(self, best, luck, breaks, broken):
        self.best, self.luck, self.breaks = best, luck, breaks
        self.broken, self.asked = broken, []

    def __call__(self, rate, seed):
        self.asked.append((round(math.log(rate), 6), seed))
        away = math.log(rate / self.best)
        if away > math.log(self.breaks):
            return self.broken
        loss = 6 + 0.3 * away**2
        draw = Random(f"{rate:.6g}")
        if not self.luck:
            return loss + 0.1 * Random(f"{seed} {rate:.6g}").random()
        chosen = draw.randrange(3) == seed
        if away > 0.55:  # half the way from one rate tried to the next, and above
            return loss - 4 if chosen else self.broken
        if not chosen:
            return loss
        if away < -0.55:
            return loss - 4
        return self.broken if draw.random() < 0.5 else loss + 4


def rate_cases(seed, given):
    """The best rate is in the middle, far below, far above; runs may diverge."""
    rng, cases = Random(seed), []
    for power in (0, -1, 1, -4, 3):
        best = 1e-3 * 3**power * rng.uniform(0.9, 1.1)
        for broken in (math.nan, math.inf):
            luck = power % 2 == 1  # which must show before all seeds diverge
            breaks = 20.0 if luck else rng.choice((2.0, 20.0))
            runs = ShortRuns(best, luck, breaks, broken)
            cases.append((runs, 1e-3, 3.0, 3))
    # A single seed that is lucky must not decide.
    return [*cases, (ShortRuns(2e-2, False, 20.0, math.nan), 1e-2, 2.0, 5)]


def found_and_asked(solution, runs, first, factor, seeds):
    """The rate, what was asked of which seeds, and whether anything was asked twice."""
    rate = solution(runs, first, factor, seeds)
    each = {}
    for asked, seed in runs.asked:
        each.setdefault(asked, set()).add(seed)
    return {
        "rate": float(rate),
        "rates tried": len(each),
        "seeds of each": all(found == set(range(seeds)) for found in each.values()),
        "nothing twice": len(runs.asked) == len(set(runs.asked)),
    }


def change_cases(seed, given):
    """A few updates on a few texts, with one field or another changed."""
    few, config, base = given["few"], given["tiny"], given["base"]
    rng = Random(seed)
    start = base.replace(seed=rng.randint(1, 1000), steps=rng.choice((2, 3)))
    changes = [("mask_rate", 0.15), ("learning_rate", 2e-3), ("weight_decay", 0.0)]
    return [(few, config, start, *rng.choice(changes))]


def read_cards(solution, texts, config, base, name, value):
    """What the cards say, less the time, which is never the same."""
    cards = solution(texts, config, base, name, value)
    read = {"how many": len(cards), "faults": faults_of(cards, least=0)}
    for number, card in enumerate(cards):
        read[number] = {
            "recipe": card["setting"]["recipe"],
            "updates": card["results"]["steps"],
            "held out": round(card["results"]["held_out"]["masked_lm"], 3),
        }
    return read


def faults_of(cards, least=240.0):
    """What keeps two cards from being a fair comparison of one change, in sentences.

    For a hand-in of exercise 9.4: `faults_of(json.load(open("my-change.json")))`.

    Args:
        least: seconds of training that each run must have had.
    """
    if len(cards) != 2:
        return [f"there are {len(cards)} cards, and two are compared"]
    faults, (one, other) = [], (card["setting"] for card in cards)
    both = one["recipe"].keys() | other["recipe"].keys()
    fields = {k for k in both if one["recipe"].get(k) != other["recipe"].get(k)}
    if len(fields) != 1:
        faults.append(f"they differ in {sorted(fields) or 'nothing'}, not in one field")
    for key in SAME:
        if one.get(key) != other.get(key):
            faults.append(f"they differ in {key}, too")
    if cards[0]["device"] != cards[1]["device"]:
        faults.append("they ran on two devices")
    for number, card in enumerate(cards, 1):
        results = card["results"]
        if not all(results.get(name) for name in MEASURED[:2]):
            faults.append(f"run {number} made no update")
        elif results["training_seconds"] < least:
            faults.append(f"run {number} is shorter than {least:.0f} seconds")
        loss = results.get("held_out", {}).get("masked_lm", math.nan)
        if not 0 < loss < results.get("unigram_loss", 0) + 5:
            faults.append(f"run {number} has no held-out loss that can be")
    return faults


EXERCISES = {
    "forecast": Exercise(forecast_cases),
    "find_learning_rate": Exercise(rate_cases, examine=found_and_asked),
    "one_change": Exercise(change_cases, examine=read_cards, tolerance=1e-3),
}
