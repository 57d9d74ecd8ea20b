"""Is it worth its cost: to share layers, to be taught, to find what was replaced?

    python benchmarks/ideas.py --part share                 run one of three
    python benchmarks/ideas.py --part share --card F.json   and record the run
    python benchmarks/ideas.py --part share --first 2 --seeds 1 > LOG   one seed alone
    python benchmarks/ideas.py --part share --logs LOG … --card F.json  record such runs

Three experiments of a few minutes on one core. Within each, all models read the same
batches with the same masks, so that one thing differs; three seeds each.

share   On tales: a BERT with four layers of its own, the same with one layer used four
        times, and with one layer used once. Held-out loss of the masked pieces.
teach   On tales: a student of two narrow layers learns masked pieces alone; with the
        scores of a teacher of four wider layers, too; with how frequent pieces are in
        place of these scores, which are soft targets without knowledge; and with the
        relations of the teacher's last layer (MiniLM). Then the one alone goes on until
        it has had as much time as the taught one with its teacher. Held-out loss.
find    On tales: one generator fills the gaps for three discriminators. They are
        judged on all tokens; on the masked ones alone; and on as many tokens as are
        masked, drawn from all. Asked of held-out texts: how often a replaced token has
        a higher score than an original one. Then a probe of the frozen states: which
        tokens have changed places with their neighbour? It also asks a masked LM of
        the same size, and untrained weights.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from bertcore import BertConfig, BertForMaskedLM, Tokenizer
from bertcore.cards import make_card, write_card
from bertcore.model.attention import attention_map
from bertcore.model.inference import evaluation
from bertcore.model.variants.electra import ElectraConfig, ElectraForPreTraining
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker
from bertcore.text.pairs import window_examples
from bertcore.text.store import Store
from bertcore.text.tales import SOURCE, tales
from bertcore.text.wordpiece import train_tokenizer
from bertcore.training.distillation import soft_target_loss
from bertcore.training.evaluate import HeldOut
from bertcore.training.objectives import IGNORE_INDEX

SEEDS, BATCH, LENGTH, WARMUP, RATE = 3, 16, 64, 50, 2e-3
STEPS = {"share": 400, "teach": 300, "find": 200}
TEACHER_STEPS = 500
EVERY = 100  # updates between two evaluations
TEMPERATURE = 1.0
SIZES = {"hidden_size": 64, "heads": 4, "feedforward_size": 256, "dropout": 0.0,
    "max_positions": LENGTH, "attention_dropout": 0.0}  # fmt: skip
Results = dict[str, dict[str, list[float]]]  # name, updates: a number for each seed


@dataclass(frozen=True, eq=False)
class Texts:
    """What an experiment reads."""

    tokenizer: Tokenizer
    train: Store
    held_out: Store
    source: str

    def batches(self, masker: Masker, seed: int) -> Batches:
        """Batches to train on."""
        examples = window_examples(self.train, LENGTH)
        return Batches(self.train, examples, self.tokenizer, masker, BATCH, seed)

    def test(self) -> HeldOut:
        """Masked pieces of texts that nobody trains on."""
        examples = window_examples(self.held_out, LENGTH)
        return HeldOut(self.held_out, examples, self.tokenizer, most=256)


def of_tales() -> Texts:
    """Made-up stories, and their own vocabulary."""
    told, others = tales(4000, seed=0), tales(300, seed=1)
    tokenizer = train_tokenizer([line for tale in told for line in tale], 560)
    stores = (Store.of(each, tokenizer) for each in (told, others))
    return Texts(tokenizer, *stores, SOURCE)


class Learner:
    """A model with its optimiser; `update` takes one step."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.step, self.seconds = model, 0, 0.0
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.01}]
        groups += [{"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, eps=1e-6, fused=True)

    def update(self, loss: Callable[..., Tensor], *arguments: Any) -> None:
        """One step down a loss of the model and of what else it takes.

        Its time is that of this model alone.
        """
        start = time.process_time()
        self.optimiser.zero_grad()
        loss(self.model, *arguments).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * min(1, (self.step + 1) / WARMUP)
        self.optimiser.step()
        self.step += 1
        self.seconds += time.process_time() - start


def body_inputs(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `Bert.forward` takes of a batch."""
    return {k: batch[k] for k in ("input_ids", "attention_mask")}


def masked_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The mean loss of the masked pieces."""
    logits, labels = masked_logits(model, batch)
    return F.cross_entropy(logits, labels)


def masked_logits(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits `t v` at the masked positions, and their labels, `t`."""
    at = batch["labels"] != IGNORE_INDEX
    hidden = model.bert(**body_inputs(batch))[at]
    return model.mlm_head(hidden, model.bert.embeddings.token.weight), batch["labels"][
        at
    ]


def noted(results: Results, name: str, step: int, value: float) -> None:
    """Add a number, and print it."""
    results.setdefault(name, {}).setdefault(str(step), []).append(round(value, 4))
    print(f"{name:40} {step:6} {value:.4f}", flush=True)


# Share --------------------------------------------------------------------------------


def shared(config: BertConfig, times: int) -> BertForMaskedLM:
    """A BERT whose only layer is used several times.

    It is no ALBERT, because ALBERT also has a matrix after its tables: here nothing
    but the sharing may differ.
    """
    model = BertForMaskedLM(config)
    (layer,) = model.bert.encoder.layers
    model.bert.encoder.layers = nn.ModuleList([layer] * times)
    return model


def share(texts: Texts, steps: int, seed: int, results: Results) -> None:
    """One layer used four times, beside four layers, and beside one."""
    sizes, test = {**SIZES, "vocab_size": len(texts.tokenizer)}, texts.test()
    makers = {
        "four layers": lambda: BertForMaskedLM(BertConfig(**sizes, layers=4)),
        "one layer, used four times": lambda: shared(BertConfig(**sizes, layers=1), 4),
        "one layer": lambda: BertForMaskedLM(BertConfig(**sizes, layers=1)),
    }
    learners = seeded(makers, seed)
    batches = texts.batches(Masker(texts.tokenizer), seed)
    for step in range(steps):
        batch = batches[step]
        for name, learner in learners.items():
            learner.update(masked_loss, batch)
            if (step + 1) % EVERY == 0:
                noted(results, name, step + 1, test.ask(learner.model).masked_lm)
    for name, learner in learners.items():
        noted(results, f"{name}: seconds", steps, learner.seconds)
    noted(results, "unigram line", 0, test.unigram(texts.train))


def seeded(makers: dict[str, Callable[[], nn.Module]], seed: int) -> dict[str, Learner]:
    """Models that begin with the same seed."""
    learners = {}
    for name, make in makers.items():
        torch.manual_seed(seed)
        learners[name] = Learner(make())
    return learners


# Teach --------------------------------------------------------------------------------


class Outputs(NamedTuple):
    """What a student can be taught: scores, and two relations of the last layer.

    Wang et al. 2020 (MiniLM), section 3: attention weights, and how values are alike;
    logs, `b h q k` each, whatever the width of a head.
    """

    scores: Tensor
    relations: tuple[Tensor, Tensor]


def outputs(model: nn.Module, batch: dict[str, Tensor]) -> Outputs:
    """The scores at the masked positions, and the relations of the last layer."""
    attention, asked = model.bert.encoder.layers[-1].attention, []
    hook = attention.register_forward_pre_hook(lambda _, given: asked.append(given[0]))
    scores, _ = masked_logits(model, batch)
    hook.remove()
    (hidden,), allowed = asked, attention_map(batch["attention_mask"])
    weights = attention.weights(hidden, allowed).clamp_min(1e-9).log()
    _, value = attention.offer(hidden)
    alike = value @ value.transpose(-1, -2) / value.shape[-1] ** 0.5
    alike = alike.masked_fill(~allowed, -1e4).log_softmax(dim=-1)
    return Outputs(scores, (weights, alike))


def relation_loss(own: Outputs, taught: Outputs, real: Tensor) -> Tensor:
    """The mean divergence over heads and queries of tokens, `b s`; both relations."""
    loss = torch.zeros(())
    for mine, teacher in zip(own.relations, taught.relations, strict=True):
        gap = (teacher.exp() * (teacher - mine)).sum(dim=-1)  # b h q
        loss = loss + gap.transpose(1, 2)[real].mean()
    return loss


def lesson(
    model: nn.Module, batch: dict[str, Tensor], way: str, taught: Outputs, known: Tensor
) -> Tensor:
    """The loss of a student that learns in one of the ways.

    Args:
        known: logs of how frequent the pieces are, `v`.
    """
    own = outputs(model, batch) if way == "relations" else None
    logits, labels = masked_logits(model, batch) if own is None else (
        own.scores, batch["labels"][batch["labels"] != IGNORE_INDEX])  # fmt: skip
    loss = F.cross_entropy(logits, labels)
    if own is not None:
        return loss + relation_loss(own, taught, batch["attention_mask"].bool())
    if way == "alone":
        return loss
    target = taught.scores if way == "soft targets" else known.expand_as(logits)
    return loss + soft_target_loss(logits, target, TEMPERATURE) / len(labels)


@cache
def trained_teacher(texts: Texts) -> nn.Module:
    """Four layers, pretrained on batches that no student reads."""
    sizes = {**SIZES, "vocab_size": len(texts.tokenizer), "layers": 4}
    new = {"teacher": lambda: BertForMaskedLM(BertConfig(**sizes))}
    (teacher,) = seeded(new, seed=99).values()
    batches = texts.batches(Masker(texts.tokenizer), seed=99)
    for step in range(TEACHER_STEPS):
        teacher.update(masked_loss, batches[step])
    return teacher.model.eval()


def teach(texts: Texts, steps: int, seed: int, results: Results) -> None:
    """A student alone and taught in three ways; and alone for as long."""
    sizes, test = {**SIZES, "vocab_size": len(texts.tokenizer)}, texts.test()
    sizes |= {"hidden_size": 32, "feedforward_size": 128}
    teacher = trained_teacher(texts)
    counts = np.bincount(texts.train.ids, minlength=len(texts.tokenizer)) + 1.0
    known = torch.from_numpy(np.log(counts / counts.sum())).float()
    names = "alone", "soft targets", "frequencies as soft targets", "relations"
    new = lambda: BertForMaskedLM(BertConfig(**sizes, layers=2))  # noqa: E731
    learners = seeded(dict.fromkeys(names, new), seed)
    batches, asking = texts.batches(Masker(texts.tokenizer), seed), 0.0
    for step in range(steps):
        batch, start = batches[step], time.process_time()
        with torch.no_grad():
            masked_logits(teacher, batch)  # all that soft targets need of the teacher
            asking += time.process_time() - start
            taught = outputs(teacher, batch)
        for name, learner in learners.items():
            learner.update(lesson, batch, name, taught, known)
            if (step + 1) % EVERY == 0:
                noted(results, name, step + 1, test.ask(learner.model).masked_lm)
    alone, longest = learners["alone"], learners["soft targets"].seconds + asking
    noted(results, "alone: seconds", steps, alone.seconds)
    noted(results, "soft targets: seconds, with the teacher's", steps, longest)
    while alone.seconds < longest:
        batch = batches[alone.step]
        alone.update(masked_loss, batch)
    noted(results, "alone, as long: updates", 0, alone.step)
    noted(results, "alone, as long", 0, test.ask(alone.model).masked_lm)
    noted(results, "teacher", 0, test.ask(teacher).masked_lm)
    noted(results, "unigram line", 0, test.unigram(texts.train))


# Find ---------------------------------------------------------------------------------


def replaced(
    generator: nn.Module, batch: dict[str, Tensor], draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The texts with pieces that a generator has drawn; which of them are others."""
    at = batch["labels"] != IGNORE_INDEX
    with torch.no_grad():
        shares = masked_logits(generator, batch)[0].softmax(dim=-1)
    drawn = torch.multinomial(shares, 1, generator=draw)[:, 0]
    shown = batch["input_ids"].masked_scatter(at, drawn)
    other = torch.zeros_like(at).masked_scatter(at, drawn != batch["labels"][at])
    return shown, other


NAMES = "all tokens", "masked tokens", "as many, drawn from all"


def judge(
    model: nn.Module, shown: Tensor, mask: Tensor, other: Tensor, where: Tensor
) -> Tensor:
    """The mean loss of a discriminator at some tokens."""
    scores = model(shown, attention_mask=mask)[where]
    return F.binary_cross_entropy_with_logits(scores, other[where].float())


def find_learners(texts: Texts, seed: int) -> dict[str, Learner]:
    """The generator, three discriminators, a masked LM; and one that does not learn."""
    sizes = {**SIZES, "vocab_size": len(texts.tokenizer), "layers": 2}
    small = {**sizes, "hidden_size": 16, "heads": 1, "feedforward_size": 64}
    config = ElectraConfig(**sizes, embedding_size=SIZES["hidden_size"])
    makers: dict[str, Callable[[], nn.Module]] = {
        "generator": lambda: BertForMaskedLM(BertConfig(**small)),
        "masked LM": lambda: BertForMaskedLM(BertConfig(**sizes)),
    }
    for name in (*NAMES, "untrained"):
        makers[name] = lambda: ElectraForPreTraining(config)
    return seeded(makers, seed)


def find(texts: Texts, steps: int, seed: int, results: Results) -> None:
    """Three discriminators that differ in the tokens that they are judged on."""
    learners, draw = find_learners(texts, seed), torch.Generator().manual_seed(seed)
    masker = Masker(texts.tokenizer, masked=1.0, random=0.0)
    batches, generator = texts.batches(masker, seed), learners["generator"]
    seen = np.ones((2, len(texts.tokenizer)))  # originals and replaced, by piece
    for step in range(steps):
        batch = batches[step]
        mask, masked = batch["attention_mask"], batch["labels"] != IGNORE_INDEX
        real = mask > 0
        shown, other = replaced(generator.model, batch, draw)
        for name in ("generator", "masked LM"):
            learners[name].update(masked_loss, batch)
        places = real.flatten().nonzero()[:, 0]
        order = torch.randperm(len(places), generator=draw)
        some = torch.zeros_like(real.flatten())
        some[places[order[: masked.sum()]]] = True
        for name, where in zip(NAMES, (real, masked, some.view_as(real)), strict=True):
            learners[name].update(judge, shown, mask, other, where)
        for row in (0, 1):
            pieces = shown[real & (other == bool(row))]
            seen[row] += np.bincount(pieces, minlength=len(texts.tokenizer))
        if (step + 1) % EVERY == 0:
            exam(texts, learners, step + 1, seen, results)
    for name, learner in learners.items():
        noted(results, f"{name}: seconds", steps, learner.seconds)
        if name != "generator":
            noted(results, f"probe: {name}", steps, probed(texts, learner.model.bert))


def held_out_batches(texts: Texts, count: int) -> list[dict[str, Tensor]]:
    """Batches of held-out texts, always the same."""
    examples = window_examples(texts.held_out, LENGTH)
    masker = Masker(texts.tokenizer, masked=1.0, random=0.0)
    made = Batches(texts.held_out, examples, texts.tokenizer, masker, 64, seed=15)
    return [made[n] for n in range(count)]


def exam(
    texts: Texts,
    learners: dict[str, Learner],
    step: int,
    seen: np.ndarray,
    results: Results,
) -> None:
    """How often a replaced token has a higher score than an original, of all tokens.

    And of the masked ones alone; a counter that knows how often each piece was the
    replaced one is asked, too.
    """
    draw, scores, truth, masked = torch.Generator().manual_seed(15), {}, [], []
    generator = learners["generator"].model
    counter = torch.from_numpy(np.log(seen[1] / seen[0]))
    for batch in held_out_batches(texts, 6):
        real = batch["attention_mask"] > 0
        shown, other = replaced(generator, batch, draw)
        truth.append(other[real])
        masked.append((batch["labels"] != IGNORE_INDEX)[real])
        scores.setdefault("counter", []).append(counter[shown[real]])
        for name in NAMES:
            model = learners[name].model
            with evaluation(model), torch.no_grad():
                found = model(shown, attention_mask=batch["attention_mask"])[real]
            scores.setdefault(name, []).append(found)
    right, asked = torch.cat(truth).numpy(), torch.cat(masked).numpy()
    for name, found in scores.items():
        values = torch.cat(found).numpy()
        noted(results, f"{name}: found", step, roc_auc_score(right, values))
        among = roc_auc_score(right[asked], values[asked])
        noted(results, f"{name}: found among masked", step, among)


def probed(texts: Texts, body: nn.Module) -> float:
    """A linear probe of frozen states: has this token changed places with another?"""
    rng, parts = np.random.default_rng(0), []
    for batch in held_out_batches(texts, 6):
        at = batch["labels"] != IGNORE_INDEX
        ids = batch["input_ids"].masked_scatter(at, batch["labels"][at])
        real, moved = batch["attention_mask"] > 0, torch.zeros_like(at)
        for row, length in enumerate(real.sum(dim=1).tolist()):
            for place in rng.choice(range(1, length - 2, 2), length // 14, False):
                if ids[row, place] != ids[row, place + 1]:
                    ids[row, place : place + 2] = ids[row, place : place + 2].flip(0)
                    moved[row, place : place + 2] = True
        with evaluation(body), torch.no_grad():
            parts.append((body(ids, attention_mask=batch["attention_mask"])[real],
                          moved[real]))  # fmt: skip
    states, truth = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    half = len(truth) // 2
    fitted = LogisticRegression(max_iter=1000).fit(states[:half], truth[:half])
    return roc_auc_score(truth[half:], fitted.decision_function(states[half:]))


PARTS = {
    "share": (share, of_tales),
    "teach": (teach, of_tales),
    "find": (find, of_tales),
}
WHAT = {
    "share": "Four layers, one layer used four times, and one layer: held-out loss of "
    "the masked pieces in nats, by update, seed by seed",
    "teach": "A student of two layers, pretrained alone and with a teacher: held-out "
    "loss of the masked pieces in nats, by update, seed by seed",
    "find": "Discriminators judged on all tokens, on the masked ones, and on as many "
    "drawn from all: how often a replaced token has the higher score, seed by seed",
}


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--logs", type=Path, nargs="*", help="what runs have printed")
    parser.add_argument("--steps", type=int, help="updates, to try it")
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    torch.set_num_threads(1)
    run, read = PARTS[given.part]
    texts, steps = read(), given.steps or STEPS[given.part]
    results: dict[str, Any] = {}
    for log in given.logs or ():  # in the order of their seeds
        for line in log.read_text(encoding="utf8").splitlines():
            name, step, value = line.rsplit(maxsplit=2)
            results.setdefault(name, {}).setdefault(step, []).append(float(value))
    if not given.logs:
        for seed in range(given.first, given.first + given.seeds):
            run(texts, steps, seed, results)
    if given.card:
        card = make_card(
            WHAT[given.part], texts.source, results, seeds=given.seeds, updates=steps,
            batch=BATCH, length=LENGTH, warm_up=WARMUP, learning_rate=RATE,
            pieces=len(texts.tokenizer), sizes=SIZES, temperature=TEMPERATURE,
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
