"""Chapter 9c: plausible wrong solutions. The cases of any seed reject each of them."""

WRONG = {
    "pieces_per_word_of": [
        # every word once, however often it comes
        """
def pieces_per_word_of(counts, its):
    return sum(len(its.tokenize(word)) for word in counts) / len(counts)
""",
        # divided by the number of different words
        """
def pieces_per_word_of(counts, its):
    total = sum(n * len(its.tokenize(word)) for word, n in counts.items())
    return total / len(counts)
""",
        # with [CLS] and [SEP]
        """
def pieces_per_word_of(counts, its):
    total = sum(n * len(its.encode(word)) for word, n in counts.items())
    return total / sum(counts.values())
""",
        # continuations alone
        """
def pieces_per_word_of(counts, its):
    total = sum(n * (len(its.tokenize(word)) - 1) for word, n in counts.items())
    return total / sum(counts.values())
""",
        # characters
        """
def pieces_per_word_of(counts, its):
    total = sum(n * len(word) for word, n in counts.items())
    return total / sum(counts.values())
""",
        # upside down
        """
def pieces_per_word_of(counts, its):
    total = sum(n * len(its.tokenize(word)) for word, n in counts.items())
    return sum(counts.values()) / total
""",
        # words that are cut alone
        """
def pieces_per_word_of(counts, its):
    cut = {w: n for w, n in counts.items() if len(its.tokenize(w)) > 1}
    total = sum(n * len(its.tokenize(word)) for word, n in cut.items())
    return total / sum(cut.values())
""",
        # a whole number
        """
def pieces_per_word_of(counts, its):
    total = sum(n * len(its.tokenize(word)) for word, n in counts.items())
    return total // sum(counts.values())
""",
    ],
    "bits_per_character": [
        # nats
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / sum(map(len, words))
""",
        # per piece
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(2) / sum(map(len, losses))
""",
        # the mean of each word's own
        """
def bits_per_character(words, losses):
    each = [sum(l) / len(w) for w, l in zip(words, losses)]
    return sum(each) / len(each) / math.log(2)
""",
        # the mean loss of a word's pieces, not their sum
        """
def bits_per_character(words, losses):
    nats = sum(sum(each) / len(each) for each in losses)
    return nats / math.log(2) / sum(map(len, words))
""",
        # per word
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(2) / len(words)
""",
        # times ln 2
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) * math.log(2) / sum(map(len, words))
""",
        # a space after each word
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(2) / len(" ".join(words))
""",
        # decimal digits
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(10) / sum(map(len, words))
""",
        # bytes
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(2) / len("".join(words).encode())
""",
        # the mean loss of a piece times the mean number of pieces of a character,
        # word by word
        """
def bits_per_character(words, losses):
    nats = sum(map(sum, losses)) / sum(map(len, losses))
    rate = sum(len(l) / len(w) for w, l in zip(words, losses)) / len(words)
    return nats * rate / math.log(2)
""",
        # the first piece alone
        """
def bits_per_character(words, losses):
    return sum(l[0] for l in losses) / math.log(2) / sum(map(len, words))
""",
        # different letters
        """
def bits_per_character(words, losses):
    return sum(map(sum, losses)) / math.log(2) / len(set("".join(words)))
""",
        # the loss of a word by its mean length, rounded down
        """
def bits_per_character(words, losses):
    per_word = sum(map(sum, losses)) / math.log(2) / len(words)
    return per_word / (sum(map(len, words)) // len(words))
""",
        # the product of a word's losses
        """
def bits_per_character(words, losses):
    nats = sum(math.prod(each) for each in losses)
    return nats / math.log(2) / sum(map(len, words))
""",
    ],
    "carried_over": [
        # a continuation is cut as if it began a word
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        known = entry in old.ids
        ids = [old.ids[entry]] if known else [
            old.ids[p] for p in old.tokenize(entry.removeprefix("##"))]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # what the tokenizer makes of the signs ## stays in
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        known = entry in old.ids
        ids = [old.ids[entry]] if known else [old.ids[p] for p in old.tokenize(entry)]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # the rows of the old list, in its own order
        """
def carried_over(table, old, new):
    rows = [table[old.ids.get(e, old.unk_id)] for e in new.vocabulary]
    return torch.stack(rows)
""",
        # by number: the same id, whatever it stands for
        """
def carried_over(table, old, new):
    rows = [table[i] if i < len(table) else table.mean(dim=0) for i in range(len(new))]
    return torch.stack(rows)
""",
        # letters, not the longest pieces
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        if entry in old.ids:
            rows.append(table[old.ids[entry]])
            continue
        mark, letters = "##" * entry.startswith("##"), entry.removeprefix("##")
        names = [(mark if i == 0 else "##") + c for i, c in enumerate(letters)]
        ids = [old.ids[n] for n in names if n in old.ids] or [old.unk_id]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # the sum
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark, ids = entry.removeprefix("##"), "##" * entry.startswith("##"), []
        while letters:
            ends = range(len(letters), 0, -1)
            fits = [n for n in ends if mark + letters[:n] in old.ids]
            if not fits:
                ids = [old.unk_id]
                break
            ids.append(old.ids[mark + letters[: fits[0]]])
            letters, mark = letters[fits[0] :], "##"
        rows.append(table[ids].sum(dim=0))
    return torch.stack(rows)
""",
        # what cannot be spelt keeps the pieces found so far
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark, ids = entry.removeprefix("##"), "##" * entry.startswith("##"), []
        while letters:
            ends = range(len(letters), 0, -1)
            fits = [n for n in ends if mark + letters[:n] in old.ids]
            if not fits:
                ids.append(old.unk_id)
                break
            ids.append(old.ids[mark + letters[: fits[0]]])
            letters, mark = letters[fits[0] :], "##"
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # the first of the old pieces alone
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark, ids = entry.removeprefix("##"), "##" * entry.startswith("##"), []
        while letters:
            ends = range(len(letters), 0, -1)
            fits = [n for n in ends if mark + letters[:n] in old.ids]
            if not fits:
                ids = [old.unk_id]
                break
            ids.append(old.ids[mark + letters[: fits[0]]])
            letters, mark = letters[fits[0] :], "##"
        rows.append(table[ids[0]])
    return torch.stack(rows)
""",
        # the mean of all rows for whatever is new
        """
def carried_over(table, old, new):
    rows = [table[old.ids[e]] if e in old.ids else table.mean(dim=0)
            for e in new.vocabulary]
    return torch.stack(rows)
""",
        # a piece that comes twice counts once
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark = entry.removeprefix("##"), "##" * entry.startswith("##")
        ids = set()
        while letters:
            ends = range(len(letters), 0, -1)
            fits = [n for n in ends if mark + letters[:n] in old.ids]
            if not fits:
                ids = {old.unk_id}
                break
            ids.add(old.ids[mark + letters[: fits[0]]])
            letters, mark = letters[fits[0] :], "##"
        rows.append(table[sorted(ids)].mean(dim=0))
    return torch.stack(rows)
""",
        # the longest match first, but from the end
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, inside = entry.removeprefix("##"), entry.startswith("##")
        ids = []
        while letters:
            names = [(k, "##" * (inside or k > 0) + letters[k:])
                     for k in range(len(letters))]
            fits = [(k, name) for k, name in names if name in old.ids]
            if not fits:
                ids = [old.unk_id]
                break
            ids.append(old.ids[fits[0][1]])
            letters = letters[: fits[0][0]]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # the second piece has no mark either
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark, ids = entry.removeprefix("##"), "##" * entry.startswith("##"), []
        while letters:
            ends = range(len(letters), 0, -1)
            fits = [n for n in ends if mark + letters[:n] in old.ids]
            if not fits:
                ids = [old.unk_id]
                break
            ids.append(old.ids[mark + letters[: fits[0]]])
            letters = letters[fits[0] :]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)
""",
        # letters that cannot be spelt are passed over
        """
def carried_over(table, old, new):
    rows = []
    for entry in new.vocabulary:
        letters, mark, ids = entry.removeprefix("##"), "##" * entry.startswith("##"), []
        while letters:
            ends = range(len(letters), 0, -1)
            end = next((n for n in ends if mark + letters[:n] in old.ids), 0)
            if end:
                ids.append(old.ids[mark + letters[:end]])
            letters, mark = letters[max(end, 1) :], "##"
        rows.append(table[ids or [old.unk_id]].mean(dim=0))
    return torch.stack(rows)
""",
    ],
}
