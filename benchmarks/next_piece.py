"""Can BERT learn to write from left to right, and how well does it write without?

    python benchmarks/next_piece.py                    print a table
    python benchmarks/next_piece.py --card FILE.json   and record the run

Our packaged BERT-mini gets the causal mask and learns to predict the next piece of
Wikipedia introductions; the same architecture does so from random weights. First each
start tries two learning rates for thirty updates, with a seed of its own; the best
is taken for three seeds each, on one core. Loss on texts that BERT was not pretrained
on, in nats for each piece, beside that of a model which knows only how frequent each
piece is.

Then each writes 12 pieces after the first four of such texts, and so does BERT as it
came, by filling masks in several ways. Of every three neighbouring pieces: is it a
triple that occurs in the texts to learn from? Beside it the share of pieces that are
distinct, because a text that repeats itself can have triples that occur. The same is
counted of the real texts, and of pieces drawn by frequency.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bertcore import BertForMaskedLM, Decoder, Search, Tokenizer, generate
from bertcore.cards import make_card, write_card
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import introductions, is_held_out

LENGTH, BATCH, WARMUP, SEEDS, CLIP, HELD_OUT = 24, 16, 20, 3, 1.0, 96
EVALUATE_AT = (0, 25, 50, 100, 150)
RATES = {"from BERT": (3e-4, 1e-3), "random weights": (1e-3, 3e-3)}
TRIED, TRY_SEED = 30, 9  # updates with which rates are compared
PROMPT, NEW, TEXTS, SWEEPS = 5, 12, 64, 1  # [CLS] and four pieces; pieces to write
SHOWN = ("The river flows", "She was born in", "The theory of")


class Data(NamedTuple):
    """Ids to learn from and to test on, and which triples occur."""

    tokenizer: Tokenizer
    train: Tensor  # b s
    held_out: Tensor  # b s
    frequencies: Tensor  # v
    triples: np.ndarray


def numbered(ids: Tensor) -> np.ndarray:
    """One number for each three neighbouring pieces of each row."""
    a, b, c = (part.numpy().astype(np.int64) for part in ids.unfold(1, 3, 1).unbind(-1))
    return (a * 2**14 + b) * 2**14 + c


def load() -> Data:
    """Windows at the beginning of each introduction; triples of whole ones."""
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL)
    windows: dict[bool, list[list[int]]] = {False: [], True: []}
    counts, triples = torch.zeros(len(tokenizer.vocabulary)), []
    for document in introductions().documents:
        ids, kept = tokenizer.encode(document.text), is_held_out(document.title)
        if not kept:
            counts += torch.tensor(ids[1:]).bincount(minlength=len(counts))
            triples.append(np.unique(numbered(torch.tensor([ids]))))
        if len(ids) > LENGTH:
            windows[kept].append(ids[: LENGTH + 1])
    return Data(
        tokenizer,
        torch.tensor(windows[False]),
        torch.tensor(windows[True][:HELD_OUT]),
        (counts + 1) / (counts + 1).sum(),
        np.unique(np.concatenate(triples)),
    )


def next_loss(decoder: Decoder, rows: Tensor) -> Tensor:
    """Mean loss of the next piece, nats."""
    return F.cross_entropy(decoder(rows[:, :-1]).transpose(1, 2), rows[:, 1:])


def evaluated(decoder: Decoder, rows: Tensor) -> float:
    """The loss on texts to test on."""
    with torch.inference_mode():
        losses = [
            next_loss(decoder, part).item() * len(part) for part in rows.split(64)
        ]
    return sum(losses) / len(rows)


def started(start: str) -> Decoder:
    """A decoder with BERT's weights, or with random ones; this model has no dropout."""
    bert = BertForMaskedLM.from_pretrained(OUR_MODEL)
    decoder = Decoder(bert.config, cross=False)
    if start == "from BERT":
        decoder.load_state_dict(bert.state_dict())
    return decoder


def train(start: str, rate: float, seed: int, data: Data, updates: int):
    """The decoder, and its losses on held-out texts by update."""
    torch.manual_seed(seed)
    decoder, losses = started(start), {}
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=rate)
    order = torch.randperm(len(data.train))
    for step in range(updates + 1):
        if step in EVALUATE_AT or step == updates:
            losses[step] = evaluated(decoder, data.held_out)
        if step == updates:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / WARMUP)
        rows = order[step * BATCH : (step + 1) * BATCH]
        loss = next_loss(decoder, data.train[rows])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), CLIP)
        optimiser.step()
    return decoder.eval(), losses


def filled(
    bert: BertForMaskedLM, ids: Tensor, mask: int, order: str, draw: bool, sweeps: int
) -> Tensor:
    """Masks of each row filled, all with the same places; `sweeps` redraw them."""
    ids, rows = ids.clone(), torch.arange(len(ids))
    places = (ids[0] == mask).nonzero()[:, 0]

    def guesses() -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            hidden = bert.bert(ids)[:, places]
            table = bert.bert.embeddings.token.weight
            shares = bert.mlm_head(hidden, table).softmax(-1)
        if draw:
            taken = torch.multinomial(shares.flatten(0, 1), 1).view(len(ids), -1)
        else:
            taken = shares.argmax(-1)
        return taken, shares.gather(2, taken[:, :, None])[:, :, 0]

    if order == "all at once":
        ids[:, places] = guesses()[0]
        return ids
    for number in range(len(places)):
        taken, sure = guesses()
        free = ids[:, places] == mask
        if order == "left to right":
            at = torch.full((len(ids),), number)
        else:
            score = torch.rand_like(sure) if order == "random order" else sure
            at = score.masked_fill(~free, -1).argmax(-1)
        ids[rows, places[at]] = taken[rows, at]
    for _ in range(sweeps):
        for number in torch.randperm(len(places)):
            ids[:, places[number]] = mask
            ids[:, places[number]] = guesses()[0][:, number]
    return ids


def judged(texts: Tensor, data: Data) -> tuple[float, float]:
    """Share of triples that occur, and of distinct pieces among the new ones."""
    asked = numbered(texts[:, PROMPT - 2 : PROMPT + NEW])
    places = data.triples.searchsorted(asked).clip(max=len(data.triples) - 1)
    found = data.triples[places] == asked
    new = texts[:, PROMPT : PROMPT + NEW].tolist()
    return float(found.mean()), statistics.fmean(len({*row}) / NEW for row in new)


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    parser.add_argument(
        "--updates", type=int, default=EVALUATE_AT[-1], help="to try it"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun, data = time.perf_counter(), load()
    tokenizer = data.tokenizer
    labels = data.held_out[:, 1:]
    unigram = -data.frequencies.log()[labels].mean().item()
    print(len(data.train), len(data.held_out), f"unigram {unigram:.3f}", flush=True)

    prompts = data.held_out[:TEXTS, :PROMPT]
    hidden = torch.full((TEXTS, NEW), tokenizer.mask_id)
    ends = torch.full((TEXTS, 1), tokenizer.sep_id)
    masked = torch.cat([prompts, hidden, ends], dim=1)
    bert = BertForMaskedLM.from_pretrained(OUR_MODEL)

    def unmasked(order: str, draw: bool, sweeps: int = 0) -> Tensor:
        return filled(bert, masked, tokenizer.mask_id, order, draw, sweeps)

    table = data.frequencies.clone()
    table[:5] = 0  # what is drawn has no special tokens
    written: dict[str, list[tuple[float, float]]] = {}
    shown: dict[str, list[str]] = {}

    def continued(decoder: Decoder, draw: bool, seed: int, ids: Tensor) -> Tensor:
        search = Search(NEW, temperature=float(draw), seed=seed, stop_id=None)
        new = [each.ids for each in generate(decoder, {"input_ids": ids}, search)]
        return torch.cat([ids, torch.tensor(new)], dim=1)

    def text(ids: Tensor) -> list[str]:
        return [tokenizer.decode(row) for row in ids[:, 1:].tolist()]

    def note(way: str, write: Callable[[int], Tensor], seeds: int = SEEDS) -> None:
        start, found = time.perf_counter(), []
        for seed in range(seeds):
            torch.manual_seed(seed)
            texts = write(seed)
            found.append(judged(texts, data))
            if not seed:
                shown[way] = text(texts[:4, : PROMPT + NEW])
        written[way] = written.get(way, []) + found
        print(way, found, shown[way][:2], f"{time.perf_counter() - start:.0f} s",
              flush=True)  # fmt: skip

    note("real", lambda _: data.held_out[:TEXTS], 1)
    note(
        "drawn by frequency",
        lambda _: torch.cat(
            [prompts, table.multinomial(TEXTS * NEW, True).view(TEXTS, NEW)], dim=1
        ),
    )
    note("all at once, likeliest", lambda _: unmasked("all at once", False), 1)
    note("all at once, drawn", lambda _: unmasked("all at once", True))
    note("surest first", lambda _: unmasked("surest first", False), 1)
    note("random order, drawn", lambda _: unmasked("random order", True))
    note("left to right, drawn", lambda _: unmasked("left to right", True))
    note(
        "random order, drawn, then redrawn",
        lambda _: unmasked("random order", True, SWEEPS),
    )
    turned = started("from BERT").eval()
    note("mask turned, drawn", lambda seed: continued(turned, True, seed, prompts))
    note("mask turned, likeliest", lambda _: continued(turned, False, 0, prompts), 1)

    tried, best = {}, {}
    for start, rates in RATES.items():
        updates = min(TRIED, given.updates)
        tried[start] = {
            str(rate): train(start, rate, TRY_SEED, data, updates)[1][updates]
            for rate in rates
        }
        best[start] = float(min(tried[start], key=tried[start].get))
        print(start, tried[start], f"{time.perf_counter() - begun:.0f} s", flush=True)
    runs: dict[str, list[dict[int, float]]] = {start: [] for start in RATES}
    beginnings = [tokenizer.encode(each)[:-1] for each in SHOWN]
    for seed in range(SEEDS):
        for start in RATES:
            decoder, losses = train(start, best[start], seed, data, given.updates)
            runs[start].append(losses)
            print(
                start, seed, losses, f"{time.perf_counter() - begun:.0f} s", flush=True
            )
            torch.manual_seed(seed)
            for kind, draw in (("drawn", True), ("likeliest", False)):
                found = continued(decoder, draw, seed, prompts)
                way = f"trained {start}, {kind}"
                written[way] = [*written.get(way, []), judged(found, data)]
                if not seed:
                    shown[way] = text(found[:4])
                print(way, written[way][-1], text(found[:2]), flush=True)
                if not seed:
                    for name, model in (
                        (way, decoder),
                        (f"mask turned, {kind}", turned),
                    ):
                        shown[f"{name}: own"] = [
                            text(continued(model, draw, 0, torch.tensor([ids])))[0]
                            for ids in beginnings
                        ]

    def spread(values: list[float]) -> list[float]:
        return [round(f(values), 3) for f in (min, statistics.median, max)]

    results = {
        "unigram": round(unigram, 3),
        "all pieces alike": round(math.log(bert.config.vocab_size), 3),
        "loss": {
            start: {str(n): spread([run[n] for run in found]) for n in found[0]}
            for start, found in runs.items()
        },
        "triples that occur": {
            way: spread([each[0] for each in found]) for way, found in written.items()
        },
        "distinct pieces": {
            way: spread([each[1] for each in found]) for way, found in written.items()
        },
    }
    if given.card:
        card = make_card(
            "Next piece of Wikipedia introductions: loss from BERT's weights and from "
            "random ones; triples of pieces that occur, of several ways to write; "
            "minimum, median and maximum over seeds",
            introductions().source,
            results,
            seeds=SEEDS, length=LENGTH, batch=BATCH, warmup=WARMUP, clip=CLIP,
            updates=given.updates, held_out=len(data.held_out), rates_tried=tried,
            rates=best, weights=OUR_MODEL, prompt=PROMPT - 1, new=NEW, texts=TEXTS,
            sweeps=SWEEPS, runs=runs, shown=shown,
            seconds=round(time.perf_counter() - begun),
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
