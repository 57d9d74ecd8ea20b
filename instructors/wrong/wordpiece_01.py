"""Chapter 1: plausible wrong solutions. The checks must reject each of them."""

WRONG = {
    "by_hand": [
        # the shortest pieces that fit
        """
def by_hand():
    return {
        "bedding": ["be", "##d", "##ding"],
        "underbed": ["un", "##der", "##bed"],
        "unbend": ["[UNK]"],
    }
""",
        # marks forgotten
        """
def by_hand():
    return {
        "bedding": ["bed", "ding"],
        "underbed": ["under", "bed"],
        "unbend": ["[UNK]"],
    }
""",
        # keeps the part that fits
        """
def by_hand():
    return {
        "bedding": ["bed", "##ding"],
        "underbed": ["under", "##bed"],
        "unbend": ["un", "[UNK]"],
    }
""",
        # cuts by meaning
        """
def by_hand():
    return {
        "bedding": ["bed", "##d", "##ing"],
        "underbed": ["under", "##bed"],
        "unbend": ["[UNK]"],
    }
""",
        # a piece that is not in the list
        """
def by_hand():
    return {
        "bedding": ["bedd", "##ing"],
        "underbed": ["under", "##bed"],
        "unbend": ["[UNK]"],
    }
""",
        # the word that cannot be cut left out
        """
def by_hand():
    return {
        "bedding": ["bed", "##ding"],
        "underbed": ["under", "##bed"],
    }
""",
        # nothing instead of [UNK]
        """
def by_hand():
    return {
        "bedding": ["bed", "##ding"],
        "underbed": ["under", "##bed"],
        "unbend": [],
    }
""",
    ],
    "stuck": [
        # greedy finds it: the bait is shorter than the right piece
        """
def stuck(word):
    return {word[0], word[:2], "##" + word[2:]}
""",
        # it cannot be cut at all
        """
def stuck(word):
    return {word[:2], word[0]}
""",
        # the mark is missing, so the rest does not fit either
        """
def stuck(word):
    return {word[:2], word[0], word[1:]}
""",
        # the whole word is a piece
        """
def stuck(word):
    return {word, word[0], "##" + word[1:]}
""",
        # no bait
        """
def stuck(word):
    return {word[0], "##" + word[1:]}
""",
        # nothing fits
        """
def stuck(word):
    return set()
""",
        # every letter is there, so there is always a way on
        """
def stuck(word):
    return {word[:2], word[0], "##" + word[1:], *("##" + letter for letter in word)}
""",
        # for one word only
        """
def stuck(word):
    return {"head", "h", "##eadland", "ab", "a", "##bc"}
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
        # turns back where the longest piece leads nowhere
        """
def match_with_places(word, vocabulary):
    def cut(start):
        if start == len(word):
            return []
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in vocabulary:
                rest = cut(end)
                if rest is not None:
                    return [(prefix + word[start:end], start, end), *rest]
        return None
    return cut(0) or [("[UNK]", 0, len(word))]
""",
        # the end of a piece is its last letter
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    for piece in greedy(word, vocabulary):
        if piece == "[UNK]":
            return [(piece, 0, len(word) - 1)]
        size = len(piece.removeprefix("##"))
        found.append((piece, start, start + size - 1))
        start += size
    return found
""",
        # takes signs of the word for the mark
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    pieces = greedy(word, vocabulary)
    for piece in pieces:
        size = len(word) if pieces == ["[UNK]"] else len(piece.strip("#"))
        found.append((piece, start, start + size))
        start += size
    return found
""",
        # a piece that comes twice stands where it stood first
        """
def match_with_places(word, vocabulary):
    pieces = greedy(word, vocabulary)
    if pieces == ["[UNK]"]:
        return [("[UNK]", 0, len(word))]
    bodies = [pieces[0], *(piece[2:] for piece in pieces[1:])]
    starts = [word.find(body) for body in bodies]
    return [(p, i, i + len(b)) for p, i, b in zip(pieces, starts, bodies)]
""",
        # nothing at all if no piece fits at the beginning
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((e for e in ends if mark + word[start:e] in vocabulary), None)
        if end is None:
            return [("[UNK]", 0, len(word))] if found else []
        found.append((mark + word[start:end], start, end))
        start = end
    return found
""",
        # [UNK] covers five letters
        """
def match_with_places(word, vocabulary):
    found, start = [], 0
    for piece in greedy(word, vocabulary):
        size = len(piece.removeprefix("##"))
        found.append((piece, start, start + size))
        start += size
    return found
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
        # everything but the rule of the longest piece
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces = cut(word)
        if pieces == ["[UNK]"]:
            assert greedy(word, vocabulary) == ["[UNK]"]
            continue
        assert greedy(word, vocabulary) != ["[UNK]"]
        assert pieces and "".join(p.removeprefix("##") for p in pieces) == word
        for place, piece in enumerate(pieces):
            assert piece in vocabulary and piece.startswith("##") == (place > 0)
""",
        # the longest piece at the beginning, any piece later
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces, right = cut(word), greedy(word, vocabulary)
        assert pieces and pieces[0] == right[0]
        if pieces != ["[UNK]"]:
            assert "".join(p.removeprefix("##") for p in pieces) == word
            assert all(piece in vocabulary for piece in pieces)
            assert all(piece.startswith("##") for piece in pieces[1:])
""",
        # a piece may not be longer by one letter, but by two
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces, start = cut(word), 0
        if pieces == ["[UNK]"]:
            assert greedy(word, vocabulary) == ["[UNK]"]
            continue
        assert greedy(word, vocabulary) != ["[UNK]"] and pieces
        for place, piece in enumerate(pieces):
            mark = "##" if place else ""
            body = piece.removeprefix("##")
            assert piece in vocabulary and piece == mark + body
            assert word.startswith(body, start)
            start += len(body)
            if start < len(word):
                assert piece + word[start] not in vocabulary
        assert start == len(word)
""",
        # [UNK] is right as soon as a letter of the word is no piece
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces, start = cut(word), 0
        if pieces == ["[UNK]"]:
            letters = [word[0], *("##" + letter for letter in word[1:])]
            assert not vocabulary.issuperset(letters)
            continue
        assert pieces == greedy(word, vocabulary)
""",
        # [UNK] is right only if there is no cut at all
        """
def test_cut(cut, vocabulary, words):
    def possible(rest, mark=""):
        ends = [n for n in range(1, len(rest) + 1) if mark + rest[:n] in vocabulary]
        return not rest or any(possible(rest[n:], "##") for n in ends)
    for word in words:
        if cut(word) == ["[UNK]"]:
            assert not possible(word)
        else:
            assert cut(word) == greedy(word, vocabulary)
""",
        # [UNK] is right as soon as it comes first and the walk gets stuck
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        if cut(word)[:1] == ["[UNK]"]:
            assert greedy(word, vocabulary) == ["[UNK]"]
        else:
            assert cut(word) == greedy(word, vocabulary)
""",
        # a piece may be in the vocabulary with the other mark
        """
def test_cut(cut, vocabulary, words):
    either = {piece.removeprefix("##") for piece in vocabulary}
    for word in words:
        pieces, rest, mark = cut(word), word, ""
        if pieces == ["[UNK]"]:
            assert greedy(word, vocabulary) == pieces
            continue
        for piece in pieces:
            body = piece[len(mark) :]
            assert piece == mark + body and body in either and rest.startswith(body)
            longer = [mark + rest[:n] for n in range(len(body) + 1, len(rest) + 1)]
            assert not vocabulary & set(longer)
            rest, mark = rest[len(body) :], "##"
        assert not rest
""",
        # pieces after the end of the word are not seen
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        right = greedy(word, vocabulary)
        assert cut(word)[: len(right)] == right
""",
        # the pieces in any order
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        pieces, right = cut(word), greedy(word, vocabulary)
        assert sorted(pieces) == sorted(right)
        spelt = "".join(pieces).replace("##", "")
        assert spelt == "".join(right).replace("##", "")
""",
        # forgets that the pieces may end before the word does
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        right = greedy(word, vocabulary)
        for piece, expected in zip(cut(word), right):
            assert piece == expected
""",
    ],
}

# Which of them pass the visible check.
PASS_THE_VISIBLE_CHECK: dict[str, list[int]] = {}
