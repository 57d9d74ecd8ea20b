"""Chapter 7: how its exercises are graded."""

import torch
import torch.nn.functional as F
from torch import nn

from instructors.grading import Exercise


def pair_cases(seed, given):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(1, 200, (6, 2), generator=generator).tolist()
    return [(1, 1), (1, 2), (2, 1), *map(tuple, drawn)]


def mask_cases(seed, given):
    """Texts of several lengths with padding at either end, and prefixes of any length.

    A prefix may be empty, and may be the whole text.
    """
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for count, most in ((1, 1), (1, 6), (4, 7), (6, 10)):
        drawn = torch.rand(3, count, generator=generator)
        lengths = 1 + (drawn[0] * most).long()
        begins = (drawn[1] * (most - lengths + 1)).long()
        place = torch.arange(most) - begins[:, None]
        mask = ((place >= 0) & (place < lengths[:, None])).long()
        cases.append((begins + (drawn[2] * (lengths + 1)).long(), mask))
    two = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]])
    return [*cases, *((torch.tensor(ends), two) for ends in ([2, 4], [4, 3], [0, 2]))]


def rows_of_tokens(solution, prefix, mask):
    """The map, where a token asks; padding may attend to anything, but to something."""
    found = solution(prefix, mask)
    padding = mask[:, None, :, None] == 0
    shown = found.masked_fill(padding, False) if found.dim() == 4 else found
    return shown, bool(found.any(dim=-1).all())


class Echo(nn.Module):
    """Repeats its source; cannot say some pieces, and is lost after a mistake.

    For a piece that it cannot say it says `instead`. If that is [SEP], it is never
    lost, so what it says after its own [SEP] may be right.
    """

    def __init__(self, hard, instead=4):
        super().__init__()
        self.hard, self.instead = hard, instead

    def forward(self, source, reads):
        length = reads.shape[1]
        whole = F.pad(source, (0, length + 1))
        wanted, before = whole[:, 1 : length + 1], whole[:, :length]
        lost = (reads != before) & (self.instead != 3)
        said = wanted.masked_fill(lost | torch.isin(wanted, self.hard), self.instead)
        return F.one_hot(said, 40).float()


def exposure_cases(seed, given):
    """Decoders that lose their way at some pieces, and the speller of the chapter."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for count, most, hard, instead in (
        (5, 7, 6, 4), (9, 4, 3, 4), (20, 9, 4, 4), (20, 9, 9, 3)
    ):  # fmt: skip
        letters = torch.randint(5, 40, (count, most), generator=generator)
        lengths = torch.randint(1, most + 1, (count, 1), generator=generator)
        lengths[0] = most
        place = torch.arange(most)
        rows = letters.masked_fill(place > lengths - 1, 0)
        rows = F.pad(F.pad(rows, (1, 0), value=2), (0, 1))
        rows.scatter_(1, lengths + 1, 3)
        model = Echo(torch.randint(5, 40, (hard,), generator=generator), instead)
        cases.append((model, rows, rows))
    chosen = [given["unseen"][(37 * seed + n) % 400] for n in range(40)]
    return [*cases, (given["speller"], *given["pairs"](chosen))]


def both_shares(solution, model, source, target):
    told, alone = solution(model, source.clone(), target.clone())
    return told.float(), alone.float()


def stack_cases(seed, given):
    """Stacks of several sizes with large weights, and sources of other lengths."""
    cases = []
    for layers, count, deviation in ((1, 8, 0.3), (2, 5, 0.2)):
        torch.manual_seed(seed)
        config = given["config"].replace(layers=layers)
        model = given["bertcore"].BertForMaskedLM(config)
        model.apply(given["initialise"](deviation))
        draw = torch.Generator().manual_seed(seed)
        batches = [given["two_forms"](count, draw) for _ in range(4)]
        cut = [(source[:, :-layers], target) for source, target in batches]
        cases += [(model, batches, 3e-3), (model, cut, 1e-2)]
    return cases


def losses_and_model(solution, model, batches, rate):
    losses = solution(model, batches, rate)
    with torch.no_grad():
        after = model(batches[0][0])
    return list(map(float, losses)), after


EXERCISES = {
    "weighed_pairs": Exercise(pair_cases),
    "prefix_maps": Exercise(mask_cases, examine=rows_of_tokens),
    "exposure": Exercise(exposure_cases, examine=both_shares),
    "learn_in_one_stack": Exercise(
        stack_cases, examine=losses_and_model, tolerance=1e-3
    ),
}
