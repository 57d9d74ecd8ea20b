"""How fast are sentences scored, beside a loop over transformers?

    python benchmarks/scoring.py                       print a table
    python benchmarks/scoring.py --card FILE.json      and record the run

Our own BERT-mini with 8,192 pieces, on one core, from ids to the pseudo-log-likelihood
(Salazar et al. 2020) of random sentences of an encyclopaedia. In each round three
versions score the same sentences in random order: the plain loop, which masks one piece
and calls the model of transformers, then masks the next; the same with all masked
copies of a sentence in one call; and ours. A ratio is a version's time divided by ours
in the same round: above 1, ours is faster. Before that, the scores of every piece must
agree within 1e-5 in double precision; in single precision, in which all are timed, the
library's own are off by more than that, so there they must agree within 1e-4.
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
from torch import Tensor, nn
from tqdm import trange

from bertcore import Tokenizer
from bertcore.sources import OUR_MODEL, find_file
from bertcore.text.corpora import introductions
from bertcore.training.run import load_trained
from bertcore.training.scoring import score_texts

SENTENCES = 24  # of each round
LOOP, COPIES, OURS = "a loop, piece by piece", "a loop, sentence by sentence", "ours"
Versions = dict[str, Callable[[list[str]], list[float]]]


def sentences() -> list[str]:
    """Those of 5 to 40 words; they end where a capital follows a full stop."""
    cut = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
    texts = (document.text for document in introductions().documents)
    found = (each for text in texts for each in cut.split(text))
    return [each for each in found if 5 <= len(each.split()) <= 40]


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
    both, texts, draw = models(), sentences(), random.Random(0)
    compared = versions(*both, Tokenizer.from_pretrained(OUR_MODEL))
    for model in both:
        model.double()
    some = draw.sample(texts, SENTENCES)
    check({name: score(some) for name, score in compared.items()}, 1e-5)
    for model in both:
        model.float()
    rounds: dict[str, list[float]] = defaultdict(list)
    for _ in trange(given.rounds, leave=False):
        some = draw.sample(texts, SENTENCES)
        seconds, found = {}, {}
        for name in draw.sample(sorted(compared), len(compared)):
            seconds[name], found[name] = timed(lambda: compared[name](some))  # noqa: B023
        check(found, 1e-4)
        for name in (LOOP, COPIES):
            rounds[f"{name}: ratio"].append(seconds[name] / seconds[OURS])
        rounds["pieces of a sentence"].append(len(found[OURS]) / SENTENCES)
        rounds["ours: pieces a second"].append(len(found[OURS]) / seconds[OURS])
    results = spread(rounds)
    record(
        given.card,
        "Pseudo-log-likelihoods of sentences on one core, beside loops over "
        "transformers: ratios of processor time, minimum, median and maximum over "
        "rounds",
        f"{SENTENCES} random sentences a round; {introductions().source}; weights "
        f"{OUR_MODEL}",
        results,
        ("torch", "transformers"),
        threads=1,
        rounds=given.rounds,
        gate="each piece within 1e-5 of the loop over transformers in double "
        "precision, within 1e-4 in single precision",
    )


if __name__ == "__main__":
    main()
