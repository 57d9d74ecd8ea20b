"""Chapter 11: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "affordable": [
        # nothing is kept back
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] <= money]
    return [name for _, name in sorted(costs)]
""",
        # the reserve is spent, and the rest kept
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] <= money * reserve]
    return [name for _, name in sorted(costs)]
""",
        # a sum, and not a share
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] <= money - reserve]
    return [name for _, name in sorted(costs)]
""",
        # exactly enough is too little
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] < money * (1 - reserve)]
    return [name for _, name in sorted(costs)]
""",
        # in order of hours
        """
def affordable(runs, prices, money, reserve):
    found = [(h, n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] <= money * (1 - reserve)]
    return [name for _, name in sorted(found)]
""",
        # in the order in which they were given
        """
def affordable(runs, prices, money, reserve):
    return [n for h, g, n, *_ in runs
            if g in prices and h * prices[g] <= money * (1 - reserve)]
""",
        # the best first
        """
def affordable(runs, prices, money, reserve):
    found = [(-s, n) for h, g, n, s, _ in runs
             if g in prices and h * prices[g] <= money * (1 - reserve)]
    return [name for _, name in sorted(found)]
""",
        # a GPU without a price costs nothing
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices.get(g, 0), n) for h, g, n, *_ in runs]
    return [name for cost, name in sorted(costs) if cost <= money * (1 - reserve)]
""",
        # a GPU without a price is an error
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs]
    return [name for cost, name in sorted(costs) if cost <= money * (1 - reserve)]
""",
        # all of them together
        """
def affordable(runs, prices, money, reserve):
    left, found = money * (1 - reserve), []
    for cost, name in sorted((h * prices[g], n) for h, g, n, *_ in runs if g in prices):
        if cost <= left:
            left -= cost
            found.append(name)
    return found
""",
        # the dearest first
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and h * prices[g] <= money * (1 - reserve)]
    return [name for _, name in sorted(costs, reverse=True)]
""",
        # whole dollars only
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if g in prices and int(h * prices[g]) <= int(money * (1 - reserve))]
    return [name for _, name in sorted(costs)]
""",
        # what is free is left out
        """
def affordable(runs, prices, money, reserve):
    costs = [(h * prices[g], n) for h, g, n, *_ in runs
             if prices.get(g) and h * prices[g] <= money * (1 - reserve)]
    return [name for _, name in sorted(costs)]
""",
    ],
    "verdict": [
        # means are compared
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    sign = 1 if higher_is_better else -1
    if len(scores) < 3:
        return "undecided"
    gap = sign * (sum(scores) / len(scores) - sum(baseline) / len(baseline))
    return "better" if gap > 0 else "worse" if gap < 0 else "undecided"
""",
        # medians are compared
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    sign = 1 if higher_is_better else -1
    if len(scores) < 3:
        return "undecided"
    gap = sign * (median(scores) - median(baseline))
    return "better" if gap > 0 else "worse" if gap < 0 else "undecided"
""",
        # the best seed beside the best of the baseline
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    if max(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < max(baseline) else "undecided"
""",
        # one seed is enough
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if min(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # two seeds are enough
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 2:
        return "undecided"
    if min(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # a loss is taken for a score
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if len(scores) < 3:
        return "undecided"
    if min(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # ranges that touch are apart
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    if min(scores) >= max(baseline):
        return "better"
    return "worse" if max(scores) <= min(baseline) else "undecided"
""",
        # without a baseline the model is better
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    if min(scores) > max(baseline, default=float("-inf")):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # the baseline needs three scores, too
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if min(len(scores), len(baseline)) < 3:
        return "undecided"
    if min(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # what is not better is worse
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    return "better" if min(scores) > max(baseline) else "worse"
""",
        # all seeds beside the baseline's middle
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    if min(scores) > median(baseline):
        return "better"
    return "worse" if max(scores) < median(baseline) else "undecided"
""",
        # too few seeds is looked at first
        """
def verdict(scores, baseline, higher_is_better=True):
    if len(scores) < 3:
        return "undecided"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if min(scores) > max(baseline):
        return "better"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # seed by seed
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    if len(baseline) == 1:
        baseline = baseline * len(scores)
    if all(s > b for s, b in zip(scores, baseline)):
        return "better"
    return "worse" if all(s < b for s, b in zip(scores, baseline)) else "undecided"
""",
        # three seeds for better, one for worse
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if min(scores) > max(baseline):
        return "better" if len(scores) > 2 else "undecided"
    return "worse" if max(scores) < min(baseline) else "undecided"
""",
        # a standard deviation from the mean, and not the worst seed
        """
def verdict(scores, baseline, higher_is_better=True):
    if not scores:
        return "not measured"
    if not baseline:
        return "no baseline"
    if not higher_is_better:
        scores, baseline = [-s for s in scores], [-b for b in baseline]
    if len(scores) < 3:
        return "undecided"
    mean = sum(scores) / len(scores)
    spread = (sum((s - mean) ** 2 for s in scores) / (len(scores) - 1)) ** 0.5
    if mean - spread > max(baseline):
        return "better"
    return "worse" if mean + spread < min(baseline) else "undecided"
""",
    ],
}
