"""Chapter 9c: right solutions in other ways than the chapter's. All must pass."""

RIGHT = {
    "pieces_per_word_of": [
        # a weighted mean of the standard library
        """
import statistics


def pieces_per_word_of(counts, its):
    lengths = [len(its.tokenize(word)) for word in counts]
    return statistics.fmean(lengths, weights=counts.values())
""",
        # two sums in a loop
        """
def pieces_per_word_of(counts: dict[str, int], its: Tokenizer) -> float:
    words, pieces = 0, 0
    for word, often in counts.items():
        words += often
        pieces += often * len(its.tokenize(word))
    return pieces / words
""",
        # the running text itself, cut into pieces
        """
def pieces_per_word_of(counts, its):
    text = list(Counter(counts).elements())
    return len(its.tokenize(" ".join(text))) / len(text)
""",
        # by id: a text has two special tokens beside its pieces
        """
def pieces_per_word_of(counts, its):
    often = torch.tensor(list(counts.values()), dtype=torch.double)
    masks = its(list(counts))["attention_mask"].sum(1) - 2
    return (masks @ often.to(masks.dtype) / often.sum()).item()
""",
    ],
    "bits_per_character": [
        # the product of the probabilities' bits, character after character
        """
def bits_per_character(words, losses):
    bits = characters = 0
    for word, of_word in zip(words, losses, strict=True):
        for nats in of_word:
            bits += nats * math.log2(math.e)
        characters += len(word)
    return bits / characters
""",
        # all losses in one tensor
        """
def bits_per_character(words: list[str], losses: list[list[float]]) -> float:
    flat = torch.cat([torch.tensor(each, dtype=torch.float64) for each in losses])
    bits = flat.sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))
    return bits.item() / len("".join(words))
""",
        # a mean over characters, each with an equal part of its word's loss
        """
from itertools import chain


def bits_per_character(words, losses):
    parts = chain.from_iterable(
        [sum(nats) / len(word)] * len(word) for word, nats in zip(words, losses)
    )
    parts = list(parts)
    return math.fsum(parts) / len(parts) / math.log(2)
""",
    ],
    "carried_over": [
        # the rest of an entry is cut by calling itself
        """
def carried_over(table, old, new):
    def cut(letters, mark):
        if not letters:
            return []
        for end in range(len(letters), 0, -1):
            piece = mark + letters[:end]
            if piece in old.ids:
                rest = cut(letters[end:], "##")
                return None if rest is None else [old.ids[piece], *rest]
        return None

    result = torch.zeros(len(new.vocabulary), table.shape[1])
    for row, entry in enumerate(new.vocabulary):
        if entry in old.ids:
            result[row] = table[old.ids[entry]]
        elif entry.startswith("##"):
            result[row] = table[cut(entry[2:], "##") or [old.unk_id]].mean(0)
        else:
            result[row] = table[cut(entry, "") or [old.unk_id]].mean(0)
    return result
""",
        # a regular expression that tries long pieces before short ones
        """
import re


def carried_over(table: Tensor, old: Tokenizer, new: Tokenizer) -> Tensor:
    def any_of(pieces):
        ordered = sorted(pieces, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, ordered)) or "(?!)")

    first = any_of(p for p in old.vocabulary if not p.startswith("##"))
    inner = any_of(p[2:] for p in old.vocabulary if p.startswith("##"))
    rows = []
    for entry in new.vocabulary:
        inside = entry.startswith("##")
        text, at, found = entry[2:] if inside else entry, 0, []
        while at < len(text):
            within = inside or at > 0
            match = (inner if within else first).match(text, at)
            if match is None:
                found = ["[UNK]"]
                break
            found.append("##" * within + match[0])
            at = match.end()
        rows.append(sum(table[old.ids[piece]] for piece in found) / len(found))
    return torch.stack(rows)
""",
        # tries of the old pieces, and a matrix that takes the means
        """
def carried_over(table, old, new):
    roots = {True: {}, False: {}}
    for piece, number in old.ids.items():
        inner = piece.startswith("##")
        node = roots[inner]
        for letter in piece[2:] if inner else piece:
            node = node.setdefault(letter, {})
        node["id"] = number

    share = torch.zeros(len(new.vocabulary), len(table))
    for row, entry in enumerate(new.vocabulary):
        inner = entry.startswith("##")
        letters, begin, ids = entry[2:] if inner else entry, 0, []
        while begin < len(letters):
            node, longest = roots[inner or begin > 0], None
            for end in range(begin, len(letters)):
                node = node.get(letters[end])
                if node is None:
                    break
                if "id" in node:
                    longest = node["id"], end + 1
            if longest is None:
                ids = [old.unk_id]
                break
            ids.append(longest[0])
            begin = longest[1]
        for number in ids:
            share[row, number] += 1 / len(ids)
    return share @ table
""",
    ],
}
