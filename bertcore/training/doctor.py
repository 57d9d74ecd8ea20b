"""Doctor: why a run does not learn, from what its folder holds (chapters 9b and 10).

A card tells how a run went: its losses, learning rates and gradients in stretches, its
evaluations, and the loss of a model that does not look at the text. A run of `bertcore
pretrain` has its texts, too, so its model is asked what it sees behind a mask.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.files import read_json
from bertcore.model.inference import evaluation
from bertcore.model.variants.families import masked_lm_of
from bertcore.model.weights import read_tensors, weights_file
from bertcore.sources import find_optional
from bertcore.training.engine import CARD
from bertcore.training.evaluate import HeldOut
from bertcore.training.objectives import states_and_logits
from bertcore.training.run import RUN, RunDescription

FEW = 20  # updates; after fewer a loss tells nothing
EIGHTH = 8  # of a run: what is compared with what came before
NEAR = 0.97  # of the loss of a model that does not look
FAR = 1.1  # of that loss: not yet near it
RISE = 0.2  # of that loss, or of the first one
EMPTY = 3  # tokens of a text, of which two are special
UNKNOWN = 0.3  # of all pieces
MOST = 0.9  # of the parameters learn, or somebody froze them
CLEARLY = 0.9  # of another loss
BATCHES = 4  # of held-out texts
_OF_PAIRS = "first", "follows"


class Finding(NamedTuple):
    """What is wrong, and what to do about it."""

    what: str
    remedy: str


class Diagnosis(NamedTuple):
    """What was found, after how many updates, and what could not be looked at."""

    findings: list[Finding]
    unseen: list[str]
    updates: int | None

    def lines(self) -> Iterator[str]:
        """All of it, to read."""
        for number, (what, remedy) in enumerate(self.findings, 1):
            yield f"{number}. {what}."
            yield f"   What to do: {remedy}."
        if not self.findings:
            after = "" if self.updates is None else f" in {self.updates:,} updates"
            yield f"nothing found{after}"
        yield from (f"not looked at: {each}" for each in self.unseen)


class Course(NamedTuple):
    """How a run went, as its card tells it.

    `asked` is its recipe or tuning. `losses`, `rates` and `gradients` are those of its
    stretches, and `ends` their last updates. `line` is the loss of a model that does
    not look at the text; `level` is what to compare with it, the loss of held-out
    texts or the newest of the losses.
    """

    results: Mapping[str, Any]
    setting: Mapping[str, Any]
    asked: Mapping[str, Any]
    ends: list[int]
    losses: list[float]
    rates: list[float]
    gradients: list[float]
    line: float | None
    level: float

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """That of the card of a run, of this version or an earlier one."""
        results, setting = card["results"], card["setting"]
        asked = setting.get("recipe") or setting.get("tuning") or {}
        sound = [each for each in setting.get("updates", ()) if None not in each]
        ends, losses, rates, gradients = ([each[n] for each in sound] for n in range(4))
        level = fmean(losses[-_part(losses) :]) if losses else 0.0
        if "held_out" in results:
            level = results["held_out"]["masked_lm"]
        line = results.get("unigram_loss", results.get("constant_loss"))
        return cls(results, setting, asked, ends, losses, rates, gradients, line, level)

    @property
    def pretrains(self) -> bool:
        """Whether it learns from texts, and not from rows."""
        return "recipe" in self.setting

    @property
    def evaluated(self) -> list[tuple[int, float]]:
        """Update and loss of each evaluation, or update and main score."""
        curve = self.setting.get("curve", ())
        if self.pretrains:
            return [(step, loss) for step, _, _, loss in curve]
        return [(each[1], next(iter(each[3].values()))) for each in curve]


def _part(values: list[Any]) -> int:
    return -(-len(values) // EIGHTH)


# What a card tells --------------------------------------------------------------------


def _updates(run: Course) -> Iterator[Finding]:
    """Updates that were left out, or that changed nothing."""
    steps, left = run.results["steps"], run.results["steps_left_out"]
    rate, highest = run.asked.get("learning_rate", 0), max(run.rates, default=0)
    if left:
        yield Finding(
            f"{left:,} of {max(steps, left):,} updates were left out, because their "
            "losses or gradients were infinite or no numbers",
            f"begin anew with a lower --learning-rate (it was {rate:g}); if few were "
            "left out, --precision float32 may be enough",
        )
    elif run.rates and highest <= rate / 2:
        done, warmup = run.results["progress"], run.asked["warmup"]
        go_on = "" if done >= 1 else ", or let the run go on with bertcore resume"
        yield Finding(
            f"the learning rate was {highest:g} at most, and {rate:g} was asked for: "
            f"{done:.0%} of the run is done, and warm-up takes {warmup:.0%} of it",
            "give a smaller --warmup, or more updates with "
            f"{'--steps or --seconds' if run.pretrains else '--epochs'}{go_on}",
        )


def _losses(run: Course) -> Iterator[Finding]:
    """A loss that rises, or that stays where a model is that does not look."""
    if _young(run) or not run.losses or any(_updates(run)):
        return
    part, rate = _part(run.losses), run.asked.get("learning_rate", 0)
    means = [fmean(run.losses[n : n + part]) for n in range(len(run.losses) - part + 1)]
    # A linear schedule may bring a loss down again at the end: so the highest climb.
    lowest = list(accumulate(means, min))
    top = max(range(len(means)), key=lambda n: means[n] - lowest[n])
    scale, climb = run.line or run.losses[0], means[top] - lowest[top]
    stuck = run.line is not None and run.level > NEAR * run.line
    lower = f"begin anew with --learning-rate {rate / 3:.2g} or lower (it was {rate:g})"
    if climb > RISE * scale and (stuck or means[-1] - lowest[-1] > RISE * scale):
        yield Finding(
            f"the training loss rises from {lowest[top]:.3g} to {means[top]:.3g} "
            f"(the longest gradient was {max(run.gradients):.3g})",
            f"{lower}{'' if run.asked.get('clip') else ', and with --clip 1'}",
        )
    elif stuck:
        by_heart = (
            "see whether it learns a few rows by heart: --rows 32 --epochs 100. "
            f"If it does not, {lower}; if it does, look at some rows: their labels may "
            "have been shuffled"
        )
        yield Finding(
            f"the loss is {run.level:.3f}, and {run.line:.3f} is that of a model "
            "that does not look at the text and only knows how frequent each "
            f"{'piece' if run.pretrains else 'answer'} is",
            _at_the_line(run, means[-1], lower) if run.pretrains else by_heart,
        )


def _at_the_line(run: Course, newest: float, lower: str) -> str:
    """What to do: runs with planted faults tell three causes apart (chapter 9b)."""
    first, rate = run.losses[0], run.asked.get("learning_rate", 0)
    if newest < CLEARLY * run.line:
        return (
            f"the training loss is {newest:.3f}, and held-out texts gain nothing: see "
            "that pieces are hidden and labels in their places, or bring more texts"
        )
    if max((first + run.line) / 2, FAR * run.line) < newest < FAR * first:
        higher = f"--learning-rate {3 * rate:.2g} or higher (it was {rate:g})"
        return f"it has far to go: train longer, or begin anew with {higher}"
    return f"train longer, because sound runs are slow here, or {lower}"


def _answers(run: Course) -> Iterator[Finding]:
    """The same answer to all validation rows, or answers that are worth nothing."""
    if run.pretrains or not run.evaluated:
        return
    *_, always = run.setting["curve"][-1]
    if isinstance(always, str) and always:
        yield Finding(
            f"the answer to each validation row is the same: {always}",
            "if others are rare, --class-weights balanced (of classes) makes them "
            "count; or give a lower --learning-rate, or more --epochs",
        )
    if run.line is None:
        return
    score = run.evaluated[-1][1]
    simplest = next(iter(run.results["majority"].values()))
    # The standard error of a share: by chance alone it may be so much higher.
    share, rows = min(max(simplest, 0), 1), run.setting["rows"][1]
    error = (share * (1 - share) / rows) ** 0.5
    if run.level < run.line / 2 and score <= simplest + error:
        yield Finding(
            f"it learns its rows by heart (loss {run.level:.3f}, where {run.line:.3f} "
            f"takes no learning) and scores {score:.3f} on the validation rows, where "
            f"the commonest answer scores {simplest:.3f}",
            "look at some rows: their labels may have been shuffled, or the validation "
            "rows may be of another kind than those to train on",
        )


def _overfitting(run: Course) -> Iterator[Finding]:
    """The training loss falls while what is held out gets worse."""
    if len(run.evaluated) < 2 or not run.losses:
        return
    best = (min if run.pretrains else max)(run.evaluated, key=lambda at: at[1])
    step, value = run.evaluated[-1]
    until = sum(end <= best[0] for end in run.ends)
    before, after = run.losses[:until] or run.losses[:1], run.losses[until:]
    part = _part(run.losses)
    if not after or fmean(after[-part:]) >= fmean(before[-part:]):
        return
    if run.pretrains:
        worse, what = value > 1.02 * best[1], "the loss on held-out texts rises"
        remedy = "bring more texts, or a smaller model; or end there, with --steps"
    else:  # two standard errors of a share of right answers, at most
        worse = value < best[1] - run.setting["rows"][1] ** -0.5
        what = "the score on the validation rows falls"
        remedy = "its best weights were kept; --patience 1 saves time, more rows help"
    if worse:
        yield Finding(
            f"{what} from {best[1]:.3f} after update {best[0]:,} to {value:.3f} after "
            f"update {step:,}, while the training loss falls: it overfits",
            remedy,
        )


def _parameters(run: Course) -> Iterator[Finding]:
    """Parameters that do not learn."""
    if lost := run.setting.get("without_gradient"):
        yield Finding(
            f"no gradient has reached {len(lost)} parameters: {_first(lost)}",
            "look where the loss is cut off from them, as by detach() or no_grad(), or "
            "by a part of the model whose output nobody reads",
        )
    count = run.setting.get("parameters", 0)
    learnt = run.setting.get("parameters_learnt", count)
    meant = run.asked.get("frozen") or run.asked.get("rank")
    if learnt < MOST * count and not meant:
        yield Finding(
            f"only {learnt:,} of {count:,} parameters learn, and neither --frozen nor "
            "--rank was asked for",
            "let them learn, by requires_grad_(True), before the run begins",
        )


def _texts(run: Course) -> Iterator[Finding]:
    """Texts in which there is nothing to read."""
    steps, rows = run.results["steps"], run.setting.get("rows", [10**9])[0]
    batch = min(run.asked.get("batch", 0), rows)
    size = run.results["tokens"] / max(1, steps * batch)
    if 0 < size <= EMPTY:
        yield Finding(
            f"the texts are nearly empty: {size:.1f} tokens each, of which two are "
            "special",
            "look at some of them as the model does: bertcore pieces TEXT",
        )
    if (share := run.results.get("unknown_pieces", 0)) > UNKNOWN:
        yield Finding(
            f"{share:.0%} of all pieces are unknown to the vocabulary",
            "the texts are in another language or script than it was made for: take a "
            "--model that knows it, or pretrain one on what bertcore prepare makes",
        )


def _young(run: Course) -> bool:
    return run.results["steps"] < FEW or run.results["progress"] < 0.1


def _first(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if names[4:] else "")


CHECKS = _updates, _losses, _answers, _overfitting, _parameters, _texts


# What a model tells -------------------------------------------------------------------


def neighbours(model: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """How well a model predicts the masked piece, and the pieces beside it, in nats.

    A model whose labels were shifted when it learnt predicts a neighbour best.
    """
    device, model = next(model.parameters()).device, masked_lm_of(model)
    steps = {"itself": 0, "before": -1, "after": 1}
    sums, counts = dict.fromkeys(steps, 0.0), dict.fromkeys(steps, 0)
    with evaluation(model), torch.inference_mode():
        for batch in held_out.batches[:BATCHES]:
            inputs = dict(batch.to(device).arguments)
            places, labels = inputs.pop("masked_positions"), inputs.pop("labels")
            inputs = {name: inputs[name] for name in inputs if name not in _OF_PAIRS}
            ids = inputs["input_ids"].flatten().index_copy(0, places, labels)
            texts = inputs["attention_mask"].flatten()
            _, logits = states_and_logits(model, places, inputs)
            for name, step in steps.items():
                beside = (places + step).clamp(0, len(ids) - 1)
                same = texts[beside] == texts[places]  # several texts share a row
                losses = F.cross_entropy(
                    logits[same], ids[beside[same]], reduction="none"
                )
                sums[name] += losses.sum().item()
                counts[name] += len(losses)
    return {name: sums[name] / max(1, counts[name]) for name in steps}


def _shifted(found: Mapping[str, float]) -> Iterator[Finding]:
    name = min(found, key=found.__getitem__)
    if found[name] < CLEARLY * found["itself"]:
        yield Finding(
            f"at a mask the model predicts the piece {name} it (loss {found[name]:.3f} "
            f"nats) better than the masked one ({found['itself']:.3f}): its labels "
            "were shifted by one place",
            "compare the labels of a batch with its ids before masking, place by place",
        )


def _finite(weights: Mapping[str, Tensor]) -> Iterator[Finding]:
    broken = [name for name, each in weights.items() if not each.isfinite().all()]
    if broken:
        yield Finding(
            f"{len(broken)} tensors hold numbers that are infinite, or none: "
            f"{_first(broken)}",
            "nothing can be saved of these weights: go back to an earlier checkpoint, "
            "or begin anew with a lower learning rate",
        )


# All together -------------------------------------------------------------------------


def diagnose(name: str) -> Diagnosis:
    """What is wrong with a run or a model, and what to do about it.

    Args:
        name: the folder of a run of `bertcore pretrain` or `finetune`, finished or not;
            or the folder or the hub name of a model.

    Raises:
        FileNotFoundError: if there is no such thing, or the run has nothing to look at.
        ValueError: if its files are damaged.
    """
    folder, findings = Path(name).expanduser(), []
    card = read_json(folder / CARD) if (folder / CARD).is_file() else {}
    told = "updates" in card.get("setting", ())  # a card of an earlier version has none
    weights: Mapping[str, Tensor] = {}
    if (folder / RUN).is_file():
        run = RunDescription.read(folder).start(folder)
        # After a crash the newest checkpoint may be ahead of the card.
        if not told or card["results"]["steps"] < run.progress.step:
            card, told = run.card(), True
        weights = dict(run.model.named_parameters())
        if run.held_out is not None and run.progress.step:
            findings += _shifted(neighbours(run.model, run.held_out))
    elif find_optional(name, "config.json") is None:
        if not card:
            raise FileNotFoundError(
                f"{name} holds no {CARD} and no model: bertcore finetune writes them "
                "when a run ends or is stopped with Ctrl-C; give the folder of one"
            )
    else:
        weights = read_tensors(weights_file(name))
    findings += _finite(weights)
    if not told:
        unseen = f"how it was trained, because no {CARD} of this version tells it"
        return Diagnosis(findings, [unseen], None)
    course = Course.of(card)
    findings += [each for check in CHECKS for each in check(course)]
    return Diagnosis(findings, list(_unseen(course)), card["results"]["steps"])


def _unseen(run: Course) -> Iterator[str]:
    if not run.evaluated:
        texts = "held-out texts" if run.pretrains else "validation rows"
        yield f"{texts}, of which the run has none"
    if _young(run):
        yield f"the loss, because {run.results['steps']:,} updates are too few"
    elif run.line is None and (not run.pretrains or run.evaluated):
        yield "whether the loss is that of a model that does not look at the text"
