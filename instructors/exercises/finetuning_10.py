"""Chapter 10: how its exercises are graded, and how a hand-in of a task is read."""

import math
import re
from random import Random
from typing import NamedTuple

from instructors.grading import Exercise

WORDS = "who what where Ada moon far is the to of Ångström 1852 don't l'été".split()
ALIKE = "Höhne", "Hühne", "Hähne"


class Row(NamedTuple):
    """A text with a label, as the chapter's rows are."""

    text: str
    label: str


def sample_cases(seed, given):
    """Accuracies near 0.5 and near 1; margins wide, narrow, and so wide that few do."""
    rng = Random(seed)
    shares = [rng.uniform(0.03, 0.97) for _ in range(8)]
    cases = [(share, rng.uniform(0.005, 0.08)) for share in shares]
    return [*cases, (rng.uniform(0.03, 0.97), rng.uniform(0.2, 0.4))]


def leak_cases(seed, given):
    """Copies with other capitals, marks and spaces; and texts that only look alike."""
    rng, cases = Random(seed), []
    for _ in range(6):
        texts = [rng.choices(WORDS, k=rng.randint(2, 6)) for _ in range(12)]
        train = [Row(disguised(words, rng), rng.choice("abc")) for words in texts[:8]]
        kept = [words for words in texts[:8] if rng.random() < 0.5]
        alike = [words[::-1] for words in texts[:2]] + [texts[2][:-1], texts[3] * 2]
        joined = [["".join(words)] for words in texts[4:6]]
        test = [*kept, *kept[:1], *alike, *joined, *texts[8:]]
        name, other = rng.sample(ALIKE, 2)  # which differ in a letter with an accent
        train.append(Row(disguised([*texts[6], name], rng), "a"))
        test.append([*texts[6], other])
        rng.shuffle(test)
        rows = [Row(disguised(words, rng), rng.choice("abc")) for words in test]
        cases.append((train, rows))
    return [*cases, ([], cases[0][1]), (cases[0][0], [])]


def disguised(words, rng):
    """The same words in the same order, written in another way."""
    change = rng.choice((str.upper, str.lower, str.title, str))
    between = rng.choice((" ", "  ", "\t", ", ", " – ", ",", "-"))
    told = between.join(map(change, words)) + rng.choice(("", "?", " ?", "...", " "))
    # What upper case changes for good would be another word.
    same = re.findall(r"\w+", told.lower())
    plain = re.findall(r"\w+", between.join(words).lower())
    return told if same == plain else between.join(words)


class Fit:
    """Scores that hang on the seed and the number of rows; it notes what it was given.

    A score rises and falls with the seed, so that the middle one is not the mean.
    """

    def __init__(self, seed):
        self.seed, self.asked = seed, []

    def __call__(self, rows, seed):
        self.asked.append((len(rows), seed, tuple(row.text for row in rows)))
        return round(Random(f"{self.seed} {seed} {len(rows)}").random() ** 3, 6)


def curve_cases(seed, given):
    """Odd and even numbers of seeds; sizes in and out of order; all rows as a size."""
    rng, cases = Random(seed), []
    for sizes, seeds in (([5, 20], 3), ([40, 10, 25], 5), ([1, 30], 4), ([12], 1)):
        rows = [Row(f"text {n} {rng.random()}", "a") for n in range(40)]
        cases.append((Fit(rng.random()), rows, sizes, seeds))
    return cases


def curve_and_draws(solution, fit, rows, sizes, seeds):
    """The curve, and what holds of the rows that were drawn."""
    before = list(rows)
    curve = solution(fit, rows, sizes, seeds)
    again = Fit(fit.seed)
    solution(again, list(before), sizes, seeds)
    drawn, texts = {}, [row.text for row in before]
    for count, seed, chosen in fit.asked:
        drawn.setdefault(seed, {})[count] = chosen
    nested = all(
        set(by_size[a]) <= set(by_size[b])
        for by_size in drawn.values()
        for a in by_size
        for b in by_size
        if a < b
    )
    order = [
        [texts.index(text) for text in by_size[max(by_size)]]
        for by_size in drawn.values()
    ]
    # Of the largest draws, because chance may well begin two orders with one row.
    orders = {tuple(each) for each in order}
    return {
        "curve": {size: tuple(map(float, three)) for size, three in curve.items()},
        "trained": sorted((count, seed) for count, seed, _ in fit.asked),
        "nothing twice in a draw": all(len(set(c)) == len(c) for *_, c in fit.asked),
        "smaller within larger": nested,
        "another order for each seed": len(orders) == len(drawn),
        "the same draws again": sorted(again.asked) == sorted(fit.asked),
        "in a random order": all(o != sorted(o) for o in order if len(o) > 9),
        "the list as it was": rows == before,
    }


class Run:
    """Runs that never ran: validation scores, tests, and what was asked of them.

    With `lucky`, one seed of the wrong rate is the best of all on validation rows, and
    another fails: the median minds neither. The wrong rate tests better.
    """

    def __init__(self, best, lucky, seeds, ties=False):
        self.best, self.lucky, self.seeds, self.ties = best, lucky, seeds, ties
        self.ran, self.tested = [], []

    def __call__(self, way, rate, seed):
        self.ran.append((way, rate, seed))
        good = rate == self.best[way]
        draw = Random(f"{way} {rate} {seed}")
        valid = 0.8 if good else 0.7
        if self.ties:
            valid = 0.8
        elif self.lucky and not good and seed == self.seeds[-1]:
            valid = 0.99
        elif self.lucky and good and seed == self.seeds[0]:
            valid = 0.1
        test = (0.6 if good else 0.8) + draw.random() / 10

        def ask():
            self.tested.append((way, rate, seed))
            return test

        return valid, ask


def fair_cases(seed, given):
    """Each way prefers a rate of its own; luck, failures and ties."""
    rng, cases = Random(seed), []
    rates = [1e-4, 3e-4, 1e-3]
    for lucky, ties in ((False, False), (True, False), (True, False), (False, True)):
        ways = ["head", "all", "random"]
        best = {way: rng.choice(rates) for way in ways}
        seeds = rng.sample(range(100), 5)
        tried = rng.sample(rates, 3)
        if ties:
            tried = [3e-4, 1e-4, 1e-3]
        cases.append((Run(best, lucky, seeds, ties), ways, tried, seeds))
    return cases


def table_and_asked(solution, run, ways, rates, seeds):
    """The table, what was trained, and which tests were asked."""
    table = solution(run, ways, rates, seeds)
    return {
        "table": {way: tuple(map(float, row)) for way, row in table.items()},
        "trained": sorted(run.ran),
        "tested": sorted(run.tested),
    }


def faults_of(table, least=3):
    """What keeps a table from being a fair comparison, in sentences.

    For a hand-in of exercise 10.6: `faults_of(json.load(open("my-task.json")))`. It is
    what `fair_comparison` returns, with a row for TF-IDF: its one score, or four
    numbers as the others have them.

    Args:
        least: how many ways there must be.
    """
    faults = []
    if len(table) < least:
        faults.append(f"{len(table)} ways, and {least} are compared")
    if not any("idf" in way.lower() for way in table):
        faults.append("TF-IDF is not in the table")
    for way, row in table.items():
        scores = row[1:] if isinstance(row, list) and len(row) == 4 else [row]
        scores = scores[0] if isinstance(scores[0], list) else scores
        if not all(isinstance(s, int | float) and 0 <= s <= 1 for s in scores):
            faults.append(f"{way}: a score is no share between 0 and 1")
        elif sorted(scores) != list(scores):
            faults.append(f"{way}: lowest, median and highest are not in order")
        elif len(scores) == 3 and "idf" not in way.lower() and scores[0] == scores[2]:
            faults.append(f"{way}: all seeds have the same score to the last digit")
        if isinstance(row, list) and len(row) == 4 and not 0 < row[0] < math.inf:
            faults.append(f"{way}: the first number is no learning rate")
    return faults


EXERCISES = {
    "rows_needed": Exercise(sample_cases),
    "leaked": Exercise(leak_cases),
    "learning_curve": Exercise(curve_cases, examine=curve_and_draws),
    "fair_comparison": Exercise(fair_cases, examine=table_and_asked),
}
