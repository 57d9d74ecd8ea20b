"""Chapter 10b: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "labels_of_pieces": [
        # the words that had a piece already
        """
def labels_of_pieces(word_of, labels):
    seen, out = {None}, []
    for word in word_of:
        if word in seen:
            out.append(-100)
        else:
            out.append(labels[word])
            seen.add(word)
    return out
""",
        # groups of pieces side by side
        """
from itertools import groupby


def labels_of_pieces(word_of: list, labels: list) -> list:
    out = []
    for word, pieces in groupby(word_of):
        count = len(list(pieces))
        first = -100 if word is None else labels[word]
        out += [first] + [-100] * (count - 1)
    return out
""",
        # nothing at first; then the place of each word's first piece
        """
def labels_of_pieces(word_of, labels):
    out = [-100] * len(word_of)
    for word, label in enumerate(labels):
        if word in word_of:
            out[word_of.index(word)] = label
    return out
""",
    ],
    "answer_or_none": [
        # two loops and a best pair so far
        """
def answer_or_none(start, end, begin, longest):
    best, answer = float("-inf"), None
    for i in range(begin, len(start)):
        for j in range(i, len(end)):
            if j - i + 1 > longest:
                break
            if start[i] + end[j] > best:
                best, answer = start[i] + end[j], (i, j)
    if start[0] + end[0] > best:
        return None
    return answer
""",
        # a table of sums; what is no answer is minus infinity
        """
import numpy as np


def answer_or_none(start, end, begin: int, longest: int):
    sums = np.add.outer(np.asarray(start, float), np.asarray(end, float))
    first, last = np.indices(sums.shape)
    allowed = (first >= begin) & (last >= first) & (last < first + longest)
    sums_of_answers = np.where(allowed, sums, -np.inf)
    if sums[0, 0] > sums_of_answers.max():
        return None
    return np.unravel_index(sums_of_answers.argmax(), sums.shape)
""",
        # all pairs, sorted by sum, then by where they begin, then by length
        """
from itertools import combinations_with_replacement


def answer_or_none(start, end, begin, longest):
    places = range(begin, len(start))
    pairs = [
        pair
        for pair in combinations_with_replacement(places, 2)
        if pair[1] - pair[0] < longest
    ]
    pairs.sort(key=lambda pair: (-(start[pair[0]] + end[pair[1]]), pair))
    first, last = pairs[0]
    no_answer = start[0] + end[0]
    return (first, last) if start[first] + end[last] >= no_answer else None
""",
    ],
    "name_f1": [
        # a name is a list that grows; all names of all sentences in two sets
        """
def name_f1(sentences):
    def names(number, tags):
        found, current, kind = [], None, None
        for place, tag in enumerate(tags):
            letter, _, its_kind = tag.partition("-")
            if letter == "I" and kind == its_kind:
                current.append(place)
            elif letter in ("B", "I"):
                current, kind = [place], its_kind
                found.append((number, kind, current))
            else:
                current, kind = None, None
        return {(n, k, tuple(places)) for n, k, places in found}

    mine, theirs = set(), set()
    for number, (tags, firsts, truth) in enumerate(sentences):
        mine |= names(number, [tags[f] for f in firsts])
        theirs |= names(number, truth)
    if not mine and not theirs:
        return 0.0
    return 2 * len(mine & theirs) / (len(mine) + len(theirs))
""",
        # first every I- that begins a name becomes a B-, then ends are looked for
        """
def name_f1(sentences: list) -> float:
    def with_b(tags):
        fixed = []
        for before, tag in zip(["O", *tags], tags):
            begins = tag.startswith("I-") and before[1:] != tag[1:]
            fixed.append("B" + tag[1:] if begins else tag)
        return fixed

    def spans(tags):
        tags = with_b(tags)
        for i, tag in enumerate(tags):
            if tag.startswith("B-"):
                j = i + 1
                while j < len(tags) and tags[j] == "I" + tag[1:]:
                    j += 1
                yield i, j, tag[2:]

    right = predicted = actual = 0
    for pieces, firsts, truth in sentences:
        guess = list(spans([pieces[i] for i in firsts]))
        known = list(spans(truth))
        right += sum(span in known for span in guess)
        predicted += len(guess)
        actual += len(known)
    precision = right / predicted if predicted else 0
    recall = right / actual if actual else 0
    return 2 * precision * recall / (precision + recall) if right else 0.0
""",
        # one long row of tags, with an O between sentences, and places as bounds
        """
def name_f1(sentences):
    guess, truth = ["O"], ["O"]
    for pieces, firsts, right in sentences:
        guess += [pieces[at] for at in firsts] + ["O"]
        truth += [*right, "O"]

    def bounds(tags):
        names, n = {}, 1
        while n < len(tags):
            if tags[n] == "O":
                n += 1
                continue
            begin, kind = n, tags[n].split("-")[1]
            n += 1
            while tags[n] == f"I-{kind}":
                n += 1
            names[begin] = n, kind
        return names

    found, there = bounds(guess), bounds(truth)
    total = len(found) + len(there)
    return 2 * len(found.items() & there.items()) / max(total, 1)
""",
    ],
    "learn_few": [
        # sums are added up, and the gradient is divided once by the number of labels
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank=rank)
    learns = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.Adam(learns, lr=rate)
    losses = []
    for update in updates:
        adam.zero_grad()
        total, n = 0.0, 0
        for ids, labels in update:
            scores = model(ids, attention_mask=ids.ne(0).long())
            flat = scores.flatten(0, 1), labels.flatten()
            loss = F.cross_entropy(*flat, ignore_index=-100, reduction="sum")
            loss.backward()
            total += float(loss)
            n += int(labels.ne(-100).sum())
        for p in learns:
            if p.grad is not None:
                p.grad /= n
        torch.nn.utils.clip_grad_norm_(learns, 1)
        adam.step()
        losses.append(total / n)
    lowrank.merge_low_rank(model)
    return losses
""",
        # the micro-batches of an update as one batch
        """
def learn_few(model: nn.Module, updates: list, rank: int, rate: float) -> list[float]:
    lowrank.add_low_rank(model, rank)
    few = list(filter(lambda p: p.requires_grad, model.parameters()))
    optimiser = torch.optim.AdamW([{"params": few}], lr=rate, weight_decay=0)
    history = []
    for update in updates:
        ids, labels = map(torch.cat, zip(*update))
        logits = model(ids, attention_mask=(ids > 0).int())
        loss = F.cross_entropy(logits[labels != -100], labels[labels != -100])
        history.append(loss.item())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(few, max_norm=1.0)
        optimiser.step()
    lowrank.merge_low_rank(model)
    return history
""",
        # one backward pass for the weighted means of the micro-batches
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=rate, weight_decay=0.0)
    found = []
    for micro_batches in updates:
        parts, sizes = [], []
        for ids, labels in micro_batches:
            real = torch.where(ids == 0, 0, 1)
            log_p = model(ids, attention_mask=real).log_softmax(-1)
            at = labels >= 0
            parts.append(-log_p[at].gather(1, labels[at][:, None]).sum())
            sizes.append(at.sum())
        loss = torch.stack(parts).sum() / sum(sizes)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
        optimiser.step()
        found.append(loss.item())
    lowrank.merge_low_rank(model)
    return found
""",
    ],
}
