"""Pretraining: a run from its texts to its card; it may stop and go on (chapter 9)."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bertcore.cards import make_card, write_card
from bertcore.model.config import BertConfig
from bertcore.model.variants.families import family_with
from bertcore.model.weights import Pretrained
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker, SpanMasker
from bertcore.text.pairs import Examples
from bertcore.text.store import Store
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.checkpoint import (
    check_fit,
    check_identity,
    identity,
    newest_checkpoint,
    save_checkpoint,
)
from bertcore.training.devices import device_name
from bertcore.training.evaluate import HeldOut, HeldOutScores
from bertcore.training.loop import (
    ComputeSettings,
    History,
    Record,
    TrainingState,
    default_compute_settings,
    train,
)
from bertcore.training.objectives import (
    OBJECTIVE_CLASSES,
    Objective,
    PretrainingBatches,
    models_for,
    pretraining_objective,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.recipe import Recipe

CHECKPOINTS, CARD = "checkpoints", "card.json"


class Pretraining:
    """A run: `for record in run.records(): …` trains, and `break` stops it.

    With a folder nothing is lost when the machine goes away: the same call, with the
    same arguments, goes on from the newest checkpoint there. `progress` says how far it
    is, `history` holds its records (every n-th of them if they are many), `looks` the
    quality on held-out texts.
    """

    def __init__(
        self,
        model: Pretrained,
        tokenizer: Tokenizer,
        store: Store,
        recipe: Recipe,
        folder: str | Path | None = None,
        held_out: HeldOut | None = None,
        setting: ComputeSettings | None = None,
        save_every: float = 300.0,
        looks: int = 20,
        keep: int = 2,
        shard: bool = False,
    ) -> None:
        """
        Args:
            model: one that does what the recipe asks for: a BertForPreTraining for
                pairs, an AlbertForPreTraining for order, or else one with a head for
                masked pieces, or an ElectraPair; it is trained in place.
            tokenizer: that of the store.
            store: the texts.
            recipe: how to train.
            folder: of the run; None keeps nothing on disk.
            held_out: texts to ask about.
            setting: where to compute; by default the GPU if there is one, in the
                precision that suits it.
            save_every: seconds of training between two checkpoints; one is also written
                at the end, and when the loop is left.
            looks: how many times to ask about the held-out texts, evenly.
            keep: how many checkpoints to keep.
            shard: share the optimiser's memory among the processes.

        Raises:
            ValueError: if model, tokenizer, store and recipe do not fit together, or
                the checkpoint in the folder is of another run; or each is damaged.
        """
        self.setting = setting or default_compute_settings()
        self.model, self.tokenizer, self.recipe = model, tokenizer, recipe
        self.store, self.held_out = store, held_out
        self.folder = Path(folder).expanduser() if folder is not None else None
        self.save_every, self.number_of_looks, self.keep = save_every, looks, keep
        check_fit(model, tokenizer, store, recipe)
        self.objective = pretraining_objective(model)
        self.works = make_batches(self.objective, tokenizer, store, recipe)
        model.to(self.setting.device)
        self.optimisers = make_optimisers(self.objective, recipe, shard)
        self.progress, self.history = TrainingState(), History()
        self.looks: list[Evaluation] = []
        self.saved = self._looked_at = 0.0
        if self.folder is not None:
            self._resume()
            self.setting.world.check_same(
                self.progress.step, f"update in {self.folder}", self.setting.device
            )

    def records(self) -> Iterator[Record]:
        """Train to the end of the recipe; a record after each update.

        A run that is finished gives none, and nothing of it is written again.
        """
        if self.progress.share(self.recipe) >= 1:
            return
        parts = self.objective, self.works, self.optimisers
        updates = train(*parts, self.recipe, self.setting, self.progress)
        if not self.looks:
            self._look()
        try:
            for record in updates:
                self.history.add(record)
                if record.fault is not None:
                    warnings.warn(record.fault, stacklevel=2)
                if self._is_time_to_look(record):
                    self._look()
                if self.progress.seconds - self.saved >= self.save_every:
                    self.save()
                yield record
        except GeneratorExit:
            self._close()
            raise
        self._close()

    def _close(self) -> None:
        """Keep what was learnt, if that has not been done."""
        if not self.looks or self.looks[-1].step != self.progress.step:
            self._look()
        self.save()
        self.write_card()

    def save(self) -> None:
        """Write a checkpoint; every process has to call this."""
        if self.folder is None:
            return
        means = self.optimisers.state()
        if self.setting.world.leads:
            save_checkpoint(
                self.folder / CHECKPOINTS,
                self.progress.step,
                dict(self.objective.named_parameters()),
                means,
                {
                    "identity": self.identity(),
                    "progress": self.progress.to_dict(),
                    "history": self.history.to_dict(),
                    "looks": [[*look[:3], look.quality] for look in self.looks],
                },
                self.keep,
            )
        self.saved = self.progress.seconds
        self.setting.world.wait()

    def identity(self) -> dict[str, Any]:
        """What must be the same for the run to go on."""
        return identity(self.model, self.tokenizer, self.store, self.recipe)

    def _resume(self) -> None:
        found, faults = newest_checkpoint(self.folder / CHECKPOINTS)
        for fault in faults:
            warnings.warn(f"an earlier checkpoint is used: {fault}", stacklevel=3)
        if found is None:
            return
        check_identity(found.state["identity"], self.identity(), found.folder)
        _take(self.objective, found.weights)
        self.optimisers.load(found.means)
        self.progress = TrainingState(**found.state["progress"])
        self.history = History.from_dict(found.state["history"])
        self.looks = [
            Evaluation(*look[:3], HeldOutScores(*look[3]))
            for look in found.state["looks"]
        ]
        self.saved = self.progress.seconds
        self._looked_at = self.progress.share(self.recipe)

    def _is_time_to_look(self, record: Record) -> bool:
        """Whether the next of the evenly spaced moments has come."""
        if self.held_out is None:
            return False
        due = int(record.progress * self.number_of_looks)
        return due > int(self._looked_at * self.number_of_looks)

    def _look(self) -> None:
        """Ask about the held-out texts."""
        self._looked_at = self.progress.share(self.recipe)
        if self.held_out is None or not self.setting.world.leads:
            return
        quality = self.held_out.ask(self.model, self.setting.device)
        at = self.progress
        self.looks.append(Evaluation(at.step, at.tokens, at.seconds, quality))

    def card(self) -> dict[str, Any]:
        """What ran, on what, and what came out."""
        unigram = self.held_out.unigram(self.store) if self.held_out else None
        run = self.model, self.store, self.identity(), self.setting
        return run_card(*run, self.progress, self.history, self.looks, unigram)

    def write_card(self) -> None:
        """Into the run's folder, if there is one."""
        if self.folder is not None and self.setting.world.leads:
            write_card(self.folder / CARD, self.card())


@torch.no_grad()
def _take(objective: nn.Module, weights: dict[str, Tensor]) -> None:
    """Weights by name; what two parts share has one name."""
    for name, parameter in objective.named_parameters():
        parameter.copy_(weights[name])


def make_examples(store: Store, recipe: Recipe) -> Examples:
    """Pairs, perhaps swapped ones, or windows, as the recipe says."""
    return OBJECTIVE_CLASSES[models_for(recipe)[0]].examples(store, recipe)


def make_masker(
    objective: Objective, tokenizer: Tokenizer, recipe: Recipe
) -> Masker | SpanMasker:
    """Hides the pieces that a recipe asks for, behind what suits the objective."""
    shares = {"masked": objective.masked, "random": objective.random}
    if recipe.spans:
        return SpanMasker(tokenizer, recipe.mask_rate, recipe.mask_limit, **shares)
    whole = recipe.whole_words
    return Masker(tokenizer, recipe.mask_rate, recipe.mask_limit, whole, **shares)


def make_batches(
    objective: Objective, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> PretrainingBatches:
    """The batches of a run: packed rows, masked anew in every epoch.

    Args:
        objective: with the model that is trained.
        tokenizer: that of the store.
        store: the texts.
        recipe: how to train.
    """
    batches = Batches(
        store,
        objective.examples(store, recipe),
        tokenizer,
        make_masker(objective, tokenizer, recipe),
        size=recipe.one_pass,
        seed=recipe.seed,
        row=recipe.length,
    )
    return PretrainingBatches(batches, objective.extra_arguments)


class Evaluation(NamedTuple):
    """The quality on held-out texts at one moment of a run."""

    step: int
    tokens: int
    seconds: float
    quality: HeldOutScores


def run_card(
    model: Pretrained,
    store: Store,
    identity: dict[str, Any],
    setting: ComputeSettings,
    progress: TrainingState,
    history: History,
    looks: Sequence[Evaluation],
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
    progress: TrainingState,
    history: History,
    looks: Sequence[Evaluation],
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


def pretraining_class(config: BertConfig, recipe: Recipe) -> type[nn.Module]:
    """The class of the model that a recipe trains.

    Of ELECTRA it is generator and discriminator; of BERT with hidden spans, SpanBERT.

    Raises:
        ValueError: if no model of the family can be asked what the recipe asks.
    """
    family, fitting = family_with(config), models_for(recipe)
    for kind in fitting:
        if kind.config_class is family.config:
            return kind
    # Every family has a model for masked pieces alone, so a second loss was asked for.
    asked = "pairs" if recipe.pairs else "order"
    raise ValueError(
        f"{asked}=True is asked of {fitting[0].__name__}, and the config is a "
        f"{type(config).__name__}; give {asked}=False"
    )


def new_model(config: BertConfig, recipe: Recipe) -> nn.Module:
    """The model that a recipe trains, with the starting weights of its seed."""
    kind = pretraining_class(config, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return kind(config)
