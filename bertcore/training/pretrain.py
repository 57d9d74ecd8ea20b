"""Pretrain: a run from its texts to its card, which may stop and go on (chapter 9)."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bertcore.cards import write_card
from bertcore.model.weights import Pretrained
from bertcore.text.examples import (
    Examples,
    pair_examples,
    window_examples,
)
from bertcore.text.masking import Masker
from bertcore.text.order import order_examples
from bertcore.text.spans import SpanMasker
from bertcore.text.steps import Steps
from bertcore.text.store import Store
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.checkpoint import newest_checkpoint, save_checkpoint
from bertcore.training.evaluate import HeldOut, Quality
from bertcore.training.history import History
from bertcore.training.identity import check_fit, check_identity, identity
from bertcore.training.loop import Setting, default_setting, train
from bertcore.training.objective import (
    PretrainingWorks,
    costs,
    pretraining_objective,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.progress import Progress, Record
from bertcore.training.recipes import Recipe
from bertcore.training.report import Look, run_card

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
        setting: Setting | None = None,
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
        self.setting = setting or default_setting()
        self.model, self.tokenizer, self.recipe = model, tokenizer, recipe
        self.store, self.held_out = store, held_out
        self.folder = Path(folder).expanduser() if folder is not None else None
        self.save_every, self.number_of_looks, self.keep = save_every, looks, keep
        check_fit(model, tokenizer, store, recipe)
        self.objective = pretraining_objective(model)
        self.works = make_works(self.objective, tokenizer, store, recipe)
        model.to(self.setting.device)
        self.optimisers = make_optimisers(self.objective, recipe, shard)
        self.progress, self.history = Progress(), History()
        self.looks: list[Look] = []
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
        self.progress = Progress(**found.state["progress"])
        self.history = History.from_dict(found.state["history"])
        self.looks = [
            Look(*look[:3], Quality(*look[3])) for look in found.state["looks"]
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
        self.looks.append(Look(at.step, at.tokens, at.seconds, quality))

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
    if recipe.pairs:
        return pair_examples(store, recipe.length, seed=recipe.seed)
    if recipe.order:
        return order_examples(store, recipe.length, seed=recipe.seed)
    return window_examples(store, recipe.length)


def make_masker(
    model: nn.Module, tokenizer: Tokenizer, recipe: Recipe
) -> Masker | SpanMasker:
    """What hides pieces; all of them behind [MASK] where others are put there later.

    So it is for a generator with its discriminator (Clark et al. 2020, section 3.1).
    """
    how: dict[str, float] = {}
    if hasattr(model, "discriminator"):
        how = {"masked": 1.0, "random": 0.0}
    if recipe.spans:
        return SpanMasker(tokenizer, recipe.mask_rate, recipe.mask_limit, **how)
    own = recipe.mask_rate, recipe.mask_limit, recipe.whole_words
    return Masker(tokenizer, *own, **how)


def make_works(
    objective: nn.Module, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> PretrainingWorks:
    """The passes of a run: packed rows, masked anew in every epoch.

    Args:
        objective: of a model.
        tokenizer, store, recipe: as for `Pretraining`.
    """
    steps = Steps(
        store,
        make_examples(store, recipe),
        tokenizer,
        make_masker(objective.model, tokenizer, recipe),
        recipe.one_pass,
        recipe.seed,
        recipe.length,
    )
    also = getattr(objective, "also", None)
    return PretrainingWorks(steps, costs(objective), also)
