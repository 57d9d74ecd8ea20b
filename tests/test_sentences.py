"""Sentences to vectors: the library's vectors, in any order, a window at a time."""

import json
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from pathlib import Path

import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Normalize,
    Pooling,
    Transformer,
)

import bertcore
from bertcore import Bert, SentenceEncoder, Tokenizer, sentences
from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.model.variants.families import FAMILIES
from bertcore.sentences import WINDOW, batches_by_length
from bertcore.text.corpora import introductions
from bertcore.text.vocabulary import SPECIAL
from tests.conftest import fill_with_large_weights, tiny_config

MODULES = "sentence_transformers.models"
LETTERS = "abcdefghijklmnopqrstuvwx"
PIECES = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
quickly = settings(max_examples=40, deadline=None, derandomize=True)


def tiny_bert() -> Bert:
    bert = Bert(tiny_config(), pooler=False)
    fill_with_large_weights(bert)
    return bert


@pytest.fixture
def tiny() -> SentenceEncoder:
    return SentenceEncoder(Tokenizer(PIECES), tiny_bert())


@pytest.fixture(scope="module")
def real(encoder_folder: Path) -> SentenceEncoder:
    return SentenceEncoder.from_pretrained()


@pytest.fixture(scope="module")
def library(encoder_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(encoder_folder), device="cpu")


def largest_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max())


def test_the_librarys_vectors(real, library) -> None:
    """Long texts, no text, other scripts, one text twice."""
    long = " ".join(document.text for document in introductions().documents[:12])
    texts = [
        "The dog bit the man.",
        "",
        long,
        "Ünïcödé, ﬁne: 漢字 и кириллица 🙂",
        "The dog bit the man.",
        "   \n\t ",
        long[: len(long) // 2],
        *(document.text[:90] for document in introductions().documents[:40]),
        "a",
    ]
    assert len(real.tokenizer.encode(long)) > 2 * real.max_length
    found = real.encode(texts)
    expected = library.encode(texts, convert_to_tensor=True)
    assert largest_difference(found, expected) < 1e-5
    assert found.dtype == torch.float32 and found.shape == (len(texts), 384)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(texts)), atol=1e-5)


def test_one_sentence(real, library) -> None:
    found = bertcore.encode(["Only one."], real)
    expected = library.encode(["Only one."], convert_to_tensor=True)
    assert largest_difference(found, expected) < 1e-5


def test_the_checkpoint_says_how(real) -> None:
    assert (real.pool, real.normalise, real.max_length) == (mean_pool, True, 256)
    longer = SentenceEncoder.from_pretrained(max_length=300)
    assert longer.max_length == 300


@pytest.mark.parametrize(
    ("kind", "pool"), [("cls", cls_pool), ("max", max_pool), ("mean", mean_pool)]
)
@pytest.mark.parametrize("normalise", [True, False])
def test_what_the_library_writes(tiny, tmp_path, kind, pool, normalise) -> None:
    """A folder that sentence-transformers saved gives the vectors that it gave."""
    body, folder = tmp_path / "body", tmp_path / "saved"
    tiny.tokenizer.save_pretrained(body)
    tiny.bert.save_pretrained(body)
    transformer = Transformer(
        str(body), model_kwargs={"add_pooling_layer": False}, max_seq_length=9
    )
    modules = [transformer, Pooling(24, kind), *[Normalize()] * normalise]
    theirs = SentenceTransformer(modules=modules, device="cpu")
    theirs.save(str(folder))
    ours = SentenceEncoder.from_pretrained(folder)
    assert (ours.pool, ours.normalise, ours.max_length) == (pool, normalise, 9)
    texts = ["a b c", "hug", "", "a " * 30, "x", "hug"]
    expected = theirs.encode(texts, convert_to_tensor=True)
    assert largest_difference(bertcore.encode(texts, folder), expected) < 1e-5


def test_a_folder_without_the_librarys_files(tiny, tmp_path) -> None:
    """The mean, normalised; and no word about the pooler that it lacks."""
    tiny.tokenizer.save_pretrained(tmp_path)
    tiny.bert.save_pretrained(tmp_path)
    found = SentenceEncoder.from_pretrained(tmp_path)
    assert (found.pool, found.normalise, found.max_length) == (mean_pool, True, 16)
    assert torch.equal(found.encode(["a b", "c"]), tiny.encode(["a b", "c"]))


text = st.text(alphabet="abcx ?", max_size=30)
TINY = SentenceEncoder(Tokenizer(PIECES), tiny_bert())


@quickly
@given(st.data())
def test_neighbours_and_order_do_not_matter(data) -> None:
    """Each text gets the vector that it has alone, whatever stands beside it."""
    texts = data.draw(st.lists(text, min_size=1, max_size=12))
    places = data.draw(st.permutations(range(len(texts))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "WINDOW", data.draw(st.integers(1, 14)))
        patch.setattr(sentences, "BATCH", {"cpu": data.draw(st.integers(1, 99))})
        found = TINY.encode([texts[place] for place in places])
    alone = torch.cat([TINY.encode([texts[place]]) for place in places])
    assert largest_difference(found, alone) < 1e-5


@quickly
@given(
    st.lists(st.integers(1, 40), max_size=90) | st.lists(st.integers(1, 600)),
    st.sampled_from([300, 2000]),
)
def test_each_text_is_in_one_batch(lengths: list[int], room: int) -> None:
    batches = batches_by_length(lengths, room)
    assert sorted(chain(*batches)) == list(range(len(lengths)))
    ordered = [lengths[index] for index in chain(*batches)]
    assert ordered == sorted(ordered, reverse=True)
    for batch in batches:
        assert sum(lengths[index] for index in batch) <= room or len(batch) == 1
    for batch, after in pairwise(batches):  # as full as they can be
        assert sum(lengths[index] for index in [*batch, after[0]]) > room


def counted(number: int, read: list[int]) -> Iterator[str]:
    for index in range(number):
        read.append(index)
        yield LETTERS[index % 24]


def test_a_million_sentences_are_read_a_window_at_a_time(tiny) -> None:
    read: list[int] = []
    blocks = tiny.stream(counted(1_000_000, read))
    assert not read
    (block,) = islice(blocks, 1)
    assert block.shape == (WINDOW, 24) and len(read) == WINDOW


def test_blocks_are_the_whole(tiny, monkeypatch) -> None:
    monkeypatch.setattr(sentences, "WINDOW", 10)
    read: list[int] = []
    blocks = []
    for block in tiny.stream(counted(35, read)):
        blocks.append(block)
        assert len(read) == min(10 * len(blocks), 35)
    assert [len(block) for block in blocks] == [10, 10, 10, 5]
    assert torch.equal(torch.cat(blocks), tiny.encode(counted(35, [])))


def modes(bert: Bert) -> list[bool]:
    return [part.training for part in bert.modules()]


def test_modes_are_as_they_were(tiny, monkeypatch) -> None:
    """Between blocks too: nothing of ours lasts while the caller's program runs."""
    monkeypatch.setattr(sentences, "WINDOW", 2)
    tiny.bert.train()
    tiny.bert.encoder.layers[0].eval()
    before = modes(tiny.bert)
    assert torch.equal(tiny.encode(["a b"]), tiny.encode(["a b"]))  # no dropout
    assert modes(tiny.bert) == before
    blocks = tiny.stream(["a"] * 9)
    next(blocks)
    assert modes(tiny.bert) == before
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()

    def fails(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert modes(tiny.bert) == [False] * len(before)
        raise RuntimeError("no pool today")

    tiny.pool = fails
    with pytest.raises(RuntimeError, match="no pool today"):
        next(blocks)
    assert modes(tiny.bert) == before


def test_vectors_are_ordinary_tensors(tiny) -> None:
    """A classifier can be trained on them, and they can be changed."""
    vectors = tiny.encode(["a b", "c"])
    assert not vectors.is_inference() and not vectors.requires_grad
    layer = torch.nn.Linear(24, 2)
    layer(vectors).sum().backward()
    assert layer.weight.grad is not None
    vectors += 1


def test_half_precision(tiny) -> None:
    texts = ["a b c", "hug", ""]
    expected = tiny.encode(texts)
    tiny.bert.bfloat16()
    found = tiny.encode(texts)
    assert found.dtype == torch.float32
    assert largest_difference(found, expected) < 0.1


def test_a_pool_of_ones_own(tiny) -> None:
    """Any function, of any width."""
    tiny.pool = lambda states, mask: torch.cat([states[:, 0], states[:, 1]], dim=1)
    assert tiny.encode(["a", "b c"]).shape == (2, 48)


@pytest.mark.parametrize("none", [[], (), iter([])])
def test_no_sentences(tiny, none) -> None:
    assert tiny.encode(none).shape == (0, 24)
    assert list(tiny.stream(none)) == []


@pytest.mark.parametrize(("given", "name"), [("a", "str"), (b"a", "bytes"), (7, "int")])
def test_not_a_list(tiny, given, name) -> None:
    with pytest.raises(ValueError, match=f"sentences is a {name}; give a list"):
        tiny.encode(given)
    with pytest.raises(ValueError, match=f"sentences is a {name}; give a list"):
        tiny.stream(given)  # at the call, not at the first block


def test_not_a_text(tiny, monkeypatch) -> None:
    monkeypatch.setattr(sentences, "WINDOW", 2)
    with pytest.raises(ValueError, match="sentence 3 is a NoneType, not a str"):
        tiny.encode(["a", "b", "c", None])


@pytest.mark.parametrize("length", [2, 17])
def test_a_length_that_the_model_does_not_have(length: int) -> None:
    with pytest.raises(ValueError, match=rf"max_length={length}.*give 3 to 16"):
        SentenceEncoder(Tokenizer(PIECES), tiny_bert(), max_length=length)


def test_progress(tiny, capsys) -> None:
    tiny.encode(["a", "b", "c d"], progress=True)
    assert "3/3" in capsys.readouterr().err
    tiny.encode(iter(["a", "b"]), progress=True)
    assert "2 sentences" in capsys.readouterr().err
    tiny.encode(["a"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("given", [{"a": 1}, {"a", "b"}, frozenset("ab")])
def test_what_has_no_order_is_refused(tiny, given) -> None:
    with pytest.raises(ValueError, match="sentences is a .*; give a list of texts"):
        tiny.encode(given)


@pytest.mark.parametrize("model", [None, 5, tiny_bert()])
def test_a_model_that_is_none(model) -> None:
    with pytest.raises(ValueError, match="model is a .*; give a name, a folder or a"):
        sentences.encode(["a"], model)


def test_no_batch_is_larger_than_what_suits_the_processor(tiny) -> None:
    sizes: list[int] = []
    hook = tiny.bert.embeddings.register_forward_pre_hook(
        lambda _, inputs: sizes.append(inputs[0].numel())
    )
    tiny.encode(["a b c"] * 1000)
    hook.remove()
    assert sum(sizes) == 5000 and max(sizes) <= sentences.BATCH["cpu"]


def test_half_precision_is_pooled_in_single(tiny) -> None:
    tiny.bert.bfloat16()
    tiny.pool = lambda states, mask: mean_pool(states.float(), mask)
    expected = tiny.encode(["a b c d e", "hug"])
    tiny.pool = mean_pool
    assert torch.equal(tiny.encode(["a b c d e", "hug"]), expected)


def test_a_folder_that_asks_for_more_places_than_there_are(tiny, tmp_path) -> None:
    tiny.tokenizer.save_pretrained(tmp_path)
    tiny.bert.save_pretrained(tmp_path)
    steps = ["Transformer", "Pooling"]
    places = zip(steps, ("", "Pooling"), strict=True)
    listed = [{"type": f"x.{step}", "path": place} for step, place in places]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    (tmp_path / "Pooling").mkdir()
    (tmp_path / "Pooling" / "config.json").write_text("{}")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 999}')
    found = SentenceEncoder.from_pretrained(tmp_path)
    assert found.max_length == 16 and found.bert.pooler is None


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "0_Transformer",
            "the transformer in a folder of its own, 0_Transformer; save",
        ),
        (
            "",
            "lower-cases texts before its tokenizer, which keeps capitals; lower-case",
        ),
    ],
)
def test_layouts_that_are_refused(tmp_path, place: str, message: str) -> None:
    """The transformer in a folder of its own, and a cased one told to lower-case."""
    body = tmp_path / place
    Tokenizer([*PIECES[:-1], "\u00e9"], lowercase=False).save_pretrained(body)
    tiny_bert().save_pretrained(body)
    (body / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    places = {"Transformer": place, "Pooling": "1_Pooling"}
    steps = [{"path": at, "type": f"{MODULES}.{step}"} for step, at in places.items()]
    (tmp_path / "modules.json").write_text(json.dumps(steps))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=message):
        SentenceEncoder.from_pretrained(tmp_path)


def test_tables_and_more_pieces_than_rows(tiny, tmp_path) -> None:
    with pytest.raises(ValueError, match="sentences is a DataFrame; give a list"):
        tiny.encode(pandas.DataFrame({"text": ["a"]}))
    found = tiny.encode(pandas.Series(["a b", "c"], index=[5, 7]))
    assert torch.equal(found, tiny.encode(["a b", "c"]))
    Tokenizer([*PIECES, "lamp"]).save_pretrained(tmp_path)
    tiny.bert.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has 54 pieces, but the weights beside it"):
        SentenceEncoder.from_pretrained(tmp_path)


def test_it_says_what_it_does(tiny) -> None:
    assert repr(tiny) == "SentenceEncoder(mean_pool, normalised, up to 16 tokens)"


def test_a_family_with_attention_of_its_own_is_padded(tiny) -> None:
    family = FAMILIES["modernbert"]
    sizes = dict(hidden_size=24, layers=2, heads=3, feedforward_size=40)
    config = family.config(vocab_size=len(PIECES), max_positions=16, **sizes)
    tiny.bert = family.body(config).eval()
    texts = ["a b c", "hug", "", "x y", "a b c d e f g"]
    alone = torch.cat([tiny.encode([text]) for text in texts])
    assert largest_difference(tiny.encode(texts), alone) < 1e-5
