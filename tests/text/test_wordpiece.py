"""The tokenizer equals the references, text for text and place for place."""

import unicodedata
from itertools import groupby
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

from bertcore import Tokenizer
from bertcore.text.characters import (
    _CLEAN,
    _SEPARATE,
    _SEPARATE_UNACCENTED,
    keeps_places,
    origins,
    split_words,
)
from bertcore.text.corpora import introductions
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import sample

NASTY = [
    "",
    " \t\r\n\u3000\u00a0 ",
    "Unbelievable! It's the U.S.A., isn't it?",
    "don't–can’t … «quoted» ‹x› “y”",
    "ÀÉÎÕÜ àéîõü Çç Ññ Øø Łł ß ẞ",
    "e\u0301 a\u0323\u0302 \u0301orphan mark",
    "ﬁne ﬂuid ﬃ ½ ² ™ Ⅷ",
    "İstanbul ISPARTA ı",
    "東京は日本の首都です。中文也可以",
    "\U00020000\U0002f800 豈 〇 々",
    "한국어 텍스트 조합",
    "हिन्दी में लिखा हुआ",
    "ภาษาไทย العربية עברית",
    "Ελληνικά ΣΟΦΟΣ σοφος",
    "emoji 👍🏽 👩‍👩‍👧 🏳️‍🌈 two😀😀",
    "zero\u200bwidth\u200djoin\ufeffbom\u2060",
    "null\x00 bell\x07 esc\x1b del\x7f c1\x85\x9f",
    "replace\ufffdment",
    "line\u2028sep para\u2029sep",
    "$100 5% #tag @home a_b a^b `code` ~ | \\ {x}",
    "http://example.org/?a=b&c=d#e user@example.org",
    "3.14 1,000,000 10^6 x=-2 12:30",
    "x" * 100,
    "ab" * 40,
    "camelCaseHTTPServer snake_case kebab-case",
    "##land [cls] [ SEP ] [mask",
    "\u0345\u0300\u05ae\u0344 reordered marks",
    "mixed Кириллица and Latin в одном слове",
]

# Where the tokenizers library differs from google-research/bert, and why. The
# reference of this course is Google's code.
EXCEPTIONS = {
    "x" * 150: "the library gives up on words of more than 100 characters, not 200",
    "[MASK] in a text": "the library reads a special token out of the user's text",
    "ΣΟΦΟΣ": "a final capital sigma becomes ς in Python and σ in the library",
    "private \ue000use": "the library drops private-use characters (category Co)",
}


@pytest.fixture(scope="module")
def library(encoder_folder: Path) -> BertWordPieceTokenizer:
    return BertWordPieceTokenizer(str(encoder_folder / "vocab.txt"), lowercase=True)


@pytest.fixture(scope="module")
def cased(encoder_folder: Path) -> tuple[Tokenizer, BertWordPieceTokenizer]:
    vocabulary = encoder_folder / "vocab.txt"
    return (
        Tokenizer.from_pretrained(vocabulary, lowercase=False),
        BertWordPieceTokenizer(str(vocabulary), lowercase=False, strip_accents=False),
    )


def compare(tokenizer: Tokenizer, library: BertWordPieceTokenizer, text: str) -> None:
    expected = library.encode(text, add_special_tokens=False)
    found = tokenizer.pieces(text)
    assert [piece.piece for piece in found] == expected.tokens, text
    assert [piece.id for piece in found] == expected.ids, text
    assert tokenizer.tokenize(text) == expected.tokens, text


@pytest.mark.parametrize("text", [t for t in NASTY if "ΣΟΦΟΣ" not in t])
def test_nasty_strings(text: str, real_tokenizer, library, cased) -> None:
    compare(real_tokenizer, library, text)
    compare(*cased, text)


@pytest.mark.parametrize("text", EXCEPTIONS)
def test_exceptions_are_still_exceptions(text: str, real_tokenizer, library) -> None:
    """If one of these agrees some day, it leaves the list."""
    expected = library.encode(text, add_special_tokens=False).tokens
    assert real_tokenizer.tokenize(text) != expected, EXCEPTIONS[text]


def test_a_corpus_of_real_text(real_tokenizer, library) -> None:
    """Every introduction: the same ids and the same offsets."""
    corpus = introductions()
    assert len(corpus.documents) == 10_033, corpus.source
    texts = [document.text for document in corpus.documents]
    expected = library.encode_batch(texts)
    wrong = [
        text
        for text, encoding in zip(texts, expected, strict=True)
        if real_tokenizer.encode(text) != encoding.ids
    ]
    assert not wrong
    for text, encoding in zip(texts[::10], expected[::10], strict=True):
        places = [(piece.start, piece.end) for piece in real_tokenizer.pieces(text)]
        assert places == list(encoding.offsets)[1:-1]


characters = st.characters(exclude_categories=["Cs", "Cn", "Co"])


def places_by_definition(text: str, lowercase: bool) -> list[tuple[str, list[int]]]:
    """Each word with the place of each character: rule by rule, one by one."""
    traced = [(c, i) for i, before in enumerate(text) for c in _CLEAN[ord(before)]]
    if lowercase:
        lowered = "".join(character for character, _ in traced).lower()
        origins = [i for character, i in traced for _ in character.lower()]
        traced = [
            (c, i)
            for before, i in zip(lowered, origins, strict=True)
            for c in unicodedata.normalize("NFD", before)
        ]
        for end in range(len(traced)):  # marks change places till they are in order
            for at in range(end, 0, -1):
                before, after = (
                    unicodedata.combining(c) for c, _ in traced[at - 1 :][:2]
                )
                if not 0 < after < before:
                    break
                traced[at - 1], traced[at] = traced[at], traced[at - 1]
    table = _SEPARATE_UNACCENTED if lowercase else _SEPARATE
    apart = [(c, i) for before, i in traced for c in table[ord(before)]]
    words = [
        [*word]
        for space, word in groupby(apart, lambda pair: pair[0].isspace())
        if not space
    ]
    return [("".join(c for c, _ in word), [i for _, i in word]) for word in words]


def check_places(text: str) -> None:
    """The fast rules say of every character where it stood, cased and uncased."""
    for lowercase in (True, False):
        expected = places_by_definition(text, lowercase)
        assert split_words(text, lowercase) == [word for word, _ in expected]
        places = [place for _, places in expected for place in places]
        assert origins(text, lowercase) == places, ascii(text)
        if keeps_places(text, lowercase):
            assert places == list(range(len(text))), ascii(text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(characters, max_size=30))
def test_places_of_any_text(text: str) -> None:
    check_places(text)


# What is longer or shorter afterwards, or changes places.
HARD = "aZ é\u0301\u0323\u0302\u0345 İßẞΣſﬁǅŉΐ한\u1100\u1161각 東々が\u3099 हि\u093f"
HARD += (
    "\u0f73\u0f71 \u302e\U0001d165\U0001d16d\U0001d15e\U00016ff0 \0\u200d\ufeff\u00ad"
)
HARD += "\t\n\u00a0\u2028\u3000\x1c\x85 -–$😀\ufffd\ud800"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text(st.sampled_from(HARD), max_size=12))
def test_places_of_hard_characters_side_by_side(text: str) -> None:
    check_places(text)


def test_every_character_alone_between_two_letters() -> None:
    """The places by the fast rules equal those by definition everywhere in Unicode.

    Whatever is not a rule of its own for one character stands in the sample; all are
    swept weekly, and by test_reference.py against Google's own code.
    """
    for code in [*range(0x3000), *sample(range(0x3000, 0x110000), 20_000)]:
        if 0xD800 <= code <= 0xDFFF or unicodedata.category(chr(code)) in ("Cn", "Co"):
            continue
        check_places(f"a{chr(code)}b")


@pytest.mark.parametrize(
    "character", "㐀䶿一鿿豈\ufaff\U00020000\U0002a6df\U0002a700\U0002b73f\U0002b740"
    "\U0002b81f\U0002b820\U0002ceaf\U0002f800\U0002fa1f",
)  # fmt: skip
def test_both_ends_of_each_chinese_block_stand_alone(character: str) -> None:
    assert split_words(f"a{character}b", lowercase=False) == ["a", character, "b"]


def test_marks_that_stay_are_put_in_order() -> None:
    """Marks that are not Mn survive, and NFD orders them; 25 characters are like it."""
    text = "a\u302e\U0001d165"
    assert split_words(text, lowercase=True) == ["a\U0001d165\u302e"]
    assert origins(text, lowercase=True) == [0, 2, 1]


def test_places_point_into_the_original(real_tokenizer) -> None:
    text = "Ein Café, İstanbul—한국!"
    found = {piece.piece: text[piece.start : piece.end] for piece in
             real_tokenizer.pieces(text)}  # fmt: skip
    assert found["cafe"] == "Café"
    assert found["istanbul"] == "İstanbul"
    assert found["—"] == "—"
    assert found["!"] == "!"


def test_unknown_word_covers_the_whole_word(real_tokenizer) -> None:
    text = f"short {'q' * 201} ☃☃"
    unknown = [p for p in real_tokenizer.pieces(text) if p.piece == "[UNK]"]
    assert [(p.start, p.end) for p in unknown] == [(6, 207), (208, 210)]


def test_word_limit_is_a_parameter(encoder_folder: Path) -> None:
    word = "ab" * 75
    tokenizer = Tokenizer.from_pretrained(encoder_folder)
    assert "[UNK]" not in tokenizer.tokenize(word)
    assert "[UNK]" not in tokenizer.tokenize("x" * 200)
    assert tokenizer.tokenize("x" * 201) == ["[UNK]"]
    limited = Tokenizer.from_pretrained(encoder_folder, max_word_characters=100)
    assert limited.tokenize(word) == ["[UNK]"]


def test_pairs_and_truncation_equal_transformers(
    encoder_folder, real_tokenizer
) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(encoder_folder)
    first, second = "one two three four five six", "a longer second text " * 3
    for pair in (None, second, ""):
        for length in (None, 40, 20, 9):
            expected = theirs(
                first,
                pair,
                truncation="longest_first" if length else False,
                max_length=length,
            )
            assert real_tokenizer.encode(first, pair, length) == expected["input_ids"]
            batch = real_tokenizer(first, pair, length)
            segments = batch["token_type_ids"][0].tolist()
            assert segments == expected["token_type_ids"]


def test_on_a_tie_the_pair_loses_as_in_googles_code(
    encoder_folder, real_tokenizer
) -> None:
    """run_classifier.py pops from the second on a tie; the library from the first."""
    first, second = "a b c d e", "f g h i j"
    decoded = real_tokenizer.decode(real_tokenizer.encode(first, second, 10))
    assert decoded == "[CLS] a b c d [SEP] f g h [SEP]"
    theirs = transformers.AutoTokenizer.from_pretrained(encoder_folder)
    ids = theirs(first, second, truncation=True, max_length=10)["input_ids"]
    assert real_tokenizer.decode(ids) == "[CLS] a b c [SEP] f g h i [SEP]"


def test_batch_is_padded(real_tokenizer) -> None:
    batch = real_tokenizer(["a b", "a"], ["c", "d e f"])
    assert {name: tuple(t.shape) for name, t in batch.items()} == {
        "input_ids": (2, 7),
        "token_type_ids": (2, 7),
        "attention_mask": (2, 7),
    }
    assert batch["token_type_ids"].tolist() == [
        [0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1, 1],
    ]
    assert batch["attention_mask"].tolist() == [[1] * 6 + [0], [1] * 7]
    assert batch["input_ids"].dtype == torch.int64
    assert batch["input_ids"][0, -1] == real_tokenizer.pad_id == 0


def test_decode(real_tokenizer) -> None:
    ids = real_tokenizer.encode("A lamp past the Headland!")
    assert real_tokenizer.decode(ids) == "[CLS] a lamp past the headland ! [SEP]"
    plain = real_tokenizer.decode(ids, skip_special_tokens=True)
    assert plain == "a lamp past the headland !"
    assert real_tokenizer.decode(torch.tensor(ids)) == real_tokenizer.decode(ids)
    assert real_tokenizer.encode(plain) == ids


def test_special_tokens_in_a_text_are_text(real_tokenizer) -> None:
    ids = real_tokenizer.encode("[SEP] [CLS]")
    assert ids.count(real_tokenizer.sep_id) == ids.count(real_tokenizer.cls_id) == 1


def test_saved_tokenizer_loads_in_transformers(tmp_path: Path, real_tokenizer) -> None:
    real_tokenizer.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in NASTY[2:8]:
        assert theirs(text)["input_ids"] == real_tokenizer.encode(text)
    ours = Tokenizer.from_pretrained(tmp_path)
    assert (ours.vocabulary, ours.lowercase) == (real_tokenizer.vocabulary, True)


def test_case_is_taken_from_the_config_or_from_the_vocabulary(tmp_path: Path) -> None:
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL, "Paris"]) + "\n")
    assert not Tokenizer.from_pretrained(file).lowercase
    assert Tokenizer.from_pretrained(tmp_path).tokenize("Paris paris")[0] == "Paris"
    file.write_text("\n".join([*SPECIAL, "paris"]) + "\r\n")
    assert Tokenizer.from_pretrained(file).tokenize("Paris") == ["paris"]
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not Tokenizer.from_pretrained(tmp_path).lowercase


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[PAD]\n[UNK]\n", r"2 pieces lacks \[CLS\], \[SEP\], \[MASK\]"),
        (
            "\n".join([*SPECIAL, "a", "b", "a"]).encode(),
            "holds 'a' twice, as ids 5 and",
        ),
        (b"[PAD]\n\xff\n", "not UTF-8: byte 6 is 0xff"),
    ],
)
def test_bad_vocabularies(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path / "vocab.txt")


def test_tokenizers_that_transformers_saves(tmp_path: Path, encoder_folder) -> None:
    """It writes no vocab.txt any more, only tokenizer.json."""
    theirs = transformers.AutoTokenizer.from_pretrained(encoder_folder)
    theirs.save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.txt").exists()
    ours = Tokenizer.from_pretrained(tmp_path)
    for text in NASTY[2:8]:
        assert theirs(text)["input_ids"] == ours.encode(text)
    assert repr(ours) == "Tokenizer(30522 pieces, uncased)"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            '{"do_lower_case": "false"}',
            "do_lower_case='false'; it must be true or false",
        ),
        ("[1]", "tokenizer_config.json holds no table"),
        ("{", "tokenizer_config.json is not valid JSON"),
        ('{"strip_accents": false}', "strip_accents=False, which Tokenizer has not"),
        ('{"tokenize_chinese_chars": false}', "tokenize_chinese_chars=False, which"),
    ],
)
def test_options_that_bert_does_not_have(tmp_path, config: str, message: str) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "a"]))
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path)


def test_wrong_calls(real_tokenizer) -> None:
    with pytest.raises(ValueError, match=r"a text is a str, not list; .*tokenizer\(te"):
        real_tokenizer.encode(["a", "b"])
    with pytest.raises(ValueError, match="a text is a str, not bytes"):
        real_tokenizer.tokenize(b"a")
    with pytest.raises(ValueError, match="an empty batch"):
        real_tokenizer([])
    with pytest.raises(ValueError, match="an empty batch"):
        real_tokenizer(None)
    with pytest.raises(ValueError, match="2 texts but 1 pairs"):
        real_tokenizer(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="1 texts but 0 pairs"):
        real_tokenizer(["a"], [])
    with pytest.raises(ValueError, match="max_length=2 leaves no room.*give 3 or more"):
        real_tokenizer.encode("a", max_length=2)
    with pytest.raises(ValueError, match="id 30522 is not in this vocabulary of 30522"):
        real_tokenizer.decode([30522])
    with pytest.raises(FileNotFoundError, match="vocab.txt"):
        Tokenizer.from_pretrained(Path(__file__).parent)


def test_hostile_sizes(real_tokenizer) -> None:
    assert real_tokenizer.tokenize("a" * 1_000_000) == ["[UNK]"]
    assert real_tokenizer.tokenize("\ud800 a") == ["[UNK]", "a"]
    (piece,) = real_tokenizer.pieces("a" * 1_000_000)  # quadratic time would show
    assert (piece.start, piece.end) == (0, 1_000_000)


def test_the_memory_of_words_is_bounded(
    real_tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bertcore.text.wordpiece._REMEMBERED", 10)
    fresh = Tokenizer(real_tokenizer.vocabulary)
    for number in range(100):
        fresh.tokenize(f"{number} {number + 1}")
        assert len(fresh._matcher._chunks) <= 10 >= len(fresh._matcher._words)
