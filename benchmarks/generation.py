"""How fast does the decoder write, with its cache and without, and beside transformers?

    python benchmarks/generation.py                       print a table
    python benchmarks/generation.py --card FILE.json      and record the run

An encoder-decoder of BERT-mini's size (4 layers each, width 256, 8,192 pieces), random
weights, on one core. A source of 32 pieces; 128 new ones, without an end. In each round
all versions write the same, greedily: ours with the cache, ours without, and the
library's `generate` with its own; then 8 sources at once, with the cache and without;
then 16 with 4 beams, ours and the library's. A ratio is the time of the first over the
version's: above 1 it is faster. Before that, all must write the same pieces.
"""

import os
from collections import defaultdict
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import torch
import transformers
from measure import options, record, spread, timed
from tqdm import trange

from bertcore import BertConfig, EncoderDecoder, Search, generate
from bertcore.model.published import published_name

NEW, SOURCE, SOME, ROWS, BEAMS = 128, 32, 8, 16, 4
START = 2


def models() -> tuple[EncoderDecoder, transformers.EncoderDecoderModel]:
    """Ours and theirs, with the same weights."""
    torch.manual_seed(0)
    config = BertConfig.preset("mini", vocab_size=8192, initializer_range=0.1)
    ours = EncoderDecoder(config).eval()
    parts = ours.published_config()
    theirs = transformers.EncoderDecoderModel(
        transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
            *(transformers.BertConfig(**parts[name]) for name in ("encoder", "decoder"))
        )
    ).eval()
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            theirs.get_parameter(published_name(name)).copy_(parameter)
    return ours, theirs


def versions() -> dict[str, dict[str, Callable[[], list[list[int]]]]]:
    """What is compared: for each case, a function for each version."""
    ours, theirs = models()
    ids = torch.randint(5, 8192, (ROWS, SOURCE))

    def own(rows: int, beams: int, cached: bool) -> list[list[int]]:
        search = Search(max_tokens=NEW, beams=beams, start_id=START, stop_id=None)
        found = generate(ours, {"input_ids": ids[:rows]}, search, cached)
        return [written.ids for written in found]

    def library(rows: int, beams: int) -> list[list[int]]:
        found = theirs.generate(
            ids[:rows],
            attention_mask=torch.ones_like(ids[:rows]),
            max_new_tokens=NEW,
            num_beams=beams,
            do_sample=False,
            decoder_start_token_id=START,
            eos_token_id=None,
            pad_token_id=0,
        )
        return found[:, 1:].tolist()

    return {
        "1 text": {
            "ours, no cache": lambda: own(1, 1, False),
            "ours": lambda: own(1, 1, True),
            "transformers": lambda: library(1, 1),
        },
        f"{SOME} texts": {
            "ours, no cache": lambda: own(SOME, 1, False),
            "ours": lambda: own(SOME, 1, True),
        },
        f"{ROWS} texts, {BEAMS} beams": {
            "transformers": lambda: library(ROWS, BEAMS),
            "ours": lambda: own(ROWS, BEAMS, True),
        },
    }


def main() -> None:
    """Compare, time, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    cases = versions()
    for case, compared in cases.items():
        written = [work() for work in compared.values()]
        if any(one != written[0] for one in written):
            raise SystemExit(f"{case}: the versions write different pieces")
    print("all versions write the same pieces")
    rounds: dict[str, list[float]] = defaultdict(list)
    for _ in trange(given.rounds, leave=False):
        for case, compared in cases.items():
            taken = {name: timed(work)[0] for name, work in compared.items()}
            first, *others = taken
            for name in others:
                label = f"{case}: {first} / {name}"
                rounds[label].append(taken[first] / taken[name])
            pieces = NEW * int(case.split()[0])
            rounds[f"{case}: ours, pieces a second"].append(pieces / taken["ours"])
    results = spread(rounds)
    record(
        given.card,
        "Greedy and beam search of an encoder-decoder of BERT-mini's size: ratios of "
        "processor time, minimum, median and maximum over rounds",
        "random weights and pieces",
        results,
        ("torch", "transformers"),
        threads=1,
        rounds=given.rounds,
        new_pieces=NEW,
        source_pieces=SOURCE,
    )


if __name__ == "__main__":
    main()
