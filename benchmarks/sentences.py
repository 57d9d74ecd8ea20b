"""How fast do sentences become vectors, beside sentence-transformers?

    python benchmarks/sentences.py                       print a table
    python benchmarks/sentences.py --card FILE.json      and record the run

Real weights (MiniLM-L6), on one core, from text to normalised vectors, for three kinds
of text with about as many tokens each: short questions, sentences of an encyclopaedia,
and the paragraphs that open its articles. In each round three versions run in random
order on the same random texts: sentence-transformers with its own settings, which sorts
by characters; the loop that most tutorials show, transformers on padded batches of 32
in the order given; and ours. A ratio is a version's time divided by ours in the same
round: above 1, ours is faster. The vectors of each round must agree before anything is
compared.

The utilisation is the multiplications and additions that the tokens need, padding left
out, over what the same second holds in a bare matrix product of the same width.
"""

import os
import random
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import product

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
import torch.nn.functional as F
from measure import options, record, spread, timed
from sentence_transformers import SentenceTransformer
from torch import Tensor
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer

from bertcore import BertConfig, SentenceEncoder
from bertcore.sources import ENCODER, find_file
from bertcore.tasks.sets import questions
from bertcore.text.corpora import introductions

TEXTS = {"questions": 2000, "sentences": 1000, "paragraphs": 300}  # a round
BATCH = 32
LIBRARY, TUTORIAL, OURS = "sentence-transformers", "transformers, a loop", "ours"


def texts_of_each_kind() -> dict[str, list[str]]:
    """Questions, sentences (cut where a capital follows a full stop), paragraphs."""
    paragraphs = [document.text for document in introductions().documents]
    return {
        "questions": [row.text for row in questions().train],
        "sentences": [
            sentence
            for paragraph in paragraphs
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph)
        ],
        "paragraphs": paragraphs,
    }


def tutorial(folder: str, max_length: int) -> Callable[[list[str]], Tensor]:
    """The usual loop: pad each batch, take the mean under the mask, normalise."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder)

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        vectors = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(
                texts[start : start + BATCH],
                padding=True,
                truncation=True,
                max_length=max_length,
                return_tensors="pt",
            )
            states = model(**batch).last_hidden_state
            keep = batch["attention_mask"].unsqueeze(-1).float()
            vectors.append(F.normalize((states * keep).sum(1) / keep.sum(1)))
        return torch.cat(vectors)

    return encode


def operations(config: BertConfig, lengths: list[int]) -> int:
    """Multiplications and additions in the encoder's matrix products."""
    parts = "attention_matrices", "attention_mixing", "feedforward"
    counts = (config.operation_counts(length) for length in lengths)
    return sum(count[part] for count in counts for part in parts)


def product_rate(config: BertConfig) -> float:
    """Operations a second of the layer's widest product, on a batch of 4,096 tokens."""
    hidden = torch.randn(4096, config.hidden_size)
    widen = torch.randn(config.hidden_size, config.feedforward_size)
    out = torch.empty(len(hidden), config.feedforward_size)
    repeats = 40

    def work() -> None:
        for _ in range(repeats):
            torch.mm(hidden, widen, out=out)

    seconds, _ = timed(work)
    return repeats * 2 * len(hidden) * widen.numel() / seconds


def check(found: dict[str, Tensor]) -> None:
    """The same vectors from all, or nothing is compared."""
    for name, vectors in found.items():
        if (vectors - found[LIBRARY]).abs().max() > 1e-5:
            raise SystemExit(f"{name} differs: no comparison of speed makes sense")


def main() -> None:
    """Run, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    folder = str(find_file(ENCODER, "config.json").parent)
    ours = SentenceEncoder.from_pretrained(folder)
    library = SentenceTransformer(folder, device="cpu")
    versions: dict[str, Callable[[list[str]], Tensor]] = {
        LIBRARY: lambda texts: library.encode(texts, convert_to_tensor=True),
        TUTORIAL: tutorial(folder, ours.max_length),
        OURS: ours.encode,
    }
    kinds, draw, rounds = texts_of_each_kind(), random.Random(0), defaultdict(list)
    for encode in versions.values():
        encode(kinds["sentences"][:BATCH])  # what the first call sets up is no part
    for _, kind in tqdm([*product(range(given.rounds), TEXTS)], leave=False):
        texts = draw.sample(kinds[kind], TEXTS[kind])
        # A fresh memory of words in each round: texts that were seen are no gain.
        ours.tokenizer = type(ours.tokenizer).from_pretrained(folder)
        seconds, found = {}, {}
        for name in draw.sample(sorted(versions), len(versions)):
            seconds[name], found[name] = timed(lambda: versions[name](texts))  # noqa: B023
        check(found)
        lengths = [
            len(ours.tokenizer.encode(text, max_length=ours.max_length))
            for text in texts
        ]
        possible = operations(ours.bert.config, lengths) / product_rate(
            ours.bert.config
        )
        for name in versions:
            if name != OURS:
                ratio = seconds[name] / seconds[OURS]
                rounds[f"{kind}, {name}: ratio"].append(ratio)
            rounds[f"{kind}, {name}: s"].append(seconds[name])
            rounds[f"{kind}, {name}: utilisation"].append(possible / seconds[name])
    results = spread(rounds)
    record(
        given.card,
        "Sentences to vectors on one core, beside sentence-transformers and the loop "
        "of the tutorials, in turn; minimum, median and maximum of the rounds",
        f"{TEXTS} random texts a round; {introductions().source}; questions of TREC; "
        f"weights {ENCODER}",
        results,
        packages=("torch", "transformers", "sentence-transformers", "tokenizers"),
        rounds=given.rounds,
        gate="vectors within 1e-5 of those of sentence-transformers",
    )


if __name__ == "__main__":
    main()
