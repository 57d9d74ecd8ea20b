"""Chapter 10: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "rows_needed": [
        # a standard deviation, and not 1.96 of them
        """
def rows_needed(accuracy, margin):
    return math.ceil(accuracy * (1 - accuracy) / margin**2)
""",
        # the margin is taken for the whole width
        """
def rows_needed(accuracy, margin):
    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / (margin / 2) ** 2)
""",
        # half a row is cut off
        """
def rows_needed(accuracy, margin):
    return int(1.96**2 * accuracy * (1 - accuracy) / margin**2)
""",
        # the worst case, whatever the accuracy is
        """
def rows_needed(accuracy, margin):
    return math.ceil(1.96**2 * 0.25 / margin**2)
""",
        # the margin is not squared
        """
def rows_needed(accuracy, margin):
    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / margin)
""",
        # the share of errors is left out
        """
def rows_needed(accuracy, margin):
    return math.ceil(1.96**2 * accuracy / margin**2)
""",
        # two deviations, rounded
        """
def rows_needed(accuracy, margin):
    return math.ceil(4 * accuracy * (1 - accuracy) / margin**2)
""",
        # the margin is a share of the accuracy
        """
def rows_needed(accuracy, margin):
    return math.ceil(1.96**2 * (1 - accuracy) / accuracy / margin**2)
""",
        # never fewer than thirty
        """
def rows_needed(accuracy, margin):
    return max(30, math.ceil(1.96**2 * accuracy * (1 - accuracy) / margin**2))
""",
        # no whole number
        """
def rows_needed(accuracy, margin):
    return 1.96**2 * accuracy * (1 - accuracy) / margin**2
""",
    ],
    "leaked": [
        # the very same text only
        """
def leaked(train, test):
    seen = {row.text for row in train}
    return [n for n, row in enumerate(test) if row.text in seen]
""",
        # capitals only
        """
def leaked(train, test):
    seen = {row.text.lower() for row in train}
    return [n for n, row in enumerate(test) if row.text.lower() in seen]
""",
        # spaces and capitals, but no punctuation
        """
def leaked(train, test):
    seen = {tuple(row.text.lower().split()) for row in train}
    return [n for n, row in enumerate(test) if tuple(row.text.lower().split()) in seen]
""",
        # the same words in any order
        """
def leaked(train, test):
    def key(row):
        return frozenset(re.findall(r"\\w+", row.text.lower()))
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # the same words in any order, counted
        """
def leaked(train, test):
    def key(row):
        return tuple(sorted(re.findall(r"\\w+", row.text.lower())))
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # where a word ends does not count
        """
def leaked(train, test):
    def key(row):
        return "".join(re.findall(r"\\w+", row.text.lower()))
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # another label, another text
        """
def leaked(train, test):
    def key(row):
        return (*re.findall(r"\\w+", row.text.lower()), row.label)
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # the places in the training
        """
def leaked(train, test):
    def key(row):
        return tuple(re.findall(r"\\w+", row.text.lower()))
    seen = {key(row) for row in test}
    return [n for n, row in enumerate(train) if key(row) in seen]
""",
        # the texts, and not their places
        """
def leaked(train, test):
    def key(row):
        return tuple(re.findall(r"\\w+", row.text.lower()))
    seen = {key(row) for row in train}
    return [row for row in test if key(row) in seen]
""",
        # a copy within the test is left out
        """
def leaked(train, test):
    def key(row):
        return tuple(re.findall(r"\\w+", row.text.lower()))
    seen, found = {key(row) for row in train}, []
    for n, row in enumerate(test):
        if key(row) in seen:
            found.append(n)
            seen.remove(key(row))
    return found
""",
        # one text within the other
        """
def leaked(train, test):
    def key(row):
        return " ".join(re.findall(r"\\w+", row.text.lower()))
    return [n for n, row in enumerate(test)
            if any(key(row) in key(other) for other in train)]
""",
        # letters only
        """
def leaked(train, test):
    def key(row):
        return tuple(re.findall(r"[a-z]+", row.text.lower()))
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # without accents, so that two names are one
        """
def leaked(train, test):
    def key(row):
        return tuple(re.findall(r"[a-z0-9]+", row.text.lower()))
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
        # punctuation is taken out, so that two words without a space become one
        """
def leaked(train, test):
    def key(row):
        return tuple(re.sub(r"[^\\w\\s]", "", row.text.lower()).split())
    seen = {key(row) for row in train}
    return [n for n, row in enumerate(test) if key(row) in seen]
""",
    ],
    "learning_curve": [
        # another order for each size
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {}
    for size in sizes:
        scores = []
        for seed in range(seeds):
            order = np.random.default_rng([seed, size]).permutation(len(rows))
            scores.append(fit([rows[n] for n in order[:size]], seed))
        found[size] = min(scores), float(np.median(scores)), max(scores)
    return found
""",
        # the first rows, for every seed
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {}
    for size in sizes:
        scores = [fit(rows[:size], seed) for seed in range(seeds)]
        found[size] = min(scores), float(np.median(scores)), max(scores)
    return found
""",
        # one order for all seeds
        """
def learning_curve(fit, rows, sizes, seeds):
    order = np.random.default_rng(0).permutation(len(rows))
    found = {}
    for size in sizes:
        scores = [fit([rows[n] for n in order[:size]], s) for s in range(seeds)]
        found[size] = min(scores), float(np.median(scores)), max(scores)
    return found
""",
        # drawn with putting back
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.default_rng(seed).integers(0, len(rows), len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (min(s), float(np.median(s)), max(s)) for n, s in found.items()}
""",
        # the mean
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (min(s), float(np.mean(s)), max(s)) for n, s in found.items()}
""",
        # trained three times: for the lowest, the median and the highest
        """
def learning_curve(fit, rows, sizes, seeds):
    def scores(size):
        found = []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(rows))
            found.append(fit([rows[n] for n in order[:size]], seed))
        return found
    return {n: (min(scores(n)), float(np.median(scores(n))), max(scores(n)))
            for n in sizes}
""",
        # the given list is shuffled
        """
def learning_curve(fit, rows, sizes, seeds):
    import random
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        random.Random(seed).shuffle(rows)
        for size in sizes:
            found[size].append(fit(rows[:size], seed))
    return {n: (min(s), float(np.median(s)), max(s)) for n, s in found.items()}
""",
        # a seed less
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(1, seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (min(s), float(np.median(s)), max(s)) for n, s in found.items() if s}
""",
        # always the same seed to fit with
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], 0))
    return {n: (min(s), float(np.median(s)), max(s)) for n, s in found.items()}
""",
        # another order whenever it is called
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (min(s), float(np.median(s)), max(s)) for n, s in found.items()}
""",
        # of an even number of scores the upper middle one
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (min(s), sorted(s)[len(s) // 2], max(s)) for n, s in found.items()}
""",
        # highest first
        """
def learning_curve(fit, rows, sizes, seeds):
    found = {size: [] for size in sizes}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        for size in sizes:
            found[size].append(fit([rows[n] for n in order[:size]], seed))
    return {n: (max(s), float(np.median(s)), min(s)) for n, s in found.items()}
""",
    ],
    "fair_comparison": [
        # the best single run decides
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        chosen = max(sorted(rates), key=lambda r: max(v for v, _ in tried[r]))
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the mean decides
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        chosen = max(sorted(rates), key=lambda r: np.mean([v for v, _ in tried[r]]))
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the test rows choose
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, s)[1]() for s in seeds] for rate in rates}
        chosen = max(sorted(rates), key=lambda rate: np.median(tried[rate]))
        tests = tried[chosen]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # all tests are asked
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {}
        for rate in rates:
            pairs = [run(way, rate, seed) for seed in seeds]
            tried[rate] = [(valid, ask()) for valid, ask in pairs]
        chosen = max(sorted(rates), key=lambda r: np.median([v for v, _ in tried[r]]))
        tests = [test for _, test in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # one rate for all ways: that of the first
        """
def fair_comparison(run, ways, rates, seeds):
    table, chosen = {}, None
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        if chosen is None:
            chosen = max(sorted(rates),
                         key=lambda r: np.median([v for v, _ in tried[r]]))
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the chosen rate is trained again
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        middle = {r: np.median([run(way, r, s)[0] for s in seeds]) for r in rates}
        chosen = max(sorted(rates), key=middle.get)
        tests = [run(way, chosen, seed)[1]() for seed in seeds]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # of equally good rates the highest
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        middle = {rate: np.median([v for v, _ in tried[rate]]) for rate in rates}
        chosen = max(sorted(rates, reverse=True), key=middle.get)
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the test of the best seed alone
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        middle = {rate: np.median([v for v, _ in tried[rate]]) for rate in rates}
        chosen = max(sorted(rates), key=middle.get)
        _, ask = max(tried[chosen], key=lambda pair: pair[0])
        test = ask()
        table[way] = chosen, test, test, test
    return table
""",
        # the validation scores are reported
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        middle = {rate: np.median([v for v, _ in tried[rate]]) for rate in rates}
        chosen = max(sorted(rates), key=middle.get)
        tests = [valid for valid, _ in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the worst single run decides
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        chosen = max(sorted(rates), key=lambda r: min(v for v, _ in tried[r]))
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the first seed decides
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        chosen = max(sorted(rates), key=lambda rate: tried[rate][0][0])
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
        # the mean of the tests
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        middle = {rate: np.median([v for v, _ in tried[rate]]) for rate in rates}
        chosen = max(sorted(rates), key=middle.get)
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.mean(tests)), max(tests)
    return table
""",
        # the lowest median
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        middle = {rate: np.median([v for v, _ in tried[rate]]) for rate in rates}
        chosen = min(sorted(rates), key=middle.get)
        tests = [ask() for _, ask in tried[chosen]]
        table[way] = chosen, min(tests), float(np.median(tests)), max(tests)
    return table
""",
    ],
}

# Whether the same order comes again, twelve lines do not ask.
PASS_THE_VISIBLE_CHECK = {"learning_curve": [9]}
