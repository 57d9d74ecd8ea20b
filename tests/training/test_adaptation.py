"""Going on from a model: new rows, what transformers makes of them, kept moments."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.model.variants.distilbert import DistilBertForMaskedLM
from bertcore.model.variants.families import config_like
from bertcore.text.batch import IGNORE_INDEX
from bertcore.text.pairs import pair_examples
from bertcore.text.store import Store
from bertcore.training.adaptation import grown, scores, table
from bertcore.training.evaluate import HeldOut, in_turn
from bertcore.training.pretraining import make_examples
from bertcore.training.recipe import SessionSettings
from tests.conftest import fill_with_large_weights
from tests.training import small
from tests.training.small import after, digest, recipe, run

MLM = recipe(pairs=False)
NEW = [[7, 9], [5, 8, 11]]  # the old pieces of two new ones


def model(rows: int = 0, kind: type[nn.Module] = BertForMaskedLM) -> nn.Module:
    """Large random weights; a table of so many rows, or of as many as pieces."""
    sizes = small.config(vocab_size=rows or len(small.tokenizer()))
    if kind is not BertForMaskedLM:
        sizes = config_like("distilbert", sizes)
    made = kind(sizes).eval()
    fill_with_large_weights(made)
    return made


@pytest.mark.parametrize("kind", [BertForMaskedLM, DistilBertForMaskedLM])
@pytest.mark.parametrize("rows", [0, 251, 256])
def test_new_rows_are_means_and_old_ones_stay(kind, rows: int) -> None:
    """Also where the table is padded: its rows behind the vocabulary are written."""
    old, first = model(rows, kind), len(small.tokenizer())
    new = grown(old, NEW, first)
    assert new.config.vocab_size == max(rows or first, first + 2)
    before, now = old.state_dict(), new.state_dict()
    for name in before:
        kept = (
            before[name][:first] if "token" in name or "bias" in name else before[name]
        )
        assert torch.equal(now[name][: len(kept)], kept), name
    for part in ("bert.embeddings.token.weight", "mlm_head.bias"):
        for place, ids in enumerate(NEW):
            wanted = torch.stack([before[part][id] for id in ids]).mean(0)
            assert torch.equal(now[part][first + place], wanted)
        assert torch.equal(now[part][first + 2 :], before[part][first + 2 :])


def test_a_new_piece_scores_the_mean_of_its_pieces() -> None:
    """Which ties table and bias: at every place, and the old scores are the same."""
    old, batch = model(), small.tokenizer()(["Anna sees the dog.", "It barks."])
    new = grown(old, NEW, old.config.vocab_size)
    with torch.no_grad():
        before, now = old(**batch), new(**batch)
    torch.testing.assert_close(now[..., :-2], before, atol=1e-5, rtol=1e-5)
    for place, ids in enumerate(NEW):
        mean = before[..., ids].mean(-1)
        torch.testing.assert_close(now[..., place - 2], mean, atol=1e-5, rtol=1e-5)
        assert (now[..., place - 2] <= before[..., ids].max(-1).values + 1e-5).all()


def test_transformers_opens_it(tmp_path: Path) -> None:
    """Equal ids and equal scores, of texts with the new pieces."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    old = small.tokenizer()
    pieces = [*old.vocabulary, "barkish", "zoo"]
    tokenizer = Tokenizer(pieces)
    ids = [old.encode(word)[1:-1] for word in pieces[-2:]]
    new = grown(model(), ids, len(old))
    tokenizer.save_pretrained(tmp_path)
    new.save_pretrained(tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    cut = AutoTokenizer.from_pretrained(tmp_path)
    texts = [f"The barkish dog{n} sees a zoo." for n in range(4)]
    batch = tokenizer(texts)
    assert batch["input_ids"].tolist() == cut(texts)["input_ids"]
    assert {len(old), len(old) + 1} <= set(batch["input_ids"].flatten().tolist())
    with torch.no_grad():
        wanted = theirs(**batch).logits
        torch.testing.assert_close(new(**batch), wanted, atol=1e-5, rtol=1e-5)
    assert theirs.get_output_embeddings().weight is theirs.get_input_embeddings().weight


# Scores ------------------------------------------------------------------------------


def test_pieces_of_a_word_are_asked_for_in_turn() -> None:
    """Two rows by hand: a word of three pieces, one of one, and one of two."""
    hide, no = 4, IGNORE_INDEX
    continues = torch.tensor([False] * 7 + [True] * 3)
    batch = {
        "input_ids": torch.tensor([[2, hide, hide, hide, hide], [2, 7, hide, hide, 8]]),
        "labels": torch.tensor([[no, 5, 7, 8, 6], [no, no, 6, 9, no]]),
        "attention_mask": torch.tensor([[1] * 5, [2] * 5]),
    }
    first, second, third = in_turn(batch, continues)
    assert torch.equal(first["input_ids"], batch["input_ids"])
    assert first["labels"].tolist() == [[no, 5, no, no, 6], [no, no, 6, no, no]]
    seen = [[2, 5, hide, hide, 6], [2, 7, 6, hide, 8]]
    assert second["input_ids"].tolist() == seen
    assert second["labels"].tolist() == [[no, no, 7, no, no], [no, no, no, 9, no]]
    assert third["input_ids"].tolist() == [[2, 5, 7, hide, 6]]
    assert third["labels"].tolist() == [[no, no, no, 8, no]]
    assert third["attention_mask"].tolist() == [[1] * 5]  # of the row that is left
    # The rest of a word that was cut off begins a row, and another row ends in [MASK].
    batch["labels"] = torch.tensor([[7, no, no, no, 5], [7, no, no, no, no]])
    (only,) = in_turn(batch, continues)
    assert torch.equal(only["labels"], batch["labels"])


def test_whole_words_are_hidden() -> None:
    """What is asked for is [MASK], and so is the rest of its word; never what was."""
    tokenizer, store = small.tokenizer(), small.store(9, 30)
    examples = make_examples(store, MLM)
    found = HeldOut(store, examples, tokenizer, whole_words=True)
    continues = [piece.startswith("##") for piece in tokenizer.vocabulary]
    inside = 0
    for batch in found.batches:
        places = batch.arguments["masked_positions"].tolist()
        labels = batch.arguments["labels"].tolist()
        ids = batch.arguments["input_ids"].flatten().tolist()
        for place, label in zip(places, labels, strict=True):
            assert ids[place] == tokenizer.mask_id
            assert not continues[ids[place + 1]]
            if continues[label]:
                assert ids[place - 1] != tokenizer.mask_id
                inside += 1
    assert inside > 10
    pairs = pair_examples(store, 32)
    with pytest.raises(ValueError, match="there are pairs; give windows"):
        HeldOut(store, pairs, tokenizer, whole_words=True)


def test_scores_of_two_vocabularies_are_per_character(tmp_path: Path) -> None:
    """A model that knows nothing: bits follow the loss and the tokens by hand."""
    tokenizer, texts = small.tokenizer(), small.store(9, 30)
    new = model()
    for parameter in new.parameters():
        nn.init.zeros_(parameter)
    found = scores(new, tokenizer, {"new texts": texts, "old texts": None}, 32)
    assert list(found) == ["new texts"]
    counts = texts.manifest["counts"]
    characters = counts["characters"] + counts["sentences"] - counts["documents"]
    bits = torch.tensor(len(tokenizer)).log2() * counts["tokens"] / characters
    assert found["new texts"]["bits_per_character"] == pytest.approx(bits.item(), 1e-5)


def test_the_table() -> None:
    each = {
        "before": {"bits_per_character": 1.25},
        "after": {"bits_per_character": 1.0},
    }
    lines = table({"new texts": each})
    assert lines[0].split()[-2:] == ["before", "after"]
    assert lines[1].split()[-3:] == ["1.250", "1.000", "-20.0%"]
    assert "give --old-texts" in lines[2]
    assert len(table({"new texts": each, "old texts": each})) == 3
    assert table({}) == []


# Models at moments -------------------------------------------------------------------


def held_out() -> HeldOut:
    store = small.store(9, 30)
    return HeldOut(store, make_examples(store, MLM), small.tokenizer())


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "kept").iterdir())


def test_a_model_is_kept_at_each_moment(tmp_path: Path) -> None:
    """It is that of the moment, with its own card; no bit of the run is another."""
    plain = run(MLM, tmp_path / "plain", evaluations=1, held_out=held_out()).run()
    here = run(
        MLM, tmp_path / "run", evaluations=1, held_out=held_out(), keep_at=(2, 5, 6)
    )
    digests = {}
    for record in here.records():
        digests[record.step] = digest(here.model)
    assert digest(here.model) == digest(plain.model)
    assert kept(tmp_path / "run") == ["2-updates", "5-updates", "6-updates"]
    for step in (2, 5, 6):
        folder = tmp_path / "run" / "kept" / f"{step}-updates"
        assert digest(BertForMaskedLM.from_pretrained(folder)) == digests[step]
        card = json.loads((folder / "card.json").read_text())
        assert card["results"]["steps"] == step
        asked = held_out().ask(BertForMaskedLM.from_pretrained(folder))
        found = card["results"]["held_out"]
        assert found["masked_lm"] == pytest.approx(asked.masked_lm, 1e-6)
    assert [each.step for each in here.evaluations] == [0, 2, 5, 6]


def test_a_run_that_goes_on_keeps_the_same(tmp_path: Path) -> None:
    """Stopped after 3 of 6 updates; and once more from an older checkpoint."""
    sizes = {"dropout": 0.1, "attention_dropout": 0.1}
    whole = run(MLM, tmp_path / "whole", sizes, keep_at=(2, 5)).run()
    out = tmp_path / "run"
    after(run(MLM, out, sizes, keep_at=(2, 5)), 3)
    assert kept(out) == ["2-updates"]
    assert digest(run(MLM, out, sizes, keep_at=(2, 5)).run().model) == digest(
        whole.model
    )
    shutil.rmtree(out / "checkpoints" / "step-00000006")  # back to 5: kept already
    shutil.rmtree(out / "kept" / "2-updates")
    run(MLM, out, sizes, keep_at=(2, 5)).run()
    assert kept(out) == ["5-updates"]
    for folder in (tmp_path / "whole", out):
        five = BertForMaskedLM.from_pretrained(folder / "kept" / "5-updates")
        assert digest(five) == digest(
            BertForMaskedLM.from_pretrained(tmp_path / "whole" / "kept" / "5-updates")
        )


def test_moments_in_seconds(tmp_path: Path) -> None:
    timed = MLM.replace(seconds=0.2)
    run(timed, tmp_path, keep_at=(0.01, 0.2)).run()
    assert kept(tmp_path) == ["0.01-seconds", "0.2-seconds"]
    card = json.loads((tmp_path / "kept" / "0.01-seconds" / "card.json").read_text())
    assert card["results"]["training_seconds"] >= 0.0 and card["results"]["steps"] > 0
    message = "kept at 7, and the run ends at 6; give keep_at=6 at most"
    with pytest.raises(ValueError, match=message):
        run(MLM, keep_at=(7,))


def test_moments_as_they_are_typed() -> None:
    assert SessionSettings(keep_at="60, 10,30.5").moments == (10.0, 30.5, 60.0)
    assert SessionSettings().moments == ()
    for wrong in ("", "10,", "0", "-1", "nan", "inf", "soon", "10;20"):
        with pytest.raises(ValueError, match="keep_at=.* is no list of moments; give"):
            SessionSettings(keep_at=wrong)


def test_a_store_may_be_small(tmp_path: Path) -> None:
    """One text is enough to be asked about."""
    one = Store.of(["Anna sees the dog. It barks."], small.tokenizer())
    assert scores(model(), small.tokenizer(), {"new texts": one}, 32)
