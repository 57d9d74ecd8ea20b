"""How fast is a step of fine-tuning, beside the transformers library?

    python benchmarks/finetuning.py                       print a table
    python benchmarks/finetuning.py --card FILE.json      and record the run

BERT-mini with 30,522 pieces and a head for two classes, 32 short texts, no dropout, on
one core. In each round all versions do a whole update on the same batch, clipping
included: the library's model on rows padded to 128, and to the longest text of the
batch; ours on the same; and our engine as `bertcore finetune` runs it, which packs the
texts into rows and computes the last layer for [CLS] alone. A ratio is the time of the
first over the version's: above 1 it is faster. `of peak` is the share of the products
of matrices that the core can do, by the fastest one in tests before and after the
updates of a round, that went into useful ones: those without which there is no loss and
no gradient, so neither padding nor the last layer at other places than [CLS]. Before
that, loss and gradients must agree.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from measure import options, peak, record, spread, timed
from torch import Tensor, nn
from tqdm import trange

from bertcore import BertConfig, BertForSequenceClassification, Tokenizer
from bertcore.model.counts import Costs
from bertcore.model.published import published_name
from bertcore.sources import ENCODER
from bertcore.tasks import KINDS
from bertcore.tasks.classification import TextObjective
from bertcore.tasks.task import Feature, class_loss
from bertcore.text.batch import TrainingBatch
from bertcore.text.corpora import introductions
from bertcore.text.pairs import assembled
from bertcore.text.store import Store
from bertcore.training.devices import device_name
from bertcore.training.loop import ComputeSettings, TrainingState, train
from bertcore.training.optim import decay_groups, is_decayed, make_optimisers
from bertcore.training.recipe import Tuning

ROW, TEXTS, SHORT = 128, 32, 70
Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch, Tensor], Tensor]


def library(model: nn.Module, batch: Batch, labels: Tensor) -> Tensor:
    """The library's own loss."""
    return model(**batch, labels=labels).loss


def ours(model: BertForSequenceClassification, batch: Batch, labels: Tensor) -> Tensor:
    """Ours on padded rows."""
    return F.cross_entropy(model(**batch), labels)


def padded(batch: Batch, width: int) -> Batch:
    """Rows of this width."""
    room = width - batch["input_ids"].shape[1]
    return {name: F.pad(value, (0, room)) for name, value in batch.items()}


class Version:
    """A model, its optimiser, and what it makes of a batch."""

    def __init__(self, model: nn.Module, loss: Loss, fused: bool) -> None:
        groups = [{"params": list(model.parameters())}]
        if fused:
            groups = decay_groups(model.named_parameters(), is_decayed(model), 0.01)
        self.model, self.loss = model, loss
        self.optimiser = torch.optim.AdamW(groups, 1e-5, fused=fused or None)

    def update(self, batch: Batch, labels: Tensor) -> None:
        """Forward, backward, clip, optimiser."""
        self.loss(self.model, batch, labels).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


class Engine:
    """Our engine; the batch is packed within the update's time, as in a run."""

    def __init__(self, model: BertForSequenceClassification) -> None:
        self.model, self.given = model, None
        self.objective = TextObjective(model, class_loss)
        tuning = Tuning(epochs=1e6, batch=TEXTS, learning_rate=1e-5, warmup=0.0)
        recipe = tuning.recipe(TEXTS)
        optimisers = make_optimisers(self.objective, recipe)
        settings = ComputeSettings(torch.device("cpu"))
        self.records = train(
            self.objective, self, optimisers, recipe, settings, TrainingState()
        )

    def work(self, batch: Batch, labels: Tensor) -> TrainingBatch:
        """The batch as the engine takes it."""
        features = []
        kept = batch["attention_mask"].bool()
        for n, (ids, types, keep) in enumerate(
            zip(batch["input_ids"], batch["token_type_ids"], kept, strict=True)
        ):
            first = ids[keep & (types == 0)].tolist()
            second = ids[keep & (types == 1)].tolist()
            features.append(Feature(n, first, second, [0], [int(labels[n])]))
        return KINDS["classification"].batch(features, 0)

    def __getitem__(self, _: int) -> TrainingBatch:
        return self.work(*self.given)

    def name(self, number: int) -> str:
        """The pass in words."""
        return f"pass {number}"

    def loss(self, _: nn.Module, batch: Batch, labels: Tensor) -> Tensor:
        """As the others have it."""
        return self.objective(**self.work(batch, labels).arguments)[0] / TEXTS

    def update(self, batch: Batch, labels: Tensor) -> None:
        """One update."""
        self.given = batch, labels
        next(self.records)


def versions() -> dict[str, Version | Engine]:
    """All of them, with the same weights."""
    config = BertConfig.preset("mini", dropout=0.0, attention_dropout=0.0)
    torch.manual_seed(0)
    first = transformers.BertForSequenceClassification(
        transformers.BertConfig(**config.to_dict())
    )

    def theirs() -> nn.Module:
        model = transformers.BertForSequenceClassification(first.config)
        model.load_state_dict(first.state_dict())
        return model.train()

    def own() -> BertForSequenceClassification:
        model, weights = (
            BertForSequenceClassification(config),
            dict(first.named_parameters()),
        )
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[published_name(name)])
        return model

    return {
        "transformers, padded to 128": Version(theirs(), library, fused=False),
        "transformers, padded to the longest": Version(theirs(), library, fused=False),
        "ours, padded to the longest": Version(own(), ours, fused=True),
        "ours, packed": Engine(own()),
    }


def product_rate() -> float:
    """Operations a second in products of matrices, at best, just now."""
    left, right = torch.randn(2, 1024, 1024)
    return peak(lambda: timed(lambda: left @ right)[0], 2 * 1024**3)


def samples(engine: Engine) -> Iterator[TrainingBatch]:
    """Batches without padding, of three lengths, and one of two texts."""
    for texts, size in ((1, 8), (1, 16), (1, 32), (2, 8)):
        ids = torch.ones(texts, size, dtype=torch.long)
        batch = {"input_ids": ids, "token_type_ids": 0 * ids, "attention_mask": ids}
        yield engine.work(batch, ids[:, 0])


def inputs(name: str, batch: Batch, labels: Tensor) -> tuple[Batch, Tensor]:
    """The batch as a version takes it."""
    if name.endswith("128"):
        return padded(batch, ROW), labels
    return batch, labels


def gate(made: dict[str, Version | Engine], batch: Batch, labels: Tensor) -> None:
    """Losses and gradients of one batch agree, or nothing is compared."""
    slopes, losses = {}, {}
    for name, version in made.items():
        loss = version.loss(version.model, *inputs(name, batch, labels))
        loss.backward()
        losses[name] = loss.item()
        slopes[name] = {
            n if version.loss is library else published_name(n): p.grad.clone()
            for n, p in version.model.named_parameters()
        }
        version.model.zero_grad(set_to_none=True)
    (reference, wanted), *others = slopes.items()
    for name, found in others:
        if abs(losses[name] - losses[reference]) > 1e-5:
            raise SystemExit(f"{name}: the loss differs; no comparison makes sense")
        for parameter, slope in wanted.items():
            far = (found[parameter] - slope).norm() / slope.norm().clamp(min=1e-5)
            if far > 1e-4:
                raise SystemExit(f"{name}: the gradient of {parameter} differs")


def main() -> None:
    """Run, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_pretrained(ENCODER)
    store = Store.of([d.text for d in introductions().documents], tokenizer)
    spans = np.array(
        [
            (a.start, b.stop, 0, 0)
            for document in store
            for a, b in pairwise(document)
            if len(a) + len(b) + 2 <= SHORT
        ]
    )
    made, draw, rounds = versions(), random.Random(0), defaultdict(list)
    engine = made["ours, packed"]
    costs = Costs.of(engine.objective, samples(engine))
    for number in trange(given.rounds + 1, leave=False):
        rng = np.random.default_rng(number)
        chosen = rng.choice(len(spans), TEXTS, replace=False)
        batch = assembled(store.ids, spans[chosen], tokenizer)
        labels = torch.from_numpy(rng.integers(0, 2, TEXTS))
        if number == 0:
            gate(made, batch, labels)
        sizes = batch["attention_mask"].sum(dim=1).tolist()
        rate, seconds = product_rate(), {}
        for name in draw.sample(list(made), len(made)):
            one = inputs(name, batch, labels)
            seconds[name], _ = timed(lambda v=made[name], one=one: v.update(*one))
        if number == 0:  # to warm up
            continue
        rate = max(rate, product_rate())
        useful = costs.useful(engine.work(batch, labels)) / rate
        rounds["share of the padded rows that is text"].append(sum(sizes) / TEXTS / ROW)
        for name in made:
            ratio = seconds["transformers, padded to 128"] / seconds[name]
            rounds[name].append(ratio)
        for name in ("transformers, padded to 128", "ours, packed"):
            rounds[f"{name}: of peak"].append(useful / seconds[name])
        rounds["ours, packed: ms"].append(1e3 * seconds["ours, packed"])
    results = spread(rounds)
    record(
        given.card,
        "An update of fine-tuning, BERT-mini with a head for two classes, beside "
        "transformers, in turn; ratios of the first one's time over each; minimum, "
        "median and maximum",
        f"batches of {TEXTS} pairs of sentences from {introductions().source}",
        results,
        ("torch", "transformers"),
        device_name(torch.device("cpu")),
        rounds=given.rounds,
        gate="losses within 1e-5, gradients within 1e-4 (relative)",
    )


if __name__ == "__main__":
    main()
