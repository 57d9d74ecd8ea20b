"""Chapter 7b: how its exercises are graded."""

import torch

from instructors.grading import Exercise


def rows_of_logits(seed, given):
    """Logits of several sizes, sharp and flat; shares from nothing to everything."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for rows, pieces, size in ((1, 4, 1), (5, 30, 2), (8, 12, 6), (3, 50, 0.3)):
        logits = size * torch.randn(rows, pieces, generator=generator)
        shift = 5 * torch.randn(rows, 1, generator=generator)
        cases += [(logits + shift, share) for share in (0.0, 0.05, 0.3, 0.9, 1.0)]
    return cases


def kept_and_values(solution, logits, share):
    """What stays, and with which logits; what is cut is minus infinity."""
    found = solution(logits, share)
    return found.isneginf(), found.nan_to_num(neginf=-1e4)


def pieces_and_prefixes(seed, given):
    """New, old and prefix: some small ones, and some at random."""
    generator = torch.Generator().manual_seed(seed)
    cases = [(1, 0, 0), (4, 0, 0), (4, 0, 4), (1, 6, 0), (3, 5, 0), (3, 5, 5)]
    for _ in range(8):
        new, old = torch.randint(1, 9, (2,), generator=generator).tolist()
        prefix = int(torch.randint(0, old + 1, (), generator=generator))
        cases += [(new, old, prefix), (new + 1, 0, new)]
    return cases


class Table:
    """A model that draws the scores after each prefix once, and notes what is asked."""

    def __init__(self, seed, pieces, stop, sharp, likely_end):
        self.seed, self.pieces, self.stop = seed, pieces, stop
        self.sharp, self.likely_end = sharp, likely_end
        self.asked = []

    def __call__(self, prefix):
        self.asked.append(tuple(prefix))
        number = self.seed
        for piece in prefix:
            number = (number * 31 + piece + 1) % (2**31 - 1)
        generator = torch.Generator().manual_seed(number)
        scores = self.sharp * torch.randn(self.pieces, generator=generator)
        scores[self.stop] += self.likely_end
        return scores.log_softmax(-1)


def models_to_search(seed, given):
    """Flat and sharp models, in which the end is likely or not, with every setting."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for number in range(240):
        beams, most = torch.randint(1, (6, 9)[number % 2], (2,), generator=generator)
        penalty = (0.0, 0.5, 1.0, 2.0)[number % 4]
        sharp, likely_end = ((1.0, 1.0), (2.0, 0.0), (0.7, 2.0))[number % 3]
        pieces = 4 + number % 5
        table = (
            seed % 10**6 * 997 + number,
            pieces,
            number % pieces,
            sharp,
            likely_end,
        )
        cases.append((table, min(int(beams), pieces // 2), int(most) + 1, penalty))
    return cases


def searched(solution, table, beams, most, penalty):
    """Text, score, which prefixes were asked for, and how many of them twice."""
    model = Table(*table)
    text, score = solution(model, model.stop, beams, most, penalty)
    twice = len(model.asked) - len({*model.asked})
    return list(text), float(score), {*model.asked}, twice


EXERCISES = {
    "min_p": Exercise(rows_of_logits, kept_and_values),
    "back_mask": Exercise(pieces_and_prefixes),
    "beam_search": Exercise(models_to_search, searched),
}
