"""Chapter 10: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "head_size": [
        # no biases
        """
def head_size(width, classes):
    return width * classes
""",
        # a bias for each feature instead of each class
        """
def head_size(width, classes):
    return width * classes + width
""",
        # the pooler counted, too
        """
def head_size(width, classes):
    return width * classes + classes + width * width + width
""",
    ],
    "labels_of_pieces": [
        # every piece of a word has the label
        """
def labels_of_pieces(word_of, labels):
    return [-100 if word is None else labels[word] for word in word_of]
""",
        # forgets [CLS]: all slip by one
        """
def labels_of_pieces(word_of, labels):
    found, before = [], None
    for word in word_of[1:]:
        first = word is not None and word != before
        found.append(labels[word] if first else -100)
        before = word
    return [*found, -100]
""",
        # counts words instead of looking at their numbers
        """
def labels_of_pieces(word_of, labels):
    found, before, given = [], None, iter(labels)
    for word in word_of:
        found.append(next(given) if word is not None and word != before else -100)
        before = word
    return found
""",
        # a label of 0 counts as none
        """
def labels_of_pieces(word_of, labels):
    found, before = [], None
    for word in word_of:
        first = word is not None and word != before
        found.append((labels[word] if first else -100) or -100)
        before = word
    return found
""",
    ],
    "answer_or_none": [
        # the best start and the best end, one by one
        """
def answer_or_none(start, end, begin, longest):
    first = max(range(begin, len(start)), key=lambda i: start[i])
    last = max(range(begin, len(end)), key=lambda i: end[i])
    if start[0] + end[0] > start[first] + end[last]:
        return None
    return first, last
""",
        # the question may answer itself
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(1, len(start))
        for b in range(a, min(a + longest, len(end)))
    ]
    score, a, b = max(pairs)
    return None if start[0] + end[0] > score else (-a, -b)
""",
        # one place too long
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, min(a + longest + 1, len(end)))
    ]
    score, a, b = max(pairs)
    return None if start[0] + end[0] > score else (-a, -b)
""",
        # never none
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, min(a + longest, len(end)))
    ]
    score, a, b = max(pairs)
    return -a, -b
""",
    ],
    "test_labels": [
        # looks at one-piece words only: continuation pieces do not exist
        """
def test_labels(make):
    pieces, found = make(["is", "so"], [1, 2])
    assert found == [-100, 1, 2, -100]
""",
        # looks at the labels in their order, not at their places
        """
def test_labels(make):
    pieces, found = make(["unbelievable", "is"], [5, 6])
    assert [label for label in found if label != -100] == [5, 6]
""",
        # a sentence of one word
        """
def test_labels(make):
    pieces, found = make(["unbelievable"], [5])
    assert found == [-100, 5, -100, -100, -100, -100]
""",
        # rejects also a right one
        """
def test_labels(make):
    pieces, found = make(["unbelievable", "is"], [5, 6])
    assert found == [5, -100, -100, -100, 6, -100]
""",
    ],
    "test_loss": [
        # nothing is padded
        """
def test_loss(loss_of):
    logits, labels = torch.randn(2, 3, 4), torch.tensor([[1, 2, 3], [3, 2, 1]])
    right = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert torch.allclose(loss_of(logits, labels), right)
""",
        # only that the scores of padding do not matter
        """
def test_loss(loss_of):
    logits, labels = torch.randn(1, 3, 4), torch.tensor([[1, 2, -100]])
    moved = logits.clone()
    moved[0, 2] += torch.randn(4)
    assert torch.allclose(loss_of(logits, labels), loss_of(moved, labels))
""",
        # class 0 is never right
        """
def test_loss(loss_of):
    logits, labels = torch.randn(1, 3, 4), torch.tensor([[1, 2, -100]])
    right = F.cross_entropy(logits[0, :2], labels[0, :2])
    assert torch.allclose(loss_of(logits, labels), right)
""",
        # one row: the mean of the rows' means is not found out
        """
def test_loss(loss_of):
    logits, labels = torch.randn(1, 4, 4), torch.tensor([[1, 0, -100, -100]])
    right = F.cross_entropy(logits[0, :2], labels[0, :2])
    assert torch.allclose(loss_of(logits, labels), right)
""",
    ],
    "test_choice": [
        # all sets prefer the same epoch
        """
def test_choice(fit):
    epoch, score = fit([3, 1], [3, 1], [3, 1])
    assert epoch == 3 and score == 2
""",
        # does not look at the score
        """
def test_choice(fit):
    for valid, test in (([2, 1], [9, 1]), ([7, 1], [1, 3])):
        epoch, score = fit([4, 0], valid, test)
        assert epoch == valid[0]
""",
        # does not look at the epoch
        """
def test_choice(fit):
    epoch, score = fit([4, 0], [2, 1], [9, 1])
    assert score == 5 - abs(epoch - 9)
""",
        # training and validation prefer the same
        """
def test_choice(fit):
    epoch, score = fit([2, 1], [2, 1], [9, 1])
    assert epoch == 2 and score == 5 - 7
""",
    ],
    "name_f1": [
        # the share of right tags
        """
def name_f1(sentences):
    pairs = [
        (tags[place], right)
        for tags, firsts, truth in sentences
        for place, right in zip(firsts, truth)
    ]
    return sum(a == b for a, b in pairs) / len(pairs)
""",
        # F1 of tags that are not O, word by word
        """
def name_f1(sentences):
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        for place, wanted in zip(firsts, truth):
            guess = tags[place]
            right += guess == wanted != "O"
            guessed += guess != "O"
            there += wanted != "O"
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # all pieces count
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            before = tags[place - 1] if place else "O"
            goes_on = tag[0] == "I" and before != "O" and before[2:] == tag[2:]
            if start is not None and not goes_on:
                found.add((start, place, before[2:]))
                start = None
            if tag != "O" and not goes_on:
                start = place
        return found
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        spread = ["O"] * len(tags)
        for place, tag in zip(firsts, truth):
            spread[place] = tag
        mine, theirs = names(tags), names(spread)
        right, guessed, there = (
            right + len(mine & theirs), guessed + len(mine), there + len(theirs))
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # the mean of the sentences' F1
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            before = tags[place - 1] if place else "O"
            goes_on = tag[0] == "I" and before != "O" and before[2:] == tag[2:]
            if start is not None and not goes_on:
                found.add((start, place, before[2:]))
                start = None
            if tag != "O" and not goes_on:
                start = place
        return found
    values = []
    for tags, firsts, truth in sentences:
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        both = len(mine) + len(theirs)
        values.append(2 * len(mine & theirs) / both if both else 0.0)
    return sum(values) / len(values)
""",
    ],
    "fair_comparison": [
        # the rate that the test rows prefer
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        best = max(rates, key=lambda rate: median(test for _, test in tried[rate]))
        tests = [test for _, test in tried[best]]
        table[way] = min(tests), median(tests), max(tests)
    return table
""",
        # the best single run chooses
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        best = max(rates, key=lambda rate: max(valid for valid, _ in tried[rate]))
        tests = [test for _, test in tried[best]]
        table[way] = min(tests), median(tests), max(tests)
    return table
""",
        # the mean chooses
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        best = max(rates, key=lambda rate: sum(valid for valid, _ in tried[rate]))
        tests = [test for _, test in tried[best]]
        table[way] = min(tests), median(tests), max(tests)
    return table
""",
        # the scores of all rates
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tests = [run(way, rate, seed)[1] for rate in rates for seed in seeds]
        table[way] = min(tests), median(tests), max(tests)
    return table
""",
        # the validation scores are reported
        """
def fair_comparison(run, ways, rates, seeds):
    table = {}
    for way in ways:
        tried = {rate: [run(way, rate, seed) for seed in seeds] for rate in rates}
        best = max(rates, key=lambda rate: median(valid for valid, _ in tried[rate]))
        valids = [valid for valid, _ in tried[best]]
        table[way] = min(valids), median(valids), max(valids)
    return table
""",
    ],
}
