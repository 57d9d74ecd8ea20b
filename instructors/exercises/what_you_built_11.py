"""Chapter 11: how its exercises are graded, and how a report card is read."""

from random import Random

from instructors.grading import Exercise

FACTS = ("parameters", "tokens", "passes", "minutes")


def budget_cases(seed, given):
    """Runs on GPUs with a price, without and free; money short, exact and ample."""
    rng, cases = Random(seed), []
    for _ in range(4):
        prices = {gpu: rng.choice((0.5, 1.0, 2.0, 4.0)) for gpu in ("A", "B", "C")}
        money, reserve = 400 * prices["A"], rng.choice((0.75, 0.5, 0.25))
        # A quarter of the money is exactly what one of them costs, and just too little
        # for the next. No two cost the same, because their order would be open.
        fixed = [(100, "A", "exact", 50.0, ""), (100.25, "A", "over", 60.0, "")]
        costs = {hours * prices[gpu] for hours, gpu, *_ in fixed}
        runs = [(90, "D", "no price", 99.0, ""), (7, "E", "free", 40.0, ""), *fixed]
        for n in range(12):
            hours, gpu = rng.randint(1, 200), rng.choice("ABC")
            if hours * prices[gpu] not in costs:
                costs.add(hours * prices[gpu])
                runs.append((hours, gpu, f"run {n}", rng.random(), ""))
        prices["E"] = 0.0
        rng.shuffle(runs)
        cases += [(runs, prices, money, 0.75), (runs, prices, money, reserve)]
    return [*cases, (runs, {}, 1000.0, 0.0)]


def verdict_cases(seed, given):
    """Ranges apart, touching and overlapping; few seeds; scores and losses."""
    rng, cases = Random(seed), []
    low = [rng.uniform(50, 55) for _ in range(5)]
    high = [rng.uniform(60, 65) for _ in range(5)]
    wide = [*low[:3], 90.0, 91.0]  # with a higher mean and median, and a low end
    pairs = [
        (high, low),
        (low, high),
        (wide, high),
        ([90.0, 91.0, 40.0], high),  # the mean and the median are better
        ([10.0, 11.0, 80.0], high),  # and here they are worse
        (high, [*low[:2], 99.0]),  # the middle of the baseline is low, its top is not
        (low, [*high[:2], 1.0]),
        (high, [max(high)]),
        (high, [min(high)]),
        ([min(high)] * 3, [min(high)]),
        (high[:3], low[:1]),
        (low[:3], high[:1]),
        (high[:1], low),
        (high[:2], low),
        (low[:2], high),
        ([0.0] * 3, [-1.0]),
        ([], low),
        ([], []),
        (high, []),
        (high[:1], []),
    ]
    for scores, baseline in pairs:
        shuffled = rng.sample(scores, len(scores)), rng.sample(baseline, len(baseline))
        cases += [(*shuffled, True), (*shuffled, False)]
    # Seed by seed the model is ahead, or behind, and yet the ranges overlap.
    steps = sorted(rng.uniform(50, 60) for _ in range(4))
    ahead = [step + 0.01 for step in steps]
    return [*cases, (ahead, steps, True), (steps, ahead, True)]


def faults_of(report):
    """What a report card of exercise 11.3 lacks, in sentences.

    For a hand-in: `faults_of(json.load(open("report-card.json")))`.
    """
    faults = []
    if report.get("model") != "yours":
        faults.append("it reports english-mini, and not a model of the reader's own")
    facts = report.get("facts", {})
    faults += [f"it has no {name}" for name in FACTS if not facts.get(name, 0) > 0]
    scores = report.get("held_out", {}).get("yours")
    if scores is None:
        faults.append("its model was not asked about held-out articles")
    elif not 0 < scores["masked_lm"] < report["unigram"]:
        faults.append("its held-out loss is not below the unigram line")
    lines = report.get("lines", {})
    own = [what for what, (shares, *_) in lines.items() if "yours" in shares]
    if not any("questions" in what for what in own):
        faults.append("it has no score of its own for the questions of chapter 10")
    for what, (shares, beaten, _, source) in lines.items():
        if not source or beaten is None:
            faults.append(f"{what} has no source or no baseline")
        if any(not 0 <= share <= 100 for share in shares.values()):
            faults.append(f"{what} has a share that is no percentage")
    return faults


EXERCISES = {
    "affordable": Exercise(budget_cases),
    "verdict": Exercise(verdict_cases),
}
