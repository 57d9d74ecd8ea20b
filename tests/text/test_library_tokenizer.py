"""The library's tokenizers equal transformers', and are used as ours is."""

import json
import pickle
import sys
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from bertcore import Tokenizer
from bertcore.tasks import KINDS as TASKS
from bertcore.tasks.rows import Answer, Question, Source, Text, Words
from bertcore.tasks.task import FeatureSettings
from bertcore.text.corpora import introductions
from bertcore.text.fast_tokenizer import FastTokenizer, load_tokenizer, train_byte_bpe
from bertcore.text.masking import Masker
from bertcore.text.prepare import prepare
from bertcore.text.store import Store, check_tokenizer
from bertcore.text.vocabulary import SPECIAL
from tests.text.test_wordpiece import NASTY

TEXTS = [document.text for document in introductions().documents[:200]]
BYTES = train_byte_bpe(TEXTS, 700)
FRAME = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
KINDS = ("roberta", "modernbert", "albert", "deberta", "xlm-roberta", "camembert")


def unigram(
    base: tokenizers.Tokenizer, special: list[str], unknown: str
) -> list[tuple[str, float]]:
    """Pieces and scores, learned with the parts of `base`."""
    learner = tokenizers.Tokenizer(models.Unigram())
    learner.normalizer, learner.pre_tokenizer = base.normalizer, base.pre_tokenizer
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=special, unk_token=unknown, show_progress=False
    )
    learner.train_from_iterator(TEXTS, trainer)
    model = json.loads(learner.to_str())["model"]
    return [(piece, score) for piece, score in model["vocab"]]


def modernbert() -> transformers.PreTrainedTokenizerFast:
    """Byte-level BPE in the frame of BERT, with a token for two spaces."""
    model = json.loads(BYTES.definition)["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    library = tokenizers.Tokenizer(models.BPE(vocab=model["vocab"], merges=merges))
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    library.add_tokens([AddedToken("  ", normalized=False)])
    library.add_special_tokens(
        [AddedToken(token, normalized=True) for token in SPECIAL[:-1]]
        + [AddedToken("[MASK]", lstrip=True)]
    )
    ids = [(token, library.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    library.post_processor = TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair=FRAME, special_tokens=ids
    )
    names = {f"{t[1:-1].lower()}_token": t for t in SPECIAL}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=library, **names)


def made(kind: str) -> transformers.PreTrainedTokenizerFast:
    """A small tokenizer of the transformers library, with that model's own parts."""
    if kind == "modernbert":
        return modernbert()
    if kind == "albert":
        special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
        base = transformers.AlbertTokenizer
        return base(vocab=unigram(base().backend_tokenizer, special, "<unk>"))
    if kind == "xlm-roberta":  # fairseq's ids before those of SentencePiece
        base = transformers.XLMRobertaTokenizer
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        pieces = unigram(base().backend_tokenizer, special, "<unk>")
        return base(vocab=[*pieces, ("<mask>", 0.0)])
    if kind == "camembert":
        base = transformers.CamembertTokenizer
        special = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"]
        pieces = unigram(base().backend_tokenizer, special, "<unk>")
        return base(vocab=[*pieces, ("<mask>", 0.0)])
    if kind == "deberta":
        base = transformers.DebertaV2Tokenizer
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]  # [MASK] is added, as in v3
        pieces = unigram(base().backend_tokenizer, special, "[UNK]")
        return base(vocab=pieces, unk_id=3)
    model = json.loads(BYTES.definition)["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return transformers.RobertaTokenizerFast(vocab=model["vocab"], merges=merges)


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    """Ours, read from what transformers has written, and theirs."""
    theirs = made(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    return load_tokenizer(folder), theirs


def test_the_special_tokens_are_theirs(both) -> None:
    ours, theirs = both
    assert isinstance(ours, FastTokenizer)
    for role in ("pad", "unk", "cls", "sep", "mask"):
        assert getattr(ours, f"{role}_id") == getattr(theirs, f"{role}_token_id"), role
    assert len(ours) == len(theirs)
    assert ours.vocabulary == theirs.convert_ids_to_tokens(list(range(len(ours))))


@pytest.mark.parametrize("text", [*NASTY, "two  spaces ", *TEXTS[200:203]])
def test_nasty_strings(both, text: str) -> None:
    ours, theirs = both
    assert ours.encode(text) == theirs(text)["input_ids"]
    own = theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.tokenize(text) == theirs.convert_ids_to_tokens(own)
    other = "the second, é"
    expected = theirs(text, other)["input_ids"]
    if text.strip() and ours.tokenize(text):
        assert ours.encode(text, other) == expected
        assert [p.id for p in ours.encode_pieces(text, other)] == expected


def test_places_point_at_the_text(both) -> None:
    """Theirs, without the white space that SentencePiece's hold."""
    ours, theirs = both
    for text in [*NASTY, *TEXTS[:5]]:
        expected = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        for piece, (start, end) in zip(
            ours.pieces(text), expected["offset_mapping"], strict=True
        ):
            assert text[piece.start : piece.end] == text[start:end].strip()
            assert start <= piece.start <= piece.end <= end
            assert ours.vocabulary[piece.id] == piece.piece


def test_a_batch_is_theirs(both) -> None:
    ours, theirs = both
    texts, pairs = TEXTS[:3], ["One.", "Two words.", "Three, and more."]
    expected = theirs(texts, pairs, padding=True, return_tensors="pt")
    batch = ours(texts, pairs)
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])
    kinds = theirs(texts, pairs, padding=True, return_token_type_ids=True)
    assert batch["token_type_ids"].tolist() == kinds["token_type_ids"]
    assert ours(texts[0])["input_ids"].tolist() == [ours.encode(texts[0])]
    with pytest.raises(ValueError, match="no texts: an empty batch"):
        ours([])
    with pytest.raises(ValueError, match="1 texts but 2 pairs"):
        ours("one", ["a", "b"])


@pytest.mark.parametrize("length", [8, 9, 14, 15, 40, 41])
def test_a_pair_is_cut_as_ours_is(both, length: int) -> None:
    """As theirs, but for who keeps the odd one: with us, and Google, the first."""
    ours, theirs = both
    for first, second in [(9, 20), (20, 9), (20, 20), (3, 30), (30, 3)]:
        a, b = " a" * first, " b" * second
        ids, special = ours.encode(a, b, length), 3 + (ours.separators == 2)
        whole = ours.encode(a), ours.encode(b)
        sizes = [len(row) - 2 for row in whole]
        assert len(ids) == min(length, sum(sizes) + special)
        room = length - special
        expected = theirs(a, b, truncation=True, max_length=length)["input_ids"]
        if room % 2 == 0 or min(sizes) <= room // 2:
            assert ids == expected
        else:
            assert ids != expected or sizes[0] > sizes[1]
            kept = ids.index(ours.sep_id) - 1
            assert kept == room - room // 2
        one = theirs(a, truncation=True, max_length=length)["input_ids"]
        assert ours.encode(a, max_length=length) == one


def test_no_room(both) -> None:
    ours, _ = both
    special = 2 + ours.separators
    assert ours.encode("a", "d e f", special + 1) == ours.encode("a")  # no pair is left
    assert len(ours.encode("a", "d e f", special + 2)) == special + 2
    with pytest.raises(ValueError, match=f"max_length={special} leaves no room"):
        ours.encode("a b c", "d e f", special)


def test_text_cannot_say_special_tokens(both) -> None:
    """As with our own, it takes a switch, and then it is what transformers does."""
    ours, theirs = both
    roles = "pad", "cls", "sep", "mask"
    special = {getattr(ours, f"{role}_id") for role in roles}
    names = [ours.vocabulary[id] for id in special]
    for text in (
        *names,
        *(f"a {name}" for name in names),
        *(f"a{name}b{name}" for name in names),
        "".join(names),
        *(" ".join(name) for name in names),
    ):
        found = [piece.id for piece in ours.pieces(text)]
        assert not special & set(found), text
        assert not special & set(ours.encode(text, text)[1:-1]) - {ours.sep_id}
        assert ours.encode(text, parse_special=True) == theirs(text)["input_ids"]
        found = ours.encode(text, parse_special=True)[1:-1]
        told = ours.tokenize(text, parse_special=True)
        assert told == [ours.vocabulary[id] for id in found]
        assert special & set(found) or not any(name in text for name in names)


def test_a_place_behind_a_special_token_that_is_parsed(both) -> None:
    ours, _ = both
    mask = ours.vocabulary[ours.mask_id]
    text = f"the {mask} is"
    for parse in (True, False):
        last = ours.pieces(text, parse)[-1]
        assert text.endswith(text[last.start : last.end]) and last.end == len(text)


def test_saved_and_read_again(both, tmp_path: Path) -> None:
    ours, theirs = both
    ours.save_pretrained(tmp_path / "it")
    again = FastTokenizer.from_pretrained(tmp_path / "it" / "tokenizer.json")
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "it")
    for text in NASTY:
        expected = theirs(text, "b")["input_ids"]
        assert auto(text, "b")["input_ids"] == expected
        assert again.encode(text) == ours.encode(text) == auto(text)["input_ids"]
    assert auto.mask_token_id == theirs.mask_token_id
    assert ("token_type_ids" in auto("a")) == (ours.encode_pieces("a", "b")[-1][4] == 1)
    assert again.definition == ours.definition
    assert pickle.loads(pickle.dumps(ours)).definition == ours.definition


def test_decode(both) -> None:
    ours, theirs = both
    ids = ours.encode("The café, is it open?", "No.")
    for skip in (True, False):
        expected = theirs.decode(
            ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False
        )
        assert ours.decode(ids, skip) == expected
    assert ours.decode(torch.tensor(ids)) == ours.decode(ids)
    with pytest.raises(ValueError, match=f"id {len(ours)} is not in this vocabulary"):
        ours.decode([len(ours)])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_from_bytes(text: str) -> None:
    for written in (text, f"{text}<mask></s> {text}"):
        assert BYTES.decode(BYTES.encode(written), skip_special_tokens=True) == written
    for piece in BYTES.pieces(text):
        assert 0 <= piece.start <= piece.end <= len(text)


# Trained -----------------------------------------------------------------------------


def test_the_order_of_the_ids_is_that_of_roberta_base() -> None:
    assert len(BYTES) == 700
    assert BYTES.vocabulary[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert BYTES.vocabulary[-1] == "<mask>" and BYTES.mask_id == 699
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    assert set(BYTES.vocabulary[4:260]) == alphabet
    assert repr(BYTES) == "FastTokenizer(700 pieces, BPE)"
    assert train_byte_bpe(TEXTS, 700).definition == BYTES.definition


def test_transformers_reads_it_as_a_roberta(tmp_path: Path) -> None:
    BYTES.save_pretrained(tmp_path)
    theirs = transformers.RobertaTokenizerFast.from_pretrained(tmp_path)
    for text in [*NASTY, "a <mask> b"]:
        expected = theirs(text, "b")["input_ids"]
        if text:
            assert BYTES.encode(text, "b", parse_special=True) == expected


def test_vocab_json_and_merges(tmp_path: Path) -> None:
    BYTES.save_pretrained(tmp_path)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    old = tmp_path / "old"
    old.mkdir()
    library.model.save(str(old))
    assert load_tokenizer(old).definition == BYTES.definition
    (old / "merges.txt").write_text("#version: 0.2\nab cdefg\n", encoding="utf8")
    with pytest.raises(ValueError, match=r"vocab.json and .*merges.txt do not fit"):
        load_tokenizer(old)
    (old / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no merges.txt"):
        load_tokenizer(old)
    (old / "merges.txt").write_text("", encoding="utf8")
    (old / "vocab.json").write_text('{"a": 0, "<s>": 1}', encoding="utf8")
    with pytest.raises(ValueError, match="lacks <pad>, </s>, <unk>, <mask>; is this"):
        load_tokenizer(old)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], 260), "size=260 has no room for the 5 special tokens and the 256"),
        ((["a"], "many"), "size='many'; give a whole number from 1"),
        ((["aa aa"] * 9, 400), "these texts give 26. pieces, not size=400"),
        (("a text", 300), "texts is a single str; give a list"),
        (([7], 300), "a text is a str, not int"),
    ],
)
def test_refusals_of_training(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_byte_bpe(*arguments)


# Loaded ------------------------------------------------------------------------------


def test_wordpiece_is_read_by_ours(tmp_path: Path) -> None:
    Tokenizer([*SPECIAL, "a"]).save_pretrained(tmp_path)
    for place in (tmp_path, tmp_path / "vocab.txt", tmp_path / "tokenizer.json"):
        assert isinstance(load_tokenizer(place), Tokenizer)
    (tmp_path / "tokenizer.json").unlink()
    assert isinstance(load_tokenizer(tmp_path), Tokenizer)
    with pytest.raises(FileNotFoundError, match="has no tokenizer.json and no vocab"):
        load_tokenizer(tmp_path.parent)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"type": "Magic"}}', encoding="utf8")
    with pytest.raises(ValueError, match="tokenizer.json is no tokenizer.json that"):
        load_tokenizer(tmp_path)
    path.write_text('{"model": {"type": "BPE"}, "normalizer": [1]}', encoding="utf8")
    with pytest.raises(ValueError, match="tokenizer.json is no tokenizer.json that"):
        load_tokenizer(tmp_path)
    path.write_text('{"model": ', encoding="utf8")
    with pytest.raises(ValueError, match="tokenizer.json is not valid JSON"):
        load_tokenizer(tmp_path)


def library(**changes: int) -> tokenizers.Tokenizer:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    ids = {name: id for id, name in enumerate(names)} | changes
    return tokenizers.Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))


def test_tokenizers_of_other_models() -> None:
    with pytest.raises(ValueError, match=r"puts \[\] round a text and \[\] round a"):
        FastTokenizer(library())
    bare = tokenizers.Tokenizer(models.WordLevel({"[PAD]": 0, "<unk>": 1}, "<unk>"))
    with pytest.raises(
        ValueError, match=r"of 2 .* no mask_token: no \[MASK\] and no <mask>"
    ):
        FastTokenizer(bare)
    with pytest.raises(ValueError, match="of 6 pieces has no id 5, but 'a' has 9"):
        FastTokenizer(library(a=9))


def test_texts_that_are_none() -> None:
    with pytest.raises(ValueError, match="a text is a str, not list"):
        BYTES.encode(["a"])
    with pytest.raises(ValueError, match="holds half of a surrogate pair"):
        BYTES.encode("a\ud800")


def test_without_the_library(tmp_path: Path, monkeypatch) -> None:
    BYTES.save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(FileNotFoundError, match="run: pip install tokenizers"):
        load_tokenizer(tmp_path)


# Used --------------------------------------------------------------------------------


def test_features_of_texts() -> None:
    rows = [Text("a cat", "no", "the dog"), Text("it is", "yes")]
    reading = FeatureSettings(BYTES, 12)
    found = TASKS["classification"].features_of(rows, reading, ["no", "yes"])
    assert [feature.targets for feature in found] == [[0], [1]]
    assert found[0].first + found[0].second == BYTES.encode("a cat", "the dog", 12)
    assert found[0].first.count(BYTES.sep_id) == 3
    (number,) = TASKS["regression"].features_of([Text("a", 2.5, "b")], reading)
    assert number.targets == [2.5] and number.size == 6


def test_features_of_words(both) -> None:
    """A word in a sentence has its space before it."""
    ours, _ = both
    words = ["It", "is", "unbelievable", "–", "café", "!"]
    tags = ["O", "O", "B", "O", "B", "O"]
    rows = [Words(words, tags)]
    (found,) = TASKS["tagging"].features_of(rows, FeatureSettings(ours, 64), ["O", "B"])
    assert found.first == ours.encode(" ".join(words))
    assert found.targets == [0, 0, 1, 0, 1, 0]
    pieces = ours.encode_pieces(" ".join(words))
    begins = [len(" ".join(words[:n])) + (n > 0) for n in range(len(words))]
    assert [pieces[place].start for place in found.asked] == begins
    parts = TASKS["tagging"].features_of(rows, FeatureSettings(ours, 12), ["O", "B"])
    inside = [id for part in parts for id in part.first[1:-1]]
    assert len(parts) > 1 and inside == found.first[1:-1]
    (odd,) = TASKS["tagging"].features_of(
        [Words(["a", ""], None)], FeatureSettings(ours, 9), ["O"]
    )
    assert odd.first[odd.asked[1]] == ours.unk_id


def test_features_of_answers(both) -> None:
    ours, theirs = both
    context = TEXTS[0][:300]
    start = context.index(" ", 120) + 1
    answer = context[start : start + 14]
    rows = [Question("what is it?", context, [Answer(answer, start)], "q")]
    (found,) = TASKS["answers"].features_of(rows, FeatureSettings(ours, 400))
    ids = found.first + found.second
    assert ids == ours.encode("what is it?", context)
    assert ids == theirs("what is it?", context)["input_ids"]
    first, last = (place - len(found.first) for place in found.targets)
    told = context[found.places[first][0] : found.places[last][1]]
    assert answer.strip() in told and len(told) <= len(answer) + 12
    several = TASKS["answers"].features_of(rows, FeatureSettings(ours, 40))
    assert len(several) > 2 and any(feature.targets != [0, 0] for feature in several)
    assert all(feature.size <= 40 for feature in several)


def test_features_of_writing() -> None:
    rows = [Source("a cat", "the dog")]
    (found,) = TASKS["writing"].features_of(rows, FeatureSettings(BYTES, 20))
    assert found.targets == BYTES.encode("the dog")


def test_a_store_and_its_masks(tmp_path: Path) -> None:
    """Sentences go on with a space, so that the document comes back."""
    texts = [["It is a cat.", "The dog is his."], ["Who is it?"]]
    store = Store.of(texts, BYTES)
    ends = store.sentences[store.documents].tolist()
    assert BYTES.decode(store.ids[: ends[1]]) == "It is a cat. The dog is his."
    prepared = prepare(TEXTS[:8], BYTES, tmp_path / "store", workers=2)
    assert prepared.manifest["pieces"] == 700
    check_tokenizer(prepared.manifest, BYTES, tmp_path)
    with pytest.raises(ValueError, match="was made with another vocabulary"):
        check_tokenizer(prepared.manifest, train_byte_bpe(TEXTS, 600), tmp_path)
    masker = Masker(BYTES, rate=0.5, whole_words=True)
    continues = [BYTES.vocabulary[id] for id in masker.continues.nonzero()[0]]
    assert "Ġthe" not in continues and "s" in continues


def test_continuations_by_the_mark_of_the_vocabulary(both) -> None:
    ours, _ = both
    masker = Masker(ours, whole_words=True)
    ids = ours.encode("It is unbelievable, is it?")
    begins = [not masker.continues[id] for id in ids[1:-1]]
    starts = [ours.vocabulary[id][0] in "Ġ▁" for id in ids[1:-1]]
    assert begins == starts and sum(starts) >= 4


def test_merges_are_not_left_out_at_random() -> None:
    """A file may ask for that, which is for training: ids would change at each call."""
    right = train_byte_bpe(["hug hugs hugging the hugger"] * 3, 270)
    content = json.loads(right.definition)
    content["model"]["dropout"] = 0.5
    ours = FastTokenizer(tokenizers.Tokenizer.from_str(json.dumps(content)))
    for _ in range(10):
        assert ours.encode("hug hugs hugging") == right.encode("hug hugs hugging")
