"""How fast is a step of fine-tuning, beside the transformers library?

    python benchmarks/finetuning.py                       print a table
    python benchmarks/finetuning.py --card FILE.json      and record the run

BERT-mini with 30,522 pieces and a head for two classes, 32 short texts, no dropout, on
one core. In each round all versions do a whole update on the same batch, clipping
included: the library's model on rows padded to 128, and to the longest text of the
batch; ours on the same, and with the texts packed into rows of 128. A ratio is the time
of the first over the version's: above 1 it is faster. Before that, loss and gradients
must agree.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from einops import rearrange
from measure import options, record, spread, timed
from torch import Tensor, nn
from tqdm import trange

from bertcore import BertConfig, BertForSequenceClassification, Tokenizer
from bertcore.model.names import published_name
from bertcore.sources import ENCODER
from bertcore.text.batch import pack
from bertcore.text.corpus import introductions
from bertcore.text.examples import assembled
from bertcore.text.store import Store
from bertcore.training.objective import useful_operations
from bertcore.training.objectives import begins
from bertcore.training.optim import decay_groups, is_decayed
from bertcore.training.runtime import device_name

ROW, TEXTS, SHORT = 128, 32, 70
Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch, Tensor], Tensor]


def library(model: nn.Module, batch: Batch, labels: Tensor) -> Tensor:
    """The library's own loss."""
    return model(**batch, labels=labels).loss


def ours(model: BertForSequenceClassification, batch: Batch, labels: Tensor) -> Tensor:
    """Ours on padded rows."""
    return F.cross_entropy(model(**batch), labels)


def ours_packed(
    model: BertForSequenceClassification, batch: Batch, labels: Tensor
) -> Tensor:
    """Ours on packed rows: the first state of each text is pooled."""
    first = model.bert(**batch)[begins(batch)]
    pooled = model.bert.pooler(rearrange(first, "b w -> b 1 w"))
    return F.cross_entropy(model.classifier(pooled), labels)


def padded(batch: Batch, width: int) -> Batch:
    """Rows of this width."""
    room = width - batch["input_ids"].shape[1]
    return {name: F.pad(value, (0, room)) for name, value in batch.items()}


def in_rows(batch: Batch, labels: Tensor) -> tuple[Batch, Tensor]:
    """Packed, and the labels in the order in which the texts now stand."""
    found = pack({**batch, "next_sentence_label": labels}, ROW, pad_id=0).batch
    return found, found.pop("next_sentence_label")


class Version:
    """A model, its optimiser, and what it makes of a batch."""

    def __init__(self, model: nn.Module, loss: Loss, fused: bool) -> None:
        groups = [{"params": list(model.parameters())}]
        if fused:
            groups = decay_groups(model.named_parameters(), is_decayed(model), 0.01)
        self.model, self.loss = model, loss
        self.optimiser = torch.optim.AdamW(groups, 1e-5, fused=fused or None)

    def update(self, batch: Batch, labels: Tensor) -> float:
        """Forward, backward, clip, optimiser."""
        loss = self.loss(self.model, batch, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.item()


def versions() -> dict[str, Version]:
    """All of them, with the same weights."""
    config = BertConfig.preset("mini", dropout=0.0, attention_dropout=0.0)
    torch.manual_seed(0)
    first = transformers.BertForSequenceClassification(
        transformers.BertConfig(**config.to_dict())
    )
    weights = dict(first.named_parameters())
    found = {}
    for name, loss in (
        ("transformers, padded to 128", library),
        ("transformers, padded to the longest", library),
        ("ours, padded to the longest", ours),
        ("ours, packed", ours_packed),
    ):
        if loss is library:
            model = transformers.BertForSequenceClassification(first.config)
            model.load_state_dict(first.state_dict())
        else:
            model = BertForSequenceClassification(config)
            with torch.no_grad():
                for own, parameter in model.named_parameters():
                    parameter.copy_(weights[published_name(own)])
        found[name] = Version(model, loss, fused=loss is not library)
    return found


def inputs(name: str, batch: Batch, labels: Tensor) -> tuple[Batch, Tensor]:
    """The batch as a version takes it."""
    if name == "ours, packed":
        return in_rows(batch, labels)
    if name.endswith("128"):
        return padded(batch, ROW), labels
    return batch, labels


def gate(made: dict[str, Version], batch: Batch, labels: Tensor) -> None:
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
    left, right = torch.randn(2, 1024, 1024)
    for number in trange(given.rounds + 1, leave=False):
        rng = np.random.default_rng(number)
        chosen = rng.choice(len(spans), TEXTS, replace=False)
        batch = assembled(store.ids, spans[chosen], tokenizer)
        labels = torch.from_numpy(rng.integers(0, 2, TEXTS))
        if number == 0:
            gate(made, batch, labels)
        sizes = batch["attention_mask"].sum(dim=1).tolist()
        tests, _ = timed(lambda: [left @ right for _ in range(5)])
        seconds = {}
        for name in draw.sample(list(made), len(made)):
            one = inputs(name, batch, labels)
            seconds[name], _ = timed(lambda v=made[name], one=one: v.update(*one))
        if number == 0:  # to warm up
            continue
        config = made["ours, packed"].model.config
        useful = useful_operations(config, sizes, 0) / (5 * 2 * 1024**3 / tests)
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
