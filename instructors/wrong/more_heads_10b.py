"""Chapter 10b: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
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
        # the last piece of a word has the label
        """
def labels_of_pieces(word_of, labels):
    found = []
    for word, after in zip(word_of, [*word_of[1:], None]):
        last = word is not None and word != after
        found.append(labels[word] if last else -100)
    return found
""",
        # the first piece of each word only where the label is a new one
        """
def labels_of_pieces(word_of, labels):
    found, before = [], None
    for word in word_of:
        label = None if word is None else labels[word]
        found.append(label if label is not None and label != before else -100)
        before = label
    return found
""",
        # special tokens have the label 0
        """
def labels_of_pieces(word_of, labels):
    found, before = [], None
    for word in word_of:
        first = word is not None and word != before
        found.append(0 if word is None else labels[word] if first else -100)
        before = word
    return found
""",
        # one label for each word, no more
        """
def labels_of_pieces(word_of, labels):
    words = sorted({word for word in word_of if word is not None})
    return [-100, *(labels[word] for word in words), -100]
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
        # none also where it is as good as the best pair
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, min(a + longest, len(end)))
    ]
    score, a, b = max(pairs)
    return None if start[0] + end[0] >= score else (-a, -b)
""",
        # none if [CLS] is the better start, whatever its end is
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, min(a + longest, len(end)))
    ]
    score, a, b = max(pairs)
    return None if start[0] > start[-a] else (-a, -b)
""",
        # as long as it likes
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, len(end))
    ]
    score, a, b = max(pairs)
    return None if start[0] + end[0] > score else (-a, -b)
""",
        # the best start first, then the best end after it
        """
def answer_or_none(start, end, begin, longest):
    a = max(range(begin, len(start)), key=lambda i: start[i])
    b = max(range(a, min(a + longest, len(end))), key=lambda i: end[i])
    return None if start[0] + end[0] > start[a] + end[b] else (a, b)
""",
        # places counted from the text's beginning
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[a] + end[b], -a, -b)
        for a in range(begin, len(start))
        for b in range(a, min(a + longest, len(end)))
    ]
    score, a, b = max(pairs)
    return None if start[0] + end[0] > score else (-a - begin, -b - begin)
""",
        # of equal pairs the longer one
        """
def answer_or_none(start, end, begin, longest):
    best, where = -torch.inf, (0, 0)
    for first in range(begin, len(start)):
        for last in range(first, min(first + longest, len(end))):
            total = start[first] + end[last]
            if total > best or (total == best and first == where[0]):
                best, where = total, (first, last)
    return None if start[0] + end[0] > best else where
""",
        # begins at 0, so scores below 0 have no answer
        """
def answer_or_none(start, end, begin, longest):
    best, where = 0, None
    for first in range(begin, len(start)):
        for last in range(first, min(first + longest, len(end))):
            if start[first] + end[last] > best:
                best, where = start[first] + end[last], (first, last)
    return None if start[0] + end[0] > best else where
""",
        # takes the start's score of [CLS] for both
        """
def answer_or_none(start, end, begin, longest):
    pairs = [
        (start[first] + end[last], -first, -last)
        for first in range(begin, len(start))
        for last in range(first, min(first + longest, len(end)))
    ]
    total, first, last = max(pairs)
    return None if 2 * start[0] > total else (-first, -last)
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
        # a B- goes on with a name, too
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            before = tags[place - 1] if place else "O"
            goes_on = tag != "O" and before != "O" and before[2:] == tag[2:]
            if start is not None and not goes_on:
                found.add((start, place, before[2:]))
                start = None
            if tag != "O" and not goes_on:
                start = place
        return found
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # an I- without its B- is no name
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
            if tag[0] == "B" and not goes_on:
                start = place
        return found
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # an I- goes on whatever its type is
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            before = tags[place - 1] if place else "O"
            goes_on = tag[0] == "I" and before != "O"
            if start is not None and not goes_on:
                found.add((start, place, before[2:]))
                start = None
            if tag != "O" and not goes_on:
                start = place
        return found
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # where a name begins is enough
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            before = tags[place - 1] if place else "O"
            goes_on = tag[0] == "I" and before != "O" and before[2:] == tag[2:]
            if start is not None and not goes_on:
                found.add((start, before[2:]))
                start = None
            if tag != "O" and not goes_on:
                start = place
        return found
    right = guessed = there = 0
    for tags, firsts, truth in sentences:
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # the last word's name is never closed
        """
def name_f1(sentences):
    def names(tags):
        found, start = set(), None
        for place, tag in enumerate(tags):
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
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 0.0
""",
        # precision alone
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
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return right / guessed if guessed else 0.0
""",
        # recall alone
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
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return right / there if there else 0.0
""",
        # nothing found and nothing there is perfect
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
        mine, theirs = names([tags[place] for place in firsts]), names(truth)
        right += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * right / (guessed + there) if guessed + there else 1.0
""",
        # names of different types are the same
        """
def name_f1(sentences):
    def names_in(tags):
        found, begun = set(), 0
        while begun < len(tags):
            after = begun + 1
            if tags[begun] != "O":
                while after < len(tags) and tags[after] == "I-" + tags[begun][2:]:
                    after += 1
                found.add((begun, after))
            begun = after
        return found

    both = guessed = there = 0
    for piece_tags, firsts, truth in sentences:
        mine, theirs = names_in([piece_tags[at] for at in firsts]), names_in(truth)
        both += len(mine & theirs)
        guessed += len(mine)
        there += len(theirs)
    return 2 * both / (guessed + there) if guessed + there else 0.0
""",
    ],
    "learn_few": [
        # the mean of the micro-batches' means
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels) / len(parts)
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # divided by all places, padding too
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(labels.numel() for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # where nothing is asked class 0 is
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            labels = labels.clamp(min=0)
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # padding is attended to
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=None)
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # everything learns
        """
def learn_few(model, updates, rank, rate):
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    return found
""",
        # the head stands still
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad and p.shape[0] != 3]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # only the head learns
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad and p.shape[0] == 3]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # gradients of earlier updates stay
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # a step for each micro-batch
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
            nn.utils.clip_grad_norm_(few, 1.0)
            optimiser.step()
            optimiser.zero_grad()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # not merged
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    return found
""",
        # another rank
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # SGD
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(few, lr=rate)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # the loss after the update
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        with torch.no_grad():
            for ids, labels in parts:
                logits = model(ids, attention_mask=(ids != 0).long())
                total += F.cross_entropy(logits.mT, labels, reduction="sum").item()
        found.append(total / count)
    lowrank.merge_low_rank(model)
    return found
""",
        # the gradient is not clipped
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # decay as PyTorch has it
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # the sum is clipped within each micro-batch too
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
            nn.utils.clip_grad_norm_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
        # each value of the gradient is clipped, not its length
        """
def learn_few(model, updates, rank, rate):
    lowrank.add_low_rank(model, rank)
    few = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(few, lr=rate, weight_decay=0.0)
    found = []
    for parts in updates:
        count = sum(int((labels >= 0).sum()) for _, labels in parts)
        optimiser.zero_grad()
        total = 0.0
        for ids, labels in parts:
            logits = model(ids, attention_mask=(ids != 0).long())
            loss = F.cross_entropy(logits.mT, labels, reduction="sum") / count
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_value_(few, 1.0)
        optimiser.step()
        found.append(total)
    lowrank.merge_low_rank(model)
    return found
""",
    ],
}

# A small decay shows late.
PASS_THE_VISIBLE_CHECK: dict[str, list[int]] = {"learn_few": [14]}
