"""Chapter 1: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "fertility": [
        # characters for each word
        """
def fertility(tokenizer, words):
    return sum(len(word) for word in words) / len(words)
""",
        # the special tokens counted in
        """
def fertility(tokenizer, words):
    return sum(len(tokenizer.encode(word)) for word in words) / len(words)
""",
        # each different word once
        """
def fertility(tokenizer, words):
    return sum(len(tokenizer.tokenize(word)) for word in set(words)) / len(set(words))
""",
        # upside down
        """
def fertility(tokenizer, words):
    return len(words) / sum(len(tokenizer.tokenize(word)) for word in words)
""",
        # only words that are cut
        """
def fertility(tokenizer, words):
    sizes = [len(tokenizer.tokenize(word)) for word in words]
    sizes = [size for size in sizes if size > 1] or [1]
    return sum(sizes) / len(sizes)
""",
    ],
    "match_with_places": [
        # looks for continuations without their ##
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and word[start:end] not in vocabulary:
            end -= 1
        if end == start:
            return [("[UNK]", 0, len(word))]
        found.append((("##" if start else "") + word[start:end], start, end))
        start = end
    return found
""",
        # counts the ## among the letters
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    for piece in greedy(word, vocabulary):
        found.append((piece, start, start + len(piece)))
        start += len(piece)
    return found
""",
        # the shortest piece instead of the longest
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(start + 1, len(word) + 1):
            if prefix + word[start:end] in vocabulary:
                break
        else:
            return [("[UNK]", 0, len(word))]
        found.append((prefix + word[start:end], start, end))
        start = end
    return found
""",
        # keeps the pieces before the part that does not fit
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        end = len(word)
        while end > start and prefix + word[start:end] not in vocabulary:
            end -= 1
        if end == start:
            return [*found, ("[UNK]", start, len(word))]
        found.append((prefix + word[start:end], start, end))
        start = end
    return found
""",
    ],
    "gain": [
        # forgets that the sum of all counts falls
        """
def gain(cut, left, right):
    single, pairs = Counter(), Counter()
    for pieces, n in cut.items():
        for piece in pieces:
            single[piece] += n
        for pair in pairwise(pieces):
            pairs[pair] += n
    n, a, b, total = pairs[left, right], single[left], single[right], single.total()
    f = lambda c: c * log(c / total) if c else 0
    return f(n) + f(a - n) + f(b - n) - f(a) - f(b)
""",
        # bits instead of nats
        """
def gain(cut, left, right):
    single, pairs = counted({key: list(key) for key in cut}, cut)
    n, a, b = pairs[left, right], single[left], single[right]
    return CRITERIA["likelihood"](n, a, b, single.total(), False) / log(2)
""",
        # how much likelier than by chance, times n: the first-order estimate
        """
def gain(cut, left, right):
    single, pairs = counted({key: list(key) for key in cut}, cut)
    n, a, b = pairs[left, right], single[left], single[right]
    return n * log(n * single.total() / (a * b))
""",
        # the ratio
        """
def gain(cut, left, right):
    single, pairs = counted({key: list(key) for key in cut}, cut)
    return pairs[left, right] / (single[left] * single[right])
""",
        # each word counts once
        """
def gain(cut, left, right):
    once = dict.fromkeys(cut, 1)
    single, pairs = counted({key: list(key) for key in once}, once)
    n, a, b = pairs[left, right], single[left], single[right]
    return CRITERIA["likelihood"](n, a, b, single.total(), False)
""",
    ],
    "most_different": [
        # the sign of the difference decides
        """
def most_different(words, first, second):
    key = lambda word: len(first.tokenize(word)) - len(second.tokenize(word))
    return max(sorted(words), key=key)
""",
        # ties go to the word that was given first
        """
def most_different(words, first, second):
    key = lambda word: abs(len(first.tokenize(word)) - len(second.tokenize(word)))
    return max(words, key=key)
""",
        # any difference will do
        """
def most_different(words, first, second):
    differ = [w for w in sorted(words) if first.tokenize(w) != second.tokenize(w)]
    return (differ or sorted(words))[0]
""",
        # the longest word
        """
def most_different(words, first, second):
    return max(sorted(words), key=len)
""",
    ],
    "best_by_ratio": [
        # the count decides
        """
def best_by_ratio(cut):
    single, pairs = counted({key: list(key) for key in cut}, cut)
    best = max(pairs, key=pairs.get)
    return best, pairs[best] / (single[best[0]] * single[best[1]])
""",
        # each word counts once, and the pair comes out right
        """
def best_by_ratio(cut):
    once = dict.fromkeys(cut, 1)
    single, pairs = counted({key: list(key) for key in once}, once)
    scores = {(a, b): n / (single[a] * single[b]) for (a, b), n in pairs.items()}
    best = max(scores, key=scores.get)
    return best, scores[best]
""",
        # the tutorial's own mistake: what is left of ##g is forgotten
        """
def best_by_ratio(cut):
    return ("hu", "##g"), 1 / 15
""",
        # over the sum of the parts
        """
def best_by_ratio(cut):
    single, pairs = counted({key: list(key) for key in cut}, cut)
    scores = {(a, b): n / (single[a] + single[b]) for (a, b), n in pairs.items()}
    best = max(scores, key=scores.get)
    return best, scores[best]
""",
    ],
    "test_cut": [
        # the pieces spell the word, and that is all
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces = cut(word)
        if pieces != ["[UNK]"]:
            assert "".join(piece.removeprefix("##") for piece in pieces) == word
""",
        # marks are looked at, lengths are not
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces = cut(word)
        if pieces == ["[UNK]"]:
            continue
        assert "".join(piece.removeprefix("##") for piece in pieces) == word
        for place, piece in enumerate(pieces):
            assert piece in vocabulary and piece.startswith("##") == (place > 0)
""",
        # [UNK] is always accepted
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        if cut(word) != ["[UNK]"]:
            assert cut(word) == greedy(word, vocabulary)
""",
        # [UNK] is never accepted
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        assert "[UNK]" not in cut(word)
        assert cut(word) == greedy(word, vocabulary)
""",
        # fewest pieces is not the same as the longest first
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        assert len(cut(word)) <= len(greedy(word, vocabulary))
""",
        # the first piece only
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        assert cut(word)[:1] == greedy(word, vocabulary)[:1]
""",
    ],
}
