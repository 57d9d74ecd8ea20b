"""Chapter 10: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "rows_needed": [
        # the first number of rows that is enough, by bisection
        """
def rows_needed(accuracy, margin):
    def enough(n):
        return 1.96 * math.sqrt(accuracy * (1 - accuracy) / n) <= margin

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2  # not enough, or 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
""",
        # one more row, until it is enough
        """
def rows_needed(accuracy: float, margin: float) -> int:
    n = 1
    variance = accuracy - accuracy**2
    while 1.96 * (variance / n) ** 0.5 > margin:
        n += 1
    return n
""",
        # solved for n, and rounded up by NumPy
        """
def rows_needed(accuracy, margin):
    spread = np.sqrt(accuracy * (1 - accuracy))
    return int(np.ceil(np.square(1.96 * spread / margin)))
""",
    ],
    "leaked": [
        # every test row beside every training row
        """
def leaked(train, test):
    places = []
    for place in range(len(test)):
        mine = re.findall(r"\\w+", test[place].text.casefold())
        for row in train:
            if re.findall(r"\\w+", row.text.casefold()) == mine:
                places.append(place)
                break
    return places
""",
        # what is no word becomes one space, and the text is the key of a dictionary
        """
def leaked(train: list, test: list) -> list[int]:
    key = lambda row: re.sub(r"\\W+", " ", row.text.upper()).strip()
    where = {}
    for place, row in enumerate(test):
        where.setdefault(key(row), []).append(place)
    common = where.keys() & {key(row) for row in train}
    return sorted(place for text in common for place in where[text])
""",
        # as columns of a table
        """
import pandas as pd


def leaked(train, test):
    def bare(rows):
        texts = pd.Series([row.text for row in rows], dtype=object)
        words = texts.str.lower().str.split(r"\\W+", regex=True)
        return words.map(lambda found: "|".join(found).strip("|"))

    return [int(n) for n in np.flatnonzero(bare(test).isin(bare(train)))]
""",
    ],
    "learning_curve": [
        # the standard library; two of its first four orders begin with the same row
        """
import random
import statistics


def learning_curve(fit, rows, sizes, seeds):
    scores = {}
    for size in sizes:
        scores[size] = []
        for seed in range(seeds):
            mixed = random.Random(1 + seed).sample(rows, len(rows))
            scores[size].append(fit(mixed[:size], seed))
    return {
        size: (min(s), statistics.median(s), max(s)) for size, s in scores.items()
    }
""",
        # torch's permutations, drawn before, and quantiles of a table
        """
def learning_curve(fit, rows: list, sizes: list[int], seeds: int):
    orders = []
    for seed in range(seeds):
        dice = torch.Generator().manual_seed(seed)
        orders.append(torch.randperm(len(rows), generator=dice).tolist())
    table = np.array([
        [fit([rows[i] for i in orders[seed][:size]], seed) for seed in range(seeds)]
        for size in sizes
    ])
    low, middle, high = np.quantile(table, [0, 0.5, 1], axis=1)
    return {size: (low[i], middle[i], high[i]) for i, size in enumerate(sizes)}
""",
        # a copy is shuffled, the same for every size; sorted scores
        """
import random


def learning_curve(fit, rows, sizes, seeds):
    found = dict.fromkeys(sizes, ())
    for seed in range(seeds):
        pile = rows.copy()
        random.seed(seed)
        random.shuffle(pile)
        for n in sorted(sizes):
            found[n] += (fit(pile[0:n], seed),)
    curve = {}
    for n in sizes:
        ranked = sorted(found[n])
        half = len(ranked) // 2
        median = (ranked[half] + ranked[-half - 1]) / 2
        curve[n] = (ranked[0], median, ranked[-1])
    return curve
""",
        # a random number for each row, by which the rows are sorted
        """
def learning_curve(fit, rows, sizes, seeds):
    results = {size: np.empty(seeds) for size in sizes}
    for seed in range(seeds):
        keys = np.random.RandomState(seed).uniform(size=len(rows))
        ranked = [row for _, row in sorted(zip(keys, rows), key=lambda pair: pair[0])]
        for size in sizes:
            results[size][seed] = fit(ranked[:size], seed)
    return {n: (r.min(), np.median(r), r.max()) for n, r in results.items()}
""",
    ],
    "fair_comparison": [
        # a running best over the rates from the lowest up
        """
import statistics


def fair_comparison(run, ways, rates, seeds):
    result = {}
    for way in ways:
        best = None
        for rate in sorted(rates):
            valid, tests = [], []
            for seed in seeds:
                score, test = run(way, rate, seed)
                valid.append(score)
                tests.append(test)
            median = statistics.median(valid)
            if best is None or median > best[0]:
                best = median, rate, tests
        scores = sorted(test() for test in best[2])
        result[way] = best[1], scores[0], statistics.median(scores), scores[-1]
    return result
""",
        # all runs first, in one dictionary; then the choices; then the tests
        """
from itertools import product


def fair_comparison(run, ways: list, rates: list, seeds: list):
    runs = {each: run(*each) for each in product(ways, rates, seeds)}

    def validated(way, rate):
        return np.median([runs[way, rate, seed][0] for seed in seeds])

    chosen = {way: min(rates, key=lambda r: (-validated(way, r), r)) for way in ways}
    table = {}
    for way, rate in chosen.items():
        tested = np.array([runs[way, rate, seed][1]() for seed in seeds])
        table[way] = [rate, tested.min(), np.median(tested), tested.max()]
    return table
""",
        # tables of numbers and of functions
        """
def fair_comparison(run, ways, rates, seeds):
    rates = sorted(rates)
    out = {}
    for way in ways:
        valid = np.zeros((len(rates), len(seeds)))
        ask = {}
        for i, rate in enumerate(rates):
            for j, seed in enumerate(seeds):
                valid[i, j], ask[i, j] = run(way, rate, seed)
        row = int(np.argmax(np.median(valid, axis=1)))  # the first of equal ones
        low, middle, high = np.percentile(
            [ask[row, j]() for j in range(len(seeds))], [0, 50, 100]
        )
        out[way] = (rates[row], low, middle, high)
    return out
""",
    ],
}
