"""Vocabulary files: ours and the library's, read and written, and what is refused."""

import json
import pickle
from pathlib import Path

import pytest
import tokenizers
import transformers
from tokenizers import BertWordPieceTokenizer

from bertcore import Tokenizer
from bertcore.text.corpora import introductions
from bertcore.text.vocabulary import SPECIAL

TEXTS = [
    "Unbelievable! It's the U.S.A., isn't it?",
    "ÀÉÎÕÜ àéîõü Çç ß ẞ ﬁne ½ Ⅷ İstanbul",
    "東京は日本 한국어 हिन्दी ภาษา emoji 👍🏽",
    "x" * 150 + " " + "y" * 201,
    "",
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [*TEXTS, *(document.text for document in introductions().documents[::50])]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("limit", [100, 200])
def test_the_library_reads_what_we_write(
    tmp_path: Path, texts, real_tokenizer, lowercase: bool, limit: int
) -> None:
    ours = Tokenizer(real_tokenizer.vocabulary, lowercase, limit)
    ours.save_pretrained(tmp_path)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in texts:
        ids = ours.encode(text)
        assert library.encode(text).ids == ids
        if limit == 100 or "xxx" not in text:  # transformers has its own limit
            assert theirs(text)["input_ids"] == ids
    pair = library.encode(texts[0], texts[1])
    assert pair.ids == ours.encode(texts[0], texts[1])
    assert pair.type_ids == [p.segment for p in ours.encode_pieces(*texts[:2])]
    again = Tokenizer.from_pretrained(tmp_path)
    assert (again.lowercase, again.max_word_characters) == (lowercase, limit)


@pytest.mark.parametrize("lowercase", [True, False])
def test_we_read_what_the_library_writes(
    tmp_path: Path, texts, encoder_folder: Path, lowercase: bool
) -> None:
    vocabulary = str(encoder_folder / "vocab.txt")
    library = BertWordPieceTokenizer(vocabulary, lowercase=lowercase)
    library.save(str(tmp_path / "library.json"))
    ours = Tokenizer.from_pretrained(tmp_path / "library.json")
    assert (ours.lowercase, ours.max_word_characters) == (lowercase, 100)
    for text in texts:
        assert ours.encode(text) == library.encode(text).ids
    ours.save_pretrained(tmp_path)
    written, read = (
        json.loads((tmp_path / name).read_text(encoding="utf8"))
        for name in ("tokenizer.json", "library.json")
    )
    assert written == read


def test_a_deeply_nested_file_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="tokenizer.json is not valid JSON"):
        Tokenizer.from_pretrained(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"do_basic_tokenize": False}, "=False; .* with do_basic_tokenize=True alone"),
        ({"never_split": ["A"]}, "never_split=.* with never_split="),
        ({"unk_token": "<unk>"}, "unk_token is '.UNK.', where BERT has '<unk>'"),
    ],
)
def test_options_that_would_change_the_cut(tmp_path, config, message: str) -> None:
    Tokenizer([*SPECIAL, "a"]).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path)


def test_what_decides(tmp_path: Path) -> None:
    """An argument, then tokenizer_config.json, then tokenizer.json; null is silence."""
    Tokenizer([*SPECIAL, "a", "b"], False, 50).save_pretrained(tmp_path)
    for place in (tmp_path, tmp_path / "vocab.txt", tmp_path / "tokenizer.json"):
        found = Tokenizer.from_pretrained(place)
        assert (found.lowercase, found.max_word_characters) == (False, 50), place
    (tmp_path / "vocab.txt").unlink()
    config = {"do_lower_case": None, "max_word_characters": 70}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = Tokenizer.from_pretrained(tmp_path)
    assert (found.lowercase, found.max_word_characters) == (False, 70)
    assert Tokenizer.from_pretrained(tmp_path, True, 9).max_word_characters == 9


@pytest.mark.parametrize("lowercase", ["no", None, 1])
def test_lowercase_is_true_or_false(lowercase) -> None:
    with pytest.raises(ValueError, match=f"lowercase={lowercase!r}; give True"):
        Tokenizer([*SPECIAL, "a"], lowercase)


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Tokenizer([*SPECIAL, "a"]).save_pretrained("~/mine")
    assert (tmp_path / "mine" / "vocab.txt").exists()
    assert len(Tokenizer.from_pretrained("~/mine")) == 6
    assert len(Tokenizer.from_pretrained("~/mine/vocab.txt")) == 6


def test_a_limit_is_kept_and_can_be_changed(tmp_path: Path, real_tokenizer) -> None:
    Tokenizer(real_tokenizer.vocabulary, True, 100).save_pretrained(tmp_path)
    word = "ab" * 75
    assert Tokenizer.from_pretrained(tmp_path).tokenize(word) == ["[UNK]"]
    longer = Tokenizer.from_pretrained(tmp_path, max_word_characters=200)
    assert "[UNK]" not in longer.tokenize(word)


@pytest.mark.parametrize("limit", [0, -1, "100", True, 2.5])
def test_a_limit_is_a_whole_number(tmp_path: Path, real_tokenizer, limit) -> None:
    real_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=f"max_word_characters={limit!r}; give a whole"
    ):
        Tokenizer.from_pretrained(tmp_path, max_word_characters=limit)
    with pytest.raises(ValueError, match="max_word_characters=.*; give a whole"):
        Tokenizer(real_tokenizer.vocabulary, True, limit)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*SPECIAL, "a", "", "b"], r"piece 6 .* is empty \(line 7 of a vocab.txt\)"),
        ([*SPECIAL[:4], "a"], r"5 pieces lacks \[MASK\]"),
        ([*SPECIAL, "a", "b", "a"], "holds 'a' twice, as ids 5 and 7"),
        ([*SPECIAL, "a", " a "], "holds 'a' twice, as ids 5 and 6"),
    ],
)
def test_bad_lines(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(path)


def test_odd_lines_that_are_good(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, no last line end, exotic spaces."""
    path = tmp_path / "vocab.txt"
    lines = [*SPECIAL, "a", "\u3000", "##b"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    tokenizer = Tokenizer.from_pretrained(path)
    assert tokenizer.vocabulary == lines
    tokenizer.save_pretrained(tmp_path)
    assert Tokenizer.from_pretrained(tmp_path).vocabulary == lines


@pytest.mark.parametrize("piece", ["a\nb", " a", "a\ud800", "a\r"])
def test_what_no_file_can_hold_is_not_written(tmp_path: Path, piece: str) -> None:
    tokenizer = Tokenizer([*SPECIAL, piece])
    with pytest.raises(ValueError, match="piece 5, .*cannot stand on a line"):
        tokenizer.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("normalizer", None, "normalizer is None, where BERT has 'BertNormalizer'"),
        ("normalizer.clean_text", False, "clean_text is False"),
        ("normalizer.strip_accents", False, "strip_accents=False, which Tokenizer has"),
        ("normalizer.handle_chinese_chars", False, "tokenize_chinese_chars=False, wh"),
        ("post_processor", None, "post_processor is None, where BERT has"),
        ("padding", {"direction": "Left"}, "padding at the left; ours is at the right"),
        ("pre_tokenizer", {"type": "Whitespace"}, "pre_tokenizer is 'Whitespace'"),
        ("model.type", "BPE", "holds a BPE tokenizer; BERT's is WordPiece"),
        ("model.unk_token", "<unk>", "unk_token is '<unk>', where BERT has"),
        (
            "model.continuing_subword_prefix",
            "@@",
            "prefix is '@@', where BERT has '##'",
        ),
        ("model.vocab", {"a": 0, "b": 2}, "no id 1, but 'b' has 2; ids must be 0 to 1"),
        ("model.vocab", {}, "the vocabulary of 0 pieces lacks"),
        ("model.vocab", ["a"], "vocab must hold names and values, not"),
        ("model.vocab", {"a": 0, "b": None}, "the id of 'b' is None, no whole number"),
        ("model.vocab", {"a": False, "b": 1}, "the id of 'a' is False"),
        ("model", [1], "model must hold names and values"),
        ("normalizer", [1], "normalizer must hold names and values"),
        ("pre_tokenizer", ["x"], "pre_tokenizer must hold names and values"),
        ("normalizer.lowercase", "yes", "lowercase is 'yes'; it must be true or"),
        ("model.max_input_chars_per_word", 0, "per_word is 0; it must be a whole"),
        ("added_tokens", [{"content": "x", "id": 6}], "has the added token 'x', which"),
        ("added_tokens", [{"content": "x", "id": 8}], "no id 6, but 'x' has 8"),
        ("added_tokens", [{"content": "a", "id": 6}], "id 6, and as a piece .* 5"),
        ("added_tokens", [{"content": 7, "id": 6}], "a token is a text, or a table"),
    ],
)
def test_other_kinds_of_tokenizer_json(tmp_path: Path, path, value, message) -> None:
    Tokenizer([*SPECIAL, "a"]).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    *parents, name = path.split(".")
    inner = content
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("length", [None, 30, 13])
def test_places_of_pairs_equal_the_library(
    encoder_folder: Path, real_tokenizer, length: int | None
) -> None:
    """Ids, segments and offsets, also of what is left after truncation."""
    first = "Who was the Café's owner?"
    second = "The café, unbelievably, belonged to Zoë, İpek and 東京 until 1931. " * 2
    library = tokenizers.Tokenizer.from_file(str(encoder_folder / "tokenizer.json"))
    library.no_padding()
    library.no_truncation()
    if length:
        library.enable_truncation(length, strategy="longest_first")
    expected = library.encode(first, second)
    found = real_tokenizer.encode_pieces(first, second, length)
    assert [piece.id for piece in found] == expected.ids
    assert [piece.piece for piece in found] == expected.tokens
    assert [piece.segment for piece in found] == expected.type_ids
    assert [(piece.start, piece.end) for piece in found] == expected.offsets
    assert [p.id for p in found] == real_tokenizer.encode(first, second, length)


def test_special_tokens_are_read_if_asked(encoder_folder: Path, real_tokenizer) -> None:
    library = BertWordPieceTokenizer(str(encoder_folder / "vocab.txt"))
    for text in ("The [MASK] bit.", "[MASK][MASK]x[SEP] y [PAD]z", "[mask] [ MASK ]"):
        expected = library.encode(text, add_special_tokens=False)
        found = real_tokenizer.pieces(text, parse_special=True)
        assert [piece.id for piece in found] == expected.ids
        assert [(piece.start, piece.end) for piece in found] == expected.offsets
        assert real_tokenizer.tokenize(text, parse_special=True) == expected.tokens
        ids = real_tokenizer.encode(text, parse_special=True)
        assert ids[1:-1] == expected.ids
        batch = real_tokenizer([text], parse_special=True)
        assert batch["input_ids"][0].tolist() == ids


def test_control_characters_and_null(real_tokenizer) -> None:
    """Dropped, not replaced by a space: what they part grows together."""
    assert real_tokenizer.tokenize("he\x00ad\x07 la\x1bmp\x7f") == ["head", "lamp"]
    assert real_tokenizer.tokenize("\x00\x01\x02") == []
    (piece,) = real_tokenizer.pieces("\x00he\x00ad\x00")
    assert (piece.start, piece.end) == (1, 6)


def test_ten_megabytes_without_a_space(real_tokenizer) -> None:
    word = "a" * 10_000_000
    assert real_tokenizer.tokenize(word) == ["[UNK]"]
    assert real_tokenizer.tokenize("lamp" + "!" * 1_000_000).count("!") == 1_000_000
    assert not any(len(key) > 100 for key in real_tokenizer._matcher._chunks)


def test_halves_of_surrogate_pairs(real_tokenizer) -> None:
    assert real_tokenizer.tokenize("a\ud800 \udfff b") == ["[UNK]", "[UNK]", "b"]
    places = [(p.start, p.end) for p in real_tokenizer.pieces("a\ud800 b")]
    assert places == [(0, 2), (3, 4)]


def test_a_byte_order_mark_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="piece 0, .*byte order mark"):
        Tokenizer(["\ufeffx", *SPECIAL]).save_pretrained(tmp_path)


def test_a_tokenizer_can_be_sent_to_another_process(real_tokenizer) -> None:
    real_tokenizer.encode("warm up the memory")
    again = pickle.loads(pickle.dumps(real_tokenizer))
    assert again.encode("a headland") == real_tokenizer.encode("a headland")
