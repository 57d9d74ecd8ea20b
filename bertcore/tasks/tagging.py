"""Tagging: a tag for each word, as in finding names (chapter 10).

A tag belongs to a word, and a word may become several pieces. The first piece stands
for the word: its state is read, and the others have no label (Devlin et al. 2019, 5.3).
Tags mark spans, such as names, or each stands for itself, such as parts of speech.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as not_compared
from itertools import pairwise
from statistics import fmean
from typing import Any, ClassVar, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForTokenClassification
from bertcore.sources import many
from bertcore.tasks import baselines
from bertcore.tasks.rows import (
    OUTSIDE,
    Labels,
    Settings,
    Words,
    allowed,
    are_texts,
    field,
    listed,
    normal,
    text_faults,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Fitted,
    HeadedTask,
    Scored,
    class_loss,
    metrics_library,
)
from bertcore.text.batch import Slot
from bertcore.text.wordpiece import Tokenizer


class TokenObjective(nn.Module):
    """One answer a word, from the state of its first piece, and the sum of its loss."""

    def __init__(self, model: BertForTokenClassification) -> None:
        super().__init__()
        self.model = model

    def scores(self, asked: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `t c`.

        Args:
            asked: places in the batch, read row by row, `t`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        return self.model.head(hidden[asked])

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the words, as `1`."""
        return class_loss(self.scores(**given).float(), targets)[None]


# What marks the first word of a span, one between, the last, or a span of one word.
_IN_SPAN = re.compile("[BIMLEUSW](?:[-_](.+))?")
_NO_TYPE = "span"  # of spans that have none


def are_spans(tags: Iterable[str]) -> bool:
    """Whether tags mark spans, as B-x and I-x do; if not, each stands for itself."""
    return any(tag[:2] in ("B-", "I-") for tag in tags) or {*tags} <= {OUTSIDE}


class Entity(NamedTuple):
    """Type and words of an entity, `words[start:end]`, and how likely its tags are.

    `probability` is the mean of its words', as transformers' pipelines have it.
    """

    type: str
    text: str
    start: int
    end: int
    probability: float | None


@dataclass(frozen=True)
class TaggedWords:
    """Words, the tag of each and, if a model gave them, the tags' probabilities."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...] = not_compared(default=(), compare=False)

    @property
    def plain(self) -> tuple[str, ...]:
        """What scores compare."""
        return self.tags

    def entities(self) -> list[tuple[str, str]]:
        """Type and words of each entity.

        >>> TaggedWords(("In", "New", "York"), ("O", "B-place", "I-place")).entities()
        [('place', 'New York')]
        """
        return [(entity.type, entity.text) for entity in self.spans()]

    def spans(self) -> list[Entity]:
        """The entities with their places; none where tags mark no spans."""
        places: list[tuple[int, int]] = []
        for n, (before, tag) in enumerate(pairwise((OUTSIDE, *self.tags))):
            if tag != OUTSIDE and are_spans([tag]):
                start = n if _begins(tag, before) else places.pop()[0]
                places.append((start, n + 1))
        return [
            Entity(
                self.tags[start][2:],
                " ".join(self.words[start:end]),
                start,
                end,
                fmean(self.probabilities[start:end]) if self.probabilities else None,
            )
            for start, end in places
        ]


def tag_scores(
    rows: Sequence[Words], guesses: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of whole entities, by nervaluate; accuracy of tags.

    An entity counts if its first word, its last and its type are right: nervaluate's
    "strict", which is how CoNLL's shared tasks count. Of tags that mark no spans, such
    as parts of speech, there is accuracy alone.
    """
    evaluator = metrics_library("nervaluate.evaluator").Evaluator
    truth, guessed = [list(row.tags) for row in rows], [list(each) for each in guesses]
    types = sorted({tag[2:] for tags in truth + guessed for tag in tags if tag != "O"})
    for number, (tags, row) in enumerate(zip(guessed, rows, strict=True)):
        if len(tags) != len(row.words):
            raise ValueError(
                f"row {number}: {len(tags)} tags guessed for {len(row.words)} words; "
                "give each word its tag"
            )
    pairs = [
        p for t, f in zip(truth, guessed, strict=True) for p in zip(t, f, strict=True)
    ]
    accuracy = sum(t == f for t, f in pairs) / max(1, len(pairs))
    if not are_spans({tag for tags in truth for tag in tags}):
        return {"accuracy": accuracy}
    # Of no entities at all nervaluate says 0.
    result = evaluator(truth, guessed, types, loader="list").evaluate()
    strict = result["overall"]["strict"]
    return {
        "f1": float(strict.f1),
        "precision": float(strict.precision),
        "recall": float(strict.recall),
        "accuracy": accuracy,
    }


class Tagging(HeadedTask):
    """The tag of each word: O, or B-x and I-x for the first and a later word of an x.

    Or any other text, as for parts of speech, if no tag is such a one.

    An I-x that follows no B-x or I-x is no fault: it begins an entity, as in conlleval,
    the script of CoNLL-2000 that scored the shared tasks on named entities.
    """

    name = "tagging"
    row = Words
    right = "tags"
    part = "tagging"
    main = "f1"
    cells = (("words", ""), ("tags", ""))  # white space
    usual: ClassVar[Mapping[str, str]] = {
        "words": "tokens token word form",
        "tags": "ner_tags ner pos_tags pos upos labels label tag bio_tags iob_tags",
    }
    sentences = True
    label_words = "tag", "tags"
    metrics = staticmethod(tag_scores)
    majority = staticmethod(baselines.all_outside)
    bag_of_words = staticmethod(baselines.tags)

    def from_dict(self, mapping: Mapping[str, Any]) -> Words:
        words, tags = field(mapping, "words"), mapping.get("tags")
        return Words(
            listed(words, "words"), None if tags is None else listed(tags, "tags")
        )

    def settled(self, rows: list[Words]) -> tuple[list[Words], str]:
        """With O, B-x and I-x, where spans are marked otherwise.

        IO and IOB1 begin a span with I, BIOES and BILOU mark its end, too.
        """
        if len(rows) > 9 and all(len(row.words) == 1 for row in rows):
            raise ValueError(
                "each row holds one word, and a row is a sentence: give its words in "
                "one row, or a .conll file with a blank line after each sentence"
            )
        tags = {tag for row in rows for tag in row.tags or ()}
        inside = [_IN_SPAN.fullmatch(str(tag)) for tag in tags - {OUTSIDE}]
        bare = [each is not None and each[1] is None for each in inside]
        # Parts of speech may have such a form by chance; but then not all of them.
        if not all(inside) or (any(bare) and not (all(bare) and OUTSIDE in tags)):
            return rows, ""
        if any(not isinstance(tag, str) for row in rows for tag in row.tags or ()):
            return rows, ""  # which is a fault, said later
        new = [row._replace(tags=row.tags and _marked(row.tags)) for row in rows]
        changed = {
            f"{old} is read as {tag}": None
            for one, other in zip(rows, new, strict=True)
            for old, tag in zip(one.tags or (), other.tags or (), strict=True)
            if old != tag
        }
        shown = ", ".join([*changed][:6]) + (", …" if len(changed) > 6 else "")
        return new, f"tags: {shown}" if changed else ""

    def from_line(self, line: str, context: str | None = None) -> Words:
        return Words(tuple(line.split()))

    def example(self, settings: Settings) -> str:
        return "Some words ."

    def faults(
        self, row: Words, labels: Labels | None, labelled: bool
    ) -> Iterator[str]:
        if not isinstance(row.words, tuple | list):
            yield f"words are of type {type(row.words).__name__}; give a tuple of words"
            return  # of what is no list, nothing else can be said
        if not row.words:
            yield "no words; leave the row out"
        for place, word in enumerate(row.words):
            yield from text_faults(word, f"word {place}")
        if not labelled:
            return
        if row.tags is None:
            yield "no tags; give one for each word, or leave the row out"
        elif not isinstance(row.tags, tuple | list):
            yield f"tags are of type {type(row.tags).__name__}; give a tuple of tags"
        elif len(row.tags) != len(row.words):
            yield (
                f"{len(row.words)} words and {len(row.tags)} tags; give one for each "
                "word"
            )
        else:
            for place, tag in enumerate(row.tags):
                yield from _tag_faults(place, tag, labels)

    def unlabelled(self, given: Any, settings: Settings) -> Words:
        words = given.split() if isinstance(given, str) else given
        words = words.words if isinstance(words, Words) else words
        if are_texts(words) and len(words):
            return Words(tuple(words))
        raise ValueError("a list of words, or a text with one word at least")

    def key(self, row: Words) -> str:
        return normal(" ".join(row.words))

    def labels_of(self, rows: Sequence[Words]) -> tuple[str, ...]:
        """The tags, "O" first, the others in alphabetical order.

        Each type that occurs has both of its tags, so that an I- that is rare does not
        surprise in another part. If no tag marks a span, they are those that there are.
        """
        tags = {tag for row in rows for tag in row.tags or ()}
        if not are_spans(tags):
            return tuple(sorted(tags))
        tags = {tag for tag in tags if tag[:2] in ("B-", "I-")}
        return OUTSIDE, *sorted({f"{b}{tag[1:]}" for tag in tags for b in "BI"})

    def labels_in_words(self, labels: Labels) -> str:
        if not are_spans(labels):
            return super().labels_in_words(labels)
        types = dict.fromkeys(tag[2:] for tag in labels if tag != OUTSIDE)
        return f"{many(len(types), 'type')}: {', '.join(types)}"

    def features(
        self, rows: Sequence[Words], reading: FeatureSettings, labels: Labels = ()
    ) -> Iterator[Feature]:
        """A sentence each, or its parts if it is long; first pieces are asked."""
        numbers = {name: n for n, name in enumerate(labels)}
        for row, (words, tags) in enumerate(rows):
            # As they stand in a sentence: RoBERTa has pieces that begin with a space.
            spaced = [
                f" {word}" if n and word else word for n, word in enumerate(words)
            ]
            for ids, firsts, start in align(spaced, reading.tokenizer, reading.length):
                known = (tags or ())[start : start + len(firsts)]
                yield Feature(row, ids, [], firsts, [numbers[tag] for tag in known])

    def places(
        self, slots: Sequence[Slot], features: Sequence[Feature], length: int
    ) -> dict[str, Tensor]:
        asked = [
            slot.row * length + slot.start + each
            for slot, feature in zip(slots, features, strict=True)
            for each in feature.asked
        ]
        return {"asked": torch.tensor(asked)}

    def scores_in(self, feature: Feature) -> int:
        return len(feature.asked)

    def objective(self, model: Any, smoothing: float = 0, pool: str = "") -> nn.Module:
        return TokenObjective(model)

    def decides(self, fitted: Fitted) -> str:
        """F1 of spans; accuracy where tags mark none."""
        return self.main if are_spans(fitted.labels) else "accuracy"

    def answers(
        self, rows: Sequence[Words], scored: Scored, fitted: Fitted
    ) -> list[TaggedWords]:
        guesses: list[list[str]] = [[] for _ in rows]
        likely: list[list[float]] = [[] for _ in rows]
        for feature, scores in scored:
            shares, best = scores.softmax(-1).max(-1)
            guesses[feature.row] += [fitted.labels[n] for n in best.tolist()]
            likely[feature.row] += shares.tolist()
        return [
            TaggedWords(row.words, tuple(tags), tuple(shares))
            for row, tags, shares in zip(rows, guesses, likely, strict=True)
        ]

    def shown(self, row: Words, answer: TaggedWords) -> str:
        """Words in their order, entities in brackets after their type.

        If tags mark no spans, each word with its tag: "Ada/NNP wrote/VBD".
        """
        if not are_spans(answer.tags):
            return " ".join(map("/".join, zip(answer.words, answer.tags, strict=True)))
        shown = list(answer.words)
        for entity in answer.spans():
            shown[entity.start] = f"[{entity.type}: {shown[entity.start]}"
            shown[entity.end - 1] += "]"
        return " ".join(shown)

    def as_object(self, row: Words, answer: TaggedWords) -> dict[str, Any]:
        entities = [entity._asdict() for entity in answer.spans()]
        return {**asdict(answer), "entities": entities}


def _marked(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags that mark spans in any way with B-x and I-x alone.

    >>> _marked(["I-x", "I-x", "O", "B-x", "E-x", "S-x"])
    ('B-x', 'I-x', 'O', 'B-x', 'I-x', 'B-x')
    """
    found: list[str] = []
    before = OUTSIDE  # also after the end of a span
    for tag in tags:
        if tag == OUTSIDE:
            found.append(tag)
        else:
            kind = tag[2:] or _NO_TYPE
            goes_on = tag[0] not in "BUSW" and before == kind
            found.append(f"{'I' if goes_on else 'B'}-{kind}")
        ended = tag == OUTSIDE or tag[0] in "LEUSW"
        before = OUTSIDE if ended else kind
    return tuple(found)


def _tag_faults(place: int, tag: Any, labels: Labels | None) -> Iterator[str]:
    if not isinstance(tag, str):
        yield (
            f"tag {place} is {tag!r}, of type {type(tag).__name__}; give text: O, B-x "
            "or I-x"
        )
    elif not tag.strip():
        yield f"tag {place} is empty; give one, such as O"
    elif (
        labels is not None
        and are_spans(labels)
        and tag != OUTSIDE
        and not (tag[:2] in ("B-", "I-") and tag[2:])
    ):
        yield f"tag {place} is {tag!r}; give O, or B-x or I-x with the type for x"
    elif labels is not None and tag not in labels:
        yield f"tag {place}, {tag!r}, is unknown; {allowed(labels)}"


def _begins(tag: str, before: str) -> bool:
    """Whether an entity begins with this tag."""
    return tag != OUTSIDE and (tag[0] == "B" or before[2:] != tag[2:])


class Aligned(NamedTuple):
    """Pieces of some words in a row, between [CLS] and [SEP].

    `firsts` are the places in `ids` of each word's first piece; `start` is the number
    of the first word.
    """

    ids: list[int]
    firsts: list[int]
    start: int = 0


def align(words: Sequence[str], tokenizer: Tokenizer, length: int) -> list[Aligned]:
    """The pieces of words, in as many parts as their number needs.

    A part ends between two words, so no word is lost, however many there are. A word
    with more pieces than a part has room for loses its last ones. A word without
    pieces, such as a control character, becomes [UNK]: it has a tag as any other.

    Args:
        words: of a sentence.
        tokenizer: that of the model.
        length: the most pieces of a part, [CLS] and [SEP] included.

    Raises:
        ValueError: if there are no words, or no room for a piece.

    >>> from bertcore.text.vocabulary import SPECIAL
    >>> tokenizer = Tokenizer([*SPECIAL, "un", "##believ", "##able", "!"])
    >>> align(["unbelievable", "!"], tokenizer, length=8)
    [Aligned(ids=[2, 5, 6, 7, 8, 3], firsts=[1, 4], start=0)]
    """
    if not words:
        raise ValueError("no words; give a list of one word at least")
    if length < 3:
        raise ValueError(f"length={length} leaves no room for a piece; give 3 or more")
    parts: list[Aligned] = []
    for number, word in enumerate(words):
        pieces = tokenizer.encode(word)[1:-1] or [tokenizer.unk_id]
        pieces = pieces[: length - 2]
        if not parts or len(parts[-1].ids) + len(pieces) + 1 > length:
            parts.append(Aligned([tokenizer.cls_id], [], number))
        ids, firsts, _ = parts[-1]
        firsts.append(len(ids))
        ids += pieces
    for part in parts:
        part.ids.append(tokenizer.sep_id)
    return parts
