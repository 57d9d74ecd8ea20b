"""Scores of texts: those of a plain loop over transformers, in every family."""

from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
import torch
import transformers

from bertcore import Bert, BertForMaskedLM, Tokenizer
from bertcore.model.variants.electra import (
    ElectraConfig,
    ElectraForPreTraining,
    ElectraPair,
)
from bertcore.model.variants.families import FAMILIES
from bertcore.model.weights import Pretrained
from bertcore.text.corpora import introductions
from bertcore.text.fast_tokenizer import AnyTokenizer, FastTokenizer, train_byte_bpe
from bertcore.text.vocabulary import SPECIAL
from bertcore.training import scoring
from bertcore.training.scoring import MASKINGS, score_texts
from tests.conftest import fill_with_large_weights, tiny_config
from tests.model.test_variants import config_of, theirs_of

PIECES = "the head ##land ##s is are green ##er , . un ##believ ##able dog".split()
TEXTS = [
    "The headland is green.",
    "The headlands are greener, unbelievable!",
    "dog",
    "The headland is greener.",
    "the unbelievable headlands, the dog, dog",
]
BYTES = ("roberta", "modernbert")  # whose tokenizers have no WordPiece


def tokenizer_of(name: str) -> AnyTokenizer:
    if name in BYTES:
        return train_byte_bpe(TEXTS * 3, 290)
    return Tokenizer([*SPECIAL, *PIECES])


def plain_loop(
    theirs: torch.nn.Module, tokenizer: AnyTokenizer, text: str, masking: str
) -> list[float]:
    """What the papers say, one forward pass for each piece."""
    ids, words = tokenizer.encode(text), tokenizer.words(text)
    found = []
    for i, word in enumerate(words):
        hidden = {
            "original": [i],
            "within_word_l2r": [j for j in range(i, len(ids) - 2) if words[j] == word],
            "whole_word": [j for j, other in enumerate(words) if other == word],
        }[masking]
        masked = torch.tensor([ids])
        masked[0, [j + 1 for j in hidden]] = tokenizer.mask_id
        with torch.no_grad():
            logits = theirs(masked).logits[0, i + 1]
        found.append(logits.log_softmax(-1)[ids[i + 1]].item())
    return found


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("name", FAMILIES)
def test_scores_are_those_of_a_loop_over_transformers(
    name: str, masking: str, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(name)
    sizes = {"vocab_size": len(tokenizer), "max_positions": 64}
    if name == "bert":
        ours: Pretrained = BertForMaskedLM(tiny_config(**sizes))
    else:
        ours = FAMILIES[name].masked_lm(config_of(name, **sizes))
    theirs = theirs_of(ours)
    theirs.save_pretrained(tmp_path)
    ours = type(ours).from_pretrained(tmp_path)
    several = 0
    for score, text in zip(
        score_texts(TEXTS, ours, tokenizer, masking), TEXTS, strict=True
    ):
        expected = plain_loop(theirs, tokenizer, text, masking)
        # ModernBERT: 2e-5, as where its logits are compared
        within = pytest.approx(expected, abs=2e-5 if name == "modernbert" else 1e-5)
        assert [piece.log_probability for piece in score.pieces] == within
        assert score.total == pytest.approx(sum(expected), abs=1e-4)
        assert score.text == text
        several += any(len(pieces) > 1 for _, pieces in score.words)
    assert several  # or the maskings would be the same


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer([*SPECIAL, *PIECES])


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> BertForMaskedLM:
    model = BertForMaskedLM(tiny_config(vocab_size=len(tokenizer)))
    fill_with_large_weights(model)
    return model.eval()


def test_each_word_has_its_pieces(model, tokenizer) -> None:
    """As it stands in the text, with the sum of its pieces, as JSON has it, too."""
    text = "Unbelievable: the  Headlands."
    (score,) = score_texts([text], model, tokenizer)
    words = [(word, [piece.piece for piece in pieces]) for word, pieces in score.words]
    assert words == [
        ("Unbelievable", ["un", "##believ", "##able"]),
        (":", ["[UNK]"]),
        ("the", ["the"]),
        ("Headlands", ["head", "##land", "##s"]),
        (".", ["."]),
    ]
    values = [piece.log_probability for piece in score.pieces]
    found = score.as_object()
    assert found["text"] == text
    assert found["total"] == pytest.approx(sum(values)) == pytest.approx(score.total)
    assert found["words"][3] == {
        "word": "Headlands",
        "log_probability": pytest.approx(sum(values[5:8])),
    }
    assert [text[p["start"] : p["end"]] for p in found["pieces"][:2]] == [
        "Un",
        "believ",
    ]


def test_masking_the_rest_of_a_word_changes_its_pieces_but_the_last(
    model, tokenizer
) -> None:
    found = {
        masking: [
            piece.log_probability
            for piece in next(
                score_texts(["the headlands"], model, tokenizer, masking)
            ).pieces
        ]
        for masking in MASKINGS
    }
    original, rest, whole = found.values()
    # the, head, ##land, ##s: of a word of one piece, and of a word's end, all is told
    assert original[0] == pytest.approx(rest[0]) == pytest.approx(whole[0])
    assert original[3] == pytest.approx(rest[3]) != pytest.approx(whole[3])
    assert rest[1] == pytest.approx(whole[1]) != pytest.approx(original[1])
    assert len({round(each[2], 3) for each in found.values()}) == 3


def test_words_are_those_of_the_library(
    real_tokenizer: Tokenizer, encoder_folder: Path
) -> None:
    library = transformers.AutoTokenizer.from_pretrained(encoder_folder)
    fast = FastTokenizer.from_pretrained(encoder_folder)
    texts = [document.text[:400] for document in introductions().documents[:300]]
    for text in texts:
        encoding = library(text, add_special_tokens=False)
        assert fast.words(text) == encoding.word_ids()
        if real_tokenizer.tokenize(text) == encoding.tokens():
            assert real_tokenizer.words(text) == encoding.word_ids()
    text, found = "It is, isn't it?", {}
    in_bytes = train_byte_bpe(texts, 400)
    for piece, word in zip(in_bytes.pieces(text), in_bytes.words(text), strict=True):
        found[word] = found.get(word, "") + text[piece.start : piece.end]
    assert [*found.values()] == ["It", "is", ",", "isn", "'t", "it", "?"]


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each batch that is run from now on."""
    rows: list[int] = []
    run: Callable = scoring._logits

    def counted(model, batch, device):
        rows.append(len(batch))
        return run(model, batch, device)

    monkeypatch.setattr(scoring, "_logits", counted)
    return rows


def test_what_texts_have_in_common_is_run_once(
    model, tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = ["the dog is green", "the headland is green", "the dog are green"]
    alone = [next(score_texts([text], model, tokenizer)) for text in pair]
    rows = counting(monkeypatch)
    together = list(score_texts([*pair, pair[0]], model, tokenizer))
    # 4, 5 and 4 pieces; the first and the last have the copy without their verb
    assert sum(rows) == 4 + 5 + 4 - 1 and len(rows) == 2  # two lengths
    for one, other in zip([*alone, alone[0]], together, strict=True):
        assert one.total == pytest.approx(other.total, abs=1e-5)
        assert one.text == other.text


def test_small_batches_and_windows_change_nothing(
    model, tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [score.total for score in score_texts(TEXTS, model, tokenizer)]
    monkeypatch.setattr(scoring, "WINDOW", 1)
    monkeypatch.setattr(scoring, "_LOGITS", 3 * len(tokenizer))
    rows = counting(monkeypatch)
    found = [score.total for score in score_texts(TEXTS, model, tokenizer)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert max(rows) == 3
    endless = chain.from_iterable(repeat(TEXTS))
    assert len(list(islice(score_texts(endless, model, tokenizer), 7))) == 7


def test_the_model_is_left_as_it_was(tokenizer) -> None:
    """Dropout is off while it scores, and on again afterwards."""
    torch.manual_seed(0)
    model = BertForMaskedLM(tiny_config(vocab_size=len(tokenizer), dropout=0.5))
    assert model.training
    first, again = (
        [s.total for s in score_texts(TEXTS, model, tokenizer)] for _ in "ab"
    )
    assert first == again and all(part.training for part in model.modules())


def test_of_an_electra_the_generator_scores(tokenizer) -> None:
    config = ElectraConfig(
        vocab_size=len(tokenizer), hidden_size=24, layers=2, heads=3,
        feedforward_size=40, max_positions=16, embedding_size=14,
    )  # fmt: skip
    pair = ElectraPair(config).eval()
    found = [score.total for score in score_texts(TEXTS[:1], pair, tokenizer)]
    alone = [score.total for score in score_texts(TEXTS[:1], pair.generator, tokenizer)]
    assert found == alone
    with pytest.raises(
        ValueError, match="ElectraForPreTraining has no head for masked"
    ):
        score_texts(TEXTS, ElectraForPreTraining(config), tokenizer)


def texts_then(bad: object) -> Iterator[object]:
    yield from ("the dog", bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("", "text 2 is empty; give a sentence"),
        ("\t ", "text 2 is empty; give a sentence"),
        ("the [MASK] is green", r"text 2 holds \[MASK\]; give whole sentences"),
        (
            "dog " * 15,
            "text 2 has 17 tokens, and the model 16 positions; give a shorter",
        ),
        (None, "text 2 is a NoneType; give a str"),
        (7, "text 2 is a int; give a str"),
    ],
)
def test_texts_that_cannot_be_scored(bad, message: str, model, tokenizer) -> None:
    with pytest.raises(ValueError, match=message):
        list(score_texts(texts_then(bad), model, tokenizer))
    (whole,) = score_texts(["dog " * 14], model, tokenizer)  # just fits
    assert len(whole.pieces) == 14


def test_faults_that_show_at_once(model, tokenizer) -> None:
    with pytest.raises(ValueError, match=r"texts is a str; give a list.*: \[text\]"):
        score_texts("the dog", model, tokenizer)
    with pytest.raises(ValueError, match="masking='all'; give original, within_word"):
        score_texts(["the dog"], model, tokenizer, "all")
    with pytest.raises(ValueError, match="Bert has no head for masked pieces; give a"):
        score_texts(["the dog"], Bert(tiny_config()), tokenizer)
