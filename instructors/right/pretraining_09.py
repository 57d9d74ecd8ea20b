"""Chapter 9: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "forecast": [
        # named step by step
        """
def forecast(speed, minutes, corpus, mask_rate):
    seconds = minutes * 60
    read = speed * seconds
    passes = read / corpus
    labels = passes * corpus * mask_rate
    return passes, labels
""",
        # a named tuple
        """
from typing import NamedTuple


class Forecast(NamedTuple):
    passes: float
    labels: float


def forecast(speed: float, minutes: float, corpus: int, mask_rate: float):
    return Forecast(
        passes=speed * minutes / (corpus / 60), labels=speed * minutes * 60 * mask_rate
    )
""",
        # both by one product of vectors
        """
def forecast(speed, minutes, corpus, mask_rate):
    return list(60 * speed * minutes * np.array([1 / corpus, mask_rate]))
""",
    ],
    "find_learning_rate": [
        # a rate is a power of the factor, and each is computed once
        """
from functools import cache


def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    @cache
    def median(power):
        found = [short_run(first * factor**power, seed) for seed in range(seeds)]
        found = np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=np.inf)
        return np.median(found)

    low, high = -1, 1
    while True:
        best = min(range(low, high + 1), key=median)
        if low < best < high:
            return first * factor**best
        low, high = min(low, best - 1), max(high, best + 1)
""",
        # two lists in order, which grow on either side
        """
import math
import statistics


def find_learning_rate(short_run, first: float, factor: float = 3.0, seeds: int = 3):
    def score(rate):
        losses = []
        for seed in range(seeds):
            loss = float(short_run(rate, seed))
            losses.append(loss if math.isfinite(loss) else math.inf)
        return statistics.median(losses)

    rates = [first / factor, first, first * factor]
    scores = [score(rate) for rate in rates]
    at = scores.index(min(scores))
    while at in (0, len(rates) - 1):
        if at == 0:
            rates.insert(0, rates[0] / factor)
            scores.insert(0, score(rates[0]))
        else:
            rates.append(rates[-1] * factor)
            scores.append(score(rates[-1]))
        at = scores.index(min(scores))
    return rates[at]
""",
        # downhill: three neighbours that move along, one step at a time
        """
def find_learning_rate(short_run, first, factor=3.0, seeds=3):
    def tried(rate):
        losses = np.array([short_run(rate, s) for s in range(seeds)], dtype=float)
        losses[~np.isfinite(losses)] = np.inf
        return np.sort(losses)[seeds // 2], rate

    left, middle, right = map(tried, (first / factor, first, first * factor))
    while True:
        best = min(left, middle, right)  # of equal losses the lower rate
        if best is middle:
            return middle[1]
        if best is left:
            left, middle, right = tried(left[1] / factor), left, middle
        else:
            left, middle, right = middle, right, tried(right[1] * factor)
""",
    ],
    "one_change": [
        # spelt out, with the standard library's `replace`
        """
def one_change(texts, config, base, name, value):
    first = run.start_run(texts, base, config, settings=settings, evaluations=1)
    first.run()
    other = replace(base, **{name: value})
    second = run.start_run(texts, other, config, settings=settings, evaluations=1)
    second.run()
    return [first.card(), second.card()]
""",
        # the recipe as a dictionary with one entry changed
        """
def one_change(texts, config, base, name: str, value):
    def card_of(changes):
        how = type(base)(**{**vars(base), **changes})
        keywords = {"settings": settings, "evaluations": 1}
        return run.start_run(texts, how, config, **keywords).run().card()

    return list(map(card_of, ({}, {name: value})))
""",
        # the changed one is trained first
        """
def one_change(texts, config, base, name, value):
    cards = {}
    for kind, recipe_of_it in (
        ("changed", base.replace(**{name: value})),
        ("unchanged", base),
    ):
        trained = run.start_run(
            texts, recipe_of_it, config, evaluations=1, settings=settings
        ).run()
        cards[kind] = trained.card()
    return cards["unchanged"], cards["changed"]
""",
    ],
}
