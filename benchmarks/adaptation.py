"""What does it bring to go on with a field's texts, or with another language?

    python benchmarks/adaptation.py reviews                    print a table
    python benchmarks/adaptation.py french --card FILE.json    and record the run
    python benchmarks/adaptation.py french --seeds 1 --card PART.json
    python benchmarks/adaptation.py french --join PARTS.json … --card FILE.json

The small English model of the course goes on with sentences from film reviews: with and
without new pieces, which start in one of two ways, with old texts mixed in, with old
texts alone (whole words hidden, or single pieces), and at a higher learning rate. Or it
goes on with French introductions, and a model of the same size starts afresh with a
French list, in twice as many updates. Three seeds each, on one core. A word's pieces
are predicted in turn, so that models with different lists can be compared in bits per
character of the hidden words; the same words are hidden for all.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.cards import make_card, revision, write_card
from bertcore.files import read_json
from bertcore.sources import OUR_MODEL
from bertcore.tasks.sets import sentiment
from bertcore.text.characters import split_words
from bertcore.text.corpora import introductions, is_held_out
from bertcore.text.merges import learn_vocabulary
from bertcore.text.store import Store
from bertcore.text.wordpiece import longest_match
from bertcore.training.adaptation import choose_new_pieces, grown

WORDS, BATCH, UPDATES, SEEDS = 48, 16, 12, 3  # a text's words; texts in an update
RATE, HIGH_RATE, FRESH_RATE, LONGER = (
    1e-4,
    3e-4,
    2e-3,
    2,
)  # afresh: its learning rate, its updates
WARMUP = 1 / 3  # of the run: Adam's first updates are rough, and there is much to lose
NEW_PIECES = {"reviews": 500, "french": 2000}
TEST = {"new": 48, "old": 32}  # texts that are held out
GAPS = {
    "reviews": (
        "this is the most exciting [MASK] of the year .",
        "a romantic [MASK] with two great actors .",
        "the jokes are not very [MASK] .",
    ),
    "french": ("paris est la capitale de la [MASK] .", "il est ne [MASK] 1879 ."),
}
Text = list[str]  # its words


def in_texts(documents: Sequence[str]) -> list[Text]:
    """All words, and punctuation marks, in texts of one length whatever the list."""
    words = [word for each in documents for word in split_words(each, lowercase=True)]
    return [words[n : n + WORDS] for n in range(0, len(words) - WORDS + 1, WORDS)]


@cache
def cut(word: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of a word's pieces."""
    return longest_match(word, tokenizer.ids) or [tokenizer.unk_id]


def hide(
    texts: list[Text],
    tokenizer: Tokenizer,
    rng: Random,
    share: float,
    whole_words: bool = True,
) -> tuple[Tensor, Tensor, int]:
    """Which words are hidden: the same ones, whatever the list.

    Args:
        whole_words: or else single pieces, each of which counts as a first one.

    Returns:
        The true ids, `b s`; for each piece of a hidden word its number in the word, and
        -1 elsewhere, `b s`; and how many characters the hidden words have.
    """
    rows, turns, characters = [], [], 0
    for text in texts:
        ids, turn = [tokenizer.cls_id], [-1]
        for word in text:
            pieces = cut(word, tokenizer)
            ids += pieces
            if not whole_words:
                draws = [rng.random() < share and word.isalpha() for _ in pieces]
                turn += [0 if drawn else -1 for drawn in draws]
                continue
            hidden = rng.random() < share and word.isalpha()
            turn += range(len(pieces)) if hidden else [-1] * len(pieces)
            characters += hidden * len(word)
        rows.append(torch.tensor([*ids[:255], tokenizer.sep_id]))
        turns.append(torch.tensor([*turn[:255], -1]))
    padded = nn.utils.rnn.pad_sequence
    ids = padded(rows, batch_first=True, padding_value=tokenizer.pad_id)
    return ids, padded(turns, batch_first=True, padding_value=-1), characters


def loss_at(
    model: BertForMaskedLM, ids: Tensor, hidden: Tensor, at: Tensor, tokenizer
) -> Tensor:
    """The summed loss of some places, where `hidden` ones are [MASK]; `b s` each."""
    shown = ids.masked_fill(hidden, tokenizer.mask_id)
    attention_mask = (ids != tokenizer.pad_id).long()
    states = model.bert(shown, attention_mask=attention_mask)[at]  # t w
    scores = model.mlm_head(states, model.bert.embeddings.token.weight)
    return F.cross_entropy(scores, ids[at], reduction="sum")


@torch.no_grad()
def measure(
    model: BertForMaskedLM, tokenizer: Tokenizer, texts: list[Text], at_once=False
) -> dict[str, float]:
    """Bits per character of hidden words, and nats per piece.

    Args:
        at_once: predict all pieces of a word without seeing any of them.
    """
    model.eval()
    rng, loss, pieces, characters = Random(15), 0.0, 0, 0
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        ids, turn, letters = hide(batch, tokenizer, rng, 0.15)
        characters, pieces = characters + letters, pieces + int((turn >= 0).sum())
        if at_once:
            loss += loss_at(model, ids, turn >= 0, turn >= 0, tokenizer).item()
            continue
        # First pieces first; then the second ones, with the first ones in sight; …
        for now in range(int(turn.max()) + 1):
            some = (turn == now).any(dim=1)
            its, turns = ids[some], turn[some]
            loss += loss_at(model, its, turns >= now, turns == now, tokenizer).item()
    bits = loss / math.log(2) / characters
    return {"bits_per_character": round(bits, 4), "nats": round(loss / pieces, 4)}


def unigram(train: list[Text], texts: list[Text], tokenizer: Tokenizer) -> float:
    """Bits per character of a model that knows how frequent each piece is."""
    counts = Counter(range(len(tokenizer)))
    for text in train:
        counts.update(id for word in text for id in cut(word, tokenizer))
    total, rng, bits, characters = counts.total(), Random(15), 0.0, 0
    for first in range(0, len(texts), BATCH):
        ids, turn, letters = hide(texts[first : first + BATCH], tokenizer, rng, 0.15)
        bits -= sum(math.log2(counts[id] / total) for id in ids[turn >= 0].tolist())
        characters += letters
    return round(bits / characters, 4)


def go_on(
    model: BertForMaskedLM,
    tokenizer: Tokenizer,
    texts: list[Text],
    seed: int,
    rate: float = RATE,
    updates: int = UPDATES,
    old: Sequence[Text] = (),
    whole_words: bool = True,
) -> BertForMaskedLM:
    """Train a copy; `old` texts are half of every batch. The others stay the same."""
    rng, model = Random(seed), deepcopy(model).train()
    texts = rng.sample(texts, updates * BATCH)
    if old:
        half = BATCH // 2
        parts = zip(texts, rng.sample(old, updates * BATCH), strict=True)
        texts = [each[n % BATCH >= half] for n, each in enumerate(parts)]
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}]
    groups += [{"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)
    for step in range(updates):
        batch = texts[step * BATCH : (step + 1) * BATCH]
        ids, turn, _ = hide(batch, tokenizer, rng, 0.3, whole_words)
        at = turn >= 0
        loss = loss_at(model, ids, at, at, tokenizer) / at.sum()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rising, falling = (step + 1) / (WARMUP * updates), 1 - step / updates
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, rising) * falling
        optimiser.step()
    return model.eval()


def at_random(model: BertForMaskedLM, first: int, seed: int) -> BertForMaskedLM:
    """The rows from `first` on drawn as BERT's start is, their biases 0."""
    model, rng = deepcopy(model), torch.Generator().manual_seed(seed)
    rows = model.bert.embeddings.token.weight.data[first:]
    rows.copy_(0.02 * torch.randn(rows.shape, generator=rng))
    model.mlm_head.bias.data[first:] = 0
    return model


@torch.no_grad()
def guesses(model: BertForMaskedLM, tokenizer: Tokenizer, gap: str) -> dict[str, float]:
    """The five likeliest pieces for a gap."""
    batch = tokenizer([gap], parse_special=True)
    place = batch["input_ids"][0].tolist().index(tokenizer.mask_id)
    best = model.eval()(**batch)[0, place].softmax(dim=-1).topk(5)
    pieces = [tokenizer.vocabulary[id] for id in best.indices.tolist()]
    shares = [round(share, 3) for share in best.values.tolist()]
    return dict(zip(pieces, shares, strict=True))


class Study:
    """Texts of one kind, the English model with and without new pieces, and results."""

    def __init__(
        self, name: str, train: list[str], held_out: list[str], old_held_out: list[Text]
    ) -> None:
        self.name, self.train = name, in_texts(train)
        self.tests = {"new": in_texts(held_out)[: TEST["new"]], "old": old_held_out}
        self.list = Tokenizer.from_pretrained(OUR_MODEL)
        self.model = BertForMaskedLM.from_pretrained(OUR_MODEL).eval()
        store = Store.of(train, self.list)
        words = choose_new_pieces(store, self.list, NEW_PIECES[name])
        self.longer = Tokenizer([*self.list.vocabulary, *words])
        self.grown = grown(self.model, list(words.values()), len(self.list))
        self.results = {
            "pieces_per_word": {
                "old list": self.pieces_per_word(self.list),
                "new pieces": self.pieces_per_word(self.longer),
            },
            "unigram": {
                "old list": unigram(self.train, self.tests["new"], self.list),
                "new pieces": unigram(self.train, self.tests["new"], self.longer),
            },
            "filled": {},
        }  # fmt: skip

    def pieces_per_word(self, tokenizer: Tokenizer) -> float:
        """In the texts that are held out; a punctuation mark counts as a word."""
        words = [word for text in self.tests["new"] for word in text]
        return round(sum(len(cut(w, tokenizer)) for w in words) / len(words), 3)

    def note(self, row: str, model, tokenizer, tests=("new", "old"), **how) -> None:
        """Measure a model and put it down under a name, seed after seed."""
        found = self.results.setdefault(row, {})
        for test in tests:
            numbers = measure(model, tokenizer, self.tests[test], **how)
            for key, value in numbers.items():
                found.setdefault(test, {}).setdefault(key, []).append(value)
        if row not in self.results["filled"]:
            its = self.results["filled"][row] = {}
            for gap in GAPS[self.name]:
                its[gap] = guesses(model, tokenizer, gap)
        told = {t: v["bits_per_character"][-1] for t, v in found.items()}
        print(self.name, row, told, flush=True)


def before_training(study: Study) -> None:
    """What the list alone changes: nothing has been learnt."""
    study.note("before", study.model, study.list)
    study.note("new pieces alone", study.grown, study.longer)
    for row, model, its in (
        ("before, at once", study.model, study.list),
        ("new pieces alone, at once", study.grown, study.longer),
    ):
        study.note(row, model, its, ("new",), at_once=True)


def reviews_of_a_seed(study: Study, seed: int, old: list[Text]) -> None:
    """All ways to go on with the reviews, from one seed."""
    drawn = at_random(study.grown, len(study.list), seed)
    for row, model, its, how in (
        ("went on", study.model, study.list, {}),
        ("new pieces, went on", study.grown, study.longer, {}),
        ("old texts mixed in, went on", study.grown, study.longer, {"old": old}),
        ("random rows, went on", drawn, study.longer, {}),
        ("high rate, went on", study.model, study.list, {"rate": HIGH_RATE}),
    ):
        study.note(row, go_on(model, its, study.train, seed, **how), its)
    # Controls, which see no review. english-mini has never had whole words hidden, so
    # it may only have to learn the question; or else what brings it is to go on at all.
    for row, whole_words in (
        ("old texts alone, went on", True),
        ("old texts alone, single pieces, went on", False),
    ):
        only = go_on(study.model, study.list, old, seed, whole_words=whole_words)
        study.note(row, only, study.list)
    study.note("random rows alone", drawn, study.longer)


def french_of_a_seed(study: Study, seed: int, own: Tokenizer) -> None:
    """Going on with French, and starting afresh, from one seed."""
    for row, model, its in (
        ("went on", study.model, study.list),
        ("new pieces, went on", study.grown, study.longer),
    ):
        study.note(row, go_on(model, its, study.train, seed), its)
    torch.manual_seed(seed)
    fresh = BertForMaskedLM(study.model.config.replace(vocab_size=len(own)))
    fresh = go_on(fresh, own, study.train, seed, FRESH_RATE, LONGER * UPDATES)
    study.note("afresh, own list", fresh, own, ("new",))


def card_of(study: Study, source: str) -> dict:
    """What is recorded."""
    return make_card(
        "The small English model goes on with other texts, with and without new "
        "pieces: bits per character of hidden words, seed by seed",
        source, study.results, model=OUR_MODEL, words=WORDS, batch=BATCH,
        updates=UPDATES, seeds=SEEDS, learning_rate=RATE, high_rate=HIGH_RATE,
        warm_up=round(WARMUP, 3), new_pieces=NEW_PIECES[study.name],
        held_out_texts=TEST,
        afresh={"learning_rate": FRESH_RATE, "updates": LONGER * UPDATES},
    )  # fmt: skip


def joined(paths: list[Path]) -> dict:
    """A card of several, each of which holds some of the seeds."""
    card, *others = map(read_json, paths)
    for other in others:
        for row, found in other["results"].items():
            for test in {"new", "old"} & set(found):
                for key, values in found[test].items():
                    card["results"][row][test][key] += values
    return card | {"revision": revision()}


def run(name: str, seeds: list[int], place: Path | None) -> None:
    """One study, of some seeds; what does not depend on them comes with the first."""
    rows, english, french = sentiment(), introductions(), introductions("fr")
    (old, old_held_out), parts = (
        [
            [each.text for each in corpus.documents if is_held_out(each.title) is apart]
            for apart in (False, True)
        ]
        for corpus in (english, french)
    )
    old_held_out = in_texts(old_held_out)[: TEST["old"]]
    if name == "reviews":
        old = in_texts(old)
        parts = [[row.text for row in part] for part in (rows.train, rows.valid)]
    study = Study(name, *parts, old_held_out)
    if seeds[0] == 0:
        before_training(study)
    if name == "french":
        own = Tokenizer(list(learn_vocabulary(parts[0], len(study.list))))
        found = unigram(study.train, study.tests["new"], own)
        study.results["unigram"]["own list"] = found
        study.results["pieces_per_word"]["own list"] = study.pieces_per_word(own)
    source = {
        "reviews": f"{rows.source}; old texts: {english.source}",
        "french": f"{french.source}, in French; old texts: the same in English",
    }
    for seed in seeds:
        if name == "reviews":
            reviews_of_a_seed(study, seed, old)
        else:
            french_of_a_seed(study, seed, own)
        if place:  # after each seed, because it takes a while
            write_card(place, card_of(study, source[name]))


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=NEW_PIECES, help="texts to go on with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*range(SEEDS)])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    parser.add_argument("--join", type=Path, nargs="+", help="cards of all seeds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.join:
        write_card(given.card, joined(given.join))
    else:
        run(given.study, given.seeds, given.card)


if __name__ == "__main__":
    main()
