"""How fast is the body of BERT, forwards and backwards, padded and packed?

    python benchmarks/body.py                       print a table
    python benchmarks/body.py --card FILE.json      and record the run

Real weights (MiniLM-L6) and first sentences of encyclopaedia articles, in random
batches of 32, on one core. In each round every version runs on the same batch: the
transformers library with its plain and its fused attention, ours padded, and ours
with the texts packed into rows of 128. A ratio is the library's time, fused, over the
version's in the same round: above 1 it is faster. Before that, states and gradients
must agree.
"""

import os
import random
import re
from collections import defaultdict
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
import transformers
from measure import options, record, spread, timed
from torch import Tensor
from tqdm import trange

from bertcore import Bert, Tokenizer
from bertcore.sources import ENCODER, find_file
from bertcore.text.batch import packed, padded
from bertcore.text.corpora import introductions

ROW, TEXTS = 128, 32
Rows = list[tuple[list[int], list[int]]]
Work = Callable[[], tuple[Tensor, Tensor]]


def first_sentences(tokenizer: Tokenizer) -> list[list[int]]:
    """Ids of the first sentence of each article."""
    sentences = [
        re.split(r"(?<=[.!?])\s+(?=[A-Z])", document.text, maxsplit=1)[0]
        for document in introductions().documents
    ]
    return [tokenizer.encode(sentence, max_length=ROW) for sentence in sentences]


def versions(models: dict[str, torch.nn.Module], rows: Rows) -> dict[str, Work]:
    """For each version, what it does with the batch: states and one gradient."""
    batch, in_rows = padded(rows, pad_id=0), packed(rows, pad_id=0, length=ROW)
    keep = batch["attention_mask"].bool()

    def library(kind: str) -> Work:
        model = models[kind]
        table = model.embeddings.position_embeddings.weight
        return lambda: learned(model(**batch).last_hidden_state[keep], table)

    ours = models["ours"]
    table = ours.embeddings.position.weight
    return {
        "transformers, plain": library("eager"),
        "transformers, fused": library("sdpa"),
        "ours, padded": lambda: learned(ours(**batch)[keep], table),
        "ours, packed": lambda: learned(
            torch.cat(in_rows.unpack(ours(**in_rows.batch))), table
        ),
    }


def learned(states: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """The states, and the gradient of a loss for the table far below."""
    table.grad = None
    states.sin().sum().backward()
    return states.detach(), table.grad


def check(found: dict[str, tuple[Tensor, Tensor]]) -> None:
    """The same states and gradients from all, or nothing is compared."""
    (reference, slope) = found["transformers, plain"]
    for name, (states, gradient) in found.items():
        near = (states - reference).abs().max() < 1e-4
        if not near or (gradient - slope).abs().max() > 1e-3 * slope.abs().max():
            raise SystemExit(f"{name} differs: no comparison of speed makes sense")


def main() -> None:
    """Run, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    folder = find_file(ENCODER, "config.json").parent
    models = {"ours": Bert.from_pretrained(folder, dropout=0.0, attention_dropout=0.0)}
    for kind in ("eager", "sdpa"):
        models[kind] = transformers.BertModel.from_pretrained(
            folder, attn_implementation=kind
        ).eval()
    texts = first_sentences(Tokenizer.from_pretrained(folder))
    draw, rounds, fill = random.Random(0), defaultdict(list), []
    for _ in trange(given.rounds, leave=False):
        rows: Rows = [(ids, []) for ids in draw.sample(texts, TEXTS)]
        sizes = [len(ids) for ids, _ in rows]
        fill.append(sum(sizes) / (TEXTS * max(sizes)))
        works = list(versions(models, rows).items())
        draw.shuffle(works)
        seconds, found = {}, {}
        for name, work in works:
            seconds[name], found[name] = timed(work)
        check(found)
        for name in sorted(seconds, reverse=True):
            rounds[f"{name}: s"].append(seconds[name])
        for name in sorted(seconds):
            ratio = seconds["transformers, fused"] / seconds[name]
            rounds[f"{name}: ratio"].append(ratio)
    rounds["share of the padded batch that is text"] = fill
    results = spread(rounds)
    record(
        given.card,
        "The body of BERT, forwards and backwards on one core, beside transformers, in "
        "turn; minimum, median and maximum of the rounds",
        f"batches of {TEXTS} first sentences; {introductions().source}; weights "
        f"{ENCODER}",
        results,
        packages=("torch", "transformers"),
        rounds=given.rounds,
        gate="states within 1e-4, gradients of the position table within 1e-3",
    )


if __name__ == "__main__":
    main()
