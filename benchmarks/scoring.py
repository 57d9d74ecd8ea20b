"""How fast are sentences scored, beside a loop over transformers?

    python benchmarks/scoring.py                       print a table
    python benchmarks/scoring.py --card FILE.json      and record the run

Our own BERT-mini with 8,192 pieces, on one core, from ids to the pseudo-log-likelihood
(Salazar et al. 2020) of random sentences of an encyclopaedia, first of short ones, as
minimal pairs are, then of longer ones. In each round three versions score the same
sentences in random order: the plain loop, which masks one piece and calls the model of
transformers, then masks the next; the same with all masked copies of a sentence in one
call; and ours. A ratio is a version's time divided by ours in the same round: above 1,
ours is faster. Before that, the scores of every piece must agree within 1e-5 in double
precision; in single precision, in which all are timed, the library's own are off by
more than that, so there they must agree within 1e-4.
"""

import os
import random
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import product

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
import transformers
from measure import options, record, spread, timed
from torch import Tensor, nn
from tqdm import tqdm

from bertcore import Tokenizer
from bertcore.sources import OUR_MODEL, find_file
from bertcore.text.corpora import introductions
from bertcore.training.run import load_trained
from bertcore.training.scoring import score_texts

CASES = {"up to 12 words": (5, 12, 48), "13 to 40 words": (13, 40, 8)}  # how many
LOOP, COPIES, OURS = "a loop, piece by piece", "a loop, sentence by sentence", "ours"
Versions = dict[str, Callable[[list[str]], list[float]]]


def sentences(least: int, most: int) -> list[str]:
    """Those of so many words; they end where a capital follows a full stop."""
    cut = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
    texts = (document.text for document in introductions().documents)
    found = (each for text in texts for each in cut.split(text))
    return [each for each in found if least <= len(each.split()) <= most]


def models() -> tuple[nn.Module, nn.Module]:
    """Ours and theirs, with the same weights, in single precision."""
    folder = find_file(OUR_MODEL, "config.json").parent
    kind = transformers.AutoModelForMaskedLM
    theirs = kind.from_pretrained(folder, dtype=torch.float32)
    return load_trained(OUR_MODEL).model, theirs.eval()


def versions(ours: nn.Module, theirs: nn.Module, tokenizer: Tokenizer) -> Versions:
    """Each gives the log-probabilities of all pieces, text after text."""

    def masked(text: str) -> tuple[Tensor, Tensor]:
        """The ids of a text's pieces, and its copies, `m s`."""
        ids = torch.tensor(tokenizer.encode(text))
        number = torch.arange(len(ids) - 2)
        copies = ids.repeat(len(number), 1)
        copies[number, number + 1] = tokenizer.mask_id
        return ids[1:-1], copies

    @torch.inference_mode()
    def piece_by_piece(texts: list[str]) -> list[float]:
        found = []
        for ids, copies in map(masked, texts):
            for place, id in enumerate(ids, 1):
                logits = theirs(copies[place - 1][None]).logits[0, place]
                found.append(logits.log_softmax(-1)[id].item())
        return found

    @torch.inference_mode()
    def sentence_by_sentence(texts: list[str]) -> list[float]:
        found = []
        for ids, copies in map(masked, texts):
            number = torch.arange(len(ids))
            logits = theirs(copies).logits[number, number + 1]
            found += logits.log_softmax(-1)[number, ids].tolist()
        return found

    def own(texts: list[str]) -> list[float]:
        scores = score_texts(texts, ours, tokenizer)
        return [piece.log_probability for score in scores for piece in score.pieces]

    return {LOOP: piece_by_piece, COPIES: sentence_by_sentence, OURS: own}


def check(found: dict[str, list[float]], within: float) -> None:
    """The same scores from all, or nothing is compared."""
    for name, values in found.items():
        apart = (torch.tensor(values) - torch.tensor(found[LOOP])).abs().max()
        if apart > within:
            raise SystemExit(f"{name} differs by {apart:.1e}: no comparison")


def main() -> None:
    """Compare, time, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    both, draw = models(), random.Random(0)
    compared = versions(*both, Tokenizer.from_pretrained(OUR_MODEL))
    texts = {case: sentences(*span) for case, (*span, _) in CASES.items()}
    for model in both:
        model.double()
    some = [text for each in texts.values() for text in draw.sample(each, 6)]
    check({name: score(some) for name, score in compared.items()}, 1e-5)
    for model in both:
        model.float()
    rounds: dict[str, list[float]] = defaultdict(list)
    for _, case in tqdm([*product(range(given.rounds), CASES)], leave=False):
        some = draw.sample(texts[case], CASES[case][-1])
        seconds, found = {}, {}
        for name in draw.sample(sorted(compared), len(compared)):
            seconds[name], found[name] = timed(lambda: compared[name](some))  # noqa: B023
        check(found, 1e-4)
        for name in (LOOP, COPIES):
            rounds[f"{case}, {name}: ratio"].append(seconds[name] / seconds[OURS])
        count = len(found[OURS])
        rounds[f"{case}: pieces of a sentence"].append(count / len(some))
        rounds[f"{case}, ours: pieces a second"].append(count / seconds[OURS])
    results = spread(rounds)
    record(
        given.card,
        "Pseudo-log-likelihoods of sentences on one core, beside loops over "
        "transformers: ratios of processor time, minimum, median and maximum over "
        "rounds",
        f"random sentences; {introductions().source}; weights {OUR_MODEL}",
        results,
        ("torch", "transformers"),
        threads=1,
        rounds=given.rounds,
        gate="each piece within 1e-5 of the loop over transformers in double "
        "precision, within 1e-4 in single precision",
    )


if __name__ == "__main__":
    main()
