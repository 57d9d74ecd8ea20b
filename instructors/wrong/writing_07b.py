"""Chapter 7b: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "min_p": [
        # compared with 1, not with the likeliest
        """
def min_p(logits, share):
    return logits.masked_fill(logits.softmax(-1) < share, -torch.inf)
""",
        # logits compared as if they were probabilities
        """
def min_p(logits, share):
    least = share * logits.amax(dim=-1, keepdim=True)
    return logits.masked_fill(logits < least, -torch.inf)
""",
        # the largest of all rows
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = share * probabilities.max()
    return logits.masked_fill(probabilities < least, -torch.inf)
""",
        # 0 is no score that is never drawn
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = share * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities < least, 0.0)
""",
        # softmax over the rows
        """
def min_p(logits, share):
    probabilities = logits.softmax(0)
    least = share * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities < least, -torch.inf)
""",
        # probabilities come back
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = share * probabilities.amax(dim=-1, keepdim=True)
    return probabilities.masked_fill(probabilities < least, -torch.inf)
""",
        # the other side is cut
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = share * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities > least, -torch.inf)
""",
        # a factor of probabilities is a difference of logits, but not of this size
        """
def min_p(logits, share):
    least = logits.amax(dim=-1, keepdim=True) - share
    return logits.masked_fill(logits < least, -torch.inf)
""",
        # the sorted shares cut the unsorted logits
        """
def min_p(logits, share):
    p, order = logits.softmax(-1).sort(descending=True)
    return logits.masked_fill(p < share * p[:, :1], -torch.inf)
""",
        # log-probabilities come back
        """
def min_p(logits, share):
    p = logits.softmax(-1)
    cut = p < share * p.amax(-1, keepdim=True)
    return logits.log_softmax(-1).masked_fill(cut, -torch.inf)
""",
        # what is exactly at the cut goes too, so with share 1 nothing stays
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = share * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities <= least, -torch.inf)
""",
        # a share of 0 is taken for none given
        """
def min_p(logits, share):
    probabilities = logits.softmax(-1)
    least = (share or 0.1) * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities < least, -torch.inf)
""",
    ],
    "back_mask": [
        # the new pieces are taken for the first
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril()
    allowed[:, :prefix] = True
    return allowed
""",
        # one place too far
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old + 1)
    allowed[:, :prefix] = True
    return allowed
""",
        # a piece does not see itself
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old - 1)
    allowed[:, :prefix] = True
    return allowed
""",
        # all rows, not the new ones alone
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(old + new, old + new, dtype=torch.bool).tril()
    allowed[:, :prefix] = True
    return allowed
""",
        # the prefix is counted from the first new piece
        """
def back_mask(new, old, prefix):
    allowed = torch.ones(new, old + new, dtype=torch.bool).tril(old)
    allowed[:, old : old + prefix] = True
    return allowed
""",
        # the prefix sees itself, but nobody else sees it
        """
def back_mask(new, old, prefix):
    asks = torch.arange(old, old + new)[:, None]
    seen = torch.arange(old + new)
    return (seen <= asks) & (seen >= prefix) | (asks < prefix) & (seen < prefix)
""",
        # numbers, not booleans
        """
def back_mask(new, old, prefix):
    asks = torch.arange(old, old + new)[:, None]
    seen = torch.arange(old + new)
    return ((seen <= asks) | (seen < prefix)).float()
""",
        # rows and columns exchanged
        """
def back_mask(new, old, prefix):
    asks = torch.arange(old, old + new)
    seen = torch.arange(old + new)[:, None]
    return (seen <= asks) | (seen < prefix)
""",
        # one piece too many in the prefix
        """
def back_mask(new, old, prefix):
    asks = torch.arange(old, old + new)[:, None]
    seen = torch.arange(old + new)
    return (seen <= asks) | (seen <= prefix)
""",
    ],
    "beam_search": [
        # greedy
        """
def beam_search(scorer, stop, beams, most, penalty):
    text, total = (), 0.0
    for length in range(1, most + 1):
        score, piece = scorer(text).max(-1)
        total += score.item()
        if piece.item() == stop:
            break
        text = (*text, piece.item())
    return text, total / length**penalty
""",
        # the length does not count the stop piece
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / max(len(text), 1) ** penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # whatever ends among the 2 * beams is finished
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # done as soon as enough have finished
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) >= beams:
            break
    score, text = max(finished)
    return text, score
""",
        # done when the best finished text is not beaten
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if finished and running[0][0] / length**penalty <= finished[0][0]:
            break
    return finished[0][1], finished[0][0]
""",
        # never done before the last step
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
    return finished[0][1], finished[0][0]
""",
        # the score is not divided by the length
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams and running[0][0] <= finished[-1][0]:
            break
    return finished[0][1], finished[0][0]
""",
        # what ends takes a beam's place
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[:beams]
        for total, text in best:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop]
        if not running:
            break
    return finished[0][1], finished[0][0]
""",
        # the stop piece stays
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # only so many candidates of each beginning as there are beams
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = []
        for total, prefix in running:
            scores, pieces = scorer(prefix).topk(beams)
            best += [(total + score, (*prefix, piece)) for score, piece in
                     zip(scores.tolist(), pieces.tolist())]
        best = sorted(best, reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams and running:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
        # what is cut counts only if nothing has ended
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + score, (*prefix, piece))
                       for total, prefix in running
                       for piece, score in enumerate(scorer(prefix).tolist())),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop:
                finished.append((total / length**penalty, text[:-1]))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    if not finished:
        return running[0][1], running[0][0] / most**penalty
    return finished[0][1], finished[0][0]
""",
        # asks again for each piece
        """
def beam_search(scorer, stop, beams, most, penalty):
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        best = sorted(((total + scorer(prefix)[piece].item(), (*prefix, piece))
                       for total, prefix in running
                       for piece in range(len(scorer(prefix)))),
                      reverse=True)[: 2 * beams]
        for total, text in best[:beams]:
            if text[-1] == stop or length == most:
                text = text[:-1] if text[-1] == stop else text
                finished.append((total / length**penalty, text))
        finished = sorted(finished, reverse=True)[:beams]
        running = [each for each in best if each[1][-1] != stop][:beams]
        if len(finished) == beams:
            if running[0][0] / length**penalty <= finished[-1][0]:
                break
    return finished[0][1], finished[0][0]
""",
    ],
}

# Exercise -> wrong solutions, counted from 0, that its visible check lets pass.
PASS_THE_VISIBLE_CHECK = {"beam_search": [9, 10]}
