"""Evaluate: the numbers of held-out texts, computed again the slow way."""

import copy
import math

import numpy as np
import pytest
import tokenizers
import torch
import torch.nn.functional as F
from tokenizers import models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from bertcore import BertForMaskedLM, BertForPreTraining, Tokenizer
from bertcore.text.batch import IGNORE_INDEX
from bertcore.text.dataloader import Batches
from bertcore.text.fast_tokenizer import FastTokenizer, train_byte_bpe
from bertcore.text.masking import Masker
from bertcore.text.pairs import Examples, pair_examples, window_examples
from bertcore.text.store import Store
from bertcore.text.vocabulary import SPECIAL
from bertcore.training.evaluate import RATE, SEED, HeldOut, HeldOutScores, unigram_loss
from tests.conftest import fill_with_large_weights
from tests.training.small import config, store, tokenizer

EXAMPLES = {
    "pairs": pair_examples(store(), 32),
    "windows": window_examples(store(), 32),
}


@pytest.fixture
def model() -> BertForPreTraining:
    model = BertForPreTraining(config(dropout=0.5, attention_dropout=0.5))
    fill_with_large_weights(model)
    return model


def held_out(kind: str, **changes) -> HeldOut:
    values = {"most": 100, "size": 16, **changes}
    return HeldOut(store(), EXAMPLES[kind], tokenizer(), **values)


def slowly(model: BertForPreTraining, kind: str) -> tuple[float, ...]:
    """Padded, every place scored, one text after another."""
    masker = Masker(tokenizer(), RATE)
    steps = Batches(store(), EXAMPLES[kind], tokenizer(), masker, 16, SEED)
    pieces, pairs = [], []
    for number in range(6):  # 100 // 16
        batch = steps[number]
        names = ("input_ids", "token_type_ids", "attention_mask")
        for row in range(16):
            length = int(batch["attention_mask"][row].sum())
            text = (batch[name][row : row + 1, :length] for name in names)
            with torch.no_grad():
                logits, follows = model(*text)
            labels = batch["labels"][row, :length]
            pieces += [
                (F.cross_entropy(one, label).item(), (one.argmax() == label).item())
                for one, label in zip(logits[0], labels, strict=True)
                if label != IGNORE_INDEX
            ]
            if kind == "pairs":
                label = batch["next_sentence_label"][row]
                loss = F.cross_entropy(follows[0], label).item()
                pairs.append((loss, (follows[0].argmax() == label).item()))
    return (*np.mean(pieces, 0), len(pieces), *(np.mean(pairs, 0) if pairs else ()))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_as_computed_slowly(model, kind: str) -> None:
    found = held_out(kind).ask(model)
    loss, accuracy, pieces, *pairs = slowly(model.eval(), kind)
    assert found.masked_lm == pytest.approx(loss, rel=1e-5)
    assert (found.accuracy, found.pieces) == (accuracy, pieces)
    if kind == "windows":
        assert found[4:] == (None, None, 0)
        return
    assert found.next_sentence == pytest.approx(pairs[0], rel=1e-5)
    assert (found.pairs_right, found.pairs) == (pairs[1], 96)
    assert 0 < found.pairs_right < 1


def test_a_model_without_pairs_is_asked_for_pieces_only() -> None:
    found = held_out("pairs").ask(BertForMaskedLM(config()))
    assert found.pieces and found.next_sentence is found.pairs_right is None


def test_bits_per_character_by_hand() -> None:
    """Of a text all characters count, and a space between two sentences."""
    tiny = Tokenizer([*SPECIAL, "lamp", "##s", "light", "!"])
    texts = Store.of([["Lamps light!", "Light lamp!"], ["Light!", "Lamps!"]] * 20, tiny)
    sizes = config(vocab_size=len(tiny))
    here = HeldOut(texts, window_examples(texts, 16), tiny)
    found = here.ask(BertForMaskedLM(sizes))
    characters = len("Lamps light! Light lamp!") + len("Light! Lamps!")
    bits = found.masked_lm * 12 / math.log(2)  # of 7 and 5 pieces
    assert found.bits_per_character == pytest.approx(bits / characters)


LAMPS = [["Café lamps – light!", "Crème, a lamp's light…"], ["東京 lamps!"]] * 20


def bytes_pieces() -> FastTokenizer:
    """Byte-level BPE, as RoBERTa's: Ġ is the space, é is two letters."""
    return train_byte_bpe([text for texts in LAMPS for text in texts], 290)


def sentence_pieces() -> FastTokenizer:
    """SentencePiece's, as ALBERT's: ▁ is the space."""
    letters = sorted(set("".join(text for texts in LAMPS for text in texts)) - {" "})
    pieces = ["▁", "▁lamp", "▁light", *letters]
    scores = [(piece, -1.0 / len(piece)) for piece in pieces]
    library = tokenizers.Tokenizer(models.Unigram([("[UNK]", -9.0), *scores], 0))
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.add_special_tokens(list(SPECIAL))
    ends = [(token, library.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    library.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return FastTokenizer(library)


@pytest.mark.parametrize("made", [bytes_pieces, sentence_pieces, tokenizer])
def test_the_characters_are_those_of_the_texts(made) -> None:
    """Whatever a vocabulary makes of them: with a loss of a nat per piece."""
    pieces = made()
    for documents in (LAMPS, [" ".join(sentences) for sentences in LAMPS]):
        texts = Store.of(documents, pieces)
        here = HeldOut(texts, window_examples(texts, 32), pieces)
        characters = sum(len(" ".join(sentences)) for sentences in LAMPS)
        bits = len(texts.ids) / math.log(2)
        assert here.bits(1.0) == pytest.approx(bits / characters)


def test_the_model_is_left_as_it_was(model) -> None:
    """Each part in its mode, no gradient, no random number drawn."""
    model.train()
    model.bert.embeddings.eval()
    before = {name: part.training for name, part in model.named_modules()}
    weights, numbers = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    one = held_out("pairs").ask(model)
    assert {name: part.training for name, part in model.named_modules()} == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), numbers)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert held_out("pairs").ask(model.eval()) == one, "dropout is off"


def test_masks_are_the_same_each_time(model) -> None:
    here, again = held_out("pairs"), held_out("pairs")
    for one, other in zip(here.batches, again.batches, strict=True):
        assert one.arguments.keys() == other.arguments.keys()
        for name, value in one.arguments.items():
            assert torch.equal(value, other.arguments[name]), name
    assert here.ask(model) == here.ask(model) == again.ask(model)


def test_fifteen_in_a_hundred_are_asked_for() -> None:
    here = held_out("windows", most=10**6)
    asked = len(here.labels()) / sum(work.tokens for work in here.batches)
    assert asked == pytest.approx(0.15, abs=0.01)


def test_no_more_examples_than_wanted() -> None:
    assert sum(len(work.arguments["first"]) for work in held_out("pairs").batches) == 96
    (few_at_once,) = held_out("pairs", most=9).batches
    assert len(few_at_once.arguments["first"]) == 9
    few = Examples(EXAMPLES["pairs"].spans[:5], EXAMPLES["pairs"].labels[:5])
    here = HeldOut(store(), few, tokenizer())
    assert sum(len(work.arguments["first"]) for work in here.batches) == 5
    none = Examples(few.spans[:0], few.labels[:0])
    with pytest.raises(ValueError, match="no examples to ask about; give texts"):
        HeldOut(store(), none, tokenizer())


def test_unigram_is_of_the_same_labels() -> None:
    here = held_out("pairs")
    expected = unigram_loss(store().ids, here.labels(), len(tokenizer()))
    assert here.unigram(store()) == expected
    assert 3 < expected < math.log(len(tokenizer()))


def test_in_words() -> None:
    text = str(HeldOutScores(2.5, 0.25, 1.125, 3000, 0.5, 0.75, 400))
    assert text == (
        "masked pieces: loss 2.500 nats, 1.125 bits per character, 25.0% of 3,000 "
        "right; pairs: loss 0.500, 75.0% of 400 right"
    )
    assert "pairs" not in str(HeldOutScores(2.5, 0.25, 1.125, 3000))
