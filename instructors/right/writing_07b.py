"""Chapter 7b: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "min_p": [
        # without a softmax: distances of logits to the largest
        """
def min_p(logits, share):
    largest = logits.max(dim=-1, keepdim=True).values
    least = largest + torch.tensor(float(share)).log()
    return torch.where(logits < least, float("-inf"), logits)
""",
        # row by row and piece by piece
        """
def min_p(logits: Tensor, share: float) -> Tensor:
    rows = []
    for row in logits:
        p = F.softmax(row, dim=0).tolist()
        top = max(p)
        kept = [x if q >= share * top else -math.inf for x, q in zip(row.tolist(), p)]
        rows.append(torch.tensor(kept, dtype=logits.dtype))
    return torch.stack(rows)
""",
        # the ratio to the likeliest piece, written into a copy
        """
def min_p(logits, share):
    weights = torch.exp(logits - torch.amax(logits, -1, True))  # the largest is 1
    cut = logits.clone()
    cut[weights < share] = -torch.inf
    return cut
""",
    ],
    "back_mask": [
        # a triangle whose diagonal lies further to the right
        """
def back_mask(new, old, prefix):
    mask = torch.ones(new, old + new).tril(diagonal=old)
    mask[:, :prefix] = 1
    return mask.bool()
""",
        # piece by piece in lists
        """
def back_mask(new: int, old: int, prefix: int) -> Tensor:
    return torch.tensor(
        [
            [key < prefix or key <= old + query for key in range(old + new)]
            for query in range(new)
        ]
    )
""",
        # the last rows of the whole map
        """
def back_mask(new, old, prefix):
    n = old + new
    rows, columns = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    whole = (columns <= rows).logical_or(columns < prefix)
    return whole[old:]
""",
    ],
    "beam_search": [
        # all candidates in a table, of which torch takes the largest
        """
def beam_search(scorer, stop, beams, most, penalty):
    texts, sums, done = [()], torch.zeros(1, dtype=torch.double), []
    for step in range(1, most + 1):
        table = torch.stack([scorer(text) for text in texts]).double() + sums[:, None]
        pieces = table.shape[1]
        top = table.flatten().topk(min(2 * beams, table.numel()))
        ranked = [
            (value, texts[at // pieces] + (at % pieces,))
            for value, at in zip(top.values.tolist(), top.indices.tolist())
        ]
        for value, text in ranked[:beams]:
            if text[-1] == stop:
                done.append((value / step**penalty, text[:-1]))
            elif step == most:
                done.append((value / step**penalty, text))
        done = sorted(done, key=lambda each: -each[0])[:beams]
        alive = [each for each in ranked if each[1][-1] != stop][:beams]
        if len(done) == beams and alive[0][0] / step**penalty <= done[-1][0]:
            break
        texts = [text for _, text in alive]
        sums = torch.tensor([value for value, _ in alive], dtype=torch.double)
    return done[0][1], done[0][0]
""",
        # a heap's largest; small classes with names
        """
import heapq
from dataclasses import dataclass


@dataclass
class Hypothesis:
    pieces: tuple
    total: float

    def score(self, penalty, length):
        return self.total / length**penalty


def beam_search(scorer, stop: int, beams: int, most: int, penalty: float):
    running, best = [Hypothesis((), 0.0)], []
    length = 0
    while length < most:
        length += 1
        candidates = []
        for each in running:
            for piece, logp in enumerate(scorer(each.pieces)):
                total = each.total + logp.item()
                candidates.append(Hypothesis((*each.pieces, piece), total))
        candidates = heapq.nlargest(2 * beams, candidates, key=lambda h: h.total)
        running = []
        for rank, each in enumerate(candidates):
            ended = each.pieces[-1] == stop
            if rank < beams and (ended or length == most):
                text = list(each.pieces[:-1] if ended else each.pieces)
                best.append((each.score(penalty, length), text))
            if not ended and len(running) < beams:
                running.append(each)
        best = heapq.nlargest(beams, best, key=lambda pair: pair[0])
        if len(best) == beams:
            worst = best[-1][0]
            if running[0].score(penalty, length) <= worst:
                break
    score, text = max(best, key=lambda pair: pair[0])
    return text, score
""",
        # one step is a function that calls itself
        """
def beam_search(scorer, stop, beams, most, penalty):
    def step(running, finished, length):
        grown = {}
        for prefix, total in running.items():
            scores = scorer(prefix)
            for piece in range(len(scores)):
                grown[prefix + (piece,)] = total + float(scores[piece])
        order = sorted(grown, key=grown.get, reverse=True)[: beams * 2]
        ends = lambda text: text[-1] == stop
        for text in order[:beams]:
            if ends(text) or length == most:
                finished = finished | {text: grown[text] / length**penalty}
        kept = sorted(finished, key=finished.get, reverse=True)[:beams]
        finished = {text: finished[text] for text in kept}
        going = {t: grown[t] for t in [t for t in order if not ends(t)][:beams]}
        full = len(finished) == beams
        hope = max(going.values()) / length**penalty
        if length == most or (full and not hope > min(finished.values())):
            return finished
        return step(going, finished, length + 1)

    finished = step({(): 0.0}, {}, 1)
    text = max(finished, key=finished.get)
    return tuple(p for p in text if p != stop), finished[text]
""",
    ],
}
