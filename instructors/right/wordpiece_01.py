"""Chapter 1: right solutions in other ways than ours. All must be accepted."""

RIGHT = {
    "by_hand": [
        # one dictionary, written down
        """
def by_hand():
    return {
        "bedding": ["bed", "##ding"],
        "underbed": ["under", "##bed"],
        "unbend": ["[UNK]"],
    }
""",
        # texts that are split at spaces
        """
def by_hand():
    lines = "bedding: bed ##ding\\nunderbed: under ##bed\\nunbend: [UNK]".splitlines()
    result = {}
    for line in lines:
        word, pieces = line.split(": ")
        result[word] = pieces.split()
    return result
""",
        # words and cuts beside each other
        """
WORDS = ("bedding", "underbed", "unbend")
CUTS = (("bed", "##ding"), ("under", "##bed"), ("[UNK]",))


def by_hand() -> dict:
    return dict(zip(WORDS, map(list, CUTS)))
""",
    ],
    "stuck": [
        # the bait is all but the last letter
        """
def stuck(word):
    bait = word[:-1]
    start = word[:-2]
    end = "##" + word[-2:]
    return {bait, start, end}
""",
        # tries baits and cuts until the chapter's own function is stuck
        """
def stuck(word: str) -> set[str]:
    for middle in range(1, len(word)):
        for bait in range(middle + 1, len(word)):
            pieces = {word[:middle], "##" + word[middle:], word[:bait]}
            if greedy(word, pieces) == ["[UNK]"]:
                return pieces
    raise ValueError(f"{word} is too short")
""",
        # single letters up to the last two, which are glued, and a bait
        """
def stuck(word):
    vocabulary = set([word[0], "##" + word[-2:], word[:-1]])
    for letter in word[1:-2]:
        vocabulary.add("##" + letter)
    if "##" + word[-1] in vocabulary:  # the last letter must not be left over
        vocabulary = {word[0], "##" + word[1:], word[:-1]}
    return vocabulary
""",
    ],
    "match_with_places": [
        # recursion on the rest of the word
        """
def match_with_places(word, vocabulary):
    def cut(start):
        if start == len(word):
            return []
        for end in range(len(word), start, -1):
            piece = ("##" if start > 0 else "") + word[start:end]
            if piece in vocabulary:
                rest = cut(end)
                return None if rest is None else [(piece, start, end)] + rest
        return None

    found = cut(0)
    return [("[UNK]", 0, len(word))] if found is None else found
""",
        # the chapter's function cuts, and the lengths of its pieces are added up
        """
def match_with_places(word, vocabulary):
    pieces = greedy(word, vocabulary)
    if pieces == ["[UNK]"]:
        return [("[UNK]", 0, len(word))]
    places = []
    start = 0
    for i, piece in enumerate(pieces):
        end = start + len(piece) - (2 if i else 0)
        places.append((piece, start, end))
        start = end
    return places
""",
        # the longest of all ends that fit; the pieces are put in at the end
        """
def match_with_places(word, vocabulary):
    spans, here, n = [], 0, len(word)
    while here != n:
        ends = [j for j in range(here + 1, n + 1)
                if (word[here:j] if here == 0 else f"##{word[here:j]}") in vocabulary]
        if len(ends) == 0:
            return [("[UNK]", 0, n)]
        there = max(ends)
        spans.append([here, there])
        here = there
    return [(("##" if a else "") + word[a:b], a, b) for a, b in spans]
""",
        # a generator of longest matches, and an exception where nothing fits
        """
class Stuck(Exception):
    pass


def longest_matches(word, vocabulary):
    start = 0
    while start < len(word):
        prefix = "##" * bool(start)
        candidates = (word[start:end] for end in range(len(word), start, -1))
        match = next((c for c in candidates if prefix + c in vocabulary), None)
        if match is None:
            raise Stuck(word[start:])
        yield prefix + match, start, start + len(match)
        start += len(match)


def match_with_places(word, vocabulary):
    try:
        return list(longest_matches(word, vocabulary))
    except Stuck:
        return [("[UNK]", 0, len(word))]
""",
    ],
    "test_cut": [
        # cuts each word anew in a loop of its own, and compares the lists
        """
def test_cut(cut, vocabulary, words):
    for word in words:
        wanted, start = [], 0
        while start < len(word):
            end = len(word)
            while end > start:
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                if piece in vocabulary:
                    break
                end = end - 1
            if end == start:
                wanted = ["[UNK]"]
                break
            wanted.append(piece)
            start = end
        assert cut(word) == wanted, f"{word}: {cut(word)} instead of {wanted}"
""",
        # properties one by one: the marks, the letters, the list, the length
        """
def check_word(pieces, vocabulary, word):
    assert len(pieces) > 0, f"no pieces for {word}"
    place = 0
    for number, piece in enumerate(pieces):
        mark = "##" if number else ""
        assert piece in vocabulary, f"{piece} is not in the vocabulary"
        assert piece.startswith(mark)
        letters = piece[len(mark):]
        assert word.startswith(letters, place), f"{piece} is not what {word} says"
        for end in range(place + len(letters) + 1, len(word) + 1):
            assert mark + word[place:end] not in vocabulary, "a longer piece fits"
        place += len(letters)
    assert place == len(word), "something is left over"


def check_unknown(vocabulary, word):
    mark = ""
    while word:
        lengths = range(1, len(word) + 1)
        fitting = [n for n in lengths if mark + word[:n] in vocabulary]
        if not fitting:
            return
        word, mark = word[max(fitting):], "##"
    raise AssertionError("[UNK], but the word can be cut")


def test_cut(cut, vocabulary, words):
    for word in words:
        pieces = cut(word)
        if pieces == ["[UNK]"]:
            check_unknown(vocabulary, word)
        else:
            check_word(pieces, vocabulary, word)
""",
        # a regular expression for each place, longer pieces first
        """
import re


def pattern_of(entries):
    by_length = sorted(entries, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, by_length)) or "(?!)")


def test_cut(cut, vocabulary, words):
    first = pattern_of(e for e in vocabulary if not e.startswith("##"))
    later = pattern_of(e[2:] for e in vocabulary if e.startswith("##"))
    for word in words:
        expected, position = [], 0
        while position < len(word):
            match = (later if position else first).match(word, position)
            if not match:
                expected = ["[UNK]"]
                break
            expected.append("##" * (position > 0) + match[0])
            position = match.end()
        assert list(cut(word)) == expected, (word, expected)
""",
    ],
}
