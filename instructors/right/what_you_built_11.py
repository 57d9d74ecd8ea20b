"""Chapter 11: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "affordable": [
        # a loop that skips, and a list sorted by price
        """
def affordable(runs, prices, money, reserve):
    left = money - money * reserve
    bought = []
    for run in runs:
        hours, gpu, name = run[0], run[1], run[2]
        if gpu not in prices:
            continue
        price = prices[gpu] * hours
        if price <= left:
            bought.append((name, price))
    bought.sort(key=lambda pair: pair[1])
    return [pair[0] for pair in bought]
""",
        # a dictionary of prices, the cheapest taken off while money lasts
        """
import math
from itertools import takewhile


def affordable(runs: list[tuple], prices: dict, money: float, reserve: float):
    cost = {name: hours * prices.get(gpu, math.inf) for hours, gpu, name, _, _ in runs}
    rest = (1 - reserve) * money
    return list(takewhile(lambda name: cost[name] <= rest, sorted(cost, key=cost.get)))
""",
        # a queue that gives the cheapest run first
        """
import heapq


def affordable(runs, prices, money, reserve):
    queue = []
    for hours, gpu, name, *rest in runs:
        try:
            heapq.heappush(queue, (hours * prices[gpu], name))
        except KeyError:
            pass
    names = []
    while queue and queue[0][0] <= money * (1.0 - reserve):
        names.append(heapq.heappop(queue)[1])
    return names
""",
    ],
    "verdict": [
        # every score beside every score of the baseline
        """
def verdict(scores, baseline, higher_is_better=True):
    if len(scores) == 0:
        return "not measured"
    if len(baseline) == 0:
        return "no baseline"
    sign = 1 if higher_is_better else -1
    gaps = [sign * (s - b) for s in scores for b in baseline]
    if len(scores) >= 3 and all(gap > 0 for gap in gaps):
        return "better"
    if len(scores) >= 3 and all(gap < 0 for gap in gaps):
        return "worse"
    return "undecided"
""",
        # above or below, and then what that means
        """
def verdict(scores: list, baseline: list, higher_is_better: bool = True) -> str:
    match (len(scores), len(baseline)):
        case (0, _):
            return "not measured"
        case (_, 0):
            return "no baseline"
        case (1 | 2, _):
            return "undecided"
    above = min(scores) > max(baseline)
    below = max(scores) < min(baseline)
    if not (above or below):
        return "undecided"
    return "better" if above == higher_is_better else "worse"
""",
        # arrays, and the other direction by calling itself
        """
def verdict(scores, baseline, higher_is_better=True):
    ours, theirs = np.array(scores), np.array(baseline)
    if not ours.size:
        return "not measured"
    if not theirs.size:
        return "no baseline"
    if not higher_is_better:
        turned = {"better": "worse", "worse": "better"}
        said = verdict(scores, baseline, True)
        return turned.get(said, said)
    signs = np.sign(ours[:, None] - theirs[None, :])
    if ours.size < 3 or signs.min() != signs.max():
        return "undecided"
    return {1: "better", 0: "undecided", -1: "worse"}[int(signs[0, 0])]
""",
    ],
}
