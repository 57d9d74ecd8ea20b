"""Chapter 10b: how its exercises are graded."""

from random import Random

import torch

from bertcore import BertConfig, BertForTokenClassification
from instructors.grading import Exercise

TAGS = "O", "O", "O", "B-a", "I-a", "B-b", "I-b"


def cut_sentences(seed, given):
    """Words of no piece, one piece and many; labels that repeat, and 0."""
    rng = Random(seed)
    cases = []
    for many in (1, 2, 5, 9, 9):
        sizes = [rng.choice((0, 1, 1, 2, 4)) for _ in range(many)]
        places = [word for word, size in enumerate(sizes) for _ in range(size)]
        cases.append(([None, *places, None], [rng.randint(0, 3) for _ in range(many)]))
    return [*cases, ([None, 0, 0, 2, 3, None], [2, 9, 2, 0]), ([None, None], [1])]


def score_lists(seed, given):
    """Scores of many texts; equal ones, answers that are too long, and none."""
    rng = Random(seed)
    cases = []
    for trial in range(60):
        begin, longest, size = 1 + trial % 4, 1 + trial % 3, 12
        scores = [[rng.randint(-3, 4) for _ in range(size)] for _ in range(2)]
        cases.append((*scores, begin, longest))
    for trial in range(8):  # scores of a model that is unsure: all below 0
        scores = [[rng.randint(-9, -1) for _ in range(9)] for _ in range(2)]
        cases.append((*scores, 1 + trial % 4, 1 + trial % 3))
    for edge in (7, 8, 9):  # around the best pair, 8
        start, end = [0, 9, 1, 4, 0], [0, 9, 0, 0, 4]
        cases.append(([edge, *start[1:]], [0, *end[1:]], 2, 3))
    return cases


def tagged_sentences(seed, given):
    """Sentences whose words have several pieces, with tags of every order."""
    rng = Random(seed)
    cases = []
    for many in (1, 1, 2, 4, 8, 8, 8, 8):
        sentences = []
        for _ in range(many):
            firsts, pieces, truth = [], ["O"], []
            for _ in range(rng.randint(1, 8)):
                truth.append(rng.choice(TAGS))
                firsts.append(len(pieces))
                pieces.append(truth[-1] if rng.random() < 0.7 else rng.choice(TAGS))
                pieces += [rng.choice(TAGS) for _ in range(rng.choice((0, 0, 1, 2)))]
            sentences.append(([*pieces, "O"], firsts, truth))
        cases.append((sentences,))
    none = (["O", "B-a", "O"], [0, 2], ["O", "O"])
    return [*cases, ([none],), ([none, none],)]


def small_taggers(seed, given):
    """Taggers of several depths, and updates of uneven micro-batches with padding."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for layers, rank, rate in ((1, 2, 0.05), (2, 5, 0.02)):
        config = BertConfig(
            vocab_size=40, hidden_size=16, layers=layers, heads=2, num_labels=3,
            feedforward_size=24, max_positions=12, dropout=0.0, attention_dropout=0.0,
            initializer_range=0.8,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + layers)
            model = BertForTokenClassification(config)
        updates = []
        for sizes in ((1, 5), (4,), (3, 2, 2), (2, 6), (1, 4), (5,)):
            update = []
            for size in sizes:
                ids = torch.randint(1, 40, (size, 8), generator=generator)
                lengths = torch.randint(2, 9, (size, 1), generator=generator)
                ids = ids.masked_fill(torch.arange(8) >= lengths, 0)
                asked = torch.rand(ids.shape, generator=generator) < 0.6
                asked[:, 0] = True
                labels = torch.randint(0, 3, ids.shape, generator=generator)
                update.append((ids, labels.masked_fill(~asked | (ids == 0), -100)))
            updates.append(update)
        cases.append((model, updates, rank, rate))
    return cases


def what_it_became(solution, model, updates, rank, rate):
    """The losses, and what the model is afterwards."""
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = solution(model, updates, rank, rate)
    after = dict(model.named_parameters())
    summands = [
        (after[name] - before[name]).detach()
        for name in before
        if name in after and name.endswith((".query.weight", ".value.weight"))
    ]
    with torch.no_grad():
        scores = model.eval()(updates[0][0][0])
    return {
        "losses": [float(loss) for loss in losses],
        "names": sorted(after),
        "moved": sorted(n for n in after if not torch.equal(after[n], before.get(n))),
        "ranks": [int(torch.linalg.matrix_rank(s, rtol=1e-3)) for s in summands],
        "scores": scores,
    }


EXERCISES = {
    "labels_of_pieces": Exercise(cut_sentences),
    "answer_or_none": Exercise(score_lists),
    "name_f1": Exercise(tagged_sentences),
    "learn_few": Exercise(small_taggers, examine=what_it_became, tolerance=1e-3),
}
