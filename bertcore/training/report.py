"""Report: the card of a run (chapter 9)."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import torch

from bertcore.cards import make_card
from bertcore.model.weights import Pretrained
from bertcore.text.store import Store
from bertcore.training.evaluate import Quality
from bertcore.training.history import History
from bertcore.training.loop import Setting
from bertcore.training.progress import Progress
from bertcore.training.recipes import Recipe
from bertcore.training.runtime import device_name


class Look(NamedTuple):
    """The quality on held-out texts at one moment of a run."""

    step: int
    tokens: int
    seconds: float
    quality: Quality


def run_card(
    model: Pretrained,
    store: Store,
    identity: dict[str, Any],
    setting: Setting,
    progress: Progress,
    history: History,
    looks: Sequence[Look],
    unigram: float | None,
) -> dict[str, Any]:
    """What ran, on what, and what came out.

    Args:
        model: trained.
        store: what it was trained on.
        identity: of the run.
        setting: where it was computed.
        progress: how far it is.
        history: its records.
        looks: at the held-out texts, in order.
        unigram: the loss of one who knows only frequencies, if texts are held out.
    """
    device, recipe = setting.device, Recipe(**identity["recipe"])
    results = _results(progress, history, looks, unigram, recipe)
    if device.type == "cuda":
        results["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return make_card(
        f"Pretraining of a {type(model).__name__}",
        store.manifest.get("source", "texts in memory"),
        results,
        device=device_name(device),
        model=identity["model"],
        recipe=recipe.to_dict(),
        digests={name: identity[name] for name in ("vocabulary", "data")},
        parameters=sum(p.numel() for p in model.parameters()),
        precision=str(setting.precision).removeprefix("torch."),
        processes=setting.world.size,
        compiled=setting.compile,
        curve=[
            [look.step, look.tokens, look.seconds, look.quality.masked_lm]
            for look in looks
        ],
    )


def _results(
    progress: Progress,
    history: History,
    looks: Sequence[Look],
    unigram: float | None,
    recipe: Recipe,
) -> dict[str, Any]:
    results: dict[str, Any] = {
        "steps": progress.step,
        "steps_left_out": progress.skipped,
        "tokens": progress.tokens,
        "training_seconds": round(progress.seconds, 1),
        "tokens_per_second": round(progress.tokens / max(1e-9, progress.seconds)),
        "progress": round(min(1.0, progress.share(recipe)), 4),
    }
    for name in ("tokens_per_second", "utilisation"):
        values = [value for value in history.column(name) if value is not None]
        if values:
            results[f"median_{name}"] = float(f"{median(values):.3g}")
    if looks:
        results["held_out"] = looks[-1].quality._asdict()
    if unigram is not None:
        results["unigram_loss"] = unigram
    return results
