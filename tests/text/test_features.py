"""Features: words keep their labels, and answers are whole in a window."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore import Tokenizer
from bertcore.tasks import KINDS
from bertcore.tasks.answers import (
    LONGEST_ANSWER,
    LONGEST_QUESTION,
    answer_places,
    best_span,
    windows,
)
from bertcore.tasks.rows import Answer, Question, Source, Text, Words
from bertcore.tasks.tagging import Aligned, align
from bertcore.tasks.task import FeatureSettings
from bertcore.text.vocabulary import SPECIAL
from tests import google

SMALL = Tokenizer([*SPECIAL, "un", "##believ", "##able", "!", "a", "b", "c"])
UN, BELIEV, ABLE, MARK, A = range(5, 10)
CLS, SEP = SMALL.cls_id, SMALL.sep_id

# Latin with accents in both forms, capitals, CJK, Hangul, emoji, [UNK], punctuation.
WORDS = st.one_of(
    st.sampled_from(
        "the a of ÉCOLE Zürich cafe\u0301 naïve I'm U.S.A. 東京 首都は 한국어 👍🏽 😀 "
        "x\u200dy 3.14 Łódź straße ǅ ÀÀÀ unbelievable - [MASK] ⁂⁂ ﬁne".split()
    ),
    st.text("abcABCéÉüÜ漢字가👩.,", min_size=1, max_size=9),
)
MARKS = "\u0301"  # behind a letter; it has no piece of its own
GAPS = st.sampled_from([" ", "  ", "\n", "\u00a0", ""])


@st.composite
def contexts(draw: st.DrawFn, most: int = 60) -> str:
    pairs = draw(st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=most))
    return draw(GAPS) + "".join(word + gap for word, gap in pairs) + "."


# Words -------------------------------------------------------------------------------


def test_the_first_piece_stands_for_the_word() -> None:
    words = ["a", "Unbelievable", "!", "unable"]
    assert align(words, SMALL, length=16) == [
        Aligned([CLS, A, UN, BELIEV, ABLE, MARK, UN, ABLE, SEP], [1, 2, 5, 6], 0)
    ]


def test_a_long_sentence_is_cut_between_two_words() -> None:
    found = align(["a", "unbelievable", "unable", "!", "a"], SMALL, length=5)
    assert found == [
        Aligned([CLS, A, SEP], [1], 0),
        Aligned([CLS, UN, BELIEV, ABLE, SEP], [1], 1),
        Aligned([CLS, UN, ABLE, MARK, SEP], [1, 3], 2),
        Aligned([CLS, A, SEP], [1], 4),
    ]


def test_a_word_without_pieces_is_unknown() -> None:
    """A control character has a tag as any other word, so it needs a place."""
    words = ["a", "\x00", "", "\u200b", "!"]
    ids = [CLS, A, *3 * [SMALL.unk_id], MARK, SEP]
    assert align(words, SMALL, length=9) == [Aligned(ids, [1, 2, 3, 4, 5])]


def test_a_word_longer_than_the_room_loses_its_end() -> None:
    found = align(["a", "unbelievable", "!"], SMALL, length=4)
    assert found == [
        Aligned([CLS, A, SEP], [1], 0),
        Aligned([CLS, UN, BELIEV, SEP], [1], 1),
        Aligned([CLS, MARK, SEP], [1], 2),
    ]


@pytest.fixture(scope="module")
def fast(encoder_folder: Path) -> transformers.PreTrainedTokenizerBase:
    return transformers.AutoTokenizer.from_pretrained(encoder_folder)


def test_pieces_and_words_are_those_of_transformers(fast, real_tokenizer) -> None:
    """`word_ids` says of each piece of theirs which word it is of."""
    words = (
        "Angela Merkel besuchte Łódź , Übersee-Straße 3.14 in the U.S.A. 東京".split()
    )
    theirs = fast(words, is_split_into_words=True)
    [(ids, firsts, _)] = align(words, real_tokenizer, length=64)
    numbers = theirs.word_ids()
    assert ids == theirs["input_ids"]
    assert firsts == [numbers.index(number) for number in range(len(words))]


@given(st.lists(WORDS, min_size=1, max_size=40), st.integers(3, 20))
@settings(max_examples=60, deadline=None)
def test_no_word_is_lost(real_tokenizer, words: list[str], length: int) -> None:
    parts = align(words, real_tokenizer, length)
    assert [part.start for part in parts] == [
        sum(len(part.firsts) for part in parts[:n]) for n in range(len(parts))
    ]
    found = []
    for ids, firsts, _ in parts:
        assert len(ids) <= length
        assert (ids[0], ids[-1]) == (real_tokenizer.cls_id, real_tokenizer.sep_id)
        ends = [*firsts[1:], len(ids) - 1]
        found += [ids[a:b] for a, b in zip(firsts, ends, strict=True)]
    pieces = [real_tokenizer.encode(word)[1:-1] for word in words]
    unknown = [real_tokenizer.unk_id]
    assert found == [(ids or unknown)[: length - 2] for ids in pieces]


def test_faults_of_words() -> None:
    with pytest.raises(ValueError, match="no words; give a list of one word at least"):
        align([], SMALL, length=8)
    with pytest.raises(ValueError, match="length=2 leaves no room for a piece; give 3"):
        align(["a"], SMALL, length=2)


# Windows against the references ------------------------------------------------------


@pytest.fixture(scope="module")
def squad() -> ModuleType:
    """Google's run_squad.py, without TensorFlow; only its model needs that.

    Options stay apart: other modules of the package define some of the same names.
    """
    nothing = lambda *_, **__: None  # noqa: E731
    flags = SimpleNamespace(FLAGS=SimpleNamespace(version_2_with_negative=False))
    for kind in ("string", "bool", "integer", "float"):
        setattr(flags, f"DEFINE_{kind}", nothing)
    google.tokenization(), google.optimization()
    with pytest.MonkeyPatch.context() as patch:
        stand_in = ModuleType("tensorflow.compat.v1")
        stand_in.flags, stand_in.logging = flags, SimpleNamespace(info=nothing)
        compat, top = ModuleType("tensorflow.compat"), ModuleType("tensorflow")
        top.compat, compat.v1 = compat, stand_in
        for module in (top, compat, stand_in, ModuleType("bert.modeling")):
            patch.setitem(sys.modules, module.__name__, module)
        return importlib.import_module("bert.run_squad")


class GoogleTokenizer(google.GoogleTokenizer):
    def tokenize(self, text: str) -> list[str]:
        names = list(self.vocabulary)
        return [names[id] for id in self.ids(text)]

    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]:
        return [self.vocabulary[token] for token in tokens]


QUESTION = "Who was the Duke in the Battle of Hastings?"
CONTEXT = (
    "William the Conqueror, Duke of Normandy, led the Norman army at the Battle of "
    "Hastings; Café owners in Zürich disagree. Émilie du Châtelet wrote about 東京 in "
    "unbelievable detail (1,066 pages), which nobody has read. " * 3
)


@pytest.mark.parametrize("length", [32, 47, 64, 128, 384])
@pytest.mark.parametrize("stride", [1, 7, 16])
@pytest.mark.parametrize("answer", ["William", "nobody has read", "Émilie du Châtelet"])
def test_windows_are_those_of_google(
    squad, real_tokenizer, length: int, stride: int, answer: str
) -> None:
    """Ids, segments, and where the answer is in each window, or that it is not."""
    words, start = CONTEXT.split(), CONTEXT.rindex(answer)
    before = len(CONTEXT[:start].split())
    last = before + len(answer.split()) - 1
    example = squad.SquadExample("", QUESTION, words, answer, before, last)
    theirs, made = [], GoogleTokenizer(real_tokenizer.vocabulary)
    squad.convert_examples_to_features(
        [example], made, length, stride, LONGEST_QUESTION, True, theirs.append
    )
    ours = windows(QUESTION, CONTEXT, real_tokenizer, length, stride)
    assert len(ours) == len(theirs) and (length > 300 or len(ours) > 1)
    for our, their in zip(ours, theirs, strict=True):
        size = sum(their.input_mask)
        assert our.first + our.second == their.input_ids[:size]
        assert len(our.first) == their.segment_ids.index(1)
        found = answer_places(our, start, start + len(answer))
        assert found == (their.start_position, their.end_position)


def test_the_limits_are_those_of_google(squad) -> None:
    source = Path(squad.__file__).read_text()
    for name, value in (
        ("max_query_length", LONGEST_QUESTION),
        ("max_answer_length", LONGEST_ANSWER),
    ):
        assert f'"{name}", {value},' in source


@pytest.mark.parametrize(("length", "stride"), [(32, 5), (64, 20), (100, 1), (512, 9)])
def test_windows_are_those_of_transformers(
    fast, real_tokenizer, length: int, stride: int
) -> None:
    """Their stride is the overlap: what a part shares with the next."""
    ours = windows(QUESTION, CONTEXT, real_tokenizer, length, stride)
    room = length - len(ours[0].first) - 1
    theirs = fast(
        QUESTION,
        CONTEXT,
        max_length=length,
        truncation="only_second",
        stride=room - stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert [our.first + our.second for our in ours] == theirs["input_ids"]
    for n, our in enumerate(ours):
        own = [
            tuple(place)
            for place, part in zip(
                theirs["offset_mapping"][n], theirs.sequence_ids(n), strict=True
            )
            if part == 1
        ]
        assert our.places == own


# Answers in windows ------------------------------------------------------------------


@given(contexts(), st.data(), st.integers(18, 60))
@settings(max_examples=120, deadline=None)
def test_an_answer_is_whole_in_a_window(
    real_tokenizer, context: str, data: st.DataObject, length: int
) -> None:
    """Wherever it stands, if windows overlap by as much as it is long.

    The places give back text of the same pieces, from the context itself.
    """
    pieces = real_tokenizer.pieces(context)
    first = data.draw(st.integers(0, len(pieces) - 1))
    last = data.draw(st.integers(first, min(len(pieces) - 1, first + 7)))
    start, end = pieces[first].start, pieces[last].end
    answer = context[start:end]
    touched = [p for p in pieces if p.start < end and p.end > start]
    room = length - 4 - 1
    stride = max(1, room - len(touched) + 1)
    if len(touched) > room:
        return
    whole = 0
    for window in windows("who?", context, real_tokenizer, length, stride):
        places = answer_places(window, start, end)
        if places == (0, 0):
            continue
        whole += 1
        begin = len(window.first)
        one, other = (place - begin for place in places)
        assert window.second[one : other + 1] == [piece.id for piece in touched]
        spans = window.places[one : other + 1]
        assert [a for a, _ in spans] == [p.start for p in touched]
        found = context[min(a for a, _ in spans) : max(b for _, b in spans)]
        assert answer in found
        if len(touched) == last - first + 1:  # no piece shares a character with others
            assert found.rstrip(MARKS) == answer.rstrip(MARKS)
    assert whole >= 1


@given(contexts(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_text_of_places_has_the_same_pieces(
    real_tokenizer, context: str, data: st.DataObject
) -> None:
    """Of whole words: cut inside of one, another piece may begin."""
    words = context.split()
    first = data.draw(st.integers(0, len(words) - 1))
    start = 0
    for word in words[: first + 1]:
        start = context.index(word, start)
        end, start = start + len(word), start + len(word)
    start = end - len(words[first])
    wanted = real_tokenizer.encode(context[start:end])[1:-1]
    [window] = windows("who?", context, real_tokenizer, 900, 100)
    if not wanted:
        assert answer_places(window, start, end) == (0, 0)
        return
    one, other = (n - len(window.first) for n in answer_places(window, start, end))
    assert window.second[one : other + 1] == wanted
    text = context[window.places[one][0] : window.places[other][1]]
    assert real_tokenizer.encode(text)[1:-1] == wanted


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.77, 1])
def test_an_answer_in_a_long_context(real_tokenizer, place: float) -> None:
    """Of about 2,000 pieces; accents and capitals are those of the context."""
    filler = ["the quick Brown fox, naïvely,"] * 250
    filler.insert(round(place * 250), "Émilie DU Châtelet")
    context = " ".join(filler)
    start = context.index("Émilie")
    end = start + len("Émilie DU Châtelet")
    assert len(real_tokenizer.pieces(context)) > 3 * 512
    found = []
    for window in windows("Who?", context, real_tokenizer, 384, 128):
        places = answer_places(window, start, end)
        if places != (0, 0):
            one, other = (each - len(window.first) for each in places)
            found.append(context[window.places[one][0] : window.places[other][1]])
    assert found and set(found) == {"Émilie DU Châtelet"}


def test_offsets_are_of_the_original(real_tokenizer) -> None:
    context = "Der ÄRGER im Cafe\u0301 (東京) 👍🏽!"
    [window] = windows("Wo?", context, real_tokenizer, 64, 8)
    shown = [context[a:b] for a, b in window.places]
    assert shown[0] == "Der" and "東" in shown and "京" in shown and "👍🏽" in shown
    assert "".join(shown) == context.replace(" ", "")
    for word in ("ÄRGER", "Cafe\u0301", "(東京)"):
        start = context.index(word)
        one, other = answer_places(window, start, start + len(word))
        spans = window.places[one - len(window.first) : other - len(window.first) + 1]
        assert context[spans[0][0] : spans[-1][1]] == word


@pytest.mark.parametrize("answer", [" a", "\u0301a b", "c ", "c\u200b \x00"])
def test_what_has_no_pieces_takes_no_answer_away(answer: str) -> None:
    """Space, control characters and stray accents at either end of the context."""
    context = answer + " b" if answer.endswith(("a", "b")) else "b " + answer
    start = context.index(answer)
    [window] = windows("!", context, SMALL, 16, 8)
    one, other = answer_places(window, start, start + len(answer))
    wanted = SMALL.encode(answer)[1:-1]
    begin = len(window.first)
    assert window.second[one - begin : other - begin + 1] == wanted


def test_an_accent_of_its_own_belongs_to_the_letter_before(real_tokenizer) -> None:
    """As in text from a Mac's file names: the answer is not robbed of it."""
    context = "In Cafe\u0301s, Zu\u0308rich; e\u0301, e\u0301"
    [window] = windows("q", context, real_tokenizer, 32)
    shown = [context[a:b] for a, b in window.places]
    assert shown[1:] == [
        "Cafe\u0301s",
        ",",
        "Zu\u0308rich",
        ";",
        "e\u0301",
        ",",
        "e\u0301",
    ]
    cased = Tokenizer([*SPECIAL, "e", "##\u0301", "##x"], lowercase=False)
    [window] = windows("e", "e\u0301x", cased, 32)
    assert window.places == [(0, 1), (1, 2), (2, 3)]


def test_an_answer_that_ends_in_the_space_before_the_next_part() -> None:
    first, *_ = windows("!", "a b c a b c", SMALL, 7, 1)
    assert first.places == [(0, 1), (2, 3), (4, 5)]
    assert answer_places(first, 4, 6) == (5, 5)
    assert answer_places(first, 4, 7) == (0, 0)
    assert answer_places(first, 5, 6) == (0, 0)


def test_a_window_that_begins_inside_a_character(real_tokenizer) -> None:
    """A Hangul syllable is several pieces; half of one is no whole answer."""
    pieces = real_tokenizer.pieces("가 나 다")
    assert len(pieces) > len({piece.start for piece in pieces})
    found = windows("q", "가 나 다", real_tokenizer, 3 + 1 + 3, 1)
    whole = [answer_places(window, 2, 3) for window in found]
    own = [n for n, piece in enumerate(pieces) if piece.start == 2]
    for n, (window, places) in enumerate(zip(found, whole, strict=True)):
        inside = n <= own[0] and own[-1] < n + len(window.places)
        assert (places != (0, 0)) == inside
    assert any(places != (0, 0) for places in whole)


def test_parts_of_a_context() -> None:
    """Each a stride further on; the last ends where the context does."""
    found = windows("a", "b c a ! b", SMALL, 7, 2)
    pieces = SMALL.encode("b c a ! b")[1:-1]
    assert [w.first for w in found] == [[CLS, A, SEP]] * 2
    assert [w.second for w in found] == [[*pieces[:3], SEP], [*pieces[2:], SEP]]
    assert [w.places[0] for w in found] == [(0, 1), (4, 5)]
    assert len(windows("a", "b c a", SMALL, 7, 3)) == 1
    assert [len(w.places) for w in windows("a", "b " * 4, SMALL, 7, 3)] == [3, 1]


def test_a_stride_of_half_a_part() -> None:
    """If none is given; whatever a question leaves, it fits in."""
    for asked in (1, 5, 40):
        found = windows("a " * asked, "b c " * 60, SMALL, 48, None)
        room = 48 - asked - 3
        assert {len(w.places) for w in found[:-1]} == {room}
        starts = [w.places[0][0] // 2 for w in found]
        assert starts == [n * (room // 2) for n in range(len(found))]
    assert len(windows("a", "b c", SMALL, 5, None)) == 2


def test_a_long_question_is_cut() -> None:
    [window] = windows("a " * 70, "b", SMALL, 80, 1)
    assert window.first == [CLS, *[A] * LONGEST_QUESTION, SEP]


def test_faults_of_windows() -> None:
    with pytest.raises(ValueError, match=r"the context '\\x00 ' has no pieces; give a"):
        windows("a", "\x00 ", SMALL, 16, 4)
    wanted = (
        "stride=13, but a window has room for 12 pieces; "
        "give a stride of 1 to 12, or more length"
    )
    with pytest.raises(ValueError, match=wanted):
        windows("a", "b", SMALL, 16, 13)
    with pytest.raises(ValueError, match="stride=0, but a window has room for 12"):
        windows("a", "b", SMALL, 16, 0)
    wanted = "length=6 leaves no room for a context beside a question of 3 p.*; give 7"
    with pytest.raises(ValueError, match=wanted):
        windows("a b c", "b", SMALL, 6)
    assert len(windows("a b c", "b", SMALL, 7)) == 1


# The best span -----------------------------------------------------------------------


def slow_span(start: list[float], end: list[float], longest: int):
    best = None
    for first in range(len(start)):
        for last in range(first, min(first + longest, len(end))):
            total = start[first] + end[last]
            if best is None or total > best[2]:
                best = first, last, total
    return best


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_the_best_span_is_that_of_two_loops(size: int, longest: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    start, end = torch.randint(-50, 50, (2, size), generator=generator).float()
    span = best_span(start, end, longest)
    assert span == slow_span(start.tolist(), end.tolist(), longest)
    assert span.first <= span.last < span.first + longest


def test_the_longest_answer() -> None:
    start, end = torch.zeros(2, 80)
    start[3], end[3 + LONGEST_ANSWER - 1], end[3 + LONGEST_ANSWER] = 5, 5, 9
    assert best_span(start, end) == (3, 3 + LONGEST_ANSWER - 1, 10)
    assert best_span(start, end, LONGEST_ANSWER + 1) == (3, 3 + LONGEST_ANSWER, 14)
    start[3], end[2] = 0, 99
    assert best_span(start, end, 1) == (2, 2, 99)


# Features ----------------------------------------------------------------------------


def test_texts_and_pairs() -> None:
    rows = [Text("a b", "yes"), Text("a", "no", "unable !"), Text("c")]
    one, two, three = KINDS["classification"].features(
        rows, FeatureSettings(SMALL, 16), ("no", "yes")
    )
    assert one == (0, SMALL.encode("a b"), [], [0], [1], ())
    assert two.first + two.second == SMALL.encode("a", "unable !")
    assert (two.row, two.first, two.targets) == (1, [CLS, A, SEP], [0])
    assert two.size == 7
    assert three.targets == []
    [number] = KINDS["regression"].features(
        [Text("a", 0.25)], FeatureSettings(SMALL, 16)
    )
    assert number.targets == [0.25]


@pytest.mark.parametrize("length", [8, 9, 16])
def test_texts_are_cut_as_the_tokenizer_cuts(real_tokenizer, length: int) -> None:
    row = Text("Émilie du Châtelet " * 3, None, "a pair of texts, too long")
    [found] = KINDS["classification"].features(
        [row], FeatureSettings(real_tokenizer, length)
    )
    whole = real_tokenizer.encode(row.text, row.pair, length)
    assert found.first + found.second == whole and found.size <= length
    assert found.second[-1] == real_tokenizer.sep_id


def test_words_and_their_parts() -> None:
    rows = [
        Words(("a", "unbelievable", "!"), ("O", "B-x", "I-x")),
        Words(("b", "c")),
    ]
    labels = ("O", "B-x", "I-x")
    found = list(KINDS["tagging"].features(rows, FeatureSettings(SMALL, 6), labels))
    assert [(f.row, f.asked, f.targets) for f in found] == [
        (0, [1, 2], [0, 1]),
        (0, [1], [2]),
        (1, [1, 2], []),
    ]


def test_windows_of_questions() -> None:
    """The first answer is taught; where it is not whole, [CLS] is."""
    context = "b c a ! b"
    answers = (Answer("! b", 6), Answer("b", 0))
    rows = [Question("a", context, answers), Question("a", context, ())]
    rows += [Question("a", context)]
    found = list(KINDS["answers"].features(rows, FeatureSettings(SMALL, 7, 2)))
    assert [(f.row, f.targets) for f in found] == [
        (0, [0, 0]),
        (0, [4, 5]),
        (1, [0, 0]),
        (1, [0, 0]),
        (2, []),
        (2, []),
    ]
    assert all(f.asked == list(range(f.size)) for f in found)


def test_a_long_question_needs_no_stride() -> None:
    row = Question("a " * LONGEST_QUESTION, "b c " * 80, (Answer("b", 0),))
    found = list(KINDS["answers"].features([row], FeatureSettings(SMALL, 128)))
    assert max(f.size for f in found) == 128 and len(found) > 2


def test_texts_and_what_is_to_be_written() -> None:
    rows = [Source("a unable", "b c a"), Source("b")]
    one, two = KINDS["writing"].features(rows, FeatureSettings(SMALL, 16))
    assert one == (0, SMALL.encode("a unable"), [], [], SMALL.encode("b c a"), ())
    assert two == (1, [CLS, A + 1, SEP], [], [], [], ())
    assert one.size == 5
    [cut] = KINDS["writing"].features(rows[:1], FeatureSettings(SMALL, 4, target=3))
    assert cut.first == SMALL.encode("a unable", max_length=4)
    assert cut.targets == [CLS, A + 1, SEP]
    [long] = KINDS["writing"].features(
        [Source("a", "b " * 99)], FeatureSettings(SMALL, 16)
    )
    assert len(long.targets) == 64
    assert (long.targets[0], long.targets[-1]) == (CLS, SEP)
    wanted = r"row 0: target=2 leaves no room for a piece beside \[CLS\] .*; give 3 or"
    with pytest.raises(ValueError, match=wanted):
        KINDS["writing"].features_of(rows, FeatureSettings(SMALL, 16, target=2))


def test_a_row_that_cannot_be_read_is_named() -> None:
    rows = [Question("a", "b c " * 9), Question("a", "b"), Question("a", "\x00")]
    with pytest.raises(ValueError, match="row 2: the context .* has no pieces"):
        KINDS["answers"].features_of(rows, FeatureSettings(SMALL, 8))
    with pytest.raises(ValueError, match="row 40: the context .* has no pieces"):
        KINDS["answers"].features_of(rows[2:], FeatureSettings(SMALL, 8), number=40)
