"""From text to batches, beside a loop and the transformers library.

    python benchmarks/examples.py                       print a table
    python benchmarks/examples.py --card FILE.json      and record the run

Introductions of encyclopaedia articles, on one core, in random turn in each round.
Masking: 256 pairs of 128 tokens, with `Masker.text` in a loop, which draws as Google's
code does; with the library's collator, which gets lists of numbers and makes tensors of
them first; and with the part of it that masks, alone. A ratio is the other's time over
ours in the same round: above 1 ours is faster. The library tosses a coin for each
token, so only ours and the loop must choose equally many. Gathering: tokens a second
from the memory map, special tokens and padding not counted. Preparing: every corpus on
the shelf, with one process and with one for each core, by the clock on the wall, the
start of the processes included.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import numpy as np

from bertcore.sources import ENCODER, find_file
from bertcore.text.corpora import CORPORA, introductions
from bertcore.text.prepare import prepare
from bertcore.text.store import read_store_manifest
from bertcore.text.wordpiece import Tokenizer

if __name__ == "__main__":  # the workers of `prepare` import this file, but not these
    import torch
    from measure import all_cores, options, record, spread, timed
    from torch import Tensor
    from tqdm import trange
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    from bertcore.text.batch import IGNORE_INDEX
    from bertcore.text.dataloader import Batches
    from bertcore.text.masking import Masker
    from bertcore.text.pairs import assembled, pair_examples

TEXTS, ROW, LEAST = 256, 128, 0.1  # LEAST: seconds of a measurement
Works = dict[str, Callable[[], Any]]


def masking(masker: Masker, batch: dict[str, Tensor]) -> Works:
    """Each version of masking the batch."""
    ids, rng, draw = batch["input_ids"], np.random.default_rng(0), random.Random(0)
    folder = find_file(ENCODER, "vocab.txt").parent
    library = DataCollatorForLanguageModeling(AutoTokenizer.from_pretrained(folder))
    fixed = torch.from_numpy(masker.fixed)[ids]
    lists = [{key: batch[key][n].tolist() for key in batch} for n in range(TEXTS)]
    return {
        "mask, ours": lambda: masker.batch(ids, rng),
        "mask, loop": lambda: [masker.text(row["input_ids"], draw) for row in lists],
        "mask, collator": lambda: library(lists),  # slower if it gets `fixed`, too
        # It writes into what it gets: a copy, which takes 1 % of its time.
        "mask, its tensors": lambda: library.torch_mask_tokens(ids.clone(), fixed),
    }


def check(masker: Masker, ids: Tensor, works: Works) -> None:
    """As many from ours as from the loop, none special, 80/10/10; or no comparison."""
    true, shares = ids.numpy(), defaultdict(list)
    for _ in range(20):
        texts = works["mask, loop"]()
        labels = np.full_like(true, IGNORE_INDEX)
        for row, text in zip(labels, texts, strict=True):
            row[text.places] = text.labels
        ours = [part.numpy() for part in works["mask, ours"]()]
        loop = np.array([text.ids for text in texts]), labels
        for name, (hidden, labels) in {"ours": ours, "the loop": loop}.items():
            chosen = labels != IGNORE_INDEX
            same = (np.where(chosen, labels, hidden) == true).all()
            as_many = (chosen.sum(axis=1) == masker.count(ROW)).all()
            if not same or not as_many or masker.fixed[true[chosen]].any():
                raise SystemExit(f"{name} masks otherwise: no comparison makes sense")
            kinds = hidden == masker.mask_id, hidden == true
            shares[name].append([kind[chosen].mean() for kind in kinds])
    for name, found in shares.items():
        if np.abs(np.mean(found, axis=0) - (0.8, 0.1)).max() > 0.01:
            raise SystemExit(f"{name}: not 80/10/10, so no comparison makes sense")


def gathering(steps: Batches, tokenizer: Tokenizer) -> tuple[Works, dict[str, int]]:
    """Each version of fetching an epoch, and how many tokens that fetches."""
    ids, count = steps.store.ids, len(steps)
    begins = np.random.default_rng(1).integers(0, len(ids) - ROW, (count, TEXTS, 1))
    spans = [steps.examples.spans[steps.example_numbers(n)] for n in range(count)]
    tokens = sum(int((ends[:, 1::2] - ends[:, ::2]).sum()) for ends in spans)

    def alone(n: int) -> np.ndarray:
        return ids.take(begins[n] + np.arange(ROW), mode="clip").astype(np.int64)

    for (begin,), row in zip(begins[0], alone(0), strict=True):
        if (row != ids[begin : begin + ROW]).any():
            raise SystemExit("other ids than in the file: no figure makes sense")

    def epoch(fetch: Callable[[int], Any]) -> None:
        for n in range(count):
            fetch(n)

    works: Works = {
        "gather, ids alone": partial(epoch, alone),
        "gather, batches": lambda: epoch(lambda n: assembled(ids, spans[n], tokenizer)),
        "gather, masked, packed": partial(epoch, steps.__getitem__),
    }
    numbers = count * TEXTS * ROW, tokens, tokens
    return works, dict(zip(works, numbers, strict=True))


def preparing(texts: list[str]) -> tuple[dict[str, float], int]:
    """Seconds with one process and with all, and how many cores that is."""
    seconds, files = {}, []
    with TemporaryDirectory() as temporary, all_cores() as cores:
        for name, workers in random.sample([("one", 1), ("all", None)], 2):
            folder = Path(temporary) / name
            fresh = Tokenizer.from_pretrained(find_file(ENCODER, "vocab.txt"))
            work = partial(prepare, texts, fresh, folder, workers=workers)
            seconds[name], _ = timed(work, time.perf_counter)
            files.append(read_store_manifest(folder, digests=True)["files"])
    if files[0] != files[1]:
        raise SystemExit("the stores differ: no comparison of speed makes sense")
    return seconds, cores


def seconds_of(work: Callable[[], Any]) -> float:
    """Processor time of a call, from as many as take a tenth of a second."""
    gc.collect()
    calls, start = 0, time.process_time()
    while (taken := time.process_time() - start) < LEAST:
        work()
        calls += 1
    return taken / calls


def main() -> None:
    """Run, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    random.seed(0)
    tokenizer = Tokenizer.from_pretrained(find_file(ENCODER, "vocab.txt"))
    texts = [document.text for document in introductions().documents]
    shelf = [
        document.text for kept in CORPORA.values() for document in kept.load().documents
    ]
    rounds: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory() as temporary:
        store = prepare(texts, tokenizer, Path(temporary) / "store", workers=1)
        examples, masker = pair_examples(store, ROW), Masker(tokenizer)
        sizes = (examples.spans[:, 1::2] - examples.spans[:, ::2]).sum(axis=1)
        full = np.flatnonzero(sizes == ROW - 3)[:TEXTS]
        batch = assembled(store.ids, examples.spans[full], tokenizer)
        masks = masking(masker, batch)
        check(masker, batch["input_ids"], masks)
        steps = Batches(store, examples, tokenizer, masker, TEXTS, row=ROW)
        fetches, tokens = gathering(steps, tokenizer)
        works = masks | fetches
        for work in works.values():
            work()  # what is set up at the first call is not compared
        for _ in trange(given.rounds, leave=False):
            order = random.sample(sorted(works), len(works))
            seconds = {name: seconds_of(works[name]) for name in order}
            for name in masks:
                rounds[f"{name}: ms"].append(1000 * seconds[name])
            for name in masks:
                ratio = seconds[name] / seconds["mask, ours"]
                rounds[f"{name}: ratio"].append(ratio)
            for name, number in tokens.items():
                speed = number / seconds[name] / 1e6
                rounds[f"{name}: M tokens a second"].append(speed)
            wall, cores = preparing(shelf)
            for name in sorted(wall, reverse=True):
                rounds[f"prepare, {name}: s on the wall"].append(wall[name])
            rounds["prepare, all: ratio"].append(wall["one"] / wall["all"])
    print(f"{store}: {introductions().source}; {cores} cores")
    results = spread(rounds)
    record(
        given.card,
        "From text to batches: masking and gathering on one core, beside a loop and "
        "the transformers library, in turn, and preparing with all cores, by the clock "
        "on the wall; minimum, median and maximum of the rounds",
        f"batches of {TEXTS} x {ROW} of {introductions().source}; to prepare: "
        f"{sum(map(len, shelf)):,} characters of {', '.join(CORPORA)}",
        results,
        packages=("torch", "transformers", "numpy"),
        rounds=given.rounds,
        cores=cores,
        gate="in each text as many chosen as by the loop, none special, 80/10/10 "
        "within 1 %; ids as in the file; both stores the same",
    )


if __name__ == "__main__":
    main()
