"""Chapter 6: how its exercises are graded."""

from itertools import islice
from random import Random

import numpy as np
import torch

from instructors.grading import Exercise


def pair_line_cases(seed, given):
    """Labels of every kind: mixed, all alike, one alone."""
    generator = torch.Generator().manual_seed(seed)
    cases = [([0] * 5,), ([1] * 3,), ([1],)]
    for count in (2, 9, 40, 300):
        share = torch.rand(1, generator=generator).item()
        drawn = torch.rand(count, generator=generator) < share
        cases.append((drawn.long().tolist(),))
    return [*cases, ([0, 1],), ([1] * 60 + [0],)]


def beside_one(solution, labels):
    """The loss plus 1: where it is 0, single precision may give some millionths."""
    return 1 + float(solution(labels))


def bias_cases(seed, given):
    """Vocabularies of several sizes: all alike, a few frequent, one alone."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for size, power, count in ((3, 0.0, 300), (60, 1.0, 4000), (200, 1.5, 3000)):
        weights = torch.arange(1.0, size + 1) ** -power
        weights = weights[torch.randperm(size, generator=generator)]
        ids = torch.multinomial(weights, count, replacement=True, generator=generator)
        cases.append((ids, size))
    one = torch.zeros(400, dtype=torch.long)
    one[: int(torch.randint(10, 30, (1,), generator=generator))] = 4
    return [*cases, (one, 6)]


def near_the_frequencies(solution, labels, vocab_size):
    """Whether the trained bias is what was asked for; two runs are never the same."""
    used, hooks = [], torch.autograd.graph.saved_tensors_hooks
    with hooks(lambda x: x, lambda x: used.append(1) or x):  # notes backward passes
        bias = solution(labels, vocab_size)
    shares = labels.bincount(minlength=vocab_size) / len(labels)
    near = (bias.softmax(dim=0) - shares).abs().max() < 0.003
    # Who counts the labels comes as near, but takes no gradients.
    trained = bool(bias.isfinite().all()) and len(used) > 9
    return tuple(bias.shape), bias.requires_grad, bool(near), trained


def masker_cases(seed, given):
    """Batches of pairs, long and short, with padding; and three tiny texts."""
    tokenizer, pairs, learnt = (given[n] for n in ("tokenizer", "pairs", "learnt"))
    # The tiny texts first: what they reject need not hide pieces of hundreds of texts.
    tiny = torch.full((3, 10), tokenizer.pad_id)
    for row, size in enumerate((3, 7, 10)):
        tiny[row, :size] = torch.arange(500 + seed % 50, 500 + seed % 50 + size)
        tiny[row, 0], tiny[row, size - 1] = tokenizer.cls_id, tokenizer.sep_id
    cases = [(tiny, tokenizer, seed)]
    for length, count in ((64, 600), (128, 500)):
        # Only as many as are wanted: to pair all articles takes seconds each time.
        made = islice(pairs.training_pairs(learnt, length, 1, Random(seed)), count)
        spans = np.array([(a.start, a.stop, b.start, b.stop) for a, b, _ in made])
        ids = pairs.assembled(learnt.ids, spans, tokenizer)["input_ids"]
        cases.append((ids, tokenizer, seed))
    return cases


def rules_kept(solution, input_ids, tokenizer, seed):
    """What does not depend on how the numbers are drawn."""
    before = input_ids.clone()
    hidden, labels = solution(tokenizer).batch(input_ids, np.random.default_rng(seed))
    at, masked = labels != -100, hidden == tokenizer.mask_id
    same = hidden == before
    tokens = before != tokenizer.pad_id
    kept = {
        "the given ids are left": torch.equal(before, input_ids),
        "as many as released": at.sum(dim=1).tolist()
        == [max(1, round(0.15 * n)) for n in tokens.sum(dim=1).tolist()],
        "true pieces": torch.equal(labels[at], before[at]),
        "no other place": bool(same[~at].all()),
        "kinds": (hidden.dtype, labels.dtype) == (torch.int64, torch.int64),
    }
    special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
    kept["no special token"] = not torch.isin(before[at], torch.tensor(special)).any()
    if at.sum() > 1000:
        others = hidden[at & ~masked & ~same]
        kept["80"] = abs(masked[at].float().mean().item() - 0.8) < 0.025
        kept["10"] = abs(same[at].float().mean().item() - 0.1) < 0.02
        # Drawn from everything: as many in the upper half of the list as in the lower.
        upper = (others >= len(tokenizer) // 2).float().mean().item()
        kept["any piece"] = abs(upper - 0.5) < 0.1
        where = at.float().mean(dim=0)[2:24]
        kept["anywhere"] = bool(((where - where.mean()).abs() < 0.08).all())
        kept["rows differ"] = len({tuple(row.tolist()) for row in at}) > len(at) // 2
        few = before[:60]  # fewer texts are as good for this, and quicker
        masker, rng = solution(tokenizer), np.random.default_rng(seed)
        first, second = (masker.batch(few.clone(), rng) for _ in range(2))
        fresh, again = (
            solution(tokenizer).batch(few.clone(), np.random.default_rng(seed + n))
            for n in range(2)
        )
        kept["same state, same masks"] = torch.equal(first[0], fresh[0])
        kept["the generator moves on"] = not torch.equal(first[1], second[1])
        kept["seeds differ"] = not torch.equal(fresh[1], again[1])
    return kept


EXERCISES = {
    "pair_line": Exercise(pair_line_cases, examine=beside_one),
    "bias_alone": Exercise(bias_cases, examine=near_the_frequencies),
    "MyMasker": Exercise(masker_cases, examine=rules_kept),
}
