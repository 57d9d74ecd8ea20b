"""How fast is a step of pretraining, beside the transformers library?

    python benchmarks/pretraining.py                       print a table
    python benchmarks/pretraining.py --card FILE.json      and record the run

BERT-mini, rows of 128, no dropout, on one core, or on the GPU if there is one: there
products are in the precision that suits it, and batches are larger. Two kinds of text:
pairs as BERT was trained on, which fill most of a row, and pairs of single sentences,
which fill little; each with 8,192 and with 30,522 pieces. In each round all versions do
a whole update on the same batch: the library's model as it comes, with AdamW as it
comes, then ours, one change after another. A ratio is the library's time over the
version's in the same round: above 1 it is faster. `of peak` is the share of the
products of matrices that the machine can do, by the fastest one in tests before and
after the updates of a round, that went into useful ones: padding, and scores that
nobody asks for, are not. Before that, loss and gradients must agree.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import time

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from measure import all_cores, options, peak, record, spread, timed
from torch import Tensor
from tqdm import trange

from bertcore import BertConfig, BertForPreTraining, Tokenizer
from bertcore.model.published import published_name
from bertcore.sources import ENCODER
from bertcore.text.corpora import introductions, wikitext
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.pairs import Examples, pair_examples
from bertcore.text.store import Store
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.devices import device_name, find_device, precision_for
from bertcore.training.objectives import (
    PreTrainingObjective,
    pretraining_batch,
    pretraining_costs,
)
from bertcore.training.optim import decay_groups, is_decayed
from bertcore.training.recipe import FAITHFUL

ROW, SHORT = 128, 67
DEVICE = find_device()
CUDA = DEVICE.type == "cuda"
SIZE = 512 if CUDA else 16
PRECISION = precision_for(DEVICE)
Batch = dict[str, Tensor]


def sentence_pairs(store: Store) -> Examples:
    """Each sentence with the one after it, if both are short."""
    rows = [
        (a.start, a.stop, b.start, b.stop)
        for document in store
        for a, b in pairwise(document)
        if len(a) + len(b) + 3 <= SHORT
    ]
    labels = np.random.default_rng(0).integers(0, 2, len(rows))
    return Examples(np.array(rows), labels)


class Case:
    """One vocabulary and one kind of text: models, optimisers, batches."""

    def __init__(self, tokenizer: Tokenizer, store: Store, examples: Examples) -> None:
        plain = Masker(tokenizer, limit=20)
        self.padded, self.packed = (
            Batches(store, examples, tokenizer, plain, SIZE, row=row)
            for row in (None, ROW)
        )
        self.config = BertConfig.preset(
            "mini", vocab_size=len(tokenizer), dropout=0.0, attention_dropout=0.0
        )
        published = self.config.to_dict()
        self.theirs = transformers.BertForPreTraining(
            transformers.BertConfig(**published)
        ).to(DEVICE)
        names = [
            "ours, padded, all places scored",
            "+ only masked places scored",
            "+ packed rows",
            "+ fused AdamW",
        ]
        self.ours = {name: self.model() for name in names}
        self.costs = pretraining_costs(PreTrainingObjective(self.ours[names[0]]))
        self.steps: dict[str, Callable[[int], Tensor]] = {
            "transformers": self.library()
        }
        self.steps |= {name: self.version(name) for name in names}

    def model(self) -> BertForPreTraining:
        """Ours, with the library's weights."""
        model = BertForPreTraining(self.config).to(DEVICE)
        theirs = dict(self.theirs.named_parameters())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(theirs[published_name(name)])
        return model

    def library(self) -> Callable[[int], Tensor]:
        """An update of the library's model."""
        optimiser = torch.optim.AdamW(self.theirs.parameters(), 1e-4)

        def step(number: int) -> Tensor:
            batch = filled(self.padded[number])
            return update(lambda: self.theirs(**batch).loss, optimiser)

        return step

    def version(self, name: str) -> Callable[[int], Tensor]:
        """An update of one of ours."""
        model = self.ours[name]
        groups = decay_groups(model.named_parameters(), is_decayed(model), 0.01)
        fused = name == "+ fused AdamW"
        optimiser = torch.optim.AdamW(groups, FAITHFUL.learning_rate, fused=fused)
        objective = PreTrainingObjective(model)

        def step(number: int) -> Tensor:
            if name == "ours, padded, all places scored":
                batch = filled(self.padded[number])
                return update(lambda: full_head(model, batch), optimiser)
            if name == "+ only masked places scored":
                batch = {k: v.cpu() for k, v in filled(self.padded[number]).items()}
            else:
                batch = self.packed[number]
            work = pretraining_batch(batch).to(DEVICE)
            counts = work.counts.to(DEVICE)
            return update(
                lambda: (objective(**work.arguments) / counts).sum(), optimiser
            )

        return step

    def operations(self, number: int) -> float:
        """Useful ones of a batch."""
        return self.costs.useful(pretraining_batch(self.packed[number]))

    def fill(self, number: int) -> float:
        """The share of the padded rows that is text."""
        mask = self.padded[number]["attention_mask"]
        return mask.sum().item() / (len(mask) * ROW)


def filled(batch: Batch) -> Batch:
    """Padded to the full length, as is usual for pretraining, on the device."""
    width = ROW - batch["input_ids"].shape[1]
    values = {"labels": -100}
    return {
        name: (
            value
            if value.dim() == 1
            else F.pad(value, (0, width), value=values.get(name, 0))
        ).to(DEVICE)
        for name, value in batch.items()
    }


def full_head(model: BertForPreTraining, batch: Batch) -> Tensor:
    """The textbook way: score every place, skip what is not asked."""
    names = ("input_ids", "token_type_ids", "attention_mask")
    pieces, follows = model(**{name: batch[name] for name in names})
    masked_lm = F.cross_entropy(
        pieces.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=-100
    )
    return masked_lm + F.cross_entropy(follows.float(), batch["next_sentence_label"])


def update(loss_of: Callable[[], Tensor], optimiser: torch.optim.Optimizer) -> Tensor:
    """Forward, backward, optimiser; the loss, which waits for the device."""
    with torch.autocast(DEVICE.type, PRECISION, enabled=PRECISION != torch.float32):
        loss = loss_of()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss.detach()


def gate(case: Case) -> None:
    """Loss and gradients of one batch, in float32, before anything is timed."""
    batch = filled(case.padded[0])
    reference = case.theirs(**batch).loss
    reference.backward()
    slopes = {n: p.grad.clone() for n, p in case.theirs.named_parameters()}
    case.theirs.zero_grad(set_to_none=True)
    work = pretraining_batch(case.packed[0]).to(DEVICE)
    model = case.model()
    sums = PreTrainingObjective(model)(**work.arguments)
    loss = (sums / work.counts.to(DEVICE)).sum()
    loss.backward()
    bound = 1e-4 if CUDA else 1e-5
    if abs(loss - reference) > bound:
        raise SystemExit(f"loss {loss} and {reference}: no comparison makes sense")
    for name, parameter in model.named_parameters():
        slope = slopes[published_name(name)]
        far = (parameter.grad - slope).norm() / slope.norm().clamp(min=1e-8)
        if far > bound and slope.norm() > 1e-5:
            raise SystemExit(f"the gradient of {name} differs by {far:.1e}, relative")


def wait() -> None:
    """Until the device is done."""
    if CUDA:
        torch.cuda.synchronize()


def product_rate() -> float:
    """Operations a second in products of matrices, at best, just now."""
    size = 8192 if CUDA else 1024
    left, right = torch.randn(2, size, size, device=DEVICE).to(PRECISION)
    return peak(lambda: clocked(lambda: left @ right)[0], 2 * size**3)


def clocked(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds: of the processor on a CPU, of the clock on a GPU."""
    if not CUDA:
        return timed(work)
    wait()

    def waited() -> object:
        result = work()
        wait()
        return result

    return timed(waited, time.perf_counter)


def main() -> None:
    """Run on one core; beside a GPU, on all."""
    given = options(__doc__.splitlines()[0])
    with all_cores() if CUDA else nullcontext():
        run(given.rounds, given.card)


def run(count: int, card: str | None) -> None:
    """Run, print, and record if asked."""
    if not CUDA:
        torch.set_num_threads(1)
    texts = [document.text for document in introductions().documents]
    tokenizers = {
        8192: train_tokenizer(texts, 8192),
        30522: Tokenizer.from_pretrained(ENCODER),
    }
    draw, rounds = random.Random(0), defaultdict(list)
    for pieces, tokenizer in tokenizers.items():
        articles = Store.of([d.text for d in wikitext("valid").documents], tokenizer)
        store = Store.of(texts, tokenizer)
        kinds = {
            "long": (articles, pair_examples(articles, ROW)),
            "short": (store, sentence_pairs(store)),
        }
        for kind, (store, examples) in kinds.items():
            torch.manual_seed(0)
            case = Case(tokenizer, store, examples)
            gate(case)
            for number in trange(count + 2, leave=False, desc=f"{pieces} {kind}"):
                names = list(case.steps)
                draw.shuffle(names)
                rate = product_rate()
                seconds = {}
                for name in names:
                    step = case.steps[name]
                    seconds[name] = clocked(lambda step=step, n=number: step(n))[0]
                rate = max(rate, product_rate())
                if number < 2:  # to warm up
                    continue
                label = f"{pieces:,} {kind}"
                rounds[f"{label}: share that is text"].append(case.fill(number))
                for name in case.steps:
                    ratio = seconds["transformers"] / seconds[name]
                    rounds[f"{label}: {name}"].append(ratio)
                for name in ("transformers", list(case.steps)[-1]):
                    used = case.operations(number) / seconds[name] / rate
                    rounds[f"{label}: {name}, of peak"].append(used)
                last = list(case.steps)[-1]
                rounds[f"{label}: {last}, ms"].append(seconds[last] * 1e3)
    results = spread(rounds)
    record(
        card,
        "An update of pretraining, BERT-mini with both objectives, beside "
        "transformers, in turn; ratios of the library's time over ours; minimum, "
        "median and maximum",
        f"batches of {SIZE} pairs, long ones from WikiText-2's validation split, short "
        f"ones from {introductions().source}",
        results,
        ("torch", "transformers"),
        device_name(DEVICE),
        rounds=count,
        precision=str(PRECISION).removeprefix("torch."),
        gate="loss and gradients within "
        + ("1e-4 (relative, float32)" if CUDA else "1e-5 (relative, float32)"),
    )


if __name__ == "__main__":
    main()
